//! All that is known of one name at one upstream, and which of two facts holds.
//!
//! Facts are ordered by when their queries were sent. The newest one holds, and ends what it contradicts:
//!
//! | newer | ends of what is older |
//! | --- | --- |
//! | the name does not exist | all types |
//! | records, an alias, or no records of a type | the same type, and that the name does not exist |
//! | a referral | everything |
//!
//! That a name is an alias and that it has records contradict each other too. Within its TTL the older one is used all the
//! same, as its zone permits; past it, it is not.
//!
//! A newer answer that may not be cached leaves its mark without its content: it ends the older one, and nothing takes
//! its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::statement::Statement;
use crate::dns::{Answer, RecordType};
use crate::resolve::MonotonicSeconds;

/// How many types of one name are remembered, at most. A client can ask for 65,536.
const MAX_TYPES: usize = 32;

/// Weight of a type in addition to its answer, in octets. An estimate.
const TYPE_OVERHEAD: u64 = 96;

/// A cached answer.
#[derive(Debug)]
pub(super) struct Fact {
    /// The answer, with the TTLs that it had when its query was sent.
    pub answer: Answer,
    /// When its query was sent: TTLs count from there, so that no client caches it for too long.
    pub sent: MonotonicSeconds,
    /// How long it is fresh, in seconds.
    pub ttl_s: u32,
    /// Whether `ttl_s` is by its records. A denial without an SOA record has none, and is never served stale.
    pub has_own_ttl: bool,
    /// Its weight in octets.
    pub weight: u64,
    /// How often it was looked up.
    pub hits: AtomicU32,
}

impl Fact {
    /// How many seconds ago its query was sent.
    pub fn age(&self, now: MonotonicSeconds) -> u64 {
        now.seconds_since(self.sent)
    }

    /// Whether its TTL has not passed.
    pub fn is_fresh(&self, now: MonotonicSeconds) -> bool {
        self.age(now) < u64::from(self.ttl_s)
    }

    /// Whether it may be served when no server answers, at most `limit` seconds past its TTL.
    pub fn is_usable(&self, now: MonotonicSeconds, limit: u64) -> bool {
        let limit = if self.has_own_ttl { limit } else { 0 };
        self.age(now) < u64::from(self.ttl_s) + limit
    }

    /// Until when a copy that is made now may be served: in its last tenth each query is looked up, so that the cache
    /// sees whether the answer is worth a prefetch.
    pub fn until(&self, now: MonotonicSeconds) -> MonotonicSeconds {
        let end = self.sent.plus(self.ttl_s.into());
        let last_tenth = self.sent.plus((self.ttl_s - self.ttl_s / 10).into());
        if now < last_tenth { last_tenth } else { end }
    }
}

/// The newest answer for one type.
#[derive(Clone, Debug)]
struct TypeFact {
    qtype: RecordType,
    /// The number of its query.
    sequence: u64,
    statement: Statement,
    /// `None`: it may not be cached.
    fact: Option<Arc<Fact>>,
}

/// All that is known of a name. Sequence numbers are of queries; 0 means that there was none.
#[derive(Clone, Debug, Default)]
pub(super) struct NameFacts {
    /// That it does not exist, for all types.
    denial: Option<(u64, Arc<Fact>)>,
    /// The newest query that ended all older facts: the name did not exist then, or was other servers'.
    ended: u64,
    /// The newest query that found the name to exist.
    exists: u64,
    /// The newest queries that found it to be an alias, and to have records.
    alias: u64,
    records: u64,
    types: Vec<TypeFact>,
}

impl NameFacts {
    /// The fact for a type.
    pub fn find(&self, qtype: RecordType) -> Option<&Fact> {
        self.of_type(qtype).and_then(|lookup| lookup.fact.as_deref()).or_else(|| self.denial())
    }

