//! Decisions: pure functions of a world, a vantage and a question. **Start here.**
//!
//! The product is two longest matches with a fold between them:
//!
//! ```text
//!  question ──► decide ──► the deepest claim on the name ──► Reply or Ask
//!                 ▲                                            │
//!                 └── Resolution: follows CNAMEs, bounded ◄────┘
//!                                      │
//!                                      ▼
//!                     egress::path ──► the longest prefix for each address
//! ```
//!
//! Nothing here waits, reads a clock, logs or counts. Time comes in as an argument.

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
    Class, Direction, EgressPath, End, Filter, FilterId, Hop, Later, LaterTable, Lost, Matched, Reach, Reason,
};
pub use resolution::{Resolution, Step, resolve, simulated_answer};
pub use routing::{Asker, Choice, Chosen, MOST_VALUES, choose};
pub use trace::{ClaimSeen, Recorder, RoutingSeen, Silent, Trace};

use std::sync::Arc;

use crate::dns::{Answer, Ede, Name, Question, Rcode, RecordType};
use crate::world::{Claim, DnsSupportOff, Index, Rule, Upstream, ViewId, World};

/// When a question is asked, and with what luck: all that a decision takes in besides the world.
#[derive(Clone, Copy, Debug)]
pub struct QueryContext {
    /// The time in seconds, by any clock: TTLs of others count down by it. The daemon's is monotonic.
    pub now: u64,
    /// A random number, which weighted records are drawn by.
    pub random: u64,
}

impl QueryContext {
    /// A time at which the first of what could be drawn is.
    pub fn at(now_s: u64) -> Self {
        Self { now: now_s, random: 0 }
    }
}

/// What to do with one question.
#[derive(Debug)]
pub enum Decision {
    /// Answer this.
    Reply(Reply),
    /// Ask somebody else.
    Ask {
        /// Whom.
        whom: ForwardTarget,
        /// What their answer counts as.
        source: Source,
    },
    /// The name lies in a zone that other name servers have.
    Refer(Box<Referral>),
    /// Say nothing: the VPC's DNS support is off.
    Silence,
}

/// Who else is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardTarget {
    /// The targets of a FORWARD rule.
    Rule(Index<Rule>),
    /// The servers that stand for the internet.
    Internet,
    /// The name servers of a delegated zone.
    NameServers(Arc<Upstream>),
}

impl ForwardTarget {
    /// Their servers. `None`: there is nobody.
    pub fn upstream<'w>(&'w self, world: &'w World) -> Option<&'w Upstream> {
        match self {
            Self::Rule(rule) => world.rules[*rule].upstream.map(|index| &world.upstreams[index]),
            Self::Internet => world.internet.map(|index| &world.upstreams[index]),
            Self::NameServers(upstream) => Some(upstream),
        }
    }
}

/// A decided answer to one question; a CNAME in it is not yet followed.
#[derive(Debug)]
pub struct Reply {
    /// The records.
    pub answer: Answer,
    /// What answered.
    pub source: Source,
    /// An alias record's type and target, whose records of that type the answer is to have.
    pub alias: Option<(RecordType, Name)>,
    /// Whether the same would be decided again.
    pub keep: Cacheability,
}

impl Reply {
    /// A reply that leads nowhere else and stays as long as its world.
    pub fn of(answer: Answer, source: Source) -> Self {
        Self { answer, source, alias: None, keep: Cacheability::Generation }
    }
}

