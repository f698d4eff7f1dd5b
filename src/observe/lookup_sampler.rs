//! Sampling of lookups for the detector of caching clients, which reduces the load from clients that do not
//! cache.
//!
//! After two lookups of a client and name within the TTL, further lookups do not change the classification of
//! the pair; they only prevent it from being removed. One of these lookups per minute is therefore
//! sufficient, and a client with ten thousand lookups per second costs the detector almost nothing.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::SystemTime;

use foldhash::fast::RandomState;

use super::implied::{NameHash, milliseconds};

/// Number of remembered pairs, a power of two. Pairs that share a slot evict each other.
const SLOTS: usize = 16_384;

/// Interval at which a pair that is known not to cache is reported, in milliseconds.
const REPORT_INTERVAL_MS: u64 = 60_000;

/// The most recent pairs of client and name, by a hash of both.
#[derive(Debug)]
pub(super) struct LookupSampler {
    pairs: Box<[ClientNamePair]>,
    hasher: RandomState,
}

/// The state of a pair. Times are in milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
struct ClientNamePair {
    /// Odd, so that no pair is equal to an empty slot.
    hash: u64,
    last_lookup: u64,
    /// When the pair, known not to cache, was last reported. 0 if it has not been classified yet.
    reported: u64,
}

impl ClientNamePair {
    /// An empty slot.
    const NONE: Self = Self { hash: 0, last_lookup: 0, reported: 0 };
}

impl Default for LookupSampler {
    fn default() -> Self {
        Self { pairs: vec![ClientNamePair::NONE; SLOTS].into(), hasher: RandomState::default() }
    }
}

impl LookupSampler {
    /// Whether a lookup must be reported to the detector.
    pub(super) fn should_report(
        &mut self,
        client: IpAddr,
        name: NameHash,
        ttl_s: u32,
        at: SystemTime,
    ) -> bool {
        let hash = self.hasher.hash_one((client, name));
        // The remainder is less than the number of slots, so the cast is lossless.
        let pair = &mut self.pairs[(hash % SLOTS as u64) as usize];
        let (hash, now) = (hash | 1, milliseconds(at).max(1));
        let window = u64::from(ttl_s.saturating_sub(1)) * 1000;
        if pair.hash != hash {
            // Without a TTL, nothing can be cached, so the pair is classified immediately.
            *pair = ClientNamePair { hash, last_lookup: now, reported: if window == 0 { now } else { 0 } };
            return true;
        }
        let is_within = now.abs_diff(pair.last_lookup) < window;
        pair.last_lookup = now;
        let is_due = pair.reported == 0 || now.abs_diff(pair.reported) >= REPORT_INTERVAL_MS;
        if is_due && (pair.reported != 0 || is_within) {
            pair.reported = now;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::implied::Lookups;
    use super::*;

    #[test]
    fn a_client_that_queries_twice_within_the_ttl_is_then_reported_once_a_minute() {
        let name = Lookups::new(1).hash_name(&"sns.example".parse().unwrap());
        let mut sampler = LookupSampler::default();
        let mut should_report = |ttl_s, second| {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            sampler.should_report([10, 0, 1, 5].into(), name, ttl_s, at)
        };
        for (second, expected) in
            [(0, true), (60, true), (125, true), (130, true), (131, false), (189, false)]
        {
            assert_eq!(should_report(60, second), expected, "at {second}");
        }
        assert!(should_report(60, 190) && !should_report(60, 191), "once a minute");
    }

    #[test]
    fn without_a_ttl_only_the_first_lookup_is_reported() {
        let name = Lookups::new(1).hash_name(&"sns.example".parse().unwrap());
        let mut sampler = LookupSampler::default();
        let at = SystemTime::UNIX_EPOCH;
        assert!(sampler.should_report([10, 0, 1, 5].into(), name, 1, at));
        assert!(!sampler.should_report([10, 0, 1, 5].into(), name, 1, at + Duration::from_secs(30)));
    }
}
