//! Queries to name servers with different behaviours.

#[path = "../common/mod.rs"]
mod common;
mod encrypted;
mod files;
mod scripts;
#[path = "../common/test_server.rs"]
mod test_server;

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use plustwo::dns::{Answer, Class, Ede, Name, Query, Question, Rcode, Rdata, RecordType, RrSet};
use plustwo::observe::{Observer, ObserverOptions};
use plustwo::serve::upstream::{Unanswered, UpstreamOptions, Upstreams};
use plustwo::world::{Order, Server, ServerTransport, Upstream, UpstreamIdentity};
use scripts::{error, formerr_to_edns, good, reply, silent};
use test_server::{Behaviour, TestServer};

/// Upstreams, and the observer with their metrics.
struct Fixture {
    upstreams: Upstreams,
    observer: Observer,
}

impl Fixture {
    fn new(options: UpstreamOptions) -> Self {
        let query_log = plustwo::config::QueryLog::default();
        let observer = Observer::new(ObserverOptions { query_log, remembered_lookups: 1 }).unwrap();
        Self { upstreams: Upstreams::new(options, observer.forward().clone()), observer }
    }

    /// The sum of all series with this prefix.
    fn metric(&self, series: &str) -> f64 {
        let text = self.observer.render();
        let values = text.lines().filter(|line| line.starts_with(series));
        values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Waits until every server of an upstream is backing off.
    async fn wait_until_backing_off(&self, upstream: &Upstream) {
        while !self.upstreams.is_backing_off(upstream) {
            tokio::task::yield_now().await;
        }
    }

    async fn query(&self, upstream: &Upstream, name: &str) -> Result<Answer, Unanswered> {
        self.upstreams.query(upstream, &question(name), |_, _| {}).await
    }
}

impl Default for Fixture {
    fn default() -> Self {
        Self::new(options())
    }
}

/// Timeouts that are long enough for loopback under load and short enough for a test.
fn options() -> UpstreamOptions {
    UpstreamOptions {
        try_timeout: Duration::from_secs(3),
        total_timeout: Duration::from_secs(9),
        ..UpstreamOptions::default()
    }
}

/// Short timeouts, for servers that do not reply.
fn short_timeouts() -> UpstreamOptions {
    UpstreamOptions {
        try_timeout: Duration::from_millis(30),
        total_timeout: Duration::from_secs(5),
        probe_timeout: Duration::from_millis(30),
        ..options()
    }
}

/// Whether a query is for this name, regardless of case.
fn is_query_for(query: &[u8], name: &str) -> bool {
    let qname = Query::parse(query).unwrap().question.qname;
    qname == Name::parse(name).unwrap()
}

fn question(name: &str) -> Question {
    Question { qname: Name::parse(name).unwrap(), qtype: RecordType::A, qclass: Class::IN }
}

fn upstream(servers: impl IntoIterator<Item = Server>) -> Upstream {
    let servers: Vec<Server> = servers.into_iter().collect();
    let identity = UpstreamIdentity { servers: servers.into(), order: Order::Random, sources: Arc::from([]) };
    Upstream { name: "rslvr-rr-corp".into(), identity }
}

/// A server with a script, and an upstream with only this server.
async fn single_server(
    script: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + Sync + 'static,
) -> (TestServer, Upstream) {
    let server = TestServer::udp(script);
    let upstream = upstream([server.server()]);
    (server, upstream)
}

/// A server with a closed port.
fn closed_port() -> Server {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    Server::new(socket.local_addr().unwrap(), ServerTransport::Udp)
}

fn is_good(answer: &Result<Answer, Unanswered>) -> bool {
    answer.as_ref().is_ok_and(|answer| answer.answer.len() == 1 && answer.rcode == Rcode::NOERROR)
}

#[tokio::test]
async fn answers_are_returned_unchanged() {
    let (server, upstream) = single_server(good).await;
    let fixture = Fixture::default();
    let answer = fixture.query(&upstream, "a.example").await.unwrap();
    assert_eq!(answer.answer[0].ttl, 60);
    assert_eq!(answer.answer[0].owner, question("a.example").qname);
    assert_eq!(server.received_count(), 1);
    let requests = format!("plustwo_forward_requests_total{{source=\"\",to=\"{}\"}}", server.address);
    assert_eq!(fixture.metric(&requests), 1.0);
    assert_eq!(fixture.metric("plustwo_forward_in_flight "), 0.0);
    assert_eq!(fixture.upstreams.health(), [(server.address.to_string(), true)]);
    fixture.upstreams.retain(&[]);
    assert!(fixture.upstreams.health().is_empty());
}

#[tokio::test]
async fn negative_answers_and_cname_chains_are_returned_unchanged() {
    let rdata = |rtype, text| vec![Rdata::parse(rtype, text).unwrap()];
    let owner = |text| Name::parse(text).unwrap();
    let soa = RrSet::new(owner("example"), RecordType::SOA, 9, rdata(RecordType::SOA, "a. b. 1 2 3 4 5"));
    let ns = RrSet::new(owner("example"), RecordType::NS, 9, rdata(RecordType::NS, "ns.example."));
    let cname = RrSet::new(owner("a.example"), RecordType::CNAME, 8, rdata(RecordType::CNAME, "b.example."));
    let end = RrSet::new(owner("b.example"), RecordType::A, 7, rdata(RecordType::A, "192.0.2.2"));
    let answers = [Answer::nxdomain(soa.clone()), Answer::no_data(soa), Answer::noerror(vec![cname, end])];
    for mut expected in answers {
        let mut sent = expected.clone();
        sent.authority.push(ns.clone());
        // The TTL of a denial is the smaller one of its SOA record's TTL and MINIMUM field (RFC 2308 section
        // 5).
        expected.authority.iter_mut().for_each(|soa| soa.ttl = 5);
        let (_server, upstream) = single_server(move |message| vec![reply(message, &sent)]).await;
        assert_eq!(Fixture::default().query(&upstream, "a.example").await, Ok(expected));
    }
}

#[tokio::test]
async fn a_silent_server_is_retried_then_probed_and_then_backs_off() {
    let (server, upstream) = single_server(silent).await;
    let fixture = Fixture::new(short_timeouts());
    let Unanswered { ede, .. } = fixture.query(&upstream, "a.example").await.unwrap_err();
    assert_eq!(ede.code, Ede::NO_REACHABLE_AUTHORITY);
    assert!(ede.text.starts_with(&format!("rslvr-rr-corp: {} timed out", server.address)), "{}", ede.text);
    fixture.wait_until_backing_off(&upstream).await;
    assert_eq!(fixture.upstreams.health(), [(server.address.to_string(), false)]);
    assert_eq!(fixture.metric("plustwo_forward_servers_backing_off"), 1.0);
    let count = |name: &str| {
        server.received.lock().unwrap().iter().filter(|(_, query)| is_query_for(query, name)).count()
    };
    assert!((1..=3).contains(&count("a.example")), "three attempts, unless the probe was quicker");
    assert_eq!(count("."), 2, "a probe is sent twice");
    // From now on, queries fail immediately and nothing is sent.
    let Unanswered { ede, .. } = fixture.query(&upstream, "b.example").await.unwrap_err();
    assert_eq!(ede.text, format!("rslvr-rr-corp: {} timed out (backing off)", server.address));
    assert_eq!(ede.code, Ede::NO_REACHABLE_AUTHORITY);
    assert_eq!(count("b.example"), 0);
    assert_eq!(fixture.metric("plustwo_forward_backed_off_total "), 1.0);
    // Removing the upstream removes its servers from the gauge.
    fixture.upstreams.retain(&[]);
    assert_eq!(fixture.metric("plustwo_forward_servers_backing_off"), 0.0);
}

#[tokio::test]
async fn a_server_that_backs_off_receives_single_trials_and_recovers_with_a_reply() {
    let is_dead = Arc::new(AtomicBool::new(true));
    let dead = is_dead.clone();
    let (server, upstream) =
        single_server(move |query| if dead.load(Ordering::Relaxed) { Vec::new() } else { good(query) }).await;
    let fixture = Arc::new(Fixture::new(short_timeouts()));
    assert!(fixture.query(&upstream, "first.example").await.is_err());
    fixture.wait_until_backing_off(&upstream).await;
    // The trial is due a second later. Until then, every query fails immediately; then one is sent.
    let before = server.received_count();
    let mut queries = 0;
    while server.received_count() == before {
        queries += 1;
        assert!(fixture.query(&upstream, &format!("{queries}.example")).await.is_err());
    }
    assert_eq!(server.received_count(), before + 1, "one of {queries} queries was sent");
    is_dead.store(false, Ordering::Relaxed);
    while fixture.query(&upstream, "first.example").await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(fixture.metric("plustwo_forward_servers_backing_off"), 0.0);
    for index in 0..20 {
        assert!(is_good(&fixture.query(&upstream, &format!("{index}.back.example")).await));
    }
}

#[tokio::test]
async fn a_failed_query_is_not_repeated_immediately() {
    let (server, upstream) = single_server(error(Rcode::SERVFAIL)).await;
    let fixture = Fixture::default();
    assert!(fixture.query(&upstream, "a.example").await.is_err());
    let Unanswered { ede, .. } = fixture.query(&upstream, "a.example").await.unwrap_err();
    assert!(ede.text.ends_with(" answered SERVFAIL (cached)"), "{}", ede.text);
    assert_eq!(fixture.metric("plustwo_forward_failure_cache_hits_total "), 1.0);
    assert!(fixture.query(&upstream, "b.example").await.is_err());
    assert_eq!(server.received_count(), 2, "a query with another question is sent");
}

#[tokio::test]
async fn slow_names_do_not_make_a_server_back_off() {
    // Replies only to the probe, like a recursive server whose authoritative servers are down.
    let slow = |query: &[u8]| if is_query_for(query, ".") { good(query) } else { Vec::new() };
    let (server, upstream) = single_server(slow).await;
    let fixture = Fixture::new(short_timeouts());
    for index in 0..5 {
        assert!(fixture.query(&upstream, &format!("{index}.example")).await.is_err());
    }
    let probes =
        || server.received.lock().unwrap().iter().filter(|(_, query)| is_query_for(query, ".")).count();
    while probes() == 0 {
        tokio::task::yield_now().await;
    }
    assert!(!fixture.upstreams.is_backing_off(&upstream));
    assert_eq!(fixture.metric("plustwo_forward_servers_backing_off"), 0.0);
}

#[tokio::test]
async fn another_server_is_queried_if_one_fails() {
    let failing = [
        TestServer::udp(error(Rcode::SERVFAIL)),
        TestServer::udp(error(Rcode::REFUSED)),
        TestServer::udp(|message| vec![message[..2].to_vec()]),
        // Only a header, with incorrect counts of questions and answers.
        TestServer::udp(|message| vec![[&message[..2], &[0x80, 0, 0, 0, 255, 255, 0, 0, 0, 0]].concat()]),
        TestServer::start(Behaviour::Closed, &[]),
    ];
    let server = TestServer::udp(good);
    for other in failing {
        let upstream = upstream([other.server(), server.server()]);
        let fixture = Fixture::default();
        for index in 0..8 {
            assert!(is_good(&fixture.query(&upstream, &format!("{index}.example")).await));
        }
    }
}

#[tokio::test]
async fn if_all_servers_fail_the_error_lists_each() {
    let servfail = TestServer::udp(error(Rcode::SERVFAIL));
    let refused = closed_port();
    let to = refused.to_string();
    let fixture = Fixture::default();
    let Unanswered { ede, .. } =
        fixture.query(&upstream([servfail.server(), refused]), "a.example").await.unwrap_err();
    assert_eq!(ede.code, Ede::NETWORK_ERROR);
    assert!(ede.text.contains(&format!("{to} refused the connection")), "{}", ede.text);
    assert!(ede.text.contains(&format!("{} answered SERVFAIL", servfail.address)), "{}", ede.text);
    let Unanswered { ede, .. } = fixture.query(&upstream([closed_port()]), "a.example").await.unwrap_err();
    assert!(ede.text.ends_with(" refused the connection"), "{}", ede.text);
    assert_eq!(ede.code, Ede::NO_REACHABLE_AUTHORITY);
}

/// The messages that a server sends for a query.
type Replies = Vec<Vec<u8>>;

/// A boxed script.
type AnyScript = Box<dyn Fn(&[u8]) -> Replies + Send + Sync>;

/// Scripts whose replies match no query: another ID, another name, another type, and one octet.
fn mismatched_replies() -> [fn(&[u8]) -> Replies; 4] {
    let wrong_id = |message: &[u8]| {
        let mut sent = good(message).remove(0);
        sent[0] ^= 0x55;
        vec![sent]
    };
    let wrong_name = |message: &[u8]| {
        let mut sent = good(message).remove(0);
        sent[13] = b'z';
        vec![sent]
    };
    let wrong_type = |message: &[u8]| {
        let mut sent = good(message).remove(0);
        let end = 12 + message[12..].iter().position(|octet| *octet == 0).unwrap();
        sent[end + 2] = 28;
        vec![sent]
    };
    let garbage = |_: &[u8]| vec![vec![1]];
    [wrong_id, wrong_name, wrong_type, garbage]
}

#[tokio::test]
async fn the_correct_reply_is_accepted_after_mismatched_ones() {
    for script in mismatched_replies() {
        for strays in [1, 2, 10] {
            let sends = move |query: &[u8]| {
                let mut sent: Vec<_> = (0..strays).flat_map(|_| script(query)).collect();
                sent.extend(good(query));
                sent
            };
            let (server, upstream) = single_server(sends).await;
            let fixture = Fixture::default();
            assert!(is_good(&fixture.query(&upstream, "a.example").await));
            assert_eq!(server.received_count(), 1, "one query, regardless of mismatched replies");
            let mismatches = "plustwo_forward_failures_total{reason=\"mismatch\"";
            assert_eq!(fixture.metric(mismatches), f64::from(strays));
        }
    }
}

#[tokio::test]
async fn a_query_with_only_mismatched_replies_is_sent_over_tcp() {
    for script in mismatched_replies() {
        let fixture = Fixture::new(short_timeouts());
        let server = TestServer::both(script, good);
        assert!(is_good(&fixture.query(&upstream([server.server()]), "a.example").await));
        // Without TCP there is no answer.
        let (_server, alone) = single_server(script).await;
        assert!(fixture.query(&alone, "a.example").await.is_err());
    }
}

#[tokio::test]
async fn a_socket_with_many_mismatches_is_closed_and_the_query_is_sent_over_tcp() {
    let guesses = |query: &[u8]| {
        let id = u16::from_be_bytes([query[0], query[1]]);
        let guess = |step: u16| [&id.wrapping_add(step).to_be_bytes()[..], &good(query)[0][2..]].concat();
        (1..=20).map(guess).chain(good(query)).collect()
    };
    let server = TestServer::both(guesses, good);
    // The timeouts are too long to end the query.
    let fixture = Fixture::new(UpstreamOptions {
        try_timeout: Duration::from_secs(60),
        total_timeout: Duration::from_secs(60),
        ..options()
    });
    assert!(is_good(&fixture.query(&upstream([server.server()]), "a.example").await));
    assert_eq!(server.received_count(), 2);
    assert_eq!(fixture.metric("plustwo_forward_failures_total{reason=\"mismatch\""), 16.0);
}

#[tokio::test]
async fn case_is_mixed_until_a_server_is_found_not_to_preserve_it() {
    let lowering = |message: &[u8]| {
        let mut sent = good(message).remove(0);
        sent[12..].iter_mut().for_each(|octet| octet.make_ascii_lowercase());
        vec![sent]
    };
    let (server, upstream) = single_server(lowering).await;
    let fixture = Fixture::default();
    let name = "a-name-with-many-letters-in-it.and-some-more.example";
    assert!(is_good(&fixture.query(&upstream, name).await));
    assert_eq!(server.received_count(), 3);
    assert_eq!(fixture.metric("plustwo_forward_case_given_up_total"), 1.0);
    assert!(is_good(&fixture.query(&upstream, &format!("another.{name}")).await));
    assert_eq!(server.received_count(), 4);
    let received = server.received.lock().unwrap();
    let has_upper = |index: usize| received[index].1[12..].iter().any(u8::is_ascii_uppercase);
    assert_eq!([0, 1, 2, 3].map(has_upper), [true, true, false, false]);
}

#[tokio::test]
async fn configured_limitations_of_a_server_are_respected() {
    let server = TestServer::udp(good);
    let name = "a-name-with-many-letters-in-it.and-some-more.example";
    for (edns, case) in [(false, true), (true, false), (false, false)] {
        let fixture = Fixture::default();
        let upstream = upstream([Server { edns, case, ..server.server() }]);
        for index in 0..3 {
            assert!(is_good(&fixture.query(&upstream, &format!("{index}.{name}")).await));
        }
        let received = std::mem::take(&mut *server.received.lock().unwrap());
        assert_eq!(received.len(), 3);
        for (_, message) in received {
            assert_eq!(message[11], u8::from(edns), "the number of additional records");
            let question = &message[12..message.len() - if edns { 11 } else { 0 }];
            assert_eq!(question.iter().any(u8::is_ascii_uppercase), case);
        }
        assert_eq!(fixture.metric("plustwo_forward_case_given_up_total"), 0.0, "configured, not observed");
    }
}

#[tokio::test]
async fn replies_from_another_address_are_ignored() {
    // The server replies from another port. A connected socket does not receive these replies.
    let other = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let socket = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
            other.send_to(&good(&buffer[..length])[0], peer).unwrap();
        }
    });
    let fixture = Fixture::new(UpstreamOptions { try_timeout: Duration::from_millis(30), ..options() });
    let upstream = upstream([Server::new(address, ServerTransport::Udp)]);
    assert!(fixture.query(&upstream, "a.example").await.is_err());
    assert_eq!(fixture.metric("plustwo_forward_failures_total{reason=\"mismatch\""), 0.0);
}

