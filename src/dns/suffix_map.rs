//! Longest-suffix match over domain names.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::name::Name;

/// A map from names to values that finds all entries at or above a name.
///
/// A lookup costs one hash per label of the queried name, independent of the number of entries.
#[derive(Clone, Debug)]
pub struct SuffixMap<T> {
    entries: HashMap<Name, T, RandomState>,
}

impl<T> SuffixMap<T> {
    /// Creates an empty map.
    pub fn new() -> Self {
        Self { entries: HashMap::default() }
    }

    /// Iterates over the values at or above `name`, longest suffix first, each with the label count of its
    /// key.
    pub fn covering<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = (usize, &'a T)> {
        let labels = name.label_count();
        name.suffixes()
            .enumerate()
            .filter_map(move |(skipped, suffix)| Some((labels - skipped, self.entries.get(suffix)?)))
    }

    /// Returns the value of the longest suffix of `name` in the map.
    pub fn longest_match(&self, name: &Name) -> Option<&T> {
        if self.is_empty() {
            return None;
        }
        name.suffixes().find_map(|suffix| self.entries.get(suffix))
    }

    /// Sets the value of exactly this name, and returns the previous one.
    pub fn insert(&mut self, name: Name, value: T) -> Option<T> {
        self.entries.insert(name, value)
    }

    /// Returns the value of exactly this name.
    pub fn get(&self, name: &Name) -> Option<&T> {
        self.entries.get(name)
    }

    /// Returns the value of exactly this name, after inserting `T::default()` if there is none.
    pub fn entry_or_default(&mut self, name: Name) -> &mut T
    where
        T: Default,
    {
        self.entries.entry(name).or_default()
    }

    /// Iterates over all entries, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &T)> {
        self.entries.iter()
    }

    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether the map is empty.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<T> Default for SuffixMap<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> FromIterator<(Name, T)> for SuffixMap<T> {
    fn from_iter<I: IntoIterator<Item = (Name, T)>>(entries: I) -> Self {
        Self { entries: entries.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dns::name::tests::{any_name, name};

    #[test]
    fn the_longest_suffix_wins() {
        let mut map = SuffixMap::new();
        assert_eq!(map.longest_match(&name("a.b")), None);
        map.insert(Name::root(), 0);
        map.insert(name("example"), 1);
        map.insert(name("b.example"), 2);
        *map.entry_or_default(name("c.example")) = 3;
        assert_eq!(map.longest_match(&name("x.B.example")), Some(&2));
        assert_eq!(map.longest_match(&name("bb.example")), Some(&1));
        assert_eq!(map.longest_match(&name("org")), Some(&0));
        assert_eq!(map.get(&name("x.b.example")), None);
        let target = name("a.b.example");
        let all: Vec<_> = map.covering(&target).collect();
        assert_eq!(all, [(2, &2), (1, &1), (0, &0)]);
        assert_eq!(map.len(), 4);
    }

    proptest! {
        #[test]
        fn covering_matches_a_linear_scan(
            keys in prop::collection::vec(any_name(), 0..20),
            queried in any_name(),
        ) {
            let map: SuffixMap<Name> = keys.iter().map(|key| (key.clone(), key.clone())).collect();
            let mut scanned: Vec<(usize, &Name)> = map
                .iter()
                .filter(|(key, _)| queried.is_at_or_below(key))
                .map(|(key, value)| (key.label_count(), value))
                .collect();
            scanned.sort_by_key(|(labels, _)| std::cmp::Reverse(*labels));
            prop_assert_eq!(map.covering(&queried).collect::<Vec<_>>(), scanned);
        }
    }
}
