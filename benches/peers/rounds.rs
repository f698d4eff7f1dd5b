//! Rounds: every server one after the other, forwards, then backwards, so that a slow minute of the machine
//! is a slow minute of all.

use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::data;
use crate::flight::{PATIENCE, Pace, Serials, Tally, Until};
use crate::generator::Load;
use crate::machine::Ports;
use crate::metrics::differences;
use crate::peers::{Data, Kind};
use crate::process::Brood;
use crate::report::{Figures, Record};
use crate::server::{Contestant, Server, Stand};
use crate::setup::Setup;
use crate::stream;
use crate::workload::{Plan, Workload};

/// How long a server may take until it answers.
pub const START: Duration = Duration::from_secs(120);

/// Queries a second while data change, and for how long.
const RELOAD_RATE: f64 = 10_000.0;
const RELOAD_TIME: Duration = Duration::from_secs(8);

/// How long after the start of the load the server is told.
const RELOAD_AFTER: Duration = Duration::from_secs(2);

/// What all rounds share.
#[derive(Debug)]
pub struct Bench {
    /// Ends every server when the benchmark is ended.
    pub brood: Brood,
    /// Ports that are free.
    pub ports: Ports,
    /// Numbers for new names.
    pub serials: Serials,
    /// Kinds of servers that take part; the base first.
    pub kinds: Vec<Kind>,
    /// Whom the others are compared with.
    pub base: Kind,
    /// How many rounds.
    pub rounds: usize,
    /// How long a server is loaded in each.
    pub time: Duration,
}

/// Where a workload runs.
#[derive(Clone, Copy, Debug)]
pub struct Site<'s> {
    /// Who stays on which processor.
    pub setup: &'s Setup,
    /// The port of the name server above.
    pub upstream: u16,
}

impl Bench {
    /// Measures a workload; gives each record as it comes.
    pub fn run(
        &mut self,
        site: Site<'_>,
        workload: Workload,
        each: &mut dyn FnMut(Record),
    ) -> io::Result<()> {
        match workload {
            Workload::Scale => self.scale(site, each),
            Workload::Reload => self.reload(site, each),
            _ => self.alternate(site, workload, each),
        }
    }

    /// Who takes part in a workload, whom the others are compared with first.
    fn contestants(&self, setup: &Setup, workload: Workload) -> Vec<Contestant> {
        let plustwo = |threads| Contestant::new(Kind::Plustwo, threads);
        let called = |label: &str, contestant| Contestant { label: label.to_owned(), ..contestant };
        match workload {
            Workload::Endpoint => vec![plustwo(setup.threads)],
            Workload::Ceiling => vec![Contestant::new(Kind::Ceiling, 1)],
            Workload::Workers => {
                vec![called("plustwo, 1 worker", plustwo(1)), called("plustwo, 2 workers", plustwo(2))]
            }
            Workload::Log => {
                let log = Contestant { query_log: true, ..plustwo(setup.threads) };
                vec![plustwo(setup.threads), called("plustwo, query log", log)]
            }
            _ => {
                let kinds = self.kinds.iter().filter(|kind| kind.takes_part(workload));
                kinds.map(|kind| Contestant::new(*kind, setup.threads)).collect()
            }
        }
    }

