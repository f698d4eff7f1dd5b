//! The one place where a new generation replaces the old.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use super::World;

/// The world that answers now.
///
/// Readers take no lock. A replaced world is dropped on a thread of its own, since freeing a large one
/// takes longer than a query may wait.
#[derive(Debug)]
pub struct Live {
    world: ArcSwap<World>,
}

impl Live {
    /// Begins with a world.
    pub fn new(world: World) -> Self {
        Self { world: ArcSwap::from_pointee(world) }
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
    pub fn replace(&self, world: World) {
        let old = self.world.swap(Arc::new(world));
        std::thread::spawn(move || drop(old));
    }
}
