//! Hosted zones and their records: private zones as they are, public ones as records of the sealed internet.

use std::collections::HashSet;

use super::ConfigWriter;
use super::toml::{InlineTable, quote};
use crate::dns::from_octal_escapes;
use crate::import::inventory::RecordSets;
use crate::import::objects::Object;
use crate::import::objects::route53::{
    GeoLocation, GeoProximityLocation, HealthCheck, HealthCheckObservation, HostedZone, ResourceRecordSet,
};

/// The key of the documents that hold record sets.
const RECORD_SETS: &str = "ResourceRecordSets";

/// The key of the documents that hold what checkers observed.
const OBSERVATIONS: &str = "HealthCheckObservations";

/// With more than this share of its checkers content, in hundredths, Route 53 takes an endpoint as healthy.
const HEALTHY_SHARE: usize = 18;

impl<'a> ConfigWriter<'a> {
    /// The private zones.
    pub(super) fn hosted_zones(&mut self) {
        let inventory = self.inventory;
        let mut heading = Some("private hosted zones");
        for zone in inventory.hosted_zones.iter().filter(|zone| zone.config.private_zone) {
            if let Some(heading) = heading.take() {
                self.toml.heading(heading);
            }
            self.hosted_zone(&zone.id(), zone);
        }
    }

    fn hosted_zone(&mut self, id: &str, zone: &HostedZone) {
        let inventory = self.inventory;
        self.toml.table("hosted_zone", zone.config.comment.as_deref().filter(|comment| !comment.is_empty()));
        // Only the real Route 53's ids begin so; its stand-ins make others.
        self.toml.optional_string("id", Some(id).filter(|id| id.starts_with('Z')));
        let apex = zone.name.trim_end_matches('.');
        self.toml.string("name", &plain(apex));
        let mut vpcs: Vec<&String> = Vec::new();
        for vpc in inventory.zone_vpcs.get(id).into_iter().flatten() {
            if !self.has_vpc(&vpc.vpc_id) {
                self.note_missing_vpc(&vpc.vpc_id, &format!("hosted zone {id}"));
                self.ledger.mark_item_skipped("VPCs", vpc.spot, "no document holds it");
            } else if vpcs.contains(&&vpc.vpc_id) {
                self.ledger.mark_item_skipped("VPCs", vpc.spot, "it stands in another document too");
            } else {
                vpcs.push(&vpc.vpc_id);
                self.ledger.mark_item_converted("VPCs", vpc.spot);
            }
        }
        self.toml.strings("vpcs", vpcs);
        if !inventory.zone_vpcs.contains_key(id) {
            let call = format!("aws route53 get-hosted-zone --id {id}");
            self.ledger.note_missing(format!("the VPCs that hosted zone {id} ({apex}) is associated with"), call);
        }
        let sets = self.sets_of(id);
        if sets.is_empty() {
            let call = format!("aws route53 list-resource-record-sets --hosted-zone-id {id}");
            self.ledger.note_missing(format!("the records of hosted zone {id} ({apex})"), call);
        }
        let records = self.records(apex, &sets);
        if !records.is_empty() {
            self.toml.inline_tables("records", &records);
        }
        self.ledger.mark_converted(HostedZone::KIND, id);
    }

