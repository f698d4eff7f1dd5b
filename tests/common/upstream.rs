//! Name servers that do as the test says, on loopback.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// What a scripted server does with a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Answers out of its records.
    Honest,
    /// Says nothing.
    Silent,
    /// Answers SERVFAIL.
    Failing,
    /// Answers REFUSED.
    Refusing,
    /// Answers with another ID first, then honestly never.
    WrongId,
    /// Answers another question.
    WrongQuestion,
    /// Answers octets that are no message.
    Garbage,
}

/// A UDP name server in this process. It ends when dropped.
pub struct Scripted {
    /// Where it listens.
    pub address: SocketAddr,
    ttl: Arc<AtomicUsize>,
    manner: Arc<Mutex<Manner>>,
    asked: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Records: a name, and an address or the name that it is an alias of.
pub type Records = HashMap<&'static str, &'static str>;

impl Scripted {
    /// A server with these records.
    pub fn start(manner: Manner, records: &[(&'static str, &'static str)]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let records: Records = records.iter().copied().collect();
        let manner = Arc::new(Mutex::new(manner));
        let (asked, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (shared, counted, stopped) = (manner.clone(), asked.clone(), stop.clone());
        let ttl = Arc::new(AtomicUsize::new(60));
        let current_ttl = ttl.clone();
        let thread = std::thread::spawn(move || {
            let mut octets = [0; 4096];
            while let Ok((length, peer)) = socket.recv_from(&mut octets) {
                if stopped.load(Ordering::Acquire) {
                    return;
                }
                counted.fetch_add(1, Ordering::AcqRel);
                let manner = *shared.lock().unwrap();
                let ttl = current_ttl.load(Ordering::Acquire) as u32;
                if let Some(reply) = reply(manner, &records, ttl, &octets[..length]) {
                    let _ = socket.send_to(&reply, peer);
                }
            }
        });
        Self { address, ttl, manner, asked, stop, thread: Some(thread) }
    }

    /// The TTL of its records from now on, in seconds; 60 at first.
    pub fn set_ttl(&self, ttl: u32) {
        self.ttl.store(ttl as usize, Ordering::Release);
    }

    /// From now on it does otherwise.
    pub fn becomes(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// How many messages it got.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Acquire)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // Wakes the thread, so that it sees the flag.
        if let Ok(socket) = UdpSocket::bind("127.0.0.1:0") {
            let _ = socket.send_to(&[0; 12], self.address);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn reply(manner: Manner, records: &Records, ttl: u32, octets: &[u8]) -> Option<Vec<u8>> {
    let query = Message::from_vec(octets).ok()?;
    let mut reply = Message::response(query.metadata.id, query.metadata.op_code);
    reply.metadata.message_type = MessageType::Response;
    reply.metadata.recursion_desired = true;
    reply.metadata.recursion_available = true;
    let question = query.queries.first()?.clone();
    match manner {
        Manner::Silent => return None,
        Manner::Garbage => return Some(vec![0xff; 40]),
        Manner::Failing => reply.metadata.response_code = ResponseCode::ServFail,
        Manner::Refusing => reply.metadata.response_code = ResponseCode::Refused,
        Manner::WrongId | Manner::WrongQuestion | Manner::Honest => {
            answer(records, ttl, &mut reply, &question)
        }
    }
    if manner == Manner::WrongId {
        reply.metadata.id ^= 1;
    }
    let mut asked = question;
    if manner == Manner::WrongQuestion {
        asked.set_name(Name::from_ascii("other.example.").unwrap());
    }
    reply.queries.push(asked);
    reply.to_vec().ok()
}

/// The chain of records from a name on, as a recursive server gives it.
fn answer(records: &Records, ttl: u32, reply: &mut Message, question: &hickory_proto::op::Query) {
    let mut name = question.name().clone();
    loop {
        let text = name.to_ascii().to_ascii_lowercase();
        match records.get(text.trim_end_matches('.')) {
            None => {
                let zone = Name::from_ascii("example.").unwrap();
                let soa = SOA::new(zone.clone(), zone.clone(), 1, 2, 3, 4, 60);
                reply.metadata.response_code = ResponseCode::NXDomain;
                reply.authorities.push(Record::from_rdata(zone, ttl, RData::SOA(soa)));
                return;
            }
            Some(value) => match value.parse::<Ipv4Addr>() {
                Ok(address) => {
                    if question.query_type() == RecordType::A {
                        reply.answers.push(Record::from_rdata(name, ttl, RData::A(A(address))));
                    }
                    return;
                }
                Err(_) => {
                    let target = Name::from_ascii(format!("{value}.")).unwrap();
                    reply.answers.push(Record::from_rdata(name, ttl, RData::CNAME(CNAME(target.clone()))));
                    name = target;
                }
            },
        }
    }
}
