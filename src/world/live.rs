//! The current world, which a reload replaces.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};

use super::World;

/// Interval for checking whether the replaced world is still in use.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// The current world.
///
/// Readers take no lock. A replaced world is dropped on a thread of its own after the last query that uses it
/// has been answered: freeing a large one takes longer than a query may wait.
#[derive(Debug)]
pub struct Live {
    world: ArcSwap<World>,
    generations: AtomicU64,
}

impl Live {
    /// Creates the holder with a first world.
    pub fn new(mut world: World) -> Self {
        world.generation = 1;
        Self { world: ArcSwap::from_pointee(world), generations: AtomicU64::new(1) }
    }

    /// The current world. Hold it for one query only.
    pub fn load(&self) -> Guard<Arc<World>> {
        self.world.load()
    }

    /// The same, for work that takes longer than a query, such as a reload that compares with it.
    pub fn load_full(&self) -> Arc<World> {
        self.world.load_full()
    }

    /// Replaces the world atomically.
    pub fn replace(&self, mut world: World) {
        world.generation = self.generations.fetch_add(1, Ordering::Relaxed) + 1;
        let old = self.world.swap(Arc::new(world));
        std::thread::spawn(move || {
            while Arc::strong_count(&old) > 1 {
                std::thread::sleep(CHECK_INTERVAL);
            }
            drop(old);
        });
    }
}
