//! Private paths beyond the VPC: peering connections, transit gateways, virtual private gateways, sites.

use std::cmp::Reverse;
use std::sync::Arc;

use ipnet::IpNet;

use super::sender::{ReturnDestination, SenderKind};
use super::walk::Walk;
use crate::net::is_globally_routed;
use crate::resolve::path::{Class, MatchedRoute, PathEnd, Reach, Reason, RouteTableRef};
use crate::world::{
    AccessDecision, AttachedTo, Attachment, Index, Link, LinkClass, LinkedTo, Site, Subnet, TransitGateway,
    Vpc, VpcPeeringConnection,
};

impl Walk<'_> {
    /// Follows the packet through a peering connection into the other VPC and no further: gateways of one
    /// side do not carry traffic of the other ("VPC peering limitations").
    pub(super) fn through_peering(&mut self, index: Index<VpcPeeringConnection>, vpc: Index<Vpc>) {
        let connection = &self.network.peering_connections[index];
        self.hop(connection.id.clone(), None);
        let Some(far) = connection.beyond(vpc) else {
            self.end(Reach::Unknown, Some(Reason::TargetNotModelled));
            return;
        };
        if self.is_in_transit || !self.network.vpcs[far].contains(self.to) {
            self.end(Reach::Dead, Some(Reason::PeeringNotTransitive));
            return;
        }
        if self.network.vpcs[far].region != self.network.vpcs[vpc].region {
            // "Reference peer security groups", VPC Peering Guide.
            self.group_references = AccessDecision::Denied;
        }
        self.arrive(far);
    }

    /// Follows the packet through a transit gateway, by the route table that is associated with the source
    /// attachment.
    pub(super) fn through_transit_gateway(
        &mut self,
        index: Index<TransitGateway>,
        vpc: Index<Vpc>,
        subnet: Option<Index<Subnet>>,
    ) {
        let gateway = &self.network.transit_gateways[index];
        self.hop(gateway.id.clone(), None);
        let Some(from) = gateway.attachment_of(vpc) else {
            self.end(Reach::Unknown, Some(Reason::TargetNotModelled));
            return;
        };
        let zone = subnet.map(|subnet| self.network.subnets[subnet].availability_zone.clone());
        // Traffic enters a transit gateway only through the attachment's interface in its own Availability
        // Zone ("Transit gateway attachments to a VPC"). Without configured subnets, an attachment in every
        // zone is assumed.
        if let AttachedTo::Vpc(_, subnets) = &gateway.attachments[from].to
            && !subnets.is_empty()
            && let Some(zone) = &zone
        {
            let in_zone = |subnet: &&Index<Subnet>| self.network.subnets[**subnet].availability_zone == *zone;
            match subnets.iter().find(in_zone) {
                Some(attached) => self.enter(*attached),
                None => return self.end(Reach::Dead, Some(Reason::TgwNoAttachmentInAz)),
            }
        }
        self.route_from_attachment(index, from, zone);
    }

    /// Follows the packet from an attachment, by the route table associated with it.
    fn route_from_attachment(&mut self, index: Index<TransitGateway>, from: usize, zone: Option<Arc<str>>) {
        // Peered gateways may route to each other, so a (gateway, source attachment) pair that is visited
        // twice is a loop. The destination never changes here: transit gateways do not translate addresses.
        let (mut index, mut from) = (index, from);
        let mut visited = Vec::new();
        while !visited.contains(&(index, from)) {
            visited.push((index, from));
            let gateway = &self.network.transit_gateways[index];
            let Some(table) = gateway.attachments[from].association else {
                self.end(Reach::Dead, Some(Reason::TgwNoRoute));
                return;
            };
            let Some(route) = gateway.route_tables[table].route(self.to) else {
                self.end_without_route(RouteTableRef::TransitGateway(index, table), Reason::TgwNoRoute);
                return;
            };
            self.record_route(RouteTableRef::TransitGateway(index, table), route.destination);
            let Some(number) = route.attachment else {
                self.end(Reach::Dead, Some(Reason::BlackholeRoute));
                return;
            };
            match &gateway.attachments[number].to {
                AttachedTo::Vpc(..) => {
                    // Security groups of another VPC can be referenced if both attachments allow it.
                    let attachment = &gateway.attachments[number];
                    let allowed = gateway.attachments[from].group_references.min(attachment.group_references);
                    self.group_references = self.group_references.min(allowed);
                    return self.enter_by_attachment(attachment, zone);
                }
                AttachedTo::Site(site) => {
                    // A site without a configured link replies through the attachment that the packet arrived
                    // by.
                    let is_linked = |link: &Link| link.to == LinkedTo::TransitGateway(index);
                    let has_links = self.network.sites[*site].links.iter().any(is_linked);
                    return self.reach_site(*site, |back| match has_links {
                        true => back.reply_from_site(*site),
                        false => back.route_from_attachment(index, number, None),
                    });
                }
                AttachedTo::TransitGateway(other) => {
                    let far = &self.network.transit_gateways[*other];
                    self.hop(far.id.clone(), None);
                    // Security groups can be referenced only among the VPCs of one transit gateway ("Security
                    // group referencing", Amazon VPC Transit Gateways).
                    self.group_references = AccessDecision::Denied;
                    let Some(back) = far.attachment_of_gateway(index) else {
                        self.end(Reach::Unknown, Some(Reason::TargetNotModelled));
                        return;
                    };
                    (index, from) = (*other, back);
                }
                AttachedTo::Unknown => {
                    self.hop(gateway.attachments[number].id.clone(), None);
                    self.end(Reach::Unknown, Some(Reason::TargetNotModelled));
                    return;
                }
            }
        }
        self.end(Reach::Dead, Some(Reason::RoutingLoop));
    }

    /// Enters a VPC through the attachment's network interface in the Availability Zone of the sender, or in
    /// appliance mode, through the one used in the other direction. The route table of its subnet determines
    /// the next hop. The network ACL of that subnet applies to traffic from the transit gateway when it
    /// leaves the subnet, not when it enters ("Network ACLs for transit gateways").
    fn enter_by_attachment(&mut self, attachment: &Attachment, zone: Option<Arc<str>>) {
        let AttachedTo::Vpc(vpc, subnets) = &attachment.to else { return };
        let vpc = *vpc;
        self.entered_by_transit_gateway = true;
        self.is_in_transit = true;
        // Public addresses of the previous VPC are not public for the internet gateway of this one.
        self.sender.kind = match self.sender.kind {
            SenderKind::Nat { .. } => SenderKind::Nat { is_public: false },
            SenderKind::Appliance | SenderKind::Client => SenderKind::Client,
        };
        let in_zone = |subnet: &&Index<Subnet>| {
            Some(&self.network.subnets[**subnet].availability_zone) == zone.as_ref()
        };
        // Appliance mode keeps a flow on the interface that its first packet selected. A reply is walked with
        // the entries of the request, so it finds that interface here ("Appliance mode").
        let sticky = self.sticky_entries.iter().find(|(of, _)| *of == vpc).map(|(_, entry)| entry);
        let sticky = sticky.filter(|entry| attachment.has_appliance_mode && subnets.contains(entry));
        let entry = sticky.or_else(|| subnets.iter().find(in_zone)).or(subnets.first()).copied();
        // Without configured attachment subnets no route table is known to apply; delivery within the VPC
        // needs none.
        let Some(entry) = entry else {
            self.at = Some((vpc, None));
            match self.network.vpcs[vpc].contains(self.to) {
                true => self.arrive(vpc),
                false => self.end(Reach::Unknown, Some(Reason::TargetNotModelled)),
            }
            return;
        };
        self.at = Some((vpc, Some(entry)));
        self.sticky_entries.push((vpc, entry));
        self.continue_by(self.network.subnets[entry].route_table, Some(entry), Reason::NoRoute);
    }

    /// Follows the packet through a virtual private gateway: to the linked site that contains the address, or
    /// otherwise through the uplink of a linked site.
    pub(super) fn through_private_gateway(&mut self, vpc: Index<Vpc>, gateway: &str) {
        if self.is_in_transit {
            // A virtual private gateway carries only traffic of its own VPC.
            self.end(Reach::Dead, Some(Reason::GatewayNotTransitive));
            return;
        }
        let ends_here = |link: &&Link| {
            let is_direct_connect = link.class == LinkClass::DirectConnectGateway
                && link.gateway.as_deref().is_none_or(|own| own == gateway);
            link.to == LinkedTo::Vpc(vpc) && (*link.target == *gateway || is_direct_connect)
        };
        let sites = self.network.vpcs[vpc].linked_sites.iter();
        let linked = sites
            .filter_map(|index| Some((*index, self.network.sites[*index].links.iter().find(ends_here)?)));
        // The longest prefix of any linked site, otherwise an uplink; the first if several are equal.
        let prefix = |index: Index<Site>| match self.site_prefix(index) {
            Some(cidr) => Some(Some(cidr.prefix_len())),
            None if self.network.sites[index].has_internet && is_globally_routed(self.to) => Some(None),
            None => None,
        };
        let candidates = linked.filter_map(|(index, link)| Some((index, link, prefix(index)?)));
        match candidates.min_by_key(|(_, _, prefix)| Reverse(*prefix)) {
            Some((site, link, _)) => {
                if link.class == LinkClass::DirectConnectGateway {
                    self.hop(link.target.clone(), None);
                }
                self.reach_site(site, |back| back.reply_from_site(site));
            }
            None => self.end(Reach::Unknown, Some(Reason::TargetNotModelled)),
        }
    }

    /// The longest prefix of a site that contains the address.
    fn site_prefix(&self, index: Index<Site>) -> Option<IpNet> {
        let containing = self.network.sites[index].cidrs.iter().filter(|cidr| cidr.contains(&self.to));
        containing.max_by_key(|cidr| cidr.prefix_len()).copied()
    }

    /// Another site behind the virtual private gateway of a link, with its prefix: the VPN connections of one
    /// gateway forward traffic among their sites ("Secure communication between AWS Site-to-Site VPN
    /// connections using VPN CloudHub"). A Direct Connect gateway does not do this.
    fn site_beyond(&self, own: Index<Site>, link: &Link) -> Option<(IpNet, Index<Site>)> {
        if link.class != LinkClass::VirtualPrivateGateway {
            return None;
        }
        let is_same = |other: &Link| other.class == link.class && other.target == link.target;
        let others = self.network.sites.indexed().filter(|(index, _)| *index != own);
        let containing = others.filter_map(|(index, site)| {
            let prefix = self.site_prefix(index)?;
            site.links.iter().any(is_same).then_some((prefix, index))
        });
        containing.min_by_key(|(prefix, _)| Reverse(prefix.prefix_len()))
    }

    /// Follows the packet into a site, or through it to its uplink, provided that the reply reaches the
    /// sender.
    fn reach_site(&mut self, index: Index<Site>, reply: impl Fn(&mut Self)) {
        let site = &self.network.sites[index];
        self.hop(site.id.clone(), None);
        if site.cidrs.iter().any(|cidr| cidr.contains(&self.to)) {
            self.path.end = PathEnd::Site(index);
            self.end(Reach::Ok, None);
        } else if site.has_internet && is_globally_routed(self.to) {
            self.path.end = PathEnd::Public(self.to, None);
            self.end(Reach::Ok, None);
        } else {
            self.end(Reach::Dead, Some(Reason::NoRoute));
            return;
        }
        self.require_replies(ReturnDestination::Site(index), reply);
    }

    /// A site's reply follows its prefixes and links; it stays in the site if the destination is an address
    /// of the site.
    fn reply_from_site(&mut self, index: Index<Site>) {
        if !self.leave_site(index) {
            self.end(Reach::Dead, Some(Reason::NoRoute));
        }
    }

    /// Follows the packet from a site: within it or over a link, whichever has the longest matching prefix.
    /// Returns false if neither matches.
    pub(super) fn leave_site(&mut self, index: Index<Site>) -> bool {
        let site = &self.network.sites[index];
        let prefix = |link: &Link| match link.to {
            LinkedTo::Vpc(vpc) => {
                let containing = self.network.vpcs[vpc].cidrs.iter().filter(|cidr| cidr.contains(&self.to));
                let of_vpc = containing.max_by_key(|cidr| cidr.prefix_len()).copied();
                of_vpc.or_else(|| self.site_beyond(index, link).map(|(prefix, _)| prefix))
            }
            LinkedTo::TransitGateway(gateway) => {
                let gateway = &self.network.transit_gateways[gateway];
                let route = gateway.route(gateway.attachment_of_site(index)?, self.to)?;
                // A route back to the site itself does not leave it.
                let back = route.attachment.map(|number| &gateway.attachments[number].to);
                (back != Some(&AttachedTo::Site(index))).then_some(route.destination)
            }
        };
        let links = site.links.iter().filter_map(|link| Some((link, prefix(link)?)));
        // A link with a default route is used only for addresses that the uplink cannot reach.
        let is_for_uplink = site.has_internet && is_globally_routed(self.to);
        let links = links.filter(|(_, prefix)| prefix.prefix_len() > 0 || !is_for_uplink);
        // The first as configured, if several are equal.
        let link = links.min_by_key(|(_, prefix)| Reverse(prefix.prefix_len()));
        if let Some(own) = self.site_prefix(index)
            && link.is_none_or(|(_, prefix)| prefix.prefix_len() <= own.prefix_len())
        {
            self.path.class = Class::OnPremises;
            self.path.end = PathEnd::Site(index);
            self.matched_at(&site.id, own, Arc::from("local"));
            self.end(Reach::Ok, None);
            return true;
        }
        let Some((link, destination)) = link else { return false };
        self.path.class = match link.class {
            LinkClass::VirtualPrivateGateway => Class::VirtualPrivateGateway,
            LinkClass::DirectConnectGateway => Class::DirectConnectGateway,
            LinkClass::TransitGateway => Class::TransitGateway,
        };
        self.matched_at(&site.id, destination, link.target.clone());
        self.hop(link.target.clone(), None);
        match link.to {
            LinkedTo::Vpc(_) if link.class == LinkClass::TransitGateway => {
                self.end(Reach::Unknown, Some(Reason::TargetNotModelled));
            }
            LinkedTo::Vpc(vpc) if self.network.vpcs[vpc].contains(self.to) => {
                self.is_in_transit = true;
                self.entered_by_gateway = true;
                self.arrive(vpc);
            }
            LinkedTo::Vpc(_) => {
                let Some((_, other)) = self.site_beyond(index, link) else { return false };
                self.reach_site(other, |back| back.reply_from_site(other));
            }
            LinkedTo::TransitGateway(gateway) => {
                let from = self.network.transit_gateways[gateway].attachment_of_site(index);
                match from {
                    Some(from) => self.route_from_attachment(gateway, from, None),
                    None => self.end(Reach::Unknown, Some(Reason::TargetNotModelled)),
                }
            }
        }
        true
    }

    fn matched_at(&mut self, site: &Arc<str>, destination: IpNet, target: Arc<str>) {
        self.path.matched =
            Some(MatchedRoute { route_table: Some(site.clone()), destination, prefix_list: None, target });
        debug_assert_eq!(
            self.sender.kind,
            SenderKind::Client,
            "the sender of traffic from a site is the client"
        );
    }
}
