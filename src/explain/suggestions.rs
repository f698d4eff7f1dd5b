//! Possible changes: endpoints that could be added, zones that could be associated. Computed for explanations
//! and audits, never for answers.

use std::net::IpAddr;

use crate::aws::service::{EndpointKind as Offered, PrivateNames};
use crate::dns::{Question, RecordType};
use crate::net::{is_globally_routed, nat64_to_ipv4};
use crate::resolve::{AddressPath, Class, Outcome, Source};
use crate::world::{
    Claim, Endpoint, EndpointKind, Index, PlaceKind, Vantage, ViewKind, Vpc, World, ZoneLookup,
};

/// The kind of a possible change. Stable codes, each with an example in the manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SuggestionKind {
    /// AWS has a gateway endpoint for this address, and this VPC has none.
    GatewayEndpointPossible,
    /// AWS has an interface endpoint for this name, and this VPC has none.
    InterfaceEndpointPossible,
    /// Another VPC has an interface endpoint for this name.
    EndpointInOtherVpc,
    /// A private hosted zone contains this name, but this VPC is not associated with it.
    ZoneNotAssociated,
}

impl SuggestionKind {
    /// All variants.
    pub const ALL: &'static [Self] = &[
        Self::GatewayEndpointPossible,
        Self::InterfaceEndpointPossible,
        Self::EndpointInOtherVpc,
        Self::ZoneNotAssociated,
    ];

    /// Its name in explanations and audits.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GatewayEndpointPossible => "GATEWAY_ENDPOINT_POSSIBLE",
            Self::InterfaceEndpointPossible => "INTERFACE_ENDPOINT_POSSIBLE",
            Self::EndpointInOtherVpc => "ENDPOINT_IN_OTHER_VPC",
            Self::ZoneNotAssociated => "ZONE_NOT_ASSOCIATED",
        }
    }
}

/// A possible change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// Its kind.
    pub kind: SuggestionKind,
    /// The ID of the service, endpoint or hosted zone.
    pub id: String,
}

/// The possible changes for an answer.
pub fn of(world: &World, vantage: Vantage, question: &Question, outcome: &Outcome) -> Vec<Suggestion> {
    let mut suggestions = zone(world, vantage, question, outcome);
    let (number, is_inside) =
        match (world.network.places[vantage.place].kind, world.names.views[vantage.view].kind) {
            (PlaceKind::Subnet(subnet), _) => (world.network.subnets[subnet].vpc, true),
            // Private DNS of an endpoint also applies to queries through an inbound endpoint of its VPC.
            (_, ViewKind::Inbound(vpc)) => (vpc, false),
            (PlaceKind::Site(_) | PlaceKind::Outside, _) => return suggestions,
        };
    let vpc = &world.network.vpcs[number];
    let bypassing = || outcome.paths.iter().filter(|one| bypasses_endpoints(world, vantage, one));
    if bypassing().next().is_none() {
        return suggestions;
    }
    // A gateway endpoint cannot be used from outside its VPC.
    let inside = bypassing().filter(|_| is_inside);
    let listed: Vec<_> = inside.filter_map(|one| gateway_service(world, number, one)).collect();
    for (vpc, service) in &listed {
        let mut own = endpoints(world, vpc).filter(|endpoint| endpoint.kind == EndpointKind::Gateway);
        if !own.any(|endpoint| *endpoint.service == **service) {
            suggestions.push(Suggestion {
                kind: SuggestionKind::GatewayEndpointPossible,
                id: (*service).to_owned(),
            });
        }
    }
    // A gateway endpoint is free of charge, so an interface endpoint is not suggested if one would be
    // sufficient.
    if listed.is_empty() {
        for host in hosts(question, outcome) {
            suggestions.extend(interface_endpoint(world, number, vpc, &host));
        }
    }
    let mut seen: Vec<Suggestion> = Vec::new();
    suggestions.retain(|one| {
        let is_new = !seen.contains(one);
        if is_new {
            seen.push(one.clone());
        }
        is_new
    });
    suggestions
}

/// Whether traffic reaches a public address without an endpoint. False for a client without an address of its
/// family.
pub fn bypasses_endpoints(world: &World, vantage: Vantage, one: &AddressPath) -> bool {
    let here = &world.network.places[vantage.place];
    let is_sent = !matches!(here.kind, PlaceKind::Subnet(_)) || here.has_address_of_family(one.address);
    let class = one.path.class;
    is_sent
        && is_globally_routed(untranslated(one.address))
        && !class.is_endpoint_interface()
        && class != Class::GatewayEndpoint
}

/// The actual destination of an address: the IPv4 address embedded in a NAT64 address.
fn untranslated(address: IpAddr) -> IpAddr {
    nat64_to_ipv4(address).map_or(address, IpAddr::V4)
}

