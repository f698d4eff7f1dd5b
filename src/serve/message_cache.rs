//! Answers of upstreams by question: TTLs count down, denials are kept (RFC 2308), what is past its TTL may
//! be served when nobody answers (RFC 8767).
//!
//! Bounded in octets. The policy is S3-FIFO: an entry that is asked for once leaves by a small queue, and one
//! that was asked for again stays in a large one, so a flood of names that nobody asks for twice does not evict
//! the names that everybody asks for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};

use super::upstream::UpstreamNumber;
use crate::dns::{Answer, Ede, Name, Question, Rcode, RecordType, RrSet};

/// TTL of records that are served past theirs, in seconds (RFC 8767 4).
const STALE_TTL_S: u32 = 30;

/// What an entry weighs beside its records, in octets: key, bookkeeping, allocations. An estimate.
const ENTRY_OVERHEAD: u64 = 200;

/// What a record set weighs beside its names and data, in octets. An estimate.
const SET_OVERHEAD: u64 = 64;

/// How often an entry is asked for before it is fetched anew shortly before it ends.
const HOT: u32 = 3;

/// Bounds of a cache.
#[derive(Clone, Debug)]
pub struct CacheBounds {
    /// The largest weight of all entries, in octets.
    pub max_bytes: u64,
    /// The longest time that a denial is kept, in seconds.
    pub max_negative_ttl_s: u32,
    /// The longest time that a positive answer is kept, in seconds.
    pub max_ttl_s: u32,
    /// How long an answer may be served past its TTL, in seconds. 0: never.
    pub serve_stale_s: u32,
}

/// Answers by upstream and question.
#[derive(Debug)]
pub struct MessageCache {
    entries: Cache<Key, Arc<Entry>, Weight>,
    /// At which depths names have been denied, a bit for each number of labels: nothing is looked for at others.
    denied_depths: [AtomicU64; 2],
    bounds: CacheBounds,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    upstream: UpstreamNumber,
    qname: Name,
    /// [`NO_SUCH_NAME`] for a denial of the name itself.
    qtype: RecordType,
}

/// A key that is only looked for. It hashes as [`Key`] does.
#[derive(Hash)]
struct Sought<'q> {
    upstream: UpstreamNumber,
    qname: &'q [u8],
    qtype: RecordType,
}

impl Equivalent<Key> for Sought<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        let Key { upstream, qname, qtype } = key;
        self.upstream == *upstream && self.qtype == *qtype && self.qname == qname.as_wire()
    }
}

/// No record has this type (RFC 6895 3.1): under it stands that a name does not exist, whatever the type.
const NO_SUCH_NAME: RecordType = RecordType(0);

#[derive(Debug)]
struct Entry {
    answer: Answer,
    /// When it came, in seconds.
    born_s: u64,
    /// How long it is fresh, in seconds.
    ttl_s: u32,
    weight: u64,
    hits: AtomicU32,
}

/// What the cache has for a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cached {
    /// The answer, its TTLs counted down.
    pub answer: Answer,
    /// Until when whoever keeps a copy need not ask here again, in seconds: to the end, or to where it may be
    /// fetched anew.
    pub until_s: u64,
    /// Whether it is asked for often and will end soon: somebody should fetch it anew.
    pub wants_prefetch: bool,
}

#[derive(Clone, Debug)]
struct Weight;

impl Weighter<Key, Arc<Entry>> for Weight {
    fn weight(&self, _: &Key, entry: &Arc<Entry>) -> u64 {
        entry.weight
    }
}

impl MessageCache {
    /// An empty cache.
    pub fn new(bounds: CacheBounds) -> Self {
        // A small answer weighs about 400 octets; the estimate only sizes tables.
        let estimated = usize::try_from(bounds.max_bytes / 400).unwrap_or(usize::MAX).clamp(64, 1 << 22);
        Self {
            entries: Cache::with_weighter(estimated, bounds.max_bytes, Weight),
            denied_depths: Default::default(),
            bounds,
        }
    }

    /// A fresh answer to a question, at a time in seconds. Copies of it were `given` so many times since it was
    /// asked for last.
    pub fn fresh(
        &self,
        upstream: UpstreamNumber,
        question: &Question,
        now_s: u64,
        given: u32,
    ) -> Option<Cached> {
        let found = self.find(upstream, question, |entry| entry.age(now_s) < u64::from(entry.ttl_s))?;
        // `age` is below a TTL, which fits.
        let age = found.age(now_s) as u32;
        let asked = given.saturating_add(1);
        let hits = found.hits.fetch_add(asked, Ordering::Relaxed).saturating_add(asked);
        let left = found.ttl_s - age;
        // In the last tenth of its time, once: the one who fetches it resets the count.
        let wants_prefetch = hits >= HOT && left <= found.ttl_s / 10;
        if wants_prefetch {
            found.hits.store(0, Ordering::Relaxed);
        }
        Some(Cached { answer: aged(&found.answer, age), until_s: found.until(now_s), wants_prefetch })
    }

