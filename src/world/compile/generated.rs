//! The domains that a VPC's resolver answers by itself (Route 53 Developer Guide, "Domain names that VPC Resolver
//! creates autodefined system rules for").

use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;
use crate::aws::zones;
use crate::config::AutodefinedReverse;
use crate::dns::{Rdata, RecordType, reverse_name, reverse_zones};

/// A domain as it is claimed in a VPC.
type Domain = (Name, Generated);

impl Compiler<'_> {
    /// The domains of every VPC with host names.
    pub(super) fn generated_names(&mut self) {
        let mut made: HashMap<Domain, Index<InternalDomain>> = HashMap::new();
        let loopback = loopback_domains();
        let arpa = fact_name("arpa");
        let disabled: HashSet<&str> = (self.config.vpc.iter())
            .filter(|vpc| vpc.autodefined_reverse == AutodefinedReverse::Disabled)
            .map(|vpc| vpc.id.value().as_str())
            .collect();
        let with_names: Vec<Index<Vpc>> =
            self.vpcs.indexed().filter(|(_, vpc)| vpc.dns_hostnames).map(|(index, _)| index).collect();
        for index in with_names {
            let own_word = !disabled.contains(&*self.vpcs[index].id);
            let mut domains = self.host_domains(index);
            if self.reverse_by_profile.get(&index).copied().unwrap_or(own_word) {
                domains.extend(self.reverse_domains(index));
            }
            let plain = loopback.iter().map(|apex| (apex.clone(), Generated::Nothing));
            for domain in plain.chain(domains) {
                let claim_of = match &domain.1 {
                    Generated::Reverse(..) => Claim::Reverse,
                    Generated::Nothing if domain.0.is_at_or_below(&arpa) => Claim::Reverse,
                    Generated::PublicHosts => Claim::PublicHostName,
                    Generated::Hosts(_) | Generated::Nothing => Claim::GeneratedName,
                };
                let apex = domain.0.clone();
                let number = *made.entry(domain).or_insert_with_key(|(apex, names)| {
                    let zone = domain_zone(apex, names);
                    self.internal_domains.add(InternalDomain { zone, names: names.clone() })
                });
                self.claim(index, &apex, Origin::Local, claim_of(number));
            }
        }
    }

    /// The domains of host names: the VPC's region's, and those of other regions whose VPCs it hears of.
    fn host_domains(&self, index: Index<Vpc>) -> Vec<Domain> {
        let vpc = &self.vpcs[index];
        let mut domains = Vec::new();
        if let Some(legacy) = vpc.region.legacy_internal_domain() {
            domains.push((fact_name(legacy), Generated::Nothing));
        }
        let regions: BTreeSet<&Region> = (vpc.named_peers.iter().map(|peer| &self.vpcs[*peer].region))
            .chain(std::iter::once(&vpc.region))
            .collect();
        for region in regions {
            domains.push((fact_name(&region.internal_domain()), Generated::Hosts(region.clone())));
            domains.push((fact_name(&region.public_ec2_domain()), Generated::PublicHosts));
        }
        domains
    }

    /// The reverse zones: of private addresses, of the VPC's own prefixes, and of those it hears of. IPv6 addresses are
    /// public, and so are their reverse names.
    fn reverse_domains(&self, index: Index<Vpc>) -> Vec<Domain> {
        let vpc = &self.vpcs[index];
        let hosts =
            |vpc: &Vpc| Generated::Reverse(vpc.region.clone(), fact_name(&vpc.region.internal_domain()));
        let own = hosts(vpc);
        let mut zones: BTreeMap<Name, Generated> = BTreeMap::new();
        for apex in private_reverse_zones().into_iter().chain(prefix_zones(vpc)) {
            zones.insert(apex, own.clone());
        }
        for peer in &vpc.named_peers {
            let peer = &self.vpcs[*peer];
            for apex in prefix_zones(peer) {
                zones.entry(apex).or_insert_with(|| hosts(peer));
            }
        }
        zones.into_iter().collect()
    }
}

/// The reverse zones of a VPC's IPv4 prefixes, cut at octets.
fn prefix_zones(vpc: &Vpc) -> impl Iterator<Item = Name> {
    let v4 = vpc.cidrs.iter().filter(|cidr| cidr.addr().is_ipv4());
    v4.flat_map(|cidr| reverse_zones(octet_aligned(*cidr)))
}

fn private_reverse_zones() -> Vec<Name> {
    let fixed = zones::PRIVATE_REVERSE_ZONES.iter().map(|zone| fact_name(zone));
    let b = zones::PRIVATE_172_OCTETS.map(|octet| fact_name(&format!("{octet}.172.in-addr.arpa")));
    let metadata = std::iter::once(fact_name(zones::METADATA_REVERSE_ZONE));
    fixed.chain(b).chain(metadata).collect()
}

/// The prefix that is covered by reverse zones on octets: nothing longer than a /24.
fn octet_aligned(cidr: IpNet) -> IpNet {
    match cidr {
        IpNet::V4(net) if net.prefix_len() > 24 => {
            ipnet::Ipv4Net::new(net.network(), 24).map_or(cidr, |wide| IpNet::V4(wide.trunc()))
        }
        _ => cidr,
    }
}

/// The domains of loopback's names and addresses.
fn loopback_domains() -> Vec<Name> {
    let mut domains: Vec<Name> = zones::LOOPBACK_ZONES.iter().map(|zone| fact_name(zone)).collect();
    domains.extend([Ipv6Addr::LOCALHOST, Ipv6Addr::UNSPECIFIED].map(|address| reverse_name(address.into())));
    domains
}

/// The zone of a domain, with the names in it that are not computed.
///
/// Loopback's names lead to loopback, `localhost` at any depth (RFC 6761 6.3); what AWS has in these zones is assumed.
fn domain_zone(apex: &Name, names: &Generated) -> Zone {
    let mut zone = records::internal_zone(apex.clone());
    let mut add = |owner: Name, rdata: (RecordType, Rdata)| {
        zone.add(owner, rdata.0, zones::INTERNAL_SOA.ttl, rdata.1).expect("the owner lies in the zone");
    };
    let below = |label: &str| apex.prepend(label.as_bytes()).expect("a short label before a short name");
    if matches!(names, Generated::Hosts(_)) {
        add(below(zones::METADATA_LABEL), Rdata::address_of(zones::METADATA_ADDRESS.into()));
    }
    if *names == Generated::Nothing {
        let owners = match apex.first_label() {
            Some(b"localhost") => vec![apex.clone(), below("*")],
            Some(b"localdomain") => vec![below("localhost")],
            _ => Vec::new(),
        };
        for owner in owners {
            add(owner.clone(), Rdata::address_of(Ipv4Addr::LOCALHOST.into()));
            add(owner, Rdata::address_of(Ipv6Addr::LOCALHOST.into()));
        }
        let pointer = (RecordType::PTR, Rdata::name(&fact_name("localhost")));
        for loopback in [reverse_name(Ipv4Addr::LOCALHOST.into()), reverse_name(Ipv6Addr::LOCALHOST.into())] {
            if loopback.is_at_or_below(apex) {
                add(loopback, pointer.clone());
            }
        }
    }
    if let Generated::Reverse(_, internal) = names
        && *apex == fact_name(zones::METADATA_REVERSE_ZONE)
    {
        let target =
            internal.prepend(zones::METADATA_LABEL.as_bytes()).expect("a short label before a short name");
        add(apex.clone(), (RecordType::PTR, Rdata::name(&target)));
    }
    zone
}
