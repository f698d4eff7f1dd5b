//! The target of a route. The prefix of its ID determines its kind.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// The kind of a route target. The names follow the EC2 API (`Route`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RouteTargetKind {
    /// `local`: within the VPC.
    Local,
    /// `igw-…`
    InternetGateway,
    /// `eigw-…`
    EgressOnlyInternetGateway,
    /// `nat-…`
    NatGateway,
    /// `vpce-…`: a gateway endpoint, or a Gateway Load Balancer endpoint.
    VpcEndpoint,
    /// `pcx-…`
    VpcPeeringConnection,
    /// `tgw-…`
    TransitGateway,
    /// `vgw-…`
    VirtualPrivateGateway,
    /// `eni-…`
    NetworkInterface,
    /// `i-…`
    Instance,
    /// `cagw-…`
    CarrierGateway,
    /// `lgw-…`
    LocalGateway,
    /// `arn:…:core-network/…`
    CoreNetwork,
}

/// The target of a route: its kind and its ID.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RouteTarget {
    /// The kind of target.
    pub kind: RouteTargetKind,
    /// The ID as configured; `local` for the local route.
    pub id: Arc<str>,
}

impl RouteTarget {
    /// Returns a placeholder for a target that no longer exists. The route itself is then shown as
    /// `blackhole`.
    pub fn blackhole() -> Self {
        Self { kind: RouteTargetKind::NetworkInterface, id: "blackhole".into() }
    }
}

/// Error returned when text is not a route target.
#[derive(Debug, Error)]
#[error(
    "invalid route target `{0}`: expected `local`, an ID that begins with igw-, eigw-, nat-, vpce-, pcx-, tgw-, vgw-, eni-, i-, \
     cagw- or lgw-, or the ARN of a core network"
)]
pub struct RouteTargetError(String);

const PREFIXES: &[(&str, RouteTargetKind)] = &[
    ("igw-", RouteTargetKind::InternetGateway),
    ("eigw-", RouteTargetKind::EgressOnlyInternetGateway),
    ("nat-", RouteTargetKind::NatGateway),
    ("vpce-", RouteTargetKind::VpcEndpoint),
    ("pcx-", RouteTargetKind::VpcPeeringConnection),
    ("tgw-", RouteTargetKind::TransitGateway),
    ("vgw-", RouteTargetKind::VirtualPrivateGateway),
    ("eni-", RouteTargetKind::NetworkInterface),
    ("i-", RouteTargetKind::Instance),
    ("cagw-", RouteTargetKind::CarrierGateway),
    ("lgw-", RouteTargetKind::LocalGateway),
];

impl FromStr for RouteTarget {
    type Err = RouteTargetError;

    fn from_str(text: &str) -> Result<Self, RouteTargetError> {
        let kind = if text == "local" {
            Some(RouteTargetKind::Local)
        } else if text.starts_with("arn:") && text.contains(":core-network/") {
            Some(RouteTargetKind::CoreNetwork)
        } else {
            PREFIXES
                .iter()
                .find(|(prefix, _)| text.len() > prefix.len() && text.starts_with(prefix))
                .map(|(_, kind)| *kind)
        };
        let kind = kind.ok_or_else(|| RouteTargetError(text.to_owned()))?;
        Ok(Self { kind, id: text.into() })
    }
}

impl fmt::Display for RouteTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}