    /// An answer to a question that may be past its TTL: for when nobody answers. It says that it is stale.
    pub fn stale(&self, upstream: UpstreamNumber, question: &Question, now_s: u64) -> Option<Answer> {
        let limit = u64::from(self.bounds.serve_stale_s);
        if limit == 0 {
            return None;
        }
        let entry =
            self.find(upstream, question, |entry| entry.age(now_s) < u64::from(entry.ttl_s) + limit)?;
        let mut answer = entry.answer.clone();
        for set in answer.answer.iter_mut().chain(&mut answer.authority) {
            set.ttl = set.ttl.min(STALE_TTL_S);
        }
        let code =
            if answer.rcode == Rcode::NXDOMAIN { Ede::STALE_NXDOMAIN_ANSWER } else { Ede::STALE_ANSWER };
        let text = format!(
            "{} s past its TTL; no server answers",
            entry.age(now_s).saturating_sub(entry.ttl_s.into())
        );
        Some(answer.with_ede(Ede::new(code, text)))
    }

    /// Takes in an answer, if it may be kept: one with records, or a denial with its SOA (RFC 2308 5).
    pub fn insert(&self, upstream: UpstreamNumber, question: &Question, answer: &Answer, now_s: u64) {
        let Some(ttl_s) = self.ttl(answer) else { return };
        let denies_name = answer.rcode == Rcode::NXDOMAIN && answer.answer.is_empty();
        let qtype = if denies_name { NO_SUCH_NAME } else { question.qtype };
        let key = Key { upstream, qname: question.qname.clone(), qtype };
        let answer = self.capped(Answer { ede: None, ..answer.clone() });
        let weight = weight(&key, &answer);
        // What fills the cache alone would only empty it.
        if weight <= self.bounds.max_bytes / 8 {
            if denies_name {
                let (word, bit) = depth(question.qname.label_count());
                self.denied_depths[word].fetch_or(bit, Ordering::Relaxed);
            }
            let entry = Entry { answer, born_s: now_s, ttl_s, weight, hits: AtomicU32::new(0) };
            self.entries.insert(key, Arc::new(entry));
        }
    }

    /// An answer with TTLs no longer than it is kept, so that what clients see counts down to its end.
    fn capped(&self, mut answer: Answer) -> Answer {
        for set in &mut answer.answer {
            set.ttl = set.ttl.min(self.bounds.max_ttl_s);
        }
        for set in &mut answer.authority {
            set.ttl = set.ttl.min(self.bounds.max_negative_ttl_s);
        }
        answer
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What all entries weigh, in octets.
    pub fn bytes(&self) -> u64 {
        self.entries.weight()
    }

    /// The entry for a question: its own, or that its name or one above it does not exist (RFC 8020). Names
    /// that something in this world claims are never asked of an upstream, so no denial reaches across them.
    fn find(
        &self,
        upstream: UpstreamNumber,
        question: &Question,
        fits: impl Fn(&Entry) -> bool,
    ) -> Option<Arc<Entry>> {
        let get =
            |qname, qtype| self.entries.get(&Sought { upstream, qname, qtype }).filter(|entry| fits(entry));
        if let Some(entry) = get(question.qname.as_wire(), question.qtype) {
            return Some(entry);
        }
        let denied = [0, 1].map(|word| self.denied_depths[word].load(Ordering::Relaxed));
        if denied == [0, 0] {
            return None;
        }
        let labels = question.qname.label_count();
        // The root, which comes last, has no labels and is not denied.
        question.qname.suffixes().take(labels).enumerate().find_map(|(above, suffix)| {
            let (word, bit) = depth(labels - above);
            (denied[word] & bit != 0).then(|| get(suffix, NO_SUCH_NAME)).flatten()
        })
    }

    /// How long an answer may be kept. `None`: not at all.
    fn ttl(&self, answer: &Answer) -> Option<u32> {
        let shortest = |sets: &[RrSet]| sets.iter().map(|set| set.ttl).min();
        let ttl = match answer.rcode {
            Rcode::NOERROR | Rcode::NXDOMAIN => {
                let soa = answer.authority.iter().find(|set| set.rtype == RecordType::SOA);
                let negative = soa.map(|soa| {
                    let minimum = soa.rdatas.first().and_then(|rdata| rdata.soa_minimum()).unwrap_or(0);
                    soa.ttl.min(minimum).min(self.bounds.max_negative_ttl_s)
                });
                let denies = answer.rcode == Rcode::NXDOMAIN || ends_in_nothing(answer);
                let positive = shortest(&answer.answer).map(|ttl| ttl.min(self.bounds.max_ttl_s));
                if denies {
                    // Without an SOA a denial has no TTL, and is not kept.
                    negative.map(|negative| positive.map_or(negative, |positive| positive.min(negative)))
                } else {
                    positive
                }
            }
            _ => None,
        };
        ttl.filter(|ttl| *ttl > 0)
    }
}

impl Entry {
    fn age(&self, now_s: u64) -> u64 {
        now_s.saturating_sub(self.born_s)
    }

