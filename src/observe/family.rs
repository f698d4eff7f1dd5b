//! Metrics with labels: one declaration, and a child for each combination of label values.
//!
//! A child lives as long as the process and is found by its label values, so that a reload of the
//! configuration neither moves a count to another series nor makes one go backwards.

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock};

use foldhash::fast::RandomState;
use prometheus::core::{Collector, Desc, Metric};
use prometheus::proto::{MetricFamily, MetricType};
use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge, Opts, Registry};

use super::counted::{Counters, Scale, Spreads};
use super::receive_buffers::ReceiveBuffers;
use super::shard::{Slot, CounterShards};

/// All metrics of one kind, name and set of labels. Clones share their children.
///
/// `N` is the number of labels: giving a wrong number of values does not compile. The library's own
/// vectors are not used because they find a child by a hash of its label values alone, strung
/// together, so that two combinations could share one.
pub struct Family<const N: usize, M>(Arc<Inner<N, M>>);

struct Inner<const N: usize, M> {
    desc: Desc,
    labels: [&'static str; N],
    /// Upper bounds of a histogram's buckets; nothing for other kinds.
    buckets: &'static [f64],
    children: RwLock<HashMap<[Label; N], M, RandomState>>,
}

impl<const N: usize, M: Kind> Family<N, M> {
    /// Acts on the child with these label values, which is made if it is new.
    pub fn with(&self, values: [Label; N], act: impl FnOnce(&M)) {
        if let Some(child) = self.read().get(&values) {
            return act(child);
        }
        let mut children = self.0.children.write().unwrap_or_else(PoisonError::into_inner);
        act(children.entry(values.clone()).or_insert_with(|| self.new_child(&values)));
    }

    /// The child with these label values, for who acts on it often.
    pub fn child(&self, values: [Label; N]) -> M {
        let mut found = None;
        self.with(values, |child| found = Some(child.clone()));
        found.expect("`with` acts once")
    }

    /// Forgets every child. For gauges that say what is now; a counter is never forgotten.
    pub fn clear(&self) {
        self.0.children.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn read(&self) -> impl Deref<Target = HashMap<[Label; N], M, RandomState>> + '_ {
        self.0.children.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A child that nobody has counted in.
    fn new_child(&self, values: &[Label; N]) -> M {
        let mut opts = Opts::new(&self.0.desc.fq_name, &self.0.desc.help);
        for (name, value) in self.0.labels.iter().zip(values) {
            opts = opts.const_label(*name, &**value);
        }
        M::build(opts, self.0.buckets)
    }
}

impl<const N: usize, M> Clone for Family<N, M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<const N: usize, M> fmt::Debug for Family<N, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Family").field(&self.0.desc.fq_name).finish()
    }
}

impl<const N: usize, M: Kind> Collector for Family<N, M> {
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

/// A label's value: a word of a closed set, or the id of something that was declared.
#[derive(Clone, Debug)]
pub enum Label {
    /// One of the words that the program itself knows.
    Word(&'static str),
    /// An id, name or address out of a configuration.
    Id(Arc<str>),
}

impl Deref for Label {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Word(word) => word,
            Self::Id(id) => id,
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
    fn from(word: &'static str) -> Self {
        Self::Word(word)
    }
}

impl From<&Arc<str>> for Label {
    fn from(id: &Arc<str>) -> Self {
        Self::Id(id.clone())
    }
}

/// A kind of metric: counter, gauge or histogram of integers or seconds.
pub trait Kind: Metric + Clone + 'static {
    /// The kind in the exposition.
    const TYPE: MetricType;

    /// One metric. `buckets` is for histograms.
    fn build(opts: Opts, buckets: &'static [f64]) -> Self;
}

// Names and labels are constants of this program; the test that renders all metrics checks them.
const GOOD: &str = "declared names and labels are well-formed";

impl Kind for IntCounter {
    const TYPE: MetricType = MetricType::COUNTER;

    fn build(opts: Opts, _: &'static [f64]) -> Self {
        Self::with_opts(opts).expect(GOOD)
    }
}

impl Kind for IntGauge {
    const TYPE: MetricType = MetricType::GAUGE;

    fn build(opts: Opts, _: &'static [f64]) -> Self {
        Self::with_opts(opts).expect(GOOD)
    }
}

impl Kind for Histogram {
    const TYPE: MetricType = MetricType::HISTOGRAM;

