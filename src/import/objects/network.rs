//! VPCs, subnets, route tables, prefix lists, peering connections and DHCP options.

use serde::Deserialize;

use super::{OtherFields, Tag, objects};
use crate::import::regions::{region_of_arn, region_of_name};

/// EC2 API, `Vpc`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Vpc {
    pub vpc_id: String,
    pub cidr_block: Option<String>,
    /// The alias occurs in AWS's examples from 2018.
    #[serde(alias = "CidrBlockAssociations")]
    pub cidr_block_association_set: Vec<VpcCidrBlockAssociation>,
    pub ipv6_cidr_block_association_set: Vec<Ipv6CidrBlockAssociation>,
    pub owner_id: Option<String>,
    pub dhcp_options_id: Option<String>,
    #[serde(deserialize_with = "one_or_list")]
    pub block_public_access_states: BlockPublicAccessStates,
    pub tags: Vec<Tag>,
    #[serde(flatten)]
    pub other: OtherFields,
}

/// EC2 API, `BlockPublicAccessStates`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct BlockPublicAccessStates {
    pub internet_gateway_block_mode: Option<String>,
}

impl BlockPublicAccessStates {
    /// Returns the block mode, or `None` if public access is not blocked.
    pub(crate) fn block_mode(&self) -> Option<&str> {
        self.internet_gateway_block_mode.as_deref().filter(|mode| !mode.is_empty() && *mode != "off")
    }
}

/// Deserialises an object, or the first element of a list, which some tools write instead.
fn one_or_list<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<BlockPublicAccessStates, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrList {
        One(BlockPublicAccessStates),
        List(Vec<BlockPublicAccessStates>),
    }
    Ok(match OneOrList::deserialize(deserializer)? {
        OneOrList::One(states) => states,
        OneOrList::List(list) => list.into_iter().next().unwrap_or_default(),
    })
}

/// EC2 API, `VpcCidrBlockAssociation`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct VpcCidrBlockAssociation {
    pub cidr_block: String,
    pub cidr_block_state: AssociationState,
}

/// EC2 API, `VpcIpv6CidrBlockAssociation` and `SubnetIpv6CidrBlockAssociation`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Ipv6CidrBlockAssociation {
    pub ipv6_cidr_block: String,
    pub ipv6_cidr_block_state: AssociationState,
}

/// EC2 API, `VpcCidrBlockState`, `SubnetCidrBlockState` and `RouteTableAssociationState`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct AssociationState {
    pub state: Option<String>,
}

impl AssociationState {
    /// Returns whether the CIDR block or route table is associated. Old documents contain no state.
    pub(crate) fn is_associated(&self) -> bool {
        self.state.as_deref().is_none_or(|state| state == "associated" || state == "associating")
    }
}

/// The output of `aws ec2 describe-vpc-attribute`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct VpcAttribute {
    pub vpc_id: String,
    pub enable_dns_support: Option<AttributeValue>,
    pub enable_dns_hostnames: Option<AttributeValue>,
}

/// EC2 API, `AttributeBooleanValue`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct AttributeValue {
    pub value: bool,
}

/// EC2 API, `Subnet`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Subnet {
    pub subnet_id: String,
    pub vpc_id: String,
    pub subnet_arn: Option<String>,
    pub owner_id: Option<String>,
    pub cidr_block: Option<String>,
    pub ipv6_cidr_block_association_set: Vec<Ipv6CidrBlockAssociation>,
    pub availability_zone: Option<String>,
    pub map_public_ip_on_launch: Option<bool>,
    pub enable_dns64: Option<bool>,
    #[serde(deserialize_with = "one_or_list")]
    pub block_public_access_states: BlockPublicAccessStates,
    pub private_dns_name_options_on_launch: Option<PrivateDnsNameOptions>,
    pub tags: Vec<Tag>,
    #[serde(flatten)]
    pub other: OtherFields,
}

/// EC2 API, `PrivateDnsNameOptionsOnLaunch`, and `PrivateDnsNameOptionsResponse` of instances.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct PrivateDnsNameOptions {
    pub hostname_type: Option<String>,
    #[serde(rename = "EnableResourceNameDnsARecord")]
    pub a_record: bool,
    #[serde(rename = "EnableResourceNameDnsAAAARecord")]
    pub aaaa_record: bool,
}

/// EC2 API, `RouteTable`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct RouteTable {
    pub route_table_id: String,
    pub vpc_id: String,
    pub owner_id: Option<String>,
    pub associations: Vec<RouteTableAssociation>,
    pub routes: Vec<Route>,
    pub tags: Vec<Tag>,
    #[serde(flatten)]
    pub other: OtherFields,
}

/// EC2 API, `RouteTableAssociation`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct RouteTableAssociation {
    pub main: bool,
    pub subnet_id: Option<String>,
    pub gateway_id: Option<String>,
    pub association_state: AssociationState,
}

