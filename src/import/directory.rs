//! The files of a directory, with any names and in any structure.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::ledger::SourceLocation;
use crate::aws::region;

/// The maximum depth of subdirectories. It also ends cycles of symbolic links.
const MAX_DEPTH: usize = 16;

/// The maximum number of files.
const MAX_FILES: usize = 100_000;

/// The maximum size of a file, in bytes.
const MAX_FILE_BYTES: u64 = 512 << 20;

/// A file and its contents.
pub(super) struct File {
    /// Its path, starting with the path that the user specified.
    pub path: PathBuf,
    /// Its text. If decoding failed, a prefix of it, which may be empty.
    pub text: String,
    /// Whether the whole file is valid text.
    pub is_text: bool,
    /// The region that a parent directory is named after.
    pub region: Option<String>,
    /// The account that a parent directory is named after.
    pub account: Option<String>,
}

/// A directory and its contents.
#[derive(Default)]
pub(super) struct Directory {
    /// Its files, in natural order of their paths.
    pub files: Vec<File>,
    /// The directory and all of its subdirectories.
    pub directories: Vec<PathBuf>,
    /// The last modification time of the newest file.
    pub modified: Option<SystemTime>,
}

/// Formats locations for the report, with paths relative to the directory.
pub(super) struct LocationFormatter<'f> {
    directory: &'f Path,
    files: &'f [File],
    /// The byte offsets of line starts, by file index. They are cached, since large files can have many
    /// reported locations.
    line_starts: RefCell<HashMap<usize, Vec<usize>>>,
}

impl<'f> LocationFormatter<'f> {
    /// Creates a formatter for the files of a directory.
    pub(super) fn new(directory: &'f Path, files: &'f [File]) -> Self {
        Self { directory, files, line_starts: RefCell::default() }
    }

    /// Returns the relative path of a file.
    pub(super) fn file(&self, index: usize) -> String {
        let file = &self.files[index].path;
        file.strip_prefix(self.directory).unwrap_or(file).display().to_string()
    }

    /// Formats a location as `path:line:column`. Lines and columns are counted from 1, columns in characters.
    pub(super) fn location(&self, location: SourceLocation) -> String {
        let file = self.files[location.file].text.as_str();
        let mut lines = self.line_starts.borrow_mut();
        let starts = lines.entry(location.file).or_insert_with(|| {
            std::iter::once(0).chain(file.match_indices('\n').map(|(at, _)| at + 1)).collect()
        });
        let line = starts.partition_point(|start| *start <= location.at);
        let column = file.get(starts[line - 1]..location.at).unwrap_or_default().chars().count() + 1;
        format!("{}:{line}:{column}", self.file(location.file))
    }
}

/// What the name of a directory implies for the files in it.
#[derive(Clone, Default)]
struct PathHints {
    /// The region that the directory is named after.
    region: Option<String>,
    /// The account that the directory is named after.
    account: Option<String>,
}

impl PathHints {
    /// Returns the hints for a subdirectory: its own name takes precedence over those of its parents.
    fn for_subdirectory(&self, directory: &Path) -> Self {
        let mut hints = self.clone();
        let name = directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if region::is_region_shaped(&name) {
            hints.region = Some(name);
        } else if is_account(&name) {
            hints.account = Some(name);
        }
        hints
    }
}

/// Returns whether `text` is an account ID.
pub(super) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Reads a directory and all of its subdirectories. Hidden files and directories are ignored.
///
/// # Errors
///
/// Fails if the directory, or anything in it, cannot be read.
pub(super) fn read(path: &Path) -> io::Result<Directory> {
    let mut directory = Directory::default();
    // The name of `.` is empty, so use the name that it resolves to.
    let resolved = path.canonicalize()?;
    walk(path, &PathHints::default().for_subdirectory(&resolved), 0, &mut directory)?;
    Ok(directory)
}

