//! Wiring: opens the doors, runs them, reloads the world, stops. The only module that reads signals.

mod doors;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use self::doors::{Certificates, Doors, replace_certificates};
use crate::admin::Admin;
use crate::config::{self, Loaded};
use crate::serve::Engine;
use crate::serve::bind::{BindError, bind_tcp};
use crate::serve::tls::{self, PemRefused};
use crate::world::compile::compile;
use crate::world::{Listener, World};

/// How long doors may take to finish what is in flight once they are told to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// Why the daemon cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// A listener cannot be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The admin address cannot be opened.
    #[error("the admin address: {0}")]
    Admin(#[source] BindError),
    /// A listener has nothing to prove itself with.
    #[error(transparent)]
    Certificate(PemRefused),
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
    admin: Admin,
    admin_listener: tokio::net::TcpListener,
    doors: Doors,
    /// Where the configuration comes from on a reload. `None`: the built-in lab.
    config: Option<PathBuf>,
}

impl Daemon {
    /// Opens every door of a world. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// When an address cannot be had, a certificate cannot be used, or the query log cannot be opened.
    pub fn start(config_path: Option<PathBuf>, loaded: &Loaded, world: World) -> Result<Self, StartError> {
        let server = &loaded.config.server;
        let listeners = world.listeners.clone();
        let engine = Arc::new(Engine::open(&loaded.config, world).map_err(StartError::QueryLog)?);
        let doors = Doors::open(server, &listeners, &engine)?;
        let system = |doing| move |source| StartError::System { doing, source };
        let admin_listener = bind_tcp(server.admin.value().0).map_err(StartError::Admin)?;
        let admin_listener =
            tokio::net::TcpListener::from_std(admin_listener).map_err(system("open the admin address"))?;
        Ok(Self {
            admin: Admin {
                live: engine.live().clone(),
                observer: engine.observer().clone(),
                ready: Arc::new(AtomicBool::new(false)),
            },
            engine,
            admin_listener,
            doors,
            config: config_path,
        })
    }

    /// The listeners with the addresses they have, which differ where the port was 0.
    pub fn addresses(&self) -> &[(Listener, std::net::SocketAddr)] {
        self.doors.addresses()
    }

    /// The address that the admin pages are served at.
    ///
    /// # Errors
    ///
    /// When the system does not tell.
    pub fn admin_address(&self) -> io::Result<std::net::SocketAddr> {
        self.admin_listener.local_addr()
    }

    /// The engine behind the doors.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Answers until SIGTERM or SIGINT; reloads on SIGHUP; logs a summary on SIGUSR1.
    ///
    /// # Errors
    ///
    /// When signals cannot be heard.
    pub async fn run_until_signalled(self) -> Result<(), StartError> {
        let system = |source| StartError::System { doing: "listen for signals", source };
        let mut terminate = signal(SignalKind::terminate()).map_err(system)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(system)?;
        let mut hang_up = signal(SignalKind::hangup()).map_err(system)?;
        let mut user1 = signal(SignalKind::user_defined1()).map_err(system)?;
        let (stop, stopped) = watch::channel(false);
        let (engine, config) = (self.engine.clone(), self.config.clone());
        let certificates = Arc::new(self.doors.certificates().clone());
        let running = tokio::spawn(self.run(stopped));
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hang_up.recv() => {
                    let (same, path, certificates) = (engine.clone(), config.clone(), certificates.clone());
                    // Compiling takes a while; the doors go on meanwhile.
                    let reloaded = tokio::task::spawn_blocking(move || reload(&same, path.as_deref(), &certificates));
                    let _ = reloaded.await;
                    engine.observer().reopen_query_log();
                }
                _ = user1.recv() => summarise(&engine),
            }
        }
        tracing::info!("Stopping.");
        let _ = stop.send(true);
        let _ = running.await;
        tracing::info!("Stopped.");
        Ok(())
    }

    /// Answers until told to stop, then finishes what is in flight, bounded.
    pub async fn run(self, stopped: watch::Receiver<bool>) {
        let ready = self.admin.ready.clone();
        let mut doors = self.doors.run(&self.engine, || told(stopped.clone()));
        let (close_admin, admin_closed) = watch::channel(false);
        let admin = tokio::spawn(self.admin.serve(self.admin_listener, told(admin_closed)));
        ready.store(true, Ordering::Release);
        told(stopped).await;
        ready.store(false, Ordering::Release);
        let drained = async { while doors.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::warn!("Some answers were still in flight after {} s and are given up.", DRAIN.as_secs());
        }
        let _ = close_admin.send(true);
        let _ = tokio::time::timeout(DRAIN, admin).await;
    }
}

/// Waits for a stop signal; a sender that is gone is one too.
async fn told(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// Reads the configuration again and replaces the world and the certificates, or keeps the old ones and says
/// why.
fn reload(engine: &Engine, path: Option<&Path>, certificates: &Certificates) {
    let Some(path) = path else {
        tracing::info!("The built-in lab does not change; nothing to reload.");
        return;
    };
    let mut loaded = match config::load(path) {
        Ok(loaded) => loaded,
        Err(error) => {
            engine.observer().reloaded(false);
            tracing::error!(path = %path.display(), %error, "Cannot read the configuration; the old world stays.");
            return;
        }
    };
    let world = compile(&mut loaded).filter(|world| tls::check(world, &mut loaded.report));
    for finding in loaded.report.sorted() {
        tracing::warn!("{}", finding.headline(&loaded.sources));
    }
    match world {
        None => {
            engine.observer().reloaded(false);
            tracing::error!(path = %path.display(), "The configuration is wrong; the old world stays.");
        }
        Some(world) => {
            tell_listener_changes(&engine.live().load(), &world);
            replace_certificates(certificates, &world);
            engine.observer().world_loaded(&world);
            let hash = world.hash.clone();
            engine.forwarder().world_replaced(&world);
            engine.live().replace(world);
            engine.observer().reloaded(true);
            tracing::info!(path = %path.display(), %hash, "Reloaded.");
        }
    }
}

/// Doors are opened at the start only.
fn tell_listener_changes(old: &World, new: &World) {
    let doors = |world: &World| -> Vec<_> {
        let listeners = world.listeners.iter();
        let of = |listener: &Listener| {
            (listener.address, listener.transports(), listener.http_path().map(str::to_owned))
        };
        listeners.map(of).collect()
    };
    if doors(old) != doors(new) {
        tracing::warn!("The listeners changed; that needs a restart, the rest applies now.");
    }
}

fn summarise(engine: &Engine) {
    let world = engine.live().load();
    tracing::info!(
        hash = %world.hash,
        vpcs = world.vpcs.len(),
        subnets = world.subnets.len(),
        endpoints = world.endpoints.len(),
        routes = world.route_tables.iter().map(|table| table.iter().count()).sum::<usize>(),
        hosted_zones = world.hosted_zones.len(),
        rules = world.rules.len(),
        sites = world.sites.len(),
        places = world.places.len(),
        claims = world.claims.name_count(),
        "The world."
    );
}
