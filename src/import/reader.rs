//! Reading of documents into typed objects. The top-level keys determine what a document contains. File names
//! matter only for commands whose output does not identify the object it describes (`subject.rs`).
//!
//! ```text
//!  document ──► member ─┬─► objects with an id ──► representations.rs merges several representations of one object
//!                       ├─► objects without an id
//!                       ├─► output with a special shape: calls.rs
//!                       └─► anything else: keys.rs classifies it, unread.rs records it
//! ```

mod calls;
mod keys;
mod representations;
mod unread;

use std::collections::HashMap;

use super::directory::File;
use super::document::{Document, DocumentError, Member, RawJson};
use super::inventory::{Inventory, ReadObject, RecordSets};
use super::ledger::{Ledger, LocatedItem, SourceLocation};
use super::objects::Object;
use super::objects::instance::Address;
use super::objects::route53::ResourceRecordSet;
use keys::DocumentKey;
use representations::{Representation, normalised, without_nulls};

pub(super) use keys::VPC_ATTRIBUTES;

/// Reads documents into an [`Inventory`].
pub(super) struct DocumentReader<'f> {
    /// The files that contain the documents.
    pub(super) files: &'f [File],
    /// The objects that were read.
    pub inventory: Inventory,
    /// The dispositions of the objects.
    pub ledger: Ledger,
    /// The errors in the documents.
    pub errors: Vec<DocumentError>,
    /// The representation of each object that the inventory contains, by kind and id.
    representations: HashMap<(&'static str, String), Representation>,
}

/// Selects the list of the inventory that stores the objects of one type.
type Accessor<T> = fn(&mut Inventory) -> &mut Vec<ReadObject<T>>;

impl<'f> DocumentReader<'f> {
    /// Creates a reader for documents of these files.
    pub(super) fn new(files: &'f [File]) -> Self {
        Self {
            files,
            inventory: Inventory::default(),
            ledger: Ledger::default(),
            errors: Vec::new(),
            representations: HashMap::new(),
        }
    }

    /// Reads a document. Returns whether any of it was used. Missing pages of unused output are
    /// not an error.
    pub(super) fn read_document(&mut self, document: &Document<'f>) -> bool {
        let has = |key: &str| document.get(key).is_some();
        if has("Account") && has("UserId") {
            self.read_caller_identity(document);
            return true;
        }
        if has("EnableDnsSupport") || has("EnableDnsHostnames") || has("EnableNetworkAddressUsageMetrics") {
            self.read_vpc_attribute(document);
            return true;
        }
        let content: Vec<&Member<'_>> =
            document.members.iter().filter(|member| !keys::is_metadata(&member.key)).collect();
        if content.is_empty() {
            let location = SourceLocation { file: document.file, at: document.at.start };
            self.ledger.note_unsupported(Some(location), "document without objects");
        }
        let mut classified = Vec::with_capacity(content.len());
        for member in content {
            let key = self.read_member(document, member);
            // An empty list under an unknown key contains nothing to report.
            if key == DocumentKey::Read || !member.value.items().is_some_and(|all| all.is_empty()) {
                classified.push((member, key));
            }
        }
        let has_any = |wanted: DocumentKey| classified.iter().any(|(_, key)| *key == wanted);
        let is_list =
            |member: &Member<'_>| member.value.items().is_some_and(|all| all.iter().any(RawJson::is_object));
        let is_unknown =
            !classified.is_empty() && !has_any(DocumentKey::Read) && !has_any(DocumentKey::Ignored);
        if is_unknown && (document.is_in_list || !classified.iter().any(|(member, _)| is_list(member))) {
            let keys = classified.iter().map(|(member, _)| member.key.as_str());
            self.record_unknown_document(document, keys);
            return false;
        }
        for (member, key) in &classified {
            match key {
                DocumentKey::Read => {}
                DocumentKey::Ignored => self.record_ignored(document.file, member),
                // Next to objects that are read, every unknown member is reported. Next to an unknown list,
                // other members are metadata of the list.
                DocumentKey::Unknown if has_any(DocumentKey::Read) || is_list(member) => {
                    self.record_unknown_member(document.file, member);
                }
                DocumentKey::Unknown => {}
            }
        }
        has_any(DocumentKey::Read)
    }

    /// Reads one top-level member. Returns what kind of key it has.
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

