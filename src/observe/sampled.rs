//! Sampling of lookups for the lower-bound detector: clients that are known not to cache.
//!
//! After two lookups of a client and name within the TTL, further lookups do not change the classification of
//! the pair, except that they keep it alive. One of these lookups per minute is therefore sufficient, and a
//! client with ten thousand lookups per second costs the detector nothing.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::SystemTime;

use foldhash::fast::RandomState;

use super::implied::{NameHash, milliseconds};

/// Number of remembered pairs, a power of two. Pairs that share a slot evict each other.
const PLACES: usize = 16_384;

/// Interval at which a pair that is known not to cache is reported, in milliseconds.
const REMINDED_AFTER_MS: u64 = 60_000;

/// The most recent pairs of client and name, by a hash of both.
#[derive(Debug)]
pub struct Sampled {
    pairs: Box<[ClientNamePair]>,
    hasher: RandomState,
}

/// The state of a pair. Times are in milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
struct ClientNamePair {
    /// Odd, so that no pair is equal to an empty slot.
    hash: u64,
    last: u64,
    /// When the pair was last reported. 0 if no two lookups within the TTL have been reported yet.
    settled: u64,
}

impl ClientNamePair {
    /// An empty slot.
    const NONE: Self = Self { hash: 0, last: 0, settled: 0 };
}

impl Default for Sampled {
    fn default() -> Self {
        Self { pairs: vec![ClientNamePair::NONE; PLACES].into(), hasher: RandomState::default() }
    }
}

impl Sampled {
    /// Whether a lookup must be reported to the detector.
    pub fn is_news(&mut self, client: IpAddr, name: NameHash, ttl_s: u32, at: SystemTime) -> bool {
        let hash = self.hasher.hash_one((client, name));
        // The remainder is less than the number of slots, so the cast is lossless.
        let pair = &mut self.pairs[(hash % PLACES as u64) as usize];
        let (hash, now) = (hash | 1, milliseconds(at).max(1));
        let window = u64::from(ttl_s.saturating_sub(1)) * 1000;
        if pair.hash != hash {
            // Without a TTL there is nothing to cache, so the pair is classified immediately.
            *pair = ClientNamePair { hash, last: now, settled: if window == 0 { now } else { 0 } };
            return true;
        }
        let is_within = now.abs_diff(pair.last) < window;
        pair.last = now;
        let is_news = pair.settled == 0 || now.abs_diff(pair.settled) >= REMINDED_AFTER_MS;
        if is_news && (pair.settled != 0 || is_within) {
            pair.settled = now;
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::implied::Lookups;
    use super::*;

    #[test]
    fn who_asks_twice_within_the_ttl_is_told_once_a_minute_from_then_on() {
        let name = Lookups::new(1).name(&"sns.example".parse().unwrap());
        let mut sampled = Sampled::default();
        let mut news = |ttl_s, second| {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            sampled.is_news([10, 0, 1, 5].into(), name, ttl_s, at)
        };
        for (second, expected) in
            [(0, true), (60, true), (125, true), (130, true), (131, false), (189, false)]
        {
            assert_eq!(news(60, second), expected, "at {second}");
        }
        assert!(news(60, 190) && !news(60, 191), "a reminder");
    }

    #[test]
    fn without_a_ttl_there_is_nothing_to_tell() {
        let name = Lookups::new(1).name(&"sns.example".parse().unwrap());
        let mut sampled = Sampled::default();
        let at = SystemTime::UNIX_EPOCH;
        assert!(sampled.is_news([10, 0, 1, 5].into(), name, 1, at));
        assert!(!sampled.is_news([10, 0, 1, 5].into(), name, 1, at + Duration::from_secs(30)));
    }
}
