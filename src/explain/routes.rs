//! The routes that a path follows, for display.

use ipnet::IpNet;

use crate::resolve::{EgressPath, MatchedRoute, NextRoute, RouteTableRef};
use crate::world::World;

/// The routes of a path after the first, each with the number of hops before it.
pub(super) fn next_routes(world: &World, path: &EgressPath) -> Vec<(usize, MatchedRoute)> {
    path.next_routes.iter().filter_map(|next| Some((next.after, matched(world, next)?))).collect()
}

fn matched(world: &World, next: &NextRoute) -> Option<MatchedRoute> {
    route(world, next.table, next.destination)
}

/// The route of a table for a prefix.
pub(super) fn route(world: &World, table: RouteTableRef, destination: IpNet) -> Option<MatchedRoute> {
    match table {
        RouteTableRef::Vpc(index) => {
            let table = &world.network.route_tables[index];
            let route = table.exactly(&destination).first()?;
            Some(MatchedRoute {
                route_table: table.id.clone(),
                destination,
                prefix_list: route.prefix_list.clone(),
                target: world.network.target_id(&route.target),
            })
        }
        RouteTableRef::TransitGateway(index, number) => {
            let gateway = &world.network.transit_gateways[index];
            let table = &gateway.route_tables[number];
            let route = table.iter().find(|route| route.destination == destination)?;
            let attachment = route.attachment.map(|number| gateway.attachments[number].id.clone());
            Some(MatchedRoute {
                route_table: Some(table.id.clone().unwrap_or_else(|| gateway.id.clone())),
                destination,
                prefix_list: None,
                target: attachment.unwrap_or_else(|| "blackhole".into()),
            })
        }
    }
}
