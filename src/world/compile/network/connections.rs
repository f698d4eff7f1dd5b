//! Peering connections, transit gateways, and network interfaces that are configured on their own.

use super::*;
use crate::config::{AttachmentType, RouteState};

impl NetworkCompiler<'_, '_> {
    /// Peering connections and transit gateways.
    pub(super) fn connections(&mut self) {
        for written in &self.cx.config.vpc_peering_connection {
            if !self.cx.declare(&written.id) {
                continue;
            }
            let sides = [&written.requester, &written.accepter].map(|side| self.vpc_named(&side.vpc));
            let [Some(requester), Some(accepter)] = sides else { continue };
            if requester == accepter {
                let message = format!("`{}` connects VPC `{}` with itself", written.id, written.accepter.vpc);
                self.cx.report.error(Code::InvalidValue, written.accepter.vpc.mark(), message);
                continue;
            }
            self.check_peered_prefixes(written, requester, accepter);
            let id = written.id.value().to_shared();
            let made = VpcPeeringConnection { id, vpcs: [requester, accepter] };
            let made = self.network.peering_connections.add(made);
            self.declarations.peering_connections.insert(written.id.to_string(), made);
        }
        for written in &self.cx.config.transit_gateway {
            if self.cx.declare(&written.id) {
                self.transit_gateway(written);
            }
        }
    }

    /// VPCs with overlapping CIDR blocks cannot be peered ("VPC peering connection limitations", VPC Peering
    /// Guide).
    fn check_peered_prefixes(
        &mut self,
        written: &config::VpcPeeringConnection,
        requester: Index<Vpc>,
        accepter: Index<Vpc>,
    ) {
        let (own, other) = (&self.network.vpcs[requester].cidrs, &self.network.vpcs[accepter].cidrs);
        let shared = own.iter().find(|cidr| other.iter().any(|net| crate::net::overlaps(cidr, net)));
        if let Some(shared) = shared {
            let message = format!(
                "`{}` is invalid: VPCs `{}` and `{}` overlap in {shared}",
                written.id, self.network.vpcs[requester].id, self.network.vpcs[accepter].id
            );
            self.cx.report.error(Code::OverlappingCidr, written.id.mark(), message);
        }
    }

    /// VPCs with DNS support on their attachments resolve each other's private addresses. Private hosted
    /// zones are never shared this way.
    fn transit_gateway(&mut self, written: &config::TransitGateway) {
        let mut made = TransitGateway::new(written.id.value().to_shared());
        // The first VPC determines the region.
        let mut first: Option<Index<Vpc>> = None;
        let mut taking_part = Vec::new();
        for attachment in &written.vpc_attachment {
            if !self.cx.declare(&attachment.id) {
                continue;
            }
            let Some(vpc) = self.vpc_named(&attachment.vpc) else { continue };
            let subnets =
                attachment.subnets.iter().filter_map(|subnet| self.subnet_named(subnet, vpc)).collect();
            let is_second = made.attachment_of(vpc).is_some();
            let attached = made.attach(
                attachment.id.value().to_shared(),
                AttachedTo::Vpc(vpc, subnets),
                TransitRank::Vpc,
            );
            attached.has_appliance_mode = attachment.appliance_mode_support;
            attached.propagates_ipv6 = attachment.ipv6_support;
            // Both the gateway and the attachment must support references ("Security group referencing"). The
            // gateway's setting may be absent from documents, so its absence is unknown; that of an
            // attachment defaults to enabled.
            attached.group_references = match written.security_group_referencing_support {
                Some(true) if attachment.security_group_referencing_support => AccessDecision::Allowed,
                None if attachment.security_group_referencing_support => AccessDecision::Unknown,
                Some(_) | None => AccessDecision::Denied,
            };
            // The duplicate is attached nevertheless, so that routes that refer to it are not reported as
            // dangling.
            if is_second {
                let message = format!("duplicate attachment of VPC `{}` to `{}`", attachment.vpc, written.id);
                self.cx.report.error(Code::DuplicateId, attachment.vpc.mark(), message);
                continue;
            }
            let first = *first.get_or_insert(vpc);
            if self.network.vpcs[first].region != self.network.vpcs[vpc].region {
                let message = format!(
                    "VPC `{}` is in {} and cannot be attached to `{}`, which is in {}",
                    attachment.vpc,
                    self.network.vpcs[vpc].region,
                    written.id,
                    self.network.vpcs[first].region
                );
                let error = self.cx.report.error(Code::InvalidValue, attachment.vpc.mark(), message);
                error.help("a transit gateway and the VPCs attached to it must be in the same region");
                continue;
            }
            if written.dns_support && attachment.dns_support && self.network.vpcs[vpc].dns_hostnames {
                taking_part.push(vpc);
            }
        }
        taking_part.sort_unstable();
        made.dns_members = taking_part.into();
        let made = self.network.transit_gateways.add(made);
        self.ids.transit_gateways.insert(written.id.to_string(), made);
    }

