//! VPC endpoints, their associations and services.

use serde::Deserialize;

use super::{OtherFields, Tag, objects};

/// EC2 API, `VpcEndpoint`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct VpcEndpoint {
    pub vpc_endpoint_id: String,
    /// Missing in documents from before interface endpoints existed: the type is then `Gateway`.
    pub vpc_endpoint_type: Option<String>,
    pub vpc_id: String,
    pub owner_id: Option<String>,
    pub service_name: Option<String>,
    pub service_region: Option<String>,
    pub state: Option<String>,
    pub policy_document: Option<String>,
    pub route_table_ids: Vec<String>,
    pub subnet_ids: Vec<String>,
    pub groups: Vec<GroupIdentifier>,
    pub ip_address_type: Option<String>,
    pub dns_options: DnsOptions,
    pub private_dns_enabled: Option<bool>,
    pub network_interface_ids: Vec<String>,
    pub dns_entries: Vec<DnsEntry>,
    pub tags: Vec<Tag>,
    pub service_network_arn: Option<String>,
    pub resource_configuration_arn: Option<String>,
    #[serde(flatten)]
    pub other: OtherFields,
}

/// EC2 API, `GroupIdentifier`, and `SecurityGroupIdentifier` of endpoints.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct GroupIdentifier {
    pub group_id: String,
}

/// EC2 API, `DnsOptions`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct DnsOptions {
    pub dns_record_ip_type: Option<String>,
    pub private_dns_only_for_inbound_resolver_endpoint: Option<bool>,
    pub private_dns_preference: Option<String>,
    pub private_dns_specified_domains: Vec<String>,
}

/// EC2 API, `DnsEntry`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct DnsEntry {
    pub dns_name: Option<String>,
}

/// EC2 API, `VpcEndpointAssociation`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct VpcEndpointAssociation {
    pub id: String,
    pub vpc_endpoint_id: String,
    pub associated_resource_arn: Option<String>,
    pub dns_entry: DnsEntry,
    pub private_dns_entry: DnsEntry,
    #[serde(flatten)]
    pub other: OtherFields,
}

/// EC2 API, `ServiceDetail`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ServiceDetail {
    pub service_name: String,
    pub service_type: Vec<ServiceTypeDetail>,
    pub private_dns_name: Option<String>,
    pub private_dns_names: Vec<PrivateDnsName>,
    #[serde(flatten)]
    pub other: OtherFields,
}

/// EC2 API, `ServiceTypeDetail`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ServiceTypeDetail {
    pub service_type: String,
}

/// EC2 API, `PrivateDnsDetails`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct PrivateDnsName {
    pub private_dns_name: String,
}

impl ServiceDetail {
    /// Returns whether this is the variant of the service for endpoints of this type. S3, for example, has
    /// one for each of two types.
    pub(crate) fn is_for(&self, endpoint_type: &str) -> bool {
        self.service_type.iter().any(|detail| detail.service_type == endpoint_type)
    }

    /// Returns its private DNS names.
    pub(crate) fn names(&self) -> Vec<&str> {
        let listed = self.private_dns_names.iter().map(|name| name.private_dns_name.as_str());
        let mut names: Vec<&str> = listed.chain(self.private_dns_name.as_deref()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

objects! {
    VpcEndpoint, "VpcEndpoints", |this| this.vpc_endpoint_id.clone(),
        ["RequesterManaged", "CreationTimestamp", "LastError", "FailureReason"];
    VpcEndpointAssociation, "VpcEndpointAssociations", |this| this.id.clone(),
        ["ServiceNetworkArn", "ServiceNetworkName", "AssociatedResourceAccessibility", "FailureReason",
         "FailureCode", "ResourceConfigurationGroupArn", "Tags"];
    ServiceDetail, "ServiceDetails", |this| {
        let types: Vec<&str> = this.service_type.iter().map(|detail| detail.service_type.as_str()).collect();
        format!("{} ({})", this.service_name, types.join(", "))
    },
        ["ServiceId", "ServiceRegion", "AvailabilityZoneIds", "AvailabilityZones", "Owner", "BaseEndpointDnsNames",
         "VpcEndpointPolicySupported", "AcceptanceRequired", "ManagesVpcEndpoints", "PayerResponsibility", "Tags",
         "PrivateDnsNameVerificationState", "SupportedIpAddressTypes"];
}
