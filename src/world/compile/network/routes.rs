//! Prefix lists, and the routes of every table.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::*;
use crate::aws::{RouteTarget, RouteTargetKind};
use crate::config;
use crate::config::{Destination, RouteOrigin, RouteState};

impl NetworkCompiler<'_, '_> {
    /// Configured prefix lists.
    pub(super) fn prefix_lists(&mut self) {
        for list in &self.cx.config.prefix_list {
            let key = (list.region.value().clone(), list.id.to_string());
            let entries = list.entries.iter().map(|cidr| cidr.value().0).collect();
            if let Some(name) = &list.name {
                let named = (list.region.value().clone(), name.to_string());
                // Among lists with the same name, the first applies.
                self.named_prefix_lists.entry(named).or_insert(list);
            }
            if self.prefix_lists.insert(key, entries).is_some() {
                let message = format!("duplicate prefix list `{}` in {}", list.id, list.region);
                self.cx.report.error(Code::DuplicateId, list.id.mark(), message);
            }
        }
        self.security_group_rules();
    }

    /// The entries of a prefix list: the configured ones, or else those in the project's table.
    pub(super) fn prefix_list(&mut self, region: &Region, id: &str, mark: Mark) -> Vec<IpNet> {
        if let Some(entries) = self.prefix_lists.get(&(region.clone(), id.to_owned())) {
            return entries.clone();
        }
        let known = self.cx.facts.prefix_lists.by_id(region, id);
        if let Some(entries) = known.and_then(|list| list.entries.as_ref()) {
            return entries.clone();
        }
        let message = match known {
            Some(list) => format!("the entries of prefix list `{id}` ({}) are unknown", list.name),
            None => format!("unknown prefix list `{id}` in {region}"),
        };
        let error = self.cx.report.error(Code::UnknownPrefixList, mark, message);
        error.help(format!(
            "declare it: [[prefix_list]] id = \"{id}\", region = \"{region}\", entries = […], \
             printed by `aws ec2 get-managed-prefix-list-entries --prefix-list-id {id}`"
        ));
        Vec::new()
    }

    /// Every route of every table.
    pub(super) fn routes(&mut self) {
        for vpc in &self.cx.config.vpc {
            let Some(index) = self.declarations.vpcs.get(&vpc.id.to_string()).copied() else { continue };
            for table in &vpc.route_table {
                let Some((owner, made)) = self.ids.route_tables.get(&table.id.to_string()).copied() else {
                    continue;
                };
                if owner != index {
                    continue;
                }
                for route in &table.routes {
                    self.route(vpc, index, made, route);
                }
            }
        }
    }

    fn route(
        &mut self,
        vpc: &config::Vpc,
        index: Index<Vpc>,
        table: Index<RouteTable>,
        route: &config::Route,
    ) {
        let Some(target) = self.target(vpc, index, route) else { return };
        let is_blackhole = route.state != RouteState::Active;
        let propagated =
            matches!(route.origin, RouteOrigin::EnableVgwRoutePropagation | RouteOrigin::Advertisement);
        let mark = route.destination.mark();
        let (destinations, rank, prefix_list) = match route.destination.value() {
            Destination::Cidr(cidr) => {
                let rank = if propagated { Rank::Propagated(route.learnt_by) } else { Rank::Static };
                (vec![cidr.0], rank, None)
            }
            Destination::PrefixList(id) => {
                let id: Arc<str> = id.as_str().into();
                let entries = self.prefix_list(vpc.region.value(), &id, mark);
                (entries, Rank::PrefixList(id.clone()), Some(id))
            }
            Destination::SecurityGroup(_) => {
                let message = "the destination of a route must be a CIDR prefix or a prefix list";
                self.cx.report.error(Code::InvalidValue, mark, message);
                return;
            }
        };
        let duplicate =
            |have: &Route, destination: &IpNet| have.destination == *destination && have.rank == rank;
        for destination in destinations {
            self.check_family(&destination, &target, mark);
            if !self.is_allowed(index, &destination, &target, &rank, mark) {
                continue;
            }
            let own = &mut self.network.vpcs[index];
            own.has_inner_routes |=
                target != Target::Local && own.cidrs.iter().any(|cidr| cidr.contains(&destination));
            let table = &mut self.network.route_tables[table];
            if prefix_list.is_none()
                && table.exactly(&destination).iter().any(|have| duplicate(have, &destination))
            {
                let message = format!("duplicate route to {destination}");
                self.cx.report.error(Code::DuplicateRoute, mark, message);
                continue;
            }
            let target = target.clone();
            table.add(Route {
                destination,
                target,
                is_blackhole,
                rank: rank.clone(),
                prefix_list: prefix_list.clone(),
            });
        }
    }

