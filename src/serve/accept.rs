//! The accept loop of stream listeners.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Engine, ListenerIdentity};

/// Pause after an `accept` that failed for lack of descriptors or memory, to avoid a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Grace period in which open connections may finish queries in flight when a listener stops.
pub(super) const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// Minimum interval between two warnings about `accept`.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// Accepts connections until `stop` and runs the future that `serve` returns for each of them in a task. If
/// `serve` returns `None`, the connection is closed. After `stop`, no connection is accepted, open ones have
/// a grace period of one second to finish their queries in flight, and the remaining ones are aborted.
///
/// Connections are notified to close when the sender of their `watch` channel is dropped.
pub(super) async fn accept_until<C>(
    listener: TcpListener,
    identity: &ListenerIdentity,
    engine: &Arc<Engine>,
    stop: impl Future<Output = ()>,
    serve: impl Fn(TcpStream, SocketAddr, watch::Receiver<()>) -> Option<C>,
) where
    C: Future<Output = ()> + Send + 'static,
{
    let (open, closing) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut warned = None;
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                if let Some(connection) = serve(stream, peer, closing.clone()) {
                    connections.spawn(connection);
                }
            }
            Err(error) => {
                engine.observer().listeners().tcp_accept_errors.inc();
                if is_peer_error(&error) {
                    continue;
                }
                warn_rate_limited(&mut warned, identity, &error);
                tokio::select! {
                    biased;
                    () = &mut stop => break,
                    () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                }
            }
        }
    }
    drop(listener);
    drop(open);
    let all_closed = async { while connections.join_next().await.is_some() {} };
    // Dropping the set aborts the remaining connections.
    let _ = tokio::time::timeout(SHUTDOWN_GRACE, all_closed).await;
}

/// Whether an error of `accept` concerns one connection that failed while it was queued (accept(2), "Error
/// handling"), so that the next one may succeed.
fn is_peer_error(error: &io::Error) -> bool {
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

fn warn_rate_limited(warned: &mut Option<Instant>, identity: &ListenerIdentity, error: &io::Error) {
    if warned.is_some_and(|at: Instant| at.elapsed() < WARNING_INTERVAL) {
        return;
    }
    *warned = Some(Instant::now());
    tracing::warn!(
        listener = %identity.server.label,
        %error,
        "Cannot accept TCP connections. If the limit on open files is reached, raise it (LimitNOFILE)."
    );
}
