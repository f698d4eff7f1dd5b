//! What is cached, by whole queries and with injected time: TTLs count by the monotonic clock alone, and when no server
//! answers the newest that is known is served.

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

/// What a name server has for a name and a type. What it does not have, it denies with its SOA record.
type Records = Arc<Mutex<HashMap<(&'static str, u16), Answer>>>;

/// An engine that forwards everything to one name server, and the time as the engine sees it.
struct Lab {
    engine: Engine,
    worker: Worker,
    listener: ListenerIdentity,
    start: Instant,
    /// How much time has passed.
    now: Duration,
    /// What the wall clock shows.
    wall: SystemTime,
    records: Records,
    is_out: Arc<Mutex<bool>>,
    queries: Arc<AtomicUsize>,
}

impl Lab {
    async fn start(more: &str) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let (records, is_out, queries) = (Records::default(), Arc::default(), Arc::default());
        tokio::spawn(serve(socket, Arc::clone(&records), Arc::clone(&is_out), Arc::clone(&queries)));
        let text = lab::lab(&format!("[internet]\nmode = \"forward\"\nservers = [\"{address}\"]\n{more}"));
        let (loaded, world) = lab::load(&text);
        let engine = Engine::open(&loaded.config, world).expect("there is no query log to open");
        let listener = ListenerIdentity::new(0, "127.0.0.1:5300".parse().unwrap());
        let (worker, start) = (engine.worker(1), Instant::now());
        let (now, wall) = (Duration::ZERO, SystemTime::now());
        Self { engine, worker, listener, start, now, wall, records, is_out, queries }
    }

    /// Time passes, on both clocks.
    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.wall += Duration::from_secs(seconds);
    }

    /// The name server has this from now on.
    fn has(&self, name: &'static str, qtype: u16, answer: Answer) {
        self.records.lock().unwrap().insert((name, qtype), answer);
    }

    /// The name server has nothing of a name any more.
    fn removes(&self, name: &'static str) {
        self.records.lock().unwrap().retain(|(of, _), _| *of != name);
    }

    /// The name server fails from now on.
    fn goes_out(&self) {
        *self.is_out.lock().unwrap() = true;
    }

    /// How many queries it got.
    fn queries(&self) -> usize {
        self.queries.load(Ordering::Acquire)
    }

    async fn ask(&mut self, name: &str, qtype: u16) -> Reply {
        let message = Packet::query(name, qtype).opt(1232, &[]).build();
        let moment = Moment { started: self.start + self.now, at: self.wall };
        let local = IpAddr::from([127, 0, 0, 1]);
        let origin = MessageSource { peer: SocketAddr::new(local, 40_000), local, transport: Transport::Udp };
        let incoming =
            IncomingMessage { listener: &self.listener, message: &message, source: &origin, moment };
        let mut out = Vec::new();
        match self.engine.handle(&mut self.worker, &incoming, &mut out) {
            Progress::Pending(waiting) => {
                let resolved = self.engine.resolve(waiting).await;
                assert!(self.engine.finish(&mut self.worker, &self.listener, &resolved, &mut out));
            }
            Progress::Replied => {}
            Progress::Dropped => panic!("{name} got no reply"),
        }
        self.worker.recorder.settle(Instant::now());
        Reply::read(&out)
    }
}

async fn serve(socket: UdpSocket, records: Records, is_out: Arc<Mutex<bool>>, queries: Arc<AtomicUsize>) {
    let mut buffer = vec![0; 4096];
    while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
        queries.fetch_add(1, Ordering::AcqRel);
        let query = Query::parse(&buffer[..length]).unwrap();
        let answer = match *is_out.lock().unwrap() {
            true => Answer::empty(Rcode::SERVFAIL),
            false => answer(&records.lock().unwrap(), &query),
        };
        let mut out = Vec::new();
        encode(&query, &answer, &Annotations::default(), 65_535, 0, &mut out);
        let _ = socket.send_to(&out, peer).await;
    }
}

/// The answer of a server with these records.
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
    Answer::of(vec![RrSet::new(name(text), RecordType::A, ttl, vec![Rdata::a(Ipv4Addr::new(192, 0, 2, 1))])])
}

/// The codes of a reply's extended errors, but for those that describe paths.
fn stale_codes(reply: &Reply) -> Vec<u16> {
    reply.edes().into_iter().map(|(code, _)| code).filter(|code| [3, 19].contains(code)).collect()
}

#[tokio::test]
async fn a_removed_name_does_not_return_in_an_outage() {
    let mut lab = Lab::start("").await;
    lab.has("gone.example", A, address("gone.example", 60));
    assert_eq!(lab.ask("gone.example", A).await.addresses(), ["192.0.2.1"]);
    lab.removes("gone.example");
    assert_eq!(lab.ask("gone.example", AAAA).await.rcode(), ResponseCode::NXDomain);
    lab.goes_out();
    lab.pass(1000);
    let reply = lab.ask("gone.example", A).await;
    assert_eq!((reply.rcode(), stale_codes(&reply)), (ResponseCode::NXDomain, vec![19]));
}

