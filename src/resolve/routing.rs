//! Routing policies of private hosted zones: the selection among record sets.
//!
//! Pure: the client's location and the random number are arguments. Policies that depend on location use the
//! region of the VPC whose resolver is queried, also through an inbound endpoint (Route 53 Developer Guide,
//! "Geolocation routing in private hosted zones" and related pages).

use std::fmt;

use super::Cacheability;
use crate::aws::Region;
use crate::aws::geography::{RegionLocation, RegionLocations};
use crate::dns::Rdata;
use crate::world::{Content, FailoverRole, RoutedSet, RoutedSets, Routing, RoutingLocation, RoutingPolicy};

/// Maximum number of values in a multivalue answer ("Multivalue answer routing").
pub const MAX_VALUES: usize = 8;

/// Inputs of a routing policy.
#[derive(Clone, Copy, Debug)]
pub struct RoutingContext<'w> {
    /// The region of the VPC whose resolver is queried. `None` if the resolver is not that of a VPC.
    pub region: Option<&'w Region>,
    /// The geographic locations of regions.
    pub region_locations: &'w RegionLocations,
    /// The random number.
    pub random: u64,
}

/// The decision of a routing policy.
#[derive(Debug)]
pub struct RoutingDecision<'z> {
    /// The policy.
    pub policy: RoutingPolicy,
    /// The selected records.
    pub selection: Selection<'z>,
    /// How long the decision may be cached.
    pub cacheability: Cacheability,
    /// The reason.
    pub why: RoutingReason<'z>,
}

/// The selected records.
#[derive(Debug)]
pub enum Selection<'z> {
    /// One record set.
    One(&'z RoutedSet),
    /// Values of several record sets, each with its set.
    Values(Vec<(&'z RoutedSet, &'z Rdata)>),
    /// No record set matches the client.
    Nothing,
}

/// Why a record set was selected, for `explain`.
#[derive(Debug)]
pub struct RoutingReason<'z> {
    /// The criterion.
    criterion: Criterion<'z>,
    /// The effect of health checks.
    health: SetHealth,
}

/// What determined the selection.
#[derive(Debug)]
enum Criterion<'z> {
    /// Its weight, and the sum of all weights.
    Weight(u8, u32),
    /// One of several record sets, all with weight zero.
    ZeroWeight(usize),
    /// The number of selected values, and the total.
    Values(usize, usize),
    /// It is the primary or the secondary record set.
    Role(FailoverRole),
    /// Its region is that of the client.
    SameRegion(&'z Region),
    /// It is the nearest, by distance in kilometres, possibly with a bias.
    Nearest(f64, i8),
    /// The client's location is unknown: the first by set identifier.
    First,
    /// Its location contains the client.
    Location(&'z RoutingLocation),
    /// No location contains the client.
    NoLocation,
}

/// The effect of health checks on a selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SetHealth {
    /// All are healthy.
    All,
    /// Unhealthy ones were skipped.
    Some,
    /// None is healthy, so all are treated as healthy.
    None,
}

/// Selects among the record sets of one name and type.
pub fn choose<'z>(sets: &'z RoutedSets, context: &RoutingContext<'_>) -> RoutingDecision<'z> {
    let all = &sets.sets;
    match sets.policy {
        RoutingPolicy::Weighted => weighted(all, context.random),
        RoutingPolicy::MultivalueAnswer => multivalue(all, context.random),
        RoutingPolicy::Failover => failover(all),
        RoutingPolicy::Latency => latency(all, context),
        RoutingPolicy::Geolocation => geolocation(all, context.location()),
        RoutingPolicy::Geoproximity => geoproximity(all, context.location()),
    }
}

impl RoutingContext<'_> {
    /// The client's location.
    fn location(&self) -> Option<&RegionLocation> {
        self.region_locations.get(self.region?)
    }
}

/// Selects a record set by weight ("Weighted routing"): among healthy ones with a nonzero weight; otherwise
/// among healthy ones with weight zero; otherwise among all with a weight, as if they were healthy. If all
/// weights are zero, each has the same probability.
fn weighted(all: &[RoutedSet], random: u64) -> RoutingDecision<'_> {
    let weight = |set: &RoutedSet| match set.routing {
        Routing::Weighted(weight) => weight,
        _ => 0,
    };
    let has_weights = all.iter().any(|set| weight(set) > 0);
    let group = |healthy: bool, weighted: bool| -> Vec<&RoutedSet> {
        all.iter().filter(|set| (set.is_healthy || !healthy) && (weight(set) > 0) == weighted).collect()
    };
    let groups = [(true, true), (true, false), (false, has_weights)];
    let (candidates, by_health) = groups
        .into_iter()
        .map(|(healthy, weighted)| (group(healthy, weighted), healthy))
        .find(|(group, _)| !group.is_empty())
        .expect("at least one record set");
    let total: u32 = candidates.iter().map(|set| u32::from(weight(set))).sum();
    let (chosen, criterion) = if total == 0 {
        let chosen = candidates[(random % candidates.len() as u64) as usize];
        (chosen, Criterion::ZeroWeight(candidates.len()))
    } else {
        let mut left = (random % u64::from(total)) as u32;
        let mut by_weight = candidates.iter().copied();
        let chosen = by_weight
            .find(|set| match left.checked_sub(u32::from(weight(set))) {
                None => true,
                Some(rest) => {
                    left = rest;
                    false
                }
            })
            .expect("the number is less than the sum of all weights");
        (chosen, Criterion::Weight(weight(chosen), total))
    };
    RoutingDecision {
        policy: RoutingPolicy::Weighted,
        selection: Selection::One(chosen),
        cacheability: if candidates.len() > 1 { Cacheability::Never } else { Cacheability::Generation },
        why: RoutingReason {
            criterion,
            health: if by_health { SetHealth::of(all) } else { SetHealth::None },
        },
    }
}

