//! Many datagrams in one system call.
//!
//! ```text
//!  socket ─▶ Inbox::receive ─▶ get(0), get(1), …        recvmmsg: one call for all that wait
//!                                   │
//!  socket ◀─ Outbox::send ◀─ seal ◀─┴─ buffer           sendmmsg: one call for all that is said
//! ```
//!
//! A batch saves the way into the kernel for all but one datagram. Neither side ever waits: who has nothing
//! to read is told so, and what cannot be sent at once is lost, as it may be anywhere on its way.
//!
//! With segmentation the way through the network stack, too, is gone once for several messages: those of one length
//! to one destination are one packet until the device, or the socket that they are for, cuts them. On loopback 64
//! messages to 4 sockets cost 0.25 µs each in place of 0.76.
//!
//! There are two back-ends. `batch` calls recvmmsg(2) and sendmmsg(2), and is the one file of the project with
//! unsafe code; `plain` takes one datagram at a time by safe means, everywhere. A test holds them to the same
//! behaviour.

#[cfg(target_os = "linux")]
mod batch;
mod plain;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::BorrowedFd;

/// Octets of room for each datagram that take any: the longest that UDP can announce.
pub const ANY_DATAGRAM: usize = 65_535;

/// Octets between the end of one room and the start of the next, at least. Rooms that start at equal offsets
/// of their pages would share the same few sets of the processor's caches.
const BUFFER_GAP: usize = 192;

/// The size of a page that offsets are counted in.
const PAGE: usize = 4096;

/// Octets that an outbox keeps when it is empty. A few long replies do not hold memory for ever.
const MAX_RETAINED: usize = 1 << 20;

/// How datagrams are handed to the system and taken from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// As many as there are with each call. On systems that have no such call it is `Plain`.
    Batch,
    /// One with each call.
    Plain,
}

impl Backend {
    /// The quickest that the system has.
    pub const fn best() -> Self {
        if cfg!(target_os = "linux") { Self::Batch } else { Self::Plain }
    }
}

/// The address that a datagram was sent to, from which a reply to it leaves; and the interface it came in by,
/// 0 unless the address means nothing without (IPv6 link-local).
pub type LocalAddress = (IpAddr, u32);

/// A datagram as it was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received<'i> {
    /// Its octets, as many as fit into its room.
    pub message: &'i [u8],
    /// Who sent it. `None` when the system does not say.
    pub peer: Option<SocketAddr>,
    /// Where it was sent to. `None` unless it was asked for, and the socket tells (`IP_PKTINFO`).
    pub local: Option<LocalAddress>,
    /// Whether it was longer than its room.
    pub truncated: bool,
}

/// Where datagrams are received. It holds those of the last call until the next.
#[derive(Debug)]
pub struct Inbox(Receiver);

/// An inbox of one of the back-ends.
#[derive(Debug)]
enum Receiver {
    /// recvmmsg(2).
    #[cfg(target_os = "linux")]
    Batch(batch::Receiver),
    /// recvmsg(2).
    Plain(plain::Receiver),
}

impl Inbox {
    /// Room for so many datagrams of so many octets each. Memory that no datagram ever touches is never taken
    /// from the system.
    pub fn new(backend: Backend, datagrams: usize, octets_each: usize) -> Self {
        let rooms = ReceiveBuffers::new(datagrams, octets_each);
        Self(match backend {
            #[cfg(target_os = "linux")]
            Backend::Batch => Receiver::Batch(batch::Receiver::new(rooms)),
            _ => Receiver::Plain(plain::Receiver::new(rooms)),
        })
    }

    /// How many datagrams one call takes at most.
    pub fn capacity(&self) -> usize {
        match &self.0 {
            #[cfg(target_os = "linux")]
            Receiver::Batch(receiver) => receiver.capacity(),
            Receiver::Plain(receiver) => receiver.capacity(),
        }
    }

    /// Receives what is there, and says how many. Does not wait. `with_local` asks for the address that each
    /// was sent to, which a socket bound to a wildcard tells when it was told to.
    ///
    /// Fewer than [`capacity`](Self::capacity) means that nothing more was there: whoever polls the socket may
    /// wait for it to become readable again.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there; else what the system says of the first. What it says of a later one
    /// is said by the next call.
    pub fn receive(&mut self, socket: BorrowedFd<'_>, with_local: bool) -> io::Result<usize> {
        match &mut self.0 {
            #[cfg(target_os = "linux")]
            Receiver::Batch(receiver) => receiver.receive(socket, with_local),
            Receiver::Plain(receiver) => receiver.receive(socket, with_local),
        }
    }

    /// One of the datagrams that the last call received.
    ///
    /// # Panics
    /// When it received fewer.
    pub fn get(&self, index: usize) -> Received<'_> {
        match &self.0 {
            #[cfg(target_os = "linux")]
            Receiver::Batch(receiver) => receiver.get(index),
            Receiver::Plain(receiver) => receiver.get(index),
        }
    }
}

/// Datagrams on their way out: written one after the other into one buffer, then sent together.
#[derive(Debug)]
pub struct Outbox {
    octets: Vec<u8>,
    queued: Vec<QueuedMessage>,
    sender: Sender,
    error: Option<io::Error>,
}

