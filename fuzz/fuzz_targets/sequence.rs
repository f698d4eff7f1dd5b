//! A sequence of queries from several views, asked in two orders of an engine with nothing cached.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

#[allow(dead_code, reason = "tests write questions of their own")]
#[path = "../../tests/order/mod.rs"]
mod order;
#[path = "../checks/sequence.rs"]
mod sequence;

/// A runtime in which the static upstreams run, and where they are.
static UPSTREAMS: LazyLock<(Runtime, order::Upstreams)> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let upstreams = runtime.block_on(order::Upstreams::start());
    (runtime, upstreams)
});

fuzz_target!(|octets: &[u8]| {
    let (runtime, upstreams) = &*UPSTREAMS;
    runtime.block_on(sequence::check(upstreams, octets));
});
