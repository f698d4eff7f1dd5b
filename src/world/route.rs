//! Route tables: where each destination leads.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::aws::RouteTarget;
use crate::net::PrefixMap;

use super::arena::Index;
use super::network::{TransitGateway, VpcPeeringConnection};
use super::{Endpoint, NatGateway, Subnet};
use crate::config::LearntBy;

/// A route table, prefix lists taken apart into their prefixes.
#[derive(Debug)]
pub struct RouteTable {
    /// Its id as written; `None` for the table that a VPC has when none is declared.
    pub id: Option<Arc<str>>,
    routes: PrefixMap<Vec<Route>>,
    /// The gateway endpoints that its routes lead to: asked for with answers, where a walk through all routes would cost.
    gateway_endpoints: Vec<Index<Endpoint>>,
}

/// One route to one prefix.
#[derive(Clone, Debug)]
pub struct Route {
    /// What it matches.
    pub destination: IpNet,
    /// Where it leads.
    pub target: Target,
    /// Whether what it matches is dropped: its state is blackhole or filtered.
    pub is_blackhole: bool,
    /// How it stands among routes to the same prefix.
    pub rank: Rank,
    /// The prefix list it was written for.
    pub prefix_list: Option<Arc<str>>,
}

/// Among routes to one prefix the lowest rank wins (VPC User Guide, "Route priority").
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Written for a prefix.
    Static,
    /// The VPC's own route. A static route to exactly the VPC's prefix replaces it.
    Local,
    /// Written for a prefix list; among lists the lowest id, since AWS's choice is random.
    PrefixList(Arc<str>),
    /// Propagated by a gateway or a route server; what it was learnt by decides among them.
    Propagated(LearntBy),
}

/// Where a route leads, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Inside the VPC.
    Local,
    /// An internet gateway.
    InternetGateway(Arc<str>),
    /// A NAT gateway.
    NatGateway(Index<NatGateway>),
    /// A gateway endpoint.
    GatewayEndpoint(Index<Endpoint>),
    /// An egress-only internet gateway.
    EgressOnlyInternetGateway(Arc<str>),
    /// A Gateway Load Balancer endpoint: traffic comes back to its subnet.
    LoadBalancerEndpoint(Index<Endpoint>),
    /// A network interface or an instance, which passes traffic on.
    Appliance(Arc<Appliance>),
    /// A peering connection.
    Peering(Index<VpcPeeringConnection>),
    /// A transit gateway.
    TransitGateway(Index<TransitGateway>),
    /// A virtual private gateway.
    VirtualPrivateGateway(Arc<str>),
    /// Anything else, named and not followed.
    Other(RouteTarget),
}

/// What passes traffic on that is not its own.
#[derive(Debug, PartialEq, Eq)]
pub struct Appliance {
    /// The id that the route has: a network interface's or an instance's.
    pub id: Arc<str>,
    /// The subnet whose route table its traffic follows.
    pub subnet: Index<Subnet>,
    /// Whether it has a public address, so that it may send to the internet as itself.
    pub is_public: bool,
    /// Whether it passes on at all: its source and destination check is off.
    pub passes_on: bool,
}

impl RouteTable {
    /// A table that routes inside its VPC only.
    pub fn new(id: Option<Arc<str>>, vpc: &[IpNet]) -> Self {
        let mut table = Self { id, routes: PrefixMap::new(), gateway_endpoints: Vec::new() };
        for prefix in vpc {
            table.add(Route {
                destination: *prefix,
                target: Target::Local,
                is_blackhole: false,
                rank: Rank::Local,
                prefix_list: None,
            });
        }
        table
    }

    /// Takes in a route.
    pub fn add(&mut self, route: Route) {
        if let Target::GatewayEndpoint(endpoint) = route.target
            && !self.leads_to(endpoint)
        {
            self.gateway_endpoints.push(endpoint);
        }
        // Few prefixes have a second route.
        let routes = self.routes.get_or_insert_with(route.destination, || Vec::with_capacity(1));
        let at = routes.partition_point(|have| have.rank <= route.rank);
        routes.insert(at, route);
    }

    /// The routes to exactly this prefix, the one that counts first.
    pub fn exactly(&self, destination: &IpNet) -> &[Route] {
        self.routes.get(destination).map_or(&[], Vec::as_slice)
    }

    /// The route that traffic to this address follows: the longest prefix, then the lowest rank.
    pub fn route(&self, destination: IpAddr) -> Option<&Route> {
        self.routes.longest(destination).and_then(|(_, routes)| routes.first())
    }

    /// Whether any route leads to a gateway endpoint.
    pub fn leads_to(&self, endpoint: Index<Endpoint>) -> bool {
        self.gateway_endpoints.contains(&endpoint)
    }

    /// Every route that matches an address, the one that counts first.
    pub fn covering(&self, destination: IpAddr) -> Vec<&Route> {
        let mut all: Vec<&Route> =
            self.routes.covering(destination).into_iter().rev().flat_map(|(_, routes)| routes).collect();
        all.sort_by(|a, b| (b.destination.prefix_len(), &a.rank).cmp(&(a.destination.prefix_len(), &b.rank)));
        all
    }

    /// Every route, in the order of prefixes.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter().flat_map(|(_, routes)| routes)
    }
}
