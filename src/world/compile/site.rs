//! Sites: on-premises networks, their links, and their simulated zones.

use super::records::RecordEntry;
use super::routing::RoutedSetBuilder;
use super::*;
use crate::aws::zones::SITE_SOA;
use crate::dns::SuffixMap;
use crate::net::PrefixMap;

impl Compiler<'_> {
    /// On-premises networks with their simulated zones.
    pub(super) fn sites(&mut self) {
        let vpcs = self.vpc_prefixes();
        for written in &self.config.site {
            if !self.declare(&written.id) {
                continue;
            }
            let view = self.site_view(&written.resolver);
            let links = self.site_links(written);
            let zones = self.simulated_zones(written);
            let index = self.network.sites.add(Site {
                id: written.id.value().to_shared(),
                cidrs: written.cidr.iter().map(|cidr| cidr.value().0).collect(),
                links,
                has_internet: written.internet,
                gateway_prefixes: Vec::new(),
            });
            self.names.sites.add(index, SiteNames { view, zones });
            self.ids.sites.insert(written.id.to_string(), index);
            for link in &self.network.sites[index].links {
                if let LinkedTo::Vpc(vpc) = link.to
                    && self.network.vpcs[vpc].linked_sites.last() != Some(&index)
                {
                    self.network.vpcs[vpc].linked_sites.push(index);
                }
            }
            self.check_site_prefixes(written, &vpcs);
            if !written.zone.is_empty() {
                for server in &written.dns {
                    self.names.simulated_servers.insert(*server.value(), index);
                }
            }
        }
    }

    /// What is behind a link: a configured transit gateway, or else a VPC.
    fn linked_to(&mut self, link: &config::Link) -> Option<LinkedTo> {
        let declared = self.ids.transit_gateways.get(link.target.value().as_str()).copied();
        match (declared, &link.vpc) {
            (Some(gateway), _) => Some(LinkedTo::TransitGateway(gateway)),
            (None, Some(vpc)) => self.vpc_named(vpc).map(LinkedTo::Vpc),
            (None, None) => {
                let message = format!("missing key `vpc` for the link to `{}`", link.target);
                let error = self.report.error(Code::MissingKey, link.target.mark(), message);
                error.help("write `vpc = \"vpc-…\"`, or declare the transit gateway: [[transit_gateway]]");
                None
            }
        }
    }

    pub(super) fn site_view(&mut self, resolver: &Marked<String>) -> ViewId {
        if resolver.value() == "public" {
            return self.names.public_view;
        }
        match self.ids.resolver_endpoints.get(resolver.value()).copied() {
            Some(Resolver::Inbound(index)) => self.names.inbound_endpoints[index].view,
            Some(Resolver::Outbound(_)) => {
                let message = format!(
                    "the resolver of a site must be an inbound endpoint, but `{resolver}` is outbound"
                );
                self.report.error(Code::UnknownReference, resolver.mark(), message);
                self.names.public_view
            }
            None if self.is_of_other_kind(
                resolver.value(),
                resolver.mark(),
                &["rslvr-in-"],
                "an inbound endpoint or `public`",
            ) =>
            {
                self.names.public_view
            }
            None => {
                self.unknown("inbound endpoint", resolver.value(), resolver.mark(), |this| {
                    keys(&this.ids.resolver_endpoints)
                });
                self.names.public_view
            }
        }
    }

    /// The first VPC of each prefix.
    fn vpc_prefixes(&self) -> PrefixMap<Index<Vpc>> {
        let mut vpcs = PrefixMap::new();
        for (index, vpc) in self.network.vpcs.indexed() {
            for cidr in &vpc.cidrs {
                vpcs.get_or_insert_with(*cidr, || index);
            }
        }
        vpcs
    }

    /// Reports overlapping prefixes of a site and a VPC. `vpcs` contains the first VPC of each prefix.
    fn check_site_prefixes(&mut self, site: &config::Site, vpcs: &PrefixMap<Index<Vpc>>) {
        for cidr in &site.cidr {
            let net = cidr.value().0;
            if let Some(vpc) = vpcs.overlapping(&net).map(|(_, vpc)| *vpc).min() {
                let message =
                    format!("{net} of site `{}` overlaps VPC `{}`", site.id, self.network.vpcs[vpc].id);
                self.report.warning(Code::OverlappingCidr, cidr.mark(), message);
            }
        }
    }

    /// The links of a site whose other ends are configured.
    fn site_links(&mut self, written: &config::Site) -> Vec<Link> {
        let mut links = Vec::new();
        for link in &written.links {
            let target = link.target.value().to_shared();
            let Some(to) = self.linked_to(link) else { continue };
            let gateway = link.gateway.as_ref().map(|gateway| gateway.value().to_shared());
            let class = match &*target {
                dxgw if dxgw.starts_with("dxgw-") => LinkClass::DirectConnectGateway,
                tgw if tgw.starts_with("tgw-") => LinkClass::TransitGateway,
                _ => LinkClass::VirtualPrivateGateway,
            };
            links.push(Link { target, class, to, gateway });
        }
        links
    }

    /// The simulated zones of a site.
    fn simulated_zones(&mut self, written: &config::Site) -> SuffixMap<Zone> {
        let mut zones = SuffixMap::new();
        for zone_entry in &written.zone {
            let mut zone = records::zone_with_soa(zone_entry.name.value().clone(), &SITE_SOA);
            let mut routed = RoutedSetBuilder::default();
            self.records(&mut zone, &zone_entry.records, RecordEntry::Master, &mut routed);
            if let Some(file) = &zone_entry.file {
                let read = self.one_zone_file(file, zone.apex());
                self.zone_file(&mut zone, file, read, &mut routed);
            }
            self.reject_routed(&routed);
            if zones.insert(zone_entry.name.value().clone(), zone).is_some() {
                let message = format!("duplicate zone `{}` in site `{}`", zone_entry.name, written.id);
                self.report.error(Code::DuplicateId, zone_entry.name.mark(), message);
            }
        }
        zones
    }
}
