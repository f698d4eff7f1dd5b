//! Bounds on answers, annotations, caches, and the internet.

use schemars::JsonSchema;
use serde::Deserialize;

use super::ServerEntry;
use crate::config::source::Marked;
use crate::config::text::Cidr;
use crate::dns::{Name, RecordType};

/// Bounds on answers.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Answers {
    /// Maximum TTL of all records, in seconds. AWS caps TTLs at 300.
    pub max_ttl: u32,
    /// Maximum TTL of negative answers, in seconds.
    pub max_negative_ttl: u32,
    /// Maximum size of a UDP reply in octets, 512 to 4096. The OPT record of replies advertises 4096, as AWS
    /// does.
    #[serde(deserialize_with = "udp_payload")]
    #[schemars(range(min = 512, max = 4096))]
    pub max_udp_payload: u16,
    /// TTL of endpoint private DNS names and `vpce-…` names, in seconds. 0 disables caching by hosts.
    pub private_dns_ttl: u32,
    /// TTL of generated names in a VPC and of their reverse names, in seconds.
    pub generated_name_ttl: u32,
    /// Whether `ip-…` names exist for addresses that no host has, as observed in AWS. If `false`, they exist
    /// for configured addresses only.
    pub unused_ip_names: bool,
    /// The reply to clients in a VPC with `enable_dns_support = false`.
    #[schemars(extend("default" = "silent"))]
    pub dns_support_off: DnsSupportOff,
    /// Which NXDOMAIN replies include the SOA record. AWS was observed to omit it from cached ones.
    #[schemars(extend("default" = "always"))]
    pub negative_soa: NegativeSoa,
    /// How special-use names (`test`, `local`, `home.arpa`, private reverse zones and others) that no zone or
    /// rule matches are answered: `local`, by this resolver; or `forward`, by the servers of `[internet]`.
    #[schemars(extend("default" = "local"))]
    pub special_use_names: SpecialUseNames,
}

/// The reply of a VPC's resolver if DNS support is disabled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DnsSupportOff {
    /// No reply: clients time out.
    #[default]
    Silent,
    /// REFUSED.
    Refused,
    /// SERVFAIL.
    Servfail,
}

/// Which NXDOMAIN replies include the SOA record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NegativeSoa {
    /// All of them (RFC 2308 section 3).
    #[default]
    Always,
    /// The first one for a name, but not those within its TTL.
    FirstOnly,
}

/// How special-use names without a claim are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SpecialUseNames {
    /// By this resolver, as their RFCs specify: they are not forwarded.
    #[default]
    Local,
    /// By the servers of `[internet]`, for networks in which these answer such names. With a sealed internet
    /// they do not exist.
    Forward,
}

/// Every client accepts 512 octets (RFC 1035 section 4.2.1), and replies never advertise more than 4096.
fn udp_payload<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let octets = u16::deserialize(deserializer)?;
    if (512..=4096).contains(&octets) {
        return Ok(octets);
    }
    Err(serde::de::Error::custom(format!(
        "invalid size of UDP replies {octets}: expected 512 to 4096 octets"
    )))
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            max_ttl: 300,
            max_negative_ttl: 300,
            max_udp_payload: 1232,
            private_dns_ttl: 60,
            generated_name_ttl: 60,
            unused_ip_names: true,
            dns_support_off: DnsSupportOff::Silent,
            negative_soa: NegativeSoa::Always,
            special_use_names: SpecialUseNames::Local,
        }
    }
}

/// Annotations of answers with their egress paths.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Annotate {
    /// When Extended DNS Errors describe paths: `always` if the query has EDNS, `on-request` if it contains
    /// option 65001, or `off`.
    #[schemars(extend("default" = "always"))]
    pub ede: EdeMode,
    /// Whether EDNS option 65001 is answered.
    pub option: bool,
    /// Whether CHAOS TXT queries are answered with explanations of names.
    pub chaos: bool,
    /// The clients that receive annotations.
    #[schemars(extend("default" = ["0.0.0.0/0", "::/0"]))]
    pub to: Vec<Marked<Cidr>>,
}

impl Default for Annotate {
    fn default() -> Self {
        let everyone = ["0.0.0.0/0", "::/0"]
            .map(|text| Marked::from(text.parse::<Cidr>().expect("a constant prefix parses")));
        Self { ede: EdeMode::Always, option: true, chaos: true, to: everyone.to_vec() }
    }
}

/// When a reply has Extended DNS Errors with its paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EdeMode {
    /// For each query with EDNS.
    Always,
    /// For queries that contain option 65001.
    OnRequest,
    /// Never.
    Off,
}

/// The packet caches: encoded replies, whatever the source of the answer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PacketCache {
    /// Approximate limit for all packet caches together, in octets; divided among the workers. 0 disables
    /// them.
    pub max_bytes: u64,
}

impl Default for PacketCache {
    fn default() -> Self {
        Self { max_bytes: 32 << 20 }
    }
}

/// The cache of answers from other name servers.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MessageCache {
    /// Approximate limit in octets.
    pub max_bytes: u64,
    /// How long an answer may be served after its TTL if no server answers, in seconds (RFC 8767). 0 disables
    /// stale answers.
    pub serve_stale_s: u32,
    /// Whether frequently used answers are prefetched shortly before they expire.
    pub prefetch: bool,
}

impl Default for MessageCache {
    fn default() -> Self {
        Self { max_bytes: 64 << 20, serve_stale_s: 86_400, prefetch: true }
    }
}

/// How names without a private claim are resolved.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Internet {
    /// `sealed`: from a small built-in table, so that everything works without network access. `forward`: by
    /// `servers`.
    #[schemars(extend("default" = "sealed"))]
    pub mode: InternetMode,
    /// The name servers for `mode = "forward"`, as addresses or tables with options. `vpce-…` names and EC2
    /// names of this configuration are answered locally.
    pub servers: Vec<ServerEntry>,
    /// The order in which the servers are queried: `random` or `latency`.
    #[schemars(extend("default" = "random"))]
    pub order: ServerOrder,
}

impl Default for Internet {
    fn default() -> Self {
        Self { mode: InternetMode::Sealed, servers: Vec::new(), order: ServerOrder::Random }
    }
}

/// How names without a private claim are resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InternetMode {
    /// From the built-in table: AWS's public names, `vpce-…` and EC2 names of this configuration,
    /// `[[public]]` records.
    Sealed,
    /// By other name servers.
    Forward,
}

/// The order in which name servers are queried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ServerOrder {
    /// Random.
    #[default]
    Random,
    /// The fastest first, by measured round-trip time.
    Latency,
}

/// A record set of the sealed internet.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Public {
    /// The owner name, with or without a trailing dot. A leftmost label `*` is a wildcard.
    pub name: Marked<Name>,
    /// The record type.
    #[serde(rename = "type")]
    pub record_type: Marked<RecordType>,
    /// TTL in seconds.
    #[serde(default = "public_ttl")]
    pub ttl: u32,
    /// The data, as in a zone file.
    pub values: Vec<Marked<String>>,
}

fn public_ttl() -> u32 {
    60
}
