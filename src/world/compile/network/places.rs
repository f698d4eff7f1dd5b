//! Locations and client entries.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;
use crate::net::{PrefixMap, host_prefix};

impl NetworkCompiler<'_, '_> {
    /// Every place: each subnet with its splits, each site, and outside.
    pub(super) fn places(&mut self) {
        let cuts = self.place_splits();
        let mut interfaces = self.interfaces_by_subnet();
        for (index, subnet) in self.network.subnets.indexed() {
            let (name, vpc) = (subnet.id.clone(), subnet.vpc);
            let cuts = cuts.of_vpc(vpc);
            let kind = PlaceKind::Subnet(index);
            let prefixes = subnet.cidrs.clone();
            // A configured address is a place of its own already.
            let declared = &self.network.vpcs[vpc].interfaces;
            let mut inside = splits_inside(cuts, &prefixes);
            inside.retain(|cut| *cut != host_prefix(cut.addr()) || !declared.contains_key(&cut.addr()));
            self.network.places.add(&name, Some(vpc), place(kind, prefixes, cuts));
            // There may be many splits, and each has the subnet's other CIDR block as its second prefix.
            let whole: Vec<Sampled> = subnet.cidrs.iter().map(|own| (*own, sample(own, cuts))).collect();
            for cut in inside {
                let is_other = |(own, _): &&Sampled| own.addr().is_ipv4() != cut.addr().is_ipv4();
                let other_family = whole.iter().filter(is_other).copied().collect();
                self.network.places.add(
                    &name,
                    Some(vpc),
                    place_with_other_family(kind, vec![cut], other_family, cuts),
                );
            }
            let declared = interfaces.remove(&index).unwrap_or_default();
            let mut by_owner: HashMap<Interface, Vec<IpAddr>> = HashMap::new();
            for (address, interface) in &declared {
                by_owner.entry(*interface).or_default().push(*address);
            }
            for (address, interface) in &declared {
                let others = by_owner[interface].iter().filter(|other| other.is_ipv4() != address.is_ipv4());
                // For a resolver endpoint, it is unknown which addresses belong to the same interface.
                let others = others.filter(|_| *interface != Interface::ResolverEndpoint);
                let other_family = others.map(|other| (host_prefix(*other), *other)).collect();
                let own = place_with_other_family(kind, vec![host_prefix(*address)], other_family, cuts);
                self.network.places.add(&name, Some(vpc), Place { interface: Some(*interface), ..own });
            }
        }
        let sites: Vec<_> =
            self.network.sites.indexed().map(|(i, s)| (i, s.id.clone(), s.cidrs.clone())).collect();
        for (index, name, prefixes) in sites {
            let kind = PlaceKind::Site(index);
            let cuts = cuts.of_site(index);
            // Each prefix is a place of its own, because security groups may allow one and not the other.
            let mut own = prefixes.clone();
            own.extend(splits_inside(cuts, &prefixes));
            for prefix in own {
                self.network.places.add(&name, None, place(kind, vec![prefix], cuts));
            }
        }
        self.network.places.add(
            &Arc::from("outside"),
            None,
            place(PlaceKind::Outside, Vec::new(), cuts.outside()),
        );
    }

    /// The configured addresses in each subnet, sorted.
    fn interfaces_by_subnet(&self) -> HashMap<Index<Subnet>, Vec<(IpAddr, Interface)>> {
        let mut by_subnet: HashMap<_, Vec<_>> = HashMap::new();
        for (vpc, own) in &self.ids.subnets_by_prefix {
            for (address, interface) in &self.network.vpcs[*vpc].interfaces {
                if let Some((_, subnet)) = own.longest_match(*address) {
                    by_subnet.entry(*subnet).or_default().push((*address, *interface));
                }
            }
        }
        by_subnet.values_mut().for_each(|own| own.sort_unstable_by_key(|(address, _)| *address));
        by_subnet
    }

    /// The `[[client]]` entries.
    pub(super) fn clients(&mut self) {
        for client in &self.cx.config.client {
            let name = &client.place.value().0;
            let Some(place) = self.network.places.named(name) else {
                self.cx.unknown_place(
                    &self.network,
                    name,
                    client.place.mark(),
                    "a subnet, a site or `outside`",
                );
                continue;
            };
            if self.network.places.add_client(client.source.value().0, place).is_some() {
                let message = format!("clients of {} have two locations", client.source);
                self.cx.report.error(Code::DuplicateId, client.source.mark(), message);
            }
        }
    }
}

/// A place without a configured owner.
fn place(kind: PlaceKind, prefixes: Vec<IpNet>, cuts: &PrefixMap<()>) -> Place {
    place_with_other_family(kind, prefixes, Vec::new(), cuts)
}

/// A prefix with an address in it that is in none of the splits.
type Sampled = (IpNet, IpAddr);

/// The same for clients that have addresses of the other family as well.
fn place_with_other_family(
    kind: PlaceKind,
    prefixes: Vec<IpNet>,
    other_family: Vec<Sampled>,
    cuts: &PrefixMap<()>,
) -> Place {
    let own = prefixes.iter().map(|prefix| sample(prefix, cuts));
    let samples = own.chain(other_family.iter().map(|(_, sample)| *sample)).collect();
    let other_family = other_family.into_iter().map(|(prefix, _)| prefix).collect();
    Place { kind, prefixes, other_family, samples, interface: None }
}

/// An address of a prefix that is in none of the splits inside it; the first address if they cover it
/// completely.
fn sample(prefix: &IpNet, cuts: &PrefixMap<()>) -> IpAddr {
    let mut free = prefix.network();
    // Splits are in the order of addresses, less specific ones first.
    for (cut, ()) in cuts.covered_by(prefix).into_iter().filter(|(cut, ())| cut != prefix) {
        if cut.contains(&free) {
            match after(cut.broadcast()).filter(|next| prefix.contains(next)) {
                Some(next) => free = next,
                None => return prefix.network(),
            }
        }
    }
    free
}

/// The next address.
fn after(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => address.to_bits().checked_add(1).map(|bits| Ipv4Addr::from_bits(bits).into()),
        IpAddr::V6(address) => address.to_bits().checked_add(1).map(|bits| Ipv6Addr::from_bits(bits).into()),
    }
}

/// The distinct splits inside prefixes.
fn splits_inside(cuts: &PrefixMap<()>, prefixes: &[IpNet]) -> Vec<IpNet> {
    let inside = prefixes.iter().flat_map(|prefix| cuts.covered_by(prefix).into_iter().map(|(cut, ())| cut));
    let mut inside: Vec<IpNet> = inside.filter(|cut| !prefixes.contains(cut)).collect();
    inside.sort();
    inside.dedup();
    inside
}
