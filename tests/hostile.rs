//! Hostile input: malformed and unusual messages, and TCP clients that occupy connections.
//!
//! The messages are generated from a fixed seed, so that failures are reproducible. `fuzz/` has
//! coverage-guided fuzzing in addition.

mod lab;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lab::{A, AAAA, ANY, CH, CLIENT_SUBNET, COOKIE, PATHS, Packet, Reply, SHORTEST, SNS, TXT, wire};
use plustwo::dns::{Query, QueryError};
use plustwo::serve::bind::bind_tcp;
use plustwo::serve::tcp::{DnsTcpListener, TcpLimits, TcpSlots};
use plustwo::serve::{
    Engine, IncomingMessage, ListenerIdentity, MessageSource, Moment, Progress, Transport, Worker,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// Number of messages in each test of the engine.
const MESSAGES: usize = 4000;

/// Number of messages after which valid queries are checked.
const CHECK_INTERVAL: usize = 50;

/// The default maximum size of UDP replies.
const MAX_UDP_REPLY: usize = 1232;

/// A pseudo-random number generator (SplitMix64, Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn octet(&mut self) -> u8 {
        self.next() as u8
    }

    fn octets(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.octet()).collect()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// A client that passes messages to an engine without a socket, and checks every reply.
struct EngineClient {
    engine: Arc<Engine>,
    listener: Arc<ListenerIdentity>,
    worker: Worker,
    reply: Vec<u8>,
}

impl EngineClient {
    fn new() -> Self {
        let engine = lab::engine();
        Self { worker: engine.worker(1), engine, listener: lab::listener_identity(), reply: Vec::new() }
    }

    /// Sends a message, checks the reply and returns it, if there is one.
    fn send(&mut self, message: &[u8], peer: IpAddr, transport: Transport) -> Option<Reply> {
        let source = MessageSource {
            peer: SocketAddr::new(peer, 40_000),
            local: IpAddr::from([127, 0, 0, 1]),
            transport,
        };
        self.reply.clear();
        let (engine, moment) = (&self.engine, Moment::now());
        let incoming = IncomingMessage { listener: &self.listener, message, source: &source, moment };
        let progress = engine.handle(&mut self.worker, &incoming, &mut self.reply);
        let answered = matches!(progress, Progress::Replied);
        assert_eq!(answered, !self.reply.is_empty(), "{message:02x?}");
        let limit = max_reply_octets(message, transport);
        assert!(self.reply.len() <= limit, "{} octets, limit {limit}, for {message:02x?}", self.reply.len());
        if !answered {
            return None;
        }
        let reply = Reply::read(&self.reply);
        assert_eq!(self.reply[..2], message[..2], "message ID");
        assert_eq!(reply.has_opt(), self.reply.len() > 12 && reply.counts()[3] == 1);
        Some(reply)
    }

    /// Checks that the lab still answers correctly, depending on the location of the client.
    fn check(&mut self) {
        for transport in [Transport::Udp, Transport::Tcp] {
            self.send(&lab::query(7, 100), IpAddr::from([127, 0, 0, 1]), transport).expect("an answer");
            lab::assert_answered(&self.reply, 7);
        }
        let s3 = Packet::query("s3.ap-northeast-1.amazonaws.com", A).opt(1232, &[]).build();
        for (peer, path) in [([127, 0, 1, 1], "gateway-endpoint"), ([127, 0, 2, 1], "nat-gateway")] {
            let reply = self.send(&s3, IpAddr::from(peer), Transport::Udp).expect("an answer");
            assert!(reply.edes()[0].1.starts_with(&format!("egress={path}")), "{:?}", reply.edes());
        }
    }
}

