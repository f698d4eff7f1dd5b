//! Output of the query log: a stream or a file, written by a separate thread.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use prometheus::IntCounter;
use thiserror::Error;

use super::rotating_file::{Append, IncompleteWrite, RotatingFile, append};
use crate::config::{self, LogTo};

/// Maximum number of pages that wait to be written. With [`FULL_PAGE`] octets each, these are 15 MiB or about
/// twenty thousand records.
const MAX_QUEUED_PAGES: usize = 256;

/// Size in octets at which a page is submitted.
const FULL_PAGE: usize = 60 << 10;

/// Interval at which a flush is submitted again while the queue is full.
const FLUSH_RETRY: Duration = Duration::from_millis(5);

/// Maximum number of empty pages retained for reuse.
const MAX_SPARE_PAGES: usize = 8;

/// A query log that is open but not yet written to.
///
/// The observer decides which queries are logged (`log_cache_hits`).
pub struct QueryLog {
    output: Output,
}

/// Why the query log cannot be opened.
#[derive(Debug, Error)]
pub enum QueryLogError {
    /// `to = "file"` is set without a file name.
    #[error("the query log is written to a file, but `query_log.file` is not set")]
    NoFile,
    /// The file cannot be opened.
    #[error("cannot open the query log {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl QueryLog {
    /// Opens the configured log; a file is opened for appending. `None` if the log is disabled.
    ///
    /// # Errors
    ///
    /// If no file name is set or the file cannot be opened.
    pub fn open(config: &config::QueryLog) -> Result<Option<Self>, QueryLogError> {
        let output = match *config.to.value() {
            LogTo::Off => return Ok(None),
            LogTo::Stdout => Output::Stream { stream: Box::new(Stream(stdout())), has_partial_record: false },
            LogTo::File => {
                let path = PathBuf::from(config.file.as_ref().ok_or(QueryLogError::NoFile)?);
                let file = RotatingFile::open(path.clone(), config.rotate_at_bytes, config.keep);
                Output::File(file.map_err(|source| QueryLogError::Open { path, source })?)
            }
        };
        Ok(Some(Self { output }))
    }

    /// Starts the writer thread, which counts the records that it cannot write in `dropped`.
    pub(super) fn start(self, dropped: IntCounter) -> io::Result<LogWriter> {
        let (jobs, queue) = sync_channel(MAX_QUEUED_PAGES);
        let spares = SparePages::default();
        let reopen = Arc::new(AtomicBool::new(false));
        let thread = thread::Builder::new().name("query-log".to_owned()).spawn({
            let (dropped, reopen, spares) = (dropped.clone(), reopen.clone(), spares.clone());
            let writer = PageWriter { output: self.output, dropped, failing: false };
            move || writer.run(&queue, &reopen, &spares)
        })?;
        Ok(LogWriter { jobs: Some(jobs), spares, reopen, dropped, thread: Some(thread) })
    }
}

/// Records that are submitted together, each with its line terminator.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// The records.
    pub octets: Vec<u8>,
    /// Their number.
    pub lines: u64,
}

impl Page {
    /// Whether it should be submitted.
    pub(super) fn is_full(&self) -> bool {
        self.octets.len() >= FULL_PAGE
    }
}

/// Empty pages for reuse, so that a busy log does not allocate.
type SparePages = Arc<Mutex<Vec<Vec<u8>>>>;

/// Handle to the writer thread. Dropping it writes the queued pages first.
#[derive(Debug)]
pub(super) struct LogWriter {
    jobs: Option<SyncSender<Job>>,
    spares: SparePages,
    reopen: Arc<AtomicBool>,
    dropped: IntCounter,
    thread: Option<JoinHandle<()>>,
}

impl LogWriter {
    /// Takes the records of a page and leaves it empty. If the queue is full, the records are dropped and
    /// counted. Does not block for long.
    pub(super) fn write(&self, page: &mut Page) {
        let spare = self.spares.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let octets = spare.unwrap_or_else(|| Vec::with_capacity(FULL_PAGE + FULL_PAGE / 4));
        let full = std::mem::replace(page, Page { octets, lines: 0 });
        let lines = full.lines;
        if self.jobs.as_ref().is_none_or(|jobs| jobs.try_send(Job::Write(full)).is_err()) {
            self.dropped.inc_by(lines);
        }
    }