#[tokio::test]
async fn a_name_that_exists_again_is_not_denied_in_an_outage() {
    let mut lab = Lab::start("").await;
    assert_eq!(lab.ask("new.example", AAAA).await.rcode(), ResponseCode::NXDomain);
    lab.pass(100);
    lab.has("new.example", A, address("new.example", 60));
    assert_eq!(lab.ask("new.example", A).await.addresses(), ["192.0.2.1"]);
    lab.goes_out();
    lab.pass(1000);
    assert_eq!(lab.ask("new.example", AAAA).await.rcode(), ResponseCode::ServFail);
    let reply = lab.ask("new.example", A).await;
    assert_eq!((reply.addresses(), stale_codes(&reply)), (vec!["192.0.2.1".to_owned()], vec![3]));
}

#[tokio::test]
async fn a_denial_fresh_or_stale_is_of_its_very_name() {
    let mut lab = Lab::start("").await;
    lab.has("h2.dev.team.corp.example", A, address("h2.dev.team.corp.example", 60));
    assert_eq!(lab.ask("team.corp.example", A).await.rcode(), ResponseCode::NXDomain);
    assert_eq!(lab.ask("h2.dev.team.corp.example", A).await.addresses(), ["192.0.2.1"]);
    lab.goes_out();
    lab.pass(1000);
    assert_eq!(lab.ask("team.corp.example", TXT).await.rcode(), ResponseCode::NXDomain);
    assert_eq!(lab.ask("h3.dev.team.corp.example", A).await.rcode(), ResponseCode::ServFail);
}

#[tokio::test]
async fn an_answer_that_may_not_be_cached_ends_the_older_one() {
    let mut lab = Lab::start("").await;
    lab.has("a.example", A, address("a.example", 60));
    lab.ask("a.example", A).await;
    lab.pass(100);
    lab.has("a.example", A, address("a.example", 0));
    lab.ask("a.example", A).await;
    lab.goes_out();
    assert_eq!(lab.ask("a.example", A).await.rcode(), ResponseCode::ServFail);
}

/// Asked once, an answer comes out of the message cache; asked often, out of the packet cache.
#[tokio::test]
async fn when_the_wall_clock_is_set_ttls_count_down_and_end_as_before() {
    for times in [1, 4] {
        let mut lab = Lab::start("").await;
        lab.has("a.example", A, address("a.example", 60));
        for _ in 0..times {
            let ttl = lab.ask("a.example", A).await.message.answers[0].ttl;
            assert_eq!(ttl, 60);
        }
        lab.wall -= DAY;
        lab.pass(20);
        assert_eq!(lab.ask("a.example", A).await.message.answers[0].ttl, 40, "set back");
        lab.wall += 2 * DAY;
        lab.pass(20);
        assert_eq!(lab.ask("a.example", A).await.message.answers[0].ttl, 20, "set forward");
        assert_eq!(lab.queries(), 1);
        lab.wall -= DAY;
        lab.pass(20);
        assert_eq!(lab.ask("a.example", A).await.message.answers[0].ttl, 60);
        assert_eq!(lab.queries(), 2, "it has ended, and is fetched again");
    }
}

#[tokio::test]
async fn when_the_wall_clock_is_set_back_a_denial_gets_its_soa_record_again_in_time() {
    let mut lab = Lab::start("[answers]\nnegative_soa = \"first-only\"\n").await;
    let mut authorities = Vec::new();
    for _ in 0..4 {
        authorities.push(lab.ask("none.example", A).await.message.authorities.len());
        lab.wall -= DAY;
        lab.pass(20);
    }
    assert_eq!(authorities, [1, 0, 0, 1]);
}

#[tokio::test]
async fn the_soa_record_of_a_denial_has_the_denials_ttl_from_the_first_reply_on() {
    let mut lab = Lab::start("").await;
    lab.has("none.example", A, Answer::nxdomain(soa(900, 50)));
    lab.has("nodata.example", A, Answer::no_data(soa(50, 900)));
    for left in [50, 30, 10, 50] {
        for (name, rcode) in
            [("none.example", ResponseCode::NXDomain), ("nodata.example", ResponseCode::NoError)]
        {
            // Until the packet cache has it.
            for _ in 0..3 {
                let reply = lab.ask(name, A).await;
                assert_eq!((reply.rcode(), reply.message.authorities[0].ttl), (rcode, left), "{name}");
            }
        }
        lab.pass(20);
    }
    assert_eq!(lab.queries(), 4);
}

#[tokio::test]
async fn a_denial_without_an_soa_record_is_cached_for_a_few_seconds() {
    let mut lab = Lab::start("").await;
    lab.has("none.example", A, Answer::empty(Rcode::NXDOMAIN));
    lab.has("nodata.example", A, Answer::empty(Rcode::NOERROR));
    for (name, rcode) in [("none.example", ResponseCode::NXDomain), ("nodata.example", ResponseCode::NoError)]
    {
        let before = lab.queries();
        for _ in 0..5 {
            let reply = lab.ask(name, A).await;
            assert_eq!((reply.rcode(), reply.counts()), (rcode, [1, 0, 0, 1]), "{name}");
            lab.pass(1);
        }
        assert_eq!(lab.queries(), before + 1, "{name}");
        lab.ask(name, A).await;
        assert_eq!(lab.queries(), before + 2, "{name}");
        lab.goes_out();
        lab.pass(5);
        assert_eq!(lab.ask(name, A).await.rcode(), ResponseCode::ServFail, "{name} is never stale");
        *lab.is_out.lock().unwrap() = false;
    }
}
