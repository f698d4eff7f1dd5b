//! What was measured, as JSON objects and as Markdown tables.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::flight::Tally;
use crate::server::Contestant;
use crate::setup::Setup;
use crate::workload::Workload;

/// What one server did in one round.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// The set-up's name.
    pub setup: &'static str,
    /// The workload's name.
    pub workload: &'static str,
    /// Who answered.
    pub server: String,
    /// How many rounds came before.
    pub round: usize,
    /// The figures.
    #[serde(flatten)]
    pub figures: Figures,
}

impl Record {
    /// Puts figures in their place.
    pub fn new(
        setup: &Setup,
        workload: Workload,
        contestant: &Contestant,
        round: usize,
        figures: Figures,
    ) -> Self {
        let server = contestant.label.clone();
        Self { setup: setup.name, workload: workload.name(), server, round, figures }
    }

    /// The record in a line, for whoever waits.
    pub fn line(&self) -> String {
        let Self { setup, workload, server, round, figures } = self;
        let cpu = figures.cpu_us.map_or(String::new(), |cpu| format!(", {cpu:.2} µs CPU an answer"));
        format!(
            "{setup} {workload} round {} {server}: {:.0} answers/s{cpu}, {} lost",
            round + 1,
            figures.answers_s,
            figures.dropped_at
        )
    }
}

/// The figures of a run. Times are in the unit that their name ends with.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    /// Queries sent.
    pub sent: u64,
    /// Replies that fitted.
    pub answered: u64,
    /// Queries without a reply within two seconds.
    pub dropped_at: u64,
    /// Replies NXDOMAIN.
    pub nxdomain: u64,
    /// Replies SERVFAIL or REFUSED.
    pub failed: u64,
    /// Answers a second.
    pub answers_s: f64,
    /// The server's processor time for an answer, user and system, children included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_us: Option<f64>,
    /// How much of a processor the server had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_cpu: Option<f64>,
    /// The generator's own, where it does not spin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generator_us: Option<f64>,
    /// Queries a second, where their rate is fixed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// The time that half of all replies took at most.
    pub p50_us: f64,
    /// The time that 99 % took at most.
    pub p99_us: f64,
    /// The time that 99.9 % took at most.
    pub p999_us: f64,
    /// The longest time.
    pub longest_us: f64,
    /// Resident memory after the run; of `scale`, before it.
    pub rss_mib: f64,
    /// From the start of the process until it answered out of its last zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_s: Option<f64>,
    /// From being told that data changed until the new name was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fresh_s: Option<f64>,
}

impl Figures {
    /// The figures of a load, with the processor seconds that the server took.
    pub fn new(shard: &Tally, cpu: f64) -> Self {
        let times = &shard.times;
        Self {
            sent: shard.sent,
            answered: shard.answered,
            dropped_at: shard.dropped_at,
            nxdomain: shard.rcodes[3],
            failed: shard.rcodes[2] + shard.rcodes[5],
            answers_s: shard.answered as f64 / shard.seconds,
            cpu_us: Some(cpu * 1e6 / shard.answered.max(1) as f64),
            server_cpu: Some(cpu / shard.seconds),
            p50_us: times.quantile(0.5),
            p99_us: times.quantile(0.99),
            p999_us: times.quantile(0.999),
            longest_us: times.longest(),
            ..Self::default()
        }
    }
}

// ---- tables ---------------------------------------------------------------------------------------------

/// The runs of one server.
type Runs<'r> = Vec<&'r Record>;

