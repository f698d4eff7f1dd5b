//! Processes: started, measured and ended. None outlives the benchmark.

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

/// How long a process may take to end by itself.
const GRACE: Duration = Duration::from_secs(5);

/// What must not outlive the benchmark, so that a signal takes it away too.
#[derive(Clone, Debug, Default)]
pub struct Brood(Arc<Mutex<Young>>);

/// Processes that run now, and folders that are there now.
#[derive(Debug, Default)]
struct Young {
    processes: BTreeSet<i32>,
    folders: BTreeSet<PathBuf>,
}

impl Brood {
    /// Ends every process when this one is told to end. Must come before any other thread, which would
    /// take the signals itself.
    pub fn end_with_this_process() -> io::Result<Self> {
        let brood = Self::default();
        let signals = ends();
        signals.thread_block()?;
        let doomed = brood.clone();
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let _ = signals.wait();
            let young = doomed.young();
            young.processes.iter().for_each(|pid| end_tree(*pid, Signal::SIGKILL));
            for folder in &young.folders {
                let _ = fs::remove_dir_all(folder);
            }
            std::process::exit(130);
        })?;
        Ok(brood)
    }

    /// Has a folder removed too. One that is gone already does no harm.
    pub fn add_folder(&self, folder: &Path) {
        self.young().folders.insert(folder.to_owned());
    }

    fn add(&self, pid: i32) {
        self.young().processes.insert(pid);
    }

    fn remove(&self, pid: i32) {
        self.young().processes.remove(&pid);
    }

    fn young(&self) -> MutexGuard<'_, Young> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A process of a server. It ends when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    brood: Brood,
}

impl Process {
    /// Starts a command line on one processor, or on all. What it prints is added to a file.
    pub fn start(line: &[String], cpu: Option<usize>, log: &Path, brood: &Brood) -> io::Result<Self> {
        let log = File::options().create(true).append(true).open(log)?;
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = thread::scope(|scope| scope.spawn(|| spawn(&mut command, cpu)).join());
        let child = child.expect("starting a process does not panic")?;
        brood.add(child.id() as i32);
        Ok(Self { child, brood: brood.clone() })
    }

    /// Its number.
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill(Pid::from_raw(self.pid()), signal)?)
    }

    fn ends_within(&mut self, time: Duration) -> bool {
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
            if !self.ends_within(GRACE) {
                end_tree(self.pid(), Signal::SIGKILL);
                let _ = self.child.wait();
            }
        }
        self.brood.remove(self.pid());
    }
}

/// Starts a process that hears signals and stays on one processor. On a thread of its own, since a process takes
/// both from the thread that starts it.
fn spawn(command: &mut Command, cpu: Option<usize>) -> io::Result<Child> {
    machine::pin(cpu);
    ends().thread_unblock()?;
    command.spawn()
}

/// The signals that end this process.
fn ends() -> SigSet {
    SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP])
}

/// Sends a signal to a process and to all below it, the youngest first.
fn end_tree(pid: i32, signal: Signal) {
    for pid in tree(pid).into_iter().rev() {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// A process and all below it.
fn tree(pid: i32) -> Vec<i32> {
    let mut all = vec![pid];
    let mut at = 0;
    while at < all.len() {
        all.extend(children(all[at]));
        at += 1;
    }
    all
}

/// The children of each of a process's threads.
fn children(pid: i32) -> Vec<i32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// Processor seconds, user and system, of processes and all below them, those that have ended included.
pub fn cpu_seconds(processes: &[Process]) -> f64 {
    let ticks: u64 = all(processes).map(ticks).sum();
    let a_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    ticks as f64 / a_second as f64
}

/// `utime`, `stime`, `cutime` and `cstime` of proc_pid_stat(5).
fn ticks(pid: i32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name before may hold spaces and parentheses; the state after it is field 3.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    fields.skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// Resident memory of processes and all below them, in MiB.
pub fn memory_mib(processes: &[Process]) -> f64 {
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
