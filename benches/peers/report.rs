//! Results as JSON objects and as Markdown tables.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::in_flight::LoadResult;
use crate::server::Participant;
use crate::setup::Setup;
use crate::workload::Workload;

/// The result of one server in one round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Record {
    /// The name of the set-up.
    pub setup: &'static str,
    /// The name of the workload.
    pub workload: &'static str,
    /// The server.
    pub server: String,
    /// The number of the round, counted from 0.
    pub round: usize,
    /// The figures.
    #[serde(flatten)]
    pub figures: Figures,
}

impl Record {
    /// Creates a record.
    pub(crate) fn new(
        setup: &Setup,
        workload: Workload,
        participant: &Participant,
        round: usize,
        figures: Figures,
    ) -> Self {
        let server = participant.label.clone();
        Self { setup: setup.name, workload: workload.name(), server, round, figures }
    }

    /// The record as one line, for standard error.
    pub(crate) fn line(&self) -> String {
        let Self { setup, workload, server, round, figures } = self;
        let cpu = figures.cpu_us.map_or(String::new(), |cpu| format!(", {cpu:.2} µs CPU per answer"));
        format!(
            "{setup} {workload} round {} {server}: {:.0} answers/s{cpu}, {} lost",
            round + 1,
            figures.answers_s,
            figures.lost
        )
    }
}

/// The figures of a run. The suffix of a name is the unit.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Figures {
    /// Queries sent.
    pub sent: u64,
    /// Replies that match a query.
    pub answered: u64,
    /// Queries without a reply within two seconds.
    pub lost: u64,
    /// Replies with NXDOMAIN.
    pub nxdomain: u64,
    /// Replies with SERVFAIL or REFUSED.
    pub failed: u64,
    /// Answers per second.
    pub answers_s: f64,
    /// Processor time of the server per answer: user and system time, including child processes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_us: Option<f64>,
    /// Processor seconds of the server per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_cpu: Option<f64>,
    /// Processor time of the generator per answer, if it does not spin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generator_us: Option<f64>,
    /// Queries per second, if the rate is fixed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Median response time.
    pub p50_us: f64,
    /// 99th percentile of the response times.
    pub p99_us: f64,
    /// 99.9th percentile of the response times.
    pub p999_us: f64,
    /// The longest response time.
    pub longest_us: f64,
    /// Resident memory after the run; for `scale`, before it.
    pub rss_mib: f64,
    /// Time from the start of the process to the first answer from its last zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_s: Option<f64>,
    /// Time from the notification of changed data to the first answer for the new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fresh_s: Option<f64>,
}

