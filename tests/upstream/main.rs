//! Asking name servers: what comes of each way in which they can behave.

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
use scripts::{before_edns, error, good, reply, silent};
use test_server::{Behaviour, TestServer};

/// Upstreams with short waits, and the observer that counts for them.
struct Bench {
    upstreams: Upstreams,
    observer: Observer,
}

impl Bench {
    fn new(options: UpstreamOptions) -> Self {
        let query_log = plustwo::config::QueryLog::default();
        let observer = Observer::new(ObserverOptions { query_log, remembered_lookups: 1 }).unwrap();
        Self { upstreams: Upstreams::new(options, observer.forward().clone()), observer }
    }

    /// The sum of all series that begin like this.
    fn metric(&self, series: &str) -> f64 {
        let text = self.observer.render();
        let values = text.lines().filter(|line| line.starts_with(series));
        values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Waits until every server of an upstream has been given up.
    async fn until_given_up(&self, upstream: &Upstream) {
        while !self.upstreams.is_backing_off(upstream) {
            tokio::task::yield_now().await;
        }
    }

    async fn ask(&self, upstream: &Upstream, name: &str) -> Result<Answer, Unanswered> {
        self.upstreams.query(upstream, &question(name), |_, _| {}).await
    }
}

impl Default for Bench {
    fn default() -> Self {
        Self::new(options())
    }
}

/// Long enough for loopback under load, short enough to wait for.
fn options() -> UpstreamOptions {
    UpstreamOptions {
        try_timeout: Duration::from_secs(3),
        total_timeout: Duration::from_secs(9),
        ..UpstreamOptions::default()
    }
}

/// Time-outs as short as a silent server allows.
fn impatient() -> UpstreamOptions {
    UpstreamOptions {
        try_timeout: Duration::from_millis(30),
        total_timeout: Duration::from_secs(5),
        probe_timeout: Duration::from_millis(30),
        ..options()
    }
}

/// Whether a query is for this name, in whatever case.
fn asks(query: &[u8], name: &str) -> bool {
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

/// An upstream of one server with a script.
async fn only(script: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + Sync + 'static) -> (TestServer, Upstream) {
    let server = TestServer::udp(script);
    let upstream = upstream([server.server()]);
    (server, upstream)
}

/// A port that nobody listens on.
fn closed() -> Server {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    Server::new(socket.local_addr().unwrap(), ServerTransport::Udp)
}

fn is_good(answer: &Result<Answer, Unanswered>) -> bool {
    answer.as_ref().is_ok_and(|answer| answer.answer.len() == 1 && answer.rcode == Rcode::NOERROR)
}

#[tokio::test]
async fn answers_are_passed_as_they_are() {
    let (server, upstream) = only(good).await;
    let bench = Bench::default();
    let answer = bench.ask(&upstream, "a.example").await.unwrap();
    assert_eq!(answer.answer[0].ttl, 60);
    assert_eq!(answer.answer[0].owner, question("a.example").qname);
    assert_eq!(server.asked(), 1);
    let requests = format!("plustwo_forward_requests_total{{source=\"\",to=\"{}\"}}", server.address);
    assert_eq!(bench.metric(&requests), 1.0);
    assert_eq!(bench.metric("plustwo_forward_in_flight "), 0.0);
    assert_eq!(bench.upstreams.health(), [(server.address.to_string(), true)]);
    bench.upstreams.retain(&[]);
    assert!(bench.upstreams.health().is_empty());
}

#[tokio::test]
async fn negative_answers_and_chains_are_passed_as_they_are() {
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
        // The TTL of a denial is the smaller one of its SOA record's TTL and MINIMUM field (RFC 2308 section 5).
        expected.authority.iter_mut().for_each(|soa| soa.ttl = 5);
        let (_server, upstream) = only(move |message| vec![reply(message, &sent)]).await;
        assert_eq!(Bench::default().ask(&upstream, "a.example").await, Ok(expected));
    }
}

#[tokio::test]
async fn a_silent_server_is_tried_again_and_then_probed_and_given_up() {
    let (server, upstream) = only(silent).await;
    let bench = Bench::new(impatient());
    let Unanswered { ede, .. } = bench.ask(&upstream, "a.example").await.unwrap_err();
    assert_eq!(ede.code, Ede::NO_REACHABLE_AUTHORITY);
    assert!(ede.text.starts_with(&format!("rslvr-rr-corp: {} timed out", server.address)), "{}", ede.text);
    bench.until_given_up(&upstream).await;
    assert_eq!(bench.upstreams.health(), [(server.address.to_string(), false)]);
    assert_eq!(bench.metric("plustwo_forward_servers_backing_off"), 1.0);
    let of = |name: &str| server.seen.lock().unwrap().iter().filter(|(_, query)| asks(query, name)).count();
    assert!((1..=3).contains(&of("a.example")), "three tries, unless the probe was quicker");
    assert_eq!(of("."), 2, "a probe is sent twice");
    // From now on nothing is sent, and nobody waits.
    let Unanswered { ede, .. } = bench.ask(&upstream, "b.example").await.unwrap_err();
    assert_eq!(ede.text, format!("rslvr-rr-corp: {} timed out (backing off)", server.address));
    assert_eq!(ede.code, Ede::NO_REACHABLE_AUTHORITY);
    assert_eq!(of("b.example"), 0);
    assert_eq!(bench.metric("plustwo_forward_backed_off_total "), 1.0);
    // What an upstream's gauge counts goes with it.
    bench.upstreams.retain(&[]);
    assert_eq!(bench.metric("plustwo_forward_servers_backing_off"), 0.0);
}

#[tokio::test]
async fn a_server_that_is_given_up_gets_one_query_at_a_time_and_returns_with_its_reply() {
    let is_dead = Arc::new(AtomicBool::new(true));
    let dead = is_dead.clone();
    let (server, upstream) =
        only(move |query| if dead.load(Ordering::Relaxed) { Vec::new() } else { good(query) }).await;
    let bench = Arc::new(Bench::new(impatient()));
    assert!(bench.ask(&upstream, "first.example").await.is_err());
    bench.until_given_up(&upstream).await;
    // The trial is due a second later. Until then every query fails at once; then one at a time is sent.
    let before = server.asked();
    let mut asked = 0;
    while server.asked() == before {
        asked += 1;
        assert!(bench.ask(&upstream, &format!("{asked}.example")).await.is_err());
    }
    assert_eq!(server.asked(), before + 1, "of {asked} questions one was sent");
    is_dead.store(false, Ordering::Relaxed);
    while bench.ask(&upstream, "first.example").await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.metric("plustwo_forward_servers_backing_off"), 0.0);
    for index in 0..20 {
        assert!(is_good(&bench.ask(&upstream, &format!("{index}.back.example")).await));
    }
}

