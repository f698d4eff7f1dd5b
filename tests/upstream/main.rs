//! Asking name servers: what comes of each way in which they can behave.

mod encrypted;
mod scripted;

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use plustwo::dns::{Answer, Class, Ede, Name, Question, Rcode, Rdata, RecordType, RrSet};
use plustwo::observe::{Observer, ObserverOptions};
use plustwo::serve::upstream::{Unanswered, UpstreamOptions, Upstreams};
use plustwo::world::{Order, Server, ServerTransport, Upstream, UpstreamIdentity};
use scripted::{Scripted, before_edns, error, good, reply, silent};

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

    async fn ask(&self, upstream: &Upstream, name: &str) -> Result<Answer, Unanswered> {
        self.upstreams.ask(upstream, &question(name)).await
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
        try_timeout: Duration::from_millis(700),
        total_timeout: Duration::from_millis(2100),
        ..UpstreamOptions::default()
    }
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
async fn only(script: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + Sync + 'static) -> (Scripted, Upstream) {
    let server = Scripted::udp(script).await;
    let upstream = upstream([server.server()]);
    (server, upstream)
}

/// A port that nobody listens on.
fn closed() -> Server {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    Server { address: socket.local_addr().unwrap(), transport: ServerTransport::Udp }
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
    assert_eq!(server.count(), 1);
    let requests = format!("plustwo_forward_requests_total{{to=\"{}\"}}", server.address);
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
    let answers = [Answer::nxdomain(soa.clone()), Answer::no_data(soa), Answer::of(vec![cname, end])];
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
async fn a_dead_server_is_asked_again_and_then_given_up() {
    let (server, upstream) = only(silent).await;
    let bench = Bench::new(UpstreamOptions {
        try_timeout: Duration::from_millis(30),
        total_timeout: Duration::from_secs(5),
        ..options()
    });
    let Unanswered { ede } = bench.ask(&upstream, "a.example").await.unwrap_err();
    assert_eq!(ede.code, Ede::NO_REACHABLE_AUTHORITY);
    assert_eq!(ede.text, format!("rslvr-rr-corp: {} timed out", server.address));
    assert_eq!(server.count(), 3);
    assert_eq!(bench.metric("plustwo_forward_failures_total{reason=\"timeout\""), 3.0);
    assert_eq!(bench.upstreams.health(), [(server.address.to_string(), false)]);

    // It is remembered that the question failed.
    let Unanswered { ede } = bench.ask(&upstream, "a.example").await.unwrap_err();
    assert!(ede.text.ends_with(" (cached)"), "{}", ede.text);
    assert_eq!(ede.code, Ede::NO_REACHABLE_AUTHORITY);
    assert_eq!(server.count(), 3);
    assert_eq!(bench.metric("plustwo_forward_failure_cache_hits_total "), 1.0);
}

#[tokio::test]
async fn another_server_answers_for_one_that_does_not() {
    let failing = [
        Scripted::udp(error(Rcode::SERVFAIL)).await.server(),
        Scripted::udp(error(Rcode::REFUSED)).await.server(),
        Scripted::udp(|message| vec![message[..2].to_vec()]).await.server(),
        closed(),
        Scripted::udp(|message| {
            // The header alone, with a count of answers that is a lie.
            vec![[&message[..2], &[0x80, 0, 0, 0, 255, 255, 0, 0, 0, 0]].concat()]
        })
        .await
        .server(),
    ];
    let server = Scripted::udp(good).await;
    for other in failing {
        let upstream = upstream([other, server.server()]);
        let bench = Bench::default();
        for index in 0..8 {
            assert!(is_good(&bench.ask(&upstream, &format!("{index}.example")).await));
        }
    }
}

#[tokio::test]
async fn nobody_is_left() {
    let servfail = Scripted::udp(error(Rcode::SERVFAIL)).await;
    let refused = closed();
    let to = refused.to_string();
    let bench = Bench::default();
    let Unanswered { ede } =
        bench.ask(&upstream([servfail.server(), refused]), "a.example").await.unwrap_err();
    assert_eq!(ede.code, Ede::NETWORK_ERROR);
    assert!(ede.text.contains(&format!("{to} refused the connection")), "{}", ede.text);
    assert!(ede.text.contains(&format!("{} answered SERVFAIL", servfail.address)), "{}", ede.text);
    let Unanswered { ede } = bench.ask(&upstream([closed()]), "a.example").await.unwrap_err();
    assert!(ede.text.ends_with(" refused the connection"), "{}", ede.text);
    assert_eq!(ede.code, Ede::NO_REACHABLE_AUTHORITY);
}

#[tokio::test]
async fn what_was_not_asked_is_no_answer_and_the_question_goes_over_tcp() {
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
    type Wrong = fn(&[u8]) -> Vec<Vec<u8>>;
    let scripts: [Wrong; 4] = [wrong_id, wrong_name, wrong_type, garbage];
    for script in scripts {
        let bench = Bench::default();
        let server = Scripted::both(script, good).await;
        assert!(is_good(&bench.ask(&upstream([server.server()]), "a.example").await));
        assert_eq!(bench.metric("plustwo_forward_failures_total{reason=\"mismatch\""), 2.0);
        // Without TCP it is nobody's answer.
        let (_server, alone) = only(script).await;
        assert!(bench.ask(&alone, "a.example").await.is_err());
    }
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
    assert_eq!(server.count(), 3);
    assert_eq!(bench.metric("plustwo_forward_case_given_up_total"), 1.0);
    assert!(is_good(&bench.ask(&upstream, &format!("another.{name}")).await));
    assert_eq!(server.count(), 4);
    let seen = server.seen.lock().unwrap();
    let has_upper = |index: usize| seen[index].1[12..].iter().any(u8::is_ascii_uppercase);
    assert_eq!([0, 1, 2, 3].map(has_upper), [true, true, false, false]);
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
    let upstream = upstream([Server { address, transport: ServerTransport::Udp }]);
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
    let server = Scripted::both(truncated, good).await;
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
    let server = Scripted::both(good, good).await;
    let tcp = Server { address: server.address, transport: ServerTransport::Tcp };
    for one in [server.server(), tcp] {
        let mut upstream = upstream([one]);
        upstream.identity.sources = ["2001:db8::1", "127.0.0.5"].map(|text| text.parse().unwrap()).into();
        assert!(is_good(&Bench::default().ask(&upstream, "a.example").await));
    }
    let seen = server.seen.lock().unwrap();
    let sources: Vec<String> = seen.iter().map(|(peer, _)| peer.ip().to_string()).collect();
    assert_eq!(sources, ["127.0.0.5", "127.0.0.5"]);
}

#[tokio::test]
async fn one_stray_reply_costs_nothing() {
    let strayed = std::sync::atomic::AtomicBool::new(false);
    let (server, upstream) = only(move |message| {
        let first = !strayed.swap(true, std::sync::atomic::Ordering::Relaxed);
        if first { vec![vec![0; 40]] } else { good(message) }
    })
    .await;
    assert!(is_good(&Bench::default().ask(&upstream, "a.example").await));
    let seen = server.seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    assert_ne!(seen[0].0, seen[1].0);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_is_made_anew() {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let server = Server { address: listener.local_addr().unwrap(), transport: ServerTransport::Tcp };
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
    let server = Scripted::both(good, good).await;
    let tcp = Server { address: server.address, transport: ServerTransport::Tcp };
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
    assert_eq!(server.count(), 2);
    assert!(is_good(&bench.ask(&upstream, "b.example").await));
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn equal_questions_share_one_that_goes_on_without_the_first() {
    let socket = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let server = Server { address: socket.local_addr().unwrap(), transport: ServerTransport::Udp };
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
    let server = Server { address: socket.local_addr().unwrap(), transport: ServerTransport::Udp };
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
        assert!(bench.upstreams.sent_from(peer));
        socket.send_to(&good(&message)[0], peer).unwrap();
        assert!(is_good(&third.join().unwrap()));
        assert!(!bench.upstreams.sent_from(peer));
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
    assert_eq!(text, "rslvr-rr-corp: 1 questions are in flight already");
    assert_eq!(bench.metric("plustwo_forward_in_flight_refused_total "), 1.0);
}

#[tokio::test]
async fn the_quickest_is_asked_first() {
    let quick = Scripted::udp(good).await;
    let dead = Scripted::udp(silent).await;
    let mut upstream = upstream([dead.server(), quick.server()]);
    upstream.identity.order = Order::Latency;
    let bench = Bench::new(UpstreamOptions { try_timeout: Duration::from_millis(150), ..options() });
    for index in 0..100 {
        assert!(is_good(&bench.ask(&upstream, &format!("{index}.example")).await));
    }
    assert!(dead.count() < 40, "{}", dead.count());
}
