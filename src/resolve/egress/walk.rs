//! The walk of one packet: from route table to route table, until it arrives or is dropped.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::MAX_HOPS;
use super::filter::BoundaryCrossing;
use super::sender::{ReturnDestination, Sender, SenderKind, SourceAddresses};
use crate::aws::RouteTargetKind;
use crate::net;
use crate::resolve::path::{
    Class, DroppedAt, EgressPath, Hop, MatchedRoute, NextRoute, PathEnd, Reach, Reason, RouteTableRef,
};
use crate::world::{
    AccessDecision, Endpoint, EndpointKind, Index, Interface, Network, Place, PlaceKind, Route, RouteTable,
    SecurityGroup, Subnet, Target, Vpc,
};

/// A packet and its path so far.
pub(super) struct Walk<'w> {
    pub network: &'w Network,
    pub path: EgressPath,
    pub sender: Sender<'w>,
    /// The address that the client sends to.
    pub original_to: IpAddr,
    /// The client's security groups. `None` if they are not configured.
    pub client_groups: Option<&'w [Index<SecurityGroup>]>,
    /// Whether a rule that refers to a security group can match an interface at the other end. Once something
    /// on the path has forwarded the traffic, only the address matters ("Security group rules", VPC User
    /// Guide).
    pub group_references: AccessDecision,
    /// Whether it entered a VPC through a transit gateway: outbound rules cannot refer to security groups
    /// then, nor can those of endpoints ("Security group referencing", Amazon VPC Transit Gateways).
    pub entered_by_transit_gateway: bool,
    /// Whether the client has an address of the destination's family, without which it cannot send.
    has_address_of_family: bool,
    /// The current destination: the address, or the IPv4 address embedded in it after translation by a NAT
    /// gateway.
    pub to: IpAddr,
    /// The Gateway Load Balancer endpoints passed by this sender's traffic.
    pub inspected: Vec<Index<Endpoint>>,
    /// The subnets through which it enters VPCs whose attachments use one interface per flow (appliance
    /// mode): replies enter through the same one.
    pub sticky_entries: Vec<(Index<Vpc>, Index<Subnet>)>,
    /// Whether replies do not pass the same Gateway Load Balancer endpoints.
    pub is_asymmetric: bool,
    /// Whether it entered a VPC through a gateway whose edge route table is not configured.
    pub entered_by_gateway: bool,
    /// The subnet boundaries that it crosses.
    pub crossings: Vec<BoundaryCrossing<'w>>,
    /// The route tables visited. The same visit twice is a loop.
    visited: Vec<Visit>,
    /// The last route table visited, and the matched route.
    pub last: Option<DroppedAt>,
    /// The current VPC, and the subnet whose route table was followed last.
    pub at: Option<(Index<Vpc>, Option<Index<Subnet>>)>,
    /// The subnet that it left first.
    pub source_subnet: Option<Index<Subnet>>,
    /// Whether it entered the current VPC from outside: gateways do not forward traffic that is not the VPC's
    /// own.
    pub is_in_transit: bool,
    /// Whether this packet is a reply, whose own return path is not evaluated.
    pub is_reply: bool,
}

/// A visit to a route table: from which subnet, for which address, for which sender.
type Visit = (Index<RouteTable>, Option<Index<Subnet>>, IpAddr, SenderKind);

