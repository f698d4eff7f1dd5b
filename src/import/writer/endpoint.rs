//! VPC endpoints.

use super::ConfigWriter;
use super::toml::InlineTable;
use crate::aws::service::EndpointKind;
use crate::aws::{Facts, Region};
use crate::config::policy::allows_everything;
use crate::import::objects::endpoint::{ServiceDetail, VpcEndpoint, VpcEndpointAssociation};
use crate::import::objects::instance::NetworkInterface;
use crate::import::objects::{Object, is_state, name_tag};

impl VpcEndpoint {
    /// Returns the type. It is missing in old documents, from when only gateway endpoints existed.
    pub(super) fn endpoint_type(&self) -> &str {
        self.vpc_endpoint_type.as_deref().filter(|kind| !kind.is_empty()).unwrap_or("Gateway")
    }

    /// Returns whether the endpoint is deleted.
    fn is_deleted(&self) -> bool {
        is_state(self.state.as_deref(), &["deleted", "deleting"])
    }

    /// Returns the regional DNS name: the shortest of the names that start with the id. The others contain
    /// the name of an Availability Zone.
    fn regional_name(&self) -> Option<&str> {
        let names = self.dns_entries.iter().filter_map(|entry| entry.dns_name.as_deref());
        names.filter(|name| name.starts_with(&self.vpc_endpoint_id)).min_by_key(|name| name.len())
    }
}

