//! The objects of a world: VPCs and their contents, sites, zones, rules, views.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;

use crate::aws::Region;
use crate::dns::{Name, SuffixMap};

use super::Endpoint;
use super::arena::Index;
use super::network::TransitGateway;
use super::network_acl::NetworkAcl;
use super::route::RouteTable;
use super::security_group::SecurityGroup;
use super::upstream::{Order, Upstream};
use super::zone::Zone;

/// A VPC.
#[derive(Debug)]
pub struct Vpc {
    /// Its ID.
    pub id: Arc<str>,
    /// Its region.
    pub region: Region,
    /// Its owner account.
    pub account: Option<Arc<str>>,
    /// Its CIDR blocks.
    pub cidrs: Vec<IpNet>,
    /// Whether DNS support is enabled, so that its resolver answers.
    pub dns_support: bool,
    /// Whether DNS host names are enabled, so that names are generated and private zones apply.
    pub dns_hostnames: bool,
    /// The other VPCs whose private addresses its resolver returns because of peering connections with DNS
    /// resolution. Sorted and unique.
    pub dns_peers: Vec<Index<Self>>,
    /// The VPCs, including itself, whose resolvers return each other's private addresses because of transit
    /// gateways: a sorted list for each gateway, shared by all its VPCs.
    pub transit_peers: Vec<Arc<[Index<Self>]>>,
    /// The sites with a link that ends at a gateway of this VPC, sorted.
    pub linked_sites: Vec<Index<Site>>,
    /// Its endpoints.
    pub endpoints: Vec<Index<Endpoint>>,
    /// The network interfaces by address.
    pub interfaces: HashMap<IpAddr, Interface>,
    /// Its internet gateway.
    pub internet_gateway: Option<Arc<str>>,
    /// Whether it is associated with a VPC Lattice service network.
    pub has_service_network: bool,
    /// Whether one of its route tables routes addresses of the VPC to another target than `local`: to a
    /// middlebox, or to nothing.
    pub has_inner_routes: bool,
    /// The view of its resolver.
    pub view: Index<View>,
    /// The same for subnets with DNS64, if there are any.
    pub dns64_view: Option<Index<View>>,
    /// The view of its resolver through an inbound endpoint.
    pub inbound_view: Index<View>,
    /// DELEGATE rules by their delegation record.
    pub delegations: SuffixMap<Index<Rule>>,
}

impl Vpc {
    /// Whether one of its CIDR blocks contains an address.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.cidrs.iter().any(|cidr| cidr.contains(&address))
    }

    /// Whether its resolver returns private addresses of another VPC.
    pub fn resolves_private_addresses_of(&self, other: Index<Self>) -> bool {
        let mut among = self.transit_peers.iter();
        self.dns_peers.binary_search(&other).is_ok() || among.any(|all| all.binary_search(&other).is_ok())
    }
}

/// The owner of an address in a VPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interface {
    /// A network interface of a VPC endpoint: the endpoint, and the index of the interface.
    Endpoint(Index<Endpoint>, usize),
    /// An instance.
    Instance(Index<Instance>),
    /// A resolver endpoint.
    ResolverEndpoint,
    /// A NAT gateway.
    NatGateway(Index<NatGateway>),
    /// Any other network interface.
    Network(Index<NetworkInterface>),
}

/// A network interface that is configured on its own.
#[derive(Debug)]
pub struct NetworkInterface {
    /// Its ID.
    pub id: Arc<str>,
    /// Its subnet.
    pub subnet: Index<Subnet>,
    /// Whether it has a public IPv4 address.
    pub is_public: bool,
    /// Its security groups. Empty if they are not configured, so that all traffic is allowed.
    pub security_groups: Vec<Index<SecurityGroup>>,
}

/// A subnet.
#[derive(Debug)]
pub struct Subnet {
    /// Its ID.
    pub id: Arc<str>,
    /// Its VPC.
    pub vpc: Index<Vpc>,
    /// Its CIDR blocks: IPv4, and IPv6 if it has one.
    pub cidrs: Vec<IpNet>,
    /// The name of its Availability Zone.
    pub availability_zone: Arc<str>,
    /// Its route table.
    pub route_table: Index<RouteTable>,
    /// Its network ACL. `None` if ACLs are not configured, so that all traffic is allowed.
    pub network_acl: Option<Index<NetworkAcl>>,
    /// Whether an unspecified address in it has a public IPv4 address. `None` if that is not configured.
    pub map_public_ip_on_launch: Option<bool>,
    /// Whether its clients receive AAAA records synthesised from A records (RFC 6147).
    pub dns64: bool,
}

/// A NAT gateway.
#[derive(Debug)]
pub struct NatGateway {
    /// Its ID.
    pub id: Arc<str>,
    /// Its VPC.
    pub vpc: Index<Vpc>,
    /// Its subnet. `None` for a regional NAT gateway.
    pub subnet: Option<Index<Subnet>>,
    /// The route table of its traffic: that of its subnet, or its own.
    pub route_table: Index<RouteTable>,
    /// Its private address.
    pub address: Option<IpAddr>,
    /// Whether it can send to the internet.
    pub is_public: bool,
}

/// An instance whose addresses matter.
#[derive(Debug)]
pub struct Instance {
    /// Its ID.
    pub id: Arc<str>,
    /// Its subnet.
    pub subnet: Index<Subnet>,
    /// Its private IPv4 address. `None` in an IPv6-only subnet.
    pub address: Option<Ipv4Addr>,
    /// Its IPv6 address.
    pub ipv6_address: Option<Ipv6Addr>,
    /// Its public IPv4 address.
    pub public_address: Option<Ipv4Addr>,
    /// The records of its resource name.
    pub resource_name: ResourceName,
    /// Its security groups.
    pub security_groups: Vec<Index<SecurityGroup>>,
}

