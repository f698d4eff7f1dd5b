//! A row of an audit: the result of one name from one location.

use std::net::IpAddr;
use std::sync::Arc;

use super::cost::{BillableHops, Cost};
use crate::aws::template::{region_in_name, uses_standard_names};
use crate::dns::{Ede, Name, Question, Rcode, RecordType};
use crate::explain::Destination;
use crate::explain::{self, Suggestion, claim_of};
use crate::net::{is_globally_routed, nat64_to_ipv4};
use crate::resolve::{
    Class, EgressPath, Outcome, QueryContext, Reach, Reason, Referral, RoutingDecision, Source, Trace,
    resolve,
};
use crate::world::{ClaimSource, ScopedClaim, Vantage, World};

/// Whether an answer leads to private or public destinations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// Only private ones: private addresses, or through endpoints.
    Private,
    /// Public addresses, not through an endpoint.
    Public,
    /// Some of its addresses are private, others are not.
    Mixed,
    /// None: there is no address.
    None,
}

impl Verdict {
    /// All variants.
    pub const ALL: &'static [Self] = &[Self::Private, Self::Public, Self::Mixed, Self::None];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Public => "public",
            Self::Mixed => "mixed",
            Self::None => "no-address",
        }
    }
}

/// The result of one name from one location.
#[derive(Clone, Debug)]
pub struct Row {
    /// The question.
    pub question: Arc<Question>,
    /// Its verdict.
    pub verdict: Verdict,
    /// The source of the answer.
    pub source: Source,
    /// The claim that answered: its kind and ID. `None` for public DNS.
    pub claim: Option<(&'static str, Arc<str>)>,
    /// The Profile of the claim.
    pub profile: Option<Arc<str>>,
    /// The response code.
    pub rcode: Rcode,
    /// Records other than addresses: CNAMEs, and those of the queried type, each with its data in order.
    pub records: Vec<String>,
    /// The TTLs of records whose TTL does not count down, by name and type.
    pub ttls: Vec<(Name, RecordType, u32)>,
    /// The paths, with equal ones combined.
    pub paths: Vec<PathCell>,
    /// Reasons of an answer without addresses.
    pub reasons: Vec<Reason>,
    /// Suggestions.
    pub suggestions: Arc<[Suggestion]>,
    /// Whether servers would be queried whose answer is unknown: those of a rule, or public ones of a region
    /// without a table.
    pub is_unresolved: bool,
    /// Whether the sealed internet was used instead of other servers.
    pub uses_sealed_internet: bool,
}

/// A path of some of the addresses of an answer.
#[derive(Clone, Debug)]
pub struct PathCell {
    /// The addresses, in order.
    pub addresses: Vec<IpAddr>,
    /// The path of the first address.
    pub path: Arc<EgressPath>,
    /// Its verdict.
    pub verdict: Verdict,
    /// Its distinct destinations, as text.
    pub destinations: Vec<String>,
    /// Its charges.
    pub costs: Vec<Cost>,
}

/// Equal rows have the same result for one name.
impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.question == other.question
            && (self.verdict, self.source, self.rcode) == (other.verdict, other.source, other.rcode)
            && (self.is_unresolved, self.uses_sealed_internet)
                == (other.is_unresolved, other.uses_sealed_internet)
            && (&self.claim, &self.profile) == (&other.claim, &other.profile)
            && self.records == other.records
            && self.ttls == other.ttls
            && self.reasons == other.reasons
            && self.suggestions == other.suggestions
            && self.paths == other.paths
    }
}

/// Equal paths have the same description, which does not include the matched table.
impl PartialEq for PathCell {
    fn eq(&self, other: &Self) -> bool {
        self.addresses == other.addresses
            && self.path.has_same_annotation(&other.path)
            && self.destinations == other.destinations
            && self.costs == other.costs
    }
}

/// Records the claim that answered the query name.
#[derive(Default)]
struct SelectedClaim(Option<ScopedClaim>);

impl Trace for SelectedClaim {
    fn claim(&mut self, _: &Name, _: usize, scoped: ScopedClaim, wins: bool) {
        if wins {
            self.0.get_or_insert(scoped);
        }
    }

