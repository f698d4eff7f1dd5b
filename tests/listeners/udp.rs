use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use plustwo::serve::Engine;
use plustwo::serve::bind::bind_udp;
use plustwo::serve::datagrams::Backend;
use plustwo::serve::udp::UdpListener;
use tokio::net::UdpSocket;
use tokio::sync::oneshot;

use crate::lab::{SHORTEST, assert_answered, engine, listener_identity, query, workers};
use crate::{Running, in_time, port_zero, response, stopped};

/// A running UDP listener on `ip`, or `None` if the host has no such address.
fn open(ip: &str) -> Option<Running> {
    let socket = bind_udp(port_zero(ip)).ok()?;
    let address = socket.local_addr().expect("an address");
    let engine = engine();
    let udp = UdpListener::new(socket, listener_identity(), Backend::best()).expect("a listener");
    let (stop, signal) = oneshot::channel();
    let task = tokio::spawn(answer(udp, engine.clone(), stopped(signal)));
    Some(Running { address, engine, stop, task })
}

/// Runs a listener on a worker's thread.
async fn answer(listener: UdpListener, engine: Arc<Engine>, stop: impl Future<Output = ()> + Send + 'static) {
    let workers = workers(&engine);
    workers.run(0, |worker| async { listener.run(engine, worker, stop).await.expect("registered") }).await;
}

async fn client(ip: &str) -> UdpSocket {
    UdpSocket::bind(port_zero(ip)).await.expect("a client")
}

/// Sends a query and returns the reply and its source address.
async fn exchange(client: &UdpSocket, to: SocketAddr, message: &[u8]) -> (Vec<u8>, SocketAddr) {
    client.send_to(message, to).await.expect("sent");
    receive(client).await
}

async fn receive(client: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; 65_535];
    let (length, from) = in_time(client.recv_from(&mut buffer)).await.expect("a reply");
    buffer.truncate(length);
    (buffer, from)
}

#[tokio::test]
async fn a_wildcard_listener_answers_from_the_queried_address() {
    let listener = open("0.0.0.0").expect("IPv4");
    let client = client("127.0.0.1").await;
    for queried in ["127.0.0.1", "127.0.0.77", "127.0.0.253"] {
        let queried = SocketAddr::new(queried.parse::<IpAddr>().expect("ip"), listener.address.port());
        let (message, from) = exchange(&client, queried, &query(7, 100)).await;
        assert_answered(&message, 7);
        assert_eq!(from, queried);
    }
    listener.stop().await;
}

#[tokio::test]
async fn an_ipv6_wildcard_listener_answers_from_the_queried_address() {
    let Some(listener) = open("::") else { return };
    let queried: SocketAddr = format!("[::1]:{}", listener.address.port()).parse().expect("an address");
    let Ok(client) = UdpSocket::bind(port_zero("::1")).await else {
        return; // A host without IPv6 on loopback.
    };
    let (message, from) = exchange(&client, queried, &query(8, 100)).await;
    assert_answered(&message, 8);
    assert_eq!(from, queried);
    listener.stop().await;
}

#[tokio::test]
async fn a_listener_on_one_address_answers_from_it() {
    for ip in ["127.0.0.77", "::1"] {
        let Some(listener) = open(ip) else { continue };
        let client = client(ip).await;
        let (message, from) = exchange(&client, listener.address, &query(9, 100)).await;
        assert_answered(&message, 9);
        assert_eq!(from, listener.address);
        listener.stop().await;
    }
}

#[tokio::test]
async fn garbage_is_not_answered_and_does_not_stop_the_listener() {
    for ip in ["127.0.0.1", "0.0.0.0"] {
        let listener = open(ip).expect("IPv4");
        let queried = SocketAddr::new(IpAddr::from([127, 0, 0, 1]), listener.address.port());
        let client = client("127.0.0.1").await;
        let garbage = [vec![], vec![0], vec![0xff; 11], vec![0xff; 12], vec![0xff; 65_507]];
        for message in garbage.iter().chain([&response(1, 100)]) {
            client.send_to(message, queried).await.expect("sent");
        }
        // The first datagram received is the reply to the only query.
        let (message, _) = exchange(&client, queried, &query(2, 100)).await;
        assert_answered(&message, 2);
        listener.stop().await;
    }
}

#[tokio::test]
async fn the_longest_datagram_is_answered() {
    let listener = open("127.0.0.1").expect("IPv4");
    let client = client("127.0.0.1").await;
    let (message, _) = exchange(&client, listener.address, &query(3, 65_507)).await;
    assert_answered(&message, 3);
    listener.stop().await;
}

#[tokio::test]
async fn closed_client_sockets_do_not_stop_the_listener() {
    for ip in ["127.0.0.1", "0.0.0.0"] {
        let listener = open(ip).expect("IPv4");
        let queried = SocketAddr::new(IpAddr::from([127, 0, 0, 1]), listener.address.port());
        for id in 0..20 {
            // Closed before the listener reads the query, so that the reply causes an ICMP error.
            let gone = client("127.0.0.1").await;
            gone.writable().await.expect("writable");
            gone.try_send_to(&query(id, 100), queried).expect("sent");
            drop(gone);
        }
        let client = client("127.0.0.1").await;
        let (message, _) = exchange(&client, queried, &query(99, 100)).await;
        assert_answered(&message, 99);
        listener.stop().await;
    }
}

#[tokio::test]
async fn more_than_a_batch_is_answered_in_order() {
    let listener = open("127.0.0.1").expect("IPv4");
    let client = client("127.0.0.1").await;
    client.writable().await.expect("writable");
    // Sent without an await, so that more than a batch is waiting.
    for id in 0..150 {
        let sent = client.try_send_to(&query(id, SHORTEST), listener.address);
        sent.expect("sent");
    }
    for id in 0..150 {
        let (message, _) = receive(&client).await;
        assert_answered(&message, id);
    }
    assert_eq!(listener.engine.observer().listeners().udp_send_errors.get(), 0);
    listener.stop().await;
}

#[tokio::test]
async fn a_few_large_datagrams_do_not_displace_queries() {
    let listener = open("127.0.0.1").expect("IPv4");
    let client = client("127.0.0.1").await;
    client.writable().await.expect("writable");
    // Sent without an await, so that much of it waits in the receive buffer.
    for _ in 0..3 {
        client.try_send_to(&[0xff; 60_000], listener.address).expect("sent");
    }
    for id in 0..60 {
        client.try_send_to(&query(id, 100), listener.address).expect("sent");
    }
    for id in 0..60 {
        let (message, _) = receive(&client).await;
        assert_answered(&message, id);
    }
    listener.stop().await;
}

#[tokio::test]
async fn a_stopped_listener_releases_its_port() {
    let listener = open("127.0.0.1").expect("IPv4");
    let address = listener.address;
    listener.stop().await;
    bind_udp(address).expect("the port is free again");
}
