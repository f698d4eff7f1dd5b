//! Results of security groups and network ACLs on a path, with the rules that matched.

use std::sync::Arc;

use crate::resolve::{Direction, FilterId, FilterResult};
use crate::world::{AccessDecision, GroupRule, Peer, World};

/// The result of one filter.
#[derive(Clone, Debug)]
pub struct FilterLine {
    /// Its ID.
    pub id: Arc<str>,
    /// The direction of the evaluated rules.
    pub direction: Direction,
    /// The decision.
    pub verdict: AccessDecision,
    /// The rule that matched: its contents, for a network ACL after its number.
    pub rule: Option<String>,
    /// Whether the matched rule allows all traffic.
    pub allows_all: bool,
}

impl FilterLine {
    /// The result of a filter as text.
    pub fn of(world: &World, filter: &FilterResult) -> Self {
        let (id, rule, is_open) = match filter.filter {
            FilterId::SecurityGroup(index) => {
                let group = &world.network.security_groups[index];
                let rules = match filter.direction {
                    Direction::Ingress => Some(&group.ingress),
                    Direction::Egress => group.egress.as_ref(),
                };
                let decided = filter.rule.zip(rules).map(|(number, rules)| rules.rule(number));
                let is_open = decided.is_some_and(|rule| {
                    let is_any =
                        |peer: &Peer| matches!(peer, Peer::Prefix(prefix) if prefix.prefix_len() == 0);
                    is_all_ports(rule.from_port, rule.to_port) && rule.peers.iter().any(is_any)
                });
                (&group.id, decided.map(|rule| group_rule(world, rule)), is_open)
            }
            FilterId::NetworkAcl(index) => {
                let acl = &world.network.network_acls[index];
                let rules = match filter.direction {
                    Direction::Ingress => &acl.ingress,
                    Direction::Egress => &acl.egress,
                };
                let decided = rules.iter().find(|rule| Some(usize::from(rule.number)) == filter.rule);
                let described = decided.map(|rule| {
                    let action = if rule.allows { "allow" } else { "deny" };
                    let ports = ports(rule.from_port, rule.to_port);
                    format!("{} {action} {ports} {}", rule.number, rule.cidr)
                });
                let is_open = decided.is_some_and(|rule| {
                    is_all_ports(rule.from_port, rule.to_port) && rule.cidr.prefix_len() == 0
                });
                (&acl.id, described, is_open)
            }
        };
        let verdict = filter.verdict;
        let allows_all = is_open && verdict == AccessDecision::Allowed;
        Self { id: id.clone(), direction: filter.direction, verdict, rule, allows_all }
    }
}

impl AccessDecision {
    /// Its value in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "admitted",
            Self::Unknown => "unknown",
            Self::Denied => "refused",
        }
    }
}

fn group_rule(world: &World, rule: &GroupRule) -> String {
    // A prefix list may have many entries.
    const MAX_PEERS: usize = 3;
    let peers = rule.peers.iter().take(MAX_PEERS).map(|peer| match peer {
        Peer::Prefix(prefix) => prefix.to_string(),
        Peer::Group(group) => world.network.security_groups[*group].id.to_string(),
    });
    let mut described: Vec<String> = peers.collect();
    if rule.peers.len() > MAX_PEERS {
        described.push(format!("{} more", rule.peers.len() - MAX_PEERS));
    }
    format!("{} {}", ports(rule.from_port, rule.to_port), described.join(", "))
}

fn is_all_ports(first: u16, last: u16) -> bool {
    (first, last) == (0, u16::MAX)
}

/// The ports of a rule as text. A rule for all protocols applies to all ports.
fn ports(first: u16, last: u16) -> String {
    match (first, last) {
        (first, last) if is_all_ports(first, last) => "all ports".to_owned(),
        (first, last) if first == last => format!("TCP {first}"),
        (first, last) => format!("TCP {first}-{last}"),
    }
}
