//! Traces of decisions: none on the query path, complete for `explain`.

use super::Referral;
use super::routing::{RoutingDecision, Selection};
use crate::dns::{Name, RecordType};
use crate::world::ScopedClaim;

/// Receives the steps of a decision.
pub trait Trace {
    /// A claim matches the name; `labels` is the length of its suffix, and `is_selected` whether it answers.
    fn claim(&mut self, name: &Name, labels: usize, claim: ScopedClaim, is_selected: bool);

    /// A delegated zone is resolved by its own name servers.
    fn delegation(&mut self, referral: &Referral);

    /// A routing policy selected among the record sets of a name and type.
    fn routing(&mut self, name: &Name, rtype: RecordType, choice: &RoutingDecision<'_>);
}

/// Ignores everything, at no cost.
#[derive(Debug)]
pub struct NoTrace;

impl Trace for NoTrace {
    fn claim(&mut self, _: &Name, _: usize, _: ScopedClaim, _: bool) {}

    fn delegation(&mut self, _: &Referral) {}

    fn routing(&mut self, _: &Name, _: RecordType, _: &RoutingDecision<'_>) {}
}

/// Records everything.
#[derive(Debug, Default)]
pub struct Recorder {
    /// The claims that matched each name of the chain, in the order in which they were considered.
    pub claims: Vec<ConsideredClaim>,
    /// The delegations that were followed, in order.
    pub delegations: Vec<Referral>,
    /// The record sets selected by routing policies, in the order of the chain.
    pub routing: Vec<RoutingRecord>,
}

/// A record set selected by a routing policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutingRecord {
    /// The name that was looked up.
    pub name: Name,
    /// The type of the record sets.
    pub rtype: RecordType,
    /// The name of the policy.
    pub policy: &'static str,
    /// The set identifier of the selected record set. `None` if none matches the client.
    pub set_identifier: Option<Box<str>>,
    /// Why it was selected.
    pub why: String,
}

/// A claim that matched a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsideredClaim {
    /// The name.
    pub name: Name,
    /// Number of labels of the claim's suffix.
    pub labels: usize,
    /// The claim and its source.
    pub scoped: ScopedClaim,
    /// Whether it answered.
    pub is_selected: bool,
}

impl Trace for Recorder {
    fn claim(&mut self, name: &Name, labels: usize, scoped: ScopedClaim, is_selected: bool) {
        let seen = ConsideredClaim { name: name.clone(), labels, scoped, is_selected };
        // After an upstream has answered, the same name is decided again.
        if !self.claims.contains(&seen) {
            self.claims.push(seen);
        }
    }

    fn delegation(&mut self, referral: &Referral) {
        self.delegations.push(referral.clone());
    }

    fn routing(&mut self, name: &Name, rtype: RecordType, choice: &RoutingDecision<'_>) {
        let mut chosen: Vec<Option<Box<str>>> = match &choice.selection {
            Selection::One(set) => vec![Some(set.identifier.clone())],
            Selection::Values(values) => values.iter().map(|(set, _)| Some(set.identifier.clone())).collect(),
            Selection::Nothing => vec![None],
        };
        // A record set with several values is listed once.
        chosen.sort();
        chosen.dedup();
        self.routing.extend(chosen.into_iter().map(|set_identifier| RoutingRecord {
            name: name.clone(),
            rtype,
            policy: choice.policy.as_str(),
            set_identifier,
            why: choice.why.to_string(),
        }));
    }
}
