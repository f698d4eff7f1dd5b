//! Transit gateways, their attachments and route tables.

use std::collections::{BTreeSet, HashSet};

use super::ConfigWriter;
use super::sites::{attachment_site_id, customer_gateway_site_id, direct_connect_site_id};
use super::toml::InlineTable;
use crate::import::ledger::LocatedItem;
use crate::import::objects::transit::{
    AttachmentReference, PrefixListReference, TransitGateway, TransitGatewayAttachment,
    TransitGatewayPeeringAttachment, TransitGatewayRouteTable, TransitGatewayVpcAttachment,
};
use crate::import::objects::{Object, is_state, name_tag};
use crate::import::regions::region_of_arn;

/// The kind of transit gateway routes.
const ROUTES_KIND: &str = "Routes";

/// The kind of references from transit gateway route tables to prefix lists.
const REFERENCES_KIND: &str = "TransitGatewayPrefixListReferences";

/// States of transit gateways, route tables and attachments that no longer exist, or do not exist yet (EC2 API,
/// `TransitGatewayAttachmentState`).
pub(super) const INACTIVE_STATES: &[&str] = &[
    "deleted",
    "deleting",
    "failed",
    "failing",
    "rejected",
    "rejecting",
    "initiating",
    "initiatingRequest",
    "pendingAcceptance",
];

