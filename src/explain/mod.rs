//! Why a name is answered as it is, and where its traffic would go: for people and for programs.
//!
//! The same decision as on the query path, with everything it considered kept. Nothing is sent: the
//! sealed public view stands in for the internet.

pub(crate) mod advice;
pub(crate) mod filters;
pub(crate) mod json;
mod destination;
mod suggestions;
mod notes;
mod routes;
pub(crate) mod text;
mod path_notes;

use std::net::IpAddr;
use std::sync::Arc;

pub use filters::FilterLine;
pub use destination::Destination;
pub use suggestions::{SuggestionKind, Suggestion, goes_past_endpoints, of as missed};

use crate::config::{nearest, shortened};
use crate::dns::{Answer, Ede, Question, Rcode, RrSet};
use crate::net::host;
use crate::resolve::{
    Cacheability, ConsideredClaim, EgressPath, MatchedRoute, Outcome, QueryContext, Reason, Recorder, Referral,
    RoutingRecord, Source, decide, egress, resolve,
};
use crate::world::{Claim, EndpointKind, ClaimSource, Vantage, ViewId, World};

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
    /// The response code. `None`: an upstream would have to be queried for it, and was not.
    pub rcode: Option<Rcode>,
    /// The claims that covered the names of the chain, winners and losers.
    pub claims: Vec<ClaimLine>,
    /// The delegated zones whose own name servers were asked.
    pub delegations: Vec<DelegationLine>,
    /// The record sets that routing policies chose for names of the chain.
    pub routing: Vec<RoutingRecord>,
    /// The records of the answer.
    pub answers: Vec<AnswerLine>,
    /// The records of the authority section: the SOA of a negative answer.
    pub authority: Vec<AnswerLine>,
    /// Reasons of an answer without addresses.
    pub reasons: Vec<Reason>,
    /// What is one change away, beside what the reasons tell.
    pub missed: Vec<Suggestion>,
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
    /// The Profile that it came through.
    pub profile: Option<Arc<str>>,
    /// Whether it answered.
    pub wins: bool,
    /// Why AWS has it so.
    pub rule: &'static str,
}

/// A zone that others serve, on the way to the answer.
#[derive(Clone, Debug)]
pub struct DelegationLine {
    /// The zone's top.
    pub zone: String,
    /// Its name servers.
    pub servers: Vec<String>,
    /// The DELEGATE rule through which they are asked.
    pub rule: Arc<str>,
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
    /// Whether the TTL counts down: somebody else's record has been kept for some time.
    pub ages: bool,
    /// The data as text.
    pub data: String,
    /// The path, for a record with an address.
    pub path: Option<PathLine>,
}

/// The way to an address.
#[derive(Clone, Debug)]
pub struct PathLine {
    /// The way itself.
    pub path: Arc<EgressPath>,
    /// The routes that it follows after the first, each with how many hops were passed before it.
    pub later: Vec<(usize, MatchedRoute)>,
    /// Where it ends.
    pub lands: Destination,
    /// What security groups and network ACLs on it say.
    pub filters: Vec<FilterLine>,
}

impl PathLine {
    /// A way with its filters told.
    pub fn of(world: &World, path: Arc<EgressPath>) -> Self {
        let filters = path.filters.iter().map(|filter| FilterLine::of(world, filter)).collect();
        Self { later: routes::later(world, &path), lands: Destination::of(world, &path), path, filters }
    }
}

/// Where somebody stands who is named by a place or an address, and whom they ask: a VPC's resolver or an inbound
/// endpoint by its id, `public`, or whom their place asks when not said.
///
/// # Errors
///
/// What is wrong with a name, for a person.
pub fn vantage(world: &World, from: &str, asking: Option<&str>) -> Result<Vantage, String> {
    let view = asking.map(|name| view_named(world, name)).transpose()?;
    if let Some(place) = world.place_named(from) {
        let view = view.map_or_else(|| world.view_of(place), |view| world.view_for(view, place));
        return Ok(Vantage { view, place });
    }
    let Ok(address) = from.parse::<IpAddr>() else {
        let mut places: Vec<&str> = world.places.names().map(|name| &**name).collect();
        places.sort_unstable();
        let help = match nearest(from, &places) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("places are {}", shortened(&places)),
        };
        return Err(format!("`{from}` is neither a place nor an address; {help}"));
    };
    world.vantage(host(address), view).map_err(|nowhere| nowhere.to_string())
}

