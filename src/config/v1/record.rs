//! Record sets, with routing policies: the keys of the Route 53 API's `ResourceRecordSet` in snake case.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::aws::Region;
use crate::config::source::Marked;
use crate::dns::{Name, RecordType};

/// A record set.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Flat")]
pub struct RecordText {
    /// The owner name.
    pub name: Marked<String>,
    /// The record type.
    pub record_type: Marked<RecordType>,
    /// TTL in seconds, if configured.
    pub ttl: Option<u32>,
    /// The data of its records.
    pub values: Option<Vec<Marked<String>>>,
    /// For an alias record: its target.
    pub alias: Option<Marked<Name>>,
    /// Rarely used properties, boxed because there are many record sets.
    pub properties: Option<Box<RecordProperties>>,
}

/// Rarely used properties of a record set.
#[derive(Clone, Debug, Default)]
pub struct RecordProperties {
    /// Whether an alias has the health of its target.
    pub evaluate_target_health: bool,
    /// The set identifier.
    pub set_identifier: Option<Marked<String>>,
    /// Weighted: the weight.
    pub weight: Option<i32>,
    /// Latency: the region of the resource.
    pub region: Option<Marked<Region>>,
    /// Geolocation: the location of the clients.
    pub geo_location: Option<GeoLocation>,
    /// Geoproximity: the location of the resource.
    pub geo_proximity_location: Option<GeoProximityLocation>,
    /// Failover: the role.
    pub failover: Option<Failover>,
    /// Multivalue answer: whether it is one of up to eight.
    pub multi_value_answer: bool,
    /// The health check.
    pub health_check_id: Option<Marked<String>>,
}

/// A record set.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Flat {
    /// The owner name: relative to the zone, absolute with a trailing dot, `@` or empty for the apex.
    name: Marked<String>,
    /// The record type.
    #[serde(rename = "type")]
    record_type: Marked<RecordType>,
    /// TTL in seconds. Default: 300. An alias record has the TTL of its target.
    ttl: Option<u32>,
    /// The data, with fields as in a zone file. Names in it are absolute.
    values: Option<Vec<Marked<String>>>,
    /// For an alias record: the name whose records of the same type are returned.
    alias: Option<Marked<Name>>,
    /// For an alias record with a routing policy: whether it has the health of its target.
    #[serde(default)]
    evaluate_target_health: bool,
    /// With a routing policy: distinguishes it from other record sets of the same name and type.
    set_identifier: Option<Marked<String>>,
    /// Weighted: the weight, 0 to 255, relative to the sum of weights.
    weight: Option<i32>,
    /// Latency: the region of the resource.
    region: Option<Marked<Region>>,
    /// Geolocation: the location of the clients.
    geo_location: Option<GeoLocation>,
    /// Geoproximity: the location of the resource.
    geo_proximity_location: Option<GeoProximityLocation>,
    /// Failover: `PRIMARY` or `SECONDARY`.
    failover: Option<Failover>,
    /// Multivalue answer: whether it is one of up to eight.
    #[serde(default)]
    multi_value_answer: bool,
    /// The health check that determines whether it is used.
    health_check_id: Option<Marked<String>>,
}

impl From<Flat> for RecordText {
    fn from(flat: Flat) -> Self {
        // Exhaustive, so that a new key must be handled.
        let Flat {
            name,
            record_type,
            ttl,
            values,
            alias,
            evaluate_target_health,
            set_identifier,
            weight,
            region,
            geo_location,
            geo_proximity_location,
            failover,
            multi_value_answer,
            health_check_id,
        } = flat;
        let more = RecordProperties {
            evaluate_target_health,
            set_identifier,
            weight,
            region,
            geo_location,
            geo_proximity_location,
            failover,
            multi_value_answer,
            health_check_id,
        };
        Self { name, record_type, ttl, values, alias, properties: more.into_boxed() }
    }
}

impl RecordProperties {
    /// The properties, or `None` if none is set.
    pub fn into_boxed(self) -> Option<Box<Self>> {
        let has_any = self.evaluate_target_health
            || self.set_identifier.is_some()
            || self.health_check_id.is_some()
            || !self.policies().is_empty();
        has_any.then(|| Box::new(self))
    }

    /// The keys of routing policies that are set.
    pub fn policies(&self) -> Vec<&'static str> {
        let policies = [
            ("weight", self.weight.is_some()),
            ("multi_value_answer", self.multi_value_answer),
            ("failover", self.failover.is_some()),
            ("region", self.region.is_some()),
            ("geo_location", self.geo_location.is_some()),
            ("geo_proximity_location", self.geo_proximity_location.is_some()),
        ];
        policies.iter().filter(|(_, is_set)| *is_set).map(|(key, _)| *key).collect()
    }
}

impl JsonSchema for RecordText {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RecordText".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Flat::json_schema(generator)
    }
}

/// The location of the clients of a geolocation record set (Route 53 API, `GeoLocation`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GeoLocation {
    /// A continent: `AF`, `AN`, `AS`, `EU`, `NA`, `OC` or `SA`.
    pub continent_code: Option<String>,
    /// A country, such as `JP`; `*` for all clients that no other record set matches.
    pub country_code: Option<String>,
    /// A state of the United States or a region of Ukraine, in addition to the country.
    pub subdivision_code: Option<String>,
}

/// The location of a geoproximity record set's resource (Route 53 API, `GeoProximityLocation`).
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GeoProximityLocation {
    /// A region.
    pub aws_region: Option<Marked<Region>>,
    /// A Local Zone group. Not supported, because its location is not known.
    pub local_zone_group: Option<String>,
    /// Geographic coordinates.
    pub coordinates: Option<GeoCoordinates>,
    /// The bias, -99 to 99.
    #[serde(default)]
    pub bias: i32,
}

/// Geographic coordinates, in degrees.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GeoCoordinates {
    /// From -90 (south) to 90 (north).
    pub latitude: f64,
    /// From -180 (west) to 180 (east).
    pub longitude: f64,
}

/// The role of a failover record set (Route 53 API, `Failover`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Failover {
    /// Answers while it is healthy.
    Primary,
    /// Answers if the primary is unhealthy.
    Secondary,
}
