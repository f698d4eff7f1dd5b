//! Many datagrams per system call: recvmmsg(2) and sendmmsg(2).
//!
//! This file has unsafe code: no safe wrapper of these calls supports a source address per message and
//! reuses its arrays between calls. The kernel gets pointers into vectors owned by the same struct: those for
//! receiving are never resized, those for sending are written before each call.
#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use nix::libc::{
    AF_INET, AF_INET6, CMSG_DATA, CMSG_FIRSTHDR, CMSG_LEN, CMSG_NXTHDR, CMSG_SPACE, EINVAL, EIO, EMSGSIZE,
    EOPNOTSUPP, IP_PKTINFO, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_UDP, IPV6_PKTINFO, MSG_DONTWAIT, MSG_TRUNC,
    c_int, c_uint, c_void, cmsghdr, in_addr, in_pktinfo, in6_addr, in6_pktinfo, iovec, mmsghdr, recvmmsg,
    sa_family_t, sendmmsg, sockaddr_in, sockaddr_in6, socklen_t,
};

use super::{LocalAddress, QueuedMessage, ReceiveBuffers, Received, SendFailures, ipv4_local, ipv6_local};

/// Receives with recvmmsg(2).
pub(super) struct Receiver {
    buffers: ReceiveBuffers,
    headers: Vec<mmsghdr>,
    /// One element per header, as in `peers` and `controls`: the targets of the pointers in the headers.
    parts: Vec<iovec>,
    peers: Vec<Address>,
    controls: Vec<Control>,
    /// Number of datagrams received by the last call.
    received: usize,
    /// Whether the headers have buffers for control messages.
    with_local: bool,
}

// SAFETY: the pointers refer to vectors of the same struct, which move with it and are never resized.
unsafe impl Send for Receiver {}
// SAFETY: a shared receiver is only read.
unsafe impl Sync for Receiver {}

impl Receiver {
    /// Creates a receiver without datagrams. The headers point to their buffers from here on: no vector is
    /// ever resized.
    pub(super) fn new(mut buffers: ReceiveBuffers) -> Self {
        let count = buffers.count;
        let base = buffers.octets.as_mut_ptr();
        // `wrapping_add`, here and below: the result is within the allocation by construction.
        let buffer = |index: usize| base.wrapping_add(index * buffers.stride).cast::<c_void>();
        let parts =
            (0..count).map(|index| iovec { iov_base: buffer(index), iov_len: buffers.each }).collect();
        let mut receiver = Self {
            headers: (0..count).map(|_| empty_header()).collect(),
            parts,
            peers: vec![Address::ANY; count],
            controls: vec![Control::EMPTY; count],
            received: 0,
            with_local: false,
            buffers,
        };
        receiver.link_headers();
        receiver.reset(count);
        receiver
    }

    /// Sets the pointers of each header to its own buffers.
    fn link_headers(&mut self) {
        let (parts, peers) = (self.parts.as_mut_ptr(), self.peers.as_mut_ptr());
        let controls = self.controls.as_mut_ptr();
        for (index, header) in self.headers.iter_mut().enumerate() {
            let header = &mut header.msg_hdr;
            header.msg_iov = parts.wrapping_add(index);
            header.msg_iovlen = 1;
            header.msg_name = peers.wrapping_add(index).cast();
            header.msg_control = controls.wrapping_add(index).cast();
        }
    }

    /// Restores the buffer lengths in the first `count` headers, which the kernel has overwritten.
    fn reset(&mut self, count: usize) {
        let control = if self.with_local { size_of::<Control>() } else { 0 };
        for header in self.headers.iter_mut().take(count) {
            let header = &mut header.msg_hdr;
            header.msg_namelen = size_of::<Address>() as socklen_t;
            // The type differs among C libraries; the length is less than 100.
            header.msg_controllen = control as _;
            header.msg_flags = 0;
        }
    }

    /// Maximum number of datagrams per call.
    pub(super) fn capacity(&self) -> usize {
        self.headers.len()
    }

