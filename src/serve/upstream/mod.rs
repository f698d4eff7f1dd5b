//! Queries to name servers: the targets of FORWARD rules and the resolvers for internet names.
//!
//! ```text
//!  query ──► group ──► server ──┬── udp ── socket_pool ── in_flight   64 sockets per runtime, IDs, case
//!              │         │      ├── stream ────────────── in_flight   one connection, pipelined; TLS on top
//!              │         │      └── https
//!              │         └── health                                    back-off, probes, round-trip times
//!              └── leader, failures                                    outlives its client; RFC 9520
//! ```
//!
//! A group is one upstream: its servers, each combined with each source address, and the questions in flight
//! to them. A server is queried over its channel; a table of outstanding queries delivers each response to
//! its query, or counts it as a mismatch. `docs/forwarding.md` describes the behaviour that a client sees.

mod failures;
mod group;
mod health;
mod https;
mod in_flight;
mod leader;
mod local_sockets;
mod message;
mod server;
mod socket_pool;
mod stream;
mod tls;
mod tls_errors;
mod udp;

pub(super) use tls::check_trust;
pub use tls::{BadAuthority, Trust};

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;

use crate::dns::{Answer, Ede, Question, Rcode};
use crate::observe::ForwardMetrics;
use crate::world::{Order, Upstream, UpstreamIdentity};
use group::UpstreamGroup;
use local_sockets::LocalSockets;

/// The number of an upstream, which is the same for the same identity for the life of the process.
pub type UpstreamNumber = u32;

/// Maximum number of upstreams in `Upstreams::by_address`. The others are found by value.
const MAX_BY_ADDRESS: usize = 4096;

/// Settings for queries to upstreams. The defaults are those of the daemon.
#[derive(Clone, Debug)]
pub struct UpstreamOptions {
    /// Timeout of one attempt. Three attempts fit into the 5 seconds that stub resolvers wait.
    pub try_timeout: Duration,
    /// Timeout of a question, including all attempts.
    pub total_timeout: Duration,
    /// Timeout of each of the two messages of a probe.
    pub probe_timeout: Duration,
    /// UDP sockets per server: the more, the harder a port is to guess.
    pub sockets_per_server: usize,
    /// A UDP socket is replaced by one on another port after this many queries; at most 32,768.
    pub reopen_after: usize,
    /// How long an idle connection stays open.
    pub idle_timeout: Duration,
    /// Maximum number of questions in flight to all servers together.
    pub max_in_flight: usize,
    /// Maximum number of failed questions remembered per upstream.
    pub max_failures: usize,
    /// The certificate authorities that authenticate servers over TLS.
    pub trust: Trust,
}

impl Default for UpstreamOptions {
    fn default() -> Self {
        Self {
            try_timeout: Duration::from_millis(1500),
            total_timeout: Duration::from_millis(4500),
            probe_timeout: Duration::from_millis(600),
            sockets_per_server: 64,
            reopen_after: 10_000,
            idle_timeout: Duration::from_secs(10),
            max_in_flight: 4096,
            max_failures: 10_000,
            trust: Trust::default(),
        }
    }
}

/// Why there is no answer. The client receives SERVFAIL with it, or a stale answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// An extended error that describes the result of each server.
    pub ede: Ede,
    /// Extended errors that the servers sent, for example why a validating resolver failed.
    pub upstream_edes: Vec<Ede>,
}

impl Unanswered {
    /// Adds the name of the upstream to the text. A failure is stored without it, because several rules may
    /// share an upstream.
    fn with_upstream_name(self, name: &str) -> Self {
        let Self { ede, upstream_edes } = self;
        Self { ede: Ede::new(ede.code, format!("{name}: {}", ede.text)), upstream_edes }
    }

    /// Creates a failure of plustwo itself, without extended errors of servers.
    pub fn without_upstream_edes(ede: Ede) -> Self {
        Self { ede, upstream_edes: Vec::new() }
    }

    /// The answer for the client.
    pub fn into_answer(self) -> Answer {
        let Self { ede, upstream_edes } = self;
        Answer { upstream_edes, ..Answer::empty(Rcode::SERVFAIL).with_ede(ede) }
    }
}

/// All upstreams of a process. They outlive reloads, because they are identified by their servers.
#[derive(Debug)]
pub struct Upstreams {
    /// Recently used groups by the memory address of their identity, for a lookup without comparison.
    by_address: ArcSwap<HashMap<IdentityAddress, GroupByAddress, RandomState>>,
    /// All groups by value.
    registry: Mutex<UpstreamRegistry>,
    shared: Arc<Shared>,
}

/// Upstreams by identity.
#[derive(Debug, Default)]
struct UpstreamRegistry {
    groups: HashMap<UpstreamIdentity, Arc<UpstreamGroup>, RandomState>,
    /// The numbers of all upstreams that have existed. Few: one is added only when a rule is edited.
    numbers: HashMap<UpstreamIdentity, UpstreamNumber, RandomState>,
}

/// The address of an identity in memory. No other identity can have it while this one is held.
type IdentityAddress = (usize, usize, Order);

/// A group, with its identity so that the address of the identity stays valid.
#[derive(Clone, Debug)]
struct GroupByAddress {
    group: Arc<UpstreamGroup>,
    _identity: UpstreamIdentity,
}

/// State that all upstreams share.
struct Shared {
    options: UpstreamOptions,
    metrics: ForwardMetrics,
    /// Number of questions in flight.
    in_flight: AtomicUsize,
    /// The local sockets that queries are sent from.
    local_sockets: Arc<LocalSockets>,
}

