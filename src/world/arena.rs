//! Storage for the objects of one world, addressed by index.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

/// The index of a `T` in the [`Arena`] of one world. It is meaningless in any other world.
pub struct Index<T> {
    number: u32,
    of: PhantomData<fn() -> T>,
}

impl<T> Index<T> {
    /// The number.
    pub fn number(self) -> u32 {
        self.number
    }
}

impl<T> Clone for Index<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Index<T> {}

impl<T> PartialEq for Index<T> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl<T> Eq for Index<T> {}

impl<T> PartialOrd for Index<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Index<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.number.cmp(&other.number)
    }
}

impl<T> Hash for Index<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

impl<T> fmt::Debug for Index<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.number)
    }
}

/// All objects of one kind. Objects are added only while a world is compiled.
#[derive(Debug)]
pub struct Arena<T> {
    items: Vec<T>,
}

impl<T> Arena<T> {
    /// Adds an object and returns its index.
    pub fn add(&mut self, item: T) -> Index<T> {
        let number =
            u32::try_from(self.items.len()).expect("a world holds fewer than 2^32 objects of a kind");
        self.items.push(item);
        Index { number, of: PhantomData }
    }

    /// Every object with its index, for completion during compilation.
    pub(super) fn indexed_mut(&mut self) -> impl Iterator<Item = (Index<T>, &mut T)> {
        self.items
            .iter_mut()
            .enumerate()
            .map(|(number, item)| (Index { number: number as u32, of: PhantomData }, item))
    }

    /// The index of the next object to be added.
    pub fn next_index(&self) -> Index<T> {
        let number =
            u32::try_from(self.items.len()).expect("a world holds fewer than 2^32 objects of a kind");
        Index { number, of: PhantomData }
    }

    /// Number of objects.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// All objects in the order of insertion.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter()
    }

    /// All objects with their indexes.
    pub fn indexed(&self) -> impl Iterator<Item = (Index<T>, &T)> {
        // `add` ensures that every position fits.
        self.items.iter().enumerate().map(|(i, item)| (Index { number: i as u32, of: PhantomData }, item))
    }
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self { items: Vec::new() }
    }
}

impl<T> std::ops::Index<Index<T>> for Arena<T> {
    type Output = T;

    fn index(&self, index: Index<T>) -> &T {
        &self.items[index.number as usize]
    }
}

impl<T> std::ops::IndexMut<Index<T>> for Arena<T> {
    fn index_mut(&mut self, index: Index<T>) -> &mut T {
        &mut self.items[index.number as usize]
    }
}

/// A value for each object of another arena, in its order.
#[derive(Debug)]
pub struct ArenaMap<K, V> {
    values: Vec<V>,
    of: PhantomData<fn() -> K>,
}

impl<K, V> ArenaMap<K, V> {
    /// Adds the value of the next object, whose index is given.
    pub(super) fn add(&mut self, key: Index<K>, value: V) {
        assert_eq!(key.number as usize, self.values.len(), "values are added in the order of their objects");
        self.values.push(value);
    }

    /// All values, in the order of their objects.
    pub fn iter(&self) -> impl Iterator<Item = &V> {
        self.values.iter()
    }

    /// All values, for completion during compilation.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.values.iter_mut()
    }

    /// All values with the indexes of their objects.
    pub fn indexed(&self) -> impl Iterator<Item = (Index<K>, &V)> {
        // The objects of an arena are fewer than 2^32.
        self.values.iter().enumerate().map(|(i, value)| (Index { number: i as u32, of: PhantomData }, value))
    }
}

impl<K, V> Default for ArenaMap<K, V> {
    fn default() -> Self {
        Self { values: Vec::new(), of: PhantomData }
    }
}

impl<K, V> std::ops::Index<Index<K>> for ArenaMap<K, V> {
    type Output = V;

    fn index(&self, index: Index<K>) -> &V {
        &self.values[index.number as usize]
    }
}

impl<K, V> std::ops::IndexMut<Index<K>> for ArenaMap<K, V> {
    fn index_mut(&mut self, index: Index<K>) -> &mut V {
        &mut self.values[index.number as usize]
    }
}