/// A column: its head, and its cell for the runs of a server beside those of the base.
type Column = (&'static str, fn(&Runs<'_>, &Runs<'_>) -> String);

/// The table of one workload in one set-up. The servers stand in the order of their CPU an answer.
pub fn table(setup: &Setup, workload: Workload, records: &[Record], base: &str) -> String {
    let base = base_of(workload, base);
    let mut servers: BTreeMap<&str, Runs<'_>> = BTreeMap::new();
    for record in records.iter().filter(|r| r.setup == setup.name && r.workload == workload.name()) {
        servers.entry(&record.server).or_default().push(record);
    }
    let rounds = servers.values().map(Vec::len).max().unwrap_or(0);
    let columns = columns(workload);
    let heads: Vec<&str> = columns.iter().map(|(head, _)| *head).collect();
    let mut text = format!("### {}, {}\n\n", workload.name(), setup.name);
    let _ = writeln!(text, "{}. {} rounds; {}.\n", capital(workload.meaning()), rounds, setup.meaning());
    let _ = writeln!(text, "| server | {} |\n|{}", heads.join(" | "), "---|".repeat(heads.len() + 1));
    let none = Vec::new();
    let base_runs = servers.get(base).unwrap_or(&none);
    let mut rows: Vec<(&&str, &Runs<'_>)> = servers.iter().collect();
    rows.sort_by(|a, b| order(a.1).total_cmp(&order(b.1)));
    for (server, runs) in rows {
        let cells: Vec<String> = columns.iter().map(|(_, cell)| cell(runs, base_runs)).collect();
        let _ = writeln!(text, "| {server} | {} |", cells.join(" | "));
    }
    text
}

/// Whom a workload compares with.
fn base_of(workload: Workload, base: &str) -> &str {
    match workload {
        Workload::Workers => "plustwo, 1 worker",
        Workload::Log => "plustwo",
        _ => base,
    }
}

fn columns(workload: Workload) -> Vec<Column> {
    let rate: Column = ("answers/s", |runs, _| spread(runs, |f| Some(f.answers_s), 0));
    let rate_ratio: Column = ("ratio", |runs, base| ratio(runs, base, |f| Some(f.answers_s)));
    let cpu: Column = ("CPU µs an answer", |runs, _| spread(runs, |f| f.cpu_us, 2));
    let cpu_ratio: Column = ("ratio", |runs, base| ratio(runs, base, |f| f.cpu_us));
    let dropped_at: Column = ("lost", |runs, _| sum(runs, |f| f.dropped_at));
    let failed: Column = ("failed", |runs, _| sum(runs, |f| f.failed));
    let p50: Column = ("p50 µs", |runs, _| middle(runs, |f| Some(f.p50_us), 0));
    let p99: Column = ("p99 µs", |runs, _| middle(runs, |f| Some(f.p99_us), 0));
    let p999: Column = ("p99.9 µs", |runs, _| middle(runs, |f| Some(f.p999_us), 0));
    let longest: Column = ("longest ms", |runs, _| spread(runs, |f| Some(f.longest_us / 1e3), 1));
    let memory: Column = ("RSS MiB", |runs, _| middle(runs, |f| Some(f.rss_mib), 0));
    let share: Column = ("server CPU", |runs, _| middle(runs, |f| f.server_cpu, 2));
    let generator: Column = ("generator µs a query", |runs, _| middle(runs, |f| f.generator_us, 2));
    let asked: Column = ("queries/s", |runs, _| middle(runs, |f| f.rate, 0));
    let start: Column = ("first answer after s", |runs, _| spread(runs, |f| f.start_s, 2));
    let fresh: Column = ("new name after s", |runs, _| spread(runs, |f| f.fresh_s, 3));
    match workload {
        Workload::Latency => vec![asked, p50, p99, p999, longest, cpu, cpu_ratio, dropped_at],
        Workload::Scale => vec![start, memory, rate, cpu, cpu_ratio, dropped_at],
        Workload::Reload => vec![asked, dropped_at, failed, longest, fresh, p99, memory],
        _ => vec![rate, rate_ratio, cpu, cpu_ratio, share, dropped_at, failed, p50, p99, memory, generator],
    }
}

/// What rows are sorted by.
fn order(runs: &Runs<'_>) -> f64 {
    let by_cpu = median(values(runs, |f| f.cpu_us));
    by_cpu.or_else(|| median(values(runs, |f| f.fresh_s))).unwrap_or(f64::MAX)
}

fn values(runs: &Runs<'_>, figure: fn(&Figures) -> Option<f64>) -> Vec<f64> {
    runs.iter().filter_map(|run| figure(&run.figures)).collect()
}

fn sum(runs: &Runs<'_>, figure: fn(&Figures) -> u64) -> String {
    runs.iter().map(|run| figure(&run.figures)).sum::<u64>().to_string()
}

/// The median.
fn middle(runs: &Runs<'_>, figure: fn(&Figures) -> Option<f64>, places: usize) -> String {
    median(values(runs, figure)).map_or("–".to_owned(), |value| number(value, places))
}

/// The median, with the smallest and the largest.
fn spread(runs: &Runs<'_>, figure: fn(&Figures) -> Option<f64>, places: usize) -> String {
    spread_of(values(runs, figure), places)
}

/// The ratio to the base in the same round: what is slow for all cancels out.
fn ratio(runs: &Runs<'_>, base: &Runs<'_>, figure: fn(&Figures) -> Option<f64>) -> String {
    let paired = runs.iter().filter_map(|run| {
        let beside = base.iter().find(|beside| beside.round == run.round)?;
        Some(figure(&run.figures)? / figure(&beside.figures)?)
    });
    spread_of(paired.filter(|ratio| ratio.is_finite()).collect(), 2)
}

fn spread_of(values: Vec<f64>, places: usize) -> String {
    let least = values.iter().copied().fold(f64::MAX, f64::min);
    let most = values.iter().copied().fold(f64::MIN, f64::max);
    let cell =
        |middle| format!("{} ({}–{})", number(middle, places), number(least, places), number(most, places));
    median(values).map_or("–".to_owned(), cell)
}

/// The middle of some values. `None`: there are none.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[half]),
        _ => Some((values[half - 1] + values[half]) / 2.0),
    }
}

/// A number with commas between thousands.
pub fn number(value: f64, places: usize) -> String {
    let text = format!("{value:.places$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

/// A text whose first letter is a capital.
pub fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

// ---- a page ---------------------------------------------------------------------------------------------

/// A part of a page: the word in its marks, `<!-- WORD -->` and `<!-- /WORD -->`, and what is to stand between them.
pub type Part<'t> = (&'static str, &'t str);

/// A page with new text between its marks; a page without any of these marks becomes these texts.
pub fn fill_in(page: &str, parts: &[Part<'_>]) -> String {
    if parts.iter().all(|(word, _)| between_marks(page, word).is_none()) {
        return parts.iter().map(|(_, text)| *text).collect();
    }
    parts.iter().fold(page.to_owned(), |page, (word, text)| match between_marks(&page, word) {
        Some((from, to)) => format!("{}\n{}\n\n{}", &page[..from], text.trim(), &page[to..]),
        None => page,
    })
}

/// Where the text between two marks begins and ends.
fn between_marks(page: &str, word: &str) -> Option<(usize, usize)> {
    let begin = format!("<!-- {word} -->\n");
    let from = page.find(&begin)? + begin.len();
    let to = page[from..].find(&format!("<!-- /{word} -->\n"))? + from;
    Some((from, to))
}
