//! A file that is rotated by size.
//!
//! A record is written as a whole or not at all. A full disk accepts the first octets of a write and rejects
//! the rest; a partially written record is removed. If that is impossible (a pipe, an append-only file),
//! the next write starts with a line terminator, so that no other record is joined to it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A file that is renamed to `.1` before it exceeds a size; `.1` is renamed to `.2`, and so on, up to the
/// number of files to retain.
pub(super) struct RotatingFile {
    path: PathBuf,
    /// `None` after a failure: the next write opens it again.
    file: Option<File>,
    size: u64,
    /// Whether the file ends within a record.
    has_partial_record: bool,
    /// Size in octets above which the file is rotated; 0: never.
    rotate_at: u64,
    /// Number of rotated files to retain.
    keep: u32,
}

/// A failed write.
#[derive(Debug)]
pub(super) struct IncompleteWrite {
    /// Octets of complete records that were written before the failure.
    pub written: usize,
    /// The system's error.
    pub error: io::Error,
}

impl From<io::Error> for IncompleteWrite {
    /// Nothing was written.
    fn from(error: io::Error) -> Self {
        Self { written: 0, error }
    }
}

/// An output that records are appended to.
pub(super) trait Append: Write {
    /// Removes the last `octets` octets of the last append.
    ///
    /// # Errors
    ///
    /// If the output cannot be truncated. It is unchanged.
    fn truncate_tail(&mut self, octets: u64) -> io::Result<()>;
}

impl Append for File {
    fn truncate_tail(&mut self, octets: u64) -> io::Result<()> {
        // Based on the current length: another program may have truncated the file in the meantime
        // (`copytruncate`).
        let length = self.metadata()?.len();
        self.set_len(length.saturating_sub(octets))
    }
}

/// Appends complete records, each with its line terminator. `has_partial_record` states whether the output
/// ends within a record, before and after the call.
pub(super) fn append(
    out: &mut (impl Append + ?Sized),
    records: &[u8],
    has_partial_record: &mut bool,
) -> Result<(), IncompleteWrite> {
    if *has_partial_record {
        write_all(out, b"\n").map_err(|(_, error)| error)?;
        *has_partial_record = false;
    }
    let Err((accepted, error)) = write_all(out, records) else { return Ok(()) };
    let written = records[..accepted].iter().rposition(|octet| *octet == b'\n').map_or(0, |end| end + 1);
    let tail = accepted - written;
    *has_partial_record = tail > 0 && out.truncate_tail(tail as u64).is_err();
    Err(IncompleteWrite { written, error })
}

/// Like [`Write::write_all`], but an error includes the number of octets written before it.
fn write_all(out: &mut (impl Write + ?Sized), octets: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut written = 0;
    while written < octets.len() {
        match out.write(&octets[written..]) {
            Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((written, error)),
        }
    }
    Ok(())
}

impl RotatingFile {
    /// Opens a file for appending. Its directory must exist.
    pub(super) fn open(path: PathBuf, rotate_at: u64, keep: u32) -> io::Result<Self> {
        let mut file = Self { path, file: None, size: 0, has_partial_record: false, rotate_at, keep };
        file.reopen()?;
        Ok(file)
    }

    /// Reopens the file by its name. If it ends within a record, as after a crash, the next one starts on a
    /// new line.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        self.file = None;
        let file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        let metadata = file.metadata()?;
        self.size = metadata.len();
        // A pipe has no end that can be inspected, so the flag keeps its value.
        if metadata.is_file() {
            self.has_partial_record =
                self.size > 0 && last_octet(&self.path).is_some_and(|last| last != b'\n');
        }
        self.file = Some(file);
        Ok(())
    }

    /// Whether this many octets can be written without rotating.
    pub(super) fn has_room(&self, octets: usize) -> bool {
        self.rotate_at == 0 || self.size.saturating_add(octets as u64) <= self.rotate_at
    }

    /// Writes complete records, each with its line terminator, after rotating if they do not fit.
    ///
    /// # Errors
    ///
    /// If not all of them were written. The next write reopens the file.
    pub(super) fn write(&mut self, records: &[u8]) -> Result<(), IncompleteWrite> {
        if self.file.is_none() {
            self.reopen()?;
        }
        if self.size > 0 && !self.has_room(records.len()) {
            self.rotate()?;
        }
        let Some(file) = &mut self.file else {
            return Err(io::Error::from(io::ErrorKind::NotFound).into());
        };
        let outcome = append(file, records, &mut self.has_partial_record);
        match &outcome {
            Ok(()) => self.size += records.len() as u64,
            Err(_) => self.file = None,
        }
        outcome
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.file = None;
        if self.keep == 0 {
            fs::remove_file(&self.path)?;
            return self.reopen();
        }
        let existing = (1..self.keep).take_while(|n| numbered(&self.path, *n).exists());
        for n in (1..=existing.last().unwrap_or(0)).rev() {
            fs::rename(numbered(&self.path, n), numbered(&self.path, n + 1))?;
        }
        fs::rename(&self.path, numbered(&self.path, 1))?;
        self.reopen()
    }
}

