//! Descriptions of how two rows differ: rows with the same description are grouped.

use std::collections::BTreeSet;

use crate::audit::row::{Row, PathCell};
use crate::resolve::EgressPath;

/// The result in both worlds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowChange {
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
        let told = Self { before: described(before, after), after: described(after, before) };
        if told.before != told.after {
            return Some(told);
        }
        // The same paths with a different assignment of addresses.
        Some(Self { before: way_by_way(before), after: way_by_way(after) })
    }
}

/// Whether traffic is affected.
fn differ(before: &Row, after: &Row) -> bool {
    let ways = |row: &Row| {
        let way = |way: &PathCell| {
            (way.addresses.clone(), way.path.class, way.path.via.clone(), way.path.reach, way.lands.clone())
        };
        row.ways.iter().map(way).collect::<Vec<_>>()
    };
    before.rcode != after.rcode
        || before.records != after.records
        || before.ttls != after.ttls
        || before.is_unasked != after.is_unasked
        || ways(before) != ways(after)
}

/// The parts of a row that differ from another one. Addresses are included only if nothing else differs, so
/// that names with different addresses can be grouped.
fn described(row: &Row, other: &Row) -> String {
    let plain = |row: &Row| {
        let mut ways: Vec<String> = Vec::new();
        for way in &row.ways {
            let told = way_told(&way.path);
            if !ways.contains(&told) {
                ways.push(told);
            }
        }
        ways.sort_unstable();
        match ways.is_empty() {
            false => ways.join(" and "),
            true if row.is_unasked => "not asked".to_owned(),
            true if !row.records.is_empty() => "records".to_owned(),
            true => format!("no address ({})", row.rcode),
        }
    };
    let mut told = plain(row);
    if row.answered_by() != other.answered_by() {
        told = format!("{}: {told}", row.answered_by());
    }
    let addresses =
        |row: &Row| row.addresses().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if plain(row) != plain(other) {
        return told;
    }
    let lands = |row: &Row| {
        let all: BTreeSet<&str> = row.ways.iter().flat_map(|way| &way.lands).map(String::as_str).collect();
        all.into_iter().collect::<Vec<_>>().join(", ")
    };
    let ttls = |row: &Row| {
        let ttls: BTreeSet<u32> = row.ttls.iter().map(|(_, _, ttl)| *ttl).collect();
        ttls.iter().map(|ttl| format!("TTL {ttl}")).collect::<Vec<_>>().join(", ")
    };
    if addresses(row) != addresses(other) {
        told = format!("{} by {told}", addresses(row));
    } else if lands(row) != lands(other) {
        told = format!("{told}, in {}", lands(row));
    }
    if row.records != other.records {
        told = format!("{told}: {}", row.records.join(", "));
    }
    if ttls(row) != ttls(other) {
        told = format!("{told}, {}", ttls(row));
    }
    told
}

/// Each path with its addresses.
fn way_by_way(row: &Row) -> String {
    let told = row.ways.iter().map(|way| {
        let addresses: Vec<String> = way.addresses.iter().map(ToString::to_string).collect();
        format!("{} by {} in {}", addresses.join(", "), way_told(&way.path), way.lands.join(", "))
    });
    told.collect::<Vec<_>>().join(" and ")
}

fn way_told(path: &EgressPath) -> String {
    let via = match path.via.is_empty() {
        true => String::new(),
        false => format!(" via {}", path.via.join(" → ")),
    };
    format!("{}{via} {}", path.class.as_str(), path.reach.as_str())
}
