//! The health of a name server: whether it is queried, backing off or probed, and how quickly it answers.
//!
//! ```text
//!          a query times out                    probe unanswered
//!   Up ───────────────────────► Suspect ───────────────────────────► BackingOff
//!    ▲                             │                                    │  one trial query at a time,
//!    └──────── any reply ──────────┴──────────── any reply ─────────────┘  after 1 s, then every 2 s
//! ```
//!
//! A query that times out is weak evidence: its name may be slow, and strangers choose names. So a server is given up
//! only when it does not answer a probe of our own either.

use std::time::{Duration, Instant};

use super::message::Failure;

/// The time from giving a server up to the first trial query, and the longest time between two trials; each wait is
/// twice the one before.
const SHORTEST_BACK_OFF: Duration = Duration::from_secs(1);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(2);

/// What a failure counts as, at least, in the round-trip time.
const PENALTY: Duration = Duration::from_secs(1);

/// How many times the usual time-out a server is granted, as a power of two: one that replies late gets more time.
const MAX_PATIENCE: u32 = 2;

/// What has been observed of one server, as queried from one source address.
#[derive(Debug, Default)]
pub(super) struct Health {
    state: State,
    /// The smoothed round-trip time (as RFC 6298 section 2 smooths it).
    rtt: Option<Duration>,
    /// The time-out of a try is multiplied by two to this power.
    patience: u32,
    /// When it replied last.
    replied: Option<Instant>,
    /// Why the last failed query failed.
    last_failure: Option<Failure>,
}

/// Whether a server is queried.
#[derive(Debug, Default)]
enum State {
    /// It is.
    #[default]
    Up,
    /// A query was not answered and a probe is under way; it is queried meanwhile.
    Suspect,
    /// It is not, but for one trial query at a time.
    BackingOff {
        /// When the next trial may start.
        next_trial: Instant,
        /// How long to wait after the trial before that one has failed.
        delay: Duration,
        /// Whether a trial is under way.
        on_trial: bool,
    },
}

/// What follows from a failed query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing more is to be done.
    Unchanged,
    /// The server is to be probed: it is given up if that fails.
    Probe,
}

impl Health {
    /// Records a reply after `elapsed`. A server that replied something useless is alive, but its round-trip time is no
    /// merit.
    pub fn replied(&mut self, now: Instant, elapsed: Duration, useful: bool) {
        self.measured(if useful { elapsed } else { elapsed.max(PENALTY) });
        self.alive(now);
    }

    /// Records a reply that came after its query had timed out: the server is slow, not dead.
    pub fn replied_late(&mut self, now: Instant) {
        self.patience = (self.patience + 1).min(MAX_PATIENCE);
        self.alive(now);
    }

    /// Records that a query sent at `sent` failed.
    pub fn failed(&mut self, failure: &Failure, sent: Instant, now: Instant) -> Verdict {
        self.measured(now.saturating_duration_since(sent).max(PENALTY));
        self.last_failure = Some(failure.clone());
        match &mut self.state {
            // It has replied to something since: this one query was lost, or its name is slow.
            State::Up if self.replied.is_some_and(|replied| replied > sent) => Verdict::Unchanged,
            // That this host cannot send from an address needs no confirmation.
            State::Up if failure.is_local() => {
                self.give_up(now);
                Verdict::Unchanged
            }
            State::Up => {
                self.state = State::Suspect;
                Verdict::Probe
            }
            State::Suspect | State::BackingOff { .. } => Verdict::Unchanged,
        }
    }

    /// Ends a trial without a reply: the next one comes later.
    pub fn trial_failed(&mut self, now: Instant) {
        if let State::BackingOff { next_trial, delay, on_trial } = &mut self.state {
            *delay = (*delay * 2).min(LONGEST_BACK_OFF);
            *next_trial = now + *delay;
            *on_trial = false;
        }
    }

    /// Ends a trial that was dropped before anything was known of it.
    pub fn trial_abandoned(&mut self) {
        if let State::BackingOff { on_trial, .. } = &mut self.state {
            *on_trial = false;
        }
    }

    /// Records that a probe was not answered: the server is given up, unless it has replied to another query meanwhile.
    pub fn probe_failed(&mut self, now: Instant) {
        if matches!(self.state, State::Suspect) {
            self.give_up(now);
        }
    }

