//! `plustwo diff`.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::audit::Types;
use super::names::read_names;
use super::{ConfigArgs, Exit, ExitCode, out};
use crate::audit::diff_report::DiffReport;
use crate::audit::{diff, json};
use crate::world::World;

/// Tells which names go otherwise from which places under another configuration, and why.
#[derive(Debug, clap::Args)]
pub struct Diff {
    /// The configuration as it was.
    before: PathBuf,
    /// The configuration as it is to be.
    after: PathBuf,
    /// A file with a name a line, asked for beside the others.
    #[arg(long, value_name = "FILE")]
    names: Option<PathBuf>,
    /// The record type that service names are asked for. Names in zones are asked for all types that they have.
    #[arg(long = "type", short = 't', value_name = "TYPE", default_value = "A", ignore_case = true)]
    types: Types,
    /// Shows every name and every change.
    #[arg(long)]
    all: bool,
    /// How it is told.
    #[arg(long, default_value = "text")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// JSON, for programs.
    Json,
}

impl Diff {
    /// Compares. 0: nothing goes otherwise; 1: something does; 2: a configuration is wrong; 3: the output cannot
    /// be written.
    pub fn run(self) -> Exit {
        let names =
            self.names.as_deref().map(read_names).transpose().map_err(out::trouble)?.unwrap_or_default();
        // What is wrong with both is told at once.
        let (old, new) = (load(&self.before), load(&self.after));
        let (old, new) = (old?, new?);
        let found = diff::diff(&old, &new, &names, self.types.list());
        match self.format {
            Format::Text => out::print(DiffReport { found: &found, is_whole: self.all })?,
            Format::Json => out::print_line(format_args!("{:#}", json::diff(&found)))?,
        }
        Ok(if found.is_empty() { ExitCode::Success } else { ExitCode::Differences })
    }
}

/// The world of a configuration. What is wrong with it is printed.
fn load(path: &Path) -> Result<World, ExitCode> {
    ConfigArgs { config: Some(path.to_path_buf()) }.load_to_compare().map(|(_, world)| world)
}
