//! Networks on premises: what stands behind a VPN's customer gateway, and behind a Direct Connect gateway.

use std::collections::BTreeSet;

use super::ConfigWriter;
use super::toml::InlineTable;
use crate::import::objects::gateway::{
    CustomerGateway, DirectConnectGateway, DirectConnectGatewayAssociation, VirtualInterface, VpnConnection,
    VpnGateway,
};
use crate::import::objects::{Object, is_state, name_tag};

/// The site behind a customer gateway.
pub(super) fn site_of_customer_gateway(id: &str) -> String {
    format!("site-{id}")
}

/// The site behind a Direct Connect gateway.
pub(super) fn site_of_direct_connect(id: &str) -> String {
    format!("site-{}", direct_connect(id))
}

/// The site behind an attachment of its own, such as Transit Gateway Connect.
pub(super) fn site_of_attachment(id: &str) -> String {
    format!("site-{id}")
}

/// A Direct Connect gateway's id with a prefix; AWS gives it none.
fn direct_connect(id: &str) -> String {
    if id.starts_with("dxgw-") { id.to_owned() } else { format!("dxgw-{id}") }
}

impl ConfigWriter<'_> {
    /// A site for each customer gateway that a VPN connection has, and for each Direct Connect gateway.
    pub(super) fn sites(&mut self) {
        let inventory = self.inventory;
        let mut gateways: Vec<&str> = Vec::new();
        for vpn in &inventory.vpn_connections {
            if !vpn.is_active() {
                self.ledger.mark_skipped(VpnConnection::KIND, &vpn.vpn_connection_id, "it is deleted");
            } else if !gateways.contains(&vpn.customer_gateway_id.as_str()) {
                gateways.push(&vpn.customer_gateway_id);
            }
        }
        let connects: Vec<_> = inventory
            .attachments
            .iter()
            .filter(|one| {
                one.resource_type == "connect" && self.is_attached(&one.transit_gateway_attachment_id)
            })
            .collect();
        // Direct Connect without a Direct Connect gateway: one network behind all interfaces of a gateway.
        let gateways_by_interface: BTreeSet<&str> =
            inventory.virtual_interfaces.iter().filter_map(|one| one.gateway()).collect();
        let has_any = !gateways.is_empty()
            || !connects.is_empty()
            || !gateways_by_interface.is_empty()
            || !self.attached_direct_connects.is_empty()
            || !inventory.direct_connect_gateways.is_empty()
            || !inventory.direct_connect_associations.is_empty();
        if has_any {
            self.toml.heading("networks on premises");
        }
        for gateway in gateways {
            let own = inventory
                .vpn_connections
                .iter()
                .filter(|vpn| vpn.is_active() && vpn.customer_gateway_id == gateway);
            let own: Vec<&VpnConnection> = own.map(|vpn| &vpn.object).collect();
            self.customer_gateway(gateway, &own);
        }
        for gateway in &inventory.customer_gateways {
            let why = "no VPN connection leads to it";
            self.ledger.mark_skipped(CustomerGateway::KIND, &gateway.customer_gateway_id, why);
        }
        for gateway in &inventory.vpn_gateways {
            if !gateway.vpc_attachments.iter().any(|attachment| self.vpc_regions.contains_key(&attachment.vpc_id)) {
                let why = "it is attached to no VPC that a document holds";
                self.ledger.mark_skipped(VpnGateway::KIND, &gateway.vpn_gateway_id, why);
            }
        }
        self.direct_connect_gateways();
        for gateway in gateways_by_interface {
            let own = inventory.virtual_interfaces.iter().filter(|one| one.gateway() == Some(gateway));
            let own: Vec<_> = own.collect();
            let name = own.iter().find_map(|one| one.virtual_interface_name.as_deref());
            let links = self.gateway_links(gateway);
            let prefixes = self.routes_by_gateway(gateway).into_iter().collect();
            self.site(&format!("site-{gateway}"), name, prefixes, &links);
            for interface in own {
                self.ledger.mark_converted(VirtualInterface::KIND, &interface.virtual_interface_id);
            }
        }
        for interface in &inventory.virtual_interfaces {
            let why = "where a Direct Connect gateway leads is told by its associations";
            self.ledger.mark_skipped(VirtualInterface::KIND, &interface.virtual_interface_id, why);
        }
        for connect in connects {
            let id = connect.transit_gateway_attachment_id.as_str();
            let prefixes = self.routes_by_attachment(id).into_iter().collect();
            let links = [InlineTable::default().string("target", &connect.transit_gateway_id)];
            self.site(&site_of_attachment(id), name_tag(&connect.tags), prefixes, &links);
        }
    }

    /// Whether an attachment of a transit gateway stands in the text.
    fn is_attached(&self, id: &str) -> bool {
        self.written_attachments.contains(id)
    }

    /// The site behind a customer gateway, with the links of its VPN connections.
    fn customer_gateway(&mut self, gateway: &str, connections: &[&VpnConnection]) {
        let inventory = self.inventory;
        let about = inventory.customer_gateways.iter().find(|one| one.customer_gateway_id == gateway);
        let mut prefixes = BTreeSet::new();
        let mut links = Vec::new();
        for vpn in connections {
            let routes =
                vpn.routes.iter().filter(|route| !is_state(route.state.as_deref(), &["deleted", "deleting"]));
            prefixes.extend(routes.filter_map(|route| route.destination_cidr_block.clone()));
            for attachment in self.index.attachments.get(&vpn.vpn_connection_id) {
                prefixes.extend(self.routes_by_attachment(&attachment.transit_gateway_attachment_id));
            }
            if let Some(vgw) = &vpn.vpn_gateway_id {
                prefixes.extend(self.routes_by_gateway(vgw));
                links.extend(self.gateway_links(vgw));
            }
            if let Some(tgw) = &vpn.transit_gateway_id {
                if self.has_transit_gateway(tgw) {
                    links.push(InlineTable::default().string("target", tgw));
                } else {
                    self.missing_transit_gateway(tgw, &vpn.vpn_connection_id);
                }
            }
            self.ledger.mark_converted(VpnConnection::KIND, &vpn.vpn_connection_id);
        }
        let name = about.and_then(|about| name_tag(&about.tags));
        self.site(&site_of_customer_gateway(gateway), name, prefixes, &links);
        self.ledger.mark_converted(CustomerGateway::KIND, gateway);
        if about.is_none() {
            let call = format!("aws ec2 describe-customer-gateways --customer-gateway-ids {gateway}");
            self.ledger.note_missing(format!("customer gateway {gateway}, which a VPN connection leads to"), call);
        }
    }

    /// A site. What stands behind a default route is the internet and no network of its own.
    fn site(&mut self, id: &str, name: Option<&str>, mut prefixes: BTreeSet<String>, links: &[InlineTable]) {
        let has_internet = prefixes.remove("0.0.0.0/0") | prefixes.remove("::/0");
        if prefixes.is_empty() {
            let message = format!(
                "the prefixes of {id}: no static or propagated route names them, so write its `cidr` by hand"
            );
            self.ledger.note_unsupported(None, message);
        }
        self.toml.table("site", name);
        self.toml.string("id", id);
        self.toml.strings("cidr", prefixes);
        if has_internet {
            self.toml.value("internet", true);
        }
        self.toml.inline_tables("links", links);
    }

    /// Direct Connect gateways with what they are associated with.
    fn direct_connect_gateways(&mut self) {
        let inventory = self.inventory;
        let listed =
            inventory.direct_connect_gateways.iter().map(|one| one.direct_connect_gateway_id.as_str());
        let associated =
            inventory.direct_connect_associations.iter().map(|one| one.direct_connect_gateway_id.as_str());
        let attached: Vec<String> = std::mem::take(&mut self.attached_direct_connects).into_iter().collect();
        let all: BTreeSet<&str> =
            listed.chain(associated).chain(attached.iter().map(String::as_str)).collect();
        for gateway in all {
            self.direct_connect_gateway(gateway);
        }
    }

    /// The site behind a Direct Connect gateway.
    fn direct_connect_gateway(&mut self, gateway: &str) {
        let inventory = self.inventory;
        let id = direct_connect(gateway);
        let mut about = inventory.direct_connect_gateways.iter();
        let about = about.find(|one| one.direct_connect_gateway_id == gateway);
        if about.is_none() {
            let call = format!(
                "aws directconnect describe-direct-connect-gateways --direct-connect-gateway-id {gateway}"
            );
            self.ledger.note_missing(format!("Direct Connect gateway {gateway}, which something leads to"), call);
        }
        let (mut links, mut targets, mut prefixes) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        let associations = inventory.direct_connect_associations.iter();
        for association in associations.filter(|one| one.direct_connect_gateway_id == gateway) {
            let kind = DirectConnectGatewayAssociation::KIND;
            if !association.is_associated() {
                self.ledger.mark_skipped(kind, &association.id(), "it does not hold");
                continue;
            }
            match association.gateway() {
                Some(vgw) if vgw.starts_with("vgw-") => {
                    let vpcs = self.vpcs_of_gateway(vgw);
                    links.extend(vpcs.into_iter().map(|vpc| {
                        InlineTable::default().string("target", &id).string("vpc", &vpc).string("gateway", vgw)
                    }));
                    prefixes.extend(self.routes_by_gateway(vgw));
                }
                Some(tgw) if self.has_transit_gateway(tgw) => {
                    links.push(InlineTable::default().string("target", tgw));
                    targets.insert(tgw);
                }
                Some(tgw) => {
                    self.missing_transit_gateway(tgw, &id);
                    self.ledger.mark_skipped(kind, &association.id(), "no document holds its transit gateway");
                    continue;
                }
                None => {}
            }
            self.ledger.mark_converted(kind, &association.id());
        }
        for attachment in self.index.attachments.get(gateway) {
            prefixes.extend(self.routes_by_attachment(&attachment.transit_gateway_attachment_id));
            let tgw = attachment.transit_gateway_id.as_str();
            if self.is_attached(&attachment.transit_gateway_attachment_id) && targets.insert(tgw) {
                links.push(InlineTable::default().string("target", tgw));
            }
        }
        let name = about.and_then(|about| about.direct_connect_gateway_name.as_deref());
        self.site(&site_of_direct_connect(gateway), name, prefixes, &links);
        self.ledger.mark_converted(DirectConnectGateway::KIND, gateway);
    }

    /// Whether a transit gateway stands in the text.
    fn has_transit_gateway(&self, id: &str) -> bool {
        let mut all = self.inventory.transit_gateways.iter();
        all.any(|one| one.transit_gateway_id == id && !is_state(one.state.as_deref(), super::transit::GONE))
    }

    /// Tells of a transit gateway that no document holds.
    fn missing_transit_gateway(&mut self, id: &str, whose: &str) {
        let call = format!("aws ec2 describe-transit-gateways --transit-gateway-ids {id}");
        self.ledger.note_missing(format!("transit gateway {id}, which {whose} leads to"), call);
    }

    /// The VPCs that a virtual private gateway is attached to.
    fn vpcs_of_gateway(&self, gateway: &str) -> Vec<String> {
        let found = self.inventory.vpn_gateways.iter().find(|one| one.vpn_gateway_id == gateway);
        let attached = found.into_iter().flat_map(|one| &one.vpc_attachments).filter(|one| one.is_attached());
        attached.map(|one| one.vpc_id.clone()).filter(|vpc| self.has_vpc(vpc)).collect()
    }

    /// The links by a virtual private gateway.
    fn gateway_links(&mut self, gateway: &str) -> Vec<InlineTable> {
        if !self.inventory.vpn_gateways.iter().any(|one| one.vpn_gateway_id == gateway) {
            let call = format!("aws ec2 describe-vpn-gateways --vpn-gateway-ids {gateway}");
            self.ledger.note_missing(format!("{gateway}, which a VPN connection ends at"), call);
        }
        let vpcs = self.vpcs_of_gateway(gateway);
        vpcs.iter().map(|vpc| InlineTable::default().string("target", gateway).string("vpc", vpc)).collect()
    }

    /// What routes of VPCs lead to by a virtual private gateway: all of it stands behind its only connection.
    fn routes_by_gateway(&self, gateway: &str) -> Vec<String> {
        let connections = self.inventory.vpn_connections.iter();
        let connections = connections.filter(|vpn| vpn.vpn_gateway_id.as_deref() == Some(gateway)).count();
        let associations = self.inventory.direct_connect_associations.iter();
        let associations = associations.filter(|one| one.gateway() == Some(gateway)).count();
        let interfaces = self.inventory.virtual_interfaces.iter();
        let interfaces = interfaces.filter(|one| one.gateway() == Some(gateway)).count();
        if connections + associations + interfaces.min(1) != 1 {
            return Vec::new();
        }
        let routes = self.inventory.route_tables.iter().flat_map(|table| &table.object.routes);
        let own = routes.filter(|route| route.gateway_id.as_deref() == Some(gateway) && route.is_active());
        own.filter_map(|route| {
            route.destination_cidr_block.clone().or_else(|| route.destination_ipv6_cidr_block.clone())
        })
        .collect()
    }

    /// What routes of transit gateways lead to by an attachment.
    fn routes_by_attachment(&self, attachment: &str) -> Vec<String> {
        let prefixes = self.index.routed_prefixes.get(attachment).into_iter().flatten();
        prefixes.map(|prefix| (*prefix).to_owned()).collect()
    }
}
