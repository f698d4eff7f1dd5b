//! The plain UDP listener of one worker: `receive → answer → send`, one batch at a time.
//!
//! ```text
//!  readable ─▶ Inbox::receive ─▶ Engine::handle ─▶ Outbox::send
//!                                   │ an upstream must be queried
//!                                   └▶ a task: Engine::resolve, finish ─▶ late replies ─▶ Outbox::send
//! ```
//!
//! A reply is sent from the address that was queried. A socket bound to one address always does that. For a
//! socket bound to a wildcard, the system would select the source by its routes, which is wrong as soon as a
//! host has two addresses, as every VPC resolver does (base + 2 and 169.254.169.253): stub resolvers
//! drop replies from an address that they did not query (RFC 5452 section 9.1). Therefore each datagram is
//! received with its destination address (`IP_PKTINFO`, RFC 3542 section 6), which is used as the source of
//! the reply.
//!
//! Errors caused by clients or the network do not end the loop; only `stop` does.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::{Notify, mpsc};

use super::datagrams::{ANY_DATAGRAM, Backend, Inbox, LocalAddress, Outbox, Received};
use super::{
    Engine, IncomingMessage, ListenerIdentity, LocalWorker, MessageSource, Moment, PendingQuery, Progress,
    Transport,
};

/// Datagrams that are received and answered together.
const BATCH: usize = 64;

/// Pause after an error of the socket itself, to avoid a busy loop.
const PAUSE: Duration = Duration::from_millis(100);

/// A bound UDP socket that answers DNS messages (RFC 1035 section 4.2.1) when it is run on a worker's thread.
pub struct UdpListener {
    socket: std::net::UdpSocket,
    bound: SocketAddr,
    identity: Arc<ListenerIdentity>,
    backend: Backend,
}

impl UdpListener {
    /// Creates a listener from a bound socket. It does not answer queries before [`run`](Self::run).
    ///
    /// # Errors
    /// The socket has no address, or is bound to a wildcard and cannot report destination addresses.
    pub fn new(
        socket: std::net::UdpSocket,
        identity: Arc<ListenerIdentity>,
        backend: Backend,
    ) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let bound = socket.local_addr()?;
        match bound.ip() {
            ip if !ip.is_unspecified() => {}
            IpAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?,
            IpAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?,
        }
        Ok(Self { socket, bound, identity, backend })
    }

    /// Answers until `stop`; then queries in progress are completed, including those that wait for upstreams.
    ///
    /// Must be called on a worker's thread, within its runtime.
    ///
    /// # Errors
    /// The socket cannot be registered with the runtime.
    pub async fn run(
        self,
        engine: Arc<Engine>,
        worker: LocalWorker,
        stop: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let Self { socket, bound, identity, backend } = self;
        let socket = Rc::new(UdpSocket::from_std(socket)?);
        engine.observer().watch_receive_buffers(&identity.server, bound);
        let late_replies =
            Rc::new(LateReplies { outbox: RefCell::new(Outbox::new(backend, true)), ready: Notify::new() });
        let (task_guard, mut all_tasks_ended) = mpsc::channel(1);
        let mut serve_loop = ServeLoop {
            inbox: Inbox::new(backend, BATCH, ANY_DATAGRAM),
            outbox: Outbox::new(backend, true),
            socket: socket.clone(),
            bound,
            late_replies: late_replies.clone(),
            engine: engine.clone(),
            identity,
            worker,
            task_guard,
        };
        let flushing = late_replies.flush(&socket, &engine);
        let finishing = async {
            serve_loop.read_until(stop).await;
            drop(serve_loop);
            // Completes when the last task has dropped its guard.
            while all_tasks_ended.recv().await.is_some() {}
        };
        tokio::select! {
            () = flushing => {}
            () = finishing => late_replies.send(&socket, &engine),
        }
        Ok(())
    }
}

/// Replies to queries that waited for an upstream. Replies that are ready in the same iteration of the
/// runtime are sent together.
struct LateReplies {
    outbox: RefCell<Outbox>,
    ready: Notify,
}

impl LateReplies {
    /// Sends late replies, indefinitely. A task with a reply wakes this one, which runs after all tasks that
    /// are ready already.
    async fn flush(&self, socket: &UdpSocket, engine: &Engine) {
        loop {
            self.ready.notified().await;
            self.send(socket, engine);
        }
    }

    fn send(&self, socket: &UdpSocket, engine: &Engine) {
        send(&mut self.outbox.borrow_mut(), socket, engine);
    }
}

/// The state of a running listener.
struct ServeLoop {
    inbox: Inbox,
    outbox: Outbox,
    socket: Rc<UdpSocket>,
    bound: SocketAddr,
    late_replies: Rc<LateReplies>,
    engine: Arc<Engine>,
    identity: Arc<ListenerIdentity>,
    worker: LocalWorker,
    /// Held by the loop and by every task whose reply is outstanding: the receiver completes when all of them
    /// are dropped.
    task_guard: mpsc::Sender<()>,
}

/// How a batch ended.
enum BatchEnd {
    /// No more datagrams are waiting.
    Drained,
    /// More datagrams may be waiting.
    Full,
    /// The socket itself failed.
    Failed,
}

