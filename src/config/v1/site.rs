//! Networks on premises.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;

use super::RecordText;
use crate::aws::{LinkTargetId, SiteId, VirtualPrivateGatewayId, VpcId};
use crate::config::source::Marked;
use crate::config::text::Cidr;
use crate::dns::Name;

/// A network on premises.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Its id.
    pub id: Marked<SiteId>,
    /// Its prefixes.
    pub cidr: Vec<Marked<Cidr>>,
    /// What its clients ask: an inbound endpoint's id, or `public`.
    #[serde(default = "public")]
    #[schemars(extend("default" = "public"))]
    pub resolver: Marked<String>,
    /// Its links to VPCs.
    #[serde(default)]
    pub links: Vec<Link>,
    /// Whether it has an uplink to the internet of its own.
    #[serde(default)]
    pub internet: bool,
    /// Its own name servers.
    #[serde(default)]
    pub dns: Vec<Marked<IpAddr>>,
    /// Zones of its name servers, played in process.
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
    /// The gateway it ends at: `vgw-…`, `dxgw-…` or `tgw-…`.
    pub target: Marked<LinkTargetId>,
    /// The VPC behind it. A transit gateway's link needs none: its attachments tell.
    pub vpc: Option<Marked<VpcId>>,
    /// For a Direct Connect gateway: the virtual private gateway of that VPC which it is associated with. Any, when not
    /// said.
    pub gateway: Option<Marked<VirtualPrivateGatewayId>>,
}

/// A zone of a site's name servers.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SiteZone {
    /// Its name.
    pub name: Marked<Name>,
    /// Its record sets.
    #[serde(default)]
    pub records: Vec<RecordText>,
    /// A file with more of them: a zone file, or with the ending `.json` Route 53's JSON, as of a hosted zone.
    pub file: Option<Marked<String>>,
}
