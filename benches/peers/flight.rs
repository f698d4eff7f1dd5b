//! Queries on their way, and what is known of their replies.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::data::Chance;
use crate::generator::Load;
use crate::histogram::Histogram;
use crate::wire::{HEADER, Reply};
use crate::workload::Plan;

/// How long a reply is waited for, unless a load says otherwise.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// The longest query.
const LONGEST: usize = 128;

/// When the next query is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As soon as an answer came, so many being on their way over all sockets.
    Outstanding(usize),
    /// So many in a second, whatever is answered.
    Rate(f64),
}

/// How long queries are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// For this time.
    Time(Duration),
    /// Until each query of the plan was sent once.
    Once,
}

/// Numbers for names that are new each time: one row for the whole run.
#[derive(Debug)]
pub struct Serials(AtomicU64);

impl Serials {
    /// Numbers that no earlier run had either.
    pub fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(AtomicU64::new(now.as_nanos() as u64))
    }

    /// The next one.
    pub fn next(&self) -> u64 {
        Chance::new(self.0.fetch_add(1, Ordering::Relaxed)).next()
    }
}

/// What came of a load.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Queries sent.
    pub sent: u64,
    /// Replies that fitted.
    pub answered: u64,
    /// Queries without a reply in time.
    pub dropped_at: u64,
    /// Replies that were malformed, or to nothing that was asked or waited for.
    pub bad: u64,
    /// Replies by rcode.
    pub rcodes: [u64; 16],
    /// Replies that hold an address and tell no way out.
    pub untold: u64,
    /// Replies that tell each class of ways out, or `none`.
    pub ways: Vec<(Vec<u8>, u64)>,
    /// Replies to A questions that hold an address of an interface endpoint.
    pub connections: u64,
    /// How long replies took.
    pub times: Histogram,
    /// How long replies with rcode NOERROR and an address took.
    pub data_times: Histogram,
    /// Queries by the second in which they were due, those with such a reply and all others.
    pub by_second: Vec<[u64; 2]>,
    /// When the first address of the expected generation was received, in nanoseconds since the load began.
    pub first_fresh: Option<u64>,
    /// When the last address of another generation was received.
    pub last_stale: Option<u64>,
    /// Datagrams that the kernel dropped because a socket of the generator was full: no loss of the server's.
    pub dropped_here: u64,
    /// For how long queries were sent.
    pub seconds: f64,
    /// Processor time of the generator itself, in seconds.
    pub generator_cpu: f64,
}

impl Tally {
    /// Takes in what a reply says.
    fn count(&mut self, reply: &Reply<'_>, is_a: bool) {
        self.rcodes[usize::from(reply.rcode)] += 1;
        let mut told = 0;
        for (class, _) in reply.ways() {
            told += 1;
            self.count_way(class);
            self.connections += u64::from(is_a && class == b"interface-endpoint");
        }
        if reply.addresses == 0 {
            self.count_way(b"none");
        } else if told == 0 {
            self.untold += 1;
        }
    }

    /// Counts what became of a query that was due at `sent`.
    fn count_second(&mut self, sent: u64, has_data: bool) {
        let second = (sent / 1_000_000_000) as usize;
        if self.by_second.len() <= second {
            self.by_second.resize(second + 1, [0, 0]);
        }
        self.by_second[second][usize::from(!has_data)] += 1;
    }

    /// Adds the replies of a load that ran at the same time, as far as the server counts them too.
    pub fn add_replies(&mut self, other: &Self) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.dropped_at += other.dropped_at;
        self.bad += other.bad;
        self.untold += other.untold;
        self.connections += other.connections;
        for (class, count) in &other.ways {
            match self.ways.iter_mut().find(|(have, _)| have == class) {
                Some((_, sum)) => *sum += count,
                None => self.ways.push((class.clone(), *count)),
            }
        }
    }

    fn count_way(&mut self, class: &[u8]) {
        match self.ways.iter_mut().find(|(have, _)| have == class) {
            Some((_, count)) => *count += 1,
            None => self.ways.push((class.to_vec(), 1)),
        }
    }
}

/// A query that waits for its reply, or room for one.
#[derive(Clone)]
struct Flight {
    is_on_its_way: bool,
    id: u16,
    length: usize,
    question_length: usize,
    /// When it was sent, or should have been; nanoseconds since the load began.
    sent: u64,
    wire: [u8; LONGEST],
}

/// The queries of one socket or connection.
///
/// IDs go up by one, and the room of a query is its ID modulo their number: a reply finds its query at once,
/// and one that is lost holds up nothing.
pub struct Flights<'p> {
    plan: &'p Plan,
    serials: &'p Serials,
    ring: Vec<Flight>,
    on_their_way: usize,
    next_id: u16,
    /// Where in the plan's order the next query stands, and how far on the one after it.
    at: usize,
    stride: usize,
    left: u64,
    /// How long a reply is waited for, in nanoseconds.
    patience: u64,
    /// The second octet of an address that is not stale.
    fresh: Option<u8>,
}

/// A query in a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(usize);

