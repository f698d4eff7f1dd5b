//! VPCs: subnets, route tables (without their routes), NAT gateways.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::*;
use crate::config;
use crate::config::{AvailabilityMode, ConnectivityType};

/// The first address of a subnet, relative to its base, that can be assigned: AWS reserves those before it,
/// and the last one ("Subnet CIDR blocks", VPC User Guide).
const FIRST_ASSIGNABLE: u32 = 4;

impl NetworkCompiler<'_, '_> {
    /// VPCs with everything in them that does not depend on routes or names.
    pub(super) fn vpcs(&mut self) {
        for vpc in &self.cx.config.vpc {
            if self.cx.declare(&vpc.id) {
                self.vpc(vpc);
            }
        }
        self.declare_security_groups();
    }

    fn vpc(&mut self, vpc: &MarkedTable<config::Vpc>) {
        let cidrs: Vec<IpNet> = vpc.cidr.iter().map(|cidr| cidr.value().0).collect();
        if !cidrs.iter().any(|cidr| cidr.addr().is_ipv4()) {
            let message = format!("VPC `{}` has no IPv4 prefix", vpc.id);
            let error = self.cx.report.error(Code::InvalidValue, vpc.id.mark(), message);
            error.help(
                "write `cidr = [\"10.0.0.0/16\"]`: the resolver has the base address of the first prefix plus two",
            );
        }
        let contradicts = vpc.enable_dns_hostnames && !vpc.enable_dns_support;
        if contradicts {
            let message = "`enable_dns_hostnames` requires `enable_dns_support`";
            self.cx.report.error(Code::InvalidValue, vpc.id.mark(), message);
        }
        // If an attribute is invalid, which is reported, errors that depend on its value are suppressed.
        let mistaken = contradicts
            || ["enable_dns_support", "enable_dns_hostnames"].iter().any(|key| self.cx.was_pruned(vpc, key));
        let index = self.network.vpcs.next_index();
        let name = vpc.id.value().to_shared();
        self.network.vpcs.add(Vpc {
            id: name,
            region: vpc.region.value().clone(),
            account: vpc.account.as_ref().map(|account| account.value().as_str().into()),
            cidrs: cidrs.clone(),
            dns_support: vpc.enable_dns_support || mistaken,
            dns_hostnames: (vpc.enable_dns_support && vpc.enable_dns_hostnames) || mistaken,
            internet_gateway: vpc.internet_gateway.as_ref().map(|gateway| gateway.value().to_shared()),
            has_service_network: !vpc.service_networks.is_empty(),
            linked_sites: Vec::new(),
            has_inner_routes: false,
            endpoints: Vec::new(),
            interfaces: HashMap::new(),
        });
        self.declarations.vpcs.insert(vpc.id.to_string(), index);
        self.route_tables_of(vpc, index, &cidrs);
        self.network_acls_of(vpc, index);
        self.subnets_of(vpc, index, &cidrs);
        self.nat_gateways_of(vpc, index);
    }

    fn route_tables_of(&mut self, vpc: &config::Vpc, index: Index<Vpc>, cidrs: &[IpNet]) {
        for table in &vpc.route_table {
            if !self.cx.declare(&table.id) {
                continue;
            }
            let made =
                self.network.route_tables.add(RouteTable::new(Some(table.id.value().to_shared()), cidrs));
            self.ids.route_tables.insert(table.id.to_string(), (index, made));
            if table.main && self.ids.main_tables.insert(index, made).is_some() {
                let message = format!("VPC `{}` has two main route tables", vpc.id);
                self.cx.report.error(Code::DuplicateSection, table.id.mark(), message);
            }
        }
    }

    fn subnets_of(&mut self, vpc: &config::Vpc, index: Index<Vpc>, cidrs: &[IpNet]) {
        // The first subnet of each prefix, with its index.
        let mut taken: PrefixMap<(usize, Arc<str>)> = PrefixMap::new();
        for (number, subnet) in vpc.subnet.iter().enumerate() {
            if !self.cx.declare(&subnet.id) {
                continue;
            }
            let own: Vec<_> = subnet.cidr.iter().chain(&subnet.ipv6_cidr).collect();
            self.check_families(subnet);
            self.check_zone(subnet, vpc.region.value());
            for cidr in &own {
                let net = cidr.value().0;
                if !cidrs.iter().any(|whole| whole.contains(&net)) {
                    let message = format!("subnet `{}` is not within VPC `{}`", subnet.id, vpc.id);
                    let error = self.cx.report.error(Code::OutsideCidr, cidr.mark(), message);
                    let list: Vec<String> = cidrs.iter().map(ToString::to_string).collect();
                    error.help(format!("the CIDR blocks of the VPC are {}", list.join(", ")));
                }
                let first = taken.overlapping(&net).min_by_key(|(_, (number, _))| *number);
                if let Some((other, (_, name))) = first {
                    let message = format!("`{net}` overlaps {other} of subnet `{name}`");
                    self.cx.report.error(Code::OverlappingCidr, cidr.mark(), message);
                }
                taken.get_or_insert_with(net, || (number, subnet.id.value().to_shared()));
            }
            let route_table = self.route_table_of(subnet, index);
            let network_acl = self.network_acl_of(subnet, index);
            let made = self.network.subnets.add(Subnet {
                id: subnet.id.value().to_shared(),
                vpc: index,
                cidrs: own.iter().map(|cidr| cidr.value().0).collect(),
                availability_zone: subnet.availability_zone.value().as_str().into(),
                route_table,
                network_acl,
                map_public_ip_on_launch: subnet.map_public_ip_on_launch,
                dns64: subnet.enable_dns64,
            });
            self.ids.subnets.insert(subnet.id.to_string(), made);
            let own_prefixes = self.ids.subnets_by_prefix.entry(index).or_default();
            for cidr in own {
                own_prefixes.insert(cidr.value().0, made);
            }
        }
    }

