//! What the daemon answers to a question, for those who ask about the answer: CHAOS TXT and `/v1/explain`.
//!
//! They describe what a client gets, so they take it from where a client's answer comes from: the decision, the message
//! cache, and else the upstream, which is queried as for a client, within the same bounds and at a bounded rate. Where
//! that may not be, the inspection says so, with no rcode and no path.

use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::engine::{Engine, Looked};
use crate::dns::Question;
use crate::resolve::{Keep, MonotonicSeconds, Occasion, Outcome, Recorder, Resolution};
use crate::world::{Vantage, World};

/// Upstream queries that inspections may cause in a second, for all who ask together.
const QUERIES_PER_SECOND: u32 = 50;

/// How long an inspection may take, however long its chain.
const TIMEOUT: Duration = Duration::from_millis(4500);

/// The rate at which inspections may query upstreams: a second's worth at once, which fills again with time.
#[derive(Debug)]
pub(super) struct Rate(Mutex<Bucket>);

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Default for Rate {
    fn default() -> Self {
        Self(Mutex::new(Bucket { tokens: f64::from(QUERIES_PER_SECOND), filled: Instant::now() }))
    }
}

impl Rate {
    /// Takes one query out, if there is one.
    fn take(&self, now: Instant) -> bool {
        let mut bucket = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let gained =
            now.saturating_duration_since(bucket.filled).as_secs_f64() * f64::from(QUERIES_PER_SECOND);
        bucket.tokens = (bucket.tokens + gained).min(f64::from(QUERIES_PER_SECOND));
        bucket.filled = now;
        let has_one = bucket.tokens >= 1.0;
        if has_one {
            bucket.tokens -= 1.0;
        }
        has_one
    }
}

/// An inspected answer.
#[derive(Debug)]
pub struct Inspected {
    /// What came of it.
    pub result: Inspection,
    /// What the decision considered.
    pub considered: Recorder,
}

/// What came of an inspection.
#[derive(Debug)]
pub enum Inspection {
    /// What a client is answered now.
    Answered(Box<Outcome>),
    /// An upstream would have to be queried, and was not.
    NotQueried {
        /// The name of the upstream: a rule's id, or `internet`.
        upstream: String,
    },
    /// The VPC's DNS support is off: a client gets no reply.
    NoReply,
}

impl Engine {
    /// What a client at a vantage is answered to a question, without querying an upstream: `None` where one would have
    /// to be queried.
    pub fn inspect_at_hand(
        &self,
        world: &World,
        vantage: Vantage,
        question: &Question,
        now: MonotonicSeconds,
    ) -> Option<Inspected> {
        let mut considered = Recorder::default();
        let resolution = Resolution::new(vantage, question, Occasion::at(now.get()));
        match self.look_and_trace(world, resolution, now, 0, &mut considered) {
            Looked::Done(outcome, _) => Some(Inspected { result: done(outcome), considered }),
            Looked::Ask(_) => None,
        }
    }

    /// What a client at a vantage is answered to a question. Upstreams are queried where a client's query would be, on
    /// behalf of `client`, whose share bounds that.
    ///
    /// It is no look-up: nothing is counted as one.
    pub async fn inspect(
        &self,
        world: &World,
        vantage: Vantage,
        question: &Question,
        client: IpAddr,
        now: MonotonicSeconds,
    ) -> Inspected {
        let deadline = Instant::now() + TIMEOUT;
        let mut considered = Recorder::default();
        let mut resolution = Resolution::new(vantage, question, Occasion::at(now.get()));
        loop {
            let mut pending = match self.look_and_trace(world, resolution, now, 0, &mut considered) {
                Looked::Done(outcome, _) => return Inspected { result: done(outcome), considered },
                Looked::Ask(pending) => pending,
            };
            if !self.inspections.take(Instant::now()) {
                let upstream = pending.whom.upstream(world).map_or("", |upstream| &upstream.name).to_owned();
                return Inspected { result: Inspection::NotQueried { upstream }, considered };
            }
            let answer = match self.admit(world, &pending, client, now) {
                Ok(_permit) => self.query_upstream(world, &pending, now, Some(deadline)).await,
                Err(answer) => answer,
            };
            pending.resolution.answered(pending.whom, answer, Keep::No);
            resolution = pending.resolution;
        }
    }
}

fn done(outcome: Option<Box<Outcome>>) -> Inspection {
    outcome.map_or(Inspection::NoReply, Inspection::Answered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_bounded_and_recovers() {
        let rate = Rate::default();
        let now = Instant::now();
        let taken = (0..1000).filter(|_| rate.take(now)).count();
        assert_eq!(taken, QUERIES_PER_SECOND as usize);
        assert!(rate.take(now + Duration::from_millis(21)));
        assert!(!rate.take(now + Duration::from_millis(21)));
    }
}
