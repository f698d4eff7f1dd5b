//! The name server used by tests, over UDP and TCP on one port of loopback. Its behaviour is a value, for all
//! queries or for one name, and can be changed while it runs.
//!
//! ```text
//!  TestServer::start(Behaviour::Silent, &[("www.example", "198.51.100.7")])
//!  TestServer::start(Behaviour::First(2, Behaviour::Silent.into(), Behaviour::Honest.into()), RECORDS)
//!  server.set_behaviour(Behaviour::Honest)
//!  server.set_behaviour_for("www.example", Behaviour::NxDomain)
//! ```
//!
//! `tests/misbehaving.rs` generates a table of the manual from the list of behaviours.

#![allow(dead_code, reason = "each test binary uses a part")]

#[path = "test_server/message.rs"]
mod message;

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use message::{Message, ReceivedQuery, ede, opt, record, soa, wire};
use plustwo::world::{Server, ServerTransport};

/// Returns the messages to send for a received message, each as a datagram or a frame.
type ScriptFn = dyn Fn(&[u8]) -> Vec<Vec<u8>> + Send + Sync;

/// A function that implements a behaviour.
#[derive(Clone)]
pub(crate) struct Script(Arc<ScriptFn>);

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Script")
    }
}

/// Declares the behaviours that need no parameter, each with a text that follows "a server that".
macro_rules! behaviours {
    ($($text:literal $name:ident),* $(,)?) => {
        /// What the server does with a query.
        #[derive(Clone, Debug)]
        pub(crate) enum Behaviour {
            $(#[doc = concat!("A server that ", $text, ".")] $name,)*
            /// One behaviour for the first queries, up to a number, and another for the rest.
            First(usize, Box<Self>, Box<Self>),
            /// One behaviour over UDP, and another over TCP.
            UdpAndTcp(Box<Self>, Box<Self>),
            /// Another behaviour, with its replies delayed.
            Delayed(Duration, Box<Self>),
            /// Sends the messages that a function returns.
            Script(Script),
        }

        impl Behaviour {
            /// Every behaviour without a parameter.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name),*];

            /// A description that follows "a server that".
            pub(crate) fn description(&self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                    Self::First(..) => "changes its behaviour after some queries",
                    Self::UdpAndTcp(..) => "behaves differently over UDP and over TCP",
                    Self::Delayed(..) => "is slow",
                    Self::Script(_) => "follows a script",
                }
            }
        }
    };
}

