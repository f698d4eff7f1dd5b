use std::net::Ipv4Addr;

use super::*;
use crate::dns::Rdata;

const BOUNDS: CacheBounds =
    CacheBounds { max_bytes: 1 << 20, max_negative_ttl_s: 300, max_ttl_s: 300, serve_stale_s: 86_400 };

/// Past the TTL of everything in these tests.
const LATER: u64 = 1000;

/// A cache and the one upstream that is asked.
struct Lab(MessageCache);

impl Lab {
    fn new() -> Self {
        Self(MessageCache::new(BOUNDS))
    }

    /// Takes in an answer to a query that is sent now.
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

fn question(text: &str) -> Question {
    of_type(text, RecordType::A)
}

fn of_type(text: &str, qtype: RecordType) -> Question {
    Question { qname: name(text), qtype, qclass: Class::IN }
}

/// Records of the type in question.
fn positive(question: &Question, ttl: u32) -> Answer {
    let rdata = match question.qtype {
        RecordType::A => Rdata::a(Ipv4Addr::new(192, 0, 2, 1)),
        _ => Rdata::from_wire(&[7; 16]),
    };
    Answer::of(vec![RrSet::new(question.qname.clone(), question.qtype, ttl, vec![rdata])])
}

/// An alias of `target`, and what `end` says of that.
fn alias(question: &Question, target: &str, end: Answer) -> Answer {
    let rdata = Rdata::name(&name(target));
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
fn ttls_count_down_to_the_end_and_not_past_it() {
    let lab = Lab::new();
    let asked = question("a.example");
    lab.insert(&asked, &positive(&asked, 60), 1000);
    assert_eq!(lab.fresh(&asked, 1000).unwrap().answer[0].ttl, 60);
    assert_eq!(lab.fresh(&asked, 1059).unwrap().answer[0].ttl, 1);
    assert_eq!(lab.fresh(&asked, 1060), None);
    assert_eq!(lab.0.fresh(2, &asked, MonotonicSeconds::new(1000), 0), None, "another upstream's");
    let other_class = Question { qclass: Class(4), ..asked };
    assert_eq!(lab.fresh(&other_class, 1000), None, "another class");
}

#[test]
fn what_lives_long_is_kept_no_longer_than_the_cap() {
    let lab = Lab::new();
    let asked = question("a.example");
    lab.insert(&asked, &positive(&asked, 86_400), 0);
    assert!(lab.fresh(&asked, 300).is_none());
    assert_eq!(lab.fresh(&asked, 290).unwrap().answer[0].ttl, 10, "it counts down to its end");
}

#[test]
fn a_denial_is_cached_for_the_smaller_of_its_soas_ttl_and_minimum() {
    for (ttl, minimum, cached) in [(900, 20, 20), (20, 900, 20), (900, 86_400, 300), (20, 0, 0)] {
        for denial in [Answer::nxdomain(soa(ttl, minimum)), Answer::no_data(soa(ttl, minimum))] {
            let lab = Lab::new();
            let asked = question("none.example");
            lab.insert(&asked, &denial, 0);
            assert_eq!(lab.fresh(&asked, cached), None, "{ttl} {minimum}");
            for now in [0, cached.saturating_sub(1)].into_iter().filter(|now| *now < cached) {
                let left = lab.fresh(&asked, now).unwrap().authority[0].ttl;
                assert_eq!(u64::from(left), cached - now, "{ttl} {minimum}: it counts down");
            }
        }
    }
}

#[test]
fn a_denial_without_an_soa_is_cached_briefly_and_never_served_stale() {
    let chain = alias(&question("c.example"), "d.example", Answer::empty(Rcode::NXDOMAIN));
    let denials = [
        ("a.example", Answer::empty(Rcode::NXDOMAIN)),
        ("b.example", Answer::empty(Rcode::NOERROR)),
        ("c.example", chain),
    ];
    for (asked, denial) in denials {
        let lab = Lab::new();
        let asked = question(asked);
        lab.insert(&asked, &denial, 10);
        let cached = lab.fresh(&asked, 14).unwrap();
        assert_eq!((cached.rcode, cached.authority.len()), (denial.rcode, 0));
        assert_eq!(lab.fresh(&asked, 15), None);
        assert_eq!(lab.stale(&asked, 15), None);
    }
    let asked = question("bad.example");
    let lab = Lab::new();
    lab.insert(&asked, &Answer::empty(Rcode::SERVFAIL), 0);
    assert_eq!(lab.fresh(&asked, 0), None);
}

#[test]
fn a_name_that_does_not_exist_does_not_exist_for_any_type_and_nothing_follows_for_the_names_below_it() {
    let lab = Lab::new();
    lab.insert(&question("none.example"), &nxdomain(), 0);
    for qtype in [0, 1, 2, 5, 6, 16, 28, 65, 255, 65_280, 65_535].map(RecordType) {
        let answer = lab.fresh(&of_type("none.example", qtype), 1).unwrap();
        assert_eq!(answer.rcode, Rcode::NXDOMAIN, "{qtype}");
        for other in ["x.none.example", "x.y.none.example", "example", "nome.example", "."] {
            assert_eq!(lab.fresh(&of_type(other, qtype), 1), None, "{other} {qtype}");
            assert_eq!(lab.stale(&of_type(other, qtype), LATER), None, "{other} {qtype}");
        }
    }
}

#[test]
fn no_data_of_any_type_is_for_that_type_alone() {
    for qtype in [0, 1, 2, 28, 251, 255, 65_280, 65_535].map(RecordType) {
        let lab = Lab::new();
        // A denial elsewhere, and the same depth in the tree.
        lab.insert(&question("zz"), &nxdomain(), 0);
        lab.insert(&of_type("com", qtype), &no_data(), 0);
        assert!(lab.fresh(&of_type("com", qtype), 1).is_some());
        for (other, other_type) in [("com", 16), ("www.com", 1), ("www.com", qtype.0), (".", 1)] {
            let other = of_type(other, RecordType(other_type));
            assert_eq!(lab.fresh(&other, 1), None, "{other} after {qtype}");
            assert_eq!(lab.stale(&other, 1), None, "{other} after {qtype}");
        }
    }
}

#[test]
fn a_removed_name_does_not_return_when_no_server_answers() {
    let lab = Lab::new();
    let (v4, v6) = (question("a.example"), of_type("a.example", RecordType::AAAA));
    // All in one second: a clock of seconds could not tell which is newer.
    lab.insert(&v4, &positive(&v4, 60), 0);
    lab.insert(&v6, &nxdomain(), 0);
    assert_eq!(lab.fresh(&v4, 1).unwrap().rcode, Rcode::NXDOMAIN);
    assert_eq!(lab.stale(&v4, LATER).unwrap().rcode, Rcode::NXDOMAIN);
    // It comes back with another type, and the removed records do not.
    lab.insert(&v6, &no_data(), 0);
    assert_eq!(lab.fresh(&v4, 1), None);
    assert_eq!(lab.stale(&v4, LATER), None);
    assert_eq!(lab.stale(&v6, LATER).unwrap().rcode, Rcode::NOERROR);
}

#[test]
fn a_name_that_exists_again_is_denied_for_no_type() {
    for answer in [positive(&question("a.example"), 60), no_data(), positive(&question("a.example"), 0)] {
        let lab = Lab::new();
        let (v4, v6) = (question("a.example"), of_type("a.example", RecordType::AAAA));
        lab.insert(&v6, &nxdomain(), 0);
        lab.insert(&v4, &answer, 0);
        assert_eq!(lab.fresh(&v6, 1), None);
        assert_eq!(lab.stale(&v6, LATER), None, "whether the newer answer may be cached or not");
    }
}

#[test]
fn a_newer_answer_that_may_not_be_cached_ends_the_older_one() {
    let asked = question("a.example");
    let other = of_type("a.example", RecordType::TXT);
    let heavy = RrSet::new(name("a.example"), RecordType::A, 60, vec![Rdata::from_wire(&[0; 4]); 20_000]);
    let servers = RrSet::new(name("a.example"), RecordType::NS, 60, vec![Rdata::name(&name("ns.example"))]);
    let newer = [
        (positive(&asked, 0), true),
        (Answer::no_data(soa(60, 0)), true),
        (Answer::of(vec![heavy]), true),
        (Answer::nxdomain(soa(60, 0)), false),
        (Answer { authority: vec![servers], ..Answer::empty(Rcode::NOERROR) }, false),
    ];
    for (newer, leaves_other) in newer {
        let lab = Lab::new();
        lab.insert(&asked, &positive(&asked, 60), 0);
        lab.insert(&other, &positive(&other, 60), 0);
        lab.insert(&asked, &newer, 0);
        assert_eq!((lab.fresh(&asked, 1), lab.stale(&asked, LATER)), (None, None), "{:?}", newer.rcode);
        assert_eq!(lab.stale(&other, LATER).is_some(), leaves_other, "{:?}", newer.rcode);
    }
}

#[test]
fn what_is_no_answer_ends_nothing() {
    let asked = question("a.example");
    let elsewhere = positive(&question("b.example"), 60);
    for nothing in [Answer::empty(Rcode::SERVFAIL), Answer::empty(Rcode::REFUSED), elsewhere] {
        let lab = Lab::new();
        lab.insert(&asked, &positive(&asked, 60), 0);
        lab.insert(&asked, &nothing, 0);
        assert!(lab.fresh(&asked, 1).is_some() && lab.stale(&asked, LATER).is_some());
    }
}

/// Two queries are under way at once, and the answer to the one that was sent first comes last.
#[test]
fn of_two_answers_the_one_whose_query_was_sent_later_holds() {
    let (v4, v6) = (question("a.example"), of_type("a.example", RecordType::AAAA));
    let lab = Lab::new();
    let (first, second) = (lab.sent(0), lab.sent(0));
    lab.0.insert(1, &v6, &nxdomain(), second);
    lab.0.insert(1, &v4, &positive(&v4, 60), first);
    assert_eq!(lab.stale(&v4, LATER).unwrap().rcode, Rcode::NXDOMAIN);

    let lab = Lab::new();
    let (first, second) = (lab.sent(0), lab.sent(0));
    lab.0.insert(1, &v4, &positive(&v4, 60), second);
    lab.0.insert(1, &v6, &nxdomain(), first);
    assert_eq!(lab.fresh(&v6, 1), None);
    assert_eq!(lab.stale(&v4, LATER).unwrap().rcode, Rcode::NOERROR);

    // The same question, and the newer answer leaves nothing behind but its mark.
    let lab = Lab::new();
    let (first, second) = (lab.sent(0), lab.sent(0));
    lab.0.insert(1, &v4, &positive(&v4, 0), second);
    lab.0.insert(1, &v4, &positive(&v4, 60), first);
    assert_eq!((lab.fresh(&v4, 1), lab.stale(&v4, LATER)), (None, None));

    // A denial between the two, which arrives last: the older one was ended by it, the newer one was not.
    let lab = Lab::new();
    let (first, second, third) = (lab.sent(0), lab.sent(0), lab.sent(0));
    lab.0.insert(1, &v4, &positive(&v4, 60), first);
    lab.0.insert(1, &v6, &positive(&v6, 60), third);
    lab.0.insert(1, &of_type("a.example", RecordType::TXT), &nxdomain(), second);
    assert_eq!(lab.stale(&v4, LATER), None);
    assert!(lab.stale(&v6, LATER).is_some());
    assert_eq!(lab.fresh(&of_type("a.example", RecordType::TXT), 1), None);
}

#[test]
fn a_chain_that_ends_in_nothing_does_not_deny_the_name_that_it_begins_with() {
    let lab = Lab::new();
    let (v4, v6) = (question("a.example"), of_type("a.example", RecordType::AAAA));
    lab.insert(&v6, &nxdomain(), 0);
    lab.insert(&v4, &alias(&v4, "b.example", nxdomain()), 0);
    assert_eq!(lab.fresh(&v4, 1).unwrap().rcode, Rcode::NXDOMAIN, "the rcode is the last name's");
    for now in [1, LATER] {
        assert_eq!(lab.fresh(&v6, now), None);
        assert_eq!(lab.stale(&v6, now), None, "it is an alias, so it exists");
    }
    let stale = lab.stale(&v4, LATER).unwrap();
    assert_eq!((stale.rcode, stale.answer.len()), (Rcode::NXDOMAIN, 1));
}

#[test]
fn an_alias_and_records_of_its_own_are_not_served_stale_together() {
    let (v4, v6) = (question("a.example"), of_type("a.example", RecordType::AAAA));
    let target = positive(&of_type("b.example", RecordType::AAAA), 60);
    let lab = Lab::new();
    lab.insert(&v6, &alias(&v6, "b.example", target.clone()), 0);
    lab.insert(&v4, &positive(&v4, 60), 0);
    assert!(lab.fresh(&v6, 1).is_some(), "within its TTL its zone permits it");
    assert_eq!(lab.stale(&v6, LATER), None, "it has records, so it is no alias");
    assert!(lab.stale(&v4, LATER).is_some());

    let lab = Lab::new();
    lab.insert(&v4, &positive(&v4, 60), 0);
    lab.insert(&v6, &alias(&v6, "b.example", target), 0);
    assert!(lab.fresh(&v4, 1).is_some());
    assert_eq!(lab.stale(&v4, LATER), None);

    // Middleboxes that suppress AAAA records, and records that an alias may have, contradict nothing.
    let lab = Lab::new();
    lab.insert(&v4, &alias(&v4, "b.example", positive(&question("b.example"), 60)), 0);
    lab.insert(&v6, &no_data(), 0);
    let any = of_type("a.example", RecordType::ANY);
    let made_up = RrSet::new(name("a.example"), RecordType(13), 60, vec![Rdata::from_wire(b"\x07RFC8482\0")]);
    lab.insert(&any, &Answer::of(vec![made_up]), 0);
    for asked in [&v4, &v6, &any] {
        assert!(lab.stale(asked, LATER).is_some(), "{asked}");
    }
}

#[test]
fn the_end_of_a_chain_ends_older_answers_of_the_name_it_is_about() {
    let target = question("b.example");
    let asked = question("a.example");
    let lab = Lab::new();
    lab.insert(&target, &positive(&target, 60), 0);
    lab.insert(&asked, &alias(&asked, "b.example", nxdomain()), 0);
    assert_eq!((lab.fresh(&target, 1), lab.stale(&target, LATER)), (None, None));

    let lab = Lab::new();
    lab.insert(&target, &nxdomain(), 0);
    lab.insert(&asked, &alias(&asked, "b.example", positive(&target, 60)), 0);
    assert_eq!((lab.fresh(&target, 1), lab.stale(&target, LATER)), (None, None));

    // Where it agrees nothing ends.
    let lab = Lab::new();
    lab.insert(&target, &nxdomain(), 0);
    lab.insert(&asked, &alias(&asked, "b.example", nxdomain()), 0);
    assert!(lab.fresh(&target, 1).is_some());
    // Nothing is cached for a name that was not asked for.
    assert_eq!(lab.fresh(&question("c.example"), 1), None);
    lab.insert(&asked, &alias(&asked, "c.example", positive(&question("c.example"), 60)), 0);
    assert_eq!(lab.fresh(&question("c.example"), 1), None);
}

#[test]
fn past_its_ttl_an_answer_says_that_it_is_stale() {
    let lab = Lab::new();
    let (asked, none) = (question("a.example"), question("none.example"));
    lab.insert(&asked, &positive(&asked, 60), 0);
    lab.insert(&none, &nxdomain(), 0);
    let stale = lab.stale(&asked, 100).unwrap();
    assert_eq!((stale.answer[0].ttl, stale.ede.unwrap().code), (30, Ede::STALE_ANSWER));
    assert_eq!(lab.stale(&none, 100).unwrap().ede.unwrap().code, Ede::STALE_NXDOMAIN_ANSWER);
    assert_eq!(lab.stale(&asked, 60 + 86_400), None);
    let never = Lab(MessageCache::new(CacheBounds { serve_stale_s: 0, ..BOUNDS }));
    never.insert(&asked, &positive(&asked, 60), 0);
    assert_eq!(never.stale(&asked, 61), None);
}

#[test]
fn what_is_asked_often_is_fetched_anew_before_it_ends_and_once() {
    let lab = Lab::new();
    let asked = question("hot.example");
    lab.insert(&asked, &positive(&asked, 100), 0);
    let wants = |now| lab.0.fresh(1, &asked, MonotonicSeconds::new(now), 0).unwrap().wants_prefetch;
    assert_eq!([1, 2, 3, 50].map(wants), [false; 4]);
    assert_eq!([91, 91].map(wants), [true, false]);
}

#[test]
fn copies_are_good_until_the_last_tenth_and_count_as_asked_for() {
    let lab = Lab::new();
    let asked = question("hot.example");
    lab.insert(&asked, &positive(&asked, 100), 1000);
    let fresh = |now, given| lab.0.fresh(1, &asked, MonotonicSeconds::new(now), given).unwrap();
    assert_eq!(fresh(1089, 0).until.get(), 1090);
    let late = fresh(1090, 5);
    assert_eq!((late.until.get(), late.wants_prefetch), (1100, true));
    lab.insert(&asked, &positive(&asked, 5), 1000);
    assert_eq!(fresh(1000, 0).until.get(), 1005);
}

#[test]
fn types_of_one_name_are_bounded_and_the_most_used_stays() {
    let lab = Lab::new();
    let asked = question("a.example");
    lab.insert(&asked, &positive(&asked, 300), 0);
    for qtype in 256..2256 {
        let other = of_type("a.example", RecordType(qtype));
        lab.insert(&other, &no_data(), 0);
        assert!(lab.fresh(&other, 1).is_some(), "the newest is there");
    }
    assert!(lab.fresh(&asked, 1).is_some());
    assert_eq!(lab.0.len(), 1);
    assert!(lab.0.bytes() < 16_384, "{}", lab.0.bytes());
}

#[test]
fn a_flood_of_names_asked_once_does_not_evict_those_asked_often() {
    let lab = Lab::new();
    let hot: Vec<Question> = (0..500).map(|n| question(&format!("hot{n}.example"))).collect();
    for asked in &hot {
        lab.insert(asked, &positive(asked, 300), 0);
    }
    for _ in 0..3 {
        hot.iter().for_each(|asked| drop(lab.fresh(asked, 1)));
    }
    for n in 0..50_000 {
        let asked = question(&format!("flood{n}.example"));
        lab.insert(&asked, &positive(&asked, 300), 1);
        // As a host does that looks up both families: the second type is no reason to keep the name.
        let other = of_type(&format!("flood{n}.example"), RecordType::AAAA);
        assert_eq!(lab.fresh(&other, 1), None);
        lab.insert(&other, &no_data(), 1);
        // The hot names are asked for meanwhile.
        drop(lab.fresh(&hot[n % hot.len()], 1));
    }
    let cached_reply = hot.iter().filter(|asked| lab.fresh(asked, 2).is_some()).count();
    assert!(cached_reply > 475, "{cached_reply} of 500 hot names are left");
    assert!(lab.0.bytes() <= BOUNDS.max_bytes, "{}", lab.0.bytes());
}
