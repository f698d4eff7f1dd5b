//! Hosted zones, their records, and Profiles.

use serde::Deserialize;

use super::{Other, objects};

/// Route 53 API, `HostedZone`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HostedZone {
    /// `/hostedzone/Z…`
    pub id: String,
    pub name: String,
    pub config: HostedZoneConfig,
    #[serde(flatten)]
    pub other: Other,
}

/// Route 53 API, `HostedZoneConfig`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HostedZoneConfig {
    pub private_zone: bool,
    pub comment: Option<String>,
}

/// Route 53 API, `VPC`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ZoneVpc {
    #[serde(rename = "VPCId")]
    pub vpc_id: String,
}

/// Route 53 API, `HostedZoneSummary`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HostedZoneSummary {
    pub hosted_zone_id: String,
    pub name: String,
}

/// Route 53 API, `ResourceRecordSet`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ResourceRecordSet {
    pub name: String,
    #[serde(rename = "Type")]
    pub record_type: String,
    #[serde(rename = "TTL")]
    pub ttl: Option<u32>,
    pub resource_records: Vec<ResourceRecord>,
    pub alias_target: Option<AliasTarget>,
    pub set_identifier: Option<String>,
    pub weight: Option<i64>,
    pub failover: Option<String>,
    pub multi_value_answer: Option<bool>,
    pub region: Option<String>,
    pub health_check_id: Option<String>,
}

/// Route 53 API, `ResourceRecord`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ResourceRecord {
    pub value: String,
}

/// Route 53 API, `AliasTarget`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AliasTarget {
    #[serde(rename = "DNSName")]
    pub dns_name: String,
}

/// Route 53 Profiles API, `ProfileSummary` and `Profile`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Profile {
    pub id: String,
    pub name: Option<String>,
    pub owner_id: Option<String>,
    pub share_status: Option<String>,
    #[serde(flatten)]
    pub other: Other,
}

/// Route 53 Profiles API, `ProfileAssociation`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ProfileAssociation {
    pub id: String,
    pub profile_id: String,
    pub resource_id: String,
    pub status: Option<String>,
    #[serde(flatten)]
    pub other: Other,
}

/// Route 53 Profiles API, `ProfileResourceAssociation`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ProfileResourceAssociation {
    pub id: String,
    pub profile_id: String,
    pub resource_arn: String,
    pub status: Option<String>,
    #[serde(flatten)]
    pub other: Other,
}

objects! {
    HostedZone, "HostedZones", |this| this.id.rsplit('/').next().unwrap_or_default().to_owned(),
        ["CallerReference", "ResourceRecordSetCount", "LinkedService", "Features"];
    Profile, "ProfileSummaries", |this| this.id.clone(),
        ["Arn", "ClientToken", "CreationTime", "ModificationTime", "Status", "StatusMessage"];
    ProfileAssociation, "ProfileAssociations", |this| this.id.clone(),
        ["CreationTime", "ModificationTime", "Name", "OwnerId", "StatusMessage"];
    ProfileResourceAssociation, "ProfileResourceAssociations", |this| this.id.clone(),
        ["CreationTime", "ModificationTime", "Name", "OwnerId", "ResourceProperties", "ResourceType",
         "StatusMessage"];
}
