//! The vocabulary of ways out: classes, reach, reasons, hops.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::world::{
    Admission, Endpoint, Index, NatGateway, NetworkAcl, RouteTable, SecurityGroup, Site, TransitGateway, Vpc,
};

/// The way that traffic from a place to an address leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressPath {
    /// What the matched route points at, even if it cannot work.
    pub class: Class,
    /// Ids on the way, in order.
    pub via: Vec<Arc<str>>,
    /// Every hop, in order, from the route that matched to where the traffic lands.
    pub hops: Vec<Hop>,
    /// The route that matched first.
    pub matched: Option<Matched>,
    /// The routes that were followed after it, in order.
    pub later: Vec<Later>,
    /// Whether traffic would get through.
    pub reach: Reach,
    /// Why it is so, or what is one change away.
    pub reasons: Vec<Reason>,
    /// The table that loses the traffic, or the replies to it, where a table does.
    pub lost: Option<Lost>,
    /// Where the traffic ends up.
    pub end: End,
    /// What security groups and network ACLs on the way say, in order. Empty where none is declared, and where the way
    /// ends nowhere.
    pub filters: Vec<Filter>,
    /// The endpoint at the end of the way, and its interface's number if it is reached by one.
    pub endpoint: Option<(Index<Endpoint>, Option<usize>)>,
    /// The NAT gateway that makes IPv4 of what goes to an address of 64:ff9b::/96.
    pub translated_by: Option<Index<NatGateway>>,
}

/// Where traffic ends up, as a world has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// At the sender's own host, or at a link-local service of its VPC.
    Here,
    /// At an address of a VPC.
    Vpc(Index<Vpc>, IpAddr),
    /// In a network on premises.
    Site(Index<Site>),
    /// At VPC Lattice.
    VpcLattice,
    /// At a public address, by a gateway of this VPC. `None`: by somebody's own uplink.
    Public(IpAddr, Option<Index<Vpc>>),
    /// Nowhere: it is dropped.
    Nowhere,
    /// Nobody can tell from this configuration.
    Unknown,
}

/// What one filter on the way says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Which.
    pub by: FilterId,
    /// Of its rules in which direction.
    pub direction: Direction,
    /// What it says.
    pub verdict: Admission,
    /// The rule that decided: a security group's by its place among the rules of that direction, from 0, a network
    /// ACL's by its number. `None`: no rule spoke of it, or several did.
    pub rule: Option<usize>,
}

/// What filters traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterId {
    /// A security group.
    SecurityGroup(Index<SecurityGroup>),
    /// A network ACL.
    NetworkAcl(Index<NetworkAcl>),
}

/// A direction, as rules have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// What comes in.
    Ingress,
    /// What goes out.
    Egress,
}

impl Direction {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }
}

/// One hop of a way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The id of what is passed.
    pub id: Arc<str>,
    /// The subnet it stands in.
    pub subnet: Option<Arc<str>>,
    /// The zone it stands in.
    pub availability_zone: Option<Arc<str>>,
}

/// A route that was followed on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Later {
    /// How many hops were passed before it.
    pub after: usize,
    /// Whose table it stands in.
    pub table: LaterTable,
    /// The prefix that matched.
    pub destination: IpNet,
}

/// A table that is looked at on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaterTable {
    /// A route table of a VPC.
    Vpc(Index<RouteTable>),
    /// Of a transit gateway, by its number there.
    TransitGateway(Index<TransitGateway>, usize),
}

/// A table that leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Whose table it stands in.
    pub table: LaterTable,
    /// The prefix that matched there, and does not lead to where it should. `None`: there is no route.
    pub destination: Option<IpNet>,
    /// What ends replies there. `None`: they come to somebody else.
    pub reason: Option<Reason>,
}

/// The route that matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matched {
    /// The route table's id; the site's id for a link, nothing for an uplink.
    pub route_table: Option<Arc<str>>,
    /// The prefix.
    pub destination: IpNet,
    /// The prefix list that the prefix came from.
    pub prefix_list: Option<Arc<str>>,
    /// The route's target as written.
    pub target: Arc<str>,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word for it, in annotations, metrics, logs and `explain`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

