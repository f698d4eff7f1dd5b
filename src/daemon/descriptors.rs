//! File descriptors of the process: one pool, divided among their users.
//!
//! Listeners, client connections, the admin address, files and sockets to name servers share the limit on
//! open files (`RLIMIT_NOFILE`). Clients determine the number of connections, so without a bound below that
//! limit, idle connections would use up the descriptors that forwarding needs. At startup, the soft limit is
//! raised to the hard limit and the pool is divided:
//!
//! ```text
//!  limit ─┬─ open at startup: listeners, runtimes, logs
//!         ├─ MARGIN: files that a reload reads, connections that are being closed, …
//!         ├─ admin connections
//!         ├─ sockets to name servers: as many as the configuration at startup can open
//!         └─ client connections: the rest, at most `max_tcp_connections`
//! ```

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::admin;
use crate::config;
use crate::world::{Listener, ListenerTransport, ServerTransport, World};

/// Descriptors that have no share of their own: files that a reload reads, standard streams, the file watch,
/// accepted connections that are closed immediately, replaced sockets to name servers that still wait for
/// responses.
const MARGIN: usize = 32;

/// Descriptors of a worker's runtime: epoll, waker and timer.
const PER_RUNTIME: usize = 4;

/// UDP sockets of one runtime to one name server, if not reduced: the default of
/// [`UpstreamOptions`](crate::serve::upstream::UpstreamOptions).
const SOCKETS_PER_SERVER: usize = 64;

/// Connections to one name server: the current one, and one that is being replaced.
const STREAMS_PER_SERVER: usize = 2;

/// Divisor: clients get at least this part of the available descriptors, regardless of the number of
/// name servers.
const CLIENT_SHARE_DIVISOR: usize = 4;

/// Divisor: the admin address gets at most this part of the available descriptors.
const ADMIN_SHARE_DIVISOR: usize = 8;

/// Raises the soft limit on open files to the hard limit, and returns the resulting limit. `None` if the
/// system does not report it.
pub(super) fn raise_limit() -> Option<usize> {
    let (soft, hard) = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok(limits) => limits,
        Err(error) => {
            tracing::warn!(%error, "Cannot read the limit on open files.");
            return None;
        }
    };
    let mut limit = soft;
    if soft < hard {
        match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
            Ok(()) => {
                tracing::info!(
                    from = soft,
                    to = hard,
                    "Raised the soft limit on open files to the hard limit."
                );
                limit = hard;
            }
            Err(error) => {
                tracing::warn!(soft, hard, %error, "Cannot raise the soft limit on open files.");
            }
        }
    }
    Some(usize::try_from(limit).unwrap_or(usize::MAX))
}

/// The demand for descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Demand {
    /// Descriptors open at startup, and those of listeners, runtimes, the query log and the watch.
    pub fixed: usize,
    /// Maximum number of client connections: `max_tcp_connections`.
    pub connections: usize,
    /// Name servers that are queried over UDP.
    pub udp_servers: usize,
    /// All name servers, each of which may have connections.
    pub servers: usize,
    /// Runtimes that query them, each with its own sockets: one per worker and the main one.
    pub runtimes: usize,
}

/// The division of the descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shares {
    /// Client connections of all transports together.
    pub connections: usize,
    /// Connections to the admin address.
    pub admin: usize,
    /// UDP sockets of one runtime to one name server.
    pub sockets_per_server: usize,
}

impl Demand {
    /// The demand of a configuration with a number of workers. `open` descriptors are open already.
    pub(super) fn new(server: &config::Server, world: &World, workers: usize, open: usize) -> Self {
        let (udp_servers, servers) = name_servers(world);
        let listeners: usize =
            world.settings.listeners.iter().map(|listener| sockets_of(listener, workers)).sum();
        let runtimes = workers + 1;
        Self {
            // The admin listener, the query log's file and its successor, the file watch.
            fixed: open + listeners + workers * PER_RUNTIME + 4,
            connections: server.max_tcp_connections as usize,
            udp_servers,
            servers,
            runtimes,
        }
    }

    /// Divides a limit. Client connections are reduced first, to no less than a quarter of the available
    /// descriptors; then sockets to name servers, since fewer make it easier to forge a response.
    pub(super) fn divide(&self, limit: usize) -> Shares {
        let spare = limit.saturating_sub(self.fixed + MARGIN);
        let admin = admin::MAX_CONNECTIONS.min(spare / ADMIN_SHARE_DIVISOR).max(1);
        let spare = spare.saturating_sub(admin);
        let least = self.connections.min(spare / CLIENT_SHARE_DIVISOR);
        let upstream = self.upstream(SOCKETS_PER_SERVER);
        let connections = self.connections.min(spare.saturating_sub(upstream).max(least));
        let for_udp = spare.saturating_sub(connections + self.servers * STREAMS_PER_SERVER);
        let socket_pools = (self.udp_servers * self.runtimes).max(1);
        let sockets_per_server = (for_udp / socket_pools).clamp(1, SOCKETS_PER_SERVER);
        Shares { connections, admin, sockets_per_server }
    }

    /// The number of sockets to name servers, for a number of UDP sockets per runtime and server.
    fn upstream(&self, sockets_per_server: usize) -> usize {
        let udp = self.udp_servers.saturating_mul(self.runtimes).saturating_mul(sockets_per_server);
        udp.saturating_add(self.servers * STREAMS_PER_SERVER)
    }

