//! Tests of encoding. Every reply is decoded with `hickory_proto`.

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use proptest::prelude::*;

use super::*;
use crate::dns::code::{Class, Opcode};
use crate::dns::edns::Edns;
use crate::dns::name::{Name, tests::name};
use crate::dns::query::Question;
use crate::dns::rdata::Rdata;
use crate::dns::response::Response;

fn query(qname: &str, edns: bool) -> Query {
    let question = Question { qname: name(qname), qtype: RecordType::A, qclass: Class::IN };
    let mut qname_as_sent = question.qname.as_wire().to_ascii_uppercase();
    qname_as_sent[1].make_ascii_lowercase();
    Query {
        id: 0x1234,
        recursion_desired: true,
        checking_disabled: true,
        question,
        qname_as_sent,
        edns: edns.then(|| Edns { payload: 1232, dnssec_ok: true, client_subnet: None, options: Vec::new() }),
    }
}

fn set(owner: &str, rtype: RecordType, texts: &[&str]) -> RrSet {
    let rdatas: Vec<Rdata> =
        texts.iter().map(|text| Rdata::parse(rtype, text).expect("valid RDATA")).collect();
    RrSet::new(name(owner), rtype, 60, rdatas)
}

fn soa() -> RrSet {
    set("example.com", RecordType::SOA, &["ns.example.com. admin.example.com. 1 2 3 4 5"])
}

fn encoded(query: &Query, answer: &Answer, annotations: &Annotations) -> (Encoded, Vec<u8>) {
    let mut out = Vec::new();
    let encoded = encode(query, answer, annotations, 65535, 0, &mut out);
    assert_eq!(encoded.length, out.len());
    (encoded, out)
}

/// Decodes a message and asserts that no octets follow it.
fn decode(message: &[u8]) -> Message {
    let mut decoder = BinDecoder::new(message);
    let decoded = Message::read(&mut decoder).expect("a well-formed message");
    assert!(decoder.is_empty(), "octets after the message");
    decoded
}

/// Returns the records of the answer and authority sections in presentation form.
fn records(message: &[u8]) -> Vec<String> {
    let message = decode(message);
    let sections = message.answers.iter().chain(&message.authorities);
    sections.map(|record| record.to_string().to_ascii_lowercase()).collect()
}

/// Returns the codes of the options in the OPT record at the end of the message, in order.
fn option_codes(message: &[u8], options_length: usize) -> Vec<u16> {
    let mut data = &message[message.len() - options_length..];
    let mut codes = Vec::new();
    while let [a, b, c, d, rest @ ..] = data {
        codes.push(u16::from_be_bytes([*a, *b]));
        data = &rest[usize::from(u16::from_be_bytes([*c, *d]))..];
    }
    codes
}

#[test]
fn the_header_is_written_and_the_question_is_echoed() {
    let query = query("www.example.com", true);
    let answer = Answer::noerror(vec![set("www.example.com", RecordType::A, &["10.0.0.1"])]);
    let (summary, out) = encoded(&query, &answer, &Annotations::default());
    // CD is copied from the query (RFC 4035 3.2.2).
    assert_eq!(&out[..12], b"\x12\x34\x81\x90\0\x01\0\x01\0\0\0\x01");
    assert_eq!(&out[12..29], &query.qname_as_sent[..]);
    assert_eq!(&out[33..35], b"\xc0\x0c");
    assert_eq!(summary.answers, 1);
    let message = decode(&out);
    assert_eq!(message.metadata.message_type, MessageType::Response);
    assert!(message.metadata.recursion_desired && message.metadata.recursion_available);
    let edns = message.edns.expect("an OPT record");
    assert_eq!((edns.max_payload(), edns.version()), (4096, 0));
    assert!(edns.flags().dnssec_ok);
}

