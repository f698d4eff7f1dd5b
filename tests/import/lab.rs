//! The built-in lab out of AWS's documents: every answer is that of `config/lab.toml`.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use serde_json::Value;

use super::common::Client;
use super::common::process::{DaemonProcess, plustwo, stderr, stdout};
use super::{folder, gather};

/// From everywhere, every name of the README's table, and the lab's own names.
#[test]
fn the_lab_as_aws_tells_it_answers_as_the_lab_does() {
    let mut names = readme_names();
    let own = ["queue.corp.internal", "topics.corp.internal", "a.apps.corp.internal", "www.example.com"];
    names.extend(own.map(str::to_owned));
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
        for (one, other) in lab.iter().zip(&imported) {
            assert_eq!(one, other, "from {from}");
        }
        assert_eq!(lab.len(), imported.len());
    }
}

/// The names of the README's table.
pub fn readme_names() -> Vec<String> {
    let readme = fs::read_to_string("README.md").unwrap();
    let table = readme.split("<!-- table -->").nth(1).unwrap().split("<!-- /table -->").next().unwrap();
    table.lines().filter_map(|line| line.split('`').nth(1)).map(str::to_owned).collect()
}

/// The same without TTLs, which count down between two runs.
pub fn without_ttls(mut told: Value) -> Value {
    for key in ["answers", "authority"] {
        for record in told[key].as_array_mut().into_iter().flatten() {
            record["ttl"] = Value::Null;
        }
    }
    told
}

#[test]
fn the_lab_as_aws_tells_it_meets_the_labs_expectations() {
    let output = plustwo(&["check", "--config", "tests/import/lab/lab.toml"]);
    assert!(stdout(&output).contains("6 expectations, 0 differences"), "{}", stdout(&output));
}

/// A copy of the lab's folder, on free ports.
fn copy(dir: &Path) -> String {
    let mut files = Vec::new();
    gather(&folder("lab"), &mut files);
    for (path, text) in files {
        let path = dir.join(path.strip_prefix(folder("lab")).unwrap());
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
fn a_changed_document_reloads_and_a_broken_one_keeps_the_old_world() {
    let dir = tempfile::tempdir().unwrap();
    let mut served = DaemonProcess::start(&copy(dir.path()));
    let client = Client::new(served.dns.parse().unwrap(), [127, 0, 1, 1].into());
    let answers = |address: &str| {
        let found = client.query("db.corp.internal", "A").addresses();
        assert_eq!(found, [address.parse::<IpAddr>().unwrap()]);
    };
    answers("10.0.1.20");
    let records = dir.path().join("aws/list-resource-record-sets.json");
    let good = fs::read_to_string(&records).unwrap();
    fs::write(&records, good.replace("10.0.1.20", "10.0.1.21")).unwrap();
    served.signal("-HUP");
    served.wait_for("Reloaded.");
    answers("10.0.1.21");
    fs::write(&records, &good[..good.len() / 2]).unwrap();
    served.signal("-HUP");
    let told = served.wait_for("the old world stays.");
    assert!(told.iter().any(|line| line.contains("list-resource-record-sets.json:")), "{told:?}");
    answers("10.0.1.21");
}

#[test]
fn a_folder_alone_is_a_configuration() {
    let address = ["explain", "--address", "10.0.100.10", "--from", "subnet-isolated-a"];
    let output = plustwo(&[&address[..], &["--config", "tests/import/lab/aws"]].concat());
    assert!(stdout(&output).contains("interface-endpoint via vpce-ec2"), "{}", stdout(&output));
    assert!(stderr(&output).contains("1 thing missing"), "{}", stderr(&output));
    // What is wrong with it is told at the lines that `plustwo import aws` prints.
    let dir = tempfile::tempdir().unwrap();
    copy(dir.path());
    let subnets = dir.path().join("aws/describe-subnets.json");
    let text = fs::read_to_string(&subnets).unwrap().replace("10.0.3.0/24", "10.9.3.0/24");
    fs::write(&subnets, text).unwrap();
    let aws = dir.path().join("aws");
    let told = stderr(&plustwo(&["check", "--config", aws.to_str().unwrap()]));
    assert!(told.contains("aws (as configuration):35:8: error[outside-cidr]"), "{told}");
    let text = stdout(&plustwo(&["import", "aws", aws.to_str().unwrap()]));
    assert_eq!(text.lines().nth(34), Some("cidr = \"10.9.3.0/24\""));
}
