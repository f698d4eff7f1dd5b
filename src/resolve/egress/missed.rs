//! What is one change away: gateway endpoints that hold an address and are not on the way to it.

use std::net::IpAddr;

use crate::aws::hostname;
use crate::resolve::path::Reason;
use crate::world::{Endpoint, EndpointKind, Index, Subnet, Vpc, World};

/// Why no gateway endpoint of the VPC is on the way, where one could be.
pub(super) fn gateway_endpoint(
    world: &World,
    vpc: &Vpc,
    subnet: Index<Subnet>,
    address: IpAddr,
) -> Option<Reason> {
    let mut gateways = gateway_endpoints(world, vpc);
    let table = &world.route_tables[world.subnets[subnet].route_table];
    if let Some((index, _)) = gateways.find(|(_, endpoint)| endpoint.holds(address)) {
        return Some(if table.leads_to(index) {
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
