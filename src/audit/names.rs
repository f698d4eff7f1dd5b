//! Names of an audit.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::locations::AuditLocation;
use crate::aws::Region;
use crate::aws::service_names::example_host;
use crate::dns::{Class, Name, Question, RecordType};
use crate::world::{PlaceKind, World, Zone};

/// The regions of a world's VPCs, or of the VPCs of the given locations.
pub(crate) fn regions(world: &World, locations: &[AuditLocation], is_named: bool) -> Vec<Region> {
    let vpc_of = |location: &AuditLocation| match world.network.places[location.vantage.place].kind {
        PlaceKind::Subnet(subnet) => Some(world.network.subnets[subnet].vpc),
        PlaceKind::Site(_) | PlaceKind::Outside => world.names.views[location.vantage.view].vpc(),
    };
    let mut regions: Vec<Region> = Vec::new();
    let mut add = |region: &Region| {
        if !regions.contains(region) {
            regions.push(region.clone());
        }
    };
    let queried_vpcs = || locations.iter().filter(|_| is_named).filter_map(vpc_of);
    match queried_vpcs().next().is_some() {
        true => queried_vpcs().for_each(|vpc| add(&world.network.vpcs[vpc].region)),
        false => world.network.vpcs.iter().for_each(|vpc| add(&vpc.region)),
    }
    regions.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
    regions
}

/// The distinct names of AWS services in some regions, in order.
pub(crate) fn service_names(world: &World, regions: &[Region]) -> Vec<Name> {
    let hosts: BTreeSet<String> =
        regions.iter().flat_map(|region| world.names.public.facts.service_names(region)).collect();
    hosts.iter().filter_map(|host| Name::parse(host).ok()).collect()
}

/// A question for each name and type.
pub(crate) fn questions(names: &[Name], types: &[RecordType]) -> Vec<Arc<Question>> {
    let of_name = |name: &Name| types.iter().map(|qtype| question(name.clone(), *qtype)).collect::<Vec<_>>();
    names.iter().flat_map(of_name).collect()
}

/// A question of class IN.
pub(crate) fn question(qname: Name, qtype: RecordType) -> Arc<Question> {
    Arc::new(Question { qname, qtype, qclass: Class::IN })
}

/// Questions for a world's own names: every name and type of its hosted zones, its sites' zones and its
/// public records, the names of its endpoints, the domains of its rules, and its expectations.
pub(crate) fn own_questions(world: &World, types: &[RecordType]) -> BTreeSet<(Name, u16)> {
    let mut all = BTreeSet::new();
    let mut add = |name: &Name, rtype: RecordType| {
        let name = match name.is_wildcard() {
            // A wildcard of AWS has the label that is used among the service names.
            true => Name::parse(&example_host(&name.to_string())).unwrap_or_else(|_| name.clone()),
            false => name.clone(),
        };
        all.insert((name, rtype.0));
    };
    let hosted = world.names.hosted_zones.iter().map(|hosted| &hosted.zone);
    let simulated = world.names.sites.iter().flat_map(|site| site.zones.iter().map(|(_, zone)| zone));
    let zones: Vec<&Zone> = hosted.chain(simulated).chain([&world.names.public.records]).collect();
    for zone in zones {
        for (name, node) in zone.nodes().filter(|(_, node)| !node.is_empty_non_terminal()) {
            // A CNAME or alias leads to addresses.
            let leads_on = node.types().any(|rtype| rtype == RecordType::CNAME);
            if leads_on {
                types.iter().for_each(|rtype| add(name, *rtype));
            }
            let described = node.types().filter(|rtype| !matches!(*rtype, RecordType::SOA | RecordType::NS));
            described.for_each(|rtype| add(name, rtype));
        }
    }
    for (name, node) in world.names.public.overlay.nodes().filter(|(_, node)| !node.is_empty_non_terminal()) {
        // The well-known name of RFC 7050 is in the zone as well, the same in every world.
        if name.labels().last() != Some(b"arpa") {
            node.types().for_each(|rtype| add(name, rtype));
        }
    }
    let private = world.network.endpoints.iter().flat_map(|endpoint| &endpoint.private_names);
    let ruled = world.names.rules.iter().map(|rule| &rule.domain).filter(|domain| !domain.is_root());
    for name in private.chain(ruled) {
        types.iter().for_each(|rtype| add(name, *rtype));
    }
    for (expect, _) in &world.settings.expectations {
        add(expect.name.value(), expect.record_type.as_ref().map_or(RecordType::A, |rtype| *rtype.value()));
    }
    all
}