/// Up to eight values of healthy record sets, selected at random if there are more; of unhealthy ones if all
/// are unhealthy.
fn multivalue(all: &[RoutedSet], mut random: u64) -> RoutingDecision<'_> {
    let mut values: Vec<(&RoutedSet, &Rdata)> = Vec::new();
    for set in candidates(all) {
        if let Content::Records(records) = &set.content {
            values.extend(records.rdatas.iter().map(|rdata| (set, rdata)));
        }
    }
    let count = values.len();
    let cacheability = if count > MAX_VALUES {
        for index in 0..MAX_VALUES {
            let remaining = (count - index) as u64;
            values.swap(index, index + (random % remaining) as usize);
            random /= remaining;
        }
        values.truncate(MAX_VALUES);
        Cacheability::Never
    } else {
        Cacheability::Generation
    };
    let criterion = Criterion::Values(values.len(), count);
    let why = RoutingReason { criterion, health: SetHealth::of(all) };
    RoutingDecision {
        policy: RoutingPolicy::MultivalueAnswer,
        selection: Selection::Values(values),
        cacheability,
        why,
    }
}

/// The primary if it is healthy, otherwise the secondary if it is healthy, otherwise the primary.
fn failover(all: &[RoutedSet]) -> RoutingDecision<'_> {
    let of = |role| all.iter().find(|set| set.routing == Routing::Failover(role));
    let (primary, secondary) = (of(FailoverRole::Primary), of(FailoverRole::Secondary));
    let healthy = primary.filter(|set| set.is_healthy).or(secondary.filter(|set| set.is_healthy));
    let chosen = healthy.or(primary).or(secondary).expect("at least one of the two record sets");
    let role = if primary.is_some_and(|primary| std::ptr::eq(primary, chosen)) {
        FailoverRole::Primary
    } else {
        FailoverRole::Secondary
    };
    RoutingDecision::stable(RoutingPolicy::Failover, chosen, Criterion::Role(role), SetHealth::of(all))
}

/// The healthy record set of the client's region, otherwise that of the nearest region.
///
/// In a private hosted zone, Route 53 uses the endpoint that "is closest in distance to the AWS Region of the
/// VPC" ("Latency-based routing in private hosted zones"). The measure is not documented; here it is the
/// great-circle distance between cities of the two regions.
fn latency<'z>(all: &'z [RoutedSet], context: &RoutingContext<'_>) -> RoutingDecision<'z> {
    let region = |set: &'z RoutedSet| match &set.routing {
        Routing::Latency(region) => Some(region),
        _ => None,
    };
    let chosen =
        |set, criterion| RoutingDecision::stable(RoutingPolicy::Latency, set, criterion, SetHealth::of(all));
    if let Some(own) = candidates(all).find(|set| region(set) == context.region)
        && let Some(same) = region(own)
    {
        return chosen(own, Criterion::SameRegion(same));
    }
    let here = context.location();
    let distance_km = |set: &'z RoutedSet| {
        let there = context.region_locations.get(region(set)?)?;
        Some(here?.coordinates.distance_km(there.coordinates))
    };
    match nearest(candidates(all), distance_km) {
        Some((set, distance_km)) => chosen(set, Criterion::Nearest(distance_km, 0)),
        None => chosen(first(all), Criterion::First),
    }
}

/// The healthy record set of the most specific location that contains the client; if none of those is
/// healthy, the most specific one.
fn geolocation<'z>(all: &'z [RoutedSet], here: Option<&RegionLocation>) -> RoutingDecision<'z> {
    let location = |set: &'z RoutedSet| match &set.routing {
        Routing::Geolocation(location) if location_contains(location, here) => Some((location, set)),
        _ => None,
    };
    let mut matching: Vec<(&RoutingLocation, &RoutedSet)> = all.iter().filter_map(location).collect();
    matching.sort_by(|(one, _), (other, _)| other.cmp(one));
    let healthy = matching.iter().find(|(_, set)| set.is_healthy);
    let health = match (healthy, matching.first()) {
        (None, Some(_)) => SetHealth::None,
        (Some((one, _)), Some((narrowest, _))) if one != narrowest => SetHealth::Some,
        _ => SetHealth::All,
    };
    match healthy.or(matching.first()) {
        Some((location, set)) => {
            RoutingDecision::stable(RoutingPolicy::Geolocation, set, Criterion::Location(location), health)
        }
        None => RoutingDecision {
            policy: RoutingPolicy::Geolocation,
            selection: Selection::Nothing,
            cacheability: Cacheability::Generation,
            why: RoutingReason { criterion: Criterion::NoLocation, health },
        },
    }
}