impl ConfigWriter<'_> {
    /// Writes the transit gateways.
    pub(super) fn write_transit_gateways(&mut self) {
        let inventory = self.inventory;
        let mut heading = Some("transit gateways");
        for gateway in &inventory.transit_gateways {
            let id = gateway.transit_gateway_id.as_str();
            if is_state(gateway.state.as_deref(), INACTIVE_STATES) {
                self.ledger.mark_skipped(TransitGateway::KIND, id, "deleted");
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
            if let Some(is_enabled) = gateway.options.has_group_referencing() {
                self.toml.value("security_group_referencing_support", is_enabled);
            }
            self.ledger.mark_converted(TransitGateway::KIND, id);
            let mut attached = self.write_vpc_attachments(id);
            attached.extend(self.write_other_attachments(id, &attached));
            self.written_attachments.extend(attached.iter().cloned());
            self.write_transit_route_tables(id, &attached);
        }
    }

    /// Writes the VPC attachments of a transit gateway and returns their ids. Documents of
    /// `describe-transit-gateway-vpc-attachments`, which contain the subnets, take precedence over those
    /// of `describe-transit-gateway-attachments`.
    fn write_vpc_attachments(&mut self, gateway: &str) -> BTreeSet<String> {
        let inventory = self.inventory;
        let mut written = BTreeSet::new();
        for attachment in inventory.vpc_attachments.iter().filter(|one| one.transit_gateway_id == gateway) {
            let (kind, id) =
                (TransitGatewayVpcAttachment::KIND, attachment.transit_gateway_attachment_id.as_str());
            if is_state(attachment.state.as_deref(), INACTIVE_STATES) {
                self.ledger.mark_skipped(kind, id, "not active");
            } else if self.has_vpc(&attachment.vpc_id) {
                let subnets = attachment.subnet_ids.iter();
                let subnets: Vec<&String> =
                    subnets.filter(|id| self.subnet_vpcs.contains_key(id.as_str())).collect();
                self.write_vpc_attachment_head(id, &attachment.vpc_id, name_tag(&attachment.tags));
                self.toml.non_empty_strings("subnets", subnets);
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
                self.ledger.mark_skipped(kind, id, "its VPC is missing");
            }
        }
        for attachment in inventory.attachments.iter().filter(|one| one.transit_gateway_id == gateway) {
            let id = attachment.transit_gateway_attachment_id.as_str();
            if written.contains(id) {
                let why = "another document contains more details";
                self.ledger.mark_skipped(TransitGatewayAttachment::KIND, &attachment.id(), why);
            }
            let vpc = attachment.resource_id.as_deref().unwrap_or_default();
            let is_new = attachment.resource_type == "vpc" && !written.contains(id) && self.has_vpc(vpc);
            if is_new && !is_state(attachment.state.as_deref(), INACTIVE_STATES) {
                self.write_vpc_attachment_head(id, vpc, name_tag(&attachment.tags));
                self.ledger.mark_converted(TransitGatewayAttachment::KIND, &attachment.id());
                written.insert(id.to_owned());
                let command = format!(
                    "aws ec2 describe-transit-gateway-vpc-attachments --transit-gateway-attachment-ids {id}"
                );
                let command = self.with_region(vpc, &command);
                let what = format!("subnets of attachment {id}: one in every Availability Zone is assumed");
                self.ledger.note_missing(what, command);
            }
        }
        written
    }

    /// Writes the keys that all VPC attachments have.
    fn write_vpc_attachment_head(&mut self, id: &str, vpc: &str, name: Option<&str>) {
        self.toml.table("transit_gateway.vpc_attachment", name);
        self.toml.string("id", id);
        self.toml.string("vpc", vpc);
    }

    /// Writes the other attachments of a transit gateway and returns their ids: VPN, Direct Connect, Connect,
    /// peering, and VPCs that the inventory does not contain.
    fn write_other_attachments(&mut self, gateway: &str, known: &BTreeSet<String>) -> BTreeSet<String> {
        let inventory = self.inventory;
        let mut written = BTreeSet::new();
        for attachment in inventory.attachments.iter().filter(|one| one.transit_gateway_id == gateway) {
            let (kind, id) =
                (TransitGatewayAttachment::KIND, attachment.transit_gateway_attachment_id.as_str());
            let ledger_id = attachment.id();
            if known.contains(id) || written.contains(id) {
                continue;
            }
            if is_state(attachment.state.as_deref(), INACTIVE_STATES) {
                self.ledger.mark_skipped(kind, &ledger_id, "not active");
                continue;
            }
            let resource = attachment.resource_id.as_deref().unwrap_or_default();
            let (site, peer) = match attachment.resource_type.as_str() {
                "vpn" => {
                    let vpn = inventory.vpn_connections.iter().find(|vpn| vpn.vpn_connection_id == resource);
                    (vpn.map(|vpn| customer_gateway_site_id(&vpn.customer_gateway_id)), None)
                }
                "direct-connect-gateway" => {
                    self.attached_direct_connects.insert(resource.to_owned());
                    (Some(direct_connect_site_id(resource)), None)
                }
                "connect" => (Some(attachment_site_id(id)), None),
                _ if attachment.is_peering() => {
                    (None, self.require_transit_gateway(self.peer_gateway(id, gateway, resource)))
                }
                _ => (None, None),
            };
            if attachment.resource_type == "vpn" && site.is_none() {
                let command = format!("aws ec2 describe-vpn-connections --vpn-connection-ids {resource}");
                let what = format!("VPN connection {resource}, attached to {gateway}");
                self.ledger.note_missing(what, command);
            }
            if attachment.resource_type == "vpc" {
                self.note_missing_vpc(resource, id);
            }
            self.write_attachment(id, name_tag(&attachment.tags), site.as_deref(), peer.as_deref());
            // The default resource type of an attachment with a site is VPN.
            if matches!(attachment.resource_type.as_str(), "direct-connect-gateway" | "connect") {
                self.toml.string("resource_type", &attachment.resource_type);
            }
            self.ledger.mark_converted(kind, &ledger_id);
            written.insert(id.to_owned());
        }
        self.write_peering_attachments(gateway, &mut written);
        written
    }

    /// Writes the peering attachments that occur only in documents of
    /// `describe-transit-gateway-peering-attachments`, and adds their ids to `written`.
    fn write_peering_attachments(&mut self, gateway: &str, written: &mut BTreeSet<String>) {
        let inventory = self.inventory;
        for attachment in &inventory.peering_attachments {
            let (kind, id) =
                (TransitGatewayPeeringAttachment::KIND, attachment.transit_gateway_attachment_id.as_str());
            let sides = [&attachment.requester_tgw_info, &attachment.accepter_tgw_info];
            let is_attached = sides.iter().any(|side| side.transit_gateway_id.as_deref() == Some(gateway));
            let mut listed = inventory.attachments.iter().filter(|one| one.transit_gateway_id == gateway);
            if written.contains(id) {
                self.ledger.mark_skipped(kind, id, "included in `TransitGatewayAttachments`");
            } else if is_state(attachment.state.as_deref(), INACTIVE_STATES) {
                self.ledger.mark_skipped(kind, id, "not active");
            } else if is_attached && !listed.any(|one| one.transit_gateway_attachment_id == id) {
                let peer = self.require_transit_gateway(self.peer_gateway(id, gateway, ""));
                self.write_attachment(id, None, None, peer.as_deref());
                self.ledger.mark_converted(kind, id);
                written.insert(id.to_owned());
            }
        }
    }

    fn write_attachment(&mut self, id: &str, name: Option<&str>, site: Option<&str>, peer: Option<&str>) {
        self.toml.table("transit_gateway.attachment", name);
        self.toml.string("id", id);
        self.toml.optional_string("site", site);
        self.toml.optional_string("transit_gateway", peer);
    }

    /// Returns the transit gateway on the other side of a peering attachment. `resource_id` is that of the
    /// attachment, which may also be the id of the gateway on this side.
    fn peer_gateway(&self, attachment: &str, gateway: &str, resource_id: &str) -> Option<String> {
        let mut attachments = self.inventory.peering_attachments.iter();
        let peering = attachments.find(|one| one.transit_gateway_attachment_id == attachment);
        let sides = peering.map(|one| [one.requester_tgw_info.clone(), one.accepter_tgw_info.clone()]);
        let peer =
            sides.into_iter().flatten().filter_map(|side| side.transit_gateway_id).find(|id| id != gateway);
        peer.or_else(|| Some(resource_id.to_owned()).filter(|id| !id.is_empty() && id != gateway))
    }

    /// Returns the region of a transit gateway, from its ARN or from an attached VPC.
    fn transit_gateway_region(&self, gateway: &str) -> String {
        let inventory = self.inventory;
        let document = inventory.transit_gateways.iter().find(|one| one.transit_gateway_id == gateway);
        let arn_region = document.and_then(|one| region_of_arn(one.transit_gateway_arn.as_deref()?));
        let attached = inventory.vpc_attachments.iter().filter(|one| one.transit_gateway_id == gateway);
        let vpc_region = attached.filter_map(|one| self.region_of(&one.vpc_id)).next();
        arn_region.or(vpc_region).unwrap_or_default().to_owned()
    }

    /// Returns the id if the inventory contains this transit gateway. If not, reports it as missing.
    fn require_transit_gateway(&mut self, id: Option<String>) -> Option<String> {
        let id = id?;
        if self.inventory.transit_gateways.iter().any(|one| one.transit_gateway_id == id) {
            return Some(id);
        }
        let command = format!("aws ec2 describe-transit-gateways --transit-gateway-ids {id}");
        self.ledger.note_missing(format!("transit gateway {id}, on the other side of a peering"), command);
        None
    }

    /// Writes the route tables of a transit gateway.
    fn write_transit_route_tables(&mut self, gateway: &str, attached: &BTreeSet<String>) {
        let inventory = self.inventory;
        for table in inventory.transit_route_tables.iter().filter(|one| one.transit_gateway_id == gateway) {
            let id = table.transit_gateway_route_table_id.as_str();
            if is_state(table.state.as_deref(), INACTIVE_STATES) {
                self.ledger.mark_skipped(TransitGatewayRouteTable::KIND, id, "deleted");
                continue;
            }
            self.toml.table("transit_gateway.route_table", name_tag(&table.tags));
            self.toml.string("id", id);
            let associated = inventory.attachments.iter().filter(|one| {
                one.association.transit_gateway_route_table_id.as_deref() == Some(id)
                    && !is_state(one.association.state.as_deref(), &["disassociated", "disassociating"])
            });
            let mut associations =
                self.active_attachments("Associations", inventory.transit_associations.get(id), attached);
            associations.extend(associated.map(|one| one.transit_gateway_attachment_id.clone()));
            associations.sort_unstable();
            associations.dedup();
            associations.retain(|id| attached.contains(id));
            self.toml.non_empty_strings("associations", associations);
            let kind = "TransitGatewayRouteTablePropagations";
            let propagations =
                self.active_attachments(kind, inventory.transit_propagations.get(id), attached);
            self.toml.non_empty_strings("propagations", &propagations);
            let for_table =
                |command: &str| format!("aws ec2 {command} --transit-gateway-route-table-id {id}");
            if !inventory.transit_propagations.contains_key(id) && !inventory.transit_routes.contains_key(id)
            {
                let what = format!("propagations of {id}");
                self.ledger.note_missing(what, for_table("get-transit-gateway-route-table-propagations"));
            }
            if !inventory.transit_associations.contains_key(id) && inventory.attachments.is_empty() {
                let what = format!("associations of {id}");
                self.ledger.note_missing(what, for_table("get-transit-gateway-route-table-associations"));
            }
            let region = self.transit_gateway_region(gateway);
            let routes = self.convert_transit_routes(id, &region, attached, &propagations);
            if !routes.is_empty() {
                self.toml.inline_tables("routes", &routes);
            }
            if !inventory.transit_routes.contains_key(id) {
                let command = for_table("search-transit-gateway-routes")
                    + " --filters Name=state,Values=active,blackhole";
                self.ledger.note_missing(format!("routes of {id}"), command);
            }
            self.ledger.mark_converted(TransitGatewayRouteTable::KIND, id);
        }
    }

    /// Returns the written attachments whose association or propagation is active.
    fn active_attachments(
        &mut self,
        kind: &'static str,
        references: Option<&Vec<LocatedItem<AttachmentReference>>>,
        attached: &BTreeSet<String>,
    ) -> Vec<String> {
        let (mut active, mut seen) = (Vec::new(), HashSet::new());
        for one in references.into_iter().flatten() {
            let is_active = is_state(
                one.state.as_deref().or(Some("enabled")),
                &["enabled", "enabling", "associated", "associating"],
            );
            let id = one.transit_gateway_attachment_id.as_ref().filter(|id| attached.contains(*id));
            match id {
                _ if !is_active => self.ledger.mark_item_skipped(kind, one.location, "not active"),
                None => self.ledger.mark_item_skipped(kind, one.location, "its attachment is missing"),
                Some(id) => {
                    self.ledger.mark_item_converted(kind, one.location);
                    if seen.insert(id) {
                        active.push(id.clone());
                    }
                }
            }
        }
        active
    }

    /// Converts the routes of a route table. Routes that VPC attachments propagate are omitted, since the
    /// configuration derives them from `propagations`.
    fn convert_transit_routes(
        &mut self,
        table: &str,
        region: &str,
        attached: &BTreeSet<String>,
        propagations: &[String],
    ) -> Vec<InlineTable> {
        let inventory = self.inventory;
        let (mut routes, mut seen) = (Vec::new(), BTreeSet::new());
        let vpc_attachments =
            inventory.vpc_attachments.iter().map(|one| one.transit_gateway_attachment_id.as_str());
        let propagating: HashSet<&str> = propagations.iter().map(String::as_str).collect();
        let implied: HashSet<&str> = vpc_attachments.filter(|id| propagating.contains(id)).collect();
        for route in inventory.transit_routes.get(table).into_iter().flatten() {
            let destinations = match (&route.destination_cidr_block, &route.prefix_list_id) {
                (Some(cidr), _) => vec![cidr.clone()],
                (None, Some(list)) => self.require_entries(table, list, region),
                (None, None) => Vec::new(),
            };
            let shown = destinations.first().cloned().or_else(|| route.prefix_list_id.clone());
            let shown = shown.unwrap_or_else(|| "an unknown destination".to_owned());
            let is_propagated = route.route_type.as_deref() == Some("propagated");
            let is_blackhole = route.state.as_deref() == Some("blackhole");
            let ids: Vec<&str> = route
                .transit_gateway_attachments
                .iter()
                .filter_map(|one| one.transit_gateway_attachment_id.as_deref())
                .collect();
            let first = ids.iter().copied().find(|id| attached.contains(*id));
            let why = match first {
                _ if destinations.is_empty() => Some("its destinations are unknown".to_owned()),
                _ if is_blackhole => None,
                None if ids.is_empty() => Some("it has no attachment".to_owned()),
                None => Some("missing attachment ".to_owned() + &ids.join(", ")),
                Some(_) => None,
            };
            if let Some(why) = why {
                let why = format!("{table}: the route to {shown} is omitted: {why}");
                self.ledger.mark_item_unsupported(ROUTES_KIND, route.location, why);
                continue;
            }
            let is_implied = is_propagated && !is_blackhole && first.is_some_and(|id| implied.contains(id));
            let is_new = destinations.iter().any(|to| !seen.contains(&(to.clone(), is_propagated)));
            if is_implied || !is_new {
                let why = if is_implied { "propagated by its attachment" } else { "duplicate" };
                self.ledger.mark_item_skipped(ROUTES_KIND, route.location, why);
                continue;
            }
            if ids.len() > 1 && !is_blackhole {
                let message = format!(
                    "{table}: the route to {shown} has several attachments: only the first one is used"
                );
                self.ledger.note_unsupported(Some(route.location), message);
            }
            let attachment = first.filter(|_| !is_blackhole);
            for destination in destinations {
                if seen.insert((destination.clone(), is_propagated)) {
                    routes.push(transit_route(&destination, attachment, is_propagated));
                }
            }
            self.ledger.mark_item_converted(ROUTES_KIND, route.location);
        }
        for reference in inventory.prefix_list_references.iter() {
            if reference.transit_gateway_route_table_id == table {
                self.convert_prefix_list_reference(reference, region, attached, &mut seen, &mut routes);
            }
        }
        routes
    }

    /// Converts a reference to a prefix list to static routes for its entries. The routes of the table may
    /// already contain them.
    fn convert_prefix_list_reference(
        &mut self,
        reference: &LocatedItem<PrefixListReference>,
        region: &str,
        attached: &BTreeSet<String>,
        seen: &mut BTreeSet<(String, bool)>,
        routes: &mut Vec<InlineTable>,
    ) {
        let (table, list) = (&reference.transit_gateway_route_table_id, &reference.prefix_list_id);
        if is_state(reference.state.as_deref(), &["deleting"]) {
            self.ledger.mark_item_skipped(REFERENCES_KIND, reference.location, "deleted");
            return;
        }
        let attachment = reference.transit_gateway_attachment.transit_gateway_attachment_id.as_deref();
        let attachment = attachment.filter(|id| attached.contains(*id) && !reference.blackhole);
        if attachment.is_none() && !reference.blackhole {
            let why = format!("{table}: the routes to {list} are omitted: their attachment is missing");
            self.ledger.mark_item_unsupported(REFERENCES_KIND, reference.location, why);
            return;
        }
        let entries = self.require_entries(table, list, region);
        let new: Vec<String> = entries.into_iter().filter(|to| seen.insert((to.clone(), false))).collect();
        if new.is_empty() {
            let why = "its entries are missing, or the routes of the table contain them";
            self.ledger.mark_item_skipped(REFERENCES_KIND, reference.location, why);
            return;
        }
        routes.extend(new.iter().map(|to| transit_route(to, attachment, false)));
        self.ledger.mark_item_converted(REFERENCES_KIND, reference.location);
    }

    /// Returns the entries of a prefix list that a transit gateway route table refers to. If they are
    /// unknown, reports them as missing.
    fn require_entries(&mut self, table: &str, list: &str, region: &str) -> Vec<String> {
        let entries = self.prefix_list_entries(list, region);
        if entries.is_some() {
            self.mark_prefix_list_converted(list, region);
        } else {
            let command = format!("aws ec2 get-managed-prefix-list-entries --prefix-list-id {list}");
            let what =
                format!("entries of prefix list {list}, referenced by {table}: its routes are omitted");
            self.ledger.note_missing(what, command);
        }
        entries.unwrap_or_default()
    }
}

/// Returns a route as an inline table.
fn transit_route(destination: &str, attachment: Option<&str>, is_propagated: bool) -> InlineTable {
    let inline = InlineTable::default().string("destination", destination);
    let inline = match attachment {
        Some(attachment) => inline.string("attachment", attachment),
        None => inline.string("state", "blackhole"),
    };
    if is_propagated { inline.value("propagated", true) } else { inline }
}
