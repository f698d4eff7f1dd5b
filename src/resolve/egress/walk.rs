//! One packet on its way: from table to table, until it lands or nothing carries it on.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::MAX_HOPS;
use super::filter::Crossing;
use super::sender::{Home, Sender, SentBy, Source};
use crate::aws::RouteTargetKind;
use crate::net;
use crate::resolve::path::{Class, EgressPath, End, Hop, Later, LaterTable, Lost, Matched, Reach, Reason};
use crate::world::{
    Admission, Endpoint, EndpointKind, Index, Interface, Place, Route, RouteTable, SecurityGroup, Standing,
    Subnet, Target, Vpc, World,
};

/// A packet on its way, and the way so far.
pub(super) struct Walk<'w> {
    pub world: &'w World,
    pub path: EgressPath,
    pub sender: Sender<'w>,
    /// The address that the client sends to.
    pub asked: IpAddr,
    /// The client's security groups. `None`: nobody said.
    pub client_groups: Option<&'w [Index<SecurityGroup>]>,
    /// Whether a rule that names a group may mean an interface at the far end. It does not once something on the way has
    /// taken the traffic and sent it on, for then only the address counts ("Security group rules", VPC User Guide).
    pub groups_count: Admission,
    /// Whether it came into a VPC by a transit gateway: rules of what goes out cannot name groups then, nor can those of
    /// endpoints ("Security group referencing", Amazon VPC Transit Gateways).
    pub came_by_transit_gateway: bool,
    /// Whether the client has an address of the destination's family, without which it sends nothing.
    has_family: bool,
    /// Where it goes: the address, or the IPv4 address in it once a NAT gateway has translated it.
    pub to: IpAddr,
    /// The Gateway Load Balancer endpoints that this sender's traffic passes.
    pub inspected: Vec<Index<Endpoint>>,
    /// The subnets by which it enters VPCs whose attachments keep a flow to one interface: a reply enters there, too.
    pub kept_entries: Vec<(Index<Vpc>, Index<Subnet>)>,
    /// Whether replies to it do not pass the same endpoints.
    pub is_asymmetric: bool,
    /// Whether it came into a VPC by a gateway whose own route table nobody said.
    pub came_by_edge: bool,
    /// The subnets whose borders it crosses.
    pub crossings: Vec<Crossing<'w>>,
    /// The tables that were looked at. The same look twice is a circle.
    visited: Vec<Step>,
    /// The table that was looked at last, and what matched there.
    pub last: Option<Lost>,
    /// The VPC that it is in, and the subnet whose table it followed last.
    pub at: Option<(Index<Vpc>, Option<Index<Subnet>>)>,
    /// The subnet that it left first.
    pub home_subnet: Option<Index<Subnet>>,
    /// Whether it came into that VPC from outside: gateways carry nothing on that is not the VPC's own.
    pub is_passing: bool,
    /// Whether this is a reply that is looked for: then nobody asks whether replies to it come back.
    pub is_reply: bool,
}

/// A look at a table: from which subnet, for which address, for whom.
type Step = (Index<RouteTable>, Option<Index<Subnet>>, IpAddr, SentBy);

impl<'w> Walk<'w> {
    /// A client's packet to an address, still at home.
    pub fn of_client(world: &'w World, here: &'w Place, to: IpAddr) -> Self {
        let groups = match here.interface {
            Some(Interface::Instance(index)) => Some(world.instances[index].security_groups.as_slice()),
            Some(Interface::Network(index)) => {
                Some(world.network_interfaces[index].security_groups.as_slice()).filter(|own| !own.is_empty())
            }
            Some(Interface::Endpoint(index, n)) => {
                let own = world.endpoints[index].interfaces[n].security_groups.as_slice();
                Some(own).filter(|own| !own.is_empty())
            }
            Some(Interface::ResolverEndpoint) => None,
            Some(Interface::NatGateway(_)) => Some(&[][..]),
            // Traffic from a site is in no group.
            None if matches!(here.standing, Standing::Site(_)) => Some(&[][..]),
            None => None,
        };
        let home = match here.standing {
            Standing::Subnet(subnet) => Home::Vpc(world.subnets[subnet].vpc),
            Standing::Site(site) => Home::Site(site),
            // Who stands outside goes by an uplink and never walks.
            Standing::Outside => Home::Vpc(world.vpcs.next_index()),
        };
        let source = Source {
            prefixes: match here.beside.is_empty() {
                true => Cow::Borrowed(&here.prefixes),
                false => here.prefixes.iter().chain(&here.beside).copied().collect(),
            },
            samples: Cow::Borrowed(&here.samples),
            is_rest: true,
        };
        let is_of_family = |prefix: &IpNet| prefix.addr().is_ipv4() == to.is_ipv4();
        let has_family = match here.standing {
            // Each prefix of a site is a place, and its hosts may have addresses of several.
            Standing::Site(site) => world.sites[site].cidrs.iter().any(is_of_family),
            Standing::Subnet(_) | Standing::Outside => here.has_family_of(to),
        };
        let sender = Sender { by: SentBy::Client, source, home };
        Self { client_groups: groups, has_family, ..Self::new(world, sender, to, false) }
    }

