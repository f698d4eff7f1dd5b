//! The load generator over UDP: sends queries, receives replies and checks them.
//!
//! ```text
//!  for each socket that is ready:  recvmmsg ─► check, count ─► as many new queries ─► sendmmsg
//! ```
//!
//! With `Pace::Outstanding`, the generator does not sleep until a reply arrives: it checks again after a
//! pause, or immediately if it spins. Thus waking it costs the servers no time, and replies are received in
//! batches even if they are sent one by one. At a fixed rate, a reply wakes the generator, because the
//! response time is measured.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{MsgFlags, SockaddrIn};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

use crate::batch::{BATCH, Inbox, Outbox, enlarge_buffers};
use crate::in_flight::{LoadEnd, LoadResult, Pace, PendingQueries, Serials, Slot, Stopwatch};
use crate::machine;
use crate::workload::Plan;

/// Pause with `Pace::Outstanding`. The system extends it to about 70 µs; in `pin1` the queries in flight
/// take at least 200 µs.
pub(crate) const POLL_PAUSE: Duration = Duration::from_micros(20);

/// Maximum wait at a fixed rate, unless the next query is due later.
const TICK: Duration = Duration::from_micros(50);

/// Time without a stale answer after which a load counts as settled, in nanoseconds.
const SETTLED: u64 = 1_000_000_000;

/// How long the generator may be delayed by the system before its schedule is delayed as well, in
/// nanoseconds.
const STALL: u64 = 1_000_000;

/// Interval of the search for lost queries, in nanoseconds.
const SWEEP: u64 = 50_000_000;

/// A load on one server.
#[derive(Clone, Debug)]
pub(crate) struct Load<'p> {
    /// The queries.
    pub plan: &'p Plan,
    /// Serial numbers for new names.
    pub serials: &'p Serials,
    /// The address of the server.
    pub server: SocketAddr,
    /// Number of sockets.
    pub sockets: usize,
    /// Whether each socket has its own loopback address, like a separate client: servers have limits per
    /// client.
    pub separate_addresses: bool,
    /// When the next query is sent.
    pub pace: Pace,
    /// How long queries are sent.
    pub until: LoadEnd,
    /// Whether the generator never sleeps.
    pub spins: bool,
    /// The processor that the generator is pinned to.
    pub cpu: Option<usize>,
    /// Time limit for a reply.
    pub reply_timeout: Duration,
    /// The second octet of IPv4 addresses that are not stale. If set, the load ends when only those are
    /// received.
    pub fresh: Option<u8>,
}

impl Load<'_> {
    /// Runs the load on a separate thread.
    pub(crate) fn run(&self) -> io::Result<LoadResult> {
        let run = || {
            machine::pin(self.cpu);
            Generator::new(self)?.run()
        };
        std::thread::scope(|scope| scope.spawn(run).join().expect("the generator does not panic"))
    }
}

/// Processor time of the calling thread, in seconds.
pub(crate) fn thread_cpu() -> f64 {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from);
    time.as_secs_f64()
}

struct Generator<'p> {
    load: &'p Load<'p>,
    sockets: Vec<UdpSocket>,
    pending: Vec<PendingQueries<'p>>,
    inbox: Inbox,
    outbox: Outbox,
    batch: Vec<Slot>,
    /// The sockets to be checked next.
    ready: Vec<bool>,
    stopwatch: Stopwatch,
    /// How long the generator itself was delayed by the system. Queries that were due meanwhile are postponed
    /// by the same time: the server did not cause the delay, and real clients would not send them all at
    /// once.
    stalled: u64,
    result: LoadResult,
}