    fn delegation(&mut self, _: &Referral) {}

    fn routing(&mut self, _: &Name, _: RecordType, _: &RoutingDecision<'_>) {}
}

/// Suggestions found so far: they depend on the VPC, not on the subnet.
pub(crate) type SuggestionsOf<'m> = &'m mut dyn FnMut(&Outcome) -> Arc<[Suggestion]>;

impl Row {
    /// The result of a question from a vantage. `None` if the resolver does not reply.
    pub fn of(
        billable_hops: &BillableHops<'_>,
        vantage: Vantage,
        question: &Arc<Question>,
        suggestions: SuggestionsOf<'_>,
    ) -> Option<Self> {
        let world = billable_hops.world();
        let mut first = SelectedClaim::default();
        // TTLs of forwarded answers depend on the time, and weighted records on a random number: neither
        // matters here.
        let outcome = resolve(world, vantage, question, QueryContext::at(0), &mut first)?;
        let suggestions = suggestions(&outcome);
        let claim = first.0.filter(|_| !matches!(outcome.source, Source::Public | Source::SystemRule));
        let sets = &outcome.answer.answer;
        let is_address = |rtype: RecordType| matches!(rtype, RecordType::A | RecordType::AAAA);
        let mut records = Vec::new();
        for set in sets.iter().filter(|set| !is_address(set.rtype)) {
            let mut data: Vec<String> = set.rdatas.iter().map(|rdata| rdata.to_text(set.rtype)).collect();
            data.sort_unstable();
            records.extend(data.into_iter().map(|data| format!("{} {} {data}", set.owner, set.rtype)));
        }
        let paths = paths(billable_hops, vantage, &outcome);
        let is_unasked = match outcome.source {
            Source::ForwardRule => {
                outcome.answer.rcode == Rcode::SERVFAIL
                    && outcome.answer.ede.as_ref().is_some_and(|ede| ede.code == Ede::OTHER)
            }
            Source::Public => outcome.answer.rcode == Rcode::NXDOMAIN && is_unlisted(&question.qname),
            _ => false,
        };
        Some(Self {
            question: question.clone(),
            verdict: combined_verdict(paths.iter().map(|path| path.verdict)),
            source: outcome.source,
            claim: claim.map(|scoped| claim_of(world, scoped.claim)),
            profile: claim.and_then(|scoped| match scoped.source {
                ClaimSource::Local => None,
                ClaimSource::Profile { profile, .. } => Some(world.names.profiles[profile].id.clone()),
            }),
            rcode: outcome.answer.rcode,
            records,
            ttls: sets
                .iter()
                .filter(|set| !set.ages)
                .map(|set| (set.owner.clone(), set.rtype, set.ttl))
                .collect(),
            paths,
            suggestions,
            is_unresolved: is_unasked,
            uses_sealed_internet: explain::uses_sealed_internet(world, &outcome),
            reasons: outcome.reasons,
        })
    }

    /// The row of a resolver that does not reply.
    pub fn no_reply(question: &Arc<Question>) -> Self {
        Self {
            question: question.clone(),
            verdict: Verdict::None,
            source: Source::Refused,
            claim: None,
            profile: None,
            rcode: Rcode::SERVFAIL,
            records: Vec::new(),
            ttls: Vec::new(),
            paths: Vec::new(),
            reasons: Vec::new(),
            suggestions: Arc::from([]),
            is_unresolved: false,
            uses_sealed_internet: false,
        }
    }

    /// The name without its trailing dot.
    pub fn name(&self) -> String {
        let name = self.question.qname.to_string();
        name.strip_suffix('.').filter(|name| !name.is_empty()).unwrap_or(&name).to_owned()
    }

    /// The source of the answer: kind and ID of the claim, or the source.
    pub fn answered_by(&self) -> String {
        match &self.claim {
            Some((kind, id)) => format!("{kind} {}", id.trim_end_matches('.')),
            None => self.source.as_str().to_owned(),
        }
    }

