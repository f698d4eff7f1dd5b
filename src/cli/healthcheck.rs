//! `plustwo healthcheck`: for containers that have no curl.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Exit, ExitCode, http, out};

/// Timeout for the response.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Check whether a running daemon is ready, for container health checks
#[derive(Debug, clap::Args)]
pub(super) struct Healthcheck {
    /// Admin address of the daemon
    #[arg(long, default_value = "127.0.0.1:9530", value_name = "ADDRESS")]
    admin: SocketAddr,
}

impl Healthcheck {
    /// Status 0: ready; 2: not ready, or not reachable.
    pub(super) fn run(self) -> Exit {
        match http::request(self.admin, "GET", "/ready", "*/*", TIMEOUT) {
            Ok(response) if response.status() == 200 => Ok(ExitCode::Success),
            Ok(response) => {
                Err(out::fail(format_args!("{} is not ready: {}", self.admin, response.status_line)))
            }
            Err(error) => Err(out::fail(format_args!("{}: {error}", self.admin))),
        }
    }
}
