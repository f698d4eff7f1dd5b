//! The compiled model: the meaning of a configuration, ready for lookups. Immutable, one generation.
//!
//! ```text
//!  Config ──► compile ──► World ──► Live (replaced as a whole)
//!                           │
//!                           ├── network    address → place   where clients are
//!                           │              address → route   one prefix map per route table
//!                           ├── names      name → claim      one suffix map, with views at its nodes
//!                           └── settings   listeners, replies, annotations, expectations
//! ```
//!
//! Objects refer to each other by [`Index`], their number in an [`Arena`] of this world. Names refer to the
//! network, never the reverse. Nothing changes after [`compile`](compile::compile), and queries only perform
//! lookups.

mod arena;
mod claims;
pub mod compile;
mod connections;
mod diff;
mod endpoint;
mod listener;
mod live;
mod names;
mod network;
mod network_acl;
mod place;
mod route;
mod routed;
mod security_group;
mod settings;
mod upstream;
mod zone;

use std::net::IpAddr;

use ipnet::IpNet;

pub use arena::{Arena, ArenaMap, Index};
pub use claims::{Claim, ClaimSource, Claims, ScopedClaim};
pub use connections::{
    AttachedTo, Attachment, TransitGateway, TransitGatewayRoute, TransitGatewayRouteTable, TransitRank,
    VpcPeeringConnection,
};
pub use diff::{Change, ChangeKind, MAX_SHOWN, diff, table_id};
pub use endpoint::{
    AddressFamilies, Endpoint, EndpointAssociation, EndpointInterface, EndpointKind, PrivateDns,
};
pub use listener::{Listener, ListenerTransport, PemFile, TlsFiles};
pub use live::Live;
pub use names::{
    AnswerRules, DesignatedListener, Generated, HostedZone, InboundEndpoint, InternalDomain, ManagedZone,
    Names, Profile, PublicDns, PublicHost, Rule, RuleKind, SiteNames, SpecialUseZone, Vantage, View, ViewId,
    ViewKind, VpcResolver,
};
pub use network::{
    Instance, Interface, Link, LinkClass, LinkedTo, NatGateway, Network, NetworkInterface, ResourceName,
    Site, Subnet, Vpc,
};
pub use network_acl::{AclRule, AclRules, EPHEMERAL_PORTS, NetworkAcl};
pub use place::{NoLocation, Place, PlaceId, PlaceKind, Places};
pub use route::{Appliance, Rank, Route, RouteTable, Target};
pub use routed::{
    Content, FailoverRole, Proximity, RoutedSet, RoutedSets, Routing, RoutingLocation, RoutingPolicy,
};
pub use security_group::{AccessDecision, Addresses, GroupRule, GroupRules, OtherEnd, Peer, SecurityGroup};
pub use settings::{AnnotateRules, ReplyRules, Settings};
pub use upstream::{Order, Server, ServerTransport, SpkiPin, TlsTrust, Upstream, UpstreamIdentity};
pub use zone::{Node, RecordError, Zone, ZoneLookup};

pub use crate::config::{DnsSupportOff, EdeMode, NegativeSoa, SpecialUseNames};

/// The meaning of a configuration.
#[derive(Debug)]
pub struct World {
    /// Its number among the worlds of this process, counted from 1; 0 if it was never in use.
    pub generation: u64,
    /// A hash of its sources, including zone files.
    pub hash: String,
    /// When the newest source was last modified, in seconds since 1970. `None` for the built-in lab.
    pub source_modified_s: Option<u64>,
    /// Address → route.
    pub network: Network,
    /// Name → claim.
    pub names: Names,
    /// Everything that changes neither.
    pub settings: Settings,
}

impl World {
    /// The view and location of a client. `bound` is the view of the listener, if it has one, whose VPC's
    /// subnets are searched first.
    pub fn vantage(&self, client: IpNet, bound: Option<ViewId>) -> Result<Vantage, NoLocation> {
        self.names.vantage(&self.network, client, bound)
    }

    /// Whether a client at this address may query: it is in a configured location, or its prefix is allowed.
    pub fn is_allowed(&self, client: IpAddr) -> bool {
        self.network.places.contains(client)
            || self.settings.allow.iter().any(|prefix| prefix.contains(&client))
    }
}
