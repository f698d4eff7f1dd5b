//! The program: parses its arguments, runs a command and exits with its status.

use clap::Parser;

fn main() -> std::process::ExitCode {
    plustwo::cli::Cli::parse().run().into()
}