    fn build(opts: Opts, buckets: &'static [f64]) -> Self {
        let opts = HistogramOpts { common_opts: opts, buckets: buckets.to_vec() };
        Self::with_opts(opts).expect(GOOD)
    }
}

/// Takes declarations: registers each, and keeps it for the manual's table.
#[derive(Debug, Default)]
pub struct Declarations {
    /// Everything that was declared, to be gathered.
    pub registry: Registry,
    /// What was declared, in order.
    pub rows: Vec<Row>,
    /// Where workers count.
    pub tallies: CounterShards,
}

/// One declared metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Its labels' names.
    pub labels: &'static [&'static str],
    /// What it counts, and in which unit.
    pub help: &'static str,
}

impl Declarations {
    /// A counter or gauge with labels. The kind is the one that the receiving field has.
    pub fn family<const N: usize, M: Kind>(
        &mut self,
        name: &'static str,
        labels: &'static [&'static str; N],
        help: &'static str,
    ) -> Family<N, M> {
        self.histogram(name, labels, &[], help)
    }

    /// The same for a histogram with the upper bounds of its buckets.
    pub fn histogram<const N: usize, M: Kind>(
        &mut self,
        name: &'static str,
        labels: &'static [&'static str; N],
        buckets: &'static [f64],
        help: &'static str,
    ) -> Family<N, M> {
        let children = RwLock::default();
        let family =
            Family(Arc::new(Inner { desc: desc(name, labels, help), labels: *labels, buckets, children }));
        self.take::<M>(Box::new(family.clone()), name, labels, help);
        family
    }

    /// Counters that workers own.
    pub fn counters<const N: usize>(
        &mut self,
        name: &'static str,
        labels: &'static [&'static str; N],
        help: &'static str,
    ) -> Counters<N> {
        let counters =
            Counters::new(desc(name, labels, help), *labels, self.tallies.clone(), MetricType::COUNTER);
        self.take::<IntCounter>(Box::new(counters.clone()), name, labels, help);
        counters
    }

    /// A counter without labels that workers own. It is there, with 0, from the start.
    pub fn counter(&mut self, name: &'static str, help: &'static str) -> Slot {
        self.counters(name, &[], help).slot([])
    }

    /// A gauge without labels: the sum of what each worker sets. It is there, with 0, from the start.
    pub fn level(&mut self, name: &'static str, help: &'static str) -> Slot {
        let level = Counters::new(desc(name, &[], help), [], self.tallies.clone(), MetricType::GAUGE);
        self.take::<IntGauge>(Box::new(level.clone()), name, &[], help);
        level.slot([])
    }

    /// A counter of the system's.
    pub fn receive_buffers(&mut self, name: &'static str, help: &'static str) -> ReceiveBuffers {
        let labels = &["server"];
        let buffers = ReceiveBuffers::new(desc(name, labels, help));
        self.take::<IntCounter>(Box::new(buffers.clone()), name, labels, help);
        buffers
    }

    /// Histograms that workers own.
    pub fn spreads<const N: usize>(
        &mut self,
        name: &'static str,
        labels: &'static [&'static str; N],
        scale: Scale,
        help: &'static str,
    ) -> Spreads<N> {
        let spreads = Spreads::new(desc(name, labels, help), *labels, self.tallies.clone(), scale);
        self.take::<Histogram>(Box::new(spreads.clone()), name, labels, help);
        spreads
    }

    /// A counter or gauge without labels. It is there, with 0, from the start.
    pub fn single<M: Kind + Collector>(&mut self, name: &'static str, help: &'static str) -> M {
        let metric = M::build(Opts::new(name, help), &[]);
        self.take::<M>(Box::new(metric.clone()), name, &[], help);
        metric
    }

    fn take<M: Kind>(
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
        self.rows.push(Row { name, kind, labels, help });
    }
}

fn desc(name: &'static str, labels: &[&'static str], help: &'static str) -> Desc {
    let names = labels.iter().map(|label| (*label).to_owned()).collect();
    Desc::new(name.to_owned(), help.to_owned(), names, HashMap::new()).expect(GOOD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_are_found_by_values_and_never_mixed_up() {
        let mut all = Declarations::default();
        let family: Family<2, IntCounter> = all.family("test_total", &["a", "b"], "Test.");
        family.with(["x".into(), "yz".into()], |c| c.inc());
        family.with(["xy".into(), "z".into()], |c| c.inc());
        family.with([Label::Id(Arc::from("x")), "yz".into()], |c| c.inc());
        let text = prometheus::TextEncoder::new().encode_to_string(&all.registry.gather()).unwrap();
        let lines = "# HELP test_total Test.\n# TYPE test_total counter\n\
                     test_total{a=\"x\",b=\"yz\"} 2\ntest_total{a=\"xy\",b=\"z\"} 1\n";
        assert_eq!(text, lines);
    }
}
