//! Answers from zone data: hosted zones, endpoint private zones, simulated zones of sites.

use super::routing::{RoutingContext, Selection, choose};
use super::{Cacheability, Reply, Source, Trace};
use crate::dns::{Answer, Name, Question, Rdata, RecordType, RrSet};
use crate::world::{Content, Node, RoutedSet, RoutedSets, Zone, ZoneLookup};

/// Answers from one zone: a name that it does not contain is not looked up elsewhere.
///
/// NXDOMAIN and NODATA include the zone's SOA record (RFC 2308 section 2). A missing type at an existing name
/// is NODATA on the wire, although the Route 53 Developer Guide mentions only NXDOMAIN.
pub(super) fn answer(zone: &Zone, question: &Question, source: Source) -> Reply {
    match zone.find(&question.qname) {
        ZoneLookup::Node(node) | ZoneLookup::Wildcard(node) => at_node(zone, node, question, source),
        ZoneLookup::Nothing => Reply::new(Answer::nxdomain(zone.soa().clone()), source),
    }
}

/// The same for a zone that may have record sets with routing policies.
pub(super) fn answer_routed(
    zone: &Zone,
    question: &Question,
    source: Source,
    context: &RoutingContext<'_>,
    trace: &mut impl Trace,
) -> Reply {
    match zone.find(&question.qname) {
        ZoneLookup::Node(node) | ZoneLookup::Wildcard(node) => match matching(node, question.qtype) {
            Some(NodeMatch::Routed(sets)) => routed(zone, sets, question, source, context, trace),
            other => plain(zone, other, question, source),
        },
        ZoneLookup::Nothing => Reply::new(Answer::nxdomain(zone.soa().clone()), source),
    }
}

/// Answers from one node without routing policies, whose owner may be a wildcard.
pub(super) fn at_node(zone: &Zone, node: &Node, question: &Question, source: Source) -> Reply {
    plain(zone, matching(node, question.qtype), question, source)
}

/// The data of a node that matches a question.
enum NodeMatch<'z> {
    /// Records.
    Records(&'z RrSet),
    /// An alias: the type, and the name whose records are returned.
    Alias(RecordType, &'z Name),
    /// Record sets with a routing policy.
    Routed(&'z RoutedSets),
}

/// The match for a type: its own records, or a CNAME.
fn matching(node: &Node, qtype: RecordType) -> Option<NodeMatch<'_>> {
    let of_type = |rtype| {
        let alias = || node.alias(rtype).map(|target| NodeMatch::Alias(rtype, target));
        let routed = || node.routed_sets(rtype).map(NodeMatch::Routed);
        node.rrset(rtype).map(NodeMatch::Records).or_else(alias).or_else(routed)
    };
    if qtype == RecordType::ANY {
        // One record set is a sufficient answer to ANY (RFC 8482 section 4.1), preferably addresses: IPv4,
        // because the target of an alias is more likely to have them.
        let of = |wanted: &[RecordType]| node.types().find(|rtype| wanted.contains(rtype));
        let address = of(&[RecordType::A]).or_else(|| of(&[RecordType::AAAA]));
        return of_type(address.or_else(|| node.types().next())?);
    }
    of_type(qtype)
        .or_else(|| of_type(RecordType::CNAME).filter(|found| !matches!(found, NodeMatch::Alias(..))))
}

/// The answer if no routing policy is involved.
fn plain(zone: &Zone, found: Option<NodeMatch<'_>>, question: &Question, source: Source) -> Reply {
    match found {
        Some(NodeMatch::Records(set)) => {
            Reply::new(Answer::noerror(vec![set.with_owner(question.qname.clone())]), source)
        }
        Some(NodeMatch::Alias(rtype, target)) => alias(zone, rtype, target, source, Cacheability::Generation),
        // Zones that AWS generates have an SOA record for negative answers, but it can be queried at their
        // apex as well.
        Some(NodeMatch::Routed(_)) | None => match question.qtype {
            RecordType::SOA if question.qname == *zone.apex() => {
                Reply::new(Answer::noerror(vec![zone.soa().with_owner(question.qname.clone())]), source)
            }
            _ => Reply::new(Answer::no_data(zone.soa().clone()), source),
        },
    }
}

/// The answer of record sets with a routing policy.
fn routed(
    zone: &Zone,
    sets: &RoutedSets,
    question: &Question,
    source: Source,
    context: &RoutingContext<'_>,
    trace: &mut impl Trace,
) -> Reply {
    let choice = choose(sets, context);
    trace.routing(&question.qname, sets.rtype, &choice);
    let cacheability = choice.cacheability;
    let answer = match choice.selection {
        Selection::One(set) => match &set.content {
            Content::Records(records) => Answer::noerror(vec![records.with_owner(question.qname.clone())]),
            Content::Alias(target) => return alias(zone, sets.rtype, target, source, cacheability),
        },
        Selection::Values(values) => {
            Answer::noerror(vec![merge_values(question.qname.clone(), sets.rtype, &values)])
        }
        Selection::Nothing => Answer::no_data(zone.soa().clone()),
    };
    Reply { cacheability, ..Reply::new(answer, source) }
}

/// Distinct values of several record sets as one, with the lowest TTL (RFC 2181 section 5.2).
fn merge_values(owner: Name, rtype: RecordType, values: &[(&RoutedSet, &Rdata)]) -> RrSet {
    let ttl = |set: &RoutedSet| match &set.content {
        Content::Records(records) => records.ttl,
        Content::Alias(_) => u32::MAX,
    };
    let smallest = values.iter().map(|(set, _)| ttl(set)).min().unwrap_or_default();
    let mut rdatas: Vec<Rdata> = Vec::with_capacity(values.len());
    for (_, rdata) in values {
        if !rdatas.contains(rdata) {
            rdatas.push((*rdata).clone());
        }
    }
    RrSet::new(owner, rtype, smallest, rdatas)
}

/// The reply for an alias record: the zone's SOA record is used if the target has no records.
fn alias(zone: &Zone, rtype: RecordType, target: &Name, source: Source, cacheability: Cacheability) -> Reply {
    let answer = Answer::no_data(zone.soa().clone());
    Reply { answer, source, alias: Some((rtype, target.clone())), cacheability }
}
