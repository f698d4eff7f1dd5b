//! Delegated zones: which name servers are queried, and through which DELEGATE rule (Route 53 Developer
//! Guide, "Resolver delegation rules tutorial").
//!
//! ```text
//!  NS records below a zone apex, or in a server's answer ──► DELEGATE rule whose delegation record matches their names
//!      ──► their addresses: from glue records, or looked up ──► query
//! ```

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::resolution::Next;
use super::trace::Trace;
use super::{ForwardTarget, QueryContext, Reply, Resolution, Source, Step};
use crate::dns::{Answer, Class, Ede, Name, Question, Rcode, RecordType, RrSet};
use crate::world::{
    Index, Names, Rule, Server, ServerTransport, Upstream, UpstreamIdentity, Vantage, Vpc, World, Zone,
};

/// Maximum nesting depth of lookups of server addresses. A delegation followed while looking up a server's
/// address counts twice: as the lookup of the address and as the referral found there.
const MAX_DEPTH: usize = 4;

/// Maximum number of servers of one zone whose addresses are looked up.
const MAX_SERVER_LOOKUPS: usize = 4;

/// The port of name servers.
const PORT: u16 = 53;

/// A delegated zone and the name servers that may be queried.
#[derive(Clone, Debug)]
pub struct Referral {
    /// The apex of the delegated zone.
    pub cut: Name,
    /// Its name servers that match the DELEGATE rule of the first matching one.
    pub servers: Vec<Name>,
    /// The DELEGATE rule through which they are queried.
    pub rule: Index<Rule>,
    /// Addresses from glue records.
    pub glue: Vec<IpAddr>,
}

/// The NS records by which a zone delegates the name of a question, if it does. DS records belong to the
/// parent (RFC 4035 section 3.1.4.1).
pub(super) fn cut<'z>(zone: &'z Zone, question: &Question) -> Option<&'z RrSet> {
    let servers = zone.delegation(&question.qname)?;
    (question.qtype != RecordType::DS || question.qname != servers.owner).then_some(servers)
}

/// The referral from NS records in a VPC. `None` if no DELEGATE rule matches any of the servers.
pub(super) fn referral(
    names: &Names,
    vpc: Index<Vpc>,
    servers: &RrSet,
    address_sets: impl Fn(&Name) -> Vec<RrSet>,
) -> Option<Referral> {
    let rules = &names.resolvers[vpc].delegations;
    let names = servers.rdatas.iter().filter_map(|rdata| rdata.target(RecordType::NS));
    let covered: Vec<(Name, Index<Rule>)> =
        names.filter_map(|name| rules.longest_match(&name).map(|rule| (name.clone(), *rule))).collect();
    let (_, rule) = *covered.first()?;
    let servers_of_rule = covered.into_iter().filter(|(_, other)| *other == rule).map(|(name, _)| name);
    let names: Vec<Name> = servers_of_rule.collect();
    let glue = names.iter().flat_map(address_sets).flat_map(|set| set.addresses(0).collect::<Vec<_>>());
    Some(Referral { cut: servers.owner.clone(), glue: glue.collect(), servers: names, rule })
}

/// The referral of a private hosted zone.
pub(super) fn of_zone(names: &Names, vpc: Index<Vpc>, zone: &Zone, servers: &RrSet) -> Option<Referral> {
    let addresses = |name: &Name| {
        let node = zone.node(name).filter(|_| name.is_at_or_below(zone.apex()));
        let sets =
            [RecordType::A, RecordType::AAAA].map(|rtype| node.and_then(|node| node.rrset(rtype)).cloned());
        sets.into_iter().flatten().collect()
    };
    referral(names, vpc, servers, addresses)
}

/// The referral in an upstream's answer to a question, below `above`.
pub(super) fn of_answer(
    names: &Names,
    vpc: Option<Index<Vpc>>,
    answer: &Answer,
    qname: &Name,
    above: &Name,
) -> Option<Referral> {
    let is_delegation = |set: &&RrSet| {
        set.rtype == RecordType::NS
            && qname.is_at_or_below(&set.owner)
            && set.owner.labels_below(above).is_some_and(|labels| labels > 0)
    };
    if answer.rcode != Rcode::NOERROR || !answer.answer.is_empty() {
        return None;
    }
    let servers = answer.authority.iter().find(is_delegation)?;
    let glue = |name: &Name| {
        let of_name = |set: &&RrSet| set.owner == *name && set.rtype != RecordType::NS;
        answer.authority.iter().filter(of_name).cloned().collect()
    };
    referral(names, vpc?, servers, glue)
}

/// The referral that a zone's server returns for a delegated name: the NS records and their glue
/// (RFC 1034 section 4.3.2).
pub(super) fn refer(zone: &Zone, servers: &RrSet) -> Answer {
    let mut answer = Answer::empty(Rcode::NOERROR);
    let names = servers.rdatas.iter().filter_map(|rdata| rdata.target(RecordType::NS));
    let nodes: Vec<_> = names.filter_map(|name| zone.node(&name)).collect();
    let is_address = |set: &&RrSet| matches!(set.rtype, RecordType::A | RecordType::AAAA);
    answer.authority.push(servers.clone());
    answer.authority.extend(nodes.iter().flat_map(|node| node.rrsets.iter().filter(is_address).cloned()));
    answer
}

