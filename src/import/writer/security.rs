//! Security groups and network ACLs.

use std::collections::BTreeMap;

use super::ConfigWriter;
use super::toml::InlineTable;
use crate::import::objects::endpoint::GroupIdentifier;
use crate::import::objects::security::{
    CidrRange, IpPermission, NetworkAcl, NetworkAclEntry, SecurityGroup, SecurityGroupRule,
};
use crate::import::objects::{Object, name_tag};

/// The number of the default rule of a network ACL, which denies everything that no other rule matches.
const DEFAULT_RULE_NUMBER: i64 = 32767;

/// A rule of a security group, from `describe-security-groups` or `describe-security-group-rules`.
struct GroupRule {
    is_egress: bool,
    protocol: String,
    from_port: Option<i32>,
    to_port: Option<i32>,
    /// The sources or destinations: CIDR blocks, prefix lists and security groups.
    peers: Vec<String>,
}

impl ConfigWriter<'_> {
    /// Collects the security groups to write: those of endpoints, interfaces and instances, and those that
    /// their rules refer to.
    pub(super) fn collect_referenced_groups(&mut self) {
        let inventory = self.inventory;
        let endpoints = inventory.endpoints.iter().flat_map(|one| &one.object.groups);
        let interfaces = inventory.interfaces.iter().flat_map(|one| &one.object.groups);
        let instances = inventory.instances.iter().flat_map(|one| &one.object.security_groups);
        let mut pending: Vec<String> =
            endpoints.chain(interfaces).chain(instances).map(|group| group.group_id.clone()).collect();
        let groups: BTreeMap<&str, &SecurityGroup> =
            inventory.security_groups.iter().map(|group| (group.group_id.as_str(), &group.object)).collect();
        while let Some(id) = pending.pop() {
            let Some(group) = groups.get(id.as_str()).filter(|_| !self.written_groups.contains(&id)) else {
                continue;
            };
            let peers = self.rules_of(group).into_iter().flat_map(|rule| rule.peers);
            pending.extend(peers.filter(|peer| peer.starts_with("sg-")));
            self.written_groups.insert(id);
        }
    }

    /// Returns the ids of those groups that are written, and reports the others as missing.
    pub(super) fn written_group_ids(&mut self, vpc: &str, groups: &[GroupIdentifier]) -> Vec<String> {
        let mut ids = Vec::new();
        for id in groups.iter().map(|group| group.group_id.as_str()) {
            if self.written_groups.contains(id) {
                ids.push(id.to_owned());
            } else {
                let command = format!("aws ec2 describe-security-groups --group-ids {id}");
                let command = self.with_region(vpc, &command);
                let what = format!(
                    "security group {id}: an object without other groups is assumed to allow all traffic"
                );
                self.ledger.note_missing(what, command);
            }
        }
        ids
    }

    /// Returns the rules of a group, from the group itself or from documents of
    /// `describe-security-group-rules`.
    fn rules_of(&self, group: &SecurityGroup) -> Vec<GroupRule> {
        let convert = |permissions: &[IpPermission], is_egress| -> Vec<GroupRule> {
            permissions.iter().map(|permission| rule_from_permission(permission, is_egress)).collect()
        };
        let mut rules = convert(&group.ip_permissions, false);
        rules.extend(convert(group.ip_permissions_egress.as_deref().unwrap_or_default(), true));
        if rules.is_empty() {
            let documents = self.index.rules.get(&group.group_id).iter();
            rules.extend(documents.map(|rule| rule_from_document(rule)));
        }
        rules
    }

    /// Writes the security groups of a VPC that written objects refer to.
    pub(super) fn write_security_groups(&mut self, vpc: &str) {
        for group in self.index.security_groups.get(vpc) {
            let id = group.group_id.as_str();
            if !self.written_groups.contains(id) {
                self.ledger.mark_skipped(SecurityGroup::KIND, id, "not used by a converted object");
                continue;
            }
            self.toml.table("vpc.security_group", name_tag(&group.tags).or(group.group_name.as_deref()));
            self.toml.string("id", id);
            let rules = self.rules_of(group);
            let (egress, ingress): (Vec<_>, Vec<_>) = rules.into_iter().partition(|rule| rule.is_egress);
            let ingress = self.convert_group_rules(vpc, id, "sources", ingress);
            self.toml.inline_tables("ingress", &ingress);
            // Allowing all egress is the default, both for AWS and for the configuration. It is also assumed
            // if no document contains egress rules.
            let is_known = group.ip_permissions_egress.is_some() || !egress.is_empty();
            if is_known && !allows_all_egress(&egress, self.has_ipv6(vpc)) {
                let egress = self.convert_group_rules(vpc, id, "destinations", egress);
                self.toml.inline_tables("egress", &egress);
            }
            self.ledger.mark_converted(SecurityGroup::KIND, id);
        }
    }

    /// Marks the rules from documents of `describe-security-group-rules`: they are written with their group.
    pub(super) fn record_group_rules(&mut self) {
        for rule in &self.inventory.security_group_rules {
            if self.written_groups.contains(&rule.group_id) {
                let why = "included in its security group";
                self.ledger.mark_skipped(SecurityGroupRule::KIND, &rule.security_group_rule_id, why);
            }
        }
    }

    /// Converts the rules of a group in one direction.
    fn convert_group_rules(
        &mut self,
        vpc: &str,
        group: &str,
        key: &str,
        rules: Vec<GroupRule>,
    ) -> Vec<InlineTable> {
        let mut tables = Vec::new();
        for rule in rules {
            let mut peers = Vec::new();
            for peer in rule.peers {
                if peer.starts_with("pl-") {
                    self.reference_prefix_list(vpc, &peer);
                }
                if peer.starts_with("sg-") && !self.written_groups.contains(&peer) {
                    let what = format!("security group {peer}, referenced by {group}: the rule is omitted");
                    let command = self
                        .with_region(vpc, &format!("aws ec2 describe-security-groups --group-ids {peer}"));
                    self.ledger.note_missing(what, command);
                    continue;
                }
                peers.push(peer);
            }
            if peers.is_empty() {
                continue;
            }
            let Some(protocol) = parse_protocol(&rule.protocol) else {
                self.note_unsupported_protocol(SecurityGroup::KIND, group, &rule.protocol);
                continue;
            };
            let mut inline = InlineTable::default().string("protocol", protocol);
            // ICMP rules contain types instead of ports, and -1 for all types.
            let has_ports = matches!(protocol, "tcp" | "udp");
            if has_ports && (rule.from_port, rule.to_port) != (Some(0), Some(65535)) {
                let port = |port: Option<i32>, default| {
                    port.and_then(|port| u16::try_from(port).ok()).unwrap_or(default)
                };
                inline = inline
                    .value("from_port", port(rule.from_port, 0))
                    .value("to_port", port(rule.to_port, u16::MAX));
            }
            tables.push(inline.strings(key, &peers));
        }
        tables
    }

    /// Writes the network ACLs of a VPC.
    pub(super) fn write_network_acls(&mut self, vpc: &str) {
        for acl in self.index.network_acls.get(vpc) {
            let id = acl.network_acl_id.as_str();
            self.toml.table("vpc.network_acl", name_tag(&acl.tags));
            self.toml.string("id", id);
            if acl.is_default {
                self.toml.value("is_default", true);
            }
            let mut entries: Vec<&NetworkAclEntry> = acl.entries.iter().collect();
            entries.sort_by_key(|entry| (entry.egress, entry.rule_number));
            let mut tables = Vec::new();
            for entry in entries {
                match parse_protocol(&entry.protocol) {
                    Some(protocol) => tables.extend(convert_acl_entry(entry, protocol)),
                    None => self.note_unsupported_protocol(NetworkAcl::KIND, id, &entry.protocol),
                }
            }
            self.toml.inline_tables("entries", &tables);
            self.ledger.mark_converted(NetworkAcl::KIND, id);
        }
    }

    /// Reports a rule for a protocol that the configuration does not support.
    fn note_unsupported_protocol(&mut self, kind: &'static str, id: &str, protocol: &str) {
        let location = self.ledger.location(kind, id);
        let message =
            format!("{id}: the rule for protocol {protocol} is omitted: it has no effect on egress paths");
        self.ledger.note_unsupported(location, message);
    }

    /// Returns whether a VPC has IPv6 CIDR blocks.
    fn has_ipv6(&self, vpc: &str) -> bool {
        self.index
            .vpcs
            .get(vpc)
            .is_some_and(|vpc| super::vpc::cidrs(vpc).iter().any(|cidr| cidr.contains(':')))
    }
}

