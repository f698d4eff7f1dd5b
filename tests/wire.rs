//! Tests of the wire protocol: messages built octet by octet and sent over real sockets to a daemon in this
//! process.
//!
//! If no reply is expected, another query is sent afterwards, and the first reply received must be for that
//! one.

mod lab;

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::{OpCode, ResponseCode};
use lab::{
    A, AAAA, ANY, AXFR, CD, CH, CLIENT_SUBNET, CNAME, COOKIE, HS, IXFR, PADDING, PATHS, Packet, RA, RD,
    Reply, SNS, SNS_ADDRESSES, TXT, opt, wire,
};
use plustwo::daemon::Daemon;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// INFO-CODE 18, Prohibited (RFC 8914 4.19).
const PROHIBITED: u16 = 18;

/// INFO-CODE 21, Not Supported (RFC 8914 4.22).
const NOT_SUPPORTED: u16 = 21;

/// Rcode BADVERS, as a number: `hickory_proto` uses the name of rcode 16 in TSIG (RFC 6895 2.3).
const BADVERS: u16 = 16;

/// A name with more A records than fit in a UDP reply.
const MANY: &str = "many.big.internal";

/// Number of addresses of [`MANY`].
const MANY_COUNT: usize = 200;

/// A running daemon.
struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    /// Stops the daemon, and waits until it has stopped.
    async fn stop(self) {
        let _ = self.stop.send(true);
        within_a_minute(self.task).await.expect("the daemon does not panic");
    }

    /// Sends a message over UDP from 127.0.0.1 and returns the reply.
    async fn udp(&self, message: &[u8]) -> Reply {
        self.udp_from("127.0.0.1", message).await
    }

    /// Sends a message over UDP from a loopback address and returns the reply.
    async fn udp_from(&self, ip: &str, message: &[u8]) -> Reply {
        let client = UdpSocket::bind((ip, 0)).await.expect("a loopback address");
        client.send_to(message, self.address).await.expect("sent");
        let reply = Reply::read(&receive(&client).await);
        assert_eq!(reply.raw[..2], message[..2], "message ID");
        reply
    }

    /// Sends a message over TCP from 127.0.0.1 and returns the reply.
    async fn tcp(&self, message: &[u8]) -> Reply {
        let socket = TcpSocket::new_v4().expect("a socket");
        let mut stream = within_a_minute(socket.connect(self.address)).await.expect("connected");
        let length = u16::try_from(message.len()).expect("fits");
        stream.write_all(&[&length.to_be_bytes()[..], message].concat()).await.expect("written");
        let length = within_a_minute(stream.read_u16()).await.expect("a reply");
        let mut reply = vec![0; length.into()];
        within_a_minute(stream.read_exact(&mut reply)).await.expect("a complete reply");
        Reply::read(&reply)
    }

    /// Asserts that none of these messages is answered over UDP, but a query sent after them is.
    async fn assert_discarded(&self, messages: &[Vec<u8>]) {
        let client = UdpSocket::bind(("127.0.0.1", 0)).await.expect("a client");
        for message in messages {
            client.send_to(message, self.address).await.expect("sent");
        }
        client.send_to(&lab::query(0xbeef, 100), self.address).await.expect("sent");
        lab::assert_answered(&receive(&client).await, 0xbeef);
    }
}

async fn receive(client: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65_535];
    let length = within_a_minute(client.recv(&mut buffer)).await.expect("a reply");
    buffer.truncate(length);
    buffer
}

/// Returns the output of `future`, or fails the test if it takes a minute.
async fn within_a_minute<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("completes within a minute")
}

/// Starts a daemon with the lab, in which one name has [`MANY_COUNT`] addresses.
async fn start() -> Running {
    start_with("", "").await
}

