//! `plustwo healthcheck`: for containers that have no curl.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::ExitCode;

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
    pub fn run(self) -> ExitCode {
        match ask(self.admin) {
            Ok(status) if status.contains(" 200 ") => ExitCode::Success,
            Ok(status) => {
                anstream::eprintln!("plustwo: {} is not ready: {status}", self.admin);
                ExitCode::Trouble
            }
            Err(error) => {
                anstream::eprintln!("plustwo: {}: {error}", self.admin);
                ExitCode::Trouble
            }
        }
    }
}

/// The status line that `/ready` answers with.
fn ask(admin: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&admin, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream
        .write_all(format!("GET /ready HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    // A status line and a word; whoever sends more is no plustwo.
    stream.take(4096).read_to_string(&mut answer)?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}
