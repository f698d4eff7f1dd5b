//! One name server, as queried from one source address: what is remembered of it, and how it is queried.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::health::{Health, Verdict};
use super::https::HttpsPool;
use super::message::{Failure, Outgoing};
use super::stream::{Dial, StreamPool};
use super::tls::Secure;
use super::udp::{Target, UdpPool};
use super::in_flight::Reply;
use super::{Shared, UpstreamOptions};
use crate::dns::{Answer, Class, Name, Question, Rcode, RecordType, Response, ResponseError};
use crate::observe::ServerMetrics;
use crate::world::{Server as Specification, ServerTransport};

/// So many replies in the wrong case, and the server is queried in lower case for [`TRAIT_TTL`].
const WRONG_CASES: u8 = 2;

/// How long a trait of a server (no EDNS, loses the case of names) is believed without being observed again: the time
/// that Unbound keeps such entries for (`infra-host-ttl`). A server may be upgraded, and one odd reply may be forged.
const TRAIT_TTL: Duration = Duration::from_secs(900);

/// A probe is sent so many times before it counts as unanswered.
const PROBES: u32 = 2;

/// A name server of one upstream, as queried from one source address.
#[derive(Debug)]
pub(super) struct Server {
    /// As it is written in a configuration, and the source address where one is set.
    pub label: Arc<str>,
    /// The source address; any if `None`.
    pub source: Option<IpAddr>,
    health: Mutex<Health>,
    /// Whether it has been given up: a copy of what `health` says, for every query to see without a lock.
    backing_off: AtomicBool,
    /// A reply came after its query had timed out. Set by the reader of the sockets.
    late: Arc<AtomicBool>,
    without_edns: Trait,
    lower_case: Trait,
    /// How many of its replies had a name in the wrong case.
    wrong_cases: AtomicU8,
    carrier: Carrier,
    metrics: Arc<ServerMetrics>,
}

#[derive(Debug)]
enum Carrier {
    /// Datagrams, and a connection for what does not fit.
    Udp(UdpPool, StreamPool),
    /// TCP, or TLS over it.
    Stream(StreamPool),
    Https(HttpsPool),
}

/// How a try is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Via {
    /// As the server is configured.
    Usual,
    /// Over a connection, where the usual is datagrams: after replies that fitted no query.
    Connection,
}

/// What a probe of a server, or a trial query, came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It was given up.
    GivenUp,
    /// It had been given up and replies again.
    Returned,
}

impl Server {
    /// A server that has not been queried.
    pub fn new(
        specification: &Specification,
        source: Option<IpAddr>,
        sockets: usize,
        shared: &Shared,
    ) -> Self {
        let Specification { address, zone: _, transport, edns, case, tls } = specification;
        let to: Arc<str> = specification.to_string().into();
        let UpstreamOptions { reopen_after, total_timeout, idle_timeout, .. } = shared.options;
        let metrics = Arc::new(shared.metrics.server(&to, source));
        let late = Arc::new(AtomicBool::new(false));
        let dial = |secure| Dial { server: *address, source, secure };
        let stream = |secure| StreamPool::new(dial(secure), idle_timeout, metrics.clone());
        let secure = |protocol: &[u8], name: &Arc<str>| {
            Secure::new(&shared.options.trust, tls.as_deref(), protocol, name)
        };
        let carrier = match transport {
            ServerTransport::Udp => {
                let pool = UdpPool::new(Target {
                    server: *address,
                    source,
                    sockets,
                    reopen_after,
                    linger: total_timeout,
                    own: shared.own.clone(),
                    metrics: metrics.clone(),
                    late: late.clone(),
                });
                Carrier::Udp(pool, stream(None))
            }
            ServerTransport::Tcp => Carrier::Stream(stream(None)),
            ServerTransport::Tls { name } => Carrier::Stream(stream(Some(secure(b"dot", name)))),
            ServerTransport::Https { name, path } => {
                Carrier::Https(HttpsPool::new(dial(Some(secure(b"h2", name))), name, path))
            }
        };
        Self {
            label: source.map_or_else(|| to.clone(), |source| format!("{to} from {source}").into()),
            source,
            health: Mutex::default(),
            backing_off: AtomicBool::new(false),
            late,
            without_edns: Trait::new(!edns),
            lower_case: Trait::new(!case),
            wrong_cases: AtomicU8::new(0),
            carrier,
            metrics,
        }
    }

    /// What is known of its health.
    pub fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it has been given up for now.
    pub fn is_backing_off(&self) -> bool {
        self.backing_off.load(Ordering::Relaxed)
    }