    /// Ends a probe that was dropped before anything was known.
    pub fn probe_abandoned(&mut self) {
        if matches!(self.state, State::Suspect) {
            self.state = State::Up;
        }
    }

    /// Whether it has been given up for now.
    pub fn is_backing_off(&self) -> bool {
        matches!(self.state, State::BackingOff { .. })
    }

    /// Whether a trial query may be sent now.
    pub fn is_trial_due(&self, now: Instant) -> bool {
        matches!(&self.state, State::BackingOff { next_trial, on_trial: false, .. } if *next_trial <= now)
    }

    /// Claims the trial if one is due.
    pub fn claim_trial(&mut self, now: Instant) -> bool {
        match &mut self.state {
            State::BackingOff { next_trial, on_trial, .. } if !*on_trial && *next_trial <= now => {
                *on_trial = true;
                true
            }
            _ => false,
        }
    }

    /// The smoothed round-trip time; `None` if it was never queried.
    pub fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// How long a try may take, given the usual time-out.
    pub fn try_timeout(&self, usual: Duration) -> Duration {
        usual * 2_u32.pow(self.patience)
    }

    /// Why the last failed query failed.
    pub fn last_failure(&self) -> Option<&Failure> {
        self.last_failure.as_ref()
    }

    fn alive(&mut self, now: Instant) {
        self.replied = Some(now);
        self.state = State::Up;
    }

    fn give_up(&mut self, now: Instant) {
        let delay = SHORTEST_BACK_OFF;
        self.state = State::BackingOff { next_trial: now + delay, delay: delay / 2, on_trial: false };
    }

    fn measured(&mut self, elapsed: Duration) {
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
    fn a_server_is_given_up_when_a_probe_fails_too_and_tried_ever_more_seldom() {
        let mut health = Health::default();
        let mut now = Instant::now();
        assert_eq!(health.failed(&Failure::Timeout, now, now), Verdict::Probe);
        assert_eq!(health.failed(&Failure::Timeout, now, now), Verdict::Unchanged, "one probe is enough");
        assert!(!health.is_backing_off());
        health.probe_failed(now);
        assert!(health.is_backing_off() && !health.claim_trial(now));
        for delay in [1, 1, 2, 2, 2] {
            let almost = now + seconds(delay) - Duration::from_millis(1);
            assert!(!health.is_trial_due(almost), "{delay}");
            now += seconds(delay);
            assert!(health.claim_trial(now) && !health.claim_trial(now), "one at a time");
            health.trial_failed(now);
        }
        now += seconds(2);
        assert!(health.claim_trial(now));
        health.trial_abandoned();
        assert!(health.claim_trial(now));
        health.replied(now, seconds(0), true);
        assert!(!health.is_backing_off());
    }

    #[test]
    fn slow_names_do_not_give_a_server_up() {
        let mut health = Health::default();
        let sent = Instant::now();
        health.replied(sent + seconds(1), seconds(0), true);
        // It has replied to another query since this one was sent.
        assert_eq!(health.failed(&Failure::Timeout, sent, sent + seconds(2)), Verdict::Unchanged);
        // Nor if it answers the probe, with whatever.
        let sent = sent + seconds(3);
        assert_eq!(health.failed(&Failure::Timeout, sent, sent), Verdict::Probe);
        health.replied(sent, seconds(0), false);
        health.probe_failed(sent);
        assert!(!health.is_backing_off(), "another reply was quicker than the failure of the probe");
    }

    #[test]
    fn late_replies_gain_a_server_more_time() {
        let mut health = Health::default();
        let usual = Duration::from_millis(1500);
        assert_eq!(health.try_timeout(usual), usual);
        for expected in [2, 4, 4] {
            health.replied_late(Instant::now());
            assert_eq!(health.try_timeout(usual), usual * expected);
        }
    }

    #[test]
    fn the_round_trip_time_is_smoothed() {
        let mut health = Health::default();
        let now = Instant::now();
        assert_eq!(health.rtt(), None);
        health.replied(now, Duration::from_millis(80), true);
        health.replied(now, Duration::from_millis(160), true);
        assert_eq!(health.rtt(), Some(Duration::from_millis(90)));
        health.replied(now, Duration::ZERO, false);
        assert!(health.rtt() > Some(Duration::from_millis(90)));
    }
}
