//! The address families of an endpoint, and the records of its names (PrivateLink guide, "DNS record IP
//! type"; EC2 API, `DnsOptionsSpecification`).
//!
//! | record type | private DNS names | endpoint-specific names | requires the address type |
//! |---|---|---|---|
//! | `ipv4` | A | A | `ipv4` or `dualstack` |
//! | `ipv6` | AAAA | AAAA | `ipv6` or `dualstack` |
//! | `dualstack` | A and AAAA | A and AAAA | `dualstack` |
//! | `service-defined` | A | A and AAAA | `dualstack` |

use super::*;

/// The address families of private DNS names.
pub(in crate::world::compile) fn of_private_names(records: DnsRecordIpType) -> AddressFamilies {
    match records {
        DnsRecordIpType::Ipv4 | DnsRecordIpType::ServiceDefined => AddressFamilies { v4: true, v6: false },
        DnsRecordIpType::Dualstack => AddressFamilies::BOTH,
        DnsRecordIpType::Ipv6 => AddressFamilies { v4: false, v6: true },
    }
}

/// The address families of endpoint-specific names.
pub(in crate::world::compile) fn of_endpoint_names(records: DnsRecordIpType) -> AddressFamilies {
    match records {
        DnsRecordIpType::Ipv4 => AddressFamilies { v4: true, v6: false },
        DnsRecordIpType::Dualstack | DnsRecordIpType::ServiceDefined => AddressFamilies::BOTH,
        DnsRecordIpType::Ipv6 => AddressFamilies { v4: false, v6: true },
    }
}

/// A record type as the API writes it.
pub(super) fn record_type_name(records: DnsRecordIpType) -> &'static str {
    match records {
        DnsRecordIpType::Ipv4 => "ipv4",
        DnsRecordIpType::Dualstack => "dualstack",
        DnsRecordIpType::Ipv6 => "ipv6",
        DnsRecordIpType::ServiceDefined => "service-defined",
    }
}

/// An address type as the API writes it.
fn address_type_name(addresses: IpAddressType) -> &'static str {
    match addresses {
        IpAddressType::Ipv4 => "ipv4",
        IpAddressType::Dualstack => "dualstack",
        IpAddressType::Ipv6 => "ipv6",
    }
}

impl NetworkCompiler<'_, '_> {
    /// The address families of an endpoint and the record type of its names, as configured or derived;
    /// reports contradictions.
    pub(super) fn address_types(
        &mut self,
        written: &config::Endpoint,
        kind: EndpointKind,
        interfaces: &[EndpointInterface],
    ) -> (IpAddressType, DnsRecordIpType) {
        let addresses = self.address_type(written, interfaces);
        let default = match (kind, addresses) {
            (EndpointKind::Gateway, _) => DnsRecordIpType::ServiceDefined,
            (_, IpAddressType::Ipv4) => DnsRecordIpType::Ipv4,
            (_, IpAddressType::Dualstack) => DnsRecordIpType::Dualstack,
            (_, IpAddressType::Ipv6) => DnsRecordIpType::Ipv6,
        };
        let Some(configured) = written.dns_record_ip_type else { return (addresses, default) };
        let wants_both = matches!(configured, DnsRecordIpType::Dualstack | DnsRecordIpType::ServiceDefined);
        let fits = match (configured, addresses) {
            (_, IpAddressType::Dualstack) => true,
            (DnsRecordIpType::ServiceDefined, _) => kind == EndpointKind::Gateway,
            (DnsRecordIpType::Ipv4, IpAddressType::Ipv4) | (DnsRecordIpType::Ipv6, IpAddressType::Ipv6) => {
                true
            }
            _ => false,
        };
        if !fits {
            let type_name = record_type_name(configured);
            let wanted =
                if wants_both { "dualstack".to_owned() } else { format!("{type_name} or dualstack") };
            let message = format!(
                "DnsRecordIpType {type_name} requires IpAddressType {wanted}, but that of `{}` is {}",
                written.id,
                address_type_name(addresses)
            );
            let error = self.cx.report.error(Code::InvalidValue, written.id.mark(), message);
            error.help(
                "assign addresses of those families to its network interfaces, or set `ip_address_type`",
            );
            return (addresses, default);
        }
        (addresses, configured)
    }

    fn address_type(
        &mut self,
        written: &config::Endpoint,
        interfaces: &[EndpointInterface],
    ) -> IpAddressType {
        let Some(configured) = written.ip_address_type else {
            let has_v4 = interfaces.iter().any(|interface| interface.address.is_some());
            let has_v6 = interfaces.iter().any(|interface| interface.ipv6_address.is_some());
            return match (has_v4, has_v6) {
                (_, false) => IpAddressType::Ipv4,
                (true, true) => IpAddressType::Dualstack,
                (false, true) => IpAddressType::Ipv6,
            };
        };
        let (wants_v4, wants_v6) = match configured {
            IpAddressType::Ipv4 => (true, false),
            IpAddressType::Dualstack => (true, true),
            IpAddressType::Ipv6 => (false, true),
        };
        let other = interfaces.iter().find(|interface| {
            (interface.address.is_some(), interface.ipv6_address.is_some()) != (wants_v4, wants_v6)
        });
        if let Some(other) = other {
            let have = match (other.address.is_some(), other.ipv6_address.is_some()) {
                (true, true) => "an IPv4 and an IPv6 address",
                (true, false) => "only an IPv4 address",
                _ => "only an IPv6 address",
            };
            let message = format!(
                "IpAddressType of `{}` is {}, but its network interface in `{}` has {have}",
                written.id,
                address_type_name(configured),
                self.network.subnets[other.subnet].id
            );
            let error = self.cx.report.error(Code::InvalidValue, written.id.mark(), message);
            error.help("a network interface has one address for each family: `address`, `ipv6_address`");
        }
        configured
    }

    /// Reports an interface without an address, and addresses of the wrong family.
    pub(super) fn families_of_keys(&mut self, interface: &config::EndpointInterface) {
        if interface.address.is_none() && interface.ipv6_address.is_none() {
            let message = format!("the network interface in `{}` has no address", interface.subnet);
            let error = self.cx.report.error(Code::MissingKey, interface.subnet.mark(), message);
            error.help("write `address = \"10.0.100.10\"`, or `ipv6_address`, or both");
        }
        let keys = [(&interface.address, "address", false), (&interface.ipv6_address, "ipv6_address", true)];
        for (address, key, is_ipv6) in keys {
            if let Some(address) = address
                && address.value().is_ipv6() != is_ipv6
            {
                let family = if is_ipv6 { "IPv6" } else { "IPv4" };
                let message = format!("`{key}` must be an {family} address, not {address}");
                self.cx.report.error(Code::InvalidValue, address.mark(), message);
            }
        }
    }
}
