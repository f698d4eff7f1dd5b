//! The query log: the fields of a Route 53 Resolver query log record, and those of plustwo under one
//! additional key.
//!
//! The order of the keys is AWS's. Fields of a VPC are omitted for a question that was not sent to a VPC's
//! resolver. `srcaddr` is the effective client; the source address of the message is
//! `plustwo.transport_source`.

use std::io::Write as _;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::metrics::unix_seconds;
use super::{Arrival, QueryEvent, Transport};
use crate::dns::RrSet;
use crate::resolve::AddressPath;
use crate::world::{Interface, Vantage, ViewKind, Vpc, World};

/// The record of one question from one location as a template; the parts specific to a query are filled in
/// when it is written. These are, in order: the time, the answers as rotated, `srcaddr`, `srcport`,
/// `transport`, `plustwo.transport_source`, `plustwo.latency_us`.
#[derive(Debug)]
pub(super) struct Template {
    before_time: Box<str>,
    before_answers: Box<str>,
    /// The records of each RRset in the answer section.
    answers: Box<[Box<[Box<str>]>]>,
    before_transport_source: Box<str>,
    before_latency: Box<str>,
    /// From the latency to the end of the line.
    end: Box<str>,
}

/// The fields before the time.
#[derive(Serialize)]
struct VpcFields<'a> {
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vpc_id: Option<&'a str>,
}

/// The fields between the time and the answers.
#[derive(Serialize)]
struct QuestionFields {
    query_name: String,
    query_type: String,
    query_class: String,
    rcode: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AnswerRecord {
    rdata: String,
    #[serde(rename = "Type")]
    rtype: String,
    class: String,
}

/// The IDs of the instance that sent the query and of the endpoint that received it, if known.
#[derive(Default, Serialize)]
struct SourceIds<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolver_endpoint: Option<&'a str>,
}

/// The additional fields before the source address of the message.
#[derive(Serialize)]
struct ClientFields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    view: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<&'a str>,
}

/// The additional fields between the source address of the message and the latency.
#[derive(Serialize)]
struct OutcomeFields<'a> {
    source: &'static str,
    paths: Vec<PathRecord<'a>>,
    /// All distinct reasons of the answer and its paths.
    reasons: Vec<&'static str>,
}

#[derive(Serialize)]
struct PathRecord<'a> {
    address: IpAddr,
    class: &'static str,
    via: Vec<&'a str>,
    reach: &'static str,
    reasons: Vec<&'static str>,
}

impl Template {
    /// Creates the template for a question from a location, which applies to every client there.
    pub(super) fn new(event: &QueryEvent<'_>) -> Self {
        let (world, outcome) = (event.world, event.outcome);
        let place = event.vantage.map(|vantage| world.network.place_name(vantage.place));
        let vpc = event
            .vantage
            .and_then(|vantage| world.names.views[vantage.view].vpc())
            .map(|vpc| &world.network.vpcs[vpc]);
        let vpc_fields = VpcFields {
            version: "1.100000",
            account_id: vpc.and_then(|vpc| vpc.account.as_deref()),
            region: vpc.map(|vpc| vpc.region.as_str()),
            vpc_id: vpc.map(|vpc: &Vpc| &*vpc.id),
        };
        let question_fields = QuestionFields {
            query_name: event.question.qname.to_string(),
            query_type: event.question.qtype.to_string(),
            query_class: event.question.qclass.to_string(),
            rcode: outcome.answer.rcode.to_string(),
        };
        let client_fields = ClientFields {
            view: event.vantage.map(|vantage| &*world.names.views[vantage.view].name),
            place: place.as_deref(),
        };
        let outcome_fields = OutcomeFields {
            source: outcome.source.as_str(),
            paths: outcome.paths.iter().map(path).collect(),
            reasons: outcome.all_reasons().into_iter().map(|reason| reason.as_str()).collect(),
        };
        let source_ids = event.vantage.map(|vantage| source_ids(world, vantage)).unwrap_or_default();
        let client_fields = members(&client_fields);
        let comma = if client_fields.is_empty() { "" } else { "," };
        Self {
            before_time: format!("{{{},\"query_timestamp\":\"", members(&vpc_fields)).into(),
            before_answers: format!("\",{},\"answers\":[", members(&question_fields)).into(),
            answers: outcome.answer.answer.iter().map(records).collect(),
            before_transport_source: format!(
                "\",\"srcids\":{},\"plustwo\":{{{client_fields}{comma}\"transport_source\":\"",
                json(&source_ids)
            )
            .into(),
            before_latency: format!("\",{},\"latency_us\":", members(&outcome_fields)).into(),
            end: format!(",\"cache\":{}}}}}\n", event.cached).into(),
        }
    }