    /// Attachments of sites and of other transit gateways, and the route tables. Runs after sites.
    pub(super) fn transit_gateway_routes(&mut self) {
        for written in &self.cx.config.transit_gateway {
            let Some(index) = self.ids.transit_gateways.get(&written.id.to_string()).copied() else {
                continue;
            };
            for attachment in &written.attachment {
                if self.is_other_end(written, attachment) || self.cx.declare(&attachment.id) {
                    let to = self.attached_to(attachment);
                    let rank = match to {
                        AttachedTo::TransitGateway(_) => TransitRank::Propagated(AttachmentType::Peering),
                        _ => TransitRank::Propagated(attachment.resource_type),
                    };
                    self.network.transit_gateways[index].attach(attachment.id.value().to_shared(), to, rank);
                }
            }
            // Attachments come first: route tables refer to them by ID.
            let tables = match written.route_table.as_slice() {
                [] => vec![self.default_table(index)],
                tables => {
                    let mut made = Vec::with_capacity(tables.len());
                    for (number, table) in tables.iter().enumerate() {
                        self.associate_table(index, number, table);
                        made.push(self.transit_table(index, table));
                    }
                    made
                }
            };
            self.network.transit_gateways[index].route_tables = tables;
        }
        self.gateway_prefixes_of_sites();
    }

    /// The prefixes of gateway endpoints behind the links of each site. Those behind one transit gateway are
    /// collected once.
    fn gateway_prefixes_of_sites(&mut self) {
        let of_vpc = |vpc: Index<Vpc>| {
            let endpoints =
                self.network.vpcs[vpc].endpoints.iter().map(|index| &self.network.endpoints[*index]);
            let working =
                endpoints.filter(|endpoint| endpoint.kind == EndpointKind::Gateway && endpoint.is_available);
            working.flat_map(|endpoint| &endpoint.prefixes).copied()
        };
        let mut of_gateways: HashMap<Index<TransitGateway>, BTreeSet<IpNet>> = HashMap::new();
        let mut all = Vec::with_capacity(self.network.sites.len());
        for site in self.network.sites.iter() {
            let mut own = BTreeSet::new();
            for link in &site.links {
                match link.to {
                    LinkedTo::Vpc(vpc) => own.extend(of_vpc(vpc)),
                    LinkedTo::TransitGateway(index) => {
                        let attachments = &self.network.transit_gateways[index].attachments;
                        let vpcs = attachments.iter().filter_map(|attachment| match attachment.to {
                            AttachedTo::Vpc(vpc, _) => Some(vpc),
                            _ => None,
                        });
                        own.extend(
                            of_gateways
                                .entry(index)
                                .or_insert_with(|| vpcs.flat_map(of_vpc).collect())
                                .iter(),
                        );
                    }
                }
            }
            all.push(own.into_iter().collect());
        }
        for ((_, site), prefixes) in self.network.sites.indexed_mut().zip(all) {
            site.gateway_prefixes = prefixes;
        }
    }

