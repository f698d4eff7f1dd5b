//! Cost against growth: configurations that differ in the number of one kind of object.
//!
//! ```text
//!  for each dimension:  a world of each size ──► plustwo by default, and plustwo without its packet cache
//!                       loaded in turn, so that a slow phase of the machine affects all sizes
//! ```

use std::fmt::Write;
use std::io;

use clap::ValueEnum;
use serde::Serialize;

use crate::data::worlds::{Dimension, World};
use crate::in_flight::Pace;
use crate::peers::{Data, Kind};
use crate::plot::Line;
use crate::report::{Figures, median, number};
use crate::rounds::{Bench, Environment, START};
use crate::server::{Participant, Server};
use crate::workload::{Plan, Workload};

/// The result of plustwo with one world in one round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Record {
    /// The name of the workload.
    pub workload: &'static str,
    /// The dimension that grows.
    pub dimension: &'static str,
    /// The number of its objects.
    pub size: usize,
    /// Whether answers come from the packet cache; otherwise each one is decided.
    pub cached: bool,
    /// The number of the round, counted from 0.
    pub round: usize,
    /// The figures.
    #[serde(flatten)]
    pub figures: Figures,
}

impl Record {
    /// The record as one line, for standard error.
    pub(crate) fn line(&self) -> String {
        let Self { dimension, size, cached, round, figures, .. } = self;
        let how = if *cached { "cached" } else { "decided" };
        format!(
            "{dimension} {size} round {}: {:.2} µs CPU per answer {how}, server CPU {:.2}, {} lost; \
             start {:.2} s, {:.0} MiB",
            round + 1,
            figures.cpu_us.unwrap_or_default(),
            figures.server_cpu.unwrap_or_default(),
            figures.lost,
            figures.start_s.unwrap_or_default(),
            figures.rss_mib
        )
    }
}

/// A server with its world.
struct LoadedWorld<'w> {
    size: usize,
    /// Whether its packet cache is enabled.
    cached: bool,
    plan: Plan,
    server: Server<'w>,
    /// Seconds until its first answer.
    start_s: f64,
}

impl Bench {
    /// Measures every size of a dimension, and passes on each record when it is complete.
    pub(crate) fn growth(
        &mut self,
        environment: Environment<'_>,
        dimension: Dimension,
        each: &mut dyn FnMut(Record),
    ) -> io::Result<()> {
        let worlds: Vec<(usize, World)> =
            dimension.sizes().iter().map(|size| (*size, dimension.world(*size))).collect();
        let mut all = Vec::new();
        for cached in [true, false] {
            for (size, world) in &worlds {
                all.push(self.start_with_world(environment, *size, world, cached)?);
            }
        }
        for round in 0..self.rounds {
            for loaded in &all {
                let figures = self.load_world(environment, loaded)?;
                let LoadedWorld { size, cached, .. } = *loaded;
                let workload = Workload::Growth.name();
                each(Record { workload, dimension: dimension.name(), size, cached, round, figures });
            }
        }
        Ok(())
    }

    /// Starts plustwo with a world and sends each of its queries, which fills the caches.
    fn start_with_world<'w>(
        &mut self,
        environment: Environment<'_>,
        size: usize,
        world: &'w World,
        cached: bool,
    ) -> io::Result<LoadedWorld<'w>> {
        let plan = Plan::of_world(world);
        let participant = Participant { packet_cache: cached, ..Participant::new(Kind::Plustwo, 1) };
        let mut server = self.start(environment, participant, Data::World(&world.text))?;
        let first = world.questions.first().expect("every world has questions");
        let start_s = server.wait_for(&first.name, START)?.as_secs_f64();
        self.warm(environment.setup, &plan, &server)?;
        Ok(LoadedWorld { size, cached, plan, server, start_s })
    }

    /// Loads a server once, and checks that it answers.
    fn load_world(&self, environment: Environment<'_>, loaded: &LoadedWorld<'_>) -> io::Result<Figures> {
        let LoadedWorld { plan, server, start_s, .. } = loaded;
        let pace = Pace::Outstanding(environment.setup.outstanding);
        let figures = self.measure(environment.setup, Workload::Growth, plan, pace, server)?;
        let wrong = figures.failed + figures.nxdomain;
        if wrong > 0 {
            return Err(io::Error::other(format!("{wrong} names of a world had no positive answer")));
        }
        Ok(Figures { start_s: Some(*start_s), ..figures })
    }
}

