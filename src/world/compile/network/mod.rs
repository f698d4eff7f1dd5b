//! Config → Network: everything that determines paths.
//!
//! The modules in the order in which they run: `vpc` (VPCs, subnets, gateways), `endpoint`, `instance`,
//! `connections` (peering connections and transit gateways), `routes`, `filters`, `sites`, `places`.

mod connections;
mod endpoint;
mod filters;
mod instance;
mod place_splits;
mod places;
mod routes;
mod sites;
mod vpc;

use super::*;
use crate::aws::ranges::{self, IpRanges};

pub(super) use endpoint::{CompiledEndpoint, address_type};

/// Compiles the network, and returns with it what the later phases need to know of its declarations.
pub(super) fn compile<'a>(cx: &mut Context<'a>) -> (Network, Declarations<'a>) {
    let mut compiler = NetworkCompiler::new(cx);
    compiler.vpcs();
    compiler.prefix_lists();
    compiler.endpoints();
    compiler.instances();
    compiler.network_interfaces();
    compiler.connections();
    compiler.routes();
    compiler.ranges();
    compiler.resolver_endpoints();
    compiler.sites();
    compiler.transit_gateway_routes();
    compiler.places();
    compiler.clients();
    let NetworkCompiler { network, declarations, .. } = compiler;
    (network, declarations)
}

/// A network under construction.
struct NetworkCompiler<'c, 'a> {
    cx: &'c mut Context<'a>,
    network: Network,
    ids: NetworkIds,
    declarations: Declarations<'a>,
    /// Whether it was reported that security groups are referenced but none is configured.
    missing_groups_reported: bool,
    /// Entries of configured prefix lists by region and ID.
    prefix_lists: HashMap<(Region, String), Vec<IpNet>>,
    /// Configured prefix lists that have a name, by region and name.
    named_prefix_lists: HashMap<(Region, String), &'a config::PrefixList>,
}

/// What each ID refers to, for references within the network.
#[derive(Default)]
struct NetworkIds {
    subnets: HashMap<String, Index<Subnet>>,
    /// The subnets of each VPC by prefix.
    subnets_by_prefix: HashMap<Index<Vpc>, PrefixMap<Index<Subnet>>>,
    route_tables: HashMap<String, (Index<Vpc>, Index<RouteTable>)>,
    /// The main route table of each VPC, if it is configured.
    main_tables: HashMap<Index<Vpc>, Index<RouteTable>>,
    nat_gateways: HashMap<String, (Index<Vpc>, Index<NatGateway>)>,
    security_groups: HashMap<String, Index<SecurityGroup>>,
    network_acls: HashMap<String, (Index<Vpc>, Index<NetworkAcl>)>,
    /// The default network ACL of each VPC.
    default_acls: HashMap<Index<Vpc>, Index<NetworkAcl>>,
    transit_gateways: HashMap<String, Index<TransitGateway>>,
    /// Instances and network interfaces that can be targets of routes.
    appliances: HashMap<String, (Index<Vpc>, Arc<Appliance>)>,
    sites: HashMap<String, Index<Site>>,
}

/// The declarations that names and settings refer to.
#[derive(Default)]
pub(super) struct Declarations<'a> {
    /// VPCs by ID.
    pub(super) vpcs: HashMap<String, Index<Vpc>>,
    /// Endpoints by ID.
    pub(super) endpoint_ids: HashMap<String, Index<Endpoint>>,
    /// Endpoints in the order of their indexes.
    pub(super) endpoints: Vec<CompiledEndpoint<'a>>,
    /// Peering connections by ID.
    pub(super) peering_connections: HashMap<String, Index<VpcPeeringConnection>>,
    /// Resolver endpoints, with their VPCs.
    pub(super) resolver_endpoints: Vec<(&'a config::ResolverEndpoint, Index<Vpc>)>,
    /// The index of each resolver endpoint among them, by ID.
    pub(super) resolver_endpoint_ids: HashMap<String, usize>,
    /// Sites in the order of their indexes.
    pub(super) sites: Vec<&'a config::Site>,
}

impl Declarations<'_> {
    /// The VPC with this ID; an error if there is none.
    pub(super) fn vpc_named<T: Display>(&self, cx: &mut Context<'_>, id: &Marked<T>) -> Option<Index<Vpc>> {
        let found = self.vpcs.get(&id.to_string()).copied();
        if found.is_none() {
            cx.unknown("VPC", &id.to_string(), id.mark(), || keys(&self.vpcs));
        }
        found
    }

    /// The resolver endpoint with this ID.
    pub(super) fn resolver_endpoint(&self, id: &str) -> Option<&config::ResolverEndpoint> {
        self.resolver_endpoint_ids.get(id).map(|number| self.resolver_endpoints[*number].0)
    }
}

