//! DNS over TLS and DNS over HTTPS give the same answers as plain DNS, with a server certificate that a
//! reload replaces.

#[path = "encrypted/client.rs"]
mod client;
mod common;
#[path = "common/test_server.rs"]
mod test_server;

use std::fs;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::process::Command;

use client::{Doh, Dot, Identity};
use common::process::DaemonProcess;
use common::{Client, Lab, Reply, question, read_frame, write_frame};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RData;
use hickory_proto::rr::rdata::opt::EdnsOption;
use plustwo::config;
use test_server::{Behaviour, TestServer};

const DOT: &str = "127.0.0.2";
const DOH: &str = "127.0.0.3";
const HOME: [u8; 4] = [127, 0, 1, 1];
const EC2: &str = "ec2.ap-northeast-1.amazonaws.com";

/// The lab with listeners of every kind. They have different addresses, because all ports are 0.
fn listeners(identity: &Identity) -> String {
    let files = format!("certificate = {:?}\nkey = {:?}\n", identity.certificate, identity.key);
    let mut text = config::BUILT_IN_LAB.to_owned();
    for (address, transport) in [(DOT, "dot"), (DOH, "doh")] {
        text +=
            &format!("\n[[listener]]\naddress = \"{address}:0\"\ntransports = [\"{transport}\"]\n{files}");
    }
    text += &format!(
        "\n[[listener]]\naddress = \"127.0.0.4:0\"\ntransports = [\"dot\"]\nvpc = \"vpc-lab\"\n{files}"
    );
    text + &format!(
        "\n[[listener]]\naddress = \"127.0.0.5:0\"\ntransports = [\"doh\"]\npath = \"/other\"\n{files}"
    )
}

struct EncryptedLab {
    lab: Lab,
    identity: Identity,
    dot: SocketAddr,
    doh: SocketAddr,
    _dir: tempfile::TempDir,
}

impl EncryptedLab {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity::new(dir.path(), "first");
        let lab = Lab::start_with(&listeners(&identity));
        let (dot, doh) = (lab.listeners[1], lab.listeners[2]);
        Self { lab, identity, dot, doh, _dir: dir }
    }
}

/// Queries of every kind whose replies do not rotate.
fn queries() -> Vec<Vec<u8>> {
    let mut no_recursion = question(3, "db.corp.internal", 1, 1, true);
    no_recursion[2] = 0;
    let mut other_version = question(4, "db.corp.internal", 1, 1, true);
    let version_at = other_version.len() - 5;
    other_version[version_at] = 1;
    let mut dnssec = question(5, "db.corp.internal", 1, 1, true);
    let flags_at = dnssec.len() - 4;
    dnssec[flags_at] = 0x80;
    let mut other_opcode = question(6, "db.corp.internal", 1, 1, true);
    other_opcode[2] = 0x11;
    vec![
        question(1, "db.corp.internal", 1, 1, true),
        question(2, "DB.Corp.INTERNAL", 1, 1, true),
        question(7, "db.corp.internal", 1, 1, false),
        question(8, "queue.corp.internal", 1, 1, true),
        question(9, "nope.corp.internal", 1, 1, true),
        question(10, "db.corp.internal", 28, 1, true),
        question(11, "whoami.plustwo", 16, 3, false),
        question(12, "20.1.0.10.in-addr.arpa", 12, 1, true),
        question(13, "db.corp.internal", 252, 1, true),
        question(14, "nowhere.example.net", 65, 1, true),
        no_recursion,
        other_version,
        dnssec,
        other_opcode,
    ]
}

#[test]
fn all_transports_give_the_same_answer() {
    let encrypted = EncryptedLab::new();
    let udp = Client::new(encrypted.lab.dns, HOME.into());
    let mut dot = Dot::connect(encrypted.dot, HOME.into(), &encrypted.identity).unwrap();
    let mut doh = Doh::connect(encrypted.doh, HOME.into(), &encrypted.identity);
    for query in queries() {
        let plain = udp.exchange(&query);
        let expected = Message::from_vec(&plain).unwrap();
        let over_tls = Message::from_vec(&dot.exchange(&query)).unwrap();
        assert_eq!(over_tls.metadata, expected.metadata);
        assert_eq!(over_tls, expected);
        // `Query` compares names without case, but the reply must repeat the name exactly.
        let qname = |message: &Message| message.queries[0].name().to_string();
        assert_eq!(qname(&over_tls), qname(&expected));
        assert_eq!(doh.post(&query), plain, "POST of {}", qname(&expected));
        assert_eq!(doh.get(&query), plain, "GET of {}", qname(&expected));
    }
}

