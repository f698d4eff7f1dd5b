//! Answering: the only floor with DNS sockets.
//!
//! ```text
//!  bytes ──► door (udp, tcp, dot, doh) ──► Engine::answer ──► Query::parse ──► who asks, from where
//!                                                                        │
//!            door ◄── encode ◄── annotate ◄── resolve (decide, egress) ◄─┘
//!                        │
//!                        └──► observe (one event)
//! ```
//!
//! A door knows sockets and no DNS; the engine knows DNS and no sockets.

mod accept;
pub mod annotate;
pub mod bind;
mod chaos;
pub mod datagrams;
pub mod doh;
pub mod forward;
pub mod hickory;
pub mod inherit;
pub mod message_cache;
pub mod tcp;
pub mod tls;
pub mod udp;
pub mod upstream;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Config;
use crate::dns::{
    Annotations, Answer, Class, ClientSubnet, Ede, MAX_MESSAGE, Query, Question, Rcode, RecordType, Rejected,
    encode, encode_turn_away, udp_limit,
};
use crate::net::host;
pub use crate::observe::Transport;
use crate::observe::{DropReason, Lookups, Observer, ObserverError, ObserverOptions, QueryEvent};
use crate::resolve::{Outcome, Resolution, Silent, Source, Step, Whom, played};
use crate::world::{Live, Upstream, Vantage, ViewId, World};
use forward::{ForwardOptions, Forwarder};

/// How many rotations are kept apart, half of them for AAAA. Names that share one do no harm.
const ROTATIONS: usize = 4096;

/// Where a message came from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Who sent it.
    pub peer: SocketAddr,
    /// The address it was sent to.
    pub local: IpAddr,
    /// What carried it.
    pub transport: Transport,
}

/// One listener, as the engine and the metrics know it.
#[derive(Clone, Debug)]
pub struct Door {
    /// Its address as configured: its identity over reloads.
    pub address: SocketAddr,
    /// The same as text, the metric label `server`.
    pub label: Arc<str>,
}

impl Door {
    /// The door of a listener.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, label: address.to_string().into() }
    }
}

/// Answers messages. One for all doors; nothing in it blocks.
#[derive(Debug)]
pub struct Engine {
    live: Arc<Live>,
    observer: Arc<Observer>,
    forwarder: Arc<Forwarder>,
    rotations: Box<[AtomicU32]>,
    hasher: foldhash::fast::RandomState,
    /// How many queries may wait for somebody else's answer at once.
    waiting: Arc<Semaphore>,
}

/// What became of a message.
#[derive(Debug)]
pub enum Begun {
    /// Nothing is said.
    Silence,
    /// The reply is written.
    Ready,
    /// Somebody else must be asked; [`Engine::finish`] does.
    Waiting(Box<Waiting>),
}

/// A query that waits for somebody else's answer. It keeps the world that it began in.
#[derive(Debug)]
pub struct Waiting {
    world: Arc<World>,
    asker: Asker,
    pending: Box<Pending>,
    _place: OwnedSemaphorePermit,
}

/// Who asked what, and what the reply will carry.
#[derive(Debug)]
struct Asker {
    query: Query,
    origin: Origin,
    started: Instant,
    at: SystemTime,
    request_octets: usize,
    client: IpNet,
    vantage: Option<Vantage>,
    annotations: Annotations,
    /// Whether it is a look-up that counts. CHAOS questions are not.
    counts: bool,
    /// Whether a cached answer helped, and nobody had to be asked.
    cached: bool,
}

impl Asker {
    fn new(query: Query, origin: &Origin, started: Instant, request_octets: usize) -> Self {
        Self {
            client: host(origin.peer.ip().to_canonical()),
            query,
            origin: origin.clone(),
            started,
            at: SystemTime::now(),
            request_octets,
            vantage: None,
            annotations: Annotations::default(),
            counts: true,
            cached: false,
        }
    }
}

/// What the engine makes of a query before anything is looked up.
enum Turn {
    /// The outcome is known already; whether it is a look-up that counts. CHAOS questions are not.
    Known(Outcome, bool),
    /// It is a question to be resolved.
    Question(Vantage),
}

/// A resolution that waits for somebody else's answer to a question.
#[derive(Debug)]
struct Pending {
    resolution: Resolution,
    whom: Whom,
    question: Question,
}

/// How a resolution went as far as nobody has to be asked.
enum Looked {
    /// To its end. No outcome: say nothing. And whether a cached answer helped.
    Done(Option<Box<Outcome>>, bool),
    /// Up to somebody else.
    Ask(Box<Pending>),
}

