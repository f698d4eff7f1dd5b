//! Record sets in Route 53 JSON: the output of `aws route53 list-resource-record-sets`, and change batches.
//!
//! They become the same [`RecordText`]s as in TOML, with marks relative to their own file.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::recovery::without_rust_types;
use super::source::{FromConfigStr, Mark, Marked};
use super::v1::{Failover, GeoCoordinates, GeoLocation, GeoProximityLocation, RecordProperties, RecordText};
use crate::dns::{Name, ZoneFileError, from_octal_escapes};

/// Record sets of one file.
#[derive(Debug)]
pub struct RecordSets {
    /// The record sets, in order. Their marks are positions in the file.
    pub records: Vec<RecordText>,
    /// For positions.
    pub lines: LineStarts,
}

/// The offsets of line starts.
#[derive(Debug)]
pub struct LineStarts(Vec<usize>);

impl LineStarts {
    /// Finds the lines of a text.
    fn new(text: &str) -> Self {
        let feeds = text.bytes().enumerate().filter(|(_, octet)| *octet == b'\n');
        Self(std::iter::once(0).chain(feeds.map(|(feed, _)| feed + 1)).collect())
    }

    /// Line and column of an octet, counted from 1.
    pub fn line_column(&self, at: usize) -> (usize, usize) {
        let line = self.0.partition_point(|start| *start <= at);
        (line, at - self.0[line - 1] + 1)
    }

    /// The octet at a line and column as counted by `serde_json`.
    fn octet(&self, line: usize, column: usize) -> usize {
        self.0.get(line.saturating_sub(1)).copied().unwrap_or_default() + column.saturating_sub(1)
    }
}

/// The contents of a file: one of two lists.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document<'a> {
    /// The list of record sets.
    #[serde(borrow)]
    resource_record_sets: Option<Vec<&'a RawValue>>,
    /// The changes of a change batch.
    #[serde(borrow)]
    changes: Option<Vec<&'a RawValue>>,
    /// Whether the list continues on another page.
    is_truncated: Option<bool>,
    /// Where the list continues, in the AWS CLI's form.
    next_token: Option<IgnoredAny>,
}

/// A change in a batch.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Change<'a> {
    /// The action.
    #[serde(borrow)]
    action: Cow<'a, str>,
    /// The record set.
    #[serde(borrow)]
    resource_record_set: &'a RawValue,
}

/// A record set (Route 53 API, `ResourceRecordSet`). Fields that do not affect answers are ignored.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RecordSet {
    name: String,
    r#type: String,
    #[serde(rename = "TTL")]
    ttl: Option<u32>,
    resource_records: Option<Vec<ResourceRecord>>,
    alias_target: Option<AliasTarget>,
    set_identifier: Option<String>,
    weight: Option<i32>,
    region: Option<String>,
    geo_location: Option<Location>,
    geo_proximity_location: Option<Proximity>,
    failover: Option<String>,
    multi_value_answer: Option<bool>,
    health_check_id: Option<String>,
    cidr_routing_config: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ResourceRecord {
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AliasTarget {
    #[serde(rename = "DNSName")]
    dns_name: String,
    #[serde(default)]
    evaluate_target_health: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Location {
    continent_code: Option<String>,
    country_code: Option<String>,
    subdivision_code: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Proximity {
    #[serde(rename = "AWSRegion")]
    aws_region: Option<String>,
    local_zone_group: Option<String>,
    coordinates: Option<CoordinatesEntry>,
    bias: Option<i32>,
}

/// Geographic coordinates, in degrees as text.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CoordinatesEntry {
    latitude: String,
    longitude: String,
}

/// Parses the text of a file.
///
/// # Errors
///
/// All errors, in the order of lines.
pub fn read(text: &str) -> Result<RecordSets, Vec<ZoneFileError>> {
    // Some shells write a byte order mark when output is redirected.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = RecordSetReader {
        text,
        lines: LineStarts::new(text),
        records: Vec::new(),
        seen: HashMap::new(),
        errors: Vec::new(),
    };
    match serde_json::from_str::<Document<'_>>(text) {
        Ok(document) => reader.document(document),
        Err(error) => reader.unreadable(0, text, &error),
    }
    match reader.errors.is_empty() {
        true => Ok(RecordSets { records: reader.records, lines: reader.lines }),
        false => Err(reader.errors),
    }
}

/// The state of parsing a file.
struct RecordSetReader<'a> {
    text: &'a str,
    lines: LineStarts,
    records: Vec<RecordText>,
    /// The record sets so far: their index, by name, type and set identifier.
    seen: HashMap<(String, String, Option<String>), usize>,
    errors: Vec<ZoneFileError>,
}

