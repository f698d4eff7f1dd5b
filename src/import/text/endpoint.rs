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
    /// Its type, which old documents do not say: there were gateway endpoints alone.
    pub(super) fn kind(&self) -> &str {
        self.vpc_endpoint_type.as_deref().filter(|kind| !kind.is_empty()).unwrap_or("Gateway")
    }

    /// Whether it is gone, or never came to be.
    fn is_gone(&self) -> bool {
        is_state(self.state.as_deref(), &["deleted", "deleting"])
    }

    /// Its own regional name: the shortest of those that begin with its id.
    fn regional_name(&self) -> Option<&str> {
        let names = self.dns_entries.iter().filter_map(|entry| entry.dns_name.as_deref());
        names.filter(|name| name.starts_with(&self.vpc_endpoint_id)).min_by_key(|name| name.len())
    }
}

impl ConfigWriter<'_> {
    /// The endpoints of a VPC.
    pub(super) fn endpoints(&mut self, vpc: &str) {
        for endpoint in self.index.endpoints.get(vpc) {
            if endpoint.is_gone() {
                self.ledger.mark_skipped(VpcEndpoint::KIND, &endpoint.vpc_endpoint_id, "it is deleted");
            } else {
                self.endpoint(vpc, endpoint);
            }
        }
        if !self.has_document(VpcEndpoint::KIND) {
            let call = self.with_region(vpc, "aws ec2 describe-vpc-endpoints");
            self.ledger.note_missing(format!("the endpoints of VPC {vpc}"), call);
        }
    }

    /// One endpoint.
    fn endpoint(&mut self, vpc: &str, endpoint: &VpcEndpoint) {
        let id = endpoint.vpc_endpoint_id.as_str();
        self.toml.table("vpc.endpoint", name_tag(&endpoint.tags));
        self.toml.string("id", id);
        self.toml.string("type", endpoint.kind());
        let has_service = matches!(endpoint.kind(), "Interface" | "Gateway" | "GatewayLoadBalancer");
        self.toml.optional_string("service", endpoint.service_name.as_deref().filter(|_| has_service));
        let home = self.region_of(vpc);
        let abroad = endpoint.service_region.as_deref().filter(|region| has_service && Some(*region) != home);
        let abroad = abroad.map(str::to_owned);
        self.toml.optional_string("service_region", abroad.as_deref());
        self.toml.optional_string("resource_configuration", endpoint.resource_configuration_arn.as_deref());
        self.toml.optional_string("service_network", endpoint.service_network_arn.as_deref());
        if endpoint.kind() != "Gateway" && endpoint.kind() != "GatewayLoadBalancer" {
            self.private_dns(vpc, endpoint);
        }
        if endpoint.kind() != "GatewayLoadBalancer" {
            // AWS writes `not-specified` where there is nothing to say.
            let said = |word: &&str| *word != "not-specified";
            self.toml.optional_string("ip_address_type", endpoint.ip_address_type.as_deref().filter(said));
            let records = endpoint.dns_options.dns_record_ip_type.as_deref();
            self.toml.optional_string("dns_record_ip_type", records.filter(said));
        }
        if let Some(state) =
            endpoint.state.as_deref().filter(|state| !state.eq_ignore_ascii_case("available"))
        {
            // The API reference and its answers differ in the first letter.
            let (first, rest) = state.split_at(state.chars().next().map_or(0, char::len_utf8));
            self.toml.string("state", &(first.to_lowercase() + rest));
        }
        let policy = endpoint.policy_document.as_deref().filter(|policy| !policy.trim().is_empty());
        // What allows everything is what an endpoint has when nothing is said.
        self.toml.optional_string("policy_document", policy.filter(|policy| allows_everything(policy) != Ok(true)));
        if endpoint.kind() != "Gateway" {
            let interfaces = self.endpoint_interfaces(vpc, endpoint);
            if !interfaces.is_empty() {
                self.toml.inline_tables("network_interfaces", &interfaces);
            }
        }
        self.ledger.mark_converted(VpcEndpoint::KIND, id);
        let inventory = self.inventory;
        for association in inventory.endpoint_associations.iter().filter(|one| one.vpc_endpoint_id == id) {
            self.association(association);
        }
        let leads_on = matches!(endpoint.kind(), "Resource" | "ServiceNetwork");
        if leads_on && !self.has_document(VpcEndpointAssociation::KIND) {
            let call = format!("aws ec2 describe-vpc-endpoint-associations --vpc-endpoint-ids {id}");
            let call = self.with_region(vpc, &call);
            self.ledger.note_missing(format!("what endpoint {id} leads to"), call);
        }
    }

    /// What an endpoint's names are.
    fn private_dns(&mut self, vpc: &str, endpoint: &VpcEndpoint) {
        let enabled = endpoint.private_dns_enabled.unwrap_or(false);
        self.toml.value("private_dns_enabled", enabled);
        let options = &endpoint.dns_options;
        let may_be_inbound = options.private_dns_only_for_inbound_resolver_endpoint.filter(|_| enabled);
        if let Some(only) = may_be_inbound {
            self.toml.value("private_dns_only_for_inbound_resolver_endpoint", only);
        }
        self.toml
            .optional_string("private_dns_preference", options.private_dns_preference.as_deref().filter(|_| enabled));
        self.toml.non_empty_strings("private_dns_specified_domains", &options.private_dns_specified_domains);
        let inventory = self.inventory;
        let service = inventory.services.iter().find(|service| {
            Some(service.service_name.as_str()) == endpoint.service_name.as_deref()
                && service.is_for(endpoint.kind())
        });
        if service.is_none() && enabled {
            self.missing_service(vpc, endpoint);
        }
        if let Some(service) = service {
            self.ledger.mark_converted(ServiceDetail::KIND, &service.id());
            let region = endpoint.service_region.as_deref().or(self.region_of(vpc)).unwrap_or_default();
            if enabled && !is_known(service, region) {
                self.toml.non_empty_strings("private_dns_names", service.names());
            }
        }
        self.toml.optional_string("dns_name", endpoint.regional_name());
    }

    /// Tells when no document has the private names of a service, and the table of services neither.
    fn missing_service(&mut self, vpc: &str, endpoint: &VpcEndpoint) {
        let Some(name) = endpoint.service_name.as_deref() else { return };
        let region = endpoint.service_region.as_deref().or(self.region_of(vpc)).unwrap_or_default();
        let row = Region::parse(region)
            .ok()
            .and_then(|region| Facts::built_in().services.find(name, EndpointKind::Interface, &region));
        if endpoint.kind() == "Interface" && row.and_then(|row| row.private_names()).is_none() {
            let call =
                self.with_region(vpc, &format!("aws ec2 describe-vpc-endpoint-services --service-names {name}"));
            let what =
                format!("the private names of {name}, which endpoint {} answers", endpoint.vpc_endpoint_id);
            self.ledger.note_missing(what, call);
        }
    }

    /// The network interfaces of an endpoint, which another document holds.
    fn endpoint_interfaces(&mut self, vpc: &str, endpoint: &VpcEndpoint) -> Vec<InlineTable> {
        let mut written = Vec::new();
        let mut absent = Vec::new();
        for id in &endpoint.network_interface_ids {
            let Some(interface) = self.interfaces.get(id.as_str()).copied() else {
                absent.push(id.as_str());
                continue;
            };
            let Some(subnet) = interface.subnet_id.as_deref() else { continue };
            if !self.require_subnet(vpc, subnet, id) {
                self.ledger.mark_skipped(NetworkInterface::KIND, id, "no document holds its subnet");
                continue;
            }
            let groups = if interface.groups.is_empty() { &endpoint.groups } else { &interface.groups };
            let ipv6 = interface.ipv6_addresses.first().map(|one| one.ipv6_address.as_str());
            let mut inline = InlineTable::default()
                .string("subnet", subnet)
                .optional_string("address", interface.private_ip_address.as_deref())
                .optional_string("ipv6_address", ipv6);
            let groups = self.known_groups(vpc, groups);
            if !groups.is_empty() {
                inline = inline.strings("security_groups", &groups);
            }
            written.push(inline);
            self.ledger.mark_skipped(NetworkInterface::KIND, id, "it stands with its endpoint");
        }
        if !absent.is_empty() {
            let call =
                format!("aws ec2 describe-network-interfaces --network-interface-ids {}", absent.join(" "));
            let call = self.with_region(vpc, &call);
            self.ledger.note_missing(format!("the addresses of endpoint {}", endpoint.vpc_endpoint_id), call);
        }
        written
    }

    /// What a resource or service-network endpoint leads to.
    fn association(&mut self, association: &VpcEndpointAssociation) {
        let Some(resource) = &association.associated_resource_arn else {
            let why = "it does not say what it leads to";
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

/// Whether the table of services has every name that a service's document tells. It may have more: AWS tells S3's
/// `s3.…` and none of the wildcards that the endpoint answers, too.
fn is_known(service: &ServiceDetail, region: &str) -> bool {
    let Ok(region) = Region::parse(region) else { return false };
    let row = Facts::built_in().services.find(&service.service_name, EndpointKind::Interface, &region);
    let known = row.and_then(|row| row.private_names()).unwrap_or_default();
    service.names().iter().all(|name| known.iter().any(|one| one == name))
}
