//! VPCs: subnets, route tables, NAT gateways, security groups, instances.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Endpoint, yes};
use crate::aws::{
    IdOrArn, InstanceId, InternetGatewayId, NatGatewayId, NetworkAclId, NetworkInterfaceId, PrefixListId,
    Region, RouteTableId, RouteTarget, SecurityGroupId, SubnetId, VirtualPrivateGatewayId, VpcId, kind,
};
use crate::config::source::{Marked, Placed, FromConfigStr};
use crate::config::text::{Cidr, Destination};

/// A VPC.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vpc {
    /// Its id.
    pub id: Marked<VpcId>,
    /// Its region.
    pub region: Marked<Region>,
    /// The account that owns it; stands in the query log.
    pub account: Option<Marked<String>>,
    /// Its prefixes, the primary IPv4 one first.
    pub cidr: Vec<Marked<Cidr>>,
    /// Whether the resolver answers at all. When false it says nothing.
    #[serde(default = "yes")]
    pub enable_dns_support: bool,
    /// Whether instances have names. Private hosted zones and endpoint private DNS need this and
    /// `enable_dns_support`. AWS's default is false.
    #[serde(default)]
    pub enable_dns_hostnames: bool,
    /// Whether it has the reverse zones that AWS defines by itself, when it has host names (Route 53 Resolver API,
    /// `AutodefinedReverse`).
    #[serde(default)]
    #[schemars(extend("default" = "ENABLED"))]
    pub autodefined_reverse: AutodefinedReverse,
    /// The internet gateway attached to it.
    pub internet_gateway: Option<Marked<InternetGatewayId>>,
    /// The virtual private gateway attached to it.
    pub virtual_private_gateway: Option<Marked<VirtualPrivateGatewayId>>,
    /// The VPC Lattice service networks that it is associated with.
    #[serde(default)]
    pub service_networks: Vec<Marked<IdOrArn<kind::ServiceNetwork>>>,
    /// Its subnets.
    #[serde(default)]
    pub subnet: Vec<Placed<Subnet>>,
    /// Its route tables.
    #[serde(default)]
    pub route_table: Vec<RouteTable>,
    /// Its NAT gateways.
    #[serde(default)]
    pub nat_gateway: Vec<NatGateway>,
    /// Its VPC endpoints.
    #[serde(default)]
    pub endpoint: Vec<Endpoint>,
    /// Its security groups.
    #[serde(default)]
    pub security_group: Vec<SecurityGroup>,
    /// Its network ACLs. With none declared, everything is taken as allowed.
    #[serde(default)]
    pub network_acl: Vec<NetworkAcl>,
    /// Network interfaces whose addresses matter and that are no instance's, endpoint's or gateway's.
    #[serde(default)]
    pub network_interface: Vec<NetworkInterface>,
    /// Instances whose addresses matter.
    #[serde(default)]
    pub instance: Vec<Placed<Instance>>,
}

/// Whether a VPC has reverse zones that AWS defines by itself (Route 53 Resolver API, `ResolverConfig`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum AutodefinedReverse {
    /// It has.
    #[default]
    Enabled,
    /// Reverse names are asked of rules and of public DNS like others.
    Disabled,
}

/// A subnet.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subnet {
    /// Its id.
    pub id: Marked<SubnetId>,
    /// Its IPv4 prefix, inside the VPC's. None in a subnet of IPv6 alone.
    pub cidr: Option<Marked<Cidr>>,
    /// Its IPv6 prefix, inside the VPC's.
    pub ipv6_cidr: Option<Marked<Cidr>>,
    /// The zone's name, such as `ap-northeast-1a`.
    pub availability_zone: Marked<String>,
    /// The route table associated with it; the VPC's main table when not said.
    pub route_table: Option<Marked<RouteTableId>>,
    /// The network ACL associated with it; the VPC's default one when not said.
    pub network_acl: Option<Marked<NetworkAclId>>,
    /// Whether instances get a public IPv4 address. Unknown when not said.
    pub map_public_ip_on_launch: Option<bool>,
    /// Whether its clients get AAAA records made from A records, in 64:ff9b::/96 (DNS64).
    #[serde(default)]
    pub enable_dns64: bool,
    /// What instances in it have unless they say otherwise.
    pub private_dns_name_options_on_launch: Option<PrivateDnsNameOptions>,
}

/// The host names of instances (EC2 API, `PrivateDnsNameOptions`).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrivateDnsNameOptions {
    /// What an instance calls itself: `ip-name` unless said, `resource-name` in a subnet of IPv6 alone. Both names
    /// are answered whatever it is.
    pub hostname_type: Option<Marked<HostnameType>>,
    /// Whether the resource name, `i-…`, has an A record.
    #[serde(default)]
    pub enable_resource_name_dns_a_record: bool,
    /// Whether the resource name has an AAAA record.
    #[serde(default)]
    pub enable_resource_name_dns_aaaa_record: bool,
}

