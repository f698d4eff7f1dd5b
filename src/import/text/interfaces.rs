//! Instances and network interfaces.

use super::ConfigWriter;
use super::toml::InlineTable;
use super::vpc::name_options;
use crate::import::objects::instance::{Instance, NetworkInterface};
use crate::import::objects::{Object, is_state, name_tag};

/// With fewer instances or interfaces than this, all of them are written.
const FEW: usize = 200;

impl ConfigWriter<'_> {
    /// Notes who has which address, so that none is written twice.
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
        for instance in inventory.instances.iter().filter(|instance| !is_gone(instance)) {
            claim(instance.vpc_id.as_deref().unwrap_or_default(), instance.private_ip_address.as_deref());
        }
        self.claimed_addresses = claimed;
    }

    /// The network interfaces of a VPC that are nobody else's.
    pub(super) fn network_interfaces(&mut self, vpc: &str) {
        let own = self.index.interfaces.get(vpc);
        let is_few = own.len() < FEW;
        for interface in own {
            let id = interface.network_interface_id.as_str();
            if let Some(why) = self.whose(vpc, interface) {
                self.ledger.mark_skipped(NetworkInterface::KIND, id, why);
                continue;
            }
            let is_asked_for = interface.association.public_ip.is_some() || self.route_targets.contains(id);
            if !is_few && !is_asked_for {
                let why = "no public address, no route to it, and there are many";
                self.ledger.mark_skipped(NetworkInterface::KIND, id, why);
                continue;
            }
            self.network_interface(vpc, interface);
        }
        if !self.has_document(NetworkInterface::KIND) {
            let call = self.with_region(vpc, "aws ec2 describe-network-interfaces");
            self.ledger.note_missing(format!("the network interfaces of VPC {vpc}"), call);
        }
    }

    /// Whose interface it is, where that is told elsewhere.
    fn whose(&self, vpc: &str, interface: &NetworkInterface) -> Option<&'static str> {
        match interface.interface_type.as_deref().unwrap_or("interface") {
            "nat_gateway" | "natGateway" => return Some("a NAT gateway's"),
            "vpc_endpoint" | "gateway_load_balancer_endpoint" => return Some("an endpoint's"),
            "transit_gateway" => return Some("a transit gateway's"),
            _ => {}
        }
        let told = interface.description.as_deref().unwrap_or_default();
        if told.starts_with("Interface for NAT Gateway") {
            return Some("a NAT gateway's");
        }
        if told.starts_with("VPC Endpoint Interface") {
            return Some("an endpoint's");
        }
        if told.starts_with("Route 53 Resolver: rslvr-") {
            return Some("a resolver endpoint's");
        }
        if interface.private_ip_address.is_none() && interface.ipv6_addresses.is_empty() {
            return Some("it has no address");
        }
        let address = interface.private_ip_address.clone()?;
        let has = self.claimed_addresses.contains(&(vpc.to_owned(), address));
        has.then_some("what has its address is written")
    }

    fn network_interface(&mut self, vpc: &str, interface: &NetworkInterface) {
        let id = interface.network_interface_id.as_str();
        let Some(subnet) = interface.subnet_id.as_deref() else {
            self.ledger.mark_skipped(NetworkInterface::KIND, id, "it stands in no subnet");
            return;
        };
        if !self.require_subnet(vpc, subnet, id) {
            self.ledger.mark_skipped(NetworkInterface::KIND, id, "no document holds its subnet");
            return;
        }
        self.toml.table("vpc.network_interface", name_tag(&interface.tag_set));
        self.toml.string("id", id);
        self.toml.string("subnet", subnet);
        self.toml.optional_string("address", interface.private_ip_address.as_deref());
        self.toml
            .optional_string("ipv6_address", interface.ipv6_addresses.first().map(|one| one.ipv6_address.as_str()));
        self.toml.optional_string("public_address", interface.association.public_ip.as_deref());
        let groups = self.known_groups(vpc, &interface.groups);
        self.toml.non_empty_strings("security_groups", groups);
        if interface.source_dest_check == Some(false) {
            self.toml.value("source_dest_check", false);
        }
        self.toml.optional_string("description", interface.description.as_deref().filter(|told| !told.is_empty()));
        self.ledger.mark_converted(NetworkInterface::KIND, id);
    }

    /// The instances of a VPC: all when there are few, else those that something hangs on.
    pub(super) fn instances(&mut self, vpc: &str) {
        let own = self.index.instances.get(vpc);
        let is_few = own.len() < FEW;
        for instance in own {
            let id = instance.instance_id.as_str();
            let has_names =
                instance.private_dns_name_options.as_ref().is_some_and(|one| one.a_record || one.aaaa_record);
            let is_asked_for = instance.public_ip_address.is_some()
                || has_names
                || !instance.security_groups.is_empty()
                || self.route_targets.contains(id);
            if is_gone(instance) {
                self.ledger.mark_skipped(Instance::KIND, id, "it is terminated");
            } else if !is_few && !is_asked_for {
                let why = "no public address, group or resource name, no route to it, and there are many";
                self.ledger.mark_skipped(Instance::KIND, id, why);
            } else {
                self.instance(vpc, instance);
            }
        }
        if !self.has_document(Instance::KIND) {
            let call = self.with_region(vpc, "aws ec2 describe-instances");
            self.ledger.note_missing(format!("the instances of VPC {vpc}"), call);
        }
    }

    fn instance(&mut self, vpc: &str, instance: &Instance) {
        let id = instance.instance_id.as_str();
        let Some(subnet) = instance.subnet_id.as_deref() else {
            self.ledger.mark_skipped(Instance::KIND, id, "it stands in no subnet");
            return;
        };
        if !self.require_subnet(vpc, subnet, id) {
            self.ledger.mark_skipped(Instance::KIND, id, "no document holds its subnet");
            return;
        }
        self.toml.table("vpc.instance", name_tag(&instance.tags));
        self.toml.string("id", id);
        self.toml.string("subnet", subnet);
        let some = |address: &&str| !address.is_empty();
        self.toml.optional_string("address", instance.private_ip_address.as_deref().filter(some));
        self.toml.optional_string("ipv6_address", instance.ipv6());
        self.toml.optional_string("public_address", instance.public_ip_address.as_deref().filter(some));
        if let Some(options) = instance.private_dns_name_options.as_ref().and_then(name_options) {
            self.toml.value("private_dns_name_options", options);
        }
        let groups = self.known_groups(vpc, &instance.security_groups);
        self.toml.non_empty_strings("security_groups", groups);
        if instance.source_dest_check == Some(false) {
            self.toml.value("source_dest_check", false);
        }
        self.ledger.mark_converted(Instance::KIND, id);
    }

    /// Addresses of a resolver endpoint out of its interfaces' descriptions.
    pub(super) fn described_addresses(&self, endpoint: &str) -> Vec<String> {
        let mut own: Vec<String> = self
            .inventory
            .interfaces
            .iter()
            .filter(|one| {
                let told = one.description.as_deref().unwrap_or_default();
                told.strip_prefix("Route 53 Resolver: ").is_some_and(|rest| rest.starts_with(endpoint))
            })
            .filter_map(|one| one.private_ip_address.clone())
            .collect();
        own.sort_unstable();
        own
    }
}

/// Whether an instance is no more.
fn is_gone(instance: &Instance) -> bool {
    is_state(instance.state.name.as_deref(), &["terminated", "shutting-down"])
}

/// A side of a peering connection.
pub(super) fn peering_side(vpc: &str, allows: bool) -> String {
    let mut inline = InlineTable::default().string("vpc", vpc);
    if allows {
        inline = inline.value("allow_dns_resolution_from_remote_vpc", true);
    }
    inline.to_toml()
}
