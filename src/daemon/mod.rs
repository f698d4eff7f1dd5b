//! Wiring: opens and runs listeners, reloads the world, stops. The only module that handles signals.
//!
//! - `descriptors`: the limit on open files, and its division
//! - `listeners`: configured listeners; `open`: inherited or bound sockets; `fixed`: settings that need a
//!   restart
//! - `lifecycle`: from startup to shutdown; `systemd`: notifications to the service manager
//! - `reload`: reloads, one at a time, by signal, `watch` or admin request; `loader`: their thread;
//!   `implausible`: configurations that a reload by `watch` does not apply

mod descriptors;
mod fixed;
mod implausible;
mod lifecycle;
mod listeners;
mod loader;
mod open;
mod reload;
mod systemd;
mod watch;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use thiserror::Error;

pub use lifecycle::ExitReason;
pub use loader::Loader;

use self::listeners::Listeners;
use self::reload::{Reloader, Reloads};
use crate::admin::{Admin, AllowedHosts};
use crate::config::{self, Loaded, Marked};
use crate::serve::Engine;
use crate::serve::bind::BindError;
use crate::serve::forward::missing_sources;
use crate::serve::inherit::{InheritError, Inherited};
use crate::serve::tls::InvalidPem;
use crate::serve::workers::Workers;
use crate::world::{Listener, World};

/// Why the daemon cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// A listener cannot be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The admin address cannot be opened.
    #[error("the admin address: {0}")]
    Admin(#[source] BindError),
    /// An inherited socket does not belong to any listener.
    #[error(transparent)]
    Inherited(#[from] InheritError),
    /// A certificate is not usable.
    #[error("cannot load a certificate")]
    Certificate(#[source] InvalidPem),
    /// The query log cannot be opened.
    #[error("cannot open the query log")]
    QueryLog(#[source] crate::observe::ObserverError),
    /// Another system error.
    #[error("cannot {doing}")]
    System {
        /// The failed operation.
        doing: &'static str,
        /// The system's error.
        #[source]
        source: io::Error,
    },
}

/// A daemon whose listeners are open but do not answer yet.
pub struct Daemon {
    engine: Arc<Engine>,
    workers: Workers,
    admin: Admin,
    admin_listener: tokio::net::TcpListener,
    listeners: Listeners,
    reloader: Reloader,
    reloads: Reloads,
    /// Whether changed files trigger a reload.
    watches: bool,
    /// How long it continues to answer after the signal to stop.
    lame_duck: Duration,
}

impl Daemon {
    /// Opens every listener of a world. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// If an address cannot be bound or the query log cannot be opened.
    pub fn start(config_path: Option<PathBuf>, loaded: &Loaded, world: World) -> Result<Self, StartError> {
        Self::start_with(config_path, loaded, world, Inherited::none(), Loader::start())
    }

    /// Like [`start`](Self::start), but uses inherited sockets for the listeners with the same addresses.
    /// Worlds of later reloads are created by `loader`.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), and if no listener has the address of an inherited socket.
    pub fn start_with(
        config_path: Option<PathBuf>,
        loaded: &Loaded,
        world: World,
        mut inherited: Inherited,
        loader: Loader,
    ) -> Result<Self, StartError> {
        let server = &loaded.config.server;
        let listeners = world.settings.listeners.clone();
        let shares = descriptors::shares(server, &world, worker_count(server));
        let engine = Engine::open_with(&loaded.config, world, shares.sockets_per_server);
        let engine = Arc::new(engine.map_err(StartError::QueryLog)?);
        warn_about_missing_sources(&engine.live().load());
        let system = |doing| move |source| StartError::System { doing, source };
        let workers = Workers::start(&engine, worker_count(server)).map_err(system("start a worker"))?;
        let listeners = Listeners::open(server, shares.connections, &listeners, &workers, &mut inherited)?;
        let admin_listener = open::admin(server.admin.value().0, &mut inherited)?;
        let admin_opened = system("open the admin address");
        admin_listener.set_nonblocking(true).map_err(admin_opened)?;
        let admin_listener = tokio::net::TcpListener::from_std(admin_listener).map_err(admin_opened)?;
        inherited.check_all_taken()?;
        let watches = server.watch && config_path.is_some();
        let lame_duck = Duration::from_secs(server.lame_duck_s.into());
        let certificates = listeners.certificates().clone();
        let (reloader, reloads) = Reloader::new(engine.clone(), config_path, loaded, certificates, loader);
        let ready = Arc::new(AtomicBool::new(false));
        let hosts = AllowedHosts::new(server.admin_hosts.iter().flatten().map(Marked::value));
        let (admin_engine, reload, connections) = (engine.clone(), reloads.handle(), shares.admin);
        let admin = Admin { engine: admin_engine, ready, reload, hosts, connections };
        Ok(Self { engine, workers, admin, admin_listener, listeners, reloader, reloads, watches, lame_duck })
    }

    /// The listeners with their actual addresses, which differ if the configured port is 0.
    pub fn addresses(&self) -> &[(Listener, SocketAddr)] {
        self.listeners.addresses()
    }

    /// The admin address.
    ///
    /// # Errors
    ///
    /// If the system does not report it.
    pub fn admin_address(&self) -> io::Result<SocketAddr> {
        self.admin_listener.local_addr()
    }

    /// The engine.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }
}

/// Warns about configured source addresses for upstream queries that this host does not have. Called at
/// startup and after each reload.
fn warn_about_missing_sources(world: &World) {
    for sentence in missing_sources(world) {
        tracing::warn!("{sentence}.");
    }
}

/// Number of worker threads: as configured, or one per core.
pub fn worker_count(server: &config::Server) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    server.workers.map_or_else(cores, |workers| workers.get().into())
}
