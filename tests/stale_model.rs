//! The message cache compared with a model that stores every answer: stale data is the newest known.
//!
//! The data of names change over time, queries overlap, and answers arrive in any order. The cache must
//! return the same answers as the model, both fresh and stale.

use std::net::Ipv4Addr;

use plustwo::dns::{Answer, Class, Name, Question, Rcode, Rdata, RecordType, RrSet};
use plustwo::resolve::MonotonicSeconds;
use plustwo::serve::message_cache::{CacheBounds, MessageCache, QuerySent};
use proptest::prelude::*;

const BOUNDS: CacheBounds =
    CacheBounds { max_bytes: 1 << 24, max_negative_ttl_s: 100, max_ttl_s: 100, serve_stale_s: 500 };

/// The TTL of answers that have one.
const TTL_S: u64 = 60;

/// How long a negative answer without an SOA record is cached.
const WITHOUT_SOA_TTL_S: u64 = 5;

const NAMES: [&str; 3] = ["a.example", "b.a.example", "a.b.a.example"];
const TYPES: [RecordType; 3] = [RecordType::A, RecordType::TXT, RecordType(65_280)];

/// The target of aliases. It is not one of `NAMES`, so what an answer states about it is not compared.
const TARGET: &str = "target.elsewhere";

/// The data of a name at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NameData {
    /// It does not exist.
    Absent,
    /// It has records of the types whose bits are set, the lowest for the first.
    Records(u8),
    /// It is an alias of a name that has records, or of one that does not exist.
    Alias { target_exists: bool },
}

/// The TTLs of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ttl {
    /// [`TTL_S`].
    Normal,
    /// 0: not cacheable.
    Zero,
    /// Negative answers have no SOA record.
    WithoutSoa,
}

/// One step of a test.
#[derive(Clone, Debug)]
enum Event {
    /// The data of a name changes.
    Change { name: usize, data: NameData, ttl: Ttl },
    /// A query is sent. Its answer contains the current data, whenever it arrives.
    Send { name: usize, qtype: usize },
    /// The answer to a query in flight arrives.
    Arrive(usize),
    /// Time advances by a number of seconds.
    Advance(u64),
}

/// The rcode of a served answer and the version of its data.
type ServedAnswer = Option<(Rcode, u32)>;

/// An answer in the model.
#[derive(Clone, Debug)]
struct ModelAnswer {
    name: usize,
    qtype: usize,
    /// The number of its query.
    sequence: usize,
    sent_s: u64,
    data: NameData,
    ttl: Ttl,
    version: u32,
}

impl ModelAnswer {
    fn has_records(&self) -> bool {
        matches!(self.data, NameData::Records(types) if types >> self.qtype & 1 == 1)
    }

    /// Whether it answers a question.
    fn answers(&self, name: usize, qtype: usize) -> bool {
        self.name == name && (self.qtype == qtype || self.data == NameData::Absent)
    }

    /// Whether it replaces an older answer.
    fn replaces(&self, other: &Self) -> bool {
        let is_newer = self.name == other.name && self.sequence > other.sequence;
        let is_for_all_types = [self.data, other.data].contains(&NameData::Absent);
        is_newer && (self.qtype == other.qtype || is_for_all_types)
    }

    /// Whether an older answer cannot be valid at the same time.
    fn contradicts(&self, other: &Self) -> bool {
        let is_alias = |stored: &Self| matches!(stored.data, NameData::Alias { .. });
        let is_newer = self.name == other.name && self.sequence > other.sequence;
        is_newer && ((is_alias(self) && other.has_records()) || (self.has_records() && is_alias(other)))
    }

    /// How long it is fresh, and how long it may be served, in seconds.
    fn limits(&self) -> (u64, u64) {
        let denies = match self.data {
            NameData::Records(_) => !self.has_records(),
            NameData::Absent => true,
            NameData::Alias { target_exists } => !target_exists,
        };
        match self.ttl {
            Ttl::Zero => (0, 0),
            Ttl::WithoutSoa if denies => (WITHOUT_SOA_TTL_S, WITHOUT_SOA_TTL_S),
            _ => (TTL_S, TTL_S + u64::from(BOUNDS.serve_stale_s)),
        }
    }

    fn rcode(&self) -> Rcode {
        match self.data {
            NameData::Absent | NameData::Alias { target_exists: false } => Rcode::NXDOMAIN,
            _ => Rcode::NOERROR,
        }
    }

    /// The answer of the upstream. The version is in its data or in its SOA record.
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
        match self.data {
            NameData::Absent => denial(Rcode::NXDOMAIN),
            NameData::Records(_) if self.has_records() => Answer::noerror(vec![records(&owner)]),
            NameData::Records(_) => denial(Rcode::NOERROR),
            NameData::Alias { target_exists } => {
                let alias = RrSet::new(owner, RecordType::CNAME, ttl, vec![Rdata::from_name(&target)]);
                let end = match target_exists {
                    true => Answer::noerror(vec![records(&target)]),
                    false => denial(Rcode::NXDOMAIN),
                };
                Answer { answer: [vec![alias], end.answer].concat(), ..end }
            }
        }
    }
}

