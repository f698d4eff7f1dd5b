//! Security groups: the traffic allowed to and from an interface.

use std::collections::HashMap;
use std::sync::Arc;

use ipnet::IpNet;

use super::arena::Index;
use crate::net::{PrefixMap, overlaps};

/// A security group. Traffic that no rule allows is denied; return traffic of allowed traffic is always
/// allowed.
#[derive(Debug)]
pub struct SecurityGroup {
    /// Its ID.
    pub id: Arc<str>,
    /// Inbound rules.
    pub ingress: GroupRules,
    /// Outbound rules. `None`: all traffic is allowed.
    pub egress: Option<GroupRules>,
}

/// The rules of one direction.
#[derive(Debug, Default)]
pub struct GroupRules {
    rules: Vec<GroupRule>,
    /// Indexes of the rules for each prefix.
    by_prefix: PrefixMap<Vec<usize>>,
    /// Indexes of the rules for each group.
    by_group: HashMap<Index<SecurityGroup>, Vec<usize>>,
    /// Indexes of the rules that refer to any group.
    of_groups: Vec<usize>,
}

/// A rule of a security group, with prefix lists expanded.
#[derive(Debug)]
pub struct GroupRule {
    /// Whether it applies to TCP.
    pub is_tcp: bool,
    /// First port.
    pub from_port: u16,
    /// Last port.
    pub to_port: u16,
    /// The remote ends.
    pub peers: Vec<Peer>,
}

/// The remote end of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Addresses in a prefix.
    Prefix(IpNet),
    /// Interfaces in a security group.
    Group(Index<SecurityGroup>),
}

/// The remote end of evaluated traffic.
#[derive(Clone, Copy, Debug)]
pub struct OtherEnd<'a> {
    /// Its possible addresses.
    pub addresses: Addresses<'a>,
    /// Its security groups. `None` if they are not configured.
    pub groups: Option<&'a [Index<SecurityGroup>]>,
}

/// The possible addresses of one end of traffic, of one family.
#[derive(Clone, Copy, Debug)]
pub struct Addresses<'a> {
    /// The prefixes that contain them.
    pub prefixes: &'a [IpNet],
    /// Whether they exclude all smaller prefixes that rules contain, which belong to other places.
    pub is_remainder: bool,
}

/// The decision of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AccessDecision {
    /// No rule allows the traffic.
    Denied,
    /// A rule may allow it: the security groups of the remote end are not configured, or only a part of it
    /// matches.
    Unknown,
    /// A rule allows it.
    Allowed,
}

/// The decision for traffic, and the index of the rule that determines it.
type RuleMatch = (AccessDecision, Option<usize>);

impl GroupRules {
    /// Appends a rule.
    pub fn push(&mut self, rule: GroupRule) {
        let number = self.rules.len();
        let mut names_groups = false;
        for peer in &rule.peers {
            match peer {
                Peer::Prefix(prefix) => self.by_prefix.get_or_insert_with(*prefix, Vec::new).push(number),
                Peer::Group(group) => {
                    names_groups = true;
                    self.by_group.entry(*group).or_default().push(number);
                }
            }
        }
        self.of_groups.extend(names_groups.then_some(number));
        self.rules.push(rule);
    }

    /// Every rule.
    pub fn iter(&self) -> impl Iterator<Item = &GroupRule> {
        self.rules.iter()
    }

    /// The rule with an index.
    pub fn rule(&self, number: usize) -> &GroupRule {
        &self.rules[number]
    }

    /// The decision for TCP to a port, and the index of the rule that determines it: the first of the most
    /// permissive ones.
    pub fn evaluate(&self, port: u16, other: OtherEnd<'_>) -> RuleMatch {
        let mut decision = (AccessDecision::Denied, None);
        let mut decide = |admission: AccessDecision, numbers: &[usize]| {
            let first = numbers.iter().copied().find(|number| self.rules[*number].is_for(port));
            let is_sooner = |number| decision.0 == admission && decision.1.is_none_or(|have| number < have);
            if let Some(number) = first.filter(|number| admission > decision.0 || is_sooner(*number)) {
                decision = (admission, Some(number));
            }
        };
        for (prefix, numbers) in other.addresses.overlapping(&self.by_prefix) {
            let admission = other.addresses.in_prefix(&prefix);
            if admission != AccessDecision::Denied {
                decide(admission, numbers);
            }
        }
        match other.groups {
            None => decide(AccessDecision::Unknown, &self.of_groups),
            Some(groups) => {
                for numbers in groups.iter().filter_map(|group| self.by_group.get(group)) {
                    decide(AccessDecision::Allowed, numbers);
                }
            }
        }
        decision
    }
}

