//! Which record set of several answers: the routing policies that a private hosted zone may have.
//!
//! Pure: where the asker stands and the number to draw by come in as arguments. Where a policy goes by place, it goes by
//! the region of the VPC whose resolver is asked, through an inbound endpoint too (Route 53 Developer Guide,
//! "Geolocation routing in private hosted zones" and its siblings).

use std::fmt;

use super::Cacheability;
use crate::aws::Region;
use crate::aws::geography::{RegionPlace, RegionPlaces};
use crate::dns::Rdata;
use crate::world::{Content, FailoverRole, Location, RoutedSet, RoutedSets, Routing, RoutingPolicy};

/// How many values a multivalue answer has at most ("Multivalue answer routing").
pub const MOST_VALUES: usize = 8;

/// Who asks, as far as a policy cares.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'w> {
    /// The region of the VPC whose resolver is asked. `None`: it is no VPC's.
    pub region: Option<&'w Region>,
    /// Where regions lie.
    pub places: &'w RegionPlaces,
    /// A random number to draw by.
    pub draw: u64,
}

/// What a policy chose.
#[derive(Debug)]
pub struct Choice<'z> {
    /// The policy.
    pub policy: RoutingPolicy,
    /// What answers.
    pub chosen: Chosen<'z>,
    /// Whether the same would be chosen again.
    pub keep: Cacheability,
    /// Why.
    pub why: Why<'z>,
}

/// What answers.
#[derive(Debug)]
pub enum Chosen<'z> {
    /// One record set.
    One(&'z RoutedSet),
    /// Values of several record sets, each with the set that it is of.
    Values(Vec<(&'z RoutedSet, &'z Rdata)>),
    /// None: no record set is meant for the asker.
    Nothing,
}

/// Why a record set was chosen, for `explain`.
#[derive(Debug)]
pub struct Why<'z> {
    /// What decided.
    because: Because<'z>,
    /// What health had to do with it.
    health: Health,
}

/// What decided.
#[derive(Debug)]
enum Because<'z> {
    /// Its weight, among so much weight.
    Weight(u8, u32),
    /// It is one of so many whose weights are all zero.
    ZeroWeight(usize),
    /// It is among so many values, of so many.
    Values(usize, usize),
    /// It is the primary or the secondary.
    Role(FailoverRole),
    /// Its region is the asker's.
    SameRegion(&'z Region),
    /// It is the nearest, so many kilometres away, by a bias perhaps.
    Nearest(f64, i8),
    /// Where the asker is, is not known: the first by its identifier.
    First,
    /// Its location holds the asker.
    Location(&'z Location),
    /// No location holds the asker.
    Elsewhere,
}

/// What health had to do with a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    /// All are healthy.
    All,
    /// Unhealthy ones were passed over.
    Some,
    /// None is healthy, so all count as healthy.
    None,
}

/// Chooses among record sets of one name and type.
pub fn choose<'z>(sets: &'z RoutedSets, asker: &Asker<'_>) -> Choice<'z> {
    let all = &sets.sets;
    match sets.policy {
        RoutingPolicy::Weighted => weighted(all, asker.draw),
        RoutingPolicy::MultivalueAnswer => multivalue(all, asker.draw),
        RoutingPolicy::Failover => failover(all),
        RoutingPolicy::Latency => latency(all, asker),
        RoutingPolicy::Geolocation => geolocation(all, asker.place()),
        RoutingPolicy::Geoproximity => geoproximity(all, asker.place()),
    }
}

impl Asker<'_> {
    /// Where the asker is.
    fn place(&self) -> Option<&RegionPlace> {
        self.places.of(self.region?)
    }
}

/// Draws one by weight ("Weighted routing"): of the healthy ones that have a weight; else of the healthy ones without;
/// else of all that have a weight, as if they were healthy. Where all weights are zero, each has the same chance.
fn weighted(all: &[RoutedSet], draw: u64) -> Choice<'_> {
    let weight = |set: &RoutedSet| match set.routing {
        Routing::Weighted(weight) => weight,
        _ => 0,
    };
    let some_weigh = all.iter().any(|set| weight(set) > 0);
    let group = |healthy: bool, weighs: bool| -> Vec<&RoutedSet> {
        all.iter().filter(|set| (set.is_healthy || !healthy) && (weight(set) > 0) == weighs).collect()
    };
    let groups = [(true, true), (true, false), (false, some_weigh)];
    let (candidates, by_health) = groups
        .into_iter()
        .map(|(healthy, weighs)| (group(healthy, weighs), healthy))
        .find(|(group, _)| !group.is_empty())
        .expect("there is a set, with a weight or without");
    let total: u32 = candidates.iter().map(|set| u32::from(weight(set))).sum();
    let (chosen, because) = if total == 0 {
        let chosen = candidates[(draw % candidates.len() as u64) as usize];
        (chosen, Because::ZeroWeight(candidates.len()))
    } else {
        let mut left = (draw % u64::from(total)) as u32;
        let mut drawn = candidates.iter().copied();
        let chosen = drawn
            .find(|set| match left.checked_sub(u32::from(weight(set))) {
                None => true,
                Some(rest) => {
                    left = rest;
                    false
                }
            })
            .expect("what is drawn is less than all weights together");
        (chosen, Because::Weight(weight(chosen), total))
    };
    Choice {
        policy: RoutingPolicy::Weighted,
        chosen: Chosen::One(chosen),
        keep: if candidates.len() > 1 { Cacheability::Never } else { Cacheability::Generation },
        why: Why { because, health: if by_health { Health::of(all) } else { Health::None } },
    }
}

