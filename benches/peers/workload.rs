//! Workloads: which queries are sent, and in which order.

use crate::data::worlds::{Question, World};
use crate::data::{REGION, Rng, SERVICES, Zipf, Zone};
use crate::setup::SetupName;
use crate::wire::{Template, Type};

/// Number of forwarded names.
const FORWARDED: usize = 10_000;

/// Number of names that do not exist.
const NONEXISTENT: usize = 2_000;

/// Number of random queries before the order repeats.
const ORDER_LENGTH: usize = (1 << 17) - 1;

/// Percentage of A queries; the others are AAAA queries.
const A_PERCENT: usize = 65;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, clap::ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum Workload {
    /// 1,000 names in 10 private zones, with two A records each
    Local,
    /// 10,000 forwarded names from a warm cache, by Zipf's law
    Cached,
    /// 70 % cached, 20 % local, 9 % names that do not exist, 1 % new names
    Mixed,
    /// A new name in every query
    Miss,
    /// Local, over 20 TCP connections with several queries in flight each
    Tcp,
    /// Names of interface endpoints, so that implied connections are counted; plustwo only
    Endpoint,
    /// Local, at half of the base's maximum rate: response times
    Latency,
    /// 10,000 zones with 10 names each: start-up time, memory, and CPU per answer
    Scale,
    /// Data change at 10,000 queries per second
    Reload,
    /// plustwo with one worker and with two
    Workers,
    /// plustwo with and without the query log
    Log,
    /// Configurations that grow in one dimension; plustwo only, and only if selected
    Growth,
    /// Name servers that do not answer; only if selected
    Outage,
    /// The simplest possible server, for orientation, and the cost of the load generator
    Ceiling,
}

impl Workload {
    /// Its name on the command line and in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Cached => "cached",
            Self::Mixed => "mixed",
            Self::Miss => "miss",
            Self::Tcp => "tcp",
            Self::Endpoint => "endpoint",
            Self::Latency => "latency",
            Self::Scale => "scale",
            Self::Reload => "reload",
            Self::Workers => "workers",
            Self::Log => "log",
            Self::Growth => "growth",
            Self::Outage => "outage",
            Self::Ceiling => "ceiling",
        }
    }

    /// Description for the heading of its table.
    pub(crate) fn summary(self) -> &'static str {
        match self {
            Self::Local => "1,000 names in 10 private zones, two A records each; AAAA has no data",
            Self::Cached => {
                "10,000 forwarded names with a Zipf distribution, one or two records, from a warm cache"
            }
            Self::Mixed => "70 % cached, 20 % local, 9 % NXDOMAIN, 1 % new names",
            Self::Miss => "a new name in every query",
            Self::Tcp => "local over 20 TCP connections with several queries in flight each",
            Self::Endpoint => "names of 24 interface endpoints; implied connections are counted",
            Self::Latency => "local at a fixed rate, half of the base's maximum",
            Self::Scale => "10,000 zones with 10 names each",
            Self::Reload => "10,000 names; data change at 10,000 queries per second",
            Self::Workers => "plustwo with one worker and with two, local",
            Self::Log => "plustwo with and without the query log to a file, local",
            Self::Growth => "worlds that grow in one dimension",
            Self::Outage => "name servers that do not answer",
            Self::Ceiling => "local with recvmmsg, a canned reply and sendmmsg; the generator does not spin",
        }
    }

    /// The set-ups that are suitable, the usual one first. For CPU per answer one is enough, unless the
    /// number of threads matters.
    pub(crate) fn setups(self) -> &'static [SetupName] {
        match self {
            Self::Workers | Self::Outage => &[SetupName::Free2],
            Self::Endpoint | Self::Scale | Self::Reload | Self::Log | Self::Growth | Self::Ceiling => {
                &[SetupName::Pin1]
            }
            _ => &[SetupName::Pin1, SetupName::Free2],
        }
    }

    /// Whether the cache is filled first.
    pub(crate) fn is_warmed(self) -> bool {
        matches!(self, Self::Cached | Self::Mixed)
    }

    /// Whether answers require the upstream.
    pub(crate) fn forwards(self) -> bool {
        matches!(self, Self::Cached | Self::Mixed | Self::Miss | Self::Outage)
    }

    /// Whether the generator spins if it has its own processor, so that the server spends no time on waking
    /// it. Not if the upstream shares that processor.
    pub(crate) fn spins(self) -> bool {
        matches!(self, Self::Local | Self::Cached | Self::Latency | Self::Log | Self::Growth)
    }
}

/// Queries and the order in which they are sent.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The queries.
    pub templates: Vec<Template>,
    /// Indices of queries.
    pub order: Vec<u32>,
}

