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
use crate::config::source::{FromConfigStr, Marked, MarkedTable};
use crate::config::text::{Cidr, Destination};

/// A VPC.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vpc {
    /// The ID.
    pub id: Marked<VpcId>,
    /// The region.
    pub region: Marked<Region>,
    /// The owner account, which is included in the query log.
    pub account: Option<Marked<String>>,
    /// The CIDR blocks, the primary IPv4 block first.
    pub cidr: Vec<Marked<Cidr>>,
    /// Whether DNS support is enabled. If `false`, the resolver does not reply.
    #[serde(default = "yes")]
    pub enable_dns_support: bool,
    /// Whether DNS host names are enabled. Private hosted zones and endpoint private DNS require this and
    /// `enable_dns_support`. AWS's default is `false`.
    #[serde(default)]
    pub enable_dns_hostnames: bool,
    /// Whether it has autodefined reverse zones, if DNS host names are enabled (Route 53 Resolver API,
    /// `AutodefinedReverse`).
    #[serde(default)]
    #[schemars(extend("default" = "ENABLED"))]
    pub autodefined_reverse: AutodefinedReverse,
    /// The attached internet gateway.
    pub internet_gateway: Option<Marked<InternetGatewayId>>,
    /// The attached virtual private gateway.
    pub virtual_private_gateway: Option<Marked<VirtualPrivateGatewayId>>,
    /// The VPC Lattice service networks that it is associated with.
    #[serde(default)]
    pub service_networks: Vec<Marked<IdOrArn<kind::ServiceNetwork>>>,
    /// The subnets.
    #[serde(default)]
    pub subnet: Vec<MarkedTable<Subnet>>,
    /// The route tables.
    #[serde(default)]
    pub route_table: Vec<RouteTable>,
    /// The NAT gateways.
    #[serde(default)]
    pub nat_gateway: Vec<NatGateway>,
    /// The VPC endpoints.
    #[serde(default)]
    pub endpoint: Vec<Endpoint>,
    /// The security groups.
    #[serde(default)]
    pub security_group: Vec<SecurityGroup>,
    /// The network ACLs. If none is configured, all traffic is allowed.
    #[serde(default)]
    pub network_acl: Vec<NetworkAcl>,
    /// Network interfaces whose addresses matter, except those of instances, endpoints and gateways.
    #[serde(default)]
    pub network_interface: Vec<NetworkInterface>,
    /// Instances whose addresses matter.
    #[serde(default)]
    pub instance: Vec<MarkedTable<Instance>>,
}

/// Whether a VPC has autodefined reverse zones (Route 53 Resolver API, `ResolverConfig`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum AutodefinedReverse {
    /// It has them.
    #[default]
    Enabled,
    /// Reverse names are resolved by rules and public DNS.
    Disabled,
}

/// A subnet.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subnet {
    /// The ID.
    pub id: Marked<SubnetId>,
    /// The IPv4 CIDR block, within the VPC's. Omitted in an IPv6-only subnet.
    pub cidr: Option<Marked<Cidr>>,
    /// The IPv6 CIDR block, within the VPC's.
    pub ipv6_cidr: Option<Marked<Cidr>>,
    /// The name of the Availability Zone, such as `ap-northeast-1a`.
    pub availability_zone: Marked<String>,
    /// The associated route table. Default: the VPC's main route table.
    pub route_table: Option<Marked<RouteTableId>>,
    /// The associated network ACL. Default: the VPC's default network ACL.
    pub network_acl: Option<Marked<NetworkAclId>>,
    /// Whether instances receive a public IPv4 address. Unknown if omitted.
    pub map_public_ip_on_launch: Option<bool>,
    /// Whether clients receive AAAA records synthesised from A records, in 64:ff9b::/96 (DNS64).
    #[serde(default)]
    pub enable_dns64: bool,
    /// The default options of instances in it.
    pub private_dns_name_options_on_launch: Option<PrivateDnsNameOptions>,
}

/// The host names of instances (EC2 API, `PrivateDnsNameOptions`).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrivateDnsNameOptions {
    /// The host name of an instance. Default: `ip-name`, or `resource-name` in an IPv6-only subnet. Both
    /// names are answered in either case.
    pub hostname_type: Option<Marked<HostnameType>>,
    /// Whether the resource name, `i-…`, has an A record.
    #[serde(default)]
    pub enable_resource_name_dns_a_record: bool,
    /// Whether the resource name has an AAAA record.
    #[serde(default)]
    pub enable_resource_name_dns_aaaa_record: bool,
}

