//! The load generator over TCP: several queries in flight on each connection (RFC 7766 6.2.1.1).

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, poll};

use crate::flight::{Flights, PATIENCE, Pace, Tally, Until, Watch};
use crate::generator::{Load, REST, thread_cpu};
use crate::machine;

/// How many connections there are.
pub const CONNECTIONS: usize = 20;

/// How many queries are in flight on each.
pub const IN_FLIGHT: usize = 8;

/// How much is read at once.
const ROOM: usize = 16 * 1024;

/// How long a reply is waited for before every connection is looked at, in milliseconds.
const PATIENT_MS: u8 = 2;

/// Runs a load over TCP on a thread of its own. Its pace is a number outstanding, and it has an end in time.
pub fn run(load: &Load<'_>) -> io::Result<Tally> {
    let run = || {
        machine::pin(load.cpu);
        load_streams(load)
    };
    std::thread::scope(|scope| scope.spawn(run).join().expect("the generator does not panic"))
}

fn load_streams(load: &Load<'_>) -> io::Result<Tally> {
    let (Pace::Outstanding(all), Until::Time(time)) = (load.pace, load.until) else {
        return Err(io::Error::other("streams are loaded with a number outstanding, for a time"));
    };
    let mut streams = Vec::new();
    for number in 0..load.sockets {
        let flights = Flights::new(load, (number, load.sockets));
        streams.push(Stream::open(load.server, flights)?);
    }
    let mut shard = Tally::default();
    let cpu = thread_cpu();
    let (watch, end) = (Watch::start(), time.as_nanos() as u64);
    let in_flight = all / load.sockets;
    for stream in &mut streams {
        stream.send(in_flight, watch.now(), &mut shard)?;
    }
    while watch.now() < end {
        for number in ready(&streams)? {
            let stream = &mut streams[number];
            stream.receive(watch, &mut shard)?;
            stream.send(in_flight, watch.now(), &mut shard)?;
        }
    }
    shard.seconds = watch.now() as f64 / 1e9;
    let last = watch.now() + PATIENCE.as_nanos() as u64;
    while streams.iter().any(|stream| stream.flights.on_their_way() > 0) && watch.now() < last {
        for number in ready(&streams)? {
            streams[number].receive(watch, &mut shard)?;
            streams[number].flush()?;
        }
    }
    for stream in &mut streams {
        stream.flights.expire(0, true, &mut shard);
    }
    shard.generator_cpu = thread_cpu() - cpu;
    Ok(shard)
}

/// The connections that something can be done with, after a rest in which more may come. After a long silence all:
/// one may have to be written to.
fn ready(streams: &[Stream<'_>]) -> io::Result<Vec<usize>> {
    std::thread::sleep(REST);
    let poll_one = |stream| PollFd::new(AsFd::as_fd(stream), PollFlags::POLLIN);
    let mut polled: Vec<PollFd<'_>> = streams.iter().map(|stream| poll_one(&stream.socket)).collect();
    let count = poll(&mut polled, PATIENT_MS)?;
    let is_ready = |number: &usize| count == 0 || polled[*number].any().unwrap_or(true);
    Ok((0..polled.len()).filter(is_ready).collect())
}

/// One connection.
struct Stream<'p> {
    server: SocketAddr,
    socket: TcpStream,
    flights: Flights<'p>,
    /// What came and is no whole message yet.
    came: Vec<u8>,
    /// What the kernel has not taken yet.
    goes: Vec<u8>,
}

impl<'p> Stream<'p> {
    fn open(server: SocketAddr, flights: Flights<'p>) -> io::Result<Self> {
        let socket = connect(server)?;
        Ok(Self { server, socket, flights, came: Vec::new(), goes: Vec::new() })
    }

    /// Takes in the replies that have come. A connection that the server closed is opened anew, and what
    /// was in flight on it is lost.
    fn receive(&mut self, watch: Watch, shard: &mut Tally) -> io::Result<()> {
        let mut room = [0; ROOM];
        loop {
            match self.socket.read(&mut room) {
                Ok(0) => return self.open_again(shard),
                Ok(length) => {
                    self.came.extend_from_slice(&room[..length]);
                    self.land(watch.now(), shard);
                    if length < ROOM {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return self.open_again(shard),
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes in every whole message.
    fn land(&mut self, now: u64, shard: &mut Tally) {
        let mut rest = &self.came[..];
        while let Some((length, after)) = rest.split_first_chunk::<2>() {
            let Some((message, after)) = after.split_at_checked(u16::from_be_bytes(*length).into()) else {
                break;
            };
            self.flights.land(message, now, shard);
            rest = after;
        }
        let used = self.came.len() - rest.len();
        self.came.drain(..used);
    }

    /// Sends until so many queries are in flight.
    fn send(&mut self, in_flight: usize, now: u64, shard: &mut Tally) -> io::Result<()> {
        while self.flights.on_their_way() < in_flight {
            let Some(slot) = self.flights.launch(now) else { break };
            let wire = self.flights.wire(slot);
            self.goes.extend_from_slice(&(wire.len() as u16).to_be_bytes());
            self.goes.extend_from_slice(wire);
            shard.sent += 1;
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.goes.is_empty() {
            match self.socket.write(&self.goes) {
                Ok(length) => drop(self.goes.drain(..length)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // The next read tells that the connection is gone.
                Err(error) if is_gone(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn open_again(&mut self, shard: &mut Tally) -> io::Result<()> {
        self.flights.expire(0, true, shard);
        self.came.clear();
        self.goes.clear();
        self.socket = connect(self.server)?;
        Ok(())
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

fn connect(server: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpStream::connect_timeout(&server, Duration::from_secs(2))?;
    socket.set_nodelay(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
