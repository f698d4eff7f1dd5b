//! Connections to the admin address and their limits.
//!
//! ```text
//!  accept ─▶ within the limit? ─ no ─▶ close the longest idle connection; if none is idle, the new one
//!                  │ yes
//!                  └▶ a task per connection: hyper, HTTP/1.1 ─▶ guard.rs ─▶ the router
//! ```
//!
//! The process has one pool of file descriptors. A client of the admin address that opens connections without
//! sending anything, sends a header octet by octet, or does not read its response must not use up
//! the descriptors that DNS needs, so everything that holds a connection is limited here.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::Instant;

use crate::observe::ListenerMetrics;

/// Maximum number of open connections to the admin address, if the open file limit is sufficient.
pub const MAX_CONNECTIONS: usize = 64;

/// Limits of the server; tests use shorter times.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerLimits {
    /// Maximum number of open connections, at least 1.
    pub connections: usize,
    /// Time limit for the complete header of a request, and for idling between two requests.
    pub header: Duration,
    /// Time limit for a client to read a response.
    pub response: Duration,
}

impl ServerLimits {
    /// The default time limits, with this maximum number of connections.
    pub(super) fn new(connections: usize) -> Self {
        Self { connections, header: Duration::from_secs(10), response: Duration::from_secs(60) }
    }
}

/// Time limit for closing a connection without a request in progress when the server is stopped.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum size of a request's header in octets; hyper answers a longer one with 431.
const MAX_HEADER_OCTETS: usize = 16 << 10;

/// Maximum number of fields in a request's header; hyper answers more with 431.
const MAX_HEADER_FIELDS: usize = 64;

/// Pause after an `accept` that failed for lack of descriptors or memory, to avoid a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Minimum interval between two warnings about `accept`.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// The state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No complete request has been received since this time.
    Idle(Instant),
    /// A request is being handled; the handler has a time limit of its own.
    Handling,
    /// A response was submitted for writing at this time; once it is written, the connection is idle.
    Responded(Instant),
}

/// An open connection, as tracked by the accept loop.
struct OpenConnection {
    phase: watch::Receiver<Phase>,
    task: AbortHandle,
}

impl OpenConnection {
    /// The time since which no request has been handled. `None` while one is being handled.
    fn idle_since(&self) -> Option<Instant> {
        match *self.phase.borrow() {
            Phase::Idle(since) | Phase::Responded(since) => Some(since),
            Phase::Handling => None,
        }
    }
}

/// The open connections.
struct Connections {
    tasks: JoinSet<()>,
    open: HashMap<Id, OpenConnection>,
    /// Their maximum number.
    max_open: usize,
}

impl Connections {
    /// Makes room for a connection, if necessary by closing the longest idle one. The first value is false
    /// if all connections are handling requests; the second states whether one was closed.
    fn make_room(&mut self) -> (bool, bool) {
        if self.open.len() < self.max_open {
            return (true, false);
        }
        let closed = self.close_longest_idle();
        (closed, closed)
    }

    /// Removes a connection whose task has ended.
    fn remove_ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
        self.open.remove(&id);
    }

    /// Closes the longest idle connection. Returns false if none is idle.
    fn close_longest_idle(&mut self) -> bool {
        let idle = self.open.iter().filter_map(|(id, open)| Some((open.idle_since()?, *id)));
        let Some((_, id)) = idle.min_by_key(|(since, _)| *since) else { return false };
        if let Some(open) = self.open.remove(&id) {
            open.task.abort();
        }
        true
    }
}

/// Serves until `stop` completes: accepts connections within the limits and answers with the router. Then no
/// connection is accepted, requests in progress are completed, and all other connections are closed.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ServerLimits,
    metrics: &ListenerMetrics,
    stop: impl Future<Output = ()>,
) {
    let (running, closing) = watch::channel(());
    let max_open = limits.connections.max(1);
    let mut connections = Connections { tasks: JoinSet::new(), open: HashMap::new(), max_open };
    let mut warned = None;
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            Some(ended) = connections.tasks.join_next_with_id() => {
                connections.remove_ended(ended);
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, client)) => {
                let (has_room, closed_one) = connections.make_room();
                if closed_one || !has_room {
                    metrics.admin_refused.inc();
                }
                // The descriptor of a closed connection is released only when its task has ended.
                if closed_one && let Some(ended) = connections.tasks.join_next_with_id().await {
                    connections.remove_ended(ended);
                }
                if !has_room {
                    continue;
                }
                let (phase, phase_receiver) = watch::channel(Phase::Idle(Instant::now()));
                let connection =
                    serve_connection((stream, client), router.clone(), limits, phase, closing.clone());
                let task = connections.tasks.spawn(connection);
                connections.open.insert(task.id(), OpenConnection { phase: phase_receiver, task });
            }
            Err(error) => {
                metrics.tcp_accept_errors.inc();
                if concerns_one_connection(&error) {
                    continue;
                }
                warn_at_intervals(&mut warned, &error);
                connections.close_longest_idle();
                tokio::select! {
                    biased;
                    () = &mut stop => break,
                    () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                }
            }
        }
    }
    drop(listener);
    drop(running);
    while connections.tasks.join_next().await.is_some() {}
}

