//! Standard output and standard error: the only module that prints.
//!
//! On a terminal, lines longer than its width are wrapped at spaces, with a hanging indent. Output to a pipe
//! or a file is never wrapped.
//!
//! A closed pipe (`plustwo audit | head -1`) is not an error. If output cannot be written
//! for any other reason, such as a full disk, the command exits with [`ExitCode::Filesystem`].

use std::fmt::Display;
use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};

use terminal_size::{Width, terminal_size_of};
use textwrap::{Options, WordSeparator, WordSplitter};

use super::ExitCode;

/// Text is wrapped to at least this width, in columns; a narrower terminal breaks longer lines itself.
const MIN_WIDTH: usize = 80;

/// Maximum width of a first column that is preserved in a wrapped line, in columns.
const MAX_LABEL: usize = 24;

/// Prints to standard output and flushes it. On a terminal, long lines are wrapped.
///
/// # Errors
///
/// [`ExitCode::Filesystem`] if it cannot be written, which is reported on standard error.
pub(super) fn print(text: impl Display) -> Result<(), ExitCode> {
    let written = match width_of(io::stdout()) {
        Some(width) => write(anstream::stdout(), wrap(&text.to_string(), width)),
        None => write(anstream::stdout(), text),
    };
    written.map_err(|error| {
        report_error(format_args!("cannot write to standard output: {error}"));
        ExitCode::Filesystem
    })
}

/// Prints to standard output like [`print()`], but never wraps lines: for text that programs read.
///
/// # Errors
///
/// As [`print()`].
pub(super) fn print_data(text: impl Display) -> Result<(), ExitCode> {
    write(anstream::stdout(), text).map_err(|error| {
        report_error(format_args!("cannot write to standard output: {error}"));
        ExitCode::Filesystem
    })
}

/// Prints a line to standard output, like [`print()`].
///
/// # Errors
///
/// As [`print()`].
pub(super) fn print_line(text: impl Display) -> Result<(), ExitCode> {
    print(format_args!("{text}\n"))
}

/// Prints to standard error.
///
/// # Errors
///
/// [`ExitCode::Filesystem`] if it cannot be written.
pub(super) fn report(text: impl Display) -> Result<(), ExitCode> {
    let written = match width_of(io::stderr()) {
        Some(width) => write(anstream::stderr(), wrap(&text.to_string(), width)),
        None => write(anstream::stderr(), text),
    };
    written.map_err(|_| ExitCode::Filesystem)
}

/// Prints a line to standard error. A failure is ignored: the exit status is sufficient.
pub(super) fn print_error_line(text: impl Display) {
    _ = report(format_args!("{text}\n"));
}

/// Prints an error or finding to standard error.
pub(super) fn report_error(text: impl Display) {
    print_error_line(format_args!("plustwo: {text}"));
}

/// Reports an error on standard error and returns [`ExitCode::Failure`].
pub(super) fn fail(text: impl Display) -> ExitCode {
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

/// The width for wrapping, in columns. `None` if the stream is not a terminal.
fn width_of(stream: impl IsTerminal + std::os::fd::AsFd) -> Option<usize> {
    if !stream.is_terminal() {
        return None;
    }
    let (Width(columns), _) = terminal_size_of(stream)?;
    Some(MIN_WIDTH.max(columns.into()))
}

/// Wraps each line that is wider than `width` columns, except lines of source excerpts in diagnostics, whose
/// carets must stay below what they mark. Gaps between the columns of a table are collapsed first, because
/// columns are not aligned once rows are wrapped.
fn wrap(text: &str, width: usize) -> String {
    let mut wrapped = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        if textwrap::core::display_width(line) <= width || is_source_excerpt(line) {
            wrapped.push_str(line);
        } else {
            let line = &collapse_gaps(line);
            let indent = " ".repeat(hanging_indent(line).min(width / 2));
            let options = Options::new(width)
                .subsequent_indent(&indent)
                .word_separator(WordSeparator::AsciiSpace)
                .word_splitter(WordSplitter::NoHyphenation)
                .break_words(false);
            wrapped.push_str(&textwrap::fill(line, options));
        }
        wrapped.push_str(end);
    }
    wrapped
}

/// The indentation of continuation lines, in columns: that of the text after the first column, such as a
/// label, if two or more spaces follow it; otherwise two columns more than that of the line.
fn hanging_indent(line: &str) -> usize {
    let plain = anstream::adapter::strip_str(line).to_string();
    let body = plain.trim_start();
    let indent = plain.len() - body.len();
    let Some(gap) = body.find("  ") else { return indent + 2 };
    let column = gap + body[gap..].len() - body[gap..].trim_start().len();
    indent + textwrap::core::display_width(&body[..column])
}

/// Replaces each gap of more than two spaces after the first column with two spaces.
fn collapse_gaps(line: &str) -> String {
    let body = line.trim_start();
    let first = body.find("  ").map_or(body, |gap| &body[..body.len() - body[gap..].trim_start().len()]);
    let first = if textwrap::core::display_width(first) <= MAX_LABEL { first } else { "" };
    let mut closed = line[..line.len() - body.len() + first.len()].to_owned();
    for part in body[first.len()..].split("  ").filter(|part| !part.is_empty()) {
        if closed.len() > line.len() - body.len() + first.len() {
            closed.push_str("  ");
        }
        closed.push_str(part.trim_start());
    }
    closed
}

/// Whether a line is part of a source excerpt: a line number, if any, and a vertical bar.
fn is_source_excerpt(line: &str) -> bool {
    let plain = anstream::adapter::strip_str(line).to_string();
    plain.trim_start_matches([' ', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']).starts_with('|')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_wrapped_below_the_text_after_the_label() {
        let text = "  because    a resolver rule applies to its domain and subdomains\n  short\n";
        let expected = "  because    a resolver rule applies\n             to its domain and\n             subdomains\n  short\n";
        assert_eq!(wrap(text, 36), expected);
    }

    #[test]
    fn lines_without_a_label_are_indented_by_two_columns_more() {
        assert_eq!(wrap("  → one two three four", 14), "  → one two\n    three four");
    }

    #[test]
    fn gaps_between_columns_of_a_wide_table_are_collapsed() {
        let row = "  public   a.example         public      nat-gateway via nat-1     ok";
        assert_eq!(wrap(row, 44), "  public   a.example  public  nat-gateway\n           via nat-1  ok");
    }

    #[test]
    fn colours_have_no_width() {
        let text = "  \u{1b}[2mnote\u{1b}[0m  one two three";
        assert_eq!(wrap(text, 16), "  \u{1b}[2mnote\u{1b}[0m  one two\n        three");
    }

    #[test]
    fn words_and_source_excerpts_are_never_broken() {
        let long = "a-name-that-is-longer-than-the-width.example";
        assert_eq!(wrap(long, 10), long);
        let excerpt = "  12 | cidr = [\"10.0.0.0/16\", \"10.1.0.0/16\"]\n     |         ^^^^^^^^^^^^^";
        assert_eq!(wrap(excerpt, 20), excerpt);
    }
}
