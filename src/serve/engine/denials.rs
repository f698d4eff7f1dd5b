//! Names that were recently answered with NXDOMAIN: AWS's resolver was observed to omit the SOA record from a
//! cached NXDOMAIN, so that only the first reply has it (`answers.negative_soa`).

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use quick_cache::sync::Cache;

use crate::dns::{Question, Rcode, RecordType};
use crate::resolve::{Cacheability, MonotonicSeconds, Outcome};
use crate::world::{NegativeSoa, ViewId, World};

/// Maximum number of remembered names. A name that is evicted early is answered with the SOA record once
/// more.
const CAPACITY: usize = 16_384;

/// Names answered with NXDOMAIN, with the time until which this applies.
#[derive(Debug)]
pub(super) struct Denials {
    /// When the TTL of the SOA record expires, by a hash of generation, view and name.
    until: Cache<u64, MonotonicSeconds>,
    hasher: RandomState,
}

impl Denials {
    /// Creates an empty set.
    pub(super) fn new() -> Self {
        Self { until: Cache::new(CAPACITY), hasher: RandomState::default() }
    }

    /// The outcome to use instead, which is not cacheable: without its SOA record if the name was already
    /// answered with NXDOMAIN within that record's TTL, else with it. `None` if the setting does not apply.
    pub(super) fn without_repeated_soa(
        &self,
        world: &World,
        view: ViewId,
        question: &Question,
        outcome: &Outcome,
        now: MonotonicSeconds,
    ) -> Option<Outcome> {
        let applies = world.settings.replies.negative_soa == NegativeSoa::FirstOnly
            && outcome.answer.rcode == Rcode::NXDOMAIN;
        let soa = outcome.answer.authority.iter().find(|set| applies && set.rtype == RecordType::SOA)?;
        let key = self.hasher.hash_one((world.generation, view, &question.qname));
        let mut replacement = Outcome { cacheability: Cacheability::Never, ..outcome.clone() };
        match self.until.get(&key) {
            Some(until) if now < until => replacement.answer.authority.clear(),
            // The first reply has the record: the outcome is returned unchanged, apart from not being cached.
            _ => self.until.insert(key, now.plus(soa.ttl.into())),
        }
        Some(replacement)
    }
}
