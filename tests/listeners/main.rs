//! The UDP and TCP listeners over loopback: real sockets on port 0 and the built-in lab.
//!
//! Tests wait for events instead of sleeping. [`soon`] turns a wait that never ends into a failure.

mod bind;
#[path = "../lab/mod.rs"]
mod lab;
mod tcp;
mod udp;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use plustwo::serve::Engine;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The message of [`lab::query`] with the QR bit set. Answering it would start a loop.
fn response(id: u16, length: usize) -> Vec<u8> {
    let mut message = lab::query(id, length);
    message[2] |= 0x80;
    message
}

fn port_zero(ip: &str) -> SocketAddr {
    SocketAddr::new(ip.parse::<IpAddr>().expect("an IP address"), 0)
}

/// A running listener.
struct Running {
    address: SocketAddr,
    engine: Arc<Engine>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    /// Stops the listener and waits until it has ended.
    async fn stop(self) {
        let _ = self.stop.send(());
        in_time(self.task).await.expect("the listener does not panic");
    }
}

/// Completes when the sender of the stop signal is used or dropped.
async fn stopped(signal: oneshot::Receiver<()>) {
    let _ = signal.await;
}

/// Awaits a future; panics if it takes a minute.
async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("completes in time")
}
