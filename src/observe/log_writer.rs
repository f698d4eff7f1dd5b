//! Where records of the query log go: a stream or a file, written by a thread of its own.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use prometheus::IntCounter;
use thiserror::Error;

use super::rotating_file::RotatingFile;
use crate::config::{self, LogTo};

/// How many records may wait to be written.
const QUEUE: usize = 8192;

/// How many octets are written at once at most, if a single record is not longer.
const BATCH: usize = 64 << 10;

/// A query log that is open and not yet written to.
///
/// Which queries are written is the observer's to say (`log_cache_hits`).
pub struct QueryLog {
    output: Output,
}

/// Why there is no query log.
#[derive(Debug, Error)]
pub enum QueryLogError {
    /// `to = "file"`, and no file is named.
    #[error("the query log goes to a file, and `query_log.file` names none")]
    NoFile,
    /// The file cannot be opened.
    #[error("cannot open the query log {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl QueryLog {
    /// Opens the log that is configured, its file for appending. `None`: it is off.
    ///
    /// # Errors
    ///
    /// When the file is not named or cannot be opened.
    pub fn open(config: &config::QueryLog) -> Result<Option<Self>, QueryLogError> {
        let output = match *config.to.value() {
            LogTo::Off => return Ok(None),
            LogTo::Stdout => Output::Stream(Box::new(io::stdout())),
            LogTo::File => {
                let path = PathBuf::from(config.file.as_ref().ok_or(QueryLogError::NoFile)?);
                let file = RotatingFile::open(path.clone(), config.rotate_at_bytes, config.keep);
                Output::File(file.map_err(|source| QueryLogError::Open { path, source })?)
            }
        };
        Ok(Some(Self { output }))
    }

    /// Starts the thread that writes, and counts in `dropped` what it cannot.
    pub(super) fn start(self, dropped: IntCounter) -> io::Result<LogWriter> {
        let (records, queue) = sync_channel(QUEUE);
        let reopen = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new().name("query-log".to_owned()).spawn({
            let (dropped, reopen) = (dropped.clone(), reopen.clone());
            move || {
                Pen { output: self.output, batch: Vec::new(), lines: 0, dropped, failing: false }
                    .run(&queue, &reopen)
            }
        })?;
        Ok(LogWriter { records: Some(records), reopen, dropped, thread: Some(thread) })
    }
}

/// The way to the thread that writes. When it is dropped, what waits is written first.
#[derive(Debug)]
pub struct LogWriter {
    records: Option<SyncSender<Vec<u8>>>,
    reopen: Arc<AtomicBool>,
    dropped: IntCounter,
    thread: Option<JoinHandle<()>>,
}

impl LogWriter {
    /// Hands over a record, or drops and counts it when too many wait. Never blocks.
    pub fn write(&self, record: Vec<u8>) {
        if self.records.as_ref().is_none_or(|records| records.try_send(record).is_err()) {
            self.dropped.inc();
        }
    }

    /// Has the file opened anew by its name, after another program has moved it. Never blocks.
    pub fn reopen(&self) {
        self.reopen.store(true, Ordering::Release);
        if let Some(records) = &self.records {
            // An empty record wakes the thread. If there is no room, it is awake.
            let _ = records.try_send(Vec::new());
        }
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        drop(self.records.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so itself.
            let _ = thread.join();
        }
    }
}

/// Writes records in batches: as many as wait, as long as they fit.
struct Pen {
    output: Output,
    batch: Vec<u8>,
    /// How many records are in the batch.
    lines: u64,
    dropped: IntCounter,
    /// The last batch could not be written; that was told.
    failing: bool,
}

impl Pen {
    fn run(mut self, queue: &Receiver<Vec<u8>>, reopen: &AtomicBool) {
        while let Ok(first) = queue.recv() {
            for record in std::iter::once(first).chain(queue.try_iter()) {
                if reopen.swap(false, Ordering::AcqRel) {
                    self.flush();
                    let reopened = self.output.reopen();
                    self.tell(reopened);
                }
                self.take(&record);
            }
            self.flush();
        }
    }

    fn take(&mut self, record: &[u8]) {
        let together = self.batch.len() + record.len();
        if together > BATCH || !self.output.has_room(together) {
            self.flush();
        }
        self.batch.extend_from_slice(record);
        self.lines += u64::from(!record.is_empty());
    }

    fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let written = self.output.write(&self.batch);
        if written.is_err() {
            self.dropped.inc_by(self.lines);
        }
        self.batch.clear();
        self.lines = 0;
        self.tell(written);
    }

    /// Says once that it fails, and once that it does no more.
    fn tell(&mut self, result: io::Result<()>) {
        match result {
            Err(error) if !self.failing => {
                tracing::warn!(%error, "The query log cannot be written; records are missing from it.");
                self.failing = true;
            }
            Ok(()) if self.failing => {
                tracing::info!("The query log is written again.");
                self.failing = false;
            }
            Err(_) | Ok(()) => {}
        }
    }
}

enum Output {
    Stream(Box<dyn Write + Send>),
    File(RotatingFile),
}

impl Output {
    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        match self {
            Self::Stream(stream) => stream.write_all(octets).and_then(|()| stream.flush()),
            Self::File(file) => file.write(octets),
        }
    }

    /// Whether so many octets more can be written without rotating.
    fn has_room(&self, octets: usize) -> bool {
        match self {
            Self::Stream(_) => true,
            Self::File(file) => file.has_room(octets),
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        match self {
            Self::Stream(_) => Ok(()),
            Self::File(file) => file.reopen(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    fn config(path: &Path) -> config::QueryLog {
        let file = Some(path.to_str().unwrap().to_owned());
        config::QueryLog { to: LogTo::File.into(), file, ..config::QueryLog::default() }
    }

    #[test]
    fn a_moved_file_is_left_alone_after_a_reopening() {
        let dir = tempfile::tempdir().unwrap();
        let (path, moved) = (dir.path().join("query.log"), dir.path().join("moved.log"));
        let dropped = IntCounter::new("d", "d").unwrap();
        let log = QueryLog::open(&config(&path)).unwrap().unwrap().start(dropped.clone()).unwrap();
        fs::rename(&path, &moved).unwrap();
        log.reopen();
        log.write(b"new\n".to_vec());
        drop(log);
        assert_eq!(fs::read_to_string(&path).unwrap(), "new\n");
        assert_eq!(fs::read_to_string(&moved).unwrap(), "");
        assert_eq!(dropped.get(), 0);
    }

    #[test]
    fn what_cannot_be_written_is_counted() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let dropped = IntCounter::new("d", "d").unwrap();
        let log = QueryLog { output: Output::Stream(Box::new(Broken)) }.start(dropped.clone()).unwrap();
        log.write(b"a\n".to_vec());
        log.reopen();
        log.write(b"b\n".to_vec());
        drop(log);
        assert_eq!(dropped.get(), 2);
    }

    #[test]
    fn a_log_may_be_off_or_impossible() {
        assert!(QueryLog::open(&config::QueryLog::default()).unwrap().is_none());
        let nameless = config::QueryLog { to: LogTo::File.into(), ..config::QueryLog::default() };
        assert!(matches!(QueryLog::open(&nameless), Err(QueryLogError::NoFile)));
        let dir = tempfile::tempdir().unwrap();
        let refused = QueryLog::open(&config(dir.path()));
        assert!(matches!(refused, Err(QueryLogError::Open { .. })));
    }
}
