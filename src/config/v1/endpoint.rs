//! VPC endpoints.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::aws::{SecurityGroupId, SubnetId, VpcEndpointId};
use crate::config::source::Marked;
use crate::dns::Name;

/// A VPC endpoint. A gateway endpoint's routes stand in the route tables.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Its id.
    pub id: Marked<VpcEndpointId>,
    /// `Interface`, `Gateway` or `GatewayLoadBalancer`.
    #[serde(rename = "type")]
    pub endpoint_type: EndpointType,
    /// The service's name, such as `com.amazonaws.ap-northeast-1.sns`.
    pub service: Marked<String>,
    /// Whether the service's own names lead to this endpoint inside the VPC. When not said: yes for an
    /// interface endpoint whose service offers it, except S3's.
    pub private_dns_enabled: Option<bool>,
    /// Whether private DNS is for queries through an inbound resolver endpoint only. When not said: yes for S3's
    /// interface endpoint, no for others.
    pub private_dns_only_for_inbound_resolver_endpoint: Option<bool>,
    /// Which record types its names have.
    #[serde(default)]
    #[schemars(extend("default" = "ipv4"))]
    pub dns_record_ip_type: DnsRecordIpType,
    /// The private names, where the project's table of services does not know them or knows them otherwise.
    pub private_dns_names: Option<Vec<Marked<Name>>>,
    /// Its own regional name, `vpce-….vpce.amazonaws.com`; made from its id when not said.
    pub dns_name: Option<Marked<Name>>,
    /// Its state. Only an available endpoint has names.
    #[serde(default)]
    #[schemars(extend("default" = "available"))]
    pub state: EndpointState,
    /// Its network interfaces, one a zone.
    #[serde(default)]
    pub network_interfaces: Vec<EndpointInterface>,
}

/// A network interface of an endpoint.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointInterface {
    /// The subnet it stands in.
    pub subnet: Marked<SubnetId>,
    /// Its IPv4 address.
    pub address: Marked<IpAddr>,
    /// Its IPv6 address.
    pub ipv6_address: Option<Marked<IpAddr>>,
    /// Its security groups. When none is said, everything is taken as admitted.
    #[serde(default)]
    pub security_groups: Vec<Marked<SecurityGroupId>>,
}

/// The type of an endpoint (EC2 API, `VpcEndpointType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum EndpointType {
    /// Network interfaces in subnets.
    Interface,
    /// A route to a prefix list.
    Gateway,
    /// A hop to a Gateway Load Balancer.
    GatewayLoadBalancer,
}

/// Which address records an endpoint's names have (EC2 API, `DnsRecordIpType`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DnsRecordIpType {
    /// A.
    #[default]
    Ipv4,
    /// A and AAAA.
    Dualstack,
    /// AAAA.
    Ipv6,
    /// Private names A, the endpoint's own names A and AAAA.
    ServiceDefined,
}

/// The state of an endpoint (EC2 API, `State`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum EndpointState {
    /// It works.
    #[default]
    Available,
    /// Its owner has not accepted it.
    PendingAcceptance,
    /// It is being made.
    Pending,
    /// It is being deleted.
    Deleting,
    /// It is gone.
    Deleted,
    /// Its owner refused it.
    Rejected,
    /// It could not be made.
    Failed,
    /// Nobody accepted it in time.
    Expired,
    /// Part of it works.
    Partial,
}
