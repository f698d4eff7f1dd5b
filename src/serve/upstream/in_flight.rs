//! Questions that wait for their responses on one socket or connection, by their IDs.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use foldhash::fast::RandomState;
use tokio::sync::oneshot;

use super::message::{Failure, Fit, Outgoing};
use crate::dns::Response;

/// What comes back to who asked.
pub(super) type Reply = Result<Response, Failure>;

/// So many questions use a socket or connection up, whatever the options say: IDs must stay hard to guess.
const MAX_USED: usize = 32_768;

/// The table of one socket or connection.
#[derive(Debug)]
pub(super) struct Waiting {
    table: Mutex<Table>,
    /// After so many questions no more are taken.
    most: usize,
    /// What a reply with the ID of a query and another question means.
    wrong_question: WrongQuestion,
}

/// What a reply with the ID of an outstanding query, but another question, means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WrongQuestion {
    /// Somebody may be guessing IDs: the query waits on for its own reply (datagrams).
    Ignore,
    /// The server is confused: nobody else can write here, and no other reply will have this ID (connections).
    FailQuery,
}

/// Who waits, and which IDs are gone.
#[derive(Debug)]
struct Table {
    open: HashMap<u16, Open, RandomState>,
    /// IDs whose question is over: a response that comes late or twice is no forgery. A bit for each.
    spent: Vec<u64>,
    /// Those of them whose time-out expired before a reply came, so that a late reply is recognised.
    expired: HashSet<u16, RandomState>,
    /// How many replies fitted no query.
    mismatches: u32,
    /// How many IDs are open or spent.
    used: usize,
    /// Whether no more are taken.
    closed: bool,
}

/// A question that waits.
#[derive(Debug)]
struct Open {
    outgoing: Arc<Outgoing>,
    sender: oneshot::Sender<Reply>,
    /// When it is given up, where somebody looks for those that are late.
    until: Instant,
    /// How many replies had fitted no query when this one was sent.
    mismatches_before: u32,
}

/// What a message from the server was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// The response to an open question, or once more to one that was answered.
    Ours,
    /// The response to a question whose time-out has expired.
    Late,
    /// The response to an open question, but with the name in another case.
    WrongCase,
    /// Nothing that we asked.
    Mismatch,
}

impl Table {
    /// Whether the question under this ID is over.
    fn is_spent(&self, id: u16) -> bool {
        self.spent[usize::from(id >> 6)] >> (id & 63) & 1 == 1
    }

    /// Takes a question out. Its ID is spent.
    fn end(&mut self, id: u16) -> Option<Open> {
        let ended = self.open.remove(&id)?;
        self.spent[usize::from(id >> 6)] |= 1 << (id & 63);
        Some(ended)
    }

    /// Fails a query that was not answered in time. Where replies came meanwhile that fit no query, its own may have
    /// been forged away, and it is better sent over a connection.
    fn time_out(&mut self, id: u16) {
        let Some(open) = self.end(id) else { return };
        self.expired.insert(id);
        let failure = match open.mismatches_before == self.mismatches {
            true => Failure::Timeout,
            false => Failure::Mismatch,
        };
        let _ = open.sender.send(Err(failure));
    }
}

/// The table of a connection: it takes as many questions as possible.
impl Default for Waiting {
    fn default() -> Self {
        Self { wrong_question: WrongQuestion::FailQuery, ..Self::new(MAX_USED) }
    }
}

impl Waiting {
    /// Takes so many questions in all, one at least, and half of all IDs at most.
    pub fn new(most: usize) -> Self {
        let table = Table {
            open: HashMap::default(),
            spent: vec![0; 1024],
            expired: HashSet::default(),
            mismatches: 0,
            used: 0,
            closed: false,
        };
        let most = most.clamp(1, MAX_USED);
        Self { table: Mutex::new(table), most, wrong_question: WrongQuestion::Ignore }
    }

