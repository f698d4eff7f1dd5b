//! Text representations of all kinds of objects.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::{Catalogue, Change, Fields, list};
use crate::world::{
    AclRules, AddressFamilies, AttachedTo, Claim, ClaimSource, Endpoint, EndpointAssociation, EndpointKind,
    GroupRule, Index, Instance, LinkedTo, Listener, NetworkAcl, NetworkInterface, Peer, Place, PlaceKind,
    PrivateDns, Profile, Rule, RuleKind, SecurityGroup, Server, Site, Subnet, TransitGateway, ViewId, Vpc,
    VpcPeeringConnection, VpcResolver, World,
};

/// Compares all objects except routes and zones.
pub(super) fn compare(old: &World, new: &World, changes: &mut Vec<Change>) {
    let mut compare_kind = |kind, catalogue: fn(&World) -> Catalogue| {
        catalogue(old).compare(&catalogue(new), kind, changes);
    };
    compare_kind("vpc", |world| {
        Catalogue::of(world.network.vpcs.indexed().map(|(index, it)| (text(&it.id), vpc(world, index, it))))
    });
    compare_kind("subnet", |world| {
        Catalogue::of(world.network.subnets.iter().map(|it| (text(&it.id), subnet(world, it))))
    });
    compare_kind("nat-gateway", |world| {
        let gateways = world.network.nat_gateways.iter().map(|it| {
            let subnet = list(it.subnet.map(|subnet| &world.network.subnets[subnet].id));
            let fields = vec![
                ("subnet", subnet),
                ("route_table", super::routes::table_id(world, it.route_table)),
                ("private_address", list(it.address)),
                ("public", it.is_public.to_string()),
            ];
            (text(&it.id), fields)
        });
        Catalogue::of(gateways)
    });
    compare_kind("endpoint", |world| {
        Catalogue::of(world.network.endpoints.iter().map(|it| (text(&it.id), endpoint(world, it))))
    });
    compare_kind("security-group", |world| {
        let groups = world.network.security_groups.iter();
        let fields = |it| vec![("ingress", ingress(world, it)), ("egress", egress(world, it))];
        Catalogue::of(groups.map(|it| (text(&it.id), fields(it))))
    });
    compare_kind("network-acl", |world| {
        let fields =
            |it: &NetworkAcl| vec![("ingress", acl_rules(&it.ingress)), ("egress", acl_rules(&it.egress))];
        Catalogue::of(world.network.network_acls.iter().map(|it| (text(&it.id), fields(it))))
    });
    compare_kind("peering-connection", |world| {
        let vpcs = |it: &VpcPeeringConnection| list(it.vpcs.map(|vpc| world.network.vpcs[vpc].id.clone()));
        Catalogue::of(
            world.network.peering_connections.iter().map(|it| (text(&it.id), vec![("vpcs", vpcs(it))])),
        )
    });
    compare_kind("transit-gateway", |world| {
        Catalogue::of(
            world.network.transit_gateways.iter().map(|it| (text(&it.id), transit_gateway(world, it))),
        )
    });
    compare_kind("instance", |world| {
        Catalogue::of(world.network.instances.iter().map(|it| (text(&it.id), instance(world, it))))
    });
    compare_kind("network-interface", |world| {
        let fields = |it: &NetworkInterface| {
            let groups = it.security_groups.iter().map(|group| &world.network.security_groups[*group].id);
            vec![
                ("subnet", text(&world.network.subnets[it.subnet].id)),
                ("public", it.is_public.to_string()),
                ("security_groups", list(groups)),
            ]
        };
        Catalogue::of(world.network.network_interfaces.iter().map(|it| (text(&it.id), fields(it))))
    });
    compare_kind("inbound-endpoint", |world| {
        let endpoints = world.names.inbound_endpoints.iter();
        Catalogue::of(endpoints.map(|it| (text(&it.id), vec![("vpc", text(&world.network.vpcs[it.vpc].id))])))
    });
    compare_kind("site", |world| {
        Catalogue::of(world.network.sites.indexed().map(|(index, it)| (text(&it.id), site(world, index, it))))
    });
    compare_kind("rule", |world| {
        let holders = Holders::of_world(world);
        Catalogue::of(world.names.rules.indexed().map(|(index, it)| {
            let mut fields = rule(world, it);
            let claim = match it.kind {
                RuleKind::Forward => Some(Claim::ForwardRule(index)),
                RuleKind::System => Some(Claim::SystemRule(index)),
                RuleKind::Delegate => None,
            };
            let views = match claim {
                Some(claim) => holders.of(world, claim),
                None => list(delegating(world, index)),
            };
            fields.push(("views", views));
            (text(&it.id), fields)
        }))
    });
    compare_kind("profile", |world| {
        Catalogue::of(world.names.profiles.indexed().map(|(index, it)| (text(&it.id), profile(world, index))))
    });
    compare_kind("client", |world| {
        let clients = world.network.places.clients();
        Catalogue::of(clients.map(|(source, place)| {
            (source.to_string(), vec![("place", place_kind(world, &world.network.places[place]))])
        }))
    });
    compare_kind("listener", |world| {
        Catalogue::of(world.settings.listeners.iter().map(|it| (it.address.to_string(), listener(world, it))))
    });
    compare_kind("setting", settings);
}

