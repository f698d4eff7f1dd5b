//! Reloads: one at a time. All requests received during a reload share the next one.
//!
//! ```text
//!  SIGHUP ─┐                       ┌─► compile on the loader's thread ─► diff ─► swap
//!  watch  ─┼─► Reloads (a queue) ─►│ Reloader                             (or keep the previous world)
//!  admin  ─┘                       └─► the outcome, to all requests received before it began
//! ```
//!
//! A configuration that is valid but implausible (`implausible`) is applied only if an operator requested the
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

/// Maximum number of requests that share one reload.
const MAX_WAITING: usize = 1024;

/// The cause of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// An operator requested it: SIGHUP, `plustwo reload` or `POST /v1/reload`.
    Requested,
    /// The file watch detected a changed file. A configuration that is valid but implausible is not applied.
    FileWatch,
}

/// A request that waits for an outcome.
struct ReloadRequest {
    cause: Cause,
    outcome: oneshot::Sender<Arc<ReloadOutcome>>,
}

/// Handle for requesting reloads, shared by signals, the file watch and the admin server.
#[derive(Clone)]
pub(super) struct Reloads {
    queue: mpsc::Sender<ReloadRequest>,
}

impl Reloads {
    /// Reloads and returns the outcome. A request received during a reload is served by the next one.
    pub(super) async fn reload(&self, cause: Cause) -> Arc<ReloadOutcome> {
        let (outcome, result) = oneshot::channel();
        if self.queue.send(ReloadRequest { cause, outcome }).await.is_ok()
            && let Ok(outcome) = result.await
        {
            return outcome;
        }
        let message = "the daemon is stopping".to_owned();
        Arc::new(ReloadOutcome::Failed { errors: vec![finding("stopping", String::new(), message)] })
    }

    /// The same for the admin server.
    pub(super) fn handle(&self) -> ReloadHandle {
        let reloads = self.clone();
        Arc::new(move || {
            let reloads = reloads.clone();
            Box::pin(async move { reloads.reload(Cause::Requested).await })
        })
    }
}

/// Performs requested reloads.
pub(super) struct Reloader {
    queue: mpsc::Receiver<ReloadRequest>,
    work: Arc<ReloadWork>,
    loader: Loader,
    /// The files of the most recently read configuration, for the watch.
    files: watch::Sender<Vec<PathBuf>>,
}

/// The inputs of a reload.
struct ReloadWork {
    engine: Arc<Engine>,
    /// The path of the configuration. `None` for the built-in lab.
    path: Option<PathBuf>,
    startup_settings: FixedSettings,
    certificates: Certificates,
    /// The files of the current configuration that were not empty when it was read.
    nonempty: Mutex<Vec<PathBuf>>,
}

impl Reloader {
    /// Creates a reloader for a configuration in use, and a handle to it.
    pub(super) fn new(
        engine: Arc<Engine>,
        path: Option<PathBuf>,
        loaded: &Loaded,
        certificates: Certificates,
        loader: Loader,
    ) -> (Self, Reloads) {
        let (sender, queue) = mpsc::channel(MAX_WAITING);
        let at_start = FixedSettings::new(&loaded.config, &engine.live().load());
        let files = watch::Sender::new(loaded.files().map(Path::to_owned).collect());
        let filled = Mutex::new(non_empty(loaded.files()));
        let work =
            Arc::new(ReloadWork { engine, path, startup_settings: at_start, certificates, nonempty: filled });
        (Self { queue, work, loader, files }, Reloads { queue: sender })
    }

    /// The files of the configuration, updated when a reload finds other files.
    pub(super) fn files(&self) -> watch::Receiver<Vec<PathBuf>> {
        self.files.subscribe()
    }

