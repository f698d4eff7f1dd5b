//! Processes of servers: starting, measuring and ending them. None outlives the benchmark.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};

use crate::machine;

/// How long a process may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

/// Processes and folders that must not outlive the benchmark. They are removed when a signal ends it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cleanup(Arc<Mutex<CleanupTargets>>);

/// The running processes and existing folders.
#[derive(Debug, Default)]
struct CleanupTargets {
    processes: BTreeSet<i32>,
    folders: BTreeSet<PathBuf>,
}

impl Cleanup {
    /// Ends every process when this process receives a termination signal. Must be called before any other
    /// thread is started, because that thread would receive the signals.
    pub(crate) fn on_exit() -> io::Result<Self> {
        let cleanup = Self::default();
        let signals = termination_signals();
        signals.thread_block()?;
        let at_exit = cleanup.clone();
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let _ = signals.wait();
            let targets = at_exit.targets();
            targets.processes.iter().for_each(|pid| kill_tree(*pid, Signal::SIGKILL));
            for folder in &targets.folders {
                let _ = fs::remove_dir_all(folder);
            }
            std::process::exit(130);
        })?;
        Ok(cleanup)
    }

    /// Adds a folder to be removed. It may already have been removed.
    pub(crate) fn add_folder(&self, folder: &Path) {
        self.targets().folders.insert(folder.to_owned());
    }

    fn add(&self, pid: i32) {
        self.targets().processes.insert(pid);
    }

    fn remove(&self, pid: i32) {
        self.targets().processes.remove(&pid);
    }

    fn targets(&self) -> MutexGuard<'_, CleanupTargets> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A process of a server. It is ended when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    cleanup: Cleanup,
}

impl Process {
    /// Starts a command line on one processor, or on all. Its output is appended to a file.
    pub(crate) fn start(
        line: &[String],
        cpu: Option<usize>,
        log: &Path,
        cleanup: &Cleanup,
    ) -> io::Result<Self> {
        let log = File::options().create(true).append(true).open(log)?;
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = thread::scope(|scope| scope.spawn(|| spawn(&mut command, cpu)).join());
        let child = child.expect("starting a process does not panic")?;
        cleanup.add(child.id() as i32);
        Ok(Self { child, cleanup: cleanup.clone() })
    }

    /// Its process ID.
    pub(crate) fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal to it.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill(Pid::from_raw(self.pid()), signal)?)
    }

    fn wait_for_end(&mut self, time: Duration) -> bool {
        let end = Instant::now() + time;
        while Instant::now() < end {
            if self.has_ended() {
                return true;
            }
            thread::sleep(Duration::from_millis(5));
        }
        false
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.has_ended() {
            let _ = self.signal(Signal::SIGTERM);
            if !self.wait_for_end(GRACE) {
                kill_tree(self.pid(), Signal::SIGKILL);
                let _ = self.child.wait();
            }
        }
        self.cleanup.remove(self.pid());
    }
}

/// Starts a process that receives termination signals and is pinned to one processor. Called on a separate
/// thread, because a process inherits both settings from the thread that starts it.
fn spawn(command: &mut Command, cpu: Option<usize>) -> io::Result<Child> {
    machine::pin(cpu);
    termination_signals().thread_unblock()?;
    command.spawn()
}

/// The signals that end this process.
fn termination_signals() -> SigSet {
    SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP])
}

/// Sends a signal to a process and all its descendants, the youngest first.
fn kill_tree(pid: i32, signal: Signal) {
    for pid in tree(pid).into_iter().rev() {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// A process and all its descendants.
fn tree(pid: i32) -> Vec<i32> {
    let mut all = vec![pid];
    let mut at = 0;
    while at < all.len() {
        all.extend(children(all[at]));
        at += 1;
    }
    all
}

/// The children of all threads of a process.
fn children(pid: i32) -> Vec<i32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// Processor time of processes and all their descendants, including those that have ended: user and system
/// time in seconds.
pub(crate) fn cpu_seconds(processes: &[Process]) -> f64 {
    let ticks: u64 = all(processes).map(ticks).sum();
    let ticks_per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    ticks as f64 / ticks_per_second as f64
}

/// The sum of `utime`, `stime`, `cutime` and `cstime` of proc_pid_stat(5).
fn ticks(pid: i32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The preceding name may contain spaces and parentheses; the state after it is field 3.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    fields.skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// Resident memory of processes and all their descendants, in MiB.
pub(crate) fn memory_mib(processes: &[Process]) -> f64 {
    all(processes).map(resident_kib).sum::<f64>() / 1024.0
}

fn resident_kib(pid: i32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0.0)
}

fn all(processes: &[Process]) -> impl Iterator<Item = i32> {
    processes.iter().flat_map(|process| tree(process.pid()))
}
