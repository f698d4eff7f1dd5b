//! The metrics and log records of an answer, prepared once and counted each time it is served.
//!
//! A packet cache stores them with the reply, so that a hit is observed like any other answer without looking
//! up labels, formatting or allocating.

use std::sync::Arc;

use super::Arrival;
use super::event::QueryEvent;
use super::implied::{self, Lookups, NameHash};
use super::metrics::Metrics;
use super::query_log::Template;
use super::shard::{SeriesSlot, Slots};
use crate::dns::{Name, Rcode, RecordType};
use crate::resolve::{Class, Outcome, Reach, Source};
use crate::world::{Index, Vantage, World};

use super::labelled::Label;

/// Maximum number of rotations for which implied connections are prepared. Few answers with more records fit
/// into a UDP reply.
const MAX_ROTATIONS: usize = 64;

/// The part of an event that is the same for every client that sends the same question from the same
/// location.
#[derive(Debug)]
pub struct PreparedCounts {
    pub(super) qtype: RecordType,
    pub(super) rcode: Rcode,
    pub(super) source: Source,
    /// Whether a cached answer of an upstream is served.
    pub(super) cached: bool,
    /// The slots of the counters that each answer increments: paths, reasons, endpoints.
    pub(super) slots: Slots,
    pub(super) implied: Option<Box<ImpliedConnections>>,
    /// The query log records, if there is a query log.
    pub(super) template: Option<Box<Template>>,
    is_for_every_rotation: bool,
}

/// Connections that an answer implies.
#[derive(Debug)]
pub(super) struct ImpliedConnections {
    pub name: Name,
    pub name_hash: NameHash,
    /// How long a client may cache the answer, in seconds.
    pub ttl_s: u32,
    /// By rotation; higher rotations start again from the first.
    by_rotation: Box<[Option<ImpliedConnection>]>,
}

/// The connection implied by an answer in one rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ImpliedConnection {
    pub slot: SeriesSlot,
    pub endpoint: Arc<str>,
}

impl PreparedCounts {
    /// Prepares the counts of an event for the worker that owns `lookups`.
    pub(super) fn new(
        event: &QueryEvent<'_>,
        metrics: &Metrics,
        lookups: &Lookups,
        has_query_log: bool,
    ) -> Self {
        let mut slots = Vec::new();
        if let Some(vantage) = event.vantage {
            collect_path_slots(event.world, vantage, event.outcome, metrics, &mut slots);
        }
        let rotations = rotations(event);
        let implied = implied::implies_connection(event)
            .then(|| Box::new(ImpliedConnections::new(event, metrics, lookups, rotations)));
        Self {
            qtype: event.question.qtype,
            rcode: event.outcome.answer.rcode,
            source: event.outcome.source,
            cached: event.cached,
            slots: Slots::new(&slots),
            implied,
            template: has_query_log.then(|| Box::new(Template::new(event))),
            is_for_every_rotation: rotations.is_some(),
        }
    }

    /// Whether the counts apply to every rotation of the answer, not only to the rotation that was sent.
    pub fn is_for_every_rotation(&self) -> bool {
        self.is_for_every_rotation
    }

    /// Approximate heap memory in octets.
    pub fn heap_octets(&self) -> usize {
        let implied = self.implied.as_ref().map_or(0, |implied| {
            size_of::<ImpliedConnections>()
                + implied.by_rotation.len() * size_of::<Option<ImpliedConnection>>()
        });
        let template = self.template.as_ref().map_or(0, |template| template.size_octets());
        self.slots.heap_octets() + implied + template
    }
}

impl ImpliedConnections {
    fn new(event: &QueryEvent<'_>, metrics: &Metrics, lookups: &Lookups, rotations: Option<usize>) -> Self {
        let connection = |rotation| implied_connection(event, metrics, rotation);
        let mut by_rotation: Vec<_> = match rotations {
            Some(rotations) => (0..rotations).map(connection).collect(),
            None => vec![connection(event.arrival.rotation)],
        };
        // With an interface in the client's own subnet, the rotation does not matter.
        if by_rotation.iter().all(|one| *one == by_rotation[0]) {
            by_rotation.truncate(1);
        }
        Self {
            name: event.question.qname.clone(),
            name_hash: lookups.hash_name(&event.question.qname),
            // A client may not cache a chain for longer than its shortest TTL.
            ttl_s: event.outcome.answer.answer.iter().map(|set| set.ttl).min().unwrap_or(0),
            by_rotation: by_rotation.into(),
        }
    }

