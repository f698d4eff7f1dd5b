//! From a message to its reply: out of the packet cache, by a decision, or after somebody else was asked.

use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::admission::{Admission, Permit};
use super::clients::{Known, Standing};
use super::denials::Denials;
use super::forward::{ForwardOptions, Forwarder};
use super::inspect::{Inspected, Rate};
use super::packet_cache::{Again, Asked, Found};
use super::reply::{Asker, chaos_reply, limit, turn_away};
use super::upstream::UpstreamOptions;
use super::worker::Worker;
use super::{Door, Moment, Origin, Transport, annotate, chaos};
use crate::config::Config;
use crate::dns::{
    Annotations, Answer, Class, ClientSubnet, Ede, MAX_MESSAGE, Name, OptionCode, Peek, Query, Question,
    Rcode, RecordType, encode,
};
use crate::observe::{Arrival, DropReason, Observer, ObserverError, ObserverOptions};
use crate::resolve::{
    Keep, MonotonicSeconds, Outcome, Resolution, Silent, Source, Step, Trace, Whom, played,
};
use crate::world::{Live, Vantage, World};

/// How many rotations are kept apart, half of them for AAAA. Names that share one do no harm.
const ROTATIONS: usize = 4096;

/// How long a query may take in all, however many upstreams a chain of CNAMEs leads to: stub resolvers wait 5 seconds.
const QUERY_TIMEOUT: Duration = Duration::from_millis(4500);

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
    /// Which queries may wait for an upstream.
    admission: Arc<Admission>,
    /// How many upstream queries those may cause who ask about answers.
    pub(super) inspections: Rate,
    /// The origin of its monotonic time.
    started: Instant,
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

/// A query that waits for an upstream's answer. It keeps the world that it began in.
#[derive(Debug)]
pub struct Waiting {
    world: Arc<World>,
    asker: Asker,
    work: Work,
}

/// What a query waits for.
#[derive(Debug)]
enum Work {
    /// The answer to its question.
    Answer {
        pending: Box<Pending>,
        permit: Permit,
        /// When it is answered at the latest.
        deadline: Instant,
    },
    /// What the answer to another question would be: it is a CHAOS question.
    Inspection(Vantage),
}

/// A query for which everybody was asked; [`Engine::conclude`] writes its reply.
#[derive(Debug)]
pub struct Resolved {
    world: Arc<World>,
    asker: Asker,
    outcome: Option<Box<Outcome>>,
}

/// What the engine makes of a query before anything is looked up.
enum Turn {
    /// The outcome is known already.
    Known(Outcome),
    /// It is a CHAOS question, which is no look-up.
    Chaos(Outcome),
    /// It is a CHAOS question about the answer to a name.
    Inspection(Vantage),
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
pub(super) struct Pending {
    pub resolution: Resolution,
    pub whom: Whom,
    pub question: Question,
}

/// How a resolution went as far as nobody has to be asked.
pub(super) enum Looked {
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
        Self::open_with(config, world, UpstreamOptions::default().sockets_per_server)
    }

