//! Which clients may cache, so that their implied connections are a lower bound only.
//!
//! A client that keeps answers asks again only when the TTL has run out, however often it connects. A
//! (client, name) that was seen at least [`ENOUGH`] times, and never twice within the TTL less a second,
//! looks like that. A client that simply connects seldom looks the same, hence "may".

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, SystemTime};

use prometheus::{IntCounter, IntGauge};

use super::family::Family;
use super::implied::apart;
use crate::dns::Name;

/// How often a pair must have been seen before it can be judged.
const ENOUGH: u32 = 3;

/// How many pairs are kept.
const MAX_PAIRS: usize = 65_536;

/// How long a pair is kept that is not seen again.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);

/// How often old pairs are looked for, since that goes through all of them.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// How many samples may wait.
const QUEUE: usize = 8192;

/// How long samples are gathered before they are judged: at most 80,000 of them a second are.
const GATHER: Duration = Duration::from_millis(100);

/// A look-up that implied a connection.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The effective client.
    pub client: IpAddr,
    /// The name it asked for.
    pub name: Name,
    /// The endpoint that the connection was counted for.
    pub endpoint: Arc<str>,
    /// How long the answer may be kept, in seconds.
    pub ttl_s: u32,
    /// When.
    pub at: SystemTime,
}

/// The judge on a thread of its own, away from the queries.
#[derive(Debug)]
pub struct LowerBound {
    samples: SyncSender<Sample>,
    dropped: IntCounter,
}

impl LowerBound {
    /// Starts the thread, which keeps `clients` up to date and ends when this is dropped.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(clients: Family<1, IntGauge>, dropped: IntCounter) -> io::Result<Self> {
        let (samples, queue) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new().name("lower-bound".to_owned());
        let lost = dropped.clone();
        thread.spawn(move || run(&queue, &clients, &lost))?;
        Ok(Self { samples, dropped })
    }

    /// Hands over a sample, or drops and counts it when too many wait.
    pub fn see(&self, sample: Sample) {
        if self.samples.try_send(sample).is_err() {
            self.dropped.inc();
        }
    }
}

fn run(queue: &Receiver<Sample>, clients: &Family<1, IntGauge>, dropped: &IntCounter) {
    let mut judge = Judge::new(MAX_PAIRS);
    loop {
        match queue.recv_timeout(SWEEP_EVERY) {
            Ok(first) => {
                // While this sleeps, nobody who hands a sample over has to wake it. What waits then is judged in
                // one go; the gauges are set once for all of it.
                std::thread::sleep(GATHER);
                for sample in std::iter::once(first).chain(queue.try_iter().take(QUEUE)) {
                    if !judge.see(sample) {
                        dropped.inc();
                    }
                }
            }
            Err(RecvTimeoutError::Timeout) => judge.sweep(SystemTime::now()),
            Err(RecvTimeoutError::Disconnected) => return,
        }
        for (endpoint, count) in judge.clients() {
            clients.with([endpoint.into()], |gauge| gauge.set(count as i64));
        }
    }
}

/// Who may cache, as far as the samples tell. Time comes in with them.
#[derive(Debug)]
pub struct Judge {
    capacity: usize,
    pairs: HashMap<(IpAddr, Name), Pair>,
    /// How many pairs make a client count for an endpoint.
    counted: HashMap<(Arc<str>, IpAddr), usize>,
    /// How many distinct clients count for each endpoint. An endpoint that ever had one stays, with 0.
    clients: HashMap<Arc<str>, usize>,
    swept: Option<SystemTime>,
}

/// What is known of a client and a name.
#[derive(Debug)]
struct Pair {
    endpoint: Arc<str>,
    seen: u32,
    last: SystemTime,
    /// It was never seen twice within the TTL.
    spaced: bool,
}

impl Pair {
    fn may_cache(&self) -> bool {
        self.spaced && self.seen >= ENOUGH
    }
}

impl Judge {
    /// A judge that keeps at most `capacity` pairs.
    pub fn new(capacity: usize) -> Self {
        let (pairs, counted, clients) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { capacity, pairs, counted, clients, swept: None }
    }

