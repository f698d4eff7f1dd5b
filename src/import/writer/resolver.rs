//! Peering connections, resolver endpoints and rules, and Profiles.

use std::collections::BTreeSet;

use super::ConfigWriter;
use super::interfaces::peering_side;
use crate::import::objects::network::VpcPeeringConnection;
use crate::import::objects::resolver::{
    ResolverEndpoint, ResolverRule, ResolverRuleAssociation, TargetAddress,
};
use crate::import::objects::route53::{Profile, ProfileAssociation, ProfileResourceAssociation};
use crate::import::objects::{Object, is_state, name_tag};

/// The default port of DNS.
const DNS_PORT: u16 = 53;

impl ConfigWriter<'_> {
    /// Writes the peering connections between VPCs of the inventory.
    pub(super) fn write_peerings(&mut self) {
        let inventory = self.inventory;
        let mut heading = Some("peering connections");
        for peering in &inventory.peerings {
            let id = peering.vpc_peering_connection_id.as_str();
            if !is_state(peering.status.code.as_deref().or(Some("active")), &["active"]) {
                self.ledger.mark_skipped(VpcPeeringConnection::KIND, id, "not active");
                continue;
            }
            let (requester, accepter) = (&peering.requester_vpc_info, &peering.accepter_vpc_info);
            let missing: Vec<&str> = [requester, accepter]
                .into_iter()
                .map(|side| side.vpc_id.as_str())
                .filter(|vpc| !self.has_vpc(vpc))
                .collect();
            if !missing.is_empty() {
                missing.iter().for_each(|vpc| self.note_missing_vpc(vpc, id));
                self.ledger.mark_skipped(VpcPeeringConnection::KIND, id, "one of its VPCs is missing");
                continue;
            }
            if let Some(heading) = heading.take() {
                self.toml.heading(heading);
            }
            self.toml.table("vpc_peering_connection", name_tag(&peering.tags));
            self.toml.string("id", id);
            for (key, side) in [("requester", requester), ("accepter", accepter)] {
                let allows_dns_resolution = side.peering_options.allow_dns_resolution_from_remote_vpc;
                self.toml.value(key, peering_side(&side.vpc_id, allows_dns_resolution));
            }
            self.ledger.mark_converted(VpcPeeringConnection::KIND, id);
        }
    }

    /// Writes the resolver endpoints.
    pub(super) fn write_resolver_endpoints(&mut self) {
        let inventory = self.inventory;
        let mut heading = Some("resolver endpoints and rules");
        for endpoint in &inventory.resolver_endpoints {
            let id = endpoint.id.as_str();
            if !matches!(endpoint.direction.as_str(), "INBOUND" | "OUTBOUND" | "INBOUND_DELEGATION") {
                let why = format!("direction {} is not supported", endpoint.direction);
                self.ledger.mark_unsupported(ResolverEndpoint::KIND, id, why);
                continue;
            }
            if !self.has_vpc(&endpoint.host_vpc_id) {
                self.note_missing_vpc(&endpoint.host_vpc_id, id);
                self.ledger.mark_skipped(ResolverEndpoint::KIND, id, "its VPC is missing");
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
                        self.ledger.mark_item_converted("IpAddresses", one.location);
                    }
                    Some(_) => self.ledger.mark_item_skipped("IpAddresses", one.location, "duplicate"),
                    None => self.ledger.mark_item_skipped("IpAddresses", one.location, "no address"),
                }
            }
            if addresses.is_empty() {
                addresses = self.addresses_from_descriptions(id);
            }
            if addresses.is_empty() {
                let command =
                    "aws route53resolver list-resolver-endpoint-ip-addresses --resolver-endpoint-id";
                let command = self.with_region(&endpoint.host_vpc_id, &format!("{command} {id}"));
                self.ledger.note_missing(format!("addresses of resolver endpoint {id}"), command);
            }
            self.toml.strings("addresses", addresses);
            if endpoint.dns64_enabled == Some(true) {
                self.toml.value("dns64_enabled", true);
            }
            self.ledger.mark_converted(ResolverEndpoint::KIND, id);
        }
    }

    /// Writes the resolver rules with their associations.
    pub(super) fn write_resolver_rules(&mut self) {
        let inventory = self.inventory;
        for rule in &inventory.resolver_rules {
            let id = rule.id.as_str();
            if !id.starts_with("rslvr-rr-") {
                self.ledger.mark_skipped(ResolverRule::KIND, id, "predefined in AWS and in plustwo");
            } else if !matches!(rule.rule_type.as_str(), "FORWARD" | "SYSTEM" | "DELEGATE") {
                let why = format!("rules of type {} are not supported", rule.rule_type);
                self.ledger.mark_unsupported(ResolverRule::KIND, id, why);
            } else {
                self.write_resolver_rule(rule);
            }
        }
        for association in &inventory.rule_associations {
            let id = association.resolver_rule_id.as_str();
            if !id.starts_with("rslvr-rr-") {
                let why = "association of a predefined rule";
                self.ledger.mark_skipped(ResolverRuleAssociation::KIND, &association.id, why);
            } else if !inventory.resolver_rules.iter().any(|rule| rule.id == id) {
                let command = format!("aws route53resolver get-resolver-rule --resolver-rule-id {id}");
                let command = self.with_region(&association.vpc_id, &command);
                let what = format!("resolver rule {id}, associated with VPC {}", association.vpc_id);
                self.ledger.note_missing(what, command);
            }
        }
        if !inventory.resolver_rules.is_empty() && !self.has_document(ResolverRuleAssociation::KIND) {
            let command = "aws route53resolver list-resolver-rule-associations";
            self.ledger.note_missing("VPC associations of resolver rules", command);
        }
    }

    fn write_resolver_rule(&mut self, rule: &ResolverRule) {
        let id = rule.id.as_str();
        let vpcs = self.rule_vpcs(id);
        self.toml.table("resolver_rule", rule.name.as_deref());
        self.toml.string("id", id);
        self.toml.string("type", &rule.rule_type);
        let domain = rule.domain_name.as_deref().map(without_trailing_dot);
        self.toml.optional_string("domain", domain.filter(|_| rule.rule_type != "DELEGATE"));
        self.toml.optional_string(
            "delegation_record",
            rule.delegation_record.as_deref().map(without_trailing_dot),
        );
        let targets: Vec<String> = rule.target_ips.iter().filter_map(format_target).collect();
        self.toml.non_empty_strings("targets", targets);
        let endpoint = rule.resolver_endpoint_id.as_deref();
        let known = endpoint.filter(|id| {
            let mut endpoints = self.inventory.resolver_endpoints.iter();
            endpoints.any(|one| one.id == *id && self.has_vpc(&one.host_vpc_id))
        });
        self.toml.optional_string("endpoint", known);
        if let Some(endpoint) = endpoint.filter(|_| known.is_none()) {
            let command =
                format!("aws route53resolver get-resolver-endpoint --resolver-endpoint-id {endpoint}");
            let what = format!(
                "resolver endpoint {endpoint}: rule {id} is assumed to forward from any source address"
            );
            self.ledger.note_missing(what, command);
        }
        let accounts = self.consumer_accounts(rule.owner_id.as_deref(), &vpcs);
        self.toml.optional_string("owner_id", rule.owner_id.as_deref().filter(|_| !accounts.is_empty()));
        self.toml.non_empty_strings("shared_with", accounts);
        self.toml.strings("vpcs", vpcs);
        self.ledger.mark_converted(ResolverRule::KIND, id);
    }

    /// Returns the VPCs that a rule is associated with.
    fn rule_vpcs(&mut self, rule: &str) -> Vec<String> {
        let inventory = self.inventory;
        let mut vpcs = Vec::new();
        for association in inventory.rule_associations.iter().filter(|one| one.resolver_rule_id == rule) {
            let (kind, id) = (ResolverRuleAssociation::KIND, &association.id);
            if !is_state(
                association.status.as_deref().or(Some("COMPLETE")),
                &["COMPLETE", "CREATING", "OVERRIDDEN"],
            ) {
                self.ledger.mark_skipped(kind, id, "not active");
            } else if self.has_vpc(&association.vpc_id) {
                vpcs.push(association.vpc_id.clone());
                self.ledger.mark_converted(kind, id);
            } else {
                self.note_missing_vpc(&association.vpc_id, rule);
                self.ledger.mark_skipped(kind, id, "its VPC is missing");
            }
        }
        vpcs
    }

    /// Returns the accounts of the VPCs, except that of the owner. The owner must have shared the rule or
    /// Profile with them.
    fn consumer_accounts(&self, owner: Option<&str>, vpcs: &[String]) -> BTreeSet<String> {
        let Some(owner) = owner.filter(|owner| crate::import::directory::is_account(owner)) else {
            return BTreeSet::new();
        };
        let accounts = vpcs.iter().filter_map(|vpc| self.vpc_regions.get(vpc)?.account.clone());
        accounts.filter(|account| account != owner).collect()
    }

    /// Writes the Profiles with their resources and associations.
    pub(super) fn write_profiles(&mut self) {
        let inventory = self.inventory;
        let mut heading = Some("Profiles");
        for profile in &inventory.profiles {
            if let Some(heading) = heading.take() {
                self.toml.heading(heading);
            }
            self.write_profile(profile);
        }
        for association in &inventory.profile_associations {
            let id = association.profile_id.as_str();
            if !inventory.profiles.iter().any(|profile| profile.id == id) {
                let command = format!("aws route53profiles get-profile --profile-id {id}");
                self.ledger.note_missing(
                    format!("Profile {id}, associated with {}", association.resource_id),
                    command,
                );
            }
        }
        if !inventory.profiles.is_empty() {
            for (kind, what, command) in [
                (ProfileAssociation::KIND, "VPC associations of Profiles", "list-profile-associations"),
                (
                    ProfileResourceAssociation::KIND,
                    "resources of Profiles",
                    "list-profile-resource-associations --profile-id …",
                ),
            ] {
                if !self.has_document(kind) {
                    self.ledger.note_missing(what, format!("aws route53profiles {command}"));
                }
            }
        }
    }

    fn write_profile(&mut self, profile: &Profile) {
        let inventory = self.inventory;
        let id = profile.id.as_str();
        let associations = inventory.profile_associations.iter().filter(|one| one.profile_id == id);
        let mut vpcs = Vec::new();
        let mut priorities = Vec::new();
        for association in associations {
            if is_state(association.status.as_deref(), &["DELETED", "DELETING", "FAILED"]) {
                self.ledger.mark_skipped(ProfileAssociation::KIND, &association.id, "not active");
            } else if self.has_vpc(&association.resource_id) {
                vpcs.push(association.resource_id.clone());
                priorities.push(association.priority);
                self.ledger.mark_converted(ProfileAssociation::KIND, &association.id);
            } else {
                self.note_missing_vpc(&association.resource_id, id);
                self.ledger.mark_skipped(ProfileAssociation::KIND, &association.id, "its VPC is missing");
            }
        }
        let accounts = self.consumer_accounts(profile.owner_id.as_deref(), &vpcs);
        self.toml.table("profile", profile.name.as_deref());
        self.toml.string("id", id);
        self.toml.optional_string("owner_id", profile.owner_id.as_deref().filter(|_| !accounts.is_empty()));
        self.toml.non_empty_strings("shared_with", accounts);
        for (key, resource_type) in [
            ("hosted_zones", "hostedzone/"),
            ("resolver_rules", "resolver-rule/"),
            ("vpc_endpoints", "vpc-endpoint/"),
        ] {
            let resources = self.profile_resources(id, key, resource_type);
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

    /// Returns the ids of the resources of one type in a Profile. `resource_type` is the part of the ARN
    /// before the id.
    fn profile_resources(&mut self, profile: &str, key: &str, resource_type: &str) -> Vec<String> {
        let inventory = self.inventory;
        let mut ids = Vec::new();
        for resource in inventory.profile_resources.iter().filter(|one| one.profile_id == profile) {
            let kind = ProfileResourceAssociation::KIND;
            let Some((_, id)) = resource.resource_arn.split_once(resource_type) else {
                if resource.resource_arn.contains("firewall") {
                    self.ledger.mark_skipped(kind, &resource.id, "DNS Firewall is not evaluated yet");
                }
                continue;
            };
            let (is_known, command) = match key {
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
                self.ledger.note_missing(format!("{id}, a resource of Profile {profile}"), command);
                self.ledger.mark_skipped(kind, &resource.id, "its resource is missing");
            }
        }
        ids
    }
}

/// Returns the address of a name server in the form used by the configuration.
fn format_target(target: &TargetAddress) -> Option<String> {
    let ip = target.ip.as_deref().or(target.ipv6.as_deref()).filter(|ip| !ip.is_empty())?;
    let (host, default_port) = match target.protocol.as_deref() {
        Some("DoH") => (if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() }, 443),
        _ => (ip.to_owned(), DNS_PORT),
    };
    // The API also returns default ports: 53, or 443 for DNS over HTTPS.
    let port = target.port.filter(|port| *port != default_port);
    let address = match port {
        Some(port) if ip.contains(':') => format!("[{ip}]:{port}"),
        Some(port) => format!("{ip}:{port}"),
        None => host,
    };
    Some(match target.protocol.as_deref() {
        Some("DoH") => {
            format!("https://{address}#{}", target.server_name_indication.as_deref().unwrap_or(ip))
        }
        _ => address,
    })
}

/// Returns a name without its trailing dot. The root is returned unchanged.
fn without_trailing_dot(name: &str) -> &str {
    name.strip_suffix('.').filter(|name| !name.is_empty()).unwrap_or(name)
}
