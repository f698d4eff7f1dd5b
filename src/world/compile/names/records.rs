//! Records of zones: from the configuration, from zone files and Route 53 JSON, and those that every zone
//! has.

use std::borrow::Cow;

use super::routing::RoutedSetBuilder;
use super::zone_files::{Contents, DEFAULT_TTL_S, ZoneFile, ZoneFileProblem};
use super::*;
use crate::aws::zones as dns;
use crate::config::route53::LineStarts;
use crate::config::{Diagnostic, RecordText};
use crate::dns::{Name, Rdata, RecordType, RrSet, ZoneRecord, from_octal_escapes};
use crate::world::zone::DistinctRecords;

/// The records that Route 53 adds to each zone: stored once for all of them.
pub(super) struct ReservedApexRecords {
    /// The data of the SOA record.
    soa: Arc<[Rdata]>,
    /// The data of the NS records.
    name_servers: Arc<[Rdata]>,
}

impl ReservedApexRecords {
    /// Creates them from the tables of facts.
    pub(super) fn new() -> Self {
        let soa = &dns::HOSTED_ZONE_SOA;
        Self {
            soa: Arc::from([soa_rdata(&fact_name(soa.mname), soa)]),
            name_servers: dns::HOSTED_ZONE_NAME_SERVERS
                .map(|server| Rdata::from_name(&fact_name(server)))
                .into(),
        }
    }

    /// A zone as created by Route 53: its SOA and NS records only.
    pub(super) fn hosted_zone(&self, apex: Name) -> Zone {
        let mut zone = zone_of(apex.clone(), &dns::HOSTED_ZONE_SOA, self.soa.clone());
        let servers = self.name_servers.clone();
        zone.add_set(RrSet::new(apex, RecordType::NS, dns::HOSTED_ZONE_NS_TTL_S, servers))
            .expect("the apex can have NS records");
        zone
    }
}

/// A zone of names that AWS generates. Its SOA record is used only for negative answers.
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
    let soa_set = RrSet::new(apex.clone(), RecordType::SOA, soa.ttl, rdatas);
    let mut zone = Zone::new(apex, soa_set.with_ttl(soa.ttl.min(soa.minimum)));
    zone.add_set(soa_set).expect("the apex can have an SOA record");
    zone
}

fn soa_rdata(mname: &Name, soa: &dns::SoaValues) -> Rdata {
    let rname = fact_name(soa.rname);
    Rdata::soa(mname, &rname, soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum)
}

/// Where record sets are configured, and in which form.
#[derive(Clone, Copy)]
pub(super) enum RecordEntry<'w> {
    /// In the configuration, in the form of the Route 53 API.
    Route53,
    /// In the configuration, in the form of a zone file.
    Master,
    /// In a file of Route 53 JSON: the position of the reference to the file, its path, and its lines.
    Json(Mark, &'w Arc<Path>, &'w LineStarts),
}

/// The position of a record set.
#[derive(Clone)]
pub(super) struct RecordPosition {
    /// In the configuration.
    mark: Mark,
    /// In a referenced file, with line and column.
    within: Option<(Arc<Path>, usize, usize)>,
}

impl RecordEntry<'_> {
    /// The position of a mark.
    pub(super) fn place(self, mark: Mark) -> RecordPosition {
        match self {
            Self::Route53 | Self::Master => RecordPosition { mark, within: None },
            Self::Json(named, path, lines) => {
                let (line, column) = lines.line_column(mark.range().start);
                RecordPosition { mark: named, within: Some((path.clone(), line, column)) }
            }
        }
    }

    /// Converts escapes to those of a zone file.
    fn plain(self, text: &str) -> Result<Cow<'_, str>, String> {
        match self {
            Self::Master => Ok(Cow::Borrowed(text)),
            Self::Route53 | Self::Json(..) => from_octal_escapes(text),
        }
    }
}

impl RecordPosition {
    /// A message, prefixed with the position in the referenced file.
    fn with_position(&self, message: impl Display) -> String {
        match &self.within {
            Some((path, line, column)) => format!("{}:{line}:{column}: {message}", path.display()),
            None => message.to_string(),
        }
    }
}

impl NamesCompiler<'_, '_> {
    /// Reports an invalid record set.
    pub(super) fn wrong_record(&mut self, place: &RecordPosition, message: impl Display) -> &mut Diagnostic {
        let code = if place.within.is_some() { Code::ZoneFile } else { Code::InvalidRecord };
        self.cx.report.error(code, place.mark, place.with_position(message))
    }

