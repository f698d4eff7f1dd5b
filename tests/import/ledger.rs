//! Every object in a directory is counted exactly once: as converted, as skipped with a reason, or as
//! unsupported.

use std::fs;
use std::path::{Path, PathBuf};

use plustwo::import::{ImportOptions, import};
use proptest::prelude::*;
use serde_json::Value;

use super::{fixture, read_files};

/// The fixtures whose documents are changed.
const FIXTURES: [&str; 3] = ["hub", "old", "lab/aws"];

/// Keys of metadata in documents.
const METADATA_KEYS: [&str; 3] = ["VpcId", "TransitGatewayRouteTableId", "AdditionalRoutesAvailable"];

/// A change to a document.
#[derive(Clone, Debug)]
enum Change {
    /// Removes an object, but not the references to it.
    Remove,
    /// Duplicates an object.
    Repeat,
    /// Removes a field of an object.
    RemoveField(prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        Just(Change::Remove),
        Just(Change::Repeat),
        any::<prop::sample::Index>().prop_map(Change::RemoveField),
    ]
}

/// Returns the lists of objects in a file.
fn lists(value: &mut Value) -> Vec<&mut Vec<Value>> {
    match value {
        Value::Array(pages) => pages.iter_mut().flat_map(lists).collect(),
        Value::Object(members) => {
            let all = members.iter_mut().filter(|(key, _)| !METADATA_KEYS.contains(&key.as_str()));
            all.filter_map(|(_, value)| value.as_array_mut()).filter(|list| !list.is_empty()).collect()
        }
        _ => Vec::new(),
    }
}

/// Returns the number of objects in a file.
fn count(value: &Value) -> usize {
    match value {
        Value::Array(pages) => pages.iter().map(count).sum(),
        // A VPC attribute or the caller identity: a document without a list.
        Value::Object(members) if members.contains_key("Account") || is_attribute(value) => 1,
        Value::Object(members) => members
            .iter()
            .filter(|(key, _)| !METADATA_KEYS.contains(&key.as_str()))
            .map(count_in_member)
            .sum(),
        _ => 0,
    }
}

fn is_attribute(value: &Value) -> bool {
    value.get("EnableDnsSupport").is_some() || value.get("EnableDnsHostnames").is_some()
}

fn count_in_member((key, value): (&String, &Value)) -> usize {
    let list = value.as_array().map(Vec::as_slice);
    match (key.as_str(), list) {
        ("NextToken", _) => 0,
        ("Reservations", Some(all)) => all.iter().map(count_instances).sum(),
        ("TransitGatewayStaticRoutes" | "TransitGatewayPropagations", Some(all)) => {
            all.iter().map(count).sum()
        }
        (_, Some(all)) => all.len(),
        (_, None) => 1,
    }
}

/// Returns the number of instances in a reservation. Some tools write instances without reservations.
fn count_instances(reservation: &Value) -> usize {
    match reservation.get("Instances") {
        Some(instances) => instances.as_array().map_or(0, Vec::len),
        None => usize::from(reservation.get("InstanceId").is_some()),
    }
}

/// Returns the JSON files of a fixture.
fn documents(name: &str) -> Vec<(PathBuf, Value)> {
    let mut files = Vec::new();
    read_files(&fixture(name), &mut files);
    let parse = |(path, text): (PathBuf, Vec<u8>)| Some((path, serde_json::from_slice(&text).ok()?));
    files.into_iter().filter_map(parse).collect()
}

/// Checks that the import report counts every object of the documents.
fn check_counts(name: &str, documents: &[(PathBuf, Value)]) {
    let dir = tempfile::tempdir().unwrap();
    for (path, value) in documents {
        let path = dir.path().join(path.strip_prefix(fixture(name)).unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, value.to_string()).unwrap();
    }
    let report = import(dir.path(), &ImportOptions::default()).unwrap().report;
    let mut counted = 0;
    for (kind, summary) in &report.read {
        let total = summary.converted + summary.skipped.values().sum::<usize>() + summary.unsupported;
        assert_eq!(summary.total(), total, "{kind} of {name}");
        counted += summary.total();
    }
    let expected: usize = documents.iter().map(|(_, value)| count(value)).sum();
    assert_eq!(counted, expected, "objects of {name}");
    // Every unsupported object is listed with its reason.
    let unsupported: usize = report.read.values().map(|summary| summary.unsupported).sum();
    assert!(report.unsupported.iter().map(|one| one.times).sum::<usize>() >= unsupported);
}

#[test]
fn every_object_is_counted() {
    FIXTURES.iter().for_each(|name| check_counts(name, &documents(name)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn every_object_is_counted_in_changed_documents(
        name in prop::sample::select(FIXTURES.to_vec()),
        changes in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<prop::sample::Index>(), change()),
            1..8,
        ),
    ) {
        let mut documents = documents(name);
        for (file, list, item, change) in changes {
            let file = file.index(documents.len());
            let mut lists = lists(&mut documents[file].1);
            if lists.is_empty() {
                continue;
            }
            let list = list.index(lists.len());
            let list = &mut *lists[list];
            let at = item.index(list.len());
            match change {
                Change::Remove => {
                    list.remove(at);
                }
                Change::Repeat => list.push(list[at].clone()),
                Change::RemoveField(field) => {
                    let Some(members) = list[at].as_object_mut().filter(|members| !members.is_empty()) else { continue };
                    let key = members.keys().nth(field.index(members.len())).unwrap().clone();
                    members.remove(&key);
                }
            }
        }
        check_counts(name, &documents);
    }
}

#[test]
fn objects_without_an_id_are_unsupported() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("v.json"), r#"{"Vpcs": [{"CidrBlock": "10.0.0.0/16"}]}"#).unwrap();
    let report = import(Path::new(dir.path()), &ImportOptions::default()).unwrap().report;
    assert_eq!(report.read["Vpcs"].unsupported, 1);
    assert_eq!(report.unsupported[0].message, "object of `Vpcs` without an id");
    assert_eq!(report.unsupported[0].location.as_deref(), Some("v.json:1:11"));
}
