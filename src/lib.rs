//! plustwo: a VPC resolver that annotates every answer with the egress path it implies.
//!
//! ```text
//!  9  cli                       the command line; the only layer that prints
//!  8  daemon                    wiring: start, reload, drain, shutdown; signals
//!  7  admin                     health, metrics, explanations over HTTP
//!  6  serve     audit           the only layer with DNS sockets: listeners, engine, annotations  |  egress paths of all service names from all locations
//!  5  observe   explain         one event per query: metrics, query log  |  explanations as text and JSON
//!  4  resolve                   decisions: pure functions of (world, vantage, question)
//!  3  world                     the compiled model: immutable, one generation, replaced as a whole
//!  2  import                    AWS documents as configuration
//!  1  config                    the configuration as written, with positions; diagnostics
//!  0  dns   net   aws           names and messages; prefixes; AWS IDs and data
//! ```
//!
//! A module uses only modules of lower layers, which `tests/layers.rs` verifies. Start reading at
//! [`resolve`], whose [`decide`](resolve::decide) determines every answer, and at [`serve::Engine::answer`],
//! which handles a query from start to end.

// `expect("…")` states the invariant; bare `unwrap` is not allowed.
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod admin;
pub mod audit;
pub mod aws;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod dns;
pub mod explain;
pub mod import;
pub mod net;
pub mod observe;
pub mod resolve;
pub mod serve;
pub mod world;
