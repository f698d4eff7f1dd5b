//! Private DNS of endpoints: whether their private DNS names apply, and the zones that AWS manages for them
//! (PrivateLink guide, "Private DNS names"; what the API rejects is an error with the API's wording).

use super::endpoint_names::{answering, association_addresses};
use super::*;
use crate::aws::endpoint_names;
use crate::dns::RecordType;

/// Zones by apex: a private DNS name, or the domain after `*.`, with the names in the zone and their
/// addresses.
type PrivateZones = BTreeMap<Name, Vec<(Name, Vec<IpAddr>)>>;

impl Compiler<'_> {
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

    /// Determines whether an endpoint's private DNS names apply, reports what AWS rejects, and creates the
    /// managed zones. `all` are the endpoints of its VPC.
    ///
    /// Runs after all endpoints of the VPC exist, because the rules for S3 depend on the VPC's gateway
    /// endpoints.
    pub(super) fn private_dns(&mut self, made: &CompiledEndpoint<'_>, all: &[CompiledEndpoint<'_>]) {
        let written = made.written;
        let kind = self.network.endpoints[made.index].kind;
        if kind == EndpointKind::Gateway {
            self.gateway_records(made);
        }
        if !kind.has_names() {
            if written.private_dns_enabled == Some(true) {
                let message =
                    format!("`{}` is not an interface endpoint and cannot have private DNS", written.id);
                self.report.error(Code::PrivateDnsRefused, written.id.mark(), message);
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
        let endpoint = &self.network.endpoints[made.index];
        let families = address_type::of_private_names(made.records);
        // Configured names replace those of the service, so the built-in dual-stack names do not apply to
        // them.
        let dualstack: Vec<Name> = match written.private_dns_names {
            None if service::is_s3(&endpoint.service) => {
                endpoint_names::s3_dualstack_names(&made.region).iter().map(|host| fact_name(host)).collect()
            }
            _ => Vec::new(),
        };
        // Several names can share an apex, such as a wildcard and its parent; each apex is one zone.
        let mut cuts = PrivateZones::new();
        for name in &endpoint.private_names {
            // A dual-stack name has both address families, whatever the record type excludes for the other
            // names.
            let families = if dualstack.contains(name) { AddressFamilies::BOTH } else { families };
            cuts.entry(zone_apex(name)).or_default().push((name.clone(), answering(endpoint, families)));
        }
        self.managed_zones(made, cuts);
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
                let error = self.report.error(Code::PrivateDnsRefused, mark, message);
                error.help("write `private_dns_enabled = true`");
            }
            return;
        }
        if !self.has_both_flags(made) {
            return;
        }
        self.network.endpoints[made.index].private_dns = PrivateDns::On;
        let families = address_type::of_private_names(made.records);
        for number in self.preferred(written) {
            let endpoint = &mut self.network.endpoints[made.index];
            endpoint.associations[number].is_private = true;
            let association = &endpoint.associations[number];
            let Some(name) = association.private_name.clone() else { continue };
            let addresses = association_addresses(endpoint, association, families);
            self.managed_zones(made, PrivateZones::from([(zone_apex(&name), vec![(name, addresses)])]));
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
        let error = self.report.error(Code::PrivateDnsRefused, made.written.id.mark(), message);
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
        let row = self.facts.services.find(name, ServiceKind::Interface, &made.region);
        if row.is_some_and(|service| matches!(service.row.private_names, PrivateNames::NotOffered)) {
            let message = format!("{name} does not support private DNS");
            let error = self.report.error(Code::PrivateDnsRefused, mark, message);
            error.help("clients use the endpoint-specific `vpce-…` name");
            return;
        }
        let message = format!("the private DNS names of {name} are unknown");
        let error = self.report.error(Code::UnknownService, mark, message);
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
            self.report.error(Code::PrivateDnsRefused, made.written.id.mark(), message);
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
            let error = self.report.error(Code::PrivateDnsRefused, mark, message);
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
            self.report.error(Code::PrivateDnsRefused, mark, message);
            return false;
        }
        true
    }

    /// The effect of a gateway endpoint's record type on S3's regional names in its VPC. None if it is
    /// service-defined (S3 User Guide, "Gateway endpoints for Amazon S3").
    fn gateway_records(&mut self, made: &CompiledEndpoint<'_>) {
        if made.records == DnsRecordIpType::ServiceDefined {
            return;
        }
        if !service::is_s3(&self.network.endpoints[made.index].service) {
            let message = format!(
                "the DnsRecordIpType of a Gateway endpoint for {} is service-defined",
                self.network.endpoints[made.index].service
            );
            let error = self.report.error(Code::InvalidValue, made.written.id.mark(), message);
            error.help("only gateway endpoints for S3 support other values");
            return;
        }
        // The names stay public; the resolver of this VPC only filters their record types, so no zone is
        // created.
        if self.has_both_flags(made) && self.network.endpoints[made.index].is_available {
            self.names.public.s3_families(made.vpc, address_type::of_private_names(made.records));
        }
    }

    /// One zone for each apex, with a claim in the endpoint's VPC. An endpoint that is not available has
    /// none.
    fn managed_zones(&mut self, made: &CompiledEndpoint<'_>, cuts: PrivateZones) {
        if !self.network.endpoints[made.index].is_available {
            return;
        }
        let ttl = self.config.answers.private_dns_ttl;
        for (apex, names) in cuts {
            let resolver = &self.names.resolvers[made.vpc];
            // The inbound view has every claim of the VPC, including those that the VPC's own view lacks, so
            // that it alone needs to be examined for a conflict.
            if self.names.claims.at(resolver.inbound_view, &apex).next().is_some() {
                let message = format!(
                    "private-dns-enabled cannot be set because there is already a conflicting DNS domain for {} in the \
                     VPC {}",
                    apex.to_string().trim_end_matches('.'),
                    self.network.vpcs[made.vpc].id
                );
                let error = self.report.error(Code::ConflictingDomain, made.written.id.mark(), message);
                error.help(if self.network.endpoints[made.index].kind.has_associations() {
                    "a VPC can have only one zone for a name: remove the endpoint, the association or the hosted zone"
                } else {
                    "for one of two endpoints for the same service in a VPC, write `private_dns_enabled = false`"
                });
                continue;
            }
            let mut zone = self.created_by_aws.hosted_zone(apex.clone());
            for (owner, addresses) in names {
                for address in addresses {
                    let (rtype, rdata): (RecordType, Rdata) = Rdata::for_address(address);
                    zone.add(owner.clone(), rtype, ttl, rdata)
                        .expect("a private DNS name is within its zone");
                }
            }
            let zone = self.names.managed_zones.add(ManagedZone { endpoint: made.index, zone });
            self.claim_managed_zone(made.vpc, apex, zone);
        }
    }

    /// Adds the claim of a managed zone for a VPC's resolver: in both its views, or only in that of inbound
    /// endpoints.
    fn claim_managed_zone(&mut self, vpc: Index<Vpc>, apex: Name, zone: Index<ManagedZone>) {
        let VpcResolver { view, inbound_view, .. } = self.names.resolvers[vpc];
        let scoped = |view| ScopedClaim { view, source: ClaimSource::Local, claim: Claim::Endpoint(zone) };
        let endpoint = &self.network.endpoints[self.names.managed_zones[zone].endpoint];
        if endpoint.private_dns != PrivateDns::OnlyForInboundResolver {
            self.names.claims.add(apex.clone(), scoped(view));
        }
        self.names.claims.add(apex, scoped(inbound_view));
    }
}

/// The apex of the zone of a private DNS name: the name itself, so that names above it are not affected; for
/// a wildcard, the domain after `*.`.
fn zone_apex(name: &Name) -> Name {
    if name.is_wildcard() { name.parent().unwrap_or_else(Name::root) } else { name.clone() }
}
