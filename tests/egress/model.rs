//! The contents of a random network.

use std::net::IpAddr;

use ipnet::IpNet;

/// A network. VPC 1 has 10.1.0.0/16, and so on.
#[derive(Debug)]
pub(crate) struct Net {
    pub vpcs: Vec<Vpc>,
    pub peerings: Vec<[usize; 2]>,
    pub gateways: Vec<TransitGateway>,
    pub site: Site,
}

#[derive(Debug)]
pub(crate) struct Vpc {
    pub subnets: Vec<Subnet>,
    pub tables: Vec<Vec<Route>>,
    pub acls: Vec<Acl>,
    pub groups: Vec<Group>,
    /// Everything that has an address, with its subnet and groups.
    pub interfaces: Vec<Interface>,
    pub nats: Vec<Nat>,
}

#[derive(Debug)]
pub(crate) struct Subnet {
    pub cidrs: [IpNet; 2],
    pub zone: &'static str,
    pub table: usize,
    pub acl: Option<usize>,
    pub map_public: Option<bool>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum To {
    Cidr(IpNet),
    List(usize),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Target {
    InternetGateway,
    EgressOnly,
    Nat(usize),
    Peering(usize),
    Transit(usize),
    Private,
    /// The gateway endpoint.
    Gateway,
    /// The Gateway Load Balancer endpoint, in the third subnet.
    LoadBalancer,
    Appliance,
    Carrier,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    Static,
    Local,
    List(usize),
    DirectConnect,
    VpnStatic,
    VpnBgp,
}

#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub to: To,
    pub target: Target,
    pub state: &'static str,
    pub rank: Rank,
}

#[derive(Debug)]
pub(crate) struct Acl {
    /// Entries of both directions, in any order of their numbers.
    pub entries: Vec<AclEntry>,
}

#[derive(Debug)]
pub(crate) struct AclEntry {
    pub is_egress: bool,
    pub number: u16,
    pub protocol: &'static str,
    pub ports: (u16, u16),
    pub cidr: IpNet,
    pub allows: bool,
}

#[derive(Debug)]
pub(crate) struct Group {
    pub ingress: Vec<GroupRule>,
    pub egress: Option<Vec<GroupRule>>,
}

#[derive(Debug)]
pub(crate) struct GroupRule {
    pub protocol: &'static str,
    pub ports: (u16, u16),
    pub peer: Peer,
}

#[derive(Clone, Debug)]
pub(crate) enum Peer {
    Cidr(IpNet),
    List(usize),
    /// A group of this VPC or of another one.
    Group(usize, usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Instance { is_public: bool },
    Endpoint,
    Appliance { is_public: bool, forwards: bool },
}

#[derive(Debug)]
pub(crate) struct Interface {
    pub kind: Kind,
    pub subnet: usize,
    pub addresses: Vec<IpAddr>,
    pub groups: Vec<usize>,
}

#[derive(Debug)]
pub(crate) struct Nat {
    /// `None`: regional.
    pub subnet: Option<usize>,
    /// The route table of a regional one.
    pub table: usize,
    pub address: Option<IpAddr>,
    pub is_public: bool,
}

#[derive(Debug)]
pub(crate) struct TransitGateway {
    pub attachments: Vec<Attachment>,
    /// If empty, the default route table is used.
    pub tables: Vec<TransitTable>,
}

#[derive(Debug)]
pub(crate) struct Attachment {
    pub to: Attached,
    pub association: Option<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Attached {
    Vpc(usize, Vec<usize>),
    Site,
    Gateway(usize),
    Nothing,
}

#[derive(Debug)]
pub(crate) struct TransitTable {
    pub propagations: Vec<usize>,
    pub routes: Vec<TransitRoute>,
}

#[derive(Debug)]
pub(crate) struct TransitRoute {
    pub to: IpNet,
    pub attachment: Option<usize>,
    pub is_propagated: bool,
}

#[derive(Debug)]
pub(crate) struct Site {
    pub cidr: IpNet,
    pub has_internet: bool,
    /// The VPC and, for a Direct Connect gateway, the VPC of the declared virtual private gateway, if any.
    pub links: Vec<(usize, Option<Option<usize>>)>,
}

/// A client.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub vpc: usize,
    pub subnet: usize,
    pub v4: Option<IpAddr>,
    pub v6: Option<IpAddr>,
    /// Index of its interface, if declared.
    pub interface: Option<usize>,
}

impl Client {
    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.v4.into_iter().chain(self.v6)
    }

    /// The address that it sends from.
    pub(crate) fn address_for(&self, to: IpAddr) -> Option<IpAddr> {
        if to.is_ipv4() { self.v4 } else { self.v6 }
    }
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn cidr(text: &str) -> IpNet {
    text.parse().unwrap()
}

/// The prefix lists, which contain no addresses of VPCs.
pub(crate) const LISTS: [&[&str]; 2] =
    [&["198.51.100.0/24", "192.168.1.0/24"], &["198.51.100.0/24", "198.51.100.64/26", "2001:db8:ffff::/48"]];

/// The prefixes of a destination.
pub(crate) fn prefixes(to: &To) -> Vec<IpNet> {
    match to {
        To::Cidr(net) => vec![*net],
        To::List(number) => LISTS[*number].iter().map(|text| cidr(text)).collect(),
    }
}
