//! One name server: what is remembered of it, and how it is asked.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::health::Health;
use super::https::HttpsPool;
use super::message::{Failure, Outgoing};
use super::stream::{Dial, StreamPool};
use super::tls::Secure;
use super::udp::UdpPool;
use super::waiting::Reply;
use super::{Shared, UpstreamOptions};
use crate::dns::{Answer, Question, Rcode, Response};
use crate::observe::ForwardMetrics;
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
    metrics: ForwardMetrics,
}

#[derive(Debug)]
enum Carrier {
    /// Datagrams, and a connection for what does not fit.
    Udp(Arc<UdpPool>, StreamPool),
    /// TCP, or TLS over it.
    Stream(StreamPool),
    Https(HttpsPool),
}

impl Server {
    /// Whether a datagram's sender is a socket of ours to this server.
    pub fn sent_from(&self, peer: SocketAddr) -> bool {
        matches!(&self.carrier, Carrier::Udp(pool, _) if pool.sent_from(peer))
    }

    /// A server that has not been asked.
    pub fn new(specification: &Specification, sources: &[IpAddr], shared: &Shared) -> Self {
        let Specification { address, transport } = specification;
        let label: Arc<str> = specification.to_string().into();
        let UpstreamOptions { sockets_per_server, reopen_after, total_timeout, idle_timeout, .. } =
            shared.options;
        let metrics = shared.metrics.clone();
        let source = sources.iter().copied().find(|source| source.is_ipv4() == address.is_ipv4());
        let dial = |secure| Dial { server: *address, source, secure };
        let stream = |secure| StreamPool::new(dial(secure), idle_timeout, label.clone(), metrics.clone());
        let carrier = match transport {
            ServerTransport::Udp => {
                let bounds = (sockets_per_server, reopen_after, total_timeout);
                let pool = UdpPool::new(*address, source, label.clone(), bounds, metrics.clone());
                Carrier::Udp(Arc::new(pool), stream(None))
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

    /// One try. What is seen goes into the server's health and into the metrics.
    pub async fn attempt(&self, question: &Question, limit: Duration) -> Result<Answer, Failure> {
        let asked = Instant::now();
        self.metrics.requested(&self.label);
        let reply = timeout(limit, self.ask(question)).await.unwrap_or(Err(Failure::Timeout));
        let now = Instant::now();
        let result = match reply {
            Ok(response) => {
                self.metrics.answered(&self.label, response.rcode, now - asked);
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
            self.metrics.failed(&self.label, reason);
        }
        result
    }

    /// Asks with EDNS, and without it where that is not understood (RFC 6891 7).
    async fn ask(&self, question: &Question) -> Reply {
        if self.no_edns.load(Ordering::Relaxed) {
            return self.carry(question, false).await;
        }
        let response = self.carry(question, true).await?;
        let not_understood = |response: &Response| matches!(response.rcode, Rcode::FORMERR | Rcode::NOTIMP);
        if !not_understood(&response) {
            return Ok(response);
        }
        let plain = self.carry(question, false).await?;
        if !not_understood(&plain) {
            self.no_edns.store(true, Ordering::Relaxed);
        }
        Ok(plain)
    }

    async fn carry(&self, question: &Question, edns: bool) -> Reply {
        // Case is for forgers off the path, who cannot reach into a connection.
        let plain = || Arc::new(Outgoing::plain(question, edns));
        match &self.carrier {
            Carrier::Stream(stream) => stream.exchange(&plain()).await,
            Carrier::Https(https) => https.exchange(&plain()).await,
            Carrier::Udp(sockets, stream) => match self.over_udp(sockets, question, edns).await {
                Ok(response) if !response.truncated => Ok(response),
                // Somebody guesses, or somebody is confused. A connection cannot be guessed into.
                Ok(_) | Err(Failure::Mismatch | Failure::WrongCase) => stream.exchange(&plain()).await,
                Err(failure) => Err(failure),
            },
        }
    }

    async fn over_udp(&self, sockets: &Arc<UdpPool>, question: &Question, edns: bool) -> Reply {
        let mut reply = Err(Failure::WrongCase);
        let mut mismatches = 0;
        // Once more than it takes to give up on case.
        for _ in 0..=WRONG_CASES {
            let mixed = self.wrong_cases.load(Ordering::Relaxed) < WRONG_CASES;
            let outgoing = match mixed {
                true => Outgoing::mixed_case(question, edns),
                false => Outgoing::plain(question, edns),
            };
            reply = sockets.exchange(&Arc::new(outgoing)).await;
            match &reply {
                Err(Failure::WrongCase) if mixed => {
                    let before = self.wrong_cases.fetch_add(1, Ordering::Relaxed);
                    if before + 1 == WRONG_CASES {
                        self.metrics.case_given_up(&self.label);
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
    let Response { rcode, truncated, answer, authority, .. } = response;
    match rcode {
        // What is truncated over a connection has no other way to come.
        Rcode::NOERROR | Rcode::NXDOMAIN if truncated => Err(Failure::Rcode(Rcode::SERVFAIL)),
        Rcode::NOERROR | Rcode::NXDOMAIN => Ok(Answer { rcode, answer, authority, ede: None }),
        other => Err(Failure::Rcode(other)),
    }
}