    /// Resolves the target of a route; `None` after an error if it is not configured.
    fn target(&mut self, vpc: &config::Vpc, index: Index<Vpc>, route: &config::Route) -> Option<Target> {
        let Some(named) = &route.target else {
            let is_gone = route.state != RouteState::Active;
            // The target may have been pruned as unreadable, which has been reported.
            if !is_gone && !self.cx.is_pruned {
                let message = format!("the route to {} has no target", route.destination);
                let error = self.cx.report.error(Code::MissingKey, route.destination.mark(), message);
                error.help(
                    "write `target = \"…\"`, or `state = \"blackhole\"` if its target no longer exists",
                );
            }
            return is_gone.then(|| Target::Other(RouteTarget::blackhole()));
        };
        let (written, mark) = (named.value(), named.mark());
        // The target of a blackhole does not exist, so it cannot be configured.
        if route.state == RouteState::Blackhole && !self.cx.declared.contains_key(&*written.id) {
            return Some(Target::Other(written.clone()));
        }
        match written.kind {
            RouteTargetKind::Local => Some(Target::Local),
            RouteTargetKind::InternetGateway => {
                let attached =
                    vpc.internet_gateway.as_ref().is_some_and(|igw| igw.value().as_str() == &*written.id);
                if !attached {
                    let message = format!("`{written}` is not attached to VPC `{}`", vpc.id);
                    let help = format!(
                        "write `internet_gateway = \"{written}\"` for the VPC, or `state = \"blackhole\"` for the route"
                    );
                    self.cx.report.error(Code::UnknownReference, mark, message).help(help);
                }
                Some(Target::InternetGateway(written.id.clone()))
            }
            RouteTargetKind::NatGateway => {
                let found = self.ids.nat_gateways.get(&*written.id).copied();
                match found {
                    Some((owner, nat)) if owner == index => Some(Target::NatGateway(nat)),
                    _ => {
                        self.cx.unknown("NAT gateway of this VPC", &written.id, mark, || {
                            keys(&self.ids.nat_gateways)
                        });
                        None
                    }
                }
            }
            RouteTargetKind::VpcEndpoint => self.endpoint_target(index, route, named),
            RouteTargetKind::VirtualPrivateGateway => Some(Target::VirtualPrivateGateway(written.id.clone())),
            RouteTargetKind::EgressOnlyInternetGateway => {
                Some(Target::EgressOnlyInternetGateway(written.id.clone()))
            }
            RouteTargetKind::VpcPeeringConnection => Some(self.peering_target(index, named)?),
            RouteTargetKind::TransitGateway => match self.ids.transit_gateways.get(&*written.id) {
                Some(gateway) => Some(Target::TransitGateway(*gateway)),
                None => Some(Target::Other(written.clone())),
            },
            RouteTargetKind::NetworkInterface | RouteTargetKind::Instance => {
                match self.ids.appliances.get(&*written.id) {
                    Some((owner, appliance)) if *owner == index => Some(Target::Appliance(appliance.clone())),
                    _ => Some(Target::Other(written.clone())),
                }
            }
            RouteTargetKind::CarrierGateway
            | RouteTargetKind::LocalGateway
            | RouteTargetKind::CoreNetwork => Some(Target::Other(written.clone())),
        }
    }

    /// A configured peering connection must connect this VPC; one that is not configured is only recorded by
    /// ID.
    fn peering_target(&mut self, vpc: Index<Vpc>, named: &Marked<RouteTarget>) -> Option<Target> {
        let written = named.value();
        let Some(index) = self.declarations.peering_connections.get(&*written.id).copied() else {
            return Some(Target::Other(written.clone()));
        };
        if self.network.peering_connections[index].beyond(vpc).is_none() {
            let message = format!("`{written}` is not a connection of VPC `{}`", self.network.vpcs[vpc].id);
            self.cx.report.error(Code::UnknownReference, named.mark(), message);
            return None;
        }
        Some(Target::Peering(index))
    }

