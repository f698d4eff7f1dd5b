#!/bin/sh
# Makes the calls that `plustwo import aws` reads, for one region and one profile of the AWS CLI, into a folder:
#
#   tools/aws-export.sh [--dry-run] [--profile NAME] [--endpoint-url URL] REGION FOLDER
#
# Every call only reads. What one may not call is told on standard error and left out; `plustwo import aws` then says
# what is missing. A throttled call is made again, up to AWS_MAX_ATTEMPTS times (10). Begin with an empty folder: what an
# earlier export left there is read too. Files come to lie in FOLDER/REGION, with the id in the name where an answer does not say what it is
# about; calls that are of no region lie in FOLDER itself. `--dry-run` prints the calls; those that ask about each zone,
# table and list then stand there once, with `…` for the id.
set -u

dry_run=false
options=
while [ $# -gt 0 ]; do
    case $1 in
        --dry-run) dry_run=true; shift ;;
        --profile) AWS_PROFILE=${2:?"$1 needs a value"}; export AWS_PROFILE; shift 2 ;;
        --endpoint-url) options="$options $1 ${2:?"$1 needs a value"}"; shift 2 ;;
        -h | --help) sed -n '2,/^set -u/s/^# \{0,1\}//p' "$0"; exit 0 ;;
        -*) echo "aws-export.sh: there is no option $1" >&2; exit 2 ;;
        *) break ;;
    esac
done
if [ $# -ne 2 ]; then
    echo "usage: aws-export.sh [--dry-run] [--profile NAME] [--endpoint-url URL] REGION FOLDER" >&2
    exit 2
fi
region=$1
folder=$2
failed=0
case $region in
    *[!a-z0-9-]* | *[!0-9]) echo "aws-export.sh: $region is no region's name, such as eu-west-1" >&2; exit 2 ;;
esac
export AWS_RETRY_MODE="${AWS_RETRY_MODE:-adaptive}" AWS_MAX_ATTEMPTS="${AWS_MAX_ATTEMPTS:-10}" AWS_PAGER=
if ! $dry_run && ! command -v aws > /dev/null; then
    echo "aws-export.sh: there is no \`aws\` on the PATH: it is the AWS CLI that makes the calls" >&2
    exit 2
fi

# save FILE SERVICE CALL [ARGUMENTS]: makes a call and keeps what it prints.
save() {
    file=$1
    shift
    if $dry_run; then
        for word in "$@"; do
            shift
            case $word in *[{}[\]]*) word="'$word'" ;; esac
            set -- "$@" "$word"
        done
        echo "aws $* --region $region$options --output json > $file"
        return
    fi
    mkdir -p "$(dirname "$file")"
    # Options are words without spaces.
    # shellcheck disable=SC2086
    if aws "$@" --region "$region" $options --output json > "$file.part" && [ -s "$file.part" ]; then
        mv "$file.part" "$file"
        # The AWS CLI puts the pages of most calls together, and leaves those of some to who asks.
        token=$(sed -n 's/^ *"[Nn]extToken": "\(.*\)",\{0,1\}$/\1/p' "$file")
        if [ -n "$token" ]; then
            save "${file%.json}-2.json" "$@" --next-token "$token"
        fi
    else
        rm -f "$file.part"
        left_out "$*"
        if [ -e "$file" ]; then
            echo "aws-export.sh: $file is an earlier export's" >&2
        fi
    fi
}

# left_out CALL: tells of a call that was not answered.
left_out() {
    echo "aws-export.sh: left out: aws $1" >&2
    failed=$((failed + 1))
}

# ids QUERY SERVICE CALL [ARGUMENTS]: finds the ids in an answer, words in `found`.
ids() {
    query=$1
    shift
    if $dry_run; then
        found=…
        return
    fi
    # shellcheck disable=SC2086
    if found=$(aws "$@" --region "$region" $options --query "$query" --output text); then
        found=$(printf '%s\n' "$found" | tr '\t' '\n' | sed -e '/^None$/d' -e '/^$/d' | sort -u)
    else
        found=
        left_out "$*, for what hangs on each"
    fi
}

here=$folder/$region

save "$folder/get-caller-identity.json" sts get-caller-identity

for call in \
    describe-vpcs describe-subnets describe-route-tables describe-internet-gateways \
    describe-egress-only-internet-gateways describe-nat-gateways describe-vpc-endpoints \
    describe-vpc-endpoint-associations describe-network-interfaces describe-security-groups \
    describe-network-acls describe-managed-prefix-lists describe-prefix-lists \
    describe-vpc-peering-connections describe-transit-gateways describe-transit-gateway-attachments \
    describe-transit-gateway-vpc-attachments describe-transit-gateway-route-tables \
    describe-transit-gateway-peering-attachments describe-vpn-gateways \
    describe-customer-gateways describe-dhcp-options describe-instances describe-addresses \
    describe-vpc-block-public-access-options; do
    save "$here/$call.json" ec2 "$call"
done

