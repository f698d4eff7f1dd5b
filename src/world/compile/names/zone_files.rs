//! Zone files, read on two threads: they are independent of each other, and a world may have thousands.
//!
//! ```text
//!  zones, a batch at a time ──► half: read, parse ──┐
//!                           └─► half: read, parse ──┴─► records, in the order of the zones ──► Zone
//! ```

use std::io;

use std::path::PathBuf;

use super::*;
use crate::aws::public_names::stable_hash;
use crate::config::HostedZone as Written;
use crate::config::route53::{self, RecordSets};
use crate::dns::{ZoneFileError, ZoneRecord, parse_zone_file};

/// Number of zone files that are read before their zones are created: the records of this many files are in
/// memory at once.
pub(super) const BATCH: usize = 128;

/// Fewer files than this are read by one thread, because starting another one would take longer.
const WORTH_A_THREAD: usize = 16;

/// TTL of a record without one, in seconds.
pub(super) const DEFAULT_TTL_S: u32 = 300;

/// A zone file as read.
pub(super) struct ZoneFile {
    /// Its path.
    pub path: PathBuf,
    /// A hash of its contents. `None` if it cannot be read.
    pub hash: Option<u64>,
    /// Its contents, or its errors.
    pub contents: Result<Contents, ZoneFileProblem>,
}

/// The contents of a file, by format.
pub(super) enum Contents {
    /// Records of a zone file (RFC 1035 section 5).
    Records(Vec<ZoneRecord>),
    /// Record sets in Route 53 JSON.
    RecordSets(RecordSets),
}

/// What is wrong with a zone file.
pub(super) enum ZoneFileProblem {
    /// It cannot be read.
    Unreadable(io::Error),
    /// It contains errors.
    Errors(Vec<ZoneFileError>),
}

/// A file to read: its path, and the apex of the zone.
type ZoneFileJob<'z> = Option<(PathBuf, &'z Name)>;

impl NamesCompiler<'_, '_> {
    /// The zone files of some zones, in order. `None` for a zone without a file.
    pub(super) fn zone_files(&self, zones: &[Written]) -> Vec<Option<ZoneFile>> {
        let path = |zone: &Written| zone.file.as_ref().map(|file| self.cx.resolve_path(file));
        let jobs: Vec<ZoneFileJob<'_>> =
            zones.iter().map(|zone| path(zone).map(|path| (path, zone.name.value()))).collect();
        let files = jobs.iter().flatten().count();
        let read_file = self.cx.read_file;
        if files < WORTH_A_THREAD || !has_second_processor() {
            return read_all(&jobs, read_file);
        }
        let (first, second) = jobs.split_at(jobs.len() / 2);
        std::thread::scope(|scope| {
            let second = scope.spawn(move || read_all(second, read_file));
            let mut all = read_all(first, read_file);
            all.extend(second.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            all
        })
    }

    /// A single zone file.
    pub(super) fn one_zone_file(&self, file: &Marked<String>, apex: &Name) -> ZoneFile {
        read(&self.cx.resolve_path(file), apex, self.cx.read_file)
    }
}

/// Whether two threads are faster than one.
fn has_second_processor() -> bool {
    std::thread::available_parallelism().is_ok_and(|processors| processors.get() > 1)
}

/// Reads files one after the other.
fn read_all(jobs: &[ZoneFileJob<'_>], read_file: &ReadFile<'_>) -> Vec<Option<ZoneFile>> {
    jobs.iter().map(|job| job.as_ref().map(|(path, apex)| read(path, apex, read_file))).collect()
}

/// Reads the file of the zone with this apex.
fn read(path: &Path, apex: &Name, read_file: &ReadFile<'_>) -> ZoneFile {
    let path = path.to_owned();
    match read_file(&path) {
        Ok(text) => {
            let hash = Some(stable_hash(text.bytes()));
            let contents = if is_json(&path) {
                route53::read(&text).map(Contents::RecordSets)
            } else {
                parse_zone_file(&text, apex, DEFAULT_TTL_S).map(Contents::Records)
            };
            ZoneFile { path, hash, contents: contents.map_err(ZoneFileProblem::Errors) }
        }
        Err(error) => ZoneFile { path, hash: None, contents: Err(ZoneFileProblem::Unreadable(error)) },
    }
}

/// Whether a file contains Route 53 JSON, according to its extension.
fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"))
}
