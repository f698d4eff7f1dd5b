//! Which names were denied a while ago: AWS's resolver was seen to leave the SOA record out of a cached NXDOMAIN, so that
//! only the first of them has it (`answers.negative_soa`).

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use quick_cache::sync::Cache;

use crate::dns::{Question, Rcode, RecordType};
use crate::resolve::{Keep, Outcome};
use crate::world::{NegativeSoa, ViewId, World};

/// How many denials are remembered. One that is forgotten too early comes with its SOA record once more.
const MOST: usize = 16_384;

/// Denials that were given, and until when each holds.
#[derive(Debug)]
pub struct Denials {
    /// By a hash of world, view and name: the end of its TTL, in seconds since 1970.
    until_s: Cache<u64, u64>,
    hasher: RandomState,
}

impl Denials {
    /// None given yet.
    pub fn new() -> Self {
        Self { until_s: Cache::new(MOST), hasher: RandomState::default() }
    }

    /// The outcome as it is to be told, where that differs: without its SOA record if the name was denied within that
    /// record's TTL. No such reply is kept.
    pub fn told(
        &self,
        world: &World,
        view: ViewId,
        question: &Question,
        outcome: &Outcome,
        now_s: u64,
    ) -> Option<Outcome> {
        let is_meant =
            world.answers.negative_soa == NegativeSoa::FirstOnly && outcome.answer.rcode == Rcode::NXDOMAIN;
        let soa = outcome.answer.authority.iter().find(|set| is_meant && set.rtype == RecordType::SOA)?;
        let key = self.hasher.hash_one((world.generation, view, &question.qname));
        let mut told = Outcome { keep: Keep::No, ..outcome.clone() };
        match self.until_s.get(&key) {
            Some(until_s) if now_s < until_s => told.answer.authority.clear(),
            _ => self.until_s.insert(key, now_s + u64::from(soa.ttl)),
        }
        Some(told)
    }
}
