//! Strangers who mean no good: messages nobody would send, and TCP clients that hold on to what they get.
//!
//! The messages come out of a generator with a fixed seed, so a failure is there again on the next run.
//! What a coverage-guided fuzzer adds to this is in `fuzz/`.

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

/// How many messages each test of the engine tries.
const MESSAGES: usize = 4000;

/// After how many of them a good query is asked.
const GOOD_EVERY: usize = 50;

/// The largest UDP reply of a world that says nothing else.
const LARGEST_UDP: usize = 1232;

/// Numbers that look random (SplitMix64, Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
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

/// Asks an engine without a socket, and checks what holds for every reply.
struct Asker {
    engine: Arc<Engine>,
    listener: Arc<ListenerIdentity>,
    worker: Worker,
    reply: Vec<u8>,
}

impl Asker {
    fn new() -> Self {
        let engine = lab::engine();
        Self { worker: engine.worker(1), engine, listener: lab::listener_identity(), reply: Vec::new() }
    }

    /// The reply, if there is one, checked.
    fn ask(&mut self, message: &[u8], peer: IpAddr, transport: Transport) -> Option<Reply> {
        let origin = MessageSource {
            peer: SocketAddr::new(peer, 40_000),
            local: IpAddr::from([127, 0, 0, 1]),
            transport,
        };
        self.reply.clear();
        let (engine, moment) = (&self.engine, Moment::now());
        let incoming = IncomingMessage { listener: &self.listener, message, source: &origin, moment };
        let begun = engine.handle(&mut self.worker, &incoming, &mut self.reply);
        let answered = matches!(begun, Progress::Replied);
        assert_eq!(answered, !self.reply.is_empty(), "{message:02x?}");
        let most = most_octets(message, transport);
        assert!(self.reply.len() <= most, "{} octets of {most} for {message:02x?}", self.reply.len());
        if !answered {
            return None;
        }
        let reply = Reply::read(&self.reply);
        assert_eq!(self.reply[..2], message[..2], "the identifier");
        assert_eq!(reply.has_opt(), self.reply.len() > 12 && reply.counts()[3] == 1);
        Some(reply)
    }

    /// Checks that the lab still answers as it should, from a place that it depends on.
    fn check(&mut self) {
        for transport in [Transport::Udp, Transport::Tcp] {
            self.ask(&lab::query(7, 100), IpAddr::from([127, 0, 0, 1]), transport).expect("an answer");
            lab::assert_answered(&self.reply, 7);
        }
        let s3 = Packet::query("s3.ap-northeast-1.amazonaws.com", A).opt(1232, &[]).build();
        for (peer, path) in [([127, 0, 1, 1], "gateway-endpoint"), ([127, 0, 2, 1], "nat-gateway")] {
            let reply = self.ask(&s3, IpAddr::from(peer), Transport::Udp).expect("an answer");
            assert!(reply.edes()[0].1.starts_with(&format!("egress={path}")), "{:?}", reply.edes());
        }
    }
}

/// How long the reply to a message may be: what its client can take for an answer, nothing where it is not
/// to be answered, and no longer than itself where it is turned away, so that it amplifies nothing.
fn most_octets(message: &[u8], transport: Transport) -> usize {
    match (Query::parse(message), transport) {
        (Ok(_), Transport::Tcp | Transport::Dot | Transport::Doh) => 65_535,
        (Ok(query), Transport::Udp) => {
            let payload = query.edns.map_or(512, |edns| usize::from(edns.payload));
            payload.clamp(512, LARGEST_UDP)
        }
        (Err(QueryError::Reject(_)), _) => message.len(),
        (Err(QueryError::Discard(_)), _) => 0,
    }
}

/// Who sends: the places of the lab, nobody it knows, and addresses that are no host's.
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

