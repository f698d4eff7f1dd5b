//! Answers messages: from the packet cache, by a local decision, or by querying an upstream.

use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::admission::{Admission, Permit};
use super::clients::{CachedClient, ClientContext};
use super::denials::Denials;
use super::forward::{ForwardOptions, Forwarder};
use super::inspect::{Explained, RateLimiter};
use super::packet_cache::{CacheHit, CacheQuestion, Lookup};
use super::reply::{QueryState, chaos_reply, reject, reply_limit};
use super::upstream::UpstreamOptions;
use super::worker::Worker;
use super::{ListenerIdentity, MessageSource, Moment, Transport, annotate, chaos};
use crate::config::Config;
use crate::dns::{
    Annotations, Answer, Class, ClientSubnet, Ede, MAX_MESSAGE, Name, OptionCode, Peek, Query, Question,
    Rcode, RecordType, encode,
};
use crate::observe::{Arrival, DropReason, Observer, ObserverError, ObserverOptions};
use crate::resolve::{
    Cacheability, ForwardTarget, MonotonicSeconds, NoTrace, Outcome, Resolution, Source, Step, Trace,
    simulated_answer,
};
use crate::world::{Live, Vantage, World};

/// Number of rotation counters, half of them for AAAA. Sharing a counter affects only the order of records.
const ROTATIONS: usize = 4096;

/// Time limit for a query, regardless of the number of upstreams in a chain of CNAMEs. Stub resolvers wait 5
/// seconds.
const QUERY_TIMEOUT: Duration = Duration::from_millis(4500);

/// Divisor of the total size of the packet caches: the shared worker's cache gets one fourth.
const SHARED_WORKER_DIVISOR: u64 = 4;

/// Answers messages. All listeners share one engine; none of its methods blocks.
#[derive(Debug)]
pub struct Engine {
    live: Arc<Live>,
    observer: Arc<Observer>,
    forwarder: Arc<Forwarder>,
    rotations: Box<[AtomicU32]>,
    /// Names that were recently answered with NXDOMAIN.
    pub(super) denials: Denials,
    hasher: foldhash::fast::RandomState,
    /// Limits the queries that wait for an upstream.
    admission: Arc<Admission>,
    /// Limits the upstream queries that CHAOS queries and `/v1/explain` may cause.
    pub(super) explanation_rate: RateLimiter,
    /// Start of the engine's monotonic time.
    started: Instant,
    /// Limit for the octets of all packet caches together.
    packet_cache_bytes: u64,
    /// The worker for listeners that do not run on a worker's thread.
    shared_worker: Mutex<Worker>,
}

/// A message as a listener received it.
#[derive(Clone, Copy, Debug)]
pub struct IncomingMessage<'a> {
    /// The listener.
    pub listener: &'a ListenerIdentity,
    /// The message in wire form.
    pub message: &'a [u8],
    /// Its source and transport.
    pub source: &'a MessageSource,
    /// When it was received.
    pub moment: Moment,
}

/// The result of [`Engine::handle`].
#[derive(Debug)]
pub enum Progress {
    /// No reply is sent.
    Dropped,
    /// The reply has been appended to the output.
    Replied,
    /// An upstream must be queried: call [`Engine::resolve`].
    Pending(Box<PendingQuery>),
}

/// A query that waits for an upstream. It holds the world in which it was received.
#[derive(Debug)]
pub struct PendingQuery {
    world: Arc<World>,
    query_state: QueryState,
    work: PendingWork,
}

/// What a pending query waits for.
#[derive(Debug)]
enum PendingWork {
    /// The answer to its question.
    Answer {
        pending: Box<PendingResolution>,
        permit: Permit,
        /// When the query times out.
        deadline: Instant,
    },
    /// The explanation of a name that a CHAOS query requests.
    Explanation(Vantage),
}

/// A query that has been resolved; [`Engine::finish`] writes its reply.
#[derive(Debug)]
pub struct ResolvedQuery {
    world: Arc<World>,
    query_state: QueryState,
    outcome: Option<Box<Outcome>>,
}