/// Whether a location of a record set contains the client's. If the client's is unknown, only the default
/// does.
fn location_contains(location: &RoutingLocation, here: Option<&RegionLocation>) -> bool {
    match (location, here) {
        (RoutingLocation::Default, _) => true,
        (_, None) => false,
        (RoutingLocation::Continent(code), Some(here)) => **code == *here.continent,
        (RoutingLocation::Country(code), Some(here)) => **code == *here.country,
        (RoutingLocation::Subdivision(country, code), Some(here)) => {
            **country == *here.country && Some(&**code) == here.subdivision.as_deref()
        }
    }
}

/// The healthy record set whose resource is nearest, with distances multiplied by `1 - bias / 100`
/// ("Geoproximity routing").
fn geoproximity<'z>(all: &'z [RoutedSet], here: Option<&RegionLocation>) -> RoutingDecision<'z> {
    let distance_km = |set: &RoutedSet| match &set.routing {
        Routing::Geoproximity(near) => {
            let distance = here?.coordinates.distance_km(near.coordinates?);
            Some(distance * (1.0 - f64::from(near.bias) / 100.0))
        }
        _ => None,
    };
    let (chosen, criterion) = match nearest(candidates(all), distance_km) {
        Some((set, distance_km)) => {
            let bias = if let Routing::Geoproximity(near) = &set.routing { near.bias } else { 0 };
            (set, Criterion::Nearest(distance_km, bias))
        }
        None => (first(all), Criterion::First),
    };
    RoutingDecision::stable(RoutingPolicy::Geoproximity, chosen, criterion, SetHealth::of(all))
}

/// The healthy record sets, or all if none is healthy.
fn candidates(all: &[RoutedSet]) -> impl Iterator<Item = &RoutedSet> {
    let none_healthy = SetHealth::of(all) == SetHealth::None;
    all.iter().filter(move |set| set.is_healthy || none_healthy)
}

/// The first candidate by set identifier.
fn first(all: &[RoutedSet]) -> &RoutedSet {
    candidates(all).next().expect("at least one record set")
}

/// The nearest of those with a known distance; the first if several are equally near.
fn nearest<'z>(
    sets: impl Iterator<Item = &'z RoutedSet>,
    distance_km: impl Fn(&'z RoutedSet) -> Option<f64>,
) -> Option<(&'z RoutedSet, f64)> {
    sets.filter_map(|set| Some((set, distance_km(set)?))).min_by(|(_, one), (_, other)| one.total_cmp(other))
}

impl<'z> RoutingDecision<'z> {
    /// A decision that is valid for the generation of its world.
    fn stable(
        policy: RoutingPolicy,
        set: &'z RoutedSet,
        criterion: Criterion<'z>,
        health: SetHealth,
    ) -> Self {
        Self {
            policy,
            selection: Selection::One(set),
            cacheability: Cacheability::Generation,
            why: RoutingReason { criterion, health },
        }
    }
}

impl SetHealth {
    /// The health of all record sets.
    fn of(all: &[RoutedSet]) -> Self {
        match all.iter().filter(|set| set.is_healthy).count() {
            0 => Self::None,
            healthy if healthy == all.len() => Self::All,
            _ => Self::Some,
        }
    }
}

impl fmt::Display for RoutingReason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.criterion {
            Criterion::Weight(weight, total) => write!(f, "selected at random by weight {weight} of {total}"),
            Criterion::ZeroWeight(count) => {
                write!(f, "selected at random from {count} record sets with weight zero")
            }
            Criterion::Values(returned, count) if returned == count => {
                write!(f, "all {count} values")
            }
            Criterion::Values(returned, count) => {
                write!(f, "{returned} of {count} values, selected at random")
            }
            Criterion::Role(FailoverRole::Primary) => f.write_str("the primary record set"),
            Criterion::Role(FailoverRole::Secondary) => f.write_str("the secondary record set"),
            Criterion::SameRegion(region) => write!(f, "its region is that of the VPC, {region}"),
            Criterion::Nearest(distance_km, 0) => write!(f, "the nearest region, at {distance_km:.0} km"),
            Criterion::Nearest(distance_km, bias) => {
                write!(f, "the nearest, at {distance_km:.0} km with a bias of {bias}")
            }
            Criterion::First => f.write_str(
                "the location of the VPC's region is unknown; the first in the order of set identifiers",
            ),
            Criterion::Location(location) => {
                write!(f, "{location} is the most specific location of the VPC's region")
            }
            Criterion::NoLocation => {
                f.write_str("no location matches the VPC's region, and there is no default record set")
            }
        }?;
        match self.health {
            SetHealth::All => Ok(()),
            SetHealth::Some => f.write_str("; unhealthy record sets are skipped"),
            SetHealth::None => f.write_str("; none is healthy, so all are used"),
        }
    }
}

#[cfg(test)]
mod tests;
