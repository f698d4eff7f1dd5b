#!/usr/bin/env python3
"""Generates the fact tables in src/aws/data from source documents.

    aws_facts.py --services TSV --endpoints CSV [--endpoints-from TEXT] --ip-ranges JSON
                 --prefix-lists JSON --out DIR

Requires only Python 3.9 or later, and no network access. The output is
deterministic: the same documents yield identical tables.

services      tab-separated, one endpoint service per line, with {region} in
              place of its region: service_name, type, private_dns_names,
              base_endpoint_dns_names, confidence. Private DNS names are used
              only if the confidence starts with "real" (a response to
              DescribeVpcEndpointServices).
endpoints     comma-separated, from botocore: region, service,
              endpoint_prefix, variant, hostname, source (ruleset or
              endpoints.json).
ip-ranges     ip-ranges.json as published by AWS.
prefix-lists  {"ids": {service: {region: id}}, "snapshots": [{date, region,
              PrefixListId, PrefixListName, Cidrs}]}.

Facts that are only in the AWS guides are in the tables of this file, each with
its source.
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

# (template, type): (private DNS names, base domain or None to keep it, source)
SERVICE_OVERRIDES = {
    # The guide also lists the apex names; DescribeVpcEndpointServices returns only the wildcards.
    (S3_ALL, "Interface"): (" ".join(S3_NAMES), None, "vpces-2023-09+" + S3_GUIDE),
    ("com.amazonaws.{region}.s3-fips", "Interface"): ("?", None, S3_GUIDE),
    ("com.amazonaws.{region}.s3express", "Gateway"): ("-", None, PL_GUIDE),
    ("com.amazonaws.{region}.dynamodb", "Interface"): ("-", None, DDB_GUIDE),
    ("com.amazonaws.{region}.dynamodb-fips", "Interface"): ("-", None, DDB_GUIDE),
    ("com.amazonaws.{region}.dynamodb-streams", "Interface"): (
        "-", "streams.dynamodb.{region}.vpce.amazonaws.com", DDB_GUIDE),
    ("com.amazonaws.{region}.eks-auth", "Interface"): (
        "eks-auth.{region}.api.aws", None, "containers-roadmap-issue-2619"),
    # Observed only in us-east-1, so the row is for that region. The row with {region} is for the others.
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
    """Returns rows {(template, type): [names, base, source]} and the unconfirmed names {name: template}."""
    rows, unconfirmed = {}, {}
    with open(path, encoding="utf-8") as f:
        for r in csv.DictReader(f, delimiter="\t"):
            key = (r["service_name"], r["type"])
            real = r["confidence"].startswith("real")
            names = r["private_dns_names"] if real else "?"
            bases = [b for b in r["base_endpoint_dns_names"].split() if "*" not in b and b != "-"]
            base = bases[0] if bases and r["type"] == "Interface" else "-"
            rows[key] = [names, base, service_source(r["confidence"])]
            # "derived" names only associate a public name with a service. They
            # are never served as private DNS names.
            if r["confidence"].startswith("derived"):
                for n in r["private_dns_names"].split():
                    unconfirmed[n] = r["service_name"]
    for key, (names, base, source) in SERVICE_OVERRIDES.items():
        old = rows.get(key, ["", "-", ""])
        rows[key] = [names, base or old[1], source]
    return rows, unconfirmed


def write_services(out, rows):
    lines = [
        "Endpoint services of AWS and their private DNS names.",
        "template\ttype\tprivate DNS names (-: not offered, ?: not confirmed)\tbase domain (-: by rule)\tports, default first\tsource",
        "vpces-DATE: a response to DescribeVpcEndpointServices of that month (2023-09 from",
        "aws-samples/aws-vpc-builder-cdk 1bc10ff3, MIT-0; 2020-05 from batfish cba18733, Apache-2.0).",
        "guide-*: the AWS guide on that subject, with its date. unconfirmed: the service exists",
        "(aws-cdk-lib 2.276.0 lists it), but no AWS response with its private DNS names is available.",
    ]
    body = [
        "\t".join((t, k.lower(), n, b, PORTS.get(t, "443"), s))
        for (t, k), (n, b, s) in sorted(rows.items())
    ]
    write(out, "services.tsv", lines, body)


# ------------------------------------------------------------ public names

LATTICE = "VPC_LATTICE"

# Names that botocore does not list: (template, service in ip-ranges.json, endpoint service, source).
UNLISTED = [
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
    # VPC Lattice services: reached through the VPC's association with a service network, or under the names of a
    # service-network endpoint.
    ("*.vpc-lattice-svcs.{region}.on.aws", LATTICE, "?", "guide-vpc-lattice"),
    # These have no endpoint service.
    ("*.auth.{region}.amazoncognito.com", "AMAZON", "none", "guide-cognito-vpc-endpoints"),
    ("*.lambda-url.{region}.on.aws", "AMAZON", "none", "guide-lambda-urls"),
    ("*.cloudfront.net", "CLOUDFRONT", "none", "guide-cloudfront"),
]
# Host names whose endpoint service cannot be derived from the name.
ENDPOINT_SERVICES = {
    "monitoring.{region}.amazonaws.com": "com.amazonaws.{region}.monitoring",
    "s3-fips.{region}.amazonaws.com": "com.amazonaws.{region}.s3-fips",
    "s3-control-fips.{region}.amazonaws.com": "com.amazonaws.{region}.s3-fips",
    "data.iot.{region}.amazonaws.com": "com.amazonaws.{region}.iot.data",
    "data-ats.iot.{region}.amazonaws.com": "com.amazonaws.{region}.iot.data",
    "dynamodb.{region}.amazonaws.com": "com.amazonaws.{region}.dynamodb",
    "streams.dynamodb.{region}.amazonaws.com": "com.amazonaws.{region}.dynamodb-streams",
}
# Rule sets list these hosts, but they exist only with an API ID in front.
NOT_HOSTS = {"execute-api.{region}.amazonaws.com", "execute-api.{region}.api.aws"}
REGION = re.compile(r"\b[a-z]{2}-(?:gov-)?[a-z]+-\d\b")


def range_of(template):
    """Returns the service in ip-ranges.json that the addresses of a host belong to."""
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
    """Returns the templates with their botocore services and sources, and the set of those with IPv6."""
    with open(path, encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    regions = {r["region"] for r in rows}
    # A host with a region other than the one of its row is a fixed name of a
    # global service: its region label is not a variable.
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


def endpoint_service_finder(templates, services, unconfirmed):
    """Returns a function from a template to its endpoint service: by name, else by the other hosts of the same API."""
    names = {t for t, _ in services}
    direct = dict(unconfirmed)
    for (service, _), (private, _, _) in sorted(services.items()):
        for n in private.split():
            if n not in "-?":
                direct[n] = service
    direct.update(ENDPOINT_SERVICES)
    groups = collections.defaultdict(set)
    for t, e in templates.items():
        known = direct.get(t) or direct.get(REGION.sub(R, t))
        if known:
            for g in e["groups"]:
                groups[g].add(known)

    def endpoint_service(t):
        if t in direct:
            return direct[t]
        # A global service hosted in one region, such as account.us-east-1.
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

    return endpoint_service


def write_public(out, label, services, unconfirmed, endpoints):
    templates, dual = read_endpoints(endpoints)
    endpoint_service = endpoint_service_finder(templates, services, unconfirmed)
    table = {}
    for t, rng, endpoint, source in UNLISTED:
        table[t] = (rng, endpoint, source)
    for (service, _), (private, _, source) in sorted(services.items()):
        for n in private.split():
            if n in "-?":
                continue
            # Private DNS names of a service are also public names.
            table.setdefault(n, (range_of(n), service, source))
    for t, e in sorted(templates.items()):
        if t in NOT_HOSTS:
            continue
        source = "endpoints.json" if "endpoints.json" in e["sources"] else "ruleset"
        table.setdefault(t, (range_of(t), endpoint_service(t), source))
    body = []
    for t, (rng, endpoint, source) in sorted(table.items()):
        ttl = "5" if rng == "S3" else "60"
        body.append("\t".join((t, rng, "yes" if is_ipv6(t, dual) else "no", ttl, endpoint, source)))
    write(out, "public_names.tsv", [
        "Public host names of AWS services.",
        "template\tservice in ip-ranges.json\tIPv6\tTTL\tendpoint service (none: does not exist, ?: unknown)\tsource",
        f"endpoints.json, ruleset: {label}. A rule set yields a name for every region, whether the service is available there or not.",
        "guide-*: the AWS guide on that subject. vpces-*, containers-*: as in services.tsv.",
        "TTL: 5 s was observed for S3; 60 s for all others is an assumption of this project.",
    ], body)


# ------------------------------------------------------------ prefix lists

# Omitted as doubtful: one public list has this ID for several new regions.
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
        # A snapshot without a date is treated as older than any dated one.
        year, as_of = (int(m[1]), m[0]) if m else (0, "undated")
        if key not in lists or lists[key][1] < year:
            lists[key] = (s["PrefixListName"], year, as_of, s["Cidrs"])
    body = []
    for (region, id_), (name, _, as_of, cidrs) in sorted(lists.items()):
        entries = "?" if cidrs is None else " ".join(sorted(cidrs, key=net_key))
        body.append("\t".join((region, id_, name, as_of, entries)))
    write(out, "prefix_lists.tsv", [
        "AWS-managed prefix lists: the newest known version of each.",
        "region\tid\tname\tas of\tentries (?: unknown)",
        "2018: a response to describe-prefix-lists for all regions of that year. 2020: from batfish",
        "cba18733. about 2024: a list that its author copied into a network ACL; the date is inferred.",
        "An ID is unique only within its region. ip-ranges.json cannot be used for the entries:",
        "it has more S3 prefixes than the list.",
    ], body)


# ------------------------------------------------------------------ ranges

ALL_V4 = ("S3", "DYNAMODB", "API_GATEWAY")
# Ranges missing from ip-ranges.json: addresses of VPC Lattice services (VPC Lattice User Guide).
GUIDE_RANGES = {(LATTICE, "GLOBAL"): ["169.254.171.0/24", "fd00:ec2:80::/64"]}
EC2_V4, EC2_V6, S3_V6, AMAZON_V4, AMAZON_V6 = 4, 1, 4, 4, 1


def net_key(text):
    n = ipaddress.ip_network(text)
    return (n.version, int(n.network_address), n.prefixlen)


class PrefixSet:
    """A set of prefixes that can be tested for overlap with another prefix."""

    def __init__(self, nets):
        self.spans = []
        for a, b in sorted((int(n[0]), int(n[-1])) for n in nets):
            if self.spans and a <= self.spans[-1][1] + 1:
                self.spans[-1][1] = max(self.spans[-1][1], b)
            else:
                self.spans.append([a, b])
        self.starts = [s[0] for s in self.spans]

    def is_disjoint(self, n):
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
        cover = PrefixSet([n for (s, _), nets in by.items() if s != "AMAZON" for n in nets])
        for (service, region), nets in sorted(by.items()):
            # Largest first, so that a few prefixes cover as much as possible.
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
                free = [n for n in nets if cover.is_disjoint(n)]
                # API front ends use blocks of this size (52.94.x, 52.119.x).
                # Larger blocks are mostly unused so far.
                if version == 4:
                    free.sort(key=lambda n: not 20 <= n.prefixlen <= 24)
                keep = free[: AMAZON_V4 if version == 4 else AMAZON_V6]
            else:
                continue
            table[service, region] += sorted(keep, key=lambda n: net_key(str(n)))
    table.update(GUIDE_RANGES)
    body = ["\t".join((s, r, " ".join(map(str, nets)))) for (s, r), nets in sorted(table.items())]
    write(out, "ranges.tsv", [
        f"Address ranges of AWS from ip-ranges.json, createDate {doc['createDate']}.",
        "service\tregion\tprefixes",
        "Complete: the IPv4 prefixes of S3, DYNAMODB and API_GATEWAY, and the GLOBAL prefixes of CLOUDFRONT.",
        f"Partial, largest first: S3 IPv6 ({S3_V6} per region), EC2 ({EC2_V4} IPv4, {EC2_V6} IPv6), AMAZON ({AMAZON_V4} IPv4, preferably",
        f"/20 to /24, and {AMAZON_V6} IPv6; only those that do not overlap with a prefix of another service).",
        f"{LATTICE}: from the VPC Lattice User Guide; link-local and the same in every region.",
    ], body)


# -------------------------------------------------------------------- main


def write(out, name, header, body):
    with open(os.path.join(out, name), "w", encoding="utf-8", newline="\n") as f:
        for line in header:
            f.write("# " + line + "\n")
        f.write("# Generated by tools/aws_facts.py; do not edit by hand.\n")
        for line in body:
            f.write(line + "\n")
    print(f"{name}: {len(body)} rows")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--services", required=True)
    p.add_argument("--endpoints", required=True)
    p.add_argument("--endpoints-from", default="botocore, unspecified version",
                   help='source of the endpoints for the table header, e.g. "botocore 1.43.11 (Apache-2.0)"')
    p.add_argument("--ip-ranges", required=True)
    p.add_argument("--prefix-lists", required=True)
    p.add_argument("--out", required=True)
    a = p.parse_args()
    services, unconfirmed = read_services(a.services)
    write_services(a.out, services)
    write_public(a.out, a.endpoints_from, services, unconfirmed, a.endpoints)
    write_prefix_lists(a.out, a.prefix_lists)
    write_ranges(a.out, a.ip_ranges)


if __name__ == "__main__":
    main()
