//! Suggestions as sentences: what to change for each reason, and which objects could be added.

use std::net::IpAddr;

use super::{Destination, Suggestion, SuggestionKind, path_notes};
use crate::net::nat64_to_ipv4;
use crate::resolve::egress::{HTTPS, ipv4_only_gateway_endpoints};
use crate::resolve::{Class, Direction, EgressPath, FilterId, Outcome, Reason};
use crate::world::{AccessDecision, Endpoint, EndpointKind, Peer, PlaceKind, Vantage, World};

/// A suggestion as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuggestionLine {
    /// The code of the reason, or of the possible change.
    pub code: &'static str,
    /// For a possible change: the ID of the service, endpoint or hosted zone.
    pub id: Option<String>,
    /// The sentence.
    pub text: String,
}

/// Distinct suggestions for the reasons of an outcome, followed by possible changes.
pub(crate) fn of(
    world: &World,
    vantage: Vantage,
    outcome: &Outcome,
    possible: &[Suggestion],
) -> Vec<SuggestionLine> {
    let mut all: Vec<SuggestionLine> = Vec::new();
    let of_paths = outcome
        .paths
        .iter()
        .flat_map(|one| one.path.reasons.iter().map(|r| (*r, Some((one.address, &*one.path)))));
    for (reason, path) in outcome.reasons.iter().map(|r| (*r, None)).chain(of_paths) {
        let text = sentence(world, vantage, reason, path);
        if !all.iter().any(|line| line.text == text) {
            all.push(SuggestionLine { code: reason.as_str(), id: None, text });
        }
    }
    all.extend(possible.iter().map(|suggestion| SuggestionLine {
        code: suggestion.kind.as_str(),
        id: Some(suggestion.id.clone()),
        text: of_suggestion(world, outcome, suggestion),
    }));
    all
}

fn of_suggestion(world: &World, outcome: &Outcome, suggestion: &Suggestion) -> String {
    let id = &suggestion.id;
    match suggestion.kind {
        SuggestionKind::GatewayEndpointPossible => {
            match outcome.paths.iter().find_map(|one| one.path.translated_by) {
                Some(nat) => format!(
                    "A gateway endpoint for {id} in the route table of {} would carry this traffic from there at no charge.",
                    world.network.nat_gateways[nat].id
                ),
                None => format!("A gateway endpoint for {id} would carry this traffic at no charge."),
            }
        }
        SuggestionKind::EndpointInOtherVpc => {
            let endpoint = world.network.endpoints.iter().find(|endpoint| *endpoint.id == **id);
            let vpc = endpoint.map_or("another VPC", |endpoint| &world.network.vpcs[endpoint.vpc].id);
            format!(
                "{id} in {vpc} provides this service: associate a private hosted zone for the name, or a Profile that contains the \
                 endpoint, with this VPC, and add a route to the endpoint."
            )
        }
        SuggestionKind::ZoneNotAssociated => {
            format!(
                "The private hosted zone {id} contains this name: associate it with this VPC directly or through a Profile."
            )
        }
        SuggestionKind::InterfaceEndpointPossible => {
            format!("An interface endpoint for {id} would keep this traffic private.")
        }
    }
}

/// A suggestion for each reason of a path.
pub(crate) fn of_path(
    world: &World,
    vantage: Vantage,
    address: IpAddr,
    path: &EgressPath,
) -> Vec<SuggestionLine> {
    let line = |reason: &Reason| SuggestionLine {
        code: reason.as_str(),
        id: None,
        text: sentence(world, vantage, *reason, Some((address, path))),
    };
    path.reasons.iter().map(line).collect()
}

fn sentence(
    world: &World,
    vantage: Vantage,
    reason: Reason,
    address_path: Option<(IpAddr, &EgressPath)>,
) -> String {
    if let Some(described) =
        address_path.and_then(|(address, path)| path_notes::specific(world, reason, address, path))
    {
        return described;
    }
    let path = address_path.map(|(_, path)| path);
    let endpoint = path.and_then(|path| path.endpoint).map(|(index, _)| &world.network.endpoints[index]);
    let endpoint_id = endpoint.map_or("the endpoint", |endpoint| &*endpoint.id);
    let table = table_of(world, vantage);
    let gateways = || gateways_of(world, vantage, address_path);
    match reason {
        Reason::EndpointNotAssociatedWithTable => {
            format!("Associate the gateway endpoint ({}) with {table}, at no charge.", gateways())
        }
        Reason::NoRoute => match world.network.places[vantage.place].kind {
            PlaceKind::Subnet(_) => format!("{table} has no route to this address."),
            PlaceKind::Site(_) | PlaceKind::Outside => {
                "No link of the site has a route to this address, and the site has no internet uplink.".to_owned()
            }
        },
        Reason::SgDenied | Reason::NaclDenied => denied(world, path, endpoint),
        Reason::ApiGatewayPublicApiRefused => format!(
            "{endpoint_id} serves only private APIs, but names of public APIs resolve to it as well and receive status 403. Use \
             a custom domain name with an alias record (not a CNAME) for public APIs, or disable private DNS."
        ),
        Reason::GatewayEndpointNotTransitive => match world.network.places[vantage.place].kind {
            PlaceKind::Subnet(_) => {
                "A gateway endpoint serves only its own VPC: add one to the client's VPC, or use an interface endpoint."
                    .to_owned()
            }
            PlaceKind::Site(_) | PlaceKind::Outside => {
                "A gateway endpoint cannot be used from on-premises networks: use an interface endpoint.".to_owned()
            }
        },
        Reason::EndpointAvailableNotUsed => {
            not_used(world, vantage, address_path).unwrap_or_else(|| plain(reason).to_owned())
        }
        _ => plain(reason).to_owned(),
    }
}

