//! The sockets of one runtime to one name server: connected ones, on ports that the system chooses at random.
//!
//! ```text
//!  post ─▶ outbox ──▶ flush, when the turn is over ─▶ one socket of 64, at random
//!    │                                                        │
//!    └── waiting ◀── give ◀── inbox ◀── a reader each ◀───────┘
//! ```
//!
//! A forger must hit the port, the ID and the case of the name. A connected socket takes datagrams from the
//! server's address and port alone, and hears at once that nobody listens there.
//!
//! A turn is what the runtime does before it looks for news from the system. Its questions leave together, from
//! one socket drawn at random, with one call; their responses come together, and are read with one call.

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

use super::message::{Failure, Outgoing};
use super::udp::Target;
use super::in_flight::{Seen, Ticket, Waiting};
use crate::serve::datagrams::{Backend, Inbox, Outbox};

/// Room for a datagram. Ours announce 1232 octets; a server that sends more than this is not understood.
const MAX_DATAGRAM: usize = 4096;

/// Responses that are read with one call at most.
const READ: usize = 64;

/// Questions that leave from one socket together at most: they fit into its send buffer.
const TURN: usize = 64;

/// After this many replies that match no query a socket is closed: that is how many guesses a forger has at one port.
const MAX_MISMATCHES: u32 = 16;

/// How often questions whose time is up are looked for. A timer for each would cost more than the look.
const SWEEP: Duration = Duration::from_millis(20);

/// The sockets of one runtime to one server. They are opened when first needed.
#[derive(Debug)]
pub(super) struct Lane {
    target: Arc<Target>,
    state: Mutex<State>,
    /// Where all its sockets are read: memory that is warm.
    inbox: Mutex<Inbox>,
    /// Told when a turn begins.
    progress: Arc<Notify>,
    /// The task that ends turns and sweeps.
    keeper: OnceLock<AbortHandle>,
}

/// What changes.
#[derive(Debug)]
struct State {
    /// The sockets that questions leave from.
    slots: Vec<Option<Socket>>,
    /// The slot that this turn's questions leave from. `None`: nothing is in the outbox.
    turn: Option<usize>,
    outbox: Outbox,
    /// Sockets that were replaced, and until when they wait for responses.
    retired: Vec<(Instant, Socket)>,
}

