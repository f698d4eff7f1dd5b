//! The compiled model: what the configuration means, ready to be asked. Immutable, one generation.
//!
//! ```text
//!  Config ──► compile ──► World ──► Live (swapped whole)
//!                           │
//!                           ├── claims   name → claim        one suffix map, views at its nodes
//!                           ├── places   address → place     who stands where
//!                           └── tables   address → route     one prefix map for each route table
//! ```
//!
//! Objects name each other by [`Index`], their number in this world's [`Arena`]s. Nothing in here changes
//! after [`compile`](compile::compile), and nothing does any work on a query but look-ups.

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
pub use claims::{Claim, Claims, Held, Origin};
pub use diff::{Change, MOST_TOLD, What, diff, table_id};
pub use endpoint::{Endpoint, EndpointAssociation, EndpointInterface, EndpointKind, Families, PrivateDns};
pub use listener::{Carries, Listener, PemFile, TlsFiles};
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
pub use place::{NoPlace, Place, Places, Standing};
pub use route::{Appliance, Rank, Route, RouteTable, Target};
pub use routed::{Content, FailoverRole, Location, Proximity, RoutedSet, RoutedSets, Routing, RoutingPolicy};
pub use security_group::{Addresses, Admission, GroupRule, GroupRules, OtherEnd, Peer, SecurityGroup};
pub use upstream::{Order, Server, ServerTransport, SpkiPin, TlsTrust, Upstream, UpstreamIdentity};
pub use zone::{Found, Node, RecordRefused, Zone};

use ipnet::IpNet;

use crate::aws::Facts;
use crate::aws::ranges::Ranges;
use crate::config::{Expect, Mark};
use crate::dns::{Name, Rdata, RrSet, SuffixMap};

/// A number of a place.
pub type PlaceId = Index<Place>;

/// A number of a view.
pub type ViewId = Index<View>;

/// Where a client stands: whose claims answer it, and whose routes its traffic takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Vantage {
    /// Whose claims answer.
    pub view: ViewId,
    /// Whose routes the traffic takes.
    pub place: PlaceId,
}

/// Everything that one configuration means.
#[derive(Debug)]
pub struct World {
    /// Its number among the worlds of this process, counted from 1; 0 for one that was never in use.
    pub generation: u64,
    /// A hash of the texts it was made from, zone files included.
    pub hash: String,
    /// When the newest of those texts was last changed, in seconds since 1970. `None` for the built-in lab.
    pub source_modified_s: Option<u64>,
    /// Bounds on answers.
    pub answers: AnswerBounds,
    /// Who is told paths.
    pub annotate: AnnotateRules,
    /// Where it listens, and as whom.
    pub listeners: Vec<Listener>,
    /// Prefixes whose clients may ask although they stand in no declared place.
    pub allow: Vec<IpNet>,
    /// Prefixes whose EDNS Client Subnet is believed.
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
    /// Network interfaces that are declared by themselves.
    pub network_interfaces: Arena<NetworkInterface>,
    /// Peering connections.
    pub peering_connections: Arena<VpcPeeringConnection>,
    /// Transit gateways.
    pub transit_gateways: Arena<TransitGateway>,
    /// AWS's published ranges, where the user gave them.
    given_ranges: Option<Box<Ranges>>,
    /// Instances of all VPCs.
    pub instances: Arena<Instance>,
    /// Inbound resolver endpoints.
    pub inbound_endpoints: Arena<InboundEndpoint>,
    /// Networks on premises.
    pub sites: Arena<Site>,
    /// Private hosted zones.
    pub hosted_zones: Arena<HostedZone>,
    /// Zones of endpoints' private names.
    pub managed_zones: Arena<ManagedZone>,
    /// Resolver rules.
    pub rules: Arena<Rule>,
    /// Route 53 Profiles.
    pub profiles: Arena<Profile>,
    /// Whom FORWARD rules and the internet ask.
    pub upstreams: Arena<Upstream>,
    /// Whom names are asked of that nothing private claims. `None`: the internet is sealed.
    pub internet: Option<Index<Upstream>>,
    /// Domains of generated names.
    pub internal_domains: Arena<InternalDomain>,
    /// Whose claims answer: each VPC, each VPC through an inbound endpoint, and the public.
    pub views: Arena<View>,
    /// The public's view.
    pub public_view: ViewId,
    /// Who stands where.
    pub places: Places,
    /// Who may answer what.
    pub claims: Claims,
    /// Public DNS as the world knows it.
    pub public: PublicDns,
    /// The site that plays a name server's address.
    pub played: HashMap<IpAddr, Index<Site>>,
    /// What the user expects of it.
    pub expectations: Vec<(Expect, Mark)>,
}

