//! The one place where a new generation replaces the old.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};

use super::World;

/// How often somebody looks whether the old world is still in use.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The world that answers now.
///
/// Readers take no lock. A replaced world is dropped on a thread of its own, when the last question that began
/// in it has its answer: freeing a large one takes longer than a query may wait.
#[derive(Debug)]
pub struct Live {
    world: ArcSwap<World>,
    generations: AtomicU64,
}

impl Live {
    /// Begins with a world.
    pub fn new(mut world: World) -> Self {
        world.generation = 1;
        Self { world: ArcSwap::from_pointee(world), generations: AtomicU64::new(1) }
    }

    /// The world of this moment. Hold it for one query, not longer.
    pub fn load(&self) -> Guard<Arc<World>> {
        self.world.load()
    }

    /// The same, for work that takes longer than a query: a reload compares with it.
    pub fn load_full(&self) -> Arc<World> {
        self.world.load_full()
    }

    /// Replaces the world in one step.
    pub fn replace(&self, mut world: World) {
        world.generation = self.generations.fetch_add(1, Ordering::Relaxed) + 1;
        let old = self.world.swap(Arc::new(world));
        std::thread::spawn(move || {
            while Arc::strong_count(&old) > 1 {
                std::thread::sleep(LOOK_EVERY);
            }
            drop(old);
        });
    }
}