/// Returns the maximum length of the reply to a message: for a query, the size that the client supports; 0
/// for a message that is discarded; and the length of the message itself if it is rejected, so that the reply
/// cannot amplify an attack.
fn max_reply_octets(message: &[u8], transport: Transport) -> usize {
    match (Query::parse(message), transport) {
        (Ok(_), Transport::Tcp | Transport::Dot | Transport::Doh) => 65_535,
        (Ok(query), Transport::Udp) => {
            let payload = query.edns.map_or(512, |edns| usize::from(edns.payload));
            payload.clamp(512, MAX_UDP_REPLY)
        }
        (Err(QueryError::Reject(_)), _) => message.len(),
        (Err(QueryError::Discard(_)), _) => 0,
    }
}

/// Returns client addresses: the locations of the lab, unknown clients, and addresses that are not host
/// addresses.
fn peers() -> Vec<IpAddr> {
    let peers = [
        "127.0.0.1",
        "127.0.3.1",
        "127.0.10.1",
        "127.0.99.1",
        "127.0.50.1",
        "10.0.1.20",
        "10.0.4.10",
        "192.168.10.7",
        "198.51.100.9",
        "0.0.0.0",
        "255.255.255.255",
        "::1",
        "::",
        "::ffff:127.0.0.1",
        "2001:db8::1",
    ];
    peers.map(|peer| peer.parse().expect("an address")).to_vec()
}

/// Returns valid queries of every kind, to be corrupted.
fn valid_queries() -> Vec<Vec<u8>> {
    let subnet: &[u8] = &[0, 1, 24, 0, 10, 0, 2];
    let soa = [&wire("corp.internal")[..], &[0, 6, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
    [
        Packet::query(SNS, A),
        Packet::query(SNS, A).opt(1232, &[(PATHS, &[])]),
        Packet::query(SNS, AAAA).opt(4096, &[(COOKIE, b"12345678"), (CLIENT_SUBNET, subnet)]),
        Packet::query("x.apps.corp.internal", ANY).opt(512, &[]),
        Packet::query("queue.corp.internal", A),
        Packet::query("topics.corp.internal", AAAA),
        Packet::query("files.office.example", A).opt(0, &[]),
        Packet::query("10.100.0.10.in-addr.arpa", 12),
        Packet::query("ip-10-0-1-20.ap-northeast-1.compute.internal", A).opt(1232, &[(PATHS, &[])]),
        Packet::query_wire(&wire(SNS), TXT, CH).opt(1232, &[]),
        Packet::query_wire(&wire("whoami.plustwo"), TXT, CH),
        Packet::query("corp.internal", lab::IXFR).additional(&soa).counts([1, 0, 1, 0]),
        Packet::query("corp.internal", 6).opcode(4),
    ]
    .map(|packet| packet.build())
    .to_vec()
}

/// Corrupts a message with one to eight mutations.
fn corrupt(random: &mut Random, mut message: Vec<u8>, others: &[Vec<u8>]) -> Vec<u8> {
    for _ in 0..=random.below(8) {
        let at = random.below(message.len() + 1);
        match random.below(9) {
            0 => message.truncate(at),
            1 => message.extend(random.octets(at)),
            2 => message.insert(at, random.octet()),
            // A compression pointer to a random offset.
            3 => drop(message.splice(at..at, [0xc0 | random.octet() & 0x3f, random.octet()])),
            // The counts of questions and records.
            4 if message.len() >= 12 => message[4 + random.below(8)] = *random.pick(&[0, 1, 2, 255]),
            // The opcode and flags, except QR: responses are only discarded.
            5 if message.len() >= 4 => message[2] = random.octet() & 0x7f,
            6 => {
                let other = random.pick(others);
                message.truncate(at);
                message.extend_from_slice(&other[random.below(other.len())..]);
            }
            // A copy of a part: for example a second OPT record or question.
            7 => message.extend_from_within(at..),
            _ if at < message.len() => message[at] ^= 1 << random.below(8),
            _ => {}
        }
    }
    message.truncate(65_535);
    message
}

#[test]
fn random_octets_are_discarded_or_answered() {
    let (mut client, mut random) = (EngineClient::new(), Random(1));
    let peers = peers();
    for index in 0..MESSAGES {
        let length = random.below(if index % 100 == 0 { 65_536 } else { 300 });
        let mut message = random.octets(length);
        if index % 2 == 0 && length >= 12 {
            // A header with one question exercises more of the parser.
            message[2] &= 0x01;
            message[4..12].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, random.octet() & 1]);
        }
        let transport = *random.pick(&[Transport::Udp, Transport::Tcp]);
        client.send(&message, *random.pick(&peers), transport);
        if index % CHECK_INTERVAL == 0 {
            client.check();
        }
    }
}

