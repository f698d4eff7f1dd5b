//! Deserialises a document and reports every error, not only the first one.
//!
//! A derived deserialiser stops at its first error. Each error is therefore recorded, the smallest invalid
//! part is pruned from the document, and the rest is deserialised again, until that succeeds or nothing can
//! be pruned.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeArray, DeString, DeTable, DeValue};

use super::diagnostic::{Code, Report};
use super::document::Document;
use super::source::Mark;

/// Maximum number of reported errors per run. A file with more of them has a common cause.
const MAX_ERRORS: usize = 256;

/// The result.
pub(super) struct Recovered<T> {
    /// The value, without the pruned parts. `None` if deserialisation failed nevertheless.
    pub value: Option<T>,
    /// The IDs in pruned parts: references to them are not reported as dangling.
    pub pruned_ids: BTreeSet<String>,
    /// Keys that were pruned, by the start of their table: they are invalid, not missing.
    pub pruned_keys: BTreeSet<(usize, String)>,
}

/// Deserialises a document with error recovery. `required` returns the keys that a table at a path must have.
///
/// Each element of a list of sections is handled on its own, so that the cost of an error does not grow with
/// the document.
pub(super) fn read<T: DeserializeOwned>(
    document: Document<'_>,
    required: &dyn Fn(&[PathSegment]) -> Vec<String>,
    report: &mut Report,
) -> Recovered<T> {
    let mut recovery = ErrorRecovery {
        required,
        report,
        pruned_ids: BTreeSet::new(),
        pruned_keys: BTreeSet::new(),
        errors: 0,
    };
    let mut recovered = DeTable::new();
    for (key, value) in document.into_inner() {
        if let Some(value) = recovery.section::<T>(&key, value) {
            recovered.insert(key, value);
        }
    }
    let value = match recovery.errors {
        ..MAX_ERRORS => T::deserialize(toml::de::Deserializer::from(Spanned::new(0..0, recovered))).ok(),
        _ => None,
    };
    Recovered { value, pruned_ids: recovery.pruned_ids, pruned_keys: recovery.pruned_keys }
}

/// The state of error recovery.
struct ErrorRecovery<'a> {
    /// Returns the keys that a table at a path must have.
    required: &'a dyn Fn(&[PathSegment]) -> Vec<String>,
    /// The report for diagnostics.
    report: &'a mut Report,
    /// The IDs in pruned parts.
    pruned_ids: BTreeSet<String>,
    /// Keys that were pruned, by the start of their table: they are invalid, not missing.
    pruned_keys: BTreeSet<(usize, String)>,
    /// Number of errors found.
    errors: usize,
}

/// A key of a document.
type DocumentKey<'i> = Spanned<DeString<'i>>;

