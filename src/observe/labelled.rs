//! Metrics with labels: one declaration, and a child for each combination of label values.
//!
//! A counter's child exists for the life of the process, identified by its label values: a reload neither
//! moves a count to another series nor decreases it.

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock};

use foldhash::fast::RandomState;
use prometheus::core::{Collector, Desc, Metric};
use prometheus::proto::{MetricFamily, MetricType};
use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge, Opts, Registry};

use super::receive_buffer_drops::ReceiveBufferDrops;
use super::series::{Counters, HistogramScale, Histograms};
use super::shard::{CounterShards, SeriesSlot};

/// All metrics of one kind, name and set of labels. Clones share their children.
///
/// `N` is the number of labels: a wrong number of values does not compile. The vectors of the prometheus
/// crate identify a child by a hash of its concatenated label values, so that two combinations could collide.
pub(super) struct LabelledMetric<const N: usize, M>(Arc<Inner<N, M>>);

struct Inner<const N: usize, M> {
    desc: Desc,
    labels: [&'static str; N],
    /// Upper bounds of a histogram's buckets; empty for other kinds.
    buckets: &'static [f64],
    children: RwLock<HashMap<[Label; N], M, RandomState>>,
}

impl<const N: usize, M: MetricKind> LabelledMetric<N, M> {
    /// Applies a function to the child with these label values, which is created if necessary.
    pub(super) fn with(&self, values: [Label; N], apply: impl FnOnce(&M)) {
        if let Some(child) = self.read().get(&values) {
            return apply(child);
        }
        let mut children = self.0.children.write().unwrap_or_else(PoisonError::into_inner);
        apply(children.entry(values.clone()).or_insert_with(|| self.new_child(&values)));
    }

    /// The child with these label values, which is created if necessary. For callers that use it often.
    pub(super) fn child(&self, values: [Label; N]) -> M {
        let mut found = None;
        self.with(values, |child| found = Some(child.clone()));
        found.expect("`with` applies its function once")
    }

    /// Removes every child. For gauges that describe the current state; counters are never removed.
    pub(super) fn clear(&self) {
        self.0.children.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn read(&self) -> impl Deref<Target = HashMap<[Label; N], M, RandomState>> + '_ {
        self.0.children.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Creates a child.
    fn new_child(&self, values: &[Label; N]) -> M {
        let mut opts = Opts::new(&self.0.desc.fq_name, &self.0.desc.help);
        for (name, value) in self.0.labels.iter().zip(values) {
            opts = opts.const_label(*name, &**value);
        }
        M::build(opts, self.0.buckets)
    }
}

impl<const N: usize, M> Clone for LabelledMetric<N, M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<const N: usize, M> fmt::Debug for LabelledMetric<N, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LabelledMetric").field(&self.0.desc.fq_name).finish()
    }
}

impl<const N: usize, M: MetricKind> Collector for LabelledMetric<N, M> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.0.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut family = MetricFamily::default();
        family.set_name(self.0.desc.fq_name.clone());
        family.set_help(self.0.desc.help.clone());
        family.set_field_type(M::TYPE);
        family.set_metric(self.read().values().map(Metric::metric).collect());
        vec![family]
    }
}

/// A label value: a constant, or an ID, name or address from the configuration.
#[derive(Clone, Debug)]
pub(super) enum Label {
    /// A constant.
    Constant(&'static str),
    /// An ID, name or address from the configuration.
    Configured(Arc<str>),
}

impl Deref for Label {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Constant(value) => value,
            Self::Configured(id) => id,
        }
    }
}

impl PartialEq for Label {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Label {}

impl Hash for Label {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl From<&'static str> for Label {
    fn from(value: &'static str) -> Self {
        Self::Constant(value)
    }
}

impl From<&Arc<str>> for Label {
    fn from(id: &Arc<str>) -> Self {
        Self::Configured(id.clone())
    }
}

/// A kind of metric: an integer counter, an integer gauge, or a histogram.
pub(super) trait MetricKind: Metric + Clone + 'static {
    /// The kind in the exposition format.
    const TYPE: MetricType;

    /// Creates a metric. `buckets` applies to histograms.
    fn build(opts: Opts, buckets: &'static [f64]) -> Self;
}

// Names and labels are constants; the test that renders all metrics checks them.
const VALID: &str = "declared names and labels are well-formed";

impl MetricKind for IntCounter {
    const TYPE: MetricType = MetricType::COUNTER;

    fn build(opts: Opts, _: &'static [f64]) -> Self {
        Self::with_opts(opts).expect(VALID)
    }
}

impl MetricKind for IntGauge {
    const TYPE: MetricType = MetricType::GAUGE;

    fn build(opts: Opts, _: &'static [f64]) -> Self {
        Self::with_opts(opts).expect(VALID)
    }
}

impl MetricKind for Histogram {
    const TYPE: MetricType = MetricType::HISTOGRAM;