#[tokio::test]
async fn truncated_answers_are_fetched_over_one_tcp_connection() {
    let truncated = |message: &[u8]| {
        let mut sent = reply(message, &Answer::empty(Rcode::NOERROR));
        sent[2] |= 2;
        vec![sent]
    };
    let server = TestServer::both(truncated, good);
    let upstream = upstream([server.server()]);
    let fixture = Fixture::default();
    for index in 0..5 {
        assert!(is_good(&fixture.query(&upstream, &format!("{index}.example")).await));
    }
    let received = server.received.lock().unwrap();
    let over_tcp: HashSet<SocketAddr> = received.iter().skip(1).step_by(2).map(|(peer, _)| *peer).collect();
    assert_eq!((received.len(), over_tcp.len()), (10, 1));
}

#[tokio::test]
async fn queries_use_the_source_address_of_the_servers_family() {
    let server = TestServer::both(good, good);
    let tcp = Server::new(server.address, ServerTransport::Tcp);
    for one in [server.server(), tcp] {
        let mut upstream = upstream([one]);
        upstream.identity.sources = ["2001:db8::1", "127.0.0.5"].map(|text| text.parse().unwrap()).into();
        assert!(is_good(&Fixture::default().query(&upstream, "a.example").await));
    }
    let received = server.received.lock().unwrap();
    let sources: Vec<String> = received.iter().map(|(peer, _)| peer.ip().to_string()).collect();
    assert_eq!(sources, ["127.0.0.5", "127.0.0.5"]);
}