fn text(id: &Arc<str>) -> String {
    id.as_ref().to_owned()
}

fn vpc(world: &World, index: Index<Vpc>, it: &Vpc) -> Fields {
    let resolver = &world.names.resolvers[index];
    vec![
        ("region", it.region.as_str().to_owned()),
        ("account", it.account.as_deref().unwrap_or_default().to_owned()),
        ("cidr", list(&it.cidrs)),
        ("enable_dns_support", it.dns_support.to_string()),
        ("enable_dns_hostnames", it.dns_hostnames.to_string()),
        ("named_peers", list(resolver.dns_peers.iter().map(|peer| &world.network.vpcs[*peer].id))),
        ("internet_gateway", it.internet_gateway.as_deref().unwrap_or_default().to_owned()),
        ("service_network", it.has_service_network.to_string()),
    ]
}

fn subnet(world: &World, it: &Subnet) -> Fields {
    vec![
        ("vpc", text(&world.network.vpcs[it.vpc].id)),
        ("cidr", list(&it.cidrs)),
        ("availability_zone", text(&it.availability_zone)),
        ("route_table", super::routes::table_id(world, it.route_table)),
        ("network_acl", list(it.network_acl.map(|acl| &world.network.network_acls[acl].id))),
        ("map_public_ip_on_launch", list(it.map_public_ip_on_launch)),
        ("enable_dns64", it.dns64.to_string()),
    ]
}

fn endpoint(world: &World, it: &Endpoint) -> Fields {
    let private_dns = match it.private_dns {
        PrivateDns::Off => "off",
        PrivateDns::On => "on",
        PrivateDns::OnlyForInboundResolver => "only-for-inbound-resolver",
    };
    let interfaces = it.interfaces.iter().map(|interface| {
        let groups = interface.security_groups.iter().map(|group| &world.network.security_groups[*group].id);
        let groups =
            if interface.security_groups.is_empty() { String::new() } else { format!("[{}]", list(groups)) };
        let addresses = list(interface.addresses(AddressFamilies::BOTH));
        let health = if interface.is_healthy { "" } else { " unhealthy" };
        format!("{addresses}@{}{groups}{health}", world.network.subnets[interface.subnet].id)
    });
    let of_s3 = world.names.public.s3_families.get(&it.vpc).filter(|_| it.kind == EndpointKind::Gateway);
    let families = of_s3.map(|families| match (families.v4, families.v6) {
        (true, true) => "A,AAAA".to_owned(),
        (true, false) => "A".to_owned(),
        (false, _) => "AAAA".to_owned(),
    });
    vec![
        ("vpc", text(&world.network.vpcs[it.vpc].id)),
        ("type", it.kind.as_str().to_owned()),
        ("service", text(&it.service)),
        ("available", it.is_available.to_string()),
        ("private_dns", private_dns.to_owned()),
        ("private_names", list(&it.private_names)),
        ("dns_name", list(&it.regional_name)),
        ("associations", list(it.associations.iter().map(association))),
        ("record_types", families.unwrap_or_default()),
        ("counted_on_aaaa", it.is_ipv6_only.to_string()),
        ("network_interfaces", list(interfaces)),
        ("port", it.port.to_string()),
        ("prefixes", list(&it.prefixes)),
    ]
}

/// An association of an endpoint: its names, whether the private DNS name has a zone, and its own addresses.
fn association(it: &EndpointAssociation) -> String {
    let private = if it.is_private { "private" } else { "public" };
    format!(
        "{}={}/{}/{private}@{}",
        it.resource,
        list(&it.dns_name),
        list(&it.private_name),
        list(it.addresses.iter().map(|(_, address)| address))
    )
}

