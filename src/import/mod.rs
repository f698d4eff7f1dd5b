//! Conversion of AWS CLI output to configuration.
//!
//! ```text
//!  directory ──► documents ──► objects ──► TOML text ──► config::load_text ──► Loaded
//!                   │             │            │
//!                   ▼             └─────┬──────┘
//!  errors, each with its location       └─► Ledger: disposition of each object ──► ImportReport
//! ```
//!
//! The generated text is loaded like any other configuration, so diagnostics about it point to its lines.
//! Errors in the documents themselves are reported in the same form, with the location in the document.

mod directory;
mod document;
mod inventory;
mod ledger;
mod merge;
mod objects;
mod pages;
mod reader;
mod regions;
mod report;
mod subject;
mod writer;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub use report::{ImportReport, Missing, ObjectSummary, Unsupported};

use crate::aws::region;
use crate::config::{self, Code, Loaded, Mark, SourceMap};
use directory::Directory;
use document::{Contents, DocumentError};
use inventory::Inventory;
use ledger::{Ledger, SourceLocation};
use objects::Object;
use objects::network::Vpc;
use pages::PageTracker;
use reader::DocumentReader;
use regions::RegionAndAccount;

/// Defaults for VPCs whose region or account cannot be determined otherwise.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// The region of VPCs for which neither a document nor a directory name states it.
    pub region: Option<String>,
    /// The account of VPCs for which neither a document nor a directory name states it.
    pub account: Option<String>,
}

/// A directory of AWS documents, converted to configuration.
#[derive(Debug)]
pub struct Imported {
    /// The configuration as TOML. Empty if there are errors.
    pub text: String,
    /// What was read, converted, skipped and unsupported.
    pub report: ImportReport,
    /// The errors in the documents.
    errors: config::Report,
    /// The files that contain errors.
    sources: SourceMap,
    /// Every file and directory that was read, for the file watcher.
    paths: Vec<PathBuf>,
    /// The last modification time of the newest file.
    modified: Option<SystemTime>,
}

impl Imported {
    /// Returns whether all documents were read without errors.
    pub fn is_valid(&self) -> bool {
        !self.errors.has_errors()
    }

    /// Loads the configuration. Diagnostics about the generated text refer to it as `name`. If a
    /// document is invalid, the result contains only the errors of the documents.
    pub fn load(&self, name: &Path) -> Loaded {
        if !self.is_valid() {
            let (sources, report) = (self.sources.clone(), self.errors.clone());
            return Loaded { sources, report, generated_from: self.paths.clone(), ..Loaded::default() };
        }
        let mut loaded = config::load_text(name, self.text.clone(), &|path| std::fs::read_to_string(path));
        loaded.generated_from.clone_from(&self.paths);
        loaded.sources.modified = self.modified;
        loaded
    }
}

/// A configuration, together with the reports of the AWS directories it includes.
#[derive(Debug)]
pub struct ConfigWithImports {
    /// The configuration.
    pub loaded: Loaded,
    /// The directories of AWS documents that are part of the configuration, each with its report.
    pub imports: Vec<(PathBuf, ImportReport)>,
}

/// Returns the name that diagnostics use for the text generated from a directory.
pub fn display_name(directory: &Path) -> PathBuf {
    PathBuf::from(format!("{} (generated configuration)", directory.display()))
}

/// Loads a configuration from a file, which may include directories of AWS documents, or from such a
/// directory itself.
///
/// # Errors
///
/// Fails only if the file or directory itself cannot be read. Errors in its contents are added to
/// [`Loaded::report`].
pub fn load(path: &Path) -> io::Result<ConfigWithImports> {
    if path.is_dir() {
        let imported = import(path, &ImportOptions::default())?;
        let loaded = imported.load(&display_name(path));
        return Ok(ConfigWithImports { loaded, imports: vec![(path.to_owned(), imported.report)] });
    }
    let directories: RefCell<Vec<(PathBuf, Imported)>> = RefCell::default();
    let read_file = |path: &Path| -> io::Result<String> {
        if !path.is_dir() {
            return std::fs::read_to_string(path);
        }
        let imported = import(path, &ImportOptions::default())?;
        let text = imported.text.clone();
        directories.borrow_mut().push((path.to_owned(), imported));
        Ok(text)
    };
    let mut loaded = config::load_with(path, &read_file)?;
    let mut imports = Vec::new();
    for (directory, imported) in directories.into_inner() {
        loaded.sources.rename(&directory, &display_name(&directory));
        loaded.sources.modified = loaded.sources.modified.max(imported.modified);
        loaded.generated_from.extend(imported.paths);
        if imported.errors.has_errors() {
            // The rest of the configuration refers to objects of this directory. Without them it would be
            // reported as invalid, which would hide the actual error.
            loaded.config = config::Config::default();
            loaded.report = imported.errors;
            loaded.sources = imported.sources;
            return Ok(ConfigWithImports { loaded, imports: Vec::new() });
        }
        imports.push((directory, imported.report));
    }
    Ok(ConfigWithImports { loaded, imports })
}