impl Engine {
    /// An engine with everything it needs, for a world and the settings that hold for the process.
    ///
    /// # Errors
    ///
    /// When the query log cannot be opened, or the system gives no threads.
    pub fn open(config: &Config, world: World) -> Result<Self, ObserverError> {
        let options = ObserverOptions {
            query_log: config.query_log.clone(),
            remembered_lookups: config.server.max_remembered_lookups as usize,
        };
        let observer = Arc::new(Observer::new(options)?);
        observer.world_loaded(&world);
        let forwarder = Arc::new(Forwarder::new(ForwardOptions::of(config), observer.clone()));
        let waiting = config.server.max_waiting_queries as usize;
        Ok(Self::new(Arc::new(Live::new(world)), observer, forwarder, waiting))
    }

    /// An engine over the living world. At most `waiting` queries wait for others at once.
    pub fn new(live: Arc<Live>, observer: Arc<Observer>, forwarder: Arc<Forwarder>, waiting: usize) -> Self {
        let rotations = (0..ROTATIONS).map(|_| AtomicU32::new(0)).collect();
        let hasher = foldhash::fast::RandomState::default();
        let waiting = Arc::new(Semaphore::new(waiting.min(Semaphore::MAX_PERMITS)));
        Self { live, observer, forwarder, rotations, hasher, waiting }
    }

    /// Who hears of everything that is answered.
    pub fn observer(&self) -> &Arc<Observer> {
        &self.observer
    }

    /// The world that answers now.
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Who asks others.
    pub fn forwarder(&self) -> &Arc<Forwarder> {
        &self.forwarder
    }

    /// The whole life of a query, or its first part: answers a message into `out`, unless somebody else
    /// must be asked first.
    pub fn begin(
        &self,
        door: &Door,
        message: &[u8],
        origin: &Origin,
        lookups: Option<&Mutex<Lookups>>,
        out: &mut Vec<u8>,
    ) -> Begun {
        let started = Instant::now();
        out.clear();
        let world = self.live.load(); // one generation for the whole query
        let query = match Query::parse(message) {
            Ok(query) => query,
            Err(rejected) => return self.turn_away(door, origin, &rejected, out),
        };
        let mut asker = Asker::new(query, origin, started, message.len());
        let vantage = match turn(&world, door, &mut asker) {
            Turn::Known(outcome, counts) => {
                asker.counts = counts;
                return self.reply(&world, door, &mut asker, &outcome, lookups, out);
            }
            Turn::Question(vantage) => vantage,
        };
        let resolution = Resolution::new(vantage, &asker.query.question, seconds(asker.at));
        match self.look(&world, resolution, seconds(asker.at)) {
            Looked::Done(Some(outcome), cached) => {
                asker.cached = cached;
                self.reply(&world, door, &mut asker, &outcome, lookups, out)
            }
            Looked::Done(None, _) => {
                self.observer.dropped(&door.label, origin.transport, DropReason::DnsSupportOff);
                Begun::Silence
            }
            Looked::Ask(_) if origin.transport == Transport::Udp && self.forwarder.sent_from(origin.peer) => {
                // Asked again it would come again; whoever began it is told.
                let text = format!("question {} came back to where it left: a loop", asker.query.question);
                let answer = Answer::empty(Rcode::SERVFAIL).with_ede(Ede::new(Ede::OTHER, text));
                let outcome = Outcome::without_paths(answer, Source::Refused);
                self.reply(&world, door, &mut asker, &outcome, lookups, out)
            }
            Looked::Ask(pending) => match self.waiting.clone().try_acquire_owned() {
                Ok(place) => {
                    let world = world.clone();
                    Begun::Waiting(Box::new(Waiting { world, asker, pending, _place: place }))
                }
                Err(_) => {
                    self.observer.dropped(&door.label, origin.transport, DropReason::TooManyWaiting);
                    Begun::Silence
                }
            },
        }
    }

    /// The second part of a query's life: asks others, as often as CNAMEs lead to them, and answers into
    /// `out`. False means: say nothing.
    pub async fn finish(
        &self,
        door: &Door,
        waiting: Box<Waiting>,
        lookups: Option<&Mutex<Lookups>>,
        out: &mut Vec<u8>,
    ) -> bool {
        let Waiting { world, mut asker, mut pending, _place } = *waiting;
        let now_s = seconds(asker.at);
        let outcome = loop {
            let answer = self.ask(&world, pending.whom, &pending.question, now_s).await;
            pending.resolution.answered(pending.whom, answer);
            match self.look(&world, pending.resolution, now_s) {
                Looked::Done(outcome, _) => break outcome,
                Looked::Ask(next) => pending = next,
            }
        };
        let Some(outcome) = outcome else {
            self.observer.dropped(&door.label, asker.origin.transport, DropReason::DnsSupportOff);
            return false;
        };
        matches!(self.reply(&world, door, &mut asker, &outcome, lookups, out), Begun::Ready)
    }

