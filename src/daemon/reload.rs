//! Reloading: one at a time, at most one waiting, which everybody joins who asks meanwhile.
//!
//! ```text
//!  SIGHUP ─┐                       ┌─► compile on the loader's thread ─► diff ─► swap
//!  watch  ─┼─► Reloads (a queue) ─►│ Reloader                             (or keep the old world)
//!  admin  ─┘                       └─► the outcome, to all who asked before it began
//! ```
//!
//! A configuration that is valid and implausible (`implausible`) is applied only where an operator requested the
//! reload.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot, watch};

use super::fixed::FixedSettings;
use super::implausible;
use super::listeners::{Certificates, replace_certificates};
use super::loader::Loader;
use super::systemd;
use crate::admin::{Finding, ReloadHandle, ReloadOutcome};
use crate::config::{Code, Diagnostic, Loaded, Severity, SourceMap, count};
use crate::import;
use crate::serve::{Engine, tls};
use crate::world::compile::compile;
use crate::world::{MAX_SHOWN, diff};

/// How many may wait for the outcome of one reload.
const MOST_ASKING: usize = 1024;

/// Why a reload happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// An operator requested it: SIGHUP, `plustwo reload` or `POST /v1/reload`.
    Requested,
    /// The file watch saw a changed file. A configuration that is valid and implausible is not applied then.
    FileWatch,
}

/// Somebody who waits for an outcome.
struct ReloadRequest {
    cause: Cause,
    outcome: oneshot::Sender<Arc<ReloadOutcome>>,
}

/// Asks for reloads. Signals, the file watch and the admin pages share it.
#[derive(Clone)]
pub struct Reloads {
    queue: mpsc::Sender<ReloadRequest>,
}

impl Reloads {
    /// Reloads, and returns the outcome. A request that comes during a reload gets the next one.
    pub async fn reload(&self, cause: Cause) -> Arc<ReloadOutcome> {
        let (outcome, told) = oneshot::channel();
        if self.queue.send(ReloadRequest { cause, outcome }).await.is_ok()
            && let Ok(outcome) = told.await
        {
            return outcome;
        }
        let message = "the daemon is stopping".to_owned();
        Arc::new(ReloadOutcome::Failed { errors: vec![own("stopping", String::new(), message)] })
    }

    /// The same as the admin pages take it.
    pub fn handle(&self) -> ReloadHandle {
        let reloads = self.clone();
        Arc::new(move || {
            let reloads = reloads.clone();
            Box::pin(async move { reloads.reload(Cause::Requested).await })
        })
    }
}

/// Does the reloads that are asked for.
pub struct Reloader {
    queue: mpsc::Receiver<ReloadRequest>,
    work: Arc<ReloadWork>,
    loader: Loader,
    /// The files of the configuration as last read, for the watch.
    files: watch::Sender<Vec<PathBuf>>,
}

/// What a reload needs.
struct ReloadWork {
    engine: Arc<Engine>,
    /// Where the configuration comes from. `None`: the built-in lab.
    path: Option<PathBuf>,
    at_start: FixedSettings,
    certificates: Certificates,
    /// The files of the configuration in use that had text when it was read.
    filled: Mutex<Vec<PathBuf>>,
}

impl Reloader {
    /// A reloader for a configuration that is in use, and the way to ask it.
    pub fn new(
        engine: Arc<Engine>,
        path: Option<PathBuf>,
        loaded: &Loaded,
        certificates: Certificates,
        loader: Loader,
    ) -> (Self, Reloads) {
        let (asking, queue) = mpsc::channel(MOST_ASKING);
        let at_start = FixedSettings::of(&loaded.config, &engine.live().load());
        let files = watch::Sender::new(loaded.files().map(Path::to_owned).collect());
        let filled = Mutex::new(filled(loaded.files()));
        let work = Arc::new(ReloadWork { engine, path, at_start, certificates, filled });
        (Self { queue, work, loader, files }, Reloads { queue: asking })
    }

    /// The files of the configuration, told anew when a reload finds others.
    pub fn files(&self) -> watch::Receiver<Vec<PathBuf>> {
        self.files.subscribe()
    }

