//! The sockets of one runtime to one name server: connected, on ports that the system assigns at random.
//!
//! ```text
//!  send ─▶ outbox ──▶ flush at the end of the batch ─▶ one socket of 64, at random
//!    │                                                         │
//!    └─▶ in_flight ◀── deliver ◀── inbox ◀── one reader each ◀─┘
//! ```
//!
//! An off-path attacker must guess the port, the ID and the case of the name. A connected socket receives
//! datagrams only from the server's address and port, and reports an error immediately if the server's port
//! is closed.
//!
//! A batch consists of the queries that the runtime processes before it polls the system for events. They
//! are sent with one call from one randomly selected socket, so that their responses are received together
//! and read with one call.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Sleep, sleep};

use super::in_flight::{Delivery, QueryTable, Ticket};
use super::message::{Failure, OutgoingQuery};
use super::udp::SocketTarget;
use crate::serve::datagrams::{Backend, Inbox, Outbox};

/// Buffer size for a datagram. Queries announce 1232 octets; replies longer than the buffer are truncated.
const MAX_DATAGRAM: usize = 4096;

/// Maximum number of responses per receive call.
const RECEIVE_BATCH: usize = 64;

/// Maximum number of queries sent together from one socket: they fit into its send buffer.
const SEND_BATCH: usize = 64;

/// After this many replies that match no query, a socket is closed. This limits the guesses of an attacker
/// per port.
const MAX_MISMATCHES: u32 = 16;

/// Interval at which queries that have timed out are expired. A timer per query would cost more.
const SWEEP: Duration = Duration::from_millis(20);

/// The sockets of one runtime to one server. They are opened when first needed.
#[derive(Debug)]
pub(super) struct SocketPool {
    target: Arc<SocketTarget>,
    state: Mutex<PoolState>,
    /// Shared by all sockets, so that the buffers are likely to be in the CPU cache.
    inbox: Mutex<Inbox>,
    /// Notified when a batch begins.
    batch_started: Arc<Notify>,
    /// The task that flushes batches and expires queries.
    flusher: OnceLock<AbortHandle>,
}

/// The mutable state.
#[derive(Debug)]
struct PoolState {
    /// The sockets that queries are sent from.
    slots: Vec<Option<Socket>>,
    /// The slot of the socket for the current batch. `None` if the outbox is empty.
    batch_slot: Option<usize>,
    outbox: Outbox,
    /// Replaced sockets, and until when they wait for responses.
    retired: Vec<(Instant, Socket)>,
}

