//! What one question comes to.

use std::net::IpAddr;
use std::sync::Arc;

use super::MonotonicSeconds;
use super::path::{EgressPath, Reason};
use crate::dns::Answer;

/// What answers a question. A closed set, and a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// A FORWARD rule's targets.
    ForwardRule,
    /// Public DNS, because a SYSTEM rule kept a wider FORWARD rule away.
    SystemRule,
    /// A private hosted zone.
    PrivateHostedZone,
    /// An endpoint's private DNS.
    Endpoint,
    /// A generated host name.
    GeneratedName,
    /// A generated reverse name.
    Reverse,
    /// DNS Firewall.
    Firewall,
    /// Public DNS.
    Public,
    /// Nobody: the client may not ask, or the question cannot be asked.
    Refused,
}

impl Source {
    /// Every source.
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

    /// The word for it, in metrics, logs and `explain`.
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

/// The way out that one address of an answer implies.
#[derive(Clone, Debug)]
pub struct AddressPath {
    /// The address.
    pub address: IpAddr,
    /// The way.
    pub path: Arc<EgressPath>,
}

/// Whether an answer may be given again to whoever asks the same from the same vantage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cacheability {
    /// As long as its world is in use, and no TTL that counts down has run out.
    Generation,
    /// In addition, before this time: from then on, the cache that it came from is consulted again.
    Until(MonotonicSeconds),
    /// Never.
    Never,
}

impl Cacheability {
    /// As long as both say.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never, _) | (_, Self::Never) => Self::Never,
            (Self::Generation, keep) | (keep, Self::Generation) => keep,
            (Self::Until(one), Self::Until(other)) => Self::Until(one.min(other)),
        }
    }
}

/// What one question comes to, from one vantage.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The answer, CNAMEs followed, TTLs capped.
    pub answer: Answer,
    /// What answered the name that was asked for.
    pub source: Source,
    /// The path of each address of the answer, in the answer's unrotated order, each address once.
    pub paths: Vec<AddressPath>,
    /// Reasons that belong to an answer without addresses.
    pub reasons: Vec<Reason>,
    /// Whether the answer may be given again.
    pub keep: Cacheability,
}

impl Outcome {
    /// An outcome with no addresses in it, for this once.
    pub fn without_paths(answer: Answer, source: Source) -> Self {
        Self { answer, source, paths: Vec::new(), reasons: Vec::new(), keep: Cacheability::Never }
    }

    /// Every reason of the outcome, each once, in the order of the paths.
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
