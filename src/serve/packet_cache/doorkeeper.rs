//! Admission to a packet cache: only questions that have been seen before.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use super::CacheQuestion;

/// Records which questions have been seen, by parts of their hashes. False positives and negatives are
/// harmless: its purpose is that a flood of unique questions causes neither memory use nor evictions.
#[derive(Debug)]
pub(super) struct Doorkeeper {
    tags: Box<[u16]>,
    hasher: RandomState,
}

impl Doorkeeper {
    /// Creates an empty doorkeeper with `slots` slots, a power of two.
    pub(super) fn new(slots: usize) -> Self {
        Self { tags: vec![0; slots].into(), hasher: RandomState::default() }
    }

    /// Returns whether a question has been seen before, and records it.
    pub(super) fn check_and_insert(&mut self, question: &CacheQuestion<'_>) -> bool {
        let hash = self.hasher.hash_one(question);
        // The remainder is less than the number of slots and sixteen bits fit into the tag, so both casts are
        // lossless. 0 marks an empty slot.
        let tag = ((hash >> 48) as u16).max(1);
        let slot = &mut self.tags[(hash % self.tags.len() as u64) as usize];
        std::mem::replace(slot, tag) == tag
    }
}
