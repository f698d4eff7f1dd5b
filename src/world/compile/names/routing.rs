//! Routing policies of record sets: valid combinations, and the health of each record set.
//!
//! What Route 53's API rejects is an error ("ChangeResourceRecordSets", "ResourceRecordSet").

use std::collections::BTreeMap;

use super::records::{RecordEntry, RecordPosition};
use super::*;
use crate::aws::Coordinates;
use crate::aws::geography::CONTINENTS;
use crate::config::{Failover, GeoLocation, GeoProximityLocation, RecordProperties, RecordText};
use crate::dns::{Name, RecordType};
use crate::world::RoutingLocation;

/// Maximum number of aliases followed to evaluate health. AWS allows three levels.
const MAX_EVALUATED: usize = 16;

/// Maximum length of a `SetIdentifier`, in characters.
const LONGEST_IDENTIFIER: usize = 128;

/// The record sets of one zone that cannot be compiled individually.
#[derive(Default)]
pub(super) struct RoutedSetBuilder {
    /// Record sets with a routing policy, by name and type.
    groups: BTreeMap<(Name, RecordType), Vec<PendingHealthCheck>>,
    /// Record sets without one whose health check is unhealthy.
    unhealthy: HashSet<(Name, RecordType)>,
    /// Alias records without one that have the health of their targets.
    aliases: HashMap<(Name, RecordType), Name>,
}

/// A record set with a routing policy whose health is not evaluated yet.
struct PendingHealthCheck {
    /// The record set; its health is that of its own health check.
    set: RoutedSet,
    /// The alias target whose health is evaluated.
    evaluated: Option<Name>,
    /// Its position.
    place: RecordPosition,
}

impl RoutedSetBuilder {
    /// Adds a record set with a routing policy.
    pub(super) fn add(
        &mut self,
        owner: Name,
        rtype: RecordType,
        set: RoutedSet,
        evaluated: Option<Name>,
        place: RecordPosition,
    ) {
        self.groups.entry((owner, rtype)).or_default().push(PendingHealthCheck { set, evaluated, place });
    }

    /// Records that a record set without a routing policy is unhealthy.
    pub(super) fn unhealthy(&mut self, owner: Name, rtype: RecordType) {
        self.unhealthy.insert((owner, rtype));
    }

    /// Records that an alias record without a routing policy has the health of its target.
    pub(super) fn simple_alias(&mut self, owner: Name, rtype: RecordType, target: Name) {
        self.aliases.insert((owner, rtype), target);
    }

    /// Whether any record set of a name is healthy.
    fn has_healthy(&self, at: (Name, RecordType), gone: &dyn Fn(&Name) -> bool, followed: usize) -> bool {
        if followed > MAX_EVALUATED {
            return true;
        }
        let follow = |target: &Name| self.has_healthy((target.clone(), at.1), gone, followed + 1);
        match self.groups.get(&at) {
            Some(group) => {
                group.iter().any(|one| one.set.is_healthy && one.evaluated.as_ref().is_none_or(follow))
            }
            None if self.unhealthy.contains(&at) || gone(&at.0) => false,
            None => self.aliases.get(&at).is_none_or(follow),
        }
    }
}

impl NamesCompiler<'_, '_> {
    /// The states of health checks.
    pub(super) fn health_checks(&mut self) {
        for check in &self.cx.config.health_check {
            if self.cx.declare(&check.id) && !check.healthy {
                self.unhealthy.insert(check.id.value());
            }
        }
    }

    /// Whether a health check is unhealthy. One that is not configured is healthy; if others are configured,
    /// it may be a typing error.
    pub(super) fn is_unhealthy(&mut self, id: &Marked<String>, written: RecordEntry<'_>) -> bool {
        let declared = &self.cx.config.health_check;
        let is_known = declared.iter().any(|check| check.id.value() == id.value());
        if !is_known && !declared.is_empty() {
            let message = format!("unknown health check `{id}`: its record sets are treated as healthy");
            self.surprising_record(&written.place(id.mark()), message).help("declare it: [[health_check]]");
        }
        self.unhealthy.contains(id.value().as_str())
    }

