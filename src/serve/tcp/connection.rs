//! One connection, on a worker's thread: reads queries, answers those that need no upstream, and writes the
//! replies together. The same code serves TCP and TLS.
//!
//! A query that waits for an upstream runs in a task; its reply is sent when it is ready, possibly after
//! those of later queries (RFC 7766 section 7). If the client does not read its replies, no more queries are
//! read.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::frames::{self, Frames, MAX_RETAINED};
use super::{TcpLimits, TcpSlot};
use crate::dns::pad;
use crate::serve::encrypted::pads_reply;
use crate::serve::{
    Engine, IncomingMessage, ListenerIdentity, LocalWorker, MessageSource, Moment, PendingQuery, Progress,
};

/// Replies are written once the batch has this length in octets, or earlier if there is nothing more to
/// answer.
const WRITE_BATCH: usize = 16 * 1024;

/// Upper limit for the queries in flight of a connection: the number of DNS message IDs.
const MAX_IN_FLIGHT: usize = 65_536;

/// Minimum idle timeout: zero would cause a busy loop.
const MIN_IDLE: Duration = Duration::from_millis(1);

/// Maximum idle timeout: one day.
const MAX_IDLE: Duration = Duration::from_secs(86_400);

/// The stream of a connection. A trait, so that the code for plain TCP contains no test for TLS.
pub(in crate::serve) trait ConnectionStream: AsyncRead + AsyncWrite + Unpin {
    /// Makes the system discard unsent data when the stream is dropped (`SO_LINGER` 0). If this fails, the
    /// stream is closed nevertheless.
    fn discard_unsent(&self);
}

impl ConnectionStream for TcpStream {
    fn discard_unsent(&self) {
        let _ = self.set_zero_linger();
    }
}

/// The client of a connection, and its limits.
pub(in crate::serve) struct TcpClient {
    engine: Arc<Engine>,
    identity: Arc<ListenerIdentity>,
    source: MessageSource,
    queries_in_flight: usize,
    idle_timeout: Duration,
    // The slot must be released only when the connection is closed: streams are dropped before their client.
    _slot: TcpSlot,
}

impl TcpClient {
    /// The client of an accepted stream, counted as an open connection until it is dropped.
    pub(in crate::serve) fn new(
        source: MessageSource,
        slot: TcpSlot,
        engine: &Arc<Engine>,
        identity: &Arc<ListenerIdentity>,
        limits: &TcpLimits,
    ) -> Self {
        engine.observer().listeners().tcp_connections.inc();
        Self {
            engine: Arc::clone(engine),
            identity: Arc::clone(identity),
            source,
            queries_in_flight: limits.queries_in_flight.clamp(1, MAX_IN_FLIGHT),
            idle_timeout: limits.idle_timeout.clamp(MIN_IDLE, MAX_IDLE),
            _slot: slot,
        }
    }

    /// How long the client may be idle: the configured timeout, clamped to its bounds.
    pub(in crate::serve) fn idle_timeout(&self) -> Duration {
        self.idle_timeout
    }

    /// Counts a connection that is closed because of a timeout.
    pub(in crate::serve) fn record_timeout(&self) {
        self.engine.observer().listeners().tcp_timeouts.inc();
    }

    /// Counts a connection that is closed because its TLS handshake failed.
    pub(in crate::serve) fn record_handshake_failure(&self) {
        self.engine.observer().listeners().tls_handshake_errors.inc();
    }
}

impl Drop for TcpClient {
    fn drop(&mut self) {
        self.engine.observer().listeners().tcp_connections.dec();
    }
}

/// A connection that is being served.
pub(in crate::serve) struct Connection<S> {
    // Declared before the client, whose slot must be released only after the stream is closed.
    stream: S,
    client: TcpClient,
    worker: LocalWorker,
    frames: Frames,
    /// Replies to be written, each preceded by its length.
    batch: Vec<u8>,
    /// Number of queries that wait for an upstream.
    in_flight: usize,
    /// Their replies; `None` for a query without a reply.
    late_replies: mpsc::UnboundedReceiver<Option<Vec<u8>>>,
    late_sender: mpsc::UnboundedSender<Option<Vec<u8>>>,
    /// When the client last completed a query or accepted a reply.
    active: Instant,
}

/// The state of a connection.
enum ConnectionState {
    /// Queries are read and answered.
    Open,
    /// No more queries are read; those in flight are answered.
    Draining,
    /// The connection ends.
    Closed,
}

impl<S: ConnectionStream> Connection<S> {
    pub(in crate::serve) fn new(stream: S, client: TcpClient, worker: LocalWorker) -> Self {
        // Bounded by the number of queries in flight.
        let (late_sender, late_replies) = mpsc::unbounded_channel();
        Self {
            stream,
            client,
            worker,
            frames: Frames::new(),
            batch: Vec::new(),
            in_flight: 0,
            late_replies,
            late_sender,
            active: Instant::now(),
        }
    }

    /// Serves the client until it disconnects, exceeds a limit, or the sender of `closing` is dropped. Runs
    /// on a worker's thread.
    pub(in crate::serve) async fn serve(mut self, mut closing: watch::Receiver<()>) {
        let mut idle_timer = pin!(sleep_until(self.active + self.client.idle_timeout));
        loop {
            let is_framed = self.answer();
            if !self.batch.is_empty() && !self.write().await {
                return;
            }
            let state = match is_framed {
                true => self.next_event(&mut closing, &mut idle_timer).await,
                false => ConnectionState::Draining,
            };
            match state {
                ConnectionState::Open => {}
                ConnectionState::Draining => break,
                ConnectionState::Closed => return self.close().await,
            }
        }
        self.finish().await;
    }

