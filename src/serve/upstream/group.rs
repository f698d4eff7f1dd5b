//! The servers of one upstream: which to query next, and equal questions queried once.
//!
//! ```text
//!  query ─► in flight already? ─ yes ─► follow its leader
//!             │ no
//!             ├─ failed just now, or every server backs off ─► fails at once
//!             ├─ over its share of what may be in flight ────► fails at once
//!             └─► lead: one try after the other, another server and source address each time
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
use super::health::Verdict;
use super::lead::Lead;
use super::message::Failure;
use super::server::{Change, Server, Via};
use super::{Shared, Unanswered, UpstreamNumber};
use crate::dns::{Answer, Ede, Question};
use crate::serve::admission::within_share;
use crate::world::{Order, UpstreamIdentity};

/// How often one question is put to a server that stays silent.
const TRIES: u32 = 3;

/// One question in so many goes first to another server than the quickest, to measure it.
const EXPLORE_ONE_IN: u32 = 20;

/// What all who ask get.
pub(super) type Outcome = Result<Answer, Unanswered>;

/// An upstream as it lives through reloads.
#[derive(Debug)]
pub(super) struct Group {
    /// The same for the same identity for the life of the process.
    pub number: UpstreamNumber,
    /// Each server from each source address, an upstream's servers together.
    pub servers: Vec<Arc<Server>>,
    /// How many source addresses each server is queried from.
    sources: usize,
    order: Order,
    state: Mutex<State>,
    /// Whether a question failed a while ago, or every server backs off: most upstreams have no such trouble, and their
    /// queries need not look further.
    troubled: AtomicBool,
    /// How many questions are in flight.
    in_flight: AtomicUsize,
    shared: Arc<Shared>,
}

/// What changes with each question.
#[derive(Debug)]
struct State {
    in_flight: HashMap<Question, InFlight, RandomState>,
    failures: Failures,
}

/// A question in flight.
#[derive(Debug)]
struct InFlight {
    /// Since when.
    since: Instant,
    /// Sends the outcome to those who wait too; the leader itself needs no channel.
    followers: Option<watch::Sender<Option<Outcome>>>,
}

/// How a query begins.
enum Begun {
    /// No equal question is in flight: this one is led.
    Lead(Flight),
    /// One is.
    Follow(watch::Receiver<Option<Outcome>>),
}

/// A server to try.
struct Candidate<'g> {
    server: &'g Arc<Server>,
    /// How often it has been tried for this question.
    tries: u32,
    via: Via,
    /// It backs off, and this is its trial query.
    is_trial: bool,
}

impl<'g> Candidate<'g> {
    fn new(server: &'g Arc<Server>) -> Self {
        Self { server, tries: 0, via: Via::Usual, is_trial: false }
    }
}

impl Group {
    /// No server has been queried.
    pub fn new(number: UpstreamNumber, identity: &UpstreamIdentity, shared: Arc<Shared>) -> Self {
        let UpstreamIdentity { servers, order, sources } = identity;
        let failures = Failures::new(shared.options.max_failures);
        let usable = |server: &crate::world::Server| -> Vec<Option<IpAddr>> {
            let of_family = sources.iter().filter(|source| source.is_ipv4() == server.address.is_ipv4());
            let all: Vec<_> = of_family.copied().map(Some).collect();
            if all.is_empty() { vec![None] } else { all }
        };
        let most = servers.iter().map(|server| usable(server).len()).max().unwrap_or(1);
        let sockets = (shared.options.sockets_per_server / most).max(1);
        let server = |server, source| Arc::new(Server::new(server, source, sockets, &shared));
        let all = servers.iter().flat_map(|one| usable(one).into_iter().map(move |source| (one, source)));
        Self {
            number,
            servers: all.map(|(one, source)| server(one, source)).collect(),
            sources: most,
            order: *order,
            state: Mutex::new(State { in_flight: HashMap::default(), failures }),
            troubled: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            shared,
        }
    }

    /// Queries the servers, or waits for the outcome of an equal question in flight. `name` begins the text of a failure;
    /// `store` receives the answer of this very query.
    pub async fn query(
        self: &Arc<Self>,
        name: &str,
        question: &Question,
        store: impl FnOnce(&Question, &Answer) + Send + 'static,
    ) -> Outcome {
        let outcome = match self.begin(question) {
            Ok(Begun::Lead(flight)) => Lead::new(lead(flight, store)).await,
            Ok(Begun::Follow(outcome)) => follow(outcome).await,
            Err(unanswered) => Err(unanswered),
        };
        outcome.map_err(|unanswered| unanswered.of(name))
    }

    /// Why a question would not be sent now: it has just failed at every server, or every server backs off and no trial
    /// is due. `None`: it would be, or an equal one is in flight.
    pub fn known_failure(&self, question: &Question) -> Option<Unanswered> {
        if !self.troubled.load(Ordering::Relaxed) {
            return None;
        }
        let mut state = self.lock();
        if state.in_flight.contains_key(question) {
            return None;
        }
        let failure = self.failure(&state, question);
        if failure.is_none() {
            state.failures.forget_old(Instant::now());
            self.update_troubled(&state);
        }
        failure
    }

