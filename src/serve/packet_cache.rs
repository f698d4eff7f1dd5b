//! Replies that were given before, as octets: what a worker answers from without deciding anything.
//!
//! ```text
//!  (view, question, RD) ──► Kept: the reply up to its OPT record ──────┐
//!                            and what is told where it was kept first   ├──► the reply
//!  (that answer, another place, whether told) ──► Told: its options ────┘
//!                                                  and what it counts
//! ```
//!
//! Two maps, since the places of a view share its answers and differ in the ways out; most questions come from one
//! place, which is told by the first. What a hit needs stands together: memory that is not at hand costs more than all
//! that is done with it.
//!
//! A cache belongs to one worker. It is bounded in octets, and its policy is that of the message cache (S3-FIFO): a flood
//! of questions that are asked once does not evict those that are asked again. Nothing is swept when the world
//! changes: an entry has the number of its generation, and dies by comparison.

mod doorkeeper;
mod kept;
mod key;

pub use kept::{Again, Kept};
pub use key::{Asked, LowerName};

use std::hash::{Hash, Hasher};

use foldhash::fast::RandomState;
use quick_cache::Weighter;
use quick_cache::unsync::{Cache, DefaultLifecycle};

use self::doorkeeper::Doorkeeper;
use self::key::Key;
use crate::dns::{Answer, Layout};
use crate::observe::Noted;
use crate::resolve::{Keep, MonotonicSeconds};
use crate::world::PlaceId;

/// What an entry weighs beside its octets: its place in the map and the policy's bookkeeping. An estimate.
const OVERHEAD: u64 = 64;

/// The least that a cache holds, if it holds anything.
const SMALLEST: u64 = 64 << 10;

/// Questions that are known to have been asked once, a power of two.
const DOORKEEPER: usize = 1 << 17;

/// What a cache has for a question from a place.
#[derive(Debug)]
pub enum Found<'c> {
    /// The answer, and what is told of it there.
    Kept(&'c Kept, Telling<'c>),
    /// An answer that may not be given any more. It was given so many times since this was last said.
    Ended {
        /// How many.
        given: u32,
    },
    /// Nothing that helps.
    Nothing,
}

/// What is told with an answer at a place.
#[derive(Clone, Copy, Debug)]
pub enum Telling<'c> {
    /// What was told when it was kept first.
    First,
    /// This.
    Other(&'c Told),
}

/// What is told with an answer to those who ask from one place, and what it counts.
#[derive(Debug)]
pub struct Told {
    /// Options in wire form.
    pub options: Box<[u8]>,
    /// What to count.
    pub noted: Noted,
}

/// What a [`Told`] is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TellingKey {
    serial: u64,
    place: PlaceId,
    is_told: bool,
}

impl Hash for TellingKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.serial << 1 | u64::from(self.is_told));
        state.write_u32(self.place.number());
    }
}

#[derive(Clone, Debug)]
struct Weight;

impl Weighter<Key, Kept> for Weight {
    fn weight(&self, key: &Key, kept: &Kept) -> u64 {
        OVERHEAD + (size_of::<(Key, Kept)>() + key.elsewhere() + kept.elsewhere()) as u64
    }
}

impl Weighter<TellingKey, Told> for Weight {
    fn weight(&self, _: &TellingKey, told: &Told) -> u64 {
        OVERHEAD + (size_of::<(TellingKey, Told)>() + told.options.len() + told.noted.elsewhere()) as u64
    }
}

/// One worker's replies.
#[derive(Debug)]
pub struct PacketCache {
    answers: Cache<Key, Kept, Weight, RandomState, DefaultLifecycle<Key, Kept>>,
    told: Cache<TellingKey, Told, Weight, RandomState, DefaultLifecycle<TellingKey, Told>>,
    asked_once: Doorkeeper,
    serial: u64,
    is_on: bool,
}

/// Of what an answer to be kept consists.
#[derive(Debug)]
pub struct Candidate<'a> {
    /// The generation that it was made in.
    pub generation: u64,
    /// The whole reply.
    pub reply: &'a [u8],
    /// Where everything stands in it.
    pub layout: &'a Layout,
    /// What it says.
    pub answer: &'a Answer,
    /// How long it may be given.
    pub keep: Keep,
    /// The rotation that it has.
    pub rotation: usize,
    /// What the engine counts its rotations by.
    pub rotates_by: usize,
    /// The time.
    pub now: MonotonicSeconds,
}

impl PacketCache {
    /// A cache of at most so many octets; 0: it keeps nothing.
    pub fn new(max_bytes: u64) -> Self {
        let half = max_bytes.max(SMALLEST) / 2;
        // An entry weighs some 400 octets; the estimate only sizes tables.
        let entries = usize::try_from(half / 400).unwrap_or(usize::MAX).clamp(64, 1 << 20);
        let state = RandomState::default;
        Self {
            answers: Cache::with(entries, half, Weight, state(), DefaultLifecycle::default()),
            told: Cache::with(entries, half, Weight, state(), DefaultLifecycle::default()),
            asked_once: Doorkeeper::new(if max_bytes > 0 { DOORKEEPER } else { 1 }),
            serial: 0,
            is_on: max_bytes > 0,
        }
    }

    /// The answer to a question, and what is told of it at a place.
    pub fn find(
        &self,
        asked: &Asked<'_>,
        place: PlaceId,
        is_told: bool,
        generation: u64,
        now: MonotonicSeconds,
    ) -> Found<'_> {
        let Some(kept) = self.answers.get(asked).filter(|kept| kept.is_of(generation)) else {
            return Found::Nothing;
        };
        if kept.has_ended(now) {
            return Found::Ended { given: kept.take_given() };
        }
        if kept.was_told_at(place, is_told) {
            return Found::Kept(kept, Telling::First);
        }
        let told = self.told.get(&TellingKey { serial: kept.serial(), place, is_told });
        told.map_or(Found::Nothing, |told| Found::Kept(kept, Telling::Other(told)))
    }

    /// Whether a reply to this question is worth keeping: the question was asked before, as far as is known. It is
    /// known from now on.
    pub fn wants(&mut self, asked: &Asked<'_>) -> bool {
        self.is_on && self.asked_once.knows(asked)
    }

    /// Keeps a reply, if it can be given again, and what is told of it at a place.
    pub fn keep(&mut self, asked: &Asked<'_>, candidate: &Candidate<'_>, at: (PlaceId, bool), told: Told) {
        let (generation, now) = (candidate.generation, candidate.now);
        let is_fresh = |kept: &&Kept| kept.is_of(generation) && !kept.has_ended(now);
        if let Some(kept) = self.answers.get(asked).filter(is_fresh) {
            // Another place has asked it.
            let (place, is_told) = at;
            self.told.insert(TellingKey { serial: kept.serial(), place, is_told }, told);
            return;
        }
        self.serial += 1;
        if let Some(kept) = Kept::of(candidate, self.serial, at, told) {
            self.answers.insert(Key::of(asked), kept);
        }
    }

    /// How many answers it has, what more is told of them at other places, and what all weighs in octets.
    pub fn size(&self) -> (usize, usize, u64) {
        (self.answers.len(), self.told.len(), self.answers.weight() + self.told.weight())
    }
}
