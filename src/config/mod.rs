//! The configuration as written: TOML with positions, deserialised into types, with all errors in one report.
//!
//! ```text
//!  text ──► pieces (no errors) ─────────────────────────────────────────► Config
//!    └────► document (includes merged, every span a mark) ──► recovery ──► Config
//!                         │                                      │
//!                         └───────────► Report ◄─────────────────┘
//! ```
//!
//! The meaning of the sections together is determined by `world::compile`, which adds to the same [`Report`].

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
pub use recovery::{correction, nearest, shortened};
pub use schema::json_schema;
pub use source::{FromConfigStr, Mark, Marked, MarkedTable, SourceMap, SourcePosition};
pub use text::{
    Cidr, Destination, ExpectedLocation, ListenAddress, ServerAddress, ServerAddressError, ServerScheme,
    SourcePrefix,
};
pub use v1::*;

/// The configuration that is used by default: a lab on loopback.
pub const BUILT_IN_LAB: &str = include_str!("../../config/lab.toml");

/// The name of the built-in lab in messages.
pub const BUILT_IN_LAB_NAME: &str = "built-in lab";

/// A loaded configuration with its diagnostics.
#[derive(Debug, Default)]
pub struct Loaded {
    /// What could be read. Complete only if the report has no errors.
    pub config: Config,
    /// The files, for positions.
    pub sources: SourceMap,
    /// The diagnostics.
    pub report: Report,
    /// IDs in parts that were pruned as unreadable. A reference to one of them is not reported as dangling.
    pub pruned_ids: BTreeSet<String>,
    /// Keys that were pruned as unreadable, by the start of their table: they are invalid, not missing.
    pub pruned_keys: BTreeSet<(usize, String)>,
    /// The zone files and certificates that it refers to, each with a hash of its contents; `None` for one
    /// that cannot be read. Filled while the world is compiled.
    pub referenced_files: BTreeMap<OsString, Option<u64>>,
    /// Other sources: files from which the texts were generated, and their directories.
    pub generated_from: Vec<PathBuf>,
}

impl Loaded {
    /// Every file of this configuration: its own, then those that it refers to.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let own = self.sources.paths().chain(self.referenced_files.keys().map(Path::new));
        own.chain(self.generated_from.iter().map(PathBuf::as_path))
    }
}

/// Loads a file and its includes.
///
/// # Errors
///
/// Only if the file itself cannot be read. Errors in it are added to [`Loaded::report`].
pub fn load(path: &Path) -> std::io::Result<Loaded> {
    load_with(path, &|path| std::fs::read_to_string(path))
}

/// The same with a function that reads files.
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

/// Loads the built-in lab.
pub fn load_built_in_lab() -> Loaded {
    load_text(Path::new(BUILT_IN_LAB_NAME), BUILT_IN_LAB.to_owned(), &|path| std::fs::read_to_string(path))
}

/// Loads a text as if it were the contents of the file `path`.
pub fn load_text(path: &Path, text: String, read_file: &ReadFile<'_>) -> Loaded {
    let mut report = Report::default();
    let sources = document::read_files(path, text, read_file, &mut report);
    let Recovered { value, pruned_ids, pruned_keys } = match pieces::read(&sources) {
        Some(config) => {
            Recovered { value: Some(config), pruned_ids: BTreeSet::new(), pruned_keys: BTreeSet::new() }
        }
        None => {
            let document = document::merge(&sources, &mut report);
            recovery::read::<Config>(document, &schema::required_keys, &mut report)
        }
    };
    let config = value.unwrap_or_default();
    Loaded { config, sources, report, pruned_ids, pruned_keys, ..Loaded::default() }
}
