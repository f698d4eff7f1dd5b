//! Worlds compiled from two texts, and their differences.

use std::path::Path;

use super::*;
use crate::config;
use crate::world::compile::compile_with;

const BEFORE: &str = r#"
[[vpc]]
id = "vpc-1"
region = "ap-northeast-1"
cidr = ["10.1.0.0/16"]
internet_gateway = "igw-1"
enable_dns_hostnames = true

[[vpc.subnet]]
id = "subnet-a"
cidr = "10.1.1.0/24"
availability_zone = "ap-northeast-1a"
route_table = "rtb-1"

[[vpc.nat_gateway]]
id = "nat-1"
subnet = "subnet-a"

[[vpc.route_table]]
id = "rtb-1"
main = true
routes = [{ destination = "0.0.0.0/0", target = "nat-1" }]

[[hosted_zone]]
name = "corp.internal"
vpcs = ["vpc-1"]
records = [
  { name = "db", type = "A", values = ["10.1.1.20"] },
  { name = "old", type = "A", values = ["10.1.1.21"] },
]

[[client]]
source = "127.0.0.0/8"
place = "subnet-a"
"#;

fn world(text: &str) -> World {
    let nothing = |path: &Path| Err(std::io::Error::other(path.display().to_string()));
    let mut loaded = config::load_text(Path::new("test.toml"), text.to_owned(), &nothing);
    let world = compile_with(&mut loaded, &nothing);
    world.unwrap_or_else(|| panic!("{}", loaded.report.render(&loaded.sources)))
}

fn told(after: &str) -> Vec<String> {
    diff(&world(BEFORE), &world(after)).iter().map(ToString::to_string).collect()
}

#[test]
fn settings_of_servers_are_differences() {
    let with = |server: &str| {
        format!(
            "{BEFORE}\n[internet]\nmode = \"forward\"\nservers = [{{ address = \"192.0.2.53\"{server} }}]\n"
        )
    };
    let changes = |before: &str, after: &str| -> Vec<String> {
        diff(&world(&with(before)), &world(&with(after))).iter().map(ToString::to_string).collect()
    };
    assert_eq!(changes("", ", edns = true"), Vec::<String>::new());
    let found = changes("", ", edns = false");
    assert!(found.len() == 1 && found[0].contains("192.0.2.53 edns=false"), "{found:?}");
    let found = changes(", case = false", ", edns = false");
    assert!(found.len() == 1 && found[0].contains("192.0.2.53 case=false"), "{found:?}");
}

#[test]
fn a_comment_is_not_a_change() {
    assert_eq!(told(&format!("# a comment\n{BEFORE}")), Vec::<String>::new());
}

