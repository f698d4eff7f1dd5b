//! Documents as other tools, other shells and half-made exports leave them.

use std::fs;
use std::path::Path;

use plustwo::import::{Imported, ImportOptions, import};

use super::common::process::{plustwo, stdout};
use super::{imported, refused, world, written};

/// A VPC with a subnet, and its main route table.
const VPC: &str = r#"{"Vpcs": [{"VpcId": "vpc-a", "CidrBlock": "10.0.0.0/16", "OwnerId": "111122223333"}]}
{"Subnets": [{"SubnetId": "subnet-a", "VpcId": "vpc-a", "CidrBlock": "10.0.0.0/24", "AvailabilityZone": "eu-west-1a"}]}
"#;

const TABLES: &str = r#"{"RouteTables": [
  {"RouteTableId": "rtb-a", "VpcId": "vpc-a", "Associations": [{"Main": true}], "Routes": [
    {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-a", "State": "active"},
    {"DestinationCidrBlock": "192.0.2.0/24", "NatGatewayId": "nat-gone", "State": "active"}]}]}
"#;

/// Imports documents that are good, and whose configuration is.
fn good(documents: &[(&str, &str)]) -> Imported {
    let imported = imported(written(documents).path());
    let (world, told) = world(&imported);
    assert!(world.is_some(), "{told}\n{}", imported.text);
    imported
}

/// What is told of documents as not understood.
fn not_understood(documents: &[(&str, &str)]) -> Vec<String> {
    let imported = imported(written(documents).path());
    let told = imported.report.unsupported.iter();
    told.map(|one| format!("{}: {}", one.location.as_deref().unwrap_or_default(), one.message)).collect()
}

fn utf_16(text: &str) -> Vec<u8> {
    std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

#[test]
fn a_document_in_the_encoding_of_windows_is_read() {
    let dir = written(&[("tables.json", TABLES)]);
    fs::write(dir.path().join("vpc.json"), utf_16(&VPC.replace('\n', "\r\n"))).unwrap();
    assert!(imported(dir.path()).text.contains("id = \"subnet-a\""));
    fs::write(dir.path().join("vpc.json"), utf_16("{\"Vpcs\": [\r\n  {]}")).unwrap();
    let told = import(dir.path(), &ImportOptions::default()).unwrap();
    let loaded = told.load(Path::new("damaged"));
    assert!(loaded.report.render(&loaded.sources).contains("vpc.json:2:4: error[unreadable-file]"));
}

#[test]
fn what_is_no_text_is_told_where_it_begins() {
    let dir = written(&[("vpc.json", VPC)]);
    fs::write(dir.path().join("cut.json"), b"{\n  \"Vpcs\": \"\xc3").unwrap();
    fs::write(dir.path().join("drawing.png"), b"\x89PNG").unwrap();
    let told = import(dir.path(), &ImportOptions::default()).unwrap();
    let loaded = told.load(Path::new("damaged"));
    let told = loaded.report.render(&loaded.sources);
    assert!(told.contains("cut.json:2:12: error[unreadable-file]: invalid UTF-8 or UTF-16 text"), "{told}");
    assert!(!told.contains("drawing"), "{told}");
}

#[test]
fn pages_follow_each_other_as_people_count() {
    let page = |number: usize, more: &str| {
        format!(
            r#"{{"Subnets": [{{"SubnetId": "subnet-{number}", "VpcId": "vpc-a", "CidrBlock": "10.0.{number}.0/24",
               "AvailabilityZone": "eu-west-1a"}}]{more}}}"#
        )
    };
    let more = r#", "NextToken": "more""#;
    let [one, two, ten] = [page(1, more), page(2, more), page(10, "")];
    let pages = [("s-1.json", one.as_str()), ("s-2.json", &two), ("s-10.json", &ten), ("vpc/v.json", VPC)];
    assert_eq!(imported(written(&pages).path()).report.read["Subnets"].converted, 4);
    let told = refused(&[("s-1.json", &one), ("s-2.json", &two), ("vpc/v.json", VPC)]);
    assert!(told.contains("s-2.json:2:65: error[unreadable-file]: there is more than this page"), "{told}");
}