/// Up to eight values of healthy record sets, drawn when there are more; of unhealthy ones where all are.
fn multivalue(all: &[RoutedSet], mut draw: u64) -> Choice<'_> {
    let mut values: Vec<(&RoutedSet, &Rdata)> = Vec::new();
    for set in candidates(all) {
        if let Content::Records(records) = &set.content {
            values.extend(records.rdatas.iter().map(|rdata| (set, rdata)));
        }
    }
    let count = values.len();
    let keep = if count > MOST_VALUES {
        for place in 0..MOST_VALUES {
            let left = (count - place) as u64;
            values.swap(place, place + (draw % left) as usize);
            draw /= left;
        }
        values.truncate(MOST_VALUES);
        Cacheability::Never
    } else {
        Cacheability::Generation
    };
    let because = Because::Values(values.len(), count);
    let why = Why { because, health: Health::of(all) };
    Choice { policy: RoutingPolicy::MultivalueAnswer, chosen: Chosen::Values(values), keep, why }
}

/// The primary if it is healthy, else the secondary if that is healthy, else the primary.
fn failover(all: &[RoutedSet]) -> Choice<'_> {
    let of = |role| all.iter().find(|set| set.routing == Routing::Failover(role));
    let (primary, secondary) = (of(FailoverRole::Primary), of(FailoverRole::Secondary));
    let healthy = primary.filter(|set| set.is_healthy).or(secondary.filter(|set| set.is_healthy));
    let chosen = healthy.or(primary).or(secondary).expect("there is a set, which is one of the two");
    let role = if primary.is_some_and(|primary| std::ptr::eq(primary, chosen)) {
        FailoverRole::Primary
    } else {
        FailoverRole::Secondary
    };
    Choice::lasting(RoutingPolicy::Failover, chosen, Because::Role(role), Health::of(all))
}

/// The healthy record set of the asker's region, else of the nearest one.
///
/// In a private zone Route 53 takes the endpoint that "is closest in distance to the AWS Region of the VPC"
/// ("Latency-based routing in private hosted zones"). How it measures is not said; here it is the great circle between
/// cities of the two regions.
fn latency<'z>(all: &'z [RoutedSet], asker: &Asker<'_>) -> Choice<'z> {
    let region = |set: &'z RoutedSet| match &set.routing {
        Routing::Latency(region) => Some(region),
        _ => None,
    };
    let chosen = |set, because| Choice::lasting(RoutingPolicy::Latency, set, because, Health::of(all));
    if let Some(own) = candidates(all).find(|set| region(set) == asker.region)
        && let Some(same) = region(own)
    {
        return chosen(own, Because::SameRegion(same));
    }
    let here = asker.place();
    let distance_km = |set: &'z RoutedSet| {
        let there = asker.places.of(region(set)?)?;
        Some(here?.coordinates.distance_km(there.coordinates))
    };
    match nearest(candidates(all), distance_km) {
        Some((set, distance_km)) => chosen(set, Because::Nearest(distance_km, 0)),
        None => chosen(first(all), Because::First),
    }
}

/// The healthy record set of the narrowest location that holds the asker; if none of those is healthy, the narrowest.
fn geolocation<'z>(all: &'z [RoutedSet], here: Option<&RegionPlace>) -> Choice<'z> {
    let location = |set: &'z RoutedSet| match &set.routing {
        Routing::Geolocation(location) if holds(location, here) => Some((location, set)),
        _ => None,
    };
    let mut fitting: Vec<(&Location, &RoutedSet)> = all.iter().filter_map(location).collect();
    fitting.sort_by(|(one, _), (other, _)| other.cmp(one));
    let healthy = fitting.iter().find(|(_, set)| set.is_healthy);
    let health = match (healthy, fitting.first()) {
        (None, Some(_)) => Health::None,
        (Some((one, _)), Some((narrowest, _))) if one != narrowest => Health::Some,
        _ => Health::All,
    };
    match healthy.or(fitting.first()) {
        Some((location, set)) => {
            Choice::lasting(RoutingPolicy::Geolocation, set, Because::Location(location), health)
        }
        None => Choice {
            policy: RoutingPolicy::Geolocation,
            chosen: Chosen::Nothing,
            keep: Cacheability::Generation,
            why: Why { because: Because::Elsewhere, health },
        },
    }
}

