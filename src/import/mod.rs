//! A folder of what the AWS CLI printed, as configuration.
//!
//! ```text
//!  folder ──► documents ──► objects ──► text, as a person would write it ──► config::load_text ──► Loaded
//!                │             │          │
//!                ▼             └────┬─────┘
//!  mistakes, each with its place    └─► Ledger: what became of each object ──► Report
//! ```
//!
//! The text goes the way of every configuration, so what is wrong with it is told as always, at its own lines.
//! Mistakes in documents stand in the same report, at the documents' lines.

mod document;
mod folder;
mod inventory;
mod ledger;
mod merge;
mod objects;
mod pages;
mod places;
mod reader;
mod report;
mod subject;
mod text;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub use report::{Missing, ObjectSummary, ImportReport, Unsupported};

use crate::aws::region;
use crate::config::{self, Code, Loaded, Mark, SourceMap};
use document::{Contents, DocumentError};
use folder::Directory;
use inventory::Inventory;
use ledger::{Ledger, SourceLocation};
use objects::Object;
use objects::network::Vpc;
use pages::PageTracker;
use places::RegionAndAccount;
use reader::DocumentReader;

/// What documents do not say.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// The region of VPCs that nothing tells it of.
    pub region: Option<String>,
    /// The account of VPCs that nothing tells it of.
    pub account: Option<String>,
}

/// A folder as configuration.
#[derive(Debug)]
pub struct Imported {
    /// The text. Empty when a document is wrong.
    pub text: String,
    /// What became of the documents.
    pub report: ImportReport,
    /// What is wrong with them.
    errors: config::Report,
    /// The files with mistakes.
    sources: SourceMap,
    /// Every file and folder that was read.
    paths: Vec<PathBuf>,
    /// When the newest file was last changed.
    modified: Option<SystemTime>,
}

impl Imported {
    /// Whether every document could be read.
    pub fn is_valid(&self) -> bool {
        !self.errors.has_errors()
    }

    /// The configuration, with what is wrong with it so far. Its text goes by `name` in messages.
    pub fn load(&self, name: &Path) -> Loaded {
        if !self.is_valid() {
            let (sources, report) = (self.sources.clone(), self.errors.clone());
            return Loaded { sources, report, read_too: self.paths.clone(), ..Loaded::default() };
        }
        let mut loaded = config::load_text(name, self.text.clone(), &|path| std::fs::read_to_string(path));
        loaded.read_too.clone_from(&self.paths);
        loaded.sources.modified = self.modified;
        loaded
    }
}

/// What was read where a configuration was named.
#[derive(Debug)]
pub struct ConfigSource {
    /// The configuration.
    pub loaded: Loaded,
    /// The folders of AWS's documents that are in it, with what became of them.
    pub imports: Vec<(PathBuf, ImportReport)>,
}

/// The name of a folder's text in messages.
pub fn display_name(folder: &Path) -> PathBuf {
    PathBuf::from(format!("{} (as configuration)", folder.display()))
}

/// Reads a configuration: a file, which may include such folders, or a folder of AWS's documents.
///
/// # Errors
///
/// Only when the file or folder itself cannot be read. Mistakes in it go into [`Loaded::report`].
pub fn load(path: &Path) -> io::Result<ConfigSource> {
    if path.is_dir() {
        let imported = import(path, &ImportOptions::default())?;
        let loaded = imported.load(&display_name(path));
        return Ok(ConfigSource { loaded, imports: vec![(path.to_owned(), imported.report)] });
    }
    let folders: RefCell<Vec<(PathBuf, Imported)>> = RefCell::default();
    let read_file = |path: &Path| -> io::Result<String> {
        if !path.is_dir() {
            return std::fs::read_to_string(path);
        }
        let imported = import(path, &ImportOptions::default())?;
        let text = imported.text.clone();
        folders.borrow_mut().push((path.to_owned(), imported));
        Ok(text)
    };
    let mut loaded = config::load_with(path, &read_file)?;
    let mut imports = Vec::new();
    for (folder, imported) in folders.into_inner() {
        loaded.sources.rename(&folder, &display_name(&folder));
        loaded.sources.modified = loaded.sources.modified.max(imported.modified);
        loaded.read_too.extend(imported.paths);
        if imported.errors.has_errors() {
            // What hangs on the folder would be told as missing, which is not its mistake.
            loaded.config = config::Config::default();
            loaded.report = imported.errors;
            loaded.sources = imported.sources;
            return Ok(ConfigSource { loaded, imports: Vec::new() });
        }
        imports.push((folder, imported.report));
    }
    Ok(ConfigSource { loaded, imports })
}

