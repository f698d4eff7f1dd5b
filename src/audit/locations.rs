//! Locations of an audit: places by name, and their splits.

use std::collections::HashSet;
use std::sync::Arc;

use crate::explain::vantage;
use crate::world::{Interface, PlaceId, PlaceKind, Vantage, World};

/// A location of an audit.
#[derive(Clone, Debug)]
pub struct AuditLocation {
    /// The name of the place.
    pub place: Arc<str>,
    /// The prefixes, for a split of the place that the name refers to; otherwise empty.
    pub prefixes: Vec<String>,
    /// Its view and place.
    pub vantage: Vantage,
}

impl AuditLocation {
    /// Its description.
    pub fn describe(&self) -> String {
        match self.prefixes.is_empty() {
            true => self.place.to_string(),
            false => format!("{} at {}", self.place, self.prefixes.join(", ")),
        }
    }

    /// The location of a place, with an optional resolver.
    pub(super) fn in_place(world: &World, place: PlaceId, view: Option<&str>) -> Result<Self, String> {
        let name = world.network.place_name(place);
        // The vantage of the name determines the resolver; the index determines which of its places it is.
        let Vantage { view, .. } = vantage(world, &name, view)?;
        let is_partial = world.network.places.named(&name) != Some(place);
        let prefixes = match is_partial {
            true => world.network.places[place].prefixes.iter().map(ToString::to_string).collect(),
            false => Vec::new(),
        };
        Ok(Self { place: name, prefixes, vantage: Vantage { view, place } })
    }
}

/// Whether a place has clients: interfaces of endpoints and gateways send no queries.
pub(crate) fn has_clients(world: &World, place: PlaceId) -> bool {
    !matches!(
        world.network.places[place].interface,
        Some(Interface::Endpoint(..) | Interface::ResolverEndpoint | Interface::NatGateway(_))
    )
}

/// The named locations, by name or address; by default all subnets and sites.
///
/// # Errors
///
/// A description of an invalid name.
pub(crate) fn locations(
    world: &World,
    from: &[String],
    view: Option<&str>,
) -> Result<Vec<AuditLocation>, String> {
    if from.is_empty() {
        let all = world.network.places.indexed().map(|(index, _)| index);
        let clients = all.filter(|place| {
            has_clients(world, *place) && world.network.places[*place].kind != PlaceKind::Outside
        });
        return clients.map(|place| AuditLocation::in_place(world, place, view)).collect();
    }
    let mut locations: Vec<AuditLocation> = Vec::new();
    for keyword in from {
        let found = vantage(world, keyword, view)?;
        let location = AuditLocation { vantage: found, ..AuditLocation::in_place(world, found.place, view)? };
        if !locations.iter().any(|have| have.vantage == location.vantage) {
            locations.push(location);
        }
    }
    Ok(locations)
}

/// Locations with identical rows.
#[derive(Clone, Debug)]
pub struct LocationGroup {
    /// The locations.
    pub locations: Vec<AuditLocation>,
    /// The rows of each chunk of questions, by the chunk's own index.
    pub(super) rows: Vec<usize>,
}

impl LocationGroup {
    /// Descriptions of the locations.
    pub fn places(&self) -> Vec<String> {
        described(self.locations.iter())
    }

    /// The distinct names of the resolvers.
    pub fn views<'w>(&self, world: &'w World) -> Vec<&'w str> {
        let mut views: Vec<&str> =
            self.locations.iter().map(|location| &*world.names.views[location.vantage.view].name).collect();
        views.sort_unstable();
        views.dedup();
        views
    }
}

/// Descriptions of locations: a split is listed only if the place that it belongs to is not.
pub(crate) fn described<'a>(locations: impl Iterator<Item = &'a AuditLocation> + Clone) -> Vec<String> {
    let whole: HashSet<&Arc<str>> = locations
        .clone()
        .filter(|location| location.prefixes.is_empty())
        .map(|location| &location.place)
        .collect();
    let is_shown =
        |location: &&AuditLocation| location.prefixes.is_empty() || !whole.contains(&location.place);
    locations.filter(is_shown).map(AuditLocation::describe).collect()
}