    /// Receives the waiting datagrams.
    pub(super) fn receive(&mut self, socket: BorrowedFd<'_>, with_local: bool) -> io::Result<usize> {
        // Only headers that the last call used have to be reset, unless the size of all control buffers
        // changes.
        let changed = mem::replace(&mut self.with_local, with_local) != with_local;
        self.reset(if changed { self.headers.len() } else { self.received });
        self.received = 0;
        let capacity = self.headers.len() as c_uint;
        // SAFETY: each of the `capacity` headers points to vectors of this struct, with their actual lengths,
        // and nothing else accesses them during the call. The last argument is null: no timeout.
        let received = unsafe {
            recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                capacity,
                MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        self.received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        Ok(self.received)
    }

    /// One of the received datagrams.
    pub(super) fn get(&self, index: usize) -> Received<'_> {
        assert!(index < self.received, "the index is not within the last batch");
        let mmsghdr { msg_hdr: header, msg_len: length } = &self.headers[index];
        Received {
            message: self.buffers.get(index, *length as usize),
            peer: self.peers[index].get(header.msg_namelen),
            local: if self.with_local { self.local(index) } else { None },
            truncated: header.msg_flags & MSG_TRUNC != 0,
        }
    }

    /// The destination address of a datagram, from its control messages.
    fn local(&self, index: usize) -> Option<LocalAddress> {
        let header = &self.headers[index].msg_hdr;
        // SAFETY: the header points to a control buffer of this struct, with the length that the kernel set.
        let mut message = unsafe { CMSG_FIRSTHDR(header) };
        // SAFETY: the kernel has written complete, aligned control messages up to that length, and
        // `CMSG_NXTHDR` ends there.
        while let Some(found) = unsafe { message.as_ref() } {
            match (found.cmsg_level, found.cmsg_type) {
                (IPPROTO_IP, IP_PKTINFO) => {
                    // SAFETY: this is the data of a message of this type; it need not be aligned.
                    let info = unsafe { CMSG_DATA(found).cast::<in_pktinfo>().read_unaligned() };
                    let [spec_dst, destination] = [info.ipi_spec_dst, info.ipi_addr]
                        .map(|address| Ipv4Addr::from(address.s_addr.to_ne_bytes()));
                    return Some(ipv4_local(spec_dst, destination));
                }
                (IPPROTO_IPV6, IPV6_PKTINFO) => {
                    // SAFETY: as above.
                    let info = unsafe { CMSG_DATA(found).cast::<in6_pktinfo>().read_unaligned() };
                    return Some(ipv6_local(Ipv6Addr::from(info.ipi6_addr.s6_addr), info.ipi6_ifindex));
                }
                // SAFETY: `found` is a message within the control buffer that the header points to.
                _ => message = unsafe { CMSG_NXTHDR(header, found) },
            }
        }
        None
    }
}

/// The option that splits a message into segments (linux/udp.h). libc does not define it for every Linux
/// target.
const UDP_SEGMENT: c_int = 103;

/// Maximum size in octets of messages that are sent as segments: nearly every network transports this size
/// unfragmented, so the route's MTU is sufficient for all of them.
const MAX_SEGMENT_OCTETS: usize = 1232;

/// Maximum number of segments per message (`UDP_MAX_SEGMENTS` of Linux before 6.9).
const MAX_SEGMENTS: usize = 64;

/// Maximum size of all segments together, in octets: until they are split, they form a single packet.
const MAX_BATCH_OCTETS: usize = 60_000;

/// Number of recent batches that are searched for one with the same destination. A message whose destination
/// is not among them starts a new batch, which does not affect the order.
const LOOKBACK: usize = 16;

/// Sends with sendmmsg(2). Its arrays are reused for the next batch; between calls they hold data of the last
/// one.
#[derive(Default)]
pub(super) struct Sender {
    /// Whether messages of the same length to the same destination are sent as segments of a single message
    /// (`UDP_SEGMENT`, udp(7)), which traverses the kernel's network stack only once.
    segmentation: bool,
    gso_batches: Vec<GsoBatch>,
    /// Index of the GSO batch of each message.
    batch_of: Vec<usize>,
    headers: Vec<mmsghdr>,
    parts: Vec<iovec>,
    peers: Vec<Address>,
    controls: Vec<Control>,
}

