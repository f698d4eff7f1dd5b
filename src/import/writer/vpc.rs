//! VPCs, their subnets and gateways.

use super::ConfigWriter;
use super::toml::InlineTable;
use crate::import::inventory::ReadObject;
use crate::import::ledger::SourceLocation;
use crate::import::objects::gateway::{EgressOnlyInternetGateway, InternetGateway, NatGateway, VpnGateway};
use crate::import::objects::network::{BlockPublicAccessStates, PrivateDnsNameOptions, Subnet, Vpc};
use crate::import::objects::resolver::{ResolverConfig, ServiceNetworkVpcAssociation};
use crate::import::objects::{Object, is_state, name_tag};
use crate::import::reader::VPC_ATTRIBUTES;
use crate::import::regions::RegionAndAccount;

impl ConfigWriter<'_> {
    /// Writes a VPC and everything in it.
    pub(super) fn write_vpc(&mut self, vpc: &ReadObject<Vpc>) {
        let id = vpc.vpc_id.as_str();
        let name = name_tag(&vpc.tags);
        self.toml.heading(&name.map_or_else(|| format!("VPC {id}"), |name| format!("VPC {id}, {name}")));
        self.toml.table("vpc", name);
        self.toml.string("id", id);
        let RegionAndAccount { region, account } = self.vpc_regions.get(id).cloned().unwrap_or_default();
        self.toml.optional_string("region", region.as_deref());
        self.toml.optional_string("account", account.as_deref());
        if account.is_none() {
            let what = format!("account that owns VPC {id}, shown in the query log");
            self.ledger.note_missing(what, "aws sts get-caller-identity");
        }
        self.toml.strings("cidr", cidrs(vpc));
        let location = self.ledger.location(Vpc::KIND, id);
        self.note_blocked_public_access(location, &format!("VPC {id}"), &vpc.block_public_access_states);
        self.write_dns_attributes(id);
        self.write_gateways(id);
        self.ledger.mark_converted(Vpc::KIND, id);
        let index = self.index;
        for subnet in index.subnets.get(id) {
            self.write_subnet(subnet);
        }
        if !self.has_document("Subnets") {
            let command = self.with_region(id, "aws ec2 describe-subnets");
            self.ledger.note_missing(format!("subnets of VPC {id}"), command);
        }
        self.write_route_tables(id);
        for nat in index.nat_gateways.get(id) {
            self.write_nat_gateway(nat);
        }
        self.write_endpoints(id);
        self.write_security_groups(id);
        self.write_network_acls(id);
        self.write_network_interfaces(id);
        self.write_instances(id);
    }

    /// Writes the DNS attributes, which only `describe-vpc-attribute` returns, and the setting for
    /// autodefined reverse DNS.
    fn write_dns_attributes(&mut self, id: &str) {
        let known = self.inventory.attributes.get(id).cloned().unwrap_or_default();
        for location in self.inventory.attribute_locations.get(id).into_iter().flatten() {
            self.ledger.mark_item_converted(VPC_ATTRIBUTES, *location);
        }
        let attributes = [
            ("enable_dns_support", "enableDnsSupport", known.enable_dns_support),
            ("enable_dns_hostnames", "enableDnsHostnames", known.enable_dns_hostnames),
        ];
        for (key, attribute, value) in attributes {
            match value {
                Some(value) => self.toml.value(key, value.value),
                None => {
                    let command =
                        format!("aws ec2 describe-vpc-attribute --vpc-id {id} --attribute {attribute}");
                    let command = self.with_region(id, &command);
                    let endpoint = self.endpoint_with_private_dns(id);
                    let assumption = match &endpoint {
                        // AWS rejects private DNS for endpoints in a VPC without both attributes.
                        Some(endpoint) => format!("true, since endpoint {endpoint} has private DNS"),
                        None if key == "enable_dns_support" => "true, the default for new VPCs".to_owned(),
                        None => "false, the default for new VPCs".to_owned(),
                    };
                    if endpoint.is_some() {
                        self.toml.value(key, true);
                    }
                    let what = format!("{attribute} of VPC {id}: assumed to be {assumption}");
                    self.ledger.note_missing(what, command);
                }
            }
        }
        let inventory = self.inventory;
        for config in inventory.resolver_configs.iter().filter(|config| config.resource_id == id) {
            // The API also returns the transitional states ENABLING and DISABLING.
            if config.autodefined_reverse.as_deref().is_some_and(|state| state.starts_with("DISABL")) {
                self.toml.string("autodefined_reverse", "DISABLED");
            }
            self.ledger.mark_converted(ResolverConfig::KIND, id);
        }
    }

    /// Returns an endpoint with private DNS. It implies that both DNS attributes are enabled.
    fn endpoint_with_private_dns(&self, vpc: &str) -> Option<String> {
        let mut endpoints = self.index.endpoints.get(vpc).iter();
        let found = endpoints.find(|endpoint| {
            endpoint.endpoint_type() == "Interface"
                && endpoint.private_dns_enabled == Some(true)
                && is_state(endpoint.state.as_deref().or(Some("available")), &["available"])
        });
        found.map(|endpoint| endpoint.vpc_endpoint_id.clone())
    }

    /// Writes the gateways attached to a VPC, and the service networks it is associated with.
    fn write_gateways(&mut self, id: &str) {
        let inventory = self.inventory;
        let index = self.index;
        match index.vpc_internet_gateways.get(id) {
            Some(gateway) => {
                self.toml.string("internet_gateway", &gateway.internet_gateway_id);
                self.ledger.mark_converted(InternetGateway::KIND, &gateway.internet_gateway_id);
            }
            // An active route to an internet gateway implies that it is attached.
            None => {
                let tables = index.route_tables.get(id).iter();
                let active = tables.flat_map(|table| &table.object.routes).filter(|route| route.is_active());
                let found = active
                    .filter_map(|route| route.gateway_id.as_deref())
                    .find(|target| target.starts_with("igw-"));
                if let Some(target) = found.filter(|target| !index.known_targets.contains(target)) {
                    self.toml.string("internet_gateway", target);
                    let mut command = "aws ec2 describe-internet-gateways".to_owned();
                    if self.has_document(InternetGateway::KIND) {
                        command += &format!(" --internet-gateway-ids {target}");
                    }
                    let command = self.with_region(id, &command);
                    let what = format!(
                        "internet gateway {target}: assumed to be attached to VPC {id}, which has routes to it"
                    );
                    self.ledger.note_missing(what, command);
                }
            }
        }
        let attached = inventory.vpn_gateways.iter().find(|gateway| {
            gateway
                .vpc_attachments
                .iter()
                .any(|attachment| attachment.vpc_id == id && attachment.is_attached())
        });
        if let Some(gateway) = attached {
            self.toml.string("virtual_private_gateway", &gateway.vpn_gateway_id);
            self.ledger.mark_converted(VpnGateway::KIND, &gateway.vpn_gateway_id);
        }
        let networks = inventory.service_networks.iter().filter(|one| {
            one.vpc_id == id && is_state(one.status.as_deref().or(Some("ACTIVE")), &["ACTIVE"])
        });
        let networks: Vec<_> = networks.collect();
        self.toml.non_empty_strings("service_networks", networks.iter().map(|one| &one.service_network_id));
        for network in networks {
            self.ledger.mark_converted(ServiceNetworkVpcAssociation::KIND, &network.id);
        }
    }

    /// Marks as skipped the internet gateways without a VPC, and the egress-only internet gateways, which
    /// are used only as route targets.
    pub(super) fn record_other_gateways(&mut self) {
        let inventory = self.inventory;
        for gateway in &inventory.internet_gateways {
            if gateway.attachments.is_empty() {
                let why = "not attached to a VPC";
                self.ledger.mark_skipped(InternetGateway::KIND, &gateway.internet_gateway_id, why);
            }
        }
        for gateway in &inventory.egress_only_internet_gateways {
            let (kind, why) = (EgressOnlyInternetGateway::KIND, "used only as a route target");
            self.ledger.mark_skipped(kind, &gateway.egress_only_internet_gateway_id, why);
        }
    }

    /// Writes a subnet.
    fn write_subnet(&mut self, subnet: &Subnet) {
        let id = subnet.subnet_id.as_str();
        self.toml.table("vpc.subnet", name_tag(&subnet.tags));
        self.toml.string("id", id);
        self.toml.optional_string("cidr", subnet.cidr_block.as_deref().filter(|cidr| !cidr.is_empty()));
        let ipv6 = subnet.ipv6_cidr_block_association_set.iter();
        let ipv6 = ipv6
            .filter(|one| one.ipv6_cidr_block_state.is_associated())
            .map(|one| one.ipv6_cidr_block.as_str());
        let ipv6: Vec<&str> = ipv6.collect();
        self.toml.optional_string("ipv6_cidr", ipv6.first().copied());
        if ipv6.len() > 1 {
            let location = self.ledger.location(Subnet::KIND, id);
            let message = format!("subnet {id} has several IPv6 CIDR blocks: only the first one is used");
            self.ledger.note_unsupported(location, message);
        }
        self.toml.string("availability_zone", subnet.availability_zone.as_deref().unwrap_or("unknown"));
        let table = self.index.subnet_route_tables.get(id);
        self.toml.optional_string("route_table", table.map(|table| table.route_table_id.as_str()));
        let acl = self.index.subnet_network_acls.get(id);
        // Subnets use the default network ACL of the VPC unless another one is specified.
        let acl = acl.filter(|acl| !acl.is_default);
        self.toml.optional_string("network_acl", acl.map(|acl| acl.network_acl_id.as_str()));
        if let Some(is_enabled) = subnet.map_public_ip_on_launch {
            self.toml.value("map_public_ip_on_launch", is_enabled);
        }
        if subnet.enable_dns64 == Some(true) {
            self.toml.value("enable_dns64", true);
        }
        if let Some(options) = subnet.private_dns_name_options_on_launch.as_ref().and_then(hostname_options) {
            self.toml.value("private_dns_name_options_on_launch", options);
        }
        let location = self.ledger.location(Subnet::KIND, id);
        self.note_blocked_public_access(
            location,
            &format!("subnet {id}"),
            &subnet.block_public_access_states,
        );
        self.ledger.mark_converted(Subnet::KIND, id);
    }

    /// Reports that public access is blocked, since egress paths do not take this into account.
    fn note_blocked_public_access(
        &mut self,
        location: Option<SourceLocation>,
        object: &str,
        states: &BlockPublicAccessStates,
    ) {
        if let Some(mode) = states.block_mode() {
            let message = format!(
                "VPC Block Public Access ({mode}) in {object} is not supported: egress paths do not take it into \
                 account"
            );
            self.ledger.note_unsupported(location, message);
        }
    }

    /// Writes a NAT gateway.
    fn write_nat_gateway(&mut self, nat: &NatGateway) {
        let id = nat.nat_gateway_id.as_str();
        if nat.is_deleted() {
            self.ledger.mark_skipped(NatGateway::KIND, id, "deleted");
            return;
        }
        self.toml.table("vpc.nat_gateway", name_tag(&nat.tags));
        self.toml.string("id", id);
        let is_regional = nat.availability_mode.as_deref() == Some("regional");
        if is_regional {
            self.toml.string("availability_mode", "regional");
            self.toml.optional_string("route_table", nat.route_table_id.as_deref());
        } else {
            self.toml.optional_string("subnet", nat.subnet_id.as_deref());
        }
        let addresses = &nat.nat_gateway_addresses;
        let primary = addresses.iter().find(|address| address.is_primary == Some(true)).or(addresses.first());
        let is_set = |address: &&str| !address.is_empty();
        self.toml
            .optional_string("address", primary.and_then(|one| one.private_ip.as_deref()).filter(is_set));
        self.toml.optional_string(
            "public_address",
            primary.and_then(|one| one.public_ip.as_deref()).filter(is_set),
        );
        if nat.connectivity_type.as_deref() == Some("private") {
            self.toml.string("connectivity_type", "private");
        }
        if addresses.len() > 1 {
            let location = self.ledger.location(NatGateway::KIND, id);
            let message = format!("{id} has {} addresses: only one is used", addresses.len());
            self.ledger.note_unsupported(location, message);
        }
        self.ledger.mark_converted(NatGateway::KIND, id);
    }

    /// Reports as missing the VPCs of subnets that no document contains.
    pub(super) fn check_vpcs(&mut self) {
        let inventory = self.inventory;
        for subnet in &inventory.subnets {
            if !self.has_vpc(&subnet.vpc_id) {
                self.note_missing_vpc(&subnet.vpc_id, "a subnet");
            }
        }
        if inventory.vpcs.is_empty() {
            self.ledger.note_missing("VPCs", "aws ec2 describe-vpcs");
        }
    }
}

