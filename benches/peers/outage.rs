//! Name servers that do not answer: the effect on other names, and on names whose cached answers have
//! expired.
//!
//! ```text
//!  dead target    from a cold start: new names of a zone whose name server never answers, at three rates, together
//!                 with new names of a zone whose name server answers
//!
//!  expired names  cached, then  ── upstream silent ── TTL expires ── queried ── upstream answers again ── queried
//! ```
//!
//! Servers are measured one after the other and started again for each part; the others are idle meanwhile.

use std::fmt::Write;
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::thread;
use std::time::Duration;

use serde::Serialize;

use crate::data::{self, Zone};
use crate::generator::Load;
use crate::histogram::Histogram;
use crate::in_flight::{LoadEnd, LoadResult, Pace};
use crate::machine::udp_drops;
use crate::peers::{DEAD_ZONE, Data, Kind, LIVING_ZONE, Outage};
use crate::report::{median, number};
use crate::rounds::{Bench, Environment, START, run_checked};
use crate::server::{Participant, Server};
use crate::setup::Setup;
use crate::upstream::{self, SHORT_TTL, UpstreamSwitch};
use crate::workload::{Plan, Workload};

/// Queries per second for new names of the zone whose name server never answers.
const DEAD_RATES: [f64; 3] = [1500.0, 3000.0, 6000.0];

/// Queries per second for new names of the zone whose name server answers.
const LIVING_RATE: f64 = 1000.0;

/// How long both are queried.
const DEAD_TIME: Duration = Duration::from_secs(12);

/// Number of names that are cached and expire.
const EXPIRED_NAMES: usize = 200;

/// Queries per second for them.
const EXPIRED_RATE: f64 = 5000.0;

/// How long they are queried while the upstream is silent.
const EXPIRED_TIME: Duration = Duration::from_secs(16);

/// How long they are queried at most after the upstream answers again.
const RETURN_TIME: Duration = Duration::from_secs(30);

/// How long a stub resolver waits for a reply (resolv.conf(5), `timeout`).
const STUB_TIMEOUT: Duration = Duration::from_secs(5);

/// Sockets of each load, each with its own address, so that none reaches a server's per-client limit
/// (Unbound: 1,000 waiting replies, `wait-limit`).
const SOCKETS: usize = 16;

/// The part with a dead target.
const DEAD_TARGET: &str = "dead target";

/// The part with expired names.
const EXPIRED: &str = "expired names";

/// The result of one server in one part.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Record {
    /// The name of the set-up.
    pub setup: &'static str,
    /// The name of the workload.
    pub workload: &'static str,
    /// The part.
    pub part: &'static str,
    /// The server.
    pub server: String,
    /// The number of the round, counted from 0.
    pub round: usize,
    /// Queries per second to the dead name server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_rate: Option<f64>,
    /// The queries that can be answered with data.
    pub living: Figures,
    /// The queries to the dead name server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead: Option<Figures>,
    /// Seconds from the time when the upstream answered again to the first fresh answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_fresh_s: Option<f64>,
    /// Seconds from the time when the upstream answered again to the last stale answer; infinite if they did
    /// not end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_stale_s: Option<f64>,
    /// Processor seconds of the server per second.
    pub server_cpu: f64,
    /// Queries that the kernel dropped because the server's socket was full.
    pub dropped_by_server: u64,
    /// Replies that the kernel dropped because a socket of the generator was full.
    pub dropped_by_generator: u64,
}

/// The figures of one load. Shares are relative to all queries. Times include all queries: one without a
/// matching reply counts as longer than all others, and a quantile that falls on one is infinite.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    /// Queries per second that were sent.
    pub rate: f64,
    /// Queries sent.
    pub sent: u64,
    /// The share with a reply of NOERROR with an address.
    pub data: f64,
    /// The share with any reply.
    pub replied: f64,
    /// The share with SERVFAIL.
    pub servfail: f64,
    /// The lowest share with data of any second.
    pub worst_second: f64,
    /// The share with data in each second.
    pub by_second: Vec<f64>,
    /// The median time, in milliseconds.
    pub p50_ms: f64,
    /// The 99th percentile of the times, in milliseconds.
    pub p99_ms: f64,
}

