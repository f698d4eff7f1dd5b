//! The objects of a world: VPCs and what is in them, sites, zones, rules, views.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::aws::Region;
use crate::dns::{Name, SuffixMap};

use super::Endpoint;
use super::arena::Index;
use super::route::RouteTable;
use super::security_group::SecurityGroup;
use super::upstream::Upstream;
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
    /// Its endpoints.
    pub endpoints: Vec<Index<Endpoint>>,
    /// Who has which address in it.
    pub interfaces: HashMap<IpAddr, Interface>,
    /// Its resolver's view.
    pub view: Index<View>,
    /// Its resolver's view through an inbound endpoint.
    pub inbound_view: Index<View>,
}

/// Who has an address in a VPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interface {
    /// A network interface of a VPC endpoint: the endpoint, and the interface's number in it.
    Endpoint(Index<Endpoint>, usize),
    /// An instance.
    Instance(Index<Instance>),
    /// A resolver endpoint.
    ResolverEndpoint,
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
    /// Whether a bare address in it has a public IPv4 address. `None`: nobody said.
    pub map_public_ip_on_launch: Option<bool>,
}

/// A NAT gateway.
#[derive(Debug)]
pub struct NatGateway {
    /// Its id.
    pub id: Arc<str>,
    /// The subnet whose route table its traffic follows.
    pub subnet: Index<Subnet>,
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
    /// Its private address.
    pub address: IpAddr,
    /// Its public address.
    pub public_address: Option<IpAddr>,
    /// Its security groups.
    pub security_groups: Vec<Index<SecurityGroup>>,
}

/// An inbound resolver endpoint.
#[derive(Debug)]
pub struct InboundEndpoint {
    /// Its id.
    pub id: Arc<str>,
    /// The VPC whose resolver it is a door to.
    pub vpc: Index<Vpc>,
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
    /// The VPC behind it.
    pub vpc: Index<Vpc>,
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
    /// The domain it is for.
    pub domain: Name,
    /// Whom a FORWARD rule asks.
    pub upstream: Option<Index<Upstream>>,
}

/// The type of a resolver rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleKind {
    /// Sends to other name servers.
    Forward,
    /// Resolves here.
    System,
}

/// A domain whose names AWS generates: a region's internal domain, or a reverse zone.
#[derive(Debug)]
pub struct InternalDomain {
    /// Its zone, which has no data but its SOA.
    pub zone: Zone,
    /// The region's internal domain, which reverse names point into.
    pub internal_domain: Name,
}

/// Whose claims answer.
#[derive(Debug)]
pub struct View {
    /// Which.
    pub kind: ViewKind,
    /// Its name, as `whoami` and logs tell it.
    pub name: Arc<str>,
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
