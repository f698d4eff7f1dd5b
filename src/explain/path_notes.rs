//! Suggestions that name the route table or gateway of a particular path.

use std::net::IpAddr;

use super::routes;
use crate::net::{self, is_globally_routed};
use crate::resolve::{Class, EgressPath, Reason, RouteTableRef};
use crate::world::{NatGateway, World};

/// A sentence that is specific to this path. `None` if only the general suggestion for the reason applies.
pub(super) fn specific(world: &World, reason: Reason, address: IpAddr, path: &EgressPath) -> Option<String> {
    let described = sentence(world, reason, address, path)?;
    Some(described.strip_prefix("the ").map(|rest| format!("The {rest}")).unwrap_or(described))
}

fn sentence(world: &World, reason: Reason, address: IpAddr, path: &EgressPath) -> Option<String> {
    match reason {
        Reason::NoRoute => no_route(world, path),
        Reason::BlackholeRoute => transit_blackhole(world, path),
        Reason::EndpointNotAssociatedWithTable => translated_by_nat(world, address, path),
        Reason::NoReturnRoute => Some(no_return_route(world, path)),
        Reason::NatSubnetHasNoInternetRoute => Some(behind_nat(world, address, last_nat(world, path)?)),
        Reason::NoPublicAddress => no_public_address(world, address, path),
        Reason::TgwNoAttachmentInAz => Some(format!(
            "The attachment of this VPC to {} has no subnet in this Availability Zone: add one.",
            path.hops.last()?.id
        )),
        Reason::TgwNoRoute => Some(tgw_no_route(world, path)),
        Reason::AsymmetricRouting => Some(asymmetric(world, path)),
        Reason::SourceDestCheck => Some(format!(
            "Disable the source/destination check of {} so that it can forward traffic.",
            path.hops.last()?.id
        )),
        _ => None,
    }
}

fn no_route(world: &World, path: &EgressPath) -> Option<String> {
    if let Some(dropped_at) = path.dropped_at {
        return Some(format!("{} has no route to this address.", table(world, dropped_at.table)));
    }
    let site = path.hops.last()?;
    Some(format!("{} does not contain this address and has no internet uplink.", site.id))
}

/// A blackhole route in a transit gateway's route table may be intentional ("Create a static route", Amazon
/// VPC Transit Gateways).
fn transit_blackhole(world: &World, path: &EgressPath) -> Option<String> {
    let last = path.next_routes.last()?;
    let RouteTableRef::TransitGateway(..) = last.table else { return None };
    Some(format!(
        "{} drops traffic to {}: the route is a blackhole, configured as such or because its attachment was deleted.",
        table(world, last.table),
        last.destination
    ))
}

/// Traffic translated by a NAT gateway follows its route table, not the client's.
fn translated_by_nat(world: &World, address: IpAddr, path: &EgressPath) -> Option<String> {
    let nat = &world.network.nat_gateways[path.translated_by?];
    let embedded = IpAddr::V4(net::nat64_to_ipv4(address)?);
    let of_vpc = world.network.vpcs[nat.vpc].endpoints.iter().map(|index| &world.network.endpoints[*index]);
    let ids: Vec<_> =
        of_vpc.filter(|endpoint| endpoint.covers(embedded)).map(|endpoint| &*endpoint.id).collect();
    Some(format!(
        "Associate the gateway endpoint ({}) with {}, the route table of {}, at no charge.",
        ids.join(", "),
        table(world, RouteTableRef::Vpc(nat.route_table)),
        nat.id
    ))
}

fn no_return_route(world: &World, path: &EgressPath) -> String {
    let Some(dropped_at) = path.dropped_at else {
        return "No return path: the site contains the source address itself, or has no link to it."
            .to_owned();
    };
    let table = table(world, dropped_at.table);
    let Some(destination) = dropped_at.destination else {
        return format!("No return path: {table} has no route back to the source.");
    };
    let route = routes::route(world, dropped_at.table, destination);
    let target = route.map_or_else(|| "another target".into(), |route| route.target);
    match dropped_at.reason {
        Some(Reason::TgwNoAttachmentInAz) => format!(
            "No return path: {table} routes {destination} to {target}, whose attachment has no subnet in that Availability Zone."
        ),
        Some(reason) => {
            let reason = reason.as_str();
            format!("No return path: {table} routes {destination} to {target} ({reason}).")
        }
        None => format!(
            "No return path: {table} routes {destination} to {target}, which does not reach the source."
        ),
    }
}

