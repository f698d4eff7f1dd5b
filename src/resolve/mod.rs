//! Decisions: pure functions of a world, a vantage and a question. **Start here.**
//!
//! Resolution consists of two longest-match lookups, each followed by a loop:
//!
//! ```text
//!  question ──► decide ──► most specific claim on the name ──► Reply or Forward
//!                 ▲                                                │
//!                 └── Resolution: follows CNAMEs, bounded ◄────────┘
//!                                      │
//!                                      ▼
//!                     egress::path ──► longest prefix match for each address
//! ```
//!
//! Nothing here awaits, reads a clock, logs or updates metrics. The time is an argument.

mod clock;
mod delegation;
mod dname;
mod dns64;
pub mod egress;
mod hostname;
mod outcome;
mod path;
mod public;
mod reasons;
mod resolution;
mod routing;
mod special_use;
mod trace;
mod zone;

pub use clock::MonotonicSeconds;
pub use delegation::Referral;
pub use outcome::{AddressPath, Cacheability, Outcome, Source};
pub use path::{
    Class, Direction, DroppedAt, EgressPath, FilterId, FilterResult, Hop, MatchedRoute, NextRoute, PathEnd,
    Reach, Reason, RouteTableRef,
};
pub use resolution::{Resolution, Step, resolve, simulated_answer};
pub use routing::{MAX_VALUES, RoutingContext, RoutingDecision, Selection, choose};
pub use trace::{ConsideredClaim, NoTrace, Recorder, RoutingRecord, Trace};

use std::sync::Arc;

use crate::dns::{Answer, Ede, Name, Question, Rcode, RecordType};
use crate::world::{Claim, DnsSupportOff, Index, Names, Network, Rule, Upstream, ViewId};

/// Inputs of a decision besides the world: the current time and a random number.
#[derive(Clone, Copy, Debug)]
pub struct QueryContext {
    /// The current time in seconds, from any clock; TTLs of forwarded answers count down by it. The daemon
    /// uses a monotonic clock.
    pub now: u64,
    /// A random number for the selection of weighted records.
    pub random: u64,
}

impl QueryContext {
    /// The context at a time, with the random number 0.
    pub fn at(now_s: u64) -> Self {
        Self { now: now_s, random: 0 }
    }
}

/// How to answer a question.
#[derive(Debug)]
pub enum Decision {
    /// Send this reply.
    Reply(Reply),
    /// Forward the question.
    Forward {
        /// The upstream to forward to.
        target: ForwardTarget,
        /// The source reported for the answer.
        source: Source,
    },
    /// By following a delegation: the name servers of the delegated zone that contains the name answer.
    Refer(Box<Referral>),
    /// Send no reply: DNS support is disabled for the VPC.
    NoReply,
}

/// The upstream that a question is forwarded to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardTarget {
    /// The targets of a FORWARD rule.
    Rule(Index<Rule>),
    /// The servers configured for the internet.
    Internet,
    /// The name servers of a delegated zone.
    NameServers(Arc<Upstream>),
}

impl ForwardTarget {
    /// The servers of this target. `None` if it has none.
    pub fn upstream<'w>(&'w self, names: &'w Names) -> Option<&'w Upstream> {
        match self {
            Self::Rule(rule) => names.rules[*rule].upstream.map(|index| &names.upstreams[index]),
            Self::Internet => names.internet.map(|index| &names.upstreams[index]),
            Self::NameServers(upstream) => Some(upstream),
        }
    }
}

/// The reply to one question; a CNAME in it has not been followed.
#[derive(Debug)]
pub struct Reply {
    /// The records.
    pub answer: Answer,
    /// The source of the answer.
    pub source: Source,
    /// Type and target of an alias record: the answer must contain the target's records of that type.
    pub alias: Option<(RecordType, Name)>,
    /// How long the reply may be cached.
    pub cacheability: Cacheability,
}

impl Reply {
    /// A reply that is not an alias and is cacheable for the generation of its world.
    pub fn new(answer: Answer, source: Source) -> Self {
        Self { answer, source, alias: None, cacheability: Cacheability::Generation }
    }
}

