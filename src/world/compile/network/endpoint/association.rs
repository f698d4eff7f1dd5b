//! Associations of resource and service-network endpoints (EC2 API, `VpcEndpointAssociation`; PrivateLink
//! guide, "Access VPC resources" and "Access service networks").

use super::*;
use crate::aws::endpoint_names;
use crate::config::PrivateDnsPreference;

impl NetworkCompiler<'_, '_> {
    /// The associations of an endpoint. A resource endpoint has one with its resource configuration, even if
    /// it is not configured.
    pub(super) fn associations(
        &mut self,
        vpc: Index<Vpc>,
        endpoint: Index<Endpoint>,
        written: &config::Endpoint,
        kind: EndpointKind,
        interfaces: &[EndpointInterface],
    ) -> Vec<EndpointAssociation> {
        if !kind.has_associations() {
            self.reject_association_keys(written, kind);
            return Vec::new();
        }
        let private = written.private_dns_names.as_ref().and_then(|names| names.first());
        let own = written.dns_name.as_ref().filter(|_| !written.association.is_empty());
        for (name, key) in [(private, "private_dns_name"), (own, "dns_name")] {
            let Some(name) = name else { continue };
            let message = format!(
                "`{}` is {}, where only associations have private DNS names",
                written.id,
                kind.describe()
            );
            let error = self.cx.report.error(Code::InvalidValue, name.mark(), message);
            error.help(format!("write `{key}` in [[vpc.endpoint.association]]"));
        }
        let region = self.network.vpcs[vpc].region.clone();
        let id = written.id.value().as_str().to_ascii_lowercase();
        let generated_name = |resource: &str, association: Option<&str>| {
            let resource = resource.to_ascii_lowercase();
            let text = match kind {
                EndpointKind::Resource => endpoint_names::resource_endpoint_name(&id, &resource, &region),
                _ => {
                    let token = association.map_or_else(|| token(&format!("{id}{resource}")), token);
                    endpoint_names::service_network_endpoint_name(&id, &token, &resource, &region)
                }
            };
            text.parse::<Name>().ok()
        };
        let mut made: Vec<EndpointAssociation> = Vec::new();
        for association in &written.association {
            let resource = association.resource.value().id();
            if let Some(id) = &association.id {
                self.cx.declare(id);
            }
            let written_name = association.dns_name.as_ref().map(|name| name.value().clone());
            let id = association.id.as_ref().map(|id| id.value().to_shared());
            let addresses = self.association_addresses(vpc, endpoint, association, interfaces);
            made.push(EndpointAssociation {
                dns_name: written_name.or_else(|| generated_name(resource.as_str(), id.as_deref())),
                id,
                resource: resource.to_shared(),
                private_name: association.private_dns_name.as_ref().map(|name| name.value().clone()),
                is_private: false,
                addresses,
            });
        }
        if let (true, Some(configuration)) = (made.is_empty(), &written.resource_configuration) {
            let resource = configuration.value().id();
            let written_name = written.dns_name.as_ref().map(|name| name.value().clone());
            made.push(EndpointAssociation {
                id: None,
                resource: resource.to_shared(),
                dns_name: written_name.or_else(|| generated_name(resource.as_str(), None)),
                private_name: None,
                is_private: false,
                addresses: Vec::new(),
            });
        }
        made
    }

    /// The own addresses of an association: each belongs to the interface in the same subnet.
    fn association_addresses(
        &mut self,
        vpc: Index<Vpc>,
        endpoint: Index<Endpoint>,
        association: &config::EndpointAssociation,
        interfaces: &[EndpointInterface],
    ) -> Vec<(usize, IpAddr)> {
        let mut own = Vec::new();
        for address in &association.addresses {
            let lies_in = |interface: &EndpointInterface| {
                self.network.subnets[interface.subnet].cidrs.iter().any(|cidr| cidr.contains(address.value()))
            };
            // The address of an interface may be repeated.
            let has = |interface: &EndpointInterface| {
                interface.addresses(AddressFamilies::BOTH).any(|have| have == *address.value())
            };
            let Some(number) = interfaces.iter().position(lies_in) else {
                let message =
                    format!("{address} is not in a subnet of the network interfaces of the endpoint");
                self.cx.report.error(Code::OutsideCidr, address.mark(), message);
                continue;
            };
            own.push((number, *address.value()));
            if !has(&interfaces[number]) {
                self.check_inside(address, interfaces[number].subnet);
                self.claim_address(vpc, address, Interface::Endpoint(endpoint, number));
            }
        }
        own
    }