/// Like [`start`], with `server` added to the `[server]` section and `more` appended to the configuration.
async fn start_with(server: &str, more: &str) -> Running {
    let addresses: Vec<String> = (0..MANY_COUNT).map(|last| format!("\"10.0.2.{last}\"")).collect();
    let zone = format!(
        "[[hosted_zone]]\nname = \"big.internal\"\nvpcs = [\"vpc-lab\"]\nrecords = [{{ name = \"many\", type = \"A\", \
         ttl = 60, values = [{}] }}]\n{more}",
        addresses.join(", ")
    );
    let text = lab::lab(&zone)
        .replace("127.0.0.1:9530", "127.0.0.1:0")
        .replace("127.0.0.1:5300", "127.0.0.1:0")
        .replace("[server]\n", &format!("[server]\n{server}\n"));
    let (loaded, world) = lab::load(&text);
    let daemon = Daemon::start(None, &loaded, world).expect("ports are free");
    let (_, address) = daemon.addresses()[0].clone();
    let (stop, stopped) = watch::channel(false);
    Running { address, stop, task: tokio::spawn(daemon.run(stopped)) }
}

/// Returns the data of a client subnet option in a query, for an IPv4 prefix.
fn subnet(address: [u8; 4], length: u8) -> Vec<u8> {
    [&[0, 1, length, 0], &address[..usize::from(length).div_ceil(8)]].concat()
}

// ---- EDNS -------------------------------------------------------------------------------------------

