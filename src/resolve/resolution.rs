//! One question to its end: CNAMEs and aliases go through the whole decision again, bounded.

use super::reasons;
use super::trace::Trace;
use super::{Decision, Outcome, Reply, Source, decide, egress, public, zone};
use crate::dns::{Answer, Ede, Name, Question, Rcode, RecordType, RrSet};
use crate::world::{Index, Rule, Vantage, World};

/// How many CNAMEs and aliases are followed for one question.
pub const MAX_ALIASES: usize = 16;

/// Resolves a question, asking only what the world plays itself. `None` means: say nothing.
pub fn resolve(
    world: &World,
    vantage: Vantage,
    question: &Question,
    now_s: u64,
    trace: &mut impl Trace,
) -> Option<Outcome> {
    let mut resolution = Resolution::new(world, vantage, question, now_s);
    loop {
        match resolution.step(trace) {
            Step::Done(outcome) => return outcome.map(|outcome| *outcome),
            Step::Ask(rule, question) => {
                let answer = played(world, rule, &question, now_s);
                resolution.answered(answer);
            }
        }
    }
}

/// A question on its way.
#[derive(Debug)]
pub struct Resolution<'w> {
    world: &'w World,
    vantage: Vantage,
    asked: Question,
    /// The name that is looked up now: the one asked for, or where a CNAME or an alias led.
    current: Question,
    now_s: u64,
    /// The records so far.
    chain: Vec<RrSet>,
    /// What answered the name asked for.
    source: Option<Source>,
    followed: usize,
    alias: Option<Alias>,
    /// The answer that is to be folded in next.
    pending: Option<Reply>,
}

/// An alias record whose target is looked up: the answer stands at its owner, the way there is not told.
#[derive(Debug)]
struct Alias {
    owner: Name,
    soa: Vec<RrSet>,
    /// How many record sets stood before the alias.
    chain_len: usize,
}

/// What a resolution needs next.
#[derive(Debug)]
pub enum Step {
    /// Nothing more. No outcome means: say nothing.
    Done(Option<Box<Outcome>>),
    /// The answer of a FORWARD rule's targets to this question; give it to [`Resolution::answered`].
    Ask(Index<Rule>, Question),
}

impl<'w> Resolution<'w> {
    /// Begins with a question from a vantage.
    pub fn new(world: &'w World, vantage: Vantage, question: &Question, now_s: u64) -> Self {
        Self {
            world,
            vantage,
            asked: question.clone(),
            current: question.clone(),
            now_s,
            chain: Vec::new(),
            source: None,
            followed: 0,
            alias: None,
            pending: None,
        }
    }

    /// Takes in the answer that was asked for.
    pub fn answered(&mut self, answer: Answer) {
        self.pending = Some(Reply { answer, source: Source::ForwardRule, alias: None });
    }

    /// Goes on until it ends or somebody must be asked.
    pub fn step(&mut self, trace: &mut impl Trace) -> Step {
        loop {
            let reply = match self.pending.take() {
                Some(reply) => reply,
                None => match decide(self.world, self.vantage.view, &self.current, self.now_s, trace) {
                    Decision::Reply(reply) => reply,
                    Decision::Ask(rule) => return Step::Ask(rule, self.current.clone()),
                    Decision::Silence => return Step::Done(None),
                },
            };
            if let Some(answer) = self.fold(reply) {
                return Step::Done(Some(Box::new(self.finish(answer))));
            }
        }
    }

    /// Adds a reply to the chain. Gives the whole answer when the chain ends here.
    fn fold(&mut self, reply: Reply) -> Option<Answer> {
        self.source.get_or_insert(reply.source);
        let Answer { rcode, answer, authority, ede } = reply.answer;
        if let Some(target) = reply.alias {
            let owner = self.current.qname.clone();
            let chain_len = self.chain.len();
            self.alias.get_or_insert(Alias { owner, soa: authority, chain_len });
            return self.follow(target);
        }
        let next = answer.last().and_then(|set| redirection(set, self.current.qtype));
        self.chain.extend(answer);
        match next {
            Some(target) => self.follow(target),
            None => Some(self.close(rcode, authority, ede)),
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
        let Some(alias) = self.alias.take() else {
            return Answer { rcode, answer: chain, authority, ede };
        };
        let reached = chain.split_off(alias.chain_len);
        let set = reached.into_iter().rfind(|set| set.rtype == self.asked.qtype);
        match set {
            Some(set) => {
                chain.push(set.at(alias.owner));
                Answer { rcode: Rcode::NOERROR, answer: chain, authority: Vec::new(), ede }
            }
            None if rcode == Rcode::SERVFAIL => Answer { rcode, answer: chain, authority, ede },
            None => Answer { rcode: Rcode::NOERROR, answer: chain, authority: alias.soa, ede },
        }
    }

    fn finish(&self, mut answer: Answer) -> Outcome {
        let bounds = &self.world.answers;
        for set in &mut answer.answer {
            set.ttl = set.ttl.min(bounds.max_ttl);
        }
        for set in &mut answer.authority {
            set.ttl = set.ttl.min(bounds.max_negative_ttl);
        }
        let source = self.source.unwrap_or(Source::Public);
        let paths = egress::paths(self.world, self.vantage.place, &answer);
        let mut outcome = Outcome { answer, source, paths: Vec::new(), reasons: Vec::new() };
        reasons::add(self.world, self.vantage, &self.asked, paths, &mut outcome);
        outcome
    }
}

/// Where a record set sends a question of another type.
fn redirection(set: &RrSet, qtype: RecordType) -> Option<Name> {
    let redirects = set.rtype == RecordType::CNAME && qtype != RecordType::CNAME && qtype != RecordType::ANY;
    if !redirects {
        return None;
    }
    set.rdatas.first().and_then(|rdata| rdata.target(RecordType::CNAME))
}

/// What the name servers of a site answer, played in process.
///
/// The first target that is played answers. A played server that has no zone for the name refuses, and so
/// the resolver fails, as the real one does.
pub fn played(world: &World, rule: Index<Rule>, question: &Question, now_s: u64) -> Answer {
    let rule = &world.rules[rule];
    let failed = |text: String| {
        Answer::empty(Rcode::SERVFAIL).with_ede(Ede { code: Ede::NO_REACHABLE_AUTHORITY, text })
    };
    let player = rule.targets.iter().find_map(|target| Some((target, world.played.get(&target.ip())?)));
    let Some((target, site)) = player else {
        let targets: Vec<String> = rule.targets.iter().map(|target| target.ip().to_string()).collect();
        return failed(format!("rule={} targets={} are played by no site", rule.id, targets.join(",")));
    };
    let site = &world.sites[*site];
    let Some(zone) = site.zones.longest(&question.qname) else {
        return failed(format!(
            "rule={} target={} at {} refused {}",
            rule.id,
            target.ip(),
            site.id,
            question.qname
        ));
    };
    let mut answer = zone::answer(zone, question, Source::ForwardRule).answer;
    public::count_down(&mut answer, world.answers.max_ttl, now_s);
    answer
}
