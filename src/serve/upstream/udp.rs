//! UDP to one name server: a pool of sockets for each runtime.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::runtime::{Handle, Id};

use super::in_flight::ExchangeResult;
use super::local_sockets::LocalSockets;
use super::message::{Failure, OutgoingQuery};
use super::socket_pool::SocketPool;
use crate::observe::ServerMetrics;

/// The sockets to one server. They are opened when first needed.
///
/// A socket wakes the runtime that opened it. Each runtime therefore has its own sockets, and a worker
/// receives the responses to its own queries.
#[derive(Debug)]
pub(super) struct UdpPool {
    target: Arc<SocketTarget>,
    /// The pools by runtime. Pools of runtimes that have ended are removed when another one is added.
    pools: RwLock<Vec<(Id, Arc<SocketPool>)>>,
}

/// The server and the settings that all pools share.
#[derive(Debug)]
pub(super) struct SocketTarget {
    /// The server.
    pub server: SocketAddr,
    /// The source address; any if `None`.
    pub source: Option<IpAddr>,
    /// Number of sockets per pool.
    pub sockets: usize,
    /// A socket is replaced by one on another port after this many queries.
    pub reopen_after: usize,
    /// How long a replaced socket waits for responses.
    pub linger: Duration,
    /// The registry of open sockets.
    pub local_sockets: Arc<LocalSockets>,
    /// The metrics of the server.
    pub metrics: Arc<ServerMetrics>,
    /// Set when a reply arrives after its query has timed out.
    pub late: Arc<AtomicBool>,
}

impl SocketTarget {
    /// Opens a connected socket on a port assigned by the system. Returns it with its local address.
    pub(super) fn open(&self) -> Result<(UdpSocket, SocketAddr), Failure> {
        let any = match self.server {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let socket = std::net::UdpSocket::bind((self.source.unwrap_or(any), 0))
            .map_err(|error| Failure::from_bind_error(error, self.source))?;
        socket.connect(self.server)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        Ok((UdpSocket::from_std(socket)?, address))
    }
}

impl UdpPool {
    /// Creates an empty set; no sockets are open.
    pub(super) fn new(target: SocketTarget) -> Self {
        Self { target: Arc::new(target), pools: RwLock::default() }
    }

    /// Sends a query from a random socket and waits for its response until `until`, or a few milliseconds
    /// longer.
    pub(super) async fn exchange(&self, outgoing: &Arc<OutgoingQuery>, until: Instant) -> ExchangeResult {
        let ticket = self.pool_of_runtime().send(outgoing, until)?;
        ticket.wait().await
    }

    /// Fails all outstanding queries as if their timeout had expired.
    pub(super) fn time_out_all(&self) {
        let pools = self.pools.read().unwrap_or_else(PoisonError::into_inner);
        pools.iter().for_each(|(_, pool)| pool.time_out_all());
    }

    /// The pool of the current runtime.
    fn pool_of_runtime(&self) -> Arc<SocketPool> {
        let runtime = Handle::current().id();
        let pools = self.pools.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pool)) = pools.iter().find(|(id, _)| *id == runtime) {
            return pool.clone();
        }
        drop(pools);
        let mut pools = self.pools.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread of this runtime may have created it.
        if let Some((_, pool)) = pools.iter().find(|(id, _)| *id == runtime) {
            return pool.clone();
        }
        pools.retain(|(_, pool)| pool.is_alive());
        let pool = SocketPool::start(self.target.clone());
        pools.push((runtime, pool.clone()));
        pool
    }
}
