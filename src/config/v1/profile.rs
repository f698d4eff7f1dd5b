//! Route 53 Profiles.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::aws::{HostedZoneId, ProfileId, ResolverRuleId, VpcEndpointId, VpcId};
use crate::config::source::Marked;

/// A Route 53 Profile: zones, rules and endpoints that all VPCs associated with it have.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its id.
    pub id: Marked<ProfileId>,
    /// The account that owns it; that of its VPCs unless said.
    pub owner_id: Option<Marked<String>>,
    /// Accounts that it is shared with (AWS RAM). Only their VPCs and the owner's may be associated with it.
    #[serde(default)]
    pub shared_with: Vec<String>,
    /// Private hosted zones in it.
    #[serde(default)]
    pub hosted_zones: Vec<Marked<HostedZoneId>>,
    /// Resolver rules in it, FORWARD and SYSTEM.
    #[serde(default)]
    pub resolver_rules: Vec<Marked<ResolverRuleId>>,
    /// Interface endpoints in it. Their private names lead to them in every VPC of the Profile.
    #[serde(default)]
    pub vpc_endpoints: Vec<Marked<VpcEndpointId>>,
    /// Whether its VPCs have the reverse zones that AWS defines by itself.
    #[serde(default)]
    #[schemars(extend("default" = "USE_LOCAL_RESOURCE_SETTING"))]
    pub autodefined_reverse: ProfileSetting,
    /// The VPCs it is associated with.
    #[serde(default)]
    pub association: Vec<ProfileAssociation>,
}

/// A VPC's association with a Profile (Route 53 Profiles API, `ProfileAssociation`).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileAssociation {
    /// The VPC. It may have two associations at most.
    pub vpc: Marked<VpcId>,
    /// Which of the VPC's two Profiles goes first: the one with the lower number, 100 to 9900.
    #[serde(default = "first")]
    pub priority: u16,
}

fn first() -> u16 {
    100
}

/// A setting that a Profile may make for its VPCs (Route 53 Resolver API, `AutodefinedReverse`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ProfileSetting {
    /// On, whatever the VPC says.
    Enabled,
    /// Off, whatever the VPC says.
    Disabled,
    /// As the VPC says.
    #[default]
    UseLocalResourceSetting,
}