#[test]
fn owner_names_are_compressed_regardless_of_case() {
    let query = query("www.example.com", false);
    let answer = Answer {
        authority: vec![soa()],
        ..Answer::noerror(vec![
            set("www.example.com", RecordType::CNAME, &["a.b.example.com."]),
            set("a.b.example.com", RecordType::MX, &["1 mx.b.example.com.", "2 www.example.com."]),
            set("a.b.example.com", RecordType::SRV, &["1 2 3 www.example.com."]),
            set("a.b.example.com", RecordType::PTR, &["."]),
        ])
    };
    let (_, out) = encoded(&query, &answer, &Annotations::default());
    let expected = [
        "www.example.com. 60 in cname a.b.example.com.",
        "a.b.example.com. 60 in mx 1 mx.b.example.com.",
        "a.b.example.com. 60 in mx 2 www.example.com.",
        "a.b.example.com. 60 in srv 1 2 3 www.example.com.",
        "a.b.example.com. 60 in ptr .",
        "example.com. 60 in soa ns.example.com. admin.example.com. 1 2 3 4 5",
    ];
    assert_eq!(records(&out), expected);
    // Three occurrences: the question, in upper case; the CNAME's target, since names in data never point to
    // the question; and the SRV's target, which is not compressed.
    let lower = out.to_ascii_lowercase();
    let count = lower.windows(7).filter(|window| *window == b"example").count();
    assert_eq!(count, 3);
}

/// RFC 4343 4.1: names in data keep their own case, regardless of that of the question.
#[test]
fn compression_preserves_the_case_of_names_in_data() {
    let query = query("www.example.com", false);
    let raw = |rtype, data: &[&[u8]]| {
        let rdatas: Vec<Rdata> = data.iter().map(|wire| Rdata::from_wire(wire)).collect();
        RrSet::new(name("www.example.com"), rtype, 60, rdatas)
    };
    let mx: [&[u8]; 4] = [
        b"\0\x01\x02mx\x07example\x03com\0",
        b"\0\x02\x02mx\x07Example\x03COM\0",
        b"\0\x03\x01a\x02mx\x07Example\x03COM\0",
        b"\0\x04\x01b\x02mx\x07example\x03com\0",
    ];
    let answer = Answer::noerror(vec![raw(RecordType::MX, &mx)]);
    let (_, out) = encoded(&query, &answer, &Annotations::default());
    let seen: Vec<Vec<u8>> = Response::parse(&out).unwrap().answer[0]
        .rdatas
        .iter()
        .map(|rdata| rdata.as_wire().to_vec())
        .collect();
    assert_eq!(seen, mx);
    // The last two point to the first two.
    let uncompressed = out.to_ascii_lowercase().windows(7).filter(|window| *window == b"example").count();
    assert_eq!(uncompressed, 3);
}

#[test]
fn malformed_data_is_copied_unchanged() {
    let query = query("www.example.com", false);
    let broken = RrSet::new(
        name("www.example.com"),
        RecordType::SOA,
        60,
        vec![Rdata::from_wire(b"\x03ww"), Rdata::from_wire(b"\0\0abc")],
    );
    let (_, out) = encoded(&query, &Answer::noerror(vec![broken]), &Annotations::default());
    assert!(out.ends_with(b"\0\x05\0\0abc"));
}