// ---- results --------------------------------------------------------------------------------------------

/// All records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GrowthResults<'r>(pub &'r [Record]);

impl GrowthResults<'_> {
    /// The table, with a row per size of each dimension.
    pub(crate) fn table(&self) -> String {
        let mut text = String::from(
            "| dimension | size | start s | RSS MiB | CPU µs cached | ratio | CPU µs decided | ratio |\n",
        );
        text.push_str("|---|--:|--:|--:|--:|--:|--:|--:|\n");
        for dimension in self.dimensions() {
            for size in dimension.sizes().iter().copied() {
                let _ = writeln!(text, "{}", self.row(dimension, size));
            }
        }
        text
    }

    /// A row of the table.
    fn row(&self, dimension: Dimension, size: usize) -> String {
        let of = |cached, figure: fn(&Figures) -> Option<f64>, places| {
            self.median_of(dimension, size, cached, figure)
                .map_or("–".to_owned(), |value| number(value, places))
        };
        let cells = [
            dimension.name().to_owned(),
            number(size as f64, 0),
            of(true, |figures| figures.start_s, 2),
            of(true, |figures| Some(figures.rss_mib), 0),
            of(true, |figures| figures.cpu_us, 2),
            self.ratio(dimension, size, true),
            of(false, |figures| figures.cpu_us, 2),
            self.ratio(dimension, size, false),
        ];
        format!("| {} |", cells.join(" | "))
    }

    /// The ratio of the CPU time per answer to that of the smallest size in the same round, so that what
    /// slows down all sizes cancels out.
    fn ratio(&self, dimension: Dimension, size: usize, cached: bool) -> String {
        let smallest = dimension.sizes()[0];
        let paired = self.of(dimension, size, cached).filter_map(|record| {
            let base_run =
                self.of(dimension, smallest, cached).find(|base_run| base_run.round == record.round)?;
            Some(record.figures.cpu_us? / base_run.figures.cpu_us?)
        });
        let ratios = paired.filter(|ratio| ratio.is_finite()).collect();
        median(ratios).map_or("–".to_owned(), |ratio| number(ratio, 2))
    }

    /// A line for each dimension with more than two sizes: CPU time in µs per decided answer.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let line = |dimension: Dimension| {
            let point = |size: &usize| {
                let cpu = self.median_of(dimension, *size, false, |figures| figures.cpu_us)?;
                Some((*size as f64, cpu))
            };
            Line { name: dimension.name(), points: dimension.sizes().iter().filter_map(point).collect() }
        };
        self.dimensions().filter(|dimension| dimension.sizes().len() > 2).map(line).collect()
    }

    /// The measured dimensions, in the order of the table.
    fn dimensions(&self) -> impl Iterator<Item = Dimension> {
        let dimensions = Dimension::value_variants().iter().copied();
        dimensions.filter(|dimension| self.0.iter().any(|record| record.dimension == dimension.name()))
    }

    /// The median of a figure over the rounds.
    fn median_of(
        &self,
        dimension: Dimension,
        size: usize,
        cached: bool,
        figure: fn(&Figures) -> Option<f64>,
    ) -> Option<f64> {
        median(self.of(dimension, size, cached).filter_map(|record| figure(&record.figures)).collect())
    }

    /// The records of one cell, one per round.
    fn of(&self, dimension: Dimension, size: usize, cached: bool) -> impl Iterator<Item = &Record> {
        self.0.iter().filter(move |record| {
            (record.dimension, record.size, record.cached) == (dimension.name(), size, cached)
        })
    }
}