    /// Reopens the file by its name, after another program has moved it. Does not block.
    pub(super) fn reopen(&self) {
        self.reopen.store(true, Ordering::Release);
        if let Some(jobs) = &self.jobs {
            // An empty page wakes the thread. If the queue is full, the thread is awake.
            let _ = jobs.try_send(Job::Write(Page::default()));
        }
    }

    /// Waits until all records submitted so far have been written, for at most `timeout`. Blocks. Called at
    /// shutdown, because the process does not wait for its threads.
    pub(super) fn flush(&self, timeout: Duration) {
        let Some(jobs) = &self.jobs else { return };
        let deadline = Instant::now() + timeout;
        let (done, written) = sync_channel(1);
        let mut job = Job::Flush(done);
        // The queue is full while the output is stalled, and its channel has no send with a time limit.
        while let Err(refused) = jobs.try_send(job) {
            match refused {
                TrySendError::Full(again) if Instant::now() < deadline => job = again,
                TrySendError::Full(_) | TrySendError::Disconnected(_) => return,
            }
            thread::sleep(FLUSH_RETRY);
        }
        let _ = written.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

/// A job of the writer thread.
enum Job {
    /// Write a page.
    Write(Page),
    /// Report that everything submitted before has been written.
    Flush(SyncSender<()>),
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A panic has already been printed by the thread itself.
            let _ = thread.join();
        }
    }
}

/// Writes pages as they arrive.
struct PageWriter {
    output: Output,
    dropped: IntCounter,
    /// Whether the last write failed. The failure has been logged.
    failing: bool,
}

impl PageWriter {
    fn run(mut self, queue: &Receiver<Job>, reopen: &AtomicBool, spares: &SparePages) {
        while let Ok(job) = queue.recv() {
            let page = match job {
                Job::Write(page) => page,
                Job::Flush(done) => {
                    // The waiting caller may have timed out.
                    let _ = done.try_send(());
                    continue;
                }
            };
            if reopen.swap(false, Ordering::AcqRel) {
                let reopened = self.output.reopen();
                self.report(reopened);
            }
            self.write(&page);
            recycle(page.octets, spares);
        }
    }

    /// Writes a page at once if it fits into the file, otherwise as many records at a time as fit.
    fn write(&mut self, page: &Page) {
        let (mut rest, mut lines) = (&page.octets[..], page.lines);
        while !rest.is_empty() {
            let (part, count) = match self.output.has_room(rest.len()) {
                true => (rest, lines),
                false => self.fitting(rest),
            };
            let outcome = self.output.write(part).map_err(|IncompleteWrite { written, error }| {
                let complete = part[..written].iter().filter(|octet| **octet == b'\n').count() as u64;
                self.dropped.inc_by(count.saturating_sub(complete));
                error
            });
            self.report(outcome);
            rest = &rest[part.len()..];
            lines = lines.saturating_sub(count);
        }
    }

    /// The first records that fit, at least one, and their number.
    fn fitting<'p>(&self, records: &'p [u8]) -> (&'p [u8], u64) {
        let (mut end, mut count) = (0, 0);
        for record in records.split_inclusive(|octet| *octet == b'\n') {
            if count > 0 && !self.output.has_room(end + record.len()) {
                break;
            }
            end += record.len();
            count += 1;
        }
        (&records[..end], count)
    }

    /// Logs the first failure of a series, and the first success after it.
    fn report(&mut self, result: io::Result<()>) {
        match result {
            Err(error) if !self.failing => {
                tracing::warn!(%error, "Cannot write the query log; records are lost.");
                self.failing = true;
            }
            Ok(()) if self.failing => {
                tracing::info!("The query log can be written again.");
                self.failing = false;
            }
            Err(_) | Ok(()) => {}
        }
    }
}