#[test]
fn corrupted_queries_are_discarded_or_answered() {
    let (mut client, mut random) = (EngineClient::new(), Random(2));
    let (peers, valid) = (peers(), valid_queries());
    for index in 0..MESSAGES {
        let original = random.pick(&valid).clone();
        let message = corrupt(&mut random, original, &valid);
        let transport = *random.pick(&[Transport::Udp, Transport::Tcp]);
        client.send(&message, *random.pick(&peers), transport);
        if index % CHECK_INTERVAL == 0 {
            client.check();
        }
    }
}

#[test]
fn any_name_type_and_subnet_is_answered() {
    let (mut client, mut random) = (EngineClient::new(), Random(3));
    let peers = peers();
    let parents = ["", "corp.internal", "amazonaws.com", "compute.internal", "in-addr.arpa", "ip6.arpa", SNS];
    for index in 0..MESSAGES {
        let mut name = Vec::new();
        for _ in 0..random.below(4) {
            let length = 1 + random.below(63);
            name.push(length as u8);
            name.extend(random.octets(length));
        }
        let parent = random.pick::<&str>(&parents);
        name.extend(wire(parent));
        if name.len() > 255 {
            name = wire(parent);
        }
        let class = *random.pick(&[1, 1, 1, 3, 4, 255, 4660]);
        let qtype = if random.below(2) == 0 { random.below(300) as u16 } else { random.next() as u16 };
        let mut packet = Packet::query_wire(&name, qtype, class);
        if random.below(3) > 0 {
            let (length, family) = (random.below(33) as u8, *random.pick(&[1, 2]));
            // The bits after the prefix must be zero.
            let subnet = [&[0, family, length & !7, 0][..], &random.octets(usize::from(length / 8))].concat();
            packet = packet.opt(random.next() as u16, &[(CLIENT_SUBNET, &subnet), (PATHS, &[])]);
        }
        let peer = *random.pick(&peers);
        let message = packet.build();
        for transport in [Transport::Udp, Transport::Tcp] {
            let reply = client.send(&message, peer, transport);
            assert!(reply.is_some(), "{message:02x?}");
            let question = 12..12 + name.len();
            assert_eq!(client.reply[question.clone()], message[question]);
        }
        if index % CHECK_INTERVAL == 0 {
            client.check();
        }
    }
}

// ---- TCP --------------------------------------------------------------------------------------------

/// A TCP listener of the lab on loopback, and the tasks that attack it.
struct AttackedListener {
    address: SocketAddr,
    engine: Arc<Engine>,
    /// Number of writes by the attackers.
    writes: Arc<AtomicUsize>,
    /// The listener and the attackers. All end when this is dropped.
    tasks: JoinSet<()>,
}

/// Maximum number of connections per client address.
const PER_CLIENT: usize = 16;

impl AttackedListener {
    fn start() -> Self {
        let listener = bind_tcp("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let limits = TcpLimits {
            connections: 64,
            connections_per_client: PER_CLIENT,
            queries_in_flight: 8,
            // Longer than any test, so that idle connections stay open.
            idle_timeout: Duration::from_secs(600),
        };
        let slots = Arc::new(TcpSlots::new());
        let listener =
            DnsTcpListener::new(listener, lab::listener_identity(), limits, slots).expect("a listener");
        let engine = lab::engine();
        let mut tasks = JoinSet::new();
        tasks.spawn(listener.run(engine.clone(), lab::workers(&engine), std::future::pending()));
        Self { address, engine, writes: Arc::default(), tasks }
    }

