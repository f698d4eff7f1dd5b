//! plustwo: the resolver at VPC base + 2, which says of every answer which way out of the network it implies.
//!
//! ```text
//!  9  cli                       words a person types; the only printing
//!  8  daemon                    wiring: start, reload, drain, stop; signals
//!  7  admin                     health, metrics, explanations over HTTP
//!  6  serve     audit           the only floor with DNS sockets: doors, engine, annotations  |  every name from every place
//!  5  observe   explain         one event a query, many readers  |  why, as text and JSON
//!  4  resolve                   decisions: pure functions of (world, vantage, question)
//!  3  world                     the compiled model: immutable, one generation, swapped whole
//!  2  import                    AWS's documents as configuration
//!  1  config                    what the user wrote, with places; diagnostics
//!  0  dns   net   aws           vocabulary: names and messages; prefixes; ids and facts of AWS
//! ```
//!
//! A module uses the floors below it, never one above or beside it; `tests/floors.rs` keeps it so. Start
//! reading at [`resolve`], whose [`decide`](resolve::decide) is the order of the house, and at
//! [`serve::Engine::answer`], the whole life of a query.

// A broken promise of our own says which promise: `expect("…")`, never a bare unwrap.
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
