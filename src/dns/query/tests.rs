use proptest::prelude::*;

use super::*;
use crate::dns::edns::OptionCode;
use crate::dns::name::tests::name;

/// A message made of a header and raw sections.
pub(crate) fn message(flags: u16, counts: [u16; 4], body: &[&[u8]]) -> Vec<u8> {
    let mut message = vec![0xab, 0xcd];
    message.extend(flags.to_be_bytes());
    message.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
    message.extend(body.concat());
    message
}

/// The question "wWw.example. IN A".
const QUESTION: &[u8] = b"\x03wWw\x07example\0\0\x01\0\x01";

/// An OPT record of version 0 with payload 1232, DO set, and these options.
fn opt(options: &[u8]) -> Vec<u8> {
    let mut record = b"\0\0\x29\x04\xd0\0\0\x80\0".to_vec();
    record.extend((options.len() as u16).to_be_bytes());
    record.extend_from_slice(options);
    record
}

fn rejection(message: &[u8]) -> Rejection {
    match Query::parse(message) {
        Err(QueryError::Reject(rejected)) => rejected,
        other => panic!("not rejected: {other:?}"),
    }
}

#[test]
fn parses_a_simple_query() {
    let query = Query::parse(&message(0x0110, [1, 0, 0, 0], &[QUESTION])).expect("a query");
    assert_eq!(query.id, 0xabcd);
    assert!(query.recursion_desired && query.checking_disabled);
    assert_eq!(query.question.to_string(), "www.example. IN A");
    assert_eq!(query.question.qname, name("www.example"));
    assert_eq!(query.qname_as_sent, b"\x03wWw\x07example\0");
    assert_eq!(query.edns, None);
}

#[test]
fn parses_edns() {
    let opt = opt(b"\0\x08\0\x07\0\x01\x18\0\x0a\x01\x02\0\x03\0\0");
    let other = b"\xc0\x0c\0\x01\0\x01\0\0\0\0\0\x02ab";
    let wire = message(0, [1, 0, 0, 2], &[QUESTION, other, &opt, b"rest"]);
    let edns = Query::parse(&wire).expect("a query").edns.expect("an OPT record");
    assert_eq!(edns.payload, 1232);
    assert!(edns.dnssec_ok);
    let subnet = edns.client_subnet.expect("a client subnet");
    assert_eq!(subnet.network.to_string(), "10.1.2.0/24");
    assert_eq!(edns.option(OptionCode::NSID), Some(&[][..]));
}

#[test]
fn responses_and_short_messages_are_discarded() {
    let discarded = |message: &[u8]| match Query::parse(message) {
        Err(QueryError::Discard(reason)) => reason,
        other => panic!("not discarded: {other:?}"),
    };
    assert_eq!(discarded(b""), DiscardReason::TooShort);
    assert_eq!(discarded(&[0; 11]), DiscardReason::TooShort);
    assert_eq!(discarded(&message(0x8000, [1, 0, 0, 0], &[QUESTION])), DiscardReason::IsResponse);
}

#[test]
fn other_opcodes_are_not_implemented() {
    let rejected = rejection(&message(0x2100, [1, 1, 0, 0], &[QUESTION]));
    assert_eq!(rejected.rcode, Rcode::NOTIMP);
    assert_eq!(rejected.opcode, Opcode::NOTIFY);
    assert!(rejected.recursion_desired);
    assert!(rejected.question.is_some());
    let rejected = rejection(&message(0x2800, [1, 0, 0, 1], &[QUESTION, &opt(b"")]));
    assert!(rejected.edns && rejected.dnssec_ok);
    assert_eq!(rejection(&message(0x1000, [0; 4], &[])).rcode, Rcode::NOTIMP);
}

#[test]
fn malformed_questions_are_format_errors() {
    let long: Vec<u8> = b"\x01a".repeat(128);
    let bodies: [&[u8]; 6] = [
        b"",
        b"\x03ww",
        b"\xc0\x0c\0\x01\0\x01",
        b"\x40a\0\0\x01\0\x01",
        b"\x01a\0\0\x01\0",
        &[&long[..], b"\0\0\x01\0\x01"].concat(),
    ];
    for body in bodies {
        let rejected = rejection(&message(0, [1, 0, 0, 0], &[body]));
        assert_eq!((rejected.rcode, rejected.question), (Rcode::FORMERR, None));
    }
    for count in [0, 2] {
        let rejected = rejection(&message(0, [count, 0, 0, 0], &[QUESTION, QUESTION]));
        assert_eq!((rejected.rcode, rejected.question), (Rcode::FORMERR, None));
    }
}

#[test]
fn records_in_unexpected_sections_are_format_errors() {
    let record = b"\0\0\x01\0\x01\0\0\0\0\0\0";
    for counts in [[1, 1, 0, 0], [1, 0, 1, 0]] {
        let rejected = rejection(&message(0, counts, &[QUESTION, record]));
        assert_eq!(rejected.rcode, Rcode::FORMERR);
        assert!(rejected.question.is_some());
    }
    let ixfr = b"\x01a\0\0\xfb\0\x01";
    assert!(Query::parse(&message(0, [1, 0, 1, 0], &[ixfr, record])).is_ok());
    let opt_question = b"\x01a\0\0\x29\0\x01";
    let rejected = rejection(&message(0, [1, 0, 0, 0], &[opt_question]));
    assert_eq!(rejected.rcode, Rcode::FORMERR);
    // The counts exceed the number of records.
    let rejected = rejection(&message(0, [1, 0, 0, 65535], &[QUESTION, record]));
    assert_eq!(rejected.rcode, Rcode::FORMERR);
}

#[test]
fn malformed_edns_is_a_format_error_without_edns() {
    let valid = opt(b"");
    let mut with_owner = b"\x01a".to_vec();
    with_owner.extend(&valid);
    let cases: [(u16, Vec<u8>); 6] = [
        (2, [&valid[..], &valid].concat()),
        (1, with_owner),
        (1, opt(b"\0\x03\0")),
        (1, opt(b"\0\x03\0\x05ab")),
        (1, opt(b"\0\x08\0\x04\0\x01\x18\0")),
        (1, opt(b"\0\x08\0\x07\0\x01\x18\x18\x0a\x01\x02")),
    ];
    for (count, body) in cases {
        let rejected = rejection(&message(0, [1, 0, 0, count], &[QUESTION, &body]));
        assert_eq!(rejected.rcode, Rcode::FORMERR);
        assert!(rejected.question.is_some() && !rejected.edns, "{body:?}");
    }
    let rejected = rejection(&message(0, [1, 0, 1, 0], &[QUESTION, &valid]));
    assert_eq!((rejected.rcode, rejected.edns), (Rcode::FORMERR, false));
}

#[test]
fn other_edns_versions_are_badvers() {
    let record = b"\0\0\x29\x04\xd0\0\x01\x80\0\0\x01x";
    let rejected = rejection(&message(0, [1, 0, 0, 1], &[QUESTION, record]));
    assert_eq!(rejected.rcode, Rcode::BADVERS);
    assert!(rejected.edns && rejected.dnssec_ok);
}

proptest! {
    #[test]
    fn never_panics(
        flags in any::<u16>(),
        counts in any::<[u8; 4]>(),
        body in prop::collection::vec(prop_oneof![0u8..4, Just(41), Just(192), any::<u8>()], 0..80),
        with_question in any::<bool>(),
    ) {
        let counts = counts.map(|count| u16::from(count % 3));
        let question = if with_question { QUESTION } else { b"" };
        let _ = Query::parse(&message(flags, counts, &[question, &body]));
    }
}
