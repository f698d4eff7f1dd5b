//! Internet gateways, NAT gateways, VPN and Direct Connect.

use serde::Deserialize;

use super::{OtherFields, Tag, objects};

/// EC2 API, `InternetGateway`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct InternetGateway {
    pub internet_gateway_id: String,
    pub attachments: Vec<VpcAttachment>,
    #[serde(flatten)]
    pub other: OtherFields,
}

/// EC2 API, `InternetGatewayAttachment` and `VpcAttachment`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct VpcAttachment {
    pub vpc_id: String,
    pub state: Option<String>,
}

impl VpcAttachment {
    /// Returns whether the gateway is attached. The state is `available` for internet gateways and `attached`
    /// for others.
    pub(crate) fn is_attached(&self) -> bool {
        super::is_state(self.state.as_deref().or(Some("attached")), &["available", "attached", "attaching"])
    }
}

/// EC2 API, `EgressOnlyInternetGateway`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct EgressOnlyInternetGateway {
    pub egress_only_internet_gateway_id: String,
    #[serde(flatten)]
    pub other: OtherFields,
}

/// EC2 API, `NatGateway`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct NatGateway {
    pub nat_gateway_id: String,
    pub vpc_id: String,
    pub subnet_id: Option<String>,
    pub state: Option<String>,
    pub connectivity_type: Option<String>,
    pub availability_mode: Option<String>,
    pub route_table_id: Option<String>,
    pub nat_gateway_addresses: Vec<NatGatewayAddress>,
    pub tags: Vec<Tag>,
    #[serde(flatten)]
    pub other: OtherFields,
}

impl NatGateway {
    /// Returns whether the gateway was deleted or could not be created.
    pub(crate) fn is_deleted(&self) -> bool {
        super::is_state(self.state.as_deref(), &["deleted", "deleting", "failed"])
    }
}

/// EC2 API, `NatGatewayAddress`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct NatGatewayAddress {
    pub network_interface_id: Option<String>,
    pub private_ip: Option<String>,
    pub public_ip: Option<String>,
    pub is_primary: Option<bool>,
}

/// EC2 API, `VpnGateway`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct VpnGateway {
    pub vpn_gateway_id: String,
    pub vpc_attachments: Vec<VpcAttachment>,
    #[serde(flatten)]
    pub other: OtherFields,
}

/// EC2 API, `VpnConnection`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct VpnConnection {
    pub vpn_connection_id: String,
    pub customer_gateway_id: String,
    pub vpn_gateway_id: Option<String>,
    pub transit_gateway_id: Option<String>,
    pub state: Option<String>,
    pub routes: Vec<VpnStaticRoute>,
    pub options: VpnConnectionOptions,
    pub tags: Vec<Tag>,
    #[serde(flatten)]
    pub other: OtherFields,
}

/// EC2 API, `VpnConnectionOptions`, only what affects routes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct VpnConnectionOptions {
    pub static_routes_only: bool,
}

impl VpnConnection {
    /// Returns whether the connection exists.
    pub(crate) fn is_active(&self) -> bool {
        !super::is_state(self.state.as_deref(), &["deleted", "deleting"])
    }
}

/// EC2 API, `VpnStaticRoute`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct VpnStaticRoute {
    pub destination_cidr_block: Option<String>,
    pub state: Option<String>,
}

/// EC2 API, `CustomerGateway`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct CustomerGateway {
    pub customer_gateway_id: String,
    pub state: Option<String>,
    pub tags: Vec<Tag>,
    #[serde(flatten)]
    pub other: OtherFields,
}

/// Direct Connect API, `DirectConnectGateway`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DirectConnectGateway {
    pub direct_connect_gateway_id: String,
    pub direct_connect_gateway_name: Option<String>,
    #[serde(flatten)]
    pub other: OtherFields,
}

/// Direct Connect API, `DirectConnectGatewayAssociation`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DirectConnectGatewayAssociation {
    pub direct_connect_gateway_id: String,
    pub association_state: Option<String>,
    pub associated_gateway: AssociatedGateway,
    /// The predecessor of `associatedGateway`.
    pub virtual_gateway_id: Option<String>,
    #[serde(flatten)]
    pub other: OtherFields,
}

