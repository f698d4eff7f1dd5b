use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};
use proptest::prelude::*;

use super::*;

const BACKENDS: [Backend; 2] = [Backend::Batch, Backend::Plain];

/// Every back-end, with and without segmentation.
const SENDERS: [(Backend, bool); 3] =
    [(Backend::Batch, true), (Backend::Batch, false), (Backend::Plain, false)];

fn bind(address: &str) -> UdpSocket {
    UdpSocket::bind((address, 0)).expect("a free port")
}

/// Receives `count` datagrams, or fewer if they do not arrive within 5 s.
fn receive_all(inbox: &mut Inbox, socket: &UdpSocket, count: usize, with_local: bool) -> Vec<OwnedDatagram> {
    let mut all = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(5);
    while all.len() < count && Instant::now() < deadline {
        match inbox.receive(socket.as_fd(), with_local) {
            Ok(received) => all.extend((0..received).map(|index| OwnedDatagram::of(inbox.get(index)))),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }
    all
}

/// An owned [`Received`].
#[derive(Clone, Debug, PartialEq, Eq)]
struct OwnedDatagram {
    message: Vec<u8>,
    peer: Option<SocketAddr>,
    local: Option<LocalAddress>,
    truncated: bool,
}

impl OwnedDatagram {
    fn of(Received { message, peer, local, truncated }: Received<'_>) -> Self {
        Self { message: message.to_vec(), peer, local, truncated }
    }
}

fn fill(outbox: &mut Outbox, messages: &[Vec<u8>], to: Option<SocketAddr>) {
    for message in messages {
        outbox.buffer().extend_from_slice(message);
        outbox.commit(to, None);
    }
}

#[test]
fn batches_of_datagrams_are_sent_and_received_in_order() {
    for ((backend, segmentation), address) in
        SENDERS.iter().flat_map(|sender| [(*sender, "127.0.0.1"), (*sender, "::1")])
    {
        let (client, server) = (bind(address), bind(address));
        let (mut inbox, mut outbox) =
            (Inbox::new(backend, 16, ANY_DATAGRAM), Outbox::new(backend, segmentation));
        for round in 0..3 {
            let messages: Vec<Vec<u8>> = (0..100_u8).map(|n| vec![n; usize::from(n) * round]).collect();
            fill(&mut outbox, &messages, Some(server.local_addr().unwrap()));
            assert_eq!((outbox.len(), outbox.send(client.as_fd()), outbox.len()), (100, 0, 0));
            let received = receive_all(&mut inbox, &server, 100, false);
            let octets: Vec<&Vec<u8>> = received.iter().map(|datagram| &datagram.message).collect();
            assert_eq!(octets, messages.iter().collect::<Vec<_>>(), "{backend:?} {address}");
            let from = Some(client.local_addr().unwrap());
            assert!(
                received
                    .iter()
                    .all(|datagram| datagram.peer == from && datagram.local.is_none() && !datagram.truncated)
            );
        }
    }
}

#[test]
fn a_wildcard_socket_replies_from_the_queried_address() {
    let addresses: [(&str, &[&str]); 2] =
        [("0.0.0.0", &["127.0.0.1", "127.0.0.2", "127.0.0.3"]), ("::", &["::1"])];
    for ((backend, segmentation), (any, queried)) in
        SENDERS.iter().flat_map(|sender| addresses.map(|row| (*sender, row)))
    {
        let server = bind(any);
        match any {
            "::" => setsockopt(&server, sockopt::Ipv6RecvPacketInfo, &true).unwrap(),
            _ => setsockopt(&server, sockopt::Ipv4PacketInfo, &true).unwrap(),
        }
        let port = server.local_addr().unwrap().port();
        let (mut inbox, mut outbox) = (Inbox::new(backend, 8, 512), Outbox::new(backend, segmentation));
        let clients: Vec<UdpSocket> = queried
            .iter()
            .map(|address| {
                let client = bind(queried[0]);
                // A connected socket receives only datagrams from the address that it is connected to.
                client.connect((*address, port)).unwrap();
                client.send(address.as_bytes()).unwrap();
                client
            })
            .collect();
        for datagram in receive_all(&mut inbox, &server, clients.len(), true) {
            let (address, interface) = datagram.local.expect("the queried address");
            assert_eq!((address.to_string().into_bytes(), interface), (datagram.message.clone(), 0));
            // Twice, so that segmentation is used with a source address too.
            for _ in 0..2 {
                outbox.buffer().extend_from_slice(&datagram.message);
                outbox.commit(datagram.peer, datagram.local);
            }
        }
        assert_eq!(outbox.send(server.as_fd()), 0);
        for (client, address) in clients.iter().zip(queried) {
            client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let mut buffer = [0; 64];
            for _ in 0..2 {
                let length = client.recv(&mut buffer).expect("a reply from the queried address");
                assert_eq!(&buffer[..length], address.as_bytes());
            }
        }
    }
}

#[test]
fn with_local_may_change_from_call_to_call() {
    for backend in BACKENDS {
        let server = bind("0.0.0.0");
        setsockopt(&server, sockopt::Ipv4PacketInfo, &true).unwrap();
        let client = bind("127.0.0.1");
        client.connect(("127.0.0.1", server.local_addr().unwrap().port())).unwrap();
        let mut inbox = Inbox::new(backend, 4, 512);
        for with_local in [true, false, true, true, false] {
            client.send(b"x").unwrap();
            let received = receive_all(&mut inbox, &server, 1, with_local);
            assert_eq!(received[0].local.is_some(), with_local, "{backend:?}");
        }
    }
}

#[test]
fn empty_and_maximum_datagrams_are_sent_and_longer_ones_fail() {
    for (backend, segmentation) in SENDERS {
        let (client, server) = (bind("127.0.0.1"), bind("127.0.0.1"));
        client.connect(server.local_addr().unwrap()).unwrap();
        let (mut inbox, mut outbox) =
            (Inbox::new(backend, 4, ANY_DATAGRAM), Outbox::new(backend, segmentation));
        let messages = [vec![], vec![7; 65_507], vec![8; 65_508], vec![9]];
        fill(&mut outbox, &messages, None);
        assert_eq!(outbox.send(client.as_fd()), 1);
        assert_eq!(outbox.take_error().and_then(|error| error.raw_os_error()), Some(nix::libc::EMSGSIZE));
        let received = receive_all(&mut inbox, &server, 3, false);
        assert_eq!(
            received.iter().map(|datagram| datagram.message.len()).collect::<Vec<_>>(),
            [0, 65_507, 1]
        );
        assert_eq!(received[1].message, messages[1]);
    }
}

#[test]
fn an_unreachable_destination_does_not_affect_other_messages() {
    for (backend, segmentation) in SENDERS {
        let (client, server) = (bind("127.0.0.1"), bind("127.0.0.1"));
        let mut outbox = Outbox::new(backend, segmentation);
        let good = server.local_addr().unwrap();
        // A socket bound to 127.0.0.1 cannot send to another network or address family.
        let bad: [SocketAddr; 2] = ["192.0.2.1:53".parse().unwrap(), "[2001:db8::1]:53".parse().unwrap()];
        for to in [bad[0], good, bad[1], good, good, bad[0]] {
            outbox.buffer().push(1);
            outbox.commit(Some(to), None);
        }
        assert_eq!(outbox.send(client.as_fd()), 3, "{backend:?}");
        assert!(outbox.take_error().is_some() && outbox.take_error().is_none());
        let mut inbox = Inbox::new(backend, 4, 512);
        assert_eq!(receive_all(&mut inbox, &server, 3, false).len(), 3);
    }
}

#[test]
fn calls_do_not_block() {
    for (backend, segmentation) in SENDERS {
        let socket = bind("127.0.0.1");
        let mut inbox = Inbox::new(backend, 4, 512);
        for with_local in [false, true] {
            let error = inbox.receive(socket.as_fd(), with_local).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        }
        assert_eq!(Outbox::new(backend, segmentation).send(socket.as_fd()), 0);
    }
}

#[test]
fn uncommitted_messages_are_not_sent() {
    for (backend, segmentation) in SENDERS {
        let (client, server) = (bind("127.0.0.1"), bind("127.0.0.1"));
        let to = Some(server.local_addr().unwrap());
        let mut outbox = Outbox::new(backend, segmentation);
        outbox.buffer().extend_from_slice(b"one");
        outbox.commit(to, None);
        outbox.buffer().extend_from_slice(b"none");
        outbox.roll_back();
        outbox.buffer().extend_from_slice(b"two");
        outbox.commit(to, None);
        outbox.buffer().extend_from_slice(b"cut");
        assert_eq!(outbox.send(client.as_fd()), 0);
        assert!(outbox.is_empty() && outbox.buffer().is_empty());
        let received = receive_all(&mut Inbox::new(backend, 4, 512), &server, 2, false);
        assert_eq!(
            received.iter().map(|datagram| &datagram.message[..]).collect::<Vec<_>>(),
            [b"one", b"two"]
        );
    }
}

#[test]
fn an_icmp_error_is_reported_once() {
    for backend in BACKENDS {
        let closed = bind("127.0.0.1").local_addr().unwrap();
        let client = bind("127.0.0.1");
        client.connect(closed).unwrap();
        client.send(b"x").unwrap();
        let mut inbox = Inbox::new(backend, 4, 512);
        let mut kind = || inbox.receive(client.as_fd(), false).unwrap_err().kind();
        assert_eq!([kind(), kind()], [io::ErrorKind::ConnectionRefused, io::ErrorKind::WouldBlock]);
    }
}

#[test]
fn receive_buffers_start_at_different_page_offsets() {
    for each in [512, 4096, 4096 - BUFFER_GAP, 65_535] {
        let buffers = ReceiveBuffers::new(4, each);
        assert!(!buffers.stride.is_multiple_of(PAGE) && buffers.stride >= each + BUFFER_GAP, "{each}");
        assert_eq!(buffers.get(3, usize::MAX).len(), each);
    }
}

#[test]
fn segments_to_several_destinations_stay_in_order() {
    let client = bind("127.0.0.1");
    let servers: Vec<UdpSocket> = (0..5).map(|_| bind("127.0.0.1")).collect();
    let mut outbox = Outbox::new(Backend::Batch, true);
    // 200 messages of three lengths, with alternating destinations.
    let message = |n: usize| vec![n as u8; 100 + n / 50 % 3];
    for n in 0..200 {
        outbox.buffer().extend(message(n));
        outbox.commit(Some(servers[n % 5].local_addr().unwrap()), None);
    }
    assert_eq!(outbox.send(client.as_fd()), 0);
    for (index, server) in servers.iter().enumerate() {
        let received = receive_all(&mut Inbox::new(Backend::Batch, 16, 512), server, 40, false);
        let expected: Vec<Vec<u8>> = (index..200).step_by(5).map(message).collect();
        assert_eq!(received.into_iter().map(|datagram| datagram.message).collect::<Vec<_>>(), expected);
    }
}

/// Disables checksums on a socket, which makes segmentation fail.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn disable_checksums(socket: &UdpSocket) {
    use nix::libc;
    use std::os::fd::AsRawFd;
    let (on, size) = (1_i32, size_of::<i32>() as libc::socklen_t);
    let (fd, value) = (socket.as_raw_fd(), std::ptr::from_ref(&on).cast());
    // SAFETY: the option takes an integer, which outlives the call.
    let result = unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_NO_CHECK, value, size) };
    assert_eq!(result, 0);
}

