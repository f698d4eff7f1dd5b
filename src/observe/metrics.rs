//! All metrics, declared once: name, labels, HELP.
//!
//! Label values come from closed sets or are IDs in the configuration, never a query name or a client's
//! address. The configurations loaded during the life of the process therefore bound the number of series.
//! `server` is a listener's address as configured.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::{IntCounter, IntGauge, TextEncoder};

use super::forward::ForwardMetrics;
use super::labelled::{Declarations, DeclaredMetric, LabelledMetric};
use super::receive_buffer_drops::ReceiveBufferDrops;
use super::series::{Counters, HistogramScale, Histograms};
use super::shard::{CounterShards, SeriesSlot};

/// Buckets in seconds: those of CoreDNS, which start at 0.25 ms and double each time, and four smaller ones.
pub(super) const DURATION_BUCKETS: &[f64] = &[
    0.000015625,
    0.00003125,
    0.0000625,
    0.000125,
    0.00025,
    0.0005,
    0.001,
    0.002,
    0.004,
    0.008,
    0.016,
    0.032,
    0.064,
    0.128,
    0.256,
    0.512,
    1.024,
    2.048,
    4.096,
    8.192,
];

/// The same buckets in nanoseconds, which workers count.
const NANOSECONDS: HistogramScale = HistogramScale {
    bounds: &{
        let mut bounds = [15_625; 20];
        let mut index = 0;
        while index < bounds.len() {
            bounds[index] <<= index;
            index += 1;
        }
        bounds
    },
    per_unit: 1e9,
};

/// Buckets in octets: those of CoreDNS.
const OCTETS: HistogramScale = HistogramScale {
    bounds: &[0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16_000, 32_000, 48_000, 64_000],
    per_unit: 1.0,
};

/// All metrics. The HELP texts in [`Metrics::declare`] describe them.
#[derive(Debug)]
pub(super) struct Metrics {
    declarations: Declarations,
    pub dns_requests: Counters<4>,
    pub dns_responses: Counters<3>,
    pub dns_request_duration: Histograms<1>,
    pub dns_request_size: Histograms<2>,
    pub dns_response_size: Histograms<2>,
    pub dns_dropped: Counters<3>,
    pub egress_answers: Counters<4>,
    pub egress_reasons: Counters<3>,
    pub endpoint_answers: Counters<4>,
    pub implied_connections: Counters<5>,
    pub lower_bound_clients: LabelledMetric<1, IntGauge>,
    pub lookups_remembered: SeriesSlot,
    pub lookup_table_full: SeriesSlot,
    pub lower_bound_samples_dropped: IntCounter,
    pub packet_cache: PacketCacheSlots,
    pub query_log_dropped: IntCounter,
    counts_lost: Counters<0>,
    pub build_info: LabelledMetric<1, IntGauge>,
    pub config_info: LabelledMetric<1, IntGauge>,
    pub config_reloads: LabelledMetric<1, IntCounter>,
    pub config_last_reload_success: IntGauge,
    pub config_objects: LabelledMetric<1, IntGauge>,
    pub config_source_timestamp: LabelledMetric<0, IntGauge>,
    pub receive_buffer_drops: ReceiveBufferDrops,
    pub listeners: ListenerMetrics,
    pub message_cache: MessageCacheMetrics,
    pub forward: ForwardMetrics,
    process_start: IntGauge,
}

/// Metrics of listeners that do not concern a single query.
#[derive(Clone, Debug)]
pub struct ListenerMetrics {
    /// Open TCP connections, including those of DNS over TLS and DNS over HTTPS.
    pub tcp_connections: IntGauge,
    /// TCP connections closed immediately because a limit was reached.
    pub tcp_refused: IntCounter,
    /// Connections to the admin address closed because a limit was reached.
    pub admin_refused: IntCounter,
    /// TCP connections closed because the client neither sent nor read data in time.
    pub tcp_timeouts: IntCounter,
    /// Connections that could not be accepted.
    pub tcp_accept_errors: IntCounter,
    /// TCP replies that could not be sent.
    pub tcp_send_errors: IntCounter,
    /// Failed TLS handshakes, for example because the client rejected the certificate.
    pub tls_handshake_errors: IntCounter,
    /// Errors while receiving datagrams.
    pub udp_receive_errors: IntCounter,
    /// UDP replies that could not be sent.
    pub udp_send_errors: IntCounter,
}