/// What an instance calls itself (EC2 API, `HostnameType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostnameType {
    /// `ip-10-0-1-5`
    IpName,
    /// `i-0123456789abcdef0`
    ResourceName,
}

impl HostnameType {
    /// The word of EC2's API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IpName => "ip-name",
            Self::ResourceName => "resource-name",
        }
    }
}

impl fmt::Display for HostnameType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for HostnameType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::IpName, Self::ResourceName];
        let found = all.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| format!("`{text}` is neither `ip-name` nor `resource-name`"))
    }
}

impl FromConfigStr for HostnameType {
    const EXPECTED: &'static str = "a type of host names: `ip-name` or `resource-name`";
}

/// A route table. `local` routes are implied.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteTable {
    /// Its id.
    pub id: Marked<RouteTableId>,
    /// Whether it is the VPC's main table.
    #[serde(default)]
    pub main: bool,
    /// Its routes, a gateway endpoint's too.
    #[serde(default)]
    pub routes: Vec<Route>,
}

/// One route.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// A prefix or a prefix list.
    pub destination: Marked<Destination>,
    /// Where it leads. A route that does not forward needs none: AWS forgets a target that is gone.
    pub target: Option<Marked<RouteTarget>>,
    /// `active`, `blackhole` or `filtered`.
    #[serde(default)]
    #[schemars(extend("default" = "active"))]
    pub state: RouteState,
    /// How it came into the table.
    #[serde(default)]
    #[schemars(extend("default" = "CreateRoute"))]
    pub origin: RouteOrigin,
    /// For a propagated route: what it was learnt by. Of routes to one prefix Direct Connect's go first, then a VPN's
    /// static ones, then a VPN's that BGP brought.
    #[serde(default)]
    #[schemars(extend("default" = "vpn-bgp"))]
    pub learnt_by: LearntBy,
}

/// What a propagated route was learnt by (VPC User Guide, "Route priority").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LearntBy {
    /// BGP over Direct Connect.
    DirectConnect,
    /// A static route of a VPN connection.
    VpnStatic,
    /// BGP over a VPN connection.
    #[default]
    VpnBgp,
}

/// The state of a route (EC2 API, `Route.State`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RouteState {
    /// It forwards.
    #[default]
    Active,
    /// Its target is gone; what it matches is dropped.
    Blackhole,
    /// The route server holds it back; what it matches is dropped.
    Filtered,
}

/// How a route came into its table (EC2 API, `Route.Origin`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum RouteOrigin {
    /// Somebody wrote it.
    #[default]
    CreateRoute,
    /// It came with the table.
    CreateRouteTable,
    /// A virtual private gateway propagated it.
    EnableVgwRoutePropagation,
    /// A route server advertised it.
    Advertisement,
}

/// A NAT gateway.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NatGateway {
    /// Its id.
    pub id: Marked<NatGatewayId>,
    /// The subnet it stands in, whose route table its traffic follows. None for a regional one.
    pub subnet: Option<Marked<SubnetId>>,
    /// `zonal`, in one subnet, or `regional`, in none.
    #[serde(default)]
    #[schemars(extend("default" = "zonal"))]
    pub availability_mode: AvailabilityMode,
    /// For a regional one: its own route table.
    pub route_table: Option<Marked<RouteTableId>>,
    /// The private address that it sends from inside the VPC and to private networks.
    pub address: Option<Marked<IpAddr>>,
    /// The public address it sends from.
    pub public_address: Option<Marked<IpAddr>>,
    /// `public` or `private`.
    #[serde(default)]
    #[schemars(extend("default" = "public"))]
    pub connectivity_type: ConnectivityType,
}

/// Where a NAT gateway stands (EC2 API, `AvailabilityMode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AvailabilityMode {
    /// In a subnet.
    #[default]
    Zonal,
    /// In every zone that needs it, with a route table of its own.
    Regional,
}

/// Whether a NAT gateway may send to the internet (EC2 API, `ConnectivityType`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ConnectivityType {
    /// Through an internet gateway.
    #[default]
    Public,
    /// To private networks only.
    Private,
}

/// A security group: what it admits, and what it lets out.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecurityGroup {
    /// Its id.
    pub id: Marked<SecurityGroupId>,
    /// What may come in. Nothing, when empty.
    #[serde(default)]
    pub ingress: Vec<Ingress>,
    /// What may go out. Everything, when not said, as AWS makes groups.
    pub egress: Option<Vec<Egress>>,
}

