//! Observation of queries: one event per query for metrics, implied connections and the query log.
//!
//! ```text
//!  worker ──► QueryEvent ──► WorkerRecorder ──► PreparedCounts ──┬── shard          slots; metrics.rs declares every series
//!                                 ▲                              ├── implied        connections through endpoints
//!              packet cache hit ──┘                              │     └── lookup_sampler ──► lower_bound ⇒ a thread
//!                                                                └── query_log      the record ⇒ log_writer's thread
//!
//!  GET /metrics ──► Observer ──► the sum of all shards
//! ```
//!
//! A [`WorkerRecorder`] belongs to one worker; an [`Observer`] is shared by all. Nothing here changes an
//! answer or blocks a worker: data for a thread is sent through a bounded queue and is dropped and counted if
//! the queue is full.

mod counts;
mod event;
mod forward;
mod implied;
mod labelled;
mod log_writer;
mod lookup_sampler;
mod lower_bound;
mod metrics;
mod query_log;
mod receive_buffer_drops;
mod recorder;
mod rotating_file;
mod series;
mod shard;
#[cfg(test)]
mod tests;

pub use counts::PreparedCounts;
pub use event::{Arrival, DropReason, Moment, QueryEvent, ServerLabel, Transport};
pub use forward::{ForwardMetrics, ServerMetrics};
pub use log_writer::{QueryLog, QueryLogError};
pub use metrics::{ListenerMetrics, MessageCacheMetrics, table as metrics_table};
pub(crate) use query_log::civil_from_days;
pub use recorder::{FLUSH_INTERVAL, WorkerRecorder};

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use thiserror::Error;

use crate::config;
use crate::world::World;

use log_writer::LogWriter;
use lower_bound::LowerBound;
use metrics::{Metrics, unix_seconds};

/// Settings of an observer.
#[derive(Clone, Debug)]
pub struct ObserverOptions {
    /// The settings of the query log.
    pub query_log: config::QueryLog,
    /// Maximum number of UDP lookups that each worker remembers.
    pub remembered_lookups: usize,
}

/// Why an observer cannot be created.
#[derive(Debug, Error)]
pub enum ObserverError {
    /// The query log cannot be opened.
    #[error(transparent)]
    QueryLog(#[from] QueryLogError),
    /// A thread cannot be created.
    #[error("cannot start a thread for {purpose}")]
    Thread {
        /// The purpose of the thread.
        purpose: &'static str,
        /// The system's error.
        source: io::Error,
    },
}

/// Records events for metrics, implied connections and the query log. Shared by all workers, each of which
/// uses a [`WorkerRecorder`].
#[derive(Debug)]
pub struct Observer {
    metrics: Metrics,
    log: Option<LogWriter>,
    lower_bound: LowerBound,
    log_cache_hits: bool,
    remembered_lookups: usize,
}

impl Observer {
    /// Creates an observer and starts its threads.
    ///
    /// # Errors
    ///
    /// If the query log cannot be opened or a thread cannot be created.
    pub fn new(options: ObserverOptions) -> Result<Self, ObserverError> {
        let ObserverOptions { query_log, remembered_lookups } = options;
        let log_cache_hits = query_log.log_cache_hits;
        let metrics = Metrics::declare();
        metrics.build_info.with([env!("CARGO_PKG_VERSION").into()], |info| info.set(1));
        let thread_error = |purpose| move |source| ObserverError::Thread { purpose, source };
        let log = QueryLog::open(&query_log)?.map(|log| log.start(metrics.query_log_dropped.clone()));
        let log = log.transpose().map_err(thread_error("the query log"))?;
        let samples_dropped = metrics.lower_bound_samples_dropped.clone();
        let lower_bound = LowerBound::start(metrics.lower_bound_clients.clone(), samples_dropped)
            .map_err(thread_error("the detection of caching clients"))?;
        Ok(Self { metrics, log, lower_bound, log_cache_hits, remembered_lookups })
    }

    /// Creates the recorder of a worker.
    pub fn recorder(self: &Arc<Self>) -> WorkerRecorder {
        WorkerRecorder::new(self)
    }

    /// Records which configuration is in use. No counter changes.
    pub fn record_loaded_config(&self, world: &World) {
        self.metrics.config_info.clear();
        let hash: Arc<str> = Arc::from(world.hash.as_str());
        self.metrics.config_info.with([(&hash).into()], |info| info.set(1));
        self.metrics.config_last_reload_success.set(unix_seconds(SystemTime::now()));
        let objects = [
            ("listener", world.settings.listeners.len()),
            ("vpc", world.network.vpcs.len()),
            ("subnet", world.network.subnets.len()),
            ("route-table", world.network.route_tables.len()),
            ("nat-gateway", world.network.nat_gateways.len()),
            ("endpoint", world.network.endpoints.len()),
            ("security-group", world.network.security_groups.len()),
            ("instance", world.network.instances.len()),
            ("inbound-endpoint", world.names.inbound_endpoints.len()),
            ("site", world.network.sites.len()),
            ("hosted-zone", world.names.hosted_zones.len()),
            ("resolver-rule", world.names.rules.len()),
            ("view", world.names.views.len()),
            ("place", world.network.places.len()),
        ];
        self.metrics.config_source_timestamp.clear();
        if let Some(at) = world.source_modified_s {
            self.metrics.config_source_timestamp.with([], |gauge| gauge.set(at as i64));
        }
        for (kind, count) in objects {
            self.metrics.config_objects.with([kind.into()], |gauge| gauge.set(count as i64));
        }
    }

    /// Counts an attempt to reload the configuration. After a successful one, also call
    /// [`Self::record_loaded_config`].
    pub fn record_reload(&self, ok: bool) {
        let result = if ok { "ok" } else { "failed" };
        self.metrics.config_reloads.with([result.into()], |count| count.inc());
        if ok {
            self.metrics.config_last_reload_success.set(unix_seconds(SystemTime::now()));
        }
    }

    /// Reopens the query log's file, after another program has moved it.
    pub fn reopen_query_log(&self) {
        if let Some(log) = &self.log {
            log.reopen();
        }
    }

    /// Waits until all submitted query log records have been written, for at most `timeout`. Blocks.
    pub fn flush_query_log(&self, timeout: Duration) {
        if let Some(log) = &self.log {
            log.flush(timeout);
        }
    }

    /// Includes the UDP sockets bound to a listener's address in the metric of dropped datagrams.
    pub fn watch_receive_buffers(&self, server: &ServerLabel, bound: SocketAddr) {
        self.metrics.receive_buffer_drops.watch(server.label.clone(), bound);
    }

    /// Metrics of the message cache.
    pub fn message_cache(&self) -> &MessageCacheMetrics {
        &self.metrics.message_cache
    }

    /// Metrics of listeners.
    pub fn listeners(&self) -> &ListenerMetrics {
        &self.metrics.listeners
    }

    /// Metrics of the name servers that are queried.
    pub fn forward(&self) -> &ForwardMetrics {
        &self.metrics.forward
    }

    /// All metrics in Prometheus's text format.
    pub fn render(&self) -> String {
        self.metrics.render()
    }
}

/// Returns the label value of an address family.
fn family_label(is_ipv6: bool) -> &'static str {
    if is_ipv6 { "ipv6" } else { "ipv4" }
}
