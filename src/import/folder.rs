//! The files of a folder, whatever they are called and however deep they lie.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

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
    /// Its text; `None` for what is no text at all.
    pub text: Option<String>,
    /// The region that a folder above it is named after.
    pub region: Option<String>,
    /// The account that a folder above it is named after.
    pub account: Option<String>,
}

/// A folder as it was read.
#[derive(Default)]
pub struct Folder {
    /// Its files, in the order of their paths.
    pub files: Vec<File>,
    /// It, and the folders in it.
    pub folders: Vec<PathBuf>,
    /// When the newest of its files was last changed.
    pub modified: Option<SystemTime>,
}

/// What a folder's name says about everything below it.
#[derive(Clone, Default)]
struct Named {
    /// The region it is named after.
    region: Option<String>,
    /// The account it is named after.
    account: Option<String>,
}

impl Named {
    /// The same with what one more folder's name says.
    fn below(&self, folder: &Path) -> Self {
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
pub fn read(path: &Path) -> io::Result<Folder> {
    let mut folder = Folder::default();
    // `.` has no name of its own.
    let whole = path.canonicalize()?;
    walk(path, &Named::default().below(&whole), 0, &mut folder)?;
    Ok(folder)
}

/// Reads one folder, its own files and folders in the order of their names.
fn walk(path: &Path, named: &Named, depth: usize, folder: &mut Folder) -> io::Result<()> {
    let within =
        |error: io::Error, path: &Path| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    if depth > MAX_DEPTH {
        return Err(io::Error::other(format!("{}: folders lie more than {MAX_DEPTH} deep", path.display())));
    }
    folder.folders.push(path.to_owned());
    let mut entries = fs::read_dir(path)
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .map_err(|error| within(error, path))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let inner = entry.path();
        let about = fs::metadata(&inner).map_err(|error| within(error, &inner))?;
        if about.is_dir() {
            walk(&inner, &named.below(&inner), depth + 1, folder)?;
        } else if about.is_file() {
            if folder.files.len() >= MAX_FILES || about.len() > MAX_FILE_BYTES {
                let bounds =
                    format!("more than {MAX_FILES} files, or one larger than {MAX_FILE_BYTES} octets");
                return Err(io::Error::other(format!("{}: {bounds}", inner.display())));
            }
            let octets = fs::read(&inner).map_err(|error| within(error, &inner))?;
            folder.modified = folder.modified.max(about.modified().ok());
            let Named { region, account } = named.clone();
            folder.files.push(File { path: inner, text: String::from_utf8(octets).ok(), region, account });
        }
    }
    Ok(())
}
