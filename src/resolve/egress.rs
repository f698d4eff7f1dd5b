//! The way out: from a place to an address, hop by hop to its end.
//!
//! The class is the target of the route that matched, even when it cannot work; reach and reasons say
//! that. What is not modelled is `unknown` with a reason, never a guess. Addresses of the VPC itself, of
//! link-local services and of NAT64 are told apart before any route is looked at.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::path::{Class, EgressPath, Hop, Matched, Reach, Reason};
use crate::aws::{RouteTargetKind, hostname};
use crate::dns::Answer;
use crate::net::{self, is_globally_routed};
use crate::world::{
    Admission, Endpoint, EndpointKind, Index, Interface, Link, LinkClass, Place, PlaceId, Route, Site,
    Standing, Subnet, Target, Vpc, World,
};

/// How many hops are followed. A way with more of them runs in a circle.
pub const MAX_HOPS: usize = 8;

/// The path of each address of an answer, each address once, in the answer's order.
pub fn paths(world: &World, place: PlaceId, answer: &Answer) -> Vec<(IpAddr, EgressPath)> {
    let mut paths: Vec<(IpAddr, EgressPath)> = Vec::new();
    for set in &answer.answer {
        for address in set.addresses(0) {
            if !paths.iter().any(|(have, _)| *have == address) {
                paths.push((address, path(world, place, address)));
            }
        }
    }
    paths
}

/// The way that traffic from a place to an address leaves.
pub fn path(world: &World, place: PlaceId, address: IpAddr) -> EgressPath {
    let here = &world.places[place];
    if net::is_loopback(address) || net::is_link_local_service(address) {
        return EgressPath::of(Class::Local, Reach::Ok);
    }
    if net::is_vpc_lattice(address) {
        return EgressPath::of(Class::VpcLattice, Reach::Unknown).because(Reason::TargetNotModelled);
    }
    match here.standing {
        Standing::Subnet(subnet) => from_subnet(world, here, subnet, address),
        Standing::Site(site) => from_site(world, here, &world.sites[site], address),
        Standing::Outside => uplink(address),
    }
}

/// A place's own uplink to the internet.
fn uplink(address: IpAddr) -> EgressPath {
    if is_globally_routed(address) {
        EgressPath::of(Class::Internet, Reach::Ok)
    } else {
        EgressPath::of(Class::Internet, Reach::Dead).because(Reason::PrivateAddressToInternet)
    }
}

// ---- from a subnet ---------------------------------------------------------------------------------

fn from_subnet(world: &World, here: &Place, subnet: Index<Subnet>, address: IpAddr) -> EgressPath {
    let mut walk = Walk { world, here, path: EgressPath::of(Class::Unknown, Reach::Unknown) };
    walk.leave(subnet, address);
    let mut path = walk.path;
    let is_inside = path.class == Class::Local || path.class.is_endpoint_interface();
    if !is_inside && path.class != Class::GatewayEndpoint {
        let vpc = &world.vpcs[world.subnets[subnet].vpc];
        if let Some(reason) = missed_gateway_endpoint(world, vpc, subnet, address) {
            path = path.because(reason);
        }
    }
    path
}

struct Walk<'w> {
    world: &'w World,
    here: &'w Place,
    path: EgressPath,
}

/// Who sends, at a hop.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sender {
    /// The client, with its own address.
    Client,
    /// A NAT gateway, with its own address; whether that may be a public one.
    Nat { is_public: bool },
}

