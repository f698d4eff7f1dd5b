//! `plustwo import`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use super::{Exit, ExitCode, out};
use crate::import::{self as importer, Imported, Options, is_region};
use crate::serve::tls;
use crate::world::compile::compile;

/// Makes a configuration of what other tools know.
#[derive(Debug, clap::Args)]
pub struct Import {
    #[command(subcommand)]
    from: ImportSource,
}

/// Where from.
#[derive(Debug, Subcommand)]
enum ImportSource {
    /// From a folder of what `aws … describe-*`, `get-*` and `list-*` printed as JSON.
    Aws(Aws),
}

/// From AWS's documents.
#[derive(Debug, clap::Args)]
struct Aws {
    /// The folder, with folders in it as one likes. Files may have any name.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Where the configuration goes; standard output when not said.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The region of VPCs that neither a document nor a folder's name tells it of.
    #[arg(long, value_parser = region)]
    region: Option<String>,
    /// The account of VPCs that neither a document nor a folder's name tells it of.
    #[arg(long)]
    account: Option<String>,
    /// How the report of what was read, what is missing and what was not understood is told, on standard error.
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    report: ReportFormat,
}

/// The form of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// None.
    None,
}

/// Reads a region's name.
fn region(text: &str) -> Result<String, String> {
    if is_region(text) { Ok(text.to_owned()) } else { Err(format!("`{text}` is no region's name")) }
}

impl Import {
    /// Imports. 0: the configuration is good; 1: a document is wrong, or the configuration is; 3: a file cannot be
    /// read or written.
    pub fn run(self) -> Exit {
        let ImportSource::Aws(aws) = self.from;
        aws.run()
    }
}

impl Aws {
    fn run(self) -> Exit {
        let options = Options { region: self.region.clone(), account: self.account.clone() };
        let imported = importer::import(&self.folder, &options).map_err(|error| {
            out::complain(format_args!("cannot read {}: {error}", self.folder.display()));
            ExitCode::Filesystem
        })?;
        if imported.is_whole() {
            match &self.out {
                None => out::print(&imported.text)?,
                Some(file) => std::fs::write(file, &imported.text).map_err(|error| {
                    out::complain(format_args!("cannot write {}: {error}", file.display()));
                    ExitCode::Filesystem
                })?,
            }
        }
        self.check(&imported)
    }

    /// Tells what became of the documents, and what is wrong with them or with the configuration that they make.
    fn check(&self, imported: &Imported) -> Exit {
        let name = self.out.clone().unwrap_or_else(|| importer::named(&self.folder));
        let mut loaded = imported.load(&name);
        let world = if imported.is_whole() { compile(&mut loaded) } else { None };
        let world = world.filter(|world| tls::check(world, &mut loaded.report));
        let (report, sources) = (&loaded.report, &loaded.sources);
        match self.report {
            ReportFormat::Text if imported.is_whole() => out::report(&imported.report)?,
            ReportFormat::Json => {
                let findings: Vec<String> = report.sorted().iter().map(|one| one.headline(sources)).collect();
                out::report(format_args!("{}\n", imported.report.json(&findings)))?;
            }
            ReportFormat::Text | ReportFormat::None => {}
        }
        // A program that reads the report has them in it.
        if self.report != ReportFormat::Json && (world.is_none() || report.warning_count() > 0) {
            out::report(report.render(sources))?;
        }
        Ok(if world.is_some() { ExitCode::Success } else { ExitCode::Config })
    }
}