/// The messages of one header: a single message, or several of the same length, of which the last may be
/// shorter.
#[derive(Clone, Copy)]
struct GsoBatch {
    to: Option<SocketAddr>,
    from: Option<LocalAddress>,
    /// Length of each message except the last.
    length: usize,
    count: usize,
    octets: usize,
    /// Whether a shorter message has completed the batch.
    ended: bool,
    /// Index in `parts` for the next of its messages; after `prepare`, the end of its parts.
    next: usize,
}

// SAFETY: the pointers are written before each call and are used only during it.
unsafe impl Send for Sender {}
// SAFETY: a shared sender has no accessible state.
unsafe impl Sync for Sender {}

impl Sender {
    /// Creates a sender, with segmentation until the system reports that it is not supported.
    pub(super) fn new(segmentation: bool) -> Self {
        Self { segmentation, ..Self::default() }
    }

    /// Sends messages with as few calls as possible: one, and another one for each message that fails.
    pub(super) fn send(
        &mut self,
        socket: BorrowedFd<'_>,
        octets: &[u8],
        queued: &[QueuedMessage],
    ) -> SendFailures {
        self.plan_batches(queued);
        self.prepare(octets, queued);
        let mut failures = SendFailures::default();
        let mut done = 0;
        while done < self.gso_batches.len() {
            let rest = &mut self.headers[done..self.gso_batches.len()];
            // SAFETY: each header points to vectors of this struct and into `octets`, with their actual
            // lengths. The kernel only reads them, and writes the number of octets sent into the headers.
            let sent = unsafe {
                sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), rest.len() as c_uint, MSG_DONTWAIT as _)
            };
            if let Ok(sent @ 1..) = usize::try_from(sent) {
                done += sent;
                continue;
            }
            // sendmmsg(2) stops at the first message that fails and reports the error only if that is the
            // first of the call. So the error concerns this batch, and the later ones have not been tried.
            let error = io::Error::last_os_error();
            let count = self.gso_batches[done].count;
            if count > 1 && is_segmentation_error(&error) {
                return self.send_unsegmented(socket, octets, queued, done, failures);
            }
            failures.add(count, error);
            done += 1;
        }
        failures
    }

    /// Sends the remaining messages individually, and disables segmentation for later batches.
    fn send_unsegmented(
        &mut self,
        socket: BorrowedFd<'_>,
        octets: &[u8],
        queued: &[QueuedMessage],
        done: usize,
        mut failures: SendFailures,
    ) -> SendFailures {
        // Permanently: the cause is the system or the route, so further attempts would also fail.
        self.segmentation = false;
        let remaining = queued.iter().zip(&self.batch_of).filter(|(_, batch)| **batch >= done);
        let remaining: Vec<QueuedMessage> = remaining.map(|(message, _)| *message).collect();
        let SendFailures { count, error } = self.send(socket, octets, &remaining);
        if let Some(error) = error {
            failures.add(count, error);
        }
        failures
    }

    /// Decides which messages are sent together. Batches are sent in the order of their first messages, and a
    /// message can only join the last batch for its destination: messages to the same destination keep their
    /// order.
    fn plan_batches(&mut self, queued: &[QueuedMessage]) {
        self.gso_batches.clear();
        self.batch_of.clear();
        for message in queued {
            let length = message.end - message.start;
            let last = match self.segmentation {
                true => self
                    .gso_batches
                    .iter()
                    .rev()
                    .take(LOOKBACK)
                    .position(|batch| batch.has_same_addresses(message)),
                false => None,
            };
            let last = last.map(|back| self.gso_batches.len() - 1 - back);
            let batch = match last.filter(|last| self.gso_batches[*last].accepts(length)) {
                Some(batch) => {
                    self.gso_batches[batch].add(length);
                    batch
                }
                None => {
                    self.gso_batches.push(GsoBatch::of(message));
                    self.gso_batches.len() - 1
                }
            };
            self.batch_of.push(batch);
        }
        // The parts of a batch are contiguous in `parts`, because a header refers to a range of them.
        let mut next = 0;
        for batch in &mut self.gso_batches {
            batch.next = next;
            next += batch.count;
        }
    }

    /// Writes a header for each batch. No vector is resized after the headers point to it.
    fn prepare(&mut self, octets: &[u8], queued: &[QueuedMessage]) {
        if self.headers.len() < queued.len() {
            self.headers.resize_with(queued.len(), empty_header);
            self.controls.resize(queued.len(), Control::EMPTY);
            self.peers.resize(queued.len(), Address::ANY);
            self.parts.resize(queued.len(), iovec { iov_base: ptr::null_mut(), iov_len: 0 });
        }
        for (message, batch) in queued.iter().zip(&self.batch_of) {
            let octets = &octets[message.start..message.end];
            let batch = &mut self.gso_batches[*batch];
            // The kernel only reads, but the type is shared with receiving.
            self.parts[batch.next] =
                iovec { iov_base: octets.as_ptr().cast_mut().cast(), iov_len: octets.len() };
            batch.next += 1;
        }
        let parts = self.parts.as_mut_ptr();
        let targets = self.headers.iter_mut().zip(&mut self.peers).zip(&mut self.controls);
        for (((header, peer), control), batch) in targets.zip(&self.gso_batches) {
            let header = &mut header.msg_hdr;
            // `wrapping_add`: within the vector, whose elements up to `next` have just been written.
            header.msg_iov = parts.wrapping_add(batch.next - batch.count);
            header.msg_iovlen = batch.count as _;
            header.msg_namelen = batch.to.map_or(0, |to| peer.set(to));
            header.msg_name = if batch.to.is_some() { ptr::from_mut(peer).cast() } else { ptr::null_mut() };
            let mut length = batch.from.map_or(0, |from| set_source(control, from));
            if batch.count > 1 {
                // A segment has at most 1232 octets, so the cast is lossless.
                length = control.add(length, IPPROTO_UDP, UDP_SEGMENT, batch.length as u16);
            }
            header.msg_control = if length > 0 { ptr::from_mut(control).cast() } else { ptr::null_mut() };
            // The type differs among C libraries; the length is less than 100.
            header.msg_controllen = length as _;
        }
    }
}

