use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::dns::name::tests::name;
use crate::dns::{Annotations, Answer, Edns, Query, Question, encode};

/// Returns a header with these flags and counts.
fn header(flags: u16, counts: [u16; 4]) -> Vec<u8> {
    let [questions, answers, authorities, additionals] = counts;
    [7, flags, questions, answers, authorities, additionals]
        .iter()
        .flat_map(|word| word.to_be_bytes())
        .collect()
}

fn record(owner: &[u8], rtype: RecordType, ttl: u32, data: &[u8]) -> Vec<u8> {
    let mut wire = owner.to_vec();
    wire.extend(rtype.0.to_be_bytes());
    wire.extend(1u16.to_be_bytes());
    wire.extend(ttl.to_be_bytes());
    wire.extend((data.len() as u16).to_be_bytes());
    wire.extend(data);
    wire
}

/// Returns a response to `a.example A` with these records in the answer section.
fn response_with(records: &[Vec<u8>]) -> Vec<u8> {
    let mut message = header(QR, [1, records.len() as u16, 0, 0]);
    message.extend(b"\x01a\x07example\x00\x00\x01\x00\x01");
    message.extend(records.concat());
    message
}

#[test]
fn names_in_rdata_are_decompressed_and_keep_the_servers_case() {
    let message = response_with(&[
        record(b"\xc0\x0c", RecordType::CNAME, 60, b"\x01B\xc0\x0e"),
        record(b"\x01b\xc0\x0e", RecordType::MX, 60, b"\x00\x0a\x02mx\xc0\x0c"),
        record(b"\x01b\xc0\x0e", RecordType::SRV, 60, b"\0\x01\0\x02\0\x35\xc0\x0e"),
    ]);
    let response = Response::parse(&message).unwrap();
    let wire = |index: usize| response.answer[index].rdatas[0].as_wire().to_vec();
    assert_eq!(wire(0), b"\x01B\x07example\0");
    assert_eq!(wire(1), b"\x00\x0a\x02mx\x01a\x07example\0");
    assert_eq!(wire(2), b"\0\x01\0\x02\0\x35\x07example\0");
    assert_eq!(response.answer[1].owner, name("b.example"));
}

/// Labels taken from the question have the case of the query, which is not the server's.
#[test]
fn the_case_of_the_question_does_not_leak_into_data() {
    let mut message = header(QR, [1, 2, 0, 0]);
    message.extend(b"\x01A\x07eXaMpLe\x00\x00\x01\x00\x01");
    message.extend(record(b"\xc0\x0c", RecordType::CNAME, 60, b"\x04Host\xc0\x0e"));
    message.extend(record(b"\x04Host\xc0\x0e", RecordType::PTR, 60, b"\x03Mx1\x07ExAmPlE\0"));
    let response = Response::parse(&message).unwrap();
    assert_eq!(response.answer[0].rdatas[0].as_wire(), b"\x04Host\x07example\0");
    assert_eq!(response.answer[1].rdatas[0].as_wire(), b"\x03Mx1\x07ExAmPlE\0");
}

/// RFC 3597 4: old servers compress the names in these types.
#[test]
fn data_of_old_types_is_decompressed() {
    let fixed = [7u8; 18];
    let cases: [(u16, Vec<u8>, Vec<u8>); 12] = [
        (3, b"\x01M\xc0\x0e".to_vec(), b"\x01M\x07example\0".to_vec()),
        (4, b"\xc0\x0e".to_vec(), b"\x07example\0".to_vec()),
        (7, b"\xc0\x0c".to_vec(), b"\x01a\x07example\0".to_vec()),
        (8, b"\xc0\x0e".to_vec(), b"\x07example\0".to_vec()),
        (9, b"\xc0\x0e".to_vec(), b"\x07example\0".to_vec()),
        (14, b"\xc0\x0c\x01e\xc0\x0e".to_vec(), b"\x01a\x07example\0\x01e\x07example\0".to_vec()),
        (17, b"\xc0\x0c\xc0\x0e".to_vec(), b"\x01a\x07example\0\x07example\0".to_vec()),
        (18, b"\0\x01\xc0\x0e".to_vec(), b"\0\x01\x07example\0".to_vec()),
        (21, b"\0\x01\xc0\x0e".to_vec(), b"\0\x01\x07example\0".to_vec()),
        (24, [&fixed[..], b"\xc0\x0esig"].concat(), [&fixed[..], b"\x07example\0sig"].concat()),
        (26, b"\0\x01\xc0\x0e\xc0\x0c".to_vec(), b"\0\x01\x07example\0\x01a\x07example\0".to_vec()),
        (30, b"\xc0\x0e\x40\0".to_vec(), b"\x07example\0\x40\0".to_vec()),
    ];
    for (number, sent, expected) in cases {
        let rtype = RecordType(number);
        let mut message = header(QR, [1, 1, 0, 0]);
        message.extend(b"\x01a\x07example\x00");
        message.extend(number.to_be_bytes());
        message.extend(b"\x00\x01");
        message.extend(record(b"\xc0\x0c", rtype, 60, &sent));
        let response = Response::parse(&message).unwrap();
        assert_eq!(response.answer[0].rdatas[0].as_wire(), expected, "{rtype}");
        // It is not compressed when it is encoded for a client.
        let mut out = Vec::new();
        let question = Question { qname: name("a.example"), qtype: rtype, qclass: Class::IN };
        let query = Query {
            id: 9,
            recursion_desired: true,
            checking_disabled: false,
            question,
            qname_as_sent: b"\x01a\x07example\0".to_vec(),
            edns: None,
        };
        encode(&query, &Answer::noerror(response.answer), &Annotations::default(), 512, 0, &mut out);
        assert!(out.ends_with(&expected), "{rtype}");
    }
    // In other types, data after the last name is malformed.
    let mut message = header(QR, [1, 1, 0, 0]);
    message.extend(b"\x01a\x07example\x00\0\x07\0\x01");
    message.extend(record(b"\xc0\x0c", RecordType::MB, 60, b"\xc0\x0ex"));
    assert_eq!(Response::parse(&message), Err(ResponseError::Rdata(RecordType::MB)));
}

