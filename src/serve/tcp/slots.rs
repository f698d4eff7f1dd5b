//! How many TCP connections are open, in all and from each client.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::TcpLimits;

/// Counts of open connections, shared by the doors whose limits hold for all of them together.
///
/// Asked once a connection, never for a query, so a lock will do.
#[derive(Debug, Default)]
pub struct TcpSlots {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    /// Only clients that have a connection open: bounded by `total`.
    by_client: HashMap<IpAddr, usize>,
}

impl TcpSlots {
    /// No connection is open.
    pub fn new() -> Self {
        Self::default()
    }

    /// A place for one more connection of `client`, or `None` where a limit is reached.
    ///
    /// An IPv4 client counts as one, whether or not the socket writes its address as IPv6 (RFC 4291
    /// section 2.5.5.2).
    pub fn take(slots: &Arc<Self>, client: IpAddr, limits: &TcpLimits) -> Option<TcpSlot> {
        let client = client.to_canonical();
        let mut open = slots.lock();
        let own = open.by_client.get(&client).copied().unwrap_or(0);
        if open.total >= limits.connections || own >= limits.connections_per_client {
            return None;
        }
        open.total += 1;
        open.by_client.insert(client, own + 1);
        drop(open);
        Some(TcpSlot { slots: Arc::clone(slots), client })
    }

    /// Nothing can be half done under this lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place; given back when dropped.
#[derive(Debug)]
pub struct TcpSlot {
    slots: Arc<TcpSlots>,
    client: IpAddr,
}

impl Drop for TcpSlot {
    fn drop(&mut self) {
        let mut open = self.slots.lock();
        open.total = open.total.saturating_sub(1);
        if let Some(own) = open.by_client.get_mut(&self.client) {
            *own = own.saturating_sub(1);
            if *own == 0 {
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
    fn a_place_is_given_back_and_forgotten() {
        let slots = Arc::new(TcpSlots::new());
        let limits = TcpLimits {
            connections: 3,
            connections_per_client: 2,
            queries_in_flight: 1,
            idle_timeout: Duration::from_secs(1),
        };
        let take = |client: &str| TcpSlots::take(&slots, client.parse().expect("ip"), &limits);
        let first = take("10.0.0.1").expect("first");
        let second = take("::ffff:10.0.0.1").expect("second");
        assert!(take("10.0.0.1").is_none(), "the client has its two");
        let other = take("10.0.0.2").expect("another client");
        assert!(take("10.0.0.3").is_none(), "three in all");
        drop(first);
        assert!(take("10.0.0.3").is_some());
        drop((second, other));
        assert!(slots.lock().by_client.is_empty());
        assert_eq!(slots.lock().total, 0);
    }
}
