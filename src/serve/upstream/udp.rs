//! Sockets to one name server: connected ones, on ports that the system chooses at random.
//!
//! A forger must hit the port, the ID and the case of the name. A connected socket takes datagrams from the
//! server's address and port alone, and hears at once that nobody listens there.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::Notify;

use super::message::{Failure, Outgoing};
use super::waiting::{Reply, Seen, Waiting};
use crate::observe::ForwardMetrics;

/// Room for a datagram. Ours announce 1232 octets; a server that sends more than this is not understood.
const MAX_DATAGRAM: usize = 4096;

/// The sockets to one server. They are opened when first needed.
#[derive(Debug)]
pub(super) struct UdpPool {
    server: SocketAddr,
    source: Option<IpAddr>,
    to: Arc<str>,
    slots: Vec<Mutex<Option<Socket>>>,
    /// After so many questions a socket is replaced by one on another port.
    reopen_after: usize,
    /// How long a replaced socket still waits for responses.
    linger: Duration,
    metrics: ForwardMetrics,
}

/// One socket as its pool knows it. Its reader owns the other end.
#[derive(Clone, Debug)]
struct Socket {
    io: Arc<UdpSocket>,
    waiting: Arc<Waiting>,
    retired: Arc<Notify>,
}

impl UdpPool {
    pub fn new(
        server: SocketAddr,
        source: Option<IpAddr>,
        to: Arc<str>,
        (sockets, reopen_after, linger): (usize, usize, Duration),
        metrics: ForwardMetrics,
    ) -> Self {
        let slots = (0..sockets.max(1)).map(|_| Mutex::new(None)).collect();
        Self { server, source, to, slots, reopen_after, linger, metrics }
    }

    /// Sends a question from a random socket and waits for its response.
    pub async fn exchange(self: &Arc<Self>, outgoing: &Arc<Outgoing>) -> Reply {
        let socket = self.pick()?;
        let ticket = socket.waiting.open(outgoing).ok_or(Failure::Closed)?;
        socket.io.send(&outgoing.wire(ticket.id)).await?;
        ticket.wait().await
    }

    /// Whether a datagram's sender is one of these sockets: a question of ours that came back to us.
    pub fn sent_from(&self, peer: SocketAddr) -> bool {
        let is_it = |socket: &Socket| socket.io.local_addr().is_ok_and(|own| own == peer);
        (0..self.slots.len()).any(|index| self.slot(index).as_ref().is_some_and(is_it))
    }

    fn pick(self: &Arc<Self>) -> io::Result<Socket> {
        let index = rand::random_range(0..self.slots.len());
        let mut slot = self.slot(index);
        if let Some(socket) = &*slot {
            if !socket.waiting.is_closed() && socket.waiting.used() < self.reopen_after {
                return Ok(socket.clone());
            }
            socket.retired.notify_one();
        }
        let socket = self.open()?;
        *slot = Some(socket.clone());
        self.metrics.sockets(1);
        tokio::spawn(read(
            socket.clone(),
            Arc::downgrade(self),
            index,
            self.linger,
            self.to.clone(),
            self.metrics.clone(),
        ));
        Ok(socket)
    }

    fn open(&self) -> io::Result<Socket> {
        let any = match self.server {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let io = std::net::UdpSocket::bind((self.source.unwrap_or(any), 0))?;
        io.connect(self.server)?;
        io.set_nonblocking(true)?;
        Ok(Socket {
            io: Arc::new(UdpSocket::from_std(io)?),
            waiting: Arc::default(),
            retired: Arc::default(),
        })
    }

    fn slot(&self, index: usize) -> MutexGuard<'_, Option<Socket>> {
        self.slots[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UdpPool {
    fn drop(&mut self) {
        for index in 0..self.slots.len() {
            if let Some(socket) = &*self.slot(index) {
                socket.retired.notify_one();
            }
        }
    }
}

/// The life of a socket: until it hears what it did not ask for, the network fails, or it is replaced.
async fn read(
    socket: Socket,
    pool: Weak<UdpPool>,
    index: usize,
    linger: Duration,
    to: Arc<str>,
    metrics: ForwardMetrics,
) {
    let failure = tokio::select! {
        failure = receive(&socket, &to, &metrics) => failure,
        () = socket.retired.notified() => {
            let rest = receive(&socket, &to, &metrics);
            tokio::time::timeout(linger, rest).await.unwrap_or(Failure::Timeout)
        }
    };
    socket.waiting.fail(&failure);
    metrics.sockets(-1);
    if let Some(pool) = pool.upgrade() {
        let mut slot = pool.slot(index);
        if slot.as_ref().is_some_and(|current| Arc::ptr_eq(&current.io, &socket.io)) {
            *slot = None;
        }
    }
}

async fn receive(socket: &Socket, to: &Arc<str>, metrics: &ForwardMetrics) -> Failure {
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        let length = match socket.io.recv(&mut buffer).await {
            Ok(length) => length,
            Err(error) => return error.into(),
        };
        match socket.waiting.give(&buffer[..length]) {
            Seen::Ours => {}
            Seen::WrongCase => metrics.failed(to, "mismatch"),
            Seen::Mismatch => {
                metrics.failed(to, "mismatch");
                return Failure::Mismatch;
            }
        }
    }
}
