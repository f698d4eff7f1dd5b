//! Conversion of objects that do not occur in the fixtures.

use plustwo::import::Imported;

use super::common::process::{plustwo, stdout};
use super::{compile_world, import_valid, write_documents};

/// A VPC with IPv6, two subnets, an internet gateway and a virtual private gateway.
const VPC: &str = r#"
{"Vpcs": [{"VpcId": "vpc-a", "CidrBlock": "10.0.0.0/16", "OwnerId": "111122223333",
  "Ipv6CidrBlockAssociationSet": [{"Ipv6CidrBlock": "2001:db8:1::/56"}]}]}
{"Subnets": [
  {"SubnetId": "subnet-a", "VpcId": "vpc-a", "CidrBlock": "10.0.0.0/24", "AvailabilityZone": "eu-west-1a"},
  {"SubnetId": "subnet-b", "VpcId": "vpc-a", "CidrBlock": "10.0.1.0/24", "AvailabilityZone": "eu-west-1b"}]}
{"InternetGateways": [{"InternetGatewayId": "igw-a", "Attachments": [{"VpcId": "vpc-a", "State": "available"}]}]}
{"VpnGateways": [{"VpnGatewayId": "vgw-a", "VpcAttachments": [{"VpcId": "vpc-a", "State": "attached"}]}]}
"#;

/// Imports the VPC with additional documents.
fn import_with(documents: &str) -> Imported {
    let table = if documents.contains("{\"RouteTables\"") { String::new() } else { route_table("") };
    let vpc = format!("{VPC}\n{table}");
    let dir = write_documents(&[("eu-west-1/vpc.json", &vpc), ("eu-west-1/more.json", documents)]);
    import_valid(dir.path())
}

/// Returns a document of a main route table with these routes.
fn route_table(routes: &str) -> String {
    format!(
        r#"{{"RouteTables": [{{"RouteTableId": "rtb-a", "VpcId": "vpc-a", "Associations": [{{"Main": true}}], "Routes": [{routes}]}}]}}"#
    )
}

/// Returns the text of an imported configuration, which must compile.
fn valid_text(imported: &Imported) -> &str {
    let (world, diagnostics) = compile_world(imported);
    assert!(world.is_some(), "{diagnostics}\n{}", imported.text);
    &imported.text
}

/// Returns the messages about unsupported objects and features.
fn unsupported(imported: &Imported) -> String {
    imported.report.unsupported.iter().map(|one| one.message.as_str()).collect::<Vec<_>>().join("\n")
}

#[test]
fn propagated_routes_have_the_protocol_they_were_learnt_by() {
    let table = route_table(
        r#"{"DestinationCidrBlock": "172.16.0.0/16", "GatewayId": "vgw-a", "State": "active",
            "Origin": "EnableVgwRoutePropagation"}"#,
    );
    let vpn = |options: &str, routes: &str| {
        format!(
            r#"{{"VpnConnections": [{{"VpnConnectionId": "vpn-a", "CustomerGatewayId": "cgw-a", "VpnGatewayId": "vgw-a",
                "State": "available", "Options": {options}, "Routes": [{routes}]}}]}}"#
        )
    };
    let (by_bgp, static_only) = (r#"{"StaticRoutesOnly": false}"#, r#"{"StaticRoutesOnly": true}"#);
    let interface = r#"{"virtualInterfaces": [{"virtualInterfaceId": "dxvif-a", "virtualGatewayId": "vgw-a",
        "virtualInterfaceState": "available"}]}"#;
    let association = r#"{"directConnectGatewayAssociations": [{"directConnectGatewayId": "0a1b", "associationState":
        "associated", "associatedGateway": {"id": "vgw-a", "type": "virtualPrivateGateway"}}]}"#;
    let import_route = |more: &str| {
        let imported = import_with(&format!("{table}\n{more}"));
        let text = valid_text(&imported);
        let line = text.lines().find(|line| line.contains("EnableVgwRoutePropagation")).unwrap();
        let value = line.split("learnt_by = \"").nth(1).and_then(|rest| rest.split('"').next());
        (value.map(str::to_owned), unsupported(&imported))
    };
    let learnt_by = |more: &str| import_route(more).0;
    assert_eq!(learnt_by(&vpn(by_bgp, "")), None, "BGP over a VPN is the default");
    assert_eq!(learnt_by(&vpn(static_only, "")).as_deref(), Some("vpn-static"));
    let static_route = r#"{"DestinationCidrBlock": "172.16.0.0/16", "State": "available"}"#;
    assert_eq!(learnt_by(&vpn(static_only, static_route)).as_deref(), Some("vpn-static"));
    assert_eq!(learnt_by(interface).as_deref(), Some("direct-connect"));
    assert_eq!(learnt_by(association).as_deref(), Some("direct-connect"));
    let (both, messages) = import_route(&format!("{association}\n{}", vpn(by_bgp, "")));
    assert_eq!(both.as_deref(), Some("direct-connect"));
    assert!(messages.contains("over Direct Connect or a VPN connection"), "{messages}");
}