/// What boto3 gives without a paginator: the first records of a zone, between the whole answers of other zones.
#[test]
fn a_page_of_records_waits_for_the_name_that_it_tells() {
    let zone = |id: &str, name: &str| {
        format!(
            r#"{{"HostedZone": {{"Id": "/hostedzone/{id}", "Name": "{name}.", "Config": {{"PrivateZone": true}}}},
                    "VPCs": [{{"VPCId": "vpc-a"}}]}}"#
        )
    };
    let records = |name: &str, more: &str| {
        format!(
            r#"{{"ResourceRecordSets": [{{"Name": "{name}.", "Type": "A", "TTL": 1,
                    "ResourceRecords": [{{"Value": "10.0.0.1"}}]}}], {more}}}"#
        )
    };
    let whole = r#""IsTruncated": false, "MaxItems": "300""#;
    let cut = r#""IsTruncated": true, "NextRecordName": "m.b.example.", "NextRecordType": "A""#;
    let [a, b, c] = ["a", "b", "c"]
        .map(|letter| zone(&format!("Z0000000{}", letter.to_uppercase()), &format!("{letter}.example")));
    let [of_a, of_c] = ["x.a.example", "x.c.example"].map(|name| records(name, whole));
    let (of_b, rest) = (records("a.b.example", cut), records("m.b.example", whole));
    let mut documents = vec![
        ("v.json", VPC),
        ("Z0000000A.json", &a),
        ("Z0000000B.json", &b),
        ("Z0000000C.json", &c),
        ("Z0000000A-records.json", &of_a),
        ("Z0000000B-records.json", &of_b),
        ("Z0000000C-records.json", &of_c),
    ];
    let told = refused(&documents);
    assert!(told.contains("Z0000000B-records.json:2:"), "{told}");
    documents.push(("again/Z0000000B.json", &rest));
    assert_eq!(imported(written(&documents).path()).report.read["ResourceRecordSets"].converted, 4);
}

#[test]
fn what_changes_no_answer_may_be_cut() {
    let history = r#"{"HistoryRecords": [{"EventType": "error"}], "NextToken": "more", "StartTime": 1}"#;
    let told = not_understood(&[("v.json", VPC), ("history.json", history)]);
    assert_eq!(told, ["history.json:1:21: a document with the key `HistoryRecords` is not read"]);
}

#[test]
fn answers_of_other_calls_are_one_thing_each() {
    let service = r#"{"arn": "arn:aws:x", "createdAt": "2023", "dnsEntry": {"domainName": "x"}, "id": "svc-1", "name": "x"}"#;
    let told = not_understood(&[
        ("v.json", VPC),
        ("service.json", service),
        ("empty.json", r#"{"items": [], "Errors": []}"#),
        ("meta.json", r#"{"ResponseMetadata": {"RetryAttempts": 0}}"#),
        ("query.json", r#"[{"VpcId": "vpc-a", "Cidr": "10.0.0.0/16"}]"#),
    ]);
    assert_eq!(
        told,
        [
            "meta.json:1:1: document without objects",
            "query.json:1:2: an object of a list without its key, as `--query` leaves it, is not read (`Cidr`)",
            "service.json:1:1: a document with the keys `arn`, `createdAt`, `dnsEntry`, `id`, … is not read",
        ]
    );
    let told = refused(&[("v.json", VPC), ("ids.json", r#"["vpc-a", "vpc-b"]"#)]);
    assert!(told.contains("ids.json:1:2: error[unreadable-file]: a document is an object"), "{told}");
    assert!(told.contains("without `--query`"), "{told}");
}

#[test]
fn an_error_behind_a_document_is_told_as_one() {
    let page = r#"{"InternetGateways": null}
An error occurred (RequestLimitExceeded) when calling the DescribeInternetGateways operation: Request limit exceeded.
"#;
    let told = refused(&[("v.json", VPC), ("igw.json", page)]);
    assert!(told.contains("igw.json:2:1: error[unreadable-file]: this is an error's text"), "{told}");
    assert!(told.contains("AWS_RETRY_MODE"), "{told}");
    imported(written(&[("v.json", VPC), ("igw.json", &page[..27])]).path());
}

#[test]
fn old_examples_forms_are_read() {
    let options = r#"{"DhcpOptions": [{"DhcpOptionsId": "dopt-a", "DhcpConfigurations": [
        {"Key": "domain-name-servers", "Values": ["10.0.0.53", {"Value": "10.0.0.54"}]}]}]}"#;
    let vpc = r#"{"Vpcs": {"VpcId": "vpc-a", "DhcpOptionsId": "dopt-a", "CidrBlockAssociations": [
        {"CidrBlock": "10.0.0.0/16", "CidrBlockState": {"State": "associated"}}]}}
        {"Vpcs": [{"VpcId": "vpc-old", "ClassicLinkEnabled": true, "Tags": [{"Key": "Name", "Value": "old"}]}]}"#;
    let dir = written(&[("eu-west-1/v.json", vpc), ("d.json", options)]);
    let imported = imported(dir.path());
    assert!(imported.text.contains("cidr = [\"10.0.0.0/16\"]"), "{}", imported.text);
    assert!(imported.report.to_string().contains("ask 10.0.0.53, 10.0.0.54 and not"), "{}", imported.report);
    let read = &imported.report.read["Vpcs"];
    assert_eq!((read.converted, read.skipped["no document contains its CIDR blocks"]), (1, 1));
}