    /// The same with so many UDP sockets of each runtime to each name server, at least one.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_with(
        config: &Config,
        world: World,
        sockets_per_server: usize,
    ) -> Result<Self, ObserverError> {
        let options = ObserverOptions {
            query_log: config.query_log.clone(),
            remembered_lookups: config.server.max_remembered_lookups as usize,
        };
        let observer = Arc::new(Observer::new(options)?);
        observer.world_loaded(&world);
        let mut forward = ForwardOptions::of(config);
        forward.upstream.sockets_per_server = sockets_per_server.max(1);
        let forwarder = Arc::new(Forwarder::new(forward, observer.clone()));
        let waiting = config.server.max_waiting_queries as usize;
        let packets = config.packet_cache.max_bytes;
        Ok(Self::new(Arc::new(Live::new(world)), observer, forwarder, waiting, packets))
    }

    /// An engine over the living world. At most `waiting` queries wait for upstreams at once; packet caches hold at
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
        let admission = Arc::new(Admission::new(waiting));
        let common = Mutex::new(Worker::new(&observer, packet_cache_bytes / COMMON_SHARE));
        let denials = Denials::new();
        let inspections = Rate::default();
        Self {
            live,
            observer,
            forwarder,
            rotations,
            denials,
            hasher,
            admission,
            inspections,
            started: Instant::now(),
            packet_cache_bytes,
            common,
        }
    }

    /// Who hears of everything that is answered.
    pub fn observer(&self) -> &Arc<Observer> {
        &self.observer
    }

    /// The world that answers now.
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// When it was made: the origin of the time by which its caches count.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// The time by its monotonic clock.
    pub fn now(&self) -> MonotonicSeconds {
        MonotonicSeconds::since(self.started, Instant::now())
    }

    /// A moment as its caches measure it: by the monotonic clock alone.
    fn time(&self, moment: Moment) -> MonotonicSeconds {
        MonotonicSeconds::since(self.started, moment.started)
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
        let (origin, now) = (origin.clone(), self.time(moment));
        let mut asker = Asker { query, origin, moment, now, request_octets, standing, draw, cached: false };
        let origin = &incoming.origin;
        let vantage = match turn(&world, &asker) {
            Turn::Known(outcome) => return self.reply(&world, worker, door, &asker, &outcome, out),
            Turn::Chaos(outcome) => return chaos_reply(&world, worker, door, &asker, &outcome, out),
            Turn::Inspection(vantage) => {
                return match self.inspected_at_hand(&world, vantage, &asker) {
                    Some(outcome) => chaos_reply(&world, worker, door, &asker, &outcome, out),
                    None => Begun::Waiting(Box::new(Waiting {
                        world: world.clone(),
                        asker,
                        work: Work::Inspection(vantage),
                    })),
                };
            }
            Turn::Question(vantage) => vantage,
        };
        let resolution = Resolution::new(vantage, &asker.query.question, asker.occasion());
        let mut looked = self.look(&world, resolution, asker.now, before);
        loop {
            let pending = match looked {
                Looked::Done(Some(outcome), cached) => {
                    asker.cached = cached;
                    return self.reply(&world, worker, door, &asker, &outcome, out);
                }
                Looked::Done(None, _) => {
                    worker.witness.dropped(&door.server, origin.transport, DropReason::DnsSupportOff);
                    return Begun::Silence;
                }
                Looked::Ask(pending) => pending,
            };
            if origin.transport == Transport::Udp && self.forwarder.sent_from(origin.peer) {
                // Asked again it would come again; whoever began it is told.
                let text = format!("question {} came back to where it left: a loop", asker.query.question);
                let answer = Answer::empty(Rcode::SERVFAIL).with_ede(Ede::new(Ede::OTHER, text));
                let outcome = Outcome::without_paths(answer, Source::Refused);
                return self.reply(&world, worker, door, &asker, &outcome, out);
            }
            match self.admit(&world, &pending, origin.peer.ip(), asker.now) {
                Ok(permit) => {
                    let deadline = moment.started + QUERY_TIMEOUT;
                    let world = world.clone();
                    let work = Work::Answer { pending, permit, deadline };
                    return Begun::Waiting(Box::new(Waiting { world, asker, work }));
                }
                Err(answer) => {
                    let Pending { mut resolution, whom, .. } = *pending;
                    resolution.answered(whom, answer, Keep::No);
                    looked = self.look(&world, resolution, asker.now, 0);
                }
            }
        }
    }

    /// Queries upstreams, as often as CNAMEs lead to one, until the query's deadline.
    pub async fn resolve(&self, waiting: Box<Waiting>) -> Resolved {
        let Waiting { world, asker, work } = *waiting;
        let now = asker.now;
        let (mut pending, permit, deadline) = match work {
            Work::Answer { pending, permit, deadline } => (pending, permit, deadline),
            Work::Inspection(vantage) => {
                let outcome = Some(Box::new(self.inspected(&world, vantage, &asker).await));
                return Resolved { world, asker, outcome };
            }
        };
        let mut permit = Some(permit);
        // The time-out of one question is the first one's; a timer is for those that follow.
        let mut until = None;
        let outcome = loop {
            let answer = match &permit {
                Some(_) => self.query_upstream(&world, &pending, now, until).await,
                // A chain may lead from one upstream to another, which has a share of its own.
                None => match self.admit(&world, &pending, asker.origin.peer.ip(), now) {
                    Ok(next) => {
                        let answer = self.query_upstream(&world, &pending, now, until).await;
                        drop(next);
                        answer
                    }
                    Err(answer) => answer,
                },
            };
            permit = None;
            until = Some(deadline);
            // The next query for this is answered from a cache, and so annotated; this outcome is not cached itself.
            pending.resolution.answered(pending.whom, answer, Keep::No);
            match self.look(&world, pending.resolution, now, 0) {
                Looked::Done(outcome, _) => break outcome,
                Looked::Ask(next) => pending = next,
            }
        };
        Resolved { world, asker, outcome }
    }

    /// The last part of a query's life: appends the reply to `out`. False means: say nothing.
    pub fn conclude(&self, worker: &mut Worker, door: &Door, resolved: &Resolved, out: &mut Vec<u8>) -> bool {
        let Resolved { world, asker, outcome, .. } = resolved;
        let Some(outcome) = outcome else {
            worker.witness.dropped(&door.server, asker.origin.transport, DropReason::DnsSupportOff);
            return false;
        };
        let begun = match asker.query.question.qclass {
            Class::CH => chaos_reply(world, worker, door, asker, outcome, out),
            _ => self.reply(world, worker, door, asker, outcome, out),
        };
        matches!(begun, Begun::Ready)
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
        let (now, draw) = (self.time(moment), rand::random());
        let asker = Asker { query, origin, moment, now, request_octets, standing, draw, cached: false };
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
        let now = self.time(moment);
        let found = packets.find(&asked, place, client.is_told, world.generation, now);
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
            now,
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
    fn look(&self, world: &World, resolution: Resolution, now: MonotonicSeconds, given: u32) -> Looked {
        self.look_and_trace(world, resolution, now, given, &mut Silent)
    }

    /// The same, with a trace of what is considered.
    pub(super) fn look_and_trace(
        &self,
        world: &World,
        mut resolution: Resolution,
        now: MonotonicSeconds,
        given: u32,
        trace: &mut impl Trace,
    ) -> Looked {
        let mut helped = false;
        loop {
            match resolution.step(world, trace) {
                Step::Done(outcome) => return Looked::Done(outcome, helped),
                Step::Ask(whom, question) => match self.at_hand(world, &whom, &question, now, given) {
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
        now: MonotonicSeconds,
        given: u32,
    ) -> Option<(Answer, Keep, bool)> {
        if *whom != Whom::Internet
            && let Some(answer) = played(world, whom, question, now.get())
        {
            return Some((answer, Keep::World, false));
        }
        let upstream = whom.upstream(world)?;
        if let Some((answer, keep)) = self.forwarder.cached(upstream, question, now, given) {
            return Some((answer, keep, true));
        }
        // Nobody waits for what is known to fail.
        let answer = self.forwarder.known_failure(upstream, question, now)?;
        Some((answer, Keep::No, false))
    }

    /// Admits a question to those that wait for its upstream; or gives the answer where it may not wait.
    pub(super) fn admit(
        &self,
        world: &World,
        pending: &Pending,
        client: IpAddr,
        now: MonotonicSeconds,
    ) -> Result<Permit, Answer> {
        let Some(upstream) = pending.whom.upstream(world) else {
            return Err(no_upstream());
        };
        self.admission
            .enter(self.forwarder.number(upstream), client)
            .map_err(|refusal| self.forwarder.refused(upstream, &pending.question, now, refusal))
    }

    pub(super) async fn query_upstream(
        &self,
        world: &World,
        pending: &Pending,
        now: MonotonicSeconds,
        deadline: Option<Instant>,
    ) -> Answer {
        match pending.whom.upstream(world) {
            Some(upstream) => self.forwarder.query(upstream, &pending.question, now, deadline).await,
            None => no_upstream(),
        }
    }

    /// The reply to a CHAOS question about a name, where no upstream has to be queried for it.
    fn inspected_at_hand(&self, world: &World, vantage: Vantage, asker: &Asker) -> Option<Outcome> {
        let now = asker.now;
        let questions = chaos::inspected(&asker.query.question);
        let inspect = |question: &Question| self.inspect_at_hand(world, vantage, question, now);
        let all: Option<Vec<Inspected>> = questions.iter().map(inspect).collect();
        Some(chaos::explanation(world, vantage, &asker.query.question, &questions, &all?))
    }

    /// The same, with upstreams queried.
    async fn inspected(&self, world: &World, vantage: Vantage, asker: &Asker) -> Outcome {
        let questions = chaos::inspected(&asker.query.question);
        let client = asker.origin.peer.ip();
        let mut all = Vec::new();
        for question in &questions {
            all.push(self.inspect(world, vantage, question, client, asker.now).await);
        }
        chaos::explanation(world, vantage, &asker.query.question, &questions, &all)
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

/// The answer where a rule or the internet has no server.
fn no_upstream() -> Answer {
    Answer::empty(Rcode::SERVFAIL)
        .with_ede(Ede::new(Ede::NO_REACHABLE_AUTHORITY, "there is no name server to query"))
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
        let is_annotated = annotate::is_told(world, asker.origin.peer.ip().to_canonical());
        let client = asker.standing.client;
        return match chaos::answer(world, vantage, client, is_annotated, &query.question) {
            Some(answer) => Turn::Chaos(Outcome::without_paths(answer, Source::Refused)),
            None => Turn::Inspection(vantage),
        };
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
