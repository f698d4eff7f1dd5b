//! `plustwo reload`: the same reload as on SIGHUP, with a report of the result.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Exit, ExitCode, http, out};

/// Time limit for a reload.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Reload the configuration of a running daemon and report the result
#[derive(Debug, clap::Args)]
pub(super) struct Reload {
    /// Admin address of the daemon
    #[arg(long, default_value = "127.0.0.1:9530", value_name = "ADDRESS")]
    admin: SocketAddr,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Reload {
    /// Status 0: the configuration is in use; 1: it was rejected, and the previous one stays in use; 2: the
    /// daemon is not reachable.
    pub(super) fn run(self) -> Exit {
        let accept = if self.json { "application/json" } else { "text/plain" };
        let response = http::request(self.admin, "POST", "/v1/reload", accept, TIMEOUT)
            .map_err(|error| out::fail(format_args!("{}: {error}", self.admin)))?;
        match response.status() {
            200 => {
                out::print_line(response.body.trim_end())?;
                Ok(ExitCode::Success)
            }
            // JSON goes to standard output even for an error, because programs read it there.
            422 if self.json => {
                out::print_line(response.body.trim_end())?;
                Ok(ExitCode::Differences)
            }
            422 => {
                out::print_error_line(response.body.trim_end());
                Ok(ExitCode::Differences)
            }
            _ => Err(out::fail(format_args!("{} rejected the reload: {}", self.admin, response.status_line))),
        }
    }
}