impl Figures {
    /// Figures whose times are those of replies with data.
    fn of_data(result: &LoadResult) -> Self {
        Self::of(result, &result.data_times)
    }

    /// Figures whose times are those of all replies.
    fn of_replies(result: &LoadResult) -> Self {
        Self::of(result, &result.times)
    }

    fn of(result: &LoadResult, times: &Histogram) -> Self {
        let sent = result.sent.max(1);
        let share = |count: u64| count as f64 / sent as f64;
        let data: u64 = result.by_second.iter().map(|[data, _]| data).sum();
        let in_second = |[data, others]: &[u64; 2]| *data as f64 / (data + others).max(1) as f64;
        let whole = (result.seconds as usize).max(1);
        let by_second: Vec<f64> = result.by_second.iter().take(whole).map(in_second).collect();
        Self {
            rate: result.sent as f64 / result.seconds,
            sent: result.sent,
            data: share(data),
            replied: share(result.answered),
            servfail: share(result.rcodes[2]),
            worst_second: by_second.iter().copied().fold(1.0, f64::min),
            by_second,
            p50_ms: times.quantile_of(0.5, sent) / 1e3,
            p99_ms: times.quantile_of(0.99, sent) / 1e3,
        }
    }
}

impl Record {
    /// The record as one line, for standard error.
    pub(crate) fn line(&self) -> String {
        let Self { setup, part, server, round, living, .. } = self;
        let mut line = format!("{setup} outage, {part}, round {}, {server}", round + 1);
        let _ = write!(
            line,
            ": {} with data, {} in the worst second, p99 {} ms, {} without a reply",
            percent(living.data),
            percent(living.worst_second),
            time(living.p99_ms),
            percent(1.0 - living.replied)
        );
        if let (Some(dead), Some(rate)) = (&self.dead, self.dead_rate) {
            let _ = write!(
                line,
                "; dead at {:.0} of {rate:.0}/s: {} replied, p99 {} ms",
                dead.rate,
                percent(dead.replied),
                time(dead.p99_ms)
            );
        }
        if let (Some(first), Some(last)) = (self.first_fresh_s, self.last_stale_s) {
            let _ = write!(line, "; first fresh answer after {first:.1} s, last stale one after {last:.1} s");
        }
        let _ = write!(
            line,
            "; sent {:.0}/s, server CPU {:.2}, dropped at the server's socket {}, at the generator's {}",
            living.rate, self.server_cpu, self.dropped_by_server, self.dropped_by_generator
        );
        line
    }
}

/// The name servers of this workload, which can be made to fail.
struct NameServers {
    /// Never answers. It stays bound, so that no ICMP error is sent.
    dead: UdpSocket,
    /// The port of the other one.
    port: u16,
    switch: std::sync::Arc<UpstreamSwitch>,
}

impl Bench {
    /// Measures both parts, and passes on each record when it is complete.
    pub(crate) fn outage(
        &mut self,
        environment: Environment<'_>,
        each: &mut dyn FnMut(Record),
    ) -> io::Result<()> {
        let (port, switch) = upstream::start_switched(environment.setup.generator_cpu)?;
        let dead = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let servers = NameServers { dead, port, switch };
        let environment = Environment { upstream: servers.port, ..environment };
        let zones = data::zones(1, 1);
        for round in 0..self.rounds {
            for rate in DEAD_RATES {
                for participant in self.participants_of_round(environment.setup, &servers, &[None], round)? {
                    servers.switch.restore();
                    let server = self.start_and_wait(environment, participant, &zones)?;
                    each(self.dead_target(environment.setup, &server, rate, round)?);
                }
            }
            for participant in
                self.participants_of_round(environment.setup, &servers, &[None, Some(1800)], round)?
            {
                servers.switch.restore();
                let server = self.start_and_wait(environment, participant, &zones)?;
                each(self.expired(environment.setup, &server, &servers.switch, round)?);
            }
        }
        Ok(())
    }

