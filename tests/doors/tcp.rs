use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use plustwo::serve::bind::bind_tcp;
use plustwo::serve::tcp::{TcpDoor, TcpLimits, TcpSlots};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;

use crate::{Running, door, engine, port_zero, query, reply, soon, stopped};

fn limits() -> TcpLimits {
    TcpLimits {
        connections: 100,
        connections_per_client: 100,
        queries_in_flight: 16,
        idle_timeout: Duration::from_secs(600),
    }
}

/// Short enough that tests which wait for it are quick; none asserts how long it takes.
const SHORT: Duration = Duration::from_millis(200);

fn open(limits: TcpLimits) -> Running {
    let listener = bind_tcp(port_zero("127.0.0.1")).expect("a free port");
    let address = listener.local_addr().expect("an address");
    let slots = Arc::new(TcpSlots::new());
    let tcp = TcpDoor::new(listener, door(), limits, slots).expect("a door");
    let engine = engine();
    let (stop, signal) = oneshot::channel();
    let task = tokio::spawn(tcp.run(engine.clone(), stopped(signal)));
    Running { address, engine, stop, task }
}

async fn connect(door: &Running) -> TcpStream {
    let stream = soon(TcpStream::connect(door.address)).await;
    stream.expect("connected")
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).expect("fits");
    [&length.to_be_bytes()[..], message].concat()
}

async fn receive(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    soon(async {
        let length = stream.read_u16().await?;
        let mut message = vec![0; length.into()];
        stream.read_exact(&mut message).await?;
        Ok(message)
    })
    .await
}

async fn ask(stream: &mut TcpStream, message: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(&framed(message)).await?;
    receive(stream).await
}

/// True when the other side closes, in order or not, without another octet.
async fn closes(stream: &mut TcpStream) -> bool {
    let mut octet = [0];
    !matches!(soon(stream.read(&mut octet)).await, Ok(1..))
}

#[tokio::test]
async fn a_hundred_queries_in_one_write_are_all_answered() {
    let door = open(limits());
    let mut client = connect(&door).await;
    let queries: Vec<u8> = (0..100).flat_map(|id| framed(&query(id, 45))).collect();
    client.write_all(&queries).await.expect("written");
    let mut answered = Vec::new();
    for _ in 0..100 {
        answered.push(receive(&mut client).await.expect("a reply"));
    }
    answered.sort();
    let expected: Vec<Vec<u8>> = (0..100).map(|id| reply(id, 45)).collect();
    assert!(answered == expected);
    door.stop().await;
}

#[tokio::test]
async fn a_query_may_come_one_octet_at_a_time() {
    let door = open(limits());
    let mut client = connect(&door).await;
    client.set_nodelay(true).expect("no delay");
    for octet in framed(&query(5, 40)) {
        client.write_all(&[octet]).await.expect("written");
        tokio::task::yield_now().await;
    }
    assert_eq!(receive(&mut client).await.expect("a reply"), reply(5, 40));
    door.stop().await;
}

#[tokio::test]
async fn a_message_without_octets_closes_after_the_replies_before_it() {
    let door = open(limits());
    let mut client = connect(&door).await;
    let stream = [framed(&query(6, 40)), framed(&[])].concat();
    client.write_all(&stream).await.expect("written");
    assert_eq!(receive(&mut client).await.expect("a reply"), reply(6, 40));
    assert!(closes(&mut client).await);
    door.stop().await;
}

#[tokio::test]
async fn garbage_is_not_answered_and_the_connection_stays() {
    let door = open(limits());
    let mut client = connect(&door).await;
    let garbage = [framed(&[0xff]), framed(&[0xff; 4000])].concat();
    client.write_all(&garbage).await.expect("written");
    let answer = ask(&mut client, &query(7, 40)).await;
    assert_eq!(answer.expect("a reply"), reply(7, 40));
    door.stop().await;
}

#[tokio::test]
async fn the_longest_message_is_answered() {
    let door = open(limits());
    let mut client = connect(&door).await;
    for (id, length) in [(1, 65_535), (2, 12), (3, 65_535)] {
        let answer = ask(&mut client, &query(id, length)).await;
        assert!(answer.expect("a reply") == reply(id, length));
    }
    door.stop().await;
}

