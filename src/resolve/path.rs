//! Egress paths: classes, reach, reasons, hops.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::world::{
    AccessDecision, Endpoint, Index, NatGateway, NetworkAcl, RouteTable, SecurityGroup, Site, TransitGateway,
    Vpc,
};

/// The egress path of traffic from a location to an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressPath {
    /// The kind of target of the matched route, even if the path does not work.
    pub class: Class,
    /// IDs of the objects on the path, in order.
    pub via: Vec<Arc<str>>,
    /// All hops in order, from the matched route to the end of the path.
    pub hops: Vec<Hop>,
    /// The first matched route.
    pub matched: Option<MatchedRoute>,
    /// The routes that were followed after it, in order.
    pub next_routes: Vec<NextRoute>,
    /// Whether traffic would arrive.
    pub reach: Reach,
    /// The reasons for the reach, and possible changes.
    pub reasons: Vec<Reason>,
    /// The route table that drops the traffic or the return traffic, if one does.
    pub dropped_at: Option<DroppedAt>,
    /// Where the path ends.
    pub end: PathEnd,
    /// Results of the security groups and network ACLs on the path, in order. Empty if none is configured, or
    /// if reach was not `ok` before they were evaluated.
    pub filters: Vec<FilterResult>,
    /// The endpoint at the end of the path, and the index of its network interface, if it has one.
    pub endpoint: Option<(Index<Endpoint>, Option<usize>)>,
    /// The NAT gateway that translates an address in 64:ff9b::/96 to IPv4.
    pub translated_by: Option<Index<NatGateway>>,
}

/// Where a path ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathEnd {
    /// At the client's own host, or at a link-local service of its VPC.
    Here,
    /// At an address of a VPC.
    Vpc(Index<Vpc>, IpAddr),
    /// In an on-premises network.
    Site(Index<Site>),
    /// At VPC Lattice.
    VpcLattice,
    /// At a public address, through a gateway of this VPC; `None` for an uplink.
    Public(IpAddr, Option<Index<Vpc>>),
    /// Nowhere: traffic is dropped.
    Nowhere,
    /// Unknown: the configuration does not determine it.
    Unknown,
}

/// The result of one filter on the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterResult {
    /// The filter.
    pub filter: FilterId,
    /// The direction of the evaluated rules.
    pub direction: Direction,
    /// The decision.
    pub verdict: AccessDecision,
    /// The rule that matched: for a security group, the index among the rules of that direction; for a
    /// network ACL, the rule number. `None` if no rule or several rules matched.
    pub rule: Option<usize>,
}

/// A filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterId {
    /// A security group.
    SecurityGroup(Index<SecurityGroup>),
    /// A network ACL.
    NetworkAcl(Index<NetworkAcl>),
}

/// The direction of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Inbound.
    Ingress,
    /// Outbound.
    Egress,
}

impl Direction {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }
}

/// One hop of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The ID of the object.
    pub id: Arc<str>,
    /// Its subnet.
    pub subnet: Option<Arc<str>>,
    /// Its Availability Zone.
    pub availability_zone: Option<Arc<str>>,
}

/// A route followed after the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextRoute {
    /// Number of hops before it.
    pub after: usize,
    /// Its route table.
    pub table: RouteTableRef,
    /// The matched prefix.
    pub destination: IpNet,
}

/// A route table on a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteTableRef {
    /// A route table of a VPC.
    Vpc(Index<RouteTable>),
    /// A route table of a transit gateway, by index.
    TransitGateway(Index<TransitGateway>, usize),
}

/// A route table that drops traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DroppedAt {
    /// The route table.
    pub table: RouteTableRef,
    /// The matched prefix, whose target does not continue the path. `None` if there is no route.
    pub destination: Option<IpNet>,
    /// Why return traffic is dropped there. `None` if it is delivered to a destination other than the sender.
    pub reason: Option<Reason>,
}

/// The matched route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchedRoute {
    /// The ID of the route table; that of the site for a link; `None` for an uplink.
    pub route_table: Option<Arc<str>>,
    /// The prefix.
    pub destination: IpNet,
    /// The prefix list that contains the prefix.
    pub prefix_list: Option<Arc<str>>,
    /// The target as configured.
    pub target: Arc<str>,
}

