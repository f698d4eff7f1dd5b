//! Opens and runs the configured listeners.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use super::StartError;
use super::open::Sockets;
use crate::config;
use crate::serve::bind::bind_tcp;
use crate::serve::datagrams::Backend;
use crate::serve::doh::DohListener;
use crate::serve::dot::DotListener;
use crate::serve::inherit::Inherited;
use crate::serve::tcp::{DnsTcpListener, TcpLimits, TcpSlots};
use crate::serve::tls::Certificate;
use crate::serve::udp::UdpListener;
use crate::serve::workers::Workers;
use crate::serve::{Engine, ListenerIdentity};
use crate::world::{Listener, ListenerTransport, TlsFiles, World};

/// The certificates of encrypted listeners, each with the listener's address as configured, which identifies
/// it across reloads.
pub(super) type Certificates = Vec<(SocketAddr, Arc<Certificate>)>;

/// Open listeners that do not answer yet.
pub(super) struct Listeners {
    /// Each with the number of the worker that reads from it.
    udp: Vec<(usize, UdpListener)>,
    tcp: Vec<DnsTcpListener>,
    dot: Vec<DotListener>,
    doh: Vec<DohListener>,
    certificates: Certificates,
    addresses: Vec<(Listener, SocketAddr)>,
    limits: TcpLimits,
    slots: Arc<TcpSlots>,
    workers: Workers,
}

impl Listeners {
    /// Opens every listener of a world, or none. `connections` is the limit on client connections across all
    /// transports.
    pub(super) fn open(
        server: &config::Server,
        connections: usize,
        listeners: &[Listener],
        workers: &Workers,
        inherited: &mut Inherited,
    ) -> Result<Self, StartError> {
        let limits = TcpLimits {
            connections,
            connections_per_client: server.max_tcp_connections_per_client as usize,
            queries_in_flight: server.max_tcp_queries_in_flight as usize,
            idle_timeout: Duration::from_secs(server.tcp_idle_timeout_s.into()),
        };
        let mut opened = Self {
            udp: Vec::new(),
            tcp: Vec::new(),
            dot: Vec::new(),
            doh: Vec::new(),
            certificates: Vec::new(),
            addresses: Vec::new(),
            limits,
            slots: Arc::new(TcpSlots::new()),
            workers: workers.clone(),
        };
        for (number, listener) in listeners.iter().enumerate() {
            let address = opened.open_one(number, listener, inherited)?;
            opened.addresses.push((listener.clone(), address));
        }
        Ok(opened)
    }

    /// Opens one listener and returns its address.
    fn open_one(
        &mut self,
        number: usize,
        listener: &Listener,
        inherited: &mut Inherited,
    ) -> Result<SocketAddr, StartError> {
        let identity = Arc::new(ListenerIdentity::new(number, listener.address));
        let (limits, slots) = (self.limits.clone(), self.slots.clone());
        match &listener.transport {
            ListenerTransport::Plain { udp, tcp } => {
                let workers = self.workers.count();
                let sockets = Sockets::open(listener.address, (*udp, *tcp), workers, inherited)?;
                let address = sockets.address().transpose().map_err(open_error)?.unwrap_or(listener.address);
                for (reader, socket) in sockets.udp.into_iter().enumerate() {
                    let udp =
                        UdpListener::new(socket, identity.clone(), Backend::best()).map_err(open_error)?;
                    // Distributes listeners with a single reader among the workers.
                    self.udp.push(((number + reader) % workers, udp));
                }
                if let Some(socket) = sockets.tcp {
                    self.tcp.push(DnsTcpListener::new(socket, identity, limits, slots).map_err(open_error)?);
                }
                Ok(address)
            }
            ListenerTransport::Dot(files) => {
                let certificate = self.certificate(listener.address, files)?;
                let socket = tcp_socket(listener.address, inherited)?;
                let address = socket.local_addr().map_err(open_error)?;
                let dot = DotListener::new(socket, identity, certificate, limits, slots);
                self.dot.push(dot.map_err(open_error)?);
                Ok(address)
            }
            ListenerTransport::Doh { tls, path } => {
                let certificate = self.certificate(listener.address, tls)?;
                let socket = tcp_socket(listener.address, inherited)?;
                let address = socket.local_addr().map_err(open_error)?;
                let doh = DohListener::new(socket, identity, certificate, path.clone(), limits, slots);
                self.doh.push(doh.map_err(open_error)?);
                Ok(address)
            }
        }
    }

