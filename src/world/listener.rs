//! Doors as the configuration has them: where, as whom, and what carries the messages.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::ViewId;
use crate::config::Mark;
use crate::dns::Name;

/// A door, and as whom it answers.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Where.
    pub address: SocketAddr,
    /// The view it is bound to. `None`: the client's place tells.
    pub view: Option<ViewId>,
    /// What carries messages through it.
    pub transport: ListenerTransport,
    /// The name that its certificate is for, under which it is designated (RFC 9462). `None`: it is not.
    pub server_name: Option<Name>,
}

/// What carries messages through a door.
#[derive(Clone, Debug)]
pub enum ListenerTransport {
    /// Plain DNS.
    Plain {
        /// Whether it serves UDP.
        udp: bool,
        /// Whether it serves TCP.
        tcp: bool,
    },
    /// DNS over TLS (RFC 7858).
    Dot(TlsFiles),
    /// DNS over HTTPS (RFC 8484).
    Doh {
        /// What it proves itself with.
        tls: TlsFiles,
        /// The path of its one resource.
        path: Arc<str>,
    },
}

/// What a door proves itself with, as text: no floor above this one reads files.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TlsFiles {
    /// The certificate, and the chain below it.
    pub certificate: PemFile,
    /// The certificate's private key.
    pub key: PemFile,
}

/// A file in PEM form (RFC 7468), read and not yet understood.
#[derive(Clone)]
pub struct PemFile {
    /// Where it was read.
    pub path: PathBuf,
    /// What it holds.
    pub text: Arc<str>,
    /// Where the configuration names it.
    pub mark: Mark,
}

/// Two are equal when their contents are: a file that moved is the same, a file that was replaced is another.
impl PartialEq for PemFile {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for PemFile {}

impl Hash for PemFile {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

/// Without the text, which may be a private key.
impl fmt::Debug for PemFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PemFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Listener {
    /// The words for what carries its messages, as the configuration has them.
    pub fn transports(&self) -> Vec<&'static str> {
        match &self.transport {
            ListenerTransport::Plain { udp, tcp } => [(*udp, "udp"), (*tcp, "tcp")]
                .into_iter()
                .filter_map(|(on, word)| on.then_some(word))
                .collect(),
            ListenerTransport::Dot(_) => vec!["dot"],
            ListenerTransport::Doh { .. } => vec!["doh"],
        }
    }

    /// What it proves itself with. `None` for a plain one.
    pub fn tls(&self) -> Option<&TlsFiles> {
        match &self.transport {
            ListenerTransport::Plain { .. } => None,
            ListenerTransport::Dot(tls) | ListenerTransport::Doh { tls, .. } => Some(tls),
        }
    }

    /// The path of its one resource. `None` for all but DNS over HTTPS.
    pub fn http_path(&self) -> Option<&str> {
        match &self.transport {
            ListenerTransport::Doh { path, .. } => Some(path),
            ListenerTransport::Plain { .. } | ListenerTransport::Dot(_) => None,
        }
    }
}
