//! Network ACLs: the traffic allowed into and out of a subnet, by rule number (VPC User Guide, "Network ACL
//! rules").

use std::ops::RangeInclusive;
use std::sync::Arc;

use ipnet::IpNet;

use super::security_group::{AccessDecision, Addresses};
use crate::net::PrefixMap;

/// The destination ports of return traffic: a client may use any of them ("Ephemeral ports").
pub const EPHEMERAL_PORTS: RangeInclusive<u16> = 1024..=65_535;

/// A network ACL. It is stateless: return traffic needs rules of its own.
#[derive(Debug)]
pub struct NetworkAcl {
    /// Its ID.
    pub id: Arc<str>,
    /// Inbound rules, by rule number.
    pub ingress: AclRules,
    /// Outbound rules, by rule number.
    pub egress: AclRules,
}

/// The rules of one direction, ordered by number.
#[derive(Debug, Default)]
pub struct AclRules {
    rules: Vec<AclRule>,
    /// Indexes of the rules for each prefix.
    by_prefix: PrefixMap<Vec<usize>>,
}

/// A rule of a network ACL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclRule {
    /// Its number: the lowest one that matches applies.
    pub number: u16,
    /// Whether it applies to TCP.
    pub is_tcp: bool,
    /// The remote prefix.
    pub cidr: IpNet,
    /// First port.
    pub from_port: u16,
    /// Last port.
    pub to_port: u16,
    /// Whether it allows traffic.
    pub allows: bool,
}

impl AclRules {
    /// Creates rules from a list in any order.
    pub fn new(mut rules: Vec<AclRule>) -> Self {
        rules.sort_by_key(|rule| rule.number);
        let mut by_prefix: PrefixMap<Vec<usize>> = PrefixMap::new();
        for (at, rule) in rules.iter().enumerate() {
            by_prefix.get_or_insert_with(rule.cidr, Vec::new).push(at);
        }
        Self { rules, by_prefix }
    }

    /// Every rule.
    pub fn iter(&self) -> impl Iterator<Item = &AclRule> {
        self.rules.iter()
    }

    /// The rules that may match some addresses. For few rules, scanning is faster than a lookup.
    fn applicable_to(&self, other: Addresses<'_>) -> Vec<&AclRule> {
        const FEW: usize = 32;
        if self.rules.len() <= FEW {
            return self.rules.iter().collect();
        }
        let mut numbers: Vec<usize> =
            other.overlapping(&self.by_prefix).flat_map(|(_, numbers)| numbers).copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.into_iter().map(|at| &self.rules[at]).collect()
    }

    /// The decision of the rules of one direction for TCP between remote addresses and ports, and the number
    /// of the first rule that determines it. If it differs among the ports or addresses, the decision is
    /// unknown.
    pub fn evaluate(
        &self,
        ports: RangeInclusive<u16>,
        other: Addresses<'_>,
    ) -> (AccessDecision, Option<u16>) {
        Self::judged_by(self.applicable_to(other).into_iter(), ports, other)
    }

    fn judged_by<'r>(
        rules: impl Iterator<Item = &'r AclRule>,
        ports: RangeInclusive<u16>,
        other: Addresses<'_>,
    ) -> (AccessDecision, Option<u16>) {
        let mut left = vec![(*ports.start(), *ports.end())];
        let (mut passes, mut stops) = (None, None);
        // Whether a rule allows some of the addresses, and whether one denies some of them.
        let (mut may_pass, mut may_stop) = (false, false);
        for rule in rules.filter(|rule| rule.is_tcp) {
            let share = other.in_prefix(&rule.cidr);
            if share == AccessDecision::Denied {
                continue;
            }
            let mut rest = Vec::with_capacity(left.len() + 1);
            let mut takes = false;
            for (first, last) in left.iter().copied() {
                let (from, to) = (first.max(rule.from_port), last.min(rule.to_port));
                if from > to {
                    rest.push((first, last));
                    continue;
                }
                takes = true;
                if first < from {
                    rest.push((first, from - 1));
                }
                if to < last {
                    rest.push((to + 1, last));
                }
            }
            if !takes {
                continue;
            }
            if share == AccessDecision::Unknown {
                // This rule applies to some of the addresses, later ones to the others.
                may_pass |= rule.allows;
                may_stop |= !rule.allows;
                continue;
            }
            left = rest;
            if rule.allows {
                passes = passes.or(Some(rule.number));
            } else {
                stops = stops.or(Some(rule.number));
            }
            if left.is_empty() {
                break;
            }
        }
        let is_whole = left.is_empty() && stops.is_none();
        match passes {
            Some(_) if is_whole && !may_stop => (AccessDecision::Allowed, passes),
            None if !may_pass => (AccessDecision::Denied, stops),
            // The rule that denies some, or that allows only some.
            _ => (AccessDecision::Unknown, stops.or(passes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pseudorandom numbers that are the same each time.
    fn hash(seed: u32) -> u32 {
        seed.wrapping_mul(2_654_435_761).rotate_left(13).wrapping_mul(0x9e37_79b1) >> 8
    }

    #[test]
    fn a_rule_that_allows_part_of_the_traffic_is_named() {
        let rule = AclRule {
            number: 110,
            is_tcp: true,
            cidr: "::/0".parse().unwrap(),
            from_port: 32_768,
            to_port: 60_999,
            allows: true,
        };
        let own: IpNet = "2001:db8::7/128".parse().unwrap();
        let other = Addresses { prefixes: &[own], is_remainder: true };
        let judged = AclRules::new(vec![rule]).evaluate(EPHEMERAL_PORTS, other);
        assert_eq!(judged, (AccessDecision::Unknown, Some(110)));
    }

    #[test]
    fn lookups_equal_a_linear_search() {
        let rule = |number: u16| {
            let seed = u32::from(number);
            let cidr = format!("10.0.{}.0/{}", hash(seed) % 4, 18 + hash(seed + 1) % 14);
            let (from_port, to_port) = if number.is_multiple_of(3) { (0, 9000) } else { (400, u16::MAX) };
            let allows = hash(seed + 2).is_multiple_of(2);
            AclRule {
                number,
                is_tcp: !number.is_multiple_of(7),
                cidr: cidr.parse().unwrap(),
                from_port,
                to_port,
                allows,
            }
        };
        let rules = AclRules::new((1..400).rev().map(rule).collect());
        let own: Vec<IpNet> = ["10.0.1.7/32", "10.0.2.0/24"].map(|text| text.parse().unwrap()).to_vec();
        for prefixes in [&own[..1], &own[1..], &own[..]] {
            for is_rest in [true, false] {
                let other = Addresses { prefixes, is_remainder: is_rest };
                for ports in [443..=443, EPHEMERAL_PORTS] {
                    let walked = AclRules::judged_by(rules.iter(), ports.clone(), other);
                    assert_eq!(rules.evaluate(ports, other), walked, "{other:?}");
                }
            }
        }
    }
}