    /// The set identifier and parameters of a record set. `None` if it has no routing policy. Errors are
    /// reported.
    pub(super) fn routing(
        &mut self,
        record: &RecordText,
        written: RecordEntry<'_>,
    ) -> Result<Option<(Routing, Box<str>)>, ()> {
        let Some(more) = record.properties.as_deref() else { return Ok(None) };
        let place = written.place(record.name.mark());
        let policies = more.policies();
        let name = &record.name;
        match (&policies[..], &more.set_identifier) {
            ([], None) => return Ok(None),
            // The key of its policy may have been pruned as unreadable, which has been reported.
            ([], Some(_)) if self.cx.is_pruned => return Err(()),
            ([], Some(identifier)) => {
                let message =
                    format!("record `{name}` has the set identifier `{identifier}` but no routing policy");
                let error = self.wrong_record(&place, message);
                error.help(
                    "add `weight`, `multi_value_answer`, `failover`, `region`, `geo_location` or \
                     `geo_proximity_location`, or remove `set_identifier`",
                );
                return Err(());
            }
            ([one], None) => {
                let message = format!("record `{name}` has `{one}` but no `set_identifier`");
                let error = self.wrong_record(&place, message);
                error
                    .help("write `set_identifier = \"…\"`, which distinguishes it from other record sets with this name and type");
                return Err(());
            }
            ([_], Some(_)) => {}
            (several, _) => {
                let message =
                    format!("record `{name}` has more than one routing policy: {}", several.join(", "));
                self.wrong_record(&place, message).help("a record set can have only one routing policy");
                return Err(());
            }
        }
        let rtype = *record.record_type.value();
        if matches!(rtype, RecordType::NS | RecordType::SOA) {
            self.wrong_record(&place, format!("{rtype} records cannot have a routing policy"));
            return Err(());
        }
        let identifier = more.set_identifier.as_ref().map(|identifier| identifier.value().as_str());
        let identifier: Box<str> = identifier.unwrap_or_default().into();
        let length = identifier.chars().count();
        if length == 0 || length > LONGEST_IDENTIFIER {
            let message = format!(
                "invalid `set_identifier`: expected 1 to {LONGEST_IDENTIFIER} characters, found {length}"
            );
            self.wrong_record(&place, message);
            return Err(());
        }
        let routing = self.criterion(record, more, written, &place)?;
        Ok(Some((routing, identifier)))
    }

    /// The parameters of a record set for its routing policy.
    fn criterion(
        &mut self,
        record: &RecordText,
        more: &RecordProperties,
        written: RecordEntry<'_>,
        place: &RecordPosition,
    ) -> Result<Routing, ()> {
        if let Some(weight) = more.weight {
            return u8::try_from(weight).map(Routing::Weighted).map_err(|_| {
                self.wrong_record(place, format!("invalid weight {weight}: expected 0 to 255"));
            });
        }
        if more.multi_value_answer {
            if record.alias.is_some() {
                let message = format!(
                    "record `{}` is an alias, which does not support multivalue answer routing",
                    record.name
                );
                self.wrong_record(place, message).help("write its values, or use another routing policy");
                return Err(());
            }
            if *record.record_type.value() == RecordType::CNAME {
                self.wrong_record(place, "CNAME records do not support multivalue answer routing: a name can have only one CNAME record");
                return Err(());
            }
            return Ok(Routing::MultivalueAnswer);
        }
        if let Some(failover) = more.failover {
            return Ok(Routing::Failover(match failover {
                Failover::Primary => FailoverRole::Primary,
                Failover::Secondary => FailoverRole::Secondary,
            }));
        }
        if let Some(region) = &more.region {
            self.check_region_location(region.value(), &written.place(region.mark()));
            return Ok(Routing::Latency(region.value().clone()));
        }
        if let Some(at) = &more.geo_location {
            return location(at).map(Routing::Geolocation).map_err(|why| {
                self.wrong_record(place, format!("record `{}`: {why}", record.name));
            });
        }
        let Some(near) = &more.geo_proximity_location else {
            unreachable!("a record set with one routing policy has one of its keys")
        };
        if let Some(region) = &near.aws_region {
            self.check_region_location(region.value(), &written.place(region.mark()));
        }
        self.proximity(near).map(Routing::Geoproximity).map_err(|why| {
            self.wrong_record(place, format!("record `{}`: {why}", record.name));
        })
    }

