//! `plustwo healthcheck`: for containers that have no curl.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Exit, ExitCode, http, out};

/// How long to wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Asks a running plustwo whether it is ready.
#[derive(Debug, clap::Args)]
pub struct Healthcheck {
    /// Its admin address.
    #[arg(long, default_value = "127.0.0.1:9530", value_name = "ADDRESS")]
    admin: SocketAddr,
}

impl Healthcheck {
    /// 0: it is ready. 2: it is not, or nobody is there.
    pub fn run(self) -> Exit {
        match http::ask(self.admin, "GET", "/ready", "*/*", TIMEOUT) {
            Ok(answer) if answer.status() == 200 => Ok(ExitCode::Success),
            Ok(answer) => {
                Err(out::trouble(format_args!("{} is not ready: {}", self.admin, answer.status_line)))
            }
            Err(error) => Err(out::trouble(format_args!("{}: {error}", self.admin))),
        }
    }
}
