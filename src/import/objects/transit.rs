//! Transit gateways, their attachments and route tables.

use serde::Deserialize;

use super::{OtherFields, Tag, objects};

/// EC2 API, `TransitGateway`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct TransitGateway {
    pub transit_gateway_id: String,
    pub transit_gateway_arn: Option<String>,
    pub state: Option<String>,
    pub options: TransitGatewayOptions,
    pub tags: Vec<Tag>,
    #[serde(flatten)]
    pub other: OtherFields,
}

/// EC2 API, `TransitGatewayOptions` and `TransitGatewayVpcAttachmentOptions`, only what affects answers.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct TransitGatewayOptions {
    pub dns_support: Option<String>,
    pub appliance_mode_support: Option<String>,
    pub ipv6_support: Option<String>,
    pub security_group_referencing_support: Option<String>,
}

impl TransitGatewayOptions {
    /// Returns whether IPv6 prefixes are propagated. Assumed if not specified; AWS's default is no.
    pub(crate) fn has_ipv6_support(&self) -> bool {
        self.ipv6_support.as_deref() != Some("disable")
    }

    /// Returns whether security group referencing is enabled, if specified.
    pub(crate) fn has_group_referencing(&self) -> Option<bool> {
        self.security_group_referencing_support.as_deref().map(|value| value == "enable")
    }

    /// Returns whether appliance mode is enabled. Disabled by default.
    pub(crate) fn has_appliance_mode(&self) -> bool {
        self.appliance_mode_support.as_deref() == Some("enable")
    }

    /// Returns whether DNS support is enabled. Enabled by default.
    pub(crate) fn has_dns_support(&self) -> bool {
        self.dns_support.as_deref() != Some("disable")
    }
}

/// EC2 API, `TransitGatewayAttachment`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct TransitGatewayAttachment {
    pub transit_gateway_attachment_id: String,
    pub transit_gateway_id: String,
    pub resource_type: String,
    pub resource_id: Option<String>,
    pub state: Option<String>,
    pub association: AttachmentAssociation,
    pub tags: Vec<Tag>,
    #[serde(flatten)]
    pub other: OtherFields,
}

impl TransitGatewayAttachment {
    /// Returns whether it connects to another transit gateway.
    pub(crate) fn is_peering(&self) -> bool {
        matches!(self.resource_type.as_str(), "peering" | "tgw-peering")
    }

    /// Returns an id that is unique across transit gateways. Both sides of a peering list an attachment with
    /// the same id.
    fn qualified_id(&self) -> String {
        let id = &self.transit_gateway_attachment_id;
        if self.is_peering() { format!("{id} of {}", self.transit_gateway_id) } else { id.clone() }
    }
}

/// EC2 API, `TransitGatewayAttachmentAssociation`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct AttachmentAssociation {
    pub transit_gateway_route_table_id: Option<String>,
    pub state: Option<String>,
}

/// EC2 API, `TransitGatewayVpcAttachment`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct TransitGatewayVpcAttachment {
    pub transit_gateway_attachment_id: String,
    pub transit_gateway_id: String,
    pub vpc_id: String,
    pub state: Option<String>,
    pub subnet_ids: Vec<String>,
    pub options: TransitGatewayOptions,
    pub tags: Vec<Tag>,
    #[serde(flatten)]
    pub other: OtherFields,
}

/// EC2 API, `TransitGatewayPeeringAttachment`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct TransitGatewayPeeringAttachment {
    pub transit_gateway_attachment_id: String,
    pub requester_tgw_info: PeeringGateway,
    pub accepter_tgw_info: PeeringGateway,
    pub state: Option<String>,
    #[serde(flatten)]
    pub other: OtherFields,
}

/// EC2 API, `PeeringTgwInfo`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct PeeringGateway {
    pub transit_gateway_id: Option<String>,
}

/// EC2 API, `TransitGatewayRouteTable`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct TransitGatewayRouteTable {
    pub transit_gateway_route_table_id: String,
    pub transit_gateway_id: String,
    pub state: Option<String>,
    pub tags: Vec<Tag>,
    #[serde(flatten)]
    pub other: OtherFields,
}

/// EC2 API, `TransitGatewayRoute`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct TransitGatewayRoute {
    pub destination_cidr_block: Option<String>,
    pub prefix_list_id: Option<String>,
    pub transit_gateway_attachments: Vec<AttachmentReference>,
    #[serde(rename = "Type")]
    pub route_type: Option<String>,
    pub state: Option<String>,
}

/// EC2 API, `TransitGatewayRouteAttachment`, `TransitGatewayRouteTableAssociation` and
/// `TransitGatewayRouteTablePropagation`: a reference to an attachment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct AttachmentReference {
    pub transit_gateway_attachment_id: Option<String>,
    pub state: Option<String>,
}

/// EC2 API, `TransitGatewayPrefixListReference`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct PrefixListReference {
    pub transit_gateway_route_table_id: String,
    pub prefix_list_id: String,
    pub state: Option<String>,
    pub blackhole: bool,
    pub transit_gateway_attachment: AttachmentReference,
}

objects! {
    TransitGateway, "TransitGateways", |this| this.transit_gateway_id.clone(),
        ["OwnerId", "Description", "CreationTime"];
    TransitGatewayAttachment, "TransitGatewayAttachments", |this| this.qualified_id(),
        ["TransitGatewayOwnerId", "ResourceOwnerId", "CreationTime"];
    TransitGatewayVpcAttachment, "TransitGatewayVpcAttachments",
        |this| this.transit_gateway_attachment_id.clone(), ["VpcOwnerId", "CreationTime"];
    TransitGatewayPeeringAttachment, "TransitGatewayPeeringAttachments",
        |this| this.transit_gateway_attachment_id.clone(),
        ["AccepterTransitGatewayAttachmentId", "Options", "Status", "CreationTime", "Tags"];
    TransitGatewayRouteTable, "TransitGatewayRouteTables", |this| this.transit_gateway_route_table_id.clone(),
        ["DefaultAssociationRouteTable", "DefaultPropagationRouteTable", "CreationTime"];
}