#[test]
fn header_and_extended_rcode_are_preserved() {
    let setting = EncryptedLab::new();
    let mut dot = Dot::connect(setting.dot, HOME.into(), &setting.identity).unwrap();
    let reply = Reply::of(&dot.exchange(&question(1, EC2, 1, 1, true))).message;
    let header = reply.metadata;
    assert!(!header.authoritative && header.recursion_available && header.recursion_desired);
    assert!(!header.authentic_data && !header.checking_disabled && !header.truncation);
    assert_eq!(reply.answers.len(), 2);

    let mut other_version = question(4, "db.corp.internal", 1, 1, true);
    let version_at = other_version.len() - 5;
    other_version[version_at] = 1;
    let reply = Reply::of(&dot.exchange(&other_version)).message;
    assert_eq!(u16::from(reply.metadata.response_code), 16); // BADVERS, which shares its number with BADSIG
}

#[test]
fn extended_errors_and_the_option_are_preserved() {
    let setting = EncryptedLab::new();
    let mut dot = Dot::connect(setting.dot, HOME.into(), &setting.identity).unwrap();
    let mut doh = Doh::connect(setting.doh, HOME.into(), &setting.identity);
    let mut query = question(1, EC2, 1, 1, true);
    query.truncate(query.len() - 2);
    query.extend([0, 4, 0xfd, 0xe9, 0, 0]); // option 65001, empty
    for octets in [dot.exchange(&query), doh.post(&query), doh.get(&query)] {
        let reply = Reply::of(&octets);
        let (code, text) = reply.extended_errors().remove(0);
        assert!(code == 0 && text.starts_with("egress=interface-endpoint via=vpce-ec2"), "{text}");
        let edns = reply.message.edns.unwrap();
        let option = edns.options().as_ref().iter().find_map(|(_, option)| match option {
            EdnsOption::Unknown(65_001, data) => Some(String::from_utf8(data.clone()).unwrap()),
            _ => None,
        });
        let option = option.unwrap();
        assert!(option.starts_with("plustwo/1 {") && option.contains("vpce-ec2"), "{option}");
    }
}

#[test]
fn queries_of_one_connection_may_be_pipelined() {
    let setting = EncryptedLab::new();
    let mut dot = Dot::connect(setting.dot, HOME.into(), &setting.identity).unwrap();
    let (first, second) =
        (question(21, "db.corp.internal", 1, 1, true), question(22, "nope.corp.internal", 1, 1, true));
    dot.send(&[&first, &second]);
    let replies = [Reply::of(&dot.receive()), Reply::of(&dot.receive())];
    assert_eq!(replies.each_ref().map(|reply| reply.message.metadata.id), [21, 22]);
    assert_eq!(replies[0].addresses(), ["10.0.1.20".parse::<IpAddr>().unwrap()]);
    assert_eq!(replies[1].message.metadata.response_code, ResponseCode::NXDomain);
}

/// A query whose OPT record has these options in wire form.
fn with_options(mut query: Vec<u8>, options: &[u8]) -> Vec<u8> {
    let length_at = query.len() - 2;
    query[length_at..].copy_from_slice(&u16::try_from(options.len()).unwrap().to_be_bytes());
    query.extend(options);
    query
}

/// The lab with every listener and a rule whose only target never answers.
fn lab_with_dead_server(identity: &Identity) -> (Lab, TestServer) {
    let dead = TestServer::start(Behaviour::Silent, &[]);
    let rule = format!(
        "\n[[resolver_rule]]\nid = \"rslvr-rr-dead\"\ntype = \"FORWARD\"\ndomain = \"dead.example\"\n\
         targets = [\"{}\"]\nvpcs = [\"vpc-lab\"]\n",
        dead.address
    );
    (Lab::start_with(&(listeners(identity) + &rule)), dead)
}

