//! Connections among VPCs and sites: peering connections, transit gateways.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::arena::Index;
use super::{AccessDecision, Site, Subnet, Vpc};
use crate::config::AttachmentType;
use crate::net::PrefixMap;

/// A peering connection.
#[derive(Debug)]
pub struct VpcPeeringConnection {
    /// Its ID.
    pub id: Arc<str>,
    /// The VPCs that it connects.
    pub vpcs: [Index<Vpc>; 2],
}

impl VpcPeeringConnection {
    /// The VPC at the other end.
    pub fn beyond(&self, vpc: Index<Vpc>) -> Option<Index<Vpc>> {
        match self.vpcs {
            [near, far] if near == vpc => Some(far),
            [far, near] if near == vpc => Some(far),
            _ => None,
        }
    }
}

/// A transit gateway.
#[derive(Debug)]
pub struct TransitGateway {
    /// Its ID.
    pub id: Arc<str>,
    /// Its attachments.
    pub attachments: Vec<Attachment>,
    /// The attached VPCs whose resolvers return each other's private addresses, sorted.
    pub dns_members: Arc<[Index<Vpc>]>,
    /// Its route tables.
    pub route_tables: Vec<TransitGatewayRouteTable>,
    /// The indexes of attachments by ID.
    by_id: HashMap<Arc<str>, usize>,
    /// The indexes of attachments by VPC.
    by_vpc: HashMap<Index<Vpc>, usize>,
    by_site: HashMap<Index<Site>, usize>,
    by_gateway: HashMap<Index<Self>, usize>,
}

/// An attachment to a transit gateway.
#[derive(Debug)]
pub struct Attachment {
    /// Its ID.
    pub id: Arc<str>,
    /// The attached object.
    pub to: AttachedTo,
    /// The precedence of the routes that it propagates.
    pub rank: TransitRank,
    /// Whether each flow uses one of its interfaces in both directions ("Appliance in a shared services VPC",
    /// Amazon VPC Transit Gateways).
    pub has_appliance_mode: bool,
    /// Whether it propagates IPv6 prefixes.
    pub propagates_ipv6: bool,
    /// Whether inbound rules can refer to security groups of VPCs behind other attachments.
    pub group_references: AccessDecision,
    /// The index of its associated route table. `None` if there is none.
    pub association: Option<usize>,
}

/// The object attached to a transit gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttachedTo {
    /// A VPC, with interfaces in these subnets. Without subnets: in every Availability Zone.
    Vpc(Index<Vpc>, Vec<Index<Subnet>>),
    /// A site, by VPN or Direct Connect.
    Site(Index<Site>),
    /// Another transit gateway.
    TransitGateway(Index<TransitGateway>),
    /// An object that is not configured.
    Unknown,
}

/// A route table of a transit gateway.
#[derive(Debug)]
pub struct TransitGatewayRouteTable {
    /// Its ID. `None` for the implicit table of a gateway for which none is configured.
    pub id: Option<Arc<str>>,
    routes: PrefixMap<Vec<TransitGatewayRoute>>,
}

/// A route of a transit gateway's route table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransitGatewayRoute {
    /// The prefix that it matches.
    pub destination: IpNet,
    /// The index of the target attachment. `None` if matching traffic is dropped.
    pub attachment: Option<usize>,
    /// Its precedence among routes for the same prefix.
    pub rank: TransitRank,
}

/// Among routes for the same prefix, the lowest rank applies ("Route evaluation order", Amazon VPC Transit
/// Gateways).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TransitRank {
    /// A static route.
    Static,
    /// Propagated by a VPC.
    Vpc,
    /// Propagated by another attachment.
    Propagated(AttachmentType),
}

impl TransitGatewayRouteTable {
    /// A table without routes.
    pub fn new(id: Option<Arc<str>>) -> Self {
        Self { id, routes: PrefixMap::new() }
    }

    /// Adds a route. Among equal ones the first applies.
    pub fn add(&mut self, route: TransitGatewayRoute) {
        let routes = self.routes.get_or_insert_with(route.destination, || Vec::with_capacity(1));
        let at = routes.partition_point(|have| have.rank <= route.rank);
        routes.insert(at, route);
    }

    /// The route for an address.
    pub fn route(&self, destination: IpAddr) -> Option<&TransitGatewayRoute> {
        self.routes.longest_match(destination).and_then(|(_, routes)| routes.first())
    }

    /// Every route, in the order of prefixes.
    pub fn iter(&self) -> impl Iterator<Item = &TransitGatewayRoute> {
        self.routes.iter().flat_map(|(_, routes)| routes)
    }
}

impl TransitGateway {
    /// A transit gateway without attachments.
    pub fn new(id: Arc<str>) -> Self {
        Self {
            id,
            attachments: Vec::new(),
            dns_members: Arc::default(),
            route_tables: Vec::new(),
            by_id: HashMap::new(),
            by_vpc: HashMap::new(),
            by_site: HashMap::new(),
            by_gateway: HashMap::new(),
        }
    }

    /// Adds an attachment, without an associated route table. Among attachments of the same VPC, site or
    /// transit gateway, the first applies.
    pub fn attach(&mut self, id: Arc<str>, to: AttachedTo, rank: TransitRank) -> &mut Attachment {
        let number = self.attachments.len();
        match to {
            AttachedTo::Vpc(vpc, _) => _ = self.by_vpc.entry(vpc).or_insert(number),
            AttachedTo::Site(site) => _ = self.by_site.entry(site).or_insert(number),
            AttachedTo::TransitGateway(other) => _ = self.by_gateway.entry(other).or_insert(number),
            AttachedTo::Unknown => {}
        }
        self.by_id.entry(id.clone()).or_insert(number);
        self.attachments.push(Attachment {
            id,
            to,
            rank,
            has_appliance_mode: false,
            propagates_ipv6: true,
            group_references: AccessDecision::Unknown,
            association: None,
        });
        &mut self.attachments[number]
    }

    /// The index of the attachment with an ID.
    pub fn attachment_named(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// The index of the attachment of a VPC.
    pub fn attachment_of(&self, vpc: Index<Vpc>) -> Option<usize> {
        self.by_vpc.get(&vpc).copied()
    }

    /// The index of the attachment of a site.
    pub fn attachment_of_site(&self, site: Index<Site>) -> Option<usize> {
        self.by_site.get(&site).copied()
    }

    /// The index of the attachment of another transit gateway.
    pub fn attachment_of_gateway(&self, other: Index<Self>) -> Option<usize> {
        self.by_gateway.get(&other).copied()
    }

    /// The route for an attachment's traffic to an address. `None` if its route table has none, or if it has
    /// no route table.
    pub fn route(&self, from: usize, destination: IpAddr) -> Option<&TransitGatewayRoute> {
        self.route_tables[self.attachments[from].association?].route(destination)
    }
}
