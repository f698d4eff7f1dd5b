//! The DNS and EDNS compliance cases of ISC's DNS-Compliance-Testing (`genreport`), with their original
//! names.
//!
//! `genreport` tests authoritative servers. The expectations differ from its own only where a recursive
//! resolver differs:
//!
//! - RD is set in every case, as with `genreport -R`; without RD, queries are refused (see the last table).
//! - In an answer, AA is clear and RA is set. AD is clear, since nothing is validated (RFC 6840 5.7).
//! - `do`, `signed` and `edns@512` request DNSSEC records, and this resolver returns none. The limit of 512 octets and
//!   truncation are tested with a large RRset of the same zone.
//! - `dnswkk` (TSIG with a well-known key) and `icmp` are omitted: there are no keys, and no ICMP.
//!
//! Each case runs for a name in a private hosted zone and for a forwarded name, and is repeated, so that the
//! packet cache serves the later replies if possible.

mod common;
mod lab;
#[path = "common/name_server.rs"]
mod name_server;

use std::net::TcpStream;

use common::{Client, Lab, read_frame, write_frame};
use hickory_proto::op::ResponseCode;
use lab::{A, CD, CLIENT_SUBNET, COOKIE, EDE, Packet, RA, RD, Reply, TC, opt, wire};
use name_server::{Response, Server};
use plustwo::config::BUILT_IN_LAB;

const HOME: [u8; 4] = [127, 0, 1, 1];

// Bits of the header (RFC 1035 4.1.1, RFC 4035 3.1.6).
const AA: u16 = 0x0400;
const Z: u16 = 0x0040;
const AD: u16 = 0x0020;

// Bits of the OPT record's flags (RFC 6891 6.1.4).
const DO: u16 = 0x8000;
/// An unassigned flag.
const UNKNOWN_FLAG: u16 = 0x0080;

const SOA: u16 = 6;
const DNSKEY: u16 = 48;
const TYPE666: u16 = 666;

// Codes of EDNS options.
const NSID: u16 = 3;
const EXPIRE: u16 = 9;
/// An unassigned option.
const UNKNOWN_OPTION: u16 = 100;

/// EDNS options: codes and data.
type Options = &'static [(u16, &'static [u8])];

const CLIENT_COOKIE: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8];
/// 0.0.0.0/0: the client's address must not be disclosed (RFC 7871 7.1.2).
const NO_SUBNET: &[u8] = &[0, 1, 0, 0];

const NONE: Options = &[];
const OPT_100: Options = &[(UNKNOWN_OPTION, &[])];
const OPT_NSID: Options = &[(NSID, &[])];
const OPT_COOKIE: Options = &[(COOKIE, CLIENT_COOKIE)];
const OPT_EXPIRE: Options = &[(EXPIRE, &[])];
const OPT_SUBNET: Options = &[(CLIENT_SUBNET, NO_SUBNET)];
const OPT_LIST: Options = &[(NSID, &[]), (CLIENT_SUBNET, NO_SUBNET), (EXPIRE, &[]), (COOKIE, CLIENT_COOKIE)];

/// The OPT record of a query: version, payload, flags, options.
type Opt = Option<(u8, u16, u16, Options)>;

/// The transport of a query.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Transport {
    Udp,
    Tcp,
}
use Transport::{Tcp, Udp};

/// The expected reply, in addition to what [`check`] asserts for all replies.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    /// NOERROR with the SOA record in the answer section.
    Soa,
    /// NOERROR without an answer.
    NoData,
    /// BADVERS without records.
    BadVersion,
}
use Expected::{BadVersion, NoData, Soa};

