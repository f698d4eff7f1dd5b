//! Two worlds: which names go otherwise from which places, and what in the world made it so.
//!
//! Rows are compared by what traffic sees of them: the answer, the way, the reach. Order of records, TTLs that count down
//! and hints are no difference. Rows that differ in the same way from the same places are one group.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::names;
use super::places::{Asker, has_clients, told};
use super::row::{Row, Way};
use super::survey::Survey;
use super::table;
use crate::dns::{Name, Question, RecordType};
use crate::explain::Lands;
use crate::net::host;
use crate::resolve::{EgressPath, FilterId, Reason, Source};
use crate::world::{Change, PlaceId, Standing, What, World, diff as changes, table_id};

/// How many rows of a group are looked at for what made the difference: they differ in the same way.
const MOST_ROWS_ASKED: usize = 100;

/// Kinds of changes that no name goes otherwise by: who stands where, and where is listened.
const WITHOUT_EFFECT: [&str; 2] = ["client", "listener"];

/// What two worlds differ in.
#[derive(Debug)]
pub struct Differences<'w> {
    /// Groups of rows, the largest first.
    pub groups: Vec<Group>,
    /// Places of the old world alone.
    pub only_before: Vec<String>,
    /// Places of the new world alone.
    pub only_after: Vec<String>,
    /// What changed in the world, object by object.
    pub changes: Vec<Change>,
    /// How many questions were asked.
    pub asked: usize,
    /// From how many places.
    pub places: usize,
    surveys: [Survey<'w>; 2],
}

/// Names that go otherwise in the same way from the same places.
#[derive(Debug)]
pub struct Group {
    /// The places, as a person tells them.
    pub places: Vec<String>,
    /// How.
    pub change: Otherwise,
    /// A row of each name, from the first of the places.
    pub rows: Vec<Pair>,
    /// What in the world made it so: the changes that the rows touch; all changes where none is touched.
    pub causes: Vec<Change>,
    /// Whether the causes are touched by the rows.
    pub is_attributed: bool,
}

/// What was, and what is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Otherwise {
    /// In the old world.
    pub before: String,
    /// In the new world.
    pub after: String,
}

/// One name in both worlds.
#[derive(Clone, Debug)]
pub struct Pair {
    /// In the old world.
    pub before: Row,
    /// In the new world.
    pub after: Row,
}

impl Differences<'_> {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.only_before.is_empty() && self.only_after.is_empty()
    }

    /// What the reader must know.
    pub fn notes(&self) -> Vec<&'static str> {
        let mut notes = table::notes(&self.surveys[0]);
        for note in table::notes(&self.surveys[1]) {
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        notes
    }
}

/// A place of both worlds.
struct Both {
    before: Asker,
    after: Asker,
}

/// Compares two worlds: the names of AWS's services in their regions, their own names, and some more.
pub fn diff<'w>(old: &'w World, new: &'w World, more: &[Name], types: &[RecordType]) -> Differences<'w> {
    let questions = questions([old, new], more, types);
    let places = places(old, new);
    let before: Vec<Asker> = places.iter().map(|both| both.before.clone()).collect();
    let after: Vec<Asker> = places.iter().map(|both| both.after.clone()).collect();
    let surveys = [Survey::of(old, &before, questions.clone()), Survey::of(new, &after, questions)];
    let changes: Vec<Change> = changes(old, new);
    let groups = groups(&surveys, &places, &changes);
    Differences {
        groups,
        only_before: alone(old, new),
        only_after: alone(new, old),
        asked: surveys[0].questions.len(),
        places: places.len(),
        changes,
        surveys,
    }
}

