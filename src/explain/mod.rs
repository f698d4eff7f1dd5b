//! Explanations of answers and paths, as text and as JSON.
//!
//! The decision is the same as on the query path, with a record of everything that it considered. Nothing is
//! sent: the sealed internet is used instead of the real one.

mod destination;
pub(crate) mod filters;
pub(crate) mod json;
mod notes;
mod path_notes;
mod routes;
pub(crate) mod sentences;
mod suggestions;
pub(crate) mod text;

use std::net::IpAddr;
use std::sync::Arc;

pub use destination::Destination;
pub use filters::FilterLine;
pub use sentences::SuggestionLine;
pub use suggestions::{Suggestion, SuggestionKind, bypasses_endpoints, of as suggestions};

use crate::config::{nearest, shortened};
use crate::dns::{Answer, Ede, Question, Rcode, RrSet};
use crate::net::host_prefix;
use crate::resolve::{
    Cacheability, ConsideredClaim, EgressPath, MatchedRoute, Outcome, QueryContext, Reason, Recorder,
    Referral, RoutingRecord, Source, decide, egress, resolve,
};
use crate::world::{Claim, ClaimSource, EndpointKind, Vantage, ViewId, World};

/// The explanation of an answer.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The question.
    pub question: Question,
    /// The name of the view.
    pub view: Arc<str>,
    /// The name of the location.
    pub place: Arc<str>,
    /// The Availability Zone of the location.
    pub availability_zone: Option<Arc<str>>,
    /// The source of the answer.
    pub source: Source,
    /// The response code. `None` if an upstream would have to be queried, but was not.
    pub rcode: Option<Rcode>,
    /// The claims that matched the names of the chain, selected and rejected ones.
    pub claims: Vec<ClaimLine>,
    /// The delegations that were followed.
    pub delegations: Vec<DelegationLine>,
    /// The record sets that routing policies selected for names of the chain.
    pub routing: Vec<RoutingRecord>,
    /// The records of the answer.
    pub answers: Vec<AnswerLine>,
    /// The records of the authority section: the SOA record of a negative answer.
    pub authority: Vec<AnswerLine>,
    /// Reasons of an answer without addresses.
    pub reasons: Vec<Reason>,
    /// Suggested changes: for each reason, and for objects that could be added.
    pub suggestions: Vec<SuggestionLine>,
    /// The extended error of the answer.
    pub ede: Option<Ede>,
    /// Further notes, which concern neither a claim nor a path.
    pub notes: Vec<String>,
}

/// A claim on a name of the chain.
#[derive(Clone, Debug)]
pub struct ClaimLine {
    /// The name that was looked up.
    pub name: String,
    /// The suffix of the claim.
    pub suffix: String,
    /// Its kind.
    pub kind: &'static str,
    /// The ID of its object.
    pub id: Arc<str>,
    /// The Profile that associates it with the VPC.
    pub profile: Option<Arc<str>>,
    /// Whether it answered.
    pub is_selected: bool,
    /// AWS's rule for such claims.
    pub rule: &'static str,
}

/// A delegated zone.
#[derive(Clone, Debug)]
pub struct DelegationLine {
    /// The apex of the zone.
    pub zone: String,
    /// Its name servers.
    pub servers: Vec<String>,
    /// The DELEGATE rule by which they are queried.
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
    /// Whether the TTL counts down, as for cached records of upstreams.
    pub ages: bool,
    /// The data as text.
    pub data: String,
    /// The path, for a record with an address.
    pub path: Option<PathLine>,
}

/// The path to an address.
#[derive(Clone, Debug)]
pub struct PathLine {
    /// The path.
    pub path: Arc<EgressPath>,
    /// The routes followed after the first, each with the number of hops before it.
    pub next_routes: Vec<(usize, MatchedRoute)>,
    /// Its destination.
    pub destination: Destination,
    /// The results of security groups and network ACLs.
    pub filters: Vec<FilterLine>,
}

impl PathLine {
    /// Describes a path.
    pub fn of(world: &World, path: Arc<EgressPath>) -> Self {
        let filters = path.filters.iter().map(|filter| FilterLine::of(world, filter)).collect();
        Self {
            next_routes: routes::next_routes(world, &path),
            destination: Destination::of(world, &path),
            path,
            filters,
        }
    }
}

