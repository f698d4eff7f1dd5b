//! A file that is rotated by size.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file that is put aside as `.1` before it grows past a size, what was `.1` then being `.2`, and so
/// on up to the number that is kept.
pub struct RotatingFile {
    path: PathBuf,
    /// `None` after a failure: it is tried again with the next write.
    file: Option<File>,
    size: u64,
    /// In octets; 0: never.
    rotate_at: u64,
    keep: u32,
}

impl RotatingFile {
    /// Opens a file for appending. Its folder must be there.
    pub fn open(path: PathBuf, rotate_at: u64, keep: u32) -> io::Result<Self> {
        let mut file = Self { path, file: None, size: 0, rotate_at, keep };
        file.reopen()?;
        Ok(file)
    }

    /// Opens the file anew by its name.
    pub fn reopen(&mut self) -> io::Result<()> {
        self.file = None;
        let file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        self.size = file.metadata()?.len();
        self.file = Some(file);
        Ok(())
    }

    /// Whether so many octets more can be written without rotating.
    pub fn has_room(&self, octets: usize) -> bool {
        self.rotate_at == 0 || self.size.saturating_add(octets as u64) <= self.rotate_at
    }

    /// Writes whole lines, after rotating if they do not fit.
    pub fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        if self.file.is_none() {
            self.reopen()?;
        }
        if self.size > 0 && !self.has_room(octets.len()) {
            self.rotate()?;
        }
        let Some(file) = &mut self.file else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let written = file.write_all(octets);
        match written {
            Ok(()) => self.size += octets.len() as u64,
            Err(_) => self.file = None,
        }
        written
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.file = None;
        if self.keep == 0 {
            fs::remove_file(&self.path)?;
            return self.reopen();
        }
        let there = (1..self.keep).take_while(|n| numbered(&self.path, *n).exists());
        for n in (1..=there.last().unwrap_or(0)).rev() {
            fs::rename(numbered(&self.path, n), numbered(&self.path, n + 1))?;
        }
        fs::rename(&self.path, numbered(&self.path, 1))?;
        self.reopen()
    }
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_put_aside_before_it_grows_too_large() {
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
    fn a_file_is_appended_to_and_with_nothing_kept_there_is_no_other() {
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
