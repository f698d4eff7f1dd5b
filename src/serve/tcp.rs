//! The plain TCP door: accepts, admits within limits, and winds down.
//!
//! ```text
//!  accept ─▶ slots: is there room? ─ no ─▶ close at once, counted
//!                     │ yes
//!                     └▶ a task for each connection (connection.rs)
//!                          reader ─ frames.rs ─▶ Engine::answer ─▶ bounded queue ─▶ writer
//! ```
//!
//! A client is free to open, dribble, flood and vanish (RFC 7766 section 6, RFC 9210 section 4): every
//! way of holding on to something has a bound in [`TcpLimits`] and a counter.

mod connection;
mod frames;
mod slots;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::connection::Connection;
pub use self::slots::{TcpSlot, TcpSlots};
use super::{Door, Engine};

/// Rest after an `accept` that failed for want of descriptors or memory: trying again at once would spin.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long open connections may finish what is in flight once the door is told to stop.
pub(super) const STOP_PATIENCE: Duration = Duration::from_secs(1);

/// The shortest time between two warnings about `accept`.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// Bounds on what TCP clients may hold, those of DNS over HTTPS included.
#[derive(Clone, Debug)]
pub struct TcpLimits {
    /// Connections open at once, on all doors that share a [`TcpSlots`].
    pub connections: usize,
    /// Connections open at once from one IP address, on all doors that share a [`TcpSlots`].
    pub connections_per_client: usize,
    /// Queries of one connection not yet answered, or answered and not yet written; at least 1.
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
    pub async fn run(self, engine: Arc<Engine>, stop: impl Future<Output = ()>) {
        // Dropping `open` tells every connection to close.
        let (open, closing) = watch::channel(());
        let mut connections = JoinSet::new();
        let mut warned = None;
        let mut stop = pin!(stop);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut stop => break,
                Some(_) = connections.join_next() => continue,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    if let Some(connection) = self.admit(stream, peer, &engine) {
                        connections.spawn(connection.serve(closing.clone()));
                    }
                }
                Err(error) => {
                    engine.observer().doors().tcp_accept_errors.inc();
                    if is_about_a_peer(&error) {
                        continue;
                    }
                    warn_seldom(&mut warned, &self.door, &error);
                    tokio::select! {
                        biased;
                        () = &mut stop => break,
                        () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                    }
                }
            }
        }
        drop(self.listener);
        drop(open);
        let all_closed = async { while connections.join_next().await.is_some() {} };
        // What is left then is cut off as the set is dropped.
        let _ = tokio::time::timeout(STOP_PATIENCE, all_closed).await;
    }

    /// The connection, or `None` where it is closed again: over a limit, or lost already.
    fn admit(&self, stream: TcpStream, peer: SocketAddr, engine: &Arc<Engine>) -> Option<Connection> {
        let Some(slot) = TcpSlots::take(&self.slots, peer.ip(), &self.limits) else {
            engine.observer().doors().tcp_refused.inc();
            return None;
        };
        Connection::new(stream, peer, slot, engine, &self.door, &self.limits).ok()
    }
}

/// True where `accept` reports what became of one connection while it waited (accept(2), "Error
/// handling"); the next one may be well.
pub(super) fn is_about_a_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::Interrupted
            | io::ErrorKind::TimedOut
    )
}

pub(super) fn warn_seldom(warned: &mut Option<Instant>, door: &Door, error: &io::Error) {
    if warned.is_some_and(|at: Instant| at.elapsed() < WARNING_INTERVAL) {
        return;
    }
    *warned = Some(Instant::now());
    tracing::warn!(
        listener = %door.label,
        %error,
        "Cannot accept TCP connections; clients wait. If files are short, raise the limit (LimitNOFILE)."
    );
}
