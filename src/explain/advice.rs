//! What could be changed, for each reason.

use std::net::IpAddr;

use super::{SuggestionKind, Destination, Suggestion, path_notes};
use crate::net::nat64_embedded;
use crate::resolve::egress::{HTTPS, gateways_of_ipv4_alone};
use crate::resolve::{Class, Direction, EgressPath, FilterId, Outcome, Reason};
use crate::world::{AccessDecision, Endpoint, EndpointKind, Peer, PlaceKind, Vantage, World};

/// One sentence for each reason of an outcome, each once.
pub fn of(world: &World, vantage: Vantage, outcome: &Outcome, missed: &[Suggestion]) -> Vec<String> {
    let mut all = Vec::new();
    let of_paths = outcome
        .paths
        .iter()
        .flat_map(|one| one.path.reasons.iter().map(|r| (*r, Some((one.address, &*one.path)))));
    for (reason, way) in outcome.reasons.iter().map(|r| (*r, None)).chain(of_paths) {
        let sentence = sentence(world, vantage, reason, way);
        if !all.contains(&sentence) {
            all.push(sentence);
        }
    }
    all.extend(missed.iter().map(|missed| of_missed(world, outcome, missed)));
    all
}

fn of_missed(world: &World, outcome: &Outcome, missed: &Suggestion) -> String {
    let id = &missed.id;
    match missed.kind {
        SuggestionKind::GatewayEndpointPossible => {
            match outcome.paths.iter().find_map(|one| one.path.translated_by) {
                Some(nat) => format!(
                    "A gateway endpoint for {id} in the table that {} sends by would carry this traffic from there on, at no \
                     charge.",
                    world.nat_gateways[nat].id
                ),
                None => format!("A gateway endpoint for {id} would carry this traffic, at no charge."),
            }
        }
        SuggestionKind::EndpointInOtherVpc => {
            let endpoint = world.endpoints.iter().find(|endpoint| *endpoint.id == **id);
            let vpc = endpoint.map_or("another VPC", |endpoint| &world.vpcs[endpoint.vpc].id);
            format!(
                "{id} in {vpc} is an endpoint for this: give this VPC a private hosted zone with the name, or a Profile with \
                 the endpoint, and a way there."
            )
        }
        SuggestionKind::ZoneNotAssociated => {
            format!(
                "The private hosted zone {id} has this name: associate it with this VPC, or share it by a Profile."
            )
        }
        SuggestionKind::InterfaceEndpointPossible => {
            format!("An interface endpoint for {id} would keep this traffic private.")
        }
    }
}

/// One sentence for each reason of a path alone.
pub fn of_path(world: &World, vantage: Vantage, address: IpAddr, path: &EgressPath) -> Vec<String> {
    path.reasons.iter().map(|reason| sentence(world, vantage, *reason, Some((address, path)))).collect()
}

fn sentence(world: &World, vantage: Vantage, reason: Reason, way: Option<(IpAddr, &EgressPath)>) -> String {
    if let Some(told) = way.and_then(|(address, path)| path_notes::told(world, reason, address, path)) {
        return told;
    }
    let path = way.map(|(_, path)| path);
    let endpoint = path.and_then(|path| path.endpoint).map(|(index, _)| &world.endpoints[index]);
    let endpoint_id = endpoint.map_or("the endpoint", |endpoint| &*endpoint.id);
    let table = table_of(world, vantage);
    let gateways = || gateways_of(world, vantage, way);
    match reason {
        Reason::EndpointNotAssociatedWithTable => {
            format!("Associate the gateway endpoint ({}) with {table}: it costs nothing.", gateways())
        }
        Reason::NoRoute => match world.places[vantage.place].kind {
            PlaceKind::Subnet(_) => format!("{table} has no route to this address."),
            PlaceKind::Site(_) | PlaceKind::Outside => {
                "No link of the site leads to this address, and it has no uplink of its own.".to_owned()
            }
        },
        Reason::SgDenied | Reason::NaclDenied => refused(world, path, endpoint),
        Reason::ApiGatewayPublicApiRefused => format!(
            "{endpoint_id} serves private APIs only: a public API's name leads here too and gets 403. Use a custom \
             domain name for public APIs, by an alias record and not a CNAME, or turn private DNS off."
        ),
        Reason::GatewayEndpointNotTransitive => match world.places[vantage.place].kind {
            PlaceKind::Subnet(_) => {
                "A gateway endpoint serves its own VPC alone: give the client's VPC one, or use an interface endpoint."
                    .to_owned()
            }
            PlaceKind::Site(_) | PlaceKind::Outside => {
                "A gateway endpoint cannot be used from on-premises: an interface endpoint can.".to_owned()
            }
        },
        Reason::EndpointAvailableNotUsed => {
            not_used(world, vantage, way).unwrap_or_else(|| plain(reason).to_owned())
        }
        _ => plain(reason).to_owned(),
    }
}

