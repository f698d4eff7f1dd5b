//! VPC endpoints of a world.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::arena::Index;
use super::security_group::SecurityGroup;
use super::{Subnet, Vpc};
use crate::dns::Name;

/// A VPC endpoint.
#[derive(Debug)]
pub struct Endpoint {
    /// Its ID.
    pub id: Arc<str>,
    /// Its VPC.
    pub vpc: Index<Vpc>,
    /// Its type.
    pub kind: EndpointKind,
    /// The name of its service, or the ID of its resource configuration or service network.
    pub service: Arc<str>,
    /// Whether it is available and therefore has names.
    pub is_available: bool,
    /// Whether its private DNS names apply.
    pub private_dns: PrivateDns,
    /// Its private DNS names according to the service table or its associations, whether or not they apply.
    pub private_names: Vec<Name>,
    /// Whether implied connections are counted for AAAA answers instead of A: its record type is `ipv6`.
    pub is_ipv6_only: bool,
    /// Its network interfaces.
    pub interfaces: Vec<EndpointInterface>,
    /// Its regional endpoint-specific name in public DNS. `None` for types without one.
    pub regional_name: Option<Name>,
    /// The associations of a resource or service-network endpoint.
    pub associations: Vec<EndpointAssociation>,
    /// The TCP port of its service.
    pub port: u16,
    /// Whether it has a custom policy, which may deny requests.
    pub has_policy: bool,
    /// For a gateway endpoint: the prefixes of its service's prefix list.
    pub prefixes: Vec<IpNet>,
    /// Whether it is a gateway endpoint for IPv4 only. For one that supports IPv6, the IPv6 prefixes may be
    /// unknown.
    pub is_ipv4_gateway: bool,
}

impl Endpoint {
    /// Whether a gateway endpoint could carry traffic to an address.
    pub fn covers(&self, address: IpAddr) -> bool {
        self.prefixes.iter().any(|prefix| prefix.contains(&address))
    }
}

/// The type of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointKind {
    /// Network interfaces in subnets.
    Interface,
    /// A route to a prefix list.
    Gateway,
    /// A hop to a Gateway Load Balancer.
    GatewayLoadBalancer,
    /// Network interfaces for a resource configuration.
    Resource,
    /// Network interfaces for the associations of a service network.
    ServiceNetwork,
    /// Addresses at which GENEVE tunnels end.
    Tunnel,
}

impl EndpointKind {
    /// The type as AWS writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Interface => "Interface",
            Self::Gateway => "Gateway",
            Self::GatewayLoadBalancer => "GatewayLoadBalancer",
            Self::Resource => "Resource",
            Self::ServiceNetwork => "ServiceNetwork",
            Self::Tunnel => "Tunnel",
        }
    }

    /// A description of the type, with its article.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Interface => "an interface endpoint",
            Self::Gateway => "a gateway endpoint",
            Self::GatewayLoadBalancer => "a Gateway Load Balancer endpoint",
            Self::Resource => "a resource endpoint",
            Self::ServiceNetwork => "a service-network endpoint",
            Self::Tunnel => "a tunnel endpoint",
        }
    }

    /// Whether endpoints of this type have names: private DNS names, and endpoint-specific names in public
    /// DNS.
    pub fn has_names(self) -> bool {
        matches!(self, Self::Interface | Self::Resource | Self::ServiceNetwork)
    }

    /// Whether its names follow from associations instead of a service.
    pub fn has_associations(self) -> bool {
        matches!(self, Self::Resource | Self::ServiceNetwork)
    }
}

/// Whether an endpoint's private DNS names apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrivateDns {
    /// They do not.
    Off,
    /// In its VPC.
    On,
    /// Only for queries through an inbound resolver endpoint.
    OnlyForInboundResolver,
}

/// A network interface of an endpoint. It has at least one address.
#[derive(Debug)]
pub struct EndpointInterface {
    /// Its subnet.
    pub subnet: Index<Subnet>,
    /// Its IPv4 address.
    pub address: Option<IpAddr>,
    /// Its IPv6 address.
    pub ipv6_address: Option<IpAddr>,
    /// Its security groups. Empty if they are not configured, so that all traffic is allowed.
    pub security_groups: Vec<Index<SecurityGroup>>,
    /// Whether its Availability Zone has a healthy target.
    pub is_healthy: bool,
}

impl EndpointInterface {
    /// Its addresses of the given families.
    pub fn addresses(&self, families: AddressFamilies) -> impl Iterator<Item = IpAddr> + use<> {
        let v4 = self.address.filter(|_| families.v4);
        v4.into_iter().chain(self.ipv6_address.filter(|_| families.v6))
    }
}

/// A resource or service that an endpoint provides.
#[derive(Debug)]
pub struct EndpointAssociation {
    /// Its ID, if configured.
    pub id: Option<Arc<str>>,
    /// The ID of the resource configuration or service.
    pub resource: Arc<str>,
    /// Its endpoint-specific name in public DNS. `None` if that would not be a valid domain name.
    pub dns_name: Option<Name>,
    /// Its custom domain name.
    pub private_name: Option<Name>,
    /// Whether that name has a private zone.
    pub is_private: bool,
    /// Its own addresses, each with the index of its interface; empty if it uses those of the endpoint's
    /// interfaces.
    pub addresses: Vec<(usize, IpAddr)>,
}

/// Address families, which correspond to record types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressFamilies {
    /// IPv4, A.
    pub v4: bool,
    /// IPv6, AAAA.
    pub v6: bool,
}

impl AddressFamilies {
    /// Both.
    pub const BOTH: Self = Self { v4: true, v6: true };

    /// Whether the set contains an address's family.
    pub fn contains(self, address: &IpAddr) -> bool {
        if address.is_ipv4() { self.v4 } else { self.v6 }
    }
}
