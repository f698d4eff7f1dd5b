//! Counters sharded by worker and summed when metrics are collected.
//!
//! ```text
//!  slot 17 ──┬── shard of worker 1 ── 4031 ┐
//!            ├── shard of worker 2 ── 3877 ├── sum ──► /metrics
//!            └── shared worker ──────  120 ┘
//! ```
//!
//! A series has one slot for the life of the process, and each shard has a counter at that slot. A shard has
//! one writer at a time, so that counting is a load and a store, and cores do not contend for cache lines.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// Number of counters in a chunk, the unit in which a shard allocates memory.
const CHUNK: usize = 1024;

/// Maximum number of chunks per shard: about a million slots.
const CHUNKS: usize = 1024;

/// The index of a series in every shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SeriesSlot(u32);

impl SeriesSlot {
    /// The slot that counts the additions to series that have no slot of their own.
    pub(super) const LOST: Self = Self(0);

    /// No slot: each addition to it counts as 1 in [`Self::LOST`].
    const NONE: Self = Self(u32::MAX);

    /// The slot at this distance, which must have been allocated together with this one.
    pub(super) fn offset(self, distance: usize) -> Self {
        // `NONE` is unchanged. Only a few slots are allocated together.
        Self(self.0.saturating_add(distance as u32))
    }
}

/// All shards of a process, and the slots that they share.
#[derive(Clone, Debug, Default)]
pub(super) struct CounterShards(Arc<Shared>);

struct Shared {
    next: AtomicU32,
    shards: RwLock<Vec<Arc<Shard>>>,
}

impl Default for Shared {
    fn default() -> Self {
        Self { next: AtomicU32::new(1), shards: RwLock::default() }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CounterShards").field("next", &self.next).finish_non_exhaustive()
    }
}

impl CounterShards {
    /// Allocates consecutive slots and returns the first. If none are left, each addition counts as 1 in
    /// [`SeriesSlot::LOST`].
    pub(super) fn allocate(&self, count: usize) -> SeriesSlot {
        let capacity = (CHUNK * CHUNKS) as u32;
        let wanted = u32::try_from(count).unwrap_or(capacity);
        let first = self.0.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
            next.checked_add(wanted).filter(|end| *end <= capacity)
        });
        first.map_or(SeriesSlot::NONE, SeriesSlot)
    }

    /// Creates a shard for a writer.
    pub(super) fn shard(&self) -> CounterShard {
        let shard = Arc::new(Shard::default());
        self.0.shards.write().unwrap_or_else(PoisonError::into_inner).push(shard.clone());
        CounterShard { shard, not_sync: PhantomData }
    }

    /// The sum of all shards at a slot.
    pub(super) fn sum(&self, slot: SeriesSlot) -> u64 {
        let shards = self.0.shards.read().unwrap_or_else(PoisonError::into_inner);
        shards.iter().map(|shard| shard.get(slot)).fold(0, u64::wrapping_add)
    }
}

/// The counters of one writer. Chunks are allocated when they are first used.
struct Shard {
    chunks: Box<[OnceLock<Box<[AtomicU64]>>]>,
}

impl Default for Shard {
    fn default() -> Self {
        Self { chunks: (0..CHUNKS).map(|_| OnceLock::new()).collect() }
    }
}

impl Shard {
    fn get(&self, slot: SeriesSlot) -> u64 {
        let chunk = self.chunks.get(slot.0 as usize / CHUNK).and_then(OnceLock::get);
        chunk.map_or(0, |chunk| chunk[slot.0 as usize % CHUNK].load(Ordering::Relaxed))
    }
}

/// The writer's handle to its shard. It may move to another thread but is never shared.
pub(super) struct CounterShard {
    shard: Arc<Shard>,
    /// Not `Sync`, because a counter is loaded and stored in two steps.
    not_sync: PhantomData<Cell<()>>,
}

impl CounterShard {
    /// Adds to the counter at a slot.
    pub(super) fn add(&self, slot: SeriesSlot, count: u64) {
        match self.counter(slot) {
            Some(counter) => {
                counter.store(counter.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
            }
            None => self.add(SeriesSlot::LOST, 1),
        }
    }

    /// Sets the value at a slot, for gauges.
    pub(super) fn set(&self, slot: SeriesSlot, value: u64) {
        if let Some(counter) = self.counter(slot) {
            counter.store(value, Ordering::Relaxed);
        }
    }

    fn counter(&self, slot: SeriesSlot) -> Option<&AtomicU64> {
        let chunk = self.shard.chunks.get(slot.0 as usize / CHUNK)?;
        let counters = chunk.get_or_init(|| (0..CHUNK).map(|_| AtomicU64::new(0)).collect());
        counters.get(slot.0 as usize % CHUNK)
    }
}

impl fmt::Debug for CounterShard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CounterShard").finish_non_exhaustive()
    }
}

