//! From a message to its reply: out of the packet cache, by a decision, or after somebody else was asked.

use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::clients::{Known, Standing};
use super::forward::{ForwardOptions, Forwarder};
use super::packet_cache::{Again, Asked, Candidate, Found, Told};
use super::worker::Worker;
use super::{Door, Moment, Origin, Transport, annotate, chaos};
use crate::config::Config;
use crate::dns::encode::append_option;
use crate::dns::{
    Annotations, Answer, Class, ClientSubnet, Ede, Encoded, MAX_MESSAGE, Name, OptionCode, Peek, Query,
    Question, Rcode, RecordType, Rejected, encode, encode_laid_out, encode_turn_away, udp_limit,
};
use crate::observe::{Arrival, DropReason, Observer, ObserverError, ObserverOptions, QueryEvent};
use crate::resolve::{Keep, Outcome, Resolution, Silent, Source, Step, Whom, played};
use crate::world::{Live, Upstream, Vantage, World};

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
    hasher: foldhash::fast::RandomState,
    /// How many queries may wait for somebody else's answer at once.
    waiting: Arc<Semaphore>,
    /// How many octets all packet caches may hold together.
    packet_cache_bytes: u64,
    /// The worker of those who have no thread of their own.
    common: Mutex<Worker>,
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

/// Who asked what, and when.
#[derive(Debug)]
struct Asker {
    query: Query,
    origin: Origin,
    moment: Moment,
    request_octets: usize,
    standing: Standing,
    /// Whether a cached answer helped, and nobody had to be asked.
    cached: bool,
}

impl Asker {
    fn now_s(&self) -> u64 {
        seconds(self.moment.at)
    }

