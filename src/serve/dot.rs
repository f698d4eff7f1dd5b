//! DNS over TLS (RFC 7858): the connection code of plain TCP, over a TLS stream.
//!
//! ```text
//!  accept ─▶ slots: within limits? ─ no ─▶ close immediately, counted
//!                     │ yes
//!                     └▶ a task: TLS handshake, within the idle timeout
//!                          └▶ a worker's thread: tcp/connection.rs over the TLS stream
//! ```
//!
//! Handshakes run on the accepting runtime, not on a worker's thread: a signature takes as long as
//! answering many queries from the cache, and the worker's datagrams would have to wait for it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::accept::accept_until;
use super::tcp::{Connection, ConnectionStream, TcpClient, TcpLimits, TcpSlots, admit};
use super::tls::{Certificate, server_config};
use super::workers::Workers;
use super::{Engine, ListenerIdentity, Transport};

/// The ALPN protocol name (RFC 7858 and the ALPN registry).
const ALPN: &[u8] = b"dot";

/// A listener for DNS over TLS (RFC 7858).
///
/// Its connections count towards the same limits as TCP connections. The idle timeout also limits the
/// handshake.
pub struct DotListener {
    listener: TcpListener,
    identity: Arc<ListenerIdentity>,
    tls: TlsAcceptor,
    limits: TcpLimits,
    slots: Arc<TcpSlots>,
}

impl DotListener {
    /// Creates a listener from a bound socket. It accepts no connection before [`run`](Self::run).
    ///
    /// Must be called within a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    /// The socket cannot be registered with the runtime.
    pub fn new(
        listener: std::net::TcpListener,
        identity: Arc<ListenerIdentity>,
        certificate: Arc<Certificate>,
        limits: TcpLimits,
        slots: Arc<TcpSlots>,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let tls = TlsAcceptor::from(server_config(certificate, ALPN).map_err(io::Error::other)?);
        Ok(Self { listener: TcpListener::from_std(listener)?, identity, tls, limits, slots })
    }

    /// Serves until `stop`. After that, no connection is accepted, handshakes are aborted, open connections
    /// have a grace period of one second to finish their queries in flight, and the remaining ones are
    /// aborted.
    pub async fn run(self, engine: Arc<Engine>, workers: Workers, stop: impl Future<Output = ()>) {
        let Self { listener, identity, tls, limits, slots } = self;
        let serve = |stream: TcpStream, peer: SocketAddr, closing| {
            let client = admit(&stream, peer, Transport::Dot, &slots, &limits, &engine, &identity)?;
            Some(serve(stream, client, tls.clone(), workers.clone(), closing))
        };
        accept_until(listener, &identity, &engine, stop, serve).await;
    }
}

/// Serves a client from its handshake to the end of its connection.
async fn serve(
    stream: TcpStream,
    client: TcpClient,
    tls: TlsAcceptor,
    workers: Workers,
    mut closing: watch::Receiver<()>,
) {
    let handshake = tls.accept(Socket::Registered(stream));
    let established = tokio::select! {
        biased;
        // Completes with an error when the listener drops the sender.
        _ = closing.changed() => return,
        established = tokio::time::timeout(client.idle_timeout(), handshake) => established,
    };
    let mut stream = match established {
        Ok(Ok(stream)) => stream,
        Ok(Err(_)) => return client.record_handshake_failure(),
        Err(_) => return client.record_timeout(),
    };
    // If the stream cannot move to the worker's runtime, it is closed.
    if stream.get_mut().0.detach().is_err() {
        return;
    }
    let serve = move |worker| async move {
        if stream.get_mut().0.attach().is_ok() {
            Connection::new(stream, client, worker).serve(closing).await;
        }
    };
    workers.run_on_next(serve).await;
}

impl ConnectionStream for TlsStream<Socket> {
    fn discard_unsent(&self) {
        if let Socket::Registered(stream) = self.get_ref().0 {
            stream.discard_unsent();
        }
    }
}

/// A TCP stream that moves from one runtime to another underneath a TLS stream, which cannot be taken apart.
#[derive(Debug)]
enum Socket {
    /// Registered with a runtime.
    Registered(TcpStream),
    /// Not registered with a runtime.
    Detached(std::net::TcpStream),
    /// Lost: registering or deregistering failed.
    Lost,
}

impl Socket {
    /// Deregisters the stream from its runtime.
    fn detach(&mut self) -> io::Result<()> {
        if let Self::Registered(stream) = std::mem::replace(self, Self::Lost) {
            *self = Self::Detached(stream.into_std()?);
        }
        Ok(())
    }

    /// Registers the stream with the current runtime.
    fn attach(&mut self) -> io::Result<()> {
        if let Self::Detached(stream) = std::mem::replace(self, Self::Lost) {
            *self = Self::Registered(TcpStream::from_std(stream)?);
        }
        Ok(())
    }

    /// The stream for polling.
    fn registered(self: Pin<&mut Self>) -> io::Result<Pin<&mut TcpStream>> {
        match self.get_mut() {
            Self::Registered(stream) => Ok(Pin::new(stream)),
            Self::Detached(_) | Self::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.registered()?.poll_read(cx, into)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        self.registered()?.poll_write(cx, octets)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.registered()?.poll_write_vectored(cx, octets)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.registered()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.registered()?.poll_shutdown(cx)
    }
}
