//! The load generator: queries out, replies in and checked, over UDP.
//!
//! ```text
//!  for each socket that is ready:  recvmmsg ─► check, count ─► as many new queries ─► sendmmsg
//! ```
//!
//! With a number outstanding the generator does not sleep until a reply comes: it looks again after a moment, or at
//! once where it spins. So servers do not pay for waking it, and replies are taken in batches, whoever sends them
//! one by one. At a fixed rate a reply wakes it, since its time is what is measured.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{MsgFlags, SockaddrIn};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

use crate::batch::{BATCH, Inbox, Outbox, widen};
use crate::flight::{Flights, Pace, Serials, Slot, Tally, Until, Watch};
use crate::machine;
use crate::workload::Plan;

/// How long it rests with a number outstanding. The system makes some 70 µs of it; in `pin1` the queries on their way
/// are work for 200 µs at least.
pub const REST: Duration = Duration::from_micros(20);

/// How long it waits at most at a fixed rate, or until the next query is due if that is later.
const TICK: Duration = Duration::from_micros(50);

/// How long no stale answer must have come for a load to be settled, in nanoseconds.
const SETTLED: u64 = 1_000_000_000;

/// How long the generator may be kept from running before its schedule waits for it, in nanoseconds.
const STALL: u64 = 1_000_000;

/// How often lost queries are looked for, in nanoseconds.
const SWEEP: u64 = 50_000_000;

/// A load on one server.
#[derive(Clone, Debug)]
pub struct Load<'p> {
    /// What is asked.
    pub plan: &'p Plan,
    /// Numbers for new names.
    pub serials: &'p Serials,
    /// Whom.
    pub server: SocketAddr,
    /// From how many sockets.
    pub sockets: usize,
    /// Whether each socket has a loopback address of its own, as that many clients: servers have bounds for each.
    pub are_clients: bool,
    /// How fast.
    pub pace: Pace,
    /// How long.
    pub until: Until,
    /// Whether the generator never sleeps.
    pub spins: bool,
    /// The processor that it stays on.
    pub cpu: Option<usize>,
    /// How long a reply is waited for.
    pub patience: Duration,
    /// The second octet of IPv4 addresses that are not stale. The load ends once only those are received.
    pub fresh: Option<u8>,
}

impl Load<'_> {
    /// Runs it on a thread of its own.
    pub fn run(&self) -> io::Result<Tally> {
        let run = || {
            machine::pin(self.cpu);
            Generator::new(self)?.run()
        };
        std::thread::scope(|scope| scope.spawn(run).join().expect("the generator does not panic"))
    }
}

/// The processor time of the calling thread, in seconds.
pub fn thread_cpu() -> f64 {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from);
    time.as_secs_f64()
}

struct Generator<'p> {
    load: &'p Load<'p>,
    sockets: Vec<UdpSocket>,
    flights: Vec<Flights<'p>>,
    inbox: Inbox,
    outbox: Outbox,
    batch: Vec<Slot>,
    /// The sockets to look at next.
    ready: Vec<bool>,
    watch: Watch,
    /// For how long the generator itself was kept from running. What was due then is put off by as much: it is
    /// not the server that was slow, and no client sends it all at once.
    stalled: u64,
    shard: Tally,
}

