//! Rounds: all servers in order, then in reverse order, so that a slow phase of the machine affects all of
//! them.

use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::data;
use crate::generator::Load;
use crate::in_flight::{LoadEnd, LoadResult, Pace, REPLY_TIMEOUT, Serials};
use crate::machine::Ports;
use crate::metrics::differences;
use crate::peers::{Data, Kind};
use crate::process::Cleanup;
use crate::report::{Figures, Record};
use crate::server::{Participant, Placement, Server};
use crate::setup::Setup;
use crate::stream;
use crate::workload::{Plan, Workload};

/// Time limit for the first answer of a server.
pub(crate) const START: Duration = Duration::from_secs(120);

/// Queries per second while data changes, and for how long.
const RELOAD_RATE: f64 = 10_000.0;
const RELOAD_TIME: Duration = Duration::from_secs(8);

/// When the server is notified, after the start of the load.
const RELOAD_AFTER: Duration = Duration::from_secs(2);

/// State shared by all rounds.
#[derive(Debug)]
pub(crate) struct Bench {
    /// Ends all servers when the benchmark ends.
    pub cleanup: Cleanup,
    /// Free ports.
    pub ports: Ports,
    /// Serial numbers for new names.
    pub serials: Serials,
    /// The servers, the base first.
    pub kinds: Vec<Kind>,
    /// The server that the others are compared with.
    pub base: Kind,
    /// Number of rounds.
    pub rounds: usize,
    /// How long a server is loaded in each round.
    pub time: Duration,
}

/// Where a workload runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Environment<'s> {
    /// The set-up.
    pub setup: &'s Setup,
    /// The port of the upstream.
    pub upstream: u16,
}

impl Bench {
    /// Measures a workload, and passes on each record when it is complete.
    pub(crate) fn run(
        &mut self,
        environment: Environment<'_>,
        workload: Workload,
        each: &mut dyn FnMut(Record),
    ) -> io::Result<()> {
        match workload {
            Workload::Scale => self.scale(environment, each),
            Workload::Reload => self.reload(environment, each),
            _ => self.alternate(environment, workload, each),
        }
    }

    /// The servers of a workload, the base first.
    fn participants(&self, setup: &Setup, workload: Workload) -> Vec<Participant> {
        let plustwo = |threads| Participant::new(Kind::Plustwo, threads);
        let called = |label: &str, participant| Participant { label: label.to_owned(), ..participant };
        match workload {
            Workload::Endpoint => vec![plustwo(setup.threads)],
            Workload::Ceiling => vec![Participant::new(Kind::Ceiling, 1)],
            Workload::Workers => {
                vec![called("plustwo, 1 worker", plustwo(1)), called("plustwo, 2 workers", plustwo(2))]
            }
            Workload::Log => {
                let log = Participant { query_log: true, ..plustwo(setup.threads) };
                vec![plustwo(setup.threads), called("plustwo, query log", log)]
            }
            _ => {
                let kinds = self.kinds.iter().filter(|kind| kind.supports(workload));
                kinds.map(|kind| Participant::new(*kind, setup.threads)).collect()
            }
        }
    }

