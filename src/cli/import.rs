//! `plustwo import`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use super::{Exit, ExitCode, out};
use crate::import::{self as importer, ImportOptions, Imported, is_region};
use crate::serve::tls;
use crate::world::compile::compile;

/// Convert the output of other tools to a configuration
#[derive(Debug, clap::Args)]
pub(super) struct Import {
    #[command(subcommand)]
    from: ImportSource,
}

/// The source of the documents.
#[derive(Debug, Subcommand)]
enum ImportSource {
    /// Convert the JSON output of `aws … describe-*`, `get-*` and `list-*` commands
    Aws(Aws),
}

/// Documents of the AWS CLI.
#[derive(Debug, clap::Args)]
struct Aws {
    /// Directory with the documents, in any structure and with any file names
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// File for the configuration [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Region of VPCs whose region neither a document nor a directory name specifies
    #[arg(long, value_parser = region)]
    region: Option<String>,
    /// Account of VPCs whose account neither a document nor a directory name specifies
    #[arg(long)]
    account: Option<String>,
    /// Format of the report of read, missing and unsupported objects, which is printed to standard error
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    report: ReportFormat,
}

/// Report format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    /// Text
    Text,
    /// JSON
    Json,
    /// No report
    None,
}

/// Parses the name of a region.
fn region(text: &str) -> Result<String, String> {
    match is_region(text) {
        true => Ok(text.to_owned()),
        false => Err("expected a region name, such as `eu-west-1`".to_owned()),
    }
}

impl Import {
    /// Runs the import. Status 0: the configuration is valid; 1: a document or the configuration is invalid;
    /// 3: a file cannot be read or written.
    pub(super) fn run(self) -> Exit {
        let ImportSource::Aws(aws) = self.from;
        aws.run()
    }
}

impl Aws {
    fn run(self) -> Exit {
        let options = ImportOptions { region: self.region.clone(), account: self.account.clone() };
        let imported = importer::import(&self.directory, &options).map_err(|error| {
            out::report_error(format_args!("cannot read {}: {error}", self.directory.display()));
            ExitCode::Filesystem
        })?;
        if imported.is_valid() {
            match &self.out {
                None => out::print_data(&imported.text)?,
                Some(file) => std::fs::write(file, &imported.text).map_err(|error| {
                    out::report_error(format_args!("cannot write {}: {error}", file.display()));
                    ExitCode::Filesystem
                })?,
            }
        }
        self.check(&imported)
    }

    /// Reports the disposition of the documents, and the errors in them or in the resulting configuration.
    fn check(&self, imported: &Imported) -> Exit {
        let name = self.out.clone().unwrap_or_else(|| importer::display_name(&self.directory));
        let mut loaded = imported.load(&name);
        let world = if imported.is_valid() { compile(&mut loaded) } else { None };
        let world = world.filter(|world| tls::check(world, &mut loaded.report));
        let (report, sources) = (&loaded.report, &loaded.sources);
        match self.report {
            ReportFormat::Text if imported.is_valid() => out::report(&imported.report)?,
            ReportFormat::Json => {
                let findings: Vec<String> = report.sorted().iter().map(|one| one.headline(sources)).collect();
                out::report(format_args!("{}\n", imported.report.to_json(&findings)))?;
            }
            ReportFormat::Text | ReportFormat::None => {}
        }
        // The JSON report contains them.
        if self.report != ReportFormat::Json && (world.is_none() || report.warning_count() > 0) {
            out::report(report.render(sources))?;
        }
        Ok(if world.is_some() { ExitCode::Success } else { ExitCode::Config })
    }
}
