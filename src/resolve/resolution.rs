//! One question to its end: CNAMEs and aliases go through the whole decision again, bounded.

use std::sync::Arc;

use super::delegation::Delegated;
use super::dname::{self, Redirected};
use super::reasons;
use super::trace::Trace;
use super::{
    Cacheability, Decision, ForwardTarget, Outcome, QueryContext, Reason, Referral, Reply, Source, decide,
    delegation, dns64, egress, public, zone,
};
use crate::dns::{Answer, Ede, Name, Question, Rcode, RecordType, RrSet};
use crate::world::{Server, Upstream, Vantage, World};

/// How many CNAMEs and aliases are followed for one question.
const MAX_ALIASES: usize = 16;

/// What the drawn number is divided by when something was drawn by it, so that what was drawn at one name of a chain says
/// nothing of what is drawn at the next. A prime, larger than all weights of one name and type together; Route 53 allows three levels
/// of aliases, and the number lasts for four.
const NEXT_DRAW: u64 = 65_521;

/// Resolves a question, asking only what the world plays itself; the sealed internet stands in for the
/// real one. `None` means: say nothing.
pub fn resolve(
    world: &World,
    vantage: Vantage,
    question: &Question,
    occasion: QueryContext,
    trace: &mut impl Trace,
) -> Option<Outcome> {
    let mut resolution = Resolution::new(vantage, question, occasion);
    loop {
        match resolution.step(world, trace) {
            Step::Done(outcome) => return outcome.map(|outcome| *outcome),
            Step::Ask(whom, question) => {
                let answer = match &whom {
                    ForwardTarget::Internet => public::sealed(world, &question, occasion.now),
                    ForwardTarget::Rule(_) | ForwardTarget::NameServers(_) => {
                        simulated_answer(world, &whom, &question, occasion.now)
                            .unwrap_or_else(|| not_asked(whom.upstream(world)))
                    }
                };
                resolution.answered(whom, answer, Cacheability::Generation);
            }
        }
    }
}

/// A question on its way.
#[derive(Debug)]
pub struct Resolution {
    vantage: Vantage,
    asked: Question,
    /// The name that is looked up now: the one asked for, or where a CNAME or an alias led.
    current: Question,
    occasion: QueryContext,
    /// The records so far.
    chain: Vec<RrSet>,
    /// What answered the name asked for.
    source: Option<Source>,
    followed: usize,
    alias: Option<Alias>,
    /// What other name servers answered, as far as it is not folded in yet: it may hold a whole chain.
    foreign: Option<Foreign>,
    /// The extended errors that came with such answers.
    upstream_edes: Vec<Ede>,
    /// The delegated zone that the current name lies in.
    delegated: Option<Delegated>,
    /// How many delegations were followed.
    referrals: usize,
    /// What the question for AAAA records came to, once the A records are looked up instead.
    without_aaaa: Option<Answer>,
    /// Whether AAAA records were made.
    is_made: bool,
    /// Whether what it comes to may be given again.
    keep: Cacheability,
}

/// An answer of other name servers.
#[derive(Debug)]
struct Foreign {
    /// Whose it is.
    whom: ForwardTarget,
    /// What is left of it.
    answer: Answer,
    /// Whether a part was folded in: what is left was not asked for by its name, and may say nothing of it.
    is_rest: bool,
}

/// An alias record whose target is looked up: the answer stands at its owner, the way there is not told.
#[derive(Debug)]
struct Alias {
    owner: Name,
    /// Its type, which is what is looked for.
    rtype: RecordType,
    soa: Vec<RrSet>,
    /// How many record sets stood before the alias.
    chain_len: usize,
}

/// What is to be done for a name.
pub(super) enum Next {
    /// This answers it.
    Reply(Reply),
    /// These are asked, and their answer counts as this.
    Ask(ForwardTarget, Source),
    /// Something else must be known first.
    Look(Step),
    /// Nothing is said.
    Silence,
}

/// What a resolution needs next.
#[derive(Debug)]
pub enum Step {
    /// Nothing more. No outcome means: say nothing.
    Done(Option<Box<Outcome>>),
    /// Somebody else's answer to this question; give it to [`Resolution::answered`].
    Ask(ForwardTarget, Question),
}

