//! Replies that were given before, as octets: what a worker answers from without deciding anything.
//!
//! ```text
//!  (view, question, RD) ──► Kept: the reply up to its OPT record ──┐
//!                                                                  ├──► the reply
//!  (that answer, place, whether told) ──► Told: its options ───────┘
//!                                          and what it counts
//! ```
//!
//! Two maps, since the places of a view share its answers and differ in the ways out. A cache belongs to one
//! worker. It is bounded in octets, and its policy is that of the message cache (S3-FIFO): a flood of questions that
//! are asked once does not evict those that are asked again. Nothing is swept when the world changes: an
//! entry has the number of its generation, and dies by comparison.

use std::cell::{Cell, RefCell};
use std::hash::{Hash, Hasher};

use foldhash::fast::RandomState;
use quick_cache::unsync::{Cache, DefaultLifecycle};
use quick_cache::{Equivalent, Weighter};

use crate::dns::{Answer, Layout, MAX_MESSAGE, Rcode, RecordType};
use crate::observe::Noted;
use crate::resolve::Keep;
use crate::world::{PlaceId, ViewId};

/// What an entry weighs beside its octets: its place in the map and the policy's bookkeeping. An estimate.
const OVERHEAD: u64 = 64;

/// The least that a cache holds, if it holds anything.
const SMALLEST: u64 = 64 << 10;

/// Questions that are known to have been asked once, a power of two.
const DOORKEEPER: usize = 1 << 17;

/// Room for the name of a question in lower case, used again and again.
#[derive(Debug)]
pub struct LowerName {
    octets: [u8; 255],
    length: usize,
}

impl Default for LowerName {
    fn default() -> Self {
        Self { octets: [0; 255], length: 0 }
    }
}

impl LowerName {
    /// Takes in a name in wire form, 255 octets at most.
    pub fn set(&mut self, wire: &[u8]) -> &Self {
        self.length = wire.len().min(self.octets.len());
        let octets = &mut self.octets[..self.length];
        octets.copy_from_slice(&wire[..self.length]);
        // Length octets are at most 63 and so no letters.
        octets.make_ascii_lowercase();
        self
    }

    fn wire(&self) -> &[u8] {
        &self.octets[..self.length]
    }
}

/// Everything that can change an octet of a reply up to its OPT record. The class is IN.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// Whose claims answer.
    pub view: ViewId,
    /// The type.
    pub qtype: RecordType,
    /// The RD bit.
    pub recursion_desired: bool,
    /// The name.
    pub name: &'a LowerName,
}

/// The same, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    view: ViewId,
    qtype: RecordType,
    recursion_desired: bool,
    name: Box<[u8]>,
}

impl Hash for Asked<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(self.view, self.qtype, self.recursion_desired, self.name.wire(), state);
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(self.view, self.qtype, self.recursion_desired, &self.name, state);
    }
}

fn hash(view: ViewId, qtype: RecordType, recursion_desired: bool, name: &[u8], state: &mut impl Hasher) {
    let asked = u64::from(view.number()) << 17 | u64::from(qtype.0) << 1 | u64::from(recursion_desired);
    state.write_u64(asked);
    state.write(name);
}

impl Equivalent<Key> for Asked<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.view == key.view
            && self.qtype == key.qtype
            && self.recursion_desired == key.recursion_desired
            && *self.name.wire() == *key.name
    }
}

/// A reply up to its OPT record.
#[derive(Debug)]
pub struct Kept {
    /// Tells it from all others of its cache.
    serial: u64,
    generation: u64,
    /// The reply with a count of 0 additional records. Its TTLs are those of `stamped_s`.
    stamped: RefCell<Stamped>,
    /// The length of the question section.
    question: usize,
    /// What turns from reply to reply.
    turning: Box<[Turning]>,
    /// Where each TTL that counts down stands.
    ageing_ttls: Box<[u16]>,
    /// From when on it is not given any more, in seconds since 1970.
    ends_s: u64,
    /// How often it was given.
    given: Cell<u32>,
    /// What the engine counts its rotations by.
    rotates_by: usize,
}

/// The octets of a reply, and the second that their TTLs are right for.
#[derive(Debug)]
struct Stamped {
    octets: Box<[u8]>,
    at_s: u64,
}

