//! One request and its response: where the DNS message stands in HTTP (RFC 8484 section 4).

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::watch;

use super::super::hickory::answer;
use super::super::{Door, Engine, Origin};
use super::base64url;
use crate::dns::MAX_MESSAGE;

/// The media type of a DNS message (RFC 8484 section 6).
const DNS_MESSAGE: &str = "application/dns-message";

/// What answers the requests of one connection.
pub(super) struct Exchange {
    pub(super) engine: Arc<Engine>,
    pub(super) door: Arc<Door>,
    pub(super) origin: Origin,
    /// The path of the one resource.
    pub(super) path: Arc<str>,
    /// How long a request's body may take to come.
    pub(super) body_timeout: Duration,
    /// How many requests are being answered.
    pub(super) in_flight: watch::Sender<usize>,
}

/// The engine says nothing; hyper resets the stream, so that the client need not wait.
#[derive(Debug, thiserror::Error)]
#[error("the engine says nothing")]
pub(super) struct Silence;

impl Exchange {
    /// Answers one request. DNS errors are answers with status 200 as any other (RFC 8484 section 4.2.1).
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Silence> {
        let _pending = Pending::new(&self.in_flight);
        let message = match self.message(request).await {
            Ok(message) => message,
            Err(status) => return Ok(refusal(status)),
        };
        let reply = answer(&self.engine, &self.door, &message, &self.origin).await.ok_or(Silence)?;
        let mut response = Response::new(Full::new(Bytes::from(reply)));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, DNS_MESSAGE.parse().expect("a constant is a field value"));
        // An answer depends on who asks, and is there to be seen.
        headers.insert(CACHE_CONTROL, "no-store".parse().expect("a constant is a field value"));
        Ok(response)
    }

    /// The DNS message in a request, or the status that refuses it.
    async fn message(&self, request: Request<Incoming>) -> Result<Bytes, StatusCode> {
        if request.uri().path() != &*self.path {
            return Err(StatusCode::NOT_FOUND);
        }
        match *request.method() {
            Method::GET => message_of_query(request.uri().query().unwrap_or_default()),
            Method::POST => {
                let media_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
                if !media_type.is_some_and(is_dns_message) {
                    return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
                }
                let body = Limited::new(request.into_body(), MAX_MESSAGE).collect();
                match tokio::time::timeout(self.body_timeout, body).await {
                    Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
                    Ok(Ok(body)) => Ok(body.to_bytes()),
                    Ok(Err(error)) if error.is::<LengthLimitError>() => Err(StatusCode::PAYLOAD_TOO_LARGE),
                    Ok(Err(_)) => Err(StatusCode::BAD_REQUEST),
                }
            }
            _ => Err(StatusCode::METHOD_NOT_ALLOWED),
        }
    }
}

/// The message of a GET: the variable `dns`, in base64url without padding.
fn message_of_query(query: &str) -> Result<Bytes, StatusCode> {
    let written =
        query.split('&').find_map(|pair| pair.strip_prefix("dns=")).ok_or(StatusCode::BAD_REQUEST)?;
    let message = base64url::decode(written).ok_or(StatusCode::BAD_REQUEST)?;
    if message.len() > MAX_MESSAGE {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    Ok(message.into())
}

/// Parameters do not matter: the type has none.
fn is_dns_message(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(DNS_MESSAGE)
}

/// A response that says in words what its status is.
fn refusal(status: StatusCode) -> Response<Full<Bytes>> {
    let text = format!("{}\n", status.canonical_reason().unwrap_or_default());
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, "text/plain".parse().expect("a constant is a field value"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, "GET, POST".parse().expect("a constant is a field value"));
    }
    response
}

/// Counts a request as long as it is being answered, however that ends.
struct Pending<'a>(&'a watch::Sender<usize>);

impl<'a> Pending<'a> {
    fn new(in_flight: &'a watch::Sender<usize>) -> Self {
        in_flight.send_modify(|pending| *pending += 1);
        Self(in_flight)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|pending| *pending -= 1);
    }
}
