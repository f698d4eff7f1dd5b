//! Names that AWS generates: `ip-10-0-1-5.ap-northeast-1.compute.internal` and their reverse.

use std::net::IpAddr;

use super::{Reply, Source};
use crate::aws::hostname::{ip_label, parse_ip_label};
use crate::dns::reverse::{Reverse, parse_reverse};
use crate::dns::{Answer, Name, Question, Rdata, RecordType, RrSet};
use crate::world::InternalDomain;

/// TTL of generated names in both directions, in seconds, as seen in captures.
const TTL_S: u32 = 60;

/// Answers below a region's internal domain.
///
/// An `ip-` name is computed from its label, whether or not an instance has the address. It has an A
/// record and no other ("EC2 instance hostname types").
pub fn forward(domain: &InternalDomain, question: &Question) -> Reply {
    let zone = &domain.zone;
    let soa = || zone.soa().clone();
    let answer = match question.qname.labels_below(zone.apex()) {
        Some(0) => match question.qtype {
            RecordType::SOA | RecordType::ANY => Answer::of(vec![soa()]),
            _ => Answer::no_data(soa()),
        },
        Some(1) => match question.qname.first_label().and_then(parse_ip_label) {
            Some(address) if matches!(question.qtype, RecordType::A | RecordType::ANY) => {
                let rdatas = vec![Rdata::a(address)];
                Answer::of(vec![RrSet::new(question.qname.clone(), RecordType::A, TTL_S, rdatas)])
            }
            Some(_) => Answer::no_data(soa()),
            None => Answer::nxdomain(soa()),
        },
        _ => Answer::nxdomain(soa()),
    };
    Reply::of(answer, Source::GeneratedName)
}

/// Answers below a reverse zone: the `ip-` name of the local region.
pub fn reverse(domain: &InternalDomain, question: &Question) -> Reply {
    let zone = &domain.zone;
    let soa = || zone.soa().clone();
    let answer = match parse_reverse(&question.qname) {
        Some(Reverse::Address(IpAddr::V4(address))) => {
            let target = ip_name(address.into(), &domain.internal_domain);
            match (question.qtype, target) {
                (RecordType::PTR | RecordType::ANY, Some(target)) => {
                    let rdatas = vec![Rdata::name(&target)];
                    Answer::of(vec![RrSet::new(question.qname.clone(), RecordType::PTR, TTL_S, rdatas)])
                }
                _ => Answer::no_data(soa()),
            }
        }
        Some(Reverse::Network(_)) if question.qtype == RecordType::SOA && question.qname == *zone.apex() => {
            Answer::of(vec![soa()])
        }
        Some(Reverse::Network(_)) => Answer::no_data(soa()),
        Some(Reverse::Address(IpAddr::V6(_))) | None => Answer::nxdomain(soa()),
    };
    Reply::of(answer, Source::Reverse)
}

/// The generated name of an IPv4 address.
fn ip_name(address: IpAddr, internal_domain: &Name) -> Option<Name> {
    match address {
        IpAddr::V4(v4) => internal_domain.prepend(ip_label(v4).as_bytes()).ok(),
        IpAddr::V6(_) => None,
    }
}