behaviours! {
    "answers from its records" Honest,
    "does not reply" Silent,
    "is not running: its port is closed" Closed,
    "replies after 0.7 seconds" Slow,
    "sends each reply twice" Twice,
    // Errors.
    "answers SERVFAIL" ServFail,
    "answers REFUSED" Refused,
    "answers NOTIMP" NotImp,
    "answers FORMERR" FormErr,
    "answers NXDOMAIN for every name" NxDomain,
    "answers YXDOMAIN" YxDomain,
    "answers SERVFAIL in a header without the question" BareServFail,
    "answers REFUSED in a header without the question" BareRefused,
    "answers NOERROR in a header without the question" BareNoError,
    "answers SERVFAIL with an address" ServFailWithAnswer,
    "answers SERVFAIL first, then sends the answer" ServFailThenAnswer,
    // EDNS.
    "answers FORMERR to queries with EDNS, and answers others from its records" FormErrToEdns,
    "answers FORMERR to queries with EDNS in a header without the question, and answers others from its records" BareFormErrToEdns,
    "answers NOTIMP to queries with EDNS, and answers others from its records" NotImpToEdns,
    "answers SERVFAIL to queries with EDNS, and answers others from its records" ServFailToEdns,
    "does not reply to queries with EDNS, and answers others from its records" SilentToEdns,
    "answers BADVERS to every query" BadVers,
    "omits the OPT record" WithoutOpt,
    "sends two OPT records" OptTwice,
    "sends an OPT record whose option ends beyond it" OptMalformed,
    "sends an OPT record in the answer section" OptInAnswer,
    "sends EDNS options that were not requested" UnknownOptions,
    "answers SERVFAIL with extended error 6 (DNSSEC Bogus)" EdeBogus,
    "answers NXDOMAIN with extended error 15 (Blocked)" EdeBlocked,
    // Replies that match no query.
    "replies with another ID" WrongId,
    "replies with a question for another name" WrongName,
    "replies with a question of another type" WrongType,
    "replies with a question of another class" WrongClass,
    "returns the name in lower case" LowerCase,
    "returns the name with the case of each letter inverted" OtherCase,
    "sends 3 replies with other IDs, then the correct one" ThreeStrays,
    "sends 20 replies with other IDs over UDP, then the correct one" TwentyStrays,
    "sends 3 replies with a question for another name, then the correct one" ThreeWrongNames,
    "sends 40 octets of 0xff" Garbage,
    "sends an empty datagram" Empty,
    "sends only the ID" IdAlone,
    "returns the query unchanged" Echo,
    "replies with QR clear" QrClear,
    "replies with opcode STATUS" OtherOpcode,
    "replies with two questions" TwoQuestions,
    "answers without the question" NoQuestion,
    // Truncation and size.
    "truncates over UDP, and answers over TCP" Truncated,
    "truncates over UDP, and does not reply over TCP" TruncatedTcpSilent,
    "truncates over UDP, and closes TCP connections" TruncatedTcpClosed,
    "truncates over UDP and over TCP" TruncatedAlways,
    "truncates over UDP with some of its records, and answers over TCP" TruncatedWithRecords,
    "sends 3,000 octets over UDP" Big,
    // Malformed messages.
    "counts more records than it sends" CountsTooHigh,
    "counts fewer records than it sends" CountsTooLow,
    "appends octets to its message" TrailingOctets,
    "sends a name whose compression pointer points to itself" PointerToItself,
    "sends two names whose compression pointers point to each other" PointerLoop,
    "sends a name with a forward compression pointer" PointerForward,
    "sends an A record of 3 octets" ShortAddress,
    "sends an A record of 5 octets" LongAddress,
    "sends a CNAME record whose name ends beyond it" NameBeyondRecord,
    "sends a record that ends beyond the message" RecordBeyondMessage,
    // Records that do not answer the question.
    "answers with a record of another name" OtherOwner,
    "adds a record of another name to its answer" OtherOwnerAdded,
    "adds the address of another upstream's name to its answer" OtherUpstreamsName,
    "adds addresses of other names to the additional section" AdditionalAddresses,
    "adds the NS records of another zone to the authority section" AuthorityOfOthers,
    "answers with a TXT record" OtherType,
    "answers with an address in class CH" OtherClass,
    // Aliases.
    "answers with a DNAME record without its CNAME record" DnameAlone,
    "answers with a CNAME record that points to itself" CnameToItself,
    "answers with two CNAME records that point to each other" CnameLoop,
    "answers with an endless chain of CNAME records" CnameWithoutEnd,
    "answers with only a CNAME record, and with NXDOMAIN for its target" CnameToNowhere,
    "answers with two CNAME records for one name" CnameTwice,
    "answers with a CNAME and an A record for one name" CnameAndAddress,
    // Denials and referrals.
    "returns a referral to the name servers of the zone" Referral,
    "returns a referral to the root" ReferralToRoot,
    "answers NXDOMAIN without an SOA record" NxDomainWithoutSoa,
    "answers NOERROR without records and without an SOA record" NoDataWithoutSoa,
    "answers NXDOMAIN with an address" NxDomainWithAnswer,
    "answers NXDOMAIN with the SOA record of another zone" SoaOfOthers,
    // TTLs.
    "answers with a TTL of 0" TtlZero,
    "answers with a TTL of 2^31" TtlTooHigh,
    "answers with a TTL of 2^31 - 1" TtlHighest,
    "answers with records of different TTLs" TtlsDiffer,
    // Connections.
    "closes a connection after each reply" CloseAfterReply,
    "closes a connection instead of replying" CloseWithoutReply,
    "closes a connection in the middle of a reply" HalfFrame,
    "sends half of a reply over a connection, and then nothing" HalfFrameOpen,
    "sends a reply octet by octet over a connection" OctetByOctet,
    "sends an empty message over a connection before its reply" EmptyFrame,
    "replies in reverse order over a connection" OutOfOrder,
    "replies with another ID over a connection" WrongIdTcp,
    "does not reply over a connection" SilentTcp,
    "does not listen for connections" ClosedTcp,
}

impl Behaviour {
    /// Creates a behaviour that sends the messages that a function returns.
    pub(crate) fn script(script: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self::Script(Script(Arc::new(script)))
    }

