//! Everything known about one name at one upstream, and which of two facts applies.
//!
//! Facts are ordered by when their queries were sent. The newest one applies and replaces what it
//! contradicts:
//!
//! | newer | replaces, if older |
//! | --- | --- |
//! | the name does not exist | all types |
//! | records, an alias, or no records of a type | the same type, and nonexistence of the name |
//! | a referral | everything |
//!
//! An alias and records of the same name contradict each other too. Within its TTL the older one is used
//! nevertheless, as its zone permits; after that it is not.
//!
//! A newer answer that is not cacheable leaves a mark without content: it removes the older one, and nothing
//! replaces it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::statement::Statement;
use crate::dns::{Answer, RecordType};
use crate::resolve::MonotonicSeconds;

/// Maximum number of types per name. A client can query 65,536.
const MAX_TYPES: usize = 32;

/// Weight of a type in addition to its answer, in octets. An estimate.
const TYPE_OVERHEAD: u64 = 96;

/// A cached answer.
#[derive(Debug)]
pub(super) struct Fact {
    /// The answer, with its TTLs as of when its query was sent.
    pub answer: Answer,
    /// When its query was sent: TTLs count from here, so that no client caches it for too long.
    pub sent: MonotonicSeconds,
    /// How long it is fresh, in seconds.
    pub ttl_s: u32,
    /// Whether `ttl_s` follows from its records. A negative answer without an SOA record has no TTL and is
    /// never served stale.
    pub has_own_ttl: bool,
    /// Its weight in octets.
    pub weight: u64,
    /// Number of lookups.
    pub hits: AtomicU32,
}

impl Fact {
    /// Seconds since its query was sent.
    pub(super) fn age(&self, now: MonotonicSeconds) -> u64 {
        now.seconds_since(self.sent)
    }

    /// Whether its TTL has not expired.
    pub(super) fn is_fresh(&self, now: MonotonicSeconds) -> bool {
        self.age(now) < u64::from(self.ttl_s)
    }

    /// Whether it may be served when no server answers, at most `limit` seconds after its TTL.
    pub(super) fn is_usable(&self, now: MonotonicSeconds, limit: u64) -> bool {
        let limit = if self.has_own_ttl { limit } else { 0 };
        self.age(now) < u64::from(self.ttl_s) + limit
    }

    /// Until when a copy made now may be served: at most until the last tenth begins, so that the message
    /// cache receives a query in the last tenth, which prefetches the answer. A later copy ends with the TTL.
    pub(super) fn until(&self, now: MonotonicSeconds) -> MonotonicSeconds {
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
    /// `None` if it is not cacheable.
    fact: Option<Arc<Fact>>,
}

/// Everything known about a name. Sequence numbers are those of queries; 0 means none.
#[derive(Clone, Debug, Default)]
pub(super) struct NameFacts {
    /// Nonexistence of the name, for all types.
    denial: Option<(u64, Arc<Fact>)>,
    /// The newest query that invalidated all older facts: the name did not exist, or was delegated to other
    /// servers.
    invalidated: u64,
    /// The newest query that found the name to exist.
    exists: u64,
    /// The newest queries that found it to be an alias, and to have records.
    alias: u64,
    records: u64,
    types: Vec<TypeFact>,
}

impl NameFacts {
    /// The fact for a type.
    pub(super) fn find(&self, qtype: RecordType) -> Option<&Fact> {
        self.of_type(qtype).and_then(|entry| entry.fact.as_deref()).or_else(|| self.denial())
    }

    /// The same, unless a newer fact for another type contradicts it.
    pub(super) fn find_uncontradicted(&self, qtype: RecordType) -> Option<&Fact> {
        let is_contradicted = self.of_type(qtype).is_some_and(|entry| {
            let newer = [(Statement::Alias, self.alias), (Statement::Records, self.records)];
            newer
                .iter()
                .any(|(other, sequence)| *sequence > entry.sequence && other.contradicts(entry.statement))
        });
        self.find(qtype).filter(|_| !is_contradicted)
    }

    /// The weight of all facts, in octets.
    pub(super) fn weight(&self) -> u64 {
        let weight = |fact: &Arc<Fact>| fact.weight;
        let types = self.types.iter().map(|entry| TYPE_OVERHEAD + entry.fact.as_ref().map_or(0, weight));
        self.denial.as_ref().map_or(0, |(_, fact)| TYPE_OVERHEAD + fact.weight) + types.sum::<u64>()
    }

    /// Adds the answer to a query for a type. `fact` is `None` if it is not cacheable. Entries
    /// that weigh more than `largest` are not stored.
    pub(super) fn with(
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
                let is_newest = self.denial.as_ref().is_none_or(|(denied, _)| *denied < sequence);
                if is_newest && sequence >= self.invalidated && sequence > self.exists {
                    self.denial = fact.map(|fact| (sequence, fact));
                }
            }
            Statement::Referral => self.denial = self.denial.filter(|(denied, _)| *denied > sequence),
            _ if sequence < self.invalidated => {}
            _ => match self.types.iter_mut().find(|entry| entry.qtype == qtype) {
                Some(entry) if entry.sequence > sequence => {}
                Some(entry) => *entry = TypeFact { qtype, sequence, statement, fact },
                None => self.types.push(TypeFact { qtype, sequence, statement, fact }),
            },
        }
        while self.types.len() > MAX_TYPES || (self.weight() > largest && !self.types.is_empty()) {
            self.evict_one(qtype);
        }
        self
    }

    /// Records that an answer makes a statement about the name, and removes older facts that it contradicts.
    pub(super) fn with_contradiction(mut self, statement: Statement, sequence: u64) -> Self {
        match statement {
            Statement::NoSuchName | Statement::Referral => {
                self.invalidated = self.invalidated.max(sequence);
                self.types.retain(|entry| entry.sequence > sequence);
                return self;
            }
            Statement::Alias => self.alias = self.alias.max(sequence),
            Statement::Records => self.records = self.records.max(sequence),
            Statement::NoData | Statement::NeutralRecords => {}
        }
        self.exists = self.exists.max(sequence);
        self.denial = self.denial.filter(|(denied, _)| *denied > sequence);
        self
    }

    /// Nonexistence of the name.
    fn denial(&self) -> Option<&Fact> {
        self.denial.as_ref().map(|(_, fact)| &**fact)
    }

    /// What is known about a type.
    fn of_type(&self, qtype: RecordType) -> Option<&TypeFact> {
        self.types.iter().find(|entry| entry.qtype == qtype)
    }

    /// Evicts the least used type, preferably one without records. The type `newest` is retained as long as
    /// there is another one.
    fn evict_one(&mut self, newest: RecordType) {
        let value = |entry: &TypeFact| {
            let hits = entry.fact.as_ref().map(|fact| fact.hits.load(Ordering::Relaxed));
            (entry.qtype == newest, entry.statement != Statement::NoData, hits, entry.sequence)
        };
        let least_used = (0..self.types.len()).min_by_key(|index| value(&self.types[*index]));
        if let Some(index) = least_used {
            self.types.swap_remove(index);
        }
    }
}
