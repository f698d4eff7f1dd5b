//! The file watch: a reload when a file of the configuration changes.
//!
//! Directories are watched, not files: editors write a new file and rename it over the old one, and
//! Kubernetes replaces a symbolic link to a directory; in both cases a watch on the file itself would
//! refer to an
//! obsolete file. An event in a directory triggers a check; only files whose metadata has changed trigger a
//! reload.

use std::collections::{BTreeSet, HashMap};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::reload::{Cause, Reloads};

/// Period without events after which files are checked, so that writers have finished.
const QUIET: Duration = Duration::from_millis(200);

/// Maximum time to wait for such a period.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// The metadata of a file. `None` if it does not exist.
type FileState = Option<(SystemTime, u64, u64, u64)>;

/// Watches the directories of the files and reloads when a file has changed. Ends when the sender is dropped,
/// or if watching is not possible.
pub(super) async fn run(mut files: watch::Receiver<Vec<PathBuf>>, reloads: Reloads) {
    // One pending event suffices: it triggers a check of all files.
    let (event, mut events) = mpsc::channel(1);
    let watcher = notify::recommended_watcher(move |seen: notify::Result<Event>| {
        // An error (lost events) triggers a check, too; read access does not.
        if !matches!(seen, Ok(Event { kind: EventKind::Access(_), .. })) {
            let _ = event.try_send(());
        }
    });
    let mut directories = match watcher {
        Ok(watcher) => WatchedDirectories { watcher, watched: BTreeSet::new() },
        Err(error) => {
            tracing::warn!(%error, "Cannot watch files; reload with SIGHUP or `plustwo reload`.");
            return;
        }
    };
    let mut watched: Files = files.borrow_and_update().as_slice().into();
    directories.watch(&watched).await;
    let mut known = file_states(&watched).await;
    tracing::info!(
        files = watched.len(),
        directories = directories.watched.len(),
        "Watching the configuration."
    );
    loop {
        tokio::select! {
            notified = files.changed() => {
                if notified.is_err() {
                    return;
                }
                let before: HashMap<PathBuf, FileState> = watched.iter().cloned().zip(known).collect();
                watched = files.borrow_and_update().as_slice().into();
                directories.watch(&watched).await;
                // Files that are new in the list have just been read. For the others, the known state is
                // kept; otherwise a pending event would find no change.
                let now = file_states(&watched).await;
                let kept = watched.iter().zip(now).map(|(file, now)| before.get(file).copied().unwrap_or(now));
                known = kept.collect();
            }
            event = events.recv() => {
                if event.is_none() {
                    return;
                }
                quiet(&mut events).await;
                // Recorded before reading: later changes cause another event and another state.
                let now = file_states(&watched).await;
                if now != known {
                    known = now;
                    tracing::info!("A configuration file changed.");
                    reloads.reload(Cause::FileWatch).await;
                    // A symbolic link may point to another directory now.
                    directories.watch(&watched).await;
                }
            }
        }
    }
}

/// Waits until no event has occurred for some time.
async fn quiet(events: &mut mpsc::Receiver<()>) {
    let end = Instant::now() + MAX_WAIT;
    let until_quiet = async { while let Ok(Some(())) = timeout(QUIET, events.recv()).await {} };
    // In a directory that is never quiet, the files are checked nevertheless.
    let _ = timeout_at(end, until_quiet).await;
}

/// The files of the configuration.
type Files = Arc<[PathBuf]>;

/// The state of the files, in order.
async fn file_states(files: &Files) -> Vec<FileState> {
    let state_of = |file: &PathBuf| -> FileState {
        let seen = std::fs::metadata(file).ok()?;
        Some((seen.modified().ok()?, seen.len(), seen.dev(), seen.ino()))
    };
    with_files(files, move |files| files.iter().map(state_of).collect()).await
}

/// Runs a file system operation on a thread for blocking work: there may be thousands of files, and the
/// listeners' threads must not wait.
async fn with_files<T: Send + 'static>(
    files: &Files,
    operation: impl FnOnce(&[PathBuf]) -> T + Send + 'static,
) -> T {
    let files = files.clone();
    let result = tokio::task::spawn_blocking(move || operation(&files)).await;
    result.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))
}

/// The watched directories.
struct WatchedDirectories {
    watcher: RecommendedWatcher,
    watched: BTreeSet<PathBuf>,
}

impl WatchedDirectories {
    /// Watches exactly the directories of these files.
    async fn watch(&mut self, files: &Files) {
        let wanted = with_files(files, directories_of).await;
        for directory in self.watched.difference(&wanted) {
            // A removed directory is no longer watched anyway.
            let _ = self.watcher.unwatch(directory);
        }
        for directory in wanted.difference(&self.watched) {
            if let Err(error) = self.watcher.watch(directory, RecursiveMode::NonRecursive) {
                tracing::warn!(directory = %directory.display(), %error, "Cannot watch a directory.");
            }
        }
        self.watched = wanted;
    }
}

/// The directories in which the files are named, and those in which they are located after following links.
fn directories_of(files: &[PathBuf]) -> BTreeSet<PathBuf> {
    let directory = |file: &Path| match file.parent() {
        Some(directory) if directory != Path::new("") => directory.to_owned(),
        _ => PathBuf::from("."),
    };
    let named: BTreeSet<PathBuf> = files.iter().map(|file| directory(file)).collect();
    let mut directories: BTreeSet<PathBuf> =
        named.into_iter().map(|directory| directory.canonicalize().unwrap_or(directory)).collect();
    let is_link = |file: &&PathBuf| file.symlink_metadata().is_ok_and(|file| file.is_symlink());
    let linked = files.iter().filter(is_link).filter_map(|file| file.canonicalize().ok());
    directories.extend(linked.map(|real| directory(&real)));
    directories
}
