//! The plain TCP door: accepts, admits within limits, and winds down.
//!
//! ```text
//!  accept ─▶ slots: is there room? ─ no ─▶ close at once, counted
//!                     │ yes
//!                     └▶ a task for each connection on one of the workers' threads (connection.rs)
//!                          read ─ frames.rs ─▶ Engine::begin ─▶ a batch of replies ─▶ write
//! ```
//!
//! A client is free to open, dribble, flood and vanish (RFC 7766 section 6, RFC 9210 section 4): every
//! way of holding on to something has a bound in [`TcpLimits`] and a counter.

mod connection;
mod frames;
mod slots;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

pub(super) use self::connection::{Client, Connection, Transmission};
pub use self::slots::{TcpSlot, TcpSlots};
use super::accept::accept_until;
use super::workers::Workers;
use super::{Door, Engine, Origin, Transport};

/// Bounds on what TCP clients may hold, those of DNS over TLS and over HTTPS included.
#[derive(Clone, Debug)]
pub struct TcpLimits {
    /// Connections open at once, on all doors that share a [`TcpSlots`]. One in its TLS handshake counts.
    pub connections: usize,
    /// Connections open at once from one IP address, on all doors that share a [`TcpSlots`].
    pub connections_per_client: usize,
    /// Queries of one connection that wait for somebody else; at least 1.
    pub queries_in_flight: usize,
    /// How long a connection may go without completing a query while nothing is pending (RFC 7766 section
    /// 6.2.3), and how long it may take to make room for one write of replies; 1 ms to a day.
    pub idle_timeout: Duration,
}

/// A TCP listener that answers DNS messages (RFC 7766).
pub struct TcpDoor {
    listener: TcpListener,
    door: Arc<Door>,
    limits: TcpLimits,
    slots: Arc<TcpSlots>,
}

impl TcpDoor {
    /// A door on a bound listener; it accepts nobody until [`run`](Self::run).
    ///
    /// Must be called within a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    /// The listener cannot be registered with the runtime.
    pub fn new(
        listener: std::net::TcpListener,
        door: Arc<Door>,
        limits: TcpLimits,
        slots: Arc<TcpSlots>,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self { listener: TcpListener::from_std(listener)?, door, limits, slots })
    }

    /// Serves until `stop`. Then nobody is accepted any more, open connections finish what is in flight
    /// for at most a second, and those that have not are cut off.
    pub async fn run(self, engine: Arc<Engine>, workers: Workers, stop: impl Future<Output = ()>) {
        let Self { listener, door, limits, slots } = self;
        let serve = |stream: TcpStream, peer, closing| {
            let client = admit(&stream, peer, Transport::Tcp, &slots, &limits, &engine, &door)?;
            // The worker's runtime goes on with it.
            let stream = stream.into_std().ok()?;
            let workers = workers.clone();
            let serve = move |own| async move {
                // Where it cannot be registered, it is closed.
                if let Ok(stream) = TcpStream::from_std(stream) {
                    Connection::new(stream, client, own).serve(closing).await;
                }
            };
            Some(async move { workers.run_on_next(serve).await })
        };
        accept_until(listener, &door, &engine, stop, serve).await;
    }
}

/// The client of an accepted stream, or `None` if it is closed again: over a limit, or lost already.
pub(super) fn admit(
    stream: &TcpStream,
    peer: SocketAddr,
    transport: Transport,
    slots: &Arc<TcpSlots>,
    limits: &TcpLimits,
    engine: &Arc<Engine>,
    door: &Arc<Door>,
) -> Option<Client> {
    let Some(slot) = TcpSlots::take(slots, peer.ip(), limits) else {
        engine.observer().doors().tcp_refused.inc();
        return None;
    };
    // Whole batches are written, so there is nothing for Nagle's algorithm to collect.
    stream.set_nodelay(true).ok()?;
    let local = stream.local_addr().ok()?.ip();
    Some(Client::new(Origin { peer, local, transport }, slot, engine, door, limits))
}
