//! Egress paths compared with a simple evaluator: small random networks, where all routes of a table and all
//! rules of a filter are examined sequentially, for one address at a time.
//!
//! `PROPTEST_CASES=5000 cargo test --test egress_property` runs longer.

#[path = "egress/model.rs"]
mod model;
#[path = "egress/naive.rs"]
mod naive;
#[path = "egress/random.rs"]
mod random;
#[path = "egress/toml.rs"]
mod toml;

use std::net::IpAddr;
use std::path::Path;

use model::Net;
use plustwo::config;
use plustwo::net::host_prefix;
use plustwo::resolve::egress::{MAX_HOPS, path};
use plustwo::resolve::{Class, EgressPath, Reach, Reason};
use plustwo::world::World;
use plustwo::world::compile::compile_with;
use proptest::prelude::*;
use random::Dice;

/// Default number of networks.
const CASES: u32 = 60;

/// Generous upper bound on the hops of a path: a few for each of at most `MAX_HOPS` route tables.
const HOP_LIMIT: usize = (MAX_HOPS + 1) * 8;

fn compiled(text: &str) -> World {
    let nothing = |path: &Path| Err(std::io::Error::other(format!("no file {}", path.display())));
    let mut loaded = config::load_text(Path::new("random.toml"), text.to_owned(), &nothing);
    let world = compile_with(&mut loaded, &nothing);
    world.unwrap_or_else(|| panic!("{}\n{text}", loaded.report.render(&loaded.sources)))
}

/// Reasons that suggest a change: the path itself does not depend on them.
fn is_advice(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::EndpointNotAssociatedWithTable
            | Reason::EndpointAvailableNotUsed
            | Reason::CrossRegionNotInPrefixList
    )
}

/// The parts of a path that the evaluator determines.
fn reported(path: &EgressPath) -> (Class, Option<String>, Reach, Option<Reason>) {
    let matched = path.matched.as_ref().map(|matched| matched.destination.to_string());
    (path.class, matched, path.reach, path.reasons.iter().copied().find(|reason| !is_advice(*reason)))
}

fn cases() -> ProptestConfig {
    let cases = match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default().cases,
        None => CASES,
    };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn paths_equal_those_of_an_exhaustive_search(numbers in prop::collection::vec(any::<u32>(), 900)) {
        let net = Net::random(&mut Dice::new(numbers));
        let text = net.toml();
        let world = compiled(&text);
        for client in net.clients() {
            let bound = world.network.vpcs.indexed().find(|(_, vpc)| *vpc.id == *net.vpc_id(client.vpc)).unwrap().0;
            for to in net.destinations() {
                let Some(source) = client.address_for(to) else { continue };
                let place = world.network.places.find(host_prefix(source), Some(bound)).unwrap();
                let found = path(&world.network, place, to);
                let expected = naive::path(&net, &client, to);
                prop_assert!(found.hops.len() <= HOP_LIMIT, "{} hops", found.hops.len());
                let mut expected_words =
                    (expected.class, expected.matched.map(|net| net.to_string()), expected.reach, expected.reason);
                // If the address of a NAT gateway is undeclared, single addresses may differ.
                if expected.is_loose {
                    (expected_words.2, expected_words.3) = (reported(&found).2, reported(&found).3);
                }
                prop_assert_eq!(
                    reported(&found), expected_words, "from {} to {}\nvia {:?}\n{}", source, to, &found.via, text
                );
            }
        }
    }

    #[test]
    fn addresses_of_one_location_have_equal_paths(numbers in prop::collection::vec(any::<u32>(), 900)) {
        let net = Net::random(&mut Dice::new(numbers));
        let text = net.toml();
        let world = compiled(&text);
        for (bound, vpc) in world.network.vpcs.indexed() {
            let number = net.vpc_index(&vpc.id);
            // The evaluator's results for all addresses of a location must equal those for the first.
            let mut first_results: Vec<(_, IpAddr, Vec<_>)> = Vec::new();
            for client in net.many_clients(number) {
                for source in client.addresses() {
                    let place = world.network.places.find(host_prefix(source), Some(bound)).unwrap();
                    let results: Vec<_> = (net.destinations().into_iter())
                        .filter(|to| client.address_for(*to) == Some(source))
                        .map(|to| naive::path(&net, &client, to).words())
                        .collect();
                    let same = |other: &IpAddr| other.is_ipv4() == source.is_ipv4();
                    match first_results.iter().find(|(other, first, _)| *other == place && same(first)) {
                        None => first_results.push((place, source, results)),
                        Some((_, first, have)) => {
                            prop_assert_eq!(have, &results, "{} and {} share a location\n{}", first, source, &text);
                        }
                    }
                }
            }
        }
    }
}

/// Rules in one network do not split locations of another: overlapping VPCs, such as default VPCs, would
/// otherwise have as many locations as subnets times rules. Peered VPCs split each
/// other's locations.
#[test]
fn networks_split_only_their_own_locations() {
    let vpc = |name: &str, cidr: &str, source: &str| {
        format!(
            r#"
[[vpc]]
id = "vpc-{name}"
region = "us-east-1"
cidr = ["{cidr}"]
subnet = [{{ id = "subnet-{name}", cidr = "{cidr}", availability_zone = "us-east-1a" }}]
route_table = [{{ id = "rtb-{name}", main = true }}]
security_group = [{{ id = "sg-{name}", ingress = [{{ sources = ["{source}"] }}] }}]
"#
        )
    };
    let apart = vpc("a", "172.31.0.0/16", "172.31.0.1/32") + &vpc("b", "172.31.0.0/16", "172.31.0.2/32");
    let joined = vpc("a", "172.30.0.0/16", "172.31.0.1/32")
        + &vpc("b", "172.31.0.0/16", "172.30.0.2/32")
        + r#"
[[vpc_peering_connection]]
id = "pcx-1"
requester = { vpc = "vpc-a" }
accepter = { vpc = "vpc-b" }
"#;
    // Two subnets, outside, and the split parts of each subnet.
    assert_eq!(compiled(&apart).network.places.len(), 2 + 1 + 2);
    assert_eq!(compiled(&joined).network.places.len(), 2 + 1 + 2);
    let unjoined = joined.split("[[vpc_peering").next().unwrap();
    assert_eq!(compiled(unjoined).network.places.len(), 2 + 1);
}
