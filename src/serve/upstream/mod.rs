//! Asking name servers that others run: what a FORWARD rule or the internet leads to.
//!
//! ```text
//!  query ──► group ──► server ──┬── udp ── lane ── waiting   64 sockets of each runtime, IDs, case
//!              │         │      ├── stream ─────── waiting   one connection, pipelined; tls over it
//!              │         │      └── https
//!              │         └── health                          back-off, probes, round-trip times
//!              └── lead, failures                            goes on without its client; RFC 9520
//! ```
//!
//! A group is one upstream: its servers, each from each source address, and what is in flight to them. A server is
//! queried over what carries queries to it; a table of outstanding queries hands each response to its query, or counts it
//! as a mismatch. `docs/forwarding.md` describes what a client sees.

mod failures;
mod group;
mod health;
mod https;
mod lane;
mod lead;
mod message;
mod own;
mod server;
mod stream;
mod tls;
mod tls_errors;
mod udp;
mod in_flight;

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
use group::Group;
use own::OwnSockets;

/// The number of an upstream: the same for the same identity for the life of the process.
pub type UpstreamNumber = u32;

/// So many upstreams are found by where they are in memory, and the others by what they are.
const MAX_FOUND: usize = 4096;

/// Bounds of asking. The defaults are the daemon's.
#[derive(Clone, Debug)]
pub struct UpstreamOptions {
    /// How long one server is waited for. Three tries fit into the 5 seconds that stubs wait.
    pub try_timeout: Duration,
    /// How long a question is asked in all.
    pub total_timeout: Duration,
    /// How long the reply to a probe is waited for, each of two times.
    pub probe_timeout: Duration,
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

/// Why there is no answer. The client gets SERVFAIL with it, or a stale answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// What each server did.
    pub ede: Ede,
    /// The extended errors that servers sent with theirs: why a validating resolver failed, for instance.
    pub upstream_edes: Vec<Ede>,
}

impl Unanswered {
    /// The same, beginning with the name of the upstream. Several rules may have the same servers, so what they share
    /// names none of them.
    fn of(self, name: &str) -> Self {
        let Self { ede, upstream_edes } = self;
        Self { ede: Ede::new(ede.code, format!("{name}: {}", ede.text)), upstream_edes }
    }

    /// For a reason of our own, without extended errors of others.
    pub fn without_upstream_edes(ede: Ede) -> Self {
        Self { ede, upstream_edes: Vec::new() }
    }

    /// The answer that a client gets.
    pub fn into_answer(self) -> Answer {
        let Self { ede, upstream_edes } = self;
        Answer { upstream_edes, ..Answer::empty(Rcode::SERVFAIL).with_ede(ede) }
    }
}

/// All upstreams of a process. It outlives generations: what it holds is keyed by what an upstream is.
#[derive(Debug)]
pub struct Upstreams {
    /// Those that were asked for, by where they are in memory: the way for each question.
    lookup: ArcSwap<HashMap<Place, Found, RandomState>>,
    /// The same by what they are.
    cached_client: Mutex<Known>,
    shared: Arc<Shared>,
}

/// Upstreams by what they are.
#[derive(Debug, Default)]
struct Known {
    groups: HashMap<UpstreamIdentity, Arc<Group>, RandomState>,
    /// Every upstream that ever was: a handful, and one more with each edit of a rule.
    numbers: HashMap<UpstreamIdentity, UpstreamNumber, RandomState>,
}

/// Where an identity is in memory. Nothing else can be there while somebody holds it.
type Place = (usize, usize, Order);

/// The group of an identity, which is held so that its place remains its own.
#[derive(Clone, Debug)]
struct Found {
    group: Arc<Group>,
    _identity: UpstreamIdentity,
}

/// What all upstreams share.
struct Shared {
    options: UpstreamOptions,
    metrics: ForwardMetrics,
    /// How many questions are in flight.
    in_flight: AtomicUsize,
    /// The sockets that they leave from.
    own: Arc<OwnSockets>,
}

impl Upstreams {
    /// Nobody has been asked yet.
    pub fn new(options: UpstreamOptions, metrics: ForwardMetrics) -> Self {
        let shared = Shared { in_flight: AtomicUsize::new(0), own: Arc::default(), options, metrics };
        Self { lookup: ArcSwap::default(), cached_client: Mutex::default(), shared: Arc::new(shared) }
    }

