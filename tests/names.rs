//! Tests of names and answers that a forwarder handles specially: special-use names, answers to another
//! question, DNAME records, the case of names in data, and extended errors of other servers.

mod common;
mod lab;
#[path = "common/name_server.rs"]
mod name_server;

use common::{Client, Lab};
use hickory_proto::op::ResponseCode;
use lab::{A, AAAA, ANY, CD, CNAME, EDE, Packet, RD, Reply, TXT, wire};
use name_server::{Response, Server};
use plustwo::config::BUILT_IN_LAB;
use plustwo::dns::{Class, Question, RecordType};
use plustwo::resolve::{NoTrace, QueryContext, resolve};

const HOME: [u8; 4] = [127, 0, 1, 1];

// Numbers of record types.
const NS: u16 = 2;
const SOA: u16 = 6;
const MB: u16 = 7;
const PTR: u16 = 12;
const MX: u16 = 15;
const DNAME: u16 = 39;
const DNSKEY: u16 = 48;
const SVCB: u16 = 64;

/// Starts the lab with this server for public DNS, and with `more` appended to its configuration.
fn lab_with(server: &Server, more: &str) -> Lab {
    let internet = format!("\n[internet]\nmode = \"forward\"\nservers = [\"{}\"]\n", server.address);
    Lab::start_with(&format!("{BUILT_IN_LAB}{internet}{more}"))
}

fn query(lab: &Lab, name: &str, qtype: u16) -> Reply {
    send(lab, &Packet::query(name, qtype).opt(1232, &[]))
}

fn send(lab: &Lab, packet: &Packet) -> Reply {
    Reply::read(&Client::new(lab.dns, HOME.into()).exchange(&packet.build()))
}

/// Returns owner, type and data of each record in the answer section, in the case of the reply.
fn answers(reply: &Reply) -> Vec<String> {
    let text = |record: &hickory_proto::rr::Record| {
        format!("{} {} {}", record.name, record.record_type(), record.data)
    };
    reply.message.answers.iter().map(text).collect()
}

// ---- special-use names --------------------------------------------------------------------------------

#[test]
fn special_use_names_are_not_forwarded() {
    let server = Server::start(vec![]);
    let lab = lab_with(&server, "");
    for name in [
        "onion",
        "x.onion",
        "invalid",
        "a.b.invalid",
        "test",
        "x.test",
        "printer.local",
        "local",
        "router.home.arpa",
        "home.arpa",
        "x.alt",
        "localhost",
        "a.localhost",
        "resolver.arpa",
        "_dns.resolver.arpa",
        "x.resolver.arpa",
        "ipv4only.arpa",
        "x.ipv4only.arpa",
        "170.0.0.192.in-addr.arpa",
        "171.0.0.192.in-addr.arpa",
        "4.3.2.10.in-addr.arpa",
        "4.3.20.172.in-addr.arpa",
        "4.3.168.192.in-addr.arpa",
        "1.1.64.100.in-addr.arpa",
        "1.1.127.100.in-addr.arpa",
        "1.2.3.0.in-addr.arpa",
        "1.0.0.127.in-addr.arpa",
        "7.7.254.169.in-addr.arpa",
        "1.2.0.192.in-addr.arpa",
        "1.100.51.198.in-addr.arpa",
        "1.113.0.203.in-addr.arpa",
        "255.255.255.255.in-addr.arpa",
        "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
        "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
        "1.d.f.ip6.arpa",
        "0.8.e.f.ip6.arpa",
        "0.b.e.f.ip6.arpa",
        "1.8.b.d.0.1.0.0.2.ip6.arpa",
    ] {
        for qtype in [A, AAAA, PTR, TXT, SVCB, SOA, NS, ANY] {
            // 127.0.99.1 is outside every VPC.
            for client in [HOME, [127, 0, 99, 1]] {
                let packet = Packet::query(name, qtype).opt(1232, &[]);
                let reply = Reply::read(&Client::new(lab.dns, client.into()).exchange(&packet.build()));
                let rcode = reply.rcode();
                assert!(
                    matches!(rcode, ResponseCode::NoError | ResponseCode::NXDomain),
                    "{name} {qtype} {rcode}"
                );
                assert!(
                    !reply.message.answers.is_empty() || reply.message.authorities.len() == 1,
                    "{name} {qtype}: no SOA record in a negative answer"
                );
            }
        }
    }
    assert_eq!(server.seen(), []);
}