/// Whether a location holds whoever is here. Nobody knows where: then only the default does.
fn holds(location: &Location, here: Option<&RegionPlace>) -> bool {
    match (location, here) {
        (Location::Default, _) => true,
        (_, None) => false,
        (Location::Continent(code), Some(here)) => **code == *here.continent,
        (Location::Country(code), Some(here)) => **code == *here.country,
        (Location::Subdivision(country, code), Some(here)) => {
            **country == *here.country && Some(&**code) == here.subdivision.as_deref()
        }
    }
}

/// The healthy record set whose resource is the nearest, a distance counting as `distance * (1 - bias / 100)`
/// ("Geoproximity routing").
fn geoproximity<'z>(all: &'z [RoutedSet], here: Option<&RegionPlace>) -> Choice<'z> {
    let distance_km = |set: &RoutedSet| match &set.routing {
        Routing::Geoproximity(near) => {
            let distance = here?.coordinates.distance_km(near.coordinates?);
            Some(distance * (1.0 - f64::from(near.bias) / 100.0))
        }
        _ => None,
    };
    let (chosen, because) = match nearest(candidates(all), distance_km) {
        Some((set, distance_km)) => {
            let bias = if let Routing::Geoproximity(near) = &set.routing { near.bias } else { 0 };
            (set, Because::Nearest(distance_km, bias))
        }
        None => (first(all), Because::First),
    };
    Choice::lasting(RoutingPolicy::Geoproximity, chosen, because, Health::of(all))
}

/// The healthy record sets, or all if none is healthy.
fn candidates(all: &[RoutedSet]) -> impl Iterator<Item = &RoutedSet> {
    let none_healthy = Health::of(all) == Health::None;
    all.iter().filter(move |set| set.is_healthy || none_healthy)
}

/// The first that may answer, by its identifier.
fn first(all: &[RoutedSet]) -> &RoutedSet {
    candidates(all).next().expect("there is a set")
}

/// The nearest of those whose distance is known, the first of equals.
fn nearest<'z>(
    sets: impl Iterator<Item = &'z RoutedSet>,
    distance_km: impl Fn(&'z RoutedSet) -> Option<f64>,
) -> Option<(&'z RoutedSet, f64)> {
    sets.filter_map(|set| Some((set, distance_km(set)?))).min_by(|(_, one), (_, other)| one.total_cmp(other))
}

impl<'z> Choice<'z> {
    /// A choice that stays as long as its world.
    fn lasting(policy: RoutingPolicy, set: &'z RoutedSet, because: Because<'z>, health: Health) -> Self {
        Self {
            policy,
            chosen: Chosen::One(set),
            keep: Cacheability::Generation,
            why: Why { because, health },
        }
    }
}

impl Health {
    /// The health of all record sets.
    fn of(all: &[RoutedSet]) -> Self {
        match all.iter().filter(|set| set.is_healthy).count() {
            0 => Self::None,
            healthy if healthy == all.len() => Self::All,
            _ => Self::Some,
        }
    }
}

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.because {
            Because::Weight(weight, total) => write!(f, "drawn by weight {weight} of {total}"),
            Because::ZeroWeight(count) => write!(f, "drawn from {count} of weight zero"),
            Because::Values(told, count) if told == count => write!(f, "all {count} values are told"),
            Because::Values(told, count) => write!(f, "{told} values drawn from {count}"),
            Because::Role(FailoverRole::Primary) => f.write_str("it is the primary"),
            Because::Role(FailoverRole::Secondary) => f.write_str("it is the secondary"),
            Because::SameRegion(region) => write!(f, "its region is the VPC's, {region}"),
            Because::Nearest(distance_km, 0) => write!(f, "it is the nearest, {distance_km:.0} km away"),
            Because::Nearest(distance_km, bias) => {
                write!(f, "it is the nearest, {distance_km:.0} km away with a bias of {bias}")
            }
            Because::First => {
                f.write_str("where the VPC's region lies is not known, and its identifier is the first")
            }
            Because::Location(location) => {
                write!(f, "{location} is the narrowest that holds the VPC's region")
            }
            Because::Elsewhere => f.write_str("no location holds the VPC's region, and there is no default"),
        }?;
        match self.health {
            Health::All => Ok(()),
            Health::Some => f.write_str("; unhealthy ones are passed over"),
            Health::None => f.write_str("; none is healthy, so all count as healthy"),
        }
    }
}

#[cfg(test)]
mod tests;
