//! Private hosted zones and their associations.

use super::records::RecordEntry;
use super::routing::RoutedSetBuilder;
use super::zone_files::{self, ZoneFile};
use super::*;

impl NamesCompiler<'_, '_> {
    /// Private hosted zones, in the VPCs that have both DNS attributes.
    pub(super) fn hosted_zones(&mut self) {
        for batch in self.cx.config.hosted_zone.chunks(zone_files::BATCH) {
            let files = self.zone_files(batch);
            for (written, file) in batch.iter().zip(files) {
                self.hosted_zone(written, file);
            }
        }
    }

    /// Compiles one hosted zone with its file.
    fn hosted_zone(&mut self, written: &config::HostedZone, file: Option<ZoneFile>) {
        if let Some(id) = &written.id
            && !self.cx.declare(id)
        {
            return;
        }
        let apex = written.name.value().clone();
        if apex.is_wildcard() {
            let message = format!("invalid zone name `{apex}`: it begins with `*`");
            let error = self.cx.report.error(Code::InvalidValue, written.name.mark(), message);
            error.help("declare the zone for the parent name, with a record named `*`");
        }
        let mut zone = self.created_by_aws.hosted_zone(apex.clone());
        let mut routed = RoutedSetBuilder::default();
        self.records(&mut zone, &written.records, RecordEntry::Route53, &mut routed);
        if let (Some(named), Some(file)) = (&written.file, file) {
            self.zone_file(&mut zone, named, file, &mut routed);
        }
        let by_place = self.routed_sets(&mut zone, routed);
        let id = match &written.id {
            Some(id) => id.value().to_shared(),
            None => written.name.to_string().into(),
        };
        let made = self.names.hosted_zones.add(HostedZone { id, zone });
        if let Some(id) = &written.id {
            self.hosted_zone_ids.insert(id.to_string(), made);
        }
        self.zone_marks.insert(made, written.name.mark());
        for vpc in &written.vpcs {
            let Some(index) = self.vpc_named(vpc) else { continue };
            self.associate(index, vpc.mark(), &apex, made);
            if by_place {
                self.check_vpc_location(index, vpc.mark());
            }
        }
    }

    /// Associates a VPC with a zone, if it has both DNS attributes.
    fn associate(&mut self, vpc: Index<Vpc>, mark: Mark, apex: &Name, zone: Index<HostedZone>) {
        let inbound = self.names.resolvers[vpc].inbound_view;
        let taken =
            self.names.claims.at(inbound, apex).find_map(|scoped| self.conflicting_zone(scoped.claim));
        if let Some(taken) = taken {
            let message = format!(
                "The VPC {} has already been associated with {taken} with the same domain name.",
                self.network.vpcs[vpc].id
            );
            self.cx.report.error(Code::ConflictingDomain, mark, message);
            return;
        }
        if self.network.vpcs[vpc].dns_hostnames {
            self.claim(vpc, apex, ClaimSource::Local, Claim::HostedZone(zone));
        } else {
            let message = format!("VPC `{}` does not use this zone", self.network.vpcs[vpc].id);
            let warning = self.cx.report.warning(Code::Surprising, mark, message);
            warning.help("private hosted zones require both `enable_dns_support` and `enable_dns_hostnames`");
        }
    }

    /// Describes the zone that already has a name.
    pub(super) fn conflicting_zone(&self, claim: Claim) -> Option<String> {
        match claim {
            Claim::HostedZone(other) => Some(format!("hosted zone {}", self.names.hosted_zones[other].id)),
            Claim::Endpoint(other) => {
                let endpoint = self.names.managed_zones[other].endpoint;
                Some(format!("the private DNS of endpoint {}", self.network.endpoints[endpoint].id))
            }
            _ => None,
        }
    }
}
