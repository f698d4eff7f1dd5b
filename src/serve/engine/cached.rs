//! The cached path: a reply from the packet cache, without a decision, an allocation or a lock.

use super::reply::reply_limit;
use super::{Engine, IncomingMessage};
use crate::dns::{ClientSubnet, OptionCode, Peek};
use crate::observe::Arrival;
use crate::serve::annotate;
use crate::serve::clients::{CachedClient, ClientContext};
use crate::serve::packet_cache::{CacheHit, CacheQuestion, Lookup};
use crate::serve::worker::Worker;
use crate::world::{Vantage, World};

/// The result of a packet cache lookup.
pub(super) enum CacheLookup {
    /// The reply was served from the cache.
    Hit,
    /// There is no entry, or it is not usable.
    Miss {
        /// How many times the entry was served, if it has just expired; otherwise 0.
        expired_hits: u32,
        /// The client, if it was identified.
        client: Option<ClientContext>,
    },
}

impl Engine {
    /// Answers a query from the packet cache: no decision, no allocation, no lock.
    pub(super) fn serve_cached(
        &self,
        world: &World,
        worker: &mut Worker,
        incoming: &IncomingMessage<'_>,
        out: &mut Vec<u8>,
    ) -> CacheLookup {
        let IncomingMessage { listener, message, source, moment } = *incoming;
        const MISS: CacheLookup = CacheLookup::Miss { expired_hits: 0, client: None };
        // Only plain queries can be served from the cache. All others take the full path, which also
        // handles errors.
        let Some(peek) = Peek::parse(message, annotate::PATHS_OPTION) else { return MISS };
        let Worker { recorder, packet_cache, client_cache, lower_name, .. } = worker;
        let subnet = peek.edns.and_then(|edns| edns.client_subnet);
        let Some(client) = client_cache.identify(world, listener, source.peer.ip().to_canonical(), subnet)
        else {
            return MISS;
        };
        let Vantage { view, place } = client.vantage;
        let (qtype, recursion_desired) = (peek.qtype, peek.recursion_desired);
        let question =
            CacheQuestion { view, qtype, recursion_desired, name: lower_name.set(peek.qname_as_sent) };
        let now = self.time(moment);
        let lookup = packet_cache.lookup(&question, place, client.is_annotated, world.generation, now);
        recorder.record_packet_cache_lookup(matches!(lookup, Lookup::Hit(..)));
        let (cached_reply, annotation) = match lookup {
            Lookup::Hit(cached_reply, annotation) => (cached_reply, annotation),
            Lookup::Expired { hits } => {
                return CacheLookup::Miss { expired_hits: hits, client: Some(client.context()) };
            }
            Lookup::Miss => return CacheLookup::Miss { expired_hits: 0, client: Some(client.context()) },
        };
        let mut buffer = [0; MAX_CLIENT_SUBNET_OCTETS];
        let echo = encode_client_subnet(client, &mut buffer);
        let octets = cached_reply.length(annotation, peek.edns.map(|_| echo.len()));
        let payload = peek.edns.map(|edns| edns.payload);
        if octets > reply_limit(world, source.transport, payload) {
            // The full path truncates the reply.
            return MISS;
        }
        let rotation = cached_reply.rotation_slot().map_or(0, |slot| self.next_rotation(slot));
        let edns = peek.edns.map(|edns| (edns.dnssec_ok, echo));
        let hit = CacheHit {
            id: peek.id,
            checking_disabled: peek.checking_disabled,
            qname_as_sent: peek.qname_as_sent,
            rotation,
            now,
            edns,
        };
        cached_reply.append(annotation, &hit, out);
        // Reading the clock is a noticeable part of the cost of a hit, so it is read only if the time is
        // used.
        let elapsed = recorder.needs_durations().then(|| moment.started.elapsed());
        recorder.record_hit(
            cached_reply.counts(annotation),
            &Arrival {
                server: &listener.server,
                transport: source.transport,
                peer: source.peer,
                id: peek.id,
                client: client.client,
                truncated: false,
                rotation,
                request_octets: message.len(),
                response_octets: octets,
                elapsed,
                at: moment.at,
            },
        );
        CacheLookup::Hit
    }
}

/// The longest client subnet option, including its code and length.
const MAX_CLIENT_SUBNET_OCTETS: usize = 4 + ClientSubnet::MAX_LEN;

/// The client subnet option to echo, in wire form; empty if none was accepted.
fn encode_client_subnet<'b>(
    client: &CachedClient,
    buffer: &'b mut [u8; MAX_CLIENT_SUBNET_OCTETS],
) -> &'b [u8] {
    let Some(subnet) = &client.subnet else { return &[] };
    let length = subnet.write(subnet.network.prefix_len(), &mut buffer[4..]);
    buffer[..2].copy_from_slice(&OptionCode::CLIENT_SUBNET.to_be_bytes());
    // At most `ClientSubnet::MAX_LEN`, so the cast is lossless.
    buffer[2..4].copy_from_slice(&(length as u16).to_be_bytes());
    &buffer[..4 + length]
}