fn view_named(world: &World, name: &str) -> Result<ViewId, String> {
    let endpoint = world.inbound_endpoints.iter().find(|endpoint| &*endpoint.id == name);
    let view = world.views.indexed().find(|(_, view)| &*view.name == name);
    endpoint.map(|endpoint| endpoint.view).or(view.map(|(index, _)| index)).ok_or_else(|| {
        let endpoints = world.inbound_endpoints.iter().map(|endpoint| &*endpoint.id);
        let vpcs = world.vpcs.iter().map(|vpc| &*vpc.id);
        let known: Vec<&str> = vpcs.chain(endpoints).chain(["public"]).collect();
        format!("`{name}` is no resolver; there are {}", known.join(", "))
    })
}

impl Explanation {
    /// Explains a question from a vantage. `None`: the resolver would say nothing.
    pub fn of(world: &World, vantage: Vantage, question: &Question, occasion: QueryContext) -> Option<Self> {
        let mut recorder = Recorder::default();
        let outcome = resolve(world, vantage, question, occasion, &mut recorder)?;
        let is_drawn = outcome.cacheability == Cacheability::Never && !recorder.routing.is_empty();
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
        occasion: QueryContext,
    ) -> Self {
        let mut recorder = Recorder::default();
        // The decision is made again for what it considered; its answer is the one that is there.
        let _ = decide(world, vantage.view, question, occasion, &mut recorder);
        Self::of_outcome(world, vantage, question, outcome, recorder)
    }

    /// Explains a question whose answer only an `upstream` knows, which was not queried: what the decision considered, and
    /// neither rcode nor path.
    pub fn not_queried(
        world: &World,
        vantage: Vantage,
        question: &Question,
        upstream: &str,
        considered: Recorder,
    ) -> Self {
        let claim = considered.claims.iter().rfind(|seen| seen.is_selected).map(|seen| seen.scoped.claim);
        let source = match claim {
            Some(Claim::ForwardRule(_)) => Source::ForwardRule,
            Some(Claim::SystemRule(_)) => Source::SystemRule,
            _ => Source::Public,
        };
        let nothing = Outcome::without_paths(Answer::empty(Rcode::NOERROR), source);
        let note = format!(
            "Nothing was queried: the servers of {upstream} know the answer, and too many explanations were asked for in \
             this second."
        );
        Self {
            rcode: None,
            missed: Vec::new(),
            advice: Vec::new(),
            notes: vec![note],
            ..Self::of_outcome(world, vantage, question, &nothing, considered)
        }
    }

    /// Explains an outcome, with what its decision considered.
    pub fn of_outcome(
        world: &World,
        vantage: Vantage,
        question: &Question,
        outcome: &Outcome,
        considered: Recorder,
    ) -> Self {
        let missed = suggestions::of(world, vantage, question, outcome);
        Self {
            question: question.clone(),
            view: world.views[vantage.view].name.clone(),
            place: world.place_name(vantage.place),
            availability_zone: world.place_zone(vantage.place),
            source: outcome.source,
            rcode: Some(outcome.answer.rcode),
            claims: considered.claims.iter().map(|seen| claim_line(world, seen)).collect(),
            delegations: considered
                .delegations
                .iter()
                .map(|referral| delegation_line(world, referral))
                .collect(),
            routing: considered.routing,
            answers: lines(world, &outcome.answer.answer, outcome),
            authority: lines(world, &outcome.answer.authority, outcome),
            reasons: outcome.reasons.clone(),
            advice: advice::of(world, vantage, outcome, &missed),
            missed,
            ede: outcome.answer.ede.clone(),
            notes: notes::of(world, vantage, question, &considered.claims, outcome),
        }
    }
}

