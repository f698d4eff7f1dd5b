//! One row: what one name comes to from one place.

use std::net::IpAddr;
use std::sync::Arc;

use super::cost::{Cost, BillableHops};
use crate::aws::template::{has_standard_names, region_in_name};
use crate::dns::{Ede, Name, Question, Rcode, RecordType};
use crate::explain::Destination;
use crate::explain::{self, Suggestion, claim_of};
use crate::net::{is_globally_routed, nat64_embedded};
use crate::resolve::{
    RoutingDecision, Class, EgressPath, Outcome, QueryContext, Reach, Reason, Referral, Source, Trace, resolve,
};
use crate::world::{ScopedClaim, ClaimSource, Vantage, World};

/// Where an answer leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// By private ways alone: to private addresses, or through endpoints.
    Private,
    /// To public addresses, by no endpoint.
    Public,
    /// Some addresses by private ways, others not.
    Mixed,
    /// Nowhere: there is no address.
    None,
}

impl Verdict {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Private, Self::Public, Self::Mixed, Self::None];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Public => "public",
            Self::Mixed => "mixed",
            Self::None => "no-address",
        }
    }
}

/// What one name comes to from one place.
#[derive(Clone, Debug)]
pub struct Row {
    /// The question.
    pub question: Arc<Question>,
    /// Where the answer leads.
    pub verdict: Verdict,
    /// What answered.
    pub source: Source,
    /// The claim that answered: its kind and its id. `None`: public DNS.
    pub claim: Option<(&'static str, Arc<str>)>,
    /// The Profile that the claim came through.
    pub profile: Option<Arc<str>>,
    /// The response code.
    pub rcode: Rcode,
    /// Other records than addresses: CNAMEs on the way, and what was asked for, each with its data in order.
    pub records: Vec<String>,
    /// The TTLs of records that have theirs in full each time, by name and type.
    pub ttls: Vec<(Name, RecordType, u32)>,
    /// The ways, those that are told alike together.
    pub ways: Vec<PathCell>,
    /// Reasons of an answer without addresses.
    pub reasons: Vec<Reason>,
    /// What is one change away.
    pub missed: Arc<[Suggestion]>,
    /// Whether servers would be asked whose answer nobody knows here: a rule's, or public ones of a region without a table.
    pub is_unasked: bool,
    /// Whether the sealed internet stands in for others.
    pub stands_in: bool,
}

/// A way that some of the addresses of an answer take.
#[derive(Clone, Debug)]
pub struct PathCell {
    /// The addresses, in order.
    pub addresses: Vec<IpAddr>,
    /// The way of the first of them.
    pub path: Arc<EgressPath>,
    /// Where it leads.
    pub verdict: Verdict,
    /// Where it ends, for a person, each place once.
    pub lands: Vec<String>,
    /// What is paid on it.
    pub costs: Vec<Cost>,
}

/// Two rows that are equal say the same of one name.
impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.question == other.question
            && (self.verdict, self.source, self.rcode) == (other.verdict, other.source, other.rcode)
            && (self.is_unasked, self.stands_in) == (other.is_unasked, other.stands_in)
            && (&self.claim, &self.profile) == (&other.claim, &other.profile)
            && self.records == other.records
            && self.ttls == other.ttls
            && self.reasons == other.reasons
            && self.missed == other.missed
            && self.ways == other.ways
    }
}

/// Two ways that are equal are told alike: which table matched is not told.
impl PartialEq for PathCell {
    fn eq(&self, other: &Self) -> bool {
        self.addresses == other.addresses
            && self.path.has_same_annotation(&other.path)
            && self.lands == other.lands
            && self.costs == other.costs
    }
}

/// Remembers who answered the name that was asked.
#[derive(Default)]
struct SelectedClaim(Option<ScopedClaim>);

impl Trace for SelectedClaim {
    fn claim(&mut self, _: &Name, _: usize, held: ScopedClaim, wins: bool) {
        if wins {
            self.0.get_or_insert(held);
        }
    }

    fn delegation(&mut self, _: &Referral) {}

