//! Caching of complete queries with injected time: TTLs depend on the monotonic clock only, and the newest
//! known answer is served if no server answers.

#[path = "lab/mod.rs"]
mod lab;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use hickory_proto::op::ResponseCode;
use lab::{A, AAAA, Packet, Reply, TXT};
use plustwo::dns::{Annotations, Answer, Name, Query, Rcode, Rdata, RecordType, RrSet, encode};
use plustwo::serve::{
    Engine, IncomingMessage, ListenerIdentity, MessageSource, Moment, Progress, Transport, Worker,
};
use tokio::net::UdpSocket;

const DAY: Duration = Duration::from_secs(86_400);

/// The answers of a name server by name and type. All others are negative, with an SOA record.
type Records = Arc<Mutex<HashMap<(&'static str, u16), Answer>>>;

/// An engine that forwards every query to one name server, with injected time.
struct Lab {
    engine: Engine,
    worker: Worker,
    listener: ListenerIdentity,
    start: Instant,
    /// Time since the start.
    now: Duration,
    /// The wall clock.
    wall: SystemTime,
    records: Records,
    is_failing: Arc<Mutex<bool>>,
    queries: Arc<AtomicUsize>,
}

impl Lab {
    async fn start(more: &str) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let (records, is_failing, queries) = (Records::default(), Arc::default(), Arc::default());
        tokio::spawn(serve(socket, Arc::clone(&records), Arc::clone(&is_failing), Arc::clone(&queries)));
        let text = lab::lab(&format!("[internet]\nmode = \"forward\"\nservers = [\"{address}\"]\n{more}"));
        let (loaded, world) = lab::load(&text);
        let engine = Engine::open(&loaded.config, world).expect("no query log is configured");
        let listener = ListenerIdentity::new(0, "127.0.0.1:5300".parse().unwrap());
        let (worker, start) = (engine.worker(1), Instant::now());
        let (now, wall) = (Duration::ZERO, SystemTime::now());
        Self { engine, worker, listener, start, now, wall, records, is_failing, queries }
    }

    /// Advances both clocks.
    fn advance(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.wall += Duration::from_secs(seconds);
    }

    /// Sets an answer of the name server.
    fn set_answer(&self, name: &'static str, qtype: u16, answer: Answer) {
        self.records.lock().unwrap().insert((name, qtype), answer);
    }

    /// Removes a name from the name server.
    fn remove_name(&self, name: &'static str) {
        self.records.lock().unwrap().retain(|(of, _), _| *of != name);
    }

    /// Makes the name server answer SERVFAIL.
    fn start_outage(&self) {
        *self.is_failing.lock().unwrap() = true;
    }

    /// The number of queries that the name server received.
    fn queries(&self) -> usize {
        self.queries.load(Ordering::Acquire)
    }

    async fn query(&mut self, name: &str, qtype: u16) -> Reply {
        let message = Packet::query(name, qtype).opt(1232, &[]).build();
        let moment = Moment { started: self.start + self.now, at: self.wall };
        let local = IpAddr::from([127, 0, 0, 1]);
        let source = MessageSource { peer: SocketAddr::new(local, 40_000), local, transport: Transport::Udp };
        let incoming =
            IncomingMessage { listener: &self.listener, message: &message, source: &source, moment };
        let mut out = Vec::new();
        match self.engine.handle(&mut self.worker, &incoming, &mut out) {
            Progress::Pending(pending) => {
                let resolved = self.engine.resolve(pending).await;
                assert!(self.engine.finish(&mut self.worker, &self.listener, &resolved, &mut out));
            }
            Progress::Replied => {}
            Progress::Dropped => panic!("{name} got no reply"),
        }
        self.worker.recorder.finish_batch(Instant::now());
        Reply::read(&out)
    }
}

