//! Why a name is answered as it is, and where its traffic would go: for people and for programs.
//!
//! The same decision as on the query path, with everything it considered kept. Nothing is sent: the
//! sealed public view stands in for the internet.

pub mod advice;
pub mod json;
pub mod text;

use std::net::IpAddr;
use std::sync::Arc;

use crate::dns::{Ede, Question, Rcode};
use crate::net::host;
use crate::resolve::{
    ClaimSeen, EgressPath, Keep, Occasion, Outcome, Reason, Recorder, RoutingSeen, Source, decide, resolve,
};
use crate::world::{Claim, Vantage, World};

/// A question explained.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The question.
    pub question: Question,
    /// The view's name.
    pub view: Arc<str>,
    /// The place's name.
    pub place: Arc<str>,
    /// The zone that the place stands in.
    pub availability_zone: Option<Arc<str>>,
    /// What answered.
    pub source: Source,
    /// The response code.
    pub rcode: Rcode,
    /// The claims that covered the names of the chain, winners and losers.
    pub claims: Vec<ClaimLine>,
    /// The record sets that routing policies chose for names of the chain.
    pub routing: Vec<RoutingSeen>,
    /// The records of the answer.
    pub answers: Vec<AnswerLine>,
    /// Reasons of an answer without addresses.
    pub reasons: Vec<Reason>,
    /// What could be changed.
    pub advice: Vec<String>,
    /// The extended error of the answer.
    pub ede: Option<Ede>,
    /// What the reader must know about all of the above.
    pub notes: Vec<String>,
}

/// A claim on a name of the chain.
#[derive(Clone, Debug)]
pub struct ClaimLine {
    /// The name that was looked up.
    pub name: String,
    /// The suffix that the claim is on.
    pub suffix: String,
    /// What kind of claim.
    pub kind: &'static str,
    /// Whose.
    pub id: Arc<str>,
    /// Whether it answered.
    pub wins: bool,
    /// Why AWS has it so.
    pub rule: &'static str,
}

/// A record of the answer.
#[derive(Clone, Debug)]
pub struct AnswerLine {
    /// The owner name.
    pub name: String,
    /// The record type.
    pub record_type: String,
    /// TTL in seconds.
    pub ttl: u32,
    /// The data as text.
    pub data: String,
    /// The path, for a record with an address.
    pub path: Option<Arc<EgressPath>>,
}

/// Where somebody stands who is named by a place or an address.
///
/// # Errors
///
/// What is wrong with the name, for a person.
pub fn vantage(world: &World, from: &str) -> Result<Vantage, String> {
    if let Some(place) = world.place_named(from) {
        return Ok(Vantage { view: world.view_of(place), place });
    }
    let Ok(address) = from.parse::<IpAddr>() else {
        let mut places: Vec<&str> = world.places.names().map(|name| &**name).collect();
        places.sort_unstable();
        return Err(format!("`{from}` is neither a place nor an address; places are {}", places.join(", ")));
    };
    world.vantage(host(address), None).map_err(|nowhere| nowhere.to_string())
}

impl Explanation {
    /// Explains a question from a vantage. `None`: the resolver would say nothing.
    pub fn of(world: &World, vantage: Vantage, question: &Question, occasion: Occasion) -> Option<Self> {
        let mut recorder = Recorder::default();
        let outcome = resolve(world, vantage, question, occasion, &mut recorder)?;
        let is_drawn = outcome.keep == Keep::No && !recorder.routing.is_empty();
        let mut told = Self::of_outcome(world, vantage, question, &outcome, recorder);
        if is_drawn {
            told.notes.push("A number was drawn: the next question may be answered otherwise.".to_owned());
        }
        if stands_in(world, &outcome) {
            told.notes.push(
                "Nothing was sent: the sealed internet stands in for the servers that would be asked."
                    .to_owned(),
            );
        }
        Some(told)
    }

