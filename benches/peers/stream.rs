//! The load generator over TCP: several queries in flight on each connection (RFC 7766 section 6.2.1.1).

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, poll};

use crate::generator::{Load, POLL_PAUSE, thread_cpu};
use crate::in_flight::{LoadEnd, LoadResult, Pace, PendingQueries, REPLY_TIMEOUT, Stopwatch};
use crate::machine;

/// Number of connections.
pub(crate) const CONNECTIONS: usize = 20;

/// Number of queries in flight on each of them.
pub(crate) const IN_FLIGHT: usize = 8;

/// Maximum number of octets per read.
const READ_SIZE: usize = 16 * 1024;

/// How long to wait for a reply before all connections are checked, in milliseconds.
const POLL_TIMEOUT_MS: u8 = 2;

/// Runs a load over TCP on a separate thread. It requires `Pace::Outstanding` and `LoadEnd::Time`.
pub(crate) fn run(load: &Load<'_>) -> io::Result<LoadResult> {
    let run = || {
        machine::pin(load.cpu);
        load_streams(load)
    };
    std::thread::scope(|scope| scope.spawn(run).join().expect("the generator does not panic"))
}

fn load_streams(load: &Load<'_>) -> io::Result<LoadResult> {
    let (Pace::Outstanding(all), LoadEnd::Time(time)) = (load.pace, load.until) else {
        return Err(io::Error::other("a load over TCP requires Pace::Outstanding and LoadEnd::Time"));
    };
    let mut streams = Vec::new();
    for number in 0..load.sockets {
        let pending = PendingQueries::new(load, (number, load.sockets));
        streams.push(Stream::open(load.server, pending)?);
    }
    let mut result = LoadResult::default();
    let cpu = thread_cpu();
    let (stopwatch, end) = (Stopwatch::start(), time.as_nanos() as u64);
    let in_flight = all / load.sockets;
    for stream in &mut streams {
        stream.send(in_flight, stopwatch.now(), &mut result)?;
    }
    while stopwatch.now() < end {
        for number in ready(&streams)? {
            let stream = &mut streams[number];
            stream.receive(stopwatch, &mut result)?;
            stream.send(in_flight, stopwatch.now(), &mut result)?;
        }
    }
    result.seconds = stopwatch.now() as f64 / 1e9;
    let last = stopwatch.now() + REPLY_TIMEOUT.as_nanos() as u64;
    while streams.iter().any(|stream| stream.pending.in_flight_count() > 0) && stopwatch.now() < last {
        for number in ready(&streams)? {
            streams[number].receive(stopwatch, &mut result)?;
            streams[number].flush()?;
        }
    }
    for stream in &mut streams {
        stream.pending.expire(0, true, &mut result);
    }
    result.generator_cpu = thread_cpu() - cpu;
    Ok(result)
}

/// The connections that are ready, after a pause in which more may become ready. After a timeout all of them,
/// because data may have to be written to one.
fn ready(streams: &[Stream<'_>]) -> io::Result<Vec<usize>> {
    std::thread::sleep(POLL_PAUSE);
    let poll_one = |stream| PollFd::new(AsFd::as_fd(stream), PollFlags::POLLIN);
    let mut polled: Vec<PollFd<'_>> = streams.iter().map(|stream| poll_one(&stream.socket)).collect();
    let count = poll(&mut polled, POLL_TIMEOUT_MS)?;
    let is_ready = |number: &usize| count == 0 || polled[*number].any().unwrap_or(true);
    Ok((0..polled.len()).filter(is_ready).collect())
}

/// One connection.
struct Stream<'p> {
    server: SocketAddr,
    socket: TcpStream,
    pending: PendingQueries<'p>,
    /// Received octets that are not yet a complete message.
    unparsed: Vec<u8>,
    /// Octets that have not been written yet.
    unsent: Vec<u8>,
}

impl<'p> Stream<'p> {
    fn open(server: SocketAddr, pending: PendingQueries<'p>) -> io::Result<Self> {
        let socket = connect(server)?;
        Ok(Self { server, socket, pending, unparsed: Vec::new(), unsent: Vec::new() })
    }

    /// Receives the available replies. A connection that the server has closed is opened again; the queries
    /// in flight on it are lost.
    fn receive(&mut self, stopwatch: Stopwatch, result: &mut LoadResult) -> io::Result<()> {
        let mut buffer = [0; READ_SIZE];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return self.reopen(result),
                Ok(length) => {
                    self.unparsed.extend_from_slice(&buffer[..length]);
                    self.parse_replies(stopwatch.now(), result);
                    if length < READ_SIZE {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return self.reopen(result),
                Err(error) => return Err(error),
            }
        }
    }

    /// Processes every complete message.
    fn parse_replies(&mut self, now: u64, result: &mut LoadResult) {
        let mut rest = &self.unparsed[..];
        while let Some((length, after)) = rest.split_first_chunk::<2>() {
            let Some((message, after)) = after.split_at_checked(u16::from_be_bytes(*length).into()) else {
                break;
            };
            self.pending.receive_reply(message, now, result);
            rest = after;
        }
        let used = self.unparsed.len() - rest.len();
        self.unparsed.drain(..used);
    }

    /// Sends queries until the given number is in flight.
    fn send(&mut self, in_flight: usize, now: u64, result: &mut LoadResult) -> io::Result<()> {
        while self.pending.in_flight_count() < in_flight {
            let Some(slot) = self.pending.next_query(now) else { break };
            let wire = self.pending.wire(slot);
            self.unsent.extend_from_slice(&(wire.len() as u16).to_be_bytes());
            self.unsent.extend_from_slice(wire);
            result.sent += 1;
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match self.socket.write(&self.unsent) {
                Ok(length) => drop(self.unsent.drain(..length)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // The next read reports that the connection is closed.
                Err(error) if is_closed(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn reopen(&mut self, result: &mut LoadResult) -> io::Result<()> {
        self.pending.expire(0, true, result);
        self.unparsed.clear();
        self.unsent.clear();
        self.socket = connect(self.server)?;
        Ok(())
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

fn connect(server: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpStream::connect_timeout(&server, Duration::from_secs(2))?;
    socket.set_nodelay(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
