//! The public matrix of DNS and EDNS compliance: the cases of ISC's DNS-Compliance-Testing (`genreport`), by their names.
//!
//! `genreport` is made for authoritative servers. What is expected here differs from that where a recursive resolver
//! differs, and only there:
//!
//! - RD is set in every case, as `genreport -R` does; without it a query is refused (see the last table).
//! - AA is clear and RA is set in an answer. AD is clear: nothing is validated (RFC 6840 5.7).
//! - `do`, `signed` and `edns@512` ask for DNSSEC records, and this resolver returns none. That a reply is held to 512
//!   octets, and truncated, is seen at a large record set of the same zone.
//! - `dnswkk` (TSIG with a well-known key) and `icmp` are left out: there are no keys, and no ICMP.
//!
//! Each case runs for a name of a private hosted zone and for one that is forwarded, and twice, so that the packet cache
//! gives the second reply where it can.

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
/// A flag without a meaning.
const UNKNOWN_FLAG: u16 = 0x0080;

const SOA: u16 = 6;
const DNSKEY: u16 = 48;
const TYPE666: u16 = 666;

// Codes of EDNS options.
const NSID: u16 = 3;
const EXPIRE: u16 = 9;
/// An option without a meaning.
const UNKNOWN_OPTION: u16 = 100;

/// EDNS options: codes and data.
type Options = &'static [(u16, &'static [u8])];

const CLIENT_COOKIE: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8];
/// 0.0.0.0/0: no part of the client's address may be disclosed (RFC 7871 7.1.2).
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

/// What carries a query.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Over {
    Udp,
    Tcp,
}
use Over::{Tcp, Udp};

/// What has to come back, besides what always has to (see [`check`]).
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    /// NOERROR with the SOA record in the answer section.
    Soa,
    /// NOERROR without an answer.
    NoData,
    /// BADVERS, and no record.
    BadVersion,
}
use Expected::{BadVersion, NoData, Soa};

