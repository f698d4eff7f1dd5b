//! The compiled model: the meaning of a configuration, ready for lookups. Immutable, one generation.
//!
//! ```text
//!  Config ──► compile ──► World ──► Live (replaced as a whole)
//!                           │
//!                           ├── claims   name → claim        one suffix map, with views at its nodes
//!                           ├── places   address → place     where clients are
//!                           └── tables   address → route     one prefix map per route table
//! ```
//!
//! Objects refer to each other by [`Index`], their number in an [`Arena`] of this world. Nothing changes
//! after [`compile`](compile::compile), and queries only perform lookups.

mod arena;
mod claims;
pub mod compile;
mod diff;
mod endpoint;
mod listener;
mod live;
mod network;
mod network_acl;
mod object;
mod place;
mod route;
mod routed;
mod security_group;
mod upstream;
mod zone;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

pub use arena::{Arena, Index};
pub use claims::{Claim, ClaimSource, Claims, ScopedClaim};
pub use diff::{Change, ChangeKind, MAX_SHOWN, diff, table_id};
pub use endpoint::{
    AddressFamilies, Endpoint, EndpointAssociation, EndpointInterface, EndpointKind, PrivateDns,
};
pub use listener::{Listener, ListenerTransport, PemFile, TlsFiles};
pub use live::Live;
pub use network::{
    AttachedTo, Attachment, TransitGateway, TransitGatewayRoute, TransitGatewayRouteTable, TransitRank,
    VpcPeeringConnection,
};
pub use network_acl::{AclRule, AclRules, EPHEMERAL_PORTS, NetworkAcl};
pub use object::{
    Generated, HostedZone, InboundEndpoint, Instance, Interface, InternalDomain, Link, LinkClass, LinkedTo,
    ManagedZone, NatGateway, NetworkInterface, Profile, ResourceName, Rule, RuleKind, Site, Subnet, View,
    ViewKind, Vpc,
};
pub use place::{NoLocation, Place, PlaceKind, Places};
pub use route::{Appliance, Rank, Route, RouteTable, Target};
pub use routed::{
    Content, FailoverRole, Proximity, RoutedSet, RoutedSets, Routing, RoutingLocation, RoutingPolicy,
};
pub use security_group::{AccessDecision, Addresses, GroupRule, GroupRules, OtherEnd, Peer, SecurityGroup};
pub use upstream::{Order, Server, ServerTransport, SpkiPin, TlsTrust, Upstream, UpstreamIdentity};
pub use zone::{Node, RecordError, Zone, ZoneLookup};

use ipnet::IpNet;

use crate::aws::Facts;
use crate::aws::ranges::IpRanges;
use crate::config::{Expect, Mark};
use crate::dns::{Name, Rdata, RrSet, SuffixMap};

/// The index of a place.
pub type PlaceId = Index<Place>;

/// The index of a view.
pub type ViewId = Index<View>;

/// Where a client is: the view that determines its names and the location that determines its routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Vantage {
    /// The view.
    pub view: ViewId,
    /// The location.
    pub place: PlaceId,
}

/// The meaning of a configuration.
#[derive(Debug)]
pub struct World {
    /// Its number among the worlds of this process, counted from 1; 0 if it was never in use.
    pub generation: u64,
    /// A hash of its sources, including zone files.
    pub hash: String,
    /// When the newest source was last modified, in seconds since 1970. `None` for the built-in lab.
    pub source_modified_s: Option<u64>,
    /// Bounds on answers.
    pub answers: AnswerBounds,
    /// Rules for annotations.
    pub annotate: AnnotateRules,
    /// Listeners and their views.
    pub listeners: Vec<Listener>,
    /// Prefixes whose clients may query although they are in no configured location.
    pub allow: Vec<IpNet>,
    /// Prefixes whose EDNS Client Subnet is trusted.
    pub trust_client_subnet: Vec<IpNet>,
    /// VPCs.
    pub vpcs: Arena<Vpc>,
    /// Subnets of all VPCs.
    pub subnets: Arena<Subnet>,
    /// Route tables of all VPCs.
    pub route_tables: Arena<RouteTable>,
    /// NAT gateways of all VPCs.
    pub nat_gateways: Arena<NatGateway>,
    /// VPC endpoints of all VPCs.
    pub endpoints: Arena<Endpoint>,
    /// Security groups of all VPCs.
    pub security_groups: Arena<SecurityGroup>,
    /// Network ACLs of all VPCs.
    pub network_acls: Arena<NetworkAcl>,
    /// Network interfaces that are configured on their own.
    pub network_interfaces: Arena<NetworkInterface>,
    /// Peering connections.
    pub peering_connections: Arena<VpcPeeringConnection>,
    /// Transit gateways.
    pub transit_gateways: Arena<TransitGateway>,
    /// AWS's IP ranges, if configured.
    configured_ranges: Option<Box<IpRanges>>,
    /// Instances of all VPCs.
    pub instances: Arena<Instance>,
    /// Inbound resolver endpoints.
    pub inbound_endpoints: Arena<InboundEndpoint>,
    /// On-premises networks.
    pub sites: Arena<Site>,
    /// Private hosted zones.
    pub hosted_zones: Arena<HostedZone>,
    /// Private zones of endpoints.
    pub managed_zones: Arena<ManagedZone>,
    /// Resolver rules.
    pub rules: Arena<Rule>,
    /// Route 53 Profiles.
    pub profiles: Arena<Profile>,
    /// Upstreams of FORWARD rules and of the internet.
    pub upstreams: Arena<Upstream>,
    /// The upstream for names without a private claim. `None` if the internet is sealed.
    pub internet: Option<Index<Upstream>>,
    /// Domains of generated names.
    pub internal_domains: Arena<InternalDomain>,
    /// Views: each VPC, each VPC through an inbound endpoint, and public DNS.
    pub views: Arena<View>,
    /// The view of public DNS.
    pub public_view: ViewId,
    /// Locations of clients.
    pub places: Places,
    /// Claims on names.
    pub claims: Claims,
    /// Public DNS as known to the world.
    pub public: PublicDns,
    /// The site that simulates the name server at an address.
    pub simulated_servers: HashMap<IpAddr, Index<Site>>,
    /// Expectations of the configuration.
    pub expectations: Vec<(Expect, Mark)>,
}