    /// Reports a record set that is probably unintended.
    pub(super) fn surprising_record(
        &mut self,
        place: &RecordPosition,
        message: impl Display,
    ) -> &mut Diagnostic {
        self.cx.report.warning(Code::Surprising, place.mark, place.with_position(message))
    }

    /// Adds record sets; those with a routing policy after all are known.
    pub(super) fn records(
        &mut self,
        zone: &mut Zone,
        records: &[RecordText],
        written: RecordEntry<'_>,
        routed: &mut RoutedSetBuilder,
    ) {
        for record in records {
            self.record(zone, record, written, routed);
        }
    }

    /// Adds a record set.
    fn record(
        &mut self,
        zone: &mut Zone,
        record: &RecordText,
        written: RecordEntry<'_>,
        routed: &mut RoutedSetBuilder,
    ) {
        let rtype = *record.record_type.value();
        let Some(owner) = self.owner(record, zone.apex(), written) else { return };
        let from_file = matches!(written, RecordEntry::Json(..));
        if from_file && is_reserved(rtype, &owner, zone.apex()) {
            return;
        }
        if rtype == RecordType::SOA {
            let place = written.place(record.record_type.mark());
            self.wrong_record(&place, "SOA records cannot be declared: Route 53 creates that of the zone");
            return;
        }
        let place = written.place(record.name.mark());
        let Ok(routing) = self.routing(record, written) else { return };
        let more = record.properties.as_deref();
        let check = more.and_then(|more| more.health_check_id.as_ref());
        let unhealthy = check.is_some_and(|id| self.is_unhealthy(id, written));
        let evaluates = more.is_some_and(|more| more.evaluate_target_health);
        match (&record.values, &record.alias) {
            (Some(values), None) if !values.is_empty() => {
                if evaluates {
                    let error = self.wrong_record(&place, "`evaluate_target_health` requires an alias");
                    error.help("remove `evaluate_target_health`, or write `alias = \"name\"`");
                }
                let ttl = record.ttl.unwrap_or(DEFAULT_TTL_S);
                let Some((routing, identifier)) = routing else {
                    if unhealthy {
                        routed.unhealthy(owner.clone(), rtype);
                    }
                    self.values(zone, &owner, rtype, ttl, values, written);
                    return;
                };
                let mut rdatas = DistinctRecords::default();
                for (rdata, _) in self.rdatas(rtype, values, written) {
                    rdatas.insert(&rdata);
                }
                let content = Content::Records(RrSet::new(owner.clone(), rtype, ttl, rdatas.rdatas));
                let set = RoutedSet { identifier, routing, is_healthy: !unhealthy, content };
                routed.add(owner, rtype, set, None, place);
            }
            (None, Some(alias)) => {
                let target = alias.value();
                if matches!(rtype, RecordType::CNAME | RecordType::NS) {
                    let error =
                        self.wrong_record(&place, format!("an alias of type {rtype} is not supported"));
                    error.help(format!("write its values: `values = [\"{target}\"]`"));
                    return;
                }
                if record.ttl.is_some() {
                    let error = self
                        .wrong_record(&place, "an alias cannot have a TTL: the TTL of its target applies");
                    error.help("remove `ttl`");
                }
                let evaluated = evaluates.then(|| target.clone());
                let Some((routing, identifier)) = routing else {
                    if let Err(refused) = zone.add_alias(owner.clone(), rtype, target.clone()) {
                        self.wrong_record(&place, refused);
                    }
                    if unhealthy {
                        routed.unhealthy(owner, rtype);
                    } else if let Some(target) = evaluated {
                        routed.simple_alias(owner, rtype, target);
                    }
                    return;
                };
                let content = Content::Alias(target.clone());
                let set = RoutedSet { identifier, routing, is_healthy: !unhealthy, content };
                routed.add(owner, rtype, set, evaluated, place);
            }
            _ => {
                let message = format!("record `{}` requires either `values` or `alias`", record.name);
                let error = self.wrong_record(&place, message);
                error.help("write `values = [\"…\"]`, or `alias = \"name\"`");
            }
        }
    }

    /// Parses the values of a record set, each with its position.
    fn rdatas(
        &mut self,
        rtype: RecordType,
        values: &[Marked<String>],
        written: RecordEntry<'_>,
    ) -> Vec<(Rdata, Mark)> {
        let mut rdatas = Vec::with_capacity(values.len());
        for value in values {
            let plain = written.plain(value.value());
            let rdata = plain.and_then(|text| Rdata::parse(rtype, &text).map_err(|error| error.to_string()));
            match rdata {
                Ok(rdata) => rdatas.push((rdata, value.mark())),
                Err(error) => {
                    let place = written.place(value.mark());
                    self.wrong_record(&place, format!("invalid {rtype} data `{value}`: {error}"));
                }
            }
        }
        rdatas
    }

