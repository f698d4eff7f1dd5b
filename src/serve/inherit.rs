//! Sockets that were opened before this process started: socket activation, as provided by systemd.
//!
//! The service manager binds the addresses and passes the sockets (`LISTEN_FDS`, sd_listen_fds(3)). It keeps
//! them open during a restart, so that the kernel queues queries while no process reads them. A listener uses
//! the socket with its address; all others are bound as usual.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use listenfd::ListenFd;

use super::bind::Protocol;

/// The number of the first passed descriptor (`SD_LISTEN_FDS_START`).
const FIRST_DESCRIPTOR: usize = 3;

/// Inherited sockets that no listener has taken yet.
#[derive(Debug, Default)]
pub struct Inherited {
    udp: Vec<(SocketInfo, UdpSocket)>,
    tcp: Vec<(SocketInfo, TcpListener)>,
}

/// Description of an inherited socket, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketInfo {
    /// Its descriptor.
    pub descriptor: usize,
    /// The name that the service manager gave it (`FileDescriptorName=`).
    pub name: Option<String>,
    /// The address it is bound to.
    pub address: SocketAddr,
}

/// An inherited socket cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InheritError {
    /// It is neither a UDP socket nor a TCP listener.
    #[error("the inherited descriptor {descriptor} is neither a UDP nor a TCP socket: {source}")]
    UnsupportedSocket {
        /// Its descriptor.
        descriptor: usize,
        /// The system's error.
        source: io::Error,
    },
    /// No listener has its address.
    #[error(
        "no listener has the address of an inherited socket: {protocol} {} (descriptor {}{})",
        info.address, info.descriptor, info.name.as_ref().map(|name| format!(", `{name}`")).unwrap_or_default()
    )]
    Unused {
        /// Its transport.
        protocol: Protocol,
        /// Its description.
        info: SocketInfo,
    },
}

impl InheritError {
    /// How to fix it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::UnsupportedSocket { .. } => {
                "Use ListenDatagram= and ListenStream= with addresses in the socket unit."
            }
            Self::Unused { .. } => {
                "Configure a [[listener]] with exactly this address, or remove it from the socket unit."
            }
        }
    }
}

impl Inherited {
    /// No inherited sockets.
    pub fn none() -> Self {
        Self::default()
    }

    /// Takes the sockets described in the environment and removes the variables. Must be called before
    /// threads are started.
    ///
    /// # Errors
    /// A descriptor that is neither a UDP nor a TCP socket.
    pub fn from_environment() -> Result<Self, InheritError> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let names: Vec<&str> = names.split(':').collect();
        let mut passed = ListenFd::from_env();
        let mut inherited = Self::none();
        for index in 0..passed.len() {
            let descriptor = FIRST_DESCRIPTOR + index;
            let unsupported = |source| InheritError::UnsupportedSocket { descriptor, source };
            // systemd uses `unknown` for a descriptor without a name.
            let name = names.get(index).filter(|name| !name.is_empty() && **name != "unknown");
            let info =
                |address| SocketInfo { descriptor, name: name.map(|name| (*name).to_owned()), address };
            if let Ok(Some(socket)) = passed.take_udp_socket(index) {
                let address = socket.local_addr().map_err(unsupported)?;
                inherited.udp.push((info(address), socket));
            } else if let Some(socket) = passed.take_tcp_listener(index).map_err(unsupported)? {
                let address = socket.local_addr().map_err(unsupported)?;
                inherited.tcp.push((info(address), socket));
            }
        }
        Ok(inherited)
    }

    /// The UDP socket that is bound to this address.
    pub fn take_udp(&mut self, address: SocketAddr) -> Option<UdpSocket> {
        take(&mut self.udp, address)
    }

    /// The TCP listener that is bound to this address.
    pub fn take_tcp(&mut self, address: SocketAddr) -> Option<TcpListener> {
        take(&mut self.tcp, address)
    }

    /// Checks that every socket has been taken: queries to one that is left would never be read.
    ///
    /// # Errors
    /// The first socket that has not been taken.
    pub fn check_all_taken(&self) -> Result<(), InheritError> {
        let udp = self.udp.iter().map(|(info, _)| (Protocol::Udp, info));
        let mut unused = udp.chain(self.tcp.iter().map(|(info, _)| (Protocol::Tcp, info)));
        match unused.next() {
            Some((protocol, info)) => Err(InheritError::Unused { protocol, info: info.clone() }),
            None => Ok(()),
        }
    }
}

fn take<S>(sockets: &mut Vec<(SocketInfo, S)>, address: SocketAddr) -> Option<S> {
    let index = sockets.iter().position(|(info, _)| info.address == address)?;
    Some(sockets.remove(index).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_taken_once_and_unused_ones_are_reported() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = socket.local_addr().expect("an address");
        let info = SocketInfo { descriptor: 3, name: Some("dns".into()), address };
        let mut inherited = Inherited { udp: vec![(info, socket)], tcp: Vec::new() };
        let error = inherited.check_all_taken().expect_err("one is left").to_string();
        assert!(error.contains(&format!("UDP {address} (descriptor 3, `dns`)")), "{error}");
        assert!(inherited.take_tcp(address).is_none());
        assert!(inherited.take_udp(address).is_some());
        assert!(inherited.take_udp(address).is_none());
        assert!(inherited.check_all_taken().is_ok());
    }
}
