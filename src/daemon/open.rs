//! Opening doors: each listener's sockets, inherited or bound.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use super::StartError;
use crate::serve::bind::{bind_both, bind_tcp, bind_udp};
use crate::serve::inherit::Inherited;

/// The sockets of one listener. One of them at least is there.
pub struct Sockets {
    /// For datagrams.
    pub udp: Option<UdpSocket>,
    /// For connections.
    pub tcp: Option<TcpListener>,
}

impl Sockets {
    /// Takes what was passed in for the listener's address, and binds the rest.
    ///
    /// # Errors
    ///
    /// When an address cannot be had.
    pub fn open(
        address: SocketAddr,
        wants_udp: bool,
        wants_tcp: bool,
        inherited: &mut Inherited,
    ) -> Result<Self, StartError> {
        let mut udp = wants_udp.then(|| inherited.take_udp(address)).flatten();
        let mut tcp = wants_tcp.then(|| inherited.take_tcp(address)).flatten();
        match (wants_udp && udp.is_none(), wants_tcp && tcp.is_none()) {
            (true, true) => {
                let (bound_udp, bound_tcp) = bind_both(address)?;
                (udp, tcp) = (Some(bound_udp), Some(bound_tcp));
            }
            (true, false) => udp = Some(bind_udp(address)?),
            (false, true) => tcp = Some(bind_tcp(address)?),
            (false, false) => {}
        }
        Ok(Self { udp, tcp })
    }

    /// The address they have, which differs from the listener's where its port is 0. `None`: there are none.
    pub fn address(&self) -> Option<io::Result<SocketAddr>> {
        let udp = self.udp.as_ref().map(UdpSocket::local_addr);
        udp.or_else(|| self.tcp.as_ref().map(TcpListener::local_addr))
    }
}

/// The socket of the admin pages.
///
/// # Errors
///
/// When the address cannot be had.
pub fn admin(address: SocketAddr, inherited: &mut Inherited) -> Result<TcpListener, StartError> {
    match inherited.take_tcp(address) {
        Some(listener) => Ok(listener),
        None => bind_tcp(address).map_err(StartError::Admin),
    }
}
