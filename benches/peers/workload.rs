//! What is asked in which order.

use crate::data::worlds::{Question, World};
use crate::data::{Chance, REGION, SERVICES, Zipf, Zone};
use crate::setup::SetupName;
use crate::wire::{Template, Type};

/// How many forwarded names there are.
const FORWARDED: usize = 10_000;

/// How many names that do not exist.
const NOWHERE: usize = 2_000;

/// How many queries are drawn before they come again in the same order.
const DRAWN: usize = (1 << 17) - 1;

/// Of a hundred questions, those for IPv4 addresses; the others are for IPv6 addresses.
const A_IN_100: usize = 65;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, clap::ValueEnum)]
#[value(rename_all = "lower")]
pub enum Workload {
    /// 1,000 names in 10 private zones, two A records each.
    Local,
    /// 10,000 forwarded names out of a warm cache, by Zipf's law.
    Cached,
    /// 70 % cached, 20 % local, 9 % names that do not exist, 1 % names never asked before.
    Mixed,
    /// A name never asked before in each query.
    Miss,
    /// Local, over 20 TCP connections with several queries in flight each.
    Tcp,
    /// Names of interface endpoints, so that implied connections are counted. plustwo alone.
    Endpoint,
    /// Local, at half of the base's highest rate: how long answers take.
    Latency,
    /// 10,000 zones with 10 names each: start, memory, and CPU an answer.
    Scale,
    /// Data change under 10,000 queries a second.
    Reload,
    /// plustwo with one worker and with two.
    Workers,
    /// plustwo with the query log and without.
    Log,
    /// Worlds that grow in one thing alone. plustwo alone, and only where it is asked for by name.
    Growth,
    /// Name servers that do not answer. Only where it is named.
    Outage,
    /// The least that a server can do, for orientation, and what the load generator costs.
    Ceiling,
}

impl Workload {
    /// As it is written on the command line and in tables.
    pub fn name(self) -> &'static str {
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

    /// What it is, for the head of its table.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Local => "1,000 names in 10 private zones, two A records each; AAAA has no data",
            Self::Cached => "10,000 forwarded names by Zipf's law, one or two records, out of a warm cache",
            Self::Mixed => "70 % cached, 20 % local, 9 % NXDOMAIN, 1 % names never asked before",
            Self::Miss => "a name never asked before in each query",
            Self::Tcp => "local over 20 TCP connections, several queries in flight on each",
            Self::Endpoint => "names of 24 interface endpoints; implied connections are counted",
            Self::Latency => "local at a fixed rate, half of the base's highest",
            Self::Scale => "10,000 zones with 10 names each",
            Self::Reload => "10,000 names; data change under 10,000 queries a second",
            Self::Workers => "plustwo with one worker and with two, local",
            Self::Log => "plustwo with the query log to a file and without, local",
            Self::Growth => "worlds that grow in one thing alone",
            Self::Outage => "name servers that do not answer",
            Self::Ceiling => "local against recvmmsg, a canned reply, sendmmsg; the generator does not spin",
        }
    }

    /// The set-ups that suit it, the usual one first. CPU an answer needs no second one where threads do not matter.
    pub fn setups(self) -> &'static [SetupName] {
        match self {
            Self::Workers | Self::Outage => &[SetupName::Free2],
            Self::Endpoint | Self::Scale | Self::Reload | Self::Log | Self::Growth | Self::Ceiling => {
                &[SetupName::Pin1]
            }
            _ => &[SetupName::Pin1, SetupName::Free2],
        }
    }

    /// Whether the cache is filled first.
    pub fn is_warmed(self) -> bool {
        matches!(self, Self::Cached | Self::Mixed)
    }

    /// Whether answers need the name server above.
    pub fn forwards(self) -> bool {
        matches!(self, Self::Cached | Self::Mixed | Self::Miss | Self::Outage)
    }

    /// Whether the generator spins where it has a processor of its own, so that waking it is not on the
    /// server's bill. Not where the upstream shares that processor.
    pub fn spins(self) -> bool {
        matches!(self, Self::Local | Self::Cached | Self::Latency | Self::Log | Self::Growth)
    }
}

/// Queries and the order in which they are sent.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The queries.
    pub templates: Vec<Template>,
    /// Numbers of queries.
    pub order: Vec<u32>,
}

