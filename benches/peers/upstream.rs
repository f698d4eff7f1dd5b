//! The name server that everybody forwards to, and the least that a server can do.
//!
//! ```text
//!  below example.org   NXDOMAIN with an SOA record
//!  anything else       one or two addresses, made of the name; TTL 3600
//! ```
//!
//! Another one can be silenced, for `outage`.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread;

use nix::sys::socket::{MsgFlags, SockaddrIn};

use crate::batch::{BATCH, Inbox, Outbox, widen};
use crate::machine;
use crate::wire::HEADER;

/// Data of an SOA record: server and mailbox `a.`, and no negative answer is kept longer than 900 s.
const SOA: [u8; 26] =
    [1, b'a', 0, 1, b'a', 0, 0, 0, 0, 1, 0, 0, 14, 16, 0, 0, 3, 132, 0, 9, 58, 128, 0, 0, 3, 132];

/// The zone without names, and how long it is at the end of a name.
const NOWHERE: &[u8] = b"\x07example\x03org\0";

/// An OPT record without options.
const OPT: [u8; 11] = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];

/// The TTL of an address, in seconds.
const TTL: u32 = 3600;

/// The TTL of an address of the upstream that can be silenced, in seconds.
pub const SHORT_TTL: u32 = 2;

/// How a query is answered.
#[derive(Clone, Copy, Debug)]
pub enum Manner<'s> {
    /// As the name server above: by name and type.
    ByName,
    /// Always two IPv4 addresses, and the name is not looked at.
    Canned,
    /// By name and type unless it is silenced, with a short TTL and the generation in the addresses.
    Switched(&'s Switch),
}

/// Whether an upstream answers, and with what.
#[derive(Debug, Default)]
pub struct Switch {
    is_silent: AtomicBool,
    /// The second octet of IPv4 addresses.
    generation: AtomicU8,
}

impl Switch {
    /// From now on queries are received and not answered.
    pub fn silence(&self) {
        self.is_silent.store(true, Ordering::Release);
    }

    /// From now on queries are answered, with addresses of a new generation; returns it.
    pub fn restore(&self) -> u8 {
        let generation = self.generation.fetch_add(1, Ordering::AcqRel).wrapping_add(1);
        self.is_silent.store(false, Ordering::Release);
        generation
    }

    fn generation(&self) -> Option<u8> {
        let is_silent = self.is_silent.load(Ordering::Acquire);
        (!is_silent).then(|| self.generation.load(Ordering::Acquire))
    }
}

/// Starts an upstream that can be silenced, on a thread of its own until the process ends; returns its port.
pub fn start_switched(cpu: Option<usize>) -> io::Result<(u16, Arc<Switch>)> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = socket.local_addr()?.port();
    let switch = Arc::<Switch>::default();
    let switched = switch.clone();
    thread::Builder::new().name("upstream".to_owned()).spawn(move || {
        machine::pin(cpu);
        serve(&socket, Manner::Switched(&switched))
    })?;
    Ok((port, switch))
}

/// Answers on a thread of its own until the process ends; gives its port.
pub fn start(cpu: Option<usize>) -> io::Result<u16> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = socket.local_addr()?.port();
    thread::Builder::new().name("upstream".to_owned()).spawn(move || {
        machine::pin(cpu);
        serve(&socket, Manner::ByName)
    })?;
    Ok(port)
}

/// Answers for ever, a batch at a time.
pub fn serve(socket: &UdpSocket, manner: Manner<'_>) -> io::Result<()> {
    widen(socket)?;
    let (mut inbox, mut outbox) = (Inbox::new(), Outbox::new());
    let mut replies: Vec<Vec<u8>> = Vec::with_capacity(BATCH);
    let mut to = Vec::with_capacity(BATCH);
    loop {
        let mut used = 0;
        to.clear();
        let received = inbox.receive(socket, MsgFlags::MSG_WAITFORONE, |query, from| {
            if replies.len() == used {
                replies.push(Vec::with_capacity(512));
            }
            if answer(query, manner, &mut replies[used]).is_some() {
                used += 1;
                to.push(from);
            }
        });
        match received {
            Ok(_) => send_all(socket, &mut outbox, &replies[..used], &to),
            // What an earlier reply met is told to whoever reads next.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error),
        }
    }
}