/// The vantage of a client given by location name or address, and by the resolver that it queries: the ID of
/// a VPC or of an inbound endpoint, `public`, or by default that of its location.
///
/// # Errors
///
/// A description of an unknown name.
pub fn vantage(world: &World, from: &str, resolver: Option<&str>) -> Result<Vantage, String> {
    let view = resolver.map(|name| view_named(world, name)).transpose()?;
    if let Some(place) = world.network.places.named(from) {
        let view = view.map_or_else(
            || world.names.view_of(&world.network, place),
            |view| world.names.view_for(&world.network, view, place),
        );
        return Ok(Vantage { view, place });
    }
    let Ok(address) = from.parse::<IpAddr>() else {
        let mut locations: Vec<&str> = world.network.places.names().map(|name| &**name).collect();
        locations.sort_unstable();
        let help = match nearest(from, &locations) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("locations are {}", shortened(&locations)),
        };
        return Err(format!("`{from}` is neither a location nor an IP address; {help}"));
    };
    world.vantage(host_prefix(address), view).map_err(|error| error.to_string())
}

fn view_named(world: &World, name: &str) -> Result<ViewId, String> {
    let endpoint = world.names.inbound_endpoints.iter().find(|endpoint| &*endpoint.id == name);
    let view = world.names.views.indexed().find(|(_, view)| &*view.name == name);
    endpoint.map(|endpoint| endpoint.view).or(view.map(|(index, _)| index)).ok_or_else(|| {
        let endpoints = world.names.inbound_endpoints.iter().map(|endpoint| &*endpoint.id);
        let vpcs = world.network.vpcs.iter().map(|vpc| &*vpc.id);
        let known: Vec<&str> = vpcs.chain(endpoints).chain(["public"]).collect();
        format!("unknown resolver `{name}`; resolvers are {}", known.join(", "))
    })
}

impl Explanation {
    /// Explains the answer to a question from a vantage. `None` if the resolver does not reply.
    pub fn of(world: &World, vantage: Vantage, question: &Question, context: QueryContext) -> Option<Self> {
        let mut recorder = Recorder::default();
        let outcome = resolve(world, vantage, question, context, &mut recorder)?;
        let is_random = outcome.cacheability == Cacheability::Never && !recorder.routing.is_empty();
        let mut explanation = Self::of_outcome(world, vantage, question, &outcome, recorder);
        if is_random {
            explanation
                .notes
                .push("Selected at random: another query may receive a different answer.".to_owned());
        }
        if uses_sealed_internet(world, &outcome) {
            explanation.notes.push(
                "Nothing was sent: the sealed internet was used instead of the servers that would be queried."
                    .to_owned(),
            );
        }
        Some(explanation)
    }

    /// Explains an answer that is already known.
    pub fn of_answered(
        world: &World,
        vantage: Vantage,
        question: &Question,
        outcome: &Outcome,
        context: QueryContext,
    ) -> Self {
        let mut recorder = Recorder::default();
        // The decision is repeated only to record what it considers.
        let _ = decide(&world.names, &world.network, vantage.view, question, context, &mut recorder);
        Self::of_outcome(world, vantage, question, outcome, recorder)
    }

    /// Explains a question whose answer is known only to an `upstream` that was not queried: what the
    /// decision considered, with neither rcode nor path.
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
        let empty = Outcome::without_paths(Answer::empty(Rcode::NOERROR), source);
        let note = format!(
            "The servers of {upstream} were not queried: too many explanations were requested within a second."
        );
        Self {
            rcode: None,
            suggestions: Vec::new(),
            notes: vec![note],
            ..Self::of_outcome(world, vantage, question, &empty, considered)
        }
    }

    /// Explains an outcome, with a record of what its decision considered.
    pub fn of_outcome(
        world: &World,
        vantage: Vantage,
        question: &Question,
        outcome: &Outcome,
        considered: Recorder,
    ) -> Self {
        let possible = suggestions::of(world, vantage, question, outcome);
        Self {
            question: question.clone(),
            view: world.names.views[vantage.view].name.clone(),
            place: world.network.place_name(vantage.place),
            availability_zone: world.network.place_zone(vantage.place),
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
            suggestions: sentences::of(world, vantage, outcome, &possible),
            ede: outcome.answer.ede.clone(),
            notes: notes::of(world, vantage, question, &considered.claims, outcome),
        }
    }
}

