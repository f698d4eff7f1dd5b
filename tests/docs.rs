//! The manual matches the program: every key and value is documented, every complete configuration compiles,
//! every transcript is real output, every link resolves.
//!
//! `UPDATE_EXPECT=1 cargo test --test docs` regenerates the reference and the transcripts.

#[path = "docs/book.rs"]
mod book;
#[path = "docs/reference.rs"]
mod reference;
#[path = "docs/transcripts.rs"]
mod transcripts;

use std::fs;
use std::path::{Path, PathBuf};

use plustwo::audit::{BundleVerdict, Verdict};
use plustwo::aws::Facts;
use plustwo::aws::prices::Charge;
use plustwo::config;
use plustwo::explain::SuggestionKind;
use plustwo::resolve::{Class, Reach, Reason};
use plustwo::world::compile;
use reference::Reference;

/// The line above the generated part of a page.
const GENERATED: &str = "<!-- generated from the schema; do not edit below this line -->\n";

/// The beginning of a fence with a complete configuration.
const COMPLETE: &str = "# complete";

#[test]
fn every_class_reach_and_reason_is_documented() {
    let page = read(Path::new("docs/paths.md"));
    let words = (Class::ALL.iter().map(|class| class.as_str()))
        .chain(Reach::ALL.iter().map(|reach| reach.as_str()))
        .chain(Reason::ALL.iter().map(|reason| reason.as_str()))
        .chain(SuggestionKind::ALL.iter().map(|change| change.as_str()));
    assert_eq!(missing(&page, words), Vec::<String>::new(), "not documented in docs/paths.md");
}

#[test]
fn every_keyword_of_an_audit_is_documented() {
    let page = read(Path::new("docs/audit.md"));
    let words = (Verdict::ALL.iter().map(|verdict| verdict.as_str()))
        .chain(BundleVerdict::ALL.iter().map(|verdict| verdict.as_str()))
        .chain(Charge::ALL.iter().map(|charge| charge.as_str()));
    assert_eq!(missing(&page, words), Vec::<String>::new(), "not documented in docs/audit.md");
    let facts = Facts::built_in();
    let bundles = facts.bundles.iter().map(|bundle| bundle.name.as_str());
    assert_eq!(missing(&page, bundles), Vec::<String>::new(), "bundles not documented in docs/audit.md");
    let newest = facts.prices.newest_date().expect("there are prices");
    assert!(page.contains(newest), "docs/audit.md does not contain the date of the newest price, {newest}");
}

#[test]
fn every_diagnostic_code_has_an_example() {
    let page = read(Path::new("docs/configuration.md"));
    let codes = diagnostic_codes();
    assert!(codes.len() > 20, "the list of codes was not found: {codes:?}");
    assert_eq!(missing(&page, codes.iter().map(String::as_str)), Vec::<String>::new());
    for code in codes {
        let example = [format!("error[{code}]: "), format!("warning[{code}]: ")];
        assert!(example.iter().any(|text| page.contains(text)), "no example of `{code}`");
    }
}

#[test]
fn every_configuration_key_is_documented() {
    let reference = Reference::new();
    assert_eq!(reference.gaps(), Vec::<String>::new());
    let path = Path::new("docs/reference.md");
    let page = read(path);
    let (above, found) = page.split_once(GENERATED).expect("the page has the marker");
    let made = reference.text();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(path, format!("{above}{GENERATED}{made}")).unwrap();
        return;
    }
    assert_eq!(found, made, "UPDATE_EXPECT=1 cargo test --test docs updates the reference");
}

/// The documented default of each key equals the behaviour without the key.
#[test]
fn every_default_in_the_reference_is_correct() {
    let reference = Reference::new();
    let [without, with] = [false, true].map(|with_defaults| {
        let text = reference.configuration(with_defaults).to_string();
        let nothing = |path: &Path| Err(std::io::Error::other(format!("no file {}", path.display())));
        let loaded = config::load_text(Path::new("defaults.toml"), text, &nothing);
        assert!(!loaded.report.has_errors(), "{}", loaded.report.render(&loaded.sources));
        format!("{:#?}", loaded.config)
    });
    assert_eq!(without, with);
}