impl ErrorRecovery<'_> {
    /// The value of a top-level key after recovery. `None` if nothing is left of it.
    fn section<'i, T: DeserializeOwned>(
        &mut self,
        key: &DocumentKey<'i>,
        value: Spanned<DeValue<'i>>,
    ) -> Option<Spanned<DeValue<'i>>> {
        let span = value.span();
        let items = match value.into_inner() {
            DeValue::Array(items) if !items.is_empty() => items,
            other => return self.recover::<T>(key, Spanned::new(span, other)),
        };
        let mut left = DeArray::new();
        let mut items = items.into_iter();
        for item in items.by_ref() {
            let mut one = DeArray::new();
            one.push(item);
            // If the list itself was pruned, its key or type is invalid, for all its elements.
            let Some(recovered) = self.recover::<T>(key, Spanned::new(span.clone(), DeValue::Array(one)))
            else {
                let rest = items.map(|item| item.into_inner());
                rest.for_each(|item| collect_ids(&item, &PathSegment::Index(0), &mut self.pruned_ids));
                return None;
            };
            if let DeValue::Array(one) = recovered.into_inner() {
                one.into_iter().for_each(|item| left.push(item));
            }
        }
        Some(Spanned::new(span, DeValue::Array(left)))
    }

    /// The value of a top-level key without its invalid parts. `None` if nothing is left.
    fn recover<'i, T: DeserializeOwned>(
        &mut self,
        key: &DocumentKey<'i>,
        value: Spanned<DeValue<'i>>,
    ) -> Option<Spanned<DeValue<'i>>> {
        let mut table = DeTable::new();
        table.insert(key.clone(), value);
        let mut document = Spanned::new(0..0, table);
        while self.errors < MAX_ERRORS {
            let Err(error) = T::deserialize(toml::de::Deserializer::from(document.clone())) else {
                return document.get_mut().remove(key.get_ref().as_ref());
            };
            self.errors += 1;
            if !self.prune_cause::<T>(&mut document, &error) {
                break;
            }
        }
        None
    }

    /// Reports an error and prunes its cause. Returns false if it cannot be pruned.
    fn prune_cause<T: DeserializeOwned>(
        &mut self,
        document: &mut Document<'_>,
        error: &toml::de::Error,
    ) -> bool {
        let span = error.span().unwrap_or(0..0);
        let message = without_rust_types(error.message().trim_end());
        let Some(found) = find(document.get_ref(), &span) else {
            self.report.error(Code::InvalidValue, Mark::new(span), message);
            return false;
        };
        let found = first_invalid_element::<T>(document, found, &message);
        let mark = Mark::new(found.span.clone().unwrap_or(span));
        let report = &mut *self.report;
        if found.is_key {
            // A misspelt key is not also missing.
            let meant = report_unknown_key(&message, mark, report);
            self.pruned_keys.extend(meant.map(|key| (found.table, key)));
        } else if let Some((word, known)) = parse_unknown(&message, "variant") {
            report_unknown_variant(word, &known, mark, report);
        } else if let Some(key) = missing_key(&message) {
            report_missing_keys(document, &found.path, key, self.required, &self.pruned_keys, mark, report);
        } else {
            report.error(Code::InvalidValue, mark, message);
        }
        if found.path.is_empty() {
            return false;
        }
        if let Some(PathSegment::Key(key)) = found.path.last() {
            self.pruned_keys.insert((found.table, key.clone()));
        }
        prune(document.get_mut(), &found.path, &mut self.pruned_ids);
        true
    }
}

/// One segment of the path from a document's root to a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PathSegment {
    /// Into a table.
    Key(String),
    /// Into a list.
    Index(usize),
}

struct ErrorSite {
    path: Vec<PathSegment>,
    /// Whether the span is that of the key, not the value.
    is_key: bool,
    /// The value's own span, if the error did not have one.
    span: Option<Range<usize>>,
    /// The start of the table that contains the value, or of the value itself at the root.
    table: usize,
}

/// The innermost key or value at a span.
fn find(table: &DeTable<'_>, span: &Range<usize>) -> Option<ErrorSite> {
    if *span == (0..0) {
        return Some(ErrorSite { path: Vec::new(), is_key: false, span: None, table: 0 });
    }
    find_in(table, 0, span, &mut Vec::new())
}

fn find_in(
    table: &DeTable<'_>,
    at: usize,
    span: &Range<usize>,
    path: &mut Vec<PathSegment>,
) -> Option<ErrorSite> {
    for (key, value) in table {
        path.push(PathSegment::Key(key.get_ref().to_string()));
        if key.span() == *span {
            return Some(ErrorSite { path: path.clone(), is_key: true, span: None, table: at });
        }
        if let Some(found) = find_value(value, at, span, path) {
            return Some(found);
        }
        path.pop();
    }
    None
}

fn find_value(
    value: &Spanned<DeValue<'_>>,
    at: usize,
    span: &Range<usize>,
    path: &mut Vec<PathSegment>,
) -> Option<ErrorSite> {
    match value.get_ref() {
        DeValue::Table(table) => {
            if let Some(found) = find_in(table, value.span().start, span, path) {
                return Some(found);
            }
        }
        DeValue::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                path.push(PathSegment::Index(i));
                if let Some(found) = find_value(item, at, span, path) {
                    return Some(found);
                }
                path.pop();
            }
        }
        _ => {}
    }
    (value.span() == *span).then(|| ErrorSite { path: path.clone(), is_key: false, span: None, table: at })
}