#[tokio::test]
async fn another_edns_version_is_badvers_with_opt() {
    let daemon = start().await;
    // The format of options in other EDNS versions is unknown, so they are not parsed.
    for data in [&[][..], &[0xff; 3]] {
        let reply = daemon.udp(&Packet::query(SNS, A).additional(&opt(1232, 1, data)).build()).await;
        assert_eq!(u16::from(reply.rcode()), BADVERS);
        assert_eq!(reply.raw[3] & 15, 0, "the lower four bits of BADVERS");
        assert_eq!(reply.counts(), [1, 0, 0, 1]);
        let opt = reply.message.edns.as_ref().expect("OPT");
        assert_eq!(opt.version(), 0);
        assert!(reply.options().is_empty(), "no option with BADVERS");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_malformed_opt_is_formerr_without_opt() {
    let daemon = start().await;
    let query = || Packet::query(SNS, A);
    let plain = opt(1232, 0, &[]);
    let with_owner = [&wire("example")[..], &plain[1..]].concat();
    // The owner is the root, as a pointer to the end of the QNAME.
    let at = u8::try_from(12 + wire(SNS).len() - 1).expect("fits");
    let with_pointer = [&[0xc0, at], &plain[1..]].concat();
    let in_the_answer = Packet::query(SNS, A).additional(&plain).counts([1, 1, 0, 0]);
    let cases = [
        ("two", query().additional(&plain).additional(&plain)),
        ("one with an owner", query().additional(&with_owner)),
        ("one with a compressed owner", query().additional(&with_pointer)),
        ("one in the answer section", in_the_answer),
        ("a truncated option", query().additional(&opt(1232, 0, &[0, 10, 0, 8, 1, 2]))),
        ("a truncated option header", query().additional(&opt(1232, 0, &[0, 10, 0]))),
        ("RDLENGTH exceeds the data", query().additional(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 9, 1])),
    ];
    for (what, packet) in cases {
        let reply = daemon.udp(&packet.build()).await;
        assert_eq!(reply.rcode(), ResponseCode::FormErr, "{what}");
        assert_eq!(reply.counts(), [1, 0, 0, 0], "{what}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_malformed_client_subnet_is_formerr() {
    let daemon = start().await;
    let cases: [(&str, &[u8]); 8] = [
        ("empty", &[]),
        ("truncated", &[0, 1, 24]),
        ("too few octets", &[0, 1, 24, 0, 10, 0]),
        ("too many octets", &[0, 1, 24, 0, 10, 0, 1, 0]),
        ("bits after the prefix", &[0, 1, 20, 0, 10, 0, 1]),
        ("a prefix too long", &[0, 1, 33, 0, 10, 0, 1, 7, 0]),
        ("an unknown address family", &[0, 9, 8, 0, 10]),
        ("a scope in a query", &[0, 1, 24, 24, 10, 0, 1]),
    ];
    for (what, data) in cases {
        let reply = daemon.udp(&Packet::query(SNS, A).opt(1232, &[(CLIENT_SUBNET, data)]).build()).await;
        assert_eq!(reply.rcode(), ResponseCode::FormErr, "{what}");
        assert_eq!(reply.counts()[1], 0, "{what}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn without_opt_the_reply_has_no_opt_and_at_most_512_octets() {
    let daemon = start().await;
    for (name, truncated) in [(SNS, false), ("nothing.corp.internal", false), (MANY, true)] {
        let reply = daemon.udp(&Packet::query(name, A).build()).await;
        assert!(!reply.has_opt(), "{name}");
        assert_eq!(reply.counts()[3], 0, "{name}");
        assert!(reply.raw.len() <= 512, "{name}: {}", reply.raw.len());
        assert_eq!(reply.is_truncated(), truncated, "{name}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn unknown_options_and_cookies_are_ignored() {
    let daemon = start().await;
    let cookie: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8];
    let option_lists: [&[(u16, &[u8])]; 4] = [
        &[(COOKIE, cookie)],
        // A cookie of invalid length (RFC 7873 5.2.2): a server that ignores cookies ignores it too.
        &[(COOKIE, &[1])],
        &[(64_999, b"data"), (PADDING, &[0; 100]), (0, &[])],
        &[(64_999, b"7".as_slice()); 100],
    ];
    for options in option_lists {
        let reply = daemon.udp(&Packet::query(SNS, A).opt(1232, options).build()).await;
        assert_eq!(reply.addresses(), SNS_ADDRESSES);
        let codes: Vec<u16> = reply.options().into_iter().map(|(code, _)| code).collect();
        assert_eq!(codes, [lab::EDE], "{options:?}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn every_udp_reply_fits_the_requested_payload_size() {
    let daemon = start().await;
    let names = [SNS, MANY, "s3.ap-northeast-1.amazonaws.com", "nothing.corp.internal", "sealed.example"];
    for size in [0, 1, 511, 512, 513, 600, 900, 1231, 1232, 1233, 4096, 65_535] {
        let limit = usize::from(size).clamp(512, 1232);
        for name in names {
            let reply = daemon.udp(&Packet::query(name, A).opt(size, &[(PATHS, &[])]).build()).await;
            assert!(reply.raw.len() <= limit, "{name} at {size}: {}", reply.raw.len());
            assert!(reply.has_opt(), "{name} at {size}");
            assert_eq!(reply.is_truncated(), name == MANY, "{name} at {size}");
        }
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_large_answer_is_truncated_with_opt_and_complete_over_tcp() {
    let daemon = start().await;
    let question = Packet::query(MANY, A).opt(1232, &[]).build();
    let truncated = daemon.udp(&question).await;
    assert!(truncated.is_truncated());
    assert!(truncated.has_opt());
    assert_eq!(truncated.counts(), [1, 0, 0, 1], "an RRset is never sent in part (RFC 2181 9)");
    let complete = daemon.tcp(&question).await;
    assert!(!complete.is_truncated());
    assert_eq!(complete.message.answers.len(), MANY_COUNT);
    daemon.stop().await;
}

// ---- header and question ----------------------------------------------------------------------------

#[tokio::test]
async fn other_opcodes_are_not_implemented() {
    let daemon = start().await;
    for (number, opcode) in [(2, OpCode::Status), (4, OpCode::Notify), (5, OpCode::Update)] {
        let with_opt = Packet::query("corp.internal", 6).opcode(number).opt(1232, &[]);
        let reply = daemon.udp(&with_opt.build()).await;
        assert_eq!(reply.rcode(), ResponseCode::NotImp, "{opcode:?}");
        assert_eq!(reply.message.metadata.op_code, opcode);
        assert_eq!(reply.counts(), [1, 0, 0, 1], "{opcode:?}");
        let empty = [&[0, 9, (number << 3) as u8, 0][..], &[0; 8]].concat();
        let reply = daemon.udp(&empty).await;
        assert_eq!(reply.rcode(), ResponseCode::NotImp, "{opcode:?} without a question");
        assert_eq!(reply.message.metadata.op_code, opcode);
        assert_eq!(reply.counts(), [0; 4]);
    }
    // A record in the answer section, as in a NOTIFY (RFC 1996 3.7).
    let soa = [&wire("corp.internal")[..], &[0, 6, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
    let notify = Packet::query("corp.internal", 6).opcode(4).additional(&soa).counts([1, 1, 0, 0]);
    assert_eq!(daemon.udp(&notify.build()).await.rcode(), ResponseCode::NotImp);
    daemon.stop().await;
}

#[tokio::test]
async fn messages_without_exactly_one_question_are_formerr() {
    let daemon = start().await;
    let none = [&[0, 9, 1, 0][..], &[0; 8]].concat();
    let reply = daemon.udp(&none).await;
    assert_eq!(reply.rcode(), ResponseCode::FormErr);
    assert_eq!(reply.counts(), [0; 4]);
    let second = [&wire("corp.internal")[..], &[0, 1, 0, 1]].concat();
    let two = Packet::query(SNS, A).additional(&second).counts([2, 0, 0, 0]);
    let reply = daemon.udp(&two.build()).await;
    assert_eq!(reply.rcode(), ResponseCode::FormErr);
    assert_eq!(reply.counts(), [0; 4]);
    // QDCOUNT is 2, but there is only one question.
    let reply = daemon.udp(&Packet::query(SNS, A).counts([2, 0, 0, 0]).build()).await;
    assert_eq!(reply.rcode(), ResponseCode::FormErr);
    daemon.stop().await;
}

#[tokio::test]
async fn responses_and_short_packets_are_discarded() {
    let daemon = start().await;
    let response = Packet::query(SNS, A).flags(0x8180).build();
    let mut messages = vec![response];
    messages.extend((0..12).map(|length| vec![0; length]));
    daemon.assert_discarded(&messages).await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_malformed_name_is_formerr_without_a_question() {
    let daemon = start().await;
    let long_label = wire(&"a".repeat(64));
    let long_name = wire(&vec!["a".repeat(63); 4].join("."));
    assert_eq!(long_name.len(), 257);
    let cases: [(&str, &[u8]); 6] = [
        ("a pointer to itself", &[0xc0, 12]),
        ("a pointer to the header", &[1, b'a', 0xc0, 0]),
        ("a forward pointer", &[0xc0, 0xff]),
        ("another label type", &[0x41, b'a', 0]),
        ("a label of 64 octets", &long_label),
        ("a name of 257 octets", &long_name),
    ];
    for (what, name) in cases {
        let reply = daemon.udp(&Packet::query_wire(name, A, lab::IN).build()).await;
        assert_eq!(reply.rcode(), ResponseCode::FormErr, "{what}");
        assert_eq!(reply.counts(), [0; 4], "{what}");
    }
    // A query truncated anywhere after the header is malformed.
    let whole = Packet::query(SNS, A).opt(1232, &[]).build();
    for length in 12..whole.len() {
        assert_eq!(daemon.udp(&whole[..length]).await.rcode(), ResponseCode::FormErr, "{length} octets");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn the_longest_name_and_label_are_answered() {
    let daemon = start().await;
    let longest = [&wire(&vec!["a".repeat(63); 3].join("."))[..192], &[61], &[b'b'; 61], &[0]].concat();
    assert_eq!(longest.len(), 255);
    let reply = daemon.udp(&Packet::query_wire(&longest, A, lab::IN).opt(512, &[]).build()).await;
    assert_eq!(reply.rcode(), ResponseCode::NXDomain);
    assert_eq!(reply.raw[12..267], longest);
    daemon.stop().await;
}

#[tokio::test]
async fn the_case_of_the_question_is_echoed() {
    let daemon = start().await;
    let name = "sNs.Ap-NoRtHeAsT-1.aMaZoNaWs.CoM";
    let reply = daemon.udp(&Packet::query(name, A).build()).await;
    assert_eq!(reply.raw[12..12 + wire(name).len()], wire(name));
    assert_eq!(reply.addresses(), SNS_ADDRESSES);
    daemon.stop().await;
}

#[tokio::test]
async fn only_rd_and_cd_are_copied_from_the_clients_flags() {
    let daemon = start().await;
    // The client sets AA, TC, RD, Z, AD and CD. `Reply::read` checks the bits that must be clear.
    let reply = daemon.udp(&Packet::query(SNS, A).flags(0x0770).opt(1232, &[]).build()).await;
    assert_eq!(reply.rcode(), ResponseCode::NoError);
    assert!(!reply.is_truncated());
    assert_eq!(reply.addresses(), SNS_ADDRESSES);
    assert_eq!(reply.flags() & (RD | CD), RD | CD);
    // Also from the packet cache, whichever query came first (RFC 4035 3.2.2).
    for flags in [RD, RD | CD, RD, RD | CD, RD | CD, RD] {
        let reply = daemon.udp(&Packet::query(SNS, A).flags(flags).build()).await;
        assert_eq!(reply.flags() & (RD | CD), flags);
        assert_eq!(reply.addresses(), SNS_ADDRESSES);
    }
    daemon.stop().await;
}

#[tokio::test]
async fn ra_is_clear_for_clients_that_are_not_allowed_and_messages_that_are_not_queries() {
    let daemon = start_with("allow = [\"127.0.50.0/24\"]", "").await;
    let denied = daemon.udp_from("127.0.60.1", &Packet::query(SNS, A).build()).await;
    assert_eq!((denied.rcode(), denied.flags() & RA), (ResponseCode::Refused, 0));
    let without_rd = daemon.udp(&Packet::query(SNS, A).flags(CD).build()).await;
    assert_eq!((without_rd.rcode(), without_rd.flags() & (RA | CD)), (ResponseCode::Refused, RA | CD));
    let malformed = daemon.udp(&Packet::query(SNS, 41).flags(RD | CD).build()).await;
    assert_eq!((malformed.rcode(), malformed.flags() & (RA | RD | CD)), (ResponseCode::FormErr, RD | CD));
    let meta = daemon.udp(&Packet::query(SNS, 249).flags(RD | CD).build()).await;
    assert_eq!((meta.rcode(), meta.flags() & (RA | RD | CD)), (ResponseCode::NotImp, RD | CD));
    daemon.stop().await;
}

#[tokio::test]
async fn queries_without_rd_are_refused() {
    let daemon = start().await;
    for qtype in [ANY, AAAA, TXT, 65_280] {
        let reply = daemon.udp(&Packet::query(SNS, qtype).flags(0).opt(1232, &[]).build()).await;
        assert_eq!(reply.rcode(), ResponseCode::Refused, "type {qtype}");
        assert_eq!(reply.edes()[0].0, NOT_SUPPORTED, "type {qtype}");
    }
    let reply = daemon.udp(&Packet::query(SNS, A).flags(0).opt(1232, &[]).build()).await;
    assert_eq!(reply.rcode(), ResponseCode::Refused);
    assert!(!reply.message.metadata.recursion_desired);
    assert_eq!(reply.counts(), [1, 0, 0, 1]);
    assert_eq!(reply.edes()[0].0, NOT_SUPPORTED);
    daemon.stop().await;
}

// ---- types and classes ------------------------------------------------------------------------------

#[tokio::test]
async fn zone_transfers_are_refused() {
    let daemon = start().await;
    for qtype in [AXFR, IXFR] {
        let question = Packet::query("corp.internal", qtype).opt(1232, &[]).build();
        for reply in [daemon.udp(&question).await, daemon.tcp(&question).await] {
            assert_eq!(reply.rcode(), ResponseCode::Refused);
            assert_eq!(reply.counts(), [1, 0, 0, 1]);
            assert_eq!(reply.edes()[0].0, NOT_SUPPORTED);
        }
    }
    // An IXFR query has the client's SOA record in its authority section (RFC 1995 3), which is not an error.
    let soa = [&wire("corp.internal")[..], &[0, 6, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
    let ixfr = Packet::query("corp.internal", IXFR).additional(&soa).counts([1, 0, 1, 0]);
    assert_eq!(daemon.udp(&ixfr.build()).await.rcode(), ResponseCode::Refused);
    daemon.stop().await;
}

#[tokio::test]
async fn any_is_answered_with_the_existing_records() {
    let daemon = start().await;
    let reply = daemon.udp(&Packet::query(SNS, ANY).opt(1232, &[]).build()).await;
    assert_eq!(reply.rcode(), ResponseCode::NoError);
    for address in SNS_ADDRESSES {
        assert!(reply.data().iter().any(|data| data == address), "{:?}", reply.data());
    }
    let reply = daemon.udp(&Packet::query("queue.corp.internal", ANY).build()).await;
    let types: Vec<u16> = reply.message.answers.iter().map(|record| record.record_type().into()).collect();
    assert_eq!(types, [CNAME], "ANY returns the CNAME and does not follow it");
    let reply = daemon.udp(&Packet::query("nothing.corp.internal", ANY).build()).await;
    assert_eq!(reply.rcode(), ResponseCode::NXDomain);
    daemon.stop().await;
}

#[tokio::test]
async fn meta_types_are_rejected() {
    let daemon = start().await;
    let reply = daemon.udp(&Packet::query(SNS, 41).build()).await;
    assert_eq!(reply.rcode(), ResponseCode::FormErr, "OPT is not a query type");
    for qtype in [249, 250, 253, 254] {
        let reply = daemon.udp(&Packet::query(SNS, qtype).build()).await;
        assert_eq!(reply.rcode(), ResponseCode::NotImp, "type {qtype}");
    }
    daemon.stop().await;
}

/// RFC 6895 3.1: 0 and 65535 are reserved; 65280 to 65534 are for private use.
#[tokio::test]
async fn reserved_types_are_refused_and_private_use_types_are_answered() {
    let daemon = start().await;
    for qtype in [0, 65_535] {
        let question = Packet::query(SNS, qtype).opt(1232, &[]).build();
        for reply in [daemon.udp(&question).await, daemon.tcp(&question).await] {
            assert_eq!(reply.rcode(), ResponseCode::Refused, "type {qtype}");
            assert_eq!(reply.counts(), [1, 0, 0, 1], "type {qtype}");
            assert_eq!(reply.edes()[0].0, NOT_SUPPORTED, "type {qtype}");
        }
    }
    for qtype in [65_280, 65_534, 666] {
        let reply = daemon.udp(&Packet::query(SNS, qtype).build()).await;
        assert_eq!(reply.rcode(), ResponseCode::NoError, "type {qtype}");
        assert_eq!(reply.counts(), [1, 0, 1, 0], "type {qtype}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn chaos_queries_return_information_about_the_resolver_and_names() {
    let daemon = start().await;
    let chaos = |name: &str| Packet::query_wire(&wire(name), TXT, CH).build();
    let reply = daemon.udp_from("127.0.3.1", &chaos("whoami.plustwo")).await;
    assert_eq!(reply.data(), ["view=vpc-lab", "place=subnet-isolated-a", "client=127.0.3.1/32"]);
    assert!(!reply.has_opt());
    let reply = daemon.udp(&chaos("VERSION.bind")).await;
    assert_eq!(reply.data(), [concat!("plustwo ", env!("CARGO_PKG_VERSION"))]);
    assert_eq!(reply.message.answers[0].ttl, 0);
    let reply = daemon.udp(&chaos(SNS)).await;
    let texts = reply.data();
    assert!(texts[0].starts_with("type=A rcode=NOERROR source=endpoint from=subnet-private-a"), "{texts:?}");
    assert!(texts[1].starts_with("egress=interface-endpoint via=vpce-sns"), "{texts:?}");
    let reply = daemon.udp(&Packet::query_wire(&wire("version.bind"), A, CH).build()).await;
    assert_eq!(reply.rcode(), ResponseCode::Refused);
    daemon.stop().await;
}

#[tokio::test]
async fn other_classes_are_refused() {
    let daemon = start().await;
    for class in [HS, 255, 254, 0, 65_535, 65_280] {
        let reply = daemon.udp(&Packet::query_wire(&wire(SNS), A, class).opt(1232, &[]).build()).await;
        assert_eq!(reply.rcode(), ResponseCode::Refused, "class {class}");
        assert_eq!(reply.counts(), [1, 0, 0, 1], "class {class}");
        assert_eq!(reply.edes()[0].0, NOT_SUPPORTED, "class {class}");
    }
    daemon.stop().await;
}

// ---- clients ----------------------------------------------------------------------------------------

#[tokio::test]
async fn a_trusted_client_subnet_is_used_and_echoed_with_its_length_as_scope() {
    let daemon = start().await;
    for (address, length, location) in [
        ([10, 0, 3, 7], 32, "subnet-isolated-a"),
        ([10, 0, 2, 0], 24, "subnet-private-c"),
        ([192, 168, 10, 0], 25, "site-office"),
    ] {
        let data = subnet(address, length);
        let reply = daemon.udp(&Packet::query(SNS, A).opt(1232, &[(CLIENT_SUBNET, &data)]).build()).await;
        let mut echoed = data.clone();
        echoed[3] = length;
        assert_eq!(reply.option(CLIENT_SUBNET), Some(echoed));
        assert!(reply.edes()[0].1.contains(&format!("from={location}")), "{:?}", reply.edes());
    }
    daemon.stop().await;
}

#[tokio::test]
async fn an_untrusted_client_subnet_is_neither_used_nor_echoed() {
    let daemon = start_with("trust_client_subnet = [\"127.0.0.1/32\"]", "").await;
    let data = subnet([10, 0, 3, 7], 32);
    let question = Packet::query(SNS, A).opt(1232, &[(CLIENT_SUBNET, &data)]).build();
    let reply = daemon.udp_from("127.0.0.2", &question).await;
    assert_eq!(reply.option(CLIENT_SUBNET), None);
    assert!(reply.edes()[0].1.contains("from=subnet-private-a"), "{:?}", reply.edes());
    let trusted = daemon.udp(&question).await;
    assert!(trusted.option(CLIENT_SUBNET).is_some());
    daemon.stop().await;
}

#[tokio::test]
async fn a_client_subnet_that_spans_two_locations_is_refused_with_both_listed() {
    let daemon = start().await;
    // 10.0.2.0/23 contains 10.0.2.0/24 and 10.0.3.0/24.
    let data = subnet([10, 0, 2, 0], 23);
    let reply = daemon.udp(&Packet::query(SNS, A).opt(1232, &[(CLIENT_SUBNET, &data)]).build()).await;
    assert_eq!(reply.rcode(), ResponseCode::Refused);
    assert_eq!(reply.counts(), [1, 0, 0, 1]);
    let (code, text) = reply.edes().remove(0);
    assert_eq!(code, PROHIBITED);
    assert!(text.contains("subnet-private-c") && text.contains("subnet-isolated-a"), "{text}");
    daemon.stop().await;
}

#[tokio::test]
async fn a_client_subnet_of_length_0_is_ignored() {
    let daemon = start().await;
    for data in [&[0, 1, 0, 0], &[0, 2, 0, 0], &[0, 0, 0, 0]] {
        let reply = daemon.udp(&Packet::query(SNS, A).opt(1232, &[(CLIENT_SUBNET, data)]).build()).await;
        assert_eq!(reply.addresses(), SNS_ADDRESSES);
        assert!(reply.edes()[0].1.contains("from=subnet-private-a"), "{:?}", reply.edes());
        assert_eq!(reply.option(CLIENT_SUBNET), None);
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_client_without_a_location_is_refused() {
    let daemon = start_with("allow = [\"127.0.50.0/24\"]", "").await;
    for client in ["127.0.50.1", "127.0.60.1"] {
        let reply = daemon.udp_from(client, &Packet::query(SNS, A).opt(1232, &[]).build()).await;
        assert_eq!(reply.rcode(), ResponseCode::Refused);
        assert_eq!(reply.counts(), [1, 0, 0, 1]);
        let (code, text) = reply.edes().remove(0);
        assert_eq!(code, PROHIBITED);
        assert!(text.contains(client), "{text}");
        let plain = daemon.udp_from(client, &Packet::query(SNS, A).build()).await;
        assert_eq!(plain.rcode(), ResponseCode::Refused);
        assert_eq!(plain.counts(), [1, 0, 0, 0]);
        let chaos = Packet::query_wire(&wire("whoami.plustwo"), TXT, CH).build();
        assert_eq!(daemon.udp_from(client, &chaos).await.rcode(), ResponseCode::Refused);
    }
    daemon.stop().await;
}

// ---- annotations ------------------------------------------------------------------------------------

#[tokio::test]
async fn the_path_option_is_sent_on_request() {
    let daemon = start().await;
    let reply = daemon.udp(&Packet::query(SNS, A).opt(1232, &[]).build()).await;
    assert_eq!(reply.option(PATHS), None);
    let reply = daemon.tcp(&Packet::query(SNS, A).opt(1232, &[(PATHS, &[])]).build()).await;
    let data = reply.option(PATHS).expect("paths");
    let json = data.strip_prefix(b"plustwo/1 ").expect("the magic prefix");
    let paths: serde_json::Value = serde_json::from_slice(json).expect("JSON");
    assert_eq!(paths["answers"][0]["path"]["class"], "interface-endpoint");
    daemon.stop().await;
}

#[tokio::test]
async fn path_extended_errors_depend_on_the_mode() {
    for (mode, unrequested, requested) in [("always", 1, 1), ("on-request", 0, 1), ("off", 0, 0)] {
        let daemon = start_with("", &format!("[annotate]\nede = \"{mode}\"\n")).await;
        let reply = daemon.udp(&Packet::query(SNS, A).opt(1232, &[]).build()).await;
        assert_eq!(reply.edes().len(), unrequested, "{mode}");
        let reply = daemon.udp(&Packet::query(SNS, A).opt(1232, &[(PATHS, &[])]).build()).await;
        assert_eq!(reply.edes().len(), requested, "{mode}");
        daemon.stop().await;
    }
}

#[tokio::test]
async fn annotations_neither_change_records_nor_cause_truncation() {
    let annotated = start().await;
    let unannotated = start_with("", "[annotate]\nede = \"off\"\noption = false\n").await;
    let names = [
        SNS,
        MANY,
        "s3.ap-northeast-1.amazonaws.com",
        "sqs.ap-northeast-1.amazonaws.com",
        "queue.corp.internal",
        "topics.corp.internal",
        "nothing.corp.internal",
        "erp.office.example",
        "sealed.example",
    ];
    for name in names {
        for qtype in [A, AAAA, TXT] {
            for size in [512, 1232] {
                let question = Packet::query(name, qtype).opt(size, &[(PATHS, &[])]).build();
                let (with, without) = (annotated.udp(&question).await, unannotated.udp(&question).await);
                let what = format!("{name} {qtype} at {size}");
                assert_eq!(with.rcode(), without.rcode(), "{what}");
                assert_eq!(with.records(), without.records(), "{what}");
                assert_eq!(with.is_truncated(), without.is_truncated(), "{what}");
                assert_eq!(with.is_truncated(), name == MANY && qtype == A, "{what}");
                assert_eq!(without.option(PATHS), None, "{what}");
            }
        }
    }
    annotated.stop().await;
    unannotated.stop().await;
}

#[tokio::test]
async fn records_rotate_for_a_client_that_alternates_a_and_aaaa() {
    let daemon = start().await;
    let names = [SNS, "ec2.ap-northeast-1.amazonaws.com", "x.apps.corp.internal", "y.apps.corp.internal"];
    // Two questions may share a rotation counter by chance, so some names may not alternate, but never most
    // of them.
    let mut alternating = 0;
    for name in names {
        let mut first = Vec::new();
        for _ in 0..4 {
            first.extend(daemon.udp(&Packet::query(name, A).build()).await.data().into_iter().next());
            daemon.udp(&Packet::query(name, AAAA).build()).await;
        }
        if first.len() == 4 && first[0] != first[1] && first[0] == first[2] && first[1] == first[3] {
            alternating += 1;
        }
    }
    assert!(alternating >= 2, "{alternating} of 4");
    daemon.stop().await;
}
