//! Which look-ups the lower-bound judge need not hear of: those of clients that it knows not to cache.
//!
//! Once a client has asked for a name twice within its TTL, no later look-up changes what the judge thinks of
//! the two, but that the pair is still alive. So of those look-ups one a minute is enough, and a client that asks
//! ten thousand times a second costs the judge nothing.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use foldhash::fast::RandomState;

use super::implied::{NameHash, apart};

/// Pairs that are remembered, a power of two. Two pairs that share a place send each other's look-ups.
const PLACES: usize = 4096;

/// How often the judge hears of a pair that it knows not to cache.
const REMINDED_AFTER: Duration = Duration::from_secs(60);

/// The pairs of a client and a name that were heard of last, by a hash of both.
#[derive(Debug)]
pub struct Sampled {
    pairs: Box<[Option<Pair>]>,
    hasher: RandomState,
}

#[derive(Clone, Copy, Debug)]
struct Pair {
    hash: u64,
    last: SystemTime,
    told: SystemTime,
    /// The judge has heard of two look-ups within the TTL.
    is_settled: bool,
}

impl Default for Sampled {
    fn default() -> Self {
        Self { pairs: vec![None; PLACES].into(), hasher: RandomState::default() }
    }
}

impl Sampled {
    /// Whether the judge must hear of a look-up.
    pub fn is_news(&mut self, client: IpAddr, name: NameHash, ttl_s: u32, at: SystemTime) -> bool {
        let hash = self.hasher.hash_one((client, name));
        // The remainder is below the number of places, which fits.
        let place = &mut self.pairs[(hash % PLACES as u64) as usize];
        let window = Duration::from_secs(ttl_s.saturating_sub(1).into());
        let pair = match place {
            Some(pair) if pair.hash == hash => pair,
            _ => {
                *place = Some(Pair { hash, last: at, told: at, is_settled: window.is_zero() });
                return true;
            }
        };
        let was_settled = pair.is_settled;
        pair.is_settled |= apart(at, pair.last) < window;
        pair.last = at;
        let is_news = !was_settled || apart(at, pair.told) >= REMINDED_AFTER;
        if is_news {
            pair.told = at;
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
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
