//! Questions that wait for their responses on one socket or connection, by their IDs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use tokio::sync::oneshot;

use super::message::{Failure, Fit, Outgoing};
use crate::dns::Response;

/// What comes back to who asked.
pub(super) type Reply = Result<Response, Failure>;

/// The table of one socket or connection.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<Table>);

#[derive(Debug)]
struct Table {
    open: HashMap<u16, (Arc<Outgoing>, oneshot::Sender<Reply>), RandomState>,
    /// IDs whose question is over: a response that comes late or twice is no forgery. A bit for each.
    spent: Vec<u64>,
    /// How many IDs are open or spent.
    used: usize,
    /// Whether no more are taken.
    closed: bool,
}

/// What a message from the server was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// The response to an open question, or to one that is over.
    Ours,
    /// The response to an open question, but with the name in another case.
    WrongCase,
    /// Nothing that we asked.
    Mismatch,
}

impl Default for Table {
    fn default() -> Self {
        Self { open: HashMap::default(), spent: vec![0; 1024], used: 0, closed: false }
    }
}

impl Table {
    fn is_spent(&self, id: u16) -> bool {
        self.spent[usize::from(id >> 6)] >> (id & 63) & 1 == 1
    }

    fn end(&mut self, id: u16) -> Option<(Arc<Outgoing>, oneshot::Sender<Reply>)> {
        let ended = self.open.remove(&id)?;
        self.spent[usize::from(id >> 6)] |= 1 << (id & 63);
        Some(ended)
    }
}

impl Waiting {
    /// Takes in a question under an ID that was never used here; `None` if the table is closed.
    pub fn open(self: &Arc<Self>, outgoing: &Arc<Outgoing>) -> Option<Ticket> {
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
        table.open.insert(id, (outgoing.clone(), sender));
        table.used += 1;
        table.closed = table.used >= MAX_USED;
        Some(Ticket { waiting: self.clone(), id, receiver })
    }

    /// Gives a message to who asked.
    pub fn give(&self, message: &[u8]) -> Seen {
        let Some(id) = message.first_chunk().copied().map(u16::from_be_bytes) else {
            return Seen::Mismatch;
        };
        let mut table = self.lock();
        let Some((outgoing, _)) = table.open.get(&id) else {
            return if table.is_spent(id) { Seen::Ours } else { Seen::Mismatch };
        };
        let parsed = Response::parse(message);
        let fit = parsed.as_ref().map_or(Fit::Yes, |response| outgoing.judge(response));
        if fit == Fit::No {
            return Seen::Mismatch;
        }
        if let Some((_, sender)) = table.end(id) {
            // Who asked may have left.
            let _ = sender.send(match fit {
                Fit::WrongCase => Err(Failure::WrongCase),
                _ => parsed.map_err(Failure::Malformed),
            });
        }
        if fit == Fit::WrongCase { Seen::WrongCase } else { Seen::Ours }
    }

    /// Tells all who wait that nothing comes, and takes no more.
    pub fn fail(&self, failure: &Failure) {
        let mut table = self.lock();
        table.closed = true;
        for (_, (_, sender)) in table.open.drain() {
            let _ = sender.send(Err(failure.clone()));
        }
    }

    /// How many questions have been asked here.
    pub fn used(&self) -> usize {
        self.lock().used
    }

    /// Whether no more are taken.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Whether nobody waits.
    pub fn is_idle(&self) -> bool {
        self.lock().open.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// So many questions use a socket or connection up, whatever the options say: IDs must stay hard to guess.
const MAX_USED: usize = 32_768;

/// A place in the table. Whoever drops it waits no more.
#[derive(Debug)]
pub(super) struct Ticket {
    waiting: Arc<Waiting>,
    /// The ID to send under.
    pub id: u16,
    receiver: oneshot::Receiver<Reply>,
}

impl Ticket {
    /// The response, when it comes.
    pub async fn wait(mut self) -> Reply {
        (&mut self.receiver).await.unwrap_or(Err(Failure::Closed))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.waiting.lock().end(self.id);
    }
}
