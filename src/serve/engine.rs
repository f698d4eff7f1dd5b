//! From a message to its reply: out of the packet cache, by a decision, or after somebody else was asked.

use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::clients::{Known, Standing};
use super::denials::Denials;
use super::forward::{ForwardOptions, Forwarder};
use super::packet_cache::{Again, Asked, Found};
use super::reply::{Asker, chaos_reply, limit, seconds, turn_away};
use super::worker::Worker;
use super::{Door, Moment, Origin, Transport, annotate, chaos};
use crate::config::Config;
use crate::dns::{
    Annotations, Answer, Class, ClientSubnet, Ede, MAX_MESSAGE, Name, OptionCode, Peek, Query, Question,
    Rcode, RecordType, encode,
};
use crate::observe::{Arrival, DropReason, Observer, ObserverError, ObserverOptions};
use crate::resolve::{Keep, Outcome, Resolution, Silent, Source, Step, Whom, played};
use crate::world::{Live, Vantage, World};

/// How many rotations are kept apart, half of them for AAAA. Names that share one do no harm.
const ROTATIONS: usize = 4096;

/// One in so many octets of the packet caches is for those who have no thread of their own.
const COMMON_SHARE: u64 = 4;

/// Answers messages. One for all doors; nothing in it blocks.
#[derive(Debug)]
pub struct Engine {
    live: Arc<Live>,
    observer: Arc<Observer>,
    forwarder: Arc<Forwarder>,
    rotations: Box<[AtomicU32]>,
    /// Names that were denied a while ago.
    pub(super) denials: Denials,
    hasher: foldhash::fast::RandomState,
    /// How many queries may wait for somebody else's answer at once.
    waiting: Arc<Semaphore>,
    /// How many octets all packet caches may hold together.
    packet_cache_bytes: u64,
    /// The worker of those who have no thread of their own.
    common: Mutex<Worker>,
}

/// A message as a door has it.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// The door.
    pub door: &'a Door,
    /// The octets.
    pub message: &'a [u8],
    /// Where it came from.
    pub origin: &'a Origin,
    /// When it was read.
    pub moment: Moment,
}

/// What became of a message.
#[derive(Debug)]
pub enum Begun {
    /// Nothing is said.
    Silence,
    /// The reply is written.
    Ready,
    /// Somebody else must be asked: see [`Engine::resolve`].
    Waiting(Box<Waiting>),
}

/// A query that waits for somebody else's answer. It keeps the world that it began in.
#[derive(Debug)]
pub struct Waiting {
    world: Arc<World>,
    asker: Asker,
    pending: Box<Pending>,
    place: OwnedSemaphorePermit,
}

/// A query for which everybody was asked; [`Engine::conclude`] writes its reply.
#[derive(Debug)]
pub struct Resolved {
    world: Arc<World>,
    asker: Asker,
    outcome: Option<Box<Outcome>>,
    _place: OwnedSemaphorePermit,
}

/// What the engine makes of a query before anything is looked up.
enum Turn {
    /// The outcome is known already.
    Known(Outcome),
    /// It is a CHAOS question, which is no look-up.
    Chaos(Outcome),
    /// It is a question to be resolved.
    Question(Vantage),
}