/// Name, header flags besides RD, OPT record, type, transport, expected.
type Case = (&'static str, u16, Opt, u16, Over, Expected);

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

/// Messages of another kind: name, opcode, flags, question and OPT record or not.
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

/// Without RD nothing is answered, whatever else is asked for.
#[rustfmt::skip]
const WITHOUT_RD: &[(&str, u16, Opt, u16)] = &[
    ("dns",          0,     None,                                         SOA),
    ("cd",           CD,    None,                                         SOA),
    ("type666",      0,     None,                                         TYPE666),
    ("any",          0,     None,                                         255),
    ("edns",         0,     Some((0, 4096, DO, NONE)),                    SOA),
];

/// The types of the group TYPE: every type with data that has a name, and one without.
const TYPES: &[u16] = &[
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28,
    29, 30, 33, 35, 36, 37, 38, 39, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 55, 59, 60, 61, 99, 104,
    105, 106, 107, 108, 109, 256, 257, 258, 259, 32_769, 1000,
];

/// A private name and a forwarded one, each with an SOA record.
const NAMES: [&str; 2] = ["corp.internal", "example.com"];

/// A name with more A records than 512 octets hold.
const LARGE: &str = "many.corp-two.internal";

fn start() -> (Server, Lab) {
    let soa = [wire("ns.example.com"), wire("admin.example.com"), vec![0; 16], vec![0, 0, 0, 60]].concat();
    let name = "example.com";
    let answer = |rtype| (name, rtype, Response::records(vec![(name, SOA, soa.clone())]));
    let nothing = |rtype| {
        let denial = Response { authority: vec![(name, SOA, soa.clone())], ..Response::default() };
        (name, rtype, denial)
    };
    let mut replies: Vec<_> = TYPES.iter().chain(&[TYPE666]).map(|rtype| nothing(*rtype)).collect();
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

fn exchange(lab: &Lab, packet: &Packet, over: Over) -> Vec<u8> {
    let client = Client::new(lab.dns, HOME.into());
    match over {
        Udp => client.exchange(&packet.build()),
        Tcp => {
            let mut stream = TcpStream::connect(lab.dns).unwrap();
            write_frame(&mut stream, &packet.build());
            read_frame(&mut stream)
        }
    }
}

/// What holds for every reply to a query: flags, the OPT record, no option that was sent, and its size.
fn check(what: &str, reply: &Reply, flags: u16, edns: Opt, over: Over) {
    // `Reply::read` has checked that AA, Z and AD are clear.
    assert_eq!(reply.flags() & (RD | CD), flags & (RD | CD), "{what}: RD and CD are copied, nothing else");
    assert_eq!(reply.flags() & TC, 0, "{what}: TC");
    let Some((_, payload, sent_flags, options)) = edns else {
        assert!(!reply.has_opt(), "{what}: OPT without one in the query");
        assert!(over == Tcp || reply.raw.len() <= 512, "{what}: {} octets", reply.raw.len());
        return;
    };
    let opt = reply.message.edns.as_ref().unwrap_or_else(|| panic!("{what}: no OPT"));
    assert_eq!(opt.version(), 0, "{what}");
    assert_eq!(opt.flags().dnssec_ok, sent_flags & DO != 0, "{what}: DO is copied");
    assert_eq!(opt.flags().z, 0, "{what}: unknown EDNS flags are not");
    let echoed: Vec<u16> =
        reply.options().into_iter().map(|(code, _)| code).filter(|code| *code != EDE).collect();
    assert_eq!(echoed, [0u16; 0], "{what}: none of {options:?} is echoed");
    assert!(over == Tcp || reply.raw.len() <= usize::from(payload), "{what}: {} octets", reply.raw.len());
}

#[test]
fn every_case_of_the_matrix_is_answered_as_it_should_be() {
    let (_server, lab) = start();
    for (case, flags, edns, rtype, over, expected) in CASES {
        for name in NAMES {
            for turn in 0..3 {
                let what = format!("{case} {name} {turn}");
                let flags = flags | RD;
                let reply = Reply::read(&exchange(&lab, &packet(name, *rtype, flags, *edns), *over));
                check(&what, &reply, flags, *edns, *over);
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
fn another_opcode_is_not_implemented_and_none_of_its_flags_is_copied() {
    let (_server, lab) = start();
    for (case, opcode, flags, has_question, has_opt) in OTHER_OPCODES {
        let mut packet = packet("corp.internal", SOA, *flags, has_opt.then_some((0, 4096, 0, NONE)));
        packet = packet.opcode(*opcode);
        let message = match has_question {
            true => packet.build(),
            false => [&packet.build()[..4], &[0; 8]].concat(),
        };
        let raw = Client::new(lab.dns, HOME.into()).exchange(&message);
        // QR, the opcode and NOTIMP, and no other bit.
        assert_eq!(u16::from_be_bytes([raw[2], raw[3]]), 0x8004 | opcode << 11, "{case}");
        let reply = Reply::read(&raw);
        assert_eq!(reply.has_opt(), *has_opt, "{case}");
        assert_eq!(reply.counts()[1..3], [0, 0], "{case}");
    }
}

#[test]
fn without_recursion_desired_every_case_is_refused() {
    let (_server, lab) = start();
    for (case, flags, edns, rtype) in WITHOUT_RD {
        for name in NAMES {
            let what = format!("{case} {name}");
            let reply = Reply::read(&exchange(&lab, &packet(name, *rtype, *flags, *edns), Udp));
            check(&what, &reply, *flags, *edns, Udp);
            assert_eq!((reply.rcode(), reply.counts()[1]), (ResponseCode::Refused, 0), "{what}");
            assert_eq!(reply.flags() & RA, RA, "{what}: recursion is available, it was not desired");
        }
    }
}

#[test]
fn every_type_with_data_is_a_type_to_ask_for() {
    let (_server, lab) = start();
    for rtype in TYPES {
        for name in NAMES {
            let reply = Reply::read(&exchange(&lab, &packet(name, *rtype, RD, None), Udp));
            assert_eq!(reply.rcode(), ResponseCode::NoError, "type {rtype} of {name}");
        }
    }
}

#[test]
fn a_large_answer_is_held_to_the_payload_and_whole_over_tcp() {
    let (_server, lab) = start();
    for (edns, limit) in [(None, 512), (Some((0, 512, DO, NONE)), 512), (Some((0, 600, 0, NONE)), 600)] {
        let packet = packet(LARGE, A, RD, edns);
        let short = Reply::read(&exchange(&lab, &packet, Udp));
        assert!(short.is_truncated() && short.raw.len() <= limit, "{edns:?}: {}", short.raw.len());
        assert_eq!(short.has_opt(), edns.is_some());
        let whole = Reply::read(&exchange(&lab, &packet, Tcp));
        assert!(!whole.is_truncated());
        assert_eq!(whole.message.answers.len(), 60);
    }
}
