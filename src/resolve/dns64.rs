//! DNS64: AAAA records in 64:ff9b::/96, synthesised from A records for IPv6-only clients (RFC 6147).
//!
//! AWS also synthesises them from private addresses, which RFC 6052 section 3.1 excludes ("DNS64 and NAT64",
//! VPC User Guide).

use std::net::{IpAddr, Ipv4Addr};

use super::{Reply, Source};
use crate::dns::reverse::{ReverseName, parse_reverse, reverse_name};
use crate::dns::{Answer, Question, Rcode, Rdata, RecordType, RrSet};
use crate::net::{ipv4_to_nat64, nat64_to_ipv4};

/// The maximum TTL of a synthesised record if the AAAA answer has no SOA record, in seconds (RFC 6147 section
/// 5.1.7).
const TTL_WITHOUT_SOA_S: u32 = 600;

/// Whether A records are to be looked up: the name exists or its AAAA records could not be
/// obtained, and there is no AAAA record that a client could use (RFC 6147 sections 5.1.1 to 5.1.4).
pub(super) fn needs_a_records(answer: &Answer) -> bool {
    let is_mapped = |address: IpAddr| matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
    let has_usable = |set: &RrSet| set.rtype == RecordType::AAAA && !set.addresses(0).all(is_mapped);
    answer.rcode != Rcode::NXDOMAIN && !answer.answer.iter().any(has_usable)
}

/// The answer to the AAAA question, synthesised from that to the A question; CNAMEs before the records
/// remain. `None` if there is no A record, so that the AAAA answer applies.
pub(super) fn synthesise(aaaa: &Answer, mut a: Answer) -> Option<Answer> {
    let is_a = |set: &RrSet| set.rtype == RecordType::A;
    if a.rcode != Rcode::NOERROR || !a.answer.iter().any(is_a) {
        return None;
    }
    let soa = aaaa.authority.iter().find(|set| set.rtype == RecordType::SOA);
    let max_ttl = soa.map_or(TTL_WITHOUT_SOA_S, |set| set.ttl);
    for set in a.answer.iter_mut().filter(|set| is_a(set)) {
        let rdatas: Vec<Rdata> = set.addresses(0).filter_map(translated).collect();
        let ages = set.ages;
        *set = RrSet::new(set.owner.clone(), RecordType::AAAA, set.ttl.min(max_ttl), rdatas);
        set.ages = ages;
    }
    Some(a)
}

fn translated(address: IpAddr) -> Option<Rdata> {
    match address {
        IpAddr::V4(v4) => Some(Rdata::for_address(ipv4_to_nat64(v4).into()).1),
        IpAddr::V6(_) => None,
    }
}

/// The reverse name of an address in 64:ff9b::/96 is an alias of that of the embedded IPv4 address (RFC 6147
/// section 5.3.1).
pub(super) fn reverse(question: &Question, ttl: u32) -> Option<Reply> {
    let Some(ReverseName::Address(address)) = parse_reverse(&question.qname) else { return None };
    let embedded: Ipv4Addr = nat64_to_ipv4(address)?;
    let target = Rdata::from_name(&reverse_name(embedded.into()));
    let set = RrSet::new(question.qname.clone(), RecordType::CNAME, ttl, vec![target]);
    Some(Reply::new(Answer::noerror(vec![set]), Source::Reverse))
}
