//! Route 53 Profiles: zones, rules and endpoints shared by many VPCs.

use std::collections::hash_map::Entry;

use super::rules::rule_claim;
use super::*;
use crate::config::ProfileSetting;

/// Maximum number of Profiles of a VPC (Route 53 Developer Guide, "Updating the priority of a Route 53
/// Profile association with a VPC").
const MAX_OF_A_VPC: usize = 2;

/// Valid priorities of an association (the same page).
const PRIORITIES: std::ops::RangeInclusive<u16> = 100..=9900;

/// The claims of a Profile, by name.
type ProfileClaims = Vec<(Name, Claim)>;

/// A Profile being compiled.
#[derive(Default)]
struct ProfileContents {
    /// The IDs in it.
    ids: HashSet<String>,
    /// Its claims.
    brought: ProfileClaims,
    /// The rule and the zone of each name, by the precedence of their kind.
    taken: HashMap<(Name, u8), Claim>,
}

impl NamesCompiler<'_, '_> {
    /// Every Profile, with its claims in each of its VPCs.
    pub(super) fn profiles(&mut self) {
        let mut taken: HashMap<Index<Vpc>, Vec<(u16, Index<Profile>)>> = HashMap::new();
        for written in &self.cx.config.profile {
            if !self.cx.declare(&written.id) {
                continue;
            }
            let profile = self.names.profiles.add(Profile { id: written.id.value().to_shared() });
            let brought = self.claims(written);
            for association in &written.association {
                let Some(vpc) = self.vpc_named(&association.vpc) else { continue };
                let mark = association.vpc.mark();
                self.check_shared(vpc, mark, &written.id, written.owner_id.as_ref(), &written.shared_with);
                let own = taken.entry(vpc).or_default();
                if !self.may_associate(own, association, profile) {
                    continue;
                }
                self.add_profile_claims(
                    vpc,
                    mark,
                    ClaimSource::Profile { priority: association.priority, profile },
                    &brought,
                );
            }
        }
        self.reverse_settings(&taken);
    }

    /// Adds the claims of a Profile to a VPC: zones only with both DNS attributes.
    fn add_profile_claims(
        &mut self,
        vpc: Index<Vpc>,
        mark: Mark,
        origin: ClaimSource,
        brought: &ProfileClaims,
    ) {
        let sees_zones = self.network.vpcs[vpc].dns_hostnames;
        let mut unseen = 0;
        for (name, claim) in brought {
            match claim {
                Claim::HostedZone(_) | Claim::Endpoint(_) if !sees_zones => unseen += 1,
                Claim::Endpoint(zone) => self.see_endpoint(vpc, name, origin, *zone),
                _ => self.claim(vpc, name, origin, *claim),
            }
        }
        if unseen > 0 {
            let zones = if unseen == 1 { "zone" } else { "zones" };
            let message = format!(
                "VPC `{}` does not use {unseen} hosted {zones} of this Profile",
                self.network.vpcs[vpc].id
            );
            let warning = self.cx.report.warning(Code::Surprising, mark, message);
            warning.help("private hosted zones require both `enable_dns_support` and `enable_dns_hostnames`");
        }
    }

    /// Whether an ID occurs in a Profile for the first time.
    fn is_first(&mut self, id: &Marked<impl Display>, contents: &mut ProfileContents) -> bool {
        let is_first = contents.ids.insert(id.to_string());
        if !is_first {
            self.cx.report.error(
                Code::DuplicateId,
                id.mark(),
                format!("duplicate resource `{id}` in this Profile"),
            );
        }
        is_first
    }

    /// Adds a claim to a Profile, which can have one rule and one zone per name, like a VPC. Returns false
    /// after an error.
    fn add_to_profile(
        &mut self,
        id: &Marked<impl Display>,
        name: Name,
        claim: Claim,
        contents: &mut ProfileContents,
    ) -> bool {
        let taken = match contents.taken.entry((name.clone(), claim.precedence())) {
            Entry::Vacant(entry) => {
                entry.insert(claim);
                contents.brought.push((name, claim));
                return true;
            }
            Entry::Occupied(entry) => *entry.get(),
        };
        let taken = match taken {
            Claim::ForwardRule(rule) | Claim::SystemRule(rule) => {
                Some(format!("rule {}", self.names.rules[rule].id))
            }
            zone => self.conflicting_zone(zone),
        };
        let message = format!("this Profile already has {} for {name}", taken.unwrap_or_default());
        let error = self.cx.report.error(Code::ConflictingDomain, id.mark(), message);
        error.help("remove one of them: AWS does not define which of the two applies");
        false
    }

