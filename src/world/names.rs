//! Name → claim: views, claims on names, zones, resolver rules and public DNS.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::aws::{Facts, Region, endpoint_names};
use crate::config::{DnsSupportOff, SpecialUseNames};
use crate::dns::{Name, Rdata, RrSet, SuffixMap};

use super::arena::{Arena, ArenaMap, Index};
use super::claims::Claims;
use super::endpoint::{AddressFamilies, Endpoint};
use super::network::{Instance, Network, Site, Vpc};
use super::place::{NoLocation, PlaceId, PlaceKind};
use super::upstream::{Order, Upstream};
use super::zone::Zone;

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

/// The names: everything that determines which claim answers a name in a view. Its objects refer to those of
/// the network; the reverse never happens.
#[derive(Debug)]
pub struct Names {
    /// Views: each VPC, each VPC through an inbound endpoint, and public DNS.
    pub views: Arena<View>,
    /// The view of public DNS.
    pub public_view: ViewId,
    /// Claims on names.
    pub claims: Claims,
    /// The resolver of each VPC.
    pub resolvers: ArenaMap<Vpc, VpcResolver>,
    /// Inbound resolver endpoints.
    pub inbound_endpoints: Arena<InboundEndpoint>,
    /// Name resolution in each site.
    pub sites: ArenaMap<Site, SiteNames>,
    /// The site that simulates the name server at an address.
    pub simulated_servers: HashMap<IpAddr, Index<Site>>,
    /// Private hosted zones.
    pub hosted_zones: Arena<HostedZone>,
    /// Private zones of endpoints.
    pub managed_zones: Arena<ManagedZone>,
    /// Domains of generated names.
    pub internal_domains: Arena<InternalDomain>,
    /// Resolver rules.
    pub rules: Arena<Rule>,
    /// Route 53 Profiles.
    pub profiles: Arena<Profile>,
    /// Upstreams of FORWARD rules and of the internet.
    pub upstreams: Arena<Upstream>,
    /// The upstream for names without a private claim. `None` if the internet is sealed.
    pub internet: Option<Index<Upstream>>,
    /// Public DNS as known to the world.
    pub public: PublicDns,
    /// How names are answered where AWS's behaviour varies or is not documented.
    pub answers: AnswerRules,
}

/// The keys of `[answers]` that determine the records of an answer.
#[derive(Clone, Debug)]
pub struct AnswerRules {
    /// Maximum TTL, in seconds.
    pub max_ttl: u32,
    /// Maximum TTL of a negative answer, in seconds.
    pub max_negative_ttl: u32,
    /// TTL of generated names and their reverse names, in seconds.
    pub generated_name_ttl: u32,
    /// Whether `ip-` names exist for unused addresses.
    pub unused_ip_names: bool,
    /// The reply of a VPC without DNS support.
    pub dns_support_off: DnsSupportOff,
    /// How special-use names without a claim are answered.
    pub special_use_names: SpecialUseNames,
}

impl Names {
    /// The view and location of a client. `bound` is the view of the listener, if it has one, whose VPC's
    /// subnets are searched first.
    pub fn vantage(
        &self,
        network: &Network,
        client: IpNet,
        bound: Option<ViewId>,
    ) -> Result<Vantage, NoLocation> {
        let vpc = bound.and_then(|view| self.views[view].vpc());
        let place = network.places.find(client, vpc)?;
        let view =
            bound.map_or_else(|| self.view_of(network, place), |view| self.view_for(network, view, place));
        Ok(Vantage { view, place })
    }

    /// The view of a location's clients at a listener without a view.
    pub fn view_of(&self, network: &Network, place: PlaceId) -> ViewId {
        match network.places[place].kind {
            PlaceKind::Subnet(subnet) => {
                let resolver = &self.resolvers[network.subnets[subnet].vpc];
                self.view_for(network, resolver.view, place)
            }
            PlaceKind::Site(site) => self.sites[site].view,
            PlaceKind::Outside => self.public_view,
        }
    }

    /// The view of a listener as seen from a location: for subnets with DNS64, the VPC's resolver answers
    /// differently ("DNS64 and NAT64", VPC User Guide).
    pub fn view_for(&self, network: &Network, view: ViewId, place: PlaceId) -> ViewId {
        let PlaceKind::Subnet(subnet) = network.places[place].kind else { return view };
        let subnet = &network.subnets[subnet];
        let home = &self.resolvers[subnet.vpc];
        if subnet.dns64 && view == home.view { home.dns64_view.unwrap_or(view) } else { view }
    }

    /// The record types of a name according to the gateway endpoint of the view's VPC, and the dual-stack
    /// name that has AAAA records in public DNS. `None` for names other than S3's regional ones, and if no
    /// endpoint sets record types.
    pub fn chosen_by_gateway_endpoint(
        &self,
        network: &Network,
        view: ViewId,
        name: &Name,
    ) -> Option<(AddressFamilies, Name)> {
        let chosen = &self.public.s3_families;
        if chosen.is_empty() {
            return None;
        }
        let vpc = self.views[view].vpc()?;
        let families = chosen.get(&vpc)?;
        let host = name.to_string();
        let region = &network.vpcs[vpc].region;
        let sibling = endpoint_names::s3_dualstack_counterpart(host.trim_end_matches('.'), region)?;
        Some((*families, Name::parse(&sibling).ok()?))
    }
}

