//! What joins VPCs: peering connections and transit gateways.

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
    /// Whether rules of what comes in may name security groups of other VPCs attached to it. When it is not said, what such a
    /// rule admits is not known.
    pub security_group_referencing_support: Option<bool>,
    /// The VPCs attached to it.
    #[serde(default)]
    pub vpc_attachment: Vec<TransitGatewayVpcAttachment>,
    /// What else is attached to it: sites by VPN or Direct Connect, other transit gateways.
    #[serde(default)]
    pub attachment: Vec<TransitGatewayAttachment>,
    /// Its route tables. With none declared it has one, which every attachment is associated with and propagates to.
    #[serde(default)]
    pub route_table: Vec<TransitGatewayRouteTable>,
}

/// An attachment of something else than a VPC to a transit gateway.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransitGatewayAttachment {
    /// Its id. The two ends of a peering, one at each transit gateway, have the same.
    pub id: Marked<TransitGatewayAttachmentId>,
    /// The site behind it, for a VPN or Direct Connect.
    pub site: Option<Marked<SiteId>>,
    /// The transit gateway behind it, for a peering.
    pub transit_gateway: Option<Marked<TransitGatewayId>>,
    /// What leads to the site: of routes that are propagated to one prefix, `direct-connect-gateway` goes before `connect`,
    /// and that before `vpn`. A VPC's go before all of them.
    #[serde(default)]
    #[schemars(extend("default" = "vpn"))]
    pub resource_type: AttachmentType,
}

/// What is attached to a transit gateway beside VPCs and other gateways (EC2 API, `TransitGatewayAttachmentResourceType`).
/// In the order in which their propagated routes count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AttachmentType {
    /// A Direct Connect gateway.
    DirectConnectGateway,
    /// A Connect attachment, by GRE.
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
    /// Its id.
    pub id: Marked<TransitGatewayRouteTableId>,
    /// The attachments whose traffic it routes.
    #[serde(default)]
    pub associations: Vec<Marked<TransitGatewayAttachmentId>>,
    /// The attachments whose prefixes are routes in it.
    #[serde(default)]
    pub propagations: Vec<Marked<TransitGatewayAttachmentId>>,
    /// Its static routes, and propagated ones that no attachment here brings.
    #[serde(default)]
    pub routes: Vec<TransitGatewayRoute>,
}

/// One route of a transit gateway's table.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransitGatewayRoute {
    /// What it matches.
    pub destination: Marked<Cidr>,
    /// The attachment it leads to. None for a blackhole route.
    pub attachment: Option<Marked<TransitGatewayAttachmentId>>,
    /// `active` or `blackhole`.
    #[serde(default)]
    #[schemars(extend("default" = "active"))]
    pub state: RouteState,
    /// Whether an attachment propagated it. A static route to the same prefix goes first, and of propagated ones a VPC's.
    #[serde(default)]
    pub propagated: bool,
}

/// A VPC's attachment to a transit gateway.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransitGatewayVpcAttachment {
    /// Its id.
    pub id: Marked<TransitGatewayAttachmentId>,
    /// The VPC.
    pub vpc: Marked<VpcId>,
    /// The subnets that its interfaces stand in, one a zone. With none said, it has one in every zone.
    #[serde(default)]
    pub subnets: Vec<Marked<SubnetId>>,
    /// Whether this VPC takes part in what `dns_support` of the gateway is about.
    #[serde(default = "yes")]
    pub dns_support: bool,
    /// Whether it propagates the VPC's IPv6 prefixes. AWS has it off unless asked for.
    #[serde(default = "yes")]
    pub ipv6_support: bool,
    /// Whether this VPC takes part in what `security_group_referencing_support` of the gateway is about.
    #[serde(default = "yes")]
    pub security_group_referencing_support: bool,
    /// Whether a flow keeps to one of its interfaces, requests and replies alike, whatever zones they come from.
    #[serde(default)]
    pub appliance_mode_support: bool,
}
