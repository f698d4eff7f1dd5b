//! The plain UDP door of one worker: `receive → answer → send`, a batch at a time, and nothing else on the way.
//!
//! ```text
//!  readable ─▶ Inbox::receive ─▶ Engine::begin ─▶ Outbox::send
//!                                     │ somebody else must be asked
//!                                     └▶ a task: Engine::resolve, conclude ─▶ late replies ─▶ Outbox::send
//! ```
//!
//! A reply leaves from the address that was asked. Bound to one address, that is the one. Bound to a wildcard, the
//! system would choose by its routes, which is wrong as soon as a host has two addresses, and every VPC host asks
//! 169.254.169.253 beside its VPC's base + 2: a stub resolver drops a reply from an address it did not ask
//! (RFC 5452 section 9.1). So each packet is asked for its destination (`IP_PKTINFO`, RFC 3542 section 6) and the
//! reply is told to leave from there.
//!
//! Nothing that a stranger or the network does ends the loop; only `stop` does.

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

use super::datagrams::{ANY_DATAGRAM, Backend, Inbox, Local, Outbox, Received};
use super::{Begun, Door, Engine, Incoming, Moment, Origin, Own, Transport, Waiting};

/// Datagrams that are read and answered together.
const BATCH: usize = 64;

/// Rest after an error of the socket itself, so that one that lasts does not spin.
const PAUSE: Duration = Duration::from_millis(100);

/// A bound UDP socket that answers DNS messages (RFC 1035 section 4.2.1), once it is run on a worker's thread.
pub struct UdpDoor {
    socket: std::net::UdpSocket,
    bound: SocketAddr,
    door: Arc<Door>,
    backend: Backend,
}

impl UdpDoor {
    /// A door on a bound socket; it answers nobody until [`run`](Self::run).
    ///
    /// # Errors
    /// The socket has no address, or (bound to a wildcard) cannot be made to tell which address was asked.
    pub fn new(socket: std::net::UdpSocket, door: Arc<Door>, backend: Backend) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let bound = socket.local_addr()?;
        match bound.ip() {
            ip if !ip.is_unspecified() => {}
            IpAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?,
            IpAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?,
        }
        Ok(Self { socket, bound, door, backend })
    }

    /// Answers until `stop`; then what is under way is finished, queries that wait for others too.
    ///
    /// Must be called on a worker's thread, within its runtime.
    ///
    /// # Errors
    /// The socket cannot be registered with the runtime.
    pub async fn run(self, engine: Arc<Engine>, own: Own, stop: impl Future<Output = ()>) -> io::Result<()> {
        let Self { socket, bound, door, backend } = self;
        let socket = Rc::new(UdpSocket::from_std(socket)?);
        engine.observer().watch_receive_buffers(&door.server, bound);
        let late = Rc::new(Late { outbox: RefCell::new(Outbox::new(backend, true)), ready: Notify::new() });
        let (owing, mut paid) = mpsc::channel(1);
        let mut serving = Serving {
            inbox: Inbox::new(backend, BATCH, ANY_DATAGRAM),
            outbox: Outbox::new(backend, true),
            socket: socket.clone(),
            bound,
            late: late.clone(),
            engine: engine.clone(),
            door,
            own,
            owing,
        };
        let flushing = late.flush(&socket, &engine);
        let finishing = async {
            serving.read_until(stop).await;
            drop(serving);
            while paid.recv().await.is_some() {}
        };
        tokio::select! {
            () = flushing => {}
            () = finishing => late.send(&socket, &engine),
        }
        Ok(())
    }
}

/// Replies to queries that waited for somebody else. Those that are ready in one turn of the runtime leave together.
struct Late {
    outbox: RefCell<Outbox>,
    ready: Notify,
}

