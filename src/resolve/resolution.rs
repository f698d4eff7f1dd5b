//! Resolution of one question: [`decide`] is repeated for each CNAME or alias target, up to a
//! limit.

use std::sync::Arc;

use super::delegation::Delegation;
use super::dname::{self, DnameResult};
use super::reasons;
use super::trace::Trace;
use super::{
    Cacheability, Decision, ForwardTarget, Outcome, QueryContext, Reason, Referral, Reply, Source, decide,
    delegation, dns64, egress, public, zone,
};
use crate::dns::{Answer, Ede, Name, Question, Rcode, RecordType, RrSet};
use crate::world::{Server, Upstream, Vantage, World};

/// Maximum number of CNAMEs and aliases per question.
const MAX_ALIASES: usize = 16;

/// The random number is divided by this after each draw, so that draws at consecutive names of a chain are
/// independent. It is a prime greater than the sum of weights of one name and type. Route 53 allows three
/// levels of aliases; a 64-bit random number suffices for four.
const RANDOM_DIVISOR: u64 = 65_521;

/// Resolves a question without forwarding it: only simulated name servers answer, and the sealed internet is
/// used instead of the real one. `None` if no reply is sent.
pub fn resolve(
    world: &World,
    vantage: Vantage,
    question: &Question,
    context: QueryContext,
    trace: &mut impl Trace,
) -> Option<Outcome> {
    let mut resolution = Resolution::new(vantage, question, context);
    loop {
        match resolution.step(world, trace) {
            Step::Done(outcome) => return outcome.map(|outcome| *outcome),
            Step::Forward(target, question) => {
                let answer = match &target {
                    ForwardTarget::Internet => public::sealed(&world.names, &question, context.now),
                    ForwardTarget::Rule(_) | ForwardTarget::NameServers(_) => {
                        simulated_answer(world, &target, &question, context.now)
                            .unwrap_or_else(|| offline_answer(target.upstream(&world.names)))
                    }
                };
                resolution.supply_answer(target, answer, Cacheability::Generation);
            }
        }
    }
}

/// A question being resolved.
#[derive(Debug)]
pub struct Resolution {
    vantage: Vantage,
    question: Question,
    /// The name being looked up: the query name, or the target of a CNAME or alias.
    current: Question,
    context: QueryContext,
    /// The records so far.
    chain: Vec<RrSet>,
    /// The source of the answer to the query name.
    source: Option<Source>,
    followed: usize,
    alias: Option<PendingAlias>,
    /// The part of an upstream's answer that has not been used yet: it may contain a whole chain.
    upstream_answer: Option<UpstreamAnswer>,
    /// Extended errors of upstream answers.
    upstream_edes: Vec<Ede>,
    /// The delegated zone that contains the current name.
    delegated: Option<Delegation>,
    /// Number of delegations followed.
    referrals: usize,
    /// The answer to the AAAA question, while A records are looked up instead.
    without_aaaa: Option<Answer>,
    /// Whether AAAA records were synthesised.
    is_synthesised: bool,
    /// How long the outcome may be cached.
    cacheability: Cacheability,
}

/// An answer of an upstream.
#[derive(Debug)]
struct UpstreamAnswer {
    /// The upstream.
    target: ForwardTarget,
    /// The unused part of the answer.
    answer: Answer,
    /// Whether a part has been used: the rest was not queried by name and may contain no record for the
    /// current name.
    is_remainder: bool,
}

/// An alias record whose target is looked up: the records are returned under its own name, without the chain
/// to them.
#[derive(Debug)]
struct PendingAlias {
    owner: Name,
    /// The type of the records.
    rtype: RecordType,
    soa: Vec<RrSet>,
    /// Number of record sets before the alias.
    chain_len: usize,
}

/// The next step for a name.
pub(super) enum Next {
    /// Use this reply.
    Reply(Reply),
    /// Forward the question and record this source for the answer.
    Forward(ForwardTarget, Source),
    /// The address of a name server must be looked up first.
    Pending(Step),
    /// Send no reply.
    NoReply,
}

/// What a resolution needs next.
#[derive(Debug)]
pub enum Step {
    /// The resolution is complete. The outcome is `None` if no reply is sent.
    Done(Option<Box<Outcome>>),
    /// Forward this question and pass the answer to [`Resolution::supply_answer`].
    Forward(ForwardTarget, Question),
}

