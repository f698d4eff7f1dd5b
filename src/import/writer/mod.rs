//! Conversion of an inventory to TOML in the form in which it would be written by hand, with AWS ids and
//! `Name` tags as comments. The order is: VPCs, connections between them, names, sites, prefix lists.

mod endpoint;
mod index;
mod interfaces;
mod resolver;
mod routes;
mod security;
mod sites;
mod toml;
mod transit;
mod vpc;
mod zones;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use index::InventoryIndex;
use toml::TomlWriter;

use super::inventory::{Inventory, ReadObject};
use super::ledger::Ledger;
use super::objects::Object;
use super::objects::instance::NetworkInterface;
use super::objects::network::Subnet;
use super::regions::RegionAndAccount;

/// Writes the configuration, and marks each object in the ledger as converted, skipped or unsupported.
pub(super) struct ConfigWriter<'a> {
    inventory: &'a Inventory,
    /// Indices of the inventory.
    index: &'a InventoryIndex<'a>,
    vpc_regions: &'a BTreeMap<String, RegionAndAccount>,
    ledger: &'a mut Ledger,
    toml: TomlWriter,
    /// The VPC of each subnet.
    subnet_vpcs: HashMap<&'a str, &'a str>,
    /// Network interfaces by id.
    interfaces: HashMap<&'a str, &'a ReadObject<NetworkInterface>>,
    /// The addresses of objects other than network interfaces, each with the id of its VPC.
    claimed_addresses: HashSet<(String, String)>,
    /// Security groups of endpoints, interfaces and instances, and those that their rules refer to.
    written_groups: BTreeSet<String>,
    /// Health checks that record sets refer to.
    referenced_health_checks: BTreeSet<String>,
    /// Transit gateway attachments that are written.
    written_attachments: BTreeSet<String>,
    /// Direct Connect gateways that are attached to transit gateways.
    attached_direct_connects: BTreeSet<String>,
    /// The targets of all routes.
    route_targets: HashSet<String>,
    /// Prefix lists that routes or rules refer to, with the region.
    referenced_prefix_lists: BTreeSet<(String, String)>,
}

/// Writes an inventory as configuration.
pub(super) fn write_config(
    inventory: &Inventory,
    vpc_regions: &BTreeMap<String, RegionAndAccount>,
    ledger: &mut Ledger,
) -> String {
    let interfaces =
        inventory.interfaces.iter().map(|one| (one.network_interface_id.as_str(), one)).collect();
    let subnet_vpcs =
        inventory.subnets.iter().map(|one| (one.subnet_id.as_str(), one.vpc_id.as_str())).collect();
    let index = InventoryIndex::new(inventory);
    let mut writer = ConfigWriter {
        inventory,
        index: &index,
        vpc_regions,
        ledger,
        toml: TomlWriter::default(),
        subnet_vpcs,
        interfaces,
        claimed_addresses: HashSet::new(),
        written_groups: BTreeSet::new(),
        referenced_health_checks: BTreeSet::new(),
        written_attachments: BTreeSet::new(),
        attached_direct_connects: BTreeSet::new(),
        route_targets: HashSet::new(),
        referenced_prefix_lists: BTreeSet::new(),
    };
    writer.write_all();
    writer.toml.finish()
}

impl ConfigWriter<'_> {
    /// Writes all sections. The order matters: groups and addresses are collected before the VPCs that refer
    /// to them, and health checks and prefix lists are written after everything that refers to them.
    fn write_all(&mut self) {
        let inventory = self.inventory;
        self.toml.comment("Converted from AWS CLI output by `plustwo import aws`.");
        self.claim_addresses();
        self.collect_referenced_groups();
        for vpc in &inventory.vpcs {
            self.write_vpc(vpc);
        }
        self.record_other_gateways();
        self.record_group_rules();
        self.check_vpcs();
        self.write_peerings();
        self.write_transit_gateways();
        self.write_hosted_zones();
        self.write_health_checks();
        self.write_resolver_endpoints();
        self.write_resolver_rules();
        self.write_profiles();
        self.write_sites();
        self.write_prefix_lists();
        self.write_public_zones();
        self.record_dhcp_options();
    }

    /// Returns whether the inventory contains a VPC.
    fn has_vpc(&self, id: &str) -> bool {
        self.vpc_regions.contains_key(id)
    }

    /// Returns whether the inventory contains a subnet of a VPC. If not, reports it as missing. `referrer`
    /// describes the object that refers to it.
    fn require_subnet(&mut self, vpc: &str, id: &str, referrer: &str) -> bool {
        let is_known = self.subnet_vpcs.get(id) == Some(&vpc);
        if !is_known && self.has_document(Subnet::KIND) {
            let command = self.with_region(vpc, &format!("aws ec2 describe-subnets --subnet-ids {id}"));
            self.ledger.note_missing(format!("subnet {id} of {referrer}"), command);
        }
        is_known
    }

    /// Returns the region of a VPC.
    fn region_of(&self, vpc: &str) -> Option<&str> {
        self.vpc_regions.get(vpc)?.region.as_deref()
    }

    /// Returns a command with the option for the region of a VPC.
    fn with_region(&self, vpc: &str, command: &str) -> String {
        match self.region_of(vpc) {
            Some(region) => format!("{command} --region {region}"),
            None => command.to_owned(),
        }
    }

    /// Returns whether a document with objects of this kind was read, even if it was empty.
    fn has_document(&self, kind: &str) -> bool {
        self.inventory.document_keys.contains(kind)
    }

    /// Reports a VPC as missing. `referrer` describes the object that refers to it.
    fn note_missing_vpc(&mut self, id: &str, referrer: &str) {
        if id.is_empty() {
            return;
        }
        let what = format!("VPC {id}, referenced by {referrer}: it may belong to another account or region");
        self.ledger.note_missing(what, format!("aws ec2 describe-vpcs --vpc-ids {id}"));
    }
}
