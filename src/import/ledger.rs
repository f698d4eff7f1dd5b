//! The disposition of each object: every object in a document is converted, skipped or reported as
//! unsupported, and counted exactly once.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::directory::LocationFormatter;
use super::report::{ImportReport, Missing, ObjectSummary, Unsupported};

/// The location of an object in the documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SourceLocation {
    /// The index of the file.
    pub file: usize,
    /// The byte offset in the file.
    pub at: usize,
}

/// What the conversion did with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Disposition {
    /// It is part of the configuration.
    Converted,
    /// It is not part of the configuration, for this reason: it has no effect on answers, is a duplicate, or
    /// depends on a missing object.
    Skipped(String),
    /// It might change answers, but cannot be converted, for this reason.
    Unsupported(String),
}

/// The entry of one object.
#[derive(Debug)]
struct Entry {
    /// The location of the object.
    location: SourceLocation,
    /// Its disposition, once known.
    disposition: Option<Disposition>,
    /// Whether the object has an id. Otherwise the key in [`Ledger::entries`] is derived from the location.
    has_id: bool,
}

/// An object without an id, such as a record set. It is identified by its location.
#[derive(Clone, Debug)]
pub(super) struct LocatedItem<T> {
    /// The object.
    pub object: T,
    /// Its location.
    pub location: SourceLocation,
}

impl<T> std::ops::Deref for LocatedItem<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.object
    }
}

/// The kind of an object: the top-level key of its document, such as `Vpcs`.
type ObjectKind = Cow<'static, str>;

/// The dispositions of all objects, and everything else that the report lists.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The objects by kind and id.
    entries: BTreeMap<(ObjectKind, String), Entry>,
    /// Unsupported features and ambiguities that concern only part of an object, or no object.
    notes: Vec<(Option<SourceLocation>, String)>,
    /// The number of repeated objects by kind and file.
    duplicates: BTreeMap<(ObjectKind, usize), usize>,
    /// Descriptions of missing objects, by the command that supplies them.
    missing: BTreeMap<String, String>,
}

impl Ledger {
    /// Adds an object. Returns `false` if an object of this kind and id was added before; it is then counted
    /// as a duplicate.
    pub(super) fn insert(&mut self, kind: impl Into<ObjectKind>, id: &str, location: SourceLocation) -> bool {
        let key = (kind.into(), id.to_owned());
        if self.entries.contains_key(&key) {
            *self.duplicates.entry((key.0, location.file)).or_default() += 1;
            return false;
        }
        self.entries.insert(key, Entry { location, disposition: None, has_id: true });
        true
    }

    /// Adds an object without an id.
    pub(super) fn insert_item(&mut self, kind: impl Into<ObjectKind>, location: SourceLocation) {
        self.entries
            .insert((kind.into(), item_id(location)), Entry { location, disposition: None, has_id: false });
    }

    /// Marks an object without an id as converted.
    pub(super) fn mark_item_converted(&mut self, kind: impl Into<ObjectKind>, location: SourceLocation) {
        self.mark_converted(kind, &item_id(location));
    }

    /// Marks an object without an id as skipped.
    pub(super) fn mark_item_skipped(
        &mut self,
        kind: impl Into<ObjectKind>,
        location: SourceLocation,
        why: impl Into<String>,
    ) {
        self.mark_skipped(kind, &item_id(location), why);
    }

    /// Marks an object without an id as unsupported. `why` must identify the object, since the report has no
    /// id to show.
    pub(super) fn mark_item_unsupported(
        &mut self,
        kind: impl Into<ObjectKind>,
        location: SourceLocation,
        why: impl Into<String>,
    ) {
        self.mark_unsupported(kind, &item_id(location), why);
    }

    /// Marks an object as converted.
    pub(super) fn mark_converted(&mut self, kind: impl Into<ObjectKind>, id: &str) {
        self.set_disposition(kind, id, Disposition::Converted);
    }

