//! Delegated zones: which name servers are asked, and through which DELEGATE rule (Route 53 Developer Guide,
//! "Resolver delegation rules tutorial").
//!
//! ```text
//!  NS records below a zone's top, or in a server's answer ──► DELEGATE rule whose delegation record covers their names
//!      ──► their addresses: beside the NS records, else looked up ──► the server is asked
//! ```

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::resolution::Next;
use super::trace::Trace;
use super::{ForwardTarget, QueryContext, Reply, Resolution, Source, Step};
use crate::dns::{Answer, Class, Ede, Name, Question, Rcode, RecordType, RrSet};
use crate::world::{
    Index, Rule, Server, ServerTransport, Upstream, UpstreamIdentity, Vantage, Vpc, World, Zone,
};

/// How deep look-ups may stand in each other for a server's address to be looked up. A delegation on the way to a
/// server's address counts twice: as the look-up of the address, and as the referral that it meets.
const MAX_DEPTH: usize = 4;

/// Of how many servers of one zone the address is looked up.
const MAX_LOOKED_UP: usize = 4;

/// The port of name servers.
const PORT: u16 = 53;

/// A zone that others serve, and who may be asked.
#[derive(Clone, Debug)]
pub struct Referral {
    /// The delegated zone's top.
    pub cut: Name,
    /// Its name servers that a DELEGATE rule covers, with the rule. All of them go by the first one's rule.
    pub servers: Vec<Name>,
    /// That rule.
    pub rule: Index<Rule>,
    /// Addresses that stand beside the NS records.
    pub glue: Vec<IpAddr>,
}

/// Where a zone delegates a question's name, if it does. The DS record stands above the cut (RFC 4035 3.1.4.1).
pub fn cut<'z>(zone: &'z Zone, question: &Question) -> Option<&'z RrSet> {
    let servers = zone.cut(&question.qname)?;
    (question.qtype != RecordType::DS || question.qname != servers.owner).then_some(servers)
}

/// The referral that NS records make in a VPC. `None`: no DELEGATE rule covers any of the servers.
pub fn referral(
    world: &World,
    vpc: Index<Vpc>,
    servers: &RrSet,
    address_sets: impl Fn(&Name) -> Vec<RrSet>,
) -> Option<Referral> {
    let rules = &world.vpcs[vpc].delegations;
    let names = servers.rdatas.iter().filter_map(|rdata| rdata.target(RecordType::NS));
    let covered: Vec<(Name, Index<Rule>)> =
        names.filter_map(|name| rules.longest(&name).map(|rule| (name.clone(), *rule))).collect();
    let (_, rule) = *covered.first()?;
    let servers_of_rule = covered.into_iter().filter(|(_, other)| *other == rule).map(|(name, _)| name);
    let names: Vec<Name> = servers_of_rule.collect();
    let glue = names.iter().flat_map(address_sets).flat_map(|set| set.addresses(0).collect::<Vec<_>>());
    Some(Referral { cut: servers.owner.clone(), glue: glue.collect(), servers: names, rule })
}

/// The referral of a private hosted zone.
pub fn of_zone(world: &World, vpc: Index<Vpc>, zone: &Zone, servers: &RrSet) -> Option<Referral> {
    let addresses = |name: &Name| {
        let node = zone.node(name).filter(|_| name.is_at_or_below(zone.apex()));
        let sets =
            [RecordType::A, RecordType::AAAA].map(|rtype| node.and_then(|node| node.rrset(rtype)).cloned());
        sets.into_iter().flatten().collect()
    };
    referral(world, vpc, servers, addresses)
}

/// The referral in an answer that somebody else gave to a question, below `above`.
pub fn of_answer(
    world: &World,
    vpc: Option<Index<Vpc>>,
    answer: &Answer,
    qname: &Name,
    above: &Name,
) -> Option<Referral> {
    let leads_down = |set: &&RrSet| {
        set.rtype == RecordType::NS
            && qname.is_at_or_below(&set.owner)
            && set.owner.labels_below(above).is_some_and(|labels| labels > 0)
    };
    if answer.rcode != Rcode::NOERROR || !answer.answer.is_empty() {
        return None;
    }
    let servers = answer.authority.iter().find(leads_down)?;
    let beside = |name: &Name| {
        let of_name = |set: &&RrSet| set.owner == *name && set.rtype != RecordType::NS;
        answer.authority.iter().filter(of_name).cloned().collect()
    };
    referral(world, vpc?, servers, beside)
}

/// What a zone's server answers to a question about a delegated name: the NS records, and the addresses it has for
/// them (RFC 1034 4.3.2).
pub fn refer(zone: &Zone, servers: &RrSet) -> Answer {
    let mut answer = Answer::empty(Rcode::NOERROR);
    let names = servers.rdatas.iter().filter_map(|rdata| rdata.target(RecordType::NS));
    let nodes: Vec<_> = names.filter_map(|name| zone.node(&name)).collect();
    let is_address = |set: &&RrSet| matches!(set.rtype, RecordType::A | RecordType::AAAA);
    answer.authority.push(servers.clone());
    answer.authority.extend(nodes.iter().flat_map(|node| node.rrsets.iter().filter(is_address).cloned()));
    answer
}

