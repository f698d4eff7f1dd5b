//! Arbitrary octets as a message: parsed as a query, and handled by the lab over UDP and TCP.

#![no_main]

use std::net::IpAddr;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use plustwo::config::load_built_in_lab;
use plustwo::dns::{Query, QueryError, udp_limit};
use plustwo::serve::{Engine, IncomingMessage, ListenerIdentity, MessageSource, Moment, Progress, Transport};
use plustwo::world::compile::compile;

/// An engine with the built-in lab, and a listener. Created once and used for every input.
static LAB: LazyLock<(Engine, ListenerIdentity)> = LazyLock::new(|| {
    let mut loaded = load_built_in_lab();
    let world = compile(&mut loaded).expect("the built-in lab compiles");
    let engine = Engine::open(&loaded.config, world).expect("no query log is configured");
    let listener = ListenerIdentity::new(0, "127.0.0.1:5300".parse().expect("an address"));
    (engine, listener)
});

fuzz_target!(|message: &[u8]| {
    let (engine, listener) = &*LAB;
    let parsed = Query::parse(message);
    let mut reply = Vec::new();
    for transport in [Transport::Udp, Transport::Tcp] {
        let peer = "127.0.0.1:5353".parse().expect("an address");
        let source = MessageSource { peer, local: IpAddr::from([127, 0, 0, 1]), transport };
        // The first reply is not cached, the second one is inserted into the packet cache, the third one
        // comes from it.
        let mut lengths = [0; 3];
        let mut progress = Progress::Dropped;
        for length in &mut lengths {
            reply.clear();
            let incoming = IncomingMessage { listener, message, source: &source, moment: Moment::now() };
            progress = engine.handle(&mut engine.shared_worker(), &incoming, &mut reply);
            *length = reply.len();
        }
        assert_eq!(lengths[0], lengths[2], "the reply from the packet cache");
        let answered = matches!(progress, Progress::Replied);
        assert_eq!(answered, !reply.is_empty());
        let limit = match &parsed {
            Ok(query) if transport == Transport::Udp => udp_limit(query.edns.as_ref().map(|edns| edns.payload), 1232),
            Ok(_) => 65_535,
            Err(QueryError::Reject(_)) => message.len(),
            Err(QueryError::Discard(_)) => 0,
        };
        assert!(reply.len() <= limit, "{} octets where {limit} are allowed", reply.len());
        if answered {
            assert_eq!(reply[..2], message[..2], "the ID");
            assert_eq!(reply[2] & 0x80, 0x80, "QR");
        }
    }
});