/// Queries for three names of a dead server, followed by one for a private name, with ID 4.
fn private_name_after_dead_names() -> Vec<Vec<u8>> {
    let dead = (1..4).map(|id| question(id, &format!("n{id}.dead.example"), 1, 1, true));
    dead.chain([question(4, "db.corp.internal", 1, 1, true)]).collect()
}

#[test]
fn a_private_name_does_not_wait_for_a_dead_server_over_tcp_and_tls() {
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity::new(dir.path(), "first");
    let (lab, _dead) = lab_with_dead_server(&identity);
    let queries = private_name_after_dead_names();

    let mut tcp = TcpStream::connect(lab.dns).unwrap();
    tcp.set_read_timeout(Some(common::TIMEOUT)).unwrap();
    for query in &queries {
        write_frame(&mut tcp, query);
    }
    let first = Reply::of(&read_frame(&mut tcp));
    assert_eq!(first.message.metadata.id, 4, "over TCP");

    let mut dot = Dot::connect(lab.listeners[1], HOME.into(), &identity).unwrap();
    dot.send(&queries.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let first = Reply::of(&dot.receive());
    assert_eq!(first.message.metadata.id, 4, "over TLS");
    assert_eq!(first.addresses(), ["10.0.1.20".parse::<IpAddr>().unwrap()]);
}

#[test]
fn a_private_name_does_not_wait_for_a_dead_server_over_https() {
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity::new(dir.path(), "first");
    let (lab, _dead) = lab_with_dead_server(&identity);
    let mut doh = Doh::connect(lab.listeners[2], HOME.into(), &identity);
    assert_eq!(doh.first_reply(&private_name_after_dead_names()).message.metadata.id, 4);
}

#[test]
fn queries_are_answered_after_the_client_has_half_closed() {
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity::new(dir.path(), "first");
    let far = TestServer::start(Behaviour::Honest, &[("www.far.example", "198.51.100.7")]);
    let rule = format!(
        "\n[[resolver_rule]]\nid = \"rslvr-rr-far\"\ntype = \"FORWARD\"\ndomain = \"far.example\"\n\
         targets = [\"{}\"]\nvpcs = [\"vpc-lab\"]\n",
        far.address
    );
    let lab = Lab::start_with(&(listeners(&identity) + &rule));
    let mut dot = Dot::connect(lab.listeners[1], HOME.into(), &identity).unwrap();
    // At the end of the stream, one of them waits for an upstream and the other does not.
    dot.send(&[&question(1, "www.far.example", 1, 1, true), &question(2, "db.corp.internal", 1, 1, true)]);
    dot.half_close();
    let mut answered = [dot.receive(), dot.receive()].map(|reply| Reply::of(&reply).message.metadata.id);
    answered.sort_unstable();
    assert_eq!(answered, [1, 2]);
    assert!(dot.is_closed_in_order(), "close_notify comes before the end of the stream");
}

/// An NXDOMAIN reply to a query, with only a header and the question.
fn nxdomain(query: &[u8]) -> Vec<u8> {
    let question_end = 12 + query[12..].iter().position(|octet| *octet == 0).unwrap() + 5;
    let mut reply = query[..question_end].to_vec();
    reply[2..4].copy_from_slice(&[0x81, 0x83]);
    reply[6..12].fill(0);
    reply
}

#[test]
fn queries_in_flight_are_answered_while_the_daemon_stops() {
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity::new(dir.path(), "first");
    let upstream = UdpSocket::bind("127.0.0.1:0").unwrap();
    upstream.set_read_timeout(Some(common::TIMEOUT)).unwrap();
    let rule = format!(
        "\n[[resolver_rule]]\nid = \"rslvr-rr-far\"\ntype = \"FORWARD\"\ndomain = \"far.example\"\n\
         targets = [\"{}\"]\nvpcs = [\"vpc-lab\"]\n",
        upstream.local_addr().unwrap()
    );
    let lab = Lab::start_with(&(listeners(&identity) + &rule));
    let listener = lab.listeners[1];
    let mut dot = Dot::connect(listener, HOME.into(), &identity).unwrap();
    dot.send(&[&question(7, "www.far.example", 1, 1, true)]);
    let mut query = [0; 512];
    let (length, resolver) = upstream.recv_from(&mut query).unwrap();
    let stopping = std::thread::spawn(move || drop(lab));
    // The daemon has begun to stop once it refuses connections.
    while TcpStream::connect(listener).is_ok() {}
    upstream.send_to(&nxdomain(&query[..length]), resolver).unwrap();
    assert_eq!(Reply::of(&dot.receive()).message.metadata.id, 7);
    assert!(dot.is_closed_in_order());
    stopping.join().unwrap();
}

#[test]
fn idle_connections_over_tls_are_limited_per_client_and_do_not_affect_others() {
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity::new(dir.path(), "first");
    let text = listeners(&identity).replace("[server]\n", "[server]\nmax_tcp_connections_per_client = 3\n");
    let lab = Lab::start_with(&text);
    let idle: Vec<Dot> = (0..3)
        .map(|_| Dot::connect(lab.listeners[1], HOME.into(), &identity).expect("within the limit"))
        .collect();
    for _ in 0..5 {
        assert!(Dot::connect(lab.listeners[1], HOME.into(), &identity).is_err(), "over the limit");
    }
    assert_eq!(lab.metric("plustwo_tcp_connections"), 3.0);
    assert_eq!(lab.metric("plustwo_tcp_connections_refused_total"), 5.0);
    let query = question(1, "db.corp.internal", 1, 1, true);
    let mut other = Dot::connect(lab.listeners[1], [127, 0, 3, 1].into(), &identity).unwrap();
    assert_eq!(Reply::of(&other.exchange(&query)).addresses().len(), 1);
    drop(idle);
}

#[test]
fn a_handshake_times_out_and_a_failed_one_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity::new(dir.path(), "first");
    let text = listeners(&identity).replace("[server]\n", "[server]\ntcp_idle_timeout_s = 1\n");
    let lab = Lab::start_with(&text);
    for listener in [lab.listeners[1], lab.listeners[2]] {
        let mut silent = TcpStream::connect(listener).unwrap();
        silent.set_read_timeout(Some(common::TIMEOUT)).unwrap();
        assert_eq!(std::io::Read::read(&mut silent, &mut [0]).unwrap(), 0, "closed by the server");
        let mut plain = TcpStream::connect(listener).unwrap();
        plain.set_read_timeout(Some(common::TIMEOUT)).unwrap();
        write_frame(&mut plain, &question(1, "db.corp.internal", 1, 1, true));
        // An alert, then the end of the stream.
        std::io::Read::read_to_end(&mut plain, &mut Vec::new()).unwrap();
    }
    lab.wait_for_metric("plustwo_tcp_timeouts_total", 2.0);
    lab.wait_for_metric("plustwo_tls_handshake_errors_total", 2.0);
    lab.wait_for_metric("plustwo_tcp_connections", 0.0);
}