    /// Whether it concerns connections, so that the server must be queried over TCP.
    pub(crate) fn concerns_connections(&self) -> bool {
        matches!(
            self,
            Self::CloseAfterReply
                | Self::CloseWithoutReply
                | Self::HalfFrame
                | Self::HalfFrameOpen
                | Self::OctetByOctet
                | Self::EmptyFrame
                | Self::OutOfOrder
                | Self::WrongIdTcp
                | Self::SilentTcp
                | Self::ClosedTcp
        )
    }

    /// Whether a server with this behaviour listens over UDP, and over TCP.
    fn listens(&self) -> (bool, bool) {
        match self {
            Self::Closed => (false, false),
            Self::ClosedTcp => (true, false),
            Self::UdpAndTcp(udp, tcp) => (udp.listens().0, tcp.listens().1),
            _ => (true, true),
        }
    }
}

/// Records: a name, and an address or the target of an alias.
pub(crate) type Records<'r> = &'r [(&'static str, &'static str)];

/// Received messages with their senders, over UDP or TCP.
pub(crate) type ReceivedMessages = Arc<Mutex<Vec<(SocketAddr, Vec<u8>)>>>;

/// A name server in this process. Dropping it stops it.
pub(crate) struct TestServer {
    /// Its address.
    pub address: SocketAddr,
    /// The messages that it received.
    pub received: ReceivedMessages,
    state: Arc<SharedState>,
    threads: Vec<JoinHandle<()>>,
}

/// State that the threads of a server share.
struct SharedState {
    settings: Mutex<Settings>,
    received: ReceivedMessages,
    stop: AtomicBool,
}

/// Settings that can be changed while a server runs.
struct Settings {
    behaviour: Behaviour,
    by_name: HashMap<String, Behaviour>,
    records: HashMap<&'static str, &'static str>,
    ttl: u32,
}

/// An action of the server after a query.
enum Action {
    /// Sends a message as a datagram or a frame.
    Message(Vec<u8>),
    /// Sends a message after a delay.
    Delayed(Duration, Vec<u8>),
    /// Sends raw octets over a connection.
    Octets(Vec<u8>),
    /// Sends raw octets over a connection one by one.
    OctetByOctet(Vec<u8>),
    /// Sends a message after the next one.
    Deferred(Vec<u8>),
    /// Closes the connection.
    Close,
}

impl TestServer {
    /// Starts a server with these records, over UDP and TCP on the same port.
    pub(crate) fn start(behaviour: Behaviour, records: Records<'_>) -> Self {
        let (udp, tcp) = behaviour.listens();
        let (listener, socket) = bind();
        let address = socket.local_addr().unwrap();
        let state = SharedState::new(behaviour, records);
        let mut threads = Vec::new();
        if udp {
            let state = state.clone();
            threads.push(std::thread::spawn(move || serve_udp(&socket, &state)));
        }
        if tcp {
            let state = state.clone();
            threads.push(std::thread::spawn(move || serve_tcp(&listener, &state)));
        }
        Self { address, received: state.received.clone(), state, threads }
    }

    /// Starts a server over UDP only that sends the messages that a function returns.
    pub(crate) fn udp(script: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        let udp = Behaviour::script(script);
        Self::start(Behaviour::UdpAndTcp(udp.into(), Behaviour::ClosedTcp.into()), &[])
    }

    /// Starts a server that sends the messages that two functions return, over UDP and over TCP.
    pub(crate) fn both(
        udp: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + Sync + 'static,
        tcp: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let (udp, tcp) = (Behaviour::script(udp), Behaviour::script(tcp));
        Self::start(Behaviour::UdpAndTcp(udp.into(), tcp.into()), &[])
    }

    /// This server as a server of an upstream, over UDP.
    pub(crate) fn server(&self) -> Server {
        Server::new(self.address, ServerTransport::Udp)
    }

    /// Sets the TTL of its records in seconds, initially 60.
    pub(crate) fn set_ttl(&self, ttl: u32) {
        self.state.settings.lock().unwrap().ttl = ttl;
    }

    /// Changes its behaviour. The transports that it listens on remain the same.
    pub(crate) fn set_behaviour(&self, behaviour: Behaviour) {
        self.state.settings.lock().unwrap().behaviour = behaviour;
    }

