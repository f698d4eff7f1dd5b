#!/usr/bin/env python3
"""Generates large configurations, to measure how plustwo loads, compiles and serves them.

    big_world.py zones [--zones 10000] [--names 10] [--values 2] [--inline] DIR
    big_world.py vpcs  [--vpcs 1000] [--subnets 10] [--endpoints 10] [--routes 100]
                       [--groups 0] [--rules 1] [--sites 0] [--clients 0]
                       [--expectations 0] DIR

Writes DIR/plustwo.toml and, for `zones`, one zone file per zone. Afterwards,

    plustwo serve --config DIR/plustwo.toml

listens on 127.0.0.1:5300. Requires only Python 3.9 or later.

zones: hosted zones z0.corp.internal, z1.corp.internal, … of one VPC. --names is the
    number of names per zone (host0, host1, …), --values the number of addresses per
    name. Loopback clients are located in the subnet of the VPC. With --inline, the
    records are part of the records configuration instead of zone files.

vpcs: VPCs with subnets, interface endpoints (with private DNS and two network
    interfaces each), two route tables, and security groups. --subnets, --endpoints,
    --routes and --groups are numbers per VPC, --rules per security group. --sites,
    --clients and --expectations are totals. Loopback clients are located in the first
    subnet of the first VPC and can resolve the names of its endpoints:
    svc0.example.internal, svc1.example.internal, … These names exist in every VPC.

The output is deterministic: the same arguments yield identical files.
"""
import argparse
import ipaddress
import sys
from pathlib import Path

REGION = "ap-northeast-1"
AVAILABILITY_ZONES = ("ap-northeast-1a", "ap-northeast-1c")
# AWS reserves the first four addresses and the last address of a subnet.
RESERVED_ADDRESSES = 5
# All VPCs are in 10.0.0.0/8, which has 24 bits for addresses.
ADDRESS_BITS = 24

HEAD = """\
[server]
admin = "127.0.0.1:9530"

[[listener]]
address = "127.0.0.1:5300"
"""


def bits(count):
    """Returns the number of bits needed to number `count` items."""
    return max(0, count - 1).bit_length()


def address_at(offset):
    """Returns the address at an offset in 10.0.0.0/8."""
    return ipaddress.IPv4Address(0x0A000000 + offset)


# ---------------------------------------------------------------- zones


def addresses(number, values):
    """Returns the addresses of a name. They are unique up to a total of 2^24 addresses."""
    return [address_at((number * values + value) % (1 << ADDRESS_BITS)) for value in range(values)]


def zone_file(zone, names, values):
    lines = [f"$ORIGIN z{zone}.corp.internal.\n$TTL 60\n"]
    lines.append("@ IN SOA ns admin 1 7200 900 1209600 60\n@ IN NS ns\n")
    for name in range(names):
        number = zone * names + name
        lines += [f"host{name} IN A {address}\n" for address in addresses(number, values)]
    return "".join(lines)


def zone_records(zone, names, values):
    for name in range(names):
        number = zone * names + name
        texts = ", ".join(f'"{address}"' for address in addresses(number, values))
        yield f'    {{ name = "host{name}", type = "A", ttl = 60, values = [{texts}] }},\n'


def zones(args, write):
    parts = [HEAD, f"""
[[vpc]]
id = "vpc-big"
region = "{REGION}"
cidr = ["10.0.0.0/8"]
enable_dns_hostnames = true

[[vpc.subnet]]
id = "subnet-big"
cidr = "10.0.0.0/16"
availability_zone = "{AVAILABILITY_ZONES[0]}"
route_table = "rtb-big"

[[vpc.route_table]]
id = "rtb-big"
main = true

[[client]]
source = "127.0.0.0/8"
place = "subnet-big"
"""]
    for zone in range(args.zones):
        parts.append(f'\n[[hosted_zone]]\nname = "z{zone}.corp.internal"\nvpcs = ["vpc-big"]\n')
        if args.inline:
            parts += ["records = [\n", *zone_records(zone, args.names, args.values), "]\n"]
        else:
            parts.append(f'file = "z{zone}.corp.internal.zone"\n')
            write(f"z{zone}.corp.internal.zone", zone_file(zone, args.names, args.values))
    write("plustwo.toml", "".join(parts))


# ---------------------------------------------------------------- VPCs


class AddressPlan:
    """Assigns addresses to VPCs and subnets."""

    def __init__(self, args):
        self.vpc_bits, self.subnet_bits = bits(args.vpcs), bits(max(2, args.subnets))
        # The CIDR block of a VPC is a /16 at most (VPC User Guide, "VPC CIDR blocks").
        vpc_address_bits = min(ADDRESS_BITS - self.vpc_bits, 16)
        self.host_bits = min(12, vpc_address_bits - self.subnet_bits)
        if (1 << self.host_bits) < args.endpoints + RESERVED_ADDRESSES + 1:
            sys.exit("big_world.py: 10.0.0.0/8 is too small for this number of VPCs, subnets and endpoints")

    def vpc(self, vpc):
        size = self.subnet_bits + self.host_bits
        return f"{address_at(vpc << size)}/{32 - size}"

    def address(self, vpc, subnet, offset):
        return address_at((vpc << self.subnet_bits | subnet) << self.host_bits | offset)

    def subnet(self, vpc, subnet):
        return f"{self.address(vpc, subnet, 0)}/{32 - self.host_bits}"


