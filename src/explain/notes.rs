//! Further notes about an answer, which concern neither a claim nor a path.

use crate::dns::Question;
use crate::resolve::{ConsideredClaim, EgressPath, Outcome};
use crate::world::{AddressFamilies, Claim, EndpointKind, Vantage, World};

/// The notes of an answer, each one sentence.
pub(super) fn of(
    world: &World,
    vantage: Vantage,
    question: &Question,
    claims: &[ConsideredClaim],
    outcome: &Outcome,
) -> Vec<String> {
    let paths = outcome.paths.iter().map(|one| &*one.path);
    gateway_endpoint_record_types(world, vantage, question)
        .into_iter()
        .chain(
            claims
                .iter()
                .filter(|seen| seen.is_selected)
                .filter_map(|seen| unhealthy_interfaces(world, seen.scoped.claim)),
        )
        .chain(of_policies(world, paths))
        .collect()
}

/// Notes about custom policies of the endpoints at the ends of paths.
pub(super) fn of_policies<'p>(world: &World, paths: impl Iterator<Item = &'p EgressPath>) -> Vec<String> {
    let mut ids: Vec<&str> = paths
        .filter_map(|path| path.endpoint)
        .map(|(index, _)| &world.network.endpoints[index])
        .filter(|endpoint| endpoint.has_policy)
        .map(|endpoint| &*endpoint.id)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    let described = |id| {
        format!(
            "{id} has a custom endpoint policy, which may deny requests; paths and reach do not take it into account."
        )
    };
    ids.into_iter().map(described).collect()
}

/// A note about a gateway endpoint that determines the record types of a regional S3 name.
fn gateway_endpoint_record_types(world: &World, vantage: Vantage, question: &Question) -> Option<String> {
    let (families, _) =
        world.names.chosen_by_gateway_endpoint(&world.network, vantage.view, &question.qname)?;
    let vpc = &world.network.vpcs[world.names.views[vantage.view].vpc()?];
    let of_s3 = |id: &&crate::world::Index<_>| {
        let endpoint = &world.network.endpoints[**id];
        endpoint.kind == EndpointKind::Gateway && endpoint.service.ends_with(".s3")
    };
    let gateway = &world.network.endpoints[*vpc.endpoints.iter().find(of_s3)?].id;
    let records = match families {
        AddressFamilies { v4: true, v6: true } => "A and AAAA records",
        AddressFamilies { v4: true, v6: false } => "only A records",
        AddressFamilies { v4: false, .. } => "only AAAA records",
    };
    Some(format!("With the gateway endpoint {gateway}, regional S3 names have {records} in this VPC."))
}

/// A note about interfaces without a healthy target, if an endpoint answered.
fn unhealthy_interfaces(world: &World, claim: Claim) -> Option<String> {
    let Claim::Endpoint(zone) = claim else { return None };
    let endpoint = &world.network.endpoints[world.names.managed_zones[zone].endpoint];
    let unhealthy = endpoint.interfaces.iter().filter(|interface| !interface.is_healthy).count();
    let all = endpoint.interfaces.len();
    match unhealthy {
        0 => None,
        _ if unhealthy == all => Some(format!(
            "No interface of {} has a healthy target, so all of them are returned.",
            endpoint.id
        )),
        _ => Some(format!(
            "Interfaces of {} without a healthy target are omitted ({unhealthy} of {all}), except in zonal names.",
            endpoint.id
        )),
    }
}