/// Bounds on answers, in seconds and octets.
#[derive(Clone, Debug)]
pub struct AnswerBounds {
    /// The longest TTL sent.
    pub max_ttl: u32,
    /// The longest TTL of a negative answer.
    pub max_negative_ttl: u32,
    /// The largest UDP reply.
    pub max_udp_payload: u16,
    /// TTL of generated names and of their reverse.
    pub generated_name_ttl: u32,
    /// Whether `ip-` names exist for addresses that nobody has.
    pub unused_ip_names: bool,
    /// What a VPC without DNS support answers.
    pub dns_support_off: DnsSupportOff,
    /// On which NXDOMAIN replies the SOA record stands.
    pub negative_soa: NegativeSoa,
    /// Who answers special-use names that nothing claims.
    pub special_use_names: SpecialUseNames,
}

/// Who is told paths, and how.
#[derive(Clone, Debug)]
pub struct AnnotateRules {
    /// Extended DNS Errors.
    pub ede: EdeMode,
    /// Option 65001.
    pub option: bool,
    /// CHAOS TXT.
    pub chaos: bool,
    /// Which clients.
    pub to: Vec<IpNet>,
}

pub use crate::config::{DnsSupportOff, EdeMode, NegativeSoa, SpecialUseNames};

/// Public DNS as the world knows it: what overlays the internet, and the sealed internet itself.
#[derive(Debug)]
pub struct PublicDns {
    /// The endpoints' own names, which public DNS knows everywhere. Their TTL is told in full.
    pub overlay: Zone,
    /// Aliases of private APIs, `<api-id>-vpce-….execute-api.…`: the addresses of each execute-api endpoint, at
    /// that name without the API's id.
    pub api_aliases: Zone,
    /// VPCs whose S3 gateway endpoint says which record types S3's regional names have there.
    pub s3_families: HashMap<Index<Vpc>, Families>,
    /// The user's records. Their TTLs count down.
    pub records: Zone,
    /// Public names of instances.
    pub instances: HashMap<Name, PublicHost>,
    /// Instances by the first label of their resource names, in lower case.
    pub resource_names: HashMap<Box<[u8]>, Index<Instance>>,
    /// Special-use names and locally served zones, by their apex.
    pub special_use: SuffixMap<SpecialUseZone>,
    /// The encrypted listeners that clients are told of (RFC 9462), in the order of preference.
    pub designated: Vec<DesignatedListener>,
    /// AWS's names and ranges.
    pub facts: &'static Facts,
    /// The SOA of negative answers.
    pub soa: RrSet,
}

/// An encrypted listener that clients of the plain ones are told of.
#[derive(Clone, Debug)]
pub struct DesignatedListener {
    /// The view that it is bound to. `None`: no plain listener is bound to any either, so that every client has the
    /// same view at both.
    pub view: Option<ViewId>,
    /// The data of its SVCB record (RFC 9461).
    pub svcb: Rdata,
}