#[test]
fn special_use_names_are_answered_according_to_their_rfcs() {
    let server = Server::start(vec![]);
    let lab = lab_with(&server, "");
    let outside = |name: &str, qtype| {
        let packet = Packet::query(name, qtype);
        Reply::read(&Client::new(lab.dns, [127, 0, 99, 1].into()).exchange(&packet.build()))
    };
    assert_eq!(outside("localhost", A).data(), ["127.0.0.1"]);
    assert_eq!(outside("x.y.localhost", AAAA).data(), ["::1"]);
    assert_eq!(outside("1.0.0.127.in-addr.arpa", PTR).data(), ["localhost."]);
    assert_eq!(outside("ipv4only.arpa", A).addresses(), ["192.0.0.170", "192.0.0.171"]);
    assert_eq!(outside("171.0.0.192.in-addr.arpa", PTR).data(), ["ipv4only.arpa."]);
    for (name, qtype, rcode) in [
        ("x.onion", A, ResponseCode::NXDomain),
        ("onion", A, ResponseCode::NoError),
        ("x.test", A, ResponseCode::NXDomain),
        ("home.arpa", A, ResponseCode::NoError),
        ("x.home.arpa", AAAA, ResponseCode::NXDomain),
        ("ipv4only.arpa", AAAA, ResponseCode::NoError),
        ("x.ipv4only.arpa", A, ResponseCode::NXDomain),
        ("_dns.resolver.arpa", SVCB, ResponseCode::NoError),
        ("resolver.arpa", SVCB, ResponseCode::NoError),
    ] {
        let reply = outside(name, qtype);
        assert_eq!((reply.rcode(), reply.counts()), (rcode, [1, 0, 1, 0]), "{name}");
        let soa = &reply.message.authorities[0];
        assert!(name.ends_with(soa.name.to_ascii().trim_end_matches('.')), "{name}: {}", soa.name);
    }
    let negative = query(&lab, "x.onion", A);
    assert_eq!(negative.edes()[0], (0, "onion. is answered locally (RFC 7686 2)".to_owned()));
}

#[test]
fn configured_names_take_precedence_over_special_use_names() {
    let addresses = |last: u8| Response::records(vec![("", A, vec![192, 0, 2, last])]);
    let at = |name: &'static str, last| {
        let mut response = addresses(last);
        response.answers[0].0 = name;
        (name, A, response)
    };
    let server = Server::start(vec![at("x.test", 1), at("y.onion", 2), at("host.home.arpa", 3)]);
    let rule = |id: &str, domain: &str| {
        format!(
            "[[resolver_rule]]\nid = \"{id}\"\ntype = \"FORWARD\"\ndomain = \"{domain}\"\nsource = \"any\"\n\
             targets = [\"{}\"]\nvpcs = [\"vpc-lab\"]\n",
            server.address
        )
    };
    let zone = "[[hosted_zone]]\nname = \"corp.local\"\nvpcs = [\"vpc-lab\"]\nrecords = [{ name = \"db\", type = \"A\", \
                ttl = 60, values = [\"10.0.1.9\"] }]\n";
    let more = format!("{zone}{}", rule("rslvr-rr-test", "test"));
    let lab = lab_with(&server, &more);
    assert_eq!(query(&lab, "db.corp.local", A).data(), ["10.0.1.9"]);
    assert_eq!(query(&lab, "x.test", A).data(), ["192.0.2.1"]);
    assert_eq!(query(&lab, "y.onion", A).rcode(), ResponseCode::NXDomain);
    drop(lab);
    // A rule for the root applies to all of them, as in AWS, except names about the resolver itself.
    let lab = lab_with(&server, &rule("rslvr-rr-all", "."));
    assert_eq!(query(&lab, "y.onion", A).data(), ["192.0.2.2"]);
    assert_eq!(query(&lab, "host.home.arpa", A).data(), ["192.0.2.3"]);
    assert_eq!(query(&lab, "_dns.resolver.arpa", SVCB).rcode(), ResponseCode::NoError);
    assert_eq!(query(&lab, "ipv4only.arpa", A).addresses(), ["192.0.0.170", "192.0.0.171"]);
    assert!(server.seen().iter().all(|(name, _)| !name.ends_with("arpa") || name.ends_with("home.arpa")));
    drop(lab);
    // With this setting they are forwarded to public DNS, except names about the resolver itself.
    let lab = lab_with(&server, "[answers]\nspecial_use_names = \"forward\"\n");
    assert_eq!(query(&lab, "host.home.arpa", A).data(), ["192.0.2.3"]);
    assert_eq!(query(&lab, "ipv4only.arpa", A).addresses(), ["192.0.0.170", "192.0.0.171"]);
}