    pub fn new(world: &'w World, sender: Sender<'w>, to: IpAddr, is_reply: bool) -> Self {
        Self {
            world,
            path: EgressPath::of(Class::Unknown, Reach::Unknown),
            asked: to,
            client_groups: None,
            groups_count: Admission::Admitted,
            came_by_transit_gateway: false,
            has_family: true,
            sender,
            to,
            inspected: Vec::new(),
            kept_entries: Vec::new(),
            is_asymmetric: false,
            came_by_edge: false,
            crossings: Vec::new(),
            visited: Vec::new(),
            last: None,
            at: None,
            home_subnet: None,
            is_passing: false,
            is_reply,
        }
    }

    /// The first hop: the subnet's own table decides the class.
    pub fn depart(&mut self, subnet: Index<Subnet>) {
        let own = &self.world.subnets[subnet];
        self.at = Some((own.vpc, Some(subnet)));
        self.home_subnet = Some(subnet);
        let Some(route) = self.route(own.route_table, Some(subnet)) else {
            self.path = EgressPath::of(Class::Unreachable, Reach::Dead);
            self.end_without_route(LaterTable::Vpc(own.route_table), Reason::NoRoute);
            return;
        };
        self.visited.push((own.route_table, Some(subnet), self.to, self.sender.by));
        self.path.matched = Some(Matched {
            route_table: self.world.route_tables[own.route_table].id.clone(),
            destination: route.destination,
            prefix_list: route.prefix_list.clone(),
            target: self.world.target_id(&route.target),
        });
        if route.is_blackhole {
            self.path.class = Class::Blackhole;
            self.end(Reach::Dead, Some(Reason::BlackholeRoute));
            return;
        }
        self.path.class = class_of(&route.target);
        self.leave_for(subnet, route);
        self.take(route);
    }

    /// A later hop: the table where the packet is now decides where it goes on.
    pub fn go_on(&mut self, table: Index<RouteTable>, subnet: Option<Index<Subnet>>, none: Reason) {
        let step = (table, subnet, self.to, self.sender.by);
        if self.visited.contains(&step) || self.visited.len() >= MAX_HOPS {
            self.end(Reach::Dead, Some(Reason::RoutingLoop));
            return;
        }
        self.visited.push(step);
        self.at = self.at.map(|(vpc, _)| (vpc, subnet));
        match self.route(table, subnet) {
            None => self.end_without_route(LaterTable::Vpc(table), none),
            Some(route) if route.is_blackhole => {
                self.follow(LaterTable::Vpc(table), route.destination);
                self.end(Reach::Dead, Some(Reason::BlackholeRoute));
            }
            Some(route) => {
                self.follow(LaterTable::Vpc(table), route.destination);
                if let Some(subnet) = subnet {
                    self.leave_for(subnet, route);
                }
                self.take(route);
            }
        }
    }

    /// Notes a route that was followed after the first.
    pub fn follow(&mut self, table: LaterTable, destination: IpNet) {
        self.last = Some(Lost { table, destination: Some(destination), reason: None });
        self.path.later.push(Later { after: self.path.hops.len(), table, destination });
    }

    /// Ends a way at a table that has no route for it.
    pub fn end_without_route(&mut self, table: LaterTable, reason: Reason) {
        self.last = Some(Lost { table, destination: None, reason: Some(reason) });
        self.path.lost = self.last;
        self.end(Reach::Dead, Some(reason));
    }

