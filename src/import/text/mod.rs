//! An inventory as configuration text that a person would have written: AWS's ids, the `Name` tags as comments, one
//! VPC after the other, then what joins them, names, sites and prefix lists.

mod endpoint;
mod index;
mod interfaces;
mod names;
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
use super::places::RegionAndAccount;

/// Writes the text, and into the ledger what became of each object.
pub struct ConfigWriter<'a> {
    inventory: &'a Inventory,
    /// What is of which VPC and subnet.
    index: &'a InventoryIndex<'a>,
    vpc_regions: &'a BTreeMap<String, RegionAndAccount>,
    ledger: &'a mut Ledger,
    toml: TomlWriter,
    /// The subnets, by their ids, with their VPC.
    subnet_vpcs: HashMap<&'a str, &'a str>,
    /// The network interfaces by their ids.
    interfaces: HashMap<&'a str, &'a ReadObject<NetworkInterface>>,
    /// Addresses that something written has, by VPC.
    claimed_addresses: HashSet<(String, String)>,
    /// Security groups that something written has, and those that their rules name.
    written_groups: BTreeSet<String>,
    /// Health checks that record sets name.
    referenced_health_checks: BTreeSet<String>,
    /// Attachments of transit gateways that are written.
    written_attachments: BTreeSet<String>,
    /// Direct Connect gateways that transit gateways lead to.
    attached_direct_connects: BTreeSet<String>,
    /// What routes lead to.
    route_targets: HashSet<String>,
    /// Prefix lists that something written names, with the region.
    referenced_prefix_lists: BTreeSet<(String, String)>,
}

/// Writes an inventory as configuration text.
pub fn write_config(
    inventory: &Inventory,
    homes: &BTreeMap<String, RegionAndAccount>,
    ledger: &mut Ledger,
) -> String {
    let interfaces =
        inventory.interfaces.iter().map(|one| (one.network_interface_id.as_str(), one)).collect();
    let subnets = inventory.subnets.iter().map(|one| (one.subnet_id.as_str(), one.vpc_id.as_str())).collect();
    let index = InventoryIndex::new(inventory);
    let mut writer = ConfigWriter {
        inventory,
        index: &index,
        vpc_regions: homes,
        ledger,
        toml: TomlWriter::default(),
        subnet_vpcs: subnets,
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
    /// Everything, in the order of the sections.
    fn write_all(&mut self) {
        let inventory = self.inventory;
        self.toml.comment("What documents of AWS say, as configuration.");
        self.claim_addresses();
        self.collect_groups();
        for vpc in &inventory.vpcs {
            self.vpc(vpc);
        }
        self.other_gateways();
        self.rules_of_groups();
        self.check_vpcs();
        self.peerings();
        self.transit_gateways();
        self.hosted_zones();
        self.health_checks();
        self.resolver_endpoints();
        self.resolver_rules();
        self.profiles();
        self.sites();
        self.all_prefix_lists();
        self.public_zones();
        self.dhcp_options();
    }

    /// Whether a document holds this VPC.
    fn has_vpc(&self, id: &str) -> bool {
        self.vpc_regions.contains_key(id)
    }

    /// Whether a document holds this subnet of a VPC; one that none does is told as missing.
    fn require_subnet(&mut self, vpc: &str, id: &str, whose: &str) -> bool {
        let is_known = self.subnet_vpcs.get(id) == Some(&vpc);
        if !is_known && self.has_document(Subnet::KIND) {
            let call = self.with_region(vpc, &format!("aws ec2 describe-subnets --subnet-ids {id}"));
            self.ledger.note_missing(format!("subnet {id}, which {whose} stands in"), call);
        }
        is_known
    }

    /// The region of a VPC, for a call.
    fn region_of(&self, vpc: &str) -> Option<&str> {
        self.vpc_regions.get(vpc)?.region.as_deref()
    }

    /// A call in the region of a VPC.
    fn with_region(&self, vpc: &str, call: &str) -> String {
        match self.region_of(vpc) {
            Some(region) => format!("{call} --region {region}"),
            None => call.to_owned(),
        }
    }

    /// Whether a document of one of these kinds was read.
    fn has_document(&self, kind: &str) -> bool {
        self.inventory.document_keys.contains(kind)
    }

    /// Notes that a VPC is missing, and what refers to it.
    fn note_missing_vpc(&mut self, id: &str, whose: &str) {
        if id.is_empty() {
            return;
        }
        let what = format!("VPC {id}, which {whose} refers to: perhaps another account's or region's");
        self.ledger.note_missing(what, format!("aws ec2 describe-vpcs --vpc-ids {id}"));
    }
}