/// Why an endpoint is not used, where more can be said than that it is not.
fn not_used(world: &World, vantage: Vantage, way: Option<(IpAddr, &EgressPath)>) -> Option<String> {
    let (address, path) = way?;
    let gateways = gateways_of(world, vantage, way);
    if nat64_embedded(address).is_some() && !gateways.is_empty() {
        return Some(format!(
            "IPv4 traffic to this address goes by {gateways}, and what is made from it for IPv6 goes past that: have clients \
             use the A record, or turn DNS64 off where they have IPv4."
        ));
    }
    let here = world.place_vpc(vantage.place);
    let of_ipv4_alone = here.map(|vpc| gateways_of_ipv4_alone(world, vpc, address)).unwrap_or_default();
    if !of_ipv4_alone.is_empty() {
        let ids: Vec<&str> = of_ipv4_alone.iter().map(|endpoint| &*endpoint.id).collect();
        let ids = ids.join(", ");
        return Some(format!(
            "{ids} carries IPv4 alone: have it carry IPv6 too, or have clients use the A record."
        ));
    }
    goes_past(world, vantage, address, path).then(|| {
        let route = path.matched.as_ref();
        let route = route.map_or_else(|| "another".to_owned(), |matched| matched.destination.to_string());
        let table = table_of(world, vantage);
        format!(
            "The route {route} of {table} goes before those to {gateways}: take it away, or make it narrower."
        )
    })
}

/// The ids of the gateway endpoints of the vantage's VPC that hold an address, or what it was made from.
fn gateways_of(world: &World, vantage: Vantage, way: Option<(IpAddr, &EgressPath)>) -> String {
    let meant = way.map(|(address, _)| nat64_embedded(address).map_or(address, IpAddr::V4));
    let holds = |endpoint: &&Endpoint| {
        meant.is_none_or(|address| endpoint.prefixes.is_empty() || endpoint.covers(address))
    };
    let vpc = world.views[vantage.view].vpc().or(world.place_vpc_index(vantage.place));
    let endpoints = vpc.into_iter().flat_map(|vpc| &world.vpcs[vpc].endpoints);
    let gateways = endpoints
        .map(|index| &world.endpoints[*index])
        .filter(|endpoint| endpoint.kind == EndpointKind::Gateway)
        .filter(holds);
    gateways.map(|endpoint| &*endpoint.id).collect::<Vec<_>>().join(", ")
}

/// The id of the route table that the vantage's place follows.
fn table_of(world: &World, vantage: Vantage) -> &str {
    let table = match world.places[vantage.place].kind {
        PlaceKind::Subnet(subnet) => world.route_tables[world.subnets[subnet].route_table].id.as_deref(),
        PlaceKind::Site(_) | PlaceKind::Outside => None,
    };
    table.unwrap_or("the subnet's route table")
}

