//! What a route of a VPC leads to and the VPC itself has: NAT and internet gateways, endpoints, appliances.

use std::net::IpAddr;

use super::sender::{Home, Sender, SentBy, Source};
use super::walk::Walk;
use crate::net::{self, is_globally_routed};
use crate::resolve::path::{End, Reach, Reason};
use crate::world::{Admission, Appliance, Endpoint, Index, Interface, NatGateway, Subnet, Vpc};

impl Walk<'_> {
    /// Through a NAT gateway, which sends with an address of its own from where it stands.
    pub(super) fn through_nat_gateway(&mut self, index: Index<NatGateway>) {
        let nat = &self.world.nat_gateways[index];
        if matches!(self.sender.by, SentBy::Nat { is_public: true }) {
            // A public NAT gateway sends to an internet gateway, never to another of its kind.
            self.end(Reach::Dead, Some(Reason::NatSubnetHasNoInternetRoute));
            return;
        }
        self.hop(nat.id.clone(), nat.subnet);
        let embedded = net::nat64_embedded(self.to);
        if embedded.is_none() && self.to.is_ipv6() {
            self.end(Reach::Dead, Some(Reason::Nat64PrefixWithoutNat));
            return;
        }
        // Up to here it is the client's packet, and so is the reply that leaves here: of the client's family.
        if let Some(subnet) = nat.subnet {
            self.enter(subnet);
        }
        if !self.need_way_back(nat.vpc, nat.subnet, Some(nat.route_table)) {
            return;
        }
        if let Some(embedded) = embedded {
            self.path.translated_by = Some(index);
            self.to = IpAddr::V4(embedded);
        }
        self.sender = Sender {
            by: SentBy::Nat { is_public: nat.is_public },
            source: match (nat.address, nat.subnet) {
                (Some(address), _) => Source::at(address),
                (None, Some(subnet)) => Source::within(&self.world.subnets[subnet].cidrs),
                (None, None) => Source::within(&self.world.vpcs[nat.vpc].cidrs),
            },
            home: Home::Vpc(nat.vpc),
        };
        self.groups_count = Admission::Refused;
        self.is_passing = false;
        self.inspected.clear();
        self.go_on(nat.route_table, nat.subnet, Reason::NatSubnetHasNoInternetRoute);
    }

    /// Through an internet gateway, egress-only or not: the source needs a public address, the destination
    /// must have one.
    pub(super) fn through_internet_gateway(&mut self, subnet: Option<Index<Subnet>>) {
        if !is_globally_routed(self.to) {
            self.end(Reach::Dead, Some(Reason::PrivateAddressToInternet));
            return;
        }
        self.path.end = self.outside();
        let is_public = match self.sender.by {
            SentBy::Nat { is_public } => Some(is_public),
            SentBy::Appliance => Some(true),
            // What passes through keeps its address, which the gateway does not know.
            _ if self.is_passing => Some(false),
            // The subnet of an appliance has no say in what the client has.
            SentBy::Client => self.has_public_address(self.home_subnet),
        };
        // An appliance that sends with its own address must find whom it does that for.
        let by_appliance = subnet.filter(|_| self.sender.by == SentBy::Appliance);
        let table = by_appliance.map(|subnet| self.world.subnets[subnet].route_table);
        if let (Some(true), Some((vpc, _))) = (is_public, self.at)
            && !self.need_way_back(vpc, subnet, table)
        {
            return;
        }
        match is_public {
            Some(true) => self.end(Reach::Ok, None),
            Some(false) => self.end(Reach::Dead, Some(Reason::NoPublicAddress)),
            None => self.end(Reach::Unknown, Some(Reason::NoPublicAddress)),
        }
    }

    /// Where the packet ends up that a gateway of the VPC sends to a public address.
    fn outside(&self) -> End {
        End::Public(self.to, self.at.map(|(vpc, _)| vpc))
    }

    /// Whether the client has a public address of the destination's family. `None`: nobody said.
    fn has_public_address(&self, subnet: Option<Index<Subnet>>) -> Option<bool> {
        if self.to.is_ipv6() {
            let mut own = self.sender.source.prefixes.iter();
            return Some(own.any(|prefix| prefix.addr().is_ipv6() && is_globally_routed(prefix.addr())));
        }
        // A declared interface says itself whether it has one.
        let declared = match &*self.sender.source.of_family(true) {
            [one] if one.prefix_len() == one.max_prefix_len() => {
                let vpc = subnet.map(|subnet| self.world.subnets[subnet].vpc)?;
                self.world.vpcs[vpc].interfaces.get(&one.addr()).copied()
            }
            _ => None,
        };
        match declared {
            Some(Interface::Instance(index)) => Some(self.world.instances[index].public_address.is_some()),
            Some(Interface::Network(index)) => Some(self.world.network_interfaces[index].is_public),
            Some(Interface::NatGateway(index)) => Some(self.world.nat_gateways[index].is_public),
            Some(Interface::Endpoint(..) | Interface::ResolverEndpoint) => Some(false),
            None => self.world.subnets[subnet?].map_public_ip_on_launch,
        }
    }

    /// Through a gateway endpoint, which carries its own VPC's traffic alone ("Gateway endpoints", AWS PrivateLink Guide).
    pub(super) fn through_gateway_endpoint(&mut self, index: Index<Endpoint>) {
        let endpoint = &self.world.endpoints[index];
        self.hop(endpoint.id.clone(), None);
        self.path.endpoint = Some((index, None));
        self.path.end = self.outside();
        if self.is_passing {
            self.end(Reach::Dead, Some(Reason::GatewayEndpointNotTransitive));
        } else if !endpoint.is_available {
            self.end(Reach::Dead, Some(Reason::EndpointNotAvailable));
        } else {
            self.end(Reach::Ok, None);
        }
    }

    /// Through a Gateway Load Balancer endpoint. It stands in one subnet, to which the appliances behind it give the traffic
    /// back.
    pub(super) fn through_load_balancer_endpoint(&mut self, index: Index<Endpoint>) {
        let endpoint = &self.world.endpoints[index];
        let own = endpoint.interfaces.first().map(|interface| interface.subnet);
        self.hop(endpoint.id.clone(), own);
        self.groups_count = Admission::Refused;
        match own {
            _ if !endpoint.is_available => self.end(Reach::Dead, Some(Reason::EndpointNotAvailable)),
            None => self.end(Reach::Unknown, Some(Reason::TargetNotModelled)),
            Some(own) => {
                self.enter(own);
                self.inspected.push(index);
                self.go_on(self.world.subnets[own].route_table, Some(own), Reason::NoRoute);
            }
        }
    }

    /// To an appliance of a VPC, or through it, by its own subnet's table.
    pub(super) fn through_appliance(&mut self, appliance: &Appliance, vpc: Index<Vpc>) {
        self.hop(appliance.id.clone(), Some(appliance.subnet));
        if self.is_for(appliance, vpc) {
            self.arrive(vpc);
            return;
        }
        if !appliance.passes_on {
            self.end(Reach::Dead, Some(Reason::SourceDestCheck));
            return;
        }
        self.groups_count = Admission::Refused;
        self.enter(appliance.subnet);
        if appliance.is_public {
            self.sender.by = SentBy::Appliance;
        }
        let table = self.world.subnets[appliance.subnet].route_table;
        self.go_on(table, Some(appliance.subnet), Reason::NoRoute);
    }

    /// Whether the packet goes to an address of an appliance of a VPC itself.
    fn is_for(&self, appliance: &Appliance, vpc: Index<Vpc>) -> bool {
        let owner = match self.world.vpcs[vpc].interfaces.get(&self.to) {
            Some(Interface::Instance(index)) => &self.world.instances[*index].id,
            Some(Interface::Network(index)) => &self.world.network_interfaces[*index].id,
            _ => return false,
        };
        *owner == appliance.id
    }
}
