//! Message cache for upstream answers: TTLs count down, negative answers are cached (RFC 2308), and stale
//! answers can be served if no server answers (RFC 8767).
//!
//! ```text
//!  (upstream, name, class) ──► NameFacts ──┬─► nonexistence of the name
//!                                          └─► one answer per type
//! ```
//!
//! Everything known about a name at an upstream is one entry, so that it is looked up, replaced and evicted
//! as a whole: NXDOMAIN cannot coexist with an answer that contradicts it. `NameFacts` decides which of two
//! facts applies.
//!
//! An answer concerns only the query name: NXDOMAIN does not apply to the names below it. RFC 8020 allows
//! that conclusion to resolvers that query authoritative servers; a FORWARD rule may use servers that return
//! NXDOMAIN for a name although other servers have names below it.
//!
//! The cache is bounded in octets. Its policy is S3-FIFO: entries that are looked up only once are evicted
//! through a small queue, and those that are looked up again remain in a large one, so that a flood of unique
//! names does not evict frequently used ones.
//!
//! All times are monotonic. Setting the wall clock does not change the lifetime of an entry.

mod name_facts;
mod statement;
#[cfg(test)]
mod tests;

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::fast::RandomState;
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};

use self::name_facts::{Fact, NameFacts};
use self::statement::{Statement, alias_targets};
use super::upstream::UpstreamNumber;
use crate::dns::{Answer, Class, Ede, Name, Question, Rcode, RecordType, RrSet};
use crate::resolve::MonotonicSeconds;

/// TTL of stale records, in seconds (RFC 8767 section 4).
const STALE_TTL_S: u32 = 30;

/// How long a negative answer without an SOA record is cached, in seconds. It has no TTL, and RFC 2308
/// section 5 advises against caching it, because two forwarders could pass it back and forth indefinitely;
/// but AWS's own resolver sends such answers, and a separate upstream query for each query of a burst would
/// be useless. It is never served stale.
const NEGATIVE_TTL_WITHOUT_SOA_S: u32 = 5;

/// Weight of an entry in addition to its facts, in octets: key, bookkeeping, allocations. An estimate.
const ENTRY_OVERHEAD: u64 = 200;

/// Weight of a record set in addition to its names and data, in octets. An estimate.
const SET_OVERHEAD: u64 = 64;

/// Divisor of the size of the cache or of a shard: entries that weigh more than this fraction are not stored,
/// because they would evict too much.
const MAX_ENTRY_DIVISOR: u64 = 8;

/// Minimum number of lookups of an answer that is prefetched shortly before it expires.
const PREFETCH_HITS: u32 = 3;

/// After the first few lookups of an entry, only one in this many is reported to the eviction policy.
const REPORT_EVERY: u32 = 8;

/// Number of locks that serialise insertions for the same name. Names that share a lock wait for each
/// other, without further effect.
const INSERTION_LOCKS: usize = 64;

/// Limits of a message cache.
#[derive(Clone, Debug)]
pub struct CacheBounds {
    /// Maximum weight of all entries, in octets.
    pub max_bytes: u64,
    /// Maximum time that a negative answer is cached, in seconds.
    pub max_negative_ttl_s: u32,
    /// Maximum time that a positive answer is cached, in seconds.
    pub max_ttl_s: u32,
    /// How long an answer may be served after its TTL, in seconds. 0 disables stale answers.
    pub serve_stale_s: u32,
}

/// Answers by upstream and question.
#[derive(Debug)]
pub struct MessageCache {
    entries: Cache<CacheKey, Arc<NameFacts>, Weight>,
    /// Insertions for the same name are serialised. Lookups do not take these locks.
    insertions: [Mutex<()>; INSERTION_LOCKS],
    hasher: RandomState,
    /// Number of queries sent.
    queries: AtomicU64,
    bounds: CacheBounds,
}

