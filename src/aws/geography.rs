//! Where AWS's regions lie: what routing by place goes by in a private hosted zone.
//!
//! Facts stand in `data/regions.tsv`. A region that the table lacks lies nowhere.

use std::collections::HashMap;

use super::facts::{TableError, lines};
use super::region::Region;

/// The Earth's mean radius, in kilometres (IUGG).
const EARTH_RADIUS_KM: f64 = 6371.0;

/// A place on Earth, in hundredths of a degree, as finely as the Route 53 API's `Coordinates` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Coordinates {
    /// From -9000 in the south to 9000 in the north.
    latitude: i16,
    /// From -18000 in the west to 18000 in the east.
    longitude: i16,
}

impl Coordinates {
    /// The place at a latitude and a longitude in degrees; `None` if there is none.
    pub fn new(latitude: f64, longitude: f64) -> Option<Self> {
        let hundredths = |degrees: f64, most: f64| {
            // What is within its bound fits 16 bits.
            (degrees.abs() <= most).then(|| (degrees * 100.0).round() as i16)
        };
        Some(Self { latitude: hundredths(latitude, 90.0)?, longitude: hundredths(longitude, 180.0)? })
    }

    /// How far another place is away along a great circle, in kilometres.
    pub fn distance_km(self, other: Self) -> f64 {
        let radians = |hundredths: i16| (f64::from(hundredths) / 100.0).to_radians();
        let (here, there) = (radians(self.latitude), radians(other.latitude));
        let north = ((there - here) / 2.0).sin();
        let east = ((radians(other.longitude) - radians(self.longitude)) / 2.0).sin();
        let haversine = north * north + here.cos() * there.cos() * east * east;
        2.0 * EARTH_RADIUS_KM * haversine.sqrt().min(1.0).asin()
    }
}

impl std::fmt::Display for Coordinates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2},{:.2}", f64::from(self.latitude) / 100.0, f64::from(self.longitude) / 100.0)
    }
}

/// Where a region lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionLocation {
    /// The country, by ISO 3166-1: `JP`.
    pub country: String,
    /// The state, in the United States: `VA`.
    pub subdivision: Option<String>,
    /// The continent, as the Route 53 API has it: `AS`.
    pub continent: String,
    /// Where on Earth.
    pub coordinates: Coordinates,
}

/// Where regions lie, some forty of them.
#[derive(Debug, Default)]
pub struct RegionLocations {
    by_region: HashMap<Region, RegionLocation>,
}

/// The codes of continents in the Route 53 API ("GeoLocation").
pub const CONTINENTS: [&str; 7] = ["AF", "AN", "AS", "EU", "NA", "OC", "SA"];

impl RegionLocations {
    /// Where a region lies; `None` if the table lacks it.
    pub fn get(&self, region: &Region) -> Option<&RegionLocation> {
        self.by_region.get(region)
    }

    pub(super) fn parse(text: &str) -> Result<Self, TableError> {
        let mut places = HashMap::new();
        for line in lines::<7>("regions.tsv", text) {
            let line = line?;
            let [region, _city, country, subdivision, continent, latitude, longitude] = line.cells;
            let degrees = |text: &str| text.parse::<f64>().map_err(|error| line.error(error));
            if !CONTINENTS.contains(&continent) {
                return Err(line.error(format!("`{continent}` is no continent")));
            }
            let coordinates = Coordinates::new(degrees(latitude)?, degrees(longitude)?)
                .ok_or_else(|| line.error("no place on Earth"))?;
            let place = RegionLocation {
                country: country.to_owned(),
                subdivision: (subdivision != "-").then(|| subdivision.to_owned()),
                continent: continent.to_owned(),
                coordinates,
            };
            places.insert(Region::parse(region).map_err(|error| line.error(error))?, place);
        }
        Ok(Self { by_region: places })
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::Facts;
    use super::*;

    #[test]
    fn distances_are_those_of_an_atlas() {
        let at = |latitude, longitude| Coordinates::new(latitude, longitude).unwrap();
        let (tokyo, osaka, london) = (at(35.68, 139.77), at(34.69, 135.50), at(51.51, -0.13));
        assert!((tokyo.distance_km(osaka) - 403.0).abs() < 5.0, "{}", tokyo.distance_km(osaka));
        assert!((tokyo.distance_km(london) - 9560.0).abs() < 30.0, "{}", tokyo.distance_km(london));
        assert_eq!(tokyo.distance_km(tokyo), 0.0);
        assert!((at(0.0, 180.0).distance_km(at(0.0, -180.0))).abs() < 0.1);
        assert!(Coordinates::new(90.01, 0.0).is_none() && Coordinates::new(0.0, f64::NAN).is_none());
    }

    #[test]
    fn the_table_has_nearly_every_known_region() {
        let places = &Facts::built_in().regions;
        let lacking: Vec<&str> = crate::aws::region::known_regions()
            .iter()
            .copied()
            .filter(|region| places.get(&Region::parse(region).unwrap()).is_none())
            .collect();
        assert_eq!(lacking, ["me-west-1", "sa-west-1", "us-south-1"]);
        let virginia = places.get(&Region::parse("us-east-1").unwrap()).unwrap();
        assert_eq!((virginia.country.as_str(), virginia.subdivision.as_deref()), ("US", Some("VA")));
    }
}
