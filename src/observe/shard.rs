//! Counts that belong to who counts, added up when somebody asks.
//!
//! ```text
//!  slot 17 ──┬── worker 1's tally ── 4031 ┐
//!            ├── worker 2's tally ── 3877 ├── sum ──► /metrics
//!            └── the shared tally ──  120 ┘
//! ```
//!
//! A series has one slot for the life of the process; each tally has a number at that slot. A tally has one
//! writer at a time, so that counting is a load and a store, and no two cores contend for a number.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// Slots that come into being together.
const CHUNK: usize = 1024;

/// Chunks of a tally at most: about a million slots.
const CHUNKS: usize = 1024;

/// Where a series' number stands in every tally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(u32);

impl Slot {
    /// Counts for which there was no slot any more.
    pub const LOST: Self = Self(0);

    /// No slot: what is counted there counts as lost.
    const NOWHERE: Self = Self(u32::MAX);

    /// The slot so many places on; it must have been allotted together with this one.
    pub fn plus(self, places: usize) -> Self {
        // Nowhere stays nowhere. What is allotted together is a handful.
        Self(self.0.saturating_add(places as u32))
    }
}

/// All tallies of a process, and the slots that they share.
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
    /// So many slots in a row, the first of them. When all are taken, counts go to [`Slot::LOST`].
    pub fn allot(&self, count: usize) -> Slot {
        let most = (CHUNK * CHUNKS) as u32;
        let wanted = u32::try_from(count).unwrap_or(most);
        let taken = self.0.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
            next.checked_add(wanted).filter(|end| *end <= most)
        });
        taken.map_or(Slot::NOWHERE, Slot)
    }

    /// A tally of its own for somebody who counts.
    pub fn shard(&self) -> CounterShard {
        let shard = Arc::new(Shard::default());
        self.0.shards.write().unwrap_or_else(PoisonError::into_inner).push(shard.clone());
        CounterShard { shard, one_writer: PhantomData }
    }

    /// What all tallies together have at a slot.
    pub fn sum(&self, slot: Slot) -> u64 {
        let shards = self.0.shards.read().unwrap_or_else(PoisonError::into_inner);
        shards.iter().map(|shard| shard.get(slot)).fold(0, u64::wrapping_add)
    }
}

/// One writer's numbers. Chunks are made when they are first counted in.
struct Shard {
    chunks: Box<[OnceLock<Box<[AtomicU64]>>]>,
}

impl Default for Shard {
    fn default() -> Self {
        Self { chunks: (0..CHUNKS).map(|_| OnceLock::new()).collect() }
    }
}

impl Shard {
    fn get(&self, slot: Slot) -> u64 {
        let chunk = self.chunks.get(slot.0 as usize / CHUNK).and_then(OnceLock::get);
        chunk.map_or(0, |chunk| chunk[slot.0 as usize % CHUNK].load(Ordering::Relaxed))
    }
}

/// The numbers of one who counts. It may move to another thread, and is never shared.
pub struct CounterShard {
    shard: Arc<Shard>,
    /// Not `Sync`: a number is loaded and stored in two steps.
    one_writer: PhantomData<Cell<()>>,
}

impl CounterShard {
    /// Adds to the number at a slot.
    pub fn add(&self, slot: Slot, count: u64) {
        match self.number(slot) {
            Some(number) => {
                number.store(number.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
            }
            None => self.add(Slot::LOST, 1),
        }
    }

    /// Sets the number at a slot, for what goes up and down.
    pub fn set(&self, slot: Slot, level: u64) {
        if let Some(number) = self.number(slot) {
            number.store(level, Ordering::Relaxed);
        }
    }

    fn number(&self, slot: Slot) -> Option<&AtomicU64> {
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

/// A handful of slots that are counted together. Most stand here, the rest elsewhere.
#[derive(Debug)]
pub struct Slots {
    few: [Slot; Self::FEW],
    count: u8,
    more: Box<[Slot]>,
}

impl Slots {
    /// How many stand here.
    const FEW: usize = 4;

    /// These slots.
    pub fn of(slots: &[Slot]) -> Self {
        let (few, more) = slots.split_at(slots.len().min(Self::FEW));
        let mut here = [Slot::NOWHERE; Self::FEW];
        here[..few.len()].copy_from_slice(few);
        // At most `FEW`.
        Self { few: here, count: few.len() as u8, more: more.into() }
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = Slot> {
        self.few[..usize::from(self.count)].iter().chain(&self.more).copied()
    }

    /// How many octets it takes beside itself.
    pub fn elsewhere(&self) -> usize {
        self.more.len() * size_of::<Slot>()
    }
}

/// The slots of a histogram: one for each bucket, one for what is above all, one for the sum.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    first: Slot,
    /// Upper bounds of the buckets, in the unit that is counted in.
    bounds: &'static [u64],
}

impl Spread {
    /// Slots for these bounds.
    pub fn allot(tallies: &CounterShards, bounds: &'static [u64]) -> Self {
        Self { first: tallies.allot(bounds.len() + 2), bounds }
    }

    /// Counts one value so many times.
    pub fn count(&self, shard: &CounterShard, value: u64, times: u64) {
        let bucket = self.bounds.iter().position(|bound| value <= *bound).unwrap_or(self.bounds.len());
        shard.add(self.first.plus(bucket), times);
        shard.add(self.first.plus(self.bounds.len() + 1), value.wrapping_mul(times));
    }

    /// The counts of all buckets, the last for what is above every bound; and the sum of the values.
    pub fn read(&self, tallies: &CounterShards) -> (Vec<u64>, u64) {
        let counts = (0..=self.bounds.len()).map(|bucket| tallies.sum(self.first.plus(bucket))).collect();
        (counts, tallies.sum(self.first.plus(self.bounds.len() + 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_count_is_added_up() {
        let tallies = CounterShards::default();
        let (one, other) = (tallies.allot(1), tallies.allot(1));
        let (mine, yours) = (tallies.shard(), tallies.shard());
        mine.add(one, 2);
        yours.add(one, 3);
        yours.add(other, 1);
        drop(yours);
        assert_eq!((tallies.sum(one), tallies.sum(other)), (5, 1));
        mine.set(one, 1);
        assert_eq!(tallies.sum(one), 4);
    }

    #[test]
    fn a_spread_has_its_buckets_and_its_sum() {
        let tallies = CounterShards::default();
        let spread = Spread::allot(&tallies, &[10, 20]);
        let shard = tallies.shard();
        for value in [0, 10, 11, 20, 21] {
            spread.count(&shard, value, 1);
        }
        spread.count(&shard, 5, 3);
        assert_eq!(spread.read(&tallies), (vec![5, 2, 1], 77));
    }

    #[test]
    fn when_slots_run_out_counts_are_lost_and_that_is_counted() {
        let tallies = CounterShards::default();
        let shard = tallies.shard();
        let all = tallies.allot(CHUNK * CHUNKS - 1);
        let none = tallies.allot(1);
        shard.add(all.plus(CHUNK * CHUNKS - 2), 1);
        shard.add(none, 7);
        Spread::allot(&tallies, &[10]).count(&shard, 1, 1);
        assert_eq!(tallies.sum(Slot::LOST), 3);
        assert_eq!(tallies.sum(all.plus(CHUNK * CHUNKS - 2)), 1);
        assert_eq!(tallies.sum(none), 0);
    }
}
