//! VPC endpoints.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::aws::{IdOrArn, Region, SecurityGroupId, SubnetId, VpcEndpointAssociationId, VpcEndpointId, kind};
use crate::config::source::Marked;
use crate::dns::Name;

/// A VPC endpoint. The routes of a gateway endpoint are configured in the route tables.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The ID.
    pub id: Marked<VpcEndpointId>,
    /// `Interface`, `Gateway`, `GatewayLoadBalancer`, `Resource`, `ServiceNetwork` or `Tunnel`.
    #[serde(rename = "type")]
    pub endpoint_type: EndpointType,
    /// The name of the service, such as `com.amazonaws.ap-northeast-1.sns`. Not used by resource,
    /// service-network and tunnel endpoints.
    pub service: Option<Marked<String>>,
    /// The region of the service, if it differs from that of the VPC. Interface endpoints only.
    pub service_region: Option<Marked<Region>>,
    /// For a resource or tunnel endpoint: the resource configuration, `rcfg-…`, or its ARN.
    pub resource_configuration: Option<Marked<IdOrArn<kind::ResourceConfiguration>>>,
    /// For a service-network endpoint: the service network, `sn-…`, or its ARN.
    pub service_network: Option<Marked<IdOrArn<kind::ServiceNetwork>>>,
    /// Whether the service's private DNS names resolve to this endpoint within the VPC. Default: `true` for
    /// an interface endpoint whose service has private DNS names, except S3; `false` for a resource or
    /// service-network endpoint.
    pub private_dns_enabled: Option<bool>,
    /// Whether private DNS applies only to queries through an inbound resolver endpoint. Default: `true` for
    /// an S3 interface endpoint, otherwise `false`.
    pub private_dns_only_for_inbound_resolver_endpoint: Option<bool>,
    /// For a resource or service-network endpoint with private DNS: which private DNS names have a private
    /// zone. Default: `VERIFIED_DOMAINS_ONLY`.
    pub private_dns_preference: Option<PrivateDnsPreference>,
    /// The domains that the preference refers to; `*.example.com` matches all names below `example.com`.
    #[serde(default)]
    pub private_dns_specified_domains: Vec<Marked<Name>>,
    /// The address families of the endpoint. Default: those of its network interfaces.
    pub ip_address_type: Option<IpAddressType>,
    /// The record types of its names. Default: those of its addresses; `service-defined` for a gateway
    /// endpoint.
    pub dns_record_ip_type: Option<DnsRecordIpType>,
    /// The private DNS names, if the service is not in the project's table or has other names there.
    pub private_dns_names: Option<Vec<Marked<Name>>>,
    /// The regional endpoint-specific name, `vpce-….vpce.amazonaws.com`. Default: derived from the ID.
    pub dns_name: Option<Marked<Name>>,
    /// The TCP port of the service, for which `reach` is evaluated. Default: that of the service, or 443 if
    /// unknown.
    pub port: Option<u16>,
    /// The state. Only an endpoint that is `available` or `partial` has names.
    #[serde(default)]
    #[schemars(extend("default" = "available"))]
    pub state: EndpointState,
    /// The endpoint policy, as JSON text. A policy other than AWS's default, which allows everything, is
    /// mentioned in explanations but not evaluated: it applies to requests, not to paths.
    pub policy_document: Option<Marked<String>>,
    /// The network interfaces, one per Availability Zone.
    #[serde(default)]
    pub network_interfaces: Vec<EndpointInterface>,
    /// The associations of a resource or service-network endpoint, as returned by
    /// `describe-vpc-endpoint-associations`.
    #[serde(default)]
    pub association: Vec<EndpointAssociation>,
}

/// A network interface of an endpoint.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointInterface {
    /// The subnet.
    pub subnet: Marked<SubnetId>,
    /// The IPv4 address. An interface has an IPv4 address, an IPv6 address, or both.
    pub address: Option<Marked<IpAddr>>,
    /// The IPv6 address.
    pub ipv6_address: Option<Marked<IpAddr>>,
    /// The security groups. Default: all traffic is allowed.
    #[serde(default)]
    pub security_groups: Vec<Marked<SecurityGroupId>>,
    /// Whether the Availability Zone has a healthy target. An unhealthy interface is removed from the private
    /// DNS names and the regional name and remains in the zonal name.
    #[serde(default = "yes")]
    pub healthy: bool,
}

/// A resource or service of an endpoint (EC2 API, `VpcEndpointAssociation`).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointAssociation {
    /// The ID, `vpce-rsc-asc-…`.
    pub id: Option<Marked<VpcEndpointAssociationId>>,
    /// The resource configuration `rcfg-…` or the service `svc-…`, or its ARN.
    pub resource: Marked<IdOrArn<kind::LatticeResource>>,
    /// The endpoint-specific name in public DNS. Default: derived from the IDs.
    pub dns_name: Option<Marked<Name>>,
    /// The private DNS name (custom domain name), for which private DNS creates a zone.
    pub private_dns_name: Option<Marked<Name>>,
    /// Whether the provider has verified the domain. Default: `false`.
    pub verified: Option<bool>,
    /// The addresses of the association, in subnets of the endpoint's network interfaces. Default: those of
    /// the network interfaces.
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
    /// Network interfaces for a resource configuration of VPC Lattice.
    Resource,
    /// Network interfaces for the associations of a VPC Lattice service network.
    ServiceNetwork,
    /// Addresses at which GENEVE tunnels end. It has no names in the VPC.
    Tunnel,
}

/// The address records of an endpoint's names (EC2 API, `DnsRecordIpType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DnsRecordIpType {
    /// A.
    Ipv4,
    /// A and AAAA.
    Dualstack,
    /// AAAA.
    Ipv6,
    /// A for private DNS names, A and AAAA for endpoint-specific names. For a gateway endpoint: as in public
    /// DNS.
    ServiceDefined,
}

/// The address families of an endpoint (EC2 API, `IpAddressType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IpAddressType {
    /// IPv4 only.
    Ipv4,
    /// Both.
    Dualstack,
    /// IPv6 only.
    Ipv6,
}

/// Which private DNS names of a resource or service-network endpoint have a private zone (EC2 API,
/// `DnsOptionsSpecification`, `PrivateDnsPreference`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PrivateDnsPreference {
    /// All of them.
    AllDomains,
    /// Those whose domain the provider has verified.
    #[default]
    VerifiedDomainsOnly,
    /// Verified and specified ones.
    VerifiedDomainsAndSpecifiedDomains,
    /// Specified ones only.
    SpecifiedDomainsOnly,
}

/// The state of an endpoint (EC2 API, `State`). Both spellings, `PendingAcceptance` in the API reference and
/// `pendingAcceptance` in responses, are accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum EndpointState {
    /// In service.
    #[default]
    #[serde(alias = "Available")]
    Available,
    /// Waiting for acceptance by the owner of the service.
    #[serde(alias = "PendingAcceptance")]
    PendingAcceptance,
    /// Being created.
    #[serde(alias = "Pending")]
    Pending,
    /// Being deleted.
    #[serde(alias = "Deleting")]
    Deleting,
    /// Deleted.
    #[serde(alias = "Deleted")]
    Deleted,
    /// Rejected by the owner of the service.
    #[serde(alias = "Rejected")]
    Rejected,
    /// Creation failed.
    #[serde(alias = "Failed")]
    Failed,
    /// Not accepted in time.
    #[serde(alias = "Expired")]
    Expired,
    /// Partially in service.
    #[serde(alias = "Partial")]
    Partial,
}

/// The default of settings that are enabled unless set otherwise.
fn yes() -> bool {
    true
}
