//! VPC endpoints: their services, interfaces and private DNS settings.
//!
//! All endpoints of a VPC are compiled before their private DNS: that of an S3 endpoint may depend on a
//! gateway endpoint that is configured after it.

pub(in crate::world::compile) mod address_type;
mod association;
mod private_dns;

use std::net::IpAddr;

use super::*;
use crate::aws::public_names::stable_hash;
use crate::aws::service::{self, EndpointKind as ServiceKind};
use crate::aws::{PrivateNames, Service};
use crate::config;
use crate::config::{DnsRecordIpType, EndpointState, EndpointType, IpAddressType};

/// The TCP port of a service that is not in any table.
const HTTPS: u16 = 443;

/// A compiled endpoint, with what its names depend on.
pub(in crate::world::compile) struct CompiledEndpoint<'a> {
    /// Its configuration.
    pub(in crate::world::compile) written: &'a config::Endpoint,
    /// Its index.
    pub(in crate::world::compile) index: Index<Endpoint>,
    /// Its VPC.
    pub(in crate::world::compile) vpc: Index<Vpc>,
    /// The region of its service.
    pub(in crate::world::compile) region: Region,
    /// The record types of its names.
    pub(in crate::world::compile) records: DnsRecordIpType,
    /// Its endpoint-specific name, if the endpoint is not available.
    pub(in crate::world::compile) unavailable_name: Option<Name>,
    /// Whether it is a gateway endpoint that selects the record types of S3's regional names in its VPC.
    pub(in crate::world::compile) selects_record_types: bool,
}

