//! Arbitrary octets as the response of an upstream: parsed, matched against queries, and encoded again.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/response.rs"]
mod response;

fuzz_target!(|message: &[u8]| response::check(message));