/// EC2 API, `Route`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Route {
    pub destination_cidr_block: Option<String>,
    pub destination_ipv6_cidr_block: Option<String>,
    pub destination_prefix_list_id: Option<String>,
    pub gateway_id: Option<String>,
    pub nat_gateway_id: Option<String>,
    pub transit_gateway_id: Option<String>,
    pub vpc_peering_connection_id: Option<String>,
    pub egress_only_internet_gateway_id: Option<String>,
    pub instance_id: Option<String>,
    pub network_interface_id: Option<String>,
    pub carrier_gateway_id: Option<String>,
    pub local_gateway_id: Option<String>,
    pub core_network_arn: Option<String>,
    pub odb_network_arn: Option<String>,
    pub origin: Option<String>,
    pub state: Option<String>,
}

/// EC2 API, `ManagedPrefixList`, and the older `PrefixList`, which includes the entries.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct PrefixList {
    pub prefix_list_id: String,
    pub prefix_list_name: Option<String>,
    pub prefix_list_arn: Option<String>,
    pub cidrs: Option<Vec<String>>,
    #[serde(flatten)]
    pub other: OtherFields,
}

impl PrefixList {
    /// Returns the region in its ARN or its name.
    pub(crate) fn region(&self) -> Option<&str> {
        let arn_region = self.prefix_list_arn.as_deref().and_then(region_of_arn);
        arn_region.or_else(|| self.prefix_list_name.as_deref().and_then(region_of_name))
    }

    /// Returns the id, qualified by the region if known. Some AWS-managed prefix lists have the same id in
    /// two regions.
    fn qualified_id(&self, region: Option<&str>) -> String {
        let id = &self.prefix_list_id;
        region.map_or_else(|| id.clone(), |region| format!("{id} of {region}"))
    }
}

/// EC2 API, `PrefixListEntry`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct PrefixListEntry {
    pub cidr: String,
}

/// EC2 API, `VpcPeeringConnection`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct VpcPeeringConnection {
    pub vpc_peering_connection_id: String,
    pub requester_vpc_info: PeeringVpc,
    pub accepter_vpc_info: PeeringVpc,
    pub status: PeeringStatus,
    pub tags: Vec<Tag>,
    #[serde(flatten)]
    pub other: OtherFields,
}

/// EC2 API, `VpcPeeringConnectionVpcInfo`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct PeeringVpc {
    pub vpc_id: String,
    pub owner_id: Option<String>,
    pub region: Option<String>,
    pub peering_options: PeeringOptions,
}

/// EC2 API, `VpcPeeringConnectionOptionsDescription`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct PeeringOptions {
    pub allow_dns_resolution_from_remote_vpc: bool,
}

/// EC2 API, `VpcPeeringConnectionStateReason`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct PeeringStatus {
    pub code: Option<String>,
}

/// EC2 API, `DhcpOptions`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct DhcpOptions {
    pub dhcp_options_id: String,
    pub dhcp_configurations: Vec<DhcpConfiguration>,
    #[serde(flatten)]
    pub other: OtherFields,
}

/// EC2 API, `DhcpConfiguration`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct DhcpConfiguration {
    pub key: String,
    pub values: Vec<DhcpValue>,
}

/// EC2 API, `AttributeValue`. Old examples contain a plain string instead.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum DhcpValue {
    Plain(String),
    Value {
        #[serde(rename = "Value", default)]
        value: String,
    },
}

impl DhcpValue {
    /// Returns the value.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Plain(text) | Self::Value { value: text } => text,
        }
    }
}

objects! {
    Vpc, "Vpcs", |this| this.vpc_id.clone(),
        ["InstanceTenancy", "IsDefault", "EncryptionControl", "State", "Ipv6Pool", "ClassicLinkEnabled",
         "ClassicLinkDnsSupported"];
    Subnet, "Subnets", |this| this.subnet_id.clone(),
        ["AvailabilityZoneId", "EnableLniAtDeviceIndex", "MapCustomerOwnedIpOnLaunch", "CustomerOwnedIpv4Pool",
         "AssignIpv6AddressOnCreation", "OutpostArn", "Ipv6Native", "Type", "State", "AvailableIpAddressCount",
         "DefaultForAz"];
    RouteTable, "RouteTables", |this| this.route_table_id.clone(), ["PropagatingVgws"];
    PrefixList, "PrefixLists", |this| this.qualified_id(this.region()),
        ["AddressFamily", "State", "StateMessage", "MaxEntries", "Version", "Tags", "OwnerId",
         "IpamPrefixListResolverTargetId", "IpamPrefixListResolverSyncEnabled"];
    VpcPeeringConnection, "VpcPeeringConnections", |this| this.vpc_peering_connection_id.clone(),
        ["ExpirationTime"];
    DhcpOptions, "DhcpOptions", |this| this.dhcp_options_id.clone(), ["OwnerId", "Tags"];
}
