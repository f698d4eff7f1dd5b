//! The generated configuration is equivalent to the directory that it was generated from.

use std::fs;
use std::path::Path;

use super::common::process::{plustwo, stderr, stdout};
use super::lab::{readme_names, without_ttls};
use super::{compile_world, fixture, import_valid};

/// Returns the locations in a configuration: its subnets, its sites with CIDR blocks, and `outside`.
fn locations(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let ids = lines.windows(2).filter_map(|pair| {
        let id = pair[0].strip_prefix("id = \"")?.strip_suffix('"')?;
        let is_location = id.starts_with("subnet-") || id.starts_with("site-");
        (is_location && pair[1] != "cidr = []").then_some(id)
    });
    ids.chain(["outside"]).map(str::to_owned).collect()
}

/// Explains names from a location. TTLs are removed, since they count down between two runs.
fn explain_names(config: &Path, names: &Path, from: &str) -> Vec<serde_json::Value> {
    let [config, names] = [config, names].map(|path| path.to_str().unwrap());
    let output = plustwo(&["explain", "--names", names, "--json", "--from", from, "--config", config]);
    let lines = stdout(&output);
    assert!(!lines.is_empty(), "from {from}: {}", stderr(&output));
    lines.lines().map(|line| without_ttls(serde_json::from_str(line).unwrap())).collect()
}

#[test]
fn the_generated_configuration_answers_like_the_directory() {
    for (name, zone_names) in [
        ("lab/aws", &["db.corp.internal", "a.apps.corp.internal"][..]),
        ("hub", &["near.corp.example", "where.corp.example", "main.corp.example", "a.apps.corp.example"]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let [text, names] = ["imported.toml", "names"].map(|file| dir.path().join(file));
        let output =
            plustwo(&["import", "aws", fixture(name).to_str().unwrap(), "--out", text.to_str().unwrap()]);
        assert!(output.status.success(), "{}", stderr(&output));
        let mut all_names = readme_names();
        all_names.extend(zone_names.iter().map(|name| (*name).to_owned()));
        fs::write(&names, all_names.join("\n")).unwrap();
        let locations = locations(&fs::read_to_string(&text).unwrap());
        assert!(locations.len() > 3, "{locations:?}");
        for from in locations {
            let (from_text, from_documents) =
                (explain_names(&text, &names, &from), explain_names(&fixture(name), &names, &from));
            assert_eq!(from_text.len(), all_names.len());
            assert_eq!(from_text, from_documents, "{name} from {from}");
        }
    }
}

#[test]
fn the_documents_of_the_lab_compile_without_diagnostics() {
    let (world, diagnostics) = compile_world(&import_valid(&fixture("lab/aws")));
    assert!(world.is_some());
    assert_eq!(diagnostics, "no errors\n");
}
