//! Transcripts in the manual equal the output of the program, for commands without a daemon.
//!
//! A fence is a transcript if it begins with `$ plustwo` and `explain`, `check`, `audit`, `diff` or `import`.
//! A file that a command names is the page's `# complete: NAME` fence or `json PATH` fence of that name,
//! or otherwise the last `toml` fence before the transcript.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{COMPLETE, files, read};

/// Errors that require more files than the one shown.
const NEED_MORE_FILES: [&str; 3] = ["duplicate-section.toml", "zone-file.toml", "certificate.toml"];

#[test]
fn every_transcript_matches_the_output() {
    let mut shown = 0;
    let mut wrong = Vec::new();
    for path in files(Path::new("docs"), "md") {
        let page = read(&path);
        let (updated, count) = replayed(&page);
        shown += count;
        // Another test may be writing a page without transcripts at the same time.
        if count == 0 || updated == page {
            continue;
        }
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&path, updated).unwrap();
        } else {
            let line =
                page.lines().zip(updated.lines()).position(|(old, new)| old != new).unwrap_or_default() + 1;
            wrong.push(format!("{}:{line}", path.display()));
        }
    }
    assert!(shown > 50, "the transcripts were not found: {shown}");
    assert_eq!(wrong, Vec::<String>::new(), "UPDATE_EXPECT=1 cargo test --test docs updates them");
}

/// A page with the actual output in its transcripts, and the number of commands.
fn replayed(page: &str) -> (String, usize) {
    let folder = tempfile::tempdir().unwrap();
    let mut updated = String::new();
    let mut shown = 0;
    let mut last_toml = String::new();
    let mut fence: Option<(&str, Vec<&str>)> = None;
    for line in page.lines() {
        match &mut fence {
            None => {
                fence = line.strip_prefix("```").map(|info| (info, Vec::new()));
                updated += &format!("{line}\n");
            }
            Some((_, lines)) if line != "```" => lines.push(line),
            Some((info, lines)) => {
                let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
                if let Some(path) = info.strip_prefix("json ") {
                    let path = folder.path().join(path);
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    fs::write(path, &text).unwrap();
                }
                if *info == "toml" {
                    if let Some(name) =
                        lines[0].strip_prefix(COMPLETE).and_then(|rest| rest.strip_prefix(": "))
                    {
                        fs::write(folder.path().join(name), &text).unwrap();
                    }
                    last_toml.clone_from(&text);
                }
                let commands: Vec<&str> = lines.iter().copied().filter(|line| is_command(line)).collect();
                if lines.first().is_some_and(|line| is_command(line)) && !needs_more_files(&commands) {
                    shown += commands.len();
                    for command in commands {
                        updated += &format!("{command}\n{}", run(folder.path(), command, &last_toml));
                    }
                } else {
                    updated += &text;
                }
                updated += "```\n";
                fence = None;
            }
        }
    }
    (updated, shown)
}

fn is_command(line: &str) -> bool {
    ["explain", "check", "audit", "diff", "import"]
        .iter()
        .any(|verb| line.strip_prefix("$ plustwo ").is_some_and(|rest| rest.starts_with(verb)))
}

fn needs_more_files(commands: &[&str]) -> bool {
    commands.iter().any(|command| NEED_MORE_FILES.iter().any(|file| command.ends_with(file)))
}

/// The output of a command, standard output first, then standard error, without trailing blank lines.
fn run(folder: &Path, command: &str, last_toml: &str) -> String {
    let arguments: Vec<&str> = command.split_whitespace().skip(2).collect();
    let config =
        arguments.iter().position(|word| *word == "--config").map(|at| folder.join(arguments[at + 1]));
    if let Some(path) = config.filter(|path| !path.exists()) {
        fs::write(path, last_toml).unwrap();
    }
    let output =
        Command::new(env!("CARGO_BIN_EXE_plustwo")).args(arguments).current_dir(folder).output().unwrap();
    let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    format!("{}\n", printed.trim_end())
}