    /// Both parts, for a door that waits by itself. False means: say nothing.
    pub async fn answer(
        &self,
        door: &Door,
        message: &[u8],
        origin: &Origin,
        lookups: Option<&Mutex<Lookups>>,
        out: &mut Vec<u8>,
    ) -> bool {
        match self.begin(door, message, origin, lookups, out) {
            Begun::Silence => false,
            Begun::Ready => true,
            Begun::Waiting(waiting) => self.finish(door, waiting, lookups, out).await,
        }
    }

    /// Whether a question still becomes an answer. Nobody asked it, so it is not counted.
    pub fn is_alive(&self) -> bool {
        /// `whoami.plustwo. CH TXT`, one question in a bare message.
        const WHOAMI: &[u8] = b"\0\0\x01\0\0\x01\0\0\0\0\0\0\x06whoami\x07plustwo\0\0\x10\0\x03";
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let origin = Origin { peer: SocketAddr::new(here, 0), local: here, transport: Transport::Udp };
        let door = Door::new(origin.peer);
        let world = self.live.load();
        let Ok(query) = Query::parse(WHOAMI) else { return false };
        let mut asker = Asker::new(query, &origin, Instant::now(), WHOAMI.len());
        let Turn::Known(outcome, _) = turn(&world, &door, &mut asker) else { return false };
        let mut out = Vec::new();
        encode(&asker.query, &outcome.answer, &asker.annotations, MAX_MESSAGE, 0, &mut out);
        !out.is_empty()
    }

    /// Resolves as far as nobody has to be asked: what the world plays, and what is cached, is at hand.
    fn look(&self, world: &World, mut resolution: Resolution, now_s: u64) -> Looked {
        let mut helped = false;
        loop {
            match resolution.step(world, &mut Silent) {
                Step::Done(outcome) => return Looked::Done(outcome, helped),
                Step::Ask(whom, question) => match self.at_hand(world, whom, &question, now_s) {
                    Some((answer, cached)) => {
                        helped |= cached;
                        resolution.answered(whom, answer);
                    }
                    None => return Looked::Ask(Box::new(Pending { resolution, whom, question })),
                },
            }
        }
    }

    /// An answer that is here already, and whether it was cached.
    fn at_hand(&self, world: &World, whom: Whom, question: &Question, now_s: u64) -> Option<(Answer, bool)> {
        if let Whom::Rule(rule) = whom
            && let Some(answer) = played(world, rule, question, now_s)
        {
            return Some((answer, false));
        }
        let upstream = upstream_of(world, whom)?;
        self.forwarder.cached(upstream, question, now_s).map(|answer| (answer, true))
    }

    async fn ask(&self, world: &World, whom: Whom, question: &Question, now_s: u64) -> Answer {
        match upstream_of(world, whom) {
            Some(upstream) => self.forwarder.ask(upstream, question, now_s).await,
            None => Answer::empty(Rcode::SERVFAIL)
                .with_ede(Ede::new(Ede::NO_REACHABLE_AUTHORITY, "there is nobody to ask")),
        }
    }

    /// Encodes an outcome, with what its client is to be told, and tells the observer.
    fn reply(
        &self,
        world: &World,
        door: &Door,
        asker: &mut Asker,
        outcome: &Outcome,
        lookups: Option<&Mutex<Lookups>>,
        out: &mut Vec<u8>,
    ) -> Begun {
        let Asker { query, origin, annotations, .. } = asker;
        if let Some(vantage) = asker.vantage.filter(|_| asker.counts && outcome.source != Source::Refused) {
            let peer = origin.peer.ip().to_canonical();
            annotate::add(world, vantage, peer, query, outcome, seconds(asker.at), annotations);
        }
        let limit = match origin.transport {
            Transport::Udp => udp_limit(query, world.answers.max_udp_payload),
            Transport::Tcp | Transport::Dot | Transport::Doh => MAX_MESSAGE,
        };
        let rotation = self.next_rotation(query);
        let encoded = encode(query, &outcome.answer, annotations, limit, rotation, out);
        if out.is_empty() {
            return Begun::Silence;
        }
        if !asker.counts {
            self.observer.chaos(&door.label, origin.transport, origin.peer);
            return Begun::Ready;
        }
        let event = QueryEvent {
            world,
            server: &door.label,
            transport: origin.transport,
            peer: origin.peer,
            id: query.id,
            question: &query.question,
            client: asker.client,
            vantage: asker.vantage,
            outcome,
            cached: asker.cached,
            truncated: encoded.truncated,
            rotation,
            request_octets: asker.request_octets,
            response_octets: out.len(),
            elapsed: asker.started.elapsed(),
            at: asker.at,
        };
        let mut lookups = lookups.map(|lookups| lookups.lock().unwrap_or_else(PoisonError::into_inner));
        self.observer.observe(&event, lookups.as_deref_mut());
        Begun::Ready
    }

