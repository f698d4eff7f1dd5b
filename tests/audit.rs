//! Output of `plustwo audit`, as text, JSON and CSV.

mod common;

use std::fs;
use std::path::Path;

use common::process::{plustwo, stderr, stdout};

/// Four subnets, and a gateway endpoint that is associated with only one of the three route tables.
const ASSOCIATED_WITH_THE_WRONG_TABLE: &str = r#"
[[vpc]]
id = "vpc-1"
region = "us-east-1"
cidr = ["10.0.0.0/16"]
internet_gateway = "igw-1"
subnet = [
  { id = "subnet-main", cidr = "10.0.1.0/24", availability_zone = "us-east-1a", route_table = "rtb-main" },
  { id = "subnet-workers", cidr = "10.0.2.0/24", availability_zone = "us-east-1a", route_table = "rtb-workers" },
  { id = "subnet-workers-too", cidr = "10.0.3.0/24", availability_zone = "us-east-1a", route_table = "rtb-workers" },
  { id = "subnet-public", cidr = "10.0.4.0/24", availability_zone = "us-east-1a", route_table = "rtb-public" },
]
route_table = [
  { id = "rtb-main", main = true, routes = [{ destination = "0.0.0.0/0", target = "nat-1" }, { destination = "pl-63a5400a", target = "vpce-s3" }] },
  { id = "rtb-workers", routes = [{ destination = "0.0.0.0/0", target = "nat-1" }] },
  { id = "rtb-public", routes = [{ destination = "0.0.0.0/0", target = "igw-1" }] },
]
nat_gateway = [{ id = "nat-1", subnet = "subnet-public" }]
endpoint = [{ id = "vpce-s3", type = "Gateway", service = "com.amazonaws.us-east-1.s3" }]
"#;

/// A hub with endpoints, a spoke behind a transit gateway, and a Profile that shares some of them.
const HUB_AND_SPOKE: &str = r#"
[[vpc]]
id = "vpc-hub"
region = "eu-west-2"
cidr = ["10.0.0.0/16"]
enable_dns_hostnames = true
subnet = [{ id = "subnet-hub", cidr = "10.0.1.0/24", availability_zone = "eu-west-2a", route_table = "rtb-hub" }]
route_table = [{ id = "rtb-hub", routes = [{ destination = "10.1.0.0/16", target = "tgw-1" }] }]
endpoint = [
  { id = "vpce-kms", type = "Interface", service = "com.amazonaws.eu-west-2.kms", network_interfaces = [{ subnet = "subnet-hub", address = "10.0.1.80" }] },
  { id = "vpce-ecr-dkr", type = "Interface", service = "com.amazonaws.eu-west-2.ecr.dkr", network_interfaces = [{ subnet = "subnet-hub", address = "10.0.1.81" }] },
  { id = "vpce-ecr-api", type = "Interface", service = "com.amazonaws.eu-west-2.ecr.api", network_interfaces = [{ subnet = "subnet-hub", address = "10.0.1.82" }] },
  { id = "vpce-eks-auth", type = "Interface", service = "com.amazonaws.eu-west-2.eks-auth", private_dns_enabled = false, network_interfaces = [{ subnet = "subnet-hub", address = "10.0.1.83" }] },
  { id = "vpce-sts", type = "Interface", service = "com.amazonaws.eu-west-2.sts", private_dns_enabled = false, network_interfaces = [{ subnet = "subnet-hub", address = "10.0.1.84" }] },
]

[[vpc]]
id = "vpc-spoke"
region = "eu-west-2"
cidr = ["10.1.0.0/16"]
enable_dns_hostnames = true
internet_gateway = "igw-spoke"
subnet = [
  { id = "subnet-spoke", cidr = "10.1.1.0/24", availability_zone = "eu-west-2a", route_table = "rtb-spoke" },
  { id = "subnet-spoke-public", cidr = "10.1.3.0/24", availability_zone = "eu-west-2a", route_table = "rtb-spoke-public", map_public_ip_on_launch = true },
]
route_table = [
  { id = "rtb-spoke", routes = [{ destination = "10.0.0.0/16", target = "tgw-1" }, { destination = "0.0.0.0/0", target = "nat-spoke" }] },
  { id = "rtb-spoke-public", routes = [{ destination = "0.0.0.0/0", target = "igw-spoke" }] },
]
nat_gateway = [{ id = "nat-spoke", subnet = "subnet-spoke-public" }]

