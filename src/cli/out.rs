//! Standard output and standard error: the only place that prints.
//!
//! A reader that has closed the pipe (`plustwo audit | head -1`) is not an error. If output cannot be written
//! for any other cause, such as a full disk, the command fails as for any other file.

use std::fmt::Display;
use std::io::{self, BufWriter, ErrorKind, Write};

use super::ExitCode;

/// Prints to standard output and flushes it.
///
/// # Errors
///
/// [`ExitCode::Filesystem`] if it cannot be written, which is reported on standard error.
pub fn print(text: impl Display) -> Result<(), ExitCode> {
    write(anstream::stdout(), format_args!("{text}")).map_err(|error| {
        report_error(format_args!("cannot write to standard output: {error}"));
        ExitCode::Filesystem
    })
}

/// Prints a line to standard output, like [`print()`].
///
/// # Errors
///
/// As [`print()`].
pub fn print_line(text: impl Display) -> Result<(), ExitCode> {
    print(format_args!("{text}\n"))
}

/// Prints to standard error.
///
/// # Errors
///
/// [`ExitCode::Filesystem`] if it cannot be written.
pub fn report(text: impl Display) -> Result<(), ExitCode> {
    write(anstream::stderr(), format_args!("{text}")).map_err(|_| ExitCode::Filesystem)
}

/// Prints a line to standard error. If that fails, only the exit status remains.
pub fn print_error_line(text: impl Display) {
    _ = report(format_args!("{text}\n"));
}

/// Prints an error or finding to standard error.
pub fn report_error(text: impl Display) {
    print_error_line(format_args!("plustwo: {text}"));
}

/// Prints to standard error why a command that compares failed.
pub fn fail(text: impl Display) -> ExitCode {
    report_error(text);
    ExitCode::Failure
}

/// Writes a complete text. A closed pipe is not an error.
fn write(stream: impl Write, text: impl Display) -> io::Result<()> {
    let mut stream = BufWriter::new(stream);
    match write!(stream, "{text}").and_then(|()| stream.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
