//! Recording of the events of one worker: its counters, its recent lookups, and its page of the query log.
//!
//! All state belongs to one worker, so that recording usually takes no lock. The counters of all workers are
//! summed when metrics are collected. Data for other threads is sent through bounded queues and is dropped
//! and counted if a queue is full.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::counts::{ImpliedConnections, PreparedCounts};
use super::event::{Arrival, DropReason, QueryEvent, ServerLabel, Transport};
use super::implied::{LookupKind, Lookups};
use super::log_writer::Page;
use super::lookup_sampler::LookupSampler;
use super::lower_bound::Sample;
use super::metrics::{Metrics, PacketCacheSlots};
use super::query_log::{Template, Timestamp};
use super::shard::{CounterShard, HistogramSlots, SeriesSlot};
use super::{Observer, family_label};
use crate::dns::{Rcode, RecordType};
use crate::resolve::Source;

/// Record types with a number below this are looked up in a table; all others are counted as `other`.
const TYPES: usize = 262;

/// Rcodes with a number below this are distinguished; the last index is for all others.
const RCODES: usize = 25;

/// Records the events of one worker.
#[derive(Debug)]
pub struct WorkerRecorder {
    observer: Arc<Observer>,
    shard: CounterShard,
    lookups: Lookups,
    sampler: LookupSampler,
    /// By listener number and transport, created on first use.
    listeners: Vec<Option<Box<ListenerSlots>>>,
    page: Page,
    time: Timestamp,
}

/// The slots of one listener and transport, created when they are first counted.
#[derive(Debug)]
struct ListenerSlots {
    server: Arc<str>,
    transport: Transport,
    /// By address family and type, the last for `other`.
    requests: [[Option<SeriesSlot>; TYPES + 1]; 2],
    /// By rcode and source.
    responses: [[Option<SeriesSlot>; Source::ALL.len()]; RCODES],
    request_size: HistogramSlots,
    response_size: HistogramSlots,
    duration: HistogramSlots,
    /// Number of replies whose duration is recorded at the end of their batch.
    pending_durations: u64,
}

impl WorkerRecorder {
    pub(super) fn new(observer: &Arc<Observer>) -> Self {
        Self {
            shard: observer.metrics.shards().shard(),
            lookups: Lookups::new(observer.remembered_lookups),
            sampler: LookupSampler::default(),
            listeners: Vec::new(),
            page: Page::default(),
            time: Timestamp::default(),
            observer: observer.clone(),
        }
    }

    /// The shared observer.
    pub fn observer(&self) -> &Arc<Observer> {
        &self.observer
    }

    /// Records an answered query. Returns the counts to record when the same answer is served from the cache.
    pub fn observe(&mut self, event: &QueryEvent<'_>) -> PreparedCounts {
        let counts =
            PreparedCounts::new(event, &self.observer.metrics, &self.lookups, self.observer.log.is_some());
        self.record_hit(&counts, &event.arrival);
        counts
    }

    /// Records a query answered from the packet cache.
    pub fn record_hit(&mut self, counts: &PreparedCounts, arrival: &Arrival<'_>) {
        let Self { observer, shard, listeners, .. } = self;
        let metrics = &observer.metrics;
        let listener = listener(listeners, metrics, arrival.server, arrival.transport);
        shard.add(listener.request(metrics, arrival.peer, Some(counts.qtype)), 1);
        shard.add(listener.response(metrics, counts.rcode, counts.source), 1);
        listener.request_size.count(shard, arrival.request_octets as u64, 1);
        listener.response_size.count(shard, arrival.response_octets as u64, 1);
        match arrival.elapsed {
            Some(elapsed) => listener.duration.count(shard, nanoseconds(elapsed), 1),
            None => listener.pending_durations += 1,
        }
        for slot in counts.slots.iter() {
            shard.add(slot, 1);
        }
        if let Some(implied) = &counts.implied {
            self.record_implied_connection(implied, arrival);
        }
        if let Some(template) = &counts.template
            && (self.observer.log_cache_hits || !counts.cached)
        {
            self.write_log_record(template, arrival);
        }
    }

    /// Records the duration of the replies of a batch: their queries were received at `since`, and all
    /// replies are ready now.
    pub fn finish_batch(&mut self, since: Instant) {
        let mut elapsed = None;
        for listener in self.listeners.iter_mut().flatten().filter(|listener| listener.pending_durations > 0)
        {
            let elapsed = *elapsed.get_or_insert_with(|| nanoseconds(since.elapsed()));
            listener.duration.count(&self.shard, elapsed, listener.pending_durations);
            listener.pending_durations = 0;
        }
    }

    /// Whether the duration of each reply is needed, in addition to that of its batch.
    pub fn needs_durations(&self) -> bool {
        self.observer.log.is_some()
    }

    /// Counts a query that was rejected before it was resolved, and its reply.
    pub fn record_rejection(
        &mut self,
        server: &ServerLabel,
        transport: Transport,
        peer: SocketAddr,
        rcode: Rcode,
    ) {
        let Self { observer, shard, listeners, .. } = self;
        let listener = listener(listeners, &observer.metrics, server, transport);
        shard.add(listener.request(&observer.metrics, peer, None), 1);
        shard.add(listener.response(&observer.metrics, rcode, Source::Refused), 1);
    }

    /// Counts a CHAOS query, which is a request but not a lookup.
    pub fn record_chaos(&mut self, server: &ServerLabel, transport: Transport, peer: SocketAddr) {
        let Self { observer, shard, listeners, .. } = self;
        let listener = listener(listeners, &observer.metrics, server, transport);
        shard.add(listener.request(&observer.metrics, peer, None), 1);
    }

