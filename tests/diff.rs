//! Output of `plustwo diff`, as text and JSON.

mod common;

use std::fs;
use std::path::Path;
use std::process::Output;

use common::process::{plustwo, stderr, stdout};

/// Compares the lab with a copy in which some text is replaced.
fn changed(pairs: &[(&str, &str)]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let lab = fs::read_to_string("config/lab.toml").unwrap();
    let mut after = lab.clone();
    for (from, to) in pairs {
        assert!(after.contains(from), "the lab has no {from}");
        after = after.replacen(from, to, 1);
    }
    compare(dir.path(), &lab, &after, &[])
}

fn compare(dir: &Path, before: &str, after: &str, more: &[&str]) -> Output {
    let [old, new] = ["before.toml", "after.toml"].map(|name| dir.join(name));
    fs::write(&old, before).unwrap();
    fs::write(&new, after).unwrap();
    plustwo(&[&["diff", old.to_str().unwrap(), new.to_str().unwrap()][..], more].concat())
}

#[test]
fn equal_networks_have_no_differences() {
    let output = changed(&[("# No egress path.", "# No path.")]);
    assert_eq!(output.status.code(), Some(0));
    insta::assert_snapshot!(stdout(&output));
}

#[test]
fn a_change_without_effect_on_names_is_listed_but_not_a_difference() {
    let output = changed(&[("source = \"127.0.99.0/24\"", "source = \"127.0.98.0/24\"")]);
    assert_eq!(output.status.code(), Some(0));
    insta::assert_snapshot!(stdout(&output));
}

#[test]
fn a_changed_route_is_the_cause_for_many_names() {
    let nat = "routes = [\n  { destination = \"0.0.0.0/0\", target = \"nat-lab\" },\n  { destination = \"192";
    let output = changed(&[(nat, &nat.replace("nat-lab", "tgw-lab"))]);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(stdout(&output));
}

#[test]
fn disabled_private_dns_is_attributed_to_the_endpoint() {
    let sns = "service = \"com.amazonaws.ap-northeast-1.sns\"\nprivate_dns_enabled = true";
    let output = changed(&[(sns, &sns.replace("true", "false"))]);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(stdout(&output));
}

#[test]
fn records_ttls_and_security_groups_are_distinguished() {
    let output = changed(&[
        (
            "type = \"A\", ttl = 60, values = [\"10.0.1.20\"]",
            "type = \"A\", ttl = 60, values = [\"10.0.1.21\"]",
        ),
        ("ttl = 60, values = [\"10.0.1.30\"", "ttl = 30, values = [\"10.0.1.30\""),
        ("\"the lab's private zone\\\"", "\"another text\\\""),
        ("sources = [\"10.0.0.0/16\", \"192.168.10.0/24\"]", "sources = [\"10.0.0.0/16\"]"),
    ]);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(stdout(&output));
}

#[test]
fn the_order_of_addresses_is_not_a_difference() {
    let output = changed(&[("\"10.0.1.30\", \"10.0.2.30\"", "\"10.0.2.30\", \"10.0.1.30\"")]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
}

#[test]
fn a_location_in_only_one_network_is_listed() {
    let dir = tempfile::tempdir().unwrap();
    let lab = fs::read_to_string("config/lab.toml").unwrap();
    let more = "\n[[site]]\nid = \"site-branch\"\ncidr = [\"192.168.20.0/24\"]\ninternet = true\n";
    let output = compare(dir.path(), &lab, &format!("{lab}{more}"), &[]);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(stdout(&output));
}

#[test]
fn names_from_a_file_are_compared_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let lab = fs::read_to_string("config/lab.toml").unwrap();
    let zone = |vpcs: &str| {
        format!("{lab}\n[[hosted_zone]]\nname = \"example.com\"\nvpcs = [{vpcs}]\nrecords = []\n")
    };
    let names = dir.path().join("names");
    fs::write(&names, "www.example.com\n").unwrap();
    let more = ["--names", names.to_str().unwrap()];
    let output = compare(dir.path(), &lab, &zone("\"vpc-lab\""), &more);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(stdout(&output));
}

#[test]
fn json_has_a_stable_structure() {
    let dir = tempfile::tempdir().unwrap();
    let lab = fs::read_to_string("config/lab.toml").unwrap();
    let after = lab.replacen("values = [\"10.0.1.20\"]", "values = [\"10.0.1.21\"]", 1);
    let output = compare(dir.path(), &lab, &after, &["--format", "json"]);
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    insta::assert_json_snapshot!(value);
}

