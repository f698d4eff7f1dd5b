//! Scenarios: verified descriptions of behaviour from the user's point of view, in Markdown.
//!
//! Every `tests/scenarios/*.md` is a suite, and every `##` heading in it a scenario. Fences are verified or
//! used, and a fence that is neither is an error:
//!
//! ```text
//! toml config          the configuration; before the first heading it is shared, and that of a scenario
//!                      is appended to it
//! report               the diagnostics of `check` for that configuration, one per line; `shared` and `config`
//!                      denote the two texts; lines are counted separately in each
//! dig from=PLACE …     queries in the style of dig: `name type`, followed by the answer
//! explain from=PLACE   the same queries, each followed by the claims for its names: selected, rejected, and why
//! ```
//!
//! `from` is the name of a location or an address; `view` is the name of a view or the ID of an inbound
//! endpoint, for clients of a listener that is bound to it. `rotation=N` is the number of previous queries;
//! `draw=N` is the random number that selects weighted records, 0 by default. `texts` includes the full text
//! of extended errors with paths.
//!
//! `UPDATE_EXPECT=1 cargo test --test scenarios` replaces the expected output, so that a change of behaviour
//! appears as a diff.

#[path = "scenarios/dig.rs"]
mod dig;
#[path = "scenarios/own_tests.rs"]
mod own_tests;

use std::ops::Range;
use std::path::Path;

use plustwo::config::{self, Loaded};
use plustwo::world::compile::compile;

/// A fenced block: its info string, its lines, and their position in the file.
struct Block<'a> {
    info: &'a str,
    lines: Vec<&'a str>,
    at: Range<usize>,
}

/// A `##` heading with its blocks. The part above the first heading has no name.
struct Scenario<'a> {
    name: &'a str,
    blocks: Vec<Block<'a>>,
}

/// A block with unexpected lines.
struct Difference {
    message: String,
    at: Range<usize>,
    found: Vec<String>,
}

#[test]
fn all_scenarios_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.sort();
    let mut failures = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        match run_suite(&path, &text) {
            Ok(differences) if update => std::fs::write(&path, rewritten(&text, &differences)).unwrap(),
            Ok(differences) => failures.extend(differences.into_iter().map(|difference| difference.message)),
            Err(errors) => failures.extend(errors),
        }
    }
    assert!(failures.is_empty(), "\n{}\n{} failures", failures.join("\n"), failures.len());
}

/// Runs a suite: the differences, or the reasons why the suite is invalid.
fn run_suite(path: &Path, text: &str) -> Result<Vec<Difference>, Vec<String>> {
    let file = path.file_name().unwrap_or_default().display();
    let (shared, scenarios) = parse(text).map_err(|error| vec![format!("{file}: {error}")])?;
    let mut differences = Vec::new();
    let mut errors = Vec::new();
    for scenario in &scenarios {
        match scenario_differences(path, &shared, scenario) {
            Ok(found) => differences.extend(found.into_iter().map(|mut difference| {
                let location = format!("{file}:{}: {}", difference.at.start, scenario.name);
                difference.message = format!("{location}\n{}", difference.message);
                difference
            })),
            Err(error) => errors.push(format!("{file}: {}: {error}", scenario.name)),
        }
    }
    if errors.is_empty() { Ok(differences) } else { Err(errors) }
}

/// The shared configuration and the scenarios of a suite.
fn parse(text: &str) -> Result<(String, Vec<Scenario<'_>>), String> {
    let mut scenarios = vec![Scenario { name: "", blocks: Vec::new() }];
    let mut open: Option<Block<'_>> = None;
    for (number, line) in text.lines().enumerate() {
        let current = scenarios.last_mut().expect("the list starts with a scenario without a name");
        match (&mut open, line.strip_prefix("```")) {
            (Some(_), Some("")) => current.blocks.extend(open.take()),
            (Some(block), _) => {
                block.lines.push(line);
                block.at.end = number + 1;
            }
            (None, Some(info)) => open = Some(Block { info, lines: Vec::new(), at: number + 1..number + 1 }),
            (None, None) => {
                if let Some(name) = line.strip_prefix("## ") {
                    scenarios.push(Scenario { name, blocks: Vec::new() });
                }
            }
        }
    }
    if let Some(block) = open {
        return Err(format!("the block that opens on line {} is not closed", block.at.start));
    }
    let top = scenarios.remove(0);
    if let Some(block) = top.blocks.iter().find(|block| block.info != "toml config") {
        return Err(format!("`{}` is above the first heading, outside any scenario", block.info));
    }
    if scenarios.is_empty() {
        return Err("no scenario".to_owned());
    }
    Ok((joined(&top), scenarios))
}