    /// Counts a message that receives no reply, and nothing else.
    pub fn record_drop(&mut self, server: &ServerLabel, transport: Transport, reason: DropReason) {
        let labels = [(&server.label).into(), transport.as_str().into(), reason.as_str().into()];
        self.shard.add(self.observer.metrics.dns_dropped.slot(labels), 1);
    }

    /// Counts a query for which the packet cache had a reply, or a cacheable query for which it had none.
    pub fn record_packet_cache_lookup(&self, found: bool) {
        let PacketCacheSlots { hits, misses, .. } = self.observer.metrics.packet_cache;
        self.shard.add(if found { hits } else { misses }, 1);
    }

    /// Sets the size of the worker's packet cache: replies, annotations, octets.
    pub fn set_packet_cache_size(&self, answers: usize, paths: usize, bytes: u64) {
        let slots = self.observer.metrics.packet_cache;
        self.shard.set(slots.answers, answers as u64);
        self.shard.set(slots.paths, paths as u64);
        self.shard.set(slots.bytes, bytes);
    }

    /// Submits the records of the page to the query log.
    pub fn flush_page(&mut self) {
        if let Some(log) = self.observer.log.as_ref().filter(|_| !self.page.octets.is_empty()) {
            log.write(&mut self.page);
        }
    }

    fn record_implied_connection(&mut self, implied: &ImpliedConnections, arrival: &Arrival<'_>) {
        let Some(connection) = implied.connection_for(arrival) else { return };
        let metrics = &self.observer.metrics;
        if arrival.transport == Transport::Udp {
            let kind = self.lookups.record(
                arrival.server.number,
                arrival.peer,
                arrival.id,
                implied.name_hash,
                arrival.at,
            );
            match kind {
                LookupKind::First => self.shard.set(metrics.lookups_remembered, self.lookups.len() as u64),
                LookupKind::Retransmission => return,
                LookupKind::Untracked => self.shard.add(metrics.lookup_table_full, 1),
            }
        }
        self.shard.add(connection.slot, 1);
        let client = arrival.client.addr();
        if self.sampler.should_report(client, implied.name_hash, implied.ttl_s, arrival.at) {
            self.observer.lower_bound.record(Sample {
                client,
                name: implied.name.clone(),
                endpoint: connection.endpoint.clone(),
                ttl_s: implied.ttl_s,
                at: arrival.at,
            });
        }
    }

    fn write_log_record(&mut self, template: &Template, arrival: &Arrival<'_>) {
        self.time.set(arrival.at);
        template.write(arrival, arrival.elapsed.unwrap_or_default(), &self.time, &mut self.page.octets);
        self.page.lines += 1;
        if self.page.is_full() {
            self.flush_page();
        }
    }
}

/// Submits waiting records and resets the worker's gauges.
impl Drop for WorkerRecorder {
    fn drop(&mut self) {
        self.flush_page();
        self.set_packet_cache_size(0, 0, 0);
        self.shard.set(self.observer.metrics.lookups_remembered, 0);
    }
}

/// The slots of a listener, created on first use.
fn listener<'d>(
    listeners: &'d mut Vec<Option<Box<ListenerSlots>>>,
    metrics: &Metrics,
    server: &ServerLabel,
    transport: Transport,
) -> &'d mut ListenerSlots {
    let at = server.number * Transport::COUNT + transport as usize;
    if at >= listeners.len() {
        listeners.resize_with(at + 1, || None);
    }
    listeners[at].get_or_insert_with(|| Box::new(ListenerSlots::new(metrics, server, transport)))
}

impl ListenerSlots {
    fn new(metrics: &Metrics, server: &ServerLabel, transport: Transport) -> Self {
        let labels = || [(&server.label).into(), transport.as_str().into()];
        Self {
            server: server.label.clone(),
            transport,
            requests: [[None; TYPES + 1]; 2],
            responses: [[None; Source::ALL.len()]; RCODES],
            request_size: metrics.dns_request_size.slots(labels()),
            response_size: metrics.dns_response_size.slots(labels()),
            duration: metrics.dns_request_duration.slots([(&server.label).into()]),
            pending_durations: 0,
        }
    }

    fn request(&mut self, metrics: &Metrics, peer: SocketAddr, rtype: Option<RecordType>) -> SeriesSlot {
        let ip = peer.ip();
        let is_ipv6 = match ip {
            IpAddr::V4(_) => false,
            IpAddr::V6(_) => ip.to_canonical().is_ipv6(),
        };
        let number = rtype.map_or(TYPES, |rtype| usize::from(rtype.0).min(TYPES));
        *self.requests[usize::from(is_ipv6)][number].get_or_insert_with(|| {
            let rtype = rtype.filter(|_| number < TYPES).and_then(RecordType::known_mnemonic);
            let family = family_label(is_ipv6);
            let (server, transport) = ((&self.server).into(), self.transport.as_str().into());
            metrics.dns_requests.slot([server, transport, family.into(), rtype.unwrap_or("other").into()])
        })
    }

    fn response(&mut self, metrics: &Metrics, rcode: Rcode, source: Source) -> SeriesSlot {
        let number = usize::from(rcode.0).min(RCODES - 1);
        *self.responses[number][source as usize].get_or_insert_with(|| {
            let rcode = Some(rcode).filter(|_| number < RCODES - 1).and_then(Rcode::known_mnemonic);
            let labels = [(&self.server).into(), rcode.unwrap_or("other").into(), source.as_str().into()];
            metrics.dns_responses.slot(labels)
        })
    }
}

/// Converts a duration to nanoseconds, which 64 bits can represent up to five centuries.
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Maximum time that records wait for their page to fill.
pub const FLUSH_INTERVAL: Duration = Duration::from_millis(20);
