//! Indices of an inventory by VPC, subnet and other references. A linear search for each reference would be
//! too slow in large networks.

use std::collections::{HashMap, HashSet};

use crate::import::inventory::{Inventory, ReadObject};
use crate::import::objects::endpoint::VpcEndpoint;
use crate::import::objects::gateway::{InternetGateway, NatGateway};
use crate::import::objects::instance::{Instance, NetworkInterface};
use crate::import::objects::network::{RouteTable, Subnet, Vpc};
use crate::import::objects::security::{NetworkAcl, SecurityGroup, SecurityGroupRule};
use crate::import::objects::transit::TransitGatewayAttachment;

/// Objects grouped by the id of another object, mostly of their VPC, in inventory order.
pub(super) struct Grouped<'a, T>(HashMap<&'a str, Vec<&'a ReadObject<T>>>);

impl<'a, T> Grouped<'a, T> {
    fn new(all: &'a [ReadObject<T>], group: impl Fn(&'a T) -> Option<&'a str>) -> Self {
        let mut grouped: HashMap<&'a str, Vec<&'a ReadObject<T>>> = HashMap::new();
        for one in all {
            grouped.entry(group(&one.object).unwrap_or_default()).or_default().push(one);
        }
        Self(grouped)
    }

    /// Returns the objects of a group.
    pub(super) fn get(&self, group: &str) -> &[&'a ReadObject<T>] {
        self.0.get(group).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Indices of an inventory.
pub(super) struct InventoryIndex<'a> {
    pub subnets: Grouped<'a, Subnet>,
    pub route_tables: Grouped<'a, RouteTable>,
    pub nat_gateways: Grouped<'a, NatGateway>,
    pub endpoints: Grouped<'a, VpcEndpoint>,
    pub interfaces: Grouped<'a, NetworkInterface>,
    pub instances: Grouped<'a, Instance>,
    pub security_groups: Grouped<'a, SecurityGroup>,
    pub network_acls: Grouped<'a, NetworkAcl>,
    /// Security group rules from documents of `describe-security-group-rules`, by security group.
    pub rules: Grouped<'a, SecurityGroupRule>,
    /// Transit gateway attachments, by the attached resource.
    pub attachments: Grouped<'a, TransitGatewayAttachment>,
    /// The destinations of transit gateway routes, by attachment.
    pub routed_prefixes: HashMap<&'a str, Vec<&'a str>>,
    /// VPCs by id.
    pub vpcs: HashMap<&'a str, &'a ReadObject<Vpc>>,
    /// The attached internet gateway, by VPC.
    pub vpc_internet_gateways: HashMap<&'a str, &'a InternetGateway>,
    /// The associated route table, by subnet.
    pub subnet_route_tables: HashMap<&'a str, &'a RouteTable>,
    /// The associated network ACL, by subnet.
    pub subnet_network_acls: HashMap<&'a str, &'a NetworkAcl>,
    /// The ids of all objects in the inventory that a route may have as its target.
    pub known_targets: HashSet<&'a str>,
    /// The ids of deleted NAT gateways.
    pub deleted_nat_gateways: HashSet<&'a str>,
}

impl<'a> InventoryIndex<'a> {
    /// Creates the indices. If several objects claim an association with one subnet or VPC, the first one
    /// takes precedence.
    pub(super) fn new(inventory: &'a Inventory) -> Self {
        let mut subnet_route_tables = HashMap::new();
        for table in &inventory.route_tables {
            let active = table.object.associations.iter().filter(|one| one.association_state.is_associated());
            for subnet in active.filter_map(|one| one.subnet_id.as_deref()) {
                subnet_route_tables.entry(subnet).or_insert(&table.object);
            }
        }
        let mut subnet_network_acls = HashMap::new();
        for acl in &inventory.network_acls {
            for subnet in acl.object.associations.iter().filter_map(|one| one.subnet_id.as_deref()) {
                subnet_network_acls.entry(subnet).or_insert(&acl.object);
            }
        }
        let mut vpc_internet_gateways = HashMap::new();
        for gateway in &inventory.internet_gateways {
            for attachment in gateway.object.attachments.iter().filter(|one| one.is_attached()) {
                vpc_internet_gateways.entry(attachment.vpc_id.as_str()).or_insert(&gateway.object);
            }
        }
        let nat_gateways = &inventory.nat_gateways;
        Self {
            subnets: Grouped::new(&inventory.subnets, |one| Some(&one.vpc_id)),
            route_tables: Grouped::new(&inventory.route_tables, |one| Some(&one.vpc_id)),
            nat_gateways: Grouped::new(nat_gateways, |one| Some(&one.vpc_id)),
            endpoints: Grouped::new(&inventory.endpoints, |one| Some(&one.vpc_id)),
            interfaces: Grouped::new(&inventory.interfaces, |one| one.vpc_id.as_deref()),
            instances: Grouped::new(&inventory.instances, |one| one.vpc_id.as_deref()),
            security_groups: Grouped::new(&inventory.security_groups, |one| one.vpc_id.as_deref()),
            network_acls: Grouped::new(&inventory.network_acls, |one| Some(&one.vpc_id)),
            rules: Grouped::new(&inventory.security_group_rules, |one| Some(&one.group_id)),
            attachments: Grouped::new(&inventory.attachments, |one| one.resource_id.as_deref()),
            routed_prefixes: routed_prefixes(inventory),
            vpcs: inventory.vpcs.iter().map(|vpc| (vpc.vpc_id.as_str(), vpc)).collect(),
            vpc_internet_gateways,
            subnet_route_tables,
            subnet_network_acls,
            known_targets: known_targets(inventory),
            deleted_nat_gateways: nat_gateways
                .iter()
                .filter(|nat| nat.is_deleted())
                .map(|nat| nat.nat_gateway_id.as_str())
                .collect(),
        }
    }
}

/// Returns the destinations of transit gateway routes, by attachment.
fn routed_prefixes(inventory: &Inventory) -> HashMap<&str, Vec<&str>> {
    let mut prefixes: HashMap<&str, Vec<&str>> = HashMap::new();
    for route in inventory.transit_routes.values().flatten() {
        let ids = route.object.transit_gateway_attachments.iter();
        for id in ids.filter_map(|one| one.transit_gateway_attachment_id.as_deref()) {
            prefixes.entry(id).or_default().extend(route.object.destination_cidr_block.as_deref());
        }
    }
    prefixes
}

/// Returns the ids of all objects that a route may have as its target.
fn known_targets(inventory: &Inventory) -> HashSet<&str> {
    let gateways = inventory.internet_gateways.iter().map(|one| one.internet_gateway_id.as_str());
    let nat_gateways = inventory.nat_gateways.iter().map(|one| one.nat_gateway_id.as_str());
    let endpoints = inventory.endpoints.iter().map(|one| one.vpc_endpoint_id.as_str());
    let transit = inventory.transit_gateways.iter().map(|one| one.transit_gateway_id.as_str());
    let peerings = inventory.peerings.iter().map(|one| one.vpc_peering_connection_id.as_str());
    let vpn = inventory.vpn_gateways.iter().map(|one| one.vpn_gateway_id.as_str());
    let interfaces = inventory.interfaces.iter().map(|one| one.network_interface_id.as_str());
    let instances = inventory.instances.iter().map(|one| one.instance_id.as_str());
    let all = gateways.chain(nat_gateways).chain(endpoints).chain(transit).chain(peerings).chain(vpn);
    all.chain(interfaces).chain(instances).collect()
}