/// What is said of a reason that needs no more than its name.
fn plain(reason: Reason) -> &'static str {
    match reason {
        Reason::PrivateDnsDisabled => {
            "An interface endpoint for this service stands in the VPC with private DNS off: turn it on, or use the \
             endpoint's own name."
        }
        Reason::PrivateDnsOnlyForInboundResolver => {
            "The endpoint's private DNS answers only queries through an inbound resolver endpoint."
        }
        Reason::BlackholeRoute => {
            "The route that matches leads to something that is gone; no shorter route is tried."
        }
        Reason::NatSubnetHasNoInternetRoute => {
            "The NAT gateway's own subnet needs a route 0.0.0.0/0 to an internet gateway."
        }
        Reason::NoPublicAddress => {
            "An internet gateway carries traffic only of interfaces that have a public address."
        }
        Reason::NoAddressOfFamily => {
            "The client has no address of this one's family, so it sends nothing there: give it one, or reach the other \
             side by the family that both have."
        }
        Reason::CrossRegionNotInPrefixList => {
            "A gateway endpoint serves its own region only; this address is another region's."
        }
        Reason::CrossAz => {
            "Every interface in this answer is in another zone than the client: the way is longer, and fails with the \
             other zone."
        }
        Reason::Dns64Synthesised => "The AAAA record was made from an A record (DNS64).",
        Reason::Nat64PrefixWithoutNat => "Route 64:ff9b::/96 to a NAT gateway; nothing else translates it.",
        Reason::ZoneShadowsPublic => {
            "A private zone hides this name, which public DNS knows; the resolver does not fall through."
        }
        Reason::TgwNoAttachmentInAz => "The transit gateway has no attachment in this zone.",
        Reason::NoReturnRoute => "The subnet that holds the address has no route back over the same gateway.",
        Reason::AsymmetricRouting => {
            "Requests and replies do not pass the same Gateway Load Balancer endpoints, and an appliance that keeps \
             connections drops them."
        }
        Reason::ServiceHasNoEndpoint => "AWS has no endpoint service for this name: it is reached publicly.",
        Reason::EndpointAvailableNotUsed => {
            "The VPC has an endpoint for this service, and this name or this route does not lead to it."
        }
        Reason::PrivateAddressToInternet => {
            "A private address is sent to the internet, which drops it: this place is not connected to that VPC."
        }
        Reason::PeeringNotTransitive => {
            "A peering connection leads to the other VPC's own addresses, not to what that VPC is connected with."
        }
        Reason::GatewayNotTransitive => {
            "This gateway carries its own VPC's traffic alone: attach the site to the transit gateway itself."
        }
        Reason::TgwNoRoute => {
            "The transit gateway's route table for this attachment has no route to the address: propagate it, or write a \
             static route."
        }
        Reason::RoutingLoop => "The route tables lead in a circle.",
        Reason::SourceDestCheck => {
            "An appliance passes on only what it is allowed to: turn off its source and destination check."
        }
        Reason::EndpointNotAvailable => "The endpoint is not available: its state says so.",
        Reason::VpcNotAssociatedWithServiceNetwork => {
            "VPC Lattice's addresses work in VPCs that are associated with the service network, or by a service-network \
             endpoint."
        }
        Reason::TargetNotModelled => {
            "What lies behind this target is not part of the configuration, so nothing is said of it."
        }
        // Those that speak of the world. Their code is the least that can be told.
        Reason::EndpointNotAssociatedWithTable
        | Reason::NoRoute
        | Reason::SgDenied
        | Reason::NaclDenied
        | Reason::ApiGatewayPublicApiRefused
        | Reason::GatewayEndpointNotTransitive => reason.as_str(),
    }
}

/// Whether the client's own table leads to a gateway endpoint that holds the address, and another route of it goes before.
fn goes_past(world: &World, vantage: Vantage, address: IpAddr, path: &EgressPath) -> bool {
    let PlaceKind::Subnet(subnet) = world.places[vantage.place].kind else { return false };
    let own = &world.subnets[subnet];
    let table = &world.route_tables[own.route_table];
    let mut endpoints = world.vpcs[own.vpc].endpoints.iter();
    path.class != Class::GatewayEndpoint
        && endpoints.any(|index| world.endpoints[*index].covers(address) && table.has_route_to(*index))
}

/// Which filter of a path refuses, and what.
fn refused(world: &World, path: Option<&EgressPath>, endpoint: Option<&Endpoint>) -> String {
    let port = endpoint.map_or(HTTPS, |endpoint| endpoint.port);
    let filters = path.map_or(&[][..], |path| &path.filters);
    let Some(filter) = filters.iter().find(|filter| filter.verdict == AccessDecision::Denied) else {
        return format!("A filter on the way does not admit TCP {port}.");
    };
    match (filter.by, filter.direction) {
        (FilterId::NetworkAcl(index), direction) => {
            let id = &world.network_acls[index].id;
            let direction = direction.as_str();
            format!(
                "The {direction} rules of {id} deny this traffic, or the replies to it: an ACL knows no connections."
            )
        }
        (FilterId::SecurityGroup(index), Direction::Ingress) => {
            let owner = match path.map(|path| Destination::of(world, path)) {
                Some(Destination::Subnet { owner: Some(owner), .. }) => owner,
                _ => "what has the address".into(),
            };
            let names_groups = world.security_groups[index]
                .ingress
                .iter()
                .any(|rule| rule.peers.iter().any(|peer| matches!(peer, Peer::Group(_))));
            let by_groups =
                match names_groups && path.is_some_and(|path| path_notes::leave_groups_behind(world, path)) {
                    true => " A rule that names a group does not mean it across this way: name prefixes.",
                    false => "",
                };
            format!("The security groups of {owner} do not admit this client on TCP {port}.{by_groups}")
        }
        (FilterId::SecurityGroup(_), Direction::Egress) => {
            format!("The client's own security groups do not let it send there on TCP {port}.")
        }
    }
}
