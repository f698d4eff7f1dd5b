//! Which names were denied a while ago: AWS's resolver was seen to leave the SOA record out of a cached NXDOMAIN, so that
//! only the first of them has it (`answers.negative_soa`).

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use quick_cache::sync::Cache;

use crate::dns::{Question, Rcode, RecordType};
use crate::resolve::{Keep, MonotonicSeconds, Outcome};
use crate::world::{NegativeSoa, ViewId, World};

/// How many denials are remembered. One that is forgotten too early comes with its SOA record once more.
const MOST: usize = 16_384;

/// Denials that were given, and until when each holds.
#[derive(Debug)]
pub struct Denials {
    /// By a hash of world, view and name: the end of its TTL.
    until: Cache<u64, MonotonicSeconds>,
    hasher: RandomState,
}

impl Denials {
    /// None given yet.
    pub fn new() -> Self {
        Self { until: Cache::new(MOST), hasher: RandomState::default() }
    }

    /// The outcome as it is to be told, where that differs: without its SOA record if the name was denied within that
    /// record's TTL. No such reply is kept.
    pub fn told(
        &self,
        world: &World,
        view: ViewId,
        question: &Question,
        outcome: &Outcome,
        now: MonotonicSeconds,
    ) -> Option<Outcome> {
        let is_meant =
            world.answers.negative_soa == NegativeSoa::FirstOnly && outcome.answer.rcode == Rcode::NXDOMAIN;
        let soa = outcome.answer.authority.iter().find(|set| is_meant && set.rtype == RecordType::SOA)?;
        let key = self.hasher.hash_one((world.generation, view, &question.qname));
        let mut told = Outcome { keep: Keep::No, ..outcome.clone() };
        match self.until.get(&key) {
            Some(until) if now < until => told.answer.authority.clear(),
            _ => self.until.insert(key, now.plus(soa.ttl.into())),
        }
        Some(told)
    }
}
