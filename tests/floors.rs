//! The floors of the house: a module uses the floors below it, never one above or beside it, and what
//! belongs to one floor is named on that floor alone.

use std::fs;
use std::path::{Path, PathBuf};

/// Ground floor first. Modules in one row are neighbours and do not use each other.
const FLOORS: &[&[&str]] = &[
    &["dns", "net", "aws"],
    &["config"],
    &["import"],
    &["world"],
    &["resolve"],
    &["observe", "explain"],
    &["serve", "audit"],
    &["admin"],
    &["daemon"],
    &["cli"],
];

/// What is named only where it belongs: the word in code, and the paths that may hold it.
const OWNERS: &[(&str, &[&str])] = &[
    // It serves in tests alone: docs/design/0008.
    ("hickory_server", &[]),
    ("rustls", &["src/serve/"]),
    ("hyper", &["src/serve/doh", "src/admin/server.rs"]),
    ("hickory_proto", &["src/dns/", "src/serve/"]),
    ("tokio::net", &["src/serve/", "src/admin/", "src/daemon/"]),
    ("UdpSocket", &["src/serve/", "src/daemon/"]),
    ("unsafe", &["src/serve/datagrams/batch.rs"]),
    ("toml::", &["src/config/", "src/import/"]),
    (
        "serde_json",
        &[
            "src/admin/",
            "src/import/",
            "src/explain/json.rs",
            "src/audit/json.rs",
            "src/observe/query_log.rs",
            "src/config/schema.rs",
            "src/config/route53.rs",
            "src/config/ip_ranges.rs",
            "src/config/policy.rs",
        ],
    ),
    (
        "serde::",
        &["src/config/", "src/admin/", "src/explain/json.rs", "src/observe/query_log.rs", "src/import/"],
    ),
    ("schemars", &["src/config/"]),
    ("prometheus::", &["src/observe/"]),
    ("axum", &["src/admin/"]),
    ("clap", &["src/cli/", "src/main.rs"]),
    ("println!", &[]),
    ("print!", &[]),
    ("anstream", &["src/cli/out.rs"]),
    ("tokio::signal", &["src/daemon/life.rs"]),
    ("sd_notify", &["src/daemon/systemd.rs"]),
    ("use notify", &["src/daemon/watch.rs"]),
    ("listenfd", &["src/serve/inherit.rs"]),
    ("compute.internal", &["src/aws/"]),
    ("amazonaws.com", &["src/aws/"]),
];

/// What decisions are made without.
const ABSENT_FROM_DECISIONS: &[&str] = &[
    "async ",
    ".await",
    "Instant::now",
    "SystemTime::now",
    "tracing::",
    "std::fs",
    "std::net::Udp",
    "prometheus",
];

#[test]
fn modules_use_only_floors_below() {
    let mut upward = Vec::new();
    for file in rust_files(Path::new("src")) {
        let home = module_of(&file);
        let Some(here) = floor(&home) else { continue }; // lib.rs and main.rs see everything
        for (number, line) in code_lines(&file) {
            for used in crate_paths(&line) {
                let below = floor(used).is_some_and(|there| there < here);
                if used != home && !below {
                    upward.push(format!("{}:{number}: `{home}` uses `{used}`", file.display()));
                }
            }
        }
    }
    assert!(upward.is_empty(), "\n{}\n", upward.join("\n"));
}

#[test]
fn every_module_stands_on_a_floor() {
    let lib = fs::read_to_string("src/lib.rs").unwrap();
    let declared = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    let homeless: Vec<&str> = declared.filter(|module| floor(module).is_none()).collect();
    assert!(homeless.is_empty(), "on no floor: {homeless:?}");
}

#[test]
fn what_belongs_to_a_floor_is_named_there_alone() {
    let mut strays = Vec::new();
    for file in rust_files(Path::new("src")) {
        let path = file.to_string_lossy().into_owned();
        if path.ends_with("tests.rs") {
            continue;
        }
        for (number, line) in code_lines(&file) {
            for (word, homes) in OWNERS {
                if line.contains(word) && !homes.iter().any(|home| path.starts_with(home)) {
                    let home = if homes.is_empty() { "nobody".to_owned() } else { homes.join(", ") };
                    strays.push(format!("{path}:{number}: `{word}` belongs to {home}"));
                }
            }
        }
    }
    assert!(strays.is_empty(), "\n{}\n", strays.join("\n"));
}

#[test]
fn decisions_wait_for_nothing_and_read_no_clock() {
    let mut strays = Vec::new();
    for file in rust_files(Path::new("src/resolve")).into_iter().chain(rust_files(Path::new("src/world"))) {
        // The one place where a generation replaces another drops the old one on a thread.
        for (number, line) in code_lines(&file) {
            for word in ABSENT_FROM_DECISIONS {
                let reads_zone_files = *word == "std::fs" && file.starts_with("src/world/compile");
                if line.contains(word) && !reads_zone_files {
                    strays.push(format!("{}:{number}: `{word}`", file.display()));
                }
            }
        }
    }
    assert!(strays.is_empty(), "\n{}\n", strays.join("\n"));
}

#[test]
fn the_check_sees_an_upward_use() {
    assert_eq!(crate_paths("use crate::serve::Engine; // crate::x").collect::<Vec<_>>(), ["serve"]);
    assert_eq!(crate_paths("use crate::{dns, serve};").collect::<Vec<_>>(), [""]);
    assert!(floor("").is_none());
}

/// The module named right after each `crate::` on a line of code. A grouped `use crate::{…}` yields the
/// empty name, which is on no floor: write one `use` a module.
fn crate_paths(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split("//").next().unwrap_or("");
    code.split("crate::")
        .skip(1)
        .map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(""))
}

/// The lines of a file that are code: no comments, and nothing after its tests begin.
fn code_lines(file: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(file).unwrap();
    text.lines()
        .enumerate()
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(i, line)| (i + 1, line.to_owned()))
        .collect()
}

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|row| row.contains(&module))
}

fn module_of(file: &Path) -> String {
    let first = file.components().nth(1).unwrap().as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            files.push(path);
        }
    }
    files
}
