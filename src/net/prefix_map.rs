//! Longest-prefix match for IPv4 and IPv6 prefixes.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// A map from prefixes to values with longest-prefix match.
///
/// The two address families are independent, as in a VPC route table.
#[derive(Clone)]
pub struct PrefixMap<T> {
    v4: prefix_trie::PrefixMap<Ipv4Net, T>,
    v6: prefix_trie::PrefixMap<Ipv6Net, T>,
}

impl<T> PrefixMap<T> {
    /// Creates an empty map.
    pub fn new() -> Self {
        Self { v4: prefix_trie::PrefixMap::new(), v6: prefix_trie::PrefixMap::new() }
    }

    /// Sets the value of a prefix and returns the previous one. Host bits are ignored.
    pub fn insert(&mut self, prefix: IpNet, value: T) -> Option<T> {
        match prefix.trunc() {
            IpNet::V4(net) => self.v4.insert(net, value),
            IpNet::V6(net) => self.v6.insert(net, value),
        }
    }

    /// Returns the value of exactly this prefix.
    pub fn get(&self, prefix: &IpNet) -> Option<&T> {
        match prefix.trunc() {
            IpNet::V4(net) => self.v4.get(&net),
            IpNet::V6(net) => self.v6.get(&net),
        }
    }

    /// Returns the value of exactly this prefix, after inserting `default()` if there is none.
    pub fn get_or_insert_with(&mut self, prefix: IpNet, default: impl FnOnce() -> T) -> &mut T {
        match prefix.trunc() {
            IpNet::V4(net) => self.v4.entry(net).or_insert_with(default),
            IpNet::V6(net) => self.v6.entry(net).or_insert_with(default),
        }
    }

    /// Returns the longest prefix that contains the address, with its value.
    pub fn longest_match(&self, address: IpAddr) -> Option<(IpNet, &T)> {
        self.longest_covering(&IpNet::from(address))
    }

    /// Returns the longest prefix that contains `prefix` (possibly itself), with its value.
    pub fn longest_covering(&self, prefix: &IpNet) -> Option<(IpNet, &T)> {
        match prefix.trunc() {
            IpNet::V4(net) => self.v4.get_lpm(&net).map(|(p, v)| (IpNet::V4(*p), v)),
            IpNet::V6(net) => self.v6.get_lpm(&net).map(|(p, v)| (IpNet::V6(*p), v)),
        }
    }

    /// Returns all prefixes that contain the address, shortest first.
    pub fn covering(&self, address: IpAddr) -> Vec<(IpNet, &T)> {
        match address {
            IpAddr::V4(a) => self.v4.cover(&Ipv4Net::from(a)).map(|(p, v)| (IpNet::V4(*p), v)).collect(),
            IpAddr::V6(a) => self.v6.cover(&Ipv6Net::from(a)).map(|(p, v)| (IpNet::V6(*p), v)).collect(),
        }
    }

    /// Returns all prefixes equal to or within `prefix`, in address order.
    pub fn covered_by(&self, prefix: &IpNet) -> Vec<(IpNet, &T)> {
        match prefix.trunc() {
            IpNet::V4(net) => self.v4.children(&net).map(|(p, v)| (IpNet::V4(*p), v)).collect(),
            IpNet::V6(net) => self.v6.children(&net).map(|(p, v)| (IpNet::V6(*p), v)).collect(),
        }
    }

    /// Iterates over the prefixes that overlap `prefix`: those that contain it, then those within it.
    pub fn overlapping(&self, prefix: &IpNet) -> impl Iterator<Item = (IpNet, &T)> {
        let length = prefix.prefix_len();
        let wider = self.covering(prefix.network()).into_iter().filter(move |(p, _)| p.prefix_len() < length);
        wider.chain(self.covered_by(prefix))
    }

    /// Iterates over all prefixes and values, IPv4 first, in address order.
    pub fn iter(&self) -> impl Iterator<Item = (IpNet, &T)> {
        let v4 = self.v4.iter().map(|(p, v)| (IpNet::V4(*p), v));
        v4.chain(self.v6.iter().map(|(p, v)| (IpNet::V6(*p), v)))
    }

    /// Returns the number of prefixes.
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Returns whether the map is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Default for PrefixMap<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for PrefixMap<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    fn net() -> impl Strategy<Value = IpNet> {
        // Few distinct high bits, so that prefixes nest.
        let v4 = (0u32..16, 0u8..=32).prop_map(|(n, len)| {
            let address = Ipv4Addr::from(n << 28 | n << 3);
            IpNet::V4(Ipv4Net::new(address, len).unwrap().trunc())
        });
        let v6 = (0u128..16, 0u8..=128).prop_map(|(n, len)| {
            let address = Ipv6Addr::from(n << 124 | n << 3);
            IpNet::V6(Ipv6Net::new(address, len).unwrap().trunc())
        });
        prop_oneof![v4, v6]
    }

    proptest! {
        #[test]
        fn longest_match_agrees_with_a_linear_scan(
            nets in prop::collection::vec(net(), 0..40),
            queried in net(),
        ) {
            let mut map = PrefixMap::new();
            for (i, net) in nets.iter().enumerate() {
                map.insert(*net, i);
            }
            let address = queried.addr();
            let scanned = nets.iter().filter(|n| n.contains(&address)).max_by_key(|n| n.prefix_len());
            prop_assert_eq!(map.longest_match(address).map(|(p, _)| p), scanned.copied());

            let mut all: Vec<IpNet> = nets.iter().filter(|n| n.contains(&address)).copied().collect();
            all.sort_by_key(IpNet::prefix_len);
            all.dedup();
            let covering: Vec<IpNet> = map.covering(address).into_iter().map(|(p, _)| p).collect();
            prop_assert_eq!(covering, all);
        }

        #[test]
        fn covered_by_agrees_with_a_linear_scan(nets in prop::collection::vec(net(), 0..40), queried in net()) {
            let mut map = PrefixMap::new();
            for net in &nets {
                map.insert(*net, ());
            }
            let mut scanned: Vec<IpNet> = nets.iter().filter(|n| queried.contains(*n)).copied().collect();
            scanned.sort();
            scanned.dedup();
            let mut covered: Vec<IpNet> = map.covered_by(&queried).into_iter().map(|(p, _)| p).collect();
            covered.sort();
            prop_assert_eq!(covered, scanned);

            let mut scanned: Vec<IpNet> = nets.iter().filter(|n| crate::net::overlaps(n, &queried)).copied().collect();
            scanned.sort();
            scanned.dedup();
            let mut overlapping: Vec<IpNet> = map.overlapping(&queried).map(|(p, _)| p).collect();
            overlapping.sort();
            prop_assert_eq!(overlapping, scanned);
        }
    }
}
