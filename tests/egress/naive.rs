//! An egress path found by sequential search, independent of the engine.

use std::net::IpAddr;

use ipnet::IpNet;
use plustwo::resolve::{Class, Reach, Reason};

use crate::model::*;

mod filters;

/// Maximum number of route tables that a packet may traverse.
const MAX_TABLES: usize = 64;
/// Maximum number of consecutive transit gateways.
const MAX_GATEWAYS: usize = 64;

/// The result for a path.
#[derive(Clone, Debug)]
pub(crate) struct NaivePath {
    pub class: Class,
    pub matched: Option<IpNet>,
    pub reach: Reach,
    pub reason: Option<Reason>,
    /// Whether the source address is one of several possible ones where a filter is evaluated.
    pub is_loose: bool,
}

impl NaivePath {
    pub(crate) fn words(&self) -> (Class, Option<IpNet>, Reach, Option<Reason>) {
        (self.class, self.matched, self.reach, self.reason)
    }
}

/// The verdict of a filter, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Stops,
    Unknown,
    Passes,
}

/// Whether rules that refer to the peer's security groups can match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Groups {
    Never,
    Unknown,
    ByMembership,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    Client,
    PublicNat,
    PrivateNat,
    PublicAppliance,
}

/// The end of a packet's path.
#[derive(Clone, Debug, PartialEq)]
enum End {
    InVpc(usize),
    AtSite,
    Outside,
    Dead(Reason),
    Unknown(Option<Reason>),
}

/// A packet.
struct Packet<'n> {
    net: &'n Net,
    client: &'n Client,
    to: IpAddr,
    /// One address or, if undeclared, some of the possible ones.
    from: Vec<IpAddr>,
    sender: Sender,
    groups: Groups,
    /// Where replies must arrive.
    home: usize,
    /// The VPC and subnet of its position.
    at: (usize, Option<usize>),
    is_from_other_vpc: bool,
    is_reply: bool,
    is_translated: bool,
    /// The VPCs whose Gateway Load Balancer endpoint this sender's packets pass through.
    inspected: Vec<usize>,
    /// Whether replies pass through different Gateway Load Balancer endpoints from the requests.
    is_asymmetric: bool,
    tables: usize,
    /// The VPC, the network ACL, the direction, source and destination.
    crossings: Vec<(usize, usize, bool, Vec<IpAddr>, IpAddr)>,
    class: Class,
    matched: Option<IpNet>,
}

pub(crate) fn path(net: &Net, client: &Client, to: IpAddr) -> NaivePath {
    let source = client.address_for(to).unwrap();
    let mut packet = Packet::new(net, client, to, source, (client.vpc, Some(client.subnet)));
    let end = packet.follow(net.vpcs[client.vpc].subnets[client.subnet].table, Reason::NoRoute);
    if packet.matched.is_none() {
        packet.class = Class::Unreachable;
    }
    let outcome = |reach, reason| NaivePath {
        class: packet.class,
        matched: packet.matched,
        reach,
        reason,
        is_loose: packet.crossings.iter().any(|crossing| crossing.3.len() > 1) || packet.from.len() > 1,
    };
    match end {
        End::Dead(reason) => return outcome(Reach::Dead, Some(reason)),
        End::Unknown(reason) => return outcome(Reach::Unknown, reason),
        End::InVpc(_) | End::AtSite | End::Outside => {}
    }
    let mut verdicts = Vec::new();
    packet.client_groups(to, &end, &mut verdicts);
    packet.acls(&mut verdicts);
    packet.owner_groups(&end, &mut verdicts);
    if let Some((_, reason)) = verdicts.iter().find(|(verdict, _)| *verdict == Verdict::Stops) {
        return outcome(Reach::Blocked, Some(*reason));
    }
    if packet.is_asymmetric {
        return outcome(Reach::Unknown, Some(Reason::AsymmetricRouting));
    }
    match verdicts.iter().any(|(verdict, _)| *verdict == Verdict::Unknown) {
        true => outcome(Reach::Unknown, None),
        false => outcome(Reach::Ok, None),
    }
}

fn is_public(address: IpAddr) -> bool {
    let private = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "64:ff9b::/96"];
    !private.iter().any(|net| cidr(net).contains(&address))
}

fn is_nat64(address: IpAddr) -> bool {
    cidr("64:ff9b::/96").contains(&address)
}

