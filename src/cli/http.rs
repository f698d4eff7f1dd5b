//! A minimal HTTP client for the admin address: one request, one response.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Timeout for connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Maximum size of a response, in octets.
const MAX_RESPONSE_OCTETS: u64 = 16 << 20;

/// A response.
pub(super) struct HttpResponse {
    /// The status line.
    pub status_line: String,
    /// The body.
    pub body: String,
}

impl HttpResponse {
    /// The status code; 0 if the response is not HTTP.
    pub(super) fn status(&self) -> u16 {
        self.status_line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
    }
}

/// Sends a request and reads the response, with a read timeout.
///
/// # Errors
///
/// If the server is not reachable or does not respond in time.
pub(super) fn request(
    admin: SocketAddr,
    method: &str,
    path: &str,
    accept: &str,
    timeout: Duration,
) -> io::Result<HttpResponse> {
    let mut stream = TcpStream::connect_timeout(&admin, CONNECT_TIMEOUT)?;
    stream.set_read_timeout(Some(timeout))?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {admin}\r\nAccept: {accept}\r\nContent-Length: 0\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.take(MAX_RESPONSE_OCTETS).read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status_line = head.lines().next().unwrap_or_default().to_owned();
    Ok(HttpResponse { status_line, body: body.to_owned() })
}
