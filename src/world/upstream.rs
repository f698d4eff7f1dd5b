//! Name servers that others run: whom a FORWARD rule or the internet asks, and how.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

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

/// One name server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    /// Where it is.
    pub address: SocketAddr,
    /// What carries queries to it.
    pub transport: ServerTransport,
}

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
    /// The port a transport has unless said: 53, 853 or 443.
    pub fn default_port(transport: &ServerTransport) -> u16 {
        match transport {
            ServerTransport::Udp | ServerTransport::Tcp => 53,
            ServerTransport::Tls { .. } => 853,
            ServerTransport::Https { .. } => 443,
        }
    }
}

/// As it is written in a configuration.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = self.address.port() == Self::default_port(&self.transport);
        let address = match (usual, self.address.ip()) {
            (true, IpAddr::V6(ip)) if self.transport != ServerTransport::Udp => format!("[{ip}]"),
            (true, ip) => ip.to_string(),
            (false, _) => self.address.to_string(),
        };
        match &self.transport {
            ServerTransport::Udp => f.write_str(&address),
            ServerTransport::Tcp => write!(f, "tcp://{address}"),
            ServerTransport::Tls { name } => write!(f, "tls://{address}#{name}"),
            ServerTransport::Https { name, path } => write!(f, "https://{address}{path}#{name}"),
        }
    }
}
