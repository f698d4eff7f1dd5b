//! Documents to objects. What a document is, its top-level keys tell; never its file's name, but where a call does
//! not say in its answer what it was asked about.

use std::collections::HashMap;

use super::document::{Document, Member, Mistake, Raw};
use super::folder::{File, is_account};
use super::inventory::{Found, Inventory, RecordSets};
use super::ledger::{Item, Ledger, Spot};
use super::merge::{contradictions, merged, says_nothing};
use super::objects::instance::{Address, Instance, Reservation};
use super::objects::network::{BlockPublicAccessStates, Vpc, VpcAttribute};
use super::objects::route53::{HostedZone, HostedZoneSummary, ResourceRecordSet, ZoneVpc};
use super::objects::{Object, Other};

/// Reads documents into an inventory.
pub struct Reader<'f> {
    /// The files, for their names.
    pub(super) files: &'f [File],
    /// What was read.
    pub inventory: Inventory,
    /// What became of it.
    pub ledger: Ledger,
    /// What is wrong with the documents.
    pub mistakes: Vec<Mistake>,
    /// The form of each object that counts, by its kind and id.
    forms: HashMap<(&'static str, String), Form>,
}

/// The form of an object that counts, where several documents tell of it.
struct Form {
    /// Which of its kind in the inventory it is.
    number: usize,
    /// Where its text begins.
    spot: Spot,
    /// How long its text is.
    size: usize,
    /// What it says, where that is no text of a document alone.
    value: Option<serde_json::Value>,
}

/// What a top-level key of a document is to plustwo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    /// What stands there is read.
    Read,
    /// It is known, and changes no answer.
    WithoutEffect,
    /// Nobody knows it.
    Unknown,
}

/// Documents that change no answer, and those that plustwo does not use so far, with the reason.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("FirewallRuleGroups", FIREWALL),
    ("FirewallRuleGroupAssociations", FIREWALL),
    ("FirewallRules", FIREWALL),
    ("FirewallRuleGroup", FIREWALL),
    ("FirewallRuleGroupAssociation", FIREWALL),
    ("FirewallDomainList", FIREWALL),
    ("FirewallDomainLists", FIREWALL),
    ("FirewallConfigs", FIREWALL),
    ("FirewallConfig", FIREWALL),
    ("Domains", FIREWALL),
    ("LoadBalancers", BALANCERS),
    ("LoadBalancerAttributes", BALANCERS),
    ("LoadBalancerListeners", BALANCERS),
    ("LoadBalancerTargetHealth", BALANCERS),
    ("TargetHealthDescriptions", BALANCERS),
    ("Listeners", BALANCERS),
    ("DirectConnectGatewayAttachments", "where a Direct Connect gateway leads is told by its associations"),
    ("directConnectGatewayAttachments", "where a Direct Connect gateway leads is told by its associations"),
    ("virtualGateways", "virtual private gateways are known by EC2's documents"),
    ("connections", OTHERS),
    ("lags", OTHERS),
    ("interconnects", OTHERS),
    ("TransitGatewayAttachmentPropagations", "route tables tell what propagates to them"),
    ("TransitGatewayConnects", "what is attached to transit gateways is told by their attachments"),
    ("TransitGatewayConnectPeers", "what is attached to transit gateways is told by their attachments"),
    ("TransitGatewayMulticastDomains", "multicast is not modelled, and no answer leads to it"),
    ("CarrierGateways", GATEWAYS),
    ("LocalGateways", GATEWAYS),
    ("VpcEndpointConnections", PROVIDERS),
    ("ServiceConfigurations", PROVIDERS),
    ("AllowedPrincipals", PROVIDERS),
    ("ConnectionNotificationSet", PROVIDERS),
    ("ResourceTagSets", "tags change no answer"),
    ("ResourceTagSet", "tags change no answer"),
    ("ResourceTags", "tags change no answer"),
    ("resourceTags", "tags change no answer"),
    ("QueryLoggingConfigs", "query logs change no answer"),
    ("ResolverQueryLogConfigs", "query logs change no answer"),
    ("ResolverQueryLogConfigAssociations", "query logs change no answer"),
    ("ServiceNames", "the documents of the services say more"),
    ("Tags", "objects carry their tags"),
    ("Regions", OTHERS),
    ("AvailabilityZones", OTHERS),
    ("Volumes", OTHERS),
    ("Images", OTHERS),
    ("Snapshots", OTHERS),
    ("KeyPairs", OTHERS),
    ("AccountAttributes", OTHERS),
    ("FlowLogs", OTHERS),
    ("InstanceStatuses", OTHERS),
    ("InstanceTypes", OTHERS),
    ("LaunchTemplates", OTHERS),
    ("PlacementGroups", OTHERS),
    ("DBInstances", OTHERS),
    ("TargetGroups", BALANCERS),
    ("DomainStatusList", OTHERS),
    ("DelegationSets", OTHERS),
];