#[test]
fn a_session_is_resumed() {
    let setting = EncryptedLab::new();
    let config = setting.identity.client_config(b"dot");
    let query = question(1, "db.corp.internal", 1, 1, true);
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let mut dot = Dot::connect_with(setting.dot, HOME.into(), config.clone()).unwrap();
        // Tickets arrive with the first reply at the latest.
        dot.exchange(&query);
        kinds.push(dot.handshake_kind());
    }
    assert_eq!(kinds, [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed]);
}

#[test]
fn a_padded_query_gets_a_padded_reply_over_encrypted_transports() {
    let setting = EncryptedLab::new();
    let mut dot = Dot::connect(setting.dot, HOME.into(), &setting.identity).unwrap();
    let mut doh = Doh::connect(setting.doh, HOME.into(), &setting.identity);
    let udp = Client::new(setting.lab.dns, HOME.into());
    for (name, qtype) in
        [("db.corp.internal", 1), ("nope.corp.internal", 1), (EC2, 1), ("s3.amazonaws.com", 28)]
    {
        let plain = question(1, name, qtype, 1, true);
        // Padding of no octets, and some before another option.
        for options in [&b"\0\x0c\0\0"[..], b"\0\x0c\0\x05\0\0\0\0\0\0\x0a\0\x08abcdefgh"] {
            let padded = with_options(plain.clone(), options);
            // The second reply comes from the packet cache.
            for _ in 0..2 {
                for reply in [dot.exchange(&padded), doh.post(&padded), doh.get(&padded)] {
                    assert_eq!(reply.len() % 468, 0, "{name}");
                    assert!(Reply::of(&reply).has_option(12), "{name}");
                }
                for reply in [udp.exchange(&padded), dot.exchange(&plain), doh.post(&plain)] {
                    assert!(!Reply::of(&reply).has_option(12), "{name}");
                }
            }
            let mut tcp = TcpStream::connect(setting.lab.dns).unwrap();
            write_frame(&mut tcp, &padded);
            assert!(!Reply::of(&read_frame(&mut tcp)).has_option(12), "{name}");
        }
    }
    // The reply to a message that is rejected before it is parsed as a query is padded as well.
    let mut other_opcode = with_options(question(4, "db.corp.internal", 1, 1, true), b"");
    other_opcode[2] |= 0x10; // another opcode
    let refused = dot.exchange(&with_options(other_opcode, b"\0\x0c\0\0"));
    assert_eq!((refused.len(), Reply::of(&refused).has_option(12)), (468, true));
}

