//! The routes that a way follows, in words.

use ipnet::IpNet;

use crate::resolve::{EgressPath, NextRoute, RouteTableRef, MatchedRoute};
use crate::world::World;

/// The routes of a way after the first, each with how many hops were passed before it.
pub fn later(world: &World, path: &EgressPath) -> Vec<(usize, MatchedRoute)> {
    path.next_routes.iter().filter_map(|later| Some((later.after, told(world, later)?))).collect()
}

fn told(world: &World, later: &NextRoute) -> Option<MatchedRoute> {
    route(world, later.table, later.destination)
}

/// The route of a table to a prefix.
pub fn route(world: &World, table: RouteTableRef, destination: IpNet) -> Option<MatchedRoute> {
    match table {
        RouteTableRef::Vpc(index) => {
            let table = &world.route_tables[index];
            let route = table.exactly(&destination).first()?;
            Some(MatchedRoute {
                route_table: table.id.clone(),
                destination,
                prefix_list: route.prefix_list.clone(),
                target: world.target_id(&route.target),
            })
        }
        RouteTableRef::TransitGateway(index, number) => {
            let gateway = &world.transit_gateways[index];
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