def routes(vpc, count):
    """Returns `count` routes of one route table: a default route, and the rest to prefixes in 100.64.0.0/10."""
    lines = [f'    {{ destination = "0.0.0.0/0", target = "igw-{vpc}" }},\n']
    for route in range(max(0, count - 1)):
        prefix = ipaddress.IPv4Address(0x64400000 + 16 * route)
        lines.append(f'    {{ destination = "{prefix}/28", target = "tgw-hub" }},\n')
    return "".join(lines)


def vpc_sections(args, plan, vpc):
    yield f"""
[[vpc]]
id = "vpc-{vpc}"
region = "{REGION}"
account = "111122223333"
cidr = ["{plan.vpc(vpc)}"]
enable_dns_hostnames = true
internet_gateway = "igw-{vpc}"
"""
    for table, count in (("a", args.routes - args.routes // 2), ("b", args.routes // 2)):
        main = "main = true\n" if table == "a" else ""
        yield f'\n[[vpc.route_table]]\nid = "rtb-{vpc}-{table}"\n{main}routes = [\n{routes(vpc, count)}]\n'
    for subnet in range(args.subnets):
        yield f"""
[[vpc.subnet]]
id = "subnet-{vpc}-{subnet}"
cidr = "{plan.subnet(vpc, subnet)}"
availability_zone = "{AVAILABILITY_ZONES[subnet % 2]}"
route_table = "rtb-{vpc}-{"ab"[subnet % 2]}"
"""
    for group in range(args.groups):
        yield f'\n[[vpc.security_group]]\nid = "sg-{vpc}-{group}"\ningress = [\n'
        for rule in range(args.rules):
            source = ipaddress.IPv4Address(0xAC100000 + 16 * (rule % 65536))
            yield f'    {{ protocol = "tcp", from_port = 443, to_port = 443, sources = ["{source}/28"] }},\n'
        yield "]\n"
    for endpoint in range(args.endpoints):
        yield f"""
[[vpc.endpoint]]
id = "vpce-{vpc}-{endpoint}"
type = "Interface"
service = "com.amazonaws.vpce.{REGION}.vpce-svc-{endpoint}"
private_dns_enabled = true
private_dns_names = ["svc{endpoint}.example.internal"]
network_interfaces = [
"""
        for zone in range(min(2, args.subnets)):
            subnet = endpoint * 2 % max(1, args.subnets - 1) // 2 * 2 + zone
            group = f', security_groups = ["sg-{vpc}-{endpoint % args.groups}"]' if args.groups else ""
            yield (f'    {{ subnet = "subnet-{vpc}-{subnet}", '
                   f'address = "{plan.address(vpc, subnet, 4 + endpoint)}"{group} }},\n')
        yield "]\n"


def vpcs(args, write):
    plan = AddressPlan(args)
    parts = [HEAD]
    for vpc in range(args.vpcs):
        parts += vpc_sections(args, plan, vpc)
    for site in range(args.sites):
        prefix = ipaddress.IPv4Address(0xC0A80000 + 16 * site)
        parts.append(f'\n[[site]]\nid = "site-{site}"\ncidr = ["{prefix}/28"]\nresolver = "public"\n')
    parts.append('\n[[client]]\nsource = "127.0.0.0/8"\nplace = "subnet-0-0"\n')
    for client in range(args.clients):
        source = ipaddress.IPv4Address(0xC6120000 + client)
        place = f"subnet-{client % args.vpcs}-{client % args.subnets}"
        parts.append(f'\n[[client]]\nsource = "{source}"\nplace = "{place}"\n')
    for expectation in range(args.expectations):
        place = f"subnet-{expectation % args.vpcs}-{expectation % args.subnets}"
        name = f"svc{expectation % max(1, args.endpoints)}.example.internal"
        parts.append(f'\n[[expect]]\nfrom = "{place}"\nname = "{name}"\nrcode = "NOERROR"\n')
    write("plustwo.toml", "".join(parts))


# ---------------------------------------------------------------- arguments


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)

    def add_command(name, generate, **counts):
        command = commands.add_parser(name)
        for key, default in counts.items():
            command.add_argument(f"--{key}", type=int, default=default)
        command.add_argument("directory", metavar="DIR", type=Path)
        command.set_defaults(generate=generate)
        return command

    add_command("zones", zones, zones=10000, names=10, values=2).add_argument("--inline", action="store_true")
    add_command("vpcs", vpcs, vpcs=1000, subnets=10, endpoints=10, routes=100, groups=0, rules=1, sites=0,
                clients=0, expectations=0)
    return parser.parse_args()


def main():
    args = arguments()
    args.directory.mkdir(parents=True, exist_ok=True)
    args.generate(args, lambda name, text: (args.directory / name).write_text(text))


if __name__ == "__main__":
    main()
