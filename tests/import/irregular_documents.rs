//! Documents in the forms that other tools, shells and incomplete exports produce.

use std::fs;
use std::path::Path;

use plustwo::import::{ImportOptions, Imported, import};

use super::common::process::{plustwo, stdout};
use super::{compile_world, import_errors, import_valid, write_documents};

/// A VPC with a subnet.
const VPC: &str = r#"{"Vpcs": [{"VpcId": "vpc-a", "CidrBlock": "10.0.0.0/16", "OwnerId": "111122223333"}]}
{"Subnets": [{"SubnetId": "subnet-a", "VpcId": "vpc-a", "CidrBlock": "10.0.0.0/24", "AvailabilityZone": "eu-west-1a"}]}
"#;

/// Its main route table, whose targets are in no document.
const TABLES: &str = r#"{"RouteTables": [
  {"RouteTableId": "rtb-a", "VpcId": "vpc-a", "Associations": [{"Main": true}], "Routes": [
    {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-a", "State": "active"},
    {"DestinationCidrBlock": "192.0.2.0/24", "NatGatewayId": "nat-gone", "State": "active"}]}]}
"#;

/// Imports valid documents, whose configuration must compile.
fn valid_import(documents: &[(&str, &str)]) -> Imported {
    let imported = import_valid(write_documents(documents).path());
    let (world, diagnostics) = compile_world(&imported);
    assert!(world.is_some(), "{diagnostics}\n{}", imported.text);
    imported
}

/// Returns the locations and messages of unsupported objects and features.
fn unsupported(documents: &[(&str, &str)]) -> Vec<String> {
    let imported = import_valid(write_documents(documents).path());
    let entries = imported.report.unsupported.iter();
    entries.map(|one| format!("{}: {}", one.location.as_deref().unwrap_or_default(), one.message)).collect()
}

fn utf_16(text: &str) -> Vec<u8> {
    std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

#[test]
fn utf_16_with_crlf_is_read() {
    let dir = write_documents(&[("tables.json", TABLES)]);
    fs::write(dir.path().join("vpc.json"), utf_16(&VPC.replace('\n', "\r\n"))).unwrap();
    assert!(import_valid(dir.path()).text.contains("id = \"subnet-a\""));
    fs::write(dir.path().join("vpc.json"), utf_16("{\"Vpcs\": [\r\n  {]}")).unwrap();
    let imported = import(dir.path(), &ImportOptions::default()).unwrap();
    let loaded = imported.load(Path::new("damaged"));
    assert!(loaded.report.render(&loaded.sources).contains("vpc.json:2:4: error[unreadable-file]"));
}

#[test]
fn invalid_text_is_reported_with_its_location() {
    let dir = write_documents(&[("vpc.json", VPC)]);
    fs::write(dir.path().join("cut.json"), b"{\n  \"Vpcs\": \"\xc3").unwrap();
    fs::write(dir.path().join("drawing.png"), b"\x89PNG").unwrap();
    let imported = import(dir.path(), &ImportOptions::default()).unwrap();
    let loaded = imported.load(Path::new("damaged"));
    let errors = loaded.report.render(&loaded.sources);
    assert!(
        errors.contains("cut.json:2:12: error[unreadable-file]: invalid UTF-8 or UTF-16 text"),
        "{errors}"
    );
    assert!(!errors.contains("drawing"), "{errors}");
}

#[test]
fn pages_are_read_in_natural_order_of_file_names() {
    let page = |number: usize, more: &str| {
        format!(
            r#"{{"Subnets": [{{"SubnetId": "subnet-{number}", "VpcId": "vpc-a", "CidrBlock": "10.0.{number}.0/24",
               "AvailabilityZone": "eu-west-1a"}}]{more}}}"#
        )
    };
    let more = r#", "NextToken": "more""#;
    let [one, two, ten] = [page(1, more), page(2, more), page(10, "")];
    let pages = [("s-1.json", one.as_str()), ("s-2.json", &two), ("s-10.json", &ten), ("vpc/v.json", VPC)];
    assert_eq!(import_valid(write_documents(&pages).path()).report.read["Subnets"].converted, 4);
    let errors = import_errors(&[("s-1.json", &one), ("s-2.json", &two), ("vpc/v.json", VPC)]);
    assert!(
        errors.contains("s-2.json:2:65: error[unreadable-file]: incomplete list of `Subnets`"),
        "{errors}"
    );
}

