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
//! that is done with it. A cache belongs to one worker. It is bounded in octets, and its policy is that of the message cache (S3-FIFO): a flood of questions that
//! are asked once does not evict those that are asked again. Nothing is swept when the world changes: an
//! entry has the number of its generation, and dies by comparison.

use std::cell::{Cell, RefCell};
use std::hash::{Hash, Hasher};

use foldhash::fast::RandomState;
use quick_cache::unsync::{Cache, DefaultLifecycle};
use quick_cache::{Equivalent, Weighter};

use crate::dns::encode::{ARCOUNT, OPT_LENGTH, append_opt};
use crate::dns::{Answer, Layout, MAX_MESSAGE, Rcode, RecordType, SetLayout};
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
    name: KeyName,
}

/// Octets of a name that stand in the key itself. Longer names are looked up elsewhere.
const SHORT: usize = 46;

/// The name of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
enum KeyName {
    /// It stands here.
    Short {
        /// How many octets it has.
        length: u8,
        /// The name, and zeros behind it.
        octets: [u8; SHORT],
    },
    /// It stands elsewhere.
    Long(Box<[u8]>),
}

impl KeyName {
    fn of(wire: &[u8]) -> Self {
        let mut octets = [0; SHORT];
        match octets.get_mut(..wire.len()) {
            Some(room) => {
                room.copy_from_slice(wire);
                // It is at most `SHORT`.
                Self::Short { length: wire.len() as u8, octets }
            }
            None => Self::Long(wire.into()),
        }
    }

    fn wire(&self) -> &[u8] {
        match self {
            Self::Short { length, octets } => &octets[..usize::from(*length)],
            Self::Long(octets) => octets,
        }
    }

    /// Octets that stand elsewhere.
    fn elsewhere(&self) -> usize {
        match self {
            Self::Short { .. } => 0,
            Self::Long(octets) => octets.len(),
        }
    }
}

impl Hash for Asked<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(self.view, self.qtype, self.recursion_desired, self.name.wire(), state);
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(self.view, self.qtype, self.recursion_desired, self.name.wire(), state);
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
            && self.name.wire() == key.name.wire()
    }
}

/// A reply up to its OPT record, and what is told with it to those who ask from where it was kept first.
#[derive(Debug)]
pub struct Kept {
    /// Tells it from all others of its cache.
    serial: u64,
    generation: u64,
    /// From when on it is not given any more, in seconds since 1970.
    ends_s: u64,
    /// The reply with a count of 0 additional records, and behind it the options. Its TTLs are those of `stamped_s`.
    octets: RefCell<Box<[u8]>>,
    stamped_s: Cell<u64>,
    /// Where the reply ends and the options begin.
    end: u16,
    /// The length of the name in question.
    name: u16,
    /// How often it was given.
    given: Cell<u32>,
    /// What the engine counts its rotations by.
    rotates_by: u32,
    /// Where it was kept first, and whether paths are told there.
    place: PlaceId,
    is_told: bool,
    /// What turns from reply to reply.
    turning: Turning,
    /// What to count for those who ask from there.
    noted: Noted,
    /// Where each TTL that counts down stands.
    ageing_ttls: Box<[u16]>,
}

/// What comes in another order each time.
#[derive(Debug)]
enum Turning {
    /// Nothing.
    Nothing,
    /// One set, whose records have one length.
    Even {
        /// Where the first begins.
        start: u16,
        /// The length of each.
        each: u16,
        /// How many they are.
        records: u16,
        /// The rotation that they stand in.
        stand: u16,
    },
    /// Sets of any kind.
    Sets(Box<[TurningSet]>),
}