/// Bounds on answers, in seconds and octets.
#[derive(Clone, Debug)]
pub struct AnswerBounds {
    /// Maximum TTL.
    pub max_ttl: u32,
    /// Maximum TTL of a negative answer.
    pub max_negative_ttl: u32,
    /// Maximum size of a UDP reply.
    pub max_udp_payload: u16,
    /// TTL of generated names and their reverse names.
    pub generated_name_ttl: u32,
    /// Whether `ip-` names exist for unused addresses.
    pub unused_ip_names: bool,
    /// The reply of a VPC without DNS support.
    pub dns_support_off: DnsSupportOff,
    /// Which NXDOMAIN replies include the SOA record.
    pub negative_soa: NegativeSoa,
    /// How special-use names without a claim are answered.
    pub special_use_names: SpecialUseNames,
}

/// Which clients receive annotations, and how.
#[derive(Clone, Debug)]
pub struct AnnotateRules {
    /// Extended DNS Errors.
    pub ede: EdeMode,
    /// Option 65001.
    pub option: bool,
    /// CHAOS TXT.
    pub chaos: bool,
    /// The clients.
    pub to: Vec<IpNet>,
}

pub use crate::config::{DnsSupportOff, EdeMode, NegativeSoa, SpecialUseNames};

/// Public DNS as known to the world: the overlay on the internet, and the sealed internet itself.
#[derive(Debug)]
pub struct PublicDns {
    /// Endpoint-specific names, which exist everywhere in public DNS. Their TTL does not count down.
    pub overlay: Zone,
    /// Aliases of private APIs, `<api-id>-vpce-….execute-api.…`: the addresses of each execute-api endpoint,
    /// at that name without the API ID.
    pub api_aliases: Zone,
    /// VPCs whose S3 gateway endpoint sets the record types of S3's regional names.
    pub s3_families: HashMap<Index<Vpc>, AddressFamilies>,
    /// Configured public records. Their TTLs count down.
    pub records: Zone,
    /// Public names of instances.
    pub instances: HashMap<Name, PublicHost>,
    /// Instances by the first label of their resource names, in lower case.
    pub resource_names: HashMap<Box<[u8]>, Index<Instance>>,
    /// Special-use names and locally served zones, by apex.
    pub special_use: SuffixMap<SpecialUseZone>,
    /// The encrypted listeners that are advertised to clients (RFC 9462), in order of preference.
    pub designated: Vec<DesignatedListener>,
    /// AWS's names and IP ranges.
    pub facts: &'static Facts,
    /// The SOA record of negative answers.
    pub soa: RrSet,
}

/// An encrypted listener that is advertised to clients of plain DNS listeners.
#[derive(Clone, Debug)]
pub struct DesignatedListener {
    /// Its view. `None` if no plain DNS listener has a view of its own either, so that clients have the same
    /// view at both.
    pub view: Option<ViewId>,
    /// The data of its SVCB record (RFC 9461).
    pub svcb: Rdata,
}

