//! `plustwo schema`.

use super::ExitCode;
use crate::config::json_schema;

/// Prints the JSON Schema of the configuration.
#[derive(Debug, clap::Args)]
pub struct SchemaVerb {}

impl SchemaVerb {
    /// Prints it.
    pub fn run(self) -> ExitCode {
        anstream::print!("{}", json_schema());
        ExitCode::Success
    }
}