#[test]
fn unrelated_records_do_not_answer_the_question() {
    let answers = |records: &[Vec<u8>]| Response::parse(&response_with(records)).unwrap().answers_question();
    let address = |owner: &[u8]| record(owner, RecordType::A, 60, &[192, 0, 2, 1]);
    assert!(answers(&[address(b"\xc0\x0c")]));
    assert!(answers(&[record(b"\xc0\x0c", RecordType::CNAME, 60, b"\x01b\0")]));
    assert!(answers(&[record(b"\xc0\x0e", RecordType::DNAME, 60, b"\x01b\0")]));
    assert!(answers(&[address(b"\x01b\xc0\x0e"), address(b"\xc0\x0c")]));
    assert!(answers(&[]), "a denial without an SOA record");
    assert!(!answers(&[address(b"\x01b\xc0\x0e")]), "another owner");
    assert!(!answers(&[record(b"\xc0\x0c", RecordType::TXT, 60, b"\x01b")]), "another type");
    assert!(
        !answers(&[record(b"\xc0\x0c", RecordType::DNAME, 60, b"\x01b\0")]),
        "a DNAME at the name itself"
    );
    assert!(
        !answers(&[record(b"\xc0\x0c", RecordType::RRSIG, 60, b"anything")]),
        "omitted from the answer, but present"
    );
    // An SOA record above the name makes it a negative answer.
    let soa = record(b"\xc0\x0e", RecordType::SOA, 60, &[&[0, 0][..], &[0; 20]].concat());
    let mut message = response_with(&[address(b"\x01b\xc0\x0e")]);
    message[9] = 1;
    message.extend(soa);
    assert!(Response::parse(&message).unwrap().answers_question());
}

#[test]
fn extended_errors_are_bounded() {
    let option = |data: &[u8]| [&[0, 15, 0, data.len() as u8][..], data].concat();
    let edes_of = |options: &[u8]| {
        let mut message = header(QR | 2, [0, 0, 0, 1]);
        message.extend(b"\0\0\x29\x04\xd0\0\0\0\0");
        message.extend((options.len() as u16).to_be_bytes());
        message.extend(options);
        Response::parse(&message).unwrap().edes
    };
    assert_eq!(edes_of(&option(b"\0\x06no \x1b[31mproof\n")), [Ede::new(6, "no [31mproof")]);
    assert_eq!(edes_of(&option(b"\0\x0f")), [Ede::new(15, "")]);
    // Too short, truncated, duplicated, and among other options.
    assert_eq!(edes_of(&option(b"\x06")), []);
    assert_eq!(edes_of(&[0, 15, 0, 9, 0, 6]), []);
    let twice = [option(b"\0\x06"), vec![0, 10, 0, 1, 7], option(b"\0\x06"), option(b"\0\x11")].concat();
    assert_eq!(edes_of(&twice), [Ede::new(6, ""), Ede::new(17, "")]);
    let many: Vec<u8> = (0..9).flat_map(|code| option(&[0, code])).collect();
    assert_eq!(edes_of(&many).len(), Ede::MAX_UPSTREAM);
    // Each invalid octet is replaced by three octets, and the text stays within its bound.
    let long = Ede::parse(&[&[0, 0][..], &[0xff; 4000]].concat()).unwrap();
    assert!(long.text.len() <= Ede::MAX_UPSTREAM_TEXT && long.text.starts_with('\u{fffd}'));
}