    /// Reports keys that require associations.
    fn reject_association_keys(&mut self, written: &config::Endpoint, kind: EndpointKind) {
        let first = written.association.first().map(|association| association.resource.mark());
        let preference = written.private_dns_preference.map(|_| written.id.mark());
        let domain = written.private_dns_specified_domains.first().map(|name| name.mark());
        let keys = [
            ("association", first),
            ("private_dns_preference", preference),
            ("private_dns_specified_domains", domain),
        ];
        for (key, mark) in keys {
            let Some(mark) = mark else { continue };
            let message = format!("`{}` is {}, which cannot have `{key}`", written.id, kind.describe());
            let error = self.cx.report.error(Code::InvalidValue, mark, message);
            error.help("only endpoints of type Resource or ServiceNetwork can have it");
        }
    }

    /// The associations of an endpoint with private DNS that have a private zone, by index (EC2 API,
    /// `DnsOptionsSpecification`).
    pub(super) fn preferred(&mut self, written: &config::Endpoint) -> Vec<usize> {
        let preference = written.private_dns_preference.unwrap_or_default();
        let takes_specified = matches!(
            preference,
            PrivateDnsPreference::VerifiedDomainsAndSpecifiedDomains
                | PrivateDnsPreference::SpecifiedDomainsOnly
        );
        let domains = &written.private_dns_specified_domains;
        match (takes_specified, domains.first()) {
            (false, Some(first)) => {
                let message = "PrivateDnsSpecifiedDomains requires the preference VERIFIED_DOMAINS_AND_SPECIFIED_DOMAINS \
                               or SPECIFIED_DOMAINS_ONLY";
                self.cx.report.error(Code::PrivateDnsRefused, first.mark(), message);
            }
            (true, None) => {
                let message = "this preference requires `private_dns_specified_domains`";
                let error = self.cx.report.error(Code::MissingKey, written.id.mark(), message);
                error
                    .help("write `private_dns_specified_domains = [\"erp.example.com\", \"*.example.net\"]`");
            }
            _ => {}
        }
        let mut preferred = Vec::new();
        for (number, association) in written.association.iter().enumerate() {
            let Some(name) = &association.private_dns_name else { continue };
            let verified = association.verified.unwrap_or(false);
            let specified = domains.iter().any(|domain| is_specified(domain.value(), name.value()));
            let wanted = match preference {
                PrivateDnsPreference::AllDomains => true,
                PrivateDnsPreference::VerifiedDomainsOnly => verified,
                PrivateDnsPreference::VerifiedDomainsAndSpecifiedDomains => verified || specified,
                PrivateDnsPreference::SpecifiedDomainsOnly => specified,
            };
            if wanted {
                preferred.push(number);
            } else if written.private_dns_preference.is_none() && association.verified.is_none() {
                let message =
                    format!("{name} has no private hosted zone: the domain is not declared as verified");
                let warning = self.cx.report.warning(Code::Surprising, name.mark(), message);
                warning.help("write `verified = true`, or use another `private_dns_preference`");
            }
        }
        preferred
    }
}

/// Whether a specified domain is a name, or a wildcard that matches it.
fn is_specified(domain: &Name, name: &Name) -> bool {
    match domain.parent().filter(|_| domain.is_wildcard()) {
        Some(above) => name.labels_below(&above).is_some_and(|labels| labels > 0),
        None => domain == name,
    }
}
