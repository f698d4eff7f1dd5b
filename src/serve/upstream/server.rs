//! One name server, as queried from one source address: its state, and how it is queried.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::health::{FailureAction, Health};
use super::https::HttpsChannel;
use super::in_flight::ExchangeResult;
use super::message::{Failure, OutgoingQuery};
use super::stream::{Connector, StreamChannel};
use super::tls::TlsDialer;
use super::udp::{SocketTarget, UdpPool};
use super::{Shared, UpstreamOptions};
use crate::dns::{Answer, Class, Name, Question, Rcode, RecordType, Response, ResponseError};
use crate::observe::ServerMetrics;
use crate::world::{Server as Specification, ServerTransport};

/// After this many replies in the wrong case, the server is queried in lower case for [`TRAIT_TTL`].
const WRONG_CASES: u8 = 2;

/// How long an observed trait of a server (no EDNS support, case not preserved) is remembered. Limited
/// because a server may be upgraded and the observed reply may have been forged. Unbound uses the same time
/// for such entries (`infra-host-ttl`).
const TRAIT_TTL: Duration = Duration::from_secs(900);

/// Maximum number of messages of a probe.
const PROBES: u32 = 2;

/// A name server of one upstream, as queried from one source address.
#[derive(Debug)]
pub(super) struct Server {
    /// The server as configured, with the source address if one is set.
    pub label: Arc<str>,
    /// The source address; any if `None`.
    pub source: Option<IpAddr>,
    health: Mutex<Health>,
    /// Whether it is backing off: a copy of the state in `health` that queries can read without a lock.
    backing_off: AtomicBool,
    /// Whether a reply arrived after its query had timed out. Set by the socket readers.
    late: Arc<AtomicBool>,
    no_edns: ObservedTrait,
    lower_case: ObservedTrait,
    /// Number of replies with the name in the wrong case.
    wrong_cases: AtomicU8,
    channel: Channel,
    metrics: Arc<ServerMetrics>,
}

#[derive(Debug)]
enum Channel {
    /// UDP, and a connection for truncated answers.
    Udp(UdpPool, StreamChannel),
    /// TCP, or TLS over TCP.
    Stream(StreamChannel),
    Https(HttpsChannel),
}

/// Which transport an attempt uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TransportChoice {
    /// The configured transport.
    Configured,
    /// A connection instead of UDP, after replies that matched no query.
    Connection,
}

/// A change of health after an attempt or a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HealthChange {
    /// The server has started to back off.
    BackedOff,
    /// The server replies again.
    Recovered,
}

impl Server {
    /// Creates a server that has not been queried.
    pub(super) fn new(
        specification: &Specification,
        source: Option<IpAddr>,
        sockets: usize,
        shared: &Shared,
    ) -> Self {
        let Specification { address, zone: _, transport, edns, case, tls } = specification;
        let name: Arc<str> = specification.to_string().into();
        let UpstreamOptions { reopen_after, total_timeout, idle_timeout, .. } = shared.options;
        let metrics = Arc::new(shared.metrics.server(&name, source));
        let late = Arc::new(AtomicBool::new(false));
        let connector = |tls| Connector { server: *address, source, tls };
        let stream = |tls| StreamChannel::new(connector(tls), idle_timeout, metrics.clone());
        let tls_dialer = |protocol: &[u8], name: &Arc<str>| {
            TlsDialer::new(&shared.options.trust, tls.as_deref(), protocol, name)
        };
        let channel = match transport {
            ServerTransport::Udp => {
                let pool = UdpPool::new(SocketTarget {
                    server: *address,
                    source,
                    sockets,
                    reopen_after,
                    linger: total_timeout,
                    local_sockets: shared.local_sockets.clone(),
                    metrics: metrics.clone(),
                    late: late.clone(),
                });
                Channel::Udp(pool, stream(None))
            }
            ServerTransport::Tcp => Channel::Stream(stream(None)),
            ServerTransport::Tls { name } => Channel::Stream(stream(Some(tls_dialer(b"dot", name)))),
            ServerTransport::Https { name, path } => {
                Channel::Https(HttpsChannel::new(connector(Some(tls_dialer(b"h2", name))), name, path))
            }
        };
        Self {
            label: source.map_or_else(|| name.clone(), |source| format!("{name} from {source}").into()),
            source,
            health: Mutex::default(),
            backing_off: AtomicBool::new(false),
            late,
            no_edns: ObservedTrait::new(!edns),
            lower_case: ObservedTrait::new(!case),
            wrong_cases: AtomicU8::new(0),
            channel,
            metrics,
        }
    }

