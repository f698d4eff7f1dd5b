//! Records of zones: out of the configuration, out of zone files, and those that every zone has.

use super::zone_files::{DEFAULT_TTL_S, Trouble, ZoneFile};
use super::*;
use crate::aws::zones as dns;
use crate::config::RecordText;
use crate::dns::{Name, Rdata, RecordType, RrSet, ZoneRecord};
use crate::world::zone::Distinct;

/// What Route 53 puts into each zone that it makes: kept once for all of them.
pub(super) struct MadeByAws {
    /// The data of the SOA record.
    soa: Arc<[Rdata]>,
    /// The data of the NS records.
    name_servers: Arc<[Rdata]>,
}

impl MadeByAws {
    /// As the tables of facts have it.
    pub(super) fn new() -> Self {
        let soa = &dns::HOSTED_ZONE_SOA;
        Self {
            soa: Arc::from([soa_rdata(&fact_name(soa.mname), soa)]),
            name_servers: dns::HOSTED_ZONE_NAME_SERVERS.map(|server| Rdata::name(&fact_name(server))).into(),
        }
    }

    /// A zone as Route 53 makes it: its SOA and NS records, and nothing else.
    pub(super) fn hosted_zone(&self, apex: Name) -> Zone {
        let mut zone = zone_of(apex.clone(), &dns::HOSTED_ZONE_SOA, self.soa.clone());
        let servers = self.name_servers.clone();
        zone.add_set(RrSet::new(apex, RecordType::NS, dns::HOSTED_ZONE_NS_TTL_S, servers))
            .expect("a zone's top may have NS records");
        zone
    }
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
    zone_of(apex, soa, Arc::from([soa_rdata(&fact_name(soa.mname), soa)]))
}

/// A zone with an SOA record of this data.
fn zone_of(apex: Name, soa: &dns::SoaValues, rdatas: Arc<[Rdata]>) -> Zone {
    let standing = RrSet::new(apex.clone(), RecordType::SOA, soa.ttl, rdatas);
    let mut zone = Zone::new(apex, standing.with_ttl(soa.ttl.min(soa.minimum)));
    zone.add_set(standing).expect("a zone's top may have an SOA record");
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
                    self.values(zone, &owner, rtype, ttl, values);
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

    /// Adds the values of a record set.
    pub(super) fn values(
        &mut self,
        zone: &mut Zone,
        owner: &Name,
        rtype: RecordType,
        ttl: u32,
        values: &[Marked<String>],
    ) {
        let mut records = Vec::with_capacity(values.len());
        for value in values {
            match Rdata::parse(rtype, value.value()) {
                Ok(rdata) => {
                    let record = ZoneRecord { owner: owner.clone(), ttl, rtype, rdata, line: 0 };
                    records.push((record, value.mark()));
                }
                Err(error) => {
                    let message = format!("`{value}` is no {rtype} data: {error}");
                    self.report.error(Code::InvalidRecord, value.mark(), message);
                }
            }
        }
        add_one_set(
            zone,
            records.iter().map(|(record, mark)| (record, *mark)),
            &mut |mark, refused: RecordRefused| {
                self.report.error(Code::InvalidRecord, mark, refused.to_string());
            },
        );
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
    pub(super) fn zone_file(&mut self, zone: &mut Zone, written: &Marked<String>, file: ZoneFile) {
        self.named_files.insert(file.path.clone().into_os_string(), file.hash);
        let path = file.path.display();
        match file.records {
            Err(Trouble::Unreadable(error)) => self.unreadable(written, &file.path, &error),
            Err(Trouble::Mistakes(errors)) => {
                for error in errors {
                    let message = format!("{path}:{}:{}: {}", error.line, error.column, error.message);
                    self.report.error(Code::ZoneFile, written.mark(), message);
                }
            }
            Ok(records) => add_records(zone, records, |line, refused| {
                self.report.error(Code::ZoneFile, written.mark(), format!("{path}:{line}: {refused}"));
            }),
        }
    }
}

/// Adds the records of a zone file, and tells the line of each that is refused.
fn add_records(zone: &mut Zone, mut records: Vec<ZoneRecord>, mut refuse: impl FnMut(usize, RecordRefused)) {
    let apex = zone.apex().clone();
    records.retain(|record| !is_made_by_aws(record, &apex));
    let owners = records.chunk_by(|have, record| have.owner == record.owner).count();
    zone.reserve(owners);
    let of_one_set =
        |have: &ZoneRecord, record: &ZoneRecord| have.owner == record.owner && have.rtype == record.rtype;
    for set in records.chunk_by(of_one_set) {
        add_one_set(zone, set.iter().map(|record| (record, record.line)), &mut refuse);
    }
}

/// Whether Route 53 makes this record itself, in every private zone.
fn is_made_by_aws(record: &ZoneRecord, apex: &Name) -> bool {
    record.rtype == RecordType::SOA || (record.rtype == RecordType::NS && record.owner == *apex)
}

/// Adds records of one owner and type at once; if they are refused, one by one, so that each refusal is told
/// with the place of its record.
fn add_one_set<'r, P>(
    zone: &mut Zone,
    records: impl Iterator<Item = (&'r ZoneRecord, P)> + Clone,
    refuse: &mut impl FnMut(P, RecordRefused),
) {
    let Some((first, _)) = records.clone().next() else { return };
    let (mut all, mut ttl) = (Distinct::default(), first.ttl);
    for (record, _) in records.clone() {
        if all.insert(&record.rdata) {
            ttl = ttl.min(record.ttl);
        }
    }
    let is_one = first.rtype != RecordType::CNAME || all.rdatas.len() == 1;
    if is_one && zone.add_set(RrSet::new(first.owner.clone(), first.rtype, ttl, all.rdatas)).is_ok() {
        return;
    }
    for (record, place) in records {
        let added = zone.add(record.owner.clone(), record.rtype, record.ttl, record.rdata.clone());
        if let Err(refused) = added {
            refuse(place, refused);
        }
    }
}