#[tokio::test]
async fn a_question_that_failed_is_not_sent_again_for_a_while() {
    let (server, upstream) = only(error(Rcode::SERVFAIL)).await;
    let bench = Bench::default();
    assert!(bench.ask(&upstream, "a.example").await.is_err());
    let Unanswered { ede, .. } = bench.ask(&upstream, "a.example").await.unwrap_err();
    assert!(ede.text.ends_with(" answered SERVFAIL (cached)"), "{}", ede.text);
    assert_eq!(bench.metric("plustwo_forward_failure_cache_hits_total "), 1.0);
    assert!(bench.ask(&upstream, "b.example").await.is_err());
    assert_eq!(server.asked(), 2, "another question is sent");
}

#[tokio::test]
async fn slow_names_do_not_give_a_server_up() {
    // Silent about what strangers may ask of it, as a recursive server whose authorities are dead.
    let slow = |query: &[u8]| if asks(query, ".") { good(query) } else { Vec::new() };
    let (server, upstream) = only(slow).await;
    let bench = Bench::new(impatient());
    for index in 0..5 {
        assert!(bench.ask(&upstream, &format!("{index}.example")).await.is_err());
    }
    let probes = || server.seen.lock().unwrap().iter().filter(|(_, query)| asks(query, ".")).count();
    while probes() == 0 {
        tokio::task::yield_now().await;
    }
    assert!(!bench.upstreams.is_backing_off(&upstream));
    assert_eq!(bench.metric("plustwo_forward_servers_backing_off"), 0.0);
}