/// Decides what to do with one question in one view.
///
/// This is the order of the house. Rules, hosted zones, endpoints' private names and generated names are
/// all claims; the deepest wins, whatever its kind. What nothing claims is public.
pub fn decide(
    world: &World,
    view: ViewId,
    question: &Question,
    occasion: QueryContext,
    trace: &mut impl Trace,
) -> Decision {
    let vpc = world.views[view].vpc();
    if vpc.is_some_and(|vpc| !world.vpcs[vpc].dns_support) {
        return without_dns_support(world);
    }
    if world.views[view].dns64
        && let Some(reply) = dns64::reverse(question, world.answers.generated_name_ttl)
    {
        return Decision::Reply(reply);
    }
    if let Some(reply) = special_use::about_resolver(world, view, question) {
        return Decision::Reply(reply);
    }
    let (claim, by_system_rule) = winning_claim(world, view, question, trace);
    let mut reply = match claim {
        Some(Claim::ForwardRule(rule)) => {
            return Decision::Ask { whom: ForwardTarget::Rule(rule), source: Source::ForwardRule };
        }
        Some(Claim::HostedZone(index)) => {
            let zone = &world.hosted_zones[index].zone;
            match delegation::cut(zone, question) {
                Some(servers) => match vpc.and_then(|vpc| delegation::of_zone(world, vpc, zone, servers)) {
                    Some(referral) => return Decision::Refer(Box::new(referral)),
                    // The records themselves stand here.
                    None if question.qtype == RecordType::NS && question.qname == servers.owner => {
                        Reply::of(Answer::of(vec![servers.clone()]), Source::PrivateHostedZone)
                    }
                    None => delegation::lame(servers),
                },
                None => {
                    let asker = asker(world, view, occasion);
                    zone::answer_routed(zone, question, Source::PrivateHostedZone, &asker, trace)
                }
            }
        }
        Some(Claim::Endpoint(index)) => {
            zone::answer(&world.managed_zones[index].zone, question, Source::Endpoint)
        }
        Some(Claim::GeneratedName(index)) => {
            hostname::answer(world, vpc, &world.internal_domains[index], Source::GeneratedName, question)
        }
        Some(Claim::Reverse(index)) => {
            hostname::answer(world, vpc, &world.internal_domains[index], Source::Reverse, question)
        }
        Some(Claim::SystemRule(_) | Claim::PublicHostName(_)) | None => {
            match public::known(world, view, question, occasion.now) {
                Some(reply) => reply,
                None => {
                    return Decision::Ask {
                        whom: ForwardTarget::Internet,
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

/// Who asks, as far as routing policies care.
fn asker(world: &World, view: ViewId, occasion: QueryContext) -> Asker<'_> {
    let region = world.views[view].vpc().map(|vpc| &world.vpcs[vpc].region);
    Asker { region, places: &world.public.facts.regions, draw: occasion.random }
}

fn public_source(by_system_rule: bool) -> Source {
    if by_system_rule { Source::SystemRule } else { Source::Public }
}

/// The claim that answers, and whether a SYSTEM rule chose it.
///
/// A SYSTEM rule is no answer of its own: of the claims that cover the name it takes the deepest that is
/// no FORWARD rule. That is this project's reading; AWS only says that such queries are resolved locally.
fn winning_claim(
    world: &World,
    view: ViewId,
    question: &Question,
    trace: &mut impl Trace,
) -> (Option<Claim>, bool) {
    let mut covering = world.claims.covering(world.views[view].claims, &question.qname);
    let mut first = None;
    let mut chosen = None;
    for (labels, held) in &mut covering {
        let claim = held.claim;
        let wins = match (first, claim) {
            (None, Claim::SystemRule(_)) => {
                first = Some(claim);
                false
            }
            (None, _) => true,
            (Some(_), Claim::ForwardRule(_) | Claim::SystemRule(_)) => false,
            (Some(_), _) => true,
        };
        trace.claim(&question.qname, labels, held, wins);
        if wins {
            first = first.or(Some(claim));
            chosen = Some(claim);
            break;
        }
    }
    for (labels, held) in covering {
        trace.claim(&question.qname, labels, held, false);
    }
    (chosen, matches!(first, Some(Claim::SystemRule(_))))
}

/// What is said where DNS support is off. AWS only says that queries do not succeed.
fn without_dns_support(world: &World) -> Decision {
    let rcode = match world.answers.dns_support_off {
        DnsSupportOff::Silent => return Decision::Silence,
        DnsSupportOff::Refused => Rcode::REFUSED,
        DnsSupportOff::Servfail => Rcode::SERVFAIL,
    };
    let ede = Ede::new(Ede::OTHER, "DNS support is off in this VPC (enableDnsSupport)");
    Decision::Reply(Reply::of(Answer::empty(rcode).with_ede(ede), Source::Refused))
}
