//! The domains that a VPC's resolver answers itself (Route 53 Developer Guide, "Domain names that VPC
//! Resolver creates autodefined system rules for").

use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;
use crate::aws::zones;
use crate::config::AutodefinedReverse;
use crate::dns::{Rdata, RecordType, reverse_name, reverse_zones};

/// A domain as a claim of a VPC.
type Domain = (Name, Generated);

/// The domains created so far, each once.
struct GeneratedZones {
    domains: HashMap<Domain, Index<InternalDomain>>,
    /// The domain of reverse names.
    arpa: Name,
}

impl GeneratedZones {
    /// Creates an empty set.
    fn new() -> Self {
        Self { domains: HashMap::new(), arpa: fact_name("arpa") }
    }
}

impl NamesCompiler<'_, '_> {
    /// The domains of every VPC with DNS host names.
    pub(super) fn generated_names(&mut self) {
        let mut made = GeneratedZones::new();
        let loopback = loopback_domains();
        let disabled: HashSet<&str> = (self.cx.config.vpc.iter())
            .filter(|vpc| vpc.autodefined_reverse == AutodefinedReverse::Disabled)
            .map(|vpc| vpc.id.value().as_str())
            .collect();
        let with_names: Vec<Index<Vpc>> = self
            .network
            .vpcs
            .indexed()
            .filter(|(_, vpc)| vpc.dns_hostnames)
            .map(|(index, _)| index)
            .collect();
        let mut with_reverse = HashSet::new();
        for index in with_names {
            let region_label = !disabled.contains(&*self.network.vpcs[index].id);
            let mut domains = self.host_domains(index);
            if self.reverse_by_profile.get(&index).copied().unwrap_or(region_label) {
                domains.extend(self.reverse_domains(index));
                with_reverse.insert(index);
            }
            let plain = loopback.iter().map(|apex| (apex.clone(), Generated::Nothing));
            for domain in plain.chain(domains) {
                let apex = domain.0.clone();
                let claim = self.domain_claim(domain, &mut made);
                self.claim(index, &apex, ClaimSource::Local, claim);
            }
        }
        let groups: Vec<_> =
            self.network.transit_gateways.iter().map(|gateway| gateway.dns_members.clone()).collect();
        for joined in groups.iter().filter(|joined| !joined.is_empty()) {
            self.common_reverse_domains(joined, &with_reverse, &mut made);
        }
    }

    /// The claim of a domain, which is created once for all VPCs.
    fn domain_claim(&mut self, domain: Domain, made: &mut GeneratedZones) -> Claim {
        let claim_of = match &domain.1 {
            Generated::Reverse(..) => Claim::Reverse,
            Generated::Nothing if domain.0.is_at_or_below(&made.arpa) => Claim::Reverse,
            Generated::PublicHosts => Claim::PublicHostName,
            Generated::Hosts(_) | Generated::Nothing => Claim::GeneratedName,
        };
        let number = *made.domains.entry(domain).or_insert_with_key(|(apex, names)| {
            let zone = domain_zone(apex, names);
            self.names.internal_domains.add(InternalDomain { zone, names: names.clone() })
        });
        claim_of(number)
    }

    /// The reverse zones of VPCs that are connected by a transit gateway: those of all, for each VPC that has
    /// reverse zones.
    fn common_reverse_domains(
        &mut self,
        joined: &[Index<Vpc>],
        with_reverse: &HashSet<Index<Vpc>>,
        made: &mut GeneratedZones,
    ) {
        let mut zones: BTreeMap<Name, Generated> = BTreeMap::new();
        for vpc in joined {
            add_prefix_zones(&mut zones, &self.network.vpcs[*vpc]);
        }
        let group = self.names.claims.add_group();
        for vpc in joined.iter().filter(|vpc| with_reverse.contains(vpc)) {
            for view in [self.names.resolvers[*vpc].view, self.names.resolvers[*vpc].inbound_view] {
                self.names.claims.join(view, group);
            }
        }
        for domain in zones {
            let apex = domain.0.clone();
            let claim = self.domain_claim(domain, made);
            self.names.claims.add_for_group(apex, group, claim);
        }
    }

