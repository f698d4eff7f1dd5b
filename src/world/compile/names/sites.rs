//! Name resolution in sites: the resolver of their clients, and simulated name servers.

use super::records::RecordEntry;
use super::routing::RoutedSetBuilder;
use super::*;
use crate::aws::zones::SITE_SOA;
use crate::dns::SuffixMap;

impl NamesCompiler<'_, '_> {
    /// The views and simulated zones of sites.
    pub(super) fn sites(&mut self) {
        for ((index, _), written) in self.network.sites.indexed().zip(&self.declarations.sites) {
            let view = match written.resolver.value().as_str() {
                "public" => None,
                _ => {
                    inbound_view(self.cx, self.declarations, &self.names.inbound_endpoints, &written.resolver)
                }
            };
            let view = view.unwrap_or(self.names.public_view);
            let zones = self.simulated_zones(written);
            self.names.sites.add(index, SiteNames { view, zones });
            if !written.zone.is_empty() {
                for server in &written.dns {
                    self.names.simulated_servers.insert(*server.value(), index);
                }
            }
        }
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
                self.cx.report.error(Code::DuplicateId, zone_entry.name.mark(), message);
            }
        }
        zones
    }
}