/// Direct Connect API, `VirtualInterface`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct VirtualInterface {
    pub virtual_interface_id: String,
    pub virtual_interface_name: Option<String>,
    pub virtual_interface_state: Option<String>,
    /// Set for private virtual interfaces that terminate at a virtual private gateway.
    pub virtual_gateway_id: Option<String>,
    pub direct_connect_gateway_id: Option<String>,
    #[serde(flatten)]
    pub other: OtherFields,
}

impl VirtualInterface {
    /// Returns the virtual private gateway at which the interface terminates.
    pub(crate) fn gateway(&self) -> Option<&str> {
        let is_deleted =
            super::is_state(self.virtual_interface_state.as_deref(), &["deleted", "deleting", "rejected"]);
        self.virtual_gateway_id.as_deref().filter(|id| !is_deleted && !id.is_empty())
    }
}

/// Direct Connect API, `AssociatedGateway`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct AssociatedGateway {
    pub id: Option<String>,
}

impl DirectConnectGatewayAssociation {
    /// Returns whether the gateways are associated.
    pub(crate) fn is_associated(&self) -> bool {
        super::is_state(self.association_state.as_deref().or(Some("associated")), &["associated", "updating"])
    }

    /// Returns the id of the virtual private gateway or transit gateway.
    pub(crate) fn gateway(&self) -> Option<&str> {
        self.associated_gateway.id.as_deref().or(self.virtual_gateway_id.as_deref())
    }
}

objects! {
    InternetGateway, "InternetGateways", |this| this.internet_gateway_id.clone(), ["OwnerId", "Tags"];
    EgressOnlyInternetGateway, "EgressOnlyInternetGateways",
        |this| this.egress_only_internet_gateway_id.clone(), ["Attachments", "Tags"];
    NatGateway, "NatGateways", |this| this.nat_gateway_id.clone(),
        ["CreateTime", "DeleteTime", "FailureCode", "FailureMessage", "ProvisionedBandwidth", "AutoScalingIps",
         "AutoProvisionZones", "AttachedAppliances"];
    VpnGateway, "VpnGateways", |this| this.vpn_gateway_id.clone(),
        ["AmazonSideAsn", "Tags", "State", "Type", "AvailabilityZone"];
    VpnConnection, "VpnConnections", |this| this.vpn_connection_id.clone(),
        ["Category", "GatewayAssociationState", "VgwTelemetry", "PreSharedKeyArn",
         "CustomerGatewayConfiguration", "Type"];
    CustomerGateway, "CustomerGateways", |this| this.customer_gateway_id.clone(),
        ["CertificateArn", "DeviceName", "BgpAsnExtended", "Type", "IpAddress", "BgpAsn"];
    DirectConnectGateway, "directConnectGateways", |this| this.direct_connect_gateway_id.clone(),
        ["amazonSideAsn", "ownerAccount", "directConnectGatewayState", "stateChangeError", "tags"];
    DirectConnectGatewayAssociation, "directConnectGatewayAssociations",
        |this| format!("{} with {}", this.direct_connect_gateway_id, this.gateway().unwrap_or("an unknown gateway")),
        ["directConnectGatewayOwnerAccount", "stateChangeError", "associationId",
         "allowedPrefixesToDirectConnectGateway", "virtualGatewayRegion", "virtualGatewayOwnerAccount"];
    VirtualInterface, "virtualInterfaces", |this| this.virtual_interface_id.clone(),
        ["ownerAccount", "location", "connectionId", "virtualInterfaceType", "vlan", "asn", "asnLong", "amazonSideAsn",
         "authKey", "amazonAddress", "customerAddress", "addressFamily", "customerRouterConfig", "mtu",
         "jumboFrameCapable", "routeFilterPrefixes", "bgpPeers", "region", "awsDeviceV2", "awsLogicalDeviceId", "tags",
         "siteLinkEnabled"];
}
