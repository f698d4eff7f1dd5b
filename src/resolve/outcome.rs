//! The outcome of one question.

use std::net::IpAddr;
use std::sync::Arc;

use super::MonotonicSeconds;
use super::path::{EgressPath, Reason};
use crate::dns::Answer;

/// The source of an answer. A closed set, used as a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// The targets of a FORWARD rule.
    ForwardRule,
    /// Public DNS, because a SYSTEM rule excluded the name from a FORWARD rule.
    SystemRule,
    /// A private hosted zone.
    PrivateHostedZone,
    /// Private DNS of an endpoint.
    Endpoint,
    /// A generated host name.
    GeneratedName,
    /// A generated reverse name.
    Reverse,
    /// DNS Firewall.
    Firewall,
    /// Public DNS.
    Public,
    /// None: the query was refused.
    Refused,
}

impl Source {
    /// All variants.
    pub const ALL: [Self; 9] = [
        Self::ForwardRule,
        Self::SystemRule,
        Self::PrivateHostedZone,
        Self::Endpoint,
        Self::GeneratedName,
        Self::Reverse,
        Self::Firewall,
        Self::Public,
        Self::Refused,
    ];

    /// Its name in metrics, logs and `explain`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ForwardRule => "forward-rule",
            Self::SystemRule => "system-rule",
            Self::PrivateHostedZone => "private-hosted-zone",
            Self::Endpoint => "endpoint",
            Self::GeneratedName => "generated-name",
            Self::Reverse => "reverse",
            Self::Firewall => "firewall",
            Self::Public => "public",
            Self::Refused => "refused",
        }
    }
}

/// The egress path of one address of an answer.
#[derive(Clone, Debug)]
pub struct AddressPath {
    /// The address.
    pub address: IpAddr,
    /// The path.
    pub path: Arc<EgressPath>,
}

/// How long an answer may be cached for the same question from the same vantage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cacheability {
    /// For the generation of its world, unless a TTL that counts down expires earlier.
    Generation,
    /// As above, but no longer than until this time, after which the message cache must be consulted again.
    Until(MonotonicSeconds),
    /// Not at all.
    Never,
}

impl Cacheability {
    /// The shorter of two.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never, _) | (_, Self::Never) => Self::Never,
            (Self::Generation, cacheability) | (cacheability, Self::Generation) => cacheability,
            (Self::Until(one), Self::Until(other)) => Self::Until(one.min(other)),
        }
    }
}

/// The outcome of one question from one vantage.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The answer, with CNAMEs followed and TTLs capped.
    pub answer: Answer,
    /// The source of the answer to the query name.
    pub source: Source,
    /// The path of each distinct address, in the order of the answer before rotation.
    pub paths: Vec<AddressPath>,
    /// Reasons of an answer without addresses.
    pub reasons: Vec<Reason>,
    /// How long the answer may be cached.
    pub cacheability: Cacheability,
}

impl Outcome {
    /// An outcome without paths that must not be cached.
    pub fn without_paths(answer: Answer, source: Source) -> Self {
        Self { answer, source, paths: Vec::new(), reasons: Vec::new(), cacheability: Cacheability::Never }
    }

    /// Every distinct reason, in the order of the paths.
    pub fn all_reasons(&self) -> Vec<Reason> {
        let mut all = self.reasons.clone();
        all.extend(self.paths.iter().flat_map(|p| p.path.reasons.iter().copied()));
        let mut seen = Vec::with_capacity(all.len());
        all.retain(|reason| {
            let new = !seen.contains(reason);
            seen.push(*reason);
            new
        });
        all
    }
}