impl<'p> Generator<'p> {
    fn new(load: &'p Load<'p>) -> io::Result<Self> {
        let address = |number: usize| match load.separate_addresses {
            true => Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + 1 + number as u32),
            false => Ipv4Addr::LOCALHOST,
        };
        let socket = |number| socket(address(number), load.server);
        let sockets: io::Result<Vec<UdpSocket>> = (0..load.sockets).map(socket).collect();
        let pending = |number| PendingQueries::new(load, (number, load.sockets));
        Ok(Self {
            load,
            sockets: sockets?,
            pending: (0..load.sockets).map(pending).collect(),
            inbox: Inbox::new(),
            outbox: Outbox::new(),
            batch: Vec::with_capacity(BATCH),
            ready: vec![true; load.sockets],
            stopwatch: Stopwatch::start(),
            stalled: 0,
            result: LoadResult::default(),
        })
    }

    fn run(mut self) -> io::Result<LoadResult> {
        let cpu = thread_cpu();
        self.stopwatch = Stopwatch::start();
        self.send_and_receive()?;
        self.result.seconds = self.stopwatch.now() as f64 / 1e9;
        self.drain()?;
        self.result.generator_cpu = thread_cpu() - cpu;
        for socket in &self.sockets {
            self.result.dropped_at_generator += machine::udp_drops(socket.local_addr()?.port());
        }
        Ok(self.result)
    }

    /// Sends and receives until the time limit or the end of the plan.
    fn send_and_receive(&mut self) -> io::Result<()> {
        let end = match self.load.until {
            LoadEnd::Time(time) => time.as_nanos() as u64,
            LoadEnd::Once => u64::MAX,
        };
        let mut next_sweep = SWEEP;
        let mut first_socket = 0;
        let mut last = self.stopwatch.now();
        loop {
            let now = self.stopwatch.now();
            self.stalled += (now - last).saturating_sub(STALL);
            last = now;
            if now >= end || self.pending.iter().all(PendingQueries::is_done) || self.is_settled(now) {
                return Ok(());
            }
            let before = self.result.answered;
            for step in 0..self.sockets.len() {
                // At a fixed rate, each iteration starts with another socket.
                let number = (first_socket + step) % self.sockets.len();
                if self.ready[number] {
                    self.receive(number)?;
                    self.send(number)?;
                }
            }
            first_socket += 1;
            if now >= next_sweep {
                next_sweep = now + SWEEP;
                self.pending.iter_mut().for_each(|pending| pending.expire(now, false, &mut self.result));
            }
            if !self.load.spins && self.result.answered == before {
                self.wait()?;
            }
        }
    }

    /// Whether fresh answers are received and no stale one has been received for a while.
    fn is_settled(&self, now: u64) -> bool {
        let LoadResult { first_fresh, last_stale, .. } = &self.result;
        first_fresh.is_some_and(|first| now.saturating_sub(last_stale.unwrap_or(0).max(first)) > SETTLED)
    }

    /// Waits for the remaining replies until the time limit; queries without one are lost.
    fn drain(&mut self) -> io::Result<()> {
        let end = self.stopwatch.now() + self.load.reply_timeout.as_nanos() as u64;
        while self.pending.iter().any(|pending| pending.in_flight_count() > 0) && self.stopwatch.now() < end {
            self.wait()?;
            for number in 0..self.sockets.len() {
                self.receive(number)?;
            }
        }
        self.pending.iter_mut().for_each(|pending| pending.expire(0, true, &mut self.result));
        Ok(())
    }

    /// Receives the datagrams that are waiting on one socket.
    fn receive(&mut self, number: usize) -> io::Result<()> {
        let Self { sockets, pending, inbox, result, stopwatch, .. } = self;
        let pending = &mut pending[number];
        if pending.in_flight_count() == 0 {
            return Ok(());
        }
        let mut at = None;
        let received = inbox.receive(&sockets[number], MsgFlags::MSG_DONTWAIT, |message, _| {
            let at = *at.get_or_insert_with(|| stopwatch.now());
            pending.receive_reply(message, at, result);
        });
        match received {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }

    /// Sends the queries that are due on one socket.
    fn send(&mut self, number: usize) -> io::Result<()> {
        let now = self.stopwatch.now();
        let pending = &mut self.pending[number];
        self.batch.clear();
        let most = match self.load.pace {
            Pace::Outstanding(all) => (all / self.sockets.len()).saturating_sub(pending.in_flight_count()),
            Pace::Rate(rate) => {
                let due = (now - self.stalled.min(now)) as f64 * rate / 1e9;
                (due as u64).saturating_sub(self.result.sent) as usize
            }
        };
        for index in 0..most.min(BATCH) {
            let sent = match self.load.pace {
                Pace::Outstanding(_) => now,
                // The response time includes the time since the query was due.
                Pace::Rate(rate) => {
                    let due = (self.result.sent + index as u64) as f64 * 1e9 / rate;
                    due as u64 + self.stalled
                }
            };
            match pending.next_query(sent) {
                Some(slot) => self.batch.push(slot),
                None => break,
            }
        }
        if self.batch.is_empty() { Ok(()) } else { self.send_batch(number) }
    }

    fn send_batch(&mut self, number: usize) -> io::Result<()> {
        /// The sockets are connected.
        const TO: [Option<SockaddrIn>; BATCH] = [None; BATCH];
        let pending = &mut self.pending[number];
        let slices: Vec<_> = self.batch.iter().map(|slot| [IoSlice::new(pending.wire(*slot))]).collect();
        let sent = match self.outbox.send(&self.sockets[number], &slices, &TO[..slices.len()]) {
            Ok(sent) => sent,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        for slot in &self.batch[sent..] {
            pending.cancel(*slot);
        }
        self.result.sent += sent as u64;
        Ok(())
    }

    /// Pauses briefly; at a fixed rate, waits for a reply or until the next query is due.
    fn wait(&mut self) -> io::Result<()> {
        let Pace::Rate(rate) = self.load.pace else {
            std::thread::sleep(POLL_PAUSE);
            return Ok(());
        };
        let due = (self.result.sent as f64 * 1e9 / rate) as u64 + self.stalled;
        let tick = TICK.max(Duration::from_nanos(due.saturating_sub(self.stopwatch.now())));
        let poll = |socket| PollFd::new(UdpSocket::as_fd(socket), PollFlags::POLLIN);
        let mut polled: Vec<PollFd<'_>> = self.sockets.iter().map(poll).collect();
        let count = ppoll(&mut polled, Some(TimeSpec::from_duration(tick)), None)?;
        for (ready, polled) in self.ready.iter_mut().zip(&polled) {
            *ready = count == 0 || polled.any().unwrap_or(true);
        }
        Ok(())
    }
}

fn socket(address: Ipv4Addr, server: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((address, 0))?;
    enlarge_buffers(&socket)?;
    socket.connect(server)?;
    Ok(socket)
}
