//! The listener for DNS over HTTPS: accepts connections within limits, terminates TLS and HTTP/2, and shuts
//! down gracefully.
//!
//! ```text
//!  accept ─▶ slots: within limits? ─ no ─▶ close immediately, counted
//!                     │ yes
//!                     └▶ a task per connection: TLS ─▶ HTTP/2
//!                          a stream per query: exchange.rs ─▶ answer ─▶ Engine::answer
//! ```
//!
//! hyper implements HTTP/2. Requests of one connection are answered independently of each other.

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
use super::accept::{SHUTDOWN_GRACE, accept_until};
use super::tcp::{TcpLimits, TcpSlot, TcpSlots};
use super::tls::{Certificate, server_config};
use super::{Engine, ListenerIdentity, MessageSource, Transport};
use crate::dns::MAX_MESSAGE;

/// The ALPN protocol name (RFC 9113 section 3.2).
const ALPN: &[u8] = b"h2";

/// Maximum size of a request's header list, in octets as HTTP/2 counts them (RFC 9113 section 6.5.2). A GET
/// request carries its message here, up to about 12,000 octets, far more than any query needs.
const MAX_HEADER_LIST: u32 = 16 * 1024;

/// Streams that a client may reset before their request is processed. One more closes the connection, which
/// stops clients that open and reset streams without end ("rapid reset", CVE-2023-44487). Equal to h2's
/// default.
const MAX_PENDING_RESETS: usize = 20;

/// Streams of one connection that the server resets because of HTTP/2 errors of the client. One more closes
/// the connection. Equal to hyper's default.
const MAX_ERROR_RESETS: usize = 1024;

/// Flow-control window of a stream, in octets: a message of maximum size and one octet more, so that a longer
/// message is detected and rejected.
const STREAM_WINDOW: u32 = MAX_MESSAGE as u32 + 1;

/// Flow-control window of a connection, for all its streams together, in octets.
const CONNECTION_WINDOW: u32 = 4 * STREAM_WINDOW;

/// A listener for DNS over HTTPS (RFC 8484), HTTP/2 only.
///
/// Its connections count towards the same limits as those of the TCP listeners. `queries_in_flight` limits
/// the streams of a connection, `idle_timeout` its handshake, its idle time and the body of each
/// request.
pub struct DohListener {
    listener: TcpListener,
    context: DohContext,
}

/// State shared by all connections of the listener.
struct DohContext {
    tls: TlsAcceptor,
    limits: TcpLimits,
    slots: Arc<TcpSlots>,
    identity: Arc<ListenerIdentity>,
    path: Arc<str>,
}

impl DohListener {
    /// Creates a listener from a bound socket, with its one resource at `path`. It accepts no connection
    /// before [`run`](Self::run).
    ///
    /// Must be called within a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    /// The socket cannot be registered with the runtime.
    pub fn new(
        listener: std::net::TcpListener,
        identity: Arc<ListenerIdentity>,
        certificate: Arc<Certificate>,
        path: Arc<str>,
        limits: TcpLimits,
        slots: Arc<TcpSlots>,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let tls = TlsAcceptor::from(server_config(certificate, ALPN).map_err(io::Error::other)?);
        let context = DohContext { tls, limits, slots, identity, path };
        Ok(Self { listener: TcpListener::from_std(listener)?, context })
    }

    /// Serves until `stop`. After that, no connection is accepted, open connections have a grace period of
    /// one second to finish their requests in flight, and the remaining ones are aborted.
    pub async fn run(self, engine: Arc<Engine>, stop: impl Future<Output = ()>) {
        let Self { listener, context } = self;
        let serve = |stream, peer, closing| {
            let connection = context.admit(stream, peer, &engine)?;
            Some(connection.serve(context.tls.clone(), closing))
        };
        accept_until(listener, &context.identity, &engine, stop, serve).await;
    }
}

impl DohContext {
    /// The connection, or `None` if it is closed immediately: over a limit, or already lost.
    fn admit(&self, stream: TcpStream, peer: SocketAddr, engine: &Arc<Engine>) -> Option<Connection> {
        let Some(slot) = TcpSlots::acquire(&self.slots, peer.ip(), &self.limits) else {
            engine.observer().listeners().tcp_refused.inc();
            return None;
        };
        stream.set_nodelay(true).ok()?;
        let local = stream.local_addr().ok()?.ip();
        engine.observer().listeners().tcp_connections.inc();
        let (in_flight_sender, in_flight) = watch::channel(0);
        let exchange = Exchange {
            engine: engine.clone(),
            identity: self.identity.clone(),
            source: MessageSource { peer, local, transport: Transport::Doh },
            path: self.path.clone(),
            body_timeout: self.limits.idle_timeout,
            in_flight: in_flight_sender,
        };
        Some(Connection { exchange, limits: self.limits.clone(), in_flight, stream, _slot: slot })
    }
}

/// A client's connection from acceptance to end.
struct Connection {
    exchange: Exchange,
    limits: TcpLimits,
    /// Number of requests in flight.
    in_flight: watch::Receiver<usize>,
    stream: TcpStream,
    // Declared last: the slot must be released only after the stream is closed.
    _slot: TcpSlot,
}

impl Connection {
    /// Serves the client until it disconnects, is idle for too long, or the sender of `closing` is dropped.
    async fn serve(self, tls: TlsAcceptor, mut closing: watch::Receiver<()>) {
        let Self { exchange, limits, mut in_flight, stream, _slot } = self;
        let exchange = Arc::new(exchange);
        let handshake = tokio::select! {
            biased;
            _ = closing.changed() => return,
            handshake = tokio::time::timeout(limits.idle_timeout, tls.accept(stream)) => handshake,
        };
        let counters = exchange.engine.observer().listeners();
        let stream = match handshake {
            Ok(Ok(stream)) => stream,
            Ok(Err(_)) => return counters.tls_handshake_errors.inc(),
            Err(_) => return counters.tcp_timeouts.inc(),
        };
        let mut http = http2::Builder::new(TokioExecutor::new());
        // The client must not open more streams than this (RFC 9113 section 5.1.2).
        let streams = u32::try_from(limits.queries_in_flight.max(1)).unwrap_or(u32::MAX);
        http.timer(TokioTimer::new())
            .max_concurrent_streams(streams)
            .max_header_list_size(MAX_HEADER_LIST)
            .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
            .max_local_error_reset_streams(MAX_ERROR_RESETS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        let service_exchange = exchange.clone();
        let service = service_fn(move |request| {
            let exchange = service_exchange.clone();
            async move { exchange.answer(request).await }
        });
        let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            biased;
            // How the connection ended does not matter here.
            _ = connection.as_mut() => return,
            _ = closing.changed() => {}
            () = idle(&mut in_flight, &limits) => exchange.engine.observer().listeners().tcp_timeouts.inc(),
        }
        connection.as_mut().graceful_shutdown();
        let _ = tokio::time::timeout(SHUTDOWN_GRACE, connection).await;
    }
}

/// Waits until no request has arrived or been in flight for the duration of the idle timeout.
async fn idle(in_flight: &mut watch::Receiver<usize>, limits: &TcpLimits) {
    // A dropped sender means that the connection has ended, which the caller detects itself.
    while in_flight.wait_for(|count| *count == 0).await.is_ok() {
        if tokio::time::timeout(limits.idle_timeout, in_flight.changed()).await.is_err() {
            return;
        }
    }
    std::future::pending().await
}

/// The gauge must be decremented however a connection ends.
impl Drop for Exchange {
    fn drop(&mut self) {
        self.engine.observer().listeners().tcp_connections.dec();
    }
}
