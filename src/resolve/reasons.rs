//! Reasons that the name tells, beside those that the way tells.

use std::cell::OnceCell;
use std::net::IpAddr;
use std::sync::Arc;

use super::outcome::{AddressPath, Outcome, Source};
use super::path::{Class, EgressPath, Reason};
use super::public::{self, host};
use crate::aws::{EndpointOffer, endpoint_names};
use crate::dns::{Name, Question, RecordType};
use crate::world::{Endpoint, Index, Interface, PrivateDns, Standing, Vantage, ViewKind, Vpc, World};

/// Adds to each path of an outcome the reasons that the answer's names give it.
pub fn add(world: &World, vantage: Vantage, asked: &Question, outcome: &mut Outcome) {
    let crosses = crosses_zone(world, vantage, &outcome.paths);
    let names = Names::of(world, vantage, asked, outcome);
    for one in &mut outcome.paths {
        // Nobody else has it yet, so nothing is copied.
        let path = Arc::make_mut(&mut one.path);
        names.tell(world, one.address, path);
        if crosses {
            path.add(Reason::CrossAz);
        }
    }
    if outcome.paths.is_empty() && names.shadows_public(world, outcome) {
        outcome.reasons.push(Reason::ZoneShadowsPublic);
    }
}

/// Whether the client's zone has none of the endpoint's interfaces that the answer holds.
fn crosses_zone(world: &World, vantage: Vantage, paths: &[AddressPath]) -> bool {
    let Standing::Subnet(subnet) = world.places[vantage.place].standing else { return false };
    let zone = &world.subnets[subnet].availability_zone;
    let mut zones = paths
        .iter()
        .filter(|one| one.path.class.is_endpoint_interface())
        .map(|one| one.path.hops.last().and_then(|hop| hop.availability_zone.clone()));
    let mut any = false;
    let all = zones.all(|other| {
        any = true;
        other.is_some_and(|other| other != *zone)
    });
    any && all
}

/// The names of an answer, and what the vantage's VPC has for them.
struct Names<'w> {
    /// The VPC whose endpoints could have answered.
    vpc: Option<(Index<Vpc>, &'w Vpc)>,
    /// What addresses have in common that are no interface's.
    past_endpoints: OnceCell<Vec<Reason>>,
    is_inbound: bool,
    /// The name asked for and those that it leads to.
    names: Vec<Name>,
    asked: &'w Question,
    source: Source,
}

impl<'w> Names<'w> {
    fn of(world: &'w World, vantage: Vantage, asked: &'w Question, outcome: &Outcome) -> Self {
        let view = &world.views[vantage.view];
        let mut names = vec![asked.qname.clone()];
        for set in outcome.answer.answer.iter().filter(|set| set.rtype == RecordType::CNAME) {
            names.extend(set.rdatas.iter().filter_map(|rdata| rdata.target(RecordType::CNAME)));
        }
        Self {
            vpc: view.vpc().map(|index| (index, &world.vpcs[index])),
            past_endpoints: OnceCell::new(),
            is_inbound: matches!(view.kind, ViewKind::Inbound(_)),
            names,
            asked,
            source: outcome.source,
        }
    }

    /// Adds to the path of an address what the names tell of it.
    fn tell(&self, world: &World, address: IpAddr, path: &mut EgressPath) {
        let Some((number, vpc)) = self.vpc else { return };
        if path.class == Class::GatewayEndpoint {
            return;
        }
        let endpoint = match path.endpoint {
            Some((index, Some(_))) => Some(&world.endpoints[index]),
            // The name leads to the endpoint, although from here its interface is another network's address.
            _ => interface_endpoint_at(world, number, address),
        };
        match endpoint {
            Some(endpoint) => self.at_interface(endpoint).into_iter().for_each(|reason| path.add(reason)),
            None => {
                let reasons = self.past_endpoints.get_or_init(|| self.not_at_interface(world, vpc));
                reasons.iter().for_each(|reason| path.add(*reason));
            }
        }
    }