#[test]
fn two_documents_of_one_object_say_what_either_says() {
    let side = |requester: &str, accepter: &str| {
        format!(
            r#"{{"VpcPeeringConnections": [{{"VpcPeeringConnectionId": "pcx-a", "Status": {{"Code": "active"}},
                "RequesterVpcInfo": {{"VpcId": "vpc-a"{requester}}}, "AccepterVpcInfo": {{"VpcId": "vpc-b"{accepter}}}}}]}}"#
        )
    };
    let allows = r#", "PeeringOptions": {"AllowDnsResolutionFromRemoteVpc": true}"#;
    let other = VPC.replace("vpc-a", "vpc-b").replace("subnet-a", "subnet-b").replace("10.0.", "10.1.");
    let (near, far) = (side(allows, ""), side("", allows));
    let documents = [("v.json", VPC), ("w.json", &other), ("near.json", &near), ("far.json", &far)];
    let imported = imported(written(&documents).path());
    assert_eq!(
        imported.text.matches("allow_dns_resolution_from_remote_vpc = true").count(),
        2,
        "{}",
        imported.text
    );
    assert!(imported.report.unsupported.is_empty(), "{}", imported.report);
}

#[test]
fn documents_that_do_not_agree_are_told() {
    let later = VPC.replace("10.0.0.0/24", "10.0.7.0/24");
    let told = not_understood(&[("a.json", VPC), ("b.json", VPC), ("later.json", &later)]);
    assert_eq!(
        told,
        ["later.json:2:14: subnet-a: two documents do not agree about `CidrBlock`; the longer form holds"]
    );
}