/// An error in a list has the span of the whole list. Finds the first element that causes the error on its
/// own: others are found after this one has been pruned.
fn first_invalid_element<T: DeserializeOwned>(
    document: &Document<'_>,
    found: ErrorSite,
    message: &str,
) -> ErrorSite {
    let Some(DeValue::Array(items)) = value_at(document.get_ref(), &found.path) else { return found };
    let fails_with = |kept: Option<usize>| {
        let mut rest = document.clone();
        retain_only(rest.get_mut(), &found.path, kept);
        let error = T::deserialize(toml::de::Deserializer::from(rest)).err();
        error.is_some_and(|error| without_rust_types(error.message().trim_end()) == message)
    };
    // If an empty list causes it too, it is an error of the list or of another part.
    if fails_with(None) {
        return found;
    }
    for (i, item) in items.iter().take(MAX_ERRORS).enumerate() {
        if fails_with(Some(i)) {
            let mut path = found.path.clone();
            path.push(PathSegment::Index(i));
            return ErrorSite { path, span: Some(item.span()), ..found };
        }
    }
    found
}

/// Removes all elements but one, or all, from the list at a path.
fn retain_only(table: &mut DeTable<'_>, path: &[PathSegment], kept: Option<usize>) {
    let mut here = ParentNode::Table(table);
    for step in path {
        let Some(next) = here.step(step) else { return };
        here = next;
    }
    let ParentNode::Array(items) = here else { return };
    for (i, item) in std::mem::replace(items, DeArray::new()).into_iter().enumerate() {
        if Some(i) == kept {
            items.push(item);
        }
    }
}

/// The value at a path.
fn value_at<'a, 'i>(table: &'a DeTable<'i>, path: &[PathSegment]) -> Option<&'a DeValue<'i>> {
    let (first, rest) = path.split_first()?;
    let PathSegment::Key(key) = first else { return None };
    let mut here = table.get(key.as_str())?.get_ref();
    for step in rest {
        here = match (here, step) {
            (DeValue::Table(table), PathSegment::Key(key)) => table.get(key.as_str())?.get_ref(),
            (DeValue::Array(items), PathSegment::Index(i)) => items.get(*i)?.get_ref(),
            _ => return None,
        };
    }
    Some(here)
}

/// Reports serde's `unknown field `foo`, expected one of …`. Returns the key that was probably meant, if one
/// is similar.
fn report_unknown_key(message: &str, mark: Mark, report: &mut Report) -> Option<String> {
    let Some((key, known)) = parse_unknown(message, "field") else {
        report.error(Code::InvalidValue, mark, message);
        return None;
    };
    let error = report.error(Code::UnknownKey, mark, format!("unknown key `{key}`"));
    let near = aws_key(key, &known).or_else(|| nearest(key, &known));
    match near {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None if known.is_empty() => error.help("this table has no keys"),
        None => error.help(format!("the valid keys are: {}", known.join(", "))),
    }
    near.map(str::to_owned)
}

/// Reports serde's `unknown variant `foo`, expected one of …`.
fn report_unknown_variant(value: &str, known: &[&str], mark: Mark, report: &mut Report) {
    let list = known.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ");
    let error =
        report.error(Code::InvalidValue, mark, format!("invalid value `{value}`: expected one of {list}"));
    match renamed(value).filter(|new| known.contains(new)) {
        Some(new) => error.help(format!("`{value}` was renamed to `{new}`")),
        None => {
            if let Some(near) = nearest(value, known) {
                error.help(format!("did you mean `{near}`?"));
            }
        }
    }
}

/// Reports every required key that a table lacks, except those that were pruned.
fn report_missing_keys(
    document: &mut Document<'_>,
    path: &[PathSegment],
    first: &str,
    required: &dyn Fn(&[PathSegment]) -> Vec<String>,
    pruned_keys: &BTreeSet<(usize, String)>,
    mark: Mark,
    report: &mut Report,
) {
    let mut keys = required(path);
    if !keys.iter().any(|key| key == first) {
        keys.push(first.to_owned());
    }
    let table = table_at(document.get_mut(), path);
    for key in keys {
        let present = table.as_ref().is_some_and(|table| table.contains_key(key.as_str()));
        if !present && !pruned_keys.contains(&(mark.range().start, key.clone())) {
            report.error(Code::MissingKey, mark, format!("missing key `{key}`"));
        }
    }
}