/// A parsed query, classified before any lookup.
enum Classified {
    /// The outcome is already known.
    Known(Outcome),
    /// A CHAOS query about the server itself, which is not counted as a lookup.
    Chaos(Outcome),
    /// A CHAOS query about the answer to a name.
    Explanation(Vantage),
    /// A question to be resolved.
    Question(Vantage),
}

/// The result of a packet cache lookup.
enum CacheLookup {
    /// The reply was served from the cache.
    Hit,
    /// There is no entry, or it is not usable.
    Miss {
        /// How many times the entry was served, if it has just expired; otherwise 0.
        expired_hits: u32,
        /// The client, if it was identified.
        client: Option<ClientContext>,
    },
}

/// A resolution that waits for the answer of an upstream to a question.
#[derive(Debug)]
pub(super) struct PendingResolution {
    pub resolution: Resolution,
    pub target: ForwardTarget,
    pub question: Question,
}

/// The result of a resolution that does not query upstreams.
pub(super) enum LocalResolution {
    /// The resolution is complete. The outcome is `None` if no reply is to be sent; the flag states whether a
    /// cached answer was used.
    Done(Option<Box<Outcome>>, bool),
    /// An upstream must be queried.
    Forward(Box<PendingResolution>),
}

impl Engine {
    /// Creates an engine with all its parts, for a world and the settings that are fixed for the life of the
    /// process.
    ///
    /// # Errors
    ///
    /// If the query log cannot be opened or a thread cannot be started.
    pub fn open(config: &Config, world: World) -> Result<Self, ObserverError> {
        Self::open_with(config, world, UpstreamOptions::default().sockets_per_server)
    }