#[test]
fn the_location_depends_on_the_address_of_the_client() {
    let setting = EncryptedLab::new();
    for from in [[127, 0, 1, 1], [127, 0, 3, 1], [127, 0, 10, 1], [127, 0, 99, 1]] {
        let plain = Client::new(setting.lab.dns, from.into()).query_chaos("whoami.plustwo");
        let query = question(1, "whoami.plustwo", 16, 3, false);
        let mut dot = Dot::connect(setting.dot, from.into(), &setting.identity).unwrap();
        let mut doh = Doh::connect(setting.doh, from.into(), &setting.identity);
        for octets in [dot.exchange(&query), doh.get(&query)] {
            assert_eq!(Reply::of(&octets).strings(), plain);
        }
    }
    // A listener bound to the VPC uses its view for every client.
    let bound = setting.lab.listeners[3];
    let mut dot = Dot::connect(bound, [127, 0, 99, 1].into(), &setting.identity).unwrap();
    let strings = Reply::of(&dot.exchange(&question(1, "whoami.plustwo", 16, 3, false))).strings();
    assert_eq!(strings[..2], ["view=vpc-lab", "place=outside"]);
}

#[test]
fn every_reply_implies_a_connection_and_is_counted_by_transport() {
    let setting = EncryptedLab::new();
    let mut dot = Dot::connect(setting.dot, HOME.into(), &setting.identity).unwrap();
    let mut doh = Doh::connect(setting.doh, HOME.into(), &setting.identity);
    let query = question(1, EC2, 1, 1, true);
    for _ in 0..4 {
        dot.exchange(&query);
        doh.post(&query);
    }
    let implied = |subnet: &str| {
        setting.lab.metric(&format!(
            "plustwo_privatelink_implied_new_connections_total{{endpoint_type=\"Interface\",service_name=\"com.amazonaws.\
             ap-northeast-1.ec2\",subnet_id=\"{subnet}\",vpc_endpoint_id=\"vpce-ec2\",vpc_id=\"vpc-lab\"}}"
        ))
    };
    assert_eq!(implied("subnet-endpoints-a") + implied("subnet-endpoints-c"), 8.0);
    for (server, transport) in [(DOT, "dot"), (DOH, "doh")] {
        let series = format!(
            "plustwo_dns_requests_total{{family=\"ipv4\",server=\"{server}:0\",transport=\"{transport}\",type=\"A\"}}"
        );
        assert_eq!(setting.lab.metric(&series), 4.0, "{series}");
    }
}

