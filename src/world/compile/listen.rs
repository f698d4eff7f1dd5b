//! The addresses of listeners. Names need them as well: a server of an upstream must not be a listener.

use std::net::{Ipv4Addr, SocketAddr};

use super::*;
use crate::config::{self, Transport};

/// The address of a VPC's resolver: the base of the primary IPv4 CIDR block plus two ("Amazon DNS server",
/// VPC User Guide).
pub(super) fn resolver_address(vpc: &Vpc) -> Option<Ipv4Addr> {
    vpc.cidrs.iter().find_map(|cidr| match cidr {
        IpNet::V4(net) => Some(Ipv4Addr::from(u32::from(net.network()).checked_add(2)?)),
        IpNet::V6(_) => None,
    })
}

/// The addresses of a listener: as configured, or else those of the resolver that it provides.
pub(super) fn listen_addresses(
    config: &Config,
    network: &Network,
    declarations: &Declarations<'_>,
    written: &config::Listener,
) -> Vec<SocketAddr> {
    if let Some(address) = &written.address {
        return vec![address.value().0];
    }
    let port = match written.transports.first() {
        Some(Transport::Dot) => 853,
        Some(Transport::Doh) => 443,
        Some(Transport::Udp | Transport::Tcp) | None => 53,
    };
    let vpc = written.vpc.as_ref().and_then(|vpc| declarations.vpcs.get(&vpc.to_string()));
    if let Some(vpc) = vpc {
        let own = resolver_address(&network.vpcs[*vpc]);
        return own.into_iter().map(|ip| SocketAddr::new(ip.into(), port)).collect();
    }
    let inbound = written.inbound.as_ref().map(ToString::to_string);
    let endpoint = |it: &&config::ResolverEndpoint| Some(it.id.to_string()) == inbound;
    let addresses = config.resolver_endpoint.iter().find(endpoint).into_iter().flat_map(|it| &it.addresses);
    addresses.map(|ip| SocketAddr::new(*ip.value(), port)).collect()
}
