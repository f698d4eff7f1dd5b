//! What an answer says of a name.

use crate::dns::{Answer, Name, Question, Rcode, RecordType};

/// How many aliases of a chain are followed.
const MAX_ALIASES: usize = 16;

/// What an answer says of the name in question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Statement {
    /// It does not exist, whatever the type (RFC 2308 section 2.1).
    NoSuchName,
    /// It exists, and is an alias. What the chain comes to in the end, NXDOMAIN too, is about another name (RFC 6604
    /// section 3).
    Alias,
    /// It exists and has records of the type in question, so it is no alias (RFC 1034 section 3.6.2).
    Records,
    /// It exists and has records that an alias may have too, or that a server makes up (RFC 8482).
    NeutralRecords,
    /// It exists, and has no records of the type in question (RFC 2308 section 2.2). Whether it is an alias remains open:
    /// a middlebox that suppresses one type answers so at an alias as well.
    NoData,
    /// Other servers have it (RFC 1034 section 4.3.2). Whether it exists remains open.
    Referral,
}

impl Statement {
    /// What an answer says. `None`: nothing, since it is an error or has records of other names alone.
    pub fn of(question: &Question, answer: &Answer) -> Option<Self> {
        if !matches!(answer.rcode, Rcode::NOERROR | Rcode::NXDOMAIN) {
            return None;
        }
        if let Some(statement) = of_records(&question.qname, question.qtype, answer) {
            return Some(statement);
        }
        let refers = || answer.authority.iter().any(|set| set.rtype == RecordType::NS);
        match answer.rcode {
            _ if !answer.answer.is_empty() => None,
            Rcode::NXDOMAIN => Some(Self::NoSuchName),
            _ if refers() => Some(Self::Referral),
            _ => Some(Self::NoData),
        }
    }

    /// Whether it contradicts an older answer that says `other` of the same name.
    pub fn contradicts(self, other: Self) -> bool {
        matches!((self, other), (Self::Alias, Self::Records) | (Self::Records, Self::Alias))
    }
}

/// What the answer section says of a name, by its records of a type.
fn of_records(name: &Name, qtype: RecordType, answer: &Answer) -> Option<Statement> {
    let mut here = answer.answer.iter().filter(|set| set.owner == *name);
    let is_match = |rtype| rtype == qtype || qtype == RecordType::ANY;
    if here.clone().any(|set| set.rtype == RecordType::CNAME) {
        return Some(Statement::Alias);
    }
    let is_found = here.any(|set| is_match(set.rtype)) && answer.rcode == Rcode::NOERROR;
    is_found.then_some(match is_neutral(qtype) {
        true => Statement::NeutralRecords,
        false => Statement::Records,
    })
}

/// Whether records of a type say nothing of whether their owner is an alias: those of DNSSEC are at aliases too (RFC 4034
/// sections 3 and 4, RFC 2181 section 10.1), DS records are the parent zone's.
fn is_neutral(qtype: RecordType) -> bool {
    matches!(
        qtype,
        RecordType::ANY
            | RecordType::RRSIG
            | RecordType::NSEC
            | RecordType::SIG
            | RecordType::KEY
            | RecordType::DS
    )
}

/// The names that an alias leads to, each with what the answer says of it. The last one is left out where the answer ends
/// without saying anything of it.
pub(super) fn alias_targets<'a>(
    question: &'a Question,
    answer: &'a Answer,
) -> impl Iterator<Item = (Name, Statement)> + 'a {
    let target = |name: &Name| {
        let set = answer.answer.iter().find(|set| set.owner == *name && set.rtype == RecordType::CNAME)?;
        set.rdatas.first()?.target(RecordType::CNAME)
    };
    let names = std::iter::successors(target(&question.qname), move |name| target(name)).take(MAX_ALIASES);
    names.filter_map(move |name| {
        let end = match answer.rcode {
            Rcode::NXDOMAIN => Some(Statement::NoSuchName),
            _ => answer.authority.iter().any(|set| set.rtype == RecordType::SOA).then_some(Statement::NoData),
        };
        let statement = of_records(&name, question.qtype, answer).or(end)?;
        Some((name, statement))
    })
}
