//! The way out: from a place to an address, hop by hop to its end.
//!
//! ```text
//!  place ──► depart ──► route ──► take ─┬─► arrive: inside a VPC (walk.rs)
//!    │                    ▲             ├─► a gateway to the internet, a gateway endpoint: the end (gateways.rs)
//!    │                    └── go on ◄───┼─► NAT gateway, appliance, Gateway Load Balancer endpoint: their own table
//!    └── site: its links                └─► peering, transit gateway, private gateway: transit.rs
//!  then: do replies come back (back.rs), would filters let it through (filter.rs), what is one change away (missed.rs)
//! ```
//!
//! The class is the target of the route that matched, even when it cannot work; reach and reasons say
//! that. What is not modelled is `unknown` with a reason, never a guess. Addresses of the VPC itself, of
//! link-local services and of NAT64 are told apart before any route is looked at.

mod back;
mod filter;
mod gateways;
mod missed;
mod sender;
mod transit;
mod walk;

use std::net::IpAddr;
use std::sync::Arc;

use super::outcome::AddressPath;
use super::path::{Class, EgressPath, End, Reach, Reason};
use crate::dns::Answer;
use crate::net::{self, is_globally_routed};
use crate::world::{PlaceId, Standing, World};

pub use filter::HTTPS;
pub use missed::gateways_of_ipv4_alone;
use walk::Walk;

/// How many tables are looked at, as many as the hops that a packet commonly lives for (TTL 64). A circle is known
/// before, by a table that is met again.
pub const MAX_HOPS: usize = 64;

/// The path of each address of an answer, each address once, in the answer's order.
pub fn paths(world: &World, place: PlaceId, answer: &Answer) -> Vec<AddressPath> {
    let mut paths: Vec<AddressPath> = Vec::new();
    for set in &answer.answer {
        for address in set.addresses(0) {
            if !paths.iter().any(|have| have.address == address) {
                paths.push(AddressPath { address, path: Arc::new(path(world, place, address)) });
            }
        }
    }
    paths
}

/// The way that traffic from a place to an address leaves.
pub fn path(world: &World, place: PlaceId, address: IpAddr) -> EgressPath {
    let here = &world.places[place];
    if net::is_loopback(address) || net::is_link_local_service(address) {
        return EgressPath { end: End::Here, ..EgressPath::of(Class::Local, Reach::Ok) };
    }
    if net::is_vpc_lattice(address) {
        return to_lattice(world, here.standing);
    }
    match here.standing {
        Standing::Subnet(subnet) => {
            let mut walk = Walk::of_client(world, here, address);
            walk.depart(subnet);
            let path = walk.finish();
            let is_served = matches!(path.class, Class::Local | Class::GatewayEndpoint);
            if is_served || path.class.is_endpoint_interface() {
                return path;
            }
            match missed::gateway_endpoint(world, here, subnet, address, &path) {
                Some(reason) => path.because(reason),
                None => path,
            }
        }
        Standing::Site(site) => {
            let mut walk = Walk::of_client(world, here, address);
            if walk.leave_site(site) {
                return walk.finish();
            }
            let own = &world.sites[site];
            let path = if own.has_internet {
                uplink(address)
            } else {
                EgressPath::of(Class::Unreachable, Reach::Dead).because(Reason::NoRoute)
            };
            match own.gateway_prefixes.iter().any(|prefix| prefix.contains(&address)) {
                true => path.because(Reason::GatewayEndpointNotTransitive),
                false => path,
            }
        }
        Standing::Outside => uplink(address),
    }
}

/// VPC Lattice's addresses mean something in VPCs alone that are associated with a service network; no route table has a
/// say ("Managing DNS resolution with Amazon VPC Lattice and VPC resources").
fn to_lattice(world: &World, standing: Standing) -> EgressPath {
    let vpc = match standing {
        Standing::Subnet(subnet) => Some(world.subnets[subnet].vpc),
        Standing::Site(_) | Standing::Outside => None,
    };
    if vpc.is_some_and(|vpc| world.vpcs[vpc].has_service_network) {
        return EgressPath { end: End::VpcLattice, ..EgressPath::of(Class::VpcLattice, Reach::Ok) };
    }
    EgressPath::of(Class::Unreachable, Reach::Dead).because(Reason::VpcNotAssociatedWithServiceNetwork)
}

/// A place's own uplink to the internet.
fn uplink(address: IpAddr) -> EgressPath {
    if is_globally_routed(address) {
        EgressPath { end: End::Public(address, None), ..EgressPath::of(Class::Internet, Reach::Ok) }
    } else {
        EgressPath::of(Class::Internet, Reach::Dead).because(Reason::PrivateAddressToInternet)
    }
}
