//! Time for caches.

use std::time::Instant;

/// Seconds of the monotonic clock since a chosen instant: the time by which TTLs count down.
///
/// A separate type, so that seconds of the wall clock, which can be set back, cannot be used instead. Times
/// with different origins must not be compared; a daemon has one origin, the start of its engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonotonicSeconds(u64);

impl MonotonicSeconds {
    /// A number of seconds after the origin.
    pub const fn new(seconds: u64) -> Self {
        Self(seconds)
    }

    /// An instant relative to `origin`. An earlier instant is the origin.
    pub fn since(origin: Instant, at: Instant) -> Self {
        Self(at.saturating_duration_since(origin).as_secs())
    }

    /// Seconds since the origin.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Seconds since `earlier`; 0 if that is later.
    pub const fn seconds_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The time this many seconds later.
    pub const fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn seconds_are_rounded_down_and_never_before_the_origin() {
        let origin = Instant::now() + Duration::from_secs(10);
        let at = |millis| MonotonicSeconds::since(origin, origin + Duration::from_millis(millis));
        assert_eq!([999, 1000, 2500].map(|millis| at(millis).get()), [0, 1, 2]);
        assert_eq!(MonotonicSeconds::since(origin, origin - Duration::from_secs(5)).get(), 0);
        assert_eq!(at(1000).seconds_since(at(3000)), 0);
        assert_eq!(at(1000).plus(u64::MAX).get(), u64::MAX);
    }
}
