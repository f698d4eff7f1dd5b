//! Where traffic lands, in the words of the configuration and of AWS's published ranges.

use std::sync::Arc;

use crate::resolve::{EgressPath, PathEnd};
use crate::world::{Interface, PlaceKind, World};

/// Where traffic lands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// At the sender's own host, or at a link-local service of its VPC.
    Here,
    /// At an address of a VPC.
    Subnet {
        /// The VPC's id.
        vpc: Arc<str>,
        /// The subnet's id. `None`: no declared subnet has the address.
        subnet: Option<Arc<str>>,
        /// The id of what has the address, where that is declared.
        owner: Option<Arc<str>>,
    },
    /// In a network on premises, by its id.
    Site(Arc<str>),
    /// At an address of AWS.
    Service {
        /// The service as ip-ranges.json has it, such as `S3`; `AMAZON` is none in particular.
        service: Arc<str>,
        /// The region as ip-ranges.json has it.
        region: Option<Arc<str>>,
        /// Whether the traffic stays on AWS's network: it does from a VPC, by whatever gateway, unless one end is in China
        /// (Amazon VPC FAQ, "Does traffic go over the internet when two instances communicate using public IP addresses").
        stays_on_aws_network: bool,
    },
    /// At some other public address.
    Internet,
    /// Nowhere: it is dropped.
    Nowhere,
    /// Nobody can tell from this configuration.
    Unknown,
}

impl Destination {
    /// Where a path of this world ends.
    pub fn of(world: &World, path: &EgressPath) -> Self {
        match path.end {
            PathEnd::Here => Self::Here,
            PathEnd::Vpc(vpc, address) => {
                let place = world.places.find_in_vpc(address, vpc);
                let subnet = place.and_then(|place| match world.places[place].kind {
                    PlaceKind::Subnet(subnet) => Some(world.subnets[subnet].id.clone()),
                    PlaceKind::Site(_) | PlaceKind::Outside => None,
                });
                let vpc = &world.vpcs[vpc];
                let owner = vpc.interfaces.get(&address).and_then(|owner| owner_id(world, *owner));
                Self::Subnet { vpc: vpc.id.clone(), subnet, owner }
            }
            PathEnd::Site(site) => Self::Site(world.sites[site].id.clone()),
            PathEnd::VpcLattice => {
                Self::Service { service: "VPC_LATTICE".into(), region: None, stays_on_aws_network: true }
            }
            PathEnd::Public(address, from) => match world.ranges().owner(address) {
                Some((service, region)) => {
                    let is_in_china = |region: &str| region.starts_with("cn-");
                    let from = from.map(|vpc| world.vpcs[vpc].region.as_str());
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
        Interface::Endpoint(index, _) => Some(world.endpoints[index].id.clone()),
        Interface::Instance(index) => Some(world.instances[index].id.clone()),
        Interface::NatGateway(index) => Some(world.nat_gateways[index].id.clone()),
        Interface::Network(index) => Some(world.network_interfaces[index].id.clone()),
        Interface::ResolverEndpoint => None,
    }
}
