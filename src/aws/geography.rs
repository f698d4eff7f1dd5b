//! The locations of AWS regions, used for location-based routing in private hosted zones.
//!
//! The facts are in `data/regions.tsv`. A region that is not in the table has no known location.

use std::collections::HashMap;

use super::facts::{TableError, lines};
use super::region::Region;

/// Mean radius of the Earth in kilometres (IUGG).
const EARTH_RADIUS_KM: f64 = 6371.0;

/// A location on Earth, in hundredths of a degree, which is the precision of `Coordinates` in the Route 53
/// API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Coordinates {
    /// From -9000 (south) to 9000 (north).
    latitude: i16,
    /// From -18000 (west) to 18000 (east).
    longitude: i16,
}

impl Coordinates {
    /// Creates coordinates from a latitude and a longitude in degrees. `None` if they are out of range.
    pub fn new(latitude: f64, longitude: f64) -> Option<Self> {
        let hundredths = |degrees: f64, limit: f64| {
            // Values within the limit fit into 16 bits.
            (degrees.abs() <= limit).then(|| (degrees * 100.0).round() as i16)
        };
        Some(Self { latitude: hundredths(latitude, 90.0)?, longitude: hundredths(longitude, 180.0)? })
    }

    /// Returns the great-circle distance, in kilometres.
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

/// The location of a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionLocation {
    /// The country (ISO 3166-1), such as `JP`.
    pub country: String,
    /// The state, only in the United States, such as `VA`.
    pub subdivision: Option<String>,
    /// The continent code of the Route 53 API, such as `AS`.
    pub continent: String,
    /// The coordinates.
    pub coordinates: Coordinates,
}

/// The locations of about forty regions.
#[derive(Debug, Default)]
pub struct RegionLocations {
    by_region: HashMap<Region, RegionLocation>,
}

/// The continent codes of the Route 53 API ("GeoLocation").
pub const CONTINENTS: [&str; 7] = ["AF", "AN", "AS", "EU", "NA", "OC", "SA"];

impl RegionLocations {
    /// Returns the location of a region. `None` if it is unknown.
    pub fn get(&self, region: &Region) -> Option<&RegionLocation> {
        self.by_region.get(region)
    }

    pub(super) fn parse(text: &str) -> Result<Self, TableError> {
        let mut by_region = HashMap::new();
        for line in lines::<7>("regions.tsv", text) {
            let line = line?;
            let [region, _city, country, subdivision, continent, latitude, longitude] = line.cells;
            let degrees = |text: &str| text.parse::<f64>().map_err(|error| line.error(error));
            if !CONTINENTS.contains(&continent) {
                return Err(line.error(format!("invalid continent `{continent}`")));
            }
            let coordinates = Coordinates::new(degrees(latitude)?, degrees(longitude)?)
                .ok_or_else(|| line.error("invalid coordinates"))?;
            let location = RegionLocation {
                country: country.to_owned(),
                subdivision: (subdivision != "-").then(|| subdivision.to_owned()),
                continent: continent.to_owned(),
                coordinates,
            };
            by_region.insert(Region::parse(region).map_err(|error| line.error(error))?, location);
        }
        Ok(Self { by_region })
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::Facts;
    use super::*;

    #[test]
    fn distances_agree_with_an_atlas() {
        let at = |latitude, longitude| Coordinates::new(latitude, longitude).unwrap();
        let (tokyo, osaka, london) = (at(35.68, 139.77), at(34.69, 135.50), at(51.51, -0.13));
        assert!((tokyo.distance_km(osaka) - 403.0).abs() < 5.0, "{}", tokyo.distance_km(osaka));
        assert!((tokyo.distance_km(london) - 9560.0).abs() < 30.0, "{}", tokyo.distance_km(london));
        assert_eq!(tokyo.distance_km(tokyo), 0.0);
        assert!((at(0.0, 180.0).distance_km(at(0.0, -180.0))).abs() < 0.1);
        assert!(Coordinates::new(90.01, 0.0).is_none() && Coordinates::new(0.0, f64::NAN).is_none());
    }

    #[test]
    fn the_table_has_all_but_three_known_regions() {
        let locations = &Facts::built_in().regions;
        let missing: Vec<&str> = crate::aws::region::known_regions()
            .iter()
            .copied()
            .filter(|region| locations.get(&Region::parse(region).unwrap()).is_none())
            .collect();
        assert_eq!(missing, ["me-west-1", "sa-west-1", "us-south-1"]);
        let virginia = locations.get(&Region::parse("us-east-1").unwrap()).unwrap();
        assert_eq!((virginia.country.as_str(), virginia.subdivision.as_deref()), ("US", Some("VA")));
    }
}
