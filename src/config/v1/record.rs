//! Record sets, with what routing policies go by: the keys of the Route 53 API's `ResourceRecordSet` in snake case.

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
    /// TTL in seconds, if it is said.
    pub ttl: Option<u32>,
    /// The data of its records.
    pub values: Option<Vec<Marked<String>>>,
    /// For an alias record: its target.
    pub alias: Option<Marked<Name>>,
    /// What else it has. Most record sets have nothing of it, and there are many record sets.
    pub more: Option<Box<RecordMore>>,
}

/// What few record sets have.
#[derive(Clone, Debug, Default)]
pub struct RecordMore {
    /// Whether an alias is as healthy as its target.
    pub evaluate_target_health: bool,
    /// What tells it from the other record sets of its name and type.
    pub set_identifier: Option<Marked<String>>,
    /// Weighted: its weight.
    pub weight: Option<i32>,
    /// Latency: the region that its resource is in.
    pub region: Option<Marked<Region>>,
    /// Geolocation: whom it answers.
    pub geo_location: Option<GeoLocation>,
    /// Geoproximity: where its resource is.
    pub geo_proximity_location: Option<GeoProximityLocation>,
    /// Failover: which of the two it is.
    pub failover: Option<Failover>,
    /// Multivalue answer: whether it is one of up to eight.
    pub multi_value_answer: bool,
    /// The health check that says whether it may answer.
    pub health_check_id: Option<Marked<String>>,
}

/// A record set.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Flat {
    /// The owner name: relative to the zone, absolute with a final dot, `@` or empty for the apex.
    name: Marked<String>,
    /// The record type.
    #[serde(rename = "type")]
    record_type: Marked<RecordType>,
    /// TTL in seconds; 300 unless said. An alias has its target's.
    ttl: Option<u32>,
    /// The data, each with its fields as in a zone file. Names in it are absolute.
    values: Option<Vec<Marked<String>>>,
    /// For an alias record: the name whose records of the same type it answers with.
    alias: Option<Marked<Name>>,
    /// For an alias record with a routing policy: whether it is as healthy as its target.
    #[serde(default)]
    evaluate_target_health: bool,
    /// With a routing policy: what tells it from the other record sets of its name and type.
    set_identifier: Option<Marked<String>>,
    /// Weighted: how often it is drawn, 0 to 255, beside the others' weights.
    weight: Option<i32>,
    /// Latency: the region that its resource is in.
    region: Option<Marked<Region>>,
    /// Geolocation: whom it answers.
    geo_location: Option<GeoLocation>,
    /// Geoproximity: where its resource is.
    geo_proximity_location: Option<GeoProximityLocation>,
    /// Failover: `PRIMARY` or `SECONDARY`.
    failover: Option<Failover>,
    /// Multivalue answer: whether it is one of up to eight.
    #[serde(default)]
    multi_value_answer: bool,
    /// The health check that says whether it may answer.
    health_check_id: Option<Marked<String>>,
}

impl From<Flat> for RecordText {
    fn from(flat: Flat) -> Self {
        // Taken apart whole, so that a new key does not compile before it has its place.
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
        let more = RecordMore {
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
        Self { name, record_type, ttl, values, alias, more: more.kept() }
    }
}

impl RecordMore {
    /// What is kept of it: nothing where nothing is said.
    pub fn kept(self) -> Option<Box<Self>> {
        let says_something = self.evaluate_target_health
            || self.set_identifier.is_some()
            || self.health_check_id.is_some()
            || !self.policies().is_empty();
        says_something.then(|| Box::new(self))
    }

    /// The keys of routing policies that are said.
    pub fn policies(&self) -> Vec<&'static str> {
        let said = [
            ("weight", self.weight.is_some()),
            ("multi_value_answer", self.multi_value_answer),
            ("failover", self.failover.is_some()),
            ("region", self.region.is_some()),
            ("geo_location", self.geo_location.is_some()),
            ("geo_proximity_location", self.geo_proximity_location.is_some()),
        ];
        said.iter().filter(|(_, is_said)| *is_said).map(|(key, _)| *key).collect()
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

/// Whom a geolocation record set answers (Route 53 API, `GeoLocation`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GeoLocation {
    /// A continent: `AF`, `AN`, `AS`, `EU`, `NA`, `OC` or `SA`.
    pub continent_code: Option<String>,
    /// A country, such as `JP`; `*` is everybody whom no other record set answers.
    pub country_code: Option<String>,
    /// A state of the United States or a region of Ukraine, beside the country.
    pub subdivision_code: Option<String>,
}

/// Where a geoproximity record set's resource is (Route 53 API, `GeoProximityLocation`).
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GeoProximityLocation {
    /// A region.
    pub aws_region: Option<Marked<Region>>,
    /// A group of Local Zones. It is refused: where it lies is not known here.
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