impl<'n> Packet<'n> {
    fn new(net: &'n Net, client: &'n Client, to: IpAddr, from: IpAddr, at: (usize, Option<usize>)) -> Self {
        Self {
            net,
            client,
            to,
            from: vec![from],
            sender: Sender::Client,
            groups: Groups::ByMembership,
            home: at.0,
            at,
            is_from_other_vpc: false,
            is_reply: false,
            is_translated: false,
            inspected: Vec::new(),
            is_asymmetric: false,
            tables: 0,
            crossings: Vec::new(),
            class: Class::Unknown,
            matched: None,
        }
    }

    fn vpc(&self) -> &'n Vpc {
        &self.net.vpcs[self.at.0]
    }

    fn is_in(&self, subnet: usize) -> bool {
        self.vpc().subnets[subnet].cidrs.iter().any(|net| net.contains(&self.to))
    }

    /// The route of a table: the longest prefix, then the rank, then the order of declaration.
    fn best(&self, table: usize) -> Option<(IpNet, Option<&'n Route>)> {
        let n = self.at.0 + 1;
        let mut best: Option<(IpNet, Rank, Option<&'n Route>)> = None;
        let mut offer = |net: IpNet, rank: Rank, route: Option<&'n Route>| {
            let is_better = best.is_none_or(|(have, have_rank, _)| {
                net.prefix_len() > have.prefix_len()
                    || (net.prefix_len() == have.prefix_len() && rank < have_rank)
            });
            if net.contains(&self.to) && is_better {
                best = Some((net, rank, route));
            }
        };
        let own = [cidr(&format!("10.{n}.0.0/16")), cidr(&format!("2001:db8:{n}::/56"))];
        for net in own {
            offer(net, Rank::Local, None);
        }
        for route in &self.vpc().tables[table] {
            for net in prefixes(&route.to) {
                let is_propagated =
                    matches!(route.rank, Rank::DirectConnect | Rank::VpnStatic | Rank::VpnBgp);
                // Propagated routes never override the VPC's own addresses.
                if !(is_propagated && own.iter().any(|own| own.contains(&net))) {
                    offer(net, route.rank, Some(route));
                }
            }
        }
        // Hosts of one subnet reach each other without a route table.
        if self.at.1.is_some_and(|subnet| self.is_in(subnet)) {
            return own.into_iter().find(|net| net.contains(&self.to)).map(|net| (net, None));
        }
        best.map(|(net, _, route)| (net, route))
    }

    fn leave(&mut self) {
        if let (vpc, Some(subnet)) = self.at
            && let Some(acl) = self.vpc().subnets[subnet].acl
        {
            self.crossings.push((vpc, acl, true, self.from.clone(), self.to));
        }
    }

    fn enter(&mut self, subnet: usize) {
        if self.at.1 != Some(subnet)
            && let Some(acl) = self.vpc().subnets[subnet].acl
        {
            self.crossings.push((self.at.0, acl, false, self.from.clone(), self.to));
        }
        self.at.1 = Some(subnet);
    }

    fn follow(&mut self, table: usize, no_route: Reason) -> End {
        self.tables += 1;
        if self.tables > MAX_TABLES {
            return End::Dead(Reason::RoutingLoop);
        }
        let is_first = self.tables == 1;
        let Some((net, route)) = self.best(table) else { return End::Dead(no_route) };
        if is_first {
            self.matched = Some(net);
            self.class = Class::Local;
        }
        let Some(route) = route else {
            if self.at.1.is_some_and(|subnet| !self.is_in(subnet)) {
                self.leave();
            }
            return self.arrive();
        };
        if is_first {
            self.class = match route.target {
                _ if route.state != "active" => Class::Blackhole,
                Target::InternetGateway => Class::InternetGateway,
                Target::EgressOnly => Class::EgressOnlyInternetGateway,
                Target::Nat(_) => Class::NatGateway,
                Target::Peering(_) => Class::VpcPeering,
                Target::Transit(_) => Class::TransitGateway,
                Target::Private => Class::VirtualPrivateGateway,
                Target::Gateway => Class::GatewayEndpoint,
                Target::LoadBalancer => Class::GatewayLoadBalancerEndpoint,
                Target::Appliance => Class::NetworkInterface,
                Target::Carrier => Class::CarrierGateway,
            };
        }
        if route.state != "active" {
            return End::Dead(Reason::BlackholeRoute);
        }
        let own_subnet = match route.target {
            Target::Nat(number) => self.vpc().nats[number].subnet,
            Target::LoadBalancer | Target::Appliance => Some(2),
            _ => None,
        };
        // Within a subnet no boundary is crossed.
        if own_subnet.is_none() || own_subnet != self.at.1 {
            self.leave();
        }
        let may_translate = matches!(
            route.target,
            Target::Nat(_) | Target::Transit(_) | Target::LoadBalancer | Target::Appliance
        );
        if is_nat64(self.to) && !may_translate {
            return End::Dead(Reason::Nat64PrefixWithoutNat);
        }
        match route.target {
            Target::InternetGateway | Target::EgressOnly => self.internet(),
            Target::Nat(number) => self.nat(number),
            Target::Peering(number) => self.peering(number),
            Target::Transit(number) => self.transit(number),
            Target::Private => self.private(),
            Target::Gateway if self.is_from_other_vpc => End::Dead(Reason::GatewayEndpointNotTransitive),
            Target::Gateway => End::Outside,
            Target::LoadBalancer => {
                self.groups = Groups::Never;
                self.enter(2);
                self.inspected.push(self.at.0);
                self.follow(self.vpc().subnets[2].table, Reason::NoRoute)
            }
            Target::Appliance => {
                let Kind::Appliance { is_public, forwards: passes_on } = self.vpc().interfaces[3].kind else {
                    unreachable!()
                };
                if self.vpc().interfaces[3].addresses.contains(&self.to) {
                    return self.arrive();
                }
                if !passes_on {
                    return End::Dead(Reason::SourceDestCheck);
                }
                self.groups = Groups::Never;
                self.enter(2);
                // One without a public address does not change the sender.
                if is_public {
                    self.sender = Sender::PublicAppliance;
                }
                self.follow(self.vpc().subnets[2].table, Reason::NoRoute)
            }
            Target::Carrier => End::Unknown(Some(Reason::TargetNotModelled)),
        }
    }

    /// The interface with the address.
    fn owner(&self) -> Option<&'n Interface> {
        self.vpc().interfaces.iter().find(|own| own.addresses.contains(&self.to))
    }

    fn arrive(&mut self) -> End {
        let subnet = (0..3).find(|subnet| self.is_in(*subnet));
        if let Some(subnet) = subnet {
            self.enter(subnet);
        }
        if self.class == Class::Local && self.owner().is_some_and(|own| own.kind == Kind::Endpoint) {
            self.class = Class::InterfaceEndpoint;
        }
        let table = subnet.map(|subnet| self.vpc().subnets[subnet].table);
        match self.replies_arrive(subnet, table) {
            true => End::InVpc(self.at.0),
            false => End::Dead(Reason::NoReturnRoute),
        }
    }

    /// Whether replies from a VPC reach the sender.
    fn replies_arrive(&mut self, subnet: Option<usize>, table: Option<usize>) -> bool {
        let Some(table) = table else { return true };
        if self.is_reply {
            return true;
        }
        let at = (self.at.0, subnet);
        self.all_replies(at, |reply| reply.follow(table, Reason::NoRoute))
    }

    /// Whether replies that `send` sends arrive, for all possible addresses of the sender.
    fn all_replies(&mut self, at: (usize, Option<usize>), send: impl Fn(&mut Self) -> End) -> bool {
        let mut is_asymmetric = false;
        for from in &self.from {
            let mut reply = Packet::new(self.net, self.client, *from, self.to, at);
            reply.is_reply = true;
            let end = send(&mut reply);
            if !self.is_home(&end, &reply) {
                return false;
            }
            let (mut forth, mut back) = (self.inspected.clone(), reply.inspected);
            forth.sort();
            back.sort();
            is_asymmetric |= forth != back && !matches!(end, End::Unknown(_));
        }
        self.is_asymmetric |= is_asymmetric;
        true
    }

    fn is_home(&self, end: &End, reply: &Packet<'_>) -> bool {
        match end {
            End::InVpc(vpc) => *vpc == self.home && !reply.is_translated,
            End::Unknown(_) => true,
            End::AtSite | End::Outside | End::Dead(_) => false,
        }
    }

    fn internet(&mut self) -> End {
        if !is_public(self.to) {
            return End::Dead(Reason::PrivateAddressToInternet);
        }
        let client = self.client;
        let home = &self.net.vpcs[client.vpc];
        let has = match self.sender {
            Sender::PublicNat => Some(true),
            Sender::PrivateNat => Some(false),
            Sender::PublicAppliance => {
                let table = self.at.1.map(|subnet| self.vpc().subnets[subnet].table);
                if !self.replies_arrive(self.at.1, table) {
                    return End::Dead(Reason::NoReturnRoute);
                }
                Some(true)
            }
            Sender::Client if self.is_from_other_vpc => Some(false),
            Sender::Client if self.to.is_ipv6() => Some(client.v6.is_some()),
            Sender::Client => match client.interface {
                Some(number) => Some(home.interfaces[number].kind == Kind::Instance { is_public: true }),
                None => home.subnets[client.subnet].map_public,
            },
        };
        match has {
            Some(true) => End::Outside,
            Some(false) => End::Dead(Reason::NoPublicAddress),
            None => End::Unknown(Some(Reason::NoPublicAddress)),
        }
    }

    fn nat(&mut self, number: usize) -> End {
        // A public NAT gateway sends to an internet gateway only.
        if self.sender == Sender::PublicNat {
            return End::Dead(Reason::NatSubnetHasNoInternetRoute);
        }
        let nat = &self.vpc().nats[number];
        if self.to.is_ipv6() && !is_nat64(self.to) {
            return End::Dead(Reason::Nat64PrefixWithoutNat);
        }
        let table = match nat.subnet {
            Some(subnet) => {
                self.enter(subnet);
                self.vpc().subnets[subnet].table
            }
            None => {
                self.at.1 = None;
                nat.table
            }
        };
        if !self.replies_arrive(nat.subnet, Some(table)) {
            return End::Dead(Reason::NoReturnRoute);
        }
        if let IpAddr::V6(address) = self.to {
            let [.., a, b, c, d] = address.octets();
            self.to = IpAddr::from([a, b, c, d]);
        }
        let n = self.at.0 + 1;
        self.from = match nat.address {
            Some(address) => vec![address],
            None => ["10.{}.0.0", "10.{}.1.10", "10.{}.2.40", "10.{}.1.200", "10.{}.99.9"]
                .map(|text| ip(&text.replace("{}", &n.to_string())))
                .to_vec(),
        };
        self.sender = if nat.is_public { Sender::PublicNat } else { Sender::PrivateNat };
        self.home = self.at.0;
        self.is_from_other_vpc = false;
        self.is_translated = true;
        self.inspected.clear();
        self.groups = Groups::Never;
        self.follow(table, Reason::NatSubnetHasNoInternetRoute)
    }

    fn peering(&mut self, number: usize) -> End {
        let [one, other] = self.net.peerings[number];
        let far = if one == self.at.0 { other } else { one };
        let has = ["10.{}.0.0/16", "2001:db8:{}::/56"]
            .iter()
            .any(|net| cidr(&net.replace("{}", &(far + 1).to_string())).contains(&self.to));
        if self.is_from_other_vpc || !has {
            return End::Dead(Reason::PeeringNotTransitive);
        }
        self.at = (far, None);
        self.arrive()
    }

    fn transit(&mut self, number: usize) -> End {
        let gateway = &self.net.gateways[number];
        let of = |attachment: &Attachment| matches!(attachment.to, Attached::Vpc(vpc, _) if vpc == self.at.0);
        let Some(from) = gateway.attachments.iter().position(of) else {
            return End::Unknown(Some(Reason::TargetNotModelled));
        };
        let zone = self.at.1.map(|subnet| self.vpc().subnets[subnet].zone);
        let Attached::Vpc(_, subnets) = &gateway.attachments[from].to else { unreachable!() };
        if let Some(zone) = zone
            && !subnets.is_empty()
        {
            match subnets.iter().find(|subnet| self.vpc().subnets[**subnet].zone == zone) {
                Some(subnet) => self.enter(*subnet),
                None => return End::Dead(Reason::TgwNoAttachmentInAz),
            }
        }
        self.beyond(number, from, zone)
    }

    fn beyond(&mut self, mut number: usize, mut from: usize, zone: Option<&str>) -> End {
        for _ in 0..MAX_GATEWAYS {
            let gateway = &self.net.gateways[number];
            let Some(attachment) = self.gateway_route(gateway, from) else {
                return End::Dead(Reason::TgwNoRoute);
            };
            let Some(attachment) = attachment else { return End::Dead(Reason::BlackholeRoute) };
            match &gateway.attachments[attachment].to {
                Attached::Nothing => return End::Unknown(Some(Reason::TargetNotModelled)),
                Attached::Gateway(other) => {
                    let back = self.net.gateways[*other]
                        .attachments
                        .iter()
                        .position(|own| own.to == Attached::Gateway(number));
                    let Some(back) = back else { return End::Unknown(Some(Reason::TargetNotModelled)) };
                    self.groups = Groups::Never;
                    (number, from) = (*other, back);
                }
                Attached::Site => {
                    let end = self.at_site();
                    if !matches!(end, End::AtSite | End::Outside) || self.is_reply {
                        return end;
                    }
                    let at = (self.at.0, None);
                    let all = self.all_replies(at, |reply| reply.beyond(number, attachment, None));
                    return if all { end } else { End::Dead(Reason::NoReturnRoute) };
                }
                Attached::Vpc(vpc, subnets) => {
                    self.groups = self.groups.min(Groups::Unknown);
                    self.is_from_other_vpc = true;
                    // This VPC's internet gateway does not translate addresses of the previous VPC.
                    self.sender = match self.sender {
                        Sender::PublicNat | Sender::PrivateNat => Sender::PrivateNat,
                        Sender::PublicAppliance | Sender::Client => Sender::Client,
                    };
                    let all = &self.net.vpcs[*vpc].subnets;
                    let entry =
                        subnets.iter().find(|subnet| Some(all[**subnet].zone) == zone).or(subnets.first());
                    self.at = (*vpc, entry.copied());
                    return match entry {
                        Some(entry) => self.follow(all[*entry].table, Reason::NoRoute),
                        None if self.best(0).is_some() && self.is_of_this_vpc() => self.arrive(),
                        None => End::Unknown(Some(Reason::TargetNotModelled)),
                    };
                }
            }
        }
        End::Dead(Reason::RoutingLoop)
    }

    fn is_of_this_vpc(&self) -> bool {
        let n = self.at.0 + 1;
        [format!("10.{n}.0.0/16"), format!("2001:db8:{n}::/56")]
            .iter()
            .any(|net| cidr(net).contains(&self.to))
    }

    /// The attachment of a gateway's route; the inner `None` is a blackhole.
    fn gateway_route(&self, gateway: &TransitGateway, from: usize) -> Option<Option<usize>> {
        let of = |attachment: &Attachment| -> Vec<IpNet> {
            match &attachment.to {
                Attached::Vpc(vpc, _) => {
                    let n = vpc + 1;
                    vec![cidr(&format!("10.{n}.0.0/16")), cidr(&format!("2001:db8:{n}::/56"))]
                }
                Attached::Site => vec![self.net.site.cidr],
                Attached::Gateway(_) | Attached::Nothing => vec![],
            }
        };
        let association = gateway.attachments[from].association?;
        // Static routes precede those of a VPC, then those of a site, then others.
        let rank = |attachment: Option<usize>| match attachment.map(|number| &gateway.attachments[number].to)
        {
            Some(Attached::Vpc(..)) => 1,
            Some(Attached::Site | Attached::Nothing) => 2,
            Some(Attached::Gateway(_)) | None => 3,
        };
        let mut all: Vec<(IpNet, Option<usize>, u8)> = Vec::new();
        let propagations: Vec<usize> = match gateway.tables.get(association) {
            None => (0..gateway.attachments.len()).collect(),
            Some(table) => table.propagations.clone(),
        };
        for number in propagations {
            all.extend(
                of(&gateway.attachments[number])
                    .into_iter()
                    .map(|net| (net, Some(number), rank(Some(number)))),
            );
        }
        for route in gateway.tables.get(association).iter().flat_map(|table| &table.routes) {
            let rank = if route.is_propagated { rank(route.attachment) } else { 0 };
            all.push((route.to, route.attachment, rank));
        }
        all.retain(|(net, _, _)| net.contains(&self.to));
        let longest = all.iter().map(|(net, _, _)| net.prefix_len()).max()?;
        all.retain(|(net, _, _)| net.prefix_len() == longest);
        let first = all.iter().min_by_key(|(_, _, rank)| *rank);
        first.map(|(_, attachment, _)| *attachment)
    }

    fn at_site(&self) -> End {
        match &self.net.site {
            site if site.cidr.contains(&self.to) => End::AtSite,
            site if site.has_internet && is_public(self.to) => End::Outside,
            _ => End::Dead(Reason::NoRoute),
        }
    }

    fn private(&mut self) -> End {
        if self.is_from_other_vpc {
            return End::Dead(Reason::GatewayNotTransitive);
        }
        let is_linked = self.net.site.links.iter().any(|(vpc, gateway)| {
            *vpc == self.at.0 && gateway.is_none_or(|gateway| gateway.is_none_or(|own| own == self.at.0))
        });
        match self.at_site() {
            End::Dead(_) => End::Unknown(Some(Reason::TargetNotModelled)),
            end if is_linked => end,
            _ => End::Unknown(Some(Reason::TargetNotModelled)),
        }
    }
}
