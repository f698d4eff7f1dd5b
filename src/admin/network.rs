//! `GET /v1/network`: the configured objects being served.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::Admin;
use crate::world::{Endpoint, Index, Link, LinkedTo, PrivateDns, Site, Vpc, World};

/// The network as JSON: objects by ID, without internal state.
pub(super) async fn network(State(admin): State<Admin>) -> Json<Value> {
    Json(value(&admin.engine.live().load()))
}

fn value(world: &World) -> Value {
    json!({
        "hash": world.hash,
        "listeners": world.settings.listeners.iter().map(|listener| json!({
            "address": listener.address,
            "view": listener.view.map(|view| &*world.names.views[view].name),
            "transports": listener.transports(),
            "path": listener.http_path(),
        })).collect::<Vec<_>>(),
        "vpcs": vpcs(world),
        "endpoints": world.network.endpoints.iter().map(|it| endpoint(world, it)).collect::<Vec<_>>(),
        "sites": world.network.sites.indexed().map(|(index, it)| site(world, index, it)).collect::<Vec<_>>(),
        "hosted_zones": world.names.hosted_zones.iter().map(|zone| json!({
            "id": &*zone.id,
            "name": zone.zone.apex().to_string(),
            "names": zone.zone.name_count(),
        })).collect::<Vec<_>>(),
        "rules": world.names.rules.iter().map(|rule| json!({
            "id": &*rule.id,
            "domain": rule.domain.to_string(),
            "targets": rule.upstream.map(|upstream| strings(&world.names.upstreams[upstream].identity.servers)),
        })).collect::<Vec<_>>(),
        "clients": world.network.places.clients().map(|(source, place)| json!({
            "source": source.to_string(),
            "place": &*world.network.place_name(place),
        })).collect::<Vec<_>>(),
        "places": world.network.places.len(),
        "claims": world.names.claims.name_count(),
    })
}

fn vpcs(world: &World) -> Vec<Value> {
    let one = |(index, vpc): (_, &Vpc)| {
        let subnets = world.network.subnets.iter().filter(|subnet| subnet.vpc == index);
        json!({
            "id": &*vpc.id,
            "region": vpc.region.as_str(),
            "cidr": strings(&vpc.cidrs),
            "enable_dns_support": vpc.dns_support,
            "enable_dns_hostnames": vpc.dns_hostnames,
            "subnets": subnets.map(|subnet| json!({
                "id": &*subnet.id,
                "cidr": strings(&subnet.cidrs),
                "availability_zone": &*subnet.availability_zone,
                "route_table": world.network.route_tables[subnet.route_table].id.as_deref(),
            })).collect::<Vec<_>>(),
        })
    };
    world.network.vpcs.indexed().map(one).collect()
}

fn endpoint(world: &World, endpoint: &Endpoint) -> Value {
    json!({
        "id": &*endpoint.id,
        "vpc": &*world.network.vpcs[endpoint.vpc].id,
        "type": endpoint.kind.as_str(),
        "service": &*endpoint.service,
        "private_dns": match endpoint.private_dns {
            PrivateDns::Off => "off",
            PrivateDns::On => "on",
            PrivateDns::OnlyForInboundResolver => "only-for-inbound-resolver",
        },
        "dns_name": endpoint.regional_name.as_ref().map(ToString::to_string),
        "private_names": strings(&endpoint.private_names),
        "network_interfaces": endpoint.interfaces.iter().map(|interface| json!({
            "subnet": &*world.network.subnets[interface.subnet].id,
            "address": interface.address,
            "ipv6_address": interface.ipv6_address,
            "healthy": interface.is_healthy,
        })).collect::<Vec<_>>(),
        "associations": endpoint.associations.iter().map(|association| json!({
            "id": association.id.as_deref(),
            "resource": &*association.resource,
            "dns_name": association.dns_name.as_ref().map(ToString::to_string),
            "private_dns_name": association.private_name.as_ref().map(ToString::to_string),
            "private_dns": association.is_private,
            "addresses": association.addresses.iter().map(|(_, address)| address).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    })
}

fn site(world: &World, index: Index<Site>, site: &Site) -> Value {
    json!({
        "id": &*site.id,
        "cidr": strings(&site.cidrs),
        "view": &*world.names.views[world.names.sites[index].view].name,
        "links": site.links.iter().map(|link| json!({
            "target": &*link.target,
            "vpc": linked_vpc(world, link),
        })).collect::<Vec<_>>(),
        "internet": site.has_internet,
    })
}

/// The ID of the VPC behind a link. `None` for a transit gateway, whose attachments determine the VPCs.
fn linked_vpc<'w>(world: &'w World, link: &Link) -> Option<&'w str> {
    match link.to {
        LinkedTo::Vpc(vpc) => Some(&world.network.vpcs[vpc].id),
        LinkedTo::TransitGateway(_) => None,
    }
}

fn strings(list: &[impl ToString]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}