impl GsoBatch {
    /// A batch of one message.
    fn of(message: &QueuedMessage) -> Self {
        let QueuedMessage { start, end, to, from } = *message;
        let length = end - start;
        Self { to, from, length, count: 1, octets: length, ended: false, next: 0 }
    }

    /// Whether a message has the same destination and source.
    fn has_same_addresses(&self, message: &QueuedMessage) -> bool {
        self.to == message.to && self.from == message.from
    }

    /// Whether a message of this length can be added.
    fn accepts(&self, length: usize) -> bool {
        // All segments except the last have the same length (`UDP_SEGMENT`), and none is empty: an empty
        // message would not be a segment.
        let fits =
            (1..=self.length.min(MAX_SEGMENT_OCTETS)).contains(&length) && self.length <= MAX_SEGMENT_OCTETS;
        fits && !self.ended && self.count < MAX_SEGMENTS && self.octets + length <= MAX_BATCH_OCTETS
    }

    /// Adds a message.
    fn add(&mut self, length: usize) {
        self.count += 1;
        self.octets += length;
        self.ended = length < self.length;
    }
}

/// Whether an error means that the system, or the network device of the route, does not support segmentation:
/// the option is unknown, or checksum offloading is unavailable.
fn is_segmentation_error(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(EINVAL | EIO | EMSGSIZE | EOPNOTSUPP))
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("received", &self.received).finish_non_exhaustive()
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// A header without pointers.
fn empty_header() -> mmsghdr {
    // SAFETY: a struct of integers and pointers, for all of which zero is valid. It is not written out
    // because its padding is a field on some systems.
    unsafe { mem::zeroed() }
}