    fn attached_to(&mut self, written: &config::TransitGatewayAttachment) -> AttachedTo {
        match (&written.site, &written.transit_gateway) {
            (Some(site), None) => match self.ids.sites.get(&site.to_string()).copied() {
                Some(site) => AttachedTo::Site(site),
                None => {
                    self.cx.unknown("site", &site.to_string(), site.mark(), || keys(&self.ids.sites));
                    AttachedTo::Unknown
                }
            },
            (None, Some(other)) => match self.ids.transit_gateways.get(&other.to_string()).copied() {
                Some(other) => AttachedTo::TransitGateway(other),
                None => {
                    self.cx.unknown("transit gateway", &other.to_string(), other.mark(), || {
                        keys(&self.ids.transit_gateways)
                    });
                    AttachedTo::Unknown
                }
            },
            (None, None) => AttachedTo::Unknown,
            (Some(site), Some(_)) => {
                let message =
                    format!("attachment `{}` cannot have both `site` and `transit_gateway`", written.id);
                self.cx.report.error(Code::InvalidValue, site.mark(), message);
                AttachedTo::Unknown
            }
        }
    }

    /// Whether an attachment is the other end of a peering attachment whose first end is configured: both
    /// have the same ID.
    fn is_other_end(
        &self,
        gateway: &config::TransitGateway,
        attachment: &config::TransitGatewayAttachment,
    ) -> bool {
        let id = attachment.id.value();
        let Some(beyond) = attachment.transit_gateway.as_ref().map(Marked::value) else { return false };
        let earlier =
            self.cx.config.transit_gateway.iter().take_while(|one| one.id.mark() != gateway.id.mark());
        let mut ends = earlier.filter(|one| one.id.value() == beyond).flat_map(|one| &one.attachment);
        let has_end = ends.any(|end| {
            end.id.value() == id
                && end.transit_gateway.as_ref().is_some_and(|back| back.value() == gateway.id.value())
        });
        // The first one of the gateway itself.
        let own = gateway.attachment.iter().find(|own| own.id.value() == id);
        has_end && own.is_some_and(|own| own.id.mark() == attachment.id.mark())
    }

    /// The implicit table that every attachment is associated with and propagates to.
    fn default_table(&mut self, gateway: Index<TransitGateway>) -> TransitGatewayRouteTable {
        let mut table = TransitGatewayRouteTable::new(None);
        for number in 0..self.network.transit_gateways[gateway].attachments.len() {
            self.network.transit_gateways[gateway].attachments[number].association = Some(0);
            self.propagate(gateway, number, &mut table);
        }
        table
    }

    /// Propagates the prefixes of an attachment. For peering attachments, only static routes are possible
    /// ("Transit gateway peering attachments").
    fn propagate(&self, gateway: Index<TransitGateway>, number: usize, table: &mut TransitGatewayRouteTable) {
        let attachment = &self.network.transit_gateways[gateway].attachments[number];
        let prefixes = match &attachment.to {
            AttachedTo::Vpc(vpc, _) => &self.network.vpcs[*vpc].cidrs,
            AttachedTo::Site(site) => &self.network.sites[*site].cidrs,
            AttachedTo::TransitGateway(_) | AttachedTo::Unknown => return,
        };
        let propagated = prefixes.iter().filter(|cidr| cidr.addr().is_ipv4() || attachment.propagates_ipv6);
        for destination in propagated {
            let (attachment, rank) = (Some(number), attachment.rank);
            table.add(TransitGatewayRoute { destination: *destination, attachment, rank });
        }
    }

