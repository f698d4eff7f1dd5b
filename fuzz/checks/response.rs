//! Checks for arbitrary octets as the response of an upstream.
//!
//! Parsing never panics, and the size of its result is bounded by the length of the message. The result
//! encodes and parses again to the same records. A response is accepted as the reply to its own question
//! only.

use plustwo::dns::{
    Annotations, Answer, Class, Name, Query, Question, Rcode, RecordType, Response, RrSet, encode,
};
use plustwo::serve::upstream::is_reply_to;

/// Minimum length of a record in octets: the root as owner, type, class, TTL and RDLENGTH.
const MIN_RECORD: usize = 11;

/// Maximum number of octets that one octet of a message expands to: a compression pointer of two octets can
/// represent a name of 255.
const MAX_GROWTH: usize = 128;

/// Checks one message.
pub(crate) fn check(message: &[u8]) {
    let Ok(response) = Response::parse(message) else { return };
    check_bounds(message, &response);
    check_matching(message, &response);
    check_round_trip(&response);
}

/// Checks that memory is in proportion to the length of the message, and TTLs are in range (RFC 2181 section
/// 8).
fn check_bounds(message: &[u8], response: &Response) {
    let sets = || response.answer.iter().chain(&response.authority);
    let records: usize = sets().map(|set| set.rdatas.len()).sum();
    assert!(records * MIN_RECORD <= message.len(), "{records} records in {} octets", message.len());
    let octets = |set: &RrSet| {
        set.owner.as_wire().len() + set.rdatas.iter().map(|data| data.as_wire().len()).sum::<usize>()
    };
    let octets: usize = sets().map(octets).sum();
    assert!(octets <= message.len() * MAX_GROWTH, "{octets} octets of {}", message.len());
    assert!(sets().all(|set| set.ttl <= i32::MAX as u32 && set.class == Class::IN && !set.rdatas.is_empty()));
}

/// Checks that a response matches only its own question. Without a question, it matches if it is an error.
fn check_matching(message: &[u8], response: &Response) {
    let Some((qname, qtype, qclass)) = &response.question else {
        let question = Question { qname: Name::root(), qtype: RecordType::A, qclass: Class::IN };
        let is_error = !matches!(response.rcode, Rcode::NOERROR | Rcode::NXDOMAIN);
        assert_eq!(is_reply_to(&question, message), is_error, "no question, {}", response.rcode);
        return;
    };
    let Ok(qname) = Name::from_wire(qname) else { return };
    let question = Question { qname, qtype: *qtype, qclass: *qclass };
    assert!(is_reply_to(&question, message), "{question}");
    let mut others = vec![
        Question { qtype: RecordType(question.qtype.0 ^ 1), ..question.clone() },
        Question { qclass: Class(question.qclass.0 ^ 1), ..question.clone() },
    ];
    let names = [question.qname.parent(), question.qname.prepend(b"x").ok()];
    others.extend(names.into_iter().flatten().map(|qname| Question { qname, ..question.clone() }));
    for other in others {
        assert!(!is_reply_to(&other, message), "{question} for {other}");
    }
}

/// Checks that a parsed response encodes for a client and parses to the same records.
fn check_round_trip(response: &Response) {
    let Some(query) = query(response) else { return };
    // The addresses in a referral are glue and belong in the additional section, which is not encoded.
    let is_glue = |set: &RrSet| matches!(set.rtype, RecordType::A | RecordType::AAAA);
    let authority: Vec<RrSet> = response.authority.iter().filter(|set| !is_glue(set)).cloned().collect();
    let answer = Answer { answer: response.answer.clone(), authority, ..Answer::empty(response.rcode) };
    let mut octets = Vec::new();
    let encoded = encode(&query, &answer, &Annotations::default(), 65_535, 0, &mut octets);
    assert_eq!(encoded.length, octets.len());
    let reparsed = Response::parse(&octets).expect("an encoded reply is well-formed");
    assert_eq!(reparsed.truncated, encoded.truncated);
    if reparsed.truncated {
        // In a truncated response, nothing after the question is parsed, including the OPT record.
        assert_eq!(reparsed.rcode.0, answer.rcode.0 & 15);
        return;
    }
    assert_eq!((reparsed.rcode, reparsed.has_edns), (answer.rcode, true));
    assert_eq!((reparsed.answer, reparsed.authority), (answer.answer, answer.authority));
}

/// Returns a client's query for the question of a response, with EDNS. `None` if it is not a valid query.
fn query(response: &Response) -> Option<Query> {
    let (qname, qtype, qclass) = response.question.clone().unwrap_or((vec![0], RecordType::A, Class::IN));
    let mut message = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    message.extend(qname);
    message.extend(qtype.0.to_be_bytes());
    message.extend(qclass.0.to_be_bytes());
    message.extend([0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0]);
    Query::parse(&message).ok()
}
