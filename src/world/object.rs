//! The objects of a world: VPCs and what is in them, sites, zones, rules, views.

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
    /// Its id.
    pub id: Arc<str>,
    /// Its region.
    pub region: Region,
    /// The account that owns it.
    pub account: Option<Arc<str>>,
    /// Its prefixes.
    pub cidrs: Vec<IpNet>,
    /// Whether its resolver answers at all.
    pub dns_support: bool,
    /// Whether names are generated and private zones are seen.
    pub dns_hostnames: bool,
    /// The other VPCs whose private addresses its resolver tells through peering connections, where that is switched
    /// on. In order, each once.
    pub named_peers: Vec<Index<Self>>,
    /// The VPCs, itself among them, whose private addresses transit gateways let each other's resolvers tell: a list in
    /// order for each gateway, and one for all of its VPCs.
    pub told_among: Vec<Arc<[Index<Self>]>>,
    /// The sites with a link that ends at one of its own gateways, in order.
    pub linked_sites: Vec<Index<Site>>,
    /// Its endpoints.
    pub endpoints: Vec<Index<Endpoint>>,
    /// Who has which address in it.
    pub interfaces: HashMap<IpAddr, Interface>,
    /// The internet gateway attached to it.
    pub internet_gateway: Option<Arc<str>>,
    /// Whether it is associated with a VPC Lattice service network.
    pub has_service_network: bool,
    /// Whether a route of its tables sends addresses of its own elsewhere than `local` does: to a middlebox, or nowhere.
    pub has_inner_routes: bool,
    /// Its resolver's view.
    pub view: Index<View>,
    /// The same for subnets with DNS64, where it has any.
    pub dns64_view: Option<Index<View>>,
    /// Its resolver's view through an inbound endpoint.
    pub inbound_view: Index<View>,
    /// Whom the name servers of delegated zones are asked through: DELEGATE rules by their delegation record.
    pub delegations: SuffixMap<Index<Rule>>,
}

impl Vpc {
    /// Whether an address lies in one of its prefixes.
    pub fn holds(&self, address: IpAddr) -> bool {
        self.cidrs.iter().any(|cidr| cidr.contains(&address))
    }

    /// Whether its resolver tells another VPC's private addresses.
    pub fn is_told_of(&self, other: Index<Self>) -> bool {
        let mut among = self.told_among.iter();
        self.named_peers.binary_search(&other).is_ok() || among.any(|all| all.binary_search(&other).is_ok())
    }
}

/// Who has an address in a VPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interface {
    /// A network interface of a VPC endpoint: the endpoint, and the interface's number in it.
    Endpoint(Index<Endpoint>, usize),
    /// An instance.
    Instance(Index<Instance>),
    /// A resolver endpoint.
    ResolverEndpoint,
    /// A NAT gateway.
    NatGateway(Index<NatGateway>),
    /// A network interface that is nobody's of those.
    Network(Index<NetworkInterface>),
}

/// A network interface that is declared by itself.
#[derive(Debug)]
pub struct NetworkInterface {
    /// Its id.
    pub id: Arc<str>,
    /// The subnet it stands in.
    pub subnet: Index<Subnet>,
    /// Whether it has a public IPv4 address.
    pub is_public: bool,
    /// Its security groups. Empty: nobody said, everything is admitted.
    pub security_groups: Vec<Index<SecurityGroup>>,
}

/// A subnet.
#[derive(Debug)]
pub struct Subnet {
    /// Its id.
    pub id: Arc<str>,
    /// The VPC it lies in.
    pub vpc: Index<Vpc>,
    /// Its prefixes: IPv4, and IPv6 if it has one.
    pub cidrs: Vec<IpNet>,
    /// Its zone's name.
    pub availability_zone: Arc<str>,
    /// The route table associated with it.
    pub route_table: Index<RouteTable>,
    /// The network ACL associated with it. `None`: ACLs are not declared, everything is taken as allowed.
    pub network_acl: Option<Index<NetworkAcl>>,
    /// Whether a bare address in it has a public IPv4 address. `None`: nobody said.
    pub map_public_ip_on_launch: Option<bool>,
    /// Whether its clients get AAAA records made from A records (RFC 6147).
    pub dns64: bool,
}

/// A NAT gateway.
#[derive(Debug)]
pub struct NatGateway {
    /// Its id.
    pub id: Arc<str>,
    /// The VPC it stands in.
    pub vpc: Index<Vpc>,
    /// The subnet it stands in. `None` for a regional one.
    pub subnet: Option<Index<Subnet>>,
    /// The route table that its traffic follows: its subnet's, or its own.
    pub route_table: Index<RouteTable>,
    /// Its private address.
    pub address: Option<IpAddr>,
    /// Whether it may send to the internet.
    pub is_public: bool,
}

