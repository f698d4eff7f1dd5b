//! Settings that take effect only at startup: listeners, the admin address, limits, the query log.

use std::net::SocketAddr;

use crate::config::{Config, QueryLog, Server};
use crate::world::{Listener, World};

/// These settings as text, for comparing a newer configuration with the one at startup.
#[derive(Debug)]
pub(super) struct FixedSettings {
    settings: Vec<(&'static str, String)>,
    listeners: Vec<ListenerAddresses>,
}

/// A listener's address, and its transports.
type ListenerAddresses = (SocketAddr, String);

impl FixedSettings {
    /// The settings of a configuration and the listeners of its world.
    pub(super) fn new(config: &Config, world: &World) -> Self {
        // Exhaustive, so that a new key must be classified.
        let Server {
            admin,
            admin_hosts,
            workers,
            trust_client_subnet: _, // belongs to the world, like `allow`
            allow: _,
            max_tcp_connections,
            max_tcp_connections_per_client,
            max_tcp_queries_in_flight,
            tcp_idle_timeout_s,
            max_waiting_queries,
            max_remembered_lookups,
            watch,
            lame_duck_s,
        } = &config.server;
        let QueryLog { to, file, rotate_at_bytes, keep, log_cache_hits } = &config.query_log;
        let admin_hosts = admin_hosts.iter().flatten().map(ToString::to_string).collect::<Vec<_>>();
        let workers = workers.map_or_else(|| "one for each core".to_owned(), |n| n.to_string());
        let mut settings = vec![
            ("[server] admin", admin.to_string()),
            ("[server] admin_hosts", admin_hosts.join(" ")),
            ("[server] workers", workers),
            ("[server] max_tcp_connections", max_tcp_connections.to_string()),
            ("[server] max_tcp_connections_per_client", max_tcp_connections_per_client.to_string()),
            ("[server] max_tcp_queries_in_flight", max_tcp_queries_in_flight.to_string()),
            ("[server] tcp_idle_timeout_s", tcp_idle_timeout_s.to_string()),
            ("[server] max_waiting_queries", max_waiting_queries.to_string()),
            ("[server] max_remembered_lookups", max_remembered_lookups.to_string()),
            ("[server] watch", watch.to_string()),
            ("[server] lame_duck_s", lame_duck_s.to_string()),
            ("[query_log] to", format!("{:?}", to.value()).to_lowercase()),
            ("[query_log] file", file.clone().unwrap_or_else(|| "none".to_owned())),
            ("[query_log] rotate_at_bytes", rotate_at_bytes.to_string()),
            ("[query_log] keep", keep.to_string()),
            ("[query_log] log_cache_hits", log_cache_hits.to_string()),
        ];
        let cache = &config.message_cache;
        settings.extend([
            ("[packet_cache] max_bytes", config.packet_cache.max_bytes.to_string()),
            ("[message_cache] max_bytes", cache.max_bytes.to_string()),
            ("[message_cache] serve_stale_s", cache.serve_stale_s.to_string()),
            ("[message_cache] prefetch", cache.prefetch.to_string()),
        ]);
        let listeners = world
            .settings
            .listeners
            .iter()
            .map(|listener| (listener.address, transports(listener)))
            .collect();
        Self { settings, listeners }
    }

    /// The differences from a newer configuration, one per line. Empty if no restart is needed.
    pub(super) fn pending_changes(&self, newer: &Self) -> Vec<String> {
        let pairs = self.settings.iter().zip(&newer.settings).filter(|(old, new)| old != new);
        let mut pending: Vec<String> =
            pairs.map(|((name, old), (_, new))| format!("{name}: {old} → {new}")).collect();
        let listeners =
            |of: &[ListenerAddresses], without: &[ListenerAddresses], what: &str| -> Vec<String> {
                let listener = |(address, transports): &ListenerAddresses| {
                    format!("[[listener]] {address} {transports}: {what}")
                };
                of.iter().filter(|listener| !without.contains(listener)).map(listener).collect()
            };
        pending.extend(listeners(&self.listeners, &newer.listeners, "still open"));
        pending.extend(listeners(&newer.listeners, &self.listeners, "not yet open"));
        pending
    }
}

/// The transports of a listener as text.
fn transports(listener: &Listener) -> String {
    let path = listener.http_path().map(|path| format!(" {path}")).unwrap_or_default();
    format!("{}{path}", listener.transports().join(" "))
}
