//! Packet cache: encoded replies, served by a worker without a decision.
//!
//! ```text
//!  (view, question, RD) ──────────────► CachedReply: the reply without its OPT record, ──┐
//!                                        with the annotation of its first location       ├──► reply
//!  (serial, other location, annotated) ► CachedAnnotation: options and counts ───────────┘
//! ```
//!
//! There are two maps because the locations of a view share its answers but differ in their egress paths.
//! Most questions arrive from one location, whose annotation is stored with the reply. Data that a hit needs
//! is contiguous: a CPU cache miss costs more than the rest of a hit.
//!
//! Each worker has its own cache. It is bounded in octets and evicts by the policy of the message cache
//! (S3-FIFO): a flood of unique questions does not evict those that are repeated. Nothing is removed when the
//! world changes: an entry records its generation and is invalid in any other.

mod cached_reply;
mod doorkeeper;
mod key;

pub(super) use cached_reply::{CacheHit, CachedReply};
pub(super) use key::{CacheQuestion, LowerName};

use std::hash::{Hash, Hasher};

use foldhash::fast::RandomState;
use quick_cache::Weighter;
use quick_cache::unsync::{Cache, DefaultLifecycle};

use self::doorkeeper::Doorkeeper;
use self::key::PacketKey;
use crate::dns::{Answer, ReplyLayout};
use crate::observe::PreparedCounts;
use crate::resolve::{Cacheability, MonotonicSeconds};
use crate::world::PlaceId;

/// Estimated weight of an entry in addition to its octets: its slot in the map and the bookkeeping of the
/// policy.
const OVERHEAD: u64 = 64;

/// The smallest size of a cache that is enabled, in octets.
const MIN_BYTES: u64 = 64 << 10;

/// Number of slots of the doorkeeper, a power of two.
const DOORKEEPER_SLOTS: usize = 1 << 17;

/// The result of a lookup for a question from a location.
#[derive(Debug)]
pub(super) enum Lookup<'c> {
    /// A cached reply and its annotation for the location.
    Hit(&'c CachedReply, AnnotationRef<'c>),
    /// An entry that has expired.
    Expired {
        /// How many times it was served since the last such lookup.
        hits: u32,
    },
    /// No usable entry.
    Miss,
}

/// The annotation of a cached reply for a location.
#[derive(Clone, Copy, Debug)]
pub(super) enum AnnotationRef<'c> {
    /// The one stored with the reply.
    First,
    /// That of another location.
    Other(&'c CachedAnnotation),
}

/// The annotation of a reply for clients at one location, and the counters that a hit increments.
#[derive(Debug)]
pub(super) struct CachedAnnotation {
    /// Options in wire form.
    pub options: Box<[u8]>,
    /// The counters that a hit increments.
    pub counts: PreparedCounts,
}

/// Key of a [`CachedAnnotation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct AnnotationKey {
    serial: u64,
    place: PlaceId,
    is_annotated: bool,
}

impl Hash for AnnotationKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.serial << 1 | u64::from(self.is_annotated));
        state.write_u32(self.place.number());
    }
}

#[derive(Clone, Debug)]
struct Weight;

impl Weighter<PacketKey, CachedReply> for Weight {
    fn weight(&self, key: &PacketKey, cached_reply: &CachedReply) -> u64 {
        OVERHEAD
            + (size_of::<(PacketKey, CachedReply)>() + key.heap_octets() + cached_reply.heap_octets()) as u64
    }
}

impl Weighter<AnnotationKey, CachedAnnotation> for Weight {
    fn weight(&self, _: &AnnotationKey, annotation: &CachedAnnotation) -> u64 {
        OVERHEAD
            + (size_of::<(AnnotationKey, CachedAnnotation)>()
                + annotation.options.len()
                + annotation.counts.heap_octets()) as u64
    }
}

/// The packet cache of one worker.
#[derive(Debug)]
pub(super) struct PacketCache {
    replies: Cache<PacketKey, CachedReply, Weight, RandomState, DefaultLifecycle<PacketKey, CachedReply>>,
    annotations: Cache<
        AnnotationKey,
        CachedAnnotation,
        Weight,
        RandomState,
        DefaultLifecycle<AnnotationKey, CachedAnnotation>,
    >,
    doorkeeper: Doorkeeper,
    /// The serial number of the newest reply.
    serial: u64,
    is_enabled: bool,
}