    /// Since when an equal question is in flight.
    pub fn in_flight_since(&self, question: &Question) -> Option<Instant> {
        self.lock().in_flight.get(question).map(|flight| flight.since)
    }

    /// Whether every server has been given up.
    pub fn is_backing_off(&self) -> bool {
        self.servers.iter().all(|server| server.is_backing_off())
    }

    /// Puts a question into flight, unless it is in flight, is known to fail, or exceeds this upstream's share.
    fn begin(self: &Arc<Self>, question: &Question) -> Result<Begun, Unanswered> {
        let metrics = &self.shared.metrics;
        let mut state = self.lock();
        if let Some(flight) = state.in_flight.get_mut(question) {
            metrics.shared();
            let sender = flight.followers.get_or_insert_with(|| watch::channel(None).0);
            return Ok(Begun::Follow(sender.subscribe()));
        }
        if self.troubled.load(Ordering::Relaxed)
            && let Some(unanswered) = self.failure(&state, question)
        {
            return Err(unanswered);
        }
        let most = self.shared.options.max_in_flight;
        let all = self.shared.in_flight.fetch_add(1, Ordering::Relaxed);
        let own = self.in_flight.load(Ordering::Relaxed);
        if !within_share(own, most.saturating_sub(all)) {
            self.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
            metrics.in_flight_refused();
            let text = format!("{own} of at most {most} queries in flight are for these servers already");
            return Err(Unanswered::without_upstream_edes(Ede::new(Ede::OTHER, text)));
        }
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        state.in_flight.insert(question.clone(), InFlight { since: Instant::now(), followers: None });
        metrics.in_flight(1);
        Ok(Begun::Lead(Flight { group: self.clone(), question: question.clone(), landed: false }))
    }

