//! Sockets of listeners, inherited or bound.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use super::StartError;
use crate::serve::bind::{BindError, bind_both, bind_tcp, bind_udp, bind_udp_shared};
use crate::serve::inherit::Inherited;

/// The sockets of one listener, at least one.
pub(super) struct Sockets {
    /// UDP sockets, one per worker; a single one if it was inherited.
    pub udp: Vec<UdpSocket>,
    /// The TCP listener.
    pub tcp: Option<TcpListener>,
}

impl Sockets {
    /// Takes inherited sockets with the listener's address, and binds the others, with one UDP socket per
    /// worker.
    ///
    /// An inherited UDP socket remains the only one. The kernel would deliver a share of the datagrams to
    /// the others, and lose it when this process ends, which inheriting is meant to prevent.
    ///
    /// # Errors
    ///
    /// If an address cannot be bound.
    pub(super) fn open(
        address: SocketAddr,
        (wants_udp, wants_tcp): (bool, bool),
        workers: usize,
        inherited: &mut Inherited,
    ) -> Result<Self, StartError> {
        let inherited_udp = wants_udp.then(|| inherited.take_udp(address)).flatten();
        let mut udp = None;
        let mut tcp = wants_tcp.then(|| inherited.take_tcp(address)).flatten();
        match (wants_udp && inherited_udp.is_none(), wants_tcp && tcp.is_none()) {
            (true, true) => {
                let (bound_udp, bound_tcp) = bind_both(address)?;
                (udp, tcp) = (Some(bound_udp), Some(bound_tcp));
            }
            (true, false) => udp = Some(bind_udp(address)?),
            (false, true) => tcp = Some(bind_tcp(address)?),
            (false, false) => {}
        }
        let udp = match (inherited_udp, udp) {
            (Some(socket), _) => vec![socket],
            (None, Some(first)) => one_per_worker(workers, first)?,
            (None, None) => Vec::new(),
        };
        Ok(Self { udp, tcp })
    }

    /// The actual address, which differs from the listener's if its port is 0. `None` if there are no
    /// sockets.
    pub(super) fn address(&self) -> Option<io::Result<SocketAddr>> {
        let udp = self.udp.first().map(UdpSocket::local_addr);
        udp.or_else(|| self.tcp.as_ref().map(TcpListener::local_addr))
    }
}

/// One socket per worker on the address of the first.
fn one_per_worker(workers: usize, first: UdpSocket) -> Result<Vec<UdpSocket>, BindError> {
    let others = (1..workers).map(|_| bind_udp_shared(&first)).collect::<Result<Vec<_>, _>>()?;
    Ok(std::iter::once(first).chain(others).collect())
}

/// The socket of the admin address.
///
/// # Errors
///
/// If the address cannot be bound.
pub(super) fn admin(address: SocketAddr, inherited: &mut Inherited) -> Result<TcpListener, StartError> {
    match inherited.take_tcp(address) {
        Some(listener) => Ok(listener),
        None => bind_tcp(address).map_err(StartError::Admin),
    }
}
