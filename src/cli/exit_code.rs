//! How a run ended, as a number.

/// How a run ended. The daemon's codes; verbs that compare use 0 clean, 1 differences, 2 trouble. All of them end with
/// [`ExitCode::Filesystem`] where their output cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// It did what was asked.
    Success,
    /// The configuration is wrong.
    Config,
    /// The network refused: an address in use, no right to a port.
    Network,
    /// A file cannot be read or written, nor standard output.
    Filesystem,
    /// Anything else.
    Other,
    /// A verb that compares found differences.
    Differences,
    /// A verb that compares could not compare.
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