/// The host name of an instance (EC2 API, `HostnameType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostnameType {
    /// `ip-10-0-1-5`
    IpName,
    /// `i-0123456789abcdef0`
    ResourceName,
}

impl HostnameType {
    /// Its spelling in EC2's API.
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
        found.ok_or_else(|| format!("invalid value `{text}`: expected `ip-name` or `resource-name`"))
    }
}

impl FromConfigStr for HostnameType {
    const EXPECTED: &'static str = "a hostname type: `ip-name` or `resource-name`";
}

/// A route table. `local` routes are implicit.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteTable {
    /// The ID.
    pub id: Marked<RouteTableId>,
    /// Whether it is the VPC's main route table.
    #[serde(default)]
    pub main: bool,
    /// The routes, including those of gateway endpoints.
    #[serde(default)]
    pub routes: Vec<Route>,
}

/// A route.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// A prefix or a prefix list.
    pub destination: Marked<Destination>,
    /// The target. Optional for a blackhole route: AWS does not retain targets that no longer exist.
    pub target: Option<Marked<RouteTarget>>,
    /// `active`, `blackhole` or `filtered`.
    #[serde(default)]
    #[schemars(extend("default" = "active"))]
    pub state: RouteState,
    /// How it was created.
    #[serde(default)]
    #[schemars(extend("default" = "CreateRoute"))]
    pub origin: RouteOrigin,
    /// For a propagated route: its origin. Among routes for the same prefix, those of Direct Connect take
    /// precedence, then static routes of a VPN, then BGP routes of a VPN.
    #[serde(default)]
    #[schemars(extend("default" = "vpn-bgp"))]
    pub learnt_by: LearntBy,
}

/// The origin of a propagated route (VPC User Guide, "Route priority").
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
    /// In use.
    #[default]
    Active,
    /// The target does not exist; matching traffic is dropped.
    Blackhole,
    /// Withheld by the route server; matching traffic is dropped.
    Filtered,
}

/// How a route was created (EC2 API, `Route.Origin`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum RouteOrigin {
    /// Manually.
    #[default]
    CreateRoute,
    /// Together with the route table.
    CreateRouteTable,
    /// Propagated by a virtual private gateway.
    EnableVgwRoutePropagation,
    /// Advertised by a route server.
    Advertisement,
}

/// A NAT gateway.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NatGateway {
    /// The ID.
    pub id: Marked<NatGatewayId>,
    /// The subnet, whose route table its traffic follows. Omitted for a regional NAT gateway.
    pub subnet: Option<Marked<SubnetId>>,
    /// `zonal`, in one subnet, or `regional`, in none.
    #[serde(default)]
    #[schemars(extend("default" = "zonal"))]
    pub availability_mode: AvailabilityMode,
    /// For a regional NAT gateway: its own route table.
    pub route_table: Option<Marked<RouteTableId>>,
    /// The private address from which it sends within the VPC and to private networks.
    pub address: Option<Marked<IpAddr>>,
    /// The public address from which it sends.
    pub public_address: Option<Marked<IpAddr>>,
    /// `public` or `private`.
    #[serde(default)]
    #[schemars(extend("default" = "public"))]
    pub connectivity_type: ConnectivityType,
}

/// The availability mode of a NAT gateway (EC2 API, `AvailabilityMode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AvailabilityMode {
    /// In a subnet.
    #[default]
    Zonal,
    /// In every Availability Zone that needs it, with a route table of its own.
    Regional,
}

/// Whether a NAT gateway can send to the internet (EC2 API, `ConnectivityType`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ConnectivityType {
    /// Through an internet gateway.
    #[default]
    Public,
    /// Only to private networks.
    Private,
}

/// A security group.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecurityGroup {
    /// The ID.
    pub id: Marked<SecurityGroupId>,
    /// The inbound rules. If empty, no traffic is allowed.
    #[serde(default)]
    pub ingress: Vec<Ingress>,
    /// The outbound rules. Default: all traffic is allowed, as in new security groups of AWS.
    pub egress: Option<Vec<Egress>>,
}

/// An inbound rule of a security group.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ingress {
    /// `tcp`, `udp`, `icmp`, or `-1` for all protocols.
    #[serde(default = "any_protocol")]
    #[schemars(extend("default" = "-1"))]
    pub protocol: Marked<String>,
    /// The first port. Default: 0.
    #[serde(default)]
    pub from_port: u16,
    /// The last port. Default: 65535.
    #[serde(default = "last_port")]
    pub to_port: u16,
    /// Prefixes, prefix lists and security groups.
    pub sources: Vec<Marked<Destination>>,
}

