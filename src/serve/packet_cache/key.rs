//! The key of a cached reply: everything that can change one of its octets, and nothing else.

use std::hash::{Hash, Hasher};

use quick_cache::Equivalent;

use crate::dns::{MAX_NAME, RecordType};
use crate::world::ViewId;

/// A reusable buffer for a query name in lower case.
#[derive(Debug)]
pub(crate) struct LowerName {
    octets: [u8; MAX_NAME],
    length: usize,
}

impl Default for LowerName {
    fn default() -> Self {
        Self { octets: [0; MAX_NAME], length: 0 }
    }
}

impl LowerName {
    /// Stores a name in wire form, at most 255 octets.
    pub(crate) fn set(&mut self, wire: &[u8]) -> &Self {
        self.length = wire.len().min(self.octets.len());
        let octets = &mut self.octets[..self.length];
        octets.copy_from_slice(&wire[..self.length]);
        // Length octets are at most 63, so they are not letters.
        octets.make_ascii_lowercase();
        self
    }

    fn wire(&self) -> &[u8] {
        &self.octets[..self.length]
    }
}

/// Everything that can change an octet of a reply without its OPT record. The class is IN.
#[derive(Clone, Copy)]
pub(crate) struct CacheQuestion<'a> {
    /// The view of the client.
    pub view: ViewId,
    /// The query type.
    pub qtype: RecordType,
    /// The RD bit.
    pub recursion_desired: bool,
    /// The query name.
    pub name: &'a LowerName,
}

/// An owned [`CacheQuestion`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PacketKey {
    view: ViewId,
    qtype: RecordType,
    recursion_desired: bool,
    name: KeyName,
}

impl PacketKey {
    /// Creates the key of a question.
    pub(super) fn of(question: &CacheQuestion<'_>) -> Self {
        let CacheQuestion { view, qtype, recursion_desired, name } = *question;
        Self { view, qtype, recursion_desired, name: KeyName::of(name.wire()) }
    }

    /// Heap memory in octets.
    pub(super) fn heap_octets(&self) -> usize {
        match &self.name {
            KeyName::Inline { .. } => 0,
            KeyName::Heap(octets) => octets.len(),
        }
    }
}

/// Octets of a name that are stored inline. Longer names are stored on the heap.
const INLINE_OCTETS: usize = 46;

/// The name in a key.
#[derive(Clone, Debug, PartialEq, Eq)]
enum KeyName {
    /// Stored inline.
    Inline {
        /// Its length in octets.
        length: u8,
        /// The name, padded with zeros.
        octets: [u8; INLINE_OCTETS],
    },
    /// Stored on the heap.
    Heap(Box<[u8]>),
}

impl KeyName {
    fn of(wire: &[u8]) -> Self {
        let mut octets = [0; INLINE_OCTETS];
        match octets.get_mut(..wire.len()) {
            Some(inline) => {
                inline.copy_from_slice(wire);
                // At most `INLINE_OCTETS`.
                Self::Inline { length: wire.len() as u8, octets }
            }
            None => Self::Heap(wire.into()),
        }
    }

    fn wire(&self) -> &[u8] {
        match self {
            Self::Inline { length, octets } => &octets[..usize::from(*length)],
            Self::Heap(octets) => octets,
        }
    }
}

impl Hash for CacheQuestion<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(self.view, self.qtype, self.recursion_desired, self.name.wire(), state);
    }
}

impl Hash for PacketKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(self.view, self.qtype, self.recursion_desired, self.name.wire(), state);
    }
}

fn hash(view: ViewId, qtype: RecordType, recursion_desired: bool, name: &[u8], state: &mut impl Hasher) {
    let fields = u64::from(view.number()) << 17 | u64::from(qtype.0) << 1 | u64::from(recursion_desired);
    state.write_u64(fields);
    state.write(name);
}

impl Equivalent<PacketKey> for CacheQuestion<'_> {
    fn equivalent(&self, key: &PacketKey) -> bool {
        self.view == key.view
            && self.qtype == key.qtype
            && self.recursion_desired == key.recursion_desired
            && self.name.wire() == key.name.wire()
    }
}