impl<'w> Walk<'w> {
    /// A client's packet to an address, before it leaves its location.
    pub(super) fn of_client(network: &'w Network, here: &'w Place, to: IpAddr) -> Self {
        let groups = match here.interface {
            Some(Interface::Instance(index)) => Some(network.instances[index].security_groups.as_slice()),
            Some(Interface::Network(index)) => {
                Some(network.network_interfaces[index].security_groups.as_slice())
                    .filter(|own| !own.is_empty())
            }
            Some(Interface::Endpoint(index, n)) => {
                let own = network.endpoints[index].interfaces[n].security_groups.as_slice();
                Some(own).filter(|own| !own.is_empty())
            }
            Some(Interface::ResolverEndpoint) => None,
            Some(Interface::NatGateway(_)) => Some(&[][..]),
            // Traffic from a site has no security groups.
            None if matches!(here.kind, PlaceKind::Site(_)) => Some(&[][..]),
            None => None,
        };
        let home = match here.kind {
            PlaceKind::Subnet(subnet) => ReturnDestination::Vpc(network.subnets[subnet].vpc),
            PlaceKind::Site(site) => ReturnDestination::Site(site),
            // Not used: the path of an `outside` client is its uplink, without a walk.
            PlaceKind::Outside => ReturnDestination::Vpc(network.vpcs.next_index()),
        };
        let source = SourceAddresses {
            prefixes: match here.other_family.is_empty() {
                true => Cow::Borrowed(&here.prefixes),
                false => here.prefixes.iter().chain(&here.other_family).copied().collect(),
            },
            samples: Cow::Borrowed(&here.samples),
            is_remainder: true,
        };
        let is_of_family = |prefix: &IpNet| prefix.addr().is_ipv4() == to.is_ipv4();
        let has_family = match here.kind {
            // Each prefix of a site is a location, and its hosts may have addresses of several.
            PlaceKind::Site(site) => network.sites[site].cidrs.iter().any(is_of_family),
            PlaceKind::Subnet(_) | PlaceKind::Outside => here.has_address_of_family(to),
        };
        let sender = Sender { kind: SenderKind::Client, source, return_to: home };
        Self {
            client_groups: groups,
            has_address_of_family: has_family,
            ..Self::new(network, sender, to, false)
        }
    }

    pub(super) fn new(network: &'w Network, sender: Sender<'w>, to: IpAddr, is_reply: bool) -> Self {
        Self {
            network,
            path: EgressPath::new(Class::Unknown, Reach::Unknown),
            original_to: to,
            client_groups: None,
            group_references: AccessDecision::Allowed,
            entered_by_transit_gateway: false,
            has_address_of_family: true,
            sender,
            to,
            inspected: Vec::new(),
            sticky_entries: Vec::new(),
            is_asymmetric: false,
            entered_by_gateway: false,
            crossings: Vec::new(),
            visited: Vec::new(),
            last: None,
            at: None,
            source_subnet: None,
            is_in_transit: false,
            is_reply,
        }
    }

    /// The first hop: the route table of the client's subnet determines the class.
    pub(super) fn depart(&mut self, subnet: Index<Subnet>) {
        let own = &self.network.subnets[subnet];
        self.at = Some((own.vpc, Some(subnet)));
        self.source_subnet = Some(subnet);
        let Some(route) = self.route(own.route_table, Some(subnet)) else {
            self.path = EgressPath::new(Class::Unreachable, Reach::Dead);
            self.end_without_route(RouteTableRef::Vpc(own.route_table), Reason::NoRoute);
            return;
        };
        self.visited.push((own.route_table, Some(subnet), self.to, self.sender.kind));
        self.path.matched = Some(MatchedRoute {
            route_table: self.network.route_tables[own.route_table].id.clone(),
            destination: route.destination,
            prefix_list: route.prefix_list.clone(),
            target: self.network.target_id(&route.target),
        });
        if route.is_blackhole {
            self.path.class = Class::Blackhole;
            self.end(Reach::Dead, Some(Reason::BlackholeRoute));
            return;
        }
        // The class is determined by the client's own route table, even if the path is dead. Later hops do
        // not change it, except that `arrive` refines `local`.
        self.path.class = class_of(&route.target);
        self.leave_for(subnet, route);
        self.follow(route);
    }

