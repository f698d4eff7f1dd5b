//! Security groups: whom an interface lets in, and where it may send.

use std::sync::Arc;

use ipnet::IpNet;

use super::arena::Index;
use crate::net::overlaps;

/// A security group. What no rule admits is refused; replies to what was admitted always pass.
#[derive(Debug)]
pub struct SecurityGroup {
    /// Its id.
    pub id: Arc<str>,
    /// What may come in.
    pub ingress: Vec<GroupRule>,
    /// What may go out. `None`: everything.
    pub egress: Option<Vec<GroupRule>>,
}

/// One rule of a security group, prefix lists taken apart.
#[derive(Debug)]
pub struct GroupRule {
    /// Whether it speaks of TCP.
    pub is_tcp: bool,
    /// First port.
    pub from_port: u16,
    /// Last port.
    pub to_port: u16,
    /// Who is at the other end.
    pub peers: Vec<Peer>,
}

/// Whom a rule speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Addresses of a prefix.
    Prefix(IpNet),
    /// Interfaces that are in a group.
    Group(Index<SecurityGroup>),
}

/// The other end of traffic that a filter judges.
#[derive(Clone, Copy, Debug)]
pub struct OtherEnd<'a> {
    /// The addresses that it may have.
    pub addresses: Addresses<'a>,
    /// The groups that it is in. `None`: nobody said.
    pub groups: Option<&'a [Index<SecurityGroup>]>,
}

/// The addresses that one end of traffic may have, of one family.
#[derive(Clone, Copy, Debug)]
pub struct Addresses<'a> {
    /// The prefixes that hold them.
    pub prefixes: &'a [IpNet],
    /// Whether none of them lies in a smaller prefix that a rule names: those are another place's.
    pub is_rest: bool,
}

/// What a filter says to traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Admission {
    /// Nothing lets it pass.
    Refused,
    /// Something may: nobody said in which groups the other end is, or only part of it fits.
    Unknown,
    /// Something lets it pass.
    Admitted,
}

impl SecurityGroup {
    /// What the rules of one direction say to TCP to a port, and the number of the rule that said it.
    pub fn judge(rules: &[GroupRule], port: u16, other: OtherEnd<'_>) -> (Admission, Option<usize>) {
        let mut said = (Admission::Refused, None);
        for (number, rule) in rules.iter().enumerate() {
            if !rule.is_tcp || !(rule.from_port..=rule.to_port).contains(&port) {
                continue;
            }
            for peer in &rule.peers {
                let admission = fits(peer, other);
                if admission > said.0 {
                    said = (admission, Some(number));
                }
                if admission == Admission::Admitted {
                    return said;
                }
            }
        }
        said
    }
}

fn fits(peer: &Peer, other: OtherEnd<'_>) -> Admission {
    match peer {
        Peer::Prefix(prefix) => other.addresses.in_prefix(prefix),
        Peer::Group(group) => match other.groups {
            None => Admission::Unknown,
            Some(groups) if groups.contains(group) => Admission::Admitted,
            Some(_) => Admission::Refused,
        },
    }
}

impl Addresses<'_> {
    /// How many of them lie in a prefix: all, none, or some.
    pub fn in_prefix(&self, prefix: &IpNet) -> Admission {
        let held = self.prefixes.iter().filter(|own| prefix.contains(*own)).count();
        if held > 0 && held == self.prefixes.len() {
            Admission::Admitted
        } else if held > 0 || (!self.is_rest && self.prefixes.iter().any(|own| overlaps(own, prefix))) {
            Admission::Unknown
        } else {
            Admission::Refused
        }
    }
}
