//! Private hosted zones that hide public names: allowed, but rarely intended, and reported by `check`.
//!
//! ```text
//!  [[public]] names ────────────► the claim that answers each ──┐
//!  AWS's names of a region ─────► only for zones related to them ┴─► a zone that lacks the name ──► warning
//! ```

use std::collections::BTreeMap;

use super::*;
use crate::aws::template::region_in_name;
use crate::dns::{Name, RecordType};

/// Maximum number of hidden names in a warning.
const MAX_SHOWN: usize = 3;

/// The names that each zone hides.
type HiddenNames = BTreeMap<Index<HostedZone>, Vec<String>>;

impl NamesCompiler<'_, '_> {
    /// Warns of zones that hide public names: those of `[[public]]` records and of AWS services.
    pub(super) fn hidden_names(&mut self) {
        let mut hidden = HiddenNames::new();
        self.hidden_records(&mut hidden);
        self.hidden_services(&mut hidden);
        for (zone, names) in hidden {
            let Some(mark) = self.zone_marks.get(&zone).copied() else { continue };
            let apex = self.names.hosted_zones[zone].zone.apex();
            let shown =
                names.iter().take(MAX_SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let more = match names.len().saturating_sub(MAX_SHOWN) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let message = format!("zone `{apex}` hides names that exist in public DNS: {shown}{more}");
            self.cx.report.warning(Code::ZoneShadowsPublic, mark, message).help(
                "names that a private hosted zone lacks are not resolved publicly: add the records, or create the zone for a longer \
                 name",
            );
        }
    }

    /// The `[[public]]` records that zones hide.
    fn hidden_records(&self, hidden: &mut HiddenNames) {
        for record in &self.cx.config.public {
            let (name, rtype) = (record.name.value(), *record.record_type.value());
            for ScopedClaim { view, claim, .. } in self.names.claims.covering_any(name) {
                let Claim::HostedZone(zone) = claim else { continue };
                if self.answers(view, name, zone)
                    && !has(&self.names.hosted_zones[zone].zone, name, |have| have == rtype)
                {
                    note(hidden, zone, format!("{} {rtype}", plain(name)));
                }
            }
        }
    }

    /// AWS's names hidden by zones at or above the domain of a service: those of the region in the zone's
    /// name, or else of the region of each associated VPC.
    fn hidden_services(&self, hidden: &mut HiddenNames) {
        let domains: Vec<Name> =
            self.cx.facts.public_names.domains().filter_map(|domain| Name::parse(domain).ok()).collect();
        let above: HashSet<&[u8]> = domains.iter().flat_map(Name::suffixes).collect();
        let domains: HashSet<&[u8]> = domains.iter().map(Name::as_wire).collect();
        let mut seen = HashSet::new();
        let mut hosts: HashMap<Region, Vec<Name>> = HashMap::new();
        for ScopedClaim { view, claim, .. } in self.names.claims.iter() {
            let (Claim::HostedZone(index), ViewKind::Vpc(vpc)) = (claim, self.names.views[view].kind) else {
                continue;
            };
            let zone = &self.names.hosted_zones[index].zone;
            let apex = zone.apex();
            let is_related =
                above.contains(apex.as_wire()) || apex.suffixes().any(|suffix| domains.contains(suffix));
            if !is_related {
                continue;
            }
            let own = region_in_name(&plain(apex));
            let region = own.unwrap_or_else(|| self.network.vpcs[vpc].region.clone());
            if !seen.insert((index, region.clone())) {
                continue;
            }
            let all = hosts.entry(region.clone()).or_insert_with(|| {
                self.cx.facts.public_names.hosts(&region).filter_map(|host| Name::parse(&host).ok()).collect()
            });
            for name in all.iter().filter(|name| name.is_at_or_below(apex)) {
                let leads_on = |have: RecordType| have.is_address() || have == RecordType::HTTPS;
                if self.answers(view, name, index) && !has(zone, name, leads_on) {
                    note(hidden, index, plain(name));
                }
            }
        }
    }

    /// Whether a zone answers a name in a view.
    fn answers(&self, view: ViewId, name: &Name, zone: Index<HostedZone>) -> bool {
        self.names
            .claims
            .covering(view, name)
            .next()
            .is_some_and(|(_, scoped)| scoped.claim == Claim::HostedZone(zone))
    }
}

/// Whether a zone has records of a type for a name, or a CNAME.
fn has(zone: &Zone, name: &Name, wanted: impl Fn(RecordType) -> bool) -> bool {
    match zone.find(name) {
        ZoneLookup::Node(node) | ZoneLookup::Wildcard(node) => {
            node.types().any(|have| have == RecordType::CNAME || wanted(have))
        }
        ZoneLookup::Nothing => false,
    }
}

/// A name without its trailing dot.
fn plain(name: &Name) -> String {
    let mut text = name.to_string();
    text.pop();
    text
}

/// Records a hidden name, once.
fn note(hidden: &mut HiddenNames, zone: Index<HostedZone>, text: String) {
    let names = hidden.entry(zone).or_default();
    // Duplicates from several views are consecutive.
    if names.last() != Some(&text) {
        names.push(text);
    }
}