/// Decides how to answer one question in one view.
///
/// Rules, hosted zones, endpoint private DNS and generated names are all claims; the most specific claim
/// answers, regardless of its kind. A name without a claim is resolved via public DNS.
pub fn decide(
    names: &Names,
    network: &Network,
    view: ViewId,
    question: &Question,
    context: QueryContext,
    trace: &mut impl Trace,
) -> Decision {
    let vpc = names.views[view].vpc();
    if vpc.is_some_and(|vpc| !network.vpcs[vpc].dns_support) {
        return dns_support_off(names);
    }
    if names.views[view].dns64
        && let Some(reply) = dns64::reverse(question, names.answers.generated_name_ttl)
    {
        return Decision::Reply(reply);
    }
    if let Some(reply) = special_use::resolver_name_reply(names, view, question) {
        return Decision::Reply(reply);
    }
    let (claim, by_system_rule) = winning_claim(names, view, question, trace);
    let mut reply = match claim {
        Some(Claim::ForwardRule(rule)) => {
            return Decision::Forward { target: ForwardTarget::Rule(rule), source: Source::ForwardRule };
        }
        Some(Claim::HostedZone(index)) => {
            let zone = &names.hosted_zones[index].zone;
            match delegation::cut(zone, question) {
                Some(servers) => match vpc.and_then(|vpc| delegation::of_zone(names, vpc, zone, servers)) {
                    Some(referral) => return Decision::Refer(Box::new(referral)),
                    // An NS query for the delegation point itself is answered with its NS records.
                    None if question.qtype == RecordType::NS && question.qname == servers.owner => {
                        Reply::new(Answer::noerror(vec![servers.clone()]), Source::PrivateHostedZone)
                    }
                    None => delegation::no_rule_matches(servers),
                },
                None => {
                    let context = routing_context(names, network, view, context);
                    zone::answer_routed(zone, question, Source::PrivateHostedZone, &context, trace)
                }
            }
        }
        Some(Claim::Endpoint(index)) => {
            zone::answer(&names.managed_zones[index].zone, question, Source::Endpoint)
        }
        Some(Claim::GeneratedName(index)) => hostname::answer(
            names,
            network,
            vpc,
            &names.internal_domains[index],
            Source::GeneratedName,
            question,
        ),
        Some(Claim::Reverse(index)) => {
            hostname::answer(names, network, vpc, &names.internal_domains[index], Source::Reverse, question)
        }
        Some(Claim::SystemRule(_) | Claim::PublicHostName(_)) | None => {
            match public::answer(names, network, view, question, context.now) {
                Some(reply) => reply,
                None => {
                    return Decision::Forward {
                        target: ForwardTarget::Internet,
                        source: public_source(by_system_rule),
                    };
                }
            }
        }
    };
    if reply.source == Source::Public {
        reply.source = public_source(by_system_rule);
    }
    Decision::Reply(reply)
}

/// The inputs of routing policies.
fn routing_context<'w>(
    names: &'w Names,
    network: &'w Network,
    view: ViewId,
    context: QueryContext,
) -> RoutingContext<'w> {
    let region = names.views[view].vpc().map(|vpc| &network.vpcs[vpc].region);
    RoutingContext { region, region_locations: &names.public.facts.regions, random: context.random }
}

fn public_source(by_system_rule: bool) -> Source {
    if by_system_rule { Source::SystemRule } else { Source::Public }
}

/// The claim that answers, and whether a SYSTEM rule selected it.
///
/// A SYSTEM rule does not answer by itself: it selects the most specific claim for the name that is not a
/// FORWARD rule. This is an assumption of the project; AWS documents only that such queries are resolved
/// locally.
fn winning_claim(
    names: &Names,
    view: ViewId,
    question: &Question,
    trace: &mut impl Trace,
) -> (Option<Claim>, bool) {
    let mut covering = names.claims.covering(names.views[view].claims, &question.qname);
    let mut first = None;
    let mut chosen = None;
    for (labels, scoped) in &mut covering {
        let claim = scoped.claim;
        let is_selected = match (first, claim) {
            (None, Claim::SystemRule(_)) => {
                first = Some(claim);
                false
            }
            (None, _) => true,
            (Some(_), Claim::ForwardRule(_) | Claim::SystemRule(_)) => false,
            (Some(_), _) => true,
        };
        trace.claim(&question.qname, labels, scoped, is_selected);
        if is_selected {
            first = first.or(Some(claim));
            chosen = Some(claim);
            break;
        }
    }
    for (labels, scoped) in covering {
        trace.claim(&question.qname, labels, scoped, false);
    }
    (chosen, matches!(first, Some(Claim::SystemRule(_))))
}

/// The reply if DNS support is disabled. AWS documents only that queries do not succeed.
fn dns_support_off(names: &Names) -> Decision {
    let rcode = match names.answers.dns_support_off {
        DnsSupportOff::Silent => return Decision::NoReply,
        DnsSupportOff::Refused => Rcode::REFUSED,
        DnsSupportOff::Servfail => Rcode::SERVFAIL,
    };
    let ede = Ede::new(Ede::OTHER, "DNS support is disabled for this VPC (enableDnsSupport)");
    Decision::Reply(Reply::new(Answer::empty(rcode).with_ede(ede), Source::Refused))
}
