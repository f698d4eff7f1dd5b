//! Would it get through: security groups at both ends, and network ACLs at every subnet's border, both directions.

use std::net::IpAddr;

use super::sender::Source;
use super::walk::Walk;
use crate::net::host;
use crate::resolve::path::{Direction, EgressPath, End, Filter, FilterId, Reach, Reason};
use crate::world::{
    AclRules, Addresses, Admission, EPHEMERAL_PORTS, Index, Interface, OtherEnd, SecurityGroup, Subnet, World,
};

/// The TCP port that traffic goes to where no service says another.
pub const HTTPS: u16 = 443;

/// A border of a subnet that a packet crosses.
#[derive(Clone, Debug)]
pub(super) struct Crossing<'w> {
    /// The subnet.
    pub subnet: Index<Subnet>,
    /// Whether it leaves the subnet.
    pub is_out: bool,
    /// The addresses that it may come from.
    pub from: Source<'w>,
    /// The address that it goes to.
    pub to: IpAddr,
}

impl Walk<'_> {
    /// The path, judged by every filter on it. What ends nowhere is judged by none.
    pub(super) fn finish(mut self) -> EgressPath {
        self.end_without_sender();
        if self.path.reach != Reach::Ok {
            return self.path;
        }
        let port = match self.path.endpoint {
            Some((index, _)) => self.world.endpoints[index].port,
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
                Admission::Admitted => {}
                Admission::Unknown => self.path.reach = Reach::Unknown,
                Admission::Refused => {
                    let refusing = filters.iter().find(|filter| filter.verdict == Admission::Refused);
                    let reason = match refusing.map(|filter| filter.by) {
                        Some(FilterId::NetworkAcl(_)) => Reason::NaclDenies443,
                        _ => Reason::SgDenies443,
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

    /// What the client's own groups let out. Where nobody said which groups it is in, they are taken as AWS makes them:
    /// open outwards.
    fn sender_groups(&self, port: u16, filters: &mut Vec<Filter>) {
        let Some(own) = self.client_groups else { return };
        let to = [host(self.asked)];
        let far_groups = match self.path.end {
            End::Vpc(..) => self.owner().map(|owner| groups_of(self.world, owner)),
            // What is outside of every VPC is in no group.
            _ => Some(&[][..]),
        };
        // Where nobody said in which groups the far end is, it may be in any.
        let far_groups = far_groups.filter(|groups| !groups.is_empty() || !self.has_landed_inside());
        let far_groups = match self.groups_count {
            Admission::Admitted if !self.came_by_transit_gateway => far_groups,
            Admission::Admitted | Admission::Unknown | Admission::Refused => Some(&[][..]),
        };
        let other = OtherEnd { addresses: Addresses { prefixes: &to, is_rest: true }, groups: far_groups };
        let lets_all_out = |group: &Index<SecurityGroup>| self.world.security_groups[*group].egress.is_none();
        if own.is_empty() || own.iter().any(lets_all_out) {
            return;
        }
        let judge = |group: Index<SecurityGroup>| {
            let rules = self.world.security_groups[group].egress.as_ref();
            rules.map_or((Admission::Refused, None), |rules| rules.judge(port, other))
        };
        filters.extend(best(own, judge, Direction::Egress));
    }

    /// What the groups of the interface that has the address let in.
    fn owner_groups(&self, port: u16, filters: &mut Vec<Filter>) {
        let Some(owner) = self.owner() else { return };
        let groups = groups_of(self.world, owner);
        if groups.is_empty() {
            return; // Nobody said: everything is taken as admitted.
        }
        let own = self.sender.source.of_family(self.to.is_ipv4());
        if own.is_empty() {
            let by = FilterId::SecurityGroup(groups[0]);
            let direction = Direction::Ingress;
            filters.push(Filter { by, direction, verdict: Admission::Unknown, rule: None });
            return;
        }
        let other = OtherEnd {
            addresses: Addresses { prefixes: &own, is_rest: self.sender.source.is_rest },
            groups: self.counting(owner),
        };
        let judge =
            |group: Index<SecurityGroup>| self.world.security_groups[group].ingress.judge(port, other);
        filters.extend(best(groups, judge, Direction::Ingress));
    }

    /// The client's groups, as far as rules of who has the address can mean them.
    fn counting(&self, owner: Interface) -> Option<&[Index<SecurityGroup>]> {
        let is_endpoint = matches!(owner, Interface::Endpoint(..));
        match self.groups_count {
            _ if is_endpoint && self.came_by_transit_gateway => Some(&[]),
            Admission::Admitted => self.client_groups,
            Admission::Unknown => self.client_groups.filter(|groups| groups.is_empty()),
            Admission::Refused => Some(&[]),
        }
    }

    /// Who has the address, where the packet landed in a VPC.
    fn owner(&self) -> Option<Interface> {
        let (vpc, _) = self.at?;
        self.world.vpcs[vpc].interfaces.get(&self.to).copied().filter(|_| self.has_landed_inside())
    }

    /// What a network ACL says to a packet at the border of its subnet, and to the reply.
    fn network_acl(&self, crossing: &Crossing<'_>, port: u16, filters: &mut Vec<Filter>) {
        let Some(index) = self.world.subnets[crossing.subnet].network_acl else { return };
        let acl = &self.world.network_acls[index];
        let far_end = [host(crossing.to)];
        let near = crossing.from.of_family(crossing.to.is_ipv4());
        // The other end of the border: the destination for what leaves, the sender for what enters.
        let other = match crossing.is_out {
            true => Addresses { prefixes: &far_end, is_rest: true },
            false => Addresses { prefixes: &near, is_rest: crossing.from.is_rest },
        };
        let (forth, back) = match crossing.is_out {
            true => (&acl.egress, &acl.ingress),
            false => (&acl.ingress, &acl.egress),
        };
        let (forth_is, back_is) = match crossing.is_out {
            true => (Direction::Egress, Direction::Ingress),
            false => (Direction::Ingress, Direction::Egress),
        };
        let mut judge = |rules: &AclRules, ports, direction| {
            let (verdict, rule) = rules.judge(ports, other);
            let by = FilterId::NetworkAcl(index);
            filters.push(Filter { by, direction, verdict, rule: rule.map(usize::from) });
        };
        judge(forth, port..=port, forth_is);
        judge(back, EPHEMERAL_PORTS, back_is);
    }

    /// Whether the packet landed at an address of a VPC.
    fn has_landed_inside(&self) -> bool {
        matches!(self.path.end, End::Vpc(..))
    }
}

/// The groups of an interface.
fn groups_of(world: &World, owner: Interface) -> &[Index<SecurityGroup>] {
    match owner {
        Interface::Endpoint(index, number) => &world.endpoints[index].interfaces[number].security_groups,
        Interface::Instance(index) => &world.instances[index].security_groups,
        Interface::Network(index) => &world.network_interfaces[index].security_groups,
        Interface::ResolverEndpoint | Interface::NatGateway(_) => &[],
    }
}

/// The verdict of several groups: the kindest of them decides.
fn best(
    groups: &[Index<SecurityGroup>],
    judge: impl Fn(Index<SecurityGroup>) -> (Admission, Option<usize>),
    direction: Direction,
) -> Option<Filter> {
    let judged = groups.iter().map(|group| (*group, judge(*group)));
    // Of equals the first.
    let (group, (verdict, rule)) =
        judged.reduce(|best, next| if next.1.0 > best.1.0 { next } else { best })?;
    Some(Filter { by: FilterId::SecurityGroup(group), direction, verdict, rule })
}
