//! Connections through interface endpoints, as far as look-ups imply them.
//!
//! The rule was found by counting the real connections of client workloads beside their look-ups:
//!
//! - one connection for each positive A answer that holds an address of an interface endpoint. AAAA
//!   answers count only for an endpoint whose names have no A. The two are never paired: most clients
//!   ask both and connect once;
//! - over UDP once for each transport source, DNS ID and name within 12 seconds, so that a stub's
//!   retransmission does not count twice. Never merged by time or TTL;
//! - a truncated reply never counts: its client asks again over TCP, where every reply counts.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use foldhash::fast::RandomState;

use super::QueryEvent;
use crate::dns::{Class, Name, Rcode, RecordType};
use crate::world::{Endpoint, EndpointKind, Index, Standing, Subnet};

/// How long a look-up is remembered. A stub that sends again does so sooner, with the same port and ID.
pub const REMEMBERED: Duration = Duration::from_secs(12);

/// The connection that an answer implies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The endpoint it goes through.
    pub endpoint: Index<Endpoint>,
    /// The subnet of the network interface it goes to.
    pub subnet: Index<Subnet>,
}

/// Whether an answer implies a connection at all, were it not truncated.
pub fn counts(event: &QueryEvent<'_>) -> bool {
    let question = event.question;
    matches!(question.qtype, RecordType::A | RecordType::AAAA)
        && question.qclass == Class::IN
        && event.outcome.answer.rcode == Rcode::NOERROR
        && event.outcome.paths.iter().any(|path| matches!(path.path.endpoint, Some((_, Some(_)))))
}