    fn endpoint_target(
        &mut self,
        vpc: Index<Vpc>,
        route: &config::Route,
        named: &Marked<RouteTarget>,
    ) -> Option<Target> {
        let (written, mark) = (named.value(), named.mark());
        let found = self.declarations.endpoint_ids.get(&*written.id).copied();
        let found = found.filter(|endpoint| self.network.endpoints[*endpoint].vpc == vpc);
        let Some(endpoint) = found else {
            self.cx
                .unknown("endpoint of this VPC", &written.id, mark, || keys(&self.declarations.endpoint_ids));
            return None;
        };
        match self.network.endpoints[endpoint].kind {
            EndpointKind::Gateway => {
                if !matches!(route.destination.value(), Destination::PrefixList(_)) {
                    let message = format!(
                        "the destination of a route to gateway endpoint `{written}` must be a prefix list"
                    );
                    let error = self.cx.report.error(Code::InvalidValue, route.destination.mark(), message);
                    error.help("write `destination = \"pl-…\"`, as in the routes that AWS creates");
                }
                Some(Target::GatewayEndpoint(endpoint))
            }
            EndpointKind::GatewayLoadBalancer => Some(Target::LoadBalancerEndpoint(endpoint)),
            kind => {
                let message = format!("`{written}` is {}, which cannot be a route target", kind.describe());
                let error = self.cx.report.error(Code::InvalidValue, mark, message);
                error.help("its network interfaces are within the VPC, and the `local` route reaches them");
                None
            }
        }
    }

    /// An egress-only internet gateway is for IPv6; a NAT gateway translates to IPv4, from one IPv6 prefix
    /// only.
    fn check_family(&mut self, destination: &IpNet, target: &Target, mark: Mark) {
        let wrong = match target {
            Target::EgressOnlyInternetGateway(_) if destination.addr().is_ipv4() => {
                "an egress-only internet gateway carries only IPv6"
            }
            Target::NatGateway(_)
                if destination.addr().is_ipv6()
                    && crate::net::nat64_to_ipv4(destination.addr()).is_none() =>
            {
                "a NAT gateway carries no IPv6 other than 64:ff9b::/96"
            }
            _ => return,
        };
        let message = format!("invalid route to {destination}: {wrong}");
        self.cx.report.error(Code::InvalidValue, mark, message);
    }

    /// Whether AWS allows such a route. Returns false for a route that is allowed but never applies.
    fn is_allowed(
        &mut self,
        vpc: Index<Vpc>,
        destination: &IpNet,
        target: &Target,
        rank: &Rank,
        mark: Mark,
    ) -> bool {
        if RESERVED.iter().any(|net| net.contains(destination)) {
            let message = format!("invalid route: {destination} is in a reserved range");
            let error = self.cx.report.error(Code::InvalidValue, mark, message);
            error.help("169.254.168.0/22 and fd00:ec2::/32 are reserved for AWS services");
            return false;
        }
        let own = self.network.vpcs[vpc].cidrs.contains(destination);
        if own && *rank == Rank::Static && *target != Target::Local && !is_middlebox(target) {
            let message =
                format!("invalid route: {destination} is the CIDR block of the VPC, whose target is `local`");
            let error = self.cx.report.error(Code::InvalidValue, mark, message);
            error.help(
                "only a NAT gateway, a network interface or a Gateway Load Balancer endpoint can replace the target \
                 `local`",
            );
            return false;
        }
        let inside =
            self.network.vpcs[vpc].cidrs.iter().any(|cidr| cidr.contains(destination) && cidr != destination);
        if !inside {
            return true;
        }
        match rank {
            // Propagated routes never take precedence over `local`, however specific they are.
            Rank::Propagated(_) => false,
            Rank::PrefixList(_) | Rank::Local => true,
            Rank::Static => {
                let is_subnet =
                    self.ids.subnets_by_prefix.get(&vpc).is_some_and(|own| own.get(destination).is_some());
                let fits = is_subnet && is_middlebox(target);
                if !fits {
                    let message =
                        format!("invalid route: {destination} is within the CIDR blocks of the VPC");
                    let error = self.cx.report.error(Code::InvalidValue, mark, message);
                    error.help(
                        "the destination of such a route must be the prefix of a subnet, and the target a NAT gateway, a network \
                         interface or a Gateway Load Balancer endpoint",
                    );
                }
                fits
            }
        }
    }
}

/// Ranges of AWS's own services.
const RESERVED: [IpNet; 2] = [
    IpNet::V4(ipnet::Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 168, 0), 22)),
    IpNet::V6(ipnet::Ipv6Net::new_assert(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 32)),
];

fn is_middlebox(target: &Target) -> bool {
    use RouteTargetKind::{Instance, NatGateway, NetworkInterface, VpcEndpoint};
    match target {
        Target::NatGateway(_) | Target::LoadBalancerEndpoint(_) | Target::Appliance(_) => true,
        // A target that does not exist.
        Target::Other(RouteTarget { kind, .. }) => {
            matches!(kind, NatGateway | NetworkInterface | Instance | VpcEndpoint)
        }
        _ => false,
    }
}
