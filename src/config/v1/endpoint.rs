//! VPC endpoints.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::aws::{IdOrArn, Region, SecurityGroupId, SubnetId, VpcEndpointAssociationId, VpcEndpointId, kind};
use crate::config::source::Marked;
use crate::dns::Name;

/// A VPC endpoint. A gateway endpoint's routes stand in the route tables.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Its id.
    pub id: Marked<VpcEndpointId>,
    /// `Interface`, `Gateway`, `GatewayLoadBalancer`, `Resource`, `ServiceNetwork` or `Tunnel`.
    #[serde(rename = "type")]
    pub endpoint_type: EndpointType,
    /// The service's name, such as `com.amazonaws.ap-northeast-1.sns`. Resource, service-network and tunnel
    /// endpoints have none.
    pub service: Option<Marked<String>>,
    /// The region of the service, where it is another than the VPC's. Interface endpoints only.
    pub service_region: Option<Marked<Region>>,
    /// For a resource or tunnel endpoint: the resource configuration, `rcfg-…`, or its ARN.
    pub resource_configuration: Option<Marked<IdOrArn<kind::ResourceConfiguration>>>,
    /// For a service-network endpoint: the service network, `sn-…`, or its ARN.
    pub service_network: Option<Marked<IdOrArn<kind::ServiceNetwork>>>,
    /// Whether the service's own names lead to this endpoint inside the VPC. When not said: yes for an
    /// interface endpoint whose service offers it, except S3's; no for a resource or service-network endpoint.
    pub private_dns_enabled: Option<bool>,
    /// Whether private DNS is for queries through an inbound resolver endpoint only. When not said: yes for S3's
    /// interface endpoint, no for others.
    pub private_dns_only_for_inbound_resolver_endpoint: Option<bool>,
    /// For a resource or service-network endpoint with private DNS: which private names get a private zone.
    /// `VERIFIED_DOMAINS_ONLY` when not said.
    pub private_dns_preference: Option<PrivateDnsPreference>,
    /// The names that the preference speaks of; `*.example.com` stands for everything below `example.com`.
    #[serde(default)]
    pub private_dns_specified_domains: Vec<Marked<Name>>,
    /// The families of its addresses. When not said, worked out from its network interfaces.
    pub ip_address_type: Option<IpAddressType>,
    /// Which record types its names have. When not said: what its addresses are; `service-defined` for a
    /// gateway endpoint.
    pub dns_record_ip_type: Option<DnsRecordIpType>,
    /// The private names, where the project's table of services does not know them or knows them otherwise.
    pub private_dns_names: Option<Vec<Marked<Name>>>,
    /// Its own regional name, `vpce-….vpce.amazonaws.com`; made from its id when not said.
    pub dns_name: Option<Marked<Name>>,
    /// The TCP port its service is reached at, which `reach` is judged by; the service's own when not said, and
    /// 443 where that is not known.
    pub port: Option<u16>,
    /// Its state. Only an endpoint that is `available` or `partial` has names.
    #[serde(default)]
    #[schemars(extend("default" = "available"))]
    pub state: EndpointState,
    /// Its policy, as JSON text. It is told of where it is not AWS's default, which allows everything, and never judged:
    /// it decides on requests, not on ways.
    pub policy_document: Option<Marked<String>>,
    /// Its network interfaces, one a zone.
    #[serde(default)]
    pub network_interfaces: Vec<EndpointInterface>,
    /// What a resource or service-network endpoint leads to, as `describe-vpc-endpoint-associations` tells it.
    #[serde(default)]
    pub association: Vec<EndpointAssociation>,
}

/// A network interface of an endpoint.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointInterface {
    /// The subnet it stands in.
    pub subnet: Marked<SubnetId>,
    /// Its IPv4 address. An interface has this one, an IPv6 address, or both.
    pub address: Option<Marked<IpAddr>>,
    /// Its IPv6 address.
    pub ipv6_address: Option<Marked<IpAddr>>,
    /// Its security groups. When none is said, everything is taken as admitted.
    #[serde(default)]
    pub security_groups: Vec<Marked<SecurityGroupId>>,
    /// Whether its zone has a healthy target. Without one it drops out of the private and regional names, and
    /// stays in the zonal one.
    #[serde(default = "yes")]
    pub healthy: bool,
}

/// A resource or service that an endpoint leads to (EC2 API, `VpcEndpointAssociation`).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointAssociation {
    /// Its id, `vpce-rsc-asc-…`.
    pub id: Option<Marked<VpcEndpointAssociationId>>,
    /// The resource configuration `rcfg-…` or the service `svc-…`, or its ARN.
    pub resource: Marked<IdOrArn<kind::LatticeResource>>,
    /// Its own name in public DNS; made from the ids when not said.
    pub dns_name: Option<Marked<Name>>,
    /// Its private name, the custom domain name: what private DNS makes a zone for.
    pub private_dns_name: Option<Marked<Name>>,
    /// Whether its provider has verified that domain. No when not said.
    pub verified: Option<bool>,
    /// Its own addresses, in subnets of the endpoint's network interfaces; those of the interfaces when none is
    /// said.
    #[serde(default)]
    pub addresses: Vec<Marked<IpAddr>>,
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
    /// Network interfaces that lead to a resource configuration of VPC Lattice.
    Resource,
    /// Network interfaces that lead to what is associated with a service network of VPC Lattice.
    ServiceNetwork,
    /// Addresses that GENEVE tunnels end at. It has no names in the VPC.
    Tunnel,
}

/// Which address records an endpoint's names have (EC2 API, `DnsRecordIpType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DnsRecordIpType {
    /// A.
    Ipv4,
    /// A and AAAA.
    Dualstack,
    /// AAAA.
    Ipv6,
    /// Private names A, the endpoint's own names A and AAAA. Of a gateway endpoint: as public DNS has them.
    ServiceDefined,
}

/// The families of an endpoint's addresses (EC2 API, `IpAddressType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IpAddressType {
    /// IPv4 alone.
    Ipv4,
    /// Both.
    Dualstack,
    /// IPv6 alone.
    Ipv6,
}

/// Which private names of a resource or service-network endpoint get a private zone (EC2 API,
/// `DnsOptionsSpecification`, `PrivateDnsPreference`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PrivateDnsPreference {
    /// All of them.
    AllDomains,
    /// Those whose domain its provider has verified.
    #[default]
    VerifiedDomainsOnly,
    /// Those, and the specified ones.
    VerifiedDomainsAndSpecifiedDomains,
    /// The specified ones alone.
    SpecifiedDomainsOnly,
}

/// The state of an endpoint (EC2 API, `State`). The API reference writes it as `PendingAcceptance`, its answers
/// as `pendingAcceptance`; either is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum EndpointState {
    /// It works.
    #[default]
    #[serde(alias = "Available")]
    Available,
    /// Its owner has not accepted it.
    #[serde(alias = "PendingAcceptance")]
    PendingAcceptance,
    /// It is being made.
    #[serde(alias = "Pending")]
    Pending,
    /// It is being deleted.
    #[serde(alias = "Deleting")]
    Deleting,
    /// It is gone.
    #[serde(alias = "Deleted")]
    Deleted,
    /// Its owner refused it.
    #[serde(alias = "Rejected")]
    Rejected,
    /// It could not be made.
    #[serde(alias = "Failed")]
    Failed,
    /// Nobody accepted it in time.
    #[serde(alias = "Expired")]
    Expired,
    /// Part of it works.
    #[serde(alias = "Partial")]
    Partial,
}

/// The default of what is so unless somebody says otherwise.
fn yes() -> bool {
    true
}
