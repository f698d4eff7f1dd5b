//! Datagrams to one name server: a lane of sockets for each runtime that asks it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::runtime::{Handle, Id};

use super::lane::Lane;
use super::message::{Failure, Outgoing};
use super::own::OwnSockets;
use super::in_flight::Reply;
use crate::observe::ServerMetrics;

/// The sockets to one server. They are opened when first needed.
///
/// A socket wakes the runtime that opened it. So each has its own, and what a worker asks it hears itself.
#[derive(Debug)]
pub(super) struct UdpPool {
    target: Arc<Target>,
    /// By runtime. Those of runtimes that ended go when the next one comes.
    lanes: RwLock<Vec<(Id, Arc<Lane>)>>,
}

/// Whom all lanes of a pool ask, and how.
#[derive(Debug)]
pub(super) struct Target {
    /// The server.
    pub server: SocketAddr,
    /// The address that questions leave from; any if `None`.
    pub source: Option<IpAddr>,
    /// Sockets of each lane.
    pub sockets: usize,
    /// After so many questions a socket is replaced by one on another port.
    pub reopen_after: usize,
    /// How long a replaced socket still waits for responses.
    pub linger: Duration,
    /// Where open sockets are known.
    pub own: Arc<OwnSockets>,
    /// What is counted of the server.
    pub metrics: Arc<ServerMetrics>,
    /// Set when a reply came after its query had timed out.
    pub late: Arc<AtomicBool>,
}

impl Target {
    /// A connected socket on a port of the system's choice, and its address.
    pub fn open(&self) -> Result<(UdpSocket, SocketAddr), Failure> {
        let any = match self.server {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let socket = std::net::UdpSocket::bind((self.source.unwrap_or(any), 0))
            .map_err(|error| Failure::of_bind(error, self.source))?;
        socket.connect(self.server)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        Ok((UdpSocket::from_std(socket)?, address))
    }
}

impl UdpPool {
    /// Nothing is open.
    pub fn new(target: Target) -> Self {
        Self { target: Arc::new(target), lanes: RwLock::default() }
    }

    /// Sends a question from a random socket and waits for its response until a point in time, or a few
    /// milliseconds longer.
    pub async fn exchange(&self, outgoing: &Arc<Outgoing>, until: Instant) -> Reply {
        let ticket = self.lane().post(outgoing, until)?;
        ticket.wait().await
    }

    /// Fails all outstanding queries as if their time-out had expired.
    pub fn time_out_all(&self) {
        let lanes = self.lanes.read().unwrap_or_else(PoisonError::into_inner);
        lanes.iter().for_each(|(_, lane)| lane.time_out_all());
    }

    /// The lane of the runtime that this is called in.
    fn lane(&self) -> Arc<Lane> {
        let here = Handle::current().id();
        let lanes = self.lanes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, lane)) = lanes.iter().find(|(id, _)| *id == here) {
            return lane.clone();
        }
        drop(lanes);
        let mut lanes = self.lanes.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread of this runtime may have been quicker.
        if let Some((_, lane)) = lanes.iter().find(|(id, _)| *id == here) {
            return lane.clone();
        }
        lanes.retain(|(_, lane)| lane.is_alive());
        let lane = Lane::start(self.target.clone());
        lanes.push((here, lane.clone()));
        lane
    }
}
