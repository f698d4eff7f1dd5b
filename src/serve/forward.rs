//! Forwarding: the message cache first, then upstreams, then stale answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use super::admission::Refusal;
use super::bind::is_local_address;
use super::message_cache::{CacheBounds, MessageCache};
use super::upstream::{Unanswered, UpstreamNumber, UpstreamOptions, Upstreams};
use crate::config::Config;
use crate::dns::{Answer, Ede, Question};
use crate::observe::Observer;
use crate::resolve::{Cacheability, MonotonicSeconds};
use crate::world::{Upstream, UpstreamIdentity, World};

/// How long a client waits for a fresh answer when a stale one is available (RFC 8767 section 5 suggests 1.8
/// s).
const STALE_AFTER: Duration = Duration::from_millis(1800);

/// The size of the cache is reported after this many answers, and once per second.
const REPORT_EVERY: u64 = 64;

/// Forwards questions to upstreams and caches their answers. It outlives reloads: an upstream is
/// identified by its servers.
#[derive(Debug)]
pub struct Forwarder {
    upstreams: Upstreams,
    cache: MessageCache,
    observer: Arc<Observer>,
    prefetch: bool,
    /// Number of answers inserted, and when the size of the cache was last reported.
    answers_stored: AtomicU64,
    reported_s: AtomicU64,
}

/// Settings of a forwarder.
#[derive(Clone, Debug)]
pub struct ForwardOptions {
    /// Bounds of the message cache.
    pub cache: CacheBounds,
    /// Whether frequently used answers are prefetched before they expire.
    pub prefetch: bool,
    /// How upstreams are queried.
    pub upstream: UpstreamOptions,
}

impl ForwardOptions {
    /// The settings of a configuration.
    pub fn of(config: &Config) -> Self {
        let cache = CacheBounds {
            max_bytes: config.message_cache.max_bytes,
            max_negative_ttl_s: config.answers.max_negative_ttl,
            max_ttl_s: config.answers.max_ttl,
            serve_stale_s: config.message_cache.serve_stale_s,
        };
        Self { cache, prefetch: config.message_cache.prefetch, upstream: UpstreamOptions::default() }
    }
}

/// Source addresses that this host does not have, one sentence per upstream: queries of a rule are sent from
/// the addresses of its outbound endpoint. Upstreams simulated by a site are skipped: they are not queried.
pub fn missing_sources(world: &World) -> Vec<String> {
    let is_simulated = |upstream: &Upstream| {
        upstream
            .identity
            .servers
            .iter()
            .any(|server| world.names.simulated_servers.contains_key(&server.address.ip()))
    };
    let mut sentences = Vec::new();
    for upstream in world.names.upstreams.iter().filter(|upstream| !is_simulated(upstream)) {
        let sources = &upstream.identity.sources;
        let missing: Vec<String> =
            sources.iter().filter(|source| !is_local_address(**source)).map(ToString::to_string).collect();
        if missing.is_empty() {
            continue;
        }
        let effect = match missing.len() == sources.len() {
            true => "its queries cannot be sent",
            false => "its queries are sent from its other addresses only",
        };
        sentences.push(format!(
            "{}: this host does not have the source address {}, so {effect}; `source = \"any\"` permits any address",
            upstream.name,
            missing.join(" or ")
        ));
    }
    sentences
}

impl Forwarder {
    /// Creates a forwarder with an empty cache.
    pub fn new(options: ForwardOptions, observer: Arc<Observer>) -> Self {
        Self {
            upstreams: Upstreams::new(options.upstream, observer.forward().clone()),
            cache: MessageCache::new(options.cache),
            observer,
            prefetch: options.prefetch,
            answers_stored: AtomicU64::new(0),
            reported_s: AtomicU64::new(0),
        }
    }

    /// A fresh cached answer and until when it may be cached. `expired_hits` is how many times the
    /// packet cache served the reply that has just expired. If the answer is used frequently and expires
    /// soon, it is prefetched in a separate task.
    pub fn cached(
        self: &Arc<Self>,
        upstream: &Upstream,
        question: &Question,
        now: MonotonicSeconds,
        expired_hits: u32,
    ) -> Option<(Answer, Cacheability)> {
        let metrics = self.observer.message_cache();
        let Some(cached) = self.cache.fresh(self.number(upstream), question, now, expired_hits) else {
            metrics.misses.inc();
            return None;
        };
        metrics.hits.inc();
        if cached.needs_prefetch && self.prefetch {
            metrics.prefetches.inc();
            let (this, upstream, question) = (self.clone(), upstream.clone(), question.clone());
            tokio::spawn(async move { this.fetch(&upstream, &question, now).await });
        }
        Some((cached.answer, Cacheability::Until(cached.until)))
    }

    /// The answer to a question that is known to fail at the moment: a stale one, or SERVFAIL with the
    /// reason. `None` if the question is to be sent.
    pub fn known_failure(
        &self,
        upstream: &Upstream,
        question: &Question,
        now: MonotonicSeconds,
    ) -> Option<Answer> {
        let unanswered = self.upstreams.known_failure(upstream, question)?;
        Some(self.stale_or(upstream, question, now, unanswered))
    }

