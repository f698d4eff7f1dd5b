//! The file watch: a reload when a file of the configuration changes.
//!
//! Folders are watched, not files: editors write a new file and rename it over the old one, and Kubernetes
//! swaps a link to a folder, and both leave a watch on the file itself with a file that nobody reads any
//! more. An event in a folder is a reason to look; only files that look otherwise than before are a
//! reason to reload.

use std::collections::{BTreeSet, HashMap};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::reload::{Cause, Reloads};

/// How long it must be quiet before files are looked at: whoever writes has finished by then.
const QUIET: Duration = Duration::from_millis(200);

/// How long to wait for quiet in a folder that never is.
const PATIENCE: Duration = Duration::from_secs(2);

/// How a file looks from outside. `None`: it is not there.
type FileState = Option<(SystemTime, u64, u64, u64)>;

/// Watches the folders of the files and reloads when one of the files looks otherwise. Ends when nobody
/// tells files any more, or when the system does not let it watch.
pub async fn run(mut files: watch::Receiver<Vec<PathBuf>>, reloads: Reloads) {
    // One waiting event says as much as a thousand.
    let (event, mut events) = mpsc::channel(1);
    let watcher = notify::recommended_watcher(move |seen: notify::Result<Event>| {
        // An error (events were lost) is a reason to look, too; reading is none.
        if !matches!(seen, Ok(Event { kind: EventKind::Access(_), .. })) {
            let _ = event.try_send(());
        }
    });
    let mut folders = match watcher {
        Ok(watcher) => WatchedDirectories { watcher, watched: BTreeSet::new() },
        Err(error) => {
            tracing::warn!(%error, "Cannot watch files; a reload needs SIGHUP or `plustwo reload`.");
            return;
        }
    };
    let mut watched: Files = files.borrow_and_update().as_slice().into();
    folders.watch(&watched).await;
    let mut known = looks(&watched).await;
    tracing::info!(files = watched.len(), folders = folders.watched.len(), "Watching the configuration.");
    loop {
        tokio::select! {
            told = files.changed() => {
                if told.is_err() {
                    return;
                }
                let before: HashMap<PathBuf, FileState> = watched.iter().cloned().zip(known).collect();
                watched = files.borrow_and_update().as_slice().into();
                folders.watch(&watched).await;
                // The files that are new in the list have just been read; of the others the looks stay, or
                // an event that waits would find nothing new.
                let now = looks(&watched).await;
                let kept = watched.iter().zip(now).map(|(file, now)| before.get(file).copied().unwrap_or(now));
                known = kept.collect();
            }
            event = events.recv() => {
                if event.is_none() {
                    return;
                }
                quiet(&mut events).await;
                // Before they are read: what is written meanwhile makes another event and other looks.
                let now = looks(&watched).await;
                if now != known {
                    known = now;
                    tracing::info!("A file of the configuration changed.");
                    reloads.reload(Cause::FileWatch).await;
                    // A link may lead into another folder now.
                    folders.watch(&watched).await;
                }
            }
        }
    }
}

/// Waits until no event has come for a while.
async fn quiet(events: &mut mpsc::Receiver<()>) {
    let end = Instant::now() + PATIENCE;
    let settled = async { while let Ok(Some(())) = timeout(QUIET, events.recv()).await {} };
    // In a folder that is never quiet the files are looked at all the same.
    let _ = timeout_at(end, settled).await;
}

/// The files of the configuration.
type Files = Arc<[PathBuf]>;

/// How the files look, in their order.
async fn looks(files: &Files) -> Vec<FileState> {
    let look = |file: &PathBuf| -> FileState {
        let seen = std::fs::metadata(file).ok()?;
        Some((seen.modified().ok()?, seen.len(), seen.dev(), seen.ino()))
    };
    with_files(files, move |files| files.iter().map(look).collect()).await
}

/// Asks the file system on a thread that may wait for it: there may be thousands of files, and the doors'
/// threads have answers to give.
async fn with_files<T: Send + 'static>(
    files: &Files,
    ask: impl FnOnce(&[PathBuf]) -> T + Send + 'static,
) -> T {
    let files = files.clone();
    let asked = tokio::task::spawn_blocking(move || ask(&files)).await;
    asked.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))
}

/// The folders under watch.
struct WatchedDirectories {
    watcher: RecommendedWatcher,
    watched: BTreeSet<PathBuf>,
}

impl WatchedDirectories {
    /// Watches the folders of these files and no others.
    async fn watch(&mut self, files: &Files) {
        let wanted = with_files(files, folders_of).await;
        for folder in self.watched.difference(&wanted) {
            // A folder that is gone is watched no more by itself.
            let _ = self.watcher.unwatch(folder);
        }
        for folder in wanted.difference(&self.watched) {
            if let Err(error) = self.watcher.watch(folder, RecursiveMode::NonRecursive) {
                tracing::warn!(folder = %folder.display(), %error, "Cannot watch a folder.");
            }
        }
        self.watched = wanted;
    }
}

/// The folders the files are named in, and those they lie in where links lead elsewhere.
fn folders_of(files: &[PathBuf]) -> BTreeSet<PathBuf> {
    let folder = |file: &Path| match file.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let named: BTreeSet<PathBuf> = files.iter().map(|file| folder(file)).collect();
    let mut folders: BTreeSet<PathBuf> =
        named.into_iter().map(|folder| folder.canonicalize().unwrap_or(folder)).collect();
    let is_link = |file: &&PathBuf| file.symlink_metadata().is_ok_and(|file| file.is_symlink());
    let linked = files.iter().filter(is_link).filter_map(|file| file.canonicalize().ok());
    folders.extend(linked.map(|real| folder(&real)));
    folders
}
