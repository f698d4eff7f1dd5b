//! Private hosted zones and their records.

use std::collections::BTreeMap;

use super::Writer;
use super::toml::Inline;
use crate::import::inventory::RecordSets;
use crate::import::ledger::Spot;
use crate::import::objects::Object;
use crate::import::objects::route53::{HostedZone, ResourceRecordSet};

impl Writer<'_> {
    /// The private zones.
    pub(super) fn hosted_zones(&mut self) {
        let inventory = self.inventory;
        let mut heading = Some("private hosted zones");
        for zone in &inventory.hosted_zones {
            let id = zone.id();
            if !zone.config.private_zone {
                self.ledger.left_out(
                    HostedZone::KIND,
                    &id,
                    "it is public: its names are asked of the internet",
                );
                continue;
            }
            if let Some(heading) = heading.take() {
                self.text.heading(heading);
            }
            self.hosted_zone(&id, zone);
        }
    }

    fn hosted_zone(&mut self, id: &str, zone: &HostedZone) {
        let inventory = self.inventory;
        self.text.table("hosted_zone", zone.config.comment.as_deref().filter(|comment| !comment.is_empty()));
        // Only the real Route 53's ids begin so; its stand-ins make others.
        self.text.maybe("id", Some(id).filter(|id| id.starts_with('Z')));
        let apex = unescaped(zone.name.trim_end_matches('.'));
        self.text.text("name", &apex);
        let mut vpcs: Vec<&String> = Vec::new();
        for vpc in inventory.zone_vpcs.get(id).into_iter().flatten() {
            if !self.knows_vpc(vpc) {
                self.missing_vpc(vpc, &format!("hosted zone {id}"));
            } else if !vpcs.contains(&vpc) {
                vpcs.push(vpc);
            }
        }
        self.text.texts("vpcs", vpcs);
        if !inventory.zone_vpcs.contains_key(id) {
            let call = format!("aws route53 get-hosted-zone --id {id}");
            self.ledger.missing(format!("the VPCs that hosted zone {id} ({apex}) is associated with"), call);
        }
        let sets: Vec<&RecordSets> =
            inventory.record_sets.iter().filter(|sets| sets.zone.as_deref() == Some(id)).collect();
        if sets.is_empty() {
            let call = format!("aws route53 list-resource-record-sets --hosted-zone-id {id}");
            self.ledger.missing(format!("the records of hosted zone {id} ({apex})"), call);
        }
        let records = self.records(&apex, &sets);
        if !records.is_empty() {
            self.text.tables("records", &records);
        }
        self.ledger.written(HostedZone::KIND, id);
    }

    /// The record sets of a zone. Of those with a routing policy one stands for a name and type.
    fn records(&mut self, apex: &str, documents: &[&RecordSets]) -> Vec<Inline> {
        let mut chosen: BTreeMap<(String, &str), Vec<&ResourceRecordSet>> = BTreeMap::new();
        let mut order = Vec::new();
        for document in documents {
            let spot = Spot { file: document.file, at: document.at.start };
            for set in &document.sets {
                let name = relative(&set.name, apex);
                // Route 53 makes these, and so does plustwo.
                if name == "@" && matches!(set.record_type.as_str(), "SOA" | "NS") {
                    continue;
                }
                if let Some(policy) = policy(set) {
                    let message = format!(
                        "{} {} has a {policy} routing policy: one record set of it is written",
                        unescaped(set.name.trim_end_matches('.')),
                        set.record_type
                    );
                    self.ledger.note(Some(spot), message);
                }
                let key = (name, set.record_type.as_str());
                let of_name = chosen.entry(key.clone()).or_default();
                if of_name.is_empty() {
                    order.push(key);
                }
                of_name.push(set);
            }
        }
        let of = |key| chosen.get(key).and_then(|sets| first_choice(sets)).map(|set| (key, set));
        order.iter().filter_map(of).map(|((name, _), set)| record(name, set)).collect()
    }
}

/// The routing policy of a record set, if it has one.
fn policy(set: &ResourceRecordSet) -> Option<&'static str> {
    set.set_identifier.as_ref()?;
    Some(match set {
        ResourceRecordSet { weight: Some(_), .. } => "weighted",
        ResourceRecordSet { failover: Some(_), .. } => "failover",
        ResourceRecordSet { multi_value_answer: Some(true), .. } => "multivalue answer",
        ResourceRecordSet { region: Some(_), .. } => "latency",
        _ => "geographic",
    })
}

/// The record set that answers most: the primary one, else the one of the greatest weight, else the first.
fn first_choice<'s>(sets: &[&'s ResourceRecordSet]) -> Option<&'s ResourceRecordSet> {
    let primary = sets.iter().find(|set| set.failover.as_deref() == Some("PRIMARY"));
    // Of equal weights the first.
    let heaviest = || sets.iter().rev().max_by_key(|set| set.weight);
    primary.or_else(heaviest).copied()
}

/// A record set as it is written.
fn record(name: &str, set: &ResourceRecordSet) -> Inline {
    let inline = Inline::default().text("name", name).text("type", &set.record_type);
    if let Some(alias) = &set.alias_target {
        return inline.text("alias", &unescaped(alias.dns_name.trim_end_matches('.')));
    }
    let inline = match set.ttl {
        Some(ttl) => inline.plain("ttl", ttl),
        None => inline,
    };
    let values: Vec<String> = set.resource_records.iter().map(|record| record.value.clone()).collect();
    inline.texts("values", &values)
}

/// An owner name relative to its zone.
fn relative(name: &str, apex: &str) -> String {
    let name = unescaped(name.trim_end_matches('.'));
    if name.eq_ignore_ascii_case(apex) {
        return "@".to_owned();
    }
    let split = name.len().checked_sub(apex.len() + 1).filter(|at| {
        name.is_char_boundary(*at)
            && name[*at..].starts_with('.')
            && name[at + 1..].eq_ignore_ascii_case(apex)
    });
    match split {
        Some(at) => name[..at].to_owned(),
        None => format!("{name}."),
    }
}

/// A name with Route 53's escapes, `\052` with three octal digits, as zone files have them: the character itself, or
/// three decimal digits.
fn unescaped(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        let digits = rest.get(at + 1..at + 4).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match digits {
            Some(octet) => {
                match octet {
                    b'.' | b'\\' => plain.extend(['\\', char::from(octet)]),
                    octet if octet.is_ascii_graphic() => plain.push(char::from(octet)),
                    octet => plain.push_str(&format!("\\{octet:03}")),
                }
                rest = &rest[at + 4..];
            }
            None => {
                plain.push('\\');
                rest = &rest[at + 1..];
            }
        }
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_route_53_are_written_as_zone_files_have_them() {
        assert_eq!(unescaped("\\052.apps.corp.example"), "*.apps.corp.example");
        assert_eq!(unescaped("a\\040b.example"), "a\\032b.example");
        assert_eq!(unescaped("a\\056b.example"), "a\\.b.example");
        assert_eq!(relative("\\052.apps.corp.example.", "corp.example"), "*.apps");
        assert_eq!(relative("corp.example.", "corp.example"), "@");
        assert_eq!(relative("a.xcorp.example.", "corp.example"), "a.xcorp.example.");
    }
}
