//! The health of a name server: whether it is queried, probed or backing off, and how fast it answers.
//!
//! ```text
//!          a query fails                        probe fails
//!   Up ───────────────────────► Suspect ───────────────────────────► BackingOff
//!    ▲                             │                                    │  one trial query at a time,
//!    └──────── any reply ──────────┴──────────── any reply ─────────────┘  after 1 s, 1 s, then every 2 s
//! ```
//!
//! A query that times out is weak evidence: only its name may be slow, and clients choose the names. A
//! server therefore backs off only if it does not reply to a probe either.

use std::time::{Duration, Instant};

use super::message::Failure;

/// Time before the first trial query and before the second one. Later intervals are each twice the previous
/// one, up to the maximum.
const MIN_BACK_OFF: Duration = Duration::from_secs(1);
const MAX_BACK_OFF: Duration = Duration::from_secs(2);

/// Minimum round-trip time that is recorded for a failure.
const PENALTY: Duration = Duration::from_secs(1);

/// Maximum of [`Health::timeout_exponent`], which is incremented whenever a server replies late.
const MAX_TIMEOUT_EXPONENT: u32 = 2;

/// The health of one server, as queried from one source address.
#[derive(Debug, Default)]
pub(super) struct Health {
    state: HealthState,
    /// The smoothed round-trip time (RFC 6298 section 2).
    rtt: Option<Duration>,
    /// The timeout of an attempt is multiplied by 2 to the power of this.
    timeout_exponent: u32,
    /// When the server last replied.
    last_reply: Option<Instant>,
    /// The cause of the last failure.
    last_failure: Option<Failure>,
}

/// Whether a server is queried.
#[derive(Debug, Default)]
enum HealthState {
    /// It is queried.
    #[default]
    Up,
    /// A query failed and a probe is in progress; the server is still queried.
    Suspect,
    /// It is not queried, except for one trial query at a time.
    BackingOff {
        /// When the next trial may start.
        next_trial: Instant,
        /// Doubled after each failed trial to obtain the next interval; initially half of the minimum.
        delay: Duration,
        /// Whether a trial is in progress.
        is_trial_in_flight: bool,
    },
}

/// What to do after a failed query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailureAction {
    /// No action.
    Unchanged,
    /// Probe the server; it backs off if the probe fails.
    Probe,
}

impl Health {
    /// Records a reply after `elapsed`. An unusable reply shows that the server is alive, but increases its
    /// round-trip time as a failure does.
    pub(super) fn record_reply(&mut self, now: Instant, elapsed: Duration, usable: bool) {
        self.update_rtt(if usable { elapsed } else { elapsed.max(PENALTY) });
        self.mark_up(now);
    }

    /// Records a reply that arrived after its query had timed out: the server is slow, not down.
    pub(super) fn record_late_reply(&mut self, now: Instant) {
        self.timeout_exponent = (self.timeout_exponent + 1).min(MAX_TIMEOUT_EXPONENT);
        self.mark_up(now);
    }

    /// Records that a query sent at `sent` failed.
    pub(super) fn record_failure(&mut self, failure: &Failure, sent: Instant, now: Instant) -> FailureAction {
        self.update_rtt(now.saturating_duration_since(sent).max(PENALTY));
        self.last_failure = Some(failure.clone());
        match &mut self.state {
            // The server has replied to another query since then: this one was lost, or its name is slow to
            // resolve.
            HealthState::Up if self.last_reply.is_some_and(|last_reply| last_reply > sent) => {
                FailureAction::Unchanged
            }
            // This host cannot send from the source address: a probe would fail as well.
            HealthState::Up if failure.is_local() => {
                self.back_off(now);
                FailureAction::Unchanged
            }
            HealthState::Up => {
                self.state = HealthState::Suspect;
                FailureAction::Probe
            }
            HealthState::Suspect | HealthState::BackingOff { .. } => FailureAction::Unchanged,
        }
    }

    /// Ends a trial without a reply and schedules the next one.
    pub(super) fn record_trial_failure(&mut self, now: Instant) {
        if let HealthState::BackingOff { next_trial, delay, is_trial_in_flight } = &mut self.state {
            *delay = (*delay * 2).min(MAX_BACK_OFF);
            *next_trial = now + *delay;
            *is_trial_in_flight = false;
        }
    }

    /// Ends a trial that was dropped without a result.
    pub(super) fn abandon_trial(&mut self) {
        if let HealthState::BackingOff { is_trial_in_flight, .. } = &mut self.state {
            *is_trial_in_flight = false;
        }
    }

    /// Records that a probe failed: the server backs off, unless it has replied to another query in the
    /// meantime.
    pub(super) fn record_probe_failure(&mut self, now: Instant) {
        if matches!(self.state, HealthState::Suspect) {
            self.back_off(now);
        }
    }

