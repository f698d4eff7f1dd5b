//! Scenarios: behaviour that a user could describe, told in Markdown and checked.
//!
//! Every `tests/scenarios/*.md` is a suite and every `##` heading in it a scenario. What is fenced is
//! checked or used, and a fence that is neither is a error:
//!
//! ```text
//! toml config          the configuration; before the first heading it is shared, and a scenario's own
//!                      is appended to it
//! report               the findings of `check` on that configuration, a line each; `shared` and `config`
//!                      stand for the two texts, with lines counted in each
//! dig from=PLACE …     questions, as a person reads dig: `name type`, and below it what comes back
//! explain from=PLACE   the same questions, and below each the claims on its names: who won, who lost, and why
//! ```
//!
//! `from` is a place's name or an address; `view` is a view's name or an inbound endpoint's id, for clients
//! that ask a door that is bound to it. `rotation=N` is how many times the question was asked before; `draw=N` is
//! the random number that weighted records are drawn by, 0 unless said.
//! `texts` adds the extended errors that tell paths, word for word.
//!
//! `UPDATE_EXPECT=1 cargo test --test scenarios` writes what is found over what is expected, so that a
//! change of behaviour is seen as a diff.

#[path = "scenarios/dig.rs"]
mod dig;
#[path = "scenarios/own_tests.rs"]
mod own_tests;

use std::ops::Range;
use std::path::Path;

use plustwo::config::{self, Loaded};
use plustwo::world::compile::compile;

/// A fenced block: its info string, the lines between its fences, and where they stand in the file.
struct Block<'a> {
    info: &'a str,
    lines: Vec<&'a str>,
    at: Range<usize>,
}

/// One `##` heading with the blocks below it. The part above the first heading is one without a name.
struct Scenario<'a> {
    name: &'a str,
    blocks: Vec<Block<'a>>,
}

/// A block whose lines are not what they should be.
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
        match judge(&path, &text) {
            Ok(differences) if update => std::fs::write(&path, rewritten(&text, &differences)).unwrap(),
            Ok(differences) => failures.extend(differences.into_iter().map(|difference| difference.message)),
            Err(errors) => failures.extend(errors),
        }
    }
    assert!(failures.is_empty(), "\n{}\n{} failures", failures.join("\n"), failures.len());
}

/// Checks a suite: what differs, or what stops the suite from being a check at all.
fn judge(path: &Path, text: &str) -> Result<Vec<Difference>, Vec<String>> {
    let file = path.file_name().unwrap_or_default().display();
    let (shared, scenarios) = parse(text).map_err(|error| vec![format!("{file}: {error}")])?;
    let mut differences = Vec::new();
    let mut errors = Vec::new();
    for scenario in &scenarios {
        match scenario_differences(path, &shared, scenario) {
            Ok(found) => differences.extend(found.into_iter().map(|mut difference| {
                let place = format!("{file}:{}: {}", difference.at.start, scenario.name);
                difference.message = format!("{place}\n{}", difference.message);
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
        let current = scenarios.last_mut().expect("there is always the nameless one");
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
        return Err(format!("the block that opens in line {} is not closed", block.at.start));
    }
    let top = scenarios.remove(0);
    if let Some(block) = top.blocks.iter().find(|block| block.info != "toml config") {
        return Err(format!("`{}` stands above the first heading: no scenario is checked by it", block.info));
    }
    if scenarios.is_empty() {
        return Err("it has no scenario".to_owned());
    }
    Ok((joined(&top), scenarios))
}

/// The configuration that a scenario's blocks hold.
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
                None => return Err(format!("it is refused:\n{}", loaded.report.render(&loaded.sources))),
            },
            _ => return Err(format!("no block is called `{}`", block.info)),
        };
        checks += 1;
        differences.extend(difference(block, found));
    }
    if checks == 0 { Err("it checks nothing".to_owned()) } else { Ok(differences) }
}

/// What differs between a block's lines and the ones found; how they are spaced does not count.
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
    let told = |what: &str, lines: &[String]| -> String {
        lines[head..lines.len() - tail].iter().map(|line| format!("  {what} {line}\n")).collect()
    };
    let message = told("expected", &expected) + &told("found   ", &plain_found);
    Some(Difference { message, at: block.at.clone(), found })
}

/// Lines without what only looks: blank lines, and the width of spaces.
fn plain<S: AsRef<str>>(lines: &[S]) -> Vec<String> {
    let words = lines.iter().map(|line| line.as_ref().split_whitespace().collect::<Vec<_>>().join(" "));
    words.filter(|line| !line.is_empty()).collect()
}

/// The suite with the lines that were found in place of those expected.
fn rewritten(text: &str, differences: &[Difference]) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    for difference in differences.iter().rev() {
        lines.splice(difference.at.clone(), difference.found.iter().map(String::as_str));
    }
    lines.join("\n") + "\n"
}

/// The findings on a configuration, their lines counted in the block that they stand in.
fn headlines(path: &Path, shared: usize, loaded: &Loaded) -> Vec<String> {
    let folder = format!("{}/", path.parent().unwrap_or(path).display());
    let told = |finding: &config::Diagnostic| {
        let line = finding.headline(&loaded.sources);
        let Some(place) = loaded.sources.place(finding.mark).filter(|place| place.path == path) else {
            return line;
        };
        let whole = format!("{}:{}:", path.display(), place.line);
        // Files that a configuration names are told by their names.
        let rest = line.strip_prefix(&whole).unwrap_or(&line).replace(&folder, "");
        match place.line.checked_sub(shared) {
            Some(own) if own > 0 => format!("config:{own}:{rest}"),
            _ => format!("shared:{}:{rest}", place.line),
        }
    };
    loaded.report.sorted().into_iter().map(told).collect()
}
