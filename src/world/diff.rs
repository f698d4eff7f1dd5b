//! The changes of a reload: two worlds compared object by object, described by configured IDs.
//!
//! ```text
//!  old World ─┐   objects.rs   each kind as (id, fields as text)
//!             ├─► routes.rs    routes of each table, with prefix lists as one route
//!  new World ─┘   zones.rs     names and records: counts, and a few examples
//!                    └──► Vec<Change>
//! ```
//!
//! Indexes are not comparable across worlds, so everything is compared as text. A pure function, which runs
//! separately from the listeners, once per reload.

mod objects;
mod routes;
#[cfg(test)]
mod tests;
mod zones;

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::World;

pub use routes::table_id;

/// Maximum number of changes that are shown; further ones are counted.
pub const MAX_SHOWN: usize = 50;

/// Maximum length of a field's value, in characters.
const LONGEST_VALUE: usize = 120;

/// A difference between two worlds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The kind of object: `vpc`, `subnet`, `route-table`, `route`, `endpoint`, `zone`, `rule`, `site`,
    /// `client`, `listener`, `setting`, ….
    pub kind: &'static str,
    /// Its ID; for a route, that of its table.
    pub id: String,
    /// What changed.
    pub change: ChangeKind,
}

/// What changed about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was added.
    Added,
    /// It was removed.
    Removed,
    /// It was modified, with a description.
    Changed(String),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, id, change: what } = self;
        match what {
            ChangeKind::Added => write!(f, "{kind} {id} added"),
            ChangeKind::Removed => write!(f, "{kind} {id} removed"),
            ChangeKind::Changed(how) => write!(f, "{kind} {id}: {how}"),
        }
    }
}

/// All differences between two worlds, by kind and ID.
///
/// Equal sources have no differences; different sources may have none either, if only comments or
/// `[[expect]]` entries differ.
pub fn diff(old: &World, new: &World) -> Vec<Change> {
    let mut changes = Vec::new();
    objects::compare(old, new, &mut changes);
    routes::compare(old, new, &mut changes);
    zones::compare(old, new, &mut changes);
    changes
}

/// An object as text: its fields by name. Objects with equal fields are equal.
type Fields = Vec<(&'static str, String)>;

/// The objects of one kind by ID. Several with the same ID are distinguished by a number.
#[derive(Default)]
struct Catalogue {
    objects: BTreeMap<String, Fields>,
}

impl Catalogue {
    fn of(objects: impl Iterator<Item = (String, Fields)>) -> Self {
        let mut unique = UniqueIds::default();
        Self { objects: objects.map(|(id, fields)| (unique.next(id), fields)).collect() }
    }

    /// Adds the differences to a newer catalogue.
    fn compare(&self, new: &Self, kind: &'static str, changes: &mut Vec<Change>) {
        let mut report = |id: &String, what| changes.push(Change { kind, id: id.clone(), change: what });
        for (id, fields) in &self.objects {
            match new.objects.get(id) {
                None => report(id, ChangeKind::Removed),
                Some(now) if now != fields => report(id, ChangeKind::Changed(differing(fields, now))),
                Some(_) => {}
            }
        }
        for id in new.objects.keys().filter(|id| !self.objects.contains_key(*id)) {
            report(id, ChangeKind::Added);
        }
    }
}

/// Generates unique IDs.
#[derive(Default)]
struct UniqueIds {
    /// How often each was requested.
    occurrences: HashMap<String, usize>,
}

impl UniqueIds {
    /// The ID, or `id#2` if it is in use.
    fn next(&mut self, id: String) -> String {
        let Some(occurrences) = self.occurrences.get_mut(&id) else {
            self.occurrences.insert(id.clone(), 1);
            return id;
        };
        *occurrences += 1;
        let next = format!("{id}#{occurrences}");
        // It may be a configured ID.
        self.next(next)
    }
}

/// `cidr 10.0.0.0/24 → 10.0.1.0/24, route_table rtb-1 → rtb-2`.
fn differing(old: &Fields, new: &Fields) -> String {
    let pairs = old.iter().zip(new).filter(|(old, new)| old != new);
    let shown: Vec<String> =
        pairs.map(|((name, old), (_, new))| format!("{name} {} → {}", shown(old), shown(new))).collect();
    shown.join(", ")
}

/// A value that fits on a line; an empty one is shown as `-`.
fn shown(value: &str) -> String {
    if value.is_empty() {
        return "-".to_owned();
    }
    match value.char_indices().nth(LONGEST_VALUE) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

/// Values in one text, in order.
fn list<T: ToString>(values: impl IntoIterator<Item = T>) -> String {
    values.into_iter().map(|value| value.to_string()).collect::<Vec<_>>().join(",")
}
