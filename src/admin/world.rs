//! `GET /v1/world`: what is being served.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::Admin;
use crate::world::{PrivateDns, World};

/// The world as JSON: its objects by id, not their inner workings.
pub async fn world(State(admin): State<Admin>) -> Json<Value> {
    Json(value(&admin.live.load()))
}

fn value(world: &World) -> Value {
    let names = |list: &[ipnet::IpNet]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let vpcs: Vec<Value> = world
        .vpcs
        .indexed()
        .map(|(index, vpc)| {
            let subnets = world.subnets.iter().filter(|subnet| subnet.vpc == index);
            json!({
                "id": &*vpc.id,
                "region": vpc.region.as_str(),
                "cidr": names(&vpc.cidrs),
                "enable_dns_support": vpc.dns_support,
                "enable_dns_hostnames": vpc.dns_hostnames,
                "subnets": subnets.map(|subnet| json!({
                    "id": &*subnet.id,
                    "cidr": names(&subnet.cidrs),
                    "availability_zone": &*subnet.availability_zone,
                    "route_table": world.route_tables[subnet.route_table].id.as_deref(),
                })).collect::<Vec<_>>(),
            })
        })
        .collect();
    let endpoints: Vec<Value> = world
        .endpoints
        .iter()
        .map(|endpoint| {
            json!({
                "id": &*endpoint.id,
                "vpc": &*world.vpcs[endpoint.vpc].id,
                "type": endpoint.kind.as_str(),
                "service": &*endpoint.service,
                "private_dns": match endpoint.private_dns {
                    PrivateDns::Off => "off",
                    PrivateDns::On => "on",
                    PrivateDns::OnlyForInboundResolver => "only-for-inbound-resolver",
                },
                "dns_name": endpoint.regional_name.as_ref().map(ToString::to_string),
                "private_names": endpoint.private_names.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "network_interfaces": endpoint.interfaces.iter().map(|interface| json!({
                    "subnet": &*world.subnets[interface.subnet].id,
                    "address": interface.address,
                    "ipv6_address": interface.ipv6_address,
                })).collect::<Vec<_>>(),
            })
        })
        .collect();
    let sites: Vec<Value> = world
        .sites
        .iter()
        .map(|site| {
            json!({
                "id": &*site.id,
                "cidr": names(&site.cidrs),
                "view": &*world.views[site.view].name,
                "links": site.links.iter().map(|link| json!({
                    "target": &*link.target,
                    "vpc": &*world.vpcs[link.vpc].id,
                })).collect::<Vec<_>>(),
                "internet": site.has_internet,
            })
        })
        .collect();
    json!({
        "hash": world.hash,
        "listeners": world.listeners.iter().map(|listener| json!({
            "address": listener.address,
            "view": listener.view.map(|view| &*world.views[view].name),
            "transports": listener.transports(),
            "path": listener.http_path(),
        })).collect::<Vec<_>>(),
        "vpcs": vpcs,
        "endpoints": endpoints,
        "sites": sites,
        "hosted_zones": world.hosted_zones.iter().map(|zone| json!({
            "id": &*zone.id,
            "name": zone.zone.apex().to_string(),
            "names": zone.zone.name_count(),
        })).collect::<Vec<_>>(),
        "rules": world.rules.iter().map(|rule| json!({
            "id": &*rule.id,
            "domain": rule.domain.to_string(),
            "targets": rule.upstream.map(|upstream| {
                world.upstreams[upstream].identity.servers.iter().map(ToString::to_string).collect::<Vec<_>>()
            }),
        })).collect::<Vec<_>>(),
        "clients": world.places.clients().map(|(source, place)| json!({
            "source": source.to_string(),
            "place": &*world.place_name(place),
        })).collect::<Vec<_>>(),
        "places": world.places.len(),
        "claims": world.claims.name_count(),
    })
}
