//! What is paid on a way: each thing that charges by the hour or by the gigabyte, wherever it stands on it.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::aws::Region;
use crate::aws::prices::Charge;
use crate::explain::Lands;
use crate::resolve::{Class, EgressPath, End, Reach};
use crate::world::{AttachedTo, EndpointKind, Index, Vantage, Vpc, World};

/// Something that is paid for on a way, in the region whose price it has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cost {
    /// What.
    pub charge: Charge,
    /// Where.
    pub region: Region,
}

impl Ord for Cost {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.charge, self.region.as_str()).cmp(&(other.charge, other.region.as_str()))
    }
}

impl PartialOrd for Cost {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// What charges in a world, by its id.
#[derive(Debug)]
pub struct Tolls<'w> {
    world: &'w World,
    by_id: HashMap<&'w str, Toll<'w>>,
}

/// What charges, with the region that it stands in.
#[derive(Clone, Copy, Debug)]
enum Toll<'w> {
    Nat { region: &'w Region, is_public: bool },
    Endpoint { region: &'w Region, charge: Charge },
    TransitGateway { region: Option<&'w Region> },
}

impl<'w> Tolls<'w> {
    /// All of a world's.
    pub fn of_world(world: &'w World) -> Self {
        let region = |vpc: Index<Vpc>| &world.vpcs[vpc].region;
        let mut by_id = HashMap::new();
        for gateway in world.nat_gateways.iter() {
            by_id.insert(
                &*gateway.id,
                Toll::Nat { region: region(gateway.vpc), is_public: gateway.is_public },
            );
        }
        for endpoint in world.endpoints.iter() {
            let charge = match endpoint.kind {
                EndpointKind::Gateway => Charge::GatewayEndpoint,
                EndpointKind::Interface | EndpointKind::Tunnel => Charge::InterfaceEndpoint,
                EndpointKind::Resource => Charge::ResourceEndpoint,
                EndpointKind::ServiceNetwork => Charge::ServiceNetworkEndpoint,
                EndpointKind::GatewayLoadBalancer => Charge::GatewayLoadBalancerEndpoint,
            };
            by_id.insert(&*endpoint.id, Toll::Endpoint { region: region(endpoint.vpc), charge });
        }
        for gateway in world.transit_gateways.iter() {
            let attached = gateway.attachments.iter().find_map(|attachment| match &attachment.to {
                AttachedTo::Vpc(vpc, _) => Some(region(*vpc)),
                _ => None,
            });
            by_id.insert(&*gateway.id, Toll::TransitGateway { region: attached });
        }
        Self { world, by_id }
    }

    /// The world.
    pub fn world(&self) -> &'w World {
        self.world
    }

    /// What is paid on the way to an address. Nothing where nothing gets through, where only what AWS does not charge for
    /// is passed, and where the way is not AWS's.
    pub fn on(&self, vantage: Vantage, address: IpAddr, path: &EgressPath) -> Vec<Cost> {
        let world = self.world;
        let mut costs: Vec<Cost> = Vec::new();
        if matches!(path.reach, Reach::Dead | Reach::Blocked) {
            return costs;
        }
        let home = world.place_vpc(vantage.place).map(|vpc| &vpc.region);
        let mut add = |charge, region: Option<&Region>| {
            if let Some(region) = region {
                let cost = Cost { charge, region: region.clone() };
                if !costs.contains(&cost) {
                    costs.push(cost);
                }
            }
        };
        let mut zone = world.place_zone(vantage.place);
        for hop in &path.hops {
            match self.by_id.get(&*hop.id) {
                Some(Toll::Nat { region, is_public }) => {
                    add(Charge::NatGateway, Some(region));
                    if *is_public && address.is_ipv4() {
                        add(Charge::PublicIpv4, Some(region));
                    }
                    // Between zones of a region PrivateLink and transit gateways carry for nothing; a NAT gateway does not.
                    if hop
                        .availability_zone
                        .as_ref()
                        .zip(zone.as_ref())
                        .is_some_and(|(there, here)| there != here)
                    {
                        add(Charge::CrossAz, Some(region));
                    }
                    zone.clone_from(&hop.availability_zone);
                }
                Some(Toll::Endpoint { region, charge }) => add(*charge, Some(region)),
                Some(Toll::TransitGateway { region }) => add(Charge::TransitGateway, home.or(*region)),
                None => {}
            }
        }
        let landed = match path.end {
            End::Vpc(vpc, _) => Some(&world.vpcs[vpc].region),
            _ => None,
        };
        match path.class {
            // The client's own address.
            Class::InternetGateway if address.is_ipv4() => add(Charge::PublicIpv4, home),
            // One that is not declared is paid for all the same.
            Class::TransitGateway => add(Charge::TransitGateway, home.or(landed)),
            Class::VirtualPrivateGateway | Class::DirectConnectGateway => {
                add(Charge::PrivateConnection, home.or(landed));
            }
            Class::VpcPeering if self.is_other_zone(vantage, path.end) => add(Charge::CrossAz, home),
            _ => {}
        }
        let lands = Lands::of(world, path);
        let there = match &lands {
            Lands::Service { region: Some(region), .. } => Region::parse(region).ok(),
            _ => landed.cloned(),
        };
        if home.zip(there.as_ref()).is_some_and(|(home, there)| home != there) {
            add(Charge::CrossRegion, home);
        }
        if lands == Lands::Internet {
            add(Charge::InternetOut, home);
        }
        costs.sort_unstable();
        costs
    }

    /// Whether a way ends in another zone of the same region than it begins in.
    fn is_other_zone(&self, vantage: Vantage, end: End) -> bool {
        let End::Vpc(vpc, address) = end else { return false };
        let world = self.world;
        let home = world.place_vpc(vantage.place);
        let same_region = home.is_some_and(|home| world.vpcs[vpc].region == home.region);
        let there = world.places.find_in_vpc(address, vpc).and_then(|place| world.place_zone(place));
        same_region && there.zip(world.place_zone(vantage.place)).is_some_and(|(there, here)| there != here)
    }
}

/// What is paid on a way, as words: `free` where it works and nothing is paid.
pub fn words(costs: &[Cost], path: &EgressPath) -> String {
    let paid: Vec<&str> =
        costs.iter().map(|cost| cost.charge.as_str()).filter(|word| *word != "gateway-endpoint").collect();
    let is_aws = !matches!(path.class, Class::Internet | Class::OnPremises | Class::Unknown);
    match (paid.is_empty(), path.reach) {
        (false, _) => paid.join(" + "),
        (true, Reach::Ok) if is_aws => "free".to_owned(),
        (true, _) => "-".to_owned(),
    }
}