    /// Locks its health.
    pub(super) fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is backing off.
    pub(super) fn is_backing_off(&self) -> bool {
        self.backing_off.load(Ordering::Relaxed)
    }

    /// Makes one attempt, which starts at `sent` and times out at `until`. Records the result in the health
    /// of the server and in metrics.
    pub(super) async fn attempt(
        &self,
        question: &Question,
        transport: TransportChoice,
        sent: Instant,
        until: Instant,
    ) -> (Result<Answer, Failure>, FailureAction, Option<HealthChange>) {
        self.metrics.requested();
        let reply = self.query(question, transport, sent, until).await;
        let now = Instant::now();
        let mut health = self.health();
        self.record_late_replies(&mut health, now);
        let (result, action) = match reply {
            Ok(response) => {
                self.metrics.answered(response.rcode, now - sent);
                let answer = into_answer(response);
                // An error response concerns the name: the server is alive.
                health.record_reply(now, now - sent, answer.is_ok());
                (answer, FailureAction::Unchanged)
            }
            // Neither forged replies nor a closed TCP port of a server configured for UDP indicate that the
            // server is down.
            Err(failure) if failure == Failure::Mismatch || transport == TransportChoice::Connection => {
                (Err(failure), FailureAction::Unchanged)
            }
            Err(failure) => {
                let action = health.record_failure(&failure, sent, now);
                (Err(failure), action)
            }
        };
        let change = self.publish(health);
        if let Err(failure) = &result
            && let Some(reason) = failure.reason()
        {
            self.metrics.failed(reason);
        }
        (result, action, change)
    }

    /// Queries the NS records of the root, which every name server answers, if only with an error. The server
    /// backs off if no reply arrives.
    pub(super) async fn probe(&self, timeout: Duration) -> Option<HealthChange> {
        let mut probe = ProbeGuard { server: self, is_over: false };
        let question = Question { qname: Name::root(), qtype: RecordType::NS, qclass: Class::IN };
        for _ in 0..PROBES {
            let now = Instant::now();
            let timeout = self.health().try_timeout(timeout);
            let reply =
                self.exchange(&question, TransportChoice::Configured, false, true, now + timeout).await;
            let failure = match reply {
                // Any reply shows that the server is alive.
                Ok(_) | Err(Failure::WrongCase | Failure::Malformed(_) | Failure::Rcode(..)) => {
                    probe.is_over = true;
                    let replied = Instant::now();
                    let mut health = self.health();
                    health.record_reply(replied, replied - now, true);
                    return self.publish(health);
                }
                Err(failure) => failure,
            };
            // A second message to an unreachable server would fail as well.
            if !failure.is_retryable() {
                break;
            }
        }
        probe.is_over = true;
        let now = Instant::now();
        let mut health = self.health();
        self.record_late_replies(&mut health, now);
        health.record_probe_failure(now);
        self.publish(health)
    }

    /// Records replies that arrived after their queries had timed out.
    fn record_late_replies(&self, health: &mut Health, now: Instant) {
        if self.late.swap(false, Ordering::Relaxed) {
            health.record_late_reply(now);
        }
    }

    /// Completes a change of the health: updates the copy that queries read, while the lock is held. If the
    /// server has just started to back off, its outstanding queries fail.
    fn publish(&self, health: MutexGuard<'_, Health>) -> Option<HealthChange> {
        let is_backing_off = health.is_backing_off();
        let was_backing_off = self.backing_off.swap(is_backing_off, Ordering::Relaxed);
        drop(health);
        match (was_backing_off, is_backing_off) {
            (false, true) => {
                self.metrics.backing_off(1);
                self.time_out_all();
                Some(HealthChange::BackedOff)
            }
            (true, false) => {
                self.metrics.backing_off(-1);
                Some(HealthChange::Recovered)
            }
            _ => None,
        }
    }