#[test]
fn a_changed_route_shows_both_targets() {
    assert_eq!(
        told(&BEFORE.replace(r#"target = "nat-1""#, r#"target = "igw-1""#)),
        ["route rtb-1: 0.0.0.0/0 nat-1 → igw-1"]
    );
    let more =
        BEFORE.replace("routes = [", r#"routes = [{ destination = "192.0.2.0/24", target = "igw-1" }, "#);
    assert_eq!(told(&more), ["route rtb-1: 192.0.2.0/24 igw-1 added"]);
}

#[test]
fn objects_are_added_removed_and_changed() {
    let site = "[[site]]\nid = \"site-x\"\ncidr = [\"10.9.0.0/16\"]\n";
    let after = BEFORE.replace("ap-northeast-1a", "ap-northeast-1c") + site;
    assert_eq!(
        told(&after),
        ["subnet subnet-a: availability_zone ap-northeast-1a → ap-northeast-1c", "site site-x added",]
    );
    assert_eq!(
        told(&BEFORE.replace("place = \"subnet-a\"", "place = \"outside\"")),
        ["client 127.0.0.0/8: place subnet-a → outside"]
    );
}

#[test]
fn records_are_counted_and_the_first_ones_shown() {
    let after = BEFORE.replace("10.1.1.20", "10.1.1.30").replace(r#"name = "old""#, r#"name = "new""#);
    assert_eq!(
        told(&after),
        ["zone corp.internal.: 1 name added, 1 name removed, 1 name changed; 3 record sets: \
         db.corp.internal. A 10.1.1.20 ttl 300 → 10.1.1.30 ttl 300; \
         new.corp.internal. A - → 10.1.1.21 ttl 300; old.corp.internal. A 10.1.1.21 ttl 300 → -"]
    );
}

#[test]
fn a_changed_setting_is_shown_by_its_section() {
    assert_eq!(told(&format!("[answers]\nmax_ttl = 100\n{BEFORE}")), ["setting answers: max_ttl 300 → 100"]);
    let listener = told(&format!("[[listener]]\naddress = \"127.0.0.1:5311\"\n{BEFORE}"));
    assert_eq!(listener, ["listener 127.0.0.1:5300 removed", "listener 127.0.0.1:5311 added"]);
}

#[test]
fn long_values_and_equal_ids_are_distinguished() {
    assert_eq!(shown(&"é".repeat(200)).chars().count(), LONGEST_VALUE + 1);
    let two = Catalogue::of([("a".to_owned(), vec![]), ("a".to_owned(), vec![])].into_iter());
    assert_eq!(two.objects.keys().collect::<Vec<_>>(), ["a", "a#2"]);
}

#[test]
fn generated_ids_are_unique() {
    let mut unique = UniqueIds::default();
    let given = ["a", "a", "b", "a#2", "a"].map(|id| unique.next(id.to_owned()));
    assert_eq!(given, ["a", "a#2", "b", "a#2#2", "a#3"]);
}

#[test]
fn record_sets_with_a_routing_policy_show_its_parameters() {
    let db = r#"{ name = "db", type = "A", values = ["10.1.1.20"] },"#;
    let weighted = |check: &str| {
        let first =
            r#"{ name = "db", type = "A", values = ["10.1.1.20"], set_identifier = "blue", weight = 1 },"#;
        let second = r#"{ name = "db", type = "A", alias = "old.corp.internal", set_identifier = "green", weight = 2, health_check_id = "hc" },"#;
        format!("{}{check}", BEFORE.replace(db, &format!("{first}\n  {second}")))
    };
    let told = |before: &str, after: &str| -> Vec<String> {
        diff(&world(before), &world(after)).iter().map(ToString::to_string).collect()
    };
    let (well, ill) = (weighted(""), weighted("\n[[health_check]]\nid = \"hc\"\nhealthy = false\n"));
    assert_eq!(
        told(BEFORE, &well),
        ["zone corp.internal.: 1 name changed; 1 record set: db.corp.internal. A 10.1.1.20 ttl 300 → blue \
          (weight 1) 10.1.1.20 ttl 300,green (weight 2) alias old.corp.internal."]
    );
    let [line] = &told(&well, &ill)[..] else { panic!("one zone changed") };
    assert!(line.ends_with("green (weight 2 unhealthy) alias old.corp.internal."), "{line}");
}

#[test]
fn profile_contents_and_attachments_are_shown() {
    let profile = |vpcs: &str| {
        let zone = BEFORE.replace("vpcs = [\"vpc-1\"]", "id = \"ZCORP\"\nvpcs = [\"vpc-1\"]");
        let second = "\n[[vpc]]\nid = \"vpc-2\"\nregion = \"ap-northeast-1\"\ncidr = [\"10.2.0.0/16\"]\nenable_dns_hostnames = true\n";
        format!(
            "{zone}{second}\n[[profile]]\nid = \"rp-1\"\nhosted_zones = [\"ZCORP\"]\nassociation = [{vpcs}]\n"
        )
    };
    let told: Vec<String> = diff(&world(&profile("")), &world(&profile("{ vpc = \"vpc-2\" }")))
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(told[0].starts_with("profile rp-1: resources - → ZCORP, views - → vpc-2"), "{told:?}");
    let gateway = BEFORE.replace("internet_gateway = \"igw-1\"", "internet_gateway = \"igw-2\"");
    assert_eq!(self::told(&gateway), ["vpc vpc-1: internet_gateway igw-1 → igw-2"]);
}
