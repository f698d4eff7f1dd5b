//! The layers of the crate: a module uses only modules of lower layers, and each library or API is used only
//! by the modules that own it.
//!
//! The check reads the syntax tree: it resolves `use` declarations, paths and paths in macro arguments, with
//! `crate`, `super` and `self`, and skips only items with `#[cfg(test)]`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

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

/// The order of the modules inside the large layers, from the lowest. A module uses only modules of its own row
/// and of earlier rows.
const INNER_LAYERS: &[(&str, &[&[&str]])] = &[
    (
        "config",
        &[
            &["source"],
            &["diagnostic", "text"],
            &["document", "recovery", "v1", "ip_ranges", "policy"],
            &["pieces", "route53", "schema"],
        ],
    ),
    (
        "import",
        &[
            &[
                "directory",
                "document",
                "ledger",
                "report",
                "objects",
                "inventory",
                "merge",
                "regions",
                "subject",
                "reader",
                "pages",
            ],
            &["writer"],
        ],
    ),
    // Names refer to the network, never the reverse.
    (
        "world",
        &[
            &["arena"],
            &["network", "connections", "endpoint", "network_acl", "place", "route", "security_group"],
            &["names", "claims", "zone", "routed", "upstream", "listener", "settings"],
            &["live", "diff", "compile"],
        ],
    ),
    ("world::compile", &[&["context"], &["network"], &["listen"], &["names"], &["settings"]]),
    // A path depends on no name.
    (
        "resolve",
        &[
            &["clock", "path", "outcome"],
            &["egress"],
            &[
                "special_use",
                "hostname",
                "routing",
                "zone",
                "trace",
                "delegation",
                "dname",
                "dns64",
                "public",
                "reasons",
                "resolution",
            ],
        ],
    ),
    (
        "serve",
        &[
            &[
                "datagrams",
                "bind",
                "inherit",
                "tls",
                "upstream",
                "admission",
                "message_cache",
                "forward",
                "annotate",
                "packet_cache",
                "clients",
                "worker",
            ],
            &["engine"],
            &["accept", "workers", "encrypted", "tcp", "udp", "dot", "doh"],
        ],
    ),
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

/// Text that must not occur in the modules that make decisions: `resolve` and `world`.
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
    for file in source_files() {
        // lib.rs and main.rs use all modules.
        let Some(home) = file.module.first() else { continue };
        let here = layer(home).expect("every module has a layer");
        for (line, path) in file.paths() {
            let Some(used) = path.first().filter(|used| *used != home) else { continue };
            if layer(used).is_some_and(|there| there >= here) {
                violations.push(format!("{}:{line}: `{home}` uses `{used}`", file.path.display()));
            }
        }
    }
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn modules_inside_a_layer_are_ordered() {
    let files = source_files();
    let names = ModuleNames::of(&files);
    let mut violations = Vec::new();
    for (parent, rows) in INNER_LAYERS {
        let parent: Vec<&str> = parent.split("::").collect();
        let child = |path: &[String]| {
            let is_below = path.len() > parent.len() && path.iter().zip(&parent).all(|(a, b)| a == b);
            is_below.then(|| path[parent.len()].clone())
        };
        let row = |name: &str| rows.iter().position(|row| row.contains(&name));
        for file in &files {
            let Some(home) = child(&file.module) else { continue };
            let Some(here) = row(&home) else {
                violations.push(format!("{}: `{home}` is in no row", file.path.display()));
                continue;
            };
            for (line, path) in file.resolved_paths(&names) {
                let Some(used) = child(&path).filter(|used| *used != home) else { continue };
                if row(&used).is_some_and(|there| there > here) {
                    violations.push(format!("{}:{line}: `{home}` uses `{used}`", file.path.display()));
                }
            }
        }
    }
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn every_module_has_a_layer() {
    let lib = fs::read_to_string("src/lib.rs").expect("the crate's root");
    let declared = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    let missing: Vec<&str> = declared.filter(|module| layer(module).is_none()).collect();
    assert!(missing.is_empty(), "without a layer: {missing:?}");
}

#[test]
fn libraries_are_used_only_by_their_owners() {
    let mut violations = Vec::new();
    for file in source_files() {
        let path = file.path.to_string_lossy();
        for (number, line) in file.code_lines() {
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
    let is_decision =
        |file: &SourceFile| matches!(file.module.first().map(String::as_str), Some("resolve" | "world"));
    for file in source_files().into_iter().filter(is_decision) {
        for (number, line) in file.code_lines() {
            for text in ABSENT_FROM_DECISIONS {
                let reads_zone_files = *text == "std::fs" && file.path.starts_with("src/world/compile");
                if line.contains(text) && !reads_zone_files {
                    violations.push(format!("{}:{number}: `{text}`", file.path.display()));
                }
            }
        }
    }
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn uses_of_higher_layers_are_detected() {
    let used = |module: &[&str], text: &str| {
        let file = SourceFile::parse(Path::new("planted.rs"), module, text.to_owned());
        file.paths().into_iter().filter_map(|(_, path)| path.first().cloned()).collect::<BTreeSet<_>>()
    };
    let serve = BTreeSet::from(["serve".to_owned()]);
    // After the declaration of a test module, which does not end the file.
    assert_eq!(used(&["observe"], "#[cfg(test)]\nmod tests;\nfn f() { crate::serve::g(); }"), serve);
    assert_eq!(used(&["observe", "metrics"], "use super::super::serve::Engine;"), serve);
    assert_eq!(used(&["observe"], "use super::{serve::Engine};"), serve);
    assert_eq!(used(&["observe"], "mod inner { type E = super::super::serve::Engine; }"), serve);
    assert_eq!(used(&["observe"], "fn f() { println!(\"{}\", crate::serve::NAME); }"), serve);
    assert_eq!(used(&["observe"], "#[cfg(test)]\nmod tests { use crate::serve::Engine; }"), BTreeSet::new());
    assert_eq!(used(&["observe"], "use self::metrics::Metrics;"), BTreeSet::from(["observe".to_owned()]));
}

#[test]
fn uses_inside_a_layer_are_detected() {
    let files = source_files();
    let names = ModuleNames::of(&files);
    let uses_names = |text: &str| {
        let file = SourceFile::parse(Path::new("planted.rs"), &["world", "network"], text.to_owned());
        let paths = file.resolved_paths(&names);
        paths.iter().any(|(_, path)| path.starts_with(&["world".to_owned(), "names".to_owned()]))
    };
    assert!(uses_names("use super::names::ViewId;"));
    assert!(uses_names("fn f(_: super::ViewId) {}"), "re-exported");
    assert!(uses_names("use crate::world::{Names};"));
    assert!(uses_names("use super::*;\nfn f(_: &Names) {}"));
    assert!(uses_names("use super::*;\nfn f(_: names::ViewId) {}"));
    assert!(!uses_names("use crate::aws::names;\nfn f() { names::g(); }"), "another module of that name");
    assert!(!uses_names("use super::route::Target;"));
}

#[test]
fn only_test_items_are_skipped() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n// comment\nfn c() {}\n";
    let file = SourceFile::parse(Path::new("planted.rs"), &["dns"], text.to_owned());
    let lines: Vec<usize> = file.code_lines().map(|(number, _)| number).collect();
    assert_eq!(lines, [1, 7]);
}

/// The index of a module's layer.
fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&module))
}

/// A parsed source file, without test items.
struct SourceFile {
    path: PathBuf,
    /// The path of its module below the crate's root.
    module: Vec<String>,
    text: String,
    syntax: syn::File,
}

impl SourceFile {
    fn parse(path: &Path, module: &[&str], text: String) -> Self {
        let syntax = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let module = module.iter().map(|&name| name.to_owned()).collect();
        Self { path: path.to_owned(), module, text, syntax }
    }

    /// The paths within the crate that the file uses, with their lines.
    fn paths(&self) -> Vec<(usize, Vec<String>)> {
        let mut collector = PathCollector {
            module: self.module.clone(),
            names: None,
            imported: BTreeSet::new(),
            paths: Vec::new(),
        };
        collector.visit_file(&self.syntax);
        collector.paths
    }

    /// The same, with relative paths and re-exported names resolved.
    fn resolved_paths(&self, names: &ModuleNames) -> Vec<(usize, Vec<String>)> {
        // A name that the file imports is not that of a module beside it; its import is a path of its own.
        let imported = self.syntax.items.iter().flat_map(imported_names).collect();
        let mut collector =
            PathCollector { module: self.module.clone(), names: Some(names), imported, paths: Vec::new() };
        collector.visit_file(&self.syntax);
        collector.paths.into_iter().map(|(line, path)| (line, names.defined_at(path))).collect()
    }

    /// The lines of code, without comments and test items.
    fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut tests = TestItems::default();
        tests.visit_file(&self.syntax);
        let lines = self.text.lines().enumerate().map(|(index, line)| (index + 1, line));
        lines.filter(move |(number, line)| {
            !line.trim_start().starts_with("//") && !tests.ranges.iter().any(|range| range.contains(number))
        })
    }

    /// The files of test modules that this file declares.
    fn test_files(&self) -> Vec<PathBuf> {
        let directory = match self.path.file_name().and_then(|name| name.to_str()) {
            Some("mod.rs" | "lib.rs" | "main.rs") => {
                self.path.parent().expect("a file has a directory").to_owned()
            }
            _ => self.path.with_extension(""),
        };
        let declared = self.syntax.items.iter().filter_map(|item| match item {
            syn::Item::Mod(module) if module.content.is_none() && is_test(&module.attrs) => Some(module),
            _ => None,
        });
        declared
            .map(|module| match path_attribute(&module.attrs) {
                Some(path) => self.path.with_file_name(path),
                None => directory.join(format!("{}.rs", module.ident)),
            })
            .collect()
    }
}

