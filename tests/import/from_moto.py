#!/usr/bin/env python3
"""Exports, imports, checks and explains a network that moto simulates.

Run manually from the root of the project. Requires `aws` on the PATH, and boto3 and moto with its server:

    tests/import/from_moto.py [PLUSTWO]

Starts moto on a free loopback port, creates a network with boto3, exports it with tools/aws-export.sh, and reports
where `plustwo import aws`, `check` and `explain` differ from the expected results. Does not access AWS.
"""

import json
import logging
import os
import socket
import subprocess
import sys
import tempfile
from ipaddress import ip_address, ip_network
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer

REGION = "ap-northeast-1"
failures = []


def expect(what, actual, expected):
    """Prints whether a result is as expected, and records it if not."""
    if actual == expected:
        print(f"ok     {what}: {actual}")
    else:
        print(f"FAILED {what}: {actual}, expected {expected}")
        failures.append(what)


def create_network(url):
    """Creates the network. Returns the ids that the checks need."""
    client = lambda service: boto3.client(service, region_name=REGION, endpoint_url=url)
    ec2, zones, resolver = client("ec2"), client("route53"), client("route53resolver")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    far_vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    for one in (vpc, far_vpc):
        ec2.modify_vpc_attribute(VpcId=one, EnableDnsHostnames={"Value": True})

    def subnet(vpc, cidr, zone):
        response = ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, AvailabilityZone=REGION + zone)
        return response["Subnet"]["SubnetId"]

    public, private, other = subnet(vpc, "10.0.0.0/24", "a"), subnet(vpc, "10.0.1.0/24", "a"), subnet(vpc, "10.0.2.0/24", "c")
    far_subnet = subnet(far_vpc, "10.1.1.0/24", "a")
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    table = lambda vpc: ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    public_table, private_table, far_table = table(vpc), table(vpc), table(far_vpc)
    ec2.associate_route_table(RouteTableId=public_table, SubnetId=public)
    ec2.associate_route_table(RouteTableId=far_table, SubnetId=far_subnet)
    for one in (private, other):
        ec2.associate_route_table(RouteTableId=private_table, SubnetId=one)
    route = lambda table, to, **target: ec2.create_route(RouteTableId=table, DestinationCidrBlock=to, **target)
    route(public_table, "0.0.0.0/0", GatewayId=gateway)
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    nat = ec2.create_nat_gateway(SubnetId=public, AllocationId=address)["NatGateway"]["NatGatewayId"]
    route(private_table, "0.0.0.0/0", NatGatewayId=nat)
    peering = ec2.create_vpc_peering_connection(VpcId=vpc, PeerVpcId=far_vpc)
    peering = peering["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=peering)
    route(private_table, "10.1.0.0/16", VpcPeeringConnectionId=peering)
    route(far_table, "10.0.0.0/16", VpcPeeringConnectionId=peering)
    group = ec2.create_security_group(GroupName="endpoints", Description="endpoints", VpcId=vpc)["GroupId"]
    allowed = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.0.0.0/16"}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[allowed])
    sns = ec2.create_vpc_endpoint(
        VpcId=vpc, ServiceName=f"com.amazonaws.{REGION}.sns", VpcEndpointType="Interface",
        SubnetIds=[private, other], SecurityGroupIds=[group], PrivateDnsEnabled=True,
    )["VpcEndpoint"]["VpcEndpointId"]
    s3 = ec2.create_vpc_endpoint(
        VpcId=vpc, ServiceName=f"com.amazonaws.{REGION}.s3", VpcEndpointType="Gateway", RouteTableIds=[private_table]
    )["VpcEndpoint"]["VpcEndpointId"]
    hub = ec2.create_transit_gateway(Description="hub")["TransitGateway"]["TransitGatewayId"]
    attach = lambda vpc, subnet: ec2.create_transit_gateway_vpc_attachment(
        TransitGatewayId=hub, VpcId=vpc, SubnetIds=[subnet]
    )["TransitGatewayVpcAttachment"]["TransitGatewayAttachmentId"]
    vpc_attachment, far_attachment = attach(vpc, private), attach(far_vpc, far_subnet)
    hub_table = ec2.create_transit_gateway_route_table(TransitGatewayId=hub)
    hub_table = hub_table["TransitGatewayRouteTable"]["TransitGatewayRouteTableId"]
    ec2.create_transit_gateway_route(
        DestinationCidrBlock="172.16.0.0/12", TransitGatewayRouteTableId=hub_table, TransitGatewayAttachmentId=far_attachment
    )
    ec2.associate_transit_gateway_route_table(TransitGatewayRouteTableId=hub_table, TransitGatewayAttachmentId=vpc_attachment)
    ec2.enable_transit_gateway_route_table_propagation(
        TransitGatewayRouteTableId=hub_table, TransitGatewayAttachmentId=far_attachment
    )
    route(private_table, "172.16.0.0/12", TransitGatewayId=hub)
    vgw = ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"]
    ec2.attach_vpn_gateway(VpnGatewayId=vgw, VpcId=vpc)
    office = ec2.create_customer_gateway(Type="ipsec.1", PublicIp="198.51.100.7", BgpAsn=65000)
    office = office["CustomerGateway"]["CustomerGatewayId"]
    ec2.create_vpn_connection(Type="ipsec.1", CustomerGatewayId=office, VpnGatewayId=vgw)
    route(private_table, "192.168.10.0/24", GatewayId=vgw)
    acl = ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"]
    for egress in (False, True):
        ec2.create_network_acl_entry(
            NetworkAclId=acl, RuleNumber=100, Protocol="-1", RuleAction="allow", Egress=egress, CidrBlock="0.0.0.0/0"
        )
    ec2.create_managed_prefix_list(
        PrefixListName="office", MaxEntries=5, AddressFamily="IPv4", Entries=[{"Cidr": "198.51.100.0/24"}]
    )
    check = zones.create_health_check(
        CallerReference="check",
        HealthCheckConfig={"Type": "HTTPS", "FullyQualifiedDomainName": "a.example", "Port": 443},
    )["HealthCheck"]["Id"]
    zone = zones.create_hosted_zone(
        Name="corp.internal", CallerReference="zone", VPC={"VPCRegion": REGION, "VPCId": vpc},
        HostedZoneConfig={"PrivateZone": True, "Comment": "corp"},
    )["HostedZone"]["Id"]
    record = lambda name, value, **more: {
        "Action": "CREATE",
        "ResourceRecordSet": {
            "Name": f"{name}.corp.internal", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": value}], **more,
        },
    }
    zones.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [
        record("*.apps", "10.0.1.30"),
        record("db", "10.0.1.20", SetIdentifier="first", Failover="PRIMARY", HealthCheckId=check),
        record("db", "10.0.1.21", SetIdentifier="second", Failover="SECONDARY"),
        record("shop", "10.0.1.40", SetIdentifier="one", Weight=1),
    ]})
    out = resolver.create_resolver_endpoint(
        CreatorRequestId="out", SecurityGroupIds=[group], Direction="OUTBOUND", Name="out",
        IpAddresses=[{"SubnetId": private}, {"SubnetId": other}],
    )["ResolverEndpoint"]["Id"]
    rule = resolver.create_resolver_rule(
        CreatorRequestId="rule", RuleType="FORWARD", DomainName="office.example", Name="office",
        TargetIps=[{"Ip": "192.168.10.53", "Port": 53}], ResolverEndpointId=out,
    )["ResolverRule"]["Id"]
    resolver.associate_resolver_rule(ResolverRuleId=rule, VPCId=vpc)
    return {"private": private, "public": public, "sns": sns, "s3": s3, "nat": nat, "peering": peering, "hub": hub, "vgw": vgw}