/// A message that is ready to leave.
#[derive(Clone, Copy, Debug)]
struct QueuedMessage {
    /// Where it begins and ends in the outbox's octets.
    start: usize,
    end: usize,
    /// Where to. `None` for a connected socket, which knows.
    to: Option<SocketAddr>,
    /// Where from. `None`: the system chooses.
    from: Option<LocalAddress>,
}

/// An outbox of one of the back-ends.
#[derive(Debug)]
enum Sender {
    /// sendmmsg(2).
    #[cfg(target_os = "linux")]
    Batch(batch::Sender),
    /// sendmsg(2).
    Plain,
}

/// Messages that did not leave.
#[derive(Debug, Default)]
struct SendFailures {
    /// How many.
    count: usize,
    /// What the system said of the last of them.
    error: Option<io::Error>,
}

impl SendFailures {
    /// So many more did not leave.
    fn add(&mut self, count: usize, error: io::Error) {
        self.count += count;
        self.error = Some(error);
    }
}

impl Outbox {
    /// Nothing is to be sent. With `segmentation`, messages of one length to one destination leave as one that is
    /// cut on its way (`UDP_SEGMENT`), where the back-end and the system can.
    pub fn new(backend: Backend, segmentation: bool) -> Self {
        let sender = match backend {
            #[cfg(target_os = "linux")]
            Backend::Batch => Sender::Batch(batch::Sender::new(segmentation)),
            _ => Sender::Plain,
        };
        Self { octets: Vec::new(), queued: Vec::new(), sender, error: None }
    }

    /// Where the next message is appended, after those that are sealed.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.octets
    }

    /// Closes the message begun since the last one was closed. `to` is `None` for connected sockets; `from` is
    /// the address that it leaves from where the socket is bound to a wildcard.
    pub fn commit(&mut self, to: Option<SocketAddr>, from: Option<LocalAddress>) {
        let (start, end) = (self.end(), self.octets.len());
        self.queued.push(QueuedMessage { start, end, to, from });
    }

    /// Drops what was appended since the last message was closed.
    pub fn roll_back(&mut self) {
        let end = self.end();
        self.octets.truncate(end);
    }

    /// How many messages wait to be sent.
    pub fn len(&self) -> usize {
        self.queued.len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.queued.is_empty()
    }

    /// Sends all messages and forgets them, and what was not closed. Says how many did not leave. What goes to one
    /// destination leaves in order.
    ///
    /// Does not wait: a message that finds the send buffer full, is too long or goes nowhere is left out, and
    /// those after it leave all the same.
    pub fn send(&mut self, socket: BorrowedFd<'_>) -> usize {
        let SendFailures { count, error } = match &mut self.sender {
            #[cfg(target_os = "linux")]
            Sender::Batch(sender) => sender.send(socket, &self.octets, &self.queued),
            Sender::Plain => plain::send(socket, &self.octets, &self.queued),
        };
        self.error = error;
        self.clear();
        count
    }

    /// Forgets all messages without sending them.
    pub fn clear(&mut self) {
        self.queued.clear();
        self.octets.clear();
        if self.octets.capacity() > MAX_RETAINED {
            self.octets.shrink_to(MAX_RETAINED);
        }
    }

    /// What the system said of the last message that did not leave with the last [`send`](Self::send).
    pub fn take_error(&mut self) -> Option<io::Error> {
        self.error.take()
    }

    /// Where the last sealed message ends.
    fn end(&self) -> usize {
        self.queued.last().map_or(0, |sealed| sealed.end)
    }
}

/// The memory that datagrams are received into: one room for each.
#[derive(Debug)]
struct ReceiveBuffers {
    octets: Vec<u8>,
    /// How many there are.
    count: usize,
    /// Octets of each.
    each: usize,
    /// From the start of one to the start of the next.
    stride: usize,
}

impl ReceiveBuffers {
    /// Allocated zeroed and at once, so that the system gives pages when they are first written to.
    fn new(count: usize, each: usize) -> Self {
        let stride = each.next_multiple_of(64) + BUFFER_GAP;
        let stride = if stride.is_multiple_of(PAGE) { stride + BUFFER_GAP } else { stride };
        Self { octets: vec![0; stride * count], count, each, stride }
    }

    /// The first octets of a room.
    fn get(&self, index: usize, length: usize) -> &[u8] {
        let start = index * self.stride;
        &self.octets[start..start + length.min(self.each)]
    }
}

/// What the IPv4 packet information of a datagram says of where it was sent to.
fn ipv4_local(own: Ipv4Addr, written: Ipv4Addr) -> LocalAddress {
    // Not `ipi_addr`, the destination as written: that may be a broadcast address, and no reply can leave from
    // one. For all others the two are the same. A packet that came between the bind and the option that asks for
    // this has the latter alone.
    (if own.is_unspecified() { written } else { own }.into(), 0)
}

/// What the IPv6 packet information of a datagram says of where it was sent to.
fn ipv6_local(address: Ipv6Addr, interface: u32) -> LocalAddress {
    (address.into(), if address.is_unicast_link_local() { interface } else { 0 })
}