#[test]
fn virtual_interfaces_of_a_virtual_private_gateway_become_a_site() {
    let table = route_table(
        r#"{"DestinationCidrBlock": "172.16.0.0/16", "GatewayId": "vgw-a", "State": "active",
            "Origin": "EnableVgwRoutePropagation"}"#,
    );
    // Batfish writes the keys of the Direct Connect API with an initial capital, as in the EC2 API.
    let imported = import_with(&format!(
        r#"{table}{{"VirtualInterfaces": [
            {{"VirtualInterfaceId": "dxvif-a", "VirtualInterfaceName": "office", "VirtualGatewayId": "vgw-a"}},
            {{"VirtualInterfaceId": "dxvif-b", "VirtualGatewayId": "vgw-a"}}]}}"#
    ));
    let site = "# office\n[[site]]\nid = \"site-vgw-a\"\ncidr = [\"172.16.0.0/16\"]\n\
                links = [{ target = \"vgw-a\", vpc = \"vpc-a\" }]";
    assert!(valid_text(&imported).contains(site), "{}", imported.text);
    assert_eq!(imported.report.read["virtualInterfaces"].converted, 2);
}

#[test]
fn a_blackhole_route_without_a_target_is_converted() {
    let imported =
        import_with(&route_table(r#"{"DestinationCidrBlock": "172.16.0.0/16", "State": "blackhole"}"#));
    assert!(valid_text(&imported).contains("{ destination = \"172.16.0.0/16\", state = \"blackhole\" }"));
    let dir = write_documents(&[("imported.toml", &imported.text)]);
    let config = dir.path().join("imported.toml");
    let arguments = ["explain", "--json", "--address", "172.16.1.9", "--from", "subnet-a", "--config"];
    let output = stdout(&plustwo(&[&arguments[..], &[config.to_str().unwrap()]].concat()));
    let explanation: serde_json::Value = serde_json::from_str(&output).unwrap();
    let path = &explanation["path"];
    assert_eq!((&path["class"], &path["reach"]), (&"blackhole".into(), &"dead".into()), "{explanation}");
}

#[test]
fn an_inbound_delegation_endpoint_is_converted() {
    let imported = import_with(
        r#"{"ResolverEndpoints": [{"Id": "rslvr-in-a", "Direction": "INBOUND_DELEGATION", "HostVPCId": "vpc-a"}]}
        {"ResolverEndpointId": "rslvr-in-a", "IpAddresses": [{"Ip": "10.0.0.53"}, {"Ip": "10.0.0.53"}]}"#,
    );
    let endpoint = "id = \"rslvr-in-a\"\ndirection = \"INBOUND_DELEGATION\"\nvpc = \"vpc-a\"\naddresses = [\"10.0.0.53\"]";
    assert!(valid_text(&imported).contains(endpoint), "{}", imported.text);
    assert_eq!(imported.report.read["IpAddresses"].total(), 2);
}

#[test]
fn endpoint_policies_and_states_are_converted() {
    let imported = import_with(
        r#"{"VpcEndpoints": [
          {"VpcEndpointId": "vpce-1", "VpcEndpointType": "Gateway", "VpcId": "vpc-a", "State": "Available",
           "ServiceName": "com.amazonaws.eu-west-1.s3", "IpAddressType": "not-specified",
           "PolicyDocument": "{\"Statement\":[{\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":\"*\",\"Resource\":\"*\"}]}"},
          {"VpcEndpointId": "vpce-2", "VpcEndpointType": "Interface", "VpcId": "vpc-a", "State": "PendingAcceptance",
           "ServiceName": "com.amazonaws.eu-west-1.sqs", "PrivateDnsEnabled": false, "IpAddressType": "dualstack",
           "DnsOptions": {"DnsRecordIpType": "ipv4"},
           "PolicyDocument": "{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"*\",\"Resource\":\"*\"}]}"}]}"#,
    );
    let text = valid_text(&imported);
    assert_eq!(text.matches("policy_document").count(), 1, "{text}");
    assert!(text.contains(r#"policy_document = "{\"Statement\":[{\"Effect\":\"Deny\""#), "{text}");
    assert!(text.contains("state = \"pendingAcceptance\"") && !text.contains("not-specified"), "{text}");
    assert!(text.contains("ip_address_type = \"dualstack\"\ndns_record_ip_type = \"ipv4\""), "{text}");
}

#[test]
fn private_dns_of_an_endpoint_implies_both_dns_attributes() {
    let imported = import_with(
        r#"{"VpcEndpoints": [{"VpcEndpointId": "vpce-1", "VpcEndpointType": "Interface", "VpcId": "vpc-a",
          "State": "available", "ServiceName": "com.amazonaws.eu-west-1.sqs", "PrivateDnsEnabled": true}]}"#,
    );
    assert!(valid_text(&imported).contains("enable_dns_support = true\nenable_dns_hostnames = true"));
    let is_reported = imported
        .report
        .missing
        .iter()
        .any(|one| one.what.contains("true, since endpoint vpce-1 has private DNS"));
    assert!(is_reported, "{}", imported.report);
}

