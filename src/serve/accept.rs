//! The accept loop that doors for streams share.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Door, Engine};

/// Rest after an `accept` that failed for want of descriptors or memory: trying again at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long open connections may finish what is in flight once the door is told to stop.
pub(super) const STOP_PATIENCE: Duration = Duration::from_secs(1);

/// The shortest time between two warnings about `accept`.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// Accepts until `stop`, and runs what `serve` makes of each connection in a task of its own; nothing, where
/// it is not admitted. Then nobody is accepted any more, open connections finish what is in flight for at
/// most a second, and those that have not are cut off.
///
/// A connection is told to close when the sender behind its receiver is gone.
pub(super) async fn accept_until<C>(
    listener: TcpListener,
    door: &Door,
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
                engine.observer().doors().tcp_accept_errors.inc();
                if is_about_a_peer(&error) {
                    continue;
                }
                warn_seldom(&mut warned, door, &error);
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
    // What is left then is cut off as the set is dropped.
    let _ = tokio::time::timeout(STOP_PATIENCE, all_closed).await;
}

/// True where `accept` reports what became of one connection while it waited (accept(2), "Error
/// handling"); the next one may be well.
fn is_about_a_peer(error: &io::Error) -> bool {
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

fn warn_seldom(warned: &mut Option<Instant>, door: &Door, error: &io::Error) {
    if warned.is_some_and(|at: Instant| at.elapsed() < WARNING_INTERVAL) {
        return;
    }
    *warned = Some(Instant::now());
    tracing::warn!(
        listener = %door.server.label,
        %error,
        "Cannot accept TCP connections; clients wait. If files are short, raise the limit (LimitNOFILE)."
    );
}
