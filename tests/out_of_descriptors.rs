//! A listener that cannot accept for lack of descriptors waits and recovers.
//!
//! In a separate file: the limit applies to the process, and other tests open files as well.

mod lab;

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use plustwo::serve::bind::bind_tcp;
use plustwo::serve::tcp::{DnsTcpListener, TcpLimits, TcpSlots};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

#[tokio::test]
async fn a_listener_without_descriptors_serves_once_some_are_free() {
    let engine = lab::engine();
    let limits = TcpLimits {
        connections: 10,
        connections_per_client: 10,
        queries_in_flight: 4,
        idle_timeout: Duration::from_secs(600),
    };
    let listener = bind_tcp("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let address = listener.local_addr().expect("an address");
    let listener = DnsTcpListener::new(listener, lab::listener_identity(), limits, Arc::new(TcpSlots::new()))
        .expect("a listener");
    let (stop, signal) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(listener.run(engine.clone(), lab::workers(&engine), async {
        let _ = signal.await;
    }));
    let client = TcpSocket::new_v4().expect("a socket");

    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, hard.min(64), hard).expect("lowered");
    let mut held = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        held.push(file);
    }
    // The kernel completes the handshake; the listener cannot accept the connection.
    let mut client = client.connect(address).await.expect("connected");
    while engine.observer().listeners().tcp_accept_errors.get() == 0 {
        tokio::task::yield_now().await;
    }
    drop(held);

    let query = lab::query(1, 100);
    client.write_all(&[&[0, 100], query.as_slice()].concat()).await.expect("written");
    let length = client.read_u16().await.expect("a reply");
    let mut reply = vec![0; length.into()];
    client.read_exact(&mut reply).await.expect("a complete reply");
    lab::assert_answered(&reply, 1);
    drop(stop);
    running.await.expect("the listener does not panic");
}
