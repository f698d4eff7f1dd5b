//! Who is let into a packet cache: questions that were asked before.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use super::Asked;

/// Which questions were asked before, by parts of their hashes. It errs now and then, either way: it is there so
/// that a flood of questions that nobody asks twice costs no memory and no evictions.
#[derive(Debug)]
pub(super) struct Doorkeeper {
    tags: Box<[u16]>,
    hasher: RandomState,
}

impl Doorkeeper {
    /// Nobody was asked yet. `places` is a power of two.
    pub fn new(places: usize) -> Self {
        Self { tags: vec![0; places].into(), hasher: RandomState::default() }
    }

    /// Whether a question was asked before. From now on it was.
    pub fn knows(&mut self, asked: &Asked<'_>) -> bool {
        let hash = self.hasher.hash_one(asked);
        // The remainder is below the number of places, which fits; of the rest sixteen bits do. 0 is nobody's.
        let tag = ((hash >> 48) as u16).max(1);
        let place = &mut self.tags[(hash % self.tags.len() as u64) as usize];
        std::mem::replace(place, tag) == tag
    }
}
