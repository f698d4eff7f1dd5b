//! The servers of one upstream: whom to ask next, and equal questions asked once.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use foldhash::fast::RandomState;
use rand::seq::SliceRandom;
use tokio::sync::watch;

use super::failures::Failures;
use super::lead::Lead;
use super::message::Failure;
use super::server::Server;
use super::{Shared, Unanswered, UpstreamNumber};
use crate::dns::{Answer, Ede, Question};
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
    /// Whom to ask.
    pub servers: Vec<Server>,
    order: Order,
    state: Mutex<State>,
    shared: Arc<Shared>,
}

/// What changes with each question.
#[derive(Debug)]
struct State {
    /// Questions, each with a sender once somebody else waits too: who leads needs none.
    in_flight: HashMap<Question, Option<watch::Sender<Option<Outcome>>>, RandomState>,
    failures: Failures,
}

/// How asking begins.
enum Begun {
    /// Nobody else asks this.
    Lead(Landing),
    /// Somebody does.
    Follow(watch::Receiver<Option<Outcome>>),
}

impl Group {
    /// Nobody has been asked.
    pub fn new(number: UpstreamNumber, identity: &UpstreamIdentity, shared: Arc<Shared>) -> Self {
        let UpstreamIdentity { servers, order, sources } = identity;
        let failures = Failures::new(shared.options.max_failures);
        Self {
            number,
            servers: servers.iter().map(|server| Server::new(server, sources, &shared)).collect(),
            order: *order,
            state: Mutex::new(State { in_flight: HashMap::default(), failures }),
            shared,
        }
    }

    /// Asks, or waits for whoever asks the same already. `name` begins the text of a failure.
    pub async fn ask(self: &Arc<Self>, name: &str, question: &Question) -> Outcome {
        let outcome = match self.begin(question) {
            Ok(Begun::Lead(landing)) => Lead::new(fly(landing)).await,
            Ok(Begun::Follow(outcome)) => follow(outcome).await,
            Err(unanswered) => Err(unanswered),
        };
        // Several rules may have the same servers, so what they share names none of them.
        outcome.map_err(|Unanswered { ede }| Unanswered {
            ede: Ede::new(ede.code, format!("{name}: {}", ede.text)),
        })
    }

    /// Puts a question into flight, unless it is in flight, has just failed, or there is no room.
    fn begin(self: &Arc<Self>, question: &Question) -> Result<Begun, Unanswered> {
        let metrics = &self.shared.metrics;
        let mut state = self.lock();
        if let Some(others) = state.in_flight.get_mut(question) {
            metrics.shared();
            let sender = others.get_or_insert_with(|| watch::channel(None).0);
            return Ok(Begun::Follow(sender.subscribe()));
        }
        if let Some(ede) = state.failures.find(question) {
            metrics.failure_cache_hit();
            return Err(Unanswered { ede });
        }
        let most = self.shared.options.max_in_flight;
        if self.shared.in_flight.fetch_add(1, Ordering::Relaxed) >= most {
            self.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
            metrics.in_flight_refused();
            let text = format!("{most} questions are in flight already");
            return Err(Unanswered { ede: Ede::new(Ede::OTHER, text) });
        }
        state.in_flight.insert(question.clone(), None);
        metrics.in_flight(1);
        Ok(Begun::Lead(Landing { group: self.clone(), question: question.clone(), landed: false }))
    }

    /// Asks one server after the other. One that stays silent is asked again when the others are through; one
    /// that says something useless is not.
    async fn ask_servers(&self, question: &Question) -> Outcome {
        let options = &self.shared.options;
        let mut now = Instant::now();
        let deadline = now + options.total_timeout;
        let mut candidates = self.candidates(now);
        let mut failures: Vec<(Arc<str>, Failure)> = Vec::new();
        while let Some((server, tries)) = candidates.pop_front() {
            if now >= deadline {
                break;
            }
            let until = deadline.min(now + options.try_timeout);
            match server.attempt(question, now, until).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => {
                    if failure == Failure::Timeout && tries + 1 < TRIES {
                        candidates.push_back((server, tries + 1));
                    }
                    failures.retain(|(label, _)| *label != server.label);
                    failures.push((server.label.clone(), failure));
                }
            }
            now = Instant::now();
        }
        Err(Unanswered { ede: explain(&failures) })
    }

    /// Whom to ask, in order. Servers that rest are left out unless all do.
    fn candidates(&self, now: Instant) -> VecDeque<(&Server, u32)> {
        if let [only] = &self.servers[..] {
            return VecDeque::from([(only, 0)]);
        }
        let mut all: Vec<&Server> = self.servers.iter().collect();
        all.shuffle(&mut rand::rng());
        if self.order == Order::Latency {
            // Who was never asked comes first, and is measured.
            all.sort_by_cached_key(|server| server.health().rtt());
            if all.len() > 1 && rand::random_range(0..EXPLORE_ONE_IN) == 0 {
                let other = rand::random_range(1..all.len());
                all.swap(0, other);
            }
        }
        let awake: VecDeque<_> =
            all.iter().filter(|server| !server.health().rests(now)).map(|server| (*server, 0)).collect();
        match awake.is_empty() {
            true => all.into_iter().map(|server| (server, 0)).collect(),
            false => awake,
        }
    }

    /// What changes, for a moment.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question from take-off to landing.
async fn fly(mut landing: Landing) -> Outcome {
    let outcome = landing.group.ask_servers(&landing.question).await;
    // Who waits too is told when the question is out of the table: who comes later asks anew.
    if let Some(others) = landing.land(Some(&outcome)) {
        let _ = others.send(Some(outcome.clone()));
    }
    outcome
}

/// Waits for what somebody else asked.
async fn follow(mut outcome: watch::Receiver<Option<Outcome>>) -> Outcome {
    let lost = || Unanswered { ede: Ede::new(Ede::OTHER, "the question was lost") };
    match outcome.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone().unwrap_or_else(|| Err(lost())),
        Err(_) => Err(lost()),
    }
}

/// Takes a question out of those in flight, however it ends.
struct Landing {
    group: Arc<Group>,
    question: Question,
    /// Whether that is done.
    landed: bool,
}

impl Landing {
    /// Ends the flight, and says who else waits for its outcome.
    fn land(&mut self, outcome: Option<&Outcome>) -> Option<watch::Sender<Option<Outcome>>> {
        if std::mem::replace(&mut self.landed, true) {
            return None;
        }
        let shared = &self.group.shared;
        shared.in_flight.fetch_sub(1, Ordering::Relaxed);
        shared.metrics.in_flight(-1);
        let mut state = self.group.lock();
        match outcome {
            Some(Ok(_)) => state.failures.remove(&self.question),
            Some(Err(unanswered)) => state.failures.add(&self.question, &unanswered.ede, Instant::now()),
            None => {}
        }
        state.in_flight.remove(&self.question).flatten()
    }
}

/// Those who wait too hear that it was lost.
impl Drop for Landing {
    fn drop(&mut self) {
        drop(self.land(None));
    }
}

/// Says what each server did.
fn explain(failures: &[(Arc<str>, Failure)]) -> Ede {
    let unreachable = failures.iter().all(|(_, failure)| failure.is_unreachable());
    let code = if unreachable { Ede::NO_REACHABLE_AUTHORITY } else { Ede::NETWORK_ERROR };
    let told: Vec<String> = failures.iter().map(|(label, failure)| format!("{label} {failure}")).collect();
    Ede::new(code, told.join(", "))
}
