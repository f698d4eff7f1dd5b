//! What zone data answers: hosted zones, endpoints' managed zones, zones played for sites.

use super::{Reply, Source};
use crate::dns::{Answer, Question, RecordType, RrSet};
use crate::world::{Found, Node, Zone};

/// Answers out of a zone, alone: a name that is not in it is looked for nowhere else.
///
/// NXDOMAIN and NODATA carry the zone's SOA (RFC 2308 2); a type that is missing at a name that exists is
/// NODATA, on the wire, whatever the guide's words are.
pub fn answer(zone: &Zone, question: &Question, source: Source) -> Reply {
    match zone.find(&question.qname) {
        Found::Node(node) | Found::Wildcard(node) => at_node(zone, node, question, source),
        Found::Nothing => Reply { answer: Answer::nxdomain(zone.soa().clone()), source, alias: None },
    }
}

/// Answers from one node, whose owner may be a wildcard.
pub fn at_node(zone: &Zone, node: &Node, question: &Question, source: Source) -> Reply {
    let mut alias = None;
    let answer = if let Some(set) = matching(node, question.qtype) {
        Answer::of(vec![set.at(question.qname.clone())])
    } else {
        alias = node.alias(question.qtype).cloned();
        Answer::no_data(zone.soa().clone())
    };
    Reply { answer, source, alias }
}

/// The record set that answers a type: its own, or the CNAME that stands for every type.
fn matching(node: &Node, qtype: RecordType) -> Option<&RrSet> {
    if qtype == RecordType::ANY {
        // One set is answer enough (RFC 8482 4.1).
        return node.rrsets.first();
    }
    node.rrset(qtype).or_else(|| node.rrset(RecordType::CNAME))
}
