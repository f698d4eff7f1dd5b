//! One name server: what is remembered of it, and how it is asked.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::health::Health;
use super::https::HttpsPool;
use super::message::{Failure, Outgoing};
use super::stream::{Dial, StreamPool};
use super::tls::Secure;
use super::udp::{Target, UdpPool};
use super::waiting::Reply;
use super::{Shared, UpstreamOptions};
use crate::dns::{Answer, Question, Rcode, RecordType, Response, ResponseError};
use crate::observe::ServerMetrics;
use crate::world::{Server as Specification, ServerTransport};

/// So many replies in the wrong case, and the server is asked in lower case.
const WRONG_CASES: u8 = 2;

/// A name server of one upstream.
#[derive(Debug)]
pub(super) struct Server {
    /// As it is written in a configuration.
    pub label: Arc<str>,
    health: Mutex<Health>,
    /// Whether it takes no EDNS.
    no_edns: AtomicBool,
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

impl Server {
    /// A server that has not been asked.
    pub fn new(specification: &Specification, sources: &[IpAddr], shared: &Shared) -> Self {
        let Specification { address, transport } = specification;
        let label: Arc<str> = specification.to_string().into();
        let UpstreamOptions { sockets_per_server, reopen_after, total_timeout, idle_timeout, .. } =
            shared.options;
        let metrics = Arc::new(shared.metrics.server(&label));
        let source = sources.iter().copied().find(|source| source.is_ipv4() == address.is_ipv4());
        let dial = |secure| Dial { server: *address, source, secure };
        let stream = |secure| StreamPool::new(dial(secure), idle_timeout, metrics.clone());
        let carrier = match transport {
            ServerTransport::Udp => {
                let pool = UdpPool::new(Target {
                    server: *address,
                    source,
                    sockets: sockets_per_server,
                    reopen_after,
                    linger: total_timeout,
                    own: shared.own.clone(),
                    metrics: metrics.clone(),
                });
                Carrier::Udp(pool, stream(None))
            }
            ServerTransport::Tcp => Carrier::Stream(stream(None)),
            ServerTransport::Tls { name } => {
                Carrier::Stream(stream(Some(Secure { connector: shared.dot.clone(), name: name.clone() })))
            }
            ServerTransport::Https { name, path } => {
                let secure = Secure { connector: shared.doh.clone(), name: name.clone() };
                Carrier::Https(HttpsPool::new(dial(Some(secure)), name, path))
            }
        };
        Self {
            label,
            health: Mutex::default(),
            no_edns: AtomicBool::new(false),
            wrong_cases: AtomicU8::new(0),
            carrier,
            metrics,
        }
    }

    /// What is known of its health.
    pub fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One try, which begins at `asked` and is given up at `until`. What is seen goes into the server's health
    /// and into the metrics.
    pub async fn attempt(
        &self,
        question: &Question,
        asked: Instant,
        until: Instant,
    ) -> Result<Answer, Failure> {
        self.metrics.requested();
        let reply = self.ask(question, until).await;
        let now = Instant::now();
        let result = match reply {
            Ok(response) => {
                self.metrics.answered(response.rcode, now - asked);
                let answer = usable(response);
                // An error is about the name: the server is alive.
                self.health().answered(now - asked, answer.is_ok());
                answer
            }
            Err(failure) => {
                self.health().failed(asked, now);
                Err(failure)
            }
        };
        if let Err(failure) = &result
            && let Some(reason) = failure.reason()
        {
            self.metrics.failed(reason);
        }
        result
    }

    /// Asks with EDNS, and without it where that is not understood (RFC 6891 7).
    async fn ask(&self, question: &Question, until: Instant) -> Reply {
        if self.no_edns.load(Ordering::Relaxed) {
            return self.carry(question, false, until).await;
        }
        let response = self.carry(question, true, until).await?;
        let not_understood = |response: &Response| matches!(response.rcode, Rcode::FORMERR | Rcode::NOTIMP);
        if !not_understood(&response) {
            return Ok(response);
        }
        let plain = Box::pin(self.carry(question, false, until)).await?;
        if !not_understood(&plain) {
            self.no_edns.store(true, Ordering::Relaxed);
        }
        Ok(plain)
    }

    /// One exchange by what carries queries to this server. What is rarely needed is boxed: a question in flight
    /// is as large as all that it may come to.
    async fn carry(&self, question: &Question, edns: bool, until: Instant) -> Reply {
        // Case is for forgers off the path, who cannot reach into a connection.
        let plain = || Arc::new(Outgoing::plain(question, edns));
        match &self.carrier {
            Carrier::Stream(stream) => Box::pin(stream.exchange(&plain(), until)).await,
            Carrier::Https(https) => Box::pin(https.exchange(&plain(), until)).await,
            Carrier::Udp(sockets, stream) => match self.over_udp(sockets, question, edns, until).await {
                Ok(response) if !response.truncated => Ok(response),
                // Somebody guesses, or somebody is confused. A connection cannot be guessed into.
                Ok(_) | Err(Failure::Mismatch | Failure::WrongCase) => {
                    Box::pin(stream.exchange(&plain(), until)).await
                }
                Err(failure) => Err(failure),
            },
        }
    }

    async fn over_udp(&self, sockets: &UdpPool, question: &Question, edns: bool, until: Instant) -> Reply {
        let mut reply = Err(Failure::WrongCase);
        let mut mismatches = 0;
        // Once more than it takes to give up on case.
        for _ in 0..=WRONG_CASES {
            let mixed = self.wrong_cases.load(Ordering::Relaxed) < WRONG_CASES;
            let outgoing = match mixed {
                true => Outgoing::mixed_case(question, edns),
                false => Outgoing::plain(question, edns),
            };
            reply = sockets.exchange(&Arc::new(outgoing), until).await;
            match &reply {
                Err(Failure::WrongCase) if mixed => {
                    let before = self.wrong_cases.fetch_add(1, Ordering::Relaxed);
                    if before + 1 == WRONG_CASES {
                        self.metrics.case_given_up();
                    }
                }
                // Whoever shares a socket with a forged reply hears of it, so once is not suspicious.
                Err(Failure::Mismatch) if mismatches == 0 => mismatches += 1,
                // The socket was replaced between being picked and being used.
                Err(Failure::Closed) => {}
                _ => break,
            }
        }
        reply
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
        Rcode::NOERROR | Rcode::NXDOMAIN if truncated => Err(Failure::Rcode(Rcode::SERVFAIL)),
        Rcode::NOERROR | Rcode::NXDOMAIN => {
            Ok(Answer { rcode, answer, authority, ede: None, upstream_edes: edes })
        }
        // The name that a DNAME makes is too long (RFC 6672 2.2). The resolution sees that for itself.
        Rcode::YXDOMAIN if is_redirected() => {
            Ok(Answer { rcode: Rcode::NOERROR, answer, authority, ede: None, upstream_edes: edes })
        }
        other => Err(Failure::Rcode(other)),
    }
}
