//! Special-purpose addresses, which are handled before any route applies.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Returns whether this is a loopback address: 127.0.0.0/8 or ::1.
pub fn is_loopback(address: IpAddr) -> bool {
    address.is_loopback()
}

/// Returns whether this address belongs to the link-local services of a VPC (169.254.168.0/22 and
/// fd00:ec2::/32, except the ranges of VPC Lattice) or to the rest of 169.254.0.0/16 and fe80::/10, which
/// routers do not forward (RFC 3927, RFC 4291).
///
/// Route tables cannot contain routes within these ranges, and less specific routes do not apply to them (VPC
/// User Guide, "Route tables": reserved addresses).
pub fn is_link_local_service(address: IpAddr) -> bool {
    if is_vpc_lattice(address) {
        return false;
    }
    match address {
        IpAddr::V4(a) => a.is_link_local(),
        IpAddr::V6(a) => a.is_unicast_link_local() || a.segments()[..2] == [0xfd00, 0x0ec2],
    }
}

/// Returns whether this is a service address of VPC Lattice: 169.254.171.0/24 or fd00:ec2:80::/64.
pub fn is_vpc_lattice(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => a.octets()[..3] == [169, 254, 171],
        IpAddr::V6(a) => a.segments()[..4] == [0xfd00, 0x0ec2, 0x0080, 0],
    }
}

/// Returns the IPv4 address embedded in an address of the well-known NAT64 prefix 64:ff9b::/96 (RFC 6052
/// section 2.1).
pub fn nat64_to_ipv4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V6(a) if a.segments()[..6] == [0x0064, 0xff9b, 0, 0, 0, 0] => {
            let o = a.octets();
            Some(Ipv4Addr::new(o[12], o[13], o[14], o[15]))
        }
        _ => None,
    }
}

/// Returns the address with an IPv4 address embedded in the well-known NAT64 prefix (RFC 6052 section 2.2).
pub fn ipv4_to_nat64(address: Ipv4Addr) -> Ipv6Addr {
    let [a, b, c, d] = address.octets();
    let pair = |high, low| u16::from_be_bytes([high, low]);
    Ipv6Addr::new(0x0064, 0xff9b, 0, 0, 0, 0, pair(a, b), pair(c, d))
}

/// Returns whether this address is routed on the internet: it is not private (RFC 1918, RFC 6598, RFC 4193),
/// loopback, link-local, multicast or reserved.
///
/// The documentation prefixes (RFC 5737, RFC 3849) are treated as public, because examples use them.
pub fn is_globally_routed(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => is_global_v4(a),
        IpAddr::V6(a) => is_global_v6(a),
    }
}

fn is_global_v4(a: Ipv4Addr) -> bool {
    let o = a.octets();
    let shared = o[0] == 100 && o[1] & 0xc0 == 64;
    !(o[0] == 0 || a.is_private() || shared || a.is_loopback() || a.is_link_local() || o[0] >= 224)
}

fn is_global_v6(a: Ipv6Addr) -> bool {
    // Global unicast is 2000::/3. The well-known NAT64 prefix is translated, not routed.
    a.segments()[0] & 0xe000 == 0x2000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_classified() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for public in ["52.219.1.2", "203.0.113.20", "2600:1f00::1", "2001:db8::1"] {
            assert!(is_globally_routed(ip(public)), "{public}");
        }
        for private in ["10.0.0.1", "172.31.0.1", "192.168.1.1", "100.64.0.1", "fd00::1", "224.0.0.1"] {
            assert!(!is_globally_routed(ip(private)), "{private}");
        }
        assert!(is_link_local_service(ip("169.254.169.253")));
        assert!(is_link_local_service(ip("fd00:ec2::253")));
        assert!(!is_link_local_service(ip("169.254.171.9")));
        assert!(is_vpc_lattice(ip("fd00:ec2:80::1")));
        assert_eq!(nat64_to_ipv4(ip("64:ff9b::345e:8501")), Some(Ipv4Addr::new(52, 94, 133, 1)));
        assert_eq!(nat64_to_ipv4(ip("64:ff9c::1")), None);
        assert_eq!(
            ipv4_to_nat64(Ipv4Addr::new(10, 0, 1, 5)),
            "64:ff9b::a00:105".parse::<Ipv6Addr>().unwrap()
        );
    }
}
