//! From where names are asked: places by their names, and the smaller ones that are cut out of them.

use std::collections::HashSet;
use std::sync::Arc;

use crate::explain::vantage;
use crate::world::{Interface, PlaceId, PlaceKind, Vantage, World};

/// Somebody who asks.
#[derive(Clone, Debug)]
pub struct AuditLocation {
    /// The place's name.
    pub place: Arc<str>,
    /// The prefixes of a place that is cut out of the one that the name means; else none.
    pub prefixes: Vec<String>,
    /// Where they stand and whom they ask.
    pub vantage: Vantage,
}

impl AuditLocation {
    /// How a person tells it.
    pub fn told(&self) -> String {
        match self.prefixes.is_empty() {
            true => self.place.to_string(),
            false => format!("{} at {}", self.place, self.prefixes.join(", ")),
        }
    }

    /// Somebody in a place; whom they ask where that is said.
    pub(super) fn in_place(world: &World, place: PlaceId, view: Option<&str>) -> Result<Self, String> {
        let name = world.place_name(place);
        // The vantage of the name says whose resolver is asked; which of its places it is, the number.
        let Vantage { view, .. } = vantage(world, &name, view)?;
        let is_cut = world.place_named(&name) != Some(place);
        let prefixes = match is_cut {
            true => world.places[place].prefixes.iter().map(ToString::to_string).collect(),
            false => Vec::new(),
        };
        Ok(Self { place: name, prefixes, vantage: Vantage { view, place } })
    }
}

/// Whether anybody asks from a place: an endpoint's interface does not, nor does a gateway.
pub fn has_clients(world: &World, place: PlaceId) -> bool {
    !matches!(
        world.places[place].interface,
        Some(Interface::Endpoint(..) | Interface::ResolverEndpoint | Interface::NatGateway(_))
    )
}

/// Those who are named, by places or addresses; all subnets and sites where nobody is.
///
/// # Errors
///
/// What is wrong with a name, for a person.
pub fn askers(world: &World, from: &[String], view: Option<&str>) -> Result<Vec<AuditLocation>, String> {
    if from.is_empty() {
        let all = world.places.indexed().map(|(index, _)| index);
        let clients = all
            .filter(|place| has_clients(world, *place) && world.places[*place].kind != PlaceKind::Outside);
        return clients.map(|place| AuditLocation::in_place(world, place, view)).collect();
    }
    let mut askers: Vec<AuditLocation> = Vec::new();
    for word in from {
        let found = vantage(world, word, view)?;
        let asker = AuditLocation { vantage: found, ..AuditLocation::in_place(world, found.place, view)? };
        if !askers.iter().any(|have| have.vantage == asker.vantage) {
            askers.push(asker);
        }
    }
    Ok(askers)
}

/// Places whose rows are all equal.
#[derive(Clone, Debug)]
pub struct LocationGroup {
    /// Who asks.
    pub askers: Vec<AuditLocation>,
    /// The rows of each chunk of the questions, by the chunk's own number.
    pub(super) rows: Vec<usize>,
}

impl LocationGroup {
    /// The places as a person tells them.
    pub fn places(&self) -> Vec<String> {
        told(self.askers.iter())
    }

    /// The names of the resolvers that are asked, each once.
    pub fn views<'w>(&self, world: &'w World) -> Vec<&'w str> {
        let mut views: Vec<&str> =
            self.askers.iter().map(|asker| &*world.views[asker.vantage.view].name).collect();
        views.sort_unstable();
        views.dedup();
        views
    }
}

/// Places as a person tells them: a cut place is told only where the place it is cut out of is not among them.
pub fn told<'a>(askers: impl Iterator<Item = &'a AuditLocation> + Clone) -> Vec<String> {
    let whole: HashSet<&Arc<str>> =
        askers.clone().filter(|asker| asker.prefixes.is_empty()).map(|asker| &asker.place).collect();
    let is_told = |asker: &&AuditLocation| asker.prefixes.is_empty() || !whole.contains(&asker.place);
    askers.filter(is_told).map(AuditLocation::told).collect()
}
