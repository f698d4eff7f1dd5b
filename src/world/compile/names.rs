//! Claims of private hosted zones and resolver rules.

use super::records::RecordEntry;
use super::routing::RoutedSetBuilder;
use super::zone_files::ZoneFile;
use super::*;
use crate::config::{Direction, ResolverRule, RuleType};

impl Compiler<'_> {
    /// Resolver endpoints: inbound ones give access to a VPC's resolver, outbound ones are the source of
    /// forwarded queries.
    pub(super) fn resolver_endpoints(&mut self) {
        for (number, written) in self.config.resolver_endpoint.iter().enumerate() {
            if !self.declare(&written.id) {
                continue;
            }
            let Some(vpc) = self.vpc_named(&written.vpc) else { continue };
            for address in &written.addresses {
                if !self.lies_in_subnet(vpc, *address.value()) {
                    let message = format!("{address} is not in a subnet of VPC `{}`", written.vpc);
                    self.report.error(Code::OutsideCidr, address.mark(), message);
                }
                self.claim_address(vpc, address, Interface::ResolverEndpoint);
            }
            let made = match written.direction {
                Direction::Inbound | Direction::InboundDelegation => {
                    let view = self.inbound_view(vpc, written.dns64_enabled);
                    let endpoint = InboundEndpoint { id: written.id.value().to_shared(), vpc, view };
                    Resolver::Inbound(self.names.inbound_endpoints.add(endpoint))
                }
                Direction::Outbound => {
                    if written.dns64_enabled {
                        let message = "`dns64_enabled` requires an inbound endpoint";
                        self.report.error(Code::InvalidValue, written.id.mark(), message);
                    }
                    Resolver::Outbound(number)
                }
            };
            let prefix = match written.direction {
                Direction::Inbound | Direction::InboundDelegation => "rslvr-in-",
                Direction::Outbound => "rslvr-out-",
            };
            if !written.id.value().as_str().starts_with(prefix) {
                let message = format!("the ID of an endpoint with this direction must begin with `{prefix}`");
                self.report.error(Code::InvalidValue, written.id.mark(), message);
            }
            self.ids.resolver_endpoints.insert(written.id.to_string(), made);
        }
    }

    /// The view of an inbound endpoint: that of the VPC, or a separate one with DNS64.
    fn inbound_view(&mut self, vpc: Index<Vpc>, dns64: bool) -> ViewId {
        let plain = self.names.resolvers[vpc].inbound_view;
        if !dns64 {
            return plain;
        }
        let made = self.names.views.indexed().find(|(_, view)| view.dns64 && view.claims == plain);
        match made {
            Some((index, _)) => index,
            None => {
                let name = format!("{}/inbound/dns64", self.network.vpcs[vpc].id);
                self.add_view(ViewKind::Inbound(vpc), name.into(), Some(plain))
            }
        }
    }

    /// Whether an address is in a subnet of this VPC.
    fn lies_in_subnet(&self, vpc: Index<Vpc>, address: IpAddr) -> bool {
        self.ids.subnets_by_prefix.get(&vpc).is_some_and(|own| own.longest_match(address).is_some())
    }

    /// Adds a claim to both views of a VPC: what its resolver answers, an inbound endpoint to it answers too.
    pub(super) fn claim(&mut self, vpc: Index<Vpc>, suffix: &Name, origin: ClaimSource, claim: Claim) {
        for view in [self.names.resolvers[vpc].view, self.names.resolvers[vpc].inbound_view] {
            self.names.claims.add(suffix.clone(), ScopedClaim { view, source: origin, claim });
        }
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

    /// Compiles one hosted zone with its file.
    fn hosted_zone(&mut self, written: &config::HostedZone, file: Option<ZoneFile>) {
        if let Some(id) = &written.id
            && !self.declare(id)
        {
            return;
        }
        let apex = written.name.value().clone();
        if apex.is_wildcard() {
            let message = format!("invalid zone name `{apex}`: it begins with `*`");
            let error = self.report.error(Code::InvalidValue, written.name.mark(), message);
            error.help("declare the zone for the parent name, with a record named `*`");
        }
        let mut zone = self.created_by_aws.hosted_zone(apex.clone());
        let mut routed = RoutedSetBuilder::default();
        self.records(&mut zone, &written.records, RecordEntry::Route53, &mut routed);
        if let (Some(named), Some(file)) = (&written.file, file) {
            self.zone_file(&mut zone, named, file, &mut routed);
        }
        let by_place = self.routed_sets(&mut zone, routed);
        let id = match &written.id {
            Some(id) => id.value().to_shared(),
            None => written.name.to_string().into(),
        };
        let made = self.names.hosted_zones.add(HostedZone { id, zone });
        if let Some(id) = &written.id {
            self.ids.hosted_zones.insert(id.to_string(), made);
        }
        self.zone_marks.insert(made, written.name.mark());
        for vpc in &written.vpcs {
            let Some(index) = self.vpc_named(vpc) else { continue };
            self.associate(index, vpc.mark(), &apex, made);
            if by_place {
                self.check_vpc_location(index, vpc.mark());
            }
        }
    }

    /// Associates a VPC with a zone, if it has both DNS attributes.
    fn associate(&mut self, vpc: Index<Vpc>, mark: Mark, apex: &Name, zone: Index<HostedZone>) {
        let inbound = self.names.resolvers[vpc].inbound_view;
        let taken =
            self.names.claims.at(inbound, apex).find_map(|scoped| self.conflicting_zone(scoped.claim));
        if let Some(taken) = taken {
            let message = format!(
                "The VPC {} has already been associated with {taken} with the same domain name.",
                self.network.vpcs[vpc].id
            );
            self.report.error(Code::ConflictingDomain, mark, message);
            return;
        }
        if self.network.vpcs[vpc].dns_hostnames {
            self.claim(vpc, apex, ClaimSource::Local, Claim::HostedZone(zone));
        } else {
            let message = format!("VPC `{}` does not use this zone", self.network.vpcs[vpc].id);
            let warning = self.report.warning(Code::Surprising, mark, message);
            warning.help("private hosted zones require both `enable_dns_support` and `enable_dns_hostnames`");
        }
    }

    /// Describes the zone that already has a name.
    pub(super) fn conflicting_zone(&self, claim: Claim) -> Option<String> {
        match claim {
            Claim::HostedZone(other) => Some(format!("hosted zone {}", self.names.hosted_zones[other].id)),
            Claim::Endpoint(other) => {
                let endpoint = self.names.managed_zones[other].endpoint;
                Some(format!("the private DNS of endpoint {}", self.network.endpoints[endpoint].id))
            }
            _ => None,
        }
    }

    /// Resolver rules.
    pub(super) fn resolver_rules(&mut self) {
        for written in &self.config.resolver_rule {
            if self.declare(&written.id) {
                self.resolver_rule(written);
            }
        }
    }

    fn resolver_rule(&mut self, written: &ResolverRule) {
        let Some(domain) = self.rule_domain(written) else { return };
        let is_forward = written.rule_type == RuleType::Forward;
        if is_forward && written.targets.is_empty() {
            let message = format!("FORWARD rule `{}` has no targets", written.id);
            let error = self.report.error(Code::MissingKey, written.id.mark(), message);
            error.help("write `targets = [\"192.0.2.53\"]`");
        }
        if !is_forward && !written.targets.is_empty() {
            let rule_type_name = if written.rule_type == RuleType::System { "SYSTEM" } else { "DELEGATE" };
            let message = format!("{rule_type_name} rule `{}` cannot have targets", written.id);
            self.report.error(Code::InvalidValue, written.id.mark(), message);
        }
        let sources = match &written.endpoint {
            Some(endpoint) => self.outbound_addresses(endpoint),
            None => Vec::new(),
        };
        let upstream = is_forward.then(|| self.rule_upstream(written, sources.clone())).flatten();
        let rule = self.names.rules.add(Rule {
            id: written.id.value().to_shared(),
            kind: match written.rule_type {
                RuleType::Forward => RuleKind::Forward,
                RuleType::System => RuleKind::System,
                RuleType::Delegate => RuleKind::Delegate,
            },
            domain: domain.value().clone(),
            upstream,
            sources: if written.source == config::RuleSource::Any { Arc::from([]) } else { sources.into() },
            order: upstream::order(written.order),
        });
        self.ids.rules.insert(written.id.to_string(), rule);
        for vpc in &written.vpcs {
            let Some(index) = self.vpc_named(vpc) else { continue };
            self.check_shared(
                index,
                vpc.mark(),
                &written.id,
                written.owner_id.as_ref(),
                &written.shared_with,
            );
            self.associate_rule(index, vpc.mark(), rule);
        }
    }

    /// The domain of a rule, by its type. `None` after an error.
    fn rule_domain<'r>(&mut self, written: &'r ResolverRule) -> Option<&'r Marked<Name>> {
        let is_delegate = written.rule_type == RuleType::Delegate;
        let (wanted, other, key, other_key) = if is_delegate {
            (&written.delegation_record, &written.domain, "delegation_record", "domain")
        } else {
            (&written.domain, &written.delegation_record, "domain", "delegation_record")
        };
        if let Some(other) = other {
            let message = format!("a rule of this type requires `{key}`, not `{other_key}`");
            self.report.error(Code::InvalidValue, other.mark(), message);
        }
        if wanted.is_none() {
            let message = format!("missing key `{key}` for rule `{}`", written.id);
            let error = self.report.error(Code::MissingKey, written.id.mark(), message);
            error.help(format!("write `{key} = \"corp.example\"`"));
        }
        wanted.as_ref()
    }

    /// Associates a VPC with a rule. A VPC can have one rule of each type per name.
    fn associate_rule(&mut self, vpc: Index<Vpc>, mark: Mark, rule: Index<Rule>) {
        let Rule { kind, domain, .. } = &self.names.rules[rule];
        let (kind, domain) = (*kind, domain.clone());
        let taken = match kind {
            RuleKind::Delegate => {
                self.names.resolvers[vpc].delegations.insert(domain.clone(), rule).is_some()
            }
            RuleKind::Forward | RuleKind::System => {
                let is_rule = |scoped: ScopedClaim| {
                    matches!(scoped.claim, Claim::ForwardRule(_) | Claim::SystemRule(_))
                };
                self.names.claims.at(self.names.resolvers[vpc].inbound_view, &domain).any(is_rule)
            }
        };
        if taken {
            let message = format!("VPC `{}` has two rules for {domain}", self.network.vpcs[vpc].id);
            self.report.error(Code::ConflictingDomain, mark, message);
        } else if let Some(claim) = rule_claim(kind, rule) {
            self.claim(vpc, &domain, ClaimSource::Local, claim);
        }
    }

    /// Reports an object of another account that is not shared with a VPC's account.
    pub(super) fn check_shared<T: Display>(
        &mut self,
        vpc: Index<Vpc>,
        mark: Mark,
        id: &Marked<T>,
        owner: Option<&Marked<String>>,
        shared_with: &[String],
    ) {
        let (Some(owner), Some(account)) = (owner, self.network.vpcs[vpc].account.clone()) else { return };
        if *owner.value() == *account || shared_with.iter().any(|other| **other == *account) {
            return;
        }
        let message = format!(
            "`{id}` belongs to account {owner} and is not shared with account {account}, the owner of VPC `{}`",
            self.network.vpcs[vpc].id
        );
        let error = self.report.error(Code::NotShared, mark, message);
        error.help(format!("write `shared_with = [\"{account}\"]` in the declaration of `{id}`"));
    }

    /// The addresses of a rule's outbound endpoint.
    fn outbound_addresses(&mut self, endpoint: &Marked<crate::aws::ResolverEndpointId>) -> Vec<IpAddr> {
        match self.ids.resolver_endpoints.get(&endpoint.to_string()) {
            Some(Resolver::Outbound(number)) => {
                let addresses = &self.config.resolver_endpoint[*number].addresses;
                return addresses.iter().map(|address| *address.value()).collect();
            }
            Some(Resolver::Inbound(_)) => {
                let message = format!("the endpoint of a rule must be outbound, but `{endpoint}` is inbound");
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
}

/// The claim of a rule; a DELEGATE rule has none.
pub(super) fn rule_claim(kind: RuleKind, rule: Index<Rule>) -> Option<Claim> {
    match kind {
        RuleKind::Forward => Some(Claim::ForwardRule(rule)),
        RuleKind::System => Some(Claim::SystemRule(rule)),
        RuleKind::Delegate => None,
    }
}