impl Resolution {
    /// Starts the resolution of a question from a vantage.
    pub fn new(vantage: Vantage, question: &Question, context: QueryContext) -> Self {
        Self {
            vantage,
            question: question.clone(),
            current: question.clone(),
            context,
            chain: Vec::new(),
            source: None,
            followed: 0,
            alias: None,
            upstream_answer: None,
            upstream_edes: Vec::new(),
            delegated: None,
            referrals: 0,
            without_aaaa: None,
            is_synthesised: false,
            cacheability: Cacheability::Generation,
        }
    }

    /// Starts a resolution nested in another one, at a depth of delegations.
    pub(super) fn nested(
        vantage: Vantage,
        question: &Question,
        context: QueryContext,
        referrals: usize,
    ) -> Self {
        Self { referrals, ..Self::new(vantage, question, context) }
    }

    /// Supplies the requested answer and how long it may be cached. Its TTLs count down, because it is from
    /// an upstream.
    pub fn supply_answer(&mut self, target: ForwardTarget, mut answer: Answer, cacheability: Cacheability) {
        self.cacheability = self.cacheability.and(cacheability);
        if let Some(lookup) = self.delegated.as_mut().and_then(Delegation::lookup) {
            lookup.supply_answer(target, answer, cacheability);
            return;
        }
        for set in answer.answer.iter_mut().chain(&mut answer.authority) {
            set.ages = true;
        }
        Ede::add_upstream(&mut self.upstream_edes, std::mem::take(&mut answer.upstream_edes));
        self.upstream_answer = Some(UpstreamAnswer { target, answer, is_remainder: false });
    }

    /// Continues until the resolution is complete or an upstream must be queried. All steps must use the same
    /// world.
    pub fn step(&mut self, world: &World, trace: &mut impl Trace) -> Step {
        loop {
            let reply = match self.next(world, trace) {
                Next::Reply(reply) => reply,
                Next::Forward(target, source) => {
                    if let Some(referral) = self.upstream_referral(world, &target) {
                        self.upstream_answer = None;
                        self.refer(referral, trace);
                        continue;
                    }
                    match self.take_upstream_records(&target, source) {
                        Some(reply) => reply,
                        None => return Step::Forward(target, self.current.clone()),
                    }
                }
                Next::Pending(step) => return step,
                Next::NoReply => return Step::Done(None),
            };
            if let Some(answer) = self.append(reply).and_then(|answer| self.apply_dns64(world, answer)) {
                return Step::Done(Some(Box::new(self.finish(world, answer))));
            }
        }
    }

    /// Determines what to do for the current name.
    fn next(&mut self, world: &World, trace: &mut impl Trace) -> Next {
        loop {
            let qname = &self.current.qname;
            self.delegated = self.delegated.take().filter(|delegation| delegation.contains(qname));
            if let Some(delegated) = &mut self.delegated {
                let next = delegated.next(world, self.vantage, self.context, trace);
                if matches!(next, Next::Reply(_)) {
                    self.upstream_answer = None;
                }
                return next;
            }
            match decide(&world.names, &world.network, self.vantage.view, &self.current, self.context, trace)
            {
                Decision::Reply(reply) => {
                    self.upstream_answer = None;
                    return Next::Reply(reply);
                }
                Decision::Forward { target, source } => return Next::Forward(target, source),
                Decision::Refer(referral) => self.refer(*referral, trace),
                Decision::NoReply => return Next::NoReply,
            }
        }
    }

    /// Continues the resolution in a delegated zone.
    fn refer(&mut self, referral: Referral, trace: &mut impl Trace) {
        trace.delegation(&referral);
        self.referrals += 1;
        self.delegated = Some(Delegation::new(referral, self.referrals));
    }

    /// The delegation in an upstream's answer, if a DELEGATE rule matches it.
    fn upstream_referral(&self, world: &World, target: &ForwardTarget) -> Option<Referral> {
        let UpstreamAnswer { answer, .. } =
            self.upstream_answer.as_ref().filter(|upstream_answer| upstream_answer.target == *target)?;
        let above = match (&self.delegated, target) {
            (Some(delegated), _) => delegated.cut(),
            (None, ForwardTarget::Rule(rule)) => &world.names.rules[*rule].domain,
            // Public DNS is provided by resolvers, which do not return referrals.
            (None, _) => return None,
        };
        let vpc = world.names.views[self.vantage.view].vpc();
        delegation::of_answer(&world.names, vpc, answer, &self.current.qname, above)
    }

