//! A server that runs with a configuration of its own.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::data::Zone;
use crate::machine::{self, Ports};
use crate::metrics::Page;
use crate::peers::{Data, Kind, Launch, Outage, Reload, Task};
use crate::process::{Brood, Process, cpu_seconds, memory_mib};
use crate::wire::{HEADER, Reply, Template, Type};

/// Who takes part, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contestant {
    /// As it is called in tables.
    pub label: String,
    /// Which server.
    pub kind: Kind,
    /// How many threads answer.
    pub threads: usize,
    /// Whether it writes a query log (plustwo alone).
    pub query_log: bool,
    /// Whether it keeps replies as octets (plustwo alone).
    pub packet_cache: bool,
    /// What it needs for `outage`.
    pub outage: Option<Outage>,
}

impl Contestant {
    /// A server under its own name.
    pub fn new(kind: Kind, threads: usize) -> Self {
        let label = kind.name().to_owned();
        Self { label, kind, threads, query_log: false, packet_cache: true, outage: None }
    }
}

/// Where a server is to run.
#[derive(Clone, Copy, Debug)]
pub struct Stand<'b> {
    /// The processor that it stays on.
    pub cpu: Option<usize>,
    /// The port of the name server above.
    pub upstream: u16,
    /// Who ends it when the benchmark is ended.
    pub brood: &'b Brood,
}

/// A running server. It ends when dropped.
#[derive(Debug)]
pub struct Server<'d> {
    /// Who it is.
    pub contestant: Contestant,
    // Before its folder, so that it has ended when that goes away.
    processes: Vec<Process>,
    launch: Launch,
    folder: TempDir,
    port: u16,
    admin: u16,
    upstream: u16,
    data: Data<'d>,
    started: Instant,
}

impl<'d> Server<'d> {
    /// Writes its configuration and starts it. It may not answer yet.
    pub fn start(
        contestant: Contestant,
        stand: Stand<'_>,
        data: Data<'d>,
        ports: &mut Ports,
    ) -> io::Result<Self> {
        let mut server = Self {
            processes: Vec::new(),
            launch: Launch { lines: Vec::new(), reload: None },
            folder: tempfile::Builder::new().prefix("plustwo-bench-").tempdir()?,
            port: ports.take()?,
            admin: ports.take()?,
            upstream: stand.upstream,
            data,
            started: Instant::now(),
            contestant,
        };
        stand.brood.add_folder(server.folder.path());
        server.launch = server.contestant.kind.prepare(&server.task())?;
        server.started = Instant::now();
        let log = server.folder.path().join("out");
        for line in &server.launch.lines {
            server.processes.push(Process::start(line, stand.cpu, &log, stand.brood)?);
        }
        Ok(server)
    }

    fn task(&self) -> Task<'_> {
        Task {
            folder: self.folder.path(),
            port: self.port,
            admin: self.admin,
            upstream: self.upstream,
            threads: self.contestant.threads,
            data: self.data,
            query_log: self.contestant.query_log,
            packet_cache: self.contestant.packet_cache,
            outage: self.contestant.outage,
        }
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.task().address()
    }

    /// Waits until it answers a name with an address; how long that took since its start.
    pub fn wait_for(&mut self, name: &str, longest: Duration) -> io::Result<Duration> {
        while self.started.elapsed() < longest {
            if self.has_address(name) {
                return Ok(self.started.elapsed());
            }
            if self.processes.iter_mut().any(Process::has_ended) {
                return Err(self.failure("ended"));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Err(self.failure("does not answer"))
    }

    /// Whether it answers a name with an address now.
    pub fn has_address(&self, name: &str) -> bool {
        ask(self.address(), name).unwrap_or(false)
    }

    /// What went wrong, with the last that it printed.
    fn failure(&self, what: &str) -> io::Error {
        let printed: String = ["out", "log"]
            .iter()
            .filter_map(|file| fs::read_to_string(self.folder.path().join(file)).ok())
            .collect();
        let last: Vec<&str> = printed.lines().rev().take(5).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        io::Error::other(format!("{} {what}: {}", self.contestant.label, last.join(" | ")))
    }

    /// Writes other data where it reads its own from; it does not know yet.
    pub fn rewrite(&self, zones: &[Zone]) -> io::Result<()> {
        self.contestant.kind.write_data(&self.task(), zones, 2)
    }

    /// Tells it that its data changed.
    pub fn reload(&self) -> io::Result<()> {
        match &self.launch.reload {
            Some(Reload::Signal(signal)) => self.processes[0].signal(*signal),
            Some(Reload::Line(line)) => {
                let program = machine::program(&line[0]).unwrap_or_else(|| line[0].clone().into());
                let told = Command::new(program).args(&line[1..]).output()?;
                let said = || io::Error::other(String::from_utf8_lossy(&told.stderr).into_owned());
                told.status.success().then_some(()).ok_or_else(said)
            }
            None => Err(io::Error::other(format!("{} cannot be told", self.contestant.label))),
        }
    }

    /// Processor seconds so far.
    pub fn cpu_seconds(&self) -> f64 {
        cpu_seconds(&self.processes)
    }

    /// Resident memory, in MiB.
    pub fn memory_mib(&self) -> f64 {
        memory_mib(&self.processes)
    }

    /// The page of metrics, of a server that is ours.
    pub fn metrics(&self) -> io::Result<Option<Page>> {
        (self.contestant.kind == Kind::Plustwo).then(|| Page::read(self.admin)).transpose()
    }
}

/// Whether a server answers a name with an address.
fn ask(server: SocketAddr, name: &str) -> io::Result<bool> {
    let template = Template::new(name, Type::A);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    socket.connect(server)?;
    socket.send(&template.wire)?;
    let mut reply = [0; 2048];
    let length = socket.recv(&mut reply)?;
    let question = HEADER + template.question_length;
    let fits = length >= question && reply[HEADER..question] == template.wire[HEADER..question];
    let reply = Reply::read(&reply[..length], template.question_length).filter(|_| fits);
    Ok(reply.is_some_and(|reply| reply.rcode == 0 && reply.addresses > 0))
}