fn ingress(world: &World, group: &SecurityGroup) -> String {
    list(group.ingress.iter().map(|rule| group_rule(world, rule)))
}

fn egress(world: &World, group: &SecurityGroup) -> String {
    group
        .egress
        .as_ref()
        .map_or_else(|| "all".to_owned(), |rules| list(rules.iter().map(|rule| group_rule(world, rule))))
}

fn group_rule(world: &World, rule: &GroupRule) -> String {
    let peers = rule.peers.iter().map(|peer| match peer {
        Peer::Prefix(prefix) => prefix.to_string(),
        Peer::Group(group) => text(&world.network.security_groups[*group].id),
    });
    let protocol = if rule.is_tcp { "tcp" } else { "other" };
    format!("{protocol} {}-{} with {}", rule.from_port, rule.to_port, list(peers))
}

fn acl_rules(rules: &AclRules) -> String {
    list(rules.iter().map(|rule| {
        let action = if rule.allows { "allow" } else { "deny" };
        let protocol = if rule.is_tcp { "tcp" } else { "other" };
        format!("{} {action} {protocol} {}-{} {}", rule.number, rule.from_port, rule.to_port, rule.cidr)
    }))
}

fn instance(world: &World, it: &Instance) -> Fields {
    vec![
        ("subnet", text(&world.network.subnets[it.subnet].id)),
        ("address", list(it.address)),
        ("ipv6_address", list(it.ipv6_address)),
        ("public_address", list(it.public_address)),
        ("resource_name", format!("{:?}", it.resource_name)),
        (
            "security_groups",
            list(it.security_groups.iter().map(|group| &world.network.security_groups[*group].id)),
        ),
    ]
}

fn transit_gateway(world: &World, it: &TransitGateway) -> Fields {
    let name = |number: usize| it.attachments[number].id.to_string();
    let attachments = it.attachments.iter().map(|attachment| {
        let table = attachment.association.and_then(|number| it.route_tables[number].id.as_deref());
        let to = match &attachment.to {
            AttachedTo::Vpc(vpc, subnets) => {
                let subnets = list(subnets.iter().map(|subnet| &world.network.subnets[*subnet].id));
                format!("{} [{subnets}]", world.network.vpcs[*vpc].id)
            }
            AttachedTo::Site(site) => text(&world.network.sites[*site].id),
            AttachedTo::TransitGateway(other) => text(&world.network.transit_gateways[*other].id),
            AttachedTo::Unknown => "?".to_owned(),
        };
        format!("{} {to} by {}", attachment.id, table.unwrap_or("-"))
    });
    let routes = it.route_tables.iter().map(|table| {
        let routes = table.iter().map(|route| {
            let to = route.attachment.map_or_else(|| "blackhole".to_owned(), name);
            format!("{} {to}", route.destination)
        });
        format!("{}: {}", table.id.as_deref().unwrap_or("default"), list(routes))
    });
    let dns_members = list(it.dns_members.iter().map(|vpc| &world.network.vpcs[*vpc].id));
    vec![("attachments", list(attachments)), ("dns_support", dns_members), ("route_tables", list(routes))]
}

fn site(world: &World, index: Index<Site>, it: &Site) -> Fields {
    let links = it.links.iter().map(|link| match link.to {
        LinkedTo::Vpc(vpc) => format!("{}@{}", link.target, world.network.vpcs[vpc].id),
        LinkedTo::TransitGateway(_) => text(&link.target),
    });
    vec![
        ("cidr", list(&it.cidrs)),
        ("view", text(&world.names.views[world.names.sites[index].view].name)),
        ("links", list(links)),
        ("internet", it.has_internet.to_string()),
    ]
}

fn rule(world: &World, it: &Rule) -> Fields {
    let kind = match it.kind {
        RuleKind::Forward => "FORWARD",
        RuleKind::System => "SYSTEM",
        RuleKind::Delegate => "DELEGATE",
    };
    let upstream = it.upstream.map(|index| &world.names.upstreams[index].identity);
    vec![
        ("type", kind.to_owned()),
        ("domain", it.domain.to_string()),
        ("targets", list(upstream.iter().flat_map(|upstream| upstream.servers.iter().map(Server::describe)))),
        ("sources", list(it.sources.iter())),
    ]
}

/// The views of each claim.
pub(super) struct Holders {
    /// By claim.
    views: HashMap<Claim, Vec<ViewId>>,
}