    /// Why a question is not sent now.
    fn failure(&self, state: &State, question: &Question) -> Option<Unanswered> {
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
            self.given_up(&[])
        })
    }

    /// Tries one server after the other. One that stays silent is tried again when the others have been; one that
    /// replies something useless is not.
    async fn query_servers(self: &Arc<Self>, question: &Question) -> Outcome {
        let options = &self.shared.options;
        let mut now = Instant::now();
        let deadline = now + options.total_timeout;
        let mut candidates = self.candidates(question, now);
        let mut failures: Vec<(Arc<str>, Failure)> = Vec::new();
        while let Some(candidate) = candidates.pop_front() {
            let Candidate { server, tries, via, is_trial } = candidate;
            if now >= deadline {
                break;
            }
            // Given up since this question has begun.
            if server.is_backing_off() && !is_trial {
                continue;
            }
            let timeout = server.health().try_timeout(options.try_timeout);
            let until = deadline.min(now + timeout);
            let trial = is_trial.then(|| Trial { server, is_over: false });
            let (result, verdict, change) = server.attempt(question, via, now, until).await;
            now = Instant::now();
            if let Some(trial) = trial {
                trial.end(result.is_ok() || !server.is_backing_off(), now);
            }
            self.observe(server, change);
            if verdict == Verdict::Probe {
                self.probe(server);
            }
            match result {
                Ok(answer) => return Ok(answer),
                Err(failure) => {
                    // Not every server listens for connections.
                    let is_retried = failure.is_worth_a_retry() || via == Via::Connection;
                    if is_retried && tries + 1 < TRIES && !is_trial {
                        let via = if failure == Failure::Mismatch { Via::Connection } else { Via::Usual };
                        candidates.push_back(Candidate { server, tries: tries + 1, via, is_trial });
                    }
                    failures.retain(|(label, _)| *label != server.label);
                    failures.push((server.label.clone(), failure));
                }
            }
        }
        Err(self.given_up(&failures))
    }

    /// The servers to try, in order. Those that back off are left out; where one of them is due for a trial, it gets a
    /// copy of the question, which nobody waits for unless there is no other server.
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
                self.try_aside(server, question.clone());
            }
        }
        candidates
    }

    /// All servers in the order they are tried in: another server and another source address each time, as far as there
    /// are any.
    fn ordered(&self) -> Vec<&Arc<Server>> {
        if let [only] = &self.servers[..] {
            return vec![only];
        }
        let mut all: Vec<&Arc<Server>> = self.servers.iter().collect();
        let mut random = rand::rng();
        all.shuffle(&mut random);
        if self.order == Order::Latency {
            // A server that was never queried comes first, and is measured.
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

    /// Sends a question to a server that backs off, to see whether it replies.
    fn try_aside(self: &Arc<Self>, server: &Arc<Server>, question: Question) {
        let (group, server) = (self.clone(), server.clone());
        let timeout = server.health().try_timeout(self.shared.options.try_timeout);
        tokio::spawn(async move {
            let trial = Trial { server: &server, is_over: false };
            let now = Instant::now();
            let (result, _, change) = server.attempt(&question, Via::Usual, now, now + timeout).await;
            trial.end(result.is_ok() || !server.is_backing_off(), Instant::now());
            group.observe(&server, change);
        });
    }

    /// Probes a server that did not answer.
    fn probe(self: &Arc<Self>, server: &Arc<Server>) {
        let (group, server) = (self.clone(), server.clone());
        let timeout = self.shared.options.probe_timeout;
        tokio::spawn(async move {
            let change = server.probe(timeout).await;
            group.observe(&server, change);
        });
    }

    /// Takes note of a server that was given up or replies again, and logs it.
    fn observe(&self, server: &Server, change: Option<Change>) {
        match change {
            None => {}
            Some(Change::GivenUp) => {
                let reason = server.health().last_failure().map_or_else(String::new, Failure::to_string);
                tracing::warn!(
                    server = %server.label,
                    %reason,
                    "A name server is not answering and is not queried for now, but for one query every few seconds."
                );
                self.update_troubled(&self.lock());
            }
            Some(Change::Returned) => {
                tracing::info!(server = %server.label, "A name server is answering again.");
                let mut state = self.lock();
                // What failed while it was away need not fail now.
                state.failures.clear();
                self.update_troubled(&state);
            }
        }
    }

    /// Notes whether there is any trouble to look for.
    fn update_troubled(&self, state: &State) {
        let troubled = !state.failures.is_empty() || self.is_backing_off();
        self.troubled.store(troubled, Ordering::Relaxed);
    }

    /// Why there is no answer: what each server did to this question, or else before it was given up.
    fn given_up(&self, failures: &[(Arc<str>, Failure)]) -> Unanswered {
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
        Unanswered { ede: explain(&all), upstream_edes }
    }

    /// What changes, for a moment.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question from the first try to the outcome.
async fn lead(mut flight: Flight, store: impl FnOnce(&Question, &Answer)) -> Outcome {
    let outcome = flight.group.query_servers(&flight.question).await;
    if let Ok(answer) = &outcome {
        // Before it leaves the table: an equal question is either in flight or cached.
        store(&flight.question, answer);
    }
    // The followers hear when the question is out of the table: later ones are sent again.
    if let Some(followers) = flight.land(Some(&outcome)) {
        let _ = followers.send(Some(outcome.clone()));
    }
    outcome
}

/// Waits for the outcome of an equal question.
async fn follow(mut outcome: watch::Receiver<Option<Outcome>>) -> Outcome {
    let lost = || Unanswered::without_upstream_edes(Ede::new(Ede::OTHER, "the query was lost"));
    match outcome.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone().unwrap_or_else(|| Err(lost())),
        Err(_) => Err(lost()),
    }
}

/// Takes a question out of those in flight, however it ends.
struct Flight {
    group: Arc<Group>,
    question: Question,
    /// Whether that is done.
    landed: bool,
}

impl Flight {
    /// Ends the flight. Returns the channel to those who wait for its outcome too.
    fn land(&mut self, outcome: Option<&Outcome>) -> Option<watch::Sender<Option<Outcome>>> {
        if std::mem::replace(&mut self.landed, true) {
            return None;
        }
        let Self { group, question, .. } = self;
        group.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
        group.in_flight.fetch_sub(1, Ordering::Relaxed);
        group.shared.metrics.in_flight(-1);
        let mut state = group.lock();
        match outcome {
            Some(Ok(_)) => state.failures.remove(question),
            // Where no server is queried at all, that says nothing of this question.
            Some(Err(_)) if group.is_backing_off() => {}
            Some(Err(unanswered)) => state.failures.add(question, unanswered, Instant::now()),
            None => {}
        }
        if matches!(outcome, Some(Err(_))) || group.troubled.load(Ordering::Relaxed) {
            group.update_troubled(&state);
        }
        state.in_flight.remove(question)?.followers
    }
}

/// Followers of a question that was dropped receive that it was lost.
impl Drop for Flight {
    fn drop(&mut self) {
        drop(self.land(None));
    }
}

/// A trial query under way: if it is dropped, another may start.
struct Trial<'s> {
    server: &'s Server,
    is_over: bool,
}

impl Trial<'_> {
    /// Ends it. A server that replied is up already.
    fn end(mut self, replied: bool, now: Instant) {
        self.is_over = true;
        if !replied {
            self.server.health().trial_failed(now);
        }
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.server.health().trial_abandoned();
        }
    }
}

/// What each server did, and whether it is given up.
fn explain(failures: &[(Arc<str>, Failure, bool)]) -> Ede {
    let unreachable = failures.iter().all(|(_, failure, _)| failure.is_unreachable());
    let code = if unreachable { Ede::NO_REACHABLE_AUTHORITY } else { Ede::NETWORK_ERROR };
    let text = |(label, failure, is_given_up): &(Arc<str>, Failure, bool)| {
        format!("{label} {failure}{}", if *is_given_up { " (backing off)" } else { "" })
    };
    let texts: Vec<String> = failures.iter().map(text).collect();
    Ede::new(code, texts.join(", "))
}
