//! Generated names: `ip-10-0-1-5.ap-northeast-1.compute.internal`, `i-0123456789abcdef0…`, and their reverse
//! names.

use std::net::{IpAddr, Ipv4Addr};

use super::{Reply, Source, zone};
use crate::aws::Region;
use crate::aws::hostname::{ip_label, parse_ip_label};
use crate::dns::reverse::{ReverseName, parse_reverse};
use crate::dns::{Answer, Name, Question, Rdata, RecordType, RrSet};
use crate::world::{Generated, Index, InternalDomain, Names, Network, Vpc};

/// Answers a question in an autodefined domain, which the VPC resolver serves itself.
pub(super) fn answer(
    names: &Names,
    network: &Network,
    vpc: Option<Index<Vpc>>,
    domain: &InternalDomain,
    source: Source,
    question: &Question,
) -> Reply {
    if let (Some(vpc), Generated::Hosts(region)) = (vpc, &domain.names)
        && let Some(records) = host_records(names, network, vpc, region, domain, question)
    {
        return Reply::new(records, source);
    }
    if let (Some(vpc), Generated::Reverse(region, internal)) = (vpc, &domain.names)
        && let Some(answer) = reverse(names, network, vpc, domain, (region, internal), question)
    {
        return Reply::new(answer, source);
    }
    zone::answer(&domain.zone, question, source)
}

/// The records of an instance's name or of an address's name. `None` if it is neither or does not exist.
fn host_records(
    names: &Names,
    network: &Network,
    vpc: Index<Vpc>,
    region: &Region,
    domain: &InternalDomain,
    question: &Question,
) -> Option<Answer> {
    if question.qname.labels_below(domain.zone.apex()) != Some(1) {
        return None;
    }
    let label = question.qname.first_label()?.to_ascii_lowercase();
    let addresses = match parse_ip_label(&label) {
        Some(address) if has_ip_name(names, network, vpc, region, address) => vec![IpAddr::V4(address)],
        Some(_) => return None,
        None => resource_name(names, network, vpc, region, &label)?,
    };
    let matches_qtype = |rtype| question.qtype == rtype || question.qtype == RecordType::ANY;
    let found = addresses.into_iter().map(Rdata::for_address).find(|(rtype, _)| matches_qtype(*rtype));
    Some(match found {
        Some((rtype, rdata)) => {
            let ttl = names.answers.generated_name_ttl;
            Answer::noerror(vec![RrSet::new(question.qname.clone(), rtype, ttl, vec![rdata])])
        }
        None => Answer::no_data(domain.zone.soa().clone()),
    })
}

/// Whether an address has an `ip-` name in the domain of a region, as seen by the resolver of a VPC.
///
/// The name of a private address is computed from its label, whether or not an instance has the address. The
/// name of any other address exists in the region of its VPC ("DNS attributes for your VPC"; captures). Names
/// of a VPC in another region exist where its private addresses can be resolved ("VPC peering basics").
fn has_ip_name(
    names: &Names,
    network: &Network,
    vpc: Index<Vpc>,
    region: &Region,
    address: Ipv4Addr,
) -> bool {
    let ip = IpAddr::V4(address);
    let (own, resolver) = (&network.vpcs[vpc], &names.resolvers[vpc]);
    let computed = own.region == *region && address.is_private();
    let is_in_resolvable_vpc = || {
        let peers = resolver.dns_peers.iter().chain(resolver.transit_peers.iter().flat_map(|all| all.iter()));
        let mut resolvable = std::iter::once(own).chain(peers.map(|peer| &network.vpcs[*peer]));
        resolvable.any(|vpc| vpc.region == *region && vpc.contains(ip))
    };
    let is_used = || {
        let mut homes = network.vpcs.iter().filter(|home| home.region == *region);
        homes.any(|home| home.interfaces.contains_key(&ip) && (computed || home.contains(ip)))
    };
    (computed || is_in_resolvable_vpc()) && (names.answers.unused_ip_names || is_used())
}

/// The addresses of an instance's resource name. `None` if no instance that this VPC's resolver can resolve
/// has the name.
fn resource_name(
    names: &Names,
    network: &Network,
    vpc: Index<Vpc>,
    region: &Region,
    label: &[u8],
) -> Option<Vec<IpAddr>> {
    let instance = &network.instances[*names.public.resource_names.get(label)?];
    let home = network.subnets[instance.subnet].vpc;
    let is_near = home == vpc || names.resolvers[vpc].resolves_private_addresses_of(home);
    if !is_near || network.vpcs[home].region != *region {
        return None;
    }
    let a = instance.address.filter(|_| instance.resource_name.a).map(IpAddr::V4);
    let aaaa = instance.ipv6_address.filter(|_| instance.resource_name.aaaa).map(IpAddr::V6);
    Some(a.into_iter().chain(aaaa).collect())
}

/// Answers a name in a reverse zone with the `ip-` name of the address. `None` if the zone data answers.
fn reverse(
    names: &Names,
    network: &Network,
    vpc: Index<Vpc>,
    domain: &InternalDomain,
    (region, internal): (&Region, &Name),
    question: &Question,
) -> Option<Answer> {
    let zone = &domain.zone;
    let soa = || zone.soa().clone();
    match parse_reverse(&question.qname)? {
        ReverseName::Address(IpAddr::V4(address))
            if zone.node(&question.qname).is_none_or(|node| node.is_empty_non_terminal()) =>
        {
            let target = internal.prepend(ip_label(address).as_bytes()).ok()?;
            // Reverse zones end at octet boundaries, so this one may contain addresses that are not in the
            // VPC.
            if !has_ip_name(names, network, vpc, region, address) {
                return Some(Answer::nxdomain(soa()));
            }
            if !matches!(question.qtype, RecordType::PTR | RecordType::ANY) {
                return Some(Answer::no_data(soa()));
            }
            let ttl = names.answers.generated_name_ttl;
            let rdatas = vec![Rdata::from_name(&target)];
            Some(Answer::noerror(vec![RrSet::new(question.qname.clone(), RecordType::PTR, ttl, rdatas)]))
        }
        // The reverse name of a network is an empty non-terminal.
        ReverseName::Network(_) if question.qname != *zone.apex() => Some(Answer::no_data(soa())),
        ReverseName::Address(_) | ReverseName::Network(_) => None,
    }
}
