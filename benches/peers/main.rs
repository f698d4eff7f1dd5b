//! Servers side by side on loopback: the same data, the same queries, one after the other in each round.
//!
//! ```text
//!  main ──► rounds ──► server ──► peers          configurations; who is started how
//!             │           └────── process        start, processor time, memory, end
//!             ├─────► generator, stream          load over UDP, over TCP
//!             │           └── flight ── wire     queries on their way; every reply is checked
//!             │           └── workload ── data   what is asked
//!             ├─────► upstream                   the name server that all forward to
//!             ├─────► metrics                    plustwo's counters against what was received
//!             ├─────► report                     tables, JSON
//!             ├─────► growth ── plot             worlds that grow; a picture
//!             └─────► outage                     name servers that do not answer
//! ```
//!
//! `cargo bench --bench peers` takes about two minutes, `-- --full` more than half an hour; `-- --help` lists
//! the rest.
//! `benches/README.md` says how to read the figures.

mod batch;
mod data;
mod flight;
mod generator;
mod growth;
mod histogram;
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

use data::worlds::Thing;
use machine::Ports;
use peers::Kind;
use process::Brood;
use report::Record;
use rounds::{Bench, Site};
use setup::{Setup, SetupName};
use workload::Workload;

/// What is measured unless something is asked for.
const SHORT: [Workload; 6] = [
    Workload::Local,
    Workload::Cached,
    Workload::Mixed,
    Workload::Miss,
    Workload::Endpoint,
    Workload::Ceiling,
];

/// plustwo beside other servers, on loopback.
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench peers --")]
struct Arguments {
    /// Everything but growth and outage: all workloads, each in every set-up that suits it, seven rounds of two seconds.
    #[arg(long)]
    full: bool,
    /// What is measured.
    #[arg(long, value_delimiter = ',', value_enum)]
    workloads: Vec<Workload>,
    /// Who stays on which processor; pin1 unless said, and free2 for workers and outage.
    #[arg(long, value_delimiter = ',', value_enum)]
    setups: Vec<SetupName>,
    /// Which servers; all that are installed unless said.
    #[arg(long, value_delimiter = ',', value_enum)]
    peers: Vec<Kind>,
    /// Whom the others are compared with.
    #[arg(long, value_enum, default_value = "unbound")]
    base: Kind,
    /// What grows in growth; everything unless said.
    #[arg(long, value_delimiter = ',', value_enum)]
    things: Vec<Thing>,
    /// How many rounds: 3 unless said, and 1 of growth and of outage.
    #[arg(long)]
    rounds: Option<usize>,
    /// For how long a server is loaded in each round, in seconds: 1 unless said. Reload and outage have times of their own.
    #[arg(long)]
    seconds: Option<f64>,
    /// Appends a JSON object for each run to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Writes the tables into this file; between `<!-- figures -->` and `<!-- /figures -->` if it has them, growth between
    /// `<!-- growth -->` and `<!-- /growth -->`, with a picture beside the file, and outage between `<!-- outage -->` and
    /// `<!-- /outage -->`.
    #[arg(long)]
    markdown: Option<PathBuf>,
    /// Stays in the network that it was started in, on high ports of loopback.
    #[arg(long)]
    stay: bool,
    /// What cargo says to every benchmark.
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

    /// The servers that are asked for and installed, the base first. Others are named on standard error.
    fn kinds(&self) -> Vec<Kind> {
        let asked = if self.peers.is_empty() { Kind::value_variants() } else { &self.peers };
        let (found, missing): (Vec<Kind>, Vec<Kind>) =
            asked.iter().partition(|kind| kind.program().is_some_and(|program| program.is_file()));
        for kind in missing {
            eprintln!("{} is left out: it is not installed (Debian: {})", kind.name(), kind.package());
        }
        let mut kinds = found;
        kinds.sort_by_key(|kind| *kind != self.base);
        kinds
    }

    fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.full { 7 } else { 3 })
    }

    /// What grows in growth.
    fn things(&self) -> &[Thing] {
        if self.things.is_empty() { Thing::value_variants() } else { &self.things }
    }

    /// One round of growth, or of outage, takes as long as three of all else.
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
        [_, word, port] if word == "--canned" => canned(port),
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

/// The least that a server can do, as a process of its own so that its processor time is seen like another's.
fn canned(port: &str) -> io::Result<()> {
    let port: u16 = port.parse().map_err(io::Error::other)?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port))?;
    upstream::serve(&socket, upstream::Manner::Canned)
}