/// Reads one directory. Files and subdirectories are visited in natural order of their names.
fn walk(path: &Path, hints: &PathHints, depth: usize, directory: &mut Directory) -> io::Result<()> {
    let with_path =
        |error: io::Error, path: &Path| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    if depth > MAX_DEPTH {
        let message = format!("{}: directories are nested more than {MAX_DEPTH} levels deep", path.display());
        return Err(io::Error::other(message));
    }
    directory.directories.push(path.to_owned());
    let mut entries = fs::read_dir(path)
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .map_err(|error| with_path(error, path))?;
    entries.sort_by_cached_key(|entry| natural_sort_key(&entry.file_name().to_string_lossy()));
    for entry in entries {
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let child = entry.path();
        let metadata = fs::metadata(&child).map_err(|error| with_path(error, &child))?;
        if metadata.is_dir() {
            walk(&child, &hints.for_subdirectory(&child), depth + 1, directory)?;
        } else if metadata.is_file() {
            if directory.files.len() >= MAX_FILES || metadata.len() > MAX_FILE_BYTES {
                let bounds =
                    format!("more than {MAX_FILES} files, or a file larger than {MAX_FILE_BYTES} bytes");
                return Err(io::Error::other(format!("{}: {bounds}", child.display())));
            }
            let bytes = fs::read(&child).map_err(|error| with_path(error, &child))?;
            directory.modified = directory.modified.max(metadata.modified().ok());
            let PathHints { region, account } = hints.clone();
            let (text, is_text) = decode(bytes);
            directory.files.push(File { path: child, text, is_text, region, account });
        }
    }
    Ok(())
}

/// Returns a key that sorts file names in natural order: page 2 before page 10, and both after a page without
/// a number.
fn natural_sort_key(name: &str) -> (String, String) {
    let stem = Path::new(name).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    (pad_numbers(&stem.unwrap_or_default()), name.to_owned())
}

/// Pads every number in `name` with zeros to the same width.
fn pad_numbers(name: &str) -> String {
    const WIDTH: usize = 20;
    let mut padded = String::with_capacity(name.len() + WIDTH);
    let mut rest = name;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(at);
        let (digits, after) = from.split_at(from.find(|c: char| !c.is_ascii_digit()).unwrap_or(from.len()));
        padded += before;
        padded += &format!("{digits:0>WIDTH$}");
        rest = after;
    }
    padded + rest
}

/// Decodes the contents of a file. Returns the text, or its valid prefix, and whether the file is valid text.
/// Windows PowerShell writes UTF-16 by default.
fn decode(bytes: Vec<u8>) -> (String, bool) {
    let decode_utf16 = |from: fn([u8; 2]) -> u16| {
        let pairs = bytes[2..].chunks_exact(2).map(|pair| from([pair[0], pair[1]]));
        let text: Result<String, _> = char::decode_utf16(pairs).collect();
        let is_valid = text.is_ok() && bytes.len().is_multiple_of(2);
        (text.unwrap_or_default(), is_valid)
    };
    match bytes.as_slice() {
        [0xff, 0xfe, ..] => decode_utf16(u16::from_le_bytes),
        [0xfe, 0xff, ..] => decode_utf16(u16::from_be_bytes),
        _ => match String::from_utf8(bytes) {
            Ok(text) => (text, true),
            Err(error) => {
                let end = error.utf8_error().valid_up_to();
                let mut bytes = error.into_bytes();
                bytes.truncate(end);
                (String::from_utf8(bytes).unwrap_or_default(), false)
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_sort_in_natural_order() {
        let mut names = vec!["page-10.json", "page-2.json", "page.json", "a", "page-2-2.json"];
        names.sort_by_key(|name| natural_sort_key(name));
        assert_eq!(names, ["a", "page.json", "page-2.json", "page-2-2.json", "page-10.json"]);
    }

    #[test]
    fn utf_16_and_utf_8_are_decoded() {
        let encode = |to_bytes: fn(u16) -> [u8; 2]| {
            "\u{feff}{\"ü\"}".encode_utf16().flat_map(to_bytes).collect::<Vec<u8>>()
        };
        for bytes in [encode(u16::to_le_bytes), encode(u16::to_be_bytes)] {
            assert_eq!(decode(bytes.clone()), ("{\"ü\"}".to_owned(), true));
            assert!(!decode(bytes[..bytes.len() - 1].to_vec()).1);
        }
        assert_eq!(decode(b"{\n\xff}".to_vec()), ("{\n".to_owned(), false));
    }
}
