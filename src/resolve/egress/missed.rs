//! What is one change away: gateway endpoints that hold an address and are not on the way to it.

use std::net::IpAddr;

use crate::aws::hostname;
use crate::net::nat64_embedded;
use crate::resolve::path::{EgressPath, Reason};
use crate::world::{Endpoint, EndpointKind, Index, Place, RouteTable, Subnet, Vpc, World};

/// Why no gateway endpoint is on the way from a subnet, where one could be.
pub(super) fn gateway_endpoint(
    world: &World,
    here: &Place,
    subnet: Index<Subnet>,
    address: IpAddr,
    path: &EgressPath,
) -> Option<Reason> {
    let own = &world.subnets[subnet];
    let by_own_table = |address: IpAddr| {
        // No table helps a client to send what it has no address for.
        here.has_family_of(address).then(|| unused(world, own.vpc, own.route_table, address))?
    };
    match nat64_embedded(address) {
        None => by_own_table(address),
        Some(embedded) => translated(world, path, embedded.into(), by_own_table),
    }
}

/// The same for what a NAT gateway translates. Prefix lists hold IPv4 addresses, so the client's own table sends none of it to
/// a gateway endpoint, as it does with IPv4; the table that the NAT gateway sends by may ("DNS64 and NAT64", VPC User Guide).
fn translated(
    world: &World,
    path: &EgressPath,
    embedded: IpAddr,
    by_own_table: impl Fn(IpAddr) -> Option<Reason>,
) -> Option<Reason> {
    if let known @ Some(Reason::EndpointAvailableNotUsed) = by_own_table(embedded) {
        return known;
    }
    let nat = &world.nat_gateways[path.translated_by?];
    let by_gateway_endpoint = matches!(path.endpoint, Some((_, None)));
    if by_gateway_endpoint { None } else { unused(world, nat.vpc, nat.route_table, embedded) }
}

/// Why a table of a VPC leads to none of its gateway endpoints, where one holds the address or serves another region's.
fn unused(world: &World, vpc: Index<Vpc>, table: Index<RouteTable>, address: IpAddr) -> Option<Reason> {
    let vpc = &world.vpcs[vpc];
    let mut gateways = gateway_endpoints(world, vpc);
    if let Some((index, _)) = gateways.find(|(_, endpoint)| endpoint.holds(address)) {
        return Some(if world.route_tables[table].leads_to(index) {
            Reason::EndpointAvailableNotUsed
        } else {
            Reason::EndpointNotAssociatedWithTable
        });
    }
    let (mut same_service, region) = of_owner(world, vpc, address)?;
    if region != vpc.region.as_str() {
        return same_service.next().map(|_| Reason::CrossRegionNotInPrefixList);
    }
    let is_past_ipv4 = address.is_ipv6() && same_service.any(|endpoint| endpoint.is_ipv4_gateway);
    is_past_ipv4.then_some(Reason::EndpointAvailableNotUsed)
}

/// The gateway endpoints of a VPC that serve an IPv6 address's service there, and carry IPv4 alone.
pub fn gateways_of_ipv4_alone<'w>(world: &'w World, vpc: &'w Vpc, address: IpAddr) -> Vec<&'w Endpoint> {
    let is_held_here = |region: &str| address.is_ipv6() && region == vpc.region.as_str();
    let found = of_owner(world, vpc, address).filter(|(_, region)| is_held_here(region));
    let endpoints = found.into_iter().flat_map(|(endpoints, _)| endpoints);
    endpoints.filter(|endpoint| endpoint.is_ipv4_gateway).collect()
}

/// The gateway endpoints of a VPC for the service that AWS's ranges give an address to, and the region they give it to.
fn of_owner<'w>(
    world: &'w World,
    vpc: &'w Vpc,
    address: IpAddr,
) -> Option<(impl Iterator<Item = &'w Endpoint>, &'w str)> {
    let (service, region) = world.ranges().owner(address)?;
    let all = gateway_endpoints(world, vpc).map(|(_, endpoint)| endpoint);
    Some((all.filter(move |endpoint| hostname::service_label(&endpoint.service) == service), region))
}

fn gateway_endpoints<'w>(
    world: &'w World,
    vpc: &'w Vpc,
) -> impl Iterator<Item = (Index<Endpoint>, &'w Endpoint)> {
    let all = vpc.endpoints.iter().map(|index| (*index, &world.endpoints[*index]));
    all.filter(|(_, endpoint)| endpoint.kind == EndpointKind::Gateway && endpoint.is_available)
}
