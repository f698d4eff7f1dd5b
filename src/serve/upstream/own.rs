//! The sockets that questions leave from, so that one that comes back is known for what it is.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{PoisonError, RwLock};

use foldhash::fast::RandomState;

/// Addresses of open UDP sockets to name servers. Every question that a client asks is looked up here, so a port
/// that is none of theirs is told by one glance.
#[derive(Debug)]
pub(super) struct OwnSockets {
    /// How many sockets have each port.
    ports: Box<[AtomicU16]>,
    /// How many have each address: servers at several addresses can be asked from one.
    addresses: RwLock<HashMap<SocketAddr, u16, RandomState>>,
}

impl Default for OwnSockets {
    fn default() -> Self {
        let ports = (0..=u16::MAX).map(|_| AtomicU16::new(0)).collect();
        Self { ports, addresses: RwLock::default() }
    }
}

impl OwnSockets {
    /// A socket was opened.
    pub fn add(&self, address: SocketAddr) {
        let mut addresses = self.addresses.write().unwrap_or_else(PoisonError::into_inner);
        *addresses.entry(address).or_insert(0) += 1;
        self.port(address).fetch_add(1, Ordering::Relaxed);
    }

    /// A socket was closed.
    pub fn remove(&self, address: SocketAddr) {
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
    pub fn contains(&self, address: SocketAddr) -> bool {
        self.port(address).load(Ordering::Relaxed) > 0
            && self.addresses.read().unwrap_or_else(PoisonError::into_inner).contains_key(&address)
    }

    /// The count of an address's port.
    fn port(&self, address: SocketAddr) -> &AtomicU16 {
        &self.ports[usize::from(address.port())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_known_while_a_socket_has_it() {
        let own = OwnSockets::default();
        let [one, other]: [SocketAddr; 2] =
            ["192.0.2.1:53", "192.0.2.2:53"].map(|text| text.parse().unwrap());
        own.add(one);
        own.add(one);
        own.remove(one);
        assert!(own.contains(one) && !own.contains(other));
        own.remove(other);
        own.remove(one);
        assert!(!own.contains(one));
    }
}