/// Why an endpoint is not used, if a specific cause is known.
fn not_used(world: &World, vantage: Vantage, address_path: Option<(IpAddr, &EgressPath)>) -> Option<String> {
    let (address, path) = address_path?;
    let gateways = gateways_of(world, vantage, address_path);
    if nat64_to_ipv4(address).is_some() && !gateways.is_empty() {
        return Some(format!(
            "IPv4 traffic to this address uses {gateways}, but traffic to the synthesised IPv6 address does not: let clients use \
             the A record, or disable DNS64 for clients with IPv4."
        ));
    }
    let here = world.network.place_vpc(vantage.place);
    let ipv4_only =
        here.map(|vpc| ipv4_only_gateway_endpoints(&world.network, vpc, address)).unwrap_or_default();
    if !ipv4_only.is_empty() {
        let ids: Vec<&str> = ipv4_only.iter().map(|endpoint| &*endpoint.id).collect();
        let ids = ids.join(", ");
        return Some(format!(
            "{ids} supports only IPv4: enable IPv6 for it, or let clients use the A record."
        ));
    }
    bypasses_gateway(world, vantage, address, path).then(|| {
        let route = path.matched.as_ref();
        let route = route.map_or_else(|| "for another prefix".to_owned(), |matched| matched.destination.to_string());
        let table = table_of(world, vantage);
        format!(
            "The route {route} of {table} takes precedence over those to {gateways}: remove it, or make it less specific."
        )
    })
}

/// The IDs of the gateway endpoints of the vantage's VPC that cover an address, or the IPv4 address embedded
/// in it.
fn gateways_of(world: &World, vantage: Vantage, path: Option<(IpAddr, &EgressPath)>) -> String {
    let address = path.map(|(address, _)| nat64_to_ipv4(address).map_or(address, IpAddr::V4));
    let covers = |endpoint: &&Endpoint| {
        address.is_none_or(|address| endpoint.prefixes.is_empty() || endpoint.covers(address))
    };
    let vpc = world.names.views[vantage.view].vpc().or(world.network.place_vpc_index(vantage.place));
    let endpoints = vpc.into_iter().flat_map(|vpc| &world.network.vpcs[vpc].endpoints);
    let gateways = endpoints
        .map(|index| &world.network.endpoints[*index])
        .filter(|endpoint| endpoint.kind == EndpointKind::Gateway)
        .filter(covers);
    gateways.map(|endpoint| &*endpoint.id).collect::<Vec<_>>().join(", ")
}

/// The ID of the route table of the vantage's location.
fn table_of(world: &World, vantage: Vantage) -> &str {
    let table = match world.network.places[vantage.place].kind {
        PlaceKind::Subnet(subnet) => {
            world.network.route_tables[world.network.subnets[subnet].route_table].id.as_deref()
        }
        PlaceKind::Site(_) | PlaceKind::Outside => None,
    };
    table.unwrap_or("the subnet's route table")
}

