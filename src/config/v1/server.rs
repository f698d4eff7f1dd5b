//! The daemon: admin address, listeners, clients, limits, query log.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::aws::{ResolverEndpointId, VpcId};
use crate::config::source::{FromConfigStr, Marked};
use crate::config::text::{Cidr, ExpectedLocation, ListenAddress, SourcePrefix};
use crate::dns::Name;

/// Settings of the daemon. Changes take effect after a restart, except for `allow` and `trust_client_subnet`;
/// a reload reports them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// The address of /metrics, /health, /ready and /v1.
    #[schemars(extend("default" = "127.0.0.1:9530"))]
    pub admin: Marked<ListenAddress>,
    /// Host names that are accepted in requests to the admin address, such as `plustwo.monitoring.svc`. IP
    /// addresses, `localhost`, names below it and names of one label are always accepted; requests for other
    /// hosts are answered with 421, which protects against DNS rebinding by web pages.
    pub admin_hosts: Option<Vec<Marked<Name>>>,
    /// Number of worker threads. Default: one per core.
    pub workers: Option<NonZeroU16>,
    /// Sources whose EDNS Client Subnet is trusted.
    #[schemars(extend("default" = ["127.0.0.0/8", "::1/128"]))]
    pub trust_client_subnet: Vec<Marked<Cidr>>,
    /// Sources that may query, in addition to configured locations.
    #[schemars(extend("default" = ["127.0.0.0/8", "::1/128"]))]
    pub allow: Vec<Marked<Cidr>>,
    /// Maximum number of open TCP connections, including DNS over TLS and DNS over HTTPS. Reduced if the
    /// limit on open files is too low for them and the sockets to name servers; a warning at startup states
    /// both numbers.
    pub max_tcp_connections: u32,
    /// Maximum number of open TCP connections from one address.
    pub max_tcp_connections_per_client: u32,
    /// Maximum number of queries of one TCP connection, or streams of one DNS over HTTPS connection, that
    /// wait for their answers.
    pub max_tcp_queries_in_flight: u32,
    /// Seconds after which an idle TCP connection is closed; also the limit for a TLS handshake.
    pub tcp_idle_timeout_s: u32,
    /// Maximum number of queries that wait for answers from other servers. An upstream can hold at most three
    /// times the number still free, a client three times what its upstream can still take; further queries
    /// are answered with a stale answer or SERVFAIL.
    pub max_waiting_queries: u32,
    /// Maximum number of lookups that each worker remembers to detect retransmissions.
    pub max_remembered_lookups: u32,
    /// Whether a change to a file of the configuration triggers a reload.
    pub watch: bool,
    /// Seconds for which queries are still answered after SIGTERM, while /ready reports failure.
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

/// A listener for plain DNS, DNS over TLS or DNS over HTTPS.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// Address and port. With a wildcard address, replies come from the address queried. Default: with `vpc`,
    /// the VPC's primary CIDR block plus two; with `inbound`, the addresses of that endpoint; on port 53, 853
    /// or 443 according to the transport.
    pub address: Option<Marked<ListenAddress>>,
    /// Answers all clients as the resolver of this VPC.
    pub vpc: Option<Marked<VpcId>>,
    /// Answers all clients as this inbound endpoint.
    pub inbound: Option<Marked<ResolverEndpointId>>,
    /// `udp`, `tcp`, or both; or only `dot`, or only `doh`.
    #[serde(default = "plain_transports")]
    #[schemars(extend("default" = ["udp", "tcp"]))]
    pub transports: Vec<Transport>,
    /// PEM file with the certificate and its chain. Required for `dot` and `doh`, not allowed otherwise.
    pub certificate: Option<Marked<String>>,
    /// PEM file with the private key of the certificate. Required for `dot` and `doh`, not allowed otherwise.
    pub key: Option<Marked<String>>,
    /// The path for `doh`. Default: `/dns-query`.
    pub path: Option<Marked<String>>,
    /// The name in the certificate of a `dot` or `doh` listener. If set, `_dns.resolver.arpa` advertises the
    /// listener to clients that have the same view (RFC 9462).
    pub server_name: Option<Marked<Name>>,
}

fn plain_transports() -> Vec<Transport> {
    vec![Transport::Udp, Transport::Tcp]
}

/// A transport for DNS messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// UDP (RFC 1035 section 4.2.1).
    Udp,
    /// TCP (RFC 7766).
    Tcp,
    /// DNS over TLS (RFC 7858).
    Dot,
    /// DNS over HTTPS (RFC 8484), HTTP/2 only.
    Doh,
}

/// The location of a client.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// The address or prefix of the client.
    pub source: Marked<SourcePrefix>,
    /// The ID of a subnet or site, or `outside`: another network on the internet.
    pub place: Marked<ExpectedLocation>,
}

/// The query log: one JSON object per line, with the fields of the VPC Resolver's query log, and those of
/// plustwo under `plustwo`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QueryLog {
    /// `off`, `stdout` or `file`.
    #[schemars(extend("default" = "off"))]
    pub to: Marked<LogTo>,
    /// The file, for `to = "file"`.
    pub file: Option<String>,
    /// Size in octets at which the file is rotated.
    pub rotate_at_bytes: u64,
    /// Number of rotated files to keep.
    pub keep: u32,
    /// Whether answers from a cache are logged. AWS does not log them.
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

/// The destination of the query log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogTo {
    /// None.
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
            _ => Err(format!("invalid value `{text}`: expected `off`, `stdout` or `file`")),
        }
    }
}

impl FromConfigStr for LogTo {
    const EXPECTED: &'static str = "the destination of the query log: `off`, `stdout` or `file`";
}