#[tokio::test]
async fn another_server_answers_for_one_that_does_not() {
    let failing = [
        TestServer::udp(error(Rcode::SERVFAIL)),
        TestServer::udp(error(Rcode::REFUSED)),
        TestServer::udp(|message| vec![message[..2].to_vec()]),
        // The header alone, with a count of answers that is a lie.
        TestServer::udp(|message| vec![[&message[..2], &[0x80, 0, 0, 0, 255, 255, 0, 0, 0, 0]].concat()]),
        TestServer::start(Behaviour::Closed, &[]),
    ];
    let server = TestServer::udp(good);
    for other in failing {
        let upstream = upstream([other.server(), server.server()]);
        let bench = Bench::default();
        for index in 0..8 {
            assert!(is_good(&bench.ask(&upstream, &format!("{index}.example")).await));
        }
    }
}

#[tokio::test]
async fn nobody_is_left() {
    let servfail = TestServer::udp(error(Rcode::SERVFAIL));
    let refused = closed();
    let to = refused.to_string();
    let bench = Bench::default();
    let Unanswered { ede, .. } =
        bench.ask(&upstream([servfail.server(), refused]), "a.example").await.unwrap_err();
    assert_eq!(ede.code, Ede::NETWORK_ERROR);
    assert!(ede.text.contains(&format!("{to} refused the connection")), "{}", ede.text);
    assert!(ede.text.contains(&format!("{} answered SERVFAIL", servfail.address)), "{}", ede.text);
    let Unanswered { ede, .. } = bench.ask(&upstream([closed()]), "a.example").await.unwrap_err();
    assert!(ede.text.ends_with(" refused the connection"), "{}", ede.text);
    assert_eq!(ede.code, Ede::NO_REACHABLE_AUTHORITY);
}

/// What a server sends back for a message.
type Replies = Vec<Vec<u8>>;

/// A script of any kind.
type AnyScript = Box<dyn Fn(&[u8]) -> Replies + Send + Sync>;

/// Replies that fit no query: to another ID, another name, another type; and no reply at all.
fn unfit() -> [fn(&[u8]) -> Replies; 4] {
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
async fn the_right_reply_is_heard_after_some_that_fit_no_query() {
    for script in unfit() {
        for strays in [1, 2, 10] {
            let sends = move |query: &[u8]| {
                let mut sent: Vec<_> = (0..strays).flat_map(|_| script(query)).collect();
                sent.extend(good(query));
                sent
            };
            let (server, upstream) = only(sends).await;
            let bench = Bench::default();
            assert!(is_good(&bench.ask(&upstream, "a.example").await));
            assert_eq!(server.asked(), 1, "one query, whatever came before its reply");
            let mismatches = "plustwo_forward_failures_total{reason=\"mismatch\"";
            assert_eq!(bench.metric(mismatches), f64::from(strays));
        }
    }
}

#[tokio::test]
async fn a_query_that_only_unfit_replies_came_to_goes_over_tcp() {
    for script in unfit() {
        let bench = Bench::new(impatient());
        let server = TestServer::both(script, good);
        assert!(is_good(&bench.ask(&upstream([server.server()]), "a.example").await));
        // Without TCP there is no answer.
        let (_server, alone) = only(script).await;
        assert!(bench.ask(&alone, "a.example").await.is_err());
    }
}

#[tokio::test]
async fn a_socket_at_which_somebody_guesses_is_closed_and_the_query_goes_over_tcp() {
    let guesses = |query: &[u8]| {
        let id = u16::from_be_bytes([query[0], query[1]]);
        let guess = |step: u16| [&id.wrapping_add(step).to_be_bytes()[..], &good(query)[0][2..]].concat();
        (1..=20).map(guess).chain(good(query)).collect()
    };
    let server = TestServer::both(guesses, good);
    // Waiting for the time-out of a try is not what ends it.
    let bench = Bench::new(UpstreamOptions {
        try_timeout: Duration::from_secs(60),
        total_timeout: Duration::from_secs(60),
        ..options()
    });
    assert!(is_good(&bench.ask(&upstream([server.server()]), "a.example").await));
    assert_eq!(server.asked(), 2);
    assert_eq!(bench.metric("plustwo_forward_failures_total{reason=\"mismatch\""), 16.0);
}

#[tokio::test]
async fn case_is_mixed_until_a_server_loses_it() {
    let lowering = |message: &[u8]| {
        let mut sent = good(message).remove(0);
        sent[12..].iter_mut().for_each(|octet| octet.make_ascii_lowercase());
        vec![sent]
    };
    let (server, upstream) = only(lowering).await;
    let bench = Bench::default();
    let name = "a-name-with-many-letters-in-it.and-some-more.example";
    assert!(is_good(&bench.ask(&upstream, name).await));
    assert_eq!(server.asked(), 3);
    assert_eq!(bench.metric("plustwo_forward_case_given_up_total"), 1.0);
    assert!(is_good(&bench.ask(&upstream, &format!("another.{name}")).await));
    assert_eq!(server.asked(), 4);
    let seen = server.seen.lock().unwrap();
    let has_upper = |index: usize| seen[index].1[12..].iter().any(u8::is_ascii_uppercase);
    assert_eq!([0, 1, 2, 3].map(has_upper), [true, true, false, false]);
}

#[tokio::test]
async fn a_server_without_edns_or_mixed_case_is_never_sent_them() {
    let server = TestServer::udp(good);
    let name = "a-name-with-many-letters-in-it.and-some-more.example";
    for (edns, case) in [(false, true), (true, false), (false, false)] {
        let bench = Bench::default();
        let upstream = upstream([Server { edns, case, ..server.server() }]);
        for index in 0..3 {
            assert!(is_good(&bench.ask(&upstream, &format!("{index}.{name}")).await));
        }
        let seen = std::mem::take(&mut *server.seen.lock().unwrap());
        assert_eq!(seen.len(), 3);
        for (_, message) in seen {
            assert_eq!(message[11], u8::from(edns), "the number of additional records");
            let question = &message[12..message.len() - if edns { 11 } else { 0 }];
            assert_eq!(question.iter().any(u8::is_ascii_uppercase), case);
        }
        assert_eq!(bench.metric("plustwo_forward_case_given_up_total"), 0.0, "nothing was found out");
    }
}

#[tokio::test]
async fn a_stranger_is_not_heard() {
    // The server's answer comes from another port; a connected socket never sees it.
    let other = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let socket = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
            other.send_to(&good(&buffer[..length])[0], peer).unwrap();
        }
    });
    let bench = Bench::new(UpstreamOptions { try_timeout: Duration::from_millis(30), ..options() });
    let upstream = upstream([Server::new(address, ServerTransport::Udp)]);
    assert!(bench.ask(&upstream, "a.example").await.is_err());
    assert_eq!(bench.metric("plustwo_forward_failures_total{reason=\"mismatch\""), 0.0);
}