    /// Explains what was answered, whoever was asked for it.
    pub fn of_answered(
        world: &World,
        vantage: Vantage,
        question: &Question,
        outcome: &Outcome,
        occasion: Occasion,
    ) -> Self {
        let mut recorder = Recorder::default();
        // The decision is made again for what it considered; its answer is the one that is there.
        let _ = decide(world, vantage.view, question, occasion, &mut recorder);
        Self::of_outcome(world, vantage, question, outcome, recorder)
    }

    fn of_outcome(
        world: &World,
        vantage: Vantage,
        question: &Question,
        outcome: &Outcome,
        considered: Recorder,
    ) -> Self {
        Self {
            question: question.clone(),
            view: world.views[vantage.view].name.clone(),
            place: world.place_name(vantage.place),
            availability_zone: world.place_zone(vantage.place),
            source: outcome.source,
            rcode: outcome.answer.rcode,
            claims: considered.claims.iter().map(|seen| claim_line(world, seen)).collect(),
            routing: considered.routing,
            answers: answer_lines(outcome),
            reasons: outcome.reasons.clone(),
            advice: advice::of(world, vantage, outcome),
            ede: outcome.answer.ede.clone(),
            notes: Vec::new(),
        }
    }
}

/// Whether an outcome that was reached without asking anybody holds what the sealed internet says, where
/// the daemon would ask others.
pub fn stands_in(world: &World, outcome: &Outcome) -> bool {
    world.internet.is_some() && matches!(outcome.source, Source::Public | Source::SystemRule)
}

fn answer_lines(outcome: &Outcome) -> Vec<AnswerLine> {
    let mut lines = Vec::new();
    for set in &outcome.answer.answer {
        for rdata in set.rdatas.iter() {
            let address = rdata.address(set.rtype).or_else(|| rdata.hints(set.rtype).first().copied());
            let path = outcome.paths.iter().find(|p| Some(p.address) == address).map(|p| p.path.clone());
            lines.push(AnswerLine {
                name: set.owner.to_string(),
                record_type: set.rtype.to_string(),
                ttl: set.ttl,
                data: rdata.to_text(set.rtype),
                path,
            });
        }
    }
    lines
}

fn claim_line(world: &World, seen: &ClaimSeen) -> ClaimLine {
    let (kind, id, rule) = describe(world, seen.claim);
    let labels: Vec<String> =
        seen.name.labels().map(|label| String::from_utf8_lossy(label).into_owned()).collect();
    let suffix = labels[labels.len().saturating_sub(seen.labels)..].join(".");
    ClaimLine { name: seen.name.to_string(), suffix: format!("{suffix}."), kind, id, wins: seen.wins, rule }
}

fn describe(world: &World, claim: Claim) -> (&'static str, Arc<str>, &'static str) {
    match claim {
        Claim::ForwardRule(rule) => (
            "forward-rule",
            world.rules[rule].id.clone(),
            "a rule answers for its domain and everything below, unless something more specific does; at the same \
             name it beats a private hosted zone",
        ),
        Claim::SystemRule(rule) => (
            "system-rule",
            world.rules[rule].id.clone(),
            "a SYSTEM rule resolves here what a wider FORWARD rule would send away",
        ),
        Claim::HostedZone(zone) => (
            "private-hosted-zone",
            world.hosted_zones[zone].id.clone(),
            "the most specific private hosted zone answers alone; what it lacks is looked for nowhere else",
        ),
        Claim::Endpoint(zone) => (
            "endpoint",
            world.endpoints[world.managed_zones[zone].endpoint].id.clone(),
            "private DNS of an interface endpoint is a hidden zone, cut at the private name and seen in the whole VPC",
        ),
        Claim::GeneratedName(domain) => (
            "generated-name",
            world.internal_domains[domain].zone.apex().to_string().into(),
            "AWS computes these names from the address in their label",
        ),
        Claim::Reverse(domain) => (
            "reverse",
            world.internal_domains[domain].zone.apex().to_string().into(),
            "a VPC with DNS host names answers the reverse zones of private addresses itself",
        ),
    }
}

#[cfg(test)]
mod tests;
