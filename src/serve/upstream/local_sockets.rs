//! The local sockets that queries are sent from, to detect queries that are forwarded back to this process.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{PoisonError, RwLock};

use foldhash::fast::RandomState;

/// Addresses of open UDP sockets to name servers. The source of each query to be forwarded is looked up, so a
/// counter per port excludes unused ports with one load.
#[derive(Debug)]
pub(super) struct LocalSockets {
    /// Number of sockets per port.
    ports: Box<[AtomicU16]>,
    /// Number of sockets per address: several servers can be queried from the same one.
    addresses: RwLock<HashMap<SocketAddr, u16, RandomState>>,
}

impl Default for LocalSockets {
    fn default() -> Self {
        let ports = (0..=u16::MAX).map(|_| AtomicU16::new(0)).collect();
        Self { ports, addresses: RwLock::default() }
    }
}

impl LocalSockets {
    /// Records that a socket was opened.
    pub(super) fn add(&self, address: SocketAddr) {
        let mut addresses = self.addresses.write().unwrap_or_else(PoisonError::into_inner);
        *addresses.entry(address).or_insert(0) += 1;
        self.port(address).fetch_add(1, Ordering::Relaxed);
    }

    /// Records that a socket was closed.
    pub(super) fn remove(&self, address: SocketAddr) {
        let mut addresses = self.addresses.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = addresses.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&address);
            }
            self.port(address).fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Whether a socket with this address is open.
    pub(super) fn contains(&self, address: SocketAddr) -> bool {
        self.port(address).load(Ordering::Relaxed) > 0
            && self.addresses.read().unwrap_or_else(PoisonError::into_inner).contains_key(&address)
    }

    /// The counter of an address's port.
    fn port(&self, address: SocketAddr) -> &AtomicU16 {
        &self.ports[usize::from(address.port())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_contained_while_a_socket_uses_it() {
        let sockets = LocalSockets::default();
        let [one, other]: [SocketAddr; 2] =
            ["192.0.2.1:53", "192.0.2.2:53"].map(|text| text.parse().unwrap());
        sockets.add(one);
        sockets.add(one);
        sockets.remove(one);
        assert!(sockets.contains(one) && !sockets.contains(other));
        sockets.remove(other);
        sockets.remove(one);
        assert!(!sockets.contains(one));
    }
}
