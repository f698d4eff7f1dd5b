//! Questions that failed at every server, remembered for a limited time (RFC 9520).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use super::Unanswered;
use crate::dns::{Ede, Question};

/// Initial and maximum time for which a failure is remembered; doubled after each failure.
const MIN_DURATION: Duration = Duration::from_secs(1);
const MAX_DURATION: Duration = Duration::from_secs(30);

/// Minimum interval between two scans of all remembered failures.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Failed questions of one upstream. Bounded, because clients choose the names.
#[derive(Debug)]
pub(super) struct Failures {
    capacity: usize,
    table: HashMap<Question, FailedQuestion, RandomState>,
    /// Time of the last scan.
    swept: Option<Instant>,
}

#[derive(Debug)]
struct FailedQuestion {
    until: Instant,
    duration: Duration,
    outcome: Unanswered,
}

impl Failures {
    /// Creates an empty set of at most this many failures.
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, table: HashMap::default(), swept: None }
    }

    /// The remembered failure of a question, if it has not expired. The clock is read only if the question
    /// has failed before.
    pub(super) fn find(&self, question: &Question) -> Option<Unanswered> {
        self.find_at(question, Instant::now)
    }

    fn find_at(&self, question: &Question, now: impl FnOnce() -> Instant) -> Option<Unanswered> {
        let failed = self.table.get(question)?;
        if now() >= failed.until {
            return None;
        }
        let Unanswered { ede, upstream_edes } = &failed.outcome;
        let ede = Ede::new(ede.code, format!("{} (cached)", ede.text));
        Some(Unanswered { ede, upstream_edes: upstream_edes.clone() })
    }

    /// Records a failure.
    pub(super) fn add(&mut self, question: &Question, outcome: &Unanswered, now: Instant) {
        let duration =
            self.table.get(question).map_or(MIN_DURATION, |failed| (failed.duration * 2).min(MAX_DURATION));
        if self.table.len() >= self.capacity && !self.table.contains_key(question) {
            self.remove_expired(now);
            if self.table.len() >= self.capacity {
                return;
            }
        }
        let failed = FailedQuestion { until: now + duration, duration, outcome: outcome.clone() };
        self.table.insert(question.clone(), failed);
    }

    /// Whether no failure is remembered.
    pub(super) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Removes every failure.
    pub(super) fn clear(&mut self) {
        self.table.clear();
    }

    /// Removes failures that expired so long ago that the next one would count as the first. Scans at most
    /// once per second.
    pub(super) fn remove_expired(&mut self, now: Instant) {
        if self.swept.is_none_or(|swept| now >= swept + SWEEP_INTERVAL) {
            self.swept = Some(now);
            self.table.retain(|_, failed| now < failed.until + MAX_DURATION);
        }
    }

    /// Records that a question was answered.
    pub(super) fn remove(&mut self, question: &Question) {
        // Usually no failure is remembered, which can be determined without hashing.
        if !self.table.is_empty() {
            self.table.remove(question);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{Class, Name, RecordType};

    fn question(name: &str) -> Question {
        Question { qname: Name::parse(name).unwrap(), qtype: RecordType::A, qclass: Class::IN }
    }

    #[test]
    fn failures_are_remembered_longer_each_time() {
        let mut failures = Failures::new(10);
        let question = question("a.example");
        let unanswered = Unanswered::without_upstream_edes(Ede::new(22, "no reply"));
        let mut now = Instant::now();
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            failures.add(&question, &unanswered, now);
            now += Duration::from_secs(seconds);
            let almost = now - Duration::from_millis(1);
            let found = failures.find_at(&question, || almost).map(|found| found.ede);
            assert_eq!(found, Some(Ede::new(22, "no reply (cached)")));
            assert_eq!(failures.find_at(&question, || now), None);
        }
        failures.remove(&question);
        failures.add(&question, &unanswered, now);
        assert_eq!(failures.find_at(&question, || now + MIN_DURATION), None);
    }

    #[test]
    fn the_table_is_bounded() {
        let mut failures = Failures::new(2);
        let now = Instant::now();
        for name in ["a", "b", "c"] {
            failures.add(&question(name), &Unanswered::without_upstream_edes(Ede::new(22, "")), now);
        }
        assert_eq!(failures.table.len(), 2);
        let later = now + MAX_DURATION * 2;
        failures.add(&question("c"), &Unanswered::without_upstream_edes(Ede::new(22, "")), later);
        assert!(failures.find_at(&question("c"), || later).is_some());
        assert_eq!(failures.table.len(), 1, "expired failures are removed");
    }
}
