//! What joins VPCs, as far as names go by it: whose private addresses a VPC's resolver tells.

use super::*;
use crate::config::PeeringSide;

impl Compiler<'_> {
    /// Peering connections and transit gateways.
    pub(super) fn network(&mut self) {
        for written in &self.config.vpc_peering_connection {
            if !self.declare(&written.id) {
                continue;
            }
            let sides = [&written.requester, &written.accepter].map(|side| self.vpc_named(&side.vpc));
            let [Some(requester), Some(accepter)] = sides else { continue };
            if requester == accepter {
                let message = format!("`{}` joins VPC `{}` with itself", written.id, written.accepter.vpc);
                self.report.error(Code::InvalidValue, written.accepter.vpc.mark(), message);
                continue;
            }
            self.check_peered_prefixes(written, requester, accepter);
            self.resolves_across(&written.accepter, accepter, requester);
            self.resolves_across(&written.requester, requester, accepter);
        }
        for written in &self.config.transit_gateway {
            if self.declare(&written.id) {
                self.transit_gateway(written);
            }
        }
        for (_, vpc) in self.vpcs.indexed_mut() {
            vpc.named_peers.sort();
            vpc.named_peers.dedup();
        }
    }

    /// VPCs that share addresses cannot be peered ("VPC peering connection limitations", VPC Peering Guide).
    fn check_peered_prefixes(
        &mut self,
        written: &config::VpcPeeringConnection,
        requester: Index<Vpc>,
        accepter: Index<Vpc>,
    ) {
        let (own, other) = (&self.vpcs[requester].cidrs, &self.vpcs[accepter].cidrs);
        let shared = own.iter().find(|cidr| other.iter().any(|net| crate::net::overlaps(cidr, net)));
        if let Some(shared) = shared {
            let message = format!(
                "`{}` cannot be: VPCs `{}` and `{}` share addresses of {shared}",
                written.id, self.vpcs[requester].id, self.vpcs[accepter].id
            );
            self.report.error(Code::OverlappingCidr, written.id.mark(), message);
        }
    }

    /// `remote` hears private addresses of the VPC at a side that allows it; both have host names
    /// ("Enable DNS resolution for a VPC peering connection", VPC Peering Guide).
    fn resolves_across(&mut self, side: &PeeringSide, vpc: Index<Vpc>, remote: Index<Vpc>) {
        if !side.allow_dns_resolution_from_remote_vpc {
            return;
        }
        for needed in [vpc, remote] {
            if !self.vpcs[needed].dns_hostnames {
                let message = format!(
                    "names of VPC `{}` stay public across this connection: VPC `{}` has no DNS host names",
                    self.vpcs[vpc].id, self.vpcs[needed].id
                );
                let warning = self.report.warning(Code::Surprising, side.vpc.mark(), message);
                warning.help("both VPCs need `enable_dns_support` and `enable_dns_hostnames`");
                return;
            }
        }
        self.vpcs[remote].named_peers.push(vpc);
        self.peered.entry(remote).or_default().insert(vpc);
    }

    /// VPCs that take part hear of each other's private addresses. PHZs are never shared so.
    fn transit_gateway(&mut self, written: &config::TransitGateway) {
        let mut attached = Vec::new();
        for attachment in &written.vpc_attachment {
            if !self.declare(&attachment.id) {
                continue;
            }
            let Some(vpc) = self.vpc_named(&attachment.vpc) else { continue };
            for subnet in &attachment.subnets {
                self.subnet_named(subnet, vpc);
            }
            if attached.iter().any(|(other, _)| *other == vpc) {
                let message = format!("VPC `{}` is attached to `{}` twice", attachment.vpc, written.id);
                self.report.error(Code::DuplicateId, attachment.vpc.mark(), message);
                continue;
            }
            if let Some((first, _)) = attached.first()
                && self.vpcs[*first].region != self.vpcs[vpc].region
            {
                let message = format!(
                    "VPC `{}` of {} cannot be attached to `{}`, which is in {}",
                    attachment.vpc, self.vpcs[vpc].region, written.id, self.vpcs[*first].region
                );
                let error = self.report.error(Code::InvalidValue, attachment.vpc.mark(), message);
                error.help("a transit gateway is one region's, and so are the VPCs attached to it");
                continue;
            }
            attached.push((vpc, attachment.dns_support && self.vpcs[vpc].dns_hostnames));
        }
        if !written.dns_support {
            return;
        }
        let taking_part: Vec<Index<Vpc>> =
            attached.into_iter().filter(|(_, dns_support)| *dns_support).map(|(vpc, _)| vpc).collect();
        for vpc in &taking_part {
            let others = taking_part.iter().filter(|other| *other != vpc);
            self.vpcs[*vpc].named_peers.extend(others);
        }
        self.joined.push(taking_part);
    }
}