    /// Takes in a question under an ID that was never used here; `None` if the table is closed or used up.
    pub fn open(self: &Arc<Self>, outgoing: &Arc<Outgoing>, until: Instant) -> Option<Ticket> {
        let mut table = self.lock();
        if table.closed {
            return None;
        }
        // Half of all IDs at most are used (see `MAX_USED`), so this takes two throws on average.
        let id = loop {
            let id: u16 = rand::random();
            if !table.is_spent(id) && !table.open.contains_key(&id) {
                break id;
            }
        };
        let (sender, receiver) = oneshot::channel();
        let mismatches_before = table.mismatches;
        table.open.insert(id, Open { outgoing: outgoing.clone(), sender, until, mismatches_before });
        table.used += 1;
        table.closed = table.used >= self.most;
        drop(table);
        Some(Ticket { in_flight: self.clone(), id, receiver, over: false })
    }

    /// Hands a message to the query that it answers.
    ///
    /// A reply that fits no query fails no query but the one whose ID it bears, and that only on a connection.
    pub fn give(&self, message: &[u8]) -> Seen {
        let mut table = self.lock();
        let Some(id) = message.first_chunk().copied().map(u16::from_be_bytes) else {
            table.mismatches += 1;
            return Seen::Mismatch;
        };
        let Some(open) = table.open.get(&id) else {
            return match table.is_spent(id) {
                true if table.expired.remove(&id) => Seen::Late,
                true => Seen::Ours,
                false => {
                    table.mismatches += 1;
                    Seen::Mismatch
                }
            };
        };
        let (fit, response) = open.outgoing.read(message);
        if fit == Fit::No {
            table.mismatches += 1;
            if self.wrong_question == WrongQuestion::FailQuery
                && let Some(open) = table.end(id)
            {
                // Who asked may have left.
                let _ = open.sender.send(Err(Failure::Mismatch));
            }
            return Seen::Mismatch;
        }
        let ended = table.end(id);
        drop(table);
        if let Some(open) = ended {
            let _ = open.sender.send(match fit {
                Fit::WrongCase => Err(Failure::WrongCase),
                _ => response.map_err(Failure::Malformed),
            });
        }
        if fit == Fit::WrongCase { Seen::WrongCase } else { Seen::Ours }
    }

    /// How many messages fitted no query.
    pub fn mismatches(&self) -> u32 {
        self.lock().mismatches
    }

    /// Fails the queries whose time-out has expired, and returns whether any is outstanding still.
    pub fn expire(&self, now: Instant) -> bool {
        let mut table = self.lock();
        let late = |(id, open): (&u16, &Open)| (open.until <= now).then_some(*id);
        let late: Vec<u16> = table.open.iter().filter_map(late).collect();
        for id in late {
            table.time_out(id);
        }
        !table.open.is_empty()
    }

    /// Fails every outstanding query as if its time-out had expired; the table goes on taking others.
    pub fn time_out_all(&self) {
        let mut table = self.lock();
        let all: Vec<u16> = table.open.keys().copied().collect();
        for id in all {
            table.time_out(id);
        }
    }

    /// Tells all who wait that nothing comes, and takes no more.
    pub fn fail(&self, failure: &Failure) {
        let mut table = self.lock();
        table.closed = true;
        for (_, open) in table.open.drain() {
            let _ = open.sender.send(Err(failure.clone()));
        }
    }

    /// Takes no more. Who waits, waits on.
    pub fn retire(&self) {
        self.lock().closed = true;
    }

    /// Whether no more are taken.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Whether nobody waits.
    pub fn is_idle(&self) -> bool {
        self.lock().open.is_empty()
    }

    /// The table, for a moment.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the table. Whoever drops it waits no more.
#[derive(Debug)]
pub(super) struct Ticket {
    in_flight: Arc<Waiting>,
    /// The ID to send under.
    pub id: u16,
    receiver: oneshot::Receiver<Reply>,
    /// Whether the place is given up already.
    over: bool,
}

impl Ticket {
    /// The response, when it comes.
    pub async fn wait(mut self) -> Reply {
        let reply = (&mut self.receiver).await.unwrap_or(Err(Failure::Closed));
        self.over = true;
        reply
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.over {
            self.in_flight.lock().end(self.id);
        }
    }
}