    /// Answers the queries that have been read, as long as the limits for queries in flight and unwritten
    /// replies allow. Returns false if the framing of the stream is lost.
    fn answer(&mut self) -> bool {
        let moment = Moment::now();
        let TcpClient { engine, identity, source, queries_in_flight, .. } = &self.client;
        let local_worker = self.worker.clone();
        let mut worker = local_worker.borrow_mut();
        while self.in_flight < *queries_in_flight && self.batch.len() < WRITE_BATCH {
            let Some(message) = self.frames.take() else { break };
            if message.is_empty() {
                // A DNS message is never empty.
                return false;
            }
            let frame = frames::begin(&mut self.batch);
            let incoming = IncomingMessage { listener: identity, message, source, moment };
            let progress = engine.handle(&mut worker, &incoming, &mut self.batch);
            let pads = pads_reply(source.transport, message);
            match progress {
                Progress::Replied => {
                    if pads {
                        pad(&mut self.batch, frame + 2);
                    }
                    frames::end(&mut self.batch, frame);
                }
                Progress::Dropped => self.batch.truncate(frame),
                Progress::Pending(pending_query) => {
                    self.batch.truncate(frame);
                    self.in_flight += 1;
                    let (worker, late_sender) = (local_worker.clone(), self.late_sender.clone());
                    resolve_later(&self.client, worker, pending_query, pads, late_sender);
                }
            }
            self.active = Instant::now();
        }
        worker.recorder.finish_batch(moment.started);
        true
    }

    /// Waits for the next event: data, a late reply, or the end.
    async fn next_event(
        &mut self,
        closing: &mut watch::Receiver<()>,
        idle_timer: &mut Pin<&mut Sleep>,
    ) -> ConnectionState {
        if self.batch.len() >= WRITE_BATCH || self.frames.has_message() && self.can_start_query() {
            return ConnectionState::Open;
        }
        tokio::select! {
            biased;
            // Completes with an error when the listener drops the sender.
            _ = closing.changed() => ConnectionState::Draining,
            Some(reply) = self.late_replies.recv() => {
                self.queue_reply(reply);
                ConnectionState::Open
            }
            // Nothing is read while the limit for queries in flight is reached.
            read = self.frames.fill(&mut self.stream), if self.in_flight < self.client.queries_in_flight => {
                if matches!(read, Ok(1..)) { ConnectionState::Open } else { ConnectionState::Draining }
            }
            () = idle_timer.as_mut() => match self.idle_deadline() {
                Some(until) => {
                    idle_timer.as_mut().reset(until);
                    ConnectionState::Open
                }
                None => {
                    self.client.engine.observer().listeners().tcp_timeouts.inc();
                    ConnectionState::Closed
                }
            },
        }
    }

    fn can_start_query(&self) -> bool {
        self.in_flight < self.client.queries_in_flight
    }

    /// When the idle timeout expires; `None` if it has expired.
    ///
    /// Only complete queries and written replies reset it, so a client gains no time by sending single
    /// octets. While a query is pending, the connection is not idle (RFC 7766 section 3).
    fn idle_deadline(&self) -> Option<Instant> {
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

    /// Adds a late reply to the batch, and any others that are ready.
    fn queue_reply(&mut self, reply: Option<Vec<u8>>) {
        let mut next = Some(reply);
        while let Some(reply) = next {
            self.in_flight -= 1;
            if let Some(reply) = reply {
                let frame = frames::begin(&mut self.batch);
                self.batch.extend_from_slice(&reply);
                frames::end(&mut self.batch, frame);
            }
            next = if self.batch.len() < WRITE_BATCH { self.late_replies.try_recv().ok() } else { None };
        }
    }

    /// Writes the batch. Returns false if the client does not accept it.
    async fn write(&mut self) -> bool {
        let counters = self.client.engine.observer().listeners();
        let write = async {
            self.stream.write_all(&self.batch).await?;
            // TLS may buffer records; for TCP there is nothing to flush.
            self.stream.flush().await
        };
        let result = timeout(self.client.idle_timeout, write).await;
        self.batch.clear();
        self.batch.shrink_to(WRITE_BATCH + MAX_RETAINED);
        match result {
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
                // Otherwise the system would retain what the client does not read.
                self.stream.discard_unsent();
                false
            }
        }
    }

    /// Answers the queries in flight and closes the connection.
    async fn finish(mut self) {
        loop {
            if !self.batch.is_empty() && !self.write().await {
                return;
            }
            if self.in_flight == 0 {
                break;
            }
            let Some(reply) = self.late_replies.recv().await else { break };
            self.queue_reply(reply);
        }
        self.close().await;
    }

    /// Signals the end to the client: close_notify for TLS, FIN for TCP. The idle timeout limits how long
    /// this may take, as for a reply.
    async fn close(mut self) {
        // If this fails, the stream is closed nevertheless.
        let _ = timeout(self.client.idle_timeout, self.stream.shutdown()).await;
    }
}

/// Answers a query in a separate task when its upstream has replied.
fn resolve_later(
    client: &TcpClient,
    worker: LocalWorker,
    pending_query: Box<PendingQuery>,
    pads: bool,
    late_sender: mpsc::UnboundedSender<Option<Vec<u8>>>,
) {
    let (engine, identity) = (client.engine.clone(), client.identity.clone());
    tokio::task::spawn_local(async move {
        let resolved = engine.resolve(pending_query).await;
        let mut reply = Vec::with_capacity(512);
        let has_reply = engine.finish(&mut worker.borrow_mut(), &identity, &resolved, &mut reply);
        if pads {
            pad(&mut reply, 0);
        }
        // The connection may have ended.
        let _ = late_sender.send(has_reply.then_some(reply));
    });
}
