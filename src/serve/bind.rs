//! Binding of sockets, with help for errors.
//!
//! Binding is separate from serving: every socket is bound before any listener starts, so that a daemon that
//! cannot bind all its addresses reports it and serves none of them. The sockets are `std` sockets, which
//! tests and service managers can supply as well.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, getsockopt, listen, setsockopt,
    socket, sockopt,
};

/// How many times [`bind_both`] tries to find a port that is free for both UDP and TCP.
const SAME_PORT_ATTEMPTS: usize = 16;

/// Size of the receive buffer in octets. Linux's default holds three datagrams of maximum size plus about
/// twenty queries; further datagrams would be dropped.
const RECEIVE_BUFFER: usize = 1 << 20;

/// Whether an address is assigned to this host, so that a socket can be bound to it.
pub fn is_local_address(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// Binds a UDP socket and a TCP listener to one address.
///
/// DNS uses the same port for both (RFC 1035 section 4.2), so if `address` has port 0, the TCP listener is
/// bound to the port that was assigned to UDP. If another process has that port on TCP, another one is tried,
/// a limited number of times.
///
/// # Errors
/// The first socket that could not be bound; the other one is closed.
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
/// Without `SO_REUSEPORT`, so that a second daemon on the same address fails instead of receiving a share of
/// the packets. An IPv6 socket receives IPv6 only, so that `0.0.0.0` and `[::]` can be used separately.
///
/// # Errors
/// [`BindError`], which includes help.
pub fn bind_udp(address: SocketAddr) -> Result<UdpSocket, BindError> {
    bind_socket(address, SockType::Datagram, false)
        .map(UdpSocket::from)
        .map_err(|source| BindError::new(Protocol::Udp, address, source))
}

/// Binds another UDP socket to the address of a bound one, for another reader: the system distributes
/// datagrams by their source (`SO_REUSEPORT`).
///
/// The first socket was bound without that option, so the address is not in use by another process, and a
/// process of another user still cannot bind it (socket(7)).
///
/// # Errors
/// [`BindError`], which includes help.
pub fn bind_udp_shared(first: &UdpSocket) -> Result<UdpSocket, BindError> {
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
/// With `SO_REUSEADDR`, so that a restart does not have to wait for old connections in TIME_WAIT; on Linux,
/// two listeners on one address still exclude each other. An IPv6 listener accepts IPv6 only.
///
/// # Errors
/// [`BindError`], which includes help.
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
    // A larger default of the system is not reduced.
    if kind == SockType::Datagram && getsockopt(&fd, sockopt::RcvBuf)? < RECEIVE_BUFFER {
        // The system limits this to net.core.rmem_max.
        setsockopt(&fd, sockopt::RcvBuf, &RECEIVE_BUFFER)?;
    }
    bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
    if kind == SockType::Stream {
        // The system limits this to net.core.somaxconn.
        listen(&fd, Backlog::MAXCONN)?;
    }
    Ok(fd)
}

/// The transport of a socket, for error messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// UDP.
    Udp,
    /// TCP.
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
/// `Display` states the reason, `source()` is the system's error, and [`help`](Self::help) suggests a fix.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({protocol}): {}", reason(source))]
pub struct BindError {
    /// The transport.
    pub protocol: Protocol,
    /// The requested address.
    pub address: SocketAddr,
    /// The system's error.
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

    /// How to fix it: complete sentences, with commands to copy.
    pub fn help(&self, key: &str) -> String {
        match self.source.kind() {
            io::ErrorKind::AddrInUse => self.help_in_use(key),
            io::ErrorKind::PermissionDenied if self.address.port() < 1024 => format!(
                "A port below 1024 requires the capability CAP_NET_BIND_SERVICE. Under systemd: \
                 `AmbientCapabilities=CAP_NET_BIND_SERVICE`. Otherwise: run `setcap cap_net_bind_service=+ep` on the \
                 plustwo binary. Or use a port above 1023 in `{key}`."
            ),
            io::ErrorKind::PermissionDenied => "The port requires no privilege, so a security policy \
                denies it: look for a denial by SELinux, AppArmor or seccomp \
                (`journalctl -t audit`)."
                .into(),
            io::ErrorKind::AddrNotAvailable => self.help_not_available(),
            _ => format!("Check `{key}`: plustwo tried to bind {} over {}.", self.address, self.protocol),
        }
    }

    fn help_in_use(&self, key: &str) -> String {
        let port = self.address.port();
        let sockets = match self.protocol {
            Protocol::Udp => "ss -lunp",
            Protocol::Tcp => "ss -ltnp",
        };
        let mut help = format!(
            "Another process uses it, perhaps another plustwo: run `{sockets} 'sport = :{port}'` to find \
             it. Stop it, or use another port in `{key}`."
        );
        if port == 53 && self.address.ip().is_unspecified() {
            // systemd-resolved listens on 127.0.0.53:53 on many hosts, which conflicts with a wildcard
            // address.
            help.push_str(
                " A local resolver on the host (systemd-resolved, dnsmasq) often uses port 53 on \
                 one address; listening on a specific address instead avoids the conflict.",
            );
        }
        help
    }

    fn help_not_available(&self) -> String {
        let ip = self.address.ip();
        let (width, wildcard) = if ip.is_ipv4() { (32, "0.0.0.0") } else { (128, "[::]") };
        format!(
            "Assign it to an interface (`ip addr add {ip}/{width} dev lo`), or listen on {wildcard}, \
             which covers every address of the host."
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind_error(address: &str, kind: io::ErrorKind) -> BindError {
        let address = address.parse().expect("an address");
        BindError::new(Protocol::Udp, address, kind.into())
    }

    #[test]
    fn help_depends_on_the_reason() {
        let privileged = bind_error("127.0.0.1:53", io::ErrorKind::PermissionDenied);
        assert!(privileged.help("[[listener]] address").contains("CAP_NET_BIND_SERVICE"));
        let policy = bind_error("127.0.0.1:5300", io::ErrorKind::PermissionDenied);
        assert!(!policy.help("[[listener]] address").contains("CAP_NET_BIND_SERVICE"));
        let absent = bind_error("169.254.169.253:53", io::ErrorKind::AddrNotAvailable);
        assert!(absent.help("[[listener]] address").contains("ip addr add 169.254.169.253/32 dev lo"));
        let shared = bind_error("0.0.0.0:53", io::ErrorKind::AddrInUse);
        assert!(shared.help("[[listener]] address").contains("systemd-resolved"));
    }
}
