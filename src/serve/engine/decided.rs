//! The deciding path: which queries are resolved, and how far that is possible without an upstream.

use std::net::IpAddr;
use std::time::Instant;

use super::inspect::InspectedAnswer;
use super::reply::QueryState;
use super::{Engine, chaos};
use crate::dns::{Answer, Class, Ede, Query, Question, Rcode, RecordType};
use crate::resolve::{
    Cacheability, ForwardTarget, MonotonicSeconds, NoTrace, Outcome, Resolution, Source, Step, Trace,
    simulated_answer,
};
use crate::serve::admission::Permit;
use crate::serve::annotate;
use crate::world::{Vantage, World};

/// A parsed query, classified before any lookup.
pub(super) enum Classified {
    /// The outcome is already known.
    Known(Outcome),
    /// A CHAOS query about the server itself, which is not counted as a lookup.
    Chaos(Outcome),
    /// A CHAOS query about the answer to a name.
    Explanation(Vantage),
    /// A question to be resolved.
    Question(Vantage),
}

/// A resolution that waits for the answer of an upstream to a question.
#[derive(Debug)]
pub(in crate::serve) struct PendingResolution {
    pub resolution: Resolution,
    pub target: ForwardTarget,
    pub question: Question,
}

/// The result of a resolution that does not query upstreams.
pub(super) enum LocalResolution {
    /// The resolution is complete. The outcome is `None` if no reply is to be sent; the flag states whether a
    /// cached answer was used.
    Done(Option<Box<Outcome>>, bool),
    /// An upstream must be queried.
    Forward(Box<PendingResolution>),
}

impl Engine {
    /// Resolves without querying an upstream: from the world, its simulated name servers and the message
    /// cache. `expired_hits` is how many times the packet cache served the reply that has just expired.
    pub(super) fn resolve_locally(
        &self,
        world: &World,
        resolution: Resolution,
        now: MonotonicSeconds,
        expired_hits: u32,
    ) -> LocalResolution {
        self.resolve_locally_traced(world, resolution, now, expired_hits, &mut NoTrace)
    }

    /// Like `resolve_locally`, with a trace of the decision.
    pub(super) fn resolve_locally_traced(
        &self,
        world: &World,
        mut resolution: Resolution,
        now: MonotonicSeconds,
        expired_hits: u32,
        trace: &mut impl Trace,
    ) -> LocalResolution {
        let mut used_cache = false;
        loop {
            match resolution.step(world, trace) {
                Step::Done(outcome) => return LocalResolution::Done(outcome, used_cache),
                Step::Forward(target, question) => {
                    match self.local_answer(world, &target, &question, now, expired_hits) {
                        Some((answer, cacheability, cached)) => {
                            used_cache |= cached;
                            resolution.supply_answer(target, answer, cacheability);
                        }
                        None => {
                            return LocalResolution::Forward(Box::new(PendingResolution {
                                resolution,
                                target,
                                question,
                            }));
                        }
                    }
                }
            }
        }
    }

    /// An answer that is available without querying an upstream, how long it may be cached, and whether it
    /// came from the message cache.
    fn local_answer(
        &self,
        world: &World,
        target: &ForwardTarget,
        question: &Question,
        now: MonotonicSeconds,
        expired_hits: u32,
    ) -> Option<(Answer, Cacheability, bool)> {
        if *target != ForwardTarget::Internet
            && let Some(answer) = simulated_answer(world, target, question, now.get())
        {
            return Some((answer, Cacheability::Generation, false));
        }
        let upstream = target.upstream(&world.names)?;
        if let Some((answer, cacheability)) = self.forwarder.cached(upstream, question, now, expired_hits) {
            return Some((answer, cacheability, true));
        }
        // A question that is known to fail is answered immediately.
        let answer = self.forwarder.known_failure(upstream, question, now)?;
        Some((answer, Cacheability::Never, false))
    }

    /// Admits a question to the queries that wait for its upstream, or returns the answer to use instead.
    pub(super) fn admit(
        &self,
        world: &World,
        pending: &PendingResolution,
        client: IpAddr,
        now: MonotonicSeconds,
    ) -> Result<Permit, Answer> {
        let Some(upstream) = pending.target.upstream(&world.names) else {
            return Err(no_upstream());
        };
        self.admission
            .enter(self.forwarder.number(upstream), client)
            .map_err(|refusal| self.forwarder.not_admitted(upstream, &pending.question, now, refusal))
    }

