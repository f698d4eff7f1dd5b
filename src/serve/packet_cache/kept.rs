//! A kept reply, and how it is given again: ID, case, TTLs and rotation are set, the rest is copied.

use std::cell::{Cell, RefCell};

use super::{Candidate, Telling, Told};
use crate::dns::encode::{ARCOUNT, OPT_LENGTH, append_opt};
use crate::dns::{Layout, MAX_MESSAGE, Rcode, SetLayout};
use crate::observe::Noted;
use crate::resolve::{Keep, MonotonicSeconds};
use crate::world::PlaceId;

/// A reply up to its OPT record, and what is told with it to those who ask from where it was kept first.
#[derive(Debug)]
pub struct Kept {
    /// Tells it from all others of its cache.
    serial: u64,
    generation: u64,
    /// From when on it is not given any more.
    ends: MonotonicSeconds,
    /// The reply with a count of 0 additional records, and behind it the options. Its TTLs are those of `stamped`.
    octets: RefCell<Box<[u8]>>,
    stamped: Cell<MonotonicSeconds>,
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

/// The query that a reply is given to again.
#[derive(Clone, Copy, Debug)]
pub struct Again<'a> {
    /// Its ID.
    pub id: u16,
    /// Its CD bit, which the reply has too (RFC 4035 3.2.2). The reply does not depend on it otherwise.
    pub checking_disabled: bool,
    /// The name as it was sent.
    pub qname_as_sent: &'a [u8],
    /// The rotation that the records get.
    pub rotation: usize,
    /// The time.
    pub now: MonotonicSeconds,
    /// Whether it has an OPT record; then the DO bit, and options in wire form that are echoed.
    pub edns: Option<(bool, &'a [u8])>,
}

impl Kept {
    /// `None`: it cannot be given again.
    pub(super) fn of(
        candidate: &Candidate<'_>,
        serial: u64,
        (place, is_told): (PlaceId, bool),
        told: Told,
    ) -> Option<Self> {
        let Candidate { generation, reply, layout, answer, keep, rotation, rotates_by, now } = *candidate;
        if !matches!(answer.rcode, Rcode::NOERROR | Rcode::NXDOMAIN) {
            return None;
        }
        let ageing = answer.answer.iter().chain(&answer.authority).filter(|set| set.ages);
        let runs_out = ageing.map(|set| now.plus(set.ttl.into())).min();
        let runs_out = runs_out.unwrap_or(MonotonicSeconds::new(u64::MAX));
        let ends = match keep {
            Keep::World => runs_out,
            Keep::Until(until) => runs_out.min(until),
            Keep::No => return None,
        };
        let turning = Turning::of(layout, rotation)?;
        if ends <= now {
            return None;
        }
        let mut octets = [reply.get(..layout.records_end)?, &told.options].concat();
        octets.get_mut(ARCOUNT..ARCOUNT + 2)?.fill(0);
        Some(Self {
            serial,
            generation,
            ends,
            octets: RefCell::new(octets.into()),
            stamped: Cell::new(now),
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

    /// Tells it from all others of its cache.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// Whether it was made in this generation of the world.
    pub fn is_of(&self, generation: u64) -> bool {
        self.generation == generation
    }

    /// Whether it may not be given any more, at a time.
    pub fn has_ended(&self, now: MonotonicSeconds) -> bool {
        now >= self.ends
    }

    /// How often it was given since this was asked last.
    pub fn take_given(&self) -> u32 {
        self.given.take()
    }

    /// Whether what is told with it is for those who ask from there.
    pub fn was_told_at(&self, place: PlaceId, is_told: bool) -> bool {
        self.place == place && self.is_told == is_told
    }

    /// How many octets it takes beside itself, about.
    pub fn elsewhere(&self) -> usize {
        let turning = match &self.turning {
            Turning::Nothing | Turning::Even { .. } => 0,
            Turning::Sets(sets) => sets.iter().map(|t| size_of::<TurningSet>() + 2 * t.starts.len()).sum(),
        };
        self.octets.borrow().len() + self.ageing_ttls.len() * 2 + turning + self.noted.elsewhere()
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
        if again.now > self.stamped.get() && !self.ageing_ttls.is_empty() {
            self.stamp(again.now);
        }
        let octets = self.octets.borrow();
        let (reply, options) = octets.split_at(usize::from(self.end));
        let base = out.len();
        self.turning.append(reply, again.rotation, out);
        out[base..base + 2].copy_from_slice(&again.id.to_be_bytes());
        let flags = &mut out[base + FLAGS_LOW];
        *flags = *flags & !CD_LOW | if again.checking_disabled { CD_LOW } else { 0 };
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
    fn stamp(&self, now: MonotonicSeconds) {
        // An entry ends before its shortest TTL does, so that all of them are longer than this.
        let passed = u32::try_from(now.seconds_since(self.stamped.get())).unwrap_or(u32::MAX);
        let mut octets = self.octets.borrow_mut();
        for at in &self.ageing_ttls {
            let Some(field) = octets[usize::from(*at)..].first_chunk_mut() else { continue };
            *field = u32::from_be_bytes(*field).saturating_sub(passed).to_be_bytes();
        }
        self.stamped.set(now);
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

/// Where the lower half of the flags is in a header (RFC 1035 4.1.1).
const FLAGS_LOW: usize = 3;

/// The CD bit in that octet (RFC 4035 3.2.2).
const CD_LOW: u8 = 0x10;

const _: () = assert!(MAX_MESSAGE <= u16::MAX as usize);
