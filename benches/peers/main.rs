//! Comparison of servers on loopback: the same data and the same queries, one server after the other in each
//! round.
//!
//! ```text
//!  main ──► rounds ──► server ──► peers           configuration and start of each server
//!             │           └────── process         start, processor time, memory, end
//!             ├─────► generator, stream           load over UDP, over TCP
//!             │           └── in_flight ── wire   queries in flight; every reply is checked
//!             │           └── workload ── data    the queries
//!             ├─────► upstream                    the name server that all servers forward to
//!             ├─────► metrics                     plustwo's counters compared with the received replies
//!             ├─────► report                      tables, JSON
//!             ├─────► growth ── plot              configurations of increasing size; a plot
//!             └─────► outage                      name servers that do not answer
//! ```
//!
//! `cargo bench --bench peers` takes about two minutes, `-- --full` more than half an hour; `-- --help` lists
//! the options. `benches/README.md` explains how to read the figures.

mod batch;
mod data;
mod generator;
mod growth;
mod histogram;
mod in_flight;
mod machine;
mod metrics;
mod outage;
mod peers;
mod plot;
mod process;
mod report;
mod rounds;
mod server;
mod setup;
mod stream;
mod upstream;
mod wire;
mod workload;

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::{Parser, ValueEnum};

use data::worlds::Dimension;
use machine::Ports;
use peers::Kind;
use process::Cleanup;
use report::Record;
use rounds::{Bench, Environment};
use setup::{Setup, SetupName};
use workload::Workload;

/// The workloads that are measured by default.
const SHORT: [Workload; 6] = [
    Workload::Local,
    Workload::Cached,
    Workload::Mixed,
    Workload::Miss,
    Workload::Endpoint,
    Workload::Ceiling,
];

