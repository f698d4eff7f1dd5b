//! Families of what workers count: a slot for each combination of label values, summed over all tallies when
//! they are collected.
//!
//! The look-up by labels takes a lock and some dozens of nanoseconds, so whoever counts often keeps the slot.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};

use foldhash::fast::RandomState;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{self, LabelPair, MetricFamily, MetricType};

use super::family::Label;
use super::shard::{Slot, Spread, CounterShards};

/// Slots by label values. A series keeps its slot for the life of the process, so that a reload neither moves
/// a count to another series nor makes one go backwards.
struct Series<const N: usize, S> {
    by_labels: RwLock<HashMap<[Label; N], S, RandomState>>,
}

impl<const N: usize, S: Copy> Series<N, S>
where
    [Label; N]: Eq + Hash,
{
    fn get(&self, values: [Label; N], make: impl FnOnce() -> S) -> S {
        let known = self.by_labels.read().unwrap_or_else(PoisonError::into_inner).get(&values).copied();
        known.unwrap_or_else(|| {
            let mut all = self.by_labels.write().unwrap_or_else(PoisonError::into_inner);
            *all.entry(values).or_insert_with(make)
        })
    }

    /// One metric for each series, with its labels set.
    fn metrics(&self, names: &[&'static str; N], read: impl Fn(&mut proto::Metric, S)) -> Vec<proto::Metric> {
        let all = self.by_labels.read().unwrap_or_else(PoisonError::into_inner);
        let metric = |(values, series): (&[Label; N], &S)| {
            let mut metric = proto::Metric::from_label(pairs(names, values));
            read(&mut metric, *series);
            metric
        };
        all.iter().map(metric).collect()
    }
}

/// Labels in the order of their names, as the library's own metrics have them.
fn pairs<const N: usize>(names: &[&'static str; N], values: &[Label; N]) -> Vec<LabelPair> {
    let pair = |(name, value): (&&'static str, &Label)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value(value.to_string());
        pair
    };
    let mut pairs: Vec<LabelPair> = names.iter().zip(values).map(pair).collect();
    pairs.sort_by(|one, other| one.name().cmp(other.name()));
    pairs
}

/// What a family was declared with.
struct Declared<const N: usize, S> {
    desc: Desc,
    labels: [&'static str; N],
    tallies: CounterShards,
    series: Series<N, S>,
}

impl<const N: usize, S> Declared<N, S> {
    fn new(desc: Desc, labels: [&'static str; N], tallies: CounterShards) -> Arc<Self> {
        Arc::new(Self { desc, labels, tallies, series: Series { by_labels: RwLock::default() } })
    }

    fn family(&self, kind: MetricType, metrics: Vec<proto::Metric>) -> Vec<MetricFamily> {
        let mut family = MetricFamily::default();
        family.set_name(self.desc.fq_name.clone());
        family.set_help(self.desc.help.clone());
        family.set_field_type(kind);
        family.set_metric(metrics);
        vec![family]
    }
}

impl<const N: usize, S> fmt::Debug for Declared<N, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Declared").field(&self.desc.fq_name).finish()
    }
}

/// Counters with one name and one set of labels, or levels that go up and down. Clones share their series.
#[derive(Debug)]
pub struct Counters<const N: usize> {
    declared: Arc<Declared<N, Slot>>,
    kind: MetricType,
}

impl<const N: usize> Counters<N> {
    /// Nothing counted yet. `kind` is `COUNTER` or `GAUGE`.
    pub fn new(desc: Desc, labels: [&'static str; N], tallies: CounterShards, kind: MetricType) -> Self {
        Self { declared: Declared::new(desc, labels, tallies), kind }
    }

    /// The slot of the series with these label values, which is made if it is new.
    pub fn slot(&self, values: [Label; N]) -> Slot {
        self.declared.series.get(values, || self.declared.tallies.allot(1))
    }

    /// Makes one series that is counted in a slot of the caller's.
    pub fn stand_for(&self, values: [Label; N], slot: Slot) {
        self.declared.series.get(values, || slot);
    }
}

impl<const N: usize> Clone for Counters<N> {
    fn clone(&self) -> Self {
        Self { declared: self.declared.clone(), kind: self.kind }
    }
}

impl<const N: usize> Collector for Counters<N> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.declared.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Declared { labels, tallies, series, .. } = &*self.declared;
        let metrics = series.metrics(labels, |metric, slot| {
            // Exact up to 2^53, as everything in this format is.
            let value = tallies.sum(slot) as f64;
            if self.kind == MetricType::GAUGE {
                let mut gauge = proto::Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            } else {
                let mut counter = proto::Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            }
        });
        self.declared.family(self.kind, metrics)
    }
}

/// Histograms with one name and one set of labels. Clones share their series.
#[derive(Debug)]
pub struct Spreads<const N: usize> {
    declared: Arc<Declared<N, Spread>>,
    scale: Scale,
}

/// The unit that a histogram is counted in.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Upper bounds of the buckets, in the unit that is counted in.
    pub bounds: &'static [u64],
    /// How many of those units make one of what is exported.
    pub per_unit: f64,
}

impl<const N: usize> Spreads<N> {
    /// Nothing counted yet.
    pub fn new(desc: Desc, labels: [&'static str; N], tallies: CounterShards, scale: Scale) -> Self {
        Self { declared: Declared::new(desc, labels, tallies), scale }
    }

    /// The slots of the series with these label values, which are made if it is new.
    pub fn spread(&self, values: [Label; N]) -> Spread {
        self.declared.series.get(values, || Spread::allot(&self.declared.tallies, self.scale.bounds))
    }
}

impl<const N: usize> Clone for Spreads<N> {
    fn clone(&self) -> Self {
        Self { declared: self.declared.clone(), scale: self.scale }
    }
}

impl<const N: usize> Collector for Spreads<N> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.declared.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Declared { labels, tallies, series, .. } = &*self.declared;
        let metrics = series.metrics(labels, |metric, spread| {
            metric.set_histogram(histogram(spread.read(tallies), self.scale));
        });
        self.declared.family(MetricType::HISTOGRAM, metrics)
    }
}

fn histogram((counts, sum): (Vec<u64>, u64), scale: Scale) -> proto::Histogram {
    let mut cumulative = 0;
    let bucket = |(bound, count): (&u64, &u64)| {
        cumulative += count;
        let mut bucket = proto::Bucket::default();
        bucket.set_upper_bound(*bound as f64 / scale.per_unit);
        bucket.set_cumulative_count(cumulative);
        bucket
    };
    let buckets = scale.bounds.iter().zip(&counts).map(bucket).collect();
    let mut histogram = proto::Histogram::default();
    histogram.set_bucket(buckets);
    histogram.set_sample_count(counts.iter().sum());
    histogram.set_sample_sum(sum as f64 / scale.per_unit);
    histogram
}