/// A TCP server with a script, and an upstream with only this server.
async fn single_tcp_server(
    script: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + Sync + 'static,
) -> (TestServer, Upstream) {
    let server = TestServer::both(silent, script);
    let tcp = Server { transport: ServerTransport::Tcp, ..server.server() };
    (server, upstream([tcp]))
}

#[tokio::test]
async fn on_a_connection_a_mismatched_reply_fails_only_the_query_with_its_id() {
    let bare = |rcode: u8| {
        move |query: &[u8]| vec![[&query[..2], &[0x81, 0x80 | rcode, 0, 0, 0, 0, 0, 0, 0, 0]].concat()]
    };
    let mut scripts: Vec<AnyScript> =
        vec![Box::new(bare(2)), Box::new(bare(5)), Box::new(|_| vec![Vec::new()])];
    for script in mismatched_replies() {
        scripts.push(Box::new(script));
    }
    for script in scripts {
        let (server, upstream) =
            single_tcp_server(
                move |query| if is_query_for(query, "odd.example") { script(query) } else { good(query) },
            )
            .await;
        let fixture = Arc::new(Fixture::default());
        let mut queries = tokio::task::JoinSet::new();
        for index in 0..30 {
            let (fixture, upstream) = (fixture.clone(), upstream.clone());
            queries.spawn(async move { fixture.query(&upstream, &format!("{index}.example")).await });
        }
        let odd = fixture.query(&upstream, "odd.example").await;
        assert!(odd.is_err());
        assert!(queries.join_all().await.iter().all(is_good));
        let received = server.received.lock().unwrap();
        let others = received
            .iter()
            .filter(|(_, query)| !is_query_for(query, "odd.example") && !is_query_for(query, "."));
        assert_eq!(others.count(), 30, "no other query was repeated");
    }
}