    /// The connection implied by the answer in the rotation of a query. `None` if the reply is truncated.
    pub(super) fn connection_for(&self, arrival: &Arrival<'_>) -> Option<&ImpliedConnection> {
        let index = arrival.rotation.checked_rem(self.by_rotation.len())?;
        self.by_rotation[index].as_ref().filter(|_| !arrival.truncated)
    }
}

fn implied_connection(
    event: &QueryEvent<'_>,
    metrics: &Metrics,
    rotation: usize,
) -> Option<ImpliedConnection> {
    let connection = implied::implied_connection(event, rotation)?;
    let world = event.world;
    let [kind, service, endpoint, vpc] = endpoint_labels(world, connection.endpoint);
    let subnet = Label::from(&world.network.subnets[connection.subnet].id);
    let slot = metrics.implied_connections.slot([kind, service, endpoint, vpc, subnet]);
    Some(ImpliedConnection { slot, endpoint: world.network.endpoints[connection.endpoint].id.clone() })
}

/// The number of rotations after which the order of addresses repeats. `None` if there are too many.
fn rotations(event: &QueryEvent<'_>) -> Option<usize> {
    let sets = event.outcome.answer.answer.iter().filter(|set| set.rtype == event.question.qtype);
    let mut period = 1;
    for records in sets.map(|set| set.rdatas.len().max(1)) {
        if period % records != 0 {
            // Usually there is one set. Several sets repeat at the latest after the product of their sizes.
            period *= records;
        }
        if period > MAX_ROTATIONS {
            return None;
        }
    }
    Some(period)
}

/// Collects the slots of the metrics that count the paths of an answer, by client and by endpoint.
fn collect_path_slots(
    world: &World,
    vantage: Vantage,
    outcome: &Outcome,
    metrics: &Metrics,
    slots: &mut Vec<SeriesSlot>,
) {
    let vpc = world.network.place_vpc(vantage.place).map_or(Label::Constant(""), |vpc| Label::from(&vpc.id));
    let subnet = Label::from(&world.network.place_name(vantage.place));
    let egress_slot = |class: Class, reach: &'static str| {
        metrics.egress_answers.slot([vpc.clone(), subnet.clone(), class.as_str().into(), reach.into()])
    };
    if outcome.paths.is_empty() {
        slots.push(egress_slot(Class::None, ""));
    }
    let paths = distinct(outcome.paths.iter().map(|p| (p.path.class, p.path.reach)));
    slots.extend(paths.into_iter().map(|(class, reach)| egress_slot(class, Reach::as_str(reach))));
    let reason_slot =
        |reason: &'static str| metrics.egress_reasons.slot([vpc.clone(), subnet.clone(), reason.into()]);
    slots.extend(outcome.all_reasons().into_iter().map(|reason| reason_slot(reason.as_str())));
    let endpoints = distinct(outcome.paths.iter().filter_map(|p| Some(p.path.endpoint?.0)));
    slots.extend(
        endpoints.into_iter().map(|index| metrics.endpoint_answers.slot(endpoint_labels(world, index))),
    );
}

/// The values of the labels `endpoint_type`, `service_name`, `vpc_endpoint_id` and `vpc_id`.
fn endpoint_labels(world: &World, index: Index<crate::world::Endpoint>) -> [Label; 4] {
    let endpoint = &world.network.endpoints[index];
    let vpc = &world.network.vpcs[endpoint.vpc];
    [endpoint.kind.as_str().into(), (&endpoint.service).into(), (&endpoint.id).into(), (&vpc.id).into()]
}

/// Distinct items in order of first occurrence. An answer has few.
fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut unique = Vec::new();
    for item in items {
        if !unique.contains(&item) {
            unique.push(item);
        }
    }
    unique
}