    /// Starts a server.
    pub(crate) fn start<'d>(
        &mut self,
        environment: Environment<'_>,
        participant: Participant,
        data: Data<'d>,
    ) -> io::Result<Server<'d>> {
        let placement = Placement {
            cpu: environment.setup.server_cpu,
            upstream: environment.upstream,
            cleanup: &self.cleanup,
        };
        Server::start(participant, placement, data, &mut self.ports)
    }

    /// Loads the servers in turn while all of them are running.
    fn alternate(
        &mut self,
        environment: Environment<'_>,
        workload: Workload,
        each: &mut dyn FnMut(Record),
    ) -> io::Result<()> {
        let zones = data::zones(10, 100);
        let plan = Plan::new(workload, &zones);
        let participants = self.participants(environment.setup, workload);
        let mut servers = Vec::new();
        for participant in participants {
            let server = self.start(environment, participant, Data::Zones(&zones)).and_then(|mut server| {
                server.wait_for(&zones[9].hosts[99].name, START)?;
                Ok(server)
            });
            match server {
                Ok(server) => servers.push(server),
                Err(error) => eprintln!("skipped: {error}"),
            }
        }
        if workload.is_warmed() {
            let warming = Plan::warming();
            servers.iter().try_for_each(|server| self.warm(environment.setup, &warming, server))?;
        }
        let pace = match workload {
            Workload::Latency => Pace::Rate(self.peak(environment.setup, &plan, &servers)? / 2.0),
            Workload::Tcp => Pace::Outstanding(stream::CONNECTIONS * stream::IN_FLIGHT),
            _ => Pace::Outstanding(environment.setup.outstanding),
        };
        for round in 0..self.rounds {
            let turns = 0..servers.len();
            let turns: Vec<usize> = if round % 2 == 0 { turns.collect() } else { turns.rev().collect() };
            for server in turns.into_iter().map(|at| &servers[at]) {
                let figures = self.measure(environment.setup, workload, &plan, pace, server)?;
                each(Record::new(environment.setup, workload, &server.participant, round, figures));
            }
        }
        Ok(())
    }

    /// Fills the cache of a server. Twice, because queries may be lost, and because plustwo's packet cache
    /// inserts a reply for the second query.
    pub(crate) fn warm(&self, setup: &Setup, plan: &Plan, server: &Server<'_>) -> io::Result<()> {
        let mut result = LoadResult::default();
        for _ in 0..2 {
            let load = self.load(setup, plan, server, Pace::Outstanding(48), LoadEnd::Once);
            result = load.run()?;
        }
        if result.lost > 0 || result.rcodes[2] > 0 {
            let label = &server.participant.label;
            eprintln!(
                "{label}: {} queries lost and {} failed while the cache was filled",
                result.lost, result.rcodes[2]
            );
        }
        Ok(())
    }

    /// The maximum rate of the base, or of the first server if the base does not take part.
    fn peak(&self, setup: &Setup, plan: &Plan, servers: &[Server<'_>]) -> io::Result<f64> {
        let base = servers.iter().find(|server| server.participant.kind == self.base).or(servers.first());
        let Some(base) = base else { return Ok(1.0) };
        let pace = Pace::Outstanding(setup.outstanding);
        let result = self.load(setup, plan, base, pace, LoadEnd::Time(self.time)).run()?;
        Ok(result.answered as f64 / result.seconds)
    }

    /// A load on a server, with the sockets of the set-up.
    pub(crate) fn load<'l>(
        &'l self,
        setup: &Setup,
        plan: &'l Plan,
        server: &Server<'_>,
        pace: Pace,
        until: LoadEnd,
    ) -> Load<'l> {
        Load {
            plan,
            serials: &self.serials,
            server: server.address(),
            sockets: setup.sockets,
            separate_addresses: false,
            pace,
            until,
            spins: false,
            cpu: setup.generator_cpu,
            reply_timeout: REPLY_TIMEOUT,
            fresh: None,
        }
    }

    /// Loads a server once.
    pub(crate) fn measure(
        &self,
        setup: &Setup,
        workload: Workload,
        plan: &Plan,
        pace: Pace,
        server: &Server<'_>,
    ) -> io::Result<Figures> {
        let mut load = self.load(setup, plan, server, pace, LoadEnd::Time(self.time));
        load.spins = workload.spins() && setup.generator_cpu.is_some();
        let run = || match workload {
            Workload::Tcp => stream::run(&Load { sockets: stream::CONNECTIONS, ..load.clone() }),
            _ => load.run(),
        };
        let ([result], cpu) = run_checked(server, || Ok([run()?]))?;
        let mut figures = Figures::new(&result, cpu);
        figures.rss_mib = server.memory_mib();
        figures.generator_us =
            (!load.spins).then(|| result.generator_cpu * 1e6 / result.answered.max(1) as f64);
        if let Pace::Rate(rate) = pace {
            figures.rate = Some(rate);
        }
        Ok(figures)
    }

    /// Measures each server separately, started again for each round.
    fn scale(&mut self, environment: Environment<'_>, each: &mut dyn FnMut(Record)) -> io::Result<()> {
        let zones = data::zones(10_000, 10);
        let plan = Plan::new(Workload::Scale, &zones);
        for round in 0..self.rounds {
            for participant in self.participants(environment.setup, Workload::Scale) {
                let mut server = self.start(environment, participant, Data::Zones(&zones))?;
                let started = match server.wait_for(&zones[9_999].hosts[9].name, START) {
                    Ok(started) => started,
                    Err(error) => {
                        eprintln!("skipped: {error}");
                        continue;
                    }
                };
                let memory = server.memory_mib();
                let pace = Pace::Outstanding(environment.setup.outstanding);
                let figures = self.measure(environment.setup, Workload::Scale, &plan, pace, &server)?;
                let figures = Figures { start_s: Some(started.as_secs_f64()), rss_mib: memory, ..figures };
                each(Record::new(environment.setup, Workload::Scale, &server.participant, round, figures));
            }
        }
        Ok(())
    }

    /// Measures each server separately, started again for each round. Its data changes under load.
    fn reload(&mut self, environment: Environment<'_>, each: &mut dyn FnMut(Record)) -> io::Result<()> {
        let zones = data::zones(10, 1_000);
        let changed = data::changed(&zones);
        let plan = Plan::new(Workload::Reload, &zones);
        for round in 0..self.rounds {
            for participant in self.participants(environment.setup, Workload::Reload) {
                let mut server = self.start(environment, participant, Data::Zones(&zones))?;
                if let Err(error) = server.wait_for(&zones[9].hosts[999].name, START) {
                    eprintln!("skipped: {error}");
                    continue;
                }
                server.rewrite(&changed)?;
                let load = self.load(
                    environment.setup,
                    &plan,
                    &server,
                    Pace::Rate(RELOAD_RATE),
                    LoadEnd::Time(RELOAD_TIME),
                );
                let name = data::fresh_name(&zones[9]);
                let (result, fresh) = thread::scope(|scope| {
                    let (sender, notified) = mpsc::channel();
                    let server = &server;
                    let name = &name;
                    scope.spawn(move || sender.send(reload_after(server, name)));
                    (load.run(), notified.recv())
                });
                // Queries for the new name are counted in addition to the load, so counters and CPU time are
                // not compared.
                let result = result?;
                if server.participant.kind == Kind::Plustwo && result.unannotated > 0 {
                    return Err(io::Error::other(format!(
                        "{} replies have no annotated egress path",
                        result.unannotated
                    )));
                }
                let mut figures = Figures::new(&result, 0.0);
                figures.cpu_us = None;
                figures.server_cpu = None;
                figures.rate = Some(RELOAD_RATE);
                figures.rss_mib = server.memory_mib();
                figures.fresh_s = fresh.map_err(io::Error::other)??;
                each(Record::new(environment.setup, Workload::Reload, &server.participant, round, figures));
            }
        }
        Ok(())
    }
}

