#!/bin/sh
# Makes the calls that `plustwo import aws` reads, for one region and one profile of the AWS CLI, into a folder:
#
#   tools/aws-export.sh [--dry-run] [--profile NAME] [--endpoint-url URL] REGION FOLDER
#
# Every call only reads. What one may not call is told on standard error and left out; `plustwo import aws` then says
# what is missing. Files come to lie in FOLDER/REGION, with the id in the name where an answer does not say what it is
# about; calls that are of no region lie in FOLDER itself. `--dry-run` prints the calls; those that ask about each zone,
# table and list then stand there once, with `…` for the id.
set -u

dry_run=false
options=
while [ $# -gt 0 ]; do
    case $1 in
        --dry-run) dry_run=true; shift ;;
        --profile | --endpoint-url) options="$options $1 ${2:?"$1 needs a value"}"; shift 2 ;;
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
    else
        rm -f "$file.part"
        echo "aws-export.sh: left out: aws $*" >&2
        failed=$((failed + 1))
    fi
}

# ids QUERY SERVICE CALL [ARGUMENTS]: prints the ids in an answer, a line each.
ids() {
    query=$1
    shift
    if $dry_run; then
        echo "…"
        return
    fi
    # shellcheck disable=SC2086
    aws "$@" --region "$region" $options --query "$query" --output text 2> /dev/null |
        tr '\t' '\n' | sed -e '/^None$/d' -e '/^$/d'
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

for vpc in $(ids 'Vpcs[].VpcId' ec2 describe-vpcs); do
    for attribute in enableDnsSupport enableDnsHostnames; do
        save "$here/vpc-attributes/$vpc-$attribute.json" \
            ec2 describe-vpc-attribute --vpc-id "$vpc" --attribute "$attribute"
    done
done

services=$(ids 'VpcEndpoints[].ServiceName' ec2 describe-vpc-endpoints | sort -u)
if [ -n "$services" ]; then
    # Names of services have no spaces.
    # shellcheck disable=SC2086
    save "$here/describe-vpc-endpoint-services.json" ec2 describe-vpc-endpoint-services --service-names $services
fi

for list in $(ids 'PrefixLists[].PrefixListId' ec2 describe-managed-prefix-lists); do
    save "$here/prefix-lists/$list.json" ec2 get-managed-prefix-list-entries --prefix-list-id "$list"
done

for table in $(ids 'TransitGatewayRouteTables[].TransitGatewayRouteTableId' ec2 describe-transit-gateway-route-tables); do
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
for gateway in $(ids 'directConnectGateways[].directConnectGatewayId' directconnect describe-direct-connect-gateways); do
    save "$here/direct-connect-gateways/$gateway.json" \
        directconnect describe-direct-connect-gateway-associations --direct-connect-gateway-id "$gateway"
done

for call in \
    list-resolver-rules list-resolver-rule-associations list-resolver-endpoints list-resolver-configs \
    list-firewall-rule-groups list-firewall-rule-group-associations list-firewall-domain-lists; do
    save "$here/$call.json" route53resolver "$call"
done
for endpoint in $(ids 'ResolverEndpoints[].Id' route53resolver list-resolver-endpoints); do
    save "$here/resolver-endpoints/$endpoint.json" \
        route53resolver list-resolver-endpoint-ip-addresses --resolver-endpoint-id "$endpoint"
done

save "$here/list-profiles.json" route53profiles list-profiles
save "$here/list-profile-associations.json" route53profiles list-profile-associations
for profile in $(ids 'ProfileSummaries[].Id' route53profiles list-profiles); do
    save "$here/profiles/$profile.json" \
        route53profiles list-profile-resource-associations --profile-id "$profile"
done

for vpc in $(ids 'Vpcs[].VpcId' ec2 describe-vpcs); do
    save "$here/service-networks/$vpc.json" \
        vpc-lattice list-service-network-vpc-associations --vpc-identifier "$vpc"
done

save "$folder/list-hosted-zones.json" route53 list-hosted-zones
for zone in $(ids 'HostedZones[].Id' route53 list-hosted-zones); do
    zone=${zone##*/}
    save "$folder/hosted-zones/$zone.json" route53 get-hosted-zone --id "$zone"
    save "$folder/hosted-zones/$zone-records.json" route53 list-resource-record-sets --hosted-zone-id "$zone"
done

save "$folder/list-health-checks.json" route53 list-health-checks
# Checks of other checks and of alarms have no status to ask for.
for check in $(ids 'HealthChecks[?HealthCheckConfig.FullyQualifiedDomainName || HealthCheckConfig.IPAddress].Id' \
    route53 list-health-checks); do
    save "$folder/health-checks/$check.json" route53 get-health-check-status --health-check-id "$check"
done

if [ "$failed" -gt 0 ]; then
    echo "aws-export.sh: $failed calls left out" >&2
    exit 1
fi