impl<'c, 'a> NetworkCompiler<'c, 'a> {
    fn new(cx: &'c mut Context<'a>) -> Self {
        let network = Network::new(cx.facts);
        Self {
            cx,
            network,
            ids: NetworkIds::default(),
            declarations: Declarations::default(),
            missing_groups_reported: false,
            prefix_lists: HashMap::new(),
            named_prefix_lists: HashMap::new(),
        }
    }

    /// The VPC with this ID; an error if there is none.
    fn vpc_named<T: Display>(&mut self, id: &Marked<T>) -> Option<Index<Vpc>> {
        self.declarations.vpc_named(self.cx, id)
    }

    fn subnet_named<T: Display>(&mut self, id: &Marked<T>, vpc: Index<Vpc>) -> Option<Index<Subnet>> {
        let found = self.ids.subnets.get(&id.to_string()).copied();
        match found {
            None => {
                self.cx.unknown("subnet", &id.to_string(), id.mark(), || keys(&self.ids.subnets));
            }
            Some(index) if self.network.subnets[index].vpc != vpc => {
                let message = format!("subnet `{id}` is not in VPC `{}`", self.network.vpcs[vpc].id);
                self.cx.report.error(Code::UnknownReference, id.mark(), message);
                return None;
            }
            Some(_) => {}
        }
        found
    }

    fn groups_named<T: Display>(&mut self, ids: &[Marked<T>]) -> Vec<Index<SecurityGroup>> {
        ids.iter().filter_map(|id| self.group_named(&id.to_string(), id.mark())).collect()
    }

    /// A security group by ID. If none is configured at all, security groups are not modelled: one warning
    /// reports it, and all traffic is allowed.
    fn group_named(&mut self, id: &str, mark: Mark) -> Option<Index<SecurityGroup>> {
        let found = self.ids.security_groups.get(id).copied();
        if self.ids.security_groups.is_empty() {
            if !std::mem::replace(&mut self.missing_groups_reported, true) {
                let message = "no security groups are declared, so all traffic is treated as allowed";
                let warning = self.cx.report.warning(Code::Surprising, mark, message);
                warning.help("declare them for an evaluation of `reach`: [[vpc.security_group]]");
            }
        } else if found.is_none() {
            self.cx.unknown("security group", id, mark, || keys(&self.ids.security_groups));
        }
        found
    }

    /// Replaces the built-in AWS IP ranges by configured ones.
    fn ranges(&mut self) {
        let Some(written) = &self.cx.config.ip_ranges else { return };
        let Some((path, text)) = self.cx.named_file(written) else { return };
        match config::ip_ranges::read(&text) {
            Ok(entries) => {
                self.network.configured_ranges = Some(Box::new(IpRanges::from_entries(entries.into_iter())))
            }
            Err(error) => {
                let place = format!("{}:{}:{}", path.display(), error.line, error.column);
                let message = format!("{place}: invalid document of IP address ranges: {}", error.message);
                let error = self.cx.report.error(Code::InvalidValue, written.mark(), message);
                error.help(format!("use a copy of {}", ranges::IP_RANGES_URL));
            }
        }
    }

    /// Resolver endpoints, with their addresses in their VPC.
    fn resolver_endpoints(&mut self) {
        for written in &self.cx.config.resolver_endpoint {
            if !self.cx.declare(&written.id) {
                continue;
            }
            let Some(vpc) = self.vpc_named(&written.vpc) else { continue };
            for address in &written.addresses {
                if !self.lies_in_subnet(vpc, *address.value()) {
                    let message = format!("{address} is not in a subnet of VPC `{}`", written.vpc);
                    self.cx.report.error(Code::OutsideCidr, address.mark(), message);
                }
                self.claim_address(vpc, address, Interface::ResolverEndpoint);
            }
            let number = self.declarations.resolver_endpoints.len();
            self.declarations.resolver_endpoint_ids.insert(written.id.to_string(), number);
            self.declarations.resolver_endpoints.push((written, vpc));
        }
    }

    /// Whether an address is in a subnet of this VPC.
    fn lies_in_subnet(&self, vpc: Index<Vpc>, address: IpAddr) -> bool {
        self.ids.subnets_by_prefix.get(&vpc).is_some_and(|own| own.longest_match(address).is_some())
    }
}
