//! Filters: security groups at both ends, and network ACLs at every subnet boundary, in both directions.

use std::net::IpAddr;

use super::sender::SourceAddresses;
use super::walk::Walk;
use crate::net::host_prefix;
use crate::resolve::path::{Direction, EgressPath, FilterId, FilterResult, PathEnd, Reach, Reason};
use crate::world::{
    AccessDecision, AclRules, Addresses, EPHEMERAL_PORTS, Index, Interface, Network, OtherEnd, SecurityGroup,
    Subnet,
};

/// The TCP port that is evaluated unless the service defines another one.
pub const HTTPS: u16 = 443;

/// A subnet boundary crossed by a packet.
#[derive(Clone, Debug)]
pub(super) struct BoundaryCrossing<'w> {
    /// The subnet.
    pub subnet: Index<Subnet>,
    /// Whether the packet leaves the subnet.
    pub is_out: bool,
    /// The possible source addresses.
    pub from: SourceAddresses<'w>,
    /// The destination address.
    pub to: IpAddr,
}

impl Walk<'_> {
    /// The path after evaluation of every filter. Filters are evaluated only if reach is `ok`.
    pub(super) fn finish(mut self) -> EgressPath {
        self.require_source_address();
        if self.path.reach != Reach::Ok {
            return self.path;
        }
        let port = match self.path.endpoint {
            Some((index, _)) => self.network.endpoints[index].port,
            None => HTTPS,
        };
        let mut filters = Vec::new();
        self.sender_groups(port, &mut filters);
        for crossing in &self.crossings {
            self.network_acl(crossing, port, &mut filters);
        }
        self.owner_groups(port, &mut filters);
        if let Some(worst) = filters.iter().min_by_key(|filter| filter.verdict) {
            match worst.verdict {
                AccessDecision::Allowed => {}
                AccessDecision::Unknown => self.path.reach = Reach::Unknown,
                AccessDecision::Denied => {
                    let denying = filters.iter().find(|filter| filter.verdict == AccessDecision::Denied);
                    let reason = match denying.map(|filter| filter.filter) {
                        Some(FilterId::NetworkAcl(_)) => Reason::NaclDenied,
                        _ => Reason::SgDenied,
                    };
                    self.path.reach = Reach::Blocked;
                    self.path.reasons.push(reason);
                }
            }
        }
        self.path.filters = filters;
        if self.is_asymmetric && matches!(self.path.reach, Reach::Ok | Reach::Unknown) {
            self.path.reach = Reach::Unknown;
            self.path.reasons.push(Reason::AsymmetricRouting);
        }
        self.path
    }

    /// Evaluates the outbound rules of the client's security groups. If the groups are not configured,
    /// outbound traffic is allowed, which is AWS's default.
    fn sender_groups(&self, port: u16, filters: &mut Vec<FilterResult>) {
        let Some(own) = self.client_groups else { return };
        let to = [host_prefix(self.original_to)];
        let far_groups = match self.path.end {
            PathEnd::Vpc(..) => self.owner().map(|owner| groups_of(self.network, owner)),
            // Hosts outside every VPC have no security groups.
            _ => Some(&[][..]),
        };
        // If the security groups of the destination are not configured, it may belong to any group.
        let far_groups = far_groups.filter(|groups| !groups.is_empty() || !self.ended_inside_vpc());
        let far_groups = match self.group_references {
            AccessDecision::Allowed if !self.entered_by_transit_gateway => far_groups,
            AccessDecision::Allowed | AccessDecision::Unknown | AccessDecision::Denied => Some(&[][..]),
        };
        let other =
            OtherEnd { addresses: Addresses { prefixes: &to, is_remainder: true }, groups: far_groups };
        let allows_all_egress =
            |group: &Index<SecurityGroup>| self.network.security_groups[*group].egress.is_none();
        if own.is_empty() || own.iter().any(allows_all_egress) {
            return;
        }
        let evaluate = |group: Index<SecurityGroup>| {
            let rules = self.network.security_groups[group].egress.as_ref();
            rules.map_or((AccessDecision::Denied, None), |rules| rules.evaluate(port, other))
        };
        filters.extend(most_permissive(own, evaluate, Direction::Egress));
    }

    /// Evaluates the inbound rules of the groups of the interface that has the address.
    fn owner_groups(&self, port: u16, filters: &mut Vec<FilterResult>) {
        let Some(owner) = self.owner() else { return };
        let groups = groups_of(self.network, owner);
        if groups.is_empty() {
            return; // Not configured: all traffic is assumed to be allowed.
        }
        let sources = self.sender.source.of_family(self.to.is_ipv4());
        if sources.is_empty() {
            let by = FilterId::SecurityGroup(groups[0]);
            let direction = Direction::Ingress;
            filters.push(FilterResult {
                filter: by,
                direction,
                verdict: AccessDecision::Unknown,
                rule: None,
            });
            return;
        }
        let other = OtherEnd {
            addresses: Addresses { prefixes: &sources, is_remainder: self.sender.source.is_remainder },
            groups: self.referable_groups(owner),
        };
        let evaluate =
            |group: Index<SecurityGroup>| self.network.security_groups[group].ingress.evaluate(port, other);
        filters.extend(most_permissive(groups, evaluate, Direction::Ingress));
    }

    /// The client's security groups, if rules of the destination can refer to them.
    fn referable_groups(&self, owner: Interface) -> Option<&[Index<SecurityGroup>]> {
        let is_endpoint = matches!(owner, Interface::Endpoint(..));
        match self.group_references {
            _ if is_endpoint && self.entered_by_transit_gateway => Some(&[]),
            AccessDecision::Allowed => self.client_groups,
            AccessDecision::Unknown => self.client_groups.filter(|groups| groups.is_empty()),
            AccessDecision::Denied => Some(&[]),
        }
    }

    /// The interface that has the address, if the path ends in a VPC.
    fn owner(&self) -> Option<Interface> {
        let (vpc, _) = self.at?;
        self.network.vpcs[vpc].interfaces.get(&self.to).copied().filter(|_| self.ended_inside_vpc())
    }

    /// Evaluates a network ACL for a packet at the boundary of its subnet, and for the reply.
    fn network_acl(&self, crossing: &BoundaryCrossing<'_>, port: u16, filters: &mut Vec<FilterResult>) {
        let Some(index) = self.network.subnets[crossing.subnet].network_acl else { return };
        let acl = &self.network.network_acls[index];
        let far_end = [host_prefix(crossing.to)];
        let near = crossing.from.of_family(crossing.to.is_ipv4());
        // The remote end: the destination of outbound packets, the source of inbound ones.
        let other = match crossing.is_out {
            true => Addresses { prefixes: &far_end, is_remainder: true },
            false => Addresses { prefixes: &near, is_remainder: crossing.from.is_remainder },
        };
        let (request_rules, reply_rules) = match crossing.is_out {
            true => (&acl.egress, &acl.ingress),
            false => (&acl.ingress, &acl.egress),
        };
        let (request_direction, reply_direction) = match crossing.is_out {
            true => (Direction::Egress, Direction::Ingress),
            false => (Direction::Ingress, Direction::Egress),
        };
        let mut judge = |rules: &AclRules, ports, direction| {
            let (verdict, rule) = rules.evaluate(ports, other);
            let by = FilterId::NetworkAcl(index);
            filters.push(FilterResult { filter: by, direction, verdict, rule: rule.map(usize::from) });
        };
        judge(request_rules, port..=port, request_direction);
        judge(reply_rules, EPHEMERAL_PORTS, reply_direction);
    }

    /// Whether the path ends at an address of a VPC.
    fn ended_inside_vpc(&self) -> bool {
        matches!(self.path.end, PathEnd::Vpc(..))
    }
}

/// The security groups of an interface.
fn groups_of(network: &Network, owner: Interface) -> &[Index<SecurityGroup>] {
    match owner {
        Interface::Endpoint(index, number) => &network.endpoints[index].interfaces[number].security_groups,
        Interface::Instance(index) => &network.instances[index].security_groups,
        Interface::Network(index) => &network.network_interfaces[index].security_groups,
        Interface::ResolverEndpoint | Interface::NatGateway(_) => &[],
    }
}

/// The combined decision of several groups: the most permissive one.
fn most_permissive(
    groups: &[Index<SecurityGroup>],
    judge: impl Fn(Index<SecurityGroup>) -> (AccessDecision, Option<usize>),
    direction: Direction,
) -> Option<FilterResult> {
    let judged = groups.iter().map(|group| (*group, judge(*group)));
    // The first, if several are equal.
    let (group, (verdict, rule)) =
        judged.reduce(|best, next| if next.1.0 > best.1.0 { next } else { best })?;
    Some(FilterResult { filter: FilterId::SecurityGroup(group), direction, verdict, rule })
}
