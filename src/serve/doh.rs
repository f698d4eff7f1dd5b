//! The door for DNS over HTTPS: accepts, admits within limits, speaks TLS and HTTP/2, and winds down.
//!
//! ```text
//!  accept ─▶ slots: is there room? ─ no ─▶ close at once, counted
//!                     │ yes
//!                     └▶ a task for each connection: TLS ─▶ HTTP/2
//!                          a stream for each query: exchange.rs ─▶ answer ─▶ Engine::answer
//! ```
//!
//! hyper carries HTTP/2. Requests of one connection are answered independently of each other.

mod base64url;
mod exchange;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use self::exchange::Exchange;
use super::accept::{STOP_PATIENCE, accept_until};
use super::tcp::{TcpLimits, TcpSlot, TcpSlots};
use super::tls::{Certificate, server_config};
use super::{Door, Engine, Origin, Transport};
use crate::dns::MAX_MESSAGE;

/// The protocol's name in a handshake (RFC 9113 section 3.2).
const ALPN: &[u8] = b"h2";

/// The longest header list of a request, in octets as HTTP/2 counts them (RFC 9113 section 6.5.2). A GET carries its
/// message here: some 12,000 octets of it, which no query comes near.
const MAX_HEADER_LIST: u32 = 16 * 1024;

/// Streams that a client resets before their request is taken up. One more closes the connection, so that a client
/// which opens and resets without end ("rapid reset", CVE-2023-44487) gets no further. h2's own default, by name.
const MAX_PENDING_RESETS: usize = 20;

/// Streams of one connection that the server resets for an error of the client's HTTP/2. One more closes the
/// connection. hyper's own default, by name.
const MAX_ERROR_RESETS: usize = 1024;

/// Octets of a request's content that a client may send ahead: a whole message and one octet more, which refuses it.
const STREAM_WINDOW: u32 = MAX_MESSAGE as u32 + 1;

/// Octets of contents that a client may send ahead on all its streams together.
const CONNECTION_WINDOW: u32 = 4 * STREAM_WINDOW;

/// A listener that answers DNS over HTTPS (RFC 8484), HTTP/2 only.
///
/// Its connections count with those of the TCP doors, and the same limits hold: `queries_in_flight` bounds a
/// connection's streams, `idle_timeout` its handshake, its silence and each request's body.
pub struct DohDoor {
    listener: TcpListener,
    house: House,
}

/// What lies behind the door for every connection.
struct House {
    tls: TlsAcceptor,
    limits: TcpLimits,
    slots: Arc<TcpSlots>,
    door: Arc<Door>,
    path: Arc<str>,
}

impl DohDoor {
    /// A door on a bound listener, with its one resource at `path`; it accepts nobody until
    /// [`run`](Self::run).
    ///
    /// Must be called within a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    /// The listener cannot be registered with the runtime.
    pub fn new(
        listener: std::net::TcpListener,
        door: Arc<Door>,
        certificate: Arc<Certificate>,
        path: Arc<str>,
        limits: TcpLimits,
        slots: Arc<TcpSlots>,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let tls = TlsAcceptor::from(server_config(certificate, ALPN).map_err(io::Error::other)?);
        let house = House { tls, limits, slots, door, path };
        Ok(Self { listener: TcpListener::from_std(listener)?, house })
    }

    /// Serves until `stop`. Then nobody is accepted any more, open connections finish what is in flight
    /// for at most a second, and those that have not are cut off.
    pub async fn run(self, engine: Arc<Engine>, stop: impl Future<Output = ()>) {
        let Self { listener, house } = self;
        let serve = |stream, peer, closing| {
            let connection = house.admit(stream, peer, &engine)?;
            Some(connection.serve(house.tls.clone(), closing))
        };
        accept_until(listener, &house.door, &engine, stop, serve).await;
    }
}

impl House {
    /// The connection, or `None` where it is closed again: over a limit, or lost already.
    fn admit(&self, stream: TcpStream, peer: SocketAddr, engine: &Arc<Engine>) -> Option<Connection> {
        let Some(slot) = TcpSlots::take(&self.slots, peer.ip(), &self.limits) else {
            engine.observer().doors().tcp_refused.inc();
            return None;
        };
        stream.set_nodelay(true).ok()?;
        let local = stream.local_addr().ok()?.ip();
        engine.observer().doors().tcp_connections.inc();
        let (in_flight, pending) = watch::channel(0);
        let exchange = Exchange {
            engine: engine.clone(),
            door: self.door.clone(),
            origin: Origin { peer, local, transport: Transport::Doh },
            path: self.path.clone(),
            body_timeout: self.limits.idle_timeout,
            in_flight,
        };
        Some(Connection { exchange, limits: self.limits.clone(), pending, stream, _slot: slot })
    }
}

/// A client's connection from its acceptance to its end.
struct Connection {
    exchange: Exchange,
    limits: TcpLimits,
    /// How many requests are being answered.
    pending: watch::Receiver<usize>,
    stream: TcpStream,
    // Last, so that the place is free only when the stream is closed.
    _slot: TcpSlot,
}

impl Connection {
    /// Serves the client until it leaves, is silent for too long, or `closing` loses its sender.
    async fn serve(self, tls: TlsAcceptor, mut closing: watch::Receiver<()>) {
        let Self { exchange, limits, mut pending, stream, _slot } = self;
        let exchange = Arc::new(exchange);
        let shaken = tokio::select! {
            biased;
            _ = closing.changed() => return,
            shaken = tokio::time::timeout(limits.idle_timeout, tls.accept(stream)) => shaken,
        };
        let counters = exchange.engine.observer().doors();
        let stream = match shaken {
            Ok(Ok(stream)) => stream,
            Ok(Err(_)) => return counters.tls_handshake_errors.inc(),
            Err(_) => return counters.tcp_timeouts.inc(),
        };
        let mut http = http2::Builder::new(TokioExecutor::new());
        // A stream that the client may not open yet is its own to hold back (RFC 9113 section 5.1.2).
        let streams = u32::try_from(limits.queries_in_flight.max(1)).unwrap_or(u32::MAX);
        http.timer(TokioTimer::new())
            .max_concurrent_streams(streams)
            .max_header_list_size(MAX_HEADER_LIST)
            .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
            .max_local_error_reset_streams(MAX_ERROR_RESETS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        let answering = exchange.clone();
        let service = service_fn(move |request| {
            let exchange = answering.clone();
            async move { exchange.answer(request).await }
        });
        let mut served = pin!(http.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            biased;
            // How it ended is the client's affair.
            _ = served.as_mut() => return,
            _ = closing.changed() => {}
            () = silence(&mut pending, &limits) => exchange.engine.observer().doors().tcp_timeouts.inc(),
        }
        served.as_mut().graceful_shutdown();
        let _ = tokio::time::timeout(STOP_PATIENCE, served).await;
    }
}

/// Waits until no request was pending or came for the idle timeout.
async fn silence(pending: &mut watch::Receiver<usize>, limits: &TcpLimits) {
    // A sender that is gone is the connection's end, which the caller sees for itself.
    while pending.wait_for(|pending| *pending == 0).await.is_ok() {
        if tokio::time::timeout(limits.idle_timeout, pending.changed()).await.is_err() {
            return;
        }
    }
    std::future::pending().await
}

/// The gauge falls however a connection ends.
impl Drop for Exchange {
    fn drop(&mut self) {
        self.engine.observer().doors().tcp_connections.dec();
    }
}