    /// The documents with record sets of a zone.
    fn sets_of(&self, zone: &str) -> Vec<&'a RecordSets> {
        let all = self.inventory.record_sets.iter();
        all.filter(|sets| sets.zone.as_deref() == Some(zone)).collect()
    }

    /// The record sets of a zone.
    fn records(&mut self, apex: &str, documents: &[&RecordSets]) -> Vec<InlineTable> {
        let mut seen = HashSet::new();
        let mut written = Vec::new();
        for set in documents.iter().flat_map(|document| &document.sets) {
            let name = relative(&set.name, apex);
            let key = (name.to_ascii_lowercase(), set.record_type.as_str(), set.set_identifier.as_deref());
            if name == "@" && matches!(set.record_type.as_str(), "SOA" | "NS") {
                self.ledger.mark_item_skipped(RECORD_SETS, set.spot, "Route 53 makes it, and so does plustwo");
            } else if let Some(why) = refused(set) {
                let why = format!("{} {} is left out: {why}", told_name(set), set.record_type);
                self.ledger.mark_item_unsupported(RECORD_SETS, set.spot, why);
            } else if !seen.insert(key) {
                self.ledger.mark_item_skipped(RECORD_SETS, set.spot, "it stands in another document too");
            } else {
                self.referenced_health_checks.extend(set.health_check_id.clone());
                self.ledger.mark_item_converted(RECORD_SETS, set.spot);
                written.push(record(&name, set));
            }
        }
        written
    }

    /// What the health checks say that record sets name.
    pub(super) fn health_checks(&mut self) {
        let inventory = self.inventory;
        let mut heading = Some("health checks");
        for id in std::mem::take(&mut self.referenced_health_checks) {
            if let Some(heading) = heading.take() {
                self.toml.heading(heading);
            }
            self.toml.table("health_check", None);
            self.toml.string("id", &id);
            let check = inventory.health_checks.iter().find(|check| check.id == id);
            match self.is_healthy(&id, check.map(|check| &check.object)) {
                Some(true) => {}
                Some(false) => self.toml.value("healthy", false),
                None => {
                    let what = format!("what health check {id} says: taken as healthy");
                    let call = format!("aws route53 get-health-check-status --health-check-id {id}");
                    self.ledger.note_missing(what, call);
                }
            }
            self.ledger.mark_converted(HealthCheck::KIND, &id);
        }
        for check in &inventory.health_checks {
            self.ledger.mark_skipped(HealthCheck::KIND, &check.id, "no record set that is written names it");
        }
    }

    /// What a health check says, as far as its documents tell.
    fn is_healthy(&mut self, id: &str, check: Option<&HealthCheck>) -> Option<bool> {
        let observations = self.inventory.health_observations.get(id);
        for observation in observations.into_iter().flatten() {
            self.ledger.mark_item_converted(OBSERVATIONS, observation.spot);
        }
        let config = check.map(|check| check.health_check_config.clone()).unwrap_or_default();
        if config.disabled {
            // Route 53 stops checking, and takes it as healthy unless it is inverted.
            return Some(!config.inverted);
        }
        let observed = observations.filter(|all| !all.is_empty())?;
        let content = observed.iter().filter(|one| is_success(one)).count();
        let is_healthy = content * 100 > observed.len() * HEALTHY_SHARE;
        Some(is_healthy != config.inverted)
    }

    /// Records of public zones, as the sealed internet has them.
    pub(super) fn public_zones(&mut self) {
        let inventory = self.inventory;
        let mut heading = Some("public hosted zones");
        for zone in inventory.hosted_zones.iter().filter(|zone| !zone.config.private_zone) {
            let id = zone.id();
            let sets = self.sets_of(&id);
            let mut written = 0;
            let mut seen = HashSet::new();
            for set in sets.iter().flat_map(|document| &document.sets) {
                let name = told_name(set);
                let left_out = if matches!(set.record_type.as_str(), "SOA" | "NS" | "DS") {
                    Some("the sealed internet has no zones, and delegates nothing".to_owned())
                } else if set.alias_target.is_some() {
                    Some("the sealed internet has no alias records".to_owned())
                } else if set.set_identifier.is_some() {
                    Some("the sealed internet has no routing policies".to_owned())
                } else {
                    let is_new = seen.insert((name.to_ascii_lowercase(), set.record_type.as_str()));
                    (!is_new).then(|| "it stands in another document too".to_owned())
                };
                if let Some(why) = left_out {
                    self.ledger.mark_item_skipped(RECORD_SETS, set.spot, why);
                    continue;
                }
                if let Some(heading) = heading.take() {
                    self.toml.heading(heading);
                }
                self.toml.table("public", None);
                self.toml.string("name", &plain(set.name.trim_end_matches('.')));
                self.toml.string("type", &set.record_type);
                if let Some(ttl) = set.ttl {
                    self.toml.value("ttl", ttl);
                }
                self.toml.strings("values", set.resource_records.iter().map(|one| plain(&one.value)));
                self.ledger.mark_item_converted(RECORD_SETS, set.spot);
                written += 1;
            }
            match written {
                0 => self.ledger.mark_skipped(
                    HostedZone::KIND,
                    &id,
                    "it is public: its names are asked of the internet",
                ),
                _ => self.ledger.mark_converted(HostedZone::KIND, &id),
            }
        }
    }
}

/// Whether a checker is content.
fn is_success(observation: &HealthCheckObservation) -> bool {
    observation.status_report.status.as_deref().is_some_and(|status| status.starts_with("Success"))
}

/// Why the configuration has no such record set.
fn refused(set: &ResourceRecordSet) -> Option<String> {
    if set.cidr_routing_config.is_some() {
        return Some("a private hosted zone cannot have IP-based routing".to_owned());
    }
    if set.alias_target.is_some() && matches!(set.record_type.as_str(), "CNAME" | "NS") {
        return Some(format!("aliases of type {} are not modelled", set.record_type));
    }
    let near = set.geo_proximity_location.as_ref();
    let group =
        near.filter(|near| near.coordinates.is_none()).and_then(|near| near.local_zone_group.as_ref());
    if let Some(group) = group {
        return Some(format!("where the Local Zone group `{group}` lies is not known here"));
    }
    let is_unread = set.set_identifier.is_some()
        && set.weight.is_none()
        && set.region.is_none()
        && set.geo_location.is_none()
        && near.is_none()
        && set.failover.is_none()
        && set.multi_value_answer != Some(true);
    is_unread.then(|| "its routing policy is not known".to_owned())
}

