//! Sockets to listen on, and what to do when the system will not give one.
//!
//! Binding is apart from serving: every socket is bound before any door opens, so a daemon that cannot
//! have all its addresses says so and serves none of them. The sockets are plain `std` ones, which a test,
//! or a service manager that hands over descriptors, can supply as well.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, getsockopt, listen, setsockopt,
    socket, sockopt,
};

/// How often [`bind_both`] looks for a port that is free for UDP and TCP alike.
const SAME_PORT_ATTEMPTS: usize = 16;

/// Octets of datagrams that may wait to be read. Linux's default is full with three of the longest and some
/// twenty queries, and what comes then is dropped.
const RECEIVE_BUFFER: usize = 1 << 20;

/// Whether this host has an address, so that a socket can leave from it.
pub fn is_own_address(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// Binds a UDP socket and a TCP listener to one address.
///
/// DNS wants both on the same port (RFC 7766 section 5), so where `address` has port 0 the TCP listener
/// takes the port that UDP was given. A stranger may hold that port on TCP; then another is tried, a
/// bounded number of times.
///
/// # Errors
/// The first socket that could not be had; the other is closed again.
pub fn bind_both(address: SocketAddr) -> Result<(UdpSocket, TcpListener), BindError> {
    let mut attempts_left = SAME_PORT_ATTEMPTS;
    loop {
        attempts_left -= 1;
        let udp = bind_udp(address)?;
        let chosen = udp.local_addr().map_err(|source| BindError::new(Protocol::Udp, address, source))?;
        match bind_tcp(SocketAddr::new(address.ip(), chosen.port())) {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error)
                if address.port() == 0
                    && attempts_left > 0
                    && error.source.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
        }
    }
}

/// Binds a non-blocking UDP socket.
///
/// Without `SO_REUSEPORT`, so that a second daemon on the same address fails instead of taking a share of
/// the packets. An IPv6 socket carries IPv6 only, so that `0.0.0.0` and `[::]` can be listened on apart.
///
/// # Errors
/// [`BindError`], which knows what to do about it.
pub fn bind_udp(address: SocketAddr) -> Result<UdpSocket, BindError> {
    bind_socket(address, SockType::Datagram, false)
        .map(UdpSocket::from)
        .map_err(|source| BindError::new(Protocol::Udp, address, source))
}

/// Binds one more UDP socket to the address of one that is bound already, for another reader: the system divides
/// the datagrams by their senders (`SO_REUSEPORT`).
///
/// The first was bound without that option, so nobody else had the address, and whoever comes without one of these
/// sockets in hand still fails.
///
/// # Errors
/// [`BindError`], which knows what to do about it.
pub fn bind_udp_beside(first: &UdpSocket) -> Result<UdpSocket, BindError> {
    let no_address = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
    let address = first.local_addr().map_err(|source| BindError::new(Protocol::Udp, no_address, source))?;
    setsockopt(first, sockopt::ReusePort, &true)
        .map_err(io::Error::from)
        .and_then(|()| bind_socket(address, SockType::Datagram, true))
        .map(UdpSocket::from)
        .map_err(|source| BindError::new(Protocol::Udp, address, source))
}

/// Binds a non-blocking TCP listener.
///
/// With `SO_REUSEADDR`, so that a restart need not wait for old connections in TIME_WAIT; on Linux two
/// listeners on one address still exclude each other. An IPv6 listener carries IPv6 only.
///
/// # Errors
/// [`BindError`], which knows what to do about it.
pub fn bind_tcp(address: SocketAddr) -> Result<TcpListener, BindError> {
    bind_socket(address, SockType::Stream, false)
        .map(TcpListener::from)
        .map_err(|source| BindError::new(Protocol::Tcp, address, source))
}

fn bind_socket(address: SocketAddr, kind: SockType, shared: bool) -> io::Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let fd = socket(family, kind, flags, None)?;
    if address.is_ipv6() {
        setsockopt(&fd, sockopt::Ipv6V6Only, &true)?;
    }
    if kind == SockType::Stream {
        setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    }
    if shared {
        setsockopt(&fd, sockopt::ReusePort, &true)?;
    }
    // A system with a larger default knows why.
    if kind == SockType::Datagram && getsockopt(&fd, sockopt::RcvBuf)? < RECEIVE_BUFFER {
        // The system lowers this to net.core.rmem_max.
        setsockopt(&fd, sockopt::RcvBuf, &RECEIVE_BUFFER)?;
    }
    bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
    if kind == SockType::Stream {
        // The system lowers this to net.core.somaxconn.
        listen(&fd, Backlog::MAXCONN)?;
    }
    Ok(fd)
}

