//! Stale data is the newest that is known: the message cache beside a model of it that remembers everything.
//!
//! Names change their truth over time, queries for them overlap, answers arrive in any order, and now and then no server
//! answers. What the cache has must be what the model has, fresh and stale.

use std::net::Ipv4Addr;

use plustwo::dns::{Answer, Class, Name, Question, Rcode, Rdata, RecordType, RrSet};
use plustwo::resolve::MonotonicSeconds;
use plustwo::serve::message_cache::{CacheBounds, MessageCache, QuerySent};
use proptest::prelude::*;

const BOUNDS: CacheBounds =
    CacheBounds { max_bytes: 1 << 24, max_negative_ttl_s: 100, max_ttl_s: 100, serve_stale_s: 500 };

/// The TTL of answers that have one.
const TTL_S: u64 = 60;

/// How long a denial without an SOA record is cached.
const BRIEF_S: u64 = 5;

const NAMES: [&str; 3] = ["a.example", "b.a.example", "a.b.a.example"];
const TYPES: [RecordType; 3] = [RecordType::A, RecordType::TXT, RecordType(65_280)];

/// The target of aliases. It has no entry of its own, so that only what is said of the names counts here.
const TARGET: &str = "target.elsewhere";

/// What is true of a name for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truth {
    /// It does not exist.
    Absent,
    /// It has records of the types whose bits are set, the lowest for the first.
    Records(u8),
    /// It is an alias of a name that has records, or of one that does not exist.
    Alias { of_something: bool },
}

/// Whether answers may be cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ttl {
    /// They may.
    Some,
    /// Their TTL is 0.
    Zero,
    /// Denials have no SOA record.
    WithoutSoa,
}

/// What happens next.
#[derive(Clone, Debug)]
enum Event {
    /// A name changes.
    Change { name: usize, truth: Truth, ttl: Ttl },
    /// A query is sent: its answer is what is true now, whenever it arrives.
    Send { name: usize, qtype: usize },
    /// The answer to a query under way arrives.
    Arrive(usize),
    /// Time passes.
    Pass(u64),
}

/// What a served answer is: which rcode, and of which version of the truth.
type ServedAnswer = Option<(Rcode, u32)>;

/// A fact as the model remembers it.
#[derive(Clone, Debug)]
struct Known {
    name: usize,
    qtype: usize,
    /// Which query it answers.
    sequence: usize,
    sent_s: u64,
    truth: Truth,
    ttl: Ttl,
    version: u32,
}

impl Known {
    fn has_records(&self) -> bool {
        matches!(self.truth, Truth::Records(types) if types >> self.qtype & 1 == 1)
    }

    /// Whether it is the truth about a question.
    fn is_about(&self, name: usize, qtype: usize) -> bool {
        self.name == name && (self.qtype == qtype || self.truth == Truth::Absent)
    }

    /// Whether it ends an older fact.
    fn ends(&self, other: &Self) -> bool {
        let is_newer = self.name == other.name && self.sequence > other.sequence;
        let is_for_all_types = [self.truth, other.truth].contains(&Truth::Absent);
        is_newer && (self.qtype == other.qtype || is_for_all_types)
    }

    /// Whether an older fact cannot be true beside it.
    fn contradicts(&self, other: &Self) -> bool {
        let is_alias = |known: &Self| matches!(known.truth, Truth::Alias { .. });
        let is_newer = self.name == other.name && self.sequence > other.sequence;
        is_newer && ((is_alias(self) && other.has_records()) || (self.has_records() && is_alias(other)))
    }

    /// How long it is fresh, and how long it may be served.
    fn limits(&self) -> (u64, u64) {
        let denies = match self.truth {
            Truth::Records(_) => !self.has_records(),
            Truth::Absent => true,
            Truth::Alias { of_something } => !of_something,
        };
        match self.ttl {
            Ttl::Zero => (0, 0),
            Ttl::WithoutSoa if denies => (BRIEF_S, BRIEF_S),
            _ => (TTL_S, TTL_S + u64::from(BOUNDS.serve_stale_s)),
        }
    }

    fn rcode(&self) -> Rcode {
        match self.truth {
            Truth::Absent | Truth::Alias { of_something: false } => Rcode::NXDOMAIN,
            _ => Rcode::NOERROR,
        }
    }

    /// The answer that an upstream gives. Its version is in its data, or in its SOA record.
    fn answer(&self) -> Answer {
        let owner: Name = NAMES[self.name].parse().unwrap();
        let target: Name = TARGET.parse().unwrap();
        let qtype = TYPES[self.qtype];
        let ttl = if self.ttl == Ttl::Zero { 0 } else { TTL_S as u32 };
        let version = Rdata::a(Ipv4Addr::from(self.version));
        let records = |owner: &Name| RrSet::new(owner.clone(), qtype, ttl, vec![version.clone()]);
        let soa = RrSet::new(
            Name::root(),
            RecordType::SOA,
            ttl,
            vec![Rdata::soa(&Name::root(), &Name::root(), self.version, 2, 3, 4, TTL_S as u32)],
        );
        let denial = |rcode| match self.ttl {
            Ttl::WithoutSoa => Answer::empty(rcode),
            _ => Answer { authority: vec![soa.clone()], ..Answer::empty(rcode) },
        };
        match self.truth {
            Truth::Absent => denial(Rcode::NXDOMAIN),
            Truth::Records(_) if self.has_records() => Answer::of(vec![records(&owner)]),
            Truth::Records(_) => denial(Rcode::NOERROR),
            Truth::Alias { of_something } => {
                let alias = RrSet::new(owner, RecordType::CNAME, ttl, vec![Rdata::name(&target)]);
                let end = match of_something {
                    true => Answer::of(vec![records(&target)]),
                    false => denial(Rcode::NXDOMAIN),
                };
                Answer { answer: [vec![alias], end.answer].concat(), ..end }
            }
        }
    }
}

