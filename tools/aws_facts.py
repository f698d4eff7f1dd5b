#!/usr/bin/env python3
"""Makes the fact tables of src/aws/data out of source documents.

    aws_facts.py --services TSV --endpoints CSV --ip-ranges JSON --prefix-lists JSON --out DIR

Needs nothing but Python 3.9 or later, and no network. The same documents give
the same tables, byte for byte.

services      tab separated, one endpoint service a line with its region folded
              to {region}: service_name, type, private_dns_names,
              base_endpoint_dns_names, confidence. Only rows whose confidence
              starts with "real" (an answer of DescribeVpcEndpointServices)
              keep their private names.
endpoints     comma separated, out of botocore: region, service,
              endpoint_prefix, variant, hostname, source (ruleset or
              endpoints.json).
ip-ranges     AWS's ip-ranges.json.
prefix-lists  {"ids": {service: {region: id}}, "snapshots": [{date, region,
              PrefixListId, PrefixListName, Cidrs}]}.

What the guides of AWS say beyond these documents is written down in the tables
of this file, each with its page.
"""
import argparse
import bisect
import collections
import csv
import ipaddress
import json
import os
import re

# ---------------------------------------------------------------- services

S3_GUIDE = "guide-s3-privatelink-2026"
DDB_GUIDE = "guide-dynamodb-privatelink-2026"
PL_GUIDE = "guide-privatelink-2025-12"
R = "{region}"
S3_NAMES = [f"{w}{n}.{R}.amazonaws.com" for n in ("s3", "s3-control", "s3-accesspoint") for w in ("", "*.")]
S3_ALL = "com.amazonaws.{region}.s3"

# (template, kind): (private names, base name or None to keep, source)
SERVICE_OVERRIDES = {
    # The guide names the apexes too; DescribeVpcEndpointServices lists only the wildcards.
    (S3_ALL, "Interface"): (" ".join(S3_NAMES), None, "vpces-2023-09+" + S3_GUIDE),
    ("com.amazonaws.{region}.s3-fips", "Interface"): ("?", None, S3_GUIDE),
    ("com.amazonaws.{region}.s3express", "Gateway"): ("-", None, PL_GUIDE),
    ("com.amazonaws.{region}.dynamodb", "Interface"): ("-", None, DDB_GUIDE),
    ("com.amazonaws.{region}.dynamodb-fips", "Interface"): ("-", None, DDB_GUIDE),
    ("com.amazonaws.{region}.dynamodb-streams", "Interface"): (
        "-", "streams.dynamodb.{region}.vpce.amazonaws.com", DDB_GUIDE),
    ("com.amazonaws.{region}.eks-auth", "Interface"): (
        "eks-auth.{region}.api.aws", None, "containers-roadmap-issue-2619"),
    # Seen in us-east-1 alone, so the row is that region's; the folded one serves the others.
    ("com.amazonaws.us-east-1.monitoring", "Interface"): (
        "monitoring.us-east-1.amazonaws.com monitoring.us-east-1.api.aws"
        " monitoring-fips.us-east-1.amazonaws.com monitoring-fips.us-east-1.api.aws",
        "monitoring.us-east-1.vpce.amazonaws.com", PL_GUIDE),
    ("com.amazonaws.route53", "Interface"): ("?", None, PL_GUIDE),
    ("com.amazonaws.cloudfront", "Interface"): ("?", None, PL_GUIDE),
}
PORTS = {"com.amazonaws.{region}.email-smtp": "587,25,465,2587"}


def service_source(confidence):
    if confidence.startswith("real "):
        return "vpces-" + confidence.split()[1]
    return "unconfirmed"


def read_services(path):
    """Rows {(template, kind): [names, base, source]} and the unconfirmed names {name: template}."""
    rows, guessed = {}, {}
    with open(path, encoding="utf-8") as f:
        for r in csv.DictReader(f, delimiter="\t"):
            key = (r["service_name"], r["type"])
            real = r["confidence"].startswith("real")
            names = r["private_dns_names"] if real else "?"
            bases = [b for b in r["base_endpoint_dns_names"].split() if "*" not in b and b != "-"]
            base = bases[0] if bases and r["type"] == "Interface" else "-"
            rows[key] = [names, base, service_source(r["confidence"])]
            # "derived" names are good enough to say which service a public
            # name belongs to, never to serve them.
            if r["confidence"].startswith("derived"):
                for n in r["private_dns_names"].split():
                    guessed[n] = r["service_name"]
    for key, (names, base, source) in SERVICE_OVERRIDES.items():
        old = rows.get(key, ["", "-", ""])
        rows[key] = [names, base or old[1], source]
    return rows, guessed


