//! Sockets that were open before this process began: socket activation, as systemd does it.
//!
//! The service manager binds the addresses and passes the sockets (`LISTEN_FDS`, sd_listen_fds(3)). It
//! keeps them open over a restart, so the kernel goes on queueing queries while no process reads them. A
//! listener takes the socket that has its address; the rest are bound as ever.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use listenfd::ListenFd;

use super::bind::Protocol;

/// The number of the first descriptor that is passed (`SD_LISTEN_FDS_START`).
const FIRST_DESCRIPTOR: usize = 3;

/// Sockets passed in, until a listener takes them.
#[derive(Debug, Default)]
pub struct Inherited {
    udp: Vec<(Told, UdpSocket)>,
    tcp: Vec<(Told, TcpListener)>,
}

/// What is known of an inherited socket, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its descriptor.
    pub descriptor: usize,
    /// The name that the service manager gave it (`FileDescriptorName=`).
    pub name: Option<String>,
    /// What it is bound to.
    pub address: SocketAddr,
}

/// What was passed in cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InheritError {
    /// It is neither a UDP socket nor a TCP listener.
    #[error("the inherited descriptor {descriptor} is neither a UDP nor a TCP socket: {source}")]
    NoSocket {
        /// Its number.
        descriptor: usize,
        /// What the system says.
        source: io::Error,
    },
    /// No listener has its address.
    #[error(
        "no listener has the address of an inherited socket: {protocol} {} (descriptor {}{})",
        told.address, told.descriptor, told.name.as_ref().map(|name| format!(", `{name}`")).unwrap_or_default()
    )]
    Unused {
        /// What it carries.
        protocol: Protocol,
        /// Which.
        told: Told,
    },
}

impl InheritError {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::NoSocket { .. } => {
                "Use ListenDatagram= and ListenStream= with addresses in the socket unit."
            }
            Self::Unused { .. } => {
                "Give a [[listener]] exactly this address, or take it out of the socket unit."
            }
        }
    }
}

impl Inherited {
    /// Nothing was passed in.
    pub fn none() -> Self {
        Self::default()
    }

    /// Takes what the environment tells of, once: the variables are gone afterwards. Call it before there
    /// are threads.
    ///
    /// # Errors
    /// A descriptor that is no UDP or TCP socket.
    pub fn from_environment() -> Result<Self, InheritError> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let names: Vec<&str> = names.split(':').collect();
        let mut passed = ListenFd::from_env();
        let mut inherited = Self::none();
        for index in 0..passed.len() {
            let descriptor = FIRST_DESCRIPTOR + index;
            let no_socket = |source| InheritError::NoSocket { descriptor, source };
            // systemd says `unknown` for a descriptor that has no name.
            let name = names.get(index).filter(|name| !name.is_empty() && **name != "unknown");
            let told = |address| Told { descriptor, name: name.map(|name| (*name).to_owned()), address };
            if let Ok(Some(socket)) = passed.take_udp_socket(index) {
                let address = socket.local_addr().map_err(no_socket)?;
                inherited.udp.push((told(address), socket));
            } else if let Some(socket) = passed.take_tcp_listener(index).map_err(no_socket)? {
                let address = socket.local_addr().map_err(no_socket)?;
                inherited.tcp.push((told(address), socket));
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

    /// Nothing may be left over: queries to it would wait for ever.
    ///
    /// # Errors
    /// The first socket that nobody has taken.
    pub fn all_taken(&self) -> Result<(), InheritError> {
        let udp = self.udp.iter().map(|(told, _)| (Protocol::Udp, told));
        let mut left = udp.chain(self.tcp.iter().map(|(told, _)| (Protocol::Tcp, told)));
        match left.next() {
            Some((protocol, told)) => Err(InheritError::Unused { protocol, told: told.clone() }),
            None => Ok(()),
        }
    }
}

fn take<S>(sockets: &mut Vec<(Told, S)>, address: SocketAddr) -> Option<S> {
    let at = sockets.iter().position(|(told, _)| told.address == address)?;
    Some(sockets.remove(at).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_taken_once_and_what_is_left_is_told() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = socket.local_addr().expect("an address");
        let told = Told { descriptor: 3, name: Some("dns".into()), address };
        let mut inherited = Inherited { udp: vec![(told, socket)], tcp: Vec::new() };
        let left = inherited.all_taken().expect_err("one is left").to_string();
        assert!(left.contains(&format!("UDP {address} (descriptor 3, `dns`)")), "{left}");
        assert!(inherited.take_tcp(address).is_none());
        assert!(inherited.take_udp(address).is_some());
        assert!(inherited.take_udp(address).is_none());
        assert!(inherited.all_taken().is_ok());
    }
}
