//! The whole circle: what an import prints is the world that the folder itself stands for.

use std::fs;
use std::path::Path;

use super::common::process::{plustwo, stderr, stdout};
use super::lab::{readme_names, without_ttls};
use super::{folder, imported, world};

/// The places of a configuration's text: its subnets, its sites that have an address, and outside.
fn places(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let kind = lines.windows(2).filter_map(|pair| {
        let id = pair[0].strip_prefix("id = \"")?.strip_suffix('"')?;
        let is_place = id.starts_with("subnet-") || id.starts_with("site-");
        (is_place && pair[1] != "cidr = []").then_some(id)
    });
    kind.chain(["outside"]).map(str::to_owned).collect()
}

/// What a configuration answers to names, from a place. TTLs count down between two runs.
fn explained(config: &Path, names: &Path, from: &str) -> Vec<serde_json::Value> {
    let [config, names] = [config, names].map(|path| path.to_str().unwrap());
    let output = plustwo(&["explain", "--names", names, "--json", "--from", from, "--config", config]);
    let told = stdout(&output);
    assert!(!told.is_empty(), "from {from}: {}", stderr(&output));
    told.lines().map(|line| without_ttls(serde_json::from_str(line).unwrap())).collect()
}

#[test]
fn the_text_answers_as_the_folder_does() {
    for (name, own) in [
        ("lab/aws", &["db.corp.internal", "a.apps.corp.internal"][..]),
        ("hub", &["near.corp.example", "where.corp.example", "main.corp.example", "a.apps.corp.example"]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let [text, names] = ["made.toml", "names"].map(|file| dir.path().join(file));
        let made =
            plustwo(&["import", "aws", folder(name).to_str().unwrap(), "--out", text.to_str().unwrap()]);
        assert!(made.status.success(), "{}", stderr(&made));
        let mut asked = readme_names();
        asked.extend(own.iter().map(|name| (*name).to_owned()));
        fs::write(&names, asked.join("\n")).unwrap();
        let places = places(&fs::read_to_string(&text).unwrap());
        assert!(places.len() > 3, "{places:?}");
        for from in places {
            let (text, documents) =
                (explained(&text, &names, &from), explained(&folder(name), &names, &from));
            assert_eq!(text.len(), asked.len());
            assert_eq!(text, documents, "{name} from {from}");
        }
    }
}

#[test]
fn the_labs_documents_make_a_world_without_findings() {
    let (world, told) = world(&imported(&folder("lab/aws")));
    assert!(world.is_some());
    assert_eq!(told, "no errors\n");
}
