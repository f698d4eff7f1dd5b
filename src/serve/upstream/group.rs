//! The servers of one upstream: whom to ask next, and equal questions asked once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use foldhash::fast::RandomState;
use rand::seq::SliceRandom;
use tokio::sync::watch;

use super::failures::Failures;
use super::message::Failure;
use super::server::Server;
use super::{Shared, Unanswered};
use crate::dns::{Answer, Ede, Question};
use crate::world::{Order, UpstreamIdentity};

/// How often one question is put to a server that stays silent.
const TRIES: u32 = 3;

/// One question in so many goes first to another server than the quickest, to measure it.
const EXPLORE_ONE_IN: u32 = 20;

/// What all who ask get.
type Outcome = Result<Answer, Unanswered>;

/// An upstream as it lives through reloads.
#[derive(Debug)]
pub(super) struct Group {
    pub servers: Vec<Server>,
    order: Order,
    in_flight: Mutex<HashMap<Question, watch::Receiver<Option<Outcome>>, RandomState>>,
    failures: Mutex<Failures>,
    shared: Arc<Shared>,
}

impl Group {
    pub fn new(identity: &UpstreamIdentity, shared: Arc<Shared>) -> Self {
        let UpstreamIdentity { servers, order, sources } = identity;
        Self {
            servers: servers.iter().map(|server| Server::new(server, sources, &shared)).collect(),
            order: *order,
            in_flight: Mutex::default(),
            failures: Mutex::new(Failures::new(shared.options.max_failures)),
            shared,
        }
    }

    /// Asks, or waits for whoever asks the same already. `name` begins the text of a failure.
    pub async fn ask(self: &Arc<Self>, name: &str, question: &Question) -> Outcome {
        let named =
            |Unanswered { ede }| Unanswered { ede: Ede::new(ede.code, format!("{name}: {}", ede.text)) };
        self.ask_unnamed(question).await.map_err(named)
    }

    /// Several rules may have the same servers, so what they share names none of them.
    async fn ask_unnamed(self: &Arc<Self>, question: &Question) -> Outcome {
        let mut outcome = self.outcome(question)?;
        let lost = || Unanswered { ede: Ede::new(Ede::OTHER, "the question was lost") };
        match outcome.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or_else(|| Err(lost())),
            Err(_) => Err(lost()),
        }
    }

    fn outcome(
        self: &Arc<Self>,
        question: &Question,
    ) -> Result<watch::Receiver<Option<Outcome>>, Unanswered> {
        let metrics = &self.shared.metrics;
        let mut in_flight = self.in_flight();
        if let Some(outcome) = in_flight.get(question) {
            metrics.shared();
            return Ok(outcome.clone());
        }
        if let Some(ede) = self.failures().find(question, Instant::now()) {
            metrics.failure_cache_hit();
            return Err(Unanswered { ede });
        }
        let Ok(permit) = self.shared.permits.clone().try_acquire_owned() else {
            metrics.in_flight_refused();
            let most = self.shared.options.max_in_flight;
            let text = format!("{most} questions are in flight already");
            return Err(Unanswered { ede: Ede::new(Ede::OTHER, text) });
        };
        let (sender, receiver) = watch::channel(None);
        in_flight.insert(question.clone(), receiver.clone());
        drop(in_flight);
        let landing = Landing { group: self.clone(), question: question.clone() };
        metrics.in_flight(1);
        // A task of its own: it goes on when the client that asked first leaves.
        tokio::spawn(async move {
            let group = &landing.group;
            let outcome = group.ask_servers(&landing.question).await;
            group.remember(&landing.question, &outcome);
            drop(permit);
            drop(landing);
            let _ = sender.send(Some(outcome));
        });
        Ok(receiver)
    }

    /// Asks one server after the other. One that stays silent is asked again when the others are through; one
    /// that says something useless is not.
    async fn ask_servers(&self, question: &Question) -> Outcome {
        let options = &self.shared.options;
        let deadline = Instant::now() + options.total_timeout;
        let mut candidates = self.candidates(Instant::now());
        let mut failures: Vec<(Arc<str>, Failure)> = Vec::new();
        while let Some((server, tries)) = candidates.pop_front() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            match server.attempt(question, left.min(options.try_timeout)).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => {
                    if failure == Failure::Timeout && tries + 1 < TRIES {
                        candidates.push_back((server, tries + 1));
                    }
                    failures.retain(|(label, _)| *label != server.label);
                    failures.push((server.label.clone(), failure));
                }
            }
        }
        Err(Unanswered { ede: explain(&failures) })
    }

    /// Whom to ask, in order. Servers that rest are left out unless all do.
    fn candidates(&self, now: Instant) -> VecDeque<(&Server, u32)> {
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

    fn remember(&self, question: &Question, outcome: &Outcome) {
        match outcome {
            Ok(_) => self.failures().remove(question),
            Err(unanswered) => self.failures().add(question, &unanswered.ede, Instant::now()),
        }
    }

    fn in_flight(&self) -> MutexGuard<'_, HashMap<Question, watch::Receiver<Option<Outcome>>, RandomState>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a question out of those in flight, however its task ends.
struct Landing {
    group: Arc<Group>,
    question: Question,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.group.in_flight().remove(&self.question);
        self.group.shared.metrics.in_flight(-1);
    }
}

/// Says what each server did.
fn explain(failures: &[(Arc<str>, Failure)]) -> Ede {
    let unreachable = failures.iter().all(|(_, failure)| failure.is_unreachable());
    let code = if unreachable { Ede::NO_REACHABLE_AUTHORITY } else { Ede::NETWORK_ERROR };
    let told: Vec<String> = failures.iter().map(|(label, failure)| format!("{label} {failure}")).collect();
    Ede::new(code, told.join(", "))
}
