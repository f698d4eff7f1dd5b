//! Which changes between two worlds cause a difference: those of objects on the paths of the rows.

use std::collections::BTreeSet;

use super::{BothWorlds, LocationPair};
use crate::audit::locations::AuditLocation;
use crate::audit::row::Row;
use crate::audit::survey::Survey;
use crate::dns::Name;
use crate::explain::Destination;
use crate::resolve::{FilterId, Reason, Source};
use crate::world::{Change, ChangeKind, PlaceKind, World, table_id};

/// Kinds of changes that cannot affect a name: locations of clients, and listeners.
const WITHOUT_EFFECT: [&str; 2] = ["client", "listener"];

/// Objects that can affect rows: the IDs of their claims and of the objects on their paths.
#[derive(Default)]
pub(super) struct AffectedObjects {
    ids: BTreeSet<String>,
    /// Routes by table and destination, which is a prefix or prefix list.
    routes: BTreeSet<(String, String)>,
    /// Tables that a path visits after its first route.
    tables: BTreeSet<String>,
    names: Vec<Name>,
    /// Whether TTLs or response codes differ.
    is_bounded: bool,
    /// Whether answers differ, not only their paths.
    is_answer: bool,
    /// Whether public DNS answers in one of the worlds.
    is_public: bool,
}

impl AffectedObjects {
    pub(super) fn of<'p>(
        surveys: &[Survey<'_>; 2],
        locations: &[&BothWorlds],
        rows: impl Iterator<Item = &'p LocationPair>,
    ) -> Self {
        let mut touched = Self::default();
        for both in locations {
            touched.place(surveys[0].world, &both.before);
            touched.place(surveys[1].world, &both.after);
        }
        for pair in rows {
            for (world, row) in [(surveys[0].world, &pair.before), (surveys[1].world, &pair.after)] {
                touched.row(world, row);
            }
            // Traffic arrives in one world but not in the other.
            let is_of_replies =
                |reason: &Reason| matches!(reason, Reason::NoReturnRoute | Reason::AsymmetricRouting);
            let by_replies = |row: &Row| row.all_reasons().iter().any(is_of_replies);
            if by_replies(&pair.before) || by_replies(&pair.after) {
                touched.return_paths(surveys[0].world, &pair.before);
                touched.return_paths(surveys[1].world, &pair.after);
            }
            touched.is_answer |= pair.before.addresses() != pair.after.addresses()
                || pair.before.records != pair.after.records
                || pair.before.ttls != pair.after.ttls
                || pair.before.rcode != pair.after.rcode;
            touched.is_bounded |=
                pair.before.ttls != pair.after.ttls || pair.before.rcode != pair.after.rcode;
        }
        if touched.is_answer {
            surveys.iter().for_each(|survey| touched.names_of_endpoints(survey.world));
        }
        touched
    }

    /// A location affects itself and its VPC.
    fn place(&mut self, world: &World, location: &AuditLocation) {
        self.ids.insert(location.place.to_string());
        if let Some(vpc) = world.network.place_vpc(location.vantage.place) {
            self.ids.insert(vpc.id.to_string());
        }
        if let PlaceKind::Subnet(subnet) = world.network.places[location.vantage.place].kind {
            let table = world.network.subnets[subnet].route_table;
            // An implicit table is identified by its VPC's ID, which is not on any path.
            if world.network.route_tables[table].id.is_none() {
                self.tables.insert(table_id(world, table));
            }
        }
    }

    fn row(&mut self, world: &World, row: &Row) {
        self.names.push(row.question.qname.clone());
        self.ids.extend(row.claim.as_ref().map(|(_, id)| id.to_string()));
        self.ids.extend(row.profile.iter().map(|id| id.to_string()));
        self.is_public |= matches!(row.source, Source::Public | Source::SystemRule);
        for path in &row.paths {
            let path = &path.path;
            self.ids.extend(path.via.iter().map(|id| id.to_string()));
            if let Some(matched) = &path.matched
                && let Some(table) = &matched.route_table
            {
                self.routes.insert((table.to_string(), matched.destination.to_string()));
                self.routes
                    .extend(matched.prefix_list.iter().map(|list| (table.to_string(), list.to_string())));
            }
            let is_at_interface = matches!(path.endpoint, Some((_, Some(_))));
            for (left, hop) in path.hops.iter().rev().enumerate() {
                self.ids.insert(hop.id.to_string());
                if let Some(id) = &hop.subnet {
                    self.ids.insert(id.to_string());
                    // The table of the destination is for return traffic.
                    if left > 0 || !is_at_interface {
                        self.table_of(world, id);
                    }
                }
            }
            for filter in &path.filters {
                let id = match filter.filter {
                    FilterId::SecurityGroup(index) => &world.network.security_groups[index].id,
                    FilterId::NetworkAcl(index) => &world.network.network_acls[index].id,
                };
                self.ids.insert(id.to_string());
            }
            if let Destination::Subnet { vpc, subnet, owner } = Destination::of(world, path) {
                let all = [Some(vpc), subnet, owner];
                self.ids.extend(all.into_iter().flatten().map(|id| id.to_string()));
            }
        }
    }