#[tokio::test]
async fn queries_are_distributed_over_the_source_addresses() {
    let server = TestServer::both(good, good);
    for transport in [ServerTransport::Udp, ServerTransport::Tcp] {
        let mut upstream = upstream([Server { transport, ..server.server() }]);
        upstream.identity.sources = ["127.0.0.5", "127.0.0.6"].map(|text| text.parse().unwrap()).into();
        let fixture = Fixture::default();
        for index in 0..60 {
            assert!(is_good(&fixture.query(&upstream, &format!("{index}.example")).await));
        }
        let sources: HashSet<String> =
            server.received.lock().unwrap().drain(..).map(|(peer, _)| peer.ip().to_string()).collect();
        assert_eq!(sources, HashSet::from(["127.0.0.5".to_owned(), "127.0.0.6".to_owned()]));
        for source in ["127.0.0.5", "127.0.0.6"] {
            let series = format!("plustwo_forward_requests_total{{source=\"{source}\"");
            assert!(fixture.metric(&series) > 0.0);
        }
    }
}

#[tokio::test]
async fn a_source_address_that_this_host_lacks_is_reported_and_another_is_used() {
    let server = TestServer::udp(good);
    let mut upstream = upstream([server.server()]);
    upstream.identity.sources = ["192.0.2.99", "127.0.0.6"].map(|text| text.parse().unwrap()).into();
    let fixture = Fixture::default();
    for index in 0..20 {
        assert!(is_good(&fixture.query(&upstream, &format!("{index}.example")).await));
    }
    assert_eq!(fixture.metric("plustwo_forward_servers_backing_off{source=\"192.0.2.99\""), 1.0);
    assert_eq!(fixture.metric("plustwo_forward_servers_backing_off{source=\"127.0.0.6\""), 0.0);
    upstream.identity.sources = ["192.0.2.99"].map(|text| text.parse().unwrap()).into();
    for suffix in ["", " (backing off)"] {
        let Unanswered { ede, .. } = fixture.query(&upstream, "a.example").await.unwrap_err();
        let expected_error = "was not queried: this host does not have the source address 192.0.2.99";
        let server = server.address;
        let error = format!("{expected_error}{suffix}");
        assert_eq!(ede.text, format!("rslvr-rr-corp: {server} from 192.0.2.99 {error}"));
        assert_eq!(ede.code, Ede::NETWORK_ERROR);
    }
}

