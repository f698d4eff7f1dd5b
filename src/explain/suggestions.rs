//! What is one change away that neither the name nor the way knows of: endpoints that could be there, zones that could be
//! associated. It is looked for when somebody asks for an explanation, never for an answer.

use std::net::IpAddr;

use crate::aws::service::{EndpointKind as Offered, PrivateNames};
use crate::dns::{Question, RecordType};
use crate::net::{is_globally_routed, nat64_embedded};
use crate::resolve::{AddressPath, Class, Outcome, Source};
use crate::world::{Claim, Endpoint, EndpointKind, ZoneLookup, Index, PlaceKind, Vantage, ViewKind, Vpc, World};

/// What could be changed. Stable codes, each in the manual with an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SuggestionKind {
    /// AWS has a gateway endpoint for this address, and this VPC has none.
    GatewayEndpointPossible,
    /// AWS has an interface endpoint for this name, and this VPC has none.
    InterfaceEndpointPossible,
    /// Another VPC has an interface endpoint for this name.
    EndpointInOtherVpc,
    /// A private hosted zone has this name, and this VPC is not associated with it.
    ZoneNotAssociated,
}

impl SuggestionKind {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::GatewayEndpointPossible,
        Self::InterfaceEndpointPossible,
        Self::EndpointInOtherVpc,
        Self::ZoneNotAssociated,
    ];

    /// The word for it, in explanations and audits.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GatewayEndpointPossible => "GATEWAY_ENDPOINT_POSSIBLE",
            Self::InterfaceEndpointPossible => "INTERFACE_ENDPOINT_POSSIBLE",
            Self::EndpointInOtherVpc => "ENDPOINT_IN_OTHER_VPC",
            Self::ZoneNotAssociated => "ZONE_NOT_ASSOCIATED",
        }
    }
}

/// One change that would lead elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// What is missed.
    pub kind: SuggestionKind,
    /// The service, the endpoint or the hosted zone that it speaks of.
    pub id: String,
}

/// What an answered question misses.
pub fn of(world: &World, vantage: Vantage, question: &Question, outcome: &Outcome) -> Vec<Suggestion> {
    let mut missed = zone(world, vantage, question, outcome);
    let (number, is_inside) = match (world.places[vantage.place].kind, world.views[vantage.view].kind) {
        (PlaceKind::Subnet(subnet), _) => (world.subnets[subnet].vpc, true),
        // An endpoint's private DNS answers those who ask an inbound endpoint of its VPC, too.
        (_, ViewKind::Inbound(vpc)) => (vpc, false),
        (PlaceKind::Site(_) | PlaceKind::Outside, _) => return missed,
    };
    let vpc = &world.vpcs[number];
    let past = || outcome.paths.iter().filter(|one| goes_past_endpoints(world, vantage, one));
    if past().next().is_none() {
        return missed;
    }
    // No gateway endpoint is of use to who stands outside of its VPC.
    let inside = past().filter(|_| is_inside);
    let listed: Vec<_> = inside.filter_map(|one| gateway_service(world, number, one)).collect();
    for (vpc, service) in &listed {
        let mut own = endpoints(world, vpc).filter(|endpoint| endpoint.kind == EndpointKind::Gateway);
        if !own.any(|endpoint| *endpoint.service == **service) {
            missed.push(Suggestion { kind: SuggestionKind::GatewayEndpointPossible, id: (*service).to_owned() });
        }
    }
    // Where a gateway endpoint would do, which costs nothing, an interface endpoint is not the change to make.
    if listed.is_empty() {
        for host in hosts(question, outcome) {
            missed.extend(interface_endpoint(world, number, vpc, &host));
        }
    }
    let mut once: Vec<Suggestion> = Vec::new();
    missed.retain(|one| {
        let is_new = !once.contains(one);
        if is_new {
            once.push(one.clone());
        }
        is_new
    });
    missed
}

/// Whether a way leads to a public address by no endpoint. What a client has no address for goes no way at all.
pub fn goes_past_endpoints(world: &World, vantage: Vantage, one: &AddressPath) -> bool {
    let here = &world.places[vantage.place];
    let is_sent = !matches!(here.kind, PlaceKind::Subnet(_)) || here.has_address_of_family(one.address);
    let class = one.path.class;
    is_sent
        && is_globally_routed(meant(one.address))
        && !class.is_endpoint_interface()
        && class != Class::GatewayEndpoint
}

/// The address that an address leads to: the IPv4 one in one of NAT64.
fn meant(address: IpAddr) -> IpAddr {
    nat64_embedded(address).map_or(address, IpAddr::V4)
}

