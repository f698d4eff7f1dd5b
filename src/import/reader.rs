//! Documents to objects. What a document is, its top-level keys tell; never its file's name, but where a call does
//! not say in its answer what it was asked about (`subject.rs`).
//!
//! ```text
//!  document ──► member ─┬─► objects, with an id: list, one ──► forms.rs, where several documents tell of one
//!                       ├─► parts of an object, without: items, plain
//!                       ├─► what a call has in a shape of its own: calls.rs
//!                       └─► nothing that is read: keys.rs knows why, unread.rs accounts for it
//! ```

mod calls;
mod forms;
mod keys;
mod unread;

use std::collections::HashMap;

use super::document::{Document, DocumentError, Member, RawJson};
use super::folder::File;
use super::inventory::{Inventory, ReadObject, RecordSets};
use super::ledger::{LocatedItem, Ledger, SourceLocation};
use super::objects::Object;
use super::objects::instance::Address;
use super::objects::route53::ResourceRecordSet;
use forms::{CallShape, as_read, without_nulls};
use keys::DocumentKey;

pub use keys::VPC_ATTRIBUTES;

/// Reads documents into an inventory.
pub struct DocumentReader<'f> {
    /// The files, for their names.
    pub(super) files: &'f [File],
    /// What was read.
    pub inventory: Inventory,
    /// What became of it.
    pub ledger: Ledger,
    /// What is wrong with the documents.
    pub mistakes: Vec<DocumentError>,
    /// The form of each object that counts, by its kind and id.
    forms: HashMap<(&'static str, String), CallShape>,
}

/// Where the inventory keeps the objects of one type.
type Accessor<T> = fn(&mut Inventory) -> &mut Vec<ReadObject<T>>;

impl<'f> DocumentReader<'f> {
    /// A reader of documents out of these files.
    pub fn new(files: &'f [File]) -> Self {
        Self {
            files,
            inventory: Inventory::default(),
            ledger: Ledger::default(),
            mistakes: Vec::new(),
            forms: HashMap::new(),
        }
    }