/// Notifies a server after a while that its data has changed. Returns the number of seconds until it served
/// the new name, or `None` if it never did.
fn reload_after(server: &Server<'_>, name: &str) -> io::Result<Option<f64>> {
    thread::sleep(RELOAD_AFTER);
    let notified = Instant::now();
    server.reload()?;
    while notified.elapsed() < RELOAD_TIME - RELOAD_AFTER {
        if server.has_address(name) {
            return Ok(Some(notified.elapsed().as_secs_f64()));
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(None)
}

/// Runs loads and checks the replies, for plustwo also against its own counters. Returns the results and the
/// processor seconds used by the server.
pub(crate) fn run_checked<const LOADS: usize>(
    server: &Server<'_>,
    run: impl Fn() -> io::Result<[LoadResult; LOADS]>,
) -> io::Result<([LoadResult; LOADS], f64)> {
    let before = server.metrics()?;
    let cpu = server.cpu_seconds();
    let results = run()?;
    let cpu = server.cpu_seconds() - cpu;
    let mut result = LoadResult::default();
    results.iter().for_each(|one| result.add_replies(one));
    let label = &server.participant.label;
    if result.answered == 0 {
        return Err(io::Error::other(format!("{label} did not answer")));
    }
    // A reply that arrives after its query was given up also matches no query.
    if result.bad > result.lost {
        return Err(io::Error::other(format!("{label} sent {} replies that match no query", result.bad)));
    }
    if let (Some(before), Some(after)) = (before, server.metrics()?) {
        let found = differences(&before, &after, &result);
        if !found.is_empty() {
            return Err(io::Error::other(format!("{label}: {}", found.join("; "))));
        }
    }
    Ok((results, cpu))
}
