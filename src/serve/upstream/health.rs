//! How well a name server does: whether it is left alone for a while, and how quick it is.

use std::time::{Duration, Instant};

/// So many failures in a row, and a server is left alone.
const FAILURES: u32 = 3;

/// How long it is left alone first, and at most; twice as long each time between.
const SHORTEST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(60);

/// What a failure counts as, at least, among the times to answer.
const PENALTY: Duration = Duration::from_secs(1);

/// What was seen of one server.
#[derive(Debug, Default)]
pub(super) struct Health {
    failures: u32,
    rest: Option<Rest>,
    /// The smoothed time it takes to answer (as RFC 6298 2 smooths it).
    rtt: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Rest {
    since: Instant,
    length: Duration,
}

impl Health {
    /// The server answered. One that says something useless is alive, but its quickness is no merit.
    pub fn answered(&mut self, elapsed: Duration, useful: bool) {
        self.failures = 0;
        self.rest = None;
        self.measured(if useful { elapsed } else { elapsed.max(PENALTY) });
    }

    /// The server did not answer what it was asked at `asked`.
    pub fn failed(&mut self, asked: Instant, now: Instant) {
        self.measured(now.saturating_duration_since(asked).max(PENALTY));
        // Questions that were under way when the rest began say nothing new.
        if self.rest.is_some_and(|rest| asked < rest.since + rest.length) {
            return;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES {
            let length = self.rest.map_or(SHORTEST_REST, |rest| (rest.length * 2).min(LONGEST_REST));
            self.rest = Some(Rest { since: now, length });
        }
    }

    /// Whether it is left alone at this time.
    pub fn rests(&self, now: Instant) -> bool {
        self.rest.is_some_and(|rest| now < rest.since + rest.length)
    }

    /// How quick it is; `None` if it was never asked.
    pub fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    fn measured(&mut self, elapsed: Duration) {
        self.rtt = Some(self.rtt.map_or(elapsed, |rtt| (rtt * 7 + elapsed) / 8));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_double_up_to_a_minute() {
        let mut health = Health::default();
        let mut now = Instant::now();
        for _ in 0..2 {
            health.failed(now, now);
            assert!(!health.rests(now));
        }
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            health.failed(now, now);
            let almost = now + Duration::from_secs(seconds) - Duration::from_millis(1);
            assert!(health.rests(almost), "{seconds}");
            // What was asked before its end does not prolong it.
            health.failed(almost, almost);
            now += Duration::from_secs(seconds);
            assert!(!health.rests(now), "{seconds}");
        }
        health.answered(Duration::ZERO, true);
        assert!(health.rest.is_none());
    }

    #[test]
    fn the_time_to_answer_is_smoothed() {
        let mut health = Health::default();
        assert_eq!(health.rtt(), None);
        health.answered(Duration::from_millis(80), true);
        health.answered(Duration::from_millis(160), true);
        assert_eq!(health.rtt(), Some(Duration::from_millis(90)));
        health.answered(Duration::ZERO, false);
        assert!(health.rtt() > Some(Duration::from_millis(90)));
    }
}
