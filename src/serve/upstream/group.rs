//! The servers of one upstream: server selection, and single flight for identical questions.
//!
//! ```text
//!  query ─► in flight already? ─ yes ─► wait for its leader
//!             │ no
//!             ├─ has just failed, or every server is backing off ─► fail immediately
//!             ├─ share of questions in flight used up ────────────► fail immediately
//!             └─► leader: one attempt after another, to each server in turn
//! ```

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use foldhash::fast::RandomState;
use rand::seq::SliceRandom;
use tokio::sync::watch;

use super::failures::Failures;
use super::health::FailureAction;
use super::leader::Leader;
use super::message::Failure;
use super::server::{HealthChange, Server, TransportChoice};
use super::{Shared, Unanswered, UpstreamNumber};
use crate::dns::{Answer, Ede, Question};
use crate::serve::admission::within_share;
use crate::world::{Order, UpstreamIdentity};

/// Maximum number of attempts per question and server, if the server does not reply.
const MAX_ATTEMPTS: u32 = 3;

/// One question in this many is first sent to a server other than the fastest, to update its measurement.
const EXPLORE_ONE_IN: u32 = 20;

/// The result for all clients that wait for the question.
pub(super) type UpstreamResult = Result<Answer, Unanswered>;

/// One upstream. It outlives reloads.
#[derive(Debug)]
pub(super) struct UpstreamGroup {
    /// The number of the upstream's identity, which does not change for the life of the process.
    pub number: UpstreamNumber,
    /// Each combination of server and source address, grouped by server.
    pub servers: Vec<Arc<Server>>,
    /// Maximum number of source addresses per server.
    sources: usize,
    order: Order,
    state: Mutex<GroupState>,
    /// Whether a question has failed recently or every server is backing off. Usually false, so that queries
    /// need not lock the state to check.
    has_failures: AtomicBool,
    /// Number of questions in flight.
    in_flight: AtomicUsize,
    shared: Arc<Shared>,
}

/// The mutable state of a group.
#[derive(Debug)]
struct GroupState {
    in_flight: HashMap<Question, InFlight, RandomState>,
    failures: Failures,
}

/// A question in flight.
#[derive(Debug)]
struct InFlight {
    /// When it was first sent.
    since: Instant,
    /// Sends the outcome to the followers; the leader itself needs no channel.
    followers: Option<watch::Sender<Option<UpstreamResult>>>,
}

/// The role of a query in a single flight.
enum Role {
    /// The question was not in flight: this query sends it.
    Leader(FlightGuard),
    /// The question is in flight: this query waits for the outcome.
    Follower(watch::Receiver<Option<UpstreamResult>>),
}

/// A server to try for a question.
struct Candidate<'g> {
    server: &'g Arc<Server>,
    /// Number of attempts for this question.
    attempts: u32,
    transport: TransportChoice,
    /// The server is backing off, and this is its trial query.
    is_trial: bool,
}

impl<'g> Candidate<'g> {
    fn new(server: &'g Arc<Server>) -> Self {
        Self { server, attempts: 0, transport: TransportChoice::Configured, is_trial: false }
    }
}

impl UpstreamGroup {
    /// Creates a group; no server has been queried.
    pub(super) fn new(number: UpstreamNumber, identity: &UpstreamIdentity, shared: Arc<Shared>) -> Self {
        let UpstreamIdentity { servers, order, sources } = identity;
        let failures = Failures::new(shared.options.max_failures);
        let sources_of = |server: &crate::world::Server| -> Vec<Option<IpAddr>> {
            let of_family = sources.iter().filter(|source| source.is_ipv4() == server.address.is_ipv4());
            let all: Vec<_> = of_family.copied().map(Some).collect();
            if all.is_empty() { vec![None] } else { all }
        };
        let max_sources = servers.iter().map(|server| sources_of(server).len()).max().unwrap_or(1);
        let sockets = (shared.options.sockets_per_server / max_sources).max(1);
        let server = |server, source| Arc::new(Server::new(server, source, sockets, &shared));
        let all = servers.iter().flat_map(|one| sources_of(one).into_iter().map(move |source| (one, source)));
        Self {
            number,
            servers: all.map(|(one, source)| server(one, source)).collect(),
            sources: max_sources,
            order: *order,
            state: Mutex::new(GroupState { in_flight: HashMap::default(), failures }),
            has_failures: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            shared,
        }
    }

