//! Connections through interface endpoints, as implied by lookups.
//!
//! The rules were derived from a comparison of the connections of client workloads with their lookups:
//!
//! - One connection for each positive A answer that contains an address of an interface endpoint. AAAA
//!   answers count only for an endpoint whose names have no A records. A and AAAA are never both counted,
//!   because most clients query both and connect once.
//! - Over UDP, one connection for each combination of transport source, DNS ID and name within 12 seconds, so
//!   that a retransmission by a stub resolver does not count again. Lookups are never merged by time or TTL.
//! - A truncated reply does not count: the client retries over TCP, where every reply counts.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use foldhash::fast::RandomState;

use super::QueryEvent;
use crate::dns::{Class, Name, Rcode, RecordType};
use crate::world::{Endpoint, EndpointKind, Index, PlaceKind, Subnet};

/// How long a lookup is remembered. Stub resolvers retransmit sooner, with the same port and ID.
pub(super) const RETRANSMISSION_WINDOW: Duration = Duration::from_secs(12);

/// The connection that an answer implies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EndpointConnection {
    /// The endpoint.
    pub endpoint: Index<Endpoint>,
    /// The subnet of the network interface.
    pub subnet: Index<Subnet>,
}

/// Whether an answer that is not truncated implies a connection.
pub(super) fn implies_connection(event: &QueryEvent<'_>) -> bool {
    let question = event.question;
    matches!(question.qtype, RecordType::A | RecordType::AAAA)
        && question.qclass == Class::IN
        && event.outcome.answer.rcode == Rcode::NOERROR
        && event.outcome.paths.iter().any(|path| matches!(path.path.endpoint, Some((_, Some(_)))))
}

/// The connection implied by an answer in this rotation, unless the query is a retransmission.
///
/// It uses the interface in the client's subnet if the answer contains one, because glibc sorts that address
/// first regardless of the order; otherwise the first interface in the order sent. If the answer contains
/// several endpoints, only that of this interface counts.
pub(super) fn implied_connection(event: &QueryEvent<'_>, rotation: usize) -> Option<EndpointConnection> {
    let (question, answer) = (event.question, &event.outcome.answer);
    if !implies_connection(event) {
        return None;
    }
    let client_subnet = match event.world.network.places[event.vantage?.place].kind {
        PlaceKind::Subnet(subnet) => Some(subnet),
        PlaceKind::Site(_) | PlaceKind::Outside => None,
    };
    let sets = answer.answer.iter().filter(|set| set.rtype == question.qtype);
    let addresses = sets.flat_map(|set| set.addresses(rotation));
    let mut first = None;
    for found in addresses.filter_map(|address| interface(event, address)) {
        if Some(found.subnet) == client_subnet {
            return Some(found);
        }
        first.get_or_insert(found);
    }
    first
}

/// The endpoint interface at the end of the path to an address, if answers of this type count for its
/// endpoint.
fn interface(event: &QueryEvent<'_>, address: IpAddr) -> Option<EndpointConnection> {
    let path = &event.outcome.paths.iter().find(|path| path.address == address)?.path;
    let (index, Some(number)) = path.endpoint? else {
        return None;
    };
    let endpoint = &event.world.network.endpoints[index];
    let counts = endpoint.kind == EndpointKind::Interface && endpoint.is_ipv6_only == address.is_ipv6();
    counts.then(|| EndpointConnection { endpoint: index, subnet: endpoint.interfaces[number].subnet })
}

/// Whether a lookup is a retransmission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LookupKind {
    /// It is new, and is remembered.
    First,
    /// It is a retransmission.
    Retransmission,
    /// It is new, but the table is full: a retransmission will not be detected.
    Untracked,
}

/// The lookups of the last twelve seconds that one worker received over UDP.
///
/// Each is remembered by a hash of its listener, source, ID and name: 64 bits with a random seed. With 65,536
/// remembered lookups, the probability that a new one is taken for a retransmission is 2^-48. All memory is
/// allocated at the start.
#[derive(Debug)]
pub(super) struct Lookups {
    capacity: usize,
    /// When each was last counted, in milliseconds since 1970.
    counted: HashMap<u64, u64, RandomState>,
    /// The entries of `counted` in order of insertion, so that the oldest are found without a search.
    order: VecDeque<(u64, u64)>,
    hasher: RandomState,
}

/// A hashed name for [`Lookups`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct NameHash(u64);

/// [`RETRANSMISSION_WINDOW`] in milliseconds.
const RETRANSMISSION_WINDOW_MS: u64 = RETRANSMISSION_WINDOW.as_millis() as u64;

impl Lookups {
    /// Creates a table for at most `capacity` lookups.
    pub(super) fn new(capacity: usize) -> Self {
        let hasher = RandomState::default();
        Self {
            capacity,
            // Twice the capacity, so that the map is rehashed in place instead of growing when removed
            // entries fill it.
            counted: HashMap::with_capacity_and_hasher(2 * capacity, RandomState::default()),
            order: VecDeque::with_capacity(capacity),
            hasher,
        }
    }

    /// Hashes a name for this table.
    pub(super) fn hash_name(&self, name: &Name) -> NameHash {
        NameHash(self.hasher.hash_one(name))
    }