/// The last octet of a file. `None` if it cannot be read.
fn last_octet(path: &Path) -> Option<u8> {
    let mut file = File::open(path).ok()?;
    file.seek(SeekFrom::End(-1)).ok()?;
    let mut last = [0];
    file.read_exact(&mut last).ok()?;
    Some(last[0])
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with little space: it accepts the part of a write that fits, and rejects the rest.
    struct Disk {
        octets: Vec<u8>,
        space: usize,
        can_truncate: bool,
    }

    impl Write for Disk {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            let taken = octets.len().min(self.space - self.octets.len());
            self.octets.extend(&octets[..taken]);
            if taken == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Append for Disk {
        fn truncate_tail(&mut self, octets: u64) -> io::Result<()> {
            if !self.can_truncate {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            self.octets.truncate(self.octets.len() - octets as usize);
            Ok(())
        }
    }

    #[test]
    fn a_partially_written_record_is_truncated_on_a_full_disk() {
        for space in 0..40 {
            let mut disk = Disk { octets: Vec::new(), space, can_truncate: true };
            let mut partial = false;
            let outcome = append(&mut disk, b"first record\nsecond\nthe third record\n", &mut partial);
            let whole: &[u8] = match space {
                0..13 => b"",
                13..20 => b"first record\n",
                20..37 => b"first record\nsecond\n",
                _ => b"first record\nsecond\nthe third record\n",
            };
            assert_eq!(disk.octets, whole, "{space}");
            assert!(!partial);
            assert_eq!(
                outcome.err().map(|error| error.written),
                (space < 37).then_some(whole.len()),
                "{space}"
            );
            // Space becomes available.
            disk.space = 1000;
            append(&mut disk, b"next\n", &mut partial).unwrap();
            assert_eq!(disk.octets, [whole, b"next\n"].concat());
        }
    }

    #[test]
    fn after_a_partial_record_that_cannot_be_truncated_the_next_starts_a_line() {
        let mut disk = Disk { octets: Vec::new(), space: 10, can_truncate: false };
        let mut partial = false;
        assert_eq!(append(&mut disk, b"first\nsecond\n", &mut partial).unwrap_err().written, 6);
        assert!(partial);
        assert_eq!(append(&mut disk, b"third\n", &mut partial).unwrap_err().written, 0);
        assert!(partial, "the line terminator was not written either");
        disk.space = 1000;
        append(&mut disk, b"fourth\n", &mut partial).unwrap();
        append(&mut disk, b"fifth\n", &mut partial).unwrap();
        assert_eq!(disk.octets, b"first\nseco\nfourth\nfifth\n");
    }

    #[test]
    fn a_record_left_partial_by_a_crash_is_not_joined_to_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("query.log");
        fs::write(&path, "whole\nto").unwrap();
        let mut file = RotatingFile::open(path.clone(), 0, 0).unwrap();
        file.write(b"next\n").unwrap();
        file.write(b"last\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole\nto\nnext\nlast\n");
    }

    #[test]
    fn a_file_is_rotated_before_it_exceeds_its_size() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("query.log");
        let text = |n| fs::read_to_string(numbered(&path, n)).ok();
        let mut file = RotatingFile::open(path.clone(), 8, 2).unwrap();
        for line in ["aaa", "bbb", "ccc", "ddd", "eee", "fff", "a long record", "ggg"] {
            file.write(format!("{line}\n").as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "ggg\n");
        assert_eq!(text(1).unwrap(), "a long record\n");
        assert_eq!(text(2).unwrap(), "eee\nfff\n");
        assert_eq!(text(3), None);
    }

    #[test]
    fn with_no_files_to_retain_rotation_removes_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("query.log");
        let write =
            |rotate_at, line: &[u8]| RotatingFile::open(path.clone(), rotate_at, 0).unwrap().write(line);
        write(0, b"aaa\n").unwrap();
        write(0, b"bbb\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "aaa\nbbb\n");
        write(8, b"ccc\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "ccc\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
