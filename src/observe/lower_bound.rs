//! Detection of clients that may cache, for which the implied connections are a lower bound.
//!
//! A client that caches answers repeats a query only after the TTL has expired, however often it connects. A
//! pair of client and name matches this pattern if it had at least [`MIN_LOOKUPS`] lookups, and never two
//! within the TTL less one second. A client that rarely connects matches it as well, so the client only *may*
//! cache.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, SystemTime};

use prometheus::{IntCounter, IntGauge};

use super::implied::abs_difference;
use super::labelled::LabelledMetric;
use crate::dns::Name;

/// Minimum number of lookups before a pair is classified.
const MIN_LOOKUPS: u32 = 3;

/// Maximum number of pairs.
const MAX_PAIRS: usize = 65_536;

/// Time after which a pair without lookups is removed.
const RETENTION: Duration = Duration::from_secs(3600);

/// Interval for removing old pairs, which requires a scan of all pairs.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// Maximum number of waiting samples.
const QUEUE: usize = 8192;

/// Interval at which samples are processed, which limits their rate to about 80,000 per second.
const BATCH_INTERVAL: Duration = Duration::from_millis(100);

/// A lookup that implied a connection.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// The effective client.
    pub client: IpAddr,
    /// The query name.
    pub name: Name,
    /// The endpoint of the counted connection.
    pub endpoint: Arc<str>,
    /// How long the answer may be cached, in seconds.
    pub ttl_s: u32,
    /// When the query was received.
    pub at: SystemTime,
}

/// Handle to the detector, which runs on its own thread.
#[derive(Debug)]
pub(super) struct LowerBound {
    samples: SyncSender<Sample>,
    dropped: IntCounter,
}

impl LowerBound {
    /// Starts the thread, which updates `clients` and ends when this handle is dropped.
    ///
    /// # Errors
    ///
    /// If the system cannot create a thread.
    pub(super) fn start(clients: LabelledMetric<1, IntGauge>, dropped: IntCounter) -> io::Result<Self> {
        let (samples, queue) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new().name("lower-bound".to_owned());
        thread.spawn({
            let dropped = dropped.clone();
            move || run(&queue, &clients, &dropped)
        })?;
        Ok(Self { samples, dropped })
    }

    /// Submits a sample, or drops and counts it if the queue is full.
    pub(super) fn record(&self, sample: Sample) {
        if self.samples.try_send(sample).is_err() {
            self.dropped.inc();
        }
    }
}

fn run(queue: &Receiver<Sample>, clients: &LabelledMetric<1, IntGauge>, dropped: &IntCounter) {
    let mut detector = CacheDetector::new(MAX_PAIRS);
    loop {
        match queue.recv_timeout(SWEEP_INTERVAL) {
            Ok(first) => {
                // While this thread sleeps, senders need not wake it. All waiting samples are then processed
                // together, and the gauges are set once.
                std::thread::sleep(BATCH_INTERVAL);
                for sample in std::iter::once(first).chain(queue.try_iter().take(QUEUE)) {
                    if !detector.record(sample) {
                        dropped.inc();
                    }
                }
            }
            Err(RecvTimeoutError::Timeout) => detector.sweep(SystemTime::now()),
            Err(RecvTimeoutError::Disconnected) => return,
        }
        for (endpoint, count) in detector.clients() {
            clients.with([endpoint.into()], |gauge| gauge.set(count as i64));
        }
    }
}

/// Detects the clients that may cache. The current time is that of the samples.
#[derive(Debug)]
pub(super) struct CacheDetector {
    capacity: usize,
    pairs: HashMap<(IpAddr, Name), PairHistory>,
    /// Number of pairs that may cache, by endpoint and client.
    pairs_by_client: HashMap<(Arc<str>, IpAddr), usize>,
    /// Number of distinct clients that may cache, by endpoint. Endpoints remain in the map even with 0.
    clients: HashMap<Arc<str>, usize>,
    swept: Option<SystemTime>,
}

/// The state of a client and name.
#[derive(Debug)]
struct PairHistory {
    endpoint: Arc<str>,
    lookups: u32,
    last_lookup: SystemTime,
    /// Whether no two lookups were within the TTL of the answer.
    spaced: bool,
}

impl PairHistory {
    fn may_cache(&self) -> bool {
        self.spaced && self.lookups >= MIN_LOOKUPS
    }
}

impl CacheDetector {
    /// Creates a detector for at most `capacity` pairs.
    pub(super) fn new(capacity: usize) -> Self {
        let (pairs, pairs_by_client, clients) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { capacity, pairs, pairs_by_client, clients, swept: None }
    }