/// RFC 9462: the designated listeners are those at which the client gets the same answers.
#[test]
fn encrypted_listeners_with_a_server_name_are_designated_to_clients_of_the_same_view() {
    let dir = tempfile::tempdir().unwrap();
    let pem = dir.path().join("any.pem");
    // The file is not parsed until the listener is opened.
    std::fs::write(&pem, "").unwrap();
    let listener = |address: &str, transport: &str, more: &str| {
        format!(
            "[[listener]]\naddress = \"{address}\"\ntransports = [\"{transport}\"]\ncertificate = {pem:?}\n\
             key = {pem:?}\n{more}\n"
        )
    };
    let named = "server_name = \"Dns.corp.example\"";
    let dot = listener("127.0.0.2:853", "dot", named);
    let doh = listener("[::1]:8443", "doh", &format!("{named}\npath = \"/q\""));
    let unnamed = listener("127.0.0.4:853", "dot", "");
    let bound = listener("127.0.0.5:853", "dot", &format!("{named}\nvpc = \"vpc-lab\""));
    let query = |more: &str, from: [u8; 4], name: &str, qtype: u16| -> Vec<String> {
        let (_, world) = lab::load(&format!("{BUILT_IN_LAB}{more}"));
        let vantage = world.vantage(std::net::IpAddr::from(from).into(), None).unwrap();
        let question = Question { qname: name.parse().unwrap(), qtype: RecordType(qtype), qclass: Class::IN };
        let outcome = resolve(&world, vantage, &question, QueryContext::at(0), &mut NoTrace).unwrap();
        let sets = outcome.answer.answer.iter();
        sets.flat_map(|set| set.rdatas.iter().map(|rdata| rdata.to_text(set.rtype))).collect()
    };
    let name = "_dns.resolver.arpa";
    let over_tls = "1 dns.corp.example. alpn=\"dot\" port=853 ipv4hint=127.0.0.2";
    let over_https = "2 dns.corp.example. alpn=\"h2\" port=8443 ipv6hint=::1 dohpath=\"/q{?dns}\"";
    let all = format!("{dot}{doh}{unnamed}");
    assert_eq!(query(&all, HOME, name, SVCB), [over_tls, over_https]);
    assert_eq!(query(&all, [127, 0, 99, 1], name, SVCB), [over_tls, over_https]);
    assert_eq!(query(&all, HOME, name, A), [""; 0], "NODATA");
    assert_eq!(query(&all, HOME, "resolver.arpa", SVCB), [""; 0]);
    assert_eq!(query(&unnamed, HOME, name, SVCB), [""; 0], "no listener has a server name");
    // A listener bound to a VPC is designated only to clients of that VPC; one without `vpc` is not
    // designated to clients of a VPC that has bound plain listeners.
    let tls_of_vpc = "1 dns.corp.example. alpn=\"dot\" port=853 ipv4hint=127.0.0.5";
    assert_eq!(query(&bound, HOME, name, SVCB), [tls_of_vpc]);
    assert_eq!(query(&bound, [127, 0, 99, 1], name, SVCB), [""; 0]);
    let plain = "[[listener]]\naddress = \"127.0.0.6:53\"\nvpc = \"vpc-lab\"\n";
    assert_eq!(query(&format!("{dot}{plain}"), HOME, name, SVCB), [""; 0]);
}

