//! Strangers' octets as a message: read as a query, and answered by the lab over UDP and TCP.

#![no_main]

use std::net::IpAddr;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use plustwo::config::load_built_in_lab;
use plustwo::dns::{Query, Rejected, udp_limit};
use plustwo::serve::{Begun, Door, Engine, Incoming, Moment, Origin, Transport};
use plustwo::world::compile::compile;

/// The built-in lab behind a door. Compiled once, asked every time.
static LAB: LazyLock<(Engine, Door)> = LazyLock::new(|| {
    let mut loaded = load_built_in_lab();
    let world = compile(&mut loaded).expect("the built-in lab compiles");
    let engine = Engine::open(&loaded.config, world).expect("no query log, nothing to open");
    let door = Door::new(0, "127.0.0.1:5300".parse().expect("an address"));
    (engine, door)
});

fuzz_target!(|message: &[u8]| {
    let (engine, door) = &*LAB;
    let parsed = Query::parse(message);
    let mut reply = Vec::new();
    for transport in [Transport::Udp, Transport::Tcp] {
        let peer = "127.0.0.1:5353".parse().expect("an address");
        let origin = Origin { peer, local: IpAddr::from([127, 0, 0, 1]), transport };
        // Once as a stranger, once to be kept, once out of the packet cache.
        let mut lengths = [0; 3];
        let mut begun = Begun::Silence;
        for length in &mut lengths {
            reply.clear();
            let incoming = Incoming { door, message, origin: &origin, moment: Moment::now() };
            begun = engine.begin(&mut engine.common(), &incoming, &mut reply);
            *length = reply.len();
        }
        assert_eq!(lengths[0], lengths[2], "what is given again");
        let answered = matches!(begun, Begun::Ready);
        assert_eq!(answered, !reply.is_empty());
        let limit = match &parsed {
            Ok(query) if transport == Transport::Udp => udp_limit(query.edns.as_ref().map(|edns| edns.payload), 1232),
            Ok(_) => 65_535,
            Err(Rejected::Reply(_)) => message.len(),
            Err(Rejected::Silence(_)) => 0,
        };
        assert!(reply.len() <= limit, "{} octets where {limit} are allowed", reply.len());
        if answered {
            assert_eq!(reply[..2], message[..2], "the identifier");
            assert_eq!(reply[2] & 0x80, 0x80, "QR");
        }
    }
});
