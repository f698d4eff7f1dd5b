//! Any octets as the response of an upstream.
//!
//! Parsing never panics; what it returns is bounded by the length of the message; it encodes and parses again to the
//! same records; and a response is taken for the reply to its own question and to no other.

use plustwo::dns::{
    Annotations, Answer, Class, Name, Query, Question, Rcode, RecordType, Response, RrSet, encode,
};
use plustwo::serve::upstream::is_reply_to;

/// The fewest octets of a record: the root as owner, type, class, TTL and length.
const SMALLEST_RECORD: usize = 11;

/// The most octets that one octet of a message becomes: a compression pointer of two stands for a name of 255.
const MAX_GROWTH: usize = 128;

/// Checks one message.
pub fn check(message: &[u8]) {
    let Ok(response) = Response::parse(message) else { return };
    check_bounds(message, &response);
    check_judgement(message, &response);
    check_round_trip(&response);
}

/// Memory is in proportion to the length of the message, and TTLs are in their range (RFC 2181 section 8).
fn check_bounds(message: &[u8], response: &Response) {
    let sets = || response.answer.iter().chain(&response.authority);
    let records: usize = sets().map(|set| set.rdatas.len()).sum();
    assert!(records * SMALLEST_RECORD <= message.len(), "{records} records in {} octets", message.len());
    let octets = |set: &RrSet| {
        set.owner.as_wire().len() + set.rdatas.iter().map(|data| data.as_wire().len()).sum::<usize>()
    };
    let octets: usize = sets().map(octets).sum();
    assert!(octets <= message.len() * MAX_GROWTH, "{octets} octets of {}", message.len());
    assert!(sets().all(|set| set.ttl <= i32::MAX as u32 && set.class == Class::IN && !set.rdatas.is_empty()));
}

/// A response is the reply to the question that it bears. Without one it is a reply if it is an error.
fn check_judgement(message: &[u8], response: &Response) {
    let Some((qname, qtype, qclass)) = &response.question else {
        let question = Question { qname: Name::root(), qtype: RecordType::A, qclass: Class::IN };
        let is_error = !matches!(response.rcode, Rcode::NOERROR | Rcode::NXDOMAIN);
        assert_eq!(is_reply_to(&question, message), is_error, "no question, {}", response.rcode);
        return;
    };
    let Ok(qname) = Name::from_wire(qname) else { return };
    let own = Question { qname, qtype: *qtype, qclass: *qclass };
    assert!(is_reply_to(&own, message), "{own}");
    let mut others = vec![
        Question { qtype: RecordType(own.qtype.0 ^ 1), ..own.clone() },
        Question { qclass: Class(own.qclass.0 ^ 1), ..own.clone() },
    ];
    let names = [own.qname.parent(), own.qname.prepend(b"x").ok()];
    others.extend(names.into_iter().flatten().map(|qname| Question { qname, ..own.clone() }));
    for other in others {
        assert!(!is_reply_to(&other, message), "{own} for {other}");
    }
}

/// What was parsed can be sent on to a client, and says the same there.
fn check_round_trip(response: &Response) {
    let Some(query) = query(response) else { return };
    // The addresses of a referral are glue: their place is the additional section, from which nothing else is read.
    let is_glue = |set: &RrSet| matches!(set.rtype, RecordType::A | RecordType::AAAA);
    let authority: Vec<RrSet> = response.authority.iter().filter(|set| !is_glue(set)).cloned().collect();
    let answer = Answer { answer: response.answer.clone(), authority, ..Answer::empty(response.rcode) };
    let mut octets = Vec::new();
    let encoded = encode(&query, &answer, &Annotations::default(), 65_535, 0, &mut octets);
    assert_eq!(encoded.length, octets.len());
    let again = Response::parse(&octets).expect("what was encoded is well-formed");
    assert_eq!(again.truncated, encoded.truncated);
    if again.truncated {
        // Nothing after the question of a truncated response is read, the OPT record included.
        assert_eq!(again.rcode.0, answer.rcode.0 & 15);
        return;
    }
    assert_eq!((again.rcode, again.has_edns), (answer.rcode, true));
    assert_eq!((again.answer, again.authority), (answer.answer, answer.authority));
}

/// A client's query for the question that a response bears, with EDNS. `None` where clients cannot send it.
fn query(response: &Response) -> Option<Query> {
    let (qname, qtype, qclass) = response.question.clone().unwrap_or((vec![0], RecordType::A, Class::IN));
    let mut message = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    message.extend(qname);
    message.extend(qtype.0.to_be_bytes());
    message.extend(qclass.0.to_be_bytes());
    message.extend([0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0]);
    Query::parse(&message).ok()
}
