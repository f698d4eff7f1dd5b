//! Cost against growth: worlds that differ in the number of one thing alone.
//!
//! ```text
//!  for each thing:  a world of each size ──► plustwo as it is, and plustwo without its packet cache
//!                   each in its turn is loaded, so that a slow minute of the machine is a slow minute of all sizes
//! ```

use std::fmt::Write;
use std::io;

use clap::ValueEnum;
use serde::Serialize;

use crate::data::worlds::{Thing, World};
use crate::flight::Pace;
use crate::peers::{Data, Kind};
use crate::plot::Line;
use crate::report::{Figures, median, number};
use crate::rounds::{Bench, START, Site};
use crate::server::{Contestant, Server};
use crate::workload::{Plan, Workload};

/// What plustwo did with one world in one round.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// The workload's name.
    pub workload: &'static str,
    /// What there is more and more of.
    pub thing: &'static str,
    /// How much of it there is.
    pub size: usize,
    /// Whether answers come out of the packet cache. Else each is decided.
    pub cached: bool,
    /// How many rounds came before.
    pub round: usize,
    /// The figures.
    #[serde(flatten)]
    pub figures: Figures,
}

impl Record {
    /// The record in a line, for whoever waits.
    pub fn line(&self) -> String {
        let Self { thing, size, cached, round, figures, .. } = self;
        let how = if *cached { "cached" } else { "decided" };
        format!(
            "{thing} {size} round {}: {:.2} µs CPU an answer {how}, {:.2} of a processor, {} dropped_at; \
             start {:.2} s, {:.0} MiB",
            round + 1,
            figures.cpu_us.unwrap_or_default(),
            figures.server_cpu.unwrap_or_default(),
            figures.dropped_at,
            figures.start_s.unwrap_or_default(),
            figures.rss_mib
        )
    }
}

/// A server with the world that it has.
struct Grown<'w> {
    size: usize,
    /// Whether it has its packet cache.
    cached: bool,
    plan: Plan,
    server: Server<'w>,
    /// Until its first answer.
    start_s: f64,
}

impl Bench {
    /// Measures every size of a thing; gives each record as it comes.
    pub fn growth(&mut self, site: Site<'_>, thing: Thing, each: &mut dyn FnMut(Record)) -> io::Result<()> {
        let worlds: Vec<(usize, World)> =
            thing.sizes().iter().map(|size| (*size, thing.world(*size))).collect();
        let mut all = Vec::new();
        for cached in [true, false] {
            for (size, world) in &worlds {
                all.push(self.grown(site, *size, world, cached)?);
            }
        }
        for round in 0..self.rounds {
            for grown in &all {
                let figures = self.load_grown(site, grown)?;
                let Grown { size, cached, .. } = *grown;
                let workload = Workload::Growth.name();
                each(Record { workload, thing: thing.name(), size, cached, round, figures });
            }
        }
        Ok(())
    }

    /// Starts plustwo with a world, and has it answer everything that will be asked.
    fn grown<'w>(
        &mut self,
        site: Site<'_>,
        size: usize,
        world: &'w World,
        cached: bool,
    ) -> io::Result<Grown<'w>> {
        let plan = Plan::of_world(world);
        let contestant = Contestant { packet_cache: cached, ..Contestant::new(Kind::Plustwo, 1) };
        let mut server = self.start(site, contestant, Data::World(&world.text))?;
        let first = world.questions.first().expect("something is asked of every world");
        let start_s = server.wait_for(&first.name, START)?.as_secs_f64();
        self.warm(site.setup, &plan, &server)?;
        Ok(Grown { size, cached, plan, server, start_s })
    }

    /// Loads a server once. That it answers is part of it.
    fn load_grown(&self, site: Site<'_>, grown: &Grown<'_>) -> io::Result<Figures> {
        let Grown { plan, server, start_s, .. } = grown;
        let pace = Pace::Outstanding(site.setup.outstanding);
        let figures = self.measure(site.setup, Workload::Growth, plan, pace, server)?;
        let wrong = figures.failed + figures.nxdomain;
        if wrong > 0 {
            return Err(io::Error::other(format!("{wrong} names of a world were not answered")));
        }
        Ok(Figures { start_s: Some(*start_s), ..figures })
    }
}

// ---- what was found -------------------------------------------------------------------------------------

/// Everything that was measured.
#[derive(Clone, Copy, Debug)]
pub struct Found<'r>(pub &'r [Record]);

impl Found<'_> {
    /// The table: a row for each size of each thing.
    pub fn table(&self) -> String {
        let mut text = String::from(
            "| of what | how many | start s | RSS MiB | CPU µs cached | ratio | CPU µs decided | ratio |\n",
        );
        text.push_str("|---|--:|--:|--:|--:|--:|--:|--:|\n");
        for thing in self.things() {
            for size in thing.sizes().iter().copied() {
                let _ = writeln!(text, "{}", self.row(thing, size));
            }
        }
        text
    }

    /// A line of the table.
    fn row(&self, thing: Thing, size: usize) -> String {
        let of = |cached, figure: fn(&Figures) -> Option<f64>, places| {
            self.middle(thing, size, cached, figure).map_or("–".to_owned(), |value| number(value, places))
        };
        let cells = [
            thing.name().to_owned(),
            number(size as f64, 0),
            of(true, |figures| figures.start_s, 2),
            of(true, |figures| Some(figures.rss_mib), 0),
            of(true, |figures| figures.cpu_us, 2),
            self.ratio(thing, size, true),
            of(false, |figures| figures.cpu_us, 2),
            self.ratio(thing, size, false),
        ];
        format!("| {} |", cells.join(" | "))
    }

    /// CPU an answer beside that of the smallest size in the same round: what is slow for all cancels out.
    fn ratio(&self, thing: Thing, size: usize, cached: bool) -> String {
        let smallest = thing.sizes()[0];
        let paired = self.of(thing, size, cached).filter_map(|record| {
            let beside = self.of(thing, smallest, cached).find(|beside| beside.round == record.round)?;
            Some(record.figures.cpu_us? / beside.figures.cpu_us?)
        });
        let ratios = paired.filter(|ratio| ratio.is_finite()).collect();
        median(ratios).map_or("–".to_owned(), |ratio| number(ratio, 2))
    }

    /// A line for each thing of more than two sizes: CPU µs an answer decided.
    pub fn lines(&self) -> Vec<Line> {
        let line = |thing: Thing| {
            let point = |size: &usize| {
                let cpu = self.middle(thing, *size, false, |figures| figures.cpu_us)?;
                Some((*size as f64, cpu))
            };
            Line { name: thing.name(), points: thing.sizes().iter().filter_map(point).collect() }
        };
        self.things().filter(|thing| thing.sizes().len() > 2).map(line).collect()
    }

    /// What was measured, in the order of the table.
    fn things(&self) -> impl Iterator<Item = Thing> {
        let things = Thing::value_variants().iter().copied();
        things.filter(|thing| self.0.iter().any(|record| record.thing == thing.name()))
    }

    /// The median of a figure over the rounds.
    fn middle(
        &self,
        thing: Thing,
        size: usize,
        cached: bool,
        figure: fn(&Figures) -> Option<f64>,
    ) -> Option<f64> {
        median(self.of(thing, size, cached).filter_map(|record| figure(&record.figures)).collect())
    }

    /// What was measured of one cell, a record for each round.
    fn of(&self, thing: Thing, size: usize, cached: bool) -> impl Iterator<Item = &Record> {
        self.0
            .iter()
            .filter(move |record| (record.thing, record.size, record.cached) == (thing.name(), size, cached))
    }
}
