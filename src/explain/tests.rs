//! Tests of explanations: the selected record set in text and JSON, and suggested zones.

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
id = "vpc-other"
region = "ap-northeast-1"
cidr = ["10.2.0.0/16", "2001:db8:2::/56"]
enable_dns_hostnames = true
subnet = [
  { id = "subnet-other", cidr = "10.2.1.0/24", availability_zone = "ap-northeast-1a" },
  { id = "subnet-six", ipv6_cidr = "2001:db8:2:1::/64", availability_zone = "ap-northeast-1a", enable_dns64 = true },
]
route_table = [{ id = "rtb-other", main = true }]

[[hosted_zone]]
name = "corp.internal"
vpcs = ["vpc-1"]
records = [
  { name = "app", type = "A", values = ["10.1.1.1"], set_identifier = "blue", weight = 1 },
  { name = "app", type = "A", values = ["10.1.1.2"], set_identifier = "green", weight = 2 },
  { name = "geo", type = "A", values = ["10.1.1.3"], set_identifier = "europe", geo_location = { continent_code = "EU" } },
]
"#;

/// The explanation of a name's A records with this random number.
fn described(name: &str, random: u64) -> Explanation {
    explanation("subnet-a", name, RecordType::A, random)
}

fn explanation(from: &str, name: &str, qtype: RecordType, random: u64) -> Explanation {
    let mut loaded =
        config::load_text(Path::new("test.toml"), CONFIG.to_owned(), &|path| std::fs::read_to_string(path));
    let world = compile(&mut loaded).expect("the configuration is valid");
    let from = vantage(&world, from, None).expect("a location");
    let question = Question { qname: name.parse().expect("a name"), qtype, qclass: Class::IN };
    Explanation::of(&world, from, &question, QueryContext { now: 0, random }).expect("an explanation")
}

#[test]
fn json_contains_the_selected_record_set_and_the_reason() {
    let routing = |described: &Explanation| json::value(described)["decision"]["routing"].clone();
    let selected = json!([{
        "name": "app.corp.internal.",
        "type": "A",
        "policy": "weighted",
        "set_identifier": "green",
        "why": "selected at random by weight 2 of 3",
    }]);
    assert_eq!(routing(&described("app.corp.internal", 2)), selected);
    assert!(described("app.corp.internal", 2).notes[0].contains("Selected at random"));
    let unmatched = routing(&described("geo.corp.internal", 0));
    assert_eq!(unmatched[0]["set_identifier"], json!(null));
    assert!(
        !json::compact(&described("app.corp.internal", 0)).contains("by weight"),
        "compact JSON omits prose"
    );
}

#[test]
fn the_text_contains_the_selected_record_set_and_the_reason() {
    let line = |name: &str, random| {
        let text = text::ExplanationText(&described(name, random)).to_string();
        text.lines()
            .find(|line| line.contains("(weighted of") || line.contains("(geolocation of"))
            .expect("a line about the record set")
            .to_owned()
    };
    let selected = line("app.corp.internal", 0);
    assert!(
        selected.ends_with("blue (weighted of app.corp.internal. A): selected at random by weight 1 of 3"),
        "{selected}"
    );
    let unmatched = line("geo.corp.internal", 0);
    assert!(
        unmatched.contains("no record set (geolocation of geo.corp.internal. A): no location"),
        "{unmatched}"
    );
}

/// A zone that contains the name without records of the type would hide the public records.
#[test]
fn a_zone_is_suggested_only_where_it_would_answer() {
    let suggested = |from, qtype| {
        let suggestions = explanation(from, "app.corp.internal", qtype, 0).suggestions;
        suggestions.into_iter().map(|line| line.code).collect::<Vec<_>>()
    };
    assert_eq!(suggested("subnet-other", RecordType::A), ["ZONE_NOT_ASSOCIATED"]);
    assert_eq!(suggested("subnet-other", RecordType::AAAA), [""; 0]);
    assert_eq!(suggested("subnet-other", RecordType::TXT), [""; 0]);
    // DNS64 synthesises it from the A record.
    assert_eq!(suggested("subnet-six", RecordType::AAAA), ["ZONE_NOT_ASSOCIATED"]);
    assert_eq!(suggested("subnet-a", RecordType::A), [""; 0]);
}
