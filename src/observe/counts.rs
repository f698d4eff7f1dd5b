//! What readers want to know of an answer, worked out once and counted as often as it is given.
//!
//! A packet cache keeps this beside an answer's octets, so that an answer out of it is observed like any other:
//! no label is looked up, nothing is formatted, nothing is allocated.

use std::sync::Arc;

use super::Arrival;
use super::event::QueryEvent;
use super::implied::{self, Lookups, NameHash};
use super::metrics::Metrics;
use super::query_log::Template;
use super::shard::{Slot, Slots};
use crate::dns::{Name, Rcode, RecordType};
use crate::resolve::{Class, Outcome, Reach, Source};
use crate::world::{Index, Vantage, World};

use super::family::Label;

/// Rotations that an implied connection is worked out for. More records than that have no own place in an answer
/// that a stub takes over UDP.
const MOST_ROTATIONS: usize = 64;

/// The part of an event that is the same for all who ask the same question from the same place.
#[derive(Debug)]
pub struct PreparedCounts {
    pub(super) qtype: RecordType,
    pub(super) rcode: Rcode,
    pub(super) source: Source,
    /// Whether somebody else's answer, kept, is given.
    pub(super) cached: bool,
    /// What each time counts one: ways out, reasons, endpoints.
    pub(super) slots: Slots,
    pub(super) implied: Option<Box<Implied>>,
    /// The query log's records, if there is a log.
    pub(super) template: Option<Box<Template>>,
    is_for_every_rotation: bool,
}

/// Connections that an answer implies.
#[derive(Debug)]
pub(super) struct Implied {
    pub name: Name,
    pub name_hash: NameHash,
    /// How long a client may keep the answer.
    pub ttl_s: u32,
    /// By rotation; the last is followed by the first again.
    by_rotation: Box<[Option<Implies>]>,
}

/// The connection that an answer implies as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Implies {
    pub slot: Slot,
    pub endpoint: Arc<str>,
}

impl PreparedCounts {
    /// Works it out. `lookups` are those of the worker that will count it.
    pub(super) fn of(event: &QueryEvent<'_>, metrics: &Metrics, lookups: &Lookups, logs: bool) -> Self {
        let mut slots = Vec::new();
        if let Some(vantage) = event.vantage {
            ways_out(event.world, vantage, event.outcome, metrics, &mut slots);
        }
        let rotations = rotations(event);
        let implied =
            implied::counts(event).then(|| Box::new(Implied::of(event, metrics, lookups, rotations)));
        Self {
            qtype: event.question.qtype,
            rcode: event.outcome.answer.rcode,
            source: event.outcome.source,
            cached: event.cached,
            slots: Slots::of(&slots),
            implied,
            template: logs.then(|| Box::new(Template::of(event))),
            is_for_every_rotation: rotations.is_some(),
        }
    }

    /// Whether it holds for the answer in every rotation, and not only in the one that it was sent with.
    pub fn is_for_every_rotation(&self) -> bool {
        self.is_for_every_rotation
    }

    /// About how many octets it takes beside itself.
    pub fn elsewhere(&self) -> usize {
        let implied = self.implied.as_ref().map_or(0, |implied| {
            size_of::<Implied>() + implied.by_rotation.len() * size_of::<Option<Implies>>()
        });
        let template = self.template.as_ref().map_or(0, |template| template.weight());
        self.slots.elsewhere() + implied + template
    }
}

impl Implied {
    fn of(event: &QueryEvent<'_>, metrics: &Metrics, lookups: &Lookups, rotations: Option<usize>) -> Self {
        let at = |rotation| implies(event, metrics, rotation);
        let mut by_rotation: Vec<_> = match rotations {
            Some(rotations) => (0..rotations).map(at).collect(),
            None => vec![at(event.arrival.rotation)],
        };
        // Whoever has an interface in the own subnet takes that, whatever the rotation.
        if by_rotation.iter().all(|one| *one == by_rotation[0]) {
            by_rotation.truncate(1);
        }
        Self {
            name: event.question.qname.clone(),
            name_hash: lookups.name(&event.question.qname),
            // A client may keep a chain no longer than its shortest-lived record.
            ttl_s: event.outcome.answer.answer.iter().map(|set| set.ttl).min().unwrap_or(0),
            by_rotation: by_rotation.into(),
        }
    }

    /// The connection that an answer implies with this rotation.
    pub fn implies(&self, arrival: &Arrival<'_>) -> Option<&Implies> {
        let at = arrival.rotation.checked_rem(self.by_rotation.len())?;
        self.by_rotation[at].as_ref().filter(|_| !arrival.truncated)
    }
}

fn implies(event: &QueryEvent<'_>, metrics: &Metrics, rotation: usize) -> Option<Implies> {
    let connection = implied::connection(event, rotation)?;
    let world = event.world;
    let [kind, service, endpoint, vpc] = endpoint_labels(world, connection.endpoint);
    let subnet = Label::from(&world.subnets[connection.subnet].id);
    let slot = metrics.implied_connections.slot([kind, service, endpoint, vpc, subnet]);
    Some(Implies { slot, endpoint: world.endpoints[connection.endpoint].id.clone() })
}

/// After how many rotations the addresses of an answer stand as they stood. `None`: too many.
fn rotations(event: &QueryEvent<'_>) -> Option<usize> {
    let sets = event.outcome.answer.answer.iter().filter(|set| set.rtype == event.question.qtype);
    let mut period = 1;
    for records in sets.map(|set| set.rdatas.len().max(1)) {
        if period % records != 0 {
            // One set that counts is the rule; several come round together after their product at the latest.
            period *= records;
        }
        if period > MOST_ROTATIONS {
            return None;
        }
    }
    Some(period)
}

/// The ways that an answer implies, as its client and as its endpoints see them.
fn ways_out(world: &World, vantage: Vantage, outcome: &Outcome, metrics: &Metrics, slots: &mut Vec<Slot>) {
    let vpc = world.place_vpc(vantage.place).map_or(Label::Word(""), |vpc| Label::from(&vpc.id));
    let subnet = Label::from(&world.place_name(vantage.place));
    let egress = |class: Class, reach: &'static str| {
        metrics.egress_answers.slot([vpc.clone(), subnet.clone(), class.as_str().into(), reach.into()])
    };
    if outcome.paths.is_empty() {
        slots.push(egress(Class::None, ""));
    }
    let ways = distinct(outcome.paths.iter().map(|p| (p.path.class, p.path.reach)));
    slots.extend(ways.into_iter().map(|(class, reach)| egress(class, Reach::as_str(reach))));
    let reason =
        |reason: &'static str| metrics.egress_reasons.slot([vpc.clone(), subnet.clone(), reason.into()]);
    slots.extend(outcome.all_reasons().into_iter().map(|told| reason(told.as_str())));
    let endpoints = distinct(outcome.paths.iter().filter_map(|p| Some(p.path.endpoint?.0)));
    slots.extend(
        endpoints.into_iter().map(|index| metrics.endpoint_answers.slot(endpoint_labels(world, index))),
    );
}

/// `endpoint_type`, `service_name`, `vpc_endpoint_id`, `vpc_id`.
fn endpoint_labels(world: &World, index: Index<crate::world::Endpoint>) -> [Label; 4] {
    let endpoint = &world.endpoints[index];
    let vpc = &world.vpcs[endpoint.vpc];
    [endpoint.kind.as_str().into(), (&endpoint.service).into(), (&endpoint.id).into(), (&vpc.id).into()]
}

/// Each item once, in the order of their first. An answer has few.
fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for item in items {
        if !seen.contains(&item) {
            seen.push(item);
        }
    }
    seen
}