    /// Changes its behaviour for one name.
    pub(crate) fn set_behaviour_for(&self, name: &str, behaviour: Behaviour) {
        self.state.settings.lock().unwrap().by_name.insert(name.to_owned(), behaviour);
    }

    /// Adds or replaces a record.
    pub(crate) fn set_record(&self, name: &'static str, value: &'static str) {
        self.state.settings.lock().unwrap().records.insert(name, value);
    }

    /// Number of received messages.
    pub(crate) fn received_count(&self) -> usize {
        self.received.lock().unwrap().len()
    }

    /// Number of received queries for a name.
    pub(crate) fn received_count_for(&self, name: &str) -> usize {
        let received = self.received.lock().unwrap();
        received
            .iter()
            .filter(|(_, message)| ReceivedQuery::parse(message).is_some_and(|query| query.name == name))
            .count()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::Release);
        // Wakes the threads, so that they check the flag.
        if let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) {
            let _ = socket.send_to(&[0; 12], self.address);
        }
        let _ = TcpStream::connect(self.address);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Binds sockets to a port that is free for UDP and TCP.
fn bind() -> (TcpListener, UdpSocket) {
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        if let Ok(socket) = UdpSocket::bind(listener.local_addr().unwrap()) {
            return (listener, socket);
        }
    }
}

/// Serves datagrams until the server is dropped.
fn serve_udp(socket: &UdpSocket, state: &Arc<SharedState>) {
    let mut octets = [0; 4096];
    loop {
        let received = socket.recv_from(&mut octets);
        if state.stop.load(Ordering::Acquire) {
            return;
        }
        let Ok((length, peer)) = received else { continue };
        for action in state.react(&octets[..length], peer, true) {
            match action {
                Action::Message(message) | Action::Deferred(message) => drop(socket.send_to(&message, peer)),
                Action::Delayed(delay, message) => {
                    let socket = socket.try_clone().unwrap();
                    std::thread::spawn(move || {
                        std::thread::sleep(delay);
                        let _ = socket.send_to(&message, peer);
                    });
                }
                Action::Octets(_) | Action::OctetByOctet(_) | Action::Close => {}
            }
        }
    }
}

/// Serves connections until the server is dropped.
fn serve_tcp(listener: &TcpListener, state: &Arc<SharedState>) {
    loop {
        let accepted = listener.accept();
        if state.stop.load(Ordering::Acquire) {
            return;
        }
        let Ok((stream, peer)) = accepted else { continue };
        let state = state.clone();
        std::thread::spawn(move || serve_stream(stream, peer, &state));
    }
}

/// Serves one connection until it ends or fails.
fn serve_stream(mut stream: TcpStream, peer: SocketAddr, state: &SharedState) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_millis(20)))?;
    let (mut received, mut octets) = (Vec::new(), [0; 4096]);
    let mut deferred: Vec<Vec<u8>> = Vec::new();
    let mut delayed: Vec<(Instant, Vec<u8>)> = Vec::new();
    while !state.stop.load(Ordering::Acquire) {
        let mut is_idle = false;
        match stream.read(&mut octets) {
            Ok(0) => return Ok(()),
            Ok(length) => received.extend_from_slice(&octets[..length]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                is_idle = true;
            }
            Err(error) => return Err(error),
        }
        while let Some(message) = take_frame(&mut received) {
            for action in state.react(&message, peer, false) {
                match action {
                    Action::Message(message) => stream.write_all(&frame(&message))?,
                    Action::Delayed(delay, message) => delayed.push((Instant::now() + delay, message)),
                    Action::Octets(octets) => stream.write_all(&octets)?,
                    Action::OctetByOctet(octets) => {
                        for octet in octets {
                            stream.write_all(&[octet])?;
                            std::thread::sleep(Duration::from_millis(1));
                        }
                    }
                    Action::Deferred(message) => deferred.push(message),
                    Action::Close => return Ok(()),
                }
            }
        }
        if deferred.len() > 1 || is_idle {
            while let Some(message) = deferred.pop() {
                stream.write_all(&frame(&message))?;
            }
        }
        let now = Instant::now();
        for (_, message) in delayed.extract_if(.., |(due, _)| *due <= now) {
            stream.write_all(&frame(&message))?;
        }
    }
    Ok(())
}