def write_services(out, rows):
    lines = [
        "Endpoint services of AWS and the private DNS names they inject.",
        "template\tkind\tprivate names (- none offered, ? not confirmed)\tbase name (- by rule)\tports, default first\tsource",
        "vpces-DATE: an answer of DescribeVpcEndpointServices of that month (2023-09 out of",
        "aws-samples/aws-vpc-builder-cdk 1bc10ff3, MIT-0; 2020-05 out of batfish cba18733, Apache-2.0).",
        "guide-*: the AWS guide of that subject and date. unconfirmed: the service exists",
        "(aws-cdk-lib 2.276.0 names it), its private names were not seen in an answer of AWS.",
    ]
    body = [
        "\t".join((t, k.lower(), n, b, PORTS.get(t, "443"), s))
        for (t, k), (n, b, s) in sorted(rows.items())
    ]
    write(out, "services.tsv", lines, body)


# ------------------------------------------------------------ public names

LATTICE = "VPC_LATTICE"

# Names that botocore does not list: (template, range, endpoint, source).
HAND = [
    ("*.s3.{region}.amazonaws.com", "S3", S3_ALL, "guide-s3"),
    ("s3.dualstack.{region}.amazonaws.com", "S3", S3_ALL, "guide-s3"),
    ("*.s3.dualstack.{region}.amazonaws.com", "S3", S3_ALL, "guide-s3"),
    ("s3-accesspoint.{region}.amazonaws.com", "S3", S3_ALL, "guide-s3"),
    ("*.s3-accesspoint.{region}.amazonaws.com", "S3", S3_ALL, "guide-s3"),
    ("s3-accesspoint.dualstack.{region}.amazonaws.com", "S3", S3_ALL, "guide-s3"),
    ("*.s3-accesspoint.dualstack.{region}.amazonaws.com", "S3", S3_ALL, "guide-s3"),
    ("s3-control.{region}.amazonaws.com", "S3", S3_ALL, "guide-s3"),
    ("*.s3-control.{region}.amazonaws.com", "S3", S3_ALL, "guide-s3"),
    ("s3-control.dualstack.{region}.amazonaws.com", "S3", S3_ALL, "guide-s3"),
    ("*.s3-control.dualstack.{region}.amazonaws.com", "S3", S3_ALL, "guide-s3"),
    ("s3-{region}.amazonaws.com", "S3", S3_ALL, "guide-s3-legacy"),
    ("*.s3-{region}.amazonaws.com", "S3", S3_ALL, "guide-s3-legacy"),
    ("*.s3-website-{region}.amazonaws.com", "S3", S3_ALL, "guide-s3-website"),
    ("*.s3-website.{region}.amazonaws.com", "S3", S3_ALL, "guide-s3-website"),
    ("s3.amazonaws.com", "S3", S3_ALL, "guide-s3-legacy"),
    ("*.s3.amazonaws.com", "S3", S3_ALL, "guide-s3-legacy"),
    ("s3express-control.{region}.amazonaws.com", "S3", "com.amazonaws.{region}.s3express", "guide-s3express"),
    ("*.ddb.{region}.amazonaws.com", "DYNAMODB", "com.amazonaws.{region}.dynamodb", "guide-dynamodb"),
    ("{region}.queue.amazonaws.com", "AMAZON", "com.amazonaws.{region}.sqs", "guide-sqs-legacy"),
    ("queue.amazonaws.com", "AMAZON", "com.amazonaws.{region}.sqs", "guide-sqs-legacy"),
    ("*.execute-api.{region}.amazonaws.com", "API_GATEWAY", "com.amazonaws.{region}.execute-api", "guide-apigateway"),
    ("*.execute-api.{region}.api.aws", "API_GATEWAY", "com.amazonaws.{region}.execute-api", "guide-apigateway"),
    ("*.dkr.ecr.{region}.amazonaws.com", "AMAZON", "com.amazonaws.{region}.ecr.dkr", "guide-ecr"),
    ("*.dkr-ecr.{region}.on.aws", "AMAZON", "com.amazonaws.{region}.ecr.dkr", "guide-ecr"),
    ("sts.amazonaws.com", "AMAZON", "com.amazonaws.{region}.sts", "guide-sts"),
    ("iam.amazonaws.com", "AMAZON", "com.amazonaws.iam", PL_GUIDE),
    ("route53.amazonaws.com", "AMAZON", "com.amazonaws.route53", PL_GUIDE),
    ("cloudfront.amazonaws.com", "AMAZON", "com.amazonaws.cloudfront", PL_GUIDE),
    ("*.iot.{region}.amazonaws.com", "AMAZON", "com.amazonaws.{region}.iot.data", "guide-iot"),
    ("*.credentials.iot.{region}.amazonaws.com", "AMAZON", "com.amazonaws.{region}.iot.credentials", "guide-iot"),
    # Services of VPC Lattice: reached by an association of the VPC, or by a service-network endpoint's own names.
    ("*.vpc-lattice-svcs.{region}.on.aws", LATTICE, "?", "guide-vpc-lattice"),
    # Known to have no endpoint service.
    ("*.auth.{region}.amazoncognito.com", "AMAZON", "none", "guide-cognito-vpc-endpoints"),
    ("*.lambda-url.{region}.on.aws", "AMAZON", "none", "guide-lambda-urls"),
    ("*.cloudfront.net", "CLOUDFRONT", "none", "guide-cloudfront"),
]
# botocore services whose endpoint service has another name than their host names tell.
SAME_AS = {
    "monitoring.{region}.amazonaws.com": "com.amazonaws.{region}.monitoring",
    "s3-fips.{region}.amazonaws.com": "com.amazonaws.{region}.s3-fips",
    "s3-control-fips.{region}.amazonaws.com": "com.amazonaws.{region}.s3-fips",
    "data.iot.{region}.amazonaws.com": "com.amazonaws.{region}.iot.data",
    "data-ats.iot.{region}.amazonaws.com": "com.amazonaws.{region}.iot.data",
    "dynamodb.{region}.amazonaws.com": "com.amazonaws.{region}.dynamodb",
    "streams.dynamodb.{region}.amazonaws.com": "com.amazonaws.{region}.dynamodb-streams",
}
# Rule sets name these hosts, but they exist only with an API's id before them.
NOT_HOSTS = {"execute-api.{region}.amazonaws.com", "execute-api.{region}.api.aws"}
REGION = re.compile(r"\b[a-z]{2}-(?:gov-)?[a-z]+-\d\b")


