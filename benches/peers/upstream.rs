//! The upstream that all servers forward to, and the simplest possible server.
//!
//! ```text
//!  below example.org   NXDOMAIN with an SOA record
//!  anything else       one or two addresses derived from the name; TTL 3600
//! ```
//!
//! Another instance can be silenced, for `outage`.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread;

use nix::sys::socket::{MsgFlags, SockaddrIn};

use crate::batch::{BATCH, Inbox, Outbox, enlarge_buffers};
use crate::machine;
use crate::wire::HEADER;

/// Data of an SOA record: server and mailbox `a.`; negative answers are cached for at most 900 s.
const SOA: [u8; 26] =
    [1, b'a', 0, 1, b'a', 0, 0, 0, 0, 1, 0, 0, 14, 16, 0, 0, 3, 132, 0, 9, 58, 128, 0, 0, 3, 132];

/// The zone whose names do not exist, as the end of a name in wire form.
const NONEXISTENT: &[u8] = b"\x07example\x03org\0";

/// An OPT record without options.
const OPT: [u8; 11] = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];

/// The TTL of an address, in seconds.
const TTL: u32 = 3600;

/// The TTL of an address of the upstream that can be silenced, in seconds.
pub(crate) const SHORT_TTL: u32 = 2;

/// How queries are answered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ReplyMode<'s> {
    /// By name and type, as described above.
    ByName,
    /// Always two IPv4 addresses, regardless of the name.
    Canned,
    /// By name and type unless silenced, with a short TTL and the generation in the addresses.
    Switched(&'s UpstreamSwitch),
}

/// Whether an upstream answers, and with which addresses.
#[derive(Debug, Default)]
pub(crate) struct UpstreamSwitch {
    is_silent: AtomicBool,
    /// The second octet of IPv4 addresses.
    generation: AtomicU8,
}

impl UpstreamSwitch {
    /// Stops answering. Queries are still received.
    pub(crate) fn silence(&self) {
        self.is_silent.store(true, Ordering::Release);
    }

    /// Answers again, with addresses of a new generation, which is returned.
    pub(crate) fn restore(&self) -> u8 {
        let generation = self.generation.fetch_add(1, Ordering::AcqRel).wrapping_add(1);
        self.is_silent.store(false, Ordering::Release);
        generation
    }

    fn generation(&self) -> Option<u8> {
        let is_silent = self.is_silent.load(Ordering::Acquire);
        (!is_silent).then(|| self.generation.load(Ordering::Acquire))
    }
}

/// Starts an upstream that can be silenced, on a separate thread that runs until the process ends. Returns
/// its port.
pub(crate) fn start_switched(cpu: Option<usize>) -> io::Result<(u16, Arc<UpstreamSwitch>)> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = socket.local_addr()?.port();
    let switch = Arc::<UpstreamSwitch>::default();
    let switched = switch.clone();
    thread::Builder::new().name("upstream".to_owned()).spawn(move || {
        machine::pin(cpu);
        serve(&socket, ReplyMode::Switched(&switched))
    })?;
    Ok((port, switch))
}

/// Starts the upstream on a separate thread that runs until the process ends. Returns its port.
pub(crate) fn start(cpu: Option<usize>) -> io::Result<u16> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = socket.local_addr()?.port();
    thread::Builder::new().name("upstream".to_owned()).spawn(move || {
        machine::pin(cpu);
        serve(&socket, ReplyMode::ByName)
    })?;
    Ok(port)
}

/// Answers queries indefinitely, one batch at a time.
pub(crate) fn serve(socket: &UdpSocket, mode: ReplyMode<'_>) -> io::Result<()> {
    enlarge_buffers(socket)?;
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
            if answer(query, mode, &mut replies[used]).is_some() {
                used += 1;
                to.push(from);
            }
        });
        match received {
            Ok(_) => send_all(socket, &mut outbox, &replies[..used], &to),
            // An ICMP error that an earlier reply caused is reported to the next read.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error),
        }
    }
}

/// Sends replies. Those that do not fit into the send buffer are lost.
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

/// Writes the reply to a query, with an exact copy of its question. `None` if the message is not a query or
/// is not answered.
fn answer(query: &[u8], mode: ReplyMode<'_>, out: &mut Vec<u8>) -> Option<()> {
    let name_end = name_end(query)?;
    let fixed = query.get(name_end..name_end + 4)?;
    let qtype = u16::from_be_bytes([fixed[0], fixed[1]]);
    out.clear();
    out.extend_from_slice(&query[..name_end + 4]);
    out[2] = 0x84 | query[2] & 1;
    out[3] = 0x80;
    out[6..HEADER].fill(0);
    let name = &query[HEADER..name_end];
    let nonexistent = name.len().checked_sub(NONEXISTENT.len());
    match (mode, nonexistent.filter(|at| name[*at..].eq_ignore_ascii_case(NONEXISTENT))) {
        (ReplyMode::Canned, _) => addresses(out, 1, 2, 0, TTL),
        (ReplyMode::Switched(switch), _) => {
            let generation = u32::from(switch.generation()?) << 24;
            addresses(out, qtype, 1, hash(name) & 0x00ff_ffff | generation, SHORT_TTL);
        }
        (ReplyMode::ByName, Some(apex)) => nxdomain(out, HEADER + apex),
        (ReplyMode::ByName, None) => {
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

/// The end of the query name. `None` if the message is too short or is a response.
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

/// Writes `count` addresses of the query type, derived from a hash. Other types have no data.
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

/// Writes an NXDOMAIN reply with the SOA record of the zone whose name is at the offset `apex`.
fn nxdomain(out: &mut Vec<u8>, apex: usize) {
    out[3] |= 3;
    out[9] = 1;
    out.extend_from_slice(&[0xc0, apex as u8, 0, 6, 0, 1, 0, 0, 3, 132, 0, SOA.len() as u8]);
    out.extend_from_slice(&SOA);
}

/// A case-insensitive hash of a name (FNV-1a).
fn hash(name: &[u8]) -> u32 {
    name.iter().fold(0x811c_9dc5, |hash, octet| {
        (hash ^ u32::from(octet.to_ascii_lowercase())).wrapping_mul(0x0100_0193)
    })
}