    /// Queries the servers, or waits for the outcome of the same question in flight. The text of a failure
    /// starts with `name`; `store` receives the answer if this query obtained it.
    pub(super) async fn query(
        self: &Arc<Self>,
        name: &str,
        question: &Question,
        store: impl FnOnce(&Question, &Answer) + Send + 'static,
    ) -> UpstreamResult {
        let outcome = match self.join(question) {
            Ok(Role::Leader(flight)) => Leader::new(run_leader(flight, store)).await,
            Ok(Role::Follower(outcome)) => await_leader(outcome).await,
            Err(unanswered) => Err(unanswered),
        };
        outcome.map_err(|unanswered| unanswered.with_upstream_name(name))
    }

    /// Why a question would not be sent now: it has just failed at every server, or every server is backing
    /// off and no trial is due. `None` if it would be sent, or if the same question is in flight.
    pub(super) fn known_failure(&self, question: &Question) -> Option<Unanswered> {
        if !self.has_failures.load(Ordering::Relaxed) {
            return None;
        }
        let mut state = self.lock();
        if state.in_flight.contains_key(question) {
            return None;
        }
        let failure = self.failure(&state, question);
        if failure.is_none() {
            state.failures.remove_expired(Instant::now());
            self.update_has_failures(&state);
        }
        failure
    }

    /// Since when the same question has been in flight.
    pub(super) fn in_flight_since(&self, question: &Question) -> Option<Instant> {
        self.lock().in_flight.get(question).map(|flight| flight.since)
    }

    /// Whether every server is backing off.
    pub(super) fn is_backing_off(&self) -> bool {
        self.servers.iter().all(|server| server.is_backing_off())
    }

    /// Joins the question in flight or starts it, unless it is known to fail or the share of this upstream is
    /// used up.
    fn join(self: &Arc<Self>, question: &Question) -> Result<Role, Unanswered> {
        let metrics = &self.shared.metrics;
        let mut state = self.lock();
        if let Some(flight) = state.in_flight.get_mut(question) {
            metrics.shared();
            let sender = flight.followers.get_or_insert_with(|| watch::channel(None).0);
            return Ok(Role::Follower(sender.subscribe()));
        }
        if self.has_failures.load(Ordering::Relaxed)
            && let Some(unanswered) = self.failure(&state, question)
        {
            return Err(unanswered);
        }
        let limit = self.shared.options.max_in_flight;
        let total = self.shared.in_flight.fetch_add(1, Ordering::Relaxed);
        let in_flight = self.in_flight.load(Ordering::Relaxed);
        if !within_share(in_flight, limit.saturating_sub(total)) {
            self.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
            metrics.in_flight_refused();
            let text =
                format!("too many queries: {in_flight} in flight for this upstream, limit {limit} in total");
            return Err(Unanswered::without_upstream_edes(Ede::new(Ede::OTHER, text)));
        }
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        state.in_flight.insert(question.clone(), InFlight { since: Instant::now(), followers: None });
        metrics.in_flight(1);
        Ok(Role::Leader(FlightGuard { group: self.clone(), question: question.clone(), finished: false }))
    }

    /// Why a question is not sent now.
    fn failure(&self, state: &GroupState, question: &Question) -> Option<Unanswered> {
        if let Some(unanswered) = state.failures.find(question) {
            self.shared.metrics.failure_cache_hit();
            return Some(unanswered);
        }
        if !self.is_backing_off() {
            return None;
        }
        let now = Instant::now();
        let is_trial_due = self.servers.iter().any(|server| server.health().is_trial_due(now));
        (!is_trial_due).then(|| {
            self.shared.metrics.backed_off();
            self.unanswered(&[])
        })
    }

    /// Tries one server after another. A server that does not reply is tried again after the others; a
    /// server that sends an unusable reply is not.
    async fn query_servers(self: &Arc<Self>, question: &Question) -> UpstreamResult {
        let options = &self.shared.options;
        let mut now = Instant::now();
        let deadline = now + options.total_timeout;
        let mut candidates = self.candidates(question, now);
        let mut failures: Vec<(Arc<str>, Failure)> = Vec::new();
        while let Some(candidate) = candidates.pop_front() {
            let Candidate { server, attempts, transport, is_trial } = candidate;
            if now >= deadline {
                break;
            }
            // It started to back off while this question was in flight.
            if server.is_backing_off() && !is_trial {
                continue;
            }
            let timeout = server.health().try_timeout(options.try_timeout);
            let until = deadline.min(now + timeout);
            let trial = is_trial.then(|| TrialGuard { server, is_over: false });
            let (result, action, change) = server.attempt(question, transport, now, until).await;
            now = Instant::now();
            if let Some(trial) = trial {
                trial.end(result.is_ok() || !server.is_backing_off(), now);
            }
            self.observe(server, change);
            if action == FailureAction::Probe {
                self.probe(server);
            }
            match result {
                Ok(answer) => return Ok(answer),
                Err(failure) => {
                    // A failed TCP connection is not conclusive: not every server accepts TCP.
                    let is_retried = failure.is_retryable() || transport == TransportChoice::Connection;
                    if is_retried && attempts + 1 < MAX_ATTEMPTS && !is_trial {
                        let transport = match failure {
                            Failure::Mismatch => TransportChoice::Connection,
                            _ => TransportChoice::Configured,
                        };
                        candidates.push_back(Candidate {
                            server,
                            attempts: attempts + 1,
                            transport,
                            is_trial,
                        });
                    }
                    failures.retain(|(label, _)| *label != server.label);
                    failures.push((server.label.clone(), failure));
                }
            }
        }
        Err(self.unanswered(&failures))
    }