    /// A later hop: the route table at the current position determines the next hop.
    pub(super) fn continue_by(
        &mut self,
        table: Index<RouteTable>,
        subnet: Option<Index<Subnet>>,
        if_no_route: Reason,
    ) {
        // A table may be visited twice without a loop: after translation the destination differs (NAT64), and
        // behind a NAT gateway the sender does. Only the same table with the same packet is a loop.
        let visit = (table, subnet, self.to, self.sender.kind);
        if self.visited.contains(&visit) || self.visited.len() >= MAX_HOPS {
            self.end(Reach::Dead, Some(Reason::RoutingLoop));
            return;
        }
        self.visited.push(visit);
        self.at = self.at.map(|(vpc, _)| (vpc, subnet));
        match self.route(table, subnet) {
            None => self.end_without_route(RouteTableRef::Vpc(table), if_no_route),
            Some(route) if route.is_blackhole => {
                self.record_route(RouteTableRef::Vpc(table), route.destination);
                self.end(Reach::Dead, Some(Reason::BlackholeRoute));
            }
            Some(route) => {
                self.record_route(RouteTableRef::Vpc(table), route.destination);
                if let Some(subnet) = subnet {
                    self.leave_for(subnet, route);
                }
                self.follow(route);
            }
        }
    }

    /// Records a route followed after the first one.
    pub(super) fn record_route(&mut self, table: RouteTableRef, destination: IpNet) {
        self.last = Some(DroppedAt { table, destination: Some(destination), reason: None });
        self.path.next_routes.push(NextRoute { after: self.path.hops.len(), table, destination });
    }

    /// Ends the path at a route table without a matching route.
    pub(super) fn end_without_route(&mut self, table: RouteTableRef, reason: Reason) {
        self.last = Some(DroppedAt { table, destination: None, reason: Some(reason) });
        self.path.dropped_at = self.last;
        self.end(Reach::Dead, Some(reason));
    }