/// What a socket carries; for messages to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Datagrams.
    Udp,
    /// Connections.
    Tcp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        })
    }
}

/// A listener's address could not be bound.
///
/// `Display` gives the reason in words, `source()` the system's own error, [`help`](Self::help) the way
/// out.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({protocol}): {}", reason(source))]
pub struct BindError {
    /// What was to be carried.
    pub protocol: Protocol,
    /// The address asked for.
    pub address: SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "the address is in use".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::AddrNotAvailable => "this host has no such address".into(),
        _ => error.to_string(),
    }
}

impl BindError {
    fn new(protocol: Protocol, address: SocketAddr, source: io::Error) -> Self {
        Self { protocol, address, source }
    }

    /// What a person can do about it: whole sentences, with commands to copy.
    pub fn help(&self, key: &str) -> String {
        match self.source.kind() {
            io::ErrorKind::AddrInUse => self.help_in_use(key),
            io::ErrorKind::PermissionDenied if self.address.port() < 1024 => format!(
                "A port below 1024 needs the capability CAP_NET_BIND_SERVICE. Under systemd: \
                 `AmbientCapabilities=CAP_NET_BIND_SERVICE`. By hand: `setcap cap_net_bind_service=+ep` on the \
                 plustwo binary. Or give `{key}` a port above 1023."
            ),
            io::ErrorKind::PermissionDenied => "The port needs no privilege, so a security policy \
                forbids it: look for a denial of SELinux, AppArmor or seccomp \
                (`journalctl -t audit`)."
                .into(),
            io::ErrorKind::AddrNotAvailable => self.help_not_available(),
            _ => format!(
                "Check `{key}`: plustwo asked the system for {} over {}.",
                self.address, self.protocol
            ),
        }
    }

    fn help_in_use(&self, key: &str) -> String {
        let port = self.address.port();
        let sockets = match self.protocol {
            Protocol::Udp => "ss -lunp",
            Protocol::Tcp => "ss -ltnp",
        };
        let mut help = format!(
            "Another process holds it, perhaps another plustwo: `{sockets} 'sport = :{port}'` shows \
             which. Stop it, or give `{key}` another port."
        );
        if port == 53 && self.address.ip().is_unspecified() {
            // systemd-resolved holds 127.0.0.53:53 on many hosts, and a wildcard overlaps it.
            help.push_str(
                " A resolver of the host itself (systemd-resolved, dnsmasq) often holds port 53 on \
                 one address; listening on a specific address instead avoids it.",
            );
        }
        help
    }

    fn help_not_available(&self) -> String {
        let ip = self.address.ip();
        let (width, wildcard) = if ip.is_ipv4() { (32, "0.0.0.0") } else { (128, "[::]") };
        format!(
            "Give it to an interface (`ip addr add {ip}/{width} dev lo`), or listen on {wildcard}, \
             every address of the host."
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(address: &str, kind: io::ErrorKind) -> BindError {
        let address = address.parse().expect("an address");
        BindError::new(Protocol::Udp, address, kind.into())
    }

    #[test]
    fn help_depends_on_the_reason() {
        let privileged = refused("127.0.0.1:53", io::ErrorKind::PermissionDenied);
        assert!(privileged.help("[[listener]] address").contains("CAP_NET_BIND_SERVICE"));
        let policy = refused("127.0.0.1:5300", io::ErrorKind::PermissionDenied);
        assert!(!policy.help("[[listener]] address").contains("CAP_NET_BIND_SERVICE"));
        let absent = refused("169.254.169.253:53", io::ErrorKind::AddrNotAvailable);
        assert!(absent.help("[[listener]] address").contains("ip addr add 169.254.169.253/32 dev lo"));
        let shared = refused("0.0.0.0:53", io::ErrorKind::AddrInUse);
        assert!(shared.help("[[listener]] address").contains("systemd-resolved"));
    }
}
