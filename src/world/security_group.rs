//! Security groups: whom an interface lets in.

use std::sync::Arc;

use ipnet::IpNet;

use super::arena::Index;
use crate::net::overlaps;

/// A security group. What no rule admits is refused.
#[derive(Debug)]
pub struct SecurityGroup {
    /// Its id.
    pub id: Arc<str>,
    /// What may come in.
    pub ingress: Vec<IngressRule>,
}

/// One rule of a security group, prefix lists taken apart.
#[derive(Debug)]
pub struct IngressRule {
    /// Whether it speaks of TCP.
    pub is_tcp: bool,
    /// First port.
    pub from_port: u16,
    /// Last port.
    pub to_port: u16,
    /// Who is admitted.
    pub sources: Vec<Source>,
}

/// Whom a rule admits.
#[derive(Debug)]
pub enum Source {
    /// Addresses of a prefix.
    Prefix(IpNet),
    /// Interfaces that are in a group.
    Group(Index<SecurityGroup>),
}

/// What the groups of an interface say to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Admission {
    /// No rule admits it.
    Refused,
    /// A rule may admit it: nobody said in which groups the client is, or only part of its prefix fits.
    Unknown,
    /// A rule admits it.
    Admitted,
}

impl SecurityGroup {
    /// Whether TCP to a port is admitted from a client that may have any address of `client`, and is in
    /// `groups` (`None`: nobody said).
    pub fn admits(&self, port: u16, client: &[IpNet], groups: Option<&[Index<Self>]>) -> Admission {
        let for_port = |rule: &&IngressRule| rule.is_tcp && (rule.from_port..=rule.to_port).contains(&port);
        let mut said = Admission::Refused;
        for source in self.ingress.iter().filter(for_port).flat_map(|rule| &rule.sources) {
            said = said.max(admits(source, client, groups));
            if said == Admission::Admitted {
                break;
            }
        }
        said
    }
}

fn admits(source: &Source, client: &[IpNet], groups: Option<&[Index<SecurityGroup>]>) -> Admission {
    match source {
        Source::Prefix(prefix) if client.iter().any(|c| prefix.contains(c)) => Admission::Admitted,
        Source::Prefix(prefix) if client.len() > 1 && client.iter().any(|c| overlaps(c, prefix)) => {
            Admission::Unknown
        }
        Source::Prefix(_) => Admission::Refused,
        Source::Group(group) => match groups {
            None => Admission::Unknown,
            Some(groups) if groups.contains(group) => Admission::Admitted,
            Some(_) => Admission::Refused,
        },
    }
}