    /// The servers to try, in order. Servers that are backing off are omitted. If one of them is due for a
    /// trial, it is sent a copy of the question. The client waits for that copy only if there is no other
    /// server.
    fn candidates(self: &Arc<Self>, question: &Question, now: Instant) -> VecDeque<Candidate<'_>> {
        let order = self.ordered();
        let (up, down): (Vec<_>, Vec<_>) = order.into_iter().partition(|server| !server.is_backing_off());
        let mut candidates: VecDeque<_> = up.into_iter().map(Candidate::new).collect();
        for server in down {
            if !server.health().claim_trial(now) {
                continue;
            }
            if candidates.is_empty() {
                candidates.push_back(Candidate { is_trial: true, ..Candidate::new(server) });
            } else {
                self.send_trial(server, question.clone());
            }
        }
        candidates
    }

    /// All servers in the order in which they are tried: the fastest first, or at random so that consecutive
    /// attempts use different source addresses if possible.
    fn ordered(&self) -> Vec<&Arc<Server>> {
        if let [only] = &self.servers[..] {
            return vec![only];
        }
        let mut all: Vec<&Arc<Server>> = self.servers.iter().collect();
        let mut random = rand::rng();
        all.shuffle(&mut random);
        if self.order == Order::Latency {
            // A server without a measurement comes first, so that it is measured.
            all.sort_by_cached_key(|server| server.health().rtt());
            if rand::random_range(0..EXPLORE_ONE_IN) == 0 {
                let other = rand::random_range(1..all.len());
                all.swap(0, other);
            }
        } else if self.sources > 1 {
            let mut ordered = Vec::with_capacity(all.len());
            while !all.is_empty() {
                let last: Option<&Arc<Server>> = ordered.last().copied();
                let differs = |server: &&Arc<Server>| last.is_none_or(|last| last.source != server.source);
                let next = all.iter().position(differs).unwrap_or(0);
                ordered.push(all.swap_remove(next));
            }
            return ordered;
        }
        all
    }

    /// Sends a question to a server that is backing off, as a trial.
    fn send_trial(self: &Arc<Self>, server: &Arc<Server>, question: Question) {
        let (group, server) = (self.clone(), server.clone());
        let timeout = server.health().try_timeout(self.shared.options.try_timeout);
        tokio::spawn(async move {
            let trial = TrialGuard { server: &server, is_over: false };
            let now = Instant::now();
            let (result, _, change) =
                server.attempt(&question, TransportChoice::Configured, now, now + timeout).await;
            trial.end(result.is_ok() || !server.is_backing_off(), Instant::now());
            group.observe(&server, change);
        });
    }

    /// Probes a server that did not reply.
    fn probe(self: &Arc<Self>, server: &Arc<Server>) {
        let (group, server) = (self.clone(), server.clone());
        let timeout = self.shared.options.probe_timeout;
        tokio::spawn(async move {
            let change = server.probe(timeout).await;
            group.observe(&server, change);
        });
    }

    /// Records and logs that a server started to back off or has recovered.
    fn observe(&self, server: &Server, change: Option<HealthChange>) {
        match change {
            None => {}
            Some(HealthChange::BackedOff) => {
                let reason = server.health().last_failure().map_or_else(String::new, Failure::to_string);
                tracing::warn!(
                    server = %server.label,
                    %reason,
                    "A name server does not answer; until it does, only trial queries are sent to it."
                );
                self.update_has_failures(&self.lock());
            }
            Some(HealthChange::Recovered) => {
                tracing::info!(server = %server.label, "A name server answers again.");
                let mut state = self.lock();
                // Questions that failed while it was unavailable may succeed now.
                state.failures.clear();
                self.update_has_failures(&state);
            }
        }
    }

    /// Updates the flag that makes queries check for failures.
    fn update_has_failures(&self, state: &GroupState) {
        let has_failures = !state.failures.is_empty() || self.is_backing_off();
        self.has_failures.store(has_failures, Ordering::Relaxed);
    }

    /// Why there is no answer: the result of each server for this question, or else why it is backing off.
    fn unanswered(&self, failures: &[(Arc<str>, Failure)]) -> Unanswered {
        let mut all: Vec<(Arc<str>, Failure, bool)> =
            failures.iter().map(|(label, failure)| (label.clone(), failure.clone(), false)).collect();
        for server in &self.servers {
            if server.is_backing_off()
                && all.iter().all(|(label, ..)| *label != server.label)
                && let Some(failure) = server.health().last_failure()
            {
                all.push((server.label.clone(), failure.clone(), true));
            }
        }
        let mut upstream_edes = Vec::new();
        for (_, failure) in failures {
            if let Failure::Rcode(_, edes) = failure {
                Ede::add_upstream(&mut upstream_edes, edes.iter().cloned());
            }
        }
        Unanswered { ede: describe_failures(&all), upstream_edes }
    }

    /// Locks the state.
    fn lock(&self) -> MutexGuard<'_, GroupState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Resolves a question as its leader, from the first attempt to the outcome.