impl<'w> Walk<'w> {
    /// The first hop: the subnet's own table decides the class.
    fn leave(&mut self, subnet: Index<Subnet>, address: IpAddr) {
        let table = &self.world.route_tables[self.world.subnets[subnet].route_table];
        let Some(route) = self.route(subnet, address) else {
            self.path = EgressPath::of(Class::Unreachable, Reach::Dead).because(Reason::NoRoute);
            return;
        };
        self.path.matched = Some(Matched {
            route_table: table.id.clone(),
            destination: route.destination,
            prefix_list: route.prefix_list.clone(),
            target: self.target_id(&route.target),
        });
        if route.is_blackhole {
            self.path.class = Class::Blackhole;
            self.end(Reach::Dead, Some(Reason::BlackholeRoute));
            return;
        }
        self.path.class = class_of(self.world, &route.target);
        if let Some(embedded) = net::nat64_embedded(address) {
            if let Target::NatGateway(_) = route.target {
                self.take(route, subnet, IpAddr::V4(embedded), Sender::Client, 0);
            } else {
                self.hop(self.target_id(&route.target), None);
                self.end(Reach::Dead, Some(Reason::Nat64PrefixWithoutNat));
            }
            return;
        }
        self.take(route, subnet, address, Sender::Client, 0);
    }

    /// A later hop: the sender's subnet's table decides where it goes on.
    fn go_on(&mut self, subnet: Index<Subnet>, address: IpAddr, sender: Sender, depth: usize) {
        match self.route(subnet, address) {
            Some(route) if route.is_blackhole => self.end(Reach::Dead, Some(Reason::BlackholeRoute)),
            Some(route) if depth < MAX_HOPS => self.take(route, subnet, address, sender, depth),
            _ => self.end(Reach::Dead, Some(Reason::NatSubnetHasNoInternetRoute)),
        }
    }