    /// The claims of a Profile.
    fn claims(&mut self, written: &config::Profile) -> ProfileClaims {
        let mut contents = ProfileContents::default();
        for id in &written.resolver_rules {
            if !self.is_first(id, &mut contents) {
                continue;
            }
            let text = id.to_string();
            let Some(rule) = self.rule_ids.get(&text).copied() else {
                self.cx.unknown("resolver rule", &text, id.mark(), || keys(&self.rule_ids));
                continue;
            };
            match rule_claim(self.names.rules[rule].kind, rule) {
                Some(claim) => {
                    self.add_to_profile(id, self.names.rules[rule].domain.clone(), claim, &mut contents);
                }
                None => {
                    let message = format!(
                        "`{id}` is a DELEGATE rule: a Profile can contain only FORWARD and SYSTEM rules"
                    );
                    let error = self.cx.report.error(Code::InvalidValue, id.mark(), message);
                    error.help("associate it with each VPC directly: `vpcs = [\"vpc-…\"]`");
                }
            }
        }
        for id in &written.hosted_zones {
            if !self.is_first(id, &mut contents) {
                continue;
            }
            let text = id.to_string();
            match self.hosted_zone_ids.get(&text).copied() {
                Some(zone) => {
                    let apex = self.names.hosted_zones[zone].zone.apex().clone();
                    self.add_to_profile(id, apex, Claim::HostedZone(zone), &mut contents);
                }
                None => self.cx.unknown("hosted zone", &text, id.mark(), || keys(&self.hosted_zone_ids)),
            }
        }
        for id in &written.vpc_endpoints {
            if !self.is_first(id, &mut contents) {
                continue;
            }
            let text = id.to_string();
            match self.declarations.endpoint_ids.get(&text).copied() {
                Some(endpoint) => self.brought_by_endpoint(id, endpoint, &mut contents),
                None => {
                    self.cx.unknown("endpoint", &text, id.mark(), || keys(&self.declarations.endpoint_ids))
                }
            }
        }
        contents.brought
    }

    fn brought_by_endpoint(
        &mut self,
        id: &Marked<crate::aws::VpcEndpointId>,
        endpoint: Index<Endpoint>,
        contents: &mut ProfileContents,
    ) {
        if self.network.endpoints[endpoint].kind != EndpointKind::Interface {
            let message =
                format!("`{id}` is not an interface endpoint: a Profile can contain no other endpoints");
            self.cx.report.error(Code::InvalidValue, id.mark(), message);
            return;
        }
        let zones = self.names.managed_zones.indexed().filter(|(_, zone)| zone.endpoint == endpoint);
        let zones: Vec<(Name, Claim)> =
            zones.map(|(index, zone)| (zone.zone.apex().clone(), Claim::Endpoint(index))).collect();
        if zones.is_empty() {
            let message = format!("endpoint `{id}` has no private DNS, so it has no effect in this Profile");
            let warning = self.cx.report.warning(Code::Surprising, id.mark(), message);
            warning.help("set `private_dns_enabled = true` for the endpoint");
        }
        for (apex, claim) in zones {
            if !self.add_to_profile(id, apex, claim, contents) {
                return;
            }
        }
    }

    /// Whether a VPC can have this association in addition to its others.
    fn may_associate(
        &mut self,
        own: &mut Vec<(u16, Index<Profile>)>,
        association: &config::ProfileAssociation,
        profile: Index<Profile>,
    ) -> bool {
        let (vpc, priority) = (&association.vpc, association.priority);
        let wrong = if !PRIORITIES.contains(&priority) {
            Some((Code::InvalidValue, format!("invalid priority {priority}: expected 100 to 9900")))
        } else if own.iter().any(|(_, other)| *other == profile) {
            Some((Code::DuplicateId, format!("duplicate association with VPC `{vpc}`")))
        } else if own.len() == MAX_OF_A_VPC {
            Some((Code::InvalidValue, format!("VPC `{vpc}` is associated with more than two Profiles")))
        } else if own.iter().any(|(other, _)| *other == priority) {
            Some((Code::InvalidValue, format!("VPC `{vpc}` has another Profile with priority {priority}")))
        } else {
            None
        };
        let Some((code, message)) = wrong else {
            own.push((priority, profile));
            return true;
        };
        let error = self.cx.report.error(code, vpc.mark(), message);
        error.help("a VPC can have at most two Profiles, with different values of `priority`; the lower value takes precedence");
        false
    }

    /// Adds the claim of another VPC's endpoint to a VPC. If it applies only to inbound queries there, it
    /// does so here.
    fn see_endpoint(&mut self, vpc: Index<Vpc>, apex: &Name, origin: ClaimSource, zone: Index<ManagedZone>) {
        let claim = Claim::Endpoint(zone);
        let endpoint = &self.network.endpoints[self.names.managed_zones[zone].endpoint];
        if endpoint.vpc == vpc {
            return; // The VPC has it already.
        }
        if endpoint.private_dns == PrivateDns::OnlyForInboundResolver {
            let view = self.names.resolvers[vpc].inbound_view;
            self.names.claims.add(apex.clone(), ScopedClaim { view, source: origin, claim });
        } else {
            self.claim(vpc, apex, origin, claim);
        }
    }

    /// The setting of each VPC's Profiles for its reverse zones: that of the first Profile that has one.
    fn reverse_settings(&mut self, taken: &HashMap<Index<Vpc>, Vec<(u16, Index<Profile>)>>) {
        let settings: HashMap<String, ProfileSetting> =
            self.cx.config.profile.iter().map(|it| (it.id.to_string(), it.autodefined_reverse)).collect();
        for (vpc, profiles) in taken {
            let mut profiles = profiles.clone();
            profiles.sort_unstable();
            let setting = |profile: Index<Profile>| match settings.get(&*self.names.profiles[profile].id)? {
                ProfileSetting::Enabled => Some(true),
                ProfileSetting::Disabled => Some(false),
                ProfileSetting::UseLocalResourceSetting => None,
            };
            if let Some(has) = profiles.into_iter().find_map(|(_, profile)| setting(profile)) {
                self.reverse_by_profile.insert(*vpc, has);
            }
        }
    }
}
