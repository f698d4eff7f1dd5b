//! Commands whose output has a special shape.

use super::DocumentReader;
use super::keys::{UNRELATED, VPC_ATTRIBUTES};
use super::representations::Representation;
use crate::import::directory::is_account;
use crate::import::document::{Document, DocumentError, RawJson};
use crate::import::ledger::{LocatedItem, SourceLocation};
use crate::import::objects::Object;
use crate::import::objects::instance::Reservation;
use crate::import::objects::network::{BlockPublicAccessStates, VpcAttribute};
use crate::import::objects::route53::{HostedZone, HostedZoneSummary, ZoneVpc};

impl DocumentReader<'_> {
    /// Reads reservations, which contain the instances.
    pub(super) fn read_reservations(&mut self, file: usize, value: &RawJson<'_>) {
        let Some(items) = value.items() else {
            self.add_error(file, value, "`Reservations` is not an array".to_owned());
            return;
        };
        for item in items {
            // Some tools write the instances without reservations.
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

    /// Reads whether VPC Block Public Access is enabled in a region.
    pub(super) fn read_block_public_access(&mut self, file: usize, value: &RawJson<'_>) {
        const KIND: &str = "VpcBlockPublicAccessOptions";
        let Some(states) = self.deserialize::<BlockPublicAccessStates>(file, value) else { return };
        let location = SourceLocation { file, at: value.start };
        self.ledger.insert_item(KIND, location);
        match states.block_mode() {
            None => self.ledger.mark_item_skipped(KIND, location, "public access is not blocked"),
            Some(mode) => {
                let why = format!("VPC Block Public Access ({mode}) is not supported");
                self.ledger.mark_item_unsupported(KIND, location, why);
            }
        }
    }

    /// Reads the output of `aws sts get-caller-identity`.
    pub(super) fn read_caller_identity(&mut self, document: &Document<'_>) {
        let account: Option<String> =
            document.get("Account").and_then(|account| serde_json::from_str(account.text).ok());
        self.inventory.document_keys.insert("Account".to_owned());
        let location = SourceLocation { file: document.file, at: document.at.start };
        self.ledger.insert_item("Account", location);
        let why = "used as the account of VPCs whose owner is not stated";
        self.ledger.mark_item_skipped("Account", location, why);
        self.inventory.caller_account = account.filter(|account| is_account(account));
    }

    /// Reads an attribute of a VPC.
    pub(super) fn read_vpc_attribute(&mut self, document: &Document<'_>) {
        let mut members = serde_json::Map::new();
        for member in &document.members {
            let value = serde_json::from_str(member.value.text).unwrap_or(serde_json::Value::Null);
            members.insert(member.key.clone(), value);
        }
        let start = document.at.start;
        let value = serde_json::Value::Object(members).to_string();
        let value = RawJson { text: &value, start };
        let Some(attributes) = self.deserialize::<VpcAttribute>(document.file, &value) else { return };
        let location = SourceLocation { file: document.file, at: start };
        self.ledger.insert_item(VPC_ATTRIBUTES, location);
        if attributes.enable_dns_support.is_none() && attributes.enable_dns_hostnames.is_none() {
            self.ledger.mark_item_skipped(VPC_ATTRIBUTES, location, UNRELATED);
        }
        self.inventory.attribute_locations.entry(attributes.vpc_id.clone()).or_default().push(location);
        let known = self.inventory.attributes.entry(attributes.vpc_id.clone()).or_default();
        known.enable_dns_support = known.enable_dns_support.or(attributes.enable_dns_support);
        known.enable_dns_hostnames = known.enable_dns_hostnames.or(attributes.enable_dns_hostnames);
    }

    /// Reads the VPCs that are associated with a hosted zone.
    pub(super) fn read_zone_vpcs(&mut self, document: &Document<'_>, value: &RawJson<'_>) {
        let vpcs: Vec<LocatedItem<ZoneVpc>> = self.read_items(document.file, "VPCs", value);
        let zone = document.get("HostedZone");
        let zone =
            zone.and_then(|zone| self.deserialize::<HostedZone>(document.file, zone)).map(|zone| zone.id());
        let zone = zone.or_else(|| self.subject_id(document, "HostedZoneId", &["Z"], "hosted zone"));
        if let Some(zone) = zone {
            self.inventory.zone_vpcs.entry(zone).or_default().extend(vpcs);
        }
    }

    /// Reads the hosted zones that are associated with a VPC.
    pub(super) fn read_zone_summaries(&mut self, document: &Document<'_>, value: &RawJson<'_>) {
        let Some(items) = value.items() else {
            self.add_error(document.file, value, "`HostedZoneSummaries` is not an array".to_owned());
            return;
        };
        let Some(vpc_id) = self.subject_id(document, "VpcId", &["vpc-"], "VPC") else { return };
        for item in &items {
            let Some(zone) = self.deserialize::<HostedZoneSummary>(document.file, item) else { continue };
            let location = SourceLocation { file: document.file, at: item.start };
            if let Some(service) = &zone.owner.owning_service {
                self.record_service_zone(&zone, service, location);
                continue;
            }
            let vpc = LocatedItem { object: ZoneVpc { vpc_id: vpc_id.clone() }, location };
            self.inventory.zone_vpcs.entry(zone.hosted_zone_id.clone()).or_default().push(vpc);
            // The zone may belong to another account, so that no other document contains it, although its
            // records may have been exported.
            let value = serde_json::json!({
                "Id": format!("/hostedzone/{}", zone.hosted_zone_id),
                "Name": zone.name,
                "Config": { "PrivateZone": true },
            });
            if let Ok(object) = serde_json::from_value(value.clone()) {
                let index = self.inventory.hosted_zones.len();
                let representation = Representation { index, location, len: 0, value: Some(value) };
                self.insert_or_merge(object, representation, |all| &mut all.hosted_zones);
            }
        }
    }

    /// Records a zone that an AWS service created. Its records cannot be listed.
    fn record_service_zone(&mut self, zone: &HostedZoneSummary, service: &str, location: SourceLocation) {
        let id = &zone.hosted_zone_id;
        self.ledger.insert(HostedZone::KIND, id, location);
        if service.starts_with("vpce.") {
            self.ledger.mark_skipped(
                HostedZone::KIND,
                id,
                "private DNS of an endpoint, derived from the endpoint",
            );
        } else {
            let name = zone.name.trim_end_matches('.');
            let why = format!("{service} owns hosted zone {name}, whose records cannot be listed");
            self.ledger.mark_unsupported(HostedZone::KIND, id, why);
        }
    }

    /// Checks that the routes of a transit gateway route table are complete. The API returns at most 1000
    /// routes per call, and older versions of the AWS CLI do not paginate.
    pub(super) fn check_routes_complete(&mut self, document: &Document<'_>) {
        let more = document.get("AdditionalRoutesAvailable");
        if let Some(more) = more.filter(|more| more.text == "true") {
            let message = "incomplete list of routes".to_owned();
            let help = "use `aws ec2 export-transit-gateway-routes`, or run several searches with narrower \
                        filters, each into its own file";
            let at = more.range();
            self.errors.push(DocumentError { file: document.file, at, message, help: Some(help.to_owned()) });
        }
    }
}