    /// Reads a document. False when nothing in it is of use, so that it does not matter how much there is of it.
    pub fn document(&mut self, document: &Document<'f>) -> bool {
        let has = |key: &str| document.get(key).is_some();
        if has("Account") && has("UserId") {
            self.caller(document);
            return true;
        }
        if has("EnableDnsSupport") || has("EnableDnsHostnames") || has("EnableNetworkAddressUsageMetrics") {
            self.attribute(document);
            return true;
        }
        let own: Vec<&Member<'_>> =
            document.members.iter().filter(|member| !keys::is_beside(&member.key)).collect();
        if own.is_empty() {
            let spot = SourceLocation { file: document.file, at: document.at.start };
            self.ledger.note_unsupported(Some(spot), "this document holds no objects");
        }
        let mut told = Vec::with_capacity(own.len());
        for member in own {
            let key = self.member(document, member);
            // An empty list of whatever it may be says nothing.
            if key == DocumentKey::Read || !member.value.items().is_some_and(|all| all.is_empty()) {
                told.push((member, key));
            }
        }
        let is_any = |wanted: DocumentKey| told.iter().any(|(_, key)| *key == wanted);
        let is_list = |member: &Member<'_>| {
            member.value.items().is_some_and(|all| all.iter().any(RawJson::is_object))
        };
        let is_strange =
            !told.is_empty() && !is_any(DocumentKey::Read) && !is_any(DocumentKey::WithoutEffect);
        if is_strange && (document.is_in_list || !told.iter().any(|(member, _)| is_list(member))) {
            self.unknown_document(document, told.iter().map(|(member, _)| member.key.as_str()));
            return false;
        }
        for (member, key) in &told {
            match key {
                DocumentKey::Read => {}
                DocumentKey::WithoutEffect => self.without_effect(document.file, member),
                // What stands beside the lists of an answer is about them.
                DocumentKey::Unknown if is_any(DocumentKey::Read) || is_list(member) => {
                    self.unknown_member(document.file, member);
                }
                DocumentKey::Unknown => {}
            }
        }
        is_any(DocumentKey::Read)
    }

    /// Reads one list of a document, or its only object. Tells what its key is.
    fn member(&mut self, document: &Document<'f>, member: &Member<'f>) -> DocumentKey {
        let key = member.key.as_str();
        let is_read = self.objects(document.file, key, &member.value)
            || self.parts(document, key, &member.value)
            || self.of_a_call(document, key, &member.value);
        self.inventory.kinds.insert(member.key.clone());
        match is_read {
            true => DocumentKey::Read,
            false => keys::of_unread(key),
        }
    }

    /// Reads objects that have ids. False where the key is not theirs.
    fn objects(&mut self, file: usize, key: &str, value: &RawJson<'_>) -> bool {
        match key {
            "Vpcs" => self.list(file, value, |all| &mut all.vpcs),
            "Subnets" => self.list(file, value, |all| &mut all.subnets),
            "RouteTables" => self.list(file, value, |all| &mut all.route_tables),
            "InternetGateways" => self.list(file, value, |all| &mut all.internet_gateways),
            "EgressOnlyInternetGateways" => {
                self.list(file, value, |all| &mut all.egress_only_internet_gateways)
            }
            "NatGateways" => self.list(file, value, |all| &mut all.nat_gateways),
            "VpcEndpoints" => self.list(file, value, |all| &mut all.endpoints),
            "VpcEndpointAssociations" => self.list(file, value, |all| &mut all.endpoint_associations),
            "ServiceDetails" => self.list(file, value, |all| &mut all.services),
            "NetworkInterfaces" => self.list(file, value, |all| &mut all.interfaces),
            "SecurityGroups" => self.list(file, value, |all| &mut all.security_groups),
            "SecurityGroupRules" => self.list(file, value, |all| &mut all.security_group_rules),
            "NetworkAcls" => self.list(file, value, |all| &mut all.network_acls),
            "PrefixLists" => self.list(file, value, |all| &mut all.prefix_lists),
            "VpcPeeringConnections" => self.list(file, value, |all| &mut all.peerings),
            "DhcpOptions" => self.list(file, value, |all| &mut all.dhcp_options),
            "TransitGateways" => self.list(file, value, |all| &mut all.transit_gateways),
            "TransitGatewayAttachments" => self.list(file, value, |all| &mut all.attachments),
            "TransitGatewayVpcAttachments" => self.list(file, value, |all| &mut all.vpc_attachments),
            "TransitGatewayPeeringAttachments" => self.list(file, value, |all| &mut all.peering_attachments),
            "TransitGatewayRouteTables" => self.list(file, value, |all| &mut all.transit_route_tables),
            "VpnGateways" => self.list(file, value, |all| &mut all.vpn_gateways),
            "VpnConnections" => self.list(file, value, |all| &mut all.vpn_connections),
            "CustomerGateways" => self.list(file, value, |all| &mut all.customer_gateways),
            "directConnectGateways" | "DirectConnectGateways" => {
                self.list(file, value, |all| &mut all.direct_connect_gateways)
            }
            "directConnectGatewayAssociations" | "DirectConnectGatewayAssociations" => {
                self.list(file, value, |all| &mut all.direct_connect_associations)
            }
            "virtualInterfaces" | "VirtualInterfaces" => {
                self.list(file, value, |all| &mut all.virtual_interfaces)
            }
            "HealthChecks" => self.list(file, value, |all| &mut all.health_checks),
            "HealthCheck" => self.one(file, value, |all| &mut all.health_checks),
            "HostedZones" => self.list(file, value, |all| &mut all.hosted_zones),
            "HostedZone" => self.one(file, value, |all| &mut all.hosted_zones),
            "ResolverRules" => self.list(file, value, |all| &mut all.resolver_rules),
            "ResolverRule" => self.one(file, value, |all| &mut all.resolver_rules),
            "ResolverRuleAssociation" => self.one(file, value, |all| &mut all.rule_associations),
            "ResolverRuleAssociations" => self.list(file, value, |all| &mut all.rule_associations),
            "ResolverEndpoints" => self.list(file, value, |all| &mut all.resolver_endpoints),
            "ResolverEndpoint" => self.one(file, value, |all| &mut all.resolver_endpoints),
            "ResolverConfigs" => self.list(file, value, |all| &mut all.resolver_configs),
            "ResolverConfig" => self.one(file, value, |all| &mut all.resolver_configs),
            "ProfileSummaries" => self.list(file, value, |all| &mut all.profiles),
            "Profile" => self.one(file, value, |all| &mut all.profiles),
            "ProfileAssociation" => self.one(file, value, |all| &mut all.profile_associations),
            "ProfileResourceAssociation" => self.one(file, value, |all| &mut all.profile_resources),
            "ProfileAssociations" => self.list(file, value, |all| &mut all.profile_associations),
            "ProfileResourceAssociations" => self.list(file, value, |all| &mut all.profile_resources),
            "Reservations" => self.reservations(file, value),
            "Addresses" => {
                let before = self.inventory.addresses.len();
                self.list(file, value, |all| &mut all.addresses);
                for address in &self.inventory.addresses[before..] {
                    let why = "what has an Elastic IP address tells it";
                    self.ledger.mark_skipped(Address::KIND, &address.id(), why);
                }
            }
            // VPC Lattice calls every list so.
            "items" if value.text.contains("\"serviceNetworkId\"") && value.text.contains("\"vpcId\"") => {
                self.list(file, value, |all| &mut all.service_networks);
            }
            _ => return false,
        }
        true
    }

    /// Reads parts of objects, which have no id; many a call does not repeat of which object. False where the key is not
    /// theirs.
    fn parts(&mut self, document: &Document<'f>, key: &str, value: &RawJson<'_>) -> bool {
        const RESOLVER_ENDPOINT: &[&str] = &["rslvr-in-", "rslvr-out-"];
        let file = document.file;
        match key {
            "HealthCheckObservations" => {
                let observations = self.items(file, "HealthCheckObservations", value);
                if let Some(id) = self.health_check(document) {
                    self.inventory.health_observations.entry(id).or_default().extend(observations);
                }
            }
            "TransitGatewayPrefixListReferences" => {
                let references = self.items(file, "TransitGatewayPrefixListReferences", value);
                self.inventory.prefix_list_references.extend(references);
            }
            "ResourceRecordSets" => {
                let sets: Vec<LocatedItem<ResourceRecordSet>> = self.items(file, "ResourceRecordSets", value);
                for set in &sets {
                    self.unread(set.spot, "ResourceRecordSets", &set.other, ResourceRecordSet::IGNORED);
                }
                let at = document.at.clone();
                self.inventory.record_sets.push(RecordSets { file, at, sets, zone: None });
            }
            "VPCs" => self.zone_vpcs(document, value),
            "Entries" if self.is_about(document, value, "Cidr", &["pl-"]) => {
                let entries = self.items(file, "Entries", value);
                if let Some(id) = self.subject(document, "PrefixListId", &["pl-"], "a prefix list") {
                    let place = (id, self.files[file].region.clone());
                    self.inventory.prefix_list_entries.entry(place).or_default().extend(entries);
                }
            }
            "IpAddresses" if self.is_about(document, value, "Ip", RESOLVER_ENDPOINT) => {
                let addresses = self.items(file, "IpAddresses", value);
                let (key, what) = ("ResolverEndpointId", "a resolver endpoint");
                if let Some(id) = self.subject(document, key, RESOLVER_ENDPOINT, what) {
                    self.inventory.resolver_addresses.entry(id).or_default().extend(addresses);
                }
            }
            "Routes" if self.is_about(document, value, "TransitGatewayAttachments", &["tgw-rtb-"]) => {
                let routes = self.items(file, "Routes", value);
                self.all_routes(document);
                if let Some(id) = self.transit_table(document) {
                    self.inventory.transit_routes.entry(id).or_default().extend(routes);
                }
            }
            "Associations" if self.is_about(document, value, "TransitGatewayAttachmentId", &["tgw-rtb-"]) => {
                let associations = self.items(file, "Associations", value);
                if let Some(id) = self.transit_table(document) {
                    self.inventory.transit_associations.entry(id).or_default().extend(associations);
                }
            }
            "TransitGatewayRouteTablePropagations" => {
                let propagations = self.items(file, "TransitGatewayRouteTablePropagations", value);
                if let Some(id) = self.transit_table(document) {
                    self.inventory.transit_propagations.entry(id).or_default().extend(propagations);
                }
            }
            _ => return false,
        }
        true
    }

    /// Reads what one call has in a shape of its own. False where the key is not such a call's.
    fn of_a_call(&mut self, document: &Document<'f>, key: &str, value: &RawJson<'f>) -> bool {
        match key {
            "VpcBlockPublicAccessOptions" => self.block_public_access(document.file, value),
            "HostedZoneSummaries" => self.zone_summaries(document, value),
            // Batfish's layout has these calls' answers in one document, each beside its table's id.
            "TransitGatewayStaticRoutes" | "TransitGatewayPropagations" => {
                for item in value.items().unwrap_or_default() {
                    let (at, members) = (item.range(), item.members().unwrap_or_default());
                    self.document(&Document { file: document.file, at, members, is_in_list: false });
                }
            }
            _ => return false,
        }
        true
    }

    /// Reads the objects of a list; AWS's own older examples have an object alone instead.
    fn list<T: Object>(&mut self, file: usize, value: &RawJson<'_>, shelf: Accessor<T>) {
        match value.items() {
            Some(items) => items.iter().for_each(|item| self.one(file, item, shelf)),
            None if value.is_object() => self.one(file, value, shelf),
            None => self.mistake(file, value, format!("`{}` is no list", T::KIND)),
        }
    }

    /// Reads one object.
    fn one<T: Object>(&mut self, file: usize, value: &RawJson<'_>, shelf: Accessor<T>) {
        let Some(object) = self.plain_by::<T>(file, value, as_read::<T>) else { return };
        let spot = SourceLocation { file, at: value.start };
        if object.id().is_empty() {
            self.ledger.insert_item(T::KIND, spot);
            self.ledger.mark_item_unsupported(T::KIND, spot, format!("an object of `{}` has no id", T::KIND));
            return;
        }
        self.unread(spot, T::KIND, object.other(), T::IGNORED);
        let number = shelf(&mut self.inventory).len();
        self.keep(object, CallShape { number, spot, size: value.text.len(), value: None }, shelf);
    }

    /// Reads the items of a list that have no id. Each is accounted for by its place.
    fn items<T: serde::de::DeserializeOwned>(
        &mut self,
        file: usize,
        kind: &'static str,
        value: &RawJson<'_>,
    ) -> Vec<LocatedItem<T>> {
        let Some(items) = value.items() else {
            self.mistake(file, value, format!("`{kind}` is no list"));
            return Vec::new();
        };
        let mut read = Vec::with_capacity(items.len());
        for item in &items {
            let spot = SourceLocation { file, at: item.start };
            if let Some(object) = self.plain(file, item) {
                self.ledger.insert_item(kind, spot);
                read.push(LocatedItem { object, spot });
            }
        }
        read
    }

    /// Reads a value as a type; members that are `null` are as good as absent.
    fn plain<T: serde::de::DeserializeOwned>(&mut self, file: usize, value: &RawJson<'_>) -> Option<T> {
        self.plain_by(file, value, without_nulls)
    }

    /// The same, after a change of what stands there.
    fn plain_by<T: serde::de::DeserializeOwned>(
        &mut self,
        file: usize,
        value: &RawJson<'_>,
        change: fn(serde_json::Value) -> serde_json::Value,
    ) -> Option<T> {
        let read = serde_json::from_str(value.text).and_then(|value| serde_json::from_value(change(value)));
        match read {
            Ok(object) => Some(object),
            Err(error) => {
                let told = error.to_string();
                let told = told.split(" at line ").next().unwrap_or_default();
                self.mistake(file, value, format!("this object is not as AWS prints it: {told}"));
                None
            }
        }
    }

    fn mistake(&mut self, file: usize, value: &RawJson<'_>, message: String) {
        self.mistakes.push(DocumentError { file, at: value.range(), message, help: None });
    }
}
