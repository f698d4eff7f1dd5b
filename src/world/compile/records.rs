//! Records of zones: out of the configuration, out of zone files, and those that every zone has.

use super::*;
use crate::aws::zones as dns;
use crate::config::RecordText;
use crate::dns::{Name, Rdata, RecordType, RrSet, parse_zone_file};

/// TTL of a record set that says none, in seconds.
const DEFAULT_TTL_S: u32 = 300;

/// A zone as Route 53 makes it: its SOA and NS records, and nothing else.
pub(super) fn hosted_zone(apex: Name) -> Zone {
    let soa = &dns::HOSTED_ZONE_SOA;
    let mut zone = zone_with_soa(apex.clone(), soa);
    for server in dns::HOSTED_ZONE_NAME_SERVERS {
        zone.add(apex.clone(), RecordType::NS, dns::HOSTED_ZONE_NS_TTL_S, Rdata::name(&fact_name(server)))
            .expect("a zone's top may have NS records");
    }
    zone
}

/// A zone of names that AWS generates. It has an SOA record for negative answers only.
pub(super) fn internal_zone(apex: Name) -> Zone {
    let mname = apex.prepend(b"ns0").unwrap_or_else(|_| apex.clone());
    let soa = &dns::INTERNAL_SOA;
    let rdata = soa_rdata(&mname, soa);
    Zone::new(apex.clone(), RrSet::new(apex, RecordType::SOA, soa.ttl.min(soa.minimum), vec![rdata]))
}

/// A zone with an SOA record of these values.
pub(super) fn zone_with_soa(apex: Name, soa: &dns::SoaValues) -> Zone {
    let rdata = soa_rdata(&fact_name(soa.mname), soa);
    let negative = RrSet::new(apex.clone(), RecordType::SOA, soa.ttl.min(soa.minimum), vec![rdata.clone()]);
    let mut zone = Zone::new(apex.clone(), negative);
    zone.add(apex, RecordType::SOA, soa.ttl, rdata).expect("a zone's top may have an SOA record");
    zone
}

fn soa_rdata(mname: &Name, soa: &dns::SoaValues) -> Rdata {
    let rname = fact_name(soa.rname);
    Rdata::soa(mname, &rname, soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum)
}

impl Compiler<'_> {
    /// Adds records written in the configuration.
    pub(super) fn records(&mut self, zone: &mut Zone, records: &[RecordText]) {
        for record in records {
            let Some(owner) = self.owner(record, zone.apex()) else { continue };
            let rtype = *record.record_type.value();
            if rtype == RecordType::SOA {
                let message = "a zone's SOA record is not written: Route 53 makes it";
                self.report.error(Code::InvalidRecord, record.record_type.mark(), message);
                continue;
            }
            let ttl = record.ttl.unwrap_or(DEFAULT_TTL_S);
            match (&record.values, &record.alias) {
                (Some(values), None) if !values.is_empty() => {
                    for value in values {
                        self.value(zone, &owner, rtype, ttl, value);
                    }
                }
                (None, Some(alias)) => {
                    if let Err(refused) = zone.add_alias(owner, rtype, alias.value().clone()) {
                        self.report.error(Code::InvalidRecord, record.name.mark(), refused.to_string());
                    }
                }
                _ => {
                    let message =
                        format!("record `{}` has neither values nor an alias, or both", record.name);
                    let error = self.report.error(Code::InvalidRecord, record.name.mark(), message);
                    error.help("write `values = [\"…\"]`, or `alias = \"name\"`");
                }
            }
        }
    }

    /// Adds one value of a record set.
    pub(super) fn value(
        &mut self,
        zone: &mut Zone,
        owner: &Name,
        rtype: RecordType,
        ttl: u32,
        value: &Marked<String>,
    ) {
        match Rdata::parse(rtype, value.value()) {
            Ok(rdata) => {
                if let Err(refused) = zone.add(owner.clone(), rtype, ttl, rdata) {
                    self.report.error(Code::InvalidRecord, value.mark(), refused.to_string());
                }
            }
            Err(error) => {
                let message = format!("`{value}` is no {rtype} data: {error}");
                self.report.error(Code::InvalidRecord, value.mark(), message);
            }
        }
    }

    fn owner(&mut self, record: &RecordText, apex: &Name) -> Option<Name> {
        let text = record.name.value();
        let owner = match text.as_str() {
            "" | "@" => Ok(apex.clone()),
            absolute if absolute.ends_with('.') => Name::parse(absolute),
            relative => Name::parse(relative).and_then(|name| name.concat(apex)),
        };
        match owner {
            Ok(owner) => Some(owner),
            Err(error) => {
                let message = format!("`{text}` is no owner name: {error}");
                self.report.error(Code::InvalidRecord, record.name.mark(), message);
                None
            }
        }
    }

    /// Adds the records of a zone file. Its SOA record is left out, and so are NS records at its top: AWS
    /// makes those of a private zone itself.
    pub(super) fn zone_file(&mut self, zone: &mut Zone, file: &Marked<String>) {
        let Some((path, text)) = self.named_file(file) else { return };
        let apex = zone.apex().clone();
        match parse_zone_file(&text, &apex, DEFAULT_TTL_S) {
            Err(errors) => {
                for error in errors {
                    let message =
                        format!("{}:{}:{}: {}", path.display(), error.line, error.column, error.message);
                    self.report.error(Code::ZoneFile, file.mark(), message);
                }
            }
            Ok(records) => {
                for record in records {
                    let made_by_aws = record.rtype == RecordType::SOA
                        || (record.rtype == RecordType::NS && record.owner == apex);
                    if made_by_aws {
                        continue;
                    }
                    if let Err(refused) = zone.add(record.owner, record.rtype, record.ttl, record.rdata) {
                        let message = format!("{}:{}: {refused}", path.display(), record.line);
                        self.report.error(Code::ZoneFile, file.mark(), message);
                    }
                }
            }
        }
    }
}