    /// Queries the servers of an upstream until one answers or time is up. Equal questions in flight share one query.
    ///
    /// The answer is the server's: NOERROR or NXDOMAIN, its answer section, and the SOA of its authority section. The
    /// future may be dropped; the query goes on for others who wait for it.
    ///
    /// `store` receives the answer where this call's query got it, also when the future has been dropped meanwhile; not
    /// where the query was another call's.
    ///
    /// Must be called within a tokio runtime, of any kind. Each has sockets of its own; what is in flight from one is
    /// shared with all.
    ///
    /// # Errors
    ///
    /// When no server gave an answer, the question has just failed, every server backs off, or too many queries are in
    /// flight.
    pub async fn query(
        &self,
        upstream: &Upstream,
        question: &Question,
        store: impl FnOnce(&Question, &Answer) + Send + 'static,
    ) -> Result<Answer, Unanswered> {
        self.group(&upstream.identity).query(&upstream.name, question, store).await
    }

    /// Why a question would not be sent now: it has just failed at every server, or every server backs off and no trial
    /// query is due. `None`: it would be sent, or an equal one is in flight.
    pub fn known_failure(&self, upstream: &Upstream, question: &Question) -> Option<Unanswered> {
        let unanswered = self.group(&upstream.identity).known_failure(question)?;
        Some(unanswered.of(&upstream.name))
    }

    /// Since when an equal question is in flight to an upstream.
    pub fn in_flight_since(&self, upstream: &Upstream, question: &Question) -> Option<Instant> {
        self.group(&upstream.identity).in_flight_since(question)
    }

    /// Whether every server of an upstream has been given up for now. One that was never queried has not.
    pub fn is_backing_off(&self, upstream: &Upstream) -> bool {
        if let Some(lookup) = self.lookup.load().get(&place(&upstream.identity)) {
            return lookup.group.is_backing_off();
        }
        self.cached_client().groups.get(&upstream.identity).is_some_and(|group| group.is_backing_off())
    }

    /// The number of an upstream.
    pub fn number(&self, identity: &UpstreamIdentity) -> UpstreamNumber {
        match self.lookup.load().get(&place(identity)) {
            Some(lookup) => lookup.group.number,
            None => self.group(identity).number,
        }
    }

    /// Forgets every upstream but these: their sockets are closed once their questions are answered.
    pub fn retain(&self, used: &[&UpstreamIdentity]) {
        self.cached_client().groups.retain(|identity, _| used.contains(&identity));
        self.lookup.store(Arc::default());
    }

    /// Whether the sender of a datagram is a socket that these ask from: a question came back to where it left.
    pub fn sent_from(&self, peer: SocketAddr) -> bool {
        self.shared.own.contains(peer)
    }

    /// Every server, with the source address where one is set, and whether it is queried in its turn: false while it
    /// backs off. A server of several upstreams is there once for each.
    pub fn health(&self) -> Vec<(String, bool)> {
        let cached_client = self.cached_client();
        let servers = cached_client.groups.values().flat_map(|group| &group.servers);
        let mut all: Vec<_> =
            servers.map(|server| (server.label.to_string(), !server.is_backing_off())).collect();
        all.sort();
        all
    }

    /// The group of an identity: found by its place, or by what it is.
    fn group(&self, identity: &UpstreamIdentity) -> Arc<Group> {
        if let Some(lookup) = self.lookup.load().get(&place(identity)) {
            return lookup.group.clone();
        }
        let group = self.cached_client().group(identity, &self.shared);
        let lookup = Found { group: group.clone(), _identity: identity.clone() };
        self.lookup.rcu(|before| {
            let mut after = HashMap::clone(before);
            if after.len() < MAX_FOUND {
                after.insert(place(identity), lookup.clone());
            }
            after
        });
        group
    }

    /// Upstreams by what they are, for a moment.
    fn cached_client(&self) -> MutexGuard<'_, Known> {
        self.cached_client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// The group of an identity, which is made if there is none.
    fn group(&mut self, identity: &UpstreamIdentity, shared: &Arc<Shared>) -> Arc<Group> {
        if let Some(group) = self.groups.get(identity) {
            return group.clone();
        }
        let next = self.numbers.len() as UpstreamNumber;
        let number = *self.numbers.entry(identity.clone()).or_insert(next);
        let group = Arc::new(Group::new(number, identity, shared.clone()));
        self.groups.insert(identity.clone(), group.clone());
        group
    }
}

/// Whether a message with the ID of an outstanding query, sent in lower case, is taken for the reply to it. Public for
/// fuzzing alone.
#[doc(hidden)]
pub fn is_reply_to(question: &Question, message: &[u8]) -> bool {
    message::Outgoing::plain(question, true).read(message).0 == message::Fit::Yes
}

/// Where an identity is.
fn place(identity: &UpstreamIdentity) -> Place {
    let UpstreamIdentity { servers, order, sources } = identity;
    (servers.as_ptr().addr(), sources.as_ptr().addr(), *order)
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("options", &self.options).finish_non_exhaustive()
    }
}
