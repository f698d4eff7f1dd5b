//! The plain TCP listener: accepts connections within limits and shuts down gracefully.
//!
//! ```text
//!  accept ─▶ slots: within limits? ─ no ─▶ close immediately, counted
//!                     │ yes
//!                     └▶ a task per connection on the thread of a worker (connection.rs)
//!                          read ─ frames.rs ─▶ Engine::handle ─▶ a batch of replies ─▶ write
//! ```
//!
//! Clients may open connections, send slowly, flood and disappear (RFC 7766 section 6, RFC 9210 section 4):
//! every resource that they can hold has a limit in [`TcpLimits`] and a counter.

mod connection;
mod frames;
mod slots;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

pub(super) use self::connection::{Connection, ConnectionStream, TcpClient};
pub use self::slots::{TcpSlot, TcpSlots};
use super::accept::accept_until;
use super::workers::Workers;
use super::{Engine, ListenerIdentity, MessageSource, Transport};

/// Limits for TCP clients, including those of DNS over TLS and DNS over HTTPS.
#[derive(Clone, Debug)]
pub struct TcpLimits {
    /// Open connections of all listeners that share a [`TcpSlots`]. A connection in its TLS handshake counts.
    pub connections: usize,
    /// Open connections from one IP address, of all listeners that share a [`TcpSlots`].
    pub connections_per_client: usize,
    /// Queries of one connection that wait for an upstream; at least 1.
    pub queries_in_flight: usize,
    /// How long a connection may be open without completing a query while none is pending (RFC 7766 section
    /// 6.2.3), and how long it may take to accept a write of replies; 1 ms to one day.
    pub idle_timeout: Duration,
}

/// A listener for DNS over TCP (RFC 7766).
pub struct DnsTcpListener {
    listener: TcpListener,
    identity: Arc<ListenerIdentity>,
    limits: TcpLimits,
    slots: Arc<TcpSlots>,
}

impl DnsTcpListener {
    /// Creates a listener from a bound socket. It accepts no connection before [`run`](Self::run).
    ///
    /// Must be called within a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    /// The socket cannot be registered with the runtime.
    pub fn new(
        listener: std::net::TcpListener,
        identity: Arc<ListenerIdentity>,
        limits: TcpLimits,
        slots: Arc<TcpSlots>,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self { listener: TcpListener::from_std(listener)?, identity, limits, slots })
    }

    /// Serves until `stop`. After that, no connection is accepted, open connections have a grace period of
    /// one second to finish their queries in flight, and the remaining ones are aborted.
    pub async fn run(self, engine: Arc<Engine>, workers: Workers, stop: impl Future<Output = ()>) {
        let Self { listener, identity, limits, slots } = self;
        let serve = |stream: TcpStream, peer, closing| {
            let client = admit(&stream, peer, Transport::Tcp, &slots, &limits, &engine, &identity)?;
            // The stream is registered with the worker's runtime instead.
            let stream = stream.into_std().ok()?;
            let workers = workers.clone();
            let serve = move |worker| async move {
                // A stream that cannot be registered is closed.
                if let Ok(stream) = TcpStream::from_std(stream) {
                    Connection::new(stream, client, worker).serve(closing).await;
                }
            };
            Some(async move { workers.run_on_next(serve).await })
        };
        accept_until(listener, &identity, &engine, stop, serve).await;
    }
}

/// The client of an accepted stream, or `None` if the stream is closed immediately: over a limit, or already
/// lost.
pub(super) fn admit(
    stream: &TcpStream,
    peer: SocketAddr,
    transport: Transport,
    slots: &Arc<TcpSlots>,
    limits: &TcpLimits,
    engine: &Arc<Engine>,
    identity: &Arc<ListenerIdentity>,
) -> Option<TcpClient> {
    let Some(slot) = TcpSlots::acquire(slots, peer.ip(), limits) else {
        engine.observer().listeners().tcp_refused.inc();
        return None;
    };
    // Replies are written in batches, so Nagle's algorithm has nothing to collect.
    stream.set_nodelay(true).ok()?;
    let local = stream.local_addr().ok()?.ip();
    Some(TcpClient::new(MessageSource { peer, local, transport }, slot, engine, identity, limits))
}
