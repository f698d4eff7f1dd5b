//! The command line. The only layer that prints.

mod audit;
mod check;
mod diff;
mod exit_code;
mod explain;
mod healthcheck;
mod http;
mod import;
mod names;
mod out;
mod reload;
mod schema;
mod serve;
mod started;

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};

pub use exit_code::ExitCode;

use crate::config::{self, Loaded};
use crate::import::{ConfigWithImports, load as read};
use crate::serve::tls;
use crate::world::World;
use crate::world::compile::compile;

/// VPC resolver that annotates every answer with the egress path of its traffic
#[derive(Debug, Parser)]
#[command(name = "plustwo", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer DNS queries
    Serve(serve::Serve),
    /// Validate a configuration and verify its expectations. Offline
    Check(check::Check),
    /// Explain how a name resolves from a location and which path its traffic takes. Offline
    Explain(explain::Explain),
    /// Audit the egress path and cost of every AWS service name from every location. Offline
    Audit(audit::Audit),
    /// Show which names resolve or route differently under another configuration, and why. Offline
    Diff(diff::Diff),
    /// Print the JSON Schema of the configuration
    Schema(schema::Schema),
    /// Check whether a running daemon is ready, for container health checks
    Healthcheck(healthcheck::Healthcheck),
    /// Reload the configuration of a running daemon and report the result
    Reload(reload::Reload),
    /// Convert the output of other tools to a configuration
    Import(import::Import),
}

/// The exit status of a command; `Err` if it could not be completed.
type Exit = Result<ExitCode, ExitCode>;

impl Cli {
    /// Runs the command.
    pub fn run(self) -> ExitCode {
        let result = match self.command {
            Command::Serve(command) => command.run(),
            Command::Check(command) => command.run(),
            Command::Explain(command) => command.run(),
            Command::Audit(command) => command.run(),
            Command::Diff(command) => command.run(),
            Command::Schema(command) => command.run(),
            Command::Healthcheck(command) => command.run(),
            Command::Reload(command) => command.run(),
            Command::Import(command) => command.run(),
        };
        result.unwrap_or_else(|code| code)
    }
}

/// Options that select the configuration.
#[derive(Debug, Clone, clap::Args)]
struct ConfigArgs {
    /// Configuration file, or directory of AWS CLI documents [default: the built-in lab]
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigArgs {
    /// Loads and compiles the configuration. Errors and warnings are printed.
    fn load(&self) -> Result<(Loaded, World), ExitCode> {
        let mut loaded = match &self.config {
            None => config::load_built_in_lab(),
            Some(path) => match read(path) {
                Ok(source) => {
                    report_imports(&source);
                    source.loaded
                }
                Err(error) => {
                    out::report_error(format_args!("cannot read {}: {error}", path.display()));
                    return Err(ExitCode::Filesystem);
                }
            },
        };
        let world = compile(&mut loaded).filter(|world| tls::check(world, &mut loaded.report));
        if world.is_none() || loaded.report.warning_count() > 0 {
            // A daemon starts even if warnings cannot be printed; for errors, the exit status is sufficient.
            _ = out::report(loaded.report.render(&loaded.sources));
        }
        match world {
            Some(world) => Ok((loaded, world)),
            None => Err(ExitCode::Config),
        }
    }

    /// Like `load`, for commands whose exit status 1 means differences: any error is [`ExitCode::Failure`].
    fn load_to_compare(&self) -> Result<(Loaded, World), ExitCode> {
        self.load().map_err(|_| ExitCode::Failure)
    }

    /// Its name in messages.
    fn name(&self) -> &Path {
        self.config.as_deref().unwrap_or(Path::new(config::BUILT_IN_LAB_NAME))
    }
}

/// One line for each directory of AWS documents that is incomplete.
fn report_imports(source: &ConfigWithImports) {
    for (folder, report) in &source.imports {
        if let Some(summary) = report.summary() {
            let folder = folder.display();
            out::print_error_line(format_args!(
                "{folder}: {summary}; run `plustwo import aws {folder}` for details"
            ));
        }
    }
}