async fn serve(socket: UdpSocket, records: Records, is_failing: Arc<Mutex<bool>>, queries: Arc<AtomicUsize>) {
    let mut buffer = vec![0; 4096];
    while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
        queries.fetch_add(1, Ordering::AcqRel);
        let query = Query::parse(&buffer[..length]).unwrap();
        let answer = match *is_failing.lock().unwrap() {
            true => Answer::empty(Rcode::SERVFAIL),
            false => answer(&records.lock().unwrap(), &query),
        };
        let mut out = Vec::new();
        encode(&query, &answer, &Annotations::default(), 65_535, 0, &mut out);
        let _ = socket.send_to(&out, peer).await;
    }
}

/// The answer of a name server with these records.
fn answer(records: &HashMap<(&'static str, u16), Answer>, query: &Query) -> Answer {
    let text = query.question.qname.to_string();
    let text = text.trim_end_matches('.');
    match records.get(&(text, query.question.qtype.0)) {
        Some(answer) => answer.clone(),
        None if records.keys().any(|(name, _)| *name == text) => Answer::no_data(soa(60, 60)),
        None => Answer::nxdomain(soa(60, 60)),
    }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn soa(ttl: u32, minimum: u32) -> RrSet {
    let zone = name("example");
    let rdata = Rdata::soa(&zone, &zone, 1, 2, 3, 4, minimum);
    RrSet::new(zone, RecordType::SOA, ttl, vec![rdata])
}

fn address(text: &str, ttl: u32) -> Answer {
    Answer::noerror(vec![RrSet::new(
        name(text),
        RecordType::A,
        ttl,
        vec![Rdata::a(Ipv4Addr::new(192, 0, 2, 1))],
    )])
}

/// The extended errors of a reply that mark stale answers.
fn stale_codes(reply: &Reply) -> Vec<u16> {
    reply.edes().into_iter().map(|(code, _)| code).filter(|code| [3, 19].contains(code)).collect()
}

#[tokio::test]
async fn a_removed_name_does_not_return_in_an_outage() {
    let mut lab = Lab::start("").await;
    lab.set_answer("gone.example", A, address("gone.example", 60));
    assert_eq!(lab.query("gone.example", A).await.addresses(), ["192.0.2.1"]);
    lab.remove_name("gone.example");
    assert_eq!(lab.query("gone.example", AAAA).await.rcode(), ResponseCode::NXDomain);
    lab.start_outage();
    lab.advance(1000);
    let reply = lab.query("gone.example", A).await;
    assert_eq!((reply.rcode(), stale_codes(&reply)), (ResponseCode::NXDomain, vec![19]));
}

#[tokio::test]
async fn a_denial_of_a_name_that_exists_now_is_not_served_in_an_outage() {
    let mut lab = Lab::start("").await;
    assert_eq!(lab.query("new.example", AAAA).await.rcode(), ResponseCode::NXDomain);
    lab.advance(100);
    lab.set_answer("new.example", A, address("new.example", 60));
    assert_eq!(lab.query("new.example", A).await.addresses(), ["192.0.2.1"]);
    lab.start_outage();
    lab.advance(1000);
    assert_eq!(lab.query("new.example", AAAA).await.rcode(), ResponseCode::ServFail);
    let reply = lab.query("new.example", A).await;
    assert_eq!((reply.addresses(), stale_codes(&reply)), (vec!["192.0.2.1".to_owned()], vec![3]));
}

#[tokio::test]
async fn a_denial_fresh_or_stale_applies_to_its_own_name_only() {
    let mut lab = Lab::start("").await;
    lab.set_answer("h2.dev.team.corp.example", A, address("h2.dev.team.corp.example", 60));
    assert_eq!(lab.query("team.corp.example", A).await.rcode(), ResponseCode::NXDomain);
    assert_eq!(lab.query("h2.dev.team.corp.example", A).await.addresses(), ["192.0.2.1"]);
    lab.start_outage();
    lab.advance(1000);
    assert_eq!(lab.query("team.corp.example", TXT).await.rcode(), ResponseCode::NXDomain);
    assert_eq!(lab.query("h3.dev.team.corp.example", A).await.rcode(), ResponseCode::ServFail);
}

#[tokio::test]
async fn an_uncacheable_answer_replaces_the_older_one() {
    let mut lab = Lab::start("").await;
    lab.set_answer("a.example", A, address("a.example", 60));
    lab.query("a.example", A).await;
    lab.advance(100);
    lab.set_answer("a.example", A, address("a.example", 0));
    lab.query("a.example", A).await;
    lab.start_outage();
    assert_eq!(lab.query("a.example", A).await.rcode(), ResponseCode::ServFail);
}

/// The second query is answered from the message cache, further ones from the packet cache.
#[tokio::test]
async fn setting_the_wall_clock_does_not_affect_ttls() {
    for times in [1, 4] {
        let mut lab = Lab::start("").await;
        lab.set_answer("a.example", A, address("a.example", 60));
        for _ in 0..times {
            let ttl = lab.query("a.example", A).await.message.answers[0].ttl;
            assert_eq!(ttl, 60);
        }
        lab.wall -= DAY;
        lab.advance(20);
        assert_eq!(lab.query("a.example", A).await.message.answers[0].ttl, 40, "set back");
        lab.wall += 2 * DAY;
        lab.advance(20);
        assert_eq!(lab.query("a.example", A).await.message.answers[0].ttl, 20, "set forward");
        assert_eq!(lab.queries(), 1);
        lab.wall -= DAY;
        lab.advance(20);
        assert_eq!(lab.query("a.example", A).await.message.answers[0].ttl, 60);
        assert_eq!(lab.queries(), 2, "expired, so the server is queried again");
    }
}

#[tokio::test]
async fn setting_back_the_wall_clock_does_not_delay_the_next_soa_record() {
    let mut lab = Lab::start("[answers]\nnegative_soa = \"first-only\"\n").await;
    let mut authorities = Vec::new();
    for _ in 0..4 {
        authorities.push(lab.query("none.example", A).await.message.authorities.len());
        lab.wall -= DAY;
        lab.advance(20);
    }
    assert_eq!(authorities, [1, 0, 0, 1]);
}

#[tokio::test]
async fn the_soa_record_of_a_negative_answer_has_its_ttl_from_the_first_reply() {
    let mut lab = Lab::start("").await;
    lab.set_answer("none.example", A, Answer::nxdomain(soa(900, 50)));
    lab.set_answer("nodata.example", A, Answer::no_data(soa(50, 900)));
    for left in [50, 30, 10, 50] {
        for (name, rcode) in
            [("none.example", ResponseCode::NXDomain), ("nodata.example", ResponseCode::NoError)]
        {
            // The third reply comes from the packet cache.
            for _ in 0..3 {
                let reply = lab.query(name, A).await;
                assert_eq!((reply.rcode(), reply.message.authorities[0].ttl), (rcode, left), "{name}");
            }
        }
        lab.advance(20);
    }
    assert_eq!(lab.queries(), 4);
}

#[tokio::test]
async fn a_negative_answer_without_an_soa_record_is_cached_for_a_few_seconds() {
    let mut lab = Lab::start("").await;
    lab.set_answer("none.example", A, Answer::empty(Rcode::NXDOMAIN));
    lab.set_answer("nodata.example", A, Answer::empty(Rcode::NOERROR));
    for (name, rcode) in [("none.example", ResponseCode::NXDomain), ("nodata.example", ResponseCode::NoError)]
    {
        let before = lab.queries();
        for _ in 0..5 {
            let reply = lab.query(name, A).await;
            assert_eq!((reply.rcode(), reply.counts()), (rcode, [1, 0, 0, 1]), "{name}");
            lab.advance(1);
        }
        assert_eq!(lab.queries(), before + 1, "{name}");
        lab.query(name, A).await;
        assert_eq!(lab.queries(), before + 2, "{name}");
        lab.start_outage();
        lab.advance(5);
        assert_eq!(lab.query(name, A).await.rcode(), ResponseCode::ServFail, "{name} is never served stale");
        *lab.is_failing.lock().unwrap() = false;
    }
}
