//! Positions in configuration files: files, marks, and values with marks.
//!
//! All files of a configuration share one numbering of octets, in which each file starts after the previous
//! one. A mark is a range in that numbering, so that a value can be reported with file, line and column long
//! after it was read.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::OnceLock;
use std::time::SystemTime;

use schemars::JsonSchema;
use serde::de::{Deserialize, Deserializer, Error as _};

use crate::aws::public_names::stable_hash;

/// A range of octets in the numbering of a [`SourceMap`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mark {
    start: usize,
    end: usize,
}

impl Mark {
    /// The mark of a range.
    pub fn new(range: Range<usize>) -> Self {
        Self { start: range.start, end: range.end }
    }

    /// The range of the mark.
    pub fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

/// A value that is configured as a string, with its mark.
///
/// Equality compares the values only.
#[derive(Clone)]
pub struct Marked<T> {
    value: T,
    mark: Mark,
}

impl<T> Marked<T> {
    /// A value with its mark.
    pub fn new(value: T, mark: Mark) -> Self {
        Self { value, mark }
    }

    /// The value.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// The mark.
    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// Another value derived from this one, with the same mark.
    pub fn with<U>(&self, value: U) -> Marked<U> {
        Marked { value, mark: self.mark }
    }
}

/// A default: it is not in any file and is never the subject of a diagnostic.
impl<T> From<T> for Marked<T> {
    fn from(value: T) -> Self {
        Self { value, mark: Mark::default() }
    }
}

impl<T: PartialEq> PartialEq for Marked<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: fmt::Display> fmt::Display for Marked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T: fmt::Debug> fmt::Debug for Marked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// A value that is configured as a string.
pub trait FromConfigStr: FromStr<Err: fmt::Display> {
    /// A description of valid strings, with its article: "a VPC ID". Used in messages and in the schema.
    const EXPECTED: &'static str;
}

impl<'de, T: FromConfigStr> Deserialize<'de> for Marked<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = toml::Spanned::<ParsedStr<T>>::deserialize(deserializer)?;
        let mark = Mark::new(written.span());
        Ok(Self { value: written.into_inner().0, mark })
    }
}

/// Deserialises a [`FromConfigStr`] from a string.
struct ParsedStr<T>(T);

impl<'de, T: FromConfigStr> Deserialize<'de> for ParsedStr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(std::marker::PhantomData<T>);
        impl<T: FromConfigStr> serde::de::Visitor<'_> for Visitor<T> {
            type Value = ParsedStr<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(T::EXPECTED)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ParsedStr<T>, E> {
                text.parse().map(ParsedStr).map_err(|error: T::Err| {
                    let message = error.to_string();
                    // Errors of the standard library do not quote the string.
                    E::custom(if message.contains(text) && !text.is_empty() {
                        message
                    } else {
                        format!("invalid value `{text}`: expected {} ({message})", T::EXPECTED)
                    })
                })
            }
        }
        deserializer.deserialize_str(Visitor(std::marker::PhantomData)).map_err(D::Error::custom)
    }
}

impl<T: FromConfigStr> JsonSchema for Marked<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::EXPECTED.into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "title": T::EXPECTED })
    }
}

/// A table with its mark, for errors that do not concern a single key.
#[derive(Clone)]
pub struct MarkedTable<T> {
    value: T,
    mark: Mark,
}

impl<T> MarkedTable<T> {
    /// The mark of the table.
    pub fn mark(&self) -> Mark {
        self.mark
    }
}

impl<T: fmt::Debug> fmt::Debug for MarkedTable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T> std::ops::Deref for MarkedTable<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for MarkedTable<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = toml::Spanned::<T>::deserialize(deserializer)?;
        let mark = Mark::new(written.span());
        Ok(Self { value: written.into_inner(), mark })
    }
}

impl<T: JsonSchema> JsonSchema for MarkedTable<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

/// The files of a configuration, with their contents.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    files: Vec<SourceFile>,
    /// When the newest of the files was last modified. `None` for texts that are not files.
    pub modified: Option<SystemTime>,
}

