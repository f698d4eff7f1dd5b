//! Import of AWS CLI output: the generated configuration, the import report, and errors in documents.

#[path = "../common/mod.rs"]
mod common;
mod export_script;
mod irregular_documents;
mod lab;
mod ledger;
mod objects;
mod round_trip;

use std::fs;
use std::path::{Path, PathBuf};

use common::process::{plustwo, stderr, stdout};
use plustwo::import::{ImportOptions, Imported, display_name, import, load};
use plustwo::world::World;
use plustwo::world::compile::compile;
use proptest::prelude::*;

/// Returns the directory of a fixture.
fn fixture(name: &str) -> PathBuf {
    Path::new("tests/import").join(name)
}

/// Imports a directory whose documents are valid.
fn import_valid(directory: &Path) -> Imported {
    let imported = import(directory, &ImportOptions::default()).expect("the directory can be read");
    let loaded = imported.load(&display_name(directory));
    assert!(imported.is_valid(), "{}", loaded.report.render(&loaded.sources));
    imported
}

/// Compiles an imported configuration. Returns the world and the rendered diagnostics.
fn compile_world(imported: &Imported) -> (Option<World>, String) {
    let mut loaded = imported.load(Path::new("imported"));
    let world = compile(&mut loaded);
    (world, loaded.report.render(&loaded.sources))
}

/// Writes documents to a new directory.
fn write_documents(documents: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in documents {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

/// Returns the rendered errors of invalid documents, with `DIR` in place of the directory.
fn import_errors(documents: &[(&str, &str)]) -> String {
    let dir = write_documents(documents);
    let imported = import(dir.path(), &ImportOptions::default()).unwrap();
    assert!(!imported.is_valid());
    let loaded = imported.load(&display_name(dir.path()));
    loaded.report.render(&loaded.sources).replace(dir.path().to_str().unwrap(), "DIR")
}

/// A hub network with most kinds of connections between VPCs.
#[test]
fn a_hub_network_is_converted() {
    let imported = import_valid(&fixture("hub"));
    insta::assert_snapshot!("hub", imported.text);
    insta::assert_snapshot!("hub_report", imported.report.to_string());
    insta::assert_snapshot!("hub_findings", compile_world(&imported).1);
}

#[test]
fn documents_from_2018_are_converted() {
    let imported = import_valid(&fixture("old"));
    insta::assert_snapshot!("old", format!("{}\n\n{}", imported.text, imported.report));
    let (world, diagnostics) = compile_world(&imported);
    assert!(world.is_some(), "{diagnostics}");
}

#[test]
fn pages_are_read_from_lists_sequences_and_separate_files() {
    let vpcs = r#"{"Vpcs": [{"VpcId": "vpc-a", "CidrBlock": "10.0.0.0/16", "OwnerId": "111122223333"}]}"#;
    let first = r#"{"Subnets": [{"SubnetId": "subnet-a", "VpcId": "vpc-a", "CidrBlock": "10.0.0.0/24"}], "NextToken": "n"}"#;
    let last = r#"{"Subnets": [{"SubnetId": "subnet-b", "VpcId": "vpc-a", "CidrBlock": "10.0.1.0/24"}]}"#;
    let listed = format!("[{first},\n{last}]");
    let concatenated = format!("{first}\n{last}\n");
    let forms: [&[(&str, &str)]; 3] = [
        &[("eu-west-1/v.json", vpcs), ("eu-west-1/s", &listed)],
        &[("aws_configs/eu-west-1/v.json", vpcs), ("aws_configs/eu-west-1/s.json", &concatenated)],
        &[("eu-west-1/v.json", vpcs), ("eu-west-1/s1.json", first), ("eu-west-1/s2.json", last)],
    ];
    let texts: Vec<String> =
        forms.iter().map(|form| import_valid(write_documents(form).path()).text).collect();
    assert!(texts[0].contains("region = \"eu-west-1\"") && texts[0].contains("subnet-b"), "{}", texts[0]);
    assert!(texts.iter().all(|text| *text == texts[0]));
}

#[test]
fn invalid_documents_are_reported_with_their_locations() {
    let vpcs = r#"{"Vpcs": [{"VpcId": "vpc-a", "CidrBlock": "10.0.0.0/16"}]}"#;
    let records =
        r#"{"ResourceRecordSets": [{"Name": "corp.example.", "Type": "SOA", "ResourceRecords": []}]}"#;
    let zones = r#"{"HostedZones": [
  {"Id": "/hostedzone/ZONE0AAAAAAA", "Name": "corp.example.", "Config": {"PrivateZone": true}},
  {"Id": "/hostedzone/ZONE0BBBBBBB", "Name": "corp.example.", "Config": {"PrivateZone": true}}]}"#;
    let errors = import_errors(&[
        ("cut.json", "{\"Subnets\": [\n  {\"SubnetId\": \"subnet-a\","),
        ("comma.json", "{\"Subnets\": [\n  {\"SubnetId\": \"subnet-a\"},\n]}"),
        ("empty.json", ""),
        ("error.json", "{\"Error\": {\"Code\": \"UnauthorizedOperation\", \"Message\": \"no\"}}"),
        ("entries.json", "{\"Entries\": [{\"Cidr\": \"10.0.0.0/8\"}]}"),
        ("number.json", "{\"Subnets\": [{\"SubnetId\": 7}]}"),
        ("page.json", "{\"RouteTables\": [],\n \"NextToken\": \"more\"}"),
        ("records.json", records),
        ("table.json", "+------+\n| Vpcs |\n"),
        (
            "throttled.json",
            "\nAn error occurred (Throttling) when calling the DescribeVpcs operation: Rate exceeded\n",
        ),
        ("vpcs.json", vpcs),
        ("zones.json", zones),
    ]);
    insta::assert_snapshot!("refused", errors);
}