/// Retains the buffer of a written page for reuse.
fn recycle(mut octets: Vec<u8>, spares: &SparePages) {
    let mut spares = spares.lock().unwrap_or_else(PoisonError::into_inner);
    if spares.len() < MAX_SPARE_PAGES && octets.capacity() > 0 {
        octets.clear();
        spares.push(octets);
    }
}

enum Output {
    Stream {
        stream: Box<dyn Append + Send>,
        /// Whether the last record was written partially.
        has_partial_record: bool,
    },
    File(RotatingFile),
}

/// A stream. It cannot be truncated, because other processes may write to it as well.
struct Stream<W>(W);

impl<W: Write> Write for Stream<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<W: Write> Append for Stream<W> {
    fn truncate_tail(&mut self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Opens standard output without a buffer. The standard library's buffer would retain the octets that a full
/// disk rejected and write them later, after records that were counted as lost.
fn stdout() -> Box<dyn Write + Send> {
    match io::stdout().as_fd().try_clone_to_owned() {
        Ok(descriptor) => Box::new(File::from(descriptor)),
        Err(_) => Box::new(io::stdout()),
    }
}

impl Output {
    fn write(&mut self, records: &[u8]) -> Result<(), IncompleteWrite> {
        match self {
            Self::Stream { stream, has_partial_record } => {
                append(stream.as_mut(), records, has_partial_record)?;
                stream.flush().map_err(IncompleteWrite::from)
            }
            Self::File(file) => file.write(records),
        }
    }

    /// Whether this many octets can be written without rotating.
    fn has_room(&self, octets: usize) -> bool {
        match self {
            Self::Stream { .. } => true,
            Self::File(file) => file.has_room(octets),
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        match self {
            Self::Stream { .. } => Ok(()),
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

    fn page(record: &str) -> Page {
        Page { octets: record.into(), lines: 1 }
    }

    #[test]
    fn after_reopening_a_moved_file_is_not_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let (path, moved) = (dir.path().join("query.log"), dir.path().join("moved.log"));
        let dropped = IntCounter::new("d", "d").unwrap();
        let log = QueryLog::open(&config(&path)).unwrap().unwrap().start(dropped.clone()).unwrap();
        fs::rename(&path, &moved).unwrap();
        log.reopen();
        log.write(&mut page("new\n"));
        drop(log);
        assert_eq!(fs::read_to_string(&path).unwrap(), "new\n");
        assert_eq!(fs::read_to_string(&moved).unwrap(), "");
        assert_eq!(dropped.get(), 0);
    }

    #[test]
    fn records_that_cannot_be_written_are_counted() {
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
        let output = Output::Stream { stream: Box::new(Stream(Broken)), has_partial_record: false };
        let log = QueryLog { output }.start(dropped.clone()).unwrap();
        log.write(&mut page("a\n"));
        log.reopen();
        log.write(&mut page("b\n"));
        drop(log);
        assert_eq!(dropped.get(), 2);
    }

    #[test]
    fn flush_returns_although_the_output_is_stalled() {
        /// An output that accepts nothing until the sender of its channel is dropped.
        struct Stalled(Receiver<()>);

        impl Write for Stalled {
            fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
                let _ = self.0.recv();
                Ok(octets.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        let (release, stalled) = sync_channel(0);
        let output = Output::Stream { stream: Box::new(Stream(Stalled(stalled))), has_partial_record: false };
        let log = QueryLog { output }.start(IntCounter::new("d", "d").unwrap()).unwrap();
        for _ in 0..MAX_QUEUED_PAGES + 2 {
            log.write(&mut page("a\n"));
        }
        log.flush(FLUSH_RETRY);
        drop(release);
    }

    #[test]
    fn a_log_can_be_disabled_or_fail_to_open() {
        assert!(QueryLog::open(&config::QueryLog::default()).unwrap().is_none());
        let without_file = config::QueryLog { to: LogTo::File.into(), ..config::QueryLog::default() };
        assert!(matches!(QueryLog::open(&without_file), Err(QueryLogError::NoFile)));
        let dir = tempfile::tempdir().unwrap();
        let failed = QueryLog::open(&config(dir.path()));
        assert!(matches!(failed, Err(QueryLogError::Open { .. })));
    }
}