#[tokio::test]
async fn if_the_path_from_one_source_address_fails_the_other_is_used() {
    // The server replies only to one of the source addresses, as if the link of the other were down.
    let socket = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let server = Server::new(socket.local_addr().unwrap(), ServerTransport::Udp);
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
            if peer.ip() == Ipv4Addr::new(127, 0, 0, 6) {
                socket.send_to(&good(&buffer[..length])[0], peer).await.unwrap();
            }
        }
    });
    let mut upstream = upstream([server]);
    upstream.identity.sources = ["127.0.0.5", "127.0.0.6"].map(|text| text.parse().unwrap()).into();
    let fixture = Fixture::new(short_timeouts());
    for index in 0..40 {
        assert!(is_good(&fixture.query(&upstream, &format!("{index}.example")).await), "{index}");
    }
    assert!(!fixture.upstreams.is_backing_off(&upstream));
}

#[tokio::test]
async fn the_timeout_is_increased_for_a_slow_server() {
    // Each reply arrives shortly after its attempt has timed out.
    let late = Behaviour::Delayed(Duration::from_millis(250), Behaviour::script(good).into());
    let server = TestServer::start(late, &[]);
    let fixture = Fixture::new(UpstreamOptions {
        try_timeout: Duration::from_millis(200),
        total_timeout: Duration::from_secs(60),
        ..options()
    });
    let upstream = upstream([server.server()]);
    // The first queries may fail. Then the timeout is sufficient, and the server does not back off.
    let mut answered = false;
    for index in 0..10 {
        answered = is_good(&fixture.query(&upstream, &format!("{index}.example")).await);
    }
    assert!(answered && !fixture.upstreams.is_backing_off(&upstream));
}