/// When a query was sent to an upstream. Answers are ordered by this.
///
/// An answer is at least as new as its query. Of two answers that contradict each other, the one whose query
/// was sent later applies, regardless of the order of arrival.
#[derive(Clone, Copy, Debug)]
pub struct QuerySent {
    /// Sequence number of the query within its cache; later queries have higher numbers, also within the same
    /// second.
    sequence: u64,
    /// The time from which TTLs count.
    at: MonotonicSeconds,
}

/// Key of the facts about a name. No value that a client can send has a special meaning: facts for all types
/// are a field of [`NameFacts`], not a pseudo-type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct CacheKey {
    upstream: UpstreamNumber,
    qclass: Class,
    qname: Name,
}

/// A borrowed [`CacheKey`] for lookups, with the same hash.
#[derive(Hash)]
struct CacheKeyRef<'q> {
    upstream: UpstreamNumber,
    qclass: Class,
    qname: &'q Name,
}

impl Equivalent<CacheKey> for CacheKeyRef<'_> {
    fn equivalent(&self, key: &CacheKey) -> bool {
        let CacheKey { upstream, qclass, qname } = key;
        self.upstream == *upstream && self.qclass == *qclass && self.qname == qname
    }
}

/// A cached answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cached {
    /// The answer, with its TTLs counted down.
    pub answer: Answer,
    /// Until when a copy may be served without another lookup: the end of the TTL, or the start of the
    /// prefetch window.
    pub until: MonotonicSeconds,
    /// Whether it is used frequently and expires soon, so that it should be prefetched now.
    pub needs_prefetch: bool,
}

#[derive(Clone, Debug)]
struct Weight;

impl Weighter<CacheKey, Arc<NameFacts>> for Weight {
    fn weight(&self, key: &CacheKey, facts: &Arc<NameFacts>) -> u64 {
        ENTRY_OVERHEAD + key.qname.as_wire().len() as u64 + facts.weight()
    }
}

impl MessageCache {
    /// Creates an empty cache.
    pub fn new(bounds: CacheBounds) -> Self {
        // A name with a small answer weighs about 400 octets; the estimate only sizes tables.
        let estimated = usize::try_from(bounds.max_bytes / 400).unwrap_or(usize::MAX).clamp(64, 1 << 22);
        Self {
            entries: Cache::with_weighter(estimated, bounds.max_bytes, Weight),
            insertions: std::array::from_fn(|_| Mutex::new(())),
            hasher: RandomState::default(),
            queries: AtomicU64::new(0),
            bounds,
        }
    }

    /// A fresh answer to a question. `expired_hits` is how many times the packet cache served a reply made
    /// from it since the last lookup.
    pub fn fresh(
        &self,
        upstream: UpstreamNumber,
        question: &Question,
        now: MonotonicSeconds,
        expired_hits: u32,
    ) -> Option<Cached> {
        let key = CacheKeyRef { upstream, qclass: question.qclass, qname: &question.qname };
        // A lookup of another type is not a use of this entry: only hits are reported to the policy.
        let facts = self.entries.peek(&key)?;
        let fact = facts.find(question.qtype).filter(|fact| fact.is_fresh(now))?;
        let lookups = expired_hits.saturating_add(1);
        let before = fact.hits.fetch_add(lookups, Ordering::Relaxed);
        if before < PREFETCH_HITS || before.is_multiple_of(REPORT_EVERY) {
            self.entries.get(&key);
        }
        // `age` is less than a TTL, so the cast is lossless.
        let age = fact.age(now) as u32;
        let remaining = fact.ttl_s - age;
        // At most once in the last tenth of its TTL: the count is reset when a prefetch is requested.
        let needs_prefetch = before.saturating_add(lookups) >= PREFETCH_HITS && remaining <= fact.ttl_s / 10;
        if needs_prefetch {
            fact.hits.store(0, Ordering::Relaxed);
        }
        Some(Cached { answer: aged(&fact.answer, age), until: fact.until(now), needs_prefetch })
    }