#[test]
fn an_invalid_configuration_is_an_error() {
    let output = plustwo(&["diff", "config/lab.toml", "tests/config_errors/many.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("error[unknown-key]"));
    assert_eq!(plustwo(&["diff", "no/such/file", "config/lab.toml"]).status.code(), Some(2));
    assert_eq!(plustwo(&["diff", "config/lab.toml"]).status.code(), Some(2));
}

/// Two addresses whose routes are exchanged: the name has the same addresses and the same paths.
#[test]
fn addresses_that_exchange_paths_are_shown_individually() {
    let dir = tempfile::tempdir().unwrap();
    let lab = fs::read_to_string("config/lab.toml").unwrap();
    let two = "\n[[public]]\nname = \"two.example.com\"\ntype = \"A\"\nvalues = [\"198.51.100.1\", \"203.0.113.1\"]\n";
    let with = |prefix: &str| {
        let route = format!(
            "id = \"rtb-isolated\"\nroutes = [{{ destination = \"{prefix}\", target = \"vgw-lab\" }}]"
        );
        lab.replacen("id = \"rtb-isolated\"\nroutes = []", &route, 1) + two
    };
    let output = compare(dir.path(), &with("198.51.100.0/24"), &with("203.0.113.0/24"), &[]);
    let text = stdout(&output);
    let group = text.split("\n\n").find(|group| group.starts_with("two.example.com")).expect(&text);
    insta::assert_snapshot!(group);
}

/// Two VPCs with a peering connection.
const PEERED: &str = r#"
[[vpc]]
id = "vpc-near"
region = "us-east-1"
cidr = ["10.0.0.0/16"]
enable_dns_hostnames = true
subnet = [{ id = "subnet-near", cidr = "10.0.1.0/24", availability_zone = "us-east-1a" }]
route_table = [{ id = "rtb-near", main = true, routes = [{ destination = "10.1.0.0/16", target = "pcx-1" }] }]

[[vpc]]
id = "vpc-far"
region = "us-east-1"
cidr = ["10.1.0.0/16"]
subnet = [{ id = "subnet-far", cidr = "10.1.1.0/24", availability_zone = "us-east-1a" }]
route_table = [{ id = "rtb-far", main = true, routes = [{ destination = "10.0.0.0/16", target = "pcx-1" }] }]

[[vpc_peering_connection]]
id = "pcx-1"
requester = { vpc = "vpc-near" }
accepter = { vpc = "vpc-far" }

[[public]]
name = "far.example.com"
type = "A"
values = ["10.1.1.10"]
"#;

#[test]
fn a_lost_return_path_is_attributed_to_its_route() {
    let dir = tempfile::tempdir().unwrap();
    let after =
        PEERED.replace(r#"routes = [{ destination = "10.0.0.0/16", target = "pcx-1" }]"#, "routes = []");
    let described = stdout(&compare(dir.path(), PEERED, &after, &[]));
    let group = described.split("far.example.com from subnet-near").nth(1).unwrap();
    insta::assert_snapshot!(group.split("\n\n").next().unwrap(), @r"

      - vpc-peering via pcx-1 ok
      + vpc-peering via pcx-1 dead
      cause
        route rtb-far: 10.0.0.0/16 pcx-1 removed
    ");
}

/// Endpoint-specific names are public, and attributed to the endpoint from all locations.
#[test]
fn endpoint_specific_names_are_attributed_to_the_endpoint() {
    let dir = tempfile::tempdir().unwrap();
    let route = r#"route_table = [{ id = "rtb-near""#;
    let endpoint = r#"endpoint = [{ id = "vpce-kms", type = "Interface", service = "com.amazonaws.us-east-1.kms", network_interfaces = [{ subnet = "subnet-near", address = "10.0.1.10" }] }]"#;
    let after = PEERED.replace(route, &format!("{endpoint}\n{route}"));
    // An unrelated change.
    let after = after.replace("values = [\"10.1.1.10\"]", "values = [\"10.1.1.11\"]");
    let described = stdout(&compare(dir.path(), PEERED, &after, &[]));
    let groups: Vec<&str> = described.split("\n\n").filter(|group| group.contains("from outside")).collect();
    assert!(!groups.is_empty() && !described.contains("possible causes"), "{described}");
    assert!(groups.iter().any(|group| group.contains("cause\n    endpoint vpce-kms added")), "{described}");
}

/// The route table of an endpoint's subnet affects only replies.
#[test]
fn an_unused_route_is_not_a_cause() {
    let dir = tempfile::tempdir().unwrap();
    let before = r#"
[[vpc]]
id = "vpc-1"
region = "us-east-1"
cidr = ["10.0.0.0/16"]
enable_dns_hostnames = true
internet_gateway = "igw-1"
subnet = [
  { id = "subnet-1", cidr = "10.0.1.0/24", availability_zone = "us-east-1a" },
  { id = "subnet-2", cidr = "10.0.2.0/24", availability_zone = "us-east-1a", route_table = "rtb-2" },
]
route_table = [{ id = "rtb-1", main = true }, { id = "rtb-2" }]
security_group = [{ id = "sg-1" }]
endpoint = [{ id = "vpce-kms", type = "Interface", service = "com.amazonaws.us-east-1.kms", network_interfaces = [{ subnet = "subnet-2", address = "10.0.2.10", security_groups = ["sg-1"] }] }]
"#;
    let open = r#"{ id = "sg-1", ingress = [{ protocol = "tcp", from_port = 443, to_port = 443, sources = ["10.0.1.0/24"] }] }"#;
    let after = before.replace(r#"{ id = "sg-1" }"#, open);
    let route = r#"{ id = "rtb-2", routes = [{ destination = "192.0.2.0/24", target = "igw-1" }] }"#;
    let after = after.replace(r#"{ id = "rtb-2" }"#, route);
    let described = stdout(&compare(dir.path(), before, &after, &[]));
    let group = described.split("\n\n").find(|group| group.contains("from subnet-1")).unwrap();
    insta::assert_snapshot!(group, @r"
    3 names from subnet-1
      - interface-endpoint via vpce-kms blocked
      + interface-endpoint via vpce-kms ok
      cause
        security-group sg-1: ingress - → tcp 443-443 with 10.0.1.0/24
      names
        kms.us-east-1.amazonaws.com
        vpce-kms-rxo6d4h2.kms.us-east-1.vpce.amazonaws.com
        vpce-kms-rxo6d4h2-us-east-1a.kms.us-east-1.vpce.amazonaws.com
    ");
}