    /// Records a sample. Returns false if the table is full.
    pub(super) fn record(&mut self, sample: Sample) -> bool {
        if self.swept.is_none_or(|swept| abs_difference(sample.at, swept) >= SWEEP_INTERVAL) {
            self.sweep(sample.at);
        }
        let Sample { client, name, endpoint, ttl_s, at } = sample;
        // With a TTL of 0 or 1 second, the window is empty and the client is assumed not to cache.
        let window = Duration::from_secs(ttl_s.saturating_sub(1).into());
        let key = (client, name);
        let Some(pair) = self.pairs.get_mut(&key) else {
            let has_room = self.pairs.len() < self.capacity;
            if has_room {
                self.pairs.insert(
                    key,
                    PairHistory { endpoint, lookups: 1, last_lookup: at, spaced: !window.is_zero() },
                );
            }
            return has_room;
        };
        let counts_for = |pair: &PairHistory| pair.may_cache().then(|| pair.endpoint.clone());
        let before = counts_for(pair);
        pair.lookups = pair.lookups.saturating_add(1);
        pair.spaced &= !window.is_zero() && abs_difference(at, pair.last_lookup) >= window;
        pair.last_lookup = at;
        pair.endpoint = endpoint;
        let after = counts_for(pair);
        if before != after {
            self.uncount(before, client);
            self.count(after, client);
        }
        true
    }

    /// Removes pairs without lookups for an hour.
    pub(super) fn sweep(&mut self, now: SystemTime) {
        self.swept = Some(now);
        let old: Vec<_> =
            self.pairs.extract_if(|_, pair| abs_difference(now, pair.last_lookup) >= RETENTION).collect();
        for ((client, _), pair) in old {
            self.uncount(pair.may_cache().then_some(pair.endpoint), client);
        }
    }

    /// Number of distinct clients that may cache, by endpoint.
    pub(super) fn clients(&self) -> impl Iterator<Item = (&Arc<str>, usize)> {
        self.clients.iter().map(|(endpoint, count)| (endpoint, *count))
    }

    fn count(&mut self, endpoint: Option<Arc<str>>, client: IpAddr) {
        let Some(endpoint) = endpoint else { return };
        let pairs = self.pairs_by_client.entry((endpoint.clone(), client)).or_default();
        *pairs += 1;
        if *pairs == 1 {
            *self.clients.entry(endpoint).or_default() += 1;
        }
    }

    fn uncount(&mut self, endpoint: Option<Arc<str>>, client: IpAddr) {
        let Some(endpoint) = endpoint else { return };
        let key = (endpoint, client);
        let Some(pairs) = self.pairs_by_client.get_mut(&key) else {
            return;
        };
        *pairs -= 1;
        if *pairs == 0 {
            self.pairs_by_client.remove(&key);
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

    fn clients(detector: &CacheDetector) -> usize {
        detector.clients().map(|(_, count)| count).sum()
    }

    #[test]
    fn a_client_may_cache_after_three_lookups_one_ttl_apart() {
        let mut detector = CacheDetector::new(10);
        for (at, expected) in [(0, 0), (60, 0), (119, 1), (400, 1)] {
            assert!(detector.record(sample(5, "sns.example", 60, at)));
            assert_eq!(clients(&detector), expected, "at {at}");
        }
        // Twice within the TTL: the client does not cache.
        detector.record(sample(5, "sns.example", 60, 430));
        assert_eq!(clients(&detector), 0);
        for at in [500, 600, 700] {
            detector.record(sample(5, "sns.example", 60, at));
        }
        assert_eq!(clients(&detector), 0);
    }

    #[test]
    fn a_client_counts_once_per_endpoint_and_names_are_classified_separately() {
        let mut detector = CacheDetector::new(10);
        for at in [0, 100, 200] {
            for (client, name) in [(5, "a.example"), (5, "b.example"), (6, "a.example")] {
                detector.record(sample(client, name, 60, at));
            }
        }
        assert_eq!(clients(&detector), 2);
        detector.record(sample(5, "a.example", 60, 201));
        assert_eq!(clients(&detector), 2);
        detector.record(sample(5, "b.example", 60, 201));
        assert_eq!(clients(&detector), 1);
    }

    #[test]
    fn without_a_ttl_no_client_caches() {
        let mut detector = CacheDetector::new(10);
        for at in [0, 100, 200, 300] {
            detector.record(sample(5, "sns.example", 0, at));
            detector.record(sample(6, "sns.example", 1, at));
        }
        assert_eq!(clients(&detector), 0);
    }

    #[test]
    fn pairs_are_bounded_and_removed_after_an_hour() {
        let mut detector = CacheDetector::new(1);
        for at in [0, 100, 200] {
            assert!(detector.record(sample(5, "sns.example", 60, at)));
        }
        assert!(!detector.record(sample(6, "sns.example", 60, 201)));
        assert_eq!(clients(&detector), 1);
        assert!(detector.record(sample(6, "sns.example", 60, 3900)));
        assert_eq!(clients(&detector), 0);
        assert_eq!(detector.clients().count(), 1);
    }
}
