//! Answering: the only floor with DNS sockets.
//!
//! ```text
//!  bytes ──► door (udp, tcp) ──► Engine::answer ──► Query::parse ──► who asks, from where
//!                                                                        │
//!            door ◄── encode ◄── annotate ◄── resolve (decide, egress) ◄─┘
//!                        │
//!                        └──► observe (one event)
//! ```
//!
//! A door knows sockets and no DNS; the engine knows DNS and no sockets.

pub mod annotate;
pub mod bind;
mod chaos;
pub mod inherit;
pub mod tcp;
pub mod udp;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ipnet::IpNet;

use crate::dns::{
    Annotations, Answer, Class, ClientSubnet, Ede, Query, Rcode, RecordType, Rejected, encode,
    encode_turn_away, udp_limit,
};
use crate::net::host;
pub use crate::observe::Transport;
use crate::observe::{DropReason, Lookups, Observer, QueryEvent};
use crate::resolve::{Outcome, Silent, Source, resolve};
use crate::world::{Live, Vantage, ViewId, World};

/// The largest message that TCP carries, in octets (RFC 1035 4.2.2).
const MAX_TCP_MESSAGE: usize = 65_535;

/// How many rotations are kept apart. Names that share one do no harm.
const ROTATIONS: usize = 4096;

/// Where a message came from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Who sent it.
    pub peer: SocketAddr,
    /// The address it was sent to.
    pub local: IpAddr,
    /// What carried it.
    pub transport: Transport,
}

/// One listener, as the engine and the metrics know it.
#[derive(Clone, Debug)]
pub struct Door {
    /// Its address as configured: its identity over reloads.
    pub address: SocketAddr,
    /// The same as text, the metric label `server`.
    pub label: Arc<str>,
}

impl Door {
    /// The door of a listener.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, label: address.to_string().into() }
    }
}

/// Answers messages. One for all doors; nothing in it blocks.
#[derive(Debug)]
pub struct Engine {
    live: Arc<Live>,
    observer: Arc<Observer>,
    rotations: Box<[AtomicU32]>,
    hasher: foldhash::fast::RandomState,
}

/// What the engine makes of a query before it is encoded.
struct Turn {
    outcome: Outcome,
    vantage: Option<Vantage>,
    client: IpNet,
    annotations: Annotations,
    /// Whether it is a look-up that counts. CHAOS questions are not.
    counts: bool,
}

impl Engine {
    /// An engine over the living world.
    pub fn new(live: Arc<Live>, observer: Arc<Observer>) -> Self {
        let rotations = (0..ROTATIONS).map(|_| AtomicU32::new(0)).collect();
        Self { live, observer, rotations, hasher: foldhash::fast::RandomState::default() }
    }

    /// Who hears of everything that is answered.
    pub fn observer(&self) -> &Arc<Observer> {
        &self.observer
    }

    /// The world that answers now.
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// The whole life of a query: answers one message into `out`. False means: say nothing.
    pub fn answer(
        &self,
        door: &Door,
        message: &[u8],
        origin: &Origin,
        lookups: Option<&mut Lookups>,
        out: &mut Vec<u8>,
    ) -> bool {
        let started = Instant::now();
        out.clear();
        let world = self.live.load(); // one generation for the whole query
        let query = match Query::parse(message) {
            Ok(query) => query,
            Err(rejected) => return self.turn_away(door, origin, &rejected, out),
        };
        let at = SystemTime::now();
        let Some(turn) = self.turn(&world, door, origin, &query, at) else {
            self.observer.dropped(&door.label, origin.transport, DropReason::DnsSupportOff);
            return false;
        };
        let limit = match origin.transport {
            Transport::Udp => udp_limit(&query, world.answers.max_udp_payload),
            Transport::Tcp => MAX_TCP_MESSAGE,
        };
        let rotation = self.next_rotation(&query);
        let encoded = encode(&query, &turn.outcome.answer, &turn.annotations, limit, rotation, out);
        if out.is_empty() {
            return false;
        }
        if turn.counts {
            let event = QueryEvent {
                world: &world,
                server: &door.label,
                transport: origin.transport,
                peer: origin.peer,
                id: query.id,
                question: &query.question,
                client: turn.client,
                vantage: turn.vantage,
                outcome: &turn.outcome,
                truncated: encoded.truncated,
                rotation,
                request_octets: message.len(),
                response_octets: out.len(),
                elapsed: started.elapsed(),
                at,
            };
            self.observer.observe(&event, lookups);
        } else {
            self.observer.chaos(&door.label, origin.transport, origin.peer);
        }
        true
    }

    /// Whether a question still becomes an answer. Nobody asked it, so it is not counted.
    pub fn is_alive(&self) -> bool {
        /// `whoami.plustwo. CH TXT`, one question in a bare message.
        const WHOAMI: &[u8] = b"\0\0\x01\0\0\x01\0\0\0\0\0\0\x06whoami\x07plustwo\0\0\x10\0\x03";
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let origin = Origin { peer: SocketAddr::new(here, 0), local: here, transport: Transport::Udp };
        let door = Door::new(origin.peer);
        let world = self.live.load();
        let Ok(query) = Query::parse(WHOAMI) else { return false };
        let Some(turn) = self.turn(&world, &door, &origin, &query, SystemTime::now()) else { return false };
        let mut out = Vec::new();
        encode(&query, &turn.outcome.answer, &turn.annotations, MAX_TCP_MESSAGE, 0, &mut out);
        !out.is_empty()
    }