impl Resolution {
    /// Begins with a question from a vantage.
    pub fn new(vantage: Vantage, question: &Question, occasion: QueryContext) -> Self {
        Self {
            vantage,
            asked: question.clone(),
            current: question.clone(),
            occasion,
            chain: Vec::new(),
            source: None,
            followed: 0,
            alias: None,
            foreign: None,
            upstream_edes: Vec::new(),
            delegated: None,
            referrals: 0,
            without_aaaa: None,
            is_made: false,
            keep: Cacheability::Generation,
        }
    }

    /// Begins a look-up for another one, so many delegations deep.
    pub(super) fn below(
        vantage: Vantage,
        question: &Question,
        occasion: QueryContext,
        referrals: usize,
    ) -> Self {
        Self { referrals, ..Self::new(vantage, question, occasion) }
    }

    /// Takes in the answer that was asked for, and how long it may be given again. Its TTLs count down, since it
    /// comes from somebody else.
    pub fn answered(&mut self, whom: ForwardTarget, mut answer: Answer, keep: Cacheability) {
        self.keep = self.keep.and(keep);
        if let Some(looking) = self.delegated.as_mut().and_then(Delegated::looking) {
            looking.answered(whom, answer, keep);
            return;
        }
        for set in answer.answer.iter_mut().chain(&mut answer.authority) {
            set.ages = true;
        }
        Ede::add_upstream(&mut self.upstream_edes, std::mem::take(&mut answer.upstream_edes));
        self.foreign = Some(Foreign { whom, answer, is_rest: false });
    }

    /// Goes on until it ends or somebody must be asked. All steps take the same world.
    pub fn step(&mut self, world: &World, trace: &mut impl Trace) -> Step {
        loop {
            let reply = match self.next(world, trace) {
                Next::Reply(reply) => reply,
                Next::Ask(whom, source) => {
                    if let Some(referral) = self.foreign_referral(world, &whom) {
                        self.foreign = None;
                        self.refer(referral, trace);
                        continue;
                    }
                    match self.take_foreign(&whom, source) {
                        Some(reply) => reply,
                        None => return Step::Ask(whom, self.current.clone()),
                    }
                }
                Next::Look(step) => return step,
                Next::Silence => return Step::Done(None),
            };
            if let Some(answer) = self.fold(reply).and_then(|answer| self.translate(world, answer)) {
                return Step::Done(Some(Box::new(self.finish(world, answer))));
            }
        }
    }

    /// What is to be done for the current name.
    fn next(&mut self, world: &World, trace: &mut impl Trace) -> Next {
        loop {
            let qname = &self.current.qname;
            self.delegated = self.delegated.take().filter(|own| own.holds(qname));
            if let Some(delegated) = &mut self.delegated {
                let next = delegated.next(world, self.vantage, self.occasion, trace);
                if matches!(next, Next::Reply(_)) {
                    self.foreign = None;
                }
                return next;
            }
            match decide(world, self.vantage.view, &self.current, self.occasion, trace) {
                Decision::Reply(reply) => {
                    self.foreign = None;
                    return Next::Reply(reply);
                }
                Decision::Ask { whom, source } => return Next::Ask(whom, source),
                Decision::Refer(referral) => self.refer(*referral, trace),
                Decision::Silence => return Next::Silence,
            }
        }
    }

    /// Goes down to a delegated zone.
    fn refer(&mut self, referral: Referral, trace: &mut impl Trace) {
        trace.delegation(&referral);
        self.referrals += 1;
        self.delegated = Some(Delegated::new(referral, self.referrals));
    }

    /// The delegation that somebody's answer speaks of, where a DELEGATE rule covers it.
    fn foreign_referral(&self, world: &World, whom: &ForwardTarget) -> Option<Referral> {
        let Foreign { answer, .. } = self.foreign.as_ref().filter(|foreign| foreign.whom == *whom)?;
        let above = match (&self.delegated, whom) {
            (Some(delegated), _) => delegated.cut(),
            (None, ForwardTarget::Rule(rule)) => &world.rules[*rule].domain,
            // Public DNS is asked of resolvers, which refer nobody.
            (None, _) => return None,
        };
        let vpc = world.views[self.vantage.view].vpc();
        delegation::of_answer(world, vpc, answer, &self.current.qname, above)
    }