/// Reads a folder of AWS's documents.
///
/// # Errors
///
/// When the folder or a file in it cannot be read.
pub fn import(path: &Path, options: &ImportOptions) -> io::Result<Imported> {
    let folder = folder::read(path)?;
    let mut reader = DocumentReader::new(&folder.files);
    let mut mistakes = read_documents(&folder, &mut reader);
    mistakes.extend(reader.match_record_sets());
    reader.skip_vpcs_without_cidr();
    let DocumentReader { inventory, mut ledger, .. } = reader;
    let homes = places::vpc_regions(&inventory, &folder.files, options);
    mistakes.extend(vpcs_without_region(&inventory, &homes, &ledger));
    if folder.files.is_empty() {
        let message = format!("folder `{}` has no files", path.display());
        mistakes.push(DocumentError { file: 0, at: 0..0, message, help: None });
    }
    let text = if mistakes.is_empty() { text::write_config(&inventory, &homes, &mut ledger) } else { String::new() };
    let places = folder::LocationFormatter::new(path, &folder.files);
    let report = ledger.into_report(&places);
    let (mistakes, sources) = to_diagnostics(mistakes, &folder);
    let Directory { files, directories: folders, modified } = folder;
    let read = folders.into_iter().chain(files.into_iter().map(|file| file.path)).collect();
    Ok(Imported { text, report, errors: mistakes, sources, paths: read, modified })
}

/// Reads the documents of every file. Gives what is wrong with them, the pages that lack another among it.
fn read_documents<'f>(folder: &'f Directory, reader: &mut DocumentReader<'f>) -> Vec<DocumentError> {
    let mut pages = PageTracker::default();
    let mut foreign = Vec::new();
    for (number, file) in folder.files.iter().enumerate() {
        match document::read(file, number) {
            Contents::Documents(documents) => {
                for document in &documents {
                    if reader.read_document(document) {
                        pages.insert(folder, document);
                    }
                }
            }
            Contents::Other => foreign.push(number),
            Contents::Invalid(mistake) => reader.errors.push(mistake),
        }
    }
    for file in foreign {
        reader.ledger.note_unsupported(Some(SourceLocation { file, at: 0 }), "this file is no document of the AWS CLI");
    }
    let mut mistakes = std::mem::take(&mut reader.errors);
    mistakes.extend(pages.into_errors());
    mistakes
}

/// The VPCs whose region nothing tells, as mistakes.
fn vpcs_without_region(
    inventory: &Inventory,
    homes: &BTreeMap<String, RegionAndAccount>,
    ledger: &Ledger,
) -> Vec<DocumentError> {
    let dropped_at = inventory.vpcs.iter().filter(|vpc| homes[&vpc.vpc_id].region.is_none());
    dropped_at.map(|vpc| {
        let at = ledger.location(Vpc::KIND, &vpc.vpc_id).map_or(0, |spot| spot.at);
        DocumentError {
            file: vpc.file,
            at: at..at + 1,
            message: format!("nothing tells the region of VPC `{}`", vpc.vpc_id),
            help: Some(
                "add what `aws ec2 describe-subnets` prints, put the files into a folder named after the region, such \
                 as `ap-northeast-1`, or say `plustwo import aws --region …`"
                    .to_owned(),
            ),
        }
    })
    .collect()
}

/// Whether a text may be a region's name.
pub fn is_region(text: &str) -> bool {
    region::is_region_shaped(text)
}

/// Mistakes as diagnostics, with the files they stand in.
fn to_diagnostics(mistakes: Vec<DocumentError>, folder: &Directory) -> (config::Report, SourceMap) {
    let mut report = config::Report::default();
    let mut sources = SourceMap::default();
    let mut bases = BTreeMap::new();
    for DocumentError { file, at, message, help } in mistakes {
        let base = *bases.entry(file).or_insert_with(|| match folder.files.get(file) {
            Some(file) => sources.add(&file.path, file.text.clone()),
            None => sources.add(folder.directories.first().cloned().unwrap_or_default(), String::new()),
        });
        let told = report.error(Code::UnreadableFile, Mark::new(base + at.start..base + at.end), message);
        if let Some(help) = help {
            told.help(help);
        }
    }
    (report, sources)
}
