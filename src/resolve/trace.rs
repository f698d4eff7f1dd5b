//! What a decision tells about itself: nothing on the query path, everything to `explain`.

use super::Referral;
use super::routing::{Choice, Chosen};
use crate::dns::{Name, RecordType};
use crate::world::Held;

/// Hears what a decision considers.
pub trait Trace {
    /// A claim covers the name; `labels` is the length of its suffix, and `wins` whether it answers.
    fn claim(&mut self, name: &Name, labels: usize, held: Held, wins: bool);

    /// A delegated zone is asked of its own name servers.
    fn delegation(&mut self, referral: &Referral);

    /// A routing policy chose among the record sets of a name and type.
    fn routing(&mut self, name: &Name, rtype: RecordType, choice: &Choice<'_>);
}

/// Hears nothing and costs nothing.
#[derive(Debug)]
pub struct Silent;

impl Trace for Silent {
    fn claim(&mut self, _: &Name, _: usize, _: Held, _: bool) {}

    fn delegation(&mut self, _: &Referral) {}

    fn routing(&mut self, _: &Name, _: RecordType, _: &Choice<'_>) {}
}

/// Keeps everything.
#[derive(Debug, Default)]
pub struct Recorder {
    /// The claims that covered each name of the chain, in the order they were considered.
    pub claims: Vec<ClaimSeen>,
    /// The delegations that were followed, in their order.
    pub delegations: Vec<Referral>,
    /// The record sets that routing policies chose, in the order of the chain.
    pub routing: Vec<RoutingSeen>,
}

/// A record set that a routing policy chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutingSeen {
    /// The name that was looked up.
    pub name: Name,
    /// The type of the record sets.
    pub rtype: RecordType,
    /// The policy's word.
    pub policy: &'static str,
    /// The identifier of the one that was chosen. `None`: none is meant for who asks.
    pub set_identifier: Option<Box<str>>,
    /// Why it was chosen.
    pub why: String,
}

/// A claim that covered a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimSeen {
    /// The name.
    pub name: Name,
    /// How many labels the claim's suffix has.
    pub labels: usize,
    /// The claim, and how it came to the view.
    pub held: Held,
    /// Whether it answered.
    pub wins: bool,
}

impl Trace for Recorder {
    fn claim(&mut self, name: &Name, labels: usize, held: Held, wins: bool) {
        let seen = ClaimSeen { name: name.clone(), labels, held, wins };
        // Once somebody else has answered, the same name is decided again.
        if !self.claims.contains(&seen) {
            self.claims.push(seen);
        }
    }

    fn delegation(&mut self, referral: &Referral) {
        self.delegations.push(referral.clone());
    }

    fn routing(&mut self, name: &Name, rtype: RecordType, choice: &Choice<'_>) {
        let mut chosen: Vec<Option<Box<str>>> = match &choice.chosen {
            Chosen::One(set) => vec![Some(set.identifier.clone())],
            Chosen::Values(values) => values.iter().map(|(set, _)| Some(set.identifier.clone())).collect(),
            Chosen::Nothing => vec![None],
        };
        // A record set of several values is one.
        chosen.sort();
        chosen.dedup();
        self.routing.extend(chosen.into_iter().map(|set_identifier| RoutingSeen {
            name: name.clone(),
            rtype,
            policy: choice.policy.as_str(),
            set_identifier,
            why: choice.why.to_string(),
        }));
    }
}
