//! Config → World: resolves references, derives what follows from them, and reports every error.
//!
//! ```text
//!  Config ──► network    VPCs, endpoints, connections, routes, filters, sites, locations
//!               │          └─► Network, and what was declared (Declarations)
//!               ├──► names     views, zones, rules, Profiles, generated and public names
//!               │                └─► Names
//!               └──► settings  listeners, expectations
//!                                └─► Settings
//! ```
//!
//! Each phase takes the results of the earlier ones and cannot change them. All of them share a `Context`:
//! the configuration, its files and the report. Errors do not end a phase, so that all are reported at once.

mod context;
mod listen;
mod names;
mod network;
mod settings;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Display;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use ipnet::IpNet;

use super::*;
use crate::aws::{Facts, Region};
use crate::config::{self, Code, Config, Expect, Loaded, Mark, Marked, MarkedTable, shortened};
use crate::dns::Name;
use crate::net::PrefixMap;
use context::Context;
use network::Declarations;

/// Reads zone files and certificates, from several threads: the file system, or a substitute in tests.
pub type ReadFile<'a> = dyn Fn(&Path) -> std::io::Result<String> + Sync + 'a;

/// Compiles a loaded configuration. Errors are added to the report of `loaded`; if it contains an error,
/// there is no world.
pub fn compile(loaded: &mut Loaded) -> Option<World> {
    compile_with(loaded, &|path| std::fs::read_to_string(path))
}

/// The same, with a function that reads zone files and certificates.
pub fn compile_with(loaded: &mut Loaded, read_file: &ReadFile<'_>) -> Option<World> {
    let mut cx = Context::new(loaded, read_file);
    let (network, declarations) = network::compile(&mut cx);
    let mut names = names::compile(&mut cx, &network, &declarations);
    let settings = settings::compile(&mut cx, &network, &declarations, &names);
    // Encrypted listeners are names too: clients of plain DNS discover them (RFC 9462).
    names.public.designated = names::designated(&settings.listeners);
    let world = World {
        generation: 0,
        hash: cx.fingerprint(),
        source_modified_s: (cx.sources.modified)
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
            .map(|since| since.as_secs()),
        network,
        names,
        settings,
    };
    (!loaded.report.has_errors()).then_some(world)
}

/// The IDs in a map.
fn keys<T>(map: &HashMap<String, T>) -> Vec<&str> {
    map.keys().map(String::as_str).collect()
}

/// A host name from a table of facts.
fn fact_name(host: &str) -> Name {
    host.parse().expect("names in built-in tables parse, which a test verifies")
}