#[test]
fn invalid_requests_get_an_http_error_status() {
    /// Method, path, media type, body; status.
    type Case<'a> = (&'a str, &'a str, Option<&'a str>, &'a [u8], u16);

    let setting = EncryptedLab::new();
    let mut doh = Doh::connect(setting.doh, HOME.into(), &setting.identity);
    let query = question(1, "db.corp.internal", 1, 1, true);
    let dns = "application/dns-message";
    let long = vec![0; 65_536];
    let cases: [Case<'_>; 10] = [
        ("POST", "/dns-query", Some(dns), &query, 200),
        ("POST", "/dns-query", Some("Application/DNS-Message; x=y"), &query, 200),
        ("POST", "/other", Some(dns), &query, 404),
        ("GET", "/?dns=AAAA", None, b"", 404),
        ("POST", "/dns-query", Some("application/json"), &query, 415),
        ("POST", "/dns-query", None, &query, 415),
        ("POST", "/dns-query", Some(dns), &long, 413),
        ("PUT", "/dns-query", Some(dns), &query, 405),
        ("GET", "/dns-query", None, b"", 400),
        ("GET", "/dns-query?dns=%2F", None, b"", 400),
    ];
    for (method, path, media_type, body, status) in cases {
        let (found, _) = doh.request(method, path, media_type, body).unwrap();
        assert_eq!(found, status, "{method} {path} {media_type:?}");
    }
    let mut other = Doh::connect(setting.lab.listeners[4], HOME.into(), &setting.identity);
    assert_eq!(other.request("POST", "/other", Some(dns), &query).unwrap().0, 200);
    assert_eq!(other.request("POST", "/dns-query", Some(dns), &query).unwrap().0, 404);
}

#[test]
fn head_is_answered_like_get_without_content() {
    let setting = EncryptedLab::new();
    let mut doh = Doh::connect(setting.doh, HOME.into(), &setting.identity);
    let query = question(1, "db.corp.internal", 1, 1, true);
    let path = format!("/dns-query?dns={}", client::base64url(&query));
    for (path, status) in [(&*path, 200), ("/dns-query", 400), ("/other", 404)] {
        let (get_status, mut headers, content) = doh.full_request("GET", path, None, b"").unwrap();
        let (head_status, head_headers, no_content) = doh.full_request("HEAD", path, None, b"").unwrap();
        assert_eq!((get_status, head_status), (status, status), "{path}");
        assert!(!content.is_empty() && no_content.is_empty(), "{path}");
        // The clock may have advanced by a second.
        headers.insert("date", head_headers["date"].clone());
        assert_eq!(head_headers, headers, "{path}");
        assert_eq!(head_headers["content-length"], content.len().to_string(), "{path}");
    }
    let (_, headers, _) = doh.full_request("PUT", "/dns-query", None, b"").unwrap();
    assert_eq!(headers["allow"], "GET, HEAD, POST");
}

#[test]
fn http_caches_may_store_a_reply_for_the_ttl_of_its_records() {
    let setting = EncryptedLab::new();
    let mut doh = Doh::connect(setting.doh, HOME.into(), &setting.identity);
    let mut cache_control = |query: Vec<u8>| {
        let path = format!("/dns-query?dns={}", client::base64url(&query));
        let (_, headers, content) = doh.full_request("GET", &path, None, b"").unwrap();
        (headers["cache-control"].to_str().unwrap().to_owned(), Reply::of(&content).message)
    };
    let (found, message) = cache_control(question(1, EC2, 1, 1, true));
    let shortest = message.answers.iter().map(|record| record.ttl).min().unwrap();
    assert_eq!(found, format!("private, max-age={shortest}"));
    let (found, message) = cache_control(question(2, "nope.corp.internal", 1, 1, true));
    let RData::SOA(soa) = &message.authorities[0].data else { panic!("no SOA record") };
    assert_eq!(found, format!("private, max-age={}", message.authorities[0].ttl.min(soa.minimum)));
    // Refused: class ANY is not served.
    let (found, message) = cache_control(question(3, "db.corp.internal", 1, 255, true));
    assert_eq!((found.as_str(), message.metadata.response_code), ("no-store", ResponseCode::Refused));
}

#[test]
fn a_request_with_endless_header_fields_is_refused() {
    let setting = EncryptedLab::new();
    let mut doh = Doh::connect(setting.doh, HOME.into(), &setting.identity);
    let query = question(1, "db.corp.internal", 1, 1, true);
    let path = format!("/dns-query?dns={}&x={}", client::base64url(&query), "x".repeat(20_000));
    match doh.request("GET", &path, None, b"") {
        Ok((status, _)) => assert_eq!(status, 431),
        Err(error) => assert!(error.is_reset() || error.is_go_away(), "{error}"),
    }
    Doh::connect(setting.doh, HOME.into(), &setting.identity).post(&query);
}

