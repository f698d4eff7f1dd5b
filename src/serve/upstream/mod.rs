//! Asking name servers that others run: what a FORWARD rule or the internet leads to.
//!
//! ```text
//!  ask ──► group ──► server ──┬── udp ──── waiting     64 sockets, IDs, case
//!            │         │      ├── stream ─ waiting     one connection, pipelined; tls over it
//!            │         │      └── https
//!            │         └── health                      rests, round trips
//!            └── failures                              RFC 9520
//! ```
//!
//! A group is one upstream: its servers, and what is in flight to them. A server is asked over what carries
//! queries to it; a table of waiting questions gives each response to who asked, or calls it a forgery.
//! `docs/forwarding.md` tells what a client sees.

mod failures;
mod group;
mod health;
mod https;
mod message;
mod server;
mod stream;
mod tls;
mod udp;
mod waiting;

pub use tls::{BadAuthority, Trust};

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;

use crate::dns::{Answer, Ede, Question};
use crate::observe::ForwardMetrics;
use crate::world::{Upstream, UpstreamIdentity};
use group::Group;

/// Bounds of asking. The defaults are the daemon's.
#[derive(Clone, Debug)]
pub struct UpstreamOptions {
    /// How long one server is waited for. Three tries fit into the 5 seconds that stubs wait.
    pub try_timeout: Duration,
    /// How long a question is asked in all.
    pub total_timeout: Duration,
    /// UDP sockets for each server: the more, the harder a port is to guess.
    pub sockets_per_server: usize,
    /// After so many questions a UDP socket is replaced by one on another port; 32,768 at most.
    pub reopen_after: usize,
    /// How long a connection without a question stays open.
    pub idle_timeout: Duration,
    /// Questions in flight to all servers together.
    pub max_in_flight: usize,
    /// Failed questions remembered for each upstream.
    pub max_failures: usize,
    /// Who may vouch for servers over TLS.
    pub trust: Trust,
}

impl Default for UpstreamOptions {
    fn default() -> Self {
        Self {
            try_timeout: Duration::from_millis(1500),
            total_timeout: Duration::from_millis(4500),
            sockets_per_server: 64,
            reopen_after: 10_000,
            idle_timeout: Duration::from_secs(10),
            max_in_flight: 4096,
            max_failures: 10_000,
            trust: Trust::default(),
        }
    }
}

/// Why nobody answered. The client gets SERVFAIL with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// What each server did.
    pub ede: Ede,
}

/// All upstreams of a process. It outlives generations: what it holds is keyed by what an upstream is.
#[derive(Debug)]
pub struct Upstreams {
    groups: RwLock<HashMap<UpstreamIdentity, Arc<Group>, RandomState>>,
    shared: Arc<Shared>,
}

/// What all upstreams share.
struct Shared {
    options: UpstreamOptions,
    metrics: ForwardMetrics,
    /// One for each question in flight.
    permits: Arc<Semaphore>,
    dot: TlsConnector,
    doh: TlsConnector,
}

impl Upstreams {
    /// Nobody has been asked yet.
    pub fn new(options: UpstreamOptions, metrics: ForwardMetrics) -> Self {
        let shared = Shared {
            permits: Arc::new(Semaphore::new(options.max_in_flight.min(Semaphore::MAX_PERMITS))),
            dot: options.trust.connector(b"dot"),
            doh: options.trust.connector(b"h2"),
            options,
            metrics,
        };
        Self { groups: RwLock::default(), shared: Arc::new(shared) }
    }

    /// Asks the servers of an upstream until one answers or time is up. Equal questions in flight share one.
    ///
    /// The answer is what the server says: NOERROR or NXDOMAIN, its answer section, and the SOA of its
    /// authority section. The future may be dropped; the question goes on for those who ask it too.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// When no server gave an answer, the question just failed, or too many are in flight.
    pub async fn ask(&self, upstream: &Upstream, question: &Question) -> Result<Answer, Unanswered> {
        self.group(&upstream.identity).ask(&upstream.name, question).await
    }

    /// Forgets every upstream but these: their sockets are closed once their questions are answered.
    pub fn retain(&self, used: &[&UpstreamIdentity]) {
        let mut groups = self.groups.write().unwrap_or_else(PoisonError::into_inner);
        groups.retain(|identity, _| used.contains(&identity));
    }

    /// Whether the sender of a datagram is a socket that these ask from: a question came back to where it left.
    pub fn sent_from(&self, peer: SocketAddr) -> bool {
        let groups = self.groups.read().unwrap_or_else(PoisonError::into_inner);
        groups.values().flat_map(|group| &group.servers).any(|server| server.sent_from(peer))
    }

    /// Every server that has been asked and whether it is asked in its turn: false while it is left alone
    /// after failures. A server of several upstreams is there once for each.
    pub fn health(&self) -> Vec<(String, bool)> {
        let groups = self.groups.read().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let servers = groups.values().flat_map(|group| &group.servers);
        let mut all: Vec<_> =
            servers.map(|server| (server.label.to_string(), !server.health().rests(now))).collect();
        all.sort();
        all
    }

    fn group(&self, identity: &UpstreamIdentity) -> Arc<Group> {
        let groups = self.groups.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(group) = groups.get(identity) {
            return group.clone();
        }
        drop(groups);
        let mut groups = self.groups.write().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Group::new(identity, self.shared.clone()));
        groups.entry(identity.clone()).or_insert_with(new).clone()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("options", &self.options).finish_non_exhaustive()
    }
}