[[transit_gateway]]
id = "tgw-1"
vpc_attachment = [{ id = "tgw-attach-hub", vpc = "vpc-hub" }, { id = "tgw-attach-spoke", vpc = "vpc-spoke" }]

[[profile]]
id = "rp-shared"
vpc_endpoints = ["vpce-kms", "vpce-ecr-dkr"]
association = [{ vpc = "vpc-spoke" }]

[[hosted_zone]]
id = "ZSTS"
name = "sts.eu-west-2.amazonaws.com"
vpcs = ["vpc-hub"]
records = [{ name = "@", type = "A", values = ["10.0.1.84"] }]
"#;

/// Names that a user looks up to find out which ones are private.
const NAMES: &str = "# looked up by hand\nkms.eu-west-2.amazonaws.com\n\
    123456789012.dkr.ecr.eu-west-2.amazonaws.com\napi.ecr.eu-west-2.amazonaws.com\n\
    eks-auth.eu-west-2.api.aws\nsts.eu-west-2.amazonaws.com\ns3.eu-west-2.amazonaws.com\nssm.eu-west-2.amazonaws.com\n";

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn an_endpoint_in_the_wrong_route_table_differs_between_locations() {
    let dir = tempfile::tempdir().unwrap();
    let config = write(dir.path(), "wrong-table.toml", ASSOCIATED_WITH_THE_WRONG_TABLE);
    let names = write(dir.path(), "names", "s3.us-east-1.amazonaws.com\n");
    let from = ["--from", "subnet-main", "--from", "subnet-workers", "--from", "subnet-workers-too"];
    let arguments = [&["audit", "--config", &config, "--names", &names][..], &from].concat();
    insta::assert_snapshot!(stdout(&plustwo(&arguments)));
    let failing = ["--fail-on", "nat-gateway,ENDPOINT_NOT_ASSOCIATED_WITH_TABLE,dead"];
    let output = plustwo(&[&arguments[..], &failing].concat());
    assert_eq!(output.status.code(), Some(1));
    // Equal locations share a row.
    assert_eq!(
        stderr(&output),
        "plustwo: found nat-gateway (1 row): s3.us-east-1.amazonaws.com from subnet-workers, subnet-workers-too\n\
         plustwo: found ENDPOINT_NOT_ASSOCIATED_WITH_TABLE (1 row): s3.us-east-1.amazonaws.com from subnet-workers, \
         subnet-workers-too\n"
    );
}

#[test]
fn a_spoke_uses_shared_zones_and_receives_suggestions_for_others() {
    let dir = tempfile::tempdir().unwrap();
    let config = write(dir.path(), "hub.toml", HUB_AND_SPOKE);
    let names = write(dir.path(), "names", NAMES);
    let output = plustwo(&[
        "audit",
        "--config",
        &config,
        "--names",
        &names,
        "--from",
        "subnet-spoke",
        "--from",
        "subnet-hub",
    ]);
    insta::assert_snapshot!(stdout(&output));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn the_summary_of_the_lab_covers_all_locations() {
    insta::assert_snapshot!(stdout(&plustwo(&["audit", "--summary"])));
}

#[test]
fn a_bundle_verdict_names_the_rows_that_prevent_a_better_one() {
    let mut text = stdout(&plustwo(&["audit", "--bundle", "ecr-pull", "--bundle", "ssm"]));
    text += "\n# list\n";
    text += &stdout(&plustwo(&["audit", "--bundle", "list"]));
    insta::assert_snapshot!(text);
    let broken =
        plustwo(&["audit", "--bundle", "ecr-pull", "--from", "subnet-isolated-a", "--fail-on", "broken"]);
    assert_eq!(broken.status.code(), Some(1));
    let mixed =
        plustwo(&["audit", "--bundle", "ecr-pull", "--from", "subnet-private-a", "--fail-on", "broken"]);
    assert_eq!(mixed.status.code(), Some(0));
}

#[test]
fn json_has_a_stable_structure() {
    let output =
        plustwo(&["audit", "--bundle", "ecr-pull", "--from", "subnet-private-c", "--format", "json"]);
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    insta::assert_json_snapshot!(value);
}

#[test]
fn csv_has_one_line_per_name_and_path() {
    let output = plustwo(&[
        "audit", "--bundle", "ecr-pull", "--from", "10.0.2.7", "--type", "both", "--format", "csv",
    ]);
    insta::assert_snapshot!(stdout(&output).replace("\r\n", "␍␊\n"));
}

#[test]
fn rows_are_selected_by_keywords() {
    let output = plustwo(&[
        "audit",
        "--from",
        "subnet-private-a",
        "--only",
        "interface-endpoint,PRIVATE_DNS_DISABLED",
    ]);
    insta::assert_snapshot!(stdout(&output));
}

/// An instance with a public address has a different path than its subnet, and is shown by its address.
#[test]
fn a_location_within_another_is_shown_by_its_address() {
    let dir = tempfile::tempdir().unwrap();
    let lab = fs::read_to_string("config/lab.toml").unwrap();
    let config = write(
        dir.path(),
        "lab.toml",
        &lab.replace("map_public_ip_on_launch = true", "map_public_ip_on_launch = false"),
    );
    let output = plustwo(&["audit", "--config", &config, "--summary"]);
    let text = stdout(&output);
    assert!(text.contains("subnet-public-a at 10.0.4.10/32 via resolver vpc-lab"), "{text}");
    // If both are equal, only the subnet is shown; network interfaces of endpoints have no clients.
    let text = stdout(&plustwo(&["audit", "--summary"]));
    assert!(!text.contains(" at "), "{text}");
}

#[test]
fn a_table_of_prices_replaces_the_built_in_one() {
    let dir = tempfile::tempdir().unwrap();
    let row = "ap-northeast-1\tnat-gateway\tgb\t0.031\t2026-11-01\tour contract\n";
    let prices = write(dir.path(), "prices.tsv", row);
    let audit = |file: &str| plustwo(&["audit", "--summary", "--from", "subnet-private-c", "--prices", file]);
    let text = stdout(&audit(&prices));
    assert!(text.contains("$0.031 per GB (2026-11-01)") && !text.contains("0.062"), "{text}");
    let wrong = write(dir.path(), "wrong.tsv", &format!("# prices\n{}", row.replace("0.031", "cheap")));
    let output = audit(&wrong);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        stderr(&output),
        format!("plustwo: {wrong}:2:31: invalid price `cheap`: expected US dollars, such as 0.045\n")
    );
}

