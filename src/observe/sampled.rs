//! Which look-ups the lower-bound judge need not hear of: those of clients that it knows not to cache.
//!
//! Once a client has asked for a name twice within its TTL, no later look-up changes what the judge thinks of
//! the two, but that the pair is still alive. So of those look-ups one a minute is enough, and a client that asks
//! ten thousand times a second costs the judge nothing.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::SystemTime;

use foldhash::fast::RandomState;

use super::implied::{NameHash, milliseconds};

/// Pairs that are remembered, a power of two. Two pairs that share a place send each other's look-ups.
const PLACES: usize = 16_384;

/// How often the judge hears of a pair that it knows not to cache, in milliseconds.
const REMINDED_AFTER_MS: u64 = 60_000;

/// The pairs of a client and a name that were heard of last, by a hash of both.
#[derive(Debug)]
pub struct Sampled {
    pairs: Box<[Pair]>,
    hasher: RandomState,
}

/// What is known of a pair. Times are in milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
struct Pair {
    /// Odd, so that no pair is like a place without one.
    hash: u64,
    last: u64,
    /// When the judge heard of it last. 0: it has not yet heard of two look-ups within the TTL.
    settled: u64,
}

impl Pair {
    /// A place without a pair.
    const NONE: Self = Self { hash: 0, last: 0, settled: 0 };
}

impl Default for Sampled {
    fn default() -> Self {
        Self { pairs: vec![Pair::NONE; PLACES].into(), hasher: RandomState::default() }
    }
}

impl Sampled {
    /// Whether the judge must hear of a look-up.
    pub fn is_news(&mut self, client: IpAddr, name: NameHash, ttl_s: u32, at: SystemTime) -> bool {
        let hash = self.hasher.hash_one((client, name));
        // The remainder is below the number of places, which fits.
        let pair = &mut self.pairs[(hash % PLACES as u64) as usize];
        let (hash, now) = (hash | 1, milliseconds(at).max(1));
        let window = u64::from(ttl_s.saturating_sub(1)) * 1000;
        if pair.hash != hash {
            // Without a TTL there is nothing to keep, and the judge knows that at once.
            *pair = Pair { hash, last: now, settled: if window == 0 { now } else { 0 } };
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