    /// Writes the record of one query: a JSON object and a line terminator.
    pub(super) fn write(
        &self,
        arrival: &Arrival<'_>,
        latency: Duration,
        time: &Timestamp,
        line: &mut Vec<u8>,
    ) {
        line.extend_from_slice(self.before_time.as_bytes());
        line.extend_from_slice(time.text.as_bytes());
        line.extend_from_slice(self.before_answers.as_bytes());
        self.write_answers(arrival.rotation, line);
        line.extend_from_slice(b"],\"srcaddr\":\"");
        write_ip(arrival.client.addr(), line);
        line.extend_from_slice(b"\",\"srcport\":\"");
        write_number(arrival.peer.port().into(), line);
        line.extend_from_slice(b"\",\"transport\":\"");
        line.extend_from_slice(transport(arrival.transport).as_bytes());
        line.extend_from_slice(self.before_transport_source.as_bytes());
        write_ip(arrival.peer.ip(), line);
        line.extend_from_slice(self.before_latency.as_bytes());
        write_number(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX), line);
        line.extend_from_slice(self.end.as_bytes());
    }

    /// Writes the answer section in the order in which it is sent.
    fn write_answers(&self, rotation: usize, line: &mut Vec<u8>) {
        let mut is_first = true;
        for records in &self.answers {
            let (before, from) = records.split_at(rotation.checked_rem(records.len()).unwrap_or(0));
            for record in from.iter().chain(before) {
                if !is_first {
                    line.push(b',');
                }
                is_first = false;
                line.extend_from_slice(record.as_bytes());
            }
        }
    }

    /// Approximate size in octets.
    pub(super) fn size_octets(&self) -> usize {
        let texts = [
            &self.before_time,
            &self.before_answers,
            &self.before_transport_source,
            &self.before_latency,
            &self.end,
        ];
        let records = self.answers.iter().flatten().map(|record| record.len() + size_of::<Box<str>>());
        size_of::<Self>() + texts.iter().map(|text| text.len()).sum::<usize>() + records.sum::<usize>()
    }
}

/// Writes an address; an IPv4-mapped address as IPv4. The standard library's formatter would take as long as
/// the rest of the record.
fn write_ip(ip: IpAddr, line: &mut Vec<u8>) {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            for (index, octet) in ip.octets().into_iter().enumerate() {
                if index > 0 {
                    line.push(b'.');
                }
                write_number(octet.into(), line);
            }
        }
        // Writing to memory cannot fail.
        IpAddr::V6(ip) => drop(write!(line, "{ip}")),
    }
}

/// Writes a number in decimal.
fn write_number(mut number: u64, line: &mut Vec<u8>) {
    // The largest number has 20 digits.
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        // A remainder modulo 10 fits into an octet.
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    line.extend_from_slice(&digits[first..]);
}

/// The members of an object, without its braces.
fn members(value: &impl Serialize) -> String {
    let object = json(value);
    object[1..object.len() - 1].to_owned()
}

fn json(value: &impl Serialize) -> String {
    // Every key is a string, so serialisation cannot fail.
    serde_json::to_string(value).expect("strings and numbers can be serialised")
}

fn records(set: &RrSet) -> Box<[Box<str>]> {
    let record = |rdata: &crate::dns::Rdata| {
        json(&AnswerRecord {
            rdata: rdata.to_text(set.rtype),
            rtype: set.rtype.to_string(),
            class: set.class.to_string(),
        })
        .into()
    };
    set.rdatas.iter().map(record).collect()
}

fn transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "UDP",
        Transport::Tcp => "TCP",
        Transport::Dot => "DOT",
        Transport::Doh => "DOH",
    }
}