def correct_export(directory):
    """Corrects the output of moto where it differs from AWS.

    moto assigns random addresses in 10.0.0.0/8, outside the subnets. If an attachment is associated with a second route
    table, moto keeps the first association; AWS rejects the second one.
    """
    region_directory = directory / REGION
    read = lambda command: json.loads((region_directory / f"{command}.json").read_text())
    attachments = read("describe-transit-gateway-attachments")
    for table in read("describe-transit-gateway-route-tables")["TransitGatewayRouteTables"]:
        file = region_directory / "transit-gateway-route-tables" / f"{table['TransitGatewayRouteTableId']}-associations.json"
        if table["DefaultAssociationRouteTable"]:
            first = file
        else:
            moved = {one["TransitGatewayAttachmentId"] for one in json.loads(file.read_text())["Associations"]}
    is_kept = lambda one: one["TransitGatewayAttachmentId"] not in moved
    first.write_text(json.dumps({"Associations": list(filter(is_kept, json.loads(first.read_text())["Associations"]))}))
    for one in attachments["TransitGatewayAttachments"]:
        if not is_kept(one):
            del one["Association"]
    (region_directory / "describe-transit-gateway-attachments.json").write_text(json.dumps(attachments))
    prefixes = {one["SubnetId"]: ip_network(one["CidrBlock"]) for one in read("describe-subnets")["Subnets"]}
    replacements = {}
    for one in read("describe-network-interfaces")["NetworkInterfaces"]:
        prefix = prefixes.get(one.get("SubnetId"))
        if prefix and ip_address(one["PrivateIpAddress"]) not in prefix:
            replacements[one["PrivateIpAddress"]] = str(prefix[200 + len(replacements)])
    for file in region_directory.rglob("*.json"):
        text = file.read_text()
        for assigned, replacement in replacements.items():
            text = text.replace(f'"{assigned}"', f'"{replacement}"')
        file.write_text(text)
    print(f"addresses outside their subnets: {len(replacements)}")