/// What a served answer says, as far as it can be seen. A denial without an SOA record has no version.
fn served(answer: Option<Answer>) -> ServedAnswer {
    let answer = answer?;
    let octets = |wire: &[u8]| u32::from_be_bytes(*wire.first_chunk().unwrap());
    let records = answer.answer.iter().rfind(|set| set.rtype != RecordType::CNAME);
    let version = match (records, answer.authority.first()) {
        (Some(set), _) => octets(set.rdatas[0].as_wire()),
        // Two root names before it.
        (None, Some(soa)) => octets(&soa.rdatas[0].as_wire()[2..]),
        (None, None) => 0,
    };
    Some((answer.rcode, version))
}

/// Everything that is known, and what is under way.
#[derive(Default)]
struct Model {
    known: Vec<Known>,
}

impl Model {
    /// What must be served for a question: the fact that nothing newer ended, within its time.
    fn expected(&self, name: usize, qtype: usize, now_s: u64, is_stale: bool) -> ServedAnswer {
        let holds = |known: &&Known| {
            let is_contradicted = |other: &Known| other.ends(known) || (is_stale && other.contradicts(known));
            let (fresh, stale) = known.limits();
            let limit = if is_stale { stale } else { fresh };
            known.is_about(name, qtype)
                && !self.known.iter().any(is_contradicted)
                && now_s - known.sent_s < limit
        };
        let known = self.known.iter().filter(holds).max_by_key(|known| known.sequence)?;
        let has_version = served(Some(known.answer())).is_some_and(|(_, version)| version != 0);
        Some((known.rcode(), if has_version { known.version } else { 0 }))
    }
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let truth = prop_oneof![
        2 => Just(Truth::Absent),
        3 => (1u8..8).prop_map(Truth::Records),
        1 => any::<bool>().prop_map(|of_something| Truth::Alias { of_something }),
    ];
    let ttl = prop_oneof![4 => Just(Ttl::Some), 1 => Just(Ttl::Zero), 1 => Just(Ttl::WithoutSoa)];
    let event = prop_oneof![
        2 => (0..NAMES.len(), truth, ttl).prop_map(|(name, truth, ttl)| Event::Change { name, truth, ttl }),
        4 => (0..NAMES.len(), 0..TYPES.len()).prop_map(|(name, qtype)| Event::Send { name, qtype }),
        4 => (0usize..8).prop_map(Event::Arrive),
        1 => prop::sample::select(vec![0, 1, 4, 5, 59, 60, 100, 400]).prop_map(Event::Pass),
    ];
    prop::collection::vec(event, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn what_is_served_is_the_newest_that_is_known(events in events()) {
        let cache = MessageCache::new(BOUNDS);
        let mut truths = [(Truth::Absent, Ttl::Some, 1u32); NAMES.len()];
        let (mut model, mut under_way) = (Model::default(), Vec::<(Known, QuerySent)>::new());
        let (mut now_s, mut version, mut sequence) = (0, 1, 0);
        let question = |name: usize, qtype: usize| Question {
            qname: NAMES[name].parse().unwrap(),
            qtype: TYPES[qtype],
            qclass: Class::IN,
        };
        for event in events {
            match event {
                Event::Change { name, truth, ttl } => {
                    version += 1;
                    truths[name] = (truth, ttl, version);
                }
                Event::Send { name, qtype } => {
                    let (truth, ttl, version) = truths[name];
                    sequence += 1;
                    let known = Known { name, qtype, sequence, sent_s: now_s, truth, ttl, version };
                    under_way.push((known, cache.query_sent(MonotonicSeconds::new(now_s))));
                }
                Event::Arrive(at) if at < under_way.len() => {
                    let (known, sent) = under_way.remove(at);
                    cache.insert(1, &question(known.name, known.qtype), &known.answer(), sent);
                    model.known.push(known);
                }
                Event::Arrive(_) => {}
                Event::Pass(seconds) => now_s += seconds,
            }
            let now = MonotonicSeconds::new(now_s);
            for name in 0..NAMES.len() {
                for qtype in 0..TYPES.len() {
                    let asked = question(name, qtype);
                    let fresh = cache.fresh(1, &asked, now, 0).map(|cached| cached.answer);
                    prop_assert_eq!(served(fresh), model.expected(name, qtype, now_s, false), "fresh {}", asked);
                    let stale = cache.stale(1, &asked, now);
                    prop_assert_eq!(served(stale), model.expected(name, qtype, now_s, true), "stale {}", asked);
                }
            }
        }
    }
}
