//! The plain UDP door: one socket, one loop, `receive → answer → send`.
//!
//! ```text
//!  readable ─▶ receive ─▶ Engine::answer ─▶ send      at most BATCH times, then the others' turn
//!                 │ who asked, and at             ▲
//!                 └ which of our addresses ───────┘ the reply leaves from there
//! ```
//!
//! Nothing that a stranger or the network does ends the loop; only `stop` does.

mod port;

use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;

use self::port::{Asked, Port, Room};
use super::{Begun, Door, Engine, Lookups, Origin, Transport, Waiting};
use crate::dns::MAX_MESSAGE;

/// Datagrams handled for each wake-up before the runtime's other tasks have their turn.
const BATCH: usize = 64;

/// Rest after an error of the socket itself, so that one that lasts does not spin.
const PAUSE: Duration = Duration::from_millis(100);

/// A UDP listener that answers DNS messages (RFC 1035 section 4.2.1).
pub struct UdpDoor {
    port: Arc<Port>,
    room: Room,
    door: Arc<Door>,
    /// The loop's own but for replies that come later; nobody waits for it long.
    lookups: Arc<Mutex<Lookups>>,
    message: Box<[u8]>,
    reply: Vec<u8>,
    /// Held by the loop and by every task that owes a reply; when all are gone, the receiver hears it.
    owing: mpsc::Sender<()>,
    paid: mpsc::Receiver<()>,
}

impl UdpDoor {
    /// A door on a bound socket; it answers nobody until [`run`](Self::run).
    ///
    /// Must be called within a tokio runtime with I/O enabled.
    ///
    /// # Errors
    /// The socket cannot be registered with the runtime, has no address, or (bound to a wildcard) cannot
    /// be made to tell which address was asked.
    pub fn new(socket: std::net::UdpSocket, door: Arc<Door>, lookups: Lookups) -> io::Result<Self> {
        let port = Arc::new(Port::new(socket)?);
        let (owing, paid) = mpsc::channel(1);
        Ok(Self {
            room: port.room(),
            port,
            door,
            lookups: Arc::new(Mutex::new(lookups)),
            message: vec![0; MAX_MESSAGE].into_boxed_slice(),
            reply: Vec::with_capacity(4096),
            owing,
            paid,
        })
    }

    /// Answers until `stop`; then what is under way is finished, queries that wait for others too.
    pub async fn run(mut self, engine: Arc<Engine>, stop: impl Future<Output = ()>) {
        self.read_until(&engine, stop).await;
        let Self { owing, mut paid, .. } = self;
        drop(owing);
        while paid.recv().await.is_some() {}
    }

    async fn read_until(&mut self, engine: &Arc<Engine>, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => return,
                ready = self.port.readable() => if ready.is_err() {
                    // Only when the runtime is shutting down.
                    return;
                }
            }
            match self.answer_batch(engine) {
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

    /// Answers a query when somebody else has, in a task of its own.
    fn finish_later(&self, engine: &Arc<Engine>, waiting: Box<Waiting>, asked: Asked) {
        let (engine, door) = (engine.clone(), self.door.clone());
        let (port, lookups, owing) = (self.port.clone(), self.lookups.clone(), self.owing.clone());
        tokio::spawn(async move {
            let _owing = owing;
            let mut reply = Vec::with_capacity(512);
            if engine.finish(&door, waiting, Some(&lookups), &mut reply).await {
                send(&engine, &port, &reply, &asked);
            }
        });
    }

    /// Answers what is waiting, at most [`BATCH`] datagrams.
    fn answer_batch(&mut self, engine: &Arc<Engine>) -> Batch {
        for _ in 0..BATCH {
            let asked = match self.port.receive(&mut self.message, &mut self.room) {
                Ok(asked) => asked,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Batch::Drained,
                Err(error) => {
                    engine.observer().doors().udp_receive_errors.inc();
                    if is_about_a_peer(&error) {
                        continue;
                    }
                    return Batch::Failed;
                }
            };
            // Nobody can be answered at port 0, and a forged source must not have the door talk to itself.
            if asked.peer.port() == 0 || self.port.is_own(&asked) {
                continue;
            }
            let origin = Origin { peer: asked.peer, local: asked.local, transport: Transport::Udp };
            let message = &self.message[..asked.length];
            match engine.begin(&self.door, message, &origin, Some(&self.lookups), &mut self.reply) {
                Begun::Silence => {}
                Begun::Ready => send(engine, &self.port, &self.reply, &asked),
                Begun::Waiting(waiting) => self.finish_later(engine, waiting, asked),
            }
        }
        Batch::Full
    }
}

/// A full send buffer, a reply too long, a peer out of reach: the client asks again.
fn send(engine: &Engine, port: &Port, reply: &[u8], asked: &Asked) {
    if port.send(reply, asked).is_err() {
        engine.observer().doors().udp_send_errors.inc();
    }
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
