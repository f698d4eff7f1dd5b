//! Comparison of two worlds: which names resolve or route differently from which locations, and which changes
//! cause it.
//!
//! Rows are compared by what affects traffic: the answer, the path, the reach. The order of records, TTLs
//! that count down and hints are ignored. Rows that differ in the same way from the same locations form a
//! group.

mod affected;
mod row_change;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::locations::{AuditLocation, described, has_clients};
use super::names;
use super::row::Row;
use super::survey::Survey;
use super::table;
use crate::dns::{Name, Question, RecordType};
use crate::net::host_prefix;
use crate::world::{Change, PlaceId, PlaceKind, World, diff as changes};
use affected::AffectedObjects;

pub(crate) use row_change::RowChange;

/// Maximum number of rows of a group that are examined for causes: they differ in the same way.
const MAX_ROWS_EXAMINED: usize = 100;

/// The differences between two worlds.
#[derive(Debug)]
pub(crate) struct Differences<'w> {
    /// Groups of rows, the largest first.
    pub groups: Vec<DifferenceGroup>,
    /// Locations that exist only in the old world.
    pub only_before: Vec<String>,
    /// Locations that exist only in the new world.
    pub only_after: Vec<String>,
    /// The changes of the configuration, object by object.
    pub changes: Vec<Change>,
    /// Number of questions.
    pub queried: usize,
    /// Number of locations.
    pub places: usize,
    surveys: [Survey<'w>; 2],
}

/// Names that differ in the same way from the same locations.
#[derive(Debug)]
pub(crate) struct DifferenceGroup {
    /// The locations, as text.
    pub places: Vec<String>,
    /// How they differ.
    pub change: RowChange,
    /// A row of each name, from the first of the locations.
    pub rows: Vec<LocationPair>,
    /// The causes: the changes that affect the rows; all changes if none does.
    pub causes: Vec<Change>,
    /// Whether the causes affect the rows.
    pub is_attributed: bool,
}

/// A name in both worlds.
#[derive(Clone, Debug)]
pub(crate) struct LocationPair {
    /// In the old world.
    pub before: Row,
    /// In the new world.
    pub after: Row,
}

impl Differences<'_> {
    /// Whether there are no differences.
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.only_before.is_empty() && self.only_after.is_empty()
    }

    /// Notes for the reader.
    pub(crate) fn notes(&self) -> Vec<&'static str> {
        let mut notes = table::notes(&self.surveys[0]);
        for note in table::notes(&self.surveys[1]) {
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        notes
    }
}

/// A location in both worlds.
struct BothWorlds {
    before: AuditLocation,
    after: AuditLocation,
}

/// Compares two worlds: the names of AWS services in their regions, their own names, and additional ones.
pub(crate) fn diff<'w>(
    old: &'w World,
    new: &'w World,
    more: &[Name],
    types: &[RecordType],
) -> Differences<'w> {
    let questions = questions([old, new], more, types);
    let places = places(old, new);
    let before: Vec<AuditLocation> = places.iter().map(|both| both.before.clone()).collect();
    let after: Vec<AuditLocation> = places.iter().map(|both| both.after.clone()).collect();
    let surveys = [Survey::of(old, &before, questions.clone()), Survey::of(new, &after, questions)];
    let changes: Vec<Change> = changes(old, new);
    let groups = groups(&surveys, &places, &changes);
    Differences {
        groups,
        only_before: alone(old, new),
        only_after: alone(new, old),
        queried: surveys[0].questions.len(),
        places: places.len(),
        changes,
        surveys,
    }
}

/// The locations of one world that the other does not have.
fn alone(one: &World, other: &World) -> Vec<String> {
    let mut names: Vec<String> = one
        .network
        .places
        .names()
        .filter(|name| other.network.places.named(name).is_none())
        .map(|name| name.to_string())
        .collect();
    names.sort_unstable();
    names
}

fn questions(worlds: [&World; 2], more: &[Name], types: &[RecordType]) -> Vec<Arc<Question>> {
    let mut all: BTreeSet<(Name, u16)> = BTreeSet::new();
    for world in worlds {
        let regions = names::regions(world, &[], false);
        let services = names::service_names(world, &regions);
        let plain = services.iter().chain(more);
        all.extend(plain.flat_map(|name| types.iter().map(|rtype| (name.clone(), rtype.0))));
        all.extend(names::own_questions(world, types));
    }
    all.into_iter().map(|(name, rtype)| names::question(name, RecordType(rtype))).collect()
}