    /// An answer to a question that may be stale, with the extended error Stale Answer, for use when no
    /// server answers.
    ///
    /// It is the newest known answer: one that has been contradicted by a newer answer is not served, whether
    /// or not the newer one is cacheable.
    pub fn stale(
        &self,
        upstream: UpstreamNumber,
        question: &Question,
        now: MonotonicSeconds,
    ) -> Option<Answer> {
        let limit = u64::from(self.bounds.serve_stale_s);
        if limit == 0 {
            return None;
        }
        let facts =
            self.entries.get(&CacheKeyRef { upstream, qclass: question.qclass, qname: &question.qname })?;
        let fact = facts.find_uncontradicted(question.qtype).filter(|fact| fact.is_usable(now, limit))?;
        let mut answer = fact.answer.clone();
        for set in answer.answer.iter_mut().chain(&mut answer.authority) {
            set.ttl = set.ttl.min(STALE_TTL_S);
        }
        let code =
            if answer.rcode == Rcode::NXDOMAIN { Ede::STALE_NXDOMAIN_ANSWER } else { Ede::STALE_ANSWER };
        let text =
            format!("{} s past its TTL; no fresh answer", fact.age(now).saturating_sub(fact.ttl_s.into()));
        Some(answer.with_ede(Ede::new(code, text)))
    }

    /// Assigns a sequence number to a query that is about to be sent.
    pub fn query_sent(&self, now: MonotonicSeconds) -> QuerySent {
        QuerySent { sequence: self.queries.fetch_add(1, Ordering::Relaxed) + 1, at: now }
    }

    /// Inserts the answer to a query: records, a negative answer with its SOA record (RFC 2308 section 5), or
    /// one without, for `NEGATIVE_TTL_WITHOUT_SOA_S` seconds.
    ///
    /// An answer that is not cacheable, because of a TTL of 0 or its size, still replaces older ones.
    pub fn insert(&self, upstream: UpstreamNumber, question: &Question, answer: &Answer, sent: QuerySent) {
        let Some(statement) = Statement::of(question, answer) else { return };
        let fact = self.fact(statement, answer, sent);
        let key = CacheKey { upstream, qclass: question.qclass, qname: question.qname.clone() };
        let largest = self.bounds.max_bytes.min(self.entries.shard_capacity()) / MAX_ENTRY_DIVISOR;
        self.change(&key, |facts| {
            let facts = facts.cloned().unwrap_or_default();
            Some(facts.with(statement, question.qtype, sent.sequence, fact.map(Arc::new), largest))
        });
        if statement != Statement::Alias {
            return;
        }
        // The other names in a chain were not in the question, so nothing is cached for them. But the answer
        // is from the same servers: older answers that contradict it no longer apply.
        for (qname, statement) in alias_targets(question, answer) {
            let key = CacheKey { upstream, qclass: question.qclass, qname };
            self.change(&key, |facts| Some(facts?.clone().with_contradiction(statement, sent.sequence)));
        }
    }

    /// Replaces the facts of a name, unless nothing changes. Changes of one name are serialised.
    fn change(&self, key: &CacheKey, change: impl FnOnce(Option<&NameFacts>) -> Option<NameFacts>) {
        // The remainder is less than the number of locks, so the cast is lossless.
        let lock = (self.hasher.hash_one(key) % INSERTION_LOCKS as u64) as usize;
        let _one_at_a_time = self.insertions[lock].lock().unwrap_or_else(PoisonError::into_inner);
        let facts = self.entries.peek(key);
        let Some(changed) = change(facts.as_deref()).map(Arc::new) else { return };
        // Replacing facts is not a use of them: `soft` leaves the policy's counter unchanged.
        if let Err((key, changed)) = self.entries.replace(key.clone(), changed, true) {
            self.entries.insert(key, changed);
        }
    }