impl RecordSetReader<'_> {
    /// Reports an error at an octet.
    fn error(&mut self, at: usize, message: impl Into<String>) {
        let (line, column) = self.lines.line_column(at);
        self.errors.push(ZoneFileError { line, column, message: message.into() });
    }

    /// Reports an error of `serde_json` in a part that starts at an octet.
    fn unreadable(&mut self, base: usize, part: &str, error: &serde_json::Error) {
        let within = LineStarts::new(part).octet(error.line(), error.column());
        let message = error.to_string();
        // The position is reported separately, relative to the file.
        let what = message.rsplit_once(" at line ").map_or(message.as_str(), |(what, _)| what);
        let message = if error.is_eof() {
            format!("unexpected end of JSON: {what}; the file may be truncated")
        } else if error.is_syntax() {
            format!("invalid JSON: {what}")
        } else {
            format!("invalid Route 53 document: {}", without_rust_types(what))
        };
        self.error((base + within).min(self.text.len()), message);
    }

    /// The offset of a part within the text.
    fn base(&self, part: &RawValue) -> usize {
        part.get().as_ptr() as usize - self.text.as_ptr() as usize
    }

    fn document(&mut self, document: Document<'_>) {
        if document.is_truncated == Some(true) || document.next_token.is_some() {
            let message = "incomplete list of record sets: it has another page; fetch it with pagination and without \
                           `--max-items`";
            self.error(0, message);
        }
        match (document.resource_record_sets, document.changes) {
            (Some(sets), None) => sets.into_iter().for_each(|set| self.record_set(set, false)),
            (None, Some(changes)) => changes.into_iter().for_each(|change| self.change(change)),
            (Some(_), Some(_)) => {
                self.error(0, "the file has both `ResourceRecordSets` and `Changes`: expected one of them");
            }
            (None, None) => {
                let message = "expected `ResourceRecordSets` (the output of `aws route53 list-resource-record-sets`) or \
                               `Changes` (a change batch)";
                self.error(0, message);
            }
        }
    }

    fn change(&mut self, part: &RawValue) {
        let base = self.base(part);
        let change: Change<'_> = match serde_json::from_str(part.get()) {
            Ok(change) => change,
            Err(error) => return self.unreadable(base, part.get(), &error),
        };
        match &*change.action {
            "CREATE" => self.record_set(change.resource_record_set, false),
            "UPSERT" => self.record_set(change.resource_record_set, true),
            other => {
                let message = format!(
                    "unsupported action `{other}`: the change batch is applied to an empty zone, so only `CREATE` and `UPSERT` \
                     are valid"
                );
                self.error(base, message);
            }
        }
    }

    /// Adds a record set; a duplicate replaces the first one or is an error.
    fn record_set(&mut self, part: &RawValue, replaces: bool) {
        let base = self.base(part);
        let mark = Mark::new(base..base + part.get().len());
        let written: RecordSet = match serde_json::from_str(part.get()) {
            Ok(set) => set,
            Err(error) => return self.unreadable(base, part.get(), &error),
        };
        let label = written.name.clone();
        // The same name can be written in several ways: `*` and `\052`, `A` and `a`.
        let plain = from_octal_escapes(&written.name).ok().and_then(|text| Name::parse(&text).ok());
        let name = plain.map_or_else(|| written.name.clone(), |name| name.to_string());
        let key = (name, written.r#type.to_ascii_uppercase(), written.set_identifier.clone());
        match record(written, mark) {
            Ok(record) => match self.seen.get(&key) {
                Some(index) if replaces => self.records[*index] = record,
                Some(_) => {
                    let (_, rtype, _) = key;
                    self.error(base, format!("duplicate record set `{label}` {rtype}"));
                }
                None => {
                    self.seen.insert(key, self.records.len());
                    self.records.push(record);
                }
            },
            Err(problems) => {
                for problem in problems {
                    self.error(base, format!("record set `{label}`: {problem}"));
                }
            }
        }
    }
}

