//! Explanations as JSON: the format of `explain --json`, `/v1/explain` and EDNS option 65001.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::Value;

use super::{
    AnswerLine, ClaimLine, DelegationLine, Destination, Explanation, FilterLine, PathExplanation, PathLine,
    SuggestionLine,
};
use crate::resolve::{Hop, MatchedRoute, RoutingRecord};

/// The version of the format. It increases when a key changes its meaning or is removed.
pub(crate) const SCHEMA_VERSION: u32 = 1;

/// An explanation as a JSON value.
pub(crate) fn value(explanation: &Explanation) -> Value {
    to_value(&document(explanation))
}

/// An explanation as one line of JSON for option 65001: the same keys, without sentences, the question, the
/// larger parts of paths and empty lists, so that it fits into a datagram.
pub(crate) fn compact(explanation: &Explanation) -> String {
    let mut value = value(explanation);
    strip(&mut value);
    value.to_string()
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|key, field| {
                let is_verbose = matches!(key.as_str(), "rule" | "why" | "question" | "ede" | "authority")
                    || matches!(key.as_str(), "suggestions" | "next_routes" | "filters")
                    // Where a path ends; the destination of a route is a string.
                    || (key == "destination" && field.is_object());
                let is_empty = field.is_null() || field.as_array().is_some_and(Vec::is_empty);
                !is_verbose && !is_empty
            });
            fields.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

/// A path, as printed by `explain --address`.
pub(crate) fn path_value(described: &PathExplanation) -> Value {
    #[derive(Serialize)]
    struct Document<'a> {
        schema_version: u32,
        place: &'a str,
        address: IpAddr,
        path: Path<'a>,
        suggestions: Vec<SuggestionJson<'a>>,
        #[serde(skip_serializing_if = "<[String]>::is_empty")]
        notes: &'a [String],
    }
    to_value(&Document {
        schema_version: SCHEMA_VERSION,
        place: &described.place,
        address: described.address,
        path: Path::of(&described.path),
        suggestions: described.suggestions.iter().map(SuggestionJson::of).collect(),
        notes: &described.notes,
    })
}

fn to_value(document: &impl Serialize) -> Value {
    serde_json::to_value(document).expect("an explanation contains only strings, numbers and lists")
}

#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    question: Question,
    view: &'a str,
    place: &'a str,
    /// `null` if an upstream would have to be queried, but was not.
    rcode: Option<String>,
    decision: Decision<'a>,
    answers: Vec<Answer<'a>>,
    authority: Vec<Answer<'a>>,
    reasons: Vec<&'static str>,
    suggestions: Vec<SuggestionJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ede: Option<Ede<'a>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'a [String],
}

#[derive(Serialize)]
struct Question {
    name: String,
    r#type: String,
    class: String,
}

#[derive(Serialize)]
struct Decision<'a> {
    source: &'static str,
    claim: Option<Claim<'a>>,
    rejected_claims: Vec<Claim<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    delegations: Vec<Delegation<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    routing: Vec<Routing<'a>>,
}

#[derive(Serialize)]
struct Delegation<'a> {
    zone: &'a str,
    servers: &'a [String],
    rule: &'a str,
}

#[derive(Serialize)]
struct Routing<'a> {
    name: String,
    r#type: String,
    policy: &'static str,
    set_identifier: Option<&'a str>,
    why: &'a str,
}

#[derive(Serialize)]
struct Claim<'a> {
    name: &'a str,
    suffix: &'a str,
    kind: &'static str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<&'a str>,
    rule: &'static str,
}

#[derive(Serialize)]
struct Answer<'a> {
    name: &'a str,
    r#type: &'a str,
    ttl: u32,
    data: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<Path<'a>>,
}

#[derive(Serialize)]
struct SuggestionJson<'a> {
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    text: &'a str,
}

#[derive(Serialize)]
struct Path<'a> {
    class: &'static str,
    via: Vec<&'a str>,
    hops: Vec<HopJson<'a>>,
    matched: Option<MatchedRouteJson<'a>>,
    /// The routes followed after it, in order.
    next_routes: Vec<MatchedRouteJson<'a>>,
    reach: &'static str,
    reasons: Vec<&'static str>,
    destination: DestinationJson<'a>,
    filters: Vec<FilterJson<'a>>,
}

/// Where a path ends; `at` determines the other keys.
#[derive(Serialize)]
#[serde(tag = "at", rename_all = "kebab-case")]
enum DestinationJson<'a> {
    Here,
    Vpc { vpc: &'a str, subnet: Option<&'a str>, owner: Option<&'a str> },
    Site { site: &'a str },
    Aws { service: &'a str, region: Option<&'a str>, stays_on_aws_network: bool },
    Internet,
    Nowhere,
    Unknown,
}

#[derive(Serialize)]
struct FilterJson<'a> {
    id: &'a str,
    direction: &'static str,
    verdict: &'static str,
    rule: Option<&'a str>,
}

#[derive(Serialize)]
struct HopJson<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subnet: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    availability_zone: Option<&'a str>,
}

#[derive(Serialize)]
struct MatchedRouteJson<'a> {
    route_table: Option<&'a str>,
    destination: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix_list: Option<&'a str>,
    target: &'a str,
}

