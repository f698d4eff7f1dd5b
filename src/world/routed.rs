//! Record sets of one name and type with a Route 53 routing policy.
//!
//! All policies that private hosted zones support, which are all except IP-based routing (Route 53 Developer
//! Guide, "Supported routing policies for records in a private hosted zone").

use std::fmt;

use crate::aws::{Coordinates, Region};
use crate::dns::{Name, RecordType, RrSet};

/// The record sets of one name and type, which have the same policy.
#[derive(Debug, PartialEq, Eq)]
pub struct RoutedSets {
    /// Their type.
    pub rtype: RecordType,
    /// The policy.
    pub policy: RoutingPolicy,
    /// The sets by identifier; at least one.
    pub sets: Box<[RoutedSet]>,
}

/// One of several record sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutedSet {
    /// Its `SetIdentifier`.
    pub identifier: Box<str>,
    /// Its parameters for the policy.
    pub routing: Routing,
    /// Whether its health check, and that of its alias target if evaluated, is healthy.
    pub is_healthy: bool,
    /// Its records.
    pub content: Content,
}

/// The records of a record set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// These records.
    Records(RrSet),
    /// The records of the same type of this name.
    Alias(Name),
}

/// A routing policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoutingPolicy {
    /// Random, in proportion to weights.
    Weighted,
    /// Up to eight healthy values.
    MultivalueAnswer,
    /// The secondary if the primary is unhealthy.
    Failover,
    /// The nearest region.
    Latency,
    /// The most specific location that contains the client.
    Geolocation,
    /// The nearest, with distances modified by a bias.
    Geoproximity,
}

/// The parameters of one record set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Routing {
    /// Its weight, 0 to 255.
    Weighted(u8),
    /// None.
    MultivalueAnswer,
    /// Its role.
    Failover(FailoverRole),
    /// The region of its resource.
    Latency(Region),
    /// The location of the clients.
    Geolocation(RoutingLocation),
    /// The location of its resource.
    Geoproximity(Proximity),
}

/// The role of a record set (Route 53 API, `Failover`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailoverRole {
    /// Answers while it is healthy.
    Primary,
    /// Answers if the primary is unhealthy.
    Secondary,
}

/// The location of clients of a geolocation record set (Route 53 API, `GeoLocation`). More specific locations
/// are greater.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RoutingLocation {
    /// All other clients: country `*`.
    Default,
    /// A continent, by its two-letter code.
    Continent(Box<str>),
    /// A country, by its ISO 3166-1 code.
    Country(Box<str>),
    /// A subdivision: the country, and a state of the United States.
    Subdivision(Box<str>, Box<str>),
}

/// The location of a geoproximity record set's resource (Route 53 API, `GeoProximityLocation`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proximity {
    /// The coordinates. `None` for a region without known coordinates.
    pub coordinates: Option<Coordinates>,
    /// The region or coordinates as configured.
    pub written: Box<str>,
    /// The bias, in percent: -99 to 99.
    pub bias: i8,
}

impl RoutingPolicy {
    /// Its name.
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

    /// Maximum number of record sets of one name and type (Route 53 Developer Guide, "Quotas").
    pub fn most_sets(self) -> usize {
        match self {
            Self::Weighted | Self::MultivalueAnswer | Self::Latency | Self::Geolocation => 100,
            Self::Geoproximity => 30,
            Self::Failover => 2,
        }
    }
}

impl Routing {
    /// The policy of these parameters.
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

    /// Whether two record sets of one name and type could not be distinguished by these parameters.
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

impl fmt::Display for RoutingLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default location"),
            Self::Continent(code) => write!(f, "continent {code}"),
            Self::Country(code) => write!(f, "country {code}"),
            Self::Subdivision(country, code) => write!(f, "subdivision {country}-{code}"),
        }
    }
}