/// AWS may have words that it had not when this was written: one of them is no reason to refuse the whole folder.
#[test]
fn words_of_routes_that_nobody_knows_are_told_and_left_away() {
    let tables = TABLES.replacen(r#""State": "active"}"#, r#""State": "paused", "Origin": "CopyRoute"}"#, 1);
    let tables = tables.replace(r#""nat-gone", "State": "active""#, r#""nat-gone", "State": "blackhole""#);
    let documents = [("v.json", VPC), ("tables.json", tables.as_str())];
    let told = not_understood(&documents);
    assert_eq!(
        told,
        [
            "tables.json:2:3: rtb-a has a route to 0.0.0.0/0 whose origin is CopyRoute, which is taken as written by somebody",
            "tables.json:2:3: rtb-a has a route to 0.0.0.0/0 whose state is paused, which is left away",
        ]
    );
    let text = good(&documents).text;
    assert!(text.contains(r#"{ destination = "0.0.0.0/0", target = "igw-a" }"#), "{text}");
}

/// Of calls that were made for a part, or may not be made: what is missing is told, and the rest is of use.
#[test]
fn what_refers_to_nothing_is_missing_and_no_mistake() {
    let around = r#"
{"InternetGateways": [{"InternetGatewayId": "igw-other", "Attachments": []}]}
{"NatGateways": [{"NatGatewayId": "nat-gone", "VpcId": "vpc-a", "SubnetId": "subnet-a", "State": "deleted"}]}
{"NetworkInterfaces": [{"NetworkInterfaceId": "eni-a", "VpcId": "vpc-a", "SubnetId": "subnet-b", "PrivateIpAddress": "10.0.1.9"}]}
{"Reservations": [{"Instances": [{"InstanceId": "i-a", "VpcId": "vpc-a", "SubnetId": "subnet-b", "PrivateIpAddress": "10.0.1.8"}]}]}
{"VpcEndpoints": []}
{"VpnConnections": [{"VpnConnectionId": "vpn-a", "CustomerGatewayId": "cgw-a", "TransitGatewayId": "tgw-a", "State": "available"}]}
{"ResolverEndpoints": [{"Id": "rslvr-out-b", "Direction": "OUTBOUND", "HostVPCId": "vpc-b"}]}
{"ResolverRules": [{"Id": "rslvr-rr-a", "RuleType": "FORWARD", "DomainName": "corp.example.", "ResolverEndpointId": "rslvr-out-b",
  "TargetIps": [{"Ip": "192.168.0.53", "Port": 53}]}]}
{"ResolverRuleAssociations": [{"Id": "rslvr-rrassoc-a", "ResolverRuleId": "rslvr-rr-a", "VPCId": "vpc-a", "Status": "COMPLETE"}]}
"#;
    let imported = good(&[("v.json", VPC), ("tables.json", TABLES), ("around.json", around)]);
    let calls: Vec<&str> = imported.report.missing.iter().map(|one| one.call.as_str()).collect();
    for call in [
        "aws ec2 describe-internet-gateways --internet-gateway-ids igw-a --region eu-west-1",
        "aws ec2 describe-subnets --subnet-ids subnet-b --region eu-west-1",
        "aws ec2 describe-transit-gateways --transit-gateway-ids tgw-a",
        "aws ec2 describe-vpcs --vpc-ids vpc-b",
    ] {
        assert!(calls.contains(&call), "{call} is not in {calls:#?}");
    }
    assert!(imported.text.contains("target = \"nat-gone\", state = \"blackhole\""), "{}", imported.text);
    let told = imported_without_tables();
    assert!(told.contains("--filters Name=vpc-id,Values=vpc-a"), "{told}");
}

fn imported_without_tables() -> String {
    let of_others = r#"{"RouteTables": [{"RouteTableId": "rtb-b", "VpcId": "vpc-b"}]}"#;
    imported(written(&[("v.json", VPC), ("tables.json", of_others)]).path()).report.to_string()
}

/// Both gateways of a peering have an attachment of one id, each with an association of its own.
#[test]
fn a_peering_of_transit_gateways_has_two_ends() {
    let side = |letter: &str, other: &str, cidr: &str, beyond: &str| {
        format!(
            r#"{{"TransitGateways": [{{"TransitGatewayId": "tgw-{letter}", "State": "available"}}]}}
{{"TransitGatewayAttachments": [
  {{"TransitGatewayAttachmentId": "tgw-attach-between", "TransitGatewayId": "tgw-{letter}", "ResourceType": "peering",
    "ResourceId": "tgw-{other}", "State": "available",
    "Association": {{"TransitGatewayRouteTableId": "tgw-rtb-{letter}", "State": "associated"}}}},
  {{"TransitGatewayAttachmentId": "tgw-attach-{letter}", "TransitGatewayId": "tgw-{letter}", "ResourceType": "vpc",
    "ResourceId": "vpc-{letter}", "State": "available",
    "Association": {{"TransitGatewayRouteTableId": "tgw-rtb-{letter}", "State": "associated"}}}}]}}
{{"TransitGatewayVpcAttachments": [{{"TransitGatewayAttachmentId": "tgw-attach-{letter}", "TransitGatewayId": "tgw-{letter}",
    "VpcId": "vpc-{letter}", "State": "available", "SubnetIds": ["subnet-{letter}"]}}]}}
{{"TransitGatewayPeeringAttachments": [{{"TransitGatewayAttachmentId": "tgw-attach-between", "State": "available",
    "RequesterTgwInfo": {{"TransitGatewayId": "tgw-a"}}, "AccepterTgwInfo": {{"TransitGatewayId": "tgw-b"}}}}]}}
{{"TransitGatewayRouteTables": [{{"TransitGatewayRouteTableId": "tgw-rtb-{letter}", "TransitGatewayId": "tgw-{letter}"}}]}}
{{"TransitGatewayRouteTableId": "tgw-rtb-{letter}", "Routes": [
  {{"DestinationCidrBlock": "{beyond}", "Type": "static", "State": "active",
    "TransitGatewayAttachments": [{{"TransitGatewayAttachmentId": "tgw-attach-between", "ResourceType": "peering"}}]}}]}}
{{"TransitGatewayRouteTableId": "tgw-rtb-{letter}", "TransitGatewayRouteTablePropagations": [
  {{"TransitGatewayAttachmentId": "tgw-attach-{letter}", "State": "enabled"}}]}}
{{"Vpcs": [{{"VpcId": "vpc-{letter}", "CidrBlock": "{cidr}"}}]}}
{{"Subnets": [{{"SubnetId": "subnet-{letter}", "VpcId": "vpc-{letter}", "CidrBlock": "{cidr}"}}]}}
{{"RouteTables": [{{"RouteTableId": "rtb-{letter}", "VpcId": "vpc-{letter}", "Associations": [{{"Main": true}}],
  "Routes": [{{"DestinationCidrBlock": "{beyond}", "TransitGatewayId": "tgw-{letter}", "State": "active"}}]}}]}}"#
        )
    };
    let (near, far) =
        (side("a", "b", "10.1.0.0/16", "10.2.0.0/16"), side("b", "a", "10.2.0.0/16", "10.1.0.0/16"));
    // The subnets do not say their zones.
    let zoned = |text: &str, zone: &str| {
        text.replace("\"SubnetId\"", &format!("\"AvailabilityZone\": \"{zone}\", \"SubnetId\""))
    };
    let (near, far) = (zoned(&near, "eu-west-1a"), zoned(&far, "us-east-1a"));
    let dir = written(&[("eu-west-1/all.json", &near), ("us-east-1/all.json", &far)]);
    let imported = imported(dir.path());
    assert_eq!(imported.text.matches("id = \"tgw-attach-between\"").count(), 2, "{}", imported.text);
    assert!(imported.report.unsupported.is_empty(), "{}", imported.report);
    let explain = ["explain", "--json", "--address", "10.2.0.9", "--from", "subnet-a", "--config"];
    let output = plustwo(&[&explain[..], &[dir.path().to_str().unwrap()]].concat());
    let told: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(told["path"]["via"], serde_json::json!(["tgw-a", "tgw-b"]), "{told}");
    assert_eq!(told["path"]["reach"], "ok", "{told}");
}

/// Some of AWS's own prefix lists have one id in two regions.
#[test]
fn prefix_lists_of_one_id_stay_with_their_regions() {
    let of = |region: &str, cidr: &str| {
        let lists = format!(
            r#"{{"PrefixLists": [{{"PrefixListId": "pl-78a54011", "PrefixListName": "com.amazonaws.{region}.s3",
                "PrefixListArn": "arn:aws:ec2:{region}:aws:prefix-list/pl-78a54011"}}]}}
               {{"PrefixListId": "pl-78a54011", "Entries": [{{"Cidr": "{cidr}"}}]}}"#
        );
        let letter = &region[..1];
        let network =
            VPC.replace("vpc-a", &format!("vpc-{letter}")).replace("subnet-a", &format!("subnet-{letter}"));
        let tables = format!(
            r#"{{"RouteTables": [{{"RouteTableId": "rtb-{letter}", "VpcId": "vpc-{letter}", "Associations": [{{"Main": true}}],
                "Routes": [{{"DestinationPrefixListId": "pl-78a54011", "TransitGatewayId": "tgw-1", "State": "active"}}]}}]}}"#
        );
        format!("{}{tables}{lists}", network.replace("eu-west-1a", &format!("{region}a")))
    };
    let (south, north) = (of("ap-south-1", "192.0.2.0/25"), of("eu-north-1", "192.0.2.128/25"));
    let text = good(&[("ap-south-1/all.json", &south), ("eu-north-1/all.json", &north)]);
    assert_eq!(text.report.read["PrefixLists"].converted, 2, "{}", text.report);
    for (region, cidr) in [("ap-south-1", "192.0.2.0/25"), ("eu-north-1", "192.0.2.128/25")] {
        let wanted =
            format!("region = \"{region}\"\nname = \"com.amazonaws.{region}.s3\"\nentries = [\"{cidr}\"]");
        assert!(text.text.contains(&wanted), "{}", text.text);
    }
}