const FIREWALL: &str = "DNS Firewall is read and not used yet";
const BALANCERS: &str = "load balancers are known by their network interfaces";
const GATEWAYS: &str = "routes lead to it, and nothing else is to be said of it";
const PROVIDERS: &str = "it is about who offers a service, and not about who asks";
const OTHERS: &str = "it has no part in names or ways out";

/// What `describe-vpc-attribute` tells goes by this name: its documents have the attribute itself for a key.
pub const VPC_ATTRIBUTES: &str = "VpcAttributes";

/// Keys that stand beside the objects of a document and hold none.
const BESIDE: &[&str] = &[
    "NextToken",
    "nextToken",
    "NextMarker",
    "Marker",
    "IsTruncated",
    "MaxItems",
    "MaxResults",
    "ResponseMetadata",
    "NextRecordName",
    "NextRecordType",
    "NextRecordIdentifier",
    "DelegationSet",
    "UserId",
    "Arn",
    "VpcId",
    "HostedZoneId",
    "DNSName",
    "HealthCheckId",
    "PrefixListId",
    "ResolverEndpointId",
    "TotalCount",
    "FilteredCount",
    "TotalFilteredCount",
    "AdditionalRoutesAvailable",
    "RequestId",
    "TransitGatewayRouteTableId",
    "Version",
];

