//! One event a query, many readers: metrics, implied connections, the query log.
//!
//! ```text
//!  door ──► QueryEvent ──► Observer ──┬── metrics       every one declared in metrics.rs
//!                                     ├── implied       is it a connection through an endpoint?
//!                                     │     └── lower_bound ⇒ a thread
//!                                     └── query_log     the record ⇒ log_writer's thread
//! ```
//!
//! Nothing here changes an answer, and nothing blocks the one who answers: what goes to a thread goes
//! through a bounded queue, and what the queue has no room for is dropped and counted.

mod event;
mod family;
mod forward;
mod implied;
mod log_writer;
mod lower_bound;
mod metrics;
mod query_log;
mod rotating_file;
#[cfg(test)]
mod tests;

pub use event::{DropReason, QueryEvent, Transport};
pub use forward::{ForwardMetrics, ServerMetrics};
pub use implied::Lookups;
pub use log_writer::{QueryLog, QueryLogError};
pub use metrics::{DoorMetrics, MessageCacheMetrics, table as metrics_table};

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;

use thiserror::Error;

use crate::config;
use crate::dns::{Rcode, RecordType};
use crate::resolve::{Class, Reach, Source};
use crate::world::{Index, Vantage, World};

use family::Label;
use implied::{Connection, Seen};
use log_writer::LogWriter;
use lower_bound::{LowerBound, Sample};
use metrics::{Metrics, unix_seconds};

/// What an observer is to begin with.
#[derive(Clone, Debug)]
pub struct ObserverOptions {
    /// Where the query log goes.
    pub query_log: config::QueryLog,
    /// How many look-ups each UDP door remembers.
    pub remembered_lookups: usize,
}

