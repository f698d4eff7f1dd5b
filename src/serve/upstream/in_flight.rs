//! Outstanding queries of one socket or connection, by ID.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use foldhash::fast::RandomState;
use tokio::sync::oneshot;

use super::message::{Failure, OutgoingQuery, QueryMatch};
use crate::dns::Response;

/// The result of a query.
pub(super) type ExchangeResult = Result<Response, Failure>;

/// Upper limit for the queries of a socket or connection, regardless of the options, so that at least half
/// of the IDs are unused and an ID stays hard to guess.
const MAX_USED: usize = 32_768;

/// The outstanding queries of one socket or connection.
#[derive(Debug)]
pub(super) struct QueryTable {
    table: Mutex<TableState>,
    /// Maximum number of queries over its lifetime.
    capacity: usize,
    /// How to handle a reply with the ID of a query but another question.
    wrong_question: WrongQuestionPolicy,
}

/// How to handle a reply with the ID of an outstanding query but another question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WrongQuestionPolicy {
    /// An attacker may be guessing IDs: the query continues to wait for its reply (UDP).
    Ignore,
    /// The server is malfunctioning: only it can write to a connection, and no other reply will have this ID
    /// (TCP, TLS).
    FailQuery,
}

/// Outstanding queries and used IDs.
#[derive(Debug)]
struct TableState {
    outstanding: HashMap<u16, OutstandingQuery, RandomState>,
    /// IDs of completed queries, one bit each. A response with one of them is late or a duplicate, not
    /// forged.
    completed: Vec<u64>,
    /// IDs of queries that timed out, by which late replies are recognised.
    expired: HashSet<u16, RandomState>,
    /// Number of replies that matched no query.
    mismatches: u32,
    /// Number of IDs in use or completed.
    used: usize,
    /// Whether no more queries are accepted.
    closed: bool,
}

/// An outstanding query.
#[derive(Debug)]
struct OutstandingQuery {
    outgoing: Arc<OutgoingQuery>,
    sender: oneshot::Sender<ExchangeResult>,
    /// When it times out, for tables that expire their queries.
    until: Instant,
    /// Number of mismatched replies when this query was sent.
    mismatches_before: u32,
}

/// How a message from the server was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// A response to an outstanding query, or a duplicate of one.
    Response,
    /// A response to a query that has timed out.
    Late,
    /// A response to an outstanding query with the name in another case.
    WrongCase,
    /// It matches no query.
    Mismatch,
}

impl TableState {
    /// Whether a query with this ID has completed.
    fn is_completed(&self, id: u16) -> bool {
        self.completed[usize::from(id >> 6)] >> (id & 63) & 1 == 1
    }

    /// Removes a query and marks its ID as completed.
    fn complete(&mut self, id: u16) -> Option<OutstandingQuery> {
        let query = self.outstanding.remove(&id)?;
        self.completed[usize::from(id >> 6)] |= 1 << (id & 63);
        Some(query)
    }

    /// Fails a query that has timed out. If mismatched replies arrived in the meantime, an attacker may
    /// be guessing IDs, and the query should be repeated over a connection.
    fn expire(&mut self, id: u16) {
        let Some(query) = self.complete(id) else { return };
        self.expired.insert(id);
        let failure = match query.mismatches_before == self.mismatches {
            true => Failure::Timeout,
            false => Failure::Mismatch,
        };
        let _ = query.sender.send(Err(failure));
    }
}

/// Creates the table of a connection, with the maximum capacity.
impl Default for QueryTable {
    fn default() -> Self {
        Self { wrong_question: WrongQuestionPolicy::FailQuery, ..Self::new(MAX_USED) }
    }
}

impl QueryTable {
    /// Creates a table for `capacity` queries in total, at least one and at most half of all IDs.
    pub(super) fn new(capacity: usize) -> Self {
        let table = TableState {
            outstanding: HashMap::default(),
            completed: vec![0; 1024],
            expired: HashSet::default(),
            mismatches: 0,
            used: 0,
            closed: false,
        };
        let capacity = capacity.clamp(1, MAX_USED);
        Self { table: Mutex::new(table), capacity, wrong_question: WrongQuestionPolicy::Ignore }
    }