def range_of(template):
    """The service of ip-ranges.json whose prefixes a host name's addresses come from."""
    first = [l for l in template.split(".") if l not in ("*", R)][0]
    if re.fullmatch(r"s3(-fips|-control|-control-fips|-accesspoint|-accesspoint-fips)?", first):
        return "S3"
    if first in ("dynamodb", "dynamodb-fips"):
        return "DYNAMODB"
    if re.fullmatch(r"execute-api(-fips)?", first):
        return "API_GATEWAY"
    return "AMAZON"


def is_ipv6(template, dual):
    return (
        template in dual
        or template.endswith((".api.aws", ".on.aws", ".cloudfront.net"))
        or ".dualstack." in template
    )


def read_endpoints(path):
    """Templates with their botocore services and source, and those that have IPv6."""
    with open(path, encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    regions = {r["region"] for r in rows}
    # A host that carries a region other than the one asked for is a fixed name
    # of a global service: its region label is no variable.
    fixed = {
        r["hostname"]
        for r in rows
        if any(g in r["hostname"] for g in regions - {r["region"]})
    }
    templates, dual = {}, set()
    for r in rows:
        keep = r["source"] == "endpoints.json" or r["variant"] in ("default", "dualstack")
        if not keep:
            continue
        host = r["hostname"]
        t = host if host in fixed else host.replace(r["region"], R)
        entry = templates.setdefault(t, {"groups": set(), "sources": set()})
        entry["groups"] |= {r["service"], r["endpoint_prefix"]}
        entry["sources"].add(r["source"])
        if "dualstack" in r["variant"]:
            dual.add(t)
    return templates, dual


def offers(templates, services, guessed):
    """The endpoint service of every template: by its name, else by its siblings of one API."""
    names = {t for t, _ in services}
    direct = dict(guessed)
    for (service, _), (private, _, _) in sorted(services.items()):
        for n in private.split():
            if n not in "-?":
                direct[n] = service
    direct.update(SAME_AS)
    groups = collections.defaultdict(set)
    for t, e in templates.items():
        known = direct.get(t) or direct.get(REGION.sub(R, t))
        if known:
            for g in e["groups"]:
                groups[g].add(known)

    def offer(t):
        if t in direct:
            return direct[t]
        # A global service at home in one region: account.us-east-1.
        folded = REGION.sub(R, t)
        if folded in direct:
            return direct[folded]
        e = templates.get(t)
        if not e:
            return "?"
        found = set().union(*(groups[g] for g in e["groups"])) if e["groups"] else set()
        fips = "-fips" in t
        plain = {s for s in found if s.endswith("-fips") == fips} or found
        if len(plain) != 1:
            return "?"
        service = plain.pop()
        return service + "-fips" if fips and service + "-fips" in names else service

    return offer


def write_public(out, label, services, guessed, endpoints):
    templates, dual = read_endpoints(endpoints)
    offer = offers(templates, services, guessed)
    table = {}
    for t, rng, endpoint, source in HAND:
        table[t] = (rng, endpoint, source)
    for (service, _), (private, _, source) in sorted(services.items()):
        for n in private.split():
            if n in "-?":
                continue
            # A service's private names are public names as well.
            table.setdefault(n, (range_of(n), service, source))
    for t, e in sorted(templates.items()):
        if t in NOT_HOSTS:
            continue
        source = "endpoints.json" if "endpoints.json" in e["sources"] else "ruleset"
        table.setdefault(t, (range_of(t), offer(t), source))
    body = []
    for t, (rng, endpoint, source) in sorted(table.items()):
        ttl = "5" if rng == "S3" else "60"
        body.append("\t".join((t, rng, "yes" if is_ipv6(t, dual) else "no", ttl, endpoint, source)))
    write(out, "public_names.tsv", [
        "Public host names of AWS services.",
        "template\trange of ip-ranges.json\tIPv6\tTTL\tendpoint service (none: there is none, ?: unknown)\tsource",
        f"endpoints.json, ruleset: {label}. A rule set gives a name for every region, there or not.",
        "guide-*: the AWS guide of that subject. vpces-*, containers-*: as in services.tsv.",
        "TTL: 5 s was seen for S3; 60 s for the rest is this project's choice.",
    ], body)


# ------------------------------------------------------------ prefix lists

# One public list repeats this id for several new regions: doubtful, left out.
DOUBTFUL = {("ap-south-2", "pl-64a5400d")}
CLOUDFRONT = "com.amazonaws.global.cloudfront.origin-facing"


def write_prefix_lists(out, path):
    with open(path, encoding="utf-8") as f:
        doc = json.load(f)
    lists = {}
    for key, by_region in doc["ids"].items():
        for region, id_ in by_region.items():
            if (region, id_) in DOUBTFUL:
                continue
            name = CLOUDFRONT if "cloudfront" in key else f"com.amazonaws.{region}.{key}"
            lists[region, id_] = (name, -1, "undated", None)
    for s in doc["snapshots"]:
        key = (s["region"], s["PrefixListId"])
        if key in DOUBTFUL:
            continue
        m = re.match(r"(?:about )?(\d{4})", s["date"])
        # A recording without a date counts as older than any dated one.
        year, as_of = (int(m[1]), m[0]) if m else (0, "undated")
        if key not in lists or lists[key][1] < year:
            lists[key] = (s["PrefixListName"], year, as_of, s["Cidrs"])
    body = []
    for (region, id_), (name, _, as_of, cidrs) in sorted(lists.items()):
        entries = "?" if cidrs is None else " ".join(sorted(cidrs, key=net_key))
        body.append("\t".join((region, id_, name, as_of, entries)))
    write(out, "prefix_lists.tsv", [
        "Prefix lists that AWS manages: the newest known state of each.",
        "region\tid\tname\tas of\tentries (? not known)",
        "2018: a describe-prefix-lists answer of all regions of that year. 2020: out of batfish",
        "cba18733. about 2024: a list its author copied into a network ACL, date inferred.",
        "An id is unique only inside its region. ip-ranges.json is no source for entries:",
        "its S3 prefixes are more than the list's.",
    ], body)


# ------------------------------------------------------------------ ranges

ALL_V4 = ("S3", "DYNAMODB", "API_GATEWAY")
# Ranges that ip-ranges.json does not have: VPC Lattice User Guide, where its services' names lead to.
GUIDE_RANGES = {(LATTICE, "GLOBAL"): ["169.254.171.0/24", "fd00:ec2:80::/64"]}
EC2_V4, EC2_V6, S3_V6, AMAZON_V4, AMAZON_V6 = 4, 1, 4, 4, 1


def net_key(text):
    n = ipaddress.ip_network(text)
    return (n.version, int(n.network_address), n.prefixlen)


class Cover:
    """Answers whether a prefix touches none of the given ones."""

    def __init__(self, nets):
        self.spans = []
        for a, b in sorted((int(n[0]), int(n[-1])) for n in nets):
            if self.spans and a <= self.spans[-1][1] + 1:
                self.spans[-1][1] = max(self.spans[-1][1], b)
            else:
                self.spans.append([a, b])
        self.starts = [s[0] for s in self.spans]

    def clear_of(self, n):
        i = bisect.bisect_right(self.starts, int(n[-1])) - 1
        return i < 0 or self.spans[i][1] < int(n[0])


def write_ranges(out, path):
    with open(path, encoding="utf-8") as f:
        doc = json.load(f)
    table = collections.defaultdict(list)
    for version, family, key in ((4, "prefixes", "ip_prefix"), (6, "ipv6_prefixes", "ipv6_prefix")):
        by = collections.defaultdict(set)
        for p in doc[family]:
            by[p["service"], p["region"]].add(ipaddress.ip_network(p[key]))
        cover = Cover([n for (s, _), nets in by.items() if s != "AMAZON" for n in nets])
        for (service, region), nets in sorted(by.items()):
            # Largest first, so that a handful covers as much as it can.
            nets = sorted(nets, key=lambda n: (n.prefixlen, int(n.network_address)))
            if service == "CLOUDFRONT" and region == "GLOBAL":
                keep = nets
            elif region == "GLOBAL" and service != "S3":
                continue
            elif version == 4 and service in ALL_V4:
                keep = nets
            elif service == "S3":
                keep = nets[:S3_V6]
            elif service == "EC2":
                keep = nets[: EC2_V4 if version == 4 else EC2_V6]
            elif service == "AMAZON":
                free = [n for n in nets if cover.clear_of(n)]
                # API front ends live in blocks of this size (52.94.x, 52.119.x);
                # the larger ones are mostly not in use yet.
                if version == 4:
                    free.sort(key=lambda n: not 20 <= n.prefixlen <= 24)
                keep = free[: AMAZON_V4 if version == 4 else AMAZON_V6]
            else:
                continue
            table[service, region] += sorted(keep, key=lambda n: net_key(str(n)))
    table.update(GUIDE_RANGES)
    body = ["\t".join((s, r, " ".join(map(str, nets)))) for (s, r), nets in sorted(table.items())]
    write(out, "ranges.tsv", [
        f"Address ranges of AWS out of ip-ranges.json, createDate {doc['createDate']}.",
        "service\tregion\tprefixes",
        "Whole: the IPv4 prefixes of S3, DYNAMODB and API_GATEWAY, and CLOUDFRONT's GLOBAL ones.",
        f"In part, largest first: S3 IPv6 ({S3_V6} a region), EC2 ({EC2_V4} IPv4, {EC2_V6} IPv6), AMAZON ({AMAZON_V4} IPv4 of",
        f"/20 to /24 where there are, {AMAZON_V6} IPv6; only such as no prefix of another service touches).",
        f"{LATTICE}: out of the VPC Lattice User Guide, link-local and the same in every region.",
    ], body)


# -------------------------------------------------------------------- main


def write(out, name, header, body):
    with open(os.path.join(out, name), "w", encoding="utf-8", newline="\n") as f:
        for line in header:
            f.write("# " + line + "\n")
        f.write("# Made by tools/aws_facts.py; do not edit by hand.\n")
        for line in body:
            f.write(line + "\n")
    print(f"{name}: {len(body)} rows")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--services", required=True)
    p.add_argument("--endpoints", required=True)
    p.add_argument("--endpoints-from", default="botocore, version not stated",
                   help='what to name as the source of the endpoints, e.g. "botocore 1.43.11 (Apache-2.0)"')
    p.add_argument("--ip-ranges", required=True)
    p.add_argument("--prefix-lists", required=True)
    p.add_argument("--out", required=True)
    a = p.parse_args()
    services, guessed = read_services(a.services)
    write_services(a.out, services)
    write_public(a.out, a.endpoints_from, services, guessed, a.endpoints)
    write_prefix_lists(a.out, a.prefix_lists)
    write_ranges(a.out, a.ip_ranges)


if __name__ == "__main__":
    main()
