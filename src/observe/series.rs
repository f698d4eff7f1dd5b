//! Metrics counted by workers: one slot for each combination of label values. The values of all shards are
//! summed when metrics are collected.
//!
//! A lookup by label values takes a lock and tens of nanoseconds, so frequent callers store the slot.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};

use foldhash::fast::RandomState;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{self, LabelPair, MetricFamily, MetricType};

use super::labelled::Label;
use super::shard::{CounterShards, HistogramSlots, SeriesSlot};

/// Slots by label values. A series has the same slot for the life of the process, so that a reload neither
/// moves a count to another series nor decreases it.
struct SeriesMap<const N: usize, S> {
    by_labels: RwLock<HashMap<[Label; N], S, RandomState>>,
}

impl<const N: usize, S: Copy> SeriesMap<N, S>
where
    [Label; N]: Eq + Hash,
{
    fn get_or_create(&self, values: [Label; N], create: impl FnOnce() -> S) -> S {
        let existing = self.by_labels.read().unwrap_or_else(PoisonError::into_inner).get(&values).copied();
        existing.unwrap_or_else(|| {
            let mut all = self.by_labels.write().unwrap_or_else(PoisonError::into_inner);
            *all.entry(values).or_insert_with(create)
        })
    }

    /// One metric per series, with its labels.
    fn metrics(&self, names: &[&'static str; N], read: impl Fn(&mut proto::Metric, S)) -> Vec<proto::Metric> {
        let series = self.by_labels.read().unwrap_or_else(PoisonError::into_inner);
        let metric = |(values, slots): (&[Label; N], &S)| {
            let mut metric = proto::Metric::from_label(label_pairs(names, values));
            read(&mut metric, *slots);
            metric
        };
        series.iter().map(metric).collect()
    }
}

/// Returns the labels sorted by name, as the prometheus crate does for its own metrics.
fn label_pairs<const N: usize>(names: &[&'static str; N], values: &[Label; N]) -> Vec<LabelPair> {
    let pair = |(name, value): (&&'static str, &Label)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value(value.to_string());
        pair
    };
    let mut labels: Vec<LabelPair> = names.iter().zip(values).map(pair).collect();
    labels.sort_by(|one, other| one.name().cmp(other.name()));
    labels
}

/// A declared metric with its series.
struct MetricSeries<const N: usize, S> {
    desc: Desc,
    labels: [&'static str; N],
    shards: CounterShards,
    series: SeriesMap<N, S>,
}

impl<const N: usize, S> MetricSeries<N, S> {
    fn new(desc: Desc, labels: [&'static str; N], shards: CounterShards) -> Arc<Self> {
        Arc::new(Self { desc, labels, shards, series: SeriesMap { by_labels: RwLock::default() } })
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

impl<const N: usize, S> fmt::Debug for MetricSeries<N, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MetricSeries").field(&self.desc.fq_name).finish()
    }
}

/// Counters or gauges with one name and one set of labels. Clones share their series.
#[derive(Debug)]
pub(super) struct Counters<const N: usize> {
    inner: Arc<MetricSeries<N, SeriesSlot>>,
    kind: MetricType,
}

impl<const N: usize> Counters<N> {
    /// Creates a metric without series. `kind` is `COUNTER` or `GAUGE`.
    pub(super) fn new(
        desc: Desc,
        labels: [&'static str; N],
        shards: CounterShards,
        kind: MetricType,
    ) -> Self {
        Self { inner: MetricSeries::new(desc, labels, shards), kind }
    }

    /// The slot of the series with these label values, which is created if necessary.
    pub(super) fn slot(&self, values: [Label; N]) -> SeriesSlot {
        self.inner.series.get_or_create(values, || self.inner.shards.allocate(1))
    }

    /// Adds a series for an existing slot.
    pub(super) fn alias(&self, values: [Label; N], slot: SeriesSlot) {
        self.inner.series.get_or_create(values, || slot);
    }
}

impl<const N: usize> Clone for Counters<N> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), kind: self.kind }
    }
}

impl<const N: usize> Collector for Counters<N> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.inner.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let MetricSeries { labels, shards, series, .. } = &*self.inner;
        let metrics = series.metrics(labels, |metric, slot| {
            // Exact up to 2^53, like every value in the exposition format.
            let value = shards.sum(slot) as f64;
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
        self.inner.family(self.kind, metrics)
    }
}

/// Histograms with one name and one set of labels. Clones share their series.
#[derive(Debug)]
pub(super) struct Histograms<const N: usize> {
    inner: Arc<MetricSeries<N, HistogramSlots>>,
    scale: HistogramScale,
}

/// The buckets and the unit of a histogram.
#[derive(Clone, Copy, Debug)]
pub(super) struct HistogramScale {
    /// Upper bounds of the buckets, in the unit of the counted values.
    pub bounds: &'static [u64],
    /// Number of these units per exported unit.
    pub per_unit: f64,
}

impl<const N: usize> Histograms<N> {
    /// Creates a metric without series.
    pub(super) fn new(
        desc: Desc,
        labels: [&'static str; N],
        shards: CounterShards,
        scale: HistogramScale,
    ) -> Self {
        Self { inner: MetricSeries::new(desc, labels, shards), scale }
    }

    /// The slots of the series with these label values, which are created if necessary.
    pub(super) fn slots(&self, values: [Label; N]) -> HistogramSlots {
        self.inner
            .series
            .get_or_create(values, || HistogramSlots::allocate(&self.inner.shards, self.scale.bounds))
    }
}

impl<const N: usize> Clone for Histograms<N> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), scale: self.scale }
    }
}

impl<const N: usize> Collector for Histograms<N> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.inner.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let MetricSeries { labels, shards, series, .. } = &*self.inner;
        let metrics = series.metrics(labels, |metric, slots| {
            metric.set_histogram(histogram(slots.read(shards), self.scale));
        });
        self.inner.family(MetricType::HISTOGRAM, metrics)
    }
}

fn histogram((counts, sum): (Vec<u64>, u64), scale: HistogramScale) -> proto::Histogram {
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
