#!/usr/bin/env python3
"""A VPC in moto, exported, imported, checked and explained.

Run by hand, from the root of the project, where `aws` is on the PATH and this Python has moto's server and boto3:

    tests/import/from_moto.py [PLUSTWO]

It starts moto on a free port of loopback, makes a network by boto3, makes the calls of tools/aws-export.sh, and says what
differs from what is expected of `plustwo import aws`, `check` and `explain`. Nothing else is asked or changed.
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
wrong = []


def expect(what, found, wanted):
    """Notes what is not as expected."""
    if found == wanted:
        print(f"ok    {what}: {found}")
    else:
        print(f"WRONG {what}: {found}, and not {wanted}")
        wrong.append(what)


def make(url):
    """The network. Gives the ids that questions need."""
    client = lambda service: boto3.client(service, region_name=REGION, endpoint_url=url)
    ec2, zones, resolver = client("ec2"), client("route53"), client("route53resolver")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    far = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    for one in (vpc, far):
        ec2.modify_vpc_attribute(VpcId=one, EnableDnsHostnames={"Value": True})

    def subnet(vpc, cidr, zone):
        made = ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, AvailabilityZone=REGION + zone)
        return made["Subnet"]["SubnetId"]

    public, private, other = subnet(vpc, "10.0.0.0/24", "a"), subnet(vpc, "10.0.1.0/24", "a"), subnet(vpc, "10.0.2.0/24", "c")
    beyond = subnet(far, "10.1.1.0/24", "a")
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    table = lambda vpc: ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    to_internet, inside, back = table(vpc), table(vpc), table(far)
    ec2.associate_route_table(RouteTableId=to_internet, SubnetId=public)
    ec2.associate_route_table(RouteTableId=back, SubnetId=beyond)
    for one in (private, other):
        ec2.associate_route_table(RouteTableId=inside, SubnetId=one)
    route = lambda table, to, **target: ec2.create_route(RouteTableId=table, DestinationCidrBlock=to, **target)
    route(to_internet, "0.0.0.0/0", GatewayId=gateway)
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    nat = ec2.create_nat_gateway(SubnetId=public, AllocationId=address)["NatGateway"]["NatGatewayId"]
    route(inside, "0.0.0.0/0", NatGatewayId=nat)
    peering = ec2.create_vpc_peering_connection(VpcId=vpc, PeerVpcId=far)
    peering = peering["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=peering)
    route(inside, "10.1.0.0/16", VpcPeeringConnectionId=peering)
    route(back, "10.0.0.0/16", VpcPeeringConnectionId=peering)
    group = ec2.create_security_group(GroupName="endpoints", Description="endpoints", VpcId=vpc)["GroupId"]
    allowed = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.0.0.0/16"}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[allowed])
    sns = ec2.create_vpc_endpoint(
        VpcId=vpc, ServiceName=f"com.amazonaws.{REGION}.sns", VpcEndpointType="Interface",
        SubnetIds=[private, other], SecurityGroupIds=[group], PrivateDnsEnabled=True,
    )["VpcEndpoint"]["VpcEndpointId"]
    s3 = ec2.create_vpc_endpoint(
        VpcId=vpc, ServiceName=f"com.amazonaws.{REGION}.s3", VpcEndpointType="Gateway", RouteTableIds=[inside]
    )["VpcEndpoint"]["VpcEndpointId"]
    hub = ec2.create_transit_gateway(Description="hub")["TransitGateway"]["TransitGatewayId"]
    attach = lambda vpc, subnet: ec2.create_transit_gateway_vpc_attachment(
        TransitGatewayId=hub, VpcId=vpc, SubnetIds=[subnet]
    )["TransitGatewayVpcAttachment"]["TransitGatewayAttachmentId"]
    near, away = attach(vpc, private), attach(far, beyond)
    hub_table = ec2.create_transit_gateway_route_table(TransitGatewayId=hub)
    hub_table = hub_table["TransitGatewayRouteTable"]["TransitGatewayRouteTableId"]
    ec2.create_transit_gateway_route(
        DestinationCidrBlock="172.16.0.0/12", TransitGatewayRouteTableId=hub_table, TransitGatewayAttachmentId=away
    )
    ec2.associate_transit_gateway_route_table(TransitGatewayRouteTableId=hub_table, TransitGatewayAttachmentId=near)
    ec2.enable_transit_gateway_route_table_propagation(
        TransitGatewayRouteTableId=hub_table, TransitGatewayAttachmentId=away
    )
    route(inside, "172.16.0.0/12", TransitGatewayId=hub)
    vgw = ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"]
    ec2.attach_vpn_gateway(VpnGatewayId=vgw, VpcId=vpc)
    office = ec2.create_customer_gateway(Type="ipsec.1", PublicIp="198.51.100.7", BgpAsn=65000)
    office = office["CustomerGateway"]["CustomerGatewayId"]
    ec2.create_vpn_connection(Type="ipsec.1", CustomerGatewayId=office, VpnGatewayId=vgw)
    route(inside, "192.168.10.0/24", GatewayId=vgw)
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


def mend(folder):
    """Puts right what moto does otherwise than AWS.

    It draws addresses anywhere in 10.0.0.0/8, and leaves an attachment with its first route table when it is associated
    with another one, which AWS refuses.
    """
    here = folder / REGION
    read = lambda call: json.loads((here / f"{call}.json").read_text())
    attachments = read("describe-transit-gateway-attachments")
    for table in read("describe-transit-gateway-route-tables")["TransitGatewayRouteTables"]:
        file = here / "transit-gateway-route-tables" / f"{table['TransitGatewayRouteTableId']}-associations.json"
        if table["DefaultAssociationRouteTable"]:
            first = file
        else:
            moved = {one["TransitGatewayAttachmentId"] for one in json.loads(file.read_text())["Associations"]}
    stay = lambda one: one["TransitGatewayAttachmentId"] not in moved
    first.write_text(json.dumps({"Associations": list(filter(stay, json.loads(first.read_text())["Associations"]))}))
    for one in attachments["TransitGatewayAttachments"]:
        if not stay(one):
            del one["Association"]
    (here / "describe-transit-gateway-attachments.json").write_text(json.dumps(attachments))
    prefixes = {one["SubnetId"]: ip_network(one["CidrBlock"]) for one in read("describe-subnets")["Subnets"]}
    taken = {}
    for one in read("describe-network-interfaces")["NetworkInterfaces"]:
        prefix = prefixes.get(one.get("SubnetId"))
        if prefix and ip_address(one["PrivateIpAddress"]) not in prefix:
            taken[one["PrivateIpAddress"]] = str(prefix[200 + len(taken)])
    for file in here.rglob("*.json"):
        text = file.read_text()
        for drawn, mended in taken.items():
            text = text.replace(f'"{drawn}"', f'"{mended}"')
        file.write_text(text)
    print(f"addresses that moto drew outside their subnets: {len(taken)}")


def main():
    plustwo = sys.argv[1] if len(sys.argv) > 1 else "target/debug/plustwo"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ.update(AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="x", AWS_DEFAULT_REGION=REGION, AWS_MAX_ATTEMPTS="1")
    # Its own log is of no interest here.
    logging.getLogger("werkzeug").disabled = True
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    url = f"http://127.0.0.1:{port}"
    folder = Path(tempfile.mkdtemp()) / "aws"
    try:
        ids = make(url)
        export = ["sh", "tools/aws-export.sh", "--endpoint-url", url, REGION, str(folder)]
        told = subprocess.run(export, capture_output=True, text=True)
        left_out = [line.split("left out: ")[1] for line in told.stderr.splitlines() if "left out: aws" in line]
        print(f"calls that moto does not know: {len(left_out)}", *left_out, sep="\n      ")
    finally:
        server.stop()
    mend(folder)
    run = lambda *words: subprocess.run([plustwo, *words], capture_output=True, text=True)
    imported = run("import", "aws", str(folder), "--report", "json", "--out", str(folder.parent / "made.toml"))
    report = json.loads(imported.stderr)
    expect("import", imported.returncode, 0)
    expect("errors", [one for one in report["findings"] if "error[" in one], [])
    for kind, read in report["read"].items():
        told = read["written"] + sum(read["left_out"].values()) + read["not_understood"]
        if told != sum(read["files"].values()):
            expect(f"the account of {kind}", told, sum(read["files"].values()))
    print("not understood:", *[one["message"] for one in report["not_understood"]], sep="\n      ")
    expect("check", run("check", "--config", str(folder)).returncode, 0)

    def explain(config, *words):
        told = run("explain", "--json", "--config", str(config), *words)
        if told.returncode != 0:
            return told.stderr
        return json.loads(told.stdout)

    made = folder.parent / "made.toml"
    for name, data, path, via in [
        (f"sns.{REGION}.amazonaws.com", None, "interface-endpoint", ids["sns"]),
        (f"sqs.{REGION}.amazonaws.com", None, "nat-gateway", ids["nat"]),
        ("x.apps.corp.internal", "10.0.1.30", "local", None),
        ("db.corp.internal", "10.0.1.20", "local", None),
        ("shop.corp.internal", "10.0.1.40", "local", None),
    ]:
        told = explain(folder, "--from", ids["private"], name)
        answers = [one for one in told.get("answers", []) if "path" in one] if isinstance(told, dict) else []
        first = answers[0] if answers else {"data": None, "path": {"class": None, "via": []}}
        expect(f"way to {name}", first["path"]["class"], path)
        if via:
            expect(f"gateway to {name}", via in first["path"]["via"], True)
        if data:
            expect(f"address of {name}", first["data"], data)
        expect(f"{name} by the text", explain(made, "--from", ids["private"], name) == told, True)
    # moto has entries of its own in the prefix list of S3.
    lists = json.loads((folder / REGION / "describe-managed-prefix-lists.json").read_text())["PrefixLists"]
    s3 = next(one["PrefixListId"] for one in lists if one["PrefixListName"] == f"com.amazonaws.{REGION}.s3")
    entries = json.loads((folder / REGION / "prefix-lists" / f"{s3}.json").read_text())["Entries"]
    for address, path, via in [
        (str(ip_network(entries[0]["Cidr"])[1]), "gateway-endpoint", ids["s3"]),
        ("10.1.1.9", "vpc-peering", ids["peering"]),
        ("172.16.1.9", "transit-gateway", ids["hub"]),
        ("192.168.10.9", "virtual-private-gateway", ids["vgw"]),
    ]:
        told = explain(folder, "--from", ids["private"], "--address", address)
        found = told["path"] if isinstance(told, dict) else {"class": told, "via": []}
        expect(f"way to {address}", found["class"], path)
        expect(f"gateway to {address}", via in found["via"], True)
    print(f"{len(wrong)} wrong; the documents are in {folder}")
    return 1 if wrong else 0


sys.exit(main())
