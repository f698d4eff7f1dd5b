//! The built-in lab, imported from AWS documents: every answer equals that of `config/lab.toml`.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use serde_json::Value;

use super::common::Client;
use super::common::process::{DaemonProcess, plustwo, stderr, stdout};
use super::{fixture, read_files};

/// Compares the names in the table of the README, and the names of the lab itself, from all locations.
#[test]
fn the_imported_lab_answers_like_the_built_in_lab() {
    let mut names = readme_names();
    let lab_names =
        ["queue.corp.internal", "topics.corp.internal", "a.apps.corp.internal", "www.example.com"];
    names.extend(lab_names.map(str::to_owned));
    names.sort_unstable();
    names.dedup();
    assert!(names.len() > 10, "{names:?}");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("names");
    fs::write(&file, names.join("\n")).unwrap();
    for from in [
        "subnet-private-a",
        "subnet-private-c",
        "subnet-isolated-a",
        "subnet-public-a",
        "subnet-endpoints-a",
        "subnet-endpoints-c",
        "site-office",
        "outside",
    ] {
        let explain = |config: &str| -> Vec<Value> {
            let names = file.to_str().unwrap();
            let output =
                plustwo(&["explain", "--names", names, "--json", "--from", from, "--config", config]);
            stdout(&output).lines().map(|line| without_ttls(serde_json::from_str(line).unwrap())).collect()
        };
        let (lab, imported) = (explain("config/lab.toml"), explain("tests/import/lab/lab.toml"));
        assert_eq!(lab.len(), names.len());
        for (expected, actual) in lab.iter().zip(&imported) {
            assert_eq!(expected, actual, "from {from}");
        }
        assert_eq!(lab.len(), imported.len());
    }
}

/// Returns the names in the table of the README.
pub(crate) fn readme_names() -> Vec<String> {
    let readme = fs::read_to_string("README.md").unwrap();
    let table = readme.split("<!-- table -->").nth(1).unwrap().split("<!-- /table -->").next().unwrap();
    table.lines().filter_map(|line| line.split('`').nth(1)).map(str::to_owned).collect()
}

/// Removes the TTLs from an explanation, since they count down between two runs.
pub(crate) fn without_ttls(mut explanation: Value) -> Value {
    for key in ["answers", "authority"] {
        for record in explanation[key].as_array_mut().into_iter().flatten() {
            record["ttl"] = Value::Null;
        }
    }
    explanation
}

#[test]
fn the_imported_lab_meets_the_expectations_of_the_lab() {
    let output = plustwo(&["check", "--config", "tests/import/lab/lab.toml"]);
    assert!(stdout(&output).contains("6 expectations, 0 differences"), "{}", stdout(&output));
}

/// Copies the fixture of the lab, with free ports. Returns the path of the configuration.
fn copy_lab(dir: &Path) -> String {
    let mut files = Vec::new();
    read_files(&fixture("lab"), &mut files);
    for (path, text) in files {
        let path = dir.join(path.strip_prefix(fixture("lab")).unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = String::from_utf8(text).unwrap();
        fs::write(
            path,
            text.replace("127.0.0.1:5300", "127.0.0.1:0").replace("127.0.0.1:9530", "127.0.0.1:0"),
        )
        .unwrap();
    }
    dir.join("lab.toml").to_str().unwrap().to_owned()
}

#[test]
fn a_reload_reads_changed_documents_and_rejects_invalid_ones() {
    let dir = tempfile::tempdir().unwrap();
    let mut daemon = DaemonProcess::start(&copy_lab(dir.path()));
    let client = Client::new(daemon.dns.parse().unwrap(), [127, 0, 1, 1].into());
    let expect_answer = |address: &str| {
        let addresses = client.query("db.corp.internal", "A").addresses();
        assert_eq!(addresses, [address.parse::<IpAddr>().unwrap()]);
    };
    expect_answer("10.0.1.20");
    let records = dir.path().join("aws/list-resource-record-sets.json");
    let valid = fs::read_to_string(&records).unwrap();
    fs::write(&records, valid.replace("10.0.1.20", "10.0.1.21")).unwrap();
    daemon.signal("-HUP");
    daemon.wait_for("Reloaded.");
    expect_answer("10.0.1.21");
    fs::write(&records, &valid[..valid.len() / 2]).unwrap();
    daemon.signal("-HUP");
    let log = daemon.wait_for("The configuration is invalid; keeping the previous one.");
    assert!(log.iter().any(|line| line.contains("list-resource-record-sets.json:")), "{log:?}");
    expect_answer("10.0.1.21");
}

#[test]
fn a_directory_of_documents_is_a_configuration() {
    let address = ["explain", "--address", "10.0.100.10", "--from", "subnet-isolated-a"];
    let output = plustwo(&[&address[..], &["--config", "tests/import/lab/aws"]].concat());
    assert!(stdout(&output).contains("interface-endpoint via vpce-ec2"), "{}", stdout(&output));
    assert!(stderr(&output).contains("1 missing item"), "{}", stderr(&output));
    // Diagnostics refer to the lines that `plustwo import aws` prints.
    let dir = tempfile::tempdir().unwrap();
    copy_lab(dir.path());
    let subnets = dir.path().join("aws/describe-subnets.json");
    let text = fs::read_to_string(&subnets).unwrap().replace("10.0.3.0/24", "10.9.3.0/24");
    fs::write(&subnets, text).unwrap();
    let aws = dir.path().join("aws");
    let diagnostics = stderr(&plustwo(&["check", "--config", aws.to_str().unwrap()]));
    assert!(diagnostics.contains("aws (generated configuration):35:8: error[outside-cidr]"), "{diagnostics}");
    let text = stdout(&plustwo(&["import", "aws", aws.to_str().unwrap()]));
    assert_eq!(text.lines().nth(34), Some("cidr = \"10.9.3.0/24\""));
}