    /// Reads objects with ids. Returns `false` if `key` is not the key of such objects.
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
            "TransitGatewayPeeringAttachments" => {
                self.read_list(file, value, |all| &mut all.peering_attachments)
            }
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
                    let why = "included in the object that it is associated with";
                    self.ledger.mark_skipped(Address::KIND, &address.id(), why);
                }
            }
            // VPC Lattice uses this key for all of its lists.
            "items" if value.text.contains("\"serviceNetworkId\"") && value.text.contains("\"vpcId\"") => {
                self.read_list(file, value, |all| &mut all.service_networks);
            }
            _ => return false,
        }
        true
    }

    /// Reads objects without ids, which are parts of another object. Returns `false` if `key` is not the key
    /// of such objects.
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
                let kind = "ResourceRecordSets";
                let sets: Vec<LocatedItem<ResourceRecordSet>> = self.read_items(file, kind, value);
                for set in &sets {
                    self.record_unread_fields(set.location, kind, &set.other, ResourceRecordSet::IGNORED);
                }
                let at = document.at.clone();
                self.inventory.record_sets.push(RecordSets { file, at, sets, zone: None });
            }
            "VPCs" => self.read_zone_vpcs(document, value),
            "Entries" if self.is_list_of(document, value, "Cidr", &["pl-"]) => {
                let entries = self.read_items(file, "Entries", value);
                if let Some(id) = self.subject_id(document, "PrefixListId", &["pl-"], "prefix list") {
                    let key = (id, self.files[file].region.clone());
                    self.inventory.prefix_list_entries.entry(key).or_default().extend(entries);
                }
            }
            "IpAddresses" if self.is_list_of(document, value, "Ip", RESOLVER_ENDPOINT) => {
                let addresses = self.read_items(file, "IpAddresses", value);
                let (key, what) = ("ResolverEndpointId", "resolver endpoint");
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
            "Associations"
                if self.is_list_of(document, value, "TransitGatewayAttachmentId", &["tgw-rtb-"]) =>
            {
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

    /// Reads the output of commands with special shapes. Returns `false` if `key` does not belong to such a
    /// command.
    fn read_special_shapes(&mut self, document: &Document<'f>, key: &str, value: &RawJson<'f>) -> bool {
        match key {
            "VpcBlockPublicAccessOptions" => self.read_block_public_access(document.file, value),
            "HostedZoneSummaries" => self.read_zone_summaries(document, value),
            // Batfish combines the output of these commands for all route tables in one document. Each
            // element contains the id of its table.
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

    /// Reads a list of objects. Old examples in AWS's documentation contain a single object instead.
    fn read_list<T: Object>(&mut self, file: usize, value: &RawJson<'_>, accessor: Accessor<T>) {
        match value.items() {
            Some(items) => items.iter().for_each(|item| self.read_object(file, item, accessor)),
            None if value.is_object() => self.read_object(file, value, accessor),
            None => self.add_error(file, value, format!("`{}` is not an array", T::KIND)),
        }
    }

    /// Reads one object.
    fn read_object<T: Object>(&mut self, file: usize, value: &RawJson<'_>, accessor: Accessor<T>) {
        let Some(object) = self.deserialize_with::<T>(file, value, normalised::<T>) else { return };
        let location = SourceLocation { file, at: value.start };
        if object.id().is_empty() {
            self.ledger.insert_item(T::KIND, location);
            let why = format!("object of `{}` without an id", T::KIND);
            self.ledger.mark_item_unsupported(T::KIND, location, why);
            return;
        }
        self.record_unread_fields(location, T::KIND, object.other_fields(), T::IGNORED);
        let index = accessor(&mut self.inventory).len();
        let representation = Representation { index, location, len: value.text.len(), value: None };
        self.insert_or_merge(object, representation, accessor);
    }

    /// Reads the elements of a list, which have no ids. The ledger identifies each by its location.
    fn read_items<T: serde::de::DeserializeOwned>(
        &mut self,
        file: usize,
        kind: &'static str,
        value: &RawJson<'_>,
    ) -> Vec<LocatedItem<T>> {
        let Some(items) = value.items() else {
            self.add_error(file, value, format!("`{kind}` is not an array"));
            return Vec::new();
        };
        let mut located = Vec::with_capacity(items.len());
        for item in &items {
            let location = SourceLocation { file, at: item.start };
            if let Some(object) = self.deserialize(file, item) {
                self.ledger.insert_item(kind, location);
                located.push(LocatedItem { object, location });
            }
        }
        located
    }

    /// Deserialises a value. Members that are `null` count as missing.
    fn deserialize<T: serde::de::DeserializeOwned>(&mut self, file: usize, value: &RawJson<'_>) -> Option<T> {
        self.deserialize_with(file, value, without_nulls)
    }

    /// Deserialises a value after applying `change` to it.
    fn deserialize_with<T: serde::de::DeserializeOwned>(
        &mut self,
        file: usize,
        value: &RawJson<'_>,
        change: fn(serde_json::Value) -> serde_json::Value,
    ) -> Option<T> {
        let result = serde_json::from_str(value.text).and_then(|value| serde_json::from_value(change(value)));
        match result {
            Ok(object) => Some(object),
            Err(error) => {
                let reason = error.to_string();
                let reason = reason.split(" at line ").next().unwrap_or_default();
                self.add_error(file, value, format!("invalid object: {reason}"));
                None
            }
        }
    }

    fn add_error(&mut self, file: usize, value: &RawJson<'_>, message: String) {
        self.errors.push(DocumentError { file, at: value.range(), message, help: None });
    }
}
