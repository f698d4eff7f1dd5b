//! What zone data answers: hosted zones, endpoints' managed zones, zones played for sites.

use super::routing::{Asker, Chosen, choose};
use super::{Cacheability, Reply, Source, Trace};
use crate::dns::{Answer, Name, Question, Rdata, RecordType, RrSet};
use crate::world::{Content, Found, Node, RoutedSet, RoutedSets, Zone};

/// Answers out of a zone, alone: a name that is not in it is looked for nowhere else.
///
/// NXDOMAIN and NODATA carry the zone's SOA (RFC 2308 2); a type that is missing at a name that exists is
/// NODATA, on the wire, whatever the guide's words are.
pub fn answer(zone: &Zone, question: &Question, source: Source) -> Reply {
    match zone.find(&question.qname) {
        Found::Node(node) | Found::Wildcard(node) => at_node(zone, node, question, source),
        Found::Nothing => Reply::of(Answer::nxdomain(zone.soa().clone()), source),
    }
}

/// The same, out of a zone that may have record sets which a routing policy chooses among.
pub fn answer_routed(
    zone: &Zone,
    question: &Question,
    source: Source,
    asker: &Asker<'_>,
    trace: &mut impl Trace,
) -> Reply {
    match zone.find(&question.qname) {
        Found::Node(node) | Found::Wildcard(node) => match matching(node, question.qtype) {
            Some(Matching::Routed(sets)) => routed(zone, sets, question, source, asker, trace),
            other => plain(zone, other, question, source),
        },
        Found::Nothing => Reply::of(Answer::nxdomain(zone.soa().clone()), source),
    }
}

/// Answers from one node without routing policies, whose owner may be a wildcard.
pub fn at_node(zone: &Zone, node: &Node, question: &Question, source: Source) -> Reply {
    plain(zone, matching(node, question.qtype), question, source)
}

/// What a node has for a question.
enum Matching<'z> {
    /// Records.
    Records(&'z RrSet),
    /// An alias: the type, and whose records to answer with.
    Alias(RecordType, &'z Name),
    /// Record sets to choose among.
    Routed(&'z RoutedSets),
}

/// What answers a type: its own, or the CNAME that stands for every type.
fn matching(node: &Node, qtype: RecordType) -> Option<Matching<'_>> {
    let of_type = |rtype| {
        let alias = || node.alias(rtype).map(|target| Matching::Alias(rtype, target));
        let routed = || node.routed_sets(rtype).map(Matching::Routed);
        node.rrset(rtype).map(Matching::Records).or_else(alias).or_else(routed)
    };
    if qtype == RecordType::ANY {
        // One set is answer enough (RFC 8482 4.1), and it is an address where there is one: an IPv4 address, since
        // the target of an alias more often has that.
        let of = |wanted: &[RecordType]| node.types().find(|rtype| wanted.contains(rtype));
        let address = of(&[RecordType::A]).or_else(|| of(&[RecordType::AAAA]));
        return of_type(address.or_else(|| node.types().next())?);
    }
    of_type(qtype)
        .or_else(|| of_type(RecordType::CNAME).filter(|found| !matches!(found, Matching::Alias(..))))
}

/// The answer that needs no choice.
fn plain(zone: &Zone, found: Option<Matching<'_>>, question: &Question, source: Source) -> Reply {
    match found {
        Some(Matching::Records(set)) => Reply::of(Answer::of(vec![set.at(question.qname.clone())]), source),
        Some(Matching::Alias(rtype, target)) => alias(zone, rtype, target, source, Cacheability::Generation),
        // Zones that AWS makes up have their SOA record for this alone; it stands at their top all the same.
        Some(Matching::Routed(_)) | None => match question.qtype {
            RecordType::SOA if question.qname == *zone.apex() => {
                Reply::of(Answer::of(vec![zone.soa().at(question.qname.clone())]), source)
            }
            _ => Reply::of(Answer::no_data(zone.soa().clone()), source),
        },
    }
}

/// The answer of record sets that a routing policy chooses among.
fn routed(
    zone: &Zone,
    sets: &RoutedSets,
    question: &Question,
    source: Source,
    asker: &Asker<'_>,
    trace: &mut impl Trace,
) -> Reply {
    let choice = choose(sets, asker);
    trace.routing(&question.qname, sets.rtype, &choice);
    let keep = choice.keep;
    let answer = match choice.chosen {
        Chosen::One(set) => match &set.content {
            Content::Records(records) => Answer::of(vec![records.at(question.qname.clone())]),
            Content::Alias(target) => return alias(zone, sets.rtype, target, source, keep),
        },
        Chosen::Values(values) => Answer::of(vec![together(question.qname.clone(), sets.rtype, &values)]),
        Chosen::Nothing => Answer::no_data(zone.soa().clone()),
    };
    Reply { keep, ..Reply::of(answer, source) }
}

/// Values of several record sets as one, each once, with the smallest TTL (RFC 2181 5.2).
fn together(owner: Name, rtype: RecordType, values: &[(&RoutedSet, &Rdata)]) -> RrSet {
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

/// The reply of an alias record: the zone's SOA is for the case that the target has nothing.
fn alias(zone: &Zone, rtype: RecordType, target: &Name, source: Source, keep: Cacheability) -> Reply {
    let answer = Answer::no_data(zone.soa().clone());
    Reply { answer, source, alias: Some((rtype, target.clone())), keep }
}