    /// The lowest limit at which nothing is reduced.
    pub(super) fn sufficient_limit(&self) -> usize {
        let upstream = self.upstream(SOCKETS_PER_SERVER);
        // The admin address gets at most an eighth of the available descriptors, which sets a lower bound.
        let divided = (self.connections + upstream + admin::MAX_CONNECTIONS)
            .max(admin::MAX_CONNECTIONS * ADMIN_SHARE_DIVISOR);
        self.fixed + MARGIN + divided
    }
}

/// Raises the limit on open files and divides it for a configuration. If it is too low, a warning states the
/// resulting bounds and the limit that would be sufficient.
pub(super) fn shares(server: &config::Server, world: &World, workers: usize) -> Shares {
    let Some(limit) = raise_limit() else {
        return Shares {
            connections: server.max_tcp_connections as usize,
            admin: admin::MAX_CONNECTIONS,
            sockets_per_server: SOCKETS_PER_SERVER,
        };
    };
    let demand = Demand::new(server, world, workers, open_now());
    let shares = demand.divide(limit);
    if shares.connections < demand.connections || shares.sockets_per_server < SOCKETS_PER_SERVER {
        tracing::warn!(
            limit,
            wanted = demand.sufficient_limit(),
            max_tcp_connections = demand.connections,
            connections = shares.connections,
            sockets_per_server = shares.sockets_per_server,
            "The limit on open files ({limit}) is too low for max_tcp_connections = {} and the sockets to name \
             servers: at most {} client connections are accepted. Raise the limit to {} (LimitNOFILE= in the \
             unit, ulimit -n), or lower max_tcp_connections.",
            demand.connections,
            shares.connections,
            demand.sufficient_limit(),
        );
    }
    shares
}

/// Name servers to which a configuration sends queries, counted once per source address: those over UDP, and
/// all.
fn name_servers(world: &World) -> (usize, usize) {
    let (mut udp, mut all) = (0, 0);
    for upstream in world.names.upstreams.iter() {
        let sources = upstream.identity.sources.len().max(1);
        // Simulated servers need no sockets.
        let servers = upstream.identity.servers.iter();
        for server in
            servers.filter(|server| !world.names.simulated_servers.contains_key(&server.address.ip()))
        {
            all += sources;
            udp += if server.transport == ServerTransport::Udp { sources } else { 0 };
        }
    }
    (udp, all)
}

/// The sockets that a listener opens.
fn sockets_of(listener: &Listener, workers: usize) -> usize {
    match listener.transport {
        ListenerTransport::Plain { udp, tcp } => usize::from(udp) * workers + usize::from(tcp),
        // The listener and a copy of it.
        ListenerTransport::Dot(_) | ListenerTransport::Doh { .. } => 2,
    }
}

/// Number of open descriptors; an estimate if the system does not report it.
fn open_now() -> usize {
    const ESTIMATE: usize = 16;
    std::fs::read_dir("/proc/self/fd").map_or(ESTIMATE, |open| open.count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::upstream::UpstreamOptions;

    #[test]
    fn sockets_per_server_is_the_default_of_upstream_options() {
        assert_eq!(UpstreamOptions::default().sockets_per_server, SOCKETS_PER_SERVER);
    }

    /// One name server over UDP, two workers.
    const DEMAND: Demand = Demand { fixed: 40, connections: 1024, udp_servers: 1, servers: 1, runtimes: 3 };

    #[test]
    fn a_high_limit_reduces_nothing() {
        let full = Shares { connections: 1024, admin: 64, sockets_per_server: 64 };
        assert_eq!(DEMAND.divide(65_536), full);
        assert_eq!(DEMAND.divide(DEMAND.sufficient_limit()), full);
        assert_eq!(DEMAND.divide(usize::MAX), full);
        let none = Demand { udp_servers: 0, servers: 0, connections: 10, ..DEMAND };
        assert_eq!(none.divide(none.sufficient_limit()), Shares { connections: 10, ..full });
    }

    #[test]
    fn a_low_limit_reduces_connections_before_sockets() {
        let shares = DEMAND.divide(1024);
        assert_eq!(shares.sockets_per_server, 64);
        assert_eq!(shares.connections, 1024 - 40 - MARGIN - 64 - 194);
    }

    #[test]
    fn the_shares_fit_into_any_sufficient_limit() {
        for servers in [0, 1, 2, 10, 300] {
            for limit in (100..3000).chain([65_536]) {
                let demand = Demand { udp_servers: servers, servers, ..DEMAND };
                let shares = demand.divide(limit);
                assert!(shares.admin >= 1 && shares.sockets_per_server >= 1);
                let taken = demand.fixed
                    + MARGIN
                    + shares.admin
                    + shares.connections
                    + demand.upstream(shares.sockets_per_server);
                // The minimum is one socket per runtime and server.
                let least = demand.fixed + MARGIN + 1 + demand.upstream(1);
                let least = least + (limit.saturating_sub(demand.fixed + MARGIN)) / CLIENT_SHARE_DIVISOR + 64;
                assert!(taken <= limit.max(least), "{servers} {limit}: {shares:?} take {taken}");
            }
        }
    }
}
