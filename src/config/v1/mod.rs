//! The sections of a configuration file, one file a group, as a user writes them.
//!
//! AWS's objects keep AWS's API names in snake case. Unknown keys are mistakes. What a section means is
//! told beside its fields: these texts are the schema's and the manual's too.

mod answer;
mod endpoint;
mod expect;
mod network;
mod profile;
mod record;
mod server;
mod site;
mod upstream;
mod vpc;
mod zone;

pub use answer::{
    Annotate, Answers, DnsSupportOff, EdeMode, Internet, InternetMode, MessageCache, NegativeSoa,
    PacketCache, Public, ServerOrder, SpecialUseNames,
};
pub use endpoint::{
    DnsRecordIpType, Endpoint, EndpointAssociation, EndpointInterface, EndpointState, EndpointType,
    IpAddressType, PrivateDnsPreference,
};
pub use expect::Expect;
pub use network::{
    AttachmentType, PeeringSide, TransitGateway, TransitGatewayAttachment, TransitGatewayRoute,
    TransitGatewayRouteTable, TransitGatewayVpcAttachment, VpcPeeringConnection,
};
pub use profile::{Profile, ProfileAssociation, ProfileSetting};
pub use record::{Failover, GeoCoordinates, GeoLocation, GeoProximityLocation, RecordMore, RecordText};
pub use server::{Client, Listener, LogTo, QueryLog, Server, Transport};
pub use site::{Link, Site, SiteZone};
pub use upstream::{ServerEntry, UpstreamServer};
pub use vpc::{
    AutodefinedReverse, AvailabilityMode, ConnectivityType, Egress, HostnameType, Ingress, Instance,
    LearntBy, NatGateway, NetworkAcl, NetworkAclEntry, NetworkInterface, PrefixList, PrivateDnsNameOptions,
    Route, RouteOrigin, RouteState, RouteTable, RuleAction, SecurityGroup, Subnet, Vpc,
};
pub use zone::{Direction, HealthCheck, HostedZone, ResolverEndpoint, ResolverRule, RuleSource, RuleType};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::source::{Marked, Placed};

/// A whole configuration. Other files named in `include` are read as if they stood in this one.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The daemon itself.
    #[serde(default)]
    pub server: Server,
    /// Where it listens.
    #[serde(default)]
    pub listener: Vec<Placed<Listener>>,
    /// Bounds on answers.
    #[serde(default)]
    pub answers: Answers,
    /// Who is told the path, and how.
    #[serde(default)]
    pub annotate: Annotate,
    /// What stands in for public DNS.
    #[serde(default)]
    pub internet: Internet,
    /// Answers of other servers that are kept.
    #[serde(default)]
    pub message_cache: MessageCache,
    /// Replies that are kept as octets.
    #[serde(default)]
    pub packet_cache: PacketCache,
    /// The query log.
    #[serde(default)]
    pub query_log: QueryLog,
    /// VPCs, with what is in them.
    #[serde(default)]
    pub vpc: Vec<Placed<Vpc>>,
    /// Private hosted zones.
    #[serde(default)]
    pub hosted_zone: Vec<HostedZone>,
    /// What health checks say that record sets name.
    #[serde(default)]
    pub health_check: Vec<HealthCheck>,
    /// Inbound and outbound resolver endpoints.
    #[serde(default)]
    pub resolver_endpoint: Vec<ResolverEndpoint>,
    /// Resolver rules.
    #[serde(default)]
    pub resolver_rule: Vec<ResolverRule>,
    /// Route 53 Profiles.
    #[serde(default)]
    pub profile: Vec<Profile>,
    /// Peering connections between VPCs.
    #[serde(default)]
    pub vpc_peering_connection: Vec<VpcPeeringConnection>,
    /// Transit gateways.
    #[serde(default)]
    pub transit_gateway: Vec<TransitGateway>,
    /// Networks on premises.
    #[serde(default)]
    pub site: Vec<Site>,
    /// Which place an address stands in, where its own prefix does not tell.
    #[serde(default)]
    pub client: Vec<Client>,
    /// Managed prefix lists that the project does not know, or knows otherwise.
    #[serde(default)]
    pub prefix_list: Vec<PrefixList>,
    /// Records of the sealed internet.
    #[serde(default)]
    pub public: Vec<Public>,
    /// AWS's published address ranges, ip-ranges.json, in place of the project's shorter table: they tell whose an
    /// address is. Relative to this file.
    pub ip_ranges: Option<Marked<String>>,
    /// What `plustwo check` expects of this configuration.
    #[serde(default)]
    pub expect: Vec<Expect>,
    /// Other files, relative to this one.
    #[serde(default)]
    #[expect(dead_code, reason = "read and emptied before this type is; it stands here for the schema")]
    include: Vec<String>,
}

impl Config {
    /// Takes in what stands in another piece of the same configuration: its lists behind the own ones, and each
    /// other section that the piece has.
    pub(super) fn take_in(&mut self, piece: Self, has: impl Fn(&str) -> bool) {
        // Taken apart whole, so that a new section does not compile before it is sorted.
        let Self {
            server,
            listener,
            answers,
            annotate,
            internet,
            message_cache,
            packet_cache,
            query_log,
            vpc,
            hosted_zone,
            health_check,
            resolver_endpoint,
            resolver_rule,
            profile,
            vpc_peering_connection,
            transit_gateway,
            site,
            client,
            prefix_list,
            public,
            ip_ranges,
            expect,
            include: _,
        } = piece;
        if has("server") {
            self.server = server;
        }
        if has("answers") {
            self.answers = answers;
        }
        if has("annotate") {
            self.annotate = annotate;
        }
        if has("internet") {
            self.internet = internet;
        }
        if has("message_cache") {
            self.message_cache = message_cache;
        }
        if has("packet_cache") {
            self.packet_cache = packet_cache;
        }
        if has("query_log") {
            self.query_log = query_log;
        }
        self.listener.extend(listener);
        self.vpc.extend(vpc);
        self.hosted_zone.extend(hosted_zone);
        self.health_check.extend(health_check);
        self.resolver_endpoint.extend(resolver_endpoint);
        self.resolver_rule.extend(resolver_rule);
        self.profile.extend(profile);
        self.vpc_peering_connection.extend(vpc_peering_connection);
        self.transit_gateway.extend(transit_gateway);
        self.site.extend(site);
        self.client.extend(client);
        self.prefix_list.extend(prefix_list);
        self.public.extend(public);
        self.ip_ranges = self.ip_ranges.take().or(ip_ranges);
        self.expect.extend(expect);
    }
}

fn yes() -> bool {
    true
}
