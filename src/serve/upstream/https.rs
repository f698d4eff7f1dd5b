//! DNS over HTTPS to one name server: POST requests over one HTTP/2 connection (RFC 8484).

use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Method, Request, StatusCode};
use tokio::sync::Mutex;
use tokio::time::timeout_at;

use super::in_flight::ExchangeResult;
use super::message::{Failure, OutgoingQuery, QueryMatch};
use super::stream::Connector;
use super::tls::TlsDialer;
use crate::dns::{MAX_MESSAGE, Response};

/// The media type of DNS messages.
const MEDIA_TYPE: &str = "application/dns-message";

/// The connection to a server, if it is open.
#[derive(Debug)]
pub(super) struct HttpsChannel {
    connector: Connector,
    uri: String,
    current: Mutex<Option<SendRequest<Bytes>>>,
    /// Whether a query timed out. The connection may be dead, so the next query opens a new one.
    suspect: AtomicBool,
}

impl HttpsChannel {
    pub(super) fn new(connector: Connector, name: &str, path: &str) -> Self {
        let name = match name.parse::<Ipv6Addr>() {
            Ok(address) => format!("[{address}]"),
            Err(_) => name.to_owned(),
        };
        let uri = match connector.server.port() {
            443 => format!("https://{name}{path}"),
            port => format!("https://{name}:{port}{path}"),
        };
        Self { connector, uri, current: Mutex::new(None), suspect: AtomicBool::new(false) }
    }

    /// Sends a query and waits for its response until a deadline.
    pub(super) async fn exchange(&self, outgoing: &OutgoingQuery, until: Instant) -> ExchangeResult {
        timeout_at(until.into(), self.exchange_in_time(outgoing)).await.unwrap_or(Err(Failure::Timeout))
    }

    /// Like [`exchange`](Self::exchange), without a deadline.
    async fn exchange_in_time(&self, outgoing: &OutgoingQuery) -> ExchangeResult {
        loop {
            let (connection, is_new) =
                self.connection().await.map_err(|failure| self.with_tls_error(failure))?;
            let guard = AbandonGuard { suspect: &self.suspect, answered: false };
            let reply = self.post(connection, outgoing).await;
            guard.disarm();
            match reply {
                // A server may close an idle connection just as a request is written.
                Err(Failure::Closed) if !is_new => *self.current.lock().await = None,
                reply => return reply.map_err(|failure| self.with_tls_error(failure)),
            }
        }
    }

    /// Replaces a failure of the connection with the TLS error that caused it, which h2 discards.
    fn with_tls_error(&self, failure: Failure) -> Failure {
        let is_connection = matches!(failure, Failure::Closed | Failure::Network(_));
        match self.connector.tls.as_ref().and_then(TlsDialer::error) {
            Some(error) if is_connection => Failure::Network(error),
            _ => failure,
        }
    }

    async fn connection(&self) -> Result<(SendRequest<Bytes>, bool), Failure> {
        let mut current = self.current.lock().await;
        let suspect = self.suspect.swap(false, Ordering::Relaxed);
        if let Some(connection) = current.take()
            && !suspect
            && let Ok(ready) = connection.ready().await
        {
            *current = Some(ready.clone());
            return Ok((ready, false));
        }
        let stream = self.connector.connect().await?;
        let (send, connection) = h2::client::handshake(stream).await.map_err(to_failure)?;
        // Requests detect that the connection has ended. It ends when all copies of `send` are dropped.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        let ready = send.ready().await.map_err(to_failure)?;
        *current = Some(ready.clone());
        Ok((ready, true))
    }

    async fn post(&self, connection: SendRequest<Bytes>, outgoing: &OutgoingQuery) -> ExchangeResult {
        // ID 0, as RFC 8484 section 4.1 advises, so that HTTP caches treat identical questions as equal.
        let body = outgoing.wire(0);
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.uri)
            .header("content-type", MEDIA_TYPE)
            .header("accept", MEDIA_TYPE)
            .header("content-length", body.len())
            .body(())
            .map_err(|error| Failure::Network(error.to_string()))?;
        let mut connection = connection.ready().await.map_err(to_failure)?;
        let (response, mut stream) = connection.send_request(request, false).map_err(to_failure)?;
        stream.send_data(Bytes::from(body), true).map_err(to_failure)?;
        let response = response.await.map_err(to_failure)?;
        if response.status() != StatusCode::OK {
            return Err(Failure::Network(format!(
                "answered with HTTP status {}",
                response.status().as_u16()
            )));
        }
        let mut body = response.into_body();
        let mut message = Vec::new();
        while let Some(part) = body.data().await {
            let part = part.map_err(to_failure)?;
            if message.len() + part.len() > MAX_MESSAGE {
                return Err(Failure::Network("sent a message that is too long".into()));
            }
            message.extend_from_slice(&part);
            body.flow_control().release_capacity(part.len()).map_err(to_failure)?;
        }
        let response = Response::parse(&message)?;
        match outgoing.match_response(&response) {
            QueryMatch::Yes if response.id == 0 => Ok(response),
            _ => Err(Failure::Mismatch),
        }
    }
}

/// Marks the connection as suspect if the request is dropped before there is a reply.
struct AbandonGuard<'p> {
    suspect: &'p AtomicBool,
    answered: bool,
}

impl AbandonGuard<'_> {
    fn disarm(mut self) {
        self.answered = true;
    }
}

impl Drop for AbandonGuard<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.suspect.store(true, Ordering::Relaxed);
        }
    }
}

fn to_failure(error: h2::Error) -> Failure {
    match error.is_io() || error.is_go_away() {
        true => Failure::Closed,
        false => Failure::Network(error.to_string()),
    }
}