    /// The route that a subnet's traffic to an address follows. Hosts of one subnet reach each other without
    /// a route table: a route to that subnet is for others.
    fn route(&self, subnet: Index<Subnet>, address: IpAddr) -> Option<&'w Route> {
        let subnet = &self.world.subnets[subnet];
        let table = &self.world.route_tables[subnet.route_table];
        if subnet.cidrs.iter().any(|cidr| cidr.contains(&address)) {
            return table.covering(address).into_iter().find(|route| route.target == Target::Local);
        }
        table.route(address)
    }

    fn take(&mut self, route: &Route, subnet: Index<Subnet>, address: IpAddr, sender: Sender, depth: usize) {
        match &route.target {
            Target::Local => self.arrive(self.world.subnets[subnet].vpc, address, sender),
            Target::InternetGateway(id) => {
                self.hop(id.clone(), None);
                self.through_internet_gateway(subnet, address, sender);
            }
            Target::NatGateway(index) => {
                let nat = &self.world.nat_gateways[*index];
                if self.path.via.contains(&nat.id) {
                    self.end(Reach::Dead, Some(Reason::NatSubnetHasNoInternetRoute));
                    return;
                }
                self.hop(nat.id.clone(), Some(nat.subnet));
                self.go_on(nat.subnet, address, Sender::Nat { is_public: nat.is_public }, depth + 1);
            }
            Target::GatewayEndpoint(index) => {
                self.hop(self.world.endpoints[*index].id.clone(), None);
                self.path.endpoint = Some((*index, None));
                self.end(Reach::Ok, None);
            }
            Target::VirtualPrivateGateway(id) => {
                self.hop(id.clone(), None);
                self.through_private_gateway(self.world.subnets[subnet].vpc, id, address);
            }
            Target::Other(target) => {
                self.hop(target.id.clone(), None);
                if target.kind == RouteTargetKind::EgressOnlyInternetGateway {
                    self.through_internet_gateway(subnet, address, sender);
                } else {
                    self.end(Reach::Unknown, Some(Reason::TargetNotModelled));
                }
            }
        }
    }

    /// Inside the VPC: an endpoint's network interface, or something else.
    fn arrive(&mut self, vpc: Index<Vpc>, address: IpAddr, sender: Sender) {
        let Some(Interface::Endpoint(index, number)) = self.world.vpcs[vpc].interfaces.get(&address).copied()
        else {
            self.end(Reach::Ok, None);
            return;
        };
        let endpoint = &self.world.endpoints[index];
        let interface = &endpoint.interfaces[number];
        if self.path.class == Class::Local {
            self.path.class = class_inside(endpoint.kind);
        }
        self.hop(endpoint.id.clone(), Some(interface.subnet));
        self.path.endpoint = Some((index, Some(number)));
        match sender {
            Sender::Client => {
                let admission = admission(self.world, self.here, endpoint, number, address);
                self.end_by(admission);
            }
            // Behind a NAT gateway the groups see its address, which nobody declared.
            Sender::Nat { .. } if interface.security_groups.is_empty() => self.end(Reach::Ok, None),
            Sender::Nat { .. } => self.end(Reach::Unknown, None),
        }
    }

    fn end_by(&mut self, admission: Admission) {
        match admission {
            Admission::Admitted => self.end(Reach::Ok, None),
            Admission::Unknown => self.end(Reach::Unknown, None),
            Admission::Refused => self.end(Reach::Blocked, Some(Reason::SgDenies443)),
        }
    }

    /// Through an internet gateway, egress-only or not: the source needs a public address, the destination
    /// must have one.
    fn through_internet_gateway(&mut self, subnet: Index<Subnet>, address: IpAddr, sender: Sender) {
        if !is_globally_routed(address) {
            self.end(Reach::Dead, Some(Reason::PrivateAddressToInternet));
            return;
        }
        match sender {
            Sender::Nat { is_public: true } => self.end(Reach::Ok, None),
            Sender::Nat { is_public: false } => self.end(Reach::Dead, Some(Reason::NoPublicAddress)),
            Sender::Client => match self.has_public_address(subnet, address) {
                Some(true) => self.end(Reach::Ok, None),
                Some(false) => self.end(Reach::Dead, Some(Reason::NoPublicAddress)),
                None => self.end(Reach::Unknown, Some(Reason::NoPublicAddress)),
            },
        }
    }

    /// Whether the client has a public address of the destination's family. `None`: nobody said.
    fn has_public_address(&self, subnet: Index<Subnet>, destination: IpAddr) -> Option<bool> {
        let subnet = &self.world.subnets[subnet];
        if destination.is_ipv6() {
            return Some(
                subnet.cidrs.iter().any(|cidr| is_globally_routed(cidr.addr()) && cidr.addr().is_ipv6()),
            );
        }
        match self.here.interface {
            Some(Interface::Instance(index)) => Some(self.world.instances[index].public_address.is_some()),
            Some(Interface::Endpoint(..) | Interface::ResolverEndpoint) => Some(false),
            None => subnet.map_public_ip_on_launch,
        }
    }

    /// Through a virtual private gateway: to the site that is linked there and holds the address.
    fn through_private_gateway(&mut self, vpc: Index<Vpc>, gateway: &str, address: IpAddr) {
        // A Direct Connect gateway stands behind a virtual private gateway of any name.
        let ends_here = |link: &&Link| {
            link.vpc == vpc && (*link.target == *gateway || link.class == LinkClass::DirectConnectGateway)
        };
        let linked = self.world.sites.iter().find_map(|site| {
            let holds = site.cidrs.iter().any(|cidr| cidr.contains(&address));
            site.links.iter().find(ends_here).filter(|_| holds).map(|link| (site, link))
        });
        match linked {
            Some((site, link)) => {
                if link.class == LinkClass::DirectConnectGateway {
                    self.hop(link.target.clone(), None);
                }
                self.hop(site.id.clone(), None);
                self.end(Reach::Ok, None);
            }
            None => self.end(Reach::Unknown, Some(Reason::TargetNotModelled)),
        }
    }

    fn hop(&mut self, id: Arc<str>, subnet: Option<Index<Subnet>>) {
        self.path.via.push(id.clone());
        self.path.hops.push(hop(self.world, id, subnet));
    }

    fn end(&mut self, reach: Reach, reason: Option<Reason>) {
        self.path.reach = reach;
        self.path.reasons.extend(reason);
    }

    fn target_id(&self, target: &Target) -> Arc<str> {
        match target {
            Target::Local => Arc::from("local"),
            Target::InternetGateway(id) | Target::VirtualPrivateGateway(id) => id.clone(),
            Target::NatGateway(index) => self.world.nat_gateways[*index].id.clone(),
            Target::GatewayEndpoint(index) => self.world.endpoints[*index].id.clone(),
            Target::Other(target) => target.id.clone(),
        }
    }
}