#[test]
fn security_groups_and_network_acls_are_converted() {
    let imported = import_with(
        r#"{"SecurityGroups": [
          {"GroupId": "sg-open", "VpcId": "vpc-a", "IpPermissions": [],
           "IpPermissionsEgress": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}], "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}]},
          {"GroupId": "sg-shut", "VpcId": "vpc-a", "IpPermissions": [], "IpPermissionsEgress": []},
          {"GroupId": "sg-old", "VpcId": "vpc-a", "IpPermissions": []},
          {"GroupId": "sg-some", "VpcId": "vpc-a", "IpPermissionsEgress": [], "IpPermissions": [
            {"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]},
            {"IpProtocol": "50", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]},
            {"IpProtocol": "6", "FromPort": 443, "ToPort": 443, "Ipv6Ranges": [{"CidrIpv6": "2001:db8:1::/56"}],
             "PrefixListIds": [{"PrefixListId": "pl-1"}], "UserIdGroupPairs": [{"GroupId": "sg-open"}]}]}]}
        {"PrefixLists": [{"PrefixListId": "pl-1", "PrefixListName": "office", "Cidrs": ["192.0.2.0/24"]}]}
        {"NetworkAcls": [{"NetworkAclId": "acl-a", "VpcId": "vpc-a", "IsDefault": true, "Entries": [
          {"RuleNumber": 100, "Protocol": "-1", "CidrBlock": "0.0.0.0/0", "RuleAction": "allow", "Egress": false},
          {"RuleNumber": 101, "Protocol": "-1", "Ipv6CidrBlock": "::/0", "RuleAction": "allow", "Egress": false},
          {"RuleNumber": 110, "Protocol": "1", "IcmpTypeCode": {"Code": -1, "Type": -1}, "CidrBlock": "10.0.0.0/8",
           "RuleAction": "deny", "Egress": true},
          {"RuleNumber": 120, "Protocol": "47", "CidrBlock": "10.0.0.0/8", "RuleAction": "deny", "Egress": true},
          {"RuleNumber": 32767, "Protocol": "-1", "CidrBlock": "0.0.0.0/0", "RuleAction": "deny", "Egress": true}]}]}
        {"NetworkInterfaces": [{"NetworkInterfaceId": "eni-a", "VpcId": "vpc-a", "SubnetId": "subnet-a",
          "PrivateIpAddress": "10.0.0.9", "SourceDestCheck": false,
          "Groups": [{"GroupId": "sg-open"}, {"GroupId": "sg-shut"}, {"GroupId": "sg-old"}, {"GroupId": "sg-some"}]}]}"#,
    );
    insta::assert_snapshot!("filters", valid_text(&imported));
    let messages = unsupported(&imported);
    assert!(
        messages.contains("sg-some: the rule for protocol 50")
            && messages.contains("acl-a: the rule for protocol 47"),
        "{messages}"
    );
}

