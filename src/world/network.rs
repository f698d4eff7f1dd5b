//! Address → route: VPCs and what they contain, their connections, and on-premises networks.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;

use crate::aws::ranges::IpRanges;
use crate::aws::{Facts, Region};

use super::arena::{Arena, Index};
use super::connections::{TransitGateway, VpcPeeringConnection};
use super::endpoint::Endpoint;
use super::network_acl::NetworkAcl;
use super::place::{PlaceId, PlaceKind, Places};
use super::route::{RouteTable, Target};
use super::security_group::SecurityGroup;

/// The network: everything that determines the path from a location to an address. It knows no names.
#[derive(Debug)]
pub struct Network {
    /// VPCs.
    pub vpcs: Arena<Vpc>,
    /// Subnets of all VPCs.
    pub subnets: Arena<Subnet>,
    /// Route tables of all VPCs.
    pub route_tables: Arena<RouteTable>,
    /// NAT gateways of all VPCs.
    pub nat_gateways: Arena<NatGateway>,
    /// VPC endpoints of all VPCs.
    pub endpoints: Arena<Endpoint>,
    /// Security groups of all VPCs.
    pub security_groups: Arena<SecurityGroup>,
    /// Network ACLs of all VPCs.
    pub network_acls: Arena<NetworkAcl>,
    /// Network interfaces that are configured on their own.
    pub network_interfaces: Arena<NetworkInterface>,
    /// Instances of all VPCs.
    pub instances: Arena<Instance>,
    /// Peering connections.
    pub peering_connections: Arena<VpcPeeringConnection>,
    /// Transit gateways.
    pub transit_gateways: Arena<TransitGateway>,
    /// On-premises networks.
    pub sites: Arena<Site>,
    /// Locations of clients.
    pub places: Places,
    /// AWS's IP ranges, if configured.
    pub(super) configured_ranges: Option<Box<IpRanges>>,
    /// AWS's regions, services and IP ranges as built in.
    pub facts: &'static Facts,
}

impl Network {
    /// An empty network.
    pub(super) fn new(facts: &'static Facts) -> Self {
        Self {
            vpcs: Arena::default(),
            subnets: Arena::default(),
            route_tables: Arena::default(),
            nat_gateways: Arena::default(),
            endpoints: Arena::default(),
            security_groups: Arena::default(),
            network_acls: Arena::default(),
            network_interfaces: Arena::default(),
            instances: Arena::default(),
            peering_connections: Arena::default(),
            transit_gateways: Arena::default(),
            sites: Arena::default(),
            places: Places::default(),
            configured_ranges: None,
            facts,
        }
    }

    /// The name of a location: the ID of its subnet or site, or `outside`.
    pub fn place_name(&self, place: PlaceId) -> Arc<str> {
        match self.places[place].kind {
            PlaceKind::Subnet(subnet) => self.subnets[subnet].id.clone(),
            PlaceKind::Site(site) => self.sites[site].id.clone(),
            PlaceKind::Outside => Arc::from("outside"),
        }
    }

    /// The index of the VPC that contains a location.
    pub fn place_vpc_index(&self, place: PlaceId) -> Option<Index<Vpc>> {
        match self.places[place].kind {
            PlaceKind::Subnet(subnet) => Some(self.subnets[subnet].vpc),
            PlaceKind::Site(_) | PlaceKind::Outside => None,
        }
    }

    /// The VPC that contains a location.
    pub fn place_vpc(&self, place: PlaceId) -> Option<&Vpc> {
        self.place_vpc_index(place).map(|index| &self.vpcs[index])
    }

    /// The Availability Zone of a location's subnet.
    pub fn place_zone(&self, place: PlaceId) -> Option<Arc<str>> {
        match self.places[place].kind {
            PlaceKind::Subnet(subnet) => Some(self.subnets[subnet].availability_zone.clone()),
            PlaceKind::Site(_) | PlaceKind::Outside => None,
        }
    }

    /// The ID of a route's target; `local` within the VPC.
    pub fn target_id(&self, target: &Target) -> Arc<str> {
        match target {
            Target::Local => Arc::from("local"),
            Target::InternetGateway(id)
            | Target::EgressOnlyInternetGateway(id)
            | Target::VirtualPrivateGateway(id) => id.clone(),
            Target::NatGateway(index) => self.nat_gateways[*index].id.clone(),
            Target::GatewayEndpoint(index) | Target::LoadBalancerEndpoint(index) => {
                self.endpoints[*index].id.clone()
            }
            Target::Appliance(appliance) => appliance.id.clone(),
            Target::Peering(index) => self.peering_connections[*index].id.clone(),
            Target::TransitGateway(index) => self.transit_gateways[*index].id.clone(),
            Target::Other(target) => target.id.clone(),
        }
    }

    /// AWS's IP ranges: the configured ones, or else the built-in ones.
    pub fn ranges(&self) -> &IpRanges {
        self.configured_ranges.as_deref().unwrap_or(&self.facts.ranges)
    }
}

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
}

impl Vpc {
    /// Whether one of its CIDR blocks contains an address.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.cidrs.iter().any(|cidr| cidr.contains(&address))
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

/// An on-premises network.
#[derive(Debug)]
pub struct Site {
    /// Its ID.
    pub id: Arc<str>,
    /// Its prefixes.
    pub cidrs: Vec<IpNet>,
    /// Its links to VPCs.
    pub links: Vec<Link>,
    /// Whether it has an internet uplink.
    pub has_internet: bool,
    /// The prefixes of gateway endpoints in VPCs behind its links, none of which carries its traffic.
    pub gateway_prefixes: Vec<IpNet>,
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
