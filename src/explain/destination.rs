//! The destination of traffic, according to the configuration and AWS's published IP ranges.

use std::sync::Arc;

use crate::resolve::{EgressPath, PathEnd};
use crate::world::{Interface, PlaceKind, World};

/// The destination of traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The client's own host, or a link-local service of its VPC.
    Here,
    /// An address of a VPC.
    Subnet {
        /// The ID of the VPC.
        vpc: Arc<str>,
        /// The ID of the subnet. `None` if no configured subnet contains the address.
        subnet: Option<Arc<str>>,
        /// The ID of the object that has the address, if configured.
        owner: Option<Arc<str>>,
    },
    /// An on-premises network, by ID.
    Site(Arc<str>),
    /// An address of AWS.
    Service {
        /// The service according to ip-ranges.json, such as `S3`; `AMAZON` if no specific service is listed.
        service: Arc<str>,
        /// The region according to ip-ranges.json.
        region: Option<Arc<str>>,
        /// Whether the traffic stays on AWS's network: it does from a VPC through any gateway, unless one end
        /// is in China (Amazon VPC FAQ, "Does traffic go over the internet when two instances communicate
        /// using public IP addresses").
        stays_on_aws_network: bool,
    },
    /// Any other public address.
    Internet,
    /// Nowhere: traffic is dropped.
    Nowhere,
    /// Unknown: the configuration does not determine it.
    Unknown,
}

impl Destination {
    /// The destination of a path.
    pub fn of(world: &World, path: &EgressPath) -> Self {
        match path.end {
            PathEnd::Here => Self::Here,
            PathEnd::Vpc(vpc, address) => {
                let place = world.network.places.find_in_vpc(address, vpc);
                let subnet = place.and_then(|place| match world.network.places[place].kind {
                    PlaceKind::Subnet(subnet) => Some(world.network.subnets[subnet].id.clone()),
                    PlaceKind::Site(_) | PlaceKind::Outside => None,
                });
                let vpc = &world.network.vpcs[vpc];
                let owner = vpc.interfaces.get(&address).and_then(|owner| owner_id(world, *owner));
                Self::Subnet { vpc: vpc.id.clone(), subnet, owner }
            }
            PathEnd::Site(site) => Self::Site(world.network.sites[site].id.clone()),
            PathEnd::VpcLattice => {
                Self::Service { service: "VPC_LATTICE".into(), region: None, stays_on_aws_network: true }
            }
            PathEnd::Public(address, from) => match world.network.ranges().owner(address) {
                Some((service, region)) => {
                    let is_in_china = |region: &str| region.starts_with("cn-");
                    let from = from.map(|vpc| world.network.vpcs[vpc].region.as_str());
                    let stays = from.is_some_and(|from| !is_in_china(from) && !is_in_china(region));
                    Self::Service {
                        service: service.into(),
                        region: Some(region.into()),
                        stays_on_aws_network: stays,
                    }
                }
                None => Self::Internet,
            },
            PathEnd::Nowhere => Self::Nowhere,
            PathEnd::Unknown => Self::Unknown,
        }
    }
}

fn owner_id(world: &World, owner: Interface) -> Option<Arc<str>> {
    match owner {
        Interface::Endpoint(index, _) => Some(world.network.endpoints[index].id.clone()),
        Interface::Instance(index) => Some(world.network.instances[index].id.clone()),
        Interface::NatGateway(index) => Some(world.network.nat_gateways[index].id.clone()),
        Interface::Network(index) => Some(world.network.network_interfaces[index].id.clone()),
        Interface::ResolverEndpoint => None,
    }
}