    /// Who asks, from where, and what they are told. `None`: nothing.
    fn turn(
        &self,
        world: &World,
        door: &Door,
        origin: &Origin,
        query: &Query,
        at: SystemTime,
    ) -> Option<Turn> {
        let peer = origin.peer.ip().to_canonical();
        let subnet = trusted_subnet(world, peer, query);
        let client = subnet.as_ref().map_or_else(|| host(peer), |subnet| subnet.network);
        let mut annotations = Annotations { client_subnet: subnet, ..Annotations::default() };
        let refused = |ede: Ede, annotations| {
            let answer = Answer::empty(Rcode::REFUSED).with_ede(ede);
            let outcome = Outcome::without_paths(answer, Source::Refused);
            Some(Turn { outcome, vantage: None, client, annotations, counts: true })
        };
        if !world.may_ask(peer) {
            let text =
                format!("client={peer} may not ask: it is in no declared place and not in server.allow");
            return refused(Ede::new(Ede::PROHIBITED, text), annotations);
        }
        let vantage = match world.vantage(client, bound_view(world, door)) {
            Ok(vantage) => vantage,
            Err(nowhere) => return refused(Ede::new(Ede::PROHIBITED, nowhere.to_string()), annotations),
        };
        if query.question.qclass == Class::CH {
            let told = annotate::is_told(world, peer);
            let answer = chaos::answer(world, vantage, client, told, &query.question, seconds(at));
            let outcome = Outcome::without_paths(answer, Source::Refused);
            return Some(Turn { outcome, vantage: Some(vantage), client, annotations, counts: false });
        }
        if let Some(answer) = unanswerable(query) {
            let outcome = Outcome::without_paths(answer, Source::Refused);
            return Some(Turn { outcome, vantage: Some(vantage), client, annotations, counts: true });
        }
        let outcome = resolve(world, vantage, &query.question, seconds(at), &mut Silent)?;
        annotate::add(world, vantage, peer, query, &outcome, seconds(at), &mut annotations);
        Some(Turn { outcome, vantage: Some(vantage), client, annotations, counts: true })
    }

    /// What never becomes a question still shows in the metrics.
    fn turn_away(&self, door: &Door, origin: &Origin, rejected: &Rejected, out: &mut Vec<u8>) -> bool {
        match rejected {
            Rejected::Silence(reason) => {
                self.observer.dropped(&door.label, origin.transport, (*reason).into());
                false
            }
            Rejected::Reply(turned) => {
                encode_turn_away(turned, out);
                self.observer.turned_away(&door.label, origin.transport, origin.peer, turned.rcode);
                !out.is_empty()
            }
        }
    }

    /// Records of an answer rotate from query to query, for each question on its own: a client that asks for
    /// A and AAAA in turn would else see the same order each time.
    /// CHAOS strings are lines of a text and keep their order.
    fn next_rotation(&self, query: &Query) -> usize {
        if query.question.qclass == Class::CH {
            return 0;
        }
        use std::hash::BuildHasher;
        let hash = self.hasher.hash_one(&query.question);
        // The remainder is below ROTATIONS, which fits.
        let slot = &self.rotations[(hash % ROTATIONS as u64) as usize];
        slot.fetch_add(1, Ordering::Relaxed) as usize
    }
}

/// The view that a door is bound to in this world.
fn bound_view(world: &World, door: &Door) -> Option<ViewId> {
    world
        .listeners
        .iter()
        .find(|listener| listener.address == door.address)
        .and_then(|listener| listener.view)
}

/// The EDNS Client Subnet that is believed: from a trusted peer, and not /0, which says nothing.
fn trusted_subnet(world: &World, peer: IpAddr, query: &Query) -> Option<ClientSubnet> {
    let subnet = query.edns.as_ref()?.client_subnet?;
    let trusted = world.trust_client_subnet.iter().any(|prefix| prefix.contains(&peer));
    (trusted && subnet.network.prefix_len() > 0).then_some(subnet)
}

/// The answer to a question that this resolver does not take.
///
/// The VPC resolver is a recursive service only. What it says to queries without RD and to zone transfers
/// is not documented; refusing is this project's reading.
fn unanswerable(query: &Query) -> Option<Answer> {
    let refuse =
        |text: &str| Some(Answer::empty(Rcode::REFUSED).with_ede(Ede::new(Ede::NOT_SUPPORTED, text)));
    let question = &query.question;
    if question.qclass != Class::IN {
        return refuse("only classes IN and CH are served");
    }
    match question.qtype {
        RecordType::AXFR | RecordType::IXFR => refuse("zone transfers are not served"),
        RecordType::ANY => None,
        qtype if qtype.is_meta() => Some(Answer::empty(Rcode::NOTIMP)),
        _ if !query.recursion_desired => {
            refuse("recursion was not desired (RD=0), and nothing else is served")
        }
        _ => None,
    }
}

/// Seconds of the epoch, for TTLs that count down.
pub fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