#[test]
fn the_root_is_resolved_via_public_dns() {
    let soa = [&b"\x01a\0\x01b\0"[..], &[0; 16], &[0, 0, 0, 60]].concat();
    let server = Server::start(vec![
        ("", NS, Response::records(vec![("", NS, wire("a.root-servers.net"))])),
        ("", SOA, Response::records(vec![("", SOA, soa)])),
        ("", DNSKEY, Response::records(vec![("", DNSKEY, vec![1, 1, 3, 8, 0])])),
    ]);
    let lab = lab_with(&server, "");
    assert_eq!(answers(&query(&lab, "", NS)), [". NS a.root-servers.net."]);
    assert!(answers(&query(&lab, "", SOA))[0].starts_with(". SOA a. b."));
    assert_eq!(query(&lab, "", DNSKEY).counts()[1], 1);
    query(&lab, "", A);
    assert_eq!(
        server.seen(),
        ["", "", "", ""].map(str::to_owned).into_iter().zip([A, NS, SOA, DNSKEY]).collect::<Vec<_>>()
    );
}

// ---- answers to another question, and DNAME records ----------------------------------------------------

#[test]
fn responses_with_only_unrelated_records_are_servfail() {
    let address = |owner: &'static str| (owner, A, vec![192, 0, 2, 1]);
    let server = Server::start(vec![
        ("other.example", A, Response::records(vec![address("evil.example")])),
        ("type.example", A, Response::records(vec![("type.example", TXT, b"\x01t".to_vec())])),
        ("sig.example", A, Response::records(vec![("sig.example", 46, vec![0; 20])])),
        ("below.example", A, Response::records(vec![address("x.below.example")])),
        ("empty.example", A, Response::default()),
        (
            "chain.example",
            A,
            Response::records(vec![
                ("chain.example", CNAME, wire("target.example")),
                address("evil.example"),
            ]),
        ),
        ("target.example", A, Response::records(vec![address("target.example")])),
    ]);
    let lab = lab_with(&server, "");
    for name in ["other.example", "type.example", "sig.example", "below.example"] {
        let reply = query(&lab, name, A);
        assert_eq!((reply.rcode(), reply.counts()[1]), (ResponseCode::ServFail, 0), "{name}");
        let (code, text) = reply.edes().remove(0);
        assert_eq!(code, 23, "{name}");
        assert!(text.contains("none of the records in the response answers the question"), "{name}: {text}");
    }
    // Some servers send negative answers without an SOA record. The last name of a CNAME chain is queried
    // separately.
    let empty = query(&lab, "empty.example", A);
    assert_eq!((empty.rcode(), empty.counts()[1]), (ResponseCode::NoError, 0));
    assert_eq!(
        answers(&query(&lab, "chain.example", A)),
        ["chain.example. CNAME target.example.", "target.example. A 192.0.2.1"]
    );
}

