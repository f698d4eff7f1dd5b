//! Asking others: the message cache before upstreams, stale answers behind them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use super::admission::Refusal;
use super::bind::is_own_address;
use super::message_cache::{CacheBounds, MessageCache};
use super::upstream::{Unanswered, UpstreamNumber, UpstreamOptions, Upstreams};
use crate::config::Config;
use crate::dns::{Answer, Ede, Question};
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

/// The source addresses that this host does not have, a sentence each: a rule's queries leave from the addresses of its
/// outbound endpoint. Rules that a site answers in process send nothing.
pub fn missing_sources(world: &World) -> Vec<String> {
    let is_played = |upstream: &Upstream| {
        upstream.identity.servers.iter().any(|server| world.played.contains_key(&server.address.ip()))
    };
    let mut sentences = Vec::new();
    for upstream in world.upstreams.iter().filter(|upstream| !is_played(upstream)) {
        let sources = &upstream.identity.sources;
        let missing: Vec<String> =
            sources.iter().filter(|source| !is_own_address(**source)).map(ToString::to_string).collect();
        if missing.is_empty() {
            continue;
        }
        let effect = match missing.len() == sources.len() {
            true => "its queries cannot be sent",
            false => "its queries are sent from its other addresses only",
        };
        sentences.push(format!(
            "{}: this host does not have the source address {}, so {effect} (`source = \"any\"` lifts this)",
            upstream.name,
            missing.join(" or ")
        ));
    }
    sentences
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

    /// The answer to a question that is known to fail if it were sent now: a stale one, or SERVFAIL with the reason.
    /// `None`: it is to be sent.
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
    pub fn refused(
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

    /// Queries an upstream, until `deadline` if there is one. When it does not answer, an answer past its TTL is served,
    /// marked as stale; where there is none, SERVFAIL with the reason. It is never an empty NOERROR.
    ///
    /// A client for whom there is a stale answer does not wait for long, and not at all where every server is known to be
    /// dead: the query goes on without it, so that the next client has a fresh answer (RFC 8767 section 5).
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
                    let text = format!("{}: the time for this query ended", upstream.name);
                    let reason = Ede::new(Ede::NO_REACHABLE_AUTHORITY, text);
                    Err(Unanswered::without_upstream_edes(reason))
                }),
            };
            return fetched.unwrap_or_else(Unanswered::into_answer);
        };
        let begun = self.upstreams.in_flight_since(upstream, question).unwrap_or_else(Instant::now);
        let until = begun + STALE_AFTER;
        let until = deadline.map_or(until, |deadline| deadline.min(until));
        let is_backing_off = self.upstreams.is_backing_off(upstream);
        let (this, of, asked) = (self.clone(), upstream.clone(), question.clone());
        let fetching = tokio::spawn(async move { this.fetch(&of, &asked, now).await });
        let fetched = match is_backing_off {
            true => None,
            false => timeout_at(until.into(), fetching).await.ok(),
        };
        match fetched {
            Some(Ok(Ok(answer))) => answer,
            _ => self.served_stale(upstream, stale),
        }
    }

    /// Queries an upstream and caches what it answers, though the client may have left by then.
    async fn fetch(
        self: &Arc<Self>,
        upstream: &Upstream,
        question: &Question,
        now: MonotonicSeconds,
    ) -> Result<Answer, Unanswered> {
        let (this, number, sent) = (self.clone(), self.number(upstream), self.cache.query_sent(now));
        // Those that wait for an equal question in flight cache nothing: its answer is as old as its query.
        let store = move |question: &Question, answer: &Answer| {
            this.cache.insert(number, question, answer, sent);
            this.tell_size(now.get());
        };
        self.upstreams.query(upstream, question, store).await
    }

    /// A stale answer, or SERVFAIL for this reason.
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

    /// The upstreams of a world that have no server which is queried: all of them back off.
    pub fn dead_upstreams<'w>(&self, world: &'w World) -> Vec<&'w Upstream> {
        world.upstreams.iter().filter(|upstream| self.upstreams.is_backing_off(upstream)).collect()
    }

    /// The servers that were asked, and whether they answer.
    pub fn health(&self) -> Vec<(String, bool)> {
        self.upstreams.health()
    }

    /// The number that the cache, and the bounds on waiting queries, know an upstream by.
    pub fn number(&self, upstream: &Upstream) -> UpstreamNumber {
        self.upstreams.number(&upstream.identity)
    }
}