/// A record set as in TOML, or all its errors.
fn record(written: RecordSet, mark: Mark) -> Result<RecordText, Vec<String>> {
    // Exhaustive, so that a new field must be handled.
    let RecordSet {
        name,
        r#type,
        ttl,
        resource_records,
        alias_target,
        set_identifier,
        weight,
        region,
        geo_location,
        geo_proximity_location,
        failover,
        multi_value_answer,
        health_check_id,
        cidr_routing_config,
    } = written;
    let mut problems = Vec::new();
    if cidr_routing_config.is_some() {
        problems.push("`CidrRoutingConfig`: private hosted zones do not support IP-based routing".to_owned());
    }
    if resource_records.is_some() && alias_target.is_none() && ttl.is_none() {
        problems.push("missing `TTL`, which `ResourceRecords` requires".to_owned());
    }
    let failover = match failover.as_deref() {
        None => None,
        Some("PRIMARY") => Some(Failover::Primary),
        Some("SECONDARY") => Some(Failover::Secondary),
        Some(other) => {
            problems.push(format!("invalid `Failover` `{other}`: expected `PRIMARY` or `SECONDARY`"));
            None
        }
    };
    let evaluate_target_health = alias_target.as_ref().is_some_and(|alias| alias.evaluate_target_health);
    let marked = |text: String| Marked::new(text, mark);
    let record_type = read_text(&r#type, mark, &mut problems);
    let region = region.and_then(|region| read_text(&region, mark, &mut problems));
    let alias = alias_target.and_then(|alias| target(&alias.dns_name, &mut problems));
    let near = geo_proximity_location.map(|near| proximity(near, mark, &mut problems));
    let Some(record_type) = record_type.filter(|_| problems.is_empty()) else { return Err(problems) };
    let more = RecordProperties {
        evaluate_target_health,
        set_identifier: set_identifier.map(marked),
        weight,
        region,
        geo_location: geo_location.map(|at| {
            let Location { continent_code, country_code, subdivision_code } = at;
            GeoLocation { continent_code, country_code, subdivision_code }
        }),
        geo_proximity_location: near,
        failover,
        multi_value_answer: multi_value_answer.unwrap_or(false),
        health_check_id: health_check_id.map(marked),
    };
    Ok(RecordText {
        name: marked(if name.ends_with('.') { name } else { name + "." }),
        record_type,
        ttl,
        values: resource_records.map(|records| records.into_iter().map(|one| marked(one.value)).collect()),
        alias: alias.map(|alias| Marked::new(alias, mark)),
        properties: more.into_boxed(),
    })
}

/// A value that is a string.
fn read_text<T: FromConfigStr>(text: &str, mark: Mark, problems: &mut Vec<String>) -> Option<Marked<T>> {
    match text.parse() {
        Ok(value) => Some(Marked::new(value, mark)),
        Err(error) => {
            problems.push(error.to_string());
            None
        }
    }
}

/// The name of an alias target.
fn target(text: &str, problems: &mut Vec<String>) -> Option<Name> {
    let name =
        from_octal_escapes(text).and_then(|text| Name::parse(&text).map_err(|error| error.to_string()));
    match name {
        Ok(name) => Some(name),
        Err(error) => {
            problems.push(format!("`DNSName` `{text}`: {error}"));
            None
        }
    }
}

fn proximity(written: Proximity, mark: Mark, problems: &mut Vec<String>) -> GeoProximityLocation {
    let Proximity { aws_region, local_zone_group, coordinates, bias } = written;
    let mut degrees = |text: &str| match text.trim().parse::<f64>() {
        Ok(degrees) => degrees,
        Err(_) => {
            problems.push(format!("`Coordinates`: invalid number of degrees `{text}`"));
            0.0
        }
    };
    let coordinates = coordinates.map(|place| GeoCoordinates {
        latitude: degrees(&place.latitude),
        longitude: degrees(&place.longitude),
    });
    let aws_region = aws_region.and_then(|region| read_text(&region, mark, problems));
    GeoProximityLocation { aws_region, local_zone_group, coordinates, bias: bias.unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn errors(text: &str) -> Vec<(usize, usize, String)> {
        let errors = read(text).expect_err("the document is invalid");
        errors.into_iter().map(|error| (error.line, error.column, error.message)).collect()
    }

    #[test]
    fn output_of_the_aws_cli_is_parsed() {
        let text = r#"{
  "ResourceRecordSets": [
    { "Name": "\\052.example.com.", "Type": "A", "TTL": 60, "ResourceRecords": [{ "Value": "10.0.0.1" }] },
    { "Name": "lb.example.com", "Type": "A", "SetIdentifier": "one", "Weight": 3, "TrafficPolicyInstanceId": "x",
      "AliasTarget": { "HostedZoneId": "Z1", "DNSName": "dualstack.lb.example.", "EvaluateTargetHealth": true } },
    { "Name": "near.example.com.", "Type": "TXT", "TTL": 1, "ResourceRecords": [{ "Value": "\"x\"" }],
      "SetIdentifier": "two", "GeoProximityLocation": { "Coordinates": { "Latitude": "1.5", "Longitude": "-2" } } }
  ]
}"#;
        let read = read(text).expect("the output of the AWS CLI");
        let [wild, alias, near] = &read.records[..] else { panic!("{} records", read.records.len()) };
        assert_eq!(wild.name.value(), r"\052.example.com.");
        assert_eq!(read.lines.line_column(wild.name.mark().range().start), (3, 5));
        let more = alias.properties.as_ref().expect("a weight");
        assert_eq!((more.weight, more.evaluate_target_health), (Some(3), true));
        assert_eq!(alias.alias.as_ref().map(ToString::to_string).as_deref(), Some("dualstack.lb.example."));
        assert_eq!(alias.name.value(), "lb.example.com.");
        let near =
            near.properties.as_ref().and_then(|more| more.geo_proximity_location.as_ref()?.coordinates);
        assert_eq!(near, Some(GeoCoordinates { latitude: 1.5, longitude: -2.0 }));
    }

    #[test]
    fn a_change_batch_is_applied_to_an_empty_zone() {
        let set = |action: &str, value: &str| {
            format!(
                r#"{{ "Action": "{action}", "ResourceRecordSet": {{ "Name": "a.example.", "Type": "A", "TTL": 1,
                "ResourceRecords": [{{ "Value": "{value}" }}] }} }}"#
            )
        };
        let batch = |changes: &[String]| format!("{{ \"Changes\": [\n{}\n] }}", changes.join(",\n"));
        let upserted = batch(&[set("CREATE", "10.0.0.1"), set("UPSERT", "10.0.0.2")]);
        let records = read(&upserted).expect("an upsert replaces").records;
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].values.as_ref().unwrap()[0].value(), "10.0.0.2");
        let one_name = upserted.replacen("a.example.", r"\\141.EXAMPLE", 1);
        assert_eq!(read(&one_name).expect("it is the same name").records.len(), 1);
        let wrong = batch(&[set("CREATE", "10.0.0.1"), set("CREATE", "10.0.0.2"), set("DELETE", "10.0.0.1")]);
        let found = errors(&wrong);
        assert_eq!(found.iter().map(|(line, ..)| *line).collect::<Vec<_>>(), [4, 6]);
        assert!(found[0].2.contains("duplicate") && found[1].2.contains("`DELETE`"), "{found:?}");
    }

    #[test]
    fn all_errors_are_reported_with_their_positions() {
        let text = r#"{ "ResourceRecordSets": [
  { "Name": "a.example.", "Type": "BOGUS", "TTL": 1, "ResourceRecords": [] },
  { "Name": "b.example.", "Type": "A",
    "TTL": "soon", "ResourceRecords": [] },
  { "Name": "c.example.", "Type": "A", "ResourceRecords": [], "CidrRoutingConfig": { "LocationName": "*" } }
] }"#;
        let found = errors(text);
        let positions: Vec<_> = found.iter().map(|(line, column, _)| (*line, *column)).collect();
        assert_eq!(positions, [(2, 3), (4, 17), (5, 3), (5, 3)], "{found:?}");
        assert!(found[2].2.contains("IP-based routing") && found[3].2.contains("missing `TTL`"), "{found:?}");
    }

    #[test]
    fn a_truncated_file_is_reported_as_such() {
        let found = errors("{ \"ResourceRecordSets\": [\n  { \"Name\": \"a.exa");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, 2);
        assert!(found[0].2.contains("truncated"), "{found:?}");
        assert!(errors("{ \"ResourceRecordSets\": [], \"NextToken\": \"x\" }")[0].2.contains("incomplete"));
        assert!(errors("{}")[0].2.contains("expected `ResourceRecordSets`"));
        assert!(errors("")[0].2.contains("truncated"));
    }

    proptest! {
        /// A file that is damaged anywhere is parsed or rejected, without a panic.
        #[test]
        fn any_text_is_parsed_or_rejected(at in 0usize..200, with in "[{}\\[\\]\",:a0é\\n\\\\]{0,3}") {
            let whole = r#"{"ResourceRecordSets":[{"Name":"a.é.","Type":"A","TTL":60,"ResourceRecords":[{"Value":"10.0.0.1"}],
                "SetIdentifier":"x","Weight":1}]}"#;
            let at = (0..=at.min(whole.len())).rev().find(|at| whole.is_char_boundary(*at)).unwrap_or(0);
            let _ = read(&whole[..at]);
            let _ = read(&format!("{}{with}{}", &whole[..at], &whole[at..]));
        }
    }
}
