//! Runs every seed of the fuzz targets for upstreams through the same checks as the fuzzer.

#[path = "../fuzz/checks/import.rs"]
mod import;
#[allow(dead_code, reason = "parts are used only by tests/order_independence.rs")]
mod order;
#[path = "../fuzz/checks/response.rs"]
mod response;
#[path = "../fuzz/checks/sequence.rs"]
mod sequence;

use std::fs;

/// Returns the path and content of each seed of a target.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    files(&format!("fuzz/seeds/{target}"))
}

/// Returns the path and content of each file of a directory.
fn files(dir: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{dir}: {error}"));
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
fn every_response_seed_is_parsed_within_bounds_and_encodes_again() {
    for (path, octets) in seeds("response") {
        println!("{path}");
        response::check(&octets);
        // The same is true if it is truncated anywhere.
        for end in 0..octets.len() {
            response::check(&octets[..end]);
        }
    }
}

#[test]
fn every_aws_document_is_imported_alone_although_others_are_missing() {
    for (path, octets) in files("tests/import/lab/aws") {
        println!("{path}");
        import::check(&octets);
        // The same is true if it is truncated.
        for end in (0..octets.len()).step_by(997) {
            import::check(&octets[..end]);
        }
    }
}

#[tokio::test]
async fn the_queries_of_every_seed_have_order_independent_answers() {
    let upstreams = order::Upstreams::start().await;
    for (path, octets) in seeds("sequence") {
        println!("{path}");
        sequence::check(&upstreams, &octets).await;
    }
}