/// All files of the crate, except those of test modules.
fn source_files() -> Vec<SourceFile> {
    let mut files = BTreeMap::new();
    for path in rust_files(Path::new("src")) {
        let text = fs::read_to_string(&path).expect("a source file is readable");
        let below = path.strip_prefix("src").expect("a file of src").with_extension("");
        let mut module: Vec<String> =
            below.iter().map(|part| part.to_str().expect("a file name in UTF-8").to_owned()).collect();
        if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
            module.pop();
        }
        let module: Vec<&str> = module.iter().map(String::as_str).collect();
        let file = SourceFile::parse(&path, &module, text);
        files.insert(path, file);
    }
    let tests: BTreeSet<PathBuf> = files.values().flat_map(SourceFile::test_files).collect();
    assert!(tests.iter().all(|path| files.contains_key(path)), "every test module has a file: {tests:?}");
    files.into_iter().filter(|(path, _)| !tests.contains(path)).map(|(_, file)| file).collect()
}

/// Whether an item has `#[cfg(test)]`.
fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let is_test = |list: &syn::MetaList| list.tokens.to_string() == "test";
        attribute.path().is_ident("cfg") && attribute.meta.require_list().is_ok_and(is_test)
    })
}

/// The value of `#[path = "…"]`.
fn path_attribute(attributes: &[syn::Attribute]) -> Option<String> {
    let attribute = attributes.iter().find(|attribute| attribute.path().is_ident("path"))?;
    match &attribute.meta.require_name_value().ok()?.value {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(path), .. }) => Some(path.value()),
        _ => None,
    }
}