/// Good queries of every kind, for spoiling.
fn good() -> Vec<Vec<u8>> {
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

/// Spoils a message in one to eight ways.
fn spoil(random: &mut Random, mut message: Vec<u8>, others: &[Vec<u8>]) -> Vec<u8> {
    for _ in 0..=random.below(8) {
        let at = random.below(message.len() + 1);
        match random.below(9) {
            0 => message.truncate(at),
            1 => message.extend(random.octets(at)),
            2 => message.insert(at, random.octet()),
            // A pointer, to anywhere.
            3 => drop(message.splice(at..at, [0xc0 | random.octet() & 0x3f, random.octet()])),
            // The counts: how many records it says there are.
            4 if message.len() >= 12 => message[4 + random.below(8)] = *random.pick(&[0, 1, 2, 255]),
            // Opcode and flags, but not QR, which would only be silence.
            5 if message.len() >= 4 => message[2] = random.octet() & 0x7f,
            6 => {
                let other = random.pick(others);
                message.truncate(at);
                message.extend_from_slice(&other[random.below(other.len())..]);
            }
            // A part of it once more: a second OPT, a second question.
            7 => message.extend_from_within(at..),
            _ if at < message.len() => message[at] ^= 1 << random.below(8),
            _ => {}
        }
    }
    message.truncate(65_535);
    message
}

#[test]
fn random_octets_are_answered_with_silence_or_a_message() {
    let (mut asker, mut random) = (Asker::new(), Random(1));
    let peers = peers();
    for turn in 0..MESSAGES {
        let length = random.below(if turn % 100 == 0 { 65_536 } else { 300 });
        let mut message = random.octets(length);
        if turn % 2 == 0 && length >= 12 {
            // As a query with one question it comes further.
            message[2] &= 0x01;
            message[4..12].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, random.octet() & 1]);
        }
        let transport = *random.pick(&[Transport::Udp, Transport::Tcp]);
        asker.ask(&message, *random.pick(&peers), transport);
        if turn % GOOD_EVERY == 0 {
            asker.check();
        }
    }
}

#[test]
fn spoilt_queries_are_answered_with_silence_or_a_message() {
    let (mut asker, mut random) = (Asker::new(), Random(2));
    let (peers, good) = (peers(), good());
    for turn in 0..MESSAGES {
        let begin = random.pick(&good).clone();
        let message = spoil(&mut random, begin, &good);
        let transport = *random.pick(&[Transport::Udp, Transport::Tcp]);
        asker.ask(&message, *random.pick(&peers), transport);
        if turn % GOOD_EVERY == 0 {
            asker.check();
        }
    }
}

#[test]
fn any_name_type_and_subnet_is_answered() {
    let (mut asker, mut random) = (Asker::new(), Random(3));
    let peers = peers();
    let parents = ["", "corp.internal", "amazonaws.com", "compute.internal", "in-addr.arpa", "ip6.arpa", SNS];
    for turn in 0..MESSAGES {
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
            // Its bits after the prefix are zero, as they have to be.
            let subnet = [&[0, family, length & !7, 0][..], &random.octets(usize::from(length / 8))].concat();
            packet = packet.opt(random.next() as u16, &[(CLIENT_SUBNET, &subnet), (PATHS, &[])]);
        }
        let peer = *random.pick(&peers);
        let message = packet.build();
        for transport in [Transport::Udp, Transport::Tcp] {
            let reply = asker.ask(&message, peer, transport);
            assert!(reply.is_some(), "{message:02x?}");
            let question = 12..12 + name.len();
            assert_eq!(asker.reply[question.clone()], message[question]);
        }
        if turn % GOOD_EVERY == 0 {
            asker.check();
        }
    }
}

// ---- TCP --------------------------------------------------------------------------------------------

/// A TCP door of the lab on loopback, and the tasks that trouble it.
struct Troubled {
    address: SocketAddr,
    engine: Arc<Engine>,
    /// How often something was done to it.
    deeds: Arc<AtomicUsize>,
    /// The door and its troublemakers; all end when this is dropped.
    tasks: JoinSet<()>,
}

/// How many connections one address may have.
const PER_CLIENT: usize = 16;

impl Troubled {
    fn open() -> Self {
        let listener = bind_tcp("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let limits = TcpLimits {
            connections: 64,
            connections_per_client: PER_CLIENT,
            queries_in_flight: 8,
            // Longer than any test: what is held stays held.
            idle_timeout: Duration::from_secs(600),
        };
        let slots = Arc::new(TcpSlots::new());
        let listener =
            DnsTcpListener::new(listener, lab::listener_identity(), limits, slots).expect("a listener");
        let engine = lab::engine();
        let mut tasks = JoinSet::new();
        tasks.spawn(listener.run(engine.clone(), lab::workers(&engine), std::future::pending()));
        Self { address, engine, deeds: Arc::default(), tasks }
    }