/// `list-hosted-zones-by-vpc` tells of the zones, too, that services make. They would hide what they are for.
#[test]
fn zones_of_services_are_no_zones_of_records() {
    let zones = r#"{"VpcId": "vpc-a", "HostedZoneSummaries": [
  {"HostedZoneId": "Z0000000ENDPOINT", "Name": "sqs.eu-west-1.amazonaws.com.", "Owner": {"OwningService": "vpce.amazonaws.com"}},
  {"HostedZoneId": "Z00000000000FILE", "Name": "fs-1.efs.eu-west-1.amazonaws.com.", "Owner": {"OwningService": "efs.amazonaws.com"}},
  {"HostedZoneId": "Z0000000000OTHER", "Name": "corp.example.", "Owner": {"OwningAccount": "444455556666"}}]}"#;
    let imported = imported(written(&[("v.json", VPC), ("zones.json", zones)]).path());
    assert_eq!(imported.text.matches("[[hosted_zone]]").count(), 1, "{}", imported.text);
    let read = &imported.report.read["HostedZones"];
    assert_eq!((read.converted, read.unsupported, read.total()), (1, 1, 3));
    let told = imported.report.to_string();
    assert!(told.contains("efs.amazonaws.com owns fs-1.efs.eu-west-1.amazonaws.com"), "{told}");
}
