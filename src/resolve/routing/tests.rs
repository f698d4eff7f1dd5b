//! Compares each policy with an evaluator that follows the developer guide literally.

use proptest::prelude::*;

use super::*;
use crate::aws::{Coordinates, Facts};
use crate::dns::{Name, RecordType, RrSet};
use crate::world::Proximity;

/// Regions for the tests, including one without a known location.
const REGIONS: [&str; 7] =
    ["ap-northeast-1", "ap-northeast-3", "eu-west-1", "us-east-1", "us-west-2", "sa-east-1", "zz-nowhere-1"];

fn region(number: usize) -> Region {
    REGIONS[number].parse().unwrap()
}

fn places() -> &'static RegionLocations {
    &Facts::built_in().regions
}

/// Record sets with identifiers in order, each with `values` addresses.
fn sets(policy: RoutingPolicy, each: impl IntoIterator<Item = (Routing, bool)>, values: u8) -> RoutedSets {
    let owner: Name = "www.example.com".parse().unwrap();
    let each = each.into_iter().enumerate().map(|(number, (routing, is_healthy))| {
        let address = |value| Rdata::a([10, 0, number as u8, value].into());
        let rdatas: Vec<Rdata> = (0..values).map(address).collect();
        RoutedSet {
            identifier: format!("set-{number:03}").into(),
            routing,
            is_healthy,
            content: Content::Records(RrSet::new(owner.clone(), RecordType::A, 60, rdatas)),
        }
    });
    RoutedSets { rtype: RecordType::A, policy, sets: each.collect() }
}

/// The index of the record set that answers.
fn chosen(sets: &RoutedSets, from: Option<&Region>, random: u64) -> Option<usize> {
    let context = RoutingContext { region: from, region_locations: places(), random };
    match choose(sets, &context).selection {
        Selection::One(set) => sets.sets.iter().position(|one| std::ptr::eq(one, set)),
        Selection::Values(_) => panic!("expected one record set"),
        Selection::Nothing => None,
    }
}

fn weights(each: &[(u8, bool)]) -> RoutedSets {
    sets(
        RoutingPolicy::Weighted,
        each.iter().map(|(weight, healthy)| (Routing::Weighted(*weight), *healthy)),
        1,
    )
}

#[test]
fn weights_divide_queries_in_proportion() {
    let sets = weights(&[(1, true), (3, true)]);
    let mut counts = [0; 2];
    // A linear congruential generator, so that the values are reproducible.
    let mut random = 0u64;
    for _ in 0..4000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        counts[chosen(&sets, None, random >> 11).unwrap()] += 1;
    }
    assert!((900..1100).contains(&counts[0]), "{counts:?}");
    assert_eq!(counts[0] + counts[1], 4000);
}

#[test]
fn zero_weights_are_used_if_nothing_else_is_healthy() {
    for (each, expected) in [
        (&[(0, true), (5, true)][..], &[1][..]),
        (&[(0, true), (5, false), (0, true)], &[0, 2]),
        (&[(0, true), (0, true)], &[0, 1]),
        (&[(0, false), (5, false), (6, false)], &[1, 2]),
        (&[(0, false), (0, true)], &[1]),
        (&[(0, false), (0, false)], &[0, 1]),
    ] {
        let sets = weights(each);
        let mut all: Vec<usize> = (0..100).map(|random| chosen(&sets, None, random).unwrap()).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all, expected, "{each:?}");
    }
}

#[test]
fn random_selections_are_not_cached() {
    let context = RoutingContext { region: None, region_locations: places(), random: 7 };
    let cacheability = |sets: &RoutedSets| choose(sets, &context).cacheability;
    assert_eq!(cacheability(&weights(&[(1, true), (1, true)])), Cacheability::Never);
    assert_eq!(cacheability(&weights(&[(1, true), (1, false), (0, true)])), Cacheability::Generation);
    let values =
        |count| sets(RoutingPolicy::MultivalueAnswer, vec![(Routing::MultivalueAnswer, true); count], 1);
    assert_eq!(cacheability(&values(8)), Cacheability::Generation);
    assert_eq!(cacheability(&values(9)), Cacheability::Never);
}