    /// Has `client` send `stream` over a connection, in pieces of `step` octets, for ever again.
    fn trouble(&mut self, client: &'static str, stream: Vec<u8>, step: usize) {
        let (address, deeds) = (self.address, self.deeds.clone());
        self.tasks.spawn(async move {
            loop {
                // Where the door closes, it is tried once more.
                let Ok(mut connection) = connect(client, address).await else {
                    tokio::task::yield_now().await;
                    continue;
                };
                for piece in stream.chunks(step) {
                    if connection.write_all(piece).await.is_err() {
                        break;
                    }
                    deeds.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                }
                tokio::task::yield_now().await;
            }
        });
    }

    /// Asks again and again, over new connections and one that stays, until the trouble is well under way.
    async fn assert_served(self, deeds: usize) {
        let mut stays = connect("127.0.0.1", self.address).await.expect("connected");
        let mut asked = 0;
        while asked < 100 || self.deeds.load(Ordering::Relaxed) < deeds {
            let mut new = connect("127.0.0.1", self.address).await.expect("connected");
            for stream in [&mut stays, &mut new] {
                lab::assert_answered(&ask(stream, asked).await, asked);
            }
            asked = asked.checked_add(1).expect("it is under way by now");
        }
    }
}

async fn connect(from: &str, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(from.parse().expect("an address"), 0))?;
    soon(socket.connect(to)).await
}

async fn ask(stream: &mut TcpStream, id: u16) -> Vec<u8> {
    stream.write_all(&framed(&lab::query(id, 100))).await.expect("written");
    let length = soon(stream.read_u16()).await.expect("a reply");
    let mut reply = vec![0; length.into()];
    soon(stream.read_exact(&mut reply)).await.expect("a whole reply");
    reply
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).expect("fits");
    [&length.to_be_bytes()[..], message].concat()
}

/// What `future` gives; a failure where it would hang.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("this does not hang")
}

#[tokio::test]
async fn a_good_client_is_served_beside_messages_of_64_kib() {
    let mut listener = Troubled::open();
    let mut random = Random(4);
    let garbage = framed(&random.octets(65_535));
    let padded = framed(&lab::query(1, 65_535));
    listener.trouble("127.0.0.2", garbage.repeat(4), 16_384);
    listener.trouble("127.0.0.2", padded.repeat(4), 16_384);
    // No frames at all.
    listener.trouble("127.0.0.3", random.octets(200_000), 1000);
    listener.assert_served(500).await;
}

#[tokio::test]
async fn a_good_client_is_served_beside_a_slow_dribble() {
    let mut listener = Troubled::open();
    for _ in 0..PER_CLIENT {
        listener.trouble("127.0.0.2", framed(&lab::query(2, 1000)), 1);
    }
    listener.assert_served(2000).await;
}

#[tokio::test]
async fn a_good_client_is_served_beside_connections_that_are_only_held() {
    let listener = Troubled::open();
    let mut held = Vec::new();
    // Two addresses hold what they can get and begin a message that never ends.
    for client in ["127.0.0.2", "127.0.0.3"] {
        for _ in 0..4 * PER_CLIENT {
            let mut connection = connect(client, listener.address).await.expect("the system completes it");
            // The door may have closed it by now.
            let _ = connection.write_all(&[0xff, 0xff, 0]).await;
            held.push(connection);
        }
    }
    let refused = || listener.engine.observer().listeners().tcp_refused.get();
    soon(async {
        while refused() < 2 * 3 * PER_CLIENT as u64 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    listener.assert_served(0).await;
    drop(held);
}

#[tokio::test]
async fn a_good_client_is_served_beside_one_that_never_reads() {
    let mut listener = Troubled::open();
    for _ in 0..4 {
        // Its replies fill the buffers between, and from then on the door waits for it, and for it alone.
        listener.trouble("127.0.0.2", framed(&lab::query(3, SHORTEST)).repeat(50_000), 65_536);
    }
    listener.assert_served(20).await;
}
