//! On-premises networks.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;

use super::RecordText;
use crate::aws::{LinkTargetId, SiteId, VirtualPrivateGatewayId, VpcId};
use crate::config::source::Marked;
use crate::config::text::Cidr;
use crate::dns::Name;

/// An on-premises network.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// The ID.
    pub id: Marked<SiteId>,
    /// The prefixes.
    pub cidr: Vec<Marked<Cidr>>,
    /// The resolver of its clients: the ID of an inbound endpoint, or `public`.
    #[serde(default = "public")]
    #[schemars(extend("default" = "public"))]
    pub resolver: Marked<String>,
    /// The links to VPCs.
    #[serde(default)]
    pub links: Vec<Link>,
    /// Whether it has an internet uplink.
    #[serde(default)]
    pub internet: bool,
    /// The addresses of its name servers.
    #[serde(default)]
    pub dns: Vec<Marked<IpAddr>>,
    /// Zones of its name servers, which are simulated in process.
    #[serde(default)]
    pub zone: Vec<SiteZone>,
}

fn public() -> Marked<String> {
    Marked::from("public".to_owned())
}

/// A link from a site to a VPC.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The gateway at its end: `vgw-…`, `dxgw-…` or `tgw-…`.
    pub target: Marked<LinkTargetId>,
    /// The VPC behind it. Not needed for a transit gateway with configured attachments.
    pub vpc: Option<Marked<VpcId>>,
    /// For a Direct Connect gateway: the virtual private gateway of the VPC that it is associated with.
    /// Default: any.
    pub gateway: Option<Marked<VirtualPrivateGatewayId>>,
}

/// A zone of a site's name servers.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SiteZone {
    /// The name.
    pub name: Marked<Name>,
    /// The record sets.
    #[serde(default)]
    pub records: Vec<RecordText>,
    /// A file with further record sets, as for a hosted zone: a zone file or, with the extension `.json`,
    /// Route 53 JSON.
    pub file: Option<Marked<String>>,
}
