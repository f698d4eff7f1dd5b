//! Routes of each table, such as `0.0.0.0/0 nat-1 → igw-1`.

use std::collections::BTreeMap;

use super::{Change, ChangeKind, UniqueIds, list};
use crate::world::{Index, Route, RouteTable, World};

/// The routes of a table: the target by destination or prefix list.
type Routes = BTreeMap<String, String>;

/// Compares the tables, and the routes of those that exist in both worlds.
pub(super) fn compare(old: &World, new: &World, changes: &mut Vec<Change>) {
    let (was, is) = (old, new);
    let (old, new) = (tables(was), tables(is));
    let table = |id: &str, what| Change { kind: "route-table", id: id.to_owned(), change: what };
    for (id, before) in &old {
        match new.get(id) {
            None => changes.push(table(id, ChangeKind::Removed)),
            Some(after) => {
                let route = |how| Change { kind: "route", id: id.clone(), change: ChangeKind::Changed(how) };
                changes.extend(differing(&routes(was, before), &routes(is, after)).into_iter().map(route));
            }
        }
    }
    changes.extend(new.keys().filter(|id| !old.contains_key(*id)).map(|id| table(id, ChangeKind::Added)));
}

fn differing(old: &Routes, new: &Routes) -> Vec<String> {
    let mut differences = Vec::new();
    for (destination, before) in old {
        match new.get(destination) {
            None => differences.push(format!("{destination} {before} removed")),
            Some(after) if after != before => differences.push(format!("{destination} {before} → {after}")),
            Some(_) => {}
        }
    }
    let added = new.iter().filter(|(destination, _)| !old.contains_key(*destination));
    differences.extend(added.map(|(destination, target)| format!("{destination} {target} added")));
    differences
}

/// The tables by ID.
fn tables(world: &World) -> BTreeMap<String, &RouteTable> {
    let mut unique = UniqueIds::default();
    world
        .network
        .route_tables
        .indexed()
        .map(|(index, table)| (unique.next(table_id(world, index)), table))
        .collect()
}

/// The ID of a table; the implicit table of a VPC is named after the VPC.
pub fn table_id(world: &World, index: Index<RouteTable>) -> String {
    if let Some(id) = &world.network.route_tables[index].id {
        return id.as_ref().to_owned();
    }
    let vpc =
        world.network.subnets.iter().find(|subnet| subnet.route_table == index).map(|subnet| subnet.vpc);
    format!("main of {}", vpc.map_or("no subnet", |vpc| &*world.network.vpcs[vpc].id))
}

fn routes(world: &World, table: &RouteTable) -> Routes {
    let mut leads: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for route in table.iter() {
        // To the user, a prefix list is one route, however many prefixes it has.
        let destination =
            route.prefix_list.as_deref().map_or_else(|| route.destination.to_string(), str::to_owned);
        let targets = leads.entry(destination).or_default();
        let target = target(world, route);
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    leads.into_iter().map(|(destination, targets)| (destination, list(targets))).collect()
}

fn target(world: &World, route: &Route) -> String {
    let target = world.network.target_id(&route.target);
    if route.is_blackhole { format!("{target} (blackhole)") } else { target.as_ref().to_owned() }
}
