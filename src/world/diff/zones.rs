//! Zones: how many names and records differ, and the first few of them.

use std::collections::BTreeMap;

use super::objects::Holders;
use super::{Change, ChangeKind, UniqueIds, list};
use crate::config::count;
use crate::dns::{Name, RrSet};
use crate::world::{Claim, Content, Node, World, Zone};

/// Maximum number of record sets of one zone that are shown.
const RECORDS_SHOWN: usize = 3;

/// A zone with its views.
struct ZoneInViews<'w> {
    zone: &'w Zone,
    views: String,
}

/// Compares hosted zones, simulated zones of sites, and configured public records.
pub(super) fn compare(old: &World, new: &World, changes: &mut Vec<Change>) {
    let (old, new) = (zones(old), zones(new));
    let mut report = |id: &String, what| changes.push(Change { kind: "zone", id: id.clone(), change: what });
    for (id, before) in &old {
        match new.get(id) {
            None => report(id, ChangeKind::Removed),
            Some(after) => {
                if let Some(how) = differing(before, after) {
                    report(id, ChangeKind::Changed(how));
                }
            }
        }
    }
    for id in new.keys().filter(|id| !old.contains_key(*id)) {
        report(id, ChangeKind::Added);
    }
}

fn zones(world: &World) -> BTreeMap<String, ZoneInViews<'_>> {
    let (mut zones, mut unique) = (BTreeMap::new(), UniqueIds::default());
    let holders = Holders::of_world(world);
    for (index, hosted) in world.names.hosted_zones.indexed() {
        let apex = hosted.zone.apex();
        let views = holders.of(world, Claim::HostedZone(index));
        let id = if hosted.id.trim_end_matches('.') == apex.to_string().trim_end_matches('.') {
            apex.to_string()
        } else {
            format!("{apex} ({})", hosted.id)
        };
        zones.insert(unique.next(id), ZoneInViews { zone: &hosted.zone, views });
    }
    for (site, names) in world.names.sites.indexed() {
        for (apex, zone) in names.zones.iter() {
            let id = unique.next(format!("{apex} ({})", world.network.sites[site].id));
            zones.insert(id, ZoneInViews { zone, views: String::new() });
        }
    }
    zones.insert(
        "public records".to_owned(),
        ZoneInViews { zone: &world.names.public.records, views: String::new() },
    );
    zones
}

/// How a zone differs; `None` if it does not.
fn differing(old: &ZoneInViews<'_>, new: &ZoneInViews<'_>) -> Option<String> {
    let mut report = Vec::new();
    if old.views != new.views {
        report.push(format!("views {} → {}", super::shown(&old.views), super::shown(&new.views)));
    }
    if old.zone.soa() != new.zone.soa() {
        report.push("SOA changed".to_owned());
    }
    let (mut added, mut removed, mut changed) = (0, 0, 0);
    let mut records = Vec::new();
    for (owner, node) in old.zone.nodes() {
        match new.zone.node(owner) {
            None => {
                removed += usize::from(has_records(node));
                differing_records(owner, Some(node), None, &mut records);
            }
            Some(now) => {
                let before = records.len();
                differing_records(owner, Some(node), Some(now), &mut records);
                changed += usize::from(records.len() > before);
            }
        }
    }
    for (owner, node) in new.zone.nodes().filter(|(owner, _)| old.zone.node(owner).is_none()) {
        added += usize::from(has_records(node));
        differing_records(owner, None, Some(node), &mut records);
    }
    for (n, what) in [(added, "added"), (removed, "removed"), (changed, "changed")] {
        if n > 0 {
            report.push(format!("{} {what}", count(n, "name")));
        }
    }
    if report.is_empty() {
        return None;
    }
    let mut text = report.join(", ");
    if !records.is_empty() {
        // The names of a zone are in arbitrary order, on which the log must not depend.
        records.sort_unstable();
        let total = records.len();
        text.push_str(&format!("; {}: ", count(total, "record set")));
        text.push_str(&records[..total.min(RECORDS_SHOWN)].join("; "));
        if total > RECORDS_SHOWN {
            text.push_str("; …");
        }
    }
    Some(text)
}

/// Empty non-terminals have no records and were not configured.
fn has_records(node: &Node) -> bool {
    !node.is_empty_non_terminal()
}

/// `db.corp. A 10.0.0.1 → 10.0.0.2` for each type that differs.
fn differing_records(owner: &Name, old: Option<&Node>, new: Option<&Node>, report: &mut Vec<String>) {
    if let (Some(old), Some(new)) = (old, new)
        && old == new
    {
        return;
    }
    let (old, new) = (old.map(sets).unwrap_or_default(), new.map(sets).unwrap_or_default());
    let nothing = String::new();
    let types = old.keys().chain(new.keys().filter(|rtype| !old.contains_key(*rtype)));
    for rtype in types {
        let [before, after] = [&old, &new].map(|sets| sets.get(rtype).unwrap_or(&nothing));
        if before != after {
            report.push(format!("{owner} {rtype} {} → {}", super::shown(before), super::shown(after)));
        }
    }
}

/// The values of each type, with the TTL, as text.
fn sets(node: &Node) -> BTreeMap<String, String> {
    let mut sets = BTreeMap::new();
    for set in &node.rrsets {
        sets.insert(set.rtype.to_string(), values(set));
    }
    for (rtype, target) in node.aliases() {
        sets.insert(rtype.to_string(), format!("alias {target}"));
    }
    for routed in node.routed() {
        let each = routed.sets.iter().map(|set| {
            let content = match &set.content {
                Content::Records(set) => values(set),
                Content::Alias(target) => format!("alias {target}"),
            };
            let health = if set.is_healthy { "" } else { " unhealthy" };
            format!("{} ({}{health}) {content}", set.identifier, set.routing)
        });
        sets.insert(routed.rtype.to_string(), list(each));
    }
    sets
}

/// The values of a record set, with its TTL.
fn values(set: &RrSet) -> String {
    let values = list(set.rdatas.iter().map(|rdata| rdata.to_text(set.rtype)));
    format!("{values} ttl {}", set.ttl)
}