#[test]
fn transit_gateway_attachments_routes_and_prefix_lists_are_converted() {
    let imported = import_with(
        r#"{"TransitGateways": [{"TransitGatewayId": "tgw-a"}, {"TransitGatewayId": "tgw-b"}]}
        {"TransitGatewayVpcAttachments": [{"TransitGatewayAttachmentId": "tgw-attach-1", "TransitGatewayId": "tgw-a",
          "VpcId": "vpc-a", "SubnetIds": ["subnet-a"], "State": "available"}]}
        {"TransitGatewayAttachments": [
          {"TransitGatewayAttachmentId": "tgw-attach-2", "TransitGatewayId": "tgw-a", "ResourceType": "peering",
           "ResourceId": "tgw-b", "State": "available"},
          {"TransitGatewayAttachmentId": "tgw-attach-3", "TransitGatewayId": "tgw-a", "ResourceType": "connect",
           "ResourceId": "tgw-attach-1", "State": "available"},
          {"TransitGatewayAttachmentId": "tgw-attach-4", "TransitGatewayId": "tgw-a", "State": "available",
           "ResourceType": "direct-connect-gateway", "ResourceId": "0a1b2c3d"}]}
        {"TransitGatewayRouteTables": [{"TransitGatewayRouteTableId": "tgw-rtb-00000001", "TransitGatewayId": "tgw-a",
          "State": "available"}]}
        {"TransitGatewayRouteTableId": "tgw-rtb-00000001", "Routes": [
          {"DestinationCidrBlock": "172.16.0.0/16", "Type": "static", "State": "active", "TransitGatewayAttachments": [
            {"TransitGatewayAttachmentId": "tgw-attach-3"}, {"TransitGatewayAttachmentId": "tgw-attach-4"}]},
          {"DestinationCidrBlock": "172.17.0.0/16", "Type": "propagated", "State": "active",
           "TransitGatewayAttachments": [{"TransitGatewayAttachmentId": "tgw-attach-4"}]},
          {"PrefixListId": "pl-1", "Type": "static", "State": "active",
           "TransitGatewayAttachments": [{"TransitGatewayAttachmentId": "tgw-attach-2"}]},
          {"PrefixListId": "pl-missing", "Type": "static", "State": "active",
           "TransitGatewayAttachments": [{"TransitGatewayAttachmentId": "tgw-attach-2"}]}]}
        {"TransitGatewayPrefixListReferences": [
          {"TransitGatewayRouteTableId": "tgw-rtb-00000001", "PrefixListId": "pl-1", "State": "available", "Blackhole": true},
          {"TransitGatewayRouteTableId": "tgw-rtb-00000001", "PrefixListId": "pl-2", "State": "available", "Blackhole": true}]}
        {"PrefixLists": [{"PrefixListId": "pl-1", "PrefixListName": "one", "Cidrs": ["192.0.2.0/24", "198.51.100.0/24"]},
          {"PrefixListId": "pl-2", "PrefixListName": "two", "Cidrs": ["203.0.113.0/24"]}]}"#,
    );
    insta::assert_snapshot!("transit", format!("{}\n\n{}", valid_text(&imported), imported.report));
}