/// The configuration of a scenario's blocks.
fn joined(scenario: &Scenario<'_>) -> String {
    let blocks = scenario.blocks.iter().filter(|block| block.info == "toml config");
    blocks.flat_map(|block| &block.lines).flat_map(|line| [line, "\n"]).collect()
}

fn scenario_differences(
    path: &Path,
    shared: &str,
    scenario: &Scenario<'_>,
) -> Result<Vec<Difference>, String> {
    let text = shared.to_owned() + &joined(scenario);
    let mut loaded = config::load_text(path, text, &|path| std::fs::read_to_string(path));
    let world = compile(&mut loaded);
    let mut differences = Vec::new();
    let mut checks = 0;
    for block in scenario.blocks.iter().filter(|block| block.info != "toml config") {
        let found = match block.info.split_whitespace().next() {
            Some("report") if block.info == "report" => headlines(path, shared.lines().count(), &loaded),
            Some("dig" | "explain") => match &world {
                Some(world) => dig::lines(world, block.info, &block.lines)?,
                None => {
                    return Err(format!(
                        "the configuration is invalid:\n{}",
                        loaded.report.render(&loaded.sources)
                    ));
                }
            },
            _ => return Err(format!("unknown block `{}`", block.info)),
        };
        checks += 1;
        differences.extend(difference(block, found));
    }
    if checks == 0 { Err("no expectation".to_owned()) } else { Ok(differences) }
}

/// The difference between a block's lines and the actual ones, ignoring spacing.
fn difference(block: &Block<'_>, found: Vec<String>) -> Option<Difference> {
    let expected = plain(&block.lines);
    let plain_found = plain(&found);
    if expected == plain_found {
        return None;
    }
    let shorter = expected.len().min(plain_found.len());
    let head = (0..shorter).take_while(|i| expected[*i] == plain_found[*i]).count();
    let from_end = |lines: &[String], i: usize| lines[lines.len() - 1 - i].clone();
    let tail =
        (0..shorter - head).take_while(|i| from_end(&expected, *i) == from_end(&plain_found, *i)).count();
    let reported = |what: &str, lines: &[String]| -> String {
        lines[head..lines.len() - tail].iter().map(|line| format!("  {what} {line}\n")).collect()
    };
    let message = reported("expected", &expected) + &reported("found   ", &plain_found);
    Some(Difference { message, at: block.at.clone(), found })
}

/// Lines without blank ones, with spaces normalised.
fn plain<S: AsRef<str>>(lines: &[S]) -> Vec<String> {
    let words = lines.iter().map(|line| line.as_ref().split_whitespace().collect::<Vec<_>>().join(" "));
    words.filter(|line| !line.is_empty()).collect()
}

/// The suite with the actual lines in place of the expected ones.
fn rewritten(text: &str, differences: &[Difference]) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    for difference in differences.iter().rev() {
        lines.splice(difference.at.clone(), difference.found.iter().map(String::as_str));
    }
    lines.join("\n") + "\n"
}

/// The diagnostics of a configuration, with lines counted in their block.
fn headlines(path: &Path, shared: usize, loaded: &Loaded) -> Vec<String> {
    let folder = format!("{}/", path.parent().unwrap_or(path).display());
    let reported = |finding: &config::Diagnostic| {
        let line = finding.headline(&loaded.sources);
        let Some(position) = loaded.sources.position(finding.mark).filter(|place| place.path == path) else {
            return line;
        };
        let whole = format!("{}:{}:", path.display(), position.line);
        // Files of a configuration are shown by their names.
        let rest = line.strip_prefix(&whole).unwrap_or(&line).replace(&folder, "");
        match position.line.checked_sub(shared) {
            Some(own) if own > 0 => format!("config:{own}:{rest}"),
            _ => format!("shared:{}:{rest}", position.line),
        }
    };
    loaded.report.sorted().into_iter().map(reported).collect()
}