def main():
    plustwo = sys.argv[1] if len(sys.argv) > 1 else "target/debug/plustwo"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ.update(AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="x", AWS_DEFAULT_REGION=REGION, AWS_MAX_ATTEMPTS="1")
    # Suppress the access log of moto's web server.
    logging.getLogger("werkzeug").disabled = True
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    url = f"http://127.0.0.1:{port}"
    directory = Path(tempfile.mkdtemp()) / "aws"
    try:
        ids = create_network(url)
        export = ["sh", "tools/aws-export.sh", "--endpoint-url", url, REGION, str(directory)]
        result = subprocess.run(export, capture_output=True, text=True)
        skipped = [line.split("skipped: ")[1] for line in result.stderr.splitlines() if "skipped: aws" in line]
        print(f"commands that moto does not support: {len(skipped)}", *skipped, sep="\n       ")
    finally:
        server.stop()
    correct_export(directory)
    run = lambda *arguments: subprocess.run([plustwo, *arguments], capture_output=True, text=True)
    result = run("import", "aws", str(directory), "--report", "json", "--out", str(directory.parent / "imported.toml"))
    report = json.loads(result.stderr)
    expect("import", result.returncode, 0)
    expect("errors", [one for one in report["findings"] if "error[" in one], [])
    for kind, read in report["read"].items():
        total = read["written"] + sum(read["left_out"].values()) + read["not_understood"]
        if total != sum(read["files"].values()):
            expect(f"number of {kind} by disposition", total, sum(read["files"].values()))
    print("unsupported:", *[one["message"] for one in report["not_understood"]], sep="\n       ")
    expect("check", run("check", "--config", str(directory)).returncode, 0)

    def explain(config, *arguments):
        result = run("explain", "--json", "--config", str(config), *arguments)
        if result.returncode != 0:
            return result.stderr
        return json.loads(result.stdout)

    imported_config = directory.parent / "imported.toml"
    for name, data, path, via in [
        (f"sns.{REGION}.amazonaws.com", None, "interface-endpoint", ids["sns"]),
        (f"sqs.{REGION}.amazonaws.com", None, "nat-gateway", ids["nat"]),
        ("x.apps.corp.internal", "10.0.1.30", "local", None),
        ("db.corp.internal", "10.0.1.20", "local", None),
        ("shop.corp.internal", "10.0.1.40", "local", None),
    ]:
        explanation = explain(directory, "--from", ids["private"], name)
        is_valid = isinstance(explanation, dict)
        answers = [one for one in explanation.get("answers", []) if "path" in one] if is_valid else []
        first = answers[0] if answers else {"data": None, "path": {"class": None, "via": []}}
        expect(f"path to {name}", first["path"]["class"], path)
        if via:
            expect(f"gateway to {name}", via in first["path"]["via"], True)
        if data:
            expect(f"address of {name}", first["data"], data)
        from_text = explain(imported_config, "--from", ids["private"], name)
        expect(f"{name} with the generated configuration", from_text == explanation, True)
    # The entries of moto's prefix list for S3 are not those of AWS.
    lists = json.loads((directory / REGION / "describe-managed-prefix-lists.json").read_text())["PrefixLists"]
    s3 = next(one["PrefixListId"] for one in lists if one["PrefixListName"] == f"com.amazonaws.{REGION}.s3")
    entries = json.loads((directory / REGION / "prefix-lists" / f"{s3}.json").read_text())["Entries"]
    for address, path, via in [
        (str(ip_network(entries[0]["Cidr"])[1]), "gateway-endpoint", ids["s3"]),
        ("10.1.1.9", "vpc-peering", ids["peering"]),
        ("172.16.1.9", "transit-gateway", ids["hub"]),
        ("192.168.10.9", "virtual-private-gateway", ids["vgw"]),
    ]:
        explanation = explain(directory, "--from", ids["private"], "--address", address)
        actual = explanation["path"] if isinstance(explanation, dict) else {"class": explanation, "via": []}
        expect(f"path to {address}", actual["class"], path)
        expect(f"gateway to {address}", via in actual["via"], True)
    print(f"{len(failures)} failed; the documents are in {directory}")
    return 1 if failures else 0


sys.exit(main())
