//! Resolver rules.

use super::*;
use crate::config::{Direction, ResolverRule, RuleType};

impl NamesCompiler<'_, '_> {
    /// Resolver rules.
    pub(super) fn resolver_rules(&mut self) {
        for written in &self.cx.config.resolver_rule {
            if self.cx.declare(&written.id) {
                self.resolver_rule(written);
            }
        }
    }

    fn resolver_rule(&mut self, written: &ResolverRule) {
        let Some(domain) = self.rule_domain(written) else { return };
        let is_forward = written.rule_type == RuleType::Forward;
        if is_forward && written.targets.is_empty() {
            let message = format!("FORWARD rule `{}` has no targets", written.id);
            let error = self.cx.report.error(Code::MissingKey, written.id.mark(), message);
            error.help("write `targets = [\"192.0.2.53\"]`");
        }
        if !is_forward && !written.targets.is_empty() {
            let rule_type_name = if written.rule_type == RuleType::System { "SYSTEM" } else { "DELEGATE" };
            let message = format!("{rule_type_name} rule `{}` cannot have targets", written.id);
            self.cx.report.error(Code::InvalidValue, written.id.mark(), message);
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
        self.rule_ids.insert(written.id.to_string(), rule);
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
            self.cx.report.error(Code::InvalidValue, other.mark(), message);
        }
        if wanted.is_none() {
            let message = format!("missing key `{key}` for rule `{}`", written.id);
            let error = self.cx.report.error(Code::MissingKey, written.id.mark(), message);
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
            self.cx.report.error(Code::ConflictingDomain, mark, message);
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
        let error = self.cx.report.error(Code::NotShared, mark, message);
        error.help(format!("write `shared_with = [\"{account}\"]` in the declaration of `{id}`"));
    }

    /// The addresses of a rule's outbound endpoint.
    fn outbound_addresses(&mut self, endpoint: &Marked<crate::aws::ResolverEndpointId>) -> Vec<IpAddr> {
        let id = endpoint.to_string();
        match self.declarations.resolver_endpoint(&id) {
            Some(written) if written.direction == Direction::Outbound => {
                return written.addresses.iter().map(|address| *address.value()).collect();
            }
            Some(_) => {
                let message = format!("the endpoint of a rule must be outbound, but `{endpoint}` is inbound");
                self.cx.report.error(Code::UnknownReference, endpoint.mark(), message);
            }
            None => {
                self.cx.unknown("resolver endpoint", &id, endpoint.mark(), || {
                    keys(&self.declarations.resolver_endpoint_ids)
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