/// Serves one connection until the client closes it, a limit is reached, or the sender of `closing` is
/// dropped.
async fn serve_connection(
    (stream, client): (TcpStream, SocketAddr),
    router: Router,
    limits: ServerLimits,
    phase: watch::Sender<Phase>,
    mut closing: watch::Receiver<()>,
) {
    let mut phase_receiver = phase.subscribe();
    let service = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(client));
        phase.send_replace(Phase::Handling);
        let response = service.call(request);
        let phase = phase.clone();
        async move {
            let response = response.await;
            phase.send_replace(Phase::Responded(Instant::now()));
            response
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .max_buf_size(MAX_HEADER_OCTETS)
        .max_headers(MAX_HEADER_FIELDS);
    let mut served = pin!(http.serve_connection(TokioIo::new(stream), service));
    loop {
        let deadline = match *phase_receiver.borrow_and_update() {
            // hyper has its own timer for headers; this one covers cases that it may not cover.
            Phase::Idle(since) => Some(since + 2 * limits.header),
            Phase::Handling => None,
            Phase::Responded(at) => Some(at + limits.response),
        };
        let too_long = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            // How the connection ended does not matter here.
            _ = served.as_mut() => return,
            _ = closing.changed() => break,
            // The sender is in the service, which lives as long as the connection.
            _ = phase_receiver.changed() => {}
            () = too_long => return,
        }
    }
    served.as_mut().graceful_shutdown();
    if *phase_receiver.borrow() == Phase::Handling {
        tokio::select! {
            biased;
            _ = served.as_mut() => return,
            _ = phase_receiver.wait_for(|phase| *phase != Phase::Handling) => {}
        }
    }
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, served).await;
}

/// Whether an error of `accept` concerns one connection that failed while it was queued (accept(2), "Error
/// handling").
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

fn warn_at_intervals(warned: &mut Option<Instant>, error: &io::Error) {
    if warned.is_some_and(|at: Instant| at.elapsed() < WARNING_INTERVAL) {
        return;
    }
    *warned = Some(Instant::now());
    tracing::warn!(
        %error,
        "Cannot accept connections to the admin address. If the open file limit is reached, raise it (LimitNOFILE)."
    );
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::oneshot;

    use super::*;
    use crate::config::QueryLog;
    use crate::observe::{Observer, ObserverOptions};

    /// Starts a server with these limits, which runs until the sender is dropped.
    async fn start(limits: ServerLimits) -> (SocketAddr, Arc<Observer>, oneshot::Sender<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let large = "x".repeat(32 << 20);
        let router =
            Router::new().route("/", get(|| async { "ok" })).route("/large", get(|| async { large }));
        let options = ObserverOptions { query_log: QueryLog::default(), remembered_lookups: 1 };
        let observer = Arc::new(Observer::new(options).unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn({
            let observer = observer.clone();
            async move {
                serve(listener, router, limits, observer.listeners(), async { drop(stopped.await) }).await
            }
        });
        (address, observer, stop)
    }

    fn short() -> ServerLimits {
        ServerLimits {
            connections: 2,
            header: Duration::from_millis(100),
            response: Duration::from_millis(100),
        }
    }

    #[tokio::test]
    async fn a_connection_that_sends_its_header_octet_by_octet_is_closed() {
        let (address, _, _stop) = start(short()).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: test\r\nX: ").await.unwrap();
        // Send one octet at a time until the server closes the connection.
        loop {
            if stream.write_all(b"x").await.is_err() {
                break;
            }
            let mut octet = [0];
            match tokio::time::timeout(Duration::from_millis(10), stream.read(&mut octet)).await {
                Ok(Ok(1)) => {}
                Ok(_) => break,
                Err(_) => {}
            }
        }
    }

    #[tokio::test]
    async fn an_idle_connection_is_closed_before_a_request_and_after_one() {
        let (address, _, _stop) = start(short()).await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut text = String::new();
        silent.read_to_string(&mut text).await.unwrap();
        let mut kept_alive = TcpStream::connect(address).await.unwrap();
        kept_alive.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
        let mut text = String::new();
        kept_alive.read_to_string(&mut text).await.unwrap();
        assert!(text.starts_with("HTTP/1.1 200 ") && text.contains("\r\n\r\nok"), "{text}");
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_its_response_is_disconnected() {
        let (address, _, _stop) = start(short()).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /large HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
        // Writing fails after the server has closed the connection, although nothing was read.
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn a_connection_beyond_the_limit_replaces_the_one_idle_longest() {
        let limits = ServerLimits { connections: 2, header: Duration::from_secs(600), ..short() };
        let (address, observer, _stop) = start(limits).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        let mut third = TcpStream::connect(address).await.unwrap();
        let mut text = String::new();
        // An end of file or a reset, depending on the system.
        let _ = first.read_to_string(&mut text).await;
        assert_eq!(text, "");
        assert_eq!(observer.listeners().admin_refused.get(), 1);
        for stream in [&mut second, &mut third] {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").await.unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            assert!(text.ends_with("ok"), "{text}");
        }
    }

    #[tokio::test]
    async fn idle_connections_do_not_delay_shutdown() {
        let limits =
            ServerLimits { header: Duration::from_secs(600), response: Duration::from_secs(600), ..short() };
        let (address, _, stop) = start(limits).await;
        let mut idle = TcpStream::connect(address).await.unwrap();
        drop(stop);
        let mut text = String::new();
        let _ = idle.read_to_string(&mut text).await;
        assert_eq!(text, "");
    }
}
