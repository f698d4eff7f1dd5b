//! Answers messages: from the packet cache, by a local decision, or by querying an upstream.
//!
//! ```text
//!  handle ─┬─ cached     a reply from the packet cache. Done.
//!          └─ decided    classify ─► Resolution, with the message cache ─┬─► reply. Done.
//!                                                                        └─► Pending
//!  resolve ─ queries the upstream of a pending query
//!  finish ── reply of a resolved query
//! ```

mod cached;
mod chaos;
mod decided;
mod denials;
mod inspect;
mod reply;

use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::admission::{Admission, Permit};
use super::clients::ClientContext;
use super::forward::{ForwardOptions, Forwarder};
use super::upstream::UpstreamOptions;
use super::worker::Worker;
use super::{ListenerIdentity, MessageSource, Moment, Transport};
use crate::config::Config;
use crate::dns::{Annotations, Answer, Class, Ede, MAX_MESSAGE, Name, Query, Rcode, RecordType, encode};
use crate::observe::{DropReason, Observer, ObserverError, ObserverOptions};
use crate::resolve::{Cacheability, MonotonicSeconds, Outcome, Resolution, Source};
use crate::world::{Live, Vantage, World};
use cached::CacheLookup;
use decided::{Classified, LocalResolution, PendingResolution, classify};
use denials::Denials;
use inspect::RateLimiter;
use reply::{QueryState, chaos_reply, reject};

pub use inspect::{InspectedAnswer, Inspection};

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
    denials: Denials,
    hasher: foldhash::fast::RandomState,
    /// Limits the queries that wait for an upstream.
    admission: Arc<Admission>,
    /// Limits the upstream queries that CHAOS queries and `/v1/explain` may cause.
    inspection_rate: RateLimiter,
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
        let inspection_rate = RateLimiter::default();
        Self {
            live,
            observer,
            forwarder,
            rotations,
            denials,
            hasher,
            admission,
            inspection_rate,
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

    /// Converts a moment to the monotonic time that the caches use.
    fn time(&self, moment: Moment) -> MonotonicSeconds {
        MonotonicSeconds::since(self.started, moment.started)
    }

    /// The forwarder that queries upstreams.
    pub fn forwarder(&self) -> &Arc<Forwarder> {
        &self.forwarder
    }

    /// Creates one of `count` workers. They equally share the total size of the packet caches, less
    /// the part of the shared worker.
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

    /// Queries upstreams, again for each CNAME target that is forwarded, until the query's deadline.
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
