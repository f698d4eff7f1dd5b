//! Queries in flight, and the results of their replies.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::data::Rng;
use crate::generator::Load;
use crate::histogram::Histogram;
use crate::wire::{HEADER, Reply};
use crate::workload::Plan;

/// Time limit for a reply, unless a load specifies another one.
pub(crate) const REPLY_TIMEOUT: Duration = Duration::from_secs(2);

/// Maximum length of a query.
const LONGEST: usize = 128;

/// When the next query is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// As soon as a reply has arrived; this many are in flight over all sockets.
    Outstanding(usize),
    /// At this many queries per second, independent of replies.
    Rate(f64),
}

/// How long queries are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoadEnd {
    /// For this time.
    Time(Duration),
    /// Until each query of the plan has been sent once.
    Once,
}

/// Serial numbers for unique names, shared by the whole run.
#[derive(Debug)]
pub(crate) struct Serials(AtomicU64);

impl Serials {
    /// Starts with a number that no earlier run used.
    pub(crate) fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(AtomicU64::new(now.as_nanos() as u64))
    }

    /// The next number.
    pub(crate) fn next(&self) -> u64 {
        Rng::new(self.0.fetch_add(1, Ordering::Relaxed)).next()
    }
}

/// The result of a load.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoadResult {
    /// Queries sent.
    pub sent: u64,
    /// Replies that match a query.
    pub answered: u64,
    /// Queries without a reply in time.
    pub lost: u64,
    /// Replies that are malformed or match no pending query.
    pub bad: u64,
    /// Replies by rcode.
    pub rcodes: [u64; 16],
    /// Replies with an address and without an annotated egress path.
    pub unannotated: u64,
    /// Replies by the classes of their annotated egress paths, or `none`.
    pub paths: Vec<(Vec<u8>, u64)>,
    /// Replies to A queries with an address of an interface endpoint.
    pub connections: u64,
    /// Response times.
    pub times: Histogram,
    /// Response times of replies with rcode NOERROR and an address.
    pub data_times: Histogram,
    /// Queries by the second in which they were due: those with such a reply, and all others.
    pub by_second: Vec<[u64; 2]>,
    /// When the first address of the expected generation was received, in nanoseconds since the start of the
    /// load.
    pub first_fresh: Option<u64>,
    /// When the last address of another generation was received, in the same unit.
    pub last_stale: Option<u64>,
    /// Datagrams that the kernel dropped because a socket of the generator was full, which is not the fault
    /// of the server.
    pub dropped_at_generator: u64,
    /// How long queries were sent, in seconds.
    pub seconds: f64,
    /// Processor time of the generator, in seconds.
    pub generator_cpu: f64,
}

impl LoadResult {
    /// Counts the content of a reply.
    fn count(&mut self, reply: &Reply<'_>, is_a: bool) {
        self.rcodes[usize::from(reply.rcode)] += 1;
        let mut annotated = 0;
        for (class, _) in reply.paths() {
            annotated += 1;
            self.count_path(class);
            self.connections += u64::from(is_a && class == b"interface-endpoint");
        }
        if reply.addresses == 0 {
            self.count_path(b"none");
        } else if annotated == 0 {
            self.unannotated += 1;
        }
    }

    /// Counts the outcome of a query that was due at `sent`.
    fn count_second(&mut self, sent: u64, has_data: bool) {
        let second = (sent / 1_000_000_000) as usize;
        if self.by_second.len() <= second {
            self.by_second.resize(second + 1, [0, 0]);
        }
        self.by_second[second][usize::from(!has_data)] += 1;
    }

    /// Adds the counts of a concurrent load that are compared with the server's own counters.
    pub(crate) fn add_replies(&mut self, other: &Self) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.lost += other.lost;
        self.bad += other.bad;
        self.unannotated += other.unannotated;
        self.connections += other.connections;
        for (class, count) in &other.paths {
            match self.paths.iter_mut().find(|(have, _)| have == class) {
                Some((_, sum)) => *sum += count,
                None => self.paths.push((class.clone(), *count)),
            }
        }
    }

    fn count_path(&mut self, class: &[u8]) {
        match self.paths.iter_mut().find(|(have, _)| have == class) {
            Some((_, count)) => *count += 1,
            None => self.paths.push((class.to_vec(), 1)),
        }
    }
}

/// A query that waits for its reply, or an empty slot.
#[derive(Clone)]
struct PendingQuery {
    is_pending: bool,
    id: u16,
    length: usize,
    question_length: usize,
    /// When it was sent, or was due; in nanoseconds since the start of the load.
    sent: u64,
    wire: [u8; LONGEST],
}

/// The queries in flight of one socket or connection.
///
/// IDs increase by one, and the slot of a query is its ID modulo the number of slots: the query of a reply is
/// found immediately, and a lost query blocks no other.
pub(crate) struct PendingQueries<'p> {
    plan: &'p Plan,
    serials: &'p Serials,
    ring: Vec<PendingQuery>,
    in_flight_count: usize,
    next_id: u16,
    /// Position of the next query in the order of the plan, and the distance to the one after it.
    at: usize,
    stride: usize,
    left: u64,
    /// Time limit for a reply, in nanoseconds.
    reply_timeout: u64,
    /// The second octet of an address that is not stale.
    fresh: Option<u8>,
}

/// The slot of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(usize);

