//! What became of each object: nothing that a document holds may be lost without a word.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::folder::LocationFormatter;
use super::report::{Missing, ObjectSummary, ImportReport, Unsupported};

/// Where an object stands: in which file, and where in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceLocation {
    /// The file, by its number.
    pub file: usize,
    /// The octet it begins at.
    pub at: usize,
}

/// What became of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Disposition {
    /// It stands in the text.
    Converted,
    /// It changes no answer, and why.
    Skipped(String),
    /// It would change answers, and nobody reads it.
    Unsupported(String),
}

/// One object's entry.
#[derive(Debug)]
struct Entry {
    /// Where it stands.
    spot: SourceLocation,
    /// What became of it; `None` so far.
    disposition: Option<Disposition>,
    /// Whether its id says which one it is. What has none goes by its place.
    has_id: bool,
}

/// Something that a document holds and that has no id, such as a record set. It goes by where it stands.
#[derive(Clone, Debug)]
pub struct LocatedItem<T> {
    /// What it is.
    pub object: T,
    /// Where it stands.
    pub spot: SourceLocation,
}

impl<T> std::ops::Deref for LocatedItem<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.object
    }
}

/// What kind of object: the key of the documents that hold it.
type ObjectKind = Cow<'static, str>;

/// The account of all objects.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The objects by their kind, which is the key of the document, and their id.
    entries: BTreeMap<(ObjectKind, String), Entry>,
    /// More that was told of no object as a whole.
    notes: Vec<(Option<SourceLocation>, String)>,
    /// Objects that say what others said before.
    duplicates: BTreeMap<(ObjectKind, usize), usize>,
    /// What is missing, by the call that supplies it.
    missing: BTreeMap<String, String>,
}

impl Ledger {
    /// Notes that an object was read. False when one of its id was before.
    pub fn insert(&mut self, kind: impl Into<ObjectKind>, id: &str, spot: SourceLocation) -> bool {
        let key = (kind.into(), id.to_owned());
        if self.entries.contains_key(&key) {
            *self.duplicates.entry((key.0, spot.file)).or_default() += 1;
            return false;
        }
        self.entries.insert(key, Entry { spot, disposition: None, has_id: true });
        true
    }

    /// Notes that something without an id was read.
    pub fn insert_item(&mut self, kind: impl Into<ObjectKind>, spot: SourceLocation) {
        self.entries.insert((kind.into(), item_id(spot)), Entry { spot, disposition: None, has_id: false });
    }

    /// Notes that something without an id stands in the text.
    pub fn mark_item_converted(&mut self, kind: impl Into<ObjectKind>, spot: SourceLocation) {
        self.mark_converted(kind, &item_id(spot));
    }

    /// Notes that something without an id changes no answer, and why.
    pub fn mark_item_skipped(
        &mut self,
        kind: impl Into<ObjectKind>,
        spot: SourceLocation,
        why: impl Into<String>,
    ) {
        self.mark_skipped(kind, &item_id(spot), why);
    }

    /// Notes that something without an id would change answers, and that nobody reads it. `why` says what it is.
    pub fn mark_item_unsupported(
        &mut self,
        kind: impl Into<ObjectKind>,
        spot: SourceLocation,
        why: impl Into<String>,
    ) {
        self.mark_unsupported(kind, &item_id(spot), why);
    }

    /// Notes that an object stands in the text.
    pub fn mark_converted(&mut self, kind: impl Into<ObjectKind>, id: &str) {
        self.set_disposition(kind, id, Disposition::Converted);
    }

    /// Notes that an object changes no answer, and why. What stands in the text already stays there.
    pub fn mark_skipped(&mut self, kind: impl Into<ObjectKind>, id: &str, why: impl Into<String>) {
        self.set_disposition(kind, id, Disposition::Skipped(why.into()));
    }

    /// Notes that an object would change answers, and that nobody reads it.
    pub fn mark_unsupported(&mut self, kind: impl Into<ObjectKind>, id: &str, why: impl Into<String>) {
        self.set_disposition(kind, id, Disposition::Unsupported(why.into()));
    }

    /// The first fate holds, unless the object is written after all.
    fn set_disposition(&mut self, kind: impl Into<ObjectKind>, id: &str, fate: Disposition) {
        if let Some(entry) = self.entries.get_mut(&(kind.into(), id.to_owned()))
            && (entry.disposition.is_none() || fate == Disposition::Converted)
        {
            entry.disposition = Some(fate);
        }
    }

    /// Where an object stands.
    pub fn location(&self, kind: impl Into<ObjectKind>, id: &str) -> Option<SourceLocation> {
        self.entries.get(&(kind.into(), id.to_owned())).map(|entry| entry.spot)
    }

    /// Notes something that would change answers and that nobody reads.
    pub fn note_unsupported(&mut self, spot: Option<SourceLocation>, message: impl Into<String>) {
        self.notes.push((spot, message.into()));
    }

    /// Notes that something is missing, and the call that supplies it.
    pub fn note_missing(&mut self, what: impl Into<String>, call: impl Into<String>) {
        self.missing.entry(call.into()).or_insert_with(|| what.into());
    }

    /// The report.
    pub fn into_report(self, places: &LocationFormatter<'_>) -> ImportReport {
        let mut kinds: BTreeMap<ObjectKind, ObjectSummary> = BTreeMap::new();
        let mut not_understood: BTreeMap<String, (Option<SourceLocation>, usize)> = BTreeMap::new();
        let mut told = |message: String, spot: Option<SourceLocation>| {
            not_understood.entry(message).or_insert((spot, 0)).1 += 1;
        };
        for ((kind, id), entry) in self.entries {
            let read = kinds.entry(kind).or_default();
            *read.files.entry(places.file(entry.spot.file)).or_default() += 1;
            match entry.disposition {
                Some(Disposition::Converted) => read.converted += 1,
                Some(Disposition::Skipped(why)) => *read.skipped.entry(why).or_default() += 1,
                Some(Disposition::Unsupported(why)) => {
                    read.unsupported += 1;
                    let message = if entry.has_id { format!("{id}: {why}") } else { why };
                    told(message, Some(entry.spot));
                }
                None => {
                    *read.skipped.entry("nothing that is written refers to it".to_owned()).or_default() += 1
                }
            }
        }
        for ((kind, number), count) in self.duplicates {
            let read = kinds.entry(kind).or_default();
            *read.files.entry(places.file(number)).or_default() += count;
            *read.skipped.entry("it stands in another document too".to_owned()).or_default() += count;
        }
        for (spot, message) in self.notes {
            told(message, spot);
        }
        let mut not_understood: Vec<_> = not_understood.into_iter().collect();
        not_understood.sort_by_key(|(_, (spot, _))| *spot);
        let not_understood = not_understood.into_iter().map(|(message, (spot, times))| Unsupported {
            message,
            location: spot.map(|spot| places.location(spot)),
            times,
        });
        let missing = self.missing.into_iter().map(|(call, what)| Missing { what, call });
        let read = kinds.into_iter().map(|(kind, read)| (kind.into_owned(), read)).collect();
        ImportReport { read, missing: missing.collect(), unsupported: not_understood.collect() }
    }
}

/// The key of what goes by its place.
fn item_id(spot: SourceLocation) -> String {
    format!("{}:{}", spot.file, spot.at)
}