    /// The same, unless a newer fact for another type contradicts it.
    pub fn find_uncontradicted(&self, qtype: RecordType) -> Option<&Fact> {
        let is_contradicted = self.of_type(qtype).is_some_and(|lookup| {
            let newer = [(Statement::Alias, self.alias), (Statement::Records, self.records)];
            newer
                .iter()
                .any(|(other, sequence)| *sequence > lookup.sequence && other.contradicts(lookup.statement))
        });
        self.find(qtype).filter(|_| !is_contradicted)
    }

    /// The weight of all facts, in octets.
    pub fn weight(&self) -> u64 {
        let weight = |fact: &Arc<Fact>| fact.weight;
        let types = self.types.iter().map(|of| TYPE_OVERHEAD + of.fact.as_ref().map_or(0, weight));
        self.denial.as_ref().map_or(0, |(_, fact)| TYPE_OVERHEAD + fact.weight) + types.sum::<u64>()
    }

    /// The facts after the answer to a query for a type. `fact` is `None` where it may not be cached. What weighs more
    /// than `largest` is not kept.
    pub fn with(
        mut self,
        statement: Statement,
        qtype: RecordType,
        sequence: u64,
        fact: Option<Arc<Fact>>,
        largest: u64,
    ) -> Self {
        self = self.with_contradiction(statement, sequence);
        let fact = fact.filter(|fact| fact.weight <= largest);
        match statement {
            Statement::NoSuchName => {
                let is_newest = self.denial.as_ref().is_none_or(|(cached_client, _)| *cached_client < sequence);
                if is_newest && sequence >= self.ended && sequence > self.exists {
                    self.denial = fact.map(|fact| (sequence, fact));
                }
            }
            Statement::Referral => self.denial = self.denial.filter(|(cached_client, _)| *cached_client > sequence),
            _ if sequence < self.ended => {}
            _ => match self.types.iter_mut().find(|cached_client| cached_client.qtype == qtype) {
                Some(cached_client) if cached_client.sequence > sequence => {}
                Some(cached_client) => *cached_client = TypeFact { qtype, sequence, statement, fact },
                None => self.types.push(TypeFact { qtype, sequence, statement, fact }),
            },
        }
        while self.types.len() > MAX_TYPES || (self.weight() > largest && !self.types.is_empty()) {
            self.evict_one(qtype);
        }
        self
    }

    /// The facts after something was learnt of the name by the way: what it contradicts ends.
    pub fn with_contradiction(mut self, statement: Statement, sequence: u64) -> Self {
        match statement {
            Statement::NoSuchName | Statement::Referral => {
                self.ended = self.ended.max(sequence);
                self.types.retain(|cached_client| cached_client.sequence > sequence);
                return self;
            }
            Statement::Alias => self.alias = self.alias.max(sequence),
            Statement::Records => self.records = self.records.max(sequence),
            Statement::NoData | Statement::NeutralRecords => {}
        }
        self.exists = self.exists.max(sequence);
        self.denial = self.denial.filter(|(cached_client, _)| *cached_client > sequence);
        self
    }

    /// That the name does not exist.
    fn denial(&self) -> Option<&Fact> {
        self.denial.as_ref().map(|(_, fact)| &**fact)
    }

    /// What is known of a type.
    fn of_type(&self, qtype: RecordType) -> Option<&TypeFact> {
        self.types.iter().find(|cached_client| cached_client.qtype == qtype)
    }

    /// Makes room: of the types without records, and else of all, the least looked up is forgotten. The one of `newest`
    /// stays while there is another.
    fn evict_one(&mut self, newest: RecordType) {
        let value = |cached_client: &TypeFact| {
            let hits = cached_client.fact.as_ref().map(|fact| fact.hits.load(Ordering::Relaxed));
            (cached_client.qtype == newest, cached_client.statement != Statement::NoData, hits, cached_client.sequence)
        };
        let least = (0..self.types.len()).min_by_key(|at| value(&self.types[*at]));
        if let Some(least) = least {
            self.types.swap_remove(least);
        }
    }
}