    /// The servers of a round, in reverse order in every other round. Unbound occurs once for each
    /// value of `stale_after_ms`.
    fn participants_of_round(
        &self,
        setup: &Setup,
        servers: &NameServers,
        stale_after_ms: &[Option<u32>],
        round: usize,
    ) -> io::Result<Vec<Participant>> {
        let dead = servers.dead.local_addr()?.port();
        let mut participants = Vec::new();
        for kind in self.kinds.iter().filter(|kind| kind.supports(Workload::Outage)) {
            let variants = if *kind == Kind::Unbound { stale_after_ms } else { &[None] };
            for stale_after_ms in variants.iter().copied() {
                let participant = Participant::new(*kind, setup.threads);
                let label = match stale_after_ms {
                    Some(ms) => format!("{}, client timeout {ms} ms", participant.label),
                    None => participant.label,
                };
                let outage = Some(Outage { dead, stale_after_ms });
                participants.push(Participant { label, outage, ..participant });
            }
        }
        if round % 2 == 1 {
            participants.reverse();
        }
        Ok(participants)
    }

    fn start_and_wait<'d>(
        &mut self,
        environment: Environment<'_>,
        participant: Participant,
        zones: &'d [Zone],
    ) -> io::Result<Server<'d>> {
        let mut server = self.start(environment, participant, Data::Zones(zones))?;
        server.wait_for(&zones[0].hosts[0].name, START)?;
        Ok(server)
    }

    /// A load of this workload.
    fn outage_load<'l>(
        &'l self,
        setup: &Setup,
        plan: &'l Plan,
        server: &Server<'_>,
        pace: Pace,
        until: LoadEnd,
    ) -> Load<'l> {
        let load = self.load(setup, plan, server, pace, until);
        Load { sockets: SOCKETS, separate_addresses: true, reply_timeout: STUB_TIMEOUT, ..load }
    }

    /// New names of both zones at the same time.
    fn dead_target(&self, setup: &Setup, server: &Server<'_>, rate: f64, round: usize) -> io::Result<Record> {
        let (of_dead, of_living) = (Plan::new_names(DEAD_ZONE), Plan::new_names(LIVING_ZONE));
        let until = LoadEnd::Time(DEAD_TIME);
        let dead = self.outage_load(setup, &of_dead, server, Pace::Rate(rate), until);
        let living = self.outage_load(setup, &of_living, server, Pace::Rate(LIVING_RATE), until);
        let both = || {
            let (dead, living) = thread::scope(|scope| {
                let dead = scope.spawn(|| dead.run());
                (dead.join(), living.run())
            });
            Ok([dead.expect("the generator does not panic")?, living?])
        };
        let ([dead, living], record) = record(setup, server, DEAD_TARGET, round, both)?;
        Ok(Record {
            dead_rate: Some(rate),
            living: Figures::of_data(&living),
            dead: Some(Figures::of_replies(&dead)),
            ..record
        })
    }

    /// Cached names that expire while their name server is silent.
    fn expired(
        &self,
        setup: &Setup,
        server: &Server<'_>,
        switch: &UpstreamSwitch,
        round: usize,
    ) -> io::Result<Record> {
        let names = (0..EXPIRED_NAMES).map(|number| format!("host{number}.{LIVING_ZONE}"));
        let plan = Plan::each(names);
        let warming = self.outage_load(setup, &plan, server, Pace::Outstanding(SOCKETS), LoadEnd::Once);
        let warmed = warming.run()?;
        if warmed.by_second.iter().map(|[data, _]| data).sum::<u64>() < EXPIRED_NAMES as u64 {
            return Err(io::Error::other(format!(
                "the cache of {} was not filled",
                server.participant.label
            )));
        }
        switch.silence();
        thread::sleep(Duration::from_secs(u64::from(SHORT_TTL) + 1));
        let load =
            self.outage_load(setup, &plan, server, Pace::Rate(EXPIRED_RATE), LoadEnd::Time(EXPIRED_TIME));
        let ([living], record) = record(setup, server, EXPIRED, round, || Ok([load.run()?]))?;
        let fresh = Some(switch.restore());
        let returned = Load { until: LoadEnd::Time(RETURN_TIME), fresh, ..load }.run()?;
        let seconds = |time: Option<u64>| time.map(|nanoseconds| nanoseconds as f64 / 1e9);
        let settled = returned.seconds < RETURN_TIME.as_secs_f64();
        let last_stale = seconds(returned.last_stale).unwrap_or(0.0);
        Ok(Record {
            living: Figures::of_data(&living),
            first_fresh_s: Some(seconds(returned.first_fresh).unwrap_or(f64::INFINITY)),
            last_stale_s: Some(if settled { last_stale } else { f64::INFINITY }),
            ..record
        })
    }
}