fn behind_nat(world: &World, address: IpAddr, nat: &NatGateway) -> String {
    let table = table(world, RouteTableRef::Vpc(nat.route_table));
    let to = net::nat64_to_ipv4(address).map_or(address, IpAddr::V4);
    let is_for_internet = is_globally_routed(to);
    match nat.is_public && is_for_internet {
        true => {
            format!(
                "In {table}, the route table of {}, add a route for 0.0.0.0/0 to an internet gateway.",
                nat.id
            )
        }
        false if is_for_internet => format!(
            "{} is a private NAT gateway, and internet gateways do not carry its traffic: add a route to another network to {table}.",
            nat.id
        ),
        false => format!("{table}, the route table of {}, has no route to this address.", nat.id),
    }
}

fn no_public_address(world: &World, address: IpAddr, path: &EgressPath) -> Option<String> {
    if let Some(nat) = last_nat(world, path).filter(|nat| !nat.is_public) {
        return Some(format!(
            "{} is a private NAT gateway: internet gateways do not carry its traffic.",
            nat.id
        ));
    }
    let gateway = &path.hops.last()?.id;
    passes_transit_gateway(world, path).then(|| match address {
        IpAddr::V4(_) => format!(
            "{gateway} forwards only traffic of its own VPC: route traffic of other networks through a NAT gateway."
        ),
        IpAddr::V6(_) => format!(
            "{gateway} carries only traffic of its own VPC: add a route for IPv6 to the internet in the client's VPC."
        ),
    })
}

fn tgw_no_route(world: &World, path: &EgressPath) -> String {
    match path.dropped_at {
        Some(dropped_at) => format!(
            "{} has no route to the address: enable propagation from its attachment, or add a static route.",
            table(world, dropped_at.table)
        ),
        None => {
            "The attachment is not associated with a route table of the transit gateway: associate it with one."
                .to_owned()
        }
    }
}

fn asymmetric(world: &World, path: &EgressPath) -> String {
    let remedy = match passes_transit_gateway(world, path) {
        true => {
            "route both directions through them, and enable appliance mode for the attachment of their VPC"
        }
        false => "route return traffic through them",
    };
    format!(
        "Return traffic does not pass through the same Gateway Load Balancer endpoints, so stateful appliances drop it: {remedy}."
    )
}

/// Whether rules that refer to security groups cannot match at the end of a path.
pub(super) fn breaks_group_references(world: &World, path: &EgressPath) -> bool {
    let has_appliance = matches!(
        path.class,
        Class::GatewayLoadBalancerEndpoint | Class::NetworkInterface | Class::NatGateway
    );
    has_appliance || passes_transit_gateway(world, path)
}

fn passes_transit_gateway(world: &World, path: &EgressPath) -> bool {
    path.hops.iter().any(|hop| world.network.transit_gateways.iter().any(|gateway| gateway.id == hop.id))
}

/// The last NAT gateway on a path.
fn last_nat<'w>(world: &'w World, path: &EgressPath) -> Option<&'w NatGateway> {
    path.hops.iter().rev().find_map(|hop| world.network.nat_gateways.iter().find(|nat| nat.id == hop.id))
}

