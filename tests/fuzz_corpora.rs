//! Every seed of the fuzz targets that are about upstreams, through the same function as in the fuzzer.

#[allow(dead_code, reason = "the other test writes questions of its own")]
mod order;
#[path = "../fuzz/checks/response.rs"]
mod response;
#[path = "../fuzz/checks/sequence.rs"]
mod sequence;

use std::fs;

/// The octets of each seed of a target, with the name of its file.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let dir = format!("fuzz/seeds/{target}");
    let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{dir}: {error}"));
    let mut seeds: Vec<_> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.display().to_string(), fs::read(&path).unwrap())
        })
        .collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "{dir} is empty");
    seeds
}

#[test]
fn every_seed_of_responses_is_read_within_bounds_and_encodes_again() {
    for (path, octets) in seeds("response") {
        println!("{path}");
        response::check(&octets);
        // What is cut off anywhere is read within the same bounds.
        for end in 0..octets.len() {
            response::check(&octets[..end]);
        }
    }
}

#[tokio::test]
async fn the_questions_of_every_seed_are_answered_the_same_in_whatever_order() {
    let upstreams = order::Upstreams::start().await;
    for (path, octets) in seeds("sequence") {
        println!("{path}");
        sequence::check(&upstreams, &octets).await;
    }
}