    /// Reloads on request, until all handles are dropped.
    pub(super) async fn run(mut self) {
        let mut requests = Vec::new();
        while self.queue.recv_many(&mut requests, MAX_WAITING).await > 0 {
            systemd::reloading();
            let work = self.work.clone();
            let is_requested = requests.iter().any(|request| request.cause == Cause::Requested);
            let cause = if is_requested { Cause::Requested } else { Cause::FileWatch };
            // Compiling takes time, during which the listeners continue to answer.
            let done = self.loader.run(move || work.reload(cause)).await;
            let (outcome, files) = done.unwrap_or_else(|_| {
                tracing::error!("The reload panicked; keeping the previous configuration.");
                self.work.engine.observer().record_reload(false);
                let message = "the reload panicked; this is a bug in plustwo".to_owned();
                (ReloadOutcome::Failed { errors: vec![finding("broken-off", String::new(), message)] }, None)
            });
            systemd::ready(&status(&outcome));
            self.publish_files(files.unwrap_or_default(), matches!(outcome, ReloadOutcome::Failed { .. }));
            let outcome = Arc::new(outcome);
            for request in requests.drain(..) {
                // The requester may be gone.
                let _ = request.outcome.send(outcome.clone());
            }
        }
    }

    /// Updates the files to be watched. An invalid configuration may have been read only in part, so the
    /// previous files stay watched: the error may be fixed in one of them.
    fn publish_files(&self, mut files: Vec<PathBuf>, failed: bool) {
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
    /// Reads the configuration and replaces the world, or keeps the previous one. The outcome
    /// is accompanied by the files that were read, if any.
    fn reload(&self, cause: Cause) -> (ReloadOutcome, Option<Vec<PathBuf>>) {
        let observer = self.engine.observer();
        let old = self.engine.live().load_full();
        let Some(path) = &self.path else {
            tracing::info!("The built-in lab has no files; nothing to reload.");
            return (ReloadOutcome::Unchanged { hash: old.hash.clone(), needs_restart: Vec::new() }, None);
        };
        // Checked before reading, so that changes in the meantime are detected.
        let previously_nonempty = lock(&self.nonempty).clone();
        let emptied_before = emptied(&previously_nonempty);
        let mut loaded = match import::load(path) {
            Ok(source) => source.loaded,
            Err(error) => {
                observer.record_reload(false);
                tracing::error!(path = %path.display(), %error, "Cannot read the configuration; keeping the previous one.");
                let finding = finding(
                    Code::UnreadableFile.as_str(),
                    path.display().to_string(),
                    format!("cannot read the file: {error}"),
                );
                return (ReloadOutcome::Failed { errors: vec![finding] }, None);
            }
        };
        let world = compile(&mut loaded).filter(|world| tls::check(world, &mut loaded.report));
        let files: Vec<PathBuf> = loaded.files().map(Path::to_owned).collect();
        let found = loaded.report.sorted();
        let of = |severity| found.iter().filter(move |finding| finding.severity == severity);
        let findings =
            |severity| of(severity).map(|finding| to_finding(finding, &loaded.sources)).collect::<Vec<_>>();
        let Some(world) = world else {
            observer.record_reload(false);
            of(Severity::Error).for_each(|error| tracing::error!("{}", error.headline(&loaded.sources)));
            tracing::error!(path = %path.display(), "The configuration is invalid; keeping the previous one.");
            return (ReloadOutcome::Failed { errors: findings(Severity::Error) }, Some(files));
        };
        let mut missing = implausible::missing(&old, &world);
        let emptied: BTreeSet<PathBuf> =
            emptied(&previously_nonempty).into_iter().chain(emptied_before).collect();
        missing.extend(emptied.iter().map(|file| format!("{} is empty", file.display())));
        if !missing.is_empty() && world.hash != old.hash && cause == Cause::FileWatch {
            observer.record_reload(false);
            for missing in &missing {
                tracing::error!(
                    path = %path.display(),
                    "Keeping the previous configuration: {missing}. {APPLY_ANYWAY}"
                );
            }
            let position = path.display().to_string();
            let errors = missing.into_iter().map(|missing| implausible(&position, missing)).collect();
            return (ReloadOutcome::Failed { errors }, Some(files));
        }
        // Renewed certificates have the same file names, so they are reloaded even if nothing else has
        // changed.
        replace_certificates(&self.certificates, &world);
        let needs_restart =
            self.startup_settings.pending_changes(&FixedSettings::new(&loaded.config, &world));
        // The loaded configuration is as large as a world, and two worlds are already in memory.
        drop(std::mem::take(&mut loaded.config));
        let hash = world.hash.clone();
        if hash == old.hash {
            observer.record_reload(true);
            tracing::info!(path = %path.display(), %hash, "The configuration is unchanged.");
            return (ReloadOutcome::Unchanged { hash, needs_restart }, Some(files));
        }
        of(Severity::Warning).for_each(|warning| tracing::warn!("{}", warning.headline(&loaded.sources)));
        super::warn_about_missing_sources(&world);
        let changes = diff(&old, &world);
        *lock(&self.nonempty) = non_empty(files.iter().map(PathBuf::as_path));
        observer.record_loaded_config(&world);
        self.engine.forwarder().world_replaced(&world);
        self.engine.live().replace(world);
        observer.record_reload(true);
        for change in changes.iter().take(MAX_SHOWN) {
            tracing::info!("Changed: {change}.");
        }
        if changes.len() > MAX_SHOWN {
            tracing::info!("{} more changes.", changes.len() - MAX_SHOWN);
        }
        for setting in &needs_restart {
            tracing::warn!("Takes effect only after a restart: {setting}. Other changes are applied.");
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

/// Help for a reload that keeps the previous configuration although the new one is valid.
const APPLY_ANYWAY: &str = "To apply it anyway, use `plustwo reload`, SIGHUP or POST /v1/reload.";

/// A clause of [`implausible::missing`] as a finding.
fn implausible(place: &str, missing: String) -> Finding {
    Finding {
        code: "implausible",
        position: place.to_owned(),
        message: missing,
        help: Some(APPLY_ANYWAY.to_owned()),
    }
}

/// Maximum size of a file that is checked for being blank, in octets.
const MAX_BLANK_LEN: u64 = 64;

/// Whether a path is an existing file that is empty or blank, or an existing directory without entries.
fn is_blank(file: &Path) -> bool {
    let Ok(found) = std::fs::metadata(file) else { return false };
    if found.is_dir() {
        return std::fs::read_dir(file).is_ok_and(|mut files| files.next().is_none());
    }
    let is_whitespace = || std::fs::read(file).is_ok_and(|octets| octets.iter().all(u8::is_ascii_whitespace));
    found.is_file() && (found.len() == 0 || (found.len() <= MAX_BLANK_LEN && is_whitespace()))
}

/// The files that are not empty.
fn non_empty<'f>(files: impl Iterator<Item = &'f Path>) -> Vec<PathBuf> {
    files.filter(|file| !is_blank(file)).map(Path::to_owned).collect()
}

/// The files that were not empty and are blank now.
fn emptied(filled: &[PathBuf]) -> Vec<PathBuf> {
    filled.iter().filter(|file| is_blank(file)).cloned().collect()
}

/// No update can be left incomplete under these locks, so poisoning is ignored.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A finding that is not a diagnostic: a file that cannot be read, or a reload that was not performed.
fn finding(code: &'static str, position: String, message: String) -> Finding {
    Finding { code, position, message, help: None }
}

fn to_finding(finding: &Diagnostic, sources: &SourceMap) -> Finding {
    let place = sources.position(finding.mark);
    let place = place.map(|p| format!("{}:{}:{}", p.path.display(), p.line, p.column));
    Finding {
        code: finding.code.as_str(),
        position: place.unwrap_or_default(),
        message: finding.message.clone(),
        help: finding.help.clone(),
    }
}

/// The status line for `systemctl status`.
fn status(outcome: &ReloadOutcome) -> String {
    match outcome {
        ReloadOutcome::Reloaded { hash, .. } | ReloadOutcome::Unchanged { hash, .. } => {
            format!("Serving configuration {hash}.")
        }
        ReloadOutcome::Failed { errors } => {
            format!("Serving the previous configuration: the reload found {}.", count(errors.len(), "error"))
        }
    }
}
