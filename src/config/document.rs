//! From files to one TOML document: reads, includes and merges, and preserves positions.

use std::io;
use std::path::{Component, Path, PathBuf};

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::diagnostic::{Code, Report};
use super::source::{Mark, SourceMap};

/// Maximum depth of includes.
const MAX_INCLUDE_DEPTH: usize = 16;

/// Reads files: the file system, or a substitute in tests.
pub type ReadFile<'a> = dyn Fn(&Path) -> io::Result<String> + 'a;

/// A document whose spans are marks in the numbering of the [`SourceMap`].
pub(super) type Document<'a> = Spanned<DeTable<'a>>;

/// Reads the text of a file and everything that it includes, each file once.
pub(super) fn read_files(
    path: &Path,
    text: String,
    read_file: &ReadFile<'_>,
    report: &mut Report,
) -> SourceMap {
    let mut gatherer =
        DocumentCollector { read_file, report, sources: SourceMap::default(), open: Vec::new() };
    gatherer.take(path, text);
    gatherer.sources
}

/// Merges all files into one document: lists are concatenated, anything else may occur once.
pub(super) fn merge<'a>(sources: &'a SourceMap, report: &mut Report) -> Document<'a> {
    let mut merged = DeTable::new();
    for (base, text) in sources.based_texts() {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            let mark = Mark::new(span.start + base..span.end + base);
            let message = error.message().lines().next().unwrap_or("invalid TOML").to_owned();
            report.error(Code::Syntax, mark, message);
        }
        let table = table.into_inner();
        for (key, value) in if base == 0 { table } else { rebase_table(table, base) } {
            if key.get_ref() == "include" {
                continue;
            }
            // Every file may have the version of the format.
            if key.get_ref() == "version" && is_current_version(value.get_ref()) {
                continue;
            }
            match (merged.get_mut(key.get_ref().as_ref()).map(Spanned::get_mut), value.get_ref()) {
                (None, _) => {
                    merged.insert(key, value);
                }
                (Some(DeValue::Array(have)), DeValue::Array(_)) => {
                    let DeValue::Array(more) = value.into_inner() else { continue };
                    for item in more {
                        have.push(item);
                    }
                }
                (Some(_), _) => {
                    let message = format!("`{}` is already defined in another file", key.get_ref());
                    report.error(Code::DuplicateSection, Mark::new(key.span()), message);
                }
            }
        }
    }
    Spanned::new(0..0, merged)
}

/// Whether a value of `version` is the one that this release supports, which is also the default.
pub(super) fn is_current_version(value: &DeValue<'_>) -> bool {
    matches!(value, DeValue::Integer(number) if number.as_str() == "1")
}

struct DocumentCollector<'a> {
    read_file: &'a ReadFile<'a>,
    report: &'a mut Report,
    sources: SourceMap,
    /// The files being read, outermost first.
    open: Vec<PathBuf>,
}

impl DocumentCollector<'_> {
    fn take(&mut self, path: &Path, text: String) {
        let includes = includes(&text);
        let base = self.sources.add(path, text);
        self.open.push(path.to_owned());
        for (span, name) in includes {
            let mark = Mark::new(span.start + base..span.end + base);
            match name {
                Some(name) => self.include(&without_detours(&path.with_file_name(name)), mark),
                None => {
                    let message = "`include` must be a list of file names";
                    self.report.error(Code::InvalidValue, mark, message);
                }
            }
        }
        self.open.pop();
    }

    fn include(&mut self, path: &Path, mark: Mark) {
        if self.open.iter().any(|open| open == path) || self.open.len() >= MAX_INCLUDE_DEPTH {
            let message = format!("`{}` includes itself through other files", path.display());
            self.report.error(Code::IncludeLoop, mark, message);
            return;
        }
        if self.sources.paths().any(|read| read == path) {
            return;
        }
        match (self.read_file)(path) {
            Ok(text) => self.take(path, text),
            Err(error) => {
                let message = format!("cannot read `{}`: {error}", path.display());
                let help = "file names are relative to the including file";
                self.report.error(Code::UnreadableFile, mark, message).help(help);
            }
        }
    }
}

/// The same path without `a/../`, so that each file has one name.
fn without_detours(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        let goes_back = part == Component::ParentDir
            && plain.components().next_back().is_some_and(|last| matches!(last, Component::Normal(_)));
        if goes_back {
            plain.pop();
        } else if part != Component::CurDir {
            plain.push(part);
        }
    }
    plain
}

/// The file names in the `include` of a text, with their spans. `None` for an element that is not a file
/// name.
fn includes(text: &str) -> Vec<(std::ops::Range<usize>, Option<PathBuf>)> {
    // Most files include none, and parsing large ones takes long.
    if !text.contains("include") {
        return Vec::new();
    }
    let (table, _) = DeTable::parse_recoverable(text);
    let Some(list) = table.get_ref().get("include") else { return Vec::new() };
    match list.get_ref() {
        DeValue::Array(items) => {
            items.iter().map(|item| (item.span(), item.get_ref().as_str().map(PathBuf::from))).collect()
        }
        _ => vec![(list.span(), None)],
    }
}

/// The same table with its spans shifted to the base of its file.
fn rebase_table(table: DeTable<'_>, base: usize) -> DeTable<'_> {
    let mut moved = DeTable::new();
    for (key, value) in table {
        moved.insert(shift(key, base), rebase(value, base));
    }
    moved
}

fn rebase(value: Spanned<DeValue<'_>>, base: usize) -> Spanned<DeValue<'_>> {
    let span = value.span();
    let moved = match value.into_inner() {
        DeValue::Table(table) => DeValue::Table(rebase_table(table, base)),
        DeValue::Array(items) => {
            let mut moved = DeArray::new();
            for item in items {
                moved.push(rebase(item, base));
            }
            DeValue::Array(moved)
        }
        scalar => scalar,
    };
    shift(Spanned::new(span, moved), base)
}

fn shift<T>(value: Spanned<T>, base: usize) -> Spanned<T> {
    let span = value.span();
    Spanned::new(span.start + base..span.end + base, value.into_inner())
}
