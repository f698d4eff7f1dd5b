//! Folders of what the AWS CLI printed: configuration out of them, what is told of them, and what is refused.

mod accounts;
mod circle;
#[path = "../common/mod.rs"]
mod common;
mod export;
mod lab;
mod objects;
mod strange;

use std::fs;
use std::path::{Path, PathBuf};

use common::process::{plustwo, stderr, stdout};
use plustwo::import::{Imported, ImportOptions, import, load, display_name};
use plustwo::world::World;
use plustwo::world::compile::compile;
use proptest::prelude::*;

/// A scenario's folder.
fn folder(name: &str) -> PathBuf {
    Path::new("tests/import").join(name)
}

/// Imports a folder, whose documents are good.
fn imported(folder: &Path) -> Imported {
    let imported = import(folder, &ImportOptions::default()).expect("the folder can be read");
    let loaded = imported.load(&display_name(folder));
    assert!(imported.is_valid(), "{}", loaded.report.render(&loaded.sources));
    imported
}

/// The world of an imported folder, and what was told of its configuration.
fn world(imported: &Imported) -> (Option<World>, String) {
    let mut loaded = imported.load(Path::new("imported"));
    let world = compile(&mut loaded);
    (world, loaded.report.render(&loaded.sources))
}

/// Writes documents into a new folder.
fn written(documents: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in documents {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

/// What is told of documents that are wrong, without the folder's name.
fn refused(documents: &[(&str, &str)]) -> String {
    let dir = written(documents);
    let imported = import(dir.path(), &ImportOptions::default()).unwrap();
    assert!(!imported.is_valid());
    let loaded = imported.load(&display_name(dir.path()));
    loaded.report.render(&loaded.sources).replace(dir.path().to_str().unwrap(), "DIR")
}

/// Two accounts, two regions' worth of what joins VPCs.
#[test]
fn a_hub_becomes_configuration() {
    let imported = imported(&folder("hub"));
    insta::assert_snapshot!("hub", imported.text);
    insta::assert_snapshot!("hub_report", imported.report.to_string());
    insta::assert_snapshot!("hub_findings", world(&imported).1);
}

#[test]
fn documents_of_2018_are_read() {
    let imported = imported(&folder("old"));
    insta::assert_snapshot!("old", format!("{}\n\n{}", imported.text, imported.report));
    let (world, told) = world(&imported);
    assert!(world.is_some(), "{told}");
}

#[test]
fn pages_are_read_in_every_form_the_command_line_leaves_them() {
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
    let texts: Vec<String> = forms.iter().map(|form| imported(written(form).path()).text).collect();
    assert!(texts[0].contains("region = \"eu-west-1\"") && texts[0].contains("subnet-b"), "{}", texts[0]);
    assert!(texts.iter().all(|text| *text == texts[0]));
}

#[test]
fn what_is_cut_off_or_no_document_is_told_with_its_place() {
    let vpcs = r#"{"Vpcs": [{"VpcId": "vpc-a", "CidrBlock": "10.0.0.0/16"}]}"#;
    let records =
        r#"{"ResourceRecordSets": [{"Name": "corp.example.", "Type": "SOA", "ResourceRecords": []}]}"#;
    let zones = r#"{"HostedZones": [
  {"Id": "/hostedzone/ZONE0AAAAAAA", "Name": "corp.example.", "Config": {"PrivateZone": true}},
  {"Id": "/hostedzone/ZONE0BBBBBBB", "Name": "corp.example.", "Config": {"PrivateZone": true}}]}"#;
    let told = refused(&[
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
    insta::assert_snapshot!("refused", told);
}

#[test]
fn the_region_of_a_vpc_may_be_said() {
    let dir = written(&[("v.json", r#"{"Vpcs": [{"VpcId": "vpc-a", "CidrBlock": "10.0.0.0/16"}]}"#)]);
    let path = dir.path().to_str().unwrap();
    let output = plustwo(&["import", "aws", path]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("nothing tells the region of VPC `vpc-a`"), "{}", stderr(&output));
    let output = plustwo(&["import", "aws", path, "--region", "eu-west-1", "--account", "111122223333"]);
    assert!(stdout(&output).contains("region = \"eu-west-1\"\naccount = \"111122223333\""));
}

#[test]
fn a_program_reads_the_report() {
    let output = plustwo(&["import", "aws", "tests/import/hub", "--report", "json", "--out", "/dev/null"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(report["schema_version"], 1);
    assert!(report["missing"].as_array().unwrap().iter().all(|missing| missing["call"].is_string()));
    assert!(output.stdout.is_empty());
}

#[test]
fn no_import_without_its_folder() {
    assert_eq!(plustwo(&["import", "aws", "tests/import/no-such-folder"]).status.code(), Some(3));
    let empty = tempfile::tempdir().unwrap();
    let output = plustwo(&["check", "--config", empty.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("has no files"), "{}", stderr(&output));
}

#[test]
fn the_watch_is_told_of_every_document_and_folder() {
    let source = load(&folder("lab/lab.toml")).unwrap();
    let files: Vec<&Path> = source.loaded.files().collect();
    assert!(
        files.contains(&folder("lab/aws").as_path()) && files.contains(&folder("lab/lab.toml").as_path())
    );
    assert!(files.contains(&folder("lab/aws/describe-vpcs.json").as_path()));
    assert!(source.loaded.sources.modified.is_some());
}

#[test]
fn private_names_of_a_service_are_written_where_the_table_lacks_them() {
    let dir = written(&[(
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
    let text = imported(dir.path()).text;
    assert_eq!(text.matches("private_dns_names").count(), 1, "{text}");
    assert!(text.contains("private_dns_names = [\"teapot.eu-west-1.amazonaws.com\"]"), "{text}");
    assert!(text.contains("dns_record_ip_type = \"dualstack\""), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Files cut anywhere, or with an octet changed: they are read or refused, and what is read compiles or does not.
    #[test]
    fn damaged_documents_never_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<Option<u8>>()), 1..4),
        name in prop::sample::select(vec!["hub", "old", "lab/aws"]),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut files: Vec<(PathBuf, Vec<u8>)> = Vec::new();
        gather(&folder(name), &mut files);
        for (which, place, octet) in damage {
            let count = files.len();
            let text = &mut files[which.index(count)].1;
            if text.is_empty() {
                continue;
            }
            let at = place.index(text.len());
            match octet {
                Some(octet) => text[at] = octet,
                None => text.truncate(at),
            }
        }
        for (path, text) in &files {
            let path = dir.path().join(path.strip_prefix(folder(name)).unwrap());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let imported = import(dir.path(), &ImportOptions::default()).unwrap();
        let mut loaded = imported.load(Path::new("damaged"));
        let is_whole = imported.is_valid();
        prop_assert_eq!(is_whole, !loaded.report.has_errors() || !imported.text.is_empty());
        compile(&mut loaded);
    }
}

/// The files of a folder with their octets.
fn gather(folder: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            gather(&path, files);
        } else {
            files.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
}
