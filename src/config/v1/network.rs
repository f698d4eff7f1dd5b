//! What joins VPCs: peering connections and transit gateways.

use schemars::JsonSchema;
use serde::Deserialize;

use super::yes;
use crate::aws::{SubnetId, TransitGatewayAttachmentId, TransitGatewayId, VpcId, VpcPeeringConnectionId};
use crate::config::source::Marked;

/// A peering connection between two VPCs.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VpcPeeringConnection {
    /// Its id.
    pub id: Marked<VpcPeeringConnectionId>,
    /// The side that asked for it.
    pub requester: PeeringSide,
    /// The side that accepted it.
    pub accepter: PeeringSide,
}

/// One side of a peering connection (EC2 API, `VpcPeeringConnectionVpcInfo`).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PeeringSide {
    /// Its VPC.
    pub vpc: Marked<VpcId>,
    /// Whether the other side's resolver tells private addresses of this VPC: its instances' public names lead to
    /// them there.
    #[serde(default)]
    pub allow_dns_resolution_from_remote_vpc: bool,
}

/// A transit gateway.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransitGateway {
    /// Its id.
    pub id: Marked<TransitGatewayId>,
    /// Whether resolvers of attached VPCs tell private addresses of each other.
    #[serde(default = "yes")]
    pub dns_support: bool,
    /// The VPCs attached to it.
    #[serde(default)]
    pub vpc_attachment: Vec<TransitGatewayVpcAttachment>,
}

/// A VPC's attachment to a transit gateway.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransitGatewayVpcAttachment {
    /// Its id.
    pub id: Marked<TransitGatewayAttachmentId>,
    /// The VPC.
    pub vpc: Marked<VpcId>,
    /// The subnets that its interfaces stand in, one a zone.
    #[serde(default)]
    pub subnets: Vec<Marked<SubnetId>>,
    /// Whether this VPC takes part in what `dns_support` of the gateway is about.
    #[serde(default = "yes")]
    pub dns_support: bool,
}
