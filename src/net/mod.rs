//! Address vocabulary: longest-prefix match and the kinds of addresses that decide a way out.
//!
//! Knows nothing of DNS and nothing of AWS's services.

mod prefix_map;
mod special;

pub use prefix_map::PrefixMap;
pub use special::{
    is_globally_routed, is_link_local_service, is_loopback, is_vpc_lattice, nat64_embedded, nat64_of,
};

use std::net::IpAddr;

use ipnet::IpNet;

/// The prefix that holds just this address: /32 for IPv4, /128 for IPv6.
pub fn host(address: IpAddr) -> IpNet {
    IpNet::from(address)
}

/// Whether two prefixes share an address, which for prefixes means that one holds the other.
pub fn overlaps(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}