#[derive(Serialize)]
struct Ede<'a> {
    code: u16,
    text: &'a str,
}

fn document(explanation: &Explanation) -> Document<'_> {
    let question = &explanation.question;
    // The first selected claim answered the query name; later ones answered names of the chain.
    let selected = explanation.claims.iter().find(|claim| claim.is_selected);
    let rejected = explanation.claims.iter().filter(|claim| !claim.is_selected);
    Document {
        schema_version: SCHEMA_VERSION,
        question: Question {
            name: question.qname.to_string(),
            r#type: question.qtype.to_string(),
            class: question.qclass.to_string(),
        },
        view: &explanation.view,
        place: &explanation.place,
        rcode: explanation.rcode.map(|rcode| rcode.to_string()),
        decision: Decision {
            source: explanation.source.as_str(),
            claim: selected.map(Claim::of),
            rejected_claims: rejected.map(Claim::of).collect(),
            delegations: explanation.delegations.iter().map(Delegation::of).collect(),
            routing: explanation.routing.iter().map(Routing::of).collect(),
        },
        answers: explanation.answers.iter().map(Answer::of).collect(),
        authority: explanation.authority.iter().map(Answer::of).collect(),
        reasons: explanation.reasons.iter().map(|reason| reason.as_str()).collect(),
        suggestions: explanation.suggestions.iter().map(SuggestionJson::of).collect(),
        ede: explanation.ede.as_ref().map(|ede| Ede { code: ede.code, text: &ede.text }),
        notes: &explanation.notes,
    }
}

impl<'a> Claim<'a> {
    fn of(line: &'a ClaimLine) -> Self {
        Self {
            name: &line.name,
            suffix: &line.suffix,
            kind: line.kind,
            id: &line.id,
            profile: line.profile.as_deref(),
            rule: line.rule,
        }
    }
}

impl<'a> Delegation<'a> {
    fn of(line: &'a DelegationLine) -> Self {
        Self { zone: &line.zone, servers: &line.servers, rule: &line.rule }
    }
}

impl<'a> Routing<'a> {
    fn of(record: &'a RoutingRecord) -> Self {
        Self {
            name: record.name.to_string(),
            r#type: record.rtype.to_string(),
            policy: record.policy,
            set_identifier: record.set_identifier.as_deref(),
            why: &record.why,
        }
    }
}

impl<'a> Answer<'a> {
    fn of(line: &'a AnswerLine) -> Self {
        Self {
            name: &line.name,
            r#type: &line.record_type,
            ttl: line.ttl,
            data: &line.data,
            path: line.path.as_ref().map(Path::of),
        }
    }
}

impl<'a> Path<'a> {
    fn of(line: &'a PathLine) -> Self {
        let path = &line.path;
        Self {
            class: path.class.as_str(),
            via: path.via.iter().map(|id| &**id).collect(),
            hops: path.hops.iter().map(HopJson::of).collect(),
            matched: path.matched.as_ref().map(MatchedRouteJson::of),
            next_routes: line.next_routes.iter().map(|(_, route)| MatchedRouteJson::of(route)).collect(),
            reach: path.reach.as_str(),
            reasons: path.reasons.iter().map(|reason| reason.as_str()).collect(),
            destination: DestinationJson::of(&line.destination),
            filters: line.filters.iter().map(FilterJson::of).collect(),
        }
    }
}

impl<'a> SuggestionJson<'a> {
    fn of(line: &'a SuggestionLine) -> Self {
        Self { reason: line.code, id: line.id.as_deref(), text: &line.text }
    }
}

impl<'a> DestinationJson<'a> {
    fn of(destination: &'a Destination) -> Self {
        match destination {
            Destination::Here => Self::Here,
            Destination::Subnet { vpc, subnet, owner } => {
                Self::Vpc { vpc, subnet: subnet.as_deref(), owner: owner.as_deref() }
            }
            Destination::Site(site) => Self::Site { site },
            Destination::Service { service, region, stays_on_aws_network } => {
                Self::Aws { service, region: region.as_deref(), stays_on_aws_network: *stays_on_aws_network }
            }
            Destination::Internet => Self::Internet,
            Destination::Nowhere => Self::Nowhere,
            Destination::Unknown => Self::Unknown,
        }
    }
}

impl<'a> FilterJson<'a> {
    fn of(line: &'a FilterLine) -> Self {
        Self {
            id: &line.id,
            direction: line.direction.as_str(),
            verdict: line.verdict.as_str(),
            rule: line.rule.as_deref(),
        }
    }
}

impl<'a> HopJson<'a> {
    fn of(hop: &'a Hop) -> Self {
        Self {
            id: &hop.id,
            subnet: hop.subnet.as_deref(),
            availability_zone: hop.availability_zone.as_deref(),
        }
    }
}

impl<'a> MatchedRouteJson<'a> {
    fn of(matched: &'a MatchedRoute) -> Self {
        Self {
            route_table: matched.route_table.as_deref(),
            destination: matched.destination.to_string(),
            prefix_list: matched.prefix_list.as_deref(),
            target: &matched.target,
        }
    }
}