#[test]
fn region_and_account_can_be_specified_as_options() {
    let dir = write_documents(&[("v.json", r#"{"Vpcs": [{"VpcId": "vpc-a", "CidrBlock": "10.0.0.0/16"}]}"#)]);
    let path = dir.path().to_str().unwrap();
    let output = plustwo(&["import", "aws", path]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("unknown region of VPC `vpc-a`"), "{}", stderr(&output));
    let output = plustwo(&["import", "aws", path, "--region", "eu-west-1", "--account", "111122223333"]);
    assert!(stdout(&output).contains("region = \"eu-west-1\"\naccount = \"111122223333\""));
}

#[test]
fn the_report_is_available_as_json() {
    let output = plustwo(&["import", "aws", "tests/import/hub", "--report", "json", "--out", "/dev/null"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(report["schema_version"], 1);
    assert!(report["missing"].as_array().unwrap().iter().all(|missing| missing["call"].is_string()));
    assert!(output.stdout.is_empty());
}

#[test]
fn missing_and_empty_directories_are_errors() {
    assert_eq!(plustwo(&["import", "aws", "tests/import/no-such-directory"]).status.code(), Some(3));
    let empty = tempfile::tempdir().unwrap();
    let output = plustwo(&["check", "--config", empty.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("contains no files"), "{}", stderr(&output));
}

#[test]
fn every_document_and_directory_is_watched() {
    let source = load(&fixture("lab/lab.toml")).unwrap();
    let files: Vec<&Path> = source.loaded.files().collect();
    assert!(
        files.contains(&fixture("lab/aws").as_path()) && files.contains(&fixture("lab/lab.toml").as_path())
    );
    assert!(files.contains(&fixture("lab/aws/describe-vpcs.json").as_path()));
    assert!(source.loaded.sources.modified.is_some());
}

#[test]
fn private_dns_names_that_the_service_table_lacks_are_written() {
    let dir = write_documents(&[(
        "eu-west-1/all.json",
        r#"{"Vpcs": [{"VpcId": "vpc-a", "CidrBlock": "10.0.0.0/16", "OwnerId": "111122223333"}]}
           {"VpcEndpoints": [
             {"VpcEndpointId": "vpce-1", "VpcEndpointType": "Interface", "VpcId": "vpc-a", "PrivateDnsEnabled": true,
              "ServiceName": "com.amazonaws.eu-west-1.s3"},
             {"VpcEndpointId": "vpce-2", "VpcEndpointType": "Interface", "VpcId": "vpc-a", "PrivateDnsEnabled": true,
              "ServiceName": "com.amazonaws.eu-west-1.teapot"},
             {"VpcEndpointId": "vpce-3", "VpcEndpointType": "Gateway", "VpcId": "vpc-a",
              "ServiceName": "com.amazonaws.eu-west-1.s3", "DnsOptions": {"DnsRecordIpType": "dualstack"}}]}
           {"ServiceDetails": [
             {"ServiceName": "com.amazonaws.eu-west-1.s3", "ServiceType": [{"ServiceType": "Interface"}],
              "PrivateDnsNames": [{"PrivateDnsName": "s3.eu-west-1.amazonaws.com"}]},
             {"ServiceName": "com.amazonaws.eu-west-1.teapot", "ServiceType": [{"ServiceType": "Interface"}],
              "PrivateDnsNames": [{"PrivateDnsName": "teapot.eu-west-1.amazonaws.com"}]}]}"#,
    )]);
    let text = import_valid(dir.path()).text;
    assert_eq!(text.matches("private_dns_names").count(), 1, "{text}");
    assert!(text.contains("private_dns_names = [\"teapot.eu-west-1.amazonaws.com\"]"), "{text}");
    assert!(text.contains("dns_record_ip_type = \"dualstack\""), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Files that are truncated, or have a byte changed, either cause errors or are imported. Neither the
    /// import nor the compilation may panic.
    #[test]
    fn damaged_documents_never_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<Option<u8>>()), 1..4),
        name in prop::sample::select(vec!["hub", "old", "lab/aws"]),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut files: Vec<(PathBuf, Vec<u8>)> = Vec::new();
        read_files(&fixture(name), &mut files);
        for (file, position, byte) in damage {
            let count = files.len();
            let text = &mut files[file.index(count)].1;
            if text.is_empty() {
                continue;
            }
            let at = position.index(text.len());
            match byte {
                Some(byte) => text[at] = byte,
                None => text.truncate(at),
            }
        }
        for (path, text) in &files {
            let path = dir.path().join(path.strip_prefix(fixture(name)).unwrap());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let imported = import(dir.path(), &ImportOptions::default()).unwrap();
        let mut loaded = imported.load(Path::new("damaged"));
        let is_valid = imported.is_valid();
        prop_assert_eq!(is_valid, !loaded.report.has_errors() || !imported.text.is_empty());
        compile(&mut loaded);
    }
}

/// Adds the files of a directory, with their contents, to `files`.
fn read_files(directory: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            read_files(&path, files);
        } else {
            files.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
}