/// Converts a directory of AWS documents.
///
/// # Errors
///
/// Fails if the directory or a file in it cannot be read.
pub fn import(path: &Path, options: &ImportOptions) -> io::Result<Imported> {
    let directory = directory::read(path)?;
    let mut reader = DocumentReader::new(&directory.files);
    let mut errors = read_documents(&directory, &mut reader);
    errors.extend(reader.match_record_sets());
    reader.skip_vpcs_without_cidr();
    let DocumentReader { inventory, mut ledger, .. } = reader;
    let vpc_regions = regions::vpc_regions(&inventory, &directory.files, options);
    errors.extend(vpcs_without_region(&inventory, &vpc_regions, &ledger));
    if directory.files.is_empty() {
        let message = format!("directory `{}` contains no files", path.display());
        errors.push(DocumentError { file: 0, at: 0..0, message, help: None });
    }
    let text = if errors.is_empty() {
        writer::write_config(&inventory, &vpc_regions, &mut ledger)
    } else {
        String::new()
    };
    let formatter = directory::LocationFormatter::new(path, &directory.files);
    let report = ledger.into_report(&formatter);
    let (errors, sources) = to_diagnostics(errors, &directory);
    let Directory { files, directories, modified } = directory;
    let paths = directories.into_iter().chain(files.into_iter().map(|file| file.path)).collect();
    Ok(Imported { text, report, errors, sources, paths, modified })
}

/// Reads the documents of every file. Returns the errors, including those of incomplete page series.
fn read_documents<'f>(directory: &'f Directory, reader: &mut DocumentReader<'f>) -> Vec<DocumentError> {
    let mut pages = PageTracker::default();
    let mut other_files = Vec::new();
    for (number, file) in directory.files.iter().enumerate() {
        match document::read(file, number) {
            Contents::Documents(documents) => {
                for document in &documents {
                    if reader.read_document(document) {
                        pages.insert(directory, document);
                    }
                }
            }
            Contents::Other => other_files.push(number),
            Contents::Invalid(error) => reader.errors.push(error),
        }
    }
    for file in other_files {
        reader
            .ledger
            .note_unsupported(Some(SourceLocation { file, at: 0 }), "not JSON output of the AWS CLI");
    }
    let mut errors = std::mem::take(&mut reader.errors);
    errors.extend(pages.into_errors());
    errors
}

/// Returns an error for each VPC whose region is unknown.
fn vpcs_without_region(
    inventory: &Inventory,
    vpc_regions: &BTreeMap<String, RegionAndAccount>,
    ledger: &Ledger,
) -> Vec<DocumentError> {
    let without_region = inventory.vpcs.iter().filter(|vpc| vpc_regions[&vpc.vpc_id].region.is_none());
    without_region.map(|vpc| {
        let at = ledger.location(Vpc::KIND, &vpc.vpc_id).map_or(0, |location| location.at);
        DocumentError {
            file: vpc.file,
            at: at..at + 1,
            message: format!("unknown region of VPC `{}`", vpc.vpc_id),
            help: Some(
                "add the output of `aws ec2 describe-subnets`, move the files to a directory named after the region, \
                 such as `ap-northeast-1`, or specify the region with `plustwo import aws --region`"
                    .to_owned(),
            ),
        }
    })
    .collect()
}

/// Returns whether `text` has the form of a region name.
pub fn is_region(text: &str) -> bool {
    region::is_region_shaped(text)
}

/// Converts errors to diagnostics, together with the files that they refer to.
fn to_diagnostics(errors: Vec<DocumentError>, directory: &Directory) -> (config::Report, SourceMap) {
    let mut report = config::Report::default();
    let mut sources = SourceMap::default();
    let mut bases = BTreeMap::new();
    for DocumentError { file, at, message, help } in errors {
        let base = *bases.entry(file).or_insert_with(|| match directory.files.get(file) {
            Some(file) => sources.add(&file.path, file.text.clone()),
            None => sources.add(directory.directories.first().cloned().unwrap_or_default(), String::new()),
        });
        let diagnostic =
            report.error(Code::UnreadableFile, Mark::new(base + at.start..base + at.end), message);
        if let Some(help) = help {
            diagnostic.help(help);
        }
    }
    (report, sources)
}
