//! Record sets of one name and type that a routing policy of Route 53 chooses among.
//!
//! What a private hosted zone may have: every policy but IP-based routing (Route 53 Developer Guide, "Supported
//! routing policies for records in a private hosted zone").

use std::fmt;

use crate::aws::{Coordinates, Region};
use crate::dns::{Name, RecordType, RrSet};

/// The record sets of one name and type, of one policy.
#[derive(Debug, PartialEq, Eq)]
pub struct RoutedSets {
    /// Their type.
    pub rtype: RecordType,
    /// How one of them is chosen.
    pub policy: RoutingPolicy,
    /// The sets in the order of their identifiers; at least one.
    pub sets: Box<[RoutedSet]>,
}

/// One record set of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutedSet {
    /// Its `SetIdentifier`.
    pub identifier: Box<str>,
    /// What it is chosen by.
    pub routing: Routing,
    /// Whether its health check, and its alias target's where that is evaluated, says that it may answer.
    pub is_healthy: bool,
    /// What it answers.
    pub content: Content,
}

/// What a record set answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// These records.
    Records(RrSet),
    /// The records of the same type that this name has.
    Alias(Name),
}

/// A routing policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoutingPolicy {
    /// Drawn, each as often as its weight says.
    Weighted,
    /// Up to eight healthy values.
    MultivalueAnswer,
    /// The secondary when the primary is unhealthy.
    Failover,
    /// The nearest region's.
    Latency,
    /// That of the narrowest location which holds the asker.
    Geolocation,
    /// The nearest, distances bent by a bias.
    Geoproximity,
}

/// What one record set is chosen by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Routing {
    /// Its weight, 0 to 255.
    Weighted(u8),
    /// Nothing but its health.
    MultivalueAnswer,
    /// Which of the two it is.
    Failover(FailoverRole),
    /// The region that its resource is in.
    Latency(Region),
    /// Where those are whom it answers.
    Geolocation(Location),
    /// Where its resource is.
    Geoproximity(Proximity),
}

/// Which of two record sets one is (Route 53 API, `Failover`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailoverRole {
    /// The one that answers.
    Primary,
    /// The one that answers when the other is unhealthy.
    Secondary,
}

/// Whom a geolocation record set answers (Route 53 API, `GeoLocation`). The narrowest is greatest.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Location {
    /// Everybody whom no other answers: country `*`.
    Default,
    /// A continent, by its two letters.
    Continent(Box<str>),
    /// A country, by ISO 3166-1.
    Country(Box<str>),
    /// A part of a country: the country, and a state of the United States.
    Subdivision(Box<str>, Box<str>),
}

/// Where a geoproximity record set's resource is (Route 53 API, `GeoProximityLocation`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proximity {
    /// The place. `None`: a region that nobody knows the place of.
    pub coordinates: Option<Coordinates>,
    /// How it was written: the region or the coordinates.
    pub written: Box<str>,
    /// How much nearer it counts, in hundredths: -99 to 99.
    pub bias: i8,
}

impl RoutingPolicy {
    /// The policy's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Weighted => "weighted",
            Self::MultivalueAnswer => "multivalue-answer",
            Self::Failover => "failover",
            Self::Latency => "latency",
            Self::Geolocation => "geolocation",
            Self::Geoproximity => "geoproximity",
        }
    }

    /// How many record sets of one name and type it may choose among (Route 53 Developer Guide, "Quotas").
    pub fn most_sets(self) -> usize {
        match self {
            Self::Weighted | Self::MultivalueAnswer | Self::Latency | Self::Geolocation => 100,
            Self::Geoproximity => 30,
            Self::Failover => 2,
        }
    }
}

impl Routing {
    /// The policy that this belongs to.
    pub fn policy(&self) -> RoutingPolicy {
        match self {
            Self::Weighted(_) => RoutingPolicy::Weighted,
            Self::MultivalueAnswer => RoutingPolicy::MultivalueAnswer,
            Self::Failover(_) => RoutingPolicy::Failover,
            Self::Latency(_) => RoutingPolicy::Latency,
            Self::Geolocation(_) => RoutingPolicy::Geolocation,
            Self::Geoproximity(_) => RoutingPolicy::Geoproximity,
        }
    }

    /// Whether two record sets of one name and type could never be told apart by this.
    pub fn clashes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Failover(one), Self::Failover(other)) => one == other,
            (Self::Latency(one), Self::Latency(other)) => one == other,
            (Self::Geolocation(one), Self::Geolocation(other)) => one == other,
            _ => false,
        }
    }
}

impl fmt::Display for Routing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weighted(weight) => write!(f, "weight {weight}"),
            Self::MultivalueAnswer => f.write_str("multivalue answer"),
            Self::Failover(FailoverRole::Primary) => f.write_str("PRIMARY"),
            Self::Failover(FailoverRole::Secondary) => f.write_str("SECONDARY"),
            Self::Latency(region) => region.fmt(f),
            Self::Geolocation(location) => location.fmt(f),
            Self::Geoproximity(near) => write!(f, "{} bias {}", near.written, near.bias),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default location"),
            Self::Continent(code) => write!(f, "continent {code}"),
            Self::Country(code) => write!(f, "country {code}"),
            Self::Subdivision(country, code) => write!(f, "subdivision {country}-{code}"),
        }
    }
}
