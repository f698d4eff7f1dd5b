//! Transit gateways: what is attached to them, and their route tables.

use std::collections::BTreeSet;

use super::Writer;
use super::sites::{site_of_customer_gateway, site_of_direct_connect};
use super::toml::Inline;
use crate::import::objects::transit::{
    RouteAttachment, TransitGateway, TransitGatewayAttachment, TransitGatewayPeeringAttachment,
    TransitGatewayRouteTable, TransitGatewayVpcAttachment,
};
use crate::import::objects::{Object, is_state, name_tag};

/// States of what is no more, or not yet.
const GONE: &[&str] = &["deleted", "deleting", "failed", "failing", "rejected", "rejecting", "initiating"];

impl Writer<'_> {
    /// Transit gateways.
    pub(super) fn transit_gateways(&mut self) {
        let inventory = self.inventory;
        let mut heading = Some("transit gateways");
        for gateway in &inventory.transit_gateways {
            let id = gateway.transit_gateway_id.as_str();
            if is_state(gateway.state.as_deref(), GONE) {
                self.ledger.left_out(TransitGateway::KIND, id, "it is deleted");
                continue;
            }
            if let Some(heading) = heading.take() {
                self.text.heading(heading);
            }
            self.text.table("transit_gateway", name_tag(&gateway.tags));
            self.text.text("id", id);
            if !gateway.options.has_dns_support() {
                self.text.plain("dns_support", false);
            }
            self.ledger.written(TransitGateway::KIND, id);
            let mut attached = self.vpc_attachments(id);
            attached.extend(self.other_attachments(id, &attached));
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
                self.ledger.left_out(kind, id, "it does not hold");
            } else if self.knows_vpc(&attachment.vpc_id) {
                let known = attachment
                    .subnet_ids
                    .iter()
                    .filter(|id| inventory.subnets.iter().any(|subnet| subnet.subnet_id == **id));
                self.vpc_attachment(id, &attachment.vpc_id, name_tag(&attachment.tags));
                self.text.some_texts("subnets", known);
                if !attachment.options.has_dns_support() {
                    self.text.plain("dns_support", false);
                }
                self.ledger.written(kind, id);
                written.insert(id.to_owned());
            } else {
                self.missing_vpc(&attachment.vpc_id, id);
                self.ledger.left_out(kind, id, "no document holds its VPC");
            }
        }
        for attachment in inventory.attachments.iter().filter(|one| one.transit_gateway_id == gateway) {
            let id = attachment.transit_gateway_attachment_id.as_str();
            if written.contains(id) {
                let why = "another document tells more of it";
                self.ledger.left_out(TransitGatewayAttachment::KIND, id, why);
            }
            let vpc = attachment.resource_id.as_deref().unwrap_or_default();
            let is_new = attachment.resource_type == "vpc" && !written.contains(id) && self.knows_vpc(vpc);
            if is_new && !is_state(attachment.state.as_deref(), GONE) {
                self.vpc_attachment(id, vpc, name_tag(&attachment.tags));
                self.ledger.written(TransitGatewayAttachment::KIND, id);
                written.insert(id.to_owned());
                let call = format!(
                    "aws ec2 describe-transit-gateway-vpc-attachments --transit-gateway-attachment-ids {id}"
                );
                let call = self.call_in(vpc, &call);
                self.ledger
                    .missing(format!("the subnets of attachment {id}: taken as one in every zone"), call);
            }
        }
        written
    }

    fn vpc_attachment(&mut self, id: &str, vpc: &str, name: Option<&str>) {
        self.text.table("transit_gateway.vpc_attachment", name);
        self.text.text("id", id);
        self.text.text("vpc", vpc);
    }

    /// What else is attached: VPNs and Direct Connect, other transit gateways, VPCs that no document holds.
    fn other_attachments(&mut self, gateway: &str, known: &BTreeSet<String>) -> BTreeSet<String> {
        let inventory = self.inventory;
        let mut written = BTreeSet::new();
        for attachment in inventory.attachments.iter().filter(|one| one.transit_gateway_id == gateway) {
            let (kind, id) =
                (TransitGatewayAttachment::KIND, attachment.transit_gateway_attachment_id.as_str());
            if known.contains(id) || written.contains(id) {
                continue;
            }
            if is_state(attachment.state.as_deref(), GONE) {
                self.ledger.left_out(kind, id, "it does not hold");
                continue;
            }
            let resource = attachment.resource_id.as_deref().unwrap_or_default();
            let (site, peer) = match attachment.resource_type.as_str() {
                "vpn" => {
                    let vpn = inventory.vpn_connections.iter().find(|vpn| vpn.vpn_connection_id == resource);
                    (vpn.map(|vpn| site_of_customer_gateway(&vpn.customer_gateway_id)), None)
                }
                "direct-connect-gateway" => (Some(site_of_direct_connect(resource)), None),
                "peering" | "tgw-peering" => {
                    (None, self.transit_gateway_named(self.peer_of(id, gateway, resource)))
                }
                _ => (None, None),
            };
            if attachment.resource_type == "vpn" && site.is_none() {
                let call = format!("aws ec2 describe-vpn-connections --vpn-connection-ids {resource}");
                self.ledger
                    .missing(format!("VPN connection {resource}, which is attached to {gateway}"), call);
            }
            if attachment.resource_type == "vpc" {
                self.missing_vpc(resource, id);
            }
            self.attachment(id, name_tag(&attachment.tags), site.as_deref(), peer.as_deref());
            self.ledger.written(kind, id);
            written.insert(id.to_owned());
        }
        for attachment in &inventory.peering_attachments {
            let (kind, id) =
                (TransitGatewayPeeringAttachment::KIND, attachment.transit_gateway_attachment_id.as_str());
            let sides = [&attachment.requester_tgw_info, &attachment.accepter_tgw_info];
            let is_own = sides.iter().any(|side| side.transit_gateway_id.as_deref() == Some(gateway));
            if written.contains(id) {
                self.ledger.left_out(kind, id, "it stands with the attachments");
            } else if is_state(attachment.state.as_deref(), GONE) {
                self.ledger.left_out(kind, id, "it does not hold");
            } else if is_own
                && !inventory.attachments.iter().any(|one| one.transit_gateway_attachment_id == id)
            {
                let peer = self.transit_gateway_named(self.peer_of(id, gateway, ""));
                self.attachment(id, None, None, peer.as_deref());
                self.ledger.written(kind, id);
                written.insert(id.to_owned());
            }
        }
        written
    }

    fn attachment(&mut self, id: &str, name: Option<&str>, site: Option<&str>, peer: Option<&str>) {
        self.text.table("transit_gateway.attachment", name);
        self.text.text("id", id);
        self.text.maybe("site", site);
        self.text.maybe("transit_gateway", peer);
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

    /// A transit gateway that some document holds; one that none does is told as missing.
    fn transit_gateway_named(&mut self, id: Option<String>) -> Option<String> {
        let id = id?;
        if self.inventory.transit_gateways.iter().any(|one| one.transit_gateway_id == id) {
            return Some(id);
        }
        let call = format!("aws ec2 describe-transit-gateways --transit-gateway-ids {id}");
        self.ledger.missing(format!("transit gateway {id}, at the other end of a peering"), call);
        None
    }

    /// The route tables of a transit gateway.
    fn transit_route_tables(&mut self, gateway: &str, attached: &BTreeSet<String>) {
        let inventory = self.inventory;
        for table in inventory.transit_route_tables.iter().filter(|one| one.transit_gateway_id == gateway) {
            let id = table.transit_gateway_route_table_id.as_str();
            if is_state(table.state.as_deref(), GONE) {
                self.ledger.left_out(TransitGatewayRouteTable::KIND, id, "it is deleted");
                continue;
            }
            self.text.table("transit_gateway.route_table", name_tag(&table.tags));
            self.text.text("id", id);
            let told = inventory.attachments.iter().filter(|one| {
                one.association.transit_gateway_route_table_id.as_deref() == Some(id)
                    && !is_state(one.association.state.as_deref(), &["disassociated", "disassociating"])
            });
            let mut associations: Vec<String> = holding(inventory.transit_associations.get(id));
            associations.extend(told.map(|one| one.transit_gateway_attachment_id.clone()));
            associations.sort_unstable();
            associations.dedup();
            associations.retain(|id| attached.contains(id));
            self.text.some_texts("associations", associations);
            let mut propagations = holding(inventory.transit_propagations.get(id));
            propagations.retain(|id| attached.contains(id));
            self.text.some_texts("propagations", &propagations);
            let call = |call: &str| format!("aws ec2 {call} --transit-gateway-route-table-id {id}");
            if !inventory.transit_propagations.contains_key(id) && !inventory.transit_routes.contains_key(id)
            {
                let what = format!("the propagations of {id}");
                self.ledger.missing(what, call("get-transit-gateway-route-table-propagations"));
            }
            if !inventory.transit_associations.contains_key(id) && inventory.attachments.is_empty() {
                let what = format!("the associations of {id}");
                self.ledger.missing(what, call("get-transit-gateway-route-table-associations"));
            }
            let routes = self.transit_routes(id, attached, &propagations);
            if !routes.is_empty() {
                self.text.tables("routes", &routes);
            }
            if !inventory.transit_routes.contains_key(id) {
                let call =
                    call("search-transit-gateway-routes") + " --filters Name=state,Values=active,blackhole";
                self.ledger.missing(format!("the routes of {id}"), call);
            }
            self.ledger.written(TransitGatewayRouteTable::KIND, id);
        }
    }

    /// The routes of a table but those that a VPC's attachment brings by itself.
    fn transit_routes(
        &mut self,
        table: &str,
        attached: &BTreeSet<String>,
        propagations: &[String],
    ) -> Vec<Inline> {
        let inventory = self.inventory;
        let spot = self.ledger.spot(TransitGatewayRouteTable::KIND, table);
        let mut written = Vec::new();
        for route in inventory.transit_routes.get(table).into_iter().flatten() {
            let Some(destination) = route.destination_cidr_block.as_deref() else {
                let list = route.prefix_list_id.as_deref().unwrap_or("nothing");
                self.ledger.note(spot, format!("{table} has a route to {list}, which is left out"));
                continue;
            };
            let is_propagated = route.route_type.as_deref() == Some("propagated");
            let is_blackhole = route.state.as_deref() == Some("blackhole");
            let inline = Inline::default().text("destination", destination);
            if is_blackhole {
                written.push(inline.text("state", "blackhole"));
                continue;
            }
            let ids = route
                .transit_gateway_attachments
                .iter()
                .filter_map(|one| one.transit_gateway_attachment_id.as_deref());
            let ids: Vec<&str> = ids.collect();
            let brings = |id: &str| {
                propagations.iter().any(|one| one == id)
                    && inventory.vpc_attachments.iter().any(|one| one.transit_gateway_attachment_id == id)
            };
            let Some(first) = ids.iter().copied().find(|id| attached.contains(*id)) else {
                let why = if ids.is_empty() {
                    "it names no attachment".to_owned()
                } else {
                    ids.join(", ") + " is in no document"
                };
                self.ledger
                    .note(spot, format!("{table} has a route to {destination} that is left out: {why}"));
                continue;
            };
            if is_propagated && brings(first) {
                continue;
            }
            if ids.len() > 1 {
                self.ledger.note(
                    spot,
                    format!("{table} has several ways to {destination}, of which the first is written"),
                );
            }
            let inline = inline.text("attachment", first);
            written.push(if is_propagated { inline.plain("propagated", true) } else { inline });
        }
        written
    }
}

/// The attachments whose association or propagation holds.
fn holding(attachments: Option<&Vec<RouteAttachment>>) -> Vec<String> {
    let all = attachments.into_iter().flatten();
    let holding = all.filter(|one| {
        is_state(
            one.state.as_deref().or(Some("enabled")),
            &["enabled", "enabling", "associated", "associating"],
        )
    });
    holding.filter_map(|one| one.transit_gateway_attachment_id.clone()).collect()
}
