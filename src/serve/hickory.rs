//! The door for DNS over TLS, carried by hickory-server: this file alone knows that crate.
//!
//! ```text
//!  hickory-server: accept ─▶ TLS ─▶ frames ─▶ Handler ─▶ answer ─▶ Engine::answer
//!                               ◀─ encode ◀─ ResponseHandler ◀─ decode ◀─┘
//! ```
//!
//! hickory-server sends no octets that it has not encoded itself, so the engine's reply is decoded again.
//! The engine stays the one definition of what a reply holds: header, sections and options go through as
//! they are, only where names are compressed may differ.

use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hickory_proto::op::{Header, HeaderCounts, Message, Metadata, ResponseCode};
use hickory_proto::rr::Record;
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::{MessageResponseBuilder, Queries};
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::encrypted::answer;
use super::tls::{Certificate, server_config};
use super::{Door, Engine, Origin, Transport};

/// What its crates are allowed to log: at `info` two lines an answer, at `warn` what any stranger provokes.
pub const LOG_FILTER: &str = "hickory_server=error,hickory_net=error,hickory_proto=error";

/// The protocol's name in a handshake (RFC 7858 and the ALPN registry).
const ALPN: &[u8] = b"dot";

/// Queries answered at once; more wait. hickory-server has no bound of its own.
const IN_FLIGHT: u32 = 1024;

/// How long queries in flight may take to be answered once the door is told to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(1);

/// How long a connection has to write a reply that was handed to it, once the door is told to stop:
/// hickory-server does not say when it has, and cuts connections off when it is told to stop itself.
const FLUSH: Duration = Duration::from_millis(100);

/// Rest after hickory-server gave up a listener, so that a lasting cause does not spin.
const PAUSE: Duration = Duration::from_secs(1);

/// A listener that answers DNS over TLS (RFC 7858).
///
/// Queries of one connection are answered one after another. Connections are not counted and not bounded;
/// a silent one is closed.
pub struct DotDoor {
    /// Kept, so that the address stays ours when hickory-server gives its copy up.
    listener: std::net::TcpListener,
    door: Arc<Door>,
    tls: Arc<ServerConfig>,
    idle_timeout: Duration,
}

impl DotDoor {
    /// A door on a bound listener; it accepts nobody until [`run`](Self::run).
    ///
    /// # Errors
    /// The listener cannot be made non-blocking.
    pub fn new(
        listener: std::net::TcpListener,
        door: Arc<Door>,
        certificate: Arc<Certificate>,
        idle_timeout: Duration,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let tls = server_config(certificate, ALPN).map_err(io::Error::other)?;
        Ok(Self { listener, door, tls, idle_timeout })
    }

    /// Serves until `stop`. Then queries in flight are answered, for at most a second, no other is taken,
    /// and all connections are cut off.
    pub async fn run(self, engine: Arc<Engine>, stop: impl Future<Output = ()>) {
        let in_flight = Arc::new(Semaphore::new(IN_FLIGHT as usize));
        let mut stop = pin!(stop);
        loop {
            let gave_up = match self.open(&engine, &in_flight) {
                Ok(mut server) => tokio::select! {
                    biased;
                    () = &mut stop => {
                        // Whoever asks for a place after this waits behind it, and so is not served.
                        let drained = in_flight.acquire_many(IN_FLIGHT);
                        let _ = tokio::time::timeout(STOP_PATIENCE, drained).await;
                        tokio::time::sleep(FLUSH).await;
                        let _ = server.shutdown_gracefully().await;
                        return;
                    }
                    ended = server.block_until_done() => match ended {
                        Ok(()) => "it ended".to_owned(),
                        Err(error) => error.to_string(),
                    },
                },
                Err(error) => error.to_string(),
            };
            // One connection that is lost while it is accepted is enough for it (ECONNABORTED).
            engine.observer().doors().tcp_accept_errors.inc();
            tracing::warn!(listener = %self.door.server.label, error = %gave_up, "DNS over TLS stopped; it is opened again.");
            tokio::select! {
                biased;
                () = &mut stop => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    fn open(&self, engine: &Arc<Engine>, in_flight: &Arc<Semaphore>) -> io::Result<Server<Handler>> {
        let handler = Handler {
            engine: engine.clone(),
            door: self.door.clone(),
            local: self.door.address.ip(),
            in_flight: in_flight.clone(),
        };
        let listener = TcpListener::from_std(self.listener.try_clone()?)?;
        let mut server = Server::new(handler);
        server.register_tls_listener_with_tls_config(listener, self.idle_timeout, self.tls.clone())?;
        Ok(server)
    }
}

/// Hands the octets of a query to the engine, and the engine's reply to hickory-server.
struct Handler {
    engine: Arc<Engine>,
    door: Arc<Door>,
    /// hickory-server does not tell which address a client chose; of a wildcard it is the wildcard.
    local: IpAddr,
    in_flight: Arc<Semaphore>,
}

#[async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut responder: R,
    ) -> ResponseInfo {
        let metadata = Metadata::response_from_request(&request.metadata);
        let nothing = ResponseInfo::from(Header { metadata, counts: HeaderCounts::default() });
        // It is never closed.
        let Ok(_place) = self.in_flight.acquire().await else { return nothing };
        let origin = Origin { peer: request.src(), local: self.local, transport: Transport::Dot };
        let Some(reply) = answer(&self.engine, &self.door, request.as_slice(), &origin).await else {
            return nothing;
        };
        let sent = match decode(&reply) {
            Ok((queries, message)) => {
                let builder = MessageResponseBuilder::new(&queries, message.edns.as_ref());
                let none: &[Record] = &[];
                let response = builder.build(
                    message.metadata,
                    &message.answers,
                    &message.authorities,
                    none,
                    &message.additionals,
                );
                responder.send_response(response).await
            }
            Err(error) => {
                tracing::error!(%error, "A reply cannot be read back; SERVFAIL is sent instead.");
                let builder = MessageResponseBuilder::from_message_request(request);
                responder.send_response(builder.error_msg(&request.metadata, ResponseCode::ServFail)).await
            }
        };
        sent.unwrap_or_else(|_| {
            self.engine.observer().doors().tcp_send_errors.inc();
            nothing
        })
    }
}

/// A reply of ours as hickory-server wants it: the question in its octets, and the rest.
fn decode(reply: &[u8]) -> Result<(Queries, Message), String> {
    let message = Message::from_vec(reply).map_err(|error| error.to_string())?;
    let mut decoder = BinDecoder::new(reply);
    let header = Header::read(&mut decoder).map_err(|error| error.to_string())?;
    let queries =
        Queries::read(&mut decoder, header.counts.queries.into()).map_err(|error| error.to_string())?;
    Ok((queries, message))
}
