//! Checks for arbitrary octets as an AWS document.
//!
//! The import never panics. It reports errors with their position, or accounts for every object of the
//! document and generates a configuration that is valid TOML with known keys.

use std::fs;
use std::path::Path;

use plustwo::config::Code;
use plustwo::import::{ImportOptions, import};
use plustwo::world::compile::compile;

/// Checks one document.
pub(crate) fn check(document: &[u8]) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::write(directory.path().join("document.json"), document).expect("a writable file");
    let options = ImportOptions { region: Some("eu-west-1".to_owned()), account: None };
    let Ok(imported) = import(directory.path(), &options) else { return };
    for (kind, summary) in &imported.report.read {
        let counted = summary.converted + summary.skipped.values().sum::<usize>() + summary.unsupported;
        assert_eq!(summary.total(), counted, "{kind}: each object is counted once");
    }
    let is_valid = imported.is_valid();
    let mut loaded = imported.load(Path::new("generated.toml"));
    assert!(is_valid || loaded.report.has_errors(), "errors are reported");
    for finding in loaded.report.sorted() {
        let text = finding.headline(&loaded.sources);
        assert!(!text.is_empty());
        let is_own_mistake = matches!(finding.code, Code::Syntax | Code::UnknownKey | Code::MissingKey);
        assert!(!(is_valid && is_own_mistake), "the generated text is not a configuration: {text}");
    }
    if is_valid {
        // Documents may contradict each other: then this reports it.
        let world = compile(&mut loaded);
        assert_eq!(world.is_none(), loaded.report.has_errors());
    }
}
