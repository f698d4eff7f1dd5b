//! What all phases share: the configuration as written, its files, and the report.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use super::{Network, ReadFile};
use crate::aws::public_names::stable_hash;
use crate::aws::{Facts, kind_by_prefix};
use crate::config::{Code, Config, Loaded, Mark, Marked, MarkedTable, Report, SourceMap, nearest, shortened};

/// Similar IDs are suggested for this many dangling references.
const MAX_SUGGESTIONS: usize = 256;

/// A configuration under compilation.
pub(super) struct Context<'a> {
    pub(super) config: &'a Config,
    pub(super) sources: &'a SourceMap,
    pruned_ids: &'a BTreeSet<String>,
    pub(super) pruned_keys: &'a BTreeSet<(usize, String)>,
    pub(super) report: &'a mut Report,
    pub(super) named_files: &'a mut BTreeMap<OsString, Option<u64>>,
    pub(super) read_file: &'a ReadFile<'a>,
    pub(super) facts: &'static Facts,
    /// Every ID of every kind, with the position of its declaration.
    pub(super) declared: HashMap<String, Mark>,
    /// Whether a part of the configuration was pruned as unreadable: dangling references to it are not errors
    /// of their own.
    pub(super) is_pruned: bool,
    /// The indexes of the interfaces of link-local servers: they may change although the sources do not.
    pub(super) interfaces: Vec<u32>,
    /// Number of dangling references that were reported.
    unknown_references: usize,
}

impl<'a> Context<'a> {
    /// The context of a loaded configuration.
    pub(super) fn new(loaded: &'a mut Loaded, read_file: &'a ReadFile<'a>) -> Self {
        let Loaded {
            config,
            sources,
            report,
            pruned_ids,
            pruned_keys,
            referenced_files: named_files,
            generated_from: _,
        } = loaded;
        let is_pruned = report.has_errors();
        Self {
            config,
            sources,
            pruned_ids,
            pruned_keys,
            report,
            named_files,
            read_file,
            facts: Facts::built_in(),
            declared: HashMap::new(),
            is_pruned,
            interfaces: Vec::new(),
            unknown_references: 0,
        }
    }

    /// Records the declaration of an ID. Returns false and reports an error if it is a duplicate.
    pub(super) fn declare<T: Display>(&mut self, id: &Marked<T>) -> bool {
        let text = id.to_string();
        match self.declared.get(&text) {
            None => {
                self.declared.insert(text, id.mark());
                true
            }
            Some(first) => {
                let position =
                    self.sources.position(*first).map(|p| format!("{}:{}", p.path.display(), p.line));
                let error = self.report.error(Code::DuplicateId, id.mark(), format!("duplicate ID `{id}`"));
                error.help(format!("first declared at {}", position.unwrap_or_default()));
                false
            }
        }
    }

    /// Reports a dangling reference, unless its target was declared but is invalid, in which case that error
    /// has been reported. `known` returns the IDs that it could refer to.
    pub(super) fn unknown<'k>(&mut self, what: &str, id: &str, mark: Mark, known: impl Fn() -> Vec<&'k str>) {
        let broken = self.declared.contains_key(id) && !known().contains(&id);
        if broken || self.pruned_ids.contains(id) {
            return;
        }
        self.unknown_references += 1;
        let help = (self.unknown_references <= MAX_SUGGESTIONS).then(|| help_with_unknown(what, id, known()));
        let error = self.report.error(Code::UnknownReference, mark, format!("unknown {what} `{id}`"));
        if let Some(help) = help {
            error.help(help);
        }
    }

    /// Reports a reference to a declared object of another kind than those with the given prefixes.
    /// `accepted` describes valid references. Returns whether it did.
    pub(super) fn is_of_other_kind(
        &mut self,
        id: &str,
        mark: Mark,
        prefixes: &[&str],
        accepted: &str,
    ) -> bool {
        let is_accepted = prefixes.iter().any(|prefix| id.starts_with(prefix));
        let Some(kind) = kind_by_prefix(id).filter(|_| !is_accepted && self.declared.contains_key(id)) else {
            return false;
        };
        let message = format!("`{id}` is {kind}: expected {accepted}");
        self.report.error(Code::UnknownReference, mark, message);
        true
    }

    /// Reports an unknown location.
    pub(super) fn unknown_place(&mut self, network: &Network, name: &str, mark: Mark, accepted: &str) {
        if self.is_of_other_kind(name, mark, &["subnet-", "site-"], accepted) {
            return;
        }
        self.unknown("place", name, mark, || network.places.names().map(|name| &**name).collect());
    }

    /// Whether a table lacks a key because it was pruned as unreadable, which has been reported.
    pub(super) fn was_pruned<T>(&self, table: &MarkedTable<T>, key: &str) -> bool {
        self.pruned_keys.contains(&(table.mark().range().start, key.to_owned()))
    }

    /// Reads a file that the configuration refers to, and records it: a change to it is a change of the
    /// configuration.
    pub(super) fn named_file(&mut self, written: &Marked<String>) -> Option<(PathBuf, String)> {
        let path = self.resolve_path(written);
        let read = (self.read_file)(&path);
        self.named_files
            .insert(path.clone().into_os_string(), read.as_ref().ok().map(|text| stable_hash(text.bytes())));
        match read {
            Ok(text) => Some((path, text)),
            Err(error) => {
                self.unreadable(written, &path, &error);
                None
            }
        }
    }

    /// Reports that a file cannot be read.
    pub(super) fn unreadable(&mut self, written: &Marked<String>, path: &Path, error: &std::io::Error) {
        let message = format!("cannot read `{}`: {error}", path.display());
        self.report.error(Code::UnreadableFile, written.mark(), message);
    }

    /// The path of a file, relative to the file that refers to it.
    pub(super) fn resolve_path(&self, written: &Marked<String>) -> PathBuf {
        let from = self.sources.path(written.mark()).unwrap_or(Path::new(""));
        from.parent().unwrap_or(Path::new("")).join(written.value())
    }

    /// A hash of the sources, the files that they refer to, and the interfaces that were looked up.
    pub(super) fn fingerprint(&self) -> String {
        let texts = self.sources.fingerprint();
        if self.named_files.is_empty() && self.interfaces.is_empty() {
            return texts;
        }
        let files = self.named_files.values().flat_map(|hash| hash.unwrap_or_default().to_be_bytes());
        let interfaces = self.interfaces.iter().flat_map(|index| index.to_be_bytes());
        format!("{:016x}", stable_hash(texts.bytes().chain(files).chain(interfaces)))
    }
}

/// Help for a dangling reference: the ID that was probably meant.
fn help_with_unknown(what: &str, id: &str, mut known: Vec<&str>) -> String {
    known.sort_unstable();
    match nearest(id, &known) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("the configuration has no {what}"),
        None => format!("known IDs: {}", shortened(&known)),
    }
}
