//! From an outcome to a reply: what its client is told beside the records, the octets, what the observer hears, and
//! what the packet cache keeps of it.

use super::clients::Standing;
use super::engine::{Begun, Engine};
use super::packet_cache::{Asked, Candidate, Told};
use super::worker::Worker;
use super::{Door, Moment, Origin, Transport, annotate};
use crate::dns::encode::append_option;
use crate::dns::{
    Annotations, Answer, Class, Ede, Encoded, MAX_MESSAGE, OptionCode, Query, Rejected, encode,
    encode_laid_out, encode_turn_away, udp_limit,
};
use crate::observe::{Arrival, Noted, QueryEvent};
use crate::resolve::{Keep, MonotonicSeconds, Occasion, Outcome, Source};
use crate::world::{Vantage, World};

/// Who asked what, and when.
#[derive(Debug)]
pub(super) struct Asker {
    pub query: Query,
    pub origin: Origin,
    pub moment: Moment,
    /// The same as caches measure it.
    pub now: MonotonicSeconds,
    pub request_octets: usize,
    pub standing: Standing,
    /// The random number that was drawn for it.
    pub draw: u64,
    /// Whether a cached answer helped, and nobody had to be asked.
    pub cached: bool,
}

impl Asker {
    /// When it came, with the number drawn for it.
    pub fn occasion(&self) -> Occasion {
        Occasion { now_s: self.now.get(), draw: self.draw }
    }

    /// From where it was asked, if that is a place.
    pub fn vantage(&self) -> Option<Vantage> {
        self.standing.vantage.as_ref().ok().copied()
    }
}

impl Engine {
    /// Encodes an outcome, with what its client is to be told; tells the observer; keeps what may be kept.
    pub(super) fn reply(
        &self,
        world: &World,
        worker: &mut Worker,
        door: &Door,
        asker: &Asker,
        outcome: &Outcome,
        out: &mut Vec<u8>,
    ) -> Begun {
        let Asker { query, origin, .. } = asker;
        let view = asker.vantage().map(|vantage| vantage.view);
        let told = view.and_then(|view| self.denials.told(world, view, &query.question, outcome, asker.now));
        let outcome = told.as_ref().unwrap_or(outcome);
        let annotations = annotations(world, asker, outcome);
        let slot = self.rotation_slot(&query.question.qname, query.question.qtype);
        let rotation = self.turn(slot);
        let base = out.len();
        let limit = limit(world, origin.transport, query.edns.as_ref().map(|edns| edns.payload));
        let encoded =
            encode_laid_out(query, &outcome.answer, &annotations, limit, rotation, &mut worker.layout, out);
        if encoded.length == 0 {
            return Begun::Silence;
        }
        let event = event(world, door, asker, outcome, &encoded, rotation);
        let noted = worker.witness.observe(&event);
        if !encoded.truncated && noted.is_for_every_rotation() {
            keep(world, worker, asker, outcome, &out[base..], (rotation, slot), noted);
        }
        Begun::Ready
    }
}

/// How long a reply may be.
pub(super) fn limit(world: &World, transport: Transport, payload: Option<u16>) -> usize {
    match transport {
        Transport::Udp => udp_limit(payload, world.answers.max_udp_payload),
        Transport::Tcp | Transport::Dot | Transport::Doh => MAX_MESSAGE,
    }
}

/// What a reply carries beside its records.
fn annotations(world: &World, asker: &Asker, outcome: &Outcome) -> Annotations {
    let query = &asker.query;
    let mut annotations = Annotations {
        client_subnet: asker.standing.subnet,
        recursion_denied: asker.standing.vantage.is_err(),
        ..Annotations::default()
    };
    let vantage = asker.vantage().filter(|_| outcome.source != Source::Refused);
    // Without an OPT record there is nothing to carry it in.
    let Some(vantage) = vantage.filter(|_| query.edns.is_some()) else { return annotations };
    let peer = asker.origin.peer.ip().to_canonical();
    let is_told = match annotate::asks(query) {
        true => annotate::is_told_asked(world, peer),
        false => annotate::is_told_unasked(world, peer),
    };
    if is_told {
        annotations.edes = annotate::edes(world, vantage, outcome);
    }
    annotations.option = annotate::option(world, vantage, peer, query, outcome, asker.occasion());
    annotations
}

