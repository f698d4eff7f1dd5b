//! The words a person types. The only floor that prints.

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
use crate::import::{SourceDirectory, load as read};
use crate::serve::tls;
use crate::world::World;
use crate::world::compile::compile;

/// The resolver at VPC base + 2, which says of every answer which way out it implies.
#[derive(Debug, Parser)]
#[command(name = "plustwo", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    verb: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answers DNS. With no --config it serves the built-in lab.
    Serve(serve::Serve),
    /// Reads a configuration, tells every mistake, and checks what it expects of itself.
    Check(check::Check),
    /// Tells why a name is answered as it is from a place, and which way its traffic goes. Sends nothing.
    Explain(explain::Explain),
    /// Tells of every service name of AWS which way it goes from every place, and what is paid for it. Sends nothing.
    Audit(audit::Audit),
    /// Tells which names go otherwise from which places under another configuration, and why. Sends nothing.
    Diff(diff::Diff),
    /// Prints the JSON Schema of the configuration.
    Schema(schema::Schema),
    /// Asks a running plustwo whether it is ready; for containers.
    Healthcheck(healthcheck::Healthcheck),
    /// Has a running plustwo read its configuration again, and tells what came of it.
    Reload(reload::Reload),
    /// Makes a configuration of what other tools know.
    Import(import::Import),
}

/// How a verb ends: when it has done what was asked, or, as an error, before that.
type Exit = Result<ExitCode, ExitCode>;

impl Cli {
    /// Does what was asked.
    pub fn run(self) -> ExitCode {
        let ended = match self.verb {
            Command::Serve(verb) => verb.run(),
            Command::Check(verb) => verb.run(),
            Command::Explain(verb) => verb.run(),
            Command::Audit(verb) => verb.run(),
            Command::Diff(verb) => verb.run(),
            Command::Schema(verb) => verb.run(),
            Command::Healthcheck(verb) => verb.run(),
            Command::Reload(verb) => verb.run(),
            Command::Import(verb) => verb.run(),
        };
        ended.unwrap_or_else(|code| code)
    }
}

/// Which configuration.
#[derive(Debug, Clone, clap::Args)]
struct ConfigArgs {
    /// The configuration file, or a folder of what the AWS CLI printed. The built-in lab when not said.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigArgs {
    /// Reads and compiles. Mistakes and warnings are printed; with a mistake there is no world.
    fn load(&self) -> Result<(Loaded, World), ExitCode> {
        let mut loaded = match &self.config {
            None => config::load_built_in_lab(),
            Some(path) => match read(path) {
                Ok(source) => {
                    report_imports(&source);
                    source.loaded
                }
                Err(error) => {
                    out::complain(format_args!("cannot read {}: {error}", path.display()));
                    return Err(ExitCode::Filesystem);
                }
            },
        };
        let world = compile(&mut loaded).filter(|world| tls::check(world, &mut loaded.report));
        if world.is_none() || loaded.report.warning_count() > 0 {
            // A daemon starts with warnings that nobody can be told; of mistakes the exit code tells, too.
            _ = out::report(loaded.report.render(&loaded.sources));
        }
        match world {
            Some(world) => Ok((loaded, world)),
            None => Err(ExitCode::Config),
        }
    }

    /// Reads and compiles for a verb that compares: with a mistake it cannot.
    fn load_to_compare(&self) -> Result<(Loaded, World), ExitCode> {
        self.load().map_err(|_| ExitCode::Failure)
    }

    /// The name it goes by.
    fn name(&self) -> &Path {
        self.config.as_deref().unwrap_or(Path::new(config::BUILT_IN_LAB_NAME))
    }
}

/// One line for each folder of AWS's documents that lacks something.
fn report_imports(source: &SourceDirectory) {
    for (folder, report) in &source.imports {
        if let Some(summary) = report.summary() {
            let folder = folder.display();
            out::tell(format_args!("{folder}: {summary}; `plustwo import aws {folder}` tells what"));
        }
    }
}