/// Runs loads. Returns their results and a record without their figures.
fn record<const LOADS: usize>(
    setup: &Setup,
    server: &Server<'_>,
    part: &'static str,
    round: usize,
    run: impl Fn() -> io::Result<[LoadResult; LOADS]>,
) -> io::Result<([LoadResult; LOADS], Record)> {
    let port = server.address().port();
    let dropped = udp_drops(port);
    let (results, cpu) = run_checked(server, run)?;
    let seconds = results.iter().map(|result| result.seconds).fold(0.0, f64::max);
    let record = Record {
        setup: setup.name,
        workload: Workload::Outage.name(),
        part,
        server: server.participant.label.clone(),
        round,
        dead_rate: None,
        living: Figures::of_data(&LoadResult::default()),
        dead: None,
        first_fresh_s: None,
        last_stale_s: None,
        server_cpu: cpu / seconds,
        dropped_by_server: udp_drops(port).saturating_sub(dropped),
        dropped_by_generator: results.iter().map(|result| result.dropped_at_generator).sum(),
    };
    Ok((results, record))
}

// ---- tables ---------------------------------------------------------------------------------------------

/// The tables of both parts.
pub(crate) fn tables(setup: &Setup, records: &[Record], base: &str) -> String {
    let rounds = records.iter().map(|record| record.round + 1).max().unwrap_or(0);
    let rounds = if rounds == 1 { "One round".to_owned() } else { format!("{rounds} rounds, medians") };
    let threads = match setup.server_cpu {
        Some(_) => "the server has one thread on its own processor".to_owned(),
        None => format!("the server has {} threads; nothing is pinned", setup.threads),
    };
    let mut text = format!("### {DEAD_TARGET}, {}\n\n", setup.name);
    let _ = writeln!(
        text,
        "New names of a zone whose name server never answers, at three rates, and at the same time {} new names per \
         second of a zone whose name server does, for {} s from the server's start. {rounds}; {threads}.\n",
        number(LIVING_RATE, 0),
        DEAD_TIME.as_secs()
    );
    text.push_str(
        "| dead queries/s | server | live: with data | worst second | p50 ms | p99 ms | ratio | \
         dead: replied | p50 ms | p99 ms | server CPU |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for rate in DEAD_RATES {
        let of_rate: Vec<&Record> = records.iter().filter(|record| record.dead_rate == Some(rate)).collect();
        for (server, runs) in by_server(&of_rate) {
            let living = |figure: fn(&Figures) -> f64| median_of(&runs, |run| Some(figure(&run.living)));
            let dead = |figure: fn(&Figures) -> f64| median_of(&runs, |run| run.dead.as_ref().map(figure));
            let _ = writeln!(
                text,
                "| {} | {server} | {} | {} | {} | {} | {} | {} | {} | {} | {:.2} |",
                number(rate, 0),
                percent(living(|f| f.data)),
                percent(living(|f| f.worst_second)),
                time(living(|f| f.p50_ms)),
                time(living(|f| f.p99_ms)),
                ratio(&runs, &of_rate, base),
                percent(dead(|f| f.replied)),
                time(dead(|f| f.p50_ms)),
                time(dead(|f| f.p99_ms)),
                median_of(&runs, |run| Some(run.server_cpu))
            );
        }
    }
    let _ = writeln!(text, "\n### {EXPIRED}, {}\n", setup.name);
    let _ = writeln!(
        text,
        "{EXPIRED_NAMES} cached names with a TTL of {SHORT_TTL} s whose name server went silent, queried {} times per \
         second for {} s once the TTL has passed, and then again once the name server answers. {rounds}; {threads}.\n",
        number(EXPIRED_RATE, 0),
        EXPIRED_TIME.as_secs()
    );
    text.push_str(
        "| server | with data | worst second | SERVFAIL | no reply | p50 ms | p99 ms | ratio | \
         first fresh after s | last stale after s | server CPU |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    let of_part: Vec<&Record> = records.iter().filter(|record| record.part == EXPIRED).collect();
    for (server, runs) in by_server(&of_part) {
        let living = |figure: fn(&Figures) -> f64| median_of(&runs, |run| Some(figure(&run.living)));
        let _ = writeln!(
            text,
            "| {server} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.2} |",
            percent(living(|f| f.data)),
            percent(living(|f| f.worst_second)),
            percent(living(|f| f.servfail)),
            percent(living(|f| 1.0 - f.replied)),
            time(living(|f| f.p50_ms)),
            time(living(|f| f.p99_ms)),
            ratio(&runs, &of_part, base),
            seconds(median_of(&runs, |run| run.first_fresh_s)),
            seconds(median_of(&runs, |run| run.last_stale_s)),
            median_of(&runs, |run| Some(run.server_cpu))
        );
    }
    text.push('\n');
    text.push_str(&losses(records));
    text
}

/// What would make the figures less reliable: rates that were not reached, and datagrams that the kernel
/// dropped.
fn losses(records: &[Record]) -> String {
    let sent = records.iter().flat_map(|record| {
        let living = if record.part == EXPIRED { EXPIRED_RATE } else { LIVING_RATE };
        let dead = record.dead.as_ref().zip(record.dead_rate).map(|(dead, rate)| dead.rate / rate);
        dead.into_iter().chain([record.living.rate / living])
    });
    let all: Vec<&Record> = records.iter().collect();
    let dropped = |(server, runs): (&str, Vec<&Record>)| {
        let count: u64 = runs.iter().map(|run| run.dropped_by_server).sum();
        format!("{server} {}", number(count as f64, 0))
    };
    let dropped: Vec<String> = by_server(&all).into_iter().map(dropped).collect();
    format!(
        "At least {} of the queries due were sent in every run. Dropped by the kernel because a socket was full: {} \
         replies at the generator; queries at {}.\n\n",
        percent(sent.fold(1.0, f64::min)),
        records.iter().map(|record| record.dropped_by_generator).sum::<u64>(),
        dropped.join(", ")
    )
}

/// The runs of each server, by its name.
fn by_server<'r>(records: &[&'r Record]) -> Vec<(&'r str, Vec<&'r Record>)> {
    let mut servers: Vec<&str> = records.iter().map(|record| &*record.server).collect();
    servers.sort_unstable();
    servers.dedup();
    let runs = |server: &str| records.iter().copied().filter(|record| record.server == server).collect();
    servers.into_iter().map(|server| (server, runs(server))).collect()
}