/// The resolver of a VPC.
#[derive(Debug)]
pub struct VpcResolver {
    /// Its view.
    pub view: ViewId,
    /// The same for subnets with DNS64, if there are any.
    pub dns64_view: Option<ViewId>,
    /// Its view through an inbound endpoint.
    pub inbound_view: ViewId,
    /// The other VPCs whose private addresses it returns because of peering connections with DNS resolution.
    /// Sorted and unique.
    pub dns_peers: Vec<Index<Vpc>>,
    /// The VPCs, including its own, whose resolvers return each other's private addresses because of transit
    /// gateways: a sorted list for each gateway, shared by all its VPCs.
    pub transit_peers: Vec<Arc<[Index<Vpc>]>>,
    /// DELEGATE rules by their delegation record.
    pub delegations: SuffixMap<Index<Rule>>,
}

impl VpcResolver {
    /// A resolver with its views, without peers or rules.
    pub(super) fn new(view: ViewId, dns64_view: Option<ViewId>, inbound_view: ViewId) -> Self {
        Self {
            view,
            dns64_view,
            inbound_view,
            dns_peers: Vec::new(),
            transit_peers: Vec::new(),
            delegations: SuffixMap::new(),
        }
    }

    /// Whether it returns private addresses of another VPC.
    pub fn resolves_private_addresses_of(&self, other: Index<Vpc>) -> bool {
        let mut among = self.transit_peers.iter();
        self.dns_peers.binary_search(&other).is_ok() || among.any(|all| all.binary_search(&other).is_ok())
    }
}

/// Name resolution in a site.
#[derive(Debug)]
pub struct SiteNames {
    /// The view of its clients.
    pub view: ViewId,
    /// The zones of its simulated name servers.
    pub zones: SuffixMap<Zone>,
}

/// An inbound resolver endpoint.
#[derive(Debug)]
pub struct InboundEndpoint {
    /// Its ID.
    pub id: Arc<str>,
    /// The VPC whose resolver it provides.
    pub vpc: Index<Vpc>,
    /// The view of its clients: the VPC's inbound view, or the same with DNS64.
    pub view: Index<View>,
}

/// A Route 53 Profile.
#[derive(Debug)]
pub struct Profile {
    /// Its ID.
    pub id: Arc<str>,
}

/// A private hosted zone.
#[derive(Debug)]
pub struct HostedZone {
    /// Its ID, or its name if no ID is configured.
    pub id: Arc<str>,
    /// Its data.
    pub zone: Zone,
}

/// The zone that AWS manages for a private DNS name of an endpoint. Its apex is the private DNS name; for a
/// wildcard, the domain after `*.`.
#[derive(Debug)]
pub struct ManagedZone {
    /// The endpoint.
    pub endpoint: Index<Endpoint>,
    /// Its data.
    pub zone: Zone,
}

/// A resolver rule.
#[derive(Debug)]
pub struct Rule {
    /// Its ID.
    pub id: Arc<str>,
    /// Its type.
    pub kind: RuleKind,
    /// Its domain; for a DELEGATE rule, its delegation record.
    pub domain: Name,
    /// The upstream of a FORWARD rule.
    pub upstream: Option<Index<Upstream>>,
    /// The addresses of the outbound endpoint from which its queries are sent. Empty: any.
    pub sources: Arc<[IpAddr]>,
    /// The order in which its servers are queried.
    pub order: Order,
}

/// The type of a resolver rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleKind {
    /// Forwards to other name servers.
    Forward,
    /// Resolves locally.
    System,
    /// Determines through which endpoint the name servers of delegated zones are queried. It has no claim.
    Delegate,
}

/// A domain that a VPC's resolver answers itself (Route 53 Developer Guide, "Domain names that VPC Resolver
/// creates autodefined system rules for").
#[derive(Debug)]
pub struct InternalDomain {
    /// Its zone: the SOA record and the names that are not generated.
    pub zone: Zone,
    /// How its other names are generated.
    pub names: Generated,
}

/// How names of an internal domain are generated.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Generated {
    /// Not at all: its zone is complete.
    Nothing,
    /// `ip-10-0-1-5` and `i-0123456789abcdef0`: instances of a region.
    Hosts(Region),
    /// Reverse names of addresses, which point to a region's internal domain.
    Reverse(Region, Name),
    /// `ec2-203-0-113-25`: names that exist in public DNS as well.
    PublicHosts,
}

/// A view.
#[derive(Debug)]
pub struct View {
    /// Its kind.
    pub kind: ViewKind,
    /// Its name in `whoami` and logs.
    pub name: Arc<str>,
    /// The view whose claims it shares: itself, except for a view that differs only in DNS64.
    pub claims: Index<Self>,
    /// Whether AAAA records are synthesised from A records (RFC 6147).
    pub dns64: bool,
}

/// The kind of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewKind {
    /// The resolver of a VPC.
    Vpc(Index<Vpc>),
    /// The resolver of a VPC through an inbound endpoint.
    Inbound(Index<Vpc>),
    /// Public DNS.
    Public,
}

impl View {
    /// The VPC of the view.
    pub fn vpc(&self) -> Option<Index<Vpc>> {
        match self.kind {
            ViewKind::Vpc(vpc) | ViewKind::Inbound(vpc) => Some(vpc),
            ViewKind::Public => None,
        }
    }
}

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
