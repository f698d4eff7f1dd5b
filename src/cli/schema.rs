//! `plustwo schema`.

use super::{Exit, ExitCode, out};
use crate::config::json_schema;

/// Print the JSON Schema of the configuration
#[derive(Debug, clap::Args)]
pub(super) struct Schema {}

impl Schema {
    /// Prints the schema.
    pub(super) fn run(self) -> Exit {
        out::print_data(json_schema())?;
        Ok(ExitCode::Success)
    }
}
