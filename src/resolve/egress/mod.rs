//! Egress paths: from a location to an address, hop by hop.
//!
//! ```text
//!  location ──► depart ──► route ──► target ─┬─► arrive: inside a VPC (walk.rs)
//!    │                       ▲               ├─► internet gateway, gateway endpoint: end of the path (gateways.rs)
//!    │                       └── continue ◄──┼─► NAT gateway, appliance, GWLB endpoint: their own route table
//!    └── site: its links                     └─► peering, transit gateway, private gateway: transit.rs
//!  then: return path (return_path.rs), filters (filter.rs), unused gateway endpoints (unused_gateway_endpoint.rs)
//! ```
//!
//! The class is determined by the target of the matched route, even if the path does not work; reach and
//! reasons describe that. Anything that is not modelled results in `unknown` with a reason. Addresses of the
//! VPC itself, of link-local services and of NAT64 are recognised before routes are evaluated.

mod filter;
mod gateways;
mod return_path;
mod sender;
mod transit;
mod unused_gateway_endpoint;
mod walk;

use std::net::IpAddr;
use std::sync::Arc;

use super::outcome::AddressPath;
use super::path::{Class, EgressPath, PathEnd, Reach, Reason};
use crate::dns::Answer;
use crate::net::{self, is_globally_routed};
use crate::world::{Network, PlaceId, PlaceKind};

pub use filter::HTTPS;
pub use unused_gateway_endpoint::ipv4_only_gateway_endpoints;
use walk::Walk;

/// Maximum number of route tables on a path, equal to the usual initial TTL of an IP packet. Loops are
/// detected earlier, when the same route table is visited again.
pub const MAX_HOPS: usize = 64;

/// The path of each distinct address of an answer, in the order of the answer.
pub fn paths(network: &Network, place: PlaceId, answer: &Answer) -> Vec<AddressPath> {
    let mut paths: Vec<AddressPath> = Vec::new();
    for set in &answer.answer {
        for address in set.addresses(0) {
            if !paths.iter().any(|known| known.address == address) {
                paths.push(AddressPath { address, path: Arc::new(path(network, place, address)) });
            }
        }
    }
    paths
}

/// The egress path from a location to an address.
pub fn path(network: &Network, place: PlaceId, address: IpAddr) -> EgressPath {
    let here = &network.places[place];
    if net::is_loopback(address) || net::is_link_local_service(address) {
        return EgressPath { end: PathEnd::Here, ..EgressPath::new(Class::Local, Reach::Ok) };
    }
    if net::is_vpc_lattice(address) {
        return path_to_vpc_lattice(network, here.kind);
    }
    match here.kind {
        PlaceKind::Subnet(subnet) => {
            let mut walk = Walk::of_client(network, here, address);
            walk.depart(subnet);
            let path = walk.finish();
            let is_local_or_gateway_endpoint = matches!(path.class, Class::Local | Class::GatewayEndpoint);
            if is_local_or_gateway_endpoint || path.class.is_endpoint_interface() {
                return path;
            }
            match unused_gateway_endpoint::gateway_endpoint(network, here, subnet, address, &path) {
                Some(reason) => path.with_reason(reason),
                None => path,
            }
        }
        PlaceKind::Site(site) => {
            let mut walk = Walk::of_client(network, here, address);
            if walk.leave_site(site) {
                return walk.finish();
            }
            let own = &network.sites[site];
            let path = if own.has_internet {
                uplink(address)
            } else {
                EgressPath::new(Class::Unreachable, Reach::Dead).with_reason(Reason::NoRoute)
            };
            match own.gateway_prefixes.iter().any(|prefix| prefix.contains(&address)) {
                true => path.with_reason(Reason::GatewayEndpointNotTransitive),
                false => path,
            }
        }
        PlaceKind::Outside => uplink(address),
    }
}

/// Addresses of VPC Lattice are valid only in VPCs that are associated with a service network; route tables
/// do not apply to them ("Managing DNS resolution with Amazon VPC Lattice and VPC resources").
fn path_to_vpc_lattice(network: &Network, kind: PlaceKind) -> EgressPath {
    let vpc = match kind {
        PlaceKind::Subnet(subnet) => Some(network.subnets[subnet].vpc),
        PlaceKind::Site(_) | PlaceKind::Outside => None,
    };
    if vpc.is_some_and(|vpc| network.vpcs[vpc].has_service_network) {
        return EgressPath { end: PathEnd::VpcLattice, ..EgressPath::new(Class::VpcLattice, Reach::Ok) };
    }
    EgressPath::new(Class::Unreachable, Reach::Dead).with_reason(Reason::VpcNotAssociatedWithServiceNetwork)
}

/// The path through a location's own internet uplink.
fn uplink(address: IpAddr) -> EgressPath {
    if is_globally_routed(address) {
        EgressPath { end: PathEnd::Public(address, None), ..EgressPath::new(Class::Internet, Reach::Ok) }
    } else {
        EgressPath::new(Class::Internet, Reach::Dead).with_reason(Reason::PrivateAddressToInternet)
    }
}
