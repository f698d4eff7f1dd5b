//! Wiring: opens the doors, runs them, reloads the world, stops. The only module that reads signals.
//!
//! - `open`: sockets, inherited or bound; `fixed`: what only a start applies
//! - `life`: from open doors to closed ones; `systemd`: what the service manager is told
//! - `reload`: one at a time, for signals, `watch` and the admin pages

mod fixed;
mod life;
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

pub use life::Ended;

use self::open::Sockets;
use self::reload::{Reloader, Reloads};
use crate::admin::Admin;
use crate::config::Loaded;
use crate::observe::{Observer, ObserverOptions};
use crate::serve::bind::BindError;
use crate::serve::inherit::{InheritError, Inherited};
use crate::serve::tcp::{TcpDoor, TcpLimits, TcpSlots};
use crate::serve::udp::UdpDoor;
use crate::serve::{Door, Engine};
use crate::world::{Listener, Live, World};

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
    udp: Vec<UdpDoor>,
    tcp: Vec<TcpDoor>,
    reloader: Reloader,
    reloads: Reloads,
    /// Whether changed files are noticed.
    watches: bool,
    /// How long it goes on answering once it is told to end.
    lame_duck: Duration,
    addresses: Vec<(Listener, SocketAddr)>,
}

impl Daemon {
    /// Opens every door of a world. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// When an address cannot be had, or the query log cannot be opened.
    pub fn start(config_path: Option<PathBuf>, loaded: &Loaded, world: World) -> Result<Self, StartError> {
        Self::start_with(config_path, loaded, world, Inherited::none())
    }

    /// The same with sockets that were passed in: a listener with the address of one of them takes it.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), and when no listener has the address of a socket that was passed in.
    pub fn start_with(
        config_path: Option<PathBuf>,
        loaded: &Loaded,
        world: World,
        mut inherited: Inherited,
    ) -> Result<Self, StartError> {
        let server = &loaded.config.server;
        let options = ObserverOptions {
            query_log: loaded.config.query_log.clone(),
            remembered_lookups: server.max_remembered_lookups as usize,
        };
        let observer = Arc::new(Observer::new(options).map_err(StartError::QueryLog)?);
        observer.world_loaded(&world);
        let listeners = world.listeners.clone();
        let live = Arc::new(Live::new(world));
        let engine = Arc::new(Engine::new(live.clone(), observer.clone()));
        let limits = TcpLimits {
            connections: server.max_tcp_connections as usize,
            connections_per_client: server.max_tcp_connections_per_client as usize,
            queries_in_flight: server.max_tcp_queries_in_flight as usize,
            idle_timeout: Duration::from_secs(server.tcp_idle_timeout_s.into()),
        };
        let slots = Arc::new(TcpSlots::new());
        let (mut udp, mut tcp, mut addresses) = (Vec::new(), Vec::new(), Vec::new());
        let system = |doing| move |source| StartError::System { doing, source };
        for listener in listeners {
            let sockets = Sockets::open(&listener, &mut inherited)?;
            let opened = system("open a listener");
            let Some(address) = sockets.address() else { continue };
            let door = Arc::new(Door::new(listener.address));
            addresses.push((listener, address.map_err(opened)?));
            if let Some(socket) = sockets.udp {
                let lookups = engine.observer().lookups();
                udp.push(UdpDoor::new(socket, door.clone(), lookups).map_err(opened)?);
            }
            if let Some(socket) = sockets.tcp {
                tcp.push(TcpDoor::new(socket, door, limits.clone(), slots.clone()).map_err(opened)?);
            }
        }
        let admin_listener = open::admin(server.admin.value().0, &mut inherited)?;
        let admin_opened = system("open the admin address");
        admin_listener.set_nonblocking(true).map_err(admin_opened)?;
        let admin_listener = tokio::net::TcpListener::from_std(admin_listener).map_err(admin_opened)?;
        inherited.all_taken()?;
        let watches = server.watch && config_path.is_some();
        let lame_duck = Duration::from_secs(server.lame_duck_s.into());
        let (reloader, reloads) = Reloader::new(engine.clone(), config_path, loaded);
        let ready = Arc::new(AtomicBool::new(false));
        let admin = Admin { live, observer, ready, reload: reloads.handle() };
        Ok(Self { engine, admin, admin_listener, udp, tcp, reloader, reloads, watches, lame_duck, addresses })
    }

    /// The listeners with the addresses they have, which differ where the port was 0.
    pub fn addresses(&self) -> &[(Listener, SocketAddr)] {
        &self.addresses
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
