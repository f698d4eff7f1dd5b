//! A connection to one name server, kept open and pipelined (RFC 7766 6.2), over TCP or TLS (RFC 7858).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Mutex, Notify, mpsc};
use tokio::time::timeout_at;

use super::message::{Failure, Outgoing};
use super::tls::Secure;
use super::in_flight::{Reply, Seen, Waiting};
use crate::observe::ServerMetrics;

/// How many messages may wait to be written.
const WRITE_QUEUE: usize = 64;

/// After this many replies that match no query a connection is closed. Nobody else can write into it, so the server is
/// confused.
const MAX_MISMATCHES: u32 = 256;

/// How a server is reached by a connection.
#[derive(Clone, Debug)]
pub(super) struct Dial {
    pub server: SocketAddr,
    pub source: Option<IpAddr>,
    /// What goes over TCP; nothing for plain DNS.
    pub secure: Option<Secure>,
}

impl Dial {
    /// A new connection.
    pub async fn connect(&self) -> Result<Box<dyn Stream>, Failure> {
        let tcp = self.connect_tcp().await?;
        match &self.secure {
            None => Ok(Box::new(tcp)),
            Some(secure) => Ok(Box::new(secure.wrap(tcp).await?)),
        }
    }

    async fn connect_tcp(&self) -> Result<TcpStream, Failure> {
        let socket = match self.server {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        if let Some(source) = self.source {
            socket.bind((source, 0).into()).map_err(|error| Failure::of_bind(error, Some(source)))?;
        }
        let stream = socket.connect(self.server).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// Octets both ways.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The one connection to a server, if it is open.
#[derive(Debug)]
pub(super) struct StreamPool {
    dial: Dial,
    idle: Duration,
    metrics: Arc<ServerMetrics>,
    current: Mutex<Option<Connection>>,
}

/// A connection as its pool knows it; its task owns the stream.
#[derive(Clone, Debug)]
struct Connection {
    write: mpsc::Sender<Vec<u8>>,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    in_flight: Arc<Waiting>,
    /// How many messages came.
    received: AtomicUsize,
    /// Told when the connection is to end.
    hang_up: Notify,
}

impl StreamPool {
    pub fn new(dial: Dial, idle: Duration, metrics: Arc<ServerMetrics>) -> Self {
        Self { dial, idle, metrics, current: Mutex::new(None) }
    }

    /// Sends a question and waits for its response until a point in time.
    pub async fn exchange(&self, outgoing: &Arc<Outgoing>, until: Instant) -> Reply {
        timeout_at(until.into(), self.exchange_in_time(outgoing, until))
            .await
            .unwrap_or(Err(Failure::Timeout))
    }

    /// The same without an end.
    async fn exchange_in_time(&self, outgoing: &Arc<Outgoing>, until: Instant) -> Reply {
        loop {
            let (connection, is_new) = self.connection().await?;
            match connection.exchange(outgoing, until).await {
                // A server may close what was idle just when we write (RFC 7766 6.2.4).
                Err(Failure::Closed) if !is_new => {}
                reply => return reply,
            }
        }
    }

    /// Fails all outstanding queries as if their time-out had expired, and closes the connection.
    pub fn time_out_all(&self) {
        // Whoever holds the lock is connecting, and has its own time-out.
        if let Ok(mut current) = self.current.try_lock()
            && let Some(connection) = current.take()
        {
            connection.state.in_flight.time_out_all();
            connection.state.hang_up.notify_one();
        }
    }

    /// The open connection, or a new one; others wait for it while it is being made.
    async fn connection(&self) -> Result<(Connection, bool), Failure> {
        let mut current = self.current.lock().await;
        if let Some(connection) = &*current
            && !connection.state.in_flight.is_closed()
            && !connection.write.is_closed()
        {
            return Ok((connection.clone(), false));
        }
        *current = None;
        let stream = self.dial.connect().await?;
        let (write, to_write) = mpsc::channel(WRITE_QUEUE);
        let state = Arc::new(State::default());
        tokio::spawn(run(stream, to_write, state.clone(), self.idle, self.metrics.clone()));
        let connection = Connection { write, state };
        *current = Some(connection.clone());
        Ok((connection, true))
    }
}

impl Connection {
    async fn exchange(&self, outgoing: &Arc<Outgoing>, until: Instant) -> Reply {
        let ticket = self.state.in_flight.open(outgoing, until).ok_or(Failure::Closed)?;
        let mut watch = Watch { state: &self.state, before: self.state.received(), answered: false };
        let message = outgoing.wire(ticket.id);
        let mut frame = Vec::with_capacity(2 + message.len());
        // A query has some 300 octets at most.
        frame.extend((message.len() as u16).to_be_bytes());
        frame.extend(message);
        self.write.send(frame).await.map_err(|_| Failure::Closed)?;
        let reply = ticket.wait().await;
        watch.answered = true;
        reply
    }
}

impl State {
    fn received(&self) -> usize {
        self.received.load(Ordering::Relaxed)
    }
}

/// Whether anything comes while a question waits. When its time is up and nothing came at all, the connection takes no
/// more questions. Those that are outstanding on it wait on: each has its own time.
struct Watch<'s> {
    state: &'s State,
    before: usize,
    answered: bool,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if !self.answered && self.state.received() == self.before {
            self.state.in_flight.retire();
        }
        if self.state.in_flight.is_closed() && self.state.in_flight.is_idle() {
            self.state.hang_up.notify_one();
        }
    }
}

/// The life of a connection: until it was idle for long, either side fails, or nobody knows it any more.
async fn run(
    stream: Box<dyn Stream>,
    mut to_write: mpsc::Receiver<Vec<u8>>,
    state: Arc<State>,
    idle: Duration,
    metrics: Arc<ServerMetrics>,
) {
    let (read, mut write) = tokio::io::split(stream);
    let mut read = BufReader::new(read);
    let writing = async {
        while let Some(frame) = to_write.recv().await {
            if write.write_all(&frame).await.is_err() || write.flush().await.is_err() {
                break;
            }
        }
        Failure::Closed
    };
    let reading = async {
        loop {
            match next_frame(&mut read, &state.in_flight, idle).await {
                Ok(frame) => {
                    state.received.fetch_add(1, Ordering::Relaxed);
                    if matches!(state.in_flight.give(&frame), Seen::WrongCase | Seen::Mismatch) {
                        metrics.failed("mismatch");
                        // One confused reply is its own query's affair; a confused server is not kept.
                        if state.in_flight.mismatches() >= MAX_MISMATCHES {
                            return Failure::Mismatch;
                        }
                    }
                }
                Err(failure) => return failure,
            }
        }
    };
    let failure = tokio::select! {
        failure = writing => failure,
        failure = reading => failure,
        () = state.hang_up.notified() => Failure::Closed,
    };
    state.in_flight.fail(&failure);
    // TLS says good-bye; a server that does not listen any more is not waited for.
    let _ = tokio::time::timeout(Duration::from_secs(1), write.shutdown()).await;
}

async fn next_frame(
    read: &mut (impl AsyncBufReadExt + Unpin),
    in_flight: &Waiting,
    idle: Duration,
) -> Result<Vec<u8>, Failure> {
    loop {
        match tokio::time::timeout(idle, read.fill_buf()).await {
            Ok(Ok([])) => return Err(Failure::Closed),
            Ok(Ok(_)) => break,
            Ok(Err(error)) => return Err(error.into()),
            Err(_) if in_flight.is_idle() => return Err(Failure::Closed),
            Err(_) => {}
        }
    }
    let length = read.read_u16().await?;
    let mut frame = vec![0; usize::from(length)];
    read.read_exact(&mut frame).await?;
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;
    use crate::dns::{Class, Name, Question, RecordType};
    use crate::observe::{Observer, ObserverOptions};

    #[tokio::test]
    async fn a_question_whose_time_is_up_fails_no_other_on_its_connection() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let query_log = crate::config::QueryLog::default();
        let observer = Observer::new(ObserverOptions { query_log, remembered_lookups: 1 }).unwrap();
        let server = listener.local_addr().unwrap();
        let metrics = Arc::new(observer.forward().server(&"server".into(), None));
        let dial = Dial { server, source: None, secure: None };
        let pool = Arc::new(StreamPool::new(dial, Duration::from_secs(60), metrics));
        let ask = |name: &str, until: Instant| {
            let question =
                Question { qname: Name::parse(name).unwrap(), qtype: RecordType::A, qclass: Class::IN };
            let pool = pool.clone();
            async move { pool.exchange(&Arc::new(Outgoing::plain(&question, false)), until).await }
        };
        let patient = tokio::spawn(ask("patient.example", Instant::now() + Duration::from_secs(600)));
        let (mut stream, _) = listener.accept().await.unwrap();
        let length = stream.read_u16().await.unwrap();
        let mut message = vec![0; usize::from(length)];
        stream.read_exact(&mut message).await.unwrap();
        let late = ask("late.example", Instant::now() + Duration::from_millis(20)).await;
        assert_eq!(late, Err(Failure::Timeout));
        // Its reply comes after the other's time was up.
        message[2] |= 0x80;
        stream.write_all(&[&length.to_be_bytes()[..], &message].concat()).await.unwrap();
        assert!(patient.await.unwrap().is_ok());
        // The connection is not used again.
        let next = tokio::spawn(ask("next.example", Instant::now() + Duration::from_secs(600)));
        listener.accept().await.unwrap();
        next.abort();
    }
}