#[test]
fn each_rrset_is_rotated() {
    let query = query("www.example.com", false);
    let set = set("www.example.com", RecordType::A, &["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    let mut out = b"before".to_vec();
    encode(&query, &Answer::noerror(vec![set]), &Annotations::default(), 512, 4, &mut out);
    assert!(out.starts_with(b"before"));
    let ends: Vec<String> = records(&out[6..]);
    assert!(ends[0].ends_with("10.0.0.2") && ends[2].ends_with("10.0.0.1"));
}

#[test]
fn annotations_require_edns() {
    let annotations = Annotations {
        recursion_denied: false,
        edes: vec![Ede::new(Ede::OTHER, "x")],
        option: Some((65001, b"y".to_vec())),
        client_subnet: Some(ClientSubnet { network: "10.1.0.0/16".parse().expect("a network") }),
    };
    let answer = Answer::nxdomain(soa()).with_ede(Ede::new(Ede::BLOCKED, ""));
    let (_, out) = encoded(&query("www.example.com", false), &answer, &annotations);
    assert!(decode(&out).edns.is_none());
    let (summary, out) = encoded(&query("www.example.com", true), &answer, &annotations);
    decode(&out);
    let options = [6, 7, 5, 4 + 6].iter().sum();
    assert_eq!(option_codes(&out, options), [15, 15, 65001, 8]);
    assert!(out.ends_with(&[0, 1, 16, 16, 10, 1]));
    assert_eq!(summary.dropped_annotations, 0);
}

#[test]
fn annotations_are_dropped_in_order() {
    let query = query("www.example.com", true);
    let annotations = Annotations {
        recursion_denied: false,
        edes: (1..4).map(|code| Ede::new(code, "0123")).collect(),
        option: Some((65001, b"012345".to_vec())),
        client_subnet: None,
    };
    let answer = Answer::noerror(Vec::new()).with_ede(Ede::new(0, "0123"));
    let bare = 12 + 17 + 4 + 11;
    // Each option takes ten octets.
    for (fits, expected) in [
        (5, &[15, 15, 15, 15, 65001][..]),
        (4, &[15, 15, 15, 65001]),
        (3, &[15, 15, 65001]),
        (2, &[15, 15]),
        (1, &[15]),
        (0, &[]),
    ] {
        let mut out = Vec::new();
        let limit = bare + 10 * fits + 9;
        let summary = encode(&query, &answer, &annotations, limit, 0, &mut out);
        assert_eq!(option_codes(&out, 10 * fits), expected);
        assert_eq!(summary.dropped_annotations, 5 - fits);
        assert!(!summary.truncated);
        decode(&out);
    }
    let mut out = b"before".to_vec();
    let summary = encode(&query, &answer, &annotations, bare - 1, 0, &mut out);
    assert_eq!((summary, &out[..]), (Encoded::default(), &b"before"[..]));
}

#[test]
fn truncation_omits_whole_rrsets_from_the_first_that_does_not_fit() {
    let query = query("www.example.com", false);
    let many: Vec<String> = (0..40).map(|i| format!("10.0.0.{i}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let answer = Answer {
        authority: vec![soa()],
        ..Answer::noerror(vec![
            set("www.example.com", RecordType::CNAME, &["a.example.com."]),
            set("a.example.com", RecordType::A, &many),
            set("a.example.com", RecordType::A, &["10.0.0.1"]),
        ])
    };
    let mut out = Vec::new();
    let summary = encode(&query, &answer, &Annotations::default(), 512, 0, &mut out);
    assert!(summary.truncated);
    assert_eq!(summary.answers, 1);
    assert!(decode(&out).metadata.truncation);
    assert_eq!(records(&out).len(), 1);
}

#[test]
fn tcp_messages_are_filled() {
    let query = query("www.example.com", true);
    let targets: Vec<Rdata> =
        (0..3000).map(|i| Rdata::from_name(&name(&format!("h{i}.z{}.example.com", i % 7)))).collect();
    let set = RrSet::new(name("www.example.com"), RecordType::PTR, 60, targets.clone());
    let (summary, out) = encoded(&query, &Answer::noerror(vec![set]), &Annotations::default());
    assert!(!summary.truncated);
    assert!(out.len() > 0x8000);
    let message = decode(&out);
    assert_eq!(message.answers.len(), 3000);
    assert!(records(&out)[2999].ends_with("ptr h2999.z3.example.com."));
    let twice = RrSet::new(name("www.example.com"), RecordType::PTR, 60, [&targets[..], &targets].concat());
    let (summary, out) = encoded(&query, &Answer::noerror(vec![twice]), &Annotations::default());
    assert!(summary.truncated);
    assert_eq!(decode(&out).answers.len(), 0);
}

#[test]
fn extended_rcodes_require_edns() {
    let answer = Answer::empty(Rcode::BADCOOKIE);
    let (_, out) = encoded(&query("a.example", true), &answer, &Annotations::default());
    assert_eq!(decode(&out).metadata.response_code, ResponseCode::BADCOOKIE);
    let (_, out) = encoded(&query("a.example", false), &answer, &Annotations::default());
    assert_eq!(decode(&out).metadata.response_code, ResponseCode::ServFail);
}

#[test]
fn rejections_are_encoded() {
    let mut rejection = Rejection {
        checking_disabled: false,
        id: 7,
        opcode: Opcode::QUERY,
        recursion_desired: false,
        rcode: Rcode::BADVERS,
        question: Some((b"\x03WwW\0".to_vec(), RecordType::A, Class::IN)),
        edns: true,
        dnssec_ok: true,
    };
    let mut out = Vec::new();
    encode_rejection(&rejection, &mut out);
    let message = decode(&out);
    assert_eq!(u16::from(message.metadata.response_code), 16);
    assert!(message.edns.expect("an OPT record").flags().dnssec_ok);
    assert_eq!(&out[12..17], b"\x03WwW\0");
    rejection =
        Rejection { opcode: Opcode::UPDATE, rcode: Rcode::NOTIMP, question: None, edns: false, ..rejection };
    out.clear();
    encode_rejection(&rejection, &mut out);
    // RA is clear: recursion is not available for a message that is not a query.
    assert_eq!(out, b"\0\x07\xa8\x04\0\0\0\0\0\0\0\0");
    // RD and CD are copied only for opcode QUERY.
    let flags = |rejection: Rejection| {
        let mut out = Vec::new();
        encode_rejection(&rejection, &mut out);
        u16::from_be_bytes([out[2], out[3]])
    };
    let with_flags = Rejection { recursion_desired: true, checking_disabled: true, ..rejection };
    assert_eq!(flags(with_flags.clone()), 0xa804);
    let malformed = Rejection { opcode: Opcode::QUERY, rcode: Rcode::FORMERR, ..with_flags.clone() };
    assert_eq!(flags(malformed), 0x8111);
    let bad_version = Rejection { opcode: Opcode::QUERY, rcode: Rcode::BADVERS, edns: true, ..with_flags };
    assert_eq!(flags(bad_version), 0x8190);
}

#[test]
fn udp_limits() {
    assert_eq!(udp_limit(Some(1232), 4096), 1232);
    assert_eq!(udp_limit(Some(1232), 1000), 1000);
    assert_eq!(udp_limit(Some(1232), 100), 512);
    assert_eq!(udp_limit(Some(100), 4096), 512);
    assert_eq!(udp_limit(None, 4096), 512);
}

fn any_set() -> impl Strategy<Value = RrSet> {
    let owner = prop_oneof![
        Just("www.example.com"),
        Just("A.example.com"),
        Just("."),
        Just("deep.under.a.example.com")
    ];
    let data = prop_oneof![
        (1usize..60).prop_map(|n| (RecordType::A, vec![Rdata::a([10, 0, 0, 1].into()); n])),
        (1usize..400).prop_map(|n| (RecordType::TXT, vec![Rdata::txt(&[&"x".repeat(n)])])),
        (0u8..30).prop_map(|n| {
            let target = name(&format!("h{n}.Other.example.com"));
            (RecordType::CNAME, vec![Rdata::from_name(&target)])
        }),
        (0u8..30).prop_map(|n| {
            let target = name(&format!("m{n}.example.com"));
            let wire = [&[0, n][..], target.as_wire()].concat();
            (RecordType::MX, vec![Rdata::from_wire(&wire); 3])
        }),
        Just((RecordType::SOA, soa().rdatas.to_vec())),
    ];
    (owner, data).prop_map(|(owner, (rtype, rdatas))| RrSet::new(name(owner), rtype, 60, rdatas))
}

fn any_annotations() -> impl Strategy<Value = Annotations> {
    let ede = ("[a-z]{0,90}", 0u16..30).prop_map(|(text, code)| Ede::new(code, text));
    let option = prop::option::of((Just(65001u16), prop::collection::vec(any::<u8>(), 0..300)));
    (prop::collection::vec(ede, 0..5), option).prop_map(|(edes, option)| Annotations {
        recursion_denied: false,
        edes,
        option,
        client_subnet: None,
    })
}

/// Returns the owner and data of each record that `sets` encode to, in the form of [`decoded`].
fn expected(sets: &[RrSet], rotation: usize) -> Vec<(Name, Vec<u8>)> {
    sets.iter()
        .flat_map(|set| {
            set.rotated(rotation).map(|rdata| (set.owner.clone(), rdata.as_wire().to_ascii_lowercase()))
        })
        .collect()
}

fn decoded(message: &Message) -> Vec<(Name, Vec<u8>)> {
    use hickory_proto::serialize::binary::{BinEncodable, BinEncoder, NameEncoding};
    let sections = message.answers.iter().chain(&message.authorities);
    sections
        .map(|record| {
            let mut wire = Vec::new();
            let mut encoder = BinEncoder::new(&mut wire);
            encoder.set_name_encoding(NameEncoding::Uncompressed);
            record.data.emit(&mut encoder).expect("valid RDATA");
            // A name that is a pointer to the question has the case of the question.
            (name(&record.name.to_ascii()), wire.to_ascii_lowercase())
        })
        .collect()
}

proptest! {
    #[test]
    fn replies_stay_within_their_limit(
        answer in prop::collection::vec(any_set(), 0..6),
        authority in prop::collection::vec(any_set(), 0..2),
        annotations in any_annotations(),
        ede in any::<bool>(),
        subnet in any::<bool>(),
        edns in any::<bool>(),
        limit in prop_oneof![512usize..1500, 512usize..70000],
        rotation in any::<usize>(),
    ) {
        let query = query("www.example.com", edns);
        let answer = Answer {
            answer,
            authority,
            ede: ede.then(|| Ede::new(Ede::OTHER, "reason")),
            ..Answer::empty(Rcode::NOERROR)
        };
        let client_subnet = subnet.then(|| ClientSubnet {
            network: "10.1.0.0/16".parse().unwrap(),
        });
        let plain = Annotations { client_subnet, ..Annotations::default() };
        let annotations = Annotations { client_subnet, ..annotations };
        let (mut annotated, mut bare) = (Vec::new(), Vec::new());
        let summary = encode(&query, &answer, &annotations, limit, rotation, &mut annotated);
        let plain_summary = encode(&query, &answer, &plain, limit, rotation, &mut bare);

        prop_assert!(annotated.len() <= limit);
        let (annotated, bare) = (decode(&annotated), decode(&bare));
        prop_assert_eq!(&annotated.answers, &bare.answers);
        prop_assert_eq!(&annotated.authorities, &bare.authorities);
        prop_assert_eq!(annotated.metadata.truncation, bare.metadata.truncation);
        prop_assert_eq!(summary.truncated, plain_summary.truncated);
        prop_assert_eq!(summary.truncated, annotated.metadata.truncation);
        prop_assert_eq!(annotated.edns.is_some(), edns);
        prop_assert_eq!(annotated.answers.len(), usize::from(summary.answers));

        let mut full = expected(&answer.answer, rotation);
        full.extend(expected(&answer.authority, rotation));
        let found = decoded(&annotated);
        prop_assert_eq!(&found[..], &full[..found.len()]);
        prop_assert_eq!(summary.truncated, found.len() < full.len());
    }
}

#[test]
fn a_layout_has_the_offsets_of_records_and_ageing_ttls() {
    let mut ageing = set("b.example", RecordType::A, &["10.0.0.1", "10.0.0.2"]);
    ageing.ages = true;
    let cname = set("a.example", RecordType::CNAME, &["b.example."]);
    let mut soa = soa();
    soa.ages = true;
    let answer = Answer { authority: vec![soa], ..Answer::noerror(vec![cname, ageing]) };
    let (mut layout, mut out) = (ReplyLayout::default(), b"earlier content".to_vec());
    let before = out.len();
    let query = query("a.example", true);
    encode_with_layout(&query, &answer, &Annotations::default(), 65_535, 0, &mut layout, &mut out);
    let reply = &out[before..];
    assert_eq!(layout.question, b"\x01a\x07example\0".len() + 4);
    assert_eq!(
        layout.sets.iter().map(|set| (set.records, set.is_rotatable)).collect::<Vec<_>>(),
        [(1, false), (2, true), (1, false)]
    );
    for (at, octet) in layout.record_starts[1..3].iter().zip([1, 2]) {
        let at = usize::from(*at);
        assert_eq!(&reply[at..at + 4], [0xc0, reply[at + 1], 0, 1], "an owner that is a pointer, type A");
        assert_eq!(reply[at + 12..at + 16], [10, 0, 0, octet]);
    }
    assert_eq!(layout.ageing_ttls.len(), 3);
    for at in &layout.ageing_ttls {
        let ttl = reply[usize::from(*at)..][..4].try_into().map(u32::from_be_bytes).unwrap();
        assert_eq!(ttl, answer.answer[1].ttl);
    }
    assert_eq!(layout.sets[2].end, layout.records_end);
    assert_eq!(reply.len(), layout.records_end + OPT_LENGTH);
}