/// Whether a query was given the answer of one before it.
enum Given {
    /// It was.
    Again,
    /// It was not: there is none, or it does not fit. One that has ended just now was given so often before.
    Not {
        /// How often.
        before: u32,
        /// Who asks, where that was found out.
        known: Option<Standing>,
    },
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
        let packets = config.packet_cache.max_bytes;
        Ok(Self::new(Arc::new(Live::new(world)), observer, forwarder, waiting, packets))
    }

    /// An engine over the living world. At most `waiting` queries wait for others at once; packet caches hold at
    /// most so many octets together.
    pub fn new(
        live: Arc<Live>,
        observer: Arc<Observer>,
        forwarder: Arc<Forwarder>,
        waiting: usize,
        packet_cache_bytes: u64,
    ) -> Self {
        let rotations = (0..ROTATIONS).map(|_| AtomicU32::new(0)).collect();
        let hasher = foldhash::fast::RandomState::default();
        let waiting = Arc::new(Semaphore::new(waiting.min(Semaphore::MAX_PERMITS)));
        let common = Mutex::new(Worker::new(&observer, packet_cache_bytes / COMMON_SHARE));
        let denials = Denials::new();
        Self { live, observer, forwarder, rotations, denials, hasher, waiting, packet_cache_bytes, common }
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

    /// A worker, one of so many among whom the packet caches' octets are divided, but for the common one's.
    pub fn worker(&self, of: usize) -> Worker {
        let all = self.packet_cache_bytes - self.packet_cache_bytes / COMMON_SHARE;
        Worker::new(&self.observer, all / of.max(1) as u64)
    }

    /// The worker of those who have no thread of their own. Hold it for one message.
    pub fn common(&self) -> MutexGuard<'_, Worker> {
        self.common.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The whole life of a query, or its first part: appends the reply to `out`, unless somebody else must be
    /// asked first.
    pub fn begin(&self, worker: &mut Worker, incoming: &Incoming<'_>, out: &mut Vec<u8>) -> Begun {
        let Incoming { door, message, origin, moment } = *incoming;
        let world = self.live.load(); // one generation for the whole query
        let (before, known) = match self.again(&world, worker, incoming, out) {
            Given::Again => return Begun::Ready,
            Given::Not { before, known } => (before, known),
        };
        let query = match Query::parse(message) {
            Ok(query) => query,
            Err(rejected) => return turn_away(worker, door, origin, &rejected, out),
        };
        let subnet = query.edns.as_ref().and_then(|edns| edns.client_subnet);
        let standing =
            known.unwrap_or_else(|| Standing::of(&world, door, origin.peer.ip().to_canonical(), subnet));
        let request_octets = message.len();
        let draw = rand::random();
        let mut asker =
            Asker { query, origin: origin.clone(), moment, request_octets, standing, draw, cached: false };
        let vantage = match turn(&world, &asker) {
            Turn::Known(outcome) => return self.reply(&world, worker, door, &asker, &outcome, out),
            Turn::Chaos(outcome) => return chaos_reply(&world, worker, door, &asker, &outcome, out),
            Turn::Question(vantage) => vantage,
        };
        let resolution = Resolution::new(vantage, &asker.query.question, asker.occasion());
        match self.look(&world, resolution, asker.now_s(), before) {
            Looked::Done(Some(outcome), cached) => {
                asker.cached = cached;
                self.reply(&world, worker, door, &asker, &outcome, out)
            }
            Looked::Done(None, _) => {
                worker.witness.dropped(&door.server, origin.transport, DropReason::DnsSupportOff);
                Begun::Silence
            }
            Looked::Ask(_) if origin.transport == Transport::Udp && self.forwarder.sent_from(origin.peer) => {
                // Asked again it would come again; whoever began it is told.
                let text = format!("question {} came back to where it left: a loop", asker.query.question);
                let answer = Answer::empty(Rcode::SERVFAIL).with_ede(Ede::new(Ede::OTHER, text));
                let outcome = Outcome::without_paths(answer, Source::Refused);
                self.reply(&world, worker, door, &asker, &outcome, out)
            }
            Looked::Ask(pending) => match self.waiting.clone().try_acquire_owned() {
                Ok(place) => {
                    Begun::Waiting(Box::new(Waiting { world: world.clone(), asker, pending, place }))
                }
                Err(_) => {
                    worker.witness.dropped(&door.server, origin.transport, DropReason::TooManyWaiting);
                    Begun::Silence
                }
            },
        }
    }

    /// Asks others, as often as CNAMEs lead to them.
    pub async fn resolve(&self, waiting: Box<Waiting>) -> Resolved {
        let Waiting { world, asker, mut pending, place } = *waiting;
        let now_s = asker.now_s();
        let outcome = loop {
            let answer = self.ask(&world, &pending.whom, &pending.question, now_s).await;
            // Who asks next is answered out of a cache, which is told; so this is not what to give them.
            pending.resolution.answered(pending.whom, answer, Keep::No);
            match self.look(&world, pending.resolution, now_s, 0) {
                Looked::Done(outcome, _) => break outcome,
                Looked::Ask(next) => pending = next,
            }
        };
        Resolved { world, asker, outcome, _place: place }
    }

    /// The last part of a query's life: appends the reply to `out`. False means: say nothing.
    pub fn conclude(&self, worker: &mut Worker, door: &Door, resolved: &Resolved, out: &mut Vec<u8>) -> bool {
        let Resolved { world, asker, outcome, .. } = resolved;
        let Some(outcome) = outcome else {
            worker.witness.dropped(&door.server, asker.origin.transport, DropReason::DnsSupportOff);
            return false;
        };
        matches!(self.reply(world, worker, door, asker, outcome, out), Begun::Ready)
    }

    /// All parts, with the common worker, for a door that waits by itself. False means: say nothing.
    pub async fn answer(&self, door: &Door, message: &[u8], origin: &Origin, out: &mut Vec<u8>) -> bool {
        let incoming = Incoming { door, message, origin, moment: Moment::now() };
        let begun = self.begin(&mut self.common(), &incoming, out);
        let waiting = match begun {
            Begun::Silence => return false,
            Begun::Ready => return true,
            Begun::Waiting(waiting) => waiting,
        };
        let resolved = self.resolve(waiting).await;
        self.conclude(&mut self.common(), door, &resolved, out)
    }

    /// Whether a question still becomes an answer. Nobody asked it, so it is not counted.
    pub fn is_alive(&self) -> bool {
        /// `whoami.plustwo. CH TXT`, one question in a bare message.
        const WHOAMI: &[u8] = b"\0\0\x01\0\0\x01\0\0\0\0\0\0\x06whoami\x07plustwo\0\0\x10\0\x03";
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let origin = Origin { peer: SocketAddr::new(here, 0), local: here, transport: Transport::Udp };
        let door = Door::new(0, origin.peer);
        let world = self.live.load();
        let Ok(query) = Query::parse(WHOAMI) else { return false };
        let standing = Standing::of(&world, &door, here, None);
        let (moment, request_octets) = (Moment::now(), WHOAMI.len());
        let asker =
            Asker { query, origin, moment, request_octets, standing, draw: rand::random(), cached: false };
        let (Turn::Known(outcome) | Turn::Chaos(outcome)) = turn(&world, &asker) else { return false };
        let mut out = Vec::new();
        encode(&asker.query, &outcome.answer, &Annotations::default(), MAX_MESSAGE, 0, &mut out);
        !out.is_empty()
    }

    // ---- again: what was answered before --------------------------------------------------------------

    /// Answers a plain query as one before it was answered: no decision, no allocation, no lock.
    fn again(&self, world: &World, worker: &mut Worker, incoming: &Incoming<'_>, out: &mut Vec<u8>) -> Given {
        let Incoming { door, message, origin, moment } = *incoming;
        const NEVER: Given = Given::Not { before: 0, known: None };
        let Some(peek) = Peek::of(message, annotate::PATHS_OPTION) else { return NEVER };
        let Worker { witness, packets, clients, name, .. } = worker;
        let subnet = peek.edns.and_then(|edns| edns.client_subnet);
        let Some(client) = clients.find(world, door, origin.peer.ip().to_canonical(), subnet) else {
            return NEVER;
        };
        let Vantage { view, place } = client.vantage;
        let (qtype, recursion_desired) = (peek.qtype, peek.recursion_desired);
        let asked = Asked { view, qtype, recursion_desired, name: name.set(peek.qname_as_sent) };
        let now_s = seconds(moment.at);
        let found = packets.find(&asked, place, client.is_told, world.generation, now_s);
        witness.looked_in_packet_cache(matches!(found, Found::Kept(..)));
        let (kept, telling) = match found {
            Found::Kept(kept, telling) => (kept, telling),
            Found::Ended { given } => return Given::Not { before: given, known: Some(client.standing()) },
            Found::Nothing => return Given::Not { before: 0, known: Some(client.standing()) },
        };
        let mut echo = [0; MOST_ECHO];
        let echo = echoed(client, &mut echo);
        let octets = kept.length(telling, peek.edns.map(|_| echo.len()));
        let payload = peek.edns.map(|edns| edns.payload);
        if octets > limit(world, origin.transport, payload) {
            return NEVER;
        }
        let rotation = kept.rotates_by().map_or(0, |slot| self.turn(slot));
        let edns = peek.edns.map(|edns| (edns.dnssec_ok, echo));
        let again = Again {
            id: peek.id,
            checking_disabled: peek.checking_disabled,
            qname_as_sent: peek.qname_as_sent,
            rotation,
            now_s,
            edns,
        };
        kept.append(telling, &again, out);
        let elapsed = witness.wants_times().then(|| moment.started.elapsed());
        witness.again(
            kept.noted(telling),
            &Arrival {
                server: &door.server,
                transport: origin.transport,
                peer: origin.peer,
                id: peek.id,
                client: client.client,
                truncated: false,
                rotation,
                request_octets: message.len(),
                response_octets: octets,
                elapsed,
                at: moment.at,
            },
        );
        Given::Again
    }

    // ---- looking up ------------------------------------------------------------------------------------

    /// Resolves as far as nobody has to be asked: what the world plays, and what is cached, is at hand.
    /// Copies of what is cached were `given` so many times.
    fn look(&self, world: &World, mut resolution: Resolution, now_s: u64, given: u32) -> Looked {
        let mut helped = false;
        loop {
            match resolution.step(world, &mut Silent) {
                Step::Done(outcome) => return Looked::Done(outcome, helped),
                Step::Ask(whom, question) => match self.at_hand(world, &whom, &question, now_s, given) {
                    Some((answer, keep, cached)) => {
                        helped |= cached;
                        resolution.answered(whom, answer, keep);
                    }
                    None => return Looked::Ask(Box::new(Pending { resolution, whom, question })),
                },
            }
        }
    }

    /// An answer that is here already, how long it may be given, and whether it was cached.
    fn at_hand(
        &self,
        world: &World,
        whom: &Whom,
        question: &Question,
        now_s: u64,
        given: u32,
    ) -> Option<(Answer, Keep, bool)> {
        if *whom != Whom::Internet
            && let Some(answer) = played(world, whom, question, now_s)
        {
            return Some((answer, Keep::World, false));
        }
        let upstream = whom.upstream(world)?;
        let (answer, keep) = self.forwarder.cached(upstream, question, now_s, given)?;
        Some((answer, keep, true))
    }

    async fn ask(&self, world: &World, whom: &Whom, question: &Question, now_s: u64) -> Answer {
        match whom.upstream(world) {
            Some(upstream) => self.forwarder.ask(upstream, question, now_s).await,
            None => Answer::empty(Rcode::SERVFAIL)
                .with_ede(Ede::new(Ede::NO_REACHABLE_AUTHORITY, "there is nobody to ask")),
        }
    }

    /// Records of an answer rotate from query to query, for each question on its own: a client that asks for
    /// A and AAAA in turn would else see the same order each time.
    pub(super) fn rotation_slot(&self, qname: &Name, qtype: RecordType) -> usize {
        let names = ROTATIONS / 2;
        let hash = self.hasher.hash_one(qname);
        let is_aaaa = qtype == RecordType::AAAA;
        // The remainder is below ROTATIONS / 2, which fits.
        (hash % names as u64) as usize * 2 + usize::from(is_aaaa)
    }

    /// The next rotation of a slot.
    pub(super) fn turn(&self, slot: usize) -> usize {
        self.rotations[slot].fetch_add(1, Ordering::Relaxed) as usize
    }
}

