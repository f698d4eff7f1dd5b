//! Route 53 Profiles.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::aws::{HostedZoneId, ProfileId, ResolverRuleId, VpcEndpointId, VpcId};
use crate::config::source::Marked;

/// A Route 53 Profile: zones, rules and endpoints for all VPCs that are associated with it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The ID.
    pub id: Marked<ProfileId>,
    /// The account that owns it. Default: that of its VPCs.
    pub owner_id: Option<Marked<String>>,
    /// Accounts that it is shared with (AWS RAM). Only VPCs of these accounts and of the owner can be
    /// associated with it.
    #[serde(default)]
    pub shared_with: Vec<String>,
    /// Private hosted zones in it.
    #[serde(default)]
    pub hosted_zones: Vec<Marked<HostedZoneId>>,
    /// Resolver rules in it, FORWARD and SYSTEM.
    #[serde(default)]
    pub resolver_rules: Vec<Marked<ResolverRuleId>>,
    /// Interface endpoints in it. Their private DNS names apply to every VPC of the Profile.
    #[serde(default)]
    pub vpc_endpoints: Vec<Marked<VpcEndpointId>>,
    /// Whether its VPCs have autodefined reverse zones.
    #[serde(default)]
    #[schemars(extend("default" = "USE_LOCAL_RESOURCE_SETTING"))]
    pub autodefined_reverse: ProfileSetting,
    /// The VPCs that it is associated with.
    #[serde(default)]
    pub association: Vec<ProfileAssociation>,
}

/// The association of a VPC with a Profile (Route 53 Profiles API, `ProfileAssociation`).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileAssociation {
    /// The VPC. A VPC can have at most two associations.
    pub vpc: Marked<VpcId>,
    /// The precedence among the VPC's Profiles, 100 to 9900: the lower number takes precedence.
    #[serde(default = "first")]
    pub priority: u16,
}

fn first() -> u16 {
    100
}

/// A setting of a Profile for its VPCs (Route 53 Resolver API, `AutodefinedReverse`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ProfileSetting {
    /// Enabled, regardless of the VPC's setting.
    Enabled,
    /// Disabled, regardless of the VPC's setting.
    Disabled,
    /// The VPC's setting.
    #[default]
    UseLocalResourceSetting,
}
