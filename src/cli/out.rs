//! Standard output and standard error: the one place that prints.
//!
//! A reader that went away (`plustwo audit | head -1`) has what it wanted. Output that cannot be written for any other
//! cause, such as a full disk, ends the verb as any file that cannot be written does.

use std::fmt::Display;
use std::io::{self, BufWriter, ErrorKind, Write};

use super::ExitCode;

/// Writes to standard output what was asked for, to its last octet.
///
/// # Errors
///
/// [`ExitCode::Filesystem`] if it cannot be written; that is told on standard error.
pub fn print(text: impl Display) -> Result<(), ExitCode> {
    write(anstream::stdout(), format_args!("{text}")).map_err(|error| {
        complain(format_args!("cannot write to standard output: {error}"));
        ExitCode::Filesystem
    })
}

/// Writes to standard output as [`print()`] does, and ends the line.
///
/// # Errors
///
/// As [`print()`].
pub fn print_line(text: impl Display) -> Result<(), ExitCode> {
    print(format_args!("{text}\n"))
}

/// Writes to standard error what a verb reports there.
///
/// # Errors
///
/// [`ExitCode::Filesystem`] if it cannot be written; there is nowhere left to tell that.
pub fn report(text: impl Display) -> Result<(), ExitCode> {
    write(anstream::stderr(), format_args!("{text}")).map_err(|_| ExitCode::Filesystem)
}

/// Says a line on standard error. Where nobody can be told, the exit code alone tells.
pub fn tell(text: impl Display) {
    _ = report(format_args!("{text}\n"));
}

/// Says on standard error what kept the program from what was asked, or what it found.
pub fn complain(text: impl Display) {
    tell(format_args!("plustwo: {text}"));
}

/// Says on standard error why a verb that compares cannot.
pub fn trouble(text: impl Display) -> ExitCode {
    complain(text);
    ExitCode::Failure
}

/// Writes all of a text. A reader that went away is no trouble.
fn write(stream: impl Write, text: impl Display) -> io::Result<()> {
    let mut stream = BufWriter::new(stream);
    match write!(stream, "{text}").and_then(|()| stream.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
