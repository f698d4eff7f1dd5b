//! One connection, on a worker's thread: reads what has come, answers what can be answered, writes it together. The
//! same over TCP and over TLS.
//!
//! A query that waits for somebody else gets a task; its reply comes when it is ready, and those behind it overtake
//! (RFC 7766 section 7). When nobody reads the replies, nothing more is read.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::frames::{self, Frames, KEEP};
use super::{TcpLimits, TcpSlot};
use crate::dns::pad;
use crate::serve::encrypted::pads_reply;
use crate::serve::{Begun, Door, Engine, Incoming, Moment, Origin, Own, Waiting};

/// Replies that are ready together leave in one write from this length on, and at the latest when there is nothing
/// more to answer.
const WRITE_BATCH: usize = 16 * 1024;

/// More queries than a DNS ID can tell apart are never in flight.
const MOST_IN_FLIGHT: usize = 65_536;

/// Bounds on the idle timeout itself: none at all would spin, and the end of time cannot be reckoned with.
const SHORTEST_IDLE: Duration = Duration::from_millis(1);
const LONGEST_IDLE: Duration = Duration::from_secs(86_400);

/// The stream below a connection. A trait, so that the code for plain TCP has no test for TLS in it.
pub(in crate::serve) trait Transmission: AsyncRead + AsyncWrite + Unpin {
    /// Lets the system forget what the peer has not read, once the stream is dropped. Where this cannot be set, the
    /// stream is closed all the same.
    fn discard_unread(&self);
}

impl Transmission for TcpStream {
    fn discard_unread(&self) {
        let _ = self.set_zero_linger();
    }
}

/// The client of a connection, and the bounds that hold for it.
pub(in crate::serve) struct Client {
    engine: Arc<Engine>,
    door: Arc<Door>,
    origin: Origin,
    queries_in_flight: usize,
    idle_timeout: Duration,
    // The slot is free again when the connection is closed: streams are dropped before their client.
    _slot: TcpSlot,
}

impl Client {
    /// The client of an accepted stream, counted as an open connection until dropped.
    pub(in crate::serve) fn new(
        origin: Origin,
        slot: TcpSlot,
        engine: &Arc<Engine>,
        door: &Arc<Door>,
        limits: &TcpLimits,
    ) -> Self {
        engine.observer().doors().tcp_connections.inc();
        Self {
            engine: Arc::clone(engine),
            door: Arc::clone(door),
            origin,
            queries_in_flight: limits.queries_in_flight.clamp(1, MOST_IN_FLIGHT),
            idle_timeout: limits.idle_timeout.clamp(SHORTEST_IDLE, LONGEST_IDLE),
            _slot: slot,
        }
    }

    /// How long the client may be quiet, within the bounds of the setting.
    pub(in crate::serve) fn idle_timeout(&self) -> Duration {
        self.idle_timeout
    }

    /// Counts a connection that is closed because the client took too long.
    pub(in crate::serve) fn timed_out(&self) {
        self.engine.observer().doors().tcp_timeouts.inc();
    }

    /// Counts a connection that is closed because its TLS handshake failed.
    pub(in crate::serve) fn handshake_failed(&self) {
        self.engine.observer().doors().tls_handshake_errors.inc();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.engine.observer().doors().tcp_connections.dec();
    }
}

/// A connection that is being served.
pub(in crate::serve) struct Connection<S> {
    // Before the client, whose slot is free only when the stream is closed.
    stream: S,
    client: Client,
    own: Own,
    frames: Frames,
    /// Replies that are not yet written, each with its length before it.
    batch: Vec<u8>,
    /// How many queries wait for an upstream.
    in_flight: usize,
    /// Their replies as they come; `None` for one that gets none.
    late: mpsc::UnboundedReceiver<Option<Vec<u8>>>,
    later: mpsc::UnboundedSender<Option<Vec<u8>>>,
    /// When the client last completed a query or took a reply.
    active: Instant,
}

/// Whether a connection goes on.
enum Then {
    /// It does.
    Goes,
    /// Nothing more is read; what is in flight is answered.
    Finishes,
    /// It ends here.
    Ends,
}

impl<S: Transmission> Connection<S> {
    pub(in crate::serve) fn new(stream: S, client: Client, own: Own) -> Self {
        // Never more in it than queries in flight.
        let (later, late) = mpsc::unbounded_channel();
        Self {
            stream,
            client,
            own,
            frames: Frames::new(),
            batch: Vec::new(),
            in_flight: 0,
            late,
            later,
            active: Instant::now(),
        }
    }

    /// Serves the client until it leaves, breaks a bound, or `closing` loses its sender. On a worker's thread.
    pub(in crate::serve) async fn serve(mut self, mut closing: watch::Receiver<()>) {
        let mut alarm = pin!(sleep_until(self.active + self.client.idle_timeout));
        loop {
            let agreed = self.answer();
            if !self.batch.is_empty() && !self.write().await {
                return;
            }
            let then = match agreed {
                true => self.wait(&mut closing, &mut alarm).await,
                false => Then::Finishes,
            };
            match then {
                Then::Goes => {}
                Then::Finishes => break,
                Then::Ends => return self.close().await,
            }
        }
        self.finish().await;
    }