/// RFC 2308 2.1 and 2.2: a negative answer may have NS records, with or without an SOA record.
#[test]
fn only_noerror_without_an_soa_record_is_a_referral() {
    let servers = || record(b"\xc0\x0e", RecordType::NS, 60, b"\x02ns\xc0\x0e");
    let soa = || record(b"\xc0\x0e", RecordType::SOA, 60, &[&[0, 0][..], &[0; 20]].concat());
    for (rcode, records, expected) in [
        (Rcode::NOERROR, vec![servers()], vec![RecordType::NS]),
        (Rcode::NOERROR, vec![servers(), soa()], vec![RecordType::SOA]),
        (Rcode::NXDOMAIN, vec![servers(), soa()], vec![RecordType::SOA]),
        (Rcode::NXDOMAIN, vec![servers()], vec![]),
    ] {
        let mut message = header(QR | rcode.0, [1, 0, records.len() as u16, 0]);
        message.extend(b"\x01a\x07example\x00\x00\x01\x00\x01");
        message.extend(records.concat());
        let response = Response::parse(&message).unwrap();
        let seen: Vec<RecordType> = response.authority.iter().map(|set| set.rtype).collect();
        assert_eq!((response.rcode, seen), (rcode, expected));
    }
}

#[test]
fn rrsets_have_the_smallest_ttl_of_their_records() {
    let message = response_with(&[
        record(b"\xc0\x0c", RecordType::A, 60, &[10, 0, 0, 1]),
        record(b"\xc0\x0c", RecordType::RRSIG, 60, b"anything"),
        record(b"\x01A\xc0\x0e", RecordType::A, 5, &[10, 0, 0, 2]),
        record(b"\xc0\x0c", RecordType::TXT, u32::MAX, b"\x01a"),
    ]);
    let response = Response::parse(&message).unwrap();
    let seen: Vec<_> = response.answer.iter().map(|set| (set.rtype, set.ttl, set.rdatas.len())).collect();
    assert_eq!(seen, [(RecordType::A, 5, 2), (RecordType::TXT, 604_800, 1)]);
}

/// RFC 8767 section 4 updates RFC 2181 section 8: the most significant bit has no special meaning.
#[test]
fn ttls_are_positive_numbers_and_capped() {
    for (sent, expected) in [(0, 0), (1, 1), (604_800, 604_800), (604_801, 604_800), (1 << 31, 604_800)] {
        let message = response_with(&[record(b"\xc0\x0c", RecordType::A, sent, &[10, 0, 0, 1])]);
        assert_eq!(Response::parse(&message).unwrap().answer[0].ttl, expected, "{sent}");
    }
}

/// RFC 2308 section 5: the TTL of a negative answer is the smaller of the SOA record's TTL and MINIMUM field.
#[test]
fn the_ttl_of_an_soa_record_is_at_most_its_minimum() {
    for (ttl, minimum, expected) in [(900, 20, 20), (20, 900, 20), (0, 900, 0), (900, 1 << 31, 900)] {
        let data = [&[0, 0][..], &[0; 16], &u32::to_be_bytes(minimum)].concat();
        let mut message = header(QR | Rcode::NXDOMAIN.0, [1, 0, 1, 0]);
        message.extend(b"\x01a\x07example\x00\x00\x01\x00\x01");
        message.extend(record(b"\xc0\x0e", RecordType::SOA, ttl, &data));
        assert_eq!(Response::parse(&message).unwrap().authority[0].ttl, expected, "{ttl} {minimum}");
    }
}

#[test]
fn malformed_messages_are_errors() {
    let one = |rtype, data: &[u8]| Response::parse(&response_with(&[record(b"\xc0\x0c", rtype, 1, data)]));
    assert_eq!(one(RecordType::A, &[1, 2, 3]), Err(ResponseError::Rdata(RecordType::A)));
    assert_eq!(one(RecordType::CNAME, b"\x01b\0x"), Err(ResponseError::Rdata(RecordType::CNAME)));
    // A pointer to itself, and a forward pointer.
    assert_eq!(one(RecordType::CNAME, b"\xc0\x27"), Err(ResponseError::Rdata(RecordType::CNAME)));
    assert_eq!(one(RecordType::CNAME, b"\xc0\x40"), Err(ResponseError::Rdata(RecordType::CNAME)));
    // A pointer loop.
    assert_eq!(one(RecordType::CNAME, b"\x01b\xc0\x27"), Err(ResponseError::Rdata(RecordType::CNAME)));
    assert_eq!(Response::parse(&[0; 11]), Err(ResponseError::TooShort));
    assert_eq!(Response::parse(&header(0, [0; 4])), Err(ResponseError::NotAResponse));
    assert_eq!(Response::parse(&header(QR, [2, 0, 0, 0])), Err(ResponseError::MultipleQuestions));
    assert_eq!(Response::parse(&header(QR, [0, 65_535, 0, 0])), Err(ResponseError::Malformed));
}

