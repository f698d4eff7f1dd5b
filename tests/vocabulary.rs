//! User-facing text uses the field's terms: none of the retired phrases below occurs in help,
//! diagnostics, log messages, metric help, the JSON Schema or the manual.
//!
//! CONTRIBUTING.md, "Vocabulary", has the rules. The test reads the string literals of `src` (diagnostics,
//! logs, metric help, explanations), the doc comments that become help and schema descriptions, and the
//! Markdown files for readers.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Retired phrases, in lower case, and what replaces them.
const RETIRED: &[(&str, &str)] = &[
    ("told", "reported, annotated, described, returned"),
    ("tells", "reports, describes, returns"),
    ("way out", "egress path"),
    ("ways out", "egress paths"),
    ("which way", "which path"),
    ("stands", "is in, is at, has"),
    ("nobody", "no client, none, or the passive voice"),
    ("somebody", "a client, a user, or the passive voice"),
    ("whoever", "a client that"),
    ("whom", "which server, which client"),
    ("anew", "again"),
    ("beside", "next to, in addition to"),
    ("unless said", "by default"),
    ("who asks", "the client"),
    ("old world", "previous configuration"),
    ("goes otherwise", "differs"),
    ("goes by", "matches, uses, routes to"),
    ("goes past", "bypasses"),
    ("one change away", "suggestion"),
    ("mistake", "error"),
    ("mistakes", "errors"),
    ("door", "listener"),
    ("doors", "listeners"),
    ("floors", "layers"),
    ("there is no key", "unknown key"),
    ("is no prefix", "invalid CIDR prefix"),
    ("whole number", "integer"),
    ("is none of", "expected one of"),
    ("look-up", "lookup"),
    ("look-ups", "lookups"),
    ("is asked", "is queried"),
    ("asks for", "queries for"),
    ("has to say", "the passive voice, or what it returns"),
    ("sends by", "routes through"),
    ("come by", "the source"),
    ("so many", "a number"),
    ("taken for", "treated as"),
    ("of its own making", "own"),
];

#[test]
fn user_facing_text_has_no_retired_phrase() {
    let mut found = String::new();
    for (path, text) in texts() {
        for (number, line) in text {
            for (phrase, replacement) in RETIRED {
                if contains_words(&line, phrase) {
                    writeln!(
                        found,
                        "{}:{number}: `{phrase}`: use {replacement}\n    {}",
                        path.display(),
                        line.trim()
                    )
                    .expect("a string is writable");
                }
            }
        }
    }
    assert!(found.is_empty(), "\n{found}");
}

#[test]
fn phrases_match_whole_words_only() {
    assert!(contains_words("He told her.", "told"));
    assert!(contains_words("the Way out, then", "way out"));
    assert!(!contains_words("doorkeeper", "door"));
    assert!(!contains_words("is notold", "told"));
    assert!(!contains_words("outdoor", "door"));
    assert!(!contains_words("SOA nobody.invalid. 1", "nobody") && contains_words("for nobody.", "nobody"));
}

#[test]
fn comments_and_tests_are_not_user_facing_but_strings_and_help_are() {
    let source = "/// Doc.\nfn f() {\n    // why\n    g(\"one \\\"quoted\\\" two\");\n}\n#[cfg(test)]\nmod tests { const X: &str = \"no\"; }\n";
    let texts: Vec<String> = literals(source).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["one \\\"quoted\\\" two"]);
    assert_eq!(doc_comments(source), [(1, "Doc.".to_owned())]);
}

/// Numbered lines.
type Lines = Vec<(usize, String)>;

/// All user-facing text, by file.
fn texts() -> Vec<(PathBuf, Lines)> {
    let mut texts = Vec::new();
    for path in files(Path::new("src"), "rs") {
        let is_test = path.file_name().is_some_and(|name| name.to_string_lossy().ends_with("tests.rs"));
        if is_test {
            continue;
        }
        let source = fs::read_to_string(&path).expect("a source file is readable");
        let mut lines = literals(&source);
        // clap prints the doc comments of arguments, and the schema has those of keys.
        if path.starts_with("src/cli") || path.starts_with("src/config/v1") {
            lines.extend(doc_comments(&source));
        }
        texts.push((path, lines));
    }
    let mut pages = files(Path::new("docs"), "md");
    pages.extend(files(Path::new("deploy"), "md"));
    pages.extend(files(Path::new("tests/scenarios"), "md"));
    pages.extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(PathBuf::from));
    for path in pages {
        let text = fs::read_to_string(&path).expect("a page is readable");
        let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.to_owned())).collect();
        texts.push((path, lines));
    }
    texts
}

/// Files with an extension below a directory, sorted.
fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory of the project") {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Whether a line contains a phrase as whole words, in any case.
fn contains_words(line: &str, phrase: &str) -> bool {
    let line = line.to_lowercase();
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    line.match_indices(phrase).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let mut rest = line[start + phrase.len()..].chars();
        let after = rest.next();
        // A label of a domain name, such as RFC 6303's `nobody.invalid`, is not a word of a sentence.
        let is_label = after == Some('.') && rest.next().is_some_and(char::is_alphanumeric);
        !before.is_some_and(is_word) && !after.is_some_and(is_word) && !is_label
    })
}

/// The contents of string literals, line by line, up to the test module of a file.
fn literals(source: &str) -> Lines {
    let mut found = Vec::new();
    let mut is_in_string = false;
    for (index, line) in source.lines().enumerate() {
        if line.trim_start().starts_with("#[cfg(test)]") {
            break;
        }
        if !is_in_string && line.trim_start().starts_with("//") {
            continue;
        }
        let mut text = String::new();
        let mut characters = line.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '\\' if is_in_string => {
                    text.push(character);
                    text.extend(characters.next());
                }
                '"' => {
                    is_in_string = !is_in_string;
                    if !is_in_string {
                        found.push((index + 1, std::mem::take(&mut text)));
                    }
                }
                // The character literal of a quote does not begin a string.
                '\'' if !is_in_string && characters.peek() == Some(&'"') => {
                    characters.next();
                }
                _ if is_in_string => text.push(character),
                _ => {}
            }
        }
        if is_in_string {
            found.push((index + 1, text));
        }
    }
    found
}

/// The doc comments of a file, line by line.
fn doc_comments(source: &str) -> Lines {
    let documented = source.lines().enumerate().filter_map(|(index, line)| {
        let text = line.trim_start().strip_prefix("///")?;
        Some((index + 1, text.trim().to_owned()))
    });
    documented.collect()
}
