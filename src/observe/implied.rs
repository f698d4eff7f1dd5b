//! Connections through interface endpoints, as implied by lookups.
//!
//! The rules were derived by comparing the connections of client workloads with their lookups:
//!
//! - One connection for each positive A answer that contains an address of an interface endpoint. AAAA
//!   answers count only for an endpoint whose names have no A records. The two are never combined: most
//!   clients query both and connect once.
//! - Over UDP once for each transport source, DNS ID and name within 12 seconds, so that a stub's
//!   retransmission does not count twice. Never merged by time or TTL.
//! - A truncated reply never counts: the client retries over TCP, where every reply counts.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use foldhash::fast::RandomState;

use super::QueryEvent;
use crate::dns::{Class, Name, Rcode, RecordType};
use crate::world::{Endpoint, EndpointKind, Index, PlaceKind, Subnet};

/// How long a lookup is remembered. A stub retransmits earlier, with the same port and ID.
pub const REMEMBERED: Duration = Duration::from_secs(12);

/// The connection that an answer implies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointConnection {
    /// The endpoint.
    pub endpoint: Index<Endpoint>,
    /// The subnet of the network interface.
    pub subnet: Index<Subnet>,
}

/// Whether an answer that is not truncated implies a connection.
pub fn counts(event: &QueryEvent<'_>) -> bool {
    let question = event.question;
    matches!(question.qtype, RecordType::A | RecordType::AAAA)
        && question.qclass == Class::IN
        && event.outcome.answer.rcode == Rcode::NOERROR
        && event.outcome.paths.iter().any(|path| matches!(path.path.endpoint, Some((_, Some(_)))))
}