#[test]
fn a_message_that_is_not_a_query_is_not_answered_and_does_no_harm() {
    let setting = EncryptedLab::new();
    let query = question(1, "db.corp.internal", 1, 1, true);
    let mut response = query.clone();
    response[2] |= 0x80;

    let mut doh = Doh::connect(setting.doh, HOME.into(), &setting.identity);
    for garbage in [&b""[..], b"x", &response] {
        assert!(doh.request("POST", "/dns-query", Some("application/dns-message"), garbage).is_err());
    }
    assert_eq!(Reply::of(&doh.post(&query)).addresses().len(), 1);

    let mut dot = Dot::connect(setting.dot, HOME.into(), &setting.identity).unwrap();
    let malformed = [&query[..12], &[0xff; 20]].concat();
    dot.send(&[&response, &malformed, &query]);
    let code = Reply::of(&dot.receive()).message.metadata.response_code;
    assert_eq!(code, ResponseCode::FormErr);
    assert_eq!(Reply::of(&dot.receive()).addresses().len(), 1);
}

#[test]
fn connections_over_https_count_towards_the_limits_of_tcp() {
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity::new(dir.path(), "first");
    let text = listeners(&identity).replace("[server]\n", "[server]\nmax_tcp_connections_per_client = 1\n");
    let lab = Lab::start_with(&text);
    let query = question(1, "db.corp.internal", 1, 1, true);
    let mut first = Doh::connect(lab.listeners[2], HOME.into(), &identity);
    first.post(&query);
    assert_eq!(lab.metric("plustwo_tcp_connections"), 1.0);
    assert!(Doh::try_connect(lab.listeners[2], HOME.into(), &identity).is_err());
    assert_eq!(lab.metric("plustwo_tcp_connections_refused_total"), 1.0);
    first.post(&query);
}

