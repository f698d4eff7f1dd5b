//! What is told of a choice among record sets, to people and to programs.

use std::path::Path;

use serde_json::json;

use super::*;
use crate::config;
use crate::dns::{Class, RecordType};
use crate::world::compile::compile;

const CONFIG: &str = r#"
[[vpc]]
id = "vpc-1"
region = "ap-northeast-1"
cidr = ["10.1.0.0/16"]
enable_dns_hostnames = true
subnet = [{ id = "subnet-a", cidr = "10.1.1.0/24", availability_zone = "ap-northeast-1a", route_table = "rtb-1" }]
route_table = [{ id = "rtb-1" }]

[[vpc]]
id = "vpc-beside"
region = "ap-northeast-1"
cidr = ["10.2.0.0/16", "2001:db8:2::/56"]
enable_dns_hostnames = true
subnet = [
  { id = "subnet-beside", cidr = "10.2.1.0/24", availability_zone = "ap-northeast-1a" },
  { id = "subnet-six", ipv6_cidr = "2001:db8:2:1::/64", availability_zone = "ap-northeast-1a", enable_dns64 = true },
]
route_table = [{ id = "rtb-beside", main = true }]

[[hosted_zone]]
name = "corp.internal"
vpcs = ["vpc-1"]
records = [
  { name = "app", type = "A", values = ["10.1.1.1"], set_identifier = "blue", weight = 1 },
  { name = "app", type = "A", values = ["10.1.1.2"], set_identifier = "green", weight = 2 },
  { name = "geo", type = "A", values = ["10.1.1.3"], set_identifier = "europe", geo_location = { continent_code = "EU" } },
]
"#;

/// What is told of a name's A records, with this number drawn.
fn told(name: &str, draw: u64) -> Explanation {
    told_of("subnet-a", name, RecordType::A, draw)
}

fn told_of(from: &str, name: &str, qtype: RecordType, draw: u64) -> Explanation {
    let mut loaded =
        config::load_text(Path::new("test.toml"), CONFIG.to_owned(), &|path| std::fs::read_to_string(path));
    let world = compile(&mut loaded).expect("nothing is wrong");
    let from = vantage(&world, from, None).expect("it is a place");
    let question = Question { qname: name.parse().expect("a name"), qtype, qclass: Class::IN };
    Explanation::of(&world, from, &question, QueryContext { now: 0, random: draw })
        .expect("there is an answer")
}

#[test]
fn a_program_is_told_which_record_set_was_chosen_and_why() {
    let routing = |told: &Explanation| json::value(told)["decision"]["routing"].clone();
    let drawn = json!([{
        "name": "app.corp.internal.",
        "type": "A",
        "policy": "weighted",
        "set_identifier": "green",
        "why": "drawn by weight 2 of 3",
    }]);
    assert_eq!(routing(&told("app.corp.internal", 2)), drawn);
    assert!(told("app.corp.internal", 2).notes[0].contains("was drawn"));
    let nothing = routing(&told("geo.corp.internal", 0));
    assert_eq!(nothing[0]["set_identifier"], json!(null));
    assert!(!json::compact(&told("app.corp.internal", 0)).contains("drawn by"), "sentences are for people");
}

#[test]
fn a_person_is_told_too() {
    let line = |name: &str, draw| {
        let text = text::ExplanationText(&told(name, draw)).to_string();
        text.lines().find(|line| line.contains("routed to")).expect("a line of it").to_owned()
    };
    let drawn = line("app.corp.internal", 0);
    assert!(drawn.ends_with("blue (weighted of app.corp.internal. A): drawn by weight 1 of 3"), "{drawn}");
    let nothing = line("geo.corp.internal", 0);
    assert!(
        nothing.contains("no record set (geolocation of geo.corp.internal. A): no location"),
        "{nothing}"
    );
}

/// A zone that has the name without records of the type would hide what public DNS has.
#[test]
fn a_zone_is_missed_where_it_would_answer() {
    let missed = |from, qtype| {
        let told = told_of(from, "app.corp.internal", qtype, 0).missed;
        told.iter().map(|missed| missed.kind).collect::<Vec<_>>()
    };
    assert_eq!(missed("subnet-beside", RecordType::A), [SuggestionKind::ZoneNotAssociated]);
    assert_eq!(missed("subnet-beside", RecordType::AAAA), []);
    assert_eq!(missed("subnet-beside", RecordType::TXT), []);
    // DNS64 makes it from the A record.
    assert_eq!(missed("subnet-six", RecordType::AAAA), [SuggestionKind::ZoneNotAssociated]);
    assert_eq!(missed("subnet-a", RecordType::A), []);
}