#[tokio::test]
async fn what_is_truncated_comes_over_tcp_on_one_connection() {
    let truncated = |message: &[u8]| {
        let mut sent = reply(message, &Answer::empty(Rcode::NOERROR));
        sent[2] |= 2;
        vec![sent]
    };
    let server = TestServer::both(truncated, good);
    let upstream = upstream([server.server()]);
    let bench = Bench::default();
    for index in 0..5 {
        assert!(is_good(&bench.ask(&upstream, &format!("{index}.example")).await));
    }
    let seen = server.seen.lock().unwrap();
    let over_tcp: HashSet<SocketAddr> = seen.iter().skip(1).step_by(2).map(|(peer, _)| *peer).collect();
    assert_eq!((seen.len(), over_tcp.len()), (10, 1));
}

#[tokio::test]
async fn queries_leave_from_the_source_of_the_servers_family() {
    let server = TestServer::both(good, good);
    let tcp = Server::new(server.address, ServerTransport::Tcp);
    for one in [server.server(), tcp] {
        let mut upstream = upstream([one]);
        upstream.identity.sources = ["2001:db8::1", "127.0.0.5"].map(|text| text.parse().unwrap()).into();
        assert!(is_good(&Bench::default().ask(&upstream, "a.example").await));
    }
    let seen = server.seen.lock().unwrap();
    let sources: Vec<String> = seen.iter().map(|(peer, _)| peer.ip().to_string()).collect();
    assert_eq!(sources, ["127.0.0.5", "127.0.0.5"]);
}

/// A TCP server, and an upstream that it is the only server of. Each message gets what the script returns.
async fn only_tcp(script: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + Sync + 'static) -> (TestServer, Upstream) {
    let server = TestServer::both(silent, script);
    let tcp = Server { transport: ServerTransport::Tcp, ..server.server() };
    (server, upstream([tcp]))
}