    /// Adds a query with an ID that was not used before in this table. `None` if the table is closed or its
    /// capacity is used up.
    pub(super) fn register(
        self: &Arc<Self>,
        outgoing: &Arc<OutgoingQuery>,
        until: Instant,
    ) -> Option<Ticket> {
        let mut table = self.lock();
        if table.closed {
            return None;
        }
        // At most half of all IDs are used (see `MAX_USED`), so this takes at most two draws on average.
        let id = loop {
            let id: u16 = rand::random();
            if !table.is_completed(id) && !table.outstanding.contains_key(&id) {
                break id;
            }
        };
        let (sender, receiver) = oneshot::channel();
        let mismatches_before = table.mismatches;
        table
            .outstanding
            .insert(id, OutstandingQuery { outgoing: outgoing.clone(), sender, until, mismatches_before });
        table.used += 1;
        table.closed = table.used >= self.capacity;
        drop(table);
        Some(Ticket { table: self.clone(), id, receiver, finished: false })
    }

    /// Delivers a message to the query that it answers.
    ///
    /// A reply that matches no query fails at most the query with the same ID, and only on a connection.
    pub(super) fn deliver(&self, message: &[u8]) -> Delivery {
        let mut table = self.lock();
        let Some(id) = message.first_chunk().copied().map(u16::from_be_bytes) else {
            table.mismatches += 1;
            return Delivery::Mismatch;
        };
        let Some(query) = table.outstanding.get(&id) else {
            return match table.is_completed(id) {
                true if table.expired.remove(&id) => Delivery::Late,
                true => Delivery::Response,
                false => {
                    table.mismatches += 1;
                    Delivery::Mismatch
                }
            };
        };
        let (matched, response) = query.outgoing.parse_response(message);
        if matched == QueryMatch::No {
            table.mismatches += 1;
            if self.wrong_question == WrongQuestionPolicy::FailQuery
                && let Some(query) = table.complete(id)
            {
                // The receiver may have been dropped.
                let _ = query.sender.send(Err(Failure::Mismatch));
            }
            return Delivery::Mismatch;
        }
        let query = table.complete(id);
        drop(table);
        if let Some(query) = query {
            let _ = query.sender.send(match matched {
                QueryMatch::WrongCase => Err(Failure::WrongCase),
                _ => response.map_err(Failure::Malformed),
            });
        }
        if matched == QueryMatch::WrongCase { Delivery::WrongCase } else { Delivery::Response }
    }

    /// Number of messages that matched no query.
    pub(super) fn mismatches(&self) -> u32 {
        self.lock().mismatches
    }

    /// Fails the queries that have timed out, and returns whether any is still outstanding.
    pub(super) fn expire(&self, now: Instant) -> bool {
        let mut table = self.lock();
        let due = |(id, query): (&u16, &OutstandingQuery)| (query.until <= now).then_some(*id);
        let due: Vec<u16> = table.outstanding.iter().filter_map(due).collect();
        for id in due {
            table.expire(id);
        }
        !table.outstanding.is_empty()
    }

    /// Fails every outstanding query as if its timeout had expired; the table continues to accept others.
    pub(super) fn time_out_all(&self) {
        let mut table = self.lock();
        let all: Vec<u16> = table.outstanding.keys().copied().collect();
        for id in all {
            table.expire(id);
        }
    }

    /// Fails every outstanding query and accepts no more.
    pub(super) fn fail(&self, failure: &Failure) {
        let mut table = self.lock();
        table.closed = true;
        for (_, query) in table.outstanding.drain() {
            let _ = query.sender.send(Err(failure.clone()));
        }
    }

    /// Accepts no more queries. Outstanding ones continue to wait.
    pub(super) fn close(&self) {
        self.lock().closed = true;
    }

    /// Whether no more queries are accepted.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Whether no query is outstanding.
    pub(super) fn is_idle(&self) -> bool {
        self.lock().outstanding.is_empty()
    }

    /// Locks the state.
    fn lock(&self) -> MutexGuard<'_, TableState> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The registration of a query in a table. Dropping it ends the query.
#[derive(Debug)]
pub(super) struct Ticket {
    table: Arc<QueryTable>,
    /// The ID to send.
    pub id: u16,
    receiver: oneshot::Receiver<ExchangeResult>,
    /// Whether the query has completed.
    finished: bool,
}

impl Ticket {
    /// Waits for the response.
    pub(super) async fn wait(mut self) -> ExchangeResult {
        let reply = (&mut self.receiver).await.unwrap_or(Err(Failure::Closed));
        self.finished = true;
        reply
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.finished {
            self.table.lock().complete(self.id);
        }
    }
}
