//! Route tables.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::aws::RouteTarget;
use crate::net::PrefixMap;

use super::arena::Index;
use super::connections::{TransitGateway, VpcPeeringConnection};
use super::{Endpoint, NatGateway, Subnet};
use crate::config::LearntBy;

/// A route table, with prefix lists expanded.
#[derive(Debug)]
pub struct RouteTable {
    /// Its ID as configured; `None` for the implicit table of a VPC for which none is configured.
    pub id: Option<Arc<str>>,
    routes: PrefixMap<Vec<Route>>,
    /// The gateway endpoints in its routes, precomputed because scanning all routes for each answer would be
    /// slow.
    gateway_endpoints: Vec<Index<Endpoint>>,
}

/// A route for one prefix.
#[derive(Clone, Debug)]
pub struct Route {
    /// The prefix that it matches.
    pub destination: IpNet,
    /// Its target.
    pub target: Target,
    /// Whether matching traffic is dropped: its state is blackhole or filtered.
    pub is_blackhole: bool,
    /// Its precedence among routes for the same prefix.
    pub rank: Rank,
    /// The prefix list that it was configured for.
    pub prefix_list: Option<Arc<str>>,
}

/// Among routes for the same prefix, the lowest rank applies (VPC User Guide, "Route priority").
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// A static route for a prefix.
    Static,
    /// The local route. A static route for exactly the VPC's CIDR block replaces it.
    Local,
    /// A static route for a prefix list; among lists the lowest ID, because AWS's choice is random.
    PrefixList(Arc<str>),
    /// Propagated by a gateway or a route server; its origin determines the precedence.
    Propagated(LearntBy),
}

/// The target of a route, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Within the VPC.
    Local,
    /// An internet gateway.
    InternetGateway(Arc<str>),
    /// A NAT gateway.
    NatGateway(Index<NatGateway>),
    /// A gateway endpoint.
    GatewayEndpoint(Index<Endpoint>),
    /// An egress-only internet gateway.
    EgressOnlyInternetGateway(Arc<str>),
    /// A Gateway Load Balancer endpoint: traffic returns to its subnet.
    LoadBalancerEndpoint(Index<Endpoint>),
    /// A network interface or instance that forwards traffic.
    Appliance(Arc<Appliance>),
    /// A peering connection.
    Peering(Index<VpcPeeringConnection>),
    /// A transit gateway.
    TransitGateway(Index<TransitGateway>),
    /// A virtual private gateway.
    VirtualPrivateGateway(Arc<str>),
    /// Any other target, which is not followed.
    Other(RouteTarget),
}

/// A network interface or instance that forwards traffic of others.
#[derive(Debug, PartialEq, Eq)]
pub struct Appliance {
    /// Its ID in the route.
    pub id: Arc<str>,
    /// The subnet whose route table its traffic follows.
    pub subnet: Index<Subnet>,
    /// Whether it has a public address, so that it can send to the internet from its own address.
    pub is_public: bool,
    /// Whether it forwards: its source/destination check is disabled.
    pub forwards: bool,
}

impl RouteTable {
    /// A table with local routes only.
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

    /// Adds a route.
    pub fn add(&mut self, route: Route) {
        if let Target::GatewayEndpoint(endpoint) = route.target
            && !self.has_route_to(endpoint)
        {
            self.gateway_endpoints.push(endpoint);
        }
        // Few prefixes have a second route.
        let routes = self.routes.get_or_insert_with(route.destination, || Vec::with_capacity(1));
        let at = routes.partition_point(|have| have.rank <= route.rank);
        routes.insert(at, route);
    }

    /// The routes for exactly this prefix, by precedence.
    pub fn exactly(&self, destination: &IpNet) -> &[Route] {
        self.routes.get(destination).map_or(&[], Vec::as_slice)
    }

    /// The route for an address: the longest prefix, then the lowest rank.
    pub fn route(&self, destination: IpAddr) -> Option<&Route> {
        self.routes.longest_match(destination).and_then(|(_, routes)| routes.first())
    }

    /// Whether a route has this gateway endpoint as its target.
    pub fn has_route_to(&self, endpoint: Index<Endpoint>) -> bool {
        self.gateway_endpoints.contains(&endpoint)
    }

    /// Every route that matches an address, by precedence.
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
