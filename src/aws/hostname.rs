//! The labels that EC2 generates for addresses.
//!
//! Follows the EC2 guide, "EC2 instance hostnames and domains" (IP-based names, `ip-10-24-34-0`), and the VPC
//! guide, "DNS attributes for your VPC" (public names, `ec2-203-0-113-25`). The VPC Resolver computes the
//! private answer from the label, whether or not an instance has the address. Parsing must therefore be
//! strict: with any other label, the name does not exist.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Returns the label of a private address: `ip-10-0-1-5`.
pub fn ip_label(address: Ipv4Addr) -> String {
    ipv4_label("ip", address)
}

/// Parses `ip-a-b-c-d`: lower case, four decimal octets without leading zeros, and nothing else.
pub fn parse_ip_label(label: &[u8]) -> Option<Ipv4Addr> {
    parse_octets(label.strip_prefix(b"ip-")?)
}

/// Returns the label of a public address: `ec2-203-0-113-25`.
pub fn public_ec2_label(address: Ipv4Addr) -> String {
    ipv4_label("ec2", address)
}

/// Returns the label of a public IPv6 address: 25 digits in base 36, in groups of five (EC2 guide, "Hostname
/// types").
pub fn public_ipv6_label(address: Ipv6Addr) -> String {
    let digits = base36(address.into());
    let padded = format!("{digits:0>25}");
    let groups: Vec<&str> = (0..5).map(|group| &padded[group * 5..group * 5 + 5]).collect();
    groups.join("-")
}

/// Returns the label of a dual-stack interface: that of its IPv6 address, then its public IPv4 address in
/// base 36. The second part of the guide's example does not encode the example's address, so lower case is an
/// assumption.
pub fn public_dual_stack_label(v6: Ipv6Addr, v4: Ipv4Addr) -> String {
    format!("{}-{}", public_ipv6_label(v6), base36(u32::from(v4).into()))
}

/// Formats a number in base 36, with digits and lower-case letters.
fn base36(mut number: u128) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(b"0123456789abcdefghijklmnopqrstuvwxyz"[(number % 36) as usize]);
        number /= 36;
        if number == 0 {
            break;
        }
    }
    digits.iter().rev().map(|digit| char::from(*digit)).collect()
}

fn ipv4_label(prefix: &str, address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    format!("{prefix}-{a}-{b}-{c}-{d}")
}

fn parse_octets(text: &[u8]) -> Option<Ipv4Addr> {
    let mut out = [0u8; 4];
    let mut parts = text.split(|&b| b == b'-');
    for slot in &mut out {
        *slot = parse_octet(parts.next()?)?;
    }
    parts.next().is_none().then(|| out.into())
}

fn parse_octet(text: &[u8]) -> Option<u8> {
    if !(1..=3).contains(&text.len()) || (text.len() > 1 && text[0] == b'0') {
        return None;
    }
    text.iter().try_fold(0u8, |n, &b| {
        let digit = b.is_ascii_digit().then(|| b - b'0')?;
        n.checked_mul(10)?.checked_add(digit)
    })
}

/// Returns the `service` value in `ip-ranges.json` for the name of a gateway endpoint's service: `S3` for
/// `com.amazonaws.ap-northeast-1.s3`.
pub fn ip_ranges_service(service_name: &str) -> String {
    service_name.rsplit('.').next().unwrap_or_default().to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_round_trip() {
        for a in ["0.0.0.0", "10.0.1.5", "255.255.255.255", "203.0.113.25"] {
            let a: Ipv4Addr = a.parse().unwrap();
            assert_eq!(parse_ip_label(ip_label(a).as_bytes()), Some(a));
        }
        assert_eq!(ip_label(Ipv4Addr::new(10, 0, 1, 5)), "ip-10-0-1-5");
        assert_eq!(public_ec2_label(Ipv4Addr::new(203, 0, 113, 25)), "ec2-203-0-113-25");
    }

    /// The example in the EC2 guide.
    #[test]
    fn ipv6_labels_are_in_base_36() {
        let v6: Ipv6Addr = "ffff:1407:4:f000:81d:2689:1066:4489".parse().unwrap();
        assert_eq!(public_ipv6_label(v6), "f5lnz-0khrm-nt2u3-gyqqt-nbdl5");
        let both = public_dual_stack_label(v6, Ipv4Addr::new(52, 54, 55, 56));
        assert_eq!(both, "f5lnz-0khrm-nt2u3-gyqqt-nbdl5-ehj1h4");
        assert_eq!(public_ipv6_label(Ipv6Addr::LOCALHOST), "00000-00000-00000-00000-00001");
    }

    #[test]
    fn other_labels_are_rejected() {
        for bad in [
            "",
            "ip",
            "ip-",
            "ip-10-0-1",
            "ip-10-0-1-5-6",
            "ip-10-0-1-256",
            "ip-10-0-01-5",
            "ip-10-0--5",
            "ip-10-0-1-",
            "IP-10-0-1-5",
            "ip-10-0-1-5x",
            "ip-+1-0-1-5",
            "xip-10-0-1-5",
            "ec2-10-0-1-5",
            "ip-1000-0-1-5",
            "ip-00-0-0-0",
        ] {
            assert_eq!(parse_ip_label(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(parse_ip_label(b"ip-\xff-0-0-0"), None);
    }
}
