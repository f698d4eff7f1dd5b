//! The manual as a book: every page is in its contents, and what pages point to is there.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::{files, read};

/// Whether the page with the book's contents is meant, which is no page of the book.
fn is_contents(page: &Path) -> bool {
    page == Path::new("docs/SUMMARY.md")
}

#[test]
fn every_page_is_in_the_table_of_contents_and_every_entry_is_a_page() {
    let listed: BTreeSet<PathBuf> =
        links(Path::new("docs/SUMMARY.md")).into_iter().map(|link| link.file).collect();
    let pages: BTreeSet<PathBuf> =
        files(Path::new("docs"), "md").into_iter().filter(|page| !is_contents(page)).collect();
    assert_eq!(
        pages.difference(&listed).collect::<Vec<_>>(),
        Vec::<&PathBuf>::new(),
        "not in docs/SUMMARY.md"
    );
    assert_eq!(listed.difference(&pages).collect::<Vec<_>>(), Vec::<&PathBuf>::new(), "no page");
}

#[test]
fn every_link_of_the_manual_resolves_in_the_book_and_on_github() {
    let mut broken = Vec::new();
    for page in files(Path::new("docs"), "md") {
        for Link { written, file, heading } in links(&page) {
            // Outside docs/ there is a file on GitHub and none in the book.
            let is_there = file.starts_with("docs") && file.is_file() && !is_contents(&file);
            if !is_there || !heading.is_none_or(|heading| headings(&read(&file)).contains(&heading)) {
                broken.push(format!("{}: {written}", page.display()));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn every_link_of_pages_outside_the_manual_resolves() {
    for page in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "benches/README.md"]
        .map(Path::new)
    {
        for Link { written, file, heading } in links(page) {
            let is_there =
                file.exists() && heading.is_none_or(|heading| headings(&read(&file)).contains(&heading));
            assert!(is_there, "{}: {written}", page.display());
        }
    }
}

#[test]
fn quoted_scenarios_exist() {
    let scenarios: String = files(Path::new("tests/scenarios"), "md").iter().map(|path| read(path)).collect();
    let mut quotes = 0;
    for page in files(Path::new("docs"), "md") {
        for quote in read(&page).split("\n```dig ").skip(1) {
            let quote = quote.split("\n```").next().unwrap_or_default();
            assert!(scenarios.contains(quote), "{}: no scenario has\n{quote}", page.display());
            quotes += 1;
        }
    }
    assert!(quotes > 0, "docs/scenarios.md shows one");
}

#[test]
fn every_scenario_file_is_included_in_a_page() {
    let mut included = BTreeSet::new();
    for page in files(Path::new("docs"), "md") {
        for directive in read(&page).split("{{#include ").skip(1) {
            let path = directive.split(['}', ':']).next().unwrap_or_default();
            let path = beside(&page, path);
            let text = read(&path); // A file that is not there is told.
            assert!(
                text.starts_with("# "),
                "{} is included from its third line on, below its title",
                path.display()
            );
            included.insert(path);
        }
    }
    let scenarios: BTreeSet<PathBuf> = files(Path::new("tests/scenarios"), "md").into_iter().collect();
    let left_out: Vec<&PathBuf> = scenarios.difference(&included).collect();
    assert_eq!(left_out, Vec::<&PathBuf>::new(), "no page of docs/ includes these");
}

/// A link of a page to another one, or within it.
struct Link {
    /// As it is written.
    written: String,
    /// The file, from the repository's root.
    file: PathBuf,
    /// The heading in it.
    heading: Option<String>,
}

/// The relative links of a page, but those in fences and between backticks.
fn links(page: &Path) -> Vec<Link> {
    let text = read(page);
    let mut links = Vec::new();
    for line in prose(&text) {
        for rest in line.split("](").skip(1) {
            let written = rest.split(')').next().unwrap_or_default();
            if written.contains("://") {
                continue;
            }
            let (file, heading) =
                written.split_once('#').map_or((written, None), |(file, h)| (file, Some(h.to_owned())));
            let file = if file.is_empty() { page.to_owned() } else { beside(page, file) };
            links.push(Link { written: written.to_owned(), file, heading });
        }
    }
    links
}

/// The names of a page's headings, as GitHub and mdBook make them.
fn headings(text: &str) -> BTreeSet<String> {
    let titles =
        prose(text).filter_map(|line| line.strip_prefix('#')?.trim_start_matches('#').strip_prefix(' '));
    let name = |title: &str| -> String {
        let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | ' '));
        kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
    };
    titles.map(name).collect()
}

/// The lines of a page that stand in no fence.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_fence = false;
    text.lines().filter(move |line| {
        let is_mark = line.starts_with("```");
        in_fence ^= is_mark;
        !in_fence && !is_mark
    })
}

/// A path that a page names, from the repository's root.
fn beside(page: &Path, path: &str) -> PathBuf {
    let mut found = page.parent().unwrap_or(Path::new("")).to_owned();
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir => drop(found.pop()),
            part => found.push(part),
        }
    }
    found
}