#[tokio::test]
async fn on_a_connection_an_unfit_reply_fails_the_query_with_its_id_and_no_other() {
    let bare = |rcode: u8| {
        move |query: &[u8]| vec![[&query[..2], &[0x81, 0x80 | rcode, 0, 0, 0, 0, 0, 0, 0, 0]].concat()]
    };
    let mut scripts: Vec<AnyScript> =
        vec![Box::new(bare(2)), Box::new(bare(5)), Box::new(|_| vec![Vec::new()])];
    for script in unfit() {
        scripts.push(Box::new(script));
    }
    for script in scripts {
        let (server, upstream) =
            only_tcp(move |query| if asks(query, "odd.example") { script(query) } else { good(query) }).await;
        let bench = Arc::new(Bench::default());
        let mut asking = tokio::task::JoinSet::new();
        for index in 0..30 {
            let (bench, upstream) = (bench.clone(), upstream.clone());
            asking.spawn(async move { bench.ask(&upstream, &format!("{index}.example")).await });
        }
        let odd = bench.ask(&upstream, "odd.example").await;
        assert!(odd.is_err());
        assert!(asking.join_all().await.iter().all(is_good));
        let seen = server.seen.lock().unwrap();
        let of_others = seen.iter().filter(|(_, query)| !asks(query, "odd.example") && !asks(query, "."));
        assert_eq!(of_others.count(), 30, "no other query was sent again");
    }
}

#[tokio::test]
async fn queries_are_spread_over_the_source_addresses() {
    let server = TestServer::both(good, good);
    for transport in [ServerTransport::Udp, ServerTransport::Tcp] {
        let mut upstream = upstream([Server { transport, ..server.server() }]);
        upstream.identity.sources = ["127.0.0.5", "127.0.0.6"].map(|text| text.parse().unwrap()).into();
        let bench = Bench::default();
        for index in 0..60 {
            assert!(is_good(&bench.ask(&upstream, &format!("{index}.example")).await));
        }
        let sources: HashSet<String> =
            server.seen.lock().unwrap().drain(..).map(|(peer, _)| peer.ip().to_string()).collect();
        assert_eq!(sources, HashSet::from(["127.0.0.5".to_owned(), "127.0.0.6".to_owned()]));
        for source in ["127.0.0.5", "127.0.0.6"] {
            let series = format!("plustwo_forward_requests_total{{source=\"{source}\"");
            assert!(bench.metric(&series) > 0.0);
        }
    }
}

#[tokio::test]
async fn a_source_address_that_this_host_does_not_have_is_blamed_and_another_is_used() {
    let server = TestServer::udp(good);
    let mut upstream = upstream([server.server()]);
    upstream.identity.sources = ["192.0.2.99", "127.0.0.6"].map(|text| text.parse().unwrap()).into();
    let bench = Bench::default();
    for index in 0..20 {
        assert!(is_good(&bench.ask(&upstream, &format!("{index}.example")).await));
    }
    assert_eq!(bench.metric("plustwo_forward_servers_backing_off{source=\"192.0.2.99\""), 1.0);
    assert_eq!(bench.metric("plustwo_forward_servers_backing_off{source=\"127.0.0.6\""), 0.0);
    upstream.identity.sources = ["192.0.2.99"].map(|text| text.parse().unwrap()).into();
    for expected in ["", " (backing off)"] {
        let Unanswered { ede, .. } = bench.ask(&upstream, "a.example").await.unwrap_err();
        let blame = "was not queried: this host does not have the source address 192.0.2.99";
        let server = server.address;
        let cached = if expected.is_empty() { "" } else { expected };
        assert_eq!(ede.text, format!("rslvr-rr-corp: {server} from 192.0.2.99 {blame}{cached}"));
        assert_eq!(ede.code, Ede::NETWORK_ERROR);
    }
}

#[tokio::test]
async fn with_the_path_from_one_source_address_dead_the_other_carries_the_queries() {
    // Replies only to one of the source addresses, as when the link of the other is down.
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
    let bench = Bench::new(impatient());
    for index in 0..40 {
        assert!(is_good(&bench.ask(&upstream, &format!("{index}.example")).await), "{index}");
    }
    assert!(!bench.upstreams.is_backing_off(&upstream));
}

