//! On-premises networks: behind the customer gateway of VPN connections, behind Direct Connect, and behind
//! Transit Gateway Connect.

use std::collections::BTreeSet;

use super::ConfigWriter;
use super::toml::InlineTable;
use super::transit::INACTIVE_STATES;
use crate::import::objects::gateway::{
    CustomerGateway, DirectConnectGateway, DirectConnectGatewayAssociation, VirtualInterface, VpnConnection,
    VpnGateway,
};
use crate::import::objects::{Object, is_state, name_tag};

/// Returns the id of the site behind a customer gateway.
pub(super) fn customer_gateway_site_id(id: &str) -> String {
    format!("site-{id}")
}

/// Returns the id of the site behind a Direct Connect gateway.
pub(super) fn direct_connect_site_id(id: &str) -> String {
    format!("site-{}", direct_connect_id(id))
}

/// Returns the id of the site behind a Transit Gateway Connect attachment.
pub(super) fn attachment_site_id(id: &str) -> String {
    format!("site-{id}")
}

/// Returns the id of a Direct Connect gateway with the prefix `dxgw-`. AWS assigns it a UUID without a
/// prefix.
fn direct_connect_id(id: &str) -> String {
    if id.starts_with("dxgw-") { id.to_owned() } else { format!("dxgw-{id}") }
}

