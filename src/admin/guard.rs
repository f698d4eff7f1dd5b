//! Checks on requests: limits, and protection against requests by web pages.
//!
//! Two attacks can reach an admin address on loopback through a browser on the same host:
//!
//! - **DNS rebinding.** A page of `evil.example` makes that name resolve to 127.0.0.1; to the browser, the
//!   admin address then has the page's own origin, and the page can read `/v1/network`. The `Host` of the
//!   request is `evil.example`, so a request is answered only if `Host` is not a name that an attacker could
//!   register.
//! - **Cross-site requests.** Any page can POST to any address, without reading the response. The browser
//!   reports this in `Origin` and `Sec-Fetch-Site` (Fetch Metadata Request Headers), which a page cannot set.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::dns::Name;

/// Maximum size of a request body in octets. No resource uses a request body.
const MAX_BODY_OCTETS: u64 = 1024;

/// Time limit for a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Time limit for `POST /v1/reload`: longer than `plustwo reload` waits.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(130);

/// Maximum length of a `Host` quoted in a response, in characters.
const MAX_SHOWN: usize = 100;

/// The names allowed in `Host`. Clones share them.
///
/// IP addresses, `localhost` and the names below it (RFC 6761 section 6.3), and single-label names, which
/// are top-level domains in public DNS (RFC 7085), are allowed without being configured. The last are usually
/// names of containers or services.
#[derive(Clone, Debug, Default)]
pub struct AllowedHosts {
    /// In lower case, without the trailing dot.
    names: Arc<HashSet<String>>,
}

impl AllowedHosts {
    /// The names of `[server] admin_hosts`, in addition to those that are always allowed.
    pub fn new<'n>(names: impl IntoIterator<Item = &'n Name>) -> Self {
        let names = names.into_iter().map(|name| normalize(&name.to_string())).collect();
        Self { names: Arc::new(names) }
    }

    /// Whether a request may have this host, which may include a port.
    fn allows(&self, authority: &str) -> bool {
        let Some((host, _)) = split_port(authority) else { return false };
        if is_address(host) {
            return true;
        }
        let name = normalize(host);
        let is_label = |label: &str| {
            !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if !name.split('.').all(is_label) {
            return false;
        }
        !name.contains('.') || name.ends_with(".localhost") || self.names.contains(&name)
    }
}

/// Normalizes a name for comparison: lower case, without the trailing dot.
fn normalize(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Host and port of an authority (RFC 3986 section 3.2) without user information. `None` if it is invalid.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let colon = match authority.strip_prefix('[') {
        Some(rest) => 1 + rest.find(']')? + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, rest) = authority.split_at_checked(colon)?;
    if rest.is_empty() {
        return Some((host, None));
    }
    match rest.strip_prefix(':')? {
        "" => Some((host, None)),
        port => Some((host, Some(port.parse().ok()?))),
    }
}

/// Whether a host is an IP address: `192.0.2.1`, `[2001:db8::1]`, or one with a zone ID (RFC 6874).
fn is_address(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.split('%').next().is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => host.parse::<IpAddr>().is_ok_and(|address| address.is_ipv4()),
    }
}

/// The host to which a request is addressed.
#[derive(Debug, PartialEq, Eq)]
enum Host<'r> {
    /// This host.
    Named(&'r str),
    /// None, as HTTP/1.0 permits; browsers always send one.
    Absent,
    /// Several hosts, none where one is required (RFC 9112 section 3.2), or one that is not text.
    Malformed,
}

/// The host of a request: from its target if that is in absolute form (RFC 9112 section 3.2.2), otherwise
/// from `Host`.
fn host_of(request: &Request) -> Host<'_> {
    let mut fields = request.headers().get_all(header::HOST).iter();
    let (first, second) = (fields.next(), fields.next());
    if second.is_some() {
        return Host::Malformed;
    }
    if let Some(authority) = request.uri().authority() {
        return Host::Named(authority.as_str());
    }
    match first.map(|value| value.to_str()) {
        Some(Ok(host)) => Host::Named(host),
        Some(Err(_)) => Host::Malformed,
        None if request.version() < Version::HTTP_11 => Host::Absent,
        None => Host::Malformed,
    }
}

/// Whether a browser sent a state-changing request on behalf of another site.
fn is_cross_site(headers: &HeaderMap, host: Option<&str>) -> bool {
    let site = headers.get_all("sec-fetch-site").iter();
    if site.into_iter().any(|site| !matches!(site.as_bytes(), b"same-origin" | b"none")) {
        return true;
    }
    headers.get_all(header::ORIGIN).iter().any(|origin| {
        let origin = origin.to_str().ok();
        !origin.zip(host).is_some_and(|(origin, host)| is_same_origin(origin, host))
    })
}

/// Whether an origin (RFC 6454 section 6.2) is the host of the request itself. The admin address uses plain
/// HTTP, but TLS may be terminated by a proxy in front of it.
fn is_same_origin(origin: &str, host: &str) -> bool {
    let (authority, default) = match (origin.strip_prefix("http://"), origin.strip_prefix("https://")) {
        (Some(authority), _) => (authority, 80),
        (None, Some(authority)) => (authority, 443),
        (None, None) => return false,
    };
    let parts =
        |authority| split_port(authority).map(|(host, port)| (normalize(host), port.unwrap_or(default)));
    parts(authority).is_some_and(|origin| Some(origin) == parts(host))
}