    /// Fails all outstanding queries as if their timeout had expired.
    fn time_out_all(&self) {
        match &self.channel {
            Channel::Udp(sockets, stream) => {
                sockets.time_out_all();
                stream.time_out_all();
            }
            Channel::Stream(stream) => stream.time_out_all(),
            // Its requests have their own timeouts.
            Channel::Https(_) => {}
        }
    }

    /// Queries with EDNS, or without it if the server does not support it (RFC 6891 section 7).
    async fn query(
        &self,
        question: &Question,
        transport: TransportChoice,
        sent: Instant,
        until: Instant,
    ) -> ExchangeResult {
        let lower_case = self.lower_case.applies_at(sent);
        if self.no_edns.applies_at(sent) {
            return self.exchange(question, transport, false, lower_case, until).await;
        }
        let response = self.exchange(question, transport, true, lower_case, until).await?;
        // BADVERS as well: version 0 was sent, and there is no lower one.
        let is_unsupported =
            |response: &Response| matches!(response.rcode, Rcode::FORMERR | Rcode::NOTIMP | Rcode::BADVERS);
        if !is_unsupported(&response) {
            return Ok(response);
        }
        let plain = Box::pin(self.exchange(question, transport, false, lower_case, until)).await?;
        if !is_unsupported(&plain) {
            self.no_edns.observe(sent);
        }
        Ok(plain)
    }

    /// Exchanges one query and response over the server's channel. Rarely used futures are boxed, because the
    /// future of a question in flight is as large as the largest of them.
    async fn exchange(
        &self,
        question: &Question,
        transport: TransportChoice,
        edns: bool,
        lower_case: bool,
        until: Instant,
    ) -> ExchangeResult {
        // In lower case: mixed case protects against off-path attackers, who cannot inject into a connection.
        let plain = || Arc::new(OutgoingQuery::plain(question, edns));
        match &self.channel {
            Channel::Stream(stream) => Box::pin(stream.exchange(&plain(), until)).await,
            Channel::Https(https) => Box::pin(https.exchange(&plain(), until)).await,
            Channel::Udp(_, stream) if transport == TransportChoice::Connection => {
                Box::pin(stream.exchange(&plain(), until)).await
            }
            Channel::Udp(sockets, stream) => {
                match self.exchange_udp(sockets, question, edns, lower_case, until).await {
                    Ok(response) if !response.truncated => Ok(response),
                    // Off-path attackers cannot inject a reply into a connection.
                    Ok(_) | Err(Failure::WrongCase) => Box::pin(stream.exchange(&plain(), until)).await,
                    Err(failure) => Err(failure),
                }
            }
        }
    }

    async fn exchange_udp(
        &self,
        sockets: &UdpPool,
        question: &Question,
        edns: bool,
        lower_case: bool,
        until: Instant,
    ) -> ExchangeResult {
        let mut reply = Err(Failure::WrongCase);
        // Enough mixed-case attempts to conclude that the server does not preserve case, and one in lower
        // case.
        for attempt in 0..=WRONG_CASES {
            let mixed = !lower_case && attempt < WRONG_CASES;
            let outgoing = match mixed {
                true => OutgoingQuery::mixed_case(question, edns),
                false => OutgoingQuery::plain(question, edns),
            };
            reply = sockets.exchange(&Arc::new(outgoing), until).await;
            match &reply {
                Err(Failure::WrongCase) if mixed => self.record_wrong_case(),
                // The server preserves case, so an earlier reply in another case was an exception.
                Ok(_) if mixed && self.wrong_cases.load(Ordering::Relaxed) > 0 && attempt == 0 => {
                    self.wrong_cases.store(0, Ordering::Relaxed);
                    break;
                }
                // The socket was replaced after it had been selected.
                Err(Failure::Closed) => {}
                _ => break,
            }
        }
        reply
    }

