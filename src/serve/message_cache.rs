//! Answers of upstreams: TTLs count down, denials are cached (RFC 2308), and an answer past its TTL may be served when no
//! server answers (RFC 8767).
//!
//! ```text
//!  (upstream, name, class) ──► NameFacts ──┬─► that the name does not exist
//!                                          └─► one answer for each type
//! ```
//!
//! All that is known of a name at an upstream is one entry, so that it is looked up, replaced and evicted as a whole: a
//! denial of the name cannot outlive, or be outlived by, an answer that contradicts it. `NameFacts` decides which of two
//! facts holds.
//!
//! An answer is about the name in question and no other: a denial says nothing of the names below it. RFC 8020 permits that
//! conclusion to resolvers that ask authoritative servers; a forwarding rule may well lead to servers that deny a
//! name which other servers have names below.
//!
//! Bounded in octets. The policy is S3-FIFO: an entry that is looked up once leaves by a small queue, and one
//! that is looked up again stays in a large one, so a flood of names that are never asked for twice does not evict
//! the names that are asked for often.
//!
//! All times are monotonic. When the wall clock is set, no entry lives longer or shorter for it.

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

/// TTL of records that are served past theirs, in seconds (RFC 8767 section 4).
const STALE_TTL_S: u32 = 30;

/// How long a denial without an SOA record is cached, in seconds. It has no TTL of its own, and RFC 2308 section 5 advises
/// against caching it, since two forwarders could keep it alive between them; but AWS's own resolver sends such
/// denials, and asking anew for each of a burst of queries helps nobody. It is never served stale.
const DENIAL_WITHOUT_SOA_TTL_S: u32 = 5;

/// Weight of an entry in addition to its facts, in octets: key, bookkeeping, allocations. An estimate.
const ENTRY_OVERHEAD: u64 = 200;

/// Weight of a record set in addition to its names and data, in octets. An estimate.
const SET_OVERHEAD: u64 = 64;

/// An entry may have this fraction of the cache's octets, or of a shard's: a larger one would only empty it.
const LARGEST_FRACTION: u64 = 8;

/// How many look-ups make an answer worth fetching shortly before it expires.
const PREFETCH_HITS: u32 = 3;

/// After its first few look-ups, an entry's use is reported to the eviction policy once in so many.
const REPORT_EVERY: u32 = 8;

/// How many locks order the insertions of the same name. Two names that share one do no harm.
const INSERTION_LOCKS: usize = 64;

/// Bounds of a cache.
#[derive(Clone, Debug)]
pub struct CacheBounds {
    /// The largest weight of all entries, in octets.
    pub max_bytes: u64,
    /// The longest time that a denial is cached, in seconds.
    pub max_negative_ttl_s: u32,
    /// The longest time that a positive answer is cached, in seconds.
    pub max_ttl_s: u32,
    /// How long an answer may be served past its TTL, in seconds. 0: never.
    pub serve_stale_s: u32,
}

/// Answers by upstream and question.
#[derive(Debug)]
pub struct MessageCache {
    entries: Cache<CacheKey, Arc<NameFacts>, Weight>,
    /// Insertions for one name happen one after the other. Look-ups take none of these locks.
    insertions: [Mutex<()>; INSERTION_LOCKS],
    hasher: RandomState,
    /// How many queries were sent.
    queries: AtomicU64,
    bounds: CacheBounds,
}

/// When a query was sent to an upstream: answers are ordered by it.
///
/// The answer to a query is no older than the query. So of two answers that contradict each other the one whose query was
/// sent later holds, whichever arrived first.
#[derive(Clone, Copy, Debug)]
pub struct QuerySent {
    /// The number of the query among all of its cache; a later one has a higher number, within one second too.
    sequence: u64,
    /// The time, from which TTLs count.
    at: MonotonicSeconds,
}

/// The name that facts are about. No value that a client can send stands for anything but itself: what holds for all types
/// is a field of [`NameFacts`], not a type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct CacheKey {
    upstream: UpstreamNumber,
    qclass: Class,
    qname: Name,
}