/// An outbound rule of a security group.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Egress {
    /// `tcp`, `udp`, `icmp`, or `-1` for all protocols.
    #[serde(default = "any_protocol")]
    #[schemars(extend("default" = "-1"))]
    pub protocol: Marked<String>,
    /// The first port. Default: 0.
    #[serde(default)]
    pub from_port: u16,
    /// The last port. Default: 65535.
    #[serde(default = "last_port")]
    pub to_port: u16,
    /// Prefixes, prefix lists and security groups.
    pub destinations: Vec<Marked<Destination>>,
}

/// A network ACL for the subnets that are associated with it. Rules are evaluated in the order of their
/// numbers.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkAcl {
    /// The ID.
    pub id: Marked<NetworkAclId>,
    /// Whether it is the VPC's default network ACL.
    #[serde(default)]
    pub is_default: bool,
    /// The rules. Traffic that none of them matches is denied.
    #[serde(default)]
    pub entries: Vec<NetworkAclEntry>,
}

/// A rule of a network ACL (EC2 API, `NetworkAclEntry`).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkAclEntry {
    /// The rule number: the lowest one that matches applies.
    pub rule_number: u16,
    /// Whether it is an outbound rule.
    #[serde(default)]
    pub egress: bool,
    /// `tcp`, `udp`, `icmp`, or `-1` for all protocols.
    #[serde(default = "any_protocol")]
    #[schemars(extend("default" = "-1"))]
    pub protocol: Marked<String>,
    /// The first port. Default: 0.
    #[serde(default)]
    pub from_port: u16,
    /// The last port. Default: 65535.
    #[serde(default = "last_port")]
    pub to_port: u16,
    /// The remote prefix.
    pub cidr: Marked<Cidr>,
    /// `allow` or `deny`.
    pub rule_action: RuleAction,
}

/// The action of a network ACL rule (EC2 API, `RuleAction`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RuleAction {
    /// Allows traffic.
    Allow,
    /// Denies traffic.
    Deny,
}

/// A network interface whose addresses matter.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkInterface {
    /// The ID.
    pub id: Marked<NetworkInterfaceId>,
    /// The subnet.
    pub subnet: Marked<SubnetId>,
    /// The private IPv4 address. Omitted in an IPv6-only subnet.
    pub address: Option<Marked<IpAddr>>,
    /// The IPv6 address, if it has one.
    pub ipv6_address: Option<Marked<IpAddr>>,
    /// The public IPv4 address, if it has one.
    pub public_address: Option<Marked<IpAddr>>,
    /// The security groups. Default: all traffic is allowed.
    #[serde(default)]
    pub security_groups: Vec<Marked<SecurityGroupId>>,
    /// Whether it drops traffic that is neither from it nor for it. Disabled for an appliance that forwards
    /// traffic.
    #[serde(default = "yes")]
    pub source_dest_check: bool,
    /// A description.
    pub description: Option<Marked<String>>,
}

fn any_protocol() -> Marked<String> {
    Marked::from("-1".to_owned())
}

fn last_port() -> u16 {
    u16::MAX
}

/// An instance whose addresses matter: one with a public address or its own security groups.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// The ID.
    pub id: Marked<InstanceId>,
    /// The subnet.
    pub subnet: Marked<SubnetId>,
    /// The private IPv4 address. Omitted in an IPv6-only subnet.
    pub address: Option<Marked<IpAddr>>,
    /// The IPv6 address, if it has one.
    pub ipv6_address: Option<Marked<IpAddr>>,
    /// The public IPv4 address, if it has one.
    pub public_address: Option<Marked<IpAddr>>,
    /// The host name options. Default: those of the subnet.
    pub private_dns_name_options: Option<PrivateDnsNameOptions>,
    /// The security groups.
    #[serde(default)]
    pub security_groups: Vec<Marked<SecurityGroupId>>,
    /// Whether it drops traffic that is neither from it nor for it. Disabled for an appliance that forwards
    /// traffic.
    #[serde(default = "yes")]
    pub source_dest_check: bool,
}

/// A managed prefix list.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrefixList {
    /// The ID, which is unique only within its region.
    pub id: Marked<PrefixListId>,
    /// The region.
    pub region: Marked<Region>,
    /// The name, such as `com.amazonaws.ap-northeast-1.s3`.
    pub name: Option<Marked<String>>,
    /// The prefixes.
    pub entries: Vec<Marked<Cidr>>,
}