/// A record set as it is written. Names and values stay as Route 53's API has them.
fn record(name: &str, set: &ResourceRecordSet) -> InlineTable {
    let mut inline = InlineTable::default().string("name", name).string("type", &set.record_type);
    match &set.alias_target {
        Some(alias) => {
            inline = inline.string("alias", &plain(alias.dns_name.trim_end_matches('.')));
            if alias.evaluate_target_health {
                inline = inline.value("evaluate_target_health", true);
            }
        }
        None => {
            if let Some(ttl) = set.ttl {
                inline = inline.value("ttl", ttl);
            }
            let values: Vec<String> =
                set.resource_records.iter().map(|record| record.value.clone()).collect();
            inline = inline.strings("values", &values);
        }
    }
    inline = inline.optional_string("set_identifier", set.set_identifier.as_deref());
    if let Some(weight) = set.weight {
        inline = inline.value("weight", weight);
    }
    inline = inline.optional_string("region", set.region.as_deref());
    if let Some(location) = &set.geo_location {
        inline = inline.value("geo_location", geo_location(location));
    }
    if let Some(location) = &set.geo_proximity_location {
        inline = inline.value("geo_proximity_location", geo_proximity_location(location));
    }
    inline = inline.optional_string("failover", set.failover.as_deref());
    if set.multi_value_answer == Some(true) {
        inline = inline.value("multi_value_answer", true);
    }
    inline.optional_string("health_check_id", set.health_check_id.as_deref())
}

fn geo_location(location: &GeoLocation) -> String {
    InlineTable::default()
        .optional_string("continent_code", location.continent_code.as_deref())
        .optional_string("country_code", location.country_code.as_deref())
        .optional_string("subdivision_code", location.subdivision_code.as_deref())
        .to_toml()
}

fn geo_proximity_location(location: &GeoProximityLocation) -> String {
    let mut inline = InlineTable::default().optional_string("aws_region", location.aws_region.as_deref());
    if let Some(place) = &location.coordinates {
        let coordinates = InlineTable::default()
            .value("latitude", degrees(&place.latitude))
            .value("longitude", degrees(&place.longitude));
        inline = inline.value("coordinates", coordinates.to_toml());
    }
    if let Some(bias) = location.bias.filter(|bias| *bias != 0) {
        inline = inline.value("bias", bias);
    }
    inline.to_toml()
}

/// Degrees as a number. What is none stands as a text, so that the configuration tells of it.
fn degrees(text: &str) -> String {
    match text.trim().parse::<f64>() {
        Ok(degrees) if degrees.is_finite() => format!("{degrees:?}"),
        _ => quote(text),
    }
}

/// The name of a record set, for people.
fn told_name(set: &ResourceRecordSet) -> &str {
    set.name.trim_end_matches('.')
}

/// An owner name relative to its zone, with the API's escapes but for the wildcard's.
fn relative(name: &str, apex: &str) -> String {
    let name = wildcard(name.trim_end_matches('.'));
    if name.eq_ignore_ascii_case(apex) {
        return "@".to_owned();
    }
    let split = name.len().checked_sub(apex.len() + 1).filter(|at| {
        name.is_char_boundary(*at)
            && name[*at..].starts_with('.')
            && name[at + 1..].eq_ignore_ascii_case(apex)
    });
    match split {
        // A host that is called so is not the zone's top.
        Some(at) if &name[..at] != "@" => name[..at].to_owned(),
        _ => format!("{name}."),
    }
}

/// A text of Route 53, with three octal digits for an octet, as zone files have it, with three decimal ones. A wildcard
/// stands as itself.
fn plain(text: &str) -> String {
    from_octal_escapes(&wildcard(text)).map(|plain| plain.into_owned()).unwrap_or_else(|_| text.to_owned())
}

/// A text with a wildcard at its beginning, which Route 53 writes as an escape.
fn wildcard(text: &str) -> String {
    match text.strip_prefix("\\052") {
        Some(rest) => format!("*{rest}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_route_53_stay_as_they_are() {
        assert_eq!(relative("\\052.apps.corp.example.", "corp.example"), "*.apps");
        assert_eq!(relative("a\\040b.corp.example.", "corp.example"), "a\\040b");
        assert_eq!(relative("corp.example.", "corp.example"), "@");
        assert_eq!(relative("@.corp.example.", "corp.example"), "@.corp.example.");
        assert_eq!(relative("a.xcorp.example.", "corp.example"), "a.xcorp.example.");
        assert_eq!(plain("\\052.a\\040b.example"), "*.a\\032b.example");
    }
}