    /// Records a lookup, which counts unless it is a retransmission. Lookups at different listeners are
    /// distinct.
    pub(super) fn record(
        &mut self,
        listener: usize,
        source: SocketAddr,
        id: u16,
        name: NameHash,
        at: SystemTime,
    ) -> LookupKind {
        let now = milliseconds(at);
        self.sweep(now);
        let key = self.hasher.hash_one((listener, source.ip(), source.port(), id, name.0));
        if self.counted.get(&key).is_some_and(|then| now.abs_diff(*then) < RETRANSMISSION_WINDOW_MS) {
            return LookupKind::Retransmission;
        }
        if self.order.len() >= self.capacity {
            return LookupKind::Untracked;
        }
        self.order.push_back((now, key));
        self.counted.insert(key, now);
        LookupKind::First
    }

    /// Number of remembered lookups.
    pub(super) fn len(&self) -> usize {
        self.counted.len()
    }

    /// Removes expired entries at the front of the queue.
    fn sweep(&mut self, now: u64) {
        // The absolute difference, because the wall clock may be set back.
        let is_old = |then: u64| now.abs_diff(then) >= RETRANSMISSION_WINDOW_MS;
        while self.order.front().is_some_and(|(then, _)| is_old(*then)) {
            let Some((_, key)) = self.order.pop_front() else {
                return;
            };
            // After the clock was set back, a key can be in the queue twice; its newer entry remains.
            if self.counted.get(&key).is_some_and(|then| is_old(*then)) {
                self.counted.remove(&key);
            }
        }
    }
}

/// Converts a time to milliseconds since 1970; 0 for earlier times.
pub(super) fn milliseconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// The absolute difference of two times, because the wall clock may be set back.
pub(super) fn abs_difference(one: SystemTime, other: SystemTime) -> Duration {
    one.duration_since(other).unwrap_or_else(|error| error.duration())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn source(port: u16) -> SocketAddr {
        SocketAddr::new([10, 0, 1, 5].into(), port)
    }

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn retransmissions_are_detected_for_twelve_seconds() {
        let mut lookups = Table::new(8);
        let (sns, sqs) = (name("sns.example"), name("sqs.example"));
        assert_eq!(lookups.record(source(4000), 7, &sns, at(100)), LookupKind::First);
        assert_eq!(lookups.record(source(4000), 7, &sns, at(105)), LookupKind::Retransmission);
        assert_eq!(lookups.record(source(4001), 7, &sns, at(105)), LookupKind::First);
        assert_eq!(lookups.record(source(4000), 8, &sns, at(105)), LookupKind::First);
        assert_eq!(lookups.record(source(4000), 7, &sqs, at(105)), LookupKind::First);
        assert_eq!(lookups.0.len(), 4);
        assert_eq!(lookups.record(source(4000), 7, &sns, at(111)), LookupKind::Retransmission);
        assert_eq!(lookups.record(source(4000), 7, &sns, at(113)), LookupKind::First);
        assert_eq!(lookups.0.len(), 4);
    }

    #[test]
    fn a_full_table_does_not_remember_lookups_until_the_oldest_expires() {
        let mut lookups = Table::new(2);
        let sns = name("sns.example");
        assert_eq!(lookups.record(source(1), 1, &sns, at(100)), LookupKind::First);
        assert_eq!(lookups.record(source(2), 1, &sns, at(101)), LookupKind::First);
        assert_eq!(lookups.record(source(3), 1, &sns, at(102)), LookupKind::Untracked);
        assert_eq!(lookups.record(source(3), 1, &sns, at(103)), LookupKind::Untracked);
        assert_eq!(lookups.record(source(1), 1, &sns, at(104)), LookupKind::Retransmission);
        assert_eq!(lookups.record(source(3), 1, &sns, at(112)), LookupKind::First);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_fill_the_table() {
        let mut lookups = Table::new(1);
        let sns = name("sns.example");
        assert_eq!(lookups.record(source(1), 1, &sns, at(5000)), LookupKind::First);
        assert_eq!(lookups.record(source(2), 1, &sns, at(1000)), LookupKind::First);
        assert_eq!(lookups.record(source(2), 1, &sns, at(1001)), LookupKind::Retransmission);
    }

    /// The table of one listener, addressed by name.
    struct Table(Lookups);

    impl Table {
        fn new(capacity: usize) -> Self {
            Self(Lookups::new(capacity))
        }

        fn record(&mut self, source: SocketAddr, id: u16, name: &Name, at: SystemTime) -> LookupKind {
            let name = self.0.hash_name(name);
            self.0.record(0, source, id, name, at)
        }
    }

    proptest! {
        /// Compares with a list of all counted lookups, with sufficient capacity and a monotonic clock.
        #[test]
        fn the_table_agrees_with_a_list(steps in proptest::collection::vec((0u64..6, 0u16..4), 0..60)) {
            let mut lookups = Table::new(1000);
            let mut counted: Vec<(u64, u16)> = Vec::new();
            let (mut now, sns) = (0, name("sns.example"));
            for (pause, port) in steps {
                now += pause;
                let is_retransmission = counted.iter().any(|(then, p)| *p == port && now - then < 12);
                let expected = if is_retransmission { LookupKind::Retransmission } else { LookupKind::First };
                prop_assert_eq!(lookups.record(source(port), 1, &sns, at(now)), expected);
                if !is_retransmission {
                    counted.push((now, port));
                }
            }
        }
    }
}
