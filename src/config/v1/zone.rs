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
    /// The ID, such as `Z0123456789ABC`. Default: the name.
    pub id: Option<Marked<HostedZoneId>>,
    /// The name.
    pub name: Marked<Name>,
    /// The VPCs that it is associated with directly. Others can be associated through Profiles.
    #[serde(default)]
    pub vpcs: Vec<Marked<VpcId>>,
    /// The record sets. Names and values are in the form of the Route 53 API, with octal escapes `\ooo`.
    #[serde(default)]
    pub records: Vec<RecordText>,
    /// A file with further record sets, relative to this one: a zone file (RFC 1035 section 5) or, with the
    /// extension `.json`, the output of `aws route53 list-resource-record-sets` or a change batch.
    pub file: Option<Marked<String>>,
}

/// The state of a health check. A health check that is not configured is healthy.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// The ID, to which `health_check_id` of record sets refers.
    pub id: Marked<String>,
    /// Whether it is healthy.
    #[serde(default = "super::yes")]
    pub healthy: bool,
}

/// A resolver endpoint.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolverEndpoint {
    /// The ID.
    pub id: Marked<ResolverEndpointId>,
    /// `INBOUND`, `OUTBOUND` or `INBOUND_DELEGATION`.
    pub direction: Direction,
    /// The VPC.
    pub vpc: Marked<VpcId>,
    /// The addresses, in subnets of the VPC.
    pub addresses: Vec<Marked<IpAddr>>,
    /// For an inbound endpoint: whether its clients receive AAAA records synthesised from A records, in
    /// 64:ff9b::/96.
    #[serde(default)]
    pub dns64_enabled: bool,
}

/// The direction of a resolver endpoint (Route 53 Resolver API).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Direction {
    /// Receives queries from other networks.
    Inbound,
    /// Sends queries for rules.
    Outbound,
    /// Receives queries for zones that are delegated to it. It answers like an inbound endpoint.
    InboundDelegation,
}

/// A resolver rule.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolverRule {
    /// The ID.
    pub id: Marked<ResolverRuleId>,
    /// `FORWARD`, `SYSTEM` or `DELEGATE`.
    #[serde(rename = "type")]
    pub rule_type: RuleType,
    /// For `FORWARD` and `SYSTEM`: the domain, including its subdomains.
    pub domain: Option<Marked<Name>>,
    /// For `DELEGATE`: the domain that contains names of name servers. If an NS record of a delegated zone
    /// refers to one of these, that server is queried through the outbound endpoint.
    pub delegation_record: Option<Marked<Name>>,
    /// For `FORWARD`: the name servers, as addresses or tables with options.
    #[serde(default)]
    pub targets: Vec<ServerEntry>,
    /// The outbound endpoint whose addresses are the source of its queries.
    pub endpoint: Option<Marked<ResolverEndpointId>>,
    /// `any`: queries are sent from any address of this host, even if an outbound endpoint is configured.
    #[serde(default)]
    #[schemars(extend("default" = "endpoint"))]
    pub source: RuleSource,
    /// The order in which its targets are queried: `random`, as in AWS, or `latency`.
    #[serde(default)]
    #[schemars(extend("default" = "random"))]
    pub order: ServerOrder,
    /// The account that owns it. Default: that of its VPCs.
    pub owner_id: Option<Marked<String>>,
    /// Accounts that it is shared with (AWS RAM). Only VPCs of these accounts and of the owner can be
    /// associated with it.
    #[serde(default)]
    pub shared_with: Vec<String>,
    /// The VPCs that it is associated with directly. Others can be associated through Profiles.
    #[serde(default)]
    pub vpcs: Vec<Marked<VpcId>>,
}

/// The source addresses of a rule's queries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RuleSource {
    /// The addresses of its outbound endpoint.
    #[default]
    Endpoint,
    /// Any address of this host.
    Any,
}

/// The type of a resolver rule (Route 53 Resolver API).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum RuleType {
    /// Forwards to other name servers.
    Forward,
    /// Resolves locally what a less specific FORWARD rule would forward.
    System,
    /// Queries name servers of delegated zones through an outbound endpoint.
    Delegate,
}