#[derive(Clone, Debug)]
struct SourceFile {
    path: PathBuf,
    text: String,
    /// The offset of this file in the shared numbering.
    base: usize,
    /// The offsets of its lines, computed when the first position is requested.
    lines: OnceLock<Vec<usize>>,
}

impl SourceFile {
    /// The line of an octet, counted from 0, and the offset of that line.
    fn line(&self, at: usize) -> (usize, usize) {
        let lines = self.lines.get_or_init(|| {
            let feeds = self.text.bytes().enumerate().filter(|(_, octet)| *octet == b'\n');
            std::iter::once(0).chain(feeds.map(|(feed, _)| feed + 1)).collect()
        });
        let line = lines.partition_point(|start| *start <= at) - 1;
        (line, lines[line])
    }
}

/// The position of a mark for display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePosition<'a> {
    /// The file, as named.
    pub path: &'a Path,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// The complete line.
    pub text: &'a str,
    /// Number of characters of the line that the mark covers, at least 1.
    pub width: usize,
}

impl SourceMap {
    /// Adds a file and returns its offset in the numbering.
    pub fn add(&mut self, path: impl Into<PathBuf>, text: String) -> usize {
        // There is a gap of one octet between two files, so that a mark at a file's end is still within that
        // file.
        let base = self.files.last().map_or(0, |file| file.base + file.text.len() + 1);
        self.files.push(SourceFile { path: path.into(), text, base, lines: OnceLock::new() });
        base
    }

    /// The paths of the files, in the order in which they were read.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path.as_path())
    }

    /// Sets the name of a file in messages.
    pub fn rename(&mut self, path: &Path, name: &Path) {
        for file in self.files.iter_mut().filter(|file| file.path == path) {
            name.clone_into(&mut file.path);
        }
    }

    /// The offset and contents of each file, in the order in which they were read.
    pub fn based_texts(&self) -> impl Iterator<Item = (usize, &str)> {
        self.files.iter().map(|file| (file.base, file.text.as_str()))
    }

    /// A hash of all contents as 16 hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        // Used in a metric; it must not change between runs or versions.
        let octets = self.files.iter().flat_map(|file| file.text.bytes().chain([0]));
        let hash = stable_hash(octets);
        format!("{hash:016x}")
    }

    /// The file that contains a mark.
    pub fn path(&self, mark: Mark) -> Option<&Path> {
        self.file(mark).map(|file| file.path.as_path())
    }

    /// The position of a mark for display. `None` if no file was read.
    pub fn position(&self, mark: Mark) -> Option<SourcePosition<'_>> {
        let file = self.file(mark)?;
        let at = (mark.start - file.base).min(file.text.len());
        let at = (0..=at).rev().find(|i| file.text.is_char_boundary(*i)).unwrap_or(0);
        let (line, line_start) = file.line(at);
        let text = file.text[line_start..].lines().next().unwrap_or("");
        let column = file.text[line_start..at].chars().count() + 1;
        let left = text.chars().count().saturating_sub(column - 1);
        let width = mark.end.saturating_sub(mark.start).min(left).max(1);
        Some(SourcePosition { path: &file.path, line: line + 1, column, text, width })
    }

    fn file(&self, mark: Mark) -> Option<&SourceFile> {
        let behind = self.files.partition_point(|file| file.base <= mark.start);
        self.files[..behind].last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_resolves_to_its_file() {
        let mut sources = SourceMap::default();
        sources.add("a.toml", "one\ntwo\n".to_owned());
        let base = sources.add("b.toml", "three\n  föur = 4\n".to_owned());
        let place = sources.position(Mark::new(base + 8..base + 13)).unwrap();
        assert_eq!((place.path, place.line, place.column), (Path::new("b.toml"), 2, 3));
        assert_eq!(place.text, "  föur = 4");
        let end = sources.position(Mark::new(8..8)).unwrap();
        assert_eq!((end.path, end.line), (Path::new("a.toml"), 3));
    }
}