    /// The part of somebody else's answer that speaks of the current name.
    ///
    /// Only records at that name are taken, a DNAME above it, and those that a CNAME there leads to when their turn
    /// comes: what else an answer holds was not asked for (RFC 2181 5.4.1), and a name that is ours is answered by us.
    ///
    /// `None`: there is no answer yet, or what is left of one says nothing of the name.
    fn take_foreign(&mut self, whom: &ForwardTarget, source: Source) -> Option<Reply> {
        let Foreign { answer, is_rest, .. } =
            self.foreign.as_mut().filter(|foreign| foreign.whom == *whom)?;
        let (qname, qtype) = (&self.current.qname, self.current.qtype);
        let (mut here, mut rest): (Vec<RrSet>, Vec<RrSet>) =
            answer.answer.drain(..).partition(|set| set.answers(qname, qtype));
        match dname::redirect(&mut rest, &here, qname) {
            Some(Redirected::To(records)) => here = records,
            Some(Redirected::TooLong(dname)) => {
                self.foreign = None;
                return Some(Reply::of(dname::too_long(*dname), source));
            }
            Some(Redirected::Ambiguous(text)) => {
                self.foreign = None;
                return Some(Reply::of(useless(text), source));
            }
            None => {}
        }
        let leads_on = here.last().is_some_and(|set| redirection(set, qtype).is_some());
        if leads_on && (!rest.is_empty() || answer.rcode != Rcode::NOERROR || !answer.authority.is_empty()) {
            // The rest speaks of the name that the CNAME leads to.
            (answer.answer, *is_rest) = (rest, true);
            return Some(Reply::of(Answer::of(here), source));
        }
        if here.is_empty()
            && answer.rcode == Rcode::NOERROR
            && answer.authority.is_empty()
            && !rest.is_empty()
        {
            let was_asked = !*is_rest;
            self.foreign = None;
            let other = |set: &RrSet| format!("{} {}", set.owner, set.rtype);
            let others = rest.first().map(other).unwrap_or_default();
            let text = format!("the answer to {qname} {qtype} holds nothing of it, but {others}");
            // What is left of a chain is asked for by its own name.
            return was_asked.then(|| Reply::of(useless(text), source));
        }
        let (rcode, mut authority) = (answer.rcode, std::mem::take(&mut answer.authority));
        // Servers that refer where nobody may go gave no answer.
        if let Some(servers) = authority.iter().find(|set| set.rtype == RecordType::NS && here.is_empty()) {
            let lame = Reply { source, ..delegation::lame(servers) };
            self.foreign = None;
            return Some(lame);
        }
        authority.retain(|set| set.rtype == RecordType::SOA);
        let ede = answer.ede.take();
        self.foreign = None;
        Some(Reply::of(Answer { answer: here, authority, ede, ..Answer::empty(rcode) }, source))
    }

