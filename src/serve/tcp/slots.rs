//! Limits on open TCP connections, in total and per client.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::TcpLimits;

/// Counts of open connections, shared by all listeners whose limits apply together.
///
/// Used once per connection, not per query, so a lock is sufficient.
#[derive(Debug, Default)]
pub struct TcpSlots {
    open: Mutex<OpenConnections>,
}

#[derive(Debug, Default)]
struct OpenConnections {
    total: usize,
    /// Contains only clients with open connections, so it is bounded by `total`.
    by_client: HashMap<IpAddr, usize>,
}

impl TcpSlots {
    /// Creates counts with no open connections.
    pub fn new() -> Self {
        Self::default()
    }

    /// A slot for another connection of `client`, or `None` if a limit is reached.
    ///
    /// An IPv4 client counts as one even if the socket represents its address as IPv6 (RFC 4291 section
    /// 2.5.5.2).
    pub fn acquire(slots: &Arc<Self>, client: IpAddr, limits: &TcpLimits) -> Option<TcpSlot> {
        let client = client.to_canonical();
        let mut open = slots.lock();
        let of_client = open.by_client.get(&client).copied().unwrap_or(0);
        if open.total >= limits.connections || of_client >= limits.connections_per_client {
            return None;
        }
        open.total += 1;
        open.by_client.insert(client, of_client + 1);
        drop(open);
        Some(TcpSlot { slots: Arc::clone(slots), client })
    }

    /// No update can be left incomplete under this lock, so poisoning is ignored.
    fn lock(&self) -> MutexGuard<'_, OpenConnections> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The slot of a connection; released when dropped.
#[derive(Debug)]
pub struct TcpSlot {
    slots: Arc<TcpSlots>,
    client: IpAddr,
}

impl Drop for TcpSlot {
    fn drop(&mut self) {
        let mut open = self.slots.lock();
        open.total = open.total.saturating_sub(1);
        if let Some(of_client) = open.by_client.get_mut(&self.client) {
            *of_client = of_client.saturating_sub(1);
            if *of_client == 0 {
                open.by_client.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_slot_is_released_when_its_connection_ends() {
        let slots = Arc::new(TcpSlots::new());
        let limits = TcpLimits {
            connections: 3,
            connections_per_client: 2,
            queries_in_flight: 1,
            idle_timeout: Duration::from_secs(1),
        };
        let acquire = |client: &str| TcpSlots::acquire(&slots, client.parse().expect("ip"), &limits);
        let first = acquire("10.0.0.1").expect("first");
        let second = acquire("::ffff:10.0.0.1").expect("second");
        assert!(acquire("10.0.0.1").is_none(), "the limit per client is two");
        let other = acquire("10.0.0.2").expect("another client");
        assert!(acquire("10.0.0.3").is_none(), "the total limit is three");
        drop(first);
        assert!(acquire("10.0.0.3").is_some());
        drop((second, other));
        assert!(slots.lock().by_client.is_empty());
        assert_eq!(slots.lock().total, 0);
    }
}
