//! The plain DNS doors over loopback: real sockets on port 0, the built-in lab, no clocks.
//!
//! Nothing here waits by sleeping. Each test waits for something to happen, and [`soon`] makes one that
//! would wait for ever a failure.

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

/// What [`lab::query`] makes with this identifier, as a response: a reply to it would start a loop.
fn response(id: u16, length: usize) -> Vec<u8> {
    let mut message = lab::query(id, length);
    message[2] |= 0x80;
    message
}

fn port_zero(ip: &str) -> SocketAddr {
    SocketAddr::new(ip.parse::<IpAddr>().expect("an IP address"), 0)
}

/// A door that is being run.
struct Running {
    address: SocketAddr,
    engine: Arc<Engine>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    /// Tells the door to stop, and waits until it has.
    async fn stop(self) {
        let _ = self.stop.send(());
        soon(self.task).await.expect("the door does not panic");
    }
}

/// The stop signal for a door, from its sender.
async fn stopped(signal: oneshot::Receiver<()>) {
    let _ = signal.await;
}

/// What `future` gives; a failure where it would hang.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("this does not hang")
}
