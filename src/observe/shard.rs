//! Counters sharded by worker, added up when metrics are collected.
//!
//! ```text
//!  slot 17 ──┬── shard of worker 1 ── 4031 ┐
//!            ├── shard of worker 2 ── 3877 ├── sum ──► /metrics
//!            └── shared shard ───────  120 ┘
//! ```
//!
//! A series has one slot for the life of the process, and each shard has a number at that slot. A shard has
//! one writer at a time, so that counting is a load and a store, and cores do not contend for a number.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// Number of slots that are allocated together.
const CHUNK: usize = 1024;

/// Maximum number of chunks per shard: about a million slots.
const CHUNKS: usize = 1024;

/// The index of a series in every shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesSlot(u32);

impl SeriesSlot {
    /// Counts for which no slot was available.
    pub const LOST: Self = Self(0);

    /// No slot: what is counted there is counted as lost.
    const NOWHERE: Self = Self(u32::MAX);

    /// The slot at this distance; it must have been allotted together with this one.
    pub fn plus(self, places: usize) -> Self {
        // `NOWHERE` is unchanged. Only a few slots are allotted together.
        Self(self.0.saturating_add(places as u32))
    }
}

/// All shards of a process, and the slots that they share.
#[derive(Clone, Debug, Default)]
pub struct CounterShards(Arc<Shared>);

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
        f.debug_struct("Tallies").field("next", &self.next).finish_non_exhaustive()
    }
}

impl CounterShards {
    /// Allots consecutive slots and returns the first. If there are none left, counts go to
    /// [`SeriesSlot::LOST`].
    pub fn allot(&self, count: usize) -> SeriesSlot {
        let most = (CHUNK * CHUNKS) as u32;
        let wanted = u32::try_from(count).unwrap_or(most);
        let taken = self.0.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
            next.checked_add(wanted).filter(|end| *end <= most)
        });
        taken.map_or(SeriesSlot::NOWHERE, SeriesSlot)
    }

    /// Creates a shard for a writer.
    pub fn shard(&self) -> CounterShard {
        let shard = Arc::new(Shard::default());
        self.0.shards.write().unwrap_or_else(PoisonError::into_inner).push(shard.clone());
        CounterShard { shard, one_writer: PhantomData }
    }

    /// The sum over all shards at a slot.
    pub fn sum(&self, slot: SeriesSlot) -> u64 {
        let shards = self.0.shards.read().unwrap_or_else(PoisonError::into_inner);
        shards.iter().map(|shard| shard.get(slot)).fold(0, u64::wrapping_add)
    }
}

/// The numbers of one writer. Chunks are created when they are first used.
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

/// The numbers of one writer. It may move to another thread but is never shared.
pub struct CounterShard {
    shard: Arc<Shard>,
    /// Not `Sync`: a number is loaded and stored in two steps.
    one_writer: PhantomData<Cell<()>>,
}

impl CounterShard {
    /// Adds to the number at a slot.
    pub fn add(&self, slot: SeriesSlot, count: u64) {
        match self.number(slot) {
            Some(number) => {
                number.store(number.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
            }
            None => self.add(SeriesSlot::LOST, 1),
        }
    }

    /// Sets the number at a slot, for gauges.
    pub fn set(&self, slot: SeriesSlot, gauge: u64) {
        if let Some(number) = self.number(slot) {
            number.store(gauge, Ordering::Relaxed);
        }
    }

    fn number(&self, slot: SeriesSlot) -> Option<&AtomicU64> {
        let chunk = self.shard.chunks.get(slot.0 as usize / CHUNK)?;
        let numbers = chunk.get_or_init(|| (0..CHUNK).map(|_| AtomicU64::new(0)).collect());
        numbers.get(slot.0 as usize % CHUNK)
    }
}

impl fmt::Debug for CounterShard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tally").finish_non_exhaustive()
    }
}

