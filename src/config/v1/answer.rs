//! Bounds on answers, annotations, and the internet behind the VPC.

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
    /// The longest TTL that is sent, in seconds, whatever the source. AWS caps at 300.
    pub max_ttl: u32,
    /// The longest TTL of a negative answer, in seconds.
    pub max_negative_ttl: u32,
    /// The largest UDP reply in octets, 512 to 4096. The reply's OPT still advertises 4096, as AWS does.
    #[serde(deserialize_with = "udp_payload")]
    #[schemars(range(min = 512, max = 4096))]
    pub max_udp_payload: u16,
    /// TTL of endpoint private DNS and `vpce-…` names, in seconds. 0 makes host caches transparent.
    pub private_dns_ttl: u32,
    /// TTL of the names that AWS generates in a VPC, and of their reverse, in seconds.
    pub generated_name_ttl: u32,
    /// Whether `ip-…` names exist for addresses that nobody has, as they were seen to do in AWS. When false they
    /// exist for declared addresses alone.
    pub unused_ip_names: bool,
    /// What a client hears in a VPC with `enable_dns_support = false`.
    #[schemars(extend("default" = "silent"))]
    pub dns_support_off: DnsSupportOff,
    /// On which NXDOMAIN replies the SOA record stands. AWS was seen to leave it out on cached ones.
    #[schemars(extend("default" = "always"))]
    pub negative_soa: NegativeSoa,
    /// Who answers special-use names (`test`, `local`, `home.arpa`, private reverse zones and others) that no zone and
    /// no rule claims: `local`, this resolver; or `forward`, the servers of `[internet]`.
    #[schemars(extend("default" = "local"))]
    pub special_use_names: SpecialUseNames,
}

/// What a VPC's resolver answers when DNS support is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DnsSupportOff {
    /// Nothing: clients time out.
    #[default]
    Silent,
    /// REFUSED.
    Refused,
    /// SERVFAIL.
    Servfail,
}

/// On which replies that deny a name the SOA record stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NegativeSoa {
    /// On every one (RFC 2308 3).
    #[default]
    Always,
    /// On the first one for a name and none of those within its TTL.
    FirstOnly,
}

/// Who answers special-use names that nothing in the configuration claims.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SpecialUseNames {
    /// This resolver, as their RFCs say: no such name leaves it.
    #[default]
    Local,
    /// The servers of `[internet]`, for the case that those have such names. With a sealed internet they do not exist.
    Forward,
}

/// No client is promised less than 512 octets (RFC 1035 4.2.1), and no reply promises more than 4096.
fn udp_payload<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let octets = u16::deserialize(deserializer)?;
    if (512..=4096).contains(&octets) {
        return Ok(octets);
    }
    Err(serde::de::Error::custom(format!("{octets} is no size of a UDP reply: 512 to 4096 octets")))
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

/// Who is told the path of an answer, and by which carrier.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Annotate {
    /// Extended DNS Errors: `always` when the query has EDNS, `asked` when it carries option 65001, or `off`.
    #[schemars(extend("default" = "always"))]
    pub ede: EdeMode,
    /// Whether EDNS option 65001 is answered.
    pub option: bool,
    /// Whether CHAOS TXT questions explain names.
    pub chaos: bool,
    /// Which clients are told.
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

/// When a reply carries Extended DNS Errors with its paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EdeMode {
    /// On each reply to a query with EDNS.
    Always,
    /// On replies to queries that carry option 65001.
    Asked,
    /// Never.
    Off,
}

/// Replies that are kept as octets and given again, whoever made the answer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PacketCache {
    /// What they may weigh together, in octets, about; divided among the workers. 0: none is kept.
    pub max_bytes: u64,
}

impl Default for PacketCache {
    fn default() -> Self {
        Self { max_bytes: 32 << 20 }
    }
}

/// Answers of other servers that are kept.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MessageCache {
    /// What they may weigh together, in octets, about.
    pub max_bytes: u64,
    /// How long one may be served past its TTL when no server answers, in seconds (RFC 8767). 0: never.
    pub serve_stale_s: u32,
    /// Whether one that is asked for often is fetched anew shortly before it ends.
    pub prefetch: bool,
}

impl Default for MessageCache {
    fn default() -> Self {
        Self { max_bytes: 64 << 20, serve_stale_s: 86_400, prefetch: true }
    }
}

/// What answers names that nothing private claims.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Internet {
    /// `sealed`: a small built-in public DNS, so that everything works with no network. `forward`: `servers`.
    #[schemars(extend("default" = "sealed"))]
    pub mode: InternetMode,
    /// Whom to ask, when `mode = "forward"`. The world's own `vpce-…` and EC2 names are laid over them.
    /// Addresses, or tables with settings.
    pub servers: Vec<ServerEntry>,
    /// In what order they are asked: `random` or `latency`.
    #[schemars(extend("default" = "random"))]
    pub order: ServerOrder,
}

impl Default for Internet {
    fn default() -> Self {
        Self { mode: InternetMode::Sealed, servers: Vec::new(), order: ServerOrder::Random }
    }
}

/// Where names that nothing private claims are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InternetMode {
    /// In the built-in public DNS: AWS's public names, the world's `vpce-…` and EC2 names, `[[public]]`.
    Sealed,
    /// At other name servers.
    Forward,
}

/// In what order name servers are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ServerOrder {
    /// Any.
    #[default]
    Random,
    /// The quickest first, by what was measured.
    Latency,
}

/// A record set of the sealed internet.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Public {
    /// The owner name, with or without its final dot. A leftmost `*` is a wildcard.
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