impl GroupRule {
    /// Whether it applies to TCP to a port.
    fn is_for(&self, port: u16) -> bool {
        self.is_tcp && (self.from_port..=self.to_port).contains(&port)
    }
}

impl Addresses<'_> {
    /// The prefixes of a map that overlap these addresses, with their values.
    pub fn overlapping<'m, T>(&self, map: &'m PrefixMap<T>) -> impl Iterator<Item = (IpNet, &'m T)> {
        self.prefixes.iter().flat_map(|own| {
            let length = own.prefix_len();
            let wider =
                map.covering(own.network()).into_iter().filter(move |(net, _)| net.prefix_len() <= length);
            // A single address, and a set that excludes smaller prefixes, overlap none.
            let is_partial = !self.is_remainder && usize::from(length) < usize::from(own.max_prefix_len());
            let smaller = is_partial.then(|| map.covered_by(own)).into_iter().flatten();
            wider.chain(smaller.filter(move |(net, _)| net.prefix_len() > length))
        })
    }

    /// Whether a prefix contains all, none or some of the addresses.
    pub fn in_prefix(&self, prefix: &IpNet) -> AccessDecision {
        let contained = self.prefixes.iter().filter(|own| prefix.contains(*own)).count();
        if contained > 0 && contained == self.prefixes.len() {
            AccessDecision::Allowed
        } else if contained > 0
            || (!self.is_remainder && self.prefixes.iter().any(|own| overlaps(own, prefix)))
        {
            AccessDecision::Unknown
        } else {
            AccessDecision::Denied
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Arena;

    /// The decision by scanning all rules.
    fn walked(rules: &GroupRules, port: u16, other: OtherEnd<'_>) -> RuleMatch {
        let fits = |peer: &Peer| match (peer, other.groups) {
            (Peer::Prefix(prefix), _) => other.addresses.in_prefix(prefix),
            (Peer::Group(_), None) => AccessDecision::Unknown,
            (Peer::Group(group), Some(groups)) if groups.contains(group) => AccessDecision::Allowed,
            (Peer::Group(_), Some(_)) => AccessDecision::Denied,
        };
        let mut decision = (AccessDecision::Denied, None);
        for (number, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.is_for(port)) {
            let best = rule.peers.iter().map(fits).max().unwrap_or(AccessDecision::Denied);
            if best > decision.0 {
                decision = (best, Some(number));
            }
        }
        decision
    }

    #[test]
    fn lookups_equal_a_linear_search() {
        let mut arena = Arena::default();
        let mut declared =
            || arena.add(SecurityGroup { id: "sg-1".into(), ingress: GroupRules::default(), egress: None });
        let own_groups: [Index<SecurityGroup>; 3] = [declared(), declared(), declared()];
        let prefix = |text: &str| Peer::Prefix(text.parse().unwrap());
        let group = |number| Peer::Group(own_groups[number]);
        let peers = [
            vec![prefix("10.0.1.0/25")],
            vec![group(1), prefix("10.9.0.0/16")],
            vec![prefix("10.0.0.0/16"), group(2)],
            vec![prefix("10.0.1.7/32")],
        ];
        let own: Vec<IpNet> = ["10.0.1.7/32", "10.0.1.0/24"].map(|text| text.parse().unwrap()).to_vec();
        let groups = [own_groups[2], own_groups[0]];
        // Every order of some of them, with and without the port.
        for order in 0..4_usize.pow(4) {
            let mut rules = GroupRules::default();
            for at in 0..4 {
                let to_port = if at == order % 3 { 80 } else { 443 };
                let peers = peers[order / 4_usize.pow(at as u32) % 4].clone();
                rules.push(GroupRule { is_tcp: true, from_port: 0, to_port, peers });
            }
            for (prefixes, is_rest) in
                [(&own[..1], true), (&own[1..], true), (&own[1..], false), (&own[..], false)]
            {
                for groups in [None, Some(&groups[..0]), Some(&groups[..])] {
                    let other = OtherEnd { addresses: Addresses { prefixes, is_remainder: is_rest }, groups };
                    assert_eq!(rules.evaluate(443, other), walked(&rules, 443, other), "{rules:?} {other:?}");
                }
            }
        }
    }
}
