//! A UDP socket that knows which of its addresses was asked.
//!
//! Bound to one address, that is the one. Bound to a wildcard, the system chooses the source of a reply by
//! its routes, which is wrong as soon as a host has two addresses, and every VPC host asks
//! 169.254.169.253 beside its VPC's base + 2: a stub resolver drops a reply from an address it did not ask
//! (RFC 5452 section 9.1). So each packet is asked for its destination (`IP_PKTINFO`, RFC 3542 section 6)
//! and the reply is told to leave from there.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, RawFd};

use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, sendto, setsockopt,
    sockopt,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// A bound UDP socket.
pub(super) struct Port {
    socket: UdpSocket,
    bound: SocketAddr,
}

/// Room for one packet-information message. Its reader's own, so that a port can be shared by those who send.
pub(super) struct Room(Vec<u8>);

/// One datagram received: how long it is, who sent it, and to where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// Octets at the start of the buffer.
    pub(super) length: usize,
    /// Who asked.
    pub(super) peer: SocketAddr,
    /// The address of ours that was asked, from which the reply leaves.
    pub(super) local: IpAddr,
    /// The interface it came in by; 0 unless `local` means nothing without (IPv6 link-local).
    interface: u32,
}

impl Port {
    /// Takes over a bound socket and has a wildcard one tell the address of each packet.
    pub(super) fn new(socket: std::net::UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let bound = socket.local_addr()?;
        match bound.ip() {
            ip if !ip.is_unspecified() => {}
            IpAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?,
            IpAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?,
        }
        Ok(Self { socket: UdpSocket::from_std(socket)?, bound })
    }

    /// Room for what its packets come with.
    pub(super) fn room(&self) -> Room {
        Room(match self.bound.ip() {
            ip if !ip.is_unspecified() => Vec::new(),
            IpAddr::V4(_) => nix::cmsg_space!(in_pktinfo),
            IpAddr::V6(_) => nix::cmsg_space!(in6_pktinfo),
        })
    }

    /// True where the socket takes packets for every address of the host.
    fn is_wildcard(&self) -> bool {
        self.bound.ip().is_unspecified()
    }

    /// True where the sender, as written, is this very socket: a reply would come straight back.
    pub(super) fn is_own(&self, asked: &Asked) -> bool {
        let ip = asked.peer.ip();
        // Behind a wildcard every loopback address is ours too.
        let own_address = ip == asked.local || (self.is_wildcard() && ip.is_loopback());
        asked.peer.port() == self.bound.port() && own_address
    }

    /// Waits until a datagram may be there. Loses nothing when dropped.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// Receives one datagram into `buffer`, which takes any datagram at 65,535 octets.
    ///
    /// # Errors
    /// `WouldBlock` when none is there; `InvalidData` when one came without the addresses it should have;
    /// else what the system says.
    pub(super) fn receive(&self, buffer: &mut [u8], room: &mut Room) -> io::Result<Asked> {
        if self.is_wildcard() {
            let fd = self.socket.as_raw_fd();
            self.socket.try_io(Interest::READABLE, || receive_with_address(fd, buffer, &mut room.0))
        } else {
            let (length, peer) = self.socket.try_recv_from(buffer)?;
            Ok(Asked { length, peer, local: self.bound.ip(), interface: 0 })
        }
    }

    /// Sends `reply` to the one who asked, from the address that was asked.
    ///
    /// Does not wait: a datagram that finds the send buffer full is lost, as it may be anywhere on its way.
    /// The call is made without asking the runtime first, which would have to see the buffer empty itself
    /// before it believed so again.
    ///
    /// # Errors
    /// What the system says: `WouldBlock`, a message too long, an unreachable peer.
    pub(super) fn send(&self, reply: &[u8], asked: &Asked) -> io::Result<()> {
        let fd = self.socket.as_raw_fd();
        let peer = SockaddrStorage::from(asked.peer);
        if !self.is_wildcard() {
            sendto(fd, reply, &peer, MsgFlags::MSG_DONTWAIT)?;
            return Ok(());
        }
        let parts = [IoSlice::new(reply)];
        let send =
            |source: ControlMessage<'_>| sendmsg(fd, &parts, &[source], MsgFlags::MSG_DONTWAIT, Some(&peer));
        match asked.local {
            IpAddr::V4(local) => send(ControlMessage::Ipv4PacketInfo(&in_pktinfo {
                // No interface: the routes choose the way, only the source is ours to say.
                ipi_ifindex: 0,
                ipi_spec_dst: in_addr { s_addr: u32::from_ne_bytes(local.octets()) },
                ipi_addr: in_addr { s_addr: 0 },
            }))?,
            IpAddr::V6(local) => send(ControlMessage::Ipv6PacketInfo(&in6_pktinfo {
                ipi6_addr: in6_addr { s6_addr: local.octets() },
                ipi6_ifindex: asked.interface,
            }))?,
        };
        Ok(())
    }
}

fn receive_with_address(fd: RawFd, buffer: &mut [u8], control: &mut [u8]) -> io::Result<Asked> {
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT;
    let received = recvmsg::<SockaddrStorage>(fd, &mut parts, Some(control), flags)?;
    let peer = received
        .address
        .as_ref()
        .and_then(to_socket_address)
        .ok_or_else(|| incomplete("a datagram without a sender"))?;
    let (local, interface) = received
        .cmsgs()?
        .find_map(|message| local_address(&message))
        .ok_or_else(|| incomplete("a datagram without packet information"))?;
    Ok(Asked { length: received.bytes, peer, local, interface })
}

fn incomplete(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn local_address(message: &ControlMessageOwned) -> Option<(IpAddr, u32)> {
    match message {
        // Not `ipi_addr`: that is the destination as written, which may be a broadcast address, and no
        // reply can leave from one. For all others the two are the same.
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            let [own, written] = [info.ipi_spec_dst, info.ipi_addr]
                .map(|address| Ipv4Addr::from(address.s_addr.to_ne_bytes()));
            // A packet that came between the bind and the option has the latter alone.
            let local = if own.is_unspecified() { written } else { own };
            Some((local.into(), 0))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            let local = std::net::Ipv6Addr::from(info.ipi6_addr.s6_addr);
            let interface = if local.is_unicast_link_local() { info.ipi6_ifindex } else { 0 };
            Some((local.into(), interface))
        }
        _ => None,
    }
}

fn to_socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddrV4::from(*v4).into());
    }
    address.as_sockaddr_in6().map(|v6| SocketAddrV6::from(*v6).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_knows_itself() {
        for (bound, peer, local, own) in [
            ("127.0.0.1", "127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", "127.0.0.1", false),
            ("0.0.0.0", "192.0.2.1", "192.0.2.1", true),
            ("0.0.0.0", "127.0.0.9", "127.0.0.1", true),
            ("0.0.0.0", "192.0.2.2", "192.0.2.1", false),
        ] {
            let socket = std::net::UdpSocket::bind((bound, 0)).expect("a free port");
            let port = Port::new(socket).expect("a port");
            let number = port.bound.port();
            let mut asked = Asked {
                length: 0,
                peer: SocketAddr::new(peer.parse().expect("ip"), number),
                local: local.parse().expect("ip"),
                interface: 0,
            };
            assert_eq!(port.is_own(&asked), own, "{bound} {peer} {local}");
            asked.peer.set_port(number ^ 1);
            assert!(!port.is_own(&asked), "another port is another socket");
        }
    }
}