    /// One try, sent at `sent` and given up at `until`. What is observed goes into the server's health and into the
    /// metrics.
    pub async fn attempt(
        &self,
        question: &Question,
        via: Via,
        sent: Instant,
        until: Instant,
    ) -> (Result<Answer, Failure>, Verdict, Option<Change>) {
        self.metrics.requested();
        let reply = self.query(question, via, sent, until).await;
        let now = Instant::now();
        let mut health = self.health();
        self.take_late(&mut health, now);
        let (result, verdict) = match reply {
            Ok(response) => {
                self.metrics.answered(response.rcode, now - sent);
                let answer = usable(response);
                // An error is about the name: the server is alive.
                health.replied(now, now - sent, answer.is_ok());
                (answer, Verdict::Unchanged)
            }
            // Forged replies say nothing of the server, nor does a closed port beside the one that is configured.
            Err(failure) if failure == Failure::Mismatch || via == Via::Connection => {
                (Err(failure), Verdict::Unchanged)
            }
            Err(failure) => {
                let verdict = health.failed(&failure, sent, now);
                (Err(failure), verdict)
            }
        };
        let change = self.publish(health);
        if let Err(failure) = &result
            && let Some(reason) = failure.reason()
        {
            self.metrics.failed(reason);
        }
        (result, verdict, change)
    }

    /// Asks for the root's name servers, which every name server has some reply to. Gives the server up if none comes.
    pub async fn probe(&self, timeout: Duration) -> Option<Change> {
        let mut probing = Probing { server: self, is_over: false };
        let question = Question { qname: Name::root(), qtype: RecordType::NS, qclass: Class::IN };
        for _ in 0..PROBES {
            let now = Instant::now();
            let timeout = self.health().try_timeout(timeout);
            let reply = self.carry(&question, Via::Usual, false, true, now + timeout).await;
            let failure = match reply {
                // Whatever it replied, it is there.
                Ok(_) | Err(Failure::WrongCase | Failure::Malformed(_) | Failure::Rcode(..)) => {
                    probing.is_over = true;
                    let replied = Instant::now();
                    let mut health = self.health();
                    health.replied(replied, replied - now, true);
                    return self.publish(health);
                }
                Err(failure) => failure,
            };
            // A network that refuses would refuse again.
            if !failure.is_worth_a_retry() {
                break;
            }
        }
        probing.is_over = true;
        let now = Instant::now();
        let mut health = self.health();
        self.take_late(&mut health, now);
        health.probe_failed(now);
        self.publish(health)
    }

    /// Records replies that came too late for their queries.
    fn take_late(&self, health: &mut Health, now: Instant) {
        if self.late.swap(false, Ordering::Relaxed) {
            health.replied_late(now);
        }
    }

    /// Ends a change of the health: what every query sees of it is set while the lock is held. Nobody waits for a server
    /// any longer that has just been given up.
    fn publish(&self, health: MutexGuard<'_, Health>) -> Option<Change> {
        let is_backing_off = health.is_backing_off();
        let was_backing_off = self.backing_off.swap(is_backing_off, Ordering::Relaxed);
        drop(health);
        match (was_backing_off, is_backing_off) {
            (false, true) => {
                self.metrics.backing_off(1);
                self.time_out_all();
                Some(Change::GivenUp)
            }
            (true, false) => {
                self.metrics.backing_off(-1);
                Some(Change::Returned)
            }
            _ => None,
        }
    }

    /// Fails all outstanding queries as if their time-out had expired.
    fn time_out_all(&self) {
        match &self.carrier {
            Carrier::Udp(sockets, stream) => {
                sockets.time_out_all();
                stream.time_out_all();
            }
            Carrier::Stream(stream) => stream.time_out_all(),
            // Its requests have their own time-outs.
            Carrier::Https(_) => {}
        }
    }

    /// Queries with EDNS, and without it where that is not understood (RFC 6891 section 7).
    async fn query(&self, question: &Question, via: Via, sent: Instant, until: Instant) -> Reply {
        let lower_case = self.lower_case.holds(sent);
        if self.without_edns.holds(sent) {
            return self.carry(question, via, false, lower_case, until).await;
        }
        let response = self.carry(question, via, true, lower_case, until).await?;
        // BADVERS too: version 0 is what was sent, and there is none below.
        let not_understood =
            |response: &Response| matches!(response.rcode, Rcode::FORMERR | Rcode::NOTIMP | Rcode::BADVERS);
        if !not_understood(&response) {
            return Ok(response);
        }
        let plain = Box::pin(self.carry(question, via, false, lower_case, until)).await?;
        if !not_understood(&plain) {
            self.without_edns.observed(sent);
        }
        Ok(plain)
    }

    /// One exchange by what carries queries to this server. What is rarely needed is boxed: a question in flight
    /// is as large as all that it may come to.
    async fn carry(
        &self,
        question: &Question,
        via: Via,
        edns: bool,
        lower_case: bool,
        until: Instant,
    ) -> Reply {
        // Case is for forgers off the path, who cannot reach into a connection.
        let plain = || Arc::new(Outgoing::plain(question, edns));
        match &self.carrier {
            Carrier::Stream(stream) => Box::pin(stream.exchange(&plain(), until)).await,
            Carrier::Https(https) => Box::pin(https.exchange(&plain(), until)).await,
            Carrier::Udp(_, stream) if via == Via::Connection => {
                Box::pin(stream.exchange(&plain(), until)).await
            }
            Carrier::Udp(sockets, stream) => {
                match self.over_udp(sockets, question, edns, lower_case, until).await {
                    Ok(response) if !response.truncated => Ok(response),
                    // A connection cannot be guessed into.
                    Ok(_) | Err(Failure::WrongCase) => Box::pin(stream.exchange(&plain(), until)).await,
                    Err(failure) => Err(failure),
                }
            }
        }
    }

