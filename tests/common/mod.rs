//! A running daemon and a raw DNS client, for tests over real sockets on loopback.

#![allow(dead_code, reason = "each test binary uses a part")]

pub(crate) mod process;

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::{RData, RecordType};
use plustwo::config;
use plustwo::daemon::Daemon;
use plustwo::world::compile::compile;
use tokio::sync::watch;

/// Time limit for a reply. Only a reply that never arrives exceeds it.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// A daemon in this process, on ports assigned by the system. Dropping it stops the daemon.
pub(crate) struct Lab {
    /// Address of the first listener.
    pub dns: SocketAddr,
    /// Addresses of all listeners, in the order of the configuration.
    pub listeners: Vec<SocketAddr>,
    /// Admin address, which serves HTTP.
    pub admin: SocketAddr,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Lab {
    /// Starts a daemon with the built-in lab.
    pub(crate) fn start() -> Self {
        Self::start_with(config::BUILT_IN_LAB)
    }

    /// Starts a daemon with a configuration that has the listener and admin addresses of the lab. Their ports
    /// are replaced by 0.
    pub(crate) fn start_with(text: &str) -> Self {
        let text = text.replace("127.0.0.1:5300", "127.0.0.1:0").replace("127.0.0.1:9530", "127.0.0.1:0");
        let mut loaded =
            config::load_text(Path::new("test.toml"), text, &|path| std::fs::read_to_string(path));
        let world = compile(&mut loaded);
        let Some(world) = world else { panic!("{}", loaded.report.render(&loaded.sources)) };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let daemon = {
            let _guard = runtime.enter();
            Daemon::start(None, &loaded, world).unwrap()
        };
        let listeners: Vec<SocketAddr> = daemon.addresses().iter().map(|(_, address)| *address).collect();
        let (dns, admin) = (listeners[0], daemon.admin_address().unwrap());
        let (stop, stopped) = watch::channel(false);
        let thread = std::thread::spawn(move || runtime.block_on(daemon.run(stopped)));
        Self { dns, listeners, admin, stop, thread: Some(thread) }
    }

    /// Sends a GET request and returns the body of the response.
    pub(crate) fn get(&self, path: &str) -> String {
        self.get_with_status(path).1
    }

    /// Sends a GET request and returns the status line and the body of the response.
    pub(crate) fn get_with_status(&self, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.admin).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }

