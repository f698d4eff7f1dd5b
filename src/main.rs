//! The program: reads its arguments, runs, says how it ended.

use clap::Parser;

fn main() -> std::process::ExitCode {
    plustwo::cli::Cli::parse().run().into()
}