/// The rcode and version of an answer. A negative answer without an SOA record has no version.
fn served(answer: Option<Answer>) -> ServedAnswer {
    let answer = answer?;
    let octets = |wire: &[u8]| u32::from_be_bytes(*wire.first_chunk().unwrap());
    let records = answer.answer.iter().rfind(|set| set.rtype != RecordType::CNAME);
    let version = match (records, answer.authority.first()) {
        (Some(set), _) => octets(set.rdatas[0].as_wire()),
        // The serial follows two root names.
        (None, Some(soa)) => octets(&soa.rdatas[0].as_wire()[2..]),
        (None, None) => 0,
    };
    Some((answer.rcode, version))
}

/// Every answer that has arrived.
#[derive(Default)]
struct Model {
    answers: Vec<ModelAnswer>,
}

impl Model {
    /// The answer that must be served: one that no newer answer replaces, within its lifetime.
    fn expected(&self, name: usize, qtype: usize, now_s: u64, is_stale: bool) -> ServedAnswer {
        let is_valid = |stored: &&ModelAnswer| {
            let is_contradicted =
                |other: &ModelAnswer| other.replaces(stored) || (is_stale && other.contradicts(stored));
            let (fresh, stale) = stored.limits();
            let limit = if is_stale { stale } else { fresh };
            stored.answers(name, qtype)
                && !self.answers.iter().any(is_contradicted)
                && now_s - stored.sent_s < limit
        };
        let stored = self.answers.iter().filter(is_valid).max_by_key(|stored| stored.sequence)?;
        let has_version = served(Some(stored.answer())).is_some_and(|(_, version)| version != 0);
        Some((stored.rcode(), if has_version { stored.version } else { 0 }))
    }
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let data = prop_oneof![
        2 => Just(NameData::Absent),
        3 => (1u8..8).prop_map(NameData::Records),
        1 => any::<bool>().prop_map(|target_exists| NameData::Alias { target_exists }),
    ];
    let ttl = prop_oneof![4 => Just(Ttl::Normal), 1 => Just(Ttl::Zero), 1 => Just(Ttl::WithoutSoa)];
    let event = prop_oneof![
        2 => (0..NAMES.len(), data, ttl).prop_map(|(name, data, ttl)| Event::Change { name, data, ttl }),
        4 => (0..NAMES.len(), 0..TYPES.len()).prop_map(|(name, qtype)| Event::Send { name, qtype }),
        4 => (0usize..8).prop_map(Event::Arrive),
        1 => prop::sample::select(vec![0, 1, 4, 5, 59, 60, 100, 400]).prop_map(Event::Advance),
    ];
    prop::collection::vec(event, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_newest_known_answer_is_served(events in events()) {
        let cache = MessageCache::new(BOUNDS);
        let mut current = [(NameData::Absent, Ttl::Normal, 1u32); NAMES.len()];
        let (mut model, mut in_flight) = (Model::default(), Vec::<(ModelAnswer, QuerySent)>::new());
        let (mut now_s, mut version, mut sequence) = (0, 1, 0);
        let question_of = |name: usize, qtype: usize| Question {
            qname: NAMES[name].parse().unwrap(),
            qtype: TYPES[qtype],
            qclass: Class::IN,
        };
        for event in events {
            match event {
                Event::Change { name, data, ttl } => {
                    version += 1;
                    current[name] = (data, ttl, version);
                }
                Event::Send { name, qtype } => {
                    let (data, ttl, version) = current[name];
                    sequence += 1;
                    let stored = ModelAnswer { name, qtype, sequence, sent_s: now_s, data, ttl, version };
                    in_flight.push((stored, cache.query_sent(MonotonicSeconds::new(now_s))));
                }
                Event::Arrive(index) if index < in_flight.len() => {
                    let (stored, sent) = in_flight.remove(index);
                    cache.insert(1, &question_of(stored.name, stored.qtype), &stored.answer(), sent);
                    model.answers.push(stored);
                }
                Event::Arrive(_) => {}
                Event::Advance(seconds) => now_s += seconds,
            }
            let now = MonotonicSeconds::new(now_s);
            for name in 0..NAMES.len() {
                for qtype in 0..TYPES.len() {
                    let question = question_of(name, qtype);
                    let fresh = cache.fresh(1, &question, now, 0).map(|cached| cached.answer);
                    prop_assert_eq!(served(fresh), model.expected(name, qtype, now_s, false), "fresh {}", question);
                    let stale = cache.stale(1, &question, now);
                    prop_assert_eq!(served(stale), model.expected(name, qtype, now_s, true), "stale {}", question);
                }
            }
        }
    }
}