/// A set of several records that come in another order each time.
#[derive(Debug)]
struct Turning {
    /// Where each record begins.
    starts: Box<[u16]>,
    /// Where the last one ends.
    end: u16,
    /// The rotation that they stand in.
    stand: usize,
}

/// What a cache has for a question from a place.
#[derive(Debug)]
pub enum Found<'c> {
    /// The answer, and what is told of it there.
    Kept(&'c Kept, &'c Told),
    /// An answer that may not be given any more. It was given so many times since this was last said.
    Ended {
        /// How many.
        given: u32,
    },
    /// Nothing that helps.
    Nothing,
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
        let turning: usize = kept.turning.iter().map(|t| size_of::<Turning>() + 2 * t.starts.len()).sum();
        let octets =
            kept.stamped.borrow().octets.len() + kept.ageing_ttls.len() * 2 + turning + key.name.len();
        OVERHEAD + (size_of::<(Key, Kept)>() + octets) as u64
    }
}

impl Weighter<TellingKey, Told> for Weight {
    fn weight(&self, _: &TellingKey, told: &Told) -> u64 {
        OVERHEAD + (size_of::<(TellingKey, Told)>() + told.options.len() + told.noted.weight()) as u64
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
    /// The time, in seconds since 1970.
    pub now_s: u64,
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
        now_s: u64,
    ) -> Found<'_> {
        let Some(kept) = self.answers.get(asked).filter(|kept| kept.generation == generation) else {
            return Found::Nothing;
        };
        if now_s >= kept.ends_s {
            return Found::Ended { given: kept.given.take() };
        }
        let told = self.told.get(&TellingKey { serial: kept.serial, place, is_told });
        told.map_or(Found::Nothing, |told| Found::Kept(kept, told))
    }

    /// Whether a reply to this question is worth keeping: the question was asked before, as far as is known. It is
    /// known from now on.
    pub fn wants(&mut self, asked: &Asked<'_>) -> bool {
        self.is_on && self.asked_once.knows(asked)
    }

    /// Keeps a reply, if it can be given again, and what is told of it at a place.
    pub fn keep(
        &mut self,
        asked: &Asked<'_>,
        candidate: &Candidate<'_>,
        place: PlaceId,
        is_told: bool,
        told: Told,
    ) {
        let fresh = self
            .answers
            .get(asked)
            .filter(|kept| kept.generation == candidate.generation && candidate.now_s < kept.ends_s);
        let serial = match fresh {
            // Another place has asked it.
            Some(kept) => kept.serial,
            None => match self.keep_answer(asked, candidate) {
                Some(serial) => serial,
                None => return,
            },
        };
        self.told.insert(TellingKey { serial, place, is_told }, told);
    }

    fn keep_answer(&mut self, asked: &Asked<'_>, candidate: &Candidate<'_>) -> Option<u64> {
        self.serial += 1;
        let kept = Kept::of(candidate, self.serial)?;
        let key = Key {
            view: asked.view,
            qtype: asked.qtype,
            recursion_desired: asked.recursion_desired,
            name: asked.name.wire().into(),
        };
        self.answers.insert(key, kept);
        Some(self.serial)
    }

    /// How many answers it has, of how many paths are told, and what all weighs in octets.
    pub fn size(&self) -> (usize, usize, u64) {
        (self.answers.len(), self.told.len(), self.answers.weight() + self.told.weight())
    }
}

impl Kept {
    /// `None`: it cannot be given again.
    fn of(candidate: &Candidate<'_>, serial: u64) -> Option<Self> {
        let Candidate { generation, reply, layout, answer, keep, rotation, rotates_by, now_s } = *candidate;
        if !matches!(answer.rcode, Rcode::NOERROR | Rcode::NXDOMAIN) {
            return None;
        }
        let ageing = answer.answer.iter().chain(&answer.authority).filter(|set| set.ages);
        let runs_out_s = ageing.map(|set| now_s + u64::from(set.ttl)).min().unwrap_or(u64::MAX);
        let ends_s = match keep {
            Keep::World => runs_out_s,
            Keep::Until(until_s) => runs_out_s.min(until_s),
            Keep::No => return None,
        };
        let several = || layout.sets.iter().filter(|set| set.records > 1);
        if ends_s <= now_s || several().any(|set| !set.turns) {
            return None;
        }
        let mut octets: Box<[u8]> = reply.get(..layout.records_end)?.into();
        octets.get_mut(ARCOUNT..ARCOUNT + 2)?.fill(0);
        let turning = several().map(|set| Turning {
            starts: layout.starts[set.first..set.first + set.records].into(),
            // Offsets in a message fit.
            end: set.end as u16,
            stand: rotation % set.records,
        });
        Some(Self {
            serial,
            generation,
            stamped: RefCell::new(Stamped { octets, at_s: now_s }),
            question: layout.question,
            turning: turning.collect(),
            ageing_ttls: layout.ageing_ttls.as_slice().into(),
            ends_s,
            given: Cell::new(0),
            rotates_by,
        })
    }

