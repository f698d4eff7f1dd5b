use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use plustwo::serve::bind::bind_tcp;
use plustwo::serve::tcp::{DnsTcpListener, TcpLimits, TcpSlots};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;

use crate::lab::{SHORTEST, assert_answered, engine, listener_identity, query, workers};
use crate::{Running, in_time, port_zero, stopped};

fn limits() -> TcpLimits {
    TcpLimits {
        connections: 100,
        connections_per_client: 100,
        queries_in_flight: 16,
        idle_timeout: Duration::from_secs(600),
    }
}

/// A short idle timeout, for tests that wait for it. No test asserts how long it takes.
const SHORT_TIMEOUT: Duration = Duration::from_millis(200);

fn open(limits: TcpLimits) -> Running {
    let listener = bind_tcp(port_zero("127.0.0.1")).expect("a free port");
    let address = listener.local_addr().expect("an address");
    let slots = Arc::new(TcpSlots::new());
    let tcp = DnsTcpListener::new(listener, listener_identity(), limits, slots).expect("a listener");
    let engine = engine();
    let (stop, signal) = oneshot::channel();
    let task = tokio::spawn(tcp.run(engine.clone(), workers(&engine), stopped(signal)));
    Running { address, engine, stop, task }
}

async fn connect(listener: &Running) -> TcpStream {
    let stream = in_time(TcpStream::connect(listener.address)).await;
    stream.expect("connected")
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).expect("fits");
    [&length.to_be_bytes()[..], message].concat()
}

async fn receive(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    in_time(async {
        let length = stream.read_u16().await?;
        let mut message = vec![0; length.into()];
        stream.read_exact(&mut message).await?;
        Ok(message)
    })
    .await
}

async fn exchange(stream: &mut TcpStream, message: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(&framed(message)).await?;
    receive(stream).await
}

/// Whether the server closes the connection without sending another octet.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut octet = [0];
    !matches!(in_time(stream.read(&mut octet)).await, Ok(1..))
}

#[tokio::test]
async fn a_hundred_queries_in_one_write_are_all_answered() {
    let listener = open(limits());
    let mut client = connect(&listener).await;
    let queries: Vec<u8> = (0..100).flat_map(|id| framed(&query(id, 100))).collect();
    client.write_all(&queries).await.expect("written");
    let mut answered = BTreeSet::new();
    for _ in 0..100 {
        let reply = receive(&mut client).await.expect("a reply");
        let id = u16::from_be_bytes([reply[0], reply[1]]);
        assert_answered(&reply, id);
        answered.insert(id);
    }
    assert!(answered.into_iter().eq(0..100), "each once");
    listener.stop().await;
}

#[tokio::test]
async fn a_query_may_arrive_one_octet_at_a_time() {
    let listener = open(limits());
    let mut client = connect(&listener).await;
    client.set_nodelay(true).expect("no delay");
    for octet in framed(&query(5, 100)) {
        client.write_all(&[octet]).await.expect("written");
        tokio::task::yield_now().await;
    }
    assert_answered(&receive(&mut client).await.expect("a reply"), 5);
    listener.stop().await;
}

#[tokio::test]
async fn an_empty_message_closes_the_connection_after_the_pending_replies() {
    let listener = open(limits());
    let mut client = connect(&listener).await;
    let stream = [framed(&query(6, 100)), framed(&[])].concat();
    client.write_all(&stream).await.expect("written");
    assert_answered(&receive(&mut client).await.expect("a reply"), 6);
    assert!(is_closed(&mut client).await);
    listener.stop().await;
}

#[tokio::test]
async fn garbage_is_not_answered_and_the_connection_stays_open() {
    let listener = open(limits());
    let mut client = connect(&listener).await;
    let garbage = [framed(&[0xff]), framed(&[0xff; 4000])].concat();
    client.write_all(&garbage).await.expect("written");
    let answer = exchange(&mut client, &query(7, 100)).await;
    assert_answered(&answer.expect("a reply"), 7);
    listener.stop().await;
}

#[tokio::test]
async fn the_longest_message_is_answered() {
    let listener = open(limits());
    let mut client = connect(&listener).await;
    for (id, length) in [(1, 65_535), (2, SHORTEST), (3, 65_535)] {
        let answer = exchange(&mut client, &query(id, length)).await;
        assert_answered(&answer.expect("a reply"), id);
    }
    listener.stop().await;
}