    pub(super) async fn query_upstream(
        &self,
        world: &World,
        pending: &PendingResolution,
        now: MonotonicSeconds,
        deadline: Option<Instant>,
    ) -> Answer {
        match pending.target.upstream(&world.names) {
            Some(upstream) => self.forwarder.query(upstream, &pending.question, now, deadline).await,
            None => no_upstream(),
        }
    }

    /// The reply to a CHAOS query about a name, if no upstream has to be queried.
    pub(super) fn explain_name_locally(
        &self,
        world: &World,
        vantage: Vantage,
        query_state: &QueryState,
    ) -> Option<Outcome> {
        let now = query_state.now;
        let questions = chaos::inspected_questions(&query_state.query.question);
        let inspect = |question: &Question| self.inspect_locally(world, vantage, question, now);
        let all: Option<Vec<InspectedAnswer>> = questions.iter().map(inspect).collect();
        Some(chaos::explanation(world, vantage, &query_state.query.question, &questions, &all?))
    }

    /// The reply to a CHAOS query about a name. Upstreams are queried if necessary.
    pub(super) async fn explain_name(
        &self,
        world: &World,
        vantage: Vantage,
        query_state: &QueryState,
    ) -> Outcome {
        let questions = chaos::inspected_questions(&query_state.query.question);
        let client = query_state.source.peer.ip();
        let mut all = Vec::new();
        for question in &questions {
            all.push(self.inspect(world, vantage, question, client, query_state.now).await);
        }
        chaos::explanation(world, vantage, &query_state.query.question, &questions, &all)
    }
}

/// The answer if the target has no name server.
fn no_upstream() -> Answer {
    Answer::empty(Rcode::SERVFAIL).with_ede(Ede::new(Ede::NO_REACHABLE_AUTHORITY, "no name server to query"))
}

/// Determines whether a query is a question to be resolved, and from which vantage.
pub(super) fn classify(world: &World, query_state: &QueryState) -> Classified {
    let query = &query_state.query;
    let vantage = match &query_state.client.vantage {
        Ok(vantage) => *vantage,
        Err(reason) => {
            let answer =
                Answer::empty(Rcode::REFUSED).with_ede(Ede::new(Ede::PROHIBITED, reason.to_string()));
            return Classified::Known(Outcome::without_paths(answer, Source::Refused));
        }
    };
    if query.question.qclass == Class::CH {
        let may_see_paths =
            annotate::may_receive_annotations(world, query_state.source.peer.ip().to_canonical());
        let client = query_state.client.client;
        return match chaos::answer(world, vantage, client, may_see_paths, &query.question) {
            Some(answer) => Classified::Chaos(Outcome::without_paths(answer, Source::Refused)),
            None => Classified::Explanation(vantage),
        };
    }
    match rejection(query) {
        Some(answer) => Classified::Known(Outcome::without_paths(answer, Source::Refused)),
        None => Classified::Question(vantage),
    }
}

/// The answer to a query that this resolver does not accept.
///
/// The VPC resolver is a recursive service. How it answers zone transfers and queries without RD is not
/// documented; refusing them is an assumption of this project.
fn rejection(query: &Query) -> Option<Answer> {
    let refuse =
        |text: &str| Some(Answer::empty(Rcode::REFUSED).with_ede(Ede::new(Ede::NOT_SUPPORTED, text)));
    let question = &query.question;
    if question.qclass != Class::IN {
        return refuse("only classes IN and CH are served");
    }
    match question.qtype {
        RecordType::AXFR | RecordType::IXFR => refuse("zone transfers are not served"),
        qtype if qtype.is_reserved() => refuse("types 0 and 65535 are reserved (RFC 6895 section 3.1)"),
        qtype if qtype.is_meta() && qtype != RecordType::ANY => Some(Answer::empty(Rcode::NOTIMP)),
        _ if !query.recursion_desired => refuse("only recursive queries are served, but RD is not set"),
        _ => None,
    }
}
