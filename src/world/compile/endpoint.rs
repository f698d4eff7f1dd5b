//! VPC endpoints: their interfaces, their private names, their own names in public DNS.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::*;
use crate::aws::public::stable_hash;
use crate::aws::service::{self, EndpointKind as ServiceKind};
use crate::aws::{PrivateNames, Service};
use crate::config;
use crate::config::{DnsRecordIpType, EndpointState, EndpointType};
use crate::dns::{Rdata, RecordType};

/// The TCP port of a service that no table knows.
const HTTPS: u16 = 443;

impl Compiler<'_> {
    /// Every endpoint of every VPC.
    pub(super) fn endpoints(&mut self) {
        for vpc in &self.config.vpc {
            let Some(index) = self.ids.vpcs.get(&vpc.id.to_string()).copied() else { continue };
            let mut made = Vec::new();
            for endpoint in &vpc.endpoint {
                if self.declare(&endpoint.id) {
                    made.push((endpoint, self.endpoint(index, endpoint)));
                }
            }
            // An S3 endpoint's private DNS may depend on a gateway endpoint that is declared after it.
            for (endpoint, number) in made {
                self.private_dns(index, number, endpoint);
            }
        }
    }

    fn endpoint(&mut self, vpc: Index<Vpc>, written: &config::Endpoint) -> Index<Endpoint> {
        let region = self.vpcs[vpc].region.clone();
        let kind = match written.endpoint_type {
            EndpointType::Interface => EndpointKind::Interface,
            EndpointType::Gateway => EndpointKind::Gateway,
            EndpointType::GatewayLoadBalancer => EndpointKind::GatewayLoadBalancer,
        };
        let service = self.service(written, kind, &region);
        let index = self.endpoints.next_index();
        let interfaces = self.interfaces(vpc, index, written, kind);
        let is_available = matches!(written.state, EndpointState::Available | EndpointState::Partial);
        let private_names = match &written.private_dns_names {
            Some(names) => names.iter().map(|name| name.value().clone()).collect(),
            None => service
                .as_ref()
                .and_then(Service::private_names)
                .map_or_else(Vec::new, |names| names.iter().map(|host| fact_name(host)).collect()),
        };
        let prefixes = match kind {
            EndpointKind::Gateway => self.gateway_prefixes(written, &region),
            _ => Vec::new(),
        };
        let regional_name = (kind == EndpointKind::Interface)
            .then(|| self.regional_name(written, service.as_ref(), &region))
            .flatten();
        let regional_name = if is_available {
            regional_name
        } else {
            self.gone_names.extend(regional_name);
            None
        };
        let made = Endpoint {
            id: written.id.value().text(),
            vpc,
            kind,
            service: written.service.value().as_str().into(),
            is_available,
            private_dns: PrivateDns::Off,
            private_names,
            is_ipv6_only: written.dns_record_ip_type == DnsRecordIpType::Ipv6,
            interfaces,
            regional_name,
            port: service.as_ref().map_or(HTTPS, Service::port),
            prefixes,
        };
        self.vpcs[vpc].endpoints.push(index);
        self.endpoints.add(made);
        self.ids.endpoints.insert(written.id.to_string(), (vpc, index));
        self.own_names(index, written);
        index
    }

    /// The service's row in the table of facts. A service that nobody knows is a warning, since an endpoint
    /// service of one's own is in no table.
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
        };
        let name = written.service.value();
        let found = self.facts.services.find(name, kind, region);
        if found.is_none() && !name.contains(".vpce-svc-") && kind != ServiceKind::GatewayLoadBalancer {
            let message = format!("no {kind:?} endpoint service `{name}` is known");
            let warning = self.report.warning(Code::UnknownService, written.service.mark(), message);
            warning.help("it has no private names unless you say them: `private_dns_names = [\"…\"]`");
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
            let message = format!("`{}` is a gateway endpoint: it has no network interfaces", written.id);
            self.report.error(Code::InvalidValue, written.id.mark(), message);
            return Vec::new();
        }
        let mut interfaces: Vec<EndpointInterface> = Vec::new();
        for interface in &written.network_interfaces {
            let security_groups = self.groups_named(&interface.security_groups);
            let Some(subnet) = self.subnet_named(&interface.subnet, vpc) else { continue };
            let zone = &self.subnets[subnet].availability_zone;
            if interfaces.iter().any(|have| self.subnets[have.subnet].availability_zone == *zone) {
                let message = format!("`{}` has a second interface in zone {zone}", written.id);
                let error = self.report.error(Code::InvalidValue, interface.subnet.mark(), message);
                error.help("an endpoint has one subnet a zone");
            }
            for address in std::iter::once(&interface.address).chain(&interface.ipv6_address) {
                self.check_inside(address, subnet);
                self.claim_address(vpc, address, Interface::Endpoint(endpoint, interfaces.len()));
            }
            interfaces.push(EndpointInterface {
                subnet,
                address: *interface.address.value(),
                ipv6_address: interface.ipv6_address.as_ref().map(|a| *a.value()),
                security_groups,
            });
        }
        interfaces
    }

    /// The prefixes that a gateway endpoint's service has in its region's prefix list.
    fn gateway_prefixes(&mut self, written: &config::Endpoint, region: &Region) -> Vec<IpNet> {
        let service = written.service.value();
        if let Some(list) = self.named_prefix_lists.get(&(region.clone(), service.clone())) {
            return list.entries.iter().map(|cidr| cidr.value().0).collect();
        }
        let label = service.rsplit('.').next().unwrap_or_default();
        let Some(list) = self.facts.prefix_lists.for_service(region, label) else { return Vec::new() };
        if let Some(entries) = self.prefix_lists.get(&(region.clone(), list.id.clone())) {
            return entries.clone();
        }
        list.entries.clone().unwrap_or_default()
    }

    /// The endpoint's regional name: as written, else made from its id as AWS makes them, with a token
    /// that is the same each time.
    fn regional_name(
        &mut self,
        written: &config::Endpoint,
        service: Option<&Service<'_>>,
        region: &Region,
    ) -> Option<Name> {
        if let Some(name) = &written.dns_name {
            return Some(name.value().clone());
        }
        let base = match service {
            Some(service) => service.base_domain(),
            None => service::vpce_domain(written.service.value(), region),
        };
        let id = written.id.value().as_str().to_ascii_lowercase();
        format!("{id}-{}.{base}", token(&id)).parse().ok()
    }

    /// The endpoint's own names, which public DNS knows: regional, and one for each zone.
    fn own_names(&mut self, index: Index<Endpoint>, written: &config::Endpoint) {
        let endpoint = &self.endpoints[index];
        let Some(regional) = endpoint.regional_name.clone() else { return };
        let (v4, v6) = match written.dns_record_ip_type {
            DnsRecordIpType::Ipv4 => (true, false),
            DnsRecordIpType::Ipv6 => (false, true),
            DnsRecordIpType::Dualstack | DnsRecordIpType::ServiceDefined => (true, true),
        };
        // S3's names want a word in front (`bucket.vpce-…`), and any depth of names below them resolves.
        let is_wildcard = service::has_wildcard_names(&endpoint.service);
        let owner = |name: Name| if is_wildcard { name.prepend(b"*").unwrap_or(name) } else { name };
        let ttl = self.config.answers.private_dns_ttl;
        let Some(label) = regional.first_label().map(<[u8]>::to_vec) else { return };
        let mut records: Vec<(Name, IpAddr)> = Vec::new();
        for interface in &endpoint.interfaces {
            let zone = self.subnets[interface.subnet].availability_zone.as_bytes();
            let zonal_label = [label.as_slice(), b"-", zone].concat();
            let zonal = regional.parent().and_then(|parent| parent.prepend(&zonal_label).ok());
            for address in interface.addresses(v4, v6) {
                records.push((owner(regional.clone()), address));
                records.extend(zonal.clone().map(|zonal| (owner(zonal), address)));
            }
        }
        for (name, address) in records {
            let (rtype, rdata) = Rdata::address_of(address);
            self.public.overlay(name, rtype, ttl, rdata);
        }
    }

    /// Works out whether an endpoint's private names lead to it, refuses what AWS refuses, and makes the
    /// managed zones.
    fn private_dns(&mut self, vpc: Index<Vpc>, index: Index<Endpoint>, written: &config::Endpoint) {
        let endpoint = &self.endpoints[index];
        if endpoint.kind != EndpointKind::Interface {
            if written.private_dns_enabled == Some(true) {
                let message = format!("`{}` is no interface endpoint: it has no private DNS", written.id);
                self.report.error(Code::PrivateDnsRefused, written.id.mark(), message);
            }
            return;
        }
        if !self.wants_private_dns(vpc, index, written) {
            return;
        }
        let is_s3 = service::has_wildcard_names(&self.endpoints[index].service);
        // AWS's own default for S3 (PrivateLink guide, "Private DNS for S3").
        let only_inbound = written.private_dns_only_for_inbound_resolver_endpoint.unwrap_or(is_s3);
        if only_inbound && is_s3 && !self.has_gateway_endpoint(vpc, index) {
            let vpc = self.vpcs[vpc].id.clone();
            let message = format!(
                "To set PrivateDnsOnlyForInboundResolverEndpoint to true, the VPC {vpc} must have a Gateway \
                 endpoint for the service."
            );
            let error = self.report.error(Code::PrivateDnsRefused, written.id.mark(), message);
            error.help(
                "declare the gateway endpoint, or write `private_dns_only_for_inbound_resolver_endpoint = false`",
            );
            return;
        }
        let private_dns = if only_inbound { PrivateDns::OnlyForInboundResolver } else { PrivateDns::On };
        self.endpoints[index].private_dns = private_dns;
        if self.endpoints[index].is_available {
            self.managed_zones(vpc, index, written);
        }
    }

    fn wants_private_dns(
        &mut self,
        vpc: Index<Vpc>,
        index: Index<Endpoint>,
        written: &config::Endpoint,
    ) -> bool {
        let region = self.vpcs[vpc].region.clone();
        let name = self.endpoints[index].service.clone();
        let row = self.facts.services.find(&name, ServiceKind::Interface, &region);
        let overridden = written.private_dns_names.is_some();
        let offered = overridden || !self.endpoints[index].private_names.is_empty();
        let both_flags = self.vpcs[vpc].dns_support && self.vpcs[vpc].dns_hostnames;
        let mark = written.id.mark();
        match written.private_dns_enabled {
            Some(false) => false,
            None => offered && both_flags && (overridden || !service::has_wildcard_names(&name)),
            Some(true) if !both_flags => {
                let message = format!(
                    "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes \
                     set to true for {}",
                    self.vpcs[vpc].id
                );
                let error = self.report.error(Code::PrivateDnsRefused, mark, message);
                error.help("give the VPC `enable_dns_support = true` and `enable_dns_hostnames = true`");
                false
            }
            Some(true) if offered => true,
            Some(true) => {
                let not_offered =
                    row.is_some_and(|s| matches!(s.row.private_names, PrivateNames::NotOffered));
                if not_offered {
                    let message = format!("AWS offers no private DNS for {name}");
                    let error = self.report.error(Code::PrivateDnsRefused, mark, message);
                    error.help("its clients use the endpoint's own `vpce-…` name");
                } else {
                    let message = format!("the private names of {name} are not known");
                    let error = self.report.error(Code::UnknownService, mark, message);
                    error.help(
                        "say them: `private_dns_names = [\"…\"]`, as `aws ec2 describe-vpc-endpoint-services` \
                         prints them",
                    );
                }
                false
            }
        }
    }

    fn has_gateway_endpoint(&self, vpc: Index<Vpc>, interface: Index<Endpoint>) -> bool {
        let service = &self.endpoints[interface].service;
        self.vpcs[vpc].endpoints.iter().any(|index| {
            let other = &self.endpoints[*index];
            other.kind == EndpointKind::Gateway && other.service == *service
        })
    }

    /// One zone for each private name, cut at the name; for a wildcard, at what follows `*.`.
    fn managed_zones(&mut self, vpc: Index<Vpc>, index: Index<Endpoint>, written: &config::Endpoint) {
        let (v4, v6) = match written.dns_record_ip_type {
            DnsRecordIpType::Ipv4 | DnsRecordIpType::ServiceDefined => (true, false),
            DnsRecordIpType::Dualstack => (true, true),
            DnsRecordIpType::Ipv6 => (false, true),
        };
        let mut cuts: BTreeMap<Name, Vec<Name>> = BTreeMap::new();
        for name in &self.endpoints[index].private_names {
            let apex =
                if name.is_wildcard() { name.parent().unwrap_or_else(Name::root) } else { name.clone() };
            cuts.entry(apex).or_default().push(name.clone());
        }
        let only_inbound = self.endpoints[index].private_dns == PrivateDns::OnlyForInboundResolver;
        let (view, inbound) = (self.vpcs[vpc].view, self.vpcs[vpc].inbound_view);
        let ttl = self.config.answers.private_dns_ttl;
        for (apex, owners) in cuts {
            if self.claims.at(inbound, &apex).next().is_some() {
                let (apex, vpc) = (apex.to_string(), &self.vpcs[vpc].id);
                let message = format!(
                    "private-dns-enabled cannot be set because there is already a conflicting DNS domain for {} in \
                     the VPC {vpc}",
                    apex.trim_end_matches('.')
                );
                let error = self.report.error(Code::ConflictingDomain, written.id.mark(), message);
                error.help(
                    "of two endpoints for one service in one VPC, one has `private_dns_enabled = false`",
                );
                continue;
            }
            let mut zone = self.made_by_aws.hosted_zone(apex.clone());
            for owner in owners {
                for interface in &self.endpoints[index].interfaces {
                    for address in interface.addresses(v4, v6) {
                        let (rtype, rdata): (RecordType, Rdata) = Rdata::address_of(address);
                        zone.add(owner.clone(), rtype, ttl, rdata)
                            .expect("an address of a private name lies in the zone cut at it");
                    }
                }
            }
            let made = self.managed_zones.add(ManagedZone { endpoint: index, zone });
            if !only_inbound {
                self.claims.add(view, apex.clone(), Claim::Endpoint(made));
            }
            self.claims.add(inbound, apex, Claim::Endpoint(made));
        }
    }
}

impl EndpointInterface {
    /// The addresses of the wanted families.
    fn addresses(&self, v4: bool, v6: bool) -> impl Iterator<Item = IpAddr> {
        let v4 = v4.then_some(self.address);
        v4.into_iter().chain(self.ipv6_address.filter(|_| v6))
    }
}

/// Eight letters and digits that stand in an endpoint's names after its id, the same for the same id.
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