/// The reply for a delegated name if no DELEGATE rule matches its servers. AWS does not document this case;
/// there is no server to query.
pub(super) fn no_rule_matches(servers: &RrSet) -> Reply {
    let names: Vec<String> = servers.rdatas.iter().map(|rdata| rdata.to_text(servers.rtype)).collect();
    let text = format!(
        "{} is delegated to {}, which no DELEGATE rule of this VPC matches",
        servers.owner,
        names.join(", ")
    );
    let answer = Answer::empty(Rcode::SERVFAIL).with_ede(Ede::new(Ede::NO_REACHABLE_AUTHORITY, text));
    Reply::new(answer, Source::PrivateHostedZone)
}

/// The servers at these addresses, queried from the outbound endpoint of a rule. `None` if there is no
/// address.
pub(super) fn upstream(names: &Names, rule: Index<Rule>, addresses: &[IpAddr]) -> Option<Arc<Upstream>> {
    let rule = &names.rules[rule];
    let server = |ip: &IpAddr| Server::new(SocketAddr::new(*ip, PORT), ServerTransport::Udp);
    let identity = UpstreamIdentity {
        servers: addresses.iter().map(server).collect(),
        order: rule.order,
        sources: rule.sources.clone(),
    };
    (!addresses.is_empty()).then(|| Arc::new(Upstream { name: rule.id.clone(), identity }))
}

/// A delegated zone whose servers are being determined.
#[derive(Debug)]
pub(super) struct Delegation {
    referral: Referral,
    /// Number of delegations followed so far.
    depth: usize,
    /// Number of lookups started: two for each server, one each for A and AAAA.
    lookup_count: usize,
    /// The lookup of a server's address.
    pending_lookup: Option<Box<Resolution>>,
    /// The servers, once their addresses are known.
    target: Option<ForwardTarget>,
}

impl Delegation {
    /// A delegation from a referral, at a nesting depth.
    pub(super) fn new(referral: Referral, depth: usize) -> Self {
        Self { referral, depth, lookup_count: 0, pending_lookup: None, target: None }
    }

    /// The apex of the zone.
    pub(super) fn cut(&self) -> &Name {
        &self.referral.cut
    }

    /// Whether the zone contains a name.
    pub(super) fn contains(&self, name: &Name) -> bool {
        name.is_at_or_below(&self.referral.cut)
    }

    /// The pending address lookup.
    pub(super) fn lookup(&mut self) -> Option<&mut Resolution> {
        self.pending_lookup.as_deref_mut()
    }

    /// The servers to query, or the lookup that is needed first.
    pub(super) fn next(
        &mut self,
        world: &World,
        vantage: Vantage,
        context: QueryContext,
        trace: &mut impl Trace,
    ) -> Next {
        let mut addresses = self.referral.glue.clone();
        while self.target.is_none() {
            if let Some(mut address_lookup) = self.pending_lookup.take() {
                match address_lookup.step(world, trace) {
                    Step::Forward(target, question) => {
                        self.pending_lookup = Some(address_lookup);
                        return Next::Pending(Step::Forward(target, question));
                    }
                    Step::Done(found) => {
                        let sets = found.iter().flat_map(|outcome| &outcome.answer.answer);
                        addresses.extend(sets.flat_map(|set| set.addresses(0).collect::<Vec<_>>()));
                    }
                }
            }
            self.target =
                upstream(&world.names, self.referral.rule, &addresses).map(ForwardTarget::NameServers);
            if self.target.is_none() && !self.start_next_lookup(vantage, context) {
                return Next::Reply(self.unreachable());
            }
        }
        match &self.target {
            Some(target) => Next::Forward(target.clone(), Source::ForwardRule),
            None => Next::Reply(self.unreachable()),
        }
    }

    /// Starts the lookup of the next server's address. Returns false if there is no other. A server within
    /// the zone that it serves cannot be looked up without glue.
    fn start_next_lookup(&mut self, vantage: Vantage, context: QueryContext) -> bool {
        let cut = &self.referral.cut;
        let outside = self.referral.servers.iter().filter(|name| !name.is_at_or_below(cut));
        let types = [RecordType::A, RecordType::AAAA];
        let mut wanted = outside.take(MAX_SERVER_LOOKUPS).flat_map(|name| types.map(|qtype| (name, qtype)));
        let Some((name, qtype)) = wanted.nth(self.lookup_count).filter(|_| self.depth <= MAX_DEPTH) else {
            return false;
        };
        let question = Question { qname: name.clone(), qtype, qclass: Class::IN };
        self.pending_lookup = Some(Box::new(Resolution::nested(vantage, &question, context, self.depth + 1)));
        self.lookup_count += 1;
        true
    }

    fn unreachable(&self) -> Reply {
        let Referral { cut, servers, .. } = &self.referral;
        let names: Vec<String> = servers.iter().map(ToString::to_string).collect();
        let text = format!("{cut} is delegated to {}, whose addresses are unknown", names.join(", "));
        let ede = Ede::new(Ede::NO_REACHABLE_AUTHORITY, text);
        Reply::new(Answer::empty(Rcode::SERVFAIL).with_ede(ede), Source::ForwardRule)
    }
}