#[tokio::test]
async fn one_mismatched_reply_does_not_fail_a_query() {
    let has_replied = AtomicBool::new(false);
    let (server, upstream) = single_server(move |message| {
        let first = !has_replied.swap(true, Ordering::Relaxed);
        if first { vec![vec![0; 40]] } else { good(message) }
    })
    .await;
    // The correct reply never arrives and the server has no TCP, so another attempt is made over UDP.
    assert!(is_good(&Fixture::new(short_timeouts()).query(&upstream, "a.example").await));
    assert_eq!(server.received_count(), 2);
}

#[tokio::test]
async fn a_connection_closed_by_the_server_is_reopened() {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let server = Server::new(listener.local_addr().unwrap(), ServerTransport::Tcp);
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        // One query per connection.
        while let Ok((mut stream, _)) = listener.accept().await {
            let length = stream.read_u16().await.unwrap();
            let mut message = vec![0; usize::from(length)];
            stream.read_exact(&mut message).await.unwrap();
            let sent = good(&message).remove(0);
            stream.write_u16(sent.len() as u16).await.unwrap();
            stream.write_all(&sent).await.unwrap();
        }
    });
    let fixture = Fixture::default();
    let upstream = upstream([server]);
    for index in 0..10 {
        assert!(is_good(&fixture.query(&upstream, &format!("{index}.example")).await));
    }
}

