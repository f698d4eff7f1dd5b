//! What a kept reply is found by: everything that can change an octet of it, and nothing else.

use std::hash::{Hash, Hasher};

use quick_cache::Equivalent;

use crate::dns::{MAX_NAME, RecordType};
use crate::world::ViewId;

/// Room for the name of a question in lower case, used again and again.
#[derive(Debug)]
pub struct LowerName {
    octets: [u8; MAX_NAME],
    length: usize,
}

impl Default for LowerName {
    fn default() -> Self {
        Self { octets: [0; MAX_NAME], length: 0 }
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
pub(super) struct Key {
    view: ViewId,
    qtype: RecordType,
    recursion_desired: bool,
    name: KeyName,
}

impl Key {
    /// The key of a question.
    pub fn of(asked: &Asked<'_>) -> Self {
        let Asked { view, qtype, recursion_desired, name } = *asked;
        Self { view, qtype, recursion_desired, name: KeyName::of(name.wire()) }
    }

    /// How many octets it takes beside itself.
    pub fn elsewhere(&self) -> usize {
        match &self.name {
            KeyName::Short { .. } => 0,
            KeyName::Long(octets) => octets.len(),
        }
    }
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