#[test]
fn invalid_arguments_are_reported_with_status_2() {
    let dir = tempfile::tempdir().unwrap();
    let names = write(dir.path(), "names", "good.example\nbad..example\n");
    let mut described = String::new();
    for arguments in [
        &["--fail-on", "deda"][..],
        &["--fail-on", "NAT_GATEWAY"],
        &["--fail-on", "NAT-Gateway"],
        &["--fail-on", "dead,broken"],
        &["--only", "broken", "--bundle", "ssm"],
        &["--bundle", "ecr-pul"],
        &["--bundle", "everything"],
        &["--from", "subnet-privat-a"],
        &["--from", "the-moon"],
        &["--view", "vpc-other"],
        &["--names", &names],
        &["--names", "no/such/file"],
        &["--prices", "no/such/file"],
        &["--config", "no/such/file.toml"],
        &["--type", "MX"],
    ] {
        let output = plustwo(&[&["audit"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let shown = arguments.join(" ").replace(dir.path().to_str().unwrap(), "DIR");
        let reported = stderr(&output).replace(dir.path().to_str().unwrap(), "DIR");
        described += &format!("$ plustwo audit {shown}\n{reported}\n");
    }
    insta::assert_snapshot!(described);
}

#[test]
fn queries_that_would_be_forwarded_are_noted() {
    let dir = tempfile::tempdir().unwrap();
    let lab = fs::read_to_string("config/lab.toml").unwrap();
    let config = write(
        dir.path(),
        "forward.toml",
        &format!("{lab}\n[internet]\nmode = \"forward\"\nservers = [\"192.0.2.53\"]\n"),
    );
    let names = write(dir.path(), "names", "sqs.ap-northeast-1.amazonaws.com\n");
    let text =
        stdout(&plustwo(&["audit", "--config", &config, "--names", &names, "--from", "subnet-private-a"]));
    assert!(text.ends_with(
        "note Nothing was sent: the sealed internet was used instead of the servers that would be queried.\n"
    ));
}

/// A row equals the explanation of the same name from the same location.
#[test]
fn audit_and_explain_agree() {
    let dir = tempfile::tempdir().unwrap();
    let hub = write(dir.path(), "hub.toml", HUB_AND_SPOKE);
    let names = write(dir.path(), "names", NAMES);
    let lab_names = write(
        dir.path(),
        "lab-names",
        "sqs.ap-northeast-1.amazonaws.com\nqueue.corp.internal\nnope.corp.internal\nerp.office.example\n\
         s3.ap-northeast-1.amazonaws.com\na1b2c3.execute-api.ap-northeast-1.amazonaws.com\n",
    );
    let mut compared = 0;
    for (config, names, places) in [
        (hub.as_str(), names.as_str(), ["subnet-spoke", "subnet-spoke-public", "subnet-hub"]),
        ("config/lab.toml", &lab_names, ["subnet-private-c", "subnet-isolated-a", "site-office"]),
    ] {
        for place in places {
            let common = ["--config", config, "--names", names, "--from", place];
            let audited = plustwo(&[&["audit", "--format", "json"][..], &common].concat());
            let audited: serde_json::Value = serde_json::from_slice(&audited.stdout).unwrap();
            let explained = stdout(&plustwo(&[&["explain", "--json"][..], &common].concat()));
            let rows = audited["groups"][0]["rows"].as_array().unwrap();
            for (row, line) in rows.iter().zip(explained.lines()) {
                let described: serde_json::Value = serde_json::from_str(line).unwrap();
                compared += 1;
                assert_eq!(described["question"]["name"], format!("{}.", row["name"].as_str().unwrap()));
                assert_eq!(described["rcode"], row["rcode"], "{line}");
                assert_eq!(described["decision"]["source"], row["source"], "{line}");
                assert_eq!(described["reasons"], row["reasons"], "{line}");
                assert_eq!(described["missed"], row["missed"], "{line}");
                let paths = row["ways"].as_array().unwrap();
                for answer in
                    described["answers"].as_array().unwrap().iter().filter(|answer| answer["type"] == "A")
                {
                    let has = |path: &&serde_json::Value| {
                        path["addresses"].as_array().unwrap().contains(&answer["data"])
                    };
                    let path = paths.iter().find(has).unwrap_or_else(|| panic!("no path of {answer}: {row}"));
                    for key in ["class", "via", "reach", "reasons"] {
                        assert_eq!(answer["path"][key], path[key], "{key} of {line}");
                    }
                }
            }
        }
    }
    assert_eq!(compared, 3 * 7 + 3 * 6);
}

/// A peering connection is free; cross-zone traffic through it is charged.
#[test]
fn charges_accumulate_along_the_path() {
    let dir = tempfile::tempdir().unwrap();
    let config = write(
        dir.path(),
        "peered.toml",
        r#"
[[vpc]]
id = "vpc-near"
region = "us-east-1"
cidr = ["10.0.0.0/16"]
subnet = [{ id = "subnet-near", cidr = "10.0.1.0/24", availability_zone = "us-east-1a", route_table = "rtb-near" }]
route_table = [{ id = "rtb-near", routes = [{ destination = "10.1.0.0/16", target = "pcx-1" }, { destination = "10.2.0.0/16", target = "tgw-1" }] }]

[[vpc]]
id = "vpc-far"
region = "us-east-1"
cidr = ["10.1.0.0/16"]
subnet = [
  { id = "subnet-same-zone", cidr = "10.1.1.0/24", availability_zone = "us-east-1a", route_table = "rtb-far" },
  { id = "subnet-other-zone", cidr = "10.1.2.0/24", availability_zone = "us-east-1b", route_table = "rtb-far" },
]
route_table = [{ id = "rtb-far", routes = [{ destination = "10.0.0.0/16", target = "pcx-1" }] }]

[[vpc_peering_connection]]
id = "pcx-1"
requester = { vpc = "vpc-near" }
accepter = { vpc = "vpc-far" }

[[public]]
name = "same.example.com"
type = "A"
values = ["10.1.1.10"]

[[public]]
name = "other.example.com"
type = "A"
values = ["10.1.2.10"]

[[public]]
name = "undeclared.example.com"
type = "A"
values = ["10.2.0.1"]

[[public]]
name = "nowhere.example.com"
type = "A"
values = ["198.51.100.1"]
"#,
    );
    let names = "same.example.com\nother.example.com\nundeclared.example.com\nnowhere.example.com\n";
    let names = write(dir.path(), "names", names);
    let output = plustwo(&["audit", "--config", &config, "--names", &names, "--from", "subnet-near"]);
    insta::assert_snapshot!(stdout(&output) + &stderr(&output));
}

/// The charges for given names from a location of a network.
fn charges_for(network: &str, from: &str, names: &[(&str, &str)]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let records = names.iter().map(|(name, address)| {
        format!("[[public]]\nname = \"{name}.example.com\"\ntype = \"A\"\nvalues = [\"{address}\"]\n")
    });
    let config = write(dir.path(), "network.toml", &format!("{network}\n{}", records.collect::<String>()));
    let name_list: String = names.iter().map(|(name, _)| format!("{name}.example.com\n")).collect();
    let names_file = write(dir.path(), "names", &name_list);
    let output =
        plustwo(&["audit", "--config", &config, "--names", &names_file, "--from", from, "--format", "csv"]);
    let text = stdout(&output);
    let lines = text.lines().skip(1).map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        format!("{} {} {}: {}\n", cells[2].trim_end_matches(".example.com"), cells[9], cells[11], cells[15])
    });
    lines.collect::<String>() + &stderr(&output)
}

/// Within a VPC only traffic to addresses other than those of endpoints is charged for crossing zones.
#[test]
fn cross_zone_traffic_within_a_vpc_is_charged() {
    let network = r#"
[[vpc]]
id = "vpc-1"
region = "us-east-1"
cidr = ["10.0.0.0/16"]
subnet = [
  { id = "subnet-a", cidr = "10.0.1.0/24", availability_zone = "us-east-1a" },
  { id = "subnet-b", cidr = "10.0.2.0/24", availability_zone = "us-east-1b" },
]
route_table = [{ id = "rtb-1", main = true, routes = [{ destination = "198.51.100.0/24", target = "eni-1" }] }]
network_interface = [{ id = "eni-1", subnet = "subnet-b", address = "10.0.2.7", source_dest_check = false }]
endpoint = [{ id = "vpce-kms", type = "Interface", service = "com.amazonaws.us-east-1.kms", network_interfaces = [{ subnet = "subnet-b", address = "10.0.2.10" }] }]
"#;
    let names = [("here", "10.0.1.9"), ("there", "10.0.2.9"), ("endpoint", "10.0.2.10")];
    insta::assert_snapshot!(charges_for(network, "subnet-a", &names), @r"
    here local ok: free
    there local ok: cross-az
    endpoint interface-endpoint ok: interface-endpoint
    ");
}

/// Traffic to a site behind a transit gateway is also charged for the private connection; traffic that a site
/// sends through its own uplink is not charged by AWS.
#[test]
fn a_site_behind_a_transit_gateway_uses_a_private_connection() {
    let network = r#"
[[vpc]]
id = "vpc-1"
region = "us-east-1"
cidr = ["10.0.0.0/16"]
subnet = [{ id = "subnet-a", cidr = "10.0.1.0/24", availability_zone = "us-east-1a" }]
route_table = [{ id = "rtb-1", main = true, routes = [{ destination = "0.0.0.0/0", target = "tgw-1" }] }]

[[transit_gateway]]
id = "tgw-1"
vpc_attachment = [{ id = "tgw-attach-1", vpc = "vpc-1", subnets = ["subnet-a"] }]
attachment = [{ id = "tgw-attach-2", site = "site-1" }]
route_table = [{ id = "tgw-rtb-1", associations = ["tgw-attach-1", "tgw-attach-2"], propagations = ["tgw-attach-1", "tgw-attach-2"], routes = [{ destination = "0.0.0.0/0", attachment = "tgw-attach-2" }] }]

[[site]]
id = "site-1"
cidr = ["192.168.0.0/24"]
internet = true
links = [{ target = "tgw-1" }]
"#;
    let names = [("site", "192.168.0.9"), ("uplink", "8.8.8.8"), ("vpc", "10.0.1.9")];
    insta::assert_snapshot!(charges_for(network, "subnet-a", &names), @r"
    site transit-gateway ok: transit-gateway + private-connection
    uplink transit-gateway ok: transit-gateway + private-connection
    vpc local ok: free
    ");
    insta::assert_snapshot!(charges_for(network, "site-1", &names), @r"
    site on-premises ok: -
    uplink internet ok: -
    vpc transit-gateway ok: transit-gateway + private-connection
    ");
}

/// Regions in China are reached through the internet.
#[test]
fn traffic_to_china_is_charged_like_internet_traffic() {
    let network = r#"
[[vpc]]
id = "vpc-1"
region = "us-east-1"
cidr = ["10.0.0.0/16"]
internet_gateway = "igw-1"
subnet = [{ id = "subnet-a", cidr = "10.0.1.0/24", availability_zone = "us-east-1a", map_public_ip_on_launch = true }]
route_table = [{ id = "rtb-1", main = true, routes = [{ destination = "0.0.0.0/0", target = "igw-1" }] }]
"#;
    let names = [("beijing", "54.222.66.10"), ("tokyo", "52.219.195.254"), ("virginia", "52.216.0.9")];
    insta::assert_snapshot!(charges_for(network, "subnet-a", &names), @r"
    beijing internet-gateway ok: public-ipv4 + internet-out
    tokyo internet-gateway ok: public-ipv4 + cross-region
    virginia internet-gateway ok: public-ipv4
    ");
}

/// An audit that has nothing to query reports the reason and succeeds.
#[test]
fn a_network_without_locations_is_noted() {
    let dir = tempfile::tempdir().unwrap();
    let empty = write(dir.path(), "empty.toml", "");
    let site = write(dir.path(), "site.toml", "[[site]]\nid = \"site-1\"\ncidr = [\"10.0.0.0/8\"]\n");
    let described = [&empty, &site].map(|config| {
        let output = plustwo(&["audit", "--config", config, "--fail-on", "public"]);
        assert_eq!(output.status.code(), Some(0));
        stdout(&output)
    });
    insta::assert_snapshot!(described.join(""), @r"
    note No clients: the configuration has no subnets and no sites.
    site-1 via resolver public
       none

    note No names: the configuration has no VPC, and therefore no region.
    ");
}

/// The tables of public names do not cover regions in China: those names are unknown, not broken.
#[test]
fn public_names_of_china_are_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let network = r#"
[[vpc]]
id = "vpc-1"
region = "cn-north-1"
cidr = ["10.0.0.0/16"]
subnet = [{ id = "subnet-1", cidr = "10.0.1.0/24", availability_zone = "cn-north-1a" }]
route_table = [{ id = "rtb-1", main = true }]
"#;
    let config = write(dir.path(), "china.toml", network);
    let output = plustwo(&["audit", "--config", &config, "--bundle", "ssm"]);
    insta::assert_snapshot!(stdout(&output) + &stderr(&output), @r"
    subnet-1 via resolver vpc-1
          3  no-address unknown

      ssm  unknown  ssm.cn-north-1.amazonaws.com.cn is unknown
                    ssmmessages.cn-north-1.amazonaws.com.cn is unknown
                    ec2messages.cn-north-1.amazonaws.com.cn is unknown

                  name                                     answered by  path         reach    cost
      no-address  ssm.cn-north-1.amazonaws.com.cn          public       not queried  unknown  -
      no-address  ssmmessages.cn-north-1.amazonaws.com.cn  public       not queried  unknown  -
      no-address  ec2messages.cn-north-1.amazonaws.com.cn  public       not queried  unknown  -

    note Public names of regions in China are in no table: their addresses are unknown.
    ");
}

/// A synthesised address is not public, but its traffic reaches the internet through a NAT gateway with a
/// public address.
#[test]
fn a_synthesised_public_address_is_public() {
    let dir = tempfile::tempdir().unwrap();
    let network = r#"
[[vpc]]
id = "vpc-1"
region = "us-east-1"
cidr = ["10.0.0.0/16", "2001:db8:1::/56"]
internet_gateway = "igw-1"
nat_gateway = [{ id = "nat-1", subnet = "subnet-public" }]
subnet = [
  { id = "subnet-6", ipv6_cidr = "2001:db8:1:1::/64", availability_zone = "us-east-1a", enable_dns64 = true },
  { id = "subnet-public", cidr = "10.0.4.0/24", availability_zone = "us-east-1a", route_table = "rtb-public" },
]
route_table = [
  { id = "rtb-6", main = true, routes = [{ destination = "64:ff9b::/96", target = "nat-1" }] },
  { id = "rtb-public", routes = [{ destination = "0.0.0.0/0", target = "igw-1" }] },
]

[[public]]
name = "www.example.com"
type = "A"
values = ["93.184.216.34"]
"#;
    let config = write(dir.path(), "dns64.toml", network);
    let names = write(dir.path(), "names", "www.example.com\n");
    let output =
        plustwo(&["audit", "--config", &config, "--names", &names, "--from", "subnet-6", "--type", "AAAA"]);
    let row = stdout(&output).lines().find(|line| line.contains("www.example.com")).map(str::to_owned);
    let described: Vec<String> = row.unwrap().split("  ").map(|cell| cell.trim().to_owned()).collect();
    let described: Vec<&String> = described.iter().filter(|cell| !cell.is_empty()).collect();
    assert_eq!(described[..2], ["public", "www.example.com"]);
    assert!(described.contains(&&"nat-gateway + public-ipv4 + internet-out".to_owned()), "{described:?}");
}