    /// The location of a geoproximity record set's resource.
    fn proximity(&self, near: &GeoProximityLocation) -> Result<Proximity, String> {
        let GeoProximityLocation { aws_region, local_zone_group, coordinates, bias } = near;
        if let Some(group) = local_zone_group {
            return Err(format!(
                "the location of Local Zone group `{group}` is unknown; write its `coordinates`"
            ));
        }
        let bias = i8::try_from(*bias).ok().filter(|bias| (-99..=99).contains(bias));
        let bias = bias.ok_or_else(|| format!("invalid bias {}: expected -99 to 99", near.bias))?;
        match (aws_region, coordinates) {
            (Some(region), None) => {
                let coordinates = self.cx.facts.regions.get(region.value()).map(|place| place.coordinates);
                Ok(Proximity { coordinates, written: region.value().as_str().into(), bias })
            }
            (None, Some(degrees)) => {
                let at = Coordinates::new(degrees.latitude, degrees.longitude).ok_or_else(|| {
                    format!(
                        "invalid coordinates {},{}: the latitude must be -90 to 90, the longitude -180 to 180",
                        degrees.latitude, degrees.longitude
                    )
                })?;
                Ok(Proximity { coordinates: Some(at), written: at.to_string().into(), bias })
            }
            _ => Err("a geoproximity location requires either `aws_region` or `coordinates`".to_owned()),
        }
    }

    /// Warns of a region without a known location.
    fn check_region_location(&mut self, region: &Region, place: &RecordPosition) {
        if self.cx.facts.regions.get(region).is_none() {
            let message = format!("the location of region `{region}` is unknown");
            let help = "clients of that region use this record set; for others it is never the nearest";
            self.surprising_record(place, message).help(help);
        }
    }

    /// Warns of a VPC in a region without a known location, for a zone whose policies depend on it.
    pub(super) fn check_vpc_location(&mut self, vpc: Index<Vpc>, mark: Mark) {
        let region = &self.network.vpcs[vpc].region;
        if self.cx.facts.regions.get(region).is_none() {
            let message = format!(
                "the location of region `{region}` of VPC `{}` is unknown",
                self.network.vpcs[vpc].id
            );
            self.cx.report.warning(Code::Surprising, mark, message).help(
                "geolocation routing uses the default record set there; latency and geoproximity routing use the first one in the \
                 order of set identifiers",
            );
        }
    }

    /// Adds the record sets with a routing policy to their zone. Returns whether a policy depends on
    /// location.
    pub(super) fn routed_sets(&mut self, zone: &mut Zone, routed: RoutedSetBuilder) -> bool {
        if routed.groups.is_empty() {
            return false;
        }
        let gone = |name: &Name| self.unavailable_names.contains(name);
        let healths: Vec<Vec<bool>> = routed
            .groups
            .iter()
            .map(|((_, rtype), group)| {
                let is_healthy = |one: &PendingHealthCheck| {
                    let target = one.evaluated.as_ref();
                    one.set.is_healthy
                        && target.is_none_or(|to| routed.has_healthy((to.clone(), *rtype), &gone, 0))
                };
                group.iter().map(is_healthy).collect()
            })
            .collect();
        let mut by_place = false;
        for (((owner, rtype), mut group), healths) in routed.groups.into_iter().zip(healths) {
            for (one, is_healthy) in group.iter_mut().zip(healths) {
                one.set.is_healthy = is_healthy;
            }
            by_place |= group.iter().any(|one| depends_on_location(one.set.routing.policy()));
            self.route_group(zone, owner, rtype, group);
        }
        by_place
    }