/// The gateway service whose prefix list contains the destination of a path, and the VPC whose route tables
/// apply: the client's, or that of the NAT gateway that translates the address.
fn gateway_service<'w>(world: &'w World, own: Index<Vpc>, one: &AddressPath) -> Option<(&'w Vpc, &'w str)> {
    let number = match nat64_to_ipv4(one.address) {
        None => own,
        Some(_) => world.network.nat_gateways[one.path.translated_by?].vpc,
    };
    let vpc = &world.network.vpcs[number];
    let address = untranslated(one.address);
    let facts = world.names.public.facts;
    let lists = facts.prefix_lists.iter().filter(|list| list.region == vpc.region);
    let of_gateways =
        lists.filter(|list| facts.services.find(&list.name, Offered::Gateway, &vpc.region).is_some());
    let mut containing =
        of_gateways.filter(|list| list.entries.iter().flatten().any(|prefix| prefix.contains(&address)));
    containing.next().map(|list| (vpc, list.name.as_str()))
}

/// Possible interface endpoints for a host, if the VPC has none: those of other VPCs, or else a new one.
fn interface_endpoint(world: &World, number: Index<Vpc>, vpc: &Vpc, host: &str) -> Vec<Suggestion> {
    let facts = world.names.public.facts;
    let covering = facts.services.covering_host(host);
    let mut services: Vec<String> = covering
        .iter()
        .filter(|service| service.row.kind == Offered::Interface && service.region == vpc.region)
        .map(crate::aws::service::Service::name)
        .collect();
    if services.is_empty() {
        let found = facts.public_names.find(host);
        let offered = found.map(|found| found.endpoint_services_from(&vpc.region)).unwrap_or_default();
        services = offered
            .into_iter()
            .filter(|service| {
                let found = facts.services.find(service, Offered::Interface, &vpc.region);
                // If its private DNS names are known and do not include the host, it would not be used.
                found.is_some_and(|found| {
                    found.region == vpc.region && found.row.private_names == PrivateNames::Unknown
                })
            })
            .collect();
    }
    let is_for_service = |endpoint: &Endpoint, service: &str| {
        endpoint.kind == EndpointKind::Interface && *endpoint.service == *service
    };
    services.retain(|service| !endpoints(world, vpc).any(|endpoint| is_for_service(endpoint, service)));
    let possible = services.into_iter().flat_map(|service| {
        let in_other_vpcs = world.network.endpoints.iter().filter(|endpoint| {
            endpoint.vpc != number && endpoint.is_available && is_for_service(endpoint, &service)
        });
        let in_other_vpcs: Vec<Suggestion> = in_other_vpcs
            .map(|endpoint| Suggestion {
                kind: SuggestionKind::EndpointInOtherVpc,
                id: endpoint.id.to_string(),
            })
            .collect();
        match in_other_vpcs.is_empty() {
            true => vec![Suggestion { kind: SuggestionKind::InterfaceEndpointPossible, id: service }],
            false => in_other_vpcs,
        }
    });
    possible.collect()
}

/// The most specific private hosted zone that has records for the question but is not associated with the
/// resolver's VPC.
fn zone(world: &World, vantage: Vantage, question: &Question, outcome: &Outcome) -> Vec<Suggestion> {
    let is_applicable = world.names.views[vantage.view].vpc().is_some()
        && (outcome.source == Source::Public || outcome.answer.answer.is_empty());
    if !is_applicable {
        return Vec::new();
    }
    let view = world.names.views[vantage.view].claims;
    let synthesises_aaaa = world.names.views[vantage.view].dns64 && question.qtype == RecordType::AAAA;
    let is_queried = |rtype: RecordType| {
        [rtype, RecordType::ANY].contains(&question.qtype) || (synthesises_aaaa && rtype == RecordType::A)
    };
    let is_visible = |index| {
        world
            .names
            .claims
            .covering(view, &question.qname)
            .any(|(_, scoped)| scoped.claim == Claim::HostedZone(index))
    };
    let candidates = world.names.hosted_zones.indexed().filter(|(index, hosted)| {
        let is_in_zone = question.qname.labels_below(hosted.zone.apex()).is_some();
        // A zone that has the name without such records would hide those of public DNS.
        let has_records = || match hosted.zone.find(&question.qname) {
            ZoneLookup::Node(node) | ZoneLookup::Wildcard(node) => {
                node.types().any(|rtype| is_queried(rtype) || rtype == RecordType::CNAME)
            }
            ZoneLookup::Nothing => false,
        };
        is_in_zone && !is_visible(*index) && has_records()
    });
    let most_specific = candidates.max_by_key(|(_, hosted)| hosted.zone.apex().as_wire().len());
    let suggestion = most_specific
        .map(|(_, hosted)| Suggestion { kind: SuggestionKind::ZoneNotAssociated, id: hosted.id.to_string() });
    suggestion.into_iter().collect()
}

fn endpoints<'w>(world: &'w World, vpc: &'w Vpc) -> impl Iterator<Item = &'w Endpoint> {
    vpc.endpoints.iter().map(|index| &world.network.endpoints[*index])
}

/// The names of an answer, in lower case without the trailing dot.
fn hosts(question: &Question, outcome: &Outcome) -> Vec<String> {
    let chain = outcome.answer.answer.iter().filter(|set| set.rtype == RecordType::CNAME);
    let targets = chain.flat_map(|set| set.rdatas.iter().filter_map(|rdata| rdata.target(RecordType::CNAME)));
    let names = [question.qname.clone()].into_iter().chain(targets);
    names.map(|name| name.to_string().trim_end_matches('.').to_ascii_lowercase()).collect()
}