#[test]
fn many_owners_are_parsed_quickly() {
    let mut records = Vec::new();
    for index in 0..5000u16 {
        let owner = [&[2][..], &index.to_be_bytes(), b"\xc0\x0c"].concat();
        records.push(record(&owner, RecordType::TXT, 1, b"\0"));
    }
    assert!(Response::parse(&response_with(&records)).unwrap().answer.len() > 3000);
}

#[test]
fn the_rcode_includes_the_extended_bits() {
    let mut message = header(QR | 1, [0, 0, 0, 1]);
    message.extend(b"\0\0\x29\x04\xd0\x01\0\x80\0\0\0");
    let response = Response::parse(&message).unwrap();
    assert_eq!((response.rcode.0, response.has_edns), (17, true));
}

fn rrset() -> impl Strategy<Value = RrSet> {
    let types = prop_oneof![
        Just((RecordType::A, "192.0.2.1", "192.0.2.2")),
        Just((RecordType::AAAA, "2001:db8::1", "2001:db8::2")),
        Just((RecordType::MX, "10 mx.a.example", "20 b.example")),
        Just((RecordType::CNAME, "c.example", "d.example")),
        Just((RecordType::SRV, "1 2 53 a.example", "1 2 54 b.example")),
        Just((RecordType::TXT, "\"a\" \"b\"", "c")),
        Just((RecordType::HTTPS, "1 . alpn=h2", "0 a.example")),
        Just((RecordType::NAPTR, "1 2 \"s\" \"x\" \"\" a.example", "2 2 \"s\" \"x\" \"\" .")),
        Just((RecordType::SOA, "a.example b.example 1 2 3 4 5", "a. b. 1 2 3 4 5")),
    ];
    let owner = prop_oneof![Just("a.example"), Just("b.a.example"), Just("."), Just("z")];
    (types, owner, 0..10_000u32).prop_map(|((rtype, first, second), owner, ttl)| {
        let rdatas: Vec<Rdata> =
            [first, second].iter().map(|text| Rdata::parse(rtype, text).unwrap()).collect();
        RrSet::new(Name::parse(owner).unwrap(), rtype, ttl, rdatas)
    })
}

proptest! {
    #[test]
    fn parsing_any_octets_never_panics(octets in vec(any::<u8>(), 0..600)) {
        let _ = Response::parse(&octets);
    }

    #[test]
    fn parsing_any_octets_after_a_header_never_panics(
        octets in vec(any::<u8>(), 0..600),
        counts in any::<[u8; 4]>(),
    ) {
        let mut message = header(QR, counts.map(|count| u16::from(count) & 3));
        message.extend(octets);
        let _ = Response::parse(&message);
    }

    #[test]
    fn parsing_a_truncated_or_modified_response_never_panics(
        sets in vec(rrset(), 0..5),
        cut in 0..400usize,
        at in 0..400usize,
        octet in any::<u8>(),
    ) {
        let mut message = encoded(sets);
        message.truncate(cut);
        if let Some(target) = message.get_mut(at) {
            *target = octet;
        }
        let _ = Response::parse(&message);
    }

    #[test]
    fn encoded_replies_parse_to_the_same_records(sets in vec(rrset(), 0..6)) {
        let mut distinct: Vec<RrSet> = Vec::new();
        for set in sets {
            if !distinct.iter().any(|other| other.owner == set.owner && other.rtype == set.rtype) {
                distinct.push(set);
            }
        }
        let response = Response::parse(&encoded(distinct.clone())).unwrap();
        prop_assert_eq!(response.answer, distinct);
        prop_assert_eq!(response.question, Some((b"\x01A\x07eXample\0".to_vec(), RecordType::A, Class::IN)));
        prop_assert!(response.has_edns && !response.truncated && response.id == 9);
    }
}

fn encoded(sets: Vec<RrSet>) -> Vec<u8> {
    let question = Question { qname: name("a.example"), qtype: RecordType::A, qclass: Class::IN };
    let query = Query {
        id: 9,
        recursion_desired: true,
        checking_disabled: false,
        question,
        qname_as_sent: b"\x01A\x07eXample\0".to_vec(),
        edns: Some(Edns { payload: 1232, dnssec_ok: false, client_subnet: None, options: Vec::new() }),
    };
    let mut message = Vec::new();
    encode(&query, &Answer::noerror(sets), &Annotations::default(), 65_535, 0, &mut message);
    message
}
