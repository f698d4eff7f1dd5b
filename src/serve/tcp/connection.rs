//! One TCP connection: a reader that asks and a writer that answers, joined by a bounded queue.
//!
//! The reader takes a place in the queue before it asks. Whoever has the place owes the connection one
//! reply, and puts it there when it is ready: today the engine at once, in time perhaps a task that waits
//! for an upstream, and the reader goes on meanwhile (RFC 7766 section 7 lets replies overtake). When the
//! reader has ended and every place is used or given up, the queue ends, and with it the writer: that is
//! how a half-closed connection and a stopping door get their last replies.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::frames::{self, Frames, KEEP};
use super::{TcpLimits, TcpSlot};
use crate::serve::{Begun, Door, Engine, Origin, Transport};

/// Replies that are ready together leave in one write until it is this long (one reply may exceed it).
const WRITE_BATCH: usize = 16 * 1024;

/// More queries than a DNS ID can tell apart are never in flight.
const MOST_IN_FLIGHT: usize = 65_536;

/// Bounds on the idle timeout itself: none at all would spin, and the end of time cannot be reckoned with.
const SHORTEST_IDLE: Duration = Duration::from_millis(1);
const LONGEST_IDLE: Duration = Duration::from_secs(86_400);

/// An admitted connection.
pub(super) struct Connection {
    stream: TcpStream,
    client: Client,
    // Last, so that the place is free only when the stream is closed.
    _slot: TcpSlot,
}

/// What reader and writer share.
struct Client {
    engine: Arc<Engine>,
    door: Arc<Door>,
    origin: Origin,
    queries_in_flight: usize,
    idle_timeout: Duration,
    activity: Activity,
}

impl Connection {
    /// Takes over an accepted stream.
    ///
    /// # Errors
    /// The client has gone already.
    pub(super) fn new(
        stream: TcpStream,
        peer: SocketAddr,
        slot: TcpSlot,
        engine: &Arc<Engine>,
        door: &Arc<Door>,
        limits: &TcpLimits,
    ) -> io::Result<Self> {
        // Whole batches are written, so there is nothing for Nagle's algorithm to collect.
        stream.set_nodelay(true)?;
        let local: IpAddr = stream.local_addr()?.ip();
        let client = Client {
            engine: Arc::clone(engine),
            door: Arc::clone(door),
            origin: Origin { peer, local, transport: Transport::Tcp },
            queries_in_flight: limits.queries_in_flight.clamp(1, MOST_IN_FLIGHT),
            idle_timeout: limits.idle_timeout.clamp(SHORTEST_IDLE, LONGEST_IDLE),
            activity: Activity::new(),
        };
        engine.observer().doors().tcp_connections.inc();
        Ok(Self { stream, client, _slot: slot })
    }

    /// Serves the client until it leaves, breaks a bound, or `closing` loses its sender.
    pub(super) async fn serve(mut self, closing: watch::Receiver<()>) {
        let (input, output) = self.stream.split();
        let (places, replies) = mpsc::channel(self.client.queries_in_flight);
        let mut writing = pin!(self.client.write(output, replies));
        {
            let reading = pin!(self.client.read(input, places, closing));
            tokio::select! {
                // The reader first: what it has asked is ready when the writer looks, in the same turn.
                biased;
                () = reading => {}
                () = &mut writing => return,
            }
        }
        writing.await;
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.engine.observer().doors().tcp_connections.dec();
    }
}

impl Client {
    /// Asks the engine every message that comes in, until there is a reason to read no more.
    async fn read(
        &self,
        mut input: ReadHalf<'_>,
        places: mpsc::Sender<Vec<u8>>,
        mut closing: watch::Receiver<()>,
    ) {
        let mut frames = Frames::new();
        let mut alarm = pin!(sleep_until(Instant::now() + self.idle_timeout));
        loop {
            while let Some(message) = frames.take() {
                if message.is_empty() {
                    // No DNS message is empty: the two sides no longer agree where a message begins.
                    return;
                }
                let Ok(place) = places.clone().reserve_owned().await else {
                    return;
                };
                let mut reply = Vec::with_capacity(512);
                match self.engine.begin(&self.door, message, &self.origin, None, &mut reply) {
                    Begun::Silence => {}
                    Begun::Ready => drop(place.send(reply)),
                    Begun::Waiting(waiting) => {
                        let (engine, door) = (self.engine.clone(), self.door.clone());
                        tokio::spawn(async move {
                            if engine.finish(&door, waiting, None, &mut reply).await {
                                place.send(reply);
                            }
                        });
                    }
                }
                self.activity.now();
            }
            tokio::select! {
                biased;
                // Ends with an error, when the door drops the sender.
                _ = closing.changed() => return,
                read = frames.fill(&mut input) => if !matches!(read, Ok(1..)) {
                    return;
                },
                () = &mut alarm => match self.patience(&places) {
                    Some(until) => alarm.as_mut().reset(until),
                    None => {
                        self.engine.observer().doors().tcp_timeouts.inc();
                        return;
                    }
                },
            }
        }
    }

    /// Until when the client may yet be quiet; `None` when it has been for too long.
    ///
    /// Only whole queries and written replies count, so octets dribbled in buy no time. While something is
    /// pending the connection is not idle (RFC 7766 section 3), and the wait is ours.
    fn patience(&self, places: &mpsc::Sender<Vec<u8>>) -> Option<Instant> {
        let now = Instant::now();
        let until = self.activity.last() + self.idle_timeout;
        if until > now {
            Some(until)
        } else if places.capacity() < places.max_capacity() {
            Some(now + self.idle_timeout)
        } else {
            None
        }
    }

    /// Writes replies as they become ready, until there will be no more or the client does not take them.
    async fn write(&self, mut output: WriteHalf<'_>, mut replies: mpsc::Receiver<Vec<u8>>) {
        let counters = self.engine.observer().doors();
        let mut batch = Vec::new();
        while let Some(reply) = replies.recv().await {
            let mut next = Some(reply);
            while let Some(reply) = next {
                if !frames::append(&mut batch, &reply) {
                    counters.tcp_send_errors.inc();
                }
                next = if batch.len() < WRITE_BATCH { replies.try_recv().ok() } else { None };
            }
            match timeout(self.idle_timeout, output.write_all(&batch)).await {
                Ok(Ok(())) => self.activity.now(),
                Ok(Err(_)) => {
                    counters.tcp_send_errors.inc();
                    return;
                }
                Err(_) => {
                    counters.tcp_timeouts.inc();
                    // Or the system would go on keeping what the client does not read. Where it cannot be
                    // set, the stream is closed all the same.
                    let _ = output.as_ref().set_zero_linger();
                    return;
                }
            }
            batch.clear();
            batch.shrink_to(KEEP);
        }
        // Where this fails, the stream is closed all the same.
        let _ = output.shutdown().await;
    }
}

/// When the client last completed a query or took a reply.
///
/// Reader and writer run in one task; the atomic is there so that the task can move between threads.
struct Activity {
    opened: Instant,
    /// Milliseconds from `opened`.
    last: AtomicU64,
}

impl Activity {
    fn new() -> Self {
        Self { opened: Instant::now(), last: AtomicU64::new(0) }
    }

    fn now(&self) {
        let since = self.opened.elapsed().as_millis();
        let since = u64::try_from(since).unwrap_or(u64::MAX);
        self.last.store(since, Ordering::Relaxed);
    }

    fn last(&self) -> Instant {
        self.opened + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }
}
