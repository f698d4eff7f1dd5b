//! The layers of the crate: a module uses only modules of lower layers, and each library or API is used only by the
//! modules that own it.

use std::fs;
use std::path::{Path, PathBuf};

/// The layers, from the lowest. Modules of the same layer do not use each other.
const LAYERS: &[&[&str]] = &[
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

/// Text in code, and the paths in which it may occur.
const OWNERS: &[(&str, &[&str])] = &[
    // Used only in tests: docs/design/0008.
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
    ("tokio::signal", &["src/daemon/lifecycle.rs"]),
    ("sd_notify", &["src/daemon/systemd.rs"]),
    ("use notify", &["src/daemon/watch.rs"]),
    ("listenfd", &["src/serve/inherit.rs"]),
    ("compute.internal", &["src/aws/"]),
    ("amazonaws.com", &["src/aws/"]),
];

/// Text that must not occur in decisions.
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
fn modules_use_only_lower_layers() {
    let mut violations = Vec::new();
    for file in rust_files(Path::new("src")) {
        let home = module_of(&file);
        let Some(here) = layer(&home) else { continue }; // lib.rs and main.rs use all modules.
        for (number, line) in code_lines(&file) {
            for used in crate_paths(&line) {
                let below = layer(used).is_some_and(|there| there < here);
                if used != home && !below {
                    violations.push(format!("{}:{number}: `{home}` uses `{used}`", file.display()));
                }
            }
        }
    }
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn every_module_has_a_layer() {
    let lib = fs::read_to_string("src/lib.rs").unwrap();
    let declared = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    let missing: Vec<&str> = declared.filter(|module| layer(module).is_none()).collect();
    assert!(missing.is_empty(), "without a layer: {missing:?}");
}

#[test]
fn libraries_are_used_only_by_their_owners() {
    let mut violations = Vec::new();
    for file in rust_files(Path::new("src")) {
        let path = file.to_string_lossy().into_owned();
        if path.ends_with("tests.rs") {
            continue;
        }
        for (number, line) in code_lines(&file) {
            for (text, owners) in OWNERS {
                if line.contains(text) && !owners.iter().any(|owner| path.starts_with(owner)) {
                    let allowed = if owners.is_empty() { "tests".to_owned() } else { owners.join(", ") };
                    violations.push(format!("{path}:{number}: `{text}` is allowed only in {allowed}"));
                }
            }
        }
    }
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn decisions_neither_wait_nor_read_a_clock() {
    let mut violations = Vec::new();
    for file in rust_files(Path::new("src/resolve")).into_iter().chain(rust_files(Path::new("src/world"))) {
        for (number, line) in code_lines(&file) {
            for text in ABSENT_FROM_DECISIONS {
                let reads_zone_files = *text == "std::fs" && file.starts_with("src/world/compile");
                if line.contains(text) && !reads_zone_files {
                    violations.push(format!("{}:{number}: `{text}`", file.display()));
                }
            }
        }
    }
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn uses_of_higher_layers_are_detected() {
    assert_eq!(crate_paths("use crate::serve::Engine; // crate::x").collect::<Vec<_>>(), ["serve"]);
    assert_eq!(crate_paths("use crate::{dns, serve};").collect::<Vec<_>>(), [""]);
    assert!(layer("").is_none());
}

/// The module after each `crate::` in a line of code. A grouped `use crate::{…}` yields an empty name, which has no layer:
/// write one `use` per module.
fn crate_paths(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split("//").next().unwrap_or("");
    code.split("crate::")
        .skip(1)
        .map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(""))
}

/// The lines of code of a file, without comments and tests.
fn code_lines(file: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(file).unwrap();
    text.lines()
        .enumerate()
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(i, line)| (i + 1, line.to_owned()))
        .collect()
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&module))
}

fn module_of(file: &Path) -> String {
    let first = file.components().nth(1).unwrap().as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            files.push(path);
        }
    }
    files
}
