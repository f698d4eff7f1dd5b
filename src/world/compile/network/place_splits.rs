//! Where places are split: the prefixes that filters and routes of one network distinguish.
//!
//! A network consists of VPCs and sites connected by peering connections, transit gateways and links.
//! Prefixes of one network do not affect traffic of another, so VPCs that merely have overlapping addresses
//! do not split each other's subnets: otherwise there would be as many places as subnets times rules.

use std::collections::HashMap;

use super::*;
use crate::net::PrefixMap;

/// The distinguishing prefixes, by network.
pub(super) struct PlaceSplits {
    networks: NetworkPrefixes,
    of_network: HashMap<usize, PrefixMap<()>>,
    none: PrefixMap<()>,
}

impl PlaceSplits {
    /// Those of a VPC.
    pub(super) fn of_vpc(&self, vpc: Index<Vpc>) -> &PrefixMap<()> {
        self.of(self.networks.vpc(vpc))
    }

    /// Those of a site.
    pub(super) fn of_site(&self, site: Index<Site>) -> &PrefixMap<()> {
        self.of(self.networks.site(site))
    }

    /// Those outside every network: none.
    pub(super) fn outside(&self) -> &PrefixMap<()> {
        &self.none
    }

    fn of(&self, node: usize) -> &PrefixMap<()> {
        self.of_network.get(&self.networks.network(node)).unwrap_or(&self.none)
    }

    fn add(&mut self, node: usize, prefixes: impl Iterator<Item = IpNet>) {
        let own = self.of_network.entry(self.networks.network(node)).or_default();
        for prefix in prefixes {
            own.insert(prefix, ());
        }
    }
}

/// Which VPCs, sites and transit gateways are connected: a disjoint-set forest. Each is a node that points to
/// another one of its network; one node of each network points to itself.
struct NetworkPrefixes {
    leads_to: Vec<usize>,
    vpcs: usize,
    sites: usize,
}

impl NetworkPrefixes {
    fn new(vpcs: usize, sites: usize, gateways: usize) -> Self {
        Self { leads_to: (0..vpcs + sites + gateways).collect(), vpcs, sites }
    }

    fn vpc(&self, vpc: Index<Vpc>) -> usize {
        vpc.number() as usize
    }

    fn site(&self, site: Index<Site>) -> usize {
        self.vpcs + site.number() as usize
    }

    fn gateway(&self, gateway: Index<TransitGateway>) -> usize {
        self.vpcs + self.sites + gateway.number() as usize
    }

    /// The representative of a node's network.
    fn network(&self, mut node: usize) -> usize {
        while self.leads_to[node] != node {
            node = self.leads_to[node];
        }
        node
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.network(one), self.network(other));
        self.leads_to[one] = other;
    }

    /// Path compression: every node points to its representative.
    fn shorten(&mut self) {
        for node in 0..self.leads_to.len() {
            self.leads_to[node] = self.network(node);
        }
    }
}

impl NetworkCompiler<'_, '_> {
    /// The prefixes that security groups, network ACLs and routes distinguish: addresses inside and outside
    /// of one of them may have different paths, or different return paths.
    pub(super) fn place_splits(&self) -> PlaceSplits {
        let mut cuts =
            PlaceSplits { networks: self.networks(), of_network: HashMap::new(), none: PrefixMap::new() };
        for (index, vpc) in self.network.vpcs.indexed() {
            // Local destinations.
            cuts.add(cuts.networks.vpc(index), vpc.cidrs.iter().copied());
        }
        for written in &self.cx.config.vpc {
            let Some(vpc) = self.declarations.vpcs.get(&written.id.to_string()) else { continue };
            let node = cuts.networks.vpc(*vpc);
            for group in &written.security_group {
                let group = self.ids.security_groups.get(&group.id.to_string());
                let group = group.map(|index| &self.network.security_groups[*index]);
                let peers =
                    group.into_iter().flat_map(|group| group.ingress.iter()).flat_map(|rule| &rule.peers);
                let prefixes = peers.filter_map(|peer| match peer {
                    Peer::Prefix(prefix) => Some(*prefix),
                    Peer::Group(_) => None,
                });
                cuts.add(node, prefixes);
            }
            for acl in &written.network_acl {
                let acl = self.ids.network_acls.get(&acl.id.to_string());
                let acl = acl.map(|(_, index)| &self.network.network_acls[*index]);
                let rules = acl.into_iter().flat_map(|acl| acl.ingress.iter().chain(acl.egress.iter()));
                cuts.add(node, rules.map(|rule| rule.cidr));
            }
            for table in &written.route_table {
                let table = self.ids.route_tables.get(&table.id.to_string());
                let table = table.map(|(_, index)| &self.network.route_tables[*index]);
                // The prefix list of a gateway endpoint's service contains no addresses of clients.
                let routes = table.into_iter().flat_map(RouteTable::iter);
                let routes = routes.filter(|route| !matches!(route.target, Target::GatewayEndpoint(_)));
                cuts.add(node, routes.map(|route| route.destination));
            }
        }
        for (index, gateway) in self.network.transit_gateways.indexed() {
            let routes = gateway.route_tables.iter().flat_map(TransitGatewayRouteTable::iter);
            cuts.add(cuts.networks.gateway(index), routes.map(|route| route.destination));
        }
        cuts
    }

    fn networks(&self) -> NetworkPrefixes {
        let mut all = NetworkPrefixes::new(
            self.network.vpcs.len(),
            self.network.sites.len(),
            self.network.transit_gateways.len(),
        );
        for connection in self.network.peering_connections.iter() {
            let [one, other] = connection.vpcs.map(|vpc| all.vpc(vpc));
            all.join(one, other);
        }
        for (index, gateway) in self.network.transit_gateways.indexed() {
            let own = all.gateway(index);
            for attachment in &gateway.attachments {
                match attachment.to {
                    AttachedTo::Vpc(vpc, _) => all.join(all.vpc(vpc), own),
                    AttachedTo::Site(site) => all.join(all.site(site), own),
                    AttachedTo::TransitGateway(other) => all.join(all.gateway(other), own),
                    AttachedTo::Unknown => {}
                }
            }
        }
        // Sites of one virtual private gateway reach each other.
        let mut by_target: HashMap<&str, usize> = HashMap::new();
        for (index, site) in self.network.sites.indexed() {
            let own = all.site(index);
            for link in &site.links {
                match link.to {
                    LinkedTo::Vpc(vpc) => all.join(all.vpc(vpc), own),
                    LinkedTo::TransitGateway(gateway) => all.join(all.gateway(gateway), own),
                }
                let first = *by_target.entry(&link.target).or_insert(own);
                all.join(first, own);
            }
        }
        all.shorten();
        all
    }
}