/// A zone of special-use names.
#[derive(Debug)]
pub struct SpecialUseZone {
    /// What is in it.
    pub zone: Zone,
    /// Where it is specified.
    pub rfc: &'static str,
    /// Whether it is about the resolver that is queried: then a claim that merely covers it does not count.
    pub is_about_resolver: bool,
}

/// What a public name of an instance leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicHost {
    /// The instance.
    pub instance: Index<Instance>,
    /// Whether it has an A record: the public address, inside the VPC the private one.
    pub v4: bool,
    /// Whether it has an AAAA record, the same everywhere.
    pub v6: bool,
}

impl World {
    /// Where a client at an address stands. A door bound to a view keeps it and tells which VPC's
    /// subnets are looked at first.
    pub fn vantage(&self, client: IpNet, bound: Option<ViewId>) -> Result<Vantage, NoPlace> {
        let vpc = bound.and_then(|view| self.views[view].vpc());
        let place = self.places.find(client, vpc)?;
        let view = bound.map_or_else(|| self.view_of(place), |view| self.view_for(view, place));
        Ok(Vantage { view, place })
    }

    /// The view that a place's clients have when they ask a door that is bound to none.
    pub fn view_of(&self, place: PlaceId) -> ViewId {
        match self.places[place].standing {
            Standing::Subnet(subnet) => self.view_for(self.vpcs[self.subnets[subnet].vpc].view, place),
            Standing::Site(site) => self.sites[site].view,
            Standing::Outside => self.public_view,
        }
    }

    /// The view of a door as a place's clients have it: in a subnet with DNS64 its VPC's resolver answers otherwise
    /// ("DNS64 and NAT64", VPC User Guide).
    pub fn view_for(&self, view: ViewId, place: PlaceId) -> ViewId {
        let Standing::Subnet(subnet) = self.places[place].standing else { return view };
        let subnet = &self.subnets[subnet];
        let home = &self.vpcs[subnet.vpc];
        if subnet.dns64 && view == home.view { home.dns64_view.unwrap_or(view) } else { view }
    }

    /// The name of a place: its subnet's or site's id, or `outside`.
    pub fn place_name(&self, place: PlaceId) -> Arc<str> {
        match self.places[place].standing {
            Standing::Subnet(subnet) => self.subnets[subnet].id.clone(),
            Standing::Site(site) => self.sites[site].id.clone(),
            Standing::Outside => Arc::from("outside"),
        }
    }

    /// The number of the VPC that a place lies in.
    pub fn place_vpc_index(&self, place: PlaceId) -> Option<Index<Vpc>> {
        match self.places[place].standing {
            Standing::Subnet(subnet) => Some(self.subnets[subnet].vpc),
            Standing::Site(_) | Standing::Outside => None,
        }
    }

    /// The VPC that a place lies in.
    pub fn place_vpc(&self, place: PlaceId) -> Option<&Vpc> {
        self.place_vpc_index(place).map(|index| &self.vpcs[index])
    }

    /// The id of what a route leads to; `local` where it stays inside the VPC.
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

    /// AWS's ranges: the user's where there are some, else the built-in ones.
    pub fn ranges(&self) -> &Ranges {
        self.given_ranges.as_deref().unwrap_or(&self.public.facts.ranges)
    }

    /// The zone's name of the subnet that a place lies in.
    pub fn place_zone(&self, place: PlaceId) -> Option<Arc<str>> {
        match self.places[place].standing {
            Standing::Subnet(subnet) => Some(self.subnets[subnet].availability_zone.clone()),
            Standing::Site(_) | Standing::Outside => None,
        }
    }

    /// The place with this name, seen from a bare address in it.
    pub fn place_named(&self, name: &str) -> Option<PlaceId> {
        self.places.named(name)
    }

    /// Whether somebody at this address may ask: who stands in a declared place, or is allowed by prefix.
    pub fn may_ask(&self, client: IpAddr) -> bool {
        self.places.holds(client) || self.allow.iter().any(|prefix| prefix.contains(&client))
    }
}
