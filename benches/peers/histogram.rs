//! A histogram of times, with buckets whose width is at most 1/32 of their value.

/// Buckets per power of two.
const STEPS: u64 = 32;

/// Counts times in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    longest: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; 60 * STEPS as usize], longest: 0 }
    }
}

impl Histogram {
    /// Adds a time.
    pub(crate) fn add(&mut self, nanoseconds: u64) {
        self.counts[bucket(nanoseconds)] += 1;
        self.longest = self.longest.max(nanoseconds);
    }

    /// The quantile of all times, in microseconds; 0 if there are none.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let total: u64 = self.counts.iter().sum();
        let wanted = (total as f64 * share).ceil() as u64;
        let mut sum = 0;
        for (index, count) in self.counts.iter().enumerate() {
            sum += count;
            if *count > 0 && sum >= wanted {
                return middle(index as u64) as f64 / 1e3;
            }
        }
        0.0
    }

    /// The quantile of `total` times, in microseconds. Those that were not added count as longer than all
    /// others; the result is infinite if the quantile is one of them.
    pub(crate) fn quantile_of(&self, share: f64, total: u64) -> f64 {
        let wanted = (total as f64 * share).ceil();
        let counted: u64 = self.counts.iter().sum();
        match counted {
            0 => f64::INFINITY,
            _ if counted as f64 >= wanted => self.quantile(wanted / counted as f64),
            _ => f64::INFINITY,
        }
    }

    /// The longest time, in microseconds.
    pub(crate) fn longest(&self) -> f64 {
        self.longest as f64 / 1e3
    }
}

/// The bucket of a value: one bucket per value below [`STEPS`], and [`STEPS`] buckets per power of two above.
fn bucket(value: u64) -> usize {
    if value < STEPS {
        return value as usize;
    }
    let power = u64::from(value.ilog2()) - u64::from(STEPS.ilog2());
    ((power + 1) * STEPS + (value >> power) % STEPS) as usize
}

/// The middle of a bucket.
fn middle(index: u64) -> u64 {
    if index < STEPS {
        return index;
    }
    let power = index / STEPS - 1;
    ((STEPS + index % STEPS) << power) + (1 << power) / 2
}