/// The connection implied by an answer in this rotation, unless the query is a retransmission.
///
/// It uses the interface in the client's own subnet if the answer contains one, because glibc sorts that
/// address first regardless of the order; otherwise the first interface in the order sent. Of several
/// endpoints in one answer, only that of this interface counts.
pub fn connection(event: &QueryEvent<'_>, rotation: usize) -> Option<EndpointConnection> {
    let (question, answer) = (event.question, &event.outcome.answer);
    if !counts(event) {
        return None;
    }
    let own = match event.world.places[event.vantage?.place].kind {
        PlaceKind::Subnet(subnet) => Some(subnet),
        PlaceKind::Site(_) | PlaceKind::Outside => None,
    };
    let sets = answer.answer.iter().filter(|set| set.rtype == question.qtype);
    let addresses = sets.flat_map(|set| set.addresses(rotation));
    let mut first = None;
    for found in addresses.filter_map(|address| interface(event, address)) {
        if Some(found.subnet) == own {
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
    let endpoint = &event.world.endpoints[index];
    let counts = endpoint.kind == EndpointKind::Interface && endpoint.is_ipv6_only == address.is_ipv6();
    counts.then(|| EndpointConnection { endpoint: index, subnet: endpoint.interfaces[number].subnet })
}

/// Whether a lookup is a retransmission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupKind {
    /// It is new, and is remembered.
    First,
    /// It is a retransmission.
    Retransmission,
    /// It is new, but the table is full: a retransmission will not be detected.
    Untracked,
}

/// The lookups of the last twelve seconds that one worker received over UDP.
///
/// Each is remembered by a hash of its source, ID and name: 64 bits with a random seed. With 65,536
/// remembered lookups, the probability of a false match is 2^-48. All memory is allocated at the start.
#[derive(Debug)]
pub struct Lookups {
    capacity: usize,
    /// When each was last counted, in milliseconds since 1970.
    when: HashMap<u64, u64, RandomState>,
    /// The entries of `when` in order of insertion, so that the oldest are found without a search.
    order: VecDeque<(u64, u64)>,
    hasher: RandomState,
}

/// A hashed name for [`Lookups`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NameHash(u64);

/// [`REMEMBERED`] in milliseconds.
const REMEMBERED_MS: u64 = REMEMBERED.as_millis() as u64;

impl Lookups {
    /// Creates a table for at most `capacity` lookups.
    pub fn new(capacity: usize) -> Self {
        let hasher = RandomState::default();
        Self {
            capacity,
            // Twice the capacity: a full map with removed entries would grow instead of being cleaned up.
            when: HashMap::with_capacity_and_hasher(2 * capacity, RandomState::default()),
            order: VecDeque::with_capacity(capacity),
            hasher,
        }
    }

    /// Hashes a name for this table.
    pub fn name(&self, name: &Name) -> NameHash {
        NameHash(self.hasher.hash_one(name))
    }

    /// Records a lookup, which counts unless it is a retransmission. The listener distinguishes it from a
    /// lookup at another one.
    pub fn record(
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
        if self.when.get(&key).is_some_and(|then| now.abs_diff(*then) < REMEMBERED_MS) {
            return LookupKind::Retransmission;
        }
        if self.order.len() >= self.capacity {
            return LookupKind::Untracked;
        }
        self.order.push_back((now, key));
        self.when.insert(key, now);
        LookupKind::First
    }

    /// Number of remembered lookups.
    pub fn len(&self) -> usize {
        self.when.len()
    }

    /// Removes expired entries at the front of the queue.
    fn sweep(&mut self, now: u64) {
        // In either direction: the wall clock may be set back.
        let is_old = |then: u64| now.abs_diff(then) >= REMEMBERED_MS;
        while self.order.front().is_some_and(|(then, _)| is_old(*then)) {
            let Some((_, key)) = self.order.pop_front() else {
                return;
            };
            // After the clock was set back, a key can be in the queue twice; its newer entry is kept.
            if self.when.get(&key).is_some_and(|then| is_old(*then)) {
                self.when.remove(&key);
            }
        }
    }
}

/// A time in milliseconds since 1970; 0 before that.
pub fn milliseconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// The absolute difference of two times: the wall clock may be set back.
pub fn abs_difference(one: SystemTime, other: SystemTime) -> Duration {
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
    fn a_retransmission_is_told_for_twelve_seconds() {
        let mut lookups = Table::new(8);
        let (sns, sqs) = (name("sns.example"), name("sqs.example"));
        assert_eq!(lookups.see(source(4000), 7, &sns, at(100)), LookupKind::First);
        assert_eq!(lookups.see(source(4000), 7, &sns, at(105)), LookupKind::Retransmission);
        assert_eq!(lookups.see(source(4001), 7, &sns, at(105)), LookupKind::First);
        assert_eq!(lookups.see(source(4000), 8, &sns, at(105)), LookupKind::First);
        assert_eq!(lookups.see(source(4000), 7, &sqs, at(105)), LookupKind::First);
        assert_eq!(lookups.0.len(), 4);
        assert_eq!(lookups.see(source(4000), 7, &sns, at(111)), LookupKind::Retransmission);
        assert_eq!(lookups.see(source(4000), 7, &sns, at(113)), LookupKind::First);
        assert_eq!(lookups.0.len(), 4);
    }

    #[test]
    fn a_full_table_counts_without_remembering_until_the_oldest_is_old() {
        let mut lookups = Table::new(2);
        let sns = name("sns.example");
        assert_eq!(lookups.see(source(1), 1, &sns, at(100)), LookupKind::First);
        assert_eq!(lookups.see(source(2), 1, &sns, at(101)), LookupKind::First);
        assert_eq!(lookups.see(source(3), 1, &sns, at(102)), LookupKind::Untracked);
        assert_eq!(lookups.see(source(3), 1, &sns, at(103)), LookupKind::Untracked);
        assert_eq!(lookups.see(source(1), 1, &sns, at(104)), LookupKind::Retransmission);
        assert_eq!(lookups.see(source(3), 1, &sns, at(112)), LookupKind::First);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_fill_the_table() {
        let mut lookups = Table::new(1);
        let sns = name("sns.example");
        assert_eq!(lookups.see(source(1), 1, &sns, at(5000)), LookupKind::First);
        assert_eq!(lookups.see(source(2), 1, &sns, at(1000)), LookupKind::First);
        assert_eq!(lookups.see(source(2), 1, &sns, at(1001)), LookupKind::Retransmission);
    }

    /// The table of one listener, addressed by name.
    struct Table(Lookups);

    impl Table {
        fn new(capacity: usize) -> Self {
            Self(Lookups::new(capacity))
        }

        fn see(&mut self, source: SocketAddr, id: u16, name: &Name, at: SystemTime) -> LookupKind {
            let name = self.0.name(name);
            self.0.record(0, source, id, name, at)
        }
    }

    proptest! {
        /// Compares with a list of all counted lookups, with sufficient capacity and a monotonic clock.
        #[test]
        fn a_table_agrees_with_a_plain_list(steps in proptest::collection::vec((0u64..6, 0u16..4), 0..60)) {
            let mut lookups = Table::new(1000);
            let mut counted: Vec<(u64, u16)> = Vec::new();
            let (mut now, sns) = (0, name("sns.example"));
            for (pause, port) in steps {
                now += pause;
                let again = counted.iter().any(|(then, p)| *p == port && now - then < 12);
                let expected = if again { LookupKind::Retransmission } else { LookupKind::First };
                prop_assert_eq!(lookups.see(source(port), 1, &sns, at(now)), expected);
                if !again {
                    counted.push((now, port));
                }
            }
        }
    }
}
