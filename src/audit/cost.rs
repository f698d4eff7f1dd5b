//! Charges on a path: every object that is charged per hour or per gigabyte.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::aws::Region;
use crate::aws::prices::Charge;
use crate::explain::Destination;
use crate::resolve::{Class, EgressPath, Hop, PathEnd, Reach};
use crate::world::{AttachedTo, EndpointKind, Index, PlaceKind, Subnet, Vantage, Vpc, World};

/// A charge on a path, in the region that determines its price.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cost {
    /// The charge.
    pub charge: Charge,
    /// The region.
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

/// The billable objects of a world, by ID.
#[derive(Debug)]
pub struct BillableHops<'w> {
    world: &'w World,
    by_id: HashMap<&'w str, BillableHop<'w>>,
}

/// A billable object, with its region.
#[derive(Clone, Copy, Debug)]
enum BillableHop<'w> {
    Nat {
        region: &'w Region,
        is_public: bool,
    },
    Endpoint {
        region: &'w Region,
        charge: Charge,
    },
    TransitGateway {
        region: Option<&'w Region>,
    },
    /// Not billable itself, but its public address and its location are.
    Appliance {
        region: &'w Region,
        is_public: bool,
    },
}

impl<'w> BillableHops<'w> {
    /// All billable objects of a world.
    pub fn of_world(world: &'w World) -> Self {
        let region = |vpc: Index<Vpc>| &world.network.vpcs[vpc].region;
        let mut by_id = HashMap::new();
        for gateway in world.network.nat_gateways.iter() {
            by_id.insert(
                &*gateway.id,
                BillableHop::Nat { region: region(gateway.vpc), is_public: gateway.is_public },
            );
        }
        for endpoint in world.network.endpoints.iter() {
            let charge = match endpoint.kind {
                EndpointKind::Gateway => Charge::GatewayEndpoint,
                EndpointKind::Interface | EndpointKind::Tunnel => Charge::InterfaceEndpoint,
                EndpointKind::Resource => Charge::ResourceEndpoint,
                EndpointKind::ServiceNetwork => Charge::ServiceNetworkEndpoint,
                EndpointKind::GatewayLoadBalancer => Charge::GatewayLoadBalancerEndpoint,
            };
            by_id.insert(&*endpoint.id, BillableHop::Endpoint { region: region(endpoint.vpc), charge });
        }
        for gateway in world.network.transit_gateways.iter() {
            let attached = gateway.attachments.iter().find_map(|attachment| match &attachment.to {
                AttachedTo::Vpc(vpc, _) => Some(region(*vpc)),
                _ => None,
            });
            by_id.insert(&*gateway.id, BillableHop::TransitGateway { region: attached });
        }
        let in_subnet = |subnet: Index<Subnet>| region(world.network.subnets[subnet].vpc);
        for interface in world.network.network_interfaces.iter() {
            let (region, is_public) = (in_subnet(interface.subnet), interface.is_public);
            by_id.insert(&*interface.id, BillableHop::Appliance { region, is_public });
        }
        for instance in world.network.instances.iter() {
            let (region, is_public) = (in_subnet(instance.subnet), instance.public_address.is_some());
            by_id.insert(&*instance.id, BillableHop::Appliance { region, is_public });
        }
        Self { world, by_id }
    }