/// A description of a route table: its ID, or its owner.
fn table(world: &World, table: RouteTableRef) -> String {
    match table {
        RouteTableRef::Vpc(index) => match &world.network.route_tables[index].id {
            Some(id) => id.to_string(),
            None => "the route table".to_owned(),
        },
        RouteTableRef::TransitGateway(index, number) => {
            let gateway = &world.network.transit_gateways[index];
            match &gateway.route_tables[number].id {
                Some(id) => format!("{id} of {}", gateway.id),
                None => format!("the route table of {}", gateway.id),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::path::Path;

    use crate::config;
    use crate::explain::{PathExplanation, vantage};
    use crate::world::World;
    use crate::world::compile::compile;

    const CONFIG: &str = r#"
[[vpc]]
id = "vpc-1"
region = "ap-northeast-1"
cidr = ["10.1.0.0/16"]
internet_gateway = "igw-1"
virtual_private_gateway = "vgw-1"
subnet = [
  { id = "subnet-a", cidr = "10.1.1.0/24", availability_zone = "ap-northeast-1a", route_table = "rtb-a" },
  { id = "subnet-c", cidr = "10.1.2.0/24", availability_zone = "ap-northeast-1c", route_table = "rtb-a" },
  { id = "subnet-firewall", cidr = "10.1.3.0/24", availability_zone = "ap-northeast-1a", route_table = "rtb-firewall" },
  { id = "subnet-db", cidr = "10.1.4.0/24", availability_zone = "ap-northeast-1a", route_table = "rtb-db" },
]
route_table = [
  { id = "rtb-a", routes = [
    { destination = "10.2.0.0/16", target = "tgw-1" },
    { destination = "10.3.0.0/16", target = "tgw-1" },
    { destination = "10.4.0.0/16", target = "tgw-2" },
    { destination = "192.168.1.0/24", target = "vgw-1" },
    { destination = "172.16.0.0/16", target = "eni-firewall" },
    { destination = "172.17.0.0/16", target = "nat-private" },
    { destination = "0.0.0.0/0", target = "nat-private" },
  ] },
  { id = "rtb-firewall" },
  { id = "rtb-db", routes = [{ destination = "10.1.1.0/24", target = "eni-gone", state = "blackhole" }] },
]
nat_gateway = [{ id = "nat-private", subnet = "subnet-firewall", connectivity_type = "private" }]
network_interface = [{ id = "eni-firewall", subnet = "subnet-firewall", address = "10.1.3.10", source_dest_check = false }]

[[vpc]]
id = "vpc-2"
region = "ap-northeast-1"
cidr = ["10.2.0.0/16"]
subnet = [
  { id = "subnet-2a", cidr = "10.2.1.0/24", availability_zone = "ap-northeast-1a", route_table = "rtb-2" },
  { id = "subnet-2c", cidr = "10.2.2.0/24", availability_zone = "ap-northeast-1c", route_table = "rtb-2" },
]
route_table = [{ id = "rtb-2", routes = [{ destination = "10.1.0.0/16", target = "tgw-1" }] }]

[[transit_gateway]]
id = "tgw-1"
vpc_attachment = [
  { id = "tgw-attach-1", vpc = "vpc-1", subnets = ["subnet-a"] },
  { id = "tgw-attach-2", vpc = "vpc-2", subnets = ["subnet-2a"] },
]

[[transit_gateway]]
id = "tgw-2"
vpc_attachment = [{ id = "tgw-attach-3", vpc = "vpc-1" }]
route_table = [
  { id = "tgw-rtb-2", associations = ["tgw-attach-3"], routes = [{ destination = "10.4.2.0/24", state = "blackhole" }] },
]

[[site]]
id = "site-1"
cidr = ["192.168.1.0/24", "10.1.1.0/24"]
links = [{ target = "vgw-1", vpc = "vpc-1" }]
"#;

    fn world(text: &str) -> World {
        let read = |path: &Path| std::fs::read_to_string(path);
        let mut loaded = config::load_text(Path::new("test.toml"), text.to_owned(), &read);
        compile(&mut loaded).expect("the configuration is valid")
    }

    fn described(world: &World, from: &str, address: &str) -> String {
        let from = vantage(world, from, None).expect("a location");
        let address: IpAddr = address.parse().expect("an address");
        let suggestions = PathExplanation::of(world, from, address).suggestions;
        suggestions.into_iter().map(|line| line.text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_suggestion_names_what_drops_the_traffic() {
        let world = world(CONFIG);
        let described = |from: &str, address: &str| described(&world, from, address);
        // The table without a route is named, not the client's own.
        assert_eq!(described("subnet-a", "172.16.1.1"), "rtb-firewall has no route to this address.");
        assert_eq!(
            described("subnet-a", "10.3.1.1"),
            "The route table of tgw-1 has no route to the address: enable propagation from its attachment, or add a \
             static route."
        );
        assert_eq!(
            described("subnet-a", "10.4.2.1"),
            "tgw-rtb-2 of tgw-2 drops traffic to 10.4.2.0/24: the route is a blackhole, configured as such or because its \
             attachment was deleted."
        );
        // A route to an internet gateway does not help for a private NAT gateway.
        assert_eq!(
            described("subnet-a", "172.17.1.1"),
            "rtb-firewall, the route table of nat-private, has no route to this address."
        );
        assert!(described("subnet-a", "198.51.100.80").starts_with("nat-private is a private NAT gateway"));
        // The table that drops replies is named.
        assert_eq!(
            described("subnet-a", "10.1.4.9"),
            "No return path: rtb-db routes 10.1.1.0/24 to eni-gone (BLACKHOLE_ROUTE)."
        );
        assert_eq!(
            described("subnet-a", "10.2.2.9"),
            "No return path: rtb-2 routes 10.1.0.0/16 to tgw-1, whose attachment has no subnet in that Availability Zone."
        );
        assert_eq!(
            described("subnet-a", "192.168.1.9"),
            "No return path: the site contains the source address itself, or has no link to it."
        );
        assert!(
            described("subnet-c", "10.2.1.9")
                .starts_with("The attachment of this VPC to tgw-1 has no subnet in this Availability Zone")
        );
        assert_eq!(described("subnet-c", "192.168.1.9"), "");
    }

    #[test]
    fn a_route_that_bypasses_a_gateway_endpoint_is_named() {
        let world = world(
            r#"
[[vpc]]
id = "vpc-1"
region = "ap-northeast-1"
cidr = ["10.1.0.0/16"]
internet_gateway = "igw-1"
subnet = [{ id = "subnet-a", cidr = "10.1.1.0/24", availability_zone = "ap-northeast-1a", map_public_ip_on_launch = true }]
route_table = [{ id = "rtb-1", main = true, routes = [
  { destination = "pl-61a54008", target = "vpce-s3" },
  { destination = "52.219.0.0/20", target = "igw-1" },
] }]
endpoint = [{ id = "vpce-s3", type = "Gateway", service = "com.amazonaws.ap-northeast-1.s3" }]
"#,
        );
        assert_eq!(
            described(&world, "subnet-a", "52.219.0.9"),
            "The route 52.219.0.0/20 of rtb-1 takes precedence over those to vpce-s3: remove it, or make it less specific."
        );
    }

    #[test]
    fn a_gateway_endpoint_for_ipv4_only_is_named_where_ipv6_bypasses_it() {
        let text = |more: &str| {
            format!(
                r#"
[[vpc]]
id = "vpc-1"
region = "ap-northeast-1"
cidr = ["10.1.0.0/16", "2001:db8:1::/56"]
subnet = [{{ id = "subnet-a", cidr = "10.1.1.0/24", ipv6_cidr = "2001:db8:1:1::/64", availability_zone = "ap-northeast-1a" }}]
route_table = [{{ id = "rtb-1", main = true, routes = [
  {{ destination = "pl-61a54008", target = "vpce-s3" }},
  {{ destination = "::/0", target = "eigw-1" }},
] }}]
endpoint = [{{ id = "vpce-s3", type = "Gateway", service = "com.amazonaws.ap-northeast-1.s3"{more} }}]
"#
            )
        };
        let s3 = "2406:da60:40a0:ec36:d536:50de:a52b:5b73";
        assert_eq!(
            described(&world(&text("")), "subnet-a", s3),
            "vpce-s3 supports only IPv4: enable IPv6 for it, or let clients use the A record."
        );
        // It supports IPv6, with a prefix list whose entries are unknown.
        assert_eq!(described(&world(&text(r#", ip_address_type = "dualstack""#)), "subnet-a", s3), "");
    }

    const NAT64: &str = r#"
[[vpc]]
id = "vpc-1"
region = "ap-northeast-1"
cidr = ["10.1.0.0/16", "2001:db8:1::/56"]
internet_gateway = "igw-1"
subnet = [
  { id = "subnet-six", ipv6_cidr = "2001:db8:1:1::/64", availability_zone = "ap-northeast-1a", route_table = "rtb-a" },
  { id = "subnet-both", cidr = "10.1.2.0/24", ipv6_cidr = "2001:db8:1:2::/64", availability_zone = "ap-northeast-1a", route_table = "rtb-a" },
  { id = "subnet-nat", cidr = "10.1.3.0/24", availability_zone = "ap-northeast-1a", route_table = "rtb-nat" },
]
route_table = [
  { id = "rtb-a", routes = [{ destination = "64:ff9b::/96", target = "nat-1" }, { destination = "pl-61a54008", target = "vpce-s3" }] },
  { id = "rtb-nat", routes = [{ destination = "0.0.0.0/0", target = "igw-1" }] },
]
nat_gateway = [{ id = "nat-1", subnet = "subnet-nat", public_address = "203.0.113.9" }]
endpoint = [{ id = "vpce-s3", type = "Gateway", service = "com.amazonaws.ap-northeast-1.s3" }]
"#;

    #[test]
    fn translated_traffic_is_described_by_the_nat_gateways_table() {
        let world = world(NAT64);
        // 52.219.0.9 belongs to S3.
        assert_eq!(
            described(&world, "subnet-six", "64:ff9b::34db:9"),
            "Associate the gateway endpoint (vpce-s3) with rtb-nat, the route table of nat-1, at no charge."
        );
        assert_eq!(
            described(&world, "subnet-both", "64:ff9b::34db:9"),
            "IPv4 traffic to this address uses vpce-s3, but traffic to the synthesised IPv6 address does not: let clients use \
             the A record, or disable DNS64 for clients with IPv4."
        );
    }
}