/// Counters of packet caches.
#[derive(Clone, Copy, Debug)]
pub(super) struct PacketCacheSlots {
    /// Queries answered from the cache.
    pub hits: SeriesSlot,
    /// Cacheable queries for which there was no entry.
    pub misses: SeriesSlot,
    /// Cached replies.
    pub answers: SeriesSlot,
    /// Cached annotations.
    pub paths: SeriesSlot,
    /// Estimated size of both, in octets.
    pub bytes: SeriesSlot,
}

/// Metrics of the message cache.
#[derive(Clone, Debug)]
pub struct MessageCacheMetrics {
    /// Questions answered from the cache.
    pub hits: IntCounter,
    /// Questions without a fresh answer.
    pub misses: IntCounter,
    /// Stale answers, served because no name server answered.
    pub stale: IntCounter,
    /// Answers prefetched before they expired.
    pub prefetches: IntCounter,
    /// Cached names.
    pub entries: IntGauge,
    /// Their estimated size in octets.
    pub bytes: IntGauge,
}

impl Metrics {
    /// Declares all metrics. Nothing is shared with another instance in the process.
    pub(super) fn declare() -> Self {
        let mut all = Declarations::default();
        let metrics = Self {
            dns_requests: all.counters(
                "plustwo_dns_requests_total",
                &["server", "transport", "family", "type"],
                "Queries received, including rejected ones. `family` (`ipv4`, `ipv6`) is that of the \
                 transport; `type` is `other` for types without a known mnemonic, for CHAOS queries and for \
                 malformed queries.",
            ),
            dns_responses: all.counters(
                "plustwo_dns_responses_total",
                &["server", "rcode", "source"],
                "Replies sent, by source of the answer.",
            ),
            dns_request_duration: all.histograms(
                "plustwo_dns_request_duration_seconds",
                &["server"],
                NANOSECONDS,
                "Time from receiving a query to completing its reply; for queries received in one batch, to \
                 completing all replies of the batch.",
            ),
            dns_request_size: all.histograms(
                "plustwo_dns_request_size_bytes",
                &["server", "transport"],
                OCTETS,
                "Size of queries.",
            ),
            dns_response_size: all.histograms(
                "plustwo_dns_response_size_bytes",
                &["server", "transport"],
                OCTETS,
                "Size of replies, without the padding of encrypted transports.",
            ),
            dns_dropped: all.counters(
                "plustwo_dns_dropped_total",
                &["server", "transport", "reason"],
                "Messages that received no reply. They are not counted in any other metric.",
            ),
            egress_answers: all.counters(
                "plustwo_egress_answers_total",
                &["client_vpc_id", "client_subnet_id", "path", "reach"],
                "Answers by egress path, once for each distinct path and reach of an answer. For a site or \
                 `outside`, `client_subnet_id` is its name and `client_vpc_id` is empty; for an answer \
                 without addresses, `path` is `none` and `reach` is empty.",
            ),
            egress_reasons: all.counters(
                "plustwo_egress_reasons_total",
                &["client_vpc_id", "client_subnet_id", "reason"],
                "Answers by path reason, once for each distinct reason of an answer.",
            ),
            endpoint_answers: all.counters(
                "plustwo_endpoint_answers_total",
                &["endpoint_type", "service_name", "vpc_endpoint_id", "vpc_id"],
                "Answers whose path ends at a VPC endpoint, once for each endpoint of an answer. `vpc_id` \
                 is that of the endpoint.",
            ),
            implied_connections: all.counters(
                "plustwo_privatelink_implied_new_connections_total",
                &["endpoint_type", "service_name", "vpc_endpoint_id", "vpc_id", "subnet_id"],
                "Connections through interface endpoints, estimated from lookups. `vpc_id` and `subnet_id` \
                 are those of the endpoint, as in CloudWatch.",
            ),
            lower_bound_clients: all.labelled(
                "plustwo_privatelink_lower_bound_clients",
                &["vpc_endpoint_id"],
                "Clients of the last hour that may cache answers, so that their implied connections are a \
                 lower bound.",
            ),
            lookups_remembered: all
                .gauge("plustwo_lookups_remembered", "Lookups remembered to detect retransmissions."),
            lookup_table_full: all.counter(
                "plustwo_lookup_table_full_total",
                "Lookups counted without being remembered because the table was full.",
            ),
            lower_bound_samples_dropped: all.single(
                "plustwo_lower_bound_samples_dropped_total",
                "Lookups not used to detect caching clients because the queue or the table was full.",
            ),
            counts_lost: all.counters(
                "plustwo_counts_lost_total",
                &[],
                "Counts lost because the maximum number of series, about a million, was reached.",
            ),
            packet_cache: PacketCacheSlots::declare(&mut all),
            query_log_dropped: all.single(
                "plustwo_query_log_dropped_total",
                "Query log records lost because they could not be written, or not fast enough.",
            ),
            build_info: all.labelled(
                "plustwo_build_info",
                &["version"],
                "A metric with a constant value of 1, labelled by the version of plustwo.",
            ),
            config_info: all.labelled(
                "plustwo_config_info",
                &["hash"],
                "A metric with a constant value of 1, labelled by the hash of the configuration in use.",
            ),
            config_reloads: all.labelled(
                "plustwo_config_reloads_total",
                &["result"],
                "Configuration reloads by result: `ok`, or `failed` if the previous configuration is still in \
                 use.",
            ),
            config_last_reload_success: all.single(
                "plustwo_config_last_reload_success_timestamp_seconds",
                "Timestamp of the last successful configuration load, in seconds since the Unix epoch.",
            ),
            config_objects: all.labelled(
                "plustwo_config_objects",
                &["kind"],
                "Objects in the configuration in use.",
            ),
            config_source_timestamp: all.labelled(
                "plustwo_config_source_timestamp_seconds",
                &[],
                "Modification time of the newest file of the configuration in use, in seconds since the Unix \
                 epoch. Absent for the built-in lab.",
            ),
            receive_buffer_drops: all.receive_buffer_drops(
                "plustwo_udp_receive_buffer_dropped_total",
                "Datagrams that the system dropped because a listener's receive buffer was full (Linux).",
            ),
            listeners: ListenerMetrics::declare(&mut all),
            message_cache: MessageCacheMetrics::declare(&mut all),
            forward: ForwardMetrics::declare(&mut all),
            process_start: all
                .single("process_start_time_seconds", "Start time of the process, in seconds since the Unix epoch."),
            declarations: all,
        };
        metrics.process_start.set(unix_seconds(SystemTime::now()));
        metrics.counts_lost.alias([], SeriesSlot::LOST);
        // Both results are exported from the start, because `rate` needs the 0 before the first failure.
        for result in ["ok", "failed"] {
            metrics.config_reloads.with([result.into()], |_| {});
        }
        metrics
    }

