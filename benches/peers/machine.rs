//! Where the benchmark runs: processors, a network of its own, what is installed.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::Command;

use nix::sched::{CloneFlags, CpuSet, sched_getaffinity, sched_setaffinity, setns, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;

/// Puts the calling thread, and what it starts from then on, on one processor; with `None` on all.
pub fn pin(cpu: Option<usize>) {
    let mut set = CpuSet::new();
    let cpus = cpu.map_or(0..CpuSet::count(), |cpu| cpu..cpu + 1);
    for cpu in cpus {
        set.set(cpu).expect("the set has room for each of its processors");
    }
    if let Err(error) = sched_setaffinity(Pid::from_raw(0), &set) {
        eprintln!("no thread can be kept on processor {cpu:?}: {error}");
    }
}

/// The processors that may be used.
pub fn processors() -> Vec<usize> {
    let set = sched_getaffinity(Pid::from_raw(0)).expect("a process may ask where it runs");
    (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu) == Ok(true)).collect()
}

/// Moves this process into a network that has nothing but loopback. Must come before any thread.
pub fn leave_the_network() -> io::Result<()> {
    let before = File::open("/proc/self/ns/net")?;
    unshare(CloneFlags::CLONE_NEWNET)?;
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
    if up.as_ref().is_ok_and(|status| status.success()) {
        return Ok(());
    }
    setns(before, CloneFlags::CLONE_NEWNET)?;
    Err(up.err().unwrap_or_else(|| io::Error::other("`ip link set lo up` failed")))
}

/// Allows as many open files as the system lets it; servers inherit it.
pub fn raise_file_limit() {
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most.min(65_536), most);
    }
}

/// How many datagrams the kernel has dropped because a UDP socket of this port was full, over all sockets of the port
/// (the column `drops` of proc_net_udp(5)).
pub fn udp_drops(port: u16) -> u64 {
    let table = fs::read_to_string("/proc/net/udp").unwrap_or_default();
    let suffix = format!(":{port:04X}");
    let drops = |line: &str| {
        let mut fields = line.split_whitespace();
        fields.nth(1).filter(|local| local.ends_with(&suffix))?;
        fields.next_back()?.parse::<u64>().ok()
    };
    table.lines().skip(1).filter_map(drops).sum()
}

/// A program of the path, or of the folders that Debian keeps daemons in.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Ports that nobody has, from one on. They lie below those that the system gives to clients.
#[derive(Debug)]
pub struct Ports {
    next: u16,
}

impl Ports {
    /// Ports from 5301 on.
    pub fn new() -> Self {
        Self { next: 5301 }
    }

    /// A port that is free for UDP and TCP now.
    pub fn take(&mut self) -> io::Result<u16> {
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

/// The processor and the kernel, in words.
pub fn description() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let model = model.map_or("unknown", |(_, model)| model.trim());
    // What follows the number is who built it.
    let kernel = kernel.trim().split('-').next().unwrap_or_default();
    format!("{model}, {} processors, Linux {kernel}", processors().len())
}