    /// Every distinct reason of the row.
    pub fn all_reasons(&self) -> Vec<Reason> {
        let mut all = Vec::new();
        let path_reasons = self.paths.iter().flat_map(|path| path.path.reasons.iter());
        for reason in self.reasons.iter().chain(path_reasons) {
            if !all.contains(reason) {
                all.push(*reason);
            }
        }
        all
    }

    /// The worst reach of its paths. `None` if there is no address.
    pub fn reach(&self) -> Option<Reach> {
        let rank = |reach: &Reach| match reach {
            Reach::Ok => 0,
            Reach::Unknown => 1,
            Reach::Blocked => 2,
            Reach::Dead => 3,
        };
        let worst = self.paths.iter().map(|path| path.path.reach).max_by_key(rank);
        worst.or(self.is_unresolved.then_some(Reach::Unknown))
    }

    /// Every address of the answer, in order.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let mut all: Vec<IpAddr> =
            self.paths.iter().flat_map(|path| path.addresses.iter().copied()).collect();
        all.sort_unstable();
        all
    }

    /// Whether the name has an address.
    pub fn has_address(&self) -> bool {
        !self.paths.is_empty()
    }
}

/// Whether a name is of a region whose public names are not in any table: those in China, and others outside
/// the standard partition.
fn is_unlisted(name: &Name) -> bool {
    region_in_name(name.to_string().trim_end_matches('.')).is_some_and(|region| !uses_standard_names(&region))
}

/// The combined verdict of several paths.
fn combined_verdict(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    verdicts.reduce(|one, other| if one == other { one } else { Verdict::Mixed }).unwrap_or(Verdict::None)
}

/// The paths of an outcome, with equal ones combined.
fn paths(billable_hops: &BillableHops<'_>, vantage: Vantage, outcome: &Outcome) -> Vec<PathCell> {
    let mut paths: Vec<PathCell> = Vec::new();
    for one in &outcome.paths {
        let (verdict, destinations) =
            (verdict(one.address, &one.path), destinations(billable_hops.world(), &one.path));
        let like = |path: &&mut PathCell| path.verdict == verdict && path.path.has_same_annotation(&one.path);
        match paths.iter_mut().find(like) {
            Some(path) => {
                path.addresses.push(one.address);
                path.destinations
                    .extend(destinations.filter(|destinations| !path.destinations.contains(destinations)));
                for cost in billable_hops.on(vantage, one.address, &one.path) {
                    if !path.costs.contains(&cost) {
                        path.costs.push(cost);
                    }
                }
            }
            None => paths.push(PathCell {
                addresses: vec![one.address],
                path: one.path.clone(),
                verdict,
                destinations: destinations.into_iter().collect(),
                costs: billable_hops.on(vantage, one.address, &one.path),
            }),
        }
    }
    for path in &mut paths {
        path.addresses.sort_unstable();
        path.destinations.sort_unstable();
        path.costs.sort_unstable();
    }
    paths.sort_by(|one, other| one.addresses.cmp(&other.addresses));
    paths
}

/// Whether an address is reached privately: it is not public, or an endpoint carries the traffic. For DNS64,
/// the embedded IPv4 address counts.
fn verdict(address: IpAddr, path: &EgressPath) -> Verdict {
    let address = nat64_to_ipv4(address).map_or(address, IpAddr::V4);
    let is_private = path.endpoint.is_some()
        || matches!(path.class, Class::GatewayEndpoint | Class::VpcLattice)
        || !is_globally_routed(address);
    if is_private { Verdict::Private } else { Verdict::Public }
}

/// The destination of a path, in a few words.
fn destinations(world: &World, path: &EgressPath) -> Option<String> {
    match Destination::of(world, path) {
        Destination::Here | Destination::Unknown => None,
        Destination::Nowhere => Some("nowhere".to_owned()),
        Destination::Subnet { vpc, subnet, .. } => Some(subnet.unwrap_or(vpc).to_string()),
        Destination::Site(site) => Some(site.to_string()),
        Destination::Service { service, region: Some(region), .. } => Some(format!("{service} {region}")),
        Destination::Service { service, region: None, .. } => Some(service.to_string()),
        Destination::Internet => Some("internet".to_owned()),
    }
}