/// The records of an instance's resource name (EC2 API, `PrivateDnsNameOptions`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResourceName {
    /// `EnableResourceNameDnsARecord`
    pub a: bool,
    /// `EnableResourceNameDnsAAAARecord`
    pub aaaa: bool,
}

/// An inbound resolver endpoint.
#[derive(Debug)]
pub struct InboundEndpoint {
    /// Its ID.
    pub id: Arc<str>,
    /// The VPC whose resolver it provides.
    pub vpc: Index<Vpc>,
    /// The view of its clients: the VPC's inbound view, or the same with DNS64.
    pub view: Index<View>,
}

/// A Route 53 Profile.
#[derive(Debug)]
pub struct Profile {
    /// Its ID.
    pub id: Arc<str>,
}

/// An on-premises network.
#[derive(Debug)]
pub struct Site {
    /// Its ID.
    pub id: Arc<str>,
    /// Its prefixes.
    pub cidrs: Vec<IpNet>,
    /// The view of its clients.
    pub view: Index<View>,
    /// Its links to VPCs.
    pub links: Vec<Link>,
    /// Whether it has an internet uplink.
    pub has_internet: bool,
    /// The prefixes of gateway endpoints in VPCs behind its links, none of which carries its traffic.
    pub gateway_prefixes: Vec<IpNet>,
    /// The zones of its simulated name servers.
    pub zones: SuffixMap<Zone>,
}

/// A link from a site to a VPC.
#[derive(Debug)]
pub struct Link {
    /// The gateway at its end.
    pub target: Arc<str>,
    /// The kind of that gateway.
    pub class: LinkClass,
    /// What is behind it.
    pub to: LinkedTo,
    /// The virtual private gateway of the VPC that a Direct Connect gateway is associated with. `None`: any.
    pub gateway: Option<Arc<str>>,
}

/// The destination of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkedTo {
    /// A VPC.
    Vpc(Index<Vpc>),
    /// A configured transit gateway.
    TransitGateway(Index<TransitGateway>),
}

/// The kind of a link's gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkClass {
    /// `vgw-…`
    VirtualPrivateGateway,
    /// `dxgw-…`
    DirectConnectGateway,
    /// `tgw-…`
    TransitGateway,
}

/// A private hosted zone.
#[derive(Debug)]
pub struct HostedZone {
    /// Its ID, or its name if no ID is configured.
    pub id: Arc<str>,
    /// Its data.
    pub zone: Zone,
}

/// The zone that AWS manages for a private DNS name of an endpoint. Its apex is the private DNS name; for a
/// wildcard, the domain after `*.`.
#[derive(Debug)]
pub struct ManagedZone {
    /// The endpoint.
    pub endpoint: Index<Endpoint>,
    /// Its data.
    pub zone: Zone,
}

/// A resolver rule.
#[derive(Debug)]
pub struct Rule {
    /// Its ID.
    pub id: Arc<str>,
    /// Its type.
    pub kind: RuleKind,
    /// Its domain; for a DELEGATE rule, its delegation record.
    pub domain: Name,
    /// The upstream of a FORWARD rule.
    pub upstream: Option<Index<Upstream>>,
    /// The addresses of the outbound endpoint from which its queries are sent. Empty: any.
    pub sources: Arc<[IpAddr]>,
    /// The order in which its servers are queried.
    pub order: Order,
}

/// The type of a resolver rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleKind {
    /// Forwards to other name servers.
    Forward,
    /// Resolves locally.
    System,
    /// Determines through which endpoint the name servers of delegated zones are queried. It has no claim.
    Delegate,
}

/// A domain that a VPC's resolver answers itself (Route 53 Developer Guide, "Domain names that VPC Resolver
/// creates autodefined system rules for").
#[derive(Debug)]
pub struct InternalDomain {
    /// Its zone: the SOA record and the names that are not generated.
    pub zone: Zone,
    /// How its other names are generated.
    pub names: Generated,
}

/// How names of an internal domain are generated.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Generated {
    /// Not at all: its zone is complete.
    Nothing,
    /// `ip-10-0-1-5` and `i-0123456789abcdef0`: instances of a region.
    Hosts(Region),
    /// Reverse names of addresses, which point to a region's internal domain.
    Reverse(Region, Name),
    /// `ec2-203-0-113-25`: names that exist in public DNS as well.
    PublicHosts,
}

/// A view.
#[derive(Debug)]
pub struct View {
    /// Its kind.
    pub kind: ViewKind,
    /// Its name in `whoami` and logs.
    pub name: Arc<str>,
    /// The view whose claims it shares: itself, except for a view that differs only in DNS64.
    pub claims: Index<Self>,
    /// Whether AAAA records are synthesised from A records (RFC 6147).
    pub dns64: bool,
}

/// The kind of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewKind {
    /// The resolver of a VPC.
    Vpc(Index<Vpc>),
    /// The resolver of a VPC through an inbound endpoint.
    Inbound(Index<Vpc>),
    /// Public DNS.
    Public,
}

impl View {
    /// The VPC of the view.
    pub fn vpc(&self) -> Option<Index<Vpc>> {
        match self.kind {
            ViewKind::Vpc(vpc) | ViewKind::Inbound(vpc) => Some(vpc),
            ViewKind::Public => None,
        }
    }
}
