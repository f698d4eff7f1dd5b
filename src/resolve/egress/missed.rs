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
    let (service, region) = world.ranges().owner(address)?;
    let same_service = |(_, endpoint): (_, &Endpoint)| hostname::service_label(&endpoint.service) == service;
    let elsewhere = region != vpc.region.as_str() && gateway_endpoints(world, vpc).any(same_service);
    elsewhere.then_some(Reason::CrossRegionNotInPrefixList)
}

fn gateway_endpoints<'w>(
    world: &'w World,
    vpc: &'w Vpc,
) -> impl Iterator<Item = (Index<Endpoint>, &'w Endpoint)> {
    let all = vpc.endpoints.iter().map(|index| (*index, &world.endpoints[*index]));
    all.filter(|(_, endpoint)| endpoint.kind == EndpointKind::Gateway && endpoint.is_available)
}
