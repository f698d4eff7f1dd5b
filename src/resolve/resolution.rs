//! One question to its end: CNAMEs and aliases go through the whole decision again, bounded.

use super::reasons;
use super::trace::Trace;
use super::{Decision, Keep, Occasion, Outcome, Reply, Source, Whom, decide, egress, public, zone};
use crate::dns::{Answer, Ede, Name, Question, Rcode, RecordType, RrSet};
use crate::world::{Index, Rule, Server, Vantage, World};

/// How many CNAMEs and aliases are followed for one question.
pub const MAX_ALIASES: usize = 16;

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
    occasion: Occasion,
    trace: &mut impl Trace,
) -> Option<Outcome> {
    let mut resolution = Resolution::new(vantage, question, occasion);
    loop {
        match resolution.step(world, trace) {
            Step::Done(outcome) => return outcome.map(|outcome| *outcome),
            Step::Ask(whom, question) => {
                let answer = match whom {
                    Whom::Internet => public::sealed(world, &question, occasion.now_s),
                    Whom::Rule(rule) => played(world, rule, &question, occasion.now_s)
                        .unwrap_or_else(|| not_asked(world, rule)),
                };
                resolution.answered(whom, answer, Keep::World);
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
    occasion: Occasion,
    /// The records so far.
    chain: Vec<RrSet>,
    /// What answered the name asked for.
    source: Option<Source>,
    followed: usize,
    alias: Option<Alias>,
    /// What somebody else answered, as far as it is not folded in yet: it may hold a whole chain.
    foreign: Option<(Whom, Answer)>,
    /// Whether what it comes to may be given again.
    keep: Keep,
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

/// What a resolution needs next.
#[derive(Debug)]
pub enum Step {
    /// Nothing more. No outcome means: say nothing.
    Done(Option<Box<Outcome>>),
    /// Somebody else's answer to this question; give it to [`Resolution::answered`].
    Ask(Whom, Question),
}

impl Resolution {
    /// Begins with a question from a vantage.
    pub fn new(vantage: Vantage, question: &Question, occasion: Occasion) -> Self {
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
            keep: Keep::World,
        }
    }

    /// Takes in the answer that was asked for, and how long it may be given again. Its TTLs count down, since it
    /// comes from somebody else.
    pub fn answered(&mut self, whom: Whom, mut answer: Answer, keep: Keep) {
        for set in answer.answer.iter_mut().chain(&mut answer.authority) {
            set.ages = true;
        }
        self.keep = self.keep.and(keep);
        self.foreign = Some((whom, answer));
    }

    /// Goes on until it ends or somebody must be asked. All steps take the same world.
    pub fn step(&mut self, world: &World, trace: &mut impl Trace) -> Step {
        loop {
            let reply = match decide(world, self.vantage.view, &self.current, self.occasion, trace) {
                Decision::Reply(reply) => {
                    self.foreign = None;
                    reply
                }
                Decision::Ask { whom, source } => match self.take_foreign(whom, source) {
                    Some(reply) => reply,
                    None => return Step::Ask(whom, self.current.clone()),
                },
                Decision::Silence => return Step::Done(None),
            };
            if let Some(answer) = self.fold(reply) {
                return Step::Done(Some(Box::new(self.finish(world, answer))));
            }
        }
    }

    /// The part of somebody else's answer that speaks of the current name.
    ///
    /// Only records at that name are taken, and those that a CNAME there leads to when their turn comes:
    /// what else an answer holds was not asked for (RFC 2181 5.4.1), and a name that is ours is answered by us.
    fn take_foreign(&mut self, whom: Whom, source: Source) -> Option<Reply> {
        let (_, answer) = self.foreign.as_mut().filter(|(from, _)| *from == whom)?;
        let (qname, qtype) = (&self.current.qname, self.current.qtype);
        let fits = |set: &RrSet| {
            set.owner == *qname
                && (set.rtype == qtype || set.rtype == RecordType::CNAME || qtype == RecordType::ANY)
        };
        let (here, rest): (Vec<RrSet>, Vec<RrSet>) = answer.answer.drain(..).partition(fits);
        let leads_on = here.last().is_some_and(|set| redirection(set, qtype).is_some());
        if leads_on && (!rest.is_empty() || answer.rcode != Rcode::NOERROR || !answer.authority.is_empty()) {
            // The rest speaks of the name that the CNAME leads to.
            answer.answer = rest;
            let alone = Answer { rcode: Rcode::NOERROR, answer: here, authority: Vec::new(), ede: None };
            return Some(Reply::of(alone, source));
        }
        let (rcode, authority) = (answer.rcode, std::mem::take(&mut answer.authority));
        let ede = answer.ede.take();
        self.foreign = None;
        Some(Reply::of(Answer { rcode, answer: here, authority, ede }, source))
    }

    /// Adds a reply to the chain. Gives the whole answer when the chain ends here.
    fn fold(&mut self, reply: Reply) -> Option<Answer> {
        self.source.get_or_insert(reply.source);
        self.keep = self.keep.and(reply.keep);
        if reply.keep == Keep::No {
            self.occasion.draw /= NEXT_DRAW;
        }
        let Answer { rcode, answer, authority, ede } = reply.answer;
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
            return Answer { rcode, answer: Vec::new(), authority: Vec::new(), ede };
        }
        let Some(alias) = self.alias.take() else {
            return Answer { rcode, answer: chain, authority, ede };
        };
        let reached = chain.split_off(alias.chain_len);
        let set = reached.into_iter().rfind(|set| set.rtype == alias.rtype);
        match set {
            Some(set) => {
                chain.push(set.at(alias.owner));
                Answer { rcode: Rcode::NOERROR, answer: chain, authority: Vec::new(), ede }
            }
            None => Answer { rcode: Rcode::NOERROR, answer: chain, authority: alias.soa, ede },
        }
    }

    fn finish(&self, world: &World, mut answer: Answer) -> Outcome {
        let bounds = &world.answers;
        for set in &mut answer.answer {
            set.ttl = set.ttl.min(bounds.max_ttl);
        }
        for set in &mut answer.authority {
            set.ttl = set.ttl.min(bounds.max_negative_ttl);
        }
        let source = self.source.unwrap_or(Source::Public);
        let paths = egress::paths(world, self.vantage.place, &answer);
        let mut outcome = Outcome { answer, source, paths: Vec::new(), reasons: Vec::new(), keep: self.keep };
        reasons::add(world, self.vantage, &self.asked, paths, &mut outcome);
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

/// What the name servers of a site answer, played in process. `None`: no target of the rule is played.
///
/// The first target that is played answers. A played server that has no zone for the name refuses, and so
/// the resolver fails, as the real one does.
pub fn played(world: &World, rule: Index<Rule>, question: &Question, now_s: u64) -> Option<Answer> {
    let rule = &world.rules[rule];
    let servers = &world.upstreams[rule.upstream?].identity.servers;
    let player = |server: &Server| Some((server.address.ip(), world.played.get(&server.address.ip())?));
    let (target, site) = servers.iter().find_map(player)?;
    let site = &world.sites[*site];
    let Some(zone) = site.zones.longest(&question.qname) else {
        let text = format!("rule={} target={target} at {} refused {}", rule.id, site.id, question.qname);
        return Some(Answer::empty(Rcode::SERVFAIL).with_ede(Ede::new(Ede::NO_REACHABLE_AUTHORITY, text)));
    };
    let mut answer = zone::answer(zone, question, Source::ForwardRule).answer;
    public::count_down(&mut answer, world.answers.max_ttl, now_s);
    Some(answer)
}

/// What stands for the answer of servers that are not asked: `explain` sends nothing.
fn not_asked(world: &World, rule: Index<Rule>) -> Answer {
    let rule = &world.rules[rule];
    let servers = rule.upstream.map(|upstream| &world.upstreams[upstream].identity.servers);
    let servers: Vec<String> = servers.into_iter().flat_map(|s| s.iter().map(ToString::to_string)).collect();
    let text = format!("rule={} would ask {}; nothing is sent here", rule.id, servers.join(","));
    Answer::empty(Rcode::SERVFAIL).with_ede(Ede::new(Ede::OTHER, text))
}
