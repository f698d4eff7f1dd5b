//! Configurations that are valid but lack something that is certainly needed.
//!
//! An empty file is a valid configuration, in which no client has a location and every query is refused. A
//! file is empty for a moment while an editor writes it, while the disk is full, or after `: > plustwo.toml`,
//! and so is a directory of documents while it is being re-exported. A reload by the file watch may happen at
//! such a moment, so an implausible configuration is not applied. A reload on request applies it, with a
//! warning.

use crate::world::{Listener, ViewKind, World};

/// Minimum number of objects of a kind for which the removal of all of them is implausible.
const SEVERAL: usize = 3;

/// What the new configuration lacks, each as a clause: "the new configuration has no locations: …". Empty if
/// it is plausible.
///
/// - No location is left: no VPC with subnets, no site and no client.
/// - No VPC with subnets is left.
/// - The VPC or inbound endpoint of an open listener is no longer configured.
/// - None of several hosted zones, resolver rules or endpoints is left, as with an empty included file or
///   directory of documents.
pub(super) fn missing(old: &World, new: &World) -> Vec<String> {
    let mut missing = Vec::new();
    let locations = |world: &World| {
        !world.network.subnets.is_empty()
            || !world.network.sites.is_empty()
            || world.network.places.clients().next().is_some()
    };
    if locations(old) && !locations(new) {
        missing.push(
            "the new configuration has no locations (VPCs with subnets, sites, clients), so every query would be REFUSED"
                .to_owned(),
        );
    } else if !old.network.subnets.is_empty() && new.network.subnets.is_empty() {
        missing.push("the new configuration has no VPC with subnets".to_owned());
    }
    missing.extend(old.settings.listeners.iter().filter_map(|listener| missing_binding(listener, old, new)));
    let kinds = [
        ("private hosted zones", old.names.hosted_zones.len(), new.names.hosted_zones.len()),
        ("resolver rules", old.names.rules.len(), new.names.rules.len()),
        ("VPC endpoints", old.network.endpoints.len(), new.network.endpoints.len()),
    ];
    for (kind, before, now) in kinds {
        if before >= SEVERAL && now == 0 {
            missing.push(format!("the new configuration has none of the {before} {kind}"));
        }
    }
    missing
}

