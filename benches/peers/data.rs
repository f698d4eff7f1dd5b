//! The data that all servers serve, and pseudo-random numbers that are the same in every run.

pub(crate) mod worlds;

use std::fmt::Write;
use std::net::Ipv4Addr;

/// The region of the VPC.
pub(crate) const REGION: &str = "ap-northeast-1";

/// Services with an interface endpoint, each with the private name `SERVICE.REGION.amazonaws.com`.
pub(crate) const SERVICES: [&str; 24] = [
    "autoscaling",
    "backup",
    "batch",
    "cloudformation",
    "cloudtrail",
    "codebuild",
    "codecommit",
    "codedeploy",
    "config",
    "ecs",
    "eks",
    "elasticloadbalancing",
    "events",
    "glue",
    "kms",
    "logs",
    "monitoring",
    "secretsmanager",
    "sns",
    "sqs",
    "ssm",
    "states",
    "sts",
    "xray",
];

/// A private zone.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    /// Its name, without the final dot.
    pub name: String,
    /// Its hosts.
    pub hosts: Vec<Host>,
}

/// A name with its addresses.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// The full name, without the final dot.
    pub name: String,
    /// Its two addresses.
    pub addresses: [Ipv4Addr; 2],
}

/// Creates `count` zones with `hosts` hosts each.
pub(crate) fn zones(count: usize, hosts: usize) -> Vec<Zone> {
    let zone = |number: usize| {
        let name = format!("z{number}.corp.internal");
        let host = |index: usize| {
            let first = 2 * (number * hosts + index);
            Host { name: format!("h{index}.{name}"), addresses: [address(first), address(first + 1)] }
        };
        Zone { hosts: (0..hosts).map(host).collect(), name }
    };
    (0..count).map(zone).collect()
}

/// An address of the VPC, which has 10.0.0.0/16. Addresses repeat after 65,536.
fn address(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, (number >> 8) as u8, number as u8)
}

/// The name that a zone has only after its data has changed.
pub(crate) fn fresh_name(zone: &Zone) -> String {
    format!("fresh.{}", zone.name)
}

/// The zones with one additional name each.
pub(crate) fn changed(zones: &[Zone]) -> Vec<Zone> {
    let mut zones = zones.to_vec();
    for zone in &mut zones {
        zone.hosts.push(Host { name: fresh_name(zone), addresses: [address(65_000), address(65_001)] });
    }
    zones
}

/// The lines of a zone file (RFC 1035 section 5) with the zone's addresses.
pub(crate) fn address_lines(zone: &Zone) -> String {
    let mut text = String::new();
    for (host, address) in pairs(zone) {
        let _ = writeln!(text, "{}. 60 IN A {address}", host.name);
    }
    text
}

/// Every host of a zone with each of its addresses.
pub(crate) fn pairs(zone: &Zone) -> impl Iterator<Item = (&Host, Ipv4Addr)> {
    zone.hosts.iter().flat_map(|host| host.addresses.iter().map(move |address| (host, *address)))
}

/// Pseudo-random numbers, the same for the same seed (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    /// Creates a generator with a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number. The first 2^64 numbers are distinct.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number in the range from 0 (inclusive) to 1 (exclusive).
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number less than a bound.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.share() * bound as f64) as usize
    }
}

/// Zipf distribution with exponent 1 over ranks counted from 0.
#[derive(Clone, Debug)]
pub(crate) struct Zipf {
    sums: Vec<f64>,
}

impl Zipf {
    /// Creates a distribution over a number of ranks.
    pub(crate) fn new(ranks: usize) -> Self {
        let weights = (1..=ranks).map(|rank| 1.0 / rank as f64);
        let sums = weights.scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Self { sums: sums.collect() }
    }

    /// A random rank.
    pub(crate) fn draw(&self, rng: &mut Rng) -> usize {
        let all = self.sums.last().copied().unwrap_or_default();
        let wanted = rng.share() * all;
        self.sums.partition_point(|sum| *sum <= wanted).min(self.sums.len() - 1)
    }
}