    async fn over_udp(
        &self,
        sockets: &UdpPool,
        question: &Question,
        edns: bool,
        lower_case: bool,
        until: Instant,
    ) -> Reply {
        let mut reply = Err(Failure::WrongCase);
        // Once more than it takes to give up on case.
        for attempt in 0..=WRONG_CASES {
            let mixed = !lower_case && attempt < WRONG_CASES;
            let outgoing = match mixed {
                true => Outgoing::mixed_case(question, edns),
                false => Outgoing::plain(question, edns),
            };
            reply = sockets.exchange(&Arc::new(outgoing), until).await;
            match &reply {
                Err(Failure::WrongCase) if mixed => self.observed_wrong_case(),
                // One reply in another case is no trait of the server.
                Ok(_) if mixed && self.wrong_cases.load(Ordering::Relaxed) > 0 && attempt == 0 => {
                    self.wrong_cases.store(0, Ordering::Relaxed);
                    break;
                }
                // The socket was replaced between being picked and being used.
                Err(Failure::Closed) => {}
                _ => break,
            }
        }
        reply
    }

    /// A reply came back in another case.
    fn observed_wrong_case(&self) {
        if self.wrong_cases.fetch_add(1, Ordering::Relaxed) + 1 >= WRONG_CASES {
            self.wrong_cases.store(0, Ordering::Relaxed);
            self.lower_case.observed(Instant::now());
            self.metrics.case_given_up();
        }
    }
}

/// The gauge of servers that back off counts those that are known.
impl Drop for Server {
    fn drop(&mut self) {
        if self.is_backing_off() {
            self.metrics.backing_off(-1);
        }
    }
}

/// A probe under way: if it is dropped, a later failure may start another.
struct Probing<'s> {
    server: &'s Server,
    is_over: bool,
}

impl Drop for Probing<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.server.health().probe_abandoned();
        }
    }
}

/// Something observed of a server and believed for [`TRAIT_TTL`].
#[derive(Debug)]
struct Trait {
    /// Whether the configuration says so, whatever is observed.
    is_configured: bool,
    created: Instant,
    /// Until when it is believed, in milliseconds since `created`. 0: it has not been observed.
    until_ms: AtomicU64,
}

impl Trait {
    /// One that has not been observed.
    fn new(is_configured: bool) -> Self {
        Self { is_configured, created: Instant::now(), until_ms: AtomicU64::new(0) }
    }

    /// Whether it is believed at this time.
    fn holds(&self, now: Instant) -> bool {
        if self.is_configured {
            return true;
        }
        let until_ms = self.until_ms.load(Ordering::Relaxed);
        until_ms > 0 && self.since_created_ms(now) < until_ms
    }

    /// It has been observed.
    fn observed(&self, now: Instant) {
        let ttl_ms = TRAIT_TTL.as_millis() as u64;
        self.until_ms.store(self.since_created_ms(now) + ttl_ms, Ordering::Relaxed);
    }

    fn since_created_ms(&self, now: Instant) -> u64 {
        // A process does not live for half a billion years.
        now.saturating_duration_since(self.created).as_millis() as u64
    }
}

/// The content of a response that answers its question.
fn usable(response: Response) -> Result<Answer, Failure> {
    if !response.truncated && !response.answers_its_question() {
        return Err(Failure::Malformed(ResponseError::AnswersNothing));
    }
    let Response { rcode, truncated, answer, authority, edes, .. } = response;
    let is_redirected = || answer.iter().any(|set| set.rtype == RecordType::DNAME);
    match rcode {
        // What is truncated over a connection has no other way to come.
        Rcode::NOERROR | Rcode::NXDOMAIN if truncated => Err(Failure::Rcode(Rcode::SERVFAIL, edes)),
        Rcode::NOERROR | Rcode::NXDOMAIN => {
            Ok(Answer { rcode, answer, authority, ede: None, upstream_edes: edes })
        }
        // The name that a DNAME makes is too long (RFC 6672 2.2). The resolution sees that for itself.
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
    fn a_trait_is_believed_for_a_while() {
        let observed = Trait::new(false);
        let now = Instant::now();
        assert!(!observed.holds(now));
        observed.observed(now);
        assert!(observed.holds(now + TRAIT_TTL - Duration::from_millis(1)));
        assert!(!observed.holds(now + TRAIT_TTL + Duration::from_millis(1)));
        observed.observed(now + TRAIT_TTL * 2);
        assert!(observed.holds(now + TRAIT_TTL * 2));
        assert!(Trait::new(true).holds(now + TRAIT_TTL * 9), "what is configured does not expire");
    }
}
