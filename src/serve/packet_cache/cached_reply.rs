//! A cached reply and how it is served: ID, case, CD bit, TTLs and rotation are set, everything else is
//! copied.
//!
//! A lookup only has shared access to the cache, so the fields that a hit changes are in cells: the TTLs and
//! the number of hits. A worker's cache is used by one thread at a time.

use std::cell::{Cell, RefCell};

use super::{AnnotationRef, CachedAnnotation, ReplyCandidate};
use crate::dns::encode::{ARCOUNT, OPT_LENGTH, append_opt};
use crate::dns::{MAX_MESSAGE, Rcode, ReplyLayout, RrSetLayout};
use crate::observe::PreparedCounts;
use crate::resolve::{Cacheability, MonotonicSeconds};
use crate::world::PlaceId;

/// A reply without its OPT record, with the annotation for the location for which it was inserted.
#[derive(Debug)]
pub(crate) struct CachedReply {
    /// Identifies the reply within its cache.
    serial: u64,
    generation: u64,
    /// When it expires.
    expires: MonotonicSeconds,
    /// The reply with an ARCOUNT of 0, followed by the options. Its TTLs are valid as of
    /// `ttls_as_of`.
    octets: RefCell<Box<[u8]>>,
    ttls_as_of: Cell<MonotonicSeconds>,
    /// Where the reply ends and the options begin.
    options_start: u16,
    /// Length of the name in the question section.
    qname_length: u16,
    /// How many times it was served since [`take_hits`](Self::take_hits).
    hits: Cell<u32>,
    /// The rotation counter of its question.
    rotation_slot: u32,
    /// The location of the annotation, and whether it contains paths.
    place: PlaceId,
    is_annotated: bool,
    /// The record sets that rotate.
    rotation: Rotation,
    /// The counters for clients at that location.
    counts: PreparedCounts,
    /// Offsets of the TTLs that count down.
    ageing_ttls: Box<[u16]>,
}

/// The record sets of a reply that rotate.
#[derive(Debug)]
enum Rotation {
    /// None.
    None,
    /// One set with records of equal length: the usual case, several addresses of one name. Offsets are
    /// computed instead of stored, so that a hit reads no further memory.
    Uniform {
        /// Offset of the first record.
        start: u16,
        /// Length of each record.
        record_length: u16,
        /// Number of records.
        records: u16,
        /// The rotation in which they are stored.
        stored: u16,
    },
    /// Any number of sets with records of any length.
    Sets(Box<[RotationSet]>),
}

/// A record set with several records, whose order rotates.
#[derive(Debug)]
struct RotationSet {
    /// Offset of each record.
    starts: Box<[u16]>,
    /// End of the last record.
    end: u16,
    /// The rotation in which they are stored.
    stored: usize,
}

/// The query to which a cached reply is served.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CacheHit<'a> {
    /// Its ID.
    pub id: u16,
    /// Its CD bit, which is copied to the reply (RFC 4035 section 3.2.2). The reply does not depend on it
    /// otherwise.
    pub checking_disabled: bool,
    /// The name as the client sent it.
    pub qname_as_sent: &'a [u8],
    /// The rotation for the record sets.
    pub rotation: usize,
    /// The current time.
    pub now: MonotonicSeconds,
    /// For a query with an OPT record: the DO bit and the options in wire form that are echoed.
    pub edns: Option<(bool, &'a [u8])>,
}

impl CachedReply {
    /// Creates the cached form of a reply. Returns `None` if the reply cannot be cached: it is an error
    /// or not cacheable, its TTL has expired, or one of its record sets cannot be rotated.
    pub(super) fn of(
        candidate: &ReplyCandidate<'_>,
        serial: u64,
        (place, is_annotated): (PlaceId, bool),
        annotation: CachedAnnotation,
    ) -> Option<Self> {
        let ReplyCandidate { generation, reply, layout, answer, cacheability, rotation, rotation_slot, now } =
            *candidate;
        if !matches!(answer.rcode, Rcode::NOERROR | Rcode::NXDOMAIN) {
            return None;
        }
        // Only TTLs that count down limit the lifetime: records of the world have their full TTL in every
        // reply, for as long as their generation is current.
        let ageing = answer.answer.iter().chain(&answer.authority).filter(|set| set.ages);
        let ttl_end = ageing.map(|set| now.plus(set.ttl.into())).min();
        let ttl_end = ttl_end.unwrap_or(MonotonicSeconds::new(u64::MAX));
        let expires = match cacheability {
            Cacheability::Generation => ttl_end,
            Cacheability::Until(until) => ttl_end.min(until),
            Cacheability::Never => return None,
        };
        let rotation = Rotation::of(layout, rotation)?;
        if expires <= now {
            return None;
        }
        // The OPT record is not stored, because it depends on the query: whether there is one, its DO bit and
        // its echoed options. `append` writes it, and then sets ARCOUNT to 1.
        let mut octets = [reply.get(..layout.records_end)?, &annotation.options].concat();
        octets.get_mut(ARCOUNT..ARCOUNT + 2)?.fill(0);
        Some(Self {
            serial,
            generation,
            expires,
            octets: RefCell::new(octets.into()),
            ttls_as_of: Cell::new(now),
            // Offsets within a message fit into 16 bits, and rotation counters into 32.
            options_start: layout.records_end as u16,
            // The question section is the name, two octets of type and two of class.
            qname_length: layout.question.checked_sub(4)? as u16,
            hits: Cell::new(0),
            rotation_slot: rotation_slot as u32,
            place,
            is_annotated,
            rotation,
            counts: annotation.counts,
            ageing_ttls: layout.ageing_ttls.as_slice().into(),
        })
    }

