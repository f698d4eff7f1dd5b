//! Private DNS of endpoints: the zones that AWS manages, and their claims.

use super::endpoint_names::{answering, association_addresses};
use super::*;
use crate::aws::{endpoint_names, service};
use crate::dns::{Rdata, RecordType};
use network::{CompiledEndpoint, address_type};

/// Zones by apex: a private DNS name, or the domain after `*.`, with the names in the zone and their
/// addresses.
type PrivateZones = BTreeMap<Name, Vec<(Name, Vec<IpAddr>)>>;

impl NamesCompiler<'_, '_> {
    /// The managed zones of all endpoints.
    pub(super) fn private_dns(&mut self) {
        for made in &self.declarations.endpoints {
            let endpoint = &self.network.endpoints[made.index];
            // The names stay public; the resolver of this VPC only filters their record types, so no zone is
            // created.
            if made.selects_record_types {
                self.names.public.s3_families(made.vpc, address_type::of_private_names(made.records));
            }
            if endpoint.private_dns == PrivateDns::Off {
                continue;
            }
            // Their names belong to associations, each with a domain of its own, not to the service.
            if endpoint.kind.has_associations() {
                self.private_dns_of_associations(made);
            } else {
                self.private_dns_of_service(made);
            }
        }
    }

    /// The zones of an interface endpoint's private DNS names.
    fn private_dns_of_service(&mut self, made: &CompiledEndpoint<'_>) {
        let endpoint = &self.network.endpoints[made.index];
        let families = address_type::of_private_names(made.records);
        // Configured names replace those of the service, so the built-in dual-stack names do not apply to
        // them.
        let dualstack: Vec<Name> = match made.written.private_dns_names {
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
        let endpoint = &self.network.endpoints[made.index];
        let families = address_type::of_private_names(made.records);
        for association in endpoint.associations.iter().filter(|association| association.is_private) {
            let Some(name) = association.private_name.clone() else { continue };
            let addresses = association_addresses(endpoint, association, families);
            self.managed_zones(made, PrivateZones::from([(zone_apex(&name), vec![(name, addresses)])]));
        }
    }

    /// One zone for each apex, with a claim in the endpoint's VPC. An endpoint that is not available has
    /// none.
    fn managed_zones(&mut self, made: &CompiledEndpoint<'_>, cuts: PrivateZones) {
        if !self.network.endpoints[made.index].is_available {
            return;
        }
        let ttl = self.cx.config.answers.private_dns_ttl;
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
                let error = self.cx.report.error(Code::ConflictingDomain, made.written.id.mark(), message);
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