/// Sends replies; those that the kernel does not take are lost.
fn send_all(socket: &UdpSocket, outbox: &mut Outbox, replies: &[Vec<u8>], to: &[Option<SockaddrIn>]) {
    let slices: Vec<_> = replies.iter().map(|reply| [IoSlice::new(reply)]).collect();
    let mut done = 0;
    while done < slices.len() {
        match outbox.send(socket, &slices[done..], &to[done..]) {
            Ok(sent) if sent > 0 => done += sent,
            _ => return,
        }
    }
}

/// Writes the reply to a query; the question stands in it as it came, letter for letter. `None`: no query, or it is
/// not answered.
fn answer(query: &[u8], manner: Manner<'_>, out: &mut Vec<u8>) -> Option<()> {
    let name_end = name_end(query)?;
    let fixed = query.get(name_end..name_end + 4)?;
    let qtype = u16::from_be_bytes([fixed[0], fixed[1]]);
    out.clear();
    out.extend_from_slice(&query[..name_end + 4]);
    out[2] = 0x84 | query[2] & 1;
    out[3] = 0x80;
    out[6..HEADER].fill(0);
    let name = &query[HEADER..name_end];
    let nowhere = name.len().checked_sub(NOWHERE.len());
    match (manner, nowhere.filter(|at| name[*at..].eq_ignore_ascii_case(NOWHERE))) {
        (Manner::Canned, _) => addresses(out, 1, 2, 0, TTL),
        (Manner::Switched(switch), _) => {
            let generation = u32::from(switch.generation()?) << 24;
            addresses(out, qtype, 1, hash(name) & 0x00ff_ffff | generation, SHORT_TTL);
        }
        (Manner::ByName, Some(apex)) => no_such_name(out, HEADER + apex),
        (Manner::ByName, None) => {
            let hash = hash(name);
            addresses(out, qtype, 1 + (hash & 1) as u8, hash, TTL);
        }
    }
    if query[11] > 0 {
        out.extend_from_slice(&OPT);
        out[11] = 1;
    }
    Some(())
}

/// Where the question's name ends. `None`: the message is too short, or a reply.
fn name_end(query: &[u8]) -> Option<usize> {
    if query.len() < HEADER || query[2] & 0x80 != 0 {
        return None;
    }
    let mut at = HEADER;
    loop {
        match *query.get(at)? {
            0 => return Some(at + 1),
            length => at += 1 + usize::from(length),
        }
    }
}

/// Writes `count` addresses of the type asked for, out of a hash; for another type there is no data.
fn addresses(out: &mut Vec<u8>, qtype: u16, count: u8, hash: u32, ttl: u32) {
    let [a, b, c, d] = hash.to_be_bytes();
    let [.., ttl_high, ttl_low] = ttl.to_be_bytes();
    for index in 0..count {
        let head = [0xc0, 12, 0, qtype as u8, 0, 1, 0, 0, ttl_high, ttl_low, 0];
        match qtype {
            1 => {
                out.extend_from_slice(&head);
                out.extend_from_slice(&[4, 203, a, b, c ^ d ^ index]);
            }
            28 => {
                out.extend_from_slice(&head);
                out.extend_from_slice(&[16, 0x2a, 0, 0x12, 0x34, 0, 0, 0, 0, 0, 0, 0, index, a, b, c, d]);
            }
            _ => return,
        }
        out[7] = index + 1;
    }
}

/// Writes that the name does not exist, with the SOA record of the zone whose name stands at `apex`.
fn no_such_name(out: &mut Vec<u8>, apex: usize) {
    out[3] |= 3;
    out[9] = 1;
    out.extend_from_slice(&[0xc0, apex as u8, 0, 6, 0, 1, 0, 0, 3, 132, 0, SOA.len() as u8]);
    out.extend_from_slice(&SOA);
}

/// A hash of a name that its case does not change (FNV-1a).
fn hash(name: &[u8]) -> u32 {
    name.iter().fold(0x811c_9dc5, |hash, octet| {
        (hash ^ u32::from(octet.to_ascii_lowercase())).wrapping_mul(0x0100_0193)
    })
}