words! {
    /// What the matched route points at. A closed set, and the metric label `path`.
    Class {
        /// Inside the VPC.
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
        /// VPC Lattice's link-local range.
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
        /// Inside the asking site.
        OnPremises = "on-premises",
        /// The place's own uplink.
        Internet = "internet",
        /// A route whose target is gone.
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
    /// Whether the way ends at a network interface of an endpoint inside the VPC.
    pub fn is_endpoint_interface(self) -> bool {
        matches!(self, Self::InterfaceEndpoint | Self::ResourceEndpoint | Self::ServiceNetwork)
    }
}

words! {
    /// Whether traffic would get through.
    Reach {
        /// It would.
        Ok = "ok",
        /// A security group or network ACL stops it.
        Blocked = "blocked",
        /// The way ends nowhere.
        Dead = "dead",
        /// Nobody can tell from this configuration.
        Unknown = "unknown",
    }
}

words! {
    /// Why a path is as it is. Stable codes, each in the manual with an example.
    Reason {
        /// The VPC has an interface endpoint for this service, with private DNS off.
        PrivateDnsDisabled = "PRIVATE_DNS_DISABLED",
        /// A gateway endpoint for this address exists, but this route table has no route to it.
        EndpointNotAssociatedWithTable = "ENDPOINT_NOT_ASSOCIATED_WITH_TABLE",
        /// The interface endpoint's private DNS is for queries through an inbound endpoint only.
        PrivateDnsOnlyForInboundResolver = "PRIVATE_DNS_ONLY_FOR_INBOUND_RESOLVER",
        /// No route matches.
        NoRoute = "NO_ROUTE",
        /// The matched route's target is gone.
        BlackholeRoute = "BLACKHOLE_ROUTE",
        /// The NAT gateway's own subnet has no way to the internet.
        NatSubnetHasNoInternetRoute = "NAT_SUBNET_HAS_NO_INTERNET_ROUTE",
        /// An internet gateway needs a public address at the source.
        NoPublicAddress = "NO_PUBLIC_ADDRESS",
        /// The endpoint's security groups do not admit this client.
        SgDenies443 = "SG_DENIES_443",
        /// A network ACL denies this traffic.
        NaclDenies443 = "NACL_DENIES_443",
        /// A gateway endpoint's prefix list holds its own region's addresses only.
        CrossRegionNotInPrefixList = "CROSS_REGION_NOT_IN_PREFIX_LIST",
        /// Every address of the answer is in another zone than the client.
        CrossAz = "CROSS_AZ",
        /// The AAAA record was made from an A record.
        Dns64Synthesised = "DNS64_SYNTHESISED",
        /// 64:ff9b::/96 does not lead to a NAT gateway.
        Nat64PrefixWithoutNat = "NAT64_PREFIX_WITHOUT_NAT",
        /// A private zone hides a public name.
        ZoneShadowsPublic = "ZONE_SHADOWS_PUBLIC",
        /// The execute-api endpoint refuses public APIs with 403.
        ApiGatewayPublicApiRefused = "API_GATEWAY_PUBLIC_API_REFUSED",
        /// A gateway endpoint cannot be used across a link, a peering or a transit gateway.
        GatewayEndpointNotTransitive = "GATEWAY_ENDPOINT_NOT_TRANSITIVE",
        /// The transit gateway has no attachment in the client's zone.
        TgwNoAttachmentInAz = "TGW_NO_ATTACHMENT_IN_AZ",
        /// Replies would not find their way back.
        NoReturnRoute = "NO_RETURN_ROUTE",
        /// Requests and replies do not pass the same Gateway Load Balancer endpoints.
        AsymmetricRouting = "ASYMMETRIC_ROUTING",
        /// AWS has no endpoint service for this name.
        ServiceHasNoEndpoint = "SERVICE_HAS_NO_ENDPOINT",
        /// The VPC has an endpoint for this service, and this name does not lead to it.
        EndpointAvailableNotUsed = "ENDPOINT_AVAILABLE_NOT_USED",
        /// The client has no address of the destination's family.
        NoAddressOfFamily = "NO_ADDRESS_OF_FAMILY",
        /// A private address was sent to the internet, which drops it.
        PrivateAddressToInternet = "PRIVATE_ADDRESS_TO_INTERNET",
        /// A peering connection carries traffic to the other VPC's own addresses alone.
        PeeringNotTransitive = "PEERING_NOT_TRANSITIVE",
        /// A gateway carries its own VPC's traffic alone.
        GatewayNotTransitive = "GATEWAY_NOT_TRANSITIVE",
        /// The transit gateway's table has no route to this address, or the attachment has no table.
        TgwNoRoute = "TGW_NO_ROUTE",
        /// Tables lead in a circle.
        RoutingLoop = "ROUTING_LOOP",
        /// The appliance drops what is neither from it nor to it.
        SourceDestCheck = "SOURCE_DEST_CHECK",
        /// The endpoint is not available.
        EndpointNotAvailable = "ENDPOINT_NOT_AVAILABLE",
        /// VPC Lattice's addresses mean something in associated VPCs alone.
        VpcNotAssociatedWithServiceNetwork = "VPC_NOT_ASSOCIATED_WITH_SERVICE_NETWORK",
        /// What lies behind the target is not in this configuration.
        TargetNotModelled = "TARGET_NOT_MODELLED",
    }
}

impl EgressPath {
    /// A path that ends where it begins.
    pub fn of(class: Class, reach: Reach) -> Self {
        Self {
            class,
            via: Vec::new(),
            hops: Vec::new(),
            matched: None,
            later: Vec::new(),
            lost: None,
            reach,
            reasons: Vec::new(),
            end: if reach == Reach::Dead { End::Nowhere } else { End::Unknown },
            filters: Vec::new(),
            endpoint: None,
            translated_by: None,
        }
    }

    /// The same path with a reason more.
    pub fn because(mut self, reason: Reason) -> Self {
        self.add(reason);
        self
    }

    /// Adds a reason, once.
    pub fn add(&mut self, reason: Reason) {
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    /// Whether two paths are told as one: same class, same ids, same reach, same reasons.
    pub fn is_told_as(&self, other: &Self) -> bool {
        (self.class, self.reach) == (other.class, other.reach)
            && self.via == other.via
            && self.reasons == other.reasons
    }
}