#[test]
fn encrypted_listeners_are_listed_and_stopped_like_plain_ones() {
    let setting = EncryptedLab::new();
    let page: serde_json::Value = serde_json::from_str(&setting.lab.get("/v1/network")).unwrap();
    let transports: Vec<String> =
        page["listeners"].as_array().unwrap().iter().map(|l| l["transports"].to_string()).collect();
    assert_eq!(transports, [r#"["udp","tcp"]"#, r#"["dot"]"#, r#"["doh"]"#, r#"["dot"]"#, r#"["doh"]"#]);
    assert_eq!(page["listeners"][4]["path"], "/other");

    let mut dot = Dot::connect(setting.dot, HOME.into(), &setting.identity).unwrap();
    let mut doh = Doh::connect(setting.doh, HOME.into(), &setting.identity);
    let query = question(1, "db.corp.internal", 1, 1, true);
    dot.exchange(&query);
    doh.post(&query);
    let EncryptedLab { lab, identity, dot: dot_address, .. } = setting;
    drop(lab);
    assert!(dot.is_closed());
    assert!(doh.request("POST", "/dns-query", Some("application/dns-message"), &query).is_err());
    assert!(Dot::connect(dot_address, HOME.into(), &identity).is_err());
}

#[test]
fn a_reload_replaces_the_certificate_unless_the_new_one_is_invalid() {
    let dir = tempfile::tempdir().unwrap();
    let first = Identity::new(dir.path(), "served");
    let file = dir.path().join("plustwo.toml");
    let listener = format!(
        "address = \"{DOT}:0\"\ntransports = [\"dot\"]\ncertificate = \"served.cert.pem\"\nkey = \"served.key.pem\"\n"
    );
    let lab = fs::read_to_string("config/lab.toml").unwrap();
    let text =
        lab.replace("address = \"127.0.0.1:5300\"\n", &listener).replace("127.0.0.1:9530", "127.0.0.1:0");
    fs::write(&file, text).unwrap();
    let mut served = DaemonProcess::start(file.to_str().unwrap());
    let listener: SocketAddr = served.dns.parse().unwrap();
    let query = question(1, "db.corp.internal", 1, 1, true);
    let mut old = Dot::connect(listener, HOME.into(), &first).unwrap();
    assert_eq!(old.certificate(), first.der);

    let second = Identity::new(dir.path(), "served"); // overwrites the files of the first one
    served.signal("-HUP");
    served.wait_for("Reloaded.");
    let mut new = Dot::connect(listener, HOME.into(), &second).unwrap();
    assert_eq!(new.certificate(), second.der);
    for open in [&mut old, &mut new] {
        assert_eq!(Reply::of(&open.exchange(&query)).addresses().len(), 1);
    }

    fs::copy(&second.key, &second.certificate).unwrap();
    served.signal("-HUP");
    served.wait_for("served.cert.pem` contains no certificate");
    served.wait_for("The configuration is invalid; keeping the previous one.");
    let still = Dot::connect(listener, HOME.into(), &second).unwrap();
    assert_eq!(still.certificate(), second.der);
    served.signal("-TERM");
    served.wait_for("Stopped.");
}

#[test]
fn configuration_errors_are_reported_at_their_location() {
    let dir = tempfile::tempdir().unwrap();
    Identity::new(dir.path(), "one");
    Identity::new(dir.path(), "two");
    let file = dir.path().join("plustwo.toml");
    let pem = |certificate: &str, key: &str| format!("certificate = \"{certificate}\"\nkey = \"{key}\"\n");
    let good = pem("one.cert.pem", "one.key.pem");
    let cases = [
        (format!("transports = [\"dot\", \"tcp\"]\n{good}"), ":2:11: error[listener]", "combines plain DNS"),
        (format!("transports = [\"dot\", \"doh\"]\n{good}"), ":2:11: error[listener]", "combines plain DNS"),
        ("transports = [\"dot\"]\n".to_owned(), ":2:11: error[missing-key]", "missing key `certificate`"),
        (
            format!("transports = [\"tcp\"]\n{good}"),
            ":4:15: error[listener]",
            "plain DNS, which has no `certificate`",
        ),
        (
            format!("transports = [\"dot\"]\npath = \"/dns-query\"\n{good}"),
            ":4:8: error[listener]",
            "which has no `path`",
        ),
        (
            format!("transports = [\"doh\"]\npath = \"dns-query\"\n{good}"),
            ":4:8: error[listener]",
            "invalid URL path",
        ),
        (
            format!("transports = [\"doh\"]\n{}", pem("one.cert.pem", "none.pem")),
            ":5:7: error[unreadable-file]",
            "none.pem",
        ),
        (
            format!("transports = [\"doh\"]\n{}", pem("one.key.pem", "one.key.pem")),
            ":4:15: error[certificate]",
            "contains no certificate",
        ),
        (
            format!("transports = [\"doh\"]\n{}", pem("one.cert.pem", "one.cert.pem")),
            ":5:7: error[certificate]",
            "contains no private key",
        ),
        (
            format!("transports = [\"dot\"]\n{}", pem("one.cert.pem", "two.key.pem")),
            ":5:7: error[certificate]",
            "is not the key of the certificate in",
        ),
    ];
    for (keys, location, message) in cases {
        fs::write(&file, format!("[[listener]]\naddress = \"127.0.0.1:853\"\n{keys}")).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_plustwo"))
            .args(["check", "--config", file.to_str().unwrap()])
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{keys}{stderr}");
        assert!(stderr.contains(location) && stderr.contains(message), "{keys}{stderr}");
        assert!(!stderr.contains("BEGIN "), "{stderr}");
    }
}

#[test]
fn kdig_is_answered() {
    let setting = EncryptedLab::new();
    let commands =
        [(setting.dot, &["+tls"][..]), (setting.doh, &["+https"]), (setting.doh, &["+https", "+https-get"])];
    for (listener, options) in commands {
        let kdig = Command::new("kdig")
            .args(["-b", "127.0.1.1", &format!("@{}", listener.ip()), "-p", &listener.port().to_string()])
            .args(options)
            .args(["db.corp.internal", "A"])
            .output();
        let Ok(output) = kdig else {
            println!("skipped: kdig is not installed");
            return;
        };
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(stdout.contains("status: NOERROR") && stdout.contains("10.0.1.20"), "{options:?}: {stdout}");
        assert!(stdout.contains("egress=local"), "{options:?}: {stdout}");
    }
}