#[tokio::test]
async fn a_slow_server_is_granted_more_time() {
    // Each reply comes a little later than a try waits.
    let late = Behaviour::Late(Duration::from_millis(250), Behaviour::script(good).into());
    let server = TestServer::start(late, &[]);
    let bench = Bench::new(UpstreamOptions {
        try_timeout: Duration::from_millis(200),
        total_timeout: Duration::from_secs(60),
        ..options()
    });
    let upstream = upstream([server.server()]);
    // The first questions may find out; the server is neither given up nor out of reach.
    let mut answered = false;
    for index in 0..10 {
        answered = is_good(&bench.ask(&upstream, &format!("{index}.example")).await);
    }
    assert!(answered && !bench.upstreams.is_backing_off(&upstream));
}

#[tokio::test]
async fn one_stray_reply_costs_nothing() {
    let strayed = AtomicBool::new(false);
    let (server, upstream) = only(move |message| {
        let first = !strayed.swap(true, Ordering::Relaxed);
        if first { vec![vec![0; 40]] } else { good(message) }
    })
    .await;
    // Its own reply never comes, and there is no TCP: another try over UDP is left.
    assert!(is_good(&Bench::new(impatient()).ask(&upstream, "a.example").await));
    assert_eq!(server.asked(), 2);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_is_made_anew() {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let server = Server::new(listener.local_addr().unwrap(), ServerTransport::Tcp);
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        // One question for each connection.
        while let Ok((mut stream, _)) = listener.accept().await {
            let length = stream.read_u16().await.unwrap();
            let mut message = vec![0; usize::from(length)];
            stream.read_exact(&mut message).await.unwrap();
            let sent = good(&message).remove(0);
            stream.write_u16(sent.len() as u16).await.unwrap();
            stream.write_all(&sent).await.unwrap();
        }
    });
    let bench = Bench::default();
    let upstream = upstream([server]);
    for index in 0..10 {
        assert!(is_good(&bench.ask(&upstream, &format!("{index}.example")).await));
    }
}

#[tokio::test]
async fn many_questions_are_in_flight_at_once() {
    let server = TestServer::both(good, good);
    let tcp = Server::new(server.address, ServerTransport::Tcp);
    for server in [server.server(), tcp] {
        let bench = Arc::new(Bench::default());
        let upstream = upstream([server]);
        let mut asking = tokio::task::JoinSet::new();
        // More would not fit into the server's receive buffer, as the system makes it.
        for index in 0..100 {
            let (bench, upstream) = (bench.clone(), upstream.clone());
            asking.spawn(async move { bench.ask(&upstream, &format!("{index}.example")).await });
        }
        assert!(asking.join_all().await.iter().all(is_good));
        assert_eq!(bench.metric("plustwo_forward_requests_total"), 100.0);
    }
}

#[tokio::test]
async fn edns_is_left_out_for_servers_before_it() {
    let (server, upstream) = only(before_edns).await;
    let bench = Bench::default();
    assert!(is_good(&bench.ask(&upstream, "a.example").await));
    assert_eq!(server.asked(), 2);
    assert!(is_good(&bench.ask(&upstream, "b.example").await));
    assert_eq!(server.asked(), 3);
}

#[tokio::test]
async fn equal_questions_share_one_that_goes_on_without_the_first() {
    let socket = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let server = Server::new(socket.local_addr().unwrap(), ServerTransport::Udp);
    let upstream = upstream([server]);
    let bench = Bench::default();
    let mut first = Box::pin(bench.ask(&upstream, "a.example"));
    let mut buffer = [0; 512];
    let (length, peer) = tokio::select! {
        received = socket.recv_from(&mut buffer) => received.unwrap(),
        _ = &mut first => panic!("nobody answered yet"),
    };
    drop(first);
    let others = async { tokio::join!(bench.ask(&upstream, "a.example"), bench.ask(&upstream, "a.example")) };
    let send = async { socket.send_to(&good(&buffer[..length])[0], peer).await.unwrap() };
    let ((second, third), _) = tokio::join!(others, send);
    assert!(is_good(&second) && is_good(&third));
    assert_eq!(bench.metric("plustwo_forward_shared_total "), 2.0);
    assert_eq!(bench.metric("plustwo_forward_requests_total"), 1.0);
}