#[test]
fn every_value_of_a_large_multivalue_answer_is_selected_equally() {
    let sets = sets(RoutingPolicy::MultivalueAnswer, vec![(Routing::MultivalueAnswer, true); 12], 1);
    let mut counts = [0; 12];
    let mut random = 0u64;
    for _ in 0..6000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let Selection::Values(values) =
            choose(&sets, &RoutingContext { region: None, region_locations: places(), random }).selection
        else {
            panic!("expected values")
        };
        assert_eq!(values.len(), MAX_VALUES);
        for (set, _) in values {
            counts[sets.sets.iter().position(|one| std::ptr::eq(one, set)).unwrap()] += 1;
        }
    }
    assert!(counts.iter().all(|count| (3600..4400).contains(count)), "{counts:?}");
}

/// Health and parameters of each record set.
fn each<T: fmt::Debug + Clone + 'static>(
    what: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Vec<(T, bool)>> {
    prop::collection::vec((what, any::<bool>()), 1..8)
}

/// The index of the nearest healthy record set, or of the nearest one if none is healthy. Each record set is
/// a region, a bias and its health.
fn by_distance(
    sets: &[(usize, i8, bool)],
    from: usize,
    distance: impl Fn(&Coordinates, &Coordinates, i8) -> f64,
) -> Option<usize> {
    let here = places().get(&region(from))?.coordinates;
    let mut best: Option<(usize, f64)> = None;
    let none_healthy = sets.iter().all(|(_, _, healthy)| !healthy);
    for (number, (at, bias, healthy)) in sets.iter().enumerate() {
        let Some(there) = places().get(&region(*at)) else { continue };
        if !healthy && !none_healthy {
            continue;
        }
        let far = distance(&here, &there.coordinates, *bias);
        if best.is_none_or(|(_, nearest)| far < nearest) {
            best = Some((number, far));
        }
    }
    best.map(|(number, _)| number)
}

/// The index of the first healthy record set; the first one if none is healthy.
fn first(healths: &[bool]) -> usize {
    healths.iter().position(|healthy| *healthy).unwrap_or(0)
}

