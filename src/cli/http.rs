//! The admin pages as verbs ask them: one request, one answer, no HTTP library.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The longest answer that is read; whoever sends more is no plustwo.
const LONGEST_ANSWER: u64 = 16 << 20;

/// An answer.
pub struct Answer {
    /// Its status line.
    pub status_line: String,
    /// Its body.
    pub body: String,
}

impl Answer {
    /// The number of its status; 0 for what is no HTTP.
    pub fn status(&self) -> u16 {
        self.status_line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
    }
}

/// Asks for a page, and waits for it at most so long.
///
/// # Errors
///
/// When nobody is there, or nobody answers in time.
pub fn ask(
    admin: SocketAddr,
    method: &str,
    path: &str,
    accept: &str,
    patience: Duration,
) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&admin, CONNECT_TIMEOUT)?;
    stream.set_read_timeout(Some(patience))?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {admin}\r\nAccept: {accept}\r\nContent-Length: 0\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.take(LONGEST_ANSWER).read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status_line = head.lines().next().unwrap_or_default().to_owned();
    Ok(Answer { status_line, body: body.to_owned() })
}
