//! Pages: each that says there are more must be followed by another.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::document::{Document, DocumentError};
use super::folder::Directory;
use super::subject::any_id_in;

/// The pages that were read so far.
#[derive(Default)]
pub struct PageTracker {
    /// The page that waits for the next one.
    incomplete: BTreeMap<PageSeries, DocumentError>,
    /// Pages of record sets say with which name the next one begins.
    expected_names: Vec<(String, DocumentError)>,
    /// The names that pages of record sets begin with.
    first_names: BTreeSet<String>,
}

/// What a page is of: one call's answer, as far as that can be told.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct PageSeries {
    /// The folder it lies in.
    directory: PathBuf,
    /// The id in its file's name: the call may be about a zone, a table, a list.
    subject: Option<String>,
    /// The key of its list.
    key: String,
}

impl PageTracker {
    /// Takes in a document: the page that came before it has its continuation.
    pub fn insert(&mut self, folder: &Directory, document: &Document<'_>) {
        let path = &folder.files[document.file].path;
        let lists = document.members.iter().filter(|member| member.value.text.starts_with('['));
        let Some(list) = lists.into_iter().next() else { return };
        let more = document.members.iter().find(|member| {
            let text = member.value.text;
            match member.key.as_str() {
                "NextToken" | "nextToken" | "NextMarker" => !matches!(text, "null" | "\"\""),
                "IsTruncated" => text == "true",
                _ => false,
            }
        });
        let mistake = more.map(|member| DocumentError {
            file: document.file,
            at: member.value.range(),
            message: format!("there is more than this page of `{}`, and no page follows it", list.key),
            help: Some(
                "make the call without --max-items and --no-paginate, or add the pages that follow, named in their order"
                    .to_owned(),
            ),
        });
        if list.key == "ResourceRecordSets" {
            self.first_names.extend(list.value.items().and_then(|sets| record_set_name(sets.first()?.text)));
            let next = document.get("NextRecordName");
            let next = next.and_then(|next| serde_json::from_str::<String>(next.text).ok());
            if let (Some(next), Some(_)) = (&next, &mistake) {
                self.expected_names.extend(mistake.map(|mistake| (next.to_ascii_lowercase(), mistake)));
                return;
            }
        }
        let answer = PageSeries {
            directory: path.parent().map(PathBuf::from).unwrap_or_default(),
            subject: path.file_stem().and_then(|stem| any_id_in(without_page_number(&stem.to_string_lossy()))),
            key: list.key.clone(),
        };
        match mistake {
            Some(mistake) => self.incomplete.insert(answer, mistake),
            None => self.incomplete.remove(&answer),
        };
    }

    /// The pages that wait in vain.
    pub fn into_errors(self) -> impl Iterator<Item = DocumentError> {
        let Self { incomplete: waiting, expected_names: wanted, first_names } = self;
        let wanted = wanted.into_iter().filter(move |(name, _)| !first_names.contains(name));
        waiting.into_values().chain(wanted.map(|(_, mistake)| mistake))
    }
}

/// The name of a record set.
fn record_set_name(set: &str) -> Option<String> {
    let set: serde_json::Value = serde_json::from_str(set).ok()?;
    Some(set.get("Name")?.as_str()?.to_ascii_lowercase())
}

/// A file's name without the number of a page, which has few digits. Ids end with more.
fn without_page_number(stem: &str) -> &str {
    const MAX_DIGITS: usize = 4;
    let Some((before, number)) = stem.rsplit_once('-') else { return stem };
    let is_number = !number.is_empty() && number.len() <= MAX_DIGITS && number.bytes().all(|b| b.is_ascii_digit());
    if is_number { without_page_number(before) } else { stem }
}
