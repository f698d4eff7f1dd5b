//! Reasons that follow from names, in addition to those that follow from the path.

use std::cell::OnceCell;
use std::net::IpAddr;
use std::sync::Arc;

use super::outcome::{AddressPath, Outcome, Source};
use super::path::{Class, EgressPath, Reason};
use super::public::{self, host};
use crate::aws::{EndpointSupport, endpoint_names};
use crate::dns::{Name, Question, RecordType};
use crate::world::{Endpoint, Index, Interface, PlaceKind, PrivateDns, Vantage, ViewKind, Vpc, World};

/// Adds to each path of an outcome the reasons that follow from the names of the answer.
pub(super) fn add(world: &World, vantage: Vantage, question: &Question, outcome: &mut Outcome) {
    let crosses = crosses_zone(world, vantage, &outcome.paths);
    let names = QueriedNames::of(world, vantage, question, outcome);
    for one in &mut outcome.paths {
        // Not shared yet, so nothing is copied.
        let path = Arc::make_mut(&mut one.path);
        names.add_reasons(world, one.address, path);
        if crosses {
            path.add(Reason::CrossAz);
        }
    }
    if outcome.paths.is_empty() && names.shadows_public(world, outcome) {
        outcome.reasons.push(Reason::ZoneShadowsPublic);
    }
}