/// A borrowed [`Key`] for look-ups. It has the same hash.
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

/// What the cache has for a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cached {
    /// The answer, its TTLs counted down.
    pub answer: Answer,
    /// Until when a copy may be served without a look-up here: to the end, or to where a prefetch may begin.
    pub until: MonotonicSeconds,
    /// Whether it is looked up often and expires soon: it should be fetched now.
    pub wants_prefetch: bool,
}

#[derive(Clone, Debug)]
struct Weight;

impl Weighter<CacheKey, Arc<NameFacts>> for Weight {
    fn weight(&self, key: &CacheKey, facts: &Arc<NameFacts>) -> u64 {
        ENTRY_OVERHEAD + key.qname.as_wire().len() as u64 + facts.weight()
    }
}

impl MessageCache {
    /// An empty cache.
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

    /// A fresh answer to a question. Copies of it were served `given` times since the last look-up.
    pub fn fresh(
        &self,
        upstream: UpstreamNumber,
        question: &Question,
        now: MonotonicSeconds,
        given: u32,
    ) -> Option<Cached> {
        let key = CacheKeyRef { upstream, qclass: question.qclass, qname: &question.qname };
        // A look-up of another type of the name is no use of this entry: the policy hears of hits alone.
        let facts = self.entries.peek(&key)?;
        let fact = facts.find(question.qtype).filter(|fact| fact.is_fresh(now))?;
        let lookups = given.saturating_add(1);
        let before = fact.hits.fetch_add(lookups, Ordering::Relaxed);
        if before < PREFETCH_HITS || before.is_multiple_of(REPORT_EVERY) {
            self.entries.get(&key);
        }
        // `age` is below a TTL, which fits.
        let age = fact.age(now) as u32;
        let left = fact.ttl_s - age;
        // In the last tenth of its time, once: the one who fetches it resets the count.
        let wants_prefetch = before.saturating_add(lookups) >= PREFETCH_HITS && left <= fact.ttl_s / 10;
        if wants_prefetch {
            fact.hits.store(0, Ordering::Relaxed);
        }
        Some(Cached { answer: aged(&fact.answer, age), until: fact.until(now), wants_prefetch })
    }