impl ServeLoop {
    async fn read_until(&mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => return,
                ready = self.socket.readable() => if ready.is_err() {
                    // Happens only when the runtime shuts down.
                    return;
                }
            }
            match self.answer_batch() {
                BatchEnd::Drained => {}
                // `readable` does not yield while there is more to read, so yield here.
                BatchEnd::Full => tokio::task::yield_now().await,
                BatchEnd::Failed => tokio::select! {
                    biased;
                    () = &mut stop => return,
                    () = tokio::time::sleep(PAUSE) => {}
                },
            }
        }
    }

    /// Answers the waiting datagrams, at most [`BATCH`].
    fn answer_batch(&mut self) -> BatchEnd {
        let received = match self.receive() {
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return BatchEnd::Drained,
            Err(error) => {
                self.engine.observer().listeners().udp_receive_errors.inc();
                return if is_peer_error(&error) { BatchEnd::Full } else { BatchEnd::Failed };
            }
        };
        let moment = Moment::now();
        let local_worker = self.worker.clone();
        let mut worker = local_worker.borrow_mut();
        for index in 0..received {
            let datagram = self.inbox.get(index);
            let Some(origin) = query_origin(&datagram, self.bound) else { continue };
            let source = MessageSource { peer: origin.peer, local: origin.local, transport: Transport::Udp };
            let out = self.outbox.buffer();
            let message = datagram.message;
            let incoming = IncomingMessage { listener: &self.identity, message, source: &source, moment };
            match self.engine.handle(&mut worker, &incoming, out) {
                Progress::Dropped => self.outbox.roll_back(),
                Progress::Replied => self.outbox.commit(Some(origin.peer), origin.reply_from),
                Progress::Pending(pending_query) => self.resolve_later(pending_query, origin),
            }
        }
        worker.recorder.finish_batch(moment.started);
        drop(worker);
        send(&mut self.outbox, &self.socket, &self.engine);
        // Datagrams that arrive later make the socket readable again.
        if received < BATCH { BatchEnd::Drained } else { BatchEnd::Full }
    }

    /// Receives the waiting datagrams, at most [`BATCH`].
    fn receive(&mut self) -> io::Result<usize> {
        let (inbox, socket, is_wildcard) = (&mut self.inbox, &*self.socket, self.bound.ip().is_unspecified());
        let mut received = 0;
        let result = socket.try_io(Interest::READABLE, || {
            received = inbox.receive(socket.as_fd(), is_wildcard)?;
            // `WouldBlock` marks the socket as not readable in the runtime, which saves another call.
            if received < BATCH { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        if received > 0 { Ok(received) } else { result.map(|()| 0) }
    }

    /// Answers a query in a separate task when its upstream has replied.
    fn resolve_later(&self, pending_query: Box<PendingQuery>, origin: QueryOrigin) {
        let (engine, identity, worker) = (self.engine.clone(), self.identity.clone(), self.worker.clone());
        let (late_replies, task_guard) = (self.late_replies.clone(), self.task_guard.clone());
        tokio::task::spawn_local(async move {
            let _task_guard = task_guard;
            let resolved = engine.resolve(pending_query).await;
            let mut outbox = late_replies.outbox.borrow_mut();
            if engine.finish(&mut worker.borrow_mut(), &identity, &resolved, outbox.buffer()) {
                outbox.commit(Some(origin.peer), origin.reply_from);
                late_replies.ready.notify_one();
            } else {
                outbox.roll_back();
            }
        });
    }
}

/// The source and destination of a query.
struct QueryOrigin {
    peer: SocketAddr,
    /// The local address that was queried.
    local: IpAddr,
    /// The address from which to send the reply, if the system would have a choice.
    reply_from: Option<LocalAddress>,
}

/// The origin of a datagram, or `None` if it must not be answered: port 0 cannot receive a reply, and with a
/// forged source the listener would answer itself.
fn query_origin(datagram: &Received<'_>, bound: SocketAddr) -> Option<QueryOrigin> {
    let peer = datagram.peer.filter(|peer| peer.port() != 0)?;
    let is_wildcard = bound.ip().is_unspecified();
    // A datagram to a wildcard without its destination could not be answered from the right address.
    let reply_from = if is_wildcard { Some(datagram.local?) } else { None };
    let local = reply_from.map_or_else(|| bound.ip(), |(address, _)| address);
    // With a wildcard, every loopback address is local too.
    let own_address = peer.ip() == local || (is_wildcard && peer.ip().is_loopback());
    (peer.port() != bound.port() || !own_address).then_some(QueryOrigin { peer, local, reply_from })
}

/// Sends the replies and counts those that could not be sent; their clients retry.
fn send(outbox: &mut Outbox, socket: &UdpSocket, engine: &Engine) {
    if outbox.is_empty() {
        return;
    }
    let failed = outbox.send(socket.as_fd());
    if failed > 0 {
        engine.observer().listeners().udp_send_errors.inc_by(failed as u64);
    }
}

/// Whether an error concerns a single datagram or was caused by an ICMP message or a signal: the
/// socket itself still works, and peers can provoke it at will.
fn is_peer_error(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::Interrupted
            | io::ErrorKind::InvalidData
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_does_not_answer_itself() {
        for (bound, peer, local, answers) in [
            ("127.0.0.1:53", "127.0.0.1:53", None, false),
            ("127.0.0.1:53", "127.0.0.2:53", None, true),
            ("127.0.0.1:53", "127.0.0.1:54", None, true),
            ("127.0.0.1:53", "127.0.0.1:0", None, false),
            ("0.0.0.0:53", "192.0.2.1:53", Some("192.0.2.1"), false),
            ("0.0.0.0:53", "127.0.0.9:53", Some("127.0.0.1"), false),
            ("0.0.0.0:53", "192.0.2.2:53", Some("192.0.2.1"), true),
            ("0.0.0.0:53", "192.0.2.2:53", None, false),
        ] {
            let local = local.map(|local| (local.parse().expect("ip"), 0));
            let peer = Some(peer.parse().expect("an address"));
            let datagram = Received { message: b"", peer, local, truncated: false };
            let origin = query_origin(&datagram, bound.parse().expect("an address"));
            assert_eq!(origin.is_some(), answers, "{bound} {peer:?} {local:?}");
        }
    }
}