    /// Records a reply with the name in another case.
    fn record_wrong_case(&self) {
        if self.wrong_cases.fetch_add(1, Ordering::Relaxed) + 1 >= WRONG_CASES {
            self.wrong_cases.store(0, Ordering::Relaxed);
            self.lower_case.observe(Instant::now());
            self.metrics.case_given_up();
        }
    }
}

/// The gauge of servers that are backing off counts existing servers only.
impl Drop for Server {
    fn drop(&mut self) {
        if self.is_backing_off() {
            self.metrics.backing_off(-1);
        }
    }
}

/// A probe in progress: if it is dropped, a later failure may start another one.
struct ProbeGuard<'s> {
    server: &'s Server,
    is_over: bool,
}

impl Drop for ProbeGuard<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.server.health().abandon_probe();
        }
    }
}

/// A trait that a server was observed to have, remembered for [`TRAIT_TTL`].
#[derive(Debug)]
struct ObservedTrait {
    /// Whether it is configured, regardless of observations.
    is_configured: bool,
    created: Instant,
    /// Until when it is remembered, in milliseconds since `created`. 0 if it has not been observed.
    until_ms: AtomicU64,
}

impl ObservedTrait {
    /// A trait that has not been observed.
    fn new(is_configured: bool) -> Self {
        Self { is_configured, created: Instant::now(), until_ms: AtomicU64::new(0) }
    }

    /// Whether it applies at a time.
    fn applies_at(&self, now: Instant) -> bool {
        if self.is_configured {
            return true;
        }
        let until_ms = self.until_ms.load(Ordering::Relaxed);
        until_ms > 0 && self.since_created_ms(now) < until_ms
    }

    /// Records an observation.
    fn observe(&self, now: Instant) {
        let ttl_ms = TRAIT_TTL.as_millis() as u64;
        self.until_ms.store(self.since_created_ms(now) + ttl_ms, Ordering::Relaxed);
    }

    fn since_created_ms(&self, now: Instant) -> u64 {
        // Sufficient for half a billion years.
        now.saturating_duration_since(self.created).as_millis() as u64
    }
}

/// Converts a response that answers its question into an answer.
fn into_answer(response: Response) -> Result<Answer, Failure> {
    if !response.truncated && !response.answers_question() {
        return Err(Failure::Malformed(ResponseError::UnrelatedRecords));
    }
    let Response { rcode, truncated, answer, authority, edes, .. } = response;
    let is_redirected = || answer.iter().any(|set| set.rtype == RecordType::DNAME);
    match rcode {
        // The response is truncated even over a connection, so it cannot be obtained in full.
        Rcode::NOERROR | Rcode::NXDOMAIN if truncated => Err(Failure::Rcode(Rcode::SERVFAIL, edes)),
        Rcode::NOERROR | Rcode::NXDOMAIN => {
            Ok(Answer { rcode, answer, authority, ede: None, upstream_edes: edes })
        }
        // The name synthesised from a DNAME is too long (RFC 6672 section 2.2). The resolution detects that
        // itself.
        Rcode::YXDOMAIN if is_redirected() => {
            Ok(Answer { rcode: Rcode::NOERROR, answer, authority, ede: None, upstream_edes: edes })
        }
        other => Err(Failure::Rcode(other, edes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_observed_trait_expires() {
        let observation = ObservedTrait::new(false);
        let now = Instant::now();
        assert!(!observation.applies_at(now));
        observation.observe(now);
        assert!(observation.applies_at(now + TRAIT_TTL - Duration::from_millis(1)));
        assert!(!observation.applies_at(now + TRAIT_TTL + Duration::from_millis(1)));
        observation.observe(now + TRAIT_TTL * 2);
        assert!(observation.applies_at(now + TRAIT_TTL * 2));
        assert!(
            ObservedTrait::new(true).applies_at(now + TRAIT_TTL * 9),
            "a configured trait does not expire"
        );
    }
}