impl Late {
    /// Sends what is ready, for ever: whoever has a reply wakes this, and it runs after all who are awake already.
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

/// A door at work.
struct Serving {
    inbox: Inbox,
    outbox: Outbox,
    socket: Rc<UdpSocket>,
    bound: SocketAddr,
    late: Rc<Late>,
    engine: Arc<Engine>,
    door: Arc<Door>,
    own: Own,
    /// Held by the loop and by every task that owes a reply; when all are gone, the receiver hears it.
    owing: mpsc::Sender<()>,
}

/// How a batch ended.
enum Batch {
    /// Nothing is waiting any more.
    Drained,
    /// There may be more.
    Full,
    /// The socket itself failed.
    Failed,
}

impl Serving {
    async fn read_until(&mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => return,
                ready = self.socket.readable() => if ready.is_err() {
                    // Only when the runtime is shutting down.
                    return;
                }
            }
            match self.answer_batch() {
                Batch::Drained => {}
                // `readable` does not yield while there is more to read, so it is done here.
                Batch::Full => tokio::task::yield_now().await,
                Batch::Failed => tokio::select! {
                    biased;
                    () = &mut stop => return,
                    () = tokio::time::sleep(PAUSE) => {}
                },
            }
        }
    }

    /// Answers what is waiting, at most [`BATCH`] datagrams.
    fn answer_batch(&mut self) -> Batch {
        let received = match self.receive() {
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Batch::Drained,
            Err(error) => {
                self.engine.observer().doors().udp_receive_errors.inc();
                return if is_about_a_peer(&error) { Batch::Full } else { Batch::Failed };
            }
        };
        let moment = Moment::now();
        let own = self.own.clone();
        let mut worker = own.borrow_mut();
        for index in 0..received {
            let datagram = self.inbox.get(index);
            let Some(asked) = asked(&datagram, self.bound) else { continue };
            let origin = Origin { peer: asked.peer, local: asked.local, transport: Transport::Udp };
            let out = self.outbox.buffer();
            let message = datagram.message;
            let incoming = Incoming { door: &self.door, message, origin: &origin, moment };
            match self.engine.begin(&mut worker, &incoming, out) {
                Begun::Silence => self.outbox.abandon(),
                Begun::Ready => self.outbox.seal(Some(asked.peer), asked.source),
                Begun::Waiting(waiting) => self.finish_later(waiting, asked),
            }
        }
        worker.witness.settle(moment.started);
        drop(worker);
        send(&mut self.outbox, &self.socket, &self.engine);
        // Whatever is left makes the socket readable again.
        if received < BATCH { Batch::Drained } else { Batch::Full }
    }

    /// Receives what is there, at most [`BATCH`] datagrams.
    fn receive(&mut self) -> io::Result<usize> {
        let (inbox, socket, is_wildcard) = (&mut self.inbox, &*self.socket, self.bound.ip().is_unspecified());
        let mut received = 0;
        let all = socket.try_io(Interest::READABLE, || {
            received = inbox.receive(socket.as_fd(), is_wildcard)?;
            // The runtime hears now that nothing more is there, and need not be told by another call.
            if received < BATCH { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        if received > 0 { Ok(received) } else { all.map(|()| 0) }
    }

    /// Answers a query when somebody else has, in a task of its own.
    fn finish_later(&self, waiting: Box<Waiting>, asked: AskedAt) {
        let (engine, door, own) = (self.engine.clone(), self.door.clone(), self.own.clone());
        let (late, owing) = (self.late.clone(), self.owing.clone());
        tokio::task::spawn_local(async move {
            let _owing = owing;
            let resolved = engine.resolve(waiting).await;
            let mut outbox = late.outbox.borrow_mut();
            if engine.conclude(&mut own.borrow_mut(), &door, &resolved, outbox.buffer()) {
                outbox.seal(Some(asked.peer), asked.source);
                late.ready.notify_one();
            } else {
                outbox.abandon();
            }
        });
    }
}

/// Who asked, and where.
struct AskedAt {
    peer: SocketAddr,
    /// The address of ours that was asked.
    local: IpAddr,
    /// The same for the reply to leave from, where the system would have a choice.
    source: Option<Local>,
}

/// Who sent a datagram, unless nobody can be answered: at port 0 there is nobody, and a forged source must not have
/// the door talk to itself.
fn asked(datagram: &Received<'_>, bound: SocketAddr) -> Option<AskedAt> {
    let peer = datagram.peer.filter(|peer| peer.port() != 0)?;
    let is_wildcard = bound.ip().is_unspecified();
    // A wildcard's packet without its address could not be answered from there.
    let source = if is_wildcard { Some(datagram.local?) } else { None };
    let local = source.map_or_else(|| bound.ip(), |(address, _)| address);
    // Behind a wildcard every loopback address is ours too.
    let own_address = peer.ip() == local || (is_wildcard && peer.ip().is_loopback());
    (peer.port() != bound.port() || !own_address).then_some(AskedAt { peer, local, source })
}

/// A full send buffer, a reply too long, a peer out of reach: the client asks again.
fn send(outbox: &mut Outbox, socket: &UdpSocket, engine: &Engine) {
    if outbox.is_empty() {
        return;
    }
    let failed = outbox.send(socket.as_fd());
    if failed > 0 {
        engine.observer().doors().udp_send_errors.inc_by(failed as u64);
    }
}

/// True for errors of one datagram, and those that ICMP messages and signals cause: they say nothing about
/// the socket, and a peer can provoke them at will.
fn is_about_a_peer(error: &io::Error) -> bool {
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
    fn a_door_does_not_answer_itself() {
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
            let asked = asked(&datagram, bound.parse().expect("an address"));
            assert_eq!(asked.is_some(), answers, "{bound} {peer:?} {local:?}");
        }
    }
}