    /// Until when a copy may be given that is taken now: in its last tenth it is to be asked for here each time,
    /// so that one that is asked for often is seen to be.
    fn until(&self, now_s: u64) -> u64 {
        let end = self.born_s + u64::from(self.ttl_s);
        let last_tenth = end - u64::from(self.ttl_s / 10);
        if now_s < last_tenth { last_tenth } else { end }
    }
}

/// The word and the bit for names of so many labels, 127 at most.
fn depth(labels: usize) -> (usize, u64) {
    ((labels / 64) & 1, 1 << (labels % 64))
}

/// Whether a chain of CNAMEs, or nothing at all, is all that an answer holds.
fn ends_in_nothing(answer: &Answer) -> bool {
    answer.answer.is_empty()
        || (answer.answer.iter().all(|set| set.rtype == RecordType::CNAME) && !answer.authority.is_empty())
}

fn aged(answer: &Answer, age_s: u32) -> Answer {
    let mut answer = answer.clone();
    for set in answer.answer.iter_mut().chain(&mut answer.authority) {
        set.ttl = set.ttl.saturating_sub(age_s);
    }
    answer
}

fn weight(key: &Key, answer: &Answer) -> u64 {
    let of_set = |set: &RrSet| {
        let data: usize = set.rdatas.iter().map(|rdata| rdata.as_wire().len() + 16).sum();
        (set.owner.as_wire().len() + data) as u64 + SET_OVERHEAD
    };
    let sets: u64 = answer.answer.iter().chain(&answer.authority).map(of_set).sum();
    ENTRY_OVERHEAD + key.qname.as_wire().len() as u64 + sets
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::dns::{Class, Rdata};

    const BOUNDS: CacheBounds =
        CacheBounds { max_bytes: 1 << 20, max_negative_ttl_s: 300, max_ttl_s: 300, serve_stale_s: 86_400 };

    fn question(name: &str) -> Question {
        Question { qname: name.parse().unwrap(), qtype: RecordType::A, qclass: Class::IN }
    }

    fn positive(question: &Question, ttl: u32) -> Answer {
        let rdatas = vec![Rdata::a(Ipv4Addr::new(192, 0, 2, 1))];
        Answer::of(vec![RrSet::new(question.qname.clone(), RecordType::A, ttl, rdatas)])
    }

    fn soa(ttl: u32, minimum: u32) -> RrSet {
        let zone: Name = "example".parse().unwrap();
        let rdata = Rdata::soa(&zone, &zone, 1, 2, 3, 4, minimum);
        RrSet::new(zone, RecordType::SOA, ttl, vec![rdata])
    }

    #[test]
    fn ttls_count_down_to_the_end_and_not_past_it() {
        let cache = MessageCache::new(BOUNDS);
        let asked = question("a.example");
        cache.insert(1, &asked, &positive(&asked, 60), 1000);
        assert_eq!(cache.fresh(1, &asked, 1000, 0).unwrap().answer.answer[0].ttl, 60);
        assert_eq!(cache.fresh(1, &asked, 1059, 0).unwrap().answer.answer[0].ttl, 1);
        assert_eq!(cache.fresh(1, &asked, 1060, 0), None);
        assert_eq!(cache.fresh(2, &asked, 1000, 0), None, "another upstream's");
    }

    #[test]
    fn what_lives_long_is_kept_no_longer_than_the_cap() {
        let cache = MessageCache::new(BOUNDS);
        let asked = question("a.example");
        cache.insert(1, &asked, &positive(&asked, 86_400), 0);
        assert!(cache.fresh(1, &asked, 299, 0).is_some());
        assert!(cache.fresh(1, &asked, 300, 0).is_none());
        assert_eq!(
            cache.fresh(1, &asked, 290, 0).unwrap().answer.answer[0].ttl,
            10,
            "it counts down to its end"
        );
    }

    #[test]
    fn denials_are_kept_as_long_as_their_soa_says() {
        let cache = MessageCache::new(BOUNDS);
        let (none, nodata) = (question("none.example"), question("nodata.example"));
        cache.insert(1, &none, &Answer::nxdomain(soa(900, 20)), 0);
        cache.insert(1, &nodata, &Answer::no_data(soa(900, 86_400)), 0);
        assert!(cache.fresh(1, &none, 19, 0).is_some() && cache.fresh(1, &none, 20, 0).is_none());
        assert!(cache.fresh(1, &nodata, 299, 0).is_some() && cache.fresh(1, &nodata, 300, 0).is_none());
        // Another type at a name that does not exist, and a name below it.
        let other = Question { qtype: RecordType::MX, ..question("none.example") };
        assert!(cache.fresh(1, &other, 5, 0).is_some());
        assert!(cache.fresh(1, &question("x.y.none.example"), 5, 0).is_some());
        assert!(cache.fresh(1, &question("x.nodata.example"), 5, 0).is_none());
        cache.insert(1, &question("bare.example"), &Answer::empty(Rcode::NXDOMAIN), 0);
        assert!(cache.fresh(1, &question("bare.example"), 0, 0).is_none(), "no SOA, no TTL");
        cache.insert(1, &question("bad.example"), &Answer::empty(Rcode::SERVFAIL), 0);
        assert!(cache.fresh(1, &question("bad.example"), 0, 0).is_none());
    }

    #[test]
    fn past_its_ttl_an_answer_says_that_it_is_stale() {
        let cache = MessageCache::new(BOUNDS);
        let (asked, none) = (question("a.example"), question("none.example"));
        cache.insert(1, &asked, &positive(&asked, 60), 0);
        cache.insert(1, &none, &Answer::nxdomain(soa(60, 60)), 0);
        let stale = cache.stale(1, &asked, 100).unwrap();
        assert_eq!((stale.answer[0].ttl, stale.ede.unwrap().code), (30, Ede::STALE_ANSWER));
        assert_eq!(cache.stale(1, &none, 100).unwrap().ede.unwrap().code, Ede::STALE_NXDOMAIN_ANSWER);
        assert_eq!(cache.stale(1, &asked, 60 + 86_400), None);
        let never = MessageCache::new(CacheBounds { serve_stale_s: 0, ..BOUNDS });
        never.insert(1, &asked, &positive(&asked, 60), 0);
        assert_eq!(never.stale(1, &asked, 61), None);
    }

    #[test]
    fn what_is_asked_often_is_fetched_anew_before_it_ends_and_once() {
        let cache = MessageCache::new(BOUNDS);
        let asked = question("hot.example");
        cache.insert(1, &asked, &positive(&asked, 100), 0);
        for now_s in [1, 2, 3, 50] {
            assert!(!cache.fresh(1, &asked, now_s, 0).unwrap().wants_prefetch);
        }
        assert!(cache.fresh(1, &asked, 91, 0).unwrap().wants_prefetch);
        assert!(!cache.fresh(1, &asked, 91, 0).unwrap().wants_prefetch);
    }

    #[test]
    fn copies_are_good_until_the_last_tenth_and_count_as_asked_for() {
        let cache = MessageCache::new(BOUNDS);
        let asked = question("hot.example");
        cache.insert(1, &asked, &positive(&asked, 100), 1000);
        assert_eq!(cache.fresh(1, &asked, 1089, 0).unwrap().until_s, 1090);
        let late = cache.fresh(1, &asked, 1090, 5).unwrap();
        assert_eq!((late.until_s, late.wants_prefetch), (1100, true));
        cache.insert(1, &asked, &positive(&asked, 5), 1000);
        assert_eq!(cache.fresh(1, &asked, 1000, 0).unwrap().until_s, 1005);
    }

    #[test]
    fn a_flood_of_names_asked_once_does_not_evict_those_asked_often() {
        let cache = MessageCache::new(BOUNDS);
        let hot: Vec<Question> = (0..500).map(|n| question(&format!("hot{n}.example"))).collect();
        for asked in &hot {
            cache.insert(1, asked, &positive(asked, 300), 0);
        }
        for _ in 0..3 {
            hot.iter().for_each(|asked| drop(cache.fresh(1, asked, 1, 0)));
        }
        for n in 0..50_000 {
            let asked = question(&format!("flood{n}.example"));
            cache.insert(1, &asked, &positive(&asked, 300), 1);
            // Everybody goes on asking for the hot names meanwhile.
            drop(cache.fresh(1, &hot[n % hot.len()], 1, 0));
        }
        let kept = hot.iter().filter(|asked| cache.fresh(1, asked, 2, 0).is_some()).count();
        assert!(kept > 475, "{kept} of 500 hot names are left");
        assert!(cache.bytes() <= BOUNDS.max_bytes, "{}", cache.bytes());
    }
}
