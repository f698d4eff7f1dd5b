//! Nothing is lost without a word: whatever a folder holds, each object of it is counted, as written, as left out with a
//! reason, or as not understood.

use std::fs;
use std::path::{Path, PathBuf};

use plustwo::import::{ImportOptions, import};
use proptest::prelude::*;
use serde_json::Value;

use super::{folder, gather};

/// The folders whose documents are changed.
const FOLDERS: [&str; 3] = ["hub", "old", "lab/aws"];

/// Keys whose value stands beside the objects of a document.
const BESIDE: [&str; 3] = ["VpcId", "TransitGatewayRouteTableId", "AdditionalRoutesAvailable"];

/// What may happen to a document.
#[derive(Clone, Debug)]
enum Change {
    /// An object goes away, and what refers to it stays.
    Remove,
    /// An object stands there twice.
    Repeat,
    /// An object says less.
    Forget(prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        Just(Change::Remove),
        Just(Change::Repeat),
        any::<prop::sample::Index>().prop_map(Change::Forget),
    ]
}

/// The lists of objects in what a file holds.
fn lists(value: &mut Value) -> Vec<&mut Vec<Value>> {
    match value {
        Value::Array(pages) => pages.iter_mut().flat_map(lists).collect(),
        Value::Object(members) => {
            let all = members.iter_mut().filter(|(key, _)| !BESIDE.contains(&key.as_str()));
            all.filter_map(|(_, value)| value.as_array_mut()).filter(|list| !list.is_empty()).collect()
        }
        _ => Vec::new(),
    }
}

/// How many objects a file holds, counted by what its calls print.
fn count(value: &Value) -> usize {
    match value {
        Value::Array(pages) => pages.iter().map(count).sum(),
        // What has one answer: an attribute, the caller.
        Value::Object(members) if members.contains_key("Account") || is_attribute(value) => 1,
        Value::Object(members) => {
            members.iter().filter(|(key, _)| !BESIDE.contains(&key.as_str())).map(in_member).sum()
        }
        _ => 0,
    }
}

fn is_attribute(value: &Value) -> bool {
    value.get("EnableDnsSupport").is_some() || value.get("EnableDnsHostnames").is_some()
}

fn in_member((key, value): (&String, &Value)) -> usize {
    let list = value.as_array().map(Vec::as_slice);
    match (key.as_str(), list) {
        ("NextToken", _) => 0,
        ("Reservations", Some(all)) => all.iter().map(instances).sum(),
        ("TransitGatewayStaticRoutes" | "TransitGatewayPropagations", Some(all)) => {
            all.iter().map(count).sum()
        }
        (_, Some(all)) => all.len(),
        (_, None) => 1,
    }
}

/// How many instances a reservation has; some tools write the instances alone.
fn instances(reservation: &Value) -> usize {
    match reservation.get("Instances") {
        Some(instances) => instances.as_array().map_or(0, Vec::len),
        None => usize::from(reservation.get("InstanceId").is_some()),
    }
}

/// The files of a folder as JSON; what is none stays away.
fn documents(name: &str) -> Vec<(PathBuf, Value)> {
    let mut files = Vec::new();
    gather(&folder(name), &mut files);
    let read = |(path, text): (PathBuf, Vec<u8>)| Some((path, serde_json::from_slice(&text).ok()?));
    files.into_iter().filter_map(read).collect()
}

/// Whether a folder's report accounts for every object of its documents.
fn check(name: &str, documents: &[(PathBuf, Value)]) {
    let dir = tempfile::tempdir().unwrap();
    for (path, value) in documents {
        let path = dir.path().join(path.strip_prefix(folder(name)).unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, value.to_string()).unwrap();
    }
    let report = import(dir.path(), &ImportOptions::default()).unwrap().report;
    let mut counted = 0;
    for (kind, read) in &report.read {
        let told = read.converted + read.skipped.values().sum::<usize>() + read.unsupported;
        assert_eq!(read.total(), told, "{kind} of {name}");
        counted += read.total();
    }
    let held: usize = documents.iter().map(|(_, value)| count(value)).sum();
    assert_eq!(counted, held, "objects of {name}");
    // What is not understood is told, each with its reason.
    let not_understood: usize = report.read.values().map(|read| read.unsupported).sum();
    assert!(report.unsupported.iter().map(|one| one.times).sum::<usize>() >= not_understood);
}

#[test]
fn every_object_is_accounted_for() {
    FOLDERS.iter().for_each(|name| check(name, &documents(name)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn every_object_is_accounted_for_when_others_are_missing(
        name in prop::sample::select(FOLDERS.to_vec()),
        changes in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<prop::sample::Index>(), change()),
            1..8,
        ),
    ) {
        let mut documents = documents(name);
        for (file, list, item, change) in changes {
            let which = file.index(documents.len());
            let mut lists = lists(&mut documents[which].1);
            if lists.is_empty() {
                continue;
            }
            let number = list.index(lists.len());
            let list = &mut *lists[number];
            let at = item.index(list.len());
            match change {
                Change::Remove => {
                    list.remove(at);
                }
                Change::Repeat => list.push(list[at].clone()),
                Change::Forget(field) => {
                    let Some(members) = list[at].as_object_mut().filter(|members| !members.is_empty()) else { continue };
                    let key = members.keys().nth(field.index(members.len())).unwrap().clone();
                    members.remove(&key);
                }
            }
        }
        check(name, &documents);
    }
}

#[test]
fn what_has_no_id_is_not_understood() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("v.json"), r#"{"Vpcs": [{"CidrBlock": "10.0.0.0/16"}]}"#).unwrap();
    let report = import(Path::new(dir.path()), &ImportOptions::default()).unwrap().report;
    assert_eq!(report.read["Vpcs"].unsupported, 1);
    assert_eq!(report.unsupported[0].message, "an object of `Vpcs` has no id");
    assert_eq!(report.unsupported[0].location.as_deref(), Some("v.json:1:11"));
}