/// Collects the lines of test items.
#[derive(Default)]
struct TestItems {
    ranges: Vec<RangeInclusive<usize>>,
}

impl Visit<'_> for TestItems {
    fn visit_item(&mut self, item: &syn::Item) {
        match attributes(item).filter(|attributes| is_test(attributes)) {
            Some(_) => self.ranges.push(item.span().start().line..=item.span().end().line),
            None => visit::visit_item(self, item),
        }
    }

    fn visit_impl_item_fn(&mut self, item: &syn::ImplItemFn) {
        match is_test(&item.attrs) {
            true => self.ranges.push(item.span().start().line..=item.span().end().line),
            false => visit::visit_impl_item_fn(self, item),
        }
    }
}

/// The names that an item imports, if it is a `use` declaration.
fn imported_names(item: &syn::Item) -> Vec<String> {
    fn of_tree(tree: &syn::UseTree, names: &mut Vec<String>) {
        match tree {
            syn::UseTree::Path(path) => of_tree(&path.tree, names),
            syn::UseTree::Name(name) => names.push(name.ident.to_string()),
            syn::UseTree::Rename(rename) => names.push(rename.rename.to_string()),
            syn::UseTree::Glob(_) => {}
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| of_tree(item, names)),
        }
    }
    let mut names = Vec::new();
    if let syn::Item::Use(item) = item {
        of_tree(&item.tree, &mut names);
    }
    names
}

/// The modules of the crate and the names that they re-export from modules below.
#[derive(Default)]
struct ModuleNames {
    modules: BTreeSet<Vec<String>>,
    /// The path of each re-export, with the path of the item.
    reexports: BTreeMap<Vec<String>, Vec<String>>,
}

impl ModuleNames {
    fn of(files: &[SourceFile]) -> Self {
        let mut names = Self::default();
        names.modules.extend(files.iter().map(|file| file.module.clone()));
        for file in files {
            let uses = file.syntax.items.iter().filter_map(|item| match item {
                syn::Item::Use(item) => Some(&item.tree),
                _ => None,
            });
            for tree in uses {
                let mut collector = PathCollector {
                    module: file.module.clone(),
                    names: Some(&names),
                    imported: BTreeSet::new(),
                    paths: Vec::new(),
                };
                collector.add_tree(&[], tree);
                let below = collector.paths.into_iter().map(|(_, path)| path);
                for path in below.filter(|path| path.len() > file.module.len() + 1) {
                    if let Some(name) = path.last().filter(|_| path.starts_with(&file.module)) {
                        let reexport = [file.module.as_slice(), std::slice::from_ref(name)].concat();
                        // A function can have the name of its module.
                        if !names.modules.contains(&reexport) {
                            names.reexports.insert(reexport, path);
                        }
                    }
                }
            }
        }
        names
    }

