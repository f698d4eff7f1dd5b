//! Transit gateways: what is attached to them, and their route tables.

use std::collections::{BTreeSet, HashSet};

use super::ConfigWriter;
use super::sites::{site_of_attachment, site_of_customer_gateway, site_of_direct_connect};
use super::toml::InlineTable;
use crate::import::ledger::LocatedItem;
use crate::import::objects::transit::{
    PrefixListReference, RouteAttachment, TransitGateway, TransitGatewayAttachment,
    TransitGatewayPeeringAttachment, TransitGatewayRouteTable, TransitGatewayVpcAttachment,
};
use crate::import::objects::{Object, is_state, name_tag};
use crate::import::places::region_of_arn;

/// The key of the documents that hold a table's routes.
const ROUTES: &str = "Routes";

/// The key of the documents that hold a table's references to prefix lists.
const REFERENCES: &str = "TransitGatewayPrefixListReferences";

/// States of what is no more, or not yet.
pub(super) const GONE: &[&str] =
    &["deleted", "deleting", "failed", "failing", "rejected", "rejecting", "initiating"];

impl ConfigWriter<'_> {
    /// Transit gateways.
    pub(super) fn transit_gateways(&mut self) {
        let inventory = self.inventory;
        let mut heading = Some("transit gateways");
        for gateway in &inventory.transit_gateways {
            let id = gateway.transit_gateway_id.as_str();
            if is_state(gateway.state.as_deref(), GONE) {
                self.ledger.mark_skipped(TransitGateway::KIND, id, "it is deleted");
                continue;
            }
            if let Some(heading) = heading.take() {
                self.toml.heading(heading);
            }
            self.toml.table("transit_gateway", name_tag(&gateway.tags));
            self.toml.string("id", id);
            if !gateway.options.has_dns_support() {
                self.toml.value("dns_support", false);
            }
            if let Some(said) = gateway.options.has_group_referencing() {
                self.toml.value("security_group_referencing_support", said);
            }
            self.ledger.mark_converted(TransitGateway::KIND, id);
            let mut attached = self.vpc_attachments(id);
            attached.extend(self.other_attachments(id, &attached));
            self.written_attachments.extend(attached.iter().cloned());
            self.transit_route_tables(id, &attached);
        }
    }

    /// The VPCs attached to a transit gateway: out of the document that tells their subnets, else out of the one of
    /// all attachments. Gives the ids that were written.
    fn vpc_attachments(&mut self, gateway: &str) -> BTreeSet<String> {
        let inventory = self.inventory;
        let mut written = BTreeSet::new();
        for attachment in inventory.vpc_attachments.iter().filter(|one| one.transit_gateway_id == gateway) {
            let (kind, id) =
                (TransitGatewayVpcAttachment::KIND, attachment.transit_gateway_attachment_id.as_str());
            if is_state(attachment.state.as_deref(), GONE) {
                self.ledger.mark_skipped(kind, id, "it does not hold");
            } else if self.has_vpc(&attachment.vpc_id) {
                let known = attachment.subnet_ids.iter().filter(|id| self.subnet_vpcs.contains_key(id.as_str()));
                let known: Vec<&String> = known.collect();
                self.vpc_attachment(id, &attachment.vpc_id, name_tag(&attachment.tags));
                self.toml.non_empty_strings("subnets", known);
                if !attachment.options.has_dns_support() {
                    self.toml.value("dns_support", false);
                }
                if !attachment.options.has_ipv6_support() {
                    self.toml.value("ipv6_support", false);
                }
                if attachment.options.has_group_referencing() == Some(false) {
                    self.toml.value("security_group_referencing_support", false);
                }
                if attachment.options.has_appliance_mode() {
                    self.toml.value("appliance_mode_support", true);
                }
                self.ledger.mark_converted(kind, id);
                written.insert(id.to_owned());
            } else {
                self.note_missing_vpc(&attachment.vpc_id, id);
                self.ledger.mark_skipped(kind, id, "no document holds its VPC");
            }
        }
        for attachment in inventory.attachments.iter().filter(|one| one.transit_gateway_id == gateway) {
            let id = attachment.transit_gateway_attachment_id.as_str();
            if written.contains(id) {
                let why = "another document tells more of it";
                self.ledger.mark_skipped(TransitGatewayAttachment::KIND, &attachment.id(), why);
            }
            let vpc = attachment.resource_id.as_deref().unwrap_or_default();
            let is_new = attachment.resource_type == "vpc" && !written.contains(id) && self.has_vpc(vpc);
            if is_new && !is_state(attachment.state.as_deref(), GONE) {
                self.vpc_attachment(id, vpc, name_tag(&attachment.tags));
                self.ledger.mark_converted(TransitGatewayAttachment::KIND, &attachment.id());
                written.insert(id.to_owned());
                let call = format!(
                    "aws ec2 describe-transit-gateway-vpc-attachments --transit-gateway-attachment-ids {id}"
                );
                let call = self.with_region(vpc, &call);
                self.ledger
                    .note_missing(format!("the subnets of attachment {id}: taken as one in every zone"), call);
            }
        }
        written
    }

    fn vpc_attachment(&mut self, id: &str, vpc: &str, name: Option<&str>) {
        self.toml.table("transit_gateway.vpc_attachment", name);
        self.toml.string("id", id);
        self.toml.string("vpc", vpc);
    }

    /// What else is attached: VPNs and Direct Connect, other transit gateways, VPCs that no document holds.
    fn other_attachments(&mut self, gateway: &str, known: &BTreeSet<String>) -> BTreeSet<String> {
        let inventory = self.inventory;
        let mut written = BTreeSet::new();
        for attachment in inventory.attachments.iter().filter(|one| one.transit_gateway_id == gateway) {
            let (kind, id) =
                (TransitGatewayAttachment::KIND, attachment.transit_gateway_attachment_id.as_str());
            let name = attachment.id();
            if known.contains(id) || written.contains(id) {
                continue;
            }
            if is_state(attachment.state.as_deref(), GONE) {
                self.ledger.mark_skipped(kind, &name, "it does not hold");
                continue;
            }
            let resource = attachment.resource_id.as_deref().unwrap_or_default();
            let (site, peer) = match attachment.resource_type.as_str() {
                "vpn" => {
                    let vpn = inventory.vpn_connections.iter().find(|vpn| vpn.vpn_connection_id == resource);
                    (vpn.map(|vpn| site_of_customer_gateway(&vpn.customer_gateway_id)), None)
                }
                "direct-connect-gateway" => {
                    self.attached_direct_connects.insert(resource.to_owned());
                    (Some(site_of_direct_connect(resource)), None)
                }
                "connect" => (Some(site_of_attachment(id)), None),
                _ if attachment.is_peering() => {
                    (None, self.transit_gateway_named(self.peer_of(id, gateway, resource)))
                }
                _ => (None, None),
            };
            if attachment.resource_type == "vpn" && site.is_none() {
                let call = format!("aws ec2 describe-vpn-connections --vpn-connection-ids {resource}");
                self.ledger
                    .note_missing(format!("VPN connection {resource}, which is attached to {gateway}"), call);
            }
            if attachment.resource_type == "vpc" {
                self.note_missing_vpc(resource, id);
            }
            self.attachment(id, name_tag(&attachment.tags), site.as_deref(), peer.as_deref());
            // A VPN is what a site is taken to be behind.
            if matches!(attachment.resource_type.as_str(), "direct-connect-gateway" | "connect") {
                self.toml.string("resource_type", &attachment.resource_type);
            }
            self.ledger.mark_converted(kind, &name);
            written.insert(id.to_owned());
        }
        self.peering_attachments(gateway, &mut written);
        written
    }

    /// Peerings of which only the documents of their own tell. Adds the ids that were written.
    fn peering_attachments(&mut self, gateway: &str, written: &mut BTreeSet<String>) {
        let inventory = self.inventory;
        for attachment in &inventory.peering_attachments {
            let (kind, id) =
                (TransitGatewayPeeringAttachment::KIND, attachment.transit_gateway_attachment_id.as_str());
            let sides = [&attachment.requester_tgw_info, &attachment.accepter_tgw_info];
            let is_own = sides.iter().any(|side| side.transit_gateway_id.as_deref() == Some(gateway));
            let mut listed = inventory.attachments.iter().filter(|one| one.transit_gateway_id == gateway);
            if written.contains(id) {
                self.ledger.mark_skipped(kind, id, "it stands with the attachments");
            } else if is_state(attachment.state.as_deref(), GONE) {
                self.ledger.mark_skipped(kind, id, "it does not hold");
            } else if is_own && !listed.any(|one| one.transit_gateway_attachment_id == id) {
                let peer = self.transit_gateway_named(self.peer_of(id, gateway, ""));
                self.attachment(id, None, None, peer.as_deref());
                self.ledger.mark_converted(kind, id);
                written.insert(id.to_owned());
            }
        }
    }

    fn attachment(&mut self, id: &str, name: Option<&str>, site: Option<&str>, peer: Option<&str>) {
        self.toml.table("transit_gateway.attachment", name);
        self.toml.string("id", id);
        self.toml.optional_string("site", site);
        self.toml.optional_string("transit_gateway", peer);
    }

    /// The transit gateway at the other end of a peering attachment.
    fn peer_of(&self, attachment: &str, gateway: &str, told: &str) -> Option<String> {
        let mut all = self.inventory.peering_attachments.iter();
        let found = all.find(|one| one.transit_gateway_attachment_id == attachment);
        let sides = found.map(|one| [one.requester_tgw_info.clone(), one.accepter_tgw_info.clone()]);
        let other =
            sides.into_iter().flatten().filter_map(|side| side.transit_gateway_id).find(|id| id != gateway);
        other.or_else(|| Some(told.to_owned()).filter(|told| !told.is_empty() && told != gateway))
    }

    /// The region of a transit gateway: that of its ARN, else of a VPC attached to it.
    fn region_of_gateway(&self, gateway: &str) -> String {
        let inventory = self.inventory;
        let found = inventory.transit_gateways.iter().find(|one| one.transit_gateway_id == gateway);
        let of_arn = found.and_then(|one| region_of_arn(one.transit_gateway_arn.as_deref()?));
        let attached = inventory.vpc_attachments.iter().filter(|one| one.transit_gateway_id == gateway);
        let of_vpc = attached.filter_map(|one| self.region_of(&one.vpc_id)).next();
        of_arn.or(of_vpc).unwrap_or_default().to_owned()
    }

    /// A transit gateway that some document holds; one that none does is told as missing.
    fn transit_gateway_named(&mut self, id: Option<String>) -> Option<String> {
        let id = id?;
        if self.inventory.transit_gateways.iter().any(|one| one.transit_gateway_id == id) {
            return Some(id);
        }
        let call = format!("aws ec2 describe-transit-gateways --transit-gateway-ids {id}");
        self.ledger.note_missing(format!("transit gateway {id}, at the other end of a peering"), call);
        None
    }

    /// The route tables of a transit gateway.
    fn transit_route_tables(&mut self, gateway: &str, attached: &BTreeSet<String>) {
        let inventory = self.inventory;
        for table in inventory.transit_route_tables.iter().filter(|one| one.transit_gateway_id == gateway) {
            let id = table.transit_gateway_route_table_id.as_str();
            if is_state(table.state.as_deref(), GONE) {
                self.ledger.mark_skipped(TransitGatewayRouteTable::KIND, id, "it is deleted");
                continue;
            }
            self.toml.table("transit_gateway.route_table", name_tag(&table.tags));
            self.toml.string("id", id);
            let told = inventory.attachments.iter().filter(|one| {
                one.association.transit_gateway_route_table_id.as_deref() == Some(id)
                    && !is_state(one.association.state.as_deref(), &["disassociated", "disassociating"])
            });
            let mut associations =
                self.holding("Associations", inventory.transit_associations.get(id), attached);
            associations.extend(told.map(|one| one.transit_gateway_attachment_id.clone()));
            associations.sort_unstable();
            associations.dedup();
            associations.retain(|id| attached.contains(id));
            self.toml.non_empty_strings("associations", associations);
            let kind = "TransitGatewayRouteTablePropagations";
            let propagations = self.holding(kind, inventory.transit_propagations.get(id), attached);
            self.toml.non_empty_strings("propagations", &propagations);
            let call = |call: &str| format!("aws ec2 {call} --transit-gateway-route-table-id {id}");
            if !inventory.transit_propagations.contains_key(id) && !inventory.transit_routes.contains_key(id)
            {
                let what = format!("the propagations of {id}");
                self.ledger.note_missing(what, call("get-transit-gateway-route-table-propagations"));
            }
            if !inventory.transit_associations.contains_key(id) && inventory.attachments.is_empty() {
                let what = format!("the associations of {id}");
                self.ledger.note_missing(what, call("get-transit-gateway-route-table-associations"));
            }
            let region = self.region_of_gateway(gateway);
            let routes = self.transit_routes(id, &region, attached, &propagations);
            if !routes.is_empty() {
                self.toml.inline_tables("routes", &routes);
            }
            if !inventory.transit_routes.contains_key(id) {
                let call =
                    call("search-transit-gateway-routes") + " --filters Name=state,Values=active,blackhole";
                self.ledger.note_missing(format!("the routes of {id}"), call);
            }
            self.ledger.mark_converted(TransitGatewayRouteTable::KIND, id);
        }
    }

    /// The attachments whose association or propagation holds.
    fn holding(
        &mut self,
        kind: &'static str,
        all: Option<&Vec<LocatedItem<RouteAttachment>>>,
        attached: &BTreeSet<String>,
    ) -> Vec<String> {
        let (mut holding, mut seen) = (Vec::new(), HashSet::new());
        for one in all.into_iter().flatten() {
            let holds = is_state(
                one.state.as_deref().or(Some("enabled")),
                &["enabled", "enabling", "associated", "associating"],
            );
            let id = one.transit_gateway_attachment_id.as_ref().filter(|id| attached.contains(*id));
            match id {
                _ if !holds => self.ledger.mark_item_skipped(kind, one.spot, "it does not hold"),
                None => self.ledger.mark_item_skipped(kind, one.spot, "no document holds its attachment"),
                Some(id) => {
                    self.ledger.mark_item_converted(kind, one.spot);
                    if seen.insert(id) {
                        holding.push(id.clone());
                    }
                }
            }
        }
        holding
    }

    /// The routes of a table but those that a VPC's attachment brings by itself.
    fn transit_routes(
        &mut self,
        table: &str,
        region: &str,
        attached: &BTreeSet<String>,
        propagations: &[String],
    ) -> Vec<InlineTable> {
        let inventory = self.inventory;
        let (mut written, mut seen) = (Vec::new(), BTreeSet::new());
        let of_vpcs = inventory.vpc_attachments.iter().map(|one| one.transit_gateway_attachment_id.as_str());
        let propagating: HashSet<&str> = propagations.iter().map(String::as_str).collect();
        let bringing: HashSet<&str> = of_vpcs.filter(|id| propagating.contains(id)).collect();
        for route in inventory.transit_routes.get(table).into_iter().flatten() {
            let destinations = match (&route.destination_cidr_block, &route.prefix_list_id) {
                (Some(cidr), _) => vec![cidr.clone()],
                (None, Some(list)) => self.entries_for(table, list, region),
                (None, None) => Vec::new(),
            };
            let told = destinations.first().cloned().or_else(|| route.prefix_list_id.clone());
            let told = told.unwrap_or_else(|| "nothing".to_owned());
            let is_propagated = route.route_type.as_deref() == Some("propagated");
            let is_blackhole = route.state.as_deref() == Some("blackhole");
            let ids: Vec<&str> = route
                .transit_gateway_attachments
                .iter()
                .filter_map(|one| one.transit_gateway_attachment_id.as_deref())
                .collect();
            let first = ids.iter().copied().find(|id| attached.contains(*id));
            let why = match first {
                _ if destinations.is_empty() => Some("no document holds what it leads to".to_owned()),
                _ if is_blackhole => None,
                None if ids.is_empty() => Some("it names no attachment".to_owned()),
                None => Some(ids.join(", ") + " is in no document"),
                Some(_) => None,
            };
            if let Some(why) = why {
                let why = format!("{table} has a route to {told} that is left out: {why}");
                self.ledger.mark_item_unsupported(ROUTES, route.spot, why);
                continue;
            }
            let is_brought = is_propagated && !is_blackhole && first.is_some_and(|id| bringing.contains(id));
            let is_new = destinations.iter().any(|to| !seen.contains(&(to.clone(), is_propagated)));
            if is_brought || !is_new {
                let why = if is_brought {
                    "its attachment propagates it"
                } else {
                    "it stands in another document too"
                };
                self.ledger.mark_item_skipped(ROUTES, route.spot, why);
                continue;
            }
            if ids.len() > 1 && !is_blackhole {
                let message = format!("{table} has several ways to {told}, of which the first is written");
                self.ledger.note_unsupported(Some(route.spot), message);
            }
            let attachment = first.filter(|_| !is_blackhole);
            for destination in destinations {
                if seen.insert((destination.clone(), is_propagated)) {
                    written.push(transit_route(&destination, attachment, is_propagated));
                }
            }
            self.ledger.mark_item_converted(ROUTES, route.spot);
        }
        for reference in inventory.prefix_list_references.iter() {
            if reference.transit_gateway_route_table_id == table {
                self.prefix_list_reference(reference, region, attached, &mut seen, &mut written);
            }
        }
        written
    }

    /// A table's reference to a prefix list: static routes to its entries, which the table's own document may have.
    fn prefix_list_reference(
        &mut self,
        reference: &LocatedItem<PrefixListReference>,
        region: &str,
        attached: &BTreeSet<String>,
        seen: &mut BTreeSet<(String, bool)>,
        written: &mut Vec<InlineTable>,
    ) {
        let (table, list) = (&reference.transit_gateway_route_table_id, &reference.prefix_list_id);
        if is_state(reference.state.as_deref(), &["deleting"]) {
            self.ledger.mark_item_skipped(REFERENCES, reference.spot, "it is deleted");
            return;
        }
        let attachment = reference.transit_gateway_attachment.transit_gateway_attachment_id.as_deref();
        let attachment = attachment.filter(|id| attached.contains(*id) && !reference.blackhole);
        if attachment.is_none() && !reference.blackhole {
            let why =
                format!("{table} has routes to {list} that are left out: no document holds their attachment");
            self.ledger.mark_item_unsupported(REFERENCES, reference.spot, why);
            return;
        }
        let entries = self.entries_for(table, list, region);
        let new: Vec<String> = entries.into_iter().filter(|to| seen.insert((to.clone(), false))).collect();
        if new.is_empty() {
            let why = "the table's routes have its entries, or no document does";
            self.ledger.mark_item_skipped(REFERENCES, reference.spot, why);
            return;
        }
        written.extend(new.iter().map(|to| transit_route(to, attachment, false)));
        self.ledger.mark_item_converted(REFERENCES, reference.spot);
    }

    /// The entries of a prefix list that a transit gateway's table names.
    fn entries_for(&mut self, table: &str, list: &str, region: &str) -> Vec<String> {
        let entries = self.entries(list, region);
        if entries.is_some() {
            self.prefix_list_written(list, region);
        } else {
            let call = format!("aws ec2 get-managed-prefix-list-entries --prefix-list-id {list}");
            let what =
                format!("the entries of prefix list {list}, which {table} names: its routes are left out");
            self.ledger.note_missing(what, call);
        }
        entries.unwrap_or_default()
    }
}

/// A route as it is written.
fn transit_route(destination: &str, attachment: Option<&str>, is_propagated: bool) -> InlineTable {
    let inline = InlineTable::default().string("destination", destination);
    let inline = match attachment {
        Some(attachment) => inline.string("attachment", attachment),
        None => inline.string("state", "blackhole"),
    };
    if is_propagated { inline.value("propagated", true) } else { inline }
}
