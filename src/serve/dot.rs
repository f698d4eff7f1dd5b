//! DNS over TLS (RFC 7858): the connection of plain TCP over a TLS stream.
//!
//! ```text
//!  accept ─▶ slots: is there room? ─ no ─▶ close at once, counted
//!                     │ yes
//!                     └▶ a task: TLS handshake, within the idle timeout
//!                          └▶ a worker's thread: tcp/connection.rs over the TLS stream
//! ```
//!
//! Handshakes run on the runtime that accepts, not on a worker's thread: a signature takes as long as many cached
//! answers, and a worker's datagrams would wait for it.

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
use super::tcp::{Client, Connection, TcpLimits, TcpSlots, Transmission, admit};
use super::tls::{Certificate, server_config};
use super::workers::Workers;
use super::{Door, Engine, Transport};

/// The protocol's name in a handshake (RFC 7858 and the ALPN registry).
const ALPN: &[u8] = b"dot";

/// A listener that answers DNS over TLS (RFC 7858).
///
/// Its connections count with those of TCP, and the same limits hold. The idle timeout bounds the handshake, too.
pub struct DotListener {
    listener: TcpListener,
    door: Arc<Door>,
    tls: TlsAcceptor,
    limits: TcpLimits,
    slots: Arc<TcpSlots>,
}

impl DotListener {
    /// Takes over a bound listener; nothing is accepted until [`run`](Self::run).
    ///
    /// Must be called within a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    /// The listener cannot be registered with the runtime.
    pub fn new(
        listener: std::net::TcpListener,
        door: Arc<Door>,
        certificate: Arc<Certificate>,
        limits: TcpLimits,
        slots: Arc<TcpSlots>,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let tls = TlsAcceptor::from(server_config(certificate, ALPN).map_err(io::Error::other)?);
        Ok(Self { listener: TcpListener::from_std(listener)?, door, tls, limits, slots })
    }

    /// Serves until `stop`. Then nothing is accepted any more, handshakes are cut off, open connections finish what is
    /// in flight for at most a second, and those that have not are cut off.
    pub async fn run(self, engine: Arc<Engine>, workers: Workers, stop: impl Future<Output = ()>) {
        let Self { listener, door, tls, limits, slots } = self;
        let serve = |stream: TcpStream, peer: SocketAddr, closing| {
            let client = admit(&stream, peer, Transport::Dot, &slots, &limits, &engine, &door)?;
            Some(serve(stream, client, tls.clone(), workers.clone(), closing))
        };
        accept_until(listener, &door, &engine, stop, serve).await;
    }
}

/// Serves a client from its handshake to its end.
async fn serve(
    stream: TcpStream,
    client: Client,
    tls: TlsAcceptor,
    workers: Workers,
    mut closing: watch::Receiver<()>,
) {
    let handshake = tls.accept(Socket::On(stream));
    let established = tokio::select! {
        biased;
        // Ends with an error, when the listener drops the sender.
        _ = closing.changed() => return,
        established = tokio::time::timeout(client.idle_timeout(), handshake) => established,
    };
    let mut stream = match established {
        Ok(Ok(stream)) => stream,
        Ok(Err(_)) => return client.handshake_failed(),
        Err(_) => return client.timed_out(),
    };
    // Where it cannot change runtimes, it is closed.
    if stream.get_mut().0.detach().is_err() {
        return;
    }
    let serve = move |own| async move {
        if stream.get_mut().0.attach().is_ok() {
            Connection::new(stream, client, own).serve(closing).await;
        }
    };
    workers.run_on_next(serve).await;
}

impl Transmission for TlsStream<Socket> {
    fn discard_unread(&self) {
        if let Socket::On(stream) = self.get_ref().0 {
            stream.discard_unread();
        }
    }
}

/// A TCP stream that changes from one runtime to another below a TLS stream, which cannot be taken apart.
#[derive(Debug)]
enum Socket {
    /// Registered with the runtime that is to use it.
    On(TcpStream),
    /// Between two runtimes.
    Off(std::net::TcpStream),
    /// Lost while it changed.
    Lost,
}

impl Socket {
    /// Takes it off the runtime that it is registered with.
    fn detach(&mut self) -> io::Result<()> {
        if let Self::On(stream) = std::mem::replace(self, Self::Lost) {
            *self = Self::Off(stream.into_std()?);
        }
        Ok(())
    }

    /// Registers it with the current runtime.
    fn attach(&mut self) -> io::Result<()> {
        if let Self::Off(stream) = std::mem::replace(self, Self::Lost) {
            *self = Self::On(TcpStream::from_std(stream)?);
        }
        Ok(())
    }

    /// The stream as it is polled.
    fn polled(self: Pin<&mut Self>) -> io::Result<Pin<&mut TcpStream>> {
        match self.get_mut() {
            Self::On(stream) => Ok(Pin::new(stream)),
            Self::Off(_) | Self::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.polled()?.poll_read(cx, into)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        self.polled()?.poll_write(cx, octets)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.polled()?.poll_write_vectored(cx, octets)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.polled()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.polled()?.poll_shutdown(cx)
    }
}