    /// Reloads when asked, until nobody can ask any more.
    pub async fn run(mut self) {
        let mut asking = Vec::new();
        while self.queue.recv_many(&mut asking, MOST_ASKING).await > 0 {
            systemd::reloading();
            let work = self.work.clone();
            let is_requested = asking.iter().any(|asking| asking.cause == Cause::Requested);
            let cause = if is_requested { Cause::Requested } else { Cause::FileWatch };
            // Compiling takes a while; the doors go on meanwhile.
            let done = self.loader.run(move || work.reload(cause)).await;
            let (outcome, files) = done.unwrap_or_else(|_| {
                tracing::error!("The reload broke off; the old world stays.");
                self.work.engine.observer().reloaded(false);
                let message = "the reload broke off; this is a mistake of plustwo's".to_owned();
                (ReloadOutcome::Failed { errors: vec![own("broken-off", String::new(), message)] }, None)
            });
            systemd::ready(&status(&outcome));
            self.tell_files(files.unwrap_or_default(), matches!(outcome, ReloadOutcome::Failed { .. }));
            let outcome = Arc::new(outcome);
            for asking in asking.drain(..) {
                // Who has gone does not want to know.
                let _ = asking.outcome.send(outcome.clone());
            }
        }
    }

    /// Says which files are to be watched. A configuration that is wrong may name too few: the ones that
    /// are missing are those that a person is about to mend.
    fn tell_files(&self, mut files: Vec<PathBuf>, failed: bool) {
        self.files.send_if_modified(|known| {
            if failed {
                let read: HashSet<&PathBuf> = files.iter().collect();
                let missing: Vec<PathBuf> =
                    known.iter().filter(|file| !read.contains(file)).cloned().collect();
                files.extend(missing);
            }
            let differs = !files.is_empty() && *known != files;
            if differs {
                *known = files;
            }
            differs
        });
    }
}

impl ReloadWork {
    /// Reads the configuration again and replaces the world, or keeps the old one and says why. With the
    /// outcome go the files that were read, when there were any.
    fn reload(&self, cause: Cause) -> (ReloadOutcome, Option<Vec<PathBuf>>) {
        let observer = self.engine.observer();
        let old = self.engine.live().load_full();
        let Some(path) = &self.path else {
            tracing::info!("The built-in lab does not change; nothing to reload.");
            return (ReloadOutcome::Unchanged { hash: old.hash.clone(), needs_restart: Vec::new() }, None);
        };
        // Before they are read, so that what is written meanwhile is not missed.
        let had_text = lock(&self.filled).clone();
        let emptied_before = emptied(&had_text);
        let mut loaded = match import::load(path) {
            Ok(source) => source.loaded,
            Err(error) => {
                observer.reloaded(false);
                tracing::error!(path = %path.display(), %error, "Cannot read the configuration; the old world stays.");
                let finding = own(
                    Code::UnreadableFile.as_str(),
                    path.display().to_string(),
                    format!("cannot read it: {error}"),
                );
                return (ReloadOutcome::Failed { errors: vec![finding] }, None);
            }
        };
        let world = compile(&mut loaded).filter(|world| tls::check(world, &mut loaded.report));
        let files: Vec<PathBuf> = loaded.files().map(Path::to_owned).collect();
        let found = loaded.report.sorted();
        let of = |severity| found.iter().filter(move |finding| finding.severity == severity);
        let findings =
            |severity| of(severity).map(|finding| placed(finding, &loaded.sources)).collect::<Vec<_>>();
        let Some(world) = world else {
            observer.reloaded(false);
            of(Severity::Error).for_each(|error| tracing::error!("{}", error.headline(&loaded.sources)));
            tracing::error!(path = %path.display(), "The configuration is wrong; the old world stays.");
            return (ReloadOutcome::Failed { errors: findings(Severity::Error) }, Some(files));
        };
        let mut missing = implausible::missing(&old, &world);
        let emptied: BTreeSet<PathBuf> = emptied(&had_text).into_iter().chain(emptied_before).collect();
        missing.extend(emptied.iter().map(|file| format!("{} is empty", file.display())));
        if !missing.is_empty() && world.hash != old.hash && cause == Cause::FileWatch {
            observer.reloaded(false);
            for missing in &missing {
                tracing::error!(
                    path = %path.display(),
                    "Keeping the previous configuration: {missing}. {APPLY_ANYWAY}"
                );
            }
            let place = path.display().to_string();
            let errors = missing.into_iter().map(|missing| implausible(&place, missing)).collect();
            return (ReloadOutcome::Failed { errors }, Some(files));
        }
        // Renewed files have their old names, so they are taken over even when nothing else changed.
        replace_certificates(&self.certificates, &world);
        let needs_restart = self.at_start.waiting(&FixedSettings::of(&loaded.config, &world));
        // What was written is as large as what it means; two worlds are enough to hold at once.
        drop(std::mem::take(&mut loaded.config));
        let hash = world.hash.clone();
        if hash == old.hash {
            observer.reloaded(true);
            tracing::info!(path = %path.display(), %hash, "The configuration is unchanged.");
            return (ReloadOutcome::Unchanged { hash, needs_restart }, Some(files));
        }
        of(Severity::Warning).for_each(|warning| tracing::warn!("{}", warning.headline(&loaded.sources)));
        super::warn_of_missing_sources(&world);
        let changes = diff(&old, &world);
        *lock(&self.filled) = filled(files.iter().map(PathBuf::as_path));
        observer.world_loaded(&world);
        self.engine.forwarder().world_replaced(&world);
        self.engine.live().replace(world);
        observer.reloaded(true);
        for change in changes.iter().take(MAX_SHOWN) {
            tracing::info!("Changed: {change}.");
        }
        if changes.len() > MAX_SHOWN {
            tracing::info!("And {} more changes.", changes.len() - MAX_SHOWN);
        }
        for setting in &needs_restart {
            tracing::warn!("Needs a restart, while the rest applies now: {setting}.");
        }
        tracing::info!(path = %path.display(), %hash, changes = changes.len(), "Reloaded.");
        let mut warnings = findings(Severity::Warning);
        for missing in missing {
            tracing::warn!(path = %path.display(), "Applied because it was requested: {missing}.");
            warnings.push(implausible(&path.display().to_string(), missing));
        }
        (ReloadOutcome::Reloaded { hash, changes, needs_restart, warnings }, Some(files))
    }
}