/// An instance whose addresses matter.
#[derive(Debug)]
pub struct Instance {
    /// Its id.
    pub id: Arc<str>,
    /// The subnet it stands in.
    pub subnet: Index<Subnet>,
    /// Its private IPv4 address. `None` in a subnet of IPv6 alone.
    pub address: Option<Ipv4Addr>,
    /// Its IPv6 address.
    pub ipv6_address: Option<Ipv6Addr>,
    /// Its public IPv4 address.
    pub public_address: Option<Ipv4Addr>,
    /// Which records its resource name has.
    pub resource_name: ResourceName,
    /// Its security groups.
    pub security_groups: Vec<Index<SecurityGroup>>,
}

/// Which records an instance's resource name has (EC2 API, `PrivateDnsNameOptions`).
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
    /// Its id.
    pub id: Arc<str>,
    /// The VPC whose resolver it is a door to.
    pub vpc: Index<Vpc>,
    /// Whose claims answer its clients: the VPC's inbound view, or one like it with DNS64.
    pub view: Index<View>,
}

/// A Route 53 Profile.
#[derive(Debug)]
pub struct Profile {
    /// Its id.
    pub id: Arc<str>,
}

/// A network on premises.
#[derive(Debug)]
pub struct Site {
    /// Its id.
    pub id: Arc<str>,
    /// Its prefixes.
    pub cidrs: Vec<IpNet>,
    /// Whose claims answer its clients.
    pub view: Index<View>,
    /// Its links to VPCs.
    pub links: Vec<Link>,
    /// Whether it has an uplink of its own.
    pub has_internet: bool,
    /// The prefixes that gateway endpoints of VPCs behind its links hold: none of them carries its traffic.
    pub gateway_prefixes: Vec<IpNet>,
    /// The zones that its name servers are played with.
    pub zones: SuffixMap<Zone>,
}

/// A link from a site to a VPC.
#[derive(Debug)]
pub struct Link {
    /// The gateway it ends at.
    pub target: Arc<str>,
    /// What kind of gateway that is.
    pub class: LinkClass,
    /// What is behind it.
    pub to: LinkedTo,
    /// The virtual private gateway of the VPC that a Direct Connect gateway is associated with. `None`: any.
    pub gateway: Option<Arc<str>>,
}

/// What a link leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkedTo {
    /// A VPC.
    Vpc(Index<Vpc>),
    /// A transit gateway that is declared.
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
    /// Its id, or its name where none is said.
    pub id: Arc<str>,
    /// Its data.
    pub zone: Zone,
}

/// The zone that AWS manages for private names of an endpoint, cut at the private name; for a
/// wildcard, at the part after `*.`.
#[derive(Debug)]
pub struct ManagedZone {
    /// The endpoint its addresses belong to.
    pub endpoint: Index<Endpoint>,
    /// Its data.
    pub zone: Zone,
}

/// A resolver rule.
#[derive(Debug)]
pub struct Rule {
    /// Its id.
    pub id: Arc<str>,
    /// Its type.
    pub kind: RuleKind,
    /// The domain it is for; of a DELEGATE rule its delegation record.
    pub domain: Name,
    /// Whom a FORWARD rule asks.
    pub upstream: Option<Index<Upstream>>,
    /// The addresses of the outbound endpoint that its queries leave from. Empty: any.
    pub sources: Arc<[IpAddr]>,
    /// In what order it asks servers.
    pub order: Order,
}

/// The type of a resolver rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleKind {
    /// Sends to other name servers.
    Forward,
    /// Resolves here.
    System,
    /// Says through whom the name servers of delegated zones are asked. It claims no name.
    Delegate,
}

/// A domain that a VPC's resolver answers by itself (Route 53 Developer Guide, "Domain names that VPC Resolver
/// creates autodefined system rules for").
#[derive(Debug)]
pub struct InternalDomain {
    /// Its zone: its SOA, and what is not computed.
    pub zone: Zone,
    /// How the other names in it are made.
    pub names: Generated,
}

/// How names of an internal domain are made.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Generated {
    /// Not at all: its zone has what there is.
    Nothing,
    /// `ip-10-0-1-5` and `i-0123456789abcdef0`: the instances of a region.
    Hosts(Region),
    /// Names of addresses, which lead into a region's internal domain.
    Reverse(Region, Name),
    /// `ec2-203-0-113-25`: names that public DNS has too.
    PublicHosts,
}

/// Whose claims answer.
#[derive(Debug)]
pub struct View {
    /// Which.
    pub kind: ViewKind,
    /// Its name, as `whoami` and logs tell it.
    pub name: Arc<str>,
    /// The view whose claims are its own: itself, but for a view that differs in DNS64 alone.
    pub claims: Index<Self>,
    /// Whether AAAA records are made from A records (RFC 6147).
    pub dns64: bool,
}

/// The kinds of views.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewKind {
    /// A VPC's resolver.
    Vpc(Index<Vpc>),
    /// A VPC's resolver as seen through an inbound endpoint.
    Inbound(Index<Vpc>),
    /// No VPC: public DNS.
    Public,
}

impl View {
    /// The VPC behind the view.
    pub fn vpc(&self) -> Option<Index<Vpc>> {
        match self.kind {
            ViewKind::Vpc(vpc) | ViewKind::Inbound(vpc) => Some(vpc),
            ViewKind::Public => None,
        }
    }
}