impl<'p> Generator<'p> {
    fn new(load: &'p Load<'p>) -> io::Result<Self> {
        let address = |number: usize| match load.are_clients {
            true => Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + 1 + number as u32),
            false => Ipv4Addr::LOCALHOST,
        };
        let socket = |number| socket(address(number), load.server);
        let sockets: io::Result<Vec<UdpSocket>> = (0..load.sockets).map(socket).collect();
        let flights = |number| Flights::new(load, (number, load.sockets));
        Ok(Self {
            load,
            sockets: sockets?,
            flights: (0..load.sockets).map(flights).collect(),
            inbox: Inbox::new(),
            outbox: Outbox::new(),
            batch: Vec::with_capacity(BATCH),
            ready: vec![true; load.sockets],
            watch: Watch::start(),
            stalled: 0,
            shard: Tally::default(),
        })
    }

    fn run(mut self) -> io::Result<Tally> {
        let cpu = thread_cpu();
        self.watch = Watch::start();
        self.send_and_receive()?;
        self.shard.seconds = self.watch.now() as f64 / 1e9;
        self.drain()?;
        self.shard.generator_cpu = thread_cpu() - cpu;
        for socket in &self.sockets {
            self.shard.dropped_here += machine::udp_drops(socket.local_addr()?.port());
        }
        Ok(self.shard)
    }

    /// Until its time is over, or the plan is at its end.
    fn send_and_receive(&mut self) -> io::Result<()> {
        let end = match self.load.until {
            Until::Time(time) => time.as_nanos() as u64,
            Until::Once => u64::MAX,
        };
        let mut next_sweep = SWEEP;
        let mut turn = 0;
        let mut last = self.watch.now();
        loop {
            let now = self.watch.now();
            self.stalled += (now - last).saturating_sub(STALL);
            last = now;
            if now >= end || self.flights.iter().all(Flights::is_done) || self.is_settled(now) {
                return Ok(());
            }
            let before = self.shard.answered;
            for step in 0..self.sockets.len() {
                // At a fixed rate what is due goes to the next socket each time.
                let number = (turn + step) % self.sockets.len();
                if self.ready[number] {
                    self.receive(number)?;
                    self.send(number)?;
                }
            }
            turn += 1;
            if now >= next_sweep {
                next_sweep = now + SWEEP;
                self.flights.iter_mut().for_each(|flights| flights.expire(now, false, &mut self.shard));
            }
            if !self.load.spins && self.shard.answered == before {
                self.wait()?;
            }
        }
    }

    /// Whether fresh answers are received, and no stale one has been for a while.
    fn is_settled(&self, now: u64) -> bool {
        let Tally { first_fresh, last_stale, .. } = &self.shard;
        first_fresh.is_some_and(|first| now.saturating_sub(last_stale.unwrap_or(0).max(first)) > SETTLED)
    }

    /// Waits for replies that are still to come, and gives up the rest.
    fn drain(&mut self) -> io::Result<()> {
        let end = self.watch.now() + self.load.patience.as_nanos() as u64;
        while self.flights.iter().any(|flights| flights.on_their_way() > 0) && self.watch.now() < end {
            self.wait()?;
            for number in 0..self.sockets.len() {
                self.receive(number)?;
            }
        }
        self.flights.iter_mut().for_each(|flights| flights.expire(0, true, &mut self.shard));
        Ok(())
    }

    /// Takes in what has come to one socket.
    fn receive(&mut self, number: usize) -> io::Result<()> {
        let Self { sockets, flights, inbox, shard, watch, .. } = self;
        let flights = &mut flights[number];
        if flights.on_their_way() == 0 {
            return Ok(());
        }
        let mut at = None;
        let received = inbox.receive(&sockets[number], MsgFlags::MSG_DONTWAIT, |message, _| {
            let at = *at.get_or_insert_with(|| watch.now());
            flights.land(message, at, shard);
        });
        match received {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }

    /// Sends what may be sent from one socket.
    fn send(&mut self, number: usize) -> io::Result<()> {
        let now = self.watch.now();
        let flights = &mut self.flights[number];
        self.batch.clear();
        let most = match self.load.pace {
            Pace::Outstanding(all) => (all / self.sockets.len()).saturating_sub(flights.on_their_way()),
            Pace::Rate(rate) => {
                let due = (now - self.stalled.min(now)) as f64 * rate / 1e9;
                (due as u64).saturating_sub(self.shard.sent) as usize
            }
        };
        for index in 0..most.min(BATCH) {
            let sent = match self.load.pace {
                Pace::Outstanding(_) => now,
                // Waiting for its turn is part of the time that an answer takes.
                Pace::Rate(rate) => {
                    let due = (self.shard.sent + index as u64) as f64 * 1e9 / rate;
                    due as u64 + self.stalled
                }
            };
            match flights.launch(sent) {
                Some(slot) => self.batch.push(slot),
                None => break,
            }
        }
        if self.batch.is_empty() { Ok(()) } else { self.send_batch(number) }
    }

    fn send_batch(&mut self, number: usize) -> io::Result<()> {
        /// The sockets are connected.
        const TO: [Option<SockaddrIn>; BATCH] = [None; BATCH];
        let flights = &mut self.flights[number];
        let slices: Vec<_> = self.batch.iter().map(|slot| [IoSlice::new(flights.wire(*slot))]).collect();
        let sent = match self.outbox.send(&self.sockets[number], &slices, &TO[..slices.len()]) {
            Ok(sent) => sent,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        for slot in &self.batch[sent..] {
            flights.forget(*slot);
        }
        self.shard.sent += sent as u64;
        Ok(())
    }

    /// Rests for a moment, or at a fixed rate until a reply comes or the next query may be due.
    fn wait(&mut self) -> io::Result<()> {
        let Pace::Rate(rate) = self.load.pace else {
            std::thread::sleep(REST);
            return Ok(());
        };
        let due = (self.shard.sent as f64 * 1e9 / rate) as u64 + self.stalled;
        let tick = TICK.max(Duration::from_nanos(due.saturating_sub(self.watch.now())));
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
    widen(&socket)?;
    socket.connect(server)?;
    Ok(socket)
}
