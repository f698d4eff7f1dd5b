//! Network ACLs: what passes into a subnet and out of it, in the order of rule numbers (VPC User Guide, "Network ACL
//! rules").

use std::ops::RangeInclusive;
use std::sync::Arc;

use ipnet::IpNet;

use super::security_group::{Addresses, Admission};

/// The ports that replies come to: a client may have any of them ("Ephemeral ports").
pub const EPHEMERAL_PORTS: RangeInclusive<u16> = 1024..=65_535;

/// A network ACL. It knows nothing of connections: replies need rules of their own.
#[derive(Debug)]
pub struct NetworkAcl {
    /// Its id.
    pub id: Arc<str>,
    /// What passes into its subnets, by rule number.
    pub ingress: Vec<AclRule>,
    /// What passes out of them, by rule number.
    pub egress: Vec<AclRule>,
}

/// One rule of a network ACL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclRule {
    /// Its number: the lowest that matches decides.
    pub number: u16,
    /// Whether it speaks of TCP.
    pub is_tcp: bool,
    /// The prefix at the other end.
    pub cidr: IpNet,
    /// First port.
    pub from_port: u16,
    /// Last port.
    pub to_port: u16,
    /// Whether it lets pass.
    pub allows: bool,
}

impl NetworkAcl {
    /// What the rules of one direction say to TCP between some addresses at the other end and ports at this or that end,
    /// and the number of the first rule that said it. Part of the ports, or part of the addresses, is neither.
    pub fn judge(
        rules: &[AclRule],
        ports: RangeInclusive<u16>,
        other: Addresses<'_>,
    ) -> (Admission, Option<u16>) {
        let mut left = vec![(*ports.start(), *ports.end())];
        let (mut passes, mut stops) = (None, None);
        // Whether a rule lets part of the addresses pass, and whether one stops part of them.
        let (mut may_pass, mut may_stop) = (false, false);
        for rule in rules.iter().filter(|rule| rule.is_tcp) {
            let share = other.in_prefix(&rule.cidr);
            if share == Admission::Refused {
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
            if share == Admission::Unknown {
                // Some of the addresses are judged by this rule, the others by later ones.
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
            Some(_) if is_whole && !may_stop => (Admission::Admitted, passes),
            None if !may_pass => (Admission::Refused, stops),
            _ => (Admission::Unknown, stops),
        }
    }
}