impl<'a> NetworkCompiler<'_, 'a> {
    /// Every endpoint of every VPC.
    pub(super) fn endpoints(&mut self) {
        let config: &'a Config = self.cx.config;
        for vpc in &config.vpc {
            let Some(index) = self.declarations.vpcs.get(&vpc.id.to_string()).copied() else { continue };
            let mut all = Vec::new();
            for endpoint in &vpc.endpoint {
                if self.cx.declare(&endpoint.id) {
                    all.push(self.endpoint(index, endpoint));
                }
            }
            for number in 0..all.len() {
                self.private_dns(number, &mut all);
            }
            self.declarations.endpoints.append(&mut all);
        }
    }

    fn endpoint(&mut self, vpc: Index<Vpc>, written: &'a config::Endpoint) -> CompiledEndpoint<'a> {
        let kind = match written.endpoint_type {
            EndpointType::Interface => EndpointKind::Interface,
            EndpointType::Gateway => EndpointKind::Gateway,
            EndpointType::GatewayLoadBalancer => EndpointKind::GatewayLoadBalancer,
            EndpointType::Resource => EndpointKind::Resource,
            EndpointType::ServiceNetwork => EndpointKind::ServiceNetwork,
            EndpointType::Tunnel => EndpointKind::Tunnel,
        };
        let leads_to = self.leads_to(written, kind);
        let region = self.service_region(vpc, written, kind);
        let service = self.service(written, kind, &region);
        let index = self.network.endpoints.next_index();
        let interfaces = self.interfaces(vpc, index, written, kind);
        let (addresses, records) = self.address_types(written, kind, &interfaces);
        let associations = self.associations(vpc, index, written, kind, &interfaces);
        let private_names = match &written.private_dns_names {
            Some(names) => names.iter().map(|name| name.value().clone()).collect(),
            None if kind.has_associations() => {
                associations.iter().filter_map(|association| association.private_name.clone()).collect()
            }
            None => self.known_private_names(service.as_ref(), &region, addresses, records),
        };
        let prefixes = match kind {
            EndpointKind::Gateway => self.gateway_prefixes(written, leads_to, &region),
            _ => Vec::new(),
        };
        let is_available = matches!(written.state, EndpointState::Available | EndpointState::Partial);
        let mut regional_name = (kind == EndpointKind::Interface)
            .then(|| regional_name(written, service.as_ref(), &region))
            .flatten();
        let unavailable_name = if is_available { None } else { regional_name.take() };
        let made = Endpoint {
            id: written.id.value().to_shared(),
            vpc,
            kind,
            service: leads_to.into(),
            is_available,
            private_dns: PrivateDns::Off,
            private_names,
            is_ipv6_only: records == DnsRecordIpType::Ipv6,
            interfaces,
            regional_name,
            associations,
            port: written.port.unwrap_or_else(|| service.as_ref().map_or(HTTPS, Service::port)),
            has_policy: self.has_policy(written),
            is_ipv4_gateway: kind == EndpointKind::Gateway
                && addresses == IpAddressType::Ipv4
                && prefixes.iter().all(|prefix| prefix.addr().is_ipv4()),
            prefixes,
        };
        self.network.vpcs[vpc].endpoints.push(index);
        self.network.endpoints.add(made);
        self.declarations.endpoint_ids.insert(written.id.to_string(), index);
        CompiledEndpoint {
            written,
            index,
            vpc,
            region,
            records,
            unavailable_name,
            selects_record_types: false,
        }
    }

    /// Whether an endpoint has a policy other than AWS's default, which allows everything ("Control access to
    /// VPC endpoints using endpoint policies").
    fn has_policy(&mut self, written: &config::Endpoint) -> bool {
        let Some(policy) = &written.policy_document else { return false };
        match config::policy::allows_everything(policy.value()) {
            Ok(allows_everything) => !allows_everything,
            Err(error) => {
                let message = format!("the policy of `{}` is not valid JSON: {error}", written.id);
                self.cx.report.error(Code::InvalidValue, policy.mark(), message);
                false
            }
        }
    }

    /// The service or resource of an endpoint, by name or ID. Reports a key that does not match the type; the
    /// result is empty then.
    fn leads_to(&mut self, written: &'a config::Endpoint, kind: EndpointKind) -> &'a str {
        let service = written.service.as_ref().map(|name| (name.value().as_str(), name.mark()));
        let resource =
            written.resource_configuration.as_ref().map(|id| (id.value().id().as_str(), id.mark()));
        let network = written.service_network.as_ref().map(|id| (id.value().id().as_str(), id.mark()));
        let keys = [("service", service), ("resource_configuration", resource), ("service_network", network)];
        let (wanted, example) = match kind {
            EndpointKind::Interface | EndpointKind::Gateway | EndpointKind::GatewayLoadBalancer => {
                ("service", "com.amazonaws.ap-northeast-1.sns")
            }
            EndpointKind::Resource | EndpointKind::Tunnel => ("resource_configuration", "rcfg-…"),
            EndpointKind::ServiceNetwork => ("service_network", "sn-…"),
        };
        let mut found = None;
        for (key, value) in keys {
            match value {
                Some((text, _)) if key == wanted => found = Some(text),
                Some((_, mark)) => {
                    let message =
                        format!("`{}` is {}, which cannot have `{key}`", written.id, kind.describe());
                    self.cx.report.error(Code::InvalidValue, mark, message);
                }
                None => {}
            }
        }
        if found.is_none() {
            let message = format!("`{}` is {}, which requires `{wanted}`", written.id, kind.describe());
            let error = self.cx.report.error(Code::MissingKey, written.id.mark(), message);
            error.help(format!("write `{wanted} = \"{example}\"`"));
        }
        found.unwrap_or_default()
    }

    /// The region of an endpoint's service. Only interface endpoints can use services in other regions, and
    /// only those that support it (PrivateLink guide, "Cross-Region enabled AWS services").
    fn service_region(&mut self, vpc: Index<Vpc>, written: &config::Endpoint, kind: EndpointKind) -> Region {
        let home = self.network.vpcs[vpc].region.clone();
        let service_region = written.service_region.as_ref();
        let region = service_region.map_or_else(|| home.clone(), |region| region.value().clone());
        if let Some(service_region) = service_region
            && kind != EndpointKind::Interface
            && region != home
        {
            let message =
                format!("`{}` is {}, which cannot be used across regions", written.id, kind.describe());
            self.cx.report.error(Code::InvalidValue, service_region.mark(), message);
        }
        let Some(service) = &written.service else { return home };
        if let Some(own) = service::region_in_service_name(service.value())
            && own != region
        {
            let whose = if service_region.is_some() { "`service_region`" } else { "the region of the VPC" };
            let message = format!("`{service}` is a service in {own}, but {whose} is {region}");
            let error = self.cx.report.error(Code::InvalidValue, service.mark(), message);
            if kind == EndpointKind::Interface {
                error.help(format!("for a service in another region, write `service_region = \"{own}\"`"));
            } else {
                error.help("only interface endpoints support services in other regions");
            }
            return own;
        }
        if let Some(own) = service::global_service_region(service.value())
            && *own != region
        {
            let message = format!("`{service}` is a global service, whose endpoints connect to {own}");
            let warning = self.cx.report.warning(Code::Surprising, service.mark(), message);
            warning.help(format!(
                "write `service_region = \"{own}\"`: endpoint-specific names contain that region"
            ));
        }
        if let Some(service_region) = service_region
            && region != home
            && kind == EndpointKind::Interface
            && !service::supports_cross_region(service.value())
        {
            let message = format!("`{service}` is not known to support endpoints from other regions");
            let warning = self.cx.report.warning(Code::UnknownService, service_region.mark(), message);
            warning
                .help("the endpoint is accepted: AWS extends the list of services with cross-region support");
        }
        region
    }

    /// The service's entry in the table of facts. An unknown service is a warning, because endpoint services
    /// of customers are not in the table.
    fn service(
        &mut self,
        written: &config::Endpoint,
        kind: EndpointKind,
        region: &Region,
    ) -> Option<Service<'static>> {
        let kind = match kind {
            EndpointKind::Interface => ServiceKind::Interface,
            EndpointKind::Gateway => ServiceKind::Gateway,
            EndpointKind::GatewayLoadBalancer => ServiceKind::GatewayLoadBalancer,
            EndpointKind::Resource | EndpointKind::ServiceNetwork | EndpointKind::Tunnel => return None,
        };
        let written = written.service.as_ref()?;
        let name = written.value();
        let found = self.cx.facts.services.find(name, kind, region);
        if found.is_none() && !service::is_customer_service(name) && kind != ServiceKind::GatewayLoadBalancer
        {
            let message = format!("unknown {kind:?} endpoint service `{name}`");
            let warning = self.cx.report.warning(Code::UnknownService, written.mark(), message);
            warning.help("declare its private DNS names, if it has any: `private_dns_names = [\"…\"]`");
        }
        found
    }

    fn interfaces(
        &mut self,
        vpc: Index<Vpc>,
        endpoint: Index<Endpoint>,
        written: &config::Endpoint,
        kind: EndpointKind,
    ) -> Vec<EndpointInterface> {
        if kind == EndpointKind::Gateway && !written.network_interfaces.is_empty() {
            let message = format!("`{}` is a gateway endpoint, which has no network interfaces", written.id);
            self.cx.report.error(Code::InvalidValue, written.id.mark(), message);
            return Vec::new();
        }
        let mut interfaces: Vec<EndpointInterface> = Vec::new();
        for interface in &written.network_interfaces {
            let security_groups = self.groups_named(&interface.security_groups);
            let Some(subnet) = self.subnet_named(&interface.subnet, vpc) else { continue };
            let zone = &self.network.subnets[subnet].availability_zone;
            if interfaces.iter().any(|have| self.network.subnets[have.subnet].availability_zone == *zone) {
                let message =
                    format!("`{}` has two network interfaces in Availability Zone {zone}", written.id);
                let error = self.cx.report.error(Code::InvalidValue, interface.subnet.mark(), message);
                error.help("an endpoint can have one subnet in each Availability Zone");
            }
            self.families_of_keys(interface);
            for address in interface.address.iter().chain(&interface.ipv6_address) {
                self.check_inside(address, subnet);
                self.claim_address(vpc, address, Interface::Endpoint(endpoint, interfaces.len()));
            }
            interfaces.push(EndpointInterface {
                subnet,
                address: interface.address.as_ref().map(|a| *a.value()),
                ipv6_address: interface.ipv6_address.as_ref().map(|a| *a.value()),
                security_groups,
                is_healthy: interface.healthy,
            });
        }
        interfaces
    }

    /// The prefixes of a gateway endpoint's service in its region's prefix list, of the endpoint's address
    /// families.
    fn gateway_prefixes(&mut self, written: &config::Endpoint, service: &str, region: &Region) -> Vec<IpNet> {
        let mut prefixes = self.listed_prefixes(service, region);
        match written.ip_address_type {
            Some(IpAddressType::Ipv4) => prefixes.retain(|prefix| prefix.addr().is_ipv4()),
            Some(IpAddressType::Ipv6) => prefixes.retain(|prefix| prefix.addr().is_ipv6()),
            Some(IpAddressType::Dualstack) | None => {}
        }
        prefixes
    }

    fn listed_prefixes(&self, service: &str, region: &Region) -> Vec<IpNet> {
        if let Some(list) = self.named_prefix_lists.get(&(region.clone(), service.to_owned())) {
            return list.entries.iter().map(|cidr| cidr.value().0).collect();
        }
        let label = service.rsplit('.').next().unwrap_or_default();
        let Some(list) = self.cx.facts.prefix_lists.for_service(region, label) else { return Vec::new() };
        if let Some(entries) = self.prefix_lists.get(&(region.clone(), list.id.clone())) {
            return entries.clone();
        }
        list.entries.clone().unwrap_or_default()
    }
}

/// The endpoint's regional name: as configured, or derived from its ID in AWS's format, with a stable token.
fn regional_name(written: &config::Endpoint, service: Option<&Service<'_>>, region: &Region) -> Option<Name> {
    if let Some(name) = &written.dns_name {
        return Some(name.value().clone());
    }
    let base = match service {
        Some(service) => service.base_domain(),
        None => service::vpce_domain(written.service.as_ref()?.value(), region),
    };
    let id = written.id.value().as_str().to_ascii_lowercase();
    format!("{id}-{}.{base}", token(&id)).parse().ok()
}

/// Eight letters and digits that follow an ID in names, the same for the same ID.
fn token(id: &str) -> String {
    // The token must not change between runs, versions or machines.
    let mut hash = stable_hash(id.bytes());
    let mut text = String::with_capacity(8);
    for _ in 0..8 {
        let digit = u32::try_from(hash % 36).expect("a remainder below 36 fits");
        text.push(char::from_digit(digit, 36).expect("a digit below 36"));
        hash /= 36;
    }
    text
}