    /// Checks that a subnet's Availability Zone, which may be a Local Zone, is in its VPC's region: its name
    /// starts with that of the region.
    fn check_zone(&mut self, subnet: &MarkedTable<config::Subnet>, region: &Region) {
        let zone = &subnet.availability_zone;
        if self.cx.was_pruned(subnet, "availability_zone") || zone.value().starts_with(region.as_str()) {
            return;
        }
        let message = format!("Availability Zone `{zone}` of subnet `{}` is not in {region}", subnet.id);
        let error = self.cx.report.error(Code::InvalidValue, zone.mark(), message);
        error.help(format!(
            "the name of an Availability Zone begins with that of its region, such as `{region}a`"
        ));
    }

    /// Reports CIDR blocks of a subnet that are of the wrong address family.
    fn check_families(&mut self, subnet: &MarkedTable<config::Subnet>) {
        let is_bare = subnet.cidr.is_none() && subnet.ipv6_cidr.is_none();
        let is_pruned = ["cidr", "ipv6_cidr"].iter().any(|key| self.cx.was_pruned(subnet, key));
        if is_bare && !is_pruned {
            let message = format!("subnet `{}` has no CIDR block", subnet.id);
            let error = self.cx.report.error(Code::MissingKey, subnet.id.mark(), message);
            error.help("write `cidr = \"10.0.1.0/24\"`, `ipv6_cidr` for an IPv6-only subnet, or both");
        }
        for (written, is_v4) in [(&subnet.cidr, true), (&subnet.ipv6_cidr, false)] {
            let Some(cidr) = written.as_ref().filter(|cidr| cidr.value().0.addr().is_ipv4() != is_v4) else {
                continue;
            };
            let (key, family) = if is_v4 { ("cidr", "IPv4") } else { ("ipv6_cidr", "IPv6") };
            let message = format!("`{key}` of a subnet must be an {family} prefix");
            let error = self.cx.report.error(Code::InvalidValue, cidr.mark(), message);
            error.help("`cidr` is for IPv4, `ipv6_cidr` for IPv6");
        }
    }

    /// The route table of a subnet: its own, or else the main one of its VPC. If there is none, which is
    /// reported, an empty one is used, so that references to the subnet do not cause further errors.
    fn route_table_of(&mut self, subnet: &config::Subnet, vpc: Index<Vpc>) -> Index<RouteTable> {
        let Some(id) = &subnet.route_table else {
            let main = self.ids.main_tables.get(&vpc).copied();
            if main.is_none() {
                let message =
                    format!("subnet `{}` has no route table, and its VPC has no main route table", subnet.id);
                let error = self.cx.report.error(Code::NoRouteTable, subnet.id.mark(), message);
                error.help("write `route_table = \"rtb-…\"` for the subnet, or `main = true` for a route table of the VPC");
            }
            return main.unwrap_or_else(|| self.network.route_tables.add(RouteTable::new(None, &[])));
        };
        match self.ids.route_tables.get(&id.to_string()).copied() {
            Some((owner, table)) if owner == vpc => return table,
            Some(_) => {
                let message = format!("route table `{id}` belongs to another VPC");
                self.cx.report.error(Code::UnknownReference, id.mark(), message);
            }
            None => {
                let text = id.to_string();
                self.cx.unknown("route table", &text, id.mark(), || keys(&self.ids.route_tables));
            }
        }
        self.network.route_tables.add(RouteTable::new(None, &[]))
    }