    /// The world.
    pub fn world(&self) -> &'w World {
        self.world
    }

    /// The charges on the path to an address. None if traffic does not arrive, if everything on the path is
    /// free of charge, or if the path does not involve AWS.
    pub fn on(&self, vantage: Vantage, address: IpAddr, path: &EgressPath) -> Vec<Cost> {
        let world = self.world;
        let mut costs: Vec<Cost> = Vec::new();
        if matches!(path.reach, Reach::Dead | Reach::Blocked) {
            return costs;
        }
        let home = world.network.place_vpc(vantage.place).map(|vpc| &vpc.region);
        let mut add = |charge, region: Option<&Region>| {
            if let Some(region) = region {
                let cost = Cost { charge, region: region.clone() };
                if !costs.contains(&cost) {
                    costs.push(cost);
                }
            }
        };
        let landed = match path.end {
            PathEnd::Vpc(vpc, _) => Some(&world.network.vpcs[vpc].region),
            _ => None,
        };
        let mut passed = PassedHop { zone: world.network.place_zone(vantage.place), ..PassedHop::default() };
        for hop in &path.hops {
            match self.by_id.get(&*hop.id) {
                Some(BillableHop::Nat { region, is_public }) => {
                    add(Charge::NatGateway, Some(region));
                    if *is_public {
                        add(Charge::PublicIpv4, Some(region));
                    }
                    if passed.changes_zone(hop) {
                        add(Charge::CrossAz, Some(region));
                    }
                    passed.appliance = None;
                }
                Some(BillableHop::Appliance { region, is_public }) => {
                    if passed.changes_zone(hop) {
                        add(Charge::CrossAz, Some(region));
                    }
                    passed.appliance = is_public.then_some(region);
                }
                Some(BillableHop::Endpoint { region, charge }) => add(*charge, Some(region)),
                Some(BillableHop::TransitGateway { region }) => {
                    passed.transit_gateway = true;
                    add(Charge::TransitGateway, home.or(*region));
                }
                None => {}
            }
        }
        match path.class {
            // The client's own address.
            Class::InternetGateway if address.is_ipv4() => add(Charge::PublicIpv4, home),
            // A transit gateway that is not configured is charged for as well.
            Class::TransitGateway => add(Charge::TransitGateway, home.or(landed)),
            _ => {}
        }
        if matches!(path.end, PathEnd::Public(_, Some(_))) && address.is_ipv4() {
            add(Charge::PublicIpv4, passed.appliance);
        }
        if self.is_by_private_connection(vantage, path) {
            add(Charge::PrivateConnection, home.or(landed));
        }
        if self.crosses_zones_at_its_end(vantage, path, &passed) {
            add(Charge::CrossAz, home);
        }
        if let Some(charge) = self.of_distance(home, landed, path) {
            add(charge, home);
        }
        costs.sort_unstable();
        costs
    }

    /// Whether a VPN connection or Direct Connect carries the traffic: from or to a site, or through a site
    /// to its uplink.
    fn is_by_private_connection(&self, vantage: Vantage, path: &EgressPath) -> bool {
        let is_from_site = matches!(self.world.network.places[vantage.place].kind, PlaceKind::Site(_));
        let is_by_site = is_from_site || matches!(path.end, PathEnd::Site(_) | PathEnd::Public(_, None));
        match path.class {
            Class::VirtualPrivateGateway | Class::DirectConnectGateway => true,
            Class::OnPremises | Class::Internet | Class::Local => false,
            _ => is_by_site,
        }
    }

    /// Whether the last hop of a path is in another Availability Zone of its region and is charged:
    /// PrivateLink and transit gateways do not charge for that.
    fn crosses_zones_at_its_end(&self, vantage: Vantage, path: &EgressPath, passed: &PassedHop<'_>) -> bool {
        let PathEnd::Vpc(vpc, address) = path.end else { return false };
        let is_carried = path.endpoint.is_some() && path.class != Class::VpcPeering;
        if is_carried || passed.transit_gateway {
            return false;
        }
        let world = self.world;
        let home = world.network.place_vpc(vantage.place);
        let same_region = home.is_some_and(|home| world.network.vpcs[vpc].region == home.region);
        let there =
            world.network.places.find_in_vpc(address, vpc).and_then(|place| world.network.place_zone(place));
        same_region && there.zip(passed.zone.as_ref()).is_some_and(|(there, here)| there != *here)
    }

    /// The charge for leaving a region: to another region, or to the internet, which is also the path to
    /// regions in China. Traffic through a site's own uplink is not charged by AWS.
    fn of_distance(
        &self,
        home: Option<&Region>,
        landed: Option<&Region>,
        path: &EgressPath,
    ) -> Option<Charge> {
        let home = home?;
        let is_far = |there: &Region| (there != home).then_some(Charge::CrossRegion);
        match Destination::of(self.world, path) {
            _ if matches!(path.end, PathEnd::Public(_, None)) => None,
            Destination::Internet => Some(Charge::InternetOut),
            Destination::Service { region: Some(region), stays_on_aws_network, .. } => {
                let charge = is_far(&Region::parse(&region).ok()?)?;
                Some(if stays_on_aws_network { charge } else { Charge::InternetOut })
            }
            _ => is_far(landed?),
        }
    }
}

/// The part of a path that determines the cost of its next hop.
#[derive(Default)]
struct PassedHop<'w> {
    /// The current Availability Zone.
    zone: Option<Arc<str>>,
    /// The region of the last appliance that sends from a public address of its own.
    appliance: Option<&'w Region>,
    /// Whether a transit gateway carried the traffic.
    transit_gateway: bool,
}

impl PassedHop<'_> {
    /// Advances to a hop. Returns whether that is in another Availability Zone.
    fn changes_zone(&mut self, hop: &Hop) -> bool {
        let is_other =
            hop.availability_zone.as_ref().zip(self.zone.as_ref()).is_some_and(|(there, here)| there != here);
        self.zone.clone_from(&hop.availability_zone);
        is_other
    }
}

/// The charges on a path as text: `free` if traffic arrives and nothing is charged.
pub(crate) fn describe(costs: &[Cost], path: &EgressPath) -> String {
    let paid: Vec<&str> = costs
        .iter()
        .map(|cost| cost.charge.as_str())
        .filter(|keyword| *keyword != "gateway-endpoint")
        .collect();
    let is_aws = !matches!(path.class, Class::Internet | Class::OnPremises | Class::Unknown);
    match (paid.is_empty(), path.reach) {
        (false, _) => paid.join(" + "),
        (true, Reach::Ok) if is_aws => "free".to_owned(),
        (true, _) => "-".to_owned(),
    }
}
