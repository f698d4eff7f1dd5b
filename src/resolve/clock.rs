//! Time as caches measure it.

use std::time::Instant;

/// Whole seconds of the monotonic clock since an instant that its maker chooses: the time by which TTLs count down.
///
/// It is a type of its own so that seconds of the wall clock, which can be set back, cannot be passed for it. Times of
/// different origins must not be compared; a daemon has one, the start of its engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonotonicSeconds(u64);

impl MonotonicSeconds {
    /// A number of seconds after the origin.
    pub const fn new(seconds: u64) -> Self {
        Self(seconds)
    }

    /// An instant, measured from `origin`. An instant before it is the origin.
    pub fn since(origin: Instant, at: Instant) -> Self {
        Self(at.saturating_duration_since(origin).as_secs())
    }

    /// The number of seconds since the origin.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// How many seconds have passed since `earlier`; 0 if it is not earlier.
    pub const fn seconds_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The time so many seconds later.
    pub const fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn seconds_are_whole_and_never_before_the_origin() {
        let origin = Instant::now() + Duration::from_secs(10);
        let at = |millis| MonotonicSeconds::since(origin, origin + Duration::from_millis(millis));
        assert_eq!([999, 1000, 2500].map(|millis| at(millis).get()), [0, 1, 2]);
        assert_eq!(MonotonicSeconds::since(origin, origin - Duration::from_secs(5)).get(), 0);
        assert_eq!(at(1000).seconds_since(at(3000)), 0);
        assert_eq!(at(1000).plus(u64::MAX).get(), u64::MAX);
    }
}