    /// Makes `client` send `stream` over a connection in pieces of `step` octets, repeatedly.
    fn attack(&mut self, client: &'static str, stream: Vec<u8>, step: usize) {
        let (address, writes) = (self.address, self.writes.clone());
        self.tasks.spawn(async move {
            loop {
                // If the listener refuses or closes the connection, try again.
                let Ok(mut connection) = connect(client, address).await else {
                    tokio::task::yield_now().await;
                    continue;
                };
                for piece in stream.chunks(step) {
                    if connection.write_all(piece).await.is_err() {
                        break;
                    }
                    writes.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                }
                tokio::task::yield_now().await;
            }
        });
    }

    /// Asserts that queries are answered, over new connections and a persistent one, until the attackers have
    /// made `writes` writes.
    async fn assert_served(self, writes: usize) {
        let mut persistent = connect("127.0.0.1", self.address).await.expect("connected");
        let mut queries = 0;
        while queries < 100 || self.writes.load(Ordering::Relaxed) < writes {
            let mut new = connect("127.0.0.1", self.address).await.expect("connected");
            for stream in [&mut persistent, &mut new] {
                lab::assert_answered(&query_over(stream, queries).await, queries);
            }
            queries = queries.checked_add(1).expect("the attackers have made enough writes");
        }
    }
}

async fn connect(from: &str, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(from.parse().expect("an address"), 0))?;
    within_a_minute(socket.connect(to)).await
}

async fn query_over(stream: &mut TcpStream, id: u16) -> Vec<u8> {
    stream.write_all(&framed(&lab::query(id, 100))).await.expect("written");
    let length = within_a_minute(stream.read_u16()).await.expect("a reply");
    let mut reply = vec![0; length.into()];
    within_a_minute(stream.read_exact(&mut reply)).await.expect("a complete reply");
    reply
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).expect("fits");
    [&length.to_be_bytes()[..], message].concat()
}

/// Returns the output of `future`, or fails the test if it takes a minute.
async fn within_a_minute<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("completes within a minute")
}

#[tokio::test]
async fn clients_are_served_despite_messages_of_64_kib() {
    let mut listener = AttackedListener::start();
    let mut random = Random(4);
    let garbage = framed(&random.octets(65_535));
    let padded = framed(&lab::query(1, 65_535));
    listener.attack("127.0.0.2", garbage.repeat(4), 16_384);
    listener.attack("127.0.0.2", padded.repeat(4), 16_384);
    // Not framed at all.
    listener.attack("127.0.0.3", random.octets(200_000), 1000);
    listener.assert_served(500).await;
}

#[tokio::test]
async fn clients_are_served_despite_slow_senders() {
    let mut listener = AttackedListener::start();
    for _ in 0..PER_CLIENT {
        listener.attack("127.0.0.2", framed(&lab::query(2, 1000)), 1);
    }
    listener.assert_served(2000).await;
}

#[tokio::test]
async fn clients_are_served_despite_idle_connections() {
    let listener = AttackedListener::start();
    let mut connections = Vec::new();
    // Two addresses open as many connections as they can, and start a message that they never complete.
    for client in ["127.0.0.2", "127.0.0.3"] {
        for _ in 0..4 * PER_CLIENT {
            let mut connection =
                connect(client, listener.address).await.expect("the operating system accepts the connection");
            // The listener may already have closed it.
            let _ = connection.write_all(&[0xff, 0xff, 0]).await;
            connections.push(connection);
        }
    }
    let refused = || listener.engine.observer().listeners().tcp_refused.get();
    within_a_minute(async {
        while refused() < 2 * 3 * PER_CLIENT as u64 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    listener.assert_served(0).await;
    drop(connections);
}

#[tokio::test]
async fn clients_are_served_despite_a_client_that_never_reads() {
    let mut listener = AttackedListener::start();
    for _ in 0..4 {
        // Its replies fill the socket buffers. From then on, only its own connections wait.
        listener.attack("127.0.0.2", framed(&lab::query(3, SHORTEST)).repeat(50_000), 65_536);
    }
    listener.assert_served(20).await;
}
