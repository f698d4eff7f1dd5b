//! What the user wrote: TOML with places, read into types, every mistake told at once.
//!
//! ```text
//!  text ──► pieces (nothing is wrong) ───────────────────────────────► Config
//!    └────► document (includes merged, every span a mark) ──► repair ──► Config
//!                         │                                      │
//!                         └───────────► Report ◄─────────────────┘
//! ```
//!
//! Nothing here knows what the words mean together; that is `world::compile`'s work, which adds to the
//! same [`Report`].

mod diagnostic;
mod document;
pub mod ip_ranges;
mod pieces;
pub mod policy;
mod recovery;
pub mod route53;
mod schema;
mod source;
mod text;
mod v1;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use diagnostic::{Code, Diagnostic, Report, Severity, count};
pub use document::ReadFile;
use recovery::Recovered;
pub use recovery::{nearest, shortened};
pub use schema::json_schema;
pub use source::{Mark, Marked, SourcePosition, Placed, SourceMap, FromConfigStr};
pub use text::{ServerScheme, Cidr, Destination, ExpectedLocation, ListenAddress, SourcePrefix, ServerAddress, ServerAddressError};
pub use v1::*;

/// The configuration that is used when none is named: a whole lab on loopback.
pub const BUILT_IN_LAB: &str = include_str!("../../config/lab.toml");

/// The name that the built-in lab goes by in messages.
pub const BUILT_IN_LAB_NAME: &str = "built-in lab";

/// A configuration as read, with everything that was wrong with it so far.
#[derive(Debug, Default)]
pub struct Loaded {
    /// What could be read. Complete only if the report has no errors.
    pub config: Config,
    /// The files, for telling places.
    pub sources: SourceMap,
    /// What is wrong.
    pub report: Report,
    /// Ids that stood in parts too broken to read. A reference to one of them is no mistake of its own.
    pub lost_ids: BTreeSet<String>,
    /// Keys that could not be read, by where their table begins: they are wrong, not missing.
    pub cut_keys: BTreeSet<(usize, String)>,
    /// The zone files and certificates that it names, each with a hash of its text; `None` for one that cannot be read.
    /// Filled while the world is compiled.
    pub named_files: BTreeMap<OsString, Option<u64>>,
    /// What else was read to make the texts: files that the texts were made from, and their folders.
    pub read_too: Vec<PathBuf>,
}

impl Loaded {
    /// Every file that this configuration is made of: its own, then those it names.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let own = self.sources.paths().chain(self.named_files.keys().map(Path::new));
        own.chain(self.read_too.iter().map(PathBuf::as_path))
    }
}

/// Reads a file and what it includes.
///
/// # Errors
///
/// Only when the file itself cannot be read. Mistakes in it go into [`Loaded::report`].
pub fn load(path: &Path) -> std::io::Result<Loaded> {
    load_with(path, &|path| std::fs::read_to_string(path))
}

/// The same where files are read in another way.
///
/// # Errors
///
/// As [`load`].
pub fn load_with(path: &Path, read_file: &ReadFile<'_>) -> std::io::Result<Loaded> {
    let text = read_file(path)?;
    let mut loaded = load_text(path, text, read_file);
    let changed = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified()).ok();
    loaded.sources.modified = loaded.sources.paths().filter_map(changed).max();
    Ok(loaded)
}

/// The built-in lab, read.
pub fn load_built_in_lab() -> Loaded {
    load_text(Path::new(BUILT_IN_LAB_NAME), BUILT_IN_LAB.to_owned(), &|path| std::fs::read_to_string(path))
}

/// Reads a text as if it stood in the file `path`.
pub fn load_text(path: &Path, text: String, read_file: &ReadFile<'_>) -> Loaded {
    let mut report = Report::default();
    let sources = document::gather(path, text, read_file, &mut report);
    let Recovered { value, lost_ids, cut_keys } = match pieces::read(&sources) {
        Some(config) => {
            Recovered { value: Some(config), lost_ids: BTreeSet::new(), cut_keys: BTreeSet::new() }
        }
        None => {
            let document = document::merge(&sources, &mut report);
            recovery::read::<Config>(document, &schema::required_keys, &mut report)
        }
    };
    let config = value.unwrap_or_default();
    Loaded { config, sources, report, lost_ids, cut_keys, ..Loaded::default() }
}