/// Prunes the value at a path from its table or list.
fn prune(table: &mut DeTable<'_>, path: &[PathSegment], pruned_ids: &mut BTreeSet<String>) {
    let Some((last, parents)) = path.split_last() else { return };
    let mut here = ParentNode::Table(table);
    for step in parents {
        let Some(next) = here.step(step) else { return };
        here = next;
    }
    let pruned = match (here, last) {
        (ParentNode::Table(table), PathSegment::Key(key)) => table.remove(key.as_str()),
        (ParentNode::Array(items), PathSegment::Index(i)) => remove(items, *i),
        _ => None,
    };
    if let Some(pruned) = pruned {
        collect_ids(pruned.get_ref(), last, pruned_ids);
    }
}

fn remove<'i>(items: &mut DeArray<'i>, index: usize) -> Option<Spanned<DeValue<'i>>> {
    let mut pruned = None;
    for (i, item) in std::mem::replace(items, DeArray::new()).into_iter().enumerate() {
        if i == index {
            pruned = Some(item);
        } else {
            items.push(item);
        }
    }
    pruned
}

/// Records the IDs in a pruned part: values of `id` keys, in it or below it.
fn collect_ids(value: &DeValue<'_>, at: &PathSegment, pruned_ids: &mut BTreeSet<String>) {
    match value {
        DeValue::String(text) if matches!(at, PathSegment::Key(key) if key == "id" || key == "name") => {
            pruned_ids.insert(text.to_string());
        }
        DeValue::Table(table) => {
            for (key, value) in table {
                collect_ids(value.get_ref(), &PathSegment::Key(key.get_ref().to_string()), pruned_ids);
            }
        }
        DeValue::Array(items) => {
            for item in items.iter() {
                collect_ids(item.get_ref(), at, pruned_ids);
            }
        }
        _ => {}
    }
}

enum ParentNode<'a, 'i> {
    Table(&'a mut DeTable<'i>),
    Array(&'a mut DeArray<'i>),
}

impl<'a, 'i> ParentNode<'a, 'i> {
    fn step(self, step: &PathSegment) -> Option<Self> {
        let value = match (self, step) {
            (ParentNode::Table(table), PathSegment::Key(key)) => table.get_mut(key.as_str())?,
            (ParentNode::Array(items), PathSegment::Index(i)) => items.get_mut(*i)?,
            _ => return None,
        };
        match value.get_mut() {
            DeValue::Table(table) => Some(ParentNode::Table(table)),
            DeValue::Array(items) => Some(ParentNode::Array(items)),
            _ => None,
        }
    }
}

fn table_at<'a, 'i>(table: &'a mut DeTable<'i>, path: &[PathSegment]) -> Option<&'a DeTable<'i>> {
    let mut here = ParentNode::Table(table);
    for step in path {
        here = here.step(step)?;
    }
    match here {
        ParentNode::Table(table) => Some(table),
        ParentNode::Array(_) => None,
    }
}

/// A message of serde with the name of an integer type replaced by its range: users know no Rust.
pub(super) fn without_rust_types(message: &str) -> String {
    const TYPES: &[(&str, &str)] = &[
        ("u8", "an integer from 0 to 255"),
        ("u16", "an integer from 0 to 65535"),
        ("u32", "an integer from 0 to 4294967295"),
        ("u64", "an integer from 0"),
        ("usize", "an integer from 0"),
        ("i64", "an integer"),
        ("f64", "a number"),
    ];
    let replaced = TYPES.iter().find_map(|(name, range)| {
        let rest = message.strip_suffix(name)?.strip_suffix("expected ")?;
        Some(format!("{rest}expected {range}"))
    });
    replaced.unwrap_or_else(|| message.to_owned())
}

/// The key in serde's "missing field `x`".
fn missing_key(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.strip_suffix('`')
}

/// The word and the valid words in serde's "unknown field `x`, expected one of `a`, `b`".
fn parse_unknown<'m>(message: &'m str, what: &str) -> Option<(&'m str, Vec<&'m str>)> {
    let rest = message.strip_prefix("unknown ")?.strip_prefix(what)?.strip_prefix(" `")?;
    let (word, expected) = rest.split_once('`')?;
    Some((word, expected.split('`').skip(1).step_by(2).collect()))
}