/// Output of boto3 without a paginator: the first page of a zone, between the complete output for other
/// zones.
#[test]
fn an_incomplete_zone_is_reported_until_its_next_page_is_added() {
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
    let complete = r#""IsTruncated": false, "MaxItems": "300""#;
    let truncated = r#""IsTruncated": true, "NextRecordName": "m.b.example.", "NextRecordType": "A""#;
    let [a, b, c] = ["a", "b", "c"]
        .map(|letter| zone(&format!("Z0000000{}", letter.to_uppercase()), &format!("{letter}.example")));
    let [of_a, of_c] = ["x.a.example", "x.c.example"].map(|name| records(name, complete));
    let (of_b, rest) = (records("a.b.example", truncated), records("m.b.example", complete));
    let mut documents = vec![
        ("v.json", VPC),
        ("Z0000000A.json", &a),
        ("Z0000000B.json", &b),
        ("Z0000000C.json", &c),
        ("Z0000000A-records.json", &of_a),
        ("Z0000000B-records.json", &of_b),
        ("Z0000000C-records.json", &of_c),
    ];
    let errors = import_errors(&documents);
    assert!(errors.contains("Z0000000B-records.json:2:"), "{errors}");
    documents.push(("next-page/Z0000000B.json", &rest));
    assert_eq!(
        import_valid(write_documents(&documents).path()).report.read["ResourceRecordSets"].converted,
        4
    );
}

#[test]
fn incomplete_output_of_unused_commands_is_not_an_error() {
    let history = r#"{"HistoryRecords": [{"EventType": "error"}], "NextToken": "more", "StartTime": 1}"#;
    let messages = unsupported(&[("v.json", VPC), ("history.json", history)]);
    assert_eq!(messages, ["history.json:1:21: documents with the key `HistoryRecords` are not supported"]);
}

#[test]
fn output_of_unknown_commands_is_reported_once_per_document() {
    let service = r#"{"arn": "arn:aws:x", "createdAt": "2023", "dnsEntry": {"domainName": "x"}, "id": "svc-1", "name": "x"}"#;
    let messages = unsupported(&[
        ("v.json", VPC),
        ("service.json", service),
        ("empty.json", r#"{"items": [], "Errors": []}"#),
        ("meta.json", r#"{"ResponseMetadata": {"RetryAttempts": 0}}"#),
        ("query.json", r#"[{"VpcId": "vpc-a", "Cidr": "10.0.0.0/16"}]"#),
    ]);
    assert_eq!(
        messages,
        [
            "meta.json:1:1: document without objects",
            "query.json:1:2: lists without a key, as printed with `--query`, are not supported (`Cidr`)",
            "service.json:1:1: documents with the keys `arn`, `createdAt`, `dnsEntry`, `id`, … are not supported",
        ]
    );
    let errors = import_errors(&[("v.json", VPC), ("ids.json", r#"["vpc-a", "vpc-b"]"#)]);
    assert!(errors.contains("ids.json:1:2: error[unreadable-file]: expected a JSON object"), "{errors}");
    assert!(errors.contains("without `--query`"), "{errors}");
}

#[test]
fn error_output_after_a_document_is_reported() {
    let page = r#"{"InternetGateways": null}
An error occurred (RequestLimitExceeded) when calling the DescribeInternetGateways operation: Request limit exceeded.
"#;
    let errors = import_errors(&[("v.json", VPC), ("igw.json", page)]);
    assert!(errors.contains("igw.json:2:1: error[unreadable-file]: output of a failed command"), "{errors}");
    assert!(errors.contains("AWS_RETRY_MODE"), "{errors}");
    import_valid(write_documents(&[("v.json", VPC), ("igw.json", &page[..27])]).path());
}

#[test]
fn forms_of_old_aws_examples_are_read() {
    let options = r#"{"DhcpOptions": [{"DhcpOptionsId": "dopt-a", "DhcpConfigurations": [
        {"Key": "domain-name-servers", "Values": ["10.0.0.53", {"Value": "10.0.0.54"}]}]}]}"#;
    let vpc = r#"{"Vpcs": {"VpcId": "vpc-a", "DhcpOptionsId": "dopt-a", "CidrBlockAssociations": [
        {"CidrBlock": "10.0.0.0/16", "CidrBlockState": {"State": "associated"}}]}}
        {"Vpcs": [{"VpcId": "vpc-old", "ClassicLinkEnabled": true, "Tags": [{"Key": "Name", "Value": "old"}]}]}"#;
    let dir = write_documents(&[("eu-west-1/v.json", vpc), ("d.json", options)]);
    let imported = import_valid(dir.path());
    assert!(imported.text.contains("cidr = [\"10.0.0.0/16\"]"), "{}", imported.text);
    assert!(
        imported.report.to_string().contains("query 10.0.0.53, 10.0.0.54 instead of"),
        "{}",
        imported.report
    );
    let summary = &imported.report.read["Vpcs"];
    assert_eq!((summary.converted, summary.skipped["no document contains its CIDR blocks"]), (1, 1));
}