/// The explanation of a path.
#[derive(Clone, Debug)]
pub struct PathExplanation {
    /// The name of the location.
    pub place: Arc<str>,
    /// The address.
    pub address: IpAddr,
    /// The path.
    pub path: PathLine,
    /// Suggested changes for its reasons.
    pub suggestions: Vec<SuggestionLine>,
    /// Notes about it.
    pub notes: Vec<String>,
}

impl PathExplanation {
    /// Explains the path from a vantage's location to an address.
    pub fn of(world: &World, vantage: Vantage, address: IpAddr) -> Self {
        let path = egress::path(&world.network, vantage.place, address);
        Self {
            place: world.network.place_name(vantage.place),
            address,
            suggestions: sentences::of_path(world, vantage, address, &path),
            notes: notes::of_policies(world, [&path].into_iter()),
            path: PathLine::of(world, Arc::new(path)),
        }
    }
}

/// Whether an offline outcome used the sealed internet where the daemon would query other servers.
pub fn uses_sealed_internet(world: &World, outcome: &Outcome) -> bool {
    world.names.internet.is_some() && matches!(outcome.source, Source::Public | Source::SystemRule)
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
        rule: world.names.rules[referral.rule].id.clone(),
    }
}

fn claim_line(world: &World, seen: &ConsideredClaim) -> ClaimLine {
    let (kind, id, rule) = describe(world, seen.scoped.claim);
    let labels: Vec<String> =
        seen.name.labels().map(|label| String::from_utf8_lossy(label).into_owned()).collect();
    let suffix = labels[labels.len().saturating_sub(seen.labels)..].join(".");
    let profile = match seen.scoped.source {
        ClaimSource::Local => None,
        ClaimSource::Profile { profile, .. } => Some(world.names.profiles[profile].id.clone()),
    };
    let name = seen.name.to_string();
    ClaimLine { name, suffix: format!("{suffix}."), kind, id, profile, is_selected: seen.is_selected, rule }
}

/// The kind of a claim and the ID of its object.
pub fn claim_of(world: &World, claim: Claim) -> (&'static str, Arc<str>) {
    let (kind, id, _) = describe(world, claim);
    (kind, id)
}

fn describe(world: &World, claim: Claim) -> (&'static str, Arc<str>, &'static str) {
    match claim {
        Claim::ForwardRule(rule) => (
            "forward-rule",
            world.names.rules[rule].id.clone(),
            "a resolver rule applies to its domain and subdomains unless a more specific claim matches; for the same name \
             it takes precedence over a private hosted zone",
        ),
        Claim::SystemRule(rule) => (
            "system-rule",
            world.names.rules[rule].id.clone(),
            "a SYSTEM rule excludes this domain from a less specific FORWARD rule",
        ),
        Claim::HostedZone(zone) => (
            "private-hosted-zone",
            world.names.hosted_zones[zone].id.clone(),
            "the most specific private hosted zone answers; names that it lacks are not looked up elsewhere",
        ),
        Claim::Endpoint(zone) => (
            "endpoint",
            world.network.endpoints[world.names.managed_zones[zone].endpoint].id.clone(),
            match world.network.endpoints[world.names.managed_zones[zone].endpoint].kind {
                EndpointKind::Resource | EndpointKind::ServiceNetwork => {
                    "the custom domain name has a private zone for exactly this name, visible throughout the VPC"
                }
                _ => {
                    "private DNS of an interface endpoint is a private zone for exactly this name, visible throughout the \
                     VPC"
                }
            },
        ),
        Claim::GeneratedName(domain) => (
            "generated-name",
            world.names.internal_domains[domain].zone.apex().to_string().into(),
            "the resolver of a VPC with DNS host names answers queries for generated names of its region and for loopback names",
        ),
        Claim::Reverse(domain) => (
            "reverse",
            world.names.internal_domains[domain].zone.apex().to_string().into(),
            "the resolver of a VPC with DNS host names answers queries in the reverse zones of private addresses",
        ),
        Claim::PublicHostName(domain) => (
            "public-host-name",
            world.names.internal_domains[domain].zone.apex().to_string().into(),
            "an autodefined rule excludes public host names of the region from less specific FORWARD rules",
        ),
    }
}

#[cfg(test)]
mod tests;