#[test]
fn every_complete_configuration_in_the_manual_compiles() {
    let mut compiled = 0;
    for page in files(Path::new("docs"), "md") {
        let text = read(&page);
        for (line, fence) in toml_fences(&text).into_iter().filter(|(_, fence)| fence.starts_with(COMPLETE)) {
            let name = PathBuf::from(format!("{}, the fence at line {line}", page.display()));
            let nothing = |path: &Path| Err(std::io::Error::other(format!("no file {}", path.display())));
            let mut loaded = config::load_text(&name, fence, &nothing);
            let world = compile::compile_with(&mut loaded, &nothing);
            assert!(world.is_some(), "{}", loaded.report.render(&loaded.sources));
            compiled += 1;
        }
    }
    assert!(compiled > 0, "no complete configuration was found in docs/");
}

#[test]
fn every_shipped_configuration_compiles() {
    for path in ["config/lab.toml", "deploy/container/plustwo.toml"] {
        let mut loaded = config::load(Path::new(path)).expect("the file can be read");
        let world = compile::compile(&mut loaded);
        assert!(world.is_some(), "{}", loaded.report.render(&loaded.sources));
    }
}

#[test]
fn alerts_and_recording_rules_use_existing_metrics() {
    let declared: String = files(Path::new("src/observe"), "rs").iter().map(|path| read(path)).collect();
    if !declared.contains("dns_requests_total") {
        return; // nothing is declared to compare with
    }
    let rules = read(Path::new("deploy/prometheus/rules.yml"));
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let names = rules.split(|c| !is_part(c)).filter(|word| word.starts_with("plustwo_"));
    // The source may contain a name without its prefix.
    let unknown: Vec<&str> =
        names.filter(|name| !declared.contains(name.trim_start_matches("plustwo_"))).collect();
    assert_eq!(unknown, Vec::<&str>::new());
}

#[test]
fn every_difference_states_its_evidence_and_existing_settings() {
    let page = read(Path::new("docs/differences.md"));
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows: Vec<Vec<&str>> = rows.map(|row| row.split(" | ").collect()).collect();
    let (words, rows): (Vec<_>, Vec<_>) = rows.into_iter().partition(|cells| cells.len() == 2);
    let words: Vec<&str> = words.iter().map(|cells| cells[0].trim_matches('`')).collect();
    assert!(rows.len() > 50, "the rows were not found");
    let keys = Reference::new().paths();
    for cells in rows.iter().filter(|cells| cells[0] != "Behaviour") {
        let [behaviour, _, known, setting] = cells[..] else { panic!("{} cells: {cells:?}", cells.len()) };
        assert!(
            words.iter().any(|word| known.starts_with(word)),
            "`{behaviour}`: unknown evidence `{known}`"
        );
        let unknown: Vec<&str> = setting
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|name| !keys.contains(name.trim_matches(['[', ']'])))
            .collect();
        assert_eq!(unknown, Vec::<&str>::new(), "the settings of `{behaviour}`");
    }
}

/// The words that a page does not contain in backticks.
fn missing<'w>(page: &str, words: impl Iterator<Item = &'w str>) -> Vec<String> {
    words.filter(|word| !page.contains(&format!("`{word}`"))).map(str::to_owned).collect()
}

/// The codes of `Code::as_str`; the enum has no list of its variants.
fn diagnostic_codes() -> Vec<String> {
    let source = read(Path::new("src/config/diagnostic.rs"));
    let arms = source.lines().filter_map(|line| line.trim().strip_prefix("Self::"));
    arms.filter_map(|arm| arm.split_once(" => \"")?.1.strip_suffix("\",").map(str::to_owned)).collect()
}

/// The contents of a page's `toml` fences, with the line numbers at which they begin.
fn toml_fences(page: &str) -> Vec<(usize, String)> {
    let mut fences = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in page.lines().enumerate() {
        match &mut open {
            None if line == "```toml" => open = Some((number + 1, String::new())),
            None => {}
            Some(_) if line.starts_with("```") => fences.extend(open.take()),
            Some((_, text)) => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    fences
}

/// All files with an extension below a directory.
fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())) {
        let path = entry.expect("the directory can be read").path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|have| have == extension) {
            found.push(path);
        }
    }
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
