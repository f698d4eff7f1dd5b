//! Security groups and network ACLs.

use serde::Deserialize;

use super::{OtherFields, Tag, objects};

/// EC2 API, `SecurityGroup`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct SecurityGroup {
    pub group_id: String,
    pub group_name: Option<String>,
    pub vpc_id: Option<String>,
    pub ip_permissions: Vec<IpPermission>,
    /// Missing for groups without egress rules, such as those of EC2-Classic.
    pub ip_permissions_egress: Option<Vec<IpPermission>>,
    pub tags: Vec<Tag>,
    #[serde(flatten)]
    pub other: OtherFields,
}

/// EC2 API, `IpPermission`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct IpPermission {
    pub ip_protocol: String,
    pub from_port: Option<i32>,
    pub to_port: Option<i32>,
    pub user_id_group_pairs: Vec<GroupPair>,
    pub ip_ranges: Vec<CidrRange>,
    pub ipv6_ranges: Vec<CidrRange>,
    pub prefix_list_ids: Vec<PrefixListId>,
}

/// EC2 API, `UserIdGroupPair`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct GroupPair {
    pub group_id: Option<String>,
}

/// EC2 API, `IpRange` and `Ipv6Range`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct CidrRange {
    pub cidr_ip: Option<String>,
    pub cidr_ipv6: Option<String>,
}

/// EC2 API, `PrefixListId`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct PrefixListId {
    pub prefix_list_id: String,
}

/// EC2 API, `SecurityGroupRule`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct SecurityGroupRule {
    pub security_group_rule_id: String,
    pub group_id: String,
    pub is_egress: bool,
    pub ip_protocol: String,
    pub from_port: Option<i32>,
    pub to_port: Option<i32>,
    pub cidr_ipv4: Option<String>,
    pub cidr_ipv6: Option<String>,
    pub prefix_list_id: Option<String>,
    pub referenced_group_info: GroupPair,
    #[serde(flatten)]
    pub other: OtherFields,
}

/// EC2 API, `NetworkAcl`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct NetworkAcl {
    pub network_acl_id: String,
    pub vpc_id: String,
    pub is_default: bool,
    pub associations: Vec<NetworkAclAssociation>,
    pub entries: Vec<NetworkAclEntry>,
    pub tags: Vec<Tag>,
    #[serde(flatten)]
    pub other: OtherFields,
}

/// EC2 API, `NetworkAclAssociation`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct NetworkAclAssociation {
    pub subnet_id: Option<String>,
}

/// EC2 API, `NetworkAclEntry`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct NetworkAclEntry {
    pub rule_number: i64,
    pub egress: bool,
    pub protocol: String,
    pub port_range: Option<PortRange>,
    pub cidr_block: Option<String>,
    pub ipv6_cidr_block: Option<String>,
    pub rule_action: String,
}

/// EC2 API, `PortRange`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct PortRange {
    pub from: Option<i32>,
    pub to: Option<i32>,
}

objects! {
    SecurityGroup, "SecurityGroups", |this| this.group_id.clone(), ["SecurityGroupArn", "OwnerId", "Description"];
    SecurityGroupRule, "SecurityGroupRules", |this| this.security_group_rule_id.clone(),
        ["GroupOwnerId", "Description", "Tags", "SecurityGroupRuleArn"];
    NetworkAcl, "NetworkAcls", |this| this.network_acl_id.clone(), ["OwnerId"];
}
