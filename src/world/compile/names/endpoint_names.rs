//! Endpoint-specific names, which exist everywhere in public DNS and resolve to private addresses.

use super::*;
use crate::aws::{endpoint_names, service};
use crate::dns::Rdata;
use network::{CompiledEndpoint, address_type};

impl NamesCompiler<'_, '_> {
    /// The endpoint-specific names of all endpoints.
    pub(super) fn endpoint_names(&mut self) {
        for made in &self.declarations.endpoints {
            self.unavailable_names.extend(made.unavailable_name.clone());
            self.endpoint_specific_names(made);
        }
    }

    /// The names of an endpoint: regional, zonal, and those of APIs; or one for each association.
    fn endpoint_specific_names(&mut self, made: &CompiledEndpoint<'_>) {
        if !self.network.endpoints[made.index].is_available {
            return;
        }
        self.regional_and_zonal_names(made);
        self.api_aliases(made);
        let families = address_type::of_endpoint_names(made.records);
        let endpoint = &self.network.endpoints[made.index];
        let ttl = self.cx.config.answers.private_dns_ttl;
        for association in &endpoint.associations {
            let Some(name) = &association.dns_name else { continue };
            for address in association_addresses(endpoint, association, families) {
                let (rtype, rdata) = Rdata::for_address(address);
                self.names.public.overlay(name.clone(), rtype, ttl, rdata);
            }
        }
    }

    /// The regional name has the healthy interfaces; a zonal name has those of its Availability Zone
    /// regardless of health. An endpoint for a service in another region has no zonal names (PrivateLink
    /// guide, "Cross-Region enabled AWS services").
    fn regional_and_zonal_names(&mut self, made: &CompiledEndpoint<'_>) {
        let endpoint = &self.network.endpoints[made.index];
        let Some(regional) = endpoint.regional_name.clone() else { return };
        let families = address_type::of_endpoint_names(made.records);
        // S3 names need an additional label (`bucket.vpce-…`), and names below them resolve at any depth.
        let is_wildcard = service::has_wildcard_names(&endpoint.service);
        let owner = |name: Name| if is_wildcard { name.prepend(b"*").unwrap_or(name) } else { name };
        let ttl = self.cx.config.answers.private_dns_ttl;
        let Some(label) = regional.first_label().map(<[u8]>::to_vec) else { return };
        let mut records: Vec<(Name, IpAddr)> = Vec::new();
        records.extend(answering(endpoint, families).into_iter().map(|a| (owner(regional.clone()), a)));
        if made.region == self.network.vpcs[made.vpc].region {
            for interface in &endpoint.interfaces {
                let zone = self.network.subnets[interface.subnet].availability_zone.as_bytes();
                let zonal_label = [label.as_slice(), b"-", zone].concat();
                let zonal = regional.parent().and_then(|parent| parent.prepend(&zonal_label).ok());
                let Some(zonal) = zonal else { continue };
                records.extend(interface.addresses(families).map(|a| (owner(zonal.clone()), a)));
            }
        }
        for (name, address) in records {
            let (rtype, rdata) = Rdata::for_address(address);
            self.names.public.overlay(name, rtype, ttl, rdata);
        }
    }

    /// The records of `<api-id>-vpce-….execute-api.…` at an execute-api endpoint (API Gateway guide, "Invoke
    /// a private API").
    fn api_aliases(&mut self, made: &CompiledEndpoint<'_>) {
        let endpoint = &self.network.endpoints[made.index];
        if endpoint.kind != EndpointKind::Interface || !service::is_execute_api(&endpoint.service) {
            return;
        }
        let domain = endpoint_names::api_domain(&made.region);
        let Ok(owner) = format!("{}.{domain}", endpoint.id.to_ascii_lowercase()).parse::<Name>() else {
            return;
        };
        let ttl = self.cx.config.answers.private_dns_ttl;
        for address in answering(endpoint, address_type::of_endpoint_names(made.records)) {
            let (rtype, rdata) = Rdata::for_address(address);
            self.names.public.api_alias(owner.clone(), rtype, ttl, rdata);
        }
    }
}

/// The addresses of an endpoint as a whole: those of the interfaces in service.
pub(super) fn answering(endpoint: &Endpoint, families: AddressFamilies) -> Vec<IpAddr> {
    let interfaces = endpoint.interfaces.iter().filter(|interface| answers(endpoint, interface));
    interfaces.flat_map(|interface| interface.addresses(families)).collect()
}

/// The addresses of one association: its own, or those of the endpoint.
pub(super) fn association_addresses(
    endpoint: &Endpoint,
    association: &EndpointAssociation,
    families: AddressFamilies,
) -> Vec<IpAddr> {
    if association.addresses.is_empty() {
        return answering(endpoint, families);
    }
    let own = association.addresses.iter().filter(|(_, address)| families.contains(address));
    own.filter(|(number, _)| answers(endpoint, &endpoint.interfaces[*number])).map(|(_, a)| *a).collect()
}

/// Whether an interface is in the names that are not zonal: it is healthy. If none is healthy, all are, as in
/// Route 53 when every health check fails.
fn answers(endpoint: &Endpoint, interface: &EndpointInterface) -> bool {
    interface.is_healthy || endpoint.interfaces.iter().all(|interface| !interface.is_healthy)
}