    /// Adds a reply to the chain. Gives the whole answer when the chain ends here.
    fn fold(&mut self, reply: Reply) -> Option<Answer> {
        self.source.get_or_insert(reply.source);
        self.keep = self.keep.and(reply.keep);
        if reply.keep == Cacheability::Never {
            self.occasion.random /= NEXT_DRAW;
        }
        let Answer { rcode, answer, authority, ede, upstream_edes: _ } = reply.answer;
        if let Some((rtype, target)) = reply.alias {
            let owner = self.current.qname.clone();
            let chain_len = self.chain.len();
            self.alias.get_or_insert(Alias { owner, rtype, soa: authority, chain_len });
            // Who asked for any type is answered with this one.
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

    /// In a view with DNS64, what a question for AAAA records comes to. `None`: the A records are looked up first.
    fn translate(&mut self, world: &World, answer: Answer) -> Option<Answer> {
        if self.asked.qtype != RecordType::AAAA || !world.views[self.vantage.view].dns64 {
            return Some(answer);
        }
        match self.without_aaaa.take() {
            None if dns64::wants_a(&answer) => {
                self.without_aaaa = Some(answer);
                self.current = Question { qtype: RecordType::A, ..self.asked.clone() };
                // A look-up that failed leaves behind where it stood.
                self.chain.clear();
                self.alias = None;
                self.foreign = None;
                self.followed = 0;
                None
            }
            None => Some(answer),
            Some(aaaa) => {
                let made = dns64::made(&aaaa, answer);
                self.is_made = made.is_some();
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

    /// The end of the chain. The rcode is the last name's (RFC 6604 3).
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
                chain.push(set.at(alias.owner));
                Answer { ede, ..Answer::of(chain) }
            }
            None => Answer { authority: alias.soa, ede, ..Answer::of(chain) },
        }
    }

    fn finish(&self, world: &World, mut answer: Answer) -> Outcome {
        answer.upstream_edes.clone_from(&self.upstream_edes);
        let bounds = &world.answers;
        for set in &mut answer.answer {
            set.ttl = set.ttl.min(bounds.max_ttl);
        }
        for set in &mut answer.authority {
            set.ttl = set.ttl.min(bounds.max_negative_ttl);
        }
        let source = self.source.unwrap_or(Source::Public);
        let paths = egress::paths(world, self.vantage.place, &answer);
        let mut outcome = Outcome { answer, source, paths, reasons: Vec::new(), keep: self.keep };
        reasons::add(world, self.vantage, &self.asked, &mut outcome);
        if self.is_made {
            for one in &mut outcome.paths {
                Arc::make_mut(&mut one.path).add(Reason::Dns64Synthesised);
            }
        }
        outcome
    }
}

/// What is answered where other name servers sent records of which none belongs to the question.
fn useless(text: String) -> Answer {
    Answer::empty(Rcode::SERVFAIL).with_ede(Ede::new(Ede::INVALID_DATA, text))
}

/// Where a record set sends a question of another type.
fn redirection(set: &RrSet, qtype: RecordType) -> Option<Name> {
    let redirects = set.rtype == RecordType::CNAME && qtype != RecordType::CNAME && qtype != RecordType::ANY;
    if !redirects {
        return None;
    }
    set.rdatas.first().and_then(|rdata| rdata.target(RecordType::CNAME))
}

/// What the name servers of a site answer, played in process. `None`: no target of the rule is played.
///
/// The first target that is played answers. A played server that has no zone for the name refuses, and so
/// the resolver fails, as the real one does.
pub fn simulated_answer(
    world: &World,
    whom: &ForwardTarget,
    question: &Question,
    now_s: u64,
) -> Option<Answer> {
    let upstream = whom.upstream(world)?;
    let player = |server: &Server| Some((server.address.ip(), world.played.get(&server.address.ip())?));
    let (target, site) = upstream.identity.servers.iter().find_map(player)?;
    let site = &world.sites[*site];
    let Some(zone) = site.zones.longest(&question.qname) else {
        let text =
            format!("rule={} target={target} at {} refused {}", upstream.name, site.id, question.qname);
        return Some(Answer::empty(Rcode::SERVFAIL).with_ede(Ede::new(Ede::NO_REACHABLE_AUTHORITY, text)));
    };
    let mut answer = match delegation::cut(zone, question) {
        Some(servers) => delegation::refer(zone, servers),
        None => zone::answer(zone, question, Source::ForwardRule).answer,
    };
    public::count_down(&mut answer, world.answers.max_ttl, now_s);
    Some(answer)
}

/// What stands for the answer of servers that are not asked: `explain` sends nothing.
fn not_asked(upstream: Option<&Upstream>) -> Answer {
    let servers = upstream.into_iter().flat_map(|upstream| upstream.identity.servers.iter());
    let servers: Vec<String> = servers.map(ToString::to_string).collect();
    let rule = upstream.map_or("", |upstream| &upstream.name);
    let text = format!("rule={rule} would ask {}; nothing is sent here", servers.join(","));
    Answer::empty(Rcode::SERVFAIL).with_ede(Ede::new(Ede::OTHER, text))
}