/// A set of several records that come in another order each time.
#[derive(Debug)]
struct TurningSet {
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
        let turning: usize = match &kept.turning {
            Turning::Nothing | Turning::Even { .. } => 0,
            Turning::Sets(sets) => sets.iter().map(|t| size_of::<TurningSet>() + 2 * t.starts.len()).sum(),
        };
        let octets = kept.octets.borrow().len() + kept.ageing_ttls.len() * 2 + turning;
        let elsewhere = octets + key.name.elsewhere() + kept.noted.elsewhere();
        OVERHEAD + (size_of::<(Key, Kept)>() + elsewhere) as u64
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
        if kept.place == place && kept.is_told == is_told {
            return Found::Kept(kept, Telling::First);
        }
        let told = self.told.get(&TellingKey { serial: kept.serial, place, is_told });
        told.map_or(Found::Nothing, |told| Found::Kept(kept, Telling::Other(told)))
    }

    /// Whether a reply to this question is worth keeping: the question was asked before, as far as is known. It is
    /// known from now on.
    pub fn wants(&mut self, asked: &Asked<'_>) -> bool {
        self.is_on && self.asked_once.knows(asked)
    }

    /// Keeps a reply, if it can be given again, and what is told of it at a place.
    pub fn keep(&mut self, asked: &Asked<'_>, candidate: &Candidate<'_>, at: (PlaceId, bool), told: Told) {
        let (generation, now_s) = (candidate.generation, candidate.now_s);
        let is_fresh = |kept: &&Kept| kept.generation == generation && now_s < kept.ends_s;
        if let Some(kept) = self.answers.get(asked).filter(is_fresh) {
            // Another place has asked it.
            let (place, is_told) = at;
            self.told.insert(TellingKey { serial: kept.serial, place, is_told }, told);
            return;
        }
        self.serial += 1;
        if let Some(kept) = Kept::of(candidate, self.serial, at, told) {
            let (view, qtype, recursion_desired) = (asked.view, asked.qtype, asked.recursion_desired);
            let key = Key { view, qtype, recursion_desired, name: KeyName::of(asked.name.wire()) };
            self.answers.insert(key, kept);
        }
    }

    /// How many answers it has, what more is told of them at other places, and what all weighs in octets.
    pub fn size(&self) -> (usize, usize, u64) {
        (self.answers.len(), self.told.len(), self.answers.weight() + self.told.weight())
    }
}

/// The query that a reply is given to again.
#[derive(Clone, Copy, Debug)]
pub struct Again<'a> {
    /// Its ID.
    pub id: u16,
    /// The name as it was sent.
    pub qname_as_sent: &'a [u8],
    /// The rotation that the records get.
    pub rotation: usize,
    /// The time, in seconds since 1970.
    pub now_s: u64,
    /// Whether it has an OPT record; then the DO bit, and options in wire form that are echoed.
    pub edns: Option<(bool, &'a [u8])>,
}

impl Kept {
    /// `None`: it cannot be given again.
    fn of(
        candidate: &Candidate<'_>,
        serial: u64,
        (place, is_told): (PlaceId, bool),
        told: Told,
    ) -> Option<Self> {
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
        let turning = Turning::of(layout, rotation)?;
        if ends_s <= now_s {
            return None;
        }
        let mut octets = [reply.get(..layout.records_end)?, &told.options].concat();
        octets.get_mut(ARCOUNT..ARCOUNT + 2)?.fill(0);
        Some(Self {
            serial,
            generation,
            ends_s,
            octets: RefCell::new(octets.into()),
            stamped_s: Cell::new(now_s),
            // Offsets in a message fit; so does a slot.
            end: layout.records_end as u16,
            name: layout.question.checked_sub(4)? as u16,
            given: Cell::new(0),
            rotates_by: rotates_by as u32,
            place,
            is_told,
            turning,
            noted: told.noted,
            ageing_ttls: layout.ageing_ttls.as_slice().into(),
        })
    }

    /// What is to be counted for it.
    pub fn noted<'k>(&'k self, telling: Telling<'k>) -> &'k Noted {
        match telling {
            Telling::First => &self.noted,
            Telling::Other(told) => &told.noted,
        }
    }

    /// The length of the whole reply to a query that has an OPT record with so many octets of echoed options, or none.
    pub fn length(&self, telling: Telling<'_>, echo: Option<usize>) -> usize {
        let end = usize::from(self.end);
        let options = match telling {
            Telling::First => self.octets.borrow().len() - end,
            Telling::Other(told) => told.options.len(),
        };
        end + echo.map_or(0, |echo| OPT_LENGTH + options + echo)
    }

    /// What the engine counts its rotations by. `None`: it has nothing to rotate.
    pub fn rotates_by(&self) -> Option<usize> {
        (!matches!(self.turning, Turning::Nothing)).then_some(self.rotates_by as usize)
    }