/// Returns the CIDR blocks of a VPC, the primary one first.
pub(super) fn cidrs(vpc: &Vpc) -> Vec<&str> {
    let mut cidrs: Vec<&str> = vpc.cidr_block.iter().map(String::as_str).collect();
    let associated = vpc.cidr_block_association_set.iter().filter(|one| one.cidr_block_state.is_associated());
    let ipv6 =
        vpc.ipv6_cidr_block_association_set.iter().filter(|one| one.ipv6_cidr_block_state.is_associated());
    for cidr in
        associated.map(|one| one.cidr_block.as_str()).chain(ipv6.map(|one| one.ipv6_cidr_block.as_str()))
    {
        if !cidrs.contains(&cidr) && !cidr.is_empty() {
            cidrs.push(cidr);
        }
    }
    cidrs
}

/// Returns the hostname options as an inline table, or `None` if they are the defaults.
pub(super) fn hostname_options(options: &PrivateDnsNameOptions) -> Option<String> {
    let hostname_type = options.hostname_type.as_deref().filter(|value| *value != "ip-name");
    if hostname_type.is_none() && !options.a_record && !options.aaaa_record {
        return None;
    }
    let mut inline = InlineTable::default().optional_string("hostname_type", hostname_type);
    for (key, value) in [
        ("enable_resource_name_dns_a_record", options.a_record),
        ("enable_resource_name_dns_aaaa_record", options.aaaa_record),
    ] {
        if value {
            inline = inline.value(key, true);
        }
    }
    Some(inline.to_toml())
}