#[tokio::test]
async fn questions_of_one_turn_leave_from_one_port_and_those_of_others_from_others() {
    let (server, upstream) = only(good).await;
    let bench = Arc::new(Bench::default());
    for turn in 0..20 {
        let mut asking = tokio::task::JoinSet::new();
        for index in 0..10 {
            let (bench, upstream) = (bench.clone(), upstream.clone());
            asking.spawn(async move { bench.ask(&upstream, &format!("{index}.{turn}.example")).await });
        }
        assert!(asking.join_all().await.iter().all(is_good));
    }
    let seen = server.seen.lock().unwrap();
    let ports: Vec<HashSet<u16>> =
        seen.chunks(10).map(|turn| turn.iter().map(|(peer, _)| peer.port()).collect()).collect();
    assert!(ports.iter().all(|turn| turn.len() == 1), "{ports:?}");
    let all: HashSet<u16> = ports.iter().flatten().copied().collect();
    assert!(all.len() > 5, "{} ports of 64 in 20 turns", all.len());
}

#[test]
fn workers_share_a_question_and_outlive_each_other() {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let server = Server::new(socket.local_addr().unwrap(), ServerTransport::Udp);
    let (bench, upstream) = (Bench::default(), upstream([server]));
    let worker = |name: &str| {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build_local(Default::default()).unwrap();
        runtime.block_on(bench.ask(&upstream, name))
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
        while bench.metric("plustwo_forward_shared_total ") < 1.0 {
            std::thread::yield_now();
        }
        socket.send_to(&good(&message)[0], peer).unwrap();
        assert!(is_good(&first.join().unwrap()) && is_good(&second.join().unwrap()));
        // Their runtimes are gone, and so are their sockets.
        assert_eq!(bench.metric("plustwo_forward_sockets "), 0.0);
        let third = scope.spawn(|| worker("b.example"));
        let (message, peer) = receive();
        assert!(bench.upstreams.is_own_socket(peer));
        socket.send_to(&good(&message)[0], peer).unwrap();
        assert!(is_good(&third.join().unwrap()));
        assert!(!bench.upstreams.is_own_socket(peer));
    });
    assert_eq!(bench.metric("plustwo_forward_requests_total"), 2.0);
}

#[tokio::test]
async fn ports_and_ids_are_spread() {
    let (server, upstream) = only(good).await;
    let bench = Bench::new(UpstreamOptions { reopen_after: 20, ..options() });
    for index in 0..2000 {
        assert!(is_good(&bench.ask(&upstream, &format!("{index}.example")).await));
    }
    let seen = server.seen.lock().unwrap();
    let ports: HashSet<u16> = seen.iter().map(|(peer, _)| peer.port()).collect();
    let ids: HashSet<[u8; 2]> = seen.iter().map(|(_, message)| [message[0], message[1]]).collect();
    assert!(ports.len() >= 100, "{} ports", ports.len());
    // Of 2000 random numbers of 16 bits, 30 meet another on average.
    assert!(ids.len() > 1900, "{} IDs", ids.len());
    let high: HashSet<u8> = ids.iter().map(|id| id[0]).collect();
    assert!(high.len() > 240, "{} high octets", high.len());
    println!("{} ports, {} IDs of {} queries", ports.len(), ids.len(), seen.len());
}

#[tokio::test]
async fn more_than_may_be_in_flight_are_not_asked() {
    let (_server, upstream) = only(silent).await;
    let bench = Bench::new(UpstreamOptions { max_in_flight: 1, ..options() });
    let (first, second) = tokio::join!(bench.ask(&upstream, "a.example"), bench.ask(&upstream, "b.example"));
    assert!(first.is_err());
    let text = second.unwrap_err().ede.text;
    assert_eq!(text, "rslvr-rr-corp: 1 of at most 1 queries in flight are for these servers already");
    assert_eq!(bench.metric("plustwo_forward_in_flight_refused_total "), 1.0);
}

#[tokio::test]
async fn the_quickest_is_asked_first() {
    let quick = TestServer::udp(good);
    let dead = TestServer::udp(silent);
    let mut upstream = upstream([dead.server(), quick.server()]);
    upstream.identity.order = Order::Latency;
    let bench = Bench::new(UpstreamOptions { try_timeout: Duration::from_millis(150), ..options() });
    for index in 0..100 {
        assert!(is_good(&bench.ask(&upstream, &format!("{index}.example")).await));
    }
    assert!(dead.asked() < 40, "{}", dead.asked());
}
