//! `plustwo schema`.

use super::{Exit, ExitCode, out};
use crate::config::json_schema;

/// Print the JSON Schema of the configuration
#[derive(Debug, clap::Args)]
pub struct Schema {}

impl Schema {
    /// Prints the schema.
    pub fn run(self) -> Exit {
        out::print_data(json_schema())?;
        Ok(ExitCode::Success)
    }
}
