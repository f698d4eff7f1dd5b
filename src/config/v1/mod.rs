//! The sections of a configuration file, one module per group.
//!
//! Objects of AWS have the names of AWS's API in snake case. Unknown keys are errors. The doc comments of
//! fields are the descriptions in the JSON Schema and in the manual.

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
pub use record::{Failover, GeoCoordinates, GeoLocation, GeoProximityLocation, RecordProperties, RecordText};
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
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::source::{Marked, MarkedTable};

/// A configuration. Files named in `include` are read as parts of it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The version of the configuration format. Each file may have it. A release that does not support the version
    /// of a file reports an error.
    #[serde(default)]
    #[schemars(with = "u32", range(min = 1, max = 1))]
    pub version: FormatVersion,
    /// Settings of the daemon.
    #[serde(default)]
    pub server: Server,
    /// Listeners.
    #[serde(default)]
    pub listener: Vec<MarkedTable<Listener>>,
    /// Bounds on answers.
    #[serde(default)]
    pub answers: Answers,
    /// Annotations of answers with their egress paths.
    #[serde(default)]
    pub annotate: Annotate,
    /// How names without a private claim are resolved.
    #[serde(default)]
    pub internet: Internet,
    /// The cache of answers from other name servers.
    #[serde(default)]
    pub message_cache: MessageCache,
    /// The caches of encoded replies.
    #[serde(default)]
    pub packet_cache: PacketCache,
    /// The query log.
    #[serde(default)]
    pub query_log: QueryLog,
    /// VPCs with their contents.
    #[serde(default)]
    pub vpc: Vec<MarkedTable<Vpc>>,
    /// Private hosted zones.
    #[serde(default)]
    pub hosted_zone: Vec<HostedZone>,
    /// States of health checks that record sets refer to.
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
    /// On-premises networks.
    #[serde(default)]
    pub site: Vec<Site>,
    /// Locations of clients whose address is not in a subnet or site.
    #[serde(default)]
    pub client: Vec<Client>,
    /// Managed prefix lists that the project's table lacks, or whose entries differ.
    #[serde(default)]
    pub prefix_list: Vec<PrefixList>,
    /// Records of the sealed internet.
    #[serde(default)]
    pub public: Vec<Public>,
    /// AWS's published address ranges, ip-ranges.json, which replace the project's shorter table. They
    /// determine the service and region of an address. Relative to this file.
    pub ip_ranges: Option<Marked<String>>,
    /// Expectations for `plustwo check`.
    #[serde(default)]
    pub expect: Vec<Expect>,
    /// Other files, relative to this one.
    #[serde(default)]
    #[expect(dead_code, reason = "handled before this type is deserialised; exists for the schema")]
    include: Vec<String>,
}

impl Config {
    /// Merges another piece of the same configuration: appends its lists, and takes each other section that
    /// the piece has.
    pub(super) fn merge(&mut self, piece: Self, has: impl Fn(&str) -> bool) {
        // Exhaustive, so that a new section must be handled.
        let Self {
            // Any other one is an error.
            version: FormatVersion::V1,
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

/// The version of the configuration format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FormatVersion {
    /// The only one so far.
    #[default]
    V1,
}

impl<'de> Deserialize<'de> for FormatVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match i64::deserialize(deserializer)? {
            1 => Ok(Self::V1),
            other => Err(D::Error::custom(format!(
                "unsupported format version {other}: this release of plustwo supports version 1"
            ))),
        }
    }
}

impl Serialize for FormatVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::V1 => serializer.serialize_u32(1),
        }
    }
}

fn yes() -> bool {
    true
}
