//! Exit status.

/// The exit status of a command. Commands that compare use 0 for no differences, 1 for differences and 2 for
/// errors. All commands exit with [`ExitCode::Filesystem`] if their output cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// Success.
    Success,
    /// The configuration is invalid.
    Config,
    /// A network error: an address in use, or missing privileges for a port.
    Network,
    /// A file cannot be read or written, or standard output cannot be written.
    Filesystem,
    /// Any other error.
    Other,
    /// A comparison found differences.
    Differences,
    /// A comparison failed.
    Failure,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(match code {
            ExitCode::Success => 0,
            ExitCode::Config | ExitCode::Differences => 1,
            ExitCode::Network | ExitCode::Failure => 2,
            ExitCode::Filesystem => 3,
            ExitCode::Other => 5,
        })
    }
}