    /// Why the names led to no interface of the VPC's endpoints. All addresses that they led to have this in common.
    fn not_at_interface(&self, world: &World, vpc: &Vpc) -> Vec<Reason> {
        let facts = world.public.facts;
        let mut reasons = Vec::new();
        for asked in &self.names {
            let host = host(asked);
            let covering: Vec<String> =
                facts.services.covering_host(&host).iter().map(|s| s.name()).collect();
            let mut covered = false;
            for endpoint in interface_endpoints(world, vpc) {
                let by_name = endpoint.private_names.iter().any(|name| covers(name, asked));
                if by_name || covering.iter().any(|service| **service == *endpoint.service) {
                    covered = true;
                    reasons.extend(self.unused(endpoint));
                }
            }
            let Some(found) = facts.public.find(&host) else { continue };
            if found.offer == EndpointOffer::None {
                reasons.push(Reason::ServiceHasNoEndpoint);
            } else if !covered {
                let services = found.services_from(&vpc.region);
                let reaches =
                    |endpoint: &Endpoint| services.iter().any(|service| **service == *endpoint.service);
                if interface_endpoints(world, vpc).any(reaches) {
                    reasons.push(Reason::EndpointAvailableNotUsed);
                }
            }
        }
        reasons
    }

    /// Why an endpoint whose private name this is did not answer.
    fn unused(&self, endpoint: &Endpoint) -> Option<Reason> {
        match endpoint.private_dns {
            PrivateDns::Off => Some(Reason::PrivateDnsDisabled),
            PrivateDns::OnlyForInboundResolver if !self.is_inbound => {
                Some(Reason::PrivateDnsOnlyForInboundResolver)
            }
            PrivateDns::On | PrivateDns::OnlyForInboundResolver => Some(Reason::EndpointAvailableNotUsed),
        }
    }

    /// The execute-api endpoint takes every API's name and serves private APIs only, as their aliases at it are.
    fn at_interface(&self, endpoint: &Endpoint) -> Option<Reason> {
        let is_alias = |asked: &Name| {
            let label = asked.first_label().unwrap_or_default();
            endpoint_names::api_alias(label).is_some_and(|id| *id == *endpoint.id.as_bytes())
        };
        let is_private_name = |asked: &&Name| endpoint.private_names.iter().any(|name| covers(name, asked));
        let by_private_name = self.names.iter().filter(is_private_name).any(|asked| !is_alias(asked));
        let is_execute_api = crate::aws::service::is_execute_api(&endpoint.service);
        (by_private_name && is_execute_api).then_some(Reason::ApiGatewayPublicApiRefused)
    }

    /// Whether a private zone said no to a name that public DNS knows.
    fn shadows_public(&self, world: &World, outcome: &Outcome) -> bool {
        let private = matches!(self.source, Source::PrivateHostedZone | Source::Endpoint);
        let denied = outcome.answer.answer.is_empty();
        private && denied && public::knows(world, self.asked)
    }
}

/// The endpoint of a VPC that names may lead to and that has an interface with this address.
fn interface_endpoint_at(world: &World, vpc: Index<Vpc>, address: IpAddr) -> Option<&Endpoint> {
    let place = world.places.find_in_vpc(address, vpc)?;
    let Some(Interface::Endpoint(index, _)) = world.places[place].interface else { return None };
    let endpoint = &world.endpoints[index];
    (endpoint.kind.has_names() && endpoint.is_available).then_some(endpoint)
}

/// The working endpoints of a VPC that names may lead to.
fn interface_endpoints<'w>(world: &'w World, vpc: &'w Vpc) -> impl Iterator<Item = &'w Endpoint> {
    let all = vpc.endpoints.iter().map(|index| &world.endpoints[*index]);
    all.filter(|endpoint| endpoint.kind.has_names() && endpoint.is_available)
}

/// Whether a private name, or the wildcard it is, covers a name.
fn covers(name: &Name, asked: &Name) -> bool {
    if name.is_wildcard() {
        let Some(apex) = name.parent() else { return false };
        return asked.labels_below(&apex).is_some_and(|below| below > 0);
    }
    name == asked
}
