//! Private DNS of endpoints: whether their private DNS names apply, and the zones that AWS manages for them
//! (PrivateLink guide, "Private DNS names"; what the API rejects is an error with the API's wording).

use super::*;
use crate::aws::endpoint_names;

impl NetworkCompiler<'_, '_> {
    /// The known private DNS names of a service in its region. They include S3's dual-stack names for an
    /// endpoint that has both address families and whose record type does not exclude AAAA records.
    pub(super) fn known_private_names(
        &self,
        service: Option<&Service<'_>>,
        region: &Region,
        addresses: IpAddressType,
        records: DnsRecordIpType,
    ) -> Vec<Name> {
        let Some(known) = service.and_then(|service| Some((service, service.private_names()?))) else {
            return Vec::new();
        };
        let (service, names) = known;
        let mut names: Vec<Name> = names.iter().map(|host| fact_name(host)).collect();
        let both = matches!(records, DnsRecordIpType::Dualstack | DnsRecordIpType::ServiceDefined);
        if service::is_s3(&service.name()) && addresses == IpAddressType::Dualstack && both {
            names.extend(endpoint_names::s3_dualstack_names(region).iter().map(|host| fact_name(host)));
        }
        names
    }

    /// Determines whether an endpoint's private DNS names apply, and reports what AWS rejects. The endpoint is
    /// the one with this number among all endpoints of its VPC.
    ///
    /// Runs after all endpoints of the VPC exist, because the rules for S3 depend on the VPC's gateway
    /// endpoints.
    pub(super) fn private_dns(&mut self, number: usize, all: &mut [CompiledEndpoint<'_>]) {
        let kind = self.network.endpoints[all[number].index].kind;
        if kind == EndpointKind::Gateway {
            all[number].selects_record_types = self.selects_record_types(&all[number]);
        }
        let (made, all) = (&all[number], &*all);
        let written = made.written;
        if !kind.has_names() {
            if written.private_dns_enabled == Some(true) {
                let message =
                    format!("`{}` is not an interface endpoint and cannot have private DNS", written.id);
                self.cx.report.error(Code::PrivateDnsRefused, written.id.mark(), message);
            }
            return;
        }
        // Their names belong to associations, each with a domain of its own, not to the service.
        if kind.has_associations() {
            self.private_dns_of_associations(made);
            return;
        }
        if !self.wants_private_dns(made) {
            return;
        }
        // AWS's default for S3 (PrivateLink guide, "Private DNS for S3").
        let is_s3 = service::is_s3(&self.network.endpoints[made.index].service);
        let only_inbound = written.private_dns_only_for_inbound_resolver_endpoint.unwrap_or(is_s3);
        if only_inbound && !self.may_be_only_for_inbound(made, all) {
            return;
        }
        let private_dns = if only_inbound { PrivateDns::OnlyForInboundResolver } else { PrivateDns::On };
        self.network.endpoints[made.index].private_dns = private_dns;
    }

    /// Private DNS of a resource or service-network endpoint: a zone for the private DNS name of each
    /// association that its preference includes.
    fn private_dns_of_associations(&mut self, made: &CompiledEndpoint<'_>) {
        let written = made.written;
        if written.private_dns_enabled != Some(true) {
            let preference = written.private_dns_preference.map(|_| written.id.mark());
            let domains = written.private_dns_specified_domains.first().map(|name| name.mark());
            if let Some(mark) = preference.or(domains) {
                let message =
                    format!("`{}` has a private DNS preference, but private DNS is disabled", written.id);
                let error = self.cx.report.error(Code::PrivateDnsRefused, mark, message);
                error.help("write `private_dns_enabled = true`");
            }
            return;
        }
        if !self.has_both_flags(made) {
            return;
        }
        self.network.endpoints[made.index].private_dns = PrivateDns::On;
        for number in self.preferred(written) {
            self.network.endpoints[made.index].associations[number].is_private = true;
        }
    }

    /// Whether the VPC has both DNS attributes; an error if it lacks one.
    fn has_both_flags(&mut self, made: &CompiledEndpoint<'_>) -> bool {
        let vpc = &self.network.vpcs[made.vpc];
        if vpc.dns_support && vpc.dns_hostnames {
            return true;
        }
        let message = format!(
            "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true \
             for {}",
            vpc.id
        );
        let error = self.cx.report.error(Code::PrivateDnsRefused, made.written.id.mark(), message);
        error.help("write `enable_dns_support = true` and `enable_dns_hostnames = true` for the VPC");
        false
    }

    fn wants_private_dns(&mut self, made: &CompiledEndpoint<'_>) -> bool {
        let name = self.network.endpoints[made.index].service.clone();
        let overridden = made.written.private_dns_names.is_some();
        let offered = overridden || !self.network.endpoints[made.index].private_names.is_empty();
        match made.written.private_dns_enabled {
            Some(false) => false,
            // The default is true, except for S3, whose endpoint-specific names are wildcards. Where private
            // DNS cannot apply, the default is not an error, unlike an explicit `true`.
            None => {
                let vpc = &self.network.vpcs[made.vpc];
                let both_flags = vpc.dns_support && vpc.dns_hostnames;
                offered && both_flags && (overridden || !service::has_wildcard_names(&name))
            }
            Some(true) if !self.has_both_flags(made) => false,
            Some(true) if offered => true,
            Some(true) => {
                self.reject_private_dns(made, &name);
                false
            }
        }
    }

    /// Reports that private DNS is enabled but no private DNS name is known.
    fn reject_private_dns(&mut self, made: &CompiledEndpoint<'_>, name: &str) {
        let mark = made.written.id.mark();
        let row = self.cx.facts.services.find(name, ServiceKind::Interface, &made.region);
        if row.is_some_and(|service| matches!(service.row.private_names, PrivateNames::NotOffered)) {
            let message = format!("{name} does not support private DNS");
            let error = self.cx.report.error(Code::PrivateDnsRefused, mark, message);
            error.help("clients use the endpoint-specific `vpce-…` name");
            return;
        }
        let message = format!("the private DNS names of {name} are unknown");
        let error = self.cx.report.error(Code::UnknownService, mark, message);
        error.help(
            "declare `private_dns_names = [\"…\"]`, as printed by `aws ec2 describe-vpc-endpoint-services`",
        );
    }

    /// Whether private DNS can be limited to inbound resolver endpoints: the service is S3, the VPC has a
    /// gateway endpoint for it, and the record type of that is the same or service-defined (EC2 API,
    /// `DnsOptionsSpecification`; S3 User Guide, "Private DNS").
    fn may_be_only_for_inbound(&mut self, made: &CompiledEndpoint<'_>, all: &[CompiledEndpoint<'_>]) -> bool {
        let service = &self.network.endpoints[made.index].service;
        if !service::is_s3(service) {
            let message = format!(
                "PrivateDnsOnlyForInboundResolverEndpoint is supported only for interface endpoints of S3, not for \
                 {service}"
            );
            self.cx.report.error(Code::PrivateDnsRefused, made.written.id.mark(), message);
            return false;
        }
        let gateway = all.iter().find(|other| {
            let other = &self.network.endpoints[other.index];
            other.kind == EndpointKind::Gateway && other.service == *service
        });
        let mark = made.written.id.mark();
        let Some(gateway) = gateway else {
            let message = format!(
                "To set PrivateDnsOnlyForInboundResolverEndpoint to true, the VPC {} must have a Gateway endpoint for \
                 the service.",
                self.network.vpcs[made.vpc].id
            );
            let error = self.cx.report.error(Code::PrivateDnsRefused, mark, message);
            error.help(
                "declare the gateway endpoint, or write `private_dns_only_for_inbound_resolver_endpoint = false`",
            );
            return false;
        };
        if gateway.records != DnsRecordIpType::ServiceDefined && gateway.records != made.records {
            let message = format!(
                "To set PrivateDnsOnlyForInboundResolverEndpoint to true, the DnsRecordIpType of the Gateway endpoint \
                 {} must be {} or service-defined.",
                gateway.written.id,
                address_type::record_type_name(made.records)
            );
            self.cx.report.error(Code::PrivateDnsRefused, mark, message);
            return false;
        }
        true
    }

    /// Whether a gateway endpoint's record type changes S3's regional names in its VPC. It does not if it is
    /// service-defined (S3 User Guide, "Gateway endpoints for Amazon S3").
    fn selects_record_types(&mut self, made: &CompiledEndpoint<'_>) -> bool {
        if made.records == DnsRecordIpType::ServiceDefined {
            return false;
        }
        let endpoint = &self.network.endpoints[made.index];
        if !service::is_s3(&endpoint.service) {
            let message = format!(
                "the DnsRecordIpType of a Gateway endpoint for {} is service-defined",
                endpoint.service
            );
            let error = self.cx.report.error(Code::InvalidValue, made.written.id.mark(), message);
            error.help("only gateway endpoints for S3 support other values");
            return false;
        }
        self.has_both_flags(made) && self.network.endpoints[made.index].is_available
    }
}
