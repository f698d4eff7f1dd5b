//! Security groups and network ACLs, evaluated rule by rule.

use super::*;

impl Packet<'_> {
    fn own_groups(&self) -> Option<Vec<(usize, usize)>> {
        let own = &self.net.vpcs[self.client.vpc].interfaces[self.client.interface?];
        Some(own.groups.iter().map(|group| (self.client.vpc, *group)).collect())
    }

    /// Outbound rules of the client's groups.
    pub(super) fn client_groups(
        &self,
        destination_address: IpAddr,
        end: &End,
        verdicts: &mut Vec<(Verdict, Reason)>,
    ) {
        let Some(own) = self.own_groups().filter(|own| !own.is_empty()) else { return };
        let far = match (end, self.owner()) {
            // Outbound rules cannot refer to groups of another network.
            _ if self.groups != Groups::ByMembership => Some(vec![]),
            (End::InVpc(vpc), Some(owner)) if !owner.groups.is_empty() => {
                Some(owner.groups.iter().map(|group| (*vpc, *group)).collect())
            }
            (End::InVpc(_), _) => None,
            _ => Some(vec![]),
        };
        let groups: Vec<&Group> =
            own.iter().map(|(vpc, group)| &self.net.vpcs[*vpc].groups[*group]).collect();
        if groups.iter().any(|group| group.egress.is_none()) {
            return;
        }
        let rules = groups.iter().flat_map(|group| group.egress.iter().flatten());
        verdicts.push((self.any_match(rules, &[destination_address], far.as_deref()), Reason::SgDenied));
    }

    /// Inbound rules of the groups of the destination's interface.
    pub(super) fn owner_groups(&self, end: &End, verdicts: &mut Vec<(Verdict, Reason)>) {
        let (End::InVpc(vpc), Some(owner)) = (end, self.owner()) else { return };
        if owner.groups.is_empty() {
            return;
        }
        let rules = owner.groups.iter().flat_map(|group| &self.net.vpcs[*vpc].groups[*group].ingress);
        // Endpoints cannot refer to security groups of clients behind a transit gateway.
        let own = match owner.kind {
            Kind::Endpoint if self.groups == Groups::Unknown => Some(vec![]),
            _ => self.own_groups(),
        };
        verdicts.push((self.any_match(rules, &self.from, own.as_deref()), Reason::SgDenied));
    }

    /// Whether any rule allows port 443 for the peer, combined over all addresses that the peer may have.
    fn any_match<'r>(
        &self,
        rules: impl Iterator<Item = &'r GroupRule>,
        addresses: &[IpAddr],
        groups: Option<&[(usize, usize)]>,
    ) -> Verdict {
        let rules: Vec<&GroupRule> = rules.collect();
        let of = |address: &IpAddr| {
            let verdicts = rules.iter().map(|rule| {
                let is_any_protocol = rule.protocol == "-1";
                let is_tcp = is_any_protocol || matches!(rule.protocol, "tcp" | "6");
                let has_port = is_any_protocol || (rule.ports.0 <= 443 && 443 <= rule.ports.1);
                if !is_tcp || !has_port {
                    return Verdict::Stops;
                }
                match &rule.peer {
                    Peer::Cidr(net) if net.contains(address) => Verdict::Passes,
                    Peer::List(number) if LISTS[*number].iter().any(|net| cidr(net).contains(address)) => {
                        Verdict::Passes
                    }
                    Peer::Cidr(_) | Peer::List(_) => Verdict::Stops,
                    Peer::Group(vpc, group) => match (self.groups, groups) {
                        (Groups::Never, _) | (_, Some([])) => Verdict::Stops,
                        (Groups::Unknown, _) | (_, None) => Verdict::Unknown,
                        (Groups::ByMembership, Some(own)) if own.contains(&(*vpc, *group)) => Verdict::Passes,
                        (Groups::ByMembership, Some(_)) => Verdict::Stops,
                    },
                }
            });
            verdicts.max().unwrap_or(Verdict::Stops)
        };
        combine(addresses.iter().map(of))
    }

    /// The network ACL of each boundary, for the packet and its reply.
    pub(super) fn acls(&self, verdicts: &mut Vec<(Verdict, Reason)>) {
        for (vpc, acl, is_out, from, to) in &self.crossings {
            let acl = &self.net.vpcs[*vpc].acls[*acl];
            let far = if *is_out { std::slice::from_ref(to) } else { from };
            let forth = far.iter().map(|address| first_match(acl, *is_out, 443, *address));
            verdicts.push((combine(forth), Reason::NaclDenied));
            // Replies go to an ephemeral port: those around each boundary of a rule represent the others.
            let boundaries = acl.entries.iter().flat_map(|entry| {
                [
                    entry.ports.0.saturating_sub(1),
                    entry.ports.0,
                    entry.ports.1,
                    entry.ports.1.saturating_add(1),
                ]
            });
            let ports: Vec<u16> = boundaries.chain([1024, u16::MAX]).filter(|port| *port >= 1024).collect();
            let back = far.iter().flat_map(|address| {
                ports.iter().map(move |port| first_match(acl, !*is_out, *port, *address))
            });
            verdicts.push((combine(back), Reason::NaclDenied));
        }
    }
}

/// The result of the rule with the lowest number that matches this port and address.
fn first_match(acl: &Acl, is_egress: bool, port: u16, address: IpAddr) -> Verdict {
    let matching = acl.entries.iter().filter(|entry| {
        let is_any_protocol = entry.protocol == "-1";
        let is_tcp = is_any_protocol || matches!(entry.protocol, "tcp" | "6");
        let has_port = is_any_protocol || (entry.ports.0 <= port && port <= entry.ports.1);
        entry.is_egress == is_egress && is_tcp && has_port && entry.cidr.contains(&address)
    });
    match matching.min_by_key(|entry| entry.number) {
        Some(entry) if entry.allows => Verdict::Passes,
        Some(_) | None => Verdict::Stops,
    }
}

/// The combined verdict: unknown if they differ.
fn combine(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    let mut all = verdicts;
    let Some(first) = all.next() else { return Verdict::Passes };
    if all.all(|verdict| verdict == first) { first } else { Verdict::Unknown }
}