macro_rules! string_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// All variants.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name in annotations, metrics, logs and `explain`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

string_enum! {
    /// The kind of target of the matched route. A closed set, used as the metric label `path`.
    Class {
        /// Within the VPC.
        Local = "local",
        /// A network interface of an interface endpoint.
        InterfaceEndpoint = "interface-endpoint",
        /// A gateway endpoint.
        GatewayEndpoint = "gateway-endpoint",
        /// A Gateway Load Balancer endpoint.
        GatewayLoadBalancerEndpoint = "gateway-load-balancer-endpoint",
        /// A resource endpoint.
        ResourceEndpoint = "resource-endpoint",
        /// A service-network endpoint.
        ServiceNetwork = "service-network",
        /// The link-local range of VPC Lattice.
        VpcLattice = "vpc-lattice",
        /// A NAT gateway.
        NatGateway = "nat-gateway",
        /// An internet gateway.
        InternetGateway = "internet-gateway",
        /// An egress-only internet gateway.
        EgressOnlyInternetGateway = "egress-only-internet-gateway",
        /// A peering connection.
        VpcPeering = "vpc-peering",
        /// A transit gateway.
        TransitGateway = "transit-gateway",
        /// A virtual private gateway.
        VirtualPrivateGateway = "virtual-private-gateway",
        /// A Direct Connect gateway.
        DirectConnectGateway = "direct-connect-gateway",
        /// A network interface or an instance.
        NetworkInterface = "network-interface",
        /// A carrier gateway.
        CarrierGateway = "carrier-gateway",
        /// A local gateway.
        LocalGateway = "local-gateway",
        /// A core network.
        CoreNetwork = "core-network",
        /// Within the client's site.
        OnPremises = "on-premises",
        /// The location's own uplink.
        Internet = "internet",
        /// A route whose target does not exist.
        Blackhole = "blackhole",
        /// No route.
        Unreachable = "unreachable",
        /// Not modelled.
        Unknown = "unknown",
        /// An answer without addresses.
        None = "none",
    }
}

impl Class {
    /// Whether the path ends at a network interface of an endpoint in the VPC.
    pub fn is_endpoint_interface(self) -> bool {
        matches!(self, Self::InterfaceEndpoint | Self::ResourceEndpoint | Self::ServiceNetwork)
    }
}

string_enum! {
    /// Whether traffic would arrive.
    Reach {
        /// It would.
        Ok = "ok",
        /// A security group or network ACL denies it.
        Blocked = "blocked",
        /// It is dropped.
        Dead = "dead",
        /// The configuration does not determine it.
        Unknown = "unknown",
    }
}

