//! What is counted about the name servers that are asked.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntGauge};

use super::family::{Declarations, Family};
use super::metrics::{DURATIONS, Metrics};
use crate::dns::Rcode;

/// Counters of forwarding. Clones share them.
#[derive(Clone, Debug)]
pub struct ForwardMetrics {
    requests: Family<2, IntCounter>,
    duration: Family<2, Histogram>,
    failures: Family<3, IntCounter>,
    case_given_up: Family<1, IntCounter>,
    backing_off: Family<2, IntGauge>,
    backed_off: IntCounter,
    refused: Family<1, IntCounter>,
    stale: Family<1, IntCounter>,
    shared: IntCounter,
    in_flight: IntGauge,
    in_flight_refused: IntCounter,
    sockets: IntGauge,
    failure_cache_hits: IntCounter,
}

/// Not part of any page: for those who have no observer.
impl Default for ForwardMetrics {
    fn default() -> Self {
        Metrics::declare().forward
    }
}

impl ForwardMetrics {
    pub(super) fn declare(all: &mut Declarations) -> Self {
        Self {
            requests: all.family(
                "plustwo_forward_requests_total",
                &["to", "source"],
                "Queries sent to a name server, by the source address where an outbound endpoint sets one. A second try \
                 counts, a second message of one try does not.",
            ),
            duration: all.histogram(
                "plustwo_forward_request_duration_seconds",
                &["to", "rcode"],
                DURATIONS,
                "Time until a name server answered.",
            ),
            failures: all.family(
                "plustwo_forward_failures_total",
                &["to", "source", "reason"],
                "Tries of a name server that failed: `timeout`, `refused` (by the network), `source` (this host does not \
                 have the source address), `malformed`, `rcode` (neither NOERROR nor NXDOMAIN); and replies that match \
                 no query, as forged ones do: `mismatch`.",
            ),
            case_given_up: all.family(
                "plustwo_forward_case_given_up_total",
                &["to"],
                "Times that a name server was found not to echo the case of names; it is queried in lower case for 15 \
                 minutes.",
            ),
            backing_off: all.family(
                "plustwo_forward_servers_backing_off",
                &["to", "source"],
                "Name servers that are not answering and get one query every few seconds; 0 while they answer. A server \
                 of several upstreams counts once for each.",
            ),
            backed_off: all.single(
                "plustwo_forward_backed_off_total",
                "Queries that failed at once, because every name server of their upstream was backing off.",
            ),
            refused: all.family(
                "plustwo_forward_refused_total",
                &["reason"],
                "Queries not sent to an upstream, because too many wait already: `full` (of all), `upstream-share`, \
                 `client-share`. They are answered with a stale answer or SERVFAIL.",
            ),
            stale: all.family(
                "plustwo_forward_stale_answers_total",
                &["upstream"],
                "Answers past their TTL that were served because no name server of this upstream answered.",
            ),
            shared: all.single(
                "plustwo_forward_shared_total",
                "Questions that waited for the answer to an equal one in flight.",
            ),
            in_flight: all.single("plustwo_forward_in_flight", "Questions in flight to name servers."),
            in_flight_refused: all.single(
                "plustwo_forward_in_flight_refused_total",
                "Questions not asked, because as many as may be were in flight.",
            ),
            sockets: all.single("plustwo_forward_sockets", "UDP sockets open to name servers."),
            failure_cache_hits: all.single(
                "plustwo_forward_failure_cache_hits_total",
                "Questions not asked, because they had just failed at every name server.",
            ),
        }
    }

    /// What is counted of one server, as queried from a source address.
    pub fn server(&self, to: &Arc<str>, source: Option<IpAddr>) -> ServerMetrics {
        let source: Arc<str> = source.map_or_else(|| "".into(), |source| source.to_string().into());
        let backing_off = self.backing_off.child([to.into(), (&source).into()]);
        ServerMetrics {
            all: self.clone(),
            to: to.clone(),
            source,
            backing_off,
            requests: OnceLock::new(),
            useful: [const { OnceLock::new() }; 2],
        }
    }

    /// A question waits for an equal one.
    pub fn shared(&self) {
        self.shared.inc();
    }

    /// A question goes into flight, or comes out of it.
    pub fn in_flight(&self, change: i64) {
        self.in_flight.add(change);
    }

    /// A question was not asked for want of room.
    pub fn in_flight_refused(&self) {
        self.in_flight_refused.inc();
    }

    /// A query failed at once, because every server backs off.
    pub fn backed_off(&self) {
        self.backed_off.inc();
    }

    /// A query may not wait, for a reason of a closed set.
    pub fn refused(&self, reason: &'static str) {
        self.refused.with([reason.into()], |count| count.inc());
    }

    /// A stale answer of an upstream was served.
    pub fn stale(&self, upstream: &Arc<str>) {
        self.stale.with([upstream.into()], |count| count.inc());
    }

    /// A question was not asked because it had just failed.
    pub fn failure_cache_hit(&self) {
        self.failure_cache_hits.inc();
    }
}

/// Counters of one server that is asked. What is counted for nearly every question is found once.
#[derive(Debug)]
pub struct ServerMetrics {
    all: ForwardMetrics,
    to: Arc<str>,
    source: Arc<str>,
    backing_off: IntGauge,
    requests: OnceLock<IntCounter>,
    /// Times until it answered NOERROR, and NXDOMAIN.
    useful: [OnceLock<Histogram>; 2],
}

impl ServerMetrics {
    /// It is asked.
    pub fn requested(&self) {
        self.requests
            .get_or_init(|| self.all.requests.child([(&self.to).into(), (&self.source).into()]))
            .inc();
    }

    /// It answered after this time.
    pub fn answered(&self, rcode: Rcode, elapsed: Duration) {
        let word = rcode.known_mnemonic().unwrap_or("other");
        let times = || self.all.duration.child([(&self.to).into(), word.into()]);
        let seconds = elapsed.as_secs_f64();
        match rcode {
            Rcode::NOERROR => self.useful[0].get_or_init(times).observe(seconds),
            Rcode::NXDOMAIN => self.useful[1].get_or_init(times).observe(seconds),
            _ => times().observe(seconds),
        }
    }

    /// A try came to nothing, for a reason of a closed set.
    pub fn failed(&self, reason: &'static str) {
        let labels = [(&self.to).into(), (&self.source).into(), reason.into()];
        self.all.failures.with(labels, |count| count.inc());
    }

    /// It begins to back off, or ends.
    pub fn backing_off(&self, change: i64) {
        self.backing_off.add(change);
    }

    /// It is queried in lower case for a while.
    pub fn case_given_up(&self) {
        self.all.case_given_up.with([(&self.to).into()], |count| count.inc());
    }

    /// A UDP socket to it was opened, or closed.
    pub fn sockets(&self, change: i64) {
        self.all.sockets.add(change);
    }
}
