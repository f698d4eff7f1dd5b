#!/bin/sh
# Exports the AWS resources that `plustwo import aws` reads, for one region and one profile of the AWS CLI:
#
#   tools/aws-export.sh [--dry-run] [--profile NAME] [--endpoint-url URL] REGION DIR
#
# All commands are read-only. A command that fails, for example for lack of permission, is reported on standard error
# and skipped; `plustwo import aws` then reports what is missing. Throttled requests are retried, up to
# AWS_MAX_ATTEMPTS attempts (default: 10). Start with an empty directory, since files of an earlier export are imported
# as well. Output of regional commands is written to DIR/REGION, that of global ones to DIR. File names contain the ID
# of an object if the output does not. `--dry-run` prints the commands instead of running them; a command that would
# run once per zone, route table or list is printed once, with `…` in place of the ID.
#
# Exits with 0 if all commands succeeded, with 1 if a command was skipped, and with 2 for invalid arguments.
set -u

dry_run=false
options=
while [ $# -gt 0 ]; do
    case $1 in
        --dry-run) dry_run=true; shift ;;
        --profile) AWS_PROFILE=${2:?"$1 requires a value"}; export AWS_PROFILE; shift 2 ;;
        --endpoint-url) options="$options $1 ${2:?"$1 requires a value"}"; shift 2 ;;
        -h | --help) sed -n '2,/^set -u/s/^# \{0,1\}//p' "$0"; exit 0 ;;
        -*) echo "aws-export.sh: unknown option: $1" >&2; exit 2 ;;
        *) break ;;
    esac
done
if [ $# -ne 2 ]; then
    echo "usage: aws-export.sh [--dry-run] [--profile NAME] [--endpoint-url URL] REGION DIR" >&2
    exit 2
fi
region=$1
directory=$2
skipped_count=0
case $region in
    *[!a-z0-9-]* | *[!0-9])
        echo "aws-export.sh: invalid region name: $region, expected a name such as eu-west-1" >&2
        exit 2
        ;;
esac
export AWS_RETRY_MODE="${AWS_RETRY_MODE:-adaptive}" AWS_MAX_ATTEMPTS="${AWS_MAX_ATTEMPTS:-10}" AWS_PAGER=
if ! $dry_run && ! command -v aws > /dev/null; then
    echo "aws-export.sh: cannot find \`aws\` on the PATH: install the AWS CLI" >&2
    exit 2
fi

# save FILE SERVICE COMMAND [ARGUMENTS]: runs a command and writes its output to FILE.
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
    # $options is split into words on purpose: none of them contains spaces.
    # shellcheck disable=SC2086
    if aws "$@" --region "$region" $options --output json > "$file.part" && [ -s "$file.part" ]; then
        mv "$file.part" "$file"
        # The AWS CLI merges the pages of most commands. For the others, request the next page.
        token=$(sed -n 's/^ *"[Nn]extToken": "\(.*\)",\{0,1\}$/\1/p' "$file")
        if [ -n "$token" ]; then
            save "${file%.json}-2.json" "$@" --next-token "$token"
        fi
    else
        rm -f "$file.part"
        skipped "$*"
        if [ -e "$file" ]; then
            echo "aws-export.sh: $file is from an earlier export" >&2
        fi
    fi
}

# skipped COMMAND: reports a failed command.
skipped() {
    echo "aws-export.sh: skipped: aws $1" >&2
    skipped_count=$((skipped_count + 1))
}

# ids QUERY SERVICE COMMAND [ARGUMENTS]: sets $found to the IDs that QUERY selects from the output of a command.
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
        skipped "$*, and all commands that require its IDs"
    fi
}

region_directory=$directory/$region

save "$directory/get-caller-identity.json" sts get-caller-identity

for command in \
    describe-vpcs describe-subnets describe-route-tables describe-internet-gateways \
    describe-egress-only-internet-gateways describe-nat-gateways describe-vpc-endpoints \
    describe-vpc-endpoint-associations describe-network-interfaces describe-security-groups \
    describe-network-acls describe-managed-prefix-lists describe-prefix-lists \
    describe-vpc-peering-connections describe-transit-gateways describe-transit-gateway-attachments \
    describe-transit-gateway-vpc-attachments describe-transit-gateway-route-tables \
    describe-transit-gateway-peering-attachments describe-vpn-gateways \
    describe-customer-gateways describe-dhcp-options describe-instances describe-addresses \
    describe-vpc-block-public-access-options; do
    save "$region_directory/$command.json" ec2 "$command"
done

# The complete output would contain the pre-shared keys of the tunnels.
connection="VpnConnectionId:VpnConnectionId,CustomerGatewayId:CustomerGatewayId,VpnGatewayId:VpnGatewayId,\
TransitGatewayId:TransitGatewayId,State:State,Routes:Routes,Tags:Tags,\
Options:{StaticRoutesOnly:Options.StaticRoutesOnly}"
save "$region_directory/describe-vpn-connections.json" \
    ec2 describe-vpn-connections --query "{VpnConnections:VpnConnections[].{$connection}}"