    /// The part of an upstream's answer that concerns the current name.
    ///
    /// Only records of that name are used, a DNAME above it, and those of a CNAME's target when the CNAME is
    /// followed: other records were not queried (RFC 2181 section 5.4.1), and names with a private claim
    /// are answered locally.
    ///
    /// `None` if there is no answer yet, or if its unused part contains no record for the name.
    fn take_upstream_records(&mut self, target: &ForwardTarget, source: Source) -> Option<Reply> {
        let UpstreamAnswer { answer, is_remainder, .. } =
            self.upstream_answer.as_mut().filter(|upstream_answer| upstream_answer.target == *target)?;
        let (qname, qtype) = (&self.current.qname, self.current.qtype);
        let (mut here, mut rest): (Vec<RrSet>, Vec<RrSet>) =
            answer.answer.drain(..).partition(|set| set.answers(qname, qtype));
        match dname::redirect(&mut rest, &here, qname) {
            Some(DnameResult::To(records)) => here = records,
            Some(DnameResult::TooLong(dname)) => {
                self.upstream_answer = None;
                return Some(Reply::new(dname::too_long(*dname), source));
            }
            Some(DnameResult::Ambiguous(text)) => {
                self.upstream_answer = None;
                return Some(Reply::new(unusable(text), source));
            }
            None => {}
        }
        let is_redirected = here.last().is_some_and(|set| redirection(set, qtype).is_some());
        if is_redirected
            && (!rest.is_empty() || answer.rcode != Rcode::NOERROR || !answer.authority.is_empty())
        {
            // The rest concerns the target of the CNAME.
            (answer.answer, *is_remainder) = (rest, true);
            return Some(Reply::new(Answer::noerror(here), source));
        }
        if here.is_empty()
            && answer.rcode == Rcode::NOERROR
            && answer.authority.is_empty()
            && !rest.is_empty()
        {
            let is_first = !*is_remainder;
            self.upstream_answer = None;
            let other = |set: &RrSet| format!("{} {}", set.owner, set.rtype);
            let others = rest.first().map(other).unwrap_or_default();
            let text = format!("the answer to {qname} {qtype} contains no record for it, only {others}");
            // The remainder of a chain is looked up by its own name.
            return is_first.then(|| Reply::new(unusable(text), source));
        }
        let (rcode, mut authority) = (answer.rcode, std::mem::take(&mut answer.authority));
        // A referral that no DELEGATE rule matches is not an answer.
        if let Some(servers) = authority.iter().find(|set| set.rtype == RecordType::NS && here.is_empty()) {
            let failure = Reply { source, ..delegation::no_rule_matches(servers) };
            self.upstream_answer = None;
            return Some(failure);
        }
        authority.retain(|set| set.rtype == RecordType::SOA);
        let ede = answer.ede.take();
        self.upstream_answer = None;
        Some(Reply::new(Answer { answer: here, authority, ede, ..Answer::empty(rcode) }, source))
    }

    /// Appends a reply to the chain. Returns the complete answer if the chain ends.
    fn append(&mut self, reply: Reply) -> Option<Answer> {
        self.source.get_or_insert(reply.source);
        self.cacheability = self.cacheability.and(reply.cacheability);
        if reply.cacheability == Cacheability::Never {
            self.context.random /= RANDOM_DIVISOR;
        }
        let Answer { rcode, answer, authority, ede, upstream_edes: _ } = reply.answer;
        if let Some((rtype, target)) = reply.alias {
            let owner = self.current.qname.clone();
            let chain_len = self.chain.len();
            self.alias.get_or_insert(PendingAlias { owner, rtype, soa: authority, chain_len });
            // An ANY query is answered with this type.
            self.current.qtype = rtype;
            return self.follow(target);
        }
        let next = answer.last().and_then(|set| redirection(set, self.current.qtype));
        self.chain.extend(answer);
        match next {
            Some(target) => self.follow(target),
            None => Some(self.close(rcode, authority, ede)),
        }
    }

    /// The answer to an AAAA question in a view with DNS64. `None` if A records are to be looked up first.
    fn apply_dns64(&mut self, world: &World, answer: Answer) -> Option<Answer> {
        if self.question.qtype != RecordType::AAAA || !world.names.views[self.vantage.view].dns64 {
            return Some(answer);
        }
        match self.without_aaaa.take() {
            None if dns64::needs_a_records(&answer) => {
                self.without_aaaa = Some(answer);
                self.current = Question { qtype: RecordType::A, ..self.question.clone() };
                // A failed lookup discards the chain.
                self.chain.clear();
                self.alias = None;
                self.upstream_answer = None;
                self.followed = 0;
                None
            }
            None => Some(answer),
            Some(aaaa) => {
                let made = dns64::synthesise(&aaaa, answer);
                self.is_synthesised = made.is_some();
                Some(made.unwrap_or(aaaa))
            }
        }
    }

