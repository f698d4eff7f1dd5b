//! A running server with its configuration.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::data::Zone;
use crate::machine::{self, Ports};
use crate::metrics::MetricsPage;
use crate::peers::{Data, Kind, Launch, Outage, Reload, ServerSpec};
use crate::process::{Cleanup, Process, cpu_seconds, memory_mib};
use crate::wire::{HEADER, Reply, Template, Type};

/// A server that takes part, with its variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Participant {
    /// Its name in tables.
    pub label: String,
    /// The kind of server.
    pub kind: Kind,
    /// Number of server threads.
    pub threads: usize,
    /// Whether it writes a query log (plustwo only).
    pub query_log: bool,
    /// Whether its packet cache is enabled (plustwo only).
    pub packet_cache: bool,
    /// Additional settings for `outage`.
    pub outage: Option<Outage>,
}

impl Participant {
    /// A server with its default name and settings.
    pub(crate) fn new(kind: Kind, threads: usize) -> Self {
        let label = kind.name().to_owned();
        Self { label, kind, threads, query_log: false, packet_cache: true, outage: None }
    }
}

/// Where a server runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placement<'b> {
    /// The processor that it is pinned to.
    pub cpu: Option<usize>,
    /// The port of the upstream.
    pub upstream: u16,
    /// Ends the server when the benchmark ends.
    pub cleanup: &'b Cleanup,
}

/// A running server. It is ended when dropped.
#[derive(Debug)]
pub(crate) struct Server<'d> {
    /// The server and its variant.
    pub participant: Participant,
    // Declared before the folder, so that the processes end before it is removed.
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
    /// Writes the configuration and starts the server, which may not answer immediately.
    pub(crate) fn start(
        participant: Participant,
        placement: Placement<'_>,
        data: Data<'d>,
        ports: &mut Ports,
    ) -> io::Result<Self> {
        let mut server = Self {
            processes: Vec::new(),
            launch: Launch { lines: Vec::new(), reload: None },
            folder: tempfile::Builder::new().prefix("plustwo-bench-").tempdir()?,
            port: ports.take()?,
            admin: ports.take()?,
            upstream: placement.upstream,
            data,
            started: Instant::now(),
            participant,
        };
        placement.cleanup.add_folder(server.folder.path());
        server.launch = server.participant.kind.prepare(&server.spec())?;
        server.started = Instant::now();
        let log = server.folder.path().join("out");
        for line in &server.launch.lines {
            server.processes.push(Process::start(line, placement.cpu, &log, placement.cleanup)?);
        }
        Ok(server)
    }

    fn spec(&self) -> ServerSpec<'_> {
        ServerSpec {
            folder: self.folder.path(),
            port: self.port,
            admin: self.admin,
            upstream: self.upstream,
            threads: self.participant.threads,
            data: self.data,
            query_log: self.participant.query_log,
            packet_cache: self.participant.packet_cache,
            outage: self.participant.outage,
        }
    }

    /// The address on which it answers.
    pub(crate) fn address(&self) -> SocketAddr {
        self.spec().address()
    }

    /// Waits until the server answers a query for a name with an address. Returns the time since its start.
    pub(crate) fn wait_for(&mut self, name: &str, longest: Duration) -> io::Result<Duration> {
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

    /// Whether the server answers a query for a name with an address now.
    pub(crate) fn has_address(&self, name: &str) -> bool {
        query_once(self.address(), name).unwrap_or(false)
    }

    /// An error with the last lines of the server's output.
    fn failure(&self, what: &str) -> io::Error {
        let printed: String = ["out", "log"]
            .iter()
            .filter_map(|file| fs::read_to_string(self.folder.path().join(file)).ok())
            .collect();
        let last: Vec<&str> = printed.lines().rev().take(5).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        io::Error::other(format!("{} {what}: {}", self.participant.label, last.join(" | ")))
    }

    /// Replaces the data files of the server, without notifying it.
    pub(crate) fn rewrite(&self, zones: &[Zone]) -> io::Result<()> {
        self.participant.kind.write_data(&self.spec(), zones, 2)
    }

    /// Notifies the server that its data has changed.
    pub(crate) fn reload(&self) -> io::Result<()> {
        match &self.launch.reload {
            Some(Reload::Signal(signal)) => self.processes[0].signal(*signal),
            Some(Reload::Line(line)) => {
                let program = machine::program(&line[0]).unwrap_or_else(|| line[0].clone().into());
                let output = Command::new(program).args(&line[1..]).output()?;
                let failure_text = || io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned());
                output.status.success().then_some(()).ok_or_else(failure_text)
            }
            None => Err(io::Error::other(format!("{} cannot be notified", self.participant.label))),
        }
    }

    /// Processor seconds used so far.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        cpu_seconds(&self.processes)
    }

    /// Resident memory, in MiB.
    pub(crate) fn memory_mib(&self) -> f64 {
        memory_mib(&self.processes)
    }

    /// The metrics, if the server is plustwo.
    pub(crate) fn metrics(&self) -> io::Result<Option<MetricsPage>> {
        (self.participant.kind == Kind::Plustwo).then(|| MetricsPage::read(self.admin)).transpose()
    }
}

/// Whether a server answers a query for a name with an address.
fn query_once(server: SocketAddr, name: &str) -> io::Result<bool> {
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