#[tokio::test]
async fn a_half_closed_connection_gets_its_answers() {
    let door = open(limits());
    let mut client = connect(&door).await;
    let queries: Vec<u8> = (0..50).flat_map(|id| framed(&query(id, 400))).collect();
    client.write_all(&queries).await.expect("written");
    client.shutdown().await.expect("half closed");
    let mut received = Vec::new();
    soon(client.read_to_end(&mut received)).await.expect("closed in order");
    let expected: Vec<u8> = (0..50).flat_map(|id| framed(&reply(id, 400))).collect();
    assert!(received == expected);
    door.stop().await;
}

#[tokio::test]
async fn one_client_cannot_take_more_than_its_share() {
    let door = open(TcpLimits { connections: 3, connections_per_client: 2, ..limits() });
    let mut first = connect(&door).await;
    let mut second = connect(&door).await;
    ask(&mut first, &query(1, 40)).await.expect("served");
    ask(&mut second, &query(2, 40)).await.expect("served");
    let mut third = connect(&door).await;
    assert!(closes(&mut third).await);

    let mut other = connect_from("127.0.0.2", door.address).await;
    let answer = ask(&mut other, &query(3, 40)).await;
    answer.expect("another client has a share of its own");
    let mut full = connect_from("127.0.0.3", door.address).await;
    assert!(closes(&mut full).await, "three in all");
    assert_eq!(door.engine.doors().tcp_refused.get(), 2);
    assert_eq!(door.engine.doors().tcp_connections.get(), 3);

    drop(first);
    // The place is free as soon as the door has noticed.
    soon(async {
        loop {
            let mut again = connect(&door).await;
            if ask(&mut again, &query(4, 40)).await.is_ok() {
                break;
            }
        }
    })
    .await;
    door.stop().await;
}

async fn connect_from(ip: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(port_zero(ip)).expect("a loopback address");
    soon(socket.connect(to)).await.expect("connected")
}

#[tokio::test]
async fn a_client_that_never_reads_is_dropped_while_another_is_served() {
    let door = open(TcpLimits { idle_timeout: SHORT, ..limits() });
    let mut deaf = connect(&door).await;
    let shouting = tokio::spawn(async move {
        let question = framed(&query(1, 60_000));
        // Ends when the door cuts it off: its replies fill the buffers between, which are finite.
        while deaf.write_all(&question).await.is_ok() {}
    });
    let mut served = 0;
    while !shouting.is_finished() {
        let mut client = connect(&door).await;
        // On a busy machine this test may itself be slower than the idle timeout.
        if let Ok(answer) = ask(&mut client, &query(2, 40)).await {
            assert_eq!(answer, reply(2, 40));
            served += 1;
        }
    }
    assert!(served > 0);
    assert!(door.engine.doors().tcp_timeouts.get() >= 1);
    door.stop().await;
}

#[tokio::test]
async fn a_connection_is_idle_however_it_dribbles() {
    let door = open(TcpLimits { idle_timeout: SHORT, ..limits() });
    let mut silent = connect(&door).await;
    assert!(closes(&mut silent).await);

    let mut dribbling = connect(&door).await;
    let (mut input, mut output) = dribbling.split();
    output.write_all(&[0xff, 0xff]).await.expect("written");
    let mut octet = [0];
    soon(async {
        loop {
            tokio::select! {
                read = input.read(&mut octet) => break assert!(!matches!(read, Ok(1..))),
                () = tokio::time::sleep(SHORT / 20) => {
                    let _ = output.write_all(&[0]).await;
                }
            }
        }
    })
    .await;
    assert_eq!(door.engine.doors().tcp_timeouts.get(), 2);
    door.stop().await;
}

#[tokio::test]
async fn a_stopped_door_closes_its_connections_and_leaves_its_port() {
    let door = open(limits());
    let (address, engine) = (door.address, door.engine.clone());
    let mut client = connect(&door).await;
    ask(&mut client, &query(1, 40)).await.expect("served");
    door.stop().await;
    assert!(closes(&mut client).await);
    assert_eq!(engine.doors().tcp_connections.get(), 0);
    bind_tcp(address).expect("the port is free again, TIME_WAIT or not");
}