    /// The shards in which workers count.
    pub(super) fn shards(&self) -> &CounterShards {
        &self.declarations.shards
    }

    /// All metrics in Prometheus's text format.
    pub(super) fn render(&self) -> String {
        let families = self.declarations.registry.gather();
        TextEncoder::new().encode_to_string(&families).expect("gathered families have names and metrics")
    }

    /// The declarations, in order.
    pub(super) fn rows(&self) -> &[DeclaredMetric] {
        &self.declarations.rows
    }
}

impl ListenerMetrics {
    fn declare(all: &mut Declarations) -> Self {
        Self {
            tcp_connections: all.single(
                "plustwo_tcp_connections",
                "Open TCP connections, including those of DNS over TLS and DNS over HTTPS.",
            ),
            tcp_refused: all.single(
                "plustwo_tcp_connections_refused_total",
                "TCP connections closed immediately because a limit was reached.",
            ),
            admin_refused: all.single(
                "plustwo_admin_connections_refused_total",
                "Connections to the admin address closed because the limit was reached: the connection that \
                 had been idle longest, or the new one if all others were handling requests.",
            ),
            tcp_timeouts: all.single(
                "plustwo_tcp_timeouts_total",
                "TCP connections closed because the client neither sent nor read data in time.",
            ),
            tcp_accept_errors: all
                .single("plustwo_tcp_accept_errors_total", "TCP connections that could not be accepted."),
            tcp_send_errors: all
                .single("plustwo_tcp_send_errors_total", "TCP replies that could not be sent."),
            tls_handshake_errors: all.single(
                "plustwo_tls_handshake_errors_total",
                "Failed TLS handshakes of clients, except timeouts.",
            ),
            udp_receive_errors: all
                .single("plustwo_udp_receive_errors_total", "Errors while receiving over UDP."),
            udp_send_errors: all
                .single("plustwo_udp_send_errors_total", "UDP replies that could not be sent."),
        }
    }
}

