//! Wiring: opens the doors, runs them, reloads the world, stops. The only module that reads signals.
//!
//! - `descriptors`: the limit of open files, and how it is divided
//! - `listeners`: what the listeners say; `open`: sockets, inherited or bound; `fixed`: what only a start applies
//! - `life`: from open doors to closed ones; `systemd`: what the service manager is told
//! - `reload`: one at a time, for signals, `watch` and the admin pages; `loader`: the thread it is done on;
//!   `implausible`: what the watch does not apply

mod descriptors;
mod fixed;
mod implausible;
mod life;
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

pub use life::ExitReason;
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
    /// A socket was passed in that nobody listens on.
    #[error(transparent)]
    Inherited(#[from] InheritError),
    /// A certificate cannot be used.
    #[error("a certificate")]
    Certificate(#[source] InvalidPem),
    /// The query log cannot be opened.
    #[error("the query log")]
    QueryLog(#[source] crate::observe::ObserverError),
    /// The system refuses something else.
    #[error("{doing}")]
    System {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A daemon whose doors are open and that answers nobody yet.
pub struct Daemon {
    engine: Arc<Engine>,
    workers: Workers,
    admin: Admin,
    admin_listener: tokio::net::TcpListener,
    listeners: Listeners,
    reloader: Reloader,
    reloads: Reloads,
    /// Whether changed files are noticed.
    watches: bool,
    /// How long it goes on answering once it is told to end.
    lame_duck: Duration,
}

impl Daemon {
    /// Opens every door of a world. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// When an address cannot be had, or the query log cannot be opened.
    pub fn start(config_path: Option<PathBuf>, loaded: &Loaded, world: World) -> Result<Self, StartError> {
        Self::start_with(config_path, loaded, world, Inherited::none(), Loader::start())
    }

    /// The same with sockets that were passed in: a listener with the address of one of them takes it. Later worlds
    /// are made by the loader.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), and when no listener has the address of a socket that was passed in.
    pub fn start_with(
        config_path: Option<PathBuf>,
        loaded: &Loaded,
        world: World,
        mut inherited: Inherited,
        loader: Loader,
    ) -> Result<Self, StartError> {
        let server = &loaded.config.server;
        let listeners = world.listeners.clone();
        let shares = descriptors::shares(server, &world, worker_count(server));
        let engine = Engine::open_with(&loaded.config, world, shares.sockets_per_server);
        let engine = Arc::new(engine.map_err(StartError::QueryLog)?);
        warn_of_missing_sources(&engine.live().load());
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
        let (engine_of_admin, reload, connections) = (engine.clone(), reloads.handle(), shares.admin);
        let admin = Admin { engine: engine_of_admin, ready, reload, hosts, connections };
        Ok(Self { engine, workers, admin, admin_listener, listeners, reloader, reloads, watches, lame_duck })
    }

    /// The listeners with the addresses they have, which differ where the port was 0.
    pub fn addresses(&self) -> &[(Listener, SocketAddr)] {
        self.listeners.addresses()
    }

    /// The address that the admin pages are served at.
    ///
    /// # Errors
    ///
    /// When the system does not tell.
    pub fn admin_address(&self) -> io::Result<SocketAddr> {
        self.admin_listener.local_addr()
    }

    /// The engine behind the doors.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }
}

/// Logs the source addresses of upstream queries that this host does not have: at the start, and at each reload.
fn warn_of_missing_sources(world: &World) {
    for sentence in missing_sources(world) {
        tracing::warn!("{sentence}.");
    }
}

/// How many threads answer: as the configuration says, or one for each core.
pub fn worker_count(server: &config::Server) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    server.workers.map_or_else(cores, |workers| workers.get().into())
}
