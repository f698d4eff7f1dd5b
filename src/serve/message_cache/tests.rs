use std::net::Ipv4Addr;

use super::*;
use crate::dns::Rdata;

const BOUNDS: CacheBounds =
    CacheBounds { max_bytes: 1 << 20, max_negative_ttl_s: 300, max_ttl_s: 300, serve_stale_s: 86_400 };

/// A time after the TTL of every record in these tests, in seconds.
const AFTER_TTL: u64 = 1000;

/// A cache with one upstream, whose number is 1.
struct TestCache(MessageCache);

impl TestCache {
    fn new() -> Self {
        Self(MessageCache::new(BOUNDS))
    }

    /// Inserts the answer to a query that is sent now.
    fn insert(&self, question: &Question, answer: &Answer, now: u64) {
        self.0.insert(1, question, answer, self.sent(now));
    }

    fn sent(&self, now: u64) -> QuerySent {
        self.0.query_sent(MonotonicSeconds::new(now))
    }

    fn fresh(&self, question: &Question, now: u64) -> Option<Answer> {
        self.0.fresh(1, question, MonotonicSeconds::new(now), 0).map(|cached| cached.answer)
    }

    fn stale(&self, question: &Question, now: u64) -> Option<Answer> {
        self.0.stale(1, question, MonotonicSeconds::new(now))
    }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn a_question(text: &str) -> Question {
    of_type(text, RecordType::A)
}

fn of_type(text: &str, qtype: RecordType) -> Question {
    Question { qname: name(text), qtype, qclass: Class::IN }
}

/// An answer with records of the query type.
fn positive(question: &Question, ttl: u32) -> Answer {
    let rdata = match question.qtype {
        RecordType::A => Rdata::a(Ipv4Addr::new(192, 0, 2, 1)),
        _ => Rdata::from_wire(&[7; 16]),
    };
    Answer::noerror(vec![RrSet::new(question.qname.clone(), question.qtype, ttl, vec![rdata])])
}

/// An alias of `target`, followed by the answer `end` for the target.
fn alias(question: &Question, target: &str, end: Answer) -> Answer {
    let rdata = Rdata::from_name(&name(target));
    let set = RrSet::new(question.qname.clone(), RecordType::CNAME, 60, vec![rdata]);
    Answer { answer: [vec![set], end.answer].concat(), ..end }
}

fn soa(ttl: u32, minimum: u32) -> RrSet {
    let zone = name("example");
    let rdata = Rdata::soa(&zone, &zone, 1, 2, 3, 4, minimum);
    RrSet::new(zone, RecordType::SOA, ttl, vec![rdata])
}

fn nxdomain() -> Answer {
    Answer::nxdomain(soa(60, 60))
}

fn no_data() -> Answer {
    Answer::no_data(soa(60, 60))
}

#[test]
fn ttls_count_down_until_the_answer_expires() {
    let cache = TestCache::new();
    let question = a_question("a.example");
    cache.insert(&question, &positive(&question, 60), 1000);
    assert_eq!(cache.fresh(&question, 1000).unwrap().answer[0].ttl, 60);
    assert_eq!(cache.fresh(&question, 1059).unwrap().answer[0].ttl, 1);
    assert_eq!(cache.fresh(&question, 1060), None);
    assert_eq!(cache.0.fresh(2, &question, MonotonicSeconds::new(1000), 0), None, "another upstream");
    let other_class = Question { qclass: Class(4), ..question };
    assert_eq!(cache.fresh(&other_class, 1000), None, "another class");
}

#[test]
fn long_ttls_are_capped() {
    let cache = TestCache::new();
    let question = a_question("a.example");
    cache.insert(&question, &positive(&question, 86_400), 0);
    assert!(cache.fresh(&question, 300).is_none());
    assert_eq!(
        cache.fresh(&question, 290).unwrap().answer[0].ttl,
        10,
        "counts down to the end of its lifetime"
    );
}

#[test]
fn a_negative_answer_is_cached_for_the_lower_of_soa_ttl_and_minimum() {
    for (ttl, minimum, cached) in [(900, 20, 20), (20, 900, 20), (900, 86_400, 300), (20, 0, 0)] {
        for denial in [Answer::nxdomain(soa(ttl, minimum)), Answer::no_data(soa(ttl, minimum))] {
            let cache = TestCache::new();
            let question = a_question("none.example");
            cache.insert(&question, &denial, 0);
            assert_eq!(cache.fresh(&question, cached), None, "{ttl} {minimum}");
            for now in [0, cached.saturating_sub(1)].into_iter().filter(|now| *now < cached) {
                let left = cache.fresh(&question, now).unwrap().authority[0].ttl;
                assert_eq!(u64::from(left), cached - now, "{ttl} {minimum}: counts down");
            }
        }
    }
}

#[test]
fn a_chain_of_redirections_without_data_is_cached_for_the_negative_ttl() {
    let question = a_question("a.from.example");
    let dname = Rdata::from_name(&name("to.example"));
    let dname = RrSet::new(name("from.example"), RecordType::DNAME, 60, vec![dname]);
    let by_cname = alias(&question, "a.to.example", Answer::no_data(soa(20, 20)));
    let by_dname = Answer { answer: [vec![dname], by_cname.answer.clone()].concat(), ..by_cname.clone() };
    for denial in [by_cname, by_dname] {
        let cache = TestCache::new();
        cache.insert(&question, &denial, 0);
        assert!(cache.fresh(&question, 19).is_some());
        assert_eq!(cache.fresh(&question, 20), None);
    }
}

#[test]
fn a_negative_answer_without_an_soa_is_cached_briefly_and_never_served_stale() {
    let chain = alias(&a_question("c.example"), "d.example", Answer::empty(Rcode::NXDOMAIN));
    let denials = [
        ("a.example", Answer::empty(Rcode::NXDOMAIN)),
        ("b.example", Answer::empty(Rcode::NOERROR)),
        ("c.example", chain),
    ];
    for (question, denial) in denials {
        let cache = TestCache::new();
        let question = a_question(question);
        cache.insert(&question, &denial, 10);
        let cached = cache.fresh(&question, 14).unwrap();
        assert_eq!((cached.rcode, cached.authority.len()), (denial.rcode, 0));
        assert_eq!(cache.fresh(&question, 15), None);
        assert_eq!(cache.stale(&question, 15), None);
    }
    let question = a_question("bad.example");
    let cache = TestCache::new();
    cache.insert(&question, &Answer::empty(Rcode::SERVFAIL), 0);
    assert_eq!(cache.fresh(&question, 0), None);
}

#[test]
fn nxdomain_applies_to_all_types_and_not_to_names_below() {
    let cache = TestCache::new();
    cache.insert(&a_question("none.example"), &nxdomain(), 0);
    for qtype in [0, 1, 2, 5, 6, 16, 28, 65, 255, 65_280, 65_535].map(RecordType) {
        let answer = cache.fresh(&of_type("none.example", qtype), 1).unwrap();
        assert_eq!(answer.rcode, Rcode::NXDOMAIN, "{qtype}");
        for other in ["x.none.example", "x.y.none.example", "example", "nome.example", "."] {
            assert_eq!(cache.fresh(&of_type(other, qtype), 1), None, "{other} {qtype}");
            assert_eq!(cache.stale(&of_type(other, qtype), AFTER_TTL), None, "{other} {qtype}");
        }
    }
}

#[test]
fn nodata_applies_to_its_type_only() {
    for qtype in [0, 1, 2, 28, 251, 255, 65_280, 65_535].map(RecordType) {
        let cache = TestCache::new();
        // A negative answer for another name at the same depth.
        cache.insert(&a_question("zz"), &nxdomain(), 0);
        cache.insert(&of_type("com", qtype), &no_data(), 0);
        assert!(cache.fresh(&of_type("com", qtype), 1).is_some());
        for (other, other_type) in [("com", 16), ("www.com", 1), ("www.com", qtype.0), (".", 1)] {
            let other = of_type(other, RecordType(other_type));
            assert_eq!(cache.fresh(&other, 1), None, "{other} after {qtype}");
            assert_eq!(cache.stale(&other, 1), None, "{other} after {qtype}");
        }
    }
}

#[test]
fn records_of_a_removed_name_are_not_served_stale() {
    let cache = TestCache::new();
    let (v4, v6) = (a_question("a.example"), of_type("a.example", RecordType::AAAA));
    // Within one second, so the time in seconds does not determine which is newer.
    cache.insert(&v4, &positive(&v4, 60), 0);
    cache.insert(&v6, &nxdomain(), 0);
    assert_eq!(cache.fresh(&v4, 1).unwrap().rcode, Rcode::NXDOMAIN);
    assert_eq!(cache.stale(&v4, AFTER_TTL).unwrap().rcode, Rcode::NXDOMAIN);
    // The name exists again with another type; the removed records do not return.
    cache.insert(&v6, &no_data(), 0);
    assert_eq!(cache.fresh(&v4, 1), None);
    assert_eq!(cache.stale(&v4, AFTER_TTL), None);
    assert_eq!(cache.stale(&v6, AFTER_TTL).unwrap().rcode, Rcode::NOERROR);
}

#[test]
fn nxdomain_is_not_served_after_a_newer_answer_for_another_type() {
    for answer in [positive(&a_question("a.example"), 60), no_data(), positive(&a_question("a.example"), 0)] {
        let cache = TestCache::new();
        let (v4, v6) = (a_question("a.example"), of_type("a.example", RecordType::AAAA));
        cache.insert(&v6, &nxdomain(), 0);
        cache.insert(&v4, &answer, 0);
        assert_eq!(cache.fresh(&v6, 1), None);
        assert_eq!(cache.stale(&v6, AFTER_TTL), None, "whether or not the newer answer is cacheable");
    }
}

#[test]
fn an_uncacheable_newer_answer_removes_the_older_one() {
    let question = a_question("a.example");
    let other = of_type("a.example", RecordType::TXT);
    let heavy = RrSet::new(name("a.example"), RecordType::A, 60, vec![Rdata::from_wire(&[0; 4]); 20_000]);
    let servers =
        RrSet::new(name("a.example"), RecordType::NS, 60, vec![Rdata::from_name(&name("ns.example"))]);
    let newer = [
        (positive(&question, 0), true),
        (Answer::no_data(soa(60, 0)), true),
        (Answer::noerror(vec![heavy]), true),
        (Answer::nxdomain(soa(60, 0)), false),
        (Answer { authority: vec![servers], ..Answer::empty(Rcode::NOERROR) }, false),
    ];
    for (newer, leaves_other) in newer {
        let cache = TestCache::new();
        cache.insert(&question, &positive(&question, 60), 0);
        cache.insert(&other, &positive(&other, 60), 0);
        cache.insert(&question, &newer, 0);
        assert_eq!(
            (cache.fresh(&question, 1), cache.stale(&question, AFTER_TTL)),
            (None, None),
            "{:?}",
            newer.rcode
        );
        assert_eq!(cache.stale(&other, AFTER_TTL).is_some(), leaves_other, "{:?}", newer.rcode);
    }
}

#[test]
fn errors_do_not_remove_older_answers() {
    let question = a_question("a.example");
    let other_name = positive(&a_question("b.example"), 60);
    for error in [Answer::empty(Rcode::SERVFAIL), Answer::empty(Rcode::REFUSED), other_name] {
        let cache = TestCache::new();
        cache.insert(&question, &positive(&question, 60), 0);
        cache.insert(&question, &error, 0);
        assert!(cache.fresh(&question, 1).is_some() && cache.stale(&question, AFTER_TTL).is_some());
    }
}

/// Two queries are in flight at the same time, and the answer to the earlier one arrives last.
#[test]
fn the_answer_whose_query_was_sent_later_applies() {
    let (v4, v6) = (a_question("a.example"), of_type("a.example", RecordType::AAAA));
    let cache = TestCache::new();
    let (first, second) = (cache.sent(0), cache.sent(0));
    cache.0.insert(1, &v6, &nxdomain(), second);
    cache.0.insert(1, &v4, &positive(&v4, 60), first);
    assert_eq!(cache.stale(&v4, AFTER_TTL).unwrap().rcode, Rcode::NXDOMAIN);

    let cache = TestCache::new();
    let (first, second) = (cache.sent(0), cache.sent(0));
    cache.0.insert(1, &v4, &positive(&v4, 60), second);
    cache.0.insert(1, &v6, &nxdomain(), first);
    assert_eq!(cache.fresh(&v6, 1), None);
    assert_eq!(cache.stale(&v4, AFTER_TTL).unwrap().rcode, Rcode::NOERROR);

    // The same question: the newer answer is not cacheable and leaves only a mark.
    let cache = TestCache::new();
    let (first, second) = (cache.sent(0), cache.sent(0));
    cache.0.insert(1, &v4, &positive(&v4, 0), second);
    cache.0.insert(1, &v4, &positive(&v4, 60), first);
    assert_eq!((cache.fresh(&v4, 1), cache.stale(&v4, AFTER_TTL)), (None, None));

    // NXDOMAIN for a query sent between the two arrives last: it removes the older answer but not the newer
    // one.
    let cache = TestCache::new();
    let (first, second, third) = (cache.sent(0), cache.sent(0), cache.sent(0));
    cache.0.insert(1, &v4, &positive(&v4, 60), first);
    cache.0.insert(1, &v6, &positive(&v6, 60), third);
    cache.0.insert(1, &of_type("a.example", RecordType::TXT), &nxdomain(), second);
    assert_eq!(cache.stale(&v4, AFTER_TTL), None);
    assert!(cache.stale(&v6, AFTER_TTL).is_some());
    assert_eq!(cache.fresh(&of_type("a.example", RecordType::TXT), 1), None);
}

#[test]
fn nxdomain_at_the_end_of_a_chain_does_not_apply_to_its_first_name() {
    let cache = TestCache::new();
    let (v4, v6) = (a_question("a.example"), of_type("a.example", RecordType::AAAA));
    cache.insert(&v6, &nxdomain(), 0);
    cache.insert(&v4, &alias(&v4, "b.example", nxdomain()), 0);
    assert_eq!(cache.fresh(&v4, 1).unwrap().rcode, Rcode::NXDOMAIN, "the rcode is that of the last name");
    for now in [1, AFTER_TTL] {
        assert_eq!(cache.fresh(&v6, now), None);
        assert_eq!(cache.stale(&v6, now), None, "it is an alias, so it exists");
    }
    let stale = cache.stale(&v4, AFTER_TTL).unwrap();
    assert_eq!((stale.rcode, stale.answer.len()), (Rcode::NXDOMAIN, 1));
}

#[test]
fn an_alias_and_other_records_of_its_name_are_not_served_stale_together() {
    let (v4, v6) = (a_question("a.example"), of_type("a.example", RecordType::AAAA));
    let target = positive(&of_type("b.example", RecordType::AAAA), 60);
    let cache = TestCache::new();
    cache.insert(&v6, &alias(&v6, "b.example", target.clone()), 0);
    cache.insert(&v4, &positive(&v4, 60), 0);
    assert!(cache.fresh(&v6, 1).is_some(), "the zone permits it within the TTL");
    assert_eq!(cache.stale(&v6, AFTER_TTL), None, "it has records, so it is not an alias");
    assert!(cache.stale(&v4, AFTER_TTL).is_some());

    let cache = TestCache::new();
    cache.insert(&v4, &positive(&v4, 60), 0);
    cache.insert(&v6, &alias(&v6, "b.example", target), 0);
    assert!(cache.fresh(&v4, 1).is_some());
    assert_eq!(cache.stale(&v4, AFTER_TTL), None);

    // No data, as from a middlebox that suppresses AAAA records, and records that an alias may have do not
    // contradict an alias.
    let cache = TestCache::new();
    cache.insert(&v4, &alias(&v4, "b.example", positive(&a_question("b.example"), 60)), 0);
    cache.insert(&v6, &no_data(), 0);
    let any = of_type("a.example", RecordType::ANY);
    let synthesised =
        RrSet::new(name("a.example"), RecordType(13), 60, vec![Rdata::from_wire(b"\x07RFC8482\0")]);
    cache.insert(&any, &Answer::noerror(vec![synthesised]), 0);
    for question in [&v4, &v6, &any] {
        assert!(cache.stale(question, AFTER_TTL).is_some(), "{question}");
    }
}

#[test]
fn the_end_of_a_chain_removes_older_answers_that_it_contradicts() {
    let target = a_question("b.example");
    let question = a_question("a.example");
    let cache = TestCache::new();
    cache.insert(&target, &positive(&target, 60), 0);
    cache.insert(&question, &alias(&question, "b.example", nxdomain()), 0);
    assert_eq!((cache.fresh(&target, 1), cache.stale(&target, AFTER_TTL)), (None, None));

    let cache = TestCache::new();
    cache.insert(&target, &nxdomain(), 0);
    cache.insert(&question, &alias(&question, "b.example", positive(&target, 60)), 0);
    assert_eq!((cache.fresh(&target, 1), cache.stale(&target, AFTER_TTL)), (None, None));

    // An answer that it confirms is not removed.
    let cache = TestCache::new();
    cache.insert(&target, &nxdomain(), 0);
    cache.insert(&question, &alias(&question, "b.example", nxdomain()), 0);
    assert!(cache.fresh(&target, 1).is_some());
    // No answer is cached for a name that was not the query name.
    assert_eq!(cache.fresh(&a_question("c.example"), 1), None);
    cache.insert(&question, &alias(&question, "c.example", positive(&a_question("c.example"), 60)), 0);
    assert_eq!(cache.fresh(&a_question("c.example"), 1), None);
}

#[test]
fn a_stale_answer_is_marked_as_stale() {
    let cache = TestCache::new();
    let (question, none) = (a_question("a.example"), a_question("none.example"));
    cache.insert(&question, &positive(&question, 60), 0);
    cache.insert(&none, &nxdomain(), 0);
    let stale = cache.stale(&question, 100).unwrap();
    assert_eq!((stale.answer[0].ttl, stale.ede.unwrap().code), (30, Ede::STALE_ANSWER));
    assert_eq!(cache.stale(&none, 100).unwrap().ede.unwrap().code, Ede::STALE_NXDOMAIN_ANSWER);
    assert_eq!(cache.stale(&question, 60 + 86_400), None);
    let disabled = TestCache(MessageCache::new(CacheBounds { serve_stale_s: 0, ..BOUNDS }));
    disabled.insert(&question, &positive(&question, 60), 0);
    assert_eq!(disabled.stale(&question, 61), None);
}

#[test]
fn a_frequent_answer_is_prefetched_once_before_it_expires() {
    let cache = TestCache::new();
    let question = a_question("hot.example");
    cache.insert(&question, &positive(&question, 100), 0);
    let needs_prefetch =
        |now| cache.0.fresh(1, &question, MonotonicSeconds::new(now), 0).unwrap().needs_prefetch;
    assert_eq!([1, 2, 3, 50].map(needs_prefetch), [false; 4]);
    assert_eq!([91, 91].map(needs_prefetch), [true, false]);
}

#[test]
fn copies_are_valid_until_the_last_tenth_and_count_as_lookups() {
    let cache = TestCache::new();
    let question = a_question("hot.example");
    cache.insert(&question, &positive(&question, 100), 1000);
    let fresh =
        |now, expired_hits| cache.0.fresh(1, &question, MonotonicSeconds::new(now), expired_hits).unwrap();
    assert_eq!(fresh(1089, 0).until.get(), 1090);
    let late = fresh(1090, 5);
    assert_eq!((late.until.get(), late.needs_prefetch), (1100, true));
    cache.insert(&question, &positive(&question, 5), 1000);
    assert_eq!(fresh(1000, 0).until.get(), 1005);
}

#[test]
fn types_of_one_name_are_limited_and_the_most_used_one_remains() {
    let cache = TestCache::new();
    let question = a_question("a.example");
    cache.insert(&question, &positive(&question, 300), 0);
    for qtype in 256..2256 {
        let other = of_type("a.example", RecordType(qtype));
        cache.insert(&other, &no_data(), 0);
        assert!(cache.fresh(&other, 1).is_some(), "the newest type is cached");
    }
    assert!(cache.fresh(&question, 1).is_some());
    assert_eq!(cache.0.len(), 1);
    assert!(cache.0.bytes() < 16_384, "{}", cache.0.bytes());
}

#[test]
fn a_flood_of_unique_names_does_not_evict_frequent_ones() {
    let cache = TestCache::new();
    let hot: Vec<Question> = (0..500).map(|n| a_question(&format!("hot{n}.example"))).collect();
    for question in &hot {
        cache.insert(question, &positive(question, 300), 0);
    }
    for _ in 0..3 {
        hot.iter().for_each(|question| drop(cache.fresh(question, 1)));
    }
    for n in 0..50_000 {
        let question = a_question(&format!("flood{n}.example"));
        cache.insert(&question, &positive(&question, 300), 1);
        // Hosts look up both address families: the second type must not count as a repeated lookup.
        let other = of_type(&format!("flood{n}.example"), RecordType::AAAA);
        assert_eq!(cache.fresh(&other, 1), None);
        cache.insert(&other, &no_data(), 1);
        // Meanwhile, the frequent names are looked up.
        drop(cache.fresh(&hot[n % hot.len()], 1));
    }
    let remaining = hot.iter().filter(|question| cache.fresh(question, 2).is_some()).count();
    assert!(remaining > 475, "{remaining} of 500 frequent names remain");
    assert!(cache.0.bytes() <= BOUNDS.max_bytes, "{}", cache.0.bytes());
}