    /// An answer to a question that may be past its TTL, with an extended error that says so: for when no server answers.
    ///
    /// It is the newest known: an answer that a newer one contradicts is not served, whether the newer one may be served
    /// or not.
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
            format!("{} s past its TTL; no server answers", fact.age(now).saturating_sub(fact.ttl_s.into()));
        Some(answer.with_ede(Ede::new(code, text)))
    }

    /// Takes the number of a query that is about to be sent.
    pub fn query_sent(&self, now: MonotonicSeconds) -> QuerySent {
        QuerySent { sequence: self.queries.fetch_add(1, Ordering::Relaxed) + 1, at: now }
    }

    /// Takes in the answer to a query: its records, a denial with its SOA record (RFC 2308 section 5), or for
    /// `DENIAL_WITHOUT_SOA_TTL_S` one without.
    ///
    /// An answer that may not be cached, for its TTL of 0 or its size, still ends what is cached and older.
    pub fn insert(&self, upstream: UpstreamNumber, question: &Question, answer: &Answer, sent: QuerySent) {
        let Some(statement) = Statement::of(question, answer) else { return };
        let fact = self.fact(statement, answer, sent);
        let key = CacheKey { upstream, qclass: question.qclass, qname: question.qname.clone() };
        let largest = self.bounds.max_bytes.min(self.entries.shard_capacity()) / LARGEST_FRACTION;
        self.change(&key, |facts| {
            let facts = facts.cloned().unwrap_or_default();
            Some(facts.with(statement, question.qtype, sent.sequence, fact.map(Arc::new), largest))
        });
        if statement != Statement::Alias {
            return;
        }
        // What the rest of a chain says of the names that it leads to is not cached for them, as it was not asked for. But
        // it is known, and from the same servers: an older answer that contradicts it is not the truth any more.
        for (qname, statement) in alias_targets(question, answer) {
            let key = CacheKey { upstream, qclass: question.qclass, qname };
            self.change(&key, |facts| Some(facts?.clone().with_contradiction(statement, sent.sequence)));
        }
    }

    /// Replaces the facts of a name, unless there is nothing to change. Changes of one name are made one after the other.
    fn change(&self, key: &CacheKey, change: impl FnOnce(Option<&NameFacts>) -> Option<NameFacts>) {
        // The remainder is below the number of locks, which fits.
        let lock = (self.hasher.hash_one(key) % INSERTION_LOCKS as u64) as usize;
        let _one_at_a_time = self.insertions[lock].lock().unwrap_or_else(PoisonError::into_inner);
        let facts = self.entries.peek(key);
        let Some(changed) = change(facts.as_deref()).map(Arc::new) else { return };
        // To replace facts is no use of them: `soft` leaves the policy's count alone.
        if let Err((key, changed)) = self.entries.replace(key.clone(), changed, true) {
            self.entries.insert(key, changed);
        }
    }

    /// The fact to cache. `None`: the answer may not be cached.
    fn fact(&self, statement: Statement, answer: &Answer, sent: QuerySent) -> Option<Fact> {
        let (ttl_s, has_own_ttl) = self.ttl(statement, answer)?;
        let answer = self.capped(Answer { ede: None, ..answer.clone() });
        let weight = weight(&answer);
        Some(Fact { answer, sent: sent.at, ttl_s, has_own_ttl, weight, hits: Default::default() })
    }

    /// An answer with TTLs no longer than it is cached, so that what clients see counts down to its end. That of an SOA
    /// record in a denial is the denial's (RFC 2308 section 5).
    fn capped(&self, mut answer: Answer) -> Answer {
        for set in &mut answer.answer {
            set.ttl = set.ttl.min(self.bounds.max_ttl_s);
        }
        for set in &mut answer.authority {
            set.ttl = self.negative_ttl(set);
        }
        answer
    }

    /// How long an answer may be cached in seconds, and whether its own TTLs say so. `None`: not at all.
    fn ttl(&self, statement: Statement, answer: &Answer) -> Option<(u32, bool)> {
        let positive = answer.answer.iter().map(|set| set.ttl.min(self.bounds.max_ttl_s)).min();
        let denies = match statement {
            Statement::NoSuchName | Statement::NoData => true,
            // A chain to a name that does not exist, or has no records of the type. Without an SOA record, NOERROR and a
            // chain alone are the part of a chain that its server knows.
            Statement::Alias => answer.rcode == Rcode::NXDOMAIN || is_denied_chain(answer),
            Statement::Records | Statement::NeutralRecords => false,
            Statement::Referral => return None,
        };
        let soa = answer.authority.iter().filter(|set| set.rtype == RecordType::SOA);
        let negative = soa.map(|set| self.negative_ttl(set)).min();
        let without_soa = DENIAL_WITHOUT_SOA_TTL_S.min(self.bounds.max_negative_ttl_s);
        let ttl = match denies {
            true => positive.unwrap_or(u32::MAX).min(negative.unwrap_or(without_soa)),
            false => positive?,
        };
        (ttl > 0).then_some((ttl, !denies || negative.is_some()))
    }

    /// The TTL of a denial by its SOA record: the smaller one of the record's TTL and its MINIMUM field.
    fn negative_ttl(&self, soa: &RrSet) -> u32 {
        let minimum = soa.rdatas.first().and_then(|rdata| rdata.soa_minimum()).unwrap_or(0);
        soa.ttl.min(minimum).min(self.bounds.max_negative_ttl_s)
    }

    /// How many names it has facts of.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The weight of all entries, in octets.
    pub fn bytes(&self) -> u64 {
        self.entries.weight()
    }
}

/// Whether all records are aliases, and an SOA record denies the last one's target.
fn is_denied_chain(answer: &Answer) -> bool {
    answer.answer.iter().all(|set| set.rtype == RecordType::CNAME) && !answer.authority.is_empty()
}

/// An answer some time later.
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
