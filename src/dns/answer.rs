//! RRsets, and the decided content of a reply.

use std::net::IpAddr;
use std::sync::Arc;

use super::code::{Class, Rcode, RecordType};
use super::edns::Ede;
use super::name::Name;
use super::rdata::Rdata;

/// All records of one owner, type and class. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RrSet {
    /// The name the records belong to.
    pub owner: Name,
    /// Their type.
    pub rtype: RecordType,
    /// Their class.
    pub class: Class,
    /// Their TTL in seconds; all records of an RRset have the same (RFC 2181 5.2).
    pub ttl: u32,
    /// Whether the TTL counts down, as that of an answer out of a cache; else each answer has it in full.
    pub ages: bool,
    /// The data of each record.
    pub rdatas: Arc<[Rdata]>,
}

impl RrSet {
    /// An RRset of class IN.
    pub fn new(owner: Name, rtype: RecordType, ttl: u32, rdatas: impl Into<Arc<[Rdata]>>) -> Self {
        Self { owner, rtype, class: Class::IN, ttl, ages: false, rdatas: rdatas.into() }
    }

    /// The same records at another owner, as for a wildcard (RFC 4592 3.3.1).
    pub fn with_owner(&self, owner: Name) -> Self {
        Self { owner, ..self.clone() }
    }

    /// The same records with another TTL.
    pub fn with_ttl(&self, ttl: u32) -> Self {
        Self { ttl, ..self.clone() }
    }

    /// Whether these records are at a name, and are of this type or say for every type where to look: any records for
    /// ANY, else a CNAME.
    pub fn answers(&self, name: &Name, qtype: RecordType) -> bool {
        let fits = self.rtype == qtype || self.rtype == RecordType::CNAME || qtype == RecordType::ANY;
        fits && self.owner == *name
    }

    /// Whether this is a DNAME that redirects a name: it is strictly above it (RFC 6672 2.3).
    pub fn is_dname_above(&self, name: &Name) -> bool {
        self.rtype == RecordType::DNAME && name.labels_below(&self.owner).is_some_and(|labels| labels > 0)
    }

    /// The data in the order they are sent with this rotation: the one at `rotation`, modulo
    /// their number, is first, and the ones before it follow after the last.
    pub fn rotated(&self, rotation: usize) -> impl Iterator<Item = &Rdata> {
        let first = rotation.checked_rem(self.rdatas.len()).unwrap_or(0);
        let (before, from) = self.rdatas.split_at(first);
        from.iter().chain(before)
    }

    /// The addresses in these records, in the order they are sent with this rotation: those of
    /// A and AAAA records, and the hints of SVCB and HTTPS records (RFC 9460 7.3).
    pub fn addresses(&self, rotation: usize) -> impl Iterator<Item = IpAddr> {
        self.rotated(rotation)
            .flat_map(|rdata| rdata.address(self.rtype).into_iter().chain(rdata.hints(self.rtype)))
    }
}

/// The decided content of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The outcome.
    pub rcode: Rcode,
    /// The answer section: an alias chain first, then what it leads to.
    pub answer: Vec<RrSet>,
    /// The authority section: the SOA of a negative answer.
    pub authority: Vec<RrSet>,
    /// Why it came out like this (RFC 8914).
    pub ede: Option<Ede>,
    /// The extended errors that other name servers sent with what is in it, at most [`Ede::MAX_UPSTREAM`].
    pub upstream_edes: Vec<Ede>,
}

impl Answer {
    /// An outcome without records.
    pub fn empty(rcode: Rcode) -> Self {
        Self { rcode, answer: Vec::new(), authority: Vec::new(), ede: None, upstream_edes: Vec::new() }
    }

    /// NOERROR with these RRsets.
    pub fn noerror(answer: Vec<RrSet>) -> Self {
        Self { answer, ..Self::empty(Rcode::NOERROR) }
    }

    /// The name exists without records of the type asked for (RFC 2308 2.2).
    pub fn no_data(soa: RrSet) -> Self {
        Self { authority: vec![soa], ..Self::empty(Rcode::NOERROR) }
    }

    /// The name does not exist (RFC 2308 2.1).
    pub fn nxdomain(soa: RrSet) -> Self {
        Self { authority: vec![soa], ..Self::empty(Rcode::NXDOMAIN) }
    }

    /// All extended errors of the answer in the order they are sent: those of other name servers, then its own.
    pub fn edes(&self) -> impl Iterator<Item = &Ede> {
        self.upstream_edes.iter().chain(&self.ede)
    }

    /// The same answer with this explanation.
    pub fn with_ede(self, ede: Ede) -> Self {
        Self { ede: Some(ede), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::name::tests::name;

    fn set(rtype: RecordType, texts: &[&str]) -> RrSet {
        let rdatas: Vec<Rdata> =
            texts.iter().map(|text| Rdata::parse(rtype, text).expect("good rdata")).collect();
        RrSet::new(name("a.example"), rtype, 60, rdatas)
    }

    #[test]
    fn rotation_wraps_around() {
        let set = set(RecordType::A, &["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
        let last = |rotation| -> Vec<u8> { set.rotated(rotation).map(|rdata| rdata.as_wire()[3]).collect() };
        assert_eq!(last(0), [1, 2, 3]);
        assert_eq!(last(4), [2, 3, 1]);
        assert_eq!(last(usize::MAX).len(), 3);
        let none = RrSet::new(name("a"), RecordType::A, 60, Vec::new());
        assert_eq!(none.rotated(7).count(), 0);
    }

    #[test]
    fn addresses_come_from_records_and_hints() {
        let https = ["1 . ipv4hint=10.0.0.1 ipv6hint=::1", "2 b.example ipv4hint=10.0.0.2"];
        let found: Vec<String> =
            set(RecordType::HTTPS, &https).addresses(1).map(|address| address.to_string()).collect();
        assert_eq!(found, ["10.0.0.2", "10.0.0.1", "::1"]);
        assert_eq!(set(RecordType::A, &["10.0.0.9"]).addresses(0).count(), 1);
        assert_eq!(set(RecordType::CNAME, &["b."]).addresses(0).count(), 0);
    }
}