/// The suggestion for a reason, if its text does not depend on the network.
fn plain(reason: Reason) -> &'static str {
    match reason {
        Reason::PrivateDnsDisabled => {
            "The VPC has an interface endpoint for this service with private DNS disabled: enable private DNS, or use an \
             endpoint-specific name."
        }
        Reason::PrivateDnsOnlyForInboundResolver => {
            "The endpoint's private DNS applies only to queries through an inbound resolver endpoint."
        }
        Reason::BlackholeRoute => {
            "The target of the matched route does not exist; less specific routes are not used."
        }
        Reason::NatSubnetHasNoInternetRoute => {
            "In the route table of the NAT gateway's subnet, add a route for 0.0.0.0/0 to an internet gateway."
        }
        Reason::NoPublicAddress => {
            "Assign a public address to the client: an internet gateway carries only traffic of interfaces that have one."
        }
        Reason::NoAddressOfFamily => {
            "The client has no address of this family and cannot send to it: assign one, or use an address family that both \
             ends have."
        }
        Reason::CrossRegionNotInPrefixList => {
            "A gateway endpoint serves only its own region; this address belongs to another one."
        }
        Reason::CrossAz => {
            "Every interface in this answer is in a different Availability Zone from the client: traffic crosses zones and depends \
             on the other zone."
        }
        Reason::Dns64Synthesised => "The AAAA record was synthesised from an A record (DNS64).",
        Reason::Nat64PrefixWithoutNat => {
            "Add a route for 64:ff9b::/96 to a NAT gateway; other targets do not translate it."
        }
        Reason::ZoneShadowsPublic => {
            "A private hosted zone hides this name, which exists in public DNS; names that it lacks are not resolved publicly."
        }
        Reason::TgwNoAttachmentInAz => {
            "The VPC's attachment to the transit gateway has no subnet in this Availability Zone."
        }
        Reason::NoReturnRoute => {
            "No return path: the destination subnet has no route back through the same gateway."
        }
        Reason::AsymmetricRouting => {
            "Traffic and return traffic pass through different Gateway Load Balancer endpoints, so stateful appliances drop it."
        }
        Reason::ServiceHasNoEndpoint => {
            "AWS has no endpoint service for this name: it can be reached only publicly."
        }
        Reason::EndpointAvailableNotUsed => {
            "The VPC has an endpoint for this service, but this name or route does not use it."
        }
        Reason::PrivateAddressToInternet => {
            "No private route: traffic to this address would leave via the internet and be dropped."
        }
        Reason::PeeringNotTransitive => {
            "A peering connection carries only traffic to addresses of the other VPC, not to networks behind it."
        }
        Reason::GatewayNotTransitive => {
            "This gateway carries only traffic of its own VPC: attach the site to the transit gateway."
        }
        Reason::TgwNoRoute => {
            "The transit gateway's route table for this attachment has no route to the address: enable propagation, or add a static \
             route."
        }
        Reason::RoutingLoop => "The route tables form a loop.",
        Reason::SourceDestCheck => {
            "Disable the source/destination check of the appliance so that it can forward traffic."
        }
        Reason::EndpointNotAvailable => "The endpoint is not available: check its state.",
        Reason::VpcNotAssociatedWithServiceNetwork => {
            "Associate the VPC with the service network of VPC Lattice, or add a service-network endpoint."
        }
        Reason::TargetNotModelled => {
            "The configuration does not contain what is behind this target, so the rest of the path is unknown."
        }
        // These depend on the network: `sentence` handles them and never passes them here.
        Reason::EndpointNotAssociatedWithTable
        | Reason::NoRoute
        | Reason::SgDenied
        | Reason::NaclDenied
        | Reason::ApiGatewayPublicApiRefused
        | Reason::GatewayEndpointNotTransitive => reason.as_str(),
    }
}

/// Whether the client's route table has a gateway endpoint for the address, but another route takes
/// precedence.
fn bypasses_gateway(world: &World, vantage: Vantage, address: IpAddr, path: &EgressPath) -> bool {
    let PlaceKind::Subnet(subnet) = world.network.places[vantage.place].kind else { return false };
    let own = &world.network.subnets[subnet];
    let table = &world.network.route_tables[own.route_table];
    let mut endpoints = world.network.vpcs[own.vpc].endpoints.iter();
    path.class != Class::GatewayEndpoint
        && endpoints
            .any(|index| world.network.endpoints[*index].covers(address) && table.has_route_to(*index))
}

/// The suggestion for a path on which a filter denies traffic.
fn denied(world: &World, path: Option<&EgressPath>, endpoint: Option<&Endpoint>) -> String {
    let port = endpoint.map_or(HTTPS, |endpoint| endpoint.port);
    let filters = path.map_or(&[][..], |path| &path.filters);
    let Some(filter) = filters.iter().find(|filter| filter.verdict == AccessDecision::Denied) else {
        return format!("A filter on the path denies TCP {port}.");
    };
    match (filter.filter, filter.direction) {
        (FilterId::NetworkAcl(index), direction) => {
            let id = &world.network.network_acls[index].id;
            let direction = direction.as_str();
            format!(
                "The {direction} rules of {id} deny TCP {port} or its return traffic: network ACLs are stateless."
            )
        }
        (FilterId::SecurityGroup(index), Direction::Ingress) => {
            let owner = match path.map(|path| Destination::of(world, path)) {
                Some(Destination::Subnet { owner: Some(owner), .. }) => owner,
                _ => "the destination".into(),
            };
            let names_groups = world.network.security_groups[index]
                .ingress
                .iter()
                .any(|rule| rule.peers.iter().any(|peer| matches!(peer, Peer::Group(_))));
            let by_groups = match names_groups
                && path.is_some_and(|path| path_notes::breaks_group_references(world, path))
            {
                true => " Rules that refer to security groups do not match on this path: use prefixes.",
                false => "",
            };
            format!(
                "The security groups of {owner} deny TCP {port} from this client: no matching rule.{by_groups}"
            )
        }
        (FilterId::SecurityGroup(_), Direction::Egress) => {
            format!(
                "The client's security groups deny outbound TCP {port} to this address: no matching rule."
            )
        }
    }
}
