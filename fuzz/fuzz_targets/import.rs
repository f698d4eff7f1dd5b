//! Arbitrary octets as an AWS document in a directory: imported, with every object accounted for.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/import.rs"]
mod import;

fuzz_target!(|document: &[u8]| import::check(document));