    fn nat_gateways_of(&mut self, vpc: &config::Vpc, index: Index<Vpc>) {
        for nat in &vpc.nat_gateway {
            if !self.cx.declare(&nat.id) {
                continue;
            }
            let is_regional = nat.availability_mode == AvailabilityMode::Regional;
            let Some((subnet, route_table)) = (match is_regional {
                true => self.regional_table(nat, index).map(|table| (None, table)),
                false => {
                    self.zonal_subnet(nat, index).map(|at| (Some(at), self.network.subnets[at].route_table))
                }
            }) else {
                continue;
            };
            if let Some(address) = nat.public_address.as_ref().filter(|a| a.value().is_ipv6()) {
                let message = "the public address of a NAT gateway must be an IPv4 address";
                self.cx.report.error(Code::InvalidValue, address.mark(), message);
            }
            let is_public = nat.connectivity_type == ConnectivityType::Public;
            if is_regional && !is_public {
                let message = format!("regional NAT gateway `{}` cannot be private", nat.id);
                self.cx.report.error(Code::InvalidValue, nat.id.mark(), message);
            }
            let made = self.network.nat_gateways.add(NatGateway {
                id: nat.id.value().to_shared(),
                vpc: index,
                subnet,
                route_table,
                address: nat.address.as_ref().map(|address| *address.value()),
                is_public,
            });
            if let (Some(address), Some(subnet)) = (&nat.address, subnet) {
                self.check_inside(address, subnet);
                self.claim_address(index, address, Interface::NatGateway(made));
            }
            self.ids.nat_gateways.insert(nat.id.to_string(), (index, made));
        }
    }

    /// The subnet of a zonal NAT gateway.
    fn zonal_subnet(&mut self, nat: &config::NatGateway, vpc: Index<Vpc>) -> Option<Index<Subnet>> {
        if let Some(table) = &nat.route_table {
            let message = "a zonal NAT gateway uses the route table of its subnet";
            let error = self.cx.report.error(Code::InvalidValue, table.mark(), message);
            error.help("remove `route_table`, or write `availability_mode = \"regional\"`");
        }
        match &nat.subnet {
            Some(subnet) => self.subnet_named(subnet, vpc),
            None => {
                let message = format!("NAT gateway `{}` has no subnet", nat.id);
                let error = self.cx.report.error(Code::MissingKey, nat.id.mark(), message);
                error.help("write `subnet = \"subnet-…\"`, or `availability_mode = \"regional\"`");
                None
            }
        }
    }

    /// The route table of a regional NAT gateway. By default it routes to the internet gateway, as created by
    /// AWS.
    fn regional_table(&mut self, nat: &config::NatGateway, vpc: Index<Vpc>) -> Option<Index<RouteTable>> {
        if let Some(subnet) = &nat.subnet {
            let message = "a regional NAT gateway has no subnet";
            self.cx.report.error(Code::InvalidValue, subnet.mark(), message);
        }
        if let Some(id) = &nat.route_table {
            let found = self.ids.route_tables.get(&id.to_string()).copied();
            if found.is_none_or(|(owner, _)| owner != vpc) {
                let text = id.to_string();
                self.cx.unknown("route table", &text, id.mark(), || keys(&self.ids.route_tables));
            }
            return found.map(|(_, table)| table);
        }
        let cidrs = self.network.vpcs[vpc].cidrs.clone();
        let mut table = RouteTable::new(None, &cidrs);
        if let Some(gateway) = self.network.vpcs[vpc].internet_gateway.clone() {
            table.add(Route {
                destination: IpNet::V4(ipnet::Ipv4Net::default()),
                target: Target::InternetGateway(gateway),
                is_blackhole: false,
                rank: Rank::Static,
                prefix_list: None,
            });
        }
        Some(self.network.route_tables.add(table))
    }

    /// Reports an address that is not in its subnet, or that AWS reserves.
    pub(super) fn check_inside(&mut self, address: &Marked<IpAddr>, subnet: Index<Subnet>) {
        let subnet = &self.network.subnets[subnet];
        let Some(cidr) = subnet.cidrs.iter().find(|cidr| cidr.contains(address.value())) else {
            let cidrs: Vec<String> = subnet.cidrs.iter().map(ToString::to_string).collect();
            let message = format!("{address} is not in subnet `{}` ({})", subnet.id, cidrs.join(", "));
            self.cx.report.error(Code::OutsideCidr, address.mark(), message);
            return;
        };
        if let (IpNet::V4(net), IpAddr::V4(v4)) = (cidr, address.value()) {
            let offset = u32::from(*v4) - u32::from(net.network());
            if offset < FIRST_ASSIGNABLE || *v4 == net.broadcast() {
                let message =
                    format!("{address} is one of the five addresses that AWS reserves in each subnet");
                let error = self.cx.report.error(Code::InvalidValue, address.mark(), message);
                error.help("the first four addresses and the last address of a subnet cannot be assigned");
            }
        }
    }

    /// Records the owner of an address in a VPC; reports a duplicate.
    pub(super) fn claim_address(&mut self, vpc: Index<Vpc>, address: &Marked<IpAddr>, owner: Interface) {
        let taken = self.network.vpcs[vpc].interfaces.insert(*address.value(), owner);
        if taken.is_some() {
            let message = format!(
                "{address} is assigned to two network interfaces of VPC `{}`",
                self.network.vpcs[vpc].id
            );
            self.cx.report.error(Code::DuplicateId, address.mark(), message);
        }
    }
}