    fn build(opts: Opts, buckets: &'static [f64]) -> Self {
        let opts = HistogramOpts { common_opts: opts, buckets: buckets.to_vec() };
        Self::with_opts(opts).expect(VALID)
    }
}

/// Registers metrics and records their declarations for the table in the manual.
#[derive(Debug, Default)]
pub(super) struct Declarations {
    /// All declared metrics, for collection.
    pub registry: Registry,
    /// The declarations, in order.
    pub rows: Vec<DeclaredMetric>,
    /// The shards in which workers count.
    pub shards: CounterShards,
}

/// A declared metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DeclaredMetric {
    /// Its name.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Its label names.
    pub labels: &'static [&'static str],
    /// Its HELP text.
    pub help: &'static str,
}

impl Declarations {
    /// Declares a counter or gauge with labels. The kind is inferred from the type of the field.
    pub(super) fn labelled<const N: usize, M: MetricKind>(
        &mut self,
        name: &'static str,
        labels: &'static [&'static str; N],
        help: &'static str,
    ) -> LabelledMetric<N, M> {
        self.histogram(name, labels, &[], help)
    }

    /// Declares a histogram with labels and the upper bounds of its buckets.
    pub(super) fn histogram<const N: usize, M: MetricKind>(
        &mut self,
        name: &'static str,
        labels: &'static [&'static str; N],
        buckets: &'static [f64],
        help: &'static str,
    ) -> LabelledMetric<N, M> {
        let children = RwLock::default();
        let metric = LabelledMetric(Arc::new(Inner {
            desc: desc(name, labels, help),
            labels: *labels,
            buckets,
            children,
        }));
        self.register::<M>(Box::new(metric.clone()), name, labels, help);
        metric
    }

    /// Declares a counter with labels that workers increment.
    pub(super) fn counters<const N: usize>(
        &mut self,
        name: &'static str,
        labels: &'static [&'static str; N],
        help: &'static str,
    ) -> Counters<N> {
        let counters =
            Counters::new(desc(name, labels, help), *labels, self.shards.clone(), MetricType::COUNTER);
        self.register::<IntCounter>(Box::new(counters.clone()), name, labels, help);
        counters
    }

    /// Declares a counter without labels that workers increment. It is exported as 0 from the start.
    pub(super) fn counter(&mut self, name: &'static str, help: &'static str) -> SeriesSlot {
        self.counters(name, &[], help).slot([])
    }

    /// Declares a gauge without labels: the sum of the values that workers set. It is exported as 0 from the
    /// start.
    pub(super) fn gauge(&mut self, name: &'static str, help: &'static str) -> SeriesSlot {
        let gauge = Counters::new(desc(name, &[], help), [], self.shards.clone(), MetricType::GAUGE);
        self.register::<IntGauge>(Box::new(gauge.clone()), name, &[], help);
        gauge.slot([])
    }

    /// Declares the counter of dropped datagrams, which is read from the system.
    pub(super) fn receive_buffer_drops(
        &mut self,
        name: &'static str,
        help: &'static str,
    ) -> ReceiveBufferDrops {
        let labels = &["server"];
        let drops = ReceiveBufferDrops::new(desc(name, labels, help));
        self.register::<IntCounter>(Box::new(drops.clone()), name, labels, help);
        drops
    }

    /// Declares a histogram with labels that workers observe.
    pub(super) fn histograms<const N: usize>(
        &mut self,
        name: &'static str,
        labels: &'static [&'static str; N],
        scale: HistogramScale,
        help: &'static str,
    ) -> Histograms<N> {
        let histograms = Histograms::new(desc(name, labels, help), *labels, self.shards.clone(), scale);
        self.register::<Histogram>(Box::new(histograms.clone()), name, labels, help);
        histograms
    }

    /// Declares a counter or gauge without labels. It is exported as 0 from the start.
    pub(super) fn single<M: MetricKind + Collector>(&mut self, name: &'static str, help: &'static str) -> M {
        let metric = M::build(Opts::new(name, help), &[]);
        self.register::<M>(Box::new(metric.clone()), name, &[], help);
        metric
    }

    fn register<M: MetricKind>(
        &mut self,
        collector: Box<dyn Collector>,
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) {
        let kind = match M::TYPE {
            MetricType::COUNTER => "counter",
            MetricType::HISTOGRAM => "histogram",
            _ => "gauge",
        };
        self.registry.register(collector).expect("each metric is declared once");
        self.rows.push(DeclaredMetric { name, kind, labels, help });
    }
}

fn desc(name: &'static str, labels: &[&'static str], help: &'static str) -> Desc {
    let names = labels.iter().map(|label| (*label).to_owned()).collect();
    Desc::new(name.to_owned(), help.to_owned(), names, HashMap::new()).expect(VALID)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_are_distinguished_by_each_label_value() {
        let mut all = Declarations::default();
        let metric: LabelledMetric<2, IntCounter> = all.labelled("test_total", &["a", "b"], "Test.");
        metric.with(["x".into(), "yz".into()], |c| c.inc());
        metric.with(["xy".into(), "z".into()], |c| c.inc());
        metric.with([Label::Configured(Arc::from("x")), "yz".into()], |c| c.inc());
        let text = prometheus::TextEncoder::new().encode_to_string(&all.registry.gather()).unwrap();
        let lines = "# HELP test_total Test.\n# TYPE test_total counter\n\
                     test_total{a=\"x\",b=\"yz\"} 2\ntest_total{a=\"xy\",b=\"z\"} 1\n";
        assert_eq!(text, lines);
    }
}