/// Benchmark of plustwo and other DNS servers on loopback
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench peers --")]
struct Arguments {
    /// Run all workloads except growth and outage in every suitable set-up, with seven rounds of two seconds
    #[arg(long)]
    full: bool,
    /// Workloads to measure
    #[arg(long, value_delimiter = ',', value_enum)]
    workloads: Vec<Workload>,
    /// Set-ups [default: pin1; free2 for workers and outage]
    #[arg(long, value_delimiter = ',', value_enum)]
    setups: Vec<SetupName>,
    /// Servers to measure [default: all that are installed]
    #[arg(long, value_delimiter = ',', value_enum)]
    peers: Vec<Kind>,
    /// Server that the others are compared with
    #[arg(long, value_enum, default_value = "unbound")]
    base: Kind,
    /// Dimensions that grow in the growth workload [default: all]
    #[arg(long, value_delimiter = ',', value_enum)]
    dimensions: Vec<Dimension>,
    /// Number of rounds [default: 3; 1 for growth and outage]
    #[arg(long)]
    rounds: Option<usize>,
    /// Load time per server and round, in seconds [default: 1]. Reload and outage have fixed times
    #[arg(long)]
    seconds: Option<f64>,
    /// Append a JSON object per run to this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write the tables into this file: between `<!-- figures -->` and `<!-- /figures -->` if it has these
    /// markers, growth between `<!-- growth -->` and `<!-- /growth -->` with a plot next to the file, and
    /// outage between `<!-- outage -->` and `<!-- /outage -->`
    #[arg(long)]
    markdown: Option<PathBuf>,
    /// Do not create a network namespace; use high ports on loopback
    #[arg(long)]
    stay: bool,
    /// Passed by cargo to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    fn workloads(&self) -> Vec<Workload> {
        match (self.workloads.is_empty(), self.full) {
            (false, _) => self.workloads.clone(),
            (true, true) => {
                let all = Workload::value_variants().iter().copied();
                all.filter(|workload| !matches!(workload, Workload::Growth | Workload::Outage)).collect()
            }
            (true, false) => SHORT.to_vec(),
        }
    }

    /// Whether a workload is measured in a set-up.
    fn has(&self, workload: Workload, setup: SetupName) -> bool {
        match (self.setups.is_empty(), self.full) {
            (false, _) => self.setups.contains(&setup),
            (true, true) => workload.setups().contains(&setup),
            (true, false) => workload.setups()[0] == setup,
        }
    }

    /// The selected servers that are installed, the base first. The others are listed on standard error.
    fn kinds(&self) -> Vec<Kind> {
        let requested = if self.peers.is_empty() { Kind::value_variants() } else { &self.peers };
        let (found, missing): (Vec<Kind>, Vec<Kind>) =
            requested.iter().partition(|kind| kind.program().is_some_and(|program| program.is_file()));
        for kind in missing {
            eprintln!("{} is skipped: it is not installed (Debian: {})", kind.name(), kind.package());
        }
        let mut kinds = found;
        kinds.sort_by_key(|kind| *kind != self.base);
        kinds
    }

    fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.full { 7 } else { 3 })
    }

    /// The selected dimensions of growth.
    fn dimensions(&self) -> &[Dimension] {
        if self.dimensions.is_empty() { Dimension::value_variants() } else { &self.dimensions }
    }

    /// Number of rounds of growth and outage. One of them takes as long as three rounds of other workloads.
    fn long_rounds(&self) -> usize {
        self.rounds.unwrap_or(1)
    }

    fn time(&self) -> Duration {
        let seconds = self.seconds.unwrap_or(if self.full { 2.0 } else { 1.0 });
        Duration::from_secs_f64(seconds.clamp(0.1, 60.0))
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    let outcome = match &words[..] {
        [_, word, port] if word == "--canned" => run_canned(port),
        _ => run(&Arguments::parse()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the benchmark failed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the simplest possible server, in a separate process so that its processor time is measured like that
/// of the others.
fn run_canned(port: &str) -> io::Result<()> {
    let port: u16 = port.parse().map_err(io::Error::other)?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port))?;
    upstream::serve(&socket, upstream::ReplyMode::Canned)
}

fn run(arguments: &Arguments) -> io::Result<()> {
    if !arguments.stay {
        match machine::enter_own_network() {
            Ok(()) => eprintln!("in a network namespace with loopback only"),
            Err(error) => eprintln!("on high ports, because no network namespace can be created: {error}"),
        }
    }
    machine::raise_file_limit();
    let processors = machine::processors();
    let mut bench = Bench {
        cleanup: Cleanup::on_exit()?,
        ports: Ports::new(),
        serials: in_flight::Serials::new(),
        kinds: arguments.kinds(),
        base: arguments.base,
        rounds: arguments.rounds(),
        time: arguments.time(),
    };
    let json = arguments.json.as_ref().map(|path| File::options().create(true).append(true).open(path));
    let mut json = json.transpose()?;
    let mut figures = String::new();
    let mut growth = String::new();
    let mut outage = String::new();
    for name in SetupName::value_variants().iter().copied() {
        let mut workloads = arguments.workloads();
        workloads.retain(|workload| arguments.has(*workload, name));
        if workloads.is_empty() {
            continue;
        }
        let setup = match Setup::new(name, &processors) {
            Ok(setup) => setup,
            Err(reason) => {
                eprintln!("skipped: {reason}");
                continue;
            }
        };
        let environment = Environment { setup: &setup, upstream: upstream::start(setup.generator_cpu)? };
        for workload in workloads {
            if matches!(workload, Workload::Growth | Workload::Outage) {
                bench.rounds = arguments.long_rounds();
                match workload {
                    Workload::Growth => {
                        growth.push_str(&measure_growth(&mut bench, environment, arguments, json.as_mut())?);
                    }
                    _ => outage.push_str(&measure_outage(&mut bench, environment, arguments, json.as_mut())?),
                }
                bench.rounds = arguments.rounds();
                continue;
            }
            let records = measure(&mut bench, environment, workload, json.as_mut())?;
            let table = report::table(&setup, workload, &records, bench.base.name());
            println!("{table}");
            figures.push_str(&table);
            figures.push('\n');
        }
    }
    if let Some(path) = &arguments.markdown {
        let mut parts = Vec::new();
        if !figures.is_empty() {
            figures.insert_str(0, &head(arguments, &bench.kinds));
            parts.push(("figures", &*figures));
        }
        if !growth.is_empty() {
            parts.push(("growth", &*growth));
        }
        if !outage.is_empty() {
            parts.push(("outage", &*outage));
        }
        let page = fs::read_to_string(path).unwrap_or_default();
        fs::write(path, report::fill_in(&page, &parts))?;
    }
    Ok(())
}

/// Measures one workload, and prints each record when it is complete.
fn measure(
    bench: &mut Bench,
    environment: Environment<'_>,
    workload: Workload,
    json: Option<&mut File>,
) -> io::Result<Vec<Record>> {
    let mut records = Vec::new();
    bench.run(environment, workload, &mut |record| {
        eprintln!("{}", record.line());
        records.push(record);
    })?;
    if let Some(file) = json {
        for record in &records {
            writeln!(file, "{}", serde_json::to_string(record)?)?;
        }
    }
    Ok(records)
}

/// Measures growth, draws the plot if there is a page, and returns the text for the page.
fn measure_growth(
    bench: &mut Bench,
    environment: Environment<'_>,
    arguments: &Arguments,
    json: Option<&mut File>,
) -> io::Result<String> {
    let mut records = Vec::new();
    for dimension in arguments.dimensions() {
        bench.growth(environment, *dimension, &mut |record| {
            eprintln!("{}", record.line());
            records.push(record);
        })?;
    }
    if let Some(file) = json {
        for record in &records {
            writeln!(file, "{}", serde_json::to_string(record)?)?;
        }
    }
    let found = growth::GrowthResults(&records);
    let table = found.table();
    println!("{table}");
    let mut text = head(arguments, &[Kind::Plustwo]);
    let rounds = if bench.rounds == 1 { "one round".to_owned() } else { format!("{} rounds", bench.rounds) };
    let (setup, seconds) = (report::capitalised(&environment.setup.summary()), bench.time.as_secs_f64());
    text.push_str(&format!("{setup}; {rounds} of {seconds} s.\n\n"));
    if let Some(page) = &arguments.markdown {
        text.push_str(&draw(page, &found)?);
    }
    Ok(text + &table + "\n")
}

/// Measures outages and returns the text for the page.
fn measure_outage(
    bench: &mut Bench,
    environment: Environment<'_>,
    arguments: &Arguments,
    json: Option<&mut File>,
) -> io::Result<String> {
    let mut records = Vec::new();
    bench.outage(environment, &mut |record| {
        eprintln!("{}", record.line());
        records.push(record);
    })?;
    if let Some(file) = json {
        for record in &records {
            writeln!(file, "{}", serde_json::to_string(record)?)?;
        }
    }
    let tables = outage::tables(environment.setup, &records, bench.base.name());
    println!("{tables}");
    let kinds: Vec<Kind> =
        bench.kinds.iter().copied().filter(|kind| kind.supports(Workload::Outage)).collect();
    Ok(head(arguments, &kinds) + &tables)
}

/// Writes the plot of growth next to a page and returns the line that includes it.
fn draw(page: &Path, found: &growth::GrowthResults<'_>) -> io::Result<String> {
    let stem = page.file_stem().unwrap_or_default().to_string_lossy();
    let name = format!("{stem}-growth.svg");
    let title = "CPU per decided answer against growth";
    let picture = plot::svg(title, "number of objects", "CPU µs per answer", &found.lines());
    fs::write(page.with_file_name(&name), picture)?;
    Ok(format!("![{title}: one line per dimension of the table below.]({name})\n\n"))
}

/// The command, the machine and the versions of the servers.
fn head(arguments: &Arguments, kinds: &[Kind]) -> String {
    let files = [&arguments.json, &arguments.markdown];
    let files: Vec<String> = files.into_iter().flatten().map(|file| file.display().to_string()).collect();
    // The output files are not relevant to the measurement.
    let is_relevant = |word: &String| {
        !files.contains(word) && !["--bench", "--json", "--markdown"].contains(&word.as_str())
    };
    let words: Vec<String> = std::env::args().skip(1).filter(is_relevant).collect();
    let separator = if words.is_empty() { "" } else { " -- " };
    let versions: Vec<String> = kinds.iter().map(|kind| version(*kind)).collect();
    format!(
        "`cargo bench --bench peers{separator}{}` on {}: {}.\n\n",
        words.join(" "),
        machine::description(),
        versions.join(", ")
    )
}

/// The name of a server with its version.
fn version(kind: Kind) -> String {
    let flag = match kind {
        Kind::Unbound | Kind::Named | Kind::Kresd => "-V",
        Kind::Nsd | Kind::Dnsmasq => "-v",
        _ => "--version",
    };
    let output = kind.program().and_then(|program| Command::new(program).arg(flag).output().ok());
    let printed = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    let is_version = |word: &&str| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit());
    let word = printed.split([' ', '\n', ',']).find(is_version).unwrap_or("of unknown version");
    format!("{} {word}", kind.name())
}
