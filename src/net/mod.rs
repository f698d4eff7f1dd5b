//! IP addresses: longest-prefix match, and special-purpose ranges that determine a path.
//!
//! Independent of DNS and AWS services.

mod prefix_map;
mod special;

pub use prefix_map::PrefixMap;
pub use special::{
    ipv4_to_nat64, is_globally_routed, is_link_local_service, is_loopback, is_vpc_lattice, nat64_to_ipv4,
};

use std::net::IpAddr;

use ipnet::IpNet;

/// Returns the prefix that contains only this address: /32 for IPv4, /128 for IPv6.
pub fn host_prefix(address: IpAddr) -> IpNet {
    IpNet::from(address)
}

/// Returns whether two prefixes overlap, which means that one contains the other.
pub fn overlaps(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}