/// The way to an address, explained.
#[derive(Clone, Debug)]
pub struct PathExplanation {
    /// The place's name.
    pub place: Arc<str>,
    /// Where to.
    pub address: IpAddr,
    /// The way.
    pub way: PathLine,
    /// What could be changed.
    pub advice: Vec<String>,
    /// What the reader must know about it.
    pub notes: Vec<String>,
}

impl PathExplanation {
    /// Explains the way from a vantage's place to an address.
    pub fn of(world: &World, vantage: Vantage, address: IpAddr) -> Self {
        let path = egress::path(world, vantage.place, address);
        Self {
            place: world.place_name(vantage.place),
            address,
            advice: advice::of_path(world, vantage, address, &path),
            notes: notes::of_policies(world, [&path].into_iter()),
            way: PathLine::of(world, Arc::new(path)),
        }
    }
}

/// Whether an outcome that was reached without asking anybody holds what the sealed internet says, where
/// the daemon would ask others.
pub fn stands_in(world: &World, outcome: &Outcome) -> bool {
    world.internet.is_some() && matches!(outcome.source, Source::Public | Source::SystemRule)
}

fn lines(world: &World, sets: &[RrSet], outcome: &Outcome) -> Vec<AnswerLine> {
    let mut lines = Vec::new();
    for set in sets {
        for rdata in set.rdatas.iter() {
            let address = rdata.address(set.rtype).or_else(|| rdata.hints(set.rtype).first().copied());
            let path = outcome.paths.iter().find(|p| Some(p.address) == address);
            let path = path.map(|one| PathLine::of(world, one.path.clone()));
            lines.push(AnswerLine {
                name: set.owner.to_string(),
                record_type: set.rtype.to_string(),
                ttl: set.ttl,
                ages: set.ages,
                data: rdata.to_text(set.rtype),
                path,
            });
        }
    }
    lines
}

fn delegation_line(world: &World, referral: &Referral) -> DelegationLine {
    DelegationLine {
        zone: referral.cut.to_string(),
        servers: referral.servers.iter().map(ToString::to_string).collect(),
        rule: world.rules[referral.rule].id.clone(),
    }
}

fn claim_line(world: &World, seen: &ConsideredClaim) -> ClaimLine {
    let (kind, id, rule) = describe(world, seen.scoped.claim);
    let labels: Vec<String> =
        seen.name.labels().map(|label| String::from_utf8_lossy(label).into_owned()).collect();
    let suffix = labels[labels.len().saturating_sub(seen.labels)..].join(".");
    let profile = match seen.scoped.source {
        ClaimSource::Local => None,
        ClaimSource::Profile { profile, .. } => Some(world.profiles[profile].id.clone()),
    };
    let name = seen.name.to_string();
    ClaimLine { name, suffix: format!("{suffix}."), kind, id, profile, wins: seen.is_selected, rule }
}

/// The kind of a claim and the id of what makes it.
pub fn claim_of(world: &World, claim: Claim) -> (&'static str, Arc<str>) {
    let (kind, id, _) = describe(world, claim);
    (kind, id)
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
            match world.endpoints[world.managed_zones[zone].endpoint].kind {
                EndpointKind::Resource | EndpointKind::ServiceNetwork => {
                    "VPC Lattice makes a hidden zone for the custom domain name, cut at it and seen in the whole VPC"
                }
                _ => {
                    "private DNS of an interface endpoint is a hidden zone, cut at the private name and seen in the \
                     whole VPC"
                }
            },
        ),
        Claim::GeneratedName(domain) => (
            "generated-name",
            world.internal_domains[domain].zone.apex().to_string().into(),
            "a VPC with DNS host names answers the names of its region's instances itself, and those of loopback",
        ),
        Claim::Reverse(domain) => (
            "reverse",
            world.internal_domains[domain].zone.apex().to_string().into(),
            "a VPC with DNS host names answers the reverse zones of private addresses itself",
        ),
        Claim::PublicHostName(domain) => (
            "public-host-name",
            world.internal_domains[domain].zone.apex().to_string().into(),
            "an autodefined rule keeps the region's public host names here, whatever a wider FORWARD rule says",
        ),
    }
}

#[cfg(test)]
mod tests;
