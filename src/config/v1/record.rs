//! Record sets, with what routing policies go by: the keys of the Route 53 API's `ResourceRecordSet` in snake case.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::aws::Region;
use crate::config::source::Marked;
use crate::dns::{Name, RecordType};

/// A record set.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordText {
    /// The owner name: relative to the zone, absolute with a final dot, `@` or empty for the apex.
    pub name: Marked<String>,
    /// The record type.
    #[serde(rename = "type")]
    pub record_type: Marked<RecordType>,
    /// TTL in seconds; 300 unless said. An alias has its target's.
    pub ttl: Option<u32>,
    /// The data, each with its fields as in a zone file. Names in it are absolute.
    pub values: Option<Vec<Marked<String>>>,
    /// For an alias record: the name whose records of the same type it answers with.
    pub alias: Option<Marked<Name>>,
    /// For an alias record with a routing policy: whether it is as healthy as its target.
    #[serde(default)]
    pub evaluate_target_health: bool,
    /// With a routing policy: what tells it from the other record sets of its name and type.
    pub set_identifier: Option<Box<Marked<String>>>,
    /// Weighted: how often it is drawn, 0 to 255, beside the others' weights.
    pub weight: Option<i32>,
    /// Latency: the region that its resource is in.
    pub region: Option<Box<Marked<Region>>>,
    /// Geolocation: whom it answers.
    pub geo_location: Option<Box<GeoLocation>>,
    /// Geoproximity: where its resource is.
    pub geo_proximity_location: Option<Box<GeoProximityLocation>>,
    /// Failover: `PRIMARY` or `SECONDARY`.
    pub failover: Option<Failover>,
    /// Multivalue answer: whether it is one of up to eight.
    #[serde(default)]
    pub multi_value_answer: bool,
    /// The health check that says whether it may answer.
    pub health_check_id: Option<Box<Marked<String>>>,
}

/// Whom a geolocation record set answers (Route 53 API, `GeoLocation`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GeoLocation {
    /// A continent: `AF`, `AN`, `AS`, `EU`, `NA`, `OC` or `SA`.
    pub continent_code: Option<String>,
    /// A country, such as `JP`; `*` is everybody whom no other record set answers.
    pub country_code: Option<String>,
    /// A state of the United States, beside the country.
    pub subdivision_code: Option<String>,
}

/// Where a geoproximity record set's resource is (Route 53 API, `GeoProximityLocation`).
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GeoProximityLocation {
    /// A region.
    pub aws_region: Option<Box<Marked<Region>>>,
    /// A group of Local Zones, which is not supported.
    pub local_zone_group: Option<String>,
    /// A place on Earth.
    pub coordinates: Option<GeoCoordinates>,
    /// How much nearer it counts, in hundredths: -99 to 99.
    #[serde(default)]
    pub bias: i32,
}

/// A place on Earth, in degrees.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GeoCoordinates {
    /// From -90 in the south to 90 in the north.
    pub latitude: f64,
    /// From -180 in the west to 180 in the east.
    pub longitude: f64,
}

/// Which of two record sets one is (Route 53 API, `Failover`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Failover {
    /// The one that answers.
    Primary,
    /// The one that answers when the other is unhealthy.
    Secondary,
}