ids 'Vpcs[].VpcId' ec2 describe-vpcs
for vpc in $found; do
    for attribute in enableDnsSupport enableDnsHostnames; do
        save "$region_directory/vpc-attributes/$vpc-$attribute.json" \
            ec2 describe-vpc-attribute --vpc-id "$vpc" --attribute "$attribute"
    done
done

# One command per service: a deleted service would make a combined command fail, and services may be in other regions.
ids "VpcEndpoints[?ServiceName].join('@', [ServiceName, ServiceRegion || ''])" ec2 describe-vpc-endpoints
for service in $found; do
    name=${service%%@*}
    service_region=${service#"$name"}
    service_region=${service_region#@}
    if [ "$service_region" = "$region" ]; then
        service_region=
    fi
    # shellcheck disable=SC2086
    save "$region_directory/endpoint-services/$name${service_region:+-in-$service_region}.json" \
        ec2 describe-vpc-endpoint-services --service-names "$name" ${service_region:+--service-regions $service_region}
done

ids 'PrefixLists[].PrefixListId' ec2 describe-managed-prefix-lists
for list in $found; do
    save "$region_directory/prefix-lists/$list.json" ec2 get-managed-prefix-list-entries --prefix-list-id "$list"
done

ids 'TransitGatewayRouteTables[].TransitGatewayRouteTableId' ec2 describe-transit-gateway-route-tables
for table in $found; do
    save "$region_directory/transit-gateway-route-tables/$table-associations.json" \
        ec2 get-transit-gateway-route-table-associations --transit-gateway-route-table-id "$table"
    save "$region_directory/transit-gateway-route-tables/$table-propagations.json" \
        ec2 get-transit-gateway-route-table-propagations --transit-gateway-route-table-id "$table"
    save "$region_directory/transit-gateway-route-tables/$table-prefix-lists.json" \
        ec2 get-transit-gateway-prefix-list-references --transit-gateway-route-table-id "$table"
    save "$region_directory/transit-gateway-route-tables/$table-routes.json" \
        ec2 search-transit-gateway-routes --transit-gateway-route-table-id "$table" \
        --filters Name=state,Values=active,blackhole
done

save "$region_directory/describe-virtual-interfaces.json" directconnect describe-virtual-interfaces
save "$region_directory/describe-direct-connect-gateways.json" directconnect describe-direct-connect-gateways
ids 'directConnectGateways[].directConnectGatewayId' directconnect describe-direct-connect-gateways
for gateway in $found; do
    save "$region_directory/direct-connect-gateways/$gateway.json" \
        directconnect describe-direct-connect-gateway-associations --direct-connect-gateway-id "$gateway"
done

for command in \
    list-resolver-rules list-resolver-rule-associations list-resolver-endpoints list-resolver-configs \
    list-firewall-rule-groups list-firewall-rule-group-associations list-firewall-domain-lists; do
    save "$region_directory/$command.json" route53resolver "$command"
done
ids 'ResolverEndpoints[].Id' route53resolver list-resolver-endpoints
for endpoint in $found; do
    save "$region_directory/resolver-endpoints/$endpoint.json" \
        route53resolver list-resolver-endpoint-ip-addresses --resolver-endpoint-id "$endpoint"
done

save "$region_directory/list-profiles.json" route53profiles list-profiles
save "$region_directory/list-profile-associations.json" route53profiles list-profile-associations
ids 'ProfileSummaries[].Id' route53profiles list-profiles
for profile in $found; do
    save "$region_directory/profiles/$profile.json" \
        route53profiles list-profile-resource-associations --profile-id "$profile"
done

ids 'Vpcs[].VpcId' ec2 describe-vpcs
for vpc in $found; do
    save "$region_directory/service-networks/$vpc.json" \
        vpc-lattice list-service-network-vpc-associations --vpc-identifier "$vpc"
    # Includes zones of other accounts, which list-hosted-zones does not return.
    save "$directory/hosted-zones-by-vpc/$vpc.json" \
        route53 list-hosted-zones-by-vpc --vpc-id "$vpc" --vpc-region "$region"
done

save "$directory/list-hosted-zones.json" route53 list-hosted-zones
ids 'HostedZones[].Id' route53 list-hosted-zones
for zone in $found; do
    zone=${zone##*/}
    save "$directory/hosted-zones/$zone.json" route53 get-hosted-zone --id "$zone"
    save "$directory/hosted-zones/$zone-records.json" route53 list-resource-record-sets --hosted-zone-id "$zone"
done

save "$directory/list-health-checks.json" route53 list-health-checks
# Calculated health checks and those of CloudWatch alarms have no status from health checkers.
ids 'HealthChecks[?HealthCheckConfig.FullyQualifiedDomainName || HealthCheckConfig.IPAddress].Id' route53 list-health-checks
for check in $found; do
    save "$directory/health-checks/$check.json" route53 get-health-check-status --health-check-id "$check"
done

if [ "$skipped_count" -gt 0 ]; then
    echo "aws-export.sh: skipped $skipped_count commands" >&2
    exit 1
fi