/// Returns a protocol in the form used by the configuration, or `None` if it is not supported.
fn parse_protocol(text: &str) -> Option<&'static str> {
    Some(match text.to_ascii_lowercase().as_str() {
        "tcp" | "6" => "tcp",
        "udp" | "17" => "udp",
        "icmp" | "1" => "icmp",
        "icmpv6" | "58" => "icmpv6",
        "-1" | "all" => "-1",
        _ => return None,
    })
}

/// Converts a rule of a network ACL. Returns `None` for the default rule, which is implied.
fn convert_acl_entry(entry: &NetworkAclEntry, protocol: &str) -> Option<InlineTable> {
    if entry.rule_number >= DEFAULT_RULE_NUMBER {
        return None;
    }
    let cidr = entry.cidr_block.as_deref().or(entry.ipv6_cidr_block.as_deref())?;
    let mut inline = InlineTable::default().value("rule_number", entry.rule_number);
    if entry.egress {
        inline = inline.value("egress", true);
    }
    inline = inline.string("protocol", protocol);
    if let Some(range) = entry.port_range.as_ref().filter(|_| matches!(protocol, "tcp" | "udp")) {
        let port =
            |port: Option<i32>, default| port.and_then(|port| u16::try_from(port).ok()).unwrap_or(default);
        inline = inline.value("from_port", port(range.from, 0)).value("to_port", port(range.to, u16::MAX));
    }
    Some(inline.string("cidr", cidr).string("rule_action", &entry.rule_action))
}