impl ConfigWriter<'_> {
    /// Writes one site for each customer gateway with a VPN connection, each Direct Connect gateway, each
    /// virtual private gateway with virtual interfaces, and each Connect attachment.
    pub(super) fn write_sites(&mut self) {
        let inventory = self.inventory;
        let mut gateways: Vec<&str> = Vec::new();
        for vpn in &inventory.vpn_connections {
            if !vpn.is_active() {
                self.ledger.mark_skipped(VpnConnection::KIND, &vpn.vpn_connection_id, "deleted");
            } else if !gateways.contains(&vpn.customer_gateway_id.as_str()) {
                gateways.push(&vpn.customer_gateway_id);
            }
        }
        let connects: Vec<_> = inventory
            .attachments
            .iter()
            .filter(|one| {
                one.resource_type == "connect"
                    && self.is_attachment_written(&one.transit_gateway_attachment_id)
            })
            .collect();
        // Virtual interfaces without a Direct Connect gateway: one site for all interfaces that terminate
        // at the same virtual private gateway.
        let gateways_with_interfaces: BTreeSet<&str> =
            inventory.virtual_interfaces.iter().filter_map(|one| one.gateway()).collect();
        let has_sites = !gateways.is_empty()
            || !connects.is_empty()
            || !gateways_with_interfaces.is_empty()
            || !self.attached_direct_connects.is_empty()
            || !inventory.direct_connect_gateways.is_empty()
            || !inventory.direct_connect_associations.is_empty();
        if has_sites {
            self.toml.heading("on-premises networks");
        }
        for gateway in gateways {
            let connections = inventory
                .vpn_connections
                .iter()
                .filter(|vpn| vpn.is_active() && vpn.customer_gateway_id == gateway);
            let connections: Vec<&VpnConnection> = connections.map(|vpn| &vpn.object).collect();
            self.write_customer_gateway_site(gateway, &connections);
        }
        for gateway in &inventory.customer_gateways {
            let why = "no VPN connection";
            self.ledger.mark_skipped(CustomerGateway::KIND, &gateway.customer_gateway_id, why);
        }
        for gateway in &inventory.vpn_gateways {
            if !gateway.vpc_attachments.iter().any(|attachment| self.has_vpc(&attachment.vpc_id)) {
                let why = "not attached to a VPC in the documents";
                self.ledger.mark_skipped(VpnGateway::KIND, &gateway.vpn_gateway_id, why);
            }
        }
        self.write_direct_connect_sites();
        for gateway in gateways_with_interfaces {
            let interfaces = inventory.virtual_interfaces.iter().filter(|one| one.gateway() == Some(gateway));
            let interfaces: Vec<_> = interfaces.collect();
            let name = interfaces.iter().find_map(|one| one.virtual_interface_name.as_deref());
            let links = self.gateway_links(gateway);
            let prefixes = self.prefixes_via_vpn_gateway(gateway).into_iter().collect();
            self.write_site(&format!("site-{gateway}"), name, prefixes, &links);
            for interface in interfaces {
                self.ledger.mark_converted(VirtualInterface::KIND, &interface.virtual_interface_id);
            }
        }
        for interface in &inventory.virtual_interfaces {
            let why = "derived from the associations of the Direct Connect gateway";
            self.ledger.mark_skipped(VirtualInterface::KIND, &interface.virtual_interface_id, why);
        }
        for connect in connects {
            let id = connect.transit_gateway_attachment_id.as_str();
            let prefixes = self.prefixes_via_attachment(id).into_iter().collect();
            let links = [InlineTable::default().string("target", &connect.transit_gateway_id)];
            self.write_site(&attachment_site_id(id), name_tag(&connect.tags), prefixes, &links);
        }
    }

    /// Returns whether a transit gateway attachment is written.
    fn is_attachment_written(&self, id: &str) -> bool {
        self.written_attachments.contains(id)
    }

    /// Writes the site behind a customer gateway, with one link per VPN connection.
    fn write_customer_gateway_site(&mut self, gateway: &str, connections: &[&VpnConnection]) {
        let inventory = self.inventory;
        let document = inventory.customer_gateways.iter().find(|one| one.customer_gateway_id == gateway);
        let mut prefixes = BTreeSet::new();
        let mut links = Vec::new();
        for vpn in connections {
            let routes =
                vpn.routes.iter().filter(|route| !is_state(route.state.as_deref(), &["deleted", "deleting"]));
            prefixes.extend(routes.filter_map(|route| route.destination_cidr_block.clone()));
            for attachment in self.index.attachments.get(&vpn.vpn_connection_id) {
                prefixes.extend(self.prefixes_via_attachment(&attachment.transit_gateway_attachment_id));
            }
            if let Some(vgw) = &vpn.vpn_gateway_id {
                prefixes.extend(self.prefixes_via_vpn_gateway(vgw));
                links.extend(self.gateway_links(vgw));
            }
            if let Some(tgw) = &vpn.transit_gateway_id {
                if self.has_transit_gateway(tgw) {
                    links.push(InlineTable::default().string("target", tgw));
                } else {
                    self.note_missing_transit_gateway(tgw, &vpn.vpn_connection_id);
                }
            }
            self.ledger.mark_converted(VpnConnection::KIND, &vpn.vpn_connection_id);
        }
        let name = document.and_then(|gateway| name_tag(&gateway.tags));
        self.write_site(&customer_gateway_site_id(gateway), name, prefixes, &links);
        self.ledger.mark_converted(CustomerGateway::KIND, gateway);
        if document.is_none() {
            let command = format!("aws ec2 describe-customer-gateways --customer-gateway-ids {gateway}");
            self.ledger.note_missing(format!("customer gateway {gateway} of a VPN connection"), command);
        }
    }

    /// Writes a site. A default route is written as `internet`, not as a CIDR block of the site.
    fn write_site(
        &mut self,
        id: &str,
        name: Option<&str>,
        mut prefixes: BTreeSet<String>,
        links: &[InlineTable],
    ) {
        let has_internet = prefixes.remove("0.0.0.0/0") | prefixes.remove("::/0");
        if prefixes.is_empty() {
            let message = format!(
                "{id}: no static or propagated route contains its CIDR blocks: add them to `cidr` manually"
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

    /// Writes the sites behind Direct Connect gateways.
    fn write_direct_connect_sites(&mut self) {
        let inventory = self.inventory;
        let listed =
            inventory.direct_connect_gateways.iter().map(|one| one.direct_connect_gateway_id.as_str());
        let associated =
            inventory.direct_connect_associations.iter().map(|one| one.direct_connect_gateway_id.as_str());
        let attached: Vec<String> = std::mem::take(&mut self.attached_direct_connects).into_iter().collect();
        let gateways: BTreeSet<&str> =
            listed.chain(associated).chain(attached.iter().map(String::as_str)).collect();
        for gateway in gateways {
            self.write_direct_connect_site(gateway);
        }
    }

    /// Writes the site behind a Direct Connect gateway.
    fn write_direct_connect_site(&mut self, gateway: &str) {
        let inventory = self.inventory;
        let id = direct_connect_id(gateway);
        let mut documents = inventory.direct_connect_gateways.iter();
        let document = documents.find(|one| one.direct_connect_gateway_id == gateway);
        if document.is_none() {
            let command = format!(
                "aws directconnect describe-direct-connect-gateways --direct-connect-gateway-id {gateway}"
            );
            let what = format!("Direct Connect gateway {gateway}, referenced by another object");
            self.ledger.note_missing(what, command);
        }
        let (mut links, mut targets, mut prefixes) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        let associations = inventory.direct_connect_associations.iter();
        for association in associations.filter(|one| one.direct_connect_gateway_id == gateway) {
            let kind = DirectConnectGatewayAssociation::KIND;
            if !association.is_associated() {
                self.ledger.mark_skipped(kind, &association.id(), "not active");
                continue;
            }
            match association.gateway() {
                Some(vgw) if vgw.starts_with("vgw-") => {
                    let vpcs = self.vpcs_of_vpn_gateway(vgw);
                    links.extend(vpcs.into_iter().map(|vpc| {
                        InlineTable::default()
                            .string("target", &id)
                            .string("vpc", &vpc)
                            .string("gateway", vgw)
                    }));
                    prefixes.extend(self.prefixes_via_vpn_gateway(vgw));
                }
                Some(tgw) if self.has_transit_gateway(tgw) => {
                    links.push(InlineTable::default().string("target", tgw));
                    targets.insert(tgw);
                }
                Some(tgw) => {
                    self.note_missing_transit_gateway(tgw, &id);
                    self.ledger.mark_skipped(kind, &association.id(), "its transit gateway is missing");
                    continue;
                }
                None => {}
            }
            self.ledger.mark_converted(kind, &association.id());
        }
        for attachment in self.index.attachments.get(gateway) {
            prefixes.extend(self.prefixes_via_attachment(&attachment.transit_gateway_attachment_id));
            let tgw = attachment.transit_gateway_id.as_str();
            if self.is_attachment_written(&attachment.transit_gateway_attachment_id) && targets.insert(tgw) {
                links.push(InlineTable::default().string("target", tgw));
            }
        }
        let name = document.and_then(|gateway| gateway.direct_connect_gateway_name.as_deref());
        self.write_site(&direct_connect_site_id(gateway), name, prefixes, &links);
        self.ledger.mark_converted(DirectConnectGateway::KIND, gateway);
    }

    /// Returns whether a transit gateway is written.
    fn has_transit_gateway(&self, id: &str) -> bool {
        let mut gateways = self.inventory.transit_gateways.iter();
        gateways.any(|one| one.transit_gateway_id == id && !is_state(one.state.as_deref(), INACTIVE_STATES))
    }

    /// Reports a transit gateway as missing. `referrer` describes the object that refers to it.
    fn note_missing_transit_gateway(&mut self, id: &str, referrer: &str) {
        let command = format!("aws ec2 describe-transit-gateways --transit-gateway-ids {id}");
        self.ledger.note_missing(format!("transit gateway {id}, referenced by {referrer}"), command);
    }

    /// Returns the VPCs that a virtual private gateway is attached to.
    fn vpcs_of_vpn_gateway(&self, gateway: &str) -> Vec<String> {
        let gateway = self.inventory.vpn_gateways.iter().find(|one| one.vpn_gateway_id == gateway);
        let attachments =
            gateway.into_iter().flat_map(|one| &one.vpc_attachments).filter(|one| one.is_attached());
        attachments.map(|one| one.vpc_id.clone()).filter(|vpc| self.has_vpc(vpc)).collect()
    }

    /// Returns the links via a virtual private gateway.
    fn gateway_links(&mut self, gateway: &str) -> Vec<InlineTable> {
        if !self.inventory.vpn_gateways.iter().any(|one| one.vpn_gateway_id == gateway) {
            let command = format!("aws ec2 describe-vpn-gateways --vpn-gateway-ids {gateway}");
            self.ledger.note_missing(format!("virtual private gateway {gateway} of a site"), command);
        }
        let vpcs = self.vpcs_of_vpn_gateway(gateway);
        vpcs.iter().map(|vpc| InlineTable::default().string("target", gateway).string("vpc", vpc)).collect()
    }

    /// Returns the destinations of VPC routes via a virtual private gateway. They can be attributed to a site
    /// only if the gateway has a single active connection; otherwise the result is empty.
    fn prefixes_via_vpn_gateway(&self, gateway: &str) -> Vec<String> {
        let connections = self.inventory.vpn_connections.iter();
        let connections = connections
            .filter(|vpn| vpn.is_active() && vpn.vpn_gateway_id.as_deref() == Some(gateway))
            .count();
        let associations = self.inventory.direct_connect_associations.iter();
        let associations =
            associations.filter(|one| one.is_associated() && one.gateway() == Some(gateway)).count();
        let interfaces = self.inventory.virtual_interfaces.iter();
        let interfaces = interfaces.filter(|one| one.gateway() == Some(gateway)).count();
        if connections + associations + interfaces.min(1) != 1 {
            return Vec::new();
        }
        let routes = self.inventory.route_tables.iter().flat_map(|table| &table.object.routes);
        let active = routes.filter(|route| route.gateway_id.as_deref() == Some(gateway) && route.is_active());
        active
            .filter_map(|route| {
                route.destination_cidr_block.clone().or_else(|| route.destination_ipv6_cidr_block.clone())
            })
            .collect()
    }

    /// Returns the destinations of transit gateway routes via an attachment.
    fn prefixes_via_attachment(&self, attachment: &str) -> Vec<String> {
        let prefixes = self.index.routed_prefixes.get(attachment).into_iter().flatten();
        prefixes.map(|prefix| (*prefix).to_owned()).collect()
    }
}
