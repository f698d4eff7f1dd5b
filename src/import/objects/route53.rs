//! Hosted zones, record sets, health checks and Profiles.

use serde::Deserialize;

use super::{OtherFields, objects};

/// Route 53 API, `HostedZone`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct HostedZone {
    /// `/hostedzone/Z…`
    pub id: String,
    pub name: String,
    pub config: HostedZoneConfig,
    #[serde(flatten)]
    pub other: OtherFields,
}

/// Route 53 API, `HostedZoneConfig`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct HostedZoneConfig {
    pub private_zone: bool,
    pub comment: Option<String>,
}

/// Route 53 API, `VPC`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ZoneVpc {
    #[serde(rename = "VPCId")]
    pub vpc_id: String,
}

/// Route 53 API, `HostedZoneSummary`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct HostedZoneSummary {
    pub hosted_zone_id: String,
    pub name: String,
    pub owner: HostedZoneOwner,
}

/// Route 53 API, `HostedZoneOwner`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct HostedZoneOwner {
    /// The service that created the zone, such as `efs.amazonaws.com`, or `vpce.amazonaws.com` for private
    /// DNS of endpoints.
    pub owning_service: Option<String>,
}

/// Route 53 API, `ResourceRecordSet`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ResourceRecordSet {
    pub name: String,
    #[serde(rename = "Type")]
    pub record_type: String,
    #[serde(rename = "TTL")]
    pub ttl: Option<u32>,
    pub resource_records: Vec<ResourceRecord>,
    pub alias_target: Option<AliasTarget>,
    pub set_identifier: Option<String>,
    pub weight: Option<i64>,
    pub region: Option<String>,
    pub geo_location: Option<GeoLocation>,
    pub geo_proximity_location: Option<GeoProximityLocation>,
    pub failover: Option<String>,
    pub multi_value_answer: Option<bool>,
    pub health_check_id: Option<String>,
    pub cidr_routing_config: Option<serde_json::Value>,
    #[serde(flatten)]
    pub other: OtherFields,
}

impl ResourceRecordSet {
    /// Known fields that have no effect on answers.
    pub(crate) const IGNORED: &'static [&'static str] = &["TrafficPolicyInstanceId"];
}

/// Route 53 API, `GeoLocation`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct GeoLocation {
    pub continent_code: Option<String>,
    pub country_code: Option<String>,
    pub subdivision_code: Option<String>,
}

/// Route 53 API, `GeoProximityLocation`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct GeoProximityLocation {
    #[serde(rename = "AWSRegion")]
    pub aws_region: Option<String>,
    pub local_zone_group: Option<String>,
    pub coordinates: Option<Coordinates>,
    pub bias: Option<i32>,
}

/// Route 53 API, `Coordinates`. Degrees are strings.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Coordinates {
    pub latitude: String,
    pub longitude: String,
}

/// Route 53 API, `HealthCheck`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct HealthCheck {
    pub id: String,
    pub health_check_config: HealthCheckConfig,
    #[serde(flatten)]
    pub other: OtherFields,
}

/// Route 53 API, `HealthCheckConfig`, only what affects the status.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct HealthCheckConfig {
    #[serde(rename = "Type")]
    pub check_type: String,
    pub disabled: bool,
    pub inverted: bool,
}

/// Route 53 API, `HealthCheckObservation`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct HealthCheckObservation {
    pub status_report: StatusReport,
}

/// Route 53 API, `StatusReport`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct StatusReport {
    pub status: Option<String>,
}

/// Route 53 API, `ResourceRecord`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ResourceRecord {
    pub value: String,
}

/// Route 53 API, `AliasTarget`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct AliasTarget {
    #[serde(rename = "DNSName")]
    pub dns_name: String,
    #[serde(rename = "EvaluateTargetHealth")]
    pub evaluate_target_health: bool,
}

/// Route 53 Profiles API, `ProfileSummary` and `Profile`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Profile {
    pub id: String,
    pub name: Option<String>,
    pub owner_id: Option<String>,
    pub share_status: Option<String>,
    #[serde(flatten)]
    pub other: OtherFields,
}

/// Route 53 Profiles API, `ProfileAssociation`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ProfileAssociation {
    pub id: String,
    pub profile_id: String,
    pub resource_id: String,
    pub priority: Option<u16>,
    pub status: Option<String>,
    #[serde(flatten)]
    pub other: OtherFields,
}

/// Route 53 Profiles API, `ProfileResourceAssociation`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ProfileResourceAssociation {
    pub id: String,
    pub profile_id: String,
    pub resource_arn: String,
    pub status: Option<String>,
    #[serde(flatten)]
    pub other: OtherFields,
}

objects! {
    HostedZone, "HostedZones", |this| this.id.rsplit('/').next().unwrap_or_default().to_owned(),
        ["CallerReference", "ResourceRecordSetCount", "LinkedService", "Features"];
    HealthCheck, "HealthChecks", |this| this.id.clone(),
        ["CallerReference", "HealthCheckVersion", "LinkedService", "CloudWatchAlarmConfiguration"];
    Profile, "ProfileSummaries", |this| this.id.clone(),
        ["Arn", "ClientToken", "CreationTime", "ModificationTime", "Status", "StatusMessage"];
    ProfileAssociation, "ProfileAssociations", |this| this.id.clone(),
        ["CreationTime", "ModificationTime", "Name", "OwnerId", "StatusMessage"];
    ProfileResourceAssociation, "ProfileResourceAssociations", |this| this.id.clone(),
        ["CreationTime", "ModificationTime", "Name", "OwnerId", "ResourceProperties", "ResourceType",
         "StatusMessage"];
}
