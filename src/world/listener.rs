//! Configured listeners: address, view and transport.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::ViewId;
use crate::config::Mark;
use crate::dns::Name;

/// A listener and its view.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Its address.
    pub address: SocketAddr,
    /// Its view. `None` if the client's location determines it.
    pub view: Option<ViewId>,
    /// Its transport.
    pub transport: ListenerTransport,
    /// The name in its certificate, under which it is advertised (RFC 9462). `None` if it is not.
    pub server_name: Option<Name>,
}

/// The transport of a listener.
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
        /// The certificate and its key.
        tls: TlsFiles,
        /// The path of its only resource.
        path: Arc<str>,
    },
}

/// Certificate and key of a listener, as text: no higher layer reads configuration files.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TlsFiles {
    /// The certificate, with its chain.
    pub certificate: PemFile,
    /// The certificate's private key.
    pub key: PemFile,
}

/// The contents of a PEM file (RFC 7468), not parsed yet.
#[derive(Clone)]
pub struct PemFile {
    /// Its path.
    pub path: PathBuf,
    /// Its contents.
    pub text: Arc<str>,
    /// Where the configuration refers to it.
    pub mark: Mark,
}

/// Equal if the contents are equal: a moved file is the same, a replaced one is different.
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
    /// The names of its transports in the configuration.
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

    /// Its certificate and key. `None` for plain DNS.
    pub fn tls(&self) -> Option<&TlsFiles> {
        match &self.transport {
            ListenerTransport::Plain { .. } => None,
            ListenerTransport::Dot(tls) | ListenerTransport::Doh { tls, .. } => Some(tls),
        }
    }

    /// The path of its only resource. `None` except for DNS over HTTPS.
    pub fn http_path(&self) -> Option<&str> {
        match &self.transport {
            ListenerTransport::Doh { path, .. } => Some(path),
            ListenerTransport::Plain { .. } | ListenerTransport::Dot(_) => None,
        }
    }
}