# The whole answer has the tunnels' keys in it.
connection="VpnConnectionId:VpnConnectionId,CustomerGatewayId:CustomerGatewayId,VpnGatewayId:VpnGatewayId,\
TransitGatewayId:TransitGatewayId,State:State,Routes:Routes,Tags:Tags,\
Options:{StaticRoutesOnly:Options.StaticRoutesOnly}"
save "$here/describe-vpn-connections.json" \
    ec2 describe-vpn-connections --query "{VpnConnections:VpnConnections[].{$connection}}"

ids 'Vpcs[].VpcId' ec2 describe-vpcs
for vpc in $found; do
    for attribute in enableDnsSupport enableDnsHostnames; do
        save "$here/vpc-attributes/$vpc-$attribute.json" \
            ec2 describe-vpc-attribute --vpc-id "$vpc" --attribute "$attribute"
    done
done

# Each on its own: one that its owner took away fails the whole call, and a service may be another region's.
ids "VpcEndpoints[?ServiceName].join('@', [ServiceName, ServiceRegion || ''])" ec2 describe-vpc-endpoints
for service in $found; do
    name=${service%%@*}
    abroad=${service#"$name"}
    abroad=${abroad#@}
    if [ "$abroad" = "$region" ]; then
        abroad=
    fi
    # shellcheck disable=SC2086
    save "$here/endpoint-services/$name${abroad:+-in-$abroad}.json" \
        ec2 describe-vpc-endpoint-services --service-names "$name" ${abroad:+--service-regions $abroad}
done

ids 'PrefixLists[].PrefixListId' ec2 describe-managed-prefix-lists
for list in $found; do
    save "$here/prefix-lists/$list.json" ec2 get-managed-prefix-list-entries --prefix-list-id "$list"
done

ids 'TransitGatewayRouteTables[].TransitGatewayRouteTableId' ec2 describe-transit-gateway-route-tables
for table in $found; do
    save "$here/transit-gateway-route-tables/$table-associations.json" \
        ec2 get-transit-gateway-route-table-associations --transit-gateway-route-table-id "$table"
    save "$here/transit-gateway-route-tables/$table-propagations.json" \
        ec2 get-transit-gateway-route-table-propagations --transit-gateway-route-table-id "$table"
    save "$here/transit-gateway-route-tables/$table-prefix-lists.json" \
        ec2 get-transit-gateway-prefix-list-references --transit-gateway-route-table-id "$table"
    save "$here/transit-gateway-route-tables/$table-routes.json" \
        ec2 search-transit-gateway-routes --transit-gateway-route-table-id "$table" \
        --filters Name=state,Values=active,blackhole
done

save "$here/describe-virtual-interfaces.json" directconnect describe-virtual-interfaces
save "$here/describe-direct-connect-gateways.json" directconnect describe-direct-connect-gateways
ids 'directConnectGateways[].directConnectGatewayId' directconnect describe-direct-connect-gateways
for gateway in $found; do
    save "$here/direct-connect-gateways/$gateway.json" \
        directconnect describe-direct-connect-gateway-associations --direct-connect-gateway-id "$gateway"
done

for call in \
    list-resolver-rules list-resolver-rule-associations list-resolver-endpoints list-resolver-configs \
    list-firewall-rule-groups list-firewall-rule-group-associations list-firewall-domain-lists; do
    save "$here/$call.json" route53resolver "$call"
done
ids 'ResolverEndpoints[].Id' route53resolver list-resolver-endpoints
for endpoint in $found; do
    save "$here/resolver-endpoints/$endpoint.json" \
        route53resolver list-resolver-endpoint-ip-addresses --resolver-endpoint-id "$endpoint"
done

save "$here/list-profiles.json" route53profiles list-profiles
save "$here/list-profile-associations.json" route53profiles list-profile-associations
ids 'ProfileSummaries[].Id' route53profiles list-profiles
for profile in $found; do
    save "$here/profiles/$profile.json" \
        route53profiles list-profile-resource-associations --profile-id "$profile"
done

ids 'Vpcs[].VpcId' ec2 describe-vpcs
for vpc in $found; do
    save "$here/service-networks/$vpc.json" \
        vpc-lattice list-service-network-vpc-associations --vpc-identifier "$vpc"
    # Zones of other accounts, too.
    save "$folder/hosted-zones-by-vpc/$vpc.json" \
        route53 list-hosted-zones-by-vpc --vpc-id "$vpc" --vpc-region "$region"
done

save "$folder/list-hosted-zones.json" route53 list-hosted-zones
ids 'HostedZones[].Id' route53 list-hosted-zones
for zone in $found; do
    zone=${zone##*/}
    save "$folder/hosted-zones/$zone.json" route53 get-hosted-zone --id "$zone"
    save "$folder/hosted-zones/$zone-records.json" route53 list-resource-record-sets --hosted-zone-id "$zone"
done

save "$folder/list-health-checks.json" route53 list-health-checks
# Checks of other checks and of alarms have no status to ask for.
ids 'HealthChecks[?HealthCheckConfig.FullyQualifiedDomainName || HealthCheckConfig.IPAddress].Id' route53 list-health-checks
for check in $found; do
    save "$folder/health-checks/$check.json" route53 get-health-check-status --health-check-id "$check"
done

if [ "$failed" -gt 0 ]; then
    echo "aws-export.sh: $failed calls left out" >&2
    exit 1
fi