/// Keys of AWS's APIs, in snake case, whose names differ in the configuration: for each the candidates, of
/// which a table has at most one.
const AWS_KEYS: &[(&str, &[&str])] = &[
    ("availability_zone_name", &["availability_zone"]),
    ("cidr_block", &["cidr"]),
    ("cidr_blocks", &["cidr", "sources"]),
    ("destination_cidr_block", &["destination"]),
    ("destination_ipv6_cidr_block", &["destination"]),
    ("destination_prefix_list_id", &["destination"]),
    ("domain_name", &["domain", "name"]),
    ("egress_only_internet_gateway_id", &["target"]),
    ("enable_dns_hostname", &["enable_dns_hostnames"]),
    ("gateway_id", &["target"]),
    ("group_id", &["id"]),
    ("groups", &["security_groups"]),
    ("hosted_zone_id", &["id"]),
    ("instance_id", &["target", "id"]),
    ("internet_gateway_id", &["internet_gateway"]),
    ("ip_permissions", &["ingress"]),
    ("ip_permissions_egress", &["egress"]),
    ("ip_protocol", &["protocol"]),
    ("ipv6_addresses", &["ipv6_address"]),
    ("ipv6_cidr_block", &["ipv6_cidr"]),
    ("nat_gateway_id", &["target", "id"]),
    ("network_acl_id", &["network_acl", "id"]),
    ("network_interface_id", &["target", "id"]),
    ("owner_id", &["account"]),
    ("prefix_list_id", &["id"]),
    ("private_ip", &["address"]),
    ("private_ip_address", &["address"]),
    ("private_ip_addresses", &["address"]),
    ("public_ip", &["public_address"]),
    ("region_name", &["region"]),
    ("resolver_endpoint_id", &["endpoint", "id"]),
    ("resource_records", &["values"]),
    ("route_table_id", &["route_table", "id"]),
    ("security_group_ids", &["security_groups"]),
    ("service_name", &["service"]),
    ("subnet_id", &["subnet", "id"]),
    ("subnet_ids", &["network_interfaces", "subnets"]),
    ("subnets", &["network_interfaces", "subnet"]),
    ("target_ips", &["targets"]),
    ("transit_gateway_id", &["target", "id"]),
    ("vpc_endpoint_id", &["target", "id"]),
    ("vpc_endpoint_type", &["type"]),
    ("vpc_id", &["vpc", "id"]),
    ("vpc_ids", &["vpcs"]),
    ("vpc_peering_connection_id", &["target", "id"]),
];

/// The configuration's name for a key of an AWS API, if the table has it.
fn aws_key<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    let (_, candidates) = AWS_KEYS.iter().find(|(aws, _)| *aws == key)?;
    candidates.iter().find_map(|candidate| known.iter().find(|known| *known == candidate).copied())
}

/// Values of earlier versions that have a new spelling.
const RENAMED: [(&str, &str); 3] =
    [("asked", "on-request"), ("SG_DENIES_443", "SG_DENIED"), ("NACL_DENIES_443", "NACL_DENIED")];

/// The new spelling of a value that was renamed.
pub(super) fn renamed(value: &str) -> Option<&'static str> {
    RENAMED.iter().find(|(old, _)| *old == value).map(|(_, new)| *new)
}

/// What to write instead of an unknown value, to append to its error message: the new spelling of a renamed
/// one, or the most similar of the known ones. Empty if there is neither.
pub fn correction(value: &str, known: &[&str]) -> String {
    match (renamed(value), nearest(value, known)) {
        (Some(new), _) => format!("; it was renamed to `{new}`"),
        (None, Some(near)) => format!("; did you mean `{near}`?"),
        (None, None) => String::new(),
    }
}

/// The valid word most similar to a misspelt one, if any is similar enough.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = |k: &&&str| edit_distance(word, k);
    let best = known.iter().min_by_key(near)?;
    (edit_distance(word, best) <= 1 + word.len() / 4).then_some(*best)
}

/// A list for a message: complete if short, otherwise its beginning.
pub fn shortened(known: &[&str]) -> String {
    const SHOWN: usize = 12;
    match known.len() {
        0..=SHOWN => known.join(", "),
        more => format!("{} and {} more", known[..SHOWN].join(", "), more - SHOWN),
    }
}

/// Levenshtein distance.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
