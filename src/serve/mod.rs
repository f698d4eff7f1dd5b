//! Serving: the only layer with DNS sockets.
//!
//! ```text
//!  bytes ──► listener (udp, tcp, dot, doh) ──► Engine::handle ──┬─► packet_cache: hit ─► bytes
//!                                                               │
//!                       ┌───────────────── miss ────────────────┘
//!                       └─► Query::parse ─► clients: view and location ─► resolve (decide, egress)
//!           listener ◄── encode ◄── annotate ◄───────────────────────────────────┘
//!                           │
//!                           └──► observe (one event), packet_cache (for the next query)
//! ```
//!
//! Listeners handle sockets, not DNS; the engine handles DNS, not sockets. UDP, TCP and DoT run on the
//! threads of the workers, each with its own [`Worker`] state; DoH uses the shared worker.

mod accept;
mod admission;
pub mod annotate;
pub mod bind;
mod clients;
pub mod datagrams;
pub mod doh;
pub mod dot;
mod encrypted;
mod engine;
pub mod forward;
pub mod inherit;
pub mod message_cache;
mod packet_cache;
pub mod tcp;
pub mod tls;
pub mod udp;
pub mod upstream;
mod worker;
pub mod workers;

use std::net::{IpAddr, SocketAddr};

pub use crate::observe::{Moment, Transport};
pub use engine::{
    Engine, IncomingMessage, InspectedAnswer, Inspection, PendingQuery, Progress, ResolvedQuery,
};
pub use worker::{LocalWorker, Worker};

use crate::observe::ServerLabel;

/// Source and transport of a message.
#[derive(Clone, Debug)]
pub struct MessageSource {
    /// The address of the client.
    pub peer: SocketAddr,
    /// The address that the message was sent to.
    pub local: IpAddr,
    /// The transport.
    pub transport: Transport,
}

/// Identifies a listener in the engine and in metrics.
#[derive(Clone, Debug)]
pub struct ListenerIdentity {
    /// Its configured address, which identifies it across reloads.
    pub address: SocketAddr,
    /// Its label in metrics.
    pub server: ServerLabel,
}

impl ListenerIdentity {
    /// The identity of the listener with this number within the process.
    pub fn new(number: usize, address: SocketAddr) -> Self {
        Self { address, server: ServerLabel { number, label: address.to_string().into() } }
    }
}