#[test]
fn records_of_public_zones_become_records_of_the_sealed_internet() {
    let imported = import_with(
        r#"{"HostedZones": [{"Id": "/hostedzone/ZPUBLIC0AAAA", "Name": "example.com.", "Config": {"PrivateZone": false}}]}
        {"ResourceRecordSets": [
          {"Name": "example.com.", "Type": "SOA", "TTL": 60, "ResourceRecords": [{"Value": "x"}]},
          {"Name": "\\052.shop.example.com.", "Type": "A", "TTL": 30, "ResourceRecords": [{"Value": "203.0.113.9"}]},
          {"Name": "example.com.", "Type": "TXT", "TTL": 60, "ResourceRecords": [{"Value": "\"a\\042b\""}]},
          {"Name": "cdn.example.com.", "Type": "A", "AliasTarget": {"DNSName": "d.example.net."}},
          {"Name": "w.example.com.", "Type": "A", "TTL": 1, "SetIdentifier": "a", "Weight": 1,
           "ResourceRecords": [{"Value": "203.0.113.10"}]}]}"#,
    );
    let text = valid_text(&imported);
    let wildcard =
        "[[public]]\nname = \"*.shop.example.com\"\ntype = \"A\"\nttl = 30\nvalues = [\"203.0.113.9\"]";
    assert!(text.contains(wildcard) && text.contains(r#"values = ["\"a\\034b\""]"#), "{text}");
    let sets = &imported.report.read["ResourceRecordSets"];
    assert_eq!((sets.converted, sets.skipped.len()), (2, 3), "{}", imported.report);
    assert!(!text.contains("[[hosted_zone]]"));
}

#[test]
fn a_health_check_is_healthy_above_18_percent_of_checkers() {
    let id = "0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0";
    let is_healthy = |successes: usize, config: &str| {
        let observation = |status: &str| format!(r#"{{"StatusReport": {{"Status": "{status}: details"}}}}"#);
        let mut observations = vec![observation("Success"); successes];
        observations.resize(10, observation("Failure"));
        let documents = [
            r#"{"HostedZones": [{"Id": "/hostedzone/Z0AAAAAAAAAA", "Name": "a.example.", "Config": {"PrivateZone": true}}]}"#.to_owned(),
            format!(
                r#"{{"HostedZoneId": "Z0AAAAAAAAAA", "ResourceRecordSets": [{{"Name": "a.example.", "Type": "SOA"}},
                {{"Name": "x.a.example.", "Type": "A", "TTL": 1, "SetIdentifier": "one", "Failover": "PRIMARY",
                "HealthCheckId": "{id}", "ResourceRecords": [{{"Value": "10.0.0.1"}}]}}]}}"#
            ),
            format!(r#"{{"HealthChecks": [{{"Id": "{id}", "HealthCheckConfig": {config}}}]}}"#),
            format!(r#"{{"HealthCheckId": "{id}", "HealthCheckObservations": [{}]}}"#, observations.join(", ")),
        ];
        let imported = import_with(&documents.join("\n"));
        let text = valid_text(&imported);
        assert!(text.contains(&format!("[[health_check]]\nid = \"{id}\"")), "{text}");
        !text.contains("healthy = false")
    };
    // Route 53 considers an endpoint healthy if more than 18 % of health checkers report it as healthy.
    assert!(is_healthy(2, "{}") && !is_healthy(1, "{}"));
    assert!(!is_healthy(2, r#"{"Inverted": true}"#) && is_healthy(0, r#"{"Inverted": true}"#));
    assert!(
        is_healthy(0, r#"{"Disabled": true}"#) && !is_healthy(9, r#"{"Disabled": true, "Inverted": true}"#)
    );
}

#[test]
fn a_regional_nat_gateway_keeps_its_route_table() {
    let nat = |more: &str| {
        format!(
            r#"{{"NatGateways": [{{"NatGatewayId": "nat-a", "VpcId": "vpc-a", "State": "available",
              "AvailabilityMode": "regional", "ConnectivityType": "public"{more}, "NatGatewayAddresses": [
                {{"PublicIp": "203.0.113.20", "AvailabilityZone": "eu-west-1a"}},
                {{"PublicIp": "203.0.113.21", "AvailabilityZone": "eu-west-1b"}}]}}]}}
            {{"RouteTables": [
              {{"RouteTableId": "rtb-a", "VpcId": "vpc-a", "Associations": [{{"Main": true}}], "Routes": [
                {{"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-a", "State": "active"}}]}},
              {{"RouteTableId": "rtb-nat", "VpcId": "vpc-a", "Associations": [], "Routes": [
                {{"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-a", "State": "active"}}]}}]}}"#
        )
    };
    let imported = import_with(&nat(r#", "RouteTableId": "rtb-nat""#));
    let text = valid_text(&imported);
    assert!(text.contains("availability_mode = \"regional\"\nroute_table = \"rtb-nat\""), "{text}");
    assert!(unsupported(&imported).contains("nat-a has 2 addresses"));
    let dir = write_documents(&[("imported.toml", text)]);
    let config = dir.path().join("imported.toml");
    let arguments = ["explain", "--json", "--address", "203.0.113.9", "--from", "subnet-a", "--config"];
    let output = stdout(&plustwo(&[&arguments[..], &[config.to_str().unwrap()]].concat()));
    let explanation: serde_json::Value = serde_json::from_str(&output).unwrap();
    let path = &explanation["path"];
    assert_eq!((&path["class"], &path["reach"]), (&"nat-gateway".into(), &"ok".into()), "{explanation}");
    // Without a route table, it uses the one that AWS creates.
    valid_text(&import_with(&nat("")));
}

#[test]
fn blocked_public_access_is_reported_as_unsupported() {
    let counts = |mode: &str| {
        let options =
            format!(r#"{{"VpcBlockPublicAccessOptions": {{"InternetGatewayBlockMode": "{mode}"}}}}"#);
        let report = import_with(&options).report;
        let summary = &report.read["VpcBlockPublicAccessOptions"];
        (summary.skipped.len(), summary.unsupported)
    };
    assert_eq!(counts("off"), (1, 0));
    assert_eq!(counts("block-bidirectional"), (0, 1));
}