    /// The value of a series in `/metrics`, or 0 if there is none.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let page = self.get("/metrics");
        let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Waits until a series has a value: an event may be counted after the client has seen its effect.
    pub(crate) fn wait_for_metric(&self, series: &str, value: f64) {
        let started = std::time::Instant::now();
        loop {
            let found = self.metric(series);
            if found == value {
                return;
            }
            assert!(started.elapsed() < TIMEOUT, "{series} is {found}, not {value}");
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A UDP client.
pub(crate) struct Client {
    socket: UdpSocket,
}

impl Client {
    /// Creates a client that sends queries from `from` to `server`.
    pub(crate) fn new(server: SocketAddr, from: IpAddr) -> Self {
        let socket = UdpSocket::bind((from, 0)).unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(TIMEOUT)).unwrap();
        Self { socket }
    }

    /// Sends a message and returns the reply.
    pub(crate) fn exchange(&self, message: &[u8]) -> Vec<u8> {
        self.socket.send(message).unwrap();
        let mut reply = vec![0; 65_535];
        let length = self.socket.recv(&mut reply).unwrap();
        reply.truncate(length);
        reply
    }

    /// Queries A records. Returns `None` if there is no reply within 100 ms.
    pub(crate) fn try_query(&self, name: &str) -> Option<Reply> {
        self.socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        self.socket.send(&question(3, name, 1, 1, true)).ok()?;
        let mut reply = vec![0; 65_535];
        let length = self.socket.recv(&mut reply).ok()?;
        Some(Reply::of(&reply[..length]))
    }

    /// Sends a query of class IN over TCP, from 127.0.0.1.
    pub(crate) fn query_tcp(&self, name: &str, rtype: &str) -> Reply {
        let server = self.socket.peer_addr().unwrap();
        // In the lab, 127.0.0.1 and 127.0.1.1 are at the same location.
        let mut stream = TcpStream::connect(server).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let message = question(4, name, rtype_code(rtype), 1, true);
        write_frame(&mut stream, &message);
        Reply::of(&read_frame(&mut stream))
    }

    /// Receives the next reply, to any query.
    pub(crate) fn receive(&self) -> Vec<u8> {
        let mut reply = vec![0; 65_535];
        let length = self.socket.recv(&mut reply).unwrap();
        reply.truncate(length);
        reply
    }

    /// Sends a message without waiting for a reply.
    pub(crate) fn send(&self, message: &[u8]) {
        self.socket.send(message).unwrap();
    }

    /// Sends a query of class IN with EDNS and returns the reply.
    pub(crate) fn query(&self, name: &str, rtype: &str) -> Reply {
        Reply::of(&self.exchange(&question(1, name, rtype_code(rtype), 1, true)))
    }

    /// Sends a CHAOS TXT query without EDNS and returns the strings of the answer.
    pub(crate) fn query_chaos(&self, name: &str) -> Vec<String> {
        Reply::of(&self.exchange(&question(2, name, 16, 3, false))).strings()
    }
}

/// A query with one question.
pub(crate) fn question(id: u16, name: &str, rtype: u16, class: u16, edns: bool) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns)]);
    for label in name.trim_end_matches('.').split('.') {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend(rtype.to_be_bytes());
    message.extend(class.to_be_bytes());
    if edns {
        message.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    }
    message
}

fn rtype_code(mnemonic: &str) -> u16 {
    let rtype: RecordType = mnemonic.parse().unwrap();
    rtype.into()
}

/// A reply, parsed by an independent implementation.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The message as parsed by hickory-proto.
    pub message: Message,
}

impl Reply {
    /// Parses a reply.
    pub(crate) fn of(octets: &[u8]) -> Self {
        Self { message: Message::from_vec(octets).expect("the reply is well-formed") }
    }

    /// The addresses of the answer section, in order.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        let addresses = self.message.answers.iter().filter_map(|record| record.data.ip_addr());
        addresses.collect()
    }

    /// The strings of the answer section, which must contain TXT records only.
    pub(crate) fn strings(&self) -> Vec<String> {
        let strings = self.message.answers.iter().map(|record| match &record.data {
            RData::TXT(txt) => {
                txt.txt_data.iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect()
            }
            other => panic!("{other:?} in a CHAOS answer"),
        });
        strings.collect()
    }

    /// Whether the OPT record has an option with this code.
    pub(crate) fn has_option(&self, code: u16) -> bool {
        let options = self.message.edns.iter().flat_map(|edns| edns.options().as_ref());
        options.into_iter().any(|(found, _)| u16::from(*found) == code)
    }

    /// Codes and texts of the extended errors, in order (RFC 8914).
    pub(crate) fn extended_errors(&self) -> Vec<(u16, String)> {
        let Some(edns) = &self.message.edns else { return Vec::new() };
        let options = edns.options().as_ref().iter().filter_map(|(_, option)| match option {
            EdnsOption::Unknown(15, data) => {
                let code = u16::from_be_bytes([data[0], data[1]]);
                Some((code, String::from_utf8_lossy(&data[2..]).into_owned()))
            }
            _ => None,
        });
        options.collect()
    }
}

/// Writes a message to a TCP stream, preceded by its length (RFC 1035 section 4.2.2).
pub(crate) fn write_frame(stream: &mut TcpStream, message: &[u8]) {
    stream.write_all(&u16::try_from(message.len()).unwrap().to_be_bytes()).unwrap();
    stream.write_all(message).unwrap();
}

/// Reads the next message from a TCP stream.
pub(crate) fn read_frame(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut message).unwrap();
    message
}