#[cfg(target_os = "linux")]
#[test]
fn without_segmentation_support_messages_are_sent_one_by_one() {
    let (client, server) = (bind("127.0.0.1"), bind("127.0.0.1"));
    disable_checksums(&client);
    let to = Some(server.local_addr().unwrap());
    let mut outbox = Outbox::new(Backend::Batch, true);
    for _ in 0..2 {
        let messages: Vec<Vec<u8>> = [300, 20, 20, 20, 7, 1400].map(|length| vec![1; length]).to_vec();
        fill(&mut outbox, &messages, to);
        assert_eq!(outbox.send(client.as_fd()), 0);
        let received = receive_all(&mut Inbox::new(Backend::Batch, 16, 2048), &server, 6, false);
        assert_eq!(received.into_iter().map(|datagram| datagram.message).collect::<Vec<_>>(), messages);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn back_ends_behave_in_the_same_way(
        lengths in prop::collection::vec(prop_oneof![0..700_usize, 60..63_usize], 1..90),
        buffers in 1..20_usize,
        each in 1..600_usize,
    ) {
        let messages: Vec<Vec<u8>> = lengths.iter().map(|length| vec![*length as u8; *length]).collect();
        let client = bind("127.0.0.1");
        let server = bind("127.0.0.1");
        let run = |(backend, segmentation)| {
            let (mut inbox, mut outbox) = (Inbox::new(backend, buffers, each), Outbox::new(backend, segmentation));
            fill(&mut outbox, &messages, Some(server.local_addr().unwrap()));
            assert_eq!(outbox.send(client.as_fd()), 0);
            receive_all(&mut inbox, &server, messages.len(), false)
        };
        let [segmented, batch, plain] = SENDERS.map(run);
        prop_assert_eq!(&batch, &plain);
        prop_assert_eq!(&batch, &segmented);
        for (received, sent) in batch.iter().zip(&messages) {
            prop_assert_eq!(&received.message, &sent[..sent.len().min(each)]);
            prop_assert_eq!(received.truncated, sent.len() > each);
        }
        prop_assert_eq!(batch.len(), messages.len());
    }
}
