//! Sites: on-premises networks and their links.

use super::*;
use crate::net::PrefixMap;

impl NetworkCompiler<'_, '_> {
    /// On-premises networks.
    pub(super) fn sites(&mut self) {
        let vpcs = self.vpc_prefixes();
        for written in &self.cx.config.site {
            if !self.cx.declare(&written.id) {
                continue;
            }
            let links = self.site_links(written);
            let index = self.network.sites.add(Site {
                id: written.id.value().to_shared(),
                cidrs: written.cidr.iter().map(|cidr| cidr.value().0).collect(),
                links,
                has_internet: written.internet,
                gateway_prefixes: Vec::new(),
            });
            self.declarations.sites.push(written);
            self.ids.sites.insert(written.id.to_string(), index);
            for link in &self.network.sites[index].links {
                if let LinkedTo::Vpc(vpc) = link.to
                    && self.network.vpcs[vpc].linked_sites.last() != Some(&index)
                {
                    self.network.vpcs[vpc].linked_sites.push(index);
                }
            }
            self.check_site_prefixes(written, &vpcs);
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
                let error = self.cx.report.error(Code::MissingKey, link.target.mark(), message);
                error.help("write `vpc = \"vpc-…\"`, or declare the transit gateway: [[transit_gateway]]");
                None
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
                self.cx.report.warning(Code::OverlappingCidr, cidr.mark(), message);
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
}