    /// Ends a probe that was dropped without a result.
    pub(super) fn abandon_probe(&mut self) {
        if matches!(self.state, HealthState::Suspect) {
            self.state = HealthState::Up;
        }
    }

    /// Whether the server is backing off.
    pub(super) fn is_backing_off(&self) -> bool {
        matches!(self.state, HealthState::BackingOff { .. })
    }

    /// Whether a trial query may be sent now.
    pub(super) fn is_trial_due(&self, now: Instant) -> bool {
        matches!(&self.state, HealthState::BackingOff { next_trial, is_trial_in_flight: false, .. } if *next_trial <= now)
    }

    /// Claims the trial if one is due.
    pub(super) fn claim_trial(&mut self, now: Instant) -> bool {
        match &mut self.state {
            HealthState::BackingOff { next_trial, is_trial_in_flight, .. }
                if !*is_trial_in_flight && *next_trial <= now =>
            {
                *is_trial_in_flight = true;
                true
            }
            _ => false,
        }
    }

    /// The smoothed round-trip time; `None` if the server was never queried.
    pub(super) fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// The timeout of an attempt, based on the configured one.
    pub(super) fn try_timeout(&self, configured: Duration) -> Duration {
        configured * 2_u32.pow(self.timeout_exponent)
    }

    /// The cause of the last failure.
    pub(super) fn last_failure(&self) -> Option<&Failure> {
        self.last_failure.as_ref()
    }

    fn mark_up(&mut self, now: Instant) {
        self.last_reply = Some(now);
        self.state = HealthState::Up;
    }

    fn back_off(&mut self, now: Instant) {
        let delay = MIN_BACK_OFF;
        self.state =
            HealthState::BackingOff { next_trial: now + delay, delay: delay / 2, is_trial_in_flight: false };
    }

    fn update_rtt(&mut self, elapsed: Duration) {
        self.rtt = Some(self.rtt.map_or(elapsed, |rtt| (rtt * 7 + elapsed) / 8));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_server_backs_off_after_a_failed_probe_and_trials_become_less_frequent() {
        let mut health = Health::default();
        let mut now = Instant::now();
        assert_eq!(health.record_failure(&Failure::Timeout, now, now), FailureAction::Probe);
        assert_eq!(
            health.record_failure(&Failure::Timeout, now, now),
            FailureAction::Unchanged,
            "one probe is enough"
        );
        assert!(!health.is_backing_off());
        health.record_probe_failure(now);
        assert!(health.is_backing_off() && !health.claim_trial(now));
        for delay in [1, 1, 2, 2, 2] {
            let almost = now + seconds(delay) - Duration::from_millis(1);
            assert!(!health.is_trial_due(almost), "{delay}");
            now += seconds(delay);
            assert!(health.claim_trial(now) && !health.claim_trial(now), "one at a time");
            health.record_trial_failure(now);
        }
        now += seconds(2);
        assert!(health.claim_trial(now));
        health.abandon_trial();
        assert!(health.claim_trial(now));
        health.record_reply(now, seconds(0), true);
        assert!(!health.is_backing_off());
    }

    #[test]
    fn slow_names_do_not_make_a_server_back_off() {
        let mut health = Health::default();
        let sent = Instant::now();
        health.record_reply(sent + seconds(1), seconds(0), true);
        // It has replied to another query since this one was sent.
        assert_eq!(
            health.record_failure(&Failure::Timeout, sent, sent + seconds(2)),
            FailureAction::Unchanged
        );
        // Any reply to the probe keeps it up.
        let sent = sent + seconds(3);
        assert_eq!(health.record_failure(&Failure::Timeout, sent, sent), FailureAction::Probe);
        health.record_reply(sent, seconds(0), false);
        health.record_probe_failure(sent);
        assert!(!health.is_backing_off(), "a reply arrived before the probe failed");
    }

    #[test]
    fn late_replies_increase_the_timeout() {
        let mut health = Health::default();
        let configured = Duration::from_millis(1500);
        assert_eq!(health.try_timeout(configured), configured);
        for expected in [2, 4, 4] {
            health.record_late_reply(Instant::now());
            assert_eq!(health.try_timeout(configured), configured * expected);
        }
    }

    #[test]
    fn the_round_trip_time_is_smoothed() {
        let mut health = Health::default();
        let now = Instant::now();
        assert_eq!(health.rtt(), None);
        health.record_reply(now, Duration::from_millis(80), true);
        health.record_reply(now, Duration::from_millis(160), true);
        assert_eq!(health.rtt(), Some(Duration::from_millis(90)));
        health.record_reply(now, Duration::ZERO, false);
        assert!(health.rtt() > Some(Duration::from_millis(90)));
    }
}
