//! Reverse-mapping names under `in-addr.arpa` and `ip6.arpa` (RFC 1035 3.5, RFC 3596 2.5).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::name::Name;

const IN_ADDR_ARPA: &[u8] = b"\x07in-addr\x04arpa\0";
const IP6_ARPA: &[u8] = b"\x03ip6\x04arpa\0";

/// The addresses that a reverse-mapping name represents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReverseName {
    /// One address, for a complete name.
    Address(IpAddr),
    /// All addresses of a network, for a shorter name. For `in-addr.arpa` and `ip6.arpa` themselves, the
    /// whole address family.
    Network(IpNet),
}

/// Returns the name of an address's PTR records.
pub fn reverse_name(address: IpAddr) -> Name {
    reverse_zone(IpNet::from(address))
}

/// Parses a reverse-mapping name.
///
/// Returns `None` if the name is not under either domain, has a label that is not a decimal octet without
/// leading zeros (for IPv6: a hexadecimal nibble), or has too many labels.
pub fn parse_reverse(name: &Name) -> Option<ReverseName> {
    let labels = name.label_count();
    let parts = labels.checked_sub(2)?;
    match name.suffixes().nth(parts)? {
        IN_ADDR_ARPA if parts <= 4 => {
            let mut octets = [0; 4];
            for (index, label) in name.labels().take(parts).enumerate() {
                octets[parts - 1 - index] = parse_octet(label)?;
            }
            let address = Ipv4Addr::from(octets);
            Some(match parts {
                4 => ReverseName::Address(address.into()),
                _ => ReverseName::Network(Ipv4Net::new(address, 8 * parts as u8).ok()?.into()),
            })
        }
        IP6_ARPA if parts <= 32 => {
            let mut bits: u128 = 0;
            for (index, label) in name.labels().take(parts).enumerate() {
                let position = parts - 1 - index;
                bits |= parse_nibble(label)? << (124 - 4 * position);
            }
            let address = Ipv6Addr::from(bits);
            Some(match parts {
                32 => ReverseName::Address(address.into()),
                _ => ReverseName::Network(Ipv6Net::new(address, 4 * parts as u8).ok()?.into()),
            })
        }
        _ => None,
    }
}

/// Returns the zones that together contain exactly the reverse-mapping names of a network.
///
/// The prefix length is rounded up to a multiple of 8 (of 4 for IPv6), so there are at most 128 zones (8 for
/// IPv6): 10.0.0.0/23 yields `0.0.10.in-addr.arpa.` and `1.0.10.in-addr.arpa.`.
pub fn reverse_zones(net: IpNet) -> Vec<Name> {
    let step = match net {
        IpNet::V4(_) => 8,
        IpNet::V6(_) => 4,
    };
    // Rounding up never exceeds the address length: 32 and 128 are multiples of the steps.
    net.trunc()
        .subnets(net.prefix_len().next_multiple_of(step))
        .map(|subnets| subnets.map(reverse_zone).collect())
        .unwrap_or_default()
}

/// Returns the name of an octet-aligned (for IPv6: nibble-aligned) network.
fn reverse_zone(net: IpNet) -> Name {
    let mut wire = Vec::with_capacity(74);
    match net {
        IpNet::V4(net) => {
            let octets = net.network().octets();
            for octet in octets[..usize::from(net.prefix_len() / 8)].iter().rev() {
                let digits = octet.to_string();
                wire.push(digits.len() as u8);
                wire.extend(digits.into_bytes());
            }
            wire.extend_from_slice(IN_ADDR_ARPA);
        }
        IpNet::V6(net) => {
            let bits = u128::from(net.network());
            for index in (0..net.prefix_len() / 4).rev() {
                let nibble = (bits >> (124 - 4 * u32::from(index))) as usize & 15;
                wire.extend([1, b"0123456789abcdef"[nibble]]);
            }
            wire.extend_from_slice(IP6_ARPA);
        }
    }
    Name::from_wire(&wire).unwrap_or_else(|_| Name::root())
}

/// Parses a decimal octet without leading zeros.
fn parse_octet(label: &[u8]) -> Option<u8> {
    if label.len() > 1 && label[0] == b'0' || !label.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(label).ok()?.parse().ok()
}

fn parse_nibble(label: &[u8]) -> Option<u128> {
    match label {
        [digit] => char::from(*digit).to_digit(16).map(u128::from),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dns::name::tests::name;

    fn network(text: &str) -> Option<ReverseName> {
        Some(ReverseName::Network(text.parse().expect("a network")))
    }

    #[test]
    fn shorter_names_are_networks() {
        assert_eq!(parse_reverse(&name("in-addr.arpa")), network("0.0.0.0/0"));
        assert_eq!(parse_reverse(&name("2.1.10.in-addr.arpa")), network("10.1.2.0/24"));
        assert_eq!(parse_reverse(&name("ip6.arpa")), network("::/0"));
        assert_eq!(parse_reverse(&name("8.B.D.0.1.0.0.2.ip6.arpa")), network("2001:db8::/32"));
    }

    #[test]
    fn other_names_are_rejected() {
        for bad in [
            ".",
            "arpa",
            "example.com",
            "256.in-addr.arpa",
            "01.in-addr.arpa",
            "a.in-addr.arpa",
            "+1.in-addr.arpa",
            "5.4.3.2.1.in-addr.arpa",
            "g.ip6.arpa",
            "10.ip6.arpa",
        ] {
            assert_eq!(parse_reverse(&name(bad)), None, "{bad}");
        }
        let deep = reverse_name(IpAddr::from([0u16; 8])).prepend(b"0").expect("room");
        assert_eq!(parse_reverse(&deep), None);
    }

    #[test]
    fn zones_are_aligned() {
        let zones = |net: &str| -> Vec<String> {
            let zones = reverse_zones(net.parse().expect("a network"));
            zones.iter().map(Name::to_string).collect()
        };
        assert_eq!(zones("10.0.0.0/23"), ["0.0.10.in-addr.arpa.", "1.0.10.in-addr.arpa."]);
        assert_eq!(zones("10.0.0.0/8"), ["10.in-addr.arpa."]);
        assert_eq!(zones("0.0.0.0/0"), ["in-addr.arpa."]);
        assert_eq!(zones("172.16.0.0/12").len(), 16);
        assert_eq!(zones("10.1.2.3/30").len(), 4);
        assert_eq!(zones("2001:db8::/31"), ["8.b.d.0.1.0.0.2.ip6.arpa.", "9.b.d.0.1.0.0.2.ip6.arpa."]);
        assert_eq!(zones("2001:db8::1/128").len(), 1);
    }

    proptest! {
        #[test]
        fn addresses_round_trip(address in any::<IpAddr>()) {
            prop_assert_eq!(parse_reverse(&reverse_name(address)), Some(ReverseName::Address(address)));
        }
    }
}