impl Plan {
    /// What a workload asks of servers that have these zones.
    pub fn new(workload: Workload, zones: &[Zone]) -> Self {
        let mut deck = Deck::default();
        let new_names = |deck: &mut Deck| deck.add_unique("new.example.com");
        let local: Vec<u32> =
            zones.iter().flat_map(|zone| &zone.hosts).map(|host| deck.add(&host.name)).collect();
        let mut chance = Chance::new(20);
        let draw_local = |chance: &mut Chance| local[chance.below(local.len())];
        let order = match workload {
            Workload::Endpoint => return endpoints(),
            Workload::Cached => {
                let (names, zipf) = (deck.add_all(forwarded()), Zipf::new(FORWARDED));
                drawn(&mut chance, |chance| names[zipf.draw(chance)])
            }
            Workload::Miss => {
                let miss = new_names(&mut deck);
                drawn(&mut chance, |_| miss)
            }
            Workload::Mixed => {
                let (names, by_name) = (deck.add_all(forwarded()), Zipf::new(FORWARDED));
                let (nowhere, by_nowhere) = (deck.add_all(nowhere()), Zipf::new(NOWHERE));
                let miss = new_names(&mut deck);
                drawn(&mut chance, |chance| match chance.below(100) {
                    0..70 => names[by_name.draw(chance)],
                    70..90 => draw_local(chance),
                    90..99 => nowhere[by_nowhere.draw(chance)],
                    _ => miss,
                })
            }
            _ => drawn(&mut chance, draw_local),
        };
        Self { templates: deck.templates, order }
    }

    /// Everything that is asked of a world, one after the other.
    pub fn of_world(world: &World) -> Self {
        let template = |question: &Question| match question.asker {
            Some(asker) => Template::on_behalf(&question.name, Type::A, asker),
            None => Template::new(&question.name, Type::A),
        };
        let templates: Vec<Template> = world.questions.iter().map(template).collect();
        let order = (0..templates.len() as u32).collect();
        Self { templates, order }
    }

    /// A name below `parent` that was never queried before, in each query.
    pub fn new_names(parent: &str) -> Self {
        let mut deck = Deck::default();
        let name = deck.add_unique(parent);
        let order = drawn(&mut Chance::new(21), |_| name);
        Self { templates: deck.templates, order }
    }

    /// The IPv4 addresses of each name in turn.
    pub fn each(names: impl Iterator<Item = String>) -> Self {
        let templates: Vec<Template> = names.map(|name| Template::new(&name, Type::A)).collect();
        let order = (0..templates.len() as u32).collect();
        Self { templates, order }
    }

    /// Every forwarded name with each type once, and every name that does not exist: fills caches.
    pub fn warming() -> Self {
        let mut deck = Deck::default();
        for name in forwarded().chain(nowhere()) {
            deck.add(&name);
        }
        let order = (0..deck.templates.len() as u32).collect();
        Self { templates: deck.templates, order }
    }
}

/// Queries in pairs: A, then AAAA.
#[derive(Default)]
struct Deck {
    templates: Vec<Template>,
}

impl Deck {
    /// Takes in a name; gives the number of its query for A.
    fn add(&mut self, name: &str) -> u32 {
        self.pair(|qtype| Template::new(name, qtype))
    }

    fn add_all(&mut self, names: impl Iterator<Item = String>) -> Vec<u32> {
        names.map(|name| self.add(&name)).collect()
    }

    /// A name below `parent` that is another in each query.
    fn add_unique(&mut self, parent: &str) -> u32 {
        self.pair(|qtype| Template::unique(parent, qtype))
    }

    fn pair(&mut self, make: impl Fn(Type) -> Template) -> u32 {
        self.templates.extend([make(Type::A), make(Type::Aaaa)]);
        self.templates.len() as u32 - 2
    }
}

/// An order by chance: the number of a name's query for A, or the one after it.
fn drawn(chance: &mut Chance, mut name: impl FnMut(&mut Chance) -> u32) -> Vec<u32> {
    let query = |_| {
        let first = name(chance);
        first + u32::from(chance.below(100) >= A_IN_100)
    };
    (0..DRAWN).map(query).collect()
}

/// The forwarded names, those asked most first; several share a parent.
fn forwarded() -> impl Iterator<Item = String> {
    (0..FORWARDED).map(|number| format!("host{}.d{}.example.net", number % 50, number * 7 % FORWARDED))
}

/// Names that the name server above does not know.
fn nowhere() -> impl Iterator<Item = String> {
    (0..NOWHERE).map(|number| format!("nx{number}.d{number}.example.org"))
}

/// The private names of the endpoints: 24 times A and 13 times AAAA, each name once with each type.
///
/// A look-up that comes again from the same port with the same ID and name counts as a retransmission. IDs
/// go up by one, and 37 has no factor in common with 65,536: the same pair comes after 2.4 million queries
/// of one socket.
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