async fn run_leader(mut flight: FlightGuard, store: impl FnOnce(&Question, &Answer)) -> UpstreamResult {
    let outcome = flight.group.query_servers(&flight.question).await;
    if let Ok(answer) = &outcome {
        // Stored before the question leaves the table, so that an identical question is either in flight or
        // cached.
        store(&flight.question, answer);
    }
    // Followers are notified after the question has left the table, so that later questions are sent again.
    if let Some(followers) = flight.finish(Some(&outcome)) {
        let _ = followers.send(Some(outcome.clone()));
    }
    outcome
}

/// Waits for the outcome of the leader.
async fn await_leader(mut outcome: watch::Receiver<Option<UpstreamResult>>) -> UpstreamResult {
    let dropped = || Unanswered::without_upstream_edes(Ede::new(Ede::OTHER, "the query was cancelled"));
    match outcome.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone().unwrap_or_else(|| Err(dropped())),
        Err(_) => Err(dropped()),
    }
}

/// Removes a question from those in flight when it ends or is dropped.
struct FlightGuard {
    group: Arc<UpstreamGroup>,
    question: Question,
    /// Whether it has been removed.
    finished: bool,
}

impl FlightGuard {
    /// Ends the flight. Returns the channel to the followers.
    fn finish(&mut self, outcome: Option<&UpstreamResult>) -> Option<watch::Sender<Option<UpstreamResult>>> {
        if std::mem::replace(&mut self.finished, true) {
            return None;
        }
        let Self { group, question, .. } = self;
        group.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
        group.in_flight.fetch_sub(1, Ordering::Relaxed);
        group.shared.metrics.in_flight(-1);
        let mut state = group.lock();
        match outcome {
            Some(Ok(_)) => state.failures.remove(question),
            // The servers are down, so the failure does not concern this question.
            Some(Err(_)) if group.is_backing_off() => {}
            Some(Err(unanswered)) => state.failures.add(question, unanswered, Instant::now()),
            None => {}
        }
        if matches!(outcome, Some(Err(_))) || group.has_failures.load(Ordering::Relaxed) {
            group.update_has_failures(&state);
        }
        state.in_flight.remove(question)?.followers
    }
}

/// If the leader was dropped, its followers receive an error.
impl Drop for FlightGuard {
    fn drop(&mut self) {
        drop(self.finish(None));
    }
}

/// A trial query in progress: if it is dropped, another one may start.
struct TrialGuard<'s> {
    server: &'s Server,
    is_over: bool,
}

impl TrialGuard<'_> {
    /// Ends the trial. A reply has already ended the back-off of the server.
    fn end(mut self, replied: bool, now: Instant) {
        self.is_over = true;
        if !replied {
            self.server.health().record_trial_failure(now);
        }
    }
}

impl Drop for TrialGuard<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.server.health().abandon_trial();
        }
    }
}

/// Describes the result of each server, and whether it is backing off.
fn describe_failures(failures: &[(Arc<str>, Failure, bool)]) -> Ede {
    let unreachable = failures.iter().all(|(_, failure, _)| failure.is_unreachable());
    let code = if unreachable { Ede::NO_REACHABLE_AUTHORITY } else { Ede::NETWORK_ERROR };
    let text = |(label, failure, is_backing_off): &(Arc<str>, Failure, bool)| {
        format!("{label} {failure}{}", if *is_backing_off { " (backing off)" } else { "" })
    };
    let texts: Vec<String> = failures.iter().map(text).collect();
    Ede::new(code, texts.join(", "))
}