impl<'p> Flights<'p> {
    /// No query yet. `share` is which socket this is, of how many.
    pub fn new(load: &Load<'p>, share: (usize, usize)) -> Self {
        let Load { plan, serials, pace, until, patience, fresh, .. } = *load;
        let (number, sockets) = share;
        let room = match pace {
            Pace::Outstanding(all) => (all / sockets).next_power_of_two() * 4,
            // Twice what is on its way when no query is answered.
            Pace::Rate(rate) => {
                let waiting = rate * patience.as_secs_f64() / sockets as f64;
                ((2.0 * waiting) as usize).next_power_of_two().clamp(2048, 32_768)
            }
        };
        let empty = Flight {
            is_on_its_way: false,
            id: 0,
            length: 0,
            question_length: 0,
            sent: 0,
            wire: [0; LONGEST],
        };
        let queries = plan.order.len();
        let (at, stride, left) = match until {
            Until::Time(_) => (number * queries / sockets, 1, u64::MAX),
            Until::Once => (number, sockets, (queries - number).div_ceil(sockets) as u64),
        };
        Self {
            plan,
            serials,
            ring: vec![empty; room.max(16)],
            on_their_way: 0,
            next_id: serials.next() as u16,
            at,
            stride,
            left,
            patience: patience.as_nanos() as u64,
            fresh,
        }
    }

    /// How many replies are waited for.
    pub fn on_their_way(&self) -> usize {
        self.on_their_way
    }

    /// Whether the plan was sent to its end.
    pub fn is_done(&self) -> bool {
        self.left == 0
    }

    /// Makes ready the next query of the plan. `None`: the plan is at its end, or there is no room.
    pub fn launch(&mut self, sent: u64) -> Option<Slot> {
        if self.left == 0 {
            return None;
        }
        let room = self.ring.len();
        // What is lost holds its room until it is given up; others are passed over.
        let mut tries = 0;
        while self.ring[usize::from(self.next_id) % room].is_on_its_way {
            self.next_id = self.next_id.wrapping_add(1);
            tries += 1;
            if tries == room {
                return None;
            }
        }
        let id = self.next_id;
        let slot = usize::from(id) % room;
        let template = &self.plan.templates[self.plan.order[self.at % self.plan.order.len()] as usize];
        let flight = &mut self.ring[slot];
        template.write(id, || self.serials.next(), &mut flight.wire);
        flight.is_on_its_way = true;
        flight.id = id;
        flight.length = template.wire.len();
        flight.question_length = template.question_length;
        flight.sent = sent;
        self.next_id = id.wrapping_add(1);
        self.at += self.stride;
        self.left -= 1;
        self.on_their_way += 1;
        Some(Slot(slot))
    }

    /// The octets of a query.
    pub fn wire(&self, slot: Slot) -> &[u8] {
        let flight = &self.ring[slot.0];
        &flight.wire[..flight.length]
    }

    /// Gives up a query that the kernel did not take.
    pub fn forget(&mut self, slot: Slot) {
        self.ring[slot.0].is_on_its_way = false;
        self.on_their_way -= 1;
    }

    /// Takes in a reply.
    pub fn land(&mut self, message: &[u8], now: u64, shard: &mut Tally) {
        let Some((slot, reply)) = self.fitting(message) else {
            shard.bad += 1;
            return;
        };
        let flight = &mut self.ring[slot];
        flight.is_on_its_way = false;
        self.on_their_way -= 1;
        let qtype_at = HEADER + flight.question_length - 4;
        shard.answered += 1;
        let time = now.saturating_sub(flight.sent);
        shard.times.add(time);
        let has_data = reply.rcode == 0 && reply.addresses > 0;
        if has_data {
            shard.data_times.add(time);
        }
        match (self.fresh, reply.address) {
            (Some(fresh), [_, generation, _, _]) if fresh == *generation => {
                shard.first_fresh.get_or_insert(now);
            }
            (Some(_), [_, _, _, _]) => shard.last_stale = Some(now),
            _ => {}
        }
        shard.count_second(flight.sent, has_data);
        shard.count(&reply, flight.wire[qtype_at + 1] == 1);
    }

    /// The query that a message is the reply to: its ID, its question, and QR.
    fn fitting<'m>(&self, message: &'m [u8]) -> Option<(usize, Reply<'m>)> {
        let head = message.first_chunk::<HEADER>()?;
        let id = u16::from_be_bytes([head[0], head[1]]);
        let slot = usize::from(id) % self.ring.len();
        let flight = &self.ring[slot];
        let question = HEADER..HEADER + flight.question_length;
        let fits = flight.is_on_its_way
            && flight.id == id
            && head[2] & 0x80 != 0
            && head[4..6] == [0, 1]
            && message.get(question.clone()) == Some(&flight.wire[question]);
        fits.then(|| Reply::read(message, flight.question_length)).flatten().map(|reply| (slot, reply))
    }

    /// Gives up what has waited too long; with `all`, whatever waits.
    pub fn expire(&mut self, now: u64, all: bool, shard: &mut Tally) {
        let patience = self.patience;
        for flight in &mut self.ring {
            if flight.is_on_its_way && (all || now.saturating_sub(flight.sent) > patience) {
                flight.is_on_its_way = false;
                self.on_their_way -= 1;
                shard.dropped_at += 1;
                shard.count_second(flight.sent, false);
            }
        }
    }
}

/// A clock that counts nanoseconds from the start of a load.
#[derive(Clone, Copy, Debug)]
pub struct Watch(Instant);

impl Watch {
    /// Starts it.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// What it shows.
    pub fn now(self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
}
