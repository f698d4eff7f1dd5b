//! The environment of the benchmark: processors, network namespace, installed programs.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::Command;

use nix::sched::{CloneFlags, CpuSet, sched_getaffinity, sched_setaffinity, setns, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;

/// Pins the calling thread, and threads and processes that it starts later, to one processor; `None` means
/// all.
pub(crate) fn pin(cpu: Option<usize>) {
    let mut set = CpuSet::new();
    let cpus = cpu.map_or(0..CpuSet::count(), |cpu| cpu..cpu + 1);
    for cpu in cpus {
        set.set(cpu).expect("the processor is within the set");
    }
    if let Err(error) = sched_setaffinity(Pid::from_raw(0), &set) {
        eprintln!("cannot pin a thread to processor {cpu:?}: {error}");
    }
}

/// The processors that this process may use.
pub(crate) fn processors() -> Vec<usize> {
    let set = sched_getaffinity(Pid::from_raw(0)).expect("the affinity can be read");
    (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu) == Ok(true)).collect()
}

/// Moves this process into a network namespace that has only loopback. Must be called before any thread is
/// started.
pub(crate) fn enter_own_network() -> io::Result<()> {
    let before = File::open("/proc/self/ns/net")?;
    unshare(CloneFlags::CLONE_NEWNET)?;
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
    if up.as_ref().is_ok_and(|status| status.success()) {
        return Ok(());
    }
    setns(before, CloneFlags::CLONE_NEWNET)?;
    Err(up.err().unwrap_or_else(|| io::Error::other("`ip link set lo up` failed")))
}

/// Raises the limit on open files as far as permitted; servers inherit it.
pub(crate) fn raise_file_limit() {
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most.min(65_536), most);
    }
}

/// The number of datagrams that the kernel has dropped because a UDP socket was full, over all sockets with
/// this port (column `drops`, proc_net_udp(5)).
pub(crate) fn udp_drops(port: u16) -> u64 {
    let table = fs::read_to_string("/proc/net/udp").unwrap_or_default();
    let suffix = format!(":{port:04X}");
    let drops = |line: &str| {
        let mut fields = line.split_whitespace();
        fields.nth(1).filter(|local| local.ends_with(&suffix))?;
        fields.next_back()?.parse::<u64>().ok()
    };
    table.lines().skip(1).filter_map(drops).sum()
}

/// The path of a program in `PATH` or in the folders where Debian installs daemons.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Free ports, in ascending order. They are below the range that the system assigns to clients.
#[derive(Debug)]
pub(crate) struct Ports {
    next: u16,
}

impl Ports {
    /// Starts with port 5301.
    pub(crate) fn new() -> Self {
        Self { next: 5301 }
    }

    /// The next port that is free for both UDP and TCP.
    pub(crate) fn take(&mut self) -> io::Result<u16> {
        while self.next < 32_000 {
            let port = self.next;
            self.next += 1;
            let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, port));
            if udp.is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(port);
            }
        }
        Err(io::Error::other("no port is free"))
    }
}

/// The model of the processor, the number of processors, and the version of the kernel.
pub(crate) fn description() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let model = model.map_or("unknown", |(_, model)| model.trim());
    // The rest of the version identifies the build.
    let kernel = kernel.trim().split('-').next().unwrap_or_default();
    format!("{model}, {} processors, Linux {kernel}", processors().len())
}