/// Whether none of the endpoint's interfaces in the answer is in the client's Availability Zone.
fn crosses_zone(world: &World, vantage: Vantage, paths: &[AddressPath]) -> bool {
    let PlaceKind::Subnet(subnet) = world.network.places[vantage.place].kind else { return false };
    let zone = &world.network.subnets[subnet].availability_zone;
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

/// The names of an answer, and the endpoints that the client's VPC has for them.
struct QueriedNames<'w> {
    /// The VPC whose endpoints could have answered.
    vpc: Option<(Index<Vpc>, &'w Vpc)>,
    /// Reasons common to all addresses that are not addresses of an endpoint interface.
    non_endpoint_reasons: OnceCell<Vec<Reason>>,
    is_inbound: bool,
    /// The query name and the targets of its CNAME chain.
    names: Vec<Name>,
    question: &'w Question,
    source: Source,
}

impl<'w> QueriedNames<'w> {
    fn of(world: &'w World, vantage: Vantage, question: &'w Question, outcome: &Outcome) -> Self {
        let view = &world.names.views[vantage.view];
        let mut names = vec![question.qname.clone()];
        for set in outcome.answer.answer.iter().filter(|set| set.rtype == RecordType::CNAME) {
            names.extend(set.rdatas.iter().filter_map(|rdata| rdata.target(RecordType::CNAME)));
        }
        Self {
            vpc: view.vpc().map(|index| (index, &world.network.vpcs[index])),
            non_endpoint_reasons: OnceCell::new(),
            is_inbound: matches!(view.kind, ViewKind::Inbound(_)),
            names,
            question,
            source: outcome.source,
        }
    }

    /// Adds to the path of an address the reasons that follow from the names.
    fn add_reasons(&self, world: &World, address: IpAddr, path: &mut EgressPath) {
        let Some((number, vpc)) = self.vpc else { return };
        if path.class == Class::GatewayEndpoint {
            return;
        }
        let endpoint = match path.endpoint {
            Some((index, Some(_))) => Some(&world.network.endpoints[index]),
            // The name resolves to an endpoint of this VPC, although the client reaches it through another
            // network.
            _ => interface_endpoint_at(world, number, address),
        };
        match endpoint {
            Some(endpoint) => self.at_interface(endpoint).into_iter().for_each(|reason| path.add(reason)),
            None => {
                let reasons = self.non_endpoint_reasons.get_or_init(|| self.not_at_interface(world, vpc));
                reasons.iter().for_each(|reason| path.add(*reason));
            }
        }
    }

    /// Why the names do not resolve to an interface of the VPC's endpoints. The same for all their addresses.
    fn not_at_interface(&self, world: &World, vpc: &Vpc) -> Vec<Reason> {
        let facts = world.names.public.facts;
        let mut reasons = Vec::new();
        for name in &self.names {
            let host = host(name);
            let covering: Vec<String> =
                facts.services.covering_host(&host).iter().map(|s| s.name()).collect();
            let mut covered = false;
            for endpoint in interface_endpoints(world, vpc) {
                let by_name = endpoint.private_names.iter().any(|private| covers(private, name));
                if by_name || covering.iter().any(|service| **service == *endpoint.service) {
                    covered = true;
                    reasons.extend(self.unused(endpoint));
                }
            }
            let Some(found) = facts.public_names.find(&host) else { continue };
            if found.endpoint_support == EndpointSupport::None {
                reasons.push(Reason::ServiceHasNoEndpoint);
            } else if !covered {
                let services = found.endpoint_services_from(&vpc.region);
                let is_for_name =
                    |endpoint: &Endpoint| services.iter().any(|service| **service == *endpoint.service);
                if interface_endpoints(world, vpc).any(is_for_name) {
                    reasons.push(Reason::EndpointAvailableNotUsed);
                }
            }
        }
        reasons
    }

    /// Why the private DNS of this endpoint did not answer.
    fn unused(&self, endpoint: &Endpoint) -> Option<Reason> {
        match endpoint.private_dns {
            PrivateDns::Off => Some(Reason::PrivateDnsDisabled),
            PrivateDns::OnlyForInboundResolver if !self.is_inbound => {
                Some(Reason::PrivateDnsOnlyForInboundResolver)
            }
            PrivateDns::On | PrivateDns::OnlyForInboundResolver => Some(Reason::EndpointAvailableNotUsed),
        }
    }

    /// Private DNS of an execute-api endpoint covers the names of all APIs, but the endpoint serves only
    /// private ones. A Route 53 alias that contains the endpoint's ID always belongs to a private API.
    fn at_interface(&self, endpoint: &Endpoint) -> Option<Reason> {
        let is_alias = |name: &Name| {
            let label = name.first_label().unwrap_or_default();
            endpoint_names::endpoint_id_in_api_alias(label).is_some_and(|id| *id == *endpoint.id.as_bytes())
        };
        let is_private_name =
            |name: &&Name| endpoint.private_names.iter().any(|private| covers(private, name));
        let by_private_name = self.names.iter().filter(is_private_name).any(|name| !is_alias(name));
        let is_execute_api = crate::aws::service::is_execute_api(&endpoint.service);
        (by_private_name && is_execute_api).then_some(Reason::ApiGatewayPublicApiRefused)
    }

    /// Whether a private hosted zone returned a negative answer for a name that exists in public DNS.
    fn shadows_public(&self, world: &World, outcome: &Outcome) -> bool {
        let private = matches!(self.source, Source::PrivateHostedZone | Source::Endpoint);
        let is_negative = outcome.answer.answer.is_empty();
        private && is_negative && public::has_records(&world.names, self.question)
    }
}

/// The endpoint of a VPC that has names and an interface with this address.
fn interface_endpoint_at(world: &World, vpc: Index<Vpc>, address: IpAddr) -> Option<&Endpoint> {
    let place = world.network.places.find_in_vpc(address, vpc)?;
    let Some(Interface::Endpoint(index, _)) = world.network.places[place].interface else { return None };
    let endpoint = &world.network.endpoints[index];
    (endpoint.kind.has_names() && endpoint.is_available).then_some(endpoint)
}

/// The available endpoints of a VPC that have names.
fn interface_endpoints<'w>(world: &'w World, vpc: &'w Vpc) -> impl Iterator<Item = &'w Endpoint> {
    let all = vpc.endpoints.iter().map(|index| &world.network.endpoints[*index]);
    all.filter(|endpoint| endpoint.kind.has_names() && endpoint.is_available)
}

/// Whether a private DNS name, which may be a wildcard, matches a name.
fn covers(private: &Name, name: &Name) -> bool {
    if private.is_wildcard() {
        let Some(apex) = private.parent() else { return false };
        return name.labels_below(&apex).is_some_and(|below| below > 0);
    }
    private == name
}