/// A few slots that are counted together. Most are stored inline, the rest on the heap.
#[derive(Debug)]
pub struct Slots {
    few: [SeriesSlot; Self::FEW],
    count: u8,
    more: Box<[SeriesSlot]>,
}

impl Slots {
    /// Number of inline slots.
    const FEW: usize = 4;

    /// Creates a set of slots.
    pub fn of(slots: &[SeriesSlot]) -> Self {
        let (few, more) = slots.split_at(slots.len().min(Self::FEW));
        let mut here = [SeriesSlot::NOWHERE; Self::FEW];
        here[..few.len()].copy_from_slice(few);
        // At most `FEW`.
        Self { few: here, count: few.len() as u8, more: more.into() }
    }

    /// Iterates over the slots.
    pub fn iter(&self) -> impl Iterator<Item = SeriesSlot> {
        self.few[..usize::from(self.count)].iter().chain(&self.more).copied()
    }

    /// Heap memory in octets.
    pub fn elsewhere(&self) -> usize {
        self.more.len() * size_of::<SeriesSlot>()
    }
}

/// The slots of a histogram: one per bucket, one for values above all buckets, one for the sum.
#[derive(Clone, Copy, Debug)]
pub struct HistogramSlots {
    first: SeriesSlot,
    /// Upper bounds of the buckets, in the unit of the counted values.
    bounds: &'static [u64],
}

impl HistogramSlots {
    /// Allots slots for these bounds.
    pub fn allot(shards: &CounterShards, bounds: &'static [u64]) -> Self {
        Self { first: shards.allot(bounds.len() + 2), bounds }
    }

    /// Counts a value, `times` times.
    pub fn count(&self, shard: &CounterShard, value: u64, times: u64) {
        let bucket = self.bounds.iter().position(|bound| value <= *bound).unwrap_or(self.bounds.len());
        shard.add(self.first.plus(bucket), times);
        shard.add(self.first.plus(self.bounds.len() + 1), value.wrapping_mul(times));
    }

    /// The counts of all buckets, the last for values above every bound; and the sum of the values.
    pub fn read(&self, shards: &CounterShards) -> (Vec<u64>, u64) {
        let counts = (0..=self.bounds.len()).map(|bucket| shards.sum(self.first.plus(bucket))).collect();
        (counts, shards.sum(self.first.plus(self.bounds.len() + 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_count_is_added_up() {
        let shards = CounterShards::default();
        let (one, other) = (shards.allot(1), shards.allot(1));
        let (mine, yours) = (shards.shard(), shards.shard());
        mine.add(one, 2);
        yours.add(one, 3);
        yours.add(other, 1);
        drop(yours);
        assert_eq!((shards.sum(one), shards.sum(other)), (5, 1));
        mine.set(one, 1);
        assert_eq!(shards.sum(one), 4);
    }

    #[test]
    fn a_spread_has_its_buckets_and_its_sum() {
        let shards = CounterShards::default();
        let histogram_slots = HistogramSlots::allot(&shards, &[10, 20]);
        let shard = shards.shard();
        for value in [0, 10, 11, 20, 21] {
            histogram_slots.count(&shard, value, 1);
        }
        histogram_slots.count(&shard, 5, 3);
        assert_eq!(histogram_slots.read(&shards), (vec![5, 2, 1], 77));
    }

    #[test]
    fn when_slots_run_out_counts_are_lost_and_that_is_counted() {
        let shards = CounterShards::default();
        let shard = shards.shard();
        let all = shards.allot(CHUNK * CHUNKS - 1);
        let none = shards.allot(1);
        shard.add(all.plus(CHUNK * CHUNKS - 2), 1);
        shard.add(none, 7);
        HistogramSlots::allot(&shards, &[10]).count(&shard, 1, 1);
        assert_eq!(shards.sum(SeriesSlot::LOST), 3);
        assert_eq!(shards.sum(all.plus(CHUNK * CHUNKS - 2)), 1);
        assert_eq!(shards.sum(none), 0);
    }
}