    /// The fact to cache. `None` if the answer is not cacheable.
    fn fact(&self, statement: Statement, answer: &Answer, sent: QuerySent) -> Option<Fact> {
        let (ttl_s, has_own_ttl) = self.ttl(statement, answer)?;
        let answer = self.capped(Answer { ede: None, ..answer.clone() });
        let weight = weight(&answer);
        Some(Fact { answer, sent: sent.at, ttl_s, has_own_ttl, weight, hits: Default::default() })
    }

    /// The answer with its TTLs limited to the time for which it is cached, so that clients see them count
    /// down to the end. The SOA record of a negative answer has the TTL of that answer (RFC 2308 section 5).
    fn capped(&self, mut answer: Answer) -> Answer {
        for set in &mut answer.answer {
            set.ttl = set.ttl.min(self.bounds.max_ttl_s);
        }
        for set in &mut answer.authority {
            set.ttl = self.negative_ttl(set);
        }
        answer
    }

    /// How long an answer is cached, in seconds, and whether that follows from its own TTLs. `None` if it is
    /// not cacheable.
    fn ttl(&self, statement: Statement, answer: &Answer) -> Option<(u32, bool)> {
        let positive = answer.answer.iter().map(|set| set.ttl.min(self.bounds.max_ttl_s)).min();
        let is_negative = match statement {
            Statement::NoSuchName | Statement::NoData => true,
            // A chain to a name that does not exist or has no records of the type. NOERROR with a chain only
            // and without an SOA record is an incomplete chain.
            Statement::Alias => answer.rcode == Rcode::NXDOMAIN || is_negative_chain(answer),
            Statement::Records | Statement::NeutralRecords => false,
            Statement::Referral => return None,
        };
        let soa = answer.authority.iter().filter(|set| set.rtype == RecordType::SOA);
        let negative = soa.map(|set| self.negative_ttl(set)).min();
        let without_soa = NEGATIVE_TTL_WITHOUT_SOA_S.min(self.bounds.max_negative_ttl_s);
        let ttl = match is_negative {
            true => positive.unwrap_or(u32::MAX).min(negative.unwrap_or(without_soa)),
            false => positive?,
        };
        (ttl > 0).then_some((ttl, !is_negative || negative.is_some()))
    }

    /// The TTL of a negative answer according to its SOA record: the lower of the record's TTL and its
    /// MINIMUM field.
    fn negative_ttl(&self, soa: &RrSet) -> u32 {
        let minimum = soa.rdatas.first().and_then(|rdata| rdata.soa_minimum()).unwrap_or(0);
        soa.ttl.min(minimum).min(self.bounds.max_negative_ttl_s)
    }

    /// Number of names in the cache.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the cache is empty.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Weight of all entries, in octets.
    pub fn bytes(&self) -> u64 {
        self.entries.weight()
    }
}

/// Whether all records are CNAMEs or DNAMEs, and the authority section shows that the target of the last one
/// has no records.
fn is_negative_chain(answer: &Answer) -> bool {
    let redirects = |set: &RrSet| matches!(set.rtype, RecordType::CNAME | RecordType::DNAME);
    answer.answer.iter().all(redirects) && !answer.authority.is_empty()
}

/// An answer after `age_s` seconds.
fn aged(answer: &Answer, age_s: u32) -> Answer {
    let mut answer = answer.clone();
    for set in answer.answer.iter_mut().chain(&mut answer.authority) {
        set.ttl = set.ttl.saturating_sub(age_s);
    }
    answer
}

/// The weight of an answer, in octets.
fn weight(answer: &Answer) -> u64 {
    let of_set = |set: &RrSet| {
        let data: usize = set.rdatas.iter().map(|rdata| rdata.as_wire().len() + 16).sum();
        (set.owner.as_wire().len() + data) as u64 + SET_OVERHEAD
    };
    answer.answer.iter().chain(&answer.authority).map(of_set).sum()
}
