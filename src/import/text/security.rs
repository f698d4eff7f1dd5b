//! Security groups and network ACLs.

use std::collections::BTreeMap;

use super::ConfigWriter;
use super::toml::InlineTable;
use crate::import::objects::endpoint::Group;
use crate::import::objects::security::{
    NetworkAcl, NetworkAclEntry, IpPermission, CidrRange, SecurityGroup, SecurityGroupRule,
};
use crate::import::objects::{Object, name_tag};

/// The last number of a network ACL: the rule that denies what no other speaks of.
const LAST_RULE: i64 = 32767;

/// A rule of a security group, whichever call told it.
struct Rule {
    is_egress: bool,
    protocol: String,
    from_port: Option<i32>,
    to_port: Option<i32>,
    /// Prefixes, prefix lists and groups.
    others: Vec<String>,
}

impl ConfigWriter<'_> {
    /// Which groups are written: those that something has, and those that their rules name.
    pub(super) fn collect_groups(&mut self) {
        let inventory = self.inventory;
        let endpoints = inventory.endpoints.iter().flat_map(|one| &one.object.groups);
        let interfaces = inventory.interfaces.iter().flat_map(|one| &one.object.groups);
        let instances = inventory.instances.iter().flat_map(|one| &one.object.security_groups);
        let mut waiting: Vec<String> =
            endpoints.chain(interfaces).chain(instances).map(|group| group.group_id.clone()).collect();
        let groups: BTreeMap<&str, &SecurityGroup> =
            inventory.security_groups.iter().map(|group| (group.group_id.as_str(), &group.object)).collect();
        while let Some(id) = waiting.pop() {
            let Some(group) = groups.get(id.as_str()).filter(|_| !self.written_groups.contains(&id)) else {
                continue;
            };
            let others = self.rules(group).into_iter().flat_map(|rule| rule.others);
            waiting.extend(others.filter(|other| other.starts_with("sg-")));
            self.written_groups.insert(id);
        }
    }

    /// The groups of these that are written; the others are told as missing.
    pub(super) fn known_groups(&mut self, vpc: &str, groups: &[Group]) -> Vec<String> {
        let mut known = Vec::new();
        for id in groups.iter().map(|group| group.group_id.as_str()) {
            if self.written_groups.contains(id) {
                known.push(id.to_owned());
            } else {
                let call = self.with_region(vpc, &format!("aws ec2 describe-security-groups --group-ids {id}"));
                self.ledger.note_missing(
                    format!("security group {id}: everything is taken as admitted where it stands alone"),
                    call,
                );
            }
        }
        known
    }

    /// The rules of a group: those that stand with it, else those of the rules' own document.
    fn rules(&self, group: &SecurityGroup) -> Vec<Rule> {
        let within = |permissions: &[IpPermission], is_egress| -> Vec<Rule> {
            permissions.iter().map(|permission| of_permission(permission, is_egress)).collect()
        };
        let mut rules = within(&group.ip_permissions, false);
        rules.extend(within(group.ip_permissions_egress.as_deref().unwrap_or_default(), true));
        if rules.is_empty() {
            let own = self.index.rules.get(&group.group_id).iter();
            rules.extend(own.map(|rule| of_rule(rule)));
        }
        rules
    }

    /// The security groups of a VPC that something written has.
    pub(super) fn security_groups(&mut self, vpc: &str) {
        for group in self.index.security_groups.get(vpc) {
            let id = group.group_id.as_str();
            if !self.written_groups.contains(id) {
                self.ledger.mark_skipped(SecurityGroup::KIND, id, "nothing that is written has it");
                continue;
            }
            self.toml.table("vpc.security_group", name_tag(&group.tags).or(group.group_name.as_deref()));
            self.toml.string("id", id);
            let rules = self.rules(group);
            let (egress, ingress): (Vec<_>, Vec<_>) = rules.into_iter().partition(|rule| rule.is_egress);
            let ingress = self.group_rules(vpc, id, "sources", ingress);
            self.toml.inline_tables("ingress", &ingress);
            // A group that lets out everything is as AWS makes them, and so is one of which nobody tells that.
            let is_told = group.ip_permissions_egress.is_some() || !egress.is_empty();
            if is_told && !is_open(&egress, self.has_ipv6(vpc)) {
                let egress = self.group_rules(vpc, id, "destinations", egress);
                self.toml.inline_tables("egress", &egress);
            }
            self.ledger.mark_converted(SecurityGroup::KIND, id);
        }
    }

    /// Accounts for rules that stand in documents of their own.
    pub(super) fn rules_of_groups(&mut self) {
        for rule in &self.inventory.security_group_rules {
            if self.written_groups.contains(&rule.group_id) {
                let why = "it stands with its group";
                self.ledger.mark_skipped(SecurityGroupRule::KIND, &rule.security_group_rule_id, why);
            }
        }
    }

    /// Rules as they are written.
    fn group_rules(&mut self, vpc: &str, group: &str, key: &str, rules: Vec<Rule>) -> Vec<InlineTable> {
        let mut written = Vec::new();
        for rule in rules {
            let mut others = Vec::new();
            for other in rule.others {
                if other.starts_with("pl-") {
                    self.name_prefix_list(vpc, &other);
                }
                if other.starts_with("sg-") && !self.written_groups.contains(&other) {
                    let what = format!("security group {other}, which {group} names: its rule is left out");
                    let call =
                        self.with_region(vpc, &format!("aws ec2 describe-security-groups --group-ids {other}"));
                    self.ledger.note_missing(what, call);
                    continue;
                }
                others.push(other);
            }
            if others.is_empty() {
                continue;
            }
            let Some(protocol) = protocol(&rule.protocol) else {
                self.other_protocol(SecurityGroup::KIND, group, &rule.protocol);
                continue;
            };
            let mut inline = InlineTable::default().string("protocol", protocol);
            // ICMP has types where others have ports; -1 stands for all.
            let has_ports = matches!(protocol, "tcp" | "udp");
            if has_ports && (rule.from_port, rule.to_port) != (Some(0), Some(65535)) {
                let port = |port: Option<i32>, other| {
                    port.and_then(|port| u16::try_from(port).ok()).unwrap_or(other)
                };
                inline = inline
                    .value("from_port", port(rule.from_port, 0))
                    .value("to_port", port(rule.to_port, u16::MAX));
            }
            written.push(inline.strings(key, &others));
        }
        written
    }

    /// The network ACLs of a VPC.
    pub(super) fn network_acls(&mut self, vpc: &str) {
        for acl in self.index.network_acls.get(vpc) {
            let id = acl.network_acl_id.as_str();
            self.toml.table("vpc.network_acl", name_tag(&acl.tags));
            self.toml.string("id", id);
            if acl.is_default {
                self.toml.value("is_default", true);
            }
            let mut entries: Vec<&NetworkAclEntry> = acl.entries.iter().collect();
            entries.sort_by_key(|entry| (entry.egress, entry.rule_number));
            let mut written = Vec::new();
            for entry in entries {
                match protocol(&entry.protocol) {
                    Some(protocol) => written.extend(acl_entry(entry, protocol)),
                    None => self.other_protocol(NetworkAcl::KIND, id, &entry.protocol),
                }
            }
            self.toml.inline_tables("entries", &written);
            self.ledger.mark_converted(NetworkAcl::KIND, id);
        }
    }

    /// Tells of a rule for a protocol that the configuration has no word for.
    fn other_protocol(&mut self, kind: &'static str, id: &str, protocol: &str) {
        let spot = self.ledger.location(kind, id);
        let message =
            format!("{id} has a rule for protocol {protocol}, which is left out: no way is judged by it");
        self.ledger.note_unsupported(spot, message);
    }

    /// Whether a VPC has IPv6 prefixes.
    fn has_ipv6(&self, vpc: &str) -> bool {
        self.index
            .vpcs
            .get(vpc)
            .is_some_and(|vpc| super::vpc::cidrs(vpc).iter().any(|cidr| cidr.contains(':')))
    }
}

