//! Instances, network interfaces and Elastic IP addresses.

use serde::Deserialize;

use super::endpoint::GroupIdentifier;
use super::network::PrivateDnsNameOptions;
use super::{OtherFields, Tag, objects};

/// EC2 API, `Reservation`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Reservation {
    pub instances: Vec<Instance>,
}

/// EC2 API, `Instance`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Instance {
    pub instance_id: String,
    pub vpc_id: Option<String>,
    pub subnet_id: Option<String>,
    pub state: InstanceState,
    pub private_ip_address: Option<String>,
    pub public_ip_address: Option<String>,
    pub ipv6_address: Option<String>,
    pub network_interfaces: Vec<InstanceInterface>,
    pub private_dns_name_options: Option<PrivateDnsNameOptions>,
    pub security_groups: Vec<GroupIdentifier>,
    pub source_dest_check: Option<bool>,
    pub tags: Vec<Tag>,
    #[serde(flatten)]
    pub other: OtherFields,
}

/// EC2 API, `InstanceState`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct InstanceState {
    pub name: Option<String>,
}

/// EC2 API, `InstanceNetworkInterface`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct InstanceInterface {
    pub network_interface_id: Option<String>,
    pub private_ip_address: Option<String>,
    pub ipv6_addresses: Vec<InterfaceIpv6Address>,
    pub groups: Vec<GroupIdentifier>,
}

/// EC2 API, `InstanceIpv6Address` and `NetworkInterfaceIpv6Address`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct InterfaceIpv6Address {
    pub ipv6_address: String,
}

impl Instance {
    /// Returns the first IPv6 address.
    pub(crate) fn ipv6(&self) -> Option<&str> {
        let addresses = self.network_interfaces.iter().flat_map(|interface| &interface.ipv6_addresses);
        self.ipv6_address.as_deref().or_else(|| addresses.map(|one| one.ipv6_address.as_str()).next())
    }
}

/// EC2 API, `NetworkInterface`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct NetworkInterface {
    pub network_interface_id: String,
    pub vpc_id: Option<String>,
    pub subnet_id: Option<String>,
    pub description: Option<String>,
    pub interface_type: Option<String>,
    pub private_ip_address: Option<String>,
    pub ipv6_addresses: Vec<InterfaceIpv6Address>,
    pub association: InterfaceAssociation,
    pub attachment: InterfaceAttachment,
    pub groups: Vec<GroupIdentifier>,
    pub source_dest_check: Option<bool>,
    pub tag_set: Vec<Tag>,
    #[serde(flatten)]
    pub other: OtherFields,
}

/// EC2 API, `NetworkInterfaceAssociation`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct InterfaceAssociation {
    pub public_ip: Option<String>,
}

/// EC2 API, `NetworkInterfaceAttachment`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct InterfaceAttachment {
    pub instance_id: Option<String>,
}

/// EC2 API, `Address`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Address {
    pub public_ip: String,
    #[serde(flatten)]
    pub other: OtherFields,
}

objects! {
    Instance, "Reservations", |this| this.instance_id.clone(),
        ["Architecture", "BlockDeviceMappings", "ClientToken", "EbsOptimized", "EnaSupport", "Hypervisor",
         "IamInstanceProfile", "InstanceLifecycle", "ElasticGpuAssociations",
         "ElasticInferenceAcceleratorAssociations", "OutpostArn", "RootDeviceName", "RootDeviceType",
         "SpotInstanceRequestId", "SriovNetSupport", "StateReason", "VirtualizationType", "CpuOptions",
         "CapacityBlockId", "CapacityReservationId", "CapacityReservationSpecification", "HibernationOptions",
         "Licenses", "MetadataOptions", "EnclaveOptions", "BootMode", "PlatformDetails", "UsageOperation",
         "UsageOperationUpdateTime", "TpmSupport", "MaintenanceOptions", "CurrentInstanceBootMode",
         "NetworkPerformanceOptions", "Operator", "SecondaryInterfaces", "ImageId", "PrivateDnsName",
         "PublicDnsName", "StateTransitionReason", "KeyName", "AmiLaunchIndex", "ProductCodes", "InstanceType",
         "LaunchTime", "Placement", "KernelId", "RamdiskId", "Platform", "Monitoring"];
    NetworkInterface, "NetworkInterfaces", |this| this.network_interface_id.clone(),
        ["AvailabilityZone", "ConnectionTrackingConfiguration", "MacAddress", "OutpostArn", "OwnerId",
         "PrivateDnsName", "PublicDnsName", "PublicIpDnsNameOptions", "PrivateIpAddresses", "Ipv4Prefixes",
         "Ipv6Prefixes", "RequesterId", "RequesterManaged", "Status", "DenyAllIgwTraffic", "Ipv6Native",
         "Ipv6Address", "Operator", "AssociatedSubnets", "AvailabilityZoneId"];
    Address, "Addresses", |this| this.public_ip.clone(),
        ["AllocationId", "AssociationId", "Domain", "NetworkInterfaceId", "NetworkInterfaceOwnerId",
         "PrivateIpAddress", "Tags", "PublicIpv4Pool", "NetworkBorderGroup", "CustomerOwnedIp",
         "CustomerOwnedIpv4Pool", "CarrierIp", "SubnetId", "ServiceManaged", "InstanceId"];
}
