//! What comes out of the packet cache costs no allocation: an answer, its annotation, what it counts, its record in
//! the query log.
#![allow(unsafe_code, reason = "an allocator that counts has to be one")]

#[path = "lab/mod.rs"]
mod lab;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};

use lab::{A, AAAA, CLIENT_SUBNET, COOKIE, Packet};
use plustwo::serve::{Engine, IncomingMessage, ListenerIdentity, MessageSource, Moment, Progress, Transport};

/// The system's allocator, counting what this thread asks of it.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// How often a thousand hits ask for memory, after the first few have made what stays.
fn allocations(config: &str, message: &[u8]) -> u64 {
    let (loaded, world) = lab::load(&lab::lab(config));
    let engine = Engine::open(&loaded.config, world).expect("an engine");
    let mut worker = engine.worker(1);
    let listener = ListenerIdentity::new(0, "127.0.0.1:5300".parse().expect("an address"));
    let mut out = Vec::with_capacity(4096);
    let mut message = message.to_vec();
    let mut ask = |id: u16, moment| {
        out.clear();
        message[..2].copy_from_slice(&id.to_be_bytes());
        let peer = SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 30_000 + id);
        let source = MessageSource { peer, local: IpAddr::from([127, 0, 0, 1]), transport: Transport::Udp };
        let incoming = IncomingMessage { listener: &listener, message: &message, source: &source, moment };
        let begun = engine.handle(&mut worker, &incoming, &mut out);
        assert!(matches!(begun, Progress::Replied));
        worker.recorder.settle(moment.started);
    };
    let moment = Moment::now();
    (0..10).for_each(|id| ask(id, moment));
    let before = ALLOCATIONS.get();
    (10..1010).for_each(|id| ask(id, moment));
    ALLOCATIONS.get() - before
}

#[test]
fn a_hit_allocates_nothing() {
    let cookie: &[(u16, &[u8])] = &[(COOKIE, &[1, 2, 3, 4, 5, 6, 7, 8])];
    let subnet: &[(u16, &[u8])] = &[(CLIENT_SUBNET, &[0, 1, 32, 0, 10, 0, 2, 7])];
    let asked = [
        ("an endpoint's name", Packet::query(lab::SNS, A).opt(1232, cookie)),
        ("from elsewhere", Packet::query(lab::SNS, A).opt(1232, subnet)),
        ("without EDNS", Packet::query(lab::SNS, A)),
        ("no data", Packet::query(lab::SNS, AAAA).opt(1232, &[])),
        ("a public name", Packet::query("S3.ap-northeast-1.amazonaws.com", A).opt(1232, &[])),
    ];
    for (what, packet) in asked {
        assert_eq!(allocations("", &packet.build()), 0, "{what}");
    }
}

#[test]
fn a_record_of_the_query_log_allocates_a_page_now_and_then() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = dir.path().join("query.log");
    let config = format!("[query_log]\nto = \"file\"\nfile = \"{}\"\n", log.display());
    let pages = allocations(&config, &Packet::query(lab::SNS, A).opt(1232, &[]).build());
    // A thousand records of some seven hundred octets are a dozen pages of sixty thousand.
    assert!(pages < 60, "{pages}");
}