/// The help of a reload that keeps the previous configuration although the new one is valid.
const APPLY_ANYWAY: &str = "If it is meant, apply it with `plustwo reload`, SIGHUP or POST /v1/reload.";

/// A clause of [`implausible::missing`] as a finding.
fn implausible(place: &str, missing: String) -> Finding {
    Finding {
        code: "implausible",
        place: place.to_owned(),
        message: missing,
        help: Some(APPLY_ANYWAY.to_owned()),
    }
}

/// The longest text that is looked at to see whether it is blank, in octets.
const BLANK_AT_MOST: u64 = 64;

/// Whether a file is there and holds nothing, or nothing but a few blanks; whether a folder is there and holds no file.
fn is_blank(file: &Path) -> bool {
    let Ok(found) = std::fs::metadata(file) else { return false };
    if found.is_dir() {
        return std::fs::read_dir(file).is_ok_and(|mut files| files.next().is_none());
    }
    let is_white = || std::fs::read(file).is_ok_and(|octets| octets.iter().all(u8::is_ascii_whitespace));
    found.is_file() && (found.len() == 0 || (found.len() <= BLANK_AT_MOST && is_white()))
}

/// The files that hold something.
fn filled<'f>(files: impl Iterator<Item = &'f Path>) -> Vec<PathBuf> {
    files.filter(|file| !is_blank(file)).map(Path::to_owned).collect()
}

/// The files that held something and are blank now.
fn emptied(filled: &[PathBuf]) -> Vec<PathBuf> {
    filled.iter().filter(|file| is_blank(file)).cloned().collect()
}

/// Nothing can be half done under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A finding of no diagnostic: a file that cannot be read, or a reload that did not happen.
fn own(code: &'static str, place: String, message: String) -> Finding {
    Finding { code, place, message, help: None }
}

fn placed(finding: &Diagnostic, sources: &SourceMap) -> Finding {
    let place = sources.place(finding.mark);
    let place = place.map(|p| format!("{}:{}:{}", p.path.display(), p.line, p.column));
    Finding {
        code: finding.code.as_str(),
        place: place.unwrap_or_default(),
        message: finding.message.clone(),
        help: finding.help.clone(),
    }
}

/// The line that `systemctl status` shows.
fn status(outcome: &ReloadOutcome) -> String {
    match outcome {
        ReloadOutcome::Reloaded { hash, .. } | ReloadOutcome::Unchanged { hash, .. } => {
            format!("Answering; world {hash}.")
        }
        ReloadOutcome::Failed { errors } => {
            format!("Answering with the old world: the reload found {}.", count(errors.len(), "error"))
        }
    }
}