    /// The route for traffic in a subnet. Hosts in the same subnet reach each other without a route table: a
    /// route to that subnet applies only to others.
    fn route(&self, table: Index<RouteTable>, subnet: Option<Index<Subnet>>) -> Option<&'w Route> {
        let table = &self.network.route_tables[table];
        let route = table.route(self.to)?;
        // A middlebox route for a subnet has the same or a longer prefix than the local route, but delivery
        // within the subnet happens on the link, so the local route is the one that describes it.
        if route.target != Target::Local && subnet.is_some_and(|subnet| self.is_addressed_to(subnet)) {
            return table.covering(self.to).into_iter().find(|route| route.target == Target::Local);
        }
        Some(route)
    }

    /// Whether the packet is addressed to a subnet.
    pub(super) fn is_addressed_to(&self, subnet: Index<Subnet>) -> bool {
        self.network.subnets[subnet].cidrs.iter().any(|cidr| cidr.contains(&self.to))
    }

    fn follow(&mut self, route: &'w Route) {
        let Some((vpc, subnet)) = self.at else { return };
        // Only a NAT gateway translates 64:ff9b::/96, so other targets, such as that of a default route, drop
        // the traffic. Targets that may forward it to a NAT gateway are followed.
        if net::nat64_to_ipv4(self.to).is_some() && !may_forward_to_nat(&route.target) {
            self.hop(self.network.target_id(&route.target), None);
            self.end(Reach::Dead, Some(Reason::Nat64PrefixWithoutNat));
            return;
        }
        match &route.target {
            Target::Local => self.arrive(vpc),
            Target::InternetGateway(id) | Target::EgressOnlyInternetGateway(id) => {
                self.hop(id.clone(), None);
                self.through_internet_gateway(subnet);
            }
            Target::NatGateway(index) => self.through_nat_gateway(*index),
            Target::GatewayEndpoint(index) => self.through_gateway_endpoint(*index),
            Target::LoadBalancerEndpoint(index) => self.through_load_balancer_endpoint(*index),
            Target::Appliance(appliance) => self.through_appliance(appliance, vpc),
            Target::Peering(index) => self.through_peering(*index, vpc),
            Target::TransitGateway(index) => self.through_transit_gateway(*index, vpc, subnet),
            Target::VirtualPrivateGateway(id) => {
                self.hop(id.clone(), None);
                self.through_private_gateway(vpc, id);
            }
            Target::Other(target) => {
                self.hop(target.id.clone(), None);
                self.end(Reach::Unknown, Some(Reason::TargetNotModelled));
            }
        }
    }

    /// Ends the path inside the VPC that has the address: at an endpoint's network interface, or elsewhere.
    pub(super) fn arrive(&mut self, vpc: Index<Vpc>) {
        let subnet = self.subnet_in(vpc);
        // Network ACLs apply at subnet boundaries only: a packet that is in the destination subnet does not
        // cross one.
        if let Some(subnet) = subnet.filter(|subnet| self.at != Some((vpc, Some(*subnet)))) {
            self.enter(subnet);
        }
        self.at = Some((vpc, subnet));
        let owner = self.network.vpcs[vpc].interfaces.get(&self.to).copied();
        self.path.end = PathEnd::Vpc(vpc, self.to);
        if let Some(Interface::Endpoint(index, number)) = owner {
            let endpoint = &self.network.endpoints[index];
            // `local` is refined, because the route table does not distinguish an endpoint from a host. Other
            // classes stay: from outside the VPC, the class is that of the first target, such as a transit
            // gateway.
            if self.path.class == Class::Local {
                self.path.class = endpoint_class(endpoint.kind);
            }
            self.hop(endpoint.id.clone(), Some(endpoint.interfaces[number].subnet));
            self.path.endpoint = Some((index, Some(number)));
            if !endpoint.is_available {
                self.end(Reach::Dead, Some(Reason::EndpointNotAvailable));
                return;
            }
        }
        let table = subnet.map(|subnet| self.network.subnets[subnet].route_table);
        self.end(Reach::Ok, None);
        self.require_return_path(vpc, subnet, table);
    }

    /// The destination subnet in a VPC. The lookup is skipped if it cannot matter: in the client's own VPC,
    /// where only `local` routes match return traffic and no subnet has a network ACL.
    fn subnet_in(&self, vpc: Index<Vpc>) -> Option<Index<Subnet>> {
        if let Some((at, Some(subnet))) = self.at
            && at == vpc
            && self.is_addressed_to(subnet)
        {
            return Some(subnet);
        }
        if self.has_trivial_return_path(vpc) && self.network.network_acls.is_empty() {
            return None;
        }
        let place = self.network.places.find_in_vpc(self.to, vpc)?;
        match self.network.places[place].kind {
            PlaceKind::Subnet(subnet) => Some(subnet),
            PlaceKind::Site(_) | PlaceKind::Outside => None,
        }
    }

    /// Records that the packet leaves a subnet, unless the destination or the route's target is in the same
    /// subnet.
    fn leave_for(&mut self, subnet: Index<Subnet>, route: &Route) {
        let next = match &route.target {
            Target::NatGateway(index) => self.network.nat_gateways[*index].subnet,
            Target::LoadBalancerEndpoint(index) => {
                self.network.endpoints[*index].interfaces.first().map(|interface| interface.subnet)
            }
            Target::Appliance(appliance) => Some(appliance.subnet),
            _ => None,
        };
        if next != Some(subnet) && !self.is_addressed_to(subnet) {
            self.cross(subnet, true);
        }
    }

    /// Records that the packet enters a subnet, unless it is in that subnet already.
    pub(super) fn enter(&mut self, subnet: Index<Subnet>) {
        if self.at.is_none_or(|(_, at)| at != Some(subnet)) {
            self.cross(subnet, false);
        }
    }

    /// Records a subnet boundary that has a network ACL.
    fn cross(&mut self, subnet: Index<Subnet>, is_out: bool) {
        if self.network.subnets[subnet].network_acl.is_some() {
            let from = self.sender.source.clone();
            self.crossings.push(BoundaryCrossing { subnet, is_out, from, to: self.to });
        }
    }

    /// Ends the path if the client has no address of the destination's family and therefore cannot send.
    pub(super) fn require_source_address(&mut self) {
        // A path that is dead or blocked anyway keeps its more specific reason.
        if !self.has_address_of_family && matches!(self.path.reach, Reach::Ok | Reach::Unknown) {
            self.path.reasons.clear();
            self.end(Reach::Dead, Some(Reason::NoAddressOfFamily));
        }
    }

    pub(super) fn hop(&mut self, id: Arc<str>, subnet: Option<Index<Subnet>>) {
        let subnet = subnet.map(|index| &self.network.subnets[index]);
        self.path.hops.push(Hop {
            id: id.clone(),
            subnet: subnet.map(|subnet| subnet.id.clone()),
            availability_zone: subnet.map(|subnet| subnet.availability_zone.clone()),
        });
        self.path.via.push(id);
    }

    pub(super) fn end(&mut self, reach: Reach, reason: Option<Reason>) {
        self.path.reach = reach;
        self.path.reasons.extend(reason);
        if matches!(reach, Reach::Dead) {
            self.path.end = PathEnd::Nowhere;
        }
    }
}