    /// Starts a server.
    pub fn start<'d>(
        &mut self,
        site: Site<'_>,
        contestant: Contestant,
        data: Data<'d>,
    ) -> io::Result<Server<'d>> {
        let stand = Stand { cpu: site.setup.server_cpu, upstream: site.upstream, brood: &self.brood };
        Server::start(contestant, stand, data, &mut self.ports)
    }

    /// All servers run; each is loaded in its turn.
    fn alternate(
        &mut self,
        site: Site<'_>,
        workload: Workload,
        each: &mut dyn FnMut(Record),
    ) -> io::Result<()> {
        let zones = data::zones(10, 100);
        let plan = Plan::new(workload, &zones);
        let contestants = self.contestants(site.setup, workload);
        let mut servers = Vec::new();
        for contestant in contestants {
            let server = self.start(site, contestant, Data::Zones(&zones)).and_then(|mut server| {
                server.wait_for(&zones[9].hosts[99].name, START)?;
                Ok(server)
            });
            match server {
                Ok(server) => servers.push(server),
                Err(error) => eprintln!("left out: {error}"),
            }
        }
        if workload.is_warmed() {
            let warming = Plan::warming();
            servers.iter().try_for_each(|server| self.warm(site.setup, &warming, server))?;
        }
        let pace = match workload {
            Workload::Latency => Pace::Rate(self.peak(site.setup, &plan, &servers)? / 2.0),
            Workload::Tcp => Pace::Outstanding(stream::CONNECTIONS * stream::IN_FLIGHT),
            _ => Pace::Outstanding(site.setup.outstanding),
        };
        for round in 0..self.rounds {
            let turns = 0..servers.len();
            let turns: Vec<usize> = if round % 2 == 0 { turns.collect() } else { turns.rev().collect() };
            for server in turns.into_iter().map(|at| &servers[at]) {
                let figures = self.measure(site.setup, workload, &plan, pace, server)?;
                each(Record::new(site.setup, workload, &server.contestant, round, figures));
            }
        }
        Ok(())
    }

    /// Fills a server's cache. Twice: what was lost on the way is asked for again, and plustwo keeps a reply from the
    /// second time on.
    pub fn warm(&self, setup: &Setup, plan: &Plan, server: &Server<'_>) -> io::Result<()> {
        let mut shard = Tally::default();
        for _ in 0..2 {
            let load = self.load(setup, plan, server, Pace::Outstanding(48), Until::Once);
            shard = load.run()?;
        }
        if shard.dropped_at > 0 || shard.rcodes[2] > 0 {
            let label = &server.contestant.label;
            eprintln!("{label}: {} queries lost and {} failed while warming", shard.dropped_at, shard.rcodes[2]);
        }
        Ok(())
    }

    /// The highest rate of the base; of the first server, where the base does not take part.
    fn peak(&self, setup: &Setup, plan: &Plan, servers: &[Server<'_>]) -> io::Result<f64> {
        let base = servers.iter().find(|server| server.contestant.kind == self.base).or(servers.first());
        let Some(base) = base else { return Ok(1.0) };
        let pace = Pace::Outstanding(setup.outstanding);
        let shard = self.load(setup, plan, base, pace, Until::Time(self.time)).run()?;
        Ok(shard.answered as f64 / shard.seconds)
    }

    /// A load on a server, from the sockets of the set-up.
    pub fn load<'l>(
        &'l self,
        setup: &Setup,
        plan: &'l Plan,
        server: &Server<'_>,
        pace: Pace,
        until: Until,
    ) -> Load<'l> {
        Load {
            plan,
            serials: &self.serials,
            server: server.address(),
            sockets: setup.sockets,
            are_clients: false,
            pace,
            until,
            spins: false,
            cpu: setup.generator_cpu,
            patience: PATIENCE,
            fresh: None,
        }
    }

    /// Loads one server once.
    pub fn measure(
        &self,
        setup: &Setup,
        workload: Workload,
        plan: &Plan,
        pace: Pace,
        server: &Server<'_>,
    ) -> io::Result<Figures> {
        let mut load = self.load(setup, plan, server, pace, Until::Time(self.time));
        load.spins = workload.spins() && setup.generator_cpu.is_some();
        let run = || match workload {
            Workload::Tcp => stream::run(&Load { sockets: stream::CONNECTIONS, ..load.clone() }),
            _ => load.run(),
        };
        let ([shard], cpu) = watched(server, || Ok([run()?]))?;
        let mut figures = Figures::new(&shard, cpu);
        figures.rss_mib = server.memory_mib();
        figures.generator_us =
            (!load.spins).then(|| shard.generator_cpu * 1e6 / shard.answered.max(1) as f64);
        if let Pace::Rate(rate) = pace {
            figures.rate = Some(rate);
        }
        Ok(figures)
    }

    /// Each server alone, started for each round.
    fn scale(&mut self, site: Site<'_>, each: &mut dyn FnMut(Record)) -> io::Result<()> {
        let zones = data::zones(10_000, 10);
        let plan = Plan::new(Workload::Scale, &zones);
        for round in 0..self.rounds {
            for contestant in self.contestants(site.setup, Workload::Scale) {
                let mut server = self.start(site, contestant, Data::Zones(&zones))?;
                let started = match server.wait_for(&zones[9_999].hosts[9].name, START) {
                    Ok(started) => started,
                    Err(error) => {
                        eprintln!("left out: {error}");
                        continue;
                    }
                };
                let memory = server.memory_mib();
                let pace = Pace::Outstanding(site.setup.outstanding);
                let figures = self.measure(site.setup, Workload::Scale, &plan, pace, &server)?;
                let figures = Figures { start_s: Some(started.as_secs_f64()), rss_mib: memory, ..figures };
                each(Record::new(site.setup, Workload::Scale, &server.contestant, round, figures));
            }
        }
        Ok(())
    }

    /// Each server alone, started for each round: its data change under load.
    fn reload(&mut self, site: Site<'_>, each: &mut dyn FnMut(Record)) -> io::Result<()> {
        let zones = data::zones(10, 1_000);
        let changed = data::changed(&zones);
        let plan = Plan::new(Workload::Reload, &zones);
        for round in 0..self.rounds {
            for contestant in self.contestants(site.setup, Workload::Reload) {
                let mut server = self.start(site, contestant, Data::Zones(&zones))?;
                if let Err(error) = server.wait_for(&zones[9].hosts[999].name, START) {
                    eprintln!("left out: {error}");
                    continue;
                }
                server.rewrite(&changed)?;
                let load =
                    self.load(site.setup, &plan, &server, Pace::Rate(RELOAD_RATE), Until::Time(RELOAD_TIME));
                let name = data::fresh_name(&zones[9]);
                let (shard, fresh) = thread::scope(|scope| {
                    let (tell, told) = mpsc::channel();
                    let server = &server;
                    let name = &name;
                    scope.spawn(move || tell.send(reload_after(server, name)));
                    (load.run(), told.recv())
                });
                // Questions for the new name are counted beside the load's, so counters and CPU are not held to it.
                let shard = shard?;
                if server.contestant.kind == Kind::Plustwo && shard.untold > 0 {
                    return Err(io::Error::other(format!("{} replies tell no way out", shard.untold)));
                }
                let mut figures = Figures::new(&shard, 0.0);
                figures.cpu_us = None;
                figures.server_cpu = None;
                figures.rate = Some(RELOAD_RATE);
                figures.rss_mib = server.memory_mib();
                figures.fresh_s = fresh.map_err(io::Error::other)??;
                each(Record::new(site.setup, Workload::Reload, &server.contestant, round, figures));
            }
        }
        Ok(())
    }
}