#[test]
fn a_dname_is_followed_with_a_synthesised_cname() {
    let dname = || ("old.example", DNAME, wire("New.example"));
    let server = Server::start(vec![
        ("a.old.example", A, Response::records(vec![dname()])),
        ("a.new.example", A, Response::records(vec![("a.new.example", A, vec![192, 0, 2, 7])])),
        // One response with the address included, and one with an inconsistent CNAME.
        ("b.old.example", A, Response::records(vec![dname(), ("b.new.example", A, vec![192, 0, 2, 8])])),
        (
            "c.old.example",
            A,
            Response::records(vec![
                dname(),
                ("c.old.example", CNAME, wire("evil.example")),
                ("evil.example", A, vec![192, 0, 2, 66]),
            ]),
        ),
        ("c.new.example", A, Response::records(vec![("c.new.example", A, vec![192, 0, 2, 9])])),
        ("old.example", A, Response::records(vec![dname()])),
        ("d.old.example", CNAME, Response::records(vec![dname()])),
    ]);
    let lab = lab_with(&server, "");
    for (label, last) in [("a", 7), ("b", 8), ("c", 9), ("a", 7)] {
        let expected = [
            // `hickory_proto` prints DNAME data in Base64.
            "old.example. DNAME A05ldwdleGFtcGxlAA==".to_owned(),
            format!("{label}.old.example. CNAME {label}.New.example."),
            format!("{label}.New.example. A 192.0.2.{last}"),
        ];
        assert_eq!(answers(&query(&lab, &format!("{label}.old.example"), A)), expected);
    }
    // The synthesised CNAME record also answers a query of type CNAME.
    let alias = answers(&query(&lab, "d.old.example", CNAME));
    assert_eq!(alias[1..], ["d.old.example. CNAME d.New.example."]);
    let at_its_owner = query(&lab, "old.example", A);
    assert_eq!(at_its_owner.rcode(), ResponseCode::ServFail, "a DNAME does not redirect its own name");
    assert!(!server.seen().iter().any(|(name, _)| name == "evil.example"));
}

#[test]
fn dname_redirections_are_bounded() {
    let label = "a".repeat(63);
    let long: &'static str = format!("{label}.{label}.{label}.short.example").leak();
    let target: &'static str = format!("{}.example", "b".repeat(63)).leak();
    // Each redirection adds one label, until the name is too long.
    let grows = |name: &'static str| {
        (name, A, Response::records(vec![("loop.example", DNAME, wire("x.loop.example"))]))
    };
    let redirection = Response::records(vec![("short.example", DNAME, wire(target))]);
    let yxdomain = Response { rcode: 6, ..redirection.clone() };
    let mut replies = vec![(long, A, redirection), (long, AAAA, yxdomain)];
    let mut name = "a.loop.example".to_owned();
    for _ in 0..20 {
        replies.push(grows(name.clone().leak()));
        name = name.replace(".loop", ".x.loop");
    }
    let server = Server::start(replies);
    let lab = lab_with(&server, "");
    // The reply is YXDOMAIN whether or not the server detects the overflow (RFC 6672 2.2).
    for qtype in [A, AAAA] {
        let reply = query(&lab, long, qtype);
        assert_eq!((reply.rcode(), reply.counts()[1]), (ResponseCode::YXDomain, 1));
    }
    let endless = query(&lab, "a.loop.example", A);
    assert_eq!(endless.rcode(), ResponseCode::ServFail);
    assert!(server.seen().len() < 20, "{}", server.seen().len());
}

// ---- the case of names, and obsolete types -------------------------------------------------------------