impl<'p> PendingQueries<'p> {
    /// Creates an empty set. `share` is the number of this socket and the number of sockets.
    pub(crate) fn new(load: &Load<'p>, share: (usize, usize)) -> Self {
        let Load { plan, serials, pace, until, reply_timeout, fresh, .. } = *load;
        let (number, sockets) = share;
        let slots = match pace {
            Pace::Outstanding(all) => (all / sockets).next_power_of_two() * 4,
            // Twice the number of queries in flight if none is answered.
            Pace::Rate(rate) => {
                let waiting = rate * reply_timeout.as_secs_f64() / sockets as f64;
                ((2.0 * waiting) as usize).next_power_of_two().clamp(2048, 32_768)
            }
        };
        let empty = PendingQuery {
            is_pending: false,
            id: 0,
            length: 0,
            question_length: 0,
            sent: 0,
            wire: [0; LONGEST],
        };
        let queries = plan.order.len();
        let (at, stride, left) = match until {
            LoadEnd::Time(_) => (number * queries / sockets, 1, u64::MAX),
            LoadEnd::Once => (number, sockets, (queries - number).div_ceil(sockets) as u64),
        };
        Self {
            plan,
            serials,
            ring: vec![empty; slots.max(16)],
            in_flight_count: 0,
            next_id: serials.next() as u16,
            at,
            stride,
            left,
            reply_timeout: reply_timeout.as_nanos() as u64,
            fresh,
        }
    }

    /// Number of queries that wait for a reply.
    pub(crate) fn in_flight_count(&self) -> usize {
        self.in_flight_count
    }

    /// Whether the whole plan has been sent.
    pub(crate) fn is_done(&self) -> bool {
        self.left == 0
    }

    /// Prepares the next query of the plan. `None` if the plan has ended or there is no free slot.
    pub(crate) fn next_query(&mut self, sent: u64) -> Option<Slot> {
        if self.left == 0 {
            return None;
        }
        let slots = self.ring.len();
        // A lost query occupies its slot until it is given up; such slots are skipped.
        let mut tries = 0;
        while self.ring[usize::from(self.next_id) % slots].is_pending {
            self.next_id = self.next_id.wrapping_add(1);
            tries += 1;
            if tries == slots {
                return None;
            }
        }
        let id = self.next_id;
        let slot = usize::from(id) % slots;
        let template = &self.plan.templates[self.plan.order[self.at % self.plan.order.len()] as usize];
        let pending = &mut self.ring[slot];
        template.write(id, || self.serials.next(), &mut pending.wire);
        pending.is_pending = true;
        pending.id = id;
        pending.length = template.wire.len();
        pending.question_length = template.question_length;
        pending.sent = sent;
        self.next_id = id.wrapping_add(1);
        self.at += self.stride;
        self.left -= 1;
        self.in_flight_count += 1;
        Some(Slot(slot))
    }

    /// The query in wire form.
    pub(crate) fn wire(&self, slot: Slot) -> &[u8] {
        let pending = &self.ring[slot.0];
        &pending.wire[..pending.length]
    }

    /// Releases the slot of a query that could not be sent.
    pub(crate) fn cancel(&mut self, slot: Slot) {
        self.ring[slot.0].is_pending = false;
        self.in_flight_count -= 1;
    }

    /// Processes a reply.
    pub(crate) fn receive_reply(&mut self, message: &[u8], now: u64, result: &mut LoadResult) {
        let Some((slot, reply)) = self.matching(message) else {
            result.bad += 1;
            return;
        };
        let pending = &mut self.ring[slot];
        pending.is_pending = false;
        self.in_flight_count -= 1;
        let qtype_at = HEADER + pending.question_length - 4;
        result.answered += 1;
        let time = now.saturating_sub(pending.sent);
        result.times.add(time);
        let has_data = reply.rcode == 0 && reply.addresses > 0;
        if has_data {
            result.data_times.add(time);
        }
        match (self.fresh, reply.address) {
            (Some(fresh), [_, generation, _, _]) if fresh == *generation => {
                result.first_fresh.get_or_insert(now);
            }
            (Some(_), [_, _, _, _]) => result.last_stale = Some(now),
            _ => {}
        }
        result.count_second(pending.sent, has_data);
        result.count(&reply, pending.wire[qtype_at + 1] == 1);
    }

    /// The query that a message answers: same ID, same question, and QR is set.
    fn matching<'m>(&self, message: &'m [u8]) -> Option<(usize, Reply<'m>)> {
        let head = message.first_chunk::<HEADER>()?;
        let id = u16::from_be_bytes([head[0], head[1]]);
        let slot = usize::from(id) % self.ring.len();
        let pending = &self.ring[slot];
        let question = HEADER..HEADER + pending.question_length;
        let fits = pending.is_pending
            && pending.id == id
            && head[2] & 0x80 != 0
            && head[4..6] == [0, 1]
            && message.get(question.clone()) == Some(&pending.wire[question]);
        fits.then(|| Reply::read(message, pending.question_length)).flatten().map(|reply| (slot, reply))
    }

    /// Gives up queries whose time limit has expired, or with `all` every query.
    pub(crate) fn expire(&mut self, now: u64, all: bool, result: &mut LoadResult) {
        let reply_timeout = self.reply_timeout;
        for pending in &mut self.ring {
            if pending.is_pending && (all || now.saturating_sub(pending.sent) > reply_timeout) {
                pending.is_pending = false;
                self.in_flight_count -= 1;
                result.lost += 1;
                result.count_second(pending.sent, false);
            }
        }
    }
}

/// A clock that counts nanoseconds since the start of a load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts the clock.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// The elapsed time.
    pub(crate) fn now(self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
}