impl PacketCacheSlots {
    fn declare(all: &mut Declarations) -> Self {
        Self {
            hits: all.counter("plustwo_packet_cache_hits_total", "Queries answered from a packet cache."),
            misses: all.counter(
                "plustwo_packet_cache_misses_total",
                "Cacheable queries for which a packet cache had no reply.",
            ),
            answers: all
                .gauge("plustwo_packet_cache_answers", "Replies in the packet caches of all workers."),
            paths: all.gauge(
                "plustwo_packet_cache_paths",
                "Annotations of cached replies for additional locations: one for each location except the \
                 first.",
            ),
            bytes: all.gauge("plustwo_packet_cache_bytes", "Estimated size of the packet caches in octets."),
        }
    }
}

impl MessageCacheMetrics {
    fn declare(all: &mut Declarations) -> Self {
        Self {
            hits: all
                .single("plustwo_message_cache_hits_total", "Questions answered from the message cache."),
            misses: all.single(
                "plustwo_message_cache_misses_total",
                "Questions for which the message cache had no fresh answer.",
            ),
            stale: all.single(
                "plustwo_message_cache_stale_answers_total",
                "Answers served after their TTL because no name server answered.",
            ),
            prefetches: all.single(
                "plustwo_message_cache_prefetches_total",
                "Answers prefetched shortly before they expired because they were used frequently.",
            ),
            entries: all.single(
                "plustwo_message_cache_entries",
                "Names in the message cache, each with its answers for all types.",
            ),
            bytes: all
                .single("plustwo_message_cache_bytes", "Estimated size of the message cache in octets."),
        }
    }
}

/// Returns all metrics as a Markdown table, for the manual.
pub fn table() -> String {
    let mut text = String::from("| Name | Type | Labels | Meaning |\n| --- | --- | --- | --- |\n");
    for row in Metrics::declare().rows() {
        let labels: Vec<String> = row.labels.iter().map(|label| format!("`{label}`")).collect();
        let _ = writeln!(text, "| `{}` | {} | {} | {} |", row.name, row.kind, labels.join(", "), row.help);
    }
    text
}

/// Converts a time to seconds since 1970; 0 for earlier times.
pub(super) fn unix_seconds(at: SystemTime) -> i64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_labels_follow_the_conventions() {
        let metrics = Metrics::declare();
        for row in metrics.rows() {
            assert!(row.name.starts_with("plustwo_") || row.name == "process_start_time_seconds", "{row:?}");
            assert_eq!(row.name.ends_with("_total"), row.kind == "counter", "{row:?}");
            assert!(row.help.ends_with('.') && !row.help.contains('|'), "{row:?}");
            for forbidden in ["qname", "name", "client", "address"] {
                assert!(!row.labels.contains(&forbidden), "{row:?}");
            }
        }
        let buckets: Vec<f64> = (0..20).map(|n| 0.000015625 * f64::from(1 << n)).collect();
        assert_eq!(DURATION_BUCKETS, buckets);
    }

    #[test]
    fn the_table_has_a_line_for_each_metric() {
        let table = table();
        assert_eq!(table.lines().count(), 2 + Metrics::declare().rows().len());
        let line = "| `plustwo_dns_responses_total` | counter | `server`, `rcode`, `source` \
                    | Replies sent, by source of the answer. |";
        assert!(table.lines().any(|l| l == line), "{table}");
    }

    #[test]
    fn metrics_without_labels_are_exported_from_the_start() {
        let text = Metrics::declare().render();
        assert!(text.contains("\nplustwo_query_log_dropped_total 0\n"), "{text}");
        assert!(text.contains("\nplustwo_config_reloads_total{result=\"failed\"} 0\n"), "{text}");
        assert!(!text.contains("plustwo_dns_requests_total"), "{text}");
    }
}
