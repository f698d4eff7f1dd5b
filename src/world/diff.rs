//! What a reload changed: two worlds compared object by object, told by the ids that the user wrote.
//!
//! ```text
//!  old World ─┐   objects.rs   each kind as (id, fields as text)
//!             ├─► routes.rs    each table's routes, a prefix list told once
//!  new World ─┘   zones.rs     names and records counted, a few shown
//!                    └──► Vec<Change>
//! ```
//!
//! Numbers mean nothing across worlds, so everything is compared by its text. A pure function: it runs
//! beside the doors, once a reload.

mod objects;
mod routes;
#[cfg(test)]
mod tests;
mod zones;

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::World;

pub use routes::table_id;

/// How many changes a person is shown; what is beyond is counted.
pub const MOST_TOLD: usize = 50;

/// How much of one field's value is shown, in characters.
const LONGEST_VALUE: usize = 120;

/// Something that is otherwise in the new world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What sort of thing: `vpc`, `subnet`, `route-table`, `route`, `endpoint`, `zone`, `rule`, `site`,
    /// `client`, `listener`, `setting`, ….
    pub kind: &'static str,
    /// Its id; for a route its table's.
    pub id: String,
    /// What became of it.
    pub what: What,
}

/// What became of a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is otherwise: how, in words.
    Changed(String),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, id, what } = self;
        match what {
            What::Added => write!(f, "{kind} {id} added"),
            What::Removed => write!(f, "{kind} {id} removed"),
            What::Changed(how) => write!(f, "{kind} {id}: {how}"),
        }
    }
}

/// Everything that differs between two worlds, kind by kind, in the order of ids.
///
/// Equal texts give no change; other texts may give none either, where only comments or `[[expect]]`
/// entries differ.
pub fn diff(old: &World, new: &World) -> Vec<Change> {
    let mut changes = Vec::new();
    objects::compare(old, new, &mut changes);
    routes::compare(old, new, &mut changes);
    zones::compare(old, new, &mut changes);
    changes
}

/// An object as text: its fields by name. Two objects with equal fields are the same.
type Fields = Vec<(&'static str, String)>;

/// The objects of one kind by id. Two of one id are told apart by a number.
#[derive(Default)]
struct Catalogue {
    objects: BTreeMap<String, Fields>,
}

impl Catalogue {
    fn of(objects: impl Iterator<Item = (String, Fields)>) -> Self {
        let mut unique = Unique::default();
        Self { objects: objects.map(|(id, fields)| (unique.give(id), fields)).collect() }
    }

    /// Tells what differs from this catalogue in a newer one.
    fn compare(&self, new: &Self, kind: &'static str, changes: &mut Vec<Change>) {
        let mut told = |id: &String, what| changes.push(Change { kind, id: id.clone(), what });
        for (id, fields) in &self.objects {
            match new.objects.get(id) {
                None => told(id, What::Removed),
                Some(now) if now != fields => told(id, What::Changed(differing(fields, now))),
                Some(_) => {}
            }
        }
        for id in new.objects.keys().filter(|id| !self.objects.contains_key(*id)) {
            told(id, What::Added);
        }
    }
}

/// Ids that are given once.
#[derive(Default)]
struct Unique {
    /// How often each was asked for.
    asked: HashMap<String, usize>,
}

impl Unique {
    /// The id, or `id#2` where it is given already.
    fn give(&mut self, id: String) -> String {
        let Some(asked) = self.asked.get_mut(&id) else {
            self.asked.insert(id.clone(), 1);
            return id;
        };
        *asked += 1;
        let next = format!("{id}#{asked}");
        // Somebody may have written that one.
        self.give(next)
    }
}

/// `cidr 10.0.0.0/24 → 10.0.1.0/24, route_table rtb-1 → rtb-2`.
fn differing(old: &Fields, new: &Fields) -> String {
    let pairs = old.iter().zip(new).filter(|(old, new)| old != new);
    let told: Vec<String> =
        pairs.map(|((name, old), (_, new))| format!("{name} {} → {}", shown(old), shown(new))).collect();
    told.join(", ")
}

/// A value that fits a line; nothing is told as `-`.
fn shown(value: &str) -> String {
    if value.is_empty() {
        return "-".to_owned();
    }
    match value.char_indices().nth(LONGEST_VALUE) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

/// Values in one text, in their order.
fn list<T: ToString>(values: impl IntoIterator<Item = T>) -> String {
    values.into_iter().map(|value| value.to_string()).collect::<Vec<_>>().join(",")
}