    /// What never becomes a question still shows in the metrics.
    fn turn_away(&self, door: &Door, origin: &Origin, rejected: &Rejected, out: &mut Vec<u8>) -> Begun {
        match rejected {
            Rejected::Silence(reason) => {
                self.observer.dropped(&door.label, origin.transport, (*reason).into());
                Begun::Silence
            }
            Rejected::Reply(turned) => {
                encode_turn_away(turned, out);
                self.observer.turned_away(&door.label, origin.transport, origin.peer, turned.rcode);
                if out.is_empty() { Begun::Silence } else { Begun::Ready }
            }
        }
    }

    /// Records of an answer rotate from query to query, for each question on its own: a client that asks for
    /// A and AAAA in turn would else see the same order each time.
    /// CHAOS strings are lines of a text and keep their order.
    fn next_rotation(&self, query: &Query) -> usize {
        if query.question.qclass == Class::CH {
            return 0;
        }
        use std::hash::BuildHasher;
        let names = ROTATIONS / 2;
        let hash = self.hasher.hash_one(&query.question.qname);
        let is_aaaa = query.question.qtype == RecordType::AAAA;
        // The remainder is below ROTATIONS / 2, which fits.
        let slot = &self.rotations[(hash % names as u64) as usize * 2 + usize::from(is_aaaa)];
        slot.fetch_add(1, Ordering::Relaxed) as usize
    }
}

/// Who asks, from where, and whether it is a question to be resolved.
fn turn(world: &World, door: &Door, asker: &mut Asker) -> Turn {
    let peer = asker.origin.peer.ip().to_canonical();
    let query = &asker.query;
    let refused = |text: String| {
        let answer = Answer::empty(Rcode::REFUSED).with_ede(Ede::new(Ede::PROHIBITED, text));
        Turn::Known(Outcome::without_paths(answer, Source::Refused), true)
    };
    let subnet = trusted_subnet(world, peer, query);
    if let Some(subnet) = &subnet {
        asker.client = subnet.network;
    }
    asker.annotations.client_subnet = subnet;
    if !world.may_ask(peer) {
        return refused(format!(
            "client={peer} may not ask: it is in no declared place and not in server.allow"
        ));
    }
    let vantage = match world.vantage(asker.client, bound_view(world, door)) {
        Ok(vantage) => vantage,
        Err(nowhere) => return refused(nowhere.to_string()),
    };
    asker.vantage = Some(vantage);
    if query.question.qclass == Class::CH {
        let told = annotate::is_told(world, peer);
        let answer = chaos::answer(world, vantage, asker.client, told, &query.question, seconds(asker.at));
        return Turn::Known(Outcome::without_paths(answer, Source::Refused), false);
    }
    match unanswerable(query) {
        Some(answer) => Turn::Known(Outcome::without_paths(answer, Source::Refused), true),
        None => Turn::Question(vantage),
    }
}

/// The servers behind somebody who is asked.
fn upstream_of(world: &World, whom: Whom) -> Option<&Upstream> {
    let index = match whom {
        Whom::Rule(rule) => world.rules[rule].upstream,
        Whom::Internet => world.internet,
    };
    index.map(|index| &world.upstreams[index])
}

/// The view that a door is bound to in this world.
fn bound_view(world: &World, door: &Door) -> Option<ViewId> {
    world
        .listeners
        .iter()
        .find(|listener| listener.address == door.address)
        .and_then(|listener| listener.view)
}

/// The EDNS Client Subnet that is believed: from a trusted peer, and not /0, which says nothing.
fn trusted_subnet(world: &World, peer: IpAddr, query: &Query) -> Option<ClientSubnet> {
    let subnet = query.edns.as_ref()?.client_subnet?;
    let trusted = world.trust_client_subnet.iter().any(|prefix| prefix.contains(&peer));
    (trusted && subnet.network.prefix_len() > 0).then_some(subnet)
}

/// The answer to a question that this resolver does not take.
///
/// The VPC resolver is a recursive service only. What it says to queries without RD and to zone transfers
/// is not documented; refusing is this project's reading.
fn unanswerable(query: &Query) -> Option<Answer> {
    let refuse =
        |text: &str| Some(Answer::empty(Rcode::REFUSED).with_ede(Ede::new(Ede::NOT_SUPPORTED, text)));
    let question = &query.question;
    if question.qclass != Class::IN {
        return refuse("only classes IN and CH are served");
    }
    match question.qtype {
        RecordType::AXFR | RecordType::IXFR => refuse("zone transfers are not served"),
        RecordType::ANY => None,
        qtype if qtype.is_meta() => Some(Answer::empty(Rcode::NOTIMP)),
        _ if !query.recursion_desired => {
            refuse("recursion was not desired (RD=0), and nothing else is served")
        }
        _ => None,
    }
}

/// Seconds of the epoch, for TTLs that count down.
pub fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