    /// Appends the reply to a query of this question.
    pub fn append(&self, telling: Telling<'_>, again: &Again<'_>, out: &mut Vec<u8>) {
        self.given.set(self.given.get().saturating_add(1));
        // A wall clock that was set back makes no TTL longer.
        if again.now_s > self.stamped_s.get() && !self.ageing_ttls.is_empty() {
            self.stamp(again.now_s);
        }
        let octets = self.octets.borrow();
        let (reply, options) = octets.split_at(usize::from(self.end));
        let base = out.len();
        self.turning.append(reply, again.rotation, out);
        out[base..base + 2].copy_from_slice(&again.id.to_be_bytes());
        let name = base + HEADER;
        out[name..name + usize::from(self.name)].copy_from_slice(again.qname_as_sent);
        if let Some((dnssec_ok, echo)) = again.edns {
            out[base + ARCOUNT + 1] = 1;
            let options = match telling {
                Telling::First => options,
                Telling::Other(told) => &told.options,
            };
            append_opt(dnssec_ok, options, echo, out);
        }
    }

    /// Makes the TTLs those of a later second.
    fn stamp(&self, now_s: u64) {
        // An entry ends before its shortest TTL does, so that all of them are longer than this.
        let passed = u32::try_from(now_s - self.stamped_s.get()).unwrap_or(u32::MAX);
        let mut octets = self.octets.borrow_mut();
        for at in &self.ageing_ttls {
            let Some(field) = octets[usize::from(*at)..].first_chunk_mut() else { continue };
            *field = u32::from_be_bytes(*field).saturating_sub(passed).to_be_bytes();
        }
        self.stamped_s.set(now_s);
    }
}

impl Turning {
    /// `None`: something should turn and cannot.
    fn of(layout: &Layout, rotation: usize) -> Option<Self> {
        let several: Vec<&SetLayout> = layout.sets.iter().filter(|set| set.records > 1).collect();
        if several.iter().any(|set| !set.turns) {
            return None;
        }
        if several.is_empty() {
            return Some(Self::Nothing);
        }
        let sets: Box<[TurningSet]> =
            several.into_iter().map(|set| TurningSet::of(set, layout, rotation)).collect();
        Some(match &*sets {
            [set] => set.even().unwrap_or(Self::Sets(sets)),
            _ => Self::Sets(sets),
        })
    }

    /// Appends a reply, its records in a rotation.
    fn append(&self, reply: &[u8], rotation: usize, out: &mut Vec<u8>) {
        match self {
            Self::Nothing => out.extend_from_slice(reply),
            Self::Even { start, each, records, stand } => {
                let [start, each, records, stand] = [*start, *each, *records, *stand].map(usize::from);
                let first = first(rotation, stand, records);
                let (middle, end) = (start + first * each, start + records * each);
                for part in [&reply[..start], &reply[middle..end], &reply[start..middle], &reply[end..]] {
                    out.extend_from_slice(part);
                }
            }
            Self::Sets(sets) => {
                let mut done = 0;
                for set in sets {
                    let first = first(rotation, set.stand, set.starts.len());
                    let [start, middle, end] = [set.starts[0], set.starts[first], set.end].map(usize::from);
                    for part in [&reply[done..start], &reply[middle..end], &reply[start..middle]] {
                        out.extend_from_slice(part);
                    }
                    done = end;
                }
                out.extend_from_slice(&reply[done..]);
            }
        }
    }
}

/// Which of the records that stand in one rotation is the first of another. Both rotations are taken modulo their
/// number.
fn first(rotation: usize, stand: usize, records: usize) -> usize {
    (rotation % records + records - stand) % records
}

impl TurningSet {
    fn of(set: &SetLayout, layout: &Layout, rotation: usize) -> Self {
        Self {
            starts: layout.starts[set.first..set.first + set.records].into(),
            // Offsets in a message fit.
            end: set.end as u16,
            stand: rotation % set.records,
        }
    }

    /// The same where all records have one length.
    fn even(&self) -> Option<Turning> {
        let (start, records) = (*self.starts.first()?, u16::try_from(self.starts.len()).ok()?);
        let each = (self.end - start) / records;
        let is_even = self.starts.iter().zip(0..).all(|(at, number)| *at == start + number * each);
        let stand = u16::try_from(self.stand).ok()?;
        (is_even && start + records * each == self.end).then_some(Turning::Even {
            start,
            each,
            records,
            stand,
        })
    }
}

/// The length of a header.
const HEADER: usize = 12;

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