/// The longest client subnet option, with its code and length.
const MOST_ECHO: usize = 4 + ClientSubnet::LONGEST;

/// The client subnet option that is echoed, in wire form; nothing where none was believed.
fn echoed<'b>(client: &Known, room: &'b mut [u8; MOST_ECHO]) -> &'b [u8] {
    let Some(subnet) = &client.subnet else { return &[] };
    let length = subnet.write(subnet.network.prefix_len(), &mut room[4..]);
    room[..2].copy_from_slice(&OptionCode::CLIENT_SUBNET.to_be_bytes());
    // At most 20.
    room[2..4].copy_from_slice(&(length as u16).to_be_bytes());
    &room[..4 + length]
}

/// Whether it is a question to be resolved, and from where.
fn turn(world: &World, asker: &Asker) -> Turn {
    let query = &asker.query;
    let vantage = match &asker.standing.vantage {
        Ok(vantage) => *vantage,
        Err(reason) => {
            let answer =
                Answer::empty(Rcode::REFUSED).with_ede(Ede::new(Ede::PROHIBITED, reason.to_string()));
            return Turn::Known(Outcome::without_paths(answer, Source::Refused));
        }
    };
    if query.question.qclass == Class::CH {
        let told = annotate::is_told(world, asker.origin.peer.ip().to_canonical());
        let client = asker.standing.client;
        let answer = chaos::answer(world, vantage, client, told, &query.question, asker.now_s());
        return Turn::Chaos(Outcome::without_paths(answer, Source::Refused));
    }
    match unanswerable(query) {
        Some(answer) => Turn::Known(Outcome::without_paths(answer, Source::Refused)),
        None => Turn::Question(vantage),
    }
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
        qtype if qtype.is_reserved() => refuse("types 0 and 65535 are reserved (RFC 6895 3.1)"),
        qtype if qtype.is_meta() && qtype != RecordType::ANY => Some(Answer::empty(Rcode::NOTIMP)),
        _ if !query.recursion_desired => {
            refuse("recursion was not desired (RD=0), and nothing else is served")
        }
        _ => None,
    }
}
