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

use index::Index;
use toml::TomlText;

use super::inventory::{Inventory, ReadObject};
use super::ledger::Ledger;
use super::objects::Object;
use super::objects::instance::NetworkInterface;
use super::objects::network::Subnet;
use super::places::RegionAndAccount;

/// Writes the text, and into the ledger what became of each object.
pub struct Writer<'a> {
    inventory: &'a Inventory,
    /// What is of which VPC and subnet.
    index: &'a Index<'a>,
    homes: &'a BTreeMap<String, RegionAndAccount>,
    ledger: &'a mut Ledger,
    text: TomlText,
    /// The subnets, by their ids, with their VPC.
    subnets: HashMap<&'a str, &'a str>,
    /// The network interfaces by their ids.
    interfaces: HashMap<&'a str, &'a ReadObject<NetworkInterface>>,
    /// Addresses that something written has, by VPC.
    claimed: HashSet<(String, String)>,
    /// Security groups that something written has, and those that their rules name.
    groups: BTreeSet<String>,
    /// Health checks that record sets name.
    health_checks: BTreeSet<String>,
    /// Attachments of transit gateways that are written.
    attached: BTreeSet<String>,
    /// Direct Connect gateways that transit gateways lead to.
    direct_connects: BTreeSet<String>,
    /// What routes lead to.
    route_targets: HashSet<String>,
    /// Prefix lists that something written names, with the region.
    prefix_lists: BTreeSet<(String, String)>,
}

/// Writes an inventory as configuration text.
pub fn write(
    inventory: &Inventory,
    homes: &BTreeMap<String, RegionAndAccount>,
    ledger: &mut Ledger,
) -> String {
    let interfaces =
        inventory.interfaces.iter().map(|one| (one.network_interface_id.as_str(), one)).collect();
    let subnets = inventory.subnets.iter().map(|one| (one.subnet_id.as_str(), one.vpc_id.as_str())).collect();
    let index = Index::of(inventory);
    let mut writer = Writer {
        inventory,
        index: &index,
        homes,
        ledger,
        text: TomlText::default(),
        subnets,
        interfaces,
        claimed: HashSet::new(),
        groups: BTreeSet::new(),
        health_checks: BTreeSet::new(),
        attached: BTreeSet::new(),
        direct_connects: BTreeSet::new(),
        route_targets: HashSet::new(),
        prefix_lists: BTreeSet::new(),
    };
    writer.whole();
    writer.text.finish()
}

impl Writer<'_> {
    /// Everything, in the order of the sections.
    fn whole(&mut self) {
        let inventory = self.inventory;
        self.text.comment("What documents of AWS say, as configuration.");
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
    fn knows_vpc(&self, id: &str) -> bool {
        self.homes.contains_key(id)
    }

    /// Whether a document holds this subnet of a VPC; one that none does is told as missing.
    fn knows_subnet(&mut self, vpc: &str, id: &str, whose: &str) -> bool {
        let is_known = self.subnets.get(id) == Some(&vpc);
        if !is_known && self.has_document(Subnet::KIND) {
            let call = self.call_in(vpc, &format!("aws ec2 describe-subnets --subnet-ids {id}"));
            self.ledger.missing(format!("subnet {id}, which {whose} stands in"), call);
        }
        is_known
    }

    /// The region of a VPC, for a call.
    fn region_of(&self, vpc: &str) -> Option<&str> {
        self.homes.get(vpc)?.region.as_deref()
    }

    /// A call in the region of a VPC.
    fn call_in(&self, vpc: &str, call: &str) -> String {
        match self.region_of(vpc) {
            Some(region) => format!("{call} --region {region}"),
            None => call.to_owned(),
        }
    }

    /// Whether a document of one of these kinds was read.
    fn has_document(&self, kind: &str) -> bool {
        self.inventory.kinds.contains(kind)
    }

    /// Notes that a VPC is missing, and what refers to it.
    fn missing_vpc(&mut self, id: &str, whose: &str) {
        if id.is_empty() {
            return;
        }
        let what = format!("VPC {id}, which {whose} refers to: perhaps another account's or region's");
        self.ledger.missing(what, format!("aws ec2 describe-vpcs --vpc-ids {id}"));
    }
}
