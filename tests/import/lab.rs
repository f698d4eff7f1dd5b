//! The built-in lab out of AWS's documents: every answer is that of `config/lab.toml`.

use std::fs;

use serde_json::Value;

use super::common::process::{plustwo, printed};

/// From everywhere, every name of the README's table, and the lab's own names.
#[test]
fn the_lab_as_aws_tells_it_answers_as_the_lab_does() {
    let readme = fs::read_to_string("README.md").unwrap();
    let table = readme.split("<!-- table -->").nth(1).unwrap().split("<!-- /table -->").next().unwrap();
    let mut names: Vec<&str> = table.lines().filter_map(|line| line.split('`').nth(1)).collect();
    names.extend(["queue.corp.internal", "topics.corp.internal", "a.apps.corp.internal", "www.example.com"]);
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
            printed(&output).lines().map(|line| without_ttls(serde_json::from_str(line).unwrap())).collect()
        };
        let (lab, imported) = (explain("config/lab.toml"), explain("tests/import/lab/lab.toml"));
        assert_eq!(lab.len(), names.len());
        for (one, other) in lab.iter().zip(&imported) {
            assert_eq!(one, other, "from {from}");
        }
        assert_eq!(lab.len(), imported.len());
    }
}

/// The same without TTLs, which count down between two runs.
fn without_ttls(mut told: Value) -> Value {
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
    assert!(printed(&output).contains("6 expectations, 0 differences"), "{}", printed(&output));
}