/// Returns whether all rules allow all egress, as by default. IPv6 matters only if the VPC has IPv6 CIDR
/// blocks.
fn allows_all_egress(egress: &[GroupRule], has_ipv6: bool) -> bool {
    let is_unrestricted = |rule: &GroupRule| {
        rule.protocol == "-1" && rule.peers.iter().all(|peer| matches!(peer.as_str(), "0.0.0.0/0" | "::/0"))
    };
    let allows = |cidr: &str| egress.iter().any(|rule| rule.peers.iter().any(|peer| peer == cidr));
    egress.iter().all(is_unrestricted) && allows("0.0.0.0/0") && (!has_ipv6 || allows("::/0"))
}

fn rule_from_permission(permission: &IpPermission, is_egress: bool) -> GroupRule {
    let cidr = |range: &CidrRange| range.cidr_ip.clone().or_else(|| range.cidr_ipv6.clone());
    let ranges = permission.ip_ranges.iter().chain(&permission.ipv6_ranges).filter_map(cidr);
    let lists = permission.prefix_list_ids.iter().map(|list| list.prefix_list_id.clone());
    let groups = permission.user_id_group_pairs.iter().filter_map(|pair| pair.group_id.clone());
    GroupRule {
        is_egress,
        protocol: permission.ip_protocol.clone(),
        from_port: permission.from_port,
        to_port: permission.to_port,
        peers: ranges.chain(lists).chain(groups).collect(),
    }
}

fn rule_from_document(rule: &SecurityGroupRule) -> GroupRule {
    let peers =
        [&rule.cidr_ipv4, &rule.cidr_ipv6, &rule.prefix_list_id, &rule.referenced_group_info.group_id];
    GroupRule {
        is_egress: rule.is_egress,
        protocol: rule.ip_protocol.clone(),
        from_port: rule.from_port,
        to_port: rule.to_port,
        peers: peers.into_iter().flatten().cloned().collect(),
    }
}