fn source_ids(world: &World, vantage: Vantage) -> SourceIds<'_> {
    let instance = match world.network.places[vantage.place].interface {
        Some(Interface::Instance(index)) => Some(&*world.network.instances[index].id),
        _ => None,
    };
    // All inbound endpoints of a VPC have the same view, so the endpoint is known only if there is just one.
    let resolver_endpoint = match world.names.views[vantage.view].kind {
        ViewKind::Inbound(vpc) => {
            let mut endpoints = world.names.inbound_endpoints.iter().filter(|endpoint| endpoint.vpc == vpc);
            endpoints.next().filter(|_| endpoints.next().is_none()).map(|endpoint| &*endpoint.id)
        }
        ViewKind::Vpc(_) | ViewKind::Public => None,
    };
    SourceIds { instance, resolver_endpoint }
}

fn path(path: &AddressPath) -> PathRecord<'_> {
    PathRecord {
        address: path.address,
        class: path.path.class.as_str(),
        via: path.path.via.iter().map(|id| &**id).collect(),
        reach: path.path.reach.as_str(),
        reasons: path.path.reasons.iter().map(|reason| reason.as_str()).collect(),
    }
}

/// A formatted time. It is reused, because most consecutive records fall within the same second.
#[derive(Debug, Default)]
pub(super) struct Timestamp {
    seconds: Option<i64>,
    text: String,
}

impl Timestamp {
    /// Formats a time.
    pub(super) fn set(&mut self, at: SystemTime) {
        let seconds = unix_seconds(at);
        if self.seconds != Some(seconds) {
            self.seconds = Some(seconds);
            self.text = timestamp(seconds);
        }
    }
}

/// Formats a time as UTC to the second, in ISO 8601. Times before 1970 are passed as 0.
fn timestamp(seconds: i64) -> String {
    let (year, month, day) = civil_from_days(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Returns the Gregorian date (year, month, day) of a day number counted from 1970-01-01, which must not be
/// negative.
///
/// Years are treated as starting in March, so that the leap day is the last day of a year: the lengths of
/// months then repeat every five months (153 days), and 400 years always have 146,097 days.
pub(crate) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468; // since 0000-03-01
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_utc_dates() {
        let text = |seconds: u64| {
            let mut time = Timestamp::default();
            time.set(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
            time.text
        };
        assert_eq!(text(0), "1970-01-01T00:00:00Z");
        assert_eq!(text(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(text(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(text(951_868_800), "2000-03-01T00:00:00Z");
        assert_eq!(text(1_795_266_307), "2026-11-21T13:05:07Z");
        assert_eq!(text(4_107_542_399), "2100-02-28T23:59:59Z");
        assert_eq!(text(4_107_542_400), "2100-03-01T00:00:00Z");
        let mut before = Timestamp::default();
        before.set(SystemTime::UNIX_EPOCH - Duration::from_secs(1));
        assert_eq!(before.text, "1970-01-01T00:00:00Z");
    }

    #[test]
    fn numbers_and_addresses_have_their_usual_form() {
        for number in [0, 1, 9, 10, 255, 65_535, 1_000_000, u64::MAX] {
            let mut line = Vec::new();
            write_number(number, &mut line);
            assert_eq!(line, number.to_string().as_bytes());
        }
        for (ip, text) in
            [("10.0.1.255", "10.0.1.255"), ("::ffff:10.0.1.5", "10.0.1.5"), ("2001:db8::1", "2001:db8::1")]
        {
            let mut line = Vec::new();
            write_ip(ip.parse().unwrap(), &mut line);
            assert_eq!(line, text.as_bytes());
        }
    }

    #[test]
    fn consecutive_days_have_consecutive_dates() {
        let mut yesterday = civil_from_days(0);
        for day in 1..200_000 {
            let today = civil_from_days(day);
            let (year, month, date) = yesterday;
            let next_month = if month == 12 { (year + 1, 1, 1) } else { (year, month + 1, 1) };
            assert!(
                today == (year, month, date + 1) || today == next_month && date >= 28,
                "{yesterday:?} {today:?}"
            );
            yesterday = today;
        }
    }
}
