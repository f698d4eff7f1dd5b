//! `plustwo diff`.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::audit::Types;
use super::names::read_names;
use super::{ConfigArgs, Exit, ExitCode, out};
use crate::audit::diff_report::DiffReport;
use crate::audit::{diff, json};
use crate::world::World;

/// Show which names resolve or route differently under another configuration, and why. Offline
#[derive(Debug, clap::Args)]
pub(super) struct Diff {
    /// Current configuration: a file or a directory of AWS documents
    before: PathBuf,
    /// Changed configuration: a file or a directory of AWS documents
    after: PathBuf,
    /// File with one name per line, in addition to the names of the configurations
    #[arg(long, value_name = "FILE")]
    names: Option<PathBuf>,
    /// Record type of AWS service names. Names in zones are compared in all their types
    #[arg(long = "type", short = 't', value_name = "TYPE", default_value = "A", ignore_case = true)]
    types: Types,
    /// Show every name and every change
    #[arg(long)]
    all: bool,
    /// Output format
    #[arg(long, default_value = "text")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Text
    Text,
    /// JSON
    Json,
}

impl Diff {
    /// Runs the comparison. Status 0: no differences; 1: differences; 2: a configuration is invalid; 3: the
    /// output cannot be written.
    pub(super) fn run(self) -> Exit {
        let names = self.names.as_deref().map(read_names).transpose().map_err(out::fail)?.unwrap_or_default();
        // Errors of both configurations are reported in one run.
        let (old, new) = (load(&self.before), load(&self.after));
        let (old, new) = (old?, new?);
        let found = diff::diff(&old, &new, &names, self.types.list());
        match self.format {
            Format::Text => out::print(DiffReport { found: &found, shows_all: self.all })?,
            Format::Json => out::print_data(format_args!("{:#}\n", json::diff(&found)))?,
        }
        Ok(if found.is_empty() { ExitCode::Success } else { ExitCode::Differences })
    }
}

/// The world of a configuration. Errors are printed.
fn load(path: &Path) -> Result<World, ExitCode> {
    ConfigArgs { config: Some(path.to_path_buf()) }.load_to_compare().map(|(_, world)| world)
}