/// Whether a target may forward traffic to a NAT gateway: it may if another route table determines the next
/// hop behind it.
fn may_forward_to_nat(target: &Target) -> bool {
    use RouteTargetKind::{CoreNetwork, Instance, NetworkInterface, TransitGateway};
    match target {
        Target::NatGateway(_)
        | Target::TransitGateway(_)
        | Target::LoadBalancerEndpoint(_)
        | Target::Appliance(_) => true,
        Target::Other(target) => {
            matches!(target.kind, TransitGateway | CoreNetwork | NetworkInterface | Instance)
        }
        Target::Local
        | Target::InternetGateway(_)
        | Target::EgressOnlyInternetGateway(_)
        | Target::GatewayEndpoint(_)
        | Target::Peering(_)
        | Target::VirtualPrivateGateway(_) => false,
    }
}

fn class_of(target: &Target) -> Class {
    match target {
        Target::Local => Class::Local,
        Target::InternetGateway(_) => Class::InternetGateway,
        Target::EgressOnlyInternetGateway(_) => Class::EgressOnlyInternetGateway,
        Target::NatGateway(_) => Class::NatGateway,
        Target::GatewayEndpoint(_) => Class::GatewayEndpoint,
        Target::LoadBalancerEndpoint(_) => Class::GatewayLoadBalancerEndpoint,
        Target::Appliance(_) => Class::NetworkInterface,
        Target::Peering(_) => Class::VpcPeering,
        Target::TransitGateway(_) => Class::TransitGateway,
        Target::VirtualPrivateGateway(_) => Class::VirtualPrivateGateway,
        Target::Other(target) => match target.kind {
            RouteTargetKind::EgressOnlyInternetGateway => Class::EgressOnlyInternetGateway,
            RouteTargetKind::VpcPeeringConnection => Class::VpcPeering,
            RouteTargetKind::TransitGateway => Class::TransitGateway,
            RouteTargetKind::NetworkInterface | RouteTargetKind::Instance => Class::NetworkInterface,
            RouteTargetKind::CarrierGateway => Class::CarrierGateway,
            RouteTargetKind::LocalGateway => Class::LocalGateway,
            RouteTargetKind::CoreNetwork => Class::CoreNetwork,
            _ => Class::Unknown,
        },
    }
}

/// The class of a path to a network interface of an endpoint in the VPC.
fn endpoint_class(kind: EndpointKind) -> Class {
    match kind {
        EndpointKind::Resource => Class::ResourceEndpoint,
        EndpointKind::ServiceNetwork => Class::ServiceNetwork,
        EndpointKind::GatewayLoadBalancer => Class::GatewayLoadBalancerEndpoint,
        EndpointKind::Interface | EndpointKind::Gateway => Class::InterfaceEndpoint,
        // Traffic inside a tunnel is not modelled.
        EndpointKind::Tunnel => Class::Local,
    }
}