/// A zone of special-use names.
#[derive(Debug)]
pub struct SpecialUseZone {
    /// Its data.
    pub zone: Zone,
    /// The RFC that specifies it.
    pub rfc: &'static str,
    /// Whether it concerns the queried resolver itself, so that less specific claims do not apply.
    pub is_about_resolver: bool,
}

/// The records of an instance's public name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicHost {
    /// The instance.
    pub instance: Index<Instance>,
    /// Whether it has an A record: the public address, or the private one within the VPC.
    pub v4: bool,
    /// Whether it has an AAAA record, which is the same everywhere.
    pub v6: bool,
}

impl World {
    /// The view and location of a client. `bound` is the view of the listener, if it has one, whose VPC's
    /// subnets are searched first.
    pub fn vantage(&self, client: IpNet, bound: Option<ViewId>) -> Result<Vantage, NoLocation> {
        let vpc = bound.and_then(|view| self.views[view].vpc());
        let place = self.places.find(client, vpc)?;
        let view = bound.map_or_else(|| self.view_of(place), |view| self.view_for(view, place));
        Ok(Vantage { view, place })
    }

    /// The view of a location's clients at a listener without a view.
    pub fn view_of(&self, place: PlaceId) -> ViewId {
        match self.places[place].kind {
            PlaceKind::Subnet(subnet) => self.view_for(self.vpcs[self.subnets[subnet].vpc].view, place),
            PlaceKind::Site(site) => self.sites[site].view,
            PlaceKind::Outside => self.public_view,
        }
    }

    /// The view of a listener as seen from a location: for subnets with DNS64, the VPC's resolver answers
    /// differently ("DNS64 and NAT64", VPC User Guide).
    pub fn view_for(&self, view: ViewId, place: PlaceId) -> ViewId {
        let PlaceKind::Subnet(subnet) = self.places[place].kind else { return view };
        let subnet = &self.subnets[subnet];
        let home = &self.vpcs[subnet.vpc];
        if subnet.dns64 && view == home.view { home.dns64_view.unwrap_or(view) } else { view }
    }

    /// The name of a location: the ID of its subnet or site, or `outside`.
    pub fn place_name(&self, place: PlaceId) -> Arc<str> {
        match self.places[place].kind {
            PlaceKind::Subnet(subnet) => self.subnets[subnet].id.clone(),
            PlaceKind::Site(site) => self.sites[site].id.clone(),
            PlaceKind::Outside => Arc::from("outside"),
        }
    }

    /// The index of the VPC that contains a location.
    pub fn place_vpc_index(&self, place: PlaceId) -> Option<Index<Vpc>> {
        match self.places[place].kind {
            PlaceKind::Subnet(subnet) => Some(self.subnets[subnet].vpc),
            PlaceKind::Site(_) | PlaceKind::Outside => None,
        }
    }

    /// The VPC that contains a location.
    pub fn place_vpc(&self, place: PlaceId) -> Option<&Vpc> {
        self.place_vpc_index(place).map(|index| &self.vpcs[index])
    }

    /// The ID of a route's target; `local` within the VPC.
    pub fn target_id(&self, target: &Target) -> Arc<str> {
        match target {
            Target::Local => Arc::from("local"),
            Target::InternetGateway(id)
            | Target::EgressOnlyInternetGateway(id)
            | Target::VirtualPrivateGateway(id) => id.clone(),
            Target::NatGateway(index) => self.nat_gateways[*index].id.clone(),
            Target::GatewayEndpoint(index) | Target::LoadBalancerEndpoint(index) => {
                self.endpoints[*index].id.clone()
            }
            Target::Appliance(appliance) => appliance.id.clone(),
            Target::Peering(index) => self.peering_connections[*index].id.clone(),
            Target::TransitGateway(index) => self.transit_gateways[*index].id.clone(),
            Target::Other(target) => target.id.clone(),
        }
    }

    /// AWS's IP ranges: the configured ones, or else the built-in ones.
    pub fn ranges(&self) -> &IpRanges {
        self.configured_ranges.as_deref().unwrap_or(&self.public.facts.ranges)
    }

    /// The Availability Zone of a location's subnet.
    pub fn place_zone(&self, place: PlaceId) -> Option<Arc<str>> {
        match self.places[place].kind {
            PlaceKind::Subnet(subnet) => Some(self.subnets[subnet].availability_zone.clone()),
            PlaceKind::Site(_) | PlaceKind::Outside => None,
        }
    }

    /// The location with this name, for an unspecified address in it.
    pub fn place_named(&self, name: &str) -> Option<PlaceId> {
        self.places.named(name)
    }

    /// Whether a client at this address may query: it is in a configured location, or its prefix is allowed.
    pub fn is_allowed(&self, client: IpAddr) -> bool {
        self.places.contains(client) || self.allow.iter().any(|prefix| prefix.contains(&client))
    }
}