impl ConfigWriter<'_> {
    /// Writes the endpoints of a VPC.
    pub(super) fn write_endpoints(&mut self, vpc: &str) {
        for endpoint in self.index.endpoints.get(vpc) {
            if endpoint.is_deleted() {
                self.ledger.mark_skipped(VpcEndpoint::KIND, &endpoint.vpc_endpoint_id, "deleted");
            } else {
                self.write_endpoint(vpc, endpoint);
            }
        }
        if !self.has_document(VpcEndpoint::KIND) {
            let command = self.with_region(vpc, "aws ec2 describe-vpc-endpoints");
            self.ledger.note_missing(format!("endpoints of VPC {vpc}"), command);
        }
    }

    /// Writes an endpoint.
    fn write_endpoint(&mut self, vpc: &str, endpoint: &VpcEndpoint) {
        let id = endpoint.vpc_endpoint_id.as_str();
        self.toml.table("vpc.endpoint", name_tag(&endpoint.tags));
        self.toml.string("id", id);
        self.toml.string("type", endpoint.endpoint_type());
        let has_service = matches!(endpoint.endpoint_type(), "Interface" | "Gateway" | "GatewayLoadBalancer");
        self.toml.optional_string("service", endpoint.service_name.as_deref().filter(|_| has_service));
        let vpc_region = self.region_of(vpc);
        let service_region =
            endpoint.service_region.as_deref().filter(|region| has_service && Some(*region) != vpc_region);
        let service_region = service_region.map(str::to_owned);
        self.toml.optional_string("service_region", service_region.as_deref());
        self.toml.optional_string("resource_configuration", endpoint.resource_configuration_arn.as_deref());
        self.toml.optional_string("service_network", endpoint.service_network_arn.as_deref());
        if endpoint.endpoint_type() != "Gateway" && endpoint.endpoint_type() != "GatewayLoadBalancer" {
            self.write_private_dns(vpc, endpoint);
        }
        if endpoint.endpoint_type() != "GatewayLoadBalancer" {
            // The API returns `not-specified` for endpoints that have no such setting.
            let is_specified = |value: &&str| *value != "not-specified";
            self.toml
                .optional_string("ip_address_type", endpoint.ip_address_type.as_deref().filter(is_specified));
            let record_type = endpoint.dns_options.dns_record_ip_type.as_deref();
            self.toml.optional_string("dns_record_ip_type", record_type.filter(is_specified));
        }
        if let Some(state) =
            endpoint.state.as_deref().filter(|state| !state.eq_ignore_ascii_case("available"))
        {
            // The API reference and actual output differ in the case of the first letter.
            let (first, rest) = state.split_at(state.chars().next().map_or(0, char::len_utf8));
            self.toml.string("state", &(first.to_lowercase() + rest));
        }
        let policy = endpoint.policy_document.as_deref().filter(|policy| !policy.trim().is_empty());
        // A policy that allows everything is the default.
        self.toml.optional_string(
            "policy_document",
            policy.filter(|policy| allows_everything(policy) != Ok(true)),
        );
        if endpoint.endpoint_type() != "Gateway" {
            let interfaces = self.endpoint_interfaces(vpc, endpoint);
            if !interfaces.is_empty() {
                self.toml.inline_tables("network_interfaces", &interfaces);
            }
        }
        self.ledger.mark_converted(VpcEndpoint::KIND, id);
        let inventory = self.inventory;
        for association in inventory.endpoint_associations.iter().filter(|one| one.vpc_endpoint_id == id) {
            self.write_association(association);
        }
        let has_associations = matches!(endpoint.endpoint_type(), "Resource" | "ServiceNetwork");
        if has_associations && !self.has_document(VpcEndpointAssociation::KIND) {
            let command = format!("aws ec2 describe-vpc-endpoint-associations --vpc-endpoint-ids {id}");
            let command = self.with_region(vpc, &command);
            self.ledger.note_missing(format!("associations of endpoint {id}"), command);
        }
    }

    /// Writes the private DNS settings of an endpoint.
    fn write_private_dns(&mut self, vpc: &str, endpoint: &VpcEndpoint) {
        let enabled = endpoint.private_dns_enabled.unwrap_or(false);
        self.toml.value("private_dns_enabled", enabled);
        let options = &endpoint.dns_options;
        let inbound_only = options.private_dns_only_for_inbound_resolver_endpoint.filter(|_| enabled);
        if let Some(only) = inbound_only {
            self.toml.value("private_dns_only_for_inbound_resolver_endpoint", only);
        }
        self.toml.optional_string(
            "private_dns_preference",
            options.private_dns_preference.as_deref().filter(|_| enabled),
        );
        self.toml.non_empty_strings("private_dns_specified_domains", &options.private_dns_specified_domains);
        let inventory = self.inventory;
        let service = inventory.services.iter().find(|service| {
            Some(service.service_name.as_str()) == endpoint.service_name.as_deref()
                && service.is_for(endpoint.endpoint_type())
        });
        if service.is_none() && enabled {
            self.check_private_names(vpc, endpoint);
        }
        if let Some(service) = service {
            self.ledger.mark_converted(ServiceDetail::KIND, &service.id());
            let region = endpoint.service_region.as_deref().or(self.region_of(vpc)).unwrap_or_default();
            if enabled && !has_known_names(service, region) {
                self.toml.non_empty_strings("private_dns_names", service.names());
            }
        }
        self.toml.optional_string("dns_name", endpoint.regional_name());
    }

    /// Reports missing private DNS names, unless the built-in service table contains the names of the
    /// service.
    fn check_private_names(&mut self, vpc: &str, endpoint: &VpcEndpoint) {
        let Some(name) = endpoint.service_name.as_deref() else { return };
        let region = endpoint.service_region.as_deref().or(self.region_of(vpc)).unwrap_or_default();
        let row = Region::parse(region)
            .ok()
            .and_then(|region| Facts::built_in().services.find(name, EndpointKind::Interface, &region));
        if endpoint.endpoint_type() == "Interface" && row.and_then(|row| row.private_names()).is_none() {
            let command = self
                .with_region(vpc, &format!("aws ec2 describe-vpc-endpoint-services --service-names {name}"));
            let what = format!("private DNS names of {name}, used by endpoint {}", endpoint.vpc_endpoint_id);
            self.ledger.note_missing(what, command);
        }
    }

    /// Returns the network interfaces of an endpoint, whose addresses are in other documents.
    fn endpoint_interfaces(&mut self, vpc: &str, endpoint: &VpcEndpoint) -> Vec<InlineTable> {
        let mut interfaces = Vec::new();
        let mut missing = Vec::new();
        for id in &endpoint.network_interface_ids {
            let Some(interface) = self.interfaces.get(id.as_str()).copied() else {
                missing.push(id.as_str());
                continue;
            };
            let Some(subnet) = interface.subnet_id.as_deref() else { continue };
            if !self.require_subnet(vpc, subnet, id) {
                self.ledger.mark_skipped(NetworkInterface::KIND, id, "its subnet is missing");
                continue;
            }
            let groups = if interface.groups.is_empty() { &endpoint.groups } else { &interface.groups };
            let ipv6 = interface.ipv6_addresses.first().map(|one| one.ipv6_address.as_str());
            let mut inline = InlineTable::default()
                .string("subnet", subnet)
                .optional_string("address", interface.private_ip_address.as_deref())
                .optional_string("ipv6_address", ipv6);
            let groups = self.written_group_ids(vpc, groups);
            if !groups.is_empty() {
                inline = inline.strings("security_groups", &groups);
            }
            interfaces.push(inline);
            self.ledger.mark_skipped(NetworkInterface::KIND, id, "included in its endpoint");
        }
        if !missing.is_empty() {
            let command =
                format!("aws ec2 describe-network-interfaces --network-interface-ids {}", missing.join(" "));
            let command = self.with_region(vpc, &command);
            self.ledger.note_missing(format!("addresses of endpoint {}", endpoint.vpc_endpoint_id), command);
        }
        interfaces
    }

    /// Writes an association of a resource or service network endpoint.
    fn write_association(&mut self, association: &VpcEndpointAssociation) {
        let Some(resource) = &association.associated_resource_arn else {
            let why = "association without a resource";
            self.ledger.mark_unsupported(VpcEndpointAssociation::KIND, &association.id, why);
            return;
        };
        self.toml.table("vpc.endpoint.association", None);
        self.toml.string("id", &association.id);
        self.toml.string("resource", resource);
        self.toml.optional_string("dns_name", association.dns_entry.dns_name.as_deref());
        self.toml.optional_string("private_dns_name", association.private_dns_entry.dns_name.as_deref());
        self.ledger.mark_converted(VpcEndpointAssociation::KIND, &association.id);
    }
}

/// Returns whether the built-in service table contains all names of a service. The table may contain more:
/// for S3, AWS lists `s3.…`, but not the wildcard names that the endpoint also serves.
fn has_known_names(service: &ServiceDetail, region: &str) -> bool {
    let Ok(region) = Region::parse(region) else { return false };
    let row = Facts::built_in().services.find(&service.service_name, EndpointKind::Interface, &region);
    let known = row.and_then(|row| row.private_names()).unwrap_or_default();
    service.names().iter().all(|name| known.iter().any(|one| one == name))
}