    /// Takes in a sample. False: there is no room for another pair, and it was not looked at.
    pub fn see(&mut self, sample: Sample) -> bool {
        if self.swept.is_none_or(|swept| apart(sample.at, swept) >= SWEEP_EVERY) {
            self.sweep(sample.at);
        }
        let Sample { client, name, endpoint, ttl_s, at } = sample;
        // With a TTL of 0 or 1 there is nothing to keep, and nothing to be told from.
        let window = Duration::from_secs(ttl_s.saturating_sub(1).into());
        let key = (client, name);
        let Some(pair) = self.pairs.get_mut(&key) else {
            let has_room = self.pairs.len() < self.capacity;
            if has_room {
                self.pairs.insert(key, Pair { endpoint, seen: 1, last: at, spaced: !window.is_zero() });
            }
            return has_room;
        };
        let counts_for = |pair: &Pair| pair.may_cache().then(|| pair.endpoint.clone());
        let before = counts_for(pair);
        pair.seen = pair.seen.saturating_add(1);
        pair.spaced &= !window.is_zero() && apart(at, pair.last) >= window;
        pair.last = at;
        pair.endpoint = endpoint;
        let after = counts_for(pair);
        if before != after {
            self.uncount(before, client);
            self.count(after, client);
        }
        true
    }

    /// Forgets pairs that were not seen for an hour.
    pub fn sweep(&mut self, now: SystemTime) {
        self.swept = Some(now);
        let old: Vec<_> = self.pairs.extract_if(|_, pair| apart(now, pair.last) >= FORGOTTEN_AFTER).collect();
        for ((client, _), pair) in old {
            self.uncount(pair.may_cache().then_some(pair.endpoint), client);
        }
    }

    /// How many distinct clients of each endpoint may cache.
    pub fn clients(&self) -> impl Iterator<Item = (&Arc<str>, usize)> {
        self.clients.iter().map(|(endpoint, count)| (endpoint, *count))
    }

    fn count(&mut self, endpoint: Option<Arc<str>>, client: IpAddr) {
        let Some(endpoint) = endpoint else { return };
        let pairs = self.counted.entry((endpoint.clone(), client)).or_default();
        *pairs += 1;
        if *pairs == 1 {
            *self.clients.entry(endpoint).or_default() += 1;
        }
    }

    fn uncount(&mut self, endpoint: Option<Arc<str>>, client: IpAddr) {
        let Some(endpoint) = endpoint else { return };
        let key = (endpoint, client);
        let Some(pairs) = self.counted.get_mut(&key) else {
            return;
        };
        *pairs -= 1;
        if *pairs == 0 {
            self.counted.remove(&key);
            if let Some(clients) = self.clients.get_mut(&key.0) {
                *clients -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(client: u8, name: &str, ttl_s: u32, at: u64) -> Sample {
        Sample {
            client: [10, 0, 1, client].into(),
            name: Name::parse(name).unwrap(),
            endpoint: Arc::from("vpce-sns"),
            ttl_s,
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(at),
        }
    }

    fn clients(judge: &Judge) -> usize {
        judge.clients().map(|(_, count)| count).sum()
    }

    #[test]
    fn three_look_ups_a_ttl_apart_may_be_a_cache() {
        let mut judge = Judge::new(10);
        for (at, expected) in [(0, 0), (60, 0), (119, 1), (400, 1)] {
            assert!(judge.see(sample(5, "sns.example", 60, at)));
            assert_eq!(clients(&judge), expected, "at {at}");
        }
        // Twice within the TTL: it does not keep answers after all.
        judge.see(sample(5, "sns.example", 60, 430));
        assert_eq!(clients(&judge), 0);
        for at in [500, 600, 700] {
            judge.see(sample(5, "sns.example", 60, at));
        }
        assert_eq!(clients(&judge), 0);
    }

    #[test]
    fn a_client_counts_once_for_an_endpoint_and_names_are_judged_apart() {
        let mut judge = Judge::new(10);
        for at in [0, 100, 200] {
            for (client, name) in [(5, "a.example"), (5, "b.example"), (6, "a.example")] {
                judge.see(sample(client, name, 60, at));
            }
        }
        assert_eq!(clients(&judge), 2);
        judge.see(sample(5, "a.example", 60, 201));
        assert_eq!(clients(&judge), 2);
        judge.see(sample(5, "b.example", 60, 201));
        assert_eq!(clients(&judge), 1);
    }

    #[test]
    fn without_a_ttl_nobody_caches() {
        let mut judge = Judge::new(10);
        for at in [0, 100, 200, 300] {
            judge.see(sample(5, "sns.example", 0, at));
            judge.see(sample(6, "sns.example", 1, at));
        }
        assert_eq!(clients(&judge), 0);
    }

    #[test]
    fn pairs_are_bounded_and_forgotten_after_an_hour() {
        let mut judge = Judge::new(1);
        for at in [0, 100, 200] {
            assert!(judge.see(sample(5, "sns.example", 60, at)));
        }
        assert!(!judge.see(sample(6, "sns.example", 60, 201)));
        assert_eq!(clients(&judge), 1);
        assert!(judge.see(sample(6, "sns.example", 60, 3900)));
        assert_eq!(clients(&judge), 0);
        assert_eq!(judge.clients().count(), 1);
    }
}