/// One rule of a security group.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ingress {
    /// `tcp`, `udp`, `icmp`, or `-1` for all, as AWS writes it.
    #[serde(default = "any_protocol")]
    #[schemars(extend("default" = "-1"))]
    pub protocol: Marked<String>,
    /// First port; 0 when not said.
    #[serde(default)]
    pub from_port: u16,
    /// Last port; 65535 when not said.
    #[serde(default = "last_port")]
    pub to_port: u16,
    /// Prefixes, prefix lists and other groups.
    pub sources: Vec<Marked<Destination>>,
}

/// One rule of a security group for what goes out.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Egress {
    /// `tcp`, `udp`, `icmp`, or `-1` for all, as AWS writes it.
    #[serde(default = "any_protocol")]
    #[schemars(extend("default" = "-1"))]
    pub protocol: Marked<String>,
    /// First port; 0 when not said.
    #[serde(default)]
    pub from_port: u16,
    /// Last port; 65535 when not said.
    #[serde(default = "last_port")]
    pub to_port: u16,
    /// Prefixes, prefix lists and other groups.
    pub destinations: Vec<Marked<Destination>>,
}

/// A network ACL: what passes into the subnets associated with it, and out of them, in the order of rule numbers.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkAcl {
    /// Its id.
    pub id: Marked<NetworkAclId>,
    /// Whether it is the VPC's default one.
    #[serde(default)]
    pub is_default: bool,
    /// Its rules. What none of them speaks of is denied.
    #[serde(default)]
    pub entries: Vec<NetworkAclEntry>,
}

/// One rule of a network ACL (EC2 API, `NetworkAclEntry`).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkAclEntry {
    /// Its place: the lowest number that matches decides.
    pub rule_number: u16,
    /// Whether it is for what goes out.
    #[serde(default)]
    pub egress: bool,
    /// `tcp`, `udp`, `icmp`, or `-1` for all, as AWS writes it.
    #[serde(default = "any_protocol")]
    #[schemars(extend("default" = "-1"))]
    pub protocol: Marked<String>,
    /// First port; 0 when not said.
    #[serde(default)]
    pub from_port: u16,
    /// Last port; 65535 when not said.
    #[serde(default = "last_port")]
    pub to_port: u16,
    /// The prefix at the other end.
    pub cidr: Marked<Cidr>,
    /// `allow` or `deny`.
    pub rule_action: RuleAction,
}

/// What a rule of a network ACL does (EC2 API, `RuleAction`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RuleAction {
    /// It lets pass.
    Allow,
    /// It drops.
    Deny,
}

/// A network interface whose addresses matter.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkInterface {
    /// Its id.
    pub id: Marked<NetworkInterfaceId>,
    /// The subnet it stands in.
    pub subnet: Marked<SubnetId>,
    /// Its private IPv4 address. None in a subnet of IPv6 alone.
    pub address: Option<Marked<IpAddr>>,
    /// Its IPv6 address, if it has one.
    pub ipv6_address: Option<Marked<IpAddr>>,
    /// Its public IPv4 address, if it has one.
    pub public_address: Option<Marked<IpAddr>>,
    /// Its security groups. When none is said, everything is taken as admitted.
    #[serde(default)]
    pub security_groups: Vec<Marked<SecurityGroupId>>,
    /// Whether it drops traffic that is neither from it nor to it. An appliance that routes lead to has this off.
    #[serde(default = "yes")]
    pub source_dest_check: bool,
    /// What it is, for people.
    pub description: Option<Marked<String>>,
}

fn any_protocol() -> Marked<String> {
    Marked::from("-1".to_owned())
}

fn last_port() -> u16 {
    u16::MAX
}

/// An instance whose addresses matter: it has a public address, or groups of its own.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// Its id.
    pub id: Marked<InstanceId>,
    /// The subnet it stands in.
    pub subnet: Marked<SubnetId>,
    /// Its private IPv4 address. None in a subnet of IPv6 alone.
    pub address: Option<Marked<IpAddr>>,
    /// Its IPv6 address, if it has one.
    pub ipv6_address: Option<Marked<IpAddr>>,
    /// Its public IPv4 address, if it has one.
    pub public_address: Option<Marked<IpAddr>>,
    /// Its host names; its subnet's choice when not said.
    pub private_dns_name_options: Option<PrivateDnsNameOptions>,
    /// Its security groups.
    #[serde(default)]
    pub security_groups: Vec<Marked<SecurityGroupId>>,
    /// Whether it drops traffic that is neither from it nor to it. An appliance that routes lead to has this off.
    #[serde(default = "yes")]
    pub source_dest_check: bool,
}

/// A managed prefix list.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrefixList {
    /// Its id, unique within its region only.
    pub id: Marked<PrefixListId>,
    /// Its region.
    pub region: Marked<Region>,
    /// Its name, such as `com.amazonaws.ap-northeast-1.s3`.
    pub name: Option<Marked<String>>,
    /// Its prefixes.
    pub entries: Vec<Marked<Cidr>>,
}
