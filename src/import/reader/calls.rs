//! Calls whose answers have a shape of their own.

use super::DocumentReader;
use super::forms::Representation;
use super::keys::{UNRELATED, VPC_ATTRIBUTES};
use crate::import::document::{Document, DocumentError, RawJson};
use crate::import::folder::is_account;
use crate::import::ledger::{LocatedItem, SourceLocation};
use crate::import::objects::Object;
use crate::import::objects::instance::Reservation;
use crate::import::objects::network::{BlockPublicAccessStates, VpcAttribute};
use crate::import::objects::route53::{HostedZone, HostedZoneSummary, ZoneVpc};

impl DocumentReader<'_> {
    /// Reads reservations, which hold the instances.
    pub(super) fn read_reservations(&mut self, file: usize, value: &RawJson<'_>) {
        let Some(items) = value.items() else {
            self.add_error(file, value, "`Reservations` is no list".to_owned());
            return;
        };
        for item in items {
            // Some tools write the instances alone.
            let members = item.members().unwrap_or_default();
            match members.into_iter().find(|member| member.key == "Instances") {
                Some(instances) => self.read_list(file, &instances.value, |all| &mut all.instances),
                None if self
                    .deserialize::<Reservation>(file, &item)
                    .is_some_and(|one| one.instances.is_empty()) => {}
                None => self.read_object(file, &item, |all| &mut all.instances),
            }
        }
    }

    /// Reads whether public access to a region's VPCs is blocked.
    pub(super) fn read_block_public_access(&mut self, file: usize, value: &RawJson<'_>) {
        const KIND: &str = "VpcBlockPublicAccessOptions";
        let Some(states) = self.deserialize::<BlockPublicAccessStates>(file, value) else { return };
        let spot = SourceLocation { file, at: value.start };
        self.ledger.insert_item(KIND, spot);
        match states.blocked() {
            None => self.ledger.mark_item_skipped(KIND, spot, "public access is not blocked"),
            Some(mode) => {
                let why = format!("public access is blocked ({mode}), which is not modelled");
                self.ledger.mark_item_unsupported(KIND, spot, why);
            }
        }
    }

    /// Reads what `sts get-caller-identity` prints.
    pub(super) fn read_caller_identity(&mut self, document: &Document<'_>) {
        let account: Option<String> =
            document.get("Account").and_then(|account| serde_json::from_str(account.text).ok());
        self.inventory.document_keys.insert("Account".to_owned());
        let spot = SourceLocation { file: document.file, at: document.at.start };
        self.ledger.insert_item("Account", spot);
        self.ledger.mark_item_skipped("Account", spot, "it is the account of VPCs that nothing else tells it of");
        self.inventory.caller_account = account.filter(|account| is_account(account));
    }

    /// Reads an attribute of a VPC.
    pub(super) fn read_vpc_attribute(&mut self, document: &Document<'_>) {
        let mut whole = serde_json::Map::new();
        for member in &document.members {
            let value = serde_json::from_str(member.value.text).unwrap_or(serde_json::Value::Null);
            whole.insert(member.key.clone(), value);
        }
        let start = document.at.start;
        let value = serde_json::Value::Object(whole).to_string();
        let value = RawJson { text: &value, start };
        let Some(read) = self.deserialize::<VpcAttribute>(document.file, &value) else { return };
        let spot = SourceLocation { file: document.file, at: start };
        self.ledger.insert_item(VPC_ATTRIBUTES, spot);
        if read.enable_dns_support.is_none() && read.enable_dns_hostnames.is_none() {
            self.ledger.mark_item_skipped(VPC_ATTRIBUTES, spot, UNRELATED);
        }
        self.inventory.attribute_locations.entry(read.vpc_id.clone()).or_default().push(spot);
        let attribute = self.inventory.attributes.entry(read.vpc_id.clone()).or_default();
        attribute.enable_dns_support = attribute.enable_dns_support.or(read.enable_dns_support);
        attribute.enable_dns_hostnames = attribute.enable_dns_hostnames.or(read.enable_dns_hostnames);
    }

    /// Reads the VPCs that stand beside a hosted zone.
    pub(super) fn read_zone_vpcs(&mut self, document: &Document<'_>, value: &RawJson<'_>) {
        let vpcs: Vec<LocatedItem<ZoneVpc>> = self.read_items(document.file, "VPCs", value);
        let zone = document.get("HostedZone");
        let zone = zone.and_then(|zone| self.deserialize::<HostedZone>(document.file, zone)).map(|zone| zone.id());
        let zone = zone.or_else(|| self.subject_id(document, "HostedZoneId", &["Z"], "a hosted zone"));
        if let Some(zone) = zone {
            self.inventory.zone_vpcs.entry(zone).or_default().extend(vpcs);
        }
    }

    /// Reads which hosted zones a VPC has.
    pub(super) fn read_zone_summaries(&mut self, document: &Document<'_>, value: &RawJson<'_>) {
        let Some(items) = value.items() else {
            self.add_error(document.file, value, "`HostedZoneSummaries` is no list".to_owned());
            return;
        };
        let Some(vpc_id) = self.subject_id(document, "VpcId", &["vpc-"], "a VPC") else { return };
        for item in &items {
            let Some(zone) = self.deserialize::<HostedZoneSummary>(document.file, item) else { continue };
            let spot = SourceLocation { file: document.file, at: item.start };
            if let Some(service) = &zone.owner.owning_service {
                self.record_service_zone(&zone, service, spot);
                continue;
            }
            let vpc = LocatedItem { object: ZoneVpc { vpc_id: vpc_id.clone() }, spot };
            self.inventory.zone_vpcs.entry(zone.hosted_zone_id.clone()).or_default().push(vpc);
            // Its own account may have it alone, and the records may be there all the same.
            let said = serde_json::json!({
                "Id": format!("/hostedzone/{}", zone.hosted_zone_id),
                "Name": zone.name,
                "Config": { "PrivateZone": true },
            });
            if let Ok(object) = serde_json::from_value(said.clone()) {
                let number = self.inventory.hosted_zones.len();
                let form = Representation { index: number, spot, len: 0, value: Some(said) };
                self.insert_or_merge(object, form, |all| &mut all.hosted_zones);
            }
        }
    }

    /// Accounts for a zone that an AWS service made, whose records nobody may list.
    fn record_service_zone(&mut self, zone: &HostedZoneSummary, service: &str, spot: SourceLocation) {
        let id = &zone.hosted_zone_id;
        self.ledger.insert(HostedZone::KIND, id, spot);
        if service.starts_with("vpce.") {
            self.ledger.mark_skipped(
                HostedZone::KIND,
                id,
                "it is an endpoint's private DNS, which the endpoint tells",
            );
        } else {
            let why =
                format!("{service} owns {} and tells nobody its records", zone.name.trim_end_matches('.'));
            self.ledger.mark_unsupported(HostedZone::KIND, id, why);
        }
    }

    /// A page of routes of a transit gateway is cut at 1000 without a token.
    pub(super) fn check_routes_complete(&mut self, document: &Document<'_>) {
        let more = document.get("AdditionalRoutesAvailable");
        if let Some(more) = more.filter(|more| more.text == "true") {
            let message = "there are more routes than the call printed".to_owned();
            let help =
                "`aws ec2 export-transit-gateway-routes`, or search with narrower filters, a file each";
            let at = more.range();
            self.errors.push(DocumentError {
                file: document.file,
                at,
                message,
                help: Some(help.to_owned()),
            });
        }
    }
}