    /// The domains of host names: that of the VPC's region, and those of other regions with VPCs whose names
    /// it resolves. A transit gateway is in one region.
    fn host_domains(&self, index: Index<Vpc>) -> Vec<Domain> {
        let vpc = &self.network.vpcs[index];
        let mut domains = Vec::new();
        if let Some(legacy) = vpc.region.legacy_internal_domain() {
            domains.push((fact_name(legacy), Generated::Nothing));
        }
        let regions: BTreeSet<&Region> =
            (self.names.resolvers[index].dns_peers.iter().map(|peer| &self.network.vpcs[*peer].region))
                .chain(std::iter::once(&vpc.region))
                .collect();
        for region in regions {
            domains.push((fact_name(&region.internal_domain()), Generated::Hosts(region.clone())));
            domains.push((fact_name(&region.public_ec2_domain()), Generated::PublicHosts));
        }
        domains
    }

    /// The reverse zones: of private addresses, of the VPC's own CIDR blocks, and of those that it resolves
    /// across peering connections. IPv6 addresses are public, and so are their reverse names.
    fn reverse_domains(&self, index: Index<Vpc>) -> Vec<Domain> {
        let vpc = &self.network.vpcs[index];
        let own = reverse_hosts(vpc);
        let mut zones: BTreeMap<Name, Generated> =
            private_reverse_zones().into_iter().map(|apex| (apex, own.clone())).collect();
        add_prefix_zones(&mut zones, vpc);
        for peer in self.peered.get(&index).into_iter().flatten() {
            add_prefix_zones(&mut zones, &self.network.vpcs[*peer]);
        }
        zones.into_iter().collect()
    }
}

/// The contents of the reverse zones of a VPC's CIDR blocks.
fn reverse_hosts(vpc: &Vpc) -> Generated {
    Generated::Reverse(vpc.region.clone(), fact_name(&vpc.region.internal_domain()))
}

/// Adds the reverse zones of a VPC's CIDR blocks. Existing ones are not changed.
fn add_prefix_zones(zones: &mut BTreeMap<Name, Generated>, vpc: &Vpc) {
    let hosts = reverse_hosts(vpc);
    for apex in prefix_zones(vpc) {
        zones.entry(apex).or_insert_with(|| hosts.clone());
    }
}

/// The reverse zones of a VPC's IPv4 CIDR blocks, at octet boundaries.
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

/// The octet-aligned prefix that covers a CIDR block: at most a /24.
fn octet_aligned(cidr: IpNet) -> IpNet {
    match cidr {
        IpNet::V4(net) if net.prefix_len() > 24 => {
            ipnet::Ipv4Net::new(net.network(), 24).map_or(cidr, |wide| IpNet::V4(wide.trunc()))
        }
        _ => cidr,
    }
}

/// The domains of loopback names and addresses.
fn loopback_domains() -> Vec<Name> {
    let mut domains: Vec<Name> = zones::LOOPBACK_ZONES.iter().map(|zone| fact_name(zone)).collect();
    domains.extend([Ipv6Addr::LOCALHOST, Ipv6Addr::UNSPECIFIED].map(|address| reverse_name(address.into())));
    domains
}

/// The zone of a domain, with the names in it that are not generated.
///
/// Names of loopback resolve to loopback addresses, `localhost` at any depth (RFC 6761 section 6.3); the
/// contents of these zones in AWS are assumptions.
fn domain_zone(apex: &Name, names: &Generated) -> Zone {
    let mut zone = records::internal_zone(apex.clone());
    let mut add = |owner: Name, rdata: (RecordType, Rdata)| {
        zone.add(owner, rdata.0, zones::INTERNAL_SOA.ttl, rdata.1).expect("the owner is in the zone");
    };
    let below = |label: &str| apex.prepend(label.as_bytes()).expect("a short label before a short name");
    if matches!(names, Generated::Hosts(_)) {
        add(below(zones::METADATA_LABEL), Rdata::for_address(zones::METADATA_ADDRESS.into()));
    }
    if *names == Generated::Nothing {
        let owners = match apex.first_label() {
            Some(b"localhost") => vec![apex.clone(), below("*")],
            Some(b"localdomain") => vec![below("localhost")],
            _ => Vec::new(),
        };
        for owner in owners {
            add(owner.clone(), Rdata::for_address(Ipv4Addr::LOCALHOST.into()));
            add(owner, Rdata::for_address(Ipv6Addr::LOCALHOST.into()));
        }
        let pointer = (RecordType::PTR, Rdata::from_name(&fact_name("localhost")));
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
        add(apex.clone(), (RecordType::PTR, Rdata::from_name(&target)));
    }
    zone
}