string_enum! {
    /// A reason for the properties of a path. Stable codes, each with an example in the manual.
    Reason {
        /// The VPC has an interface endpoint for this service with private DNS disabled.
        PrivateDnsDisabled = "PRIVATE_DNS_DISABLED",
        /// A gateway endpoint for this address exists, but this route table has no route to it.
        EndpointNotAssociatedWithTable = "ENDPOINT_NOT_ASSOCIATED_WITH_TABLE",
        /// The interface endpoint's private DNS applies only to queries through an inbound endpoint.
        PrivateDnsOnlyForInboundResolver = "PRIVATE_DNS_ONLY_FOR_INBOUND_RESOLVER",
        /// No route matches.
        NoRoute = "NO_ROUTE",
        /// The target of the matched route does not exist.
        BlackholeRoute = "BLACKHOLE_ROUTE",
        /// The subnet of the NAT gateway has no route to the internet.
        NatSubnetHasNoInternetRoute = "NAT_SUBNET_HAS_NO_INTERNET_ROUTE",
        /// An internet gateway requires a public source address.
        NoPublicAddress = "NO_PUBLIC_ADDRESS",
        /// A security group denies this traffic.
        SgDenied = "SG_DENIED",
        /// A network ACL denies this traffic or its return traffic.
        NaclDenied = "NACL_DENIED",
        /// The prefix list of a gateway endpoint contains only addresses of its own region.
        CrossRegionNotInPrefixList = "CROSS_REGION_NOT_IN_PREFIX_LIST",
        /// Every endpoint interface in the answer is in an Availability Zone other than the client's.
        CrossAz = "CROSS_AZ",
        /// The AAAA record was synthesised from an A record.
        Dns64Synthesised = "DNS64_SYNTHESISED",
        /// 64:ff9b::/96 is not routed to a NAT gateway.
        Nat64PrefixWithoutNat = "NAT64_PREFIX_WITHOUT_NAT",
        /// A private hosted zone hides a public name.
        ZoneShadowsPublic = "ZONE_SHADOWS_PUBLIC",
        /// The execute-api endpoint rejects requests for public APIs with status 403.
        ApiGatewayPublicApiRefused = "API_GATEWAY_PUBLIC_API_REFUSED",
        /// A gateway endpoint cannot be used across a link, a peering connection or a transit gateway.
        GatewayEndpointNotTransitive = "GATEWAY_ENDPOINT_NOT_TRANSITIVE",
        /// The VPC's attachment to the transit gateway has no subnet in the client's Availability Zone.
        TgwNoAttachmentInAz = "TGW_NO_ATTACHMENT_IN_AZ",
        /// There is no return path to the client.
        NoReturnRoute = "NO_RETURN_ROUTE",
        /// Traffic and return traffic pass different Gateway Load Balancer endpoints.
        AsymmetricRouting = "ASYMMETRIC_ROUTING",
        /// AWS has no endpoint service for this name.
        ServiceHasNoEndpoint = "SERVICE_HAS_NO_ENDPOINT",
        /// The VPC has an endpoint for this service, but this name does not resolve to it.
        EndpointAvailableNotUsed = "ENDPOINT_AVAILABLE_NOT_USED",
        /// The client has no address of the destination's address family.
        NoAddressOfFamily = "NO_ADDRESS_OF_FAMILY",
        /// Traffic to a private address would leave via the internet and be dropped.
        PrivateAddressToInternet = "PRIVATE_ADDRESS_TO_INTERNET",
        /// A peering connection carries only traffic to addresses of the other VPC.
        PeeringNotTransitive = "PEERING_NOT_TRANSITIVE",
        /// A gateway carries only traffic of its own VPC.
        GatewayNotTransitive = "GATEWAY_NOT_TRANSITIVE",
        /// The route table of the transit gateway has no route to this address, or the attachment has no
        /// route table.
        TgwNoRoute = "TGW_NO_ROUTE",
        /// Routes form a loop.
        RoutingLoop = "ROUTING_LOOP",
        /// The source/destination check of the appliance drops the traffic.
        SourceDestCheck = "SOURCE_DEST_CHECK",
        /// The endpoint is not available.
        EndpointNotAvailable = "ENDPOINT_NOT_AVAILABLE",
        /// Addresses of VPC Lattice are valid only in associated VPCs.
        VpcNotAssociatedWithServiceNetwork = "VPC_NOT_ASSOCIATED_WITH_SERVICE_NETWORK",
        /// The configuration does not contain what is behind the target.
        TargetNotModelled = "TARGET_NOT_MODELLED",
    }
}

impl EgressPath {
    /// A path without hops.
    pub fn new(class: Class, reach: Reach) -> Self {
        Self {
            class,
            via: Vec::new(),
            hops: Vec::new(),
            matched: None,
            next_routes: Vec::new(),
            dropped_at: None,
            reach,
            reasons: Vec::new(),
            end: if reach == Reach::Dead { PathEnd::Nowhere } else { PathEnd::Unknown },
            filters: Vec::new(),
            endpoint: None,
            translated_by: None,
        }
    }

    /// The same path with another reason.
    pub fn with_reason(mut self, reason: Reason) -> Self {
        self.add(reason);
        self
    }

    /// Adds a reason, unless it is present.
    pub fn add(&mut self, reason: Reason) {
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    /// Whether two paths have the same annotation: same class, IDs, reach and reasons.
    pub fn has_same_annotation(&self, other: &Self) -> bool {
        (self.class, self.reach) == (other.class, other.reach)
            && self.via == other.via
            && self.reasons == other.reasons
    }
}