/// A few slots that are counted together. Most are stored inline, the rest on the heap.
#[derive(Debug)]
pub(super) struct Slots {
    inline: [SeriesSlot; Self::INLINE],
    count: u8,
    heap: Box<[SeriesSlot]>,
}

impl Slots {
    /// Number of inline slots.
    const INLINE: usize = 4;

    /// Creates a set of slots.
    pub(super) fn new(slots: &[SeriesSlot]) -> Self {
        let (first, rest) = slots.split_at(slots.len().min(Self::INLINE));
        let mut inline = [SeriesSlot::NONE; Self::INLINE];
        inline[..first.len()].copy_from_slice(first);
        // At most `INLINE`, so the cast is lossless.
        Self { inline, count: first.len() as u8, heap: rest.into() }
    }

    /// Iterates over the slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = SeriesSlot> {
        self.inline[..usize::from(self.count)].iter().chain(&self.heap).copied()
    }

    /// Heap memory in octets.
    pub(super) fn heap_octets(&self) -> usize {
        self.heap.len() * size_of::<SeriesSlot>()
    }
}

/// The slots of a histogram: one per bucket, one for values above all buckets, one for the sum.
#[derive(Clone, Copy, Debug)]
pub(super) struct HistogramSlots {
    first: SeriesSlot,
    /// Upper bounds of the buckets, in the unit of the counted values.
    bounds: &'static [u64],
}

impl HistogramSlots {
    /// Allocates slots for these bounds.
    pub(super) fn allocate(shards: &CounterShards, bounds: &'static [u64]) -> Self {
        Self { first: shards.allocate(bounds.len() + 2), bounds }
    }

    /// Counts a value, `times` times.
    pub(super) fn count(&self, shard: &CounterShard, value: u64, times: u64) {
        let bucket = self.bounds.iter().position(|bound| value <= *bound).unwrap_or(self.bounds.len());
        shard.add(self.first.offset(bucket), times);
        shard.add(self.first.offset(self.bounds.len() + 1), value.wrapping_mul(times));
    }

    /// The counts of all buckets, the last for values above all bounds, and the sum of the values.
    pub(super) fn read(&self, shards: &CounterShards) -> (Vec<u64>, u64) {
        let counts = (0..=self.bounds.len()).map(|bucket| shards.sum(self.first.offset(bucket))).collect();
        (counts, shards.sum(self.first.offset(self.bounds.len() + 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_all_shards_are_summed() {
        let shards = CounterShards::default();
        let (one, other) = (shards.allocate(1), shards.allocate(1));
        let (first, second) = (shards.shard(), shards.shard());
        first.add(one, 2);
        second.add(one, 3);
        second.add(other, 1);
        drop(second);
        assert_eq!((shards.sum(one), shards.sum(other)), (5, 1));
        first.set(one, 1);
        assert_eq!(shards.sum(one), 4);
    }

    #[test]
    fn a_histogram_has_buckets_and_a_sum() {
        let shards = CounterShards::default();
        let histogram = HistogramSlots::allocate(&shards, &[10, 20]);
        let shard = shards.shard();
        for value in [0, 10, 11, 20, 21] {
            histogram.count(&shard, value, 1);
        }
        histogram.count(&shard, 5, 3);
        assert_eq!(histogram.read(&shards), (vec![5, 2, 1], 77));
    }

    #[test]
    fn counts_without_a_slot_are_counted_as_lost() {
        let shards = CounterShards::default();
        let shard = shards.shard();
        let all = shards.allocate(CHUNK * CHUNKS - 1);
        let none = shards.allocate(1);
        shard.add(all.offset(CHUNK * CHUNKS - 2), 1);
        shard.add(none, 7);
        HistogramSlots::allocate(&shards, &[10]).count(&shard, 1, 1);
        assert_eq!(shards.sum(SeriesSlot::LOST), 3);
        assert_eq!(shards.sum(all.offset(CHUNK * CHUNKS - 2)), 1);
        assert_eq!(shards.sum(none), 0);
    }
}
