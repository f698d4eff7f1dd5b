//! What a decision tells about itself: nothing on the query path, everything to `explain`.

use super::Referral;
use crate::dns::Name;
use crate::world::Held;

/// Hears what a decision considers.
pub trait Trace {
    /// A claim covers the name; `labels` is the length of its suffix, and `wins` whether it answers.
    fn claim(&mut self, name: &Name, labels: usize, held: Held, wins: bool);

    /// A delegated zone is asked of its own name servers.
    fn delegation(&mut self, referral: &Referral);
}

/// Hears nothing and costs nothing.
#[derive(Debug)]
pub struct Silent;

impl Trace for Silent {
    fn claim(&mut self, _: &Name, _: usize, _: Held, _: bool) {}

    fn delegation(&mut self, _: &Referral) {}
}

/// Keeps everything.
#[derive(Debug, Default)]
pub struct Recorder {
    /// The claims that covered each name of the chain, in the order they were considered.
    pub claims: Vec<ClaimSeen>,
    /// The delegations that were followed, in their order.
    pub delegations: Vec<Referral>,
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
}