impl<'f> Reader<'f> {
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
        let has = |key: &str| document.members.iter().any(|member| member.key == key);
        if has("Account") && has("UserId") {
            self.caller(document);
            return true;
        }
        if has("EnableDnsSupport") || has("EnableDnsHostnames") || has("EnableNetworkAddressUsageMetrics") {
            self.attribute(document);
            return true;
        }
        let own = document.members.iter().filter(|member| !BESIDE.contains(&member.key.as_str()));
        let is_empty = |member: &Member<'_>| member.value.items().is_some_and(|all| all.is_empty());
        let own = own.map(|member| (member, self.member(document, member)));
        // An empty list of whatever it may be says nothing.
        let own: Vec<_> = own.filter(|(member, key)| *key == Key::Read || !is_empty(member)).collect();
        let is_any = |wanted: Key| own.iter().any(|(_, key)| *key == wanted);
        let is_list =
            |member: &Member<'_>| member.value.items().is_some_and(|all| all.iter().any(Raw::is_object));
        if !document.members.iter().any(|member| !BESIDE.contains(&member.key.as_str())) {
            let spot = Spot { file: document.file, at: document.at.start };
            self.ledger.note(Some(spot), "this document holds no objects");
        }
        let is_strange = !own.is_empty() && !is_any(Key::Read) && !is_any(Key::WithoutEffect);
        if is_strange && (document.is_listed || !own.iter().any(|(member, _)| is_list(member))) {
            self.unknown_document(document, own.iter().map(|(member, _)| member.key.as_str()));
            return false;
        }
        for (member, key) in &own {
            match key {
                Key::Read => {}
                Key::WithoutEffect => self.without_effect(document.file, member),
                // What stands beside the lists of an answer is about them.
                Key::Unknown if is_any(Key::Read) || is_list(member) => {
                    self.unknown_member(document.file, member)
                }
                Key::Unknown => {}
            }
        }
        is_any(Key::Read)
    }

    /// Reads one list of a document, or its only object. Tells what its key is.
    fn member(&mut self, document: &Document<'f>, member: &Member<'f>) -> Key {
        let (file, value) = (document.file, &member.value);
        let mut inventory = std::mem::take(&mut self.inventory);
        let mut key = Key::Read;
        match member.key.as_str() {
            "Vpcs" => self.list(file, value, &mut inventory.vpcs),
            "Subnets" => self.list(file, value, &mut inventory.subnets),
            "RouteTables" => self.list(file, value, &mut inventory.route_tables),
            "InternetGateways" => self.list(file, value, &mut inventory.internet_gateways),
            "EgressOnlyInternetGateways" => {
                self.list(file, value, &mut inventory.egress_only_internet_gateways)
            }
            "NatGateways" => self.list(file, value, &mut inventory.nat_gateways),
            "VpcEndpoints" => self.list(file, value, &mut inventory.endpoints),
            "VpcEndpointAssociations" => self.list(file, value, &mut inventory.endpoint_associations),
            "ServiceDetails" => self.list(file, value, &mut inventory.services),
            "NetworkInterfaces" => self.list(file, value, &mut inventory.interfaces),
            "Reservations" => self.reservations(file, value, &mut inventory.instances),
            "Addresses" => {
                self.list(file, value, &mut inventory.addresses);
                for address in &inventory.addresses {
                    let why = "what has an Elastic IP address tells it";
                    self.ledger.left_out(Address::KIND, &address.id(), why);
                }
            }
            "SecurityGroups" => self.list(file, value, &mut inventory.security_groups),
            "SecurityGroupRules" => self.list(file, value, &mut inventory.security_group_rules),
            "NetworkAcls" => self.list(file, value, &mut inventory.network_acls),
            "PrefixLists" => self.list(file, value, &mut inventory.prefix_lists),
            "VpcPeeringConnections" => self.list(file, value, &mut inventory.peerings),
            "DhcpOptions" => self.list(file, value, &mut inventory.dhcp_options),
            "TransitGateways" => self.list(file, value, &mut inventory.transit_gateways),
            "TransitGatewayAttachments" => self.list(file, value, &mut inventory.attachments),
            "TransitGatewayVpcAttachments" => self.list(file, value, &mut inventory.vpc_attachments),
            "TransitGatewayPeeringAttachments" => self.list(file, value, &mut inventory.peering_attachments),
            "TransitGatewayRouteTables" => self.list(file, value, &mut inventory.transit_route_tables),
            "VpnGateways" => self.list(file, value, &mut inventory.vpn_gateways),
            "VpnConnections" => self.list(file, value, &mut inventory.vpn_connections),
            "CustomerGateways" => self.list(file, value, &mut inventory.customer_gateways),
            "directConnectGateways" | "DirectConnectGateways" => {
                self.list(file, value, &mut inventory.direct_connect_gateways)
            }
            "directConnectGatewayAssociations" | "DirectConnectGatewayAssociations" => {
                self.list(file, value, &mut inventory.direct_connect_associations)
            }
            "virtualInterfaces" | "VirtualInterfaces" => {
                self.list(file, value, &mut inventory.virtual_interfaces)
            }
            "HealthChecks" => self.list(file, value, &mut inventory.health_checks),
            "HealthCheck" => self.one(file, value, &mut inventory.health_checks),
            "HealthCheckObservations" => {
                let observations = self.items(file, "HealthCheckObservations", value);
                if let Some(id) = self.health_check(document) {
                    inventory.health_observations.entry(id).or_default().extend(observations);
                }
            }
            "TransitGatewayPrefixListReferences" => {
                let references = self.items(file, "TransitGatewayPrefixListReferences", value);
                inventory.prefix_list_references.extend(references);
            }
            "HostedZones" => self.list(file, value, &mut inventory.hosted_zones),
            "HostedZone" => self.one(file, value, &mut inventory.hosted_zones),
            "ResolverRules" => self.list(file, value, &mut inventory.resolver_rules),
            "ResolverRule" => self.one(file, value, &mut inventory.resolver_rules),
            "ResolverRuleAssociation" => self.one(file, value, &mut inventory.rule_associations),
            "ResolverRuleAssociations" => self.list(file, value, &mut inventory.rule_associations),
            "ResolverEndpoints" => self.list(file, value, &mut inventory.resolver_endpoints),
            "ResolverEndpoint" => self.one(file, value, &mut inventory.resolver_endpoints),
            "ResolverConfigs" => self.list(file, value, &mut inventory.resolver_configs),
            "ResolverConfig" => self.one(file, value, &mut inventory.resolver_configs),
            "ProfileSummaries" => self.list(file, value, &mut inventory.profiles),
            "Profile" => self.one(file, value, &mut inventory.profiles),
            "ProfileAssociation" => self.one(file, value, &mut inventory.profile_associations),
            "ProfileResourceAssociation" => self.one(file, value, &mut inventory.profile_resources),
            "ProfileAssociations" => self.list(file, value, &mut inventory.profile_associations),
            "ProfileResourceAssociations" => self.list(file, value, &mut inventory.profile_resources),
            "VpcBlockPublicAccessOptions" => self.block_public_access(file, value),
            // VPC Lattice calls every list so.
            "items" if value.text.contains("\"serviceNetworkId\"") && value.text.contains("\"vpcId\"") => {
                self.list(file, value, &mut inventory.service_networks);
            }
            "VPCs" => self.zone_vpcs(document, value, &mut inventory),
            "HostedZoneSummaries" => self.zone_summaries(document, value, &mut inventory),
            "ResourceRecordSets" => {
                let sets: Vec<Item<ResourceRecordSet>> = self.items(file, "ResourceRecordSets", value);
                for set in &sets {
                    self.unread(set.spot, "ResourceRecordSets", &set.other, ResourceRecordSet::IGNORED);
                }
                inventory.record_sets.push(RecordSets { file, at: document.at.clone(), sets, zone: None });
            }
            "Entries" if self.is_about(document, value, "Cidr", &["pl-"]) => {
                let entries = self.items(file, "Entries", value);
                if let Some(id) = self.subject(document, "PrefixListId", &["pl-"], "a prefix list") {
                    let place = (id, self.files[file].region.clone());
                    inventory.prefix_list_entries.entry(place).or_default().extend(entries);
                }
            }
            "IpAddresses" if self.is_about(document, value, "Ip", &["rslvr-in-", "rslvr-out-"]) => {
                let addresses = self.items(file, "IpAddresses", value);
                let prefixes = ["rslvr-in-", "rslvr-out-"];
                if let Some(id) =
                    self.subject(document, "ResolverEndpointId", &prefixes, "a resolver endpoint")
                {
                    inventory.resolver_addresses.entry(id).or_default().extend(addresses);
                }
            }
            "Routes" if self.is_about(document, value, "TransitGatewayAttachments", &["tgw-rtb-"]) => {
                let routes = self.items(file, "Routes", value);
                self.all_routes(document);
                if let Some(id) = self.transit_table(document) {
                    inventory.transit_routes.entry(id).or_default().extend(routes);
                }
            }
            "Associations" if self.is_about(document, value, "TransitGatewayAttachmentId", &["tgw-rtb-"]) => {
                let associations = self.items(file, "Associations", value);
                if let Some(id) = self.transit_table(document) {
                    inventory.transit_associations.entry(id).or_default().extend(associations);
                }
            }
            "TransitGatewayRouteTablePropagations" => {
                let propagations = self.items(file, "TransitGatewayRouteTablePropagations", value);
                if let Some(id) = self.transit_table(document) {
                    inventory.transit_propagations.entry(id).or_default().extend(propagations);
                }
            }
            // Batfish's layout has these calls' answers in one document, each beside its table's id.
            "TransitGatewayStaticRoutes" | "TransitGatewayPropagations" => {
                for item in value.items().unwrap_or_default() {
                    let (at, members) = (item.range(), item.members().unwrap_or_default());
                    self.inventory = inventory;
                    self.document(&Document { file, at, members, is_listed: false });
                    inventory = std::mem::take(&mut self.inventory);
                }
            }
            other => {
                let is_known = WITHOUT_EFFECT.iter().any(|(known, _)| *known == other);
                key = if is_known { Key::WithoutEffect } else { Key::Unknown };
            }
        }
        inventory.kinds.insert(member.key.clone());
        self.inventory = inventory;
        key
    }

    /// Reads the objects of a list; AWS's own older examples have an object alone instead.
    fn list<T: Object>(&mut self, file: usize, value: &Raw<'_>, found: &mut Vec<Found<T>>) {
        match value.items() {
            Some(items) => items.iter().for_each(|item| self.one(file, item, found)),
            None if value.text.starts_with('{') => self.one(file, value, found),
            None => self.mistake(file, value, format!("`{}` is no list", T::KIND)),
        }
    }

    /// Reads one object.
    fn one<T: Object>(&mut self, file: usize, value: &Raw<'_>, found: &mut Vec<Found<T>>) {
        let Some(object) = self.plain_by::<T>(file, value, as_read::<T>) else { return };
        let id = object.id();
        if id.is_empty() {
            let spot = Spot { file, at: value.start };
            self.ledger.read_item(T::KIND, spot);
            self.ledger.item_not_understood(T::KIND, spot, format!("an object of `{}` has no id", T::KIND));
            return;
        }
        let spot = Spot { file, at: value.start };
        self.unread(spot, T::KIND, object.other(), T::IGNORED);
        let form = Form { number: found.len(), spot, size: value.text.len(), value: None };
        self.keep(found, object, form);
    }

    /// Keeps an object. Of two calls that tell of one, such as `describe-vpc-classic-link` and `describe-vpcs`, the one
    /// that tells more counts, and the other one for what it lacks.
    fn keep<T: Object>(&mut self, found: &mut Vec<Found<T>>, object: T, form: Form) {
        let (id, file) = (object.id(), form.spot.file);
        if self.ledger.read(T::KIND, &id, form.spot) {
            self.forms.insert((T::KIND, id), form);
            found.push(Found { object, file });
            return;
        }
        let key = (T::KIND, id);
        let Some(first) = self.forms.remove(&key) else { return };
        if self.text_of(&first) == self.text_of(&form) && first.size > 0 {
            self.forms.insert(key, first);
            return;
        }
        let number = first.number;
        let (longer, shorter) = if first.size < form.size { (&form, &first) } else { (&first, &form) };
        let (value, other) = (self.value_of::<T>(longer), self.value_of::<T>(shorter));
        for field in contradictions(&value, &other) {
            if !T::IGNORED.contains(&field.as_str()) {
                let message =
                    format!("{}: two documents do not agree about `{field}`; the longer form holds", key.1);
                self.ledger.note(Some(form.spot), message);
            }
        }
        let value = merged(value, other);
        let Form { spot, size, .. } = *longer;
        if let (Some(first), Ok(object)) = (found.get_mut(number), serde_json::from_value(value.clone())) {
            *first = Found { object, file: spot.file };
        }
        self.forms.insert(key, Form { number, spot, size, value: Some(value) });
    }

    /// The text of a form.
    fn text_of(&self, form: &Form) -> &'f str {
        self.files[form.spot.file].text.get(form.spot.at..form.spot.at + form.size).unwrap_or_default()
    }

    /// What a form says.
    fn value_of<T: Object>(&self, form: &Form) -> serde_json::Value {
        let written = || serde_json::from_str(self.text_of(form)).unwrap_or_default();
        form.value.clone().unwrap_or_else(|| as_read::<T>(written()))
    }

    /// Leaves VPCs out of which only such calls tell that do not say their prefixes, as `describe-vpc-classic-link`.
    pub fn leave_out_bare_vpcs(&mut self) {
        let is_bare =
            |vpc: &Found<Vpc>| vpc.cidr_block.is_none() && vpc.cidr_block_association_set.is_empty();
        for vpc in self.inventory.vpcs.extract_if(.., |vpc| is_bare(vpc)) {
            let id = &vpc.vpc_id;
            self.ledger.left_out(Vpc::KIND, id, "no document tells its prefixes");
            self.ledger.missing(
                format!("the prefixes of VPC {id}"),
                format!("aws ec2 describe-vpcs --vpc-ids {id}"),
            );
        }
    }

    /// Notes the fields of an object that nobody reads and that say something.
    fn unread(&mut self, spot: Spot, kind: &str, other: &Other, ignored: &[&str]) {
        for (field, value) in other {
            if !says_nothing(value) && !ignored.contains(&field.as_str()) {
                self.ledger.note(Some(spot), format!("the field `{field}` of `{kind}` is not read"));
            }
        }
    }

    /// Reads the items of a list that have no id. Each is accounted for by its place.
    fn items<T: serde::de::DeserializeOwned>(
        &mut self,
        file: usize,
        kind: &'static str,
        value: &Raw<'_>,
    ) -> Vec<Item<T>> {
        let Some(items) = value.items() else {
            self.mistake(file, value, format!("`{kind}` is no list"));
            return Vec::new();
        };
        let mut read = Vec::with_capacity(items.len());
        for item in &items {
            let spot = Spot { file, at: item.start };
            if let Some(object) = self.plain(file, item) {
                self.ledger.read_item(kind, spot);
                read.push(Item { object, spot });
            }
        }
        read
    }

    /// Reads a value as a type; members that are `null` are as good as absent.
    fn plain<T: serde::de::DeserializeOwned>(&mut self, file: usize, value: &Raw<'_>) -> Option<T> {
        self.plain_by(file, value, without_nulls)
    }

    /// The same, after a change of what stands there.
    fn plain_by<T: serde::de::DeserializeOwned>(
        &mut self,
        file: usize,
        value: &Raw<'_>,
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

    fn mistake(&mut self, file: usize, value: &Raw<'_>, message: String) {
        self.mistakes.push(Mistake { file, at: value.range(), message, help: None });
    }

    /// Reads reservations, which hold the instances.
    fn reservations(&mut self, file: usize, value: &Raw<'_>, found: &mut Vec<Found<Instance>>) {
        let Some(items) = value.items() else {
            self.mistake(file, value, "`Reservations` is no list".to_owned());
            return;
        };
        for item in items {
            // Some tools write the instances alone.
            let members = item.members().unwrap_or_default();
            match members.into_iter().find(|member| member.key == "Instances") {
                Some(instances) => self.list(file, &instances.value, found),
                None if self
                    .plain::<Reservation>(file, &item)
                    .is_some_and(|one| one.instances.is_empty()) => {}
                None => self.one(file, &item, found),
            }
        }
    }

    /// Reads whether public access to a region's VPCs is blocked.
    fn block_public_access(&mut self, file: usize, value: &Raw<'_>) {
        const KIND: &str = "VpcBlockPublicAccessOptions";
        let Some(states) = self.plain::<BlockPublicAccessStates>(file, value) else { return };
        let spot = Spot { file, at: value.start };
        self.ledger.read_item(KIND, spot);
        match states.blocked() {
            None => self.ledger.item_left_out(KIND, spot, "public access is not blocked"),
            Some(mode) => {
                let why = format!("public access is blocked ({mode}), which is not modelled");
                self.ledger.item_not_understood(KIND, spot, why);
            }
        }
    }

    /// Reads what `sts get-caller-identity` prints.
    fn caller(&mut self, document: &Document<'_>) {
        let account = document.members.iter().find(|member| member.key == "Account");
        let account: Option<String> =
            account.and_then(|account| serde_json::from_str(account.value.text).ok());
        self.inventory.kinds.insert("Account".to_owned());
        let spot = Spot { file: document.file, at: document.at.start };
        self.ledger.read_item("Account", spot);
        self.ledger.item_left_out("Account", spot, "it is the account of VPCs that nothing else tells it of");
        self.inventory.caller = account.filter(|account| is_account(account));
    }

    /// Reads an attribute of a VPC.
    fn attribute(&mut self, document: &Document<'_>) {
        let mut whole = serde_json::Map::new();
        for member in &document.members {
            let value = serde_json::from_str(member.value.text).unwrap_or(serde_json::Value::Null);
            whole.insert(member.key.clone(), value);
        }
        let start = document.at.start;
        let value = serde_json::Value::Object(whole).to_string();
        let value = Raw { text: &value, start };
        let Some(read) = self.plain::<VpcAttribute>(document.file, &value) else { return };
        let spot = Spot { file: document.file, at: start };
        self.ledger.read_item(VPC_ATTRIBUTES, spot);
        if read.enable_dns_support.is_none() && read.enable_dns_hostnames.is_none() {
            self.ledger.item_left_out(VPC_ATTRIBUTES, spot, OTHERS);
        }
        self.inventory.attribute_spots.entry(read.vpc_id.clone()).or_default().push(spot);
        let attribute = self.inventory.attributes.entry(read.vpc_id.clone()).or_default();
        attribute.enable_dns_support = attribute.enable_dns_support.or(read.enable_dns_support);
        attribute.enable_dns_hostnames = attribute.enable_dns_hostnames.or(read.enable_dns_hostnames);
    }

    /// Reads the VPCs that stand beside a hosted zone.
    fn zone_vpcs(&mut self, document: &Document<'_>, value: &Raw<'_>, inventory: &mut Inventory) {
        let vpcs: Vec<Item<ZoneVpc>> = self.items(document.file, "VPCs", value);
        let zone = document.members.iter().find(|member| member.key == "HostedZone");
        let zone =
            zone.and_then(|zone| self.plain::<HostedZone>(document.file, &zone.value)).map(|zone| zone.id());
        let zone = zone.or_else(|| self.subject(document, "HostedZoneId", &["Z"], "a hosted zone"));
        if let Some(zone) = zone {
            inventory.zone_vpcs.entry(zone).or_default().extend(vpcs);
        }
    }

    /// Reads which hosted zones a VPC has.
    fn zone_summaries(&mut self, document: &Document<'_>, value: &Raw<'_>, inventory: &mut Inventory) {
        let Some(items) = value.items() else {
            self.mistake(document.file, value, "`HostedZoneSummaries` is no list".to_owned());
            return;
        };
        let Some(vpc_id) = self.subject(document, "VpcId", &["vpc-"], "a VPC") else { return };
        for item in &items {
            let Some(zone) = self.plain::<HostedZoneSummary>(document.file, item) else { continue };
            let spot = Spot { file: document.file, at: item.start };
            if let Some(service) = &zone.owner.owning_service {
                self.zone_of_a_service(&zone, service, spot);
                continue;
            }
            let vpc = Item { object: ZoneVpc { vpc_id: vpc_id.clone() }, spot };
            inventory.zone_vpcs.entry(zone.hosted_zone_id.clone()).or_default().push(vpc);
            // Its own account may have it alone, and the records may be there all the same.
            let said = serde_json::json!({
                "Id": format!("/hostedzone/{}", zone.hosted_zone_id),
                "Name": zone.name,
                "Config": { "PrivateZone": true },
            });
            if let Ok(object) = serde_json::from_value(said.clone()) {
                let form = Form { number: inventory.hosted_zones.len(), spot, size: 0, value: Some(said) };
                self.keep(&mut inventory.hosted_zones, object, form);
            }
        }
    }

    /// Accounts for a zone that an AWS service made, whose records nobody may list.
    fn zone_of_a_service(&mut self, zone: &HostedZoneSummary, service: &str, spot: Spot) {
        let id = &zone.hosted_zone_id;
        self.ledger.read(HostedZone::KIND, id, spot);
        if service.starts_with("vpce.") {
            self.ledger.left_out(
                HostedZone::KIND,
                id,
                "it is an endpoint's private DNS, which the endpoint tells",
            );
        } else {
            let why =
                format!("{service} owns {} and tells nobody its records", zone.name.trim_end_matches('.'));
            self.ledger.not_understood(HostedZone::KIND, id, why);
        }
    }

    /// A page of routes of a transit gateway is cut at 1000 without a token.
    fn all_routes(&mut self, document: &Document<'_>) {
        let more = document.members.iter().find(|member| member.key == "AdditionalRoutesAvailable");
        if let Some(more) = more.filter(|more| more.value.text == "true") {
            let message = "there are more routes than the call printed".to_owned();
            let help =
                "`aws ec2 export-transit-gateway-routes`, or search with narrower filters, a file each";
            let at = more.value.range();
            self.mistakes.push(Mistake { file: document.file, at, message, help: Some(help.to_owned()) });
        }
    }

    /// Accounts for what changes no answer.
    fn without_effect(&mut self, file: usize, member: &Member<'_>) {
        let Some((kind, why)) = WITHOUT_EFFECT.iter().find(|(known, _)| *known == member.key) else { return };
        for item in member.value.items().unwrap_or_else(|| vec![member.value.clone()]) {
            let spot = Spot { file, at: item.start };
            self.ledger.read_item(*kind, spot);
            self.ledger.item_left_out(*kind, spot, *why);
        }
    }

    /// Accounts for a list that nobody knows.
    fn unknown_member(&mut self, file: usize, member: &Member<'_>) {
        let key = &member.key;
        for item in member.value.items().unwrap_or_else(|| vec![member.value.clone()]) {
            let spot = Spot { file, at: item.start };
            let why = format!("a document with the key `{key}` is not read");
            self.ledger.read_item(key.clone(), spot);
            self.ledger.item_not_understood(key.clone(), spot, why);
        }
    }

    /// Accounts for a document that is one object: an answer of its own, or what `--query` leaves of a list.
    fn unknown_document<'k>(&mut self, document: &Document<'_>, keys: impl Iterator<Item = &'k str>) {
        const KIND: &str = "documents of other calls";
        const MOST: usize = 4;
        let mut keys: Vec<String> = keys.map(|key| format!("`{key}`")).collect();
        if keys.len() > MOST {
            keys.truncate(MOST);
            keys.push("…".to_owned());
        }
        let word = if keys.len() == 1 { "key" } else { "keys" };
        let keys = keys.join(", ");
        let why = match document.is_listed {
            true => {
                format!("an object of a list without its key, as `--query` leaves it, is not read ({keys})")
            }
            false => format!("a document with the {word} {keys} is not read"),
        };
        let spot = Spot { file: document.file, at: document.at.start };
        self.ledger.read_item(KIND, spot);
        self.ledger.item_not_understood(KIND, spot, why);
    }
}

/// An object's value as its type reads it. Some tools write the keys of Direct Connect's API as EC2's are written, which
/// begin with a capital.
fn as_read<T: Object>(value: serde_json::Value) -> serde_json::Value {
    let value = without_nulls(value);
    if T::KIND.starts_with(char::is_lowercase) { in_camel_case(value) } else { value }
}

/// A value without members that are `null`.
fn without_nulls(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value::{Array, Object};
    match value {
        Object(members) => {
            let said = members.into_iter().filter(|(_, value)| !value.is_null());
            Object(said.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        Array(items) => Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

/// A value whose keys begin with a small letter.
fn in_camel_case(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value::{Array, Object};
    match value {
        Object(members) => {
            let small = |key: String| {
                let (first, rest) = key.split_at(key.chars().next().map_or(0, char::len_utf8));
                first.to_lowercase() + rest
            };
            Object(members.into_iter().map(|(key, value)| (small(key), in_camel_case(value))).collect())
        }
        Array(items) => Array(items.into_iter().map(in_camel_case).collect()),
        other => other,
    }
}