/// Writes the control message that sets the source address of a datagram, and returns its length.
fn set_source(control: &mut Control, (address, interface): LocalAddress) -> usize {
    match address {
        IpAddr::V4(address) => {
            let info = in_pktinfo {
                // No interface: only the source address is set; the routing table selects the interface.
                ipi_ifindex: 0,
                ipi_spec_dst: in_addr { s_addr: u32::from_ne_bytes(address.octets()) },
                ipi_addr: in_addr { s_addr: 0 },
            };
            control.add(0, IPPROTO_IP, IP_PKTINFO, info)
        }
        IpAddr::V6(address) => {
            let info =
                in6_pktinfo { ipi6_addr: in6_addr { s6_addr: address.octets() }, ipi6_ifindex: interface };
            control.add(0, IPPROTO_IPV6, IPV6_PKTINFO, info)
        }
    }
}

/// Buffer for control messages: packet information and the length of segments. Aligned as such messages
/// require.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; 64]);

impl Control {
    /// Without messages.
    const EMPTY: Self = Self([0; 64]);

    /// Adds a message after the first `before` octets and returns the total length.
    fn add<T>(&mut self, before: usize, level: c_int, kind: c_int, data: T) -> usize {
        let octets = size_of::<T>() as c_uint;
        // SAFETY: these functions only compute lengths.
        let (length, space) = unsafe { (CMSG_LEN(octets), CMSG_SPACE(octets) as usize) };
        let room = &mut self.0[before..before + space];
        // SAFETY: `room` is as long as a header and its data, and is aligned: `Self` is, and so is the end of
        // each message.
        let message = unsafe { &mut *room.as_mut_ptr().cast::<cmsghdr>() };
        message.cmsg_len = length as _;
        message.cmsg_level = level;
        message.cmsg_type = kind;
        // SAFETY: the data follow the header within `room`; they need not be aligned.
        unsafe { CMSG_DATA(message).cast::<T>().write_unaligned(data) };
        before + space
    }
}

/// A socket address in the kernel's representation.
#[derive(Clone, Copy)]
#[repr(C)]
union Address {
    family: sa_family_t,
    v4: sockaddr_in,
    v6: sockaddr_in6,
}

impl Address {
    /// The unspecified address. Every octet is initialised, so that all of them may be read.
    const ANY: Self = Self {
        v6: sockaddr_in6 {
            sin6_family: 0,
            sin6_port: 0,
            sin6_flowinfo: 0,
            sin6_addr: in6_addr { s6_addr: [0; 16] },
            sin6_scope_id: 0,
        },
    };

    /// The address, if it is an IP address of full length.
    fn get(&self, length: socklen_t) -> Option<SocketAddr> {
        let length = length as usize;
        // SAFETY: all octets are initialised (see `ANY`), and every value is valid.
        let (family, v4, v6) = unsafe { (self.family, self.v4, self.v6) };
        match c_int::from(family) {
            AF_INET if length >= size_of_val(&v4) => {
                let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
                Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
            }
            AF_INET6 if length >= size_of_val(&v6) => {
                let (ip, port) = (Ipv6Addr::from(v6.sin6_addr.s6_addr), u16::from_be(v6.sin6_port));
                Some(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into())
            }
            _ => None,
        }
    }

    /// Stores an address and returns its length.
    fn set(&mut self, address: SocketAddr) -> socklen_t {
        match address {
            SocketAddr::V4(address) => {
                self.v4 = sockaddr_in {
                    sin_family: AF_INET as sa_family_t,
                    sin_port: address.port().to_be(),
                    sin_addr: in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
                    sin_zero: [0; 8],
                };
                size_of::<sockaddr_in>() as socklen_t
            }
            SocketAddr::V6(address) => {
                self.v6 = sockaddr_in6 {
                    sin6_family: AF_INET6 as sa_family_t,
                    sin6_port: address.port().to_be(),
                    sin6_flowinfo: address.flowinfo(),
                    sin6_addr: in6_addr { s6_addr: address.ip().octets() },
                    sin6_scope_id: address.scope_id(),
                };
                size_of::<sockaddr_in6>() as socklen_t
            }
        }
    }
}
