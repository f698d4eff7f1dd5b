//! Explanations as JSON: the words of `explain --json`, `/v1/explain` and EDNS option 65001.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::Value;

use super::{
    AnswerLine, ClaimLine, DelegationLine, Explanation, FilterLine, Destination, Suggestion, PathExplanation, PathLine,
};
use crate::resolve::{Hop, MatchedRoute, RoutingRecord};

/// The version of these words. It rises when a word changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 1;

/// An explanation as a JSON value.
pub fn value(explanation: &Explanation) -> Value {
    to_value(&document(explanation))
}

/// An explanation as one line of JSON for option 65001: the same words, without sentences for people, what
/// the question said already, and empty lists, so that it fits a datagram.
pub fn compact(explanation: &Explanation) -> String {
    let mut value = value(explanation);
    strip(&mut value);
    value.to_string()
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|key, field| {
                let for_people =
                    matches!(key.as_str(), "advice" | "rule" | "why" | "question" | "ede" | "authority")
                        || matches!(key.as_str(), "missed" | "lands" | "later" | "filters");
                let empty = field.is_null() || field.as_array().is_some_and(Vec::is_empty);
                !for_people && !empty
            });
            fields.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

/// A path alone, as `explain --address` tells it.
pub fn path_value(told: &PathExplanation) -> Value {
    #[derive(Serialize)]
    struct Document<'a> {
        schema_version: u32,
        place: &'a str,
        address: IpAddr,
        path: Path<'a>,
        advice: &'a [String],
        #[serde(skip_serializing_if = "<[String]>::is_empty")]
        notes: &'a [String],
    }
    to_value(&Document {
        schema_version: SCHEMA_VERSION,
        place: &told.place,
        address: told.address,
        path: Path::of(&told.way),
        advice: &told.advice,
        notes: &told.notes,
    })
}

fn to_value(document: &impl Serialize) -> Value {
    serde_json::to_value(document).expect("an explanation holds strings, numbers and lists only")
}

#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    question: Question,
    view: &'a str,
    place: &'a str,
    /// `null` where an upstream would have to be queried for it, and was not.
    rcode: Option<String>,
    decision: Decision<'a>,
    answers: Vec<Answer<'a>>,
    authority: Vec<Answer<'a>>,
    reasons: Vec<&'static str>,
    missed: Vec<SuggestionJson<'a>>,
    advice: &'a [String],
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
    dropped_at: Vec<Claim<'a>>,
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
    id: &'a str,
}

#[derive(Serialize)]
struct Path<'a> {
    class: &'static str,
    via: Vec<&'a str>,
    hops: Vec<HopJson<'a>>,
    matched: Option<MatchedRouteJson<'a>>,
    /// What was followed after it, in order.
    later: Vec<MatchedRouteJson<'a>>,
    reach: &'static str,
    reasons: Vec<&'static str>,
    lands: DestinationJson<'a>,
    filters: Vec<FilterJson<'a>>,
}

/// Where a way ends; `at` says which of the other words are there.
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
    // The first winner answered the name that was asked for; later ones answered names of the chain.
    let won = explanation.claims.iter().position(|claim| claim.wins);
    let dropped_at = explanation.claims.iter().enumerate().filter(|(i, _)| Some(*i) != won);
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
            claim: won.map(|i| Claim::of(&explanation.claims[i])),
            dropped_at: dropped_at.filter(|(_, claim)| !claim.wins).map(|(_, claim)| Claim::of(claim)).collect(),
            delegations: explanation.delegations.iter().map(Delegation::of).collect(),
            routing: explanation.routing.iter().map(Routing::of).collect(),
        },
        answers: explanation.answers.iter().map(Answer::of).collect(),
        authority: explanation.authority.iter().map(Answer::of).collect(),
        reasons: explanation.reasons.iter().map(|reason| reason.as_str()).collect(),
        missed: explanation.missed.iter().map(SuggestionJson::of).collect(),
        advice: &explanation.advice,
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
    fn of(seen: &'a RoutingRecord) -> Self {
        Self {
            name: seen.name.to_string(),
            r#type: seen.rtype.to_string(),
            policy: seen.policy,
            set_identifier: seen.set_identifier.as_deref(),
            why: &seen.why,
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
    fn of(way: &'a PathLine) -> Self {
        let path = &way.path;
        Self {
            class: path.class.as_str(),
            via: path.via.iter().map(|id| &**id).collect(),
            hops: path.hops.iter().map(HopJson::of).collect(),
            matched: path.matched.as_ref().map(MatchedRouteJson::of),
            later: way.later.iter().map(|(_, route)| MatchedRouteJson::of(route)).collect(),
            reach: path.reach.as_str(),
            reasons: path.reasons.iter().map(|reason| reason.as_str()).collect(),
            lands: DestinationJson::of(&way.lands),
            filters: way.filters.iter().map(FilterJson::of).collect(),
        }
    }
}

impl<'a> SuggestionJson<'a> {
    fn of(missed: &'a Suggestion) -> Self {
        Self { reason: missed.kind.as_str(), id: &missed.id }
    }
}

impl<'a> DestinationJson<'a> {
    fn of(lands: &'a Destination) -> Self {
        match lands {
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