    /// Associates attachments with a route table. An attachment has one.
    fn associate_table(
        &mut self,
        gateway: Index<TransitGateway>,
        number: usize,
        written: &config::TransitGatewayRouteTable,
    ) {
        for id in &written.associations {
            let Some(attachment) = self.attachment_named(gateway, id) else { continue };
            let attachment = &mut self.network.transit_gateways[gateway].attachments[attachment];
            if attachment.association.replace(number).is_some() {
                let message = format!("attachment `{id}` is associated with two route tables");
                self.cx.report.error(Code::DuplicateId, id.mark(), message);
            }
        }
    }

    fn transit_table(
        &mut self,
        gateway: Index<TransitGateway>,
        written: &config::TransitGatewayRouteTable,
    ) -> TransitGatewayRouteTable {
        self.cx.declare(&written.id);
        let mut table = TransitGatewayRouteTable::new(Some(written.id.value().to_shared()));
        for id in &written.propagations {
            if let Some(number) = self.attachment_named(gateway, id) {
                self.propagate(gateway, number, &mut table);
            }
        }
        for route in &written.routes {
            let attachment = match (&route.attachment, route.state) {
                (_, RouteState::Blackhole | RouteState::Filtered) => None,
                (Some(id), RouteState::Active) => {
                    let Some(number) = self.attachment_named(gateway, id) else { continue };
                    Some(number)
                }
                (None, RouteState::Active) => {
                    let message = format!("the route to {} has no target", route.destination);
                    let error = self.cx.report.error(Code::MissingKey, route.destination.mark(), message);
                    error.help("write `attachment = \"tgw-attach-…\"`, or `state = \"blackhole\"`");
                    continue;
                }
            };
            let destination = route.destination.value().0;
            let rank = match (route.propagated, attachment) {
                (false, _) => TransitRank::Static,
                (true, Some(number)) => self.network.transit_gateways[gateway].attachments[number].rank,
                (true, None) => TransitRank::Propagated(AttachmentType::Peering),
            };
            table.add(TransitGatewayRoute { destination, attachment, rank });
        }
        table
    }

    /// The index of an attachment of a transit gateway.
    fn attachment_named(
        &mut self,
        gateway: Index<TransitGateway>,
        id: &Marked<crate::aws::TransitGatewayAttachmentId>,
    ) -> Option<usize> {
        let gateway = &self.network.transit_gateways[gateway];
        let found = gateway.attachment_named(id.value().as_str());
        if found.is_none() {
            let known: Vec<&str> = gateway.attachments.iter().map(|attachment| &*attachment.id).collect();
            let help = match known.as_slice() {
                [] => "it has no attachments".to_owned(),
                known => format!("its attachments are: {}", shortened(known)),
            };
            let message = format!("transit gateway `{}` has no attachment `{id}`", gateway.id);
            self.cx.report.error(Code::UnknownReference, id.mark(), message).help(help);
        }
        found
    }

    /// Network interfaces that are configured on their own.
    pub(super) fn network_interfaces(&mut self) {
        for vpc in &self.cx.config.vpc {
            let Some(index) = self.declarations.vpcs.get(&vpc.id.to_string()).copied() else { continue };
            for written in &vpc.network_interface {
                if !self.cx.declare(&written.id) {
                    continue;
                }
                let Some(subnet) = self.subnet_named(&written.subnet, index) else { continue };
                let security_groups = self.groups_named(&written.security_groups);
                let made = self.network.network_interfaces.add(NetworkInterface {
                    id: written.id.value().to_shared(),
                    subnet,
                    is_public: written.public_address.is_some(),
                    security_groups,
                });
                for address in written.address.iter().chain(&written.ipv6_address) {
                    self.check_inside(address, subnet);
                    self.claim_address(index, address, Interface::Network(made));
                }
                let appliance = Appliance {
                    id: written.id.value().to_shared(),
                    subnet,
                    is_public: written.public_address.is_some(),
                    forwards: !written.source_dest_check,
                };
                self.ids.appliances.insert(written.id.to_string(), (index, Arc::new(appliance)));
            }
        }
    }
}