#[tokio::test]
async fn a_half_closed_connection_gets_its_answers() {
    let listener = open(limits());
    let mut client = connect(&listener).await;
    let queries: Vec<u8> = (0..50).flat_map(|id| framed(&query(id, 400))).collect();
    client.write_all(&queries).await.expect("written");
    client.shutdown().await.expect("half closed");
    let mut received = Vec::new();
    in_time(client.read_to_end(&mut received)).await.expect("closed in order");
    let mut left = received.as_slice();
    for id in 0..50 {
        let (length, rest) = left.split_first_chunk().expect("another reply");
        let (reply, rest) = rest.split_at(u16::from_be_bytes(*length).into());
        assert_answered(reply, id);
        left = rest;
    }
    assert!(left.is_empty());
    listener.stop().await;
}

#[tokio::test]
async fn connections_are_limited_per_client_and_in_total() {
    let listener = open(TcpLimits { connections: 3, connections_per_client: 2, ..limits() });
    let mut first = connect(&listener).await;
    let mut second = connect(&listener).await;
    exchange(&mut first, &query(1, 100)).await.expect("served");
    exchange(&mut second, &query(2, 100)).await.expect("served");
    let mut third = connect(&listener).await;
    assert!(is_closed(&mut third).await);

    let mut other = connect_from("127.0.0.2", listener.address).await;
    let answer = exchange(&mut other, &query(3, 100)).await;
    answer.expect("another client has its own limit");
    let mut full = connect_from("127.0.0.3", listener.address).await;
    assert!(is_closed(&mut full).await, "the total limit is three");
    assert_eq!(listener.engine.observer().listeners().tcp_refused.get(), 2);
    assert_eq!(listener.engine.observer().listeners().tcp_connections.get(), 3);

    drop(first);
    // The slot is free as soon as the listener has noticed the end.
    in_time(async {
        loop {
            let mut retry = connect(&listener).await;
            if exchange(&mut retry, &query(4, 100)).await.is_ok() {
                break;
            }
        }
    })
    .await;
    listener.stop().await;
}

async fn connect_from(ip: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(port_zero(ip)).expect("a loopback address");
    in_time(socket.connect(to)).await.expect("connected")
}

#[tokio::test]
async fn a_client_that_never_reads_is_disconnected_while_others_are_served() {
    let listener = open(TcpLimits { idle_timeout: SHORT_TIMEOUT, ..limits() });
    let socket = TcpSocket::new_v4().expect("a socket");
    // Replies are short: a small buffer fills up soon.
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    let mut unread = in_time(socket.connect(listener.address)).await.expect("connected");
    let flood = tokio::spawn(async move {
        let questions = framed(&query(1, SHORTEST)).repeat(100);
        // Ends when the listener closes the connection: the replies fill all buffers in between.
        while unread.write_all(&questions).await.is_ok() {}
    });
    let mut served = 0;
    while !flood.is_finished() {
        let mut client = connect(&listener).await;
        // On a busy machine, this test itself may be slower than the idle timeout.
        if let Ok(answer) = exchange(&mut client, &query(2, 100)).await {
            assert_answered(&answer, 2);
            served += 1;
        }
    }
    assert!(served > 0);
    assert!(listener.engine.observer().listeners().tcp_timeouts.get() >= 1);
    listener.stop().await;
}

#[tokio::test]
async fn single_octets_do_not_extend_the_idle_timeout() {
    let listener = open(TcpLimits { idle_timeout: SHORT_TIMEOUT, ..limits() });
    let mut silent = connect(&listener).await;
    assert!(is_closed(&mut silent).await);

    let mut slow = connect(&listener).await;
    let (mut input, mut output) = slow.split();
    output.write_all(&[0xff, 0xff]).await.expect("written");
    let mut octet = [0];
    in_time(async {
        loop {
            tokio::select! {
                read = input.read(&mut octet) => break assert!(!matches!(read, Ok(1..))),
                () = tokio::time::sleep(SHORT_TIMEOUT / 20) => {
                    let _ = output.write_all(&[0]).await;
                }
            }
        }
    })
    .await;
    assert_eq!(listener.engine.observer().listeners().tcp_timeouts.get(), 2);
    listener.stop().await;
}

#[tokio::test]
async fn a_stopped_listener_closes_its_connections_and_releases_its_port() {
    let listener = open(limits());
    let (address, engine) = (listener.address, listener.engine.clone());
    let mut client = connect(&listener).await;
    exchange(&mut client, &query(1, 100)).await.expect("served");
    listener.stop().await;
    assert!(is_closed(&mut client).await);
    assert_eq!(engine.observer().listeners().tcp_connections.get(), 0);
    bind_tcp(address).expect("the port is free again despite TIME_WAIT");
}
