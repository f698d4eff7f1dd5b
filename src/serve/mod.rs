//! Answering: the only floor with DNS sockets.
//!
//! ```text
//!  bytes ──► door (udp, tcp, dot, doh) ──► Engine::begin ──┬─► was it answered before? packet_cache ─► bytes
//!                                                          │
//!                    ┌─────────────────────────────────────┘
//!                    └─► Query::parse ─► clients: who asks, from where ─► resolve (decide, egress)
//!            door ◄── encode ◄── annotate ◄─────────────────────────────────────┘
//!                        │
//!                        └──► observe (one event), packet_cache (for the next who asks)
//! ```
//!
//! A door knows sockets and no DNS; the engine knows DNS and no sockets. Who answers is a [`Worker`]: a thread
//! with sockets, a packet cache and counters of its own.

mod accept;
mod admission;
pub mod annotate;
pub mod bind;
mod chaos;
mod clients;
pub mod datagrams;
mod denials;
pub mod doh;
pub mod dot;
mod encrypted;
mod engine;
pub mod forward;
pub mod inherit;
pub mod inspect;
pub mod message_cache;
mod packet_cache;
mod reply;
pub mod tcp;
pub mod tls;
pub mod udp;
pub mod upstream;
mod worker;
pub mod workers;

use std::net::{IpAddr, SocketAddr};

pub use crate::observe::{Moment, Transport};
pub use engine::{Progress, Engine, IncomingMessage, ResolvedQuery, PendingQuery};
pub use worker::{LocalWorker, Worker};

use crate::observe::ServerLabel;

/// Where a message came from.
#[derive(Clone, Debug)]
pub struct MessageSource {
    /// Who sent it.
    pub peer: SocketAddr,
    /// The address it was sent to.
    pub local: IpAddr,
    /// What carried it.
    pub transport: Transport,
}

/// One listener, as the engine and the metrics know it.
#[derive(Clone, Debug)]
pub struct ListenerIdentity {
    /// Its address as configured: its identity over reloads.
    pub address: SocketAddr,
    /// How the metrics know it.
    pub server: ServerLabel,
}

impl ListenerIdentity {
    /// The door of a listener: the one with this number in its process.
    pub fn new(number: usize, address: SocketAddr) -> Self {
        Self { address, server: ServerLabel { number, label: address.to_string().into() } }
    }
}