    /// The route that traffic in a subnet follows. Hosts of one subnet reach each other without a route table: a
    /// route to that subnet is for others.
    fn route(&self, table: Index<RouteTable>, subnet: Option<Index<Subnet>>) -> Option<&'w Route> {
        let table = &self.world.route_tables[table];
        let route = table.route(self.to)?;
        if route.target != Target::Local && subnet.is_some_and(|subnet| self.is_in(subnet)) {
            return table.covering(self.to).into_iter().find(|route| route.target == Target::Local);
        }
        Some(route)
    }

    /// Whether the packet goes to an address of a subnet.
    pub fn is_in(&self, subnet: Index<Subnet>) -> bool {
        self.world.subnets[subnet].cidrs.iter().any(|cidr| cidr.contains(&self.to))
    }

    fn take(&mut self, route: &'w Route) {
        let Some((vpc, subnet)) = self.at else { return };
        if net::nat64_embedded(self.to).is_some() && !may_lead_to_nat(&route.target) {
            self.hop(self.world.target_id(&route.target), None);
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

    /// Inside a VPC that has the address: an endpoint's network interface, or something else.
    pub fn arrive(&mut self, vpc: Index<Vpc>) {
        let subnet = self.subnet_in(vpc);
        if let Some(subnet) = subnet.filter(|subnet| self.at != Some((vpc, Some(*subnet)))) {
            self.enter(subnet);
        }
        self.at = Some((vpc, subnet));
        let owner = self.world.vpcs[vpc].interfaces.get(&self.to).copied();
        self.path.end = End::Vpc(vpc, self.to);
        if let Some(Interface::Endpoint(index, number)) = owner {
            let endpoint = &self.world.endpoints[index];
            if self.path.class == Class::Local {
                self.path.class = class_inside(endpoint.kind);
            }
            self.hop(endpoint.id.clone(), Some(endpoint.interfaces[number].subnet));
            self.path.endpoint = Some((index, Some(number)));
            if !endpoint.is_available {
                self.end(Reach::Dead, Some(Reason::EndpointNotAvailable));
                return;
            }
        }
        let table = subnet.map(|subnet| self.world.subnets[subnet].route_table);
        self.end(Reach::Ok, None);
        self.need_way_back(vpc, subnet, table);
    }

    /// The subnet of a VPC that the packet goes to. It is not looked for where nobody asks for it: at home, where `local`
    /// alone leads back and no subnet has a network ACL.
    fn subnet_in(&self, vpc: Index<Vpc>) -> Option<Index<Subnet>> {
        if let Some((at, Some(subnet))) = self.at
            && at == vpc
            && self.is_in(subnet)
        {
            return Some(subnet);
        }
        if self.is_simply_home(vpc) && self.world.network_acls.is_empty() {
            return None;
        }
        let place = self.world.places.find_in_vpc(self.to, vpc)?;
        match self.world.places[place].standing {
            Standing::Subnet(subnet) => Some(subnet),
            Standing::Site(_) | Standing::Outside => None,
        }
    }

    /// Notes that the packet leaves a subnet, unless the address or what the route leads to stands in that very subnet.
    fn leave_for(&mut self, subnet: Index<Subnet>, route: &Route) {
        let next = match &route.target {
            Target::NatGateway(index) => self.world.nat_gateways[*index].subnet,
            Target::LoadBalancerEndpoint(index) => {
                self.world.endpoints[*index].interfaces.first().map(|interface| interface.subnet)
            }
            Target::Appliance(appliance) => Some(appliance.subnet),
            _ => None,
        };
        if next != Some(subnet) && !self.is_in(subnet) {
            self.cross(subnet, true);
        }
    }

    /// Notes that the packet crosses the border of a subnet inwards, unless it is in that very subnet.
    pub fn enter(&mut self, subnet: Index<Subnet>) {
        if self.at.is_none_or(|(_, at)| at != Some(subnet)) {
            self.cross(subnet, false);
        }
    }

    /// Notes that the packet crosses the border of a subnet, where a network ACL stands.
    fn cross(&mut self, subnet: Index<Subnet>, is_out: bool) {
        if self.world.subnets[subnet].network_acl.is_some() {
            let from = self.sender.source.clone();
            self.crossings.push(Crossing { subnet, is_out, from, to: self.to });
        }
    }

    /// Ends a way that nothing sets out on, however good it is.
    pub fn end_without_sender(&mut self) {
        if !self.has_family && matches!(self.path.reach, Reach::Ok | Reach::Unknown) {
            self.path.reasons.clear();
            self.end(Reach::Dead, Some(Reason::NoAddressOfFamily));
        }
    }

    pub fn hop(&mut self, id: Arc<str>, subnet: Option<Index<Subnet>>) {
        let subnet = subnet.map(|index| &self.world.subnets[index]);
        self.path.hops.push(Hop {
            id: id.clone(),
            subnet: subnet.map(|subnet| subnet.id.clone()),
            availability_zone: subnet.map(|subnet| subnet.availability_zone.clone()),
        });
        self.path.via.push(id);
    }

    pub fn end(&mut self, reach: Reach, reason: Option<Reason>) {
        self.path.reach = reach;
        self.path.reasons.extend(reason);
        if matches!(reach, Reach::Dead) {
            self.path.end = End::Nowhere;
        }
    }
}

/// Whether a NAT gateway may stand behind a target: what carries traffic on to another table may lead to one.
fn may_lead_to_nat(target: &Target) -> bool {
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

/// The class of the way to a network interface of an endpoint inside the VPC.
fn class_inside(kind: EndpointKind) -> Class {
    match kind {
        EndpointKind::Resource => Class::ResourceEndpoint,
        EndpointKind::ServiceNetwork => Class::ServiceNetwork,
        EndpointKind::GatewayLoadBalancer => Class::GatewayLoadBalancerEndpoint,
        EndpointKind::Interface | EndpointKind::Gateway => Class::InterfaceEndpoint,
        // What goes on inside a tunnel is not seen.
        EndpointKind::Tunnel => Class::Local,
    }
}