    /// Answers what has come, as long as more may be in flight and written. False: the two sides no longer agree
    /// where a message begins.
    fn answer(&mut self) -> bool {
        let moment = Moment::now();
        let Client { engine, door, origin, queries_in_flight, .. } = &self.client;
        let own = self.own.clone();
        let mut worker = own.borrow_mut();
        while self.in_flight < *queries_in_flight && self.batch.len() < WRITE_BATCH {
            let Some(message) = self.frames.take() else { break };
            if message.is_empty() {
                // No DNS message is empty.
                return false;
            }
            let frame = frames::begin(&mut self.batch);
            let incoming = Incoming { door, message, origin, moment };
            let begun = engine.begin(&mut worker, &incoming, &mut self.batch);
            let pads = pads_reply(origin.transport, message);
            match begun {
                Begun::Ready => {
                    if pads {
                        pad(&mut self.batch, frame + 2);
                    }
                    frames::end(&mut self.batch, frame);
                }
                Begun::Silence => self.batch.truncate(frame),
                Begun::Waiting(waiting) => {
                    self.batch.truncate(frame);
                    self.in_flight += 1;
                    answer_later(&self.client, own.clone(), waiting, pads, self.later.clone());
                }
            }
            self.active = Instant::now();
        }
        worker.witness.settle(moment.started);
        true
    }

    /// Waits for whatever is next: octets, a late reply, the end.
    async fn wait(&mut self, closing: &mut watch::Receiver<()>, alarm: &mut Pin<&mut Sleep>) -> Then {
        if self.batch.len() >= WRITE_BATCH || self.frames.has_message() && self.has_room() {
            return Then::Goes;
        }
        tokio::select! {
            biased;
            // Ends with an error, when the door drops the sender.
            _ = closing.changed() => Then::Finishes,
            Some(reply) = self.late.recv() => {
                self.take(reply);
                Then::Goes
            }
            // While no more may be in flight, no more is read.
            read = self.frames.fill(&mut self.stream), if self.in_flight < self.client.queries_in_flight => {
                if matches!(read, Ok(1..)) { Then::Goes } else { Then::Finishes }
            }
            () = alarm.as_mut() => match self.patience() {
                Some(until) => {
                    alarm.as_mut().reset(until);
                    Then::Goes
                }
                None => {
                    self.client.engine.observer().doors().tcp_timeouts.inc();
                    Then::Ends
                }
            },
        }
    }

    fn has_room(&self) -> bool {
        self.in_flight < self.client.queries_in_flight
    }

    /// Until when the client may yet be quiet; `None` when it has been for too long.
    ///
    /// Only whole queries and written replies count, so octets dribbled in buy no time. While something is
    /// pending the connection is not idle (RFC 7766 section 3), and the wait is ours.
    fn patience(&self) -> Option<Instant> {
        let now = Instant::now();
        let until = self.active + self.client.idle_timeout;
        if until > now {
            Some(until)
        } else if self.in_flight > 0 {
            Some(now + self.client.idle_timeout)
        } else {
            None
        }
    }

    /// Takes in a late reply, and those that are ready with it.
    fn take(&mut self, reply: Option<Vec<u8>>) {
        let mut next = Some(reply);
        while let Some(reply) = next {
            self.in_flight -= 1;
            if let Some(reply) = reply {
                let frame = frames::begin(&mut self.batch);
                self.batch.extend_from_slice(&reply);
                frames::end(&mut self.batch, frame);
            }
            next = if self.batch.len() < WRITE_BATCH { self.late.try_recv().ok() } else { None };
        }
    }

    /// Writes what is ready. False: the client does not take it.
    async fn write(&mut self) -> bool {
        let counters = self.client.engine.observer().doors();
        let write = async {
            self.stream.write_all(&self.batch).await?;
            // TLS may hold records back; TCP has nothing to flush.
            self.stream.flush().await
        };
        let written = timeout(self.client.idle_timeout, write).await;
        self.batch.clear();
        self.batch.shrink_to(WRITE_BATCH + KEEP);
        match written {
            Ok(Ok(())) => {
                self.active = Instant::now();
                true
            }
            Ok(Err(_)) => {
                counters.tcp_send_errors.inc();
                false
            }
            Err(_) => {
                counters.tcp_timeouts.inc();
                // Or the system would go on keeping what the client does not read.
                self.stream.discard_unread();
                false
            }
        }
    }

    /// Answers what is in flight and says good-bye.
    async fn finish(mut self) {
        loop {
            if !self.batch.is_empty() && !self.write().await {
                return;
            }
            if self.in_flight == 0 {
                break;
            }
            let Some(reply) = self.late.recv().await else { break };
            self.take(reply);
        }
        self.close().await;
    }

    /// Tells the client that nothing more comes: TLS by its own alert, close_notify, and TCP by its FIN. A client that
    /// does not take it is given the idle timeout, as for a reply.
    async fn close(mut self) {
        // Where this fails, the stream is closed all the same.
        let _ = timeout(self.client.idle_timeout, self.stream.shutdown()).await;
    }
}

/// Answers a query when its upstream has, in a task of its own.
fn answer_later(
    client: &Client,
    own: Own,
    waiting: Box<Waiting>,
    pads: bool,
    later: mpsc::UnboundedSender<Option<Vec<u8>>>,
) {
    let (engine, door) = (client.engine.clone(), client.door.clone());
    tokio::task::spawn_local(async move {
        let resolved = engine.resolve(waiting).await;
        let mut reply = Vec::with_capacity(512);
        let is_said = engine.conclude(&mut own.borrow_mut(), &door, &resolved, &mut reply);
        if pads {
            pad(&mut reply, 0);
        }
        // The client may have left.
        let _ = later.send(is_said.then_some(reply));
    });
}
