//! The files of a folder, whatever they are called and however deep they lie.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::ledger::SourceLocation;
use crate::aws::region;

/// How deep folders may lie in folders; a link to a folder above ends here too.
const MAX_DEPTH: usize = 16;

/// How many files are read at most.
const MAX_FILES: usize = 100_000;

/// The largest file that is read, in octets.
const MAX_FILE_BYTES: u64 = 512 << 20;

/// A file as it was read.
pub struct File {
    /// Where it stands, as the folder was named.
    pub path: PathBuf,
    /// Its text, as far as it is any.
    pub text: String,
    /// Whether all of it is text.
    pub is_text: bool,
    /// The region that a folder above it is named after.
    pub region: Option<String>,
    /// The account that a folder above it is named after.
    pub account: Option<String>,
}

/// A folder as it was read.
#[derive(Default)]
pub struct Directory {
    /// Its files, in the order of their paths.
    pub files: Vec<File>,
    /// It, and the folders in it.
    pub directories: Vec<PathBuf>,
    /// When the newest of its files was last changed.
    pub modified: Option<SystemTime>,
}

/// The places of a folder's files, as a person tells them: below the folder, as it was named.
pub struct LocationFormatter<'f> {
    folder: &'f Path,
    files: &'f [File],
    /// Where lines begin, for the files of which something is told: there may be much of it, in large files.
    line_starts: RefCell<HashMap<usize, Vec<usize>>>,
}

impl<'f> LocationFormatter<'f> {
    /// Those of the files of a folder.
    pub fn new(folder: &'f Path, files: &'f [File]) -> Self {
        Self { folder, files, line_starts: RefCell::default() }
    }

    /// A file, by its number.
    pub fn file(&self, number: usize) -> String {
        let file = &self.files[number].path;
        file.strip_prefix(self.folder).unwrap_or(file).display().to_string()
    }

    /// A place in a file: line and column, counted from 1, the column in characters.
    pub fn location(&self, spot: SourceLocation) -> String {
        let file = self.files[spot.file].text.as_str();
        let mut lines = self.line_starts.borrow_mut();
        let starts = lines.entry(spot.file).or_insert_with(|| {
            std::iter::once(0).chain(file.match_indices('\n').map(|(at, _)| at + 1)).collect()
        });
        let line = starts.partition_point(|start| *start <= spot.at);
        let column = file.get(starts[line - 1]..spot.at).unwrap_or_default().chars().count() + 1;
        format!("{}:{line}:{column}", self.file(spot.file))
    }
}

/// What a folder's name says about everything below it.
#[derive(Clone, Default)]
struct PathHints {
    /// The region it is named after.
    region: Option<String>,
    /// The account it is named after.
    account: Option<String>,
}

impl PathHints {
    /// The same with what one more folder's name says.
    fn for_subdirectory(&self, folder: &Path) -> Self {
        let mut named = self.clone();
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if region::is_region_shaped(&name) {
            named.region = Some(name);
        } else if is_account(&name) {
            named.account = Some(name);
        }
        named
    }
}

/// Whether a text is an account's number.
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|octet| octet.is_ascii_digit())
}

/// Reads a folder and every folder in it. Hidden files are passed over.
///
/// # Errors
///
/// When the folder, or something in it, cannot be read.
pub fn read(path: &Path) -> io::Result<Directory> {
    let mut folder = Directory::default();
    // `.` has no name of its own.
    let whole = path.canonicalize()?;
    walk(path, &PathHints::default().for_subdirectory(&whole), 0, &mut folder)?;
    Ok(folder)
}

/// Reads one folder, its own files and folders in the order of their names.
fn walk(path: &Path, named: &PathHints, depth: usize, folder: &mut Directory) -> io::Result<()> {
    let within =
        |error: io::Error, path: &Path| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    if depth > MAX_DEPTH {
        return Err(io::Error::other(format!("{}: folders lie more than {MAX_DEPTH} deep", path.display())));
    }
    folder.directories.push(path.to_owned());
    let mut entries = fs::read_dir(path)
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .map_err(|error| within(error, path))?;
    entries.sort_by_cached_key(|entry| natural_sort_key(&entry.file_name().to_string_lossy()));
    for entry in entries {
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let inner = entry.path();
        let about = fs::metadata(&inner).map_err(|error| within(error, &inner))?;
        if about.is_dir() {
            walk(&inner, &named.for_subdirectory(&inner), depth + 1, folder)?;
        } else if about.is_file() {
            if folder.files.len() >= MAX_FILES || about.len() > MAX_FILE_BYTES {
                let bounds =
                    format!("more than {MAX_FILES} files, or one larger than {MAX_FILE_BYTES} octets");
                return Err(io::Error::other(format!("{}: {bounds}", inner.display())));
            }
            let octets = fs::read(&inner).map_err(|error| within(error, &inner))?;
            folder.modified = folder.modified.max(about.modified().ok());
            let PathHints { region, account } = named.clone();
            let (text, is_text) = decode(octets);
            folder.files.push(File { path: inner, text, is_text, region, account });
        }
    }
    Ok(())
}

/// By what names sort as people count: page 2 before page 10, and after the one without a number.
fn natural_sort_key(name: &str) -> (String, String) {
    let stem = Path::new(name).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    (pad_numbers(&stem.unwrap_or_default()), name.to_owned())
}

/// A text with every number in it as long as any.
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

/// The text of a file, as far as it is any, and whether all of it is. PowerShell writes UTF-16 by itself.
fn decode(octets: Vec<u8>) -> (String, bool) {
    let units = |from: fn([u8; 2]) -> u16| {
        let pairs = octets[2..].chunks_exact(2).map(|pair| from([pair[0], pair[1]]));
        let text: Result<String, _> = char::decode_utf16(pairs).collect();
        let is_whole = text.is_ok() && octets.len().is_multiple_of(2);
        (text.unwrap_or_default(), is_whole)
    };
    match octets.as_slice() {
        [0xff, 0xfe, ..] => units(u16::from_le_bytes),
        [0xfe, 0xff, ..] => units(u16::from_be_bytes),
        _ => match String::from_utf8(octets) {
            Ok(text) => (text, true),
            Err(error) => {
                let end = error.utf8_error().valid_up_to();
                let mut octets = error.into_bytes();
                octets.truncate(end);
                (String::from_utf8(octets).unwrap_or_default(), false)
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_people_count() {
        let mut names = vec!["page-10.json", "page-2.json", "page.json", "a", "page-2-2.json"];
        names.sort_by_key(|name| natural_sort_key(name));
        assert_eq!(names, ["a", "page.json", "page-2.json", "page-2-2.json", "page-10.json"]);
    }

    #[test]
    fn a_text_is_read_in_the_encodings_that_shells_write() {
        let of =
            |from: fn(u16) -> [u8; 2]| "\u{feff}{\"ü\"}".encode_utf16().flat_map(from).collect::<Vec<u8>>();
        for octets in [of(u16::to_le_bytes), of(u16::to_be_bytes)] {
            assert_eq!(decode(octets.clone()), ("{\"ü\"}".to_owned(), true));
            assert!(!decode(octets[..octets.len() - 1].to_vec()).1);
        }
        assert_eq!(decode(b"{\n\xff}".to_vec()), ("{\n".to_owned(), false));
    }
}