/// What is said of a delegated name whose servers no DELEGATE rule covers. AWS does not say; there is nobody to ask.
pub fn lame(servers: &RrSet) -> Reply {
    let names: Vec<String> = servers.rdatas.iter().map(|rdata| rdata.to_text(servers.rtype)).collect();
    let text = format!(
        "{} is delegated to {}, which no DELEGATE rule of this VPC covers",
        servers.owner,
        names.join(", ")
    );
    let answer = Answer::empty(Rcode::SERVFAIL).with_ede(Ede::new(Ede::NO_REACHABLE_AUTHORITY, text));
    Reply::of(answer, Source::PrivateHostedZone)
}

/// The servers at these addresses, asked from the outbound endpoint of a rule. `None`: there is no address.
pub fn upstream(world: &World, rule: Index<Rule>, addresses: &[IpAddr]) -> Option<Arc<Upstream>> {
    let rule = &world.rules[rule];
    let server = |ip: &IpAddr| Server::new(SocketAddr::new(*ip, PORT), ServerTransport::Udp);
    let identity = UpstreamIdentity {
        servers: addresses.iter().map(server).collect(),
        order: rule.order,
        sources: rule.sources.clone(),
    };
    (!addresses.is_empty()).then(|| Arc::new(Upstream { name: rule.id.clone(), identity }))
}

/// A delegated zone on the way to its servers.
#[derive(Debug)]
pub struct Delegated {
    referral: Referral,
    /// How many delegations led here.
    depth: usize,
    /// How many look-ups were made: two for each server, for its IPv4 and its IPv6 addresses.
    tried: usize,
    /// The look-up of a server's address.
    looking: Option<Box<Resolution>>,
    /// The servers, once their addresses are known.
    whom: Option<ForwardTarget>,
}

impl Delegated {
    /// Begins with a referral, which is the `depth`th.
    pub fn new(referral: Referral, depth: usize) -> Self {
        Self { referral, depth, tried: 0, looking: None, whom: None }
    }

    /// The zone's top.
    pub fn cut(&self) -> &Name {
        &self.referral.cut
    }

    /// Whether a name lies in the zone.
    pub fn holds(&self, name: &Name) -> bool {
        name.is_at_or_below(&self.referral.cut)
    }

    /// The look-up that waits for an answer.
    pub fn looking(&mut self) -> Option<&mut Resolution> {
        self.looking.as_deref_mut()
    }

    /// The servers to ask, or what must be known of them first.
    pub fn next(
        &mut self,
        world: &World,
        vantage: Vantage,
        occasion: QueryContext,
        trace: &mut impl Trace,
    ) -> Next {
        let mut addresses = self.referral.glue.clone();
        while self.whom.is_none() {
            if let Some(mut looking) = self.looking.take() {
                match looking.step(world, trace) {
                    Step::Ask(whom, question) => {
                        self.looking = Some(looking);
                        return Next::Look(Step::Ask(whom, question));
                    }
                    Step::Done(found) => {
                        let sets = found.iter().flat_map(|outcome| &outcome.answer.answer);
                        addresses.extend(sets.flat_map(|set| set.addresses(0).collect::<Vec<_>>()));
                    }
                }
            }
            self.whom = upstream(world, self.referral.rule, &addresses).map(ForwardTarget::NameServers);
            if self.whom.is_none() && !self.look_up_next(vantage, occasion) {
                return Next::Reply(self.unreachable());
            }
        }
        match &self.whom {
            Some(whom) => Next::Ask(whom.clone(), Source::ForwardRule),
            None => Next::Reply(self.unreachable()),
        }
    }

    /// Begins to look up the next server's address. False: there is no other. A server's name in the zone that it
    /// serves leads nowhere without an address beside it.
    fn look_up_next(&mut self, vantage: Vantage, occasion: QueryContext) -> bool {
        let cut = &self.referral.cut;
        let outside = self.referral.servers.iter().filter(|name| !name.is_at_or_below(cut));
        let types = [RecordType::A, RecordType::AAAA];
        let mut wanted = outside.take(MAX_LOOKED_UP).flat_map(|name| types.map(|qtype| (name, qtype)));
        let Some((name, qtype)) = wanted.nth(self.tried).filter(|_| self.depth <= MAX_DEPTH) else {
            return false;
        };
        let question = Question { qname: name.clone(), qtype, qclass: Class::IN };
        self.looking = Some(Box::new(Resolution::below(vantage, &question, occasion, self.depth + 1)));
        self.tried += 1;
        true
    }

    fn unreachable(&self) -> Reply {
        let Referral { cut, servers, .. } = &self.referral;
        let names: Vec<String> = servers.iter().map(ToString::to_string).collect();
        let text = format!("{cut} is delegated to {}, whose addresses are not known", names.join(", "));
        let ede = Ede::new(Ede::NO_REACHABLE_AUTHORITY, text);
        Reply::of(Answer::empty(Rcode::SERVFAIL).with_ede(ede), Source::ForwardRule)
    }
}
