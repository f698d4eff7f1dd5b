//! What joins VPCs and what they resolve by: peering connections, resolver endpoints and rules, Profiles.

use std::collections::BTreeSet;

use super::ConfigWriter;
use super::interfaces::peering_side;
use crate::import::objects::network::VpcPeeringConnection;
use crate::import::objects::resolver::{
    ResolverEndpoint, ResolverRule, ResolverRuleAssociation, TargetAddress,
};
use crate::import::objects::route53::{Profile, ProfileAssociation, ProfileResourceAssociation};
use crate::import::objects::{Object, is_state, name_tag};

/// The port of DNS.
const DNS_PORT: u16 = 53;

impl ConfigWriter<'_> {
    /// Peering connections between VPCs of which both are known.
    pub(super) fn peerings(&mut self) {
        let inventory = self.inventory;
        let mut heading = Some("peering connections");
        for peering in &inventory.peerings {
            let id = peering.vpc_peering_connection_id.as_str();
            if !is_state(peering.status.code.as_deref().or(Some("active")), &["active"]) {
                self.ledger.mark_skipped(VpcPeeringConnection::KIND, id, "it is not active");
                continue;
            }
            let (requester, accepter) = (&peering.requester_vpc_info, &peering.accepter_vpc_info);
            let strangers: Vec<&str> = [requester, accepter]
                .into_iter()
                .map(|side| side.vpc_id.as_str())
                .filter(|vpc| !self.has_vpc(vpc))
                .collect();
            if !strangers.is_empty() {
                strangers.iter().for_each(|vpc| self.note_missing_vpc(vpc, id));
                self.ledger.mark_skipped(VpcPeeringConnection::KIND, id, "no document holds the VPC at one side");
                continue;
            }
            if let Some(heading) = heading.take() {
                self.toml.heading(heading);
            }
            self.toml.table("vpc_peering_connection", name_tag(&peering.tags));
            self.toml.string("id", id);
            for (key, side) in [("requester", requester), ("accepter", accepter)] {
                let allows = side.peering_options.allow_dns_resolution_from_remote_vpc;
                self.toml.value(key, peering_side(&side.vpc_id, allows));
            }
            self.ledger.mark_converted(VpcPeeringConnection::KIND, id);
        }
    }

    /// Resolver endpoints.
    pub(super) fn resolver_endpoints(&mut self) {
        let inventory = self.inventory;
        let mut heading = Some("resolver endpoints and rules");
        for endpoint in &inventory.resolver_endpoints {
            let id = endpoint.id.as_str();
            if !matches!(endpoint.direction.as_str(), "INBOUND" | "OUTBOUND" | "INBOUND_DELEGATION") {
                let why = format!("the direction {} is not modelled", endpoint.direction);
                self.ledger.mark_unsupported(ResolverEndpoint::KIND, id, why);
                continue;
            }
            if !self.has_vpc(&endpoint.host_vpc_id) {
                self.note_missing_vpc(&endpoint.host_vpc_id, id);
                self.ledger.mark_skipped(ResolverEndpoint::KIND, id, "no document holds its VPC");
                continue;
            }
            if let Some(heading) = heading.take() {
                self.toml.heading(heading);
            }
            self.toml.table("resolver_endpoint", endpoint.name.as_deref());
            self.toml.string("id", id);
            self.toml.string("direction", &endpoint.direction);
            self.toml.string("vpc", &endpoint.host_vpc_id);
            let mut addresses: Vec<String> = Vec::new();
            for one in inventory.resolver_addresses.get(id).into_iter().flatten() {
                match one.ip.clone().or_else(|| one.ipv6.clone()).filter(|one| !one.is_empty()) {
                    Some(address) if !addresses.contains(&address) => {
                        addresses.push(address);
                        self.ledger.mark_item_converted("IpAddresses", one.spot);
                    }
                    Some(_) => {
                        let why = "it stands in another document too";
                        self.ledger.mark_item_skipped("IpAddresses", one.spot, why);
                    }
                    None => self.ledger.mark_item_skipped("IpAddresses", one.spot, "it says no address"),
                }
            }
            if addresses.is_empty() {
                addresses = self.described_addresses(id);
            }
            if addresses.is_empty() {
                let call = "aws route53resolver list-resolver-endpoint-ip-addresses --resolver-endpoint-id";
                let call = self.with_region(&endpoint.host_vpc_id, &format!("{call} {id}"));
                self.ledger.note_missing(format!("the addresses of resolver endpoint {id}"), call);
            }
            self.toml.strings("addresses", addresses);
            if endpoint.dns64_enabled == Some(true) {
                self.toml.value("dns64_enabled", true);
            }
            self.ledger.mark_converted(ResolverEndpoint::KIND, id);
        }
    }

    /// Resolver rules with their associations.
    pub(super) fn resolver_rules(&mut self) {
        let inventory = self.inventory;
        for rule in &inventory.resolver_rules {
            let id = rule.id.as_str();
            if !id.starts_with("rslvr-rr-") {
                self.ledger.mark_skipped(ResolverRule::KIND, id, "AWS defines it by itself, and so does plustwo");
            } else if !matches!(rule.rule_type.as_str(), "FORWARD" | "SYSTEM" | "DELEGATE") {
                let why = format!("rules of type {} are not modelled", rule.rule_type);
                self.ledger.mark_unsupported(ResolverRule::KIND, id, why);
            } else {
                self.resolver_rule(rule);
            }
        }
        for association in &inventory.rule_associations {
            let id = association.resolver_rule_id.as_str();
            if !id.starts_with("rslvr-rr-") {
                let why = "AWS defines its rule by itself";
                self.ledger.mark_skipped(ResolverRuleAssociation::KIND, &association.id, why);
            } else if !inventory.resolver_rules.iter().any(|rule| rule.id == id) {
                let call = format!("aws route53resolver get-resolver-rule --resolver-rule-id {id}");
                let call = self.with_region(&association.vpc_id, &call);
                let what = format!("resolver rule {id}, which VPC {} is associated with", association.vpc_id);
                self.ledger.note_missing(what, call);
            }
        }
        if !inventory.resolver_rules.is_empty() && !self.has_document(ResolverRuleAssociation::KIND) {
            let call = "aws route53resolver list-resolver-rule-associations";
            self.ledger.note_missing("the VPCs that resolver rules are associated with", call);
        }
    }

    fn resolver_rule(&mut self, rule: &ResolverRule) {
        let id = rule.id.as_str();
        let vpcs = self.rule_vpcs(id);
        self.toml.table("resolver_rule", rule.name.as_deref());
        self.toml.string("id", id);
        self.toml.string("type", &rule.rule_type);
        let domain = rule.domain_name.as_deref().map(undotted);
        self.toml.optional_string("domain", domain.filter(|_| rule.rule_type != "DELEGATE"));
        self.toml.optional_string("delegation_record", rule.delegation_record.as_deref().map(undotted));
        let targets: Vec<String> = rule.target_ips.iter().filter_map(target).collect();
        self.toml.non_empty_strings("targets", targets);
        let endpoint = rule.resolver_endpoint_id.as_deref();
        let known = endpoint.filter(|id| {
            let mut all = self.inventory.resolver_endpoints.iter();
            all.any(|one| one.id == *id && self.has_vpc(&one.host_vpc_id))
        });
        self.toml.optional_string("endpoint", known);
        if let Some(endpoint) = endpoint.filter(|_| known.is_none()) {
            let call = format!("aws route53resolver get-resolver-endpoint --resolver-endpoint-id {endpoint}");
            let what = format!("resolver endpoint {endpoint}: rule {id} is taken to leave from any address");
            self.ledger.note_missing(what, call);
        }
        let accounts = self.strange_accounts(rule.owner_id.as_deref(), &vpcs);
        self.toml.optional_string("owner_id", rule.owner_id.as_deref().filter(|_| !accounts.is_empty()));
        self.toml.non_empty_strings("shared_with", accounts);
        self.toml.strings("vpcs", vpcs);
        self.ledger.mark_converted(ResolverRule::KIND, id);
    }

    /// The VPCs that a rule is associated with.
    fn rule_vpcs(&mut self, rule: &str) -> Vec<String> {
        let inventory = self.inventory;
        let mut vpcs = Vec::new();
        for association in inventory.rule_associations.iter().filter(|one| one.resolver_rule_id == rule) {
            let (kind, id) = (ResolverRuleAssociation::KIND, &association.id);
            if !is_state(
                association.status.as_deref().or(Some("COMPLETE")),
                &["COMPLETE", "CREATING", "OVERRIDDEN"],
            ) {
                self.ledger.mark_skipped(kind, id, "it does not hold");
            } else if self.has_vpc(&association.vpc_id) {
                vpcs.push(association.vpc_id.clone());
                self.ledger.mark_converted(kind, id);
            } else {
                self.note_missing_vpc(&association.vpc_id, rule);
                self.ledger.mark_skipped(kind, id, "no document holds its VPC");
            }
        }
        vpcs
    }

    /// The accounts of VPCs that are not the owner's. Something of another account that they have was shared with
    /// them.
    fn strange_accounts(&self, owner: Option<&str>, vpcs: &[String]) -> BTreeSet<String> {
        let Some(owner) = owner.filter(|owner| super::super::folder::is_account(owner)) else {
            return BTreeSet::new();
        };
        let accounts = vpcs.iter().filter_map(|vpc| self.vpc_regions.get(vpc)?.account.clone());
        accounts.filter(|account| account != owner).collect()
    }

    /// Profiles with what is in them and who has them.
    pub(super) fn profiles(&mut self) {
        let inventory = self.inventory;
        let mut heading = Some("Profiles");
        for profile in &inventory.profiles {
            if let Some(heading) = heading.take() {
                self.toml.heading(heading);
            }
            self.profile(profile);
        }
        for association in &inventory.profile_associations {
            let id = association.profile_id.as_str();
            if !inventory.profiles.iter().any(|profile| profile.id == id) {
                let call = format!("aws route53profiles get-profile --profile-id {id}");
                self.ledger.note_missing(
                    format!("Profile {id}, which {} is associated with", association.resource_id),
                    call,
                );
            }
        }
        if !inventory.profiles.is_empty() {
            for (kind, what, call) in [
                (
                    ProfileAssociation::KIND,
                    "the VPCs that Profiles are associated with",
                    "list-profile-associations",
                ),
                (
                    ProfileResourceAssociation::KIND,
                    "what is in Profiles",
                    "list-profile-resource-associations --profile-id …",
                ),
            ] {
                if !self.has_document(kind) {
                    self.ledger.note_missing(what, format!("aws route53profiles {call}"));
                }
            }
        }
    }

    fn profile(&mut self, profile: &Profile) {
        let inventory = self.inventory;
        let id = profile.id.as_str();
        let own = inventory.profile_associations.iter().filter(|one| one.profile_id == id);
        let mut vpcs = Vec::new();
        let mut priorities = Vec::new();
        for association in own {
            if is_state(association.status.as_deref(), &["DELETED", "DELETING", "FAILED"]) {
                self.ledger.mark_skipped(ProfileAssociation::KIND, &association.id, "it does not hold");
            } else if self.has_vpc(&association.resource_id) {
                vpcs.push(association.resource_id.clone());
                priorities.push(association.priority);
                self.ledger.mark_converted(ProfileAssociation::KIND, &association.id);
            } else {
                self.note_missing_vpc(&association.resource_id, id);
                self.ledger.mark_skipped(ProfileAssociation::KIND, &association.id, "no document holds its VPC");
            }
        }
        let accounts = self.strange_accounts(profile.owner_id.as_deref(), &vpcs);
        self.toml.table("profile", profile.name.as_deref());
        self.toml.string("id", id);
        self.toml.optional_string("owner_id", profile.owner_id.as_deref().filter(|_| !accounts.is_empty()));
        self.toml.non_empty_strings("shared_with", accounts);
        for (key, mark) in [
            ("hosted_zones", "hostedzone/"),
            ("resolver_rules", "resolver-rule/"),
            ("vpc_endpoints", "vpc-endpoint/"),
        ] {
            let resources = self.resources_of(id, key, mark);
            self.toml.non_empty_strings(key, resources);
        }
        for (vpc, priority) in vpcs.iter().zip(priorities) {
            self.toml.table("profile.association", None);
            self.toml.string("vpc", vpc);
            if let Some(priority) = priority {
                self.toml.value("priority", priority);
            }
        }
        self.ledger.mark_converted(Profile::KIND, id);
    }

    /// The resources of a kind in a Profile.
    fn resources_of(&mut self, profile: &str, key: &str, mark: &str) -> Vec<String> {
        let inventory = self.inventory;
        let mut ids = Vec::new();
        for resource in inventory.profile_resources.iter().filter(|one| one.profile_id == profile) {
            let kind = ProfileResourceAssociation::KIND;
            let Some((_, id)) = resource.resource_arn.split_once(mark) else {
                if resource.resource_arn.contains("firewall") {
                    self.ledger.mark_skipped(kind, &resource.id, "DNS Firewall is read and not used yet");
                }
                continue;
            };
            let (is_known, call) = match key {
                "hosted_zones" => {
                    let is_known = inventory.hosted_zones.iter().any(|zone| zone.id() == id);
                    (is_known, format!("aws route53 get-hosted-zone --id {id}"))
                }
                "resolver_rules" => {
                    let is_known = inventory.resolver_rules.iter().any(|rule| rule.id == id);
                    (is_known, format!("aws route53resolver get-resolver-rule --resolver-rule-id {id}"))
                }
                _ => {
                    let is_known = inventory.endpoints.iter().any(|one| one.vpc_endpoint_id == id);
                    (is_known, format!("aws ec2 describe-vpc-endpoints --vpc-endpoint-ids {id}"))
                }
            };
            if is_known {
                ids.push(id.to_owned());
                self.ledger.mark_converted(kind, &resource.id);
            } else {
                self.ledger.note_missing(format!("{id}, which is in Profile {profile}"), call);
                self.ledger.mark_skipped(kind, &resource.id, "no document holds what it leads to");
            }
        }
        ids
    }
}

/// A name server as the configuration writes it.
fn target(target: &TargetAddress) -> Option<String> {
    let ip = target.ip.as_deref().or(target.ipv6.as_deref()).filter(|ip| !ip.is_empty())?;
    let (host, default_port) = match target.protocol.as_deref() {
        Some("DoH") => (if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() }, 443),
        _ => (ip.to_owned(), DNS_PORT),
    };
    // AWS tells the port of DNS over HTTPS as 443.
    let port = target.port.filter(|port| *port != default_port);
    let place = match port {
        Some(port) if ip.contains(':') => format!("[{ip}]:{port}"),
        Some(port) => format!("{ip}:{port}"),
        None => host,
    };
    Some(match target.protocol.as_deref() {
        Some("DoH") => format!("https://{place}#{}", target.server_name_indication.as_deref().unwrap_or(ip)),
        _ => place,
    })
}

/// A name without its final dot; the root stays.
fn undotted(name: &str) -> &str {
    name.strip_suffix('.').filter(|name| !name.is_empty()).unwrap_or(name)
}
