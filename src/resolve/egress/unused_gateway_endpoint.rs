//! Gateway endpoints whose prefixes contain an address but that are not on the path to it.

use std::net::IpAddr;

use crate::aws::hostname;
use crate::net::nat64_to_ipv4;
use crate::resolve::path::{EgressPath, Reason};
use crate::world::{Endpoint, EndpointKind, Index, Network, Place, RouteTable, Subnet, Vpc};

/// Why the path from a subnet does not use a gateway endpoint that could serve the address.
pub(super) fn gateway_endpoint(
    network: &Network,
    here: &Place,
    subnet: Index<Subnet>,
    address: IpAddr,
    path: &EgressPath,
) -> Option<Reason> {
    let own = &network.subnets[subnet];
    let by_own_table = |address: IpAddr| {
        // A client cannot send to an address family that it does not have, whatever the route table contains.
        here.has_address_of_family(address).then(|| unused(network, own.vpc, own.route_table, address))?
    };
    match nat64_to_ipv4(address) {
        None => by_own_table(address),
        Some(embedded) => translated(network, path, embedded.into(), by_own_table),
    }
}

/// The same for traffic that a NAT gateway translates. Prefix lists contain the IPv4 addresses, so unlike for
/// IPv4, the client's own route table never selects a gateway endpoint; the route table of the NAT gateway
/// may ("DNS64 and NAT64", VPC User Guide).
fn translated(
    network: &Network,
    path: &EgressPath,
    embedded: IpAddr,
    by_own_table: impl Fn(IpAddr) -> Option<Reason>,
) -> Option<Reason> {
    if let known @ Some(Reason::EndpointAvailableNotUsed) = by_own_table(embedded) {
        return known;
    }
    let nat = &network.nat_gateways[path.translated_by?];
    let by_gateway_endpoint = matches!(path.endpoint, Some((_, None)));
    if by_gateway_endpoint { None } else { unused(network, nat.vpc, nat.route_table, embedded) }
}

/// Why a route table of a VPC does not select one of its gateway endpoints, if the prefix list of one
/// contains the address, or one is for the address's service in another region.
fn unused(network: &Network, vpc: Index<Vpc>, table: Index<RouteTable>, address: IpAddr) -> Option<Reason> {
    let vpc = &network.vpcs[vpc];
    let mut gateways = gateway_endpoints(network, vpc);
    if let Some((index, _)) = gateways.find(|(_, endpoint)| endpoint.covers(address)) {
        return Some(if network.route_tables[table].has_route_to(index) {
            Reason::EndpointAvailableNotUsed
        } else {
            Reason::EndpointNotAssociatedWithTable
        });
    }
    let (mut same_service, region) = of_owner(network, vpc, address)?;
    if region != vpc.region.as_str() {
        return same_service.next().map(|_| Reason::CrossRegionNotInPrefixList);
    }
    let bypasses_ipv4_gateway = address.is_ipv6() && same_service.any(|endpoint| endpoint.is_ipv4_gateway);
    bypasses_ipv4_gateway.then_some(Reason::EndpointAvailableNotUsed)
}

/// The gateway endpoints of a VPC that are for the service of an IPv6 address but support only IPv4.
pub fn ipv4_only_gateway_endpoints<'w>(
    network: &'w Network,
    vpc: &'w Vpc,
    address: IpAddr,
) -> Vec<&'w Endpoint> {
    let is_applicable = |region: &str| address.is_ipv6() && region == vpc.region.as_str();
    let found = of_owner(network, vpc, address).filter(|(_, region)| is_applicable(region));
    let endpoints = found.into_iter().flat_map(|(endpoints, _)| endpoints);
    endpoints.filter(|endpoint| endpoint.is_ipv4_gateway).collect()
}

/// The gateway endpoints of a VPC for the service to which AWS's IP ranges assign an address, and the region
/// that they assign.
fn of_owner<'w>(
    network: &'w Network,
    vpc: &'w Vpc,
    address: IpAddr,
) -> Option<(impl Iterator<Item = &'w Endpoint>, &'w str)> {
    let (service, region) = network.ranges().owner(address)?;
    let all = gateway_endpoints(network, vpc).map(|(_, endpoint)| endpoint);
    Some((all.filter(move |endpoint| hostname::ip_ranges_service(&endpoint.service) == service), region))
}

fn gateway_endpoints<'w>(
    network: &'w Network,
    vpc: &'w Vpc,
) -> impl Iterator<Item = (Index<Endpoint>, &'w Endpoint)> {
    let all = vpc.endpoints.iter().map(|index| (*index, &network.endpoints[*index]));
    all.filter(|(_, endpoint)| endpoint.kind == EndpointKind::Gateway && endpoint.is_available)
}
