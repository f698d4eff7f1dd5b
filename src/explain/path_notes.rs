//! What could be changed on one way: which table, which gateway.

use std::net::IpAddr;

use super::routes;
use crate::net::{self, is_globally_routed};
use crate::resolve::{Class, EgressPath, RouteTableRef, Reason};
use crate::world::{NatGateway, World};

/// A sentence that speaks of this way alone. `None`: what is said of the reason everywhere is all there is to say.
pub fn told(world: &World, reason: Reason, address: IpAddr, path: &EgressPath) -> Option<String> {
    let told = sentence(world, reason, address, path)?;
    Some(told.strip_prefix("the ").map(|rest| format!("The {rest}")).unwrap_or(told))
}

fn sentence(world: &World, reason: Reason, address: IpAddr, path: &EgressPath) -> Option<String> {
    match reason {
        Reason::NoRoute => no_route(world, path),
        Reason::BlackholeRoute => transit_blackhole(world, path),
        Reason::EndpointNotAssociatedWithTable => behind_translation(world, address, path),
        Reason::NoReturnRoute => Some(no_return_route(world, path)),
        Reason::NatSubnetHasNoInternetRoute => Some(behind_nat(world, address, last_nat(world, path)?)),
        Reason::NoPublicAddress => no_public_address(world, address, path),
        Reason::TgwNoAttachmentInAz => Some(format!(
            "{} has no attachment in this zone: give its attachment of this VPC a subnet there.",
            path.hops.last()?.id
        )),
        Reason::TgwNoRoute => Some(tgw_no_route(world, path)),
        Reason::AsymmetricRouting => Some(asymmetric(world, path)),
        Reason::SourceDestCheck => Some(format!(
            "{} passes on only what is its own: turn off its source and destination check.",
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
    Some(format!("{} does not have this address, and has no uplink of its own.", site.id))
}

/// A blackhole in a transit gateway's table may stand there on purpose ("Create a static route", Amazon VPC Transit Gateways).
fn transit_blackhole(world: &World, path: &EgressPath) -> Option<String> {
    let last = path.next_routes.last()?;
    let RouteTableRef::TransitGateway(..) = last.table else { return None };
    Some(format!(
        "{} drops what goes to {}: its route is a blackhole, written as one or left by an attachment that is gone.",
        table(world, last.table),
        last.destination
    ))
}

/// What a NAT gateway makes IPv4 of goes by its table, and not by the client's.
fn behind_translation(world: &World, address: IpAddr, path: &EgressPath) -> Option<String> {
    let nat = &world.nat_gateways[path.translated_by?];
    let embedded = IpAddr::V4(net::nat64_embedded(address)?);
    let of_vpc = world.vpcs[nat.vpc].endpoints.iter().map(|index| &world.endpoints[*index]);
    let ids: Vec<_> =
        of_vpc.filter(|endpoint| endpoint.covers(embedded)).map(|endpoint| &*endpoint.id).collect();
    Some(format!(
        "Associate the gateway endpoint ({}) with {}, which {} sends by: it costs nothing.",
        ids.join(", "),
        table(world, RouteTableRef::Vpc(nat.route_table)),
        nat.id
    ))
}

fn no_return_route(world: &World, path: &EgressPath) -> String {
    let Some(dropped_at) = path.dropped_at else {
        return "Replies do not come back: the site has the sender's address itself, or no link to it."
            .to_owned();
    };
    let table = table(world, dropped_at.table);
    let Some(destination) = dropped_at.destination else {
        return format!("Replies do not come back: {table} has no route to the sender.");
    };
    let route = routes::route(world, dropped_at.table, destination);
    let target = route.map_or_else(|| "elsewhere".into(), |route| route.target);
    match dropped_at.reason {
        Some(Reason::TgwNoAttachmentInAz) => format!(
            "Replies do not come back: {table} leads them by {destination} to {target}, which has no attachment in their zone."
        ),
        Some(reason) => {
            let reason = reason.as_str();
            format!("Replies do not come back: {table} leads them by {destination} to {target} ({reason}).")
        }
        None => format!(
            "Replies do not come back: {table} leads them by {destination} to {target}, past the sender."
        ),
    }
}

fn behind_nat(world: &World, address: IpAddr, nat: &NatGateway) -> String {
    let table = table(world, RouteTableRef::Vpc(nat.route_table));
    let to = net::nat64_embedded(address).map_or(address, IpAddr::V4);
    let is_for_internet = is_globally_routed(to);
    match nat.is_public && is_for_internet {
        true => {
            format!("{table}, which {} sends by, needs a route 0.0.0.0/0 to an internet gateway.", nat.id)
        }
        false if is_for_internet => format!(
            "{} is private, and no internet gateway carries what it sends: {table} would have to lead on to another network.",
            nat.id
        ),
        false => format!("{table}, which {} sends by, has no route to this address.", nat.id),
    }
}

fn no_public_address(world: &World, address: IpAddr, path: &EgressPath) -> Option<String> {
    if let Some(nat) = last_nat(world, path).filter(|nat| !nat.is_public) {
        return Some(format!("{} is private: no internet gateway carries what it sends.", nat.id));
    }
    let gateway = &path.hops.last()?.id;
    passes_transit_gateway(world, path).then(|| match address {
        IpAddr::V4(_) => format!(
            "{gateway} carries its own VPC's traffic alone: what comes from elsewhere needs a NAT gateway before it."
        ),
        IpAddr::V6(_) => format!(
            "{gateway} carries its own VPC's traffic alone: give the client's own VPC a way to the internet over IPv6."
        ),
    })
}

fn tgw_no_route(world: &World, path: &EgressPath) -> String {
    match path.dropped_at {
        Some(dropped_at) => format!(
            "{} has no route to the address: propagate the attachment that has it there, or write a static route.",
            table(world, dropped_at.table)
        ),
        None => {
            "The attachment is associated with no route table of the transit gateway: associate it with one."
                .to_owned()
        }
    }
}

fn asymmetric(world: &World, path: &EgressPath) -> String {
    let to_mend = match passes_transit_gateway(world, path) {
        true => "route both ways by them, and turn appliance mode on for the attachment of their VPC",
        false => "route replies back by them",
    };
    format!(
        "Replies do not pass the same Gateway Load Balancer endpoints, and an appliance that keeps connections drops them: \
         {to_mend}."
    )
}

/// Whether a way passes what makes rules that name groups mean nothing, or nothing to an endpoint at least.
pub fn leave_groups_behind(world: &World, path: &EgressPath) -> bool {
    let has_appliance = matches!(
        path.class,
        Class::GatewayLoadBalancerEndpoint | Class::NetworkInterface | Class::NatGateway
    );
    has_appliance || passes_transit_gateway(world, path)
}

fn passes_transit_gateway(world: &World, path: &EgressPath) -> bool {
    path.hops.iter().any(|hop| world.transit_gateways.iter().any(|gateway| gateway.id == hop.id))
}

/// The last NAT gateway on a way.
fn last_nat<'w>(world: &'w World, path: &EgressPath) -> Option<&'w NatGateway> {
    path.hops.iter().rev().find_map(|hop| world.nat_gateways.iter().find(|nat| nat.id == hop.id))
}

/// A table by its id, or by what it belongs to.
fn table(world: &World, table: RouteTableRef) -> String {
    match table {
        RouteTableRef::Vpc(index) => match &world.route_tables[index].id {
            Some(id) => id.to_string(),
            None => "the route table".to_owned(),
        },
        RouteTableRef::TransitGateway(index, number) => {
            let gateway = &world.transit_gateways[index];
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
        let nothing = |path: &Path| std::fs::read_to_string(path);
        let mut loaded = config::load_text(Path::new("test.toml"), text.to_owned(), &nothing);
        compile(&mut loaded).expect("nothing is wrong")
    }

    fn told(world: &World, from: &str, address: &str) -> String {
        let from = vantage(world, from, None).expect("it is a place");
        let address: IpAddr = address.parse().expect("an address");
        PathExplanation::of(world, from, address).advice.join(" ")
    }

    #[test]
    fn a_way_is_told_of_by_what_loses_it() {
        let world = world(CONFIG);
        let told = |from: &str, address: &str| told(&world, from, address);
        // The table that has no route, and not the client's own.
        assert_eq!(told("subnet-a", "172.16.1.1"), "rtb-firewall has no route to this address.");
        assert_eq!(
            told("subnet-a", "10.3.1.1"),
            "The route table of tgw-1 has no route to the address: propagate the attachment that has it there, or write a \
             static route."
        );
        assert_eq!(
            told("subnet-a", "10.4.2.1"),
            "tgw-rtb-2 of tgw-2 drops what goes to 10.4.2.0/24: its route is a blackhole, written as one or left by an \
             attachment that is gone."
        );
        // An internet gateway would not help a private NAT gateway.
        assert_eq!(
            told("subnet-a", "172.17.1.1"),
            "rtb-firewall, which nat-private sends by, has no route to this address."
        );
        assert!(
            told("subnet-a", "198.51.100.80").starts_with("nat-private is private, and no internet gateway")
        );
        // Whose table loses the replies, and how.
        assert_eq!(
            told("subnet-a", "10.1.4.9"),
            "Replies do not come back: rtb-db leads them by 10.1.1.0/24 to eni-gone (BLACKHOLE_ROUTE)."
        );
        assert_eq!(
            told("subnet-a", "10.2.2.9"),
            "Replies do not come back: rtb-2 leads them by 10.1.0.0/16 to tgw-1, which has no attachment in their zone."
        );
        assert_eq!(
            told("subnet-a", "192.168.1.9"),
            "Replies do not come back: the site has the sender's address itself, or no link to it."
        );
        assert!(told("subnet-c", "10.2.1.9").starts_with("tgw-1 has no attachment in this zone"));
        assert_eq!(told("subnet-c", "192.168.1.9"), "");
    }

    #[test]
    fn a_route_past_a_gateway_endpoint_is_named() {
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
            told(&world, "subnet-a", "52.219.0.9"),
            "The route 52.219.0.0/20 of rtb-1 goes before those to vpce-s3: take it away, or make it narrower."
        );
    }

    #[test]
    fn a_gateway_endpoint_of_ipv4_alone_is_named_where_ipv6_goes_past_it() {
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
            told(&world(&text("")), "subnet-a", s3),
            "vpce-s3 carries IPv4 alone: have it carry IPv6 too, or have clients use the A record."
        );
        // It carries IPv6, by a prefix list that nobody gave.
        assert_eq!(told(&world(&text(r#", ip_address_type = "dualstack""#)), "subnet-a", s3), "");
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
    fn what_is_translated_is_told_of_by_the_table_that_it_goes_by() {
        let world = world(NAT64);
        // 52.219.0.9, which S3 has.
        assert_eq!(
            told(&world, "subnet-six", "64:ff9b::34db:9"),
            "Associate the gateway endpoint (vpce-s3) with rtb-nat, which nat-1 sends by: it costs nothing."
        );
        assert_eq!(
            told(&world, "subnet-both", "64:ff9b::34db:9"),
            "IPv4 traffic to this address goes by vpce-s3, and what is made from it for IPv6 goes past that: have clients use \
             the A record, or turn DNS64 off where they have IPv4."
        );
    }
}