/// The locations of both worlds, matched by name, and splits of a location by address.
fn places(old: &World, new: &World) -> Vec<BothWorlds> {
    let mut pairs: Vec<(PlaceId, PlaceId)> = Vec::new();
    let mut known = HashSet::new();
    let mut add = |pair| {
        if known.insert(pair) {
            pairs.push(pair);
        }
    };
    let mut names: Vec<&Arc<str>> = old.network.places.names().collect();
    names.sort_unstable();
    for name in names {
        if let Some(pair) = old.network.places.named(name).zip(new.network.places.named(name)) {
            add(pair);
        }
    }
    let cut = |world: &World| {
        let all = world.network.places.indexed().map(|(index, _)| index);
        let cut =
            all.filter(|place| world.network.places.named(&world.network.place_name(*place)) != Some(*place));
        cut.filter(|place| has_clients(world, *place)).collect::<Vec<_>>()
    };
    for place in cut(old) {
        let name = old.network.place_name(place);
        for sample in &old.network.places[place].samples {
            if let Some(fellow) = at(new, &name, *sample) {
                add((place, fellow));
            }
        }
    }
    for place in cut(new) {
        let name = new.network.place_name(place);
        for sample in &new.network.places[place].samples {
            if let Some(fellow) = at(old, &name, *sample) {
                add((fellow, place));
            }
        }
    }
    let both = |(before, after)| {
        let before = AuditLocation::in_place(old, before, None).ok()?;
        let after = AuditLocation::in_place(new, after, None).ok()?;
        Some(BothWorlds { before, after })
    };
    pairs.into_iter().filter_map(both).collect()
}

/// The place with a name that contains an address.
fn at(world: &World, name: &str, address: IpAddr) -> Option<PlaceId> {
    let place = match world.network.places[world.network.places.named(name)?].kind {
        PlaceKind::Subnet(subnet) => {
            world.network.places.find_in_vpc(address, world.network.subnets[subnet].vpc)?
        }
        PlaceKind::Site(_) | PlaceKind::Outside => {
            world.network.places.find(host_prefix(address), None).ok()?
        }
    };
    (*world.network.place_name(place) == *name && has_clients(world, place)).then_some(place)
}

/// Pairs of rows that differ, by question and difference; with the indexes of the locations.
type FoundChanges<'s> = BTreeMap<(usize, RowChange), (Vec<usize>, &'s Row, &'s Row)>;

/// The rows that differ, once for equal locations.
fn find_changes<'s>(surveys: &'s [Survey<'_>; 2], places: &[BothWorlds]) -> FoundChanges<'s> {
    let group_of = |survey: &Survey<'_>| {
        let mut of = HashMap::new();
        for (number, group) in survey.groups.iter().enumerate() {
            of.extend(group.locations.iter().map(|location| (location.vantage, number)));
        }
        of
    };
    let [of_before, of_after] = [group_of(&surveys[0]), group_of(&surveys[1])];
    // Locations that are equal in both worlds are compared once.
    let mut classes: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
    for (number, both) in places.iter().enumerate() {
        let class = (of_before[&both.before.vantage], of_after[&both.after.vantage]);
        classes.entry(class).or_default().push(number);
    }
    let mut found: FoundChanges<'_> = BTreeMap::new();
    for ((before, after), numbers) in &classes {
        let before = surveys[0].rows(&surveys[0].groups[*before]);
        let after = surveys[1].rows(&surveys[1].groups[*after]);
        for (at, (before, after)) in before.zip(after).enumerate() {
            if let Some(otherwise) = RowChange::of(before, after) {
                let entry = found.entry((at, otherwise)).or_insert_with(|| (Vec::new(), before, after));
                entry.0.extend(numbers);
            }
        }
    }
    found
}

/// The differences, grouped by difference and locations, with their causes.
fn groups(surveys: &[Survey<'_>; 2], places: &[BothWorlds], changes: &[Change]) -> Vec<DifferenceGroup> {
    let mut together: BTreeMap<(RowChange, Vec<usize>), Vec<LocationPair>> = BTreeMap::new();
    for ((_, otherwise), (mut numbers, before, after)) in find_changes(surveys, places) {
        numbers.sort_unstable();
        let pair = LocationPair { before: before.clone(), after: after.clone() };
        together.entry((otherwise, numbers)).or_default().push(pair);
    }
    let group = |((change, numbers), rows): ((RowChange, Vec<usize>), Vec<LocationPair>)| {
        let locations: Vec<&BothWorlds> = numbers.iter().map(|number| &places[*number]).collect();
        let (causes, is_attributed) = causes(surveys, &locations, &rows, changes);
        // A location that is split in one world only is described by that world's prefixes.
        let described_by = |both: &&BothWorlds| {
            if both.before.prefixes.is_empty() { both.after.clone() } else { both.before.clone() }
        };
        let locations: Vec<AuditLocation> = locations.iter().map(described_by).collect();
        DifferenceGroup { places: described(locations.iter()), change, rows, causes, is_attributed }
    };
    let mut groups: Vec<DifferenceGroup> = together.into_iter().map(group).collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.rows.len()));
    groups
}

/// The changes that affect rows; if none does, all that may have an effect. And whether any affects them.
fn causes(
    surveys: &[Survey<'_>; 2],
    locations: &[&BothWorlds],
    rows: &[LocationPair],
    changes: &[Change],
) -> (Vec<Change>, bool) {
    let touched = AffectedObjects::of(surveys, locations, rows.iter().take(MAX_ROWS_EXAMINED));
    let causes: Vec<Change> = changes.iter().filter(|change| touched.by(change)).cloned().collect();
    if !causes.is_empty() {
        return (causes, true);
    }
    (changes.iter().filter(|change| affected::may_have_effect(change)).cloned().collect(), false)
}
