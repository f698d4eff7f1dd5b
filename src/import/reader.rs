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
use forms::{Representation, normalised, without_nulls};
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
    pub errors: Vec<DocumentError>,
    /// The form of each object that counts, by its kind and id.
    representations: HashMap<(&'static str, String), Representation>,
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
            errors: Vec::new(),
            representations: HashMap::new(),
        }
    }

    /// Reads a document. False when nothing in it is of use, so that it does not matter how much there is of it.
    pub fn read_document(&mut self, document: &Document<'f>) -> bool {
        let has = |key: &str| document.get(key).is_some();
        if has("Account") && has("UserId") {
            self.read_caller_identity(document);
            return true;
        }
        if has("EnableDnsSupport") || has("EnableDnsHostnames") || has("EnableNetworkAddressUsageMetrics") {
            self.read_vpc_attribute(document);
            return true;
        }
        let own: Vec<&Member<'_>> =
            document.members.iter().filter(|member| !keys::is_metadata(&member.key)).collect();
        if own.is_empty() {
            let spot = SourceLocation { file: document.file, at: document.at.start };
            self.ledger.note_unsupported(Some(spot), "this document holds no objects");
        }
        let mut told = Vec::with_capacity(own.len());
        for member in own {
            let key = self.read_member(document, member);
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
            !told.is_empty() && !is_any(DocumentKey::Read) && !is_any(DocumentKey::Ignored);
        if is_strange && (document.is_in_list || !told.iter().any(|(member, _)| is_list(member))) {
            self.record_unknown_document(document, told.iter().map(|(member, _)| member.key.as_str()));
            return false;
        }
        for (member, key) in &told {
            match key {
                DocumentKey::Read => {}
                DocumentKey::Ignored => self.record_ignored(document.file, member),
                // What stands beside the lists of an answer is about them.
                DocumentKey::Unknown if is_any(DocumentKey::Read) || is_list(member) => {
                    self.record_unknown_member(document.file, member);
                }
                DocumentKey::Unknown => {}
            }
        }
        is_any(DocumentKey::Read)
    }

    /// Reads one list of a document, or its only object. Tells what its key is.
    fn read_member(&mut self, document: &Document<'f>, member: &Member<'f>) -> DocumentKey {
        let key = member.key.as_str();
        let is_read = self.read_objects(document.file, key, &member.value)
            || self.read_items_without_id(document, key, &member.value)
            || self.read_special_shapes(document, key, &member.value);
        self.inventory.document_keys.insert(member.key.clone());
        match is_read {
            true => DocumentKey::Read,
            false => keys::classify_unread(key),
        }
    }

    /// Reads objects that have ids. False where the key is not theirs.
    fn read_objects(&mut self, file: usize, key: &str, value: &RawJson<'_>) -> bool {
        match key {
            "Vpcs" => self.read_list(file, value, |all| &mut all.vpcs),
            "Subnets" => self.read_list(file, value, |all| &mut all.subnets),
            "RouteTables" => self.read_list(file, value, |all| &mut all.route_tables),
            "InternetGateways" => self.read_list(file, value, |all| &mut all.internet_gateways),
            "EgressOnlyInternetGateways" => {
                self.read_list(file, value, |all| &mut all.egress_only_internet_gateways)
            }
            "NatGateways" => self.read_list(file, value, |all| &mut all.nat_gateways),
            "VpcEndpoints" => self.read_list(file, value, |all| &mut all.endpoints),
            "VpcEndpointAssociations" => self.read_list(file, value, |all| &mut all.endpoint_associations),
            "ServiceDetails" => self.read_list(file, value, |all| &mut all.services),
            "NetworkInterfaces" => self.read_list(file, value, |all| &mut all.interfaces),
            "SecurityGroups" => self.read_list(file, value, |all| &mut all.security_groups),
            "SecurityGroupRules" => self.read_list(file, value, |all| &mut all.security_group_rules),
            "NetworkAcls" => self.read_list(file, value, |all| &mut all.network_acls),
            "PrefixLists" => self.read_list(file, value, |all| &mut all.prefix_lists),
            "VpcPeeringConnections" => self.read_list(file, value, |all| &mut all.peerings),
            "DhcpOptions" => self.read_list(file, value, |all| &mut all.dhcp_options),
            "TransitGateways" => self.read_list(file, value, |all| &mut all.transit_gateways),
            "TransitGatewayAttachments" => self.read_list(file, value, |all| &mut all.attachments),
            "TransitGatewayVpcAttachments" => self.read_list(file, value, |all| &mut all.vpc_attachments),
            "TransitGatewayPeeringAttachments" => self.read_list(file, value, |all| &mut all.peering_attachments),
            "TransitGatewayRouteTables" => self.read_list(file, value, |all| &mut all.transit_route_tables),
            "VpnGateways" => self.read_list(file, value, |all| &mut all.vpn_gateways),
            "VpnConnections" => self.read_list(file, value, |all| &mut all.vpn_connections),
            "CustomerGateways" => self.read_list(file, value, |all| &mut all.customer_gateways),
            "directConnectGateways" | "DirectConnectGateways" => {
                self.read_list(file, value, |all| &mut all.direct_connect_gateways)
            }
            "directConnectGatewayAssociations" | "DirectConnectGatewayAssociations" => {
                self.read_list(file, value, |all| &mut all.direct_connect_associations)
            }
            "virtualInterfaces" | "VirtualInterfaces" => {
                self.read_list(file, value, |all| &mut all.virtual_interfaces)
            }
            "HealthChecks" => self.read_list(file, value, |all| &mut all.health_checks),
            "HealthCheck" => self.read_object(file, value, |all| &mut all.health_checks),
            "HostedZones" => self.read_list(file, value, |all| &mut all.hosted_zones),
            "HostedZone" => self.read_object(file, value, |all| &mut all.hosted_zones),
            "ResolverRules" => self.read_list(file, value, |all| &mut all.resolver_rules),
            "ResolverRule" => self.read_object(file, value, |all| &mut all.resolver_rules),
            "ResolverRuleAssociation" => self.read_object(file, value, |all| &mut all.rule_associations),
            "ResolverRuleAssociations" => self.read_list(file, value, |all| &mut all.rule_associations),
            "ResolverEndpoints" => self.read_list(file, value, |all| &mut all.resolver_endpoints),
            "ResolverEndpoint" => self.read_object(file, value, |all| &mut all.resolver_endpoints),
            "ResolverConfigs" => self.read_list(file, value, |all| &mut all.resolver_configs),
            "ResolverConfig" => self.read_object(file, value, |all| &mut all.resolver_configs),
            "ProfileSummaries" => self.read_list(file, value, |all| &mut all.profiles),
            "Profile" => self.read_object(file, value, |all| &mut all.profiles),
            "ProfileAssociation" => self.read_object(file, value, |all| &mut all.profile_associations),
            "ProfileResourceAssociation" => self.read_object(file, value, |all| &mut all.profile_resources),
            "ProfileAssociations" => self.read_list(file, value, |all| &mut all.profile_associations),
            "ProfileResourceAssociations" => self.read_list(file, value, |all| &mut all.profile_resources),
            "Reservations" => self.read_reservations(file, value),
            "Addresses" => {
                let before = self.inventory.addresses.len();
                self.read_list(file, value, |all| &mut all.addresses);
                for address in &self.inventory.addresses[before..] {
                    let why = "what has an Elastic IP address tells it";
                    self.ledger.mark_skipped(Address::KIND, &address.id(), why);
                }
            }
            // VPC Lattice calls every list so.
            "items" if value.text.contains("\"serviceNetworkId\"") && value.text.contains("\"vpcId\"") => {
                self.read_list(file, value, |all| &mut all.service_networks);
            }
            _ => return false,
        }
        true
    }

    /// Reads parts of objects, which have no id; many a call does not repeat of which object. False where the key is not
    /// theirs.
    fn read_items_without_id(&mut self, document: &Document<'f>, key: &str, value: &RawJson<'_>) -> bool {
        const RESOLVER_ENDPOINT: &[&str] = &["rslvr-in-", "rslvr-out-"];
        let file = document.file;
        match key {
            "HealthCheckObservations" => {
                let observations = self.read_items(file, "HealthCheckObservations", value);
                if let Some(id) = self.health_check_id(document) {
                    self.inventory.health_observations.entry(id).or_default().extend(observations);
                }
            }
            "TransitGatewayPrefixListReferences" => {
                let references = self.read_items(file, "TransitGatewayPrefixListReferences", value);
                self.inventory.prefix_list_references.extend(references);
            }
            "ResourceRecordSets" => {
                let sets: Vec<LocatedItem<ResourceRecordSet>> = self.read_items(file, "ResourceRecordSets", value);
                for set in &sets {
                    self.record_unread_fields(set.spot, "ResourceRecordSets", &set.other, ResourceRecordSet::IGNORED);
                }
                let at = document.at.clone();
                self.inventory.record_sets.push(RecordSets { file, at, sets, zone: None });
            }
            "VPCs" => self.read_zone_vpcs(document, value),
            "Entries" if self.is_list_of(document, value, "Cidr", &["pl-"]) => {
                let entries = self.read_items(file, "Entries", value);
                if let Some(id) = self.subject_id(document, "PrefixListId", &["pl-"], "a prefix list") {
                    let place = (id, self.files[file].region.clone());
                    self.inventory.prefix_list_entries.entry(place).or_default().extend(entries);
                }
            }
            "IpAddresses" if self.is_list_of(document, value, "Ip", RESOLVER_ENDPOINT) => {
                let addresses = self.read_items(file, "IpAddresses", value);
                let (key, what) = ("ResolverEndpointId", "a resolver endpoint");
                if let Some(id) = self.subject_id(document, key, RESOLVER_ENDPOINT, what) {
                    self.inventory.resolver_addresses.entry(id).or_default().extend(addresses);
                }
            }
            "Routes" if self.is_list_of(document, value, "TransitGatewayAttachments", &["tgw-rtb-"]) => {
                let routes = self.read_items(file, "Routes", value);
                self.check_routes_complete(document);
                if let Some(id) = self.transit_route_table_id(document) {
                    self.inventory.transit_routes.entry(id).or_default().extend(routes);
                }
            }
            "Associations" if self.is_list_of(document, value, "TransitGatewayAttachmentId", &["tgw-rtb-"]) => {
                let associations = self.read_items(file, "Associations", value);
                if let Some(id) = self.transit_route_table_id(document) {
                    self.inventory.transit_associations.entry(id).or_default().extend(associations);
                }
            }
            "TransitGatewayRouteTablePropagations" => {
                let propagations = self.read_items(file, "TransitGatewayRouteTablePropagations", value);
                if let Some(id) = self.transit_route_table_id(document) {
                    self.inventory.transit_propagations.entry(id).or_default().extend(propagations);
                }
            }
            _ => return false,
        }
        true
    }

    /// Reads what one call has in a shape of its own. False where the key is not such a call's.
    fn read_special_shapes(&mut self, document: &Document<'f>, key: &str, value: &RawJson<'f>) -> bool {
        match key {
            "VpcBlockPublicAccessOptions" => self.read_block_public_access(document.file, value),
            "HostedZoneSummaries" => self.read_zone_summaries(document, value),
            // Batfish's layout has these calls' answers in one document, each beside its table's id.
            "TransitGatewayStaticRoutes" | "TransitGatewayPropagations" => {
                for item in value.items().unwrap_or_default() {
                    let (at, members) = (item.range(), item.members().unwrap_or_default());
                    self.read_document(&Document { file: document.file, at, members, is_in_list: false });
                }
            }
            _ => return false,
        }
        true
    }

    /// Reads the objects of a list; AWS's own older examples have an object alone instead.
    fn read_list<T: Object>(&mut self, file: usize, value: &RawJson<'_>, shelf: Accessor<T>) {
        match value.items() {
            Some(items) => items.iter().for_each(|item| self.read_object(file, item, shelf)),
            None if value.is_object() => self.read_object(file, value, shelf),
            None => self.add_error(file, value, format!("`{}` is no list", T::KIND)),
        }
    }

    /// Reads one object.
    fn read_object<T: Object>(&mut self, file: usize, value: &RawJson<'_>, shelf: Accessor<T>) {
        let Some(object) = self.deserialize_with::<T>(file, value, normalised::<T>) else { return };
        let spot = SourceLocation { file, at: value.start };
        if object.id().is_empty() {
            self.ledger.insert_item(T::KIND, spot);
            self.ledger.mark_item_unsupported(T::KIND, spot, format!("an object of `{}` has no id", T::KIND));
            return;
        }
        self.record_unread_fields(spot, T::KIND, object.other_fields(), T::IGNORED);
        let number = shelf(&mut self.inventory).len();
        self.insert_or_merge(object, Representation { index: number, spot, len: value.text.len(), value: None }, shelf);
    }

    /// Reads the items of a list that have no id. Each is accounted for by its place.
    fn read_items<T: serde::de::DeserializeOwned>(
        &mut self,
        file: usize,
        kind: &'static str,
        value: &RawJson<'_>,
    ) -> Vec<LocatedItem<T>> {
        let Some(items) = value.items() else {
            self.add_error(file, value, format!("`{kind}` is no list"));
            return Vec::new();
        };
        let mut read = Vec::with_capacity(items.len());
        for item in &items {
            let spot = SourceLocation { file, at: item.start };
            if let Some(object) = self.deserialize(file, item) {
                self.ledger.insert_item(kind, spot);
                read.push(LocatedItem { object, spot });
            }
        }
        read
    }

    /// Reads a value as a type; members that are `null` are as good as absent.
    fn deserialize<T: serde::de::DeserializeOwned>(&mut self, file: usize, value: &RawJson<'_>) -> Option<T> {
        self.deserialize_with(file, value, without_nulls)
    }

    /// The same, after a change of what stands there.
    fn deserialize_with<T: serde::de::DeserializeOwned>(
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
                self.add_error(file, value, format!("this object is not as AWS prints it: {told}"));
                None
            }
        }
    }

    fn add_error(&mut self, file: usize, value: &RawJson<'_>, message: String) {
        self.errors.push(DocumentError { file, at: value.range(), message, help: None });
    }
}
