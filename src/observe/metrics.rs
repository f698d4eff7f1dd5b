//! Every metric, declared once: name, labels, HELP.
//!
//! Labels come from closed sets or from ids that the configuration declares, never from a question or
//! a client's address, so the number of series is bounded by what was configured while the process
//! lives. `server` is a listener's address as written.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::{IntCounter, IntGauge, TextEncoder};

use super::counted::{Counters, Scale, Spreads};
use super::family::{Declarations, Family, Row};
use super::forward::ForwardMetrics;
use super::receive_buffers::ReceiveBuffers;
use super::shard::{Slot, CounterShards};

/// Seconds: those of CoreDNS, 0.25 ms and its doublings, and four below.
pub(super) const DURATIONS: &[f64] = &[
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

/// The same in nanoseconds, which is what workers count.
const NANOSECONDS: Scale = Scale {
    bounds: &{
        let mut bounds = [15_625; 20];
        let mut at = 0;
        while at < bounds.len() {
            bounds[at] <<= at;
            at += 1;
        }
        bounds
    },
    per_unit: 1e9,
};

/// Octets: those of CoreDNS.
const OCTETS: Scale = Scale {
    bounds: &[0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16_000, 32_000, 48_000, 64_000],
    per_unit: 1.0,
};

/// All metrics. What each one says is its HELP in [`Metrics::declare`].
#[derive(Debug)]
pub struct Metrics {
    declarations: Declarations,
    pub dns_requests: Counters<4>,
    pub dns_responses: Counters<3>,
    pub dns_request_duration: Spreads<1>,
    pub dns_request_size: Spreads<2>,
    pub dns_response_size: Spreads<2>,
    pub dns_dropped: Counters<3>,
    pub egress_answers: Counters<4>,
    pub egress_reasons: Counters<3>,
    pub endpoint_answers: Counters<4>,
    pub implied_connections: Counters<5>,
    pub lower_bound_clients: Family<1, IntGauge>,
    pub lookups_remembered: Slot,
    pub lookup_table_full: Slot,
    pub lower_bound_samples_dropped: IntCounter,
    pub packet_cache: PacketCacheSlots,
    pub query_log_dropped: IntCounter,
    counts_lost: Counters<0>,
    pub build_info: Family<1, IntGauge>,
    pub config_info: Family<1, IntGauge>,
    pub config_reloads: Family<1, IntCounter>,
    pub config_last_reload_success: IntGauge,
    pub world_objects: Family<1, IntGauge>,
    pub world_source_timestamp: Family<0, IntGauge>,
    pub receive_buffers: ReceiveBuffers,
    pub listeners: ListenerMetrics,
    pub message_cache: MessageCacheMetrics,
    pub forward: ForwardMetrics,
    process_start: IntGauge,
}

/// What doors count themselves, because it is not about one query.
#[derive(Clone, Debug)]
pub struct ListenerMetrics {
    /// TCP connections that are open now, those of DNS over TLS and over HTTPS included.
    pub tcp_connections: IntGauge,
    /// TCP connections that were closed at once because as many as may be were open.
    pub tcp_refused: IntCounter,
    /// Connections to the admin address that were closed because as many as may be were open.
    pub admin_refused: IntCounter,
    /// TCP connections that were closed because the client neither sent nor read in time.
    pub tcp_timeouts: IntCounter,
    /// Connections that the system failed to hand over.
    pub tcp_accept_errors: IntCounter,
    /// TCP replies that could not be sent.
    pub tcp_send_errors: IntCounter,
    /// TLS handshakes that failed: not TLS, no common version or protocol, a certificate that the client rejects.
    pub tls_handshake_errors: IntCounter,
    /// Failures to receive datagrams.
    pub udp_receive_errors: IntCounter,
    /// UDP replies that the system refused to send.
    pub udp_send_errors: IntCounter,
}

/// What packet caches count.
#[derive(Clone, Copy, Debug)]
pub struct PacketCacheSlots {
    /// Queries answered out of it.
    pub hits: Slot,
    /// Questions that it might have had and had not.
    pub misses: Slot,
    /// Answers in it.
    pub answers: Slot,
    /// Ways out told with them.
    pub paths: Slot,
    /// What both weigh, in octets.
    pub bytes: Slot,
}

/// What the message cache counts itself.
#[derive(Clone, Debug)]
pub struct MessageCacheMetrics {
    /// Questions answered out of it.
    pub hits: IntCounter,
    /// Questions that it had no fresh answer to.
    pub misses: IntCounter,
    /// Answers served past their TTL, because nobody answered.
    pub stale: IntCounter,
    /// Answers fetched anew before they ended.
    pub prefetches: IntCounter,
    /// Answers in it.
    pub entries: IntGauge,
    /// What they weigh, in octets.
    pub bytes: IntGauge,
}

impl Metrics {
    /// Declares them all. Nothing is shared with another set of metrics in the process.
    pub fn declare() -> Self {
        let mut all = Declarations::default();
        let metrics = Self {
            dns_requests: all.counters(
                "plustwo_dns_requests_total",
                &["server", "transport", "family", "type"],
                "Queries received, those turned away included. `family` (`ipv4`, `ipv6`) is the transport's; `type` \
                 is `other` for types without a mnemonic here, for CHAOS and for what could not be read.",
            ),
            dns_responses: all.counters(
                "plustwo_dns_responses_total",
                &["server", "rcode", "source"],
                "Replies sent, by what answered.",
            ),
            dns_request_duration: all.spreads(
                "plustwo_dns_request_duration_seconds",
                &["server"],
                NANOSECONDS,
                "Time from reading a query to having its reply; of queries that were read together, to having all \
                 their replies.",
            ),
            dns_request_size: all.spreads(
                "plustwo_dns_request_size_bytes",
                &["server", "transport"],
                OCTETS,
                "Size of queries.",
            ),
            dns_response_size: all.spreads(
                "plustwo_dns_response_size_bytes",
                &["server", "transport"],
                OCTETS,
                "Size of replies, without the padding of encrypted transports.",
            ),
            dns_dropped: all.counters(
                "plustwo_dns_dropped_total",
                &["server", "transport", "reason"],
                "Messages that got no reply. They are counted here and nowhere else.",
            ),
            egress_answers: all.counters(
                "plustwo_egress_answers_total",
                &["client_vpc_id", "client_subnet_id", "path", "reach"],
                "Answers by the way out they imply, once for each distinct path and reach of an answer. A site or \
                 `outside` stands in `client_subnet_id`, with no `client_vpc_id`; `path` is `none`, with no `reach`, \
                 for an answer without addresses.",
            ),
            egress_reasons: all.counters(
                "plustwo_egress_reasons_total",
                &["client_vpc_id", "client_subnet_id", "reason"],
                "Answers by the reasons told with their paths, once for each distinct reason of an answer.",
            ),
            endpoint_answers: all.counters(
                "plustwo_endpoint_answers_total",
                &["endpoint_type", "service_name", "vpc_endpoint_id", "vpc_id"],
                "Answers that lead to a VPC endpoint, once for each endpoint of an answer. `vpc_id` is the endpoint's.",
            ),
            implied_connections: all.counters(
                "plustwo_privatelink_implied_new_connections_total",
                &["endpoint_type", "service_name", "vpc_endpoint_id", "vpc_id", "subnet_id"],
                "Connections through interface endpoints, estimated from look-ups. `vpc_id` and `subnet_id` are the \
                 endpoint's, as in CloudWatch.",
            ),
            lower_bound_clients: all.family(
                "plustwo_privatelink_lower_bound_clients",
                &["vpc_endpoint_id"],
                "Clients of the last hour that may cache, for which the implied connections are a lower bound only.",
            ),
            lookups_remembered: all.level(
                "plustwo_lookups_remembered",
                "Look-ups remembered to tell a retransmission from a new one.",
            ),
            lookup_table_full: all.counter(
                "plustwo_lookup_table_full_total",
                "Look-ups counted without being remembered, because as many as may be were.",
            ),
            lower_bound_samples_dropped: all.single(
                "plustwo_lower_bound_samples_dropped_total",
                "Look-ups that were not looked at when caching clients were told from others.",
            ),
            counts_lost: all.counters(
                "plustwo_counts_lost_total",
                &[],
                "Counts that found no series, because there are as many as may be: about a million.",
            ),
            packet_cache: PacketCacheSlots::declare(&mut all),
            query_log_dropped: all.single(
                "plustwo_query_log_dropped_total",
                "Records missing in the query log: it could not be written, or not fast enough.",
            ),
            build_info: all.family("plustwo_build_info", &["version"], "Always 1; the program's version."),
            config_info: all.family(
                "plustwo_config_info",
                &["hash"],
                "Always 1; the hash of the texts of the configuration in use.",
            ),
            config_reloads: all.family(
                "plustwo_config_reloads_total",
                &["result"],
                "Reloads of the configuration: `ok`, or `failed` and the old one kept.",
            ),
            config_last_reload_success: all.single(
                "plustwo_config_last_reload_success_timestamp_seconds",
                "When a configuration was last taken into use, in seconds since 1970.",
            ),
            world_objects: all.family(
                "plustwo_world_objects",
                &["kind"],
                "Objects of the configuration in use.",
            ),
            world_source_timestamp: all.family(
                "plustwo_world_source_timestamp_seconds",
                &[],
                "When the newest file of the configuration in use was last changed, in seconds since 1970. Absent for \
                 the built-in lab.",
            ),
            receive_buffers: all.receive_buffers(
                "plustwo_udp_receive_buffer_dropped_total",
                "Datagrams that the system dropped because a listener's receive buffer was full (Linux).",
            ),
            listeners: ListenerMetrics::declare(&mut all),
            message_cache: MessageCacheMetrics::declare(&mut all),
            forward: ForwardMetrics::declare(&mut all),
            process_start: all.single("process_start_time_seconds", "When the process began, in seconds since 1970."),
            declarations: all,
        };
        metrics.process_start.set(unix_seconds(SystemTime::now()));
        metrics.counts_lost.stand_for([], Slot::LOST);
        // Both results from the start: a rate needs the 0 before the first failure.
        for result in ["ok", "failed"] {
            metrics.config_reloads.with([result.into()], |_| {});
        }
        metrics
    }

    /// Where workers count.
    pub fn tallies(&self) -> &CounterShards {
        &self.declarations.tallies
    }

    /// All of them in Prometheus's text format.
    pub fn render(&self) -> String {
        let families = self.declarations.registry.gather();
        TextEncoder::new().encode_to_string(&families).expect("gathered families have names and metrics")
    }

    /// What was declared, in order.
    pub fn rows(&self) -> &[Row] {
        &self.declarations.rows
    }
}

impl ListenerMetrics {
    fn declare(all: &mut Declarations) -> Self {
        Self {
            tcp_connections: all.single(
                "plustwo_tcp_connections",
                "TCP connections open now, those of DNS over TLS and over HTTPS included.",
            ),
            tcp_refused: all.single(
                "plustwo_tcp_connections_refused_total",
                "TCP connections closed at once, because as many as may be were open.",
            ),
            admin_refused: all.single(
                "plustwo_admin_connections_refused_total",
                "Connections to the admin address closed because as many as may be were open: the one that was idle \
                 longest, or the new one where all were handling requests.",
            ),
            tcp_timeouts: all.single(
                "plustwo_tcp_timeouts_total",
                "TCP connections closed because the client neither sent nor read in time.",
            ),
            tcp_accept_errors: all
                .single("plustwo_tcp_accept_errors_total", "TCP connections that could not be accepted."),
            tcp_send_errors: all
                .single("plustwo_tcp_send_errors_total", "TCP replies that could not be sent."),
            tls_handshake_errors: all.single(
                "plustwo_tls_handshake_errors_total",
                "TLS handshakes of clients that failed, those that took too long excepted.",
            ),
            udp_receive_errors: all
                .single("plustwo_udp_receive_errors_total", "Failures to receive over UDP."),
            udp_send_errors: all
                .single("plustwo_udp_send_errors_total", "UDP replies that could not be sent."),
        }
    }
}

impl PacketCacheSlots {
    fn declare(all: &mut Declarations) -> Self {
        Self {
            hits: all.counter("plustwo_packet_cache_hits_total", "Queries answered out of a packet cache."),
            misses: all.counter(
                "plustwo_packet_cache_misses_total",
                "Queries of the plain kind that packet caches keep, and had no reply to.",
            ),
            answers: all
                .level("plustwo_packet_cache_answers", "Answers in the packet caches of all workers."),
            paths: all.level(
                "plustwo_packet_cache_paths",
                "What is told of answers in the packet caches at further places: once for each place but the first.",
            ),
            bytes: all
                .level("plustwo_packet_cache_bytes", "What the packet caches hold, in octets, estimated."),
        }
    }
}

impl MessageCacheMetrics {
    fn declare(all: &mut Declarations) -> Self {
        Self {
            hits: all
                .single("plustwo_message_cache_hits_total", "Questions answered out of the message cache."),
            misses: all.single(
                "plustwo_message_cache_misses_total",
                "Questions that the message cache had no fresh answer to.",
            ),
            stale: all.single(
                "plustwo_message_cache_stale_answers_total",
                "Answers served past their TTL, because no server answered.",
            ),
            prefetches: all.single(
                "plustwo_message_cache_prefetches_total",
                "Answers fetched anew shortly before they ended, because they were asked for often.",
            ),
            entries: all.single(
                "plustwo_message_cache_entries",
                "Names in the message cache, each with its answers for all types.",
            ),
            bytes: all
                .single("plustwo_message_cache_bytes", "What the message cache holds, in octets, estimated."),
        }
    }
}

/// All metrics as a Markdown table, for the manual.
pub fn table() -> String {
    let mut text = String::from("| Name | Type | Labels | Meaning |\n| --- | --- | --- | --- |\n");
    for row in Metrics::declare().rows() {
        let labels: Vec<String> = row.labels.iter().map(|label| format!("`{label}`")).collect();
        let _ = writeln!(text, "| `{}` | {} | {} | {} |", row.name, row.kind, labels.join(", "), row.help);
    }
    text
}

/// Whole seconds since 1970; 0 before it.
pub fn unix_seconds(at: SystemTime) -> i64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_labels_keep_the_conventions() {
        let metrics = Metrics::declare();
        for row in metrics.rows() {
            assert!(row.name.starts_with("plustwo_") || row.name == "process_start_time_seconds", "{row:?}");
            assert_eq!(row.name.ends_with("_total"), row.kind == "counter", "{row:?}");
            assert!(row.help.ends_with('.') && !row.help.contains('|'), "{row:?}");
            for never in ["qname", "name", "client", "address"] {
                assert!(!row.labels.contains(&never), "{row:?}");
            }
        }
        let buckets: Vec<f64> = (0..20).map(|n| 0.000015625 * f64::from(1 << n)).collect();
        assert_eq!(DURATIONS, buckets);
    }

    #[test]
    fn the_table_has_a_line_for_each_metric() {
        let table = table();
        assert_eq!(table.lines().count(), 2 + Metrics::declare().rows().len());
        let line = "| `plustwo_dns_responses_total` | counter | `server`, `rcode`, `source` \
                    | Replies sent, by what answered. |";
        assert!(table.lines().any(|l| l == line), "{table}");
    }

    #[test]
    fn singles_are_there_before_anything_happened() {
        let text = Metrics::declare().render();
        assert!(text.contains("\nplustwo_query_log_dropped_total 0\n"), "{text}");
        assert!(text.contains("\nplustwo_config_reloads_total{result=\"failed\"} 0\n"), "{text}");
        assert!(!text.contains("plustwo_dns_requests_total"), "{text}");
    }
}
