//! Times, counted in buckets that are a thirty-second of their value wide at most.

/// Buckets for each power of two.
const STEPS: u64 = 32;

/// Counts times in nanoseconds.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Vec<u64>,
    longest: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; 60 * STEPS as usize], longest: 0 }
    }
}

impl Histogram {
    /// Takes in a time.
    pub fn add(&mut self, nanoseconds: u64) {
        self.counts[bucket(nanoseconds)] += 1;
        self.longest = self.longest.max(nanoseconds);
    }

    /// The time that a share of all stays within, in microseconds; 0 when there is none.
    pub fn quantile(&self, share: f64) -> f64 {
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

    /// The time that a share of `total` stays within, in microseconds. Those that are not counted here take longer than
    /// all others; infinite when one of them is reached.
    pub fn quantile_of(&self, share: f64, total: u64) -> f64 {
        let wanted = (total as f64 * share).ceil();
        let counted: u64 = self.counts.iter().sum();
        match counted {
            0 => f64::INFINITY,
            _ if counted as f64 >= wanted => self.quantile(wanted / counted as f64),
            _ => f64::INFINITY,
        }
    }

    /// The longest time, in microseconds.
    pub fn longest(&self) -> f64 {
        self.longest as f64 / 1e3
    }
}

/// The bucket of a value: below [`STEPS`] one for each, above that as many for each power of two.
fn bucket(value: u64) -> usize {
    if value < STEPS {
        return value as usize;
    }
    let power = u64::from(value.ilog2()) - u64::from(STEPS.ilog2());
    ((power + 1) * STEPS + (value >> power) % STEPS) as usize
}

/// A value in the middle of a bucket.
fn middle(index: u64) -> u64 {
    if index < STEPS {
        return index;
    }
    let power = index / STEPS - 1;
    ((STEPS + index % STEPS) << power) + (1 << power) / 2
}