    /// Marks an object as skipped. An object that is already marked keeps its disposition.
    pub(super) fn mark_skipped(&mut self, kind: impl Into<ObjectKind>, id: &str, why: impl Into<String>) {
        self.set_disposition(kind, id, Disposition::Skipped(why.into()));
    }

    /// Marks an object as unsupported.
    pub(super) fn mark_unsupported(&mut self, kind: impl Into<ObjectKind>, id: &str, why: impl Into<String>) {
        self.set_disposition(kind, id, Disposition::Unsupported(why.into()));
    }

    /// Sets the disposition of an object. The first one takes precedence, except that `Converted` replaces
    /// any other: a shared object may be skipped in one context and converted in another.
    fn set_disposition(&mut self, kind: impl Into<ObjectKind>, id: &str, disposition: Disposition) {
        if let Some(entry) = self.entries.get_mut(&(kind.into(), id.to_owned()))
            && (entry.disposition.is_none() || disposition == Disposition::Converted)
        {
            entry.disposition = Some(disposition);
        }
    }

    /// Returns the location of an object.
    pub(super) fn location(&self, kind: impl Into<ObjectKind>, id: &str) -> Option<SourceLocation> {
        self.entries.get(&(kind.into(), id.to_owned())).map(|entry| entry.location)
    }

    /// Adds a note about something that might change answers and is not converted.
    pub(super) fn note_unsupported(&mut self, location: Option<SourceLocation>, message: impl Into<String>) {
        self.notes.push((location, message.into()));
    }

    /// Adds a missing object and the command that supplies it. Only the first description for a command is
    /// kept.
    pub(super) fn note_missing(&mut self, what: impl Into<String>, command: impl Into<String>) {
        self.missing.entry(command.into()).or_insert_with(|| what.into());
    }

    /// Creates the report. Objects without a disposition are counted as skipped.
    pub(super) fn into_report(self, formatter: &LocationFormatter<'_>) -> ImportReport {
        let mut kinds: BTreeMap<ObjectKind, ObjectSummary> = BTreeMap::new();
        let mut unsupported: BTreeMap<String, (Option<SourceLocation>, usize)> = BTreeMap::new();
        let mut add_unsupported = |message: String, location: Option<SourceLocation>| {
            unsupported.entry(message).or_insert((location, 0)).1 += 1;
        };
        for ((kind, id), entry) in self.entries {
            let summary = kinds.entry(kind).or_default();
            *summary.files.entry(formatter.file(entry.location.file)).or_default() += 1;
            match entry.disposition {
                Some(Disposition::Converted) => summary.converted += 1,
                Some(Disposition::Skipped(why)) => *summary.skipped.entry(why).or_default() += 1,
                Some(Disposition::Unsupported(why)) => {
                    summary.unsupported += 1;
                    let message = if entry.has_id { format!("{id}: {why}") } else { why };
                    add_unsupported(message, Some(entry.location));
                }
                None => *summary.skipped.entry("not referenced".to_owned()).or_default() += 1,
            }
        }
        for ((kind, file), count) in self.duplicates {
            let summary = kinds.entry(kind).or_default();
            *summary.files.entry(formatter.file(file)).or_default() += count;
            *summary.skipped.entry("duplicate".to_owned()).or_default() += count;
        }
        for (location, message) in self.notes {
            add_unsupported(message, location);
        }
        let mut unsupported: Vec<_> = unsupported.into_iter().collect();
        unsupported.sort_by_key(|(_, (location, _))| *location);
        let unsupported = unsupported.into_iter().map(|(message, (location, times))| Unsupported {
            message,
            location: location.map(|location| formatter.location(location)),
            times,
        });
        let missing = self.missing.into_iter().map(|(call, what)| Missing { what, call });
        let read = kinds.into_iter().map(|(kind, summary)| (kind.into_owned(), summary)).collect();
        ImportReport { read, missing: missing.collect(), unsupported: unsupported.collect() }
    }
}

/// Returns the ledger key of an object without an id.
fn item_id(location: SourceLocation) -> String {
    format!("{}:{}", location.file, location.at)
}
