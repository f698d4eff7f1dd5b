//! Tests of RDATA in wire, presentation and generic form, with `hickory_proto` as the reference.

use hickory_proto::rr::{RData, RecordType as HickoryType};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder, NameEncoding};
use proptest::prelude::*;

use super::*;
use crate::dns::name::tests::name;

/// Inline and heap storage are indistinguishable from outside.
#[test]
fn data_of_any_length_is_preserved() {
    for length in [0, 1, INLINE_OCTETS - 1, INLINE_OCTETS, INLINE_OCTETS + 1, 255] {
        let wire: Vec<u8> = (0..length).map(|octet| octet as u8).collect();
        let rdata = Rdata::from_wire(&wire);
        assert_eq!(rdata.as_wire(), wire);
        assert_eq!(rdata, Rdata::from(wire));
        assert_ne!(rdata, Rdata::from_wire(&vec![1; length + 1]));
    }
    assert_eq!(size_of::<Rdata>(), size_of::<Vec<u8>>());
}

const SAMPLES: &[(&str, &str)] = &[
    ("A", "10.0.0.1"),
    ("AAAA", "2001:db8::1"),
    ("CAA", r#"0 issue "letsencrypt.org""#),
    ("CNAME", "target.example."),
    ("HTTPS", "1 . alpn=h2,h3 ipv4hint=10.0.0.1,10.0.0.2 ipv6hint=2001:db8::1"),
    ("HTTPS", "0 svc.example."),
    ("MX", "10 mail.example."),
    ("NAPTR", r#"100 10 "u" "E2U+sip" "!^.*$!sip:info@example!" ."#),
    ("NS", "ns.example."),
    ("PTR", "host.example."),
    ("SOA", "ns.example. root.example. 1 7200 900 1209600 86400"),
    ("SRV", "10 20 5269 xmpp.example."),
    ("SSHFP", "4 2 123456789abcdef67890123456789abcdef67890123456789abcdef123456789"),
    ("SVCB", "16 foo.example. alpn=h2 port=8443 key667=hello"),
    ("SVCB", "1 foo.example. mandatory=alpn,port alpn=h2 port=53 ech=AEX+DQ=="),
    ("TLSA", "3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971"),
    ("SMIMEA", "3 0 0 d2abde24"),
    ("TXT", r#""v=spf1 -all" "second""#),
    ("HINFO", r#""RFC8482" """#),
    ("CSYNC", "66 3 A NS AAAA"),
    ("OPENPGPKEY", "qxMhLQ=="),
];

/// Types that `hickory_proto` does not parse.
const WITHOUT_HICKORY: &[(&str, &str)] = &[
    ("DS", "60485 5 1 2bb183af5f22588179a53b0a98631fad1a292118"),
    ("SPF", r#""v=spf1 -all""#),
    ("DNAME", "other.example."),
    ("RP", "admin.example. info.example."),
    ("AFSDB", "1 afs.example."),
    ("URI", r#"10 1 "https://example/path""#),
];

fn rtype(text: &str) -> RecordType {
    text.parse().expect("a record type")
}

#[test]
fn agrees_with_hickory() {
    for (mnemonic, text) in SAMPLES {
        let ours = Rdata::parse(rtype(mnemonic), text).expect(text);
        let theirs = RData::try_from_str(HickoryType::from(rtype(mnemonic).0), text).expect(text);
        let mut wire = Vec::new();
        let mut encoder = BinEncoder::new(&mut wire);
        encoder.set_name_encoding(NameEncoding::Uncompressed);
        theirs.emit(&mut encoder).expect(text);
        assert_eq!(ours.as_wire(), wire, "{mnemonic} {text}");
    }
}

#[test]
fn text_round_trips() {
    let certificate = Rdata::parse(RecordType::CERT, "1 2 8 qxMhLQ==").expect("a certificate");
    let printed = certificate.to_text(RecordType::CERT);
    assert_eq!(Rdata::parse(RecordType::CERT, &printed), Ok(certificate));
    for (mnemonic, text) in SAMPLES.iter().chain(WITHOUT_HICKORY) {
        let rtype = rtype(mnemonic);
        let rdata = Rdata::parse(rtype, text).expect(text);
        let printed = rdata.to_text(rtype);
        assert!(!printed.starts_with(r"\#"), "{mnemonic} {printed}");
        assert_eq!(Rdata::parse(rtype, &printed).expect(&printed), rdata, "{printed}");
        let generic = rdata.to_generic_text();
        assert_eq!(Rdata::parse(rtype, &generic).expect(&generic), rdata, "{generic}");
    }
}

#[test]
fn presentation_form_is_conventional() {
    let printed = |mnemonic, text| {
        let rtype = rtype(mnemonic);
        Rdata::parse(rtype, text).expect(text).to_text(rtype)
    };
    assert_eq!(printed("TXT", "bare words"), r#""bare" "words""#);
    assert_eq!(printed("MX", "010 Mail.Example"), "10 mail.example.");
    assert_eq!(printed("CAA", "0 issue ca.example"), r#"0 issue "ca.example""#);
    assert_eq!(
        printed("HTTPS", r#"1 . port=443 no-default-alpn alpn="h2,a\\,b""#),
        r#"1 . alpn="h2,a\\,b" no-default-alpn port=443"#
    );
    assert_eq!(printed("TXT", r"\065\;\200"), r#""A;\200""#);
}

#[test]
fn generic_form_is_supported_for_every_type() {
    let data = Rdata::parse(RecordType(65280), r"\# 4 0A00 0001").expect("generic");
    assert_eq!(data.as_wire(), [10, 0, 0, 1]);
    assert_eq!(data.to_text(RecordType(65280)), r"\# 4 0a000001");
    assert_eq!(data.to_text(RecordType::A), "10.0.0.1");
    let empty = Rdata::parse(RecordType(65280), r"\# 0").expect("empty");
    assert_eq!(empty.to_text(RecordType(65280)), r"\# 0");
    for bad in [r"\#", r"\# 3 0a000001", r"\# 4 0a00001", r"\# 4 0a0000zz"] {
        assert!(Rdata::parse(RecordType(65280), bad).is_err(), "{bad}");
    }
    assert_eq!(Rdata::parse(RecordType::A, r"\# 3 0a0000"), Err(RdataError::Malformed(RecordType::A)));
    assert_eq!(Rdata::parse(RecordType(65280), "10.0.0.1"), Err(RdataError::NoTextForm(RecordType(65280))));
}

#[test]
fn errors_describe_the_invalid_field() {
    let error = |mnemonic: &str, text: &str| {
        let error = Rdata::parse(rtype(mnemonic), text).expect_err(text);
        error.to_string()
    };
    assert_eq!(error("A", "10.0.0"), r#"invalid address "10.0.0": expected an IPv4 address"#);
    assert_eq!(error("A", ""), "missing address");
    assert_eq!(error("MX", "10"), "missing exchange");
    assert_eq!(error("A", "10.0.0.1 x"), r#"unexpected "x" after the last field"#);
    assert!(error("CNAME", "a..b").contains("empty label"));
    assert!(error("TXT", &"x".repeat(256)).contains("255 octets"));
    assert!(error("TXT", "\"open").contains("unterminated quoted string"));
    assert!(error("A", "10.0.0.1\n10.0.0.2").contains("several lines"));
    for bad in [
        "1 . alpn",
        "1 . alpn=h2 alpn=h3",
        "1 . no-default-alpn",
        "1 . mandatory=port alpn=h2",
        "1 . port=x",
        "1 . ipv4hint=10.0.0",
        "1 . ech=%",
        "1 . key01=x",
        "1 . bogus=x",
    ] {
        assert!(error("HTTPS", bad).contains("service parameter"), "{bad}");
    }
}

#[test]
fn constructors_and_accessors() {
    let host = name("host.example");
    let address: IpAddr = "2001:db8::1".parse().expect("an address");
    let (kind, data) = Rdata::for_address(address);
    assert_eq!(kind, RecordType::AAAA);
    assert_eq!(data.address(kind), Some(address));
    assert_eq!(data.address(RecordType::A), None);
    assert_eq!(Rdata::from_name(&host).target(RecordType::PTR), Some(host.clone()));
    assert_eq!(Rdata::from_name(&host).target(RecordType::A), None);
    let soa = Rdata::soa(&host, &host, 1, 2, 3, 4, 5);
    assert_eq!(soa.soa_minimum(), Some(5));
    assert_eq!(soa.to_text(RecordType::SOA), "host.example. host.example. 1 2 3 4 5");
    assert_eq!(Rdata::from_name(&host).soa_minimum(), None);
    assert_eq!(Rdata::txt(&[]).to_text(RecordType::TXT), "\"\"");
    let long = Rdata::txt(&[&"x".repeat(300), "y"]);
    assert_eq!(long.as_wire().len(), 1 + 255 + 1 + 45 + 2);
    let https = "1 . ipv6hint=2001:db8::1 ipv4hint=10.0.0.1";
    let https = Rdata::parse(RecordType::HTTPS, https).expect("hints");
    assert_eq!(https.hints(RecordType::HTTPS), [IpAddr::from([10, 0, 0, 1]), address]);
    assert!(https.hints(RecordType::A).is_empty());
}

proptest! {
    #[test]
    fn any_octets_round_trip_through_text(
        wire in prop::collection::vec(any::<u8>(), 0..80),
        number in prop_oneof![0u16..70, Just(99), Just(257), any::<u16>()],
    ) {
        let rtype = RecordType(number);
        let rdata = Rdata::from_wire(&wire);
        let text = rdata.to_text(rtype);
        if let Ok(back) = Rdata::parse(rtype, &text) {
            // Parsing lower-cases names.
            prop_assert!(back.as_wire().eq_ignore_ascii_case(&wire), "{}", text);
        }
        rdata.address(rtype);
        rdata.target(rtype);
        rdata.soa_minimum();
        svcb::hints(&wire);
    }

    #[test]
    fn parsing_any_text_never_panics(text in ".{0,60}", number in 0u16..300) {
        let _ = Rdata::parse(RecordType(number), &text);
    }
}
