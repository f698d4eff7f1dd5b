//! `plustwo serve`.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use super::started::Started;
use super::{ConfigArgs, ExitCode};
use crate::daemon::{Daemon, StartError};
use crate::serve::hickory::LOG_FILTER;

/// Answers DNS.
#[derive(Debug, clap::Args)]
pub struct Serve {
    #[command(flatten)]
    config: ConfigArgs,
    /// Logs as JSON, one object a line.
    #[arg(long)]
    log_json: bool,
}

impl Serve {
    /// Serves until it is told to stop.
    pub fn run(self) -> ExitCode {
        start_logging(self.log_json);
        let (loaded, world) = match self.config.load() {
            Ok(loaded) => loaded,
            Err(code) => return code,
        };
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        if let Some(workers) = loaded.config.server.workers {
            runtime.worker_threads(workers.get().into());
        }
        let runtime = match runtime.enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                anstream::eprintln!("plustwo: cannot start threads: {error}");
                return ExitCode::Other;
            }
        };
        let name = self.config.name().to_owned();
        runtime.block_on(async move {
            let daemon = match Daemon::start(self.config.config, &loaded, world) {
                Ok(daemon) => daemon,
                Err(error) => return tell(&error),
            };
            if std::io::stdout().is_terminal() {
                anstream::print!("{}", Started::of(&name, &daemon));
            }
            for (listener, address) in daemon.addresses() {
                tracing::info!(%address, transports = listener.transports().join(","), "Answering DNS.");
            }
            if let Ok(address) = daemon.admin_address() {
                tracing::info!(%address, "Serving metrics and explanations.");
            }
            match daemon.run_until_signalled().await {
                Ok(()) => ExitCode::Success,
                Err(error) => tell(&error),
            }
        })
    }
}

/// Logs go to standard error; RUST_LOG says which.
fn start_logging(json: bool) {
    let asked = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_else(|_| "info".to_owned());
    // What is asked stands behind, so that it wins where it names the same crate.
    let filter = EnvFilter::try_new(format!("{LOG_FILTER},{asked}"))
        .unwrap_or_else(|_| EnvFilter::new(format!("{LOG_FILTER},info")));
    let logs =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    if json {
        logs.json().init();
    } else {
        logs.with_ansi(std::io::stderr().is_terminal()).init();
    }
}

/// Prints what went wrong with all its causes, and what to do.
fn tell(error: &StartError) -> ExitCode {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        // What a bind error says holds the system's words already.
        if !text.contains(&inner_text) && !matches!(error, StartError::Bind(_) | StartError::Admin(_)) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    anstream::eprintln!("plustwo: {text}");
    match error {
        StartError::Bind(bind) => {
            anstream::eprintln!("   help: {}", bind.help("[[listener]] address"));
            ExitCode::Network
        }
        StartError::Admin(bind) => {
            anstream::eprintln!("   help: {}", bind.help("[server] admin"));
            ExitCode::Network
        }
        StartError::Certificate(_) => ExitCode::Config,
        StartError::QueryLog(_) => ExitCode::Filesystem,
        StartError::System { .. } => ExitCode::Other,
    }
}