/// The extended errors of a reply as options in wire form.
fn options(answer: &Answer, edes: &[Ede]) -> Box<[u8]> {
    let mut options = Vec::new();
    for ede in answer.edes().chain(edes) {
        append_option(OptionCode::EDE, &ede.encode(), &mut options);
    }
    options.into()
}

fn event<'e>(
    world: &'e World,
    door: &'e Door,
    asker: &'e Asker,
    outcome: &'e Outcome,
    encoded: &Encoded,
    rotation: usize,
) -> QueryEvent<'e> {
    let Asker { query, origin, .. } = asker;
    QueryEvent {
        arrival: Arrival {
            server: &door.server,
            transport: origin.transport,
            peer: origin.peer,
            id: query.id,
            client: asker.standing.client,
            truncated: encoded.truncated,
            rotation,
            request_octets: asker.request_octets,
            response_octets: encoded.length,
            elapsed: Some(asker.moment.started.elapsed()),
            at: asker.moment.at,
        },
        world,
        question: &query.question,
        vantage: asker.vantage(),
        outcome,
        cached: asker.cached,
    }
}

/// Keeps a reply for the next who asks the same, where that may be.
fn keep(
    world: &World,
    worker: &mut Worker,
    asker: &Asker,
    outcome: &Outcome,
    reply: &[u8],
    (rotation, rotates_by): (usize, usize),
    noted: Noted,
) {
    let query = &asker.query;
    let Some(vantage @ Vantage { view, place }) = asker.vantage() else { return };
    if outcome.keep == Keep::No || query.question.qclass != Class::IN || annotate::asks(query) {
        return;
    }
    let (qtype, recursion_desired) = (query.question.qtype, query.recursion_desired);
    let name = worker.name.set(query.question.qname.as_wire());
    let asked = Asked { view, qtype, recursion_desired, name };
    if !worker.packets.wants(&asked) {
        return;
    }
    let candidate = Candidate {
        generation: world.generation,
        reply,
        layout: &worker.layout,
        answer: &outcome.answer,
        keep: outcome.keep,
        rotation,
        rotates_by,
        now: asker.now,
    };
    let is_told = annotate::is_told_unasked(world, asker.origin.peer.ip().to_canonical());
    let edes = if is_told { annotate::edes(world, vantage, outcome) } else { Vec::new() };
    let told = Told { options: options(&outcome.answer, &edes), noted };
    worker.packets.keep(&asked, &candidate, (place, is_told), told);
    worker.tell_size();
}

/// What never becomes a question still shows in the metrics.
pub(super) fn turn_away(
    worker: &mut Worker,
    door: &Door,
    origin: &Origin,
    rejected: &Rejected,
    out: &mut Vec<u8>,
) -> Begun {
    match rejected {
        Rejected::Silence(reason) => {
            worker.witness.dropped(&door.server, origin.transport, (*reason).into());
            Begun::Silence
        }
        Rejected::Reply(turned) => {
            encode_turn_away(turned, out);
            worker.witness.turned_away(&door.server, origin.transport, origin.peer, turned.rcode);
            Begun::Ready
        }
    }
}

/// CHAOS strings are lines of a text and keep their order; no paths are told with them.
pub(super) fn chaos_reply(
    world: &World,
    worker: &mut Worker,
    door: &Door,
    asker: &Asker,
    outcome: &Outcome,
    out: &mut Vec<u8>,
) -> Begun {
    let Asker { query, origin, .. } = asker;
    let annotations = Annotations { client_subnet: asker.standing.subnet, ..Annotations::default() };
    let limit = limit(world, origin.transport, query.edns.as_ref().map(|edns| edns.payload));
    if encode(query, &outcome.answer, &annotations, limit, 0, out).length == 0 {
        return Begun::Silence;
    }
    worker.witness.chaos(&door.server, origin.transport, origin.peer);
    Begun::Ready
}
