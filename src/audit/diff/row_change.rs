//! Descriptions of how two rows differ: rows with the same description are grouped.

use std::collections::BTreeSet;

use crate::audit::row::{PathCell, Row};
use crate::resolve::EgressPath;

/// The result in both worlds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RowChange {
    /// In the old world.
    pub before: String,
    /// In the new world.
    pub after: String,
}

impl RowChange {
    /// How two rows differ; `None` if the difference does not affect traffic.
    pub(super) fn of(before: &Row, after: &Row) -> Option<Self> {
        if !differ(before, after) {
            return None;
        }
        let described = Self { before: described(before, after), after: described(after, before) };
        if described.before != described.after {
            return Some(described);
        }
        // The same paths with a different assignment of addresses.
        Some(Self { before: per_path(before), after: per_path(after) })
    }
}

/// Whether traffic is affected.
fn differ(before: &Row, after: &Row) -> bool {
    let paths = |row: &Row| {
        let path = |path: &PathCell| {
            (
                path.addresses.clone(),
                path.path.class,
                path.path.via.clone(),
                path.path.reach,
                path.destinations.clone(),
            )
        };
        row.paths.iter().map(path).collect::<Vec<_>>()
    };
    before.rcode != after.rcode
        || before.records != after.records
        || before.ttls != after.ttls
        || before.is_unresolved != after.is_unresolved
        || paths(before) != paths(after)
}

/// The parts of a row that differ from another one. Addresses are included only if nothing else differs, so
/// that names with different addresses can be grouped.
fn described(row: &Row, other: &Row) -> String {
    let plain = |row: &Row| {
        let mut paths: Vec<String> = Vec::new();
        for path in &row.paths {
            let described = describe_path(&path.path);
            if !paths.contains(&described) {
                paths.push(described);
            }
        }
        paths.sort_unstable();
        match paths.is_empty() {
            false => paths.join(" and "),
            true if row.is_unresolved => "not queried".to_owned(),
            true if !row.records.is_empty() => "records".to_owned(),
            true => format!("no address ({})", row.rcode),
        }
    };
    let mut described = plain(row);
    if row.answered_by() != other.answered_by() {
        described = format!("{}: {described}", row.answered_by());
    }
    let addresses =
        |row: &Row| row.addresses().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if plain(row) != plain(other) {
        return described;
    }
    let destinations = |row: &Row| {
        let all: BTreeSet<&str> =
            row.paths.iter().flat_map(|path| &path.destinations).map(String::as_str).collect();
        all.into_iter().collect::<Vec<_>>().join(", ")
    };
    let ttls = |row: &Row| {
        let ttls: BTreeSet<u32> = row.ttls.iter().map(|(_, _, ttl)| *ttl).collect();
        ttls.iter().map(|ttl| format!("TTL {ttl}")).collect::<Vec<_>>().join(", ")
    };
    if addresses(row) != addresses(other) {
        described = format!("{} by {described}", addresses(row));
    } else if destinations(row) != destinations(other) {
        described = format!("{described}, in {}", destinations(row));
    }
    if row.records != other.records {
        described = format!("{described}: {}", row.records.join(", "));
    }
    if ttls(row) != ttls(other) {
        described = format!("{described}, {}", ttls(row));
    }
    described
}

/// Each path with its addresses.
fn per_path(row: &Row) -> String {
    let described = row.paths.iter().map(|path| {
        let addresses: Vec<String> = path.addresses.iter().map(ToString::to_string).collect();
        format!(
            "{} by {} in {}",
            addresses.join(", "),
            describe_path(&path.path),
            path.destinations.join(", ")
        )
    });
    described.collect::<Vec<_>>().join(" and ")
}

fn describe_path(path: &EgressPath) -> String {
    let via = match path.via.is_empty() {
        true => String::new(),
        false => format!(" via {}", path.via.join(" → ")),
    };
    format!("{}{via} {}", path.class.as_str(), path.reach.as_str())
}