    /// The path of what a relative path refers to from a module, if it begins with a module or a re-export of
    /// the module itself or of one that contains it, whose names `use super::*` imports.
    fn resolve(&self, module: &[String], path: &[String]) -> Option<Vec<String>> {
        let first = path.first()?;
        (0..=module.len()).rev().find_map(|length| {
            let candidate = [&module[..length], std::slice::from_ref(first)].concat();
            let is_known = length > 0
                && (self.modules.contains(&candidate) && path.len() > 1
                    || self.reexports.contains_key(&candidate));
            is_known.then(|| [&module[..length], path].concat())
        })
    }

    /// Replaces re-exports by the paths of the items.
    fn defined_at(&self, path: Vec<String>) -> Vec<String> {
        (1..=path.len())
            .find_map(|length| {
                let item = self.reexports.get(&path[..length])?;
                Some(self.defined_at([item, &path[length..]].concat()))
            })
            .unwrap_or(path)
    }
}

/// Collects paths within the crate.
struct PathCollector<'n> {
    /// The path of the module that is being visited.
    module: Vec<String>,
    /// Resolves relative paths, if given.
    names: Option<&'n ModuleNames>,
    /// The names that the file imports.
    imported: BTreeSet<String>,
    paths: Vec<(usize, Vec<String>)>,
}

impl PathCollector<'_> {
    /// Adds a path that begins with `crate`, `super` or `self`; others are relative to the module or another
    /// crate.
    fn add(&mut self, line: usize, path: &[String]) {
        let mut resolved = match path.first().map(String::as_str) {
            Some("crate") => Vec::new(),
            Some("super" | "self") => self.module.clone(),
            Some(first) if self.imported.contains(first) => return,
            _ => {
                let found = self.names.and_then(|names| names.resolve(&self.module, path));
                self.paths.extend(found.map(|path| (line, path)));
                return;
            }
        };
        for segment in path {
            match segment.as_str() {
                "crate" | "self" => {}
                "super" => drop(resolved.pop()),
                name => resolved.push(name.to_owned()),
            }
        }
        self.paths.push((line, resolved));
    }

    /// Adds all paths of a `use` tree.
    fn add_tree(&mut self, prefix: &[String], tree: &syn::UseTree) {
        let joined = |ident: &syn::Ident| [prefix, &[ident.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.add_tree(&joined(&path.ident), &path.tree),
            syn::UseTree::Name(name) => self.add(name.span().start().line, &joined(&name.ident)),
            syn::UseTree::Rename(rename) => self.add(rename.span().start().line, &joined(&rename.ident)),
            syn::UseTree::Glob(glob) => self.add(glob.span().start().line, prefix),
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.add_tree(prefix, item)),
        }
    }

    /// Adds the paths in the arguments of a macro, which are not parsed.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        let mut line = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 || path.is_empty() {
                        self.add(line, &std::mem::take(&mut path));
                        line = ident.span().start().line;
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                other => {
                    self.add(line, &std::mem::take(&mut path));
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.add_tokens(group.stream());
                    }
                }
            }
        }
        self.add(line, &path);
    }
}

impl Visit<'_> for PathCollector<'_> {
    fn visit_item(&mut self, item: &syn::Item) {
        if attributes(item).is_some_and(is_test) {
            return;
        }
        match item {
            syn::Item::Use(item) => self.add_tree(&[], &item.tree),
            syn::Item::Mod(module) if module.content.is_some() => {
                self.module.push(module.ident.to_string());
                visit::visit_item_mod(self, module);
                self.module.pop();
            }
            _ => visit::visit_item(self, item),
        }
    }

    fn visit_impl_item_fn(&mut self, item: &syn::ImplItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &syn::ItemUse) {
        self.add_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.add(path.span().start().line, &segments);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &syn::Macro) {
        self.add_tokens(item.tokens.clone());
    }

    fn visit_attribute(&mut self, _: &syn::Attribute) {}

    fn visit_visibility(&mut self, _: &syn::Visibility) {}
}

/// The attributes of an item.
fn attributes(item: &syn::Item) -> Option<&[syn::Attribute]> {
    Some(match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => return None,
    })
}

/// All Rust files below a directory.
fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory of the project") {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
