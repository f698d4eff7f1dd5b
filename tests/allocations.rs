//! A hit in the packet cache does not allocate memory: neither for the reply and its annotation nor for
//! metrics and the query log record.
#![allow(unsafe_code, reason = "GlobalAlloc is an unsafe trait")]

#[path = "lab/mod.rs"]
mod lab;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};

use lab::{A, AAAA, CLIENT_SUBNET, COOKIE, Packet};
use plustwo::serve::{Engine, IncomingMessage, ListenerIdentity, MessageSource, Moment, Progress, Transport};

/// The system allocator, with a count of the allocations of each thread.
struct CountingAllocator;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is passed unchanged to the system allocator.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: guaranteed by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: guaranteed by the caller.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: guaranteed by the caller.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// The number of allocations during a thousand hits, after ten queries that fill the caches and buffers.
fn allocations(config: &str, message: &[u8]) -> u64 {
    let (loaded, world) = lab::load(&lab::lab(config));
    let engine = Engine::open(&loaded.config, world).expect("an engine");
    let mut worker = engine.worker(1);
    let listener = ListenerIdentity::new(0, "127.0.0.1:5300".parse().expect("an address"));
    let mut out = Vec::with_capacity(4096);
    let mut message = message.to_vec();
    let mut query = |id: u16, moment| {
        out.clear();
        message[..2].copy_from_slice(&id.to_be_bytes());
        let peer = SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 30_000 + id);
        let source = MessageSource { peer, local: IpAddr::from([127, 0, 0, 1]), transport: Transport::Udp };
        let incoming = IncomingMessage { listener: &listener, message: &message, source: &source, moment };
        let progress = engine.handle(&mut worker, &incoming, &mut out);
        assert!(matches!(progress, Progress::Replied));
        worker.recorder.finish_batch(moment.started);
    };
    let moment = Moment::now();
    (0..10).for_each(|id| query(id, moment));
    let before = ALLOCATIONS.get();
    (10..1010).for_each(|id| query(id, moment));
    ALLOCATIONS.get() - before
}

#[test]
fn a_hit_allocates_nothing() {
    let cookie: &[(u16, &[u8])] = &[(COOKIE, &[1, 2, 3, 4, 5, 6, 7, 8])];
    let subnet: &[(u16, &[u8])] = &[(CLIENT_SUBNET, &[0, 1, 32, 0, 10, 0, 2, 7])];
    let queries = [
        ("an endpoint name", Packet::query(lab::SNS, A).opt(1232, cookie)),
        ("with a client subnet", Packet::query(lab::SNS, A).opt(1232, subnet)),
        ("without EDNS", Packet::query(lab::SNS, A)),
        ("no data", Packet::query(lab::SNS, AAAA).opt(1232, &[])),
        ("a public name", Packet::query("S3.ap-northeast-1.amazonaws.com", A).opt(1232, &[])),
    ];
    for (case, packet) in queries {
        assert_eq!(allocations("", &packet.build()), 0, "{case}");
    }
}

#[test]
fn query_log_records_allocate_only_their_pages() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = dir.path().join("query.log");
    let config = format!("[query_log]\nto = \"file\"\nfile = \"{}\"\n", log.display());
    let pages = allocations(&config, &Packet::query(lab::SNS, A).opt(1232, &[]).build());
    // A thousand records of about 700 octets need twelve pages of about 60,000 octets.
    assert!(pages < 60, "{pages}");
}