proptest! {
    #[test]
    fn weighted_selection_equals_a_model(each in each(0u8..5), random: u64) {
        let has = |healthy: bool, weighted: bool| {
            each.iter().any(|(weight, is_healthy)| (*is_healthy || !healthy) && (*weight > 0) == weighted)
        };
        let has_weights = each.iter().any(|(weight, _)| *weight > 0);
        let (healthy, weighted) = if has(true, true) {
            (true, true)
        } else if has(true, false) {
            (true, false)
        } else {
            (false, has_weights)
        };
        let tickets: Vec<usize> = each
            .iter()
            .enumerate()
            .filter(|(_, (weight, is_healthy))| (*is_healthy || !healthy) && (*weight > 0) == weighted)
            .flat_map(|(number, (weight, _))| vec![number; if weighted { usize::from(*weight) } else { 1 }])
            .collect();
        let expected = tickets[(random % tickets.len() as u64) as usize];
        prop_assert_eq!(chosen(&weights(&each), None, random), Some(expected));
    }

    #[test]
    fn multivalue_answers_have_up_to_eight_healthy_values(healths in prop::collection::vec(any::<bool>(), 1..30), values in 1u8..3, random: u64) {
        let each = healths.iter().map(|healthy| (Routing::MultivalueAnswer, *healthy));
        let sets = sets(RoutingPolicy::MultivalueAnswer, each, values);
        let choice = choose(&sets, &RoutingContext { region: None, region_locations: places(), random });
        let Selection::Values(selected) = choice.selection else { panic!("expected values") };
        let healthy = healths.iter().filter(|healthy| **healthy).count();
        let candidates = if healthy == 0 { healths.len() } else { healthy } * usize::from(values);
        prop_assert_eq!(selected.len(), candidates.min(MAX_VALUES));
        prop_assert_eq!(choice.cacheability == Cacheability::Never, candidates > MAX_VALUES);
        prop_assert!(selected.iter().all(|(set, _)| set.is_healthy || healthy == 0));
        let distinct: std::collections::HashSet<&Rdata> = selected.iter().map(|(_, rdata)| *rdata).collect();
        prop_assert_eq!(distinct.len(), selected.len());
    }

    #[test]
    fn failover_depends_on_the_health_of_both(primary: Option<bool>, secondary: Option<bool>, swapped: bool) {
        let mut each: Vec<(Routing, bool)> = Vec::new();
        each.extend(primary.map(|healthy| (Routing::Failover(FailoverRole::Primary), healthy)));
        each.extend(secondary.map(|healthy| (Routing::Failover(FailoverRole::Secondary), healthy)));
        prop_assume!(!each.is_empty());
        if swapped {
            each.reverse();
        }
        let expected = match (primary, secondary) {
            (Some(true), _) | (Some(false), Some(false) | None) => FailoverRole::Primary,
            (Some(false) | None, Some(_)) => FailoverRole::Secondary,
            (None, None) => unreachable!("at least one record set exists"),
        };
        let expected = each.iter().position(|(routing, _)| *routing == Routing::Failover(expected));
        prop_assert_eq!(chosen(&sets(RoutingPolicy::Failover, each, 1), None, 0), expected);
    }

    #[test]
    fn latency_selects_the_same_region_or_the_nearest(
        at in prop::sample::subsequence((0..REGIONS.len()).collect::<Vec<_>>(), 1..REGIONS.len()),
        healths in prop::collection::vec(any::<bool>(), REGIONS.len()),
        from in 0..REGIONS.len(),
    ) {
        let each: Vec<(usize, i8, bool)> = at.iter().zip(&healths).map(|(at, is)| (*at, 0, *is)).collect();
        let none_healthy = each.iter().all(|(_, _, healthy)| !healthy);
        let own = each.iter().position(|(at, _, healthy)| *at == from && (*healthy || none_healthy));
        let healths: Vec<bool> = each.iter().map(|(_, _, healthy)| *healthy).collect();
        let nearest = by_distance(&each, from, |here, there, _| here.distance_km(*there));
        let expected = own.or(nearest).unwrap_or(first(&healths));
        let each = each.iter().map(|(at, _, healthy)| (Routing::Latency(region(*at)), *healthy));
        prop_assert_eq!(chosen(&sets(RoutingPolicy::Latency, each, 1), Some(&region(from)), 0), Some(expected));
    }

    #[test]
    fn geoproximity_modifies_distances_by_the_bias(
        each in prop::collection::vec((0..REGIONS.len(), -99i8..=99, any::<bool>()), 1..8),
        from in 0..REGIONS.len(),
    ) {
        let nearest = by_distance(&each, from, |here, there, bias| {
            here.distance_km(*there) * (1.0 - f64::from(bias) / 100.0)
        });
        let healths: Vec<bool> = each.iter().map(|(_, _, healthy)| *healthy).collect();
        let expected = nearest.unwrap_or(first(&healths));
        let each = each.iter().map(|(at, bias, healthy)| {
            let coordinates = places().get(&region(*at)).map(|place| place.coordinates);
            let near = Proximity { coordinates, written: REGIONS[*at].into(), bias: *bias };
            (Routing::Geoproximity(near), *healthy)
        });
        let sets = sets(RoutingPolicy::Geoproximity, each, 1);
        prop_assert_eq!(chosen(&sets, Some(&region(from)), 0), Some(expected));
    }

    #[test]
    fn geolocation_falls_back_to_less_specific_locations(
        which in prop::sample::subsequence((0..8usize).collect::<Vec<_>>(), 1..8),
        healths in prop::collection::vec(any::<bool>(), 8),
        from in 0..REGIONS.len(),
    ) {
        let locations = [
            RoutingLocation::Default,
            RoutingLocation::Continent("AS".into()),
            RoutingLocation::Continent("NA".into()),
            RoutingLocation::Country("JP".into()),
            RoutingLocation::Country("US".into()),
            RoutingLocation::Country("IE".into()),
            RoutingLocation::Subdivision("US".into(), "VA".into()),
            RoutingLocation::Subdivision("US".into(), "OR".into()),
        ];
        let each: Vec<(RoutingLocation, bool)> =
            which.iter().zip(&healths).map(|(which, is)| (locations[*which].clone(), *is)).collect();
        let mut steps = Vec::new();
        if let Some(place) = places().get(&region(from)) {
            let country: Box<str> = place.country.as_str().into();
            if let Some(subdivision) = &place.subdivision {
                steps.push(RoutingLocation::Subdivision(country.clone(), subdivision.as_str().into()));
            }
            steps.push(RoutingLocation::Country(country));
            steps.push(RoutingLocation::Continent(place.continent.as_str().into()));
        }
        steps.push(RoutingLocation::Default);
        let at = |step: &RoutingLocation, healthy: bool| {
            each.iter().position(|(location, is)| location == step && (*is || !healthy))
        };
        let healthy = steps.iter().find_map(|step| at(step, true));
        let expected = healthy.or_else(|| steps.iter().find_map(|step| at(step, false)));
        let each = each.iter().map(|(location, healthy)| (Routing::Geolocation(location.clone()), *healthy));
        let sets = sets(RoutingPolicy::Geolocation, each, 1);
        prop_assert_eq!(chosen(&sets, Some(&region(from)), 0), expected);
    }
}