/// The connection that an answer implies when it is sent with this rotation, were it no retransmission.
///
/// It goes to the interface in the client's own subnet if the answer has one, since glibc sorts that
/// address first whatever the order; else to the first of the interfaces as sent. Of several endpoints
/// in one answer only that interface's counts.
pub fn connection(event: &QueryEvent<'_>, rotation: usize) -> Option<Connection> {
    let (question, answer) = (event.question, &event.outcome.answer);
    if !counts(event) {
        return None;
    }
    let own = match event.world.places[event.vantage?.place].standing {
        Standing::Subnet(subnet) => Some(subnet),
        Standing::Site(_) | Standing::Outside => None,
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

/// The interface of an interface endpoint that the way to an address ends at, if answers of this type
/// count for that endpoint.
fn interface(event: &QueryEvent<'_>, address: IpAddr) -> Option<Connection> {
    let path = &event.outcome.paths.iter().find(|path| path.address == address)?.path;
    let (index, Some(number)) = path.endpoint? else {
        return None;
    };
    let endpoint = &event.world.endpoints[index];
    let counts = endpoint.kind == EndpointKind::Interface && endpoint.is_ipv6_only == address.is_ipv6();
    counts.then(|| Connection { endpoint: index, subnet: endpoint.interfaces[number].subnet })
}

/// Whether a look-up was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It was not, and is remembered now.
    First,
    /// It was: this is a retransmission.
    Again,
    /// It was not, and the table is full: a retransmission of it will not be told.
    Unremembered,
}

/// The look-ups of the last twelve seconds that came to one worker over UDP.
///
/// Each is remembered by a hash of its source, ID and name, 64 bits with a random seed: among 65,536 of them
/// the next is mistaken for one with a chance of 2^-48. All room is there from the start.
#[derive(Debug)]
pub struct Lookups {
    capacity: usize,
    /// When each was last counted, in milliseconds since 1970.
    when: HashMap<u64, u64, RandomState>,
    /// What is in `when`, in the order it came, so that the oldest are found without searching.
    order: VecDeque<(u64, u64)>,
    hasher: RandomState,
}

/// A name as [`Lookups`] know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NameHash(u64);

/// [`REMEMBERED`] in milliseconds.
const REMEMBERED_MS: u64 = REMEMBERED.as_millis() as u64;

impl Lookups {
    /// A table for at most `capacity` look-ups.
    pub fn new(capacity: usize) -> Self {
        let hasher = RandomState::default();
        Self {
            capacity,
            // Twice: a full map with entries that left would grow instead of tidying up.
            when: HashMap::with_capacity_and_hasher(2 * capacity, RandomState::default()),
            order: VecDeque::with_capacity(capacity),
            hasher,
        }
    }

    /// A name as this table knows it.
    pub fn name(&self, name: &Name) -> NameHash {
        NameHash(self.hasher.hash_one(name))
    }

    /// Takes note of a look-up that is counted if it is no retransmission. Its door tells it from one that
    /// came to another.
    pub fn see(&mut self, listener: usize, source: SocketAddr, id: u16, name: NameHash, at: SystemTime) -> Seen {
        let now = milliseconds(at);
        self.sweep(now);
        let key = self.hasher.hash_one((listener, source.ip(), source.port(), id, name.0));
        if self.when.get(&key).is_some_and(|then| now.abs_diff(*then) < REMEMBERED_MS) {
            return Seen::Again;
        }
        if self.order.len() >= self.capacity {
            return Seen::Unremembered;
        }
        self.order.push_back((now, key));
        self.when.insert(key, now);
        Seen::First
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.when.len()
    }

    /// Forgets what is old at the front of the queue.
    fn sweep(&mut self, now: u64) {
        // Whichever is later: the wall clock may be set back.
        let is_old = |then: u64| now.abs_diff(then) >= REMEMBERED_MS;
        while self.order.front().is_some_and(|(then, _)| is_old(*then)) {
            let Some((_, key)) = self.order.pop_front() else {
                return;
            };
            // A clock that was set back can leave a key in the queue twice; its younger entry stays.
            if self.when.get(&key).is_some_and(|then| is_old(*then)) {
                self.when.remove(&key);
            }
        }
    }
}

/// A time in milliseconds since 1970; 0 before it.
pub fn milliseconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// How far two times are apart, whichever is later: the wall clock may be set back.
pub fn apart(one: SystemTime, other: SystemTime) -> Duration {
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
        assert_eq!(lookups.see(source(4000), 7, &sns, at(100)), Seen::First);
        assert_eq!(lookups.see(source(4000), 7, &sns, at(105)), Seen::Again);
        assert_eq!(lookups.see(source(4001), 7, &sns, at(105)), Seen::First);
        assert_eq!(lookups.see(source(4000), 8, &sns, at(105)), Seen::First);
        assert_eq!(lookups.see(source(4000), 7, &sqs, at(105)), Seen::First);
        assert_eq!(lookups.0.len(), 4);
        assert_eq!(lookups.see(source(4000), 7, &sns, at(111)), Seen::Again);
        assert_eq!(lookups.see(source(4000), 7, &sns, at(113)), Seen::First);
        assert_eq!(lookups.0.len(), 4);
    }

    #[test]
    fn a_full_table_counts_without_remembering_until_the_oldest_is_old() {
        let mut lookups = Table::new(2);
        let sns = name("sns.example");
        assert_eq!(lookups.see(source(1), 1, &sns, at(100)), Seen::First);
        assert_eq!(lookups.see(source(2), 1, &sns, at(101)), Seen::First);
        assert_eq!(lookups.see(source(3), 1, &sns, at(102)), Seen::Unremembered);
        assert_eq!(lookups.see(source(3), 1, &sns, at(103)), Seen::Unremembered);
        assert_eq!(lookups.see(source(1), 1, &sns, at(104)), Seen::Again);
        assert_eq!(lookups.see(source(3), 1, &sns, at(112)), Seen::First);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_fill_the_table() {
        let mut lookups = Table::new(1);
        let sns = name("sns.example");
        assert_eq!(lookups.see(source(1), 1, &sns, at(5000)), Seen::First);
        assert_eq!(lookups.see(source(2), 1, &sns, at(1000)), Seen::First);
        assert_eq!(lookups.see(source(2), 1, &sns, at(1001)), Seen::Again);
    }

    /// The table behind one door, asked with names.
    struct Table(Lookups);

    impl Table {
        fn new(capacity: usize) -> Self {
            Self(Lookups::new(capacity))
        }

        fn see(&mut self, source: SocketAddr, id: u16, name: &Name, at: SystemTime) -> Seen {
            let name = self.0.name(name);
            self.0.see(0, source, id, name, at)
        }
    }

    proptest! {
        /// Against a list of all look-ups that were counted, with room for all and a clock that goes on.
        #[test]
        fn a_table_agrees_with_a_plain_list(steps in proptest::collection::vec((0u64..6, 0u16..4), 0..60)) {
            let mut lookups = Table::new(1000);
            let mut counted: Vec<(u64, u16)> = Vec::new();
            let (mut now, sns) = (0, name("sns.example"));
            for (pause, port) in steps {
                now += pause;
                let again = counted.iter().any(|(then, p)| *p == port && now - then < 12);
                let expected = if again { Seen::Again } else { Seen::First };
                prop_assert_eq!(lookups.see(source(port), 1, &sns, at(now)), expected);
                if !again {
                    counted.push((now, port));
                }
            }
        }
    }
}