#[tokio::test]
async fn many_queries_can_be_in_flight_at_once() {
    let server = TestServer::both(good, good);
    let tcp = Server::new(server.address, ServerTransport::Tcp);
    for server in [server.server(), tcp] {
        let fixture = Arc::new(Fixture::default());
        let upstream = upstream([server]);
        let mut queries = tokio::task::JoinSet::new();
        // More would not fit into the server's default receive buffer.
        for index in 0..100 {
            let (fixture, upstream) = (fixture.clone(), upstream.clone());
            queries.spawn(async move { fixture.query(&upstream, &format!("{index}.example")).await });
        }
        assert!(queries.join_all().await.iter().all(is_good));
        assert_eq!(fixture.metric("plustwo_forward_requests_total"), 100.0);
    }
}

#[tokio::test]
async fn edns_is_omitted_for_servers_that_do_not_support_it() {
    let (server, upstream) = single_server(formerr_to_edns).await;
    let fixture = Fixture::default();
    assert!(is_good(&fixture.query(&upstream, "a.example").await));
    assert_eq!(server.received_count(), 2);
    assert!(is_good(&fixture.query(&upstream, "b.example").await));
    assert_eq!(server.received_count(), 3);
}

#[tokio::test]
async fn identical_queries_share_one_request_that_outlives_the_first_client() {
    let socket = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let server = Server::new(socket.local_addr().unwrap(), ServerTransport::Udp);
    let upstream = upstream([server]);
    let fixture = Fixture::default();
    let mut first = Box::pin(fixture.query(&upstream, "a.example"));
    let mut buffer = [0; 512];
    let (length, peer) = tokio::select! {
        received = socket.recv_from(&mut buffer) => received.unwrap(),
        _ = &mut first => panic!("no reply has been sent"),
    };
    drop(first);
    let others =
        async { tokio::join!(fixture.query(&upstream, "a.example"), fixture.query(&upstream, "a.example")) };
    let send = async { socket.send_to(&good(&buffer[..length])[0], peer).await.unwrap() };
    let ((second, third), _) = tokio::join!(others, send);
    assert!(is_good(&second) && is_good(&third));
    assert_eq!(fixture.metric("plustwo_forward_shared_total "), 2.0);
    assert_eq!(fixture.metric("plustwo_forward_requests_total"), 1.0);
}

#[tokio::test]
async fn each_batch_of_queries_is_sent_from_one_random_port() {
    let (server, upstream) = single_server(good).await;
    let fixture = Arc::new(Fixture::default());
    for batch in 0..20 {
        let mut queries = tokio::task::JoinSet::new();
        for index in 0..10 {
            let (fixture, upstream) = (fixture.clone(), upstream.clone());
            queries.spawn(async move { fixture.query(&upstream, &format!("{index}.{batch}.example")).await });
        }
        assert!(queries.join_all().await.iter().all(is_good));
    }
    let received = server.received.lock().unwrap();
    let ports: Vec<HashSet<u16>> =
        received.chunks(10).map(|batch| batch.iter().map(|(peer, _)| peer.port()).collect()).collect();
    assert!(ports.iter().all(|batch| batch.len() == 1), "{ports:?}");
    let all: HashSet<u16> = ports.iter().flatten().copied().collect();
    assert!(all.len() > 5, "{} ports of 64 in 20 batches", all.len());
}