    /// The answer to a question that may not wait for an upstream: a stale one, or SERVFAIL with the reason.
    pub fn not_admitted(
        &self,
        upstream: &Upstream,
        question: &Question,
        now: MonotonicSeconds,
        refusal: Refusal,
    ) -> Answer {
        self.observer.forward().refused(refusal.as_str());
        let reason = Ede::new(Ede::OTHER, format!("{}: {refusal}", upstream.name));
        self.stale_or(upstream, question, now, Unanswered::without_upstream_edes(reason))
    }

    /// Queries an upstream, until `deadline` if there is one. If it does not answer, a stale answer is served
    /// and marked as such, or else SERVFAIL with the reason. The result is never an empty NOERROR.
    ///
    /// A client for which a stale answer is available waits only briefly, or not at all if every server is
    /// backing off: the query continues in the background, so that the next client gets a fresh answer (RFC
    /// 8767 section 5).
    pub async fn query(
        self: &Arc<Self>,
        upstream: &Upstream,
        question: &Question,
        now: MonotonicSeconds,
        deadline: Option<Instant>,
    ) -> Answer {
        let Some(stale) = self.cache.stale(self.number(upstream), question, now) else {
            let fetched = self.fetch(upstream, question, now);
            let fetched = match deadline {
                None => fetched.await,
                Some(deadline) => timeout_at(deadline.into(), fetched).await.unwrap_or_else(|_| {
                    let text = format!("{}: the query timed out", upstream.name);
                    let reason = Ede::new(Ede::NO_REACHABLE_AUTHORITY, text);
                    Err(Unanswered::without_upstream_edes(reason))
                }),
            };
            return fetched.unwrap_or_else(Unanswered::into_answer);
        };
        let sent = self.upstreams.in_flight_since(upstream, question).unwrap_or_else(Instant::now);
        let until = sent + STALE_AFTER;
        let until = deadline.map_or(until, |deadline| deadline.min(until));
        let is_backing_off = self.upstreams.is_backing_off(upstream);
        let (this, owned_upstream, owned_question) = (self.clone(), upstream.clone(), question.clone());
        let fetching = tokio::spawn(async move { this.fetch(&owned_upstream, &owned_question, now).await });
        let fetched = match is_backing_off {
            true => None,
            false => timeout_at(until.into(), fetching).await.ok(),
        };
        match fetched {
            Some(Ok(Ok(answer))) => answer,
            _ => self.served_stale(upstream, stale),
        }
    }

    /// Queries an upstream and caches the answer, even if the client has disconnected.
    async fn fetch(
        self: &Arc<Self>,
        upstream: &Upstream,
        question: &Question,
        now: MonotonicSeconds,
    ) -> Result<Answer, Unanswered> {
        let (this, number, sent) = (self.clone(), self.number(upstream), self.cache.query_sent(now));
        // Queries that wait for the same question in flight do not store the answer: it is as old as the
        // query that was sent.
        let store = move |question: &Question, answer: &Answer| {
            this.cache.insert(number, question, answer, sent);
            this.report_size(now.get());
        };
        self.upstreams.query(upstream, question, store).await
    }

    /// A stale answer, or SERVFAIL with this reason.
    fn stale_or(
        &self,
        upstream: &Upstream,
        question: &Question,
        now: MonotonicSeconds,
        unanswered: Unanswered,
    ) -> Answer {
        match self.cache.stale(self.number(upstream), question, now) {
            Some(stale) => self.served_stale(upstream, stale),
            None => unanswered.into_answer(),
        }
    }

    /// Counts a stale answer that is served.
    fn served_stale(&self, upstream: &Upstream, stale: Answer) -> Answer {
        self.observer.message_cache().stale.inc();
        self.observer.forward().stale(&upstream.name);
        stale
    }

    /// Reports the size of the cache, once per second and after every [`REPORT_EVERY`] answers, because
    /// determining it visits every shard.
    fn report_size(&self, now_s: u64) {
        let is_new_second = self.reported_s.swap(now_s, Ordering::Relaxed) != now_s;
        let is_due = self.answers_stored.fetch_add(1, Ordering::Relaxed).is_multiple_of(REPORT_EVERY);
        if is_new_second || is_due {
            let metrics = self.observer.message_cache();
            // Both are counts of objects in memory, so the casts are lossless.
            metrics.entries.set(self.cache.len() as i64);
            metrics.bytes.set(self.cache.bytes() as i64);
        }
    }

    /// Whether the source of a datagram is a socket of this forwarder, which means that its own query was
    /// forwarded back to it.
    pub fn is_own_socket(&self, peer: SocketAddr) -> bool {
        self.upstreams.is_own_socket(peer)
    }

    /// Closes connections to servers that the new world does not contain. Their cached answers expire.
    pub fn world_replaced(&self, world: &World) {
        let used: Vec<&UpstreamIdentity> =
            world.names.upstreams.iter().map(|upstream| &upstream.identity).collect();
        self.upstreams.retain(&used);
    }

    /// The upstreams of a world that have no usable server: all their servers are backing off.
    pub fn dead_upstreams<'w>(&self, world: &'w World) -> Vec<&'w Upstream> {
        world.names.upstreams.iter().filter(|upstream| self.upstreams.is_backing_off(upstream)).collect()
    }

    /// The servers that were queried, and whether they answer.
    pub fn health(&self) -> Vec<(String, bool)> {
        self.upstreams.health()
    }

    /// The number that identifies an upstream in the cache and in the limits on waiting queries.
    pub fn number(&self, upstream: &Upstream) -> UpstreamNumber {
        self.upstreams.number(&upstream.identity)
    }
}