/// Why there is no observer.
#[derive(Debug, Error)]
pub enum ObserverError {
    /// The query log cannot be opened.
    #[error(transparent)]
    QueryLog(#[from] QueryLogError),
    /// The system gives no thread.
    #[error("cannot start a thread for {what}")]
    Thread {
        /// What the thread is for.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
}

/// Takes in what happens and tells all readers. Doors share one.
#[derive(Debug)]
pub struct Observer {
    metrics: Metrics,
    log: Option<LogWriter>,
    lower_bound: LowerBound,
    log_cache_hits: bool,
    remembered_lookups: usize,
}

impl Observer {
    /// An observer with all counters at 0, and its threads.
    ///
    /// # Errors
    ///
    /// When the query log cannot be opened, or the system gives no threads.
    pub fn new(options: ObserverOptions) -> Result<Self, ObserverError> {
        let ObserverOptions { query_log, remembered_lookups } = options;
        let log_cache_hits = query_log.log_cache_hits;
        let metrics = Metrics::declare();
        metrics.build_info.with([env!("CARGO_PKG_VERSION").into()], |info| info.set(1));
        let no_thread = |what| move |source| ObserverError::Thread { what, source };
        let log = QueryLog::open(&query_log)?.map(|log| log.start(metrics.query_log_dropped.clone()));
        let log = log.transpose().map_err(no_thread("the query log"))?;
        let samples_dropped = metrics.lower_bound_samples_dropped.clone();
        let lower_bound = LowerBound::start(metrics.lower_bound_clients.clone(), samples_dropped)
            .map_err(no_thread("telling caching clients from others"))?;
        Ok(Self { metrics, log, lower_bound, log_cache_hits, remembered_lookups })
    }

    /// Takes in an answered query. A UDP door gives its table of look-ups; without one every reply
    /// counts, which is right for streams only.
    pub fn observe(&self, event: &QueryEvent<'_>, lookups: Option<&mut Lookups>) {
        self.count_message(event);
        if let Some(vantage) = event.vantage {
            self.count_ways_out(event, vantage);
        }
        if let Some(connection) = implied::connection(event) {
            self.count_connection(event, connection, lookups);
        }
        if let Some(log) = self.log.as_ref().filter(|_| self.log_cache_hits || !event.cached) {
            log.write(query_log::record(event));
        }
    }

    /// Counts a query that was turned away before anything was decided, with its reply.
    pub fn turned_away(&self, server: &Arc<str>, transport: Transport, peer: SocketAddr, rcode: Rcode) {
        self.count_request(server, transport, peer, None);
        self.count_response(server, rcode, Source::Refused);
    }

    /// Counts a CHAOS question, which is a request and no look-up.
    pub fn chaos(&self, server: &Arc<str>, transport: Transport, peer: SocketAddr) {
        self.count_request(server, transport, peer, None);
    }

    /// Counts a message that gets no reply, and nothing else.
    pub fn dropped(&self, server: &Arc<str>, transport: Transport, reason: DropReason) {
        let labels = [server.into(), transport.as_str().into(), reason.as_str().into()];
        self.metrics.dns_dropped.with(labels, |count| count.inc());
    }

    /// Says which configuration is in use from now on. No counter changes.
    pub fn world_loaded(&self, world: &World) {
        self.metrics.config_info.clear();
        let hash: Arc<str> = Arc::from(world.hash.as_str());
        self.metrics.config_info.with([(&hash).into()], |info| info.set(1));
        self.metrics.config_last_reload_success.set(unix_seconds(SystemTime::now()));
        let objects = [
            ("listener", world.listeners.len()),
            ("vpc", world.vpcs.len()),
            ("subnet", world.subnets.len()),
            ("route-table", world.route_tables.len()),
            ("nat-gateway", world.nat_gateways.len()),
            ("endpoint", world.endpoints.len()),
            ("security-group", world.security_groups.len()),
            ("instance", world.instances.len()),
            ("inbound-endpoint", world.inbound_endpoints.len()),
            ("site", world.sites.len()),
            ("hosted-zone", world.hosted_zones.len()),
            ("resolver-rule", world.rules.len()),
            ("view", world.views.len()),
            ("place", world.places.len()),
        ];
        self.metrics.world_source_timestamp.clear();
        if let Some(at) = world.source_modified_s {
            self.metrics.world_source_timestamp.with([], |gauge| gauge.set(at as i64));
        }
        for (kind, count) in objects {
            self.metrics.world_objects.with([kind.into()], |gauge| gauge.set(count as i64));
        }
    }

    /// Counts an attempt to reload the configuration. After a good one, say also [`Self::world_loaded`].
    pub fn reloaded(&self, ok: bool) {
        let result = if ok { "ok" } else { "failed" };
        self.metrics.config_reloads.with([result.into()], |count| count.inc());
        if ok {
            self.metrics.config_last_reload_success.set(unix_seconds(SystemTime::now()));
        }
    }

    /// Has the query log's file opened anew, after another program has moved it.
    pub fn reopen_query_log(&self) {
        if let Some(log) = &self.log {
            log.reopen();
        }
    }

    /// A table of look-ups for one UDP door, or for one of its workers if the same source always comes
    /// to the same one.
    pub fn lookups(&self) -> Lookups {
        Lookups::new(self.remembered_lookups, self.metrics.lookups_remembered.clone())
    }

    /// What the message cache counts itself.
    pub fn message_cache(&self) -> &MessageCacheMetrics {
        &self.metrics.message_cache
    }

    /// What doors count themselves.
    pub fn doors(&self) -> &DoorMetrics {
        &self.metrics.doors
    }

    /// What is counted about the name servers that are asked.
    pub fn forward(&self) -> &ForwardMetrics {
        &self.metrics.forward
    }

    /// All metrics in Prometheus's text format.
    pub fn render(&self) -> String {
        self.metrics.render()
    }

    // ---- what a query counts ------------------------------------------------------------------------

    fn count_message(&self, event: &QueryEvent<'_>) {
        self.count_request(event.server, event.transport, event.peer, Some(event.question.qtype));
        self.count_response(event.server, event.outcome.answer.rcode, event.outcome.source);
        let metrics = &self.metrics;
        let door = || [event.server.into(), event.transport.as_str().into()];
        metrics.dns_request_size.with(door(), |sizes| sizes.observe(event.request_octets as f64));
        metrics.dns_response_size.with(door(), |sizes| sizes.observe(event.response_octets as f64));
        let elapsed = event.elapsed.as_secs_f64();
        metrics.dns_request_duration.with([event.server.into()], |times| times.observe(elapsed));
    }

    fn count_request(
        &self,
        server: &Arc<str>,
        transport: Transport,
        peer: SocketAddr,
        rtype: Option<RecordType>,
    ) {
        let family = match peer.ip().to_canonical() {
            IpAddr::V4(_) => "ipv4",
            IpAddr::V6(_) => "ipv6",
        };
        let rtype = rtype.and_then(RecordType::known_mnemonic).unwrap_or("other");
        let labels = [server.into(), transport.as_str().into(), family.into(), rtype.into()];
        self.metrics.dns_requests.with(labels, |count| count.inc());
    }

    fn count_response(&self, server: &Arc<str>, rcode: Rcode, source: Source) {
        let rcode = rcode.known_mnemonic().unwrap_or("other");
        let labels = [server.into(), rcode.into(), source.as_str().into()];
        self.metrics.dns_responses.with(labels, |count| count.inc());
    }

    /// The ways that an answer implies, as its client and as its endpoints see them.
    fn count_ways_out(&self, event: &QueryEvent<'_>, vantage: Vantage) {
        let (world, outcome, metrics) = (event.world, event.outcome, &self.metrics);
        let vpc = world.place_vpc(vantage.place).map_or(Label::Word(""), |vpc| Label::from(&vpc.id));
        let subnet = Label::from(&world.place_name(vantage.place));
        let egress = |class: Class, reach: &'static str| {
            let labels = [vpc.clone(), subnet.clone(), class.as_str().into(), reach.into()];
            metrics.egress_answers.with(labels, |count| count.inc());
        };
        if outcome.paths.is_empty() {
            egress(Class::None, "");
        }
        for (class, reach) in distinct(outcome.paths.iter().map(|p| (p.path.class, p.path.reach))) {
            egress(class, Reach::as_str(reach));
        }
        for reason in outcome.all_reasons() {
            let labels = [vpc.clone(), subnet.clone(), reason.as_str().into()];
            metrics.egress_reasons.with(labels, |count| count.inc());
        }
        for index in distinct(outcome.paths.iter().filter_map(|p| Some(p.path.endpoint?.0))) {
            metrics.endpoint_answers.with(endpoint_labels(world, index), |count| count.inc());
        }
    }

    fn count_connection(
        &self,
        event: &QueryEvent<'_>,
        connection: Connection,
        lookups: Option<&mut Lookups>,
    ) {
        let name = &event.question.qname;
        if let Some(lookups) = lookups {
            match lookups.see(event.peer, event.id, name, event.at) {
                Seen::First => {}
                Seen::Again => return,
                Seen::Unremembered => self.metrics.lookup_table_full.inc(),
            }
        }
        let world = event.world;
        let [kind, service, endpoint, vpc] = endpoint_labels(world, connection.endpoint);
        let subnet = Label::from(&world.subnets[connection.subnet].id);
        self.metrics.implied_connections.with([kind, service, endpoint, vpc, subnet], |count| count.inc());
        self.lower_bound.see(Sample {
            client: event.client.addr(),
            name: name.clone(),
            endpoint: world.endpoints[connection.endpoint].id.clone(),
            // A client may keep a chain no longer than its shortest-lived record.
            ttl_s: event.outcome.answer.answer.iter().map(|set| set.ttl).min().unwrap_or(0),
            at: event.at,
        });
    }
}

/// `endpoint_type`, `service_name`, `vpc_endpoint_id`, `vpc_id`.
fn endpoint_labels(world: &World, index: Index<crate::world::Endpoint>) -> [Label; 4] {
    let endpoint = &world.endpoints[index];
    let vpc = &world.vpcs[endpoint.vpc];
    [endpoint.kind.as_str().into(), (&endpoint.service).into(), (&endpoint.id).into(), (&vpc.id).into()]
}

/// Each item once, in the order of their first. An answer has few.
fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for item in items {
        if !seen.contains(&item) {
            seen.push(item);
        }
    }
    seen
}