#[test]
fn documents_of_one_object_are_merged() {
    let side = |requester: &str, accepter: &str| {
        format!(
            r#"{{"VpcPeeringConnections": [{{"VpcPeeringConnectionId": "pcx-a", "Status": {{"Code": "active"}},
                "RequesterVpcInfo": {{"VpcId": "vpc-a"{requester}}}, "AccepterVpcInfo": {{"VpcId": "vpc-b"{accepter}}}}}]}}"#
        )
    };
    let allows = r#", "PeeringOptions": {"AllowDnsResolutionFromRemoteVpc": true}"#;
    let other = VPC.replace("vpc-a", "vpc-b").replace("subnet-a", "subnet-b").replace("10.0.", "10.1.");
    let (requester, accepter) = (side(allows, ""), side("", allows));
    let documents =
        [("v.json", VPC), ("w.json", &other), ("requester.json", &requester), ("accepter.json", &accepter)];
    let imported = import_valid(write_documents(&documents).path());
    assert_eq!(
        imported.text.matches("allow_dns_resolution_from_remote_vpc = true").count(),
        2,
        "{}",
        imported.text
    );
    assert!(imported.report.unsupported.is_empty(), "{}", imported.report);
}

#[test]
fn conflicting_documents_are_reported() {
    let changed = VPC.replace("10.0.0.0/24", "10.0.7.0/24");
    let messages = unsupported(&[("a.json", VPC), ("b.json", VPC), ("changed.json", &changed)]);
    assert_eq!(
        messages,
        ["changed.json:2:14: subnet-a: conflicting `CidrBlock` in two documents: the longer object is used"]
    );
}

