//! Route targets within a VPC: NAT gateways, internet gateways, endpoints, appliances.

use std::net::IpAddr;

use super::sender::{ReturnDestination, Sender, SenderKind, SourceAddresses};
use super::walk::Walk;
use crate::net::{self, is_globally_routed};
use crate::resolve::path::{PathEnd, Reach, Reason};
use crate::world::{AccessDecision, Appliance, Endpoint, Index, Interface, NatGateway, Subnet, Vpc};

impl Walk<'_> {
    /// Follows the packet through a NAT gateway, which sends it from its own address and subnet.
    pub(super) fn through_nat_gateway(&mut self, index: Index<NatGateway>) {
        let nat = &self.network.nat_gateways[index];
        if matches!(self.sender.kind, SenderKind::Nat { is_public: true }) {
            // A public NAT gateway sends to an internet gateway, never to another NAT gateway.
            self.end(Reach::Dead, Some(Reason::NatSubnetHasNoInternetRoute));
            return;
        }
        self.hop(nat.id.clone(), nat.subnet);
        let embedded = net::nat64_to_ipv4(self.to);
        if embedded.is_none() && self.to.is_ipv6() {
            self.end(Reach::Dead, Some(Reason::Nat64PrefixWithoutNat));
            return;
        }
        // Up to the NAT gateway, the packet and its reply have the client's address family.
        if let Some(subnet) = nat.subnet {
            self.enter(subnet);
        }
        if !self.require_return_path(nat.vpc, nat.subnet, Some(nat.route_table)) {
            return;
        }
        if let Some(embedded) = embedded {
            self.path.translated_by = Some(index);
            self.to = IpAddr::V4(embedded);
        }
        self.sender = Sender {
            kind: SenderKind::Nat { is_public: nat.is_public },
            source: match (nat.address, nat.subnet) {
                (Some(address), _) => SourceAddresses::at(address),
                (None, Some(subnet)) => SourceAddresses::within(&self.network.subnets[subnet].cidrs),
                (None, None) => SourceAddresses::within(&self.network.vpcs[nat.vpc].cidrs),
            },
            return_to: ReturnDestination::Vpc(nat.vpc),
        };
        self.group_references = AccessDecision::Denied;
        self.is_in_transit = false;
        self.inspected.clear();
        self.continue_by(nat.route_table, nat.subnet, Reason::NatSubnetHasNoInternetRoute);
    }

    /// Follows the packet through an internet gateway or egress-only internet gateway: the source needs a
    /// public address, and the destination must be public.
    pub(super) fn through_internet_gateway(&mut self, subnet: Option<Index<Subnet>>) {
        if !is_globally_routed(self.to) {
            self.end(Reach::Dead, Some(Reason::PrivateAddressToInternet));
            return;
        }
        self.path.end = self.public_end();
        let is_public = match self.sender.kind {
            SenderKind::Nat { is_public } => Some(is_public),
            SenderKind::Appliance => Some(true),
            // A forwarded packet keeps its source address, for which this gateway has no public address.
            _ if self.is_in_transit => Some(false),
            // The subnet that the client is in decides, not that of an appliance.
            SenderKind::Client => self.has_public_address(self.source_subnet),
        };
        // An appliance that sends from its own address must be able to return replies to the client.
        let by_appliance = subnet.filter(|_| self.sender.kind == SenderKind::Appliance);
        let table = by_appliance.map(|subnet| self.network.subnets[subnet].route_table);
        if let (Some(true), Some((vpc, _))) = (is_public, self.at)
            && !self.require_return_path(vpc, subnet, table)
        {
            return;
        }
        match is_public {
            Some(true) => self.end(Reach::Ok, None),
            Some(false) => self.end(Reach::Dead, Some(Reason::NoPublicAddress)),
            None => self.end(Reach::Unknown, Some(Reason::NoPublicAddress)),
        }
    }

    /// The end of a path that leaves through a gateway of the VPC to a public address.
    fn public_end(&self) -> PathEnd {
        PathEnd::Public(self.to, self.at.map(|(vpc, _)| vpc))
    }

    /// Whether the client has a public address of the destination's family. `None` if that is not configured.
    fn has_public_address(&self, subnet: Option<Index<Subnet>>) -> Option<bool> {
        if self.to.is_ipv6() {
            let mut own = self.sender.source.prefixes.iter();
            return Some(own.any(|prefix| prefix.addr().is_ipv6() && is_globally_routed(prefix.addr())));
        }
        // The configuration of a network interface states whether it has one.
        let declared = match &*self.sender.source.of_family(true) {
            [one] if one.prefix_len() == one.max_prefix_len() => {
                let vpc = subnet.map(|subnet| self.network.subnets[subnet].vpc)?;
                self.network.vpcs[vpc].interfaces.get(&one.addr()).copied()
            }
            _ => None,
        };
        match declared {
            Some(Interface::Instance(index)) => Some(self.network.instances[index].public_address.is_some()),
            Some(Interface::Network(index)) => Some(self.network.network_interfaces[index].is_public),
            Some(Interface::NatGateway(index)) => Some(self.network.nat_gateways[index].is_public),
            Some(Interface::Endpoint(..) | Interface::ResolverEndpoint) => Some(false),
            None => self.network.subnets[subnet?].map_public_ip_on_launch,
        }
    }

    /// Follows the packet through a gateway endpoint, which carries only traffic of its own VPC ("Gateway
    /// endpoints", AWS PrivateLink Guide).
    pub(super) fn through_gateway_endpoint(&mut self, index: Index<Endpoint>) {
        let endpoint = &self.network.endpoints[index];
        self.hop(endpoint.id.clone(), None);
        self.path.endpoint = Some((index, None));
        self.path.end = self.public_end();
        if self.is_in_transit {
            self.end(Reach::Dead, Some(Reason::GatewayEndpointNotTransitive));
        } else if !endpoint.is_available {
            self.end(Reach::Dead, Some(Reason::EndpointNotAvailable));
        } else {
            self.end(Reach::Ok, None);
        }
    }

    /// Follows the packet through a Gateway Load Balancer endpoint. The endpoint is in one subnet, to which
    /// its appliances return the traffic.
    pub(super) fn through_load_balancer_endpoint(&mut self, index: Index<Endpoint>) {
        let endpoint = &self.network.endpoints[index];
        let own = endpoint.interfaces.first().map(|interface| interface.subnet);
        self.hop(endpoint.id.clone(), own);
        self.group_references = AccessDecision::Denied;
        match own {
            _ if !endpoint.is_available => self.end(Reach::Dead, Some(Reason::EndpointNotAvailable)),
            None => self.end(Reach::Unknown, Some(Reason::TargetNotModelled)),
            Some(own) => {
                self.enter(own);
                self.inspected.push(index);
                self.continue_by(self.network.subnets[own].route_table, Some(own), Reason::NoRoute);
            }
        }
    }

    /// Follows the packet to or through an appliance of a VPC, by the route table of its subnet.
    pub(super) fn through_appliance(&mut self, appliance: &Appliance, vpc: Index<Vpc>) {
        self.hop(appliance.id.clone(), Some(appliance.subnet));
        if self.is_addressed_to_appliance(appliance, vpc) {
            self.arrive(vpc);
            return;
        }
        if !appliance.forwards {
            self.end(Reach::Dead, Some(Reason::SourceDestCheck));
            return;
        }
        self.group_references = AccessDecision::Denied;
        self.enter(appliance.subnet);
        if appliance.is_public {
            self.sender.kind = SenderKind::Appliance;
        }
        let table = self.network.subnets[appliance.subnet].route_table;
        self.continue_by(table, Some(appliance.subnet), Reason::NoRoute);
    }

    /// Whether the packet is addressed to the appliance itself.
    fn is_addressed_to_appliance(&self, appliance: &Appliance, vpc: Index<Vpc>) -> bool {
        let owner = match self.network.vpcs[vpc].interfaces.get(&self.to) {
            Some(Interface::Instance(index)) => &self.network.instances[*index].id,
            Some(Interface::Network(index)) => &self.network.network_interfaces[*index].id,
            _ => return false,
        };
        *owner == appliance.id
    }
}