/// Tells a server that its data changed, after a while; how many seconds it took until it had the new name.
/// `None`: it never did.
fn reload_after(server: &Server<'_>, name: &str) -> io::Result<Option<f64>> {
    thread::sleep(RELOAD_AFTER);
    let told = Instant::now();
    server.reload()?;
    while told.elapsed() < RELOAD_TIME - RELOAD_AFTER {
        if server.has_address(name) {
            return Ok(Some(told.elapsed().as_secs_f64()));
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(None)
}

/// Runs loads and checks what they received, against the server's own counters too where it is ours; with the
/// processor seconds that the server took.
pub fn watched<const LOADS: usize>(
    server: &Server<'_>,
    run: impl Fn() -> io::Result<[Tally; LOADS]>,
) -> io::Result<([Tally; LOADS], f64)> {
    let before = server.metrics()?;
    let cpu = server.cpu_seconds();
    let tallies = run()?;
    let cpu = server.cpu_seconds() - cpu;
    let mut shard = Tally::default();
    tallies.iter().for_each(|one| shard.add_replies(one));
    let label = &server.contestant.label;
    if shard.answered == 0 {
        return Err(io::Error::other(format!("{label} answered nothing")));
    }
    // A reply to what was given up already fits nothing either.
    if shard.bad > shard.dropped_at {
        return Err(io::Error::other(format!("{label} sent {} replies that fit no question", shard.bad)));
    }
    if let (Some(before), Some(after)) = (before, server.metrics()?) {
        let found = differences(&before, &after, &shard);
        if !found.is_empty() {
            return Err(io::Error::other(format!("{label}: {}", found.join("; "))));
        }
    }
    Ok((tallies, cpu))
}