    fn vantage(&self) -> Option<Vantage> {
        self.standing.vantage.as_ref().ok().copied()
    }
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
        Self { live, observer, forwarder, rotations, hasher, waiting, packet_cache_bytes, common }
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
    /// asked first. The message was read at `moment`.
    pub fn begin(
        &self,
        worker: &mut Worker,
        door: &Door,
        message: &[u8],
        origin: &Origin,
        moment: Moment,
        out: &mut Vec<u8>,
    ) -> Begun {
        let world = self.live.load(); // one generation for the whole query
        let given = match self.again(&world, worker, door, message, origin, moment, out) {
            Given::Again => return Begun::Ready,
            Given::Not { before } => before,
        };
        let query = match Query::parse(message) {
            Ok(query) => query,
            Err(rejected) => return turn_away(worker, door, origin, &rejected, out),
        };
        let subnet = query.edns.as_ref().and_then(|edns| edns.client_subnet);
        let standing = Standing::of(&world, door, origin.peer.ip().to_canonical(), subnet);
        let request_octets = message.len();
        let mut asker =
            Asker { query, origin: origin.clone(), moment, request_octets, standing, cached: false };
        let vantage = match turn(&world, &asker) {
            Turn::Known(outcome) => return self.reply(&world, worker, door, &asker, &outcome, out),
            Turn::Chaos(outcome) => return chaos_reply(&world, worker, door, &asker, &outcome, out),
            Turn::Question(vantage) => vantage,
        };
        let resolution = Resolution::new(vantage, &asker.query.question, asker.now_s());
        match self.look(&world, resolution, asker.now_s(), given) {
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
            let answer = self.ask(&world, pending.whom, &pending.question, now_s).await;
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
        let begun = self.begin(&mut self.common(), door, message, origin, Moment::now(), out);
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
        let asker = Asker { query, origin, moment, request_octets, standing, cached: false };
        let (Turn::Known(outcome) | Turn::Chaos(outcome)) = turn(&world, &asker) else { return false };
        let mut out = Vec::new();
        encode(&asker.query, &outcome.answer, &Annotations::default(), MAX_MESSAGE, 0, &mut out);
        !out.is_empty()
    }

    // ---- again: what was answered before --------------------------------------------------------------

    /// Answers a plain query as one before it was answered: no decision, no allocation, no lock.
    #[allow(clippy::too_many_arguments, reason = "these are the query and who answers it")]
    fn again(
        &self,
        world: &World,
        worker: &mut Worker,
        door: &Door,
        message: &[u8],
        origin: &Origin,
        moment: Moment,
        out: &mut Vec<u8>,
    ) -> Given {
        const NEVER: Given = Given::Not { before: 0 };
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
            Found::Ended { given } => return Given::Not { before: given },
            Found::Nothing => return NEVER,
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
        let again = Again { id: peek.id, qname_as_sent: peek.qname_as_sent, rotation, now_s, edns };
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
                Step::Ask(whom, question) => match self.at_hand(world, whom, &question, now_s, given) {
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
        whom: Whom,
        question: &Question,
        now_s: u64,
        given: u32,
    ) -> Option<(Answer, Keep, bool)> {
        if let Whom::Rule(rule) = whom
            && let Some(answer) = played(world, rule, question, now_s)
        {
            return Some((answer, Keep::World, false));
        }
        let upstream = upstream_of(world, whom)?;
        let (answer, keep) = self.forwarder.cached(upstream, question, now_s, given)?;
        Some((answer, keep, true))
    }

    async fn ask(&self, world: &World, whom: Whom, question: &Question, now_s: u64) -> Answer {
        match upstream_of(world, whom) {
            Some(upstream) => self.forwarder.ask(upstream, question, now_s).await,
            None => Answer::empty(Rcode::SERVFAIL)
                .with_ede(Ede::new(Ede::NO_REACHABLE_AUTHORITY, "there is nobody to ask")),
        }
    }

    // ---- replying --------------------------------------------------------------------------------------

    /// Encodes an outcome, with what its client is to be told; tells the observer; keeps what may be kept.
    fn reply(
        &self,
        world: &World,
        worker: &mut Worker,
        door: &Door,
        asker: &Asker,
        outcome: &Outcome,
        out: &mut Vec<u8>,
    ) -> Begun {
        let Asker { query, origin, .. } = asker;
        let annotations = annotations(world, asker, outcome);
        let slot = self.rotation_slot(&query.question.qname, query.question.qtype);
        let rotation = self.turn(slot);
        let base = out.len();
        let limit = limit(world, origin.transport, query.edns.as_ref().map(|edns| edns.payload));
        let encoded = encode_laid_out(
            query,
            &outcome.answer,
            &annotations.sent,
            limit,
            rotation,
            &mut worker.layout,
            out,
        );
        if encoded.length == 0 {
            return Begun::Silence;
        }
        let event = event(world, door, asker, outcome, &encoded, rotation);
        let noted = worker.witness.observe(&event);
        let reply = &out[base..];
        if !encoded.truncated && noted.is_for_every_rotation() {
            let options = options(&outcome.answer, &annotations.unasked);
            keep(world, worker, asker, outcome, reply, (rotation, slot), Told { options, noted });
        }
        Begun::Ready
    }

    /// Records of an answer rotate from query to query, for each question on its own: a client that asks for
    /// A and AAAA in turn would else see the same order each time.
    fn rotation_slot(&self, qname: &Name, qtype: RecordType) -> usize {
        let names = ROTATIONS / 2;
        let hash = self.hasher.hash_one(qname);
        let is_aaaa = qtype == RecordType::AAAA;
        // The remainder is below ROTATIONS / 2, which fits.
        (hash % names as u64) as usize * 2 + usize::from(is_aaaa)
    }

    fn turn(&self, slot: usize) -> usize {
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

/// How long a reply may be.
fn limit(world: &World, transport: Transport, payload: Option<u16>) -> usize {
    match transport {
        Transport::Udp => udp_limit(payload, world.answers.max_udp_payload),
        Transport::Tcp | Transport::Dot | Transport::Doh => MAX_MESSAGE,
    }
}

/// What a reply carries beside its records, and what it would carry had the query not asked for paths.
struct Annotated {
    sent: Annotations,
    unasked: Vec<Ede>,
}

fn annotations(world: &World, asker: &Asker, outcome: &Outcome) -> Annotated {
    let query = &asker.query;
    let mut sent = Annotations { client_subnet: asker.standing.subnet, ..Annotations::default() };
    let Some(vantage) = asker.vantage().filter(|_| outcome.source != Source::Refused) else {
        return Annotated { sent, unasked: Vec::new() };
    };
    let peer = asker.origin.peer.ip().to_canonical();
    let is_told = match annotate::asks(query) {
        true => annotate::is_told_asked(world, peer),
        false => annotate::is_told_unasked(world, peer),
    };
    let edes = if is_told { annotate::edes(world, vantage, outcome) } else { Vec::new() };
    sent.option = annotate::option(world, vantage, peer, query, outcome, asker.now_s());
    if query.edns.is_some() {
        sent.edes.clone_from(&edes);
    }
    Annotated { sent, unasked: edes }
}

/// The extended errors of a reply as options in wire form.
fn options(answer: &Answer, edes: &[Ede]) -> Box<[u8]> {
    let mut options = Vec::new();
    for ede in answer.ede.iter().chain(edes) {
        append_option(OptionCode::EDE, &ede.encode(), &mut options);
    }
    options.into()
}

fn event<'e>(
    world: &'e World,
    door: &'e Door,
    asker: &'e Asker,
    outcome: &'e Outcome,
    encoded: &Encoded,
    rotation: usize,
) -> QueryEvent<'e> {
    let Asker { query, origin, .. } = asker;
    QueryEvent {
        arrival: Arrival {
            server: &door.server,
            transport: origin.transport,
            peer: origin.peer,
            id: query.id,
            client: asker.standing.client,
            truncated: encoded.truncated,
            rotation,
            request_octets: asker.request_octets,
            response_octets: encoded.length,
            elapsed: Some(asker.moment.started.elapsed()),
            at: asker.moment.at,
        },
        world,
        question: &query.question,
        vantage: asker.vantage(),
        outcome,
        cached: asker.cached,
    }
}

/// Keeps a reply for the next who asks the same, where that may be.
fn keep(
    world: &World,
    worker: &mut Worker,
    asker: &Asker,
    outcome: &Outcome,
    reply: &[u8],
    (rotation, rotates_by): (usize, usize),
    told: Told,
) {
    let query = &asker.query;
    let Some(Vantage { view, place }) = asker.vantage() else { return };
    if outcome.keep == Keep::No || query.question.qclass != Class::IN || annotate::asks(query) {
        return;
    }
    let (qtype, recursion_desired) = (query.question.qtype, query.recursion_desired);
    let name = worker.name.set(query.question.qname.as_wire());
    let asked = Asked { view, qtype, recursion_desired, name };
    if !worker.packets.wants(&asked) {
        return;
    }
    let candidate = Candidate {
        generation: world.generation,
        reply,
        layout: &worker.layout,
        answer: &outcome.answer,
        keep: outcome.keep,
        rotation,
        rotates_by,
        now_s: asker.now_s(),
    };
    let is_told = annotate::is_told_unasked(world, asker.origin.peer.ip().to_canonical());
    worker.packets.keep(&asked, &candidate, (place, is_told), told);
    worker.tell_size();
}

/// What never becomes a question still shows in the metrics.
fn turn_away(
    worker: &mut Worker,
    door: &Door,
    origin: &Origin,
    rejected: &Rejected,
    out: &mut Vec<u8>,
) -> Begun {
    match rejected {
        Rejected::Silence(reason) => {
            worker.witness.dropped(&door.server, origin.transport, (*reason).into());
            Begun::Silence
        }
        Rejected::Reply(turned) => {
            encode_turn_away(turned, out);
            worker.witness.turned_away(&door.server, origin.transport, origin.peer, turned.rcode);
            Begun::Ready
        }
    }
}

/// CHAOS strings are lines of a text and keep their order; no paths are told with them.
fn chaos_reply(
    world: &World,
    worker: &mut Worker,
    door: &Door,
    asker: &Asker,
    outcome: &Outcome,
    out: &mut Vec<u8>,
) -> Begun {
    let Asker { query, origin, .. } = asker;
    let annotations = Annotations { client_subnet: asker.standing.subnet, ..Annotations::default() };
    let limit = limit(world, origin.transport, query.edns.as_ref().map(|edns| edns.payload));
    if encode(query, &outcome.answer, &annotations, limit, 0, out).length == 0 {
        return Begun::Silence;
    }
    worker.witness.chaos(&door.server, origin.transport, origin.peer);
    Begun::Ready
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

/// The servers behind somebody who is asked.
fn upstream_of(world: &World, whom: Whom) -> Option<&Upstream> {
    let index = match whom {
        Whom::Rule(rule) => world.rules[rule].upstream,
        Whom::Internet => world.internet,
    };
    index.map(|index| &world.upstreams[index])
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
