//! Upstreams: the name servers of FORWARD rules and of the internet.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::listener::{PemFile, TlsFiles};
use crate::aws::public_names::stable_hash;

/// A group of name servers that answer the same questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Its name in logs and extended errors: the ID of a rule, or `internet`.
    pub name: Arc<str>,
    /// Its identity, by which state that outlives a generation is keyed.
    pub identity: UpstreamIdentity,
}

/// What makes two upstreams the same across a reload: their servers, the order in which they are queried, and
/// the source addresses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UpstreamIdentity {
    /// The servers, as configured. Never empty.
    pub servers: Arc<[Server]>,
    /// The order in which they are queried.
    pub order: Order,
    /// The source addresses of queries: those of the server's family in rotation. Empty: any.
    pub sources: Arc<[IpAddr]>,
}

/// A name server with its options.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    /// Its address and port. For a link-local IPv6 address, the scope ID is the index of the interface.
    pub address: SocketAddr,
    /// The interface of a link-local IPv6 address as configured: a name or an index (RFC 4007 section 11).
    pub zone: Option<Arc<str>>,
    /// The transport.
    pub transport: ServerTransport,
    /// Whether queries may contain an OPT record (RFC 6891). A configured `false` does not expire.
    pub edns: bool,
    /// Whether names may be sent in mixed case (0x20). A configured `false` does not expire.
    pub case: bool,
    /// Certificate verification and client certificate. `None`: Mozilla's roots, no client certificate.
    pub tls: Option<Arc<TlsTrust>>,
}

/// Verification of one server's certificate, and the client certificate. Equal if the contents of the files
/// are equal: a replaced file makes a different upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TlsTrust {
    /// The certificate authorities used instead of Mozilla's.
    pub ca: Option<PemFile>,
    /// SHA-256 hashes of SubjectPublicKeyInfo, of which the server's public key must have one (RFC 7858
    /// section 4.2). Empty: any key. With pins and without `ca`, the certificate chain, name and validity are
    /// not checked.
    pub pins: Arc<[SpkiPin]>,
    /// The client certificate, presented on request.
    pub client: Option<TlsFiles>,
}

/// The SHA-256 hash of a certificate's SubjectPublicKeyInfo in DER.
pub type SpkiPin = [u8; 32];

/// The transport to a name server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServerTransport {
    /// UDP, and TCP for truncated answers (RFC 1035, RFC 7766).
    Udp,
    /// TCP only.
    Tcp,
    /// DNS over TLS (RFC 7858), authenticated by this name.
    Tls {
        /// The name in the server's certificate.
        name: Arc<str>,
    },
    /// DNS over HTTPS (RFC 8484) over HTTP/2, authenticated by this name.
    Https {
        /// The name in the server's certificate.
        name: Arc<str>,
        /// The path; by default `/dns-query`.
        path: Arc<str>,
    },
}

/// The order in which the servers of an upstream are queried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// Any, as for an outbound endpoint ("there is no particular order").
    #[default]
    Random,
    /// The fastest first, by measurement; occasionally another one, to update its measurement.
    Latency,
}

impl Server {
    /// Creates a server with default options.
    pub fn new(address: SocketAddr, transport: ServerTransport) -> Self {
        Self { address, zone: None, transport, edns: true, case: true, tls: None }
    }

    /// Its address and the options that are not the default: `192.0.2.53 edns=false`. Files and pins are
    /// represented by a hash, so that a replaced file is a difference.
    pub fn describe(&self) -> String {
        let mut text = self.to_string();
        for (is_default, setting) in [(self.edns, " edns=false"), (self.case, " case=false")] {
            text.push_str(if is_default { "" } else { setting });
        }
        let Some(tls) = &self.tls else { return text };
        let mut hashed = |key: &str, octets: &mut dyn Iterator<Item = u8>| {
            text.push_str(&format!(" {key}={:016x}", stable_hash(octets)));
        };
        if let Some(ca) = &tls.ca {
            hashed("ca", &mut ca.text.bytes());
        }
        if !tls.pins.is_empty() {
            hashed("spki_pin", &mut tls.pins.iter().flatten().copied());
        }
        // Without the key: this text is logged, and another key has another certificate.
        if let Some(client) = &tls.client {
            hashed("client_certificate", &mut client.certificate.text.bytes());
        }
        text
    }

    /// The default port of a transport: 53, 853 or 443.
    pub fn default_port(transport: &ServerTransport) -> u16 {
        match transport {
            ServerTransport::Udp | ServerTransport::Tcp => 53,
            ServerTransport::Tls { .. } => 853,
            ServerTransport::Https { .. } => 443,
        }
    }
}

/// Its address as configured, without options.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ip = match &self.zone {
            Some(zone) => format!("{}%{zone}", self.address.ip()),
            None => self.address.ip().to_string(),
        };
        let (is_v6, port) = (self.address.is_ipv6(), self.address.port());
        let address = match port == Self::default_port(&self.transport) {
            true if is_v6 && self.transport != ServerTransport::Udp => format!("[{ip}]"),
            true => ip,
            false if is_v6 => format!("[{ip}]:{port}"),
            false => format!("{ip}:{port}"),
        };
        match &self.transport {
            ServerTransport::Udp => f.write_str(&address),
            ServerTransport::Tcp => write!(f, "tcp://{address}"),
            ServerTransport::Tls { name } => write!(f, "tls://{address}#{name}"),
            ServerTransport::Https { name, path } => write!(f, "https://{address}{path}#{name}"),
        }
    }
}