    fn certificate(&mut self, address: SocketAddr, files: &TlsFiles) -> Result<Arc<Certificate>, StartError> {
        let certificate = Arc::new(Certificate::of(files).map_err(StartError::Certificate)?);
        self.certificates.push((address, certificate.clone()));
        Ok(certificate)
    }

    /// The listeners with their actual addresses, which differ if the configured port is 0.
    pub(super) fn addresses(&self) -> &[(Listener, SocketAddr)] {
        &self.addresses
    }

    /// The certificates that a reload replaces.
    pub(super) fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// Runs every listener until its `stop_signal()` completes. `open` counts those running.
    pub(super) fn run<T>(
        self,
        engine: &Arc<Engine>,
        open: &Arc<AtomicUsize>,
        stop_signal: impl Fn() -> T,
    ) -> JoinSet<()>
    where
        T: Future<Output = ()> + Send + 'static,
    {
        let mut running = JoinSet::new();
        for (reader, listener) in self.udp {
            running.spawn(counted(
                open,
                read_on(self.workers.clone(), reader, listener, engine.clone(), stop_signal()),
            ));
        }
        for listener in self.tcp {
            running.spawn(counted(open, listener.run(engine.clone(), self.workers.clone(), stop_signal())));
        }
        for listener in self.dot {
            running.spawn(counted(open, listener.run(engine.clone(), self.workers.clone(), stop_signal())));
        }
        for listener in self.doh {
            running.spawn(counted(open, listener.run(engine.clone(), stop_signal())));
        }
        running
    }
}

/// Runs a UDP listener on the thread of its worker.
async fn read_on<T>(
    workers: Workers,
    reader: usize,
    listener: UdpListener,
    engine: Arc<Engine>,
    stop_signal: T,
) where
    T: Future<Output = ()> + Send + 'static,
{
    let run = move |own| async move {
        if let Err(error) = listener.run(engine, own, stop_signal).await {
            tracing::error!(%error, "Cannot read from a UDP socket.");
        }
    };
    workers.run(reader, run).await;
}

/// Runs a listener that is counted as open until it ends, however that happens.
fn counted<F: Future<Output = ()>>(
    open: &Arc<AtomicUsize>,
    listener: F,
) -> impl Future<Output = ()> + use<F> {
    struct Open(Arc<AtomicUsize>);
    impl Drop for Open {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::AcqRel);
        }
    }
    open.fetch_add(1, Ordering::AcqRel);
    let open = Open(open.clone());
    async move {
        let _open = open;
        listener.await;
    }
}

/// Replaces the certificates with those of a checked world. If a file has become invalid in the meantime, the
/// previous certificate remains.
pub(super) fn replace_certificates(certificates: &Certificates, world: &World) {
    for listener in &world.settings.listeners {
        let Some(files) = listener.tls() else { continue };
        let Some((_, certificate)) = certificates.iter().find(|(address, _)| *address == listener.address)
        else {
            continue;
        };
        if let Err(error) = certificate.replace(files) {
            tracing::error!(listener = %listener.address, %error, "Keeping the previous certificate.");
        }
    }
}

/// A stream socket, inherited or bound.
fn tcp_socket(address: SocketAddr, inherited: &mut Inherited) -> Result<TcpListener, StartError> {
    match inherited.take_tcp(address) {
        Some(listener) => Ok(listener),
        None => Ok(bind_tcp(address)?),
    }
}

fn open_error(source: io::Error) -> StartError {
    StartError::System { doing: "open a listener", source }
}
