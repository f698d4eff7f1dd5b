//! Detection of incomplete output: a page that announces more pages must be followed by another one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::directory::Directory;
use super::document::{Document, DocumentError};
use super::subject::any_id_in;

/// The pages that were read so far.
#[derive(Default)]
pub(super) struct PageTracker {
    /// The error to report for each series whose last page announced another one.
    incomplete: BTreeMap<PageSeries, DocumentError>,
    /// The record names that further pages of record sets should start with, each with the error to report if
    /// no page does.
    expected_names: Vec<(String, DocumentError)>,
    /// The names that pages of record sets start with.
    first_names: BTreeSet<String>,
}

/// Identifies the output of one command, as far as its pages reveal it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct PageSeries {
    /// The directory that contains the page.
    directory: PathBuf,
    /// The id in the file name, if the command concerns a zone, route table or prefix list.
    subject: Option<String>,
    /// The key of the list.
    key: String,
}

impl PageTracker {
    /// Adds a document, which may continue the page before it.
    pub(super) fn insert(&mut self, directory: &Directory, document: &Document<'_>) {
        let path = &directory.files[document.file].path;
        let lists = document.members.iter().filter(|member| member.value.text.starts_with('['));
        let Some(list) = lists.into_iter().next() else { return };
        let next_page = document.members.iter().find(|member| {
            let text = member.value.text;
            match member.key.as_str() {
                "NextToken" | "nextToken" | "NextMarker" => !matches!(text, "null" | "\"\""),
                "IsTruncated" => text == "true",
                _ => false,
            }
        });
        let error = next_page.map(|member| DocumentError {
            file: document.file,
            at: member.value.range(),
            message: format!("incomplete list of `{}`: the next page is missing", list.key),
            help: Some(
                "run the command without `--max-items` and `--no-paginate`, or add the following pages with file \
                 names in page order"
                    .to_owned(),
            ),
        });
        if list.key == "ResourceRecordSets" {
            self.first_names.extend(list.value.items().and_then(|sets| record_set_name(sets.first()?.text)));
            let next = document.get("NextRecordName");
            let next = next.and_then(|next| serde_json::from_str::<String>(next.text).ok());
            if let (Some(next), Some(_)) = (&next, &error) {
                self.expected_names.extend(error.map(|error| (next.to_ascii_lowercase(), error)));
                return;
            }
        }
        let series = PageSeries {
            directory: path.parent().map(PathBuf::from).unwrap_or_default(),
            subject: path
                .file_stem()
                .and_then(|stem| any_id_in(without_page_number(&stem.to_string_lossy()))),
            key: list.key.clone(),
        };
        match error {
            Some(error) => self.incomplete.insert(series, error),
            None => self.incomplete.remove(&series),
        };
    }

    /// Returns an error for each series that lacks a page.
    pub(super) fn into_errors(self) -> impl Iterator<Item = DocumentError> {
        let Self { incomplete, expected_names, first_names } = self;
        let missing = expected_names.into_iter().filter(move |(name, _)| !first_names.contains(name));
        incomplete.into_values().chain(missing.map(|(_, error)| error))
    }
}

/// Returns the name of a record set, in lower case.
fn record_set_name(set: &str) -> Option<String> {
    let set: serde_json::Value = serde_json::from_str(set).ok()?;
    Some(set.get("Name")?.as_str()?.to_ascii_lowercase())
}

/// Returns a file name without its page number. Longer numbers are kept, since they may be part of an id.
fn without_page_number(stem: &str) -> &str {
    const MAX_DIGITS: usize = 4;
    let Some((before, number)) = stem.rsplit_once('-') else { return stem };
    let is_number =
        !number.is_empty() && number.len() <= MAX_DIGITS && number.bytes().all(|b| b.is_ascii_digit());
    if is_number { without_page_number(before) } else { stem }
}