/// The gateway service whose prefix list holds the address that a way leads to, and the VPC whose route tables decide on it:
/// the client's, or that of the NAT gateway which makes IPv4 of it.
fn gateway_service<'w>(world: &'w World, own: Index<Vpc>, one: &AddressPath) -> Option<(&'w Vpc, &'w str)> {
    let number = match nat64_embedded(one.address) {
        None => own,
        Some(_) => world.nat_gateways[one.path.translated_by?].vpc,
    };
    let vpc = &world.vpcs[number];
    let address = meant(one.address);
    let facts = world.public.facts;
    let lists = facts.prefix_lists.iter().filter(|list| list.region == vpc.region);
    let of_gateways =
        lists.filter(|list| facts.services.find(&list.name, Offered::Gateway, &vpc.region).is_some());
    let mut holding =
        of_gateways.filter(|list| list.entries.iter().flatten().any(|prefix| prefix.contains(&address)));
    holding.next().map(|list| (vpc, list.name.as_str()))
}

/// The service that covers a host, where the VPC has no endpoint for it: with whose endpoint another VPC could help, else
/// that AWS has one.
fn interface_endpoint(world: &World, number: Index<Vpc>, vpc: &Vpc, host: &str) -> Vec<Suggestion> {
    let facts = world.public.facts;
    let covering = facts.services.covering_host(host);
    let mut services: Vec<String> = covering
        .iter()
        .filter(|service| service.row.kind == Offered::Interface && service.region == vpc.region)
        .map(crate::aws::service::Service::name)
        .collect();
    if services.is_empty() {
        let found = facts.public.find(host);
        let offered = found.map(|found| found.services_from(&vpc.region)).unwrap_or_default();
        services = offered
            .into_iter()
            .filter(|service| {
                let found = facts.services.find(service, Offered::Interface, &vpc.region);
                // One whose private names are known and do not cover the host would not be reached by it.
                found.is_some_and(|found| {
                    found.region == vpc.region && found.row.private_names == PrivateNames::Unknown
                })
            })
            .collect();
    }
    let reaches = |endpoint: &Endpoint, service: &str| {
        endpoint.kind == EndpointKind::Interface && *endpoint.service == *service
    };
    services.retain(|service| !endpoints(world, vpc).any(|endpoint| reaches(endpoint, service)));
    let told = services.into_iter().flat_map(|service| {
        let elsewhere = world.endpoints.iter().filter(|endpoint| {
            endpoint.vpc != number && endpoint.is_available && reaches(endpoint, &service)
        });
        let elsewhere: Vec<Suggestion> = elsewhere
            .map(|endpoint| Suggestion { kind: SuggestionKind::EndpointInOtherVpc, id: endpoint.id.to_string() })
            .collect();
        match elsewhere.is_empty() {
            true => vec![Suggestion { kind: SuggestionKind::InterfaceEndpointPossible, id: service }],
            false => elsewhere,
        }
    });
    told.collect()
}

/// The private hosted zone that has the name and is not the asked resolver's, where none of its own has it.
fn zone(world: &World, vantage: Vantage, question: &Question, outcome: &Outcome) -> Vec<Suggestion> {
    let is_looked_for = world.views[vantage.view].vpc().is_some()
        && (outcome.source == Source::Public || outcome.answer.answer.is_empty());
    if !is_looked_for {
        return Vec::new();
    }
    let view = world.views[vantage.view].claims;
    let makes_aaaa = world.views[vantage.view].dns64 && question.qtype == RecordType::AAAA;
    let is_asked = |rtype: RecordType| {
        [rtype, RecordType::ANY].contains(&question.qtype) || (makes_aaaa && rtype == RecordType::A)
    };
    let own = |index| {
        world.claims.covering(view, &question.qname).any(|(_, scoped)| scoped.claim == Claim::HostedZone(index))
    };
    let having = world.hosted_zones.indexed().filter(|(index, hosted)| {
        let below = question.qname.labels_below(hosted.zone.apex()).is_some();
        // One that has the name without such records would hide what public DNS has.
        let has = || match hosted.zone.find(&question.qname) {
            ZoneLookup::Node(node) | ZoneLookup::Wildcard(node) => {
                node.types().any(|rtype| is_asked(rtype) || rtype == RecordType::CNAME)
            }
            ZoneLookup::Nothing => false,
        };
        below && !own(*index) && has()
    });
    let deepest = having.max_by_key(|(_, hosted)| hosted.zone.apex().as_wire().len());
    let told =
        deepest.map(|(_, hosted)| Suggestion { kind: SuggestionKind::ZoneNotAssociated, id: hosted.id.to_string() });
    told.into_iter().collect()
}

fn endpoints<'w>(world: &'w World, vpc: &'w Vpc) -> impl Iterator<Item = &'w Endpoint> {
    vpc.endpoints.iter().map(|index| &world.endpoints[*index])
}

/// The names of an answer, in lower case without the last dot.
fn hosts(question: &Question, outcome: &Outcome) -> Vec<String> {
    let chain = outcome.answer.answer.iter().filter(|set| set.rtype == RecordType::CNAME);
    let targets = chain.flat_map(|set| set.rdatas.iter().filter_map(|rdata| rdata.target(RecordType::CNAME)));
    let names = [question.qname.clone()].into_iter().chain(targets);
    names.map(|name| name.to_string().trim_end_matches('.').to_ascii_lowercase()).collect()
}