/// The places of one world that the other has none of that name for.
fn alone(one: &World, other: &World) -> Vec<String> {
    let mut names: Vec<String> = one
        .places
        .names()
        .filter(|name| other.place_named(name).is_none())
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

/// The places of both worlds, each with its fellow: by name, and those that are cut out by their addresses.
fn places(old: &World, new: &World) -> Vec<Both> {
    let mut pairs: Vec<(PlaceId, PlaceId)> = Vec::new();
    let mut known = HashSet::new();
    let mut add = |pair| {
        if known.insert(pair) {
            pairs.push(pair);
        }
    };
    let mut names: Vec<&Arc<str>> = old.places.names().collect();
    names.sort_unstable();
    for name in names {
        if let Some(pair) = old.place_named(name).zip(new.place_named(name)) {
            add(pair);
        }
    }
    let cut = |world: &World| {
        let all = world.places.indexed().map(|(index, _)| index);
        let cut = all.filter(|place| world.place_named(&world.place_name(*place)) != Some(*place));
        cut.filter(|place| has_clients(world, *place)).collect::<Vec<_>>()
    };
    for place in cut(old) {
        let name = old.place_name(place);
        for sample in &old.places[place].samples {
            if let Some(fellow) = at(new, &name, *sample) {
                add((place, fellow));
            }
        }
    }
    for place in cut(new) {
        let name = new.place_name(place);
        for sample in &new.places[place].samples {
            if let Some(fellow) = at(old, &name, *sample) {
                add((fellow, place));
            }
        }
    }
    let both = |(before, after)| {
        let before = Asker::in_place(old, before, None).ok()?;
        let after = Asker::in_place(new, after, None).ok()?;
        Some(Both { before, after })
    };
    pairs.into_iter().filter_map(both).collect()
}

/// The place of a name that holds an address.
fn at(world: &World, name: &str, address: IpAddr) -> Option<PlaceId> {
    let place = match world.places[world.place_named(name)?].standing {
        Standing::Subnet(subnet) => world.places.find_in_vpc(address, world.subnets[subnet].vpc)?,
        Standing::Site(_) | Standing::Outside => world.places.find(host(address), None).ok()?,
    };
    (*world.place_name(place) == *name && has_clients(world, place)).then_some(place)
}

/// What is said of one question, by the places that say it.
type Found<'s> = BTreeMap<(usize, Otherwise), (Vec<usize>, &'s Row, &'s Row)>;

fn groups(surveys: &[Survey<'_>; 2], places: &[Both], changes: &[Change]) -> Vec<Group> {
    // Places that are equal in both worlds are compared once.
    let group_of = |survey: &Survey<'_>| {
        let mut of = HashMap::new();
        for (number, group) in survey.groups.iter().enumerate() {
            of.extend(group.askers.iter().map(|asker| (asker.vantage, number)));
        }
        of
    };
    let [of_before, of_after] = [group_of(&surveys[0]), group_of(&surveys[1])];
    let mut classes: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
    for (number, both) in places.iter().enumerate() {
        let class = (of_before[&both.before.vantage], of_after[&both.after.vantage]);
        classes.entry(class).or_default().push(number);
    }
    let mut found: Found<'_> = BTreeMap::new();
    for ((before, after), numbers) in &classes {
        let before = surveys[0].rows(&surveys[0].groups[*before]);
        let after = surveys[1].rows(&surveys[1].groups[*after]);
        for (at, (before, after)) in before.zip(after).enumerate().filter(|(_, (b, a))| differ(b, a)) {
            let mut otherwise =
                Otherwise { before: described(before, after), after: described(after, before) };
            if otherwise.before == otherwise.after {
                // The same ways, with their addresses dealt out otherwise.
                otherwise = Otherwise { before: way_by_way(before), after: way_by_way(after) };
            }
            let entry = found.entry((at, otherwise)).or_insert_with(|| (Vec::new(), before, after));
            entry.0.extend(numbers);
        }
    }
    let mut together: BTreeMap<(Otherwise, Vec<usize>), Vec<Pair>> = BTreeMap::new();
    for ((_, otherwise), (mut numbers, before, after)) in found {
        numbers.sort_unstable();
        let pair = Pair { before: before.clone(), after: after.clone() };
        together.entry((otherwise, numbers)).or_default().push(pair);
    }
    let mut groups: Vec<Group> = together
        .into_iter()
        .map(|((change, numbers), rows)| {
            let askers: Vec<&Both> = numbers.iter().map(|number| &places[*number]).collect();
            let asked = rows.iter().take(MOST_ROWS_ASKED);
            let touched = Touched::of(surveys, &askers, asked);
            let mut causes: Vec<Change> =
                changes.iter().filter(|change| touched.by(change)).cloned().collect();
            let is_attributed = !causes.is_empty();
            if !is_attributed {
                let others = changes.iter().filter(|change| !WITHOUT_EFFECT.contains(&change.kind));
                causes = others.cloned().collect();
            }
            // A place that is cut out in one world alone is told by that world's prefixes.
            let told_by = |both: &&Both| {
                if both.before.prefixes.is_empty() { both.after.clone() } else { both.before.clone() }
            };
            let askers: Vec<Asker> = askers.iter().map(told_by).collect();
            Group { places: told(askers.iter()), change, rows, causes, is_attributed }
        })
        .collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.rows.len()));
    groups
}