    /// Identifies the reply within its cache.
    pub(crate) fn serial(&self) -> u64 {
        self.serial
    }

    /// Whether it was created in this generation.
    pub(crate) fn belongs_to(&self, generation: u64) -> bool {
        self.generation == generation
    }

    /// Whether it has expired.
    pub(crate) fn is_expired(&self, now: MonotonicSeconds) -> bool {
        now >= self.expires
    }

    /// How many times it was served since the last call.
    pub(crate) fn take_hits(&self) -> u32 {
        self.hits.take()
    }

    /// Whether the stored annotation is the one for this location.
    pub(crate) fn is_annotated_for(&self, place: PlaceId, is_annotated: bool) -> bool {
        self.place == place && self.is_annotated == is_annotated
    }

    /// Approximate heap memory in octets.
    pub(crate) fn heap_octets(&self) -> usize {
        let rotation = match &self.rotation {
            Rotation::None | Rotation::Uniform { .. } => 0,
            Rotation::Sets(sets) => {
                sets.iter().map(|set| size_of::<RotationSet>() + 2 * set.starts.len()).sum()
            }
        };
        self.octets.borrow().len() + self.ageing_ttls.len() * 2 + rotation + self.counts.heap_octets()
    }

    /// The counters that a hit increments.
    pub(crate) fn counts<'k>(&'k self, annotation: AnnotationRef<'k>) -> &'k PreparedCounts {
        match annotation {
            AnnotationRef::First => &self.counts,
            AnnotationRef::Other(annotation) => &annotation.counts,
        }
    }

    /// Length of the complete reply. `echo` is the length of the options echoed in its OPT record; `None` if
    /// the query has no OPT record.
    pub(crate) fn length(&self, annotation: AnnotationRef<'_>, echo: Option<usize>) -> usize {
        let reply = usize::from(self.options_start);
        let options = match annotation {
            AnnotationRef::First => self.octets.borrow().len() - reply,
            AnnotationRef::Other(annotation) => annotation.options.len(),
        };
        reply + echo.map_or(0, |echo| OPT_LENGTH + options + echo)
    }

    /// The rotation counter of its question, or `None` if nothing rotates.
    pub(crate) fn rotation_slot(&self) -> Option<usize> {
        (!matches!(self.rotation, Rotation::None)).then_some(self.rotation_slot as usize)
    }

    /// Appends the reply to a query.
    pub(crate) fn append(&self, annotation: AnnotationRef<'_>, hit: &CacheHit<'_>, out: &mut Vec<u8>) {
        self.hits.set(self.hits.get().saturating_add(1));
        // Once per second at most: hits within a second share the TTLs.
        if hit.now > self.ttls_as_of.get() && !self.ageing_ttls.is_empty() {
            self.age_ttls(hit.now);
        }
        let octets = self.octets.borrow();
        let (reply, options) = octets.split_at(usize::from(self.options_start));
        let base = out.len();
        self.rotation.append(reply, hit.rotation, out);
        out[base..base + 2].copy_from_slice(&hit.id.to_be_bytes());
        let flags = &mut out[base + FLAGS_LOW];
        *flags = *flags & !CD_LOW | if hit.checking_disabled { CD_LOW } else { 0 };
        // The key has the name in lower case, so the stored name can differ from the query's in case only,
        // and has the same length. Clients that randomise the case ("0x20") require the same case in the
        // reply.
        let name = base + HEADER;
        out[name..name + usize::from(self.qname_length)].copy_from_slice(hit.qname_as_sent);
        if let Some((dnssec_ok, echo)) = hit.edns {
            // The stored count is 0, so its upper octet stays 0.
            out[base + ARCOUNT + 1] = 1;
            let options = match annotation {
                AnnotationRef::First => options,
                AnnotationRef::Other(annotation) => &annotation.options,
            };
            append_opt(dnssec_ok, options, echo, out);
        }
    }

