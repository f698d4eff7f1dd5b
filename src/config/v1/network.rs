//! Connections of VPCs: peering connections and transit gateways.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{RouteState, yes};
use crate::aws::{
    SiteId, SubnetId, TransitGatewayAttachmentId, TransitGatewayId, TransitGatewayRouteTableId, VpcId,
    VpcPeeringConnectionId,
};
use crate::config::source::Marked;
use crate::config::text::Cidr;

/// A peering connection between two VPCs.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VpcPeeringConnection {
    /// The ID.
    pub id: Marked<VpcPeeringConnectionId>,
    /// The requester side.
    pub requester: PeeringSide,
    /// The accepter side.
    pub accepter: PeeringSide,
}

/// One side of a peering connection (EC2 API, `VpcPeeringConnectionVpcInfo`).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PeeringSide {
    /// The VPC.
    pub vpc: Marked<VpcId>,
    /// Whether the other side resolves public names of instances in this VPC to their private addresses.
    #[serde(default)]
    pub allow_dns_resolution_from_remote_vpc: bool,
}

/// A transit gateway.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransitGateway {
    /// The ID.
    pub id: Marked<TransitGatewayId>,
    /// Whether attached VPCs resolve public names of each other's instances to their private addresses.
    #[serde(default = "yes")]
    pub dns_support: bool,
    /// Whether inbound rules can refer to security groups of other attached VPCs. If omitted, whether
    /// such rules match is unknown.
    pub security_group_referencing_support: Option<bool>,
    /// The attached VPCs.
    #[serde(default)]
    pub vpc_attachment: Vec<TransitGatewayVpcAttachment>,
    /// Other attachments: sites by VPN or Direct Connect, other transit gateways.
    #[serde(default)]
    pub attachment: Vec<TransitGatewayAttachment>,
    /// The route tables. If none is configured, there is one that every attachment is associated with and
    /// propagates to.
    #[serde(default)]
    pub route_table: Vec<TransitGatewayRouteTable>,
}

/// An attachment of something other than a VPC to a transit gateway.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransitGatewayAttachment {
    /// The ID. The two ends of a peering attachment, one at each transit gateway, have the same ID.
    pub id: Marked<TransitGatewayAttachmentId>,
    /// For a VPN or Direct Connect attachment: the site.
    pub site: Option<Marked<SiteId>>,
    /// For a peering attachment: the other transit gateway.
    pub transit_gateway: Option<Marked<TransitGatewayId>>,
    /// How the site is connected. Among routes propagated for the same prefix, `direct-connect-gateway` takes
    /// precedence over `connect`, and that over `vpn`. Routes of VPCs take precedence over all of them.
    #[serde(default)]
    #[schemars(extend("default" = "vpn"))]
    pub resource_type: AttachmentType,
}

/// The type of an attachment other than a VPC (EC2 API, `TransitGatewayAttachmentResourceType`), in the order
/// of precedence of their propagated routes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AttachmentType {
    /// A Direct Connect gateway.
    DirectConnectGateway,
    /// A Connect attachment (GRE).
    Connect,
    /// A Site-to-Site VPN.
    #[default]
    Vpn,
    /// Another transit gateway.
    Peering,
}

/// A route table of a transit gateway.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransitGatewayRouteTable {
    /// The ID.
    pub id: Marked<TransitGatewayRouteTableId>,
    /// The attachments that are associated with it.
    #[serde(default)]
    pub associations: Vec<Marked<TransitGatewayAttachmentId>>,
    /// The attachments that propagate routes to it.
    #[serde(default)]
    pub propagations: Vec<Marked<TransitGatewayAttachmentId>>,
    /// Static routes, and propagated routes for which no configured attachment is the source.
    #[serde(default)]
    pub routes: Vec<TransitGatewayRoute>,
}

/// A route of a transit gateway's route table.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransitGatewayRoute {
    /// The destination prefix.
    pub destination: Marked<Cidr>,
    /// The target attachment. Omitted for a blackhole route.
    pub attachment: Option<Marked<TransitGatewayAttachmentId>>,
    /// `active` or `blackhole`; `filtered` occurs only in route tables of a VPC.
    #[serde(default)]
    #[schemars(extend("default" = "active"))]
    pub state: RouteState,
    /// Whether an attachment propagated it. A static route for the same prefix takes precedence, and among
    /// propagated ones that of a VPC.
    #[serde(default)]
    pub propagated: bool,
}

/// The attachment of a VPC to a transit gateway.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransitGatewayVpcAttachment {
    /// The ID.
    pub id: Marked<TransitGatewayAttachmentId>,
    /// The VPC.
    pub vpc: Marked<VpcId>,
    /// The subnets of its network interfaces, one per Availability Zone. Default: one in every Availability
    /// Zone.
    #[serde(default)]
    pub subnets: Vec<Marked<SubnetId>>,
    /// Whether `dns_support` of the transit gateway applies to this VPC.
    #[serde(default = "yes")]
    pub dns_support: bool,
    /// Whether it propagates the VPC's IPv6 CIDR blocks. AWS's default is `false`.
    #[serde(default = "yes")]
    pub ipv6_support: bool,
    /// Whether `security_group_referencing_support` of the transit gateway applies to this VPC.
    #[serde(default = "yes")]
    pub security_group_referencing_support: bool,
    /// Whether both directions of a flow use the same network interface, regardless of Availability Zones.
    #[serde(default)]
    pub appliance_mode_support: bool,
}