    /// Adds the record sets of one name and type.
    fn route_group(
        &mut self,
        zone: &mut Zone,
        owner: Name,
        rtype: RecordType,
        mut group: Vec<PendingHealthCheck>,
    ) {
        let policy = group[0].set.routing.policy();
        let first = group[0].place.clone();
        let mut is_well = true;
        for (number, one) in group.iter().enumerate() {
            let before = &group[..number];
            let identifier = &one.set.identifier;
            let wrong = if one.set.routing.policy() != policy {
                let other = one.set.routing.policy().as_str();
                Some(format!(
                    "it has {other} routing, but others with this name and type have {} routing",
                    policy.as_str()
                ))
            } else if before.iter().any(|other| other.set.identifier == *identifier) {
                Some("another one has the same set identifier".to_owned())
            } else if let Some(other) =
                before.iter().find(|other| other.set.routing.clashes(&one.set.routing))
            {
                Some(format!("`{}` is already for {}", other.set.identifier, one.set.routing))
            } else if number == policy.most_sets() {
                let most = policy.most_sets();
                Some(format!(
                    "Route 53 allows at most {most} {} record sets with one name and type",
                    policy.as_str()
                ))
            } else {
                None
            };
            if let Some(wrong) = wrong {
                is_well = false;
                self.wrong_record(&one.place, format!("{owner} {rtype}, record set `{identifier}`: {wrong}"));
            }
        }
        // A record set without values has been reported.
        group.retain(|one| !matches!(&one.set.content, Content::Records(set) if set.rdatas.is_empty()));
        if !is_well || group.is_empty() {
            return;
        }
        let mut sets: Vec<RoutedSet> = group.into_iter().map(|one| one.set).collect();
        sets.sort_by(|one, other| one.identifier.cmp(&other.identifier));
        let several = sets.iter().any(|set| match &set.content {
            Content::Records(records) => rtype == RecordType::CNAME && records.rdatas.len() > 1,
            Content::Alias(_) => false,
        });
        let refused = match several {
            true => Err(RecordError::SecondCname(owner)),
            false => zone.add_routed(owner, RoutedSets { rtype, policy, sets: sets.into() }),
        };
        if let Err(refused) = refused {
            self.wrong_record(&first, refused);
        }
    }

    /// Reports that a zone of a site cannot have routing policies.
    pub(super) fn reject_routed(&mut self, routed: &RoutedSetBuilder) {
        for one in routed.groups.values().flatten() {
            let message = format!(
                "record set `{}` has a routing policy, which only private hosted zones support",
                one.set.identifier
            );
            self.wrong_record(&one.place, message);
        }
    }
}

/// Whether a policy depends on the client's location.
fn depends_on_location(policy: RoutingPolicy) -> bool {
    match policy {
        RoutingPolicy::Latency | RoutingPolicy::Geolocation | RoutingPolicy::Geoproximity => true,
        RoutingPolicy::Weighted | RoutingPolicy::MultivalueAnswer | RoutingPolicy::Failover => false,
    }
}

/// The location of a geolocation record set.
fn location(at: &GeoLocation) -> Result<RoutingLocation, String> {
    let GeoLocation { continent_code, country_code, subdivision_code } = at;
    let country = |code: &str| match code.len() == 2 && code.bytes().all(|letter| letter.is_ascii_uppercase())
    {
        true => Ok(code.into()),
        false => {
            Err(format!("invalid country code `{code}`: write two capital letters, such as `JP`, or `*`"))
        }
    };
    match (continent_code.as_deref(), country_code.as_deref(), subdivision_code.as_deref()) {
        (Some(continent), None, None) if CONTINENTS.contains(&continent) => {
            Ok(RoutingLocation::Continent(continent.into()))
        }
        (Some(continent), None, None) => {
            Err(format!("invalid continent code `{continent}`: expected one of {}", CONTINENTS.join(", ")))
        }
        (None, Some("*"), None | Some("*")) => Ok(RoutingLocation::Default),
        (None, Some(code), None) => country(code).map(RoutingLocation::Country),
        (None, Some(code), Some(subdivision)) if ["US", "UA"].contains(&code) => {
            Ok(RoutingLocation::Subdivision(code.into(), subdivision.into()))
        }
        (None, Some(code), Some(_)) => {
            Err(format!("`{code}` has no subdivisions in Route 53: only `US` and `UA` have them"))
        }
        (None, None, _) => Err("a location requires `continent_code` or `country_code`".to_owned()),
        (Some(_), ..) => Err("a location cannot have both `continent_code` and `country_code`".to_owned()),
    }
}