/// The median over runs.
fn median_of(runs: &[&Record], figure: impl Fn(&Record) -> Option<f64>) -> f64 {
    median(runs.iter().filter_map(|run| figure(run)).collect()).unwrap_or(f64::NAN)
}

/// The median ratio of the 99th percentile to that of the base in the same round.
fn ratio(runs: &[&Record], all: &[&Record], base: &str) -> String {
    let paired = runs.iter().filter_map(|run| {
        let base_run = all.iter().find(|record| record.server == base && record.round == run.round)?;
        Some(run.living.p99_ms / base_run.living.p99_ms)
    });
    let ratios: Vec<f64> = paired.filter(|ratio| ratio.is_finite() && *ratio > 0.0).collect();
    median(ratios).map_or("–".to_owned(), |ratio| number(ratio, if ratio < 10.0 { 2 } else { 0 }))
}

/// A share as a percentage. Only a share of exactly 1 is shown as 100 %, and only a share of exactly 0 as 0
/// %.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        100.0.. => "100 %".to_owned(),
        99.99.. => "> 99.99 %".to_owned(),
        99.0.. => format!("{:.2} %", (percent * 100.0).floor() / 100.0),
        0.0 => "0 %".to_owned(),
        ..0.01 => "< 0.01 %".to_owned(),
        ..1.0 => format!("{percent:.2} %"),
        _ => format!("{percent:.1} %"),
    }
}

/// A time in milliseconds.
fn time(milliseconds: f64) -> String {
    match milliseconds {
        f64::INFINITY => format!("> {}", number(STUB_TIMEOUT.as_secs_f64() * 1e3, 0)),
        10.0.. => number(milliseconds, 0),
        _ => number(milliseconds, 2),
    }
}

/// A time in seconds, limited to the longest time measured.
fn seconds(seconds: f64) -> String {
    match seconds {
        f64::INFINITY => format!("> {}", RETURN_TIME.as_secs()),
        _ => number(seconds, 1),
    }
}
