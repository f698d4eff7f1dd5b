//! Instances and network interfaces.

use super::ConfigWriter;
use super::toml::InlineTable;
use super::vpc::hostname_options;
use crate::import::objects::instance::{Instance, NetworkInterface};
use crate::import::objects::{Object, is_state, name_tag};

/// If a VPC has at least this many instances or network interfaces, only those that affect answers are
/// written.
const FILTER_THRESHOLD: usize = 200;

impl ConfigWriter<'_> {
    /// Collects the addresses of endpoints, NAT gateways, resolver endpoints and instances, so that their
    /// network interfaces are not written as well.
    pub(super) fn claim_addresses(&mut self) {
        let inventory = self.inventory;
        let mut claimed = std::mem::take(&mut self.claimed_addresses);
        let mut claim = |vpc: &str, address: Option<&str>| {
            claimed.extend(address.map(|address| (vpc.to_owned(), address.to_owned())));
        };
        for endpoint in &inventory.endpoints {
            for id in &endpoint.network_interface_ids {
                let interface = self.interfaces.get(id.as_str());
                claim(&endpoint.vpc_id, interface.and_then(|one| one.private_ip_address.as_deref()));
            }
        }
        for nat in &inventory.nat_gateways {
            for address in &nat.nat_gateway_addresses {
                claim(&nat.vpc_id, address.private_ip.as_deref());
            }
        }
        for endpoint in &inventory.resolver_endpoints {
            for address in inventory.resolver_addresses.get(&endpoint.id).into_iter().flatten() {
                claim(&endpoint.host_vpc_id, address.ip.as_deref());
            }
        }
        for instance in inventory.instances.iter().filter(|instance| !is_terminated(instance)) {
            claim(instance.vpc_id.as_deref().unwrap_or_default(), instance.private_ip_address.as_deref());
        }
        self.claimed_addresses = claimed;
    }

    /// Writes the network interfaces of a VPC that do not belong to another written object.
    pub(super) fn write_network_interfaces(&mut self, vpc: &str) {
        let interfaces = self.index.interfaces.get(vpc);
        let writes_all = interfaces.len() < FILTER_THRESHOLD;
        for interface in interfaces {
            let id = interface.network_interface_id.as_str();
            if let Some(why) = self.skip_reason(vpc, interface) {
                self.ledger.mark_skipped(NetworkInterface::KIND, id, why);
                continue;
            }
            let affects_answers =
                interface.association.public_ip.is_some() || self.route_targets.contains(id);
            if !writes_all && !affects_answers {
                let why = format!(
                    "no public address or route to it, in a VPC with {FILTER_THRESHOLD} or more network interfaces"
                );
                self.ledger.mark_skipped(NetworkInterface::KIND, id, why);
                continue;
            }
            self.write_network_interface(vpc, interface);
        }
        if !self.has_document(NetworkInterface::KIND) {
            let command = self.with_region(vpc, "aws ec2 describe-network-interfaces");
            self.ledger.note_missing(format!("network interfaces of VPC {vpc}"), command);
        }
    }

    /// Returns the reason to skip an interface: it has no address, or another object owns it or contains its
    /// address.
    fn skip_reason(&self, vpc: &str, interface: &NetworkInterface) -> Option<&'static str> {
        match interface.interface_type.as_deref().unwrap_or("interface") {
            "nat_gateway" | "natGateway" => return Some("belongs to a NAT gateway"),
            "vpc_endpoint" | "gateway_load_balancer_endpoint" => return Some("belongs to an endpoint"),
            "transit_gateway" => return Some("belongs to a transit gateway"),
            _ => {}
        }
        // Otherwise, the owner may be recognisable by the description that AWS sets.
        let description = interface.description.as_deref().unwrap_or_default();
        if description.starts_with("Interface for NAT Gateway") {
            return Some("belongs to a NAT gateway");
        }
        if description.starts_with("VPC Endpoint Interface") {
            return Some("belongs to an endpoint");
        }
        if description.starts_with("Route 53 Resolver: rslvr-") {
            return Some("belongs to a resolver endpoint");
        }
        if interface.private_ip_address.is_none() && interface.ipv6_addresses.is_empty() {
            return Some("no address");
        }
        let address = interface.private_ip_address.clone()?;
        let is_claimed = self.claimed_addresses.contains(&(vpc.to_owned(), address));
        is_claimed.then_some("its address belongs to another converted object")
    }

    fn write_network_interface(&mut self, vpc: &str, interface: &NetworkInterface) {
        let id = interface.network_interface_id.as_str();
        let Some(subnet) = interface.subnet_id.as_deref() else {
            self.ledger.mark_skipped(NetworkInterface::KIND, id, "not in a subnet");
            return;
        };
        if !self.require_subnet(vpc, subnet, id) {
            self.ledger.mark_skipped(NetworkInterface::KIND, id, "its subnet is missing");
            return;
        }
        self.toml.table("vpc.network_interface", name_tag(&interface.tag_set));
        self.toml.string("id", id);
        self.toml.string("subnet", subnet);
        self.toml.optional_string("address", interface.private_ip_address.as_deref());
        self.toml.optional_string(
            "ipv6_address",
            interface.ipv6_addresses.first().map(|one| one.ipv6_address.as_str()),
        );
        self.toml.optional_string("public_address", interface.association.public_ip.as_deref());
        let groups = self.written_group_ids(vpc, &interface.groups);
        self.toml.non_empty_strings("security_groups", groups);
        if interface.source_dest_check == Some(false) {
            self.toml.value("source_dest_check", false);
        }
        self.toml
            .optional_string("description", interface.description.as_deref().filter(|text| !text.is_empty()));
        self.ledger.mark_converted(NetworkInterface::KIND, id);
    }

    /// Writes the instances of a VPC: all of them if there are few, otherwise only those that affect answers.
    pub(super) fn write_instances(&mut self, vpc: &str) {
        let instances = self.index.instances.get(vpc);
        let writes_all = instances.len() < FILTER_THRESHOLD;
        for instance in instances {
            let id = instance.instance_id.as_str();
            let has_names =
                instance.private_dns_name_options.as_ref().is_some_and(|one| one.a_record || one.aaaa_record);
            let affects_answers = instance.public_ip_address.is_some()
                || has_names
                || !instance.security_groups.is_empty()
                || self.route_targets.contains(id);
            if is_terminated(instance) {
                self.ledger.mark_skipped(Instance::KIND, id, "terminated");
            } else if !writes_all && !affects_answers {
                let why = format!(
                    "no public address, security group, resource name or route to it, in a VPC with \
                     {FILTER_THRESHOLD} or more instances"
                );
                self.ledger.mark_skipped(Instance::KIND, id, why);
            } else {
                self.write_instance(vpc, instance);
            }
        }
        if !self.has_document(Instance::KIND) {
            let command = self.with_region(vpc, "aws ec2 describe-instances");
            self.ledger.note_missing(format!("instances of VPC {vpc}"), command);
        }
    }

    fn write_instance(&mut self, vpc: &str, instance: &Instance) {
        let id = instance.instance_id.as_str();
        let Some(subnet) = instance.subnet_id.as_deref() else {
            self.ledger.mark_skipped(Instance::KIND, id, "not in a subnet");
            return;
        };
        if !self.require_subnet(vpc, subnet, id) {
            self.ledger.mark_skipped(Instance::KIND, id, "its subnet is missing");
            return;
        }
        self.toml.table("vpc.instance", name_tag(&instance.tags));
        self.toml.string("id", id);
        self.toml.string("subnet", subnet);
        let is_set = |address: &&str| !address.is_empty();
        self.toml.optional_string("address", instance.private_ip_address.as_deref().filter(is_set));
        self.toml.optional_string("ipv6_address", instance.ipv6());
        self.toml.optional_string("public_address", instance.public_ip_address.as_deref().filter(is_set));
        if let Some(options) = instance.private_dns_name_options.as_ref().and_then(hostname_options) {
            self.toml.value("private_dns_name_options", options);
        }
        let groups = self.written_group_ids(vpc, &instance.security_groups);
        self.toml.non_empty_strings("security_groups", groups);
        if instance.source_dest_check == Some(false) {
            self.toml.value("source_dest_check", false);
        }
        self.ledger.mark_converted(Instance::KIND, id);
    }

    /// Returns the addresses of a resolver endpoint according to the descriptions of network interfaces.
    pub(super) fn addresses_from_descriptions(&self, endpoint: &str) -> Vec<String> {
        let mut addresses: Vec<String> = self
            .inventory
            .interfaces
            .iter()
            .filter(|one| {
                let description = one.description.as_deref().unwrap_or_default();
                description.strip_prefix("Route 53 Resolver: ").is_some_and(|rest| rest.starts_with(endpoint))
            })
            .filter_map(|one| one.private_ip_address.clone())
            .collect();
        addresses.sort_unstable();
        addresses
    }
}

/// Returns whether an instance is terminated.
fn is_terminated(instance: &Instance) -> bool {
    is_state(instance.state.name.as_deref(), &["terminated", "shutting-down"])
}

/// Returns one side of a peering connection as an inline table.
pub(super) fn peering_side(vpc: &str, allows_dns_resolution: bool) -> String {
    let mut inline = InlineTable::default().string("vpc", vpc);
    if allows_dns_resolution {
        inline = inline.value("allow_dns_resolution_from_remote_vpc", true);
    }
    inline.to_toml()
}