#[test]
fn names_in_data_keep_their_case_in_every_reply() {
    let server = Server::start(vec![
        (
            "7.2.0.8.in-addr.arpa",
            PTR,
            Response::records(vec![("7.2.0.8.in-addr.arpa", PTR, wire("Host.Example.COM"))]),
        ),
        (
            "example.com",
            MX,
            Response::records(vec![
                ("example.com", MX, [&[0, 1][..], &wire("Mail.Example.COM")].concat()),
                ("example.com", MX, [&[0, 2][..], &wire("mail.example.com")].concat()),
            ]),
        ),
        (
            "www.example.com",
            A,
            Response::records(vec![
                ("www.example.com", CNAME, wire("Web.EXAMPLE.com")),
                ("web.example.com", A, vec![192, 0, 2, 1]),
            ]),
        ),
        ("mb.example.com", MB, Response::records(vec![("mb.example.com", MB, b"\x01M\xc0\x0f".to_vec())])),
    ]);
    let lab = lab_with(&server, "");
    for name in ["example.com", "EXAMPLE.com", "eXaMpLe.cOm", "example.COM"] {
        let mut data: Vec<String> = answers(&query(&lab, name, MX));
        data.iter_mut().for_each(|record| *record = record.split_once("MX ").unwrap().1.to_owned());
        data.sort();
        assert_eq!(data, ["1 Mail.Example.COM.", "2 mail.example.com."], "{name}");
        let reply = query(&lab, &format!("wWw.{name}"), A);
        assert!(answers(&reply)[0].ends_with(" CNAME Web.EXAMPLE.com."), "{:?}", answers(&reply));
        assert_eq!(reply.data()[1], "192.0.2.1");
        assert_eq!(reply.raw[12..17 + name.len()], wire(&format!("wWw.{name}"))[..5 + name.len()]);
        assert_eq!(query(&lab, "7.2.0.8.in-addr.arpa", PTR).data(), ["Host.Example.COM."]);
    }
    // 0xc00f points into the QNAME, after the label `mb`, which has three octets.
    let reply = query(&lab, "mb.example.com", MB);
    assert!(reply.raw.windows(15).any(|window| window == b"\x01M\x07example\x03com\0"), "{:02x?}", reply.raw);
}

// ---- extended errors of other servers ------------------------------------------------------------------

#[test]
fn extended_errors_of_upstreams_are_forwarded() {
    let ede = |code: u8, text: &str| (EDE, [&[0, code][..], text.as_bytes()].concat());
    let blocked = Response {
        options: vec![ede(15, "by list\x07 \"ads\""), ede(17, ""), (10, vec![1; 16])],
        ..Response::records(vec![("ads.example", A, vec![0, 0, 0, 0])])
    };
    let soa = [vec![0, 0], vec![0; 16], vec![0, 0, 0, 60]].concat();
    let censored = Response {
        rcode: 3,
        authority: vec![("example", SOA, soa)],
        options: vec![ede(16, "court order")],
        ..Response::default()
    };
    let alias = Response {
        options: vec![ede(4, "forged")],
        ..Response::records(vec![("alias.example", CNAME, wire("ads.example"))])
    };
    let server = Server::start(vec![
        ("ads.example", A, blocked),
        ("censored.example", A, censored),
        ("alias.example", A, alias),
        ("plain.example", A, Response::records(vec![("plain.example", A, vec![192, 0, 2, 1])])),
    ]);
    let lab = lab_with(&server, "");
    let codes = |reply: &Reply| -> Vec<u16> { reply.edes().into_iter().map(|(code, _)| code).collect() };
    // From the server, from the message cache, and from the packet cache.
    for _ in 0..4 {
        let reply = query(&lab, "ads.example", A);
        assert_eq!(codes(&reply), [15, 17, 0], "those of the upstream, then that of the path");
        assert_eq!(reply.edes()[0].1, "by list \"ads\"");
        assert!(reply.edes()[2].1.starts_with("egress="), "{:?}", reply.edes());
        assert!(reply.option(lab::COOKIE).is_none());
        assert_eq!(query(&lab, "censored.example", A).edes()[0], (16, "court order".to_owned()));
        assert_eq!(codes(&query(&lab, "alias.example", A))[..3], [4, 15, 17]);
        assert_eq!(codes(&query(&lab, "plain.example", A)), [0]);
        // Without EDNS they cannot be sent; CD does not change the answer.
        assert!(!send(&lab, &Packet::query("ads.example", A)).has_opt());
        assert_eq!(send(&lab, &Packet::query("ads.example", A).flags(RD | CD)).flags() & CD, CD);
    }
}
