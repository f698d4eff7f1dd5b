//! Where records of the query log go: a stream or a file, written by a thread of its own.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use prometheus::IntCounter;
use thiserror::Error;

use super::rotating_file::{Append, Incomplete, RotatingFile, append};
use crate::config::{self, LogTo};

/// How many pages may wait to be written: at [`FULL`] octets each 16 MiB, some twenty thousand records.
const QUEUE: usize = 256;

/// From so many octets on a page is handed over.
const FULL: usize = 60 << 10;

/// How many empty pages are kept to be written on again.
const SPARE: usize = 8;

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
            LogTo::Stdout => Output::Stream { stream: Box::new(Stream(stdout())), torn: false },
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
        let (jobs, queue) = sync_channel(QUEUE);
        let spares = Spares::default();
        let reopen = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new().name("query-log".to_owned()).spawn({
            let (dropped, reopen, spares) = (dropped.clone(), reopen.clone(), spares.clone());
            let pen = Pen { output: self.output, dropped, failing: false };
            move || pen.run(&queue, &reopen, &spares)
        })?;
        Ok(LogWriter { jobs: Some(jobs), spares, reopen, dropped, thread: Some(thread) })
    }
}

/// Records that are handed over together, each with its line end.
#[derive(Debug, Default)]
pub struct Page {
    /// The records.
    pub octets: Vec<u8>,
    /// How many they are.
    pub lines: u64,
}

impl Page {
    /// Whether it is time to hand it over.
    pub fn is_full(&self) -> bool {
        self.octets.len() >= FULL
    }
}

/// Empty pages, so that a busy log allocates nothing.
type Spares = Arc<Mutex<Vec<Vec<u8>>>>;

/// The way to the thread that writes. When it is dropped, what waits is written first.
#[derive(Debug)]
pub struct LogWriter {
    jobs: Option<SyncSender<Job>>,
    spares: Spares,
    reopen: Arc<AtomicBool>,
    dropped: IntCounter,
    thread: Option<JoinHandle<()>>,
}

impl LogWriter {
    /// Takes a page's records and leaves it empty. When too many pages wait, the records are dropped and counted.
    /// Never blocks for long.
    pub fn write(&self, page: &mut Page) {
        let spare = self.spares.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let octets = spare.unwrap_or_else(|| Vec::with_capacity(FULL + FULL / 4));
        let full = std::mem::replace(page, Page { octets, lines: 0 });
        let lines = full.lines;
        if self.jobs.as_ref().is_none_or(|jobs| jobs.try_send(Job::Write(full)).is_err()) {
            self.dropped.inc_by(lines);
        }
    }

    /// Has the file opened anew by its name, after another program has moved it. Never blocks.
    pub fn reopen(&self) {
        self.reopen.store(true, Ordering::Release);
        if let Some(jobs) = &self.jobs {
            // An empty page wakes the thread. If there is no room, it is awake.
            let _ = jobs.try_send(Job::Write(Page::default()));
        }
    }

    /// Waits until everything that was handed over before is written, or `patience` is over. Blocks: for the end of the
    /// process, which does not wait for its threads.
    pub fn flush(&self, patience: Duration) {
        let (done, written) = sync_channel(1);
        if let Some(jobs) = &self.jobs
            && jobs.send(Job::Flush(done)).is_ok()
        {
            let _ = written.recv_timeout(patience);
        }
    }
}

/// What the thread that writes is to do.
enum Job {
    /// Write a page.
    Write(Page),
    /// Report that everything before is written.
    Flush(SyncSender<()>),
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so itself.
            let _ = thread.join();
        }
    }
}

/// Writes pages as they come.
struct Pen {
    output: Output,
    dropped: IntCounter,
    /// What was written last could not be; that was told.
    failing: bool,
}

impl Pen {
    fn run(mut self, queue: &Receiver<Job>, reopen: &AtomicBool, spares: &Spares) {
        while let Ok(job) = queue.recv() {
            let page = match job {
                Job::Write(page) => page,
                Job::Flush(done) => {
                    // Whoever waited may have lost patience.
                    let _ = done.try_send(());
                    continue;
                }
            };
            if reopen.swap(false, Ordering::AcqRel) {
                let reopened = self.output.reopen();
                self.tell(reopened);
            }
            self.write(&page);
            keep(page.octets, spares);
        }
    }

    /// Writes a page as a whole where there is room for it, else as many records at a time as there is room for.
    fn write(&mut self, page: &Page) {
        let (mut rest, mut lines) = (&page.octets[..], page.lines);
        while !rest.is_empty() {
            let (part, count) = match self.output.has_room(rest.len()) {
                true => (rest, lines),
                false => self.fitting(rest),
            };
            let outcome = self.output.write(part).map_err(|Incomplete { written, error }| {
                let whole = part[..written].iter().filter(|octet| **octet == b'\n').count() as u64;
                self.dropped.inc_by(count.saturating_sub(whole));
                error
            });
            self.tell(outcome);
            rest = &rest[part.len()..];
            lines = lines.saturating_sub(count);
        }
    }

    /// The first records that there is room for, one at least, and how many they are.
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

/// Puts a page that was written away for its next use.
fn keep(mut octets: Vec<u8>, spares: &Spares) {
    let mut spares = spares.lock().unwrap_or_else(PoisonError::into_inner);
    if spares.len() < SPARE && octets.capacity() > 0 {
        octets.clear();
        spares.push(octets);
    }
}

enum Output {
    Stream {
        stream: Box<dyn Append + Send>,
        /// Whether the last record was written in part.
        torn: bool,
    },
    File(RotatingFile),
}

/// A stream that others may write to as well, so that nothing is cut off again.
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
    fn cut(&mut self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Standard output without a buffer: the standard library's keeps what a full disk refused, and writes it later, after
/// records that were counted as lost.
fn stdout() -> Box<dyn Write + Send> {
    match io::stdout().as_fd().try_clone_to_owned() {
        Ok(own) => Box::new(File::from(own)),
        Err(_) => Box::new(io::stdout()),
    }
}

impl Output {
    fn write(&mut self, records: &[u8]) -> Result<(), Incomplete> {
        match self {
            Self::Stream { stream, torn } => {
                append(stream.as_mut(), records, torn)?;
                stream.flush().map_err(Incomplete::from)
            }
            Self::File(file) => file.write(records),
        }
    }

    /// Whether so many octets more can be written without rotating.
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
    fn a_moved_file_is_left_alone_after_a_reopening() {
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
        let output = Output::Stream { stream: Box::new(Stream(Broken)), torn: false };
        let log = QueryLog { output }.start(dropped.clone()).unwrap();
        log.write(&mut page("a\n"));
        log.reopen();
        log.write(&mut page("b\n"));
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
