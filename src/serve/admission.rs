//! Admission of queries that wait for upstreams: a global limit, shared among upstreams and clients.
//!
//! With a global limit alone, one dead server or one client could use it up. Therefore, the share of an
//! upstream is a multiple of the free capacity (a dynamic threshold, as used for shared buffers in switches):
//! a single upstream gets three quarters, and there is always capacity for another one. The share of a client
//! is, in the same way, a multiple of the remaining share of its upstream.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

use super::upstream::UpstreamNumber;

/// A holder may have up to this multiple of the free capacity.
const SHARE: usize = 3;

/// Whether a holder of `usage` permits may take another one when `free` are available.
pub(super) fn within_share(usage: usize, free: usize) -> bool {
    usage < free.saturating_mul(SHARE)
}

/// Counts the queries that wait for an upstream.
#[derive(Debug)]
pub(super) struct Admission {
    capacity: usize,
    usage: Mutex<Usage>,
}

/// Permits in use, by upstream and by client. Only holders are in the maps, so both are bounded by the
/// capacity.
#[derive(Debug, Default)]
struct Usage {
    all: usize,
    upstreams: HashMap<UpstreamNumber, usize, RandomState>,
    clients: HashMap<IpAddr, usize, RandomState>,
}

/// Why a query is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The global limit is reached.
    #[error("too many queries are waiting for upstreams (max_waiting_queries)")]
    Full,
    /// The upstream has used up its share.
    #[error("too many queries are waiting for this upstream")]
    UpstreamShare,
    /// The client has used up its share, counting its queries to all upstreams.
    #[error("too many queries of this client are waiting for upstreams")]
    ClientShare,
}

impl Refusal {
    /// All variants.
    pub const ALL: [Self; 3] = [Self::Full, Self::UpstreamShare, Self::ClientShare];

    /// Its name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::UpstreamShare => "upstream-share",
            Self::ClientShare => "client-share",
        }
    }
}

impl Admission {
    /// Creates a limit of `capacity` waiting queries.
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, usage: Mutex::default() }
    }

    /// Admits a client's query to those that wait for an upstream.
    ///
    /// # Errors
    ///
    /// If the global limit, the share of the upstream or the share of the client is reached.
    pub(super) fn enter(
        self: &Arc<Self>,
        upstream: UpstreamNumber,
        client: IpAddr,
    ) -> Result<Permit, Refusal> {
        let client = client_prefix(client);
        let mut usage = self.lock();
        let free = self.capacity.saturating_sub(usage.all);
        if free == 0 {
            return Err(Refusal::Full);
        }
        let of_upstream = usage.upstreams.get(&upstream).copied().unwrap_or(0);
        if !within_share(of_upstream, free) {
            return Err(Refusal::UpstreamShare);
        }
        let remaining = (free.saturating_mul(SHARE) - of_upstream).min(free);
        let of_client = usage.clients.get(&client).copied().unwrap_or(0);
        if !within_share(of_client, remaining) {
            return Err(Refusal::ClientShare);
        }
        usage.all += 1;
        *usage.upstreams.entry(upstream).or_insert(0) += 1;
        *usage.clients.entry(client).or_insert(0) += 1;
        drop(usage);
        Ok(Permit { admission: self.clone(), upstream, client })
    }

    fn lock(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The client to which an address is attributed. A host can use every address of its IPv6 /64, so the /64
/// counts as one client.
fn client_prefix(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

/// Permission for one query to wait; released when dropped.
#[derive(Debug)]
pub(super) struct Permit {
    admission: Arc<Admission>,
    upstream: UpstreamNumber,
    client: IpAddr,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut usage = self.admission.lock();
        usage.all = usage.all.saturating_sub(1);
        release(&mut usage.upstreams, &self.upstream);
        release(&mut usage.clients, &self.client);
    }
}

/// Decrements a count and removes a holder without permits.
fn release<K: Hash + Eq>(holders: &mut HashMap<K, usize, RandomState>, holder: &K) {
    if let Some(count) = holders.get_mut(holder) {
        *count -= 1;
        if *count == 0 {
            holders.remove(holder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    /// Takes permits until one is refused.
    fn fill(admission: &Arc<Admission>, upstream: UpstreamNumber, client: IpAddr) -> (Vec<Permit>, Refusal) {
        let mut permits = Vec::new();
        loop {
            match admission.enter(upstream, client) {
                Ok(permit) => permits.push(permit),
                Err(refusal) => return (permits, refusal),
            }
        }
    }

    #[test]
    fn one_upstream_cannot_use_the_whole_capacity() {
        let admission = Arc::new(Admission::new(4096));
        // Many clients of one dead upstream.
        let mut permits = Vec::new();
        for last in 0..=255 {
            permits.push(fill(&admission, 1, client(last)).0);
        }
        let dead: usize = permits.iter().map(Vec::len).sum();
        assert!((2900..=3073).contains(&dead), "three quarters of 4096: {dead}");
        let (others, _) = fill(&admission, 2, client(1));
        assert!(others.len() > 500, "{}", others.len());
        drop((permits, others));
        assert!(admission.lock().upstreams.is_empty() && admission.lock().clients.is_empty());
        assert_eq!(admission.lock().all, 0);
    }

    #[test]
    fn one_client_cannot_use_the_whole_share_of_an_upstream() {
        let admission = Arc::new(Admission::new(4096));
        let (flood, refusal) = fill(&admission, 1, client(1));
        assert_eq!(refusal, Refusal::ClientShare);
        assert!(flood.len() > 2000, "{}", flood.len());
        let (other, _) = fill(&admission, 1, client(2));
        assert!(other.len() > 100, "{}", other.len());
        let (other_upstream, _) = fill(&admission, 2, client(3));
        assert!(other_upstream.len() > 100, "{}", other_upstream.len());
    }

    #[test]
    fn addresses_of_one_ipv6_subnet_count_as_one_client() {
        let admission = Arc::new(Admission::new(64));
        let address = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        let (_permits, refusal) = fill(&admission, 1, address(1));
        assert_eq!(refusal, Refusal::ClientShare);
        assert_eq!(admission.enter(1, address(2)).unwrap_err(), Refusal::ClientShare);
        assert!(admission.enter(1, IpAddr::from([0x2001, 0xdb8, 0, 2, 0, 0, 0, 1])).is_ok());
    }

    #[test]
    fn without_capacity_no_query_is_admitted() {
        let admission = Arc::new(Admission::new(0));
        assert_eq!(admission.enter(1, client(1)).unwrap_err(), Refusal::Full);
    }
}
