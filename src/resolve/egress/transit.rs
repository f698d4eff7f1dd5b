//! Beyond the VPC by private ways: peering connections, transit gateways, private gateways, sites.

use std::cmp::Reverse;
use std::sync::Arc;

use ipnet::IpNet;

use super::sender::{Home, SentBy};
use super::walk::Walk;
use crate::net::is_globally_routed;
use crate::resolve::path::{Class, End, LaterTable, Matched, Reach, Reason};
use crate::world::{
    Admission, AttachedTo, Attachment, Index, Link, LinkClass, LinkedTo, Site, Subnet, TransitGateway, Vpc,
    VpcPeeringConnection,
};

impl Walk<'_> {
    /// Through a peering connection, into the other VPC and no farther: neither side's gateways carry the other's
    /// traffic ("VPC peering limitations").
    pub(super) fn through_peering(&mut self, index: Index<VpcPeeringConnection>, vpc: Index<Vpc>) {
        let connection = &self.world.peering_connections[index];
        self.hop(connection.id.clone(), None);
        let Some(far) = connection.beyond(vpc) else {
            self.end(Reach::Unknown, Some(Reason::TargetNotModelled));
            return;
        };
        if self.is_passing || !self.world.vpcs[far].holds(self.to) {
            self.end(Reach::Dead, Some(Reason::PeeringNotTransitive));
            return;
        }
        if self.world.vpcs[far].region != self.world.vpcs[vpc].region {
            // "Reference peer security groups", VPC Peering Guide.
            self.groups_count = Admission::Refused;
        }
        self.arrive(far);
    }

    /// Through a transit gateway, by the table that the sender's attachment is associated with.
    pub(super) fn through_transit_gateway(
        &mut self,
        index: Index<TransitGateway>,
        vpc: Index<Vpc>,
        subnet: Option<Index<Subnet>>,
    ) {
        let gateway = &self.world.transit_gateways[index];
        self.hop(gateway.id.clone(), None);
        let Some(from) = gateway.attachment_of(vpc) else {
            self.end(Reach::Unknown, Some(Reason::TargetNotModelled));
            return;
        };
        let zone = subnet.map(|subnet| self.world.subnets[subnet].availability_zone.clone());
        if let AttachedTo::Vpc(_, subnets) = &gateway.attachments[from].to
            && !subnets.is_empty()
            && let Some(zone) = &zone
        {
            let in_zone = |subnet: &&Index<Subnet>| self.world.subnets[**subnet].availability_zone == *zone;
            match subnets.iter().find(in_zone) {
                Some(attached) => self.enter(*attached),
                None => return self.end(Reach::Dead, Some(Reason::TgwNoAttachmentInAz)),
            }
        }
        self.beyond_attachment(index, from, zone);
    }

    /// From an attachment to where the gateway's table leads.
    fn beyond_attachment(&mut self, index: Index<TransitGateway>, from: usize, zone: Option<Arc<str>>) {
        let (mut index, mut from) = (index, from);
        let mut passed = Vec::new();
        while !passed.contains(&(index, from)) {
            passed.push((index, from));
            let gateway = &self.world.transit_gateways[index];
            let Some(table) = gateway.attachments[from].association else {
                self.end(Reach::Dead, Some(Reason::TgwNoRoute));
                return;
            };
            let Some(route) = gateway.route_tables[table].route(self.to) else {
                self.end_without_route(LaterTable::TransitGateway(index, table), Reason::TgwNoRoute);
                return;
            };
            self.follow(LaterTable::TransitGateway(index, table), route.destination);
            let Some(number) = route.attachment else {
                self.end(Reach::Dead, Some(Reason::BlackholeRoute));
                return;
            };
            match &gateway.attachments[number].to {
                AttachedTo::Vpc(..) => {
                    // Groups of another VPC mean something here if both attachments let them.
                    let attachment = &gateway.attachments[number];
                    let counting = gateway.attachments[from].groups_count.min(attachment.groups_count);
                    self.groups_count = self.groups_count.min(counting);
                    return self.enter_by_attachment(attachment, zone);
                }
                AttachedTo::Site(site) => {
                    let is_linked = |link: &Link| link.to == LinkedTo::TransitGateway(index);
                    let knows_links = self.world.sites[*site].links.iter().any(is_linked);
                    return self.reach_site(*site, |back| match knows_links {
                        true => back.reply_from_site(*site),
                        false => back.beyond_attachment(index, number, None),
                    });
                }
                AttachedTo::TransitGateway(other) => {
                    let far = &self.world.transit_gateways[*other];
                    self.hop(far.id.clone(), None);
                    // Groups are known among the VPCs of one gateway ("Security group referencing", Amazon VPC Transit
                    // Gateways).
                    self.groups_count = Admission::Refused;
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

    /// Into a VPC by the attachment's interface in the zone that the packet came from, in appliance mode by the one that the
    /// other direction took. Its subnet's table decides what becomes of it there. What comes from the gateway is judged by
    /// that subnet's network ACL when it leaves the subnet, and not when it enters ("Network ACLs for transit gateways").
    fn enter_by_attachment(&mut self, attachment: &Attachment, zone: Option<Arc<str>>) {
        let AttachedTo::Vpc(vpc, subnets) = &attachment.to else { return };
        let vpc = *vpc;
        self.came_by_transit_gateway = true;
        self.is_passing = true;
        // Public addresses of the VPC before are none to this one's internet gateway.
        self.sender.by = match self.sender.by {
            SentBy::Nat { .. } => SentBy::Nat { is_public: false },
            SentBy::Appliance | SentBy::Client => SentBy::Client,
        };
        let in_zone =
            |subnet: &&Index<Subnet>| Some(&self.world.subnets[**subnet].availability_zone) == zone.as_ref();
        let kept = self.kept_entries.iter().find(|(of, _)| *of == vpc).map(|(_, entry)| entry);
        let kept = kept.filter(|entry| attachment.has_appliance_mode && subnets.contains(entry));
        let entry = kept.or_else(|| subnets.iter().find(in_zone)).or(subnets.first()).copied();
        let Some(entry) = entry else {
            self.at = Some((vpc, None));
            match self.world.vpcs[vpc].holds(self.to) {
                true => self.arrive(vpc),
                false => self.end(Reach::Unknown, Some(Reason::TargetNotModelled)),
            }
            return;
        };
        self.at = Some((vpc, Some(entry)));
        self.kept_entries.push((vpc, entry));
        self.go_on(self.world.subnets[entry].route_table, Some(entry), Reason::NoRoute);
    }

    /// Through a virtual private gateway: to the site that is linked there and holds the address, else by the uplink of
    /// one that is linked there.
    pub(super) fn through_private_gateway(&mut self, vpc: Index<Vpc>, gateway: &str) {
        if self.is_passing {
            // A virtual private gateway carries its own VPC's traffic alone.
            self.end(Reach::Dead, Some(Reason::GatewayNotTransitive));
            return;
        }
        let ends_here = |link: &&Link| {
            let is_direct_connect = link.class == LinkClass::DirectConnectGateway
                && link.gateway.as_deref().is_none_or(|own| own == gateway);
            link.to == LinkedTo::Vpc(vpc) && (*link.target == *gateway || is_direct_connect)
        };
        let sites = self.world.vpcs[vpc].linked_sites.iter();
        let linked =
            sites.filter_map(|index| Some((*index, self.world.sites[*index].links.iter().find(ends_here)?)));
        // The longest prefix of any of them, then an uplink; of equals the first.
        let prefix = |index: Index<Site>| match self.site_prefix(index) {
            Some(held) => Some(Some(held.prefix_len())),
            None if self.world.sites[index].has_internet && is_globally_routed(self.to) => Some(None),
            None => None,
        };
        let meant = linked.filter_map(|(index, link)| Some((index, link, prefix(index)?)));
        match meant.min_by_key(|(_, _, prefix)| Reverse(*prefix)) {
            Some((site, link, _)) => {
                if link.class == LinkClass::DirectConnectGateway {
                    self.hop(link.target.clone(), None);
                }
                self.reach_site(site, |back| back.reply_from_site(site));
            }
            None => self.end(Reach::Unknown, Some(Reason::TargetNotModelled)),
        }
    }

    /// The longest prefix of a site that holds the address.
    fn site_prefix(&self, index: Index<Site>) -> Option<IpNet> {
        let holding = self.world.sites[index].cidrs.iter().filter(|cidr| cidr.contains(&self.to));
        holding.max_by_key(|cidr| cidr.prefix_len()).copied()
    }

    /// The other site that a link's virtual private gateway leads to, with its prefix: the VPN connections of one gateway
    /// carry what their sites send each other ("Secure communication between AWS Site-to-Site VPN connections using VPN
    /// CloudHub"). A Direct Connect gateway does not.
    fn site_beyond(&self, own: Index<Site>, link: &Link) -> Option<(IpNet, Index<Site>)> {
        if link.class != LinkClass::VirtualPrivateGateway {
            return None;
        }
        let is_same = |other: &Link| other.class == link.class && other.target == link.target;
        let others = self.world.sites.indexed().filter(|(index, _)| *index != own);
        let holding = others.filter_map(|(index, site)| {
            let prefix = self.site_prefix(index)?;
            site.links.iter().any(is_same).then_some((prefix, index))
        });
        holding.min_by_key(|(prefix, _)| Reverse(prefix.prefix_len()))
    }

    /// Into a site, or through it to its own uplink. A reply leaves the site so.
    fn reach_site(&mut self, index: Index<Site>, reply: impl Fn(&mut Self)) {
        let site = &self.world.sites[index];
        self.hop(site.id.clone(), None);
        if site.cidrs.iter().any(|cidr| cidr.contains(&self.to)) {
            self.path.end = End::Site(index);
            self.end(Reach::Ok, None);
        } else if site.has_internet && is_globally_routed(self.to) {
            self.path.end = End::Public(self.to, None);
            self.end(Reach::Ok, None);
        } else {
            self.end(Reach::Dead, Some(Reason::NoRoute));
            return;
        }
        self.need_replies(Home::Site(index), reply);
    }

    /// A site's reply goes where its own prefixes and its links lead: what has an address of the site's own stays there.
    fn reply_from_site(&mut self, index: Index<Site>) {
        if !self.leave_site(index) {
            self.end(Reach::Dead, Some(Reason::NoRoute));
        }
    }

    /// From a site: inside it, or over a link, whichever has the longest prefix for the address. False: neither.
    pub(super) fn leave_site(&mut self, index: Index<Site>) -> bool {
        let site = &self.world.sites[index];
        let prefix = |link: &Link| match link.to {
            LinkedTo::Vpc(vpc) => {
                let holding = self.world.vpcs[vpc].cidrs.iter().filter(|cidr| cidr.contains(&self.to));
                let of_vpc = holding.max_by_key(|cidr| cidr.prefix_len()).copied();
                of_vpc.or_else(|| self.site_beyond(index, link).map(|(prefix, _)| prefix))
            }
            LinkedTo::TransitGateway(gateway) => {
                let gateway = &self.world.transit_gateways[gateway];
                let route = gateway.route(gateway.attachment_of_site(index)?, self.to)?;
                // What leads back to the site itself is no way out of it.
                let back = route.attachment.map(|number| &gateway.attachments[number].to);
                (back != Some(&AttachedTo::Site(index))).then_some(route.destination)
            }
        };
        let links = site.links.iter().filter_map(|link| Some((link, prefix(link)?)));
        // A link to everything is for what the uplink cannot carry.
        let is_for_uplink = site.has_internet && is_globally_routed(self.to);
        let links = links.filter(|(_, prefix)| prefix.prefix_len() > 0 || !is_for_uplink);
        // Of equals the first that was written.
        let link = links.min_by_key(|(_, prefix)| Reverse(prefix.prefix_len()));
        if let Some(own) = self.site_prefix(index)
            && link.is_none_or(|(_, prefix)| prefix.prefix_len() <= own.prefix_len())
        {
            self.path.class = Class::OnPremises;
            self.path.end = End::Site(index);
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
            LinkedTo::Vpc(vpc) if self.world.vpcs[vpc].holds(self.to) => {
                self.is_passing = true;
                self.came_by_edge = true;
                self.arrive(vpc);
            }
            LinkedTo::Vpc(_) => {
                let Some((_, other)) = self.site_beyond(index, link) else { return false };
                self.reach_site(other, |back| back.reply_from_site(other));
            }
            LinkedTo::TransitGateway(gateway) => {
                let from = self.world.transit_gateways[gateway].attachment_of_site(index);
                match from {
                    Some(from) => self.beyond_attachment(gateway, from, None),
                    None => self.end(Reach::Unknown, Some(Reason::TargetNotModelled)),
                }
            }
        }
        true
    }

    fn matched_at(&mut self, site: &Arc<str>, destination: IpNet, target: Arc<str>) {
        self.path.matched =
            Some(Matched { route_table: Some(site.clone()), destination, prefix_list: None, target });
        debug_assert_eq!(self.sender.by, SentBy::Client, "a site's traffic is the client's own");
    }
}
