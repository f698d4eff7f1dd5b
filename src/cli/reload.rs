//! `plustwo reload`: what SIGHUP does, with the outcome told.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Exit, ExitCode, http, out};

/// How long a reload may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Has a running plustwo read its configuration again, and tells what came of it.
#[derive(Debug, clap::Args)]
pub struct Reload {
    /// Its admin address.
    #[arg(long, default_value = "127.0.0.1:9530", value_name = "ADDRESS")]
    admin: SocketAddr,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

impl Reload {
    /// 0: the configuration is in use. 1: it is refused, and the old one stays. 2: nobody answers.
    pub fn run(self) -> Exit {
        let accept = if self.json { "application/json" } else { "text/plain" };
        let answer = http::ask(self.admin, "POST", "/v1/reload", accept, PATIENCE)
            .map_err(|error| out::trouble(format_args!("{}: {error}", self.admin)))?;
        match answer.status() {
            200 => {
                out::print_line(answer.body.trim_end())?;
                Ok(ExitCode::Success)
            }
            // What a program asked for goes where it reads.
            422 if self.json => {
                out::print_line(answer.body.trim_end())?;
                Ok(ExitCode::Differences)
            }
            422 => {
                out::tell(answer.body.trim_end());
                Ok(ExitCode::Differences)
            }
            _ => Err(out::trouble(format_args!("{} does not reload: {}", self.admin, answer.status_line))),
        }
    }
}