/// Describes the VPC or inbound endpoint of an old listener if it is no longer configured.
fn missing_binding(listener: &Listener, old: &World, new: &World) -> Option<String> {
    let (vpc, is_inbound) = match old.names.views[listener.view?].kind {
        ViewKind::Vpc(vpc) => (&old.network.vpcs[vpc].id, false),
        ViewKind::Inbound(vpc) => (&old.network.vpcs[vpc].id, true),
        ViewKind::Public => return None,
    };
    let address = listener.address;
    let Some((index, _)) = new.network.vpcs.indexed().find(|(_, candidate)| candidate.id == *vpc) else {
        return Some(format!("VPC {vpc}, to which the listener {address} is bound, no longer exists"));
    };
    let has_endpoint = new.names.inbound_endpoints.iter().any(|endpoint| endpoint.vpc == index);
    (is_inbound && !has_endpoint)
        .then(|| format!("VPC {vpc} lost its inbound endpoint, but the listener {address} is bound to one"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;
    use crate::world::compile::compile;

    fn world(text: &str) -> World {
        let mut loaded =
            config::load_text(Path::new("test.toml"), text.to_owned(), &|path| std::fs::read_to_string(path));
        compile(&mut loaded).unwrap_or_else(|| panic!("{}", loaded.report.render(&loaded.sources)))
    }

    fn vpc(id: &str, subnets: bool) -> String {
        let subnet = format!(
            "[[vpc.subnet]]\nid = \"subnet-{id}\"\ncidr = \"10.1.1.0/24\"\n\
             availability_zone = \"ap-northeast-1a\"\nroute_table = \"rtb-{id}\"\n\
             [[vpc.route_table]]\nid = \"rtb-{id}\"\n"
        );
        let vpc = format!(
            "[[vpc]]\nid = \"vpc-{id}\"\nregion = \"ap-northeast-1\"\ncidr = [\"10.1.0.0/16\"]\n\
             enable_dns_hostnames = true\n"
        );
        if subnets { vpc + &subnet } else { vpc }
    }

    fn zones(count: usize) -> String {
        let zone =
            |n| format!("[[hosted_zone]]\nid = \"Z{n}\"\nname = \"z{n}.internal\"\nvpcs = [\"vpc-a\"]\n");
        (0..count).map(zone).collect()
    }

    fn bound(to: &str) -> String {
        format!("[[listener]]\naddress = \"127.0.0.1:5300\"\n{to}\n")
    }

    const INBOUND: &str = "[[resolver_endpoint]]\nid = \"rslvr-in-1\"\ndirection = \"INBOUND\"\nvpc = \"vpc-a\"\n\
                           addresses = [\"10.1.1.10\"]\n";
    const CLIENT: &str = "[[client]]\nsource = \"192.0.2.0/24\"\nplace = \"outside\"\n";
    const SITE: &str = "[[site]]\nid = \"site-1\"\ncidr = [\"192.168.0.0/24\"]\n";

    /// The clauses of a change, each up to its first comma, colon or parenthesis.
    fn clauses(old: &str, new: &str) -> Vec<String> {
        let missing = missing(&world(old), &world(new));
        missing
            .iter()
            .map(|clause| clause.split([',', ':', '(']).next().unwrap_or_default().trim_end().to_owned())
            .collect()
    }

    #[test]
    fn losing_all_locations_is_implausible() {
        let full = vpc("a", true) + CLIENT + SITE;
        for old in [full.as_str(), &vpc("a", true), CLIENT, SITE] {
            assert_eq!(clauses(old, ""), ["the new configuration has no locations"], "{old}");
            assert_eq!(clauses(old, "# a comment\n"), ["the new configuration has no locations"], "{old}");
            assert_eq!(clauses(old, &vpc("a", false)), ["the new configuration has no locations"], "{old}");
        }
        assert_eq!(clauses(&full, CLIENT), ["the new configuration has no VPC with subnets"]);
        assert_eq!(clauses(&full, SITE), ["the new configuration has no VPC with subnets"]);
    }

    #[test]
    fn plausible_changes_are_accepted() {
        let full = vpc("a", true) + CLIENT + SITE;
        let none: [&str; 0] = [];
        assert_eq!(clauses(&full, &full), none);
        assert_eq!(clauses(&full, &vpc("a", true)), none, "client and site are gone");
        assert_eq!(clauses(&full, &(vpc("b", true) + CLIENT)), none, "another VPC");
        assert_eq!(clauses("", &full), none, "the first locations");
        assert_eq!(clauses("", "# still nothing\n"), none);
        assert_eq!(clauses(CLIENT, SITE), none, "locations of another kind");
        assert_eq!(clauses(&(vpc("a", true) + &zones(2)), &vpc("a", true)), none, "two zones");
        assert_eq!(clauses(&(vpc("a", true) + &zones(5)), &(vpc("a", true) + &zones(1))), none);
    }

    #[test]
    fn the_vpc_of_an_open_listener_must_remain() {
        let old = vpc("a", true) + &bound("vpc = \"vpc-a\"");
        let new = vpc("b", true);
        assert_eq!(clauses(&old, &new), ["VPC vpc-a"]);
        assert_eq!(clauses(&old, &(vpc("b", true) + &bound("vpc = \"vpc-b\""))), ["VPC vpc-a"]);
        let none: [&str; 0] = [];
        assert_eq!(clauses(&old, &vpc("a", true)), none, "a removed listener, still open");
        let old = vpc("a", true) + INBOUND + &bound("inbound = \"rslvr-in-1\"");
        assert_eq!(clauses(&old, &vpc("a", true)), ["VPC vpc-a lost its inbound endpoint"]);
        assert_eq!(clauses(&old, &vpc("b", true)), ["VPC vpc-a"]);
        assert_eq!(clauses(&old, &(vpc("a", true) + INBOUND)), none);
    }

    #[test]
    fn losing_all_of_several_objects_of_a_kind_is_implausible() {
        let old = vpc("a", true) + &zones(SEVERAL);
        assert_eq!(
            clauses(&old, &vpc("a", true)),
            ["the new configuration has none of the 3 private hosted zones"]
        );
    }
}
