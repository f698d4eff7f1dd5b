//! Asking others: the message cache before upstreams, stale answers behind them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::timeout;

use super::bind::is_own_address;
use super::message_cache::{CacheBounds, MessageCache};
use super::upstream::{Unanswered, UpstreamNumber, UpstreamOptions, Upstreams};
use crate::config::Config;
use crate::dns::{Answer, Question, Rcode};
use crate::observe::Observer;
use crate::resolve::{Keep, MonotonicSeconds};
use crate::world::{Upstream, UpstreamIdentity, World};

/// How long a client waits for a fresh answer when there is a stale one (RFC 8767 5 suggests 1.8 s).
const STALE_AFTER: Duration = Duration::from_millis(1800);

/// After so many answers the size of the cache is told, and in each second.
const TELL_EVERY: u64 = 64;

/// Whom the world asks, and what they answered. It outlives generations: an upstream is known by its identity.
#[derive(Debug)]
pub struct Forwarder {
    upstreams: Upstreams,
    cache: MessageCache,
    observer: Arc<Observer>,
    prefetch: bool,
    /// How many answers were taken in, and when the size of the cache was told last.
    kept: AtomicU64,
    told_s: AtomicU64,
}

/// Bounds of a forwarder.
#[derive(Clone, Debug)]
pub struct ForwardOptions {
    /// The message cache's.
    pub cache: CacheBounds,
    /// Whether answers that are asked for often are fetched anew shortly before they end.
    pub prefetch: bool,
    /// How others are asked.
    pub upstream: UpstreamOptions,
}

impl ForwardOptions {
    /// What a configuration says.
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

/// What this host lacks to ask whom a world asks, a sentence each: a rule leaves from an address of its
/// outbound endpoint, and where the host has none of them its queries cannot leave. Rules that a site answers in
/// process send nothing.
pub fn missing_sources(world: &World) -> Vec<String> {
    let played = |upstream: &Upstream| {
        upstream.identity.servers.iter().any(|server| world.played.contains_key(&server.address.ip()))
    };
    let lacks = |upstream: &&Upstream| {
        let sources = &upstream.identity.sources;
        !sources.is_empty() && !played(upstream) && !sources.iter().any(|source| is_own_address(*source))
    };
    let told = |upstream: &Upstream| {
        let sources: Vec<String> = upstream.identity.sources.iter().map(ToString::to_string).collect();
        format!(
            "{} leaves from {}, and this host has no such address (`source = \"any\"` waives it)",
            upstream.name,
            sources.join(" or ")
        )
    };
    world.upstreams.iter().filter(lacks).map(told).collect()
}

impl Forwarder {
    /// Nothing cached, nobody asked.
    pub fn new(options: ForwardOptions, observer: Arc<Observer>) -> Self {
        Self {
            upstreams: Upstreams::new(options.upstream, observer.forward().clone()),
            cache: MessageCache::new(options.cache),
            observer,
            prefetch: options.prefetch,
            kept: AtomicU64::new(0),
            told_s: AtomicU64::new(0),
        }
    }

    /// A fresh answer without asking anybody, and how long it may be given again. Copies of it were `given` so many
    /// times. One that is asked for often and ends soon is fetched anew, in a task of its own.
    pub fn cached(
        self: &Arc<Self>,
        upstream: &Upstream,
        question: &Question,
        now: MonotonicSeconds,
        given: u32,
    ) -> Option<(Answer, Keep)> {
        let metrics = self.observer.message_cache();
        let Some(cached) = self.cache.fresh(self.number(upstream), question, now, given) else {
            metrics.misses.inc();
            return None;
        };
        metrics.hits.inc();
        if cached.wants_prefetch && self.prefetch {
            metrics.prefetches.inc();
            let (this, upstream, question) = (self.clone(), upstream.clone(), question.clone());
            tokio::spawn(async move { this.fetch(&upstream, &question, now).await });
        }
        Some((cached.answer, Keep::Until(cached.until)))
    }

    /// Asks an upstream. When nobody answers, an answer past its TTL stands in, and says so; where there is none,
    /// SERVFAIL says why. It is never an empty NOERROR.
    ///
    /// Who has a stale answer does not keep its client waiting for long: the question goes on without it, so
    /// that the next client has a fresh one (RFC 8767 5).
    pub async fn ask(
        self: &Arc<Self>,
        upstream: &Upstream,
        question: &Question,
        now: MonotonicSeconds,
    ) -> Answer {
        let Some(stale) = self.cache.stale(self.number(upstream), question, now) else {
            let asked = self.fetch(upstream, question, now).await;
            return asked
                .unwrap_or_else(|unanswered| Answer::empty(Rcode::SERVFAIL).with_ede(unanswered.ede));
        };
        let (this, upstream, question) = (self.clone(), upstream.clone(), question.clone());
        let asking = tokio::spawn(async move { this.fetch(&upstream, &question, now).await });
        match timeout(STALE_AFTER, asking).await {
            Ok(Ok(Ok(answer))) => answer,
            _ => {
                self.observer.message_cache().stale.inc();
                stale
            }
        }
    }

    /// Asks an upstream and keeps what it answers.
    async fn fetch(
        &self,
        upstream: &Upstream,
        question: &Question,
        now: MonotonicSeconds,
    ) -> Result<Answer, Unanswered> {
        let sent = self.cache.query_sent(now);
        let answer = self.upstreams.ask(upstream, question).await?;
        self.cache.insert(self.number(upstream), question, &answer, sent);
        self.tell_size(now.get());
        Ok(answer)
    }

    /// Tells how much is kept, in each second and after every so many answers: to count asks every part of the
    /// cache.
    fn tell_size(&self, now_s: u64) {
        let is_new_second = self.told_s.swap(now_s, Ordering::Relaxed) != now_s;
        let is_turn = self.kept.fetch_add(1, Ordering::Relaxed).is_multiple_of(TELL_EVERY);
        if is_new_second || is_turn {
            let metrics = self.observer.message_cache();
            // Both fit: they are counts of what is in memory.
            metrics.entries.set(self.cache.len() as i64);
            metrics.bytes.set(self.cache.bytes() as i64);
        }
    }

    /// Whether the sender of a datagram is this forwarder itself: its question came back by way of others.
    pub fn sent_from(&self, peer: SocketAddr) -> bool {
        self.upstreams.sent_from(peer)
    }

    /// Forgets connections to whom no world names any more. Their answers leave by themselves.
    pub fn world_replaced(&self, world: &World) {
        let used: Vec<&UpstreamIdentity> =
            world.upstreams.iter().map(|upstream| &upstream.identity).collect();
        self.upstreams.retain(&used);
    }

    /// The servers that were asked, and whether they answer.
    pub fn health(&self) -> Vec<(String, bool)> {
        self.upstreams.health()
    }

    /// The number that the cache knows an upstream by.
    fn number(&self, upstream: &Upstream) -> UpstreamNumber {
        self.upstreams.number(&upstream.identity)
    }
}