/// A socket of the pool. Dropping it ends its reader.
#[derive(Debug)]
struct Socket {
    io: Arc<UdpSocket>,
    in_flight: Arc<QueryTable>,
    reader: AbortHandle,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl SocketPool {
    /// Creates a pool for the current runtime.
    pub(super) fn start(target: Arc<SocketTarget>) -> Arc<Self> {
        let state = PoolState {
            slots: (0..target.sockets.max(1)).map(|_| None).collect(),
            batch_slot: None,
            outbox: Outbox::new(Backend::best(), true),
            retired: Vec::new(),
        };
        let pool = Arc::new(Self {
            target,
            state: Mutex::new(state),
            inbox: Mutex::new(Inbox::new(Backend::best(), RECEIVE_BATCH, MAX_DATAGRAM)),
            batch_started: Arc::default(),
            flusher: OnceLock::new(),
        });
        let flusher = tokio::spawn(run_pool(Arc::downgrade(&pool), pool.batch_started.clone()));
        pool.flusher.get_or_init(|| flusher.abort_handle());
        pool
    }

    /// Whether its runtime is running.
    pub(super) fn is_alive(&self) -> bool {
        self.flusher.get().is_some_and(|flusher| !flusher.is_finished())
    }

    /// Sends a query with the current batch. It times out at `until`, or up to one sweep interval later.
    pub(super) fn send(
        self: &Arc<Self>,
        outgoing: &Arc<OutgoingQuery>,
        until: Instant,
    ) -> Result<Ticket, Failure> {
        let mut state = self.lock();
        let ticket = self.register(&mut state, outgoing, until)?;
        outgoing.append(ticket.id, state.outbox.buffer());
        state.outbox.commit(None, None);
        match state.outbox.len() {
            1 => self.batch_started.notify_one(),
            SEND_BATCH => state.flush(),
            _ => {}
        }
        Ok(ticket)
    }

    /// Registers a query with the socket of the current batch. Selects the socket if this is the first
    /// query of the batch.
    fn register(
        self: &Arc<Self>,
        state: &mut PoolState,
        outgoing: &Arc<OutgoingQuery>,
        until: Instant,
    ) -> Result<Ticket, Failure> {
        let slot = state.batch_slot.unwrap_or_else(|| rand::random_range(0..state.slots.len()));
        if let Some(socket) = &state.slots[slot] {
            if let Some(ticket) = socket.in_flight.register(outgoing, until) {
                state.batch_slot = Some(slot);
                return Ok(ticket);
            }
            // The socket accepts no more queries. Send those in the outbox from it before it is replaced.
            state.flush();
            state.retire(slot, self.target.linger);
        }
        let socket = self.open_socket(slot)?;
        let ticket = socket.in_flight.register(outgoing, until).ok_or(Failure::Closed)?;
        state.slots[slot] = Some(socket);
        state.batch_slot = Some(slot);
        Ok(ticket)
    }

    /// Opens a socket and starts its reader.
    fn open_socket(self: &Arc<Self>, slot: usize) -> Result<Socket, Failure> {
        let (io, address) = self.target.open()?;
        let (io, in_flight) = (Arc::new(io), Arc::new(QueryTable::new(self.target.reopen_after)));
        let reader = SocketReader {
            io: io.clone(),
            address,
            in_flight: in_flight.clone(),
            slot,
            pool: Arc::downgrade(self),
            target: self.target.clone(),
        };
        self.target.local_sockets.add(address);
        self.target.metrics.sockets(1);
        let reader = tokio::spawn(reader.run()).abort_handle();
        Ok(Socket { io, in_flight, reader })
    }

    /// Reads the waiting datagrams of a socket and delivers them. `interest` is the event that occurred:
    /// readable or error.
    fn receive(&self, io: &UdpSocket, in_flight: &QueryTable, interest: Interest) -> Result<(), Failure> {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        let mut received = 0;
        let result = io.try_io(interest, || {
            received = inbox.receive(io.as_fd(), false)?;
            // A partial batch means that the socket has been drained. The error makes the runtime wait for
            // the next event.
            let more = received == inbox.capacity();
            if more { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
        });
        for index in 0..received {
            self.record(in_flight.deliver(inbox.get(index).message), in_flight)?;
        }
        match result {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Records how a message was delivered. Fails if the socket received too many messages that match no
    /// query.
    fn record(&self, delivery: Delivery, in_flight: &QueryTable) -> Result<(), Failure> {
        match delivery {
            Delivery::Response => return Ok(()),
            Delivery::Late => self.target.late.store(true, Ordering::Relaxed),
            Delivery::WrongCase | Delivery::Mismatch => self.target.metrics.failed("mismatch"),
        }
        let is_attacked = delivery == Delivery::Mismatch && in_flight.mismatches() >= MAX_MISMATCHES;
        if is_attacked { Err(Failure::Mismatch) } else { Ok(()) }
    }

    /// Fails all outstanding queries as if their timeout had expired.
    pub(super) fn time_out_all(&self) {
        let state = self.lock();
        let sockets = state.slots.iter().flatten().chain(state.retired.iter().map(|(_, socket)| socket));
        sockets.for_each(|socket| socket.in_flight.time_out_all());
    }

    /// Ends a batch.
    fn flush(&self) {
        self.lock().flush();
    }

    /// Expires queries and closes replaced sockets whose time is up. Returns whether another sweep is
    /// needed.
    fn sweep(&self, now: Instant) -> bool {
        let mut state = self.lock();
        state.retired.retain(|(until, _)| now < *until);
        let sockets = state.slots.iter().flatten().chain(state.retired.iter().map(|(_, socket)| socket));
        let mut pending = false;
        for socket in sockets {
            pending |= socket.in_flight.expire(now);
        }
        pending || !state.retired.is_empty()
    }

    /// Locks the state.
    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SocketPool {
    fn drop(&mut self) {
        if let Some(flusher) = self.flusher.get() {
            flusher.abort();
        }
    }
}

impl PoolState {
    /// Sends the outbox from the socket of the batch and ends the batch.
    fn flush(&mut self) {
        let Some(index) = self.batch_slot.take() else { return };
        let Some(socket) = &self.slots[index] else { return };
        self.outbox.send(socket.io.as_fd());
        match self.outbox.take_error() {
            None => {}
            // The send buffer is full. The query counts as lost in the network and is sent again after the
            // timeout.
            Some(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Some(error) => {
                socket.in_flight.fail(&error.into());
                self.slots[index] = None;
            }
        }
    }

    /// Retires a socket: it waits for outstanding responses, but no more queries are sent from it.
    fn retire(&mut self, index: usize, linger: Duration) {
        self.retired.extend(self.slots[index].take().map(|socket| (Instant::now() + linger, socket)));
    }

    /// Removes a socket whose reader has ended, and the queries in the outbox that would have been sent
    /// from it: they have failed.
    fn remove(&mut self, index: usize, io: &Arc<UdpSocket>) {
        if self.slots[index].as_ref().is_none_or(|current| !Arc::ptr_eq(&current.io, io)) {
            return;
        }
        self.slots[index] = None;
        if self.batch_slot == Some(index) {
            self.batch_slot = None;
            self.outbox.clear();
        }
    }
}

/// Main loop of a pool: flushes each batch, and sweeps while queries are in flight.
async fn run_pool(pool: Weak<SocketPool>, batch_started: Arc<Notify>) {
    let mut sweep = std::pin::pin!(sleep(SWEEP));
    let mut sweeping = false;
    loop {
        tokio::select! {
            biased;
            () = batch_started.notified() => {
                ready_tasks_have_run().await;
                let Some(pool) = pool.upgrade() else { return };
                pool.flush();
                if !sweeping {
                    sweeping = true;
                    schedule_sweep(sweep.as_mut());
                }
            }
            () = &mut sweep, if sweeping => {
                let Some(pool) = pool.upgrade() else { return };
                sweeping = pool.sweep(Instant::now());
                schedule_sweep(sweep.as_mut());
            }
        }
    }
}

/// Waits until the ready tasks have run. In a single-threaded runtime they have run already, because this
/// task was queued behind them.
async fn ready_tasks_have_run() {
    if Handle::current().runtime_flavor() != RuntimeFlavor::CurrentThread {
        tokio::task::yield_now().await;
    }
}

/// Schedules the next sweep one interval from now.
fn schedule_sweep(sweep: std::pin::Pin<&mut Sleep>) {
    sweep.reset(tokio::time::Instant::now() + SWEEP);
}

/// Reads a socket until too many messages match no query, the network fails, or the socket is dropped.
struct SocketReader {
    io: Arc<UdpSocket>,
    /// The local address of the socket.
    address: SocketAddr,
    in_flight: Arc<QueryTable>,
    /// The slot of the socket in the pool, unless it was replaced.
    slot: usize,
    pool: Weak<SocketPool>,
    target: Arc<SocketTarget>,
}

impl SocketReader {
    /// Main loop of the reader.
    async fn run(self) {
        let failure = self.read().await;
        self.in_flight.fail(&failure);
        if let Some(pool) = self.pool.upgrade() {
            pool.lock().remove(self.slot, &self.io);
        }
    }

    /// Reads until an error occurs.
    async fn read(&self) -> Failure {
        loop {
            // An ICMP error for a closed port does not make a socket readable, so errors are awaited too.
            // `try_io` supports one interest at a time.
            let interest = match self.io.ready(Interest::READABLE | Interest::ERROR).await {
                Ok(ready) if ready.is_error() => Interest::ERROR,
                Ok(_) => Interest::READABLE,
                Err(error) => return error.into(),
            };
            let Some(pool) = self.pool.upgrade() else { return Failure::Closed };
            if let Err(failure) = pool.receive(&self.io, &self.in_flight, interest) {
                return failure;
            }
        }
    }
}

/// Queries must not wait for a socket that is no longer read, even if the task is aborted.
impl Drop for SocketReader {
    fn drop(&mut self) {
        self.in_flight.fail(&Failure::Closed);
        self.target.local_sockets.remove(self.address);
        self.target.metrics.sockets(-1);
    }
}
