//! RRsets, and the content of a reply.

use std::net::IpAddr;
use std::sync::Arc;

use super::code::{Class, Rcode, RecordType};
use super::edns::Ede;
use super::name::Name;
use super::rdata::Rdata;

/// All records with the same owner name, type and class. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RrSet {
    /// The owner name.
    pub owner: Name,
    /// The record type.
    pub rtype: RecordType,
    /// The class.
    pub class: Class,
    /// The TTL in seconds, the same for all records of an RRset (RFC 2181 5.2).
    pub ttl: u32,
    /// Whether the TTL counts down, as in an answer from a cache. Otherwise every reply carries the full TTL.
    pub ages: bool,
    /// The RDATA of each record.
    pub rdatas: Arc<[Rdata]>,
}

impl RrSet {
    /// Creates an RRset of class IN.
    pub fn new(owner: Name, rtype: RecordType, ttl: u32, rdatas: impl Into<Arc<[Rdata]>>) -> Self {
        Self { owner, rtype, class: Class::IN, ttl, ages: false, rdatas: rdatas.into() }
    }

    /// Returns the same records with another owner name, as for wildcard synthesis (RFC 4592 3.3.1).
    pub fn with_owner(&self, owner: Name) -> Self {
        Self { owner, ..self.clone() }
    }

    /// Returns the same records with another TTL.
    pub fn with_ttl(&self, ttl: u32) -> Self {
        Self { ttl, ..self.clone() }
    }

    /// Returns whether these records answer a query for `name` and `qtype`: the owner is `name`, and the type
    /// is `qtype` or CNAME, or `qtype` is ANY.
    pub fn answers(&self, name: &Name, qtype: RecordType) -> bool {
        let type_matches = self.rtype == qtype || self.rtype == RecordType::CNAME || qtype == RecordType::ANY;
        type_matches && self.owner == *name
    }

    /// Returns whether this is a DNAME that redirects `name`: its owner is a proper ancestor of `name` (RFC
    /// 6672 2.3).
    pub fn is_dname_above(&self, name: &Name) -> bool {
        self.rtype == RecordType::DNAME && name.labels_below(&self.owner).is_some_and(|labels| labels > 0)
    }

    /// Iterates over the RDATA in the order of the reply: starting at index `rotation` (modulo their number),
    /// and wrapping around.
    pub fn rotated(&self, rotation: usize) -> impl Iterator<Item = &Rdata> {
        let first = rotation.checked_rem(self.rdatas.len()).unwrap_or(0);
        let (before, from) = self.rdatas.split_at(first);
        from.iter().chain(before)
    }

    /// Iterates over the addresses in these records, in the order of the reply: those of A and AAAA records,
    /// and the address hints of SVCB and HTTPS records (RFC 9460 7.3).
    pub fn addresses(&self, rotation: usize) -> impl Iterator<Item = IpAddr> {
        self.rotated(rotation)
            .flat_map(|rdata| rdata.address(self.rtype).into_iter().chain(rdata.hints(self.rtype)))
    }
}

/// The content of a reply, before encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The response code.
    pub rcode: Rcode,
    /// The answer section: the CNAME chain first, then the records at its end.
    pub answer: Vec<RrSet>,
    /// The authority section: the SOA record of a negative answer.
    pub authority: Vec<RrSet>,
    /// The extended error of this resolver (RFC 8914).
    pub ede: Option<Ede>,
    /// The extended errors of the other name servers whose records are included, at most
    /// [`Ede::MAX_UPSTREAM`].
    pub upstream_edes: Vec<Ede>,
}

impl Answer {
    /// Creates an answer without records.
    pub fn empty(rcode: Rcode) -> Self {
        Self { rcode, answer: Vec::new(), authority: Vec::new(), ede: None, upstream_edes: Vec::new() }
    }

    /// Creates a NOERROR answer with these RRsets in the answer section.
    pub fn noerror(answer: Vec<RrSet>) -> Self {
        Self { answer, ..Self::empty(Rcode::NOERROR) }
    }

    /// Creates a NODATA answer: the name exists, but has no records of the queried type (RFC 2308 2.2).
    pub fn no_data(soa: RrSet) -> Self {
        Self { authority: vec![soa], ..Self::empty(Rcode::NOERROR) }
    }

    /// Creates an NXDOMAIN answer: the name does not exist (RFC 2308 2.1).
    pub fn nxdomain(soa: RrSet) -> Self {
        Self { authority: vec![soa], ..Self::empty(Rcode::NXDOMAIN) }
    }

    /// Iterates over the extended errors in the order of the reply: those of other name servers, then that of
    /// this resolver.
    pub fn edes(&self) -> impl Iterator<Item = &Ede> {
        self.upstream_edes.iter().chain(&self.ede)
    }

    /// Returns the same answer with this extended error.
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
            texts.iter().map(|text| Rdata::parse(rtype, text).expect("valid RDATA")).collect();
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