    fn routing(&mut self, _: &Name, _: RecordType, _: &RoutingDecision<'_>) {}
}

/// What is known of missed changes already: they hang on the VPC, not on the subnet.
pub type SuggestionsOf<'m> = &'m mut dyn FnMut(&Outcome) -> Arc<[Suggestion]>;

impl Row {
    /// What a question comes to from a vantage. `None`: the resolver says nothing.
    pub fn of(
        tolls: &BillableHops<'_>,
        vantage: Vantage,
        question: &Arc<Question>,
        missed: SuggestionsOf<'_>,
    ) -> Option<Self> {
        let world = tolls.world();
        let mut first = SelectedClaim::default();
        // Others' TTLs count down by the time, and records are drawn by a number: neither is of interest here.
        let outcome = resolve(world, vantage, question, QueryContext::at(0), &mut first)?;
        let missed = missed(&outcome);
        let claim = first.0.filter(|_| !matches!(outcome.source, Source::Public | Source::SystemRule));
        let sets = &outcome.answer.answer;
        let is_address = |rtype: RecordType| matches!(rtype, RecordType::A | RecordType::AAAA);
        let mut records = Vec::new();
        for set in sets.iter().filter(|set| !is_address(set.rtype)) {
            let mut data: Vec<String> = set.rdatas.iter().map(|rdata| rdata.to_text(set.rtype)).collect();
            data.sort_unstable();
            records.extend(data.into_iter().map(|data| format!("{} {} {data}", set.owner, set.rtype)));
        }
        let ways = ways(tolls, vantage, &outcome);
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
            verdict: together(ways.iter().map(|way| way.verdict)),
            source: outcome.source,
            claim: claim.map(|held| claim_of(world, held.claim)),
            profile: claim.and_then(|held| match held.source {
                ClaimSource::Local => None,
                ClaimSource::Profile { profile, .. } => Some(world.profiles[profile].id.clone()),
            }),
            rcode: outcome.answer.rcode,
            records,
            ttls: sets
                .iter()
                .filter(|set| !set.ages)
                .map(|set| (set.owner.clone(), set.rtype, set.ttl))
                .collect(),
            ways,
            missed,
            is_unasked,
            stands_in: explain::stands_in(world, &outcome),
            reasons: outcome.reasons,
        })
    }

    /// The row of a resolver that says nothing.
    pub fn silent(question: &Arc<Question>) -> Self {
        Self {
            question: question.clone(),
            verdict: Verdict::None,
            source: Source::Refused,
            claim: None,
            profile: None,
            rcode: Rcode::SERVFAIL,
            records: Vec::new(),
            ttls: Vec::new(),
            ways: Vec::new(),
            reasons: Vec::new(),
            missed: Arc::from([]),
            is_unasked: false,
            stands_in: false,
        }
    }

    /// The name without the last dot.
    pub fn name(&self) -> String {
        let name = self.question.qname.to_string();
        name.strip_suffix('.').filter(|name| !name.is_empty()).unwrap_or(&name).to_owned()
    }

    /// Who answered: kind and id of the claim, or the source.
    pub fn answered_by(&self) -> String {
        match &self.claim {
            Some((kind, id)) => format!("{kind} {}", id.trim_end_matches('.')),
            None => self.source.as_str().to_owned(),
        }
    }

    /// Every reason of the row, each once.
    pub fn all_reasons(&self) -> Vec<Reason> {
        let mut all = Vec::new();
        let of_ways = self.ways.iter().flat_map(|way| way.path.reasons.iter());
        for reason in self.reasons.iter().chain(of_ways) {
            if !all.contains(reason) {
                all.push(*reason);
            }
        }
        all
    }

    /// The worst reach of its ways. `None`: there is no address, and so nothing to reach.
    pub fn reach(&self) -> Option<Reach> {
        let rank = |reach: &Reach| match reach {
            Reach::Ok => 0,
            Reach::Unknown => 1,
            Reach::Blocked => 2,
            Reach::Dead => 3,
        };
        let worst = self.ways.iter().map(|way| way.path.reach).max_by_key(rank);
        worst.or(self.is_unasked.then_some(Reach::Unknown))
    }

    /// Every address of the answer, in order.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let mut all: Vec<IpAddr> = self.ways.iter().flat_map(|way| way.addresses.iter().copied()).collect();
        all.sort_unstable();
        all
    }

    /// Whether the name has an address at all.
    pub fn has_address(&self) -> bool {
        !self.ways.is_empty()
    }
}

/// Whether a name is of a region whose public names no table has: China's, and others apart from the standard ones.
fn is_unlisted(name: &Name) -> bool {
    region_in_name(name.to_string().trim_end_matches('.')).is_some_and(|region| !has_standard_names(&region))
}

/// The verdict on several ways.
fn together(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    verdicts.reduce(|one, other| if one == other { one } else { Verdict::Mixed }).unwrap_or(Verdict::None)
}

/// The ways of an outcome, those that are told alike together.
fn ways(tolls: &BillableHops<'_>, vantage: Vantage, outcome: &Outcome) -> Vec<PathCell> {
    let mut ways: Vec<PathCell> = Vec::new();
    for one in &outcome.paths {
        let (verdict, lands) = (verdict(one.address, &one.path), lands(tolls.world(), &one.path));
        let like = |way: &&mut PathCell| way.verdict == verdict && way.path.has_same_annotation(&one.path);
        match ways.iter_mut().find(like) {
            Some(way) => {
                way.addresses.push(one.address);
                way.lands.extend(lands.filter(|lands| !way.lands.contains(lands)));
                for cost in tolls.on(vantage, one.address, &one.path) {
                    if !way.costs.contains(&cost) {
                        way.costs.push(cost);
                    }
                }
            }
            None => ways.push(PathCell {
                addresses: vec![one.address],
                path: one.path.clone(),
                verdict,
                lands: lands.into_iter().collect(),
                costs: tolls.on(vantage, one.address, &one.path),
            }),
        }
    }
    for way in &mut ways {
        way.addresses.sort_unstable();
        way.lands.sort_unstable();
        way.costs.sort_unstable();
    }
    ways.sort_by(|one, other| one.addresses.cmp(&other.addresses));
    ways
}

/// Whether an address is reached privately: it is no public one, or an endpoint carries it. One of DNS64 stands for the IPv4
/// address inside it.
fn verdict(address: IpAddr, path: &EgressPath) -> Verdict {
    let address = nat64_embedded(address).map_or(address, IpAddr::V4);
    let is_private = path.endpoint.is_some()
        || matches!(path.class, Class::GatewayEndpoint | Class::VpcLattice)
        || !is_globally_routed(address);
    if is_private { Verdict::Private } else { Verdict::Public }
}

/// Where a way ends, in few words.
fn lands(world: &World, path: &EgressPath) -> Option<String> {
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