/// Answers a request within its limits, or rejects it.
pub(super) async fn guard(State(hosts): State<AllowedHosts>, request: Request, next: Next) -> Response {
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let host = match host_of(&request) {
        Host::Named(host) => Some(host),
        Host::Absent => None,
        Host::Malformed => {
            return (StatusCode::BAD_REQUEST, "A request must have exactly one Host header.\n")
                .into_response();
        }
    };
    if !is_safe && is_cross_site(request.headers(), host) {
        let text = "Cross-site requests are not allowed.\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    // A chunked body has no upper bound.
    if request.body().size_hint().upper().is_none_or(|octets| octets > MAX_BODY_OCTETS) {
        let text = "The request body is too long or of unknown length; no resource uses a body.\n".to_owned();
        return (StatusCode::PAYLOAD_TOO_LARGE, [(header::CONNECTION, "close")], text).into_response();
    }
    let is_allowed = host.is_none_or(|host| hosts.allows(host));
    let path = request.uri().path();
    // The first line of either body contains only the status.
    let is_status = matches!(path, "/health" | "/ready");
    if !is_allowed && !is_status {
        return misdirected(host.unwrap_or_default());
    }
    let time_limit = if path == "/v1/reload" { RELOAD_TIMEOUT } else { REQUEST_TIMEOUT };
    let Ok(mut response) = tokio::time::timeout(time_limit, next.run(request)).await else {
        let text = format!("The response was not ready within {} s.\n", time_limit.as_secs());
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    };
    if !is_allowed {
        response = first_line(response).await;
    }
    // Pages of other sites must not embed these resources, whatever their media type.
    let fields = response.headers_mut();
    fields.insert("x-content-type-options", header::HeaderValue::from_static("nosniff"));
    fields.insert("cross-origin-resource-policy", header::HeaderValue::from_static("same-origin"));
    response
}

/// 421 (RFC 9110 section 15.5.20), with instructions.
fn misdirected(host: &str) -> Response {
    let name = split_port(host).map_or(host, |(name, _)| name);
    let shown: String = name.chars().take(MAX_SHOWN).flat_map(char::escape_default).collect();
    let text = format!(
        "The Host `{shown}` is not allowed: an attacker could own it and rebind it to this address.\n\
         Use the IP address, or add the name to the configuration: [server] admin_hosts = [\"{shown}\"]\n"
    );
    (StatusCode::MISDIRECTED_REQUEST, text).into_response()
}

/// A response with only the first line of its body.
async fn first_line(response: Response) -> Response {
    let (head, body) = response.into_parts();
    let octets = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let end = octets.iter().position(|octet| *octet == b'\n').map_or(octets.len(), |at| at + 1);
    let mut short = Response::new(Body::from(octets.slice(..end)));
    *short.status_mut() = head.status;
    if let Some(value) = head.headers.get(header::CONTENT_TYPE) {
        short.headers_mut().insert(header::CONTENT_TYPE, value.clone());
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> AllowedHosts {
        let name: Name = "Plustwo.Monitoring.svc".parse().expect("a name");
        AllowedHosts::new([&name])
    }

    #[test]
    fn hosts_that_an_attacker_could_own_are_rejected() {
        let hosts = hosts();
        for allowed in [
            "127.0.0.1",
            "127.0.0.1:9530",
            "10.0.0.2:9530",
            "[::1]",
            "[::1]:9530",
            "[fe80::1%25eth0]:9530",
            "localhost",
            "LOCALHOST:9530",
            "localhost.",
            "lab.localhost:80",
            "plustwo:9530",
            "plustwo.monitoring.svc:9530",
            "PLUSTWO.monitoring.svc.",
        ] {
            assert!(hosts.allows(allowed), "{allowed}");
        }
        for refused in [
            "",
            ":9530",
            "evil.example",
            "evil.example:9530",
            "127.0.0.1.evil.example",
            "127.0.0.1.nip.io:9530",
            "localhost.evil.example",
            "notlocalhost.example",
            "x.plustwo.monitoring.svc",
            "user@127.0.0.1",
            "127.0.0.1:9530@evil.example",
            "127.0.0.1:99999",
            "127.0.0.1:9530.evil.example",
            "[::1].evil.example",
            "[::1",
            "::1",
        ] {
            assert!(!hosts.allows(refused), "{refused}");
        }
    }

    #[test]
    fn state_changing_requests_must_be_same_origin() {
        let headers = |fields: &[(&'static str, &str)]| {
            fields.iter().map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap())).collect()
        };
        let host = Some("127.0.0.1:9530");
        assert!(!is_cross_site(&headers(&[]), host), "not sent by a browser");
        assert!(!is_cross_site(&headers(&[("origin", "http://127.0.0.1:9530")]), host));
        assert!(!is_cross_site(&headers(&[("origin", "https://Admin.example")]), Some("admin.example:443")));
        assert!(!is_cross_site(&headers(&[("sec-fetch-site", "same-origin")]), host));
        assert!(!is_cross_site(&headers(&[("sec-fetch-site", "none")]), host));
        for origin in
            ["null", "http://127.0.0.1", "http://127.0.0.1:9531", "http://evil.example", "", "file://"]
        {
            assert!(is_cross_site(&headers(&[("origin", origin)]), host), "{origin}");
        }
        for site in ["cross-site", "same-site", "nonsense"] {
            assert!(is_cross_site(&headers(&[("sec-fetch-site", site)]), host), "{site}");
        }
        assert!(is_cross_site(&headers(&[("origin", "http://127.0.0.1:9530")]), None));
    }
}
