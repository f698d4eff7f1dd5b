//! Private hosted zones, resolver endpoints and resolver rules.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{RecordText, ServerEntry, ServerOrder};
use crate::aws::{HostedZoneId, ResolverEndpointId, ResolverRuleId, VpcId};
use crate::config::source::Marked;
use crate::dns::Name;

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
    /// Its record sets. Names and values are written as the Route 53 API has them, other octets as `\ooo` in octal.
    #[serde(default)]
    pub records: Vec<RecordText>,
    /// A file with more of them, relative to this one: a zone file (RFC 1035 5), or with the ending `.json` what `aws
    /// route53 list-resource-record-sets` prints, or a change batch.
    pub file: Option<Marked<String>>,
}

/// A health check, and what it says. One that is not declared says that all is well.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// Its id, as `health_check_id` of record sets names it.
    pub id: Marked<String>,
    /// Whether what it checks is healthy.
    #[serde(default = "super::yes")]
    pub healthy: bool,
}

/// A resolver endpoint.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolverEndpoint {
    /// Its id.
    pub id: Marked<ResolverEndpointId>,
    /// `INBOUND`, `OUTBOUND` or `INBOUND_DELEGATION`.
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
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Direction {
    /// Others ask it.
    Inbound,
    /// Rules leave through it.
    Outbound,
    /// Others ask it for zones that they delegate to it. It answers as an inbound one does.
    InboundDelegation,
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
    /// Where a FORWARD rule sends: addresses, or tables with settings.
    #[serde(default)]
    pub targets: Vec<ServerEntry>,
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
