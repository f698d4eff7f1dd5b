//! Security groups and network ACLs: their rules, with prefix lists expanded.

use super::*;
use crate::config::{Destination, RuleAction};

/// The protocols of rules, by name or number.
const PROTOCOLS: [&str; 9] = ["tcp", "udp", "icmp", "icmpv6", "-1", "6", "17", "1", "58"];

impl NetworkCompiler<'_, '_> {
    /// Declares all security groups before any rule is compiled, because they may refer to each other.
    pub(super) fn declare_security_groups(&mut self) {
        for vpc in &self.cx.config.vpc {
            for group in &vpc.security_group {
                if self.cx.declare(&group.id) {
                    let id = group.id.value().to_shared();
                    let egress = group.egress.as_ref().map(|_| GroupRules::default());
                    let index = self.network.security_groups.add(SecurityGroup {
                        id,
                        ingress: GroupRules::default(),
                        egress,
                    });
                    self.ids.security_groups.insert(group.id.to_string(), index);
                }
            }
        }
    }

    /// Rules of security groups. Runs after prefix lists.
    pub(super) fn security_group_rules(&mut self) {
        for vpc in &self.cx.config.vpc {
            let region = vpc.region.value();
            for group in &vpc.security_group {
                let Some(index) = self.ids.security_groups.get(&group.id.to_string()).copied() else {
                    continue;
                };
                for rule in &group.ingress {
                    let ports = (rule.from_port, rule.to_port);
                    let rule = self.group_rule(&rule.protocol, ports, &rule.sources, region);
                    self.network.security_groups[index].ingress.push(rule);
                }
                for rule in group.egress.iter().flatten() {
                    let ports = (rule.from_port, rule.to_port);
                    let rule = self.group_rule(&rule.protocol, ports, &rule.destinations, region);
                    self.network.security_groups[index].egress.get_or_insert_default().push(rule);
                }
            }
        }
    }

    fn group_rule(
        &mut self,
        protocol: &Marked<String>,
        ports: (u16, u16),
        peers: &[Marked<Destination>],
        region: &Region,
    ) -> GroupRule {
        let (is_tcp, from_port, to_port) = self.tcp_ports(protocol, ports);
        let mut made = Vec::new();
        for peer in peers {
            match peer.value() {
                Destination::Cidr(cidr) => made.push(Peer::Prefix(cidr.0)),
                Destination::SecurityGroup(id) => {
                    made.extend(self.group_named(id.as_str(), peer.mark()).map(Peer::Group));
                }
                Destination::PrefixList(id) => {
                    let entries = self.prefix_list(region, id.as_str(), peer.mark());
                    made.extend(entries.into_iter().map(Peer::Prefix));
                }
            }
        }
        GroupRule { is_tcp, from_port, to_port, peers: made }
    }

    /// Whether a rule applies to TCP, and to which ports. AWS ignores ports if the rule is for all protocols.
    fn tcp_ports(&mut self, protocol: &Marked<String>, (from, to): (u16, u16)) -> (bool, u16, u16) {
        let name = protocol.value().as_str();
        if !PROTOCOLS.contains(&name) {
            let message = format!("invalid protocol `{name}` for rules of security groups and network ACLs");
            let error = self.cx.report.error(Code::InvalidValue, protocol.mark(), message);
            error.help("write `tcp`, `udp`, `icmp`, `icmpv6` or `-1` (all protocols)");
        }
        match name {
            "-1" => (true, 0, u16::MAX),
            name => (matches!(name, "tcp" | "6"), from, to),
        }
    }

    /// The network ACLs of a VPC.
    pub(super) fn network_acls_of(&mut self, vpc: &config::Vpc, index: Index<Vpc>) {
        for written in &vpc.network_acl {
            if !self.cx.declare(&written.id) {
                continue;
            }
            let (mut ingress, mut egress) = (Vec::new(), Vec::new());
            // Each number is unique within its direction and address family.
            let mut seen = HashSet::new();
            for entry in &written.entries {
                let ports = (entry.from_port, entry.to_port);
                let (is_tcp, from_port, to_port) = self.tcp_ports(&entry.protocol, ports);
                let rules = if entry.egress { &mut egress } else { &mut ingress };
                let cidr = entry.cidr.value().0;
                if !seen.insert((entry.rule_number, entry.egress, cidr.addr().is_ipv4())) {
                    let message = format!(
                        "network ACL `{}` has two rules {} in this direction",
                        written.id, entry.rule_number
                    );
                    self.cx.report.error(Code::DuplicateId, entry.cidr.mark(), message);
                }
                let allows = entry.rule_action == RuleAction::Allow;
                rules.push(AclRule { number: entry.rule_number, is_tcp, cidr, from_port, to_port, allows });
            }
            let made = self.network.network_acls.add(NetworkAcl {
                id: written.id.value().to_shared(),
                ingress: AclRules::new(ingress),
                egress: AclRules::new(egress),
            });
            self.ids.network_acls.insert(written.id.to_string(), (index, made));
            if written.is_default && self.ids.default_acls.insert(index, made).is_some() {
                let message = format!("VPC `{}` has two default network ACLs", vpc.id);
                self.cx.report.error(Code::DuplicateSection, written.id.mark(), message);
            }
        }
    }

    /// The network ACL of a subnet. `None` if none is configured, so that all traffic is allowed.
    pub(super) fn network_acl_of(
        &mut self,
        subnet: &config::Subnet,
        vpc: Index<Vpc>,
    ) -> Option<Index<NetworkAcl>> {
        let Some(id) = &subnet.network_acl else { return self.ids.default_acls.get(&vpc).copied() };
        match self.ids.network_acls.get(&id.to_string()).copied() {
            Some((owner, acl)) if owner == vpc => return Some(acl),
            Some(_) => {
                let message = format!("network ACL `{id}` belongs to another VPC");
                self.cx.report.error(Code::UnknownReference, id.mark(), message);
            }
            None => {
                let text = id.to_string();
                self.cx.unknown("network ACL", &text, id.mark(), || keys(&self.ids.network_acls));
            }
        }
        None
    }
}
