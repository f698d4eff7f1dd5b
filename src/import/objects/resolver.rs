//! Route 53 Resolver rules, endpoints and VPC settings, and VPC Lattice associations.

use serde::Deserialize;

use super::{OtherFields, objects};

/// Route 53 Resolver API, `ResolverRule`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ResolverRule {
    pub id: String,
    pub domain_name: Option<String>,
    pub delegation_record: Option<String>,
    pub rule_type: String,
    pub name: Option<String>,
    pub target_ips: Vec<TargetAddress>,
    pub resolver_endpoint_id: Option<String>,
    pub owner_id: Option<String>,
    pub share_status: Option<String>,
    #[serde(flatten)]
    pub other: OtherFields,
}

/// Route 53 Resolver API, `TargetAddress`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct TargetAddress {
    pub ip: Option<String>,
    pub ipv6: Option<String>,
    pub port: Option<u16>,
    pub protocol: Option<String>,
    pub server_name_indication: Option<String>,
}

/// Route 53 Resolver API, `ResolverRuleAssociation`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ResolverRuleAssociation {
    pub id: String,
    pub resolver_rule_id: String,
    #[serde(rename = "VPCId")]
    pub vpc_id: String,
    pub status: Option<String>,
    #[serde(flatten)]
    pub other: OtherFields,
}

/// Route 53 Resolver API, `ResolverEndpoint`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ResolverEndpoint {
    pub id: String,
    pub name: Option<String>,
    pub direction: String,
    #[serde(rename = "HostVPCId")]
    pub host_vpc_id: String,
    pub dns64_enabled: Option<bool>,
    #[serde(flatten)]
    pub other: OtherFields,
}

/// Route 53 Resolver API, `IpAddressResponse`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ResolverAddress {
    pub ip: Option<String>,
    pub ipv6: Option<String>,
}

/// Route 53 Resolver API, `ResolverConfig`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ResolverConfig {
    pub resource_id: String,
    pub autodefined_reverse: Option<String>,
    #[serde(flatten)]
    pub other: OtherFields,
}

/// VPC Lattice API, `ServiceNetworkVpcAssociationSummary`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ServiceNetworkVpcAssociation {
    pub id: String,
    pub service_network_id: String,
    pub vpc_id: String,
    pub status: Option<String>,
    #[serde(flatten)]
    pub other: OtherFields,
}

objects! {
    ResolverRule, "ResolverRules", |this| this.id.clone(),
        ["CreatorRequestId", "Arn", "Status", "StatusMessage", "CreationTime", "ModificationTime"];
    ResolverRuleAssociation, "ResolverRuleAssociations", |this| this.id.clone(), ["Name", "StatusMessage"];
    ResolverEndpoint, "ResolverEndpoints", |this| this.id.clone(),
        ["CreatorRequestId", "Arn", "SecurityGroupIds", "IpAddressCount", "Status", "StatusMessage",
         "CreationTime", "ModificationTime", "OutpostArn", "PreferredInstanceType", "ResolverEndpointType",
         "Protocols", "RniEnhancedMetricsEnabled", "TargetNameServerMetricsEnabled", "Ipv6InternetAccessEnabled"];
    ResolverConfig, "ResolverConfigs", |this| this.resource_id.clone(), ["Id", "OwnerId"];
    ServiceNetworkVpcAssociation, "items", |this| this.id.clone(),
        ["arn", "createdAt", "createdBy", "dnsOptions", "lastUpdatedAt", "privateDnsEnabled", "serviceNetworkArn",
         "serviceNetworkName"];
}