    /// The length of the reply up to its OPT record.
    pub fn length(&self) -> usize {
        self.stamped.borrow().octets.len()
    }

    /// What the engine counts its rotations by. `None`: it has nothing to rotate.
    pub fn rotates_by(&self) -> Option<usize> {
        (!self.turning.is_empty()).then_some(self.rotates_by)
    }

    /// Appends the reply up to its OPT record, as it is at a time: with the ID and the name of a query of this
    /// question, and its records in a rotation.
    pub fn append(&self, id: u16, qname_as_sent: &[u8], rotation: usize, now_s: u64, out: &mut Vec<u8>) {
        let base = out.len();
        self.given.set(self.given.get().saturating_add(1));
        let mut stamped = self.stamped.borrow_mut();
        // A wall clock that was set back makes no TTL longer.
        if now_s > stamped.at_s && !self.ageing_ttls.is_empty() {
            self.stamp(&mut stamped, now_s);
        }
        let octets = &stamped.octets;
        let mut done = 0;
        for turning in &self.turning {
            let records = turning.starts.len();
            // Both are below the number of records.
            let first = (rotation % records + records - turning.stand) % records;
            let [start, middle, end] =
                [turning.starts[0], turning.starts[first], turning.end].map(usize::from);
            out.extend_from_slice(&octets[done..start]);
            out.extend_from_slice(&octets[middle..end]);
            out.extend_from_slice(&octets[start..middle]);
            done = end;
        }
        out.extend_from_slice(&octets[done..]);
        out[base..base + 2].copy_from_slice(&id.to_be_bytes());
        // The type and class that follow the name are the same.
        let name = base + HEADER;
        out[name..name + self.question - 4].copy_from_slice(qname_as_sent);
    }

    /// Makes the TTLs those of a later second.
    fn stamp(&self, stamped: &mut Stamped, now_s: u64) {
        let Stamped { octets, at_s } = stamped;
        // An entry ends before its shortest TTL does, so that all of them are longer than this.
        let passed = u32::try_from(now_s - *at_s).unwrap_or(u32::MAX);
        for at in &self.ageing_ttls {
            let Some(field) = octets[usize::from(*at)..].first_chunk_mut() else { continue };
            *field = u32::from_be_bytes(*field).saturating_sub(passed).to_be_bytes();
        }
        *at_s = now_s;
    }
}

/// The length of a header.
const HEADER: usize = 12;

/// Where a header counts the additional records.
const ARCOUNT: usize = 10;

const _: () = assert!(MAX_MESSAGE <= u16::MAX as usize);

/// Which questions were asked before, by parts of their hashes. It errs now and then, either way: it is there so
/// that a flood of questions that nobody asks twice costs no memory and no evictions.
#[derive(Debug)]
struct Doorkeeper {
    tags: Box<[u16]>,
    hasher: RandomState,
}

impl Doorkeeper {
    fn new(places: usize) -> Self {
        Self { tags: vec![0; places].into(), hasher: RandomState::default() }
    }

    /// Whether a question was asked before. From now on it was.
    fn knows(&mut self, asked: &Asked<'_>) -> bool {
        use std::hash::BuildHasher;
        let hash = self.hasher.hash_one(asked);
        // The remainder is below the number of places, which fits; of the rest sixteen bits do. 0 is nobody's.
        let tag = ((hash >> 48) as u16).max(1);
        let place = &mut self.tags[(hash % self.tags.len() as u64) as usize];
        std::mem::replace(place, tag) == tag
    }
}