/// Takes the next message of a connection, if it has been received completely.
fn take_frame(received: &mut Vec<u8>) -> Option<Vec<u8>> {
    let length = usize::from(u16::from_be_bytes(received.first_chunk().copied()?));
    let message = received.get(2..2 + length)?.to_vec();
    received.drain(..2 + length);
    Some(message)
}

/// Prefixes a message with its length (RFC 1035 section 4.2.2).
fn frame(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes()[..], message].concat()
}

impl SharedState {
    fn new(behaviour: Behaviour, records: Records<'_>) -> Arc<Self> {
        let records = records.iter().copied().collect();
        let settings = Settings { behaviour, by_name: HashMap::new(), records, ttl: 60 };
        Arc::new(Self {
            settings: Mutex::new(settings),
            received: ReceivedMessages::default(),
            stop: AtomicBool::new(false),
        })
    }

    /// Records a message, and returns the actions for it.
    fn react(&self, message: &[u8], peer: SocketAddr, is_udp: bool) -> Vec<Action> {
        let number = {
            let mut received = self.received.lock().unwrap();
            received.push((peer, message.to_vec()));
            received.len()
        };
        let settings = self.settings.lock().unwrap();
        let query = ReceivedQuery::parse(message);
        let of_name = query.as_ref().and_then(|query| settings.by_name.get(&query.name));
        let mut behaviour = of_name.unwrap_or(&settings.behaviour);
        let mut delay = None;
        loop {
            behaviour = match behaviour {
                Behaviour::First(count, first, _) if number <= *count => first,
                Behaviour::First(_, _, rest) => rest,
                Behaviour::UdpAndTcp(udp, _) if is_udp => udp,
                Behaviour::UdpAndTcp(_, tcp) => tcp,
                Behaviour::Delayed(time, other) => {
                    delay = Some(*time);
                    other
                }
                Behaviour::Slow => {
                    delay = Some(Duration::from_millis(700));
                    &Behaviour::Honest
                }
                _ => break,
            };
        }
        let actions = match (behaviour, query) {
            (Behaviour::Script(script), _) => {
                // The script may change the settings of the server, so the lock is released.
                let script = script.clone();
                drop(settings);
                script.0(message).into_iter().map(Action::Message).collect()
            }
            (_, Some(query)) => settings.actions(behaviour, &query, is_udp),
            (_, None) => Vec::new(),
        };
        let delay_message = |action| match (action, delay) {
            (Action::Message(message), Some(delay)) => Action::Delayed(delay, message),
            (action, _) => action,
        };
        actions.into_iter().map(delay_message).collect()
    }
}

/// The address in records that do not answer the question.
const POISON: [u8; 4] = [203, 0, 113, 66];

/// A compression pointer to the name in the question.
const QNAME: [u8; 2] = [0xc0, 0x0c];

