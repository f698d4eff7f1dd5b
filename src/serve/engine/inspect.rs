//! Inspection of answers, for CHAOS TXT and `/v1/explain`: the answer that a client would receive.
//!
//! The answer has the same source as for a client: the decision, the message cache, or the upstream, which is
//! queried as for a client, under the same limits and at a limited rate. If the rate is exceeded, the
//! inspection reports that, without an rcode or a path.

use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::Engine;
use super::decided::LocalResolution;
use crate::dns::Question;
use crate::resolve::{Cacheability, MonotonicSeconds, Outcome, QueryContext, Recorder, Resolution};
use crate::world::{Vantage, World};

/// Upstream queries per second that all inspections together may cause.
const QUERIES_PER_SECOND: u32 = 50;

/// Time limit for an inspection, regardless of the length of its chain.
const TIMEOUT: Duration = Duration::from_millis(4500);

/// Rate limit for the upstream queries of inspections: a token bucket that holds one second's worth.
#[derive(Debug)]
pub(super) struct RateLimiter(Mutex<Bucket>);

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Default for RateLimiter {
    fn default() -> Self {
        Self(Mutex::new(Bucket { tokens: f64::from(QUERIES_PER_SECOND), filled: Instant::now() }))
    }
}

impl RateLimiter {
    /// Takes one token, if available.
    fn try_take(&self, now: Instant) -> bool {
        let mut bucket = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let refill =
            now.saturating_duration_since(bucket.filled).as_secs_f64() * f64::from(QUERIES_PER_SECOND);
        bucket.tokens = (bucket.tokens + refill).min(f64::from(QUERIES_PER_SECOND));
        bucket.filled = now;
        let is_available = bucket.tokens >= 1.0;
        if is_available {
            bucket.tokens -= 1.0;
        }
        is_available
    }
}

/// An inspected answer.
#[derive(Debug)]
pub struct InspectedAnswer {
    /// The result.
    pub result: Inspection,
    /// What the decision considered.
    pub considered: Recorder,
}

/// The result of an inspection.
#[derive(Debug)]
pub enum Inspection {
    /// The answer that a client would receive now.
    Answered(Box<Outcome>),
    /// An upstream would have to be queried, but was not.
    NotQueried {
        /// The name of the upstream: the ID of a rule, or `internet`.
        upstream: String,
    },
    /// DNS support of the VPC is disabled: a client receives no reply.
    NoReply,
}

impl Engine {
    /// The answer that a client at a vantage would receive, without querying an upstream; `None` if one would
    /// have to be queried.
    pub fn inspect_locally(
        &self,
        world: &World,
        vantage: Vantage,
        question: &Question,
        now: MonotonicSeconds,
    ) -> Option<InspectedAnswer> {
        let mut considered = Recorder::default();
        let resolution = Resolution::new(vantage, question, QueryContext::at(now.get()));
        match self.resolve_locally_traced(world, resolution, now, 0, &mut considered) {
            LocalResolution::Done(outcome, _) => Some(InspectedAnswer { result: done(outcome), considered }),
            LocalResolution::Forward(_) => None,
        }
    }

    /// The answer that a client at a vantage would receive. Upstreams are queried as for a client's query, on
    /// behalf of `client`, whose share applies.
    ///
    /// It is not counted as a lookup.
    pub async fn inspect(
        &self,
        world: &World,
        vantage: Vantage,
        question: &Question,
        client: IpAddr,
        now: MonotonicSeconds,
    ) -> InspectedAnswer {
        let deadline = Instant::now() + TIMEOUT;
        let mut considered = Recorder::default();
        let mut resolution = Resolution::new(vantage, question, QueryContext::at(now.get()));
        loop {
            let mut pending = match self.resolve_locally_traced(world, resolution, now, 0, &mut considered) {
                LocalResolution::Done(outcome, _) => {
                    return InspectedAnswer { result: done(outcome), considered };
                }
                LocalResolution::Forward(pending) => pending,
            };
            if !self.inspection_rate.try_take(Instant::now()) {
                let upstream =
                    pending.target.upstream(&world.names).map_or("", |upstream| &upstream.name).to_owned();
                return InspectedAnswer { result: Inspection::NotQueried { upstream }, considered };
            }
            let answer = match self.admit(world, &pending, client, now) {
                Ok(_permit) => self.query_upstream(world, &pending, now, Some(deadline)).await,
                Err(answer) => answer,
            };
            pending.resolution.supply_answer(pending.target, answer, Cacheability::Never);
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
    fn the_rate_is_limited_and_recovers() {
        let rate = RateLimiter::default();
        let now = Instant::now();
        let taken = (0..1000).filter(|_| rate.try_take(now)).count();
        assert_eq!(taken, QUERIES_PER_SECOND as usize);
        assert!(rate.try_take(now + Duration::from_millis(21)));
        assert!(!rate.try_take(now + Duration::from_millis(21)));
    }
}
