//! Files with one name per line.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::dns::{Name, NameError};

/// Why a file of names cannot be read.
pub(super) enum NamesError {
    /// The file cannot be read.
    Unreadable(PathBuf, std::io::Error),
    /// A line, counted from 1, is not a valid name.
    Invalid(PathBuf, usize, NameError),
}

impl fmt::Display for NamesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Self::Invalid(path, line, error) => write!(f, "{}:{line}: {error}", path.display()),
        }
    }
}

/// The names in a file; empty lines and lines that start with `#` are ignored.
pub(super) fn read_names(path: &Path) -> Result<Vec<Name>, NamesError> {
    let text =
        std::fs::read_to_string(path).map_err(|error| NamesError::Unreadable(path.to_owned(), error))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines = text.lines().map(str::trim).enumerate();
    let names = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).map(|(number, line)| {
        line.parse().map_err(|error| NamesError::Invalid(path.to_owned(), number + 1, error))
    });
    names.collect()
}
