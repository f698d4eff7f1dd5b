//! `plustwo serve`.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use super::started::Started;
use super::{ConfigArgs, Exit, ExitCode, out};
use crate::daemon::{Daemon, ExitReason, Loader, StartError};
use crate::dns::LOG_FILTER;
use crate::serve::inherit::Inherited;

/// Answer DNS queries
#[derive(Debug, clap::Args)]
pub(super) struct Serve {
    #[command(flatten)]
    config: ConfigArgs,
    /// Log JSON, one object per line
    #[arg(long)]
    log_json: bool,
}

impl Serve {
    /// Serves until it is stopped.
    pub(super) fn run(self) -> Exit {
        // Must be first: it changes the environment, which is unsafe after threads have been started.
        let inherited = Inherited::from_environment();
        start_logging(self.log_json);
        let (loader, config) = (Loader::start(), self.config.clone());
        let loaded = loader.run(move || config.load()).blocking_recv();
        let (loaded, world) = loaded.unwrap_or(Err(ExitCode::Other))?;
        let inherited = inherited.map_err(|error| report_start_error(&error.into()))?;
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        if let Some(workers) = loaded.config.server.workers {
            runtime.worker_threads(workers.get().into());
        }
        let runtime = runtime.enable_all().build().map_err(|error| {
            out::report_error(format_args!("cannot start threads: {error}"));
            ExitCode::Other
        })?;
        let name = self.config.name().to_owned();
        let result = runtime.block_on(async move {
            let daemon = Daemon::start_with(self.config.config, &loaded, world, inherited, loader)?;
            // The loaded configuration is as large as the world and is no longer needed.
            drop(loaded);
            if std::io::stdout().is_terminal() {
                // The daemon serves even if the message cannot be printed.
                _ = out::print(Started::of(&name, &daemon));
            }
            for (listener, address) in daemon.addresses() {
                tracing::info!(%address, transports = listener.transports().join(","), "Listening for DNS queries.");
            }
            if let Ok(address) = daemon.admin_address() {
                tracing::info!(%address, "Listening for admin requests.");
            }
            daemon.run_until_signalled().await
        });
        if matches!(result.map_err(|error| report_start_error(&error))?, ExitReason::Immediate) {
            runtime.shutdown_background();
        }
        Ok(ExitCode::Success)
    }
}

/// Log filter for the file watch library, which logs removed directories although the watch handles them.
const FILE_WATCH_FILTER: &str = "notify=error";

/// Logs to standard error, filtered by RUST_LOG.
fn start_logging(json: bool) {
    let filter_text = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_else(|_| "info".to_owned());
    // The user's filter is last, so that it overrides directives for the same crate.
    let filter = EnvFilter::try_new(format!("{FILE_WATCH_FILTER},{LOG_FILTER},{filter_text}"))
        .unwrap_or_else(|_| EnvFilter::new(format!("{FILE_WATCH_FILTER},{LOG_FILTER},info")));
    let logs =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    if json {
        logs.json().init();
    } else {
        logs.with_ansi(std::io::stderr().is_terminal()).init();
    }
}

/// Prints an error with its causes, and help.
fn report_start_error(error: &StartError) -> ExitCode {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        // The message of a bind error already contains the system's text.
        if !text.contains(&inner_text) && !matches!(error, StartError::Bind(_) | StartError::Admin(_)) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    out::report_error(text);
    match error {
        StartError::Bind(bind) => {
            out::print_error_line(format_args!("   help: {}", bind.help("[[listener]] address")));
            ExitCode::Network
        }
        StartError::Admin(bind) => {
            out::print_error_line(format_args!("   help: {}", bind.help("[server] admin")));
            ExitCode::Network
        }
        StartError::Certificate(_) => ExitCode::Config,
        StartError::Inherited(inherited) => {
            out::print_error_line(format_args!("   help: {}", inherited.help()));
            ExitCode::Network
        }
        StartError::QueryLog(_) => ExitCode::Filesystem,
        StartError::System { .. } => ExitCode::Other,
    }
}