    /// Sets the TTLs to those of the current second.
    fn age_ttls(&self, now: MonotonicSeconds) {
        // An entry expires no later than its lowest ageing TTL, so every such TTL is greater than `elapsed`.
        let elapsed = u32::try_from(now.seconds_since(self.ttls_as_of.get())).unwrap_or(u32::MAX);
        let mut octets = self.octets.borrow_mut();
        for at in &self.ageing_ttls {
            let Some(field) = octets[usize::from(*at)..].first_chunk_mut() else { continue };
            *field = u32::from_be_bytes(*field).saturating_sub(elapsed).to_be_bytes();
        }
        self.ttls_as_of.set(now);
    }
}

impl Rotation {
    /// Returns `None` if a set would have to rotate but cannot: another record has a compression pointer into
    /// one of its records (RFC 1035 section 4.1.4), so moving the octets would break the reply.
    fn of(layout: &ReplyLayout, rotation: usize) -> Option<Self> {
        let multi_record: Vec<&RrSetLayout> = layout.sets.iter().filter(|set| set.records > 1).collect();
        if multi_record.iter().any(|set| !set.is_rotatable) {
            return None;
        }
        if multi_record.is_empty() {
            return Some(Self::None);
        }
        let sets: Box<[RotationSet]> =
            multi_record.into_iter().map(|set| RotationSet::of(set, layout, rotation)).collect();
        Some(match &*sets {
            [set] => set.uniform().unwrap_or(Self::Sets(sets)),
            _ => Self::Sets(sets),
        })
    }

    /// Appends a reply with its records in the given rotation.
    ///
    /// Rotating a set exchanges two adjacent ranges of octets, so the reply is copied in a few contiguous
    /// parts and nothing is parsed.
    fn append(&self, reply: &[u8], rotation: usize, out: &mut Vec<u8>) {
        match self {
            Self::None => out.extend_from_slice(reply),
            Self::Uniform { start, record_length: each, records, stored } => {
                let [start, each, records, stored] = [*start, *each, *records, *stored].map(usize::from);
                let first = first(rotation, stored, records);
                let (middle, end) = (start + first * each, start + records * each);
                for part in [&reply[..start], &reply[middle..end], &reply[start..middle], &reply[end..]] {
                    out.extend_from_slice(part);
                }
            }
            Self::Sets(sets) => {
                let mut copied = 0;
                for set in sets {
                    let first = first(rotation, set.stored, set.starts.len());
                    let [start, middle, end] = [set.starts[0], set.starts[first], set.end].map(usize::from);
                    for part in [&reply[copied..start], &reply[middle..end], &reply[start..middle]] {
                        out.extend_from_slice(part);
                    }
                    copied = end;
                }
                out.extend_from_slice(&reply[copied..]);
            }
        }
    }
}

/// The index, within records stored in the rotation `stored`, of the first record of another rotation.
/// `stored` is less than the number of records, so the difference cannot underflow.
fn first(rotation: usize, stored: usize, records: usize) -> usize {
    (rotation % records + records - stored) % records
}

impl RotationSet {
    fn of(set: &RrSetLayout, layout: &ReplyLayout, rotation: usize) -> Self {
        Self {
            starts: layout.record_starts[set.first..set.first + set.records].into(),
            // Offsets within a message fit into 16 bits.
            end: set.end as u16,
            stored: rotation % set.records,
        }
    }

    /// The same set, if all its records have equal length.
    fn uniform(&self) -> Option<Rotation> {
        let (start, records) = (*self.starts.first()?, u16::try_from(self.starts.len()).ok()?);
        let each = (self.end - start) / records;
        let is_uniform = self.starts.iter().zip(0..).all(|(at, number)| *at == start + number * each);
        let stored = u16::try_from(self.stored).ok()?;
        (is_uniform && start + records * each == self.end).then_some(Rotation::Uniform {
            start,
            record_length: each,
            records,
            stored,
        })
    }
}

/// Length of a DNS header.
const HEADER: usize = 12;

/// Offset of the lower half of the flags in the header (RFC 1035 section 4.1.1).
const FLAGS_LOW: usize = 3;

/// The CD bit in that octet (RFC 4035 section 3.2.2).
const CD_LOW: u8 = 0x10;

const _: () = assert!(MAX_MESSAGE <= u16::MAX as usize);