impl Upstreams {
    /// Creates an empty set of upstreams.
    pub fn new(options: UpstreamOptions, metrics: ForwardMetrics) -> Self {
        let shared =
            Shared { in_flight: AtomicUsize::new(0), local_sockets: Arc::default(), options, metrics };
        Self { by_address: ArcSwap::default(), registry: Mutex::default(), shared: Arc::new(shared) }
    }

    /// Queries the servers of an upstream until one answers or the timeout expires. Identical questions in
    /// flight share one query.
    ///
    /// The answer is that of the server: NOERROR or NXDOMAIN, its answer section, and the SOA record of its
    /// authority section. The future may be dropped; the query continues for others that wait for it.
    ///
    /// `store` receives the answer if the query of this call obtained it, even if the future has been dropped
    /// in the meantime; not if the query was that of another call.
    ///
    /// Must be called within a tokio runtime of any kind. Each runtime has its own sockets; questions in
    /// flight are shared by all.
    ///
    /// # Errors
    ///
    /// If no server answered, the question has just failed, every server is backing off, or too many
    /// questions are in flight.
    pub async fn query(
        &self,
        upstream: &Upstream,
        question: &Question,
        store: impl FnOnce(&Question, &Answer) + Send + 'static,
    ) -> Result<Answer, Unanswered> {
        self.group(&upstream.identity).query(&upstream.name, question, store).await
    }

    /// Why a question would not be sent now: it has just failed at every server, or every server is backing
    /// off and no trial is due. `None` if it would be sent, or if the same question is in flight.
    pub fn known_failure(&self, upstream: &Upstream, question: &Question) -> Option<Unanswered> {
        let unanswered = self.group(&upstream.identity).known_failure(question)?;
        Some(unanswered.with_upstream_name(&upstream.name))
    }

    /// Since when the same question has been in flight to an upstream.
    pub fn in_flight_since(&self, upstream: &Upstream, question: &Question) -> Option<Instant> {
        self.group(&upstream.identity).in_flight_since(question)
    }

    /// Whether every server of an upstream is backing off. A server that was never queried is not.
    pub fn is_backing_off(&self, upstream: &Upstream) -> bool {
        if let Some(entry) = self.by_address.load().get(&identity_address(&upstream.identity)) {
            return entry.group.is_backing_off();
        }
        self.registry().groups.get(&upstream.identity).is_some_and(|group| group.is_backing_off())
    }

    /// The number of an upstream.
    pub fn number(&self, identity: &UpstreamIdentity) -> UpstreamNumber {
        match self.by_address.load().get(&identity_address(identity)) {
            Some(entry) => entry.group.number,
            None => self.group(identity).number,
        }
    }

    /// Removes all upstreams except `used`. Their sockets are closed after their queries have ended.
    pub fn retain(&self, used: &[&UpstreamIdentity]) {
        self.registry().groups.retain(|identity, _| used.contains(&identity));
        self.by_address.store(Arc::default());
    }

    /// Whether the source of a datagram is a socket of these upstreams, which means that a query was
    /// forwarded in a loop.
    pub fn is_own_socket(&self, peer: SocketAddr) -> bool {
        self.shared.local_sockets.contains(peer)
    }

    /// Every server, with its source address if one is set, and whether it is queried: false while it is
    /// backing off. A server of several upstreams is listed once for each.
    pub fn health(&self) -> Vec<(String, bool)> {
        let registry = self.registry();
        let servers = registry.groups.values().flat_map(|group| &group.servers);
        let mut all: Vec<_> =
            servers.map(|server| (server.label.to_string(), !server.is_backing_off())).collect();
        all.sort();
        all
    }

    /// The group of an identity, found by address or by value.
    fn group(&self, identity: &UpstreamIdentity) -> Arc<UpstreamGroup> {
        if let Some(entry) = self.by_address.load().get(&identity_address(identity)) {
            return entry.group.clone();
        }
        let group = self.registry().group(identity, &self.shared);
        let entry = GroupByAddress { group: group.clone(), _identity: identity.clone() };
        self.by_address.rcu(|before| {
            let mut after = HashMap::clone(before);
            if after.len() < MAX_BY_ADDRESS {
                after.insert(identity_address(identity), entry.clone());
            }
            after
        });
        group
    }

    /// Locks the registry.
    fn registry(&self) -> MutexGuard<'_, UpstreamRegistry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UpstreamRegistry {
    /// The group of an identity, created if necessary.
    fn group(&mut self, identity: &UpstreamIdentity, shared: &Arc<Shared>) -> Arc<UpstreamGroup> {
        if let Some(group) = self.groups.get(identity) {
            return group.clone();
        }
        let next = self.numbers.len() as UpstreamNumber;
        let number = *self.numbers.entry(identity.clone()).or_insert(next);
        let group = Arc::new(UpstreamGroup::new(number, identity, shared.clone()));
        self.groups.insert(identity.clone(), group.clone());
        group
    }
}

/// Whether a message with the ID of an outstanding query, sent in lower case, is accepted as its reply.
/// Public for fuzzing only.
#[doc(hidden)]
pub fn is_reply_to(question: &Question, message: &[u8]) -> bool {
    message::OutgoingQuery::plain(question, true).parse_response(message).0 == message::QueryMatch::Yes
}

/// The memory address of an identity.
fn identity_address(identity: &UpstreamIdentity) -> IdentityAddress {
    let UpstreamIdentity { servers, order, sources } = identity;
    (servers.as_ptr().addr(), sources.as_ptr().addr(), *order)
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("options", &self.options).finish_non_exhaustive()
    }
}
