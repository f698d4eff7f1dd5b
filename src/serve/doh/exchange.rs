//! One request and its response: the mapping of DNS messages to HTTP (RFC 8484 section 4).

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::watch;

use super::super::encrypted::answer;
use super::super::{Engine, ListenerIdentity, MessageSource};
use super::base64url;
use crate::dns::{MAX_MESSAGE, freshness_lifetime_s};

/// The media type of a DNS message (RFC 8484 section 6).
const DNS_MESSAGE: &str = "application/dns-message";

/// Answers the requests of one connection.
pub(super) struct Exchange {
    pub(super) engine: Arc<Engine>,
    pub(super) identity: Arc<ListenerIdentity>,
    pub(super) source: MessageSource,
    /// The path of the only resource.
    pub(super) path: Arc<str>,
    /// Time limit for receiving a request's body.
    pub(super) body_timeout: Duration,
    /// Number of requests in flight.
    pub(super) in_flight: watch::Sender<usize>,
}

/// No reply is sent; hyper resets the stream, so that the client does not have to wait.
#[derive(Debug, thiserror::Error)]
#[error("the query is not answered")]
pub(super) struct NoReply;

impl Exchange {
    /// Answers one request. Replies with a DNS error have status 200 like any other (RFC 8484 section 4.2.1).
    /// HEAD is answered like GET, without the content (RFC 9110 section 9.3.2).
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, NoReply> {
        let _guard = InFlightGuard::new(&self.in_flight);
        let is_head = request.method() == Method::HEAD;
        let response = match self.message(request).await {
            Ok(message) => {
                let reply =
                    answer(&self.engine, &self.identity, &message, &self.source).await.ok_or(NoReply)?;
                success(reply)
            }
            Err(status) => status_response(status),
        };
        Ok(if is_head { without_content(response) } else { response })
    }

    /// The DNS message in a request, or the status of the error response.
    async fn message(&self, request: Request<Incoming>) -> Result<Bytes, StatusCode> {
        if request.uri().path() != &*self.path {
            return Err(StatusCode::NOT_FOUND);
        }
        match *request.method() {
            Method::GET | Method::HEAD => message_of_uri_query(request.uri().query().unwrap_or_default()),
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

/// The message of a GET request: the variable `dns`, in base64url without padding.
fn message_of_uri_query(query: &str) -> Result<Bytes, StatusCode> {
    let encoded =
        query.split('&').find_map(|pair| pair.strip_prefix("dns=")).ok_or(StatusCode::BAD_REQUEST)?;
    let message = base64url::decode(encoded).ok_or(StatusCode::BAD_REQUEST)?;
    if message.len() > MAX_MESSAGE {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    Ok(message.into())
}

/// Whether a media type is that of a DNS message. Parameters are ignored, because it defines none.
fn is_dns_message(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(DNS_MESSAGE)
}

/// The response with a DNS reply.
fn success(reply: Vec<u8>) -> Response<Full<Bytes>> {
    let cache_control = cache_control(&reply);
    let mut response = Response::new(Full::new(Bytes::from(reply)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(DNS_MESSAGE));
    headers.insert(CACHE_CONTROL, cache_control);
    response
}

/// How long an HTTP cache may use a reply: as long as its records are fresh (RFC 8484 section 5.1).
/// `private`, because an answer depends on the client's address and must not be shared among clients (RFC
/// 9111 section 5.2.2.7). Failures are not stored: they have no TTL.
fn cache_control(reply: &[u8]) -> HeaderValue {
    match freshness_lifetime_s(reply) {
        Some(seconds) => HeaderValue::from_str(&format!("private, max-age={seconds}"))
            .unwrap_or(HeaderValue::from_static("no-store")),
        None => HeaderValue::from_static("no-store"),
    }
}

/// The response without its content. `content-length` is that of the omitted content.
fn without_content(response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    let (mut parts, content) = response.into_parts();
    let length = content.size_hint().exact().unwrap_or_default();
    parts.headers.insert(CONTENT_LENGTH, length.into());
    Response::from_parts(parts, Full::default())
}

/// A response with a status and its text.
fn status_response(status: StatusCode) -> Response<Full<Bytes>> {
    let text = format!("{}\n", status.canonical_reason().unwrap_or_default());
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
    }
    response
}

/// Counts a request while it is in flight, however it ends.
struct InFlightGuard<'a>(&'a watch::Sender<usize>);

impl<'a> InFlightGuard<'a> {
    fn new(in_flight: &'a watch::Sender<usize>) -> Self {
        in_flight.send_modify(|count| *count += 1);
        Self(in_flight)
    }
}

impl Drop for InFlightGuard<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}
