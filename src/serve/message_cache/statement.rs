//! What an answer states about a name.

use crate::dns::{Answer, Name, Question, Rcode, RecordType};

/// Maximum number of CNAMEs that are followed in a chain.
const MAX_ALIASES: usize = 16;

/// What an answer states about the query name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Statement {
    /// It does not exist, for any type (RFC 2308 section 2.1).
    NoSuchName,
    /// It exists and is an alias. The end of the chain, including NXDOMAIN, concerns another name (RFC 6604
    /// section 3).
    Alias,
    /// It exists and has records of the query type, so it is not an alias (RFC 1034 section 3.6.2).
    Records,
    /// It exists and has records that an alias may have too, or that a server synthesises (RFC 8482).
    NeutralRecords,
    /// It exists and has no records of the query type (RFC 2308 section 2.2). It may still be an alias: a
    /// middlebox that suppresses one type answers the same for an alias.
    NoData,
    /// Other servers are authoritative for it (RFC 1034 section 4.3.2). Whether it exists is unknown.
    Referral,
}

impl Statement {
    /// What an answer states. `None` if it is an error or has only records of other names.
    pub(super) fn of(question: &Question, answer: &Answer) -> Option<Self> {
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

    /// Whether it contradicts an older answer that states `other` about the same name.
    pub(super) fn contradicts(self, other: Self) -> bool {
        matches!((self, other), (Self::Alias, Self::Records) | (Self::Records, Self::Alias))
    }
}

/// What the answer section states about a name that was queried for a type.
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

/// Whether records of a type are independent of whether their owner is an alias: DNSSEC records exist at
/// aliases too (RFC 4034 sections 3 and 4, RFC 2181 section 10.1), and DS records belong to the parent zone.
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

/// The targets of an alias, each with what the answer states about it. The last one is omitted if the answer
/// states nothing about it.
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
