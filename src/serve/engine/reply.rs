//! Construction of a reply from an outcome: annotations, encoding, the event for the observer and the entry
//! in the packet cache.

use super::{Engine, Progress};
use crate::dns::encode::append_option;
use crate::dns::{
    Annotations, Answer, Class, Ede, Encoded, MAX_MESSAGE, OptionCode, Query, QueryError, encode,
    encode_rejection, encode_with_layout, udp_limit,
};
use crate::observe::{Arrival, PreparedCounts, QueryEvent};
use crate::resolve::{Cacheability, MonotonicSeconds, Outcome, QueryContext, Source};
use crate::serve::clients::ClientContext;
use crate::serve::packet_cache::{CacheQuestion, CachedAnnotation, ReplyCandidate};
use crate::serve::worker::Worker;
use crate::serve::{ListenerIdentity, MessageSource, Moment, Transport, annotate};
use crate::world::{Vantage, World};

/// A query with its client and its time.
#[derive(Debug)]
pub(super) struct QueryState {
    pub query: Query,
    pub source: MessageSource,
    pub moment: Moment,
    /// When the query was received, by the monotonic clock of the caches.
    pub now: MonotonicSeconds,
    pub request_octets: usize,
    pub client: ClientContext,
    /// The random number drawn for the query.
    pub random: u64,
    /// Whether a cached answer was used and no upstream was queried.
    pub from_cache: bool,
}

impl QueryState {
    /// The inputs of its decision besides the world.
    pub(super) fn context(&self) -> QueryContext {
        QueryContext { now: self.now.get(), random: self.random }
    }

    /// The client's view and location, if they could be determined.
    pub(super) fn vantage(&self) -> Option<Vantage> {
        self.client.vantage.as_ref().ok().copied()
    }
}

impl Engine {
    /// Encodes an outcome with its annotations, reports it to the observer and inserts it into the packet
    /// cache if it is cacheable.
    pub(super) fn reply(
        &self,
        world: &World,
        worker: &mut Worker,
        listener: &ListenerIdentity,
        query_state: &QueryState,
        outcome: &Outcome,
        out: &mut Vec<u8>,
    ) -> Progress {
        let QueryState { query, source, .. } = query_state;
        let view = query_state.vantage().map(|vantage| vantage.view);
        let replacement = view.and_then(|view| {
            self.denials.without_repeated_soa(world, view, &query.question, outcome, query_state.now)
        });
        let outcome = replacement.as_ref().unwrap_or(outcome);
        let annotations = annotations(world, query_state, outcome);
        let rotation_slot = self.rotation_slot(&query.question.qname, query.question.qtype);
        let rotation = self.next_rotation(rotation_slot);
        let base = out.len();
        let limit = reply_limit(world, source.transport, query.edns.as_ref().map(|edns| edns.payload));
        let encoded = encode_with_layout(
            query,
            &outcome.answer,
            &annotations,
            limit,
            rotation,
            &mut worker.layout,
            out,
        );
        if encoded.length == 0 {
            return Progress::Dropped;
        }
        let event = event(world, listener, query_state, outcome, &encoded, rotation);
        let counts = worker.recorder.observe(&event);
        if !encoded.truncated && counts.is_for_every_rotation() {
            cache_reply(world, worker, query_state, outcome, &out[base..], (rotation, rotation_slot), counts);
        }
        Progress::Replied
    }
}

/// The limit for the size of a reply, in octets.
pub(super) fn reply_limit(world: &World, transport: Transport, payload: Option<u16>) -> usize {
    match transport {
        Transport::Udp => udp_limit(payload, world.settings.replies.max_udp_payload),
        Transport::Tcp | Transport::Dot | Transport::Doh => MAX_MESSAGE,
    }
}

