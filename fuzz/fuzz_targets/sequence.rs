//! A sequence of queries from several views, sent in two orders, each to an engine with empty caches.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

#[allow(dead_code, reason = "some parts are used only by tests")]
#[path = "../../tests/order/mod.rs"]
mod order;
#[path = "../checks/sequence.rs"]
mod sequence;

/// The runtime of the static upstreams, and the upstreams.
static UPSTREAMS: LazyLock<(Runtime, order::Upstreams)> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let upstreams = runtime.block_on(order::Upstreams::start());
    (runtime, upstreams)
});

fuzz_target!(|octets: &[u8]| {
    let (runtime, upstreams) = &*UPSTREAMS;
    runtime.block_on(sequence::check(upstreams, octets));
});
