//! Metrics of forwarding and of the name servers that are queried.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntGauge};

use super::labelled::{Declarations, LabelledMetric};
use super::metrics::{DURATION_BUCKETS, Metrics};
use crate::dns::Rcode;

/// Metrics of forwarding. Clones share them.
#[derive(Clone, Debug)]
pub struct ForwardMetrics {
    requests: LabelledMetric<2, IntCounter>,
    duration: LabelledMetric<2, Histogram>,
    failures: LabelledMetric<3, IntCounter>,
    case_given_up: LabelledMetric<1, IntCounter>,
    backing_off: LabelledMetric<2, IntGauge>,
    backed_off: IntCounter,
    refused: LabelledMetric<1, IntCounter>,
    stale: LabelledMetric<1, IntCounter>,
    shared: IntCounter,
    in_flight: IntGauge,
    in_flight_refused: IntCounter,
    sockets: IntGauge,
    failure_cache_hits: IntCounter,
}

/// Unregistered metrics, for use without an observer.
impl Default for ForwardMetrics {
    fn default() -> Self {
        Metrics::declare().forward
    }
}

impl ForwardMetrics {
    pub(super) fn declare(all: &mut Declarations) -> Self {
        Self {
            requests: all.labelled(
                "plustwo_forward_requests_total",
                &["to", "source"],
                "Queries sent to a name server, by source address if an outbound endpoint sets one. Retries \
                 count; a second message within an attempt does not.",
            ),
            duration: all.histogram(
                "plustwo_forward_request_duration_seconds",
                &["to", "rcode"],
                DURATION_BUCKETS,
                "Response time of name servers.",
            ),
            failures: all.labelled(
                "plustwo_forward_failures_total",
                &["to", "source", "reason"],
                "Failed queries to a name server: `timeout`, `refused` (by the network), `source` (this \
                 host does not have the source address), `malformed`, `rcode` (neither NOERROR nor \
                 NXDOMAIN); and `mismatch`: replies that match no query, such as forged ones.",
            ),
            case_given_up: all.labelled(
                "plustwo_forward_case_given_up_total",
                &["to"],
                "How often a name server was observed not to preserve the case of names. It is then queried \
                 in lower case for 15 minutes.",
            ),
            backing_off: all.labelled(
                "plustwo_forward_servers_backing_off",
                &["to", "source"],
                "Name servers that do not reply and are queried only every few seconds; 0 while they reply. \
                 A server of several upstreams counts once for each.",
            ),
            backed_off: all.single(
                "plustwo_forward_backed_off_total",
                "Queries that failed immediately because every name server of their upstream was backing \
                 off.",
            ),
            refused: all.labelled(
                "plustwo_forward_refused_total",
                &["reason"],
                "Queries not sent to an upstream because too many were waiting: `full` (global limit), \
                 `upstream-share`, `client-share`. They are answered with a stale answer or SERVFAIL.",
            ),
            stale: all.labelled(
                "plustwo_forward_stale_answers_total",
                &["upstream"],
                "Answers served after their TTL because no name server of this upstream answered.",
            ),
            shared: all.single(
                "plustwo_forward_shared_total",
                "Questions not sent because the same question was in flight; they share its answer.",
            ),
            in_flight: all.single("plustwo_forward_in_flight", "Questions in flight to name servers."),
            in_flight_refused: all.single(
                "plustwo_forward_in_flight_refused_total",
                "Questions not sent because the limit of questions in flight was reached.",
            ),
            sockets: all.single("plustwo_forward_sockets", "Open UDP sockets to name servers."),
            failure_cache_hits: all.single(
                "plustwo_forward_failure_cache_hits_total",
                "Questions not sent because they had just failed at every name server.",
            ),
        }
    }

    /// The metrics of one server, as queried from a source address.
    pub fn server(&self, to: &Arc<str>, source: Option<IpAddr>) -> ServerMetrics {
        let source: Arc<str> = source.map_or_else(|| "".into(), |source| source.to_string().into());
        let backing_off = self.backing_off.child([to.into(), (&source).into()]);
        ServerMetrics {
            all: self.clone(),
            to: to.clone(),
            source,
            backing_off,
            requests: OnceLock::new(),
            answered_durations: [const { OnceLock::new() }; 2],
        }
    }

    /// Counts a question that waits for the same question in flight.
    pub fn shared(&self) {
        self.shared.inc();
    }

    /// Changes the number of questions in flight.
    pub fn in_flight(&self, change: i64) {
        self.in_flight.add(change);
    }

    /// Counts a question that was not sent because of the limit of questions in flight.
    pub fn in_flight_refused(&self) {
        self.in_flight_refused.inc();
    }

    /// Counts a query that failed immediately because every server was backing off.
    pub fn backed_off(&self) {
        self.backed_off.inc();
    }

    /// Counts a query that was not allowed to wait, by a reason from a closed set.
    pub fn refused(&self, reason: &'static str) {
        self.refused.with([reason.into()], |count| count.inc());
    }

    /// Counts a stale answer of an upstream.
    pub fn stale(&self, upstream: &Arc<str>) {
        self.stale.with([upstream.into()], |count| count.inc());
    }

    /// Counts a question that was not sent because it had just failed.
    pub fn failure_cache_hit(&self) {
        self.failure_cache_hits.inc();
    }
}

/// Metrics of one server. The series used for nearly every question are looked up once.
#[derive(Debug)]
pub struct ServerMetrics {
    all: ForwardMetrics,
    to: Arc<str>,
    source: Arc<str>,
    backing_off: IntGauge,
    requests: OnceLock<IntCounter>,
    /// Durations until NOERROR and NXDOMAIN answers.
    answered_durations: [OnceLock<Histogram>; 2],
}

impl ServerMetrics {
    /// Counts a query.
    pub fn requested(&self) {
        self.requests
            .get_or_init(|| self.all.requests.child([(&self.to).into(), (&self.source).into()]))
            .inc();
    }

    /// Records a response and its duration.
    pub fn answered(&self, rcode: Rcode, elapsed: Duration) {
        let label = rcode.known_mnemonic().unwrap_or("other");
        let duration = || self.all.duration.child([(&self.to).into(), label.into()]);
        let seconds = elapsed.as_secs_f64();
        match rcode {
            Rcode::NOERROR => self.answered_durations[0].get_or_init(duration).observe(seconds),
            Rcode::NXDOMAIN => self.answered_durations[1].get_or_init(duration).observe(seconds),
            _ => duration().observe(seconds),
        }
    }

    /// Counts a failed attempt, by a reason from a closed set.
    pub fn failed(&self, reason: &'static str) {
        let labels = [(&self.to).into(), (&self.source).into(), reason.into()];
        self.all.failures.with(labels, |count| count.inc());
    }

    /// Changes the number of servers that are backing off, by 1 or -1.
    pub fn backing_off(&self, change: i64) {
        self.backing_off.add(change);
    }

    /// Records that the server does not preserve case and will be queried in lower case for some time.
    pub fn case_given_up(&self) {
        self.all.case_given_up.with([(&self.to).into()], |count| count.inc());
    }

    /// Changes the number of open UDP sockets.
    pub fn sockets(&self, change: i64) {
        self.all.sockets.add(change);
    }
}