/// A protocol as the configuration writes it; `None` for those that it does not know.
fn protocol(written: &str) -> Option<&'static str> {
    Some(match written.to_ascii_lowercase().as_str() {
        "tcp" | "6" => "tcp",
        "udp" | "17" => "udp",
        "icmp" | "1" => "icmp",
        "icmpv6" | "58" => "icmpv6",
        "-1" | "all" => "-1",
        _ => return None,
    })
}

/// A rule of a network ACL; none for the one that denies the rest, which is implied.
fn acl_entry(entry: &NetworkAclEntry, protocol: &str) -> Option<InlineTable> {
    if entry.rule_number >= LAST_RULE {
        return None;
    }
    let cidr = entry.cidr_block.as_deref().or(entry.ipv6_cidr_block.as_deref())?;
    let mut inline = InlineTable::default().value("rule_number", entry.rule_number);
    if entry.egress {
        inline = inline.value("egress", true);
    }
    inline = inline.string("protocol", protocol);
    if let Some(range) = entry.port_range.as_ref().filter(|_| matches!(protocol, "tcp" | "udp")) {
        let port = |port: Option<i32>, other| port.and_then(|port| u16::try_from(port).ok()).unwrap_or(other);
        inline = inline.value("from_port", port(range.from, 0)).value("to_port", port(range.to, u16::MAX));
    }
    Some(inline.string("cidr", cidr).string("rule_action", &entry.rule_action))
}

/// Whether rules let out everything, and say nothing else. Of IPv6 they need not speak where there is none.
fn is_open(egress: &[Rule], has_ipv6: bool) -> bool {
    let everywhere = |rule: &Rule| {
        rule.protocol == "-1"
            && rule.others.iter().all(|other| matches!(other.as_str(), "0.0.0.0/0" | "::/0"))
    };
    let to = |all: &str| egress.iter().any(|rule| rule.others.iter().any(|other| other == all));
    egress.iter().all(everywhere) && to("0.0.0.0/0") && (!has_ipv6 || to("::/0"))
}

fn of_permission(permission: &IpPermission, is_egress: bool) -> Rule {
    let prefix = |range: &CidrRange| range.cidr_ip.clone().or_else(|| range.cidr_ipv6.clone());
    let ranges = permission.ip_ranges.iter().chain(&permission.ipv6_ranges).filter_map(prefix);
    let lists = permission.prefix_list_ids.iter().map(|list| list.prefix_list_id.clone());
    let groups = permission.user_id_group_pairs.iter().filter_map(|pair| pair.group_id.clone());
    Rule {
        is_egress,
        protocol: permission.ip_protocol.clone(),
        from_port: permission.from_port,
        to_port: permission.to_port,
        others: ranges.chain(lists).chain(groups).collect(),
    }
}

fn of_rule(rule: &SecurityGroupRule) -> Rule {
    let others =
        [&rule.cidr_ipv4, &rule.cidr_ipv6, &rule.prefix_list_id, &rule.referenced_group_info.group_id];
    Rule {
        is_egress: rule.is_egress,
        protocol: rule.ip_protocol.clone(),
        from_port: rule.from_port,
        to_port: rule.to_port,
        others: others.into_iter().flatten().cloned().collect(),
    }
}
