//! Private hosted zones that hide public names: legal, seldom meant, and told by `check`.
//!
//! ```text
//!  [[public]] names ────────► the claim that answers each ──┐
//!  AWS's names of a region ─► only for zones near them ─────┴─► a zone, and it lacks the name ──► warning
//! ```

use std::collections::BTreeMap;

use super::*;
use crate::aws::template::region_in_name;
use crate::dns::{Name, RecordType};

/// How many hidden names a warning tells.
const TOLD: usize = 3;

/// The names that each zone hides.
type HiddenNames = BTreeMap<Index<HostedZone>, Vec<String>>;

impl Compiler<'_> {
    /// Warns of zones that hide public names: those of `[[public]]` records and of AWS's services.
    pub(super) fn hidden_names(&mut self) {
        let mut hidden = HiddenNames::new();
        self.hidden_records(&mut hidden);
        self.hidden_services(&mut hidden);
        for (zone, names) in hidden {
            let Some(mark) = self.zone_marks.get(&zone).copied() else { continue };
            let apex = self.hosted_zones[zone].zone.apex();
            let told = names.iter().take(TOLD).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let more = match names.len().saturating_sub(TOLD) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let message = format!("zone `{apex}` hides names that public DNS has: {told}{more}");
            self.report.warning(Code::ZoneShadowsPublic, mark, message).help(
                "what a private zone lacks is looked for nowhere else: add the records, or make the zone of a deeper name \
                 that holds nothing else",
            );
        }
    }

    /// The `[[public]]` records that zones hide.
    fn hidden_records(&self, hidden: &mut HiddenNames) {
        for record in &self.config.public {
            let (name, rtype) = (record.name.value(), *record.record_type.value());
            for ScopedClaim { view, claim, .. } in self.claims.covering_any(name) {
                let Claim::HostedZone(zone) = claim else { continue };
                if self.answers(view, name, zone)
                    && !has(&self.hosted_zones[zone].zone, name, |have| have == rtype)
                {
                    note(hidden, zone, format!("{} {rtype}", plain(name)));
                }
            }
        }
    }

    /// AWS's names that zones at or above a service's domain hide: those of the region that the zone's name holds, else
    /// of the region of each VPC that sees it.
    fn hidden_services(&self, hidden: &mut HiddenNames) {
        let domains: Vec<Name> =
            self.facts.public.domains().filter_map(|domain| Name::parse(domain).ok()).collect();
        let above: HashSet<&[u8]> = domains.iter().flat_map(Name::suffixes).collect();
        let domains: HashSet<&[u8]> = domains.iter().map(Name::as_wire).collect();
        let mut seen = HashSet::new();
        let mut hosts: HashMap<Region, Vec<Name>> = HashMap::new();
        for ScopedClaim { view, claim, .. } in self.claims.iter() {
            let (Claim::HostedZone(index), ViewKind::Vpc(vpc)) = (claim, self.views[view].kind) else {
                continue;
            };
            let zone = &self.hosted_zones[index].zone;
            let apex = zone.apex();
            let is_near =
                above.contains(apex.as_wire()) || apex.suffixes().any(|suffix| domains.contains(suffix));
            if !is_near {
                continue;
            }
            let own = region_in_name(&plain(apex));
            let region = own.unwrap_or_else(|| self.vpcs[vpc].region.clone());
            if !seen.insert((index, region.clone())) {
                continue;
            }
            let all = hosts.entry(region.clone()).or_insert_with(|| {
                self.facts.public.hosts(&region).filter_map(|host| Name::parse(&host).ok()).collect()
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
        self.claims.covering(view, name).next().is_some_and(|(_, held)| held.claim == Claim::HostedZone(zone))
    }
}

/// Whether a zone has something of a type for a name, or a CNAME that leads on.
fn has(zone: &Zone, name: &Name, wanted: impl Fn(RecordType) -> bool) -> bool {
    match zone.find(name) {
        ZoneLookup::Node(node) | ZoneLookup::Wildcard(node) => {
            node.types().any(|have| have == RecordType::CNAME || wanted(have))
        }
        ZoneLookup::Nothing => false,
    }
}

/// A name without its final dot.
fn plain(name: &Name) -> String {
    let mut text = name.to_string();
    text.pop();
    text
}

/// Notes what is hidden, once.
fn note(hidden: &mut HiddenNames, zone: Index<HostedZone>, text: String) {
    let names = hidden.entry(zone).or_default();
    // The same comes of several views one after the other.
    if names.last() != Some(&text) {
        names.push(text);
    }
}
