//! Private hosted zones, resolver endpoints and resolver rules.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;

use super::ServerOrder;
use crate::aws::{HostedZoneId, ResolverEndpointId, ResolverRuleId, VpcId};
use crate::config::source::Marked;
use crate::config::text::Target;
use crate::dns::{Name, RecordType};

/// A private hosted zone.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostedZone {
    /// Its id, such as `Z0123456789ABC`; its name serves as one unless said.
    pub id: Option<Marked<HostedZoneId>>,
    /// Its name.
    pub name: Marked<Name>,
    /// The VPCs it is associated with. More see it through Profiles.
    #[serde(default)]
    pub vpcs: Vec<Marked<VpcId>>,
    /// Its record sets.
    #[serde(default)]
    pub records: Vec<RecordText>,
    /// A zone file (RFC 1035 5) with more of them, relative to this file.
    pub file: Option<Marked<String>>,
}

/// A record set.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordText {
    /// The owner name: relative to the zone, absolute with a final dot, `@` or empty for the apex.
    pub name: Marked<String>,
    /// The record type.
    #[serde(rename = "type")]
    pub record_type: Marked<RecordType>,
    /// TTL in seconds; 300 unless said. An alias has its target's.
    pub ttl: Option<u32>,
    /// The data, as in a zone file. Names in it are absolute.
    pub values: Option<Vec<Marked<String>>>,
    /// For an alias record: the name whose addresses it answers with.
    pub alias: Option<Marked<Name>>,
}

/// A resolver endpoint.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolverEndpoint {
    /// Its id.
    pub id: Marked<ResolverEndpointId>,
    /// `INBOUND` or `OUTBOUND`.
    pub direction: Direction,
    /// The VPC it stands in.
    pub vpc: Marked<VpcId>,
    /// Its addresses, in subnets of that VPC.
    pub addresses: Vec<Marked<IpAddr>>,
    /// For an inbound one: whether its clients get AAAA records made from A records, in 64:ff9b::/96.
    #[serde(default)]
    pub dns64_enabled: bool,
}

/// The direction of a resolver endpoint (Route 53 Resolver API).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Direction {
    /// Others ask it.
    Inbound,
    /// Rules leave through it.
    Outbound,
}

/// A resolver rule.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolverRule {
    /// Its id.
    pub id: Marked<ResolverRuleId>,
    /// `FORWARD`, `SYSTEM` or `DELEGATE`.
    #[serde(rename = "type")]
    pub rule_type: RuleType,
    /// The domain it is for, with everything below. For `FORWARD` and `SYSTEM`.
    pub domain: Option<Marked<Name>>,
    /// For `DELEGATE`: the domain that the names of name servers are in. When an NS record of a delegated zone names
    /// one of those, it is asked through the outbound endpoint.
    pub delegation_record: Option<Marked<Name>>,
    /// Where a FORWARD rule sends.
    #[serde(default)]
    pub targets: Vec<Marked<Target>>,
    /// The outbound endpoint it leaves through, from one of its addresses.
    pub endpoint: Option<Marked<ResolverEndpointId>>,
    /// `any`: leaves from any address of this host although an outbound endpoint is named.
    #[serde(default)]
    #[schemars(extend("default" = "endpoint"))]
    pub source: RuleSource,
    /// In what order its targets are asked: `random`, as AWS does, or `latency`.
    #[serde(default)]
    #[schemars(extend("default" = "random"))]
    pub order: ServerOrder,
    /// The account that owns it; that of its VPCs unless said.
    pub owner_id: Option<Marked<String>>,
    /// Accounts that it is shared with (AWS RAM). Only their VPCs and the owner's may be associated with it.
    #[serde(default)]
    pub shared_with: Vec<String>,
    /// The VPCs it is associated with. More have it through Profiles.
    #[serde(default)]
    pub vpcs: Vec<Marked<VpcId>>,
}

/// Where a rule's queries leave from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RuleSource {
    /// An address of its outbound endpoint.
    #[default]
    Endpoint,
    /// Any address of this host.
    Any,
}

/// The type of a resolver rule (Route 53 Resolver API).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum RuleType {
    /// Sends to other name servers.
    Forward,
    /// Resolves here what a wider FORWARD rule would send away.
    System,
    /// Asks name servers of delegated zones through an outbound endpoint.
    Delegate,
}
