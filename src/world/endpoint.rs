//! VPC endpoints as a world has them.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::arena::Index;
use super::security_group::SecurityGroup;
use super::{Subnet, ViewId, Vpc, World};
use crate::aws::endpoint_names;
use crate::dns::Name;

/// A VPC endpoint.
#[derive(Debug)]
pub struct Endpoint {
    /// Its id.
    pub id: Arc<str>,
    /// The VPC it stands in.
    pub vpc: Index<Vpc>,
    /// Its type.
    pub kind: EndpointKind,
    /// The service's name; the id of the resource configuration or the service network where that is what it
    /// leads to.
    pub service: Arc<str>,
    /// Whether it works and so has names.
    pub is_available: bool,
    /// Whether its private names lead to it.
    pub private_dns: PrivateDns,
    /// Its private names as the service table or its associations have them, whether or not they lead to it.
    pub private_names: Vec<Name>,
    /// Whether implied connections are counted on AAAA answers, not on A: its record type is `ipv6`.
    pub is_ipv6_only: bool,
    /// Its network interfaces.
    pub interfaces: Vec<EndpointInterface>,
    /// Its own regional name in public DNS. `None` for types that have none.
    pub regional_name: Option<Name>,
    /// What a resource or service-network endpoint leads to.
    pub associations: Vec<EndpointAssociation>,
    /// The TCP port its service is reached at.
    pub port: u16,
    /// Whether it has a policy that may refuse requests: another than AWS's default.
    pub has_policy: bool,
    /// For a gateway endpoint: the prefixes of its service's prefix list.
    pub prefixes: Vec<IpNet>,
    /// Whether it is a gateway endpoint that carries IPv4 alone. Of one that carries IPv6 no prefix may be known.
    pub is_ipv4_gateway: bool,
}

impl Endpoint {
    /// Whether a gateway endpoint could carry traffic to an address.
    pub fn holds(&self, address: IpAddr) -> bool {
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
    /// Network interfaces that lead to a resource configuration.
    Resource,
    /// Network interfaces that lead to what is associated with a service network.
    ServiceNetwork,
    /// Addresses that GENEVE tunnels end at.
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

    /// The type as a person says it, with its article.
    pub fn told(self) -> &'static str {
        match self {
            Self::Interface => "an interface endpoint",
            Self::Gateway => "a gateway endpoint",
            Self::GatewayLoadBalancer => "a Gateway Load Balancer endpoint",
            Self::Resource => "a resource endpoint",
            Self::ServiceNetwork => "a service-network endpoint",
            Self::Tunnel => "a tunnel endpoint",
        }
    }

    /// Whether names lead to endpoints of this type: private ones, and own ones in public DNS.
    pub fn has_names(self) -> bool {
        matches!(self, Self::Interface | Self::Resource | Self::ServiceNetwork)
    }

    /// Whether what it leads to stands in its associations, not in a service's name.
    pub fn has_associations(self) -> bool {
        matches!(self, Self::Resource | Self::ServiceNetwork)
    }
}

/// Whether an endpoint's private names lead to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrivateDns {
    /// They do not.
    Off,
    /// They do in its VPC.
    On,
    /// They do for queries through an inbound resolver endpoint only.
    OnlyForInboundResolver,
}

/// A network interface of an endpoint. It has at least one address.
#[derive(Debug)]
pub struct EndpointInterface {
    /// The subnet it stands in.
    pub subnet: Index<Subnet>,
    /// Its IPv4 address.
    pub address: Option<IpAddr>,
    /// Its IPv6 address.
    pub ipv6_address: Option<IpAddr>,
    /// Its security groups. Empty: nobody said, everything is admitted.
    pub security_groups: Vec<Index<SecurityGroup>>,
    /// Whether its zone has a healthy target.
    pub is_healthy: bool,
}

impl EndpointInterface {
    /// Its addresses of the wanted families.
    pub fn addresses(&self, families: Families) -> impl Iterator<Item = IpAddr> + use<> {
        let v4 = self.address.filter(|_| families.v4);
        v4.into_iter().chain(self.ipv6_address.filter(|_| families.v6))
    }
}

/// A resource or service that an endpoint leads to.
#[derive(Debug)]
pub struct EndpointAssociation {
    /// Its id, where one is said.
    pub id: Option<Arc<str>>,
    /// The id of the resource configuration or of the service.
    pub resource: Arc<str>,
    /// Its own name in public DNS. `None` where it would be no domain name.
    pub dns_name: Option<Name>,
    /// Its custom domain name.
    pub private_name: Option<Name>,
    /// Whether that name has a private zone.
    pub is_private: bool,
    /// Its own addresses, each with the number of the interface that has it; none where it has those of the
    /// endpoint's interfaces.
    pub addresses: Vec<(usize, IpAddr)>,
}

impl World {
    /// Which record types a name has because the gateway endpoint of the view's VPC says so, and the dual-stack name
    /// that has AAAA records in public DNS. `None` for all but S3's regional names, and where no endpoint says
    /// anything.
    pub fn chosen_by_gateway_endpoint(&self, view: ViewId, name: &Name) -> Option<(Families, Name)> {
        let chosen = &self.public.s3_families;
        if chosen.is_empty() {
            return None;
        }
        let vpc = self.views[view].vpc()?;
        let families = chosen.get(&vpc)?;
        let host = name.to_string();
        let sibling =
            endpoint_names::s3_dualstack_sibling(host.trim_end_matches('.'), &self.vpcs[vpc].region)?;
        Some((*families, Name::parse(&sibling).ok()?))
    }
}

/// Families of addresses, and so types of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Families {
    /// IPv4, A.
    pub v4: bool,
    /// IPv6, AAAA.
    pub v6: bool,
}

impl Families {
    /// Both.
    pub const BOTH: Self = Self { v4: true, v6: true };

    /// Whether an address is of one of them.
    pub fn hold(self, address: &IpAddr) -> bool {
        if address.is_ipv4() { self.v4 } else { self.v6 }
    }
}
