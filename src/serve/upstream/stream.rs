//! A connection to one name server, kept open and pipelined (RFC 7766 section 6.2), over TCP or TLS (RFC
//! 7858).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Mutex, Notify, mpsc};
use tokio::time::timeout_at;

use super::in_flight::{Delivery, ExchangeResult, QueryTable};
use super::message::{Failure, OutgoingQuery};
use super::tls::TlsDialer;
use crate::observe::ServerMetrics;

/// Maximum number of messages that wait to be written.
const WRITE_QUEUE: usize = 64;

/// After this many replies that match no query, the connection is closed: only the server can have sent them,
/// so it is malfunctioning.
const MAX_MISMATCHES: u32 = 256;

/// How to connect to a server.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    pub server: SocketAddr,
    pub source: Option<IpAddr>,
    /// TLS over TCP; `None` for plain DNS.
    pub tls: Option<TlsDialer>,
}

impl Connector {
    /// Opens a connection.
    pub(super) async fn connect(&self) -> Result<Box<dyn Stream>, Failure> {
        let tcp = self.connect_tcp().await?;
        match &self.tls {
            None => Ok(Box::new(tcp)),
            Some(tls) => Ok(Box::new(tls.handshake(tcp).await?)),
        }
    }

    async fn connect_tcp(&self) -> Result<TcpStream, Failure> {
        let socket = match self.server {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        if let Some(source) = self.source {
            socket.bind((source, 0).into()).map_err(|error| Failure::from_bind_error(error, Some(source)))?;
        }
        let stream = socket.connect(self.server).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// A bidirectional byte stream.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The connection to a server, if it is open.
#[derive(Debug)]
pub(super) struct StreamChannel {
    connector: Connector,
    idle: Duration,
    metrics: Arc<ServerMetrics>,
    current: Mutex<Option<Connection>>,
}

/// An open connection; its task owns the stream.
#[derive(Clone, Debug)]
struct Connection {
    write: mpsc::Sender<Vec<u8>>,
    state: Arc<StreamState>,
}

#[derive(Debug, Default)]
struct StreamState {
    in_flight: Arc<QueryTable>,
    /// Number of messages received.
    received: AtomicUsize,
    /// Notified when the connection is to be closed.
    close: Notify,
}

impl StreamChannel {
    pub(super) fn new(connector: Connector, idle: Duration, metrics: Arc<ServerMetrics>) -> Self {
        Self { connector, idle, metrics, current: Mutex::new(None) }
    }

    /// Sends a query and waits for its response until a deadline.
    pub(super) async fn exchange(&self, outgoing: &Arc<OutgoingQuery>, until: Instant) -> ExchangeResult {
        timeout_at(until.into(), self.exchange_in_time(outgoing, until))
            .await
            .unwrap_or(Err(Failure::Timeout))
    }

    /// Like [`exchange`](Self::exchange), without enforcing the deadline.
    async fn exchange_in_time(&self, outgoing: &Arc<OutgoingQuery>, until: Instant) -> ExchangeResult {
        loop {
            let (connection, is_new) = self.connection().await?;
            match connection.exchange(outgoing, until).await {
                // A server may close an idle connection just as a query is written (RFC 7766 section 6.2.4).
                Err(Failure::Closed) if !is_new => {}
                reply => return reply,
            }
        }
    }

    /// Fails all outstanding queries as if their timeout had expired, and closes the connection.
    pub(super) fn time_out_all(&self) {
        // If the lock is held, a connection is being opened, which has a timeout of its own.
        if let Ok(mut current) = self.current.try_lock()
            && let Some(connection) = current.take()
        {
            connection.state.in_flight.time_out_all();
            connection.state.close.notify_one();
        }
    }

    /// The open connection, or a new one; other callers wait while it is being opened.
    async fn connection(&self) -> Result<(Connection, bool), Failure> {
        let mut current = self.current.lock().await;
        if let Some(connection) = &*current
            && !connection.state.in_flight.is_closed()
            && !connection.write.is_closed()
        {
            return Ok((connection.clone(), false));
        }
        *current = None;
        let stream = self.connector.connect().await?;
        let (write, to_write) = mpsc::channel(WRITE_QUEUE);
        let state = Arc::new(StreamState::default());
        tokio::spawn(run(stream, to_write, state.clone(), self.idle, self.metrics.clone()));
        let connection = Connection { write, state };
        *current = Some(connection.clone());
        Ok((connection, true))
    }
}

impl Connection {
    async fn exchange(&self, outgoing: &Arc<OutgoingQuery>, until: Instant) -> ExchangeResult {
        let ticket = self.state.in_flight.register(outgoing, until).ok_or(Failure::Closed)?;
        let mut guard =
            SilenceGuard { state: &self.state, received_before: self.state.received(), answered: false };
        let message = outgoing.wire(ticket.id);
        let mut frame = Vec::with_capacity(2 + message.len());
        // A query has at most about 300 octets.
        frame.extend((message.len() as u16).to_be_bytes());
        frame.extend(message);
        self.write.send(frame).await.map_err(|_| Failure::Closed)?;
        let reply = ticket.wait().await;
        guard.answered = true;
        reply
    }
}

impl StreamState {
    fn received(&self) -> usize {
        self.received.load(Ordering::Relaxed)
    }
}

/// Detects that nothing was received while a query was outstanding. If that query times out, the
/// connection accepts no more queries. The others continue to wait until they time out.
struct SilenceGuard<'s> {
    state: &'s StreamState,
    received_before: usize,
    answered: bool,
}

impl Drop for SilenceGuard<'_> {
    fn drop(&mut self) {
        if !self.answered && self.state.received() == self.received_before {
            self.state.in_flight.close();
        }
        if self.state.in_flight.is_closed() && self.state.in_flight.is_idle() {
            self.state.close.notify_one();
        }
    }
}

/// Main loop of a connection. Ends when it has been idle for too long, reading or writing fails, or it is
/// closed or dropped.
async fn run(
    stream: Box<dyn Stream>,
    mut to_write: mpsc::Receiver<Vec<u8>>,
    state: Arc<StreamState>,
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
                    if matches!(state.in_flight.deliver(&frame), Delivery::WrongCase | Delivery::Mismatch) {
                        metrics.failed("mismatch");
                        // A single mismatched reply concerns only its query; a malfunctioning server is
                        // disconnected.
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
        () = state.close.notified() => Failure::Closed,
    };
    state.in_flight.fail(&failure);
    // TLS sends close_notify. The timeout is for a server that has stopped reading.
    let _ = tokio::time::timeout(Duration::from_secs(1), write.shutdown()).await;
}

async fn next_frame(
    read: &mut (impl AsyncBufReadExt + Unpin),
    in_flight: &QueryTable,
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
    async fn a_question_that_times_out_does_not_fail_others_on_its_connection() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let query_log = crate::config::QueryLog::default();
        let observer = Observer::new(ObserverOptions { query_log, remembered_lookups: 1 }).unwrap();
        let server = listener.local_addr().unwrap();
        let metrics = Arc::new(observer.forward().server(&"server".into(), None));
        let connector = Connector { server, source: None, tls: None };
        let channel = Arc::new(StreamChannel::new(connector, Duration::from_secs(60), metrics));
        let query = |name: &str, until: Instant| {
            let question =
                Question { qname: Name::parse(name).unwrap(), qtype: RecordType::A, qclass: Class::IN };
            let channel = channel.clone();
            async move { channel.exchange(&Arc::new(OutgoingQuery::plain(&question, false)), until).await }
        };
        let slow = tokio::spawn(query("slow.example", Instant::now() + Duration::from_secs(600)));
        let (mut stream, _) = listener.accept().await.unwrap();
        let length = stream.read_u16().await.unwrap();
        let mut message = vec![0; usize::from(length)];
        stream.read_exact(&mut message).await.unwrap();
        let late = query("late.example", Instant::now() + Duration::from_millis(20)).await;
        assert_eq!(late, Err(Failure::Timeout));
        // The reply to the first query arrives after the second has timed out.
        message[2] |= 0x80;
        stream.write_all(&[&length.to_be_bytes()[..], &message].concat()).await.unwrap();
        assert!(slow.await.unwrap().is_ok());
        // The connection is not used again.
        let next = tokio::spawn(query("next.example", Instant::now() + Duration::from_secs(600)));
        listener.accept().await.unwrap();
        next.abort();
    }
}