    fn follow(&mut self, target: Name) -> Option<Answer> {
        self.followed += 1;
        if self.followed > MAX_ALIASES {
            let text = format!("more than {MAX_ALIASES} CNAMEs or aliases in a row");
            let ede = Ede { code: Ede::OTHER, text };
            return Some(Answer::empty(Rcode::SERVFAIL).with_ede(ede));
        }
        self.current.qname = target;
        None
    }

    /// Ends the chain. The rcode is that of the last name (RFC 6604 section 3).
    fn close(&mut self, rcode: Rcode, authority: Vec<RrSet>, ede: Option<Ede>) -> Answer {
        let mut chain = std::mem::take(&mut self.chain);
        if rcode == Rcode::SERVFAIL {
            return Answer { ede, ..Answer::empty(rcode) };
        }
        let Some(alias) = self.alias.take() else {
            return Answer { answer: chain, authority, ede, ..Answer::empty(rcode) };
        };
        let reached = chain.split_off(alias.chain_len);
        let set = reached.into_iter().rfind(|set| set.rtype == alias.rtype);
        match set {
            Some(set) => {
                chain.push(set.with_owner(alias.owner));
                Answer { ede, ..Answer::noerror(chain) }
            }
            None => Answer { authority: alias.soa, ede, ..Answer::noerror(chain) },
        }
    }

    fn finish(&self, world: &World, mut answer: Answer) -> Outcome {
        answer.upstream_edes.clone_from(&self.upstream_edes);
        let limits = &world.names.answers;
        for set in &mut answer.answer {
            set.ttl = set.ttl.min(limits.max_ttl);
        }
        for set in &mut answer.authority {
            set.ttl = set.ttl.min(limits.max_negative_ttl);
        }
        let source = self.source.unwrap_or(Source::Public);
        let paths = egress::paths(&world.network, self.vantage.place, &answer);
        let mut outcome =
            Outcome { answer, source, paths, reasons: Vec::new(), cacheability: self.cacheability };
        reasons::add(world, self.vantage, &self.question, &mut outcome);
        if self.is_synthesised {
            for one in &mut outcome.paths {
                Arc::make_mut(&mut one.path).add(Reason::Dns64Synthesised);
            }
        }
        outcome
    }
}

/// The answer if an upstream returned only records that do not match the question.
fn unusable(text: String) -> Answer {
    Answer::empty(Rcode::SERVFAIL).with_ede(Ede::new(Ede::INVALID_DATA, text))
}

/// The target to which a record set redirects a question of another type.
fn redirection(set: &RrSet, qtype: RecordType) -> Option<Name> {
    let redirects = set.rtype == RecordType::CNAME && qtype != RecordType::CNAME && qtype != RecordType::ANY;
    if !redirects {
        return None;
    }
    set.rdatas.first().and_then(|rdata| rdata.target(RecordType::CNAME))
}

/// The answer of the name servers of a site, simulated in process. `None` if no target of the rule is
/// simulated.
///
/// The first simulated target answers. A simulated server without a zone for the name refuses, so that the
/// resolution fails as it would with a real one.
pub fn simulated_answer(
    world: &World,
    target: &ForwardTarget,
    question: &Question,
    now_s: u64,
) -> Option<Answer> {
    let upstream = target.upstream(&world.names)?;
    let simulated = |server: &Server| {
        Some((server.address.ip(), world.names.simulated_servers.get(&server.address.ip())?))
    };
    let (target, site) = upstream.identity.servers.iter().find_map(simulated)?;
    let site = *site;
    let Some(zone) = world.names.sites[site].zones.longest_match(&question.qname) else {
        let text = format!(
            "rule={} target={target} at {} refused {}",
            upstream.name, world.network.sites[site].id, question.qname
        );
        return Some(Answer::empty(Rcode::SERVFAIL).with_ede(Ede::new(Ede::NO_REACHABLE_AUTHORITY, text)));
    };
    let mut answer = match delegation::cut(zone, question) {
        Some(servers) => delegation::refer(zone, servers),
        None => zone::answer(zone, question, Source::ForwardRule).answer,
    };
    public::count_down(&mut answer, world.names.answers.max_ttl, now_s);
    Some(answer)
}

/// The answer used instead of one from an upstream when nothing is sent, as in `explain`.
fn offline_answer(upstream: Option<&Upstream>) -> Answer {
    let servers = upstream.into_iter().flat_map(|upstream| upstream.identity.servers.iter());
    let servers: Vec<String> = servers.map(ToString::to_string).collect();
    let rule = upstream.map_or("", |upstream| &upstream.name);
    let text = format!("rule={rule} would query {}; nothing was sent", servers.join(","));
    Answer::empty(Rcode::SERVFAIL).with_ede(Ede::new(Ede::OTHER, text))
}