/// Name, header flags other than RD, OPT record, type, transport, expected reply.
type Case = (&'static str, u16, Opt, u16, Transport, Expected);

#[rustfmt::skip]
const CASES: &[Case] = &[
    // name          flags  OPT (version, payload, flags, options)        type     over  expected
    ("dns",          0,     None,                                         SOA,     Udp,  Soa),
    ("aa",           AA,    None,                                         SOA,     Udp,  Soa),
    ("ad",           AD,    None,                                         SOA,     Udp,  Soa),
    ("cd",           CD,    None,                                         SOA,     Udp,  Soa),
    ("ra",           RA,    None,                                         SOA,     Udp,  Soa),
    ("rd",           0,     None,                                         SOA,     Udp,  Soa),
    ("tc",           TC,    None,                                         SOA,     Udp,  Soa),
    ("zflag",        Z,     None,                                         SOA,     Udp,  Soa),
    ("type666",      0,     None,                                         TYPE666, Udp,  NoData),
    ("tcp",          0,     None,                                         SOA,     Tcp,  Soa),
    ("edns",         0,     Some((0, 4096, 0,            NONE)),          SOA,     Udp,  Soa),
    ("edns1",        0,     Some((1, 4096, 0,            NONE)),          SOA,     Udp,  BadVersion),
    ("edns@512",     0,     Some((0, 512,  DO,           NONE)),          DNSKEY,  Udp,  NoData),
    ("ednsopt",      0,     Some((0, 4096, 0,            OPT_100)),       SOA,     Udp,  Soa),
    ("edns1opt",     0,     Some((1, 4096, 0,            OPT_100)),       SOA,     Udp,  BadVersion),
    ("do",           0,     Some((0, 4096, DO,           NONE)),          SOA,     Udp,  Soa),
    ("docd",         CD,    Some((0, 4096, DO,           NONE)),          SOA,     Udp,  Soa),
    ("edns1do",      0,     Some((1, 4096, DO,           NONE)),          SOA,     Udp,  BadVersion),
    ("docookie",     0,     Some((0, 4096, DO,           OPT_COOKIE)),    SOA,     Udp,  Soa),
    ("ednsflags",    0,     Some((0, 4096, UNKNOWN_FLAG, NONE)),          SOA,     Udp,  Soa),
    ("optlist",      0,     Some((0, 4096, 0,            OPT_LIST)),      SOA,     Udp,  Soa),
    ("ednsnsid",     0,     Some((0, 4096, 0,            OPT_NSID)),      SOA,     Udp,  Soa),
    ("ednscookie",   0,     Some((0, 4096, 0,            OPT_COOKIE)),    SOA,     Udp,  Soa),
    ("ednsexpire",   0,     Some((0, 4096, 0,            OPT_EXPIRE)),    SOA,     Udp,  Soa),
    ("ednssubnet",   0,     Some((0, 4096, 0,            OPT_SUBNET)),    SOA,     Udp,  Soa),
    ("edns1nsid",    0,     Some((1, 4096, 0,            OPT_NSID)),      SOA,     Udp,  BadVersion),
    ("edns1cookie",  0,     Some((1, 4096, 0,            OPT_COOKIE)),    SOA,     Udp,  BadVersion),
    ("edns1expire",  0,     Some((1, 4096, 0,            OPT_EXPIRE)),    SOA,     Udp,  BadVersion),
    ("edns1subnet",  0,     Some((1, 4096, 0,            OPT_SUBNET)),    SOA,     Udp,  BadVersion),
    ("ednspadding",  0,     Some((0, 4096, 0,            &[(12, &[0; 64])])), SOA, Udp,  Soa),
    ("ednstcp",      0,     Some((0, 512,  DO,           NONE)),          DNSKEY,  Tcp,  NoData),
    ("edns@512tcp",  0,     Some((0, 512,  0,            NONE)),          SOA,     Tcp,  Soa),
    ("bind11",       0,     Some((0, 4096, DO,           OPT_COOKIE)),    SOA,     Udp,  Soa),
    ("dig11",        AD,    Some((0, 4096, 0,            OPT_COOKIE)),    SOA,     Udp,  Soa),
];

/// Messages with other opcodes: name, opcode, flags, whether they have a question and an OPT record.
#[rustfmt::skip]
const OTHER_OPCODES: &[(&str, u16, u16, bool, bool)] = &[
    // name          opcode flags                               question  OPT
    ("opcode",       15,    0,                                  false,    false),
    ("opcodeflg",    15,    TC | RD | RA | CD | AD | AA | Z,    false,    false),
    ("opcode+edns",  15,    RD,                                 true,     true),
    ("iquery",       1,     RD | CD,                            true,     false),
    ("status",       2,     RD | CD,                            true,     true),
    ("notify",       4,     AA,                                 true,     false),
    ("update",       5,     RD,                                 true,     true),
];

/// Queries without RD, all of which are refused.
#[rustfmt::skip]
const WITHOUT_RD: &[(&str, u16, Opt, u16)] = &[
    ("dns",          0,     None,                                         SOA),
    ("cd",           CD,    None,                                         SOA),
    ("type666",      0,     None,                                         TYPE666),
    ("any",          0,     None,                                         255),
    ("edns",         0,     Some((0, 4096, DO, NONE)),                    SOA),
];

/// The types of the `genreport` group TYPE: all data types with a mnemonic, and one without.
const TYPES: &[u16] = &[
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28,
    29, 30, 33, 35, 36, 37, 38, 39, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 55, 59, 60, 61, 99, 104,
    105, 106, 107, 108, 109, 256, 257, 258, 259, 32_769, 1000,
];

/// A private name and a forwarded name, each with an SOA record.
const NAMES: [&str; 2] = ["corp.internal", "example.com"];

/// A name with more A records than fit in 512 octets.
const LARGE: &str = "many.corp-two.internal";

fn start() -> (Server, Lab) {
    let soa = [wire("ns.example.com"), wire("admin.example.com"), vec![0; 16], vec![0, 0, 0, 60]].concat();
    let name = "example.com";
    let answer = |rtype| (name, rtype, Response::records(vec![(name, SOA, soa.clone())]));
    let no_data = |rtype| {
        let response = Response { authority: vec![(name, SOA, soa.clone())], ..Response::default() };
        (name, rtype, response)
    };
    let mut replies: Vec<_> = TYPES.iter().chain(&[TYPE666]).map(|rtype| no_data(*rtype)).collect();
    replies.push(answer(SOA));
    let server = Server::start(replies);
    let addresses: Vec<String> = (0..60).map(|last| format!("\"10.0.2.{last}\"")).collect();
    let lab = Lab::start_with(&format!(
        "{BUILT_IN_LAB}\n[internet]\nmode = \"forward\"\nservers = [\"{}\"]\n\
         [[hosted_zone]]\nname = \"corp-two.internal\"\nvpcs = [\"vpc-lab\"]\nrecords = [{{ name = \"many\", \
         type = \"A\", ttl = 60, values = [{}] }}]\n",
        server.address,
        addresses.join(", ")
    ));
    (server, lab)
}

fn packet(name: &str, rtype: u16, flags: u16, edns: Opt) -> Packet {
    let packet = Packet::query(name, rtype).flags(flags);
    match edns {
        None => packet,
        Some((version, payload, flags, options)) => {
            let mut record = opt(payload, version, &lab::options(options));
            record[7..9].copy_from_slice(&flags.to_be_bytes());
            packet.additional(&record)
        }
    }
}

fn exchange(lab: &Lab, packet: &Packet, transport: Transport) -> Vec<u8> {
    let client = Client::new(lab.dns, HOME.into());
    match transport {
        Udp => client.exchange(&packet.build()),
        Tcp => {
            let mut stream = TcpStream::connect(lab.dns).unwrap();
            write_frame(&mut stream, &packet.build());
            read_frame(&mut stream)
        }
    }
}

/// Asserts what is true of every reply to a query: its flags, OPT record and size, and that no option is
/// echoed.
fn check(what: &str, reply: &Reply, flags: u16, edns: Opt, transport: Transport) {
    // `Reply::read` has asserted that AA, Z and AD are clear.
    assert_eq!(reply.flags() & (RD | CD), flags & (RD | CD), "{what}: only RD and CD are copied");
    assert_eq!(reply.flags() & TC, 0, "{what}: TC");
    let Some((_, payload, sent_flags, options)) = edns else {
        assert!(!reply.has_opt(), "{what}: OPT in the reply to a query without OPT");
        assert!(transport == Tcp || reply.raw.len() <= 512, "{what}: {} octets", reply.raw.len());
        return;
    };
    let opt = reply.message.edns.as_ref().unwrap_or_else(|| panic!("{what}: no OPT"));
    assert_eq!(opt.version(), 0, "{what}");
    assert_eq!(opt.flags().dnssec_ok, sent_flags & DO != 0, "{what}: DO is copied");
    assert_eq!(opt.flags().z, 0, "{what}: unknown EDNS flags are not copied");
    let echoed: Vec<u16> =
        reply.options().into_iter().map(|(code, _)| code).filter(|code| *code != EDE).collect();
    assert_eq!(echoed, [0u16; 0], "{what}: none of {options:?} is echoed");
    assert!(
        transport == Tcp || reply.raw.len() <= usize::from(payload),
        "{what}: {} octets",
        reply.raw.len()
    );
}

#[test]
fn every_compliance_case_has_the_expected_reply() {
    let (_server, lab) = start();
    for (case, flags, edns, rtype, transport, expected) in CASES {
        for name in NAMES {
            for attempt in 0..3 {
                let what = format!("{case} {name} {attempt}");
                let flags = flags | RD;
                let reply = Reply::read(&exchange(&lab, &packet(name, *rtype, flags, *edns), *transport));
                check(&what, &reply, flags, *edns, *transport);
                let types: Vec<u16> =
                    reply.message.answers.iter().map(|record| record.record_type().into()).collect();
                match expected {
                    Soa => {
                        assert_eq!((reply.rcode(), &types[..]), (ResponseCode::NoError, &[SOA][..]), "{what}")
                    }
                    NoData => {
                        assert_eq!((reply.rcode(), types.len()), (ResponseCode::NoError, 0), "{what}");
                        assert_eq!(reply.message.authorities.len(), 1, "{what}");
                    }
                    BadVersion => {
                        assert_eq!(u16::from(reply.rcode()), 16, "{what}");
                        assert_eq!(reply.counts(), [1, 0, 0, 1], "{what}");
                    }
                }
            }
        }
    }
}

#[test]
fn other_opcodes_are_not_implemented_and_their_flags_are_not_copied() {
    let (_server, lab) = start();
    for (case, opcode, flags, has_question, has_opt) in OTHER_OPCODES {
        let mut packet = packet("corp.internal", SOA, *flags, has_opt.then_some((0, 4096, 0, NONE)));
        packet = packet.opcode(*opcode);
        let message = match has_question {
            true => packet.build(),
            false => [&packet.build()[..4], &[0; 8]].concat(),
        };
        let raw = Client::new(lab.dns, HOME.into()).exchange(&message);
        // Only QR, the opcode and NOTIMP.
        assert_eq!(u16::from_be_bytes([raw[2], raw[3]]), 0x8004 | opcode << 11, "{case}");
        let reply = Reply::read(&raw);
        assert_eq!(reply.has_opt(), *has_opt, "{case}");
        assert_eq!(reply.counts()[1..3], [0, 0], "{case}");
    }
}

#[test]
fn queries_without_rd_are_refused() {
    let (_server, lab) = start();
    for (case, flags, edns, rtype) in WITHOUT_RD {
        for name in NAMES {
            let what = format!("{case} {name}");
            let reply = Reply::read(&exchange(&lab, &packet(name, *rtype, *flags, *edns), Udp));
            check(&what, &reply, *flags, *edns, Udp);
            assert_eq!((reply.rcode(), reply.counts()[1]), (ResponseCode::Refused, 0), "{what}");
            assert_eq!(reply.flags() & RA, RA, "{what}: recursion is available, but was not desired");
        }
    }
}

#[test]
fn every_data_type_can_be_queried() {
    let (_server, lab) = start();
    for rtype in TYPES {
        for name in NAMES {
            let reply = Reply::read(&exchange(&lab, &packet(name, *rtype, RD, None), Udp));
            assert_eq!(reply.rcode(), ResponseCode::NoError, "type {rtype} of {name}");
        }
    }
}

#[test]
fn a_large_answer_is_limited_to_the_payload_size_and_complete_over_tcp() {
    let (_server, lab) = start();
    for (edns, limit) in [(None, 512), (Some((0, 512, DO, NONE)), 512), (Some((0, 600, 0, NONE)), 600)] {
        let packet = packet(LARGE, A, RD, edns);
        let truncated = Reply::read(&exchange(&lab, &packet, Udp));
        assert!(
            truncated.is_truncated() && truncated.raw.len() <= limit,
            "{edns:?}: {}",
            truncated.raw.len()
        );
        assert_eq!(truncated.has_opt(), edns.is_some());
        let complete = Reply::read(&exchange(&lab, &packet, Tcp));
        assert!(!complete.is_truncated());
        assert_eq!(complete.message.answers.len(), 60);
    }
}
