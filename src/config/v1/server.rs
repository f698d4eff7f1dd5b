//! The daemon: its doors, who may ask, its bounds, its log.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::aws::{ResolverEndpointId, VpcId};
use crate::config::source::{Marked, FromConfigStr};
use crate::config::text::{Cidr, ExpectedLocation, ListenAddress, SourcePrefix};
use crate::dns::Name;

/// The daemon itself. A change here needs a restart, but for `allow` and `trust_client_subnet`; a reload says so.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Where /metrics, /health, /ready and /v1 are served.
    #[schemars(extend("default" = "127.0.0.1:9530"))]
    pub admin: Marked<ListenAddress>,
    /// Host names that requests to the admin address may be for, such as `plustwo.monitoring.svc`. IP addresses,
    /// `localhost`, names below it and names of one label are always allowed; requests for any other host are answered
    /// with 421, so that a web page cannot read the network by DNS rebinding.
    pub admin_hosts: Option<Vec<Marked<Name>>>,
    /// Threads that answer. One for each core unless said.
    pub workers: Option<NonZeroU16>,
    /// Whose EDNS Client Subnet is believed.
    #[schemars(extend("default" = ["127.0.0.0/8", "::1/128"]))]
    pub trust_client_subnet: Vec<Marked<Cidr>>,
    /// Who may ask at all, beside every declared place.
    #[schemars(extend("default" = ["127.0.0.0/8", "::1/128"]))]
    pub allow: Vec<Marked<Cidr>>,
    /// TCP connections open at once, in all, those of DNS over TLS and over HTTPS included. Fewer where the limit of open
    /// files does not suffice for them and the sockets to name servers; a warning at the start then names both numbers.
    pub max_tcp_connections: u32,
    /// TCP connections open at once from one address.
    pub max_tcp_connections_per_client: u32,
    /// Queries of one TCP connection, streams of one connection of DNS over HTTPS, that may wait for their answers at
    /// once.
    pub max_tcp_queries_in_flight: u32,
    /// Seconds after which a silent TCP connection is closed, and which a TLS handshake may take.
    pub tcp_idle_timeout_s: u32,
    /// Queries that may wait for other servers' answers at once. An upstream may hold at most three times what is free
    /// for all, a client three times what its upstream may still take; one more is answered with a stale answer or
    /// SERVFAIL.
    pub max_waiting_queries: u32,
    /// How many look-ups are remembered to tell a retransmission from a new one, for each worker.
    pub max_remembered_lookups: u32,
    /// Whether a change to a file of the configuration reloads it.
    pub watch: bool,
    /// Seconds for which queries are still answered after SIGTERM, while /ready says no.
    pub lame_duck_s: u32,
}

impl Default for Server {
    fn default() -> Self {
        let loopback = || {
            ["127.0.0.0/8", "::1/128"]
                .map(|text| Marked::from(text.parse::<Cidr>().expect("a constant prefix parses")))
                .to_vec()
        };
        Self {
            admin: Marked::from(ListenAddress(SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 9530))),
            admin_hosts: None,
            workers: None,
            trust_client_subnet: loopback(),
            allow: loopback(),
            max_tcp_connections: 1024,
            max_tcp_connections_per_client: 128,
            max_tcp_queries_in_flight: 128,
            tcp_idle_timeout_s: 10,
            max_waiting_queries: 4096,
            max_remembered_lookups: 65_536,
            watch: true,
            lame_duck_s: 0,
        }
    }
}

/// A door: for plain DNS, for DNS over TLS, or for DNS over HTTPS.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// Address and port. A wildcard address answers from the address that was asked. When not said: with `vpc`, where
    /// that VPC's resolver stands, its primary prefix's base plus two; with `inbound`, that endpoint's addresses; and
    /// the usual port of the transport, 53, 853 or 443.
    pub address: Option<Marked<ListenAddress>>,
    /// Answers as this VPC's resolver, whoever asks.
    pub vpc: Option<Marked<VpcId>>,
    /// Answers as this inbound endpoint, whoever asks.
    pub inbound: Option<Marked<ResolverEndpointId>>,
    /// `udp`, `tcp`, or both, which is usual; or `dot` alone, or `doh` alone.
    #[serde(default = "plain_transports")]
    #[schemars(extend("default" = ["udp", "tcp"]))]
    pub transports: Vec<Transport>,
    /// The PEM file with the certificate and the chain below it. `dot` and `doh` must have it, others may not.
    pub certificate: Option<Marked<String>>,
    /// The PEM file with the certificate's private key. `dot` and `doh` must have it, others may not.
    pub key: Option<Marked<String>>,
    /// The path that `doh` answers at; `/dns-query` unless said.
    pub path: Option<Marked<String>>,
    /// The name that the certificate is for, of a `dot` or `doh` listener. With it `_dns.resolver.arpa` designates the
    /// listener to clients that have the same view (RFC 9462). By default it designates none.
    pub server_name: Option<Marked<Name>>,
}

fn plain_transports() -> Vec<Transport> {
    vec![Transport::Udp, Transport::Tcp]
}

/// What carries DNS messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Datagrams (RFC 1035 4.2.1).
    Udp,
    /// A stream (RFC 7766).
    Tcp,
    /// DNS over TLS (RFC 7858).
    Dot,
    /// DNS over HTTPS (RFC 8484), HTTP/2 only.
    Doh,
}

/// Which place a client stands in.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// The client's address, or a prefix of them.
    pub source: Marked<SourcePrefix>,
    /// A subnet's id, a site's id, or `outside`: some other network on the internet.
    pub place: Marked<ExpectedLocation>,
}

/// The query log: one JSON object a line, as the VPC Resolver writes it, ours under `plustwo`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QueryLog {
    /// `off`, `stdout` or `file`.
    #[schemars(extend("default" = "off"))]
    pub to: Marked<LogTo>,
    /// The file, when `to = "file"`.
    pub file: Option<String>,
    /// Size in octets at which the file is put aside and a new one begun.
    pub rotate_at_bytes: u64,
    /// How many files that were put aside are kept.
    pub keep: u32,
    /// Whether answers out of a cache are logged. AWS does not log them.
    pub log_cache_hits: bool,
}

impl Default for QueryLog {
    fn default() -> Self {
        Self {
            to: Marked::from(LogTo::Off),
            file: None,
            rotate_at_bytes: 100 << 20,
            keep: 5,
            log_cache_hits: true,
        }
    }
}

/// Where the query log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogTo {
    /// Nowhere.
    Off,
    /// Standard output.
    Stdout,
    /// A file that is rotated by size.
    File,
}

impl FromStr for LogTo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "stdout" => Ok(Self::Stdout),
            "file" => Ok(Self::File),
            _ => Err(format!("`{text}` is none of `off`, `stdout`, `file`")),
        }
    }
}

impl FromConfigStr for LogTo {
    const EXPECTED: &'static str = "where the query log goes: `off`, `stdout` or `file`";
}
