//! Who may answer what: private hosted zones, resolver rules, generated names.

use super::records::Written;
use super::routing::Routed;
use super::zone_files::ZoneFile;
use super::*;
use crate::aws::zones;
use crate::config::{Direction, RuleType};
use crate::dns::reverse_zones;

impl Compiler<'_> {
    /// Resolver endpoints: inbound ones are doors to a VPC, outbound ones are what rules leave through.
    pub(super) fn resolver_endpoints(&mut self) {
        for (number, written) in self.config.resolver_endpoint.iter().enumerate() {
            if !self.declare(&written.id) {
                continue;
            }
            let Some(vpc) = self.vpc_named(&written.vpc) else { continue };
            for address in &written.addresses {
                if !self.lies_in_subnet(vpc, *address.value()) {
                    let message = format!("{address} lies in no subnet of VPC `{}`", written.vpc);
                    self.report.error(Code::OutsideCidr, address.mark(), message);
                }
                self.claim_address(vpc, address, Interface::ResolverEndpoint);
            }
            let made = match written.direction {
                Direction::Inbound => {
                    let endpoint = InboundEndpoint { id: written.id.value().text(), vpc };
                    Resolver::Inbound(self.inbound_endpoints.add(endpoint))
                }
                Direction::Outbound => Resolver::Outbound(number),
            };
            let prefix = match written.direction {
                Direction::Inbound => "rslvr-in-",
                Direction::Outbound => "rslvr-out-",
            };
            if !written.id.value().as_str().starts_with(prefix) {
                let message = format!("the id of an endpoint of this direction begins with `{prefix}`");
                self.report.error(Code::InvalidValue, written.id.mark(), message);
            }
            self.ids.resolver_endpoints.insert(written.id.to_string(), made);
        }
    }

    /// Whether an address lies in a subnet of this VPC.
    fn lies_in_subnet(&self, vpc: Index<Vpc>, address: IpAddr) -> bool {
        self.ids.subnets_by_prefix.get(&vpc).is_some_and(|own| own.longest(address).is_some())
    }

    /// Both views of a VPC: what its resolver answers, an inbound endpoint to it answers too.
    fn claim(&mut self, vpc: Index<Vpc>, suffix: &Name, claim: Claim) {
        let (view, inbound) = (self.vpcs[vpc].view, self.vpcs[vpc].inbound_view);
        self.claims.add(view, suffix.clone(), claim);
        self.claims.add(inbound, suffix.clone(), claim);
    }

    /// Private hosted zones, in the VPCs that have both DNS attributes.
    pub(super) fn hosted_zones(&mut self) {
        for batch in self.config.hosted_zone.chunks(zone_files::BATCH) {
            let files = self.zone_files(batch);
            for (written, file) in batch.iter().zip(files) {
                self.hosted_zone(written, file);
            }
        }
    }

    /// One hosted zone, with the file that it names.
    fn hosted_zone(&mut self, written: &config::HostedZone, file: Option<ZoneFile>) {
        if let Some(id) = &written.id
            && !self.declare(id)
        {
            return;
        }
        let apex = written.name.value().clone();
        let mut zone = self.made_by_aws.hosted_zone(apex.clone());
        let mut routed = Routed::default();
        self.records(&mut zone, &written.records, Written::Route53, &mut routed);
        if let (Some(named), Some(file)) = (&written.file, file) {
            self.zone_file(&mut zone, named, file, &mut routed);
        }
        let by_place = self.routed_sets(&mut zone, routed);
        let id = match &written.id {
            Some(id) => id.value().text(),
            None => written.name.to_string().into(),
        };
        let made = self.hosted_zones.add(HostedZone { id, zone });
        self.zone_marks.insert(made, written.name.mark());
        for vpc in &written.vpcs {
            let Some(index) = self.vpc_named(vpc) else { continue };
            self.associate(index, vpc.mark(), &apex, made);
            if by_place {
                self.check_region_place(index, vpc.mark());
            }
        }
    }

    fn associate(&mut self, vpc: Index<Vpc>, mark: Mark, apex: &Name, zone: Index<HostedZone>) {
        let inbound = self.vpcs[vpc].inbound_view;
        let taken = self.claims.at(inbound, apex).find_map(|claim| match claim {
            Claim::HostedZone(other) => Some(format!("hosted zone {}", self.hosted_zones[other].id)),
            Claim::Endpoint(other) => {
                let endpoint = self.managed_zones[other].endpoint;
                Some(format!("the private DNS of endpoint {}", self.endpoints[endpoint].id))
            }
            _ => None,
        });
        if let Some(taken) = taken {
            let message = format!(
                "The VPC {} has already been associated with {taken} with the same domain name.",
                self.vpcs[vpc].id
            );
            self.report.error(Code::ConflictingDomain, mark, message);
            return;
        }
        if self.vpcs[vpc].dns_hostnames {
            self.claim(vpc, apex, Claim::HostedZone(zone));
        } else {
            let message = format!("VPC `{}` will not see this zone", self.vpcs[vpc].id);
            let warning = self.report.warning(Code::Surprising, mark, message);
            warning.help("private hosted zones need both `enable_dns_support` and `enable_dns_hostnames`");
        }
    }

    /// Resolver rules.
    pub(super) fn resolver_rules(&mut self) {
        for written in &self.config.resolver_rule {
            if !self.declare(&written.id) {
                continue;
            }
            let is_forward = written.rule_type == RuleType::Forward;
            if is_forward && written.targets.is_empty() {
                let message = format!("FORWARD rule `{}` has no targets", written.id);
                let error = self.report.error(Code::MissingKey, written.id.mark(), message);
                error.help("write `targets = [\"192.0.2.53\"]`");
            }
            if !is_forward && !written.targets.is_empty() {
                let message = format!("SYSTEM rule `{}` sends nowhere, so it has no targets", written.id);
                self.report.error(Code::InvalidValue, written.id.mark(), message);
            }
            let sources = match &written.endpoint {
                Some(endpoint) => self.outbound_addresses(endpoint),
                None => Vec::new(),
            };
            let upstream = is_forward.then(|| self.rule_upstream(written, sources)).flatten();
            let kind = if is_forward { RuleKind::Forward } else { RuleKind::System };
            let rule = self.rules.add(Rule {
                id: written.id.value().text(),
                kind,
                domain: written.domain.value().clone(),
                upstream,
            });
            for vpc in &written.vpcs {
                let Some(index) = self.vpc_named(vpc) else { continue };
                let claim = if is_forward { Claim::ForwardRule(rule) } else { Claim::SystemRule(rule) };
                let is_rule = |claim: &Claim| matches!(claim, Claim::ForwardRule(_) | Claim::SystemRule(_));
                if self.claims.at(self.vpcs[index].inbound_view, written.domain.value()).any(|c| is_rule(&c))
                {
                    let message = format!("VPC `{vpc}` has another rule for {}", written.domain);
                    self.report.error(Code::ConflictingDomain, vpc.mark(), message);
                    continue;
                }
                self.claim(index, written.domain.value(), claim);
            }
        }
    }

    /// The addresses of the outbound endpoint that a rule names.
    fn outbound_addresses(&mut self, endpoint: &Marked<crate::aws::ResolverEndpointId>) -> Vec<IpAddr> {
        match self.ids.resolver_endpoints.get(&endpoint.to_string()) {
            Some(Resolver::Outbound(number)) => {
                let addresses = &self.config.resolver_endpoint[*number].addresses;
                return addresses.iter().map(|address| *address.value()).collect();
            }
            Some(Resolver::Inbound(_)) => {
                let message =
                    format!("rules leave through an outbound endpoint, and `{endpoint}` is inbound");
                self.report.error(Code::UnknownReference, endpoint.mark(), message);
            }
            None => {
                let id = endpoint.to_string();
                self.unknown("resolver endpoint", &id, endpoint.mark(), |this| {
                    keys(&this.ids.resolver_endpoints)
                });
            }
        }
        Vec::new()
    }

    /// The names that AWS generates in a VPC with host names: its region's internal domain, and the
    /// reverse zones of private addresses and of its own prefixes.
    pub(super) fn generated_names(&mut self) {
        let mut made: HashMap<(Name, Name), Index<InternalDomain>> = HashMap::new();
        let private = private_reverse_zones();
        let with_names: Vec<Index<Vpc>> =
            self.vpcs.indexed().filter(|(_, vpc)| vpc.dns_hostnames).map(|(index, _)| index).collect();
        for index in with_names {
            let internal_domain = fact_name(&self.vpcs[index].region.internal_domain());
            let mut zones = private.clone();
            // IPv6 addresses are public, and so are their reverse names.
            let v4 = self.vpcs[index].cidrs.iter().filter(|cidr| cidr.addr().is_ipv4());
            zones.extend(v4.flat_map(|cidr| reverse_zones(octet_aligned(*cidr))));
            zones.sort();
            zones.dedup();
            let forward = std::iter::once((internal_domain.clone(), true));
            for (apex, is_forward) in forward.chain(zones.into_iter().map(|zone| (zone, false))) {
                let key = (apex.clone(), internal_domain.clone());
                let domain = *made.entry(key).or_insert_with(|| {
                    let zone = records::internal_zone(apex.clone());
                    self.internal_domains
                        .add(InternalDomain { zone, internal_domain: internal_domain.clone() })
                });
                let claim = if is_forward { Claim::GeneratedName(domain) } else { Claim::Reverse(domain) };
                self.claim(index, &apex, claim);
            }
        }
    }
}

fn private_reverse_zones() -> Vec<Name> {
    let fixed = zones::PRIVATE_REVERSE_ZONES.iter().map(|zone| fact_name(zone));
    let b = zones::PRIVATE_172_OCTETS.map(|octet| fact_name(&format!("{octet}.172.in-addr.arpa")));
    fixed.chain(b).collect()
}

/// The prefix that is covered by reverse zones on octets: nothing longer than a /24.
fn octet_aligned(cidr: IpNet) -> IpNet {
    match cidr {
        IpNet::V4(net) if net.prefix_len() > 24 => {
            ipnet::Ipv4Net::new(net.network(), 24).map_or(cidr, |wide| IpNet::V4(wide.trunc()))
        }
        _ => cidr,
    }
}