fn hop(world: &World, id: Arc<str>, subnet: Option<Index<Subnet>>) -> Hop {
    let subnet = subnet.map(|index| &world.subnets[index]);
    Hop {
        id,
        subnet: subnet.map(|subnet| subnet.id.clone()),
        availability_zone: subnet.map(|subnet| subnet.availability_zone.clone()),
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

fn class_of(world: &World, target: &Target) -> Class {
    match target {
        Target::Local => Class::Local,
        Target::InternetGateway(_) => Class::InternetGateway,
        Target::NatGateway(_) => Class::NatGateway,
        Target::GatewayEndpoint(_) => Class::GatewayEndpoint,
        Target::VirtualPrivateGateway(_) => Class::VirtualPrivateGateway,
        Target::Other(target) => match target.kind {
            RouteTargetKind::EgressOnlyInternetGateway => Class::EgressOnlyInternetGateway,
            RouteTargetKind::VpcPeeringConnection => Class::VpcPeering,
            RouteTargetKind::TransitGateway => Class::TransitGateway,
            RouteTargetKind::NetworkInterface | RouteTargetKind::Instance => Class::NetworkInterface,
            RouteTargetKind::CarrierGateway => Class::CarrierGateway,
            RouteTargetKind::LocalGateway => Class::LocalGateway,
            RouteTargetKind::CoreNetwork => Class::CoreNetwork,
            RouteTargetKind::VpcEndpoint if world.load_balancer_endpoints.contains(&*target.id) => {
                Class::GatewayLoadBalancerEndpoint
            }
            _ => Class::Unknown,
        },
    }
}

/// What the security groups of an endpoint's interface say to a place that sends to one of its addresses.
fn admission(world: &World, here: &Place, endpoint: &Endpoint, number: usize, address: IpAddr) -> Admission {
    let groups = &endpoint.interfaces[number].security_groups;
    if groups.is_empty() {
        return Admission::Admitted;
    }
    let own = match here.interface {
        Some(Interface::Instance(index)) => Some(world.instances[index].security_groups.as_slice()),
        Some(Interface::Endpoint(index, n)) => {
            Some(world.endpoints[index].interfaces[n].security_groups.as_slice())
        }
        Some(Interface::ResolverEndpoint) => None,
        // Traffic from a site is in no group.
        None if matches!(here.standing, Standing::Site(_)) => Some(&[][..]),
        None => None,
    };
    // The client sends from an address of the family it sends to.
    let is_same_family = |prefix: &&IpNet| prefix.addr().is_ipv4() == address.is_ipv4();
    let client: Vec<IpNet> = here.prefixes.iter().filter(is_same_family).copied().collect();
    if client.is_empty() {
        return Admission::Unknown;
    }
    let said = groups.iter().map(|group| world.security_groups[*group].admits(endpoint.port, &client, own));
    said.max().unwrap_or(Admission::Refused)
}

/// What is one change away: a gateway endpoint that holds the address and is not on the way.
fn missed_gateway_endpoint(
    world: &World,
    vpc: &Vpc,
    subnet: Index<Subnet>,
    address: IpAddr,
) -> Option<Reason> {
    let mut gateways = gateway_endpoints(world, vpc);
    let table = &world.route_tables[world.subnets[subnet].route_table];
    if let Some((index, _)) = gateways.find(|(_, endpoint)| endpoint.holds(address)) {
        let associated = table.iter().any(|route| route.target == Target::GatewayEndpoint(index));
        return Some(if associated {
            Reason::EndpointAvailableNotUsed
        } else {
            Reason::EndpointNotAssociatedWithTable
        });
    }
    let (service, region) = world.public.facts.ranges.owner(address)?;
    let same_service = |(_, endpoint): (_, &Endpoint)| hostname::service_label(&endpoint.service) == service;
    let elsewhere = region != vpc.region.as_str() && gateway_endpoints(world, vpc).any(same_service);
    elsewhere.then_some(Reason::CrossRegionNotInPrefixList)
}

fn gateway_endpoints<'w>(
    world: &'w World,
    vpc: &'w Vpc,
) -> impl Iterator<Item = (Index<Endpoint>, &'w Endpoint)> {
    let all = vpc.endpoints.iter().map(|index| (*index, &world.endpoints[*index]));
    all.filter(|(_, endpoint)| endpoint.kind == EndpointKind::Gateway && endpoint.is_available)
}

// ---- from a site -----------------------------------------------------------------------------------

fn from_site(world: &World, here: &Place, site: &Site, address: IpAddr) -> EgressPath {
    if let Some(own) = site.cidrs.iter().find(|cidr| cidr.contains(&address)) {
        let mut path = EgressPath::of(Class::OnPremises, Reach::Ok);
        let target = Arc::from("local");
        path.matched = Some(Matched {
            route_table: Some(site.id.clone()),
            destination: *own,
            prefix_list: None,
            target,
        });
        return path;
    }
    for link in &site.links {
        let vpc = &world.vpcs[link.vpc];
        if let Some(destination) = vpc.cidrs.iter().find(|cidr| cidr.contains(&address)) {
            let class = match link.class {
                LinkClass::VirtualPrivateGateway => Class::VirtualPrivateGateway,
                LinkClass::DirectConnectGateway => Class::DirectConnectGateway,
                LinkClass::TransitGateway => Class::TransitGateway,
            };
            let mut walk = Walk { world, here, path: EgressPath::of(class, Reach::Unknown) };
            walk.path.matched = Some(Matched {
                route_table: Some(site.id.clone()),
                destination: *destination,
                prefix_list: None,
                target: link.target.clone(),
            });
            walk.hop(link.target.clone(), None);
            if link.class == LinkClass::TransitGateway {
                walk.end(Reach::Unknown, Some(Reason::TargetNotModelled));
                return walk.path;
            }
            walk.arrive(link.vpc, address, Sender::Client);
            if !returns(world, link.vpc, &link.target, site, address) {
                walk.path.reach = Reach::Dead;
                walk.path = walk.path.because(Reason::NoReturnRoute);
            }
            return walk.path;
        }
    }
    let path = if site.has_internet {
        uplink(address)
    } else {
        EgressPath::of(Class::Unreachable, Reach::Dead).because(Reason::NoRoute)
    };
    let linked_gateway = site.links.iter().any(|link| {
        gateway_endpoints(world, &world.vpcs[link.vpc]).any(|(_, endpoint)| endpoint.holds(address))
    });
    if linked_gateway { path.because(Reason::GatewayEndpointNotTransitive) } else { path }
}

/// Whether the subnet that holds an address has a route back to the site over the same gateway.
fn returns(world: &World, vpc: Index<Vpc>, gateway: &str, site: &Site, address: IpAddr) -> bool {
    let Some(place) = world.places.find_in_vpc(address, vpc) else { return true };
    let Standing::Subnet(subnet) = world.places[place].standing else { return true };
    let table = &world.route_tables[world.subnets[subnet].route_table];
    // A Direct Connect gateway reaches the VPC through a virtual private gateway of any name.
    let any_gateway = gateway.starts_with("dxgw-");
    let leads_back = |route: &Route| match &route.target {
        Target::VirtualPrivateGateway(id) => !route.is_blackhole && (any_gateway || **id == *gateway),
        _ => false,
    };
    site.cidrs.iter().all(|cidr| table.route(cidr.addr()).is_some_and(leads_back))
}
