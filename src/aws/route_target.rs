//! The target of a route, read off the prefix of its id.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// What a route points at, by AWS's own names (EC2 API, `Route`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RouteTargetKind {
    /// `local`: inside the VPC.
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

/// A route's target: its kind and its id as written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RouteTarget {
    /// What sort of thing it is.
    pub kind: RouteTargetKind,
    /// The id as written; `local` for the local route.
    pub id: Arc<str>,
}

impl RouteTarget {
    /// What a route led to that does not say so any more. It goes by the word for the route itself.
    pub fn blackhole() -> Self {
        Self { kind: RouteTargetKind::NetworkInterface, id: "blackhole".into() }
    }
}

/// A text that names no target AWS has.
#[derive(Debug, Error)]
#[error(
    "`{0}` is no route target: it begins with igw-, eigw-, nat-, vpce-, pcx-, tgw-, vgw-, eni-, i-, cagw-, lgw- \
     or is a core network's ARN"
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
