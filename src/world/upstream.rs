//! Name servers that others run: whom a FORWARD rule or the internet asks, and how.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::listener::{PemFile, TlsFiles};
use crate::aws::public::stable_hash;

/// A group of name servers that answer the same questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// What it is called in logs and extended errors: a rule's id, or `internet`.
    pub name: Arc<str>,
    /// What it is: what outlives a generation is keyed by this.
    pub identity: UpstreamIdentity,
}

/// What makes two upstreams the same over a reload: their servers, in what order they are asked, and from
/// where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UpstreamIdentity {
    /// The servers, as written. Never empty.
    pub servers: Arc<[Server]>,
    /// In what order they are asked.
    pub order: Order,
    /// The local addresses that queries leave from: all of a server's family in turn. Empty: any.
    pub sources: Arc<[IpAddr]>,
}

/// One name server, with what is configured for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    /// Its address and port. Of a link-local IPv6 address the scope ID is the index of the interface.
    pub address: SocketAddr,
    /// The interface of a link-local IPv6 address as it is configured: a name or a number (RFC 4007 11).
    pub zone: Option<Arc<str>>,
    /// The transport of queries to it.
    pub transport: ServerTransport,
    /// Whether queries to it may have an OPT record (RFC 6891). A configured `false` never expires.
    pub edns: bool,
    /// Whether names may be sent to it in mixed case (0x20). A configured `false` never expires.
    pub case: bool,
    /// How its certificate is checked and what is presented to it. `None`: Mozilla's roots, nothing presented.
    pub tls: Option<Arc<TlsTrust>>,
}

/// How the certificate of one server is checked, and what is presented to it. Equal when the contents of the files
/// are: a replaced file makes another upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TlsTrust {
    /// The certificate authorities that may sign its certificate, in place of Mozilla's.
    pub ca: Option<PemFile>,
    /// SHA-256 hashes of SubjectPublicKeyInfo, one of which its public key must have (RFC 7858 4.2). Empty: any key.
    /// With pins and without `ca` its certificate chain, name and validity are not checked.
    pub pins: Arc<[SpkiPin]>,
    /// The certificate that is presented to it when it requires one.
    pub client: Option<TlsFiles>,
}

/// The SHA-256 hash of a certificate's SubjectPublicKeyInfo in DER.
pub type SpkiPin = [u8; 32];

/// What carries queries to a name server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServerTransport {
    /// Datagrams, and TCP for what does not fit (RFC 1035, RFC 7766).
    Udp,
    /// TCP alone.
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
        /// The path, `/dns-query` unless said.
        path: Arc<str>,
    },
}

/// In what order the servers of an upstream are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// Any, as the outbound endpoint does ("there is no particular order").
    #[default]
    Random,
    /// The quickest first, by what was measured; now and then another, to measure it.
    Latency,
}

impl Server {
    /// A server at an address with default settings.
    pub fn new(address: SocketAddr, transport: ServerTransport) -> Self {
        Self { address, zone: None, transport, edns: true, case: true, tls: None }
    }

    /// Its address and the settings that are not the default: `192.0.2.53 edns=false`. Files and pins are
    /// shown by a hash, so that a replaced file is a difference.
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
        // Not of its key: this text goes into logs, and another key has another certificate.
        if let Some(client) = &tls.client {
            hashed("client_certificate", &mut client.certificate.text.bytes());
        }
        text
    }

    /// The port a transport has unless said: 53, 853 or 443.
    pub fn default_port(transport: &ServerTransport) -> u16 {
        match transport {
            ServerTransport::Udp | ServerTransport::Tcp => 53,
            ServerTransport::Tls { .. } => 853,
            ServerTransport::Https { .. } => 443,
        }
    }
}

/// Its address as it is written in a configuration, without its settings.
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