    /// The tables at which return paths start.
    fn return_paths(&mut self, world: &World, row: &Row) {
        for path in &row.paths {
            if let Destination::Subnet { subnet: Some(subnet), .. } = Destination::of(world, &path.path) {
                self.table_of(world, &subnet);
            }
        }
    }

    /// The route table of a subnet.
    fn table_of(&mut self, world: &World, subnet: &str) {
        let place = world.network.places.named(subnet).map(|place| world.network.places[place].kind);
        if let Some(PlaceKind::Subnet(subnet)) = place {
            self.tables.insert(table_id(world, world.network.subnets[subnet].route_table));
        }
    }

    /// Endpoint-specific names are public and resolve to the endpoint everywhere.
    fn names_of_endpoints(&mut self, world: &World) {
        let names: Vec<String> = self.names.iter().map(Name::to_string).collect();
        let names: Vec<&String> = names.iter().filter(|name| name.contains(".vpce.")).collect();
        for endpoint in world.network.endpoints.iter().filter(|_| !names.is_empty()) {
            let Some(own) = &endpoint.regional_name else { continue };
            let own = own.to_string();
            if names.iter().any(|name| is_name_of(name, own.trim_start_matches("*."))) {
                self.ids.insert(endpoint.id.to_string());
            }
        }
    }

    /// Whether a change is one of an affecting object.
    pub(super) fn by(&self, change: &Change) -> bool {
        let id = change.id.as_str();
        match change.kind {
            _ if !may_have_effect(change) => false,
            "route" => {
                let ChangeKind::Changed(how) = &change.change else { return self.tables.contains(id) };
                let destination = how.split(' ').next().unwrap_or_default();
                self.routes.contains(&(id.to_owned(), destination.to_owned())) || self.tables.contains(id)
            }
            "route-table" => {
                self.tables.contains(id) || self.routes.iter().any(|(table, _)| table.as_str() == id)
            }
            "zone" => self.zone(id),
            "setting" if id == "answers" => self.is_bounded,
            "setting" if id == "internet" => self.is_public && self.is_answer,
            "setting" => false,
            _ => self.ids.contains(id),
        }
    }

    /// Whether a zone affects the rows, by its apex or its ID in brackets.
    fn zone(&self, id: &str) -> bool {
        if id == "public records" {
            return self.is_public && self.is_answer;
        }
        if !self.is_answer {
            return false;
        }
        let (apex, own) =
            id.split_once(" (").map_or((id, None), |(apex, rest)| (apex, rest.strip_suffix(')')));
        let is_claimed = own.is_some_and(|own| self.ids.contains(own))
            || self.ids.iter().any(|have| have.trim_end_matches('.') == apex.trim_end_matches('.'));
        let apex = Name::parse(apex).ok();
        is_claimed || apex.is_some_and(|apex| self.names.iter().any(|name| name.is_at_or_below(&apex)))
    }
}

/// Whether a change can affect a name.
pub(super) fn may_have_effect(change: &Change) -> bool {
    !WITHOUT_EFFECT.contains(&change.kind)
}

/// Whether a name is an endpoint's regional name, one of its zonal names, or below them.
fn is_name_of(name: &str, regional: &str) -> bool {
    let Some((first, rest)) = regional.split_once('.') else { return false };
    let above = name.strip_suffix(rest).and_then(|above| above.strip_suffix('.'));
    let label = above.and_then(|above| above.rsplit('.').next());
    label
        .and_then(|label| label.strip_prefix(first))
        .is_some_and(|zone| zone.is_empty() || zone.starts_with('-'))
}