/// The annotations and extended errors of a reply.
fn annotations(world: &World, query_state: &QueryState, outcome: &Outcome) -> Annotations {
    let query = &query_state.query;
    let mut annotations = Annotations {
        client_subnet: query_state.client.subnet,
        recursion_denied: query_state.client.vantage.is_err(),
        ..Annotations::default()
    };
    let vantage = query_state.vantage().filter(|_| outcome.source != Source::Refused);
    // Without an OPT record in the query, the reply cannot carry options.
    let Some(vantage) = vantage.filter(|_| query.edns.is_some()) else { return annotations };
    let peer = query_state.source.peer.ip().to_canonical();
    let is_annotated = match annotate::requests_annotation(query) {
        true => annotate::annotates_on_request(world, peer),
        false => annotate::annotates_by_default(world, peer),
    };
    if is_annotated {
        annotations.edes = annotate::edes(world, vantage, outcome);
    }
    annotations.option = annotate::option(world, vantage, peer, query, outcome, query_state.context());
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
    listener: &'e ListenerIdentity,
    query_state: &'e QueryState,
    outcome: &'e Outcome,
    encoded: &Encoded,
    rotation: usize,
) -> QueryEvent<'e> {
    let QueryState { query, source, .. } = query_state;
    QueryEvent {
        arrival: Arrival {
            server: &listener.server,
            transport: source.transport,
            peer: source.peer,
            id: query.id,
            client: query_state.client.client,
            truncated: encoded.truncated,
            rotation,
            request_octets: query_state.request_octets,
            response_octets: encoded.length,
            elapsed: Some(query_state.moment.started.elapsed()),
            at: query_state.moment.at,
        },
        world,
        question: &query.question,
        vantage: query_state.vantage(),
        outcome,
        cached: query_state.from_cache,
    }
}

/// Inserts a reply into the packet cache if it is cacheable.
fn cache_reply(
    world: &World,
    worker: &mut Worker,
    query_state: &QueryState,
    outcome: &Outcome,
    reply: &[u8],
    (rotation, rotation_slot): (usize, usize),
    counts: PreparedCounts,
) {
    let query = &query_state.query;
    let Some(vantage @ Vantage { view, place }) = query_state.vantage() else { return };
    if outcome.cacheability == Cacheability::Never
        || query.question.qclass != Class::IN
        || annotate::requests_annotation(query)
    {
        return;
    }
    let (qtype, recursion_desired) = (query.question.qtype, query.recursion_desired);
    let name = worker.lower_name.set(query.question.qname.as_wire());
    let question = CacheQuestion { view, qtype, recursion_desired, name };
    if !worker.packet_cache.admits(&question) {
        return;
    }
    let candidate = ReplyCandidate {
        generation: world.generation,
        reply,
        layout: &worker.layout,
        answer: &outcome.answer,
        cacheability: outcome.cacheability,
        rotation,
        rotation_slot,
        now: query_state.now,
    };
    let is_annotated = annotate::annotates_by_default(world, query_state.source.peer.ip().to_canonical());
    let edes = if is_annotated { annotate::edes(world, vantage, outcome) } else { Vec::new() };
    let annotation = CachedAnnotation { options: options(&outcome.answer, &edes), counts };
    worker.packet_cache.insert(&question, &candidate, (place, is_annotated), annotation);
    worker.report_cache_size();
}

/// Answers a message that is not a valid query, or drops it. Both are counted.
pub(super) fn reject(
    worker: &mut Worker,
    listener: &ListenerIdentity,
    source: &MessageSource,
    rejected: &QueryError,
    out: &mut Vec<u8>,
) -> Progress {
    match rejected {
        QueryError::Discard(reason) => {
            worker.recorder.record_drop(&listener.server, source.transport, (*reason).into());
            Progress::Dropped
        }
        QueryError::Reject(rejection) => {
            encode_rejection(rejection, out);
            worker.recorder.record_rejection(
                &listener.server,
                source.transport,
                source.peer,
                rejection.rcode,
            );
            Progress::Replied
        }
    }
}

/// Encodes the reply to a CHAOS query. Its records are the lines of a text: they are not rotated and have no
/// annotations.
pub(super) fn chaos_reply(
    world: &World,
    worker: &mut Worker,
    listener: &ListenerIdentity,
    query_state: &QueryState,
    outcome: &Outcome,
    out: &mut Vec<u8>,
) -> Progress {
    let QueryState { query, source, .. } = query_state;
    let annotations = Annotations { client_subnet: query_state.client.subnet, ..Annotations::default() };
    let limit = reply_limit(world, source.transport, query.edns.as_ref().map(|edns| edns.payload));
    if encode(query, &outcome.answer, &annotations, limit, 0, out).length == 0 {
        return Progress::Dropped;
    }
    worker.recorder.record_chaos(&listener.server, source.transport, source.peer);
    Progress::Replied
}