/// A reply to be inserted.
#[derive(Debug)]
pub(super) struct ReplyCandidate<'a> {
    /// The generation of the world from which it was made.
    pub generation: u64,
    /// The complete reply.
    pub reply: &'a [u8],
    /// Offsets of its parts.
    pub layout: &'a ReplyLayout,
    /// The answer that it encodes.
    pub answer: &'a Answer,
    /// How long it may be served.
    pub cacheability: Cacheability,
    /// The rotation of its record sets.
    pub rotation: usize,
    /// The rotation counter of its question.
    pub rotation_slot: usize,
    /// The current time.
    pub now: MonotonicSeconds,
}

impl PacketCache {
    /// Creates a cache of at most `max_bytes` octets; 0 disables it.
    pub(super) fn new(max_bytes: u64) -> Self {
        let half = max_bytes.max(MIN_BYTES) / 2;
        // An entry weighs about 400 octets; the estimate only sizes tables.
        let entries = usize::try_from(half / 400).unwrap_or(usize::MAX).clamp(64, 1 << 20);
        let state = RandomState::default;
        Self {
            replies: Cache::with(entries, half, Weight, state(), DefaultLifecycle::default()),
            annotations: Cache::with(entries, half, Weight, state(), DefaultLifecycle::default()),
            doorkeeper: Doorkeeper::new(if max_bytes > 0 { DOORKEEPER_SLOTS } else { 1 }),
            serial: 0,
            is_enabled: max_bytes > 0,
        }
    }

    /// Looks up the reply to a question and its annotation for a location.
    pub(super) fn lookup(
        &self,
        question: &CacheQuestion<'_>,
        place: PlaceId,
        is_annotated: bool,
        generation: u64,
        now: MonotonicSeconds,
    ) -> Lookup<'_> {
        // Entries of a previous generation are not removed by a reload: they are ignored here, and replaced
        // or evicted later.
        let Some(cached_reply) =
            self.replies.get(question).filter(|cached_reply| cached_reply.belongs_to(generation))
        else {
            return Lookup::Miss;
        };
        if cached_reply.is_expired(now) {
            return Lookup::Expired { hits: cached_reply.take_hits() };
        }
        if cached_reply.is_annotated_for(place, is_annotated) {
            return Lookup::Hit(cached_reply, AnnotationRef::First);
        }
        let annotation =
            self.annotations.get(&AnnotationKey { serial: cached_reply.serial(), place, is_annotated });
        annotation
            .map_or(Lookup::Miss, |annotation| Lookup::Hit(cached_reply, AnnotationRef::Other(annotation)))
    }

    /// Whether a reply to this question should be inserted: the question has been seen before, according to
    /// the doorkeeper, which records it now.
    pub(super) fn admits(&mut self, question: &CacheQuestion<'_>) -> bool {
        self.is_enabled && self.doorkeeper.check_and_insert(question)
    }

    /// Inserts a reply, if it can be cached, and its annotation for a location.
    pub(super) fn insert(
        &mut self,
        question: &CacheQuestion<'_>,
        candidate: &ReplyCandidate<'_>,
        at: (PlaceId, bool),
        annotation: CachedAnnotation,
    ) {
        let (generation, now) = (candidate.generation, candidate.now);
        let is_fresh = |cached_reply: &&CachedReply| {
            cached_reply.belongs_to(generation) && !cached_reply.is_expired(now)
        };
        if let Some(cached_reply) = self.replies.get(question).filter(is_fresh) {
            // The reply is cached already, for another location: only the annotation is new.
            let (place, is_annotated) = at;
            self.annotations
                .insert(AnnotationKey { serial: cached_reply.serial(), place, is_annotated }, annotation);
            return;
        }
        // A new serial number also invalidates the annotations of the reply that is replaced: their keys have
        // the old number, are never looked up again and are eventually evicted.
        self.serial += 1;
        if let Some(cached_reply) = CachedReply::of(candidate, self.serial, at, annotation) {
            self.replies.insert(PacketKey::of(question), cached_reply);
        }
    }

    /// The number of replies, the number of further annotations, and the weight of all entries in octets.
    pub(super) fn size(&self) -> (usize, usize, u64) {
        (self.replies.len(), self.annotations.len(), self.replies.weight() + self.annotations.weight())
    }
}