    /// Like [`open`](Self::open), with the given number of UDP sockets per runtime and name server (at least
    /// 1).
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
        observer.record_loaded_config(&world);
        let mut forward = ForwardOptions::of(config);
        forward.upstream.sockets_per_server = sockets_per_server.max(1);
        let forwarder = Arc::new(Forwarder::new(forward, observer.clone()));
        let max_waiting = config.server.max_waiting_queries as usize;
        let packet_cache_bytes = config.packet_cache.max_bytes;
        Ok(Self::new(Arc::new(Live::new(world)), observer, forwarder, max_waiting, packet_cache_bytes))
    }

    /// Creates an engine for the current world. At most `max_waiting` queries wait for upstreams at the
    /// same time; the packet caches together hold at most `packet_cache_bytes` octets.
    pub fn new(
        live: Arc<Live>,
        observer: Arc<Observer>,
        forwarder: Arc<Forwarder>,
        max_waiting: usize,
        packet_cache_bytes: u64,
    ) -> Self {
        let rotations = (0..ROTATIONS).map(|_| AtomicU32::new(0)).collect();
        let hasher = foldhash::fast::RandomState::default();
        let admission = Arc::new(Admission::new(max_waiting));
        let shared_worker = Mutex::new(Worker::new(&observer, packet_cache_bytes / SHARED_WORKER_DIVISOR));
        let denials = Denials::new();
        let inspections = RateLimiter::default();
        Self {
            live,
            observer,
            forwarder,
            rotations,
            denials,
            hasher,
            admission,
            explanation_rate: inspections,
            started: Instant::now(),
            packet_cache_bytes,
            shared_worker,
        }
    }

    /// The observer of all queries.
    pub fn observer(&self) -> &Arc<Observer> {
        &self.observer
    }

    /// The current world.
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// When the engine was created: the origin of the monotonic time used by its caches.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// The current time on the engine's monotonic clock.
    pub fn now(&self) -> MonotonicSeconds {
        MonotonicSeconds::since(self.started, Instant::now())
    }

    /// Converts a moment to the time used by the caches, by the monotonic clock only.
    fn time(&self, moment: Moment) -> MonotonicSeconds {
        MonotonicSeconds::since(self.started, moment.started)
    }

    /// The forwarder that queries upstreams.
    pub fn forwarder(&self) -> &Arc<Forwarder> {
        &self.forwarder
    }

    /// Creates one of `count` workers. They share the size of the packet caches equally, except the part of
    /// the shared worker.
    pub fn worker(&self, count: usize) -> Worker {
        let total = self.packet_cache_bytes - self.packet_cache_bytes / SHARED_WORKER_DIVISOR;
        Worker::new(&self.observer, total / count.max(1) as u64)
    }

    /// The shared worker, for listeners that do not run on a worker's thread. Hold the lock for one message
    /// only.
    pub fn shared_worker(&self) -> MutexGuard<'_, Worker> {
        self.shared_worker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Handles a query completely, or up to the point where an upstream must be queried: appends the reply to
    /// `out` in the first case.
    pub fn handle(&self, worker: &mut Worker, incoming: &IncomingMessage<'_>, out: &mut Vec<u8>) -> Progress {
        let IncomingMessage { listener, message, source, moment } = *incoming;
        let world = self.live.load(); // one generation for the whole query
        let (expired_hits, cached_client) = match self.serve_cached(&world, worker, incoming, out) {
            CacheLookup::Hit => return Progress::Replied,
            CacheLookup::Miss { expired_hits, client } => (expired_hits, client),
        };
        let query = match Query::parse(message) {
            Ok(query) => query,
            Err(rejected) => return reject(worker, listener, source, &rejected, out),
        };
        let subnet = query.edns.as_ref().and_then(|edns| edns.client_subnet);
        let client = cached_client
            .unwrap_or_else(|| ClientContext::of(&world, listener, source.peer.ip().to_canonical(), subnet));
        let request_octets = message.len();
        let random = rand::random();
        let (source, now) = (source.clone(), self.time(moment));
        let mut query_state =
            QueryState { query, source, moment, now, request_octets, client, random, from_cache: false };
        let source = &incoming.source;
        let vantage = match classify(&world, &query_state) {
            Classified::Known(outcome) => {
                return self.reply(&world, worker, listener, &query_state, &outcome, out);
            }
            Classified::Chaos(outcome) => {
                return chaos_reply(&world, worker, listener, &query_state, &outcome, out);
            }
            Classified::Explanation(vantage) => {
                return match self.explain_name_locally(&world, vantage, &query_state) {
                    Some(outcome) => chaos_reply(&world, worker, listener, &query_state, &outcome, out),
                    None => Progress::Pending(Box::new(PendingQuery {
                        world: world.clone(),
                        query_state,
                        work: PendingWork::Explanation(vantage),
                    })),
                };
            }
            Classified::Question(vantage) => vantage,
        };
        let resolution = Resolution::new(vantage, &query_state.query.question, query_state.context());
        let mut local = self.resolve_locally(&world, resolution, query_state.now, expired_hits);
        loop {
            let pending = match local {
                LocalResolution::Done(Some(outcome), cached) => {
                    query_state.from_cache = cached;
                    return self.reply(&world, worker, listener, &query_state, &outcome, out);
                }
                LocalResolution::Done(None, _) => {
                    worker.recorder.record_drop(
                        &listener.server,
                        source.transport,
                        DropReason::DnsSupportOff,
                    );
                    return Progress::Dropped;
                }
                LocalResolution::Forward(pending) => pending,
            };
            if source.transport == Transport::Udp && self.forwarder.is_own_socket(source.peer) {
                // Forwarding the query again would repeat the loop; the error is returned to the query that
                // started it.
                let text = format!(
                    "forwarding loop: the query for {} returned to this resolver",
                    query_state.query.question
                );
                let answer = Answer::empty(Rcode::SERVFAIL).with_ede(Ede::new(Ede::OTHER, text));
                let outcome = Outcome::without_paths(answer, Source::Refused);
                return self.reply(&world, worker, listener, &query_state, &outcome, out);
            }
            match self.admit(&world, &pending, source.peer.ip(), query_state.now) {
                Ok(permit) => {
                    let deadline = moment.started + QUERY_TIMEOUT;
                    let world = world.clone();
                    let work = PendingWork::Answer { pending, permit, deadline };
                    return Progress::Pending(Box::new(PendingQuery { world, query_state, work }));
                }
                Err(answer) => {
                    let PendingResolution { mut resolution, target, .. } = *pending;
                    resolution.supply_answer(target, answer, Cacheability::Never);
                    local = self.resolve_locally(&world, resolution, query_state.now, 0);
                }
            }
        }
    }

    /// Queries upstreams, again for each CNAME that requires it, until the query's deadline.
    pub async fn resolve(&self, pending_query: Box<PendingQuery>) -> ResolvedQuery {
        let PendingQuery { world, query_state, work } = *pending_query;
        let now = query_state.now;
        let (mut pending, permit, deadline) = match work {
            PendingWork::Answer { pending, permit, deadline } => (pending, permit, deadline),
            PendingWork::Explanation(vantage) => {
                let outcome = Some(Box::new(self.explain_name(&world, vantage, &query_state).await));
                return ResolvedQuery { world, query_state, outcome };
            }
        };
        let mut permit = Some(permit);
        // The first upstream query has its own timeout; the deadline applies to those that follow.
        let mut until = None;
        let outcome = loop {
            let answer = match &permit {
                Some(_) => self.query_upstream(&world, &pending, now, until).await,
                // A CNAME's target may be forwarded to another upstream, which has its own share.
                None => match self.admit(&world, &pending, query_state.source.peer.ip(), now) {
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
            // The reply is not inserted into the packet cache: the next one, made from the message cache, can
            // be.
            pending.resolution.supply_answer(pending.target, answer, Cacheability::Never);
            match self.resolve_locally(&world, pending.resolution, now, 0) {
                LocalResolution::Done(outcome, _) => break outcome,
                LocalResolution::Forward(next) => pending = next,
            }
        };
        ResolvedQuery { world, query_state, outcome }
    }

    /// Completes a query: appends the reply to `out`. Returns false if no reply is to be sent.
    pub fn finish(
        &self,
        worker: &mut Worker,
        listener: &ListenerIdentity,
        resolved: &ResolvedQuery,
        out: &mut Vec<u8>,
    ) -> bool {
        let ResolvedQuery { world, query_state, outcome, .. } = resolved;
        let Some(outcome) = outcome else {
            worker.recorder.record_drop(
                &listener.server,
                query_state.source.transport,
                DropReason::DnsSupportOff,
            );
            return false;
        };
        let progress = match query_state.query.question.qclass {
            Class::CH => chaos_reply(world, worker, listener, query_state, outcome, out),
            _ => self.reply(world, worker, listener, query_state, outcome, out),
        };
        matches!(progress, Progress::Replied)
    }

    /// Handles a query completely with the shared worker, for listeners that await the reply themselves.
    /// Returns false if no reply is to be sent.
    pub async fn answer(
        &self,
        listener: &ListenerIdentity,
        message: &[u8],
        source: &MessageSource,
        out: &mut Vec<u8>,
    ) -> bool {
        let incoming = IncomingMessage { listener, message, source, moment: Moment::now() };
        let progress = self.handle(&mut self.shared_worker(), &incoming, out);
        let pending_query = match progress {
            Progress::Dropped => return false,
            Progress::Replied => return true,
            Progress::Pending(pending_query) => pending_query,
        };
        let resolved = self.resolve(pending_query).await;
        self.finish(&mut self.shared_worker(), listener, &resolved, out)
    }

    /// Self-check used by the watchdog: resolves a built-in question. Not counted in metrics.
    pub fn is_alive(&self) -> bool {
        /// `whoami.plustwo. CH TXT`, a query without EDNS.
        const WHOAMI: &[u8] = b"\0\0\x01\0\0\x01\0\0\0\0\0\0\x06whoami\x07plustwo\0\0\x10\0\x03";
        let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let peer = SocketAddr::new(localhost, 0);
        let source = MessageSource { peer, local: localhost, transport: Transport::Udp };
        let listener = ListenerIdentity::new(0, source.peer);
        let world = self.live.load();
        let Ok(query) = Query::parse(WHOAMI) else { return false };
        let client = ClientContext::of(&world, &listener, localhost, None);
        let (moment, request_octets) = (Moment::now(), WHOAMI.len());
        let (now, random) = (self.time(moment), rand::random());
        let query_state =
            QueryState { query, source, moment, now, request_octets, client, random, from_cache: false };
        let (Classified::Known(outcome) | Classified::Chaos(outcome)) = classify(&world, &query_state) else {
            return false;
        };
        let mut out = Vec::new();
        encode(&query_state.query, &outcome.answer, &Annotations::default(), MAX_MESSAGE, 0, &mut out);
        !out.is_empty()
    }

    // ---- packet cache ---------------------------------------------------------------------------------

    /// Answers a query from the packet cache: no decision, no allocation, no lock.
    fn serve_cached(
        &self,
        world: &World,
        worker: &mut Worker,
        incoming: &IncomingMessage<'_>,
        out: &mut Vec<u8>,
    ) -> CacheLookup {
        let IncomingMessage { listener, message, source, moment } = *incoming;
        const MISS: CacheLookup = CacheLookup::Miss { expired_hits: 0, client: None };
        // Only plain queries can be served from the cache. All others take the complete path, which also
        // handles errors.
        let Some(peek) = Peek::parse(message, annotate::PATHS_OPTION) else { return MISS };
        let Worker { recorder, packet_cache, client_cache, lower_name, .. } = worker;
        let subnet = peek.edns.and_then(|edns| edns.client_subnet);
        let Some(client) = client_cache.identify(world, listener, source.peer.ip().to_canonical(), subnet)
        else {
            return MISS;
        };
        let Vantage { view, place } = client.vantage;
        let (qtype, recursion_desired) = (peek.qtype, peek.recursion_desired);
        let question =
            CacheQuestion { view, qtype, recursion_desired, name: lower_name.set(peek.qname_as_sent) };
        let now = self.time(moment);
        let lookup = packet_cache.lookup(&question, place, client.is_annotated, world.generation, now);
        recorder.record_packet_cache_lookup(matches!(lookup, Lookup::Hit(..)));
        let (cached_reply, annotation) = match lookup {
            Lookup::Hit(cached_reply, annotation) => (cached_reply, annotation),
            Lookup::Expired { hits } => {
                return CacheLookup::Miss { expired_hits: hits, client: Some(client.context()) };
            }
            Lookup::Miss => return CacheLookup::Miss { expired_hits: 0, client: Some(client.context()) },
        };
        let mut buffer = [0; MAX_CLIENT_SUBNET_OCTETS];
        let echo = encode_client_subnet(client, &mut buffer);
        let octets = cached_reply.length(annotation, peek.edns.map(|_| echo.len()));
        let payload = peek.edns.map(|edns| edns.payload);
        if octets > reply_limit(world, source.transport, payload) {
            // The full path truncates the reply.
            return MISS;
        }
        let rotation = cached_reply.rotation_slot().map_or(0, |slot| self.next_rotation(slot));
        let edns = peek.edns.map(|edns| (edns.dnssec_ok, echo));
        let hit = CacheHit {
            id: peek.id,
            checking_disabled: peek.checking_disabled,
            qname_as_sent: peek.qname_as_sent,
            rotation,
            now,
            edns,
        };
        cached_reply.append(annotation, &hit, out);
        // Reading the clock is a noticeable part of the cost of a hit, so it is read only if the time is
        // used.
        let elapsed = recorder.needs_durations().then(|| moment.started.elapsed());
        recorder.record_hit(
            cached_reply.counts(annotation),
            &Arrival {
                server: &listener.server,
                transport: source.transport,
                peer: source.peer,
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
        CacheLookup::Hit
    }

    // ---- resolving ------------------------------------------------------------------------------------

    /// Resolves without querying an upstream: from the world, its simulated name servers and the message
    /// cache. `expired_hits` is how many times the packet cache served the reply that has just expired.
    fn resolve_locally(
        &self,
        world: &World,
        resolution: Resolution,
        now: MonotonicSeconds,
        expired_hits: u32,
    ) -> LocalResolution {
        self.resolve_locally_traced(world, resolution, now, expired_hits, &mut NoTrace)
    }

    /// Like `resolve_locally`, with a trace of the decision.
    pub(super) fn resolve_locally_traced(
        &self,
        world: &World,
        mut resolution: Resolution,
        now: MonotonicSeconds,
        expired_hits: u32,
        trace: &mut impl Trace,
    ) -> LocalResolution {
        let mut used_cache = false;
        loop {
            match resolution.step(world, trace) {
                Step::Done(outcome) => return LocalResolution::Done(outcome, used_cache),
                Step::Forward(target, question) => {
                    match self.local_answer(world, &target, &question, now, expired_hits) {
                        Some((answer, cacheability, cached)) => {
                            used_cache |= cached;
                            resolution.supply_answer(target, answer, cacheability);
                        }
                        None => {
                            return LocalResolution::Forward(Box::new(PendingResolution {
                                resolution,
                                target,
                                question,
                            }));
                        }
                    }
                }
            }
        }
    }

    /// An answer that is available without querying an upstream, how long it may be cached, and whether it
    /// came from the message cache.
    fn local_answer(
        &self,
        world: &World,
        target: &ForwardTarget,
        question: &Question,
        now: MonotonicSeconds,
        expired_hits: u32,
    ) -> Option<(Answer, Cacheability, bool)> {
        if *target != ForwardTarget::Internet
            && let Some(answer) = simulated_answer(world, target, question, now.get())
        {
            return Some((answer, Cacheability::Generation, false));
        }
        let upstream = target.upstream(&world.names)?;
        if let Some((answer, cacheability)) = self.forwarder.cached(upstream, question, now, expired_hits) {
            return Some((answer, cacheability, true));
        }
        // A question that is known to fail is answered immediately.
        let answer = self.forwarder.known_failure(upstream, question, now)?;
        Some((answer, Cacheability::Never, false))
    }

    /// Admits a question to the queries that wait for its upstream, or returns the answer to use instead.
    pub(super) fn admit(
        &self,
        world: &World,
        pending: &PendingResolution,
        client: IpAddr,
        now: MonotonicSeconds,
    ) -> Result<Permit, Answer> {
        let Some(upstream) = pending.target.upstream(&world.names) else {
            return Err(no_upstream());
        };
        self.admission
            .enter(self.forwarder.number(upstream), client)
            .map_err(|refusal| self.forwarder.not_admitted(upstream, &pending.question, now, refusal))
    }

    pub(super) async fn query_upstream(
        &self,
        world: &World,
        pending: &PendingResolution,
        now: MonotonicSeconds,
        deadline: Option<Instant>,
    ) -> Answer {
        match pending.target.upstream(&world.names) {
            Some(upstream) => self.forwarder.query(upstream, &pending.question, now, deadline).await,
            None => no_upstream(),
        }
    }

    /// The reply to a CHAOS query about a name, if no upstream has to be queried.
    fn explain_name_locally(
        &self,
        world: &World,
        vantage: Vantage,
        query_state: &QueryState,
    ) -> Option<Outcome> {
        let now = query_state.now;
        let questions = chaos::inspected_questions(&query_state.query.question);
        let inspect = |question: &Question| self.inspect_locally(world, vantage, question, now);
        let all: Option<Vec<Explained>> = questions.iter().map(inspect).collect();
        Some(chaos::explanation(world, vantage, &query_state.query.question, &questions, &all?))
    }

    /// The reply to a CHAOS query about a name. Upstreams are queried if necessary.
    async fn explain_name(&self, world: &World, vantage: Vantage, query_state: &QueryState) -> Outcome {
        let questions = chaos::inspected_questions(&query_state.query.question);
        let client = query_state.source.peer.ip();
        let mut all = Vec::new();
        for question in &questions {
            all.push(self.inspect(world, vantage, question, client, query_state.now).await);
        }
        chaos::explanation(world, vantage, &query_state.query.question, &questions, &all)
    }

    /// The rotation counter of a question. Each question has its own, because a client that alternates
    /// between A and AAAA queries would otherwise see the same order every time.
    pub(super) fn rotation_slot(&self, qname: &Name, qtype: RecordType) -> usize {
        let names = ROTATIONS / 2;
        let hash = self.hasher.hash_one(qname);
        let is_aaaa = qtype == RecordType::AAAA;
        // The remainder is less than ROTATIONS / 2, so the cast is lossless.
        (hash % names as u64) as usize * 2 + usize::from(is_aaaa)
    }

    /// The next rotation of a counter.
    pub(super) fn next_rotation(&self, slot: usize) -> usize {
        self.rotations[slot].fetch_add(1, Ordering::Relaxed) as usize
    }
}

/// The answer if the target has no name server.
fn no_upstream() -> Answer {
    Answer::empty(Rcode::SERVFAIL).with_ede(Ede::new(Ede::NO_REACHABLE_AUTHORITY, "no name server to query"))
}

/// The longest client subnet option, including its code and length.
const MAX_CLIENT_SUBNET_OCTETS: usize = 4 + ClientSubnet::MAX_LEN;

/// The client subnet option to echo, in wire form; empty if none was accepted.
fn encode_client_subnet<'b>(
    client: &CachedClient,
    buffer: &'b mut [u8; MAX_CLIENT_SUBNET_OCTETS],
) -> &'b [u8] {
    let Some(subnet) = &client.subnet else { return &[] };
    let length = subnet.write(subnet.network.prefix_len(), &mut buffer[4..]);
    buffer[..2].copy_from_slice(&OptionCode::CLIENT_SUBNET.to_be_bytes());
    // At most `ClientSubnet::MAX_LEN`, so the cast is lossless.
    buffer[2..4].copy_from_slice(&(length as u16).to_be_bytes());
    &buffer[..4 + length]
}

/// Determines whether a query is a question to be resolved, and from which vantage.
fn classify(world: &World, query_state: &QueryState) -> Classified {
    let query = &query_state.query;
    let vantage = match &query_state.client.vantage {
        Ok(vantage) => *vantage,
        Err(reason) => {
            let answer =
                Answer::empty(Rcode::REFUSED).with_ede(Ede::new(Ede::PROHIBITED, reason.to_string()));
            return Classified::Known(Outcome::without_paths(answer, Source::Refused));
        }
    };
    if query.question.qclass == Class::CH {
        let is_annotated =
            annotate::may_receive_annotations(world, query_state.source.peer.ip().to_canonical());
        let client = query_state.client.client;
        return match chaos::answer(world, vantage, client, is_annotated, &query.question) {
            Some(answer) => Classified::Chaos(Outcome::without_paths(answer, Source::Refused)),
            None => Classified::Explanation(vantage),
        };
    }
    match rejection(query) {
        Some(answer) => Classified::Known(Outcome::without_paths(answer, Source::Refused)),
        None => Classified::Question(vantage),
    }
}

/// The answer to a query that this resolver does not accept.
///
/// The VPC resolver is a recursive service. How it answers queries without RD and zone transfers is not
/// documented; refusing them is an assumption of this project.
fn rejection(query: &Query) -> Option<Answer> {
    let refuse =
        |text: &str| Some(Answer::empty(Rcode::REFUSED).with_ede(Ede::new(Ede::NOT_SUPPORTED, text)));
    let question = &query.question;
    if question.qclass != Class::IN {
        return refuse("only classes IN and CH are served");
    }
    match question.qtype {
        RecordType::AXFR | RecordType::IXFR => refuse("zone transfers are not served"),
        qtype if qtype.is_reserved() => refuse("types 0 and 65535 are reserved (RFC 6895 section 3.1)"),
        qtype if qtype.is_meta() && qtype != RecordType::ANY => Some(Answer::empty(Rcode::NOTIMP)),
        _ if !query.recursion_desired => refuse("only recursive queries are served, but RD is not set"),
        _ => None,
    }
}