/// AWS may add values. An unknown value must not fail the import of the whole directory.
#[test]
fn unknown_route_states_and_origins_are_reported() {
    let tables = TABLES.replacen(r#""State": "active"}"#, r#""State": "paused", "Origin": "CopyRoute"}"#, 1);
    let tables = tables.replace(r#""nat-gone", "State": "active""#, r#""nat-gone", "State": "blackhole""#);
    let documents = [("v.json", VPC), ("tables.json", tables.as_str())];
    let messages = unsupported(&documents);
    assert_eq!(
        messages,
        [
            "tables.json:2:3: rtb-a: unknown origin `CopyRoute` of the route to 0.0.0.0/0 is treated as `CreateRoute`",
            "tables.json:2:3: rtb-a: unknown state `paused` of the route to 0.0.0.0/0 is ignored",
        ]
    );
    let text = valid_import(&documents).text;
    assert!(text.contains(r#"{ destination = "0.0.0.0/0", target = "igw-a" }"#), "{text}");
}

/// Some commands may have been restricted to a part of the network, or may have failed.
#[test]
fn references_to_missing_objects_are_reported_without_errors() {
    let references = r#"
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
    let imported = valid_import(&[("v.json", VPC), ("tables.json", TABLES), ("references.json", references)]);
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
    let report = report_without_route_tables();
    assert!(report.contains("--filters Name=vpc-id,Values=vpc-a"), "{report}");
}

/// Returns the report of an import whose route tables belong to another VPC.
fn report_without_route_tables() -> String {
    let other_tables = r#"{"RouteTables": [{"RouteTableId": "rtb-b", "VpcId": "vpc-b"}]}"#;
    import_valid(write_documents(&[("v.json", VPC), ("tables.json", other_tables)]).path()).report.to_string()
}

/// Both gateways of a peering list an attachment with the same ID, but with different associations.
#[test]
fn both_sides_of_a_transit_gateway_peering_are_converted() {
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
    let (first, second) =
        (side("a", "b", "10.1.0.0/16", "10.2.0.0/16"), side("b", "a", "10.2.0.0/16", "10.1.0.0/16"));
    // Add Availability Zones to the subnets.
    let with_zone = |text: &str, zone: &str| {
        text.replace("\"SubnetId\"", &format!("\"AvailabilityZone\": \"{zone}\", \"SubnetId\""))
    };
    let (first, second) = (with_zone(&first, "eu-west-1a"), with_zone(&second, "us-east-1a"));
    let dir = write_documents(&[("eu-west-1/all.json", &first), ("us-east-1/all.json", &second)]);
    let imported = import_valid(dir.path());
    assert_eq!(imported.text.matches("id = \"tgw-attach-between\"").count(), 2, "{}", imported.text);
    assert!(imported.report.unsupported.is_empty(), "{}", imported.report);
    let explain = ["explain", "--json", "--address", "10.2.0.9", "--from", "subnet-a", "--config"];
    let output = plustwo(&[&explain[..], &[dir.path().to_str().unwrap()]].concat());
    let explanation: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(explanation["path"]["via"], serde_json::json!(["tgw-a", "tgw-b"]), "{explanation}");
    assert_eq!(explanation["path"]["reach"], "ok", "{explanation}");
}

/// Some AWS-managed prefix lists have the same ID in two regions.
#[test]
fn prefix_lists_with_the_same_id_are_distinguished_by_region() {
    let export = |region: &str, cidr: &str| {
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
    let (south, north) = (export("ap-south-1", "192.0.2.0/25"), export("eu-north-1", "192.0.2.128/25"));
    let imported = valid_import(&[("ap-south-1/all.json", &south), ("eu-north-1/all.json", &north)]);
    assert_eq!(imported.report.read["PrefixLists"].converted, 2, "{}", imported.report);
    for (region, cidr) in [("ap-south-1", "192.0.2.0/25"), ("eu-north-1", "192.0.2.128/25")] {
        let expected =
            format!("region = \"{region}\"\nname = \"com.amazonaws.{region}.s3\"\nentries = [\"{cidr}\"]");
        assert!(imported.text.contains(&expected), "{}", imported.text);
    }
}

/// `list-hosted-zones-by-vpc` also lists the zones that AWS services create. Converted without their records,
/// these zones would hide the names that they serve.
#[test]
fn hosted_zones_of_services_are_not_converted() {
    let zones = r#"{"VpcId": "vpc-a", "HostedZoneSummaries": [
  {"HostedZoneId": "Z0000000ENDPOINT", "Name": "sqs.eu-west-1.amazonaws.com.", "Owner": {"OwningService": "vpce.amazonaws.com"}},
  {"HostedZoneId": "Z00000000000FILE", "Name": "fs-1.efs.eu-west-1.amazonaws.com.", "Owner": {"OwningService": "efs.amazonaws.com"}},
  {"HostedZoneId": "Z0000000000OTHER", "Name": "corp.example.", "Owner": {"OwningAccount": "444455556666"}}]}"#;
    let imported = import_valid(write_documents(&[("v.json", VPC), ("zones.json", zones)]).path());
    assert_eq!(imported.text.matches("[[hosted_zone]]").count(), 1, "{}", imported.text);
    let summary = &imported.report.read["HostedZones"];
    assert_eq!((summary.converted, summary.unsupported, summary.total()), (1, 1, 3));
    let report = imported.report.to_string();
    assert!(
        report.contains("efs.amazonaws.com owns hosted zone fs-1.efs.eu-west-1.amazonaws.com"),
        "{report}"
    );
}