fn run(arguments: &Arguments) -> io::Result<()> {
    if !arguments.stay {
        match machine::leave_the_network() {
            Ok(()) => eprintln!("in a network of its own, which has only loopback"),
            Err(error) => eprintln!("on high ports of this network, since no other can be had: {error}"),
        }
    }
    machine::raise_file_limit();
    let processors = machine::processors();
    let mut bench = Bench {
        brood: Brood::end_with_this_process()?,
        ports: Ports::new(),
        serials: flight::Serials::new(),
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
            Err(sentence) => {
                eprintln!("left out: {sentence}");
                continue;
            }
        };
        let site = Site { setup: &setup, upstream: upstream::start(setup.generator_cpu)? };
        for workload in workloads {
            if matches!(workload, Workload::Growth | Workload::Outage) {
                bench.rounds = arguments.long_rounds();
                match workload {
                    Workload::Growth => {
                        growth.push_str(&measure_growth(&mut bench, site, arguments, json.as_mut())?);
                    }
                    _ => outage.push_str(&measure_outage(&mut bench, site, arguments, json.as_mut())?),
                }
                bench.rounds = arguments.rounds();
                continue;
            }
            let records = measure(&mut bench, site, workload, json.as_mut())?;
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

/// Measures one workload, and tells each record as it comes.
fn measure(
    bench: &mut Bench,
    site: Site<'_>,
    workload: Workload,
    json: Option<&mut File>,
) -> io::Result<Vec<Record>> {
    let mut records = Vec::new();
    bench.run(site, workload, &mut |record| {
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

/// Measures growth, and draws it beside the page if there is one; what is to stand in the page.
fn measure_growth(
    bench: &mut Bench,
    site: Site<'_>,
    arguments: &Arguments,
    json: Option<&mut File>,
) -> io::Result<String> {
    let mut records = Vec::new();
    for thing in arguments.things() {
        bench.growth(site, *thing, &mut |record| {
            eprintln!("{}", record.line());
            records.push(record);
        })?;
    }
    if let Some(file) = json {
        for record in &records {
            writeln!(file, "{}", serde_json::to_string(record)?)?;
        }
    }
    let found = growth::Found(&records);
    let table = found.table();
    println!("{table}");
    let mut text = head(arguments, &[Kind::Plustwo]);
    let rounds = if bench.rounds == 1 { "one round".to_owned() } else { format!("{} rounds", bench.rounds) };
    let (setup, seconds) = (report::capital(&site.setup.meaning()), bench.time.as_secs_f64());
    text.push_str(&format!("{setup}; {rounds} of {seconds} s.\n\n"));
    if let Some(page) = &arguments.markdown {
        text.push_str(&draw(page, &found)?);
    }
    Ok(text + &table + "\n")
}

/// Measures outages; returns the part of the page.
fn measure_outage(
    bench: &mut Bench,
    site: Site<'_>,
    arguments: &Arguments,
    json: Option<&mut File>,
) -> io::Result<String> {
    let mut records = Vec::new();
    bench.outage(site, &mut |record| {
        eprintln!("{}", record.line());
        records.push(record);
    })?;
    if let Some(file) = json {
        for record in &records {
            writeln!(file, "{}", serde_json::to_string(record)?)?;
        }
    }
    let tables = outage::tables(site.setup, &records, bench.base.name());
    println!("{tables}");
    let kinds: Vec<Kind> =
        bench.kinds.iter().copied().filter(|kind| kind.takes_part(Workload::Outage)).collect();
    Ok(head(arguments, &kinds) + &tables)
}

/// Writes the picture of growth beside a page; the line that shows it.
fn draw(page: &Path, found: &growth::Found<'_>) -> io::Result<String> {
    let stem = page.file_stem().unwrap_or_default().to_string_lossy();
    let name = format!("{stem}-growth.svg");
    let title = "CPU an answer that is decided, against growth";
    let picture = plot::svg(title, "how many there are", "CPU µs an answer", &found.lines());
    fs::write(page.with_file_name(&name), picture)?;
    Ok(format!("![{title}: a line for each thing of the table below.]({name})\n\n"))
}

/// The command, the machine and the servers' versions.
fn head(arguments: &Arguments, kinds: &[Kind]) -> String {
    let files = [&arguments.json, &arguments.markdown];
    let files: Vec<String> = files.into_iter().flatten().map(|file| file.display().to_string()).collect();
    // Where it was written to is not what was measured.
    let is_told = |word: &String| {
        !files.contains(word) && !["--bench", "--json", "--markdown"].contains(&word.as_str())
    };
    let words: Vec<String> = std::env::args().skip(1).filter(is_told).collect();
    let separator = if words.is_empty() { "" } else { " -- " };
    let versions: Vec<String> = kinds.iter().map(|kind| version(*kind)).collect();
    format!(
        "`cargo bench --bench peers{separator}{}` on {}: {}.\n\n",
        words.join(" "),
        machine::description(),
        versions.join(", ")
    )
}

/// A server's name with the version that it tells.
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
