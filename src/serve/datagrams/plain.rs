//! One datagram per system call, with safe code.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg};

use super::{LocalAddress, QueuedMessage, ReceiveBuffers, Received, SendFailures, ipv4_local, ipv6_local};

/// Receives with recvmsg(2), as long as datagrams are waiting.
#[derive(Debug)]
pub(super) struct Receiver {
    buffers: ReceiveBuffers,
    arrived: Vec<Arrived>,
    control: Vec<u8>,
    /// An error that followed some datagrams, to be returned by the next call.
    error: Option<io::Error>,
}

/// Metadata of a datagram.
#[derive(Debug)]
struct Arrived {
    length: usize,
    peer: Option<SocketAddr>,
    local: Option<LocalAddress>,
    truncated: bool,
}

impl Receiver {
    /// Creates a receiver without datagrams.
    pub(super) fn new(buffers: ReceiveBuffers) -> Self {
        let arrived = Vec::with_capacity(buffers.count);
        Self { buffers, arrived, control: nix::cmsg_space!(in6_pktinfo), error: None }
    }

    /// Maximum number of datagrams per call.
    pub(super) fn capacity(&self) -> usize {
        self.buffers.count
    }

    /// Receives until no datagram is waiting or all buffers are in use.
    pub(super) fn receive(&mut self, socket: BorrowedFd<'_>, with_local: bool) -> io::Result<usize> {
        self.arrived.clear();
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        while self.arrived.len() < self.buffers.count {
            let start = self.arrived.len() * self.buffers.stride;
            let buffer = &mut self.buffers.octets[start..start + self.buffers.each];
            let control = with_local.then_some(&mut self.control);
            match receive_one(socket.as_raw_fd(), buffer, control) {
                Ok(arrived) => self.arrived.push(arrived),
                Err(error) if self.arrived.is_empty() => return Err(error),
                Err(error) => {
                    self.error = Some(error).filter(|error| error.kind() != io::ErrorKind::WouldBlock);
                    break;
                }
            }
        }
        Ok(self.arrived.len())
    }

    /// One of the received datagrams.
    pub(super) fn get(&self, index: usize) -> Received<'_> {
        let Arrived { length, peer, local, truncated } = self.arrived[index];
        Received { message: self.buffers.get(index, length), peer, local, truncated }
    }
}

/// Receives one datagram, and its destination if there is a control buffer.
fn receive_one(socket: RawFd, buffer: &mut [u8], control: Option<&mut Vec<u8>>) -> io::Result<Arrived> {
    let mut parts = [IoSliceMut::new(buffer)];
    let with_local = control.is_some();
    let received = recvmsg::<SockaddrStorage>(
        socket,
        &mut parts,
        control.map(Vec::as_mut_slice),
        MsgFlags::MSG_DONTWAIT,
    )?;
    let local = match with_local {
        true => received.cmsgs()?.find_map(|message| local_address(&message)),
        false => None,
    };
    Ok(Arrived {
        length: received.bytes,
        peer: received.address.as_ref().and_then(to_socket_address),
        local,
        truncated: received.flags.contains(MsgFlags::MSG_TRUNC),
    })
}

/// The destination address of a datagram, if the control message contains it.
fn local_address(message: &ControlMessageOwned) -> Option<LocalAddress> {
    match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            let [spec_dst, destination] = [info.ipi_spec_dst, info.ipi_addr]
                .map(|address| Ipv4Addr::from(address.s_addr.to_ne_bytes()));
            Some(ipv4_local(spec_dst, destination))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            Some(ipv6_local(Ipv6Addr::from(info.ipi6_addr.s6_addr), info.ipi6_ifindex))
        }
        _ => None,
    }
}

/// Converts to a standard library address. `None` if it is not an IP address.
fn to_socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddrV4::from(*v4).into());
    }
    address.as_sockaddr_in6().map(|v6| SocketAddrV6::from(*v6).into())
}

/// Sends messages one by one.
pub(super) fn send(socket: BorrowedFd<'_>, octets: &[u8], queued: &[QueuedMessage]) -> SendFailures {
    let mut failures = SendFailures::default();
    for message in queued {
        if let Err(error) = send_one(socket.as_raw_fd(), &octets[message.start..message.end], message) {
            failures.add(1, error);
        }
    }
    failures
}

/// Sends one message.
fn send_one(socket: RawFd, octets: &[u8], message: &QueuedMessage) -> io::Result<()> {
    let peer = message.to.map(SockaddrStorage::from);
    let parts = [IoSlice::new(octets)];
    let send = |control: &[ControlMessage<'_>]| {
        sendmsg(socket, &parts, control, MsgFlags::MSG_DONTWAIT, peer.as_ref())
    };
    match message.from {
        None => send(&[]),
        Some((IpAddr::V4(local), _)) => send(&[ControlMessage::Ipv4PacketInfo(&in_pktinfo {
            // No interface: only the source address is set; the routing table selects the interface.
            ipi_ifindex: 0,
            ipi_spec_dst: in_addr { s_addr: u32::from_ne_bytes(local.octets()) },
            ipi_addr: in_addr { s_addr: 0 },
        })]),
        Some((IpAddr::V6(local), interface)) => send(&[ControlMessage::Ipv6PacketInfo(&in6_pktinfo {
            ipi6_addr: in6_addr { s6_addr: local.octets() },
            ipi6_ifindex: interface,
        })]),
    }?;
    Ok(())
}