    /// Adds the values of a record set.
    pub(super) fn values(
        &mut self,
        zone: &mut Zone,
        owner: &Name,
        rtype: RecordType,
        ttl: u32,
        values: &[Marked<String>],
        written: RecordEntry<'_>,
    ) {
        let rdatas = self.rdatas(rtype, values, written);
        let record = |(rdata, mark)| (ZoneRecord { owner: owner.clone(), ttl, rtype, rdata, line: 0 }, mark);
        let records: Vec<(ZoneRecord, Mark)> = rdatas.into_iter().map(record).collect();
        add_one_set(
            zone,
            records.iter().map(|(record, mark)| (record, *mark)),
            &mut |mark, refused: RecordError| {
                self.wrong_record(&written.place(mark), refused);
            },
        );
    }

    fn owner(&mut self, record: &RecordText, apex: &Name, written: RecordEntry<'_>) -> Option<Name> {
        let text = record.name.value();
        let owner = written.plain(text).and_then(|plain| {
            let owner = match &*plain {
                "" | "@" => Ok(apex.clone()),
                absolute if absolute.ends_with('.') => Name::parse(absolute),
                relative => Name::parse(relative).and_then(|name| name.concat(apex)),
            };
            owner.map_err(|error| error.to_string())
        });
        match owner {
            Ok(owner) => Some(owner),
            Err(error) => {
                let place = written.place(record.name.mark());
                self.wrong_record(&place, format!("invalid owner name `{text}`: {error}"));
                None
            }
        }
    }

    /// Adds the records of a zone file or of Route 53 JSON. Its SOA record and NS records at the apex are
    /// ignored: in a private hosted zone they are AWS's own.
    pub(super) fn zone_file(
        &mut self,
        zone: &mut Zone,
        named: &Marked<String>,
        file: ZoneFile,
        routed: &mut RoutedSetBuilder,
    ) {
        self.cx.named_files.insert(file.path.clone().into_os_string(), file.hash);
        let path = file.path.display();
        match file.contents {
            Err(ZoneFileProblem::Unreadable(error)) => self.cx.unreadable(named, &file.path, &error),
            Err(ZoneFileProblem::Errors(errors)) => {
                for error in errors {
                    let message = format!("{path}:{}:{}: {}", error.line, error.column, error.message);
                    self.cx.report.error(Code::ZoneFile, named.mark(), message);
                }
            }
            Ok(Contents::Records(records)) => add_records(zone, records, |line, refused| {
                self.cx.report.error(Code::ZoneFile, named.mark(), format!("{path}:{line}: {refused}"));
            }),
            Ok(Contents::RecordSets(sets)) => {
                let path = Arc::from(file.path.as_path());
                let written = RecordEntry::Json(named.mark(), &path, &sets.lines);
                self.records(zone, &sets.records, written, routed);
            }
        }
    }
}

/// Adds the records of a zone file, and reports the line of each invalid one.
fn add_records(zone: &mut Zone, mut records: Vec<ZoneRecord>, mut refuse: impl FnMut(usize, RecordError)) {
    let apex = zone.apex().clone();
    records.retain(|record| !is_reserved(record.rtype, &record.owner, &apex));
    let owners = records.chunk_by(|have, record| have.owner == record.owner).count();
    zone.reserve(owners);
    let of_one_set =
        |have: &ZoneRecord, record: &ZoneRecord| have.owner == record.owner && have.rtype == record.rtype;
    for set in records.chunk_by(of_one_set) {
        add_one_set(zone, set.iter().map(|record| (record, record.line)), &mut refuse);
    }
}

/// Whether Route 53 adds this record itself to every private hosted zone.
fn is_reserved(rtype: RecordType, owner: &Name, apex: &Name) -> bool {
    rtype == RecordType::SOA || (rtype == RecordType::NS && owner == apex)
}

/// Adds records of one owner and type together; if that fails, one by one, so that each error is reported
/// with its position.
fn add_one_set<'r, P>(
    zone: &mut Zone,
    records: impl Iterator<Item = (&'r ZoneRecord, P)> + Clone,
    refuse: &mut impl FnMut(P, RecordError),
) {
    let Some((first, _)) = records.clone().next() else { return };
    let (mut all, mut ttl) = (DistinctRecords::default(), first.ttl);
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