impl Figures {
    /// The figures of a load, given the processor seconds of the server.
    pub(crate) fn new(result: &LoadResult, cpu: f64) -> Self {
        let times = &result.times;
        Self {
            sent: result.sent,
            answered: result.answered,
            lost: result.lost,
            nxdomain: result.rcodes[3],
            failed: result.rcodes[2] + result.rcodes[5],
            answers_s: result.answered as f64 / result.seconds,
            cpu_us: Some(cpu * 1e6 / result.answered.max(1) as f64),
            server_cpu: Some(cpu / result.seconds),
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

/// A column: its heading, and its cell for the runs of a server and those of the base.
type Column = (&'static str, fn(&Runs<'_>, &Runs<'_>) -> String);

/// The table of one workload in one set-up. Servers are sorted by their CPU time per answer.
pub(crate) fn table(setup: &Setup, workload: Workload, records: &[Record], base: &str) -> String {
    let base = base_of(workload, base);
    let mut servers: BTreeMap<&str, Runs<'_>> = BTreeMap::new();
    for record in records.iter().filter(|r| r.setup == setup.name && r.workload == workload.name()) {
        servers.entry(&record.server).or_default().push(record);
    }
    let rounds = servers.values().map(Vec::len).max().unwrap_or(0);
    let columns = columns(workload);
    let heads: Vec<&str> = columns.iter().map(|(head, _)| *head).collect();
    let mut text = format!("### {}, {}\n\n", workload.name(), setup.name);
    let _ = writeln!(text, "{}. {} rounds; {}.\n", capitalised(workload.summary()), rounds, setup.summary());
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

/// The base that a workload compares with.
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
    let cpu: Column = ("CPU µs per answer", |runs, _| spread(runs, |f| f.cpu_us, 2));
    let cpu_ratio: Column = ("ratio", |runs, base| ratio(runs, base, |f| f.cpu_us));
    let lost: Column = ("lost", |runs, _| sum(runs, |f| f.lost));
    let failed: Column = ("failed", |runs, _| sum(runs, |f| f.failed));
    let p50: Column = ("p50 µs", |runs, _| median_cell(runs, |f| Some(f.p50_us), 0));
    let p99: Column = ("p99 µs", |runs, _| median_cell(runs, |f| Some(f.p99_us), 0));
    let p999: Column = ("p99.9 µs", |runs, _| median_cell(runs, |f| Some(f.p999_us), 0));
    let longest: Column = ("longest ms", |runs, _| spread(runs, |f| Some(f.longest_us / 1e3), 1));
    let memory: Column = ("RSS MiB", |runs, _| median_cell(runs, |f| Some(f.rss_mib), 0));
    let share: Column = ("server CPU", |runs, _| median_cell(runs, |f| f.server_cpu, 2));
    let generator: Column = ("generator µs per query", |runs, _| median_cell(runs, |f| f.generator_us, 2));
    let rate_set: Column = ("queries/s", |runs, _| median_cell(runs, |f| f.rate, 0));
    let start: Column = ("first answer after s", |runs, _| spread(runs, |f| f.start_s, 2));
    let fresh: Column = ("new name after s", |runs, _| spread(runs, |f| f.fresh_s, 3));
    match workload {
        Workload::Latency => vec![rate_set, p50, p99, p999, longest, cpu, cpu_ratio, lost],
        Workload::Scale => vec![start, memory, rate, cpu, cpu_ratio, lost],
        Workload::Reload => vec![rate_set, lost, failed, longest, fresh, p99, memory],
        _ => vec![rate, rate_ratio, cpu, cpu_ratio, share, lost, failed, p50, p99, memory, generator],
    }
}

/// The value that rows are sorted by.
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
fn median_cell(runs: &Runs<'_>, figure: fn(&Figures) -> Option<f64>, places: usize) -> String {
    median(values(runs, figure)).map_or("–".to_owned(), |value| number(value, places))
}

/// The median, with minimum and maximum.
fn spread(runs: &Runs<'_>, figure: fn(&Figures) -> Option<f64>, places: usize) -> String {
    spread_of(values(runs, figure), places)
}

/// The ratio to the base in the same round, so that what slows down all servers cancels out.
fn ratio(runs: &Runs<'_>, base: &Runs<'_>, figure: fn(&Figures) -> Option<f64>) -> String {
    let paired = runs.iter().filter_map(|run| {
        let base_run = base.iter().find(|base_run| base_run.round == run.round)?;
        Some(figure(&run.figures)? / figure(&base_run.figures)?)
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

/// The median of values. `None` if there are none.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[half]),
        _ => Some((values[half - 1] + values[half]) / 2.0),
    }
}

/// A number with thousands separators.
pub(crate) fn number(value: f64, places: usize) -> String {
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

/// The text with a capital first letter.
pub(crate) fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

// ---- a page ---------------------------------------------------------------------------------------------

/// A part of a page: the marker, as in `<!-- MARKER -->` and `<!-- /MARKER -->`, and the text to be placed
/// between them.
pub(crate) type Part<'t> = (&'static str, &'t str);

/// The page with new text between its markers. A page without any of these markers is replaced by the texts.
pub(crate) fn fill_in(page: &str, parts: &[Part<'_>]) -> String {
    if parts.iter().all(|(marker, _)| between_markers(page, marker).is_none()) {
        return parts.iter().map(|(_, text)| *text).collect();
    }
    parts.iter().fold(page.to_owned(), |page, (marker, text)| match between_markers(&page, marker) {
        Some((from, to)) => format!("{}\n{}\n\n{}", &page[..from], text.trim(), &page[to..]),
        None => page,
    })
}

/// Start and end of the text between two markers.
fn between_markers(page: &str, marker: &str) -> Option<(usize, usize)> {
    let begin = format!("<!-- {marker} -->\n");
    let from = page.find(&begin)? + begin.len();
    let to = page[from..].find(&format!("<!-- /{marker} -->\n"))? + from;
    Some((from, to))
}