/// One socket as its lane knows it. When it is dropped, its reader ends.
#[derive(Debug)]
struct Socket {
    io: Arc<UdpSocket>,
    in_flight: Arc<Waiting>,
    reader: AbortHandle,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Lane {
    /// A lane of the runtime that this is called in.
    pub fn start(target: Arc<Target>) -> Arc<Self> {
        let state = State {
            slots: (0..target.sockets.max(1)).map(|_| None).collect(),
            turn: None,
            outbox: Outbox::new(Backend::best(), true),
            retired: Vec::new(),
        };
        let lane = Arc::new(Self {
            target,
            state: Mutex::new(state),
            inbox: Mutex::new(Inbox::new(Backend::best(), READ, MAX_DATAGRAM)),
            progress: Arc::default(),
            keeper: OnceLock::new(),
        });
        let keeper = tokio::spawn(keep(Arc::downgrade(&lane), lane.progress.clone()));
        lane.keeper.get_or_init(|| keeper.abort_handle());
        lane
    }

    /// Whether its runtime goes on.
    pub fn is_alive(&self) -> bool {
        self.keeper.get().is_some_and(|keeper| !keeper.is_finished())
    }

    /// Has a question leave with this turn. It is given up at `until`, or a sweep later.
    pub fn post(self: &Arc<Self>, outgoing: &Arc<Outgoing>, until: Instant) -> Result<Ticket, Failure> {
        let mut state = self.lock();
        let ticket = self.open(&mut state, outgoing, until)?;
        outgoing.append(ticket.id, state.outbox.buffer());
        state.outbox.commit(None, None);
        match state.outbox.len() {
            1 => self.progress.notify_one(),
            TURN => state.flush(),
            _ => {}
        }
        Ok(ticket)
    }

    /// A place for a question on the socket of this turn, which is drawn if there is none yet.
    fn open(
        self: &Arc<Self>,
        state: &mut State,
        outgoing: &Arc<Outgoing>,
        until: Instant,
    ) -> Result<Ticket, Failure> {
        let drawn = state.turn.unwrap_or_else(|| rand::random_range(0..state.slots.len()));
        if let Some(socket) = &state.slots[drawn] {
            if let Some(ticket) = socket.in_flight.open(outgoing, until) {
                state.turn = Some(drawn);
                return Ok(ticket);
            }
            // It is used up. What is in the outbox is its.
            state.flush();
            state.retire(drawn, self.target.linger);
        }
        let socket = self.open_socket(drawn)?;
        let ticket = socket.in_flight.open(outgoing, until).ok_or(Failure::Closed)?;
        state.slots[drawn] = Some(socket);
        state.turn = Some(drawn);
        Ok(ticket)
    }

    /// A new socket and its reader.
    fn open_socket(self: &Arc<Self>, slot: usize) -> Result<Socket, Failure> {
        let (io, address) = self.target.open()?;
        let (io, in_flight) = (Arc::new(io), Arc::new(Waiting::new(self.target.reopen_after)));
        let reader = Reader {
            io: io.clone(),
            address,
            in_flight: in_flight.clone(),
            slot,
            lane: Arc::downgrade(self),
            target: self.target.clone(),
        };
        self.target.own.add(address);
        self.target.metrics.sockets(1);
        let reader = tokio::spawn(reader.run()).abort_handle();
        Ok(Socket { io, in_flight, reader })
    }

    /// Reads what a socket has and gives it to who waits. `news` is why: datagrams or an error.
    fn take_in(&self, io: &UdpSocket, in_flight: &Waiting, news: Interest) -> Result<(), Failure> {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        let mut received = 0;
        let outcome = io.try_io(news, || {
            received = inbox.receive(io.as_fd(), false)?;
            // Fewer than it could take means that it saw the end: the runtime need not try to know that.
            let more = received == inbox.capacity();
            if more { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
        });
        for index in 0..received {
            self.hear(in_flight.give(inbox.get(index).message), in_flight)?;
        }
        match outcome {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Counts what a message was. A socket that received too many that fit no query is closed.
    fn hear(&self, seen: Seen, in_flight: &Waiting) -> Result<(), Failure> {
        match seen {
            Seen::Ours => return Ok(()),
            Seen::Late => self.target.late.store(true, Ordering::Relaxed),
            Seen::WrongCase | Seen::Mismatch => self.target.metrics.failed("mismatch"),
        }
        let is_attacked = seen == Seen::Mismatch && in_flight.mismatches() >= MAX_MISMATCHES;
        if is_attacked { Err(Failure::Mismatch) } else { Ok(()) }
    }

    /// Fails all outstanding queries as if their time-out had expired.
    pub fn time_out_all(&self) {
        let state = self.lock();
        let sockets = state.slots.iter().flatten().chain(state.retired.iter().map(|(_, socket)| socket));
        sockets.for_each(|socket| socket.in_flight.time_out_all());
    }

    /// Ends a turn.
    fn flush(&self) {
        self.lock().flush();
    }

    /// Gives up what is late and closes what was replaced long ago. Says whether there will be more to do.
    fn sweep(&self, now: Instant) -> bool {
        let mut state = self.lock();
        state.retired.retain(|(until, _)| now < *until);
        let sockets = state.slots.iter().flatten().chain(state.retired.iter().map(|(_, socket)| socket));
        let mut waits = false;
        for socket in sockets {
            waits |= socket.in_flight.expire(now);
        }
        waits || !state.retired.is_empty()
    }

    /// What changes, for a moment.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper.get() {
            keeper.abort();
        }
    }
}

impl State {
    /// Sends what is in the outbox from the socket of the turn, and ends the turn.
    fn flush(&mut self) {
        let Some(index) = self.turn.take() else { return };
        let Some(socket) = &self.slots[index] else { return };
        self.outbox.send(socket.io.as_fd());
        match self.outbox.take_error() {
            None => {}
            // A full send buffer loses a question, as any other place on its way may. It is asked again.
            Some(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Some(error) => {
                socket.in_flight.fail(&error.into());
                self.slots[index] = None;
            }
        }
    }

    /// Puts a socket aside that takes no more questions, until its responses have had time to come.
    fn retire(&mut self, index: usize, linger: Duration) {
        self.retired.extend(self.slots[index].take().map(|socket| (Instant::now() + linger, socket)));
    }

    /// Forgets a socket whose reader ended, and what would have left from it: nobody waits for it any more.
    fn forget(&mut self, index: usize, io: &Arc<UdpSocket>) {
        if self.slots[index].as_ref().is_none_or(|current| !Arc::ptr_eq(&current.io, io)) {
            return;
        }
        self.slots[index] = None;
        if self.turn == Some(index) {
            self.turn = None;
            self.outbox.clear();
        }
    }
}

/// The life of a lane: ends each turn, and sweeps while anything is in flight.
async fn keep(lane: Weak<Lane>, progress: Arc<Notify>) {
    let mut sweep = std::pin::pin!(sleep(SWEEP));
    let mut sweeps = false;
    loop {
        tokio::select! {
            biased;
            () = progress.notified() => {
                end_of_turn().await;
                let Some(lane) = lane.upgrade() else { return };
                lane.flush();
                if !sweeps {
                    sweeps = true;
                    rearm(sweep.as_mut());
                }
            }
            () = &mut sweep, if sweeps => {
                let Some(lane) = lane.upgrade() else { return };
                sweeps = lane.sweep(Instant::now());
                rearm(sweep.as_mut());
            }
        }
    }
}

/// Waits until the tasks that are ready have run. In a runtime of one thread that is so already: this one was
/// queued behind them.
async fn end_of_turn() {
    if Handle::current().runtime_flavor() != RuntimeFlavor::CurrentThread {
        tokio::task::yield_now().await;
    }
}

/// Has a sweep come one interval from now.
fn rearm(sweep: std::pin::Pin<&mut Sleep>) {
    sweep.reset(tokio::time::Instant::now() + SWEEP);
}

/// One who reads a socket: until it hears what was not asked for, the network fails, or nobody wants it.
struct Reader {
    io: Arc<UdpSocket>,
    /// Its own address.
    address: SocketAddr,
    in_flight: Arc<Waiting>,
    /// Where the lane has the socket, unless it was replaced.
    slot: usize,
    lane: Weak<Lane>,
    target: Arc<Target>,
}

impl Reader {
    /// Its whole life.
    async fn run(self) {
        let failure = self.read().await;
        self.in_flight.fail(&failure);
        if let Some(lane) = self.lane.upgrade() {
            lane.lock().forget(self.slot, &self.io);
        }
    }

    /// Reads until something is wrong.
    async fn read(&self) -> Failure {
        loop {
            // That nobody listens where questions go does not make a socket readable. `try_io` knows one interest
            // at a time.
            let news = match self.io.ready(Interest::READABLE | Interest::ERROR).await {
                Ok(ready) if ready.is_error() => Interest::ERROR,
                Ok(_) => Interest::READABLE,
                Err(error) => return error.into(),
            };
            let Some(lane) = self.lane.upgrade() else { return Failure::Closed };
            if let Err(failure) = lane.take_in(&self.io, &self.in_flight, news) {
                return failure;
            }
        }
    }
}

/// However its task ends, nobody waits for what is not read any more.
impl Drop for Reader {
    fn drop(&mut self) {
        self.in_flight.fail(&Failure::Closed);
        self.target.own.remove(self.address);
        self.target.metrics.sockets(-1);
    }
}