impl Settings {
    /// Returns the actions of a behaviour without a parameter.
    fn actions(&self, behaviour: &Behaviour, query: &ReceivedQuery<'_>, is_udp: bool) -> Vec<Action> {
        use Behaviour as B;
        let honest = || self.honest(query);
        let one = |message: Message| vec![Action::Message(message.octets())];
        let rcode = |rcode: u16| Message { rcode, ..query.reply() };
        let bare = |rcode: u8| {
            let header = [0x81, 0x80 | rcode, 0, 0, 0, 0, 0, 0, 0, 0];
            vec![Action::Message([&query.message[..2], &header[..]].concat())]
        };
        let answers = |answers: Vec<Vec<u8>>| one(Message { answers, ..query.reply() });
        let address = |octets: &[u8]| record(&QNAME, 1, 1, self.ttl, octets);
        let alias = |owner: &[u8], target: &[u8]| record(owner, 5, 1, self.ttl, target);
        let poison = |name: &str| record(&wire(name), 1, 1, self.ttl, &POISON);
        let is_address = query.qtype == 1;
        match behaviour {
            // Composed behaviours have been resolved already.
            B::First(..)
            | B::UdpAndTcp(..)
            | B::Delayed(..)
            | B::Script(_)
            | B::Slow
            | B::Honest
            | B::ClosedTcp => one(honest()),
            B::Silent | B::SilentTcp | B::Closed => Vec::new(),
            B::Twice => [one(honest()), one(honest())].into_iter().flatten().collect(),
            B::ServFail => one(rcode(2)),
            B::Refused => one(rcode(5)),
            B::NotImp => one(rcode(4)),
            B::FormErr => one(rcode(1)),
            B::NxDomain => one(Message { authority: vec![soa("example", self.ttl)], ..rcode(3) }),
            B::YxDomain => one(rcode(6)),
            B::BareServFail => bare(2),
            B::BareRefused => bare(5),
            B::BareNoError => bare(0),
            B::ServFailWithAnswer => one(Message { rcode: 2, ..honest() }),
            B::ServFailThenAnswer => [one(rcode(2)), one(honest())].into_iter().flatten().collect(),
            B::FormErrToEdns if query.edns => one(Message { additional: Vec::new(), ..rcode(1) }),
            B::BareFormErrToEdns if query.edns => bare(1),
            B::NotImpToEdns if query.edns => one(Message { additional: Vec::new(), ..rcode(4) }),
            B::ServFailToEdns if query.edns => one(Message { additional: Vec::new(), ..rcode(2) }),
            B::SilentToEdns if query.edns => Vec::new(),
            B::FormErrToEdns
            | B::BareFormErrToEdns
            | B::NotImpToEdns
            | B::ServFailToEdns
            | B::SilentToEdns => one(honest()),
            B::BadVers => one(Message { additional: vec![opt(1, &[])], ..query.reply() }),
            B::WithoutOpt => one(Message { additional: Vec::new(), ..honest() }),
            B::OptTwice => one(Message { additional: vec![opt(0, &[]), opt(0, &[])], ..honest() }),
            B::OptMalformed => one(Message { additional: vec![opt(0, &[0, 15, 0, 9, 0])], ..honest() }),
            B::OptInAnswer => {
                let mut message = honest();
                message.answers.insert(0, opt(0, &[]));
                one(Message { additional: Vec::new(), ..message })
            }
            B::UnknownOptions => {
                let options = [0xfd, 0xe9, 0, 2, 1, 2, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
                one(Message { additional: vec![opt(0, &options)], ..honest() })
            }
            B::EdeBogus => {
                one(Message { additional: vec![opt(0, &ede(6, "no valid signature"))], ..rcode(2) })
            }
            B::EdeBlocked => one(Message {
                authority: vec![soa("example", self.ttl)],
                additional: vec![opt(0, &ede(15, "by policy"))],
                ..rcode(3)
            }),
            B::WrongId | B::WrongIdTcp => one(honest().with_id_changed(0x55)),
            B::WrongName => {
                one(Message { question: query.question_for(b"\x05other\x07example\0"), ..honest() })
            }
            B::WrongType => one(Message { question: query.question_with_octet_changed(1, 0x10), ..honest() }),
            B::WrongClass => one(Message { question: query.question_with_octet_changed(3, 2), ..honest() }),
            B::LowerCase => {
                one(Message { question: query.message[12..query.end].to_ascii_lowercase(), ..honest() })
            }
            B::OtherCase => {
                let mut message = honest();
                message.question.iter_mut().for_each(|octet| {
                    if octet.is_ascii_alphabetic() {
                        *octet ^= 0x20;
                    }
                });
                one(message)
            }
            B::TwentyStrays if !is_udp => one(honest()),
            B::ThreeStrays | B::TwentyStrays => {
                let count = if matches!(behaviour, B::ThreeStrays) { 3 } else { 20 };
                let strays = (1..=count).flat_map(|index| one(honest().with_id_changed(index)));
                strays.chain(one(honest())).collect()
            }
            B::ThreeWrongNames => {
                let stray =
                    || Message { question: query.question_for(b"\x05other\x07example\0"), ..honest() };
                (0..3).flat_map(|_| one(stray())).chain(one(honest())).collect()
            }
            B::Garbage => vec![Action::Message(vec![0xff; 40])],
            B::Empty => vec![Action::Message(Vec::new())],
            B::IdAlone => vec![Action::Message(query.message[..2].to_vec())],
            B::Echo => vec![Action::Message(query.message.to_vec())],
            B::QrClear => one(Message { flags: 0x0180, ..honest() }),
            B::OtherOpcode => one(Message { flags: 0x9180, ..honest() }),
            B::TwoQuestions => {
                let question = &query.message[12..query.end];
                one(Message {
                    question: [question, question].concat(),
                    counts: Some([2, 1, 0, 1]),
                    ..honest()
                })
            }
            B::NoQuestion => {
                let owner = query.message[12..query.end - 4].to_vec();
                let answers = vec![record(&owner, 1, 1, self.ttl, &[198, 51, 100, 7])];
                one(Message { question: Vec::new(), answers, ..query.reply() })
            }
            B::Truncated if is_udp => one(Message { flags: 0x8380, ..query.reply() }),
            B::TruncatedTcpSilent | B::TruncatedTcpClosed if is_udp => {
                one(Message { flags: 0x8380, ..query.reply() })
            }
            B::TruncatedTcpSilent => Vec::new(),
            B::TruncatedTcpClosed => vec![Action::Close],
            B::TruncatedAlways => one(Message { flags: 0x8380, ..query.reply() }),
            B::TruncatedWithRecords if is_udp => {
                one(Message { flags: 0x8380, answers: vec![address(&POISON)], ..query.reply() })
            }
            B::Truncated | B::TruncatedWithRecords => one(honest()),
            B::Big if is_address => {
                let text = [&[250][..], &[b'x'; 250]].concat();
                let mut message = honest();
                message
                    .additional
                    .extend((0..11).map(|_| record(&wire("big.example"), 16, 1, self.ttl, &text)));
                one(message)
            }
            B::Big => one(honest()),
            B::CountsTooHigh => one(Message { counts: Some([1, 500, 500, 500]), ..honest() }),
            B::CountsTooLow => one(Message { counts: Some([1, 0, 0, 0]), ..honest() }),
            B::TrailingOctets => {
                let mut octets = honest().octets();
                octets.extend([0xff; 20]);
                vec![Action::Message(octets)]
            }
            B::PointerToItself | B::PointerLoop | B::PointerForward => {
                let at = query.end;
                let pointer = |to: usize| [0xc0 | (to >> 8) as u8, to as u8];
                let owner = match behaviour {
                    B::PointerToItself => pointer(at).to_vec(),
                    B::PointerLoop => [&[1, b'a'][..], &pointer(at)].concat(),
                    _ => pointer(at + 16).to_vec(),
                };
                answers(vec![record(&owner, 1, 1, self.ttl, &[198, 51, 100, 7]), address(&[198, 51, 100, 7])])
            }
            B::ShortAddress => answers(vec![address(&[198, 51, 100])]),
            B::LongAddress => answers(vec![address(&[198, 51, 100, 7, 7])]),
            B::NameBeyondRecord => answers(vec![alias(&QNAME, b"\x20abc"), address(&[198, 51, 100, 7])]),
            B::RecordBeyondMessage => {
                let mut octets = Message { answers: vec![address(&[198, 51, 100, 7])], ..query.reply() }
                    .without_additional();
                let length_at = octets.len() - 5;
                octets[length_at] = 200;
                vec![Action::Message(octets)]
            }
            B::OtherOwner => answers(vec![poison("other.example")]),
            B::OtherOwnerAdded => with_answer(honest(), poison("other.example")),
            B::OtherUpstreamsName => with_answer(honest(), poison("host.good.example")),
            B::AdditionalAddresses => {
                let mut message = honest();
                message.additional.extend([poison("other.example"), poison("host.good.example")]);
                one(message)
            }
            B::AuthorityOfOthers => {
                let mut message = honest();
                message.authority.push(record(&wire("good.example"), 2, 1, self.ttl, &wire("other.example")));
                message.additional.push(poison("other.example"));
                one(message)
            }
            B::OtherType => answers(vec![record(&QNAME, 16, 1, self.ttl, b"\x04text")]),
            B::OtherClass => answers(vec![record(&QNAME, 1, 3, self.ttl, &[198, 51, 100, 7])]),
            B::DnameAlone => {
                let parent = query.name.split_once('.').map_or("", |(_, parent)| parent);
                answers(vec![record(&wire(parent), 39, 1, self.ttl, &wire("target.example"))])
            }
            B::CnameToItself => answers(vec![alias(&QNAME, &QNAME)]),
            B::CnameLoop => {
                let other = wire("loop.example");
                answers(vec![alias(&QNAME, &other), alias(&other, &QNAME)])
            }
            B::CnameWithoutEnd => answers(vec![alias(&QNAME, &wire(&format!("a.{}", query.name)))]),
            B::CnameToNowhere if query.name.starts_with("www.") => {
                answers(vec![alias(&QNAME, &wire("nowhere.example"))])
            }
            B::CnameToNowhere => one(Message { authority: vec![soa("example", self.ttl)], ..rcode(3) }),
            // The targets of the aliases are answered.
            B::CnameTwice | B::CnameAndAddress if !query.name.starts_with("www.") => one(honest()),
            B::CnameTwice => {
                let targets = ["other.example", "target.example"];
                answers(targets.iter().map(|target| alias(&QNAME, &wire(target))).collect())
            }
            B::CnameAndAddress => with_answer(honest(), alias(&QNAME, &wire("other.example"))),
            B::Referral => {
                let zone = query.name.split_once('.').map_or("", |(_, parent)| parent);
                let server = wire("ns.other.example");
                one(Message {
                    authority: vec![record(&wire(zone), 2, 1, self.ttl, &server)],
                    additional: vec![record(&server, 1, 1, self.ttl, &POISON), opt(0, &[])],
                    ..query.reply()
                })
            }
            B::ReferralToRoot => {
                let root = record(&[0], 2, 1, self.ttl, &wire("a.root-servers.net"));
                one(Message { authority: vec![root], ..query.reply() })
            }
            B::NxDomainWithoutSoa => one(rcode(3)),
            B::NoDataWithoutSoa => one(rcode(0)),
            B::NxDomainWithAnswer => one(Message { rcode: 3, ..honest() }),
            B::SoaOfOthers => one(Message { authority: vec![soa("good.example", self.ttl)], ..rcode(3) }),
            B::TtlZero => answers(vec![record(&QNAME, 1, 1, 0, &[198, 51, 100, 7])]),
            B::TtlTooHigh => answers(vec![record(&QNAME, 1, 1, 1 << 31, &[198, 51, 100, 7])]),
            B::TtlHighest => answers(vec![record(&QNAME, 1, 1, i32::MAX as u32, &[198, 51, 100, 7])]),
            B::TtlsDiffer => answers(vec![
                record(&QNAME, 1, 1, 50, &[198, 51, 100, 7]),
                record(&QNAME, 1, 1, 9, &[198, 51, 100, 8]),
            ]),
            B::CloseAfterReply => one(honest()).into_iter().chain([Action::Close]).collect(),
            B::CloseWithoutReply => vec![Action::Close],
            B::HalfFrame | B::HalfFrameOpen => {
                let framed = frame(&honest().octets());
                let half = Action::Octets(framed[..framed.len() / 2].to_vec());
                match behaviour {
                    B::HalfFrame => vec![half, Action::Close],
                    _ => vec![half],
                }
            }
            B::OctetByOctet => vec![Action::OctetByOctet(frame(&honest().octets()))],
            B::EmptyFrame => [Action::Message(Vec::new())].into_iter().chain(one(honest())).collect(),
            B::OutOfOrder => vec![Action::Deferred(honest().octets())],
        }
    }

    /// Returns the answer of a recursive server with these records: a chain of aliases with its target, or a
    /// denial.
    fn honest(&self, query: &ReceivedQuery<'_>) -> Message {
        let mut message = query.reply();
        let (mut owner, mut name) = (QNAME.to_vec(), query.name.as_str());
        // A chain with more aliases than there are records is a loop.
        for _ in 0..=self.records.len() {
            let Some(value) = self.records.get(name) else {
                message.rcode = 3;
                message.authority = vec![soa("example", self.ttl)];
                return message;
            };
            match value.parse::<IpAddr>() {
                Ok(IpAddr::V4(address)) if query.qtype == 1 => {
                    message.answers.push(record(&owner, 1, 1, self.ttl, &address.octets()));
                }
                Ok(IpAddr::V6(address)) if query.qtype == 28 => {
                    message.answers.push(record(&owner, 28, 1, self.ttl, &address.octets()));
                }
                Ok(_) => message.authority = vec![soa("example", self.ttl)],
                Err(_) => {
                    let target = wire(value);
                    message.answers.push(record(&owner, 5, 1, self.ttl, &target));
                    (owner, name) = (target, *value);
                    continue;
                }
            }
            return message;
        }
        message
    }
}

/// Sends a message with an additional record in its answer section.
fn with_answer(mut message: Message, record: Vec<u8>) -> Vec<Action> {
    message.answers.push(record);
    vec![Action::Message(message.octets())]
}