/// Whether traffic sees a difference.
fn differ(before: &Row, after: &Row) -> bool {
    let ways = |row: &Row| {
        let way = |way: &Way| {
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

/// What a row says, as far as the other says otherwise. Addresses stand in it only where nothing else tells the two apart,
/// so that names with addresses of their own are told together.
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

/// Each way with its addresses.
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

/// Whether a name is an endpoint's regional one, one of its zones', or below them.
fn is_name_of(name: &str, regional: &str) -> bool {
    let Some((first, rest)) = regional.split_once('.') else { return false };
    let above = name.strip_suffix(rest).and_then(|above| above.strip_suffix('.'));
    let label = above.and_then(|above| above.rsplit('.').next());
    label
        .and_then(|label| label.strip_prefix(first))
        .is_some_and(|zone| zone.is_empty() || zone.starts_with('-'))
}

/// What rows touch: everything by id that their claims and ways pass.
#[derive(Default)]
struct Touched {
    ids: BTreeSet<String>,
    /// Routes by table and destination, prefix or prefix list.
    routes: BTreeSet<(String, String)>,
    /// Tables that a way follows beyond its first route.
    tables: BTreeSet<String>,
    names: Vec<Name>,
    /// Whether TTLs or response codes differ.
    is_bounded: bool,
    /// Whether answers differ, not their ways alone.
    is_answer: bool,
    /// Whether public DNS answers in one of the worlds.
    is_public: bool,
}

impl Touched {
    fn of<'p>(surveys: &[Survey<'_>; 2], askers: &[&Both], rows: impl Iterator<Item = &'p Pair>) -> Self {
        let mut touched = Self::default();
        for both in askers {
            touched.place(surveys[0].world, &both.before);
            touched.place(surveys[1].world, &both.after);
        }
        for pair in rows {
            for (world, row) in [(surveys[0].world, &pair.before), (surveys[1].world, &pair.after)] {
                touched.row(world, row);
            }
            // What came through before comes through no more, or the other way round.
            let is_of_replies =
                |reason: &Reason| matches!(reason, Reason::NoReturnRoute | Reason::AsymmetricRouting);
            let by_replies = |row: &Row| row.all_reasons().iter().any(is_of_replies);
            if by_replies(&pair.before) || by_replies(&pair.after) {
                touched.ways_back(surveys[0].world, &pair.before);
                touched.ways_back(surveys[1].world, &pair.after);
            }
            touched.is_answer |= pair.before.addresses() != pair.after.addresses()
                || pair.before.records != pair.after.records
                || pair.before.ttls != pair.after.ttls
                || pair.before.rcode != pair.after.rcode;
            touched.is_bounded |=
                pair.before.ttls != pair.after.ttls || pair.before.rcode != pair.after.rcode;
        }
        if touched.is_answer {
            surveys.iter().for_each(|survey| touched.names_of_endpoints(survey.world));
        }
        touched
    }

    /// A place touches itself and its VPC.
    fn place(&mut self, world: &World, asker: &Asker) {
        self.ids.insert(asker.place.to_string());
        if let Some(vpc) = world.place_vpc(asker.vantage.place) {
            self.ids.insert(vpc.id.to_string());
        }
        if let Standing::Subnet(subnet) = world.places[asker.vantage.place].standing {
            let table = world.subnets[subnet].route_table;
            // One that has no id is told by its VPC's, which no way has.
            if world.route_tables[table].id.is_none() {
                self.tables.insert(table_id(world, table));
            }
        }
    }

    fn row(&mut self, world: &World, row: &Row) {
        self.names.push(row.question.qname.clone());
        self.ids.extend(row.claim.as_ref().map(|(_, id)| id.to_string()));
        self.ids.extend(row.profile.iter().map(|id| id.to_string()));
        self.is_public |= matches!(row.source, Source::Public | Source::SystemRule);
        for way in &row.ways {
            let path = &way.path;
            self.ids.extend(path.via.iter().map(|id| id.to_string()));
            if let Some(matched) = &path.matched
                && let Some(table) = &matched.route_table
            {
                self.routes.insert((table.to_string(), matched.destination.to_string()));
                self.routes
                    .extend(matched.prefix_list.iter().map(|list| (table.to_string(), list.to_string())));
            }
            let lands_at_interface = matches!(path.endpoint, Some((_, Some(_))));
            for (left, hop) in path.hops.iter().rev().enumerate() {
                self.ids.insert(hop.id.to_string());
                if let Some(id) = &hop.subnet {
                    self.ids.insert(id.to_string());
                    // The table of where it lands is for replies.
                    if left > 0 || !lands_at_interface {
                        self.table_of(world, id);
                    }
                }
            }
            for filter in &path.filters {
                let id = match filter.by {
                    FilterId::SecurityGroup(index) => &world.security_groups[index].id,
                    FilterId::NetworkAcl(index) => &world.network_acls[index].id,
                };
                self.ids.insert(id.to_string());
            }
            if let Lands::Subnet { vpc, subnet, owner } = Lands::of(world, path) {
                let all = [Some(vpc), subnet, owner];
                self.ids.extend(all.into_iter().flatten().map(|id| id.to_string()));
            }
        }
    }

    /// The tables that replies begin with.
    fn ways_back(&mut self, world: &World, row: &Row) {
        for way in &row.ways {
            if let Lands::Subnet { subnet: Some(subnet), .. } = Lands::of(world, &way.path) {
                self.table_of(world, &subnet);
            }
        }
    }

    /// The table that traffic in a subnet follows.
    fn table_of(&mut self, world: &World, subnet: &str) {
        let place = world.place_named(subnet).map(|place| world.places[place].standing);
        if let Some(Standing::Subnet(subnet)) = place {
            self.tables.insert(table_id(world, world.subnets[subnet].route_table));
        }
    }

    /// An endpoint's own names are public, and lead to it wherever they are asked.
    fn names_of_endpoints(&mut self, world: &World) {
        let names: Vec<String> = self.names.iter().map(Name::to_string).collect();
        let names: Vec<&String> = names.iter().filter(|name| name.contains(".vpce.")).collect();
        for endpoint in world.endpoints.iter().filter(|_| !names.is_empty()) {
            let Some(own) = &endpoint.regional_name else { continue };
            let own = own.to_string();
            if names.iter().any(|name| is_name_of(name, own.trim_start_matches("*."))) {
                self.ids.insert(endpoint.id.to_string());
            }
        }
    }

    /// Whether a change is one of what is touched.
    fn by(&self, change: &Change) -> bool {
        let id = change.id.as_str();
        match change.kind {
            kind if WITHOUT_EFFECT.contains(&kind) => false,
            "route" => {
                let What::Changed(how) = &change.what else { return self.tables.contains(id) };
                let destination = how.split(' ').next().unwrap_or_default();
                self.routes.contains(&(id.to_owned(), destination.to_owned())) || self.tables.contains(id)
            }
            "route-table" => {
                self.tables.contains(id) || self.routes.iter().any(|(table, _)| table.as_str() == id)
            }
            "zone" => self.zone(id),
            "setting" if id == "answers" => self.is_bounded,
            "setting" if id == "internet" => self.is_public && self.is_answer,
            "setting" => false,
            _ => self.ids.contains(id),
        }
    }

    /// Whether a zone is touched, by its apex or by its id in brackets.
    fn zone(&self, id: &str) -> bool {
        if id == "public records" {
            return self.is_public && self.is_answer;
        }
        if !self.is_answer {
            return false;
        }
        let (apex, own) =
            id.split_once(" (").map_or((id, None), |(apex, rest)| (apex, rest.strip_suffix(')')));
        let is_claimed = own.is_some_and(|own| self.ids.contains(own))
            || self.ids.iter().any(|have| have.trim_end_matches('.') == apex.trim_end_matches('.'));
        let apex = Name::parse(apex).ok();
        is_claimed || apex.is_some_and(|apex| self.names.iter().any(|name| name.is_at_or_below(&apex)))
    }
}