impl Plan {
    /// The queries of a workload for servers with these zones.
    pub(crate) fn new(workload: Workload, zones: &[Zone]) -> Self {
        let mut queries = QuerySet::default();
        let new_names = |queries: &mut QuerySet| queries.add_unique("new.example.com");
        let local: Vec<u32> =
            zones.iter().flat_map(|zone| &zone.hosts).map(|host| queries.add(&host.name)).collect();
        let mut rng = Rng::new(20);
        let draw_local = |rng: &mut Rng| local[rng.below(local.len())];
        let order = match workload {
            Workload::Endpoint => return endpoints(),
            Workload::Cached => {
                let (names, zipf) = (queries.add_all(forwarded()), Zipf::new(FORWARDED));
                random_order(&mut rng, |rng| names[zipf.draw(rng)])
            }
            Workload::Miss => {
                let miss = new_names(&mut queries);
                random_order(&mut rng, |_| miss)
            }
            Workload::Mixed => {
                let (names, forwarded_zipf) = (queries.add_all(forwarded()), Zipf::new(FORWARDED));
                let (nonexistent, nonexistent_zipf) =
                    (queries.add_all(nonexistent()), Zipf::new(NONEXISTENT));
                let miss = new_names(&mut queries);
                random_order(&mut rng, |rng| match rng.below(100) {
                    0..70 => names[forwarded_zipf.draw(rng)],
                    70..90 => draw_local(rng),
                    90..99 => nonexistent[nonexistent_zipf.draw(rng)],
                    _ => miss,
                })
            }
            _ => random_order(&mut rng, draw_local),
        };
        Self { templates: queries.templates, order }
    }

    /// Each query of a world once, in order.
    pub(crate) fn of_world(world: &World) -> Self {
        let template = |question: &Question| match question.client_subnet {
            Some(client_subnet) => Template::with_client_subnet(&question.name, Type::A, client_subnet),
            None => Template::new(&question.name, Type::A),
        };
        let templates: Vec<Template> = world.questions.iter().map(template).collect();
        let order = (0..templates.len() as u32).collect();
        Self { templates, order }
    }

    /// A new name below `parent` in every query.
    pub(crate) fn new_names(parent: &str) -> Self {
        let mut queries = QuerySet::default();
        let name = queries.add_unique(parent);
        let order = random_order(&mut Rng::new(21), |_| name);
        Self { templates: queries.templates, order }
    }

    /// An A query for each name, in order.
    pub(crate) fn each(names: impl Iterator<Item = String>) -> Self {
        let templates: Vec<Template> = names.map(|name| Template::new(&name, Type::A)).collect();
        let order = (0..templates.len() as u32).collect();
        Self { templates, order }
    }

    /// Each forwarded name and each name that does not exist, once per type: fills the caches.
    pub(crate) fn warming() -> Self {
        let mut queries = QuerySet::default();
        for name in forwarded().chain(nonexistent()) {
            queries.add(&name);
        }
        let order = (0..queries.templates.len() as u32).collect();
        Self { templates: queries.templates, order }
    }
}

/// Queries in pairs: A, then AAAA.
#[derive(Default)]
struct QuerySet {
    templates: Vec<Template>,
}

impl QuerySet {
    /// Adds a name and returns the index of its A query.
    fn add(&mut self, name: &str) -> u32 {
        self.pair(|qtype| Template::new(name, qtype))
    }

    fn add_all(&mut self, names: impl Iterator<Item = String>) -> Vec<u32> {
        names.map(|name| self.add(&name)).collect()
    }

    /// Adds a name below `parent` that is different in every query.
    fn add_unique(&mut self, parent: &str) -> u32 {
        self.pair(|qtype| Template::unique(parent, qtype))
    }

    fn pair(&mut self, make: impl Fn(Type) -> Template) -> u32 {
        self.templates.extend([make(Type::A), make(Type::Aaaa)]);
        self.templates.len() as u32 - 2
    }
}

/// A random order. `name` returns the index of a name's A query; the AAAA query follows it.
fn random_order(rng: &mut Rng, mut name: impl FnMut(&mut Rng) -> u32) -> Vec<u32> {
    let query = |_| {
        let first = name(rng);
        first + u32::from(rng.below(100) >= A_PERCENT)
    };
    (0..ORDER_LENGTH).map(query).collect()
}

/// The forwarded names, the most frequent first. Several share a parent.
fn forwarded() -> impl Iterator<Item = String> {
    (0..FORWARDED).map(|number| format!("host{}.d{}.example.net", number % 50, number * 7 % FORWARDED))
}

/// Names that do not exist according to the upstream.
fn nonexistent() -> impl Iterator<Item = String> {
    (0..NONEXISTENT).map(|number| format!("nx{number}.d{number}.example.org"))
}

/// The private names of the endpoints: 24 A queries and 13 AAAA queries, each name at most once per type.
///
/// A repeated lookup from the same port with the same ID and name counts as a retransmission. IDs increase by
/// one, and 37 and 65,536 have no common factor: the same pair repeats after 2.4 million queries of one
/// socket.
fn endpoints() -> Plan {
    let name = |service: &str| format!("{service}.{REGION}.amazonaws.com");
    let mut templates = Vec::new();
    for (number, service) in SERVICES.iter().enumerate() {
        templates.push(Template::new(&name(service), Type::A));
        if number < 13 {
            templates.push(Template::new(&name(service), Type::Aaaa));
        }
    }
    let order = (0..templates.len() as u32).collect();
    Plan { templates, order }
}
