//! A door that cannot accept for want of descriptors waits and recovers.
//!
//! In a file of its own: the limit belongs to the process, and other tests open files too.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use plustwo::serve::bind::bind_tcp;
use plustwo::serve::tcp::{TcpDoor, TcpLimits, TcpSlots};
use plustwo::serve::{Door, Engine};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

#[tokio::test]
async fn a_door_without_descriptors_serves_as_soon_as_there_are_some() {
    let engine = Arc::new(Engine::default());
    let limits = TcpLimits {
        connections: 10,
        connections_per_client: 10,
        queries_in_flight: 4,
        idle_timeout: Duration::from_secs(600),
    };
    let listener = bind_tcp("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let address = listener.local_addr().expect("an address");
    let door = Arc::new(Door { label: "test".into() });
    let door = TcpDoor::new(listener, door, limits, Arc::new(TcpSlots::new())).expect("a door");
    let (stop, signal) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(door.run(engine.clone(), async {
        let _ = signal.await;
    }));
    let client = TcpSocket::new_v4().expect("a socket");

    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, hard.min(64), hard).expect("lowered");
    let mut held = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        held.push(file);
    }
    // The system completes the connection by itself; the door cannot have it.
    let mut client = client.connect(address).await.expect("connected");
    while engine.doors().tcp_accept_errors.get() == 0 {
        tokio::task::yield_now().await;
    }
    drop(held);

    client.write_all(&[0, 12, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.expect("written");
    let mut answer = [0; 14];
    client.read_exact(&mut answer).await.expect("a reply");
    assert_eq!(answer[..5], [0, 12, 0, 1, 0x81]);
    drop(stop);
    running.await.expect("the door does not panic");
}
