//! What joins VPCs and sites: peering connections, transit gateways.

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
    /// Its id.
    pub id: Arc<str>,
    /// The VPCs that it joins.
    pub vpcs: [Index<Vpc>; 2],
}

impl VpcPeeringConnection {
    /// The VPC at the other side.
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
    /// Its id.
    pub id: Arc<str>,
    /// What is attached to it.
    pub attachments: Vec<Attachment>,
    /// The attached VPCs whose resolvers tell each other's private addresses, in order.
    pub told: Arc<[Index<Vpc>]>,
    /// Its route tables.
    pub route_tables: Vec<TransitGatewayRouteTable>,
    /// The numbers of attachments by their ids.
    by_id: HashMap<Arc<str>, usize>,
    /// The numbers of attachments by what is attached.
    by_vpc: HashMap<Index<Vpc>, usize>,
    by_site: HashMap<Index<Site>, usize>,
    by_gateway: HashMap<Index<Self>, usize>,
}

/// An attachment to a transit gateway.
#[derive(Debug)]
pub struct Attachment {
    /// Its id.
    pub id: Arc<str>,
    /// What is behind it.
    pub to: AttachedTo,
    /// How the routes that it propagates stand among others.
    pub rank: TransitRank,
    /// Whether a flow keeps to one of its interfaces, both ways ("Appliance in a shared services VPC", Amazon VPC Transit
    /// Gateways).
    pub has_appliance_mode: bool,
    /// Whether it propagates IPv6 prefixes.
    pub propagates_ipv6: bool,
    /// Whether rules of what comes in may name groups of VPCs behind other attachments.
    pub groups_count: AccessDecision,
    /// The number of the route table that its traffic follows. `None`: it is associated with none.
    pub association: Option<usize>,
}

/// What is attached to a transit gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttachedTo {
    /// A VPC, by interfaces in these subnets. None said: one in every zone.
    Vpc(Index<Vpc>, Vec<Index<Subnet>>),
    /// A site, by a VPN or by Direct Connect.
    Site(Index<Site>),
    /// Another transit gateway.
    TransitGateway(Index<TransitGateway>),
    /// Something that is not declared.
    Unknown,
}

/// A route table of a transit gateway.
#[derive(Debug)]
pub struct TransitGatewayRouteTable {
    /// Its id. `None` for the one that a gateway has when none is declared.
    pub id: Option<Arc<str>>,
    routes: PrefixMap<Vec<TransitGatewayRoute>>,
}

/// One route of a transit gateway's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransitGatewayRoute {
    /// What it matches.
    pub destination: IpNet,
    /// The number of the attachment that it leads to. `None`: what it matches is dropped.
    pub attachment: Option<usize>,
    /// How it stands among routes to the same prefix.
    pub rank: TransitRank,
}

/// Among routes of a transit gateway's table to one prefix the lowest rank wins ("Route evaluation order", Amazon VPC
/// Transit Gateways).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TransitRank {
    /// Written.
    Static,
    /// Propagated by a VPC.
    Vpc,
    /// Propagated by something else.
    Propagated(AttachmentType),
}

impl TransitGatewayRouteTable {
    /// A table without routes.
    pub fn new(id: Option<Arc<str>>) -> Self {
        Self { id, routes: PrefixMap::new() }
    }

    /// Takes in a route. Among equals the first that was written counts.
    pub fn add(&mut self, route: TransitGatewayRoute) {
        let routes = self.routes.get_or_insert_with(route.destination, || Vec::with_capacity(1));
        let at = routes.partition_point(|have| have.rank <= route.rank);
        routes.insert(at, route);
    }

    /// The route that traffic to an address follows.
    pub fn route(&self, destination: IpAddr) -> Option<&TransitGatewayRoute> {
        self.routes.longest(destination).and_then(|(_, routes)| routes.first())
    }

    /// Every route, in the order of prefixes.
    pub fn iter(&self) -> impl Iterator<Item = &TransitGatewayRoute> {
        self.routes.iter().flat_map(|(_, routes)| routes)
    }
}

impl TransitGateway {
    /// A gateway that nothing is attached to.
    pub fn new(id: Arc<str>) -> Self {
        Self {
            id,
            attachments: Vec::new(),
            told: Arc::default(),
            route_tables: Vec::new(),
            by_id: HashMap::new(),
            by_vpc: HashMap::new(),
            by_site: HashMap::new(),
            by_gateway: HashMap::new(),
        }
    }

    /// Attaches something. It follows no route table yet. Of attachments of one VPC, one site or one other gateway the
    /// first counts.
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
            groups_count: AccessDecision::Unknown,
            association: None,
        });
        &mut self.attachments[number]
    }

    /// The number of the attachment with an id.
    pub fn attachment_named(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// The number of the attachment of a VPC.
    pub fn attachment_of(&self, vpc: Index<Vpc>) -> Option<usize> {
        self.by_vpc.get(&vpc).copied()
    }

    /// The number of the attachment of a site.
    pub fn attachment_of_site(&self, site: Index<Site>) -> Option<usize> {
        self.by_site.get(&site).copied()
    }

    /// The number of the attachment of another transit gateway.
    pub fn attachment_of_gateway(&self, other: Index<Self>) -> Option<usize> {
        self.by_gateway.get(&other).copied()
    }

    /// The route of an attachment's traffic to an address. `None`: its table has none, or it is associated with no table.
    pub fn route(&self, from: usize, destination: IpAddr) -> Option<&TransitGatewayRoute> {
        self.route_tables[self.attachments[from].association?].route(destination)
    }
}