impl Holders {
    /// Collects the views in one pass over all claims.
    pub(super) fn of_world(world: &World) -> Self {
        let mut views: HashMap<Claim, Vec<ViewId>> = HashMap::new();
        for scoped in world.names.claims.iter() {
            views.entry(scoped.claim).or_default().push(scoped.view);
        }
        Self { views }
    }

    /// The names of the views of a claim.
    pub(super) fn of(&self, world: &World, claim: Claim) -> String {
        let views = self.views.get(&claim).into_iter().flatten();
        let mut names: Vec<&str> = views.map(|view| &*world.names.views[*view].name).collect();
        names.sort_unstable();
        list(names)
    }
}

/// The contents and associations of a Profile.
fn profile(world: &World, index: Index<Profile>) -> Fields {
    let (mut resources, mut views) = (BTreeSet::new(), BTreeSet::new());
    for scoped in world.names.claims.iter() {
        if !matches!(scoped.source, ClaimSource::Profile { profile, .. } if profile == index) {
            continue;
        }
        views.insert(&*world.names.views[scoped.view].name);
        resources.extend(match scoped.claim {
            Claim::HostedZone(zone) => Some(&*world.names.hosted_zones[zone].id),
            Claim::Endpoint(zone) => {
                Some(&*world.network.endpoints[world.names.managed_zones[zone].endpoint].id)
            }
            Claim::ForwardRule(rule) | Claim::SystemRule(rule) => Some(&*world.names.rules[rule].id),
            Claim::GeneratedName(_) | Claim::Reverse(_) | Claim::PublicHostName(_) => None,
        });
    }
    vec![("resources", list(resources)), ("views", list(views))]
}

/// The VPCs of a DELEGATE rule.
fn delegating(world: &World, rule: Index<Rule>) -> Vec<Arc<str>> {
    let has = |resolver: &VpcResolver| resolver.delegations.iter().any(|(_, other)| *other == rule);
    let vpcs = world.names.resolvers.indexed().filter(|(_, resolver)| has(resolver));
    vpcs.map(|(vpc, _)| world.network.vpcs[vpc].id.clone()).collect()
}

fn place_kind(world: &World, place: &Place) -> String {
    match place.kind {
        PlaceKind::Subnet(subnet) => text(&world.network.subnets[subnet].id),
        PlaceKind::Site(site) => text(&world.network.sites[site].id),
        PlaceKind::Outside => "outside".to_owned(),
    }
}

fn listener(world: &World, it: &Listener) -> Fields {
    let view =
        it.view.map_or_else(|| "that of the client".to_owned(), |view| text(&world.names.views[view].name));
    vec![("view", view), ("transports", it.transports().join(" "))]
}

/// Sections that occur once.
fn settings(world: &World) -> Catalogue {
    let (answers, replies) = (&world.names.answers, &world.settings.replies);
    let annotate = &world.settings.annotate;
    let internet = world.names.internet.map(|index| &world.names.upstreams[index].identity.servers);
    let sections = [
        (
            "answers",
            vec![
                ("max_ttl", answers.max_ttl.to_string()),
                ("max_negative_ttl", answers.max_negative_ttl.to_string()),
                ("max_udp_payload", replies.max_udp_payload.to_string()),
                ("generated_name_ttl", answers.generated_name_ttl.to_string()),
                ("unused_ip_names", answers.unused_ip_names.to_string()),
                ("dns_support_off", format!("{:?}", answers.dns_support_off).to_lowercase()),
                ("negative_soa", format!("{:?}", replies.negative_soa).to_lowercase()),
                ("special_use_names", format!("{:?}", answers.special_use_names).to_lowercase()),
            ],
        ),
        (
            "annotate",
            vec![
                ("ede", format!("{:?}", annotate.ede).to_lowercase()),
                ("option", annotate.option.to_string()),
                ("chaos", annotate.chaos.to_string()),
                ("to", list(&annotate.to)),
            ],
        ),
        (
            "server",
            vec![
                ("allow", list(&world.settings.allow)),
                ("trust_client_subnet", list(&world.settings.trust_client_subnet)),
            ],
        ),
        (
            "internet",
            vec![("servers", list(internet.iter().flat_map(|servers| servers.iter().map(Server::describe))))],
        ),
    ];
    Catalogue::of(sections.into_iter().map(|(name, fields)| (name.to_owned(), fields)))
}