#[test]
fn workers_share_queries_and_the_sockets_of_ended_workers_are_closed() {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let server = Server::new(socket.local_addr().unwrap(), ServerTransport::Udp);
    let (fixture, upstream) = (Fixture::default(), upstream([server]));
    let worker = |name: &str| {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build_local(Default::default()).unwrap();
        runtime.block_on(fixture.query(&upstream, name))
    };
    let receive = || {
        let mut buffer = [0; 512];
        let (length, peer) = socket.recv_from(&mut buffer).unwrap();
        (buffer[..length].to_vec(), peer)
    };
    std::thread::scope(|scope| {
        let first = scope.spawn(|| worker("a.example"));
        let (message, peer) = receive();
        let second = scope.spawn(|| worker("a.example"));
        while fixture.metric("plustwo_forward_shared_total ") < 1.0 {
            std::thread::yield_now();
        }
        socket.send_to(&good(&message)[0], peer).unwrap();
        assert!(is_good(&first.join().unwrap()) && is_good(&second.join().unwrap()));
        // Their runtimes have ended, which closed their sockets.
        assert_eq!(fixture.metric("plustwo_forward_sockets "), 0.0);
        let third = scope.spawn(|| worker("b.example"));
        let (message, peer) = receive();
        assert!(fixture.upstreams.is_own_socket(peer));
        socket.send_to(&good(&message)[0], peer).unwrap();
        assert!(is_good(&third.join().unwrap()));
        assert!(!fixture.upstreams.is_own_socket(peer));
    });
    assert_eq!(fixture.metric("plustwo_forward_requests_total"), 2.0);
}

#[tokio::test]
async fn ports_and_ids_are_random() {
    let (server, upstream) = single_server(good).await;
    let fixture = Fixture::new(UpstreamOptions { reopen_after: 20, ..options() });
    for index in 0..2000 {
        assert!(is_good(&fixture.query(&upstream, &format!("{index}.example")).await));
    }
    let received = server.received.lock().unwrap();
    let ports: HashSet<u16> = received.iter().map(|(peer, _)| peer.port()).collect();
    let ids: HashSet<[u8; 2]> = received.iter().map(|(_, message)| [message[0], message[1]]).collect();
    assert!(ports.len() >= 100, "{} ports", ports.len());
    // Among 2000 random 16-bit numbers, 30 collisions are expected.
    assert!(ids.len() > 1900, "{} IDs", ids.len());
    let high: HashSet<u8> = ids.iter().map(|id| id[0]).collect();
    assert!(high.len() > 240, "{} high octets", high.len());
    println!("{} ports, {} IDs of {} queries", ports.len(), ids.len(), received.len());
}

#[tokio::test]
async fn queries_beyond_the_limit_in_flight_are_rejected() {
    let (_server, upstream) = single_server(silent).await;
    let fixture = Fixture::new(UpstreamOptions { max_in_flight: 1, ..options() });
    let (first, second) =
        tokio::join!(fixture.query(&upstream, "a.example"), fixture.query(&upstream, "b.example"));
    assert!(first.is_err());
    let text = second.unwrap_err().ede.text;
    assert_eq!(text, "rslvr-rr-corp: too many queries: 1 in flight for this upstream, limit 1 in total");
    assert_eq!(fixture.metric("plustwo_forward_in_flight_refused_total "), 1.0);
}

#[tokio::test]
async fn the_fastest_server_is_queried_first() {
    let fast = TestServer::udp(good);
    let dead = TestServer::udp(silent);
    let mut upstream = upstream([dead.server(), fast.server()]);
    upstream.identity.order = Order::Latency;
    let fixture = Fixture::new(UpstreamOptions { try_timeout: Duration::from_millis(150), ..options() });
    for index in 0..100 {
        assert!(is_good(&fixture.query(&upstream, &format!("{index}.example")).await));
    }
    assert!(dead.received_count() < 40, "{}", dead.received_count());
}
